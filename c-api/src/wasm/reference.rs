//! References to objects: functions, globals, tables, memories, instances, modules, traps, and values of the host. (`ref` is a
//! word of Rust's.)

use super::object::{Object, wasm_ref_t};
use super::store::StoreRef;
use crate::foreign::Finalizer;
use ampoule::{Error, Extern, Val};
use std::ffi::c_void;

impl wasm_ref_t {
    /// A handle to a reference that guest code knows; `None` for null, and for what is no reference.
    pub(crate) fn new(store: &StoreRef, val: Val) -> Option<Box<Self>> {
        let store = store.clone();
        let object = match val {
            Val::FuncRef(Some(func)) => Object::Item { store, item: Extern::Func(func) },
            Val::ExternRef(Some(value)) => Object::Foreign { store, value },
            _ => return None,
        };
        Some(Box::new(Self { object }))
    }

    /// The reference, for use in this store.
    ///
    /// # Errors
    /// Where it is of another store, or of a kind that guest code can't have.
    pub(crate) fn val_for(&self, store: &StoreRef) -> Result<Val, Error> {
        let (owner, val) = match &self.object {
            Object::Item { store, item: Extern::Func(func) } => (store, Val::FuncRef(Some(*func))),
            Object::Foreign { store, value } => (store, Val::ExternRef(Some(value.clone()))),
            _ => return Err(Error::message("only functions and foreign objects can be given to a guest")),
        };
        if owner.same(store) { Ok(val) } else { Err(Error::message("reference used with wrong store")) }
    }

    /// Whether both refer to the same object.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (&self.object, &other.object) {
            (Object::Item { store, item: a }, Object::Item { store: other, item: b }) => {
                store.same(other) && same_item(store, a, b)
            }
            (Object::Foreign { value: a, .. }, Object::Foreign { value: b, .. }) => a == b,
            (Object::Instance { instance: a, .. }, Object::Instance { instance: b, .. }) => a == b,
            (Object::Module { module: a, .. }, Object::Module { module: b, .. }) => a.same(b),
            (Object::Trap(a), Object::Trap(b)) => a.0.same(&b.0),
            _ => false,
        }
    }
}

fn same_item(store: &StoreRef, a: &Extern, b: &Extern) -> bool {
    match (a, b) {
        (Extern::Func(a), Extern::Func(b)) => a == b,
        (Extern::Global(a), Extern::Global(b)) => {
            let store = store.get();
            matches!((a.address(store), b.address(store)), (Ok(a), Ok(b)) if a == b)
        }
        (Extern::Table(a), Extern::Table(b)) => a == b,
        (Extern::Memory(a), Extern::Memory(b)) => a == b,
        (Extern::Tag(a), Extern::Tag(b)) => a == b,
        _ => false,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_delete(_ref: Option<Box<wasm_ref_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_copy(r: Option<&wasm_ref_t>) -> Option<Box<wasm_ref_t>> {
    r.map(|r| Box::new(r.clone()))
}

/// Null is the same as null.
#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_same(a: Option<&wasm_ref_t>, b: Option<&wasm_ref_t>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.same(b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_get_host_info(r: &wasm_ref_t) -> *mut c_void {
    r.host_info()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_set_host_info(r: &wasm_ref_t, info: *mut c_void) {
    r.set_host_info(info, None);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_set_host_info_with_finalizer(r: &wasm_ref_t, info: *mut c_void, finalizer: Finalizer) {
    r.set_host_info(info, finalizer);
}
