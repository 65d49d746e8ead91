//! Values of the portable API.

use super::object::wasm_ref_t;
use super::store::StoreRef;
use super::valtype::{NO_KIND, WASM_EXTERNREF, WASM_F32, WASM_F64, WASM_FUNCREF, WASM_I32, WASM_I64, wasm_valkind_t};
use crate::own::{Own, Vector};
use ampoule::{Error, HeapType, Store, Val, ValType, VmValRaw};
use std::mem::{ManuallyDrop, MaybeUninit};

/// A value with its kind. It owns the reference in it.
#[repr(C)]
pub struct wasm_val_t {
    kind: wasm_valkind_t,
    of: wasm_val_union,
}

/// The value in a [`wasm_val_t`].
#[repr(C)]
union wasm_val_union {
    i32: i32,
    i64: i64,
    f32: u32,
    f64: u64,
    ref_: ManuallyDrop<Option<Box<wasm_ref_t>>>,
}

impl wasm_val_t {
    /// What stands for a value that it can't hold.
    pub(crate) const NONE: Self = Self { kind: NO_KIND, of: wasm_val_union { i64: 0 } };

    fn is_ref(&self) -> bool {
        matches!(self.kind, WASM_EXTERNREF | WASM_FUNCREF)
    }

    /// The value, which stays where it is.
    ///
    /// # Errors
    /// Where its kind is unknown, or its reference of another kind or store.
    pub(crate) fn get(&self, store: &StoreRef) -> Result<Val, Error> {
        // SAFETY: C says by the kind which member it has filled in; a reference is null or one that the library gave.
        unsafe {
            match self.kind {
                WASM_I32 => Ok(Val::I32(self.of.i32)),
                WASM_I64 => Ok(Val::I64(self.of.i64)),
                WASM_F32 => Ok(Val::F32(self.of.f32)),
                WASM_F64 => Ok(Val::F64(self.of.f64)),
                WASM_EXTERNREF | WASM_FUNCREF => match &*self.of.ref_ {
                    Some(value) => value.val_for(store),
                    None if self.kind == WASM_FUNCREF => Ok(Val::FuncRef(None)),
                    None => Ok(Val::ExternRef(None)),
                },
                kind => Err(Error::message(format!("{kind} is not the kind of a value here"))),
            }
        }
    }

    /// Writes the value as guest code holds it where it is a number of this type; false where it isn't.
    #[inline]
    pub(crate) fn write_number(&self, ty: ValType, raw: &mut VmValRaw) -> bool {
        // SAFETY: as in `get`.
        unsafe {
            match (self.kind, ty) {
                (WASM_I32, ValType::I32) => raw.i32 = self.of.i32,
                (WASM_I64, ValType::I64) => raw.i64 = self.of.i64,
                (WASM_F32, ValType::F32) => raw.f32 = self.of.f32,
                (WASM_F64, ValType::F64) => raw.f64 = self.of.f64,
                _ => return false,
            }
        }
        true
    }

    /// The value that guest code holds as `raw`.
    ///
    /// # Errors
    /// Where `wasm_val_t` can't hold it, see [`wasm_val_t::check_holds`].
    ///
    /// # Safety
    /// As for [`Val::from_raw`]. `inner` is the store.
    #[inline]
    pub(crate) unsafe fn from_raw(
        store: &StoreRef,
        inner: &mut Store,
        raw: &VmValRaw,
        ty: ValType,
    ) -> Result<Self, Error> {
        // SAFETY: by the caller.
        unsafe {
            Ok(match ty {
                ValType::I32 => Self { kind: WASM_I32, of: wasm_val_union { i32: raw.i32 } },
                ValType::I64 => Self { kind: WASM_I64, of: wasm_val_union { i64: raw.i64 } },
                ValType::F32 => Self { kind: WASM_F32, of: wasm_val_union { f32: raw.f32 } },
                ValType::F64 => Self { kind: WASM_F64, of: wasm_val_union { f64: raw.f64 } },
                ValType::V128 | ValType::Ref(_) => return Self::new(store, Val::from_raw(inner, raw, ty)),
            })
        }
    }

