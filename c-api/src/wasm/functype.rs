//! Types of functions.

use super::parts::{Described, FuncParts, wasm_functype_t};
use super::valtype::{take_types, vec_of, wasm_valtype_vec_t};
use crate::own::{Own, Vector};
use ampoule::{ExternType, FuncType};
use std::mem::MaybeUninit;

impl wasm_functype_t {
    pub(crate) fn new(ty: FuncType) -> Box<Self> {
        Box::new(Self(ExternType::Func(ty).into()))
    }

    fn parts(&self) -> &FuncParts {
        let Described::Func(parts) = &self.0.described else {
            unreachable!("a function type is only ever made as one")
        };
        parts
    }

    /// The type.
    pub(crate) fn ty(&self) -> &FuncType {
        &self.parts().ty
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_delete(_type: Option<Box<wasm_functype_t>>) {}

/// A vector of function types.
pub type wasm_functype_vec_t = Vector<Option<Box<wasm_functype_t>>>;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_vec_new_empty(out: &mut MaybeUninit<wasm_functype_vec_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_vec_new_uninitialized(out: &mut MaybeUninit<wasm_functype_vec_t>, size: usize) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_functype_vec_new(
    out: &mut MaybeUninit<wasm_functype_vec_t>,
    size: usize,
    data: *const Option<Box<wasm_functype_t>>,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_vec_copy(
    out: &mut MaybeUninit<wasm_functype_vec_t>,
    src: Option<&wasm_functype_vec_t>,
) {
    src.cloned().unwrap_or_default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_vec_delete(vec: &mut wasm_functype_vec_t) {
    drop(vec.take());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_copy(ty: Option<&wasm_functype_t>) -> Option<Box<wasm_functype_t>> {
    ty.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_new(
    params: Option<&mut wasm_valtype_vec_t>,
    results: Option<&mut wasm_valtype_vec_t>,
) -> Option<Box<wasm_functype_t>> {
    // Both are taken over before either is looked at.
    let [params, results] = [params, results].map(|types| types.map_or_else(|| Some(Vec::new()), take_types));
    Some(wasm_functype_t::new(FuncType::new(params?, results?)))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_params(ty: &wasm_functype_t) -> &wasm_valtype_vec_t {
    ty.parts().params.get_or_init(|| vec_of(ty.ty().params()))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_results(ty: &wasm_functype_t) -> &wasm_valtype_vec_t {
    ty.parts().results.get_or_init(|| vec_of(ty.ty().results()))
}
