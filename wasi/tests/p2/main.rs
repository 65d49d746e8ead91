//! WASI 0.2 as components meet it.

// Arguments are written as lists of values everywhere, also where there is one.
#![allow(clippy::cloned_ref_to_slice_refs)]

mod budget;
mod filesystem;
mod http;
#[path = "../support/in_task.rs"]
mod in_task;
mod io;
#[path = "../support/loopback.rs"]
mod loopback;
mod network;
#[path = "../support/pass_through.rs"]
mod pass_through;
#[path = "../support/servers.rs"]
mod servers;
mod snapshot;
mod sockets;
mod support;

use ampoule::Engine;
use ampoule_component::Val;
use ampoule_wasi::WasiConfig;
use ampoule_wasi::p2::FUNCTIONS;
use std::collections::BTreeSet;
use support::{Guest, all_functions, bytes_of};

#[test]
fn every_function_has_a_row_and_every_row_a_function() {
    let all = || FUNCTIONS.iter().chain(ampoule_wasi::p2::http::FUNCTIONS);
    let rows: BTreeSet<_> = all().map(|row| (row.interface.to_owned(), row.name.to_owned())).collect();
    assert_eq!(rows.len(), all().count(), "each once");
    assert_eq!(rows, all_functions().into_iter().collect());
}

#[test]
fn a_store_without_context_is_an_error_at_the_call() {
    let mut guest = Guest::in_engine(&Engine::default(), None);
    let error = guest.try_call("random#get-random-u64", &[]).expect_err("there is none");
    assert!(error.to_string().contains("the store has no WASI configuration"), "{error}");
}

#[test]
fn arguments_and_environment_are_the_configuration_s() {
    let mut config = WasiConfig::new();
    config.set_args(["program".to_owned(), "ä".to_owned()]).unwrap();
    config.set_env([("NAME".to_owned(), "value".to_owned())]).unwrap();
    let mut guest = Guest::new(config);
    let args = guest.call("environment#get-arguments", &[]);
    assert_eq!(args, Val::list(vec![Val::from("program"), Val::from("ä")]));
    let env = guest.call("environment#get-environment", &[]);
    assert_eq!(env, Val::list(vec![Val::tuple(vec![Val::from("NAME"), Val::from("value")])]));
    assert_eq!(guest.call("environment#initial-cwd", &[]), Val::option(None));
}

#[test]
fn an_exit_is_an_error_with_its_status() {
    let exit = |name: &str, arg: Val| {
        let mut guest = Guest::new(WasiConfig::new());
        guest.try_call(name, &[arg]).expect_err("exited")
    };
    assert_eq!(exit("exit#exit", Val::result(Ok(None))).exit_status(), Some(0));
    let failed = exit("exit#exit", Val::result(Err(None)));
    assert_eq!(failed.exit_status(), Some(1));
    assert!(failed.to_string().contains("Exited with i32 exit status 1"), "{failed}");
    assert_eq!(exit("exit#exit-with-code", Val::from(200u8)).exit_status(), Some(200));
}

#[test]
fn streams_that_are_no_terminals_say_so() {
    let mut guest = Guest::new(WasiConfig::new());
    for name in ["stdin", "stdout", "stderr"] {
        assert_eq!(guest.call(&format!("terminal-{name}#get-terminal-{name}"), &[]), Val::option(None));
    }
}

#[test]
fn random_bytes_are_as_many_as_asked_for_within_bounds() {
    for (name, number) in [
        ("random/random#get-random-bytes", "random/random#get-random-u64"),
        ("insecure#get-insecure-random-bytes", "insecure#get-insecure-random-u64"),
    ] {
        let mut guest = Guest::new(WasiConfig::new());
        for len in [0u64, 1, 5_000] {
            assert_eq!(bytes_of(&guest.call(name, &[Val::from(len)])).len() as u64, len);
        }
        assert_ne!(guest.call(name, &[Val::from(32u64)]), guest.call(name, &[Val::from(32u64)]));
        assert_ne!(guest.call(number, &[]), guest.call(number, &[]));
        assert!(guest.try_call(name, &[Val::from(u64::MAX)]).is_err());
    }
    let mut guest = Guest::new(WasiConfig::new());
    assert_ne!(guest.call("insecure-seed#insecure-seed", &[]), guest.call("insecure-seed#insecure-seed", &[]));
}

