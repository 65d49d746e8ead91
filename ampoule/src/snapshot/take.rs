//! Taking a snapshot: from addresses and numbers of a store to names that mean the same in every other.

use super::HostReferences;
use super::objects::ObjectReader;
use super::state::*;
use super::{Contents, check_idle, refused};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::instance::Instance;
use crate::memory::image::MemoryImage;
use crate::module::{LazyImage, Module};
use crate::store::Store;
use crate::store::records::instance::{InstanceData, MemoryLink};
use crate::store::records::memory::{Bytes, MemoryData};
use crate::store::records::table::TableData;
use crate::table;
use ampoule_core::index::*;
use ampoule_core::module::Item;
use ampoule_core::types::{TypeId, ValType};
use ampoule_core::vm::{TABLE_ELEMENT_NULL, VmFuncRef, VmGlobal};
use ampoule_machine::os::mmap::PAGE;
use hashbrown::HashMap;
use std::sync::Arc;

/// Functions that a table names lazily are no more than this many times those that it has, unless the list is short: others are named one by
/// one, however far behind they are.
const LAZY_PER_FUNCTION: usize = 4;
const SHORT_LAZY: usize = 1 << 10;

/// What is known of the store while a snapshot is taken. Numbers of instances are the snapshot's.
pub(super) struct Reader<'a> {
    pub(super) store: &'a Store,
    /// Where the snapshot's instances are in the store, ascending.
    positions: Vec<u32>,
    /// Whether what the host made belongs to the snapshot.
    whole: bool,
    /// The instances by their blocks' addresses.
    contexts: HashMap<usize, u32>,
    /// The functions that they import, by their addresses.
    imported: HashMap<usize, Function>,
    /// What belongs to the snapshot, by the place in the store.
    memories: HashMap<u32, Source>,
    tables: HashMap<u32, Source>,
    globals: HashMap<usize, Source>,
    tags: HashMap<u32, Source>,
    /// Every tag that an instance has, by its number.
    pub(super) known_tags: HashMap<u32, (u32, TagIndex)>,
    pub(super) modules: Vec<Module>,
    images: Vec<Arc<MemoryImage>>,
    lazy: Vec<LazyImage>,
}

/// Takes a snapshot of these instances, or of all of the store and what the host made for them.
pub(super) fn take(
    store: &Store,
    instances: Option<&[Instance]>,
    references: &mut dyn HostReferences,
) -> Result<Contents, Error> {
    check_idle(store)?;
    let made_at = |position: &u32| store.instances.made_at(*position);
    let given = match instances {
        Some(instances) => instances.iter().map(|instance| instance.position(store)).collect::<Result<Vec<_>, _>>()?,
        None => {
            let mut all: Vec<u32> = store.instances.iter().map(InstanceData::position).collect();
            all.sort_unstable_by_key(made_at);
            all
        }
    };
    let mut positions = given.clone();
    positions.sort_unstable_by_key(made_at);
    if positions.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::message("a snapshot has each instance once"));
    }
    let place =
        |position: &u32| positions.binary_search_by_key(&made_at(position), made_at).expect("it is one of them") as u32;
    let order = given.iter().map(place).collect();
    let mut reader = Reader::new(store, positions, instances.is_none());
    let mut state = State { order, ..State::default() };
    let mut objects = ObjectReader::default();
    for number in 0..reader.positions.len() as u32 {
        reader.sources(number, &mut state)?;
    }
    for number in 0..reader.positions.len() as u32 {
        reader.contents(number, &mut state, &mut objects)?;
    }
    reader.contents_of_host(&mut state, &mut objects)?;
    state.objects = objects.finish(&mut reader, references)?;
    Ok(Contents {
        engine: store.engine.clone(),
        modules: reader.modules,
        images: reader.images,
        lazy: reader.lazy,
        state,
    })
}

