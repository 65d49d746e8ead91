//! A component that imports every interface of a version and exports each function again, through a core module, so that a test calls any of
//! them as a guest does, with values of its own.

use std::collections::HashMap;
use std::fmt::Write;

/// A type, as far as the core module has to know it.
#[derive(Clone, Debug)]
enum Type {
    Scalar(&'static str, &'static str),
    String,
    List(Box<Type>),
    Tuple(Vec<Type>),
    Option(Box<Type>),
    Result(Option<Box<Type>>, Option<Box<Type>>),
    Own(String),
    Borrow(String),
    /// A stream or future.
    End(&'static str, Box<Type>),
    /// Another type, under a name that is only the text's.
    Alias(String, Box<Type>),
    /// A record, variant, enum or flags, under its name.
    Named(String, Box<Body>),
}

#[derive(Clone, Debug)]
enum Body {
    Record(Vec<(String, Option<Type>)>),
    Variant(Vec<(String, Option<Type>)>),
    Enum(Vec<(String, Option<Type>)>),
    Flags(Vec<(String, Option<Type>)>),
}

struct Parser<'a> {
    text: &'a str,
    types: &'a HashMap<String, Type>,
}

impl Parser<'_> {
    fn word(&mut self) -> String {
        self.text = self.text.trim_start();
        let end = self.text.find(|c: char| !(c.is_alphanumeric() || "-_".contains(c))).unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(end);
        self.text = rest;
        word.to_owned()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.text = self.text.trim_start();
        let Some(rest) = self.text.strip_prefix(token) else { return false };
        self.text = rest;
        true
    }

    fn expect(&mut self, token: &str) {
        assert!(self.eat(token), "expected {token} before {:?}", self.text);
    }

    fn list<T>(&mut self, close: &str, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut items = Vec::new();
        while !self.eat(close) {
            items.push(item(self));
            self.eat(",");
        }
        items
    }

    fn of(&mut self, close: &str) -> Type {
        let ty = self.ty().expect("a type");
        self.expect(close);
        ty
    }

    /// A type; `None` for `_`.
    fn ty(&mut self) -> Option<Type> {
        let word = self.word();
        Some(match word.as_str() {
            "_" => return None,
            "bool" => Type::Scalar("bool", "i32"),
            "u8" => Type::Scalar("u8", "i32"),
            "u16" => Type::Scalar("u16", "i32"),
            "u32" => Type::Scalar("u32", "i32"),
            "u64" => Type::Scalar("u64", "i64"),
            "s64" => Type::Scalar("s64", "i64"),
            "stream" | "future" => {
                self.expect("<");
                Type::End(if word == "stream" { "stream" } else { "future" }, self.of(">").into())
            }
            "string" => Type::String,
            "list" | "option" | "own" | "borrow" => {
                self.expect("<");
                match word.as_str() {
                    "list" => Type::List(self.of(">").into()),
                    "option" => Type::Option(self.of(">").into()),
                    handle => {
                        let resource = self.word();
                        self.expect(">");
                        if handle == "own" { Type::Own(resource) } else { Type::Borrow(resource) }
                    }
                }
            }
            "tuple" => {
                self.expect("<");
                Type::Tuple(self.list(">", |parser| parser.ty().expect("a type")))
            }
            "result" => {
                self.expect("<");
                let mut types = self.list(">", |parser| parser.ty().map(Box::new));
                let err = types.pop().expect("two types");
                Type::Result(types.pop().expect("two types"), err)
            }
            name => self.types.get(name).unwrap_or_else(|| panic!("no type {name}")).clone(),
        })
    }

    fn body(&mut self) -> Body {
        let kind = self.word();
        self.expect("<");
        let cases = self.list(">", |parser| {
            let name = parser.word();
            let ty = if parser.eat(":") { parser.ty() } else { None };
            (name, ty)
        });
        match kind.as_str() {
            "record" => Body::Record(cases),
            "variant" => Body::Variant(cases),
            "enum" => Body::Enum(cases),
            "flags" => Body::Flags(cases),
            other => panic!("no kind of type {other}"),
        }
    }
}

fn join(a: &str, b: &str) -> &'static str {
    if a == b && a == "i32" { "i32" } else { "i64" }
}

