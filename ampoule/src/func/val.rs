//! Values as the embedder holds them, and as C does ([`VmVal`]): there, whoever owns a value owns one count of the reference in it.

use crate::error::Error;
use crate::func::Func;
use crate::gc::anyref::AnyRef;
use crate::gc::exnref::ExnRef;
use crate::gc::externref::ExternRef;
use crate::store::Store;
use ampoule_core::types::{HeapType, RefType, ValType};
use ampoule_core::vm::{VmFuncRef, VmVal, VmValRaw, VmValUnion};

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
    /// An object or a 31-bit integer, or null.
    AnyRef(Option<AnyRef>),
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
    /// The smallest type that has this value.
    ///
    /// # Errors
    /// Where it is a reference of another store, and only that knows.
    pub fn ty(&self, store: &Store) -> Result<ValType, Error> {
        let reference = |ty| Ok(ValType::Ref(ty));
        match self {
            Val::I32(_) => Ok(ValType::I32),
            Val::I64(_) => Ok(ValType::I64),
            Val::F32(_) => Ok(ValType::F32),
            Val::F64(_) => Ok(ValType::F64),
            Val::V128(_) => Ok(ValType::V128),
            Val::FuncRef(None) => reference(RefType::null_or(HeapType::NoFunc)),
            Val::FuncRef(Some(func)) => {
                reference(RefType::non_null(HeapType::ConcreteFunc(func.signature(store)?.id())))
            }
            Val::ExternRef(None) => reference(RefType::null_or(HeapType::NoExtern)),
            Val::ExternRef(Some(_)) => reference(RefType::non_null(HeapType::Extern)),
            Val::AnyRef(None) => reference(RefType::null_or(HeapType::None)),
            Val::AnyRef(Some(value)) => reference(RefType::non_null(value.heap_type(store)?)),
            Val::ExnRef(None) => reference(RefType::null_or(HeapType::NoExn)),
            Val::ExnRef(Some(_)) => reference(RefType::non_null(HeapType::Exn)),
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
                HeapType::Func => Val::FuncRef(None),
                HeapType::Extern => Val::ExternRef(None),
                HeapType::Exn => Val::ExnRef(None),
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
            Val::AnyRef(Some(value)) => raw.anyref = value.to_raw(store)?,
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
        let raw = self.check_type(store, expected).and_then(|()| self.to_raw(store));
        raw.map_err(|error| error.of("argument type mismatch"))
    }

    /// The value as guest code holds it, for a result of a host function, of this type.
    ///
    /// # Errors
    /// Where it is of another type or store.
    #[inline]
    pub fn to_result(&self, store: &Store, expected: ValType) -> Result<VmValRaw, Error> {
        let checked = self.check_type(store, expected);
        checked.map_err(|error| error.of("function attempted to return an incompatible value"))?;
        self.to_raw(store)
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
                    HeapType::Func => Val::FuncRef(Func::from_raw(store, raw.funcref.cast::<VmFuncRef>())),
                    HeapType::Extern => Val::ExternRef(ExternRef::from_raw(store, raw.externref)),
                    HeapType::Exn => Val::ExnRef(ExnRef::from_raw(store, raw.exnref)),
                    _ => Val::AnyRef(AnyRef::from_raw(store, raw.anyref)),
                },
            }
        }
    }

    /// The value in an array of a C program's, which keeps it.
    ///
    /// # Errors
    /// Where its kind is unknown.
    ///
    /// # Safety
    /// A function or reference in it is null, or one that [`Val::into_vm`] gave. One to a value of the host's that C has given back ends
    /// the process, as far as that can be told.
    pub unsafe fn from_vm(val: &VmVal) -> Result<Val, Error> {
        // SAFETY: every bit pattern is a value of the number types; C says by the kind which member it has filled in.
        unsafe {
            Ok(match val.kind {
                VmVal::KIND_I32 => Val::I32(val.of.i32),
                VmVal::KIND_I64 => Val::I64(val.of.i64),
                VmVal::KIND_F32 => Val::F32(val.of.f32),
                VmVal::KIND_F64 => Val::F64(val.of.f64),
                VmVal::KIND_V128 => Val::V128(u128::from_le_bytes(val.of.v128)),
                VmVal::KIND_FUNCREF => Val::FuncRef(Func::from_vm(val.of.funcref)),
                VmVal::KIND_EXTERNREF => Val::ExternRef(ExternRef::clone_vm(&val.of.reference)),
                VmVal::KIND_ANYREF => Val::AnyRef(AnyRef::clone_vm(&val.of.reference)),
                VmVal::KIND_EXNREF => Val::ExnRef(ExnRef::clone_vm(&val.of.reference)),
                kind => return Err(Error::message(format!("{kind} is not the kind of a value"))),
            })
        }
    }

    /// The value in an array of a C program's, which gives it up: null takes the place of a counted reference.
    ///
    /// # Errors
    /// See [`Val::from_vm`].
    ///
    /// # Safety
    /// As for [`Val::from_vm`].
    pub unsafe fn take_vm(val: &mut VmVal) -> Result<Val, Error> {
        // SAFETY: by the caller; C says by the kind which member it has filled in.
        unsafe {
            match val.kind {
                VmVal::KIND_EXTERNREF => Ok(Val::ExternRef(ExternRef::take_vm(&mut val.of.reference))),
                VmVal::KIND_ANYREF => Ok(Val::AnyRef(AnyRef::take_vm(&mut val.of.reference))),
                VmVal::KIND_EXNREF => Ok(Val::ExnRef(ExnRef::take_vm(&mut val.of.reference))),
                _ => Val::from_vm(val),
            }
        }
    }

    /// A value for an array of a C program's, which owns the reference in it.
    #[inline]
    pub fn into_vm(self) -> VmVal {
        let of = |kind, of| VmVal { kind, of };
        match self {
            Val::I32(i32) => of(VmVal::KIND_I32, VmValUnion { i32 }),
            Val::I64(i64) => of(VmVal::KIND_I64, VmValUnion { i64 }),
            Val::F32(f32) => of(VmVal::KIND_F32, VmValUnion { f32 }),
            Val::F64(f64) => of(VmVal::KIND_F64, VmValUnion { f64 }),
            Val::V128(bits) => of(VmVal::KIND_V128, VmValUnion { v128: bits.to_le_bytes() }),
            Val::FuncRef(func) => of(VmVal::KIND_FUNCREF, VmValUnion { funcref: Func::into_vm(func) }),
            Val::ExternRef(value) => of(VmVal::KIND_EXTERNREF, VmValUnion { reference: ExternRef::into_vm(value) }),
            Val::AnyRef(value) => of(VmVal::KIND_ANYREF, VmValUnion { reference: AnyRef::into_vm(value) }),
            Val::ExnRef(value) => of(VmVal::KIND_EXNREF, VmValUnion { reference: ExnRef::into_vm(value) }),
        }
    }

    /// Refuses a value of another type.
    #[inline]
    pub(crate) fn check_type(&self, store: &Store, expected: ValType) -> Result<(), Error> {
        let fits = match (self, expected) {
            (Val::I32(_), ValType::I32)
            | (Val::I64(_), ValType::I64)
            | (Val::F32(_), ValType::F32)
            | (Val::F64(_), ValType::F64)
            | (Val::V128(_), ValType::V128) => true,
            (_, ValType::Ref(ty)) => self.fits(store, ty)?,
            _ => false,
        };
        if fits { Ok(()) } else { Err(Error::kind_mismatch(&expected, &self.ty(store)?)) }
    }

    /// Whether this is a reference of a type.
    ///
    /// # Errors
    /// Where only its store could tell, and this is another.
    fn fits(&self, store: &Store, ty: RefType) -> Result<bool, Error> {
        Ok(match self {
            Val::FuncRef(None) => ty.nullable && ty.top() == HeapType::Func,
            Val::ExternRef(None) => ty.nullable && ty.top() == HeapType::Extern,
            Val::AnyRef(None) => ty.nullable && ty.top() == HeapType::Any,
            Val::ExnRef(None) => ty.nullable && ty.top() == HeapType::Exn,
            Val::FuncRef(Some(func)) => match ty.heap {
                HeapType::Func => true,
                HeapType::ConcreteFunc(id) => func.signature(store)?.ancestors().contains(&id),
                _ => false,
            },
            Val::ExternRef(Some(_)) => ty.heap == HeapType::Extern,
            Val::AnyRef(Some(_)) if ty.heap == HeapType::Any => true,
            Val::AnyRef(Some(value)) => value.heap_type(store)?.matches(ty.heap, &**store.engine.types()),
            Val::ExnRef(Some(exn)) => match ty.heap {
                HeapType::Exn => true,
                HeapType::ConcreteExn(id) => exn.tag(store)?.declared_type(store)?.id() == id,
                _ => false,
            },
            _ => false,
        })
    }
}
