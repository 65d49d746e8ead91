//! Guests with objects and exceptions are profiled, tell lines of DWARF, and come from artifacts into pools, as others do.

#![cfg(feature = "compiler")]

use ampoule::profiling::GuestProfiler;
use ampoule::store::epoch::UpdateDeadline;
use ampoule::{Config, Engine, Instance, Module, PoolConfig, Store, Strategy, TrapCode};
use ampoule_core::tunables::Tiers;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn config() -> Config {
    let mut config = Config::new();
    let features = &mut config.features;
    (features.function_references, features.gc, features.exceptions) = (true, true, true);
    config.tiers(Tiers::Optimizing);
    config
}

/// `walk` makes a list and throws at its end; `broken` follows a reference that is null, in line 21.
const GUEST: &str = r#"(module
  (type $node (struct (field $next (mut (ref null $node))) (field $value i32)))
  (tag $end (param (ref null $node)))
  (func $make (param $n i32) (result (ref $node)) (local $list (ref null $node))
    (loop $more
      (local.set $list (struct.new $node (local.get $list) (local.get $n)))
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (ref.as_non_null (local.get $list)))
  (func $follow (param $list (ref null $node))
    (loop $more
      (if (ref.is_null (struct.get $node $next (local.get $list)))
        (then (throw $end (local.get $list))))
      (local.set $list (struct.get $node $next (local.get $list)))
      (br $more)))
  (func (export "walk") (param $n i32) (result i32)
    (block $caught (result (ref null $node))
      (try_table (catch $end $caught) (call $follow (call $make (local.get $n))))
      (unreachable))
    (struct.get $node $value))
  (func $deref (param $list (ref null $node)) (result i32)
    (struct.get $node $value (local.get $list)))
  (func (export "broken") (param $n i32) (result i32)
    (call $deref (struct.get $node $next (call $make (i32.const 1))))))"#;

fn call(store: &mut Store, instance: &Instance, name: &str, arg: i32) -> Result<i32, ampoule::Error> {
    instance.get_typed_func::<i32, i32>(store, name).unwrap().call(store, arg)
}

#[test]
fn a_profile_has_the_functions_that_make_and_follow_objects() {
    let mut config = config();
    config.epoch_interruption(true);
    let engine = Engine::new(&config).unwrap();
    let module = Module::new(&engine, GUEST.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let modules = [("the module".to_string(), module.clone())];
    let profiler = GuestProfiler::new(&engine, "title", Duration::from_millis(1), modules).unwrap();
    let profiler = Arc::new(Mutex::new(Some(profiler)));
    let sampling = profiler.clone();
    let mut samples = 0;
    store.epoch_deadline_callback(Some(Box::new(move |store| {
        // Objects move between two samples, of which there are enough for all functions.
        store.gc();
        sampling.lock().unwrap().as_mut().unwrap().sample(store, Duration::from_micros(250));
        samples += 1;
        Ok(UpdateDeadline::Continue(u64::from(samples > 300)))
    })));
    store.set_epoch_deadline(1);
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    engine.increment_epoch();
    assert_eq!(call(&mut store, &instance, "walk", 100).unwrap(), 100);
    let mut json = Vec::new();
    profiler.lock().unwrap().take().unwrap().finish(&mut json).unwrap();
    let json = String::from_utf8(json).unwrap();
    for name in ["make", "follow"] {
        assert!(json.contains(&format!("\"{name}\"")), "{name} is not in {json}");
    }
}

#[test]
fn a_trap_at_an_object_tells_its_line() {
    for strategy in [Strategy::Auto, Strategy::Eager] {
        let mut config = config();
        config.backtrace_details(true).strategy(strategy);
        let engine = Engine::new(&config).unwrap();
        let mut parser = wat::Parser::new();
        let binary = parser.generate_dwarf(wat::GenerateDwarf::Lines).parse_str(Some(Path::new("objects.wat")), GUEST);
        let binary = binary.unwrap();
        let module = Module::new(&engine, &binary).unwrap();
        let mut store = Store::new(&engine);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let error = call(&mut store, &instance, "broken", 0).unwrap_err();
        assert_eq!(error.trap_code(), Some(TrapCode::NullReference));
        let message = format!("{error:?}");
        assert!(message.contains("objects.wat:21") && message.contains("deref"), "{message}");
    }
}

#[test]
fn what_comes_from_an_artifact_uses_heaps_of_a_pool() {
    let mut config = config();
    config.pool = Some(PoolConfig { total_gc_heaps: 2, ..PoolConfig::default() });
    let engine = Engine::new(&config).unwrap();
    let bytes = Module::new(&engine, GUEST.as_bytes()).unwrap().serialize().unwrap();
    // SAFETY: they were just made.
    let module = unsafe { Module::deserialize(&engine, &bytes).unwrap() };
    let made = || {
        let mut store = Store::new(&engine);
        let instance = Instance::new(&mut store, &module, &[])?;
        assert_eq!(call(&mut store, &instance, "walk", 10_000)?, 10_000);
        store.gc();
        Ok::<_, ampoule::Error>((store, instance))
    };
    for _ in 0..3 {
        let (one, other) = (made().unwrap(), made().unwrap());
        assert!(made().unwrap_err().to_string().contains("heap"));
        drop(one);
        let (mut store, instance) = made().unwrap();
        assert_eq!(call(&mut store, &instance, "walk", 3).unwrap(), 3);
        drop(other);
    }
}
