//! `cargo xtask bench`: the library measured against another one, in one run of `benches/run.py`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::library::{Library, Linkage};
use crate::{guests, process, project, python};

const PEER_VERSION: &str = "44.0.0";

#[derive(Args)]
pub struct Options {
    /// Fetch the reference library from PyPI into `.cache`, when AMPOULE_PEER_LIB names none.
    #[arg(long)]
    fetch_peer: bool,
    /// The cargo profile to build the library with.
    #[arg(long, default_value = "release")]
    profile: String,
    /// Passed on to `benches/run.py`, such as `--json OUT`, `--svg OUT` and `--quick`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub fn run(options: &Options) -> Result<()> {
    let peer = peer(options.fetch_peer)?;
    let folder = guests::real()?;
    guests::languages::make(&folder, guests::languages::MEASURED)?;
    // The kernels are compiled with it.
    let python = guests::zig()?;
    let library = Library::build(&options.profile)?;
    process::run(
        Command::new(python)
            .arg(project::root().join("benches/run.py"))
            .arg("--lib")
            .arg(library.file(Linkage::Shared))
            .arg("--peer")
            .arg(peer)
            .args(&options.arguments),
    )
}

/// The library to compare with.
fn peer(fetch: bool) -> Result<PathBuf> {
    if let Some(peer) = std::env::var_os("AMPOULE_PEER_LIB") {
        let path = PathBuf::from(&peer);
        return path.canonicalize().with_context(|| format!("AMPOULE_PEER_LIB is {}", path.display()));
    }
    if !fetch {
        bail!(
            "AMPOULE_PEER_LIB names no library to compare with.\n\
             The reference is the shared library in PyPI's wasmtime=={PEER_VERSION}. To fetch it into .cache and use it:\n\n    \
             cargo xtask bench --fetch-peer"
        );
    }
    let package = python::package("wasmtime", PEER_VERSION)?.join("wasmtime");
    shared_library_in(&package)?.with_context(|| format!("no shared library for this machine in {}", package.display()))
}

/// The wheel has one folder for its platform, with the library in it.
fn shared_library_in(package: &Path) -> Result<Option<PathBuf>> {
    for entry in package.read_dir()? {
        let candidate = entry?.path().join("_libwasmtime.so");
        if candidate.is_file() {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}
