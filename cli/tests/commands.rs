//! The `ampoule` command as its users see it: output, errors, exit statuses.

mod support;

use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::{ECHO, Folder, assert_contains, err, out};

const MATH: &str = r#"(module $math
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "swap") (param i64 f64) (result f64 i64) (local.get 1) (local.get 0))
    (func $boom (export "boom") unreachable)
    (func (export "spin") (loop (br 0)))
    (func $deep (export "deep") (call $deep))
    (global (export "answer") i32 (i32.const 42)))"#;

fn exits_with(status: i32) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const {status}))))"#
    )
}

#[test]
fn run_gives_a_command_its_arguments_and_environment() {
    let folder = Folder::with(&[("echo.wat", ECHO)]);
    assert_eq!(folder.succeeds(&["run", "echo.wat"]), "echo.wat\n");
    assert_eq!(folder.succeeds(&["run", "echo.wat", "a b", "--fuel", "--", "-x"]), "echo.wat\na b\n--fuel\n--\n-x\n");
    assert_eq!(folder.succeeds(&["run", "--", "echo.wat", "-x"]), "echo.wat\n-x\n");
    let with_env = folder.succeeds(&["run", "--env", "K=V=W", "--env", "FROM_HOST", "echo.wat", "x"]);
    assert_eq!(with_env, "echo.wat\nx\nK=V=W\nFROM_HOST=host value\n");
}

#[test]
fn what_stands_behind_the_file_belongs_to_the_guest() {
    let folder = Folder::with(&[("echo.wat", ECHO), ("cat.wat", CAT), ("math.wat", MATH)]);
    for arg in ["--", "--help", "-h", "--version", "--dir=/::/host", "--env=A=B", "--fuel=1", "--timeout", "-", ""] {
        assert_eq!(folder.succeeds(&["run", "echo.wat", arg]), format!("echo.wat\n{arg}\n"));
        assert_eq!(folder.succeeds(&["run", "echo.wat", arg, "--", "x"]), format!("echo.wat\n{arg}\n--\nx\n"));
    }
    // EBADF: no directory was given to it.
    folder.fails(8, &["run", "cat.wat", "--dir=."]);
    folder.fails(8, &["run", "cat.wat", "--dir", "."]);
    assert_contains(
        &folder.fails(1, &["run", "--invoke", "add", "math.wat", "--fuel", "1"]),
        &["`--fuel` is not a valid i32"],
    );
    assert_contains(&folder.succeeds(&["run", "--help"]), &["Usage: ampoule run [OPTIONS] <FILE> [ARGS]...\n"]);
    assert_contains(&folder.fails(2, &["run", "--nonsense", "echo.wat"]), &["--nonsense"]);
}

#[test]
fn a_guest_is_told_the_base_name_of_its_file() {
    let folder = Folder::with(&[]);
    std::fs::create_dir(folder.path("below")).unwrap();
    std::fs::write(folder.path("below/echo.wat"), ECHO).unwrap();
    let absolute = folder.path("below/echo.wat");
    for file in ["below/echo.wat", "./below/../below/echo.wat", absolute.to_str().unwrap()] {
        assert_eq!(folder.succeeds(&["run", file, "x"]), "echo.wat\nx\n");
    }
}

#[test]
fn run_passes_the_guests_exit_status_on() {
    for status in [0, 1, 7, 125] {
        let folder = Folder::with(&[("exit.wat", &exits_with(status))]);
        let output = folder.ampoule(&["run", "exit.wat"]);
        assert_eq!((output.status.code(), err(&output)), (Some(status), String::new()));
    }
}

#[test]
fn run_invokes_functions_and_prints_their_results() {
    let folder = Folder::with(&[("math.wat", MATH)]);
    assert_eq!(folder.succeeds(&["run", "--invoke", "add", "math.wat", "2", "-3"]), "-1\n");
    assert_eq!(folder.succeeds(&["run", "--invoke", "add", "math.wat", "0xffffffff", "2"]), "1\n");
    assert_eq!(folder.succeeds(&["run", "--invoke", "swap", "math.wat", "-5", "2.5"]), "2.5\n-5\n");
    assert_contains(
        &folder.fails(1, &["run", "--invoke", "add", "math.wat", "1"]),
        &["math.wat", "takes 2 arguments, 1 given"],
    );
    assert_contains(
        &folder.fails(1, &["run", "--invoke", "add", "math.wat", "1", "x"]),
        &["math.wat", "`x` is not a valid i32"],
    );
    assert_contains(
        &folder.fails(1, &["run", "--invoke", "sub", "math.wat"]),
        &["math.wat", "exports no function `sub`"],
    );
    assert_contains(&folder.fails(1, &["run", "--invoke", "answer", "math.wat"]), &["exports no function `answer`"]);
}

#[test]
fn every_tier_does_the_same() {
    let folder = Folder::with(&[("echo.wat", ECHO), ("math.wat", MATH), ("add.wast", ADD_SCRIPT)]);
    let mut spent = Vec::new();
    for tier in ["auto", "baseline", "optimizing"] {
        assert_eq!(folder.succeeds(&["run", "--tier", tier, "echo.wat", "x"]), "echo.wat\nx\n");
        assert_eq!(folder.succeeds(&["run", "--tier", tier, "--invoke", "add", "math.wat", "40", "2"]), "42\n");
        assert_contains(&folder.fails(134, &["run", "--tier", tier, "--invoke", "boom", "math.wat"]), &["boom"]);
        assert_contains(&folder.fails(134, &["run", "--tier", tier, "--invoke", "deep", "math.wat"]), &["stack"]);
        folder.fails(134, &["run", "--tier", tier, "--fuel", "10000", "--invoke", "spin", "math.wat"]);
        let enough = |fuel: u32| {
            let fuel = fuel.to_string();
            let args = ["run", "--tier", tier, "--fuel", &fuel, "--invoke", "add", "math.wat", "40", "2"];
            folder.ampoule(&args).status.success()
        };
        spent.push((0..20).find(|&fuel| enough(fuel)).expect("it takes little"));
        folder.succeeds(&["wast", "--tier", tier, "add.wast"]);
    }
    assert!(spent.iter().all(|&fuel| fuel == spent[0]), "{spent:?}");
    for command in ["run", "wast", "serve"] {
        assert_contains(&folder.fails(2, &[command, "--tier", "fast", "x"]), &["'fast'", "auto, baseline, optimizing"]);
        assert_contains(&folder.fails(2, &[command, "--tier", "Baseline", "x"]), &["similar value exists: 'baseline'"]);
        assert_contains(&folder.fails(2, &[command, "--tier"]), &["--tier", "auto, baseline, optimizing"]);
        assert_contains(&folder.fails(2, &[command, "--tier", "auto", "--tier", "auto", "x"]), &["multiple times"]);
        assert_contains(&folder.succeeds(&[command, "--help"]), &["--tier"]);
    }
}

const ADD_SCRIPT: &str = r#"(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
    (assert_return (invoke "add" (i32.const 40) (i32.const 2)) (i32.const 42))"#;

