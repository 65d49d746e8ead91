//! Deleting an instance before its store goes.
//!
//! An instance goes alone: it is refused where anything else in the store leads to it, which is looked for at that time. Handles of the host
//! don't count. They tell after how many deletions they were made, and every use compares that with what is there
//! ([`crate::store::places`]); addresses of functions are looked up ([`Store::check_func`]).
//!
//! What may lead to an instance: imports of other instances, elements of their tables and of the host's, globals, objects, and what components
//! and native entry points call. No guest is in the store meanwhile, so there are no frames.

use crate::engine::budget::BudgetKind;
use crate::error::Error;
use crate::instance::Instance;
use crate::store::Store;
use crate::store::budget::{record_bytes, table_bytes};
use crate::store::handler_cache::HandlerCache;
use crate::store::records::instance::{InstanceData, MemoryLink};
use crate::store::records::table::TableData;
use crate::table;
use ampoule_core::index::{FuncIndex, GlobalIndex, TagIndex};
use ampoule_core::types::ValType;
use ampoule_core::vm::{VmGlobal, VmValRaw};
use std::ops::Range;
use std::ptr;

impl Instance {
    /// Deletes the instance with its memories, tables and globals. Its memory goes back to the system, or to the engine's next instances, and
    /// limits count it no more. Handles of it, of its items and of its functions are refused from then on.
    ///
    /// Not where something else in the store uses it, or a guest runs. Looks through the store for that: in proportion to its instances, to
    /// what was written to its tables, and to its heap, where it has one.
    ///
    /// # Errors
    /// What uses the instance; then nothing changes.
    pub fn delete(self, store: &mut Store) -> Result<(), Error> {
        let mut user = self.find_user(store)?;
        if user == Some(User::Object) {
            // Perhaps one that nobody holds. Finalizers may do anything to the store.
            store.gc();
            user = self.find_user(store)?;
        }
        if let Some(user) = user {
            return Err(Error::message(format!("the instance cannot be deleted: {}", user.says())));
        }
        store.count_deletion()?;
        let data = self.data(store)?;
        let (place, tags, module) = (data.position(), own_tags(data), data.module().clone());
        if module.description().uses_heap {
            // Of objects that are garbage already, the collector still looks at the types.
            module.types().iter().try_for_each(|ty| store.keep(ty))?;
        }
        // Functions of the others are looked up from now on.
        store.instances.freed_mut();
        remove(store, place, &tags);
        // Other code may come where the instance's was.
        store.exceptions.handlers = HandlerCache::default();
        store.vm.caller = ptr::null_mut();
        Ok(())
    }

    /// What uses the instance.
    ///
    /// # Errors
    /// Where the handle is no good, or the store is in use.
    fn find_user(&self, store: &mut Store) -> Result<Option<User>, Error> {
        let data = self.data(store)?;
        if let Some(why) = store.in_use() {
            return Err(Error::message(format!("the instance cannot be deleted: {why}")));
        }
        if store.has_waiting_task() {
            let why = "the instance cannot be deleted: the store has an asynchronous call that is not finished";
            return Err(Error::message(why));
        }
        let (block, tags) = (data.block(), own_tags(data));
        if let Some(user) = importer(store, data, &tags) {
            return Ok(Some(user));
        }
        if other_tables(store, data).any(|(at, table)| holds_function(store, at, table, data)) {
            return Ok(Some(User::Table));
        }
        if global_values(store, data.position()).any(|value| block.contains(&value)) {
            return Ok(Some(User::Global));
        }
        if store.native.has_entry(&block) {
            return Ok(Some(User::NativeEntry));
        }
        let adapters = store.instances.rare.iter().flat_map(|rare| rare.adapters.iter());
        if adapters.into_iter().any(|adapter| block.contains(&adapter.vmctx.addr())) {
            return Ok(Some(User::Component));
        }
        Ok(store.has_object_with(&block, &tags).then_some(User::Object))
    }
}

