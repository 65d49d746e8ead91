//! Exceptions that meet the host.

use super::{World, config, modes};
use ampoule::error::ErrorKind;
use ampoule::func::host::{HostFunc, NativeTakes};
use ampoule::{Caller, Engine, Error, ExnRef, Extern, Func, Instance, Module, Store, Tag, Val};
use ampoule_core::types::{FuncType, TagType, ValType};
use ampoule_core::vm::VmCaller;

fn tag(store: &mut Store) -> Tag {
    Tag::new(store, &TagType { func: FuncType::new([ValType::I32], []) }).unwrap()
}

/// Throws an exception of the tag with its argument.
fn throws(store: &mut Store, tag: Tag) -> Func {
    Func::new(store, &FuncType::new([ValType::I32], [ValType::I32]), move |mut caller, args, _| {
        let exn = ExnRef::new(caller.store(), tag, args)?;
        Err(caller.store().throw(exn)?)
    })
    .unwrap()
}

/// What a host function makes of a nested call's outcome, and of its own result.
type Then = fn(Caller<'_>, Result<(), Error>, &mut Val) -> Result<(), Error>;

/// Calls the export `inner` of its caller, and does with the outcome what `then` says.
fn nests(store: &mut Store, then: Then) -> Func {
    Func::new(store, &FuncType::new([ValType::I32], [ValType::I32]), move |mut caller, args, results| {
        let Some(Extern::Func(inner)) = caller.export("inner") else { panic!("it is exported") };
        let mut answer = [Val::I32(0)];
        let called = inner.call(caller.store(), args, &mut answer);
        results[0] = answer[0].clone();
        then(caller, called, &mut results[0])
    })
    .unwrap()
}

/// `run` catches what `$host` throws, `bare` doesn't; `inner` throws for an odd argument.
const GUEST: &str = r#"(module
  (import "" "t" (tag $t (param i32)))
  (import "" "host" (func $host (param i32) (result i32)))
  (func $inner (export "inner") (param i32) (result i32)
    (if (i32.and (local.get 0) (i32.const 1)) (then (throw $t (local.get 0))))
    (local.get 0))
  (func $bare (export "bare") (param i32) (result i32) (i32.add (call $host (local.get 0)) (i32.const 1000)))
  (func (export "run") (param i32) (result i32)
    (block $h (result i32)
      (try_table (result i32) (catch $t $h) (call $bare (local.get 0)))
      return)
    (i32.add (i32.const 100)))
  (func (export "direct") (param i32) (result i32)
    (block $h (result i32) (try_table (result i32) (catch $t $h) (call $host (local.get 0))))))"#;

fn with_host(config: &ampoule::Config, host: impl FnOnce(&mut Store, Tag) -> Func) -> World {
    World::with(config, GUEST, |store| {
        let tag = tag(store);
        vec![Extern::Tag(tag), Extern::Func(host(store, tag))]
    })
}

fn is_exception(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Exception)
}

