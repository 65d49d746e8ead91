//! The way back: making the instances of a snapshot in a store, and having instances be again as they were.
//!
//! Whatever may fail comes first: limits, memories, objects. What is left then only writes.

use super::objects;
use super::state::*;
use super::{Contents, HostReferences, check_idle};
use crate::engine::budget::BudgetKind;
use crate::error::{Error, ErrorKind, LinkError};
use crate::global::Global;
use crate::instance::Instance;
use crate::instance::delete;
use crate::instance::external::Extern;
use crate::instance::instantiate::{self, Beginning};
use crate::memory::image::MemoryImage;
use crate::memory::{self, Memory};
use crate::module::Module;
use crate::store::Store;
use crate::store::records::instance::{InstanceData, MemoryLink};
use crate::store::records::memory::Bytes;
use crate::table::{self, Table};
use crate::tag::Tag;
use ampoule_core::index::*;
use ampoule_core::module::{Import, Item};
use ampoule_core::types::{GlobalType, MemoryType, TableType, TypeId};
use ampoule_core::vm::VmGlobal;
use std::convert::Infallible;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Of the pages of a memory that were written, so many bytes are overwritten when it is reset. More are given back to the system: to have them
/// back costs a page fault each, but to overwrite them reads and writes them all.
const OVERWRITTEN_BYTES: usize = 2 << 20;

/// What is in a store whose place is known.
const MADE: &str = "it was made, and is used";

/// The instances of a snapshot, in one store.
pub(super) struct Target {
    /// Where they are in the store, in the snapshot's order.
    positions: Vec<u32>,
}

impl Target {
    pub(super) fn of(positions: Vec<u32>) -> Self {
        Self { positions }
    }

    /// Has instances that were just made be as they were.
    pub(super) fn fill(
        &self,
        contents: &Contents,
        store: &mut Store,
        references: &mut dyn HostReferences,
    ) -> Result<(), Error> {
        let places = objects::make(contents, store, self, references)?;
        fill_in(contents, store, self, &places)
    }

    pub(super) fn record<'a>(&self, store: &'a Store, number: u32) -> &'a InstanceData {
        store.instances.instance(self.positions[number as usize] as usize).expect(MADE)
    }

    fn record_mut<'a>(&self, store: &'a mut Store, number: u32) -> &'a mut InstanceData {
        store.instances.instance_mut(self.positions[number as usize] as usize).expect(MADE)
    }

    /// A function as guest code holds it.
    pub(super) fn function(&self, store: &Store, function: Function) -> u64 {
        table::func_word(self.record(store, function.instance), function.func)
    }

    /// The handles, as whoever took the snapshot ordered the instances.
    fn handles(&self, store: &Store, order: &[u32]) -> Vec<Instance> {
        order.iter().map(|&number| Instance::at(store, self.positions[number as usize])).collect()
    }
}

/// Makes the instances. `find` tells what stands for an import from outside of the snapshot.
pub(super) fn instantiate(
    contents: &Contents,
    store: &mut Store,
    find: &mut dyn FnMut(&mut Store, &Import) -> Result<Extern, Error>,
    references: &mut dyn HostReferences,
) -> Result<Vec<Instance>, Error> {
    if !contents.engine.same(&store.engine) {
        return Err(LinkError::WrongEngine { what: "snapshot" }.into());
    }
    // Nothing runs, so the store may be one that takes asynchronous calls only.
    if store.has_call() {
        store.check_nested()?;
    }
    let globals = store.instances.globals.len();
    let mut made = Made::default();
    match made.all(contents, store, find, references) {
        Ok(()) => Ok(Target { positions: made.positions }.handles(store, &contents.state.order)),
        Err(error) => {
            made.take_back(store, globals);
            Err(error)
        }
    }
}

