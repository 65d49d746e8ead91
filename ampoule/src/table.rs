//! Tables.

use crate::engine::budget::BudgetKind;
use crate::error::{Error, ErrorKind};
use crate::func::val::Val;
use crate::module::LazyImage;
use crate::store::Store;
use crate::store::budget::table_bytes;
use crate::store::instances::ItemId;
use crate::store::limiter::{LimitRequest, Refused, Resource};
use crate::store::records::instance::InstanceData;
use crate::store::records::table::TableData;
use crate::table_elements::Elements;
use ampoule_core::index::FuncIndex;
use ampoule_core::trap::TrapCode;
use ampoule_core::types::{RefType, TableType, ValType};
use ampoule_core::vm::{TABLE_ELEMENT_LAZY, TABLE_ELEMENT_NULL, VmTable, VmValRaw};
use std::io;

/// A table of a store. The layout is `wasmtime_table_t`'s.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Table {
    id: ItemId,
    /// How many instances the store had deleted when it was made.
    born: u32,
}

/// Elements a table may have at most, whatever its type says: a gigabyte of them.
const MAX_ELEMENTS: u64 = 1 << 27;

impl Table {
    /// A new table of the host, each element `init`.
    ///
    /// # Errors
    /// Where the value is of another type or store, a limit refuses, or the elements' type names one that does not exist any more.
    pub fn new(store: &mut Store, ty: &TableType, init: &Val) -> Result<Table, Error> {
        store.keep_type(ValType::Ref(ty.element))?;
        let init = element_in(store, ty.element, init)?;
        Table::of_host(store, ty, ty.min, init)
    }

    /// A table of the host with so many elements, each the guest value `init`. What its type names lives as long as the store.
    ///
    /// # Errors
    /// Where a limit refuses.
    pub(crate) fn of_host(store: &mut Store, ty: &TableType, len: u64, init: u64) -> Result<Table, Error> {
        let position = allocate(store, ty, len, init, std::ptr::null_mut())?;
        store.instances.host_tables += 1;
        Ok(Table::at(store, position))
    }

    pub(crate) fn at(store: &Store, position: u32) -> Table {
        Table { id: ItemId::new(store, position), born: store.instances.tables[position as usize].born }
    }

    /// The position in the store's arena.
    #[inline]
    pub(crate) fn position(&self, store: &Store) -> Result<u32, Error> {
        self.id.position_in(store, &store.instances.tables, self.born)
    }

    #[inline]
    fn data<'a>(&self, store: &'a Store) -> Result<&'a TableData, Error> {
        self.id.find(store, &store.instances.tables, self.born)
    }

    /// The type that the table was made with: growth doesn't change its minimum.
    ///
    /// # Errors
    /// Where the table is of another store, or its instance was deleted, as for all functions here.
    pub fn ty(&self, store: &Store) -> Result<TableType, Error> {
        Ok(self.data(store)?.ty)
    }

    /// The type that imports are compared with, whose minimum is the current size.
    pub(crate) fn current_ty(&self, store: &Store) -> Result<TableType, Error> {
        Ok(TableType { min: self.size(store)?, ..self.ty(store)? })
    }

    /// Elements.
    ///
    /// # Errors
    /// See [`Table::ty`].
    #[inline]
    pub fn size(&self, store: &Store) -> Result<u64, Error> {
        Ok(self.data(store)?.elements.len() as u64)
    }

    /// An element, or `None` out of bounds.
    ///
    /// # Errors
    /// See [`Table::ty`].
    pub fn get(&self, store: &mut Store, index: u64) -> Result<Option<Val>, Error> {
        let position = self.position(store)?;
        let element = store.instances.tables[position as usize].ty.element;
        let Some(word) = read(store, position, index) else { return Ok(None) };
        // SAFETY: the element is a raw reference of the table's type, of this store.
        Ok(Some(unsafe { Val::from_raw(store, &raw_of(element, word), ValType::Ref(element)) }))
    }

    /// Changes an element.
    ///
    /// # Errors
    /// Out of bounds, or where the value is of another type or store; nothing changes.
    pub fn set(&self, store: &mut Store, index: u64, value: &Val) -> Result<(), Error> {
        let position = self.position(store)?;
        let word = element_in(store, store.instances.tables[position as usize].ty.element, value)?;
        fill(store, position, index, word, 1).map_err(Error::trap)
    }

    /// Grows by `delta` elements, each `init`, and gives the elements before.
    ///
    /// # Errors
    /// Where the type's maximum or a limit refuses, or the value doesn't fit; nothing changes.
    pub fn grow(&self, store: &mut Store, delta: u64, init: &Val) -> Result<u64, Error> {
        let position = self.position(store)?;
        let word = element_in(store, store.instances.tables[position as usize].ty.element, init)?;
        let grown = grow(store, position, delta, word)?;
        grown.map_err(|refused| refused.into_error(|| format!("failed to grow table by `{delta}`")))
    }
}

