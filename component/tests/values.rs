//! Values of all types, through a guest and back.

use ampoule::{Config, Engine, Features, Store};
use ampoule_component::{Component, Func, Instance, Linker, Val, ValRef};

/// A component with these definitions, whose function `echo` takes a list and answers it, as it lies in memory.
fn echo_of_lists(definitions: &str, element: &str, encoding: &str) -> String {
    format!(
        r#"(component
            {definitions}
            (core module $m
                (memory (export "memory") 16)
                (global $next (mut i32) (i32.const 64))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and
                        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                        (i32.sub (i32.const 0) (local.get 2))))
                    (global.set $next (i32.add (local.get $at) (local.get 3)))
                    (local.get $at))
                (func (export "echo") (param i32 i32) (result i32)
                    (i32.store (i32.const 0) (local.get 0))
                    (i32.store (i32.const 4) (local.get 1))
                    (i32.const 0))
                (func (export "clear") (param i32) (global.set $next (i32.const 64))))
            (core instance $i (instantiate $m))
            (func (export "echo") (param "x" {element}) (result {element})
                (canon lift (core func $i "echo") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))
                    (post-return (core func $i "clear")) string-encoding={encoding})))"#
    )
}

fn instantiate(text: &str) -> (Box<Store>, Instance) {
    let features = Features { component_model_fixed_length_lists: true, ..Features::default() };
    let engine = Engine::new(&Config { features, ..Config::default() }).unwrap();
    let component = Component::new(&engine, text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut store = Store::new(&engine);
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    (store, instance)
}

fn func(store: &mut Store, instance: &Instance, name: &str) -> Func {
    instance.get_func(store, &[name]).unwrap().expect("the component exports it")
}

fn call(store: &mut Store, func: &Func, arg: Val) -> Result<Val, ampoule::Error> {
    let mut results = [Val::default()];
    func.call(store, &[arg], &mut results)?;
    let [result] = results;
    Ok(result)
}

#[test]
fn lists_of_fixed_length_come_back() {
    let lists = |vals: &[u16]| Val::list(vals.iter().copied().map(Val::from).collect::<Vec<_>>());
    let of_strings = |texts: [&str; 2]| Val::list(texts.map(Val::from).to_vec());
    let (mut store, instance) = instantiate(&echo_of_lists("", "(list (list u16 3))", "utf8"));
    let echo = func(&mut store, &instance, "echo");
    let given = Val::list(vec![lists(&[1, 2, 3]), lists(&[4, 5, 0xffff])]);
    assert_eq!(call(&mut store, &echo, given.clone()).unwrap(), given);
    let error = call(&mut store, &echo, Val::list(vec![lists(&[1, 2])])).unwrap_err();
    assert_eq!(error.to_string(), "expected 3 elements, got 2");
    let error = call(&mut store, &echo, Val::list(vec![Val::from(1u32)])).unwrap_err();
    assert_eq!(error.to_string(), "type mismatch: expected list, found u32");
    let (mut store, instance) = instantiate(&echo_of_lists("", "(list (list string 2))", "utf16"));
    let echo = func(&mut store, &instance, "echo");
    let given = Val::list(vec![of_strings(["a", ""]), of_strings(["ä", "longer"])]);
    assert_eq!(call(&mut store, &echo, given.clone()).unwrap(), given);
}

/// One passes its arguments one by one, the other gets them so, between two components and from the host.
#[test]
fn lists_of_fixed_length_are_passed_as_their_elements() {
    let (mut store, instance) = instantiate(
        r#"(component
        (component $callee
            (core module $m (func (export "f") (param i32 i64 f32 f32) (result i64)
                (i64.add (i64.add (i64.extend_i32_u (local.get 0)) (local.get 1))
                    (i64.trunc_f32_s (f32.sub (local.get 2) (local.get 3))))))
            (core instance $i (instantiate $m))
            (func (export "f") (param "a" (tuple u8 u64)) (param "b" (list f32 2)) (result (list u64 1))
                (canon lift (core func $i "f"))))
        (component $caller
            (import "f" (func $f (param "a" (tuple u8 u64)) (param "b" (list f32 2)) (result (list u64 1))))
            (core func $lowered (canon lower (func $f)))
            (core module $m
                (import "" "f" (func $f (param i32 i64 f32 f32) (result i64)))
                (func (export "f") (param i32 i64 f32 f32) (result i64)
                    (call $f (local.get 0) (local.get 1) (local.get 2) (local.get 3))))
            (core instance $i (instantiate $m (with "" (instance (export "f" (func $lowered))))))
            (func (export "f") (param "a" (tuple u8 u64)) (param "b" (list f32 2)) (result (list u64 1))
                (canon lift (core func $i "f"))))
        (instance $callee (instantiate $callee))
        (instance $caller (instantiate $caller (with "f" (func $callee "f"))))
        (export "f" (func $caller "f")))"#,
    );
    let f = func(&mut store, &instance, "f");
    let args =
        [Val::tuple(vec![Val::from(3u8), Val::from(40u64)]), Val::list(vec![Val::from(250.5f32), Val::from(50.5f32)])];
    let mut results = [Val::default()];
    f.call(&mut store, &args, &mut results).unwrap();
    assert_eq!(results[0], Val::list(vec![Val::from(243u64)]));
}

