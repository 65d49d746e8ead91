//! `ampoule snapshot`, and `ampoule run` of what it wrote.

mod support;

use support::{Folder, assert_contains};

/// Counts how often it was initialized, and by whom.
const REACTOR: &str = r#"(module
    (global $count (mut i32) (i32.const 0))
    (memory (export "memory") 1)
    (func $add (param i32) (global.set $count (i32.add (global.get $count) (local.get 0))))
    (func (export "_initialize") (call $add (i32.const 1)))
    (func (export "wizer.initialize") (call $add (i32.const 10)) 
        (drop (memory.grow (i32.const 1))) (i32.store (i32.const 70000) (i32.const 7)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "load") (i32.store (i32.const 8) (i32.const 5)) (call $add (i32.const 100)))
    (func (export "fail") unreachable)
    (func (export "add") (param i32) (result i32) (call $add (local.get 0)) (global.get $count))
    (func (export "count") (result i32) (i32.add (global.get $count) (i32.load (i32.const 8)))))"#;

/// Prints a file that it has opened before, from where it was, `read` bytes each time.
const READER: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "note.txt")
    (func $check (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
    (func (export "open")
        (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 8) (i32.const 0)
            (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0))))
    (func $next (export "next")
        (i32.store (i32.const 8) (i32.const 1024))
        (i32.store (i32.const 12) (i32.const 6))
        (call $check (call $read (i32.load (i32.const 0)) (i32.const 8) (i32.const 1) (i32.const 12)))
        (call $check (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16))))
    (func (export "_start") (call $next)))"#;

#[test]
fn a_reactor_goes_on_from_its_snapshot_again_and_again() {
    let folder = Folder::with(&[("reactor.wat", REACTOR)]);
    assert_contains(
        &folder.succeeds(&["snapshot", "-o", "r.snap", "--after", "load", "reactor.wat"]),
        &["r.snap: ", "KiB"],
    );
    for _ in 0..2 {
        // `_initialize` was called before the snapshot, and isn't again.
        assert_eq!(folder.succeeds(&["run", "--snapshot", "--invoke", "add", "r.snap", "1000"]), "1101\n");
        assert_eq!(folder.succeeds(&["run", "--invoke", "count", "r.snap"]), "106\n");
    }
    let twice = ["snapshot", "-o", "r.snap", "--after", "load", "--after", "_initialize", "reactor.wat"];
    folder.succeeds(&twice);
    assert_eq!(folder.succeeds(&["run", "--invoke", "add", "r.snap", "0"]), "101\n", "once, when it was asked for");
    let error = folder.fails(1, &["run", "r.snap"]);
    assert_contains(&error, &["r.snap: exports no `_start`; `--invoke` says what is to be called"]);
}

#[test]
fn what_tools_for_pre_initialization_call_is_called_by_default() {
    let folder = Folder::with(&[("reactor.wat", REACTOR)]);
    folder.succeeds(&["snapshot", "-o", "r.snap", "reactor.wat"]);
    assert_eq!(folder.succeeds(&["run", "--invoke", "add", "r.snap", "0"]), "11\n");
    assert_eq!(folder.succeeds(&["run", "--invoke", "grow", "r.snap"]), "2\n", "it had grown");
    assert_eq!(folder.succeeds(&["run", "--max-memory", "128KiB", "--invoke", "grow", "r.snap"]), "-1\n");
}

