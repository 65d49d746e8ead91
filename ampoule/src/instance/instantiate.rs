//! Instantiation (core spec, section 4.5.4): check imports, allocate, initialize, start.

use crate::engine::budget::BudgetKind;
use crate::engine::type_registry::Type;
use crate::error::{Error, ErrorKind, LinkError, extern_kind};
use crate::func::Func;
use crate::func::host;
use crate::instance::Instance;
use crate::instance::const_expr::evaluate;
use crate::instance::delete::remove;
use crate::instance::external::Extern;
use crate::instance::segments::{write_data, write_elements};
use crate::memory::image::MemoryImage;
use crate::memory::shared::SharedMemory;
use crate::module::{InstantiationPlan, Module};
use crate::store::Store;
use crate::store::budget::record_bytes;
use crate::store::limiter::{LimitRequest, Resource};
use crate::store::limits::Limits;
use crate::store::records::instance::{InstanceData, MemoryLink};
use crate::tag::Tag;
use crate::{memory, table};
use ampoule_core::const_expr::ConstExpr;
use ampoule_core::index::*;
use ampoule_core::module::{ElemItems, ElemMode, Import, Item, TableInit};
use ampoule_core::tunables::MemoryPlan;
use ampoule_core::types::{ExternType, GlobalType, MemoryType, Subtyping, TableType, TagType, ValType};
use ampoule_core::vm::{MemorySlot, VmFuncImport, VmFuncRef, VmGlobal, VmMemory, VmTable, VmValRaw};
use ampoule_machine::arch::trampolines::exit_thunk_on_call;
use std::fmt;
use std::ptr;
use std::sync::Arc;

/// Instantiates a module with imports in its order.
pub(crate) fn instantiate(store: &mut Store, module: &Module, imports: &[Extern]) -> Result<Instance, Error> {
    if !module.engine().same(&store.engine) {
        return Err(LinkError::WrongEngine { what: "module" }.into());
    }
    check_imports(store, module, imports)?;
    instantiate_checked(store, module, imports)
}

/// Instantiates a module of the store's engine with imports that [`check_imports`] has seen for this store, or that were checked before they were
/// placed in it.
pub(crate) fn instantiate_checked(store: &mut Store, module: &Module, imports: &[Extern]) -> Result<Instance, Error> {
    store.check_unreserved()?;
    admit(store, module)?;
    module.prepare(&|| store.check_interrupted())?;
    let position = allocate(store, module, imports, module.plan())?;
    let instance: *mut InstanceData = store.instances.list[position as usize].as_mut().expect("it was just made");
    // SAFETY: the record stays where it is in the store (its invariant 3), linked by now.
    unsafe {
        initialize_globals(store, instance, module)?;
        initialize_elems(store, instance, module)?;
        initialize_tables(store, instance)?;
        initialize_memories(store, instance)?;
    }
    if let Some(start) = module.description().start {
        // SAFETY: as above.
        let func_ref = unsafe { (*instance).func_ref(start) };
        // SAFETY: the reference was made for this store.
        let start = unsafe { Func::from_raw(store, func_ref.as_ptr()) }.expect("not null");
        // SAFETY: as above.
        unsafe { start.call_start(store, (*instance).vmctx())? };
    }
    Ok(Instance::at(store, position))
}

/// Makes sure that the store may have another instance, of this module.
///
/// # Errors
/// Where a limit refuses.
pub(crate) fn admit(store: &mut Store, module: &Module) -> Result<(), Error> {
    check_limits(store, module)?;
    if module.description().uses_heap {
        store.reserve_heap()?;
    } else if module.engine().pool().is_some() && holds_references(module) {
        store.claim_gc_heap()?;
    }
    Ok(())
}

/// How an instance's own memories and tables begin. They are counted without those that it imports.
pub(crate) trait Beginning {
    /// How many pages a memory has, and what is in it.
    fn memory(&self, own: usize, ty: &MemoryType) -> (u64, Option<&Arc<MemoryImage>>);

    /// How many elements a table has. They are null.
    fn table_len(&self, own: usize, ty: &TableType) -> u64;
}

