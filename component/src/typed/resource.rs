//! Resources of the host's, with the Rust type that they stand for.

use super::{ComponentType, Lift, Lower, mismatch, unexpected};
use crate::handle::{ResourceAny, ResourceHost};
use crate::types::{ResourceType, ValType};
use crate::val::{Val, ValRef};
use ampoule::{Error, Store};
use std::fmt;
use std::marker::PhantomData;

/// A Rust type that a resource type of the host's stands for.
pub trait HostResource: 'static {
    /// The number by which the linker has it ([`crate::LinkerInstanceMut::resource`]).
    const TYPE: u32;
    /// What it is called in messages.
    const NAME: &'static str;
}

/// A handle of a resource of the host's: the number that the host gave it. To own one is to have the right to drop it; what it stands for is
/// the host's to keep.
pub struct Resource<T> {
    rep: u32,
    owned: bool,
    of: PhantomData<fn() -> T>,
}

impl<T: HostResource> Resource<T> {
    /// A resource of this number, to be owned by the component that gets it.
    pub fn new_own(rep: u32) -> Self {
        Self { rep, owned: true, of: PhantomData }
    }

    /// A resource of this number, to be borrowed for a call.
    pub fn new_borrow(rep: u32) -> Self {
        Self { rep, owned: false, of: PhantomData }
    }

    /// The number that the host gave it.
    pub fn rep(&self) -> u32 {
        self.rep
    }

    /// Whether it is owned, rather than borrowed for a call.
    pub fn owned(&self) -> bool {
        self.owned
    }

    /// The handle with its type given up, in a store.
    ///
    /// # Errors
    /// As [`ResourceHost::into_any`].
    pub fn into_any(&self, store: &mut Store) -> Result<ResourceAny, Error> {
        ResourceHost { rep: self.rep, ty: T::TYPE, owned: self.owned }.into_any(store)
    }

    /// The handle that a store has; an owned one is consumed.
    ///
    /// # Errors
    /// Where it is of another type, or not there any more.
    pub fn from_any(any: &ResourceAny, store: &mut Store) -> Result<Self, Error> {
        if any.ty() != ResourceType::Host(T::TYPE) {
            return Err(Error::message("resource type mismatch"));
        }
        let host = ResourceHost::from_any(any, store)?;
        Ok(Self { rep: host.rep, owned: host.owned, of: PhantomData })
    }
}

impl<T> fmt::Debug for Resource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource").field("rep", &self.rep).field("owned", &self.owned).finish()
    }
}

impl<T: HostResource> ComponentType for Resource<T> {
    fn matches(ty: &ValType) -> Result<(), String> {
        match ty {
            ValType::Own(ResourceType::Host(of)) | ValType::Borrow(ResourceType::Host(of)) if *of == T::TYPE => Ok(()),
            // What a component imports isn't bound to a type of the host's before it is instantiated.
            ValType::Own(ResourceType::Abstract { .. }) | ValType::Borrow(ResourceType::Abstract { .. }) => Ok(()),
            other => Err(mismatch(T::NAME, other)),
        }
    }
}

impl<T: HostResource> Lower for Resource<T> {
    fn lower(&self, store: &mut Store, ty: &ValType) -> Result<Val, Error> {
        if !self.owned && matches!(ty, ValType::Own(_)) {
            return Err(Error::message("a borrowed resource is given where an owned one is wanted"));
        }
        Ok(Val::from(self.into_any(store)?))
    }
}

impl<T: HostResource> Lift for Resource<T> {
    fn lift(store: &mut Store, val: &mut Val) -> Result<Self, Error> {
        match val.get() {
            ValRef::Resource(Some(any)) => Self::from_any(any, store),
            _ => Err(unexpected(T::NAME)),
        }
    }
}
