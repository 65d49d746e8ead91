//! Whether what a file says can be: every count, index and length is compared with the modules. Beyond that a snapshot is trusted as its modules'
//! code is.
//!
//! One pass over the snapshot, and one over each module's imports for each of its instances.

use super::objects::{self, check_reference};
use super::restore::with_index;
use super::state::*;
use super::{Contents, damaged};
use crate::error::Error;
use crate::module::Module;
use ampoule_core::module::{ElemItems, Item, ModuleDescription};
use ampoule_core::types::{MemoryType, RefType, TableType, TypeId, ValType};
use ampoule_machine::os::reservation::round_up_to_pages;

/// Refuses contents that can't be.
pub(super) fn check(contents: &Contents) -> Result<(), Error> {
    let state = &contents.state;
    let mut seen = vec![false; state.instances.len()];
    for &number in &state.order {
        let seen = seen.get_mut(number as usize).filter(|seen| !**seen);
        *seen.ok_or_else(|| damaged("its instances are not all there"))? = true;
    }
    if seen.contains(&false) {
        return Err(damaged("its instances are not all there"));
    }
    if state.instances.iter().any(|instance| instance.module as usize >= contents.modules.len()) {
        return Err(damaged("a module is missing"));
    }
    let mut found = 0;
    for (number, module, instance) in contents.instances() {
        found += check_imports(contents, number, module, instance)?;
        check_own(contents, module.description(), instance)?;
    }
    if found != state.memories.len() + state.tables.len() + state.globals.len() + state.tags.len() {
        return Err(damaged("what the host made is not where it says"));
    }
    check_of_host(contents)?;
    objects::check(contents)?;
    state.objects.functions.iter().try_for_each(|&(_, _, function)| check_function(contents, function))
}

/// Whether each import comes from something of its kind. Answers how many are the place by which something of the host's is found: no two things are
/// at one place.
fn check_imports(contents: &Contents, number: u32, module: &Module, instance: &InstanceState) -> Result<usize, Error> {
    let (state, imports) = (&contents.state, &module.description().imports);
    let mut found = 0;
    if imports.len() != instance.imports.len() {
        return Err(damaged("its imports are not all there"));
    }
    for (import, source) in imports.iter().zip(&instance.imports) {
        let exists = match *source {
            Source::Outside => true,
            Source::Instance(from, index) => from < number && has_item(contents, from, with_index(import.item, index)),
            Source::Host(host) => {
                let host = host as usize;
                let place = match import.item {
                    Item::Func(_) => None,
                    Item::Memory(index) => state.memories.get(host).map(|memory| memory.place == (number, index.0)),
                    Item::Table(index) => state.tables.get(host).map(|table| table.place == (number, index.0)),
                    Item::Global(index) => state.globals.get(host).map(|global| global.place == (number, index.0)),
                    Item::Tag(index) => state.tags.get(host).map(|tag| tag.place == (number, index.0)),
                };
                found += usize::from(place == Some(true));
                place.is_some()
            }
        };
        if !exists {
            return Err(damaged("an import is missing"));
        }
    }
    Ok(found)
}

fn description(contents: &Contents, instance: u32) -> Option<&ModuleDescription> {
    let instance = contents.state.instances.get(instance as usize)?;
    Some(contents.modules[instance.module as usize].description())
}

/// Whether an instance has such an item; a function is one only that can be referred to.
fn has_item(contents: &Contents, instance: u32, item: Item) -> bool {
    description(contents, instance).is_some_and(|module| match item {
        Item::Func(index) => {
            let exists = index.index() < module.functions.len();
            exists && (index.index() < module.num_imported_functions || module.func_ref(index).is_some())
        }
        Item::Memory(index) => index.index() < module.memories.len(),
        Item::Table(index) => index.index() < module.tables.len(),
        Item::Global(index) => index.index() < module.globals.len(),
        Item::Tag(index) => index.index() < module.tags.len(),
    })
}

fn check_function(contents: &Contents, function: Function) -> Result<(), Error> {
    let exists = has_item(contents, function.instance, Item::Func(function.func));
    if exists { Ok(()) } else { Err(damaged("a function is missing")) }
}