#[test]
fn a_guest_that_fails_leaves_no_snapshot() {
    let folder = Folder::with(&[("reactor.wat", REACTOR), ("reader.wat", READER)]);
    let args = |after| ["snapshot", "-o", "r.snap", "--after", after, "reactor.wat"];
    assert_contains(&folder.fails(134, &args("fail")), &["reactor.wat: ", "unreachable"]);
    assert_contains(&folder.fails(1, &args("nothing")), &["reactor.wat: exports no function `nothing`"]);
    assert_contains(&folder.fails(1, &args("add")), &["`add` takes arguments"]);
    // EBADF: there is no descriptor 3.
    folder.fails(8, &["snapshot", "-o", "r.snap", "--after", "open", "reader.wat"]);
    assert_contains(&folder.fails(1, &["snapshot", "-o", "no/r.snap", "reactor.wat"]), &["no/r.snap: "]);
    let names: Vec<_> = std::fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_guest_has_no_more_than_it_is_allowed_before_the_snapshot_and_after() {
    let folder = Folder::with(&[("reactor.wat", REACTOR)]);
    let refused = folder.fails(1, &["snapshot", "--max-total", "64KiB", "-o", "r.snap", "reactor.wat"]);
    assert_contains(&refused, &["the store's budget is used up"]);
    // `wizer.initialize` grows, and writes there.
    for limit in ["--max-total", "--max-memory"] {
        let refused = folder.fails(134, &["snapshot", limit, "96KiB", "-o", "r.snap", "reactor.wat"]);
        assert_contains(&refused, &["out of bounds"]);
    }
    folder.succeeds(&["snapshot", "--max-total", "1MiB", "-o", "r.snap", "reactor.wat"]);
    assert_eq!(folder.succeeds(&["run", "--max-total", "1MiB", "--invoke", "grow", "r.snap"]), "2\n");
    assert_eq!(folder.succeeds(&["run", "--max-total", "160KiB", "--invoke", "grow", "r.snap"]), "-1\n");
    assert_contains(&folder.fails(1, &["run", "--max-total", "96KiB", "--invoke", "grow", "r.snap"]), &["budget"]);
}

#[test]
fn a_command_that_exits_with_success_has_returned() {
    let text = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
        (func (export "_start") (global.set $n (i32.const 5)) (call $exit (i32.const 0)) unreachable)
        (func (export "n") (result i32) (global.get $n)))"#;
    let folder = Folder::with(&[("exit.wat", text)]);
    folder.succeeds(&["snapshot", "-o", "e.snap", "--after", "_start", "exit.wat"]);
    assert_eq!(folder.succeeds(&["run", "--invoke", "n", "e.snap"]), "5\n");
    assert_eq!(folder.succeeds(&["run", "e.snap"]), "");
}

#[test]
fn arguments_and_environment_are_those_of_the_snapshot_unless_others_are_given() {
    let folder = Folder::with(&[("echo.wat", support::ECHO)]);
    folder.succeeds(&["snapshot", "-o", "e.snap", "--env", "A=1", "echo.wat", "x", "-y"]);
    assert_eq!(folder.succeeds(&["run", "e.snap"]), "echo.wat\nx\n-y\nA=1\n");
    assert_eq!(folder.succeeds(&["run", "--env", "B=2", "e.snap", "--z"]), "echo.wat\n--z\nB=2\n");
    // A function without parameters leaves them to the program.
    assert_eq!(folder.succeeds(&["run", "--invoke", "_start", "e.snap", "--z"]), "echo.wat\n--z\nA=1\n");
    assert_eq!(folder.succeeds(&["run", "--invoke", "_start", "echo.wat", "--z"]), "echo.wat\n--z\n");
}

#[test]
fn files_are_opened_again_in_directories_that_are_given_again() {
    let folder = Folder::with(&[("reader.wat", READER), ("note.txt", "first,second")]);
    let open = ["snapshot", "-o", "r.snap", "--dir", ".::/data", "--after", "open", "--after", "next", "reader.wat"];
    assert_contains(&folder.succeeds(&open), &["first,", "r.snap: "]);
    for _ in 0..2 {
        assert_eq!(folder.succeeds(&["run", "--dir", ".::/data", "r.snap"]), "second");
    }
    let ungranted = "r.snap: no directory is given as `/data`, which the guest has open";
    assert_contains(&folder.fails(1, &["run", "r.snap"]), &[ungranted]);
    assert_contains(&folder.fails(1, &["run", "--dir", ".", "r.snap"]), &[ungranted]);
    std::fs::create_dir(folder.path("empty")).unwrap();
    let error = folder.fails(1, &["run", "--dir", "empty::/data", "r.snap"]);
    assert_contains(&error, &["r.snap: descriptor 4: cannot open `note.txt` again: No such file or directory"]);
}

