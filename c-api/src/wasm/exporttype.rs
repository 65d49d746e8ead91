//! Exports of a module: a name and a type.

use super::bytes::wasm_name_t;
use super::parts::wasm_externtype_t;
use crate::own::{Own, Vector};
use std::mem::{self, MaybeUninit};

/// One export.
#[derive(Clone)]
pub struct wasm_exporttype_t {
    name: wasm_name_t,
    ty: wasm_externtype_t,
}

impl wasm_exporttype_t {
    pub(crate) fn new(name: &str, ty: wasm_externtype_t) -> Box<Self> {
        Box::new(Self { name: name.into(), ty })
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_exporttype_delete(_type: Option<Box<wasm_exporttype_t>>) {}

/// A vector of exports.
pub type wasm_exporttype_vec_t = Vector<Option<Box<wasm_exporttype_t>>>;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_exporttype_vec_new_empty(out: &mut MaybeUninit<wasm_exporttype_vec_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_exporttype_vec_new_uninitialized(out: &mut MaybeUninit<wasm_exporttype_vec_t>, size: usize) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_exporttype_vec_new(
    out: &mut MaybeUninit<wasm_exporttype_vec_t>,
    size: usize,
    data: *const Option<Box<wasm_exporttype_t>>,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_exporttype_vec_copy(
    out: &mut MaybeUninit<wasm_exporttype_vec_t>,
    src: Option<&wasm_exporttype_vec_t>,
) {
    src.cloned().unwrap_or_default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_exporttype_vec_delete(vec: &mut wasm_exporttype_vec_t) {
    drop(vec.take());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_exporttype_copy(ty: Option<&wasm_exporttype_t>) -> Option<Box<wasm_exporttype_t>> {
    ty.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_exporttype_new(
    name: Option<&mut wasm_name_t>,
    ty: Option<Box<wasm_externtype_t>>,
) -> Option<Box<wasm_exporttype_t>> {
    let name = name.map(mem::take).unwrap_or_default();
    Some(Box::new(wasm_exporttype_t { name, ty: *ty? }))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_exporttype_name(ty: &wasm_exporttype_t) -> &wasm_name_t {
    &ty.name
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_exporttype_type(ty: &wasm_exporttype_t) -> &wasm_externtype_t {
    &ty.ty
}
