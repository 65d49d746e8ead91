//! Operations on tables that are not a few instructions, and references to functions.

use super::compile::compile_ahead;
use super::interrupt::look;
use super::running;
use crate::error::Error;
use crate::instance::segments::write_elements;
use crate::store::Store;
use crate::store::portions::{TABLE_PORTION, in_copied_portions, in_portions};
use crate::store::records::instance::InstanceData;
use crate::table;
use ampoule_core::index::{ElemIndex, FuncIndex};
use ampoule_core::trap::TrapCode;
use ampoule_core::vm::{VmContext, VmFuncRef};

/// Elements before, or -1.
///
/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn table_grow(vmctx: *mut VmContext, table: u32, delta: u64, init: u64) -> u64 {
    // SAFETY: as above.
    unsafe {
        let (store, instance) = running(vmctx);
        let position = position(instance, table);
        // A long one in two steps, of which the second can be left: nulls cost nothing.
        let at_once = if delta > TABLE_PORTION { 0 } else { init };
        let grown = table::grow(store, position, delta, at_once).and_then(|before| {
            if let (Ok(before), true) = (before, at_once != init) {
                fill(store, position, before, init, delta)?;
            }
            Ok(before)
        });
        store.or_unwind(grown).and_then(Result::ok).unwrap_or(u64::MAX)
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn table_fill(vmctx: *mut VmContext, table: u32, index: u64, element: u64, len: u64) {
    // SAFETY: as above.
    unsafe {
        let (store, instance) = running(vmctx);
        let result = fill(store, position(instance, table), index, element, len);
        store.or_unwind(result);
    }
}

fn fill(store: &mut Store, position: u32, index: u64, mut element: u64, len: u64) -> Result<(), Error> {
    let table = &store.instances.tables[position as usize];
    table::range_in(table.len(), index, len)?;
    let element = &raw mut element;
    let is_collected = !table.ty.element.is_func();
    if is_collected {
        // Between portions others may collect, which may move what the reference leads to.
        // SAFETY: the place is this function's until the end, and its low half is the reference.
        unsafe { store.roots.push_in_flight(element.cast_const().cast(), element.cast()) };
    }
    let filled = in_portions(store, len, TABLE_PORTION, look, |store, part| {
        // SAFETY: as above; nothing collects meanwhile.
        let element = unsafe { element.read() };
        Ok(table::fill(store, position, index + part.start, element, part.end - part.start)?)
    });
    if is_collected {
        store.roots.release_in_flight(element.cast_const().cast());
    }
    filled
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn table_copy(
    vmctx: *mut VmContext,
    to_table: u32,
    from_table: u32,
    to: u64,
    from: u64,
    len: u64,
) {
    // SAFETY: as above.
    unsafe {
        let (store, instance) = running(vmctx);
        let result = copy(store, position(instance, to_table), position(instance, from_table), to, from, len);
        store.or_unwind(result);
    }
}

fn copy(store: &mut Store, to_position: u32, from_position: u32, to: u64, from: u64, len: u64) -> Result<(), Error> {
    let table_len = |position: u32| store.instances.tables[position as usize].len();
    table::range_in(table_len(from_position), from, len)?;
    table::range_in(table_len(to_position), to, len)?;
    in_copied_portions(store, (to, from, len), TABLE_PORTION, look, |store, part| {
        let (to, from) = (to + part.start, from + part.start);
        Ok(table::copy(store, to_position, from_position, to, from, part.end - part.start)?)
    })
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn table_init(
    vmctx: *mut VmContext,
    table: u32,
    segment: u32,
    to: u64,
    from: u64,
    len: u64,
) {
    // SAFETY: as above.
    unsafe {
        let (store, instance) = running(vmctx);
        let result = write_elements(store, instance, table, ElemIndex(segment), to, from, len, look);
        store.or_unwind(result);
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn elem_drop(vmctx: *mut VmContext, segment: u32) {
    // SAFETY: as above.
    unsafe {
        let (_, instance) = running(vmctx);
        (&mut (*instance).dropped_elems)[segment as usize] = true;
    }
}

/// The reference, null for null.
///
/// # Safety
/// See the module above. The index is in bounds.
pub(crate) unsafe extern "C" fn table_get_func_ref(vmctx: *mut VmContext, table: u32, index: u64) -> *mut VmFuncRef {
    // SAFETY: as above.
    unsafe {
        let (store, instance) = running(vmctx);
        let position = position(instance, table);
        // Code that asks is about to call, most likely.
        if let Some((owner, func)) = table::lazy_func(store, position, index) {
            compile_ahead(store, owner, func);
        }
        table::read(store, position, index).unwrap_or(0) as *mut VmFuncRef
    }
}

/// The reference. Null stops the guest.
///
/// # Safety
/// See the module above. The index is in bounds.
pub(crate) unsafe extern "C" fn table_get_callee(vmctx: *mut VmContext, table: u32, index: u64) -> *mut VmFuncRef {
    // SAFETY: as above.
    unsafe {
        let reference = table_get_func_ref(vmctx, table, index);
        if reference.is_null() {
            let (store, _) = running(vmctx);
            store.or_unwind(Err::<(), _>(TrapCode::IndirectCallToNull));
        }
        reference
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn ref_func(vmctx: *mut VmContext, func: u32) -> *mut VmFuncRef {
    // SAFETY: as above.
    unsafe {
        let (_, instance) = running(vmctx);
        (*instance).func_ref(FuncIndex(func)).as_ptr()
    }
}

/// A table's place in the store's arena.
///
/// # Safety
/// `instance` is a live and linked record, which has this table.
unsafe fn position(instance: *const InstanceData, table: u32) -> u32 {
    // SAFETY: by the callers the record is live and linked.
    unsafe { (&(*instance).tables)[table as usize] }
}
