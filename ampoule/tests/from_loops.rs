//! Guests that go on in optimized code in the middle of a loop: nothing that can be seen tells when that was.
//!
//! Each guest runs with the optimizing tier alone, and then beginning in baseline code that is replaced after some turns of its loops.

use ampoule::store::epoch::UpdateDeadline;
use ampoule::{Config, Engine, Extern, Func, FuncType, Instance, Module, Store, Val, ValType};
use ampoule_core::tunables::Tiers;
use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What can be seen of a call.
#[derive(PartialEq, Eq, Debug)]
struct Outcome {
    /// Results, or the error with its frames.
    end: Result<String, String>,
    /// The global `seen`.
    seen: String,
    fuel: Option<u64>,
    /// How often the deadline was reached.
    interrupted: u32,
}

fn config() -> Config {
    let mut config = Config::new();
    (config.features.exceptions, config.features.legacy_exceptions) = (true, true);
    (config.features.gc, config.features.function_references) = (true, true);
    config.tunables.tiers = Tiers::Optimizing;
    config
}

/// Every choice that changes what a loop does or what its code is like.
fn modes() -> Vec<(&'static str, Config)> {
    let mode = |name, change: fn(&mut Config)| {
        let mut config = config();
        change(&mut config);
        (name, config)
    };
    vec![
        mode("default", |_| {}),
        mode("least effort", |config| config.tunables.debug_least_effort = true),
        mode("fuel", |config| config.tunables.consume_fuel = true),
        mode("epochs", |config| config.tunables.epoch_interruption = true),
        mode("no signals", |config| config.tunables.signals_based_traps = false),
        mode("moving memories", |config| {
            (config.tunables.memory_reservation, config.memory_reservation_for_growth) = (0, 0);
        }),
        mode("stress", |config| config.gc_stress = true),
    ]
}

/// The same, with baseline code that is replaced after so many turns, by the thread that runs it.
fn replaced_after(config: &Config, after: u32) -> Config {
    let mut config = config.clone();
    config.tunables.tiers = Tiers::Auto;
    (config.tier_up.after, config.tier_up.threads) = (after, 0);
    config
}

