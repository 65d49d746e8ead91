//! Exceptions in asynchronous calls.

use super::{World, config};
use ampoule::{Engine, Extern, Func, Instance, Module, Store, Val};
use std::future::Future;
use std::pin::{Pin, pin};
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
    let instance = {
        let mut made = pin!(Instance::new_async(&mut store, &module, &[Extern::Func(wait)]));
        let Poll::Ready(made) = made.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("it has no start function")
        };
        made.unwrap()
    };
    World { store, instance }
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