impl<'a> Reader<'a> {
    fn new(store: &'a Store, positions: Vec<u32>, whole: bool) -> Self {
        let contexts = positions.iter().zip(0..).map(|(&position, number)| {
            let context = store.instances.instance(position as usize).expect("it was asked for its position").vmctx();
            (context as usize, number)
        });
        Self {
            store,
            contexts: contexts.collect(),
            positions,
            whole,
            imported: HashMap::new(),
            memories: HashMap::new(),
            tables: HashMap::new(),
            globals: HashMap::new(),
            tags: HashMap::new(),
            known_tags: HashMap::new(),
            modules: Vec::new(),
            images: Vec::new(),
            lazy: Vec::new(),
        }
    }

    pub(super) fn engine(&self) -> &'a Engine {
        &self.store.engine
    }

    fn record(&self, number: u32) -> &'a InstanceData {
        self.store.instances.instance(self.positions[number as usize] as usize).expect("it was asked for its position")
    }

    /// Notes an instance: its module, where its imports come from, and what of the store is its own.
    fn sources(&mut self, number: u32, state: &mut State) -> Result<(), Error> {
        let record = self.record(number);
        let module = record.module();
        let known = self.modules.iter().position(|known| known.same(module));
        let module_number = known.unwrap_or_else(|| {
            self.modules.push(module.clone());
            self.modules.len() - 1
        }) as u32;
        let description = module.description();
        let mut imports = Vec::with_capacity(description.imports.len());
        for import in &description.imports {
            let place = |index: u32| (number, index);
            imports.push(match import.item {
                Item::Func(index) => {
                    // SAFETY: imports were filled in when the instance was made, with references of the store.
                    let func_ref = unsafe { (*record.imported_function(index)).func_ref };
                    self.imported.entry(func_ref as usize).or_insert(Function { instance: number, func: index });
                    match self.own_function(func_ref) {
                        Some(Function { instance, func }) => Source::Instance(instance, func.0),
                        None => Source::Outside,
                    }
                }
                Item::Memory(index) => {
                    let MemoryLink::Store(position) = record.memories[index.index()] else {
                        return Err(shared(&format!("imported as `{}::{}`", import.module, import.name)));
                    };
                    let data = &self.store.instances.memories[position as usize];
                    let belongs = self.whole && data.own.is_some();
                    note(&mut self.memories, position, belongs, &mut state.memories, || {
                        let content = MemoryState { pages: 0, image: None };
                        Ok(OfHost { place: place(index.0), ty: data.ty, module: module_number, content })
                    })?
                }
                Item::Table(index) => {
                    let position = record.tables[index.index()];
                    let data = &self.store.instances.tables[position as usize];
                    let belongs = self.whole && data.own.is_some();
                    note(&mut self.tables, position, belongs, &mut state.tables, || {
                        let ty = data.ty.try_map(&mut |id| local_id(module, id))?;
                        let content = TableState { len: 0, lazy: None, elements: Vec::new() };
                        Ok(OfHost { place: place(index.0), ty, module: module_number, content })
                    })?
                }
                Item::Global(index) => {
                    let cell = record.global(index) as usize;
                    let globals = &self.store.instances.globals;
                    let made = globals.iter().find(|global| self.whole && &raw const global.vm as usize == cell);
                    note(&mut self.globals, cell, made.is_some(), &mut state.globals, || {
                        let ty = made.expect("it is the host's").ty.try_map(&mut |id| local_id(module, id))?;
                        Ok(OfHost { place: place(index.0), ty, module: module_number, content: Value::Bits(0) })
                    })?
                }
                Item::Tag(index) => {
                    let tag = self.tag(record, index);
                    self.known_tags.entry(tag).or_insert((number, index));
                    note(&mut self.tags, tag, self.whole, &mut state.tags, || {
                        let ty = description.tags[index.index()];
                        Ok(OfHost { place: place(index.0), ty, module: module_number, content: () })
                    })?
                }
            });
        }
        self.own_items(number, record, description.num_imported_tags)?;
        state.instances.push(InstanceState {
            module: module_number,
            imports,
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            dropped_elems: record.dropped_elems.clone(),
            dropped_datas: record.dropped_datas.clone(),
            made_elems: Vec::new(),
        });
        Ok(())
    }

    fn own_items(&mut self, number: u32, record: &InstanceData, imported_tags: usize) -> Result<(), Error> {
        let description = record.module().description();
        for index in description.num_imported_memories..description.memories.len() {
            let MemoryLink::Store(position) = record.memories[index] else {
                let name = export_of(record.module(), Item::Memory(MemoryIndex(index as u32)));
                return Err(shared(&name.unwrap_or_else(|| format!("number {index} of its module"))));
            };
            self.memories.insert(position, Source::Instance(number, index as u32));
        }
        for index in description.num_imported_tables..description.tables.len() {
            self.tables.insert(record.tables[index], Source::Instance(number, index as u32));
        }
        for index in (description.num_imported_globals..description.globals.len()).map(|index| index as u32) {
            self.globals.insert(record.global(GlobalIndex(index)) as usize, Source::Instance(number, index));
        }
        for index in (imported_tags..description.tags.len()).map(|index| TagIndex(index as u32)) {
            let tag = self.tag(record, index);
            self.tags.insert(tag, Source::Instance(number, index.0));
            self.known_tags.insert(tag, (number, index));
        }
        Ok(())
    }

    fn tag(&self, record: &InstanceData, index: TagIndex) -> u32 {
        // SAFETY: the place is in the block, and was filled in when the instance was made.
        unsafe { record.at::<u32>(record.module().layout().tag(index)).read() }
    }

    /// What an instance's own memories, tables and globals hold.
    fn contents(&mut self, number: u32, state: &mut State, objects: &mut ObjectReader) -> Result<(), Error> {
        let record = self.record(number);
        let description = record.module().description();
        for link in &record.memories[description.num_imported_memories..] {
            let MemoryLink::Store(position) = *link else { unreachable!("shared memories were refused") };
            let memory = self.memory(position)?;
            state.instances[number as usize].memories.push(memory);
        }
        for (index, &position) in record.tables.iter().enumerate().skip(description.num_imported_tables) {
            let table = self.table(number, position, objects, &|| format!("table {index} of instance {number}"))?;
            state.instances[number as usize].tables.push(table);
        }
        for index in description.num_imported_globals..description.globals.len() {
            let (cell, ty) = (record.global(GlobalIndex(index as u32)), description.globals[index].content);
            let value = self.global(cell, ty, objects, &|| format!("global {index} of instance {number}"))?;
            state.instances[number as usize].globals.push(value);
        }
        let made = record.made_elems.iter().flat_map(|elems| elems.iter());
        let made = made.map(|(&segment, elems)| (segment, elems.iter().map(|&raw| objects.reference(raw)).collect()));
        state.instances[number as usize].made_elems = made.collect();
        Ok(())
    }

    /// The same of what the host made.
    fn contents_of_host(&mut self, state: &mut State, objects: &mut ObjectReader) -> Result<(), Error> {
        for memory in &mut state.memories {
            let (instance, index) = memory.place;
            let MemoryLink::Store(position) = self.record(instance).memories[index as usize] else {
                unreachable!("shared memories were refused")
            };
            memory.content = self.memory(position)?;
        }
        for table in &mut state.tables {
            let (instance, index) = table.place;
            let position = self.record(instance).tables[index as usize];
            let what = || format!("table {index} of instance {instance}");
            table.content = self.table(instance, position, objects, &what)?;
        }
        for global in &mut state.globals {
            let (instance, index) = global.place;
            let cell = self.record(instance).global(GlobalIndex(index));
            let what = || format!("global {index} of instance {instance}");
            global.content = self.global(cell, global.ty.content, objects, &what)?;
        }
        Ok(())
    }

    fn memory(&mut self, position: u32) -> Result<MemoryState, Error> {
        let data = &self.store.instances.memories[position as usize];
        let pages = data.memory.byte_len() as u64 >> data.ty.page_size_log2;
        let pieces = used_pieces(data);
        let no_memory = |error| Error::new(ErrorKind::System("making the image of a memory", error));
        let image = MemoryImage::of_contents(&pieces, self.engine().instance_memories()).map_err(no_memory)?;
        let image = image.map(|image| {
            self.images.push(image);
            self.images.len() as u32 - 1
        });
        Ok(MemoryState { pages, image })
    }

    /// `instance` has the table, or imports it.
    fn table(
        &mut self,
        instance: u32,
        position: u32,
        objects: &mut ObjectReader,
        what: &dyn Fn() -> String,
    ) -> Result<TableState, Error> {
        let data = &self.store.instances.tables[position as usize];
        let len = data.elements.len() as u64;
        if !data.ty.element.is_func() {
            let elements = data.elements.nonzero().into_iter();
            let elements = elements.map(|(at, word)| (at as u32, Value::Object(objects.reference(word as u32))));
            return Ok(TableState { len, lazy: None, elements: elements.collect() });
        }
        let mut functions = self.lazy_functions(position, data, what)?;
        for (at, word) in data.elements.nonzero().into_iter().filter(|(_, word)| *word != TABLE_ELEMENT_NULL) {
            functions.push((at as u32, self.function(word as *mut VmFuncRef, what)?));
        }
        functions.sort_unstable_by_key(|(at, _)| *at);
        let base = functions.first().map_or(instance, |(_, function)| function.instance);
        let of_base = functions.iter().filter(|(_, function)| function.instance == base);
        let most = (of_base.clone().count() * LAZY_PER_FUNCTION).max(SHORT_LAZY);
        let lazy_len = of_base.map(|(at, _)| *at as usize + 1).take_while(|&end| end <= most).last().unwrap_or(0);
        let mut lazy = vec![None; lazy_len];
        functions.retain(|&(at, function)| {
            let is_lazy = (at as usize) < lazy_len && function.instance == base;
            if is_lazy {
                lazy[at as usize] = Some(function.func);
            }
            !is_lazy
        });
        let elements = functions.into_iter().map(|(at, function)| (at, Value::Func(Some(function)))).collect();
        let lazy = (lazy_len > 0).then(|| {
            self.lazy.push(Arc::new(lazy.into_iter().collect()));
            (base, self.lazy.len() as u32 - 1)
        });
        Ok(TableState { len, lazy, elements })
    }

    /// The functions that lazy elements stand for.
    fn lazy_functions(
        &self,
        position: u32,
        data: &TableData,
        what: &dyn Fn() -> String,
    ) -> Result<Vec<(u32, Function)>, Error> {
        let Some((of, image)) = &data.lazy else { return Ok(Vec::new()) };
        let places = 0..image.len().min(data.elements.len()) as u32;
        let functions = places.filter_map(|at| Some((at, table::lazy_func(self.store, position, at.into())?.1)));
        let mut functions = functions.peekable();
        if functions.peek().is_none() {
            return Ok(Vec::new());
        }
        let owner = self.store.instances.instance(*of as usize);
        let instance = owner.and_then(|owner| self.contexts.get(&(owner.vmctx() as usize)).copied());
        let instance = instance.ok_or_else(|| foreign_function(what))?;
        Ok(functions.map(|(at, func)| (at, Function { instance, func })).collect())
    }

    fn global(
        &self,
        cell: *mut VmGlobal,
        ty: ValType,
        objects: &mut ObjectReader,
        what: &dyn Fn() -> String,
    ) -> Result<Value, Error> {
        // SAFETY: the cell is a live global of the store, whose guest does not run.
        let bits = unsafe { u128::from_le_bytes((*cell).bytes) };
        Ok(if ty.is_collected() {
            Value::Object(objects.reference(bits as u32))
        } else if ty.is_ref() {
            let func_ref = bits as usize as *mut VmFuncRef;
            Value::Func(if func_ref.is_null() { None } else { Some(self.function(func_ref, what)?) })
        } else {
            Value::Bits(bits)
        })
    }

    /// The name of a function; `what` refers to it.
    pub(super) fn function(&self, func_ref: *mut VmFuncRef, what: &dyn Fn() -> String) -> Result<Function, Error> {
        let known = self.own_function(func_ref).or_else(|| self.imported.get(&(func_ref as usize)).copied());
        known.ok_or_else(|| foreign_function(what))
    }

    /// The name of a function of one of the instances.
    fn own_function(&self, func_ref: *mut VmFuncRef) -> Option<Function> {
        // SAFETY: a reference of the store leads to a function, whose record lives as long.
        let context = unsafe { (*func_ref).vmctx } as usize;
        let instance = *self.contexts.get(&context)?;
        let module = self.record(instance).module();
        let position = module.layout().func_ref_at((func_ref as usize).wrapping_sub(context) as u64)?;
        Some(Function { instance, func: *module.description().func_refs.get(position.index())? })
    }
}

