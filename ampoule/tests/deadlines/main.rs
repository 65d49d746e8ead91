//! How long a guest can hold a call beyond its deadline: with everything that takes long in one piece, and with everything that waits.
//!
//! Each case is tried several times, and the best one counts: what a busy machine adds to the others says nothing about the engine. For the same
//! reason work is measured by the clock of its thread. A token, a time limit and an epoch are one deadline each.

mod objects;

use ampoule::error::{CancelCause, ErrorKind};
use ampoule::store::epoch::UpdateDeadline;
use ampoule::{
    Config, Engine, Error, Extern, Func, FuncType, Global, GlobalType, Instance, Module, Store, TrapCode, Val, ValType,
};
use ampoule_core::tunables::Tiers;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Beyond its deadline, for what works.
const LONGEST_WORK: Duration = Duration::from_millis(20);
/// The same for what waits.
const LONGEST_WAIT: Duration = Duration::from_millis(1);
/// When the deadline is.
const SOON: Duration = Duration::from_millis(30);

fn engine() -> Engine {
    engine_of(Tiers::Auto)
}

fn engine_of(tiers: Tiers) -> Engine {
    let mut config = Config::new();
    config.tiers(tiers);
    config.cancellation(true).epoch_interruption(true);
    config.features.threads = true;
    config.features.multi_memory = true;
    (config.features.function_references, config.features.gc) = (true, true);
    config.shared_memory = true;
    Engine::new(&config).unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Deadline {
    Token,
    TimeLimit,
    Epoch,
}

const ALL: [Deadline; 3] = [Deadline::Token, Deadline::TimeLimit, Deadline::Epoch];

/// How much later than its deadline a call ended.
struct Overrun {
    /// By the clock on the wall.
    wall: Duration,
    /// What of that its thread was running.
    work: Duration,
}

/// The clock of the calling thread: how long it was running.
fn clock_of_this_thread() -> impl Fn() -> Duration + Send {
    let mut clock = 0;
    // SAFETY: the thread asks for its own clock.
    assert_eq!(unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) }, 0);
    move || {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: writes the time; the thread is there, since it waits for the one that asks.
        assert_eq!(unsafe { libc::clock_gettime(clock, &mut now) }, 0);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    }
}

/// Calls a function in a new store of the module's engine, with a deadline soon, after its `prepare` where it has one. `None` where it was done
/// before.
fn overrun(module: &Module, deadline: Deadline, name: &str, args: &[Val]) -> Option<Overrun> {
    let engine = module.engine().clone();
    let mut store = Store::new(&engine);
    store.set_epoch_deadline(1);
    let token = store.cancel_token().unwrap();
    let imports = imports(&mut store, module);
    let instance = Instance::new(&mut store, module, &imports).unwrap();
    let func = instance.get_func(&store, name).unwrap();
    if let Some(prepare) = instance.get_func(&store, "prepare") {
        prepare.call(&mut store, args, &mut []).unwrap();
    }
    if let Deadline::TimeLimit = deadline {
        store.set_call_time_limit(Some(SOON)).unwrap();
    }
    let generation = token.generation();
    let clock = clock_of_this_thread();
    let start = Instant::now();
    let interrupter = thread::spawn(move || {
        thread::sleep(SOON);
        let at = (Instant::now(), clock());
        match deadline {
            Deadline::Token => assert!(token.cancel(generation)),
            Deadline::TimeLimit => {}
            Deadline::Epoch => engine.increment_epoch(),
        }
        at
    });
    let mut results = vec![Val::I32(0); func.ty(&store).unwrap().results().len()];
    let outcome = func.call(&mut store, args, &mut results);
    let end = (Instant::now(), clock_of_this_thread()());
    let (mut at, worked) = interrupter.join().unwrap();
    if let Deadline::TimeLimit = deadline {
        at = start + SOON;
    }
    let error = outcome.err().filter(|_| end.0 >= at)?;
    match (deadline, error.kind()) {
        (Deadline::Token, ErrorKind::Cancelled(CancelCause::Token)) => {}
        (Deadline::TimeLimit, ErrorKind::Cancelled(CancelCause::TimeLimit)) => {}
        (Deadline::Epoch, _) if error.trap_code() == Some(TrapCode::Interrupt) => {}
        _ => panic!("{deadline:?}: {error:?}"),
    }
    store.set_call_time_limit(None).unwrap();
    store.set_epoch_deadline(1000);
    if let Some(check) = instance.get_func(&store, "check") {
        check.call(&mut store, args, &mut []).unwrap();
    }
    Some(Overrun { wall: end.0 - at, work: end.1.saturating_sub(worked) })
}

