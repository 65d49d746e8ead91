//! Exceptions in asynchronous calls.

use super::{World, config};
use ampoule::func::host::HostFunc;
use ampoule::{Engine, ExnRef, Extern, Func, Instance, Module, Store, Tag, Val};
use ampoule_core::types::{FuncType, TagType};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Is ready the second time.
struct Once(bool);

impl Future for Once {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

const GUEST: &str = r#"(module
  (import "" "wait" (func $wait))
  (tag $t (param i32))
  (global $caught (export "caught") (mut i32) (i32.const 0))
  (func $throw (param i32)
    (call $wait)
    (if (local.get 0) (then (call $throw (i32.const 0))))
    (throw $t (i32.const 5)))
  (func (export "run") (param i32) (result i32)
    (local $sum i32)
    (loop $again
      (block $h (result i32)
        (try_table (catch $t $h)
          (call $wait)
          (call $throw (i32.const 1)))
        unreachable)
      (local.set $sum (i32.add (local.get $sum)))
      (global.set $caught (local.get $sum))
      (call $wait)
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $sum)))"#;

fn world() -> World {
    let engine = Engine::new(&config()).unwrap();
    let module = Module::new(&engine, GUEST.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let wait = Func::wrap_async(&mut store, |()| Once(false)).unwrap();
    let instance = instantiated(&mut store, &module, wait);
    World { store, instance }
}

fn instantiated(store: &mut Store, module: &Module, wait: Func) -> Instance {
    let mut made = pin!(Instance::new_async(store, module, &[Extern::Func(wait)]));
    match made.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(made) => made.unwrap(),
        Poll::Pending => panic!("it has no start function"),
    }
}

#[test]
fn what_is_thrown_after_a_pause_is_caught() {
    let World { mut store, instance } = world();
    let run = instance.get_typed_func::<i32, i32>(&store, "run").unwrap();
    let mut call = pin!(run.call_async(&mut store, 20));
    let mut polls = 0;
    let answer = loop {
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => break answer,
            Poll::Pending => polls += 1,
        }
    };
    assert_eq!((answer.unwrap(), polls), (100, 80));
}

#[test]
fn a_guest_that_is_given_up_catches_nothing() {
    let World { mut store, instance } = world();
    let run = instance.get_typed_func::<i32, i32>(&store, "run").unwrap();
    for polls in [1, 2, 3, 4, 5, 6] {
        let Some(Extern::Global(caught)) = instance.get_export(&store, "caught") else { panic!("a global") };
        caught.set(&mut store, &Val::I32(0)).unwrap();
        {
            let mut call = pin!(run.call_async(&mut store, 20));
            for _ in 0..polls {
                assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
        }
        let expected = if polls < 4 { 0 } else { 5 };
        assert_eq!(caught.get(&mut store).unwrap(), Val::I32(expected), "{polls}");
        assert!(!store.has_exception());
    }
}

/// A host function may answer with an exception when it is told that the guest was given up.
#[test]
fn a_guest_that_is_given_up_catches_nothing_that_the_host_throws_then() {
    let wat = r#"(module
      (import "" "wait" (func $wait))
      (global $caught (export "caught") (mut i32) (i32.const 0))
      (func $between (param i32)
        (if (local.get 0) (then (call $between (i32.const 0)) (return)))
        (call $wait))
      (func (export "run") (param i32) (result i32)
        (block $h (try_table (catch_all $h) (call $between (i32.const 1))) (return (i32.const 1)))
        (global.set $caught (i32.const 1))
        (i32.const 2)))"#;
    let engine = Engine::new(&config()).unwrap();
    let module = Module::new(&engine, wat.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let tag = Tag::new(&mut store, &TagType { func: FuncType::new([], []) }).unwrap();
    let wait = HostFunc::new(&engine, &FuncType::new([], []), move |mut caller, _, _| {
        let Err(_) = caller.store().suspend() else { return Ok(()) };
        let exn = ExnRef::new(caller.store(), tag, &[])?;
        Err(caller.store().throw(exn)?)
    });
    let wait = Func::from_host(&mut store, &Arc::new(wait.unwrap().suspending()));
    let instance = instantiated(&mut store, &module, wait);
    let run = instance.get_typed_func::<i32, i32>(&store, "run").unwrap();
    {
        let mut call = pin!(run.call_async(&mut store, 0));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let Some(Extern::Global(caught)) = instance.get_export(&store, "caught") else { panic!("a global") };
    assert_eq!(caught.get(&mut store).unwrap(), Val::I32(0));
}
