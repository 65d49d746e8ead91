//! Recursive functions, which are inlined into themselves, whole or where they return at once: results, fuel and backtraces are those of
//! calls.

use ampoule::{Config, Engine, Instance, Module, Store, TrapCode};
use ampoule_core::tunables::{OptLevel, Tiers};

/// Recursive functions `$f (i32) -> i32` of many shapes, over declarations that all share.
const SHAPES: &[(&str, &str)] = &[
    ("returns first", "(if (i32.lt_s (local.get 0) (i32.const 2)) (then (return (local.get 0)))) SUM"),
    ("as an expression", "(if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0)) (else SUM))"),
    ("in the other arm", "(if (result i32) (i32.ge_s (local.get 0) (i32.const 2)) (then SUM) (else (local.get 0)))"),
    ("at the end", "(block (br_if 0 (i32.lt_s (local.get 0) (i32.const 2))) (return SUM)) (local.get 0)"),
    ("with a value", "(block (result i32) (drop (br_if 0 (local.get 0) (i32.lt_s (local.get 0) (i32.const 2)))) SUM)"),
    (
        "two ways",
        "(if (i32.eqz (local.get 0)) (then (return (i32.const 7)))) (if (i32.lt_s (local.get 0) (i32.const 2)) (then (return (i32.const 5)))) SUM",
    ),
    (
        "through inner blocks",
        "(block (block (block (br_if 2 (i32.lt_s (local.get 0) (i32.const 2)))) (br 0)) (return SUM)) (i32.const 3)",
    ),
    (
        "changes its parameter",
        "(local.set 0 (i32.sub (local.get 0) (i32.const 1))) (if (i32.lt_s (local.get 0) (i32.const 1)) (then (return (local.get 0)))) SUM",
    ),
    (
        "changes a local",
        "(local i32) (local.set 1 (i32.add (local.get 0) (local.get 1))) (if (i32.lt_s (local.tee 1 (local.get 0)) (i32.const 2)) (then (return (local.get 1)))) SUM",
    ),
    (
        "has effects first",
        "(global.set $g (i32.add (global.get $g) (i32.const 1))) (if (i32.lt_s (local.get 0) (i32.const 2)) (then (return (global.get $g)))) SUM",
    ),
    (
        "has effects on its quick way",
        "(if (i32.lt_s (local.get 0) (i32.const 2)) (then (global.set $g (i32.add (global.get $g) (i32.const 1))) (return (global.get $g)))) SUM",
    ),
    (
        "may trap first",
        "(drop (i32.div_s (i32.const 8) (i32.add (local.get 0) (i32.const 9)))) (if (i32.lt_s (local.get 0) (i32.const 2)) (then (return (local.get 0)))) SUM",
    ),
    (
        "never returns at once",
        "(if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (global.get $g)) (else SUM))",
    ),
    ("by a table", "(block (block (br_table 0 0 1 (local.get 0))) (return (i32.const 1))) SUM"),
    (
        "long",
        "(if (i32.lt_s (local.get 0) (i32.const 2)) (then (return (local.get 0)))) (i32.add (i32.mul (i32.const 1234567) (i32.load (i32.const 100))) (i32.mul (i32.const 1234567) (i32.load (i32.const 104)))) (i32.add (i32.mul (i32.const 1234567) (i32.load (i32.const 108)))) (i32.add SUM)",
    ),
    (
        "mutually",
        "(if (i32.lt_s (local.get 0) (i32.const 2)) (then (return (local.get 0)))) (call $other (i32.sub (local.get 0) (i32.const 1))) (i32.add (call $f (i32.sub (local.get 0) (i32.const 2))))",
    ),
    (
        "through a handler",
        "(if (i32.lt_s (local.get 0) (i32.const 1)) (then (throw $t (i32.const 11)))) (block $h (result i32) (try_table (result i32) (catch $t $h) (call $f (i32.sub (local.get 0) (i32.const 1)))))",
    ),
    (
        "around a throw",
        "(if (i32.eqz (local.get 0)) (then (return (i32.const 4)))) (block $h (result i32) (try_table (result i32) (catch $t $h) (call $f (i32.sub (local.get 0) (i32.const 1))) (throw $t (i32.add (i32.const 1)))))",
    ),
];

const SUM: &str =
    "(i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0) (i32.const 2))))";

fn module(body: &str) -> String {
    let body = body.replace("SUM", SUM);
    format!(
        r#"(module
          (memory 1)
          (tag $t (param i32))
          (global $g (mut i32) (i32.const 0))
          (func $other (param i32) (result i32)
            (if (i32.eqz (local.get 0)) (then (return (i32.const 100))))
            (call $f (i32.sub (local.get 0) (i32.const 1))))
          (func $f (param i32) (result i32) {body})
          (func (export "run") (param i32) (result i32) (i32.xor (call $f (local.get 0)) (global.get $g))))"#
    )
}

/// The same code with calls where the usual one has copies, and the usual one.
fn modes(change: impl Fn(&mut Config)) -> [Config; 3] {
    let mode = |more: fn(&mut Config)| {
        let mut config = Config::new();
        config.features.exceptions = true;
        config.tiers(Tiers::Optimizing);
        change(&mut config);
        more(&mut config);
        config
    };
    [
        mode(|config| config.tunables.opt_level = OptLevel::None),
        mode(|_| {}),
        mode(|config| config.tunables.epoch_interruption = true),
    ]
}

