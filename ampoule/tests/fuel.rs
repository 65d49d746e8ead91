//! Fuel where the guest is stopped: what it has spent is charged, whatever stops it and however the code finds out.
//!
//! The counter is brought up to date at branches, ends of blocks and calls. What comes after the last of them in a straight line isn't
//! charged to a guest that traps in it, in no mode.

use ampoule::store::epoch::UpdateDeadline;
use ampoule::{Config, Engine, Instance, Module, Pass, Store, TrapCode, TypedFunc, Val};
use ampoule_core::tunables::{OptLevel, Tiers};

/// Iterations of the loop before what stops the guest.
const ITERATIONS: u64 = 1000;
/// Operators of an iteration.
const ITERATION: u64 = 8;
/// What is charged up to the end of the loop: the entry of the function, and the loop.
const LOOP: u64 = 1 + ITERATIONS * ITERATION;
/// More than any guest here uses.
const GIVEN: u64 = 1 << 40;

/// A module whose export `f` spends what [`LOOP`] says, and then does `body`.
fn module(declarations: &str, body: &str) -> String {
    format!(
        r#"(module
          {declarations}
          (func $f (export "f") (local $i i32)
            (loop $l
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br_if $l (i32.lt_u (local.get $i) (i32.const {ITERATIONS}))))
            {body}))"#
    )
}

/// Every way in which machine code may find out that a guest must be stopped.
fn modes() -> Vec<Config> {
    let mode = |change: &dyn Fn(&mut Config)| {
        let mut config = Config::new();
        config.consume_fuel(true).tiers(Tiers::Optimizing);
        change(&mut config);
        config
    };
    vec![
        mode(&|_| {}),
        mode(&|config| config.tunables.opt_level = OptLevel::None),
        mode(&|config| config.tunables.tiers = Tiers::Baseline),
        mode(&|config| config.tunables.epoch_interruption = true),
        mode(&|config| config.tunables.signals_based_traps = false),
        mode(&|config| {
            config.tunables.memory_reservation = 0;
            config.tunables.memory_guard_size = 0;
        }),
        mode(&|config| {
            config.tunables.memory_reservation = 0;
            config.tunables.memory_guard_size = 0;
            config.tunables.spectre_mitigation = false;
        }),
    ]
}