#[test]
fn strings_come_back_in_every_encoding() {
    for encoding in ["utf8", "utf16", "latin1+utf16"] {
        let (mut store, instance) = instantiate(&echo_of_lists("", "string", encoding));
        let echo = func(&mut store, &instance, "echo");
        for text in ["", "a", "é", "日本語", "𝄞 and more", &"x".repeat(70_000)] {
            assert_eq!(call(&mut store, &echo, Val::from(text)).unwrap(), Val::from(text), "{encoding}");
        }
    }
}

/// Types and values by chance, reproducible by their seed.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// A type: its text, and how to make values of it.
enum Type {
    Scalar(&'static str),
    String,
    List(Box<Type>),
    Option(Box<Type>),
    Result(Option<Box<Type>>, Option<Box<Type>>),
    Tuple(Vec<Type>),
    Record(Vec<Type>),
    Variant(Vec<Option<Type>>),
    Enum(u64),
    Flags(u64),
}

const SCALARS: [&str; 12] = ["bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char"];

/// Types with names of their own, too, where `named`.
fn random_type(random: &mut Random, depth: u32, named: bool) -> Type {
    let more = |random: &mut Random| Box::new(random_type(random, depth - 1, named));
    let maybe = |random: &mut Random| (random.next(2) == 0).then(|| Box::new(random_type(random, depth - 1, named)));
    match if depth == 0 { random.next(2) } else { random.next(if named { 11 } else { 7 }) } {
        0 => Type::Scalar(SCALARS[random.next(12) as usize]),
        1 => Type::String,
        2 | 3 => Type::List(more(random)),
        4 => Type::Option(more(random)),
        5 => Type::Result(maybe(random), maybe(random)),
        6 => Type::Tuple((0..=random.next(4)).map(|_| random_type(random, depth - 1, named)).collect()),
        7 | 8 => Type::Record((0..=random.next(5)).map(|_| random_type(random, depth - 1, named)).collect()),
        9 => Type::Variant((0..=random.next(5)).map(|_| maybe(random).map(|ty| *ty)).collect()),
        _ if random.next(2) == 0 => Type::Enum(1 + random.next(300)),
        _ => Type::Flags(1 + random.next(32)),
    }
}

/// The type's name in text; types that need one are added to the definitions.
fn text(ty: &Type, definitions: &mut String, count: &mut u32) -> String {
    let mut named = |definition: String, definitions: &mut String| {
        *count += 1;
        let n = *count;
        definitions.push_str(&format!("(type $d{n} ({definition})) (export $t{n} \"t{n}\" (type $d{n}))\n"));
        format!("$t{n}")
    };
    match ty {
        Type::Scalar(name) => name.to_string(),
        Type::String => "string".to_string(),
        Type::List(ty) => format!("(list {})", text(ty, definitions, count)),
        Type::Option(ty) => format!("(option {})", text(ty, definitions, count)),
        Type::Result(ok, err) => {
            let ok = ok.as_ref().map(|ty| text(ty, definitions, count)).unwrap_or_default();
            let err = err.as_ref().map(|ty| format!("(error {})", text(ty, definitions, count))).unwrap_or_default();
            format!("(result {ok} {err})")
        }
        Type::Tuple(types) => {
            let types: Vec<String> = types.iter().map(|ty| text(ty, definitions, count)).collect();
            format!("(tuple {})", types.join(" "))
        }
        Type::Record(types) => {
            let types: Vec<String> = types.iter().map(|ty| text(ty, definitions, count)).collect();
            let field = |(index, ty)| format!("(field \"f{index}\" {ty})");
            let fields: Vec<String> = types.iter().enumerate().map(field).collect();
            *count += 1;
            let n = *count;
            let fields = fields.join(" ");
            definitions.push_str(&format!("(type $d{n} (record {fields})) (export $t{n} \"t{n}\" (type $d{n}))\n"));
            format!("$t{n}")
        }
        Type::Variant(cases) => {
            let payloads: Vec<String> =
                cases.iter().map(|ty| ty.as_ref().map(|ty| text(ty, definitions, count)).unwrap_or_default()).collect();
            let case = |(index, ty): (usize, &String)| format!("(case \"c{index}\" {ty})");
            let cases: Vec<String> = payloads.iter().enumerate().map(case).collect();
            *count += 1;
            let n = *count;
            let cases = cases.join(" ");
            definitions.push_str(&format!("(type $d{n} (variant {cases})) (export $t{n} \"t{n}\" (type $d{n}))\n"));
            format!("$t{n}")
        }
        Type::Enum(cases) => {
            let names: Vec<String> = (0..*cases).map(|index| format!("\"c{index}\"")).collect();
            named(format!("enum {}", names.join(" ")), definitions)
        }
        Type::Flags(flags) => {
            let names: Vec<String> = (0..*flags).map(|index| format!("\"b{index}\"")).collect();
            named(format!("flags {}", names.join(" ")), definitions)
        }
    }
}

fn random_val(random: &mut Random, ty: &Type) -> Val {
    let bits = random.next(1 << 31) << 33 | random.next(1 << 31) << 2 | random.next(4);
    match ty {
        Type::Scalar("bool") => Val::from(bits & 1 != 0),
        Type::Scalar("s8") => Val::from(bits as i8),
        Type::Scalar("u8") => Val::from(bits as u8),
        Type::Scalar("s16") => Val::from(bits as i16),
        Type::Scalar("u16") => Val::from(bits as u16),
        Type::Scalar("s32") => Val::from(bits as i32),
        Type::Scalar("u32") => Val::from(bits as u32),
        Type::Scalar("s64") => Val::from(bits as i64),
        Type::Scalar("u64") => Val::from(bits),
        Type::Scalar("f32") => Val::from(bits as i32 as f32),
        Type::Scalar("f64") => Val::from(bits as i64 as f64),
        Type::Scalar(_) => Val::from(char::from_u32(bits as u32 % 0xd800).unwrap()),
        Type::String => {
            Val::from((0..random.next(20)).map(|_| ['a', 'é', '日', '𝄞'][random.next(4) as usize]).collect::<String>())
        }
        Type::List(ty) => Val::list((0..random.next(6)).map(|_| random_val(random, ty)).collect::<Vec<_>>()),
        Type::Option(ty) => Val::option((bits & 1 != 0).then(|| random_val(random, ty))),
        Type::Result(ok, err) => {
            let (is_ok, ty) = if bits & 1 != 0 { (true, ok) } else { (false, err) };
            let payload = ty.as_ref().map(|ty| random_val(random, ty));
            Val::result(if is_ok { Ok(payload) } else { Err(payload) })
        }
        Type::Tuple(types) => Val::tuple(types.iter().map(|ty| random_val(random, ty)).collect::<Vec<_>>()),
        Type::Record(types) => {
            let fields = types.iter().enumerate();
            Val::record(fields.map(|(index, ty)| (format!("f{index}"), random_val(random, ty))).collect::<Vec<_>>())
        }
        Type::Variant(cases) => {
            let index = random.next(cases.len() as u64) as usize;
            Val::variant(format!("c{index}"), cases[index].as_ref().map(|ty| random_val(random, ty)))
        }
        Type::Enum(cases) => Val::enumeration(format!("c{}", random.next(*cases))),
        Type::Flags(flags) => {
            let set = (0..*flags).filter(|index| bits >> index & 1 != 0);
            Val::flags(set.map(|index| format!("b{index}")))
        }
    }
}

/// A component that passes on to another what it is given; the other echoes lists.
fn passing_on(ty: &str, [outer, inner]: [&str; 2]) -> String {
    let inner = echo_of_lists("", ty, inner).replacen("(component", "(component $Inner", 1);
    format!(
        r#"(component
            {inner}
            (instance $inner (instantiate $Inner))
            (component $Outer
            (import "echo" (func $inner (param "x" {ty}) (result {ty})))
            (core module $memory
                (memory (export "memory") 16)
                (global $next (mut i32) (i32.const 64))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and
                        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                        (i32.sub (i32.const 0) (local.get 2))))
                    (global.set $next (i32.add (local.get $at) (local.get 3)))
                    (local.get $at)))
            (core instance $memory (instantiate $memory))
            (core func $echo (canon lower (func $inner) (memory (core memory $memory "memory"))
                (realloc (core func $memory "realloc")) string-encoding={outer}))
            (core module $m
                (import "inner" "echo" (func $echo (param i32 i32 i32)))
                (func (export "echo") (param i32 i32) (result i32)
                    (call $echo (local.get 0) (local.get 1) (i32.const 16))
                    (i32.const 16)))
            (core instance $m (instantiate $m (with "inner" (instance (export "echo" (func $echo))))))
            (func (export "echo") (param "x" {ty}) (result {ty})
                (canon lift (core func $m "echo") (memory (core memory $memory "memory"))
                    (realloc (core func $memory "realloc")) string-encoding={outer})))
            (instance $outer (instantiate $Outer (with "echo" (func $inner "echo"))))
            (export "echo" (func $outer "echo")))"#
    )
}

