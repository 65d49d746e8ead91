//! Tags: the identities of exceptions.

use crate::engine::type_registry::Type;
use crate::error::{Error, ErrorKind};
use crate::store::Store;
use crate::store::instances::ItemId;
use crate::store::records::tag::TagData;
use ampoule_core::types::TagType;

/// A tag of a store. Two tags of one type are different. The layout is `wasmtime_tag_t`'s.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tag {
    id: ItemId,
    /// How many instances the store had deleted when it was made.
    born: u32,
}

impl Tag {
    /// A new tag of the host.
    ///
    /// # Errors
    /// Where the type has results, or names a type that does not exist any more.
    pub fn new(store: &mut Store, ty: &TagType) -> Result<Tag, Error> {
        ty.check().map_err(|reason| Error::new(ErrorKind::Type(reason)))?;
        let declared = store.engine.types().intern(&ty.func)?;
        Ok(Self::of_type(store, declared))
    }

    /// A new tag of the host, whose fields are the parameters of this type of functions.
    ///
    /// # Errors
    /// Where the type has results, is not of functions, or of another engine.
    pub fn of_declared(store: &mut Store, ty: &Type) -> Result<Tag, Error> {
        let Some(func) = ty.ty().as_func().filter(|_| store.engine.has_type(ty)) else {
            return Err(Error::new(ErrorKind::Type("a tag's type is one of functions of its engine".to_string())));
        };
        TagType { func: func.clone() }.check().map_err(|reason| Error::new(ErrorKind::Type(reason)))?;
        Ok(Self::of_type(store, ty.clone()))
    }

    /// A new tag whose fields are the parameters of this type of functions, which have no results.
    pub(crate) fn of_type(store: &mut Store, declared: Type) -> Tag {
        let (ty, born) = (TagType { func: declared.func().clone() }, store.deletions());
        let position = store.instances.add_tag(TagData { ty, declared, born });
        Self::at(store, position)
    }

    /// The tag with this number in its store.
    pub(crate) fn at(store: &Store, number: u32) -> Tag {
        Tag { id: ItemId::new(store, number), born: store.instances.tags[number as usize].born }
    }

    /// The tag's number in its store. Two tags of a store are the same if they have one number.
    pub(crate) fn number(&self) -> u32 {
        self.id.position()
    }

    /// As [`Tag::number`], for a store.
    ///
    /// # Errors
    /// Where the tag is of another store.
    pub(crate) fn number_in(&self, store: &Store) -> Result<u32, Error> {
        self.id.position_in(store, &store.instances.tags, self.born)
    }

    /// The type.
    ///
    /// # Errors
    /// Where the tag is of another store.
    pub fn ty<'a>(&self, store: &'a Store) -> Result<&'a TagType, Error> {
        Ok(&store.instances.tags[self.number_in(store)? as usize].ty)
    }

    /// The type of functions that it was made with.
    ///
    /// # Errors
    /// Where the tag is of another store.
    pub fn declared_type<'a>(&self, store: &'a Store) -> Result<&'a Type, Error> {
        Ok(&store.instances.tags[self.number_in(store)? as usize].declared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;
    use ampoule_core::types::{FuncType, ValType};

    #[test]
    fn tags_of_one_type_differ_and_belong_to_their_store() {
        let engine = Engine::default();
        let (mut store, mut other) = (Store::new(&engine), Store::new(&engine));
        let ty = TagType { func: FuncType::new([ValType::I32], []) };
        let (a, b) = (Tag::new(&mut store, &ty).unwrap(), Tag::new(&mut store, &ty).unwrap());
        assert!(a == a && a != b);
        assert_eq!(b.ty(&store).unwrap(), &ty);
        let foreign = Tag::new(&mut other, &ty).unwrap();
        assert!(foreign != a && foreign.ty(&store).is_err());
    }
}
