//! `externref`: values of the host that pass through the guest.
//!
//! A raw `externref` leads to an object of the store's heap, which knows the value's position in a table. A value lives until no handle of
//! the host, no global or table, and no frame of the guest refers to that object. What went through `extern.convert_any` leads to another
//! object, or is a 31-bit integer.

use crate::error::Error;
use crate::gc::handle::handle_in_words;
use crate::gc::object::{self, Object};
use crate::store::Store;
use crate::store::externrefs::HostValue;
use crate::store::foreign::Foreign;
use crate::store::roots::Root;
use ampoule_core::vm::VmRef;
use std::any::Any;
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// A host value held by the host itself; never null. Cloning makes another handle to the same value. A handle may outlive
/// its store, but is of no use then.
#[derive(Clone, Debug)]
pub struct ExternRef {
    store_id: u64,
    root: Arc<Root>,
}

impl PartialEq for ExternRef {
    /// Whether two handles are the same value.
    fn eq(&self, other: &Self) -> bool {
        self.store_id == other.store_id && self.root.raw() == other.root.raw()
    }
}

impl ExternRef {
    /// A new reference to `value`, which is dropped once nothing refers to it, or with the store.
    ///
    /// # Errors
    /// Where the store's heap has no room, the engine's pool allows no more stores with references, or its configuration none.
    pub fn new(store: &mut Store, value: Box<dyn Any + Send + Sync>) -> Result<ExternRef, Error> {
        Self::of(store, HostValue::Any(value))
    }

    /// The same of a pointer with a finalizer, which [`ExternRef::data`] gives as a [`Foreign`].
    ///
    /// # Errors
    /// See [`ExternRef::new`].
    #[inline]
    pub fn of_foreign(store: &mut Store, value: Foreign) -> Result<ExternRef, Error> {
        Self::of(store, HostValue::Foreign(value))
    }

    #[inline]
    fn of(store: &mut Store, value: HostValue) -> Result<ExternRef, Error> {
        store.check_gc_support()?;
        let raw = store.allocate_host(value);
        let made = raw.map(|raw| ExternRef { store_id: store.id(), root: store.roots.add(raw) });
        store.finalize_dead();
        made
    }

    /// The value; `None` where this is an object of a guest's that went through `extern.convert_any`.
    ///
    /// # Errors
    /// Where the handle is of another store.
    pub fn data<'a>(&self, store: &'a Store) -> Result<Option<&'a (dyn Any + Send + Sync)>, Error> {
        store.check_owner(self.store_id)?;
        Ok(store.gc.host(self.root.raw()))
    }

    /// The reference as guest code holds it. It is good until the store next collects, which it may do whenever something is allocated.
    ///
    /// # Errors
    /// Where the handle is of another store.
    pub fn to_raw(&self, store: &Store) -> Result<u32, Error> {
        store.check_owner(self.store_id)?;
        Ok(self.root.raw())
    }

    /// As [`ExternRef::to_raw`], but good for as long as this handle, or anything in the store, keeps the value alive.
    ///
    /// # Errors
    /// Where the handle is of another store.
    pub fn to_lasting_raw(&self, store: &mut Store) -> Result<u32, Error> {
        store.check_owner(self.store_id)?;
        store.settle_objects();
        Ok(self.root.raw())
    }

    /// A handle for a raw reference; `None` for null, and for what is no reference of this store.
    pub fn from_raw(store: &mut Store, raw: u32) -> Option<ExternRef> {
        object::is_any(store, raw).then(|| Self::from_object(Object::new(store, raw)))
    }

    pub(crate) fn from_object(object: Object) -> ExternRef {
        ExternRef { store_id: object.store_id, root: object.root }
    }

    pub(crate) fn to_object(&self) -> Object {
        Object { store_id: self.store_id, root: self.root.clone() }
    }

    /// The `externref` in these words as guest code holds it, null is zero; `None` where the handle is of another store, or was given
    /// back.
    ///
    /// # Safety
    /// The words come from [`ExternRef::into_vm`].
    #[inline]
    pub(crate) unsafe fn raw_of_vm(words: &VmRef, store_id: u64) -> Option<u32> {
        // SAFETY: by the caller.
        unsafe { Object::raw_of_vm(words, store_id) }
    }
}

handle_in_words!(ExternRef, root: Root, "wasmtime_externref_t");
