//! What a module declares costs next to nothing before it is used. Counted in page faults of this thread: a noisy machine doesn't change
//! them.

use ampoule::{Config, Engine, ExternRef, Func, Instance, Module, PoolConfig, Store, Val};
use ampoule_core::tunables::Tiers;

/// Page faults of a piece of work.
fn faults_of<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = faults();
    let result = work();
    (result, faults() - before)
}

fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    after_name.split(' ').nth(7).unwrap().parse().unwrap()
}

fn engines() -> [Engine; 2] {
    let roomy = PoolConfig { table_elements: 10_000_000, max_tables_per_module: 100, ..PoolConfig::default() };
    [None, Some(PoolConfig { table_keep_resident: 64 << 10, ..roomy })]
        .map(|pool| Engine::new(&Config { pool, ..Config::new() }).unwrap())
}

fn start(store: &mut Store, wat: &str, imports: &[ampoule::Extern]) -> Instance {
    let module = Module::new(store.engine(), wat.as_bytes()).unwrap();
    Instance::new(store, &module, imports).unwrap()
}

fn func(store: &Store, instance: Instance, name: &str) -> Func {
    instance.get_func(store, name).unwrap()
}

/// `N` times a declaration, in which `#` is the number.
fn repeated(n: usize, declaration: &str) -> String {
    (0..n).map(|number| declaration.replace('#', &number.to_string())).collect()
}

/// Checks that instances of ever more such declarations cost few faults each: a page of every table were 2,500 for each million of
/// elements.
#[track_caller]
fn costs_little(declarations: &str, rest: &str) {
    for engine in engines() {
        let mut counts = [4, 4, 16].map(|n| {
            let wat = format!("(module {} {rest})", repeated(n, declarations));
            let module = Module::new(&engine, wat.as_bytes()).unwrap();
            let mut store = Store::new(&engine);
            let (instance, faults) = faults_of(|| {
                let instance = Instance::new(&mut store, &module, &[]).unwrap();
                drop(store);
                instance
            });
            let _ = instance;
            faults
        });
        counts[0] = 0; // It warms up.
        assert!(counts[1] < 100 && counts[2] < 400, "{declarations}: {counts:?}");
    }
}

#[test]
fn the_minimum_of_a_table_costs_nothing() {
    costs_little("(table 1000000 funcref)", "");
    costs_little("(table 1000000 externref)", "");
}

#[test]
fn an_element_far_behind_costs_a_page() {
    costs_little("(table $t# 2000000 funcref) (elem (table $t#) (i32.const 1000000) func $f)", "(func $f)");
    let lead = "(table $t# 2000000 funcref) (elem (table $t#) (i32.const 0) func $f $f $f)";
    costs_little(&format!("{lead} (elem (table $t#) (i32.const 1000000) func $f)"), "(func $f)");
}

#[test]
fn growth_by_nulls_costs_nothing() {
    for engine in engines() {
        for (ty, null) in [("funcref", "func"), ("externref", "extern")] {
            let wat = format!(
                "(module (table (export \"t\") 10 {ty}) (func (export \"grow\") (param i32) (result i32)
                (table.grow (ref.null {null}) (local.get 0))))"
            );
            let mut store = Store::new(&engine);
            let instance = start(&mut store, &wat, &[]);
            let grow = func(&store, instance, "grow");
            let mut result = [Val::I32(0)];
            grow.call(&mut store, &[Val::I32(0)], &mut result).unwrap();
            let ((), faults) = faults_of(|| {
                for delta in [1, 100_000, 1, 1_000_000, 1, 1] {
                    grow.call(&mut store, &[Val::I32(delta)], &mut result).unwrap();
                }
            });
            assert_eq!(result, [Val::I32(1_100_013)]);
            assert!(faults < 100, "{faults}");
            let table = instance.get_export(&store, "t").unwrap().into_table().unwrap();
            for index in [0, 10, 100_000, 1_100_013] {
                assert!(matches!(
                    table.get(&mut store, index).unwrap(),
                    Some(Val::FuncRef(None) | Val::ExternRef(None))
                ));
            }
        }
    }
}

#[test]
fn a_collection_does_not_read_what_was_never_written() {
    for engine in engines() {
        let mut store = Store::new(&engine);
        let wat = format!("(module (memory 1) {})", repeated(8, "(table (export \"#\") 10000000 externref)"));
        let instance = start(&mut store, &wat, &[]);
        let table = instance.get_export(&store, "3").unwrap().into_table().unwrap();
        let kept = ExternRef::new(&mut store, Box::new(42)).unwrap();
        table.set(&mut store, 7_654_321, &Val::ExternRef(Some(kept))).unwrap();
        let ((), faults) = faults_of(|| {
            for number in 0..20_000 {
                drop(ExternRef::new(&mut store, Box::new(number)).unwrap());
            }
        });
        // Where the system doesn't tell which pages were written, all are read.
        assert!(faults < 1000 || store.statistics().memory_resident_bytes.is_none(), "{faults}");
        let Some(Val::ExternRef(Some(found))) = table.get(&mut store, 7_654_321).unwrap() else {
            panic!("it is there")
        };
        assert_eq!(found.data(&store).unwrap().unwrap().downcast_ref(), Some(&42));
    }
}

