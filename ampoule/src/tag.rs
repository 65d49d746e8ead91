//! Tags: the identities of exceptions.

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
    unused: u32,
}

impl Tag {
    /// A new tag of the host.
    ///
    /// # Errors
    /// Where the type has results, or names a type that does not exist any more.
    pub fn new(store: &mut Store, ty: &TagType) -> Result<Tag, Error> {
        ty.check().map_err(|reason| Error::new(ErrorKind::Type(reason)))?;
        ty.fields().iter().try_for_each(|&ty| store.keep_type(ty))?;
        let position = store.instances.tags.len() as u32;
        store.instances.tags.push(TagData { ty: ty.clone() });
        Ok(Tag { id: ItemId::new(store, position), unused: 0 })
    }

    /// The type.
    ///
    /// # Errors
    /// Where the tag is of another store.
    pub fn ty<'a>(&self, store: &'a Store) -> Result<&'a TagType, Error> {
        let position = self.id.position_in(store, store.instances.tags.len())?;
        Ok(&store.instances.tags[position as usize].ty)
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
