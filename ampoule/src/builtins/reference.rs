//! What thunks do with references that cross between host and guest: handles are made of raw ones, and the other way.
//!
//! None of these collects anything, so a thunk may keep raw references in registers over them; and none fails.

use crate::func::val::Val;
use crate::gc::externref::ExternRef;
use crate::store::Store;
use ampoule_core::vm::{VmRef, VmStoreContext, VmVal};
use std::slice;

/// # Safety
/// See the module above. `values` points to `count` values, of which an `externref` is a raw one.
pub(crate) unsafe extern "C" fn root_refs(store: *mut VmStoreContext, values: *mut VmVal, count: u64) {
    // SAFETY: as above.
    let (store, values) = unsafe { (Store::from_vm(store), slice::from_raw_parts_mut(values, count as usize)) };
    for value in values.iter_mut().filter(|value| value.kind == VmVal::KIND_EXTERNREF) {
        // SAFETY: the thunk has put a raw one here.
        let raw = unsafe { value.of.externref };
        value.of.reference = ExternRef::into_vm(ExternRef::from_raw(store, raw));
    }
}

/// # Safety
/// See the module above. `reference` holds an `externref` of the host's, of whatever store.
pub(crate) unsafe extern "C" fn raw_ref(store: *mut VmStoreContext, reference: *const VmRef) -> i64 {
    // SAFETY: as above.
    let raw = unsafe { ExternRef::raw_of_vm(&*reference, (*store).id) };
    raw.map_or(-1, i64::from)
}

/// # Safety
/// See the module above. `values` points to `count` values that the host has no use for.
pub(crate) unsafe extern "C" fn unroot_refs(values: *mut VmVal, count: u64) {
    // SAFETY: as above.
    unsafe { slice::from_raw_parts_mut(values, count as usize).iter_mut().for_each(|value| drop(Val::take_vm(value))) }
}
