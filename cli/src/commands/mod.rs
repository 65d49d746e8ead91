//! The commands, one file each, and the list of them.

mod compile;
mod completions;
mod inspect;
mod run;
mod serve;
mod snapshot;
mod validate;
mod wast;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Runs, compiles and inspects WebAssembly modules.
#[derive(Parser)]
#[command(name = "ampoule", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Serve(serve::Args),
    Compile(compile::Args),
    Snapshot(snapshot::Args),
    Validate(validate::Args),
    Inspect(inspect::Args),
    Wast(wast::Args),
    Completions(completions::Args),
}

impl Cli {
    /// Does what was asked for, and says with which status to exit.
    ///
    /// # Errors
    /// What kept it from being done.
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Run(args) => args.run(),
            Command::Serve(args) => args.run(),
            Command::Compile(args) => args.run(),
            Command::Snapshot(args) => args.run(),
            Command::Validate(args) => args.run(),
            Command::Inspect(args) => args.run(),
            Command::Wast(args) => args.run(),
            Command::Completions(args) => args.run(),
        }
    }
}
