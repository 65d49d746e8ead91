//! `wasmtime/val.h`: values that cross between host and guest.
//!
//! A `wasmtime_val_t` that C owns holds one count of each reference in it. [`from_c`] reads such a value without touching it,
//! [`take_from_c`] takes it over, [`into_c`] gives one.

use crate::boundary::expect;
use crate::foreign::{Finalizer, Foreign};
use crate::store::wasmtime_context_t;
use ampoule::{AnyRef, Error, ExnRef, ExternRef, I31, Val};
use ampoule_core::vm::{VmRef, VmVal, VmValRaw};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// A value with its kind.
pub type wasmtime_val_t = VmVal;
/// A value without its kind.
pub type wasmtime_val_raw_t = VmValRaw;

/// The type of references of one kind that C holds, or null: a handle of the engine's in words.
macro_rules! root_of {
    ($handle:ident, $name:ident, $of:literal) => {
        #[doc = $of]
        #[repr(transparent)]
        #[derive(Clone, Copy)]
        pub struct $name(VmRef);

        impl $name {
            /// Another handle like this one, which stays C's.
            pub(crate) fn get(&self) -> Option<$handle> {
                // SAFETY: the library has given the handle.
                unsafe { $handle::clone_vm(&self.0) }
            }

            /// This handle, which C gives up; null is left behind.
            pub(crate) fn take(&mut self) -> Option<$handle> {
                // SAFETY: as in `get`.
                unsafe { $handle::take_vm(&mut self.0) }
            }
        }

        impl From<Option<$handle>> for $name {
            #[inline]
            fn from(value: Option<$handle>) -> Self {
                Self($handle::into_vm(value))
            }
        }
    };
}

pub(crate) use root_of;

root_of!(AnyRef, wasmtime_anyref_t, "An object, a 31-bit integer, or null.");

impl wasmtime_anyref_t {
    fn as_i31(&self) -> Option<I31> {
        self.get()?.as_i31()
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_clone(anyref: Option<&wasmtime_anyref_t>, out: &mut MaybeUninit<wasmtime_anyref_t>) {
    out.write(anyref.and_then(wasmtime_anyref_t::get).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_unroot(value: Option<&mut wasmtime_anyref_t>) {
    drop(value.and_then(wasmtime_anyref_t::take));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_from_raw(
    context: &mut wasmtime_context_t,
    raw: u32,
    out: &mut MaybeUninit<wasmtime_anyref_t>,
) {
    out.write(AnyRef::from_raw(context, raw).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_to_raw(context: &mut wasmtime_context_t, value: Option<&wasmtime_anyref_t>) -> u32 {
    let value = value.and_then(wasmtime_anyref_t::get);
    value.map_or(0, |value| expect("wasmtime_anyref_to_raw", value.to_lasting_raw(context)))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_from_i31(
    _context: &mut wasmtime_context_t,
    i31val: u32,
    out: &mut MaybeUninit<wasmtime_anyref_t>,
) {
    out.write(Some(AnyRef::from(I31::wrapping(i31val))).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_is_i31(
    _context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
) -> bool {
    anyref.and_then(wasmtime_anyref_t::as_i31).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_i31_get_u(
    _context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
    dst: &mut MaybeUninit<u32>,
) -> bool {
    anyref.and_then(wasmtime_anyref_t::as_i31).map(|value| dst.write(value.get_u())).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_i31_get_s(
    _context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
    dst: &mut MaybeUninit<i32>,
) -> bool {
    anyref.and_then(wasmtime_anyref_t::as_i31).map(|value| dst.write(value.get_s())).is_some()
}

root_of!(ExternRef, wasmtime_externref_t, "A reference to something of the host's, or null.");
root_of!(ExnRef, wasmtime_exnref_t, "An exception, or null.");

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_externref_new(
    context: &mut wasmtime_context_t,
    data: *mut c_void,
    finalizer: Finalizer,
    out: &mut MaybeUninit<wasmtime_externref_t>,
) -> bool {
    let made = ExternRef::of_foreign(context, Foreign::new(data, finalizer));
    made.map(|made| out.write(Some(made).into())).is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_externref_data(
    context: &mut wasmtime_context_t,
    data: Option<&wasmtime_externref_t>,
) -> *mut c_void {
    let Some(value) = data.and_then(wasmtime_externref_t::get) else { return ptr::null_mut() };
    let value = expect("wasmtime_externref_data", value.data(context));
    value.and_then(|value| value.downcast_ref::<Foreign>()).map_or(ptr::null_mut(), Foreign::data)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_externref_clone(
    value: Option<&wasmtime_externref_t>,
    out: &mut MaybeUninit<wasmtime_externref_t>,
) {
    out.write(value.and_then(wasmtime_externref_t::get).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_externref_unroot(value: Option<&mut wasmtime_externref_t>) {
    drop(value.and_then(wasmtime_externref_t::take));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_externref_from_raw(
    context: &mut wasmtime_context_t,
    raw: u32,
    out: &mut MaybeUninit<wasmtime_externref_t>,
) {
    out.write(ExternRef::from_raw(context, raw).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_externref_to_raw(
    context: &mut wasmtime_context_t,
    value: Option<&wasmtime_externref_t>,
) -> u32 {
    let value = value.and_then(wasmtime_externref_t::get);
    value.map_or(0, |value| expect("wasmtime_externref_to_raw", value.to_lasting_raw(context)))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exnref_clone(exnref: Option<&wasmtime_exnref_t>, out: &mut MaybeUninit<wasmtime_exnref_t>) {
    out.write(exnref.and_then(wasmtime_exnref_t::get).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exnref_unroot(value: Option<&mut wasmtime_exnref_t>) {
    drop(value.and_then(wasmtime_exnref_t::take));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_val_unroot(val: &mut wasmtime_val_t) {
    // What is of no known kind owns nothing.
    drop(take_from_c(val));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_val_clone(src: &wasmtime_val_t, dst: &mut MaybeUninit<wasmtime_val_t>) {
    dst.write(clone_of(src));
}

/// A value like this one, which stays C's. What is of no known kind is copied as it is.
pub fn clone_of(val: &wasmtime_val_t) -> wasmtime_val_t {
    from_c(val).map_or(*val, into_c)
}

/// A value that stays C's.
///
/// # Errors
/// Where its kind is unknown.
pub fn from_c(val: &wasmtime_val_t) -> Result<Val, Error> {
    // SAFETY: the references that C has are those that the library gave.
    unsafe { Val::from_vm(val) }
}

/// A value that C gives up.
///
/// # Errors
/// See [`from_c`].
pub fn take_from_c(val: &mut wasmtime_val_t) -> Result<Val, Error> {
    // SAFETY: as in `from_c`.
    unsafe { Val::take_vm(val) }
}

/// A value for C, which owns the reference in it.
#[inline]
pub fn into_c(val: Val) -> wasmtime_val_t {
    val.into_vm()
}
