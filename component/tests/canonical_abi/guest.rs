//! Components whose core functions do nothing but note the core values that they get, and answer those that they were told. A test has the
//! whole of their memories.
//!
//! Functions are asynchronous now and then: the callee is lifted, and the callers' import lowered so, each by chance.
//!
//! `b` exports `f`. `a` calls the `f` of `b`, `c` the host's `h`, each in its function `run`.

use crate::copies::Kind;
use crate::model::{Encoding, Flat, MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, flatten};
use crate::types::Ty;
use ampoule::{Error, Store};
use ampoule_component::Instance;

/// Where core values are noted that a guest gets.
const GOT: u32 = 0;
/// Where those are that it gives.
pub const GIVEN: u32 = 0x100;
/// The first address of what is written from outside.
pub const IMAGE: u64 = 0x1000;
/// The end of that.
pub const IMAGE_END: u64 = 0xf000;
/// Where `realloc` begins.
pub const HEAP: u32 = 0x1_0000;
/// How large the memory is.
pub const MEMORY: u64 = 0x4_0000;

/// What `realloc` does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Realloc {
    /// What it should.
    Proper,
    /// It answers an odd address.
    Unaligned,
    /// Of the end of the memory.
    Outside,
    /// Of the end of all addresses.
    FarOutside,
    Traps,
    /// It makes the memory larger, and gives of what was there.
    Grows,
    /// It always gives the same.
    Same,
}

/// The types of a function, and how it is called.
pub struct Signature {
    pub params: Vec<Ty>,
    pub result: Option<Ty>,
    /// Whether the callee returns by `task.return`.
    pub lifts_async: bool,
    /// Whether the callers don't wait for it.
    pub lowers_async: bool,
}

impl Signature {
    /// So many core values at most a caller gives, before they go through its memory.
    pub fn max_lowered_params(&self) -> usize {
        if self.lowers_async { MAX_FLAT_ASYNC_PARAMS } else { MAX_FLAT_PARAMS }
    }

    /// So many core values at most a callee answers, before they go through its memory.
    pub fn max_lifted_results(&self) -> usize {
        if self.lifts_async { MAX_FLAT_PARAMS } else { MAX_FLAT_RESULTS }
    }

    /// Whether the result is written to memory of the caller's, at an address that it gives.
    pub fn returns_in_memory(&self) -> bool {
        let count = self.result.iter().flat_map(flatten).count();
        count > if self.lowers_async { 0 } else { MAX_FLAT_RESULTS }
    }

    /// What a lifted core function gets, and gives.
    pub fn lifted(&self) -> (Vec<Flat>, Vec<Flat>) {
        let params: Vec<Flat> = self.params.iter().flat_map(flatten).collect();
        let results: Vec<Flat> = self.result.iter().flat_map(flatten).collect();
        let params = if params.len() > MAX_FLAT_PARAMS { vec![Flat::I32] } else { params };
        (params, if results.len() > self.max_lifted_results() { vec![Flat::I32] } else { results })
    }

    /// What a lowered function is given, and gives.
    pub fn lowered(&self) -> (Vec<Flat>, Vec<Flat>) {
        let mut params: Vec<Flat> = self.params.iter().flat_map(flatten).collect();
        if params.len() > self.max_lowered_params() {
            params = vec![Flat::I32];
        }
        let results = if self.returns_in_memory() {
            params.push(Flat::I32);
            Vec::new()
        } else {
            self.result.iter().flat_map(flatten).collect()
        };
        // What has become of the call.
        (params, if self.lowers_async { vec![Flat::I32] } else { results })
    }
}

fn name(flat: &Flat) -> &'static str {
    match flat {
        Flat::I32 => "i32",
        Flat::I64 => "i64",
        Flat::F32 => "f32",
        Flat::F64 => "f64",
    }
}

pub fn names(of: &[Flat]) -> String {
    of.iter().map(|flat| format!(" {}", name(flat))).collect()
}

/// Notes the value of this expression.
pub fn note(index: usize, flat: &Flat, value: &str) -> String {
    let at = GOT + index as u32 * 8;
    let value = match flat {
        Flat::I32 => format!("(i64.extend_i32_u {value})"),
        Flat::F32 => format!("(i64.extend_i32_u (i32.reinterpret_f32 {value}))"),
        Flat::F64 => format!("(i64.reinterpret_f64 {value})"),
        Flat::I64 => value.to_owned(),
    };
    format!("(i64.store (i32.const {at}) {value}) ")
}

/// The expression for what is to be given.
pub fn given(index: usize, flat: &Flat) -> String {
    format!("({}.load (i32.const {}))", name(flat), GIVEN + index as u32 * 8)
}