const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

#[test]
fn values_of_random_types_come_back() {
    for seed in 0..150 {
        let mut random = Random(seed);
        let ty = Type::List(Box::new(random_type(&mut random, 4, true)));
        let (mut definitions, mut count) = (String::new(), 0);
        let name = text(&ty, &mut definitions, &mut count);
        let component = echo_of_lists(&definitions, &name, ENCODINGS[random.next(3) as usize]);
        echoes(seed, &component, &ty, &mut random);
    }
}

#[test]
fn values_of_random_types_come_back_through_two_components() {
    for seed in 0..150 {
        let mut random = Random(seed);
        let ty = Type::List(Box::new(random_type(&mut random, 4, false)));
        let name = text(&ty, &mut String::new(), &mut 0);
        let encodings = [0; 2].map(|_| ENCODINGS[random.next(3) as usize]);
        echoes(seed, &passing_on(&name, encodings), &ty, &mut random);
    }
}

fn echoes(seed: u64, component: &str, ty: &Type, random: &mut Random) {
    let (mut store, instance) = instantiate(component);
    let echo = func(&mut store, &instance, "echo");
    for _ in 0..5 {
        let val = random_val(random, ty);
        let back = call(&mut store, &echo, val.clone());
        assert_eq!(back.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{component}")), val, "seed {seed}");
    }
}

/// A component that echoes what is one core value.
fn echo_of_scalars(definitions: &str, ty: &str, core: &str) -> String {
    format!(
        r#"(component
            {definitions}
            (core module $m (func (export "echo") (param {core}) (result {core}) (local.get 0)))
            (core instance $i (instantiate $m))
            (func (export "echo") (param "x" {ty}) (result {ty}) (canon lift (core func $i "echo"))))"#
    )
}

