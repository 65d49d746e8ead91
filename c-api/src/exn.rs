//! `wasmtime/exn.h`: exceptions, made, thrown and caught by the host. The `wasmtime_exnref_…` functions, which came later,
//! do the same with references.

use crate::boundary::{expect, give, give_trap, misuse};
use crate::error::wasmtime_error_t;
use crate::external::wasmtime_tag_t;
use crate::gc::types::wasmtime_exn_type_t;
use crate::store::wasmtime_context_t;
use crate::val::{from_c, into_c, wasmtime_exnref_t, wasmtime_val_t};
use crate::wasm::object::wasm_trap_t;
use ampoule::{Error, ExnRef, Store};
use std::mem::MaybeUninit;

/// A handle to an exception.
pub struct wasmtime_exn_t {
    exn: ExnRef,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exn_delete(_exn: Option<Box<wasmtime_exn_t>>) {}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_exn_new(
    store: &mut wasmtime_context_t,
    tag: &wasmtime_tag_t,
    fields: *const wasmtime_val_t,
    nfields: usize,
    exn_ret: &mut MaybeUninit<Box<wasmtime_exn_t>>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes `nfields` values.
    let made = unsafe { new_exn(store, tag, fields, nfields) };
    give(made.map(|exn| Box::new(wasmtime_exn_t { exn })), exn_ret)
}

/// # Safety
/// `fields` points to `nfields` values.
unsafe fn new_exn(
    store: &mut Store,
    tag: &wasmtime_tag_t,
    fields: *const wasmtime_val_t,
    nfields: usize,
) -> Result<ExnRef, Error> {
    // SAFETY: by the caller, each is in the array.
    let fields = (0..nfields).map(|index| from_c(unsafe { &*fields.add(index) })).collect::<Result<Vec<_>, _>>()?;
    ExnRef::new(store, *tag, &fields)
}

/// How many fields an exception has.
fn field_count(store: &Store, exn: &ExnRef) -> Result<usize, Error> {
    Ok(exn.tag(store)?.ty(store)?.fields().len())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exn_tag(
    store: &mut wasmtime_context_t,
    exn: &wasmtime_exn_t,
    tag_ret: &mut MaybeUninit<wasmtime_tag_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(exn.exn.tag(store), tag_ret)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exn_field_count(store: &mut wasmtime_context_t, exn: &wasmtime_exn_t) -> usize {
    expect("wasmtime_exn_field_count", field_count(store, &exn.exn))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exn_field(
    store: &mut wasmtime_context_t,
    exn: &wasmtime_exn_t,
    index: usize,
    val_ret: &mut MaybeUninit<wasmtime_val_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(exn.exn.field(store, index).map(into_c), val_ret)
}

/// An exception of another store has no way to be refused but the trap itself.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_set_exception(
    store: &mut wasmtime_context_t,
    exn: Box<wasmtime_exn_t>,
) -> Box<wasm_trap_t> {
    give_trap(store.throw(exn.exn).unwrap_or_else(|refused| refused))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_take_exception(
    store: &mut wasmtime_context_t,
    exn_ret: &mut MaybeUninit<Box<wasmtime_exn_t>>,
) -> bool {
    store.take_exception().map(|exn| exn_ret.write(Box::new(wasmtime_exn_t { exn }))).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_has_exception(store: &mut wasmtime_context_t) -> bool {
    store.has_exception()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_exnref_new(
    store: &mut wasmtime_context_t,
    tag: &wasmtime_tag_t,
    fields: *const wasmtime_val_t,
    nfields: usize,
    out: &mut MaybeUninit<wasmtime_exnref_t>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes `nfields` values.
    give(unsafe { new_exn(store, tag, fields, nfields) }.map(|exn| Some(exn).into()), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exnref_from_raw(
    context: &mut wasmtime_context_t,
    raw: u32,
    out: &mut MaybeUninit<wasmtime_exnref_t>,
) {
    out.write(ExnRef::from_raw(context, raw).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exnref_to_raw(context: &mut wasmtime_context_t, exnref: Option<&wasmtime_exnref_t>) -> u32 {
    let exn = exnref.and_then(wasmtime_exnref_t::get);
    exn.map_or(0, |exn| expect("wasmtime_exnref_to_raw", exn.to_lasting_raw(context)))
}

/// The exception behind a reference.
///
/// # Errors
/// Where it is null.
fn need(exnref: Option<&wasmtime_exnref_t>) -> Result<ExnRef, Error> {
    let null = || Error::message("a null reference was given where an exception is needed");
    exnref.and_then(wasmtime_exnref_t::get).ok_or_else(null)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exnref_tag(
    store: &mut wasmtime_context_t,
    exnref: Option<&wasmtime_exnref_t>,
    tag_ret: &mut MaybeUninit<wasmtime_tag_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(need(exnref).and_then(|exn| exn.tag(store)), tag_ret)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exnref_field_count(
    store: &mut wasmtime_context_t,
    exnref: Option<&wasmtime_exnref_t>,
) -> usize {
    let exn = exnref.and_then(wasmtime_exnref_t::get);
    exn.map_or(0, |exn| expect("wasmtime_exnref_field_count", field_count(store, &exn)))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exnref_field(
    store: &mut wasmtime_context_t,
    exnref: Option<&wasmtime_exnref_t>,
    index: usize,
    val_ret: &mut MaybeUninit<wasmtime_val_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(need(exnref).and_then(|exn| exn.field(store, index)).map(into_c), val_ret)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exnref_type(
    store: &mut wasmtime_context_t,
    exnref: Option<&wasmtime_exnref_t>,
) -> Option<Box<wasmtime_exn_type_t>> {
    let exn = exnref.and_then(wasmtime_exnref_t::get)?;
    match exn.tag(store).and_then(|tag| tag.declared_type(store).cloned()) {
        Ok(ty) => Some(Box::new(wasmtime_exn_type_t { ty })),
        Err(error) => misuse("wasmtime_exnref_type", &error.to_string()),
    }
}