#[test]
fn compile_uses_the_compiler_that_is_asked_for() {
    // Of a thousand exclusive ors by constants the optimizing compiler makes one, unless it is not to optimize.
    let steps: String = (1..=1000).map(|i| format!(" i32.const {} i32.xor", i * 8191)).collect();
    let folder = Folder::with(&[(
        "steps.wat",
        &format!("(module (func (export \"f\") (param i32) (result i32) local.get 0 {steps}))"),
    )]);
    let compiled = |args: &[&str]| {
        folder.succeeds(&[&["compile", "steps.wat"], args].concat());
        // Every engine runs it.
        let result = folder.succeeds(&["run", "--tier", "baseline", "--invoke", "f", "steps.ampoule", "7"]);
        (std::fs::read(folder.path("steps.ampoule")).unwrap().len(), result)
    };
    let (optimized, result) = compiled(&[]);
    let at_least = optimized + 2000;
    for args in [&["-O", "none"] as &[&str], &["--tier", "baseline"], &["--tier", "optimizing", "-O", "none"]] {
        let (len, same) = compiled(args);
        assert!(len > at_least && same == result, "{args:?}: {len} bytes, {optimized} optimized");
    }
    assert_eq!(compiled(&["--tier", "optimizing"]).0, optimized);
    assert_contains(&folder.fails(2, &["compile", "--tier", "auto", "steps.wat"]), &["baseline, optimizing"]);
}

#[test]
fn a_trap_prints_its_backtrace_and_exits_134() {
    let folder = Folder::with(&[("math.wat", MATH)]);
    let error = folder.fails(134, &["run", "--invoke", "boom", "math.wat"]);
    assert_contains(&error, &["math.wat", "wasm `unreachable` instruction executed", "math!boom"]);
    assert_contains(&folder.fails(134, &["run", "--invoke", "deep", "math.wat"]), &["call stack exhausted"]);
}

#[test]
fn a_trap_in_the_start_function_is_one_too() {
    let folder = Folder::with(&[("start.wat", "(module $s (func $main unreachable) (start $main))")]);
    assert_contains(&folder.fails(134, &["run", "start.wat"]), &["start.wat", "unreachable", "s!main"]);
}

#[test]
fn fuel_stops_a_guest() {
    let folder = Folder::with(&[("math.wat", MATH)]);
    let error = folder.fails(134, &["run", "--fuel", "10000", "--invoke", "spin", "math.wat"]);
    assert_contains(&error, &["all fuel consumed by WebAssembly"]);
    assert_eq!(folder.succeeds(&["run", "--fuel", "10000", "--invoke", "add", "math.wat", "1", "2"]), "3\n");
    assert_contains(&folder.fails(2, &["run", "--fuel", "many", "math.wat"]), &["--fuel"]);
}

#[test]
fn a_timeout_stops_a_guest_that_runs() {
    let folder = Folder::with(&[("math.wat", MATH)]);
    let start = Instant::now();
    let error = folder.fails(134, &["run", "--timeout", "200ms", "--invoke", "spin", "math.wat"]);
    assert_contains(&error, &["wasm trap: interrupt", "math!<wasm function 3>"]);
    assert!((Duration::from_millis(200)..Duration::from_secs(60)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(folder.succeeds(&["run", "--timeout", "1m", "--invoke", "add", "math.wat", "1", "2"]), "3\n");
    assert_contains(&folder.fails(2, &["run", "--timeout", "soon", "math.wat"]), &["500ms, 2s or 1m"]);
}

#[test]
fn a_timeout_stops_a_guest_that_sleeps() {
    // Waits for a relative clock of an hour.
    let sleep = r#"(module
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (i32.store (i32.const 16) (i32.const 1))
            (i64.store (i32.const 24) (i64.const 3600000000000))
            (drop (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256)))))"#;
    let folder = Folder::with(&[("sleep.wat", sleep)]);
    assert_contains(&folder.fails(134, &["run", "--timeout", "200ms", "sleep.wat"]), &["interrupt"]);
}

#[test]
fn max_memory_refuses_growth_and_large_modules() {
    let grow = r#"(module (memory 1) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let folder = Folder::with(&[("grow.wat", grow), ("large.wat", "(module (memory 100))")]);
    let run = |pages| folder.succeeds(&["run", "--max-memory", "256KiB", "--invoke", "grow", "grow.wat", pages]);
    assert_eq!((run("3").as_str(), run("4").as_str()), ("1\n", "-1\n"));
    assert_contains(&folder.fails(1, &["run", "--max-memory", "1MiB", "large.wat"]), &["large.wat", "memory"]);
    assert_contains(&folder.fails(2, &["run", "--max-memory", "lots", "large.wat"]), &["64KiB or 256MiB"]);
}

#[test]
fn max_total_bounds_all_that_the_guest_has() {
    let grow = r#"(module (memory 1) (table 1000 funcref)
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let folder = Folder::with(&[("grow.wat", grow), ("large.wat", "(module (memory 8) (memory 8))")]);
    let run = |pages| folder.succeeds(&["run", "--max-total", "256KiB", "--invoke", "grow", "grow.wat", pages]);
    // Beside three pages there is the table.
    assert_eq!((run("2").as_str(), run("3").as_str()), ("1\n", "-1\n"));
    let refused = folder.fails(1, &["run", "--max-total", "1MiB", "large.wat"]);
    assert_contains(&refused, &["524288 bytes asked for memories", "of 1048576 used"]);
}

/// Opens `note.txt` beneath the first preopened directory and prints what is in it; exits with the error number.
const CAT: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "note.txt")
    (func (export "_start") (local $errno i32)
        (local.set $errno (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 8) (i32.const 0) (i64.const 2)
            (i64.const 0) (i32.const 0) (i32.const 0)))
        (if (local.get $errno) (then (call $exit (local.get $errno))))
        (i32.store (i32.const 8) (i32.const 1024))
        (i32.store (i32.const 12) (i32.const 1024))
        (drop (call $read (i32.load (i32.const 0)) (i32.const 8) (i32.const 1) (i32.const 12)))
        (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))"#;

#[test]
fn a_guest_reaches_the_directories_it_is_given_and_no_others() {
    let folder = Folder::with(&[("cat.wat", CAT), ("note.txt", "a note\n")]);
    assert_eq!(folder.succeeds(&["run", "--dir", ".::/data", "cat.wat"]), "a note\n");
    assert_eq!(folder.succeeds(&["run", "--dir", ".", "cat.wat"]), "a note\n");
    // EBADF: there is no descriptor 3.
    folder.fails(8, &["run", "cat.wat"]);
    let error = folder.fails(1, &["run", "--dir", "nowhere::/x", "cat.wat"]);
    assert_contains(&error, &["--dir nowhere::/x", "`nowhere`"]);
    assert_eq!(error.matches("No such file or directory").count(), 1, "{error}");
    assert_contains(&folder.fails(1, &["run", "--dir", "::/x", "cat.wat"]), &["expected HOST::GUEST"]);
}

