//! `wasmtime/component/component.h`: validated components.

use crate::boundary::{bytes, give, guarded, path, text};
use crate::error::wasmtime_error_t;
#[cfg(feature = "compiler")]
use crate::wasm::bytes::wasm_byte_vec_t;
use crate::wasm::engine::wasm_engine_t;
use ampoule_component::types::ComponentType;
use ampoule_component::{Component, ExportIndex};
use std::ffi::c_char;
use std::mem::MaybeUninit;

/// A handle to a component, one of possibly many to the same.
#[derive(Clone)]
pub struct wasmtime_component_t {
    pub(crate) component: Component,
}

#[cfg(feature = "compiler")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_new(
    engine: &wasm_engine_t,
    buf: *const u8,
    len: usize,
    component_out: &mut MaybeUninit<Box<wasmtime_component_t>>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the bytes are lent for this call.
    let buf = unsafe { bytes(buf, len) };
    give(guarded(|| Ok(boxed(Component::new(&engine.engine, buf)?))), component_out)
}

#[cfg(feature = "compiler")]
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_serialize(
    component: &wasmtime_component_t,
    ret: &mut MaybeUninit<wasm_byte_vec_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(guarded(|| component.component.serialize()).map(Into::into), ret)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_deserialize(
    engine: &wasm_engine_t,
    buf: *const u8,
    len: usize,
    component_out: &mut MaybeUninit<Box<wasmtime_component_t>>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the bytes are lent for this call, and the header makes the caller answer for their origin.
    let made = guarded(|| Ok(boxed(unsafe { Component::deserialize(&engine.engine, bytes(buf, len)) }?)));
    give(made, component_out)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_deserialize_file(
    engine: &wasm_engine_t,
    file: *const c_char,
    component_out: &mut MaybeUninit<Box<wasmtime_component_t>>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the path ends in a NUL, and the header makes the caller answer for the file.
    let made = guarded(|| Ok(boxed(unsafe { Component::deserialize_file(&engine.engine, path(file)) }?)));
    give(made, component_out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_clone(component: &wasmtime_component_t) -> Box<wasmtime_component_t> {
    Box::new(component.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_type(component: &wasmtime_component_t) -> Box<ComponentType> {
    Box::new(ComponentType::clone(component.component.ty()))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_delete(_component: Option<Box<wasmtime_component_t>>) {}

/// `wasmtime_component_export_index_t`.
pub type wasmtime_component_export_index_t = ExportIndex;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_get_export_index(
    component: &wasmtime_component_t,
    instance_export_index: Option<&wasmtime_component_export_index_t>,
    name: *const u8,
    name_len: usize,
) -> Option<Box<wasmtime_component_export_index_t>> {
    // SAFETY: the name is lent for this call. Nothing goes by a name that isn't UTF-8.
    let name = unsafe { text(name, name_len) }.ok()?;
    component.component.get_export_index(instance_export_index, name).map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_export_index_clone(
    index: &wasmtime_component_export_index_t,
) -> Box<wasmtime_component_export_index_t> {
    Box::new(index.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_export_index_delete(
    _export_index: Option<Box<wasmtime_component_export_index_t>>,
) {
}

fn boxed(component: Component) -> Box<wasmtime_component_t> {
    Box::new(wasmtime_component_t { component })
}
