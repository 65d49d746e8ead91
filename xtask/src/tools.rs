//! Programs that a bare machine lacks.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{process, project};

/// Installs a package of the system; an error says by which command one could do so, when we may not.
pub fn apt_install(package: &str) -> Result<()> {
    let may = process::find("apt-get").is_some() && is_root();
    if !may {
        bail!("{package} is missing; install it with: sudo apt-get install {package}");
    }
    println!("installing {package}");
    let apt = |arguments: &[&str]| {
        process::capture(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(arguments))
    };
    // The lists of a fresh machine are empty; those of an older one mostly suffice.
    if apt(&["install", "-y", "-qq", package]).is_err() {
        apt(&["update", "-qq"])?;
        apt(&["install", "-y", "-qq", package])?;
    }
    Ok(())
}

/// The folder of `cargo-nextest`, which is compiled into `.cache/tools` when the machine has none.
pub fn nextest() -> Result<PathBuf> {
    if let Some(found) = process::find("cargo-nextest") {
        return Ok(found.parent().expect("a file is in a folder").to_owned());
    }
    let tools = project::cache().join("tools");
    let folder = tools.join("bin");
    if !folder.join("cargo-nextest").is_file() {
        println!("installing cargo-nextest into {}", project::short(&tools));
        // Neither optimized nor with debug information: compiling it is what takes long, and running it is not.
        process::run(
            process::cargo()
                .env_remove("CARGO_TARGET_DIR")
                .env("CARGO_PROFILE_DEV_DEBUG", "0")
                .args(["install", "cargo-nextest", "--locked", "--debug", "--quiet", "--root"])
                .arg(&tools),
        )?;
    }
    Ok(folder)
}

/// Valgrind, installed when the machine has none and we may.
pub fn valgrind() -> Result<PathBuf> {
    if process::find("valgrind").is_none() {
        apt_install("valgrind")?;
    }
    match process::find("valgrind") {
        Some(path) => Ok(path),
        None => bail!("valgrind was installed, but is not on the PATH"),
    }
}

/// The files in /proc/self belong to the effective user.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
