//! Preview 1 as a guest meets it: imported by a module, in a store.

#[path = "support/in_task.rs"]
mod in_task;

use ampoule::{Config, Engine, Error, Instance, Linker, Module, Store, TrapCode};
use ampoule_wasi::p1::{FUNCTIONS, ValType, add_imported_to_linker, add_to_linker, linker::MISSING_CONTEXT};
use ampoule_wasi::{DirPerms, FilePerms, WasiConfig, WasiCtx};
use in_task::in_task;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Runs the exported `_start` of a module in a store with this configuration.
fn run(wat: &str, config: Option<WasiConfig>) -> Result<(), Error> {
    run_in(&Engine::default(), wat, config)
}

/// As [`run`], in a store of this engine, one tick from its epoch deadline.
fn run_in(engine: &Engine, wat: &str, config: Option<WasiConfig>) -> Result<(), Error> {
    let module = Module::new(engine, wat.as_bytes())?;
    let mut linker = Linker::new(engine);
    add_to_linker(&mut linker)?;
    let mut store = Store::new(engine);
    store.set_epoch_deadline(1);
    if let Some(config) = config {
        assert!(store.slots_mut().insert::<WasiCtx>(config.build()).is_none());
    }
    let instance: Instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_func(&store, "_start").expect("exported");
    start.call(&mut store, &[], &mut [])
}

#[test]
fn a_guest_reads_its_input_and_writes_its_output() {
    let echo = r#"(module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 100))
            (i32.store (i32.const 4) (i32.const 1000))
            (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)) (then unreachable))
            (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))))"#;
    let output = Arc::new(Mutex::new(Vec::new()));
    let copy = Arc::clone(&output);
    let mut config = WasiConfig::new();
    config.stdin_bytes(b"through the guest".to_vec());
    config.stdout_callback(Box::new(move |bytes| {
        copy.lock().expect("not poisoned").extend_from_slice(bytes);
        bytes.len() as isize
    }));
    run(echo, Some(config)).expect("ran");
    assert_eq!(*output.lock().expect("not poisoned"), b"through the guest");
}

#[test]
fn a_linker_for_one_module_has_what_that_imports_and_nothing_else() {
    let engine = Engine::default();
    let importing = |name: &str| {
        let text = format!(
            r#"(module (import "wasi_snapshot_preview1" "{name}" (func (param i32))) (import "x" "random_get" (func)))"#
        );
        Module::new(&engine, text.as_bytes()).expect("valid")
    };
    let (exits, closes) = (importing("proc_exit"), importing("fd_close"));
    let mut linker = Linker::new(&engine);
    add_imported_to_linker(&mut linker, &exits).expect("nothing is defined yet");
    let mut store = Store::new(&engine);
    let missing = |store: &mut Store, module| linker.instantiate(store, module).expect_err("refused").to_string();
    assert!(missing(&mut store, &exits).contains("`x::random_get`"), "what isn't WASI's is missing");
    assert!(missing(&mut store, &closes).contains("`wasi_snapshot_preview1::fd_close`"));
}

#[test]
fn every_function_can_be_imported_with_its_type() {
    let types = |types: &[ValType]| {
        types.iter().map(|ty| if *ty == ValType::I32 { " i32" } else { " i64" }).collect::<String>()
    };
    let imports: String = FUNCTIONS
        .iter()
        .map(|function| {
            let (params, results) = (types(function.params), types(function.results));
            format!(r#"(import "wasi_snapshot_preview1" "{}" (func (param{params}) (result{results})))"#, function.name)
        })
        .collect();
    run(&format!(r#"(module {imports} (func (export "_start")))"#), None).expect("linked");
}

#[test]
fn an_exit_is_an_error_with_its_status() {
    let exit = |status: u32| {
        let wat = format!(
            r#"(module
                (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                (memory (export "memory") 1)
                (func (export "_start") (call $exit (i32.const {status})) unreachable))"#
        );
        run(&wat, Some(WasiConfig::new())).expect_err("exited")
    };
    assert_eq!(exit(0).exit_status(), Some(0));
    assert_eq!(exit(42).exit_status(), Some(42));
    let refused = exit(126);
    assert_eq!(refused.exit_status(), None);
    assert!(refused.to_string().contains("exit with invalid exit status outside of [0..126)"), "{refused}");
}

#[test]
fn what_is_missing_is_said() {
    let close = |memory: &str| {
        format!(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
                {memory}
                (func (export "_start") (drop (call $close (i32.const 9)))))"#
        )
    };
    let error = run(&close(""), Some(WasiConfig::new())).expect_err("no memory");
    assert!(error.to_string().contains("missing required memory export"), "{error}");
    let error = run(&close(r#"(memory (export "memory") 1)"#), None).expect_err("no context");
    assert!(error.to_string().contains(MISSING_CONTEXT), "{error}");
    run(&close(r#"(memory (export "memory") 0)"#), Some(WasiConfig::new())).expect("an empty memory is one");
}

/// Sleeps for centuries.
const SLEEP: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (i64.const -1))
        (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))))"#;

#[test]
fn an_epoch_deadline_ends_a_sleep() {
    let mut config = Config::new();
    config.epoch_interruption(true);
    let engine = Engine::new(&config).expect("an ordinary configuration");
    let ticker = engine.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        ticker.increment_epoch();
    });
    let error = run_in(&engine, SLEEP, Some(WasiConfig::new())).expect_err("interrupted");
    assert_eq!(error.trap_code(), Some(TrapCode::Interrupt));
    thread.join().expect("it ticked");
}

