//! Commands: guests that are called once, and end.

use ampoule::{Error, Instance, Store};
use ampoule_component::{Component, ExportIndex, Linker, Val, ValRef};
use anyhow::{Context, Result};

/// What a shell reports of a program that aborted.
pub const TRAP_STATUS: u8 = 134;

/// What a command exports: of any version of 0.2, or of 0.3.
const RUN: [&str; 2] = ["wasi:cli/run@0.2.0", "wasi:cli/run@0.3.0"];

/// Runs a module: a command's `_start`; a reactor's `_initialize`; of other modules, nothing but their start function, which has run.
///
/// # Errors
/// How it ended, where it didn't by returning.
pub fn run_module(store: &mut Store, instance: &Instance) -> Result<()> {
    let entry = instance.get_func(store, "_start").or_else(|| instance.get_func(store, "_initialize"));
    if let Some(entry) = entry {
        entry.call(store, &[], &mut [])?;
    }
    Ok(())
}

/// Where a component exports what a command does, if it is one.
pub fn run_of(component: &Component) -> Option<ExportIndex> {
    let interface = RUN.iter().find_map(|name| component.get_export_index(None, name))?;
    component.get_export_index(Some(&interface), "run")
}

/// Runs a component, with what the linker has for it. False where it says that it failed.
///
/// # Errors
/// It is no command; or how it ended, where it didn't by returning.
pub fn run_component(store: &mut Store, linker: &Linker, component: &Component) -> Result<bool> {
    // Before anything is made.
    let run = exported_run(component)?;
    let instance = linker.instantiate(store, component)?;
    call_run(store, &instance, &run)
}

/// The same of an instance that is there already.
///
/// # Errors
/// See [`run_component`].
pub fn run_instance(store: &mut Store, component: &Component, instance: &ampoule_component::Instance) -> Result<bool> {
    call_run(store, instance, &exported_run(component)?)
}

fn exported_run(component: &Component) -> Result<ExportIndex> {
    run_of(component).with_context(|| format!("the component exports no `{}`", RUN.join("` or `")))
}

fn call_run(store: &mut Store, instance: &ampoule_component::Instance, run: &ExportIndex) -> Result<bool> {
    let run = instance.get_func_at(store, run)?.context("`run` is no function")?;
    let mut results = [Val::default()];
    run.call(store, &[], &mut results)?;
    // What the guest has begun and not waited for.
    ampoule_component::finish_tasks(store)?;
    Ok(matches!(results[0].get(), ValRef::Ok(_)))
}

/// The status to exit with after a guest that ended so; `report` is given what there is to say of it.
///
/// # Errors
/// The error given, where it is not the guest's.
pub fn status_of(name: &str, error: anyhow::Error, report: impl Fn(&str)) -> Result<u8> {
    let Some(of_engine) = error.downcast_ref::<Error>() else { return Err(error.context(name.to_owned())) };
    if let Some(status) = of_engine.exit_status() {
        return Ok(u8::try_from(status).unwrap_or(1));
    }
    report(&format!("error: {name}: {of_engine}"));
    if let Some(backtrace) = of_engine.backtrace() {
        report(&backtrace.to_string());
    }
    Ok(if of_engine.trap_code().is_some() { TRAP_STATUS } else { 1 })
}
