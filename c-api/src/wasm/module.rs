//! Modules of the portable API: made in a store, but not kept by it, nor keeping it.

use super::bytes::wasm_byte_vec_t;
use super::exporttype::wasm_exporttype_vec_t;
use super::importtype::wasm_importtype_vec_t;
use super::reference::{no_host_info, no_view, wasm_ref_t};
use super::store::wasm_store_t;
use crate::boundary::guarded;
use crate::foreign::Finalizer;
use crate::module::{exports_of, imports_of};
use ampoule::Module;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// A module. It is the engine's: a program that keeps modules and drops stores gets the stores' finalizers.
#[derive(Clone)]
pub struct wasm_module_t {
    pub(crate) module: Module,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_delete(_module: Box<wasm_module_t>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_copy(module: &wasm_module_t) -> Box<wasm_module_t> {
    Box::new(module.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_same(a: &wasm_module_t, b: &wasm_module_t) -> bool {
    a.module.same(&b.module)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_get_host_info(_module: &wasm_module_t) -> *mut c_void {
    ptr::null_mut()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_set_host_info(_module: &mut wasm_module_t, _info: *mut c_void) {
    no_host_info("wasm_module_set_host_info")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_set_host_info_with_finalizer(
    _module: &mut wasm_module_t,
    _info: *mut c_void,
    _finalizer: Finalizer,
) {
    no_host_info("wasm_module_set_host_info_with_finalizer")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_as_ref(_module: &mut wasm_module_t) -> &mut wasm_ref_t {
    no_view("wasm_module_as_ref")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_module(_ref: &mut wasm_ref_t) -> &mut wasm_module_t {
    no_view("wasm_ref_as_module")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_as_ref_const(_module: &wasm_module_t) -> &wasm_ref_t {
    no_view("wasm_module_as_ref_const")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_module_const(_ref: &wasm_ref_t) -> &wasm_module_t {
    no_view("wasm_ref_as_module_const")
}

/// A module apart from any store.
pub struct wasm_shared_module_t {
    module: Module,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_shared_module_delete(_shared: Box<wasm_shared_module_t>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_share(module: &wasm_module_t) -> Box<wasm_shared_module_t> {
    Box::new(wasm_shared_module_t { module: module.module.clone() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_obtain(
    store: &wasm_store_t,
    shared: &wasm_shared_module_t,
) -> Option<Box<wasm_module_t>> {
    let same_engine = store.store.get().engine().same(shared.module.engine());
    same_engine.then(|| Box::new(wasm_module_t { module: shared.module.clone() }))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_new(store: &wasm_store_t, binary: &wasm_byte_vec_t) -> Option<Box<wasm_module_t>> {
    let made = guarded(|| Module::from_binary(store.store.get().engine(), binary.as_slice()));
    made.ok().map(|module| Box::new(wasm_module_t { module }))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_validate(store: &wasm_store_t, binary: &wasm_byte_vec_t) -> bool {
    guarded(|| Module::validate(store.store.get().engine(), binary.as_slice())).is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_imports(module: &wasm_module_t, out: &mut MaybeUninit<wasm_importtype_vec_t>) {
    imports_of(&module.module).give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_exports(module: &wasm_module_t, out: &mut MaybeUninit<wasm_exporttype_vec_t>) {
    exports_of(&module.module).give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_serialize(module: &wasm_module_t, out: &mut MaybeUninit<wasm_byte_vec_t>) {
    let bytes = guarded(|| module.module.serialize()).unwrap_or_default();
    wasm_byte_vec_t::from(bytes).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_module_deserialize(
    store: &wasm_store_t,
    bytes: &wasm_byte_vec_t,
) -> Option<Box<wasm_module_t>> {
    // SAFETY: the header makes the caller answer for the bytes.
    let made = guarded(|| unsafe { Module::deserialize(store.store.get().engine(), bytes.as_slice()) });
    made.ok().map(|module| Box::new(wasm_module_t { module }))
}
