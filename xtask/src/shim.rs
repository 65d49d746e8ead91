//! `cargo xtask shim`: the shim for containerd, `containerd-shim-ampoule-v1`.
//!
//! It is a workspace of its own, so that everything else builds with Rust, a C compiler and Python alone; what it needs is asked for here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::{artifacts, process, project, tools};

#[derive(Args)]
pub struct Options {
    /// Where containerd finds it; it is only built otherwise.
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<PathBuf>,
    /// The cargo profile to build with.
    #[arg(long, default_value = "release")]
    pub profile: String,
}

pub const NAME: &str = "containerd-shim-ampoule-v1";

/// Whether something is there.
type Look = fn() -> bool;

/// Packages of the system that building it takes, and whether what is wanted of them is there.
const PACKAGES: [(&str, Look); 2] = [
    ("libseccomp-dev", || Path::new("/usr/include/seccomp.h").is_file()),
    ("protobuf-compiler", || process::find("protoc").is_some()),
];

pub fn run(options: &Options) -> Result<()> {
    install_packages()?;
    let mut build = cargo("build");
    let built = artifacts::build(build.args(["--profile", &options.profile]))?;
    let shim = built.into_iter().find_map(|artifact| artifact.executable).context("no shim came out")?;
    let Some(prefix) = &options.prefix else {
        println!("built {}", project::short(&shim));
        return Ok(());
    };
    let folder = prefix.join("bin");
    fs::create_dir_all(&folder)?;
    // One that runs keeps its file.
    let (new, installed) = (folder.join(format!("{NAME}.new")), folder.join(NAME));
    fs::copy(&shim, &new)?;
    fs::rename(new, &installed)?;
    println!("installed {}", installed.display());
    Ok(())
}

/// Installs what building it takes.
pub fn install_packages() -> Result<()> {
    let missing = PACKAGES.iter().filter(|(_, is_there)| !is_there());
    missing.map(|(package, _)| *package).try_for_each(tools::apt_install)
}

/// A command of cargo's, in the shim's workspace.
pub fn cargo(command: &str) -> Command {
    let mut cargo = process::cargo();
    let target = project::target().join("shim");
    cargo.args([command, "--locked", "--manifest-path"]).arg(project::root().join("shim/Cargo.toml"));
    cargo.arg("--target-dir").arg(target);
    cargo
}
