//! Traps. `crate::trap` has their codes.

use super::bytes::wasm_message_t;
use super::frame::{wasm_frame_t, wasm_frame_vec_t};
use super::reference::{no_host_info, no_view, wasm_ref_t};
use super::store::wasm_store_t;
use crate::boundary::{give_trap, misuse};
use crate::foreign::Finalizer;
use ampoule::Error;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// Why a guest ended: an error of the engine's. A pointer to one that a host function returns goes through compiled code to
/// the engine as it is, so this is nothing but the error.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_trap_t(pub(crate) Error);

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_delete(_trap: Box<wasm_trap_t>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_copy(trap: &wasm_trap_t) -> Box<wasm_trap_t> {
    Box::new(trap.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_same(a: &wasm_trap_t, b: &wasm_trap_t) -> bool {
    a.0.same(&b.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_get_host_info(_trap: &wasm_trap_t) -> *mut c_void {
    ptr::null_mut()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_set_host_info(_trap: &mut wasm_trap_t, _info: *mut c_void) {
    no_host_info("wasm_trap_set_host_info")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_set_host_info_with_finalizer(
    _trap: &mut wasm_trap_t,
    _info: *mut c_void,
    _finalizer: Finalizer,
) {
    no_host_info("wasm_trap_set_host_info_with_finalizer")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_as_ref(_trap: &mut wasm_trap_t) -> &mut wasm_ref_t {
    no_view("wasm_trap_as_ref")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_trap(_ref: &mut wasm_ref_t) -> &mut wasm_trap_t {
    no_view("wasm_ref_as_trap")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_as_ref_const(_trap: &wasm_trap_t) -> &wasm_ref_t {
    no_view("wasm_trap_as_ref_const")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_trap_const(_ref: &wasm_ref_t) -> &wasm_trap_t {
    no_view("wasm_ref_as_trap_const")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_new(_store: *const wasm_store_t, message: &wasm_message_t) -> Box<wasm_trap_t> {
    let Some((0, text)) = message.as_slice().split_last() else {
        misuse("wasm_trap_new", "the message must end in a NUL");
    };
    give_trap(Error::host(String::from_utf8_lossy(text)))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_message(trap: &wasm_trap_t, out: &mut MaybeUninit<wasm_message_t>) {
    let mut text = format!("{:?}", trap.0).into_bytes();
    text.push(0);
    wasm_message_t::from(text).give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_origin(trap: &wasm_trap_t) -> Option<Box<wasm_frame_t>> {
    trap.0.backtrace()?.frames().first().map(wasm_frame_t::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_trace(trap: &wasm_trap_t, out: &mut MaybeUninit<wasm_frame_vec_t>) {
    frames_of(&trap.0).give(out);
}

/// The frames of an error.
pub(crate) fn frames_of(error: &Error) -> wasm_frame_vec_t {
    let frames = error.backtrace().map_or(&[][..], |backtrace| backtrace.frames());
    frames.iter().map(|frame| Some(wasm_frame_t::new(frame))).collect()
}