/// Makes an instance with imports in its module's order. Its globals are zero, and its tables null.
pub(super) fn make_one(
    contents: &Contents,
    store: &mut Store,
    instance: &InstanceState,
    imports: &[Extern],
) -> Result<u32, Error> {
    let module = &contents.modules[instance.module as usize];
    instantiate::check_imports(store, module, imports)?;
    instantiate::admit(store, module)?;
    let beginning = Contained { instance, images: &contents.images };
    instantiate::allocate(store, module, imports, &beginning)
}

/// What was made so far.
#[derive(Default)]
struct Made {
    positions: Vec<u32>,
    memories: Vec<Option<Memory>>,
    tables: Vec<Option<Table>>,
    globals: Vec<Option<Global>>,
    tags: Vec<Option<Tag>>,
}

impl Made {
    /// Takes out of the store what was made; `globals` of the host were there before. Nobody has a handle of it, or an address.
    fn take_back(self, store: &mut Store, globals: usize) {
        for &position in self.positions.iter().rev() {
            let tags = delete::own_tags(store.instances.instance(position as usize).expect(MADE));
            delete::remove(store, position, &tags);
        }
        for memory in self.memories.iter().rev().flatten() {
            if let Ok(position) = memory.position(store) {
                delete::remove_memory(store, position);
                store.instances.host_memories -= 1;
            }
        }
        for table in self.tables.iter().rev().flatten() {
            if let Ok(position) = table.position(store) {
                delete::remove_table(store, position);
                store.instances.host_tables -= 1;
            }
        }
        for tag in self.tags.iter().rev().flatten() {
            store.instances.take_tag(tag.number());
        }
        store.instances.globals.truncate(globals);
    }

    fn all(
        &mut self,
        contents: &Contents,
        store: &mut Store,
        find: &mut dyn FnMut(&mut Store, &Import) -> Result<Extern, Error>,
        references: &mut dyn HostReferences,
    ) -> Result<(), Error> {
        let state = &contents.state;
        self.memories.resize(state.memories.len(), None);
        self.tables.resize(state.tables.len(), None);
        self.globals.resize(state.globals.len(), None);
        self.tags.resize(state.tags.len(), None);
        for instance in &state.instances {
            let module = &contents.modules[instance.module as usize];
            let description = module.description();
            let mut imports = Vec::with_capacity(description.imports.len());
            for (import, source) in description.imports.iter().zip(&instance.imports) {
                imports.push(match *source {
                    Source::Outside => find(store, import)?,
                    Source::Instance(from, index) => {
                        let record = store.instances.instance(self.positions[from as usize] as usize).expect(MADE);
                        record.item(store, with_index(import.item, index))
                    }
                    Source::Host(number) => self.of_host(contents, store, import.item, number as usize)?,
                });
            }
            self.positions.push(make_one(contents, store, instance, &imports)?);
        }
        let target = Target { positions: std::mem::take(&mut self.positions) };
        let result = target.fill(contents, store, references);
        self.positions = target.positions;
        result
    }

    /// Something that the host made, which is made where it is first asked for.
    fn of_host(&mut self, contents: &Contents, store: &mut Store, kind: Item, number: usize) -> Result<Extern, Error> {
        let state = &contents.state;
        let module = |number: u32| &contents.modules[number as usize];
        Ok(match kind {
            Item::Memory(_) => Extern::Memory(match self.memories[number] {
                Some(memory) => memory,
                None => {
                    let OfHost { ty, content, .. } = &state.memories[number];
                    let image = content.image.map(|image| &contents.images[image as usize]);
                    *self.memories[number].insert(Memory::of_host(store, ty, content.pages, image)?)
                }
            }),
            Item::Table(_) => Extern::Table(match self.tables[number] {
                Some(table) => table,
                None => {
                    let OfHost { ty, content, module: number_of_module, .. } = &state.tables[number];
                    let ty = infallible(ty.try_map(&mut |id| Ok(engine_id(module(*number_of_module), id))));
                    *self.tables[number].insert(Table::of_host(store, &ty, content.len, 0)?)
                }
            }),
            Item::Global(_) => Extern::Global(
                *self.globals[number]
                    .get_or_insert_with(|| Global::of_host(store, global_type(contents, &state.globals[number])).0),
            ),
            Item::Tag(_) => Extern::Tag(*self.tags[number].get_or_insert_with(|| {
                let OfHost { ty, module: number_of_module, .. } = &state.tags[number];
                Tag::of_type(store, module(*number_of_module).declared(*ty).clone())
            })),
            Item::Func(_) => unreachable!("functions are of instances, or from outside"),
        })
    }
}

