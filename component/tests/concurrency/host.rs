//! Functions of the host that take a while.

use super::*;
use ampoule_component::run_tasks;
use std::time::Duration;

#[test]
fn a_synchronous_caller_waits_for_an_answer_from_another_thread() {
    let (mut store, instance, later) = instantiate(&engine(&Config::default()), GUEST);
    let answers = later.clone();
    let thread = std::thread::spawn(move || {
        while answers.calls.lock().unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(5));
        answers.answer();
    });
    assert_eq!(call(&mut store, &instance, "wait", &[7]).unwrap(), 70);
    thread.join().unwrap();
    assert_eq!(later.alive(), 0);
}

#[test]
fn many_calls_run_beside_each_other() {
    let (mut store, instance, later) = instantiate(&engine(&Config::default()), GUEST);
    let answers = later.clone();
    let thread = std::thread::spawn(move || {
        while answers.calls.lock().unwrap().len() < 100 {
            std::thread::sleep(Duration::from_millis(1));
        }
        answers.answer();
    });
    assert_eq!(call(&mut store, &instance, "many", &[100]).unwrap(), (0..100).map(|n| n * 10).sum::<u32>());
    thread.join().unwrap();
}

#[test]
fn what_is_ready_at_once_is_answered_at_once() {
    let engine = engine(&Config::default());
    let mut linker = Linker::new(&engine);
    let echo = |_, _, args: Vec<Val>| -> HostFuture { Box::pin(async move { Ok(args.into_iter().next()) }) };
    linker.root().func_async("later", echo).unwrap();
    let component = Component::new(&engine, GUEST.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    for _ in 0..3 {
        assert_eq!(call(&mut store, &instance, "wait", &[3]).unwrap(), 3);
        assert_eq!(call(&mut store, &instance, "many", &[10]).unwrap(), 45);
    }
}

#[test]
fn a_cancelled_call_drops_its_future() {
    let (mut store, instance, later) = instantiate(&engine(&Config::default()), GUEST);
    // CANCELLED_BEFORE_RETURNED
    assert_eq!(call(&mut store, &instance, "cancel", &[1]).unwrap(), 4);
    assert_eq!((later.calls.lock().unwrap().len(), later.alive()), (1, 0));
}

#[test]
fn a_future_has_the_store_while_it_is_polled_and_may_call_components() {
    struct Leaked(Option<ampoule_component::Accessor>);
    let engine = engine(&Config::default());
    let mut linker = Linker::new(&engine);
    let target: Arc<Mutex<Option<Func>>> = Arc::default();
    let leaked = Arc::new(Mutex::new(Leaked(None)));
    let (stored, leak) = (target.clone(), leaked.clone());
    let host = move |accessor: ampoule_component::Accessor, _, _| -> HostFuture {
        leak.lock().unwrap().0 = Some(accessor.clone());
        let stored = stored.clone();
        Box::pin(async move {
            let inner = accessor.clone();
            let value = accessor.with(|store| {
                assert!(inner.with(|_| ()).is_err(), "it is lent once");
                let func = stored.lock().unwrap().expect("set below");
                let mut results = [Val::default()];
                func.call(store, &[], &mut results).map(|()| arg(&results))
            })??;
            Ok(Some(Val::from(value + 1)))
        })
    };
    linker.root().func_async("later", host).unwrap();
    let component = Component::new(&engine, GUEST.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    *target.lock().unwrap() = Some(func(&mut store, &instance, "stored"));
    assert_eq!(call(&mut store, &instance, "wait", &[0]).unwrap(), 1);
    let leaked = leaked.lock().unwrap().0.take().unwrap();
    assert!(leaked.with(|_| ()).is_err(), "nothing is polled now");
}

#[test]
fn a_failing_host_function_stops_the_guest() {
    let engine = engine(&Config::default());
    for panics in [false, true] {
        let mut linker = Linker::new(&engine);
        let host = move |_, _, _| -> HostFuture {
            Box::pin(async move { if panics { panic!("it panics") } else { Err(Error::message("no answer")) } })
        };
        linker.root().func_async("later", host).unwrap();
        let component = Component::new(&engine, GUEST.as_bytes()).unwrap();
        let mut store = Store::new(&engine);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let error = call(&mut store, &instance, "wait", &[0]).unwrap_err();
        let expected = if panics { "a host function panicked" } else { "no answer" };
        assert!(format!("{error:#}").contains(expected), "{error:#}");
        let error = call(&mut store, &instance, "stored", &[]).unwrap_err();
        assert!(error.to_string().contains("cannot enter component instance"), "{error}");
    }
}

#[test]
fn tasks_outlive_their_call_and_go_on_when_driven() {
    let (mut store, instance, later) = instantiate(&engine(&Config::default()), GUEST);
    assert!(run_tasks(&mut store).unwrap().is_ready());
    assert_eq!(call(&mut store, &instance, "behind", &[4]).unwrap(), 4);
    assert!(run_tasks(&mut store).unwrap().is_pending());
    assert_eq!(call(&mut store, &instance, "stored", &[]).unwrap(), 0);
    later.answer();
    assert!(run_tasks(&mut store).unwrap().is_ready());
    assert_eq!(call(&mut store, &instance, "stored", &[]).unwrap(), 40);
    // In another call as well.
    assert_eq!(call(&mut store, &instance, "behind", &[5]).unwrap(), 5);
    later.answer();
    later.calls.lock().unwrap().clear();
    let thread = std::thread::spawn({
        let later = later.clone();
        move || {
            while later.calls.lock().unwrap().is_empty() {
                std::thread::sleep(Duration::from_millis(1));
            }
            later.answer();
        }
    });
    assert_eq!(call(&mut store, &instance, "wait", &[1]).unwrap(), 10);
    thread.join().unwrap();
    assert_eq!(call(&mut store, &instance, "stored", &[]).unwrap(), 50);
}

#[test]
fn nothing_to_wait_for_is_a_deadlock() {
    let (mut store, instance, _) = instantiate(&engine(&Config::default()), GUEST);
    let error = call(&mut store, &instance, "hang", &[]).unwrap_err();
    assert!(error.to_string().contains("deadlock detected: event loop cannot make further progress"), "{error}");
}

#[test]
fn a_store_may_be_dropped_while_tasks_wait() {
    let (mut store, instance, later) = instantiate(&engine(&Config::default()), GUEST);
    for n in 0..10 {
        assert_eq!(call(&mut store, &instance, "behind", &[n]).unwrap(), n);
    }
    assert_eq!(later.alive(), 10);
    drop(store);
    assert_eq!(later.alive(), 0);
    // Wakers outlive it.
    later.answer();
}

#[test]
fn a_trap_ends_the_tasks_that_wait() {
    let (mut store, instance, later) = instantiate(&engine(&Config::default()), GUEST);
    for n in 0..10 {
        call(&mut store, &instance, "behind", &[n]).unwrap();
    }
    let error = call(&mut store, &instance, "trap", &[]).unwrap_err();
    assert!(error.is_trap() && error.to_string().contains("unreachable"), "{error}");
    assert_eq!(later.alive(), 0);
    later.answer();
    assert!(run_tasks(&mut store).is_ok());
    let error = call(&mut store, &instance, "behind", &[1]).unwrap_err();
    assert!(error.to_string().contains("cannot enter component instance"), "{error}");
}

#[test]
fn a_task_that_is_always_ready_does_not_keep_others_from_the_host() {
    let engine = engine(&Config::default());
    let mut linker = Linker::new(&engine);
    let host = |accessor: ampoule_component::Accessor, _, args: Vec<Val>| -> HostFuture {
        let at = std::time::Instant::now() + Duration::from_millis(20);
        let mut timer = None;
        Box::pin(std::future::poll_fn(move |context| {
            if std::time::Instant::now() >= at {
                return Poll::Ready(Ok(Some(Val::from(arg(&args) * 10))));
            }
            let made = accessor.with(|store| store.reactor().map(|reactor| reactor.timer()));
            timer.insert(made.unwrap().unwrap()).arm(at, context.waker());
            Poll::Pending
        }))
    };
    linker.root().func_async("later", host).unwrap();
    let component = Component::new(&engine, GUEST.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    assert_eq!(call(&mut store, &instance, "behind", &[3]).unwrap(), 3);
    call(&mut store, &instance, "until", &[]).unwrap();
    assert_eq!(call(&mut store, &instance, "stored", &[]).unwrap(), 30);
}

/// A guest that calls a function of the host's in between, and one whose answer is a handle.
const NESTING: &str = r#"(component
    (import "r" (type $r (sub resource)))
    (import "nest" (func $nest))
    (import "make" (func $make (result (own $r))))
    (core func $nest (canon lower (func $nest)))
    (core func $make (canon lower (func $make)))
    (core func $drop (canon resource.drop $r))
    (core module $m
        (import "" "nest" (func $nest))
        (import "" "make" (func $make (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "nest") (call $nest))
        (func (export "make") (call $drop (call $make))))
    (core instance $i (instantiate $m (with "" (instance
        (export "nest" (func $nest)) (export "make" (func $make)) (export "drop" (func $drop))))))
    (func (export "nest") (canon lift (core func $i "nest")))
    (func (export "make") (canon lift (core func $i "make"))))"#;

#[test]
fn a_host_function_goes_on_where_it_was_when_others_are_given_up_by_a_trap_that_it_keeps() {
    let engine = engine(&Config::default());
    let nesting = Component::new(&engine, NESTING.as_bytes()).unwrap();
    let guest = Component::new(&engine, GUEST.as_bytes()).unwrap();
    let funcs: Arc<Mutex<Vec<Func>>> = Arc::default();
    let dropped = Arc::new(AtomicU32::new(0));
    let mut linker = Linker::new(&engine);
    let later = Later::default();
    let calls = later.clone();
    linker.root().func_async("later", move |_, _, args| calls.future(arg(&args))).unwrap();
    let drops = dropped.clone();
    linker
        .root()
        .resource("r", 7, move |_, rep| {
            drops.fetch_add(rep, Ordering::Relaxed);
            Ok(())
        })
        .unwrap();
    // Waits in the middle of a host function.
    let all = funcs.clone();
    linker
        .root()
        .func("nest", move |store, _, _, _| {
            let wait = all.lock().unwrap()[0];
            wait.call(store, &[Val::from(1u32)], &mut [Val::default()])
        })
        .unwrap();
    let (all, mut inner) = (funcs.clone(), linker.clone());
    inner.root().func("make", |_, _, _, _| Err(Error::message("it is called by the other one"))).unwrap();
    linker
        .root()
        .func("make", move |store, _, _, results| {
            // The store has nothing asynchronous before: the guest that calls this has no stack of its own.
            let instance = inner.instantiate(store, &guest)?;
            let other = inner.instantiate(store, &guest)?;
            let (wait, trap) = (func(store, &instance, "wait"), func(store, &other, "trap"));
            all.lock().unwrap().push(wait);
            let nesting = inner.instantiate(store, &Component::new(store.engine(), NESTING.as_bytes())?)?;
            func(store, &nesting, "nest").start(store, Vec::new())?;
            assert!(ampoule_component::run_tasks(store)?.is_pending());
            trap.start(store, Vec::new())?;
            let error = ampoule_component::run_tasks(store).expect_err("it traps");
            assert!(format!("{error:#}").contains("unreachable"), "{error:#}");
            results[0] = ampoule_component::ResourceHost { rep: 5, ty: 7, owned: true }.into_any(store)?.into();
            Ok(())
        })
        .unwrap();
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &nesting).unwrap();
    let make = func(&mut store, &instance, "make");
    make.call(&mut store, &[], &mut []).unwrap();
    assert_eq!((dropped.load(Ordering::Relaxed), later.alive()), (5, 0));
    let error = make.call(&mut store, &[], &mut []).unwrap_err();
    assert!(error.to_string().contains("cannot enter component instance"), "{error}");
}

#[test]
fn a_store_may_be_dropped_while_a_host_function_waits_for_a_call_of_its_own() {
    let engine = engine(&Config::default());
    let target: Arc<Mutex<Option<Func>>> = Arc::default();
    let mut linker = Linker::new(&engine);
    let later = Later::default();
    let calls = later.clone();
    linker.root().func_async("later", move |_, _, args| calls.future(arg(&args))).unwrap();
    linker.root().resource("r", 7, |_, _| Ok(())).unwrap();
    linker.root().func("make", |_, _, _, _| Err(Error::message("nobody calls it"))).unwrap();
    let stored = target.clone();
    linker
        .root()
        .func("nest", move |store, _, _, _| {
            let wait = stored.lock().unwrap().expect("set below");
            wait.call(store, &[Val::from(1u32)], &mut [Val::default()])
        })
        .unwrap();
    let mut store = Store::new(&engine);
    let guest = linker.instantiate(&mut store, &Component::new(&engine, GUEST.as_bytes()).unwrap()).unwrap();
    *target.lock().unwrap() = Some(func(&mut store, &guest, "wait"));
    let nesting = Component::new(&engine, NESTING.as_bytes()).unwrap();
    // Several, of which each is told of the others' end.
    let started = [(); 3].map(|()| {
        let nesting = linker.instantiate(&mut store, &nesting).unwrap();
        func(&mut store, &nesting, "nest").start(&mut store, Vec::new()).unwrap()
    });
    assert!(ampoule_component::run_tasks(&mut store).unwrap().is_pending());
    assert_eq!(later.alive(), 1, "the others wait for their turn");
    drop(store);
    assert_eq!(later.alive(), 0);
    drop(started);
}

#[test]
fn a_future_whose_value_the_host_has_read_has_none_for_a_guest() {
    let text = r#"(component
        (core module $memory (memory (export "memory") 1))
        (core instance $memory (instantiate $memory))
        (type $f (future u32))
        (core func $read (canon future.read $f (memory (core memory $memory "memory"))))
        (core module $m
            (import "" "read" (func $read (param i32 i32) (result i32)))
            (func (export "read") (param i32) (drop (call $read (local.get 0) (i32.const 0)))))
        (core instance $i (instantiate $m (with "" (instance (export "read" (func $read))))))
        (func (export "read") async (param "in" $f) (canon lift (core func $i "read"))))"#;
    let mut config = Config::default();
    config.features.component_model_more_async_builtins = true;
    let engine = engine(&config);
    let mut store = Store::new(&engine);
    let component = Component::new(&engine, text.as_bytes()).unwrap();
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    let ty = Some(ampoule_component::types::ValType::U32);
    let mut reader = ampoule_component::streams::FutureReader::ready(&mut store, ty, Some(Val::from(3u32))).unwrap();
    let read = reader.poll_read(&mut store, &mut Context::from_waker(Waker::noop()));
    assert!(matches!(read, Poll::Ready(Ok(Some(_)))));
    let error = func(&mut store, &instance, "read").call(&mut store, &[Val::from(reader)], &mut []).unwrap_err();
    assert!(format!("{error:#}").contains("the value of the future was read before"), "{error:#}");
}