#[test]
fn imports_that_nobody_provides_may_trap() {
    let text = r#"(module (import "env" "log" (func $log)) (global $n (mut i32) (i32.const 0))
        (func (export "init") (global.set $n (i32.const 3)))
        (func (export "n") (result i32) (global.get $n)) (func (export "log") (call $log)))"#;
    let folder = Folder::with(&[("log.wat", text)]);
    let snapshot = ["snapshot", "-o", "l.snap", "--after", "init", "--trap-unknown-imports", "log.wat"];
    assert_contains(
        &folder.fails(1, &["snapshot", "-o", "l.snap", "log.wat"]),
        &["unknown import: `env::log` has not been defined"],
    );
    folder.succeeds(&snapshot);
    assert_contains(
        &folder.fails(1, &["run", "--invoke", "n", "l.snap"]),
        &["unknown import: `env::log` has not been defined"],
    );
    assert_eq!(folder.succeeds(&["run", "--trap-unknown-imports", "--invoke", "n", "l.snap"]), "3\n");
    for file in ["l.snap", "log.wat"] {
        let error = folder.fails(1, &["run", "--trap-unknown-imports", "--invoke", "log", file]);
        assert_contains(&error, &["unknown import: `env::log` has not been defined"]);
    }
}

#[test]
fn damaged_and_foreign_files_are_refused_with_their_names() {
    let folder = Folder::with(&[("reactor.wat", REACTOR)]);
    folder.succeeds(&["snapshot", "-o", "r.snap", "reactor.wat"]);
    let bytes = std::fs::read(folder.path("r.snap")).unwrap();
    for len in [8, 20, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(folder.path("cut.snap"), &bytes[..len]).unwrap();
        assert_contains(&folder.fails(1, &["run", "--invoke", "count", "cut.snap"]), &["error: cut.snap: "]);
    }
    // In the part that is read before anything runs.
    for at in [8, 20, 30, 45, 60, 90] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        std::fs::write(folder.path("bad.snap"), damaged).unwrap();
        assert_contains(&folder.fails(1, &["run", "--invoke", "count", "bad.snap"]), &["error: bad.snap: "]);
    }
    let mut newer = bytes.clone();
    newer[7] += 1;
    std::fs::write(folder.path("newer.snap"), newer).unwrap();
    assert_contains(&folder.fails(1, &["run", "newer.snap"]), &["newer.snap: ", "another version"]);
    assert_contains(&folder.fails(1, &["run", "--fuel", "9", "--invoke", "count", "r.snap"]), &["error: r.snap: "]);
    assert_contains(&folder.fails(1, &["run", "--snapshot", "reactor.wat"]), &["reactor.wat: is no snapshot"]);
    assert_contains(&folder.fails(1, &["compile", "r.snap"]), &["r.snap: is a snapshot; a wasm or wat file is needed"]);
    assert_contains(
        &folder.fails(1, &["snapshot", "-o", "s.snap", "r.snap"]),
        &["r.snap: is a snapshot, not a module"],
    );
    folder.succeeds(&["snapshot", "--timeout", "-o", "t.snap", "reactor.wat"]);
    assert_contains(&folder.fails(1, &["serve", "t.snap"]), &["t.snap: is of a module, not a component"]);
}

/// Counts the calls of `next`; `run` succeeds after the first.
const COMPONENT: &str = r#"(component
    (core module $m
        (global $n (mut i32) (i32.const 0))
        (func (export "next") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
        (func (export "add") (param i32) (global.set $n (i32.add (global.get $n) (local.get 0))))
        (func (export "run") (result i32) (i32.eqz (global.get $n))))
    (core instance $i (instantiate $m))
    (func (export "next") (result u32) (canon lift (core func $i "next")))
    (func (export "add") (param "count" u32) (canon lift (core func $i "add")))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance (export "wasi:cli/run@0.2.0") (export "run" (func $run))))"#;

#[test]
fn components_go_on_from_their_snapshots() {
    let folder = Folder::with(&[("component.wat", COMPONENT)]);
    folder.fails(1, &["run", "component.wat"]);
    folder.succeeds(&["snapshot", "-o", "c.snap", "--after", "next", "--after", "add(40)", "component.wat"]);
    for _ in 0..2 {
        assert_eq!(folder.succeeds(&["run", "--snapshot", "--invoke", "next", "c.snap"]), "42\n");
        folder.succeeds(&["run", "c.snap"]);
    }
    let error = folder.fails(1, &["snapshot", "-o", "c.snap", "--after", "other", "component.wat"]);
    assert_contains(&error, &["component.wat: the component exports no function `other`"]);
    assert_contains(&folder.fails(1, &["serve", "c.snap"]), &["c.snap: "]);
}
