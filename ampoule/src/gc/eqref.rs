//! `eqref`: of all `anyref`s those that guests can compare.

use crate::gc::anyref::AnyRef;
use crate::gc::arrayref::ArrayRef;
use crate::gc::i31::I31;
use crate::gc::structref::StructRef;
use ampoule_core::vm::VmRef;

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
        unsafe { AnyRef::clone_vm(words) }.map(EqRef)
    }

    /// See [`AnyRef::take_vm`].
    ///
    /// # Safety
    /// The words come from [`EqRef::into_vm`].
    pub unsafe fn take_vm(words: &mut VmRef) -> Option<EqRef> {
        // SAFETY: by the caller.
        unsafe { AnyRef::take_vm(words) }.map(EqRef)
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
