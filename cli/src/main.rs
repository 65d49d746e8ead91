//! The `ampoule` command: runs, compiles and inspects WebAssembly modules.
//!
//! Each command is a file of [`commands`]. What they share: [`module_file`] reads and loads modules, [`grants`] are what guests reach, [`limits`] what they may have, [`terminal`] prints,
//! [`units`] reads sizes and durations.
//!
//! Exit statuses: 0 success, 1 an error, 2 wrong arguments, 134 a trap; `run` passes the guest's own on.

mod commands;
mod grants;
mod limits;
mod module_file;
mod terminal;
mod units;
mod wave;

use clap::Parser;
use std::process::ExitCode;

/// The status after wrong arguments, as of most commands.
const USAGE_STATUS: u8 = 2;

fn main() -> ExitCode {
    let cli = match commands::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            // Without colours: it quotes arguments, and those are escaped.
            terminal::report_usage(error.render().to_string().trim_end());
            return ExitCode::from(USAGE_STATUS);
        }
        // Help or the version; nothing that others wrote is in them.
        Err(help) => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    cli.run().unwrap_or_else(|error| {
        terminal::report_error(&error);
        ExitCode::FAILURE
    })
}