/// For modules that import a function which instantiates another module.
fn imports(store: &mut Store, module: &Module) -> Vec<Extern> {
    if module.imports().next().is_none() {
        return Vec::new();
    }
    let other = Module::new(module.engine(), large_segments().as_bytes()).unwrap();
    let ty = GlobalType { content: ValType::I32, mutable: false };
    let offset = [Extern::Global(Global::new(store, ty, &Val::I32(0)).unwrap())];
    // What is known of all instances is found out with the first.
    Instance::new(store, &other, &offset).unwrap();
    let ty = FuncType::new([], []);
    let host =
        Func::new(store, &ty, move |mut caller, _, _| Instance::new(caller.store(), &other, &offset).map(|_| ()));
    vec![Extern::Func(host.unwrap())]
}

/// The best of several tries, each in a new store.
#[track_caller]
fn expect_short_overrun(module: &Module, name: &str, args: &[Val], measured: fn(Overrun) -> Duration) {
    for deadline in ALL {
        let mut best = Duration::MAX;
        for _ in 0..10 {
            best = best.min(measured(overrun(module, deadline, name, args).expect("it is not done before")));
            if best < LONGEST_WORK {
                break;
            }
        }
        assert!(best < LONGEST_WORK, "{name} under {deadline:?}: {best:?} beyond the deadline");
    }
}

fn work(overrun: Overrun) -> Duration {
    overrun.work
}

fn wall(overrun: Overrun) -> Duration {
    overrun.wall
}

fn module(wat: &str) -> Module {
    Module::new(&engine(), wat.as_bytes()).unwrap()
}

/// A module whose instances begin with many writes to a table and a memory: where to is known with the first only.
fn large_segments() -> String {
    let mut wat =
        String::from(r#"(module (import "" "" (global $at i32)) (memory 100) (table 100000 funcref) (func $f)"#);
    for _ in 0..20 {
        writeln!(wat, "(elem (global.get $at) func {})", "$f ".repeat(60_000)).unwrap();
        writeln!(wat, "(data (global.get $at) \"{}\")", "x".repeat(1_000_000)).unwrap();
    }
    wat + ")"
}

#[test]
fn bulk_operations_on_memories_end_when_their_call_does() {
    let module = module(
        r#"(module (memory $a 65536) (memory $b 65536)
            (func (export "fill") (loop (memory.fill $a (i32.const 0) (i32.const 1) (i32.const -1)) (br 0)))
            (func (export "copy") (loop (memory.copy $a $b (i32.const 0) (i32.const 0) (i32.const -1)) (br 0)))
            (func (export "copy_down") (loop (memory.copy $a $a (i32.const 0) (i32.const 1) (i32.const -2)) (br 0)))
            (func (export "copy_up") (loop (memory.copy $a $a (i32.const 1) (i32.const 0) (i32.const -2)) (br 0))))"#,
    );
    for name in ["fill", "copy", "copy_down", "copy_up"] {
        expect_short_overrun(&module, name, &[], work);
    }
}

#[test]
fn bulk_operations_on_tables_end_when_their_call_does() {
    let module = module(
        r#"(module (table $a 50000000 funcref) (table $b 1 funcref) (elem declare func $f) (func $f)
            (func (export "fill")
                (loop (table.fill $a (i32.const 0) (ref.func $f) (i32.const 50000000)) (br 0)))
            (func (export "copy_up")
                (loop (table.copy $a $a (i32.const 1) (i32.const 0) (i32.const 49999999)) (br 0)))
            (func (export "copy_down")
                (loop (table.copy $a $a (i32.const 0) (i32.const 1) (i32.const 49999999)) (br 0)))
            (func (export "grow")
                (drop (table.grow $b (ref.func $f) (i32.const 100000000))) (loop (br 0))))"#,
    );
    for name in ["fill", "copy_up", "copy_down", "grow"] {
        expect_short_overrun(&module, name, &[], work);
    }
}

#[test]
fn growth_of_a_memory_ends_when_its_call_does() {
    let module = module(
        r#"(module (memory i64 1 1000000)
            (func (export "grow") (loop (drop (memory.grow (i64.const 1000)))
                (memory.fill (i64.const 0) (i32.const 1) (i64.const 1000000)) (br 0))))"#,
    );
    expect_short_overrun(&module, "grow", &[], work);
}

