//! Which exported functions no C test calls: a function without a test is a failed test.
//!
//! The linker knows: what a program names, through whatever macros and inline functions, is undefined in it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::options::Options;
use super::tally::Tally;
use crate::library::{Library, Linkage};
use crate::{process, project};

const NAME: &str = "c: every function is called";

/// Functions that no test can call, and why.
const EXCUSED: [(&str, &str); 8] = [
    ("wasmtime_component_future_type_clone", ASYNCHRONOUS),
    ("wasmtime_component_future_type_delete", ASYNCHRONOUS),
    ("wasmtime_component_future_type_equal", ASYNCHRONOUS),
    ("wasmtime_component_future_type_ty", ASYNCHRONOUS),
    ("wasmtime_component_stream_type_clone", ASYNCHRONOUS),
    ("wasmtime_component_stream_type_delete", ASYNCHRONOUS),
    ("wasmtime_component_stream_type_equal", ASYNCHRONOUS),
    ("wasmtime_component_stream_type_ty", ASYNCHRONOUS),
];

const ASYNCHRONOUS: &str = "components with asynchronous types are refused, so that none has an object to call it with";

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    if options.wants(NAME) {
        tally.check(NAME, check(library).map_err(|error| format!("{error:#}")));
    }
}

fn check(library: &Library) -> Result<()> {
    let shared = library.file(Linkage::Shared);
    let exported = symbols(&shared, "--defined-only")?;
    let mut called = BTreeSet::new();
    for folder in ["tests/c", "tests/fuzz"] {
        for source in project::files(&project::root().join(folder), "c")? {
            called.extend(symbols(&library.compile(&source, Linkage::Shared)?, "--undefined-only")?);
        }
    }
    judge(&exported, &called, &EXCUSED)
}

fn judge(exported: &BTreeSet<String>, called: &BTreeSet<String>, excused: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> = exported.difference(called).map(String::as_str).collect();
    let is_excused = |name: &str| excused.iter().any(|(excused, _)| *excused == name);
    let mut complaints: Vec<String> = missing
        .iter()
        .filter(|name| !is_excused(name))
        .map(|name| format!("{name} is called by no program in tests/c"))
        .collect();
    for (name, _) in excused.iter().filter(|(name, _)| !missing.contains(name)) {
        complaints.push(format!("{name} is called, or gone: take it off the list of functions that are not"));
    }
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    println!("      {} of {} functions are called", exported.len() - missing.len(), exported.len());
    Ok(())
}

/// The API's names among the dynamic symbols of a library or program.
fn symbols(file: &Path, which: &str) -> Result<BTreeSet<String>> {
    let listing = process::capture(Command::new("nm").args(["-D", which]).arg(file))?;
    let names = listing.lines().filter_map(|line| line.split_whitespace().last());
    let is_api = |name: &&str| ["wasm", "wasi_", "ampoule_"].iter().any(|prefix| name.starts_with(prefix));
    Ok(names.filter(is_api).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_called_or_excused() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let exported = names(&["wasm_a", "wasm_b"]);
        assert!(judge(&exported, &names(&["wasm_a", "wasm_b"]), &[]).is_ok());
        assert!(judge(&exported, &names(&["wasm_a"]), &[("wasm_b", "it ends the world")]).is_ok());
        let missing = judge(&exported, &names(&["wasm_a"]), &[]).unwrap_err().to_string();
        assert_eq!(missing, "wasm_b is called by no program in tests/c");
        assert!(judge(&exported, &names(&["wasm_a", "wasm_b"]), &[("wasm_b", "no longer true")]).is_err());
    }
}