/// A core module with a memory, and the functions by which a test uses it.
pub fn memory_module() -> String {
    format!(
        r#"(core module $memory
            (memory (export "memory") 4)
            (global $next (mut i32) (i32.const {HEAP}))
            (global $mode (mut i32) (i32.const 0))
            (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
                (local $at i32)
                (if (i32.eq (global.get $mode) (i32.const 1)) (then (return (i32.const 0x20001))))
                (if (i32.eq (global.get $mode) (i32.const 2)) (then (return (i32.const {MEMORY}))))
                (if (i32.eq (global.get $mode) (i32.const 3)) (then (return (i32.const -8))))
                (if (i32.eq (global.get $mode) (i32.const 4)) (then (unreachable)))
                (if (i32.eq (global.get $mode) (i32.const 5)) (then (drop (memory.grow (i32.const 1)))))
                (if (i32.eq (global.get $mode) (i32.const 6)) (then (return (i32.const 0x20000))))
                (local.set $at (i32.and
                    (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                    (i32.sub (i32.const 0) (local.get $align))))
                (global.set $next (i32.add (local.get $at) (local.get $size)))
                (if (i32.gt_u (global.get $next) (i32.const {MEMORY})) (then (unreachable)))
                (memory.copy (local.get $at) (local.get $old)
                    (select (local.get $old-size) (local.get $size) (i32.lt_u (local.get $old-size) (local.get $size))))
                (local.get $at))
            (func (export "mode") (param i32) (global.set $mode (local.get 0)) (global.set $next (i32.const {HEAP})))
            (func (export "write") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
            (func (export "read") (param i32 i32) (result i32)
                (i32.store (i32.const 0xff00) (local.get 0))
                (i32.store (i32.const 0xff04) (local.get 1))
                (i32.const 0xff00)))
        (core instance $memory (instantiate $memory))
        (alias core export $memory "memory" (core memory $m))
        (alias core export $memory "realloc" (core func $realloc))
        (func (export "mode") (param "mode" u32) (canon lift (core func $memory "mode")))
        (func (export "write") (param "at" u32) (param "bytes" (list u8))
            (canon lift (core func $memory "write") (memory $m) (realloc $realloc)))
        (func (export "read") (param "at" u32) (param "len" u32) (result (list u8))
            (canon lift (core func $memory "read") (memory $m)))"#
    )
}

fn encoding(of: Encoding) -> &'static str {
    match of {
        Encoding::Utf8 => "string-encoding=utf8",
        Encoding::Utf16 => "string-encoding=utf16",
        Encoding::Latin1OrUtf16 => "string-encoding=latin1+utf16",
    }
}

