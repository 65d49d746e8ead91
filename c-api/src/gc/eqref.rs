//! References to what can be compared, and what is asked of any reference: whether it is an integer or can be compared.

use crate::store::wasmtime_context_t;
use crate::types::wasmtime_heaptype_t;
use crate::val::wasmtime_anyref_t;
use ampoule::{HeapType, I31};
use std::mem::MaybeUninit;

/// An `eqref`: of all `anyref`s those that can be compared.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct wasmtime_eqref_t(wasmtime_anyref_t);

impl wasmtime_eqref_t {
    /// Null.
    pub const NULL: Self = Self(wasmtime_anyref_t::NULL);

    fn get(&self) -> Option<I31> {
        self.0.get()
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_clone(eqref: Option<&wasmtime_eqref_t>, out: &mut MaybeUninit<wasmtime_eqref_t>) {
    out.write(eqref.map_or(wasmtime_eqref_t::NULL, |eqref| *eqref));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_unroot(eqref: Option<&mut wasmtime_eqref_t>) {
    if let Some(eqref) = eqref {
        *eqref = wasmtime_eqref_t::NULL;
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_to_anyref(eqref: Option<&wasmtime_eqref_t>, out: &mut MaybeUninit<wasmtime_anyref_t>) {
    out.write(eqref.map_or(wasmtime_anyref_t::NULL, |eqref| eqref.0));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_from_i31(
    _context: &mut wasmtime_context_t,
    i31val: u32,
    out: &mut MaybeUninit<wasmtime_eqref_t>,
) {
    out.write(wasmtime_eqref_t(Some(I31::wrapping(i31val)).into()));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_is_i31(_context: &mut wasmtime_context_t, eqref: Option<&wasmtime_eqref_t>) -> bool {
    eqref.and_then(wasmtime_eqref_t::get).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_i31_get_u(
    _context: &mut wasmtime_context_t,
    eqref: Option<&wasmtime_eqref_t>,
    dst: &mut MaybeUninit<u32>,
) -> bool {
    eqref.and_then(wasmtime_eqref_t::get).map(|value| dst.write(value.get_u())).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_i31_get_s(
    _context: &mut wasmtime_context_t,
    eqref: Option<&wasmtime_eqref_t>,
    dst: &mut MaybeUninit<i32>,
) -> bool {
    eqref.and_then(wasmtime_eqref_t::get).map(|value| dst.write(value.get_s())).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_type(
    _context: &mut wasmtime_context_t,
    eqref: Option<&wasmtime_eqref_t>,
    out: &mut MaybeUninit<wasmtime_heaptype_t>,
) -> bool {
    heap_type(eqref.and_then(wasmtime_eqref_t::get), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_type(
    _context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
    out: &mut MaybeUninit<wasmtime_heaptype_t>,
) -> bool {
    heap_type(anyref.and_then(wasmtime_anyref_t::get), out)
}

/// Gives the type of a reference; null has none.
fn heap_type(value: Option<I31>, out: &mut MaybeUninit<wasmtime_heaptype_t>) -> bool {
    value.map(|_| out.write(wasmtime_heaptype_t::of(HeapType::I31, None))).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_is_eqref(
    _context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
) -> bool {
    anyref.and_then(wasmtime_anyref_t::get).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_as_eqref(
    _context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
    out: &mut MaybeUninit<wasmtime_eqref_t>,
) -> bool {
    let value = anyref.and_then(wasmtime_anyref_t::get);
    out.write(wasmtime_eqref_t(value.into()));
    value.is_some()
}
