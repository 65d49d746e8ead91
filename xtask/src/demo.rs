//! `cargo xtask demo`: a C host runs a real program in stores that limit, meter and interrupt it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::library::{Library, Linkage};
use crate::{guests, process, project};

#[derive(Args)]
pub struct Options {
    /// The cargo profile to build the library with.
    #[arg(long, default_value = "release")]
    profile: String,
    /// Run the host against another shared library with the same interface.
    #[arg(long, value_name = "LIB")]
    against: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<()> {
    let guests = guests::real()?;
    let library = match &options.against {
        Some(shared) => Library::stand_in(shared)?,
        None => {
            println!("building libampoule (the first time takes a few minutes)");
            Library::build(&options.profile)?
        }
    };
    let source = project::root().join("examples/c/demo.c");
    println!("compiling {} with the system's C compiler", project::short(&source));
    let host = library.compile(&source, Linkage::Shared)?;
    process::run(Command::new(host).arg(guests.join("python.wasm")))
}