/// The type of a global that the host made.
fn global_type(contents: &Contents, global: &OfHost<GlobalType, Value>) -> GlobalType {
    let module = &contents.modules[global.module as usize];
    infallible(global.ty.try_map(&mut |id| Ok(engine_id(module, id))))
}

/// How the own memories and tables of an instance begin.
struct Contained<'a> {
    instance: &'a InstanceState,
    images: &'a [Arc<MemoryImage>],
}

impl Beginning for Contained<'_> {
    fn memory(&self, own: usize, _: &MemoryType) -> (u64, Option<&Arc<MemoryImage>>) {
        let MemoryState { pages, image } = &self.instance.memories[own];
        (*pages, image.map(|image| &self.images[image as usize]))
    }

    fn table_len(&self, own: usize, _: &TableType) -> u64 {
        self.instance.tables[own].len
    }
}

/// Has instances be as they were, `instances` in the order of those that the snapshot was taken of.
pub(super) fn reset(
    contents: &Contents,
    store: &mut Store,
    instances: &[Instance],
    references: &mut dyn HostReferences,
) -> Result<(), Error> {
    check_idle(store)?;
    let target = target_of(contents, store, instances)?;
    // What is shorter than it was grows first: limits may refuse that.
    for (place, table) in tables(contents) {
        grow_table(store, target.table(store, place), table.len)?;
    }
    for (place, memory) in memories(contents) {
        grow_memory(store, target.memory(store, place), memory.pages)?;
    }
    let places = objects::make(contents, store, &target, references)?;
    // The objects are referred to before anything else may happen.
    fill_in(contents, store, &target, &places)?;
    memories(contents).try_for_each(|(place, memory)| {
        let image = memory.image.map(|image| &contents.images[image as usize]);
        reset_memory(store, target.memory(store, place), memory.pages, image)
    })
}

/// The place of an item: an instance, and the index there.
type Place = (u32, u32);

/// All memories, wherever they are.
fn memories(contents: &Contents) -> impl Iterator<Item = (Place, &MemoryState)> {
    let own = contents.instances().flat_map(|(number, module, instance)| {
        let imported = module.description().num_imported_memories as u32;
        instance.memories.iter().zip(imported..).map(move |(memory, index)| ((number, index), memory))
    });
    own.chain(contents.state.memories.iter().map(|memory| (memory.place, &memory.content)))
}

/// The same of tables.
fn tables(contents: &Contents) -> impl Iterator<Item = (Place, &TableState)> {
    let own = contents.instances().flat_map(|(number, module, instance)| {
        let imported = module.description().num_imported_tables as u32;
        instance.tables.iter().zip(imported..).map(move |(table, index)| ((number, index), table))
    });
    own.chain(contents.state.tables.iter().map(|table| (table.place, &table.content)))
}

/// The same of globals.
fn globals(contents: &Contents) -> impl Iterator<Item = (Place, Value)> {
    let own = contents.instances().flat_map(|(number, module, instance)| {
        let imported = module.description().num_imported_globals as u32;
        instance.globals.iter().zip(imported..).map(move |(&value, index)| ((number, index), value))
    });
    own.chain(contents.state.globals.iter().map(|global| (global.place, global.content)))
}

