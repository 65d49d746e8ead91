//! How machine code calls the core functions that components make, whichever they are.

use ampoule::error::ErrorKind;
use ampoule::func::host::error_out;
use ampoule::{Caller, Error, Store, VmValRaw};
use ampoule_core::vm::VmCaller;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What such a function is called with, and does.
pub(crate) trait CoreCallee {
    /// Takes arguments out of `values`, which are as many as the core type has parameters or results, and puts results there.
    ///
    /// # Errors
    /// What stops the guest.
    fn call(&self, store: &mut Store, values: &mut [VmValRaw]) -> Result<(), Error>;
}

/// The callback of the engine for a `T`.
///
/// # Safety
/// As the engine's raw callbacks are called; `env` is a `T`, and the values are those of its core type.
pub(crate) unsafe extern "C" fn callback<T: CoreCallee>(
    env: *mut c_void,
    caller: *mut VmCaller,
    values: *mut VmValRaw,
    len: usize,
) -> *mut c_void {
    // SAFETY: by the caller; the values are the exit thunk's, as many as the type has parameters or results.
    let (callee, mut caller, values) = unsafe {
        let values = std::slice::from_raw_parts_mut(values, len);
        (&*env.cast::<T>(), Caller::from_vm(caller), values)
    };
    let store = caller.store();
    let called = catch_unwind(AssertUnwindSafe(|| callee.call(store, values)));
    let called = called.unwrap_or_else(|_| Err(Error::message("a host function panicked")));
    error_out(called.map_err(|error| stopping(caller.store(), error)))
}

/// An error that stops a core function, whatever it is: exceptions end where a component does.
fn stopping(store: &mut Store, error: Error) -> Error {
    if !matches!(error.kind(), ErrorKind::Exception) {
        return error;
    }
    drop(store.take_exception());
    Error::message("an exception has left a component instance")
}
