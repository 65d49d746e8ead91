//! The `ampoule` command: runs, compiles and inspects WebAssembly modules.
//!
//! Each command is a file of [`commands`]; what they share is here: [`module_file`] reads and loads modules, [`units`] reads
//! sizes and durations.
//!
//! Exit statuses: 0 success, 1 an error, 2 wrong arguments, 134 a trap; `run` passes the guest's own on.

mod commands;
mod module_file;
mod units;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match commands::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
