//! The mappings of the process, as the system lists them: what may be done with pages, and what happens where there is no more address space.
//!
//! What changes the process for good happens in a child of a fork.

use ampoule::{
    Config, Engine, Error, ExternRef, Instance, Memory, MemoryType, Module, PoolConfig, Profiler, SharedMemory, Store,
    Strategy, Val,
};
use std::fs;
use std::future::Future;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

/// Runs `work` in a forked process; a panic in it is one here.
#[track_caller]
fn in_child(work: impl FnOnce()) {
    // SAFETY: the child runs the work in its only thread, and ends without returning.
    match unsafe { libc::fork() } {
        0 => {
            let good = catch_unwind(AssertUnwindSafe(work)).is_ok();
            // SAFETY: ends the process without running the parent's exit code.
            unsafe { libc::_exit(if good { 0 } else { 1 }) }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for the child made above.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0, "the child failed, see above");
        }
    }
}

/// Refuses to see a page that is both writable and executable. Answers how many mappings of code there are: executable, and of no file on disk.
fn check_permissions() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let permissions = |line: &str| line.split(' ').nth(1).unwrap().to_string();
    let (mut code, mut lines) = (0, 0);
    for line in maps.lines() {
        let permissions = permissions(line);
        assert!(!(permissions.contains('w') && permissions.contains('x')), "{line}");
        let of_a_file = line.contains(" /") && !line.contains("/memfd:") || line.ends_with(']');
        code += usize::from(permissions.contains('x') && !of_a_file);
        lines += 1;
    }
    assert!(lines > 10);
    code
}

/// Functions that differ, the first of which calls all others.
fn many_functions(count: usize) -> String {
    let calls = (1..count).map(|index| format!("(drop (call {index}))")).collect::<String>();
    let others = (1..count).map(|index| format!("(func (result i32) (i32.const {index}))")).collect::<String>();
    format!(r#"(module (func (export "f") (result i32) {calls} (i32.const 7)) {others})"#)
}

fn run(module: &Module) {
    let mut store = Store::new(module.engine());
    let f = Instance::new(&mut store, module, &[]).unwrap().get_func(&store, "f").unwrap();
    let mut results = [Val::I32(0)];
    f.call(&mut store, &[], &mut results).unwrap();
    assert!(matches!(results[0], Val::I32(7)));
}

fn engine(strategy: Strategy) -> Engine {
    let mut config = Config::new();
    config.strategy(strategy);
    Engine::new(&config).unwrap()
}

#[test]
fn no_page_is_ever_writable_and_executable() {
    let wat = many_functions(300);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // All the while, not only afterwards.
        let watcher = scope.spawn(|| {
            let mut looks = 0;
            while !over.load(Ordering::Relaxed) {
                check_permissions();
                looks += 1;
            }
            looks
        });
        let work = || {
            for strategy in [Strategy::Auto, Strategy::Eager] {
                let module = Module::new(&engine(strategy), wat.as_bytes()).unwrap();
                run(&module);
                assert!(check_permissions() > 0, "there is code");
                let artifact = module.serialize().unwrap();
                // SAFETY: `serialize` wrote it.
                run(&unsafe { Module::deserialize(&engine(strategy), &artifact) }.unwrap());
                check_permissions();
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("artifact");
                fs::write(&path, &artifact).unwrap();
                // SAFETY: as above; nobody changes the file.
                run(&unsafe { Module::deserialize_file(&engine(strategy), &path) }.unwrap());
                check_permissions();
            }
        };
        let done = catch_unwind(AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        assert!(watcher.join().unwrap() > 0);
        done.unwrap();
    });
}

#[test]
fn no_page_of_a_forked_child_is_writable_and_executable() {
    let engine = engine(Strategy::Auto);
    let before = Module::new(&engine, many_functions(20).as_bytes()).unwrap();
    run(&before);
    let waiting = Module::new(&engine, many_functions(30).as_bytes()).unwrap();
    in_child(|| {
        assert!(check_permissions() > 0, "there is code");
        run(&before);
        run(&waiting);
        run(&Module::new(&engine, many_functions(40).as_bytes()).unwrap());
        assert!(check_permissions() > 0);
    });
    assert!(check_permissions() > 0);
}