#[test]
fn clocks_go_on() {
    let mut guest = Guest::new(WasiConfig::new());
    let mut number = |name: &str| match guest.call(name, &[]).get() {
        ampoule_component::ValRef::U64(number) => number,
        other => panic!("{other:?}"),
    };
    let first = number("monotonic-clock#now");
    assert!(number("monotonic-clock#now") >= first);
    assert!(number("monotonic-clock#resolution") >= 1);
    let seconds = |val: Val| match val.get() {
        ampoule_component::ValRef::Record([seconds, nanoseconds]) => match (seconds.val.get(), nanoseconds.val.get()) {
            (ampoule_component::ValRef::U64(seconds), ampoule_component::ValRef::U32(nanoseconds)) => {
                assert!(nanoseconds < 1_000_000_000);
                seconds
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert!(seconds(guest.call("wall-clock#now", &[])) > 1_600_000_000);
    assert_eq!(seconds(guest.call("wall-clock#resolution", &[])), 0);
}

/// A component that calls an import whose type is another than the function's.
fn with_wrong_type(interface: &str, name: &str, ty: &str, core: &str, call: &str) -> ampoule::Error {
    let text = format!(
        r#"(component
            (import "{interface}" (instance $i (export "{name}" (func {ty}))))
            (core module $libc
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
            (core instance $libc (instantiate $libc))
            (alias core export $libc "memory" (core memory $memory))
            (core func $f (canon lower (func $i "{name}")
                (memory $memory) (realloc (core func $libc "realloc"))))
            (core module $m
                (import "" "f" (func $f {core}))
                (func (export "run") {call}))
            (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
            (func (export "run") (canon lift (core func $m "run"))))"#
    );
    let engine = Engine::default();
    let component = ampoule_component::Component::new(&engine, text.as_bytes()).unwrap();
    let mut linker = ampoule_component::Linker::new(&engine);
    ampoule_wasi::p2::add_to_linker(&mut linker).unwrap();
    let mut store = ampoule::Store::new(&engine);
    store.slots_mut().insert(WasiConfig::new().build());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let run = instance.get_func(&mut store, &["run"]).unwrap().unwrap();
    run.call(&mut store, &[], &mut []).unwrap_err()
}

#[test]
fn imports_of_other_types_are_errors_at_the_call() {
    let random = "wasi:random/random@0.2.0";
    let exit = "wasi:cli/exit@0.2.0";
    for (interface, name, ty, core, call) in [
        (random, "get-random-u64", "(result string)", "(param i32)", "(call $f (i32.const 0))"),
        (random, "get-random-u64", "", "", "(call $f)"),
        (
            random,
            "get-random-u64",
            "(param \"p\" u8) (result u64)",
            "(param i32) (result i64)",
            "(drop (call $f (i32.const 0)))",
        ),
        (random, "get-random-bytes", "(result (list u8))", "(param i32)", "(call $f (i32.const 0))"),
        (
            random,
            "get-random-bytes",
            "(param \"len\" string) (result (list u8))",
            "(param i32 i32 i32)",
            "(call $f (i32.const 0) (i32.const 0) (i32.const 0))",
        ),
        (exit, "exit", "(param \"status\" u32)", "(param i32)", "(call $f (i32.const 0))"),
        (exit, "exit-with-code", "(param \"code\" u32)", "(param i32)", "(call $f (i32.const 0))"),
    ] {
        let error = with_wrong_type(interface, name, ty, core, call);
        assert!(error.exit_status().is_none(), "{name} {ty}: {error}");
    }
}

/// A component that imports all of the world of commands, as tools make it, where a folder of such is beside this one.
#[test]
fn a_component_that_imports_everything_is_linked() {
    let sample =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/components/all-imports-cli-0.2.12.wasm");
    let Ok(bytes) = std::fs::read(sample) else {
        if let Some(list) = std::env::var_os("AMPOULE_SKIPPED") {
            let mut list = std::fs::OpenOptions::new().append(true).open(list).unwrap();
            let line = b"a component that imports everything is linked: there is no folder of samples\n";
            std::io::Write::write_all(&mut list, line).unwrap();
        }
        return;
    };
    let engine = Engine::default();
    let component = ampoule_component::Component::new(&engine, &bytes).unwrap();
    let mut linker = ampoule_component::Linker::new(&engine);
    ampoule_wasi::p2::add_to_linker(&mut linker).unwrap();
    linker.instantiate(&mut ampoule::Store::new(&engine), &component).unwrap();
}