fn join_cases<'a>(cases: impl Iterator<Item = &'a Type>) -> Vec<&'static str> {
    let mut joined: Vec<&'static str> = Vec::new();
    for case in cases {
        for (index, core) in case.flat().into_iter().enumerate() {
            match joined.get_mut(index) {
                Some(have) => *have = join(have, core),
                None => joined.push(core),
            }
        }
    }
    joined.insert(0, "i32");
    joined
}

impl Type {
    /// The core types that it is passed in.
    fn flat(&self) -> Vec<&'static str> {
        match self {
            Type::Scalar(_, core) => vec![core],
            Type::String | Type::List(_) => vec!["i32", "i32"],
            Type::Tuple(types) => types.iter().flat_map(Type::flat).collect(),
            Type::Option(ty) => join_cases(std::iter::once(&**ty)),
            Type::Result(ok, err) => join_cases(ok.iter().chain(err).map(|ty| &**ty)),
            Type::Own(_) | Type::Borrow(_) | Type::End(..) => vec!["i32"],
            Type::Alias(_, ty) => ty.flat(),
            Type::Named(_, body) => match &**body {
                Body::Record(fields) => fields.iter().flat_map(|(_, ty)| ty.as_ref().expect("a type").flat()).collect(),
                Body::Variant(cases) => join_cases(cases.iter().filter_map(|(_, ty)| ty.as_ref())),
                Body::Enum(_) | Body::Flags(_) => vec!["i32"],
            },
        }
    }

    /// Its text; resources and other names stand for `$prefix-name`, each with its prefix.
    fn text(&self, prefix: &str, names: &str) -> String {
        let maybe = |ty: &Option<Box<Type>>| ty.as_ref().map(|ty| ty.text(prefix, names));
        match self {
            Type::Scalar(name, _) => (*name).to_owned(),
            Type::String => "string".to_owned(),
            Type::List(ty) => format!("(list {})", ty.text(prefix, names)),
            Type::Tuple(types) => {
                format!("(tuple {})", types.iter().map(|ty| ty.text(prefix, names)).collect::<Vec<_>>().join(" "))
            }
            Type::Option(ty) => format!("(option {})", ty.text(prefix, names)),
            Type::Result(ok, err) => {
                let err = maybe(err).map(|err| format!("(error {err})"));
                format!("(result {} {})", maybe(ok).unwrap_or_default(), err.unwrap_or_default())
            }
            Type::End(kind, ty) => format!("({kind} {})", ty.text(prefix, names)),
            Type::Own(name) => format!("(own ${prefix}{name})"),
            Type::Borrow(name) => format!("(borrow ${prefix}{name})"),
            Type::Named(name, _) | Type::Alias(name, _) => format!("${names}{name}"),
        }
    }
}

impl Body {
    fn text(&self) -> String {
        let (kind, item, cases) = match self {
            Body::Record(fields) => ("record", "field", fields),
            Body::Variant(cases) => ("variant", "case", cases),
            Body::Enum(names) => ("enum", "", names),
            Body::Flags(names) => ("flags", "", names),
        };
        let mut text = format!("({kind}");
        for (name, ty) in cases {
            let ty = ty.as_ref().map(|ty| ty.text("in-", "in-")).unwrap_or_default();
            match item {
                "" => write!(text, " \"{name}\"").unwrap(),
                item => write!(text, " ({item} \"{name}\" {ty})").unwrap(),
            }
        }
        text + ")"
    }
}

struct Function {
    name: String,
    is_async: bool,
    params: Vec<Type>,
    result: Option<Type>,
}

struct Interface {
    name: String,
    /// Text that declares its types, within.
    types: String,
    /// Names of types that it declares, and whether they are resources.
    declared: Vec<(String, bool)>,
    /// Names that are only the text's.
    aliases: Vec<(String, Type)>,
    functions: Vec<Function>,
}

