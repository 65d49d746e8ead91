//! What code of the baseline tier did wrong once: the smallest guests that showed it. Each does the same in code of either tier.

use ampoule::{Config, Engine, Instance, Module, Store, TrapCode, Val};
use ampoule_core::tunables::Tiers;

/// How a call of the export `f` ended, in code of one tier, and the fuel that it took.
fn run(tiers: Tiers, text: &str, change: fn(&mut Config), args: &[i32]) -> (Result<Vec<i64>, Option<TrapCode>>, u64) {
    let mut config = Config::new();
    config.tunables.tiers = tiers;
    config.tunables.consume_fuel = true;
    let features = &mut config.features;
    (features.function_references, features.gc, features.exceptions) = (true, true, true);
    change(&mut config);
    let engine = Engine::new(&config).expect("it can be had");
    let module = Module::new(&engine, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let mut store = Store::new(&engine);
    store.set_fuel(1 << 30).expect("the engine counts");
    store.set_epoch_deadline(1 << 30);
    let instance = Instance::new(&mut store, &module, &[]).expect("it imports nothing");
    let func = instance.get_func(&store, "f").expect("it is exported");
    let args: Vec<Val> = args.iter().map(|&arg| Val::I32(arg)).collect();
    let ty = func.ty(&store).expect("its store is this one");
    let mut results: Vec<Val> = ty.results().iter().map(|&ty| Val::default_for(ty)).collect();
    let end = func.call(&mut store, &args, &mut results);
    let end = end.map_err(|error| error.trap_code()).map(|()| {
        let words = results.iter().map(|result| match *result {
            Val::I32(value) => value.into(),
            Val::I64(value) => value,
            ref other => panic!("results are integers, not {other:?}"),
        });
        words.collect()
    });
    (end, (1 << 30) - store.fuel().expect("the engine counts"))
}

/// Asserts that code of either tier does the same, and gives what.
fn both(text: &str, change: fn(&mut Config), args: &[i32]) -> Result<Vec<i64>, Option<TrapCode>> {
    let (optimizing, baseline) = (run(Tiers::Optimizing, text, change, args), run(Tiers::Baseline, text, change, args));
    assert_eq!(baseline, optimizing, "{args:?}: the baseline tier differs");
    baseline.0
}

#[test]
fn an_argument_is_passed_before_its_register_is_given_to_another_value() {
    // So many values are in registers that the argument is in one that calls leave alone. References don't stay there.
    let text = r#"(module
      (type $m (struct (field $x i32) (field (ref null $m))))
      (type $v (struct (field i64) (field (ref null $m))))
      (func $get (param (ref null $m)) (result i32) (struct.get $m $x (local.get 0)))
      (func (export "f") (param i32 i32 i32) (result i32)
        (local $m0 (ref null $m)) (local $v0 (ref null $v)) (local $m1 (ref null $m)) (local $v1 (ref null $v)) (local $m2 (ref null $m))
        (local $v2 (ref null $v))
        (local.set $m0 (ref.null $m))
        (local.set $v0 (struct.new $v (i64.const 0) (ref.null $m)))
        (local.set $m1 (ref.null $m))
        (local.set $v1 (struct.new $v (i64.const 0) (ref.null $m)))
        (local.set $m2 (ref.null $m))
        (local.set $v2 (struct.new $v (i64.const 0) (ref.null $m)))
        (block
          (local.set $m1 (local.tee $m0 (struct.new $m (i32.const 7) (ref.null $m))))
          (local.set 0 (call $get (local.get $m0))))
        (i32.add (local.get 0) (i32.add (local.get 1) (local.get 2)))))"#;
    assert_eq!(both(text, |_| {}, &[1, 2, 3]), Ok(vec![12]));
}
