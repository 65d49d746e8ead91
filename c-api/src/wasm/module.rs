//! Modules of the portable API: made in a store, but not kept by it, nor keeping it.

use super::bytes::wasm_byte_vec_t;
use super::exporttype::wasm_exporttype_vec_t;
use super::importtype::wasm_importtype_vec_t;
use super::object::{Object, wasm_ref_t};
use super::store::wasm_store_t;
use crate::boundary::guarded;
use crate::foreign::Finalizer;
use crate::module::{exports_of, imports_of};
use crate::own::Own;
use ampoule::Module;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

/// A module: a view of a reference that is one. It is the engine's: a program that keeps modules and drops stores gets the
/// stores' finalizers.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_module_t(wasm_ref_t);

impl wasm_module_t {
    fn new(module: Module) -> Box<Self> {
        Box::new(Self(wasm_ref_t { object: Object::Module { module, info: Arc::default() } }))
    }

    /// The module.
    pub(crate) fn module(&self) -> &Module {
        let Object::Module { module, .. } = &self.0.object else { unreachable!("a module is only ever made as one") };
        module
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_delete(_module: Option<Box<wasm_module_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_copy(module: Option<&wasm_module_t>) -> Option<Box<wasm_module_t>> {
    module.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_same(a: &wasm_module_t, b: &wasm_module_t) -> bool {
    a.0.same(&b.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_get_host_info(module: &wasm_module_t) -> *mut c_void {
    module.0.host_info()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_set_host_info(module: &wasm_module_t, info: *mut c_void) {
    module.0.set_host_info(info, None);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_set_host_info_with_finalizer(
    module: &wasm_module_t,
    info: *mut c_void,
    finalizer: Finalizer,
) {
    module.0.set_host_info(info, finalizer);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_as_ref(module: Option<&mut wasm_module_t>) -> Option<&mut wasm_ref_t> {
    module.map(|module| &mut module.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_module(r: Option<&mut wasm_ref_t>) -> Option<&mut wasm_module_t> {
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    r.filter(|r| matches!(r.object, Object::Module { .. })).map(|r| unsafe { &mut *ptr::from_mut(r).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_as_ref_const(module: Option<&wasm_module_t>) -> Option<&wasm_ref_t> {
    module.map(|module| &module.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_module_const(r: Option<&wasm_ref_t>) -> Option<&wasm_module_t> {
    // SAFETY: the wrapper is transparent.
    r.filter(|r| matches!(r.object, Object::Module { .. })).map(|r| unsafe { &*ptr::from_ref(r).cast() })
}

/// A module apart from any store.
pub struct wasm_shared_module_t {
    module: Module,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_shared_module_delete(_shared: Option<Box<wasm_shared_module_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_share(module: Option<&wasm_module_t>) -> Option<Box<wasm_shared_module_t>> {
    Some(Box::new(wasm_shared_module_t { module: module?.module().clone() }))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_obtain(
    store: Option<&wasm_store_t>,
    shared: Option<&wasm_shared_module_t>,
) -> Option<Box<wasm_module_t>> {
    let (store, shared) = (store?, shared?);
    let same_engine = store.store.get().engine().same(shared.module.engine());
    same_engine.then(|| wasm_module_t::new(shared.module.clone()))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_new(
    store: Option<&wasm_store_t>,
    binary: Option<&wasm_byte_vec_t>,
) -> Option<Box<wasm_module_t>> {
    let (store, binary) = (store?, binary?);
    let made = guarded(|| Module::from_binary(store.store.get().engine(), binary.as_slice()));
    made.ok().map(wasm_module_t::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_validate(store: Option<&wasm_store_t>, binary: Option<&wasm_byte_vec_t>) -> bool {
    let (Some(store), Some(binary)) = (store, binary) else { return false };
    guarded(|| Module::validate(store.store.get().engine(), binary.as_slice())).is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_imports(module: &wasm_module_t, out: &mut MaybeUninit<wasm_importtype_vec_t>) {
    imports_of(module.module()).give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_exports(module: &wasm_module_t, out: &mut MaybeUninit<wasm_exporttype_vec_t>) {
    exports_of(module.module()).give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_module_serialize(module: &wasm_module_t, out: &mut MaybeUninit<wasm_byte_vec_t>) {
    let bytes = guarded(|| module.module().serialize()).unwrap_or_default();
    wasm_byte_vec_t::from(bytes).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_module_deserialize(
    store: Option<&wasm_store_t>,
    bytes: Option<&wasm_byte_vec_t>,
) -> Option<Box<wasm_module_t>> {
    let (store, bytes) = (store?, bytes?);
    // SAFETY: the header makes the caller answer for the bytes.
    let made = guarded(|| unsafe { Module::deserialize(store.store.get().engine(), bytes.as_slice()) });
    made.ok().map(wasm_module_t::new)
}
