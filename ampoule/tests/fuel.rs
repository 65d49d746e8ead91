//! Fuel where the guest is stopped: what it has spent is charged, whatever stops it and however the code finds out.
//!
//! The counter is brought up to date at branches, ends of blocks and calls. What comes after the last of them in a straight line isn't
//! charged to a guest that traps in it, in no mode.

use ampoule::{Config, Engine, Instance, Module, Store, TrapCode, Val};
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