    /// Refuses the types whose values it can't hold.
    #[inline]
    pub(crate) fn check_holds(ty: ValType) -> Result<(), Error> {
        match ty {
            ValType::V128 => Err(Error::message("a vector doesn't fit a value of the portable API")),
            ValType::Ref(ty) if !matches!(ty.top(), HeapType::Func | HeapType::Extern) => {
                Err(Error::message("the portable API has no references of this kind"))
            }
            _ => Ok(()),
        }
    }

    /// A value for C.
    ///
    /// # Errors
    /// Where `wasm_val_t` can't hold it, see [`wasm_val_t::check_holds`].
    pub(crate) fn new(store: &StoreRef, val: Val) -> Result<Self, Error> {
        let of_ref = |value: Option<Box<wasm_ref_t>>| wasm_val_union { ref_: ManuallyDrop::new(value) };
        let (kind, of) = match val {
            Val::I32(i32) => (WASM_I32, wasm_val_union { i32 }),
            Val::I64(i64) => (WASM_I64, wasm_val_union { i64 }),
            Val::F32(f32) => (WASM_F32, wasm_val_union { f32 }),
            Val::F64(f64) => (WASM_F64, wasm_val_union { f64 }),
            Val::FuncRef(_) => (WASM_FUNCREF, of_ref(wasm_ref_t::new(store, val))),
            Val::ExternRef(_) => (WASM_EXTERNREF, of_ref(wasm_ref_t::new(store, val))),
            Val::AnyRef(_) => return Err(Self::check_holds(ValType::ANYREF).expect_err("there is no room for it")),
            Val::ExnRef(_) => return Err(Self::check_holds(ValType::EXNREF).expect_err("there is no room for it")),
            Val::V128(_) => return Err(Self::check_holds(ValType::V128).expect_err("there is no room for it")),
        };
        Ok(Self { kind, of })
    }
}

/// The value that vectors begin with; it owns nothing.
impl Default for wasm_val_t {
    fn default() -> Self {
        Self { kind: WASM_I32, of: wasm_val_union { i64: 0 } }
    }
}

impl Clone for wasm_val_t {
    fn clone(&self) -> Self {
        // SAFETY: as in `get`; any other member is plain bits, of which the widest has eight bytes.
        let of = unsafe {
            match self.is_ref() {
                true => wasm_val_union { ref_: ManuallyDrop::new((*self.of.ref_).clone()) },
                false => wasm_val_union { i64: self.of.i64 },
            }
        };
        Self { kind: self.kind, of }
    }
}

impl Drop for wasm_val_t {
    fn drop(&mut self) {
        if self.is_ref() {
            // SAFETY: the kind says which member counts; the reference is the value's own, and null from now on.
            unsafe { drop((*self.of.ref_).take()) };
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_val_delete(v: &mut wasm_val_t) {
    *v = wasm_val_t::default();
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_val_copy(out: &mut MaybeUninit<wasm_val_t>, src: &wasm_val_t) {
    out.write(src.clone());
}

/// A vector of values.
pub type wasm_val_vec_t = Vector<wasm_val_t>;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_val_vec_new_empty(out: &mut MaybeUninit<wasm_val_vec_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_val_vec_new_uninitialized(out: &mut MaybeUninit<wasm_val_vec_t>, size: usize) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_val_vec_new(out: &mut MaybeUninit<wasm_val_vec_t>, size: usize, data: *const wasm_val_t) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_val_vec_copy(out: &mut MaybeUninit<wasm_val_vec_t>, src: Option<&wasm_val_vec_t>) {
    src.cloned().unwrap_or_default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_val_vec_delete(vec: &mut wasm_val_vec_t) {
    drop(vec.take());
}
