//! `ampoule run`: runs a module or a component, by default as a WASI command.

use crate::grants::Grants;
use crate::limits::Limits;
use crate::module_file::{Compilation, ModuleFile, Proposals};
use crate::terminal::{print_lines, report};
use crate::units::parse_duration;
use crate::wave;
use ampoule::{Engine, ExternType, Func, Instance, Linker, Module, Snapshot, Store, Val, ValType};
use ampoule_component::{Component, ComponentSnapshot};
use ampoule_runner::{command, component_linker};
use ampoule_wasi::host::http::HttpConfig;
use ampoule_wasi::{WasiCtx, WasiResources, WasiState};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs a module or component, or goes on from a snapshot. It reaches standard input and output, and of the rest what is given to it here.
///
/// What stands behind FILE belongs to the guest, options too.
#[derive(clap::Args)]
#[command(override_usage = "ampoule run [OPTIONS] <FILE> [ARGS]...")]
pub struct Args {
    #[command(flatten)]
    grants: Grants,
    /// Stop the guest after so many instructions.
    #[arg(long, value_name = "UNITS")]
    fuel: Option<u64>,
    /// Stop the guest after this time, such as 500ms, 2s or 1m.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    compilation: Compilation,
    #[command(flatten)]
    proposals: Proposals,
    /// Let a component send HTTP requests, with `--allow-net` only to what that lists.
    #[arg(long)]
    http: bool,
    /// Let imports of a module that nobody provides trap when they are called.
    #[arg(long)]
    trap_unknown_imports: bool,
    /// FILE must be a snapshot, made by `ampoule snapshot`: then the guest goes on from there. Without ARGS or `--env` it has those that it had.
    #[arg(long)]
    snapshot: bool,
    /// Call this exported function with ARGS, and print its results; of a module, a function without parameters leaves them to the program.
    /// Of a component: a call such as `f(1, "x", {a: 2})`, or a
    /// function and its ARGS in the same notation (WAVE); with `INSTANCE#` before it, a function of an exported instance.
    #[arg(long, value_name = "FUNCTION")]
    invoke: Option<String>,
    /// A wasm or wat file, or one that `ampoule compile` or `ampoule snapshot` made; and the guest's arguments.
    // One list, since its first value ends the options of our own; with two, those before the second value would be ours.
    #[arg(value_names = ["FILE", "ARGS"], num_args = 1.., required = true, trailing_var_arg = true)]
    file_and_args: Vec<OsString>,
}

impl Args {
    /// Runs the guest to its end.
    ///
    /// # Errors
    /// Where the guest could not be started, or the host failed. How the guest ended is the exit status.
    pub fn run(self) -> Result<ExitCode> {
        let mut config = self.proposals.config();
        config.consume_fuel(self.fuel.is_some()).epoch_interruption(self.timeout.is_some());
        config.shared_memory = true;
        self.compilation.choose(&mut config);
        let engine = Engine::new(&config)?;
        let file = ModuleFile::read(self.file())?;
        let guest = self.guest(&file, &engine)?;

        let mut store = Store::new(&engine);
        self.limits.set(&mut store);
        if let Some(fuel) = self.fuel {
            store.set_fuel(fuel)?;
        }
        let deadline = self.timeout.map(|timeout| Instant::now().checked_add(timeout));
        let wasi = self.wasi(&guest, deadline.flatten())?;
        store.slots_mut().insert(wasi);
        if let Some(timeout) = self.timeout {
            store.set_epoch_deadline(1);
            // Not waited for: it ends with the process.
            std::thread::spawn(move || {
                std::thread::sleep(timeout);
                engine.increment_epoch();
            });
        }
        let result = match &guest {
            Guest::Component(component) => self.run_component(&mut store, component),
            Guest::Module(module) => self.run_module(&mut store, module),
            Guest::Snapshot(snapshot, _) => self.run_snapshot(&mut store, snapshot),
            Guest::ComponentSnapshot(snapshot, _) => self.run_component_snapshot(&mut store, snapshot),
        };
        let name = self.file().display().to_string();
        result.or_else(|error| Ok(command::status_of(&name, error, report)?.into()))
    }

