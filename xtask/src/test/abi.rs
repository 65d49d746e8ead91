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
    let prefixes = ["wasm", "wasi", "ampoule_"];
    let (api, strangers): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)));
    let extensions = api.iter().filter(|name| name.starts_with("ampoule_")).count();
    println!("      {} wasm*, wasi* and wasmtime* symbols are exported", api.len() - extensions);
    println!("      {extensions} ampoule* symbols are exported");
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

/// Headers whose functions need not all be there yet: they belong to later work. A header is listed only as long as
/// something of it is missing.
const INCOMPLETE: [&str; 3] = ["wasm.h", "wasmtime/gc.h", "wasmtime/tag.h"];

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

impl Failure {
    /// A function that is declared and not in the library, as opposed to one that differs.
    fn is_missing_function(&self) -> bool {
        self.kind == "symbol" && self.detail == "not exported"
    }

    fn is_excused(&self) -> bool {
        self.is_missing_function() && self.header.as_deref().is_some_and(|header| INCOMPLETE.contains(&header))
    }
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
    let (excused, failures): (Vec<_>, Vec<_>) = report.failures.into_iter().partition(Failure::is_excused);
    let mut complaints = Vec::new();
    for header in INCOMPLETE {
        let missing = excused.iter().filter(|failure| failure.header.as_deref() == Some(header)).count();
        println!("      {missing} functions of {header} are not there yet");
        if missing == 0 {
            complaints.push(format!("{header} is complete: take it off the list of incomplete headers"));
        }
    }
    for Failure { header, kind, name, detail } in failures {
        complaints.push(format!("{} {kind} {name}: {detail}", header.as_deref().unwrap_or("(library)")));
    }
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    Ok(())
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

    fn missing(header: &str) -> Failure {
        let (kind, detail) = ("symbol".to_owned(), "not exported".to_owned());
        Failure { header: Some(header.to_owned()), kind, name: "f".to_owned(), detail }
    }

    #[test]
    fn only_listed_headers_may_miss_functions() {
        let excused = || INCOMPLETE.into_iter().map(missing).collect::<Vec<_>>();
        assert!(judge(Report { failures: excused() }).is_ok());
        let mut failures = excused();
        failures.push(missing("wasmtime/store.h"));
        assert!(judge(Report { failures }).is_err());
        let mut failures = excused();
        failures.push(Failure { detail: "has another type".to_owned(), ..missing("wasm.h") });
        assert!(judge(Report { failures }).is_err());
    }

    #[test]
    fn a_listed_header_that_is_complete_fails_the_run() {
        let failures = INCOMPLETE.into_iter().skip(1).map(missing).collect();
        assert!(judge(Report { failures }).is_err());
    }
}