/// What a call of `f` spends, and why it was stopped.
fn spent(config: &Config, text: &str) -> (u64, Option<TrapCode>) {
    let engine = Engine::new(config).unwrap();
    let module = Module::new(&engine, text.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    store.set_epoch_deadline(1 << 40);
    store.set_fuel(GIVEN).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let func = instance.get_func(&store, "f").unwrap();
    let trap = func.call(&mut store, &[] as &[Val], &mut []).err().and_then(|error| error.trap_code());
    (GIVEN - store.fuel().unwrap(), trap)
}

#[test]
fn what_a_guest_has_spent_is_charged_whatever_stops_it() {
    use TrapCode::*;
    let memory = "(memory 1)";
    let table = "(table 1 funcref) (type $t (func)) (func $other (param i32)) (elem (i32.const 0) $other) (table $empty 1 funcref)";
    // What stops the guest, declarations, the code, and what is charged beyond the loop.
    let cases = [
        (MemoryOutOfBounds, memory, "(drop (i32.load (i32.const -8)))", 0),
        (MemoryOutOfBounds, memory, "(drop (i32.load offset=70000 (local.get $i)))", 0),
        (MemoryOutOfBounds, memory, "(drop (v128.load (i32.const 65535)))", 0),
        (MemoryOutOfBounds, memory, "(i64.store (i32.const -8) (i64.const 1))", 0),
        (MemoryOutOfBounds, memory, "(drop (i32.atomic.rmw.add (i32.const -8) (i32.const 1)))", 0),
        (MemoryOutOfBounds, memory, "(drop (i32.load (local.get $i))) (drop (i32.load (i32.const -8)))", 0),
        // Behind a branch: three operators up to it.
        (MemoryOutOfBounds, memory, "(if (i32.eqz (i32.const 0)) (then (drop (i32.load (i32.const -8)))))", 3),
        (MemoryOutOfBounds, memory, "(block (br_if 0 (i32.const 0)) (drop (i32.load (i32.const -8))))", 2),
        // Behind an access in the block before: what was written for that one is too little.
        (
            MemoryOutOfBounds,
            memory,
            "(drop (i32.load (local.get $i))) (block (br_if 0 (i32.const 0)) (drop (i32.load (i32.const -8))))",
            4,
        ),
        // In the second iteration of another loop, whose first spends five.
        (
            MemoryOutOfBounds,
            memory,
            "(loop $l (drop (i32.load (local.get $i))) (local.set $i (i32.const -8)) (br $l))",
            5,
        ),
        // Bulk operators are the runtime's: each is charged.
        (MemoryOutOfBounds, memory, "(memory.fill (i32.const 65500) (i32.const 1) (i32.const 70))", 4),
        (MemoryOutOfBounds, memory, "(memory.fill (i32.const 65500) (i32.const 1) (local.get $i))", 4),
        (MemoryOutOfBounds, memory, "(memory.copy (i32.const 0) (i32.const 65500) (i32.const 70))", 4),
        (MemoryOutOfBounds, "(memory 1) (data $d)", "(memory.init $d (i32.const 0) (i32.const 1) (i32.const 1))", 4),
        (HeapMisaligned, memory, "(drop (i32.atomic.load (i32.const 1)))", 0),
        (BadConversionToInteger, "", "(drop (i32.trunc_f32_s (f32.const nan)))", 0),
        (IntegerOverflow, "", "(drop (i64.trunc_f64_u (f64.const 1e30)))", 0),
        (IntegerDivisionByZero, "", "(drop (i32.div_u (local.get $i) (i32.const 0)))", 0),
        (IntegerDivisionByZero, "", "(drop (i64.rem_s (i64.const 7) (i64.const 0)))", 0),
        (IntegerDivisionByZero, "", "(drop (i32.div_s (local.get $i) (i32.const 0)))", 0),
        (
            IntegerOverflow,
            "(global $min (mut i32) (i32.const 0x80000000)) (global $minus (mut i32) (i32.const -1))",
            "(drop (i32.div_s (global.get $min) (global.get $minus)))",
            0,
        ),
        // Up to `unreachable`, which is free.
        (Unreachable, "", "unreachable", 0),
        (Unreachable, "", "(local.set $i (i32.const 1)) unreachable", 2),
        // The call; of the callee, its entry where it says that it stops there.
        (Unreachable, "(func $g unreachable)", "(call $g)", 2),
        (MemoryOutOfBounds, "(memory 1) (func $g (drop (i32.load (i32.const -8))))", "(call $g)", 1),
        (MemoryOutOfBounds, "(memory 1) (func $g (loop) (drop (i32.load (i32.const -8))))", "(call $g)", 2),
        // The index and the call.
        (IndirectCallToNull, table, "(call_indirect $empty (type $t) (i32.const 0))", 2),
        (BadSignature, table, "(call_indirect (type $t) (i32.const 0))", 2),
        (TableOutOfBounds, table, "(call_indirect (type $t) (i32.const 7))", 2),
        (TableOutOfBounds, table, "(drop (table.get (i32.const 7)))", 2),
        (TableOutOfBounds, table, "(table.set (i32.const 7) (ref.null func))", 0),
        (TableOutOfBounds, table, "(table.fill (i32.const 7) (ref.null func) (i32.const 1))", 4),
    ];
    for (number, config) in modes().iter().enumerate() {
        for (trap, declarations, body, beyond) in cases {
            let expected = (LOOP + beyond, Some(trap));
            assert_eq!(spent(config, &module(declarations, body)), expected, "mode {number}: {body}");
        }
    }
}

/// Not every access is behind a store of the counter: what is missing there is charged when it faults. In copies of a loop's body, in arms that cost the
/// same or not, in functions that are inlined.
#[test]
fn a_guest_is_charged_the_same_wherever_an_access_is_the_one_that_faults() {
    const FUNCTIONS: &str = r#"(memory 1)
      (func $load (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 3))))
        (i32.load (local.get 0)))"#;
    let bodies = [
        "(local.set $i (i32.add (local.get $i) (i32.load (local.get $at))))",
        "(if (i32.and (local.get $at) (i32.const 8))
           (then (drop (i32.load (local.get $at))) (i32.store offset=16 (local.get $at) (local.get $i)))
           (else (nop) (drop (i32.load offset=4 (local.get $at)))))
         (local.set $i (i32.load offset=8 (local.get $at)))",
        "(if (i32.and (local.get $at) (i32.const 4))
           (then (local.set $i (i32.load offset=12 (local.get $at))))
           (else (local.set $i (i32.load offset=20 (local.get $at)))))
         (i32.store (local.get $at) (i32.add (local.get $i) (i32.load offset=24 (local.get $at))))",
        "(block $b
           (br_if $b (i32.and (local.get $at) (i32.const 12)))
           (br_if $l (i32.load offset=16 (local.get $at)))
           (local.set $i (i32.div_u (i32.const 9) (i32.eqz (i32.load offset=8 (local.get $at))))))
         (local.set $i (i32.load (local.get $at)))",
        "(local.set $i (i32.add (call $load (local.get $at)) (call $load (i32.add (local.get $at) (i32.const 8)))))",
    ];
    let modes = modes();
    let without = [Pass::Unrolling, Pass::Inlining].map(|pass| {
        let mut config = Config::new();
        config.consume_fuel(true).tiers(Tiers::Optimizing).without_pass(pass);
        config
    });
    for body in bodies {
        let mut most = 0;
        for iterations in 0..12 {
            let text = format!(
                r#"(module {FUNCTIONS}
                  (func (export "f") (local $i i32) (local $at i32)
                    (local.set $at (i32.const {}))
                    (loop $l
                      (local.set $at (i32.add (local.get $at) (i32.const 4)))
                      {body}
                      (br_if $l (i32.lt_u (local.get $at) (i32.const 100000))))))"#,
                65536 - 4 * iterations
            );
            let found: Vec<_> = modes.iter().chain(&without).map(|config| spent(config, &text)).collect();
            assert!(found.iter().all(|other| *other == found[0]), "{iterations}: {found:?}\n{body}");
            assert_eq!(found[0].1, Some(TrapCode::MemoryOutOfBounds));
            most = most.max(found[0].0);
        }
        assert!(most > 30, "{most}");
    }
}