#[test]
fn no_page_that_a_profiler_is_told_of_is_writable_and_executable() {
    // Code is in anonymous memory then.
    in_child(|| {
        let mut config = Config::new();
        config.profiler(Profiler::PerfMap);
        let engine = Engine::new(&config).unwrap();
        for count in [3, 30] {
            run(&Module::new(&engine, many_functions(count).as_bytes()).unwrap());
            assert!(check_permissions() > 0);
        }
        fs::remove_file(format!("/tmp/perf-{}.map", std::process::id())).unwrap();
    });
}

/// Lets the process map no more than `more` bytes beyond what it has.
fn limit_address_space(more: Option<usize>) {
    let pages: usize = fs::read_to_string("/proc/self/statm").unwrap().split(' ').next().unwrap().parse().unwrap();
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read or write the structure.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &mut limit), 0);
        limit.rlim_cur = more.map_or(limit.rlim_max, |more| (pages * 4096 + more) as libc::rlim_t);
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &limit), 0);
    }
}

/// In a child with little address space left, `attempt` fails with an error that has these words; the store goes on, also without the limit.
#[track_caller]
fn expect_refusal(config: &Config, words: &str, attempt: impl Fn(&mut Store) -> Result<(), Error>) {
    in_child(|| {
        let engine = Engine::new(config).unwrap();
        let small = Module::new(&engine, many_functions(3).as_bytes()).unwrap();
        let mut store = Store::new(&engine);
        let call = |store: &mut Store| {
            let f = Instance::new(store, &small, &[]).unwrap().get_func(store, "f").unwrap();
            f.call(store, &[], &mut [Val::I32(0)]).unwrap();
        };
        // What the process makes once is there, and what the engine makes for its types.
        call(&mut store);
        if config.features.gc {
            module(&store, "(module (type (struct)))");
        }
        limit_address_space(Some(200 << 20));
        for _ in 0..3 {
            let error = attempt(&mut store).expect_err("there is no address space for it");
            let message = error.to_string();
            assert!(message.contains(words) && message.contains("Cannot allocate memory"), "{message}");
            call(&mut store);
        }
        limit_address_space(None);
        attempt(&mut store).unwrap();
        call(&mut store);
    });
}

fn module(store: &Store, wat: &str) -> Module {
    Module::new(store.engine(), wat.as_bytes()).unwrap()
}

#[test]
fn a_memory_that_cannot_be_mapped_is_an_error_that_names_it() {
    let of_an_instance = |store: &mut Store| {
        let module = module(store, "(module (memory 1))");
        Instance::new(store, &module, &[]).map(|_| ())
    };
    expect_refusal(&Config::new(), "mapping a linear memory", of_an_instance);
    let ty = MemoryType { min: 1, max: Some(2), is_64: false, shared: false, page_size_log2: 16 };
    expect_refusal(&Config::new(), "mapping a linear memory", |store| Memory::new(store, &ty).map(|_| ()));
    let shared = MemoryType { shared: true, ..ty };
    let mut config = Config::new();
    config.shared_memory = true;
    expect_refusal(&config, "mapping a linear memory", |store| SharedMemory::new(store.engine(), &shared).map(|_| ()));
}

#[test]
fn a_heap_that_cannot_be_reserved_is_an_error_that_names_it() {
    let mut config = Config::new();
    (config.features.function_references, config.features.gc) = (true, true);
    expect_refusal(&config, "reserving a heap", |store| {
        let wat = r#"(module (type $s (struct)) (func (export "f") (drop (struct.new $s))))"#;
        let module = module(store, wat);
        let f = Instance::new(store, &module, &[])?.get_func(store, "f").expect("it is exported");
        f.call(store, &[], &mut [])
    });
    expect_refusal(&config, "reserving a heap", |store| ExternRef::new(store, Box::new(1)).map(|_| ()));
}

#[test]
fn a_table_that_cannot_be_mapped_is_an_error_that_names_it() {
    expect_refusal(&Config::new(), "table", |store| {
        let module = module(store, "(module (table 50000000 funcref))");
        Instance::new(store, &module, &[]).map(|_| ())
    });
}

