//! Claims about asynchronous calls: what waits, what is given up, and which stacks they leave behind.

use super::*;
use crate::{Caller, Config, Engine, Extern, Func, FuncType, Instance, Module, PoolConfig, Val, ValType};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Work of a test.
struct Run<F>(F);

impl<F: FnMut(&mut Store) -> Result<(), Error> + 'static> Work for Run<F> {
    fn run(&mut self, store: &mut Store) -> Result<(), Error> {
        (self.0)(store)
    }
}

fn task<F: FnMut(&mut Store) -> Result<(), Error> + 'static>(store: &mut Store, run: F) -> Box<Task<Run<F>>> {
    // SAFETY: each test uses its store on one thread, and leaves the box where it is.
    unsafe { Task::new(store, |slot| _ = slot.write(Run(run))) }
}

fn poll<W: Work>(task: &mut Task<W>) -> Poll<Result<(), Error>> {
    // SAFETY: as above.
    unsafe { task.poll() }
}

/// A guest that calls a host function over and over, until that fails. The host function counts, and suspends the guest.
fn guest(store: &mut Store, counter: &Arc<AtomicU32>, swallows: bool) -> Func {
    let counter = counter.clone();
    let host = Func::new(store, &FuncType::new([], []), move |mut caller: Caller<'_>, _, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        let outcome = caller.store().suspend();
        if swallows { Ok(()) } else { outcome }
    });
    let wat = br#"(module (import "" "" (func $host)) (func (export "run") (loop call $host br 0)))"#;
    let module = Module::new(store.engine(), wat).unwrap();
    let instance = Instance::new(store, &module, &[Extern::Func(host.unwrap())]).unwrap();
    instance.get_func(store, "run").unwrap()
}

#[test]
fn work_outside_of_any_guest_can_be_suspended() {
    let mut store = Store::new(&Engine::default());
    let steps = Arc::new(AtomicU32::new(0));
    let mut waiting = task(&mut store, {
        let steps = steps.clone();
        move |store| {
            for _ in 0..3 {
                steps.fetch_add(1, Ordering::Relaxed);
                store.suspend()?;
            }
            Err(Error::message("the end"))
        }
    });
    for step in 1..=3 {
        assert!(poll(&mut waiting).is_pending());
        assert_eq!(steps.load(Ordering::Relaxed), step);
    }
    let Poll::Ready(Err(error)) = poll(&mut waiting) else { panic!("it ends") };
    assert_eq!(error.to_string(), "the end");
    assert!(waiting.is_over() && store.suspend().is_err());
}

#[test]
fn a_dropped_task_ends_though_its_host_function_swallows_the_error() {
    for swallows in [false, true] {
        let mut store = Store::new(&Engine::default());
        let counter = Arc::new(AtomicU32::new(0));
        let run = guest(&mut store, &counter, swallows);
        let mut waiting = task(&mut store, move |store| run.call(store, &[], &mut []));
        for _ in 0..5 {
            assert!(poll(&mut waiting).is_pending());
        }
        assert!(run.call(&mut store, &[], &mut []).unwrap_err().to_string().contains("is not finished"));
        drop(waiting);
        assert_eq!(counter.load(Ordering::Relaxed), 5);
        // The store takes ordinary calls again, which can't be suspended.
        if !swallows {
            assert!(run.call(&mut store, &[], &mut []).is_err());
            assert_eq!(counter.load(Ordering::Relaxed), 6);
        }
    }
}

#[test]
fn a_store_that_is_dropped_first_gives_its_task_up() {
    let mut store = Store::new(&Engine::default());
    let counter = Arc::new(AtomicU32::new(0));
    let run = guest(&mut store, &counter, true);
    let mut waiting = task(&mut store, move |store| run.call(store, &[], &mut []));
    assert!(poll(&mut waiting).is_pending());
    drop(store);
    let Poll::Ready(Err(error)) = poll(&mut waiting) else { panic!("it has ended") };
    assert_eq!(error.to_string(), given_up().to_string());
    assert_eq!(Arc::strong_count(&counter), 1, "the host function went with the store");
}

