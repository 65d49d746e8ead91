//! Externs of the portable API: functions, globals, tables and memories. (`extern` is a word of Rust's.)

use super::externtype::{
    WASM_EXTERN_FUNC, WASM_EXTERN_GLOBAL, WASM_EXTERN_MEMORY, WASM_EXTERN_TABLE, WASM_EXTERN_TAG, wasm_externkind_t,
};
use super::func::wasm_func_t;
use super::global::wasm_global_t;
use super::memory::wasm_memory_t;
use super::object::{Object, wasm_extern_t, wasm_ref_t};
use super::parts::wasm_externtype_t;
use super::table::wasm_table_t;
use crate::foreign::Finalizer;
use crate::own::{Own, Vector};
use ampoule::Extern;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_delete(_item: Option<Box<wasm_extern_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_copy(item: Option<&wasm_extern_t>) -> Option<Box<wasm_extern_t>> {
    item.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_same(a: &wasm_extern_t, b: &wasm_extern_t) -> bool {
    a.0.same(&b.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_get_host_info(item: &wasm_extern_t) -> *mut c_void {
    item.0.host_info()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_set_host_info(item: &wasm_extern_t, info: *mut c_void) {
    item.0.set_host_info(info, None);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_set_host_info_with_finalizer(
    item: &wasm_extern_t,
    info: *mut c_void,
    finalizer: Finalizer,
) {
    item.0.set_host_info(info, finalizer);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_as_ref(item: Option<&mut wasm_extern_t>) -> Option<&mut wasm_ref_t> {
    item.map(|item| &mut item.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_extern(r: Option<&mut wasm_ref_t>) -> Option<&mut wasm_extern_t> {
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    r.filter(|r| matches!(r.object, Object::Item { .. })).map(|r| unsafe { &mut *ptr::from_mut(r).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_as_ref_const(item: Option<&wasm_extern_t>) -> Option<&wasm_ref_t> {
    item.map(|item| &item.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_extern_const(r: Option<&wasm_ref_t>) -> Option<&wasm_extern_t> {
    // SAFETY: the wrapper is transparent.
    r.filter(|r| matches!(r.object, Object::Item { .. })).map(|r| unsafe { &*ptr::from_ref(r).cast() })
}

/// A vector of externs.
pub type wasm_extern_vec_t = Vector<Option<Box<wasm_extern_t>>>;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_vec_new_empty(out: &mut MaybeUninit<wasm_extern_vec_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_vec_new_uninitialized(out: &mut MaybeUninit<wasm_extern_vec_t>, size: usize) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_extern_vec_new(
    out: &mut MaybeUninit<wasm_extern_vec_t>,
    size: usize,
    data: *const Option<Box<wasm_extern_t>>,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_vec_copy(out: &mut MaybeUninit<wasm_extern_vec_t>, src: Option<&wasm_extern_vec_t>) {
    src.cloned().unwrap_or_default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_vec_delete(vec: &mut wasm_extern_vec_t) {
    drop(vec.take());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_kind(item: &wasm_extern_t) -> wasm_externkind_t {
    match item.item() {
        Extern::Func(_) => WASM_EXTERN_FUNC,
        Extern::Global(_) => WASM_EXTERN_GLOBAL,
        Extern::Table(_) => WASM_EXTERN_TABLE,
        Extern::Memory(_) | Extern::SharedMemory(_) => WASM_EXTERN_MEMORY,
        Extern::Tag(_) => WASM_EXTERN_TAG,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_type(item: &wasm_extern_t) -> Box<wasm_externtype_t> {
    Box::new(wasm_externtype_t::of_item("wasm_extern_type", item.store().get(), item.item()))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_as_extern(func: Option<&mut wasm_func_t>) -> Option<&mut wasm_extern_t> {
    func.map(|func| &mut func.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_global_as_extern(global: Option<&mut wasm_global_t>) -> Option<&mut wasm_extern_t> {
    global.map(|global| &mut global.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_as_extern(table: Option<&mut wasm_table_t>) -> Option<&mut wasm_extern_t> {
    table.map(|table| &mut table.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_as_extern(memory: Option<&mut wasm_memory_t>) -> Option<&mut wasm_extern_t> {
    memory.map(|memory| &mut memory.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_as_func(item: Option<&mut wasm_extern_t>) -> Option<&mut wasm_func_t> {
    let item = item?;
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    matches!(item.item(), Extern::Func(_)).then(|| unsafe { &mut *ptr::from_mut(item).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_as_global(item: Option<&mut wasm_extern_t>) -> Option<&mut wasm_global_t> {
    let item = item?;
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    matches!(item.item(), Extern::Global(_)).then(|| unsafe { &mut *ptr::from_mut(item).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_as_table(item: Option<&mut wasm_extern_t>) -> Option<&mut wasm_table_t> {
    let item = item?;
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    matches!(item.item(), Extern::Table(_)).then(|| unsafe { &mut *ptr::from_mut(item).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_as_memory(item: Option<&mut wasm_extern_t>) -> Option<&mut wasm_memory_t> {
    let item = item?;
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    matches!(item.item(), Extern::Memory(_)).then(|| unsafe { &mut *ptr::from_mut(item).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_as_extern_const(func: Option<&wasm_func_t>) -> Option<&wasm_extern_t> {
    func.map(|func| &func.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_global_as_extern_const(global: Option<&wasm_global_t>) -> Option<&wasm_extern_t> {
    global.map(|global| &global.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_table_as_extern_const(table: Option<&wasm_table_t>) -> Option<&wasm_extern_t> {
    table.map(|table| &table.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memory_as_extern_const(memory: Option<&wasm_memory_t>) -> Option<&wasm_extern_t> {
    memory.map(|memory| &memory.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_as_func_const(item: Option<&wasm_extern_t>) -> Option<&wasm_func_t> {
    let item = item?;
    // SAFETY: the wrapper is transparent.
    matches!(item.item(), Extern::Func(_)).then(|| unsafe { &*ptr::from_ref(item).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_as_global_const(item: Option<&wasm_extern_t>) -> Option<&wasm_global_t> {
    let item = item?;
    // SAFETY: the wrapper is transparent.
    matches!(item.item(), Extern::Global(_)).then(|| unsafe { &*ptr::from_ref(item).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_as_table_const(item: Option<&wasm_extern_t>) -> Option<&wasm_table_t> {
    let item = item?;
    // SAFETY: the wrapper is transparent.
    matches!(item.item(), Extern::Table(_)).then(|| unsafe { &*ptr::from_ref(item).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_extern_as_memory_const(item: Option<&wasm_extern_t>) -> Option<&wasm_memory_t> {
    let item = item?;
    // SAFETY: the wrapper is transparent.
    matches!(item.item(), Extern::Memory(_)).then(|| unsafe { &*ptr::from_ref(item).cast() })
}
