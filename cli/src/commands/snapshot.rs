//! `ampoule snapshot`: starts a guest once, and writes down what has become of it.

use super::run::{call_of_component, linker};
use crate::grants::Grants;
use crate::limits::Limits;
use crate::module_file::{Compilation, ModuleFile, Proposals};
use crate::terminal::{print_lines, report};
use crate::units::show_bytes;
use ampoule::{Engine, Module, Snapshot, Store};
use ampoule_component::Component;
use ampoule_runner::{command, snapshot};
use ampoule_wasi::WasiCtx;
use ampoule_wasi::host::http::HttpConfig;
use anyhow::{Context, Result};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Starts a module or component once, and keeps it as it is then: `ampoule run` and `ampoule serve` go on from there, again and again.
///
/// `_initialize` of a module is called where there is one, then the functions of `--after`. A snapshot is taken between two calls: of a command, which does
/// everything in one, only what lies before or behind that can be kept. What the guest has of files is kept by the names that it knows; who
/// runs the snapshot has to give it those directories again.
#[derive(clap::Args)]
#[command(override_usage = "ampoule snapshot [OPTIONS] --output <SNAPSHOT> <FILE> [ARGS]...")]
pub struct Args {
    /// Where to write the snapshot.
    #[arg(short, long, value_name = "SNAPSHOT")]
    output: PathBuf,
    /// Call this exported function before the snapshot is taken; of a module one without parameters, by default `wizer.initialize`, where that
    /// is exported; of a component a call as `ampoule run --invoke` takes it. May be repeated. A module that exits with status 0 has returned.
    #[arg(long, value_name = "FUNCTION")]
    after: Vec<String>,
    #[command(flatten)]
    grants: Grants,
    #[command(flatten)]
    limits: Limits,
    /// Let imports that nobody provides trap when they are called.
    #[arg(long)]
    trap_unknown_imports: bool,
    /// Make code that counts fuel, for `ampoule run --fuel`.
    #[arg(long)]
    fuel: bool,
    /// Make code that can be interrupted, for `ampoule run --timeout` and `ampoule serve`.
    #[arg(long)]
    timeout: bool,
    #[command(flatten)]
    compilation: Compilation,
    #[command(flatten)]
    proposals: Proposals,
    /// A wasm or wat file, or one that `ampoule compile` made; and the guest's arguments.
    #[arg(value_names = ["FILE", "ARGS"], num_args = 1.., required = true, trailing_var_arg = true)]
    file_and_args: Vec<OsString>,
}

impl Args {
    /// Takes the snapshot.
    ///
    /// # Errors
    /// Where the guest fails, or has what can't be kept.
    pub fn run(self) -> Result<ExitCode> {
        let mut config = self.proposals.config();
        config.shared_memory = true;
        config.consume_fuel(self.fuel).epoch_interruption(self.timeout);
        self.compilation.choose(&mut config);
        let engine = Engine::new(&config)?;
        let file = ModuleFile::read(self.file())?;
        let component = file.component(&engine)?;
        let mut store = Store::new(&engine);
        self.limits.set(&mut store);
        // Nothing is to stop it now.
        store.set_epoch_deadline(1);
        if self.fuel {
            store.set_fuel(u64::MAX)?;
        }
        store.slots_mut().insert(self.wasi()?);
        let taken = match component {
            Some(component) => self.take_component(&mut store, &component),
            None => self.take_module(&mut store, &file.load(&engine)?),
        };
        let snapshot = match taken {
            Ok(snapshot) => snapshot,
            Err(error) => return Ok(command::status_of(&self.file().display().to_string(), error, report)?.into()),
        };
        let len = write(&self.output, &snapshot).with_context(|| self.output.display().to_string())?;
        print_lines([format!("{}: {}", self.output.display(), show_bytes(len))])?;
        Ok(ExitCode::SUCCESS)
    }

    fn file(&self) -> &Path {
        Path::new(&self.file_and_args[0])
    }

    fn wasi(&self) -> Result<WasiCtx> {
        let mut wasi = self.grants.config()?;
        let program = self.file().file_name().map_or_else(Default::default, OsStr::to_string_lossy).into_owned();
        let args = self.file_and_args[1..].iter();
        let args = args.map(|arg| arg.to_str().with_context(|| format!("argument {arg:?}: is not UTF-8")));
        let args = args.map(|arg| arg.map(str::to_owned)).collect::<Result<Vec<_>>>()?;
        wasi.set_args(std::iter::once(program).chain(args))?;
        Ok(wasi.build())
    }

    fn take_component(&self, store: &mut Store, component: &Component) -> Result<Snapshot> {
        store.slots_mut().insert(HttpConfig::new().build());
        snapshot::take_component(store, component, |store, instance| {
            let mut calls = self.after.iter();
            calls.try_for_each(|call| call_of_component(store, component, instance, ("--after", call), &[]).map(drop))
        })
    }

    fn take_module(&self, store: &mut Store, module: &Module) -> Result<Snapshot> {
        let after: Vec<_> = self.after.iter().map(String::as_str).collect();
        snapshot::take_module(store, &linker(module, self.trap_unknown_imports)?, module, &after)
    }
}

/// Writes a file that takes the place of another of this name only when it is whole; how long it is.
fn write(path: &Path, snapshot: &Snapshot) -> Result<u64> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().context("is no name of a file")?;
    let unfinished = folder.join([OsStr::new("."), name, OsStr::new(".unfinished")].join(OsStr::new("")));
    let written = (|| {
        let mut file = File::create(&unfinished)?;
        snapshot.save(&mut file)?;
        let len = file.metadata()?.len();
        std::fs::rename(&unfinished, path)?;
        Ok(len)
    })();
    if written.is_err() {
        // Where it couldn't be made, there is nothing to remove.
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}