#[test]
fn missing_imports_are_named() {
    let folder = Folder::with(&[("import.wat", r#"(module (import "env" "log" (func)))"#)]);
    assert_contains(
        &folder.fails(1, &["run", "import.wat"]),
        &["import.wat", "unknown import: `env::log` has not been defined"],
    );
}

#[test]
fn what_was_compiled_runs_the_same() {
    let folder = Folder::with(&[("math.wat", MATH), ("echo.wat", ECHO)]);
    assert_contains(&folder.succeeds(&["compile", "math.wat"]), &["math.ampoule: "]);
    assert_eq!(folder.succeeds(&["run", "--invoke", "add", "math.ampoule", "2", "3"]), "5\n");
    assert_contains(&folder.fails(134, &["run", "--invoke", "boom", "math.ampoule"]), &["math!boom"]);
    for level in ["none", "speed", "speed-and-size"] {
        folder.succeeds(&["compile", "-O", level, "-o", "out.bin", "echo.wat"]);
        let output = folder.ampoule(&["run", "out.bin", "x"]);
        if level == "speed" {
            assert_eq!(out(&output), "out.bin\nx\n");
        }
    }
}

#[test]
fn compiled_modules_say_which_configuration_they_were_made_for() {
    let folder = Folder::with(&[("math.wat", MATH)]);
    folder.succeeds(&["compile", "math.wat"]);
    assert_contains(&folder.fails(1, &["run", "--fuel", "9", "math.ampoule"]), &["math.ampoule"]);
    folder.succeeds(&["compile", "--fuel", "--timeout", "math.wat"]);
    assert_contains(&folder.fails(1, &["run", "math.ampoule"]), &["math.ampoule"]);
    let run = ["run", "--fuel", "1000", "--timeout", "1m", "--invoke", "spin", "math.ampoule"];
    assert_contains(&folder.fails(134, &run), &["all fuel consumed"]);
}

#[test]
fn broken_artifacts_are_refused() {
    let folder = Folder::with(&[("math.wat", MATH)]);
    folder.succeeds(&["compile", "math.wat"]);
    let artifact = std::fs::read(folder.path("math.ampoule")).unwrap();
    for len in [8, 20, 100, artifact.len() / 2, artifact.len() - 1] {
        std::fs::write(folder.path("cut.ampoule"), &artifact[..len]).unwrap();
        assert_contains(&folder.fails(1, &["run", "cut.ampoule"]), &["error: cut.ampoule: "]);
    }
}

#[test]
fn validate_names_file_offset_and_reason() {
    let bad = r#"(module (func (result i32) i64.const 1))"#;
    let folder = Folder::with(&[
        ("good.wat", MATH),
        ("bad.wat", bad),
        ("text.wat", "(module\n  (fnc))"),
        ("binary", "\0asm\x01"),
    ]);
    std::fs::write(folder.path("noise"), [0xff, 0xfe]).unwrap();
    std::fs::write(folder.path("elf"), b"\x7fELF\0\0").unwrap();
    std::fs::write(folder.path("empty"), "").unwrap();
    assert_contains(
        &folder.fails(1, &["validate", "elf"]),
        &["error: elf: neither a wasm file nor text (at offset 0x4)"],
    );
    assert_eq!(folder.fails(1, &["validate", "empty"]), "error: empty: the file is empty\n");
    assert_eq!(folder.succeeds(&["validate", "good.wat"]), "good.wat: valid\n");
    assert_contains(&folder.fails(1, &["validate", "bad.wat"]), &["error: bad.wat: ", "type mismatch", "at offset 0x"]);
    assert_contains(&folder.fails(1, &["validate", "text.wat"]), &["text.wat:2:4", "(fnc)"]);
    assert_contains(&folder.fails(1, &["validate", "binary"]), &["error: binary: ", "at offset 0x"]);
    assert_contains(&folder.fails(1, &["validate", "noise"]), &["error: noise: ", "at offset 0x0"]);
    assert_contains(&folder.fails(1, &["validate", "absent.wasm"]), &["error: absent.wasm: ", "No such file"]);
    let both = folder.ampoule(&["validate", "bad.wat", "good.wat"]);
    assert_eq!((both.status.code(), out(&both).as_str()), (Some(1), "good.wat: valid\n"));
}

/// Text is what the library takes for text: of several branch hints for one instruction the first counts, and an error is where it
/// stands in the file.
#[test]
fn text_is_read_as_the_library_reads_it() {
    let hint = r#"(@metadata.code.branch_hint "\01")"#;
    let hinted =
        format!("(module (func (export \"f\") (result i32) i32.const 1 {hint}{hint} if end i32.const 7 {hint}))");
    let wrong = format!("(module (func i32.const 1 {hint}{hint} if end)\n  (fnc))");
    let folder = Folder::with(&[("hinted.wat", &hinted), ("wrong.wat", &wrong)]);
    assert_eq!(folder.succeeds(&["validate", "hinted.wat"]), "hinted.wat: valid\n");
    assert_eq!(folder.succeeds(&["run", "--invoke", "f", "hinted.wat"]), "7\n");
    folder.succeeds(&["compile", "hinted.wat"]);
    assert_contains(&folder.fails(1, &["validate", "wrong.wat"]), &["error: wrong.wat: ", "wrong.wat:2:4", "(fnc)"]);
}

#[test]
fn every_command_names_a_file_that_is_missing() {
    let folder = Folder::with(&[]);
    for command in ["run", "compile", "validate", "inspect", "wast"] {
        assert_contains(&folder.fails(1, &[command, "absent"]), &["error: absent: ", "No such file"]);
        assert_contains(&folder.fails(2, &[command]), &["Usage"]);
    }
}

const MIXED: &str = r#"(module $mixed
    (import "env" "log" (func $log (param i32)))
    (memory (export "memory") 2 4)
    (table 3 funcref)
    (global (mut i32) (i32.const 0))
    (data (i32.const 0) "12345")
    (func (export "swap") (param i32 i32) (result i32 i32) (local.get 1) (local.get 0))
    (func (export "wide") (result v128) (v128.const i64x2 0 0)))"#;

#[test]
fn inspect_lists_what_a_module_has_and_needs() {
    let folder = Folder::with(&[("mixed.wat", MIXED), ("plain.wat", "(module)")]);
    let text = folder.succeeds(&["inspect", "mixed.wat"]);
    let parts = [
        "module mixed",
        "imports (1)",
        "env::log",
        "(func (param i32))",
        "exports (3)",
        "memory",
        "swap",
        "in 2 functions",
    ];
    assert_contains(&text, &parts);
    assert_contains(&text, &["data     5 B", "128.0 KiB to 256.0 KiB", "multi-value simd"]);
    assert_contains(&folder.succeeds(&["inspect", "plain.wat"]), &["imports (0)", "features\n  none"]);
}

#[test]
fn inspect_writes_json() {
    let folder = Folder::with(&[("mixed.wat", MIXED)]);
    let report: serde_json::Value =
        serde_json::from_str(&folder.succeeds(&["inspect", "--json", "mixed.wat"])).unwrap();
    assert_eq!(report["name"], "mixed");
    assert_eq!(report["imports"], serde_json::json!([{"module": "env", "name": "log", "type": "(func (param i32))"}]));
    assert_eq!(report["exports"][0], serde_json::json!({"name": "memory", "type": "(memory 2 4)"}));
    assert_eq!((&report["sizes"]["functions"], &report["sizes"]["data_bytes"]), (&2.into(), &5.into()));
    assert_eq!(report["features"], serde_json::json!(["multi-value", "simd"]));
}

const CALLS: &str = r#"(module
    (import "env" "log" (func $log (param i32)))
    (func $share (param i32) (result i32) (i32.div_u (i32.const 100) (local.get 0)))
    (func $fib (export "fibonacci") (param $n i32) (result i32)
        (if (i32.lt_s (local.get $n) (i32.const 2)) (then (return (local.get $n))))
        (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1))) (call $fib (i32.sub (local.get $n) (i32.const 2)))))
    (func $choose (param i32) (result i32)
        (block (block (block (br_table 0 1 2 0 1 2 0 1 2 (local.get 0))) (return (call $share (local.get 0)))) (call $log (local.get 0)))
        (i32.const 7)))"#;