/// The only field of the exception that is pending.
fn taken(store: &mut Store) -> i32 {
    let exn = store.take_exception().expect("it is pending");
    match exn.fields(store).unwrap()[..] {
        [Val::I32(field)] => field,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_host_function_throws_is_caught() {
    for (mode, config) in modes() {
        let mut world = with_host(&config, throws);
        for round in 0..3 {
            assert_eq!(world.call("run", round).unwrap(), 100 + round, "{mode}");
            assert_eq!(world.call("direct", round).unwrap(), round, "{mode}");
            assert!(!world.store.has_exception());
        }
        let error = world.call("bare", 5).unwrap_err();
        assert!(is_exception(&error) && error.backtrace().is_none(), "{mode}");
        assert_eq!(taken(&mut world.store), 5);
        assert_eq!(world.call("run", 6).unwrap(), 106, "{mode}");
    }
}

#[test]
fn what_a_guest_throws_passes_the_host_and_is_caught_outside() {
    for (mode, config) in modes() {
        let mut world = with_host(&config, |store, _| nests(store, |_, called, _| called));
        assert_eq!(world.call("run", 7).unwrap(), 107, "{mode}");
        assert_eq!(world.call("direct", 9).unwrap(), 9, "{mode}");
        assert_eq!(world.call("run", 8).unwrap(), 1008, "{mode}");
        assert!(is_exception(&world.call("bare", 7).unwrap_err()));
        assert_eq!(taken(&mut world.store), 7);
    }
}

#[test]
fn a_host_function_may_catch_and_go_on() {
    let mut world = with_host(&config(), |store, _| {
        nests(store, |mut caller, called, result| {
            if called.is_err() {
                *result = Val::I32(10 * taken(caller.store()));
            }
            Ok(())
        })
    });
    assert_eq!(world.call("run", 7).unwrap(), 1070);
    assert!(!world.store.has_exception());
}

#[test]
fn a_host_function_may_answer_another_error_or_another_exception() {
    let mut world = with_host(&config(), |store, _| nests(store, |_, _, _| Err(Error::host("no"))));
    assert_eq!(world.call("run", 7).unwrap_err().to_string(), "no");
    assert!(world.store.has_exception(), "nobody has taken it");
    let mut world = with_host(&config(), |store, _| {
        nests(store, |mut caller, called, _| {
            let field = taken(caller.store());
            assert!(called.is_err());
            let Some(Extern::Tag(tag)) = caller.export("t") else { return called };
            let exn = ExnRef::new(caller.store(), tag, &[Val::I32(field)])?;
            Err(caller.store().throw(exn)?)
        })
    });
    // Taken, and the error is answered all the same: there is nothing to throw any more.
    let error = world.call("run", 7).unwrap_err();
    assert!(is_exception(&error) && !world.store.has_exception());
}

#[test]
fn exceptions_of_another_store_are_refused() {
    let mut world = with_host(&config(), throws);
    let mut other = Store::new(world.store.engine());
    let of_other = tag(&mut other);
    let exn = ExnRef::new(&mut other, of_other, &[Val::I32(1)]).unwrap();
    assert!(matches!(world.store.throw(exn).unwrap_err().kind(), ErrorKind::WrongStore));
    assert!(ExnRef::new(&mut world.store, of_other, &[Val::I32(1)]).is_err());
}

#[test]
fn an_exception_leaves_a_start_function() {
    let engine = Engine::new(&config()).unwrap();
    let wat = r#"(module (tag $t (export "t") (param i32)) (func $start (throw $t (i32.const 3))) (start $start))"#;
    let module = Module::new(&engine, wat.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    assert!(is_exception(&Instance::new(&mut store, &module, &[]).unwrap_err()));
    assert_eq!(taken(&mut store), 3);
}

#[test]
fn tags_are_exported_and_linked_by_name() {
    let engine = Engine::new(&config()).unwrap();
    let mut store = Store::new(&engine);
    let mut linker = ampoule::Linker::new(&engine);
    let thrower = r#"(module (tag $t (export "t") (param i32))
        (func (export "throw") (param i32) (throw $t (local.get 0))))"#;
    let thrower = Module::new(&engine, thrower.as_bytes()).unwrap();
    linker.module(&mut store, "thrower", &thrower).unwrap();
    let catcher = r#"(module
        (import "thrower" "t" (tag $t (param i32))) (import "thrower" "throw" (func $throw (param i32)))
        (tag $same_type (param i32))
        (func (export "run") (param i32) (result i32)
          (block $h (result i32)
            (block $wrong (result i32)
              (try_table (catch $same_type $wrong) (catch $t $h) (call $throw (local.get 0)))
              unreachable)
            drop (i32.const -1)))
        (export "tag" (tag $t)))"#;
    let module = Module::new(&engine, catcher.as_bytes()).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let run = instance.get_typed_func::<i32, i32>(&store, "run").unwrap();
    assert_eq!(run.call(&mut store, 6).unwrap(), 6);
    let Some(Extern::Tag(first)) = linker.get(&mut store, "thrower", "t").unwrap() else { panic!("a tag") };
    assert_eq!(instance.get_tag(&store, "tag"), Some(first));
    assert_eq!(first.ty(&store).unwrap().fields(), [ValType::I32]);
    let exports: Vec<_> = module.exports().map(|(export, ty)| (export.name.clone(), ty.to_string())).collect();
    assert_eq!(exports[1], ("tag".to_string(), "(tag (param i32))".to_string()));
}

#[test]
fn exceptions_pass_the_host_as_values() {
    let wat = r#"(module
      (import "" "same" (func $same (param exnref) (result exnref)))
      (tag $t (export "t") (param i32))
      (func (export "make") (param i32) (result exnref)
        (block $h (result exnref)
          (try_table (catch_all_ref $h) (throw $t (local.get 0)))
          unreachable))
      (func (export "throw") (param exnref) (result i32)
        (block $h (result i32)
          (try_table (catch $t $h) (throw_ref (call $same (local.get 0))))
          unreachable)))"#;
    for (mode, config) in modes() {
        let mut world = World::with(&config, wat, |store| {
            let ty = FuncType::new([ValType::EXNREF], [ValType::EXNREF]);
            let same = Func::new(store, &ty, |mut caller, args, results| {
                caller.store().gc();
                results[0] = args[0].clone();
                Ok(())
            });
            vec![Extern::Func(same.unwrap())]
        });
        let World { store, instance } = &mut world;
        let (make, throw) = (instance.get_func(store, "make").unwrap(), instance.get_func(store, "throw").unwrap());
        let mut made = [Val::I32(0)];
        make.call(store, &[Val::I32(8)], &mut made).unwrap();
        let Val::ExnRef(Some(exn)) = &made[0] else { panic!("an exception") };
        assert_eq!(exn.tag(store).unwrap(), instance.get_tag(store, "t").unwrap(), "{mode}");
        store.gc();
        let mut caught = [Val::I32(0)];
        throw.call(store, &made, &mut caught).unwrap();
        assert_eq!(caught, [Val::I32(8)], "{mode}");
        let null = throw.call(store, &[Val::ExnRef(None)], &mut caught).unwrap_err();
        assert_eq!(null.trap_code(), Some(ampoule::TrapCode::NullReference), "{mode}");
    }
}

