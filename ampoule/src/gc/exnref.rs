//! `exnref`: exceptions, each a tag with its fields.
//!
//! An exception never changes, so handles share it. Its fields hold on to what they refer to for as long as it lives. A raw
//! `exnref` tells a position in the store's table ([`crate::store::exception`]); what machine code reads of an exception is a
//! [`VmException`] with its fields behind it.

use crate::error::{Error, ErrorKind};
use crate::func::val::Val;
use crate::gc::handle::handle_in_words;
use crate::store::Store;
use crate::tag::Tag;
use ampoule_core::vm::{VmException, VmRef, VmValRaw};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// An exception held by the host; never null. Cloning makes another handle to the same exception. A handle may outlive its
/// store, but is of no use then.
#[derive(Clone, Debug)]
pub struct ExnRef {
    store_id: u64,
    exn: Arc<Exception>,
}

/// A tag, and the values of its fields.
#[derive(Debug)]
pub(crate) struct Exception {
    tag: Tag,
    fields: Box<[Val]>,
    /// The same as machine code has it: a [`VmException`], and the fields.
    data: Box<[Word]>,
    /// Which of the fields the collector rewrites.
    collected: Box<[u32]>,
    raw: u32,
    /// Whether the store is gone, so that all that share the exception are handles.
    orphaned: AtomicBool,
}

/// Sixteen bytes of [`Exception::data`].
#[derive(Debug)]
#[repr(C, align(16))]
struct Word([AtomicU32; 4]);

const _: () = assert!(size_of::<Word>() == VmException::FIELD_SIZE as usize);

impl From<u128> for Word {
    fn from(word: u128) -> Self {
        Word([0, 32, 64, 96].map(|shift| ((word >> shift) as u32).into()))
    }
}

impl Exception {
    /// Visits the references in the fields as machine code has them.
    pub(crate) fn visit_fields(&self, visit: &mut dyn FnMut(*mut u32)) {
        for &position in &self.collected {
            // Behind the head.
            visit(self.data[1 + position as usize].0[0].as_ptr());
        }
    }

    /// Says that the store's table lets go of it.
    pub(crate) fn orphan(&self) {
        self.orphaned.store(true, Ordering::Relaxed);
    }

    /// What machine code reads.
    pub(crate) fn data(&self) -> *const VmException {
        self.data.as_ptr().cast()
    }

    /// What it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        Self::bytes_of(self.fields.len())
    }

    /// What an exception with so many fields takes.
    fn bytes_of(fields: usize) -> usize {
        128 + fields * (size_of::<Val>() + size_of::<VmValRaw>())
    }

    /// The exceptions among the fields.
    pub(crate) fn exceptions_inside(&self) -> impl Iterator<Item = u32> {
        self.fields.iter().filter_map(|field| match field {
            Val::ExnRef(Some(inside)) => Some(inside.exn.raw),
            _ => None,
        })
    }

    /// Whether the host has a handle to the exception, as far as that can be told: handles in the store count, too. The next collection
    /// frees an exception without any.
    ///
    /// # Safety
    /// `exn` leads to an exception that somebody has a count of.
    unsafe fn has_handle(exn: *const Exception) -> bool {
        // SAFETY: by the caller; the count is only looked at.
        let exn = ManuallyDrop::new(unsafe { Arc::from_raw(exn) });
        Arc::strong_count(&exn) > 1 || exn.orphaned.load(Ordering::Relaxed)
    }
}

impl Drop for Exception {
    /// Without recursion: one exception may be a field of another, and so on.
    fn drop(&mut self) {
        let mut fields = std::mem::take(&mut self.fields).into_vec();
        while let Some(field) = fields.pop() {
            if let Val::ExnRef(Some(inside)) = field
                && let Some(mut last) = Arc::into_inner(inside.exn)
            {
                fields.append(&mut std::mem::take(&mut last.fields).into_vec());
            }
        }
    }
}

impl PartialEq for ExnRef {
    /// Whether two handles are the same exception.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.exn, &other.exn)
    }
}

impl ExnRef {
    /// A new exception.
    ///
    /// # Errors
    /// Where the fields are not as many as the tag's type says, or of another type, or anything is of another store.
    pub fn new(store: &mut Store, tag: Tag, fields: &[Val]) -> Result<ExnRef, Error> {
        let expected = tag.ty(store)?.fields();
        if fields.len() != expected.len() {
            let reason = format!("expected {} fields, got {}", expected.len(), fields.len());
            return Err(Error::new(ErrorKind::Type(reason)));
        }
        for (field, &ty) in fields.iter().zip(expected) {
            field.check_type(store, ty).map_err(|error| error.of("field type mismatch"))?;
        }
        Self::make(store, tag, fields.into())
    }

    /// A new exception of a guest's.
    ///
    /// # Errors
    /// Where the store can have no more.
    ///
    /// # Safety
    /// The tag is of this store, and `fields` points to values of the types of its fields, of this store.
    pub(crate) unsafe fn from_guest(store: &mut Store, tag: Tag, fields: *const VmValRaw) -> Result<ExnRef, Error> {
        let func = tag.ty(store)?.func.clone();
        let types = func.params().iter().enumerate();
        // SAFETY: by the caller.
        let vals = types.map(|(position, &ty)| unsafe { Val::from_raw(store, &*fields.add(position), ty) }).collect();
        Self::make(store, tag, vals)
    }

