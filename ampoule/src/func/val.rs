//! Values as the embedder holds them.

use crate::error::Error;
use crate::func::Func;
use crate::gc::exnref::ExnRef;
use crate::gc::externref::ExternRef;
use crate::gc::i31::I31;
use crate::store::Store;
use ampoule_core::types::{RefType, ValType};
use ampoule_core::vm::{VmFuncRef, VmValRaw};

/// A value. References belong to the store they came from.
#[derive(Clone, Debug)]
pub enum Val {
    /// `i32`.
    I32(i32),
    /// `i64`.
    I64(i64),
    /// Bits of an `f32`.
    F32(u32),
    /// Bits of an `f64`.
    F64(u64),
    /// `v128`, lane 0 in the least significant bits.
    V128(u128),
    /// A function, or null.
    FuncRef(Option<Func>),
    /// A value of the host, or null.
    ExternRef(Option<ExternRef>),
    /// A 31-bit integer, or null: of all `anyref`s those that need no heap.
    AnyRef(Option<I31>),
    /// An exception, or null.
    ExnRef(Option<ExnRef>),
}

impl PartialEq for Val {
    /// Equality of numbers, by bits; of references, by identity.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Val::I32(a), Val::I32(b)) => a == b,
            (Val::I64(a), Val::I64(b)) => a == b,
            (Val::F32(a), Val::F32(b)) => a == b,
            (Val::F64(a), Val::F64(b)) => a == b,
            (Val::V128(a), Val::V128(b)) => a == b,
            (Val::FuncRef(a), Val::FuncRef(b)) => a == b,
            (Val::ExternRef(a), Val::ExternRef(b)) => a == b,
            (Val::AnyRef(a), Val::AnyRef(b)) => a == b,
            (Val::ExnRef(a), Val::ExnRef(b)) => a == b,
            _ => false,
        }
    }
}

impl Val {
    /// The type: for references the smallest that has this value and, but for null, is not a bottom type.
    pub fn ty(&self) -> ValType {
        match self {
            Val::I32(_) => ValType::I32,
            Val::I64(_) => ValType::I64,
            Val::F32(_) => ValType::F32,
            Val::F64(_) => ValType::F64,
            Val::V128(_) => ValType::V128,
            Val::FuncRef(_) => ValType::FUNCREF,
            Val::ExternRef(_) => ValType::EXTERNREF,
            Val::AnyRef(Some(_)) => ValType::Ref(RefType::I31),
            Val::AnyRef(None) => ValType::ANYREF,
            Val::ExnRef(_) => ValType::EXNREF,
        }
    }

    /// Zero or null of this type.
    pub fn default_for(ty: ValType) -> Val {
        match ty {
            ValType::I32 => Val::I32(0),
            ValType::I64 => Val::I64(0),
            ValType::F32 => Val::F32(0),
            ValType::F64 => Val::F64(0),
            ValType::V128 => Val::V128(0),
            ValType::Ref(ty) => match ty.top() {
                RefType::Func => Val::FuncRef(None),
                RefType::Extern => Val::ExternRef(None),
                RefType::Exn => Val::ExnRef(None),
                _ => Val::AnyRef(None),
            },
        }
    }

    /// The value as guest code holds it.
    ///
    /// # Errors
    /// Where it is a reference of another store.
    pub fn to_raw(&self, store: &Store) -> Result<VmValRaw, Error> {
        let mut raw = VmValRaw { v128: [0; 16] };
        match self {
            Val::I32(value) => raw.i32 = *value,
            Val::I64(value) => raw.i64 = *value,
            Val::F32(bits) => raw.f32 = *bits,
            Val::F64(bits) => raw.f64 = *bits,
            Val::V128(value) => raw.v128 = value.to_le_bytes(),
            Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(None) | Val::ExnRef(None) => {}
            Val::FuncRef(Some(func)) => raw.funcref = func.to_raw(store)?.cast(),
            Val::ExternRef(Some(value)) => raw.externref = value.to_raw(store)?,
            Val::AnyRef(Some(value)) => raw.anyref = value.to_raw(),
            Val::ExnRef(Some(exn)) => raw.exnref = exn.to_raw(store)?,
        }
        Ok(raw)
    }

    /// The value as guest code holds it, for a parameter of this type.
    ///
    /// # Errors
    /// Where it is of another type or store.
    #[inline]
    pub fn to_argument(&self, store: &Store, expected: ValType) -> Result<VmValRaw, Error> {
        let raw = self.check_type(expected).and_then(|()| self.to_raw(store));
        raw.map_err(|error| error.of("argument type mismatch"))
    }

    /// The value that guest code holds as `raw`.
    ///
    /// # Safety
    /// `raw` holds a value of type `ty` of this store: a `funcref` in it is null or a `VmFuncRef` of the store. A
    /// reference of another kind is checked.
    pub unsafe fn from_raw(store: &mut Store, raw: &VmValRaw, ty: ValType) -> Val {
        // SAFETY: every bit pattern is a value of the number types; for `funcref` by the caller.
        unsafe {
            match ty {
                ValType::I32 => Val::I32(raw.i32),
                ValType::I64 => Val::I64(raw.i64),
                ValType::F32 => Val::F32(raw.f32),
                ValType::F64 => Val::F64(raw.f64),
                ValType::V128 => Val::V128(u128::from_le_bytes(raw.v128)),
                ValType::Ref(ty) => match ty.top() {
                    RefType::Func => Val::FuncRef(Func::from_raw(store, raw.funcref.cast::<VmFuncRef>())),
                    RefType::Extern => Val::ExternRef(ExternRef::from_raw(store, raw.externref)),
                    RefType::Exn => Val::ExnRef(ExnRef::from_raw(store, raw.exnref)),
                    _ => Val::AnyRef(I31::from_raw(raw.anyref)),
                },
            }
        }
    }

    /// Refuses a value of another type.
    pub(crate) fn check_type(&self, expected: ValType) -> Result<(), Error> {
        if self.ty() == expected || self.fits(expected) {
            return Ok(());
        }
        Err(Error::kind_mismatch(&expected, &self.ty()))
    }

    /// Whether a reference is of this type, which may be a smaller or larger one than its own.
    fn fits(&self, expected: ValType) -> bool {
        match self {
            Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(None) | Val::ExnRef(None) => {
                let ValType::Ref(ty) = expected else { return false };
                self.ty() == ValType::Ref(ty.top())
            }
            _ => self.ty().matches(expected),
        }
    }
}
