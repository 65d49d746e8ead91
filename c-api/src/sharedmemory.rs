//! `wasmtime/sharedmemory.h`: linear memories that stores and threads have in common.

use crate::boundary::give;
use crate::error::wasmtime_error_t;
use crate::wasm::engine::wasm_engine_t;
use crate::wasm::memorytype::wasm_memorytype_t;
use ampoule::{Error, SharedMemory};
use std::mem::MaybeUninit;

/// A handle to a shared memory, one of possibly many to the same.
#[derive(Clone)]
pub struct wasmtime_sharedmemory_t {
    pub(crate) memory: SharedMemory,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_sharedmemory_new(
    engine: &wasm_engine_t,
    ty: &wasm_memorytype_t,
    ret: &mut MaybeUninit<Box<wasmtime_sharedmemory_t>>,
) -> Option<Box<wasmtime_error_t>> {
    let made = SharedMemory::new(&engine.engine, &ty.ty());
    give(made.map(|memory| Box::new(wasmtime_sharedmemory_t { memory })), ret)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_sharedmemory_delete(_memory: Option<Box<wasmtime_sharedmemory_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_sharedmemory_clone(memory: &wasmtime_sharedmemory_t) -> Box<wasmtime_sharedmemory_t> {
    Box::new(memory.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_sharedmemory_type(memory: &wasmtime_sharedmemory_t) -> Box<wasm_memorytype_t> {
    wasm_memorytype_t::new(*memory.memory.ty())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_sharedmemory_data(memory: &wasmtime_sharedmemory_t) -> *mut u8 {
    memory.memory.base()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_sharedmemory_data_size(memory: &wasmtime_sharedmemory_t) -> usize {
    memory.memory.byte_len()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_sharedmemory_size(memory: &wasmtime_sharedmemory_t) -> u64 {
    memory.memory.pages()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_sharedmemory_grow(
    memory: &wasmtime_sharedmemory_t,
    delta: u64,
    prev_size: &mut MaybeUninit<u64>,
) -> Option<Box<wasmtime_error_t>> {
    let grown = memory.memory.grow(delta);
    give(grown.map_err(|_| Error::message(format!("failed to grow memory by `{delta}`"))), prev_size)
}
