//! Fuel and epochs around exceptions.

use super::{World, config};
use ampoule::{Config, TrapCode};
use std::time::{Duration, Instant};

const GUEST: &str = r#"(module
  (tag $t (param i32)) (tag $n)
  (func $thr (throw $t (i32.const 5)))
  (func $far (param i32) (if (local.get 0) (then (call $far (i32.const 0)))) (throw $t (i32.const 5)))
  (func $nop)
  (func (export "try_empty") (param i32) (result i32) (try_table) (i32.const 0))
  (func (export "local") (param i32) (result i32)
    (block $h (result i32) (try_table (catch $t $h) (throw $t (i32.const 7))) (i32.const 1)))
  (func (export "local_0") (param i32) (result i32)
    (block $h (try_table (catch $n $h) (throw $n))) (i32.const 0))
  (func (export "quiet") (param i32) (result i32)
    (block $h (result i32) (try_table (catch $t $h) (call $nop)) (i32.const 1)))
  (func (export "uncaught") (param i32) (result i32) (call $thr) (i32.const 1))
  (func (export "null") (param i32) (result i32) (throw_ref (ref.null exn)))
  (func (export "call") (param i32) (result i32)
    (block $h (result i32) (try_table (catch $t $h) (call $thr)) (i32.const 1)))
  (func (export "far") (param i32) (result i32)
    (block $h (result i32) (try_table (catch $t $h) (call $far (i32.const 1))) (i32.const 1)))
  (func $burn (param i32)
    (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (throw $n))
  (func (export "endless") (param i32) (result i32)
    (loop $again
      (block $h (try_table (catch_all $h) (call $burn (i32.const 1000))))
      (br $again))
    unreachable))"#;

fn with_fuel() -> Config {
    let mut config = config();
    config.consume_fuel(true);
    config
}

/// Units that a call takes.
fn spent(world: &mut World, name: &str) -> u64 {
    world.store.set_fuel(1 << 40).unwrap();
    let _ = world.call(name, 0);
    world.store.take_exception();
    (1 << 40) - world.store.fuel().unwrap()
}

/// As 44.0.0 counts. Where a callee throws, that forgets what the callee has spent; here it is charged, for a guest could work without end
/// otherwise.
#[test]
fn operators_cost_what_others_cost_and_the_work_of_who_throws_is_charged() {
    for least_effort in [false, true] {
        let mut config = with_fuel();
        config.tunables.debug_least_effort = least_effort;
        let mut world = World::new(&config, GUEST);
        for (name, expected) in [
            ("try_empty", 3),
            ("local", 4),
            ("local_0", 4),
            ("quiet", 5),
            ("uncaught", 5),
            ("null", 3),
            ("call", 3 + 3),
            ("far", 4 + (1 + 2 + 2) + (1 + 2 + 2)),
        ] {
            assert_eq!(spent(&mut world, name), expected, "{name}");
        }
    }
}

#[test]
fn a_guest_that_throws_without_end_runs_out_of_fuel() {
    let mut world = World::new(&with_fuel(), GUEST);
    world.store.set_fuel(1_000_000).unwrap();
    let began = Instant::now();
    assert_eq!(world.call("endless", 0).unwrap_err().trap_code(), Some(TrapCode::OutOfFuel));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(!world.store.has_exception());
}

#[test]
fn a_guest_that_throws_without_end_is_interrupted() {
    let mut config = config();
    config.epoch_interruption(true);
    let mut world = World::new(&config, GUEST);
    world.store.set_epoch_deadline(1);
    let engine = world.store.engine().clone();
    let ticker = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        engine.increment_epoch();
    });
    assert_eq!(world.call("endless", 0).unwrap_err().trap_code(), Some(TrapCode::Interrupt));
    ticker.join().unwrap();
}
