//! `wasmtime/val.h`: values that cross between host and guest.
//!
//! A `wasmtime_val_t` that C owns holds one count of each reference in it. [`from_c`] reads such a value without touching it,
//! [`take_from_c`] takes it over, [`into_c`] gives one.

use crate::boundary::{expect, misuse};
use crate::external::wasmtime_func_t;
use crate::foreign::{Finalizer, Foreign};
use crate::store::wasmtime_context_t;
use ampoule::gc::externref::UNROOTED;
use ampoule::{Error, ExnRef, ExternRef, I31, Val};
use ampoule_core::vm::{VmVal, VmValRaw, VmValUnion};
use std::ffi::c_void;
use std::mem::{self, MaybeUninit};
use std::ptr;

/// A value with its kind.
pub type wasmtime_val_t = VmVal;
/// A value without its kind.
pub type wasmtime_val_raw_t = VmValRaw;

/// An `anyref`: null, or a 31-bit integer, which is the only value of this type that needs no collected heap.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wasmtime_anyref_t {
    store_id: u64,
    /// The reference as guest code holds it.
    raw: u32,
    private2: u32,
    private3: *const (),
}

impl wasmtime_anyref_t {
    /// Null.
    pub const NULL: Self = Self { store_id: 0, raw: 0, private2: 0, private3: ptr::null() };

    /// In place of a store's id: integers are of every store.
    const EVERY_STORE: u64 = u64::MAX;

    /// The integer; `None` for null.
    pub(crate) fn get(&self) -> Option<I31> {
        if self.store_id == 0 { None } else { I31::from_raw(self.raw) }
    }
}

