//! `anyref`: a struct, an array, a 31-bit integer, or a value of the host's that went through `any.convert_extern`; as the host has it.

use crate::engine::type_registry::Type;
use crate::error::Error;
use crate::gc::externref::ExternRef;
use crate::gc::i31::I31;
use crate::gc::object::{self, Object};
use crate::store::Store;
use ampoule_core::types::HeapType;
use ampoule_core::vm::VmRef;
use ampoule_core::vm::types::ObjectKind;
use std::any::Any;

/// An `anyref` that the host holds; never null. Cloning makes another handle to the same object. A handle may outlive its store, but is of
/// no use then. Integers are of every store.
#[derive(Clone, PartialEq, Debug)]
pub struct AnyRef(Repr);

#[derive(Clone, PartialEq, Debug)]
enum Repr {
    I31(I31),
    Object(Object),
}

impl From<I31> for AnyRef {
    fn from(value: I31) -> Self {
        AnyRef(Repr::I31(value))
    }
}

impl From<Object> for AnyRef {
    fn from(object: Object) -> Self {
        AnyRef(Repr::Object(object))
    }
}

impl AnyRef {
    /// The integer, if it is one.
    pub fn as_i31(&self) -> Option<I31> {
        match self.0 {
            Repr::I31(value) => Some(value),
            Repr::Object(_) => None,
        }
    }

    /// The object, if it is of this kind.
    ///
    /// # Errors
    /// Where it is of another store, as for all functions here.
    pub(super) fn as_kind(&self, store: &Store, kind: ObjectKind) -> Result<Option<Object>, Error> {
        let Repr::Object(object) = &self.0 else { return Ok(None) };
        Ok((object::kind_of(store, object.raw(store)?) == Some(kind)).then(|| object.clone()))
    }

    /// The value of the host's, if it is one.
    ///
    /// # Errors
    /// Where it is of another store.
    pub fn host_data<'a>(&self, store: &'a Store) -> Result<Option<&'a (dyn Any + Send + Sync)>, Error> {
        match &self.0 {
            Repr::I31(_) => Ok(None),
            Repr::Object(object) => Ok(store.gc.host(object.raw(store)?)),
        }
    }

    /// The type that a struct or an array was made with; `None` of others.
    ///
    /// # Errors
    /// Where it is of another store.
    pub fn declared_type(&self, store: &Store) -> Result<Option<Type>, Error> {
        match &self.0 {
            Repr::I31(_) => Ok(None),
            Repr::Object(object) => object.ty(store),
        }
    }

    /// The smallest type that it has.
    ///
    /// # Errors
    /// Where it is of another store.
    pub fn heap_type(&self, store: &Store) -> Result<HeapType, Error> {
        match &self.0 {
            Repr::I31(_) => Ok(HeapType::I31),
            Repr::Object(object) => Ok(object.ty(store)?.map_or(HeapType::Any, |ty| ty.heap_type())),
        }
    }

    /// The same as an `externref`: `extern.convert_any`. What was one is the same again.
    ///
    /// # Errors
    /// Where it is of another store; of an integer, never.
    pub fn to_extern(&self, store: &mut Store) -> Result<ExternRef, Error> {
        let object = match &self.0 {
            Repr::I31(value) => Object::new(store, value.to_raw()),
            Repr::Object(object) => {
                store.check_owner(object.store_id)?;
                object.clone()
            }
        };
        Ok(ExternRef::from_object(object))
    }

    /// An `externref` as one of these: `any.convert_extern`. What was one is the same again.
    ///
    /// # Errors
    /// Where it is of another store.
    pub fn from_extern(store: &Store, value: &ExternRef) -> Result<AnyRef, Error> {
        let object = value.to_object();
        let raw = object.raw(store)?;
        Ok(I31::from_raw(raw).map_or_else(|| object.into(), AnyRef::from))
    }

    /// The reference as guest code holds it. It is good until the store next collects, which it may do whenever something is allocated.
    ///
    /// # Errors
    /// Where it is of another store.
    pub fn to_raw(&self, store: &Store) -> Result<u32, Error> {
        match &self.0 {
            Repr::I31(value) => Ok(value.to_raw()),
            Repr::Object(object) => object.raw(store),
        }
    }

    /// As [`AnyRef::to_raw`], but good for as long as this handle, or anything in the store, keeps the object alive.
    ///
    /// # Errors
    /// Where it is of another store.
    pub fn to_lasting_raw(&self, store: &mut Store) -> Result<u32, Error> {
        self.to_raw(store)?;
        store.settle_objects();
        self.to_raw(store)
    }

    /// A handle for a raw reference; `None` for null, and for what is no such reference of this store.
    pub fn from_raw(store: &mut Store, raw: u32) -> Option<AnyRef> {
        if let Some(value) = I31::from_raw(raw) {
            return Some(value.into());
        }
        object::is_any(store, raw).then(|| Object::new(store, raw).into())
    }

    /// The reference in these words as guest code holds it, null is zero; `None` where the handle is of another store, or was given back.
    ///
    /// # Safety
    /// The words come from [`AnyRef::into_vm`].
    pub(crate) unsafe fn raw_of_vm(words: &VmRef, store_id: u64) -> Option<u32> {
        match I31::from_vm(words) {
            Some(value) => Some(value.to_raw()),
            // SAFETY: by the caller, and it is no integer.
            None => unsafe { Object::raw_of_vm(words, store_id) },
        }
    }

    /// The reference in words, for C.
    pub fn into_vm(value: Option<AnyRef>) -> VmRef {
        match value.map(|value| value.0) {
            None => VmRef::NULL,
            Some(Repr::I31(value)) => I31::into_vm(Some(value)),
            Some(Repr::Object(object)) => Object::into_vm(Some(object)),
        }
    }

    /// Another handle like the one in these words, which stays C's; `None` for null. Ends the process where C has given it back already, as
    /// far as that can be told.
    ///
    /// # Safety
    /// The words come from [`AnyRef::into_vm`].
    pub unsafe fn clone_vm(words: &VmRef) -> Option<AnyRef> {
        // SAFETY: by the caller.
        unsafe { AnyRef::clone_named(words, "wasmtime_anyref_t") }
    }

    /// The handle in these words, which C gives up; null is left behind. Ends the process as [`AnyRef::clone_vm`] does.
    ///
    /// # Safety
    /// See [`AnyRef::clone_vm`].
    pub unsafe fn take_vm(words: &mut VmRef) -> Option<AnyRef> {
        // SAFETY: by the caller.
        unsafe { AnyRef::take_named(words, "wasmtime_anyref_t") }
    }

    /// As [`AnyRef::clone_vm`]; `name` is the type that C has it as.
    ///
    /// # Safety
    /// See [`AnyRef::clone_vm`].
    pub(super) unsafe fn clone_named(words: &VmRef, name: &str) -> Option<AnyRef> {
        if let Some(value) = I31::from_vm(words) {
            return Some(value.into());
        }
        // SAFETY: by the caller, and it is no integer.
        unsafe { Object::clone_named(words, name) }.map(AnyRef::from)
    }

    /// As [`AnyRef::take_vm`]; `name` is the type that C has it as.
    ///
    /// # Safety
    /// See [`AnyRef::clone_vm`].
    pub(super) unsafe fn take_named(words: &mut VmRef, name: &str) -> Option<AnyRef> {
        if let Some(value) = I31::from_vm(words) {
            *words = VmRef::NULL;
            return Some(value.into());
        }
        // SAFETY: by the caller, and it is no integer.
        unsafe { Object::take_named(words, name) }.map(AnyRef::from)
    }
}