/// A value as guest code holds it, 64 bits wide; null is zero.
fn element_in(store: &Store, element: RefType, value: &Val) -> Result<u64, Error> {
    let refused = |error: Error| error.of("type mismatch: value does not match table element type");
    value.check_type(store, ValType::Ref(element)).map_err(refused)?;
    let raw = value.to_raw(store).map_err(refused)?;
    // SAFETY: the type was just compared.
    Ok(unsafe { word_of(element, &raw) })
}

/// # Safety
/// `raw` holds a reference of this type.
pub(crate) unsafe fn word_of(element: RefType, raw: &VmValRaw) -> u64 {
    // SAFETY: by the caller.
    unsafe { if element.is_func() { raw.funcref as u64 } else { u64::from(raw.externref) } }
}

fn raw_of(element: RefType, word: u64) -> VmValRaw {
    if element.is_func() { VmValRaw { funcref: word as *mut _ } } else { VmValRaw { externref: word as u32 } }
}

/// Makes a table of so many elements, which may be more than the type's minimum, and gives its position; every element starts as the guest
/// value `init`. `definition` is its place in an instance's block, or null for the host's.
pub(crate) fn allocate(
    store: &mut Store,
    ty: &TableType,
    len: u64,
    init: u64,
    definition: *mut VmTable,
) -> Result<u32, Error> {
    let too_large =
        || Error::new(ErrorKind::Limit(format!("table minimum size of {len} elements exceeds table limits")));
    // What the host makes for itself is not the pool's.
    let pool = store.engine.pool().filter(|_| !definition.is_null());
    let most = pool.map_or(MAX_ELEMENTS, |pool| pool.max_table_elements().min(MAX_ELEMENTS));
    if !store.limits.allow_table(len) || len > most {
        return Err(too_large());
    }
    store.ask_limiter_for(Resource::Table, len, ty.max, too_large)?;
    let pool = store.engine.pool().filter(|_| !definition.is_null());
    let claim = pool.map(|pool| pool.claim_table()).transpose()?;
    let mut elements = pool.map_or_else(Elements::new, |pool| pool.take_elements());
    store.charge(BudgetKind::Table, table_bytes(len))?;
    if elements.extend_to(len as usize).is_none() {
        store.release(BudgetKind::Table, table_bytes(len));
        return Err(Error::new(ErrorKind::System("mapping a table", io::Error::from_raw_os_error(libc::ENOMEM))));
    }
    // A lazy element with nothing behind it is null.
    if init != 0 {
        elements.fill(init);
    }
    let vm = VmTable { base: elements.as_mut_ptr(), len: elements.len() };
    let (definition, own) = if definition.is_null() {
        let mut own = Box::new(vm);
        ((&raw mut *own), Some(own))
    } else {
        // SAFETY: the caller gives a place in an instance's block, which lives as long as the store.
        unsafe { definition.write(vm) };
        (definition, None)
    };
    let born = store.deletions();
    Ok(store.instances.add_table(TableData { elements, ty: *ty, definition, own, lazy: None, claim, born }))
}

/// Says what the lazy elements of a new table stand for.
pub(crate) fn set_lazy(store: &mut Store, position: u32, instance: u32, image: LazyImage) {
    store.instances.tables[position as usize].lazy = Some((instance, image));
}

/// Makes all elements lazy, as many as given, which are no more than there are. They stand for these functions of the instance at that position,
/// or null.
///
/// # Errors
/// What the system says. The table has no elements then.
pub(crate) fn reset(store: &mut Store, position: u32, len: usize, lazy: Option<(u32, LazyImage)>) -> Result<(), Error> {
    let table = &mut store.instances.tables[position as usize];
    let before = table.elements.len();
    let cleared = table.elements.reset(len);
    table.lazy = lazy;
    // SAFETY: the definition lives as long as the store, and this thread is the only one in it.
    unsafe { table.definition.write(VmTable { base: table.elements.as_mut_ptr(), len: table.elements.len() }) };
    let less = before - table.elements.len();
    store.release(BudgetKind::Table, table_bytes(less as u64));
    cleared.map_err(|error| Error::new(ErrorKind::System("clearing a table", error)))
}

/// An element as guest code holds it (null is zero), or `None` out of bounds.
pub(crate) fn read(store: &mut Store, position: u32, index: u64) -> Option<u64> {
    let table = &store.instances.tables[position as usize];
    let word = *table.elements.get(usize::try_from(index).ok()?)?;
    if !table.ty.element.is_func() || word > TABLE_ELEMENT_NULL {
        return Some(word);
    }
    if word == TABLE_ELEMENT_NULL {
        return Some(0);
    }
    let made = match lazy_func(store, position, index) {
        Some((instance, func)) => {
            func_word(store.instances.instance(instance as usize).expect("it has the table"), func)
        }
        None => 0,
    };
    let table = &mut store.instances.tables[position as usize];
    table.elements[index as usize] = if made == 0 { TABLE_ELEMENT_NULL } else { made };
    Some(made)
}