impl Beginning for InstantiationPlan {
    fn memory(&self, own: usize, ty: &MemoryType) -> (u64, Option<&Arc<MemoryImage>>) {
        (ty.min, self.images[own].as_ref())
    }

    fn table_len(&self, _: usize, ty: &TableType) -> u64 {
        ty.min
    }
}

/// Refuses imports that don't fit: their number, owner, kind and type.
pub(crate) fn check_imports(store: &Store, module: &Module, imports: &[Extern]) -> Result<(), Error> {
    let expected = &module.description().imports;
    if expected.len() != imports.len() {
        return Err(LinkError::Count { expected: expected.len(), found: imports.len() }.into());
    }
    expected.iter().zip(imports).try_for_each(|(import, given)| check_import(store, module, import, given))
}

/// Says of an import, rather than of any object, that it is of another store.
fn of_other_store(error: Error) -> Error {
    if matches!(error.kind(), ErrorKind::WrongStore) { LinkError::WrongStore.into() } else { error }
}

/// What an import is compared with.
#[derive(Clone)]
pub(crate) enum Given {
    /// A function, by its canonical type: of functions it matters what they are declared as.
    Func(Type),
    /// A tag, in the same way.
    Tag(Type),
    /// Anything else, by its type at this time.
    Other(ExternType),
}

impl Given {
    /// Of this item.
    ///
    /// # Errors
    /// Where it is of another store.
    pub(crate) fn of(store: &Store, item: &Extern) -> Result<Given, Error> {
        Ok(match item {
            Extern::Func(func) => {
                let id = func.signature(store)?.id();
                Given::Func(store.engine.types().find(id).expect("the function keeps its type"))
            }
            Extern::Tag(tag) => Given::Tag(tag.declared_type(store)?.clone()),
            other => Given::Other(other.current_ty(store)?),
        })
    }

    fn ty(&self) -> ExternType {
        match self {
            Given::Func(ty) => ExternType::Func(ty.func().clone()),
            Given::Tag(ty) => ExternType::Tag(TagType { func: ty.func().clone() }),
            Given::Other(ty) => ty.clone(),
        }
    }
}

/// Refuses one import that doesn't fit.
pub(crate) fn check_import(store: &Store, module: &Module, import: &Import, given: &Extern) -> Result<(), Error> {
    // Most imports are functions, of which one pointer tells the type.
    if let (Item::Func(index), Extern::Func(func)) = (import.item, given)
        && func.signature(store).map_err(of_other_store)?.is_subtype_of(module.signature(index))
    {
        return Ok(());
    }
    let found = Given::of(store, given).map_err(of_other_store)?;
    // Another engine may guard its memories less than this one's code relies on.
    if let Extern::SharedMemory(memory) = given
        && !memory.is_of(module.engine())
    {
        return Err(LinkError::WrongEngine { what: "shared memory" }.into());
    }
    check_given(module, import, &found)
}

