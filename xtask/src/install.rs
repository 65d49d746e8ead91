//! `cargo xtask install`: the library, its headers and its command, where other programs find them.
//!
//! Programs written for Wasmtime's C API find the library under that name too: `libwasmtime.so`, `libwasmtime.a` and
//! `wasmtime.pc` stand beside ours.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::library::{Library, Linkage};
use crate::project;

#[derive(Args)]
pub struct Options {
    /// The folder that gets `lib`, `include` and `bin`.
    #[arg(long, value_name = "DIR")]
    pub prefix: PathBuf,
    /// The cargo profile to build with.
    #[arg(long, default_value = "release")]
    pub profile: String,
}

pub fn run(options: &Options) -> Result<()> {
    let library = Library::build(&options.profile)?;
    install(&library, &options.prefix)?;
    println!("installed to {}", options.prefix.display());
    Ok(())
}

/// Installs what was built to `prefix`.
pub fn install(library: &Library, prefix: &Path) -> Result<()> {
    fs::create_dir_all(prefix.join("lib/pkgconfig"))?;
    fs::create_dir_all(prefix.join("bin"))?;
    // The .pc files hold this path, and are read from anywhere.
    let prefix = prefix.canonicalize()?;
    let lib = prefix.join("lib");

    for (linkage, other_name) in [(Linkage::Shared, "libwasmtime.so"), (Linkage::Static, "libwasmtime.a")] {
        replace(&lib.join(linkage.file_name()), |path| fs::copy(library.file(linkage), path).map(drop))?;
        replace(&lib.join(other_name), |path| symlink(linkage.file_name(), path))?;
    }
    for name in ["ampoule.pc", "wasmtime.pc"] {
        let template = project::root().join("c-api").join(format!("{name}.in"));
        let text = fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
        fs::write(lib.join("pkgconfig").join(name), fill_in(&text, &prefix))?;
    }
    copy_folder(&project::include(), &prefix.join("include"))?;
    if let Some(command) = &library.command {
        replace(&prefix.join("bin/ampoule"), |path| fs::copy(command, path).map(drop))?;
    }
    Ok(())
}

/// A template without its comments, which speak to those who edit it.
fn fill_in(template: &str, prefix: &Path) -> String {
    let lines = template.lines().filter(|line| !line.starts_with('#'));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    text.replace("@PREFIX@", &prefix.to_string_lossy()).replace("@VERSION@", env!("CARGO_PKG_VERSION"))
}

/// Removes `path` first: programs that have the old file mapped keep it, and a link is not followed.
fn replace(path: &Path, make: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        fs::remove_file(path)?;
    }
    make(path).with_context(|| format!("cannot make {}", path.display()))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in from.read_dir().with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
