//! Host information: a pointer of the host's for each object, with a finalizer.
//!
//! It belongs to the object, not to the handle: every handle to the same object sees it. Items and instances live as long as
//! their store, and so does what is kept with them; a module or trap goes with its last handle, a foreign object when the store
//! collects it.

use super::object::{HostInfo, Object, wasm_ref_t};
use super::store::StoreRef;
use crate::foreign::{Finalizer, Foreign};
use ampoule::{Extern, Instance};
use std::collections::HashMap;
use std::ffi::c_void;

impl wasm_ref_t {
    /// What the host keeps with the object.
    pub(crate) fn host_info(&self) -> *mut c_void {
        get(&self.object)
    }

    /// Replaces what the host keeps with the object; the finalizer of what was there runs.
    pub(crate) fn set_host_info(&self, info: *mut c_void, finalizer: Finalizer) {
        set(&self.object, Foreign::new(info, finalizer));
    }
}

/// What tells the objects of a store from each other.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Func(ampoule::Func),
    /// The address of its cell.
    Global(usize),
    Table(ampoule::Table),
    Memory(ampoule::Memory),
    Tag(ampoule::Tag),
    Instance(Instance),
}

/// The information about the objects of a store, in one of its slots.
#[derive(Default)]
struct HostInfos(HashMap<Key, Foreign>);

/// What is kept with an object; null where there is nothing.
fn get(object: &Object) -> *mut c_void {
    match object {
        Object::Foreign { store, value } => {
            let data = value.data(store.get()).ok().flatten().and_then(|data| data.downcast_ref::<HostInfo>());
            data.map_or(std::ptr::null_mut(), HostInfo::get)
        }
        Object::Module { info, .. } => info.get(),
        Object::Trap(trap) => trap.info().get(),
        Object::Item { store, .. } | Object::Instance { store, .. } => {
            let infos = store.get().slots().get::<HostInfos>();
            let info = infos.zip(key(object)).and_then(|(infos, key)| infos.0.get(&key));
            info.map_or(std::ptr::null_mut(), Foreign::data)
        }
    }
}

/// Replaces what is kept with an object.
fn set(object: &Object, info: Foreign) {
    match object {
        Object::Foreign { store, value } => {
            if let Some(kept) = value.data(store.get()).ok().flatten().and_then(|data| data.downcast_ref::<HostInfo>())
            {
                kept.set(info);
            }
        }
        Object::Module { info: kept, .. } => kept.set(info),
        Object::Trap(trap) => trap.info().set(info),
        Object::Item { store, .. } | Object::Instance { store, .. } => {
            let Some(key) = key(object) else { return };
            // The old one's finalizer runs when the store is in nobody's hands.
            let old = insert(store, key, info);
            drop(old);
        }
    }
}

fn insert(store: &StoreRef, key: Key, info: Foreign) -> Option<Foreign> {
    let slots = store.get().slots_mut();
    if slots.get::<HostInfos>().is_none() {
        slots.insert(HostInfos::default());
    }
    slots.get_mut::<HostInfos>().expect("it is there by now").0.insert(key, info)
}

fn key(object: &Object) -> Option<Key> {
    Some(match object {
        Object::Item { store, item } => match item {
            Extern::Func(func) => Key::Func(*func),
            Extern::Global(global) => Key::Global(global.address(store.get()).ok()?),
            Extern::Table(table) => Key::Table(*table),
            Extern::Memory(memory) => Key::Memory(*memory),
            Extern::Tag(tag) => Key::Tag(*tag),
            Extern::SharedMemory(_) => return None,
        },
        Object::Instance { instance, .. } => Key::Instance(*instance),
        _ => return None,
    })
}