#[test]
fn inspect_lists_the_machine_code_of_a_function_behind_its_operators() {
    let folder = Folder::with(&[("calls.wat", CALLS)]);
    for tier in ["baseline", "optimizing"] {
        let list = |name: &str| folder.succeeds(&["inspect", "--code", name, "--tier", tier, "calls.wat"]);
        let listing = list("fibonacci");
        assert_contains(&listing, &[&format!("function 2 `fib`, by the {tier} tier: "), " (func $fib "]);
        // The offset of each operator stands before it; what needs no code of its own is not left out.
        let operators: Vec<_> = listing.lines().filter(|line| line.starts_with("0x")).collect();
        for part in ["local.get $n", "i32.const 2", "i32.lt_s", "if", "return", "i32.sub", "call $fib", "i32.add"] {
            assert!(operators.iter().any(|line| line[10..].trim_start().starts_with(part)), "{part}: {listing}");
        }
        // Each instruction at an offset that is larger than the last; a call tells what it leads to.
        let code = listing.lines().skip(1).filter(|line| !line.starts_with("0x"));
        let offsets = code.map(|line| u32::from_str_radix(line.split_whitespace().next().unwrap(), 16).unwrap());
        assert!(offsets.is_sorted_by(|a, b| a < b), "{listing}");
        let at = |text: &str| listing.find(text).unwrap_or_else(|| panic!("{text}: {listing}"));
        assert!(at("call $fib") < at("call    function 2 `fib`"), "{listing}");
        assert_contains(&listing, &["push    rbp", "ret\n", "call    builtin stack_overflow"]);
        assert_contains(&list("$share"), &["i32.div_u", "by the"]);
        let choose = list("3");
        assert_contains(&choose, &["function 3 `choose`", "br_table 0", ".byte   ", "call $log"]);
        // Behind the jump by the table everything is code: two ways out of the function, the last of them with a 7.
        assert_contains(&choose, &["i32.const 7", "0x7\n"]);
    }
    let inlined = folder.succeeds(&["inspect", "--code", "choose", "calls.wat"]);
    assert_contains(&inlined, &["by the optimizing tier", "i32.div_u  ;; in function 1 `share`, called at 0x"]);
}

#[test]
fn functions_without_code_to_list_are_named_with_those_that_are_near() {
    let folder = Folder::with(&[
        ("calls.wat", CALLS),
        ("unnamed.wat", "(module (func (export \"f\")))"),
        ("nameless.wat", "(module (func) (func))"),
        ("nothing.wat", "(module (memory 1))"),
        ("broken.wat", "(module (func"),
        ("part.wat", "(component)"),
        ("twice.wat", r#"(module (func $a (@name "f")) (func (export "g")) (func $b (@name "f")))"#),
    ]);
    let fails = |name: &str, file: &str| folder.fails(1, &["inspect", "--code", name, file]);
    assert_contains(&fails("fibonaci", "calls.wat"), &["calls.wat: no function ", "`fibonaci`", "`fibonacci` (2)"]);
    assert_contains(&fails("shar", "calls.wat"), &["`share` (1)"]);
    assert_contains(&fails("log", "calls.wat"), &["function 0 `log` is imported"]);
    assert_contains(&fails("4", "calls.wat"), &["there is no function 4: the module has 4"]);
    assert_contains(
        &fails("zzz", "calls.wat"),
        &["no function is exported as `zzz`", "`fibonacci` (2)", "`choose` (3)"],
    );
    assert_contains(&fails("zzz", "unnamed.wat"), &["there are `f` (0); only exports have names"]);
    assert_contains(&fails("zzz", "nameless.wat"), &["none of the module's 2 functions has a name"]);
    assert_contains(&fails("zzz", "nothing.wat"), &["nothing.wat: the module has no functions"]);
    assert_contains(&fails("zzz", "broken.wat"), &["broken.wat:1:"]);
    assert_contains(&fails("zzz", "missing.wat"), &["missing.wat: No such file"]);
    assert_contains(&fails("f", "twice.wat"), &["`f` is the name of functions 0, 2"]);
    assert_contains(&fails("f", "part.wat"), &["--code", "component"]);
    folder.succeeds(&["compile", "calls.wat"]);
    assert_contains(&fails("share", "calls.ampoule"), &["is compiled already"]);
    let usage = |args: &[&str]| folder.fails(2, &[&["inspect", "calls.wat"], args].concat());
    assert_contains(&usage(&["--tier", "baseline"]), &["--code"]);
    assert_contains(&usage(&["--code", "1", "--json"]), &["--json"]);
    assert_contains(&usage(&["--code", "1", "--tier", "fast"]), &["'fast'", "baseline, optimizing"]);
}

#[test]
fn old_exceptions_are_accepted_where_they_are_asked_for() {
    let old = r#"(module (tag $t (param i32))
      (func (export "f") (param i32) (result i32) try (result i32) (throw $t (local.get 0)) catch $t end))"#;
    let new = r#"(module (tag $t (param i32)) (func (export "f") (param i32) (result i32)
      (block $h (result i32) (try_table (catch $t $h) (throw $t (local.get 0))) unreachable)))"#;
    let folder = Folder::with(&[("old.wat", old), ("new.wat", new)]);
    let asked = ["--wasm", "legacy-exceptions"];
    assert_contains(&folder.succeeds(&["run", "--invoke", "f", "new.wat", "7"]), &["7"]);
    assert_contains(&folder.fails(1, &["run", "--invoke", "f", "old.wat", "7"]), &["legacy_exceptions"]);
    assert_contains(&folder.succeeds(&["run", asked[0], asked[1], "--invoke", "f", "old.wat", "7"]), &["7"]);
    folder.fails(1, &["validate", "old.wat"]);
    folder.succeeds(&["validate", "--wasm=legacy-exceptions", "old.wat"]);
    folder.succeeds(&["compile", asked[0], asked[1], "old.wat"]);
    assert_contains(&folder.succeeds(&["run", asked[0], asked[1], "--invoke", "f", "old.ampoule", "8"]), &["8"]);
    assert_contains(&folder.succeeds(&["inspect", "old.wat"]), &["legacy-exceptions"]);
    assert_contains(&folder.succeeds(&["inspect", "new.wat"]), &["features\n  exceptions"]);
}

