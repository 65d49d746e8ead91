//! Claims about caches. Each `Engine` here stands for a process: what one has compiled, another finds on the disk.

use super::config::{Bytes, Count, Percent, Seconds};
use super::*;
use crate::{Config, Engine, Instance, Module, Store, Strategy, Val};
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A folder of its own, deleted at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ampoule-cache-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Scratch(path)
    }

    fn config(&self) -> CacheConfig {
        CacheConfig { directory: Some(self.0.clone()), ..CacheConfig::default() }
    }

    fn cache(&self) -> Cache {
        Cache::new(self.config()).unwrap()
    }

    fn modules(&self) -> PathBuf {
        self.0.join("modules")
    }

    fn entries(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.modules()).unwrap().map(|entry| entry.unwrap().path());
        let mut entries: Vec<_> = all.filter(|path| path.file_name().unwrap().len() == 64).collect();
        entries.sort();
        entries
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn engine_with(cache: &Cache, change: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config { cache: Some(cache.clone()), strategy: Strategy::Eager, ..Config::default() };
    change(&mut config);
    Engine::new(&config).unwrap()
}

fn engine(cache: &Cache) -> Engine {
    engine_with(cache, |_| {})
}

const ANSWER: &str =
    r#"(module (memory 1) (data (i32.const 8) "\2a") (func (export "f") (result i32) (i32.load (i32.const 8))))"#;

fn answer(engine: &Engine) -> i32 {
    let module = Module::new(engine, ANSWER.as_bytes()).unwrap();
    let mut store = Store::new(engine);
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let mut results = [Val::I32(0)];
    instance.get_func(&store, "f").unwrap().call(&mut store, &[], &mut results).unwrap();
    let [Val::I32(answer)] = results else { panic!("an i32") };
    answer
}

fn counts(hits: u64, misses: u64, stored: u64) -> CacheStatistics {
    CacheStatistics { hits, misses, stored }
}

/// The cache of a new process, after it made the module.
fn after_another(scratch: &Scratch) -> (CacheStatistics, u64) {
    let cache = scratch.cache();
    let engine = engine(&cache);
    assert_eq!(answer(&engine), 42);
    (cache.statistics(), engine.compiled_functions())
}

#[test]
fn the_second_process_compiles_nothing() {
    let scratch = Scratch::new("second");
    assert_eq!(after_another(&scratch), (counts(0, 1, 1), 1));
    assert_eq!(after_another(&scratch), (counts(1, 0, 0), 0));
    assert_eq!(scratch.entries().len(), 1);
}

#[test]
fn a_lazily_compiled_module_is_stored_meanwhile() {
    let scratch = Scratch::new("lazy");
    let cache = scratch.cache();
    let lazy = engine_with(&cache, |config| config.strategy = Strategy::Auto);
    assert_eq!(answer(&lazy), 42);
    for _ in 0..1000 {
        if cache.statistics().stored > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(cache.statistics(), counts(0, 1, 1));
    // It is the same entry that an eager engine makes.
    assert_eq!(after_another(&scratch), (counts(1, 0, 0), 0));
}

/// A module of many functions, of which `run` calls every tenth.
fn many() -> Vec<u8> {
    let mut text = String::from("(module (memory 1)");
    for func in 0..MANY {
        let step = "(local.set 0 (i32.add (i32.load (i32.and (local.get 0) (i32.const 0xfffc))) (i32.const 1)))";
        text += &format!("(func $f{func} (param i32) (result i32) {} (local.get 0))", step.repeat(12));
    }
    text += "(func (export \"run\") (result i32) (i32.const 0)";
    (0..MANY).step_by(10).for_each(|func| text += &format!("(call $f{func})"));
    Module::binary_of_text(&(text + "))")).unwrap()
}

const MANY: usize = 600;

/// Makes the module and calls `run`, in an engine that compiles functions at their first call.
fn run_many(cache: &Cache, binary: &[u8]) -> Engine {
    let engine = engine_with(cache, |config| config.strategy = Strategy::Auto);
    let module = Module::from_binary(&engine, binary).unwrap();
    let mut store = Store::new(&engine);
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let mut results = [Val::I32(0)];
    instance.get_func(&store, "run").unwrap().call(&mut store, &[], &mut results).unwrap();
    assert!(matches!(results, [Val::I32(1)]), "{results:?}");
    engine
}

#[test]
fn what_a_process_has_compiled_when_it_ends_the_next_one_does_not_compile_again() {
    let (scratch, binary) = (Scratch::new("part"), many());
    // SAFETY: the child, in its only thread, runs what is tested and ends without returning, whatever its other threads are at.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: a signal ends the child, should it hang.
            unsafe { libc::alarm(60) };
            let cache = scratch.cache();
            run_many(&cache, &binary);
            while scratch.entries().is_empty() {
                std::thread::yield_now();
            }
            // SAFETY: ends the process.
            unsafe { libc::_exit(cache.statistics().stored as i32) }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for the child made above.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0, "the child is done before the whole module is");
        }
    }
    let part = scratch.entries();
    assert_eq!(part.len(), 1);
    let cache = scratch.cache();
    let engine = run_many(&cache, &binary);
    while cache.statistics().stored == 0 {
        std::thread::yield_now();
    }
    assert_eq!(cache.statistics(), counts(0, 1, 1));
    // Each function once for the cache, and those called at their first call: but for what was there.
    let compiled = engine.compiled_functions();
    assert!(compiled < (MANY + 1 + MANY / 10 + 1) as u64, "{compiled}");
    // The part goes when the whole is there.
    let whole = scratch.entries();
    assert!(whole.len() == 1 && whole != part, "{whole:?}");
    let third = run_many(&scratch.cache(), &binary);
    assert_eq!(third.compiled_functions(), 0);
}