    fn guest(&self, file: &ModuleFile, engine: &Engine) -> Result<Guest> {
        if let Some(snapshot) = file.snapshot(engine)? {
            let wasi = file.named(WasiState::of_snapshot(&snapshot))?;
            if let Some(snapshot) = file.named(ComponentSnapshot::of(snapshot.clone()))? {
                return Ok(Guest::ComponentSnapshot(snapshot, wasi));
            }
            ensure!(snapshot.len() == 1, "{}: is a snapshot of {} instances", self.file().display(), snapshot.len());
            return Ok(Guest::Snapshot(snapshot, wasi));
        }
        ensure!(!self.snapshot, "{}: is no snapshot", self.file().display());
        Ok(match file.component(engine)? {
            Some(component) => Guest::Component(component),
            None => Guest::Module(file.load(engine)?),
        })
    }

    fn run_module(&self, store: &mut Store, module: &Module) -> Result<ExitCode> {
        let linker = linker(module, self.trap_unknown_imports)?;
        let instance = linker.instantiate(store, module)?;
        match &self.invoke {
            Some(name) => {
                if let Some(initialize) = instance.get_func(store, "_initialize") {
                    initialize.call(store, &[], &mut [])?;
                }
                invoke(store, &instance, name, &self.args()?)?;
            }
            None => command::run_module(store, &instance)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What initializes the guest has been called before the snapshot was taken.
    fn run_snapshot(&self, store: &mut Store, snapshot: &Snapshot) -> Result<ExitCode> {
        let linker = linker(&snapshot.modules()[0], self.trap_unknown_imports)?;
        let instance = snapshot.instantiate(store, &linker, &mut ())?[0];
        match &self.invoke {
            Some(name) => invoke(store, &instance, name, &self.args()?)?,
            None => {
                let start = instance.get_func(store, "_start");
                let start = start.context("exports no `_start`; `--invoke` says what is to be called")?;
                start.call(store, &[], &mut [])?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn run_component(&self, store: &mut Store, component: &Component) -> Result<ExitCode> {
        let linker = component_linker(store.engine())?;
        self.give_http(store);
        if self.invoke.is_some() {
            let instance = linker.instantiate(store, component)?;
            return self.run_instance(store, component, &instance);
        }
        let succeeded = command::run_component(store, &linker, component)?;
        Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn run_component_snapshot(&self, store: &mut Store, snapshot: &ComponentSnapshot) -> Result<ExitCode> {
        let component = snapshot.component();
        let found = component_linker(store.engine())?.instantiate_pre(component)?;
        self.give_http(store);
        let instance = snapshot.instantiate(store, &found, &mut WasiResources)?;
        self.run_instance(store, component, &instance)
    }

    fn run_instance(
        &self,
        store: &mut Store,
        component: &Component,
        instance: &ampoule_component::Instance,
    ) -> Result<ExitCode> {
        if let Some(call) = &self.invoke {
            let results = call_of_component(store, component, instance, ("--invoke", call), &self.args()?)?;
            print_lines(results.iter().map(wave::show))?;
            return Ok(ExitCode::SUCCESS);
        }
        let succeeded = command::run_instance(store, component, instance)?;
        Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn give_http(&self, store: &mut Store) {
        let mut http = HttpConfig::new();
        http.allow_outgoing(self.http);
        store.slots_mut().insert(http.build());
    }

    fn file(&self) -> &Path {
        Path::new(&self.file_and_args[0])
    }

    fn args(&self) -> Result<Vec<&str>> {
        let args = self.file_and_args[1..].iter();
        args.map(|arg| arg.to_str().with_context(|| format!("argument {arg:?}: is not UTF-8"))).collect()
    }

    fn wasi(&self, guest: &Guest, deadline: Option<Instant>) -> Result<WasiCtx> {
        let mut wasi = self.grants.config()?;
        if let Some(deadline) = deadline {
            wasi.interrupt_check(Box::new(move || Instant::now() >= deadline));
        }
        let args = if self.are_of_program(guest) { self.args()? } else { vec![] };
        let kept = match guest {
            Guest::Snapshot(_, kept) | Guest::ComponentSnapshot(_, kept) => kept.as_ref(),
            Guest::Component(_) | Guest::Module(_) => None,
        };
        // The directory of the host is nothing that the guest should know.
        let program = || self.file().file_name().map_or_else(Default::default, OsStr::to_string_lossy);
        let program = kept.and_then(|kept| kept.args().first().cloned()).unwrap_or_else(|| program().into_owned());
        if kept.is_none() || !args.is_empty() {
            wasi.set_args(std::iter::once(program).chain(args.into_iter().map(str::to_owned)))?;
        }
        Ok(match kept {
            Some(kept) => wasi.build_from(kept).with_context(|| self.file().display().to_string())?,
            None => wasi.build(),
        })
    }

    /// Whether what stands behind the file is for the program: it is unless a function is called that takes arguments.
    fn are_of_program(&self, guest: &Guest) -> bool {
        let Some(name) = &self.invoke else { return true };
        let module = match guest {
            Guest::Component(_) | Guest::ComponentSnapshot(..) => return false,
            Guest::Module(module) => module,
            Guest::Snapshot(snapshot, _) => &snapshot.modules()[0],
        };
        let ty = module.export_item(name).map(|item| module.item_type(item));
        matches!(ty, Some(ExternType::Func(ty)) if ty.params().is_empty())
    }
}

/// What a file is.
enum Guest {
    Component(Component),
    Module(Module),
    /// With what its guest had of WASI.
    Snapshot(Snapshot, Option<WasiState>),
    ComponentSnapshot(ComponentSnapshot, Option<WasiState>),
}

/// What a module is linked with; what it imports and nobody provides may trap when it is called.
pub(super) fn linker(module: &Module, trap_unknown_imports: bool) -> Result<Linker> {
    let mut linker = Linker::new(module.engine());
    ampoule_wasi::p1::add_imported_to_linker(&mut linker, module)?;
    if trap_unknown_imports {
        linker.define_unknown_imports_as_traps(module)?;
    }
    Ok(linker)
}

fn invoke(store: &mut Store, instance: &Instance, name: &str, args: &[&str]) -> Result<()> {
    let func: Func =
        instance.get_func(store, name).with_context(|| format!("the module exports no function `{name}`"))?;
    let ty = func.ty(store)?;
    let expected = ty.params().len();
    // Those of a program are not the function's.
    let args = if expected == 0 { &[] } else { args };
    ensure!(args.len() == expected, "`{name}` takes {expected} arguments, {} given", args.len());
    let args = ty.params().iter().zip(args).map(|(&ty, text)| parse_value(ty, text)).collect::<Result<Vec<_>>>()?;
    let mut results: Vec<Val> = ty.results().iter().map(|&ty| Val::default_for(ty)).collect();
    func.call(store, &args, &mut results)?;
    print_lines(results.iter().map(show_value))
}

/// Calls a function of a component, and gives its results: `call`, which `option` was given, is a call, or a function's name, whose arguments
/// are `args`.
pub(super) fn call_of_component(
    store: &mut Store,
    component: &Component,
    instance: &ampoule_component::Instance,
    (option, call): (&str, &str),
    args: &[&str],
) -> Result<Vec<ampoule_component::Val>> {
    // The name of an instance is no part of the notation.
    let path = call[..call.find('(').unwrap_or(call.len())].trim_end();
    let (outer, inner) = path.rfind('#').map_or((None, call), |at| (Some(&call[..at]), &call[at + 1..]));
    let whole = inner.contains('(').then(|| wave::Call::parse(inner)).transpose();
    let whole = whole.with_context(|| format!("{option} {call}"))?;
    // A call that is written out takes nothing else.
    ensure!(whole.is_none() || args.is_empty(), "{option} {call}: has its arguments; none may stand behind the file");
    let name = whole.as_ref().map_or(inner, |call| call.name());
    let found = match outer {
        None => component.get_export_index(None, name),
        Some(outer) => {
            component.get_export_index(None, outer).and_then(|outer| component.get_export_index(Some(&outer), name))
        }
    };
    let func = found.map(|index| instance.get_func_at(store, &index)).transpose()?.flatten();
    let func = func.with_context(|| format!("the component exports no function `{path}`"))?;
    let ty = func.ty(store)?;
    let types = ty.params().iter().map(|(_, ty)| ty);
    let args = match &whole {
        Some(whole) => whole.args(types).with_context(|| format!("{option} {call}"))?,
        None => {
            let expected = types.len();
            ensure!(args.len() == expected, "`{name}` takes {expected} arguments, {} given", args.len());
            types.zip(args).map(|(ty, text)| wave::parse(ty, text)).collect::<Result<Vec<_>>>()?
        }
    };
    let mut results = vec![ampoule_component::Val::default(); usize::from(ty.result().is_some())];
    func.call(store, &args, &mut results)?;
    Ok(results)
}

/// A number as wasm's text has it: decimal, or hexadecimal after `0x`; integers in the signed or unsigned range.
fn parse_value(ty: ValType, text: &str) -> Result<Val> {
    let wrong = || anyhow!("`{text}` is not a valid {ty}");
    let integer = |bits: u32| -> Result<i64> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let magnitude = match digits.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => digits.parse(),
        };
        let magnitude = i128::from(magnitude.map_err(|_| wrong())?);
        let value = if negative { -magnitude } else { magnitude };
        ensure!(-(1i128 << (bits - 1)) <= value && value < 1i128 << bits, "{}", wrong());
        Ok(value as i64)
    };
    Ok(match ty {
        ValType::I32 => Val::I32(integer(32)? as i32),
        ValType::I64 => Val::I64(integer(64)?),
        ValType::F32 => Val::F32(text.parse::<f32>().map_err(|_| wrong())?.to_bits()),
        ValType::F64 => Val::F64(text.parse::<f64>().map_err(|_| wrong())?.to_bits()),
        ValType::V128 | ValType::Ref(_) => bail!("arguments of type {ty} can't be given on a command line"),
    })
}

fn show_value(value: &Val) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(bits) => f32::from_bits(*bits).to_string(),
        Val::F64(bits) => f64::from_bits(*bits).to_string(),
        Val::V128(value) => format!("{value:#034x}"),
        Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(None) | Val::ExnRef(None) => "null".to_string(),
        Val::FuncRef(Some(_)) => "<funcref>".to_string(),
        Val::ExternRef(Some(_)) => "<externref>".to_string(),
        Val::AnyRef(Some(value)) => match value.as_i31() {
            Some(value) => format!("<i31ref {}>", value.get_s()),
            None => "<anyref>".to_string(),
        },
        Val::ExnRef(Some(_)) => "<exnref>".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_may_be_signed_or_unsigned() {
        let i32 = |text| parse_value(ValType::I32, text).ok();
        assert_eq!(i32("-1"), Some(Val::I32(-1)));
        assert_eq!(i32("4294967295"), Some(Val::I32(-1)));
        assert_eq!(i32("0x80000000"), Some(Val::I32(i32::MIN)));
        assert_eq!(i32("-2147483648"), Some(Val::I32(i32::MIN)));
        assert_eq!([i32("4294967296"), i32("-2147483649"), i32(""), i32("1.0"), i32("--1")], [const { None }; 5]);
        let i64 = |text| parse_value(ValType::I64, text).ok();
        assert_eq!(i64("18446744073709551615"), Some(Val::I64(-1)));
        assert_eq!([i64("18446744073709551616"), i64("-9223372036854775809")], [const { None }; 2]);
    }
}