fn interfaces(text: &str) -> Vec<Interface> {
    let (mut interfaces, mut types): (Vec<Interface>, HashMap<String, Type>) = Default::default();
    let mut bodies: HashMap<&str, &str> = HashMap::new();
    for line in text.lines().map(str::trim) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut latest = interfaces.last_mut();
        match word {
            "" | "#" => {}
            "interface" => interfaces.push(Interface {
                name: rest.to_owned(),
                types: String::new(),
                declared: Vec::new(),
                aliases: Vec::new(),
                functions: Vec::new(),
            }),
            "resource" => {
                let latest = latest.as_mut().unwrap();
                writeln!(latest.types, "(export \"{rest}\" (type $in-{rest} (sub resource)))").unwrap();
                latest.declared.push((rest.to_owned(), true));
            }
            "use" => {
                let latest = latest.as_mut().unwrap();
                writeln!(latest.types, "(alias outer 1 ${rest} (type $out-{rest}))").unwrap();
                writeln!(latest.types, "(export \"{rest}\" (type $in-{rest} (eq $out-{rest})))").unwrap();
            }
            "type" | "copy" => {
                let defined = rest.split_once(" = ");
                if let Some((name, body)) = defined {
                    bodies.insert(name, body);
                }
                for name in defined.map_or(rest, |(name, _)| name).split(' ') {
                    let latest = latest.as_mut().unwrap();
                    let body = Parser { text: bodies[name], types: &types }.body();
                    writeln!(latest.types, "(type $of-{name} {})", body.text()).unwrap();
                    writeln!(latest.types, "(export \"{name}\" (type $in-{name} (eq $of-{name})))").unwrap();
                    latest.declared.push((name.to_owned(), false));
                    types.insert(name.to_owned(), Type::Named(name.to_owned(), body.into()));
                }
            }
            "alias" => {
                let latest = latest.as_mut().unwrap();
                let (name, text) = rest.split_once(" = ").unwrap();
                let ty = Parser { text, types: &types }.ty().expect("a type");
                writeln!(latest.types, "(type $in-{name} {})", ty.text("in-", "in-")).unwrap();
                latest.aliases.push((name.to_owned(), ty.clone()));
                types.insert(name.to_owned(), Type::Alias(name.to_owned(), ty.into()));
            }
            _ => {
                let (is_async, line) = line.strip_prefix("async ").map_or((false, line), |line| (true, line));
                let (name, rest) = line.split_once('(').unwrap();
                let mut parser = Parser { text: rest, types: &types };
                let params = parser.list(")", |parser| parser.ty().expect("a type"));
                let result = if parser.eat("->") { parser.ty() } else { None };
                latest.unwrap().functions.push(Function { name: name.to_owned(), is_async, params, result });
            }
        }
    }
    interfaces
}

/// The names of all functions of these interfaces, with those of their interfaces.
pub fn all_functions(text: &str) -> Vec<(String, String)> {
    let names = |interface: Interface| {
        interface.functions.into_iter().map(move |function| (interface.name.clone(), function.name))
    };
    interfaces(text).into_iter().flat_map(names).collect()
}

