//! Instances of the portable API.

use super::external::wasm_extern_vec_t;
use super::module::wasm_module_t;
use super::object::{Object, wasm_extern_t, wasm_ref_t};
use super::store::{StoreRef, wasm_store_t};
use crate::boundary::{TrapOut, give_trap, guarded};
use crate::foreign::Finalizer;
use crate::own::{Own, Vector};
use ampoule::{Error, Extern, Instance};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// An instance and its store: a view of a reference that is one.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_instance_t(wasm_ref_t);

impl wasm_instance_t {
    /// The store and the instance.
    fn parts(&self) -> (&StoreRef, Instance) {
        let Object::Instance { store, instance } = &self.0.object else {
            unreachable!("an instance is only ever made as one")
        };
        (store, *instance)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_delete(_instance: Option<Box<wasm_instance_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_copy(instance: Option<&wasm_instance_t>) -> Option<Box<wasm_instance_t>> {
    instance.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_same(a: &wasm_instance_t, b: &wasm_instance_t) -> bool {
    a.0.same(&b.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_get_host_info(instance: &wasm_instance_t) -> *mut c_void {
    instance.0.host_info()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_set_host_info(instance: &wasm_instance_t, info: *mut c_void) {
    instance.0.set_host_info(info, None);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_set_host_info_with_finalizer(
    instance: &wasm_instance_t,
    info: *mut c_void,
    finalizer: Finalizer,
) {
    instance.0.set_host_info(info, finalizer);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_as_ref(instance: Option<&mut wasm_instance_t>) -> Option<&mut wasm_ref_t> {
    instance.map(|instance| &mut instance.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_instance(r: Option<&mut wasm_ref_t>) -> Option<&mut wasm_instance_t> {
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    r.filter(|r| matches!(r.object, Object::Instance { .. })).map(|r| unsafe { &mut *ptr::from_mut(r).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_as_ref_const(instance: Option<&wasm_instance_t>) -> Option<&wasm_ref_t> {
    instance.map(|instance| &instance.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_instance_const(r: Option<&wasm_ref_t>) -> Option<&wasm_instance_t> {
    // SAFETY: the wrapper is transparent.
    r.filter(|r| matches!(r.object, Object::Instance { .. })).map(|r| unsafe { &*ptr::from_ref(r).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_new(
    store: Option<&wasm_store_t>,
    module: Option<&wasm_module_t>,
    imports: Option<&wasm_extern_vec_t>,
    trap: TrapOut<'_>,
) -> Option<Box<wasm_instance_t>> {
    let made = guarded(|| {
        let store = &store.ok_or_else(|| Error::message("the store is null"))?.store;
        let module = module.ok_or_else(|| Error::message("the module is null"))?;
        let imports = imports.map(Vector::as_slice).unwrap_or_default();
        let item = |import: &Option<Box<wasm_extern_t>>| import.as_ref().map(|import| import.item().clone());
        let imports: Option<Vec<Extern>> = imports.iter().map(item).collect();
        let imports = imports.ok_or_else(|| Error::message("an import is null"))?;
        let instance = Instance::new(store.get(), module.module(), &imports)?;
        Ok(wasm_ref_t { object: Object::Instance { store: store.clone(), instance } })
    });
    match made {
        Ok(instance) => Some(Box::new(wasm_instance_t(instance))),
        Err(error) => {
            // Here whatever went wrong is a trap.
            trap.map(|trap| trap.write(give_trap(error)));
            None
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_exports(instance: &wasm_instance_t, out: &mut MaybeUninit<wasm_extern_vec_t>) {
    let (owner, instance) = instance.parts();
    let store = owner.get();
    let exports = (0..).map_while(|position| instance.export_at(store, position)).map(|(_, item)| match item {
        // The portable API has no shared memories; the others keep their places.
        Extern::SharedMemory(_) => None,
        item => Some(Box::new(wasm_extern_t::new(owner, item))),
    });
    exports.collect::<wasm_extern_vec_t>().give(out);
}
