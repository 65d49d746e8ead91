//! Imports of a module: two names and a type.

use super::bytes::wasm_name_t;
use super::parts::wasm_externtype_t;
use crate::own::{Own, Vector};
use std::mem::{self, MaybeUninit};

/// One import.
#[derive(Clone)]
pub struct wasm_importtype_t {
    module: wasm_name_t,
    name: wasm_name_t,
    ty: wasm_externtype_t,
}

impl wasm_importtype_t {
    pub(crate) fn new(module: &str, name: &str, ty: wasm_externtype_t) -> Box<Self> {
        Box::new(Self { module: module.into(), name: name.into(), ty })
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_importtype_delete(_type: Option<Box<wasm_importtype_t>>) {}

/// A vector of imports.
pub type wasm_importtype_vec_t = Vector<Option<Box<wasm_importtype_t>>>;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_importtype_vec_new_empty(out: &mut MaybeUninit<wasm_importtype_vec_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_importtype_vec_new_uninitialized(out: &mut MaybeUninit<wasm_importtype_vec_t>, size: usize) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_importtype_vec_new(
    out: &mut MaybeUninit<wasm_importtype_vec_t>,
    size: usize,
    data: *const Option<Box<wasm_importtype_t>>,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_importtype_vec_copy(
    out: &mut MaybeUninit<wasm_importtype_vec_t>,
    src: Option<&wasm_importtype_vec_t>,
) {
    src.cloned().unwrap_or_default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_importtype_vec_delete(vec: &mut wasm_importtype_vec_t) {
    drop(vec.take());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_importtype_copy(ty: Option<&wasm_importtype_t>) -> Option<Box<wasm_importtype_t>> {
    ty.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_importtype_new(
    module: Option<&mut wasm_name_t>,
    name: Option<&mut wasm_name_t>,
    ty: Option<Box<wasm_externtype_t>>,
) -> Option<Box<wasm_importtype_t>> {
    let [module, name] = [module, name].map(|name| name.map(mem::take).unwrap_or_default());
    Some(Box::new(wasm_importtype_t { module, name, ty: *ty? }))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_importtype_module(ty: &wasm_importtype_t) -> &wasm_name_t {
    &ty.module
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_importtype_name(ty: &wasm_importtype_t) -> &wasm_name_t {
    &ty.name
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_importtype_type(ty: &wasm_importtype_t) -> &wasm_externtype_t {
    &ty.ty
}
