//! Writing segments: what instantiation and the instructions have in common.
//!
//! Memories may be shared with other threads, so bytes are moved through raw pointers, never through slices.

use crate::error::{Error, MemoryFault};
use crate::instance::const_expr::evaluate;
use crate::store::Store;
use crate::store::portions::{MEMORY_PORTION, TABLE_PORTION, in_portions};
use crate::store::records::instance::InstanceData;
use crate::table;
use ampoule_core::index::{DataIndex, ElemIndex, MemoryIndex};
use ampoule_core::module::ElemItems;
use ampoule_core::trap::TrapCode;
use ampoule_core::vm::VmMemory;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::Ordering;

/// `memory.init`, for instantiation too; see [`in_portions`] for `look`.
///
/// # Safety
/// `instance` is a live record of the store whose memories are linked.
#[expect(clippy::too_many_arguments, reason = "five are the instruction's")]
pub(crate) unsafe fn write_data(
    store: &mut Store,
    instance: *const InstanceData,
    memory: u32,
    segment: DataIndex,
    to: u64,
    from: u64,
    len: u64,
    look: impl FnMut(&mut Store) -> Result<(), Error>,
) -> Result<(), Error> {
    // SAFETY: by the caller; both ranges are checked. The bytes are the module's, which the instance holds.
    unsafe {
        let record = &*instance;
        let bytes = if record.dropped_datas[segment.index()] {
            &[]
        } else {
            record.module().bytes().range(&record.module().description().datas[segment.index()].bytes)
        };
        let end = from.checked_add(len).filter(|&end| end <= bytes.len() as u64).ok_or(TrapCode::MemoryOutOfBounds)?;
        place(instance, memory, to, len)?;
        let source = &bytes[from as usize..end as usize];
        in_portions(store, len, MEMORY_PORTION, look, |_, part| {
            let target = place(instance, memory, to + part.start, part.end - part.start)?;
            let source = &source[part.start as usize..part.end as usize];
            ptr::copy_nonoverlapping(source.as_ptr(), target, source.len());
            Ok(())
        })
    }
}

/// `table.init`, for instantiation too; see [`in_portions`] for `look`.
///
/// # Safety
/// `instance` is a live record of the store whose tables are linked.
#[expect(clippy::too_many_arguments, reason = "five are the instruction's")]
pub(crate) unsafe fn write_elements(
    store: &mut Store,
    instance: *const InstanceData,
    table: u32,
    segment: ElemIndex,
    to: u64,
    from: u64,
    len: u64,
    look: impl FnMut(&mut Store) -> Result<(), Error>,
) -> Result<(), Error> {
    // SAFETY: by the caller.
    let record = unsafe { &*instance };
    let elem = &record.module().description().elems[segment.index()];
    let available = if record.dropped_elems[segment.index()] { 0 } else { elem.items.len() };
    let source = table::range_in(available, from, len)?;
    let position = record.tables[table as usize];
    // The target is checked before the first element is made.
    table::range_in(store.instances.tables[position as usize].len(), to, len)?;
    in_portions(store, len, TABLE_PORTION, look, |store, part| {
        let from = source.start + part.start as usize..source.start + part.end as usize;
        if let ElemItems::Funcs(funcs) = &elem.items {
            let words: Vec<u64> = funcs[from].iter().map(|&func| table::func_word(record, func)).collect();
            return Ok(table::write_all(store, position, to + part.start, &words)?);
        }
        for (at, from) in (to + part.start..).zip(from) {
            // SAFETY: by the caller.
            let word = unsafe { element(store, instance, segment, from)? };
            table::fill(store, position, at, word, 1)?;
        }
        Ok(())
    })
}

/// The elements of a segment from `from` on, so many.
///
/// # Errors
/// Where there aren't as many.
///
/// # Safety
/// `instance` is a live record.
pub(crate) unsafe fn elements_of(
    instance: *const InstanceData,
    segment: ElemIndex,
    from: u32,
    len: u32,
) -> Result<Range<usize>, TrapCode> {
    // SAFETY: by the caller.
    let record = unsafe { &*instance };
    let elem = &record.module().description().elems[segment.index()];
    let available = if record.dropped_elems[segment.index()] { 0 } else { elem.items.len() };
    table::range_in(available, u64::from(from), u64::from(len))
}

/// An element of a segment as guest code holds it, 64 bits wide. A reference in it is good until the next collection.
///
/// # Errors
/// Where there is no room for an object.
///
/// # Safety
/// `instance` is a live and linked record, and there is such an element.
pub(crate) unsafe fn element(
    store: &mut Store,
    instance: *const InstanceData,
    segment: ElemIndex,
    position: usize,
) -> Result<u64, Error> {
    // SAFETY: by the caller; validation saw to the expressions' types.
    unsafe {
        let record = &*instance;
        let elem = &record.module().description().elems[segment.index()];
        if let Some(made) = record.made_elems.as_ref().and_then(|elems| elems.get(&segment.0)) {
            return Ok(u64::from(made[position]));
        }
        match &elem.items {
            ElemItems::Funcs(funcs) => Ok(table::func_word(record, funcs[position])),
            ElemItems::Exprs(exprs) => Ok(table::word_of(elem.element, &evaluate(store, instance, &exprs[position])?)),
        }
    }
}

/// The `VmMemory` of a memory.
///
/// # Safety
/// The record is live and linked.
pub(crate) unsafe fn definition(instance: *const InstanceData, memory: u32) -> *const VmMemory {
    // SAFETY: by the callers the record is live and linked; the slot of every memory holds its definition.
    unsafe { *(*instance).at::<*const VmMemory>((*instance).module().layout().memory_definition(MemoryIndex(memory))) }
}

/// A checked range of a memory.
///
/// # Safety
/// As for [`definition`].
pub(crate) unsafe fn place(
    instance: *const InstanceData,
    memory: u32,
    address: u64,
    len: u64,
) -> Result<*mut u8, MemoryFault> {
    // SAFETY: by the callers; a definition lives as long as its store.
    unsafe {
        let definition = &*definition(instance, memory);
        let byte_len = definition.byte_len.load(Ordering::Relaxed) as u64;
        let inside = address.checked_add(len).is_some_and(|end| end <= byte_len);
        if inside {
            return Ok(definition.base.add(address as usize));
        }
        Err(MemoryFault { memory, address: address.max(byte_len), byte_len, by_hardware: false })
    }
}