#[test]
fn work_may_wait_for_other_work_before_and_after_it_enters_the_guest() {
    for async_only in [false, true] {
        let mut store = Store::new(&Engine::default());
        let counter = Arc::new(AtomicU32::new(0));
        let run = guest(&mut store, &counter, false);
        if async_only {
            store.require_async();
        }
        let mut outer = task(&mut store, move |store| {
            // To its end, with a guest that is given up on the way; and another, left waiting meanwhile.
            let mut first = task(store, |store| store.suspend());
            assert!(poll(&mut first).is_pending());
            store.suspend()?;
            assert!(matches!(poll(&mut first), Poll::Ready(Ok(()))));
            let mut second = task(store, move |store| run.call(store, &[], &mut []));
            assert!(poll(&mut second).is_pending());
            store.suspend()?;
            drop(second);
            run.call(store, &[], &mut [])
        });
        assert!(poll(&mut outer).is_pending());
        assert!(poll(&mut outer).is_pending());
        assert_eq!(counter.load(Ordering::Relaxed), 1, "the second has entered the guest");
        assert!(poll(&mut outer).is_pending());
        assert_eq!(counter.load(Ordering::Relaxed), 2, "then the first");
        drop(outer);
        assert_eq!((store.vm.caller.is_null(), store.vm.entry_fp()), (true, usize::from(async_only)));
    }
}

/// A guest with more values than there are registers, of three types, which change at every iteration of its loop.
fn busy_guest() -> String {
    let each = |text: &dyn Fn(usize, &str) -> String| -> String {
        (0..24).map(|n| text(n, ["i64", "f64", "f32"][n % 3])).collect()
    };
    let locals = each(&|n, ty| format!("(local $v{n} {ty})"));
    let begin = each(&|n, ty| format!("(local.set $v{n} ({ty}.const {}))", n + 3));
    let turn = each(&|n, ty| {
        format!(
            "(local.set $v{n} ({ty}.add (local.get $v{n}) ({ty}.mul (local.get $v{}) ({ty}.const 3))))",
            (n + 3) % 24
        )
    });
    let sum = each(&|n, ty| match ty {
        "i64" => format!("(local.set $sum (i64.add (i64.rotl (local.get $sum) (i64.const 7)) (local.get $v{n})))"),
        "f64" => format!(
            "(local.set $sum (i64.xor (i64.mul (local.get $sum) (i64.const 31)) (i64.reinterpret_f64 (local.get $v{n}))))"
        ),
        _ => format!(
            "(local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (i32.reinterpret_f32 (local.get $v{n})))))"
        ),
    });
    format!(
        r#"(module (func (export "run") (param $turns i32) (result i64) (local $sum i64) {locals} {begin}
            (loop $again {turn} {sum}
                (br_if $again (local.tee $turns (i32.sub (local.get $turns) (i32.const 1)))))
            (local.get $sum)))"#
    )
}

#[test]
fn a_guest_that_yields_at_every_turn_computes_what_it_computes_otherwise() {
    const TURNS: i32 = 50;
    let run = |config: &mut crate::Config, prepare: fn(&mut Store)| {
        let mut store = Store::new(&Engine::new(config).unwrap());
        prepare(&mut store);
        let module = Module::new(store.engine(), busy_guest().as_bytes()).unwrap();
        let (mut yields, sum) = (0, Arc::new(std::sync::Mutex::new(Val::I64(0))));
        let result = sum.clone();
        let mut call = task(&mut store, move |store| {
            let instance = Instance::new(store, &module, &[])?;
            let run = instance.get_func(store, "run").unwrap();
            run.call(store, &[Val::I32(TURNS)], std::slice::from_mut(&mut *result.lock().unwrap()))
        });
        while poll(&mut call).is_pending() {
            yields += 1;
        }
        let sum = sum.lock().unwrap().clone();
        (yields, sum)
    };
    let (none, expected) = run(&mut crate::Config::new(), |_| ());
    assert_ne!(expected, Val::I64(0));
    let (epochs, sum) =
        run(crate::Config::new().epoch_interruption(true), |store| store.epoch_deadline_yield_and_update(0));
    assert_eq!((none, sum), (0, expected.clone()));
    assert!(epochs >= TURNS, "{epochs}");
    let (fuel, sum) = run(crate::Config::new().consume_fuel(true), |store| {
        store.set_fuel(u64::MAX).unwrap();
        store.set_fuel_yield_interval(1).unwrap();
    });
    assert_eq!(sum, expected);
    assert!(fuel >= TURNS, "{fuel}");
}

