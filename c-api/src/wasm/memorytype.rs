//! Types of memories. `crate::memory` has what is wider than 32 bits.

use super::parts::{Described, MemoryParts, wasm_externtype_t};
use super::valtype::wasm_limits_t;
use crate::own::{Own, Vector};
use ampoule::{ExternType, MemoryType};
use std::mem::MaybeUninit;

/// The type of a memory: a view of an extern type that is one.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_memorytype_t(pub(crate) wasm_externtype_t);

impl wasm_memorytype_t {
    pub(crate) fn new(ty: MemoryType) -> Box<Self> {
        Box::new(Self(wasm_externtype_t::plain(ExternType::Memory(ty))))
    }

    fn parts(&self) -> &MemoryParts {
        let Described::Memory(parts) = &self.0.described else {
            unreachable!("a memory type is only ever made as one")
        };
        parts
    }

    /// The type.
    pub(crate) fn ty(&self) -> MemoryType {
        self.parts().ty
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memorytype_delete(_type: Option<Box<wasm_memorytype_t>>) {}

/// A vector of memory types.
pub type wasm_memorytype_vec_t = Vector<Option<Box<wasm_memorytype_t>>>;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memorytype_vec_new_empty(out: &mut MaybeUninit<wasm_memorytype_vec_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memorytype_vec_new_uninitialized(out: &mut MaybeUninit<wasm_memorytype_vec_t>, size: usize) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_memorytype_vec_new(
    out: &mut MaybeUninit<wasm_memorytype_vec_t>,
    size: usize,
    data: *const Option<Box<wasm_memorytype_t>>,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memorytype_vec_copy(
    out: &mut MaybeUninit<wasm_memorytype_vec_t>,
    src: Option<&wasm_memorytype_vec_t>,
) {
    src.cloned().unwrap_or_default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memorytype_vec_delete(vec: &mut wasm_memorytype_vec_t) {
    drop(vec.take());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memorytype_copy(ty: Option<&wasm_memorytype_t>) -> Option<Box<wasm_memorytype_t>> {
    ty.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memorytype_new(limits: Option<&wasm_limits_t>) -> Option<Box<wasm_memorytype_t>> {
    let limits = limits?;
    let (min, max) = (limits.min.into(), limits.max());
    let ty = MemoryType { min, max, is_64: false, shared: false, page_size_log2: 16 };
    ty.check().is_ok().then(|| wasm_memorytype_t::new(ty))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_memorytype_limits(ty: &wasm_memorytype_t) -> &wasm_limits_t {
    &ty.parts().limits
}