#[test]
fn whatever_changes_the_code_changes_the_key() {
    let scratch = Scratch::new("keys");
    let cache = scratch.cache();
    let changes: [fn(&mut Config); 6] = [
        |_| {},
        |config| config.tunables.consume_fuel = true,
        |config| config.tunables.opt_level = ampoule_core::tunables::OptLevel::None,
        |config| config.features.simd = false,
        |config| config.cranelift_flags.push(("enable_alias_analysis".to_string(), Some("false".to_string()))),
        |config| config.target = Some("x86_64-unknown-linux-gnu".to_string()),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        Module::new(&engine_with(&cache, change), b"(module (func))").unwrap();
        assert_eq!(cache.statistics(), counts(0, number as u64 + 1, number as u64 + 1));
    }
    Module::new(&engine(&cache), b"(module (func) (func))").unwrap();
    assert_eq!((cache.statistics().hits, scratch.entries().len()), (0, 7));
}

#[test]
fn an_invalid_module_is_refused_and_not_stored() {
    let scratch = Scratch::new("invalid");
    let engine = engine(&scratch.cache());
    for _ in 0..2 {
        assert!(Module::new(&engine, b"(module (func i32.add))").is_err());
    }
    assert_eq!(scratch.entries().len(), 0);
}

/// Every kind of damage is a miss, and the entry is replaced.
#[test]
fn damaged_entries_are_misses_and_replaced() {
    let scratch = Scratch::new("damage");
    after_another(&scratch);
    let entry = scratch.entries().remove(0);
    let good = fs::read(&entry).unwrap();
    let len = good.len();
    let mut damaged =
        vec![Vec::new(), vec![0; 10], good[..len / 2].to_vec(), good[..len - 1].to_vec(), b"text".repeat(1000)];
    damaged.push([&good[..], b"more"].concat());
    for at in (0..len).step_by(len / 50).chain(len - 70..len) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        damaged.push(bytes);
    }
    for bytes in damaged {
        fs::write(&entry, bytes).unwrap();
        assert_eq!(after_another(&scratch), (counts(0, 1, 1), 1));
        assert_eq!(after_another(&scratch), (counts(1, 0, 0), 0), "it was replaced");
    }
}

#[test]
fn an_entry_of_another_module_is_a_miss() {
    let scratch = Scratch::new("foreign");
    Module::new(&engine(&scratch.cache()), b"(module (func (export \"f\") (result i32) (i32.const 1)))").unwrap();
    let other = scratch.entries().remove(0);
    after_another(&scratch);
    let ours = scratch.entries().into_iter().find(|entry| *entry != other).unwrap();
    fs::copy(&other, &ours).unwrap();
    assert_eq!(after_another(&scratch), (counts(0, 1, 1), 1));
}