/// The instances of a store that are to be as those of the snapshot were.
fn target_of(contents: &Contents, store: &Store, instances: &[Instance]) -> Result<Target, Error> {
    let order = &contents.state.order;
    if instances.len() != order.len() {
        let (expected, found) = (order.len(), instances.len());
        return Err(Error::message(format!("the snapshot is of {expected} instances, and {found} are given")));
    }
    let mut positions = vec![0; instances.len()];
    for (instance, &number) in instances.iter().zip(order) {
        positions[number as usize] = instance.position(store)?;
    }
    let target = Target { positions };
    for (number, module, instance) in contents.instances() {
        let record = target.record(store, number);
        if !record.module().same(module) {
            return Err(Error::message(format!("instance {number} is not of the module that it was of")));
        }
        for (import, source) in module.description().imports.iter().zip(&instance.imports) {
            let Source::Instance(from, index) = *source else { continue };
            let expected = target.record(store, from).place_of(with_index(import.item, index));
            if record.place_of(import.item) != expected {
                let Import { module, name, .. } = import;
                let message = format!("instance {number} imports `{module}::{name}` from another instance than it did");
                return Err(Error::message(message));
            }
        }
    }
    // A global that never changes may be of a subtype of what its importers know.
    for global in &contents.state.globals {
        let cell = target.record(store, global.place.0).global(GlobalIndex(global.place.1));
        let of_host = store.instances.globals.iter().find(|of_host| ptr::eq(&of_host.vm, cell));
        if of_host.map(|of_host| of_host.ty) != Some(global_type(contents, global)) {
            return Err(Error::message("a global that the host made is of another type than it was"));
        }
    }
    Ok(target)
}

impl InstanceData {
    /// What tells an item from all others of its kind in the store, whoever has it.
    fn place_of(&self, item: Item) -> usize {
        match item {
            Item::Func(index) => self.func_ref(index).as_ptr() as usize,
            Item::Memory(index) => match &self.memories[index.index()] {
                MemoryLink::Store(position) => *position as usize,
                MemoryLink::Shared(memory) => memory.vm() as usize,
            },
            Item::Table(index) => self.tables[index.index()] as usize,
            Item::Global(index) => self.global(index) as usize,
            Item::Tag(index) => {
                // SAFETY: the place is in the block, and was filled in when the instance was made.
                unsafe { self.at::<u32>(self.module().layout().tag(index)).read() as usize }
            }
        }
    }
}

impl Target {
    fn table(&self, store: &Store, (instance, index): Place) -> u32 {
        self.record(store, instance).tables[index as usize]
    }

    fn memory(&self, store: &Store, (instance, index): Place) -> u32 {
        match self.record(store, instance).memories[index as usize] {
            MemoryLink::Store(position) => position,
            MemoryLink::Shared(_) => unreachable!("no module of a snapshot has shared memories"),
        }
    }

    /// A value as a global has it.
    fn bits(&self, store: &Store, value: Value, places: &[u32]) -> u128 {
        match value {
            Value::Bits(bits) => bits,
            Value::Func(function) => function.map_or(0, |function| self.function(store, function)).into(),
            Value::Object(reference) => placed(reference, places).into(),
        }
    }
}

/// A reference as guest code has it, where the objects were placed there.
fn placed(reference: Reference, places: &[u32]) -> u32 {
    referred(reference).map_or(reference, |number| places[number])
}

/// Writes what instances have but memories. All tables are as long as they were, at least.
///
/// # Errors
/// What the system says that can't clear a table.
fn fill_in(contents: &Contents, store: &mut Store, target: &Target, places: &[u32]) -> Result<(), Error> {
    for (place, value) in globals(contents) {
        let bits = target.bits(store, value, places);
        let cell: *mut VmGlobal = target.record(store, place.0).global(GlobalIndex(place.1));
        // SAFETY: the cell is a live global of the store, whose guest does not run, and the value is of its type.
        unsafe { (*cell).bytes = bits.to_le_bytes() };
    }
    for (number, _, instance) in contents.instances() {
        let record = target.record_mut(store, number);
        record.dropped_elems.clone_from(&instance.dropped_elems);
        record.dropped_datas.clone_from(&instance.dropped_datas);
        let made = instance.made_elems.iter();
        let made = made.map(|(segment, elems)| (*segment, elems.iter().map(|&elem| placed(elem, places)).collect()));
        record.made_elems = (!instance.made_elems.is_empty()).then(|| Box::new(made.collect()));
    }
    let mut result = Ok(());
    for (place, table) in tables(contents) {
        let position = target.table(store, place);
        let lazy = table
            .lazy
            .map(|(instance, list)| (target.record(store, instance).position(), contents.lazy[list as usize].clone()));
        let cleared = table::reset(store, position, table.len as usize, lazy);
        if cleared.is_err() {
            result = cleared;
            continue;
        }
        for &(index, value) in &table.elements {
            let word = target.bits(store, value, places) as u64;
            table::fill(store, position, index.into(), word, 1).expect("the table is as long as it was");
        }
    }
    result
}