/// Calls `run` in a new store. Gives also how many pieces of code were made for it.
fn run(config: &Config, text: &str, arg: i32, fuel: u64) -> (Outcome, u64) {
    let engine = Engine::new(config).unwrap();
    let module = Module::new(&engine, text.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let counts_fuel = store.set_fuel(fuel).is_ok();
    store.set_data(Box::new(0u32));
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(Some(Box::new(|store| {
        *store.data_mut().downcast_mut::<u32>().unwrap() += 1;
        Ok(UpdateDeadline::Continue(1))
    })));
    // Has the deadline reached.
    let host = Func::new(&mut store, &FuncType::new([ValType::I32], [ValType::I32]), |mut caller, args, results| {
        caller.store().engine().increment_epoch();
        results[0] = args[0].clone();
        Ok(())
    });
    let imports = vec![Extern::Func(host.unwrap()); module.imports().count()];
    let instance = Instance::new(&mut store, &module, &imports).unwrap();
    let func = instance.get_func(&store, "run").unwrap();
    let mut results: Vec<Val> = func.ty(&store).unwrap().results().iter().map(|&ty| Val::default_for(ty)).collect();
    let end = match func.call(&mut store, &[Val::I32(arg)], &mut results) {
        Ok(()) => Ok(format!("{results:?}")),
        Err(error) => Err(format!("{error}\n{:?}", error.backtrace())),
    };
    let Some(Extern::Global(seen)) = instance.get_export(&store, "seen") else { panic!("it is exported") };
    let seen = format!("{:?}", seen.get(&mut store));
    let interrupted = *store.data().downcast_ref::<u32>().unwrap();
    let fuel = counts_fuel.then(|| store.fuel().unwrap());
    (Outcome { end, seen, fuel, interrupted }, engine.compiled_functions())
}

const PLENTY: u64 = 1 << 40;

/// Runs a guest with these arguments in every mode, replaced at several times, and compares. The loops that code is made from are as many as are
/// given, where nothing changes how code is made and each is replaced as soon as it can be, and `others` other pieces of code.
fn check(text: &str, args: &[i32], loops: u64, others: u64) {
    for (mode, config) in modes() {
        for &arg in args {
            let (expected, _) = run(&config, text, arg, PLENTY);
            let (never, _) = run(&replaced_after(&config, i32::MAX as u32), text, arg, PLENTY);
            assert_eq!(never, expected, "{mode}, baseline code: {arg}");
            for after in [0, 1, 2, 3, 4, 5, 8, 17] {
                let (outcome, codes) = run(&replaced_after(&config, after), text, arg, PLENTY);
                assert_eq!(outcome, expected, "{mode}, replaced after {after} turns: {arg}");
                if mode == "default" && after == 0 {
                    assert_eq!(codes, loops + others, "{arg}");
                }
            }
        }
    }
}

#[test]
fn locals_operands_and_parameters_of_all_kinds_are_handed_over() {
    check(
        r#"(module
          (type $s (struct (field (mut i32)) (field (ref null $s))))
          (type $f (func (result i32)))
          (global (export "seen") (mut i32) (i32.const 0))
          (elem declare func $one)
          (func $one (result i32) (i32.const 1))
          (func $at (param anyref) (result i32) (struct.get $s 0 (ref.cast (ref $s) (local.get 0))))
          (func (export "run") (param $n i32) (result i64 i64 i64 i64 i64 i64 i64 i32 i32 f32 f64 i32)
            (local $i i32) (local $a i64) (local $f f32) (local $d f64) (local $v v128) (local $r anyref)
            (local $g (ref null $f)) (local $x externref) (local $w v128) (local $list (ref null $s))
            (local.set $a (i64.const 0x123456789abcdef0)) (local.set $f (f32.const 1.25)) (local.set $d (f64.const -3.5))
            (local.set $v (v128.const i64x2 0x1111111111111111 0x2222222222222222))
            (local.set $r (struct.new $s (i32.const 40) (ref.null $s))) (local.set $g (ref.func $one))
            (local.set $x (extern.convert_any (ref.i31 (i32.const 99))))
            ;; Below the loop.
            (i64.const 77) (f32.const 1.5) (v128.const i32x4 1 2 3 4) (struct.new $s (i32.const 5) (ref.null $s)) (ref.func $one)
            (f64.const 2.5) (local.get $n)
            ;; Its parameters.
            (i64.const 1) (struct.new $s (i32.const 7) (ref.null $s)) (v128.const i64x2 9 10) (f32.const 0.5)
            (loop $l (param i64 (ref null $s) v128 f32) (result i64 (ref null $s) v128 f32)
              (f32.add (local.get $f)) (local.set $f)
              (i64x2.add (local.get $v)) (local.set $w)
              (local.set $list)
              (local.set $a (i64.add (i64.mul (local.get $a) (i64.const 3))))
              (local.set $d (f64.add (local.get $d) (f64.convert_i32_s (call_ref $f (local.get $g)))))
              (local.set $v (i64x2.sub (local.get $w) (v128.const i64x2 5 6)))
              (local.set $list (struct.new $s (i32.add (local.get $i) (call $at (local.get $r))) (local.get $list)))
              (struct.set $s 0 (ref.cast (ref $s) (local.get $r)) (i32.add (call $at (local.get $r)) (i32.const 1)))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (local.get $a) (local.get $list) (local.get $v) (f32.mul (local.get $f) (f32.const 0.75))
              (br_if $l (i32.lt_s (local.get $i) (local.get $n))))
            ;; Everything, as numbers.
            (local.set $f) (local.set $w) (local.set $list) (local.set $a)
            (local.set $i) (local.set $d (f64.add (local.get $d))) (local.set $g)
            (local.set $r) (local.set $v (v128.xor (local.get $v))) (local.set $f (f32.add (local.get $f)))
            (i64.add (local.get $a))
            (i64x2.extract_lane 0 (local.get $v)) (i64x2.extract_lane 1 (local.get $v))
            (i64x2.extract_lane 0 (local.get $w)) (i64x2.extract_lane 1 (local.get $w))
            (i64.extend_i32_s (call $at (local.get $r))) (i64.extend_i32_s (call $at (struct.get $s 1 (local.get $list))))
            (call_ref $f (local.get $g)) (i31.get_s (ref.cast i31ref (any.convert_extern (local.get $x))))
            (local.get $f) (local.get $d) (local.get $i)))"#,
        &[3, 40],
        1,
        // `$one` is part of the code from the loop.
        2,
    );
}

