//! `wasmtime/module.h`: validated code.

#[cfg(feature = "compiler")]
use crate::boundary::give_unit;
use crate::boundary::{bytes, give, guarded, path};
use crate::error::wasmtime_error_t;
use crate::own::Own;
#[cfg(feature = "compiler")]
use crate::wasm::bytes::wasm_byte_vec_t;
use crate::wasm::engine::wasm_engine_t;
use crate::wasm::exporttype::{wasm_exporttype_t, wasm_exporttype_vec_t};
use crate::wasm::importtype::{wasm_importtype_t, wasm_importtype_vec_t};
use crate::wasm::parts::wasm_externtype_t;
use ampoule::{ExternType, Module};
use ampoule_core::module::{Export, Import};
use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;

/// A handle to a module, one of possibly many to the same.
#[derive(Clone)]
pub struct wasmtime_module_t {
    pub(crate) module: Module,
}

#[cfg(feature = "compiler")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_module_new(
    engine: &wasm_engine_t,
    wasm: *const u8,
    wasm_len: usize,
    ret: &mut MaybeUninit<Box<wasmtime_module_t>>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the bytes are lent for this call.
    let wasm = unsafe { bytes(wasm, wasm_len) };
    give(guarded(|| Ok(boxed(Module::from_binary(&engine.engine, wasm)?))), ret)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_module_delete(_m: Option<Box<wasmtime_module_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_module_clone(m: &wasmtime_module_t) -> Box<wasmtime_module_t> {
    Box::new(m.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_module_imports(module: &wasmtime_module_t, out: &mut MaybeUninit<wasm_importtype_vec_t>) {
    imports_of(&module.module).give(out);
}

/// The imports as C sees them.
pub(crate) fn imports_of(module: &Module) -> wasm_importtype_vec_t {
    let import = |(import, ty): (&Import, ExternType)| {
        let ty = wasm_externtype_t::of(module.engine(), ty, module.declared_type(import.item));
        wasm_importtype_t::new(&import.module, &import.name, ty)
    };
    module.imports().map(import).map(Some).collect()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_module_exports(module: &wasmtime_module_t, out: &mut MaybeUninit<wasm_exporttype_vec_t>) {
    exports_of(&module.module).give(out);
}

/// The exports as C sees them.
pub(crate) fn exports_of(module: &Module) -> wasm_exporttype_vec_t {
    let export = |(export, ty): (&Export, ExternType)| {
        let ty = wasm_externtype_t::of(module.engine(), ty, module.declared_type(export.item));
        wasm_exporttype_t::new(&export.name, ty)
    };
    module.exports().map(export).map(Some).collect()
}

#[cfg(feature = "compiler")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_module_validate(
    engine: &wasm_engine_t,
    wasm: *const u8,
    wasm_len: usize,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the bytes are lent for this call.
    let wasm = unsafe { bytes(wasm, wasm_len) };
    give_unit(guarded(|| Module::validate(&engine.engine, wasm)))
}

#[cfg(feature = "compiler")]
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_module_serialize(
    module: &wasmtime_module_t,
    ret: &mut MaybeUninit<wasm_byte_vec_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(guarded(|| module.module.serialize()).map(Into::into), ret)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_module_deserialize(
    engine: &wasm_engine_t,
    data: *const u8,
    data_len: usize,
    ret: &mut MaybeUninit<Box<wasmtime_module_t>>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the bytes are lent for this call, and the header makes the caller answer for their origin.
    give(guarded(|| Ok(boxed(unsafe { Module::deserialize(&engine.engine, bytes(data, data_len)) }?))), ret)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_module_deserialize_file(
    engine: &wasm_engine_t,
    file: *const c_char,
    ret: &mut MaybeUninit<Box<wasmtime_module_t>>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the path ends in a NUL, and the header makes the caller answer for the file.
    give(guarded(|| Ok(boxed(unsafe { Module::deserialize_file(&engine.engine, path(file)) }?))), ret)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_module_image_range(
    module: &wasmtime_module_t,
    start: &mut MaybeUninit<*mut c_void>,
    end: &mut MaybeUninit<*mut c_void>,
) {
    let range = module.module.image_range();
    start.write(range.start as *mut c_void);
    end.write(range.end as *mut c_void);
}

fn boxed(module: Module) -> Box<wasmtime_module_t> {
    Box::new(wasmtime_module_t { module })
}
