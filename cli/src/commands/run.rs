//! `ampoule run`: runs a module or a component, by default as a WASI command.

use crate::module_file::{Compilation, ModuleFile, Proposals};
use crate::terminal::{print_lines, report};
use crate::units::{parse_bytes, parse_duration};
use crate::wave;
use ampoule::{Engine, Func, Instance, Linker, Module, Store, Val, ValType};
use ampoule_component::Component;
use ampoule_runner::{command, component_linker};
use ampoule_wasi::host::http::HttpConfig;
use ampoule_wasi::{DirPerms, FilePerms, WasiConfig};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs a module or component. It reaches standard input and output, and of the rest what is given to it here.
///
/// What stands behind FILE belongs to the guest, options too.
#[derive(clap::Args)]
#[command(override_usage = "ampoule run [OPTIONS] <FILE> [ARGS]...")]
pub struct Args {
    /// Let the guest reach the directory HOST under the name GUEST (by default the same). May be repeated.
    #[arg(long, value_name = "HOST::GUEST")]
    dir: Vec<String>,
    /// Set an environment variable of the guest's; `NAME` alone takes the host's value. May be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Let the guest look up, connect to and send to HOST: a name (`*.` and a name for all below it), an address, or a network such as
    /// `10.0.0.0/8`; at PORT, or from `FIRST-LAST`. IPv6 addresses in front of a port are in brackets. May be repeated.
    #[arg(long, value_name = "HOST[:PORT]")]
    allow_net: Vec<String>,
    /// Let the guest use TCP and UDP sockets without restriction, listen for connections, and look up any name.
    #[arg(long)]
    tcp: bool,
    /// Stop the guest after so many instructions.
    #[arg(long, value_name = "UNITS")]
    fuel: Option<u64>,
    /// Stop the guest after this time, such as 500ms, 2s or 1m.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// The most bytes that each memory may have, such as 256MiB.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    max_memory: Option<u64>,
    #[command(flatten)]
    compilation: Compilation,
    #[command(flatten)]
    proposals: Proposals,
    /// Let a component send HTTP requests, with `--allow-net` only to what that lists.
    #[arg(long)]
    http: bool,
    /// Call this exported function with ARGS, and print its results. Of a component: a call such as `f(1, "x", {a: 2})`, or a
    /// function and its ARGS in the same notation (WAVE); with `INSTANCE#` before it, a function of an exported instance.
    #[arg(long, value_name = "FUNCTION")]
    invoke: Option<String>,
    /// A wasm or wat file, or one that `ampoule compile` made; and the guest's arguments.
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
        let component = file.component(&engine)?;
        let module = if component.is_none() { Some(file.load(&engine)?) } else { None };

