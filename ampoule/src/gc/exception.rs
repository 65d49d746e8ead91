//! Exceptions, each a tag with its fields, made and read by the host. They are objects that never change.

use crate::error::{Error, ErrorKind};
use crate::func::val::Val;
use crate::gc::exnref::ExnRef;
use crate::gc::field;
use crate::store::Store;
use crate::tag::Tag;
use ampoule_core::object_layout::EXCEPTION_TAG;
use ampoule_core::types::StorageType;

impl ExnRef {
    /// A new exception.
    ///
    /// # Errors
    /// Where the fields are not as many as the tag's type says, or of another type, or anything is of another store; where the store's heap
    /// has no room.
    pub fn new(store: &mut Store, tag: Tag, fields: &[Val]) -> Result<ExnRef, Error> {
        let ty = tag.declared_type(store)?.clone();
        let expected = ty.func().params();
        if fields.len() != expected.len() {
            let reason = format!("expected {} fields, got {}", expected.len(), fields.len());
            return Err(Error::new(ErrorKind::Type(reason)));
        }
        for (field, &ty) in fields.iter().zip(expected) {
            let checked = field::check(store, StorageType::Val(ty), field);
            checked.map_err(|error| error.of("field type mismatch"))?;
        }
        let layout = ty.layout()?.expect("exceptions have a layout");
        let raw = store.allocate_object(ty.word()?, layout.size().into())?;
        store.heap_mut().set_field(raw, EXCEPTION_TAG, &tag.number().to_ne_bytes());
        // The collection may have moved what the fields refer to: that is looked up now.
        for ((field, &ty), &offset) in fields.iter().zip(expected).zip(layout.offsets()) {
            field::initialize(store, raw, offset, StorageType::Val(ty), field)?;
        }
        Ok(Self::at(store, raw))
    }

    /// The values of the fields.
    ///
    /// # Errors
    /// See [`ExnRef::tag`].
    pub fn fields(&self, store: &mut Store) -> Result<Vec<Val>, Error> {
        let count = self.tag(store)?.ty(store)?.fields().len();
        (0..count).map(|index| self.field(store, index)).collect()
    }

    /// The value of one field.
    ///
    /// # Errors
    /// Past the last one; see also [`ExnRef::tag`].
    pub fn field(&self, store: &mut Store, index: usize) -> Result<Val, Error> {
        let ty = self.tag(store)?.declared_type(store)?.clone();
        let fields = ty.func().params();
        let past = || Error::message(format!("cannot access field {index}: exn only has {} fields", fields.len()));
        let &field = fields.get(index).ok_or_else(past)?;
        let layout = ty.layout()?.expect("exceptions have a layout");
        let raw = self.to_raw(store)?;
        Ok(field::read(store, raw, layout.offsets()[index], StorageType::Val(field)))
    }
}
