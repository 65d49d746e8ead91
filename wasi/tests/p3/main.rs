//! WASI 0.3 as components meet it.

// Arguments are written as lists of values everywhere, also where there is one.
#![allow(clippy::cloned_ref_to_slice_refs)]

mod clocks;
mod filesystem;
mod http;
#[path = "../support/loopback.rs"]
mod loopback;
#[path = "../support/memory_fs.rs"]
mod memory_fs;
#[path = "../support/pass_through.rs"]
mod pass_through;
#[path = "../support/servers.rs"]
mod servers;
mod sockets;
mod stdio;
mod support;

use ampoule::Engine;
use ampoule_component::{Component, Linker, Val};
use ampoule_wasi::WasiConfig;
use ampoule_wasi::p3::{self, FUNCTIONS};
use std::collections::{BTreeMap, BTreeSet};
use support::{Guest, all_functions, bytes_of};

#[test]
fn every_function_has_a_row_and_every_row_a_function() {
    let all = || FUNCTIONS.iter().chain(p3::http::FUNCTIONS);
    let rows: BTreeSet<_> = all().map(|row| (row.interface.to_owned(), row.name.to_owned())).collect();
    assert_eq!(rows.len(), all().count(), "each once");
    assert_eq!(rows, all_functions().into_iter().collect());
}

/// The claims below and in the other files call each function of each interface.
#[test]
fn every_function_is_called_by_a_test() {
    let tests = [
        include_str!("main.rs"),
        include_str!("clocks.rs"),
        include_str!("filesystem.rs"),
        include_str!("http/messages.rs"),
        include_str!("sockets.rs"),
        include_str!("stdio.rs"),
    ];
    for (interface, name) in all_functions() {
        // Terminals and standard streams are called in loops over their names.
        if ["terminal-stdin", "terminal-stdout", "terminal-stderr", "stdout", "stderr"]
            .iter()
            .any(|looped| interface.ends_with(&format!("cli/{looped}")))
        {
            continue;
        }
        let bare = name.split_once(']').map_or(&*name, |(_, name)| name);
        let bare = bare.split_once('.').map_or(bare, |(_, name)| name);
        let is_called = tests.iter().any(|text| {
            [format!("#{bare}\""), format!("\"{bare}\""), format!(".{bare}\"")].iter().any(|call| text.contains(call))
        });
        assert!(is_called, "{interface}#{name}");
    }
}

#[test]
fn resource_types_of_all_versions_have_numbers_of_their_own() {
    use ampoule_wasi::p2;
    let mut names = BTreeMap::new();
    for resource in p2::RESOURCES.iter().chain(p2::http::RESOURCES).chain(p3::RESOURCES).chain(p3::http::RESOURCES) {
        let name = names.entry(resource.ty).or_insert(resource.name);
        assert_eq!(*name, resource.name, "{}", resource.interface);
    }
}

#[test]
fn a_store_without_context_is_an_error_at_the_call() {
    let mut guest = Guest::in_engine(&Engine::default(), None);
    for (name, args) in [("random/random#get-random-u64", vec![]), ("monotonic-clock#wait-for", vec![Val::from(1u64)])]
    {
        let error = guest.try_call(name, &args).expect_err("there is none");
        assert!(error.to_string().contains("the store has no WASI configuration"), "{error}");
        guest = Guest::in_engine(&Engine::default(), None);
    }
}

#[test]
fn a_linker_has_both_versions() {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    ampoule_wasi::p2::add_to_linker(&mut linker).unwrap();
    ampoule_wasi::p3::add_to_linker(&mut linker).unwrap();
    assert!(ampoule_wasi::p3::add_to_linker(&mut linker).is_err(), "each once");
    let text = r#"(component
        (import "wasi:cli/environment@0.2.3" (instance (export "initial-cwd" (func (result (option string))))))
        (import "wasi:cli/environment@0.3.0" (instance (export "get-initial-cwd" (func (result (option string))))))
        (import "wasi:clocks/monotonic-clock@0.3.1" (instance
            (export "now" (func (result u64)))
            (export "wait-for" (func async (param "how-long" u64))))))"#;
    let component = Component::new(&engine, text.as_bytes()).unwrap();
    linker.instantiate(&mut ampoule::Store::new(&engine), &component).unwrap();
    for unknown in ["0.3.0\" (instance (export \"initial-cwd", "0.4.0\" (instance (export \"get-initial-cwd"] {
        let text =
            format!(r#"(component (import "wasi:cli/environment@{unknown}" (func (result (option string)))))))"#);
        let component = Component::new(&engine, text.as_bytes()).unwrap();
        assert!(linker.instantiate(&mut ampoule::Store::new(&engine), &component).is_err(), "{unknown}");
    }
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
    assert_eq!(guest.call("environment#get-initial-cwd", &[]), Val::option(None));
    for name in ["stdin", "stdout", "stderr"] {
        assert_eq!(guest.call(&format!("terminal-{name}#get-terminal-{name}"), &[]), Val::option(None));
    }
}

#[test]
fn an_exit_is_an_error_with_its_status() {
    let exit = |name: &str, arg: Val| {
        let mut guest = Guest::new(WasiConfig::new());
        guest.try_call(name, &[arg]).expect_err("exited")
    };
    assert_eq!(exit("exit#exit", Val::result(Ok(None))).exit_status(), Some(0));
    assert_eq!(exit("exit#exit", Val::result(Err(None))).exit_status(), Some(1));
    assert_eq!(exit("exit#exit-with-code", Val::from(200u8)).exit_status(), Some(200));
}

#[test]
fn random_bytes_are_as_many_as_asked_for_or_fewer() {
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
    }
    let mut guest = Guest::new(WasiConfig::new());
    let seed = "insecure-seed#get-insecure-seed";
    assert_ne!(guest.call(seed, &[]), guest.call(seed, &[]));
}

/// A component that imports all of the world of commands, as tools make it, where a folder of such is beside this one.
#[test]
fn a_component_that_imports_everything_is_linked() {
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/components/p3-cli-imports.wasm");
    let Ok(bytes) = std::fs::read(sample) else {
        if let Some(list) = std::env::var_os("AMPOULE_SKIPPED") {
            let mut list = std::fs::OpenOptions::new().append(true).open(list).unwrap();
            let line = b"a component that imports everything of 0.3 is linked: there is no folder of samples\n";
            std::io::Write::write_all(&mut list, line).unwrap();
        }
        return;
    };
    let engine = Engine::default();
    let component = Component::new(&engine, &bytes).unwrap();
    let mut linker = Linker::new(&engine);
    ampoule_wasi::p3::add_to_linker(&mut linker).unwrap();
    linker.instantiate(&mut ampoule::Store::new(&engine), &component).unwrap();
}
