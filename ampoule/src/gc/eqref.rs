//! `eqref`: of all `anyref`s those that guests can compare.

use crate::error::Error;
use crate::gc::anyref::AnyRef;
use crate::gc::arrayref::ArrayRef;
use crate::gc::i31::I31;
use crate::gc::structref::StructRef;
use crate::store::Store;
use ampoule_core::vm::VmRef;
use ampoule_core::vm::types::ObjectKind;

/// A struct, an array or a 31-bit integer that the host holds; never null. It is an [`AnyRef`], which it is made into for whatever is to
/// be known of it.
#[derive(Clone, PartialEq, Debug)]
pub struct EqRef(pub(super) AnyRef);

impl EqRef {
    /// As an `anyref`.
    pub fn as_any(&self) -> &AnyRef {
        &self.0
    }

    /// The reference in words, for C.
    pub fn into_vm(value: Option<EqRef>) -> VmRef {
        AnyRef::into_vm(value.map(AnyRef::from))
    }

    /// See [`AnyRef::clone_vm`].
    ///
    /// # Safety
    /// The words come from [`EqRef::into_vm`].
    pub unsafe fn clone_vm(words: &VmRef) -> Option<EqRef> {
        // SAFETY: by the caller.
        unsafe { AnyRef::clone_named(words, "wasmtime_eqref_t") }.map(EqRef)
    }

    /// See [`AnyRef::take_vm`].
    ///
    /// # Safety
    /// The words come from [`EqRef::into_vm`].
    pub unsafe fn take_vm(words: &mut VmRef) -> Option<EqRef> {
        // SAFETY: by the caller.
        unsafe { AnyRef::take_named(words, "wasmtime_eqref_t") }.map(EqRef)
    }
}

impl From<I31> for EqRef {
    fn from(value: I31) -> Self {
        EqRef(value.into())
    }
}

impl From<StructRef> for EqRef {
    fn from(value: StructRef) -> Self {
        EqRef(value.into())
    }
}

impl From<ArrayRef> for EqRef {
    fn from(value: ArrayRef) -> Self {
        EqRef(value.into())
    }
}

impl From<EqRef> for AnyRef {
    fn from(value: EqRef) -> Self {
        value.0
    }
}

impl AnyRef {
    /// The same reference, if it can be compared by guests: unless it is a value of the host's.
    ///
    /// # Errors
    /// Where it is of another store.
    pub fn as_eq(&self, store: &Store) -> Result<Option<EqRef>, Error> {
        Ok(self.as_kind(store, ObjectKind::Host)?.is_none().then(|| EqRef(self.clone())))
    }
}