        let mut store = Store::new(&engine);
        store.limits_mut().memory_size = self.max_memory;
        if let Some(fuel) = self.fuel {
            store.set_fuel(fuel)?;
        }
        let deadline = self.timeout.map(|timeout| Instant::now().checked_add(timeout));
        let wasi = self.wasi(deadline.flatten())?;
        store.slots_mut().insert(wasi.build());
        if let Some(timeout) = self.timeout {
            store.set_epoch_deadline(1);
            // Not waited for: it ends with the process.
            std::thread::spawn(move || {
                std::thread::sleep(timeout);
                engine.increment_epoch();
            });
        }
        let result = match (component, module) {
            (Some(component), _) => self.run_component(&mut store, &component),
            (_, Some(module)) => self.run_module(&mut store, &module),
            _ => unreachable!("it is the one or the other"),
        };
        let name = self.file().display().to_string();
        result.or_else(|error| Ok(command::status_of(&name, error, report)?.into()))
    }

    fn run_module(&self, store: &mut Store, module: &Module) -> Result<ExitCode> {
        let mut linker = Linker::new(store.engine());
        ampoule_wasi::p1::add_to_linker(&mut linker)?;
        let instance = linker.instantiate(store, module)?;
        match &self.invoke {
            Some(name) => invoke(store, &instance, name, &self.args()?)?,
            None => command::run_module(store, &instance)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn run_component(&self, store: &mut Store, component: &Component) -> Result<ExitCode> {
        let linker = component_linker(store.engine())?;
        let mut http = HttpConfig::new();
        http.allow_outgoing(self.http);
        store.slots_mut().insert(http.build());
        if let Some(call) = &self.invoke {
            let instance = linker.instantiate(store, component)?;
            return invoke_of_component(store, component, &instance, call, &self.args()?);
        }
        let succeeded = command::run_component(store, &linker, component)?;
        Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn file(&self) -> &Path {
        Path::new(&self.file_and_args[0])
    }

    fn args(&self) -> Result<Vec<&str>> {
        let args = self.file_and_args[1..].iter();
        args.map(|arg| arg.to_str().with_context(|| format!("argument {arg:?}: is not UTF-8"))).collect()
    }

    fn wasi(&self, deadline: Option<Instant>) -> Result<WasiConfig> {
        let mut wasi = WasiConfig::new();
        wasi.inherit_stdin();
        wasi.inherit_stdout();
        wasi.inherit_stderr();
        // The directory of the host is nothing that the guest should know.
        let program = self.file().file_name().map_or_else(Default::default, OsStr::to_string_lossy);
        let args = if self.invoke.is_some() { vec![] } else { self.args()? };
        wasi.set_args(std::iter::once(&*program).chain(args).map(str::to_owned))?;
        wasi.set_env(self.env.iter().map(|text| variable(text)).collect::<Result<Vec<_>>>()?)?;
        for dir in &self.dir {
            let (host, guest) = dir.split_once("::").unwrap_or((dir, dir));
            ensure!(!host.is_empty() && !guest.is_empty(), "--dir {dir}: expected HOST::GUEST");
            let preopened = wasi.preopen_dir(Path::new(host), guest, DirPerms::ALL, FilePerms::ALL);
            preopened.with_context(|| format!("--dir {dir}"))?;
        }
        for rule in &self.allow_net {
            wasi.allow_net(rule).with_context(|| format!("--allow-net {rule}"))?;
        }
        if self.tcp {
            wasi.inherit_network();
            wasi.allow_ip_name_lookup(true);
        }
        if let Some(deadline) = deadline {
            wasi.interrupt_check(Box::new(move || Instant::now() >= deadline));
        }
        Ok(wasi)
    }
}

pub(super) fn variable(text: &str) -> Result<(String, String)> {
    if let Some((name, value)) = text.split_once('=') {
        ensure!(!name.is_empty(), "--env {text}: expected NAME=VALUE");
        return Ok((name.to_string(), value.to_string()));
    }
    let value = std::env::var(text).map_err(|error| anyhow!("--env {text}: {error}"))?;
    Ok((text.to_string(), value))
}

fn invoke(store: &mut Store, instance: &Instance, name: &str, args: &[&str]) -> Result<()> {
    if let Some(initialize) = instance.get_func(store, "_initialize") {
        initialize.call(store, &[], &mut [])?;
    }
    let func: Func =
        instance.get_func(store, name).with_context(|| format!("the module exports no function `{name}`"))?;
    let ty = func.ty(store)?;
    let expected = ty.params().len();
    ensure!(args.len() == expected, "`{name}` takes {expected} arguments, {} given", args.len());
    let args = ty.params().iter().zip(args).map(|(&ty, text)| parse_value(ty, text)).collect::<Result<Vec<_>>>()?;
    let mut results: Vec<Val> = ty.results().iter().map(|&ty| Val::default_for(ty)).collect();
    func.call(store, &args, &mut results)?;
    print_lines(results.iter().map(show_value))
}

/// Calls a function of a component: `call` is a call, or a function's name, whose arguments are `args`.
fn invoke_of_component(
    store: &mut Store,
    component: &Component,
    instance: &ampoule_component::Instance,
    call: &str,
    args: &[&str],
) -> Result<ExitCode> {
    // The name of an instance is no part of the notation.
    let path = call[..call.find('(').unwrap_or(call.len())].trim_end();
    let (outer, inner) = path.rfind('#').map_or((None, call), |at| (Some(&call[..at]), &call[at + 1..]));
    let whole = inner.contains('(').then(|| wave::Call::parse(inner)).transpose();
    let whole = whole.with_context(|| format!("--invoke {call}"))?;
    // A call that is written out takes nothing else.
    ensure!(whole.is_none() || args.is_empty(), "--invoke {call}: has its arguments; none may stand behind the file");
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
        Some(whole) => whole.args(types).with_context(|| format!("--invoke {call}"))?,
        None => {
            let expected = types.len();
            ensure!(args.len() == expected, "`{name}` takes {expected} arguments, {} given", args.len());
            types.zip(args).map(|(ty, text)| wave::parse(ty, text)).collect::<Result<Vec<_>>>()?
        }
    };
    let mut results = vec![ampoule_component::Val::default(); usize::from(ty.result().is_some())];
    func.call(store, &args, &mut results)?;
    print_lines(results.iter().map(wave::show))?;
    Ok(ExitCode::SUCCESS)
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