#[test]
fn what_is_below_outer_blocks_is_right_whichever_way_the_loop_is_reached() {
    check(
        r#"(module
          (global $seen (export "seen") (mut i64) (i64.const 0))
          (func $see (param i64)
            (global.set $seen (i64.add (i64.mul (global.get $seen) (i64.const 31)) (local.get 0))))
          (func (export "run") (param $n i32) (result i64)
            (local $i i32) (local $j i32) (local $k i32)
            (i64.const 1000)
            (loop $outer (result i64)
              (i64.extend_i32_s (i32.mul (local.get $i) (i32.const 7)))
              (local.set $j (i32.const 0))
              (block $out (result i64)
                (f64.convert_i32_s (local.get $i))
                ;; Some turns never reach the inner loops.
                (br_if $out (i64.const 5) (i32.eq (i32.rem_u (local.get $i) (i32.const 5)) (i32.const 3)))
                (drop)
                (i64.extend_i32_s (local.get $i)) (local.get $i)
                (if (param i64 i32) (result i64 i32) (i32.and (local.get $i) (i32.const 1))
                  (then
                    (loop $odd (param i64 i32) (result i64 i32)
                      (i32.add (i32.const 3))
                      (local.set $j (i32.add (local.get $j) (i32.const 1)))
                      (br_if $odd (i32.lt_s (local.get $j) (i32.const 4)))))
                  (else
                    (loop $even (param i64 i32) (result i64 i32)
                      (local.set $k)
                      (i64.add (i64.extend_i32_s (local.get $k)))
                      (local.set $j (i32.add (local.get $j) (i32.const 1)))
                      (i32.mul (local.get $k) (i32.const 3))
                      (br_if $even (i32.lt_s (local.get $j) (i32.const 3))))))
                (local.set $k)
                (call $see)
                (drop)
                (i64.extend_i32_s (local.get $k)))
              (call $see) (call $see)
              ;; The end of the loop is copied to where it is branched to.
              (i64.const 3)
              (block $latch
                (loop $in
                  (local.set $k (i32.sub (local.get $k) (i32.const 1000)))
                  (br_if $in (i32.gt_s (local.get $k) (i32.const 0))))
                (br_if $latch (i32.and (local.get $i) (i32.const 2)))
                (call $see (i64.const 6))
                (br $latch))
              (call $see)
              (br_if $outer (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))
              (i64.extend_i32_s (local.get $k)))
            (i64.add)))"#,
        &[2, 30],
        1,
        2,
    );
}

