//! `wasmtime/memory.h`: linear memories of one store, and their types beyond 32 bits.

use crate::boundary::{expect, give};
use crate::error::wasmtime_error_t;
use crate::external::wasmtime_memory_t;
use crate::store::wasmtime_context_t;
use crate::wasm::memorytype::wasm_memorytype_t;
use ampoule::{Error, Memory, MemoryType};
use std::mem::MaybeUninit;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memorytype_new(
    min: u64,
    max_present: bool,
    max: u64,
    is_64: bool,
    shared: bool,
    page_size_log2: u8,
    ret: &mut MaybeUninit<Box<wasm_memorytype_t>>,
) -> Option<Box<wasmtime_error_t>> {
    let ty = MemoryType { min, max: max_present.then_some(max), is_64, shared, page_size_log2 };
    give(ty.check().map(|()| wasm_memorytype_t::new(ty)).map_err(Error::message), ret)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memorytype_minimum(ty: &wasm_memorytype_t) -> u64 {
    ty.ty().min
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memorytype_maximum(ty: &wasm_memorytype_t, max: &mut MaybeUninit<u64>) -> bool {
    ty.ty().max.map(|pages| max.write(pages)).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memorytype_is64(ty: &wasm_memorytype_t) -> bool {
    ty.ty().is_64
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memorytype_isshared(ty: &wasm_memorytype_t) -> bool {
    ty.ty().shared
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memorytype_page_size(ty: &wasm_memorytype_t) -> u64 {
    ty.ty().page_size()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memorytype_page_size_log2(ty: &wasm_memorytype_t) -> u8 {
    ty.ty().page_size_log2
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memory_new(
    store: &mut wasmtime_context_t,
    ty: &wasm_memorytype_t,
    ret: &mut MaybeUninit<wasmtime_memory_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(Memory::new(store, &ty.ty()), ret)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memory_type(
    store: &wasmtime_context_t,
    memory: &wasmtime_memory_t,
) -> Box<wasm_memorytype_t> {
    wasm_memorytype_t::new(expect("wasmtime_memory_type", memory.ty(store)))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memory_data(store: &wasmtime_context_t, memory: &wasmtime_memory_t) -> *mut u8 {
    expect("wasmtime_memory_data", memory.data(store)).0
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memory_data_size(store: &wasmtime_context_t, memory: &wasmtime_memory_t) -> usize {
    expect("wasmtime_memory_data_size", memory.data(store)).1
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memory_size(store: &wasmtime_context_t, memory: &wasmtime_memory_t) -> u64 {
    expect("wasmtime_memory_size", memory.size(store))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memory_grow(
    store: &mut wasmtime_context_t,
    memory: &wasmtime_memory_t,
    delta: u64,
    prev_size: &mut MaybeUninit<u64>,
) -> Option<Box<wasmtime_error_t>> {
    give(memory.grow(store, delta), prev_size)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memory_page_size(store: &mut wasmtime_context_t, memory: &wasmtime_memory_t) -> u64 {
    1 << expect("wasmtime_memory_page_size", memory.page_size_log2(store))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_memory_page_size_log2(store: &mut wasmtime_context_t, memory: &wasmtime_memory_t) -> u8 {
    expect("wasmtime_memory_page_size_log2", memory.page_size_log2(store))
}