#[test]
fn scalars_come_back_and_others_are_refused() {
    for ty in SCALARS {
        let core = match ty {
            "s64" | "u64" => "i64",
            "f32" => "f32",
            "f64" => "f64",
            _ => "i32",
        };
        let (mut store, instance) = instantiate(&echo_of_scalars("", ty, core));
        let echo = func(&mut store, &instance, "echo");
        let mut random = Random(1);
        for _ in 0..50 {
            let val = random_val(&mut random, &Type::Scalar(ty));
            assert_eq!(call(&mut store, &echo, val.clone()).unwrap(), val);
        }
        let wrong = call(&mut store, &echo, Val::from("text")).unwrap_err();
        assert_eq!(wrong.to_string(), format!("type mismatch: expected {ty}, found string"));
        // Nothing has run, so nothing is lost.
        let val = random_val(&mut random, &Type::Scalar(ty));
        assert_eq!(call(&mut store, &echo, val.clone()).unwrap(), val);
    }
}

#[test]
fn what_does_not_fit_a_type_says_where() {
    let definitions = r#"(type $r' (record (field "p" u32) (field "q" string))) (export $r "r" (type $r'))
        (type $v' (variant (case "none") (case "some" u8))) (export $v "v" (type $v'))
        (type $f' (flags "a" "b")) (export $f "f" (type $f'))
        (type $e' (enum "x" "y")) (export $e "e" (type $e'))"#;
    let cases = [
        ("(list $r)", Val::record([("p", Val::from(1u32))]), "expected 2 fields, got 1"),
        ("(list $r)", Val::record([("q", Val::from(1u32)), ("p", Val::from("x"))]), "expected field `p`, got `q`"),
        ("(list $v)", Val::variant("else", None), "unknown variant case: `else`"),
        ("(list $v)", Val::variant("some", None), "expected a payload for case `some`"),
        ("(list $v)", Val::variant("none", Some(Val::from(1u8))), "did not expect a payload for case `none`"),
        ("(list $f)", Val::flags(["z"]), "unknown flag: `z`"),
        ("(list $e)", Val::enumeration("q"), "enum variant name `q` is not valid"),
        ("(list (tuple u8 u8))", Val::tuple(vec![Val::from(1u8)]), "expected 2 types, got 1"),
        ("(list (option u8))", Val::option(Some(Val::from(1i8))), "type mismatch: expected u8, found s8"),
    ];
    for (ty, element, says) in cases {
        let (mut store, instance) = instantiate(&echo_of_lists(definitions, ty, "utf8"));
        let echo = func(&mut store, &instance, "echo");
        let error = call(&mut store, &echo, Val::list(vec![element])).unwrap_err();
        assert_eq!(error.to_string(), says);
        assert_eq!(call(&mut store, &echo, Val::list(vec![])).unwrap(), Val::list(vec![]), "the store is usable");
    }
}