#[test]
fn objects_are_run_listed_and_collected_as_often_as_is_asked_for() {
    let module = r#"(module (type $s (struct (field i32))) (global $kept (mut (ref null $s)) (ref.null $s))
      (func (export "f") (param i32) (result i32)
        (global.set $kept (struct.new $s (local.get 0))) (drop (struct.new $s (i32.const 1)))
        (struct.get $s 0 (global.get $kept))))"#;
    let typed = r#"(module (type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0))))"#;
    let script = format!("{module} (assert_return (invoke \"f\" (i32.const 7)) (i32.const 7))");
    let folder = Folder::with(&[("gc.wat", module), ("typed.wat", typed), ("gc.wast", &script)]);
    assert_contains(&folder.succeeds(&["run", "--invoke", "f", "gc.wat", "7"]), &["7"]);
    assert_contains(&folder.succeeds(&["inspect", "gc.wat"]), &["gc"]);
    assert_contains(&folder.succeeds(&["inspect", "typed.wat"]), &["function-references"]);
    for options in [&["wast", "gc.wast"][..], &["wast", "--gc-stress", "gc.wast"]] {
        assert_eq!(folder.succeeds(options), "gc.wast: 2 passed, 0 failed\n");
    }
}

#[test]
fn wast_tells_what_fails_and_where() {
    let good = r#"(module (func (export "f") (result i32) i32.const 1)) (assert_return (invoke "f") (i32.const 1))"#;
    let folder = Folder::with(&[
        ("good.wast", good),
        ("bad.wast", &format!("{good}\n(assert_return (invoke \"f\") (i32.const 2))")),
    ]);
    assert_eq!(folder.succeeds(&["wast", "good.wast"]), "good.wast: 2 passed, 0 failed\n");
    assert_eq!(folder.succeeds(&["wast", "--round-trip", "good.wast"]), "good.wast: 2 passed, 0 failed\n");
    let both = folder.ampoule(&["wast", "bad.wast", "good.wast"]);
    assert_eq!(both.status.code(), Some(1));
    assert_eq!(out(&both), "bad.wast: 2 passed, 1 failed\ngood.wast: 2 passed, 0 failed\n");
    assert_contains(&err(&both), &["bad.wast:2:", "expected I32(2), got I32(1)"]);
}

#[test]
fn errors_in_scripts_name_their_file_and_line() {
    let folder = Folder::with(&[
        ("syntax.wast", "(module)\n(modul)"),
        ("token.wast", "(module)\n\"open"),
        ("name.wast", "(module)\n(module (func (call $absent)))"),
    ]);
    for (file, place) in [("syntax.wast", "2:2"), ("token.wast", "2:6"), ("name.wast", "2:21")] {
        let error = folder.fails(1, &["wast", file]);
        assert_contains(&error, &[&format!("{file}:{place}")]);
        assert!(!error.contains("anon"), "{error}");
    }
}

/// A name with what a terminal obeys: escape sequences of two kinds, a bell, a line break, a reversal of the direction.
const CONTROL: &str = r#"a\1b[31mb\c2\9b2Jc\07d\0ae\0df\e2\80\aeg"#;

fn assert_shows_no_control_characters(output: &Output) {
    let shown = out(output) + &err(output);
    let obeyed = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(!shown.contains(obeyed), "{shown:?}");
    let escaped = ["\\u{1b}[31m", "\\u001b[31m", "\\u{9b}"].iter().any(|text| shown.contains(text));
    assert!(escaped, "the text is not there: {shown:?}");
}

