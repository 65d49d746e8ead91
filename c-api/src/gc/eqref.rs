//! References to what can be compared, and what is asked of any reference: whether it is an integer or can be compared.

use crate::boundary::expect;
use crate::store::wasmtime_context_t;
use crate::types::wasmtime_heaptype_t;
use crate::val::{root_of, wasmtime_anyref_t};
use ampoule::{AnyRef, EqRef, I31};
use ampoule_core::vm::VmRef;
use std::mem::MaybeUninit;

root_of!(EqRef, wasmtime_eqref_t, "An `eqref`: of all `anyref`s those that can be compared.");

impl wasmtime_eqref_t {
    /// The same as an `anyref`; `None` for null.
    pub(super) fn any(&self) -> Option<AnyRef> {
        self.get().map(AnyRef::from)
    }

    fn as_i31(&self) -> Option<I31> {
        self.any()?.as_i31()
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_clone(eqref: Option<&wasmtime_eqref_t>, out: &mut MaybeUninit<wasmtime_eqref_t>) {
    out.write(eqref.and_then(wasmtime_eqref_t::get).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_unroot(eqref: Option<&mut wasmtime_eqref_t>) {
    drop(eqref.and_then(wasmtime_eqref_t::take));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_to_anyref(eqref: Option<&wasmtime_eqref_t>, out: &mut MaybeUninit<wasmtime_anyref_t>) {
    out.write(eqref.and_then(wasmtime_eqref_t::any).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_from_i31(
    _context: &mut wasmtime_context_t,
    i31val: u32,
    out: &mut MaybeUninit<wasmtime_eqref_t>,
) {
    out.write(Some(EqRef::from(I31::wrapping(i31val))).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_is_i31(_context: &mut wasmtime_context_t, eqref: Option<&wasmtime_eqref_t>) -> bool {
    eqref.and_then(wasmtime_eqref_t::as_i31).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_i31_get_u(
    _context: &mut wasmtime_context_t,
    eqref: Option<&wasmtime_eqref_t>,
    dst: &mut MaybeUninit<u32>,
) -> bool {
    eqref.and_then(wasmtime_eqref_t::as_i31).map(|value| dst.write(value.get_u())).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_i31_get_s(
    _context: &mut wasmtime_context_t,
    eqref: Option<&wasmtime_eqref_t>,
    dst: &mut MaybeUninit<i32>,
) -> bool {
    eqref.and_then(wasmtime_eqref_t::as_i31).map(|value| dst.write(value.get_s())).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_type(
    context: &mut wasmtime_context_t,
    eqref: Option<&wasmtime_eqref_t>,
    out: &mut MaybeUninit<wasmtime_heaptype_t>,
) -> bool {
    let ty = type_of("wasmtime_eqref_type", context, eqref.and_then(wasmtime_eqref_t::any));
    ty.map(|ty| out.write(ty)).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_type(
    context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
    out: &mut MaybeUninit<wasmtime_heaptype_t>,
) -> bool {
    let ty = type_of("wasmtime_anyref_type", context, anyref.and_then(wasmtime_anyref_t::get));
    ty.map(|ty| out.write(ty)).is_some()
}

/// The type of a reference; null has none.
fn type_of(function: &str, context: &wasmtime_context_t, value: Option<AnyRef>) -> Option<wasmtime_heaptype_t> {
    let value = value?;
    let heap = expect(function, value.heap_type(context));
    Some(wasmtime_heaptype_t::of(heap, expect(function, value.declared_type(context)).as_ref()))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_is_eqref(
    context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
) -> bool {
    as_eq("wasmtime_anyref_is_eqref", context, anyref).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_as_eqref(
    context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
    out: &mut MaybeUninit<wasmtime_eqref_t>,
) -> bool {
    let found = as_eq("wasmtime_anyref_as_eqref", context, anyref);
    let is_one = found.is_some();
    out.write(found.into());
    is_one
}

fn as_eq(function: &str, context: &wasmtime_context_t, anyref: Option<&wasmtime_anyref_t>) -> Option<EqRef> {
    expect(function, anyref.and_then(wasmtime_anyref_t::get)?.as_eq(context))
}