#[test]
fn segments_far_apart_are_in_the_table() {
    let engine = Engine::default();
    let mut store = Store::new(&engine);
    let wat = "(module (type $v (func (result i32)))
        (func $one (result i32) i32.const 1) (func $two (result i32) i32.const 2)
        (table 2000000 funcref)
        (elem (i32.const 3) func $one $one) (elem (i32.const 1999999) func $two) (elem (i32.const 4) func $two)
        (func (export \"call\") (param i32) (result i32) (call_indirect (type $v) (local.get 0))))";
    let instance = start(&mut store, wat, &[]);
    let call = func(&store, instance, "call");
    for (index, expected) in [(2, None), (3, Some(1)), (4, Some(2)), (5, None), (1_999_998, None), (1_999_999, Some(2))]
    {
        let mut result = [Val::I32(0)];
        let called = call.call(&mut store, &[Val::I32(index)], &mut result).ok().map(|()| result[0].clone());
        assert_eq!(called, expected.map(Val::I32), "{index}");
    }
}

#[test]
fn many_small_data_segments_are_not_a_system_call_each() {
    let segments =
        |n: usize| -> String { (0..n).map(|at| format!("(data (i32.const {}) \"abcd\")", at * 16)).collect() };
    for engine in engines() {
        let mut store = Store::new(&engine);
        let wat = format!("(module (memory (export \"m\") 16) {})", segments(50_000));
        let module = Module::new(&engine, wat.as_bytes()).unwrap();
        let (instance, calls) = writes_of(|| Instance::new(&mut store, &module, &[]).unwrap());
        assert!(calls < 100, "{calls}");
        let memory = instance.get_memory(&store, "m").unwrap();
        let bytes = memory.bytes(&store).unwrap();
        assert!((0..50_000).all(|at| &bytes[at * 16..at * 16 + 16] == b"abcd\0\0\0\0\0\0\0\0\0\0\0\0"));
        assert!(bytes[50_000 * 16..].iter().all(|&byte| byte == 0));
    }
}

#[test]
fn loading_an_artifact_decodes_no_data_segments() {
    let segments: String = (0..50_000).map(|at| format!("(data (i32.const {}) \"abcd\")", at * 16)).collect();
    let engine = Engine::default();
    let wat = format!("(module (memory (export \"m\") 16) {segments})");
    let artifact = Module::new(&engine, wat.as_bytes()).unwrap().serialize().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &artifact).unwrap();
    // SAFETY: `serialize` wrote it.
    let load = || unsafe { Module::deserialize_file(&engine, file.path()).unwrap() };
    drop(load());
    let (module, faults) = faults_of(load);
    assert!(faults < 300, "decoded, they are more than 500 pages; {faults} faults");
    let mut store = Store::new(&engine);
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let memory = instance.get_memory(&store, "m").unwrap();
    assert_eq!(&memory.bytes(&store).unwrap()[49_999 * 16..50_000 * 16], b"abcd\0\0\0\0\0\0\0\0\0\0\0\0");
}

#[test]
fn loading_an_artifact_makes_nothing_for_each_function() {
    const FUNCTIONS: usize = 20_000;
    let funcs: String = (0..FUNCTIONS).map(|at| format!("(func $f{at} (result i32) (i32.const {at}))")).collect();
    let all: String = (0..FUNCTIONS).map(|at| format!(" $f{at}")).collect();
    let engine = Engine::new(Config::new().tiers(Tiers::Baseline)).unwrap();
    let wat = format!("(module (table (export \"t\") {FUNCTIONS} funcref) (elem (i32.const 0) func{all}) {funcs})");
    let artifact = Module::new(&engine, wat.as_bytes()).unwrap().serialize().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &artifact).unwrap();
    // SAFETY: `serialize` wrote it.
    let load = || unsafe { Module::deserialize_file(&engine, file.path()).unwrap() };
    drop(load());
    let (module, faults) = faults_of(load);
    assert!(faults < 60, "a word written for each is 20 pages more; {faults} faults");
    let mut store = Store::new(&engine);
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let table = instance.get_export(&store, "t").unwrap().into_table().unwrap();
    let Some(Val::FuncRef(Some(last))) = table.get(&mut store, FUNCTIONS as u64 - 1).unwrap() else {
        panic!("it is there")
    };
    let mut results = [Val::I32(0)];
    last.call(&mut store, &[], &mut results).unwrap();
    assert!(matches!(results, [Val::I32(number)] if number as usize == FUNCTIONS - 1));
}

/// System calls by which this thread wrote something.
fn writes_of<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let writes = || -> u64 {
        let io = std::fs::read_to_string("/proc/thread-self/io").unwrap();
        io.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap().parse().unwrap()
    };
    let before = writes();
    let result = work();
    (result, writes() - before)
}

#[test]
fn a_module_of_one_function_is_compiled_without_threads() {
    let threads = || {
        let names = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path().join("comm"));
        names.filter_map(|name| std::fs::read_to_string(name).ok()).filter(|name| name.starts_with("ampoule")).count()
    };
    let engine = Engine::new(&Config::new()).unwrap();
    let threads_after = |wat: &str| {
        assert!(!Module::new(&engine, wat.as_bytes()).unwrap().serialize().unwrap().is_empty());
        threads()
    };
    assert_eq!([threads_after("(module)"), threads_after("(module (func))")], [0; 2]);
    assert!(threads_after("(module (func) (func))") > 0, "more are compiled by several");
}
