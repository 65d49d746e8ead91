//! Two guests on one thread, each waiting for a future of the host.
//!
//! ```text
//! the first guest waits
//! the second guest waits
//! the first guest got 1
//! the second guest got 2
//! ```

use ampoule::{Engine, Error, Linker, Module, Store};
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

thread_local!(static ANSWER: Cell<Option<i32>> = const { Cell::new(None) });

/// What the host waits for; a real one would give the waker to whatever makes the answer.
async fn answer() -> i32 {
    std::future::poll_fn(|_| ANSWER.take().map_or(Poll::Pending, Poll::Ready)).await
}

fn main() -> Result<(), Error> {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        br#"(module (import "host" "ask" (func $ask (result i32))) (func (export "run") (result i32) call $ask))"#,
    )?;
    let mut linker = Linker::new(&engine);
    linker.func_wrap_async("host", "ask", |()| answer())?;
    let pre = linker.instantiate_pre(&module)?;

    // An executor does this: here, a poll at a time.
    let mut context = Context::from_waker(Waker::noop());
    let (mut one, mut two) = (Store::new(&engine), Store::new(&engine));
    let mut runs = Vec::new();
    for store in [&mut one, &mut two] {
        let made = pin!(pre.instantiate_async(store)).poll(&mut context);
        let Poll::Ready(instance) = made else { unreachable!("the module has no start function") };
        runs.push(instance?.get_typed_func::<(), i32>(store, "run")?);
    }
    let (mut first, mut second) = (pin!(runs[0].call_async(&mut one, ())), pin!(runs[1].call_async(&mut two, ())));
    assert!(first.as_mut().poll(&mut context).is_pending());
    println!("the first guest waits");
    assert!(second.as_mut().poll(&mut context).is_pending());
    println!("the second guest waits");
    ANSWER.set(Some(1));
    if let Poll::Ready(got) = first.as_mut().poll(&mut context) {
        println!("the first guest got {}", got?);
    }
    ANSWER.set(Some(2));
    if let Poll::Ready(got) = second.as_mut().poll(&mut context) {
        println!("the second guest got {}", got?);
    }
    Ok(())
}
