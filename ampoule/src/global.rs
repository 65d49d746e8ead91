//! Globals.

use crate::error::{Error, ErrorKind};
use crate::func::val::Val;
use crate::store::Store;
use crate::store::places::Born;
use crate::store::records::global::HostGlobal;
use crate::store::records::instance::InstanceData;
use ampoule_core::index::GlobalIndex;
use ampoule_core::types::GlobalType;
use ampoule_core::vm::{VmGlobal, VmValRaw};

/// A global of a store. The layout is `wasmtime_global_t`'s.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Global {
    store_id: u64,
    /// The instance it was exported from, or [`HOST`].
    instance: u32,
    index: u32,
    /// How many instances the store had deleted when this one was made.
    born: u32,
}

/// In place of an instance: the global was made by the host.
const HOST: u32 = u32::MAX;

impl Global {
    /// A new global of the host.
    ///
    /// # Errors
    /// Where the value is of another type or store, or the type names one that does not exist any more.
    pub fn new(store: &mut Store, ty: GlobalType, value: &Val) -> Result<Global, Error> {
        let refused =
            |error: Error| error.of("type mismatch: initial value provided does not match the type of this global");
        store.keep_type(ty.content)?;
        value.check_type(store, ty.content).map_err(refused)?;
        let raw = value.to_raw(store).map_err(refused)?;
        let (global, cell) = Global::of_host(store, ty);
        // SAFETY: the cell is a new one, and the value was checked.
        unsafe { cell.cast::<VmValRaw>().write(raw) };
        Ok(global)
    }

    /// A global of the host whose value is zero or null, and its cell. What its type names lives as long as the store.
    pub(crate) fn of_host(store: &mut Store, ty: GlobalType) -> (Global, *mut VmGlobal) {
        store.instances.globals.push(Box::new(HostGlobal { vm: VmGlobal::default(), ty }));
        let index = store.instances.globals.len() as u32 - 1;
        let cell = &raw mut store.instances.globals[index as usize].vm;
        (Global { store_id: store.id(), instance: HOST, index, born: 0 }, cell)
    }

    pub(crate) fn of_instance(store: &Store, instance: &InstanceData, index: GlobalIndex) -> Global {
        Global { store_id: store.id(), instance: instance.position(), index: index.0, born: instance.born() }
    }

    /// The type.
    ///
    /// # Errors
    /// Where the global is of another store.
    pub fn ty(&self, store: &Store) -> Result<GlobalType, Error> {
        Ok(self.resolve(store)?.1)
    }

    /// What tells this global from others of its store, under whichever instance's name it goes: the address of its cell.
    ///
    /// # Errors
    /// Where the global is of another store.
    pub fn address(&self, store: &Store) -> Result<usize, Error> {
        Ok(self.resolve(store)?.0 as usize)
    }

    /// The value.
    ///
    /// # Errors
    /// Where the global is of another store.
    pub fn get(&self, store: &mut Store) -> Result<Val, Error> {
        let (cell, ty) = self.resolve(store)?;
        // SAFETY: the cell is a live global of this store (`resolve`), so it holds a value of its type, of this store.
        Ok(unsafe { Val::from_raw(store, &*cell.cast::<VmValRaw>(), ty.content) })
    }

    /// Changes the value.
    ///
    /// # Errors
    /// Where the global is immutable, or it or the value is of another store, or the value of another type; nothing changes.
    pub fn set(&self, store: &mut Store, value: &Val) -> Result<(), Error> {
        let (cell, ty) = self.resolve(store)?;
        if !ty.mutable {
            return Err(Error::new(ErrorKind::Type("immutable global cannot be set".to_string())));
        }
        let refused = |error: Error| error.of("type mismatch: attempt to set global to value of wrong type");
        value.check_type(store, ty.content).map_err(refused)?;
        let raw = value.to_raw(store).map_err(refused)?;
        // SAFETY: the cell is a live global of this store, sixteen bytes wide as the raw value is.
        unsafe { cell.cast::<VmValRaw>().write(raw) };
        Ok(())
    }

    /// The cell, which lives as long as the store, or the instance, and the type.
    pub(crate) fn resolve(&self, store: &Store) -> Result<(*mut VmGlobal, GlobalType), Error> {
        store.check_owner(self.store_id)?;
        let unknown = || Error::wrong_store();
        if self.instance == HOST {
            let global = store.instances.globals.get(self.index as usize).ok_or_else(unknown)?;
            return Ok(((&raw const global.vm).cast_mut(), global.ty));
        }
        let instance = store.instances.instance(self.instance as usize);
        let instance = instance.filter(|instance| instance.born() == self.born).ok_or_else(Error::deleted)?;
        if self.index as usize >= instance.module().description().globals.len() {
            return Err(unknown());
        }
        let index = GlobalIndex(self.index);
        Ok((instance.global(index), instance.module().global_type(index)))
    }
}
