//! `wasmtime/instance.h`: modules brought to life in a store.

use crate::boundary::{TrapOut, give_or_trap, guarded, text};
use crate::error::wasmtime_error_t;
use crate::external::wasmtime_extern_t;
use crate::module::wasmtime_module_t;
use crate::store::wasmtime_context_t;
use ampoule::{Instance, InstancePre};
use std::mem::MaybeUninit;
use std::slice;

/// `wasmtime_instance_t`.
pub type wasmtime_instance_t = Instance;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_instance_new(
    store: &mut wasmtime_context_t,
    module: &wasmtime_module_t,
    imports: *const wasmtime_extern_t,
    nimports: usize,
    instance: &mut MaybeUninit<wasmtime_instance_t>,
    trap: TrapOut<'_>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes as many imports as it says.
    let imports = if nimports == 0 { &[] } else { unsafe { slice::from_raw_parts(imports, nimports) } };
    let made = guarded(|| {
        let imports = imports.iter().map(wasmtime_extern_t::get).collect::<Result<Vec<_>, _>>()?;
        Instance::new(store, &module.module, &imports)
    });
    give_or_trap(made, instance, trap)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_instance_export_get(
    store: &mut wasmtime_context_t,
    instance: &wasmtime_instance_t,
    name: *const u8,
    name_len: usize,
    item: &mut MaybeUninit<wasmtime_extern_t>,
) -> bool {
    // SAFETY: the name is lent for this call. What isn't UTF-8 is no export's name.
    let found = unsafe { text(name, name_len) }.ok().and_then(|name| instance.get_export(store, name));
    wasmtime_extern_t::give(found, item)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_instance_export_nth(
    store: &mut wasmtime_context_t,
    instance: &wasmtime_instance_t,
    index: usize,
    name: &mut MaybeUninit<*const u8>,
    name_len: &mut MaybeUninit<usize>,
    item: &mut MaybeUninit<wasmtime_extern_t>,
) -> bool {
    let Some((export, found)) = instance.export_at(store, index) else { return false };
    name.write(export.as_ptr());
    name_len.write(export.len());
    wasmtime_extern_t::give(Some(found), item)
}

/// A module with its imports looked up.
pub struct wasmtime_instance_pre_t {
    pub(crate) pre: InstancePre,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_instance_pre_delete(_instance_pre: Option<Box<wasmtime_instance_pre_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_instance_pre_instantiate(
    instance_pre: &wasmtime_instance_pre_t,
    store: &mut wasmtime_context_t,
    instance: &mut MaybeUninit<wasmtime_instance_t>,
    trap: TrapOut<'_>,
) -> Option<Box<wasmtime_error_t>> {
    give_or_trap(guarded(|| instance_pre.pre.instantiate(store)), instance, trap)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_instance_pre_module(instance_pre: &wasmtime_instance_pre_t) -> Box<wasmtime_module_t> {
    Box::new(wasmtime_module_t { module: instance_pre.pre.module().clone() })
}
