//! Types of what is imported and exported.

use super::globaltype::wasm_globaltype_t;
use super::memorytype::wasm_memorytype_t;
use super::parts::{Described, wasm_externtype_t, wasm_functype_t};
use super::tabletype::wasm_tabletype_t;
use super::tagtype::wasm_tagtype_t;
use crate::own::{Own, Vector};
use std::mem::MaybeUninit;
use std::ptr;

/// `wasm_externkind_t`: what an item is.
pub type wasm_externkind_t = u8;

/// A function.
pub const WASM_EXTERN_FUNC: wasm_externkind_t = 0;
/// A global.
pub const WASM_EXTERN_GLOBAL: wasm_externkind_t = 1;
/// A table.
pub const WASM_EXTERN_TABLE: wasm_externkind_t = 2;
/// A memory.
pub const WASM_EXTERN_MEMORY: wasm_externkind_t = 3;
/// A tag.
pub const WASM_EXTERN_TAG: wasm_externkind_t = 4;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_delete(_type: Option<Box<wasm_externtype_t>>) {}

/// A vector of extern types.
pub type wasm_externtype_vec_t = Vector<Option<Box<wasm_externtype_t>>>;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_vec_new_empty(out: &mut MaybeUninit<wasm_externtype_vec_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_vec_new_uninitialized(out: &mut MaybeUninit<wasm_externtype_vec_t>, size: usize) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_externtype_vec_new(
    out: &mut MaybeUninit<wasm_externtype_vec_t>,
    size: usize,
    data: *const Option<Box<wasm_externtype_t>>,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_vec_copy(
    out: &mut MaybeUninit<wasm_externtype_vec_t>,
    src: Option<&wasm_externtype_vec_t>,
) {
    src.cloned().unwrap_or_default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_vec_delete(vec: &mut wasm_externtype_vec_t) {
    drop(vec.take());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_copy(ty: Option<&wasm_externtype_t>) -> Option<Box<wasm_externtype_t>> {
    ty.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_kind(ty: &wasm_externtype_t) -> wasm_externkind_t {
    match ty.described {
        Described::Func(_) => WASM_EXTERN_FUNC,
        Described::Global(_) => WASM_EXTERN_GLOBAL,
        Described::Table(_) => WASM_EXTERN_TABLE,
        Described::Memory(_) => WASM_EXTERN_MEMORY,
        Described::Tag(_) => WASM_EXTERN_TAG,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_as_externtype(ty: Option<&mut wasm_functype_t>) -> Option<&mut wasm_externtype_t> {
    ty.map(|ty| &mut ty.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_globaltype_as_externtype(ty: Option<&mut wasm_globaltype_t>) -> Option<&mut wasm_externtype_t> {
    ty.map(|ty| &mut ty.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tabletype_as_externtype(ty: Option<&mut wasm_tabletype_t>) -> Option<&mut wasm_externtype_t> {
    ty.map(|ty| &mut ty.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memorytype_as_externtype(ty: Option<&mut wasm_memorytype_t>) -> Option<&mut wasm_externtype_t> {
    ty.map(|ty| &mut ty.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tagtype_as_externtype(ty: Option<&mut wasm_tagtype_t>) -> Option<&mut wasm_externtype_t> {
    ty.map(|ty| &mut ty.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_as_functype(ty: Option<&mut wasm_externtype_t>) -> Option<&mut wasm_functype_t> {
    let ty = ty?;
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    matches!(ty.described, Described::Func(_)).then(|| unsafe { &mut *ptr::from_mut(ty).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_as_globaltype(ty: Option<&mut wasm_externtype_t>) -> Option<&mut wasm_globaltype_t> {
    let ty = ty?;
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    matches!(ty.described, Described::Global(_)).then(|| unsafe { &mut *ptr::from_mut(ty).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_as_tabletype(ty: Option<&mut wasm_externtype_t>) -> Option<&mut wasm_tabletype_t> {
    let ty = ty?;
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    matches!(ty.described, Described::Table(_)).then(|| unsafe { &mut *ptr::from_mut(ty).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_as_memorytype(ty: Option<&mut wasm_externtype_t>) -> Option<&mut wasm_memorytype_t> {
    let ty = ty?;
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    matches!(ty.described, Described::Memory(_)).then(|| unsafe { &mut *ptr::from_mut(ty).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_as_tagtype(ty: Option<&mut wasm_externtype_t>) -> Option<&mut wasm_tagtype_t> {
    let ty = ty?;
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    matches!(ty.described, Described::Tag(_)).then(|| unsafe { &mut *ptr::from_mut(ty).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_as_externtype_const(ty: Option<&wasm_functype_t>) -> Option<&wasm_externtype_t> {
    ty.map(|ty| &ty.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_globaltype_as_externtype_const(ty: Option<&wasm_globaltype_t>) -> Option<&wasm_externtype_t> {
    ty.map(|ty| &ty.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tabletype_as_externtype_const(ty: Option<&wasm_tabletype_t>) -> Option<&wasm_externtype_t> {
    ty.map(|ty| &ty.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memorytype_as_externtype_const(ty: Option<&wasm_memorytype_t>) -> Option<&wasm_externtype_t> {
    ty.map(|ty| &ty.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tagtype_as_externtype_const(ty: Option<&wasm_tagtype_t>) -> Option<&wasm_externtype_t> {
    ty.map(|ty| &ty.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_as_functype_const(ty: Option<&wasm_externtype_t>) -> Option<&wasm_functype_t> {
    let ty = ty?;
    // SAFETY: the wrapper is transparent.
    matches!(ty.described, Described::Func(_)).then(|| unsafe { &*ptr::from_ref(ty).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_as_globaltype_const(ty: Option<&wasm_externtype_t>) -> Option<&wasm_globaltype_t> {
    let ty = ty?;
    // SAFETY: the wrapper is transparent.
    matches!(ty.described, Described::Global(_)).then(|| unsafe { &*ptr::from_ref(ty).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_as_tabletype_const(ty: Option<&wasm_externtype_t>) -> Option<&wasm_tabletype_t> {
    let ty = ty?;
    // SAFETY: the wrapper is transparent.
    matches!(ty.described, Described::Table(_)).then(|| unsafe { &*ptr::from_ref(ty).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_as_memorytype_const(ty: Option<&wasm_externtype_t>) -> Option<&wasm_memorytype_t> {
    let ty = ty?;
    // SAFETY: the wrapper is transparent.
    matches!(ty.described, Described::Memory(_)).then(|| unsafe { &*ptr::from_ref(ty).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_externtype_as_tagtype_const(ty: Option<&wasm_externtype_t>) -> Option<&wasm_tagtype_t> {
    let ty = ty?;
    // SAFETY: the wrapper is transparent.
    matches!(ty.described, Described::Tag(_)).then(|| unsafe { &*ptr::from_ref(ty).cast() })
}
