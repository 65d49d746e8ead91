//! The binary interface: which names the library exports, and the interface checker where its tables are at hand.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{Options, Tally};
use crate::library::{Library, Linkage};
use crate::{process, project};

pub fn run(library: &Library, options: &Options, tally: &mut Tally) {
    let shared = library.file(Linkage::Shared);
    if options.wants("abi: exported names") {
        tally.check("abi: exported names", exported_names(&shared).map_err(|error| format!("{error:#}")));
    }
    if !options.wants("abi: checker") {
        return;
    }
    match checker() {
        Some(folder) => tally.check("abi: checker", check(&folder, &shared).map_err(|error| format!("{error:#}"))),
        None => tally.skip("abi: checker", "it is not part of this clone; AMPOULE_ABI names its folder where it is"),
    }
}

/// Prints how many functions of the C API the library exports. Nothing else may be exported: it would be one more name
/// that can clash with the embedder's.
fn exported_names(shared: &Path) -> Result<()> {
    let listing = process::capture(Command::new("nm").args(["-D", "--defined-only", "-C"]).arg(shared))?;
    let names: Vec<&str> = listing.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    let (api, strangers): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| name.starts_with("wasm") || name.starts_with("wasi"));
    println!("      {} wasm*, wasi* and wasmtime* symbols are exported", api.len());
    if api.is_empty() {
        bail!("no function of the C API is exported");
    }
    // Rust exports this one for its own panics.
    let strangers: Vec<&str> = strangers.into_iter().filter(|name| !name.starts_with("rust_eh_personality")).collect();
    if !strangers.is_empty() {
        bail!("other names are exported too: {}", strangers.join(" "));
    }
    Ok(())
}

/// The folder with the interface's tables and their checker.
fn checker() -> Option<PathBuf> {
    let folder = match env::var_os("AMPOULE_ABI") {
        Some(folder) => PathBuf::from(folder),
        None => project::root().parent()?.join("shared/abi"),
    };
    folder.join("check").is_file().then_some(folder)
}

fn check(folder: &Path, shared: &Path) -> Result<()> {
    let mut command = Command::new("python3");
    command.arg(folder.join("check")).arg("--include").arg(project::include()).arg("--lib").arg(shared);
    for feature in features_off(folder)? {
        command.args(["--feature-off", &feature]);
    }
    let (status, lines) = process::run_and_keep(&mut command)?;
    if !status.success() {
        bail!("{}", lines.last().map_or("it says nothing", String::as_str));
    }
    Ok(())
}

/// The features that our headers don't have: the macros that `conf.h` doesn't define.
fn features_off(folder: &Path) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Types {
        feature_macros: Vec<Feature>,
    }
    #[derive(Deserialize)]
    struct Feature {
        name: String,
        /// Set for what follows from other features.
        derived_from_any: Option<Vec<String>>,
    }
    let tables = folder.join("types.json");
    let types: Types = serde_json::from_str(&fs::read_to_string(&tables)?)
        .with_context(|| format!("{} is not as expected", tables.display()))?;
    let conf = fs::read_to_string(project::include().join("wasmtime/conf.h"))?;
    let on =
        |name: &str| conf.lines().any(|line| line.strip_prefix("#define ").is_some_and(|rest| rest.trim() == name));
    let features = types.feature_macros.into_iter();
    Ok(features.filter(|f| f.derived_from_any.is_none() && !on(&f.name)).map(|f| f.name).collect())
}
