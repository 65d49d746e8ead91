//! `wasmtime/component/types/instance.h`: what instances export.

use super::component::{get, give_nth, wasmtime_component_item_t};
use crate::wasm::engine::wasm_engine_t;
use ampoule_component::types::InstanceType;
use std::mem::MaybeUninit;

/// `wasmtime_component_instance_type_t`.
pub type wasmtime_component_instance_type_t = InstanceType;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_instance_type_clone(
    ty: &wasmtime_component_instance_type_t,
) -> Box<wasmtime_component_instance_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_instance_type_delete(_ty: Option<Box<wasmtime_component_instance_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_instance_type_export_count(
    ty: &wasmtime_component_instance_type_t,
    _engine: &wasm_engine_t,
) -> usize {
    ty.exports().len()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_instance_type_export_get(
    ty: &wasmtime_component_instance_type_t,
    _engine: &wasm_engine_t,
    name: *const u8,
    name_len: usize,
    ret: &mut MaybeUninit<wasmtime_component_item_t>,
) -> bool {
    // SAFETY: the name is lent for this call.
    unsafe { get(ty.exports(), name, name_len, ret) }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_instance_type_export_nth(
    ty: &wasmtime_component_instance_type_t,
    _engine: &wasm_engine_t,
    nth: usize,
    name_ret: &mut MaybeUninit<*const u8>,
    name_len_ret: &mut MaybeUninit<usize>,
    type_ret: &mut MaybeUninit<wasmtime_component_item_t>,
) -> bool {
    give_nth(ty.exports(), nth, (name_ret, name_len_ret), type_ret)
}
