//! An object of the store's heap, or what else an `anyref` is, as the host holds it. What its fields hold is in [`crate::gc::field`];
//! [`crate::gc::anyref`] and the files beside it are the public faces.

use crate::engine::type_registry::Type;
use crate::error::Error;
use crate::gc::handle::handle_in_words;
use crate::store::Store;
use crate::store::roots::Root;
use ampoule_core::vm::VmRef;
use ampoule_core::vm::types::{ObjectKind, TypeWord};
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// A counted handle to an object: collections follow it, and keep it up to date.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) store_id: u64,
    pub(crate) root: Arc<Root>,
}

impl PartialEq for Object {
    /// Whether two handles are the same object.
    fn eq(&self, other: &Self) -> bool {
        self.store_id == other.store_id && self.root.raw() == other.root.raw()
    }
}

impl Object {
    /// A handle to what a raw reference of the store leads to.
    pub(crate) fn new(store: &mut Store, raw: u32) -> Self {
        Self { store_id: store.id(), root: store.roots.add(raw) }
    }

    /// The reference as guest code holds it, up to the next collection.
    ///
    /// # Errors
    /// Where the handle is of another store.
    pub(crate) fn raw(&self, store: &Store) -> Result<u32, Error> {
        store.check_owner(self.store_id)?;
        Ok(self.root.raw())
    }

    /// The type that it was made with; `None` of a value of the host's.
    ///
    /// # Errors
    /// See [`Object::raw`].
    pub(crate) fn ty(&self, store: &Store) -> Result<Option<Type>, Error> {
        let word = store.gc.type_of(self.raw(store)?);
        Ok(word.and_then(|word| store.engine.types().of_word(word)))
    }
}

impl Object {
    /// The reference in these words as guest code holds it, null is zero; `None` where the handle is of another store, or was given back.
    ///
    /// # Safety
    /// The words come from `into_vm` of this type, or of one that is a handle like it.
    #[inline]
    pub(crate) unsafe fn raw_of_vm(words: &VmRef, store_id: u64) -> Option<u32> {
        let root = words.private3.cast::<Root>();
        if words.store_id == 0 || root.is_null() {
            return Some(0);
        }
        // SAFETY: by the caller, the word leads to a root: that of a handle, or one that its store still has.
        unsafe { (words.store_id == store_id && Root::has_handle(root)).then(|| (*root).raw()) }
    }
}

handle_in_words!(Object, root: Root);

/// What a reference of this store leads to; `None` for null and integers, and where it leads nowhere.
pub(crate) fn kind_of(store: &Store, raw: u32) -> Option<ObjectKind> {
    store.gc.type_of(raw).map(TypeWord::kind)
}

/// Whether a raw reference is one of the hierarchy of `any`, or of `extern`, whose references are the same; null isn't.
pub(crate) fn is_any(store: &Store, raw: u32) -> bool {
    raw & 1 == 1 || matches!(kind_of(store, raw), Some(ObjectKind::Struct | ObjectKind::Array | ObjectKind::Host))
}

/// Refuses a store without a heap, and a type that is not of the store's engine; has the store keep the type, for it is to have objects of it.
///
/// # Errors
/// See above.
pub(crate) fn prepare(store: &mut Store, ty: &Type) -> Result<(), Error> {
    store.check_gc_support()?;
    store.keep(ty)
}