/// What uses an instance.
#[derive(Clone, PartialEq, Eq, Debug)]
enum User {
    /// Another instance, by its position, and what it imports.
    Importer(u32, &'static str),
    Table,
    Global,
    NativeEntry,
    Component,
    Object,
}

impl User {
    fn says(&self) -> String {
        match self {
            User::Importer(position, what) => {
                format!("another instance (number {position} of the store) imports its {what}")
            }
            User::Table => "a table has a function of it".to_string(),
            User::Global => "a global has a function of it".to_string(),
            User::NativeEntry => "a native entry point leads to a function of it".to_string(),
            User::Component => "a component calls a function of it".to_string(),
            User::Object => "an object has a function of it, or an exception its tag".to_string(),
        }
    }
}

/// The numbers of the tags that an instance has made.
pub(crate) fn own_tags(data: &InstanceData) -> Vec<u32> {
    let module = data.module().description();
    let own = module.num_imported_tags..module.tags.len();
    own.map(|index| {
        let number = data.at::<u32>(data.module().layout().tag(TagIndex(index as u32)));
        // SAFETY: the place is in the block, and was filled in at instantiation.
        unsafe { number.read() }
    })
    .collect()
}

/// Another instance that imports something of this one.
fn importer(store: &Store, data: &InstanceData, tags: &[u32]) -> Option<User> {
    let block = data.block();
    let others = store.instances.iter().filter(|other| other.position() != data.position());
    others.into_iter().find_map(|other| {
        let what = imported_of(store, other, &block, tags)?;
        Some(User::Importer(other.position(), what))
    })
}

/// What an instance imports of the one whose block and tags these are.
fn imported_of(store: &Store, other: &InstanceData, block: &Range<usize>, tags: &[u32]) -> Option<&'static str> {
    let module = other.module().description();
    let is_in = |address: usize| block.contains(&address);
    let mut funcs = (0..module.num_imported_functions).map(|index| other.imported_function(FuncIndex(index as u32)));
    // SAFETY: a record in the list is linked.
    if funcs.any(|import| unsafe { is_in((*import).func_ref.addr()) }) {
        return Some("function");
    }
    let memories = other.memories[..module.num_imported_memories].iter();
    let mut memories = memories.filter_map(|link| match link {
        MemoryLink::Store(position) => Some(store.instances.memories[*position as usize].definition.addr()),
        MemoryLink::Shared(_) => None,
    });
    if memories.any(is_in) {
        return Some("memory");
    }
    let mut tables = other.tables[..module.num_imported_tables].iter();
    if tables.any(|&position| is_in(store.instances.tables[position as usize].definition.addr())) {
        return Some("table");
    }
    let mut globals = (0..module.num_imported_globals).map(|index| other.global(GlobalIndex(index as u32)).addr());
    if globals.any(is_in) {
        return Some("global");
    }
    let mut imported_tags =
        (0..module.num_imported_tags).map(|index| other.module().layout().tag(TagIndex(index as u32)));
    // SAFETY: the place is in the block, and was filled in at instantiation.
    imported_tags.any(|at| tags.contains(&unsafe { other.at::<u32>(at).read() })).then_some("tag")
}

/// The tables of functions that are not the instance's own, with their places.
fn other_tables<'a>(store: &'a Store, data: &InstanceData) -> impl Iterator<Item = (u32, &'a TableData)> {
    let block = data.block();
    let tables = store.instances.tables.enumerate().filter(|(_, table)| table.ty.element.is_func());
    tables.filter(move |(_, table)| !block.contains(&table.definition.addr()))
}

/// Whether an element refers to a function of the instance, or, as is so after a snapshot was restored, stands for one.
fn holds_function(store: &Store, at: u32, table: &TableData, data: &InstanceData) -> bool {
    let block = data.block();
    let stands_for = |index| table::lazy_func(store, at, index).is_some_and(|(of, _)| of == data.position());
    table.elements.any_nonzero(|word| block.contains(&(word as usize)))
        || table.lazy.as_ref().is_some_and(|(_, image)| (0..image.len() as u64).any(stands_for))
}

/// What the globals hold that may refer to functions: the host's, and those of all instances but one.
fn global_values(store: &Store, except: u32) -> impl Iterator<Item = usize> {
    let is_func = |ty: ValType| matches!(ty, ValType::Ref(ty) if ty.is_func());
    let hosts = store.instances.globals.iter().filter(move |global| is_func(global.ty.content));
    let hosts = hosts.map(|global| (&raw const global.vm).cast_mut());
    let others = store.instances.iter().filter(move |other| other.position() != except);
    let others = others.flat_map(move |other| {
        let module = other.module().description();
        let own = module.num_imported_globals..module.globals.len();
        let own = own.filter(move |&index| is_func(module.globals[index].content));
        own.map(|index| other.global(GlobalIndex(index as u32)))
    });
    hosts.chain(others).map(|cell: *mut VmGlobal| {
        // SAFETY: the cell is a live global's, whose value is a reference to a function.
        unsafe { (*cell.cast::<VmValRaw>()).funcref.addr() }
    })
}

/// Takes an instance out that nothing refers to, with its memories and tables, and these tags. Frees their memory.
pub(crate) fn remove(store: &mut Store, place: u32, tags: &[u32]) {
    let Some(instance) = store.instances.take_instance(place) else { return };
    let block = instance.block();
    let bytes = record_bytes(&instance);
    let memories = store.instances.memories.enumerate();
    let memories = memories.filter(|(_, memory)| block.contains(&memory.definition.addr())).map(|(at, _)| at);
    memories.collect::<Vec<_>>().into_iter().rev().for_each(|at| remove_memory(store, at));
    let tables = store.instances.tables.enumerate();
    let tables = tables.filter(|(_, table)| block.contains(&table.definition.addr())).map(|(at, _)| at);
    tables.collect::<Vec<_>>().into_iter().rev().for_each(|at| remove_table(store, at));
    for &tag in tags.iter().rev() {
        store.instances.take_tag(tag);
    }
    store.count_code_no_more(instance.module());
    drop(instance);
    store.release(BudgetKind::Instance, bytes);
}

/// Takes a memory out that nothing refers to.
pub(crate) fn remove_memory(store: &mut Store, place: u32) {
    let memory = store.instances.take_memory(place);
    store.release(BudgetKind::Memory, memory.map_or(0, |memory| memory.place().1) as u64);
}

/// Takes a table out that nothing refers to.
pub(crate) fn remove_table(store: &mut Store, place: u32) {
    let table = store.instances.take_table(place);
    store.release(BudgetKind::Table, table.map_or(0, |table| table_bytes(table.len() as u64)));
}
