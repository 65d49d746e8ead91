//! Linear memories of a store, as the embedder holds them. The mechanism is in [`crate::memory::linear`].

pub(crate) mod cache;
pub mod host;
pub(crate) mod image;
pub(crate) mod linear;
pub(crate) mod shared;
pub(crate) mod space;
pub(crate) mod waiters;

use crate::engine::budget::BudgetKind;
use crate::error::{Error, ErrorKind};
use crate::memory::host::HostLinearMemory;
use crate::memory::image::MemoryImage;
use crate::memory::linear::LinearMemory;
use crate::store::Store;
use crate::store::instances::ItemId;
use crate::store::limiter::{LimitRequest, Refused, Resource};
use crate::store::records::memory::{Bytes, MemoryData};
use ampoule_core::tunables::MemoryPlan;
use ampoule_core::types::MemoryType;
use ampoule_core::vm::VmMemory;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A memory of a store. The layout is `wasmtime_memory_t`'s.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Memory {
    id: ItemId,
    /// How many instances the store had deleted when it was made.
    born: u32,
}

impl Memory {
    /// A new memory of the host.
    ///
    /// # Errors
    /// Where a limit or the system refuses.
    pub fn new(store: &mut Store, ty: &MemoryType) -> Result<Memory, Error> {
        if ty.shared {
            return Err(Error::new(ErrorKind::Type(
                "shared memories must be created through `SharedMemory`".to_string(),
            )));
        }
        Memory::of_host(store, ty, ty.min, None)
    }

    /// A memory of the host that has so many pages, and this image in them.
    ///
    /// # Errors
    /// As [`Memory::new`].
    pub(crate) fn of_host(
        store: &mut Store,
        ty: &MemoryType,
        pages: u64,
        image: Option<&Arc<MemoryImage>>,
    ) -> Result<Memory, Error> {
        let position = allocate(store, ty, pages, image, std::ptr::null_mut())?;
        store.instances.host_memories += 1;
        Ok(Memory::at(store, position))
    }

    pub(crate) fn at(store: &Store, position: u32) -> Memory {
        Memory { id: ItemId::new(store, position), born: store.instances.memories[position as usize].born }
    }

    /// The position in the store's arena.
    #[inline]
    pub(crate) fn position(&self, store: &Store) -> Result<u32, Error> {
        self.id.position_in(store, &store.instances.memories, self.born)
    }

    #[inline]
    fn data_of<'a>(&self, store: &'a Store) -> Result<&'a MemoryData, Error> {
        self.id.find(store, &store.instances.memories, self.born)
    }

    /// The type that the memory was made with: growth doesn't change its minimum.
    ///
    /// # Errors
    /// Where the memory is of another store, or its instance was deleted, as for all functions here.
    pub fn ty(&self, store: &Store) -> Result<MemoryType, Error> {
        Ok(self.data_of(store)?.ty)
    }

    /// The type that imports are compared with, whose minimum is the current size.
    pub(crate) fn current_ty(&self, store: &Store) -> Result<MemoryType, Error> {
        Ok(MemoryType { min: self.size(store)?, ..self.ty(store)? })
    }

    /// Base and length in bytes. Valid until the guest runs again or the memory grows.
    ///
    /// # Errors
    /// See [`Memory::ty`].
    #[inline]
    pub fn data(&self, store: &Store) -> Result<(*mut u8, usize), Error> {
        let data = self.data_of(store)?;
        // SAFETY: the definition lives as long as the store.
        let definition = unsafe { &*data.definition };
        Ok((definition.base, definition.byte_len.load(Ordering::Relaxed)))
    }

    /// The bytes, to read.
    ///
    /// # Errors
    /// See [`Memory::ty`].
    pub fn bytes<'a>(&self, store: &'a Store) -> Result<&'a [u8], Error> {
        let (base, len) = self.data(store)?;
        // SAFETY: base and length are a live memory's; it isn't shared, and no guest runs while the store is borrowed.
        Ok(unsafe { std::slice::from_raw_parts(base, len) })
    }

    /// Pages.
    ///
    /// # Errors
    /// See [`Memory::ty`].
    #[inline]
    pub fn size(&self, store: &Store) -> Result<u64, Error> {
        let data = self.data_of(store)?;
        Ok(data.memory.byte_len() as u64 >> data.ty.page_size_log2)
    }

    /// Bytes in a page, as a binary logarithm.
    ///
    /// # Errors
    /// See [`Memory::ty`].
    #[inline]
    pub fn page_size_log2(&self, store: &Store) -> Result<u8, Error> {
        Ok(self.data_of(store)?.ty.page_size_log2)
    }

    /// Grows by `delta` pages and gives the pages before. Pointers into the memory are stale afterwards.
    ///
    /// # Errors
    /// Where the type's maximum, the store's limits or the system refuse; nothing changes.
    pub fn grow(&self, store: &mut Store, delta: u64) -> Result<u64, Error> {
        let position = self.position(store)?;
        let grown = grow(store, position, delta)?;
        grown.map_err(|refused| refused.into_error(|| format!("failed to grow memory by `{delta}`")))
    }
}

/// The bytes of a new memory.
///
/// # Errors
/// Where no memory can be so long.
pub(crate) fn initial_byte_len(ty: &MemoryType) -> Result<u64, Error> {
    ty.min_byte_len().filter(|&len| ty.allows_byte_len(len)).ok_or_else(|| minimum_too_large(ty))
}

