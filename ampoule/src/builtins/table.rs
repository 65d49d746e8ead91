//! Operations on tables that are not a few instructions, and references to functions.

use super::running;
use crate::store::Store;
use crate::store::records::instance::InstanceData;
use crate::table;
use ampoule_core::index::{ElemIndex, FuncIndex};
use ampoule_core::module::ElemItems;
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
        let before = table::grow(store, position(instance, table), delta, init);
        store.or_unwind(before).flatten().unwrap_or(u64::MAX)
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn table_fill(vmctx: *mut VmContext, table: u32, index: u64, element: u64, len: u64) {
    // SAFETY: as above.
    unsafe {
        let (store, instance) = running(vmctx);
        let result = table::fill(store, position(instance, table), index, element, len);
        store.or_unwind(result);
    }
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
        let result = table::copy(store, position(instance, to_table), position(instance, from_table), to, from, len);
        store.or_unwind(result);
    }
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
        let result = init(store, instance, table, ElemIndex(segment), to, from, len);
        store.or_unwind(result);
    }
}

/// `table.init`, for instantiation too.
///
/// # Safety
/// `instance` is a live record of the store whose tables are linked.
pub(crate) unsafe fn init(
    store: &mut Store,
    instance: *const InstanceData,
    table: u32,
    segment: ElemIndex,
    to: u64,
    from: u64,
    len: u64,
) -> Result<(), TrapCode> {
    // SAFETY: by the caller.
    let record = unsafe { &*instance };
    let items = &record.module().description().elems[segment.index()].items;
    let available = if record.dropped_elems[segment.index()] { 0 } else { items.len() };
    let source = table::range_in(available, from, len)?;
    let position = record.tables[table as usize];
    // The target is checked before the first element is made.
    let table_len = store.instances.tables[position as usize].len();
    table::range_in(table_len, to, len)?;
    let words: Vec<u64> = match items {
        ElemItems::Funcs(funcs) => funcs[source].iter().map(|&func| table::func_word(record, func)).collect(),
        ElemItems::Exprs(exprs) => {
            let element = record.module().description().elems[segment.index()].element;
            exprs[source]
                .iter()
                // SAFETY: validation saw to the expressions' types.
                .map(|expr| unsafe { table::word_of(element, &crate::instance::instantiate::evaluate(record, expr)) })
                .collect()
        }
    };
    table::write_all(store, position, to, &words)
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
            store.instances.list[owner as usize].compile(func);
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
unsafe fn position(instance: *const InstanceData, table: u32) -> u32 {
    // SAFETY: by the callers the record is live and linked.
    unsafe { (&(*instance).tables)[table as usize] }
}