#[test]
fn a_cancellation_ends_a_sleep_at_once() {
    let mut config = Config::new();
    config.cancellation(true);
    let engine = Engine::new(&config).expect("an ordinary configuration");
    let module = Module::new(&engine, SLEEP.as_bytes()).expect("valid");
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker).expect("an empty linker");
    let mut store = Store::new(&engine);
    store.slots_mut().insert::<WasiCtx>(WasiConfig::new().build());
    let instance = linker.instantiate(&mut store, &module).expect("linked");
    let start = instance.get_func(&store, "_start").expect("exported");
    let token = store.cancel_token().expect("configured");
    // The quickest of several: the machine may be busy.
    let delays = (0..10).map(|_| {
        let (token, generation) = (token.clone(), token.generation());
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            let now = Instant::now();
            assert!(token.cancel(generation));
            now
        });
        let error = start.call(&mut store, &[], &mut []).expect_err("cancelled");
        let end = Instant::now();
        assert_eq!(error.trap_code(), Some(TrapCode::Interrupt));
        end.duration_since(thread.join().expect("it cancelled"))
    });
    let quickest = delays.min().expect("there were some");
    assert!(quickest < Duration::from_millis(3), "{quickest:?}");
}

/// Reads standard input for ever.
const READ: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 100))
        (i32.store (i32.const 4) (i32.const 1000))
        (loop (br_if 0 (i32.eqz (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))))"#;

/// Writes to standard output for ever.
const WRITE: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 4) (i32.const 60000))
        (loop (br_if 0 (i32.eqz (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))))"#;

/// Waits for its input beside a time that is centuries away.
const POLL: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (i64.const -1))
        (i32.store8 (i32.const 56) (i32.const 1))
        (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 2) (i32.const 200)))))"#;

/// Opens a pipe by its name in the only directory, and reads that.
const READ_OPENED: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "pipe")
    (func (export "_start")
        (if (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 0) (i64.const 2)
            (i64.const 0) (i32.const 0) (i32.const 16)) (then unreachable))
        (i32.store (i32.const 0) (i32.const 100))
        (i32.store (i32.const 4) (i32.const 1000))
        (drop (call $read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// What ends a call from outside.
#[derive(Clone, Copy, Debug)]
enum End {
    Epoch,
    Token,
    TimeLimit,
}

/// Runs the guest until `end` comes, and returns how late it ended.
fn lateness(wat: &str, config: WasiConfig, end: End, suspends: bool) -> Duration {
    let mut engine_config = Config::new();
    match end {
        End::Epoch => engine_config.epoch_interruption(true),
        End::Token | End::TimeLimit => engine_config.cancellation(true),
    };
    let engine = Engine::new(&engine_config).expect("an ordinary configuration");
    let module = Module::new(&engine, wat.as_bytes()).expect("valid");
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker).expect("an empty linker");
    let mut store = Store::new(&engine);
    store.set_epoch_deadline(1);
    store.slots_mut().insert::<WasiCtx>(config.build());
    let instance = linker.instantiate(&mut store, &module).expect("linked");
    let start = instance.get_func(&store, "_start").expect("exported");
    // Enough to compile the guest.
    let after = Duration::from_millis(100);
    if let End::TimeLimit = end {
        store.set_call_time_limit(Some(after)).expect("configured");
    }
    let token = if let End::Token = end { Some(store.cancel_token().expect("configured")) } else { None };
    let begin = Instant::now();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(after);
        let now = Instant::now();
        match (end, token) {
            (End::TimeLimit, _) => return begin + after,
            (_, Some(token)) => assert!(token.cancel(token.generation())),
            (_, None) => engine.increment_epoch(),
        }
        now
    });
    let called = if suspends {
        in_task(&mut store, move |store| start.call(store, &[], &mut [])).0
    } else {
        start.call(&mut store, &[], &mut [])
    };
    let error = called.expect_err("ended");
    let ended = Instant::now();
    assert_eq!(error.trap_code(), Some(TrapCode::Interrupt), "{error}");
    ended.checked_duration_since(thread.join().expect("it ended the call")).expect("not before its time")
}

