//! Foreign objects: objects of the host's, made for host information, that pass through guests as `externref`s.

use super::object::{HostInfo, Object, wasm_ref_t};
use super::store::wasm_store_t;
use crate::foreign::Finalizer;
use ampoule::ExternRef;
use std::ffi::c_void;
use std::ptr;

/// A foreign object: a view of a reference that is one. In the store it is a [`HostInfo`].
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_foreign_t(wasm_ref_t);

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_delete(_foreign: Option<Box<wasm_foreign_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_copy(foreign: Option<&wasm_foreign_t>) -> Option<Box<wasm_foreign_t>> {
    foreign.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_same(a: &wasm_foreign_t, b: &wasm_foreign_t) -> bool {
    a.0.same(&b.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_get_host_info(foreign: &wasm_foreign_t) -> *mut c_void {
    foreign.0.host_info()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_set_host_info(foreign: &wasm_foreign_t, info: *mut c_void) {
    foreign.0.set_host_info(info, None);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_set_host_info_with_finalizer(
    foreign: &wasm_foreign_t,
    info: *mut c_void,
    finalizer: Finalizer,
) {
    foreign.0.set_host_info(info, finalizer);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_as_ref(foreign: Option<&mut wasm_foreign_t>) -> Option<&mut wasm_ref_t> {
    foreign.map(|foreign| &mut foreign.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_foreign(r: Option<&mut wasm_ref_t>) -> Option<&mut wasm_foreign_t> {
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    r.filter(|r| matches!(r.object, Object::Foreign { .. })).map(|r| unsafe { &mut *ptr::from_mut(r).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_as_ref_const(foreign: Option<&wasm_foreign_t>) -> Option<&wasm_ref_t> {
    foreign.map(|foreign| &foreign.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_foreign_const(r: Option<&wasm_ref_t>) -> Option<&wasm_foreign_t> {
    // SAFETY: the wrapper is transparent.
    r.filter(|r| matches!(r.object, Object::Foreign { .. })).map(|r| unsafe { &*ptr::from_ref(r).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_new(store: Option<&wasm_store_t>) -> Option<Box<wasm_foreign_t>> {
    let store = store?;
    let value = ExternRef::new(store.store.get(), Box::new(HostInfo::default())).ok()?;
    Some(Box::new(wasm_foreign_t(wasm_ref_t { object: Object::Foreign { store: store.store.clone(), value } })))
}
