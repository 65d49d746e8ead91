//! What thunks do with references that cross between host and guest: handles are made of raw ones, and the other way; and which functions may
//! stand for which.
//!
//! None of these collects anything, so a thunk may keep raw references in registers over them; and none fails.

use crate::engine::type_registry::TypeRecord;
use crate::func::val::Val;
use crate::gc::anyref::AnyRef;
use crate::gc::exnref::ExnRef;
use crate::gc::externref::ExternRef;
use crate::store::Store;
use ampoule_core::types::ValType;
use ampoule_core::vm::{VmFunc, VmRef, VmStoreContext, VmVal, VmValRaw, VmValUnion};
use std::slice;

/// # Safety
/// See the module above. `values` points to `count` values, of which a reference that is no function is a raw one.
pub(crate) unsafe extern "C" fn root_refs(store: *mut VmStoreContext, values: *mut VmVal, count: u64) {
    // SAFETY: as above.
    let (store, values) = unsafe { (Store::from_vm(store), slice::from_raw_parts_mut(values, count as usize)) };
    for value in values {
        // SAFETY: the thunk has put a raw one here, where the kind is that of a reference.
        let raw = unsafe { value.of.raw_reference };
        value.of.reference = match value.kind {
            VmVal::KIND_EXTERNREF => ExternRef::into_vm(ExternRef::from_raw(store, raw)),
            VmVal::KIND_ANYREF => AnyRef::into_vm(AnyRef::from_raw(store, raw)),
            VmVal::KIND_EXNREF => ExnRef::into_vm(ExnRef::from_raw(store, raw)),
            _ => continue,
        };
    }
}

/// # Safety
/// See the module above. `value` holds a reference of the host's that is none to a function, of whatever store.
pub(crate) unsafe extern "C" fn raw_ref(store: *mut VmStoreContext, value: *const VmVal) -> i64 {
    // SAFETY: as above.
    let raw = unsafe {
        let (value, id) = (&*value, Store::from_vm(store).id());
        match value.kind {
            VmVal::KIND_EXNREF => ExnRef::raw_of_vm(&value.of.reference, id),
            VmVal::KIND_ANYREF => AnyRef::raw_of_vm(&value.of.reference, id),
            _ => ExternRef::raw_of_vm(&value.of.reference, id),
        }
    };
    raw.map_or(-1, i64::from)
}

/// # Safety
/// See the module above. `reference` is what C gives for the value at this position of the parameters and results of functions of type `ty`, of
/// the kind that this type has.
pub(crate) unsafe extern "C" fn raw_ref_of(
    store: *mut VmStoreContext,
    reference: *const VmRef,
    ty: *const TypeRecord,
    position: u32,
) -> i64 {
    // SAFETY: as above.
    unsafe {
        let ty = (*ty).func().values()[position as usize];
        let of = VmValUnion { reference: *reference };
        checked(store, ty, VmVal { kind: VmVal::kind_of(ty), of }).map_or(-1, |raw| i64::from(raw.externref))
    }
}

/// # Safety
/// As for [`raw_ref_of`].
pub(crate) unsafe extern "C" fn raw_func_of(
    store: *mut VmStoreContext,
    func: *const VmFunc,
    ty: *const TypeRecord,
    position: u32,
) -> i64 {
    // SAFETY: as above.
    unsafe {
        let ty = (*ty).func().values()[position as usize];
        let of = VmValUnion { funcref: *func };
        checked(store, ty, VmVal { kind: VmVal::kind_of(ty), of })
            .map_or(-1, |raw| raw.funcref.expose_provenance() as i64)
    }
}

/// The value as guest code holds it, if it is of this type, and of the store.
///
/// # Safety
/// `store` is live, and `val` such as [`Val::from_vm`] takes.
unsafe fn checked(store: *mut VmStoreContext, ty: ValType, val: VmVal) -> Option<VmValRaw> {
    // SAFETY: by the caller.
    unsafe {
        let store = Store::from_vm(store);
        Val::from_vm(&val).and_then(|val| val.to_argument(store, ty)).ok()
    }
}

/// # Safety
/// See the module above. `values` points to `count` values that the host has no use for.
pub(crate) unsafe extern "C" fn unroot_refs(values: *mut VmVal, count: u64) {
    // SAFETY: as above.
    unsafe { slice::from_raw_parts_mut(values, count as usize).iter_mut().for_each(|value| drop(Val::take_vm(value))) }
}

/// # Safety
/// See the module above. Both are types of functions in use.
pub(crate) unsafe extern "C" fn is_subtype(ty: *const TypeRecord, of: *const TypeRecord) -> u32 {
    // SAFETY: as above.
    unsafe { u32::from((*ty).is_subtype_of(&*of)) }
}