#[test]
fn whatever_waits_ends_in_time() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let made = std::process::Command::new("mkfifo").arg(dir.path().join("pipe")).status().expect("mkfifo runs");
    assert!(made.success());
    // Held open, so that neither side meets its end; and the guest's output fills.
    let (from, to) = std::io::pipe().expect("a pipe");
    let name = |fd: i32| std::path::PathBuf::from(format!("/proc/self/fd/{fd}"));
    let fifo = std::fs::File::options().read(true).write(true).open(dir.path().join("pipe")).expect("a pipe");
    for wat in [SLEEP, READ, POLL, WRITE, READ_OPENED] {
        let ends = [End::Epoch, End::Token, End::TimeLimit];
        for (end, suspends) in ends.into_iter().flat_map(|end| [(end, false), (end, true)]) {
            let run = || {
                let mut config = WasiConfig::new();
                if wat == WRITE {
                    config.stdout_file(&name(to.as_raw_fd())).expect("opened");
                } else {
                    config.stdin_file(&name(fifo.as_raw_fd())).expect("opened");
                }
                config.preopen_dir(dir.path(), "/", DirPerms::ALL, FilePerms::ALL).expect("opened");
                lateness(wat, config, end, suspends)
            };
            // Once is enough: the machine may be busy.
            let in_time = (0..20).any(|_| run() < Duration::from_millis(20));
            assert!(in_time, "{end:?}, {suspends}: {wat}");
        }
    }
    drop(from);
}

#[test]
fn a_sleeping_guest_can_be_interrupted() {
    let mut config = WasiConfig::new();
    let mut questions = 0;
    config.interrupt_check(Box::new(move || {
        questions += 1;
        questions > 3
    }));
    let error = run(SLEEP, Some(config)).expect_err("interrupted");
    assert_eq!(error.trap_code(), Some(TrapCode::Interrupt));
}

#[test]
fn a_sleeping_guest_can_be_interrupted_by_the_store_s_check() {
    let engine = Engine::default();
    let module = Module::new(&engine, SLEEP.as_bytes()).expect("valid");
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker).expect("an empty linker");
    let mut store = Store::new(&engine);
    store.slots_mut().insert::<WasiCtx>(WasiConfig::new().build());
    let asked = AtomicU32::new(0);
    store.set_interrupt_check(Some(Arc::new(move || asked.fetch_add(1, Ordering::Relaxed) >= 3)));
    let instance = linker.instantiate(&mut store, &module).expect("linked");
    let start = instance.get_typed_func::<(), ()>(&store, "_start").expect("exported");
    let error = start.call(&mut store, ()).expect_err("interrupted");
    assert_eq!(error.trap_code(), Some(TrapCode::Interrupt));
}

/// Runs a guest in a task, and says what it answers and how often it was suspended.
fn suspended(wat: &str, config: WasiConfig) -> (Result<i32, Error>, usize) {
    let engine = Engine::default();
    let module = Module::new(&engine, wat.as_bytes()).expect("valid");
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker).expect("an empty linker");
    let mut store = Store::new(&engine);
    store.slots_mut().insert::<WasiCtx>(config.build());
    let instance = linker.instantiate(&mut store, &module).expect("linked");
    let run = instance.get_typed_func::<(), i32>(&store, "run").expect("exported");
    in_task(&mut store, move |store| run.call(store, ()))
}

#[test]
fn a_guest_that_is_suspended_in_a_write_goes_on_where_it_was() {
    // Two buffers, of 60,000 bytes each: no byte is the same as those beside it.
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 3)
        (func (export "run") (result i32) (local $at i32)
            (local.set $at (i32.const 64))
            (loop
                (i32.store8 (local.get $at) (i32.rem_u (local.get $at) (i32.const 251)))
                (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 120064))))
            (i32.store (i32.const 0) (i32.const 64))
            (i32.store (i32.const 4) (i32.const 60000))
            (i32.store (i32.const 8) (i32.const 60064))
            (i32.store (i32.const 12) (i32.const 60000))
            (if (call $write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 16)) (then unreachable))
            (i32.load (i32.const 16))))"#;
    let (mut from, to) = std::io::pipe().expect("a pipe");
    let mut config = WasiConfig::new();
    config.stdout_file(format!("/proc/self/fd/{}", to.as_raw_fd()).as_ref()).expect("opened");
    drop(to);
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        std::thread::sleep(Duration::from_millis(20));
        from.read_to_end(&mut bytes).map(|_| bytes)
    });
    let (written, suspensions) = suspended(wat, config);
    assert_eq!(written.expect("ran"), 120_000);
    assert!(suspensions > 0);
    let expected: Vec<u8> = (64..120_064).map(|at| (at % 251) as u8).collect();
    assert!(reader.join().expect("it read").expect("it read") == expected);
}

