//! Calls as futures: a guest that waits for the host's own futures, or that yields, leaves the thread to others.
//!
//! The guest runs on a stack of its own ([`crate::store::task`]). A poll of the call's future resumes it on the thread that polls. A
//! host function made of an asynchronous closure suspends it until the closure's future, which gets the waker of that poll, is ready.

use crate::error::Error;
use crate::func::Func;
use crate::func::caller::Caller;
use crate::func::host::HostFunc;
use crate::func::typed::{HostResult, TypedFunc, WasmTypes, host_func};
use crate::store::Store;
use crate::store::task::{Task, Work};
use std::fmt;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Of the poll that runs: whom to wake, and whether a future of the host will.
struct Polling {
    waker: Waker,
    will_wake: bool,
}

type Run<T> = dyn FnOnce(&mut Store) -> Result<T, Error>;

/// What is to be done in the store, and what came of it.
struct Job<T> {
    run: Option<Box<Run<T>>>,
    result: Option<T>,
}

impl<T: 'static> Work for Job<T> {
    fn run(&mut self, store: &mut Store) -> Result<(), Error> {
        let run = self.run.take().expect("work runs once");
        self.result = Some(run(store)?);
        Ok(())
    }
}

/// A call that was begun; see [`TypedFunc::call_async`]. Dropping it ends the guest.
///
/// It stays on the thread that made it: a host function that is suspended may hold what is that thread's.
pub struct CallFuture<'a, T: 'static> {
    task: Option<Box<Task<Job<T>>>>,
    store: *mut Store,
    lent: PhantomData<&'a mut Store>,
}

impl<'a, T: 'static> CallFuture<'a, T> {
    /// Does `run` in the store, when it is polled.
    pub(crate) fn new(store: &'a mut Store, run: impl FnOnce(&mut Store) -> Result<T, Error> + 'static) -> Self {
        let job = Job { run: Some(Box::new(run)), result: None };
        let lent: *mut Store = store;
        // SAFETY: the store is lent to the future for as long as there is one, on one thread; if the future is forgotten, the task stays
        // in memory, and the store ends it. Nothing moves out of the box.
        let task = unsafe { Task::new(store, |slot| _ = slot.write(job)) };
        CallFuture { task: Some(task), store: lent, lent: PhantomData }
    }
}

impl<T> Future for CallFuture<'_, T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        // SAFETY: the store is lent to this future, and nobody runs in it: whoever polls has the future for itself.
        let slots = unsafe { (*this.store).slots_mut() };
        slots.insert(Polling { waker: context.waker().clone(), will_wake: false });
        // SAFETY: as above.
        unsafe { (*this.store).set_host_waker(Some(context.waker().clone())) };
        let task = this.task.as_mut().expect("a future is not polled again after it was done");
        // SAFETY: the store is lent to this future, which stays on one thread; the box stays where it is.
        let polled = unsafe { task.poll() };
        // SAFETY: as above; the guest waits, or is over.
        let polling = unsafe { (*this.store).slots_mut().remove::<Polling>() };
        // SAFETY: as above.
        let is_armed = unsafe { (*this.store).host_waker_is_armed() };
        if polled.is_ready() {
            // SAFETY: as above.
            unsafe { (*this.store).set_host_waker(None) };
        }
        match polled {
            Poll::Pending => {
                // It has yielded, at an epoch or after a portion of fuel, and goes on at the next poll.
                if !is_armed && polling.is_some_and(|polling| !polling.will_wake) {
                    context.waker().wake_by_ref();
                }
                Poll::Pending
            }
            Poll::Ready(outcome) => {
                let result = task.work().result.take();
                this.task = None;
                Poll::Ready(outcome.map(|()| result.expect("what ran without an error has its result")))
            }
        }
    }
}

impl<T> Drop for CallFuture<'_, T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.delete();
            // SAFETY: the store is lent to this future still.
            unsafe { (*self.store).set_host_waker(None) };
        }
    }
}

impl<Params: WasmTypes, Results: WasmTypes> TypedFunc<Params, Results> {
    /// The call as a future. Nothing runs before it is polled; when it is dropped before it is done, the guest ends.
    ///
    /// ```
    /// use ampoule::{Engine, Func, Store};
    /// use std::future::Future;
    /// use std::task::{Context, Poll, Waker};
    ///
    /// let mut store = Store::new(&Engine::default());
    /// let later = Func::wrap_async(&mut store, |(value,): (i32,)| async move { value + 1 })?;
    /// let later = later.typed::<i32, i32>(&store)?;
    /// let mut call = std::pin::pin!(later.call_async(&mut store, 41));
    /// assert!(matches!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(42))));
    /// # Ok::<(), ampoule::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`TypedFunc::call`]; and where the store has an asynchronous call that isn't finished.
    pub fn call_async<'a>(&self, store: &'a mut Store, params: Params) -> CallFuture<'a, Results> {
        let func = *self;
        CallFuture::new(store, move |store| func.call(store, params))
    }
}

impl Func {
    /// A function of the host that may wait: `closure` makes a future of the arguments, a tuple, and the guest is suspended until that
    /// is ready. The store takes asynchronous calls only from then on.
    ///
    /// # Errors
    /// See [`Func::wrap`].
    pub fn wrap_async<Params, Closure, Answer>(store: &mut Store, closure: Closure) -> Result<Func, Error>
    where
        Params: WasmTypes,
        Closure: Fn(Params) -> Answer + Send + Sync + 'static,
        Answer: Future<Output: HostResult> + 'static,
    {
        let host = async_host_func(store.engine(), closure)?;
        Ok(Func::from_host(store, &Arc::new(host)))
    }
}

