//! `wasmtime/component/types/module.h`: what core modules import and export, as components see it.

use crate::wasm::engine::wasm_engine_t;
use crate::wasm::exporttype::wasm_exporttype_t;
use crate::wasm::importtype::wasm_importtype_t;
use crate::wasm::parts::wasm_externtype_t;
use ampoule_component::types::ModuleType;

/// `wasmtime_module_type_t`.
pub type wasmtime_module_type_t = ModuleType;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_module_type_clone(ty: &wasmtime_module_type_t) -> Box<wasmtime_module_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_module_type_delete(_ty: Option<Box<wasmtime_module_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_module_type_import_count(ty: &wasmtime_module_type_t, _engine: &wasm_engine_t) -> usize {
    ty.imports().len()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_module_type_import_nth(
    ty: &wasmtime_module_type_t,
    _engine: &wasm_engine_t,
    nth: usize,
) -> Option<Box<wasm_importtype_t>> {
    let (module, name, ty) = ty.imports().get(nth)?;
    Some(wasm_importtype_t::new(module, name, wasm_externtype_t::plain(ty.clone())))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_module_type_export_count(ty: &wasmtime_module_type_t, _engine: &wasm_engine_t) -> usize {
    ty.exports().len()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_module_type_export_nth(
    ty: &wasmtime_module_type_t,
    _engine: &wasm_engine_t,
    nth: usize,
) -> Option<Box<wasm_exporttype_t>> {
    let (name, ty) = ty.exports().get(nth)?;
    Some(wasm_exporttype_t::new(name, wasm_externtype_t::plain(ty.clone())))
}
