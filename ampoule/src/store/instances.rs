//! What lives in a store: instances, and the memories, tables, globals and functions, of instances and of the host.

use super::Store;
use crate::engine::type_registry::{self, Type};
use crate::error::{Error, ErrorKind};
use crate::store::places::{Born, Places};
use crate::store::records::func::{HostFunc, StoreHostFunc};
use crate::store::records::global::HostGlobal;
use crate::store::records::instance::InstanceData;
use crate::store::records::memory::MemoryData;
use crate::store::records::table::TableData;
use crate::store::records::tag::TagData;
use crate::store::stable_list::StableList;
use ampoule_core::types::{TypeId, ValType};
use ampoule_core::vm::VmAdapter;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The arenas of a store. What machine code points to is boxed, or in a list that doesn't move it: its address must not change.
/// What an instance has is removed with it, and nothing else is before the store is dropped.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "machine code holds the addresses")]
pub(crate) struct Instances {
    pub(crate) list: StableList<Option<InstanceData>>,
    pub(crate) memories: Places<MemoryData>,
    pub(crate) tables: Places<TableData>,
    /// How many of the memories and tables the host made: limits don't count those.
    pub(crate) host_memories: u32,
    pub(crate) host_tables: u32,
    /// Globals made by the host; an instance's own are in its block.
    pub(crate) globals: Vec<Box<HostGlobal>>,
    pub(crate) tags: Places<TagData>,
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
    /// Bytes by which this store's guests have made and grown shared memories.
    pub(crate) shared_memory_bytes: u64,
    /// Made when the first instance is deleted.
    pub(crate) freed: Option<Box<Freed>>,
}

/// What a store notes from its first deletion on: no more than there were things at a time.
#[derive(Default)]
pub(crate) struct Freed {
    /// Places that are free. Of those for instances the lowest is used first, so that [`Instances::made_at`] tells in which order they were made.
    pub(crate) instances: BTreeSet<u32>,
    pub(crate) memories: Vec<u32>,
    pub(crate) tables: Vec<u32>,
    pub(crate) tags: Vec<u32>,
    /// Where the instances are that are there, by the end of each one's block.
    pub(crate) blocks: BTreeMap<usize, u32>,
}

impl Instances {
    /// The instance in a place.
    #[inline]
    pub(crate) fn instance(&self, place: usize) -> Option<&InstanceData> {
        self.list.get(place)?.as_ref()
    }

    /// What orders instances by when they were made: as long as none is deleted, each is in a higher place than those before.
    pub(crate) fn made_at(&self, place: u32) -> (u32, u32) {
        (self.instance(place as usize).map_or(0, Born::born), place)
    }

    /// The same, to change it.
    pub(crate) fn instance_mut(&mut self, place: usize) -> Option<&mut InstanceData> {
        self.list.get_mut(place)?.as_mut()
    }