/// A store with an instance, and with so much fuel where it has any.
fn instance(config: &Config, wat: &str, fuel: u64) -> (Box<Store>, Instance) {
    let engine = Engine::new(config).unwrap();
    let module = Module::new(&engine, wat.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    store.set_epoch_deadline(1 << 40);
    if config.tunables.consume_fuel {
        store.set_fuel(fuel).unwrap();
    }
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    (store, instance)
}

#[test]
fn copies_compute_what_calls_do() {
    for (shape, body) in SHAPES {
        let wat = module(body);
        let found = modes(|_| {}).map(|config| {
            let (mut store, instance) = instance(&config, &wat, 0);
            let run = instance.get_typed_func::<i32, i32>(&store, "run").unwrap();
            (0..14).map(|arg| run.call(&mut store, arg).ok()).collect::<Vec<_>>()
        });
        assert_eq!(found[0], found[1], "{shape}");
        assert_eq!(found[0], found[2], "{shape}, with epochs");
    }
}

#[test]
fn copies_spend_the_fuel_that_calls_do() {
    const GIVEN: u64 = 1 << 40;
    for (shape, body) in SHAPES {
        let wat = module(body);
        let found = modes(|config| {
            config.consume_fuel(true);
        })
        .map(|config| {
            let (mut store, instance) = instance(&config, &wat, GIVEN);
            let run = instance.get_typed_func::<i32, i32>(&store, "run").unwrap();
            let mut spent = |arg| {
                store.set_fuel(GIVEN).unwrap();
                let _ = run.call(&mut store, arg);
                GIVEN - store.fuel().unwrap()
            };
            (0..14).map(&mut spent).collect::<Vec<_>>()
        });
        assert_eq!(found[0], found[1], "{shape}");
        assert_eq!(found[0], found[2], "{shape}, with epochs");
    }
}

#[test]
fn backtraces_show_every_copy() {
    // A trap behind a number of calls that the argument tells.
    let wat = r#"(module
      (global $left (mut i32) (i32.const 0))
      (func $f (param i32) (result i32)
        (if (i32.lt_s (local.get 0) (i32.const 2)) (then (return (local.get 0))))
        (global.set $left (i32.sub (global.get $left) (i32.const 1)))
        (if (i32.eqz (global.get $left)) (then unreachable))
        (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0) (i32.const 2)))))
      (func (export "run") (param i32) (result i32)
        (global.set $left (local.get 0))
        (call $f (i32.const 9))))"#;
    for arg in 1..50 {
        let frames = modes(|_| {}).map(|config| {
            let (mut store, instance) = instance(&config, wat, 0);
            let run = instance.get_typed_func::<i32, i32>(&store, "run").unwrap();
            let error = run.call(&mut store, arg).unwrap_err();
            assert_eq!(error.trap_code(), Some(TrapCode::Unreachable), "{arg}");
            let frames = error.backtrace().unwrap().frames().iter();
            frames.map(|frame| (frame.func_index(), frame.module_offset())).collect::<Vec<_>>()
        });
        assert!(frames[0].len() >= 2);
        assert_eq!(frames[0], frames[1], "{arg}");
        assert_eq!(frames[0], frames[2], "{arg}, with epochs");
    }
}

#[test]
fn a_long_backtrace_ends_at_the_same_frame_whatever_was_inlined() {
    let wat = r#"(module
      (func $f (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then unreachable))
        (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
      (func (export "run") (param i32) (result i32) (call $f (local.get 0))))"#;
    for arg in [19, 20, 21, 50] {
        for config in modes(|_| {}) {
            let (mut store, instance) = instance(&config, wat, 0);
            let run = instance.get_typed_func::<i32, i32>(&store, "run").unwrap();
            let error = run.call(&mut store, arg).unwrap_err();
            assert_eq!(error.backtrace().unwrap().frames().len(), 20, "{arg}");
        }
    }
}

#[test]
fn recursion_without_end_is_stopped() {
    let bodies = [
        "(if (i32.eqz (local.get 0)) (then (return (i32.const 1)))) (i32.add (call $f (i32.const 1)) (call $f (i32.const 2)))",
        "(call $f (call $f (local.get 0)))",
        "(i32.add (call $f (local.get 0)) (i32.const 1))",
    ];
    for body in bodies {
        for config in modes(|_| {}) {
            let (mut store, instance) = instance(&config, &module(body), 0);
            let run = instance.get_typed_func::<i32, i32>(&store, "run").unwrap();
            assert_eq!(run.call(&mut store, 5).unwrap_err().trap_code(), Some(TrapCode::StackOverflow), "{body}");
        }
        for config in modes(|config| {
            config.consume_fuel(true);
        }) {
            let (mut store, instance) = instance(&config, &module(body), 1000);
            let run = instance.get_typed_func::<i32, i32>(&store, "run").unwrap();
            assert_eq!(run.call(&mut store, 5).unwrap_err().trap_code(), Some(TrapCode::OutOfFuel), "{body}");
        }
    }
}