/// Where something comes from that an instance imports, which is noted where it belongs to the snapshot.
fn note<Place: std::hash::Hash + Eq, Type, Content>(
    known: &mut HashMap<Place, Source>,
    place: Place,
    belongs: bool,
    made: &mut Vec<OfHost<Type, Content>>,
    make: impl FnOnce() -> Result<OfHost<Type, Content>, Error>,
) -> Result<Source, Error> {
    if let Some(&source) = known.get(&place) {
        return Ok(source);
    }
    if !belongs {
        return Ok(Source::Outside);
    }
    made.push(make()?);
    let source = Source::Host(made.len() as u32 - 1);
    known.insert(place, source);
    Ok(source)
}

/// The pieces of a memory that are not zero, in whole pages but for the end.
fn used_pieces(data: &MemoryData) -> Vec<(u64, &[u8])> {
    let (base, len) = data.place();
    if len == 0 {
        return Vec::new();
    }
    // SAFETY: as many bytes are there; the memory is not shared, and its store is borrowed.
    let bytes = unsafe { std::slice::from_raw_parts(base, len) };
    let ranges = match &data.memory {
        Bytes::Engine(memory) => memory.used_ranges(),
        Bytes::Host(_) => std::iter::once(0..len).collect(),
    };
    let mut pieces: Vec<(u64, &[u8])> = Vec::new();
    for range in ranges {
        let pages = bytes[range.clone()].chunks(PAGE).zip((range.start..).step_by(PAGE));
        for (page, at) in pages.filter(|(page, _)| page.iter().any(|&byte| byte != 0)) {
            match pieces.last_mut() {
                // Pages beside each other are one piece.
                Some((start, piece)) if *start as usize + piece.len() == at => {
                    *piece = &bytes[*start as usize..at + page.len()];
                }
                _ => pieces.push((at as u64, page)),
            }
        }
    }
    pieces
}

/// What a module calls a type that the engine knows by this number.
fn local_id(module: &Module, id: TypeId) -> Result<TypeId, Error> {
    let mut types = 0..module.description().types.len() as u32;
    let found = types.find(|&ty| module.declared(TypeIndex(ty)).id() == id);
    found
        .map(TypeId)
        .ok_or_else(|| refused("the type of something that the host made is declared by no module that imports it"))
}

fn export_of(module: &Module, item: Item) -> Option<String> {
    let export = module.description().exports.iter().find(|export| export.item == item)?;
    Some(format!("exported as `{}`", export.name))
}

fn shared(which: &str) -> Error {
    refused(&format!("the memory {which} is shared, so other threads may be writing to it"))
}

fn foreign_function(what: &dyn Fn() -> String) -> Error {
    refused(&format!("{} refers to a function that none of the instances has or imports", what()))
}
