//! `wasmtime/trap.h`: why a guest ended, as a code, and the names in a backtrace.

use crate::boundary::{bytes, give_trap, misuse};
use crate::wasm::bytes::wasm_name_t;
use crate::wasm::frame::wasm_frame_t;
use crate::wasm::object::wasm_trap_t;
use ampoule::{Error, TrapCode};
use std::mem::MaybeUninit;

/// The number of a [`TrapCode`].
pub type wasmtime_trap_code_t = u8;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_trap_new(msg: *const u8, msg_len: usize) -> Box<wasm_trap_t> {
    // SAFETY: the bytes are lent for this call.
    let message = unsafe { bytes(msg, msg_len) };
    give_trap(Error::host(String::from_utf8_lossy(message)))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_trap_new_code(code: wasmtime_trap_code_t) -> Box<wasm_trap_t> {
    match TrapCode::from_u8(code) {
        Some(code) => give_trap(Error::trap(code)),
        None => misuse("wasmtime_trap_new_code", &format!("{code} is not the code of a trap")),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_trap_code(trap: &wasm_trap_t, code: &mut MaybeUninit<wasmtime_trap_code_t>) -> bool {
    trap.0.trap_code().map(|found| code.write(found as u8)).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_frame_func_name(frame: &wasm_frame_t) -> Option<&wasm_name_t> {
    frame.func_name()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_frame_module_name(frame: &wasm_frame_t) -> Option<&wasm_name_t> {
    frame.module_name()
}
