//! `exnref`: exceptions that the host holds. [`super::exception`] makes and reads them.

use crate::error::{Error, ErrorKind};
use crate::gc::handle::handle_in_words;
use crate::gc::object::Object;
use crate::store::Store;
use crate::store::roots::Root;
use crate::tag::Tag;
use ampoule_core::vm::VmRef;
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// An exception held by the host; never null. Cloning makes another handle to the same exception. A handle may outlive its
/// store, but is of no use then.
#[derive(Clone, Debug)]
pub struct ExnRef {
    store_id: u64,
    root: Arc<Root>,
}

impl PartialEq for ExnRef {
    /// Whether two handles are the same exception.
    fn eq(&self, other: &Self) -> bool {
        self.store_id == other.store_id && self.root.raw() == other.root.raw()
    }
}

impl ExnRef {
    /// A handle to what a raw reference of the store leads to.
    pub(super) fn at(store: &mut Store, raw: u32) -> ExnRef {
        ExnRef { store_id: store.id(), root: store.roots.add(raw) }
    }

    /// The tag.
    ///
    /// # Errors
    /// Where the handle is of another store, as for all functions here.
    pub fn tag(&self, store: &Store) -> Result<Tag, Error> {
        let raw = self.to_raw(store)?;
        // What C gives as an exception may be another reference.
        tag_of(store, raw).ok_or_else(|| Error::message("not an exception"))
    }

    /// The reference as guest code holds it. It is good until the store next collects, which it may do whenever something is allocated.
    ///
    /// # Errors
    /// See [`ExnRef::tag`].
    pub fn to_raw(&self, store: &Store) -> Result<u32, Error> {
        store.check_owner(self.store_id)?;
        Ok(self.root.raw())
    }

    /// As [`ExnRef::to_raw`], but good for as long as this handle, or anything in the store, keeps the exception alive.
    ///
    /// # Errors
    /// See [`ExnRef::tag`].
    pub fn to_lasting_raw(&self, store: &mut Store) -> Result<u32, Error> {
        store.check_owner(self.store_id)?;
        store.settle_objects();
        Ok(self.root.raw())
    }

    /// A handle for a raw reference; `None` for null, and for what is no exception of this store.
    pub fn from_raw(store: &mut Store, raw: u32) -> Option<ExnRef> {
        tag_of(store, raw).map(|_| Self::at(store, raw))
    }

    /// The `exnref` in these words as guest code holds it, null is zero; `None` where the handle is of another store, or was given back.
    ///
    /// # Safety
    /// The words come from [`ExnRef::into_vm`].
    pub(crate) unsafe fn raw_of_vm(words: &VmRef, store_id: u64) -> Option<u32> {
        // SAFETY: by the caller.
        unsafe { Object::raw_of_vm(words, store_id) }
    }
}

handle_in_words!(ExnRef, root: Root, "wasmtime_exnref_t");

/// The tag of an exception; `None` where the reference leads to none.
fn tag_of(store: &Store, raw: u32) -> Option<Tag> {
    let (word, number) = store.gc.exception(raw)?;
    let tag = store.instances.tags.get(number as usize)?;
    (tag.declared.word().ok()? == word).then(|| Tag::at(store, number))
}

impl Store {
    /// Makes an exception the pending one, in place of any other, and gives the error for a host function to return: the
    /// caller then sees the exception thrown.
    ///
    /// # Errors
    /// Where the exception is of another store; the pending one stays.
    pub fn throw(&mut self, exn: ExnRef) -> Result<Error, Error> {
        self.check_owner(exn.store_id)?;
        self.exceptions.pending = exn.root.raw();
        Ok(Error::new(ErrorKind::Exception))
    }

    /// Takes the pending exception, if there is one.
    pub fn take_exception(&mut self) -> Option<ExnRef> {
        let raw = std::mem::take(&mut self.exceptions.pending);
        (raw != 0).then(|| ExnRef::at(self, raw))
    }

    /// Whether there is a pending exception.
    pub fn has_exception(&self) -> bool {
        self.exceptions.pending != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, ExternRef, Val};
    use ampoule_core::types::{FuncType, TagType, ValType};

    fn tag(store: &mut Store, fields: &[ValType]) -> Tag {
        Tag::new(store, &TagType { func: FuncType::new(fields.iter().copied(), []) }).unwrap()
    }

    #[test]
    fn fields_must_fit_the_tag() {
        let mut store = Store::new(&Engine::default());
        let tag = tag(&mut store, &[ValType::I32, ValType::EXTERNREF]);
        let none = ExnRef::new(&mut store, tag, &[]).unwrap_err();
        assert_eq!(none.to_string(), "expected 2 fields, got 0");
        let wrong = ExnRef::new(&mut store, tag, &[Val::I64(1), Val::ExternRef(None)]).unwrap_err();
        assert_eq!(wrong.to_string(), "field type mismatch: type mismatch: expected i32, found i64");
        let exn = ExnRef::new(&mut store, tag, &[Val::I32(1), Val::ExternRef(None)]).unwrap();
        assert_eq!(exn.field(&mut store, 0).unwrap(), Val::I32(1));
        assert!(exn.field(&mut store, 2).is_err());
        let mut other = Store::new(store.engine());
        assert!(exn.tag(&other).is_err() && other.throw(exn.clone()).is_err() && !other.has_exception());
        let foreign = ExternRef::new(&mut other, Box::new(1u8)).unwrap();
        assert!(ExnRef::new(&mut store, tag, &[Val::I32(1), Val::ExternRef(Some(foreign))]).is_err());
    }

    #[test]
    fn an_exception_keeps_its_fields_alive_and_no_longer() {
        let mut store = Store::new(&Engine::default());
        let tag = tag(&mut store, &[ValType::EXTERNREF]);
        let alive = Arc::new(());
        let value = ExternRef::new(&mut store, Box::new(alive.clone())).unwrap();
        let exn = ExnRef::new(&mut store, tag, &[Val::ExternRef(Some(value))]).unwrap();
        let raw = exn.to_lasting_raw(&mut store).unwrap();
        store.gc();
        assert_eq!(Arc::strong_count(&alive), 2);
        assert!(ExnRef::from_raw(&mut store, raw).unwrap() == exn);
        drop(exn);
        store.gc();
        assert_eq!(Arc::strong_count(&alive), 1);
        assert!(ExnRef::from_raw(&mut store, raw).is_none());
    }

    #[test]
    fn a_pending_exception_lives_until_it_is_taken() {
        let mut store = Store::new(&Engine::default());
        let tag = tag(&mut store, &[]);
        let exn = ExnRef::new(&mut store, tag, &[]).unwrap();
        assert!(!store.has_exception());
        let error = store.throw(exn.clone()).unwrap();
        assert_eq!(error.to_string(), "thrown Wasm exception");
        store.gc();
        assert!(store.has_exception() && store.take_exception() == Some(exn) && store.take_exception().is_none());
    }
}
