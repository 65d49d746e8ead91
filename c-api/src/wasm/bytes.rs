//! Bytes and names: vectors of bytes, names being UTF-8.

use crate::own::{Own, Vector};
use std::mem::MaybeUninit;

/// A vector of bytes.
pub type wasm_byte_vec_t = Vector<u8>;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_byte_vec_new_empty(out: &mut MaybeUninit<wasm_byte_vec_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_byte_vec_new_uninitialized(out: &mut MaybeUninit<wasm_byte_vec_t>, size: usize) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_byte_vec_new(out: &mut MaybeUninit<wasm_byte_vec_t>, size: usize, data: *const u8) {
    // SAFETY: the caller passes `size` elements.
    unsafe { Vector::copy_of(size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_byte_vec_copy(out: &mut MaybeUninit<wasm_byte_vec_t>, src: Option<&wasm_byte_vec_t>) {
    src.cloned().unwrap_or_default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_byte_vec_delete(vec: &mut wasm_byte_vec_t) {
    drop(vec.take());
}

/// A string in UTF-8, without a NUL.
pub type wasm_name_t = wasm_byte_vec_t;

/// A string with a NUL at its end, which is counted.
pub type wasm_message_t = wasm_byte_vec_t;
