//! References to arrays.

use super::eqref::wasmtime_eqref_t;
use super::types::wasmtime_array_type_t;
use crate::boundary::{check_store, expect, give, give_unit, null_ref};
use crate::error::wasmtime_error_t;
use crate::store::wasmtime_context_t;
use crate::val::{from_c, into_c, root_of, wasmtime_anyref_t, wasmtime_val_t};
use ampoule::{AnyRef, ArrayRef, EqRef, Error, Type};
use ampoule_core::vm::VmRef;
use std::mem::MaybeUninit;

/// An array type, for one store.
pub struct wasmtime_array_ref_pre_t {
    store_id: u64,
    ty: Type,
}

/// Null where the type is of another engine.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_array_ref_pre_new(
    context: &mut wasmtime_context_t,
    ty: &wasmtime_array_type_t,
) -> Option<Box<wasmtime_array_ref_pre_t>> {
    let pre = wasmtime_array_ref_pre_t { store_id: context.id(), ty: ty.ty.clone() };
    context.engine().has_type(&ty.ty).then(|| Box::new(pre))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_array_ref_pre_delete(_pre: Option<Box<wasmtime_array_ref_pre_t>>) {}

root_of!(ArrayRef, wasmtime_arrayref_t, "An array, or null.");

/// The array.
///
/// # Errors
/// Where it is null.
fn need(arrayref: Option<&wasmtime_arrayref_t>) -> Result<ArrayRef, Error> {
    arrayref.and_then(wasmtime_arrayref_t::get).ok_or_else(|| null_ref("an array"))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_new(
    context: &mut wasmtime_context_t,
    pre: &wasmtime_array_ref_pre_t,
    elem: &wasmtime_val_t,
    len: u32,
    out: &mut MaybeUninit<wasmtime_arrayref_t>,
) -> Option<Box<wasmtime_error_t>> {
    let made = check_store(context, pre.store_id).and_then(|()| ArrayRef::new(context, &pre.ty, &from_c(elem)?, len));
    give(made.map(|made| Some(made).into()), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_clone(
    arrayref: Option<&wasmtime_arrayref_t>,
    out: &mut MaybeUninit<wasmtime_arrayref_t>,
) {
    out.write(arrayref.and_then(wasmtime_arrayref_t::get).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_unroot(arrayref: Option<&mut wasmtime_arrayref_t>) {
    drop(arrayref.and_then(wasmtime_arrayref_t::take));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_to_anyref(
    arrayref: Option<&wasmtime_arrayref_t>,
    out: &mut MaybeUninit<wasmtime_anyref_t>,
) {
    out.write(arrayref.and_then(wasmtime_arrayref_t::get).map(AnyRef::from).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_to_eqref(
    arrayref: Option<&wasmtime_arrayref_t>,
    out: &mut MaybeUninit<wasmtime_eqref_t>,
) {
    out.write(arrayref.and_then(wasmtime_arrayref_t::get).map(EqRef::from).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_len(
    context: &mut wasmtime_context_t,
    arrayref: Option<&wasmtime_arrayref_t>,
    out: &mut MaybeUninit<u32>,
) -> Option<Box<wasmtime_error_t>> {
    give(need(arrayref).and_then(|value| value.len(context)), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_get(
    context: &mut wasmtime_context_t,
    arrayref: Option<&wasmtime_arrayref_t>,
    index: u32,
    out: &mut MaybeUninit<wasmtime_val_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(need(arrayref).and_then(|value| value.get(context, index)).map(into_c), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_set(
    context: &mut wasmtime_context_t,
    arrayref: Option<&wasmtime_arrayref_t>,
    index: u32,
    val: &wasmtime_val_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(need(arrayref).and_then(|value| value.set(context, index, &from_c(val)?)))
}

/// Null has no type.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_type(
    context: &mut wasmtime_context_t,
    arrayref: Option<&wasmtime_arrayref_t>,
) -> Option<Box<wasmtime_array_type_t>> {
    let ty = arrayref.and_then(wasmtime_arrayref_t::get)?.declared_type(context);
    Some(Box::new(wasmtime_array_type_t { ty: expect("wasmtime_arrayref_type", ty) }))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_is_array(context: &mut wasmtime_context_t, eqref: Option<&wasmtime_eqref_t>) -> bool {
    as_array("wasmtime_eqref_is_array", context, eqref.and_then(wasmtime_eqref_t::any)).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_as_array(
    context: &mut wasmtime_context_t,
    eqref: Option<&wasmtime_eqref_t>,
    out: &mut MaybeUninit<wasmtime_arrayref_t>,
) -> bool {
    let found = as_array("wasmtime_eqref_as_array", context, eqref.and_then(wasmtime_eqref_t::any));
    give_found(found, out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_is_array(
    context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
) -> bool {
    as_array("wasmtime_anyref_is_array", context, anyref.and_then(wasmtime_anyref_t::get)).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_as_array(
    context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
    out: &mut MaybeUninit<wasmtime_arrayref_t>,
) -> bool {
    let found = as_array("wasmtime_anyref_as_array", context, anyref.and_then(wasmtime_anyref_t::get));
    give_found(found, out)
}

fn as_array(function: &str, context: &wasmtime_context_t, value: Option<AnyRef>) -> Option<ArrayRef> {
    expect(function, value?.as_array(context))
}

/// Writes null where it is no array, and answers whether it is one.
fn give_found(found: Option<ArrayRef>, out: &mut MaybeUninit<wasmtime_arrayref_t>) -> bool {
    let is_one = found.is_some();
    out.write(found.into());
    is_one
}