/// A plain C function that throws an exception of the caller's tag `t`.
unsafe extern "C" fn raises(caller: *mut VmCaller, field: i32) -> i32 {
    // SAFETY: the adapter's, for this call.
    let mut caller = unsafe { Caller::from_vm(caller) };
    let Some(Extern::Tag(tag)) = caller.export("t") else { panic!("it is exported") };
    let store = caller.store();
    let exn = ExnRef::new(store, tag, &[Val::I32(field)]).unwrap();
    let error = store.throw(exn).unwrap();
    store.raise(error).unwrap();
    -1
}

#[test]
fn what_a_plain_c_function_throws_is_caught() {
    let wat = r#"(module
      (import "" "raises" (func $raises (param i32) (result i32)))
      (tag $t (export "t") (param i32))
      (func $bare (export "bare") (param i32) (result i32) (call $raises (local.get 0)))
      (func (export "run") (param i32) (result i32)
        (block $h (result i32) (try_table (catch $t $h) (drop (call $bare (local.get 0)))) unreachable)))"#;
    for (mode, config) in modes() {
        let mut world = World::with(&config, wat, |store| {
            let ty = FuncType::new([ValType::I32], [ValType::I32]);
            let takes = NativeTakes { env: false, caller: true };
            // SAFETY: the function is of this type, and may be called at any time.
            let host = unsafe {
                let callback = raises as *const std::ffi::c_void;
                HostFunc::native(store.engine(), &ty, callback, takes, std::ptr::null_mut(), Box::new(())).unwrap()
            };
            vec![Extern::Func(Func::from_host(store, &std::sync::Arc::new(host)))]
        });
        assert_eq!(world.call("run", 12).unwrap(), 12, "{mode}");
        assert!(is_exception(&world.call("bare", 13).unwrap_err()), "{mode}");
        assert_eq!(taken(&mut world.store), 13, "{mode}");
        assert_eq!(world.call("run", 14).unwrap(), 14, "{mode}");
    }
}