    /// A new exception, with fields of the right types.
    ///
    /// # Errors
    /// Where one is of another store, or the store can have no more exceptions.
    fn make(store: &mut Store, tag: Tag, fields: Box<[Val]>) -> Result<ExnRef, Error> {
        store.claim_gc_heap()?;
        let bytes = Exception::bytes_of(fields.len());
        if store.exceptions.wants_collection(bytes) {
            store.collect_exceptions();
        }
        let head = Word::from(u128::from(tag.number()));
        let as_word = |field: &Val| {
            let raw = field.to_raw(store)?;
            // SAFETY: values begin as zeros, so all sixteen bytes are there.
            Ok(Word::from(u128::from_le_bytes(unsafe { raw.v128 })))
        };
        let words = std::iter::once(Ok(head)).chain(fields.iter().map(as_word));
        let data = words.collect::<Result<Box<[Word]>, Error>>()?;
        let collected = fields
            .iter()
            .enumerate()
            .filter(|(_, field)| matches!(field, Val::ExternRef(_) | Val::AnyRef(_) | Val::ExnRef(_)));
        let collected = collected.map(|(position, _)| position as u32).collect();
        let orphaned = AtomicBool::new(false);
        let make = |raw| Exception { tag, fields, data, collected, raw, orphaned };
        let exn = store.exceptions.insert(bytes, make)?;
        Ok(ExnRef { store_id: store.id(), exn })
    }

    /// The reference as guest code holds it, and what that reads of the exception. Both are good as [`ExnRef::to_raw`] says.
    pub(crate) fn for_guest(&self) -> (u32, *const VmException) {
        (self.exn.raw, self.exn.data())
    }

    /// The tag.
    ///
    /// # Errors
    /// Where the handle is of another store, as for all functions here.
    pub fn tag(&self, store: &Store) -> Result<Tag, Error> {
        store.check_owner(self.store_id)?;
        Ok(self.exn.tag)
    }

    /// The values of the fields.
    ///
    /// # Errors
    /// See [`ExnRef::tag`].
    pub fn fields(&self, store: &Store) -> Result<&[Val], Error> {
        store.check_owner(self.store_id)?;
        Ok(&self.exn.fields)
    }

    /// One field.
    ///
    /// # Errors
    /// Past the last one; see also [`ExnRef::tag`].
    pub fn field(&self, store: &Store, index: usize) -> Result<&Val, Error> {
        let fields = self.fields(store)?;
        fields
            .get(index)
            .ok_or_else(|| Error::message(format!("cannot access field {index}: exn only has {} fields", fields.len())))
    }

    /// The reference as guest code holds it. It stays valid while a handle, or anything in the store, keeps it alive.
    ///
    /// # Errors
    /// See [`ExnRef::tag`].
    pub fn to_raw(&self, store: &Store) -> Result<u32, Error> {
        store.check_owner(self.store_id)?;
        Ok(self.exn.raw)
    }

    /// A handle for a raw reference; `None` for null, and for what is no reference of this store.
    pub fn from_raw(store: &Store, raw: u32) -> Option<ExnRef> {
        Some(ExnRef { store_id: store.id(), exn: store.exceptions.get(raw)?.clone() })
    }

    /// The `exnref` in these words as guest code holds it, null is zero; `None` where the handle is of another store, or was given back.
    ///
    /// # Safety
    /// The words come from [`ExnRef::into_vm`].
    pub(crate) unsafe fn raw_of_vm(words: &VmRef, store_id: u64) -> Option<u32> {
        let exn = words.private3.cast::<Exception>();
        if words.store_id == 0 || exn.is_null() {
            return Some(0);
        }
        // SAFETY: by the caller, the word leads to an exception: that of a handle, or one that its store still has.
        unsafe { (words.store_id == store_id && Exception::has_handle(exn)).then(|| (*exn).raw) }
    }
}

handle_in_words!(ExnRef, exn: Exception, "wasmtime_exnref_t");

impl Store {
    /// Makes an exception the pending one, in place of any other, and gives the error for a host function to return: the
    /// caller then sees the exception thrown.
    ///
    /// # Errors
    /// Where the exception is of another store; the pending one stays.
    pub fn throw(&mut self, exn: ExnRef) -> Result<Error, Error> {
        self.check_owner(exn.store_id)?;
        self.exceptions.pending = Some(exn);
        Ok(Error::new(ErrorKind::Exception))
    }

    /// Takes the pending exception, if there is one.
    pub fn take_exception(&mut self) -> Option<ExnRef> {
        self.exceptions.pending.take()
    }

    /// Whether there is a pending exception.
    pub fn has_exception(&self) -> bool {
        self.exceptions.pending.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, ExternRef};
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
        assert_eq!(exn.field(&store, 0).unwrap(), &Val::I32(1));
        assert!(exn.field(&store, 2).is_err());
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
        let raw = exn.to_raw(&store).unwrap();
        store.gc();
        assert_eq!(Arc::strong_count(&alive), 2);
        assert!(ExnRef::from_raw(&store, raw).unwrap() == exn);
        drop(exn);
        store.gc();
        assert_eq!(Arc::strong_count(&alive), 1);
        assert!(ExnRef::from_raw(&store, raw).is_none());
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
