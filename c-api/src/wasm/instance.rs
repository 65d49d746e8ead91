//! Instances of the portable API.

use super::external::{wasm_extern_t, wasm_extern_vec_t};
use super::module::wasm_module_t;
use super::reference::{no_host_info, no_view, wasm_ref_t};
use super::store::{StoreRef, wasm_store_t};
use crate::boundary::{TrapOut, give_trap, guarded, misuse};
use crate::foreign::Finalizer;
use ampoule::{Error, Extern, Instance};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// An instance and its store.
#[derive(Clone)]
pub struct wasm_instance_t {
    store: StoreRef,
    instance: Instance,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_delete(_instance: Box<wasm_instance_t>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_copy(instance: &wasm_instance_t) -> Box<wasm_instance_t> {
    Box::new(instance.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_same(a: &wasm_instance_t, b: &wasm_instance_t) -> bool {
    a.instance == b.instance
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_get_host_info(_instance: &wasm_instance_t) -> *mut c_void {
    ptr::null_mut()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_set_host_info(_instance: &mut wasm_instance_t, _info: *mut c_void) {
    no_host_info("wasm_instance_set_host_info")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_set_host_info_with_finalizer(
    _instance: &mut wasm_instance_t,
    _info: *mut c_void,
    _finalizer: Finalizer,
) {
    no_host_info("wasm_instance_set_host_info_with_finalizer")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_as_ref(_instance: &mut wasm_instance_t) -> &mut wasm_ref_t {
    no_view("wasm_instance_as_ref")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_instance(_ref: &mut wasm_ref_t) -> &mut wasm_instance_t {
    no_view("wasm_ref_as_instance")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_as_ref_const(_instance: &wasm_instance_t) -> &wasm_ref_t {
    no_view("wasm_instance_as_ref_const")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_instance_const(_ref: &wasm_ref_t) -> &wasm_instance_t {
    no_view("wasm_ref_as_instance_const")
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_new(
    store: &wasm_store_t,
    module: &wasm_module_t,
    imports: &wasm_extern_vec_t,
    trap: TrapOut<'_>,
) -> Option<Box<wasm_instance_t>> {
    let store = &store.store;
    let made = guarded(|| {
        let item = |import: &Option<Box<wasm_extern_t>>| import.as_ref().map(|import| import.item.clone());
        let imports: Option<Vec<Extern>> = imports.as_slice().iter().map(item).collect();
        let imports = imports.ok_or_else(|| Error::message("an import is null"))?;
        Instance::new(store.get(), &module.module, &imports)
    });
    match made {
        Ok(instance) => Some(Box::new(wasm_instance_t { store: store.clone(), instance })),
        Err(error) => {
            // Here whatever went wrong is a trap.
            trap.map(|trap| trap.write(give_trap(error)));
            None
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_instance_exports(instance: &wasm_instance_t, out: &mut MaybeUninit<wasm_extern_vec_t>) {
    let store = instance.store.get();
    let exports =
        (0..).map_while(|position| instance.instance.export_at(store, position)).map(|(_, item)| match item {
            Extern::SharedMemory(_) => misuse("wasm_instance_exports", "the portable API has no shared memories"),
            item => Some(Box::new(wasm_extern_t::new(&instance.store, item))),
        });
    exports.collect::<wasm_extern_vec_t>().give(out);
}
