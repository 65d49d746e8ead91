//! Foreign objects, which there are none of: they are made for host information only.

use super::reference::{no_host_info, no_view, wasm_ref_t};
use super::store::wasm_store_t;
use crate::boundary::misuse;
use crate::foreign::Finalizer;
use std::ffi::c_void;
use std::ptr;

/// An object of the host's. None is ever made.
#[derive(Clone)]
pub struct wasm_foreign_t {
    _never_made: (),
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_delete(_foreign: Box<wasm_foreign_t>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_copy(foreign: &wasm_foreign_t) -> Box<wasm_foreign_t> {
    Box::new(foreign.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_same(a: &wasm_foreign_t, b: &wasm_foreign_t) -> bool {
    ptr::eq(a, b)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_get_host_info(_foreign: &wasm_foreign_t) -> *mut c_void {
    ptr::null_mut()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_set_host_info(_foreign: &mut wasm_foreign_t, _info: *mut c_void) {
    no_host_info("wasm_foreign_set_host_info")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_set_host_info_with_finalizer(
    _foreign: &mut wasm_foreign_t,
    _info: *mut c_void,
    _finalizer: Finalizer,
) {
    no_host_info("wasm_foreign_set_host_info_with_finalizer")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_as_ref(_foreign: &mut wasm_foreign_t) -> &mut wasm_ref_t {
    no_view("wasm_foreign_as_ref")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_foreign(_ref: &mut wasm_ref_t) -> &mut wasm_foreign_t {
    no_view("wasm_ref_as_foreign")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_as_ref_const(_foreign: &wasm_foreign_t) -> &wasm_ref_t {
    no_view("wasm_foreign_as_ref_const")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_foreign_const(_ref: &wasm_ref_t) -> &wasm_foreign_t {
    no_view("wasm_ref_as_foreign_const")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_foreign_new(_store: &wasm_store_t) -> Box<wasm_foreign_t> {
    misuse("wasm_foreign_new", "there are no foreign objects here")
}
