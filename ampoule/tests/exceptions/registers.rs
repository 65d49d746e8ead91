//! What is alive across a call that throws is in the handler what it was: registers that callees keep are restored from their frames.

use super::{World, config, modes};
use ampoule::func::host::{HostFunc, NativeTakes};
use ampoule::{Caller, Engine, ExnRef, Extern, Func, Store, Tag, Val};
use ampoule_core::types::{FuncType, TagType, ValType};
use ampoule_core::vm::VmCaller;
use std::ffi::c_void;

/// So many values are alive in the function that catches: more than there are registers.
const ALIVE: i64 = 12;
/// Functions between it and the one that throws differ in how many are alive in them, and so in what they keep.
const KINDS: i64 = 8;

/// Value `number` of a function that got `seed`.
fn value(seed: i64, number: i64) -> i64 {
    seed.wrapping_mul(2 * number + 0x1001) ^ (number << 40)
}

/// Sets so many locals, each to its value.
fn set_values(count: i64) -> String {
    let set = |number: i64| {
        let (factor, bits) = (2 * number + 0x1001, number << 40);
        format!(
            "(local.set $v{number} (i64.xor (i64.mul (local.get $seed) (i64.const {factor})) (i64.const {bits})))\n"
        )
    };
    (0..count).map(set).collect()
}

fn locals(count: i64) -> String {
    (0..count).map(|number| format!("(local $v{number} i64)")).collect()
}

/// Adds the locals to what is on the stack, each rotated by its number.
fn add_values(count: i64) -> String {
    let add = |number: i64| format!("(i64.add (i64.rotl (local.get $v{number}) (i64.const {number})))\n");
    (0..count).map(add).collect()
}

