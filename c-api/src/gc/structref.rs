//! References to structs.

use super::eqref::wasmtime_eqref_t;
use super::types::wasmtime_struct_type_t;
use crate::boundary::{check_store, expect, give, give_unit, null_ref};
use crate::error::wasmtime_error_t;
use crate::store::wasmtime_context_t;
use crate::val::{from_c, into_c, root_of, wasmtime_anyref_t, wasmtime_val_t};
use ampoule::{AnyRef, EqRef, Error, StructRef, Type};
use ampoule_core::vm::VmRef;
use std::mem::MaybeUninit;

/// A struct type, for one store.
pub struct wasmtime_struct_ref_pre_t {
    store_id: u64,
    ty: Type,
}

/// Null where the type is of another engine.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_struct_ref_pre_new(
    context: &mut wasmtime_context_t,
    ty: &wasmtime_struct_type_t,
) -> Option<Box<wasmtime_struct_ref_pre_t>> {
    let pre = wasmtime_struct_ref_pre_t { store_id: context.id(), ty: ty.ty.clone() };
    context.engine().has_type(&ty.ty).then(|| Box::new(pre))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_struct_ref_pre_delete(_pre: Option<Box<wasmtime_struct_ref_pre_t>>) {}

root_of!(StructRef, wasmtime_structref_t, "A struct, or null.");

/// The struct.
///
/// # Errors
/// Where it is null.
fn need(structref: Option<&wasmtime_structref_t>) -> Result<StructRef, Error> {
    structref.and_then(wasmtime_structref_t::get).ok_or_else(|| null_ref("a struct"))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_structref_new(
    context: &mut wasmtime_context_t,
    pre: &wasmtime_struct_ref_pre_t,
    fields: *const wasmtime_val_t,
    nfields: usize,
    out: &mut MaybeUninit<wasmtime_structref_t>,
) -> Option<Box<wasmtime_error_t>> {
    let made = check_store(context, pre.store_id).and_then(|()| {
        // SAFETY: the caller passes `nfields` values.
        let fields = (0..nfields).map(|index| from_c(unsafe { &*fields.add(index) })).collect::<Result<Vec<_>, _>>()?;
        StructRef::new(context, &pre.ty, &fields)
    });
    give(made.map(|made| Some(made).into()), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_clone(
    structref: Option<&wasmtime_structref_t>,
    out: &mut MaybeUninit<wasmtime_structref_t>,
) {
    out.write(structref.and_then(wasmtime_structref_t::get).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_unroot(structref: Option<&mut wasmtime_structref_t>) {
    drop(structref.and_then(wasmtime_structref_t::take));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_to_anyref(
    structref: Option<&wasmtime_structref_t>,
    out: &mut MaybeUninit<wasmtime_anyref_t>,
) {
    out.write(structref.and_then(wasmtime_structref_t::get).map(AnyRef::from).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_to_eqref(
    structref: Option<&wasmtime_structref_t>,
    out: &mut MaybeUninit<wasmtime_eqref_t>,
) {
    out.write(structref.and_then(wasmtime_structref_t::get).map(EqRef::from).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_field(
    context: &mut wasmtime_context_t,
    structref: Option<&wasmtime_structref_t>,
    index: usize,
    out: &mut MaybeUninit<wasmtime_val_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(need(structref).and_then(|value| value.field(context, index)).map(into_c), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_set_field(
    context: &mut wasmtime_context_t,
    structref: Option<&wasmtime_structref_t>,
    index: usize,
    val: &wasmtime_val_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(need(structref).and_then(|value| value.set_field(context, index, &from_c(val)?)))
}

/// Null has no type.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_type(
    context: &mut wasmtime_context_t,
    structref: Option<&wasmtime_structref_t>,
) -> Option<Box<wasmtime_struct_type_t>> {
    let ty = structref.and_then(wasmtime_structref_t::get)?.declared_type(context);
    Some(Box::new(wasmtime_struct_type_t { ty: expect("wasmtime_structref_type", ty) }))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_is_struct(context: &mut wasmtime_context_t, eqref: Option<&wasmtime_eqref_t>) -> bool {
    as_struct("wasmtime_eqref_is_struct", context, eqref.and_then(wasmtime_eqref_t::any)).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_as_struct(
    context: &mut wasmtime_context_t,
    eqref: Option<&wasmtime_eqref_t>,
    out: &mut MaybeUninit<wasmtime_structref_t>,
) -> bool {
    let found = as_struct("wasmtime_eqref_as_struct", context, eqref.and_then(wasmtime_eqref_t::any));
    give_found(found, out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_is_struct(
    context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
) -> bool {
    as_struct("wasmtime_anyref_is_struct", context, anyref.and_then(wasmtime_anyref_t::get)).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_as_struct(
    context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
    out: &mut MaybeUninit<wasmtime_structref_t>,
) -> bool {
    let found = as_struct("wasmtime_anyref_as_struct", context, anyref.and_then(wasmtime_anyref_t::get));
    give_found(found, out)
}

fn as_struct(function: &str, context: &wasmtime_context_t, value: Option<AnyRef>) -> Option<StructRef> {
    expect(function, value?.as_struct(context))
}

/// Writes null where it is no struct, and answers whether it is one.
fn give_found(found: Option<StructRef>, out: &mut MaybeUninit<wasmtime_structref_t>) -> bool {
    let is_one = found.is_some();
    out.write(found.into());
    is_one
}
