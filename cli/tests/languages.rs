//! `ampoule run` of scripts, each with a whole CPython or SpiderMonkey around it: components of WASI 0.2, a hundred times as large as those of
//! other tests. `tests/guests` has them, and says what they do.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PYTHON: &str = "python_command.wasm";
const JAVASCRIPT: &str = "js_command.wasm";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn input(name: &str) -> String {
    let path = root().join("tests/guests/inputs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs a guest with the inputs at `/inputs`, with this on standard input.
fn run(options: &[&str], guest: &str, arguments: &[&str], stdin: &str) -> Output {
    let file = root().join(".cache/guests").join(guest);
    assert!(file.is_file(), "{} is missing; this makes it: cargo xtask guests", file.display());
    let mut child = Command::new(env!("CARGO_BIN_EXE_ampoule"))
        .arg("run")
        .arg(format!("--dir={}::/inputs", root().join("tests/guests/inputs").display()))
        .args(options)
        .arg(file)
        .args(arguments)
        .env("FROM_HOST", "host value")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    // A guest that reads none of it may have ended.
    let _ = child.stdin.take().expect("piped").write_all(stdin.as_bytes());
    child.wait_with_output().expect("it ends")
}

/// What a guest prints that ends well, and complains of nothing.
fn prints(options: &[&str], guest: &str, arguments: &[&str], stdin: &str) -> String {
    let output = run(options, guest, arguments, stdin);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && err.is_empty(), "{}: {err}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn python_works_on_files_and_standard_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let scratch = format!("{}::/scratch", folder.path().display());
    let arguments = ["/inputs/work.py", "/inputs/ampoule.svg", "/scratch"];
    let printed = prints(&["--dir", &scratch], PYTHON, &arguments, &input("words.txt"));
    assert_eq!(printed, input("work.expected"));
    assert_eq!(folder.path().read_dir().expect("it is there").count(), 0);
}

#[test]
fn python_computes_what_python_computes_as_a_module() {
    let printed = prints(&[], PYTHON, &["/inputs/report.py", "/inputs/words.txt"], "");
    // The first line is the version, which is another.
    let (report, expected) = (printed.split_once('\n'), input("report.expected"));
    assert_eq!(report.expect("lines").1, expected.split_once('\n').expect("lines").1);
}

#[test]
fn python_is_given_arguments_and_environment_and_gives_a_status() {
    let code = "import os, sys; print(sys.argv, dict(os.environ), sys.stdin.read()); sys.exit(7)";
    let output = run(&["--env", "A=B=é", "--env", "FROM_HOST"], PYTHON, &["-c", code, "x", "--y", ""], "in\n");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "['-c', 'x', '--y', ''] {'A': 'B=é', 'FROM_HOST': 'host value'} in\n\n"
    );
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_exception_in_python_is_a_traceback_and_a_status() {
    let output = run(&[], PYTHON, &["-c", "print('before'); [1, 0][2]"], "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "before\n");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.starts_with("Traceback") && err.ends_with("IndexError: list index out of range\n"), "{err}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn recursion_and_memory_without_end_are_exceptions_in_python() {
    let code = "def dive(n): return dive(n + 1)\n\
                try: dive(0)\n\
                except RecursionError: print('deep enough')\n\
                held = []\n\
                try:\n    while True: held.append(bytearray(1 << 20))\n\
                except MemoryError: print('large enough', len(held) > 20)";
    assert_eq!(prints(&["--max-memory", "128MiB"], PYTHON, &["-c", code], ""), "deep enough\nlarge enough True\n");
}

#[test]
fn javascript_reports_on_a_file_and_on_standard_input() {
    let expected = input("report-js.expected");
    assert_eq!(prints(&[], JAVASCRIPT, &["/inputs/words.txt"], ""), expected);
    assert_eq!(prints(&[], JAVASCRIPT, &[], &input("words.txt")), expected);
}

#[test]
fn javascript_that_throws_fails() {
    let output = run(&["--env", "FAIL=as asked"], JAVASCRIPT, &[], "");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout)), (Some(1), "".into()));
    // What isn't given isn't there.
    let output = run(&[], JAVASCRIPT, &["/elsewhere/words.txt"], "");
    assert_eq!(output.status.code(), Some(1));
}

fn answers_calls(guest: &str) {
    let invoke = |function: &str, arguments: &[&str]| {
        prints(&["--invoke", &format!("ampoule:guests/values#{function}")], guest, arguments, "")
    };
    assert_eq!(
        invoke("words", &["\"a b\\na\"", "descending"]),
        "[{text: \"b\", count: 1, lines: [1]}, {text: \"a\", count: 2, lines: [1, 2]}]\n"
    );
    assert_eq!(invoke("area([point, rectangle((2, 0.25))])", &[]), "ok(0.5)\n");
}

#[test]
fn functions_of_python_are_invoked_with_values() {
    answers_calls(PYTHON);
}

#[test]
fn functions_of_javascript_are_invoked_with_values() {
    answers_calls(JAVASCRIPT);
}