#[test]
fn flags_are_in_the_order_of_the_type_and_others_bits_are_dropped() {
    let definitions = r#"(type $f' (flags "a" "b" "c")) (export $f "f" (type $f'))"#;
    let (mut store, instance) = instantiate(&echo_of_scalars(definitions, "$f", "i32"));
    let echo = func(&mut store, &instance, "echo");
    assert_eq!(call(&mut store, &echo, Val::flags(["c", "a", "c"])).unwrap(), Val::flags(["a", "c"]));
    let all = echo_of_scalars(definitions, "$f", "i32").replace("(local.get 0)", "(i32.const -1)");
    let (mut store, instance) = instantiate(&all);
    let echo = func(&mut store, &instance, "echo");
    assert_eq!(call(&mut store, &echo, Val::flags(["a"])).unwrap(), Val::flags(["a", "b", "c"]));
}

#[test]
fn more_than_sixteen_parameters_go_through_memory() {
    let params: String = (0..20).map(|index| format!("(param \"p{index}\" u32) ")).collect();
    let text = format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 256))
                (func (export "sum") (param i32) (result i32)
                    (local $i i32) (local $sum i32)
                    (loop $next
                        (local.set $sum (i32.add (local.get $sum)
                            (i32.load (i32.add (local.get 0) (i32.shl (local.get $i) (i32.const 2))))))
                        (local.set $i (i32.add (local.get $i) (i32.const 1)))
                        (br_if $next (i32.lt_u (local.get $i) (i32.const 20))))
                    (local.get $sum)))
            (core instance $i (instantiate $m))
            (func (export "sum") {params} (result u32)
                (canon lift (core func $i "sum") (memory (core memory $i "memory"))
                    (realloc (core func $i "realloc")))))"#
    );
    let (mut store, instance) = instantiate(&text);
    let sum = func(&mut store, &instance, "sum");
    let args: Vec<Val> = (0..20u32).map(Val::from).collect();
    let mut results = [Val::default()];
    sum.call(&mut store, &args, &mut results).unwrap();
    assert_eq!(results[0], Val::from(190u32));
}