#[test]
fn an_instance_that_is_made_in_a_call_ends_with_it() {
    let module = module(r#"(module (import "" "" (func $make)) (func (export "f") (loop call $make (br 0))))"#);
    expect_short_overrun(&module, "f", &[], work);
}

/// The first instance finds out what all have in common, in portions as well.
#[test]
fn the_first_instance_of_a_large_module_ends_with_its_call() {
    let engine = engine();
    let segments = (0..60).map(|_| format!("(elem (i32.const 0) func {})", "$f ".repeat(60_000))).collect::<String>();
    let large = format!("(module (table 100000 funcref) (func $f) {segments})");
    let caller = r#"(module (import "" "" (func $make)) (func (export "f") call $make))"#;
    let caller = Module::new(&engine, caller.as_bytes()).unwrap();
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let large = Module::new(&engine, large.as_bytes()).unwrap();
        let mut store = Store::new(&engine);
        store.set_epoch_deadline(1);
        let token = store.cancel_token().unwrap();
        let generation = token.generation();
        let took = Arc::new(Mutex::new(None));
        let noted = took.clone();
        let make = Func::new(&mut store, &FuncType::new([], []), move |mut host_caller, _, _| {
            assert!(token.cancel(generation));
            let clock = clock_of_this_thread();
            let start = clock();
            let made = Instance::new(host_caller.store(), &large, &[]);
            *noted.lock().unwrap() = Some(clock() - start);
            made.map(|_| ())
        });
        let instance = Instance::new(&mut store, &caller, &[Extern::Func(make.unwrap())]).unwrap();
        let error = instance.get_func(&store, "f").unwrap().call(&mut store, &[], &mut []).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Cancelled(CancelCause::Token)), "{error:?}");
        best = best.min(took.lock().unwrap().take().expect("it was called"));
        if best < LONGEST_WORK {
            break;
        }
    }
    assert!(best < LONGEST_WORK, "{best:?} beyond the deadline");
}

/// One function whose compilation takes seconds, called by `f`.
fn slow_to_compile(blocks: usize) -> String {
    let block = "(block (br_if 0 (local.get 0)) (local.set 0 (i32.add (local.get 0) (i32.const 1))))\n";
    format!(r#"(module (func (export "f") (param i32) (result i32) {} local.get 0))"#, block.repeat(blocks))
}

#[test]
fn a_compilation_is_left_when_its_call_ends() {
    for (tiers, blocks) in [(Tiers::Auto, 200_000), (Tiers::Optimizing, 30_000)] {
        let module = Module::new(&engine_of(tiers), slow_to_compile(blocks).as_bytes()).unwrap();
        expect_short_overrun(&module, "f", &[Val::I32(0)], wall);
    }
}

#[test]
fn a_compilation_that_the_first_compiler_leaves_to_the_other_is_left_as_well() {
    // Short, but with a thousand values for each call.
    let values = "i32 ".repeat(1000);
    let wat = format!(
        r#"(module (type $t (func (param {values}) (result {values}))) (func $g (type $t) {})
          (func (export "f") (param i32) (result i32) {} {} {}))"#,
        (0..1000).map(|at| format!("(local.get {at})")).collect::<String>(),
        "(i32.const 0)".repeat(1000),
        "(call $g)".repeat(1000),
        "(drop)".repeat(999)
    );
    let module = module(&wat);
    let body = module.description().bodies[1].clone();
    assert!(body.end - body.start < 8 << 10, "it would be compiled by a thread of its own");
    expect_short_overrun(&module, "f", &[Val::I32(1)], wall);
}

#[test]
fn whoever_waits_for_anothers_compilation_is_woken_too() {
    let module = module(&slow_to_compile(200_000));
    let other = module.clone();
    // Never joined: it takes as long as it takes.
    thread::spawn(move || {
        let mut store = Store::new(other.engine());
        store.set_epoch_deadline(1_000_000);
        let f = Instance::new(&mut store, &other, &[]).unwrap().get_func(&store, "f").unwrap();
        let _ = f.call(&mut store, &[Val::I32(0)], &mut [Val::I32(0)]);
    });
    thread::sleep(SOON);
    expect_short_overrun(&module, "f", &[Val::I32(0)], wall);
}

#[test]
fn a_compilation_that_was_left_is_there_for_the_next_call() {
    let module = module(&slow_to_compile(4_000));
    let mut store = Store::new(module.engine());
    store.set_epoch_deadline(1);
    let f = Instance::new(&mut store, &module, &[]).unwrap().get_func(&store, "f").unwrap();
    store.set_call_time_limit(Some(Duration::from_millis(1))).unwrap();
    let call = |store: &mut Store| f.call(store, &[Val::I32(0)], &mut [Val::I32(0)]);
    assert!(call(&mut store).is_err());
    // The engine and the store may go meanwhile, too.
    store.set_call_time_limit(None).unwrap();
    call(&mut store).unwrap();
    assert_eq!(module.engine().compiled_functions(), 1);
}