/// The component, with the encodings of callers and callee.
pub fn text(signature: &Signature, callers: Encoding, callee: Encoding) -> String {
    let mut types = Vec::new();
    let params = signature.params.iter().enumerate();
    let params: String = params.map(|(index, ty)| format!("(param \"p{index}\" {}) ", ty.text(&mut types))).collect();
    let result = signature.result.as_ref().map(|ty| format!("(result {})", ty.text(&mut types))).unwrap_or_default();
    let is_async = if signature.lifts_async || signature.lowers_async { "async " } else { "" };
    let ty = format!("{is_async}{params}{result}");
    let defined = types.iter().enumerate();
    let defined: String = defined
        .map(|(index, ty)| format!("(type $d{index} {ty}) (import \"t{index}\" (type $t{index} (eq $d{index})))\n"))
        .collect();
    let with: String = (0..types.len()).map(|index| format!("(with \"t{index}\" (type $t{index})) ")).collect();
    let memory = memory_module();

    let (core_params, core_results) = signature.lifted();
    let noted = core_params.iter().enumerate();
    let noted: String = noted.map(|(index, flat)| note(index, flat, &format!("(local.get {index})"))).collect();
    let answer: String = core_results.iter().enumerate().map(|(index, flat)| given(index, flat)).collect();
    let (f, options, task_return) = if signature.lifts_async {
        let f = format!("(param{}) (result i32) {noted} (call $return {answer}) (i32.const 0)", names(&core_params));
        let callee = encoding(callee);
        let task_return = format!("(core func $return (canon task.return {result} (memory $m) {callee}))");
        (f, r#"async (callback (core func $main "callback"))"#, task_return)
    } else {
        let f = format!("(param{}) (result{}) {noted} {answer}", names(&core_params), names(&core_results));
        (f, "", "(core func $return (canon task.return))".to_owned())
    };
    let returned = if signature.lifts_async { names(&core_results) } else { String::new() };
    let lowered = if signature.lowers_async { "async" } else { "" };

    let (core_params, core_results) = signature.lowered();
    let args: String = core_params.iter().enumerate().map(|(index, flat)| given(index, flat)).collect();
    let call = format!("(call $f {args})");
    let run = if let [flat] = &core_results[..] { note(0, flat, &call) } else { call };
    let run_type = format!("(param{}) (result{})", names(&core_params), names(&core_results));
    format!(
        r#"(component
        {defined}
        (import "h" (func $h {ty}))
        (component $callee
            {defined} {memory}
            {task_return}
            (core module $main (import "" "memory" (memory 4)) (import "" "return" (func $return (param{returned})))
                (func (export "f") {f})
                (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
            (core instance $main (instantiate $main
                (with "" (instance (export "memory" (memory $m)) (export "return" (func $return))))))
            (func (export "f") {ty}
                (canon lift (core func $main "f") (memory $m) (realloc $realloc) {callee} {options})))
        (component $caller
            {defined}
            (import "f" (func $f {ty}))
            {memory}
            (core func $f (canon lower (func $f) (memory $m) (realloc $realloc) {callers} {lowered}))
            (core module $main
                (import "" "memory" (memory 4))
                (import "" "f" (func $f {run_type}))
                (func (export "run") {run}))
            (core instance $main (instantiate $main
                (with "" (instance (export "memory" (memory $m)) (export "f" (func $f))))))
            (func (export "run") {is_async} (canon lift (core func $main "run"))))
        (instance $b (instantiate $callee {with}))
        (instance $a (instantiate $caller {with} (with "f" (func $b "f"))))
        (instance $c (instantiate $caller {with} (with "f" (func $h))))
        (export "a" (instance $a))
        (export "b" (instance $b))
        (export "c" (instance $c)))"#,
        callers = encoding(callers),
        callee = encoding(callee),
    )
}

/// One of the guests, of an instance.
#[derive(Clone, Copy)]
pub struct Guest<'a> {
    pub instance: &'a Instance,
    pub name: &'a str,
}

impl Guest<'_> {
    pub fn func(&self, store: &mut Store, name: &str) -> ampoule_component::Func {
        self.instance.get_func(store, &[self.name, name]).unwrap().expect("the component exports it")
    }

    /// Writes an image, and what is to be given; and says what `realloc` does from now on.
    pub fn prepare(&self, store: &mut Store, image: &[u8], given: &[(Flat, u64)], realloc: Realloc) {
        self.set_mode(store, Realloc::Proper);
        let write = self.func(store, "write").typed::<(u32, Vec<u8>), ()>(store).unwrap();
        write.call(store, (IMAGE as u32, image.to_vec())).unwrap();
        let given: Vec<u8> = given.iter().flat_map(|(_, bits)| bits.to_le_bytes()).collect();
        write.call(store, (GIVEN, given)).unwrap();
        self.set_mode(store, realloc);
    }

    fn set_mode(&self, store: &mut Store, realloc: Realloc) {
        let mode = match realloc {
            Realloc::Proper => 0u32,
            Realloc::Unaligned => 1,
            Realloc::Outside => 2,
            Realloc::FarOutside => 3,
            Realloc::Traps => 4,
            Realloc::Grows => 5,
            Realloc::Same => 6,
        };
        self.func(store, "mode").typed::<(u32,), ()>(store).unwrap().call(store, (mode,)).unwrap();
    }

    /// The core values that it has got, of these types, and its memory.
    pub fn got(&self, store: &mut Store, types: &[Flat]) -> (Vec<(Flat, u64)>, Vec<u8>) {
        let read = self.func(store, "read").typed::<(u32, u32), (Vec<u8>,)>(store).unwrap();
        let (memory,) = read.call(store, (0, MEMORY as u32)).unwrap();
        let bits = |index: usize| {
            let at = GOT as usize + index * 8;
            u64::from_le_bytes(memory[at..at + 8].try_into().expect("eight"))
        };
        (types.iter().enumerate().map(|(index, flat)| (*flat, bits(index))).collect(), memory)
    }

    /// Runs it.
    pub fn run(&self, store: &mut Store) -> Result<(), Error> {
        self.func(store, "run").typed::<(), ()>(store)?.call(store, ())
    }
}

