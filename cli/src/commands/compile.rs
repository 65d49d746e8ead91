//! `ampoule compile`: compiles a module or a component ahead of time.

use crate::module_file::{ModuleFile, Proposals};
use crate::terminal::print_lines;
use crate::units::show_bytes;
use ampoule::{Config, Engine, Module};
use ampoule_component::Component;
use ampoule_core::tunables::{OptLevel, Tiers};
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Compiles a module or a component ahead of time, for `ampoule run` on the same kind of machine.
#[derive(clap::Args)]
pub struct Args {
    /// A wasm or wat file.
    file: PathBuf,
    /// Where to write the result; by default FILE with the extension `ampoule`.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How hard to optimize.
    #[arg(short = 'O', long, value_enum, default_value_t = Level::Speed)]
    opt_level: Level,
    /// The compiler; by default the optimizing one, but the baseline compiler with `-O none`.
    #[arg(long, value_enum)]
    tier: Option<Tier>,
    /// Make code that counts fuel, for `ampoule run --fuel`.
    #[arg(long)]
    fuel: bool,
    /// Make code that can be interrupted, for `ampoule run --timeout`.
    #[arg(long)]
    timeout: bool,
    #[command(flatten)]
    proposals: Proposals,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Level {
    /// Compile fast: by the baseline compiler, unless `--tier` names the other, which then doesn't optimize.
    None,
    /// Fast code.
    Speed,
    /// Fast code, small where that costs nothing.
    SpeedAndSize,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Tier {
    /// Done at once; code runs some third longer.
    Baseline,
    /// Fast code.
    Optimizing,
}

impl Args {
    /// Compiles.
    ///
    /// # Errors
    /// Where the file is no module, or the output can't be written.
    pub fn run(self) -> Result<ExitCode> {
        let file = ModuleFile::read(&self.file)?;
        // What is compiled with no more than the default proposals runs under more of them, and under every other engine of this
        // version.
        let validates = |config: &Config| file.binary().is_ok_and(|binary| valid_under(config, binary));
        let mut config = Some(Config::new()).filter(validates).unwrap_or_else(|| self.proposals.config());
        config.consume_fuel(self.fuel).epoch_interruption(self.timeout);
        config.opt_level(match self.opt_level {
            Level::None => OptLevel::None,
            Level::Speed => OptLevel::Speed,
            Level::SpeedAndSize => OptLevel::SpeedAndSize,
        });
        // `Auto` compiles whole modules as the option says.
        config.tiers(self.tier.map_or(Tiers::Auto, |tier| match tier {
            Tier::Baseline => Tiers::Baseline,
            Tier::Optimizing => Tiers::Optimizing,
        }));
        let engine = Engine::new(&config)?;
        let output = self.output.unwrap_or_else(|| self.file.with_extension("ampoule"));
        // Nothing is compiled before `serialize`.
        let artifact = match file.component(&engine)? {
            Some(component) => with_progress(&engine, component.num_functions(), || component.serialize()),
            None => {
                let module = file.named(Module::from_binary(&engine, file.binary()?))?;
                with_progress(&engine, module.description().bodies.len(), || module.serialize())
            }
        };
        let artifact = file.named(artifact)?;
        std::fs::write(&output, &artifact).with_context(|| format!("{}", output.display()))?;
        print_lines([format!("{}: {}", output.display(), show_bytes(artifact.len() as u64))])?;
        Ok(ExitCode::SUCCESS)
    }
}

fn valid_under(config: &Config, binary: &[u8]) -> bool {
    Engine::new(config).is_ok_and(|engine| {
        if wasmparser::Parser::is_component(binary) {
            Component::new(&engine, binary).is_ok()
        } else {
            Module::validate(&engine, binary).is_ok()
        }
    })
}

/// Shows on a terminal how far the compilation of so many functions is, from its second second.
fn with_progress<T>(engine: &Engine, functions: usize, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let goes_on = |time| is_done.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
            if !goes_on(Duration::from_secs(1)) {
                return;
            }
            // Draws nothing where standard error is no terminal.
            let bar = ProgressBar::new(functions as u64);
            let style = ProgressStyle::with_template("compiling {wide_bar} {pos}/{len} functions, {eta} left");
            bar.set_style(style.expect("the template is valid"));
            while goes_on(Duration::from_millis(100)) {
                bar.set_position(engine.compiled_functions());
            }
            bar.finish_and_clear();
        });
        let result = work();
        drop(done);
        result
    })
}
