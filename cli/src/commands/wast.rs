//! `ampoule wast`: runs test scripts.

use crate::module_file::{Compilation, Proposals};
use crate::terminal::{print_lines, report, report_error};
use ampoule::{Config, Engine};
use ampoule_cli::wast::{self, Loading};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs test scripts in the form of WebAssembly's official test suite.
#[derive(clap::Args)]
pub struct Args {
    /// Scripts.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Serialize and deserialize every module before it is used.
    #[arg(long)]
    round_trip: bool,
    /// Collect at every allocation of a garbage-collected object, and look through the whole heap for damage each time.
    #[arg(long)]
    gc_stress: bool,
    #[command(flatten)]
    compilation: Compilation,
    #[command(flatten)]
    proposals: Proposals,
}

impl Args {
    /// Runs every script, also behind one that fails.
    ///
    /// # Errors
    /// Where the engine can't be made. What fails in a script is printed, and is the exit status.
    pub fn run(self) -> Result<ExitCode> {
        let mut config = Config { shared_memory: true, gc_stress: self.gc_stress, ..self.proposals.config() };
        self.compilation.choose(&mut config);
        let engine = Engine::new(&config)?;
        let loading = if self.round_trip { Loading::RoundTrip } else { Loading::Compile };
        let mut code = ExitCode::SUCCESS;
        for path in &self.files {
            match run_script(&engine, path, loading) {
                Ok(true) => {}
                Ok(false) => code = ExitCode::FAILURE,
                Err(error) => {
                    report_error(&error);
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    }
}

/// Whether all of the script passed.
fn run_script(engine: &Engine, path: &Path, loading: Loading) -> Result<bool> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("{name}"))?;
    let outcome = wast::run(engine, path, &text, loading).with_context(|| format!("{name}"))?;
    for failure in &outcome.failures {
        report(&format!("{name}:{}:{}: {}", failure.line, failure.column, failure.reason));
    }
    print_lines([format!("{name}: {} passed, {} failed", outcome.passed, outcome.failures.len())])?;
    Ok(outcome.failures.is_empty())
}
