//! `wasmtime/wat.h`: the text format.

use crate::boundary::{give, text};
use crate::error::wasmtime_error_t;
use crate::wasm::bytes::wasm_byte_vec_t;
use ampoule::Module;
use std::mem::MaybeUninit;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_wat2wasm(
    wat: *const u8,
    wat_len: usize,
    ret: &mut MaybeUninit<wasm_byte_vec_t>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the text is lent for this call.
    let text = unsafe { text(wat, wat_len) };
    give(text.and_then(Module::binary_of_text).map(Into::into), ret)
}
