//! `ampoule completions`: a completion script for a shell.

use super::Cli;
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;
use std::process::ExitCode;

/// Prints a script that completes ampoule's arguments in a shell.
#[derive(clap::Args)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

impl Args {
    /// Prints it.
    ///
    /// # Errors
    /// None.
    pub fn run(self) -> Result<ExitCode> {
        clap_complete::generate(self.shell, &mut Cli::command(), "ampoule", &mut std::io::stdout());
        Ok(ExitCode::SUCCESS)
    }
}
