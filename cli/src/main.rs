//! The `ampoule` command: runs, compiles and inspects WebAssembly modules.
//!
//! Each command is a file of [`commands`]; what they share is here: [`module_file`] reads and loads modules, [`units`]
//! reads sizes and durations.
//!
//! Exit statuses: 0 success, 1 an error, 2 wrong arguments, 134 a trap; `run` passes the guest's own on.

mod commands;
mod module_file;
mod units;

use clap::Parser;
use std::io::Write;
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

/// Prints to standard output. Whoever closed it (`| head`) has seen enough, which is no error.
///
/// # Errors
/// Where it can't be written for another reason.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
