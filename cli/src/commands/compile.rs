//! `ampoule compile`: compiles a module ahead of time.

use crate::module_file::{ModuleFile, base_config};
use crate::units::show_bytes;
use ampoule::{Engine, Module, Strategy};
use ampoule_core::tunables::OptLevel;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Compiles a module ahead of time, for `ampoule run` on the same kind of machine.
#[derive(clap::Args)]
pub struct Args {
    /// A wasm or wat file.
    file: PathBuf,
    /// Where to write the compiled module; by default FILE with the extension `ampoule`.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How hard to optimize.
    #[arg(short = 'O', long, value_enum, default_value_t = Level::Speed)]
    opt_level: Level,
    /// Make code that counts fuel, for `ampoule run --fuel`.
    #[arg(long)]
    fuel: bool,
    /// Make code that can be interrupted, for `ampoule run --timeout`.
    #[arg(long)]
    timeout: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Level {
    /// Compile fast.
    None,
    /// Fast code.
    Speed,
    /// Fast code, small where that costs nothing.
    SpeedAndSize,
}

impl Args {
    /// Compiles.
    ///
    /// # Errors
    /// Where the file is no module, or the output can't be written.
    pub fn run(self) -> Result<ExitCode> {
        let mut config = base_config();
        config.strategy(Strategy::Eager).consume_fuel(self.fuel).epoch_interruption(self.timeout);
        config.opt_level(match self.opt_level {
            Level::None => OptLevel::None,
            Level::Speed => OptLevel::Speed,
            Level::SpeedAndSize => OptLevel::SpeedAndSize,
        });
        let engine = Engine::new(&config)?;
        let file = ModuleFile::read(&self.file)?;
        let binary = file.binary()?;
        let output = self.output.unwrap_or_else(|| self.file.with_extension("ampoule"));
        let artifact = with_progress(&format!("compiling {}", self.file.display()), || {
            file.named(Module::from_binary(&engine, binary).and_then(|module| module.serialize()))
        })?;
        std::fs::write(&output, &artifact).with_context(|| format!("{}", output.display()))?;
        println!("{}: {}", output.display(), show_bytes(artifact.len() as u64));
        Ok(ExitCode::SUCCESS)
    }
}

/// Shows on a terminal that `work` is going on, from its second second.
fn with_progress<T>(message: &str, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if is_done.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            // Draws nothing where standard error is no terminal.
            let bar = ProgressBar::new_spinner().with_message(message.to_string());
            bar.set_style(ProgressStyle::with_template("{spinner} {msg} {elapsed}").expect("the template is valid"));
            bar.enable_steady_tick(Duration::from_millis(100));
            let _ = is_done.recv();
            bar.finish_and_clear();
        });
        let result = work();
        drop(done);
        result
    })
}
