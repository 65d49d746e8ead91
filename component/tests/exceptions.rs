//! Exceptions of core modules within components: caught inside of an instance, and by nobody outside.

use ampoule::{Config, Engine, Error, Store};
use ampoule_component::{Component, Instance, Linker, Val};

/// `run` calls `f` of another component, whose core function throws for zero, catches it for one, and answers two otherwise.
const TWO: &str = r#"(component
  (component $callee
    (core module $m
      (tag $t)
      (func $throw (param i32) (if (i32.lt_u (local.get 0) (i32.const 2)) (then (throw $t))))
      (func (export "f") (param i32) (result i32)
        (if (local.get 0)
          (then
            (block $h (try_table (catch_all $h) (call $throw (local.get 0))) (return (i32.const 2)))
            (return (i32.const 1))))
        (call $throw (local.get 0))
        unreachable))
    (core instance $i (instantiate $m))
    (func (export "f") (param "a" u32) (result u32) (canon lift (core func $i "f"))))
  (component $caller
    (import "f" (func $f (param "a" u32) (result u32)))
    (core func $f (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (param i32) (result i32)))
      (func (export "run") (param i32) (result i32)
        (block $h (try_table (result i32) (catch_all $h) (call $f (local.get 0))) return)
        (i32.const 99)))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") (param "a" u32) (result u32) (canon lift (core func $i "run"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "f" (func $callee "f"))))
  (export "run" (func $caller "run"))
  (export "f" (func $callee "f")))"#;

fn instance() -> (Box<Store>, Instance) {
    let mut config = Config::new();
    config.features.exceptions = true;
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, TWO.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    (store, instance)
}

fn call(store: &mut Store, instance: &Instance, name: &str, arg: u32) -> Result<Val, Error> {
    let func = instance.get_func(store, &[name]).unwrap().expect("the component exports it");
    let mut results = [Val::default()];
    func.call(store, &[Val::from(arg)], &mut results)?;
    let [result] = results;
    Ok(result)
}

#[test]
fn an_exception_is_caught_inside_of_an_instance_and_stops_others() {
    let (mut store, instance) = instance();
    assert_eq!(call(&mut store, &instance, "run", 1).unwrap(), Val::from(1u32));
    assert_eq!(call(&mut store, &instance, "run", 5).unwrap(), Val::from(2u32));
    let error = call(&mut store, &instance, "run", 0).unwrap_err();
    assert_eq!(error.to_string(), "an exception has left a component instance");
    assert!(!store.has_exception());
    // As after a trap, nobody goes on.
    assert!(call(&mut store, &instance, "run", 1).is_err());
}

#[test]
fn the_host_gets_what_nobody_catches() {
    let (mut store, instance) = self::instance();
    let error = call(&mut store, &instance, "f", 0).unwrap_err();
    assert_eq!(error.to_string(), "thrown Wasm exception");
    assert!(store.take_exception().is_some());
}
