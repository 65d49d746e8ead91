//! Memories of the portable API.

use super::external::wasm_extern_t;
use super::memorytype::wasm_memorytype_t;
use super::reference::{no_host_info, no_view, wasm_ref_t};
use super::store::{StoreRef, wasm_store_t};
use crate::boundary::expect;
use crate::foreign::Finalizer;
use ampoule::{Extern, Memory};
use std::ffi::c_void;
use std::ptr;

/// A memory: a view of an extern that is one.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_memory_t(pub(crate) wasm_extern_t);

impl wasm_memory_t {
    pub(crate) fn new(store: &StoreRef, memory: Memory) -> Box<Self> {
        Box::new(Self(wasm_extern_t::new(store, Extern::Memory(memory))))
    }

    /// The store and the memory.
    fn parts(&self) -> (&StoreRef, Memory) {
        let Extern::Memory(memory) = self.0.item else { unreachable!("a memory is only ever made as one") };
        (&self.0.store, memory)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_delete(_memory: Box<wasm_memory_t>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_copy(memory: &wasm_memory_t) -> Box<wasm_memory_t> {
    Box::new(memory.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_same(a: &wasm_memory_t, b: &wasm_memory_t) -> bool {
    a.0.same(&b.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_get_host_info(_memory: &wasm_memory_t) -> *mut c_void {
    ptr::null_mut()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_set_host_info(_memory: &mut wasm_memory_t, _info: *mut c_void) {
    no_host_info("wasm_memory_set_host_info")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_set_host_info_with_finalizer(
    _memory: &mut wasm_memory_t,
    _info: *mut c_void,
    _finalizer: Finalizer,
) {
    no_host_info("wasm_memory_set_host_info_with_finalizer")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_as_ref(_memory: &mut wasm_memory_t) -> &mut wasm_ref_t {
    no_view("wasm_memory_as_ref")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_memory(_ref: &mut wasm_ref_t) -> &mut wasm_memory_t {
    no_view("wasm_ref_as_memory")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_as_ref_const(_memory: &wasm_memory_t) -> &wasm_ref_t {
    no_view("wasm_memory_as_ref_const")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_memory_const(_ref: &wasm_ref_t) -> &wasm_memory_t {
    no_view("wasm_ref_as_memory_const")
}

/// A number of pages.
pub type wasm_memory_pages_t = u32;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_new(store: &wasm_store_t, ty: &wasm_memorytype_t) -> Option<Box<wasm_memory_t>> {
    let made = Memory::new(store.store.get(), &ty.ty());
    made.ok().map(|memory| wasm_memory_t::new(&store.store, memory))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_type(memory: &wasm_memory_t) -> Box<wasm_memorytype_t> {
    let (store, memory) = memory.parts();
    wasm_memorytype_t::new(expect("wasm_memory_type", memory.ty(store.get())))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_data(memory: &mut wasm_memory_t) -> *mut u8 {
    let (store, memory) = memory.parts();
    expect("wasm_memory_data", memory.data(store.get())).0
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_data_size(memory: &wasm_memory_t) -> usize {
    let (store, memory) = memory.parts();
    expect("wasm_memory_data_size", memory.data(store.get())).1
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_size(memory: &wasm_memory_t) -> wasm_memory_pages_t {
    let (store, memory) = memory.parts();
    let pages = expect("wasm_memory_size", memory.size(store.get()));
    u32::try_from(pages).unwrap_or(u32::MAX)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_grow(memory: &mut wasm_memory_t, delta: wasm_memory_pages_t) -> bool {
    let (store, memory) = memory.parts();
    memory.grow(store.get(), delta.into()).is_ok()
}