/// What an instance has of its own.
fn check_own(contents: &Contents, module: &ModuleDescription, instance: &InstanceState) -> Result<(), Error> {
    let memories = &module.memories[module.num_imported_memories..];
    let tables = &module.tables[module.num_imported_tables..];
    let globals = &module.globals[module.num_imported_globals..];
    let counts_fit = memories.len() == instance.memories.len()
        && tables.len() == instance.tables.len()
        && globals.len() == instance.globals.len()
        && module.elems.len() == instance.dropped_elems.len()
        && module.datas.len() == instance.dropped_datas.len();
    if !counts_fit {
        return Err(damaged("an instance is not as its module says"));
    }
    if module.memories.iter().any(|memory| memory.shared) {
        return Err(damaged("a memory is shared"));
    }
    memories.iter().zip(&instance.memories).try_for_each(|(ty, memory)| check_memory(contents, ty, memory))?;
    tables.iter().zip(&instance.tables).try_for_each(|(ty, table)| check_table(contents, ty, table))?;
    globals.iter().zip(&instance.globals).try_for_each(|(ty, &value)| check_value(contents, ty.content, value))?;
    for (segment, elems) in &instance.made_elems {
        let segment = module.elems.get(*segment as usize);
        let len = segment.map(|segment| match &segment.items {
            ElemItems::Exprs(exprs) if !segment.element.is_func() => exprs.len(),
            _ => 0,
        });
        if len != Some(elems.len()) {
            return Err(damaged("a segment is not as its module says"));
        }
        elems.iter().try_for_each(|&elem| check_reference(elem, &contents.state.objects))?;
    }
    Ok(())
}

/// What the host made.
fn check_of_host(contents: &Contents) -> Result<(), Error> {
    let State { memories, tables, globals, tags, .. } = &contents.state;
    let check_module = |module: u32| {
        let exists = (module as usize) < contents.modules.len();
        if exists { Ok(()) } else { Err(damaged("the module is missing that names a type")) }
    };
    for memory in memories {
        memory.ty.check().map_err(|_| damaged("a memory's type is none"))?;
        if memory.ty.shared {
            return Err(damaged("a memory is shared"));
        }
        check_memory(contents, &memory.ty, &memory.content)?;
    }
    for table in tables {
        check_module(table.module)?;
        table.ty.try_map(&mut declared(contents, table.module))?;
        check_table(contents, &table.ty, &table.content)?;
    }
    for global in globals {
        check_module(global.module)?;
        global.ty.try_map(&mut declared(contents, global.module))?;
        check_value(contents, global.ty.content, global.content)?;
    }
    for tag in tags {
        check_module(tag.module)?;
        let ty = contents.modules[tag.module as usize].description().types.get(tag.ty.index());
        if !ty.and_then(|ty| ty.as_func()).is_some_and(|ty| ty.results().is_empty()) {
            return Err(damaged("a tag's type is none"));
        }
    }
    Ok(())
}

/// Refuses numbers of types that a module doesn't declare.
fn declared(contents: &Contents, module: u32) -> impl FnMut(TypeId) -> Result<TypeId, Error> {
    let types = contents.modules[module as usize].description().types.len();
    move |id| if (id.0 as usize) < types { Ok(id) } else { Err(damaged("a type is missing")) }
}

fn check_memory(contents: &Contents, ty: &MemoryType, memory: &MemoryState) -> Result<(), Error> {
    let byte_len = memory
        .pages
        .checked_mul(ty.page_size())
        .filter(|&len| memory.pages >= ty.min && len <= ty.max_byte_len() && ty.allows_byte_len(len));
    let accessible = byte_len.and_then(|len| round_up_to_pages(usize::try_from(len).ok()?));
    let accessible = accessible.ok_or_else(|| damaged("a memory is not as long as its type says"))?;
    let Some(image) = memory.image else { return Ok(()) };
    let fits = contents.images.get(image as usize).is_some_and(|image| image.range().end <= accessible);
    if fits { Ok(()) } else { Err(damaged("a memory has other contents than it has room for")) }
}

fn check_table(contents: &Contents, ty: &TableType, table: &TableState) -> Result<(), Error> {
    if table.len < ty.min || ty.max.is_some_and(|max| table.len > max) {
        return Err(damaged("a table is not as long as its type says"));
    }
    if let Some((instance, list)) = table.lazy {
        let exists = (instance as usize) < contents.state.instances.len() && (list as usize) < contents.lazy.len();
        // Which functions they are is compared where one is asked for.
        if !exists || !ty.element.is_func() {
            return Err(damaged("a table's functions are missing"));
        }
    }
    let mut next = 0;
    for &(index, value) in &table.elements {
        if u64::from(index) < next || u64::from(index) >= table.len {
            return Err(damaged("an element is not in its table"));
        }
        next = u64::from(index) + 1;
        // Null is what is not named.
        check_value(contents, ValType::Ref(RefType::non_null(ty.element.heap)), value)?;
    }
    Ok(())
}

fn check_value(contents: &Contents, ty: ValType, value: Value) -> Result<(), Error> {
    let nullable = |is_null: bool| !is_null || matches!(ty, ValType::Ref(ty) if ty.nullable);
    let fits = match value {
        Value::Bits(_) => !ty.is_ref(),
        Value::Func(function) => {
            function.map_or(Ok(()), |function| check_function(contents, function))?;
            ty.is_ref() && !ty.is_collected() && nullable(function.is_none())
        }
        Value::Object(reference) => {
            check_reference(reference, &contents.state.objects)?;
            ty.is_collected() && nullable(reference == 0)
        }
    };
    if fits { Ok(()) } else { Err(damaged("a value is not of its type")) }
}