#[test]
fn copies_of_latches_have_the_operands_of_their_loop() {
    check(
        r#"(module
          (global $seen (export "seen") (mut i32) (i32.const 0))
          (func (export "run") (param $n i32) (result i32) (local $i i32) (local $sum i32) (local $j i32)
            (loop $outer
              (i32.mul (local.get $i) (i32.const 5))
              (block $latch
                (local.set $j (i32.const 0))
                (loop $in
                  (br_if $latch (i32.gt_s (local.get $j) (i32.and (local.get $i) (i32.const 7))))
                  (local.set $j (i32.add (local.get $j) (i32.const 1)))
                  (br_if $in (i32.lt_s (local.get $j) (i32.const 6))))
                (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
                (br $latch))
              (i32.add (local.get $sum)) (local.set $sum)
              (br_if $outer (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
            (local.get $sum)))"#,
        &[2, 40],
        1,
        2,
    );
}

/// A hundred locals, most of which share places in optimized code.
#[test]
fn of_many_locals_those_are_handed_over_that_are_alive() {
    let mut text = String::from(
        r#"(module (global (export "seen") (mut i32) (i32.const 0)) (func (export "run") (param $n i32) (result i32) (local $i i32) (local "#,
    );
    text.push_str(&"i32 ".repeat(100));
    text.push_str(")\n");
    for local in 2..52 {
        writeln!(text, "(local.set {local} (i32.mul (local.get $n) (i32.const {local})))").unwrap();
        writeln!(text, "(local.set {} (i32.add (local.get {local}) (i32.const 1)))", local + 50).unwrap();
    }
    text.push_str("(loop $l\n");
    for local in (2..100).step_by(3) {
        writeln!(text, "(local.set $i (i32.xor (local.get $i) (local.get {local})))").unwrap();
        writeln!(text, "(local.set {} (i32.add (local.get $i) (i32.const 3)))", local + 1).unwrap();
        writeln!(text, "(local.set {local} (i32.add (local.get {}) (i32.const 5)))", local + 1).unwrap();
    }
    text.push_str("(br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))\n(local.get $i)");
    for local in 2..102 {
        writeln!(text, "(i32.add (i32.mul (i32.const 31)) (local.get {local}))").unwrap();
    }
    text.push_str("))");
    check(&text, &[1, 30], 1, 2);
}

#[test]
fn traps_tell_the_same_frames() {
    check(
        r#"(module
          (import "" "host" (func $host (param i32) (result i32)))
          (memory 1)
          (global $seen (export "seen") (mut i32) (i32.const 0))
          (func $inner (param $n i32) (result i32) (local $i i32)
            (loop $l
              (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
              (i32.store (i32.mul (local.get $i) (i32.const 2048)) (local.get $i))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (if (i32.eq (local.get $i) (i32.const 13)) (then (drop (call $host (local.get $i)))))
              (br_if $l (i32.lt_s (local.get $i) (local.get $n))))
            (i32.div_u (i32.const 100) (i32.sub (local.get $n) (i32.const 20))))
          (func (export "run") (param $n i32) (result i32) (local $i i32)
            (loop $l
              (drop (call $inner (i32.add (local.get $i) (local.get $n))))
              (br_if $l (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 9))))
            (unreachable)))"#,
        &[1, 10, 15, 30],
        2,
        4,
    );
}

#[test]
fn exceptions_are_caught_around_loops_and_in_them() {
    check(
        r#"(module
          (tag $e (param i32)) (tag $other)
          (global $seen (export "seen") (mut i32) (i32.const 0))
          (func $throws (param i32)
            (loop (br_if 0 (i32.eqz (local.tee 0 (local.get 0)))) )
            (if (i32.eq (i32.rem_u (local.get 0) (i32.const 3)) (i32.const 1)) (then (throw $e (local.get 0))))
            (if (i32.eq (i32.rem_u (local.get 0) (i32.const 11)) (i32.const 5)) (then (throw $other))))
          (func (export "run") (param $n i32) (result i32) (local $i i32) (local $sum i32)
            (local.set $i (i32.const 1))
            (block $all
              (try_table (catch_all $all)
                (loop $l
                  (local.get $sum)
                  (block $h (result i32)
                    (try_table (catch $e $h)
                      (loop $in
                        (call $throws (local.get $i))
                        (local.set $i (i32.add (local.get $i) (i32.const 1)))
                        (br_if $in (i32.lt_s (local.get $i) (local.get $n)))))
                    (i32.const 1000))
                  (i32.add) (local.set $sum)
                  (global.set $seen (local.get $sum))
                  (br_if $l (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))))
            (i32.add (local.get $sum) (local.get $i))))"#,
        &[4, 12, 40],
        2,
        4,
    );
}

#[test]
fn exceptions_caught_before_a_loop_can_be_rethrown_in_it() {
    check(
        r#"(module
          (tag $a (param i32)) (tag $b (param i64))
          (global $seen (export "seen") (mut i32) (i32.const 0))
          (func $a (param i32) (loop (br_if 0 (i32.const 0))) (throw $a (local.get 0)))
          (func $b (param i32) (loop (br_if 0 (i32.const 0))) (throw $b (i64.extend_i32_s (local.get 0))))
          (func (export "run") (param $n i32) (result i32) (local $i i32)
            (i32.const 7)
            try (result i32)
              try (result i32)
                (call $a (local.get $n))
                i32.const 1
              catch $b
                i32.wrap_i64
              catch $a
                try (result i32)
                  (call $b (i32.add (local.get $n) (i32.const 50)))
                  i32.const 2
                catch_all
                  (loop $l
                    (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (if (i32.eq (local.get $i) (i32.const 35)) (then rethrow 2))
                    (if (i32.gt_s (local.get $i) (i32.sub (local.get $n) (i32.const 2))) (then rethrow 3))
                    (br_if $l (i32.lt_s (local.get $i) (local.get $n))))
                  i32.const 3
                end
                i32.add
              end
            catch $a
              (i32.add (i32.const 1000))
            catch $b
              i32.wrap_i64
              (i32.add (i32.const 2000))
            end
            i32.add))"#,
        &[4, 30, 60],
        3,
        6,
    );
}

#[test]
fn objects_live_on_across_the_change_and_collections() {
    check(
        r#"(module
          (type $node (struct (field i32) (field (ref null $node))))
          (type $numbers (array (mut i64)))
          (global (export "seen") (mut i32) (i32.const 0))
          (func (export "run") (param $n i32) (result i64)
            (local $i i32) (local $list (ref null $node)) (local $numbers (ref null $numbers)) (local $sum i64)
            (array.new $numbers (i64.const 5) (i32.const 10))
            (struct.new $node (i32.const 1) (ref.null $node))
            (loop $l (param (ref null $node)) (result (ref null $node))
              (local.set $list)
              (local.set $numbers (array.new $numbers (i64.extend_i32_s (local.get $i)) (i32.const 100)))
              (struct.new $node (local.get $i) (local.get $list))
              (local.set $sum (i64.add (local.get $sum) (array.get $numbers (local.get $numbers) (i32.const 50))))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br_if $l (i32.lt_s (local.get $i) (local.get $n))))
            (local.set $list)
            (local.set $numbers)
            (loop $count
              (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 3))
                (i64.extend_i32_s (struct.get $node 0 (local.get $list)))))
              (br_if $count (i32.eqz (ref.is_null (local.tee $list (struct.get $node 1 (local.get $list)))))))
            (i64.add (local.get $sum) (array.get $numbers (local.get $numbers) (i32.const 9)))))"#,
        &[3, 60],
        1,
        2,
    );
}

