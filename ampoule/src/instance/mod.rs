//! Instances: modules instantiated in a store.

pub(crate) mod const_expr;
pub(crate) mod delete;
pub(crate) mod external;
pub(crate) mod instantiate;
pub(crate) mod linker;
pub(crate) mod segments;

use crate::error::Error;
use crate::func::Func;
use crate::func::future::CallFuture;
use crate::func::typed::{TypedFunc, WasmTypes};
use crate::global::Global;
use crate::instance::external::Extern;
use crate::memory::Memory;
use crate::module::Module;
use crate::store::Store;
use crate::store::places::Born;
use crate::store::records::instance::{InstanceData, MemoryLink};
use crate::table::Table;
use crate::tag::Tag;
use ampoule_core::index::FuncIndex;
use ampoule_core::module::Item;

/// An instance of a store. The layout is `wasmtime_instance_t`'s.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Instance {
    store_id: u64,
    /// In the low half the position, in the high one how many the store had deleted when it was made.
    place: u64,
}

impl InstanceData {
    /// One of the instance's items.
    pub(crate) fn item(&self, store: &Store, item: Item) -> Extern {
        match item {
            Item::Func(index) => {
                let func_ref = self.func_ref(index).as_ptr();
                // SAFETY: the reference is of this store.
                Extern::Func(unsafe { Func::from_raw(store, func_ref) }.expect("not null"))
            }
            Item::Table(index) => Extern::Table(Table::at(store, self.tables[index.index()])),
            Item::Memory(index) => match &self.memories[index.index()] {
                MemoryLink::Store(position) => Extern::Memory(Memory::at(store, *position)),
                MemoryLink::Shared(memory) => Extern::SharedMemory(memory.clone()),
            },
            Item::Global(index) => Extern::Global(Global::of_instance(store, self, index)),
            Item::Tag(index) => {
                let number = self.at::<u32>(self.module().layout().tag(index));
                // SAFETY: the place is in the block, and was filled in at instantiation.
                Extern::Tag(Tag::at(store, unsafe { number.read() }))
            }
        }
    }

    /// The export of this name.
    #[inline]
    pub(crate) fn export(&self, store: &Store, name: &str) -> Option<Extern> {
        Some(self.item(store, self.module().export_item(name)?))
    }
}

impl Instance {
    /// Instantiates a module with imports in the order the module lists them, and runs its start function.
    ///
    /// # Errors
    /// [`crate::LinkError`] where the imports don't fit; a limit; a trap while segments are copied or the start function runs.
    /// What the instance had changed by then stays changed, as the spec says.
    pub fn new(store: &mut Store, module: &Module, imports: &[Extern]) -> Result<Instance, Error> {
        crate::instance::instantiate::instantiate(store, module, imports)
    }

    /// As [`Instance::new`], without a look at the types of the imports.
    ///
    /// # Errors
    /// See [`Instance::new`].
    ///
    /// # Safety
    /// The module is of the store's engine. There are as many imports as it has, of the kinds and types that it wants, all of the store.
    pub unsafe fn new_unchecked(store: &mut Store, module: &Module, imports: &[Extern]) -> Result<Instance, Error> {
        crate::instance::instantiate::instantiate_checked(store, module, imports)
    }

    /// As [`Instance::new`], for a store that takes asynchronous calls: the start function may wait.
    ///
    /// # Errors
    /// See [`Instance::new`].
    pub fn new_async<'a>(store: &'a mut Store, module: &Module, imports: &[Extern]) -> CallFuture<'a, Instance> {
        let (module, imports) = (module.clone(), imports.to_vec());
        CallFuture::new(store, move |store| Instance::new(store, &module, &imports))
    }

    pub(crate) fn at(store: &Store, position: u32) -> Instance {
        let born = store.instances.instance(position as usize).map_or(0, Born::born);
        Instance { store_id: store.id(), place: u64::from(born) << 32 | u64::from(position) }
    }

    /// The position in the store's list.
    ///
    /// # Errors
    /// Where the instance is of another store.
    pub(crate) fn position(&self, store: &Store) -> Result<u32, Error> {
        Ok(self.data(store)?.position())
    }

    fn data<'a>(&self, store: &'a Store) -> Result<&'a InstanceData, Error> {
        store.check_owner(self.store_id)?;
        let instance = store.instances.instance(self.place as u32 as usize);
        instance.filter(|instance| u64::from(instance.born()) == self.place >> 32).ok_or_else(Error::deleted)
    }

    /// The module.
    ///
    /// # Errors
    /// Where the instance is of another store, or was deleted.
    pub fn module<'a>(&self, store: &'a Store) -> Result<&'a Module, Error> {
        Ok(self.data(store)?.module())
    }

    /// The export of this name, or `None` where there is none or the instance is of another store.
    #[inline]
    pub fn get_export(&self, store: &Store, name: &str) -> Option<Extern> {
        self.data(store).ok()?.export(store, name)
    }

    /// The export at this position, with its name.
    pub fn export_at<'a>(&self, store: &'a Store, position: usize) -> Option<(&'a str, Extern)> {
        let data = self.data(store).ok()?;
        let export = data.module().description().exports.get(position)?;
        Some((&export.name, data.item(store, export.item)))
    }

    /// The item of the instance that its module exports as this one.
    ///
    /// # Panics
    /// Where the instance is of another store, or the module has no such item.
    #[inline]
    pub fn item(&self, store: &Store, item: Item) -> Extern {
        self.data(store).expect("the instance is of this store").item(store, item)
    }

    /// As [`Instance::item`], of a function: in registers, where the item as such would pass through memory.
    ///
    /// # Panics
    /// As [`Instance::item`].
    #[inline]
    pub fn func_item(&self, store: &Store, index: FuncIndex) -> Func {
        let data = self.data(store).expect("the instance is of this store");
        // SAFETY: the reference is of this store.
        unsafe { Func::from_raw(store, data.func_ref(index).as_ptr()) }.expect("not null")
    }

    /// The exported function of this name.
    pub fn get_func(&self, store: &Store, name: &str) -> Option<Func> {
        self.get_export(store, name)?.into_func()
    }

    /// The exported function of this name, with its type known to Rust.
    ///
    /// # Errors
    /// Where there is none of this name, or it has another type.
    pub fn get_typed_func<Params: WasmTypes, Results: WasmTypes>(
        &self,
        store: &Store,
        name: &str,
    ) -> Result<TypedFunc<Params, Results>, Error> {
        let func = self.get_func(store, name);
        let func = func.ok_or_else(|| Error::message(format!("the instance exports no function `{name}`")))?;
        func.typed(store)
    }

    /// The exports with their names, in the module's order.
    ///
    /// # Errors
    /// Where the instance is of another store.
    pub fn exports<'a>(&self, store: &'a Store) -> Result<impl Iterator<Item = (&'a str, Extern)>, Error> {
        let data = self.data(store)?;
        let exports = &data.module().description().exports;
        Ok(exports.iter().map(|export| (export.name.as_str(), data.item(store, export.item))))
    }

    /// The exported tag of this name.
    pub fn get_tag(&self, store: &Store, name: &str) -> Option<Tag> {
        if let Extern::Tag(tag) = self.get_export(store, name)? { Some(tag) } else { None }
    }

    /// The exported memory of this name.
    pub fn get_memory(&self, store: &Store, name: &str) -> Option<Memory> {
        self.get_export(store, name)?.into_memory()
    }
}
