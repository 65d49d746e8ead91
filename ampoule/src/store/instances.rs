//! What lives in a store: instances, and the memories, tables, globals and functions, of instances and of the host.

use super::Store;
use crate::engine::type_registry::{self, Type};
use crate::error::{Error, ErrorKind};
use crate::store::records::func::{HostFunc, StoreHostFunc};
use crate::store::records::global::HostGlobal;
use crate::store::records::instance::InstanceData;
use crate::store::records::memory::MemoryData;
use crate::store::records::table::TableData;
use crate::store::records::tag::TagData;
use crate::store::stable_list::StableList;
use ampoule_core::types::{TypeId, ValType};
use ampoule_core::vm::VmAdapter;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// The arenas of a store. What machine code points to is boxed, or in a list that doesn't move it: its address must not change.
/// Nothing is removed before the store is dropped, so a position stays valid.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "machine code holds the addresses")]
pub(crate) struct Instances {
    pub(crate) list: StableList<InstanceData>,
    pub(crate) memories: Vec<MemoryData>,
    pub(crate) tables: Vec<TableData>,
    /// How many of the memories and tables the host made: limits don't count those.
    pub(crate) host_memories: usize,
    pub(crate) host_tables: usize,
    /// Globals made by the host; an instance's own are in its block.
    pub(crate) globals: Vec<Box<HostGlobal>>,
    pub(crate) tags: Vec<TagData>,
    /// The store's copies of host functions.
    pub(crate) host_funcs: StableList<StoreHostFunc>,
    /// The functions that they are copies of; but those that others keep.
    pub(crate) host_func_owners: Vec<Arc<HostFunc>>,
    /// Made with the first of them.
    pub(crate) rare: Option<Box<Rare>>,
}

/// What few stores have.
#[derive(Default)]
pub(crate) struct Rare {
    pub(crate) adapters: StableList<VmAdapter>,
    /// The declared types that items of the host name, by number.
    kept_types: BTreeMap<TypeId, Type>,
}

/// What handles of memories and tables have in common: the store, and the place in its arena. C sees the same words.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ItemId {
    store: u64,
    position: u32,
}

impl ItemId {
    pub(crate) fn new(store: &Store, position: u32) -> Self {
        Self { store: store.id(), position }
    }

    /// The position, without a look at the store.
    pub(crate) fn position(self) -> u32 {
        self.position
    }

    /// The position, for the store it belongs to, where `len` things are.
    ///
    /// # Errors
    /// Where the handle is of another store.
    #[inline]
    pub(crate) fn position_in(self, store: &Store, len: usize) -> Result<u32, Error> {
        store.check_owner(self.store)?;
        if self.position as usize >= len {
            return Err(Error::wrong_store());
        }
        Ok(self.position)
    }

    /// The thing itself, among all of its kind in the store.
    ///
    /// # Errors
    /// Where the handle is of another store.
    #[inline]
    pub(crate) fn find<'a, T>(self, store: &Store, things: &'a [T]) -> Result<&'a T, Error> {
        store.check_owner(self.store)?;
        things.get(self.position as usize).ok_or_else(Error::wrong_store)
    }
}

/// How much of each there is, to go back to.
#[derive(Clone, Copy)]
pub(crate) struct Lengths {
    instances: usize,
    memories: usize,
    host_memories: usize,
    tables: usize,
    host_tables: usize,
    globals: usize,
    tags: usize,
}

impl Instances {
    pub(crate) fn lengths(&self) -> Lengths {
        Lengths {
            instances: self.list.len(),
            memories: self.memories.len(),
            host_memories: self.host_memories,
            tables: self.tables.len(),
            host_tables: self.host_tables,
            globals: self.globals.len(),
            tags: self.tags.len(),
        }
    }

    /// Takes back what was made since. Nobody has a handle of it, or an address.
    pub(crate) fn truncate(&mut self, to: Lengths) {
        self.memories.truncate(to.memories);
        self.tables.truncate(to.tables);
        self.globals.truncate(to.globals);
        self.tags.truncate(to.tags);
        (self.host_memories, self.host_tables) = (to.host_memories, to.host_tables);
        while self.list.len() > to.instances {
            self.list.pop();
        }
    }
}

impl Store {
    /// Has a type that a value's type names live as long as the store.
    ///
    /// # Errors
    /// Where there is no such type any more.
    pub(crate) fn keep_type(&mut self, ty: ValType) -> Result<(), Error> {
        let Some(id) = ty.concrete() else { return Ok(()) };
        if let Entry::Vacant(place) = self.instances.rare.get_or_insert_default().kept_types.entry(id) {
            place.insert(self.engine.types().find(id).ok_or_else(type_registry::gone)?);
        }
        Ok(())
    }

    /// Has a type live as long as the store, which is to have objects of it.
    ///
    /// # Errors
    /// Where it is of another engine.
    pub(crate) fn keep(&mut self, ty: &Type) -> Result<(), Error> {
        if !self.engine.has_type(ty) {
            return Err(Error::new(ErrorKind::Type("the type is of another engine".to_string())));
        }
        let kept = &mut self.instances.rare.get_or_insert_default().kept_types;
        kept.entry(ty.id()).or_insert_with(|| ty.clone());
        Ok(())
    }
}
