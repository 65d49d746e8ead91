//! Guests that are started once: what is called before a snapshot of them is taken.

use crate::component_linker;
use ampoule::{Linker, Module, Snapshot, Store, Val};
use ampoule_component::{Component, ComponentSnapshot, Instance};
use ampoule_wasi::{WasiCtx, WasiResources, WasiState};
use anyhow::{Context, Result, ensure};

/// What is called of a module, unless something else is named: what tools for pre-initialization call.
const INITIALIZERS: [&str; 2] = ["wizer.initialize", "wizer-initialize"];

/// A module's snapshot: after its `_initialize`, where it has one, and after these functions, or [`INITIALIZERS`] where there are none.
///
/// # Errors
/// Where the guest fails, or has what can't be kept.
pub fn take_module(store: &mut Store, linker: &Linker, module: &Module, after: &[&str]) -> Result<Snapshot> {
    let instance = linker.instantiate(store, module)?;
    for name in calls(module, after) {
        let func = instance.get_func(store, name).with_context(|| format!("exports no function `{name}`"))?;
        let ty = func.ty(store)?;
        ensure!(ty.params().is_empty(), "`{name}` takes arguments");
        let mut results: Vec<_> = ty.results().iter().map(|&ty| Val::default_for(ty)).collect();
        match func.call(store, &[], &mut results) {
            // A guest that has ended itself successfully is as good as one that has returned.
            Err(error) if error.exit_status() == Some(0) => (),
            result => result?,
        }
    }
    with_wasi(store, Snapshot::take(store, &[instance], &mut ())?)
}

/// A component's, after what `start` does with its instance.
///
/// # Errors
/// Where the guest fails, or has what can't be kept.
pub fn take_component(
    store: &mut Store,
    component: &Component,
    start: impl FnOnce(&mut Store, &Instance) -> Result<()>,
) -> Result<Snapshot> {
    let instance = component_linker(store.engine())?.instantiate(store, component)?;
    start(store, &instance)?;
    let snapshot = ComponentSnapshot::take(store, component, instance, &mut WasiResources)?.to_core();
    with_wasi(store, snapshot)
}

/// What is called of a module, in this order.
fn calls<'a>(module: &Module, after: &[&'a str]) -> Vec<&'a str> {
    let exports = |name: &&str| module.export_item(name).is_some();
    let initialize = Some("_initialize").filter(exports).filter(|name| !after.contains(name));
    let by_default = INITIALIZERS.into_iter().filter(exports).filter(|_| after.is_empty()).take(1);
    initialize.into_iter().chain(after.iter().copied()).chain(by_default).collect()
}

/// With what the guest has of WASI.
fn with_wasi(store: &Store, mut snapshot: Snapshot) -> Result<Snapshot> {
    if let Some(wasi) = store.slots().get::<WasiCtx>() {
        WasiState::of(wasi)?.attach_to(&mut snapshot);
    }
    Ok(snapshot)
}