#[test]
fn a_guests_lists_on_top_of_each_other_do_not_exhaust_the_host() {
    // A list of lists that are all the same one: 2¹⁶ × 2¹⁶ elements in 1 MiB of memory.
    let text = r#"(component
        (core module $m
            (memory (export "memory") 16)
            (func (export "f") (result i32)
                (local $i i32)
                (loop $next
                    (i32.store (i32.add (i32.const 64) (i32.shl (local.get $i) (i32.const 3))) (i32.const 0))
                    (i32.store offset=4 (i32.add (i32.const 64) (i32.shl (local.get $i) (i32.const 3))) (i32.const 65536))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $next (i32.lt_u (local.get $i) (i32.const 65536))))
                (i32.store (i32.const 0) (i32.const 64))
                (i32.store (i32.const 4) (i32.const 65536))
                (i32.const 0)))
        (core instance $i (instantiate $m))
        (func (export "f") (result (list (list u8)))
            (canon lift (core func $i "f") (memory (core memory $i "memory")))))"#;
    let (mut store, instance) = instantiate(text);
    let f = func(&mut store, &instance, "f");
    let mut results = [Val::default()];
    let error = f.call(&mut store, &[], &mut results).unwrap_err();
    assert_eq!(error.to_string(), "the values of one call would take the host more than 256 MiB");
    assert!(matches!(results[0].get(), ValRef::Bool(false)), "results stay as they were");
}

#[test]
fn what_realloc_answers_is_not_believed() {
    for (answer, says) in [
        ("(i32.const 3)", "realloc return: result not aligned"),
        ("(i32.const 65536)", "realloc return: beyond end of memory"),
        ("(i32.const -8)", "realloc return: beyond end of memory"),
        ("(unreachable)", "wasm trap: wasm `unreachable` instruction executed"),
    ] {
        let text = echo_of_lists("", "(list u32)", "utf8");
        let start = text.find("(local $at i32)").unwrap();
        let end = text.find("(func (export \"echo\")").unwrap();
        let text = format!("{}{answer}) {}", &text[..start], &text[end..]).replace("\"memory\") 16", "\"memory\") 1");
        let (mut store, instance) = instantiate(&text);
        let echo = func(&mut store, &instance, "echo");
        let error = call(&mut store, &echo, Val::list(vec![Val::from(1u32)])).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        // Only a guest that was stopped was in the middle of something.
        let stopped = error.is_trap();
        let after = call(&mut store, &echo, Val::list(vec![]));
        assert_eq!(
            after.is_err_and(|error| error.to_string() == "wasm trap: cannot enter component instance"),
            stopped
        );
    }
}

