//! The binary interface: which names the library exports, and the interface checker where its tables are at hand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fmt, fs};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::options::Options;
use super::tally::Tally;
use crate::library::{self, Library, Linkage};
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

/// Compares what the library exports with the list of names that it once has exported, none of which may ever go away.
/// Names that are of no header of ours may not be exported at all: each could clash with the embedder's.
fn exported_names(shared: &Path) -> Result<()> {
    let Names { api, others } = exports(shared)?;
    let extensions = api.iter().filter(|name| name.starts_with("ampoule_")).count();
    println!("      {} wasm*, wasi* and wasmtime* symbols are exported", api.len() - extensions);
    println!("      {extensions} ampoule* symbols are exported");
    let mut complaints = compare(&promised()?, &api);
    if !others.is_empty() {
        complaints.push(format!("other names are exported too: {}", others.join(" ")));
    }
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    Ok(())
}

/// The functions of the C API that a library exports.
pub fn exported(shared: &Path) -> Result<BTreeSet<String>> {
    Ok(exports(shared)?.api)
}

/// What a library exports.
struct Names {
    api: BTreeSet<String>,
    others: Vec<String>,
}

fn exports(shared: &Path) -> Result<Names> {
    let listing = process::capture(Command::new("nm").args(["-D", "--defined-only", "-C"]).arg(shared))?;
    // Rust exports `rust_eh_personality` for its own panics.
    let names = listing.lines().filter_map(|line| line.split(' ').nth(2)).filter(|name| *name != "rust_eh_personality");
    let (api, others): (Vec<String>, Vec<String>) = names.map(str::to_owned).partition(|name| library::is_ours(name));
    Ok(Names { api: api.into_iter().collect(), others })
}

/// The list of names, one on each line, sorted.
fn list() -> PathBuf {
    project::root().join("c-api/symbols.txt")
}

fn promised() -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(list()).context("cannot read c-api/symbols.txt")?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn compare(promised: &BTreeSet<String>, exported: &BTreeSet<String>) -> Vec<String> {
    let words = |names: Vec<&String>| names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ");
    let gone: Vec<_> = promised.difference(exported).collect();
    let new: Vec<_> = exported.difference(promised).collect();
    let mut complaints = Vec::new();
    if !gone.is_empty() {
        complaints.push(format!("names that were promised are gone: {}", words(gone)));
    }
    if !new.is_empty() {
        complaints.push(format!("`cargo xtask symbols` has to note new names: {}", words(new)));
    }
    complaints
}

/// `cargo xtask symbols`: adds what the library exports now to the list of promised names. It never takes one away.
pub fn note_symbols() -> Result<()> {
    let library = Library::build("dev")?;
    let mut names = promised().unwrap_or_default();
    let before = names.len();
    names.extend(exports(&library.file(Linkage::Shared))?.api);
    let text: String = names.iter().flat_map(|name| [name, "\n"]).collect();
    fs::write(list(), text).context("cannot write c-api/symbols.txt")?;
    println!("c-api/symbols.txt has {} names, {} of them new", names.len(), names.len() - before);
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

/// What the checker writes with `--json`, as far as it is of interest here.
#[derive(Deserialize)]
struct Report {
    failures: Vec<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    header: Option<String>,
    kind: String,
    name: String,
    detail: String,
}

fn check(folder: &Path, shared: &Path) -> Result<()> {
    let report = shared.with_file_name("abi.json");
    let mut command = Command::new("python3");
    command.arg(folder.join("check")).arg("--include").arg(project::include()).arg("--lib").arg(shared);
    command.arg("--json").arg(&report);
    for feature in features_off(folder)? {
        command.args(["--feature-off", &feature]);
    }
    if let Some(regex) = present_headers(folder)? {
        command.args(["--only", &regex]);
    }
    let output = command.output().context("cannot start python3")?;
    // Status 1 says that something failed, and the report says what.
    if !matches!(output.status.code(), Some(0 | 1)) {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    println!("      {}", said.lines().last().unwrap_or("the checker says nothing"));
    judge(serde_json::from_str(&fs::read_to_string(&report)?).context("the report of the checker")?)
}

fn judge(report: Report) -> Result<()> {
    let complaints: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    Ok(())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { header, kind, name, detail } = self;
        write!(f, "{} {kind} {name}: {detail}", header.as_deref().unwrap_or("(library)"))
    }
}

/// A pattern for the headers that we have, or nothing when we have them all. What a header that is missing would declare
/// is not missing by mistake: its functions are counted by `exported_names`, and the headers are listed here.
fn present_headers(folder: &Path) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Headers {
        headers: Vec<Header>,
    }
    #[derive(Deserialize)]
    struct Header {
        header: String,
    }
    let tables = folder.join("headers.json");
    let headers: Headers = serde_json::from_str(&fs::read_to_string(&tables)?)
        .with_context(|| format!("{} is not as expected", tables.display()))?;
    let include = project::include();
    let (present, absent): (Vec<_>, Vec<_>) =
        headers.headers.into_iter().map(|header| header.header).partition(|name| include.join(name).is_file());
    if absent.is_empty() {
        return Ok(None);
    }
    println!("      not checked, for these headers are not here yet: {}", absent.join(" "));
    Ok(Some(format!("^({})$", present.join("|").replace('.', "[.]"))))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_promised_name_that_is_gone_fails_the_run() {
        let promised = names(&["wasm_a", "wasm_b"]);
        assert!(compare(&promised, &promised).is_empty());
        let complaints = compare(&promised, &names(&["wasm_b"]));
        assert_eq!(complaints, ["names that were promised are gone: wasm_a"]);
        assert!(compare(&promised, &names(&["wasm_a", "wasm_b", "wasm_c"]))[0].contains("wasm_c"));
    }

    #[test]
    fn every_failure_of_the_checker_fails_the_run() {
        let failure = |header: &str| Failure {
            header: Some(header.to_owned()),
            kind: "symbol".to_owned(),
            name: "f".to_owned(),
            detail: "not exported".to_owned(),
        };
        assert!(judge(Report { failures: Vec::new() }).is_ok());
        assert!(judge(Report { failures: vec![failure("wasm.h")] }).is_err());
    }
}