impl From<Option<I31>> for wasmtime_anyref_t {
    fn from(value: Option<I31>) -> Self {
        value.map_or(Self::NULL, |value| Self { store_id: Self::EVERY_STORE, raw: value.to_raw(), ..Self::NULL })
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_clone(anyref: Option<&wasmtime_anyref_t>, out: &mut MaybeUninit<wasmtime_anyref_t>) {
    out.write(anyref.map_or(wasmtime_anyref_t::NULL, |anyref| *anyref));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_unroot(value: Option<&mut wasmtime_anyref_t>) {
    if let Some(value) = value {
        *value = wasmtime_anyref_t::NULL;
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_from_raw(
    _context: &mut wasmtime_context_t,
    raw: u32,
    out: &mut MaybeUninit<wasmtime_anyref_t>,
) {
    out.write(I31::from_raw(raw).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_to_raw(_context: &mut wasmtime_context_t, value: Option<&wasmtime_anyref_t>) -> u32 {
    value.and_then(wasmtime_anyref_t::get).map_or(0, I31::to_raw)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_from_i31(
    _context: &mut wasmtime_context_t,
    i31val: u32,
    out: &mut MaybeUninit<wasmtime_anyref_t>,
) {
    out.write(Some(I31::wrapping(i31val)).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_is_i31(
    _context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
) -> bool {
    anyref.and_then(wasmtime_anyref_t::get).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_i31_get_u(
    _context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
    dst: &mut MaybeUninit<u32>,
) -> bool {
    anyref.and_then(wasmtime_anyref_t::get).map(|value| dst.write(value.get_u())).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_i31_get_s(
    _context: &mut wasmtime_context_t,
    anyref: Option<&wasmtime_anyref_t>,
    dst: &mut MaybeUninit<i32>,
) -> bool {
    anyref.and_then(wasmtime_anyref_t::get).map(|value| dst.write(value.get_s())).is_some()
}

/// The type of references of one kind that C holds, or null: a handle of the engine's in words.
macro_rules! root_of {
    ($handle:ident, $name:ident, $of:literal) => {
        #[doc = $of]
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub struct $name {
            store_id: u64,
            private1: u32,
            private2: u32,
            private3: *const (),
        }

        const _: () = assert!(size_of::<$name>() == size_of::<[u64; 3]>());

        impl $name {
            /// Null.
            pub const NULL: Self = Self { store_id: 0, private1: 0, private2: 0, private3: ptr::null() };

            fn is_null(&self) -> bool {
                self.store_id == 0 || self.private3.is_null()
            }

            /// Another handle like this one, which stays C's.
            pub(crate) fn get(&self) -> Option<$handle> {
                self.check_rooted();
                // SAFETY: what isn't null was given by `from`, and C has not given it back.
                (!self.is_null()).then(|| unsafe { $handle::clone_words(self.store_id, self.private3) })
            }

            /// Ends the process where C has given this handle back already, as far as that can be told.
            fn check_rooted(&self) {
                // SAFETY: what isn't null was given by `from`.
                if !self.is_null() && !unsafe { $handle::words_are_rooted(self.private3) } {
                    misuse(stringify!($name), UNROOTED);
                }
            }

            /// This handle, which C gives up; null is left behind.
            fn take(&mut self) -> Option<$handle> {
                self.check_rooted();
                let taken = mem::replace(self, Self::NULL);
                // SAFETY: as in `get`, and the words are forgotten.
                (!taken.is_null()).then(|| unsafe { $handle::from_words(taken.store_id, taken.private3) })
            }
        }

        impl From<Option<$handle>> for $name {
            fn from(value: Option<$handle>) -> Self {
                value.map_or(Self::NULL, |value| {
                    let (store_id, word) = value.into_words();
                    Self { store_id, private1: 0, private2: 0, private3: word }
                })
            }
        }
    };
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
    let made = ExternRef::new(context, Box::new(Foreign::new(data, finalizer)));
    made.map(|made| out.write(Some(made).into())).is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_externref_data(
    context: &mut wasmtime_context_t,
    data: Option<&wasmtime_externref_t>,
) -> *mut c_void {
    let Some(value) = data.and_then(wasmtime_externref_t::get) else { return ptr::null_mut() };
    let value = expect("wasmtime_externref_data", value.data(context));
    value.downcast_ref::<Foreign>().map_or(ptr::null_mut(), Foreign::data)
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
    value.map_or(0, |value| expect("wasmtime_externref_to_raw", value.to_raw(context)))
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
    match val.kind {
        VmVal::KIND_EXTERNREF => drop(payload_mut::<wasmtime_externref_t>(val).take()),
        VmVal::KIND_EXNREF => drop(payload_mut::<wasmtime_exnref_t>(val).take()),
        _ => {}
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_val_clone(src: &wasmtime_val_t, dst: &mut MaybeUninit<wasmtime_val_t>) {
    let copy = dst.write(*src);
    // The bits are the source's handle: another one takes their place.
    match src.kind {
        VmVal::KIND_EXTERNREF => {
            let value = payload_mut::<wasmtime_externref_t>(copy);
            *value = value.get().into();
        }
        VmVal::KIND_EXNREF => {
            let value = payload_mut::<wasmtime_exnref_t>(copy);
            *value = value.get().into();
        }
        _ => {}
    }
}

/// What a value may hold beside numbers.
trait Payload: Copy {
    const KIND: u8;
}

impl Payload for wasmtime_func_t {
    const KIND: u8 = VmVal::KIND_FUNCREF;
}

impl Payload for wasmtime_externref_t {
    const KIND: u8 = VmVal::KIND_EXTERNREF;
}

impl Payload for wasmtime_anyref_t {
    const KIND: u8 = VmVal::KIND_ANYREF;
}

impl Payload for wasmtime_exnref_t {
    const KIND: u8 = VmVal::KIND_EXNREF;
}

/// The reference in a value of that kind.
fn payload<T: Payload>(val: &VmVal) -> &T {
    const { assert!(size_of::<T>() <= size_of::<VmValUnion>() && align_of::<T>() <= align_of::<VmValUnion>()) };
    debug_assert_eq!(val.kind, T::KIND);
    // SAFETY: the payload is as large and as aligned, and by its kind holds such a reference.
    unsafe { &*(&raw const val.of).cast() }
}

/// As [`payload`], to change it.
fn payload_mut<T: Payload>(val: &mut VmVal) -> &mut T {
    const { assert!(size_of::<T>() <= size_of::<VmValUnion>() && align_of::<T>() <= align_of::<VmValUnion>()) };
    debug_assert_eq!(val.kind, T::KIND);
    // SAFETY: as in `payload`.
    unsafe { &mut *(&raw mut val.of).cast() }
}

/// A value with this reference.
#[inline]
fn of_payload<T: Payload>(reference: T) -> VmVal {
    let mut val = VmVal { kind: T::KIND, of: VmValUnion { words: [0; 3] } };
    *payload_mut(&mut val) = reference;
    val
}

/// A value that stays C's.
///
/// # Errors
/// Where its kind is unknown.
pub fn from_c(val: &wasmtime_val_t) -> Result<Val, Error> {
    // SAFETY: every bit pattern is a value of the number types; C says by the kind which member it has filled in.
    unsafe {
        Ok(match val.kind {
            VmVal::KIND_I32 => Val::I32(val.of.i32),
            VmVal::KIND_I64 => Val::I64(val.of.i64),
            VmVal::KIND_F32 => Val::F32(val.of.f32),
            VmVal::KIND_F64 => Val::F64(val.of.f64),
            VmVal::KIND_V128 => Val::V128(u128::from_le_bytes(val.of.v128)),
            VmVal::KIND_FUNCREF => Val::FuncRef(payload::<wasmtime_func_t>(val).get().copied()),
            VmVal::KIND_EXTERNREF => Val::ExternRef(payload::<wasmtime_externref_t>(val).get()),
            VmVal::KIND_ANYREF => Val::AnyRef(payload::<wasmtime_anyref_t>(val).get()),
            VmVal::KIND_EXNREF => Val::ExnRef(payload::<wasmtime_exnref_t>(val).get()),
            kind => return Err(Error::message(format!("{kind} is not the kind of a value"))),
        })
    }
}

/// A value that C gives up.
///
/// # Errors
/// See [`from_c`].
pub fn take_from_c(mut val: wasmtime_val_t) -> Result<Val, Error> {
    match val.kind {
        VmVal::KIND_EXTERNREF => Ok(Val::ExternRef(payload_mut::<wasmtime_externref_t>(&mut val).take())),
        VmVal::KIND_EXNREF => Ok(Val::ExnRef(payload_mut::<wasmtime_exnref_t>(&mut val).take())),
        _ => from_c(&val),
    }
}

/// A value for C, which owns the reference in it.
#[inline]
pub fn into_c(val: Val) -> wasmtime_val_t {
    let of = |kind, of| VmVal { kind, of };
    match val {
        Val::I32(i32) => of(VmVal::KIND_I32, VmValUnion { i32 }),
        Val::I64(i64) => of(VmVal::KIND_I64, VmValUnion { i64 }),
        Val::F32(f32) => of(VmVal::KIND_F32, VmValUnion { f32 }),
        Val::F64(f64) => of(VmVal::KIND_F64, VmValUnion { f64 }),
        Val::V128(bits) => of(VmVal::KIND_V128, VmValUnion { v128: bits.to_le_bytes() }),
        Val::FuncRef(func) => of_payload(func.map_or(wasmtime_func_t::NULL, wasmtime_func_t::from)),
        Val::ExternRef(value) => of_payload(wasmtime_externref_t::from(value)),
        Val::AnyRef(value) => of_payload(wasmtime_anyref_t::from(value)),
        Val::ExnRef(value) => of_payload(wasmtime_exnref_t::from(value)),
    }
}