/// Numbers are looked at several at a time: those at the ends of groups are as all others.
#[test]
fn lists_of_numbers_of_every_length_come_back_and_one_wrong_element_is_refused() {
    let (mut store, instance) = instantiate(&echo_of_lists("", "(list u8)", "utf8"));
    let echo = func(&mut store, &instance, "echo");
    for len in 0..35u8 {
        let given: Vec<Val> = (0..len).map(Val::from).collect();
        assert_eq!(call(&mut store, &echo, Val::list(given.clone())).unwrap(), Val::list(given.clone()));
        for wrong in 0..usize::from(len) {
            let mut given = given.clone();
            // What is dropped with the list, wherever it is.
            given[wrong] = Val::from("text");
            let error = call(&mut store, &echo, Val::list(given)).unwrap_err();
            assert_eq!(error.to_string(), "type mismatch: expected u8, found string", "{wrong} of {len}");
        }
    }
}

#[test]
fn ascii_and_other_texts_come_back_whatever_their_length() {
    let (mut store, instance) = instantiate(&echo_of_lists("", "string", "utf8"));
    let echo = func(&mut store, &instance, "echo");
    for len in 0..100 {
        let ascii = "a".repeat(len);
        assert_eq!(call(&mut store, &echo, Val::from(&*ascii)).unwrap(), Val::from(&*ascii));
        for at in 0..len {
            let text = format!("{}é{}", &ascii[..at], &ascii[at..]);
            assert_eq!(call(&mut store, &echo, Val::from(&*text)).unwrap(), Val::from(&*text));
            let mut bytes = ascii.clone().into_bytes();
            bytes[at] = 0xff;
            let expected = std::str::from_utf8(&bytes).unwrap_err().to_string();
            let error = call(&mut store, &echo, Val::bytes(bytes)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}

/// Functions of the host get their arguments, and functions of guests their core values, in less memory where they are few.
#[test]
fn functions_get_all_their_arguments_few_or_many() {
    for count in 0..=20u32 {
        let params: String = (0..count).map(|at| format!("(param \"p{at}\" u32)")).collect();
        let is_flat = count <= 16;
        let core_params = if is_flat { "i32 ".repeat(count as usize) } else { "i32".to_string() };
        let gets: String = (0..if is_flat { count } else { 1 }).map(|at| format!("(local.get {at})")).collect();
        let text = format!(
            r#"(component
                (import "sum" (func $sum {params} (result u64)))
                (core module $memory
                    (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
                (core instance $memory (instantiate $memory))
                (core func $sum (canon lower (func $sum) (memory (core memory $memory "memory"))))
                (core module $m
                    (import "" "sum" (func $sum (param {core_params}) (result i64)))
                    (func (export "sum") (param {core_params}) (result i64) (call $sum {gets})))
                (core instance $i (instantiate $m (with "" (instance (export "sum" (func $sum))))))
                (func (export "sum") {params} (result u64)
                    (canon lift (core func $i "sum") (memory (core memory $memory "memory"))
                        (realloc (core func $memory "realloc")))))"#
        );
        let engine = Engine::default();
        let component = Component::new(&engine, text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut linker = Linker::new(&engine);
        linker
            .root()
            .func("sum", |_, _, args, results| {
                let places = args.iter().enumerate().map(|(at, arg)| match arg.get() {
                    ValRef::U32(value) => u64::from(value) << at,
                    other => panic!("not a u32: {other:?}"),
                });
                results[0] = Val::from(places.sum::<u64>());
                Ok(())
            })
            .unwrap();
        let mut store = Store::new(&engine);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let sum = func(&mut store, &instance, "sum");
        let args: Vec<Val> = (0..count).map(|at| Val::from(at * at + 1)).collect();
        let mut results = [Val::default()];
        sum.call(&mut store, &args, &mut results).unwrap();
        let expected: u64 = (0..u64::from(count)).map(|at| (at * at + 1) << at).sum();
        assert_eq!(results[0], Val::from(expected), "{count} parameters");
    }
}