#[test]
fn a_panic_of_the_work_is_an_error() {
    let mut store = Store::new(&Engine::default());
    let mut panicking = task(&mut store, |_| panic!("on purpose"));
    assert!(matches!(poll(&mut panicking), Poll::Ready(Err(_))));
    let ty = FuncType::new([], [ValType::I32]);
    let one = Func::new(&mut store, &ty, |_, _, results| {
        results[0] = Val::I32(1);
        Ok(())
    });
    let mut results = [Val::I32(0)];
    one.unwrap().call(&mut store, &[], &mut results).unwrap();
    assert_eq!(results[0], Val::I32(1));
}

/// An engine that counts its stacks, with so many of them.
fn counting(total_stacks: u32) -> Engine {
    let pool = PoolConfig { total_stacks, ..PoolConfig::default() };
    Engine::new(&Config { pool: Some(pool), ..Config::default() }).unwrap()
}

/// A task that uses some stack, waits once, and finds what it wrote there.
fn run_on_stack(store: &mut Store, pattern: u8) {
    let mut first = task(store, move |store| {
        let bytes = std::hint::black_box([pattern; 20_000]);
        store.suspend()?;
        assert!(std::hint::black_box(bytes).iter().all(|&byte| byte == pattern));
        Ok(())
    });
    assert!(poll(&mut first).is_pending());
    assert!(matches!(poll(&mut first), Poll::Ready(Ok(()))));
}

#[test]
fn counted_stacks_keep_their_memory_while_there_are_stores_for_them() {
    let faults = || {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(7).unwrap().parse::<u64>().unwrap()
    };
    let engine = counting(3);
    let mut stores = [0, 1].map(|_| Store::new(&engine));
    let mut many = || {
        let before = faults();
        (0..100).for_each(|round| stores.iter_mut().for_each(|store| run_on_stack(store, round)));
        faults() - before
    };
    many();
    let found = many();
    assert!(found < 100, "{found} page faults");
    let range = {
        let fiber = engine.stacks().take().unwrap();
        let range = fiber.stack().range();
        engine.stacks().give(fiber);
        range
    };
    let written = || ampoule_machine::os::pagemap::written_bytes(range.start, range.len());
    assert!(written().is_none_or(|bytes| bytes > 20_000));
    drop(stores);
    assert!(written().is_none_or(|bytes| bytes == 0), "nobody is left who would use it");
}

#[test]
fn threads_with_many_stores_are_refused_no_counted_stack() {
    let engine = counting(3);
    std::thread::scope(|scope| {
        for pattern in 0..3 {
            let engine = &engine;
            scope.spawn(move || {
                for _ in 0..20 {
                    let mut stores: Vec<_> = (0..4).map(|_| Store::new(engine)).collect();
                    (0..20).for_each(|_| stores.iter_mut().for_each(|store| run_on_stack(store, pattern)));
                }
            });
        }
    });
    let all = [(); 3].map(|()| engine.stacks().take().unwrap());
    assert!(engine.stacks().take().is_err());
    drop(all);
}

#[test]
fn a_store_keeps_its_stack() {
    let mut store = Store::new(&Engine::default());
    for _ in 0..2 {
        let mut first = task(&mut store, |store| store.suspend());
        assert!(poll(&mut first).is_pending());
        assert!(matches!(poll(&mut first), Poll::Ready(Ok(()))));
    }
    let range = store.fibers.spare.as_ref().expect("it was given back").bounds().range();
    assert_eq!(ampoule_machine::stack::stack_around(range.start + 5), Some(range.clone()));
    let engine = store.engine().clone();
    drop(store);
    let again = engine.stacks().take().unwrap();
    assert_eq!(again.stack().range(), range, "the engine has it now");
    drop(again);
    assert_eq!(ampoule_machine::stack::stack_around(range.start + 5), None);
}

#[test]
fn a_store_keeps_both_stacks_of_a_task_with_a_sibling() {
    let mut store = Store::new(&Engine::default());
    let two = |store: &mut Store| {
        let fibers = [(); 2].map(|()| store.take_fiber().unwrap());
        let mut ranges = fibers.each_ref().map(|fiber| fiber.bounds().range());
        ranges.sort_by_key(|range| range.start);
        fibers.into_iter().for_each(|fiber| store.give_fiber(fiber));
        ranges
    };
    let ranges = two(&mut store);
    assert_eq!(store.fiber_stacks().count(), 2);
    assert_eq!(two(&mut store), ranges);
    let engine = store.engine().clone();
    drop(store);
    let fibers = [(); 2].map(|()| engine.stacks().take().unwrap());
    let mut again = fibers.each_ref().map(|fiber| fiber.stack().range());
    again.sort_by_key(|range| range.start);
    assert_eq!(again, ranges, "the engine has them now");
}