/// See [`Func::wrap_async`].
pub(crate) fn async_host_func<Params, Closure, Answer>(
    engine: &crate::Engine,
    closure: Closure,
) -> Result<HostFunc, Error>
where
    Params: WasmTypes,
    Closure: Fn(Params) -> Answer + Send + Sync + 'static,
    Answer: Future<Output: HostResult> + 'static,
{
    let call = move |mut caller: Caller<'_>, params: Params| {
        let mut future = pin!(closure(params));
        loop {
            let polling = caller.store().slots_mut().get_mut::<Polling>();
            let polling = polling.ok_or_else(|| Error::message("the call is polled by something that wakes nobody"))?;
            let waker = polling.waker.clone();
            if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return answer.into_result();
            }
            if let Some(polling) = caller.store().slots_mut().get_mut::<Polling>() {
                polling.will_wake = true;
            }
            caller.store().suspend()?;
        }
    };
    host_func::<Params, <Answer::Output as HostResult>::Values, _>(engine, call).map(HostFunc::suspending)
}

impl<T> fmt::Debug for CallFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallFuture").field("is_over", &self.task.is_none()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Engine, Extern, Instance, Module};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ready at its second poll; wakes nobody in between.
    struct Twice(bool);

    impl Future for Twice {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
        }
    }

    fn doubling(store: &mut Store) -> TypedFunc<i32, i32> {
        let later = Func::wrap_async(store, |(value,): (i32,)| async move {
            Twice(false).await;
            if value < 0 { Err(Error::message("too little")) } else { Ok(value * 2) }
        });
        let module = Module::new(
            store.engine(),
            br#"(module (import "" "" (func $later (param i32) (result i32)))
                (func (export "run") (param i32) (result i32) (i32.add (call $later (local.get 0)) (i32.const 1))))"#,
        );
        let imports = [Extern::Func(later.unwrap())];
        let made = {
            let instance = pin!(Instance::new_async(store, &module.unwrap(), &imports));
            instance.poll(&mut Context::from_waker(Waker::noop()))
        };
        let Poll::Ready(Ok(instance)) = made else { panic!("there is no start function that could wait") };
        instance.get_typed_func(store, "run").unwrap()
    }

    #[test]
    fn a_guest_waits_for_a_future_of_the_host() {
        let mut store = Store::new(&Engine::default());
        let run = doubling(&mut store);
        let woken = Arc::new(Woken::default());
        let waker = woken.clone().into();
        let mut context = Context::from_waker(&waker);
        for _ in 0..2 {
            let mut call = pin!(run.call_async(&mut store, 20));
            assert!(call.as_mut().poll(&mut context).is_pending());
            assert_eq!(woken.0.load(Ordering::Relaxed), 0, "the host's future wakes, nobody else");
            assert!(matches!(call.as_mut().poll(&mut context), Poll::Ready(Ok(41))));
        }
        let mut call = pin!(run.call_async(&mut store, -1));
        assert!(call.as_mut().poll(&mut context).is_pending());
        let Poll::Ready(Err(error)) = call.as_mut().poll(&mut context) else { panic!("it fails") };
        assert!(error.to_string().contains("too little"), "{error}");
    }

    #[test]
    fn a_call_that_is_dropped_ends_and_the_store_goes_on() {
        let mut store = Store::new(&Engine::default());
        let run = doubling(&mut store);
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(run.call_async(&mut store, 1)).poll(&mut context).is_pending());
        assert!(run.call(&mut store, 1).is_err(), "the store takes asynchronous calls only");
        let mut call = pin!(run.call_async(&mut store, 2));
        assert!(call.as_mut().poll(&mut context).is_pending());
        assert!(matches!(call.as_mut().poll(&mut context), Poll::Ready(Ok(5))));
    }

    #[test]
    fn a_guest_that_yields_asks_to_be_polled_again() {
        let engine = Engine::new(Config::new().consume_fuel(true)).unwrap();
        let module = Module::new(
            &engine,
            br#"(module (func (export "run") (param i32) (loop
                (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#,
        );
        let mut store = Store::new(&engine);
        store.set_fuel(1_000_000).unwrap();
        let instance = Instance::new(&mut store, &module.unwrap(), &[]).unwrap();
        store.set_fuel_yield_interval(1000).unwrap();
        let run = instance.get_typed_func::<i32, ()>(&store, "run").unwrap();
        let woken = Arc::new(Woken::default());
        let waker = woken.clone().into();
        let mut call = pin!(run.call_async(&mut store, 1000));
        let mut polls = 1;
        while call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            assert_eq!(woken.0.load(Ordering::Relaxed), polls);
            polls += 1;
        }
        assert!(polls > 2, "{polls}");
    }

    #[test]
    fn who_polls_is_woken_once_what_the_host_lets_wait_is_there() {
        let mut store = Store::new(&Engine::default());
        let waits = Func::wrap(&mut store, |mut caller: Caller<'_>, milliseconds: i32| {
            let at = std::time::Instant::now() + std::time::Duration::from_millis(milliseconds as u64);
            let mut timer = caller.store().reactor()?.timer();
            caller.store().wait_until(|_, context| {
                if std::time::Instant::now() >= at {
                    return Poll::Ready(());
                }
                timer.arm(at, context.waker());
                Poll::Pending
            })
        });
        let waits = waits.unwrap().typed::<i32, ()>(&store).unwrap();
        let woken = Arc::new(Woken::default());
        let waker = woken.clone().into();
        let mut call = pin!(waits.call_async(&mut store, 30));
        let mut polls = 1;
        while call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            while woken.0.load(Ordering::Relaxed) < polls {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            polls += 1;
        }
        assert!((2..=3).contains(&polls), "{polls}");
    }
}
