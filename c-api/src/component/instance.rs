//! `wasmtime/component/instance.h`: components brought to life in a store.

use crate::boundary::{expect, text};
use crate::component::component::wasmtime_component_export_index_t;
use crate::component::func::wasmtime_component_func_t;
use crate::store::wasmtime_context_t;
use ampoule_component::Instance;
use std::mem::MaybeUninit;

/// `wasmtime_component_instance_t`.
pub type wasmtime_component_instance_t = Instance;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_instance_get_export_index(
    instance: &wasmtime_component_instance_t,
    context: &mut wasmtime_context_t,
    instance_export_index: Option<&wasmtime_component_export_index_t>,
    name: *const u8,
    name_len: usize,
) -> Option<Box<wasmtime_component_export_index_t>> {
    // SAFETY: the name is lent for this call. Nothing goes by a name that isn't UTF-8.
    let name = unsafe { text(name, name_len) }.ok()?;
    let found = instance.get_export_index(context, instance_export_index, name);
    expect("wasmtime_component_instance_get_export_index", found).map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_instance_get_func(
    instance: &wasmtime_component_instance_t,
    context: &mut wasmtime_context_t,
    export_index: &wasmtime_component_export_index_t,
    func_out: &mut MaybeUninit<wasmtime_component_func_t>,
) -> bool {
    let found = expect("wasmtime_component_instance_get_func", instance.get_func_at(context, export_index));
    found.map(|func| func_out.write(func.into())).is_some()
}