/// The component's text: `interfaces` are those of this version, each with its `type`s and `resource`s, those that it takes from another one
/// with `use` (resources) or `copy`, names for the text (`alias`), and its functions.
pub fn component(interfaces_text: &str, version: &str) -> String {
    let mut imports = String::new();
    let (mut lowered, mut instance) = (String::new(), String::new());
    let (mut core_imports, mut core_funcs, mut lifted) = (String::new(), String::new(), String::new());
    let mut dropped = Vec::new();
    let mut count = 0;
    for (number, interface) in interfaces(interfaces_text).iter().enumerate() {
        writeln!(imports, "(import \"{}@{version}\" (instance $i{number}", interface.name).unwrap();
        imports.push_str(&interface.types);
        for function in &interface.functions {
            let asynchronous = if function.is_async { "async" } else { "" };
            let params: String = function
                .params
                .iter()
                .enumerate()
                .map(|(index, ty)| {
                    let name = if index == 0 && function.name.starts_with("[method]") {
                        "self".into()
                    } else {
                        format!("p{index}")
                    };
                    format!("(param \"{name}\" {})", ty.text("in-", "in-"))
                })
                .collect();
            let result =
                function.result.as_ref().map(|ty| format!("(result {})", ty.text("in-", "in-"))).unwrap_or_default();
            writeln!(imports, "(export \"{}\" (func {asynchronous} {params} {result}))", function.name).unwrap();
        }
        imports.push_str("))\n");
        // Interfaces have types of the same name, resources apart.
        let names = format!("of{number}-");
        for (name, is_resource) in &interface.declared {
            let prefix = if *is_resource { "" } else { &*names };
            writeln!(imports, "(alias export $i{number} \"{name}\" (type ${prefix}{name}))").unwrap();
        }
        for (name, ty) in &interface.aliases {
            writeln!(imports, "(type ${names}{name} {})", ty.text("", &names)).unwrap();
        }
        for function in &interface.functions {
            let f = count;
            count += 1;
            let asynchronous = if function.is_async { "async" } else { "" };
            writeln!(
                lowered,
                "(core func $l{f} (canon lower (func $i{number} \"{}\") (memory $memory) (realloc $realloc)))",
                function.name
            )
            .unwrap();
            writeln!(instance, "(export \"{f}\" (func $l{f}))").unwrap();
            let flat: Vec<&str> = function.params.iter().flat_map(Type::flat).collect();
            let spilled = flat.len() > 16;
            let flat = if spilled { vec!["i32"] } else { flat };
            let result = function.result.as_ref().map(Type::flat).unwrap_or_default();
            let by_pointer = result.len() > 1;
            let params = flat.join(" ");
            let core_result = match (by_pointer, result.first()) {
                (true, _) => "(result i32)".to_owned(),
                (false, Some(core)) => format!("(result {core})"),
                (false, None) => String::new(),
            };
            let pointer = if by_pointer { " i32" } else { "" };
            let import_result = if by_pointer { "" } else { &core_result };
            writeln!(core_imports, "(import \"\" \"{f}\" (func $l{f} (param {params}{pointer}) {import_result}))")
                .unwrap();
            let gets: String = (0..flat.len()).map(|index| format!("(local.get {index})")).collect();
            let (pointer, give) = if by_pointer { ("(i32.const 16)", "(i32.const 16)") } else { ("", "") };
            let mut drops = String::new();
            let mut position = 0;
            for ty in &function.params {
                match ty {
                    Type::Borrow(name) => {
                        dropped.push(name.clone());
                        write!(drops, "(call $drop-{name} (local.get {position}))").unwrap();
                    }
                    Type::List(element) if matches!(**element, Type::Borrow(_)) => {
                        let Type::Borrow(name) = &**element else { unreachable!() };
                        dropped.push(name.clone());
                        write!(
                                drops,
                                "(block $done (loop $next (br_if $done (i32.eqz (local.get {len})))
                                (local.set {len} (i32.sub (local.get {len}) (i32.const 1)))
                                (call $drop-{name} (i32.load (i32.add (local.get {position}) (i32.shl (local.get {len}) (i32.const 2)))))
                                (br $next)))",
                                len = position + 1
                            )
                            .unwrap();
                    }
                    _ => {}
                }
                position += ty.flat().len();
            }
            writeln!(
                core_funcs,
                "(func (export \"{f}\") (param {params}) {core_result} (call $l{f} {gets}{pointer}){give}{drops})"
            )
            .unwrap();
            let params: String = function
                .params
                .iter()
                .enumerate()
                .map(|(index, ty)| format!("(param \"p{index}\" {})", ty.text("", &names)))
                .collect();
            let result =
                function.result.as_ref().map(|ty| format!("(result {})", ty.text("", &names))).unwrap_or_default();
            writeln!(
                lifted,
                "(func (export \"f{f}\") {asynchronous} {params} {result}
                        (canon lift (core func $pass \"{f}\") (memory $memory) (realloc $realloc)))"
            )
            .unwrap();
        }
    }
    dropped.sort();
    dropped.dedup();
    for name in dropped {
        writeln!(lowered, "(core func $drop-{name} (canon resource.drop ${name}))").unwrap();
        writeln!(instance, "(export \"drop-{name}\" (func $drop-{name}))").unwrap();
        writeln!(core_imports, "(import \"\" \"drop-{name}\" (func $drop-{name} (param i32)))").unwrap();
    }
    format!(
        r#"(component
            {imports}
            (core module $libc
                (memory (export "memory") 1)
                (global $next (mut i32) (i32.const 4096))
                (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and
                        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                        (i32.sub (i32.const 0) (local.get $align))))
                    (global.set $next (i32.add (local.get $at) (local.get $size)))
                    (block $fits (loop $more
                        (br_if $fits (i32.le_u (global.get $next) (i32.shl (memory.size) (i32.const 16))))
                        (if (i32.eq (memory.grow (i32.const 64)) (i32.const -1)) (then unreachable))
                        (br $more)))
                    (local.get $at)))
            (core instance $libc (instantiate $libc))
            (alias core export $libc "memory" (core memory $memory))
            (alias core export $libc "realloc" (core func $realloc))
            {lowered}
            (core module $pass
                {core_imports}
                (import "libc" "memory" (memory 1))
                {core_funcs})
            (core instance $pass (instantiate $pass
                (with "" (instance {instance}))
                (with "libc" (instance $libc))))
            {lifted})"#
    )
}
