//! Instances: modules brought to life in a store.

pub mod external;
pub mod instantiate;
pub mod linker;

use crate::engine::pool::{Claim, INSTANCE_RECORD_LEN, Pool};
use crate::error::Error;
use crate::func::Func;
use crate::global::Global;
use crate::instance::external::Extern;
use crate::memory::Memory;
use crate::memory::shared::SharedMemory;
use crate::module::Module;
use crate::store::Store;
use crate::table::Table;
use ampoule_core::index::*;
use ampoule_core::module::Item;
use ampoule_core::vm::{MemorySlot, VmContext, VmFuncImport, VmFuncRef, VmGlobal};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// An instance of a store. The layout is `wasmtime_instance_t`'s.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Instance {
    store_id: u64,
    position: usize,
}

/// The record of an instance.
///
/// 1. `vmctx` is an allocation of the module's layout size, zeroed and then filled in by instantiation, owned by this value.
/// 2. Pointers in it lead to what the same store owns.
/// 3. The record is boxed and stays in its store until that is dropped, so its address is stable.
pub(crate) struct InstanceData {
    module: Module,
    vmctx: NonNull<VmContext>,
    /// The place of each memory in the store's arena or, for a shared one, in `shared_memories`.
    pub(crate) memories: Box<[MemoryLink]>,
    /// The place of each table in the store's arena.
    pub(crate) tables: Box<[u32]>,
    pub(crate) dropped_elems: Box<[bool]>,
    pub(crate) dropped_datas: Box<[bool]>,
    /// The instance's place in its store.
    position: u32,
    /// Held where the engine has a pool.
    _claim: Option<Claim>,
}

/// Where an instance's memory is.
#[derive(Clone, Debug)]
pub(crate) enum MemoryLink {
    /// In the store's arena.
    Store(u32),
    /// With other stores.
    Shared(SharedMemory),
}

const ALIGN: usize = 16;

const _: () = assert!(size_of::<InstanceData>() <= INSTANCE_RECORD_LEN);

impl InstanceData {
    /// A record with a zeroed block, not yet filled in.
    ///
    /// # Errors
    /// Where the engine's pool has no instance left.
    pub(crate) fn new(module: &Module, position: u32) -> Result<Box<Self>, Error> {
        let claim = module.engine().pool().map(Pool::claim_instance).transpose()?;
        let layout = Self::block_layout(module);
        // SAFETY: the size is not zero: a block has its head.
        let block = unsafe { alloc_zeroed(layout) };
        let vmctx = NonNull::new(block.cast()).unwrap_or_else(|| handle_alloc_error(layout));
        let description = module.description();
        Ok(Box::new(Self {
            vmctx,
            memories: Box::default(),
            tables: Box::default(),
            dropped_elems: vec![false; description.elems.len()].into(),
            dropped_datas: vec![false; description.datas.len()].into(),
            position,
            module: module.clone(),
            _claim: claim,
        }))
    }

    fn block_layout(module: &Module) -> Layout {
        Layout::from_size_align(module.layout().size(), ALIGN).expect("the decoder bounds every index space")
    }

    pub(crate) fn module(&self) -> &Module {
        &self.module
    }

    pub(crate) fn vmctx(&self) -> *mut VmContext {
        self.vmctx.as_ptr()
    }

    /// A place in the block, by an offset of the module's `VmLayout`.
    pub(crate) fn at<T>(&self, offset: u32) -> *mut T {
        debug_assert!(offset as usize + size_of::<T>() <= self.module.layout().size());
        // SAFETY: the layout's offsets lie in the block (1).
        unsafe { self.vmctx.as_ptr().byte_add(offset as usize).cast() }
    }

    pub(crate) fn imported_function(&self, index: FuncIndex) -> *mut VmFuncImport {
        self.at(self.module.layout().imported_function(index))
    }

    /// The instance's place in its store.
    pub(crate) fn position(&self) -> u32 {
        self.position
    }

    /// The cell of any global.
    pub(crate) fn global(&self, index: GlobalIndex) -> *mut VmGlobal {
        match self.module.layout().global(index) {
            MemorySlot::Own(offset) => self.at(offset),
            // SAFETY: the slot was filled in at instantiation, before anything could ask for it.
            MemorySlot::Pointer(offset) => unsafe { *self.at::<*mut VmGlobal>(offset) },
        }
    }

    /// The reference to a function of the module that may be referred to, made when first needed.
    pub(crate) fn func_ref(&self, index: FuncIndex) -> NonNull<VmFuncRef> {
        let module = self.module.description();
        let Some(own) = module.defined_func(index) else {
            // SAFETY: imports are filled in at instantiation, with references of the same store.
            return unsafe { NonNull::new_unchecked((*self.imported_function(index)).func_ref) };
        };
        let position = module.func_ref(index).expect("the decoder noted every function that is referred to");
        let func_ref = self.at::<VmFuncRef>(self.module.layout().func_ref(position));
        // SAFETY: the place is in the block; it is all zero or made. One thread at a time is in the store.
        unsafe {
            // Also where it is made already: the function may have been compiled since, and its code is nearer than its stub.
            func_ref.write(VmFuncRef {
                code: self.module.code().entry(own),
                vmctx: self.vmctx(),
                signature: self.module.signature_word(module.functions[index.index()]),
            });
            NonNull::new_unchecked(func_ref)
        }
    }

    /// Compiles one of the module's own functions, so that references made from now on lead to its code and not to its stub.
    pub(crate) fn compile(&self, index: FuncIndex) {
        if let Some(own) = self.module.description().defined_func(index) {
            // Where it can't be compiled, the stub says so when it is called.
            let _ = self.module.code().compile(own);
        }
    }

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
            Item::Global(index) => Extern::Global(Global::of_instance(store, self.position, index)),
        }
    }

    /// The export of this name.
    #[inline]
    pub(crate) fn export(&self, store: &Store, name: &str) -> Option<Extern> {
        Some(self.item(store, self.module.export_item(name)?))
    }
}

impl Drop for InstanceData {
    fn drop(&mut self) {
        // SAFETY: the block is owned (1) and was allocated with this layout.
        unsafe { dealloc(self.vmctx.as_ptr().cast(), Self::block_layout(&self.module)) }
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

    pub(crate) fn at(store: &Store, position: u32) -> Instance {
        Instance { store_id: store.id(), position: position as usize }
    }

    fn data<'a>(&self, store: &'a Store) -> Result<&'a InstanceData, Error> {
        store.check_owner(self.store_id)?;
        let data = store.instances.list.get(self.position);
        data.map(|data| &**data).ok_or_else(Error::wrong_store)
    }

    /// The module.
    ///
    /// # Errors
    /// Where the instance is of another store.
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

    /// The exported function of this name.
    pub fn get_func(&self, store: &Store, name: &str) -> Option<Func> {
        self.get_export(store, name)?.into_func()
    }

    /// The exported memory of this name.
    pub fn get_memory(&self, store: &Store, name: &str) -> Option<Memory> {
        self.get_export(store, name)?.into_memory()
    }
}
