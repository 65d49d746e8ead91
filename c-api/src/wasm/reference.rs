//! References to the objects of a store: functions, and values of the host. (`ref` is a word of Rust's.)
//!
//! Neither host information nor views of other objects as references exist, as in the interface's first library: what asks
//! for them answers null, what needs them ends the process.

use super::store::StoreRef;
use crate::boundary::misuse;
use crate::foreign::Finalizer;
use ampoule::{Error, Val};
use std::ffi::c_void;
use std::ptr;

/// A reference that isn't null.
#[derive(Clone)]
pub struct wasm_ref_t {
    store: StoreRef,
    /// A `FuncRef` or `ExternRef`.
    val: Val,
}

impl wasm_ref_t {
    /// A handle to a reference; `None` for null.
    pub(crate) fn new(store: &StoreRef, val: Val) -> Option<Box<Self>> {
        let null = matches!(val, Val::FuncRef(None) | Val::ExternRef(None));
        (!null).then(|| Box::new(Self { store: store.clone(), val }))
    }

    /// The reference, for use in this store.
    ///
    /// # Errors
    /// Where it is of another store.
    pub(crate) fn val_for(&self, store: &StoreRef) -> Result<Val, Error> {
        if self.store.same(store) {
            Ok(self.val.clone())
        } else {
            Err(Error::message("reference used with wrong store"))
        }
    }
}

/// Ends the process: host information is not kept.
pub(crate) fn no_host_info(function: &str) -> ! {
    misuse(function, "objects keep no host information here")
}

/// Ends the process: objects are not seen as references.
pub(crate) fn no_view(function: &str) -> ! {
    misuse(function, "objects can't be seen as references here")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_delete(_ref: Option<Box<wasm_ref_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_copy(r: Option<&wasm_ref_t>) -> Option<Box<wasm_ref_t>> {
    r.map(|r| Box::new(r.clone()))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_same(_a: &wasm_ref_t, _b: &wasm_ref_t) -> bool {
    misuse("wasm_ref_same", "references can't be compared here")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_get_host_info(_ref: &wasm_ref_t) -> *mut c_void {
    ptr::null_mut()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_set_host_info(_ref: &mut wasm_ref_t, _info: *mut c_void) {
    no_host_info("wasm_ref_set_host_info")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_set_host_info_with_finalizer(
    _ref: &mut wasm_ref_t,
    _info: *mut c_void,
    _finalizer: Finalizer,
) {
    no_host_info("wasm_ref_set_host_info_with_finalizer")
}
