//! Memories of the portable API.

use super::memorytype::wasm_memorytype_t;
use super::object::{Object, wasm_extern_t, wasm_ref_t};
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
        let Extern::Memory(memory) = *self.0.item() else { unreachable!("a memory is only ever made as one") };
        (self.0.store(), memory)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_delete(_memory: Option<Box<wasm_memory_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_copy(memory: Option<&wasm_memory_t>) -> Option<Box<wasm_memory_t>> {
    memory.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_same(a: &wasm_memory_t, b: &wasm_memory_t) -> bool {
    a.0.0.same(&b.0.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_get_host_info(memory: &wasm_memory_t) -> *mut c_void {
    memory.0.0.host_info()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_set_host_info(memory: &wasm_memory_t, info: *mut c_void) {
    memory.0.0.set_host_info(info, None);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_set_host_info_with_finalizer(
    memory: &wasm_memory_t,
    info: *mut c_void,
    finalizer: Finalizer,
) {
    memory.0.0.set_host_info(info, finalizer);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_as_ref(memory: Option<&mut wasm_memory_t>) -> Option<&mut wasm_ref_t> {
    memory.map(|memory| &mut memory.0.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_memory(r: Option<&mut wasm_ref_t>) -> Option<&mut wasm_memory_t> {
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    r.filter(|r| matches!(r.object, Object::Item { item: Extern::Memory(_), .. }))
        .map(|r| unsafe { &mut *ptr::from_mut(r).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_as_ref_const(memory: Option<&wasm_memory_t>) -> Option<&wasm_ref_t> {
    memory.map(|memory| &memory.0.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_memory_const(r: Option<&wasm_ref_t>) -> Option<&wasm_memory_t> {
    // SAFETY: the wrapper is transparent.
    r.filter(|r| matches!(r.object, Object::Item { item: Extern::Memory(_), .. }))
        .map(|r| unsafe { &*ptr::from_ref(r).cast() })
}

/// A number of pages.
pub type wasm_memory_pages_t = u32;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_new(
    store: Option<&wasm_store_t>,
    ty: Option<&wasm_memorytype_t>,
) -> Option<Box<wasm_memory_t>> {
    let store = store?;
    let made = Memory::new(store.store.get(), &ty?.ty());
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