#[test]
fn deadlines_are_reached_as_often() {
    check(
        r#"(module
          (import "" "host" (func $host (param i32) (result i32)))
          (global $seen (export "seen") (mut i32) (i32.const 0))
          (func (export "run") (param $n i32) (result i32) (local $i i32)
            (loop $l
              (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 3))) (then (drop (call $host (local.get $i)))))
              (global.set $seen (i32.add (global.get $seen) (local.get $i)))
              (br_if $l (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
            (local.get $i)))"#,
        &[10, 50],
        1,
        2,
    );
}

/// With every amount of fuel, the guest stops at the same place and has spent as much.
#[test]
fn fuel_ends_at_the_same_turn() {
    let text = r#"(module
      (global $seen (export "seen") (mut i32) (i32.const 0))
      (func $callee (param i32) (result i32)
        (loop (br_if 0 (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 2))) (i32.const 0))))
        (local.get 0))
      (func (export "run") (param $n i32) (result i32) (local $i i32)
        (i32.const 5)
        (loop $l (param i32) (result i32)
          (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
          (i32.add (call $callee (local.get $i)))
          (br_if $l (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))))"#;
    let mut config = config();
    config.tunables.consume_fuel = true;
    for fuel in (0..400).step_by(3) {
        let (expected, _) = run(&config, text, 12, fuel);
        for after in [0, 3, 8] {
            let (outcome, _) = run(&replaced_after(&config, after), text, 12, fuel);
            assert_eq!(outcome, expected, "{fuel} units, replaced after {after} turns");
        }
    }
}

const CHAINED: usize = 300;

