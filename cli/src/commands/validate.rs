//! `ampoule validate`: whether files are modules or components that Ampoule runs.

use crate::module_file::{ModuleFile, Proposals};
use crate::terminal::{print_lines, report_error};
use ampoule::{Engine, Module};
use anyhow::Result;
use std::path::PathBuf;
use std::process::ExitCode;

/// Says whether files are valid modules or components; nothing is compiled.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    proposals: Proposals,
    /// wasm or wat files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

impl Args {
    /// Validates every file, also behind one that isn't valid.
    ///
    /// # Errors
    /// Where the engine can't be made. What is wrong with a file is printed, and is the exit status.
    pub fn run(self) -> Result<ExitCode> {
        let engine = Engine::new(&self.proposals.config())?;
        let mut code = ExitCode::SUCCESS;
        for path in &self.files {
            if let Err(error) = validate(&engine, path) {
                report_error(&error);
                code = ExitCode::FAILURE;
            } else {
                print_lines([format!("{}: valid", path.display())])?;
            }
        }
        Ok(code)
    }
}

fn validate(engine: &Engine, path: &std::path::Path) -> Result<()> {
    let file = ModuleFile::read(path)?;
    let binary = file.binary()?;
    match file.component(engine)? {
        Some(_) => Ok(()),
        None => file.named(Module::validate(engine, binary)),
    }
}
