//! A component whose guests pass handles on: `d` defines a resource type `r`, `a` makes resources of it and gives them to `b`, and each drops what
//! it has by its number.
//!
//! The destructor of `r` tells the host of each resource, which drops another one for those that have [`CALLS_BACK`]. It traps for those that
//! have [`TRAPS`], and drops another one of the resources, which
//! `d` itself has, for those that have [`DROPS`].

use crate::copies::Kind;
use crate::guest::{GIVEN, Signature, given, memory_module, names, note};
use crate::types::Ty;

/// What a resource's representation has whose destructor traps.
pub const TRAPS: u32 = 1 << 30;
/// What one has for which the host, when it is told, drops another one.
pub const CALLS_BACK: u32 = 1 << 28;
/// What one has whose destructor drops the handle of the number that its lower half is.
pub const DROPS: u32 = 1 << 29;
/// Where a test writes the messages of error contexts, and where it reads the address and length of one.
pub const MESSAGE: u64 = 0xfe00;
pub const TOLD: u64 = 0xfe80;

const DEFINER: &str = r#"(component $d
    (import "note" (func $note (param "rep" u32)))
    (core module $shim
        (table (export "t") 1 funcref)
        (func (export "dtor") (param i32) (call_indirect (param i32) (local.get 0) (i32.const 0))))
    (core instance $shim (instantiate $shim))
    (alias core export $shim "dtor" (core func $dtor))
    (alias core export $shim "t" (core table $t))
    (type $r (resource (rep i32) (dtor (func $dtor))))
    (core func $new (canon resource.new $r))
    (core func $drop (canon resource.drop $r))
    (core func $note (canon lower (func $note)))
    (core module $main
        (import "" "t" (table 1 funcref))
        (import "" "new" (func $new (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (import "" "note" (func $note (param i32)))
        (func $dtor (param $rep i32)
            (call $note (local.get $rep))
            (if (i32.and (local.get $rep) (i32.const TRAPS)) (then unreachable))
            (if (i32.and (local.get $rep) (i32.const DROPS)) (then
                (call $drop (i32.and (local.get $rep) (i32.const 0xffff))))))
        (elem (i32.const 0) func $dtor)
        (func (export "make") (param i32) (result i32) (call $new (local.get 0))))
    (core instance $main (instantiate $main (with "" (instance
        (export "t" (table $t)) (export "new" (func $new)) (export "drop" (func $drop)) (export "note" (func $note))))))
    (export $r' "r" (type $r))
    (func (export "make") (param "rep" u32) (result (own $r')) (canon lift (core func $main "make")))
    (func (export "keep") (param "rep" u32) (result u32) (canon lift (core func $main "make"))))"#;

/// The component, whose function takes a value of one type, and whose stream or future, if there is one, has elements of another.
pub fn text(called: &Ty, sent: Option<(Kind, &Ty)>, has_errors: bool) -> String {
    let mut types = Vec::new();
    let param = called.text(&mut types);
    let element = sent.map(|(_, ty)| ty.text(&mut types));
    let root: String = types
        .iter()
        .enumerate()
        .map(|(index, ty)| format!("(type $d{index} {ty}) (export $t{index} \"t{index}\" (type $d{index}))\n"))
        .collect();
    let imported = types.iter().enumerate();
    let imported: String = imported
        .map(|(index, ty)| format!("(type $d{index} {ty}) (import \"t{index}\" (type $t{index} (eq $d{index})))\n"))
        .collect();
    let with: String = (0..types.len()).map(|index| format!("(with \"t{index}\" (type $t{index})) ")).collect();
    let signature = Signature { params: vec![called.clone()], result: None, lifts_async: false, lowers_async: false };

    // What of it is there: a core function, as the module imports it, and the exports that use it.
    let mut builtins = vec![("drop", "resource.drop $r".to_owned(), "(param i32)")];
    let mut exports = vec![("drop", "(param i32)", "(call $drop (local.get 0))", r#"(param "x" u32)"#)];
    if has_errors {
        builtins.push(("error-new", "error-context.new (memory $m)".into(), "(param i32 i32) (result i32)"));
        let message = "error-context.debug-message (memory $m) (realloc $realloc)";
        builtins.push(("error-message", message.into(), "(param i32 i32)"));
        builtins.push(("error-drop", "error-context.drop".into(), "(param i32)"));
        exports.extend([
            (
                "error-new",
                "(param i32 i32) (result i32)",
                "(call $error-new (local.get 0) (local.get 1))",
                r#"(param "at" u32) (param "len" u32) (result u32)"#,
            ),
            ("error-drop", "(param i32)", "(call $error-drop (local.get 0))", r#"(param "x" u32)"#),
            (
                "error-message",
                "(param i32 i32)",
                "(call $error-message (local.get 0) (local.get 1))",
                r#"(param "x" u32) (param "at" u32)"#,
            ),
        ]);
    }
    let guest = |name: &str| {
        let mut builtins = builtins.clone();
        let mut exports = exports.clone();
        let mut of_sent = String::new();
        if let (Some((kind, _)), Some(element)) = (sent, &element) {
            let (side, copy) = if name == "a" { ("writable", "write") } else { ("readable", "read") };
            let (kind, buffer, copies) = match kind {
                Kind::Stream => (
                    "stream",
                    "(param i32 i32 i32) (result i32)",
                    "(call $copy (global.get $end) (local.get 0) (local.get 1))",
                ),
                Kind::Future => {
                    ("future", "(param i32 i32) (result i32)", "(call $copy (global.get $end) (local.get 0))")
                }
            };
            of_sent = format!("(type $s ({kind} {element}))");
            builtins.push(("new", format!("{kind}.new $s"), "(result i64)"));
            builtins.push(("copy", format!("{kind}.{copy} $s async (memory $m) (realloc $realloc)"), buffer));
            builtins.push(("cancel", format!("{kind}.cancel-{copy} $s async"), "(param i32) (result i32)"));
            builtins.push(("let-go", format!("{kind}.drop-{side} $s"), "(param i32)"));
            exports.extend([
                (
                    "copy",
                    "(param i32 i32) (result i32)",
                    copies,
                    r#"(param "at" u32) (param "count" u32) (result s32)"#,
                ),
                ("cancel", "(result i32)", "(call $cancel (global.get $end))", "(result s32)"),
                ("let-go", "", "(call $let-go (global.get $end))", ""),
            ]);
        }
        let canons: String =
            builtins.iter().map(|(name, canon, _)| format!("(core func ${name} (canon {canon}))\n")).collect();
        let imports: String =
            builtins.iter().map(|(name, _, ty)| format!("(import \"\" \"{name}\" (func ${name} {ty}))\n")).collect();
        let passed: String = builtins.iter().map(|(name, ..)| format!("(export \"{name}\" (func ${name})) ")).collect();
        let funcs: String =
            exports.iter().map(|(name, ty, body, _)| format!("(func (export \"{name}\") {ty} {body})\n")).collect();
        let lifted: String = exports
            .iter()
            .map(|(name, .., ty)| {
                format!("(func (export \"{name}\") {ty} (canon lift (core func $main \"{name}\")))\n")
            })
            .collect();
        let begin_type = if sent.is_some() { r#"(param "s" $s)"# } else { "" };
        let (before, more_imports, more_funcs, more_passed, after) = if name == "a" {
            let (params, _) = signature.lowered();
            let args: String = params.iter().enumerate().map(|(index, flat)| given(index, flat)).collect();
            let start = if sent.is_some() {
                r#"(func $open (export "open") (result i32) (local $pair i64)
                    (local.set $pair (call $new))
                    (global.set $end (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
                    (i32.wrap_i64 (local.get $pair)))
                    (func (export "start") (call $begin (call $open)))"#
            } else {
                r#"(func (export "start") (call $begin))"#
            };
            (
                format!(
                    r#"(import "make" (func $make (param "rep" u32) (result (own $r))))
                    (import "f" (func $f (param "x" {param})))
                    (import "begin" (func $begin {begin_type}))
                    (core func $make (canon lower (func $make)))
                    (core func $f (canon lower (func $f) (memory $m) (realloc $realloc)))
                    (core func $begin (canon lower (func $begin)))"#
                ),
                format!(
                    r#"(import "" "make" (func $make (param i32) (result i32)))
                    (import "" "f" (func $f (param{})))
                    (import "" "begin" (func $begin {}))"#,
                    names(&params),
                    if sent.is_some() { "(param i32)" } else { "" }
                ),
                format!(
                    r#"(func (export "make") (param i32) (result i32) (call $make (local.get 0)))
                    (func (export "hand") (param i32) (result i32) (local.get 0))
                    (func (export "run") (call $f {args}))
                    {start}"#
                ),
                r#"(export "make" (func $make)) (export "f" (func $f)) (export "begin" (func $begin))"#.to_owned(),
                format!(
                    r#"(func (export "make") (param "rep" u32) (result u32) (canon lift (core func $main "make")))
                    (func (export "hand") (param "x" u32) (result (own $r)) (canon lift (core func $main "hand")))
                    (func (export "run") (canon lift (core func $main "run")))
                    (func (export "start") (canon lift (core func $main "start")))
                    {}"#,
                    if sent.is_some() {
                        r#"(func (export "open") (result $s) (canon lift (core func $main "open")))"#
                    } else {
                        ""
                    }
                ),
            )
        } else {
            let (params, _) = signature.lifted();
            let noted = params.iter().enumerate();
            let noted: String = noted.map(|(index, flat)| note(index, flat, &format!("(local.get {index})"))).collect();
            let begin = if sent.is_some() {
                r#"(func (export "begin") (param i32) (global.set $end (local.get 0)))"#
            } else {
                r#"(func (export "begin"))"#
            };
            (
                String::new(),
                String::new(),
                // Drops what it was lent, as it was told, so many of them.
                format!(
                    r#"(func (export "f") (param{}) (local $next i32) (local $left i32)
                        {noted}
                        (local.set $next (i32.const {GIVEN}))
                        (local.set $left (i32.load (local.get $next)))
                        (block $done (loop $more
                            (br_if $done (i32.eqz (local.get $left)))
                            (local.set $next (i32.add (local.get $next) (i32.const 8)))
                            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                            (call $drop (i32.load (local.get $next)))
                            (br $more))))
                    {begin}"#,
                    names(&params)
                ),
                String::new(),
                format!(
                    r#"(func (export "f") (param "x" {param}) (canon lift (core func $main "f") (memory $m) (realloc $realloc)))
                    (func (export "begin") {begin_type} (canon lift (core func $main "begin")))"#
                ),
            )
        };
        let shown: Vec<&str> =
            ["mode", "write", "read"].into_iter().chain(exports.iter().map(|export| export.0)).collect();
        let shown = shown.into_iter().chain(if name == "a" { vec!["make", "run", "start"] } else { Vec::new() });
        let shown: String = shown.map(|export| format!("(export \"{export}\" (func ${name} \"{export}\")) ")).collect();
        let more_with = if name == "a" {
            r#"(with "make" (func $d "make")) (with "f" (func $b "f")) (with "begin" (func $b "begin"))"#
        } else {
            ""
        };
        format!(
            r#"(component ${name}
                (import "r" (type $r (sub resource)))
                {imported}
                {memory}
                {of_sent}
                {canons}
                {before}
                (core module $main
                    (import "" "memory" (memory 4))
                    {imports} {more_imports}
                    (global $end (mut i32) (i32.const 0))
                    {funcs} {more_funcs})
                (core instance $main (instantiate $main (with "" (instance
                    (export "memory" (memory $m)) {passed} {more_passed}))))
                {lifted} {after})
            (instance ${name} (instantiate ${name} (with "r" (type $r)) {with} {more_with}))
            (instance ${name}x {shown})
            (export "{name}" (instance ${name}x))
            "#,
            memory = memory_module(),
        )
    };
    let definer = DEFINER.replace("TRAPS", &TRAPS.to_string()).replace("DROPS", &DROPS.to_string());
    format!(
        r#"(component
        (import "note" (func $note (param "rep" u32)))
        {definer}
        (instance $d (instantiate $d (with "note" (func $note))))
        (alias export $d "r" (type $r0))
        (export $r "r" (type $r0))
        {root}
        {b}
        {a}
        (instance $dx (export "keep" (func $d "keep")))
        (export "d" (instance $dx))
        (export "hand" (func $a "hand"))
        (export "f" (func $b "f"))
        (export "begin" (func $b "begin"))
        {open})"#,
        open = if sent.is_some() { r#"(export "open" (func $a "open"))"# } else { "" },
        b = guest("b"),
        a = guest("a"),
    )
}
