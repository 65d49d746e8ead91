//! The layers of the workspace: crates and folders depend downwards only. Read from the sources, so that a new upward import fails
//! here, with the place where the thing belongs. [`unsafe_code`] has another rule that sources keep to.
//!
//! A file depends on another where its code, outside of tests, names it by a path that begins with `crate::`, `super::` or `self::`.

mod sources;
mod unsafe_code;

use sources::Crate;

/// The crates, and which of the others each may name.
const CRATES: [(&str, &[&str]); 9] = [
    ("core", &[]),
    ("compiler", &["core"]),
    ("machine", &["core"]),
    ("ampoule", &["core", "compiler", "machine"]),
    ("component", &["core", "ampoule"]),
    ("wasi", &["core", "ampoule", "component"]),
    ("c-api", &["core", "ampoule", "component", "wasi"]),
    ("runner", &["ampoule", "component", "wasi"]),
    ("cli", &["core", "ampoule", "component", "wasi", "runner"]),
];

/// The layers of the crate `ampoule` from the bottom up: files and folders, and what they know. The longest path that fits counts.
const ENGINE: [(&[&str], &str); 9] = [
    (&["error/"], "errors, traps, backtraces as addresses"),
    (
        &["memory/", "table_elements.rs", "gc/heap/"],
        "memory: of memories and tables, and the heap of collected objects",
    ),
    (&["engine/"], "configuration, types, thunks, caches, threads: what stores share"),
    (&["module/"], "modules and their code"),
    (&["store/"], "the store, and its record of each thing in it"),
    (
        &["gc/", "global.rs", "table.rs", "tag.rs", "memory/mod.rs", "func/", "instance/"],
        "handles, and what is done through them",
    ),
    (&["snapshot/"], "snapshots of instances"),
    (&["profiling.rs"], "profiles of guests"),
    (&["builtins/"], "what machine code calls"),
];

/// The longest circle of imports that any crate may have: store, instance and function need each other.
const MAX_CIRCLE: usize = 8;

#[test]
fn crates_depend_downwards() {
    for (name, below) in CRATES {
        for dependency in sources::dependencies(name) {
            assert!(
                below.contains(&dependency.as_str()),
                "{name}/Cargo.toml: `{name}` must not depend on `{dependency}`, which is not below it: what it needs from there \
                 belongs into a crate that both know, or is handed in from above"
            );
        }
    }
}

#[test]
fn folders_of_the_engine_depend_downwards() {
    let engine = Crate::read("ampoule");
    for (file, arrows) in engine.arrows() {
        let from = layer_of(&file);
        for (to, names) in arrows {
            assert!(
                layer_of(&to) <= from,
                "ampoule/src/{file} names {names} of {to}, a layer above it: {} must not know {}. What they share belongs \
                 below both; what needs the upper layer belongs there",
                ENGINE[from].1,
                ENGINE[layer_of(&to)].1,
            );
        }
    }
}

/// The folders of WASI, and which of the others each may name: no version of an interface knows another one.
const WASI: [(&str, &[&str]); 7] = [
    ("host/", &[]),
    ("component/", &["host/"]),
    ("p1/", &["host/"]),
    ("p2/", &["host/", "component/"]),
    ("p3/", &["host/", "component/"]),
    ("handler.rs", &["host/", "component/", "p2/", "p3/"]),
    ("snapshot.rs", &["host/", "component/", "p1/", "p2/"]),
];

#[test]
fn folders_of_wasi_depend_downwards() {
    for (file, arrows) in Crate::read("wasi").arrows() {
        let (folder, below) = WASI.iter().find(|(folder, _)| file.starts_with(folder)).expect("a folder of the list");
        for to in arrows.keys() {
            assert!(
                to.starts_with(folder) || below.iter().any(|folder| to.starts_with(folder)),
                "wasi/src/{file} names {to}: the host imports no interface, and what versions share belongs to component/"
            );
        }
    }
}

#[test]
fn one_processor_s_code_is_in_its_folder() {
    for (name, _) in CRATES {
        for (file, text) in Crate::read(name).files {
            if file.starts_with("arch/x86_64/") || file == "arch/mod.rs" {
                continue;
            }
            for word in ["asm!(", "target_arch", "is_x86_feature_detected", "isa::x64"] {
                assert!(
                    !text.contains(word),
                    "{name}/src/{file} has `{word}`: what is one processor's belongs to arch/x86_64 of machine or compiler"
                );
            }
        }
    }
}

#[test]
fn circles_of_imports_are_short() {
    for (name, _) in CRATES {
        let circle = Crate::read(name).longest_circle();
        assert!(circle.len() <= MAX_CIRCLE, "{name}: {} files import each other: {circle:?}", circle.len());
    }
}

/// The layer of a file, from the bottom.
fn layer_of(file: &str) -> usize {
    let fits = ENGINE.iter().enumerate().flat_map(|(number, (paths, _))| {
        paths.iter().filter(|path| file.starts_with(**path)).map(move |path| (path.len(), number))
    });
    match fits.max() {
        Some((_, number)) => number,
        None => panic!("ampoule/src/{file} is in no layer: add it to the list in tests/layers/main.rs"),
    }
}