/// More different amounts are owed in a function than there are numbers for: the others are written.
#[test]
fn a_guest_is_charged_the_same_in_a_function_of_many_accesses() {
    use std::fmt::Write;
    let text = |faulting: u32| {
        let mut body = String::new();
        for access in 0..400 {
            let address = if access == faulting { -8 } else { 16 };
            write!(body, "(block (br_if 0 (i32.const 0)) (drop (i32.load (i32.const {address}))))").unwrap();
        }
        module("(memory 1)", &body)
    };
    let mut config = Config::new();
    config.consume_fuel(true).tiers(Tiers::Optimizing);
    for faulting in [0, 1, 60, 179, 180, 181, 182, 250, 399] {
        // Of each access before: its address, the access, `drop` and, with the block's branch, two more.
        let expected = LOOP + 2 + 4 * u64::from(faulting);
        assert_eq!(spent(&config, &text(faulting)), (expected, Some(TrapCode::MemoryOutOfBounds)), "{faulting}");
    }
}

#[test]
fn a_stack_overflow_charges_every_call_that_led_to_it() {
    for config in modes() {
        // Each call spends as much as the loop and the call; so many fit that rounding shows what one of them costs.
        let (all, trap) = spent(&config, &module("", "(call $f)"));
        assert_eq!(trap, Some(TrapCode::StackOverflow));
        assert_eq!(all % (LOOP + 1), 0, "{all}");
        assert!(all / (LOOP + 1) > 100, "{all}");
    }
}

/// Loops that are unrolled: with two ways round and one out in the middle, and one that has parameters; and such that vectors are used for.
const UNROLLED: &str = r#"(module
  (memory 1)
  (func (export "counted") (result i64)
    (i64.load (i32.const 8))
    (i64.store (i32.const 8) (i64.const 0)))
  (func (export "odd") (param $n i32) (result i32) (local $i i32)
    (block $out
      (loop $l
        (br_if $out (i32.eq (i32.load (i32.const 8)) (local.get $n)))
        (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
        (br_if $l (i32.and (local.tee $i (i32.add (local.get $i) (i32.const 3))) (i32.const 1)))
        (i32.store (i32.const 12) (local.get $i))
        (br $l)))
    (local.get $i))
  (func (export "param") (param $n i32) (result i32)
    (i32.const 0)
    (loop $l (param i32) (result i32)
      (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
      (i32.add (local.get $n))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "fill") (param $n i32) (result i32) (local $i i32)
    (loop $l
      (i32.store offset=64 (local.get $i) (i32.const 0x01010101))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $n))))
    (local.get $i))
  (func (export "sum") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $l
      (local.set $sum (i32.add (local.get $sum) (i32.load8_u offset=64 (local.get $i))))
      (local.set $sum (i32.add (local.get $sum) (i32.load8_u offset=65 (local.get $i))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 2))) (local.get $n))))
    (local.get $sum))
  (func (export "find") (param $n i32) (result i32) (local $i i32)
    (i32.store8 offset=64 (local.get $n) (i32.const 2))
    (block $out
      (loop $l
        (br_if $out (i32.eq (i32.load8_u offset=64 (local.get $i)) (i32.const 2)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $l)))
    (i32.store8 offset=64 (local.get $n) (i32.const 1))
    (local.get $i)))"#;