/// Refuses an import by its type alone.
pub(crate) fn check_given(module: &Module, import: &Import, given: &Given) -> Result<(), Error> {
    let types = &**module.engine().types();
    let fits = match (import.item, given) {
        (Item::Func(index), Given::Func(found)) => found.is_subtype_of(module.signature(index)),
        (Item::Tag(index), Given::Tag(found)) => {
            found.id() == module.declared(module.description().tags[index.index()]).id()
        }
        (Item::Global(index), Given::Other(ExternType::Global(found))) => {
            global_fits(found, &module.global_type(index), types)
        }
        (Item::Table(index), Given::Other(ExternType::Table(found))) => table_fits(found, &module.table_type(index)),
        (Item::Memory(index), Given::Other(ExternType::Memory(found))) => {
            memory_fits(found, &module.description().memories[index.index()])
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let reason = match (import.item, given) {
        // As they are declared, for that alone may be what differs.
        (Item::Func(index), Given::Func(found)) => different_funcs(module.signature(index).ty(), found.ty()),
        _ => difference(&module.item_type(import.item), &given.ty()),
    };
    Err(LinkError::Mismatch { module: import.module.clone(), name: import.name.clone(), reason }.into())
}

/// Why an item of one type can't stand where another is expected; `None` where it can.
pub fn misfit(expected: &ExternType, found: &ExternType) -> Option<String> {
    let fits = match (expected, found) {
        (ExternType::Table(expected), ExternType::Table(found)) => table_fits(found, expected),
        (ExternType::Memory(expected), ExternType::Memory(found)) => memory_fits(found, expected),
        // Types that components' core modules are expected to have name no declared ones.
        _ => expected == found,
    };
    (!fits).then(|| difference(expected, found))
}

/// In which way two types differ.
fn difference(expected: &ExternType, found: &ExternType) -> String {
    match (expected, found) {
        (ExternType::Func(expected), ExternType::Func(found)) => different_funcs(expected, found),
        (ExternType::Global(expected), ExternType::Global(found)) if expected.content == found.content => {
            let word = |mutable| if mutable { "mutable" } else { "immutable" };
            format!(
                "global types incompatible: expected {} global, found {} global",
                word(expected.mutable),
                word(found.mutable)
            )
        }
        (ExternType::Global(expected), ExternType::Global(found)) => {
            let say = |expected: &dyn fmt::Display, found: &dyn fmt::Display| {
                format!(
                    "global types incompatible: expected global of type `{expected}`, found global of type `{found}`"
                )
            };
            match (expected.content, found.content) {
                // What differs is told, where it is the heap types alone. A mutable global has to be of the very type.
                (ValType::Ref(content), ValType::Ref(found))
                    if !expected.mutable && (content.nullable || !found.nullable) =>
                {
                    say(&content.heap, &found.heap)
                }
                (content, found) => say(&content, &found),
            }
        }
        (ExternType::Table(expected), ExternType::Table(found)) if expected.element != found.element => {
            let (expected, found) = (expected.element, found.element);
            format!("table types incompatible: expected table of type `{expected}`, found table of type `{found}`")
        }
        (ExternType::Table(expected), ExternType::Table(found)) if expected.is_64 != found.is_64 => {
            differ("table", width(expected.is_64), width(found.is_64))
        }
        (ExternType::Table(expected), ExternType::Table(found)) => {
            limits_reason("table", (expected.min, expected.max), (found.min, found.max))
        }
        (ExternType::Memory(expected), ExternType::Memory(found)) if expected.shared != found.shared => {
            let word = |shared| if shared { "shared" } else { "non-shared" };
            differ("memory", word(expected.shared), word(found.shared))
        }
        (ExternType::Memory(expected), ExternType::Memory(found)) if expected.is_64 != found.is_64 => {
            differ("memory", width(expected.is_64), width(found.is_64))
        }
        // Reported last, as programs expect: of several differences the limits come first.
        (ExternType::Memory(expected), ExternType::Memory(found))
            if limits_fit((found.min, found.max), (expected.min, expected.max)) =>
        {
            let (expected, found) = (expected.page_size(), found.page_size());
            format!(
                "memory types incompatible: expected a memory with a page size of {expected}, but received a memory with a page \
                 size of {found}"
            )
        }
        (ExternType::Memory(expected), ExternType::Memory(found)) => {
            limits_reason("memory", (expected.min, expected.max), (found.min, found.max))
        }
        (ExternType::Tag(_), ExternType::Tag(_)) => "incompatible tag types".to_string(),
        _ => {
            let found = match extern_kind(found) {
                "func" => "function",
                kind => kind,
            };
            format!("expected {}, but found {found}", extern_kind(expected))
        }
    }
}

fn different_funcs(expected: &dyn fmt::Display, found: &dyn fmt::Display) -> String {
    format!("types incompatible: expected type `{expected}`, found type `{found}`")
}

fn differ(kind: &str, expected: &str, found: &str) -> String {
    format!("{kind} types incompatible: expected {expected} {kind}, found {found} {kind}")
}

fn width(is_64: bool) -> &'static str {
    if is_64 { "64-bit" } else { "32-bit" }
}

fn limits_reason(kind: &str, expected: (u64, Option<u64>), found: (u64, Option<u64>)) -> String {
    let show = |(min, max): (u64, Option<u64>)| {
        let max = max.map_or("none".to_string(), |max| max.to_string());
        format!("(min: {min}, max: {max})")
    };
    let (expected, found) = (show(expected), show(found));
    format!("{kind} types incompatible: expected {kind} limits {expected} doesn't match provided {kind} limits {found}")
}

fn limits_fit(found: (u64, Option<u64>), expected: (u64, Option<u64>)) -> bool {
    found.0 >= expected.0 && expected.1.is_none_or(|most| found.1.is_some_and(|max| max <= most))
}

/// A global that changes may be given any value of either type by those who know it by that type.
fn global_fits(found: &GlobalType, expected: &GlobalType, types: &impl Subtyping) -> bool {
    let content_fits = found.content.matches(expected.content, types);
    found.mutable == expected.mutable && if found.mutable { found.content == expected.content } else { content_fits }
}

fn table_fits(found: &TableType, expected: &TableType) -> bool {
    found.element == expected.element
        && found.is_64 == expected.is_64
        && limits_fit((found.min, found.max), (expected.min, expected.max))
}

fn memory_fits(found: &MemoryType, expected: &MemoryType) -> bool {
    found.shared == expected.shared
        && found.is_64 == expected.is_64
        && found.page_size_log2 == expected.page_size_log2
        && limits_fit((found.min, found.max), (expected.min, expected.max))
}

/// Refuses an instance beyond the store's limits, before anything exists of it.
fn check_limits(store: &mut Store, module: &Module) -> Result<(), Error> {
    let (limits, instances) = (&store.limits, &store.instances);
    let description = module.description();
    let own_memories = description.memories.len() - description.num_imported_memories;
    let own_tables = description.tables.len() - description.num_imported_tables;
    Limits::check_count("instance", instances.num_instances(), 1, limits.instances)?;
    let memories = instances.num_memories() - instances.host_memories as usize;
    let tables = instances.num_tables() - instances.host_tables as usize;
    Limits::check_count("memory", memories, own_memories, limits.memories)?;
    Limits::check_count("table", tables, own_tables, limits.tables)?;
    let current = instances.num_instances() as u64;
    let request =
        LimitRequest { resource: Resource::Instance, grows: false, current, desired: current + 1, maximum: None };
    if store.ask_limiter(&request)? {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Limit("the store's limiter refused another instance".to_string()));
    store.tell_limiter(&request, &error);
    Err(error)
}

/// Whether instances have tables of references to what is collected.
fn holds_references(module: &Module) -> bool {
    let description = module.description();
    let tables = &description.tables[description.num_imported_tables..];
    tables.iter().any(|table| !table.element.is_func())
}

/// Makes the record with its memories, tables and globals, of imports that were checked. Globals are zero. On failure nothing of it stays.
pub(crate) fn allocate(
    store: &mut Store,
    module: &Module,
    imports: &[Extern],
    beginning: &dyn Beginning,
) -> Result<u32, Error> {
    let position = store.instances.next_place();
    let data = InstanceData::new(module, position, store.deletions())?;
    store.charge(BudgetKind::Instance, record_bytes(&data))?;
    store.use_code(module);
    // First, so that what refers to the block never outlives it.
    let instance: *mut InstanceData = store.instances.add_instance(data);
    // SAFETY: the record stays where it is, and nothing else refers to it yet.
    let allocated = unsafe { fill_in(store, instance, module, imports, beginning) };
    if allocated.is_err() {
        // Its tags are made last, when nothing can fail any more.
        remove(store, position, &[]);
    }
    allocated.map(|()| position)
}

/// # Safety
/// `instance` is a new record in the store's list; imports were checked.
unsafe fn fill_in(
    store: &mut Store,
    instance: *mut InstanceData,
    module: &Module,
    imports: &[Extern],
    beginning: &dyn Beginning,
) -> Result<(), Error> {
    // SAFETY: the record is live, and only this function uses it until it returns.
    unsafe {
        let record = &mut *instance;
        (*record.vmctx()).store = &mut store.vm;
        (*record.vmctx()).signatures = module.signature_words();
        (*record.vmctx()).type_words = module.type_words();
        (*record.vmctx()).instance = instance.cast();
        link_imported_functions_and_globals(store, record, module, imports)?;
        if !module.description().memories.is_empty() {
            record.memories = make_memories(store, record, module, imports, beginning)?.into();
        }
        if !module.description().tables.is_empty() {
            record.tables = make_tables(store, record, module, imports, beginning)?.into();
        }
        link_definitions(store, record, module);
        link_tags(store, record, module, imports)?;
    }
    Ok(())
}

/// # Safety
/// As for [`fill_in`].
unsafe fn link_imported_functions_and_globals(
    store: &mut Store,
    record: &InstanceData,
    module: &Module,
    imports: &[Extern],
) -> Result<(), Error> {
    for (import, given) in module.description().imports.iter().zip(imports) {
        match (import.item, given) {
            (Item::Func(index), Extern::Func(func)) => {
                let func_ref: *mut VmFuncRef = func.to_raw(store)?;
                // SAFETY: functions live as long as the store, and this one is of it.
                let VmFuncRef { mut code, vmctx, .. } = unsafe { *func_ref };
                if code == exit_thunk_on_call as *const u8 {
                    // A function of the host, made before any module brought a thunk for its type, as this one does.
                    // SAFETY: its context is the host function's, which no guest is in meanwhile.
                    code = unsafe { host::resolve(vmctx.cast())? };
                }
                // SAFETY: the slot is where the module's layout puts it, in the record's block, which is ours by the caller.
                unsafe { record.imported_function(index).write(VmFuncImport { code, vmctx, func_ref }) };
            }
            (Item::Global(index), Extern::Global(global)) => {
                let MemorySlot::Pointer(slot) = module.layout().global(index) else {
                    unreachable!("an imported global")
                };
                // SAFETY: as above.
                unsafe { record.at::<*mut VmGlobal>(slot).write(global.resolve(store)?.0) };
            }
            _ => {}
        }
    }
    Ok(())
}

/// The memories in the module's order: those that are imported, and new ones.
///
/// # Safety
/// As for [`fill_in`].
unsafe fn make_memories(
    store: &mut Store,
    record: &InstanceData,
    module: &Module,
    imports: &[Extern],
    beginning: &dyn Beginning,
) -> Result<Vec<MemoryLink>, Error> {
    let description = module.description();
    let mut memories = Vec::with_capacity(description.memories.len());
    for given in imports {
        match given {
            Extern::Memory(memory) => memories.push(MemoryLink::Store(memory.position(store)?)),
            Extern::SharedMemory(memory) => memories.push(MemoryLink::Shared(memory.clone())),
            _ => {}
        }
    }
    for (own, ty) in description.memories[description.num_imported_memories..].iter().enumerate() {
        let index = MemoryIndex((description.num_imported_memories + own) as u32);
        memories.push(match module.layout().memory(index) {
            MemorySlot::Own(slot) => {
                let (pages, image) = beginning.memory(own, ty);
                MemoryLink::Store(memory::allocate(store, ty, pages, image, record.at::<VmMemory>(slot))?)
            }
            MemorySlot::Pointer(_) => MemoryLink::Shared(new_shared(store, ty)?),
        });
    }
    Ok(memories)
}

/// The tables in the module's order: the positions of those that are imported, and of new ones.
///
/// # Safety
/// As for [`fill_in`].
unsafe fn make_tables(
    store: &mut Store,
    record: &InstanceData,
    module: &Module,
    imports: &[Extern],
    beginning: &dyn Beginning,
) -> Result<Vec<u32>, Error> {
    let description = module.description();
    let mut tables = Vec::with_capacity(description.tables.len());
    for given in imports {
        if let Extern::Table(table) = given {
            tables.push(table.position(store)?);
        }
    }
    for own in 0..description.tables.len() - description.num_imported_tables {
        let index = TableIndex((description.num_imported_tables + own) as u32);
        let MemorySlot::Own(slot) = module.layout().table(index) else { unreachable!("a table of the module's own") };
        let ty = &module.table_type(index);
        let len = beginning.table_len(own, ty);
        tables.push(table::allocate(store, ty, len, 0, record.at::<VmTable>(slot))?);
    }
    Ok(tables)
}

/// Tells machine code where the memories and tables are.
///
/// # Safety
/// As for [`fill_in`].
unsafe fn link_definitions(store: &Store, record: &InstanceData, module: &Module) {
    let layout = module.layout();
    for (index, link) in record.memories.iter().enumerate() {
        let definition: *mut VmMemory = match link {
            MemoryLink::Store(position) => store.instances.memories[*position as usize].definition,
            MemoryLink::Shared(memory) => memory.vm(),
        };
        let slot = record.at::<*mut VmMemory>(layout.memory_definition(MemoryIndex(index as u32)));
        // SAFETY: the slot is where the module's layout puts it, in the record's block, which is ours by the caller.
        unsafe { slot.write(definition) };
    }
    for (index, &position) in record.tables.iter().enumerate() {
        let definition = store.instances.tables[position as usize].definition;
        let slot = record.at::<*mut VmTable>(layout.table_definition(TableIndex(index as u32)));
        // SAFETY: as above.
        unsafe { slot.write(definition) };
    }
}

/// Tells machine code the numbers of the tags, and makes the module's own.
///
/// # Safety
/// As for [`fill_in`].
unsafe fn link_tags(
    store: &mut Store,
    record: &InstanceData,
    module: &Module,
    imports: &[Extern],
) -> Result<(), Error> {
    let description = module.description();
    let mut next = 0;
    let mut note = |number: u32| {
        let slot = record.at::<u32>(module.layout().tag(TagIndex(next)));
        next += 1;
        // SAFETY: the slot is where the module's layout puts it, in the record's block, which is ours by the caller.
        unsafe { slot.write(number) };
    };
    for given in imports {
        if let Extern::Tag(tag) = given {
            note(tag.number_in(store)?);
        }
    }
    for own in description.num_imported_tags..description.tags.len() {
        let declared = module.declared(description.tags[own]).clone();
        note(Tag::of_type(store, declared).number());
    }
    Ok(())
}

/// # Safety
/// The record is linked.
unsafe fn initialize_globals(store: &mut Store, record: *const InstanceData, module: &Module) -> Result<(), Error> {
    let description = module.description();
    for (own, init) in description.global_inits.iter().enumerate() {
        let index = GlobalIndex((description.num_imported_globals + own) as u32);
        // SAFETY: by the caller; those before this one are initialized by now.
        unsafe {
            let value = evaluate(store, record, init)?;
            (*record).global(index).cast::<VmValRaw>().write(value);
        }
    }
    Ok(())
}

fn new_shared(store: &mut Store, ty: &MemoryType) -> Result<SharedMemory, Error> {
    let charged = memory::charge_new(store, ty)?;
    match SharedMemory::new(&store.engine, ty) {
        Ok(memory) => {
            store.instances.rare.get_or_insert_default().shared_memory_bytes += charged;
            Ok(memory)
        }
        Err(error) => {
            store.release(BudgetKind::Memory, charged);
            Err(error)
        }
    }
}

/// The value of an offset expression; 32-bit ones are addresses, so they are zero-extended.
///
/// # Safety
/// The record is linked, and its module was validated.
unsafe fn offset_of(
    store: &mut Store,
    instance: *const InstanceData,
    expr: &ConstExpr,
    is_64: bool,
) -> Result<u64, Error> {
    // As nearly all are.
    if let Some(constant) = expr.constant_offset() {
        return Ok(constant);
    }
    // SAFETY: by the caller, the record is linked; validation saw to the type.
    unsafe {
        let value = evaluate(store, instance, expr)?;
        Ok(if is_64 { value.i64 as u64 } else { u64::from(value.i32 as u32) })
    }
}

/// An instance that is made in a call is not finished when that is to end.
fn check_interrupted(store: &mut Store) -> Result<(), Error> {
    store.check_interrupted()
}

/// The elements of passive segments that are new objects: each is made once, however often it is copied.
///
/// # Safety
/// The record is linked, and its globals are initialized.
unsafe fn initialize_elems(store: &mut Store, instance: *mut InstanceData, module: &Module) -> Result<(), Error> {
    for (position, elem) in module.description().elems.iter().enumerate() {
        let (ElemMode::Passive, ElemItems::Exprs(exprs)) = (&elem.mode, &elem.items) else { continue };
        if !exprs.iter().any(ConstExpr::makes_objects) {
            continue;
        }
        for (at, expr) in exprs.iter().enumerate() {
            if at % PORTION == 0 {
                store.check_interrupted()?;
            }
            // SAFETY: by the caller. No other reference to the record is in use.
            unsafe {
                let reference = evaluate(store, instance, expr)?.anyref;
                let record = &mut *instance;
                record.made_elems.get_or_insert_default().entry(position as u32).or_default().push(reference);
            }
        }
    }
    Ok(())
}

/// Elements that are made between two looks whether to go on.
const PORTION: usize = 1 << 12;

/// # Safety
/// The record is linked.
unsafe fn initialize_tables(store: &mut Store, instance: *mut InstanceData) -> Result<(), Error> {
    // SAFETY: the record stays where it is in the store and is linked; no other reference to it is in use. It keeps its module, which never
    // changes.
    unsafe {
        let record = &mut *instance;
        let module: &Module = &*ptr::from_ref(record.module());
        let description = module.description();
        for (own, init) in description.table_inits.iter().enumerate() {
            let TableInit::Expr(expr) = init else { continue };
            let index = description.num_imported_tables + own;
            let ty = &description.tables[index];
            let word = table::word_of(ty.element, &evaluate(store, record, expr)?);
            table::fill(store, record.tables[index], 0, word, ty.min)?;
        }
        for (own, image) in module.plan().tables.iter().enumerate() {
            if let Some(image) = image {
                let table = record.tables[description.num_imported_tables + own];
                table::set_lazy(store, table, record.position(), image.clone());
            }
        }
        let first = module.plan().first_elem;
        for (position, elem) in description.elems.iter().enumerate() {
            if let (ElemMode::Active(index, offset), true) = (&elem.mode, position >= first) {
                let to = offset_of(store, record, offset, description.tables[index.index()].is_64)?;
                let len = elem.items.len() as u64;
                let elem = ElemIndex(position as u32);
                store.check_interrupted()?;
                write_elements(store, instance, index.0, elem, to, 0, len, check_interrupted)?;
            }
            if !matches!(elem.mode, ElemMode::Passive) {
                record.dropped_elems[position] = true;
            }
        }
        Ok(())
    }
}

/// # Safety
/// The record is linked.
unsafe fn initialize_memories(store: &mut Store, instance: *mut InstanceData) -> Result<(), Error> {
    // SAFETY: as in `initialize_tables`.
    unsafe {
        let record = &mut *instance;
        let module: &Module = &*ptr::from_ref(record.module());
        let description = module.description();
        let first = module.plan().first_data;
        for (position, data) in description.datas.iter().enumerate() {
            let Some((index, offset)) = &data.active else { continue };
            if position >= first {
                let to = offset_of(store, record, offset, description.memories[index.index()].is_64)?;
                let len = data.bytes.end - data.bytes.start;
                let data = DataIndex(position as u32);
                store.check_interrupted()?;
                write_data(store, instance, index.0, data, to, 0, len, check_interrupted)?;
            }
            record.dropped_datas[position] = true;
        }
        Ok(())
    }
}

impl SharedMemory {
    /// A new shared memory.
    ///
    /// # Errors
    /// Where the engine's configuration has shared memories off, the type is not of a shared memory with a maximum, or the
    /// system refuses.
    pub fn new(engine: &crate::Engine, ty: &MemoryType) -> Result<SharedMemory, Error> {
        if !engine.config().shared_memory {
            return Err(Error::new(ErrorKind::Config("shared memory support is disabled for this engine".to_string())));
        }
        if !ty.shared {
            let reason = "shared memory must have the `shared` flag enabled on its memory type";
            return Err(Error::new(ErrorKind::Type(reason.to_string())));
        }
        ty.check().map_err(|reason| Error::new(ErrorKind::Type(reason)))?;
        memory::initial_byte_len(ty)?;
        let plan = MemoryPlan::new(ty, &engine.config().tunables);
        SharedMemory::with_plan(ty, plan, engine.memories())
            .map_err(|error| Error::new(ErrorKind::Limit(error.to_string())))
    }

    /// Whether it was made for this engine. No other engine's code may use it.
    pub fn is_of(&self, engine: &crate::Engine) -> bool {
        self.comes_from(engine.memories())
    }
}