#[test]
fn names_reach_no_terminal_with_control_sequences() {
    let traps = format!(
        r#"(module (@name "{CONTROL}") (func (@name "{CONTROL}") (export "_start") unreachable)
            (func (export "{CONTROL}") (export "take") (param i32)))"#
    );
    let imports = format!(r#"(module (@name "{CONTROL}") (import "{CONTROL}" "{CONTROL}" (func)))"#);
    let invalid = format!(r#"(module (func (export "{CONTROL}")) (func (export "{CONTROL}")))"#);
    let script = format!(r#"(module) (invoke "{CONTROL}")"#);
    let folder = Folder::with(&[
        ("traps.wat", &traps),
        ("imports.wat", &imports),
        ("invalid.wat", &invalid),
        ("text.wat", "(module \x1b[31m)"),
        ("fails.wast", &script),
        ("text.wast", "(module \x1b[31m)"),
    ]);
    let name = "a\x1b[31m\u{9b}\nb";
    let commands: &[&[&str]] = &[
        &["run", "traps.wat"],
        &["run", "imports.wat"],
        &["run", "invalid.wat"],
        &["run", "text.wat"],
        &["run", "--invoke", name, "traps.wat"],
        &["run", "--invoke", "take", "traps.wat", name],
        &["run", "--env", name, "traps.wat"],
        &["run", "--dir", name, "traps.wat"],
        &["run", "--fuel", name, "traps.wat"],
        &["run", name],
        &["compile", "invalid.wat"],
        &["compile", "-o", "a\x1b[31m", "traps.wat"],
        &["compile", "-O", name, "traps.wat"],
        &["validate", "invalid.wat"],
        &["validate", "text.wat"],
        &["inspect", "traps.wat"],
        &["inspect", "imports.wat"],
        &["inspect", "--json", "traps.wat"],
        &["inspect", "--json", "imports.wat"],
        &["inspect", name],
        &["inspect", "--code", "0", "traps.wat"],
        &["inspect", "--code", name, "traps.wat"],
        &["wast", "fails.wast"],
        &["wast", "text.wast"],
        &["wast", name],
        &["completions", name],
        &[name],
    ];
    for args in commands {
        println!("{args:?}");
        assert_shows_no_control_characters(&folder.ampoule(args));
    }
}

#[test]
fn inspect_shows_long_names_and_many_of_them() {
    let long = "n".repeat(100_000);
    let names: String = (0..1000).map(|number| format!(r#"(export "{number}" (func 0))"#)).collect();
    let module =
        format!(r#"(module (@name "{long}") (import "{long}" "{long}" (func)) (export "{long}" (func 0)) {names})"#);
    let folder = Folder::with(&[("long.wat", &module)]);
    let text = folder.succeeds(&["inspect", "long.wat"]);
    assert_contains(&text, &[&format!("module {long}\n"), &format!("{long}::{long}  (func)\n"), "\n  999  (func)\n"]);
    let report: serde_json::Value = serde_json::from_str(&folder.succeeds(&["inspect", "--json", "long.wat"])).unwrap();
    assert_eq!(report["exports"][0]["name"], long);
}

#[test]
fn json_keeps_names_as_they_are() {
    let folder =
        Folder::with(&[("name.wat", &format!(r#"(module (func (export "{CONTROL}\f0\9d\84\9e\f3\a0\80\81")))"#))]);
    let report: serde_json::Value = serde_json::from_str(&folder.succeeds(&["inspect", "--json", "name.wat"])).unwrap();
    assert_eq!(report["exports"][0]["name"], "a\x1b[31mb\u{9b}2Jc\x07d\ne\rf\u{202e}g\u{1d11e}\u{e0001}");
}

/// What a command shows on a terminal of so many columns.
fn on_terminal(folder: &Folder, columns: u16, args: &[&str]) -> String {
    let size = libc::winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let (mut ours, mut theirs) = (0, 0);
    // SAFETY: the pointers lead to two integers and a size; a name and settings are not asked for.
    let result = unsafe {
        libc::openpty(&raw mut ours, &raw mut theirs, std::ptr::null_mut(), std::ptr::null(), &raw const size)
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: `openpty` has just made them, and nobody else closes them.
    let (mut ours, theirs) = unsafe { (File::from_raw_fd(ours), File::from_raw_fd(theirs)) };
    let mut command = Command::new(env!("CARGO_BIN_EXE_ampoule"));
    command.current_dir(folder.path("")).args(args).stdin(Stdio::null());
    command.stdout(theirs.try_clone().unwrap()).stderr(theirs);
    let mut child = command.spawn().unwrap();
    // The last of ours that could be written to; after it, reading ends when the child does.
    drop(command);
    let mut shown = Vec::new();
    // Linux says EIO when nobody has the other end any more.
    let _ = ours.read_to_end(&mut shown);
    child.wait().unwrap();
    String::from_utf8(shown).unwrap().replace("\r\n", "\n")
}

#[test]
fn tables_and_messages_fit_the_terminal() {
    let name = "nation::station::".repeat(20);
    let wide = "\u{6f22}".repeat(90);
    let params = "i32 ".repeat(100);
    let module = format!(
        r#"(module (@name "{name}") (import "{name}" "{wide}" (func (param {params})))
            (func (export "{wide}")) (func (export "short") (param {params}) (result v128)
                (v128.const i64x2 0 0)) (func (result i32 i32) i32.const 1 i32.const 2))"#
    );
    let traps = format!(r#"(module (@name "{name}") (func (@name "{wide}") (export "_start") unreachable))"#);
    let folder = Folder::with(&[("module.wat", &module), ("traps.wat", &traps)]);
    let commands: &[&[&str]] = &[
        &["inspect", "module.wat"],
        &["run", "module.wat"],
        &["run", "traps.wat"],
        &["run", "--env", "A_LONG_NAME_OF_A_VARIABLE_THAT_IS_SURELY_NOT_SET_ANYWHERE_AT_ALL_BY_ANYBODY", "traps.wat"],
    ];
    for args in commands {
        for width in [40, 80] {
            let shown = on_terminal(&folder, width, args);
            assert!(!shown.is_empty());
            for line in shown.lines() {
                // Of the characters here, only the Chinese one is wide.
                let columns = line.chars().map(|c| if c == '\u{6f22}' { 2 } else { 1 }).sum::<u16>();
                assert!(columns <= width, "{columns} columns on a terminal of {width}: {line}");
            }
        }
    }
    let shown = on_terminal(&folder, 80, &["inspect", "module.wat"]);
    assert_contains(&shown, &["\u{2026}\n", "\n  short", "features\n  multi-value"]);
}

#[test]
fn completions_are_written_for_every_shell() {
    let folder = Folder::with(&[]);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert_contains(&folder.succeeds(&["completions", shell]), &["ampoule", "max-memory"]);
    }
    assert_contains(&folder.fails(2, &["completions", "tcl"]), &["tcl"]);
}

#[test]
fn wrong_arguments_are_explained() {
    let folder = Folder::with(&[("math.wat", MATH)]);
    assert_contains(&folder.fails(2, &[]), &["\nUsage: ampoule <COMMAND>\n", "\nCommands:\n"]);
    assert_contains(&folder.fails(2, &["walk"]), &["error: ", "walk", "\nUsage: ampoule <COMMAND>\n"]);
    assert_contains(&folder.fails(1, &["run", "--env", "=x", "math.wat"]), &["--env =x: expected NAME=VALUE"]);
    assert_contains(&folder.fails(2, &["inspect", "--yaml", "math.wat"]), &["--yaml"]);
    assert_contains(&folder.fails(1, &["run", "--env", "SURELY_NOT_SET", "math.wat"]), &["--env SURELY_NOT_SET"]);
    assert_contains(&folder.succeeds(&["--version"]), &["ampoule 0."]);
    assert_contains(&folder.succeeds(&["run", "--help"]), &["--timeout <DURATION>", "--max-memory <BYTES>"]);
}

#[test]
fn a_closed_output_is_no_error() {
    let folder = Folder::with(&[("mixed.wat", MIXED)]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ampoule"));
    let output = command.current_dir(folder.path("")).args(["inspect", "mixed.wat"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()));
}

#[test]
fn compile_says_what_it_cannot_do() {
    let folder = Folder::with(&[("math.wat", MATH)]);
    folder.succeeds(&["compile", "math.wat"]);
    assert_contains(&folder.fails(1, &["compile", "math.ampoule"]), &["math.ampoule", "compiled already"]);
    assert_contains(&folder.fails(1, &["inspect", "math.ampoule"]), &["math.ampoule", "compiled already"]);
    let unwritable = Path::new("absent").join("out");
    let error = folder.fails(1, &["compile", "-o", unwritable.to_str().unwrap(), "math.wat"]);
    assert_contains(&error, &["absent/out", "No such file"]);
}

/// A component that writes to standard output what it gets as its second argument, and ends as `end` says.
fn hello_component(end: &str) -> String {
    format!(
        r#"(component
        (import "wasi:io/error@0.2.3" (instance $error (export "error" (type (sub resource)))))
        (alias export $error "error" (type $error))
        (import "wasi:io/streams@0.2.3" (instance $streams
            (export "output-stream" (type $output-stream (sub resource)))
            (alias outer 1 $error (type $error'))
            (export "error" (type $error (eq $error')))
            (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
            (export "stream-error" (type $stream-error (eq $stream-error')))
            (export "[method]output-stream.blocking-write-and-flush" (func
                (param "self" (borrow $output-stream)) (param "contents" (list u8))
                (result (result (error $stream-error)))))))
        (alias export $streams "output-stream" (type $output-stream))
        (import "wasi:cli/stdout@0.2.3" (instance $stdout
            (alias outer 1 $output-stream (type $output-stream'))
            (export "output-stream" (type $output-stream (eq $output-stream')))
            (export "get-stdout" (func (result (own $output-stream))))))
        (import "wasi:cli/environment@0.2.3" (instance $environment
            (export "get-arguments" (func (result (list string))))))
        (import "wasi:cli/exit@0.2.3" (instance $exit (export "exit" (func (param "status" (result))))))
        (core module $libc
            (memory (export "memory") 1)
            (global $next (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.get $next)
                (global.set $next (i32.add (global.get $next) (local.get 3)))))
        (core instance $libc (instantiate $libc))
        (alias core export $libc "memory" (core memory $memory))
        (core func $get-stdout (canon lower (func $stdout "get-stdout")))
        (core func $get-arguments (canon lower (func $environment "get-arguments")
            (memory $memory) (realloc (core func $libc "realloc"))))
        (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $memory)))
        (core func $exit (canon lower (func $exit "exit")))
        (core module $main
            (import "" "get-stdout" (func $get-stdout (result i32)))
            (import "" "get-arguments" (func $get-arguments (param i32)))
            (import "" "write" (func $write (param i32 i32 i32 i32)))
            (import "" "exit" (func $exit (param i32)))
            (import "libc" "memory" (memory 1))
            (func (export "run") (result i32)
                (local $arg i32)
                (call $get-arguments (i32.const 0))
                (local.set $arg (i32.add (i32.load (i32.const 0)) (i32.const 8)))
                (call $write
                    (call $get-stdout) (i32.load (local.get $arg)) (i32.load offset=4 (local.get $arg)) (i32.const 16))
                {end}))
        (core instance $main (instantiate $main
            (with "" (instance
                (export "get-stdout" (func $get-stdout))
                (export "get-arguments" (func $get-arguments))
                (export "write" (func $write))
                (export "exit" (func $exit))))
            (with "libc" (instance $libc))))
        (func $run (result (result)) (canon lift (core func $main "run")))
        (instance $run (export "run" (func $run)))
        (export "wasi:cli/run@0.2.3" (instance $run)))"#
    )
}

#[test]
fn a_component_runs_as_a_command_of_any_version_of_wasi_0_2() {
    let folder = Folder::with(&[
        ("ok.wat", &hello_component("(i32.const 0)")),
        ("err.wat", &hello_component("(i32.const 1)")),
        ("exit.wat", &hello_component("(call $exit (i32.const 1)) unreachable")),
        ("exit-ok.wat", &hello_component("(call $exit (i32.const 0)) unreachable")),
        ("trap.wat", &hello_component("unreachable")),
        ("none.wat", "(component)"),
    ]);
    assert_eq!(folder.succeeds(&["run", "ok.wat", "hello"]), "hello");
    assert_eq!(folder.succeeds(&["run", "exit-ok.wat", "hello"]), "hello");
    assert_eq!(folder.fails(1, &["run", "err.wat", "hello"]), "");
    assert_eq!(folder.fails(1, &["run", "exit.wat", "hello"]), "");
    assert_contains(&folder.fails(134, &["run", "trap.wat", "hello"]), &["unreachable"]);
    assert_contains(&folder.fails(1, &["run", "none.wat"]), &["none.wat", "wasi:cli/run@0.2"]);
}

/// A command of 0.3: it writes "now" to standard output, is over, waits a little, and then does what `then` says.
fn hello_later(then: &str) -> String {
    format!(
        r#"(component
        (import "wasi:cli/types@0.3.0" (instance $types
            (type $error (enum "io" "illegal-byte-sequence" "pipe"))
            (export "error-code" (type (eq $error)))))
        (alias export $types "error-code" (type $error))
        (import "wasi:cli/stdout@0.3.0" (instance $stdout
            (alias outer 1 $error (type $error'))
            (export "error-code" (type $error (eq $error')))
            (export "write-via-stream" (func
                (param "data" (stream u8)) (result (future (result (error $error))))))))
        (import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock
            (export "wait-for" (func async (param "how-long" u64)))))
        ;; Programs of 0.3 import 0.2 beside it.
        (import "wasi:cli/exit@0.2.3" (instance $exit (export "exit" (func (param "status" (result))))))
        (core module $libc (memory (export "memory") 1) (data (i32.const 16) "now later"))
        (core instance $libc (instantiate $libc))
        (alias core export $libc "memory" (core memory $memory))
        (type $bytes (stream u8))
        (type $ending (future (result (error $error))))
        (core func $stdout (canon lower (func $stdout "write-via-stream")))
        (core func $wait-for (canon lower (func $clock "wait-for") async))
        (core func $exit (canon lower (func $exit "exit")))
        (core func $new (canon stream.new $bytes))
        (core func $write (canon stream.write $bytes async (memory $memory)))
        (core func $drop (canon stream.drop-writable $bytes))
        (core func $drop-ending (canon future.drop-readable $ending))
        (core func $return (canon task.return (result (result))))
        (core func $set (canon waitable-set.new))
        (core func $join (canon waitable.join))
        (core func $drop-task (canon subtask.drop))
        (core module $main
            (import "" "stdout" (func $stdout (param i32) (result i32)))
            (import "" "wait-for" (func $wait-for (param i64) (result i32)))
            (import "" "exit" (func $exit (param i32)))
            (import "" "new" (func $new (result i64)))
            (import "" "write" (func $write (param i32 i32 i32) (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (import "" "drop-ending" (func $drop-ending (param i32)))
            (import "" "return" (func $return (param i32)))
            (import "" "set" (func $set (result i32)))
            (import "" "join" (func $join (param i32 i32)))
            (import "" "drop-task" (func $drop-task (param i32)))
            (func $say (param $at i32) (param $len i32)
                (local $pair i64) (local $to i32)
                (local.set $pair (call $new))
                (local.set $to (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
                (call $drop-ending (call $stdout (i32.wrap_i64 (local.get $pair))))
                ;; All of it is taken at once.
                (if (i32.ne (call $write (local.get $to) (local.get $at) (local.get $len))
                        (i32.shl (local.get $len) (i32.const 4)))
                    (then unreachable))
                (call $drop (local.get $to)))
            (func (export "run") (result i32)
                (local $set i32)
                (call $say (i32.const 16) (i32.const 3))
                (call $return (i32.const 0))
                (local.set $set (call $set))
                (call $join (i32.shr_u (call $wait-for (i64.const 10000000)) (i32.const 4)) (local.get $set))
                (i32.or (i32.shl (local.get $set) (i32.const 4)) (i32.const 2)))
            (func (export "callback") (param i32 i32 i32) (result i32)
                (call $drop-task (local.get 1))
                {then}
                (i32.const 0)))
        (core instance $main (instantiate $main (with "" (instance
            (export "stdout" (func $stdout)) (export "wait-for" (func $wait-for)) (export "exit" (func $exit))
            (export "new" (func $new)) (export "write" (func $write)) (export "drop" (func $drop))
            (export "drop-ending" (func $drop-ending)) (export "return" (func $return))
            (export "set" (func $set)) (export "join" (func $join)) (export "drop-task" (func $drop-task))))))
        (func $run async (result (result))
            (canon lift (core func $main "run") async (callback (core func $main "callback"))))
        (instance $run (export "run" (func $run)))
        (export "wasi:cli/run@0.3.0" (instance $run)))"#
    )
}

#[test]
fn a_component_runs_as_a_command_of_wasi_0_3_to_the_end_of_its_tasks() {
    let folder = Folder::with(&[
        ("later.wat", &hello_later("(call $say (i32.const 19) (i32.const 6))")),
        ("trap.wat", &hello_later("unreachable")),
        ("exit.wat", &hello_later("(call $exit (i32.const 1))")),
    ]);
    assert_eq!(folder.succeeds(&["run", "later.wat"]), "now later");
    let trapped = folder.ampoule(&["run", "trap.wat"]);
    assert_eq!((trapped.status.code(), out(&trapped)), (Some(134), "now".to_owned()));
    assert_contains(&err(&trapped), &["unreachable"]);
    assert_eq!(folder.fails(1, &["run", "exit.wat"]), "");
}

/// A command that makes a TCP socket, and fails with the number of the error where it may not.
const MAKES_A_SOCKET: &str = r#"(component
    (import "wasi:sockets/network@0.2.3" (instance $network
        (type $error-code' (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
            "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable"
            "address-in-use" "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted"
            "datagram-too-large" "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
        (export "error-code" (type $error-code (eq $error-code')))
        (type $family' (enum "ipv4" "ipv6"))
        (export "ip-address-family" (type $family (eq $family')))))
    (alias export $network "error-code" (type $error-code))
    (alias export $network "ip-address-family" (type $family))
    (import "wasi:sockets/tcp@0.2.3" (instance $tcp (export "tcp-socket" (type (sub resource)))))
    (alias export $tcp "tcp-socket" (type $tcp-socket))
    (import "wasi:sockets/tcp-create-socket@0.2.3" (instance $create
        (alias outer 1 $error-code (type $e')) (export "error-code" (type $e (eq $e')))
        (alias outer 1 $family (type $f')) (export "ip-address-family" (type $f (eq $f')))
        (alias outer 1 $tcp-socket (type $t')) (export "tcp-socket" (type $t (eq $t')))
        (export "create-tcp-socket" (func (param "address-family" $f) (result (result (own $t) (error $e)))))))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (core func $create (canon lower (func $create "create-tcp-socket") (memory $memory)))
    (core module $main
        (import "" "create" (func $create (param i32 i32)))
        (import "" "memory" (memory 1))
        (func (export "run") (result i32)
            (call $create (i32.const 0) (i32.const 16))
            ;; `access-denied`, and nothing else, is the failure that is expected.
            (if (i32.and (i32.load8_u (i32.const 16)) (i32.ne (i32.load8_u (i32.const 20)) (i32.const 1)))
                (then unreachable))
            (i32.load8_u (i32.const 16))))
    (core instance $main (instantiate $main (with "" (instance
        (export "create" (func $create)) (export "memory" (memory $memory))))))
    (func $run (result (result)) (canon lift (core func $main "run")))
    (instance $run (export "run" (func $run)))
    (export "wasi:cli/run@0.2.3" (instance $run)))"#;

#[test]
fn the_network_is_what_the_command_line_gives() {
    let folder = Folder::with(&[("socket.wat", MAKES_A_SOCKET)]);
    assert_eq!(folder.fails(1, &["run", "socket.wat"]), "");
    assert_eq!(folder.succeeds(&["run", "--tcp", "socket.wat"]), "");
    assert_eq!(folder.succeeds(&["run", "--allow-net", "example.com:443", "--allow-net", "[::1]", "socket.wat"]), "");
    let refused = folder.fails(1, &["run", "--allow-net", "10.0.0.0/33", "socket.wat"]);
    assert_contains(&refused, &["--allow-net 10.0.0.0/33", "is no host"]);
}

/// A component with a function that answers the record that it is given, and one of an instance.
const RECORDS: &str = r#"(component
    (type $r' (record (field "name" string) (field "sizes" (list u8))))
    (export $r "r" (type $r'))
    (core module $m
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 64))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $next)
            (global.set $next (i32.add (global.get $next) (local.get 3))))
        (func (export "echo") (param i32 i32 i32 i32 i32) (result i32)
            (i32.store (i32.const 0) (local.get 1))
            (i32.store (i32.const 4) (local.get 2))
            (i32.store (i32.const 8) (local.get 3))
            (i32.store (i32.const 12) (local.get 4))
            (i32.const 0))
        (func (export "half") (param i32) (result i32) (i32.shr_u (local.get 0) (i32.const 1))))
    (core instance $i (instantiate $m))
    (func (export "echo") (param "n" u32) (param "r" $r) (result $r)
        (canon lift (core func $i "echo") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
    (func $half (param "n" u32) (result u32) (canon lift (core func $i "half")))
    (instance $math (export "half" (func $half)))
    (export "a:b/math@0.2.6" (instance $math)))"#;

#[test]
fn run_invokes_functions_of_components() {
    let folder = Folder::with(&[("echo.wat", RECORDS)]);
    let record = r#"{name: "a\"b", sizes: [1, 2]}"#;
    let answer = format!("{record}\n");
    let call = format!("echo(7, {record})");
    assert_eq!(folder.succeeds(&["run", "--invoke", &call, "echo.wat"]), answer);
    assert_eq!(folder.succeeds(&["run", "--invoke", "echo", "echo.wat", "7", record]), answer);
    assert_eq!(folder.succeeds(&["run", "--invoke", "a:b/math@0.2.0#half", "echo.wat", "9"]), "4\n");
    let fails =
        |call: &str, parts: &[&str]| assert_contains(&folder.fails(1, &["run", "--invoke", call, "echo.wat"]), parts);
    fails("echo(7)", &["echo"]);
    fails("echo(-1, {})", &["echo"]);
    fails("other(1)", &["exports no function `other`"]);
    fails("r", &["exports no function `r`"]);
    fails("echo(", &["echo("]);
    assert_contains(&folder.fails(1, &["run", "--invoke", "echo", "echo.wat", "7"]), &["takes 2 arguments, 1 given"]);
    assert_contains(
        &folder.fails(1, &["run", "--invoke", "echo", "echo.wat", "x", record]),
        &["`x` is not a valid u32"],
    );
}

#[test]
fn components_are_compiled_validated_and_inspected() {
    let math = r#"(component
        (import "log" (func (param "text" string)))
        (core module $m (func (export "half") (param i32) (result i32) (local.get 0)))
        (core instance $i (instantiate $m))
        (func $half (param "n" u32) (result u32) (canon lift (core func $i "half")))
        (instance $math (export "half" (func $half)))
        (export "a:b/math@0.2.6" (instance $math)))"#;
    let folder =
        Folder::with(&[("echo.wat", RECORDS), ("math.wat", math), ("bad.wat", "(component (export \"f\" (func 7)))")]);
    assert_eq!(folder.succeeds(&["validate", "echo.wat"]), "echo.wat: valid\n");
    assert_contains(&folder.fails(1, &["validate", "bad.wat"]), &["bad.wat", "unknown func"]);
    folder.succeeds(&["compile", "echo.wat"]);
    assert_eq!(folder.succeeds(&["run", "--invoke", "a:b/math@0.2.6#half", "echo.ampoule", "9"]), "4\n");
    assert_contains(&folder.fails(1, &["validate", "echo.ampoule"]), &["is compiled already"]);
    let world = folder.succeeds(&["inspect", "math.wat"]);
    assert_contains(
        &world,
        &["import log: func(text: string);", "export a:b/math@0.2.6;", "half: func(n: u32) -> u32;"],
    );
    // WIT has no types that a world exports by itself.
    assert_contains(&folder.fails(1, &["inspect", "echo.wat"]), &["echo.wat", "as WIT", "`r`"]);
    assert_contains(&folder.fails(1, &["inspect", "--json", "echo.wat"]), &["--json"]);
}

/// Components that C programs were compiled to, where a folder of such is beside this one.
#[test]
fn components_of_c_programs_run() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/components");
    if !samples.is_dir() {
        return note_skipped("components of C programs run: there is no folder of samples");
    }
    let folder = Folder::with(&[]);
    let sample = |name: &str| samples.join(name).to_str().unwrap().to_owned();
    assert_eq!(folder.succeeds(&["run", &sample("hello-c.wasm"), "you"]), "hello from C 2 you\n");
    assert_eq!(folder.succeeds(&["run", &sample("hello-c-p3.wasm")]), "hello from C, WASI 0.3\n");
    assert_eq!(folder.succeeds(&["run", &sample("composed.wasm")]), "2+3=5\njoin=foobär\ncounter=22\n");
}

fn note_skipped(line: &str) {
    if let Some(list) = std::env::var_os("AMPOULE_SKIPPED") {
        let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
        std::io::Write::write_all(&mut list, format!("{line}\n").as_bytes()).unwrap();
    }
}
