//! Types of values.

use super::named::Named;
use crate::own::{Own, Vector};
use ampoule::{Engine, Error, HeapType, Type, ValType};
use std::mem::MaybeUninit;

/// `wasm_mutability_t`: whether a global may change.
pub type wasm_mutability_t = u8;

/// A global that may not change.
pub const WASM_CONST: wasm_mutability_t = 0;
/// A global that may.
pub const WASM_VAR: wasm_mutability_t = 1;

/// Limits, 32 bits wide.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wasm_limits_t {
    /// The size at the beginning.
    pub min: u32,
    /// The size that growth may reach; all ones stand for no limit.
    pub max: u32,
}

impl wasm_limits_t {
    /// What stands for no limit.
    pub const NO_MAX: u32 = u32::MAX;

    /// Limits as far as they fit in 32 bits. What doesn't is the largest number, which as a maximum is none.
    pub fn new(min: u64, max: Option<u64>) -> Self {
        let narrow = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
        Self { min: narrow(min), max: max.map_or(Self::NO_MAX, narrow) }
    }

    /// The maximum, if there is one.
    pub fn max(self) -> Option<u64> {
        (self.max != Self::NO_MAX).then_some(self.max.into())
    }
}

/// `wasm_valkind_t`: the kind of a value type.
pub type wasm_valkind_t = u8;

/// `i32`.
pub const WASM_I32: wasm_valkind_t = 0;
/// `i64`.
pub const WASM_I64: wasm_valkind_t = 1;
/// `f32`.
pub const WASM_F32: wasm_valkind_t = 2;
/// `f64`.
pub const WASM_F64: wasm_valkind_t = 3;
/// `v128`: `wasm.h` has no name for it, but programs know it by the number of `WASMTIME_V128`.
pub const WASM_V128: wasm_valkind_t = 4;
/// `externref`.
pub const WASM_EXTERNREF: wasm_valkind_t = 128;
/// `funcref`.
pub const WASM_FUNCREF: wasm_valkind_t = 129;

/// What types without a kind answer. It is none of the numbers, like every kind of a reference.
pub const NO_KIND: wasm_valkind_t = 255;

/// The type of a value.
#[derive(Clone, PartialEq)]
pub struct wasm_valtype_t {
    pub(crate) ty: ValType,
    /// The declared type that it names.
    pub(crate) named: Option<Type>,
}

impl wasm_valtype_t {
    /// A type that names one of these, if any.
    pub(super) fn new(ty: ValType, named: &Named) -> Self {
        Self { ty, named: ty.concrete().and_then(|id| named.find(id)) }
    }

    /// Refuses an engine that it is not of.
    pub(super) fn check(&self, engine: &Engine) -> Result<(), Error> {
        self.named.iter().try_for_each(|ty| Named::from(ty.clone()).check(engine))
    }
}

impl From<wasm_valtype_t> for Named {
    fn from(ty: wasm_valtype_t) -> Self {
        ty.named.map(Named::from).unwrap_or_default()
    }
}

impl From<ValType> for wasm_valtype_t {
    /// A type that names none.
    fn from(ty: ValType) -> Self {
        Self { ty, named: None }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_valtype_delete(_type: Option<Box<wasm_valtype_t>>) {}

/// A vector of value types.
pub type wasm_valtype_vec_t = Vector<Option<Box<wasm_valtype_t>>>;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_valtype_vec_new_empty(out: &mut MaybeUninit<wasm_valtype_vec_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_valtype_vec_new_uninitialized(out: &mut MaybeUninit<wasm_valtype_vec_t>, size: usize) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_valtype_vec_new(
    out: &mut MaybeUninit<wasm_valtype_vec_t>,
    size: usize,
    data: *const Option<Box<wasm_valtype_t>>,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_valtype_vec_copy(out: &mut MaybeUninit<wasm_valtype_vec_t>, src: Option<&wasm_valtype_vec_t>) {
    src.cloned().unwrap_or_default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_valtype_vec_delete(vec: &mut wasm_valtype_vec_t) {
    drop(vec.take());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_valtype_copy(ty: Option<&wasm_valtype_t>) -> Option<Box<wasm_valtype_t>> {
    ty.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_valtype_new(kind: wasm_valkind_t) -> Option<Box<wasm_valtype_t>> {
    let ty = match kind {
        WASM_I32 => ValType::I32,
        WASM_I64 => ValType::I64,
        WASM_F32 => ValType::F32,
        WASM_F64 => ValType::F64,
        WASM_V128 => ValType::V128,
        WASM_EXTERNREF => ValType::EXTERNREF,
        WASM_FUNCREF => ValType::FUNCREF,
        _ => return None,
    };
    Some(Box::new(ty.into()))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_valtype_kind(ty: Option<&wasm_valtype_t>) -> wasm_valkind_t {
    let Some(ty) = ty else { return NO_KIND };
    match ty.ty {
        ValType::I32 => WASM_I32,
        ValType::I64 => WASM_I64,
        ValType::F32 => WASM_F32,
        ValType::F64 => WASM_F64,
        ValType::V128 => WASM_V128,
        ValType::Ref(ty) => match ty.top() {
            HeapType::Extern => WASM_EXTERNREF,
            HeapType::Func => WASM_FUNCREF,
            _ => NO_KIND,
        },
    }
}

/// A vector of these types, which name those.
pub(super) fn vec_of(types: &[ValType], named: &Named) -> wasm_valtype_vec_t {
    types.iter().map(|&ty| Some(Box::new(wasm_valtype_t::new(ty, named)))).collect()
}

/// The types in a list, and what they name; `None` where one is null.
pub(super) fn types_in(list: &[Option<Box<wasm_valtype_t>>], named: &mut Named) -> Option<Vec<ValType>> {
    let ty = |ty: &Option<Box<wasm_valtype_t>>| {
        let ty = ty.as_ref()?;
        ty.named.iter().for_each(|ty| named.add(ty.clone()));
        Some(ty.ty)
    };
    list.iter().map(ty).collect()
}
