//! Traps. `crate::trap` has their codes.

use super::bytes::wasm_message_t;
use super::frame::{frames_of, wasm_frame_t, wasm_frame_vec_t};
use super::object::{Object, wasm_ref_t, wasm_trap_t};
use super::store::wasm_store_t;
use crate::boundary::give_trap;
use crate::foreign::{Finalizer, Foreign};
use crate::own::{Own, Vector};
use ampoule::Error;
use std::ffi::c_void;
use std::mem::MaybeUninit;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_delete(_trap: Option<Box<wasm_trap_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_copy(trap: Option<&wasm_trap_t>) -> Option<Box<wasm_trap_t>> {
    trap.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_same(a: &wasm_trap_t, b: &wasm_trap_t) -> bool {
    a.0.same(&b.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_get_host_info(trap: &wasm_trap_t) -> *mut c_void {
    trap.info().get()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_set_host_info(trap: &wasm_trap_t, info: *mut c_void) {
    trap.info().set(Foreign::new(info, None));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_set_host_info_with_finalizer(trap: &wasm_trap_t, info: *mut c_void, finalizer: Finalizer) {
    trap.info().set(Foreign::new(info, finalizer));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_as_ref(trap: Option<&wasm_trap_t>) -> Option<&wasm_ref_t> {
    trap.map(wasm_trap_t::view)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_trap(r: Option<&wasm_ref_t>) -> Option<&wasm_trap_t> {
    if let Object::Trap(trap) = &r?.object { Some(trap) } else { None }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_as_ref_const(trap: Option<&wasm_trap_t>) -> Option<&wasm_ref_t> {
    trap.map(wasm_trap_t::view)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_trap_const(r: Option<&wasm_ref_t>) -> Option<&wasm_trap_t> {
    wasm_ref_as_trap(r)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_trap_new(_store: *const wasm_store_t, message: Option<&wasm_message_t>) -> Box<wasm_trap_t> {
    // The header asks for a NUL at the end, which is no part of the text; without one, all of it is text.
    let message = message.map(Vector::as_slice).unwrap_or_default();
    let text = message.strip_suffix(&[0]).unwrap_or(message);
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