#[test]
fn what_is_compiled_outlives_whoever_wanted_it() {
    for _ in 0..3 {
        let module = module(&slow_to_compile(6_000));
        let mut store = Store::new(module.engine());
        store.set_epoch_deadline(1);
        let f = Instance::new(&mut store, &module, &[]).unwrap().get_func(&store, "f").unwrap();
        store.set_call_time_limit(Some(Duration::from_millis(1))).unwrap();
        assert!(f.call(&mut store, &[Val::I32(0)], &mut [Val::I32(0)]).is_err());
    }
    thread::sleep(Duration::from_millis(100));
}

#[test]
fn an_epoch_callback_is_asked_while_a_function_is_compiled_or_a_memory_filled() {
    let wat = slow_to_compile(6_000).replace(
        "(module ",
        r#"(module (memory 16384) (func (export "fill") (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x40000000))) "#,
    );
    let module = module(&wat);
    for (name, args) in [("f", vec![Val::I32(0)]), ("fill", vec![])] {
        let mut store = Store::new(module.engine());
        store.set_epoch_deadline(1);
        // Asked over and over again, and each time late.
        store.epoch_deadline_callback(Some(Box::new(|store| {
            *store.data_mut().downcast_mut::<u32>().unwrap() += 1;
            Ok(UpdateDeadline::Continue(0))
        })));
        store.set_data(Box::new(0u32));
        let func = Instance::new(&mut store, &module, &[]).unwrap().get_func(&store, name).unwrap();
        module.engine().increment_epoch();
        let mut results = vec![Val::I32(0); args.len()];
        func.call(&mut store, &args, &mut results).unwrap();
        let asked = *store.data().downcast_ref::<u32>().unwrap();
        assert!(asked > 10, "{name}: asked {asked} times");
    }
}

const WAIT: &str = r#"(module (memory 1 1 shared) (func (export "wait") (result i32)
    (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))"#;

#[test]
fn waits_hear_of_their_deadline_at_once() {
    let module = module(WAIT);
    for deadline in ALL {
        let mut all: Vec<_> =
            (0..11).map(|_| overrun(&module, deadline, "wait", &[]).expect("it waits").wall).collect();
        all.sort();
        // A machine that does much else shows in the slower half.
        let best_quarter = all[all.len() / 4];
        assert!(best_quarter < LONGEST_WAIT, "{deadline:?}: {all:?}");
    }
}

#[test]
fn a_wait_does_not_wake_up_for_nothing() {
    let module = module(WAIT);
    let mut store = Store::new(module.engine());
    store.set_epoch_deadline(1);
    store.set_call_time_limit(Some(Duration::from_millis(300))).unwrap();
    let wait = Instance::new(&mut store, &module, &[]).unwrap().get_func(&store, "wait").unwrap();
    let switches = || -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    };
    let before = switches();
    assert!(wait.call(&mut store, &[], &mut [Val::I32(0)]).is_err());
    // It polled every ten milliseconds once.
    assert!(switches() - before < 10, "{} switches", switches() - before);
}

#[test]
fn an_epoch_callback_lets_a_wait_go_on() {
    let module = module(WAIT);
    let engine = module.engine().clone();
    let mut store = Store::new(&engine);
    store.set_epoch_deadline(1);
    store.set_data(Box::new(0u32));
    store.epoch_deadline_callback(Some(Box::new(|store| {
        let asked = store.data_mut().downcast_mut::<u32>().unwrap();
        *asked += 1;
        if *asked < 3 { Ok(UpdateDeadline::Continue(1)) } else { Err(Error::message("enough")) }
    })));
    let wait = Instance::new(&mut store, &module, &[]).unwrap().get_func(&store, "wait").unwrap();
    assert_eq!(wait.ty(&store).unwrap().results(), [ValType::I32]);
    // However late the wait begins, there are as many ticks as it takes.
    let over = Arc::new(AtomicBool::new(false));
    let ticks = thread::spawn({
        let over = over.clone();
        move || {
            while !over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
                engine.increment_epoch();
            }
        }
    });
    let error = wait.call(&mut store, &[], &mut [Val::I32(0)]).unwrap_err();
    over.store(true, Ordering::Relaxed);
    assert!(error.to_string().contains("enough") || format!("{error:?}").contains("enough"), "{error:?}");
    ticks.join().unwrap();
}
