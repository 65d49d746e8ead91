//! References to arrays. All are null.

use super::eqref::wasmtime_eqref_t;
use super::types::wasmtime_array_type_t;
use crate::boundary::{check_store, give, give_unit, null_ref};
use crate::error::wasmtime_error_t;
use crate::store::wasmtime_context_t;
use crate::val::{from_c, wasmtime_anyref_t, wasmtime_val_t};
use ampoule::Type;
use ampoule::gc::object;
use std::mem::MaybeUninit;
use std::ptr;

/// An array type, for one store.
pub struct wasmtime_array_ref_pre_t {
    store_id: u64,
    ty: Type,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_array_ref_pre_new(
    context: &mut wasmtime_context_t,
    ty: &wasmtime_array_type_t,
) -> Box<wasmtime_array_ref_pre_t> {
    Box::new(wasmtime_array_ref_pre_t { store_id: context.id(), ty: ty.ty.clone() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_array_ref_pre_delete(_pre: Option<Box<wasmtime_array_ref_pre_t>>) {}

/// An `arrayref`: null.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wasmtime_arrayref_t {
    store_id: u64,
    private1: u32,
    private2: u32,
    private3: *const (),
}

impl wasmtime_arrayref_t {
    /// Null.
    pub const NULL: Self = Self { store_id: 0, private1: 0, private2: 0, private3: ptr::null() };
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_new(
    context: &mut wasmtime_context_t,
    pre: &wasmtime_array_ref_pre_t,
    elem: &wasmtime_val_t,
    len: u32,
    out: &mut MaybeUninit<wasmtime_arrayref_t>,
) -> Option<Box<wasmtime_error_t>> {
    let made = check_store(context, pre.store_id).and_then(|()| {
        object::new_array(context, pre.ty.ty().as_array().expect("of arrays"), &from_c(elem)?, len)
            .map(|never| match never {})
    });
    give(made, out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_clone(
    _arrayref: Option<&wasmtime_arrayref_t>,
    out: &mut MaybeUninit<wasmtime_arrayref_t>,
) {
    out.write(wasmtime_arrayref_t::NULL);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_unroot(arrayref: Option<&mut wasmtime_arrayref_t>) {
    if let Some(arrayref) = arrayref {
        *arrayref = wasmtime_arrayref_t::NULL;
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_to_anyref(
    _arrayref: Option<&wasmtime_arrayref_t>,
    out: &mut MaybeUninit<wasmtime_anyref_t>,
) {
    out.write(wasmtime_anyref_t::NULL);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_to_eqref(
    _arrayref: Option<&wasmtime_arrayref_t>,
    out: &mut MaybeUninit<wasmtime_eqref_t>,
) {
    out.write(wasmtime_eqref_t::NULL);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_len(
    _context: &mut wasmtime_context_t,
    _arrayref: Option<&wasmtime_arrayref_t>,
    out: &mut MaybeUninit<u32>,
) -> Option<Box<wasmtime_error_t>> {
    give(Err(null_ref("an array")), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_get(
    _context: &mut wasmtime_context_t,
    _arrayref: Option<&wasmtime_arrayref_t>,
    _index: u32,
    out: &mut MaybeUninit<wasmtime_val_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(Err(null_ref("an array")), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_set(
    _context: &mut wasmtime_context_t,
    _arrayref: Option<&wasmtime_arrayref_t>,
    _index: u32,
    _val: &wasmtime_val_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(Err(null_ref("an array")))
}

/// Null has no type.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_type(
    _context: &mut wasmtime_context_t,
    _arrayref: Option<&wasmtime_arrayref_t>,
) -> Option<Box<wasmtime_array_type_t>> {
    None
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_is_array(
    _context: &mut wasmtime_context_t,
    _eqref: Option<&wasmtime_eqref_t>,
) -> bool {
    false
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_as_array(
    _context: &mut wasmtime_context_t,
    _eqref: Option<&wasmtime_eqref_t>,
    out: &mut MaybeUninit<wasmtime_arrayref_t>,
) -> bool {
    out.write(wasmtime_arrayref_t::NULL);
    false
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_is_array(
    _context: &mut wasmtime_context_t,
    _anyref: Option<&wasmtime_anyref_t>,
) -> bool {
    false
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_as_array(
    _context: &mut wasmtime_context_t,
    _anyref: Option<&wasmtime_anyref_t>,
    out: &mut MaybeUninit<wasmtime_arrayref_t>,
) -> bool {
    out.write(wasmtime_arrayref_t::NULL);
    false
}