#[test]
fn a_pool_that_cannot_be_mapped_is_an_error_that_names_it() {
    let mut config = Config::new();
    config.pool = Some(PoolConfig::default());
    let words = "reserving the address space of the pool's memories";
    expect_refusal(&Config::new(), words, |_| Engine::new(&config).map(|_| ()));
}

#[test]
fn a_stack_that_cannot_be_mapped_is_an_error_that_names_it() {
    let mut config = Config::new();
    config.async_stack_size = Some(512 << 20);
    expect_refusal(&config, "making a stack for a fiber", |store| {
        let module = module(store, r#"(module (func (export "g")))"#);
        let g = Instance::new(store, &module, &[])?.get_typed_func::<(), ()>(store, "g")?;
        let mut future = std::pin::pin!(g.call_async(store, ()));
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => done,
            Poll::Pending => panic!("it waits for nothing"),
        }
    });
}

#[test]
fn growth_that_cannot_be_mapped_fails_and_changes_nothing() {
    in_child(|| {
        let mut config = Config::new();
        config.tunables.memory_reservation = 1 << 20;
        let engine = Engine::new(&config).unwrap();
        let wat = r#"(module (memory 1) (table 1 funcref)
            (func (export "memory") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export "table") (param i32) (result i32) (table.grow (ref.null func) (local.get 0)))
            (func (export "sizes") (result i32) (i32.store (i32.const 65532) (i32.const 1))
                (i32.add (i32.mul (i32.const 1000) (memory.size)) (table.size))))"#;
        let module = Module::new(&engine, wat.as_bytes()).unwrap();
        let mut store = Store::new(&engine);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let call = |store: &mut Store, name: &str, args: &[Val]| {
            let mut results = [Val::I32(0)];
            instance.get_func(store, name).unwrap().call(store, args, &mut results).unwrap();
            let Val::I32(result) = results[0] else { panic!("{results:?}") };
            result
        };
        assert_eq!((call(&mut store, "memory", &[Val::I32(0)]), call(&mut store, "table", &[Val::I32(0)])), (1, 1));
        assert_eq!(call(&mut store, "sizes", &[]), 1001);
        limit_address_space(Some(200 << 20));
        for _ in 0..3 {
            assert_eq!(call(&mut store, "memory", &[Val::I32(10_000)]), -1);
            assert_eq!(call(&mut store, "table", &[Val::I32(50_000_000)]), -1);
            assert_eq!(call(&mut store, "sizes", &[]), 1001);
        }
        assert_eq!(call(&mut store, "memory", &[Val::I32(2)]), 1);
        limit_address_space(None);
        assert_eq!(call(&mut store, "memory", &[Val::I32(10_000)]), 3);
        assert_eq!(call(&mut store, "table", &[Val::I32(9)]), 1);
    });
}

#[test]
fn code_that_cannot_be_mapped_is_an_error_that_names_it() {
    if check_permissions() > 0 {
        // Another test of this process had code before.
        let line = "code_that_cannot_be_mapped_is_an_error_that_names_it: the process has code already\n";
        print!("skipped: {line}");
        if let Some(list) = std::env::var_os("AMPOULE_SKIPPED") {
            let file = fs::OpenOptions::new().append(true).open(list);
            file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the list of skipped tests is there");
        }
        return;
    }
    in_child(|| {
        let engine = engine(Strategy::Auto);
        limit_address_space(Some(100 << 20));
        for _ in 0..3 {
            let error = Module::new(&engine, many_functions(3).as_bytes()).map(|module| {
                let mut store = Store::new(&engine);
                let f = Instance::new(&mut store, &module, &[]).unwrap().get_func(&store, "f").unwrap();
                f.call(&mut store, &[], &mut [Val::I32(0)]).unwrap_err()
            });
            let message = error.map_or_else(|error| error.to_string(), |error| error.to_string());
            assert!(message.contains("code") && message.contains("Cannot allocate memory"), "{message}");
        }
        limit_address_space(None);
        run(&Module::new(&engine, many_functions(3).as_bytes()).unwrap());
    });
}