#[test]
fn a_suspended_sleep_is_as_long_as_asked_for() {
    // 150 milliseconds, beside 4,095 subscriptions of standard input.
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 6)
        (func (export "run") (result i32) (local $at i32)
            (i32.store (i32.const 16) (i32.const 1))
            (i64.store (i32.const 24) (i64.const 150000000))
            (loop
                (local.set $at (i32.add (local.get $at) (i32.const 48)))
                (i32.store8 (i32.add (local.get $at) (i32.const 8)) (i32.const 1))
                (br_if 0 (i32.lt_u (local.get $at) (i32.const 196560))))
            (if (call $poll (i32.const 0) (i32.const 200000) (i32.const 4096) (i32.const 393000)) (then unreachable))
            (i32.load (i32.const 393000))))"#;
    let (from, _to) = std::io::pipe().expect("a pipe");
    let mut config = WasiConfig::new();
    config.stdin_file(format!("/proc/self/fd/{}", from.as_raw_fd()).as_ref()).expect("opened");
    // Each question interrupts the sleep, which takes no longer for that.
    config.interrupt_check(Box::new(|| false));
    let start = Instant::now();
    let (happened, suspensions) = suspended(wat, config);
    let elapsed = start.elapsed();
    assert_eq!(happened.expect("one descriptor was enough for all"), 1);
    assert!(suspensions > 1, "{suspensions}");
    assert!(elapsed >= Duration::from_millis(150), "{elapsed:?}");
}

#[test]
fn a_suspended_sleep_is_interrupted_by_the_embedder_s_check() {
    let mut config = WasiConfig::new();
    let mut questions = 0;
    config.interrupt_check(Box::new(move || {
        questions += 1;
        questions > 3
    }));
    let sleep = SLEEP
        .replace("(export \"_start\")", "(export \"run\") (result i32)")
        .replace("(drop (call $poll", "(call $poll")
        .replace("(i32.const 200)))))", "(i32.const 200))))");
    let error = suspended(&sleep, config).0.expect_err("interrupted");
    assert_eq!(error.trap_code(), Some(TrapCode::Interrupt));
}

#[test]
fn a_guest_that_opens_without_end_meets_the_hard_limit_of_its_store() {
    // Opens `file` until that is refused: how often it was opened, and the error.
    let opens = r#"(module
        (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 100) "file")
        (func (export "run") (result i32 i32) (local $count i32) (local $errno i32)
            (loop $more
                (local.set $errno (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4)
                    (i32.const 1) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))
                (if (i32.eqz (local.get $errno)) (then
                    (local.set $count (i32.add (local.get $count) (i32.const 1)))
                    (br $more))))
            (local.get $count) (local.get $errno))
        (func (export "close") (param $count i32)
            (loop $more
                (if (call $close (i32.add (i32.const 3) (local.get $count))) (then unreachable))
                (br_if $more (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))"#;
    const NOMEM: i32 = 48;
    let dir = tempfile::tempdir().expect("made");
    let mut config = WasiConfig::new();
    config.preopen_dir(dir.path(), "/", DirPerms::ALL, FilePerms::ALL).expect("opened");
    config.max_fds(100_000);
    let engine = Engine::default();
    let module = Module::new(&engine, opens.as_bytes()).expect("valid");
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker).expect("nothing is defined yet");
    let mut store = Store::new(&engine);
    store.slots_mut().insert::<WasiCtx>(config.build());
    let instance = linker.instantiate(&mut store, &module).expect("all imports are there");
    let run = instance.get_typed_func::<(), (i32, i32)>(&store, "run").expect("exported");
    let close = instance.get_typed_func::<i32, ()>(&store, "close").expect("exported");
    let budget = store.budget();
    // Room for the code that is compiled meanwhile, too.
    budget.set_limits(None, Some(budget.total() + (64 << 10)));
    for _ in 0..3 {
        let (count, errno) = run.call(&mut store, ()).expect("it is told");
        assert_eq!(errno, NOMEM);
        assert!((30..=64).contains(&count), "{count}");
        assert!(budget.total() <= budget.hard_limit().expect("it was set"));
        close.call(&mut store, count).expect("what is open can be closed");
    }
    std::fs::remove_file(dir.path().join("file")).expect("it was made");
    budget.set_limits(None, Some(budget.total()));
    drop(store);
    assert_eq!(budget.total(), 0);
}