/// Functions of 200 locals, half of which have a home in baseline code, 800 bytes: each loops and then does this to call the next.
fn chain(call: &str) -> String {
    let mut text = String::from(r#"(module (global $seen (export "seen") (mut i32) (i32.const 0))"#);
    for number in 0..CHAINED {
        // How many are on the stack changes.
        let params = "i64 ".repeat(number % 3 * 5);
        let args = "(i64.const 3) ".repeat((number + 1) % 3 * 5);
        let first = number % 3 * 5 + 2;
        let asks: String = (first..first + 100).map(|local| format!("(drop (i64.clz (local.get {local})))")).collect();
        let next = if number + 1 < CHAINED {
            format!("({call} $f{} (local.get $n) {args})", number + 1)
        } else {
            "(local.get $n) (global.get $seen)".to_string()
        };
        write!(
            text,
            r#"(func $f{number} (param $n i32) (param {params}) (result i32 i32) (local $i i32) (local {})
              {asks}
              (local.set $i (i32.const 4))
              (loop $l
                (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
                (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
              {next})"#,
            "i64 ".repeat(200),
        )
        .unwrap();
    }
    text.push_str(r#"(func (export "run") (param i32) (result i32 i32) (call $f0 (local.get 0))))"#);
    text
}

/// Frames that are replaced leave nothing on the stack, and neither do tail calls from those in their place, which pass arguments there.
#[test]
fn tail_calls_from_replaced_frames_keep_the_stack_as_it_is() {
    let text = chain("return_call");
    let mut config = config();
    config.max_wasm_stack = 64 << 10;
    let (expected, _) = run(&config, &text, 9, PLENTY);
    assert_eq!(expected.end, Ok(format!("[I32(9), I32({})]", 4 * CHAINED)));
    let (outcome, codes) = run(&replaced_after(&config, 0), &text, 9, PLENTY);
    assert_eq!(outcome, expected);
    assert!(codes > 3 * CHAINED as u64, "{codes}");
}

/// The large frame of baseline code makes way for a small one.
#[test]
fn a_frame_makes_way_for_the_one_in_its_place() {
    let text = chain("call");
    let mut config = config();
    config.max_wasm_stack = 128 << 10;
    let (expected, _) = run(&config, &text, 9, PLENTY);
    assert_eq!(expected.end, Ok(format!("[I32(9), I32({})]", 4 * CHAINED)));
    let (outcome, _) = run(&replaced_after(&config, i32::MAX as u32), &text, 9, PLENTY);
    assert!(outcome.end.unwrap_err().contains("stack"), "baseline frames are too large for that");
    let (outcome, _) = run(&replaced_after(&config, 0), &text, 9, PLENTY);
    assert_eq!(outcome, expected);
}

/// A guest that is in a loop since it was called goes on in other code while a thread of the engine makes that.
#[test]
fn a_loop_that_nothing_leaves_is_replaced_in_the_background() {
    let mut config = replaced_after(&config(), 1000);
    config.tier_up.threads = 1;
    let engine = Engine::new(&config).unwrap();
    let text = r#"(module
      (import "" "enough" (func $enough (result i32)))
      (func (export "run") (result i64) (local $sum i64) (local $turns i64)
        (loop $l
          (local.set $turns (i64.add (local.get $turns) (i64.const 1)))
          (local.set $sum (i64.add (local.get $sum) (local.get $turns)))
          (br_if $l (i64.ne (i64.rem_u (local.get $turns) (i64.const 5000)) (i64.const 0)))
          (br_if $l (i32.eqz (call $enough))))
        (i64.sub (i64.mul (local.get $sum) (i64.const 2)) (i64.mul (local.get $turns) (i64.add (local.get $turns) (i64.const 1))))))"#;
    let module = Module::new(&engine, text.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let start = Instant::now();
    let turns = AtomicU32::new(0);
    let enough = Func::new(&mut store, &FuncType::new([], [ValType::I32]), move |mut caller, _, results| {
        // The first code, the function's, and that from the loop; then some turns more, which that makes.
        let is_made = caller.store().engine().compiled_functions() == 3;
        let before = turns.fetch_add(is_made.into(), Ordering::Relaxed);
        assert!(start.elapsed() < Duration::from_secs(60), "it was not replaced");
        results[0] = Val::I32(i32::from(before > 20));
        Ok(())
    });
    let instance = Instance::new(&mut store, &module, &[Extern::Func(enough.unwrap())]).unwrap();
    let run = instance.get_typed_func::<(), i64>(&store, "run").unwrap();
    assert_eq!(run.call(&mut store, ()).unwrap(), 0);
}