/// The function that a lazy element stands for, and its instance; `None` for an element that isn't lazy, or is null.
pub(crate) fn lazy_func(store: &Store, position: u32, index: u64) -> Option<(u32, FuncIndex)> {
    let table = &store.instances.tables[position as usize];
    let index = usize::try_from(index).ok()?;
    if !table.ty.element.is_func() || *table.elements.get(index)? != TABLE_ELEMENT_LAZY {
        return None;
    }
    let (instance, image) = table.lazy.as_ref()?;
    let func = image.get(index)??;
    // What the file of a snapshot names is compared only here.
    let module = store.instances.instance(*instance as usize)?.module().description();
    (func.index() < module.num_imported_functions || module.func_ref(func).is_some()).then_some((*instance, func))
}

/// Writes `len` elements, each the guest value `word`.
pub(crate) fn fill(store: &mut Store, position: u32, index: u64, word: u64, len: u64) -> Result<(), TrapCode> {
    let table = &mut store.instances.tables[position as usize];
    let range = range_in(table.elements.len(), index, len)?;
    let stored = stored_form(table.ty.element, word);
    table.elements[range].fill(stored);
    Ok(())
}

/// Grows by `delta` elements, each the guest value `word`. Where it can't, nothing changed.
///
/// # Errors
/// What the store's limiter says, or who is told of its budget.
pub(crate) fn grow(store: &mut Store, position: u32, delta: u64, word: u64) -> Result<Result<u64, Refused>, Error> {
    let table = &store.instances.tables[position as usize];
    let current = table.elements.len() as u64;
    if delta == 0 {
        // Asks for the size, and is no growth that a limit could refuse.
        return Ok(Ok(current));
    }
    let (desired, maximum) = (current.saturating_add(delta), table.ty.max);
    let pooled = table.claim.as_ref().map_or(MAX_ELEMENTS, |claim| claim.pool().max_table_elements());
    let width = if table.ty.is_64 { u64::MAX } else { u64::from(u32::MAX) };
    let most = maximum.unwrap_or(width).min(width).min(MAX_ELEMENTS).min(pooled);
    let request = LimitRequest { resource: Resource::Table, grows: true, current, desired, maximum };
    store.grow(&request, BudgetKind::Table, most, |store| enlarge(store, position, delta, word))
}

fn enlarge(store: &mut Store, position: u32, delta: u64, word: u64) -> Option<u64> {
    let table = &mut store.instances.tables[position as usize];
    let before = table.elements.len();
    table.elements.extend_to(before + delta as usize)?;
    // A lazy element behind the image is null.
    if word != 0 {
        table.elements[before..].fill(word);
    }
    debug_assert!(table.own.as_deref().is_none_or(|own| std::ptr::eq(own, table.definition)));
    // SAFETY: the definition lives as long as the store, and this thread is the only one in it.
    unsafe { table.definition.write(VmTable { base: table.elements.as_mut_ptr(), len: table.elements.len() }) };
    Some(before as u64)
}

/// Copies elements between or within tables, as if through a buffer.
pub(crate) fn copy(
    store: &mut Store,
    to: u32,
    from: u32,
    to_index: u64,
    from_index: u64,
    len: u64,
) -> Result<(), TrapCode> {
    let tables = &store.instances.tables;
    let source = range_in(tables[from as usize].elements.len(), from_index, len)?;
    let target = range_in(tables[to as usize].elements.len(), to_index, len)?;
    // A lazy element means something only in its own place.
    if tables[from as usize].lazy.is_some() {
        for index in source.clone() {
            read(store, from, index as u64);
        }
    }
    if to == from {
        store.instances.tables[to as usize].elements.copy_within(source, target.start);
    } else {
        let [to, from] = store.instances.tables.pair_mut(to, from);
        to.elements[target.clone()].copy_from_slice(&from.elements[source]);
        // The other table may have had lazy elements that stand for null; in this one they could stand for a function.
        if to.lazy.is_some() {
            for element in &mut to.elements[target] {
                *element = if *element == TABLE_ELEMENT_LAZY { TABLE_ELEMENT_NULL } else { *element };
            }
        }
    }
    Ok(())
}

/// Writes guest values one after another.
pub(crate) fn write_all(store: &mut Store, position: u32, index: u64, words: &[u64]) -> Result<(), TrapCode> {
    let table = &mut store.instances.tables[position as usize];
    let range = range_in(table.elements.len(), index, words.len() as u64)?;
    let element = table.ty.element;
    for (slot, &word) in table.elements[range].iter_mut().zip(words) {
        *slot = stored_form(element, word);
    }
    Ok(())
}

/// The range of `len` elements from `index` on.
pub(crate) fn range_in(table_len: usize, index: u64, len: u64) -> Result<std::ops::Range<usize>, TrapCode> {
    let end = index.checked_add(len).filter(|&end| end <= table_len as u64).ok_or(TrapCode::TableOutOfBounds)?;
    Ok(index as usize..end as usize)
}

fn stored_form(element: RefType, word: u64) -> u64 {
    if element.is_func() && word == 0 { TABLE_ELEMENT_NULL } else { word }
}

/// A reference to one of an instance's functions, as a guest value.
pub(crate) fn func_word(instance: &InstanceData, func: FuncIndex) -> u64 {
    instance.func_ref(func).as_ptr() as u64
}
