//! An instance, as its store keeps it.

use crate::engine::pool::{Claim, INSTANCE_RECORD_LEN, Pool};
use crate::error::Error;
use crate::memory::shared::SharedMemory;
use crate::module::Module;
use crate::store::places::Born;
use ampoule_core::index::*;
use ampoule_core::vm::{MemorySlot, VmContext, VmFuncImport, VmFuncRef, VmGlobal};
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::collections::BTreeMap;
use std::ops::Range;
use std::ptr::NonNull;

/// The record of an instance.
///
/// 1. `vmctx` is an allocation of the module's layout size, zeroed and then filled in by instantiation, owned by this value.
/// 2. Pointers in it lead to what the same store owns.
/// 3. The record stays where it is in its store's list until it is dropped, so its address is stable.
pub(crate) struct InstanceData {
    module: Module,
    vmctx: NonNull<VmContext>,
    /// The place of each memory in the store's arena or, for a shared one, in `shared_memories`.
    pub(crate) memories: Box<[MemoryLink]>,
    /// The place of each table in the store's arena.
    pub(crate) tables: Box<[u32]>,
    /// The elements of passive segments that are new objects, by segment.
    pub(crate) made_elems: Option<Box<MadeElems>>,
    pub(crate) dropped_elems: Box<[bool]>,
    pub(crate) dropped_datas: Box<[bool]>,
    /// The instance's place in its store.
    position: u32,
    /// How many the store had deleted when the instance was made.
    born: u32,
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

/// The elements of segments, as references, by segment.
pub(crate) type MadeElems = BTreeMap<u32, Vec<u32>>;

impl InstanceData {
    /// A record with a zeroed block, not yet filled in.
    ///
    /// # Errors
    /// Where the engine's pool has no instance left.
    pub(crate) fn new(module: &Module, position: u32, born: u32) -> Result<Self, Error> {
        let claim = module.engine().pool().map(Pool::claim_instance).transpose()?;
        let layout = Self::block_layout(module);
        // SAFETY: the size is not zero: a block has its head.
        let block = unsafe { alloc_zeros(layout) };
        let vmctx = NonNull::new(block.cast()).unwrap_or_else(|| handle_alloc_error(layout));
        let description = module.description();
        Ok(Self {
            vmctx,
            memories: Box::default(),
            tables: Box::default(),
            made_elems: None,
            dropped_elems: none_dropped(description.elems.len()),
            dropped_datas: none_dropped(description.datas.len()),
            position,
            born,
            module: module.clone(),
            _claim: claim,
        })
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

    /// The addresses of the block.
    pub(crate) fn block(&self) -> Range<usize> {
        let start = self.vmctx.addr().get();
        start..start + self.module.layout().size()
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

    /// The bytes of a data segment: none where it was dropped.
    pub(crate) fn data(&self, segment: DataIndex) -> &[u8] {
        if self.dropped_datas[segment.index()] {
            return &[];
        }
        self.module().bytes().range(&self.module().description().datas[segment.index()].bytes)
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
                code: self.module.code().referred(own),
                vmctx: self.vmctx(),
                signature: self.module.signature_word(module.functions.at(index.index())),
            });
            NonNull::new_unchecked(func_ref)
        }
    }

    /// A function that is about to be called came here by its stub, or by that of references to it. Where it has code that it keeps, the reference
    /// leads there from now on, and the import of the instance that calls it, which may be known.
    pub(crate) fn lead_reference(&self, own: DefinedFuncIndex, caller: Option<&InstanceData>) {
        let code = self.module.code();
        let Some(kept) = code.kept(own) else { return };
        let description = self.module.description();
        let index = description.func_index(own);
        let Some(position) = description.func_ref(index) else { return };
        let func_ref = self.at::<VmFuncRef>(self.module.layout().func_ref(position));
        let import = caller.and_then(|caller| caller.import_of(func_ref));
        // SAFETY: the places are in the blocks, and one thread at a time is in the store.
        let (reference_leads, import_leads) =
            unsafe { ((*func_ref).code == kept, import.is_none_or(|import| (*import).code == kept)) };
        if !reference_leads {
            self.func_ref(index);
        }
        if let Some(import) = import.filter(|_| !import_leads) {
            // SAFETY: as above.
            unsafe { (*import).code = kept };
        }
        if reference_leads && import_leads {
            code.pass_on(own);
        }
    }

    /// The import that was made from a reference, if it is one of the first.
    fn import_of(&self, func_ref: *mut VmFuncRef) -> Option<*mut VmFuncImport> {
        let imports = self.module.description().num_imported_functions.min(IMPORTS_SEARCHED);
        (0..imports).map(|index| self.imported_function(FuncIndex(index as u32))).find(|&import| {
            // SAFETY: the slot was filled in at instantiation, before the instance could call.
            unsafe { (*import).func_ref == func_ref }
        })
    }
}

/// Imports among which one is looked for that a call came by. Whoever calls by a later one goes on through the stub.
const IMPORTS_SEARCHED: usize = 256;

/// Whether segments were dropped, of so many.
#[inline]
fn none_dropped(segments: usize) -> Box<[bool]> {
    if segments == 0 { Box::default() } else { vec![false; segments].into() }
}

/// Up to this length blocks are overwritten with zeros: allocators have old ones sooner at hand than blocks that are zero already.
const OVERWRITTEN_BLOCK: usize = 1024;

/// As [`alloc_zeroed`].
///
/// # Safety
/// As for [`alloc_zeroed`].
unsafe fn alloc_zeros(layout: Layout) -> *mut u8 {
    // SAFETY: by the caller; what was allocated is as long as the layout says.
    unsafe {
        if layout.size() > OVERWRITTEN_BLOCK {
            return alloc_zeroed(layout);
        }
        // The optimizer would make this an `alloc_zeroed` again.
        let block = std::hint::black_box(alloc(layout));
        if !block.is_null() {
            block.write_bytes(0, layout.size());
        }
        block
    }
}

impl Born for InstanceData {
    fn born(&self) -> u32 {
        self.born
    }
}

impl Drop for InstanceData {
    fn drop(&mut self) {
        // SAFETY: the block is owned (1) and was allocated with this layout.
        unsafe { dealloc(self.vmctx.as_ptr().cast(), Self::block_layout(&self.module)) }
    }
}
