//! `wasmtime/error.h`: why a function failed.

use crate::own::Own;
use crate::wasm::bytes::wasm_name_t;
use crate::wasm::frame::{frames_of, wasm_frame_vec_t};
use ampoule::Error;
use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

/// An error of the engine's, owned by whoever received it.
#[repr(transparent)]
pub struct wasmtime_error_t(pub(crate) Error);

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_error_new(message: *const c_char) -> Box<wasmtime_error_t> {
    // SAFETY: the caller passes a NUL-terminated string.
    Box::new(wasmtime_error_t(Error::host(unsafe { CStr::from_ptr(message) }.to_string_lossy())))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_error_delete(_error: Option<Box<wasmtime_error_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_error_message(error: &wasmtime_error_t, message: &mut MaybeUninit<wasm_name_t>) {
    wasm_name_t::from(format!("{:?}", error.0).into_bytes()).give(message);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_error_exit_status(error: &wasmtime_error_t, status: &mut MaybeUninit<i32>) -> bool {
    error.0.exit_status().map(|code| status.write(code)).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_error_wasm_trace(error: &wasmtime_error_t, out: &mut MaybeUninit<wasm_frame_vec_t>) {
    frames_of(&error.0).give(out);
}