/// A store in which the functions may be called over and over.
fn unrolled(config: &Config) -> (Box<Store>, Instance) {
    let mut store = Store::new(&Engine::new(config).unwrap());
    let module = Module::new(store.engine(), UNROLLED.as_bytes()).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    (store, instance)
}

/// What a call of a function of [`UNROLLED`] leaves behind: its result, fuel, what it has counted in memory.
fn left_by(store: &mut Store, instance: Instance, name: &str, n: i32) -> (Option<i32>, Option<u64>, i64) {
    let func: TypedFunc<i32, i32> = instance.get_typed_func(store, name).unwrap();
    let (result, fuel) = (func.call(store, n).ok(), store.fuel().ok());
    if fuel.is_some() {
        store.set_fuel(GIVEN).unwrap();
    }
    let counted: TypedFunc<(), i64> = instance.get_typed_func(store, "counted").unwrap();
    (result, fuel, counted.call(store, ()).unwrap())
}

/// An engine's settings with what changes loops, and without it.
fn with_and_without_copies(set: impl Fn(&mut Config)) -> [Config; 2] {
    [true, false].map(|copies| {
        let mut config = Config::new();
        set(config.tiers(Tiers::Optimizing));
        if !copies {
            config.without_pass(Pass::Unrolling).without_pass(Pass::Vectorization);
        }
        config
    })
}

/// Functions of [`UNROLLED`], and what they are called with.
const LOOPS: [(&str, &[i32]); 5] = [
    ("odd", &[1, 2, 3, 4, 5, 9]),
    ("param", &[1, 2, 3, 4, 5, 9, 100]),
    ("fill", &[60, 64, 320, 1000]),
    ("sum", &[14, 63, 64, 500]),
    ("find", &[15, 100, 500]),
];

/// Copies of a loop's body don't look, but go where each iteration does when the end is near.
#[test]
fn a_guest_runs_out_of_fuel_where_it_would_in_a_loop_that_is_not_unrolled() {
    let mut worlds = with_and_without_copies(|config| _ = config.consume_fuel(true)).map(|config| unrolled(&config));
    for (name, counts) in LOOPS {
        for &n in counts {
            let mut ended = 0;
            for fuel in (0..260).chain((260..8000).step_by(61)) {
                let [copies, plain] = &mut worlds.each_mut().map(|(store, instance)| {
                    store.set_fuel(fuel).unwrap();
                    left_by(store, *instance, name, n)
                });
                assert_eq!(plain, copies, "{name}({n}) with {fuel}");
                ended += usize::from(plain.0.is_some());
            }
            assert!((1..387).contains(&ended), "{name}({n}): {ended}");
        }
    }
}

/// A deadline that is reached again at once.
#[test]
fn a_guest_looks_at_its_deadline_as_often_as_in_a_loop_that_is_not_unrolled() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    let looks = with_and_without_copies(|config| _ = config.epoch_interruption(true)).map(|config| {
        let (mut store, instance) = unrolled(&config);
        let count = Arc::new(AtomicU32::new(0));
        let counted = count.clone();
        store.epoch_deadline_callback(Some(Box::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(UpdateDeadline::Continue(0))
        })));
        LOOPS.map(|(name, counts)| {
            let mut look = |n: &i32| {
                store.set_epoch_deadline(0);
                let left = left_by(&mut store, instance, name, *n);
                // But for the one at the entry of `counted`.
                (left, count.swap(0, Ordering::Relaxed) - 1)
            };
            counts.iter().map(&mut look).collect::<Vec<_>>()
        })
    });
    assert_eq!(looks[0], looks[1]);
    // At the entry, and at each beginning of the loop.
    assert_eq!(looks[1][1][4].1, 6);
}