/// `run(seed, frames)` catches what is thrown at the end of a chain of calls through `frames` functions, by `$last` with the parameters
/// `(i64)`. All of its values are needed behind the call, and in the handler. `wide` is a call with more parameters than there are registers.
fn module(last: &str, wide: bool) -> String {
    let more = if wide { "(param i64 i64 i64 i64 i64 i64)" } else { "" };
    let zeros = if wide { "(i64.const 0) ".repeat(6) } else { String::new() };
    let call = |seed: &str, frames: &str| {
        format!(
            "(call_indirect (type $link) {seed} {frames} {zeros} (i32.wrap_i64 (i64.rem_u {frames} (i64.const {KINDS}))))"
        )
    };
    let kinds: String = (0..KINDS)
        .map(|kind| {
            format!(
                "(func $kind{kind} (type $link) (param $seed i64) (param $frames i64) {more} (result i64) {}
                   (if (i64.eqz (local.get $frames)) (then (call $last (local.get $seed))))
                   {}
                   {}
                   {})",
                locals(kind),
                set_values(kind),
                call("(i64.add (local.get $seed) (i64.const 1))", "(i64.sub (local.get $frames) (i64.const 1))"),
                add_values(kind)
            )
        })
        .collect();
    let names: String = (0..KINDS).map(|kind| format!("$kind{kind} ")).collect();
    format!(
        "(module
           (type $link (func (param i64 i64) {more} (result i64)))
           (import \"\" \"t\" (tag $t (param i64)))
           (import \"\" \"host\" (func $host (param i64 i64 i64 i64 i64 i64 i64 i64)))
           (export \"t\" (tag $t))
           (table {KINDS} {KINDS} funcref)
           (elem (i32.const 0) {names})
           {last}
           {kinds}
           (func (export \"inner\") (param i64) (throw $t (local.get 0)))
           (func (export \"run\") (param $seed i64) (param $frames i64) (result i64) {}
             {}
             (block $caught (result i64)
               (try_table (catch $t $caught) {} {} (return))
               unreachable)
             {}))",
        locals(ALIVE),
        set_values(ALIVE),
        call("(local.get $seed)", "(local.get $frames)"),
        add_values(ALIVE),
        add_values(ALIVE)
    )
}

/// What `run` answers.
fn expected(seed: i64, frames: i64) -> i64 {
    let add = |sum: i64, number: i64| sum.wrapping_add(value(seed, number).rotate_left(number as u32));
    (0..ALIVE).fold(seed + frames, add)
}

fn check(world: &mut World, what: &str) {
    let run = world.instance.get_typed_func::<(i64, i64), i64>(&world.store, "run").unwrap();
    for frames in 0..20 {
        for seed in [3, -77] {
            let found = run.call(&mut world.store, (seed, frames)).unwrap();
            assert_eq!(found, expected(seed, frames), "{what}: {frames} frames");
        }
    }
}

/// Of the host's functions: some parameters are on the stack.
fn host_type() -> FuncType {
    FuncType::new([ValType::I64; 8], [])
}

fn host(store: &mut Store, f: fn(Caller<'_>, &[Val]) -> Result<(), ampoule::Error>) -> Func {
    Func::new(store, &host_type(), move |caller, args, _| f(caller, args)).unwrap()
}

fn throw(store: &mut Store, tag: Tag, field: &Val) -> ampoule::Error {
    let exn = ExnRef::new(store, tag, std::slice::from_ref(field)).unwrap();
    store.throw(exn).unwrap()
}

fn tag_of(caller: &mut Caller<'_>) -> Tag {
    let Some(Extern::Tag(tag)) = caller.export("t") else { panic!("it is exported") };
    tag
}

/// A plain C function that throws its first argument.
unsafe extern "C" fn raises(caller: *mut VmCaller, field: i64) {
    // SAFETY: the adapter's, for this call.
    let mut caller = unsafe { Caller::from_vm(caller) };
    let tag = tag_of(&mut caller);
    let error = throw(caller.store(), tag, &Val::I64(field));
    caller.store().raise(error).unwrap();
}

fn plain(store: &mut Store) -> Func {
    let takes = NativeTakes { env: false, caller: true };
    // SAFETY: the function is of this type, but for parameters that it doesn't look at, and may be called at any time.
    let host = unsafe {
        let callback = raises as *const c_void;
        HostFunc::native(store.engine(), &host_type(), callback, takes, std::ptr::null_mut(), Box::new(())).unwrap()
    };
    Func::from_host(store, &std::sync::Arc::new(host))
}

#[test]
fn what_is_alive_across_a_call_that_throws_is_the_same_in_the_handler() {
    let by_guest = "(func $last (param i64) (throw $t (local.get 0)))";
    let by_host = format!("(func $last (param i64) (call $host {}))", "(local.get 0)".repeat(8));
    type MakeHost = fn(&mut Store) -> Func;
    let answers: [(&str, &str, MakeHost); 4] = [
        ("a guest", by_guest, |store| host(store, |_, _| Ok(()))),
        ("a host function", &by_host, |store| {
            host(store, |mut caller, args| {
                let tag = tag_of(&mut caller);
                Err(throw(caller.store(), tag, &args[0]))
            })
        }),
        ("a guest called by a host function", &by_host, |store| {
            host(store, |mut caller, args| {
                let Some(Extern::Func(inner)) = caller.export("inner") else { panic!("it is exported") };
                inner.call(caller.store(), &args[..1], &mut [])
            })
        }),
        ("a plain C function", &by_host, plain),
    ];
    for (mode, config) in modes() {
        for (who, last, host) in answers {
            for wide in [false, true] {
                let mut world = World::with(&config, &module(last, wide), |store| {
                    let tag = Tag::new(store, &TagType { func: FuncType::new([ValType::I64], []) }).unwrap();
                    vec![Extern::Tag(tag), Extern::Func(host(store))]
                });
                check(&mut world, &format!("{mode}, thrown by {who}, wide: {wide}"));
            }
        }
    }
}

/// What an artifact says of the registers is what is restored.
#[test]
fn code_that_was_loaded_restores_registers_too() {
    let engine = Engine::new(&config()).unwrap();
    let wat = module("(func $last (param i64) (throw $t (local.get 0)))", false);
    let bytes = ampoule::Module::new(&engine, wat.as_bytes()).unwrap().serialize().unwrap();
    // SAFETY: they were just made.
    let loaded = unsafe { ampoule::Module::deserialize(&engine, &bytes).unwrap() };
    let mut world = World::of(&loaded, |store| {
        let tag = Tag::new(store, &TagType { func: FuncType::new([ValType::I64], []) }).unwrap();
        vec![Extern::Tag(tag), Extern::Func(host(store, |_, _| Ok(())))]
    });
    check(&mut world, "loaded");
}

/// A frame that is too large for a check behind its prologue has an entry of its own, and keeps registers in its body.
#[test]
fn functions_with_large_frames_restore_registers_too() {
    let values = 2000;
    let wat = format!(
        "(module
           (tag $t (param i64))
           (func $large (param $seed i64) (result i64) {} {} (call $throws (local.get $seed)) {})
           (func $throws (param i64) (result i64)
             (if (i64.ne (local.get 0) (i64.const 0)) (then (throw $t (local.get 0))))
             (loop (br_if 0 (i64.ne (local.get 0) (i64.const 0))))
             (local.get 0))
           (func (export \"run\") (param $seed i64) (param i64) (result i64) {} {}
             (block $caught (result i64)
               (try_table (catch $t $caught) (call $large (i64.add (local.get $seed) (local.get 1))) {} (return))
               unreachable)
             {}))",
        locals(values),
        set_values(values),
        add_values(values),
        locals(ALIVE),
        set_values(ALIVE),
        add_values(ALIVE),
        add_values(ALIVE)
    );
    for (mode, config) in modes() {
        check(&mut World::new(&config, &wat), mode);
    }
}

/// Calls with a handler pass parameters and results as others do: in registers that C's convention has for them, in others, and in memory.
#[test]
fn calls_with_handlers_pass_whatever_functions_take_and_answer() {
    let mut functions = String::new();
    let mut expected = Vec::new();
    for (ints, floats) in [4, 5, 6, 9].into_iter().flat_map(|ints| [0, 7, 8, 9].map(|floats| (ints, floats))) {
        for (int_results, float_results) in [(0, 0), (1, 0), (0, 2), (1, 2), (2, 0), (2, 3), (0, 3), (9, 1)] {
            let number = expected.len();
            let types = |ints: i64, floats: i64| "i64 ".repeat(ints as usize) + &"f64 ".repeat(floats as usize);
            let each = |range: std::ops::Range<i64>, text: &dyn Fn(i64) -> String| range.map(text).collect::<String>();
            functions += &format!(
                "(func $called{number} (param {}) (result {}) (local $x i64) (local $y f64)
                   (if (i64.lt_s (local.get 0) (i64.const 0)) (then (throw $t)))
                   (loop (br_if 0 (i64.lt_s (local.get 0) (i64.const 0)))) {} {} {} {})\n",
                types(ints, floats),
                types(int_results, float_results),
                each(0..ints, &|p| format!(
                    "(local.set $x (i64.add (i64.mul (local.get $x) (i64.const 3)) (local.get {p})))"
                )),
                each(ints..ints + floats, &|p| {
                    format!("(local.set $y (f64.add (f64.mul (local.get $y) (f64.const 2)) (local.get {p})))")
                }),
                each(0..int_results, &|r| format!("(i64.add (local.get $x) (i64.const {r}))")),
                each(0..float_results, &|r| format!("(f64.add (local.get $y) (f64.const {r}))")),
            );
            functions += &format!(
                "(func (export \"run{number}\") (param i64) (result i64) (local $x i64) (local $y f64)
                   (block $caught
                     (try_table (catch_all $caught) {} {} (call $called{number}) {} {})
                     (return (i64.add (local.get 0) (i64.add (local.get $x) (i64.trunc_f64_s (local.get $y))))))
                   (i64.mul (local.get 0) (i64.const 7)))\n",
                each(0..ints, &|p| format!("(i64.add (local.get 0) (i64.const {p}))")),
                each(0..floats, &|p| format!("(f64.add (f64.convert_i64_s (local.get 0)) (f64.const {p}))")),
                "(local.set $y (f64.add (f64.mul (local.get $y) (f64.const 2))))".repeat(float_results as usize),
                "(local.set $x (i64.add (i64.mul (local.get $x) (i64.const 3))))".repeat(int_results as usize),
            );
            expected.push(move |arg: i64| {
                let x = (0..ints).fold(0, |x: i64, p| x * 3 + arg + p);
                let y = (0..floats).fold(0, |y: i64, p| y * 2 + arg + p);
                let x = (0..int_results).rev().fold(0, |sum: i64, r| sum * 3 + x + r);
                let y = (0..float_results).rev().fold(0, |sum: i64, r| sum * 2 + y + r);
                arg + x + y
            });
        }
    }
    let wat = format!("(module (tag $t) {functions})");
    for (mode, config) in modes() {
        let World { mut store, instance } = World::new(&config, &wat);
        for (number, expected) in expected.iter().enumerate() {
            let run = instance.get_typed_func::<i64, i64>(&store, &format!("run{number}")).unwrap();
            assert_eq!(run.call(&mut store, 10).unwrap(), expected(10), "{mode}, {number}");
            assert_eq!(run.call(&mut store, -4).unwrap(), -28, "{mode}, {number}");
        }
    }
}