fn minimum_too_large(ty: &MemoryType) -> Error {
    Error::new(ErrorKind::Limit(format!("memory minimum size of {} pages exceeds memory limits", ty.min)))
}

/// Asks limits and limiter for a new memory, and charges the budget for it: gives its bytes.
///
/// # Errors
/// Where one of them refuses.
pub(crate) fn charge_new(store: &mut Store, ty: &MemoryType) -> Result<u64, Error> {
    let min = initial_byte_len(ty)?;
    debug_assert!(min <= ty.max_byte_len());
    if !store.limits.allow_memory(min) {
        return Err(minimum_too_large(ty));
    }
    store.ask_limiter_for(Resource::Memory, min, ty.max.map(|_| ty.max_byte_len()), || minimum_too_large(ty))?;
    store.charge(BudgetKind::Memory, min)?;
    Ok(min)
}

/// Makes a memory of so many pages, which may be more than the type's minimum, and gives its position. `definition` is its place in an
/// instance's block, or null for the host's.
pub(crate) fn allocate(
    store: &mut Store,
    ty: &MemoryType,
    pages: u64,
    image: Option<&Arc<MemoryImage>>,
    definition: *mut VmMemory,
) -> Result<u32, Error> {
    let initial = &MemoryType { min: pages, ..*ty };
    let charged = charge_new(store, initial)?;
    let pooled = !definition.is_null() && store.engine.pool().is_some();
    let memory = make(store, ty, initial, image, pooled);
    let memory = memory.inspect_err(|_| store.release(BudgetKind::Memory, charged))?;
    let vm = VmMemory { base: memory.base(), byte_len: AtomicUsize::new(memory.byte_len()) };
    let (definition, own) = if definition.is_null() {
        let mut own = Box::new(vm);
        ((&raw mut *own), Some(own))
    } else {
        // SAFETY: the caller gives a place in an instance's block, which lives as long as the store.
        unsafe { definition.write(vm) };
        (definition, None)
    };
    let born = store.deletions();
    Ok(store.instances.add_memory(MemoryData { memory, ty: *ty, definition, own, born }))
}

/// The bytes of a new memory that limits and budget allow: of this type, with as many pages as `initial` says.
fn make(
    store: &mut Store,
    ty: &MemoryType,
    initial: &MemoryType,
    image: Option<&Arc<MemoryImage>>,
    pooled: bool,
) -> Result<Bytes, Error> {
    match &store.engine.config().host_memories {
        Some(creator) if !pooled => {
            let creator = creator.clone();
            Ok(Bytes::Host(store.calling_host(HOST_MEMORY, |_| HostLinearMemory::new(&creator, initial))?))
        }
        _ => {
            let plan = MemoryPlan::new(ty, &store.engine.config().tunables);
            // What the host makes for itself is not the pool's.
            let source = if pooled { store.engine.instance_memories() } else { store.engine.memories() };
            LinearMemory::new(initial, plan, image, source)
                .map(Bytes::Engine)
                .map_err(|error| Error::new(ErrorKind::Limit(error.to_string())))
        }
    }
}

/// Grows a memory. Where it can't, nothing changed.
///
/// # Errors
/// What the store's limiter says, or who is told of its budget, and as [`growth`].
pub(crate) fn grow(store: &mut Store, position: u32, delta: u64) -> Result<Result<u64, Refused>, Error> {
    let data = &store.instances.memories[position as usize];
    let current = data.memory.byte_len() as u64;
    if delta == 0 {
        // Asks for the size, and is no growth that a limit could refuse.
        return Ok(Ok(current >> data.ty.page_size_log2));
    }
    let (request, most) = (growth(&data.ty, current, delta)?, data.ty.max_byte_len());
    store.grow(&request, BudgetKind::Memory, most, |store| enlarge(store, position, delta))
}

/// What a limiter is asked before a memory of this type grows.
///
/// # Errors
/// Where the pages are so small that the size can't be told from a failure, whatever the maximum is.
pub(crate) fn growth(ty: &MemoryType, current: u64, delta: u64) -> Result<LimitRequest, Error> {
    let desired = delta.checked_mul(ty.page_size()).and_then(|more| more.checked_add(current));
    if let Some(len) = desired.filter(|&len| !ty.allows_byte_len(len)) {
        return Err(Error::new(ErrorKind::Limit(format!("disallowing growth to {len:#x} bytes based on page size"))));
    }
    let (desired, maximum) = (desired.unwrap_or(u64::MAX), ty.max.map(|_| ty.max_byte_len()));
    Ok(LimitRequest { resource: Resource::Memory, grows: true, current, desired, maximum })
}

/// What is being called while a memory of the host's is made or grows.
const HOST_MEMORY: &str = "a memory of the host's is being made or grows";

fn enlarge(store: &mut Store, position: u32, delta: u64) -> Option<u64> {
    let before =
        store.calling_host(HOST_MEMORY, |store| store.instances.memories[position as usize].memory.grow(delta));
    let data = &mut store.instances.memories[position as usize];
    debug_assert!(data.own.as_deref().is_none_or(|own| std::ptr::eq(own, data.definition)));
    // SAFETY: the definition lives as long as the store, and no guest code runs on another thread: it isn't shared.
    unsafe {
        (*data.definition).base = data.memory.base();
        (*data.definition).byte_len.store(data.memory.byte_len(), Ordering::Relaxed);
    }
    before
}