    /// All instances.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &InstanceData> {
        self.list.iter().flatten()
    }

    /// What is noted from the first deletion on.
    #[inline]
    fn freed(&mut self) -> Option<&mut Freed> {
        self.rare.as_deref_mut()?.freed.as_deref_mut()
    }

    /// Places that are free: of instances, memories and tables.
    #[inline]
    fn num_free(&self) -> [usize; 3] {
        let freed = self.rare.as_deref().and_then(|rare| rare.freed.as_deref());
        freed.map_or([0; 3], |free| [free.instances.len(), free.memories.len(), free.tables.len()])
    }

    /// How many instances there are.
    #[inline]
    pub(crate) fn num_instances(&self) -> usize {
        self.list.len() - self.num_free()[0]
    }

    /// How many memories there are, the host's too.
    #[inline]
    pub(crate) fn num_memories(&self) -> usize {
        self.memories.len() - self.num_free()[1]
    }

    /// How many tables there are, the host's too.
    #[inline]
    pub(crate) fn num_tables(&self) -> usize {
        self.tables.len() - self.num_free()[2]
    }

    /// Where a new instance will be.
    #[inline]
    pub(crate) fn next_place(&mut self) -> u32 {
        let place = self.freed().and_then(|freed| freed.instances.first().copied());
        place.unwrap_or(self.list.len() as u32)
    }

    /// Puts a new instance into the place that [`Instances::next_place`] tells.
    pub(crate) fn add_instance(&mut self, instance: InstanceData) -> &mut InstanceData {
        let (place, end) = (instance.position(), instance.block().end);
        if let Some(freed) = self.freed() {
            freed.blocks.insert(end, place);
            freed.instances.remove(&place);
        }
        if place as usize == self.list.len() {
            self.list.push(None);
        }
        self.list[place as usize].insert(instance)
    }

    /// Adds a memory.
    pub(crate) fn add_memory(&mut self, memory: MemoryData) -> u32 {
        let place = self.freed().and_then(|freed| freed.memories.pop());
        self.memories.put(place, memory)
    }

    /// Adds a table.
    pub(crate) fn add_table(&mut self, table: TableData) -> u32 {
        let place = self.freed().and_then(|freed| freed.tables.pop());
        self.tables.put(place, table)
    }

    /// Adds a tag.
    pub(crate) fn add_tag(&mut self, tag: TagData) -> u32 {
        let place = self.freed().and_then(|freed| freed.tags.pop());
        self.tags.put(place, tag)
    }

    /// Takes an instance out. What refers to it is the caller's to know.
    pub(crate) fn take_instance(&mut self, place: u32) -> Option<InstanceData> {
        let instance = self.list.get_mut(place as usize)?.take()?;
        if place as usize + 1 == self.list.len() {
            self.list.pop();
        } else {
            self.freed_mut().instances.insert(place);
        }
        if let Some(freed) = self.freed() {
            freed.blocks.remove(&instance.block().end);
        }
        Some(instance)
    }

    /// Takes a memory out.
    pub(crate) fn take_memory(&mut self, place: u32) -> Option<MemoryData> {
        let (memory, is_last) = self.memories.take(place)?;
        if !is_last {
            self.freed_mut().memories.push(place);
        }
        Some(memory)
    }

    /// Takes a table out.
    pub(crate) fn take_table(&mut self, place: u32) -> Option<TableData> {
        let (table, is_last) = self.tables.take(place)?;
        if !is_last {
            self.freed_mut().tables.push(place);
        }
        Some(table)
    }

    /// Takes a tag out.
    pub(crate) fn take_tag(&mut self, place: u32) -> Option<TagData> {
        let (tag, is_last) = self.tags.take(place)?;
        if !is_last {
            self.freed_mut().tags.push(place);
        }
        Some(tag)
    }

    /// What is noted from now on, at the latest.
    pub(crate) fn freed_mut(&mut self) -> &mut Freed {
        let blocks =
            || self.list.iter().flatten().map(|instance| (instance.block().end, instance.position())).collect();
        let rare = self.rare.get_or_insert_default();
        rare.freed.get_or_insert_with(|| Box::new(Freed { blocks: blocks(), ..Freed::default() }))
    }

    /// Whether there is a function whose reference is at this address, and was already when so many instances were deleted.
    pub(crate) fn has_func(&self, address: usize, deletions: u32) -> bool {
        let rare = self.rare.as_deref();
        let block = rare.and_then(|rare| rare.freed.as_deref()?.blocks.range(address + 1..).next());
        let instance = block.and_then(|(_, &place)| self.instance(place as usize));
        if instance.is_some_and(|instance| instance.block().contains(&address)) {
            return instance.is_some_and(|instance| instance.born() <= deletions);
        }
        // Those stay.
        self.host_funcs.has_address(address) || rare.is_some_and(|rare| rare.adapters.has_address(address))
    }
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

    /// The position, in the store it belongs to, of the thing that was made when `born` instances were deleted.
    ///
    /// # Errors
    /// Where the handle is of another store, or the thing's instance was deleted.
    #[inline]
    pub(crate) fn position_in<T: Born>(self, store: &Store, things: &Places<T>, born: u32) -> Result<u32, Error> {
        self.find(store, things, born).map(|_| self.position)
    }

    /// The thing itself, among all of its kind in the store.
    ///
    /// # Errors
    /// As [`ItemId::position_in`].
    #[inline]
    pub(crate) fn find<'a, T: Born>(self, store: &Store, things: &'a Places<T>, born: u32) -> Result<&'a T, Error> {
        store.check_owner(self.store)?;
        things.get(self.position as usize).filter(|thing| thing.born() == born).ok_or_else(Error::deleted)
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
