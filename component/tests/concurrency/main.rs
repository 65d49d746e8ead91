//! Claims about calls that run beside each other: functions of the host that take a while, tasks that outlive their call, what stops them,
//! and how many there may be.

mod bounds;
mod host;
mod limits;

use ampoule::{Config, Engine, Error, Store};
use ampoule_component::{Component, Func, HostFuture, Instance, Linker, Val, ValRef};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// A guest with functions that wait in each of the ways, for `later`, a function of the host's that answers its argument some time.
const GUEST: &str = r#"(component
    (import "later" (func $later async (param "n" u32) (result u32)))
    (core module $memory (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
    (core instance $memory (instantiate $memory))
    (core func $later-sync (canon lower (func $later)))
    (core func $later-async (canon lower (func $later) async (memory (core memory $memory "memory"))))
    (core func $set.new (canon waitable-set.new))
    (core func $set.wait (canon waitable-set.wait (memory (core memory $memory "memory"))))
    (core func $join (canon waitable.join))
    (core func $subtask.drop (canon subtask.drop))
    (core func $subtask.cancel (canon subtask.cancel))
    (core func $yield (canon thread.yield))
    (core func $return (canon task.return (result u32)))
    (core module $m
        (import "" "memory" (memory 1))
        (import "" "later-sync" (func $later-sync (param i32) (result i32)))
        (import "" "later-async" (func $later-async (param i32 i32) (result i32)))
        (import "" "set.new" (func $set.new (result i32)))
        (import "" "set.wait" (func $set.wait (param i32 i32) (result i32)))
        (import "" "join" (func $join (param i32 i32)))
        (import "" "subtask.drop" (func $subtask.drop (param i32)))
        (import "" "subtask.cancel" (func $subtask.cancel (param i32) (result i32)))
        (import "" "yield" (func $yield (result i32)))
        (import "" "return" (func $return (param i32)))
        (global $set (mut i32) (i32.const 0))
        (global $left (mut i32) (i32.const 0))

        (func (export "wait") (param i32) (result i32) (call $later-sync (local.get 0)))

        ;; Calls as often as told, and then waits for all; answers the sum.
        (func (export "many") (param $n i32) (result i32)
            (local $set i32) (local $i i32) (local $answer i32) (local $sum i32)
            (local.set $set (call $set.new))
            (loop $next
                (local.set $answer (call $later-async (local.get $i) (i32.add (i32.const 1024) (i32.mul (i32.const 4) (local.get $i)))))
                (if (i32.ne (i32.and (local.get $answer) (i32.const 15)) (i32.const 2)) (then
                    (global.set $left (i32.add (global.get $left) (i32.const 1)))
                    (call $join (i32.shr_u (local.get $answer) (i32.const 4)) (local.get $set))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
            (loop $wait
                (if (global.get $left) (then
                    (drop (call $set.wait (local.get $set) (i32.const 0)))
                    (call $subtask.drop (i32.load (i32.const 0)))
                    (global.set $left (i32.sub (global.get $left) (i32.const 1)))
                    (br $wait))))
            (local.set $i (i32.const 0))
            (loop $next
                (local.set $sum (i32.add (local.get $sum) (i32.load (i32.add (i32.const 1024) (i32.mul (i32.const 4) (local.get $i))))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
            (local.get $sum))

        ;; Calls, and cancels the call; answers its state.
        (func (export "cancel") (param i32) (result i32)
            (local $answer i32) (local $subtask i32)
            (local.set $subtask (i32.shr_u (call $later-async (local.get 0) (i32.const 1024)) (i32.const 4)))
            (local.set $answer (call $subtask.cancel (local.get $subtask)))
            (call $subtask.drop (local.get $subtask))
            (local.get $answer))

        ;; Answers at once, and calls afterwards.
        (func (export "behind") (param i32) (result i32)
            (local $answer i32)
            (global.set $set (call $set.new))
            (call $return (local.get 0))
            (local.set $answer (call $later-async (local.get 0) (i32.const 2048)))
            (call $join (i32.shr_u (local.get $answer) (i32.const 4)) (global.get $set))
            (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))
        (func (export "behind-callback") (param i32 i32 i32) (result i32)
            (call $subtask.drop (local.get 1))
            (i32.const 0))
        (func (export "stored") (result i32) (i32.load (i32.const 2048)))

        ;; Lets others run until there is an answer to what was called behind.
        (func (export "until") (loop (drop (call $yield)) (br_if 0 (i32.eqz (i32.load (i32.const 2048))))))

        ;; Never ends by itself.
        (func (export "spin") (loop (drop (call $yield)) (br 0)))
        (func (export "compute") (loop (br 0)))
        (func (export "hang") (drop (call $set.wait (call $set.new) (i32.const 0))))
        (func (export "trap") unreachable))
    (core instance $i (instantiate $m (with "" (instance
        (export "memory" (memory $memory "memory"))
        (export "later-sync" (func $later-sync)) (export "later-async" (func $later-async))
        (export "set.new" (func $set.new)) (export "set.wait" (func $set.wait)) (export "join" (func $join))
        (export "subtask.drop" (func $subtask.drop)) (export "subtask.cancel" (func $subtask.cancel))
        (export "yield" (func $yield)) (export "return" (func $return))))))
    (func (export "wait") async (param "n" u32) (result u32) (canon lift (core func $i "wait")))
    (func (export "many") async (param "n" u32) (result u32) (canon lift (core func $i "many")))
    (func (export "cancel") async (param "n" u32) (result u32) (canon lift (core func $i "cancel")))
    (func (export "behind") async (param "n" u32) (result u32)
        (canon lift (core func $i "behind") async (callback (core func $i "behind-callback"))))
    (func (export "stored") (result u32) (canon lift (core func $i "stored")))
    (func (export "until") async (canon lift (core func $i "until")))
    (func (export "spin") async (canon lift (core func $i "spin")))
    (func (export "compute") async (canon lift (core func $i "compute")))
    (func (export "hang") async (canon lift (core func $i "hang")))
    (func (export "trap") async (canon lift (core func $i "trap"))))"#;

/// What is to be answered, later: the test does.
#[derive(Clone, Default)]
struct Later {
    calls: Arc<Mutex<Vec<Call>>>,
    /// Futures that are there.
    alive: Arc<AtomicU32>,
}

struct Call {
    arg: u32,
    answer: Arc<Mutex<(Option<u32>, Option<Waker>)>>,
}

struct Answer {
    answer: Arc<Mutex<(Option<u32>, Option<Waker>)>>,
    alive: Arc<AtomicU32>,
}

impl Future for Answer {
    type Output = Result<Option<Val>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = self.answer.lock().unwrap();
        match answer.0 {
            Some(value) => Poll::Ready(Ok(Some(Val::from(value)))),
            None => {
                answer.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Later {
    fn future(&self, arg: u32) -> HostFuture {
        let answer = Arc::new(Mutex::new((None, None)));
        self.calls.lock().unwrap().push(Call { arg, answer: answer.clone() });
        self.alive.fetch_add(1, Ordering::Relaxed);
        Box::pin(Answer { answer, alive: self.alive.clone() })
    }

    /// Answers every call that was made, with ten times its argument; the last first.
    fn answer(&self) {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        for call in calls.into_iter().rev() {
            let waker = {
                let mut answer = call.answer.lock().unwrap();
                answer.0 = Some(call.arg * 10);
                answer.1.take()
            };
            waker.expect("it has been polled").wake();
        }
    }

    fn alive(&self) -> u32 {
        self.alive.load(Ordering::Relaxed)
    }
}

fn arg(args: &[Val]) -> u32 {
    match args[0].get() {
        ValRef::U32(n) => n,
        other => panic!("{other:?} is no u32"),
    }
}

fn engine(config: &Config) -> Engine {
    Engine::new(config).unwrap()
}

/// An instance of a component that imports `later`, which the test answers.
fn instantiate(engine: &Engine, text: &str) -> (Box<Store>, Instance, Later) {
    let later = Later::default();
    let mut linker = Linker::new(engine);
    let calls = later.clone();
    linker.root().func_async("later", move |_, _, args| calls.future(arg(&args))).unwrap();
    let component = Component::new(engine, text.as_bytes()).unwrap();
    let mut store = Store::new(engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    (store, instance, later)
}

fn func(store: &mut Store, instance: &Instance, name: &str) -> Func {
    instance.get_func(store, &[name]).unwrap().expect("the component exports it")
}

/// Calls a function with a number, or without arguments, and gives the number that it answers.
fn call(store: &mut Store, instance: &Instance, name: &str, args: &[u32]) -> Result<u32, Error> {
    let func = func(store, instance, name);
    let args: Vec<_> = args.iter().map(|&arg| Val::from(arg)).collect();
    let mut results = vec![Val::default(); usize::from(func.ty(store)?.result().is_some())];
    func.call(store, &args, &mut results)?;
    Ok(if results.is_empty() { 0 } else { arg(&results) })
}