#[test]
fn what_others_may_write_to_is_not_trusted() {
    let scratch = Scratch::new("trust");
    after_another(&scratch);
    let entry = scratch.entries().remove(0);
    assert_eq!(fs::metadata(&entry).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(scratch.modules()).unwrap().mode() & 0o777, 0o700);
    fs::set_permissions(&entry, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(after_another(&scratch).0, counts(0, 1, 1));
    // Not through a link either.
    let moved = scratch.0.join("moved");
    fs::rename(&entry, &moved).unwrap();
    symlink(&moved, &entry).unwrap();
    assert_eq!(after_another(&scratch).0, counts(0, 1, 1));
    assert!(moved.exists() && fs::symlink_metadata(&entry).unwrap().is_file());
    fs::set_permissions(scratch.modules(), Permissions::from_mode(0o777)).unwrap();
    assert!(Cache::new(scratch.config()).is_err());
}

#[test]
fn a_folder_that_cannot_be_had_is_an_error() {
    let config = CacheConfig { directory: Some("/proc/nothing/here".into()), ..CacheConfig::default() };
    assert!(
        Cache::new(config).unwrap_err().to_string().starts_with("failed to create cache directory: /proc/nothing/here")
    );
}

#[test]
fn losing_the_folder_costs_the_cache_and_nothing_else() {
    let scratch = Scratch::new("lost");
    let cache = scratch.cache();
    fs::remove_dir_all(&scratch.0).unwrap();
    assert_eq!(answer(&engine(&cache)), 42);
    assert_eq!(cache.statistics(), counts(0, 1, 0));
}

fn set_age(path: &Path, age: Duration) {
    let time = SystemTime::now() - age;
    File::options().write(true).open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_use_makes_an_entry_young() {
    let scratch = Scratch::new("young");
    after_another(&scratch);
    let entry = scratch.entries().remove(0);
    set_age(&entry, HOUR);
    after_another(&scratch);
    assert!(fs::metadata(&entry).unwrap().modified().unwrap().elapsed().unwrap() < HOUR / 2);
}

/// A folder with ten entries of 1000 bytes, the first the oldest, and one that is `ahead` of the time.
fn filled(name: &str, ahead: Duration) -> (Scratch, Folder, Vec<PathBuf>) {
    let scratch = Scratch::new(name);
    let folder = Folder::open(&scratch.0).unwrap();
    let paths: Vec<_> = (0..10).map(|number| scratch.modules().join(format!("{number:064x}"))).collect();
    for (number, path) in paths.iter().enumerate() {
        fs::write(path, [0; 1000]).unwrap();
        set_age(path, HOUR * (10 - number as u32));
    }
    let time = SystemTime::now() + ahead;
    File::options().write(true).open(&paths[9]).unwrap().set_modified(time).unwrap();
    (scratch, folder, paths)
}

fn left(paths: &[PathBuf]) -> Vec<usize> {
    (0..paths.len()).filter(|&number| paths[number].exists()).collect()
}

#[test]
fn beyond_a_limit_the_longest_unused_go() {
    let by_count = CacheConfig {
        file_count_soft_limit: Count(8),
        file_count_limit_percent_if_deleting: Percent(50),
        ..CacheConfig::default()
    };
    let by_size = CacheConfig {
        files_total_size_soft_limit: Bytes(9_999),
        files_total_size_limit_percent_if_deleting: Percent(41),
        ..CacheConfig::default()
    };
    let none = CacheConfig { file_count_soft_limit: Count(10), ..CacheConfig::default() };
    let day = HOUR * 24;
    for (config, ahead, expected) in [
        (&none, HOUR, (0..10).collect::<Vec<_>>()),
        (&by_count, HOUR, vec![6, 7, 8, 9]),
        (&by_size, HOUR, vec![6, 7, 8, 9]),
        // The one from the distant future counts as the oldest.
        (&by_count, day * 2, vec![5, 6, 7, 8]),
    ] {
        let (_scratch, folder, paths) = filled("limits", ahead);
        folder.clean_up(config, SystemTime::now());
        assert_eq!(left(&paths), expected);
    }
}

#[test]
fn cleanups_keep_their_interval() {
    let config = CacheConfig { file_count_soft_limit: Count(1), ..CacheConfig::default() };
    let (scratch, folder, paths) = filled("interval", HOUR);
    let mark = scratch.modules().join("last-cleanup");
    File::create(&mark).unwrap();
    folder.clean_up(&config, SystemTime::now());
    assert_eq!(left(&paths).len(), 10);
    set_age(&mark, HOUR * 2);
    folder.clean_up(&config, SystemTime::now());
    assert_eq!(left(&paths).len(), 0);
    let always = CacheConfig { cleanup_interval: Seconds(Duration::ZERO), ..config };
    fs::write(&paths[0], []).unwrap();
    fs::write(&paths[1], []).unwrap();
    folder.clean_up(&always, SystemTime::now());
    assert_eq!(left(&paths).len(), 0);
}

#[test]
fn a_cleanup_leaves_the_files_of_others_and_of_writers_at_work() {
    let config = CacheConfig { file_count_soft_limit: Count(0), ..CacheConfig::default() };
    let (scratch, folder, paths) = filled("others", HOUR);
    let named = |name: &str| scratch.modules().join(name);
    for (name, age) in [("notes.txt", HOUR), ("new-1-1", HOUR), ("new-2-2", HOUR / 4)] {
        fs::write(named(name), "x").unwrap();
        set_age(&named(name), age);
    }
    folder.clean_up(&config, SystemTime::now());
    assert_eq!(left(&paths).len(), 0);
    assert_eq!(["notes.txt", "new-1-1", "new-2-2"].map(|name| named(name).exists()), [true, false, true]);
}

#[test]
fn a_full_queue_refuses_and_a_panic_ends_no_worker() {
    let worker = Worker::new(1);
    let (begin, begun) = std::sync::mpsc::channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (done, results) = std::sync::mpsc::channel();
    worker.run(Box::new(move || {
        begin.send(()).unwrap();
        wait.recv().unwrap();
        panic!("a job may");
    }));
    begun.recv().unwrap();
    for _ in 0..10 {
        let done = done.clone();
        worker.run(Box::new(move || done.send(()).unwrap()));
    }
    go.send(()).unwrap();
    drop(done);
    assert_eq!(results.iter().count(), 1, "the others found the queue full");
}

#[test]
fn threads_and_processes_share_a_cache() {
    let scratch = Scratch::new("threads");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let cache = scratch.cache();
                    assert_eq!(answer(&engine(&cache)), 42);
                    let CacheStatistics { hits, misses, .. } = cache.statistics();
                    assert_eq!(hits + misses, 1);
                }
            });
        }
    });
    assert_eq!(scratch.entries().len(), 1);
    assert_eq!(after_another(&scratch).0, counts(1, 0, 0));
}