fn grow_table(store: &mut Store, position: u32, len: u64) -> Result<(), Error> {
    let current = store.instances.tables[position as usize].elements.len() as u64;
    let Some(delta) = len.checked_sub(current).filter(|&delta| delta > 0) else { return Ok(()) };
    let grown = table::grow(store, position, delta, 0)?;
    grown.map(drop).map_err(|refused| refused.into_error(|| format!("failed to grow table by `{delta}`")))
}

fn grow_memory(store: &mut Store, position: u32, pages: u64) -> Result<(), Error> {
    let data = &store.instances.memories[position as usize];
    let current = data.memory.byte_len() as u64 >> data.ty.page_size_log2;
    if current > pages && matches!(data.memory, Bytes::Host(_)) {
        return Err(Error::message("a memory of the host's has grown, and can't become shorter"));
    }
    let Some(delta) = pages.checked_sub(current).filter(|&delta| delta > 0) else { return Ok(()) };
    let grown = memory::grow(store, position, delta)?;
    grown.map(drop).map_err(|refused| refused.into_error(|| format!("failed to grow memory by `{delta}`")))
}

/// Has a memory that is long enough hold what it did.
fn reset_memory(store: &mut Store, position: u32, pages: u64, image: Option<&Arc<MemoryImage>>) -> Result<(), Error> {
    let data = &mut store.instances.memories[position as usize];
    let byte_len = (pages << data.ty.page_size_log2) as usize;
    let before = data.memory.byte_len();
    let result = match &mut data.memory {
        Bytes::Engine(memory) => memory.reset(byte_len, image, OVERWRITTEN_BYTES),
        Bytes::Host(memory) => {
            let base = memory.base();
            // SAFETY: the embedder's memory has as many bytes, and no guest runs. An image is of no more than the memory had.
            unsafe {
                base.write_bytes(0, byte_len);
                if let Some(image) = image {
                    let range = image.range().start..image.range().end.min(byte_len);
                    image.copy(range.clone(), base.add(range.start));
                }
            }
            Ok(())
        }
    };
    // SAFETY: the definition lives as long as the store, and no guest code runs.
    unsafe {
        (*data.definition).base = data.memory.base();
        (*data.definition).byte_len.store(data.memory.byte_len(), Ordering::Relaxed);
    }
    let less = before - data.memory.byte_len();
    store.release(BudgetKind::Memory, less as u64);
    result.map_err(|error| Error::new(ErrorKind::Limit(error.to_string())))
}

/// The item at another index of its kind.
pub(super) fn with_index(item: Item, index: u32) -> Item {
    match item {
        Item::Func(_) => Item::Func(FuncIndex(index)),
        Item::Table(_) => Item::Table(TableIndex(index)),
        Item::Memory(_) => Item::Memory(MemoryIndex(index)),
        Item::Global(_) => Item::Global(GlobalIndex(index)),
        Item::Tag(_) => Item::Tag(TagIndex(index)),
    }
}

/// The engine's number of a type that a module declares.
fn engine_id(module: &Module, id: TypeId) -> TypeId {
    module.declared(TypeIndex(id.0)).id()
}

fn infallible<T>(result: Result<T, Infallible>) -> T {
    let Ok(value) = result;
    value
}
