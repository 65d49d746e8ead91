//! Types of functions.

use super::parts::{Described, FuncParts, wasm_functype_t};
use super::valtype::wasm_valtype_vec_t;
use crate::own::Vector;
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
    Vector::of_defaults("wasm_functype_vec_new_uninitialized", size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_functype_vec_new(
    out: &mut MaybeUninit<wasm_functype_vec_t>,
    size: usize,
    data: *const Option<Box<wasm_functype_t>>,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from("wasm_functype_vec_new", size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_vec_copy(out: &mut MaybeUninit<wasm_functype_vec_t>, src: &wasm_functype_vec_t) {
    src.clone().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_vec_delete(vec: &mut wasm_functype_vec_t) {
    drop(vec.take());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_copy(ty: &wasm_functype_t) -> Box<wasm_functype_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_new(
    params: &mut wasm_valtype_vec_t,
    results: &mut wasm_valtype_vec_t,
) -> Box<wasm_functype_t> {
    wasm_functype_t::new(FuncType::new(params.take_types(), results.take_types()))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_params(ty: &wasm_functype_t) -> &wasm_valtype_vec_t {
    ty.parts().params.get_or_init(|| wasm_valtype_vec_t::of(ty.ty().params()))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_results(ty: &wasm_functype_t) -> &wasm_valtype_vec_t {
    ty.parts().results.get_or_init(|| wasm_valtype_vec_t::of(ty.ty().results()))
}