/// A component whose guests have the ends of streams or futures of this type: `w` writes, and `r` reads. Each copies as it is told (`copy`), says
/// what has come of a copy (`poll`; -2, if nothing has yet), cancels one (`cancel`), and drops its end (`drop`; `end`, where it has one).
pub fn ends_text(kind: Kind, ty: Option<&Ty>, [writer, reader]: [Encoding; 2], cancel: &str) -> String {
    let (kind, buffer, given) = match kind {
        Kind::Stream => ("stream", "(param i32 i32 i32)", "(local.get 0) (local.get 1)"),
        Kind::Future => ("future", "(param i32 i32)", "(local.get 0)"),
    };
    let mut types = Vec::new();
    let element = ty.map(|ty| ty.text(&mut types)).unwrap_or_default();
    let defined = types.iter().enumerate();
    let defined: String = defined
        .map(|(index, ty)| format!("(type $d{index} {ty}) (import \"t{index}\" (type $t{index} (eq $d{index})))\n"))
        .collect();
    let with: String = (0..types.len()).map(|index| format!("(with \"t{index}\" (type $t{index})) ")).collect();
    let guest = |name: &str, side: &str, copy: &str, options: &str, begin: &str, begin_type: &str| {
        format!(
            r#"(component ${name}
            {defined} {memory}
            (type $s ({kind} {element}))
            (core func $new (canon {kind}.new $s))
            (core func $copy (canon {kind}.{copy} $s async (memory $m) (realloc $realloc) {options}))
            (core func $cancel (canon {kind}.cancel-{copy} $s {cancel}))
            (core func $drop (canon {kind}.drop-{side} $s))
            (core func $set (canon waitable-set.new))
            (core func $join (canon waitable.join))
            (core func $poll (canon waitable-set.poll (memory $m)))
            (core module $main
                (import "" "memory" (memory 4))
                (import "" "new" (func $new (result i64)))
                (import "" "copy" (func $copy {buffer} (result i32)))
                (import "" "cancel" (func $cancel (param i32) (result i32)))
                (import "" "drop" (func $drop (param i32)))
                (import "" "set" (func $set (result i32)))
                (import "" "join" (func $join (param i32 i32)))
                (import "" "poll" (func $poll (param i32 i32) (result i32)))
                (global $end (mut i32) (i32.const 0))
                (global $waitables (mut i32) (i32.const 0))
                (func $have (param i32)
                    (global.set $end (local.get 0))
                    (if (i32.eqz (global.get $waitables)) (then (global.set $waitables (call $set))))
                    (call $join (global.get $end) (global.get $waitables)))
                {begin}
                (func (export "copy") (param i32 i32) (result i32)
                    (call $copy (global.get $end) {given}))
                (func (export "cancel") (result i32)
                    (call $join (global.get $end) (i32.const 0))
                    (call $cancel (global.get $end))
                    (call $join (global.get $end) (global.get $waitables)))
                (func (export "poll") (result i32)
                    (if (i32.eqz (call $poll (global.get $waitables) (i32.const {GOT}))) (then (return (i32.const -2))))
                    (i32.load offset=4 (i32.const {GOT})))
                (func $let-go (export "drop") (call $drop (global.get $end)) (global.set $end (i32.const 0)))
                (func (export "end") (if (global.get $end) (then (call $let-go)))))
            (core instance $main (instantiate $main (with "" (instance
                (export "memory" (memory $m)) (export "new" (func $new)) (export "copy" (func $copy))
                (export "cancel" (func $cancel))
                (export "drop" (func $drop)) (export "set" (func $set)) (export "join" (func $join))
                (export "poll" (func $poll))))))
            (func (export "begin") {begin_type} (canon lift (core func $main "begin")))
            (func (export "copy") (param "at" u32) (param "count" u32) (result s32) (canon lift (core func $main "copy")))
            (func (export "cancel") async (result s32) (canon lift (core func $main "cancel")))
            (func (export "drop") (canon lift (core func $main "drop")))
            (func (export "poll") (result s32) (canon lift (core func $main "poll")))
            (func (export "end") (canon lift (core func $main "end"))))
        (instance ${name} (instantiate ${name} {with}))
        (export "{name}" (instance ${name}))
        "#,
            memory = memory_module(),
        )
    };
    let begin_writer = r#"(func (export "begin") (result i32) (local $pair i64)
        (local.set $pair (call $new))
        (call $have (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
        (i32.wrap_i64 (local.get $pair)))"#;
    let begin_reader = r#"(func (export "begin") (param i32) (call $have (local.get 0)))"#;
    let w = guest("w", "writable", "write", encoding(writer), begin_writer, "(result $s)");
    let r = guest("r", "readable", "read", encoding(reader), begin_reader, r#"(param "s" $s)"#);
    format!("(component {defined} {w} {r})")
}
