//! Profilers of the process: what needs a process of its own, with its current folder, its files and its children.

#![cfg(feature = "compiler")]

use ampoule::{Config, Engine, Instance, Module, Profiler, Store, Strategy, Val};
use std::path::PathBuf;
use std::{env, fs, process};

const GUEST: &str = r#"(module $m
    (func $counted (param i32) (result i32)
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get 0))
    (func $run (export "run") (param i32) (result i32)
        (i32.add (call $counted (local.get 0)) (i32.const 7))))"#;

fn engine(profiler: Profiler, strategy: Strategy) -> Result<Engine, ampoule::Error> {
    Engine::new(Config::new().profiler(profiler).strategy(strategy))
}

fn run(module: &Module) {
    let mut store = Store::new(module.engine());
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    let run = instance.get_func(&store, "run").unwrap();
    let mut results = [Val::I32(0)];
    run.call(&mut store, &[Val::I32(100)], &mut results).unwrap();
    assert_eq!(results[0], Val::I32(7));
}

fn map_of(process: u32) -> PathBuf {
    format!("/tmp/perf-{process}.map").into()
}

/// Kinds of the records of a jitdump and what follows their times.
fn records(dump: &[u8]) -> Vec<(u32, &[u8])> {
    let word = |at: usize| u32::from_le_bytes(dump[at..at + 4].try_into().unwrap());
    let mut records = Vec::new();
    let mut at = 40;
    while at < dump.len() {
        let len = word(at + 4) as usize;
        records.push((word(at), &dump[at + 16..at + len]));
        at += len;
    }
    records
}

/// One test, since its parts share the process's files and the current folder.
#[test]
fn profilers_write_the_files_of_their_process() {
    a_file_that_cannot_be_made_is_an_error();
    code_in_anonymous_memory_comes_and_goes();
    a_forked_child_writes_a_map_of_its_own();
    a_jitdump_has_lines_and_unwind_information();
}

fn a_file_that_cannot_be_made_is_an_error() {
    let map = map_of(process::id());
    let _ = fs::remove_file(&map);
    fs::create_dir(&map).unwrap();
    let error = engine(Profiler::PerfMap, Strategy::Auto).expect_err("a folder is in the way");
    assert!(error.to_string().contains("starting a profile"), "{error}");
    fs::remove_dir(&map).unwrap();
    // A link that somebody else left there is not followed.
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target");
    std::os::unix::fs::symlink(&target, &map).unwrap();
    assert!(engine(Profiler::PerfMap, Strategy::Auto).is_err());
    assert!(!target.exists());
    fs::remove_file(&map).unwrap();
}

fn code_in_anonymous_memory_comes_and_goes() {
    for strategy in [Strategy::Auto, Strategy::Eager] {
        let engine = engine(Profiler::PerfMap, strategy).unwrap();
        for _ in 0..30 {
            let module = Module::new(&engine, GUEST.as_bytes()).unwrap();
            run(&module);
            run(&module);
        }
    }
    let map = fs::read_to_string(map_of(process::id())).unwrap();
    assert_eq!(map.lines().filter(|line| line.ends_with(" run")).count(), 60);
    for line in map.lines() {
        let mut words = line.splitn(3, ' ');
        let mut number = || u64::from_str_radix(words.next().unwrap(), 16).unwrap();
        assert!(number() > 0 && number() > 0);
        assert!(words.next().is_some_and(|name| !name.is_empty()));
    }
}

fn a_forked_child_writes_a_map_of_its_own() {
    let engine = engine(Profiler::PerfMap, Strategy::Auto).unwrap();
    let module = Module::new(&engine, GUEST.as_bytes()).unwrap();
    let before = fs::read(map_of(process::id())).unwrap();
    // SAFETY: the child runs a guest in its only thread, and ends without returning.
    let child = unsafe { libc::fork() };
    if child == 0 {
        run(&module);
        // SAFETY: ends the process without running the parent's exit code; a panic would have ended it otherwise.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    assert_eq!(fs::read(map_of(process::id())).unwrap(), before);
    let map = map_of(child as u32);
    assert!(fs::read_to_string(&map).unwrap().lines().any(|line| line.ends_with(" counted") || line.ends_with(" run")));
    fs::remove_file(map).unwrap();
    fs::remove_file(map_of(process::id())).unwrap();
}

fn a_jitdump_has_lines_and_unwind_information() {
    let folder = tempfile::tempdir().unwrap();
    let before = env::current_dir().unwrap();
    env::set_current_dir(folder.path()).unwrap();
    let engine = engine(Profiler::JitDump, Strategy::Auto).unwrap();
    let mut parser = wat::Parser::new();
    let bytes = parser.generate_dwarf(wat::GenerateDwarf::Lines).parse_str(Some("guest.wat".as_ref()), GUEST).unwrap();
    run(&Module::new(&engine, &bytes).unwrap());
    env::set_current_dir(before).unwrap();
    let dump = fs::read(folder.path().join(format!("jit-{}.dump", process::id()))).unwrap();
    let records = records(&dump);
    let load = records.iter().position(|(kind, load)| *kind == 0 && load[40..].starts_with(b"run\0")).unwrap();
    let address = &records[load].1[8..16];
    assert_eq!(records[load - 1].0, 4, "unwind information comes before the code");
    let (kind, lines) = records[load - 2];
    assert_eq!(kind, 2, "so do lines");
    assert_eq!(&lines[..8], address);
    let entries = u64::from_le_bytes(lines[8..16].try_into().unwrap());
    let numbers = String::from_utf8_lossy(&lines[16..]).matches("guest.wat\0").count() as u64;
    assert!(entries > 0 && numbers == entries, "{entries} lines, {numbers} files");
    // The first is of the function itself, the sixth or a later line of the text.
    let line = u32::from_le_bytes(lines[24..28].try_into().unwrap());
    assert!((2..=6).contains(&line), "line {line}");
}
