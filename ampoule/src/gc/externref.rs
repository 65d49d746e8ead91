//! `externref`: values of the host that pass through the guest.
//!
//! A raw `externref` is a position in the store's table of host values, plus one. A value lives until no handle of the host, no
//! global or table, and no frame of the guest refers to it; `collect` finds out by marking from all of those.

use crate::error::{Error, ErrorKind};
use crate::instance::InstanceData;
use crate::module::code_table::ModuleCode;
use crate::store::Store;
use crate::store::roots::Root;
use ampoule_core::index::GlobalIndex;
use ampoule_core::types::ValType;
use ampoule_machine::arch::entry::{self, GuestFrames};
use ampoule_machine::code::registry;
use std::any::Any;
use std::sync::Arc;

/// A host value held by the host itself; never null. Cloning makes another handle to the same value. A handle may outlive
/// its store, but is of no use then.
#[derive(Clone, Debug)]
pub struct ExternRef {
    store_id: u64,
    root: Arc<Root>,
}

impl PartialEq for ExternRef {
    /// Whether two handles are the same value.
    fn eq(&self, other: &Self) -> bool {
        self.store_id == other.store_id && self.root.raw == other.root.raw
    }
}

impl ExternRef {
    /// A new reference to `value`, which is dropped once nothing refers to it, or with the store.
    ///
    /// # Errors
    /// Where the store holds 2^32 - 2 values already, the engine's pool allows no more stores with references, or its
    /// configuration none.
    pub fn new(store: &mut Store, value: Box<dyn Any + Send + Sync>) -> Result<ExternRef, Error> {
        if !store.engine.config().features.gc_types {
            return Err(Error::new(ErrorKind::Config("references to host values are not configured".to_string())));
        }
        store.claim_gc_heap()?;
        if store.externrefs.wants_collection() {
            collect(store);
        }
        let raw = store.externrefs.insert(value)?;
        Ok(ExternRef { store_id: store.id(), root: store.roots.add(raw) })
    }

    /// The value.
    ///
    /// # Errors
    /// Where the handle is of another store.
    pub fn data<'a>(&self, store: &'a Store) -> Result<&'a (dyn Any + Send + Sync), Error> {
        store.check_owner(self.store_id)?;
        Ok(store.externrefs.get(self.root.raw).expect("a rooted value is alive"))
    }

    /// The reference as guest code holds it. It stays valid while this handle, or anything in the store, keeps it alive.
    ///
    /// # Errors
    /// Where the handle is of another store.
    pub fn to_raw(&self, store: &Store) -> Result<u32, Error> {
        store.check_owner(self.store_id)?;
        Ok(self.root.raw)
    }

    /// A handle for a raw reference; `None` for null, and for what is no reference of this store.
    pub fn from_raw(store: &mut Store, raw: u32) -> Option<ExternRef> {
        store.externrefs.get(raw)?;
        Some(ExternRef { store_id: store.id(), root: store.roots.add(raw) })
    }

    /// The handle in two words, for C: the store's id and the handle's own.
    pub fn into_words(self) -> (u64, *const ()) {
        (self.store_id, Arc::into_raw(self.root).cast())
    }

    /// The handle from its two words.
    ///
    /// # Safety
    /// The words come from [`ExternRef::into_words`], and this is the only handle made from them.
    pub unsafe fn from_words(store_id: u64, word: *const ()) -> ExternRef {
        // SAFETY: by the caller.
        ExternRef { store_id, root: unsafe { Arc::from_raw(word.cast::<Root>()) } }
    }

    /// Another handle like the one with these words, which stays as it is.
    ///
    /// # Safety
    /// The words come from [`ExternRef::into_words`], and that handle was not taken back.
    pub unsafe fn clone_words(store_id: u64, word: *const ()) -> ExternRef {
        // SAFETY: the count is raised before the handle that will lower it is made.
        unsafe {
            Arc::increment_strong_count(word.cast::<Root>());
            ExternRef::from_words(store_id, word)
        }
    }
}

/// The host values of one store.
#[derive(Default)]
pub(crate) struct ExternRefs {
    slots: Vec<Slot>,
    /// Free positions.
    free: Vec<u32>,
    collect_at: usize,
}

enum Slot {
    Free,
    Used { value: Box<dyn Any + Send + Sync>, marked: bool },
}

/// Values below which a store is not collected by itself.
const COLLECT_FROM: usize = 4096;

impl ExternRefs {
    fn live(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn wants_collection(&self) -> bool {
        self.live() >= self.collect_at.max(COLLECT_FROM)
    }

    fn insert(&mut self, value: Box<dyn Any + Send + Sync>) -> Result<u32, Error> {
        let slot = Slot::Used { value, marked: false };
        if let Some(position) = self.free.pop() {
            self.slots[position as usize] = slot;
            return Ok(position + 1);
        }
        let raw = u32::try_from(self.slots.len() + 1)
            .map_err(|_| Error::new(ErrorKind::Limit("too many externref values in a store".to_string())))?;
        self.slots.push(slot);
        Ok(raw)
    }

    fn get(&self, raw: u32) -> Option<&(dyn Any + Send + Sync)> {
        match self.slots.get(raw.checked_sub(1)? as usize)? {
            Slot::Used { value, .. } => Some(&**value),
            Slot::Free => None,
        }
    }

    fn mark(&mut self, raw: u32) {
        let Some(position) = raw.checked_sub(1) else { return };
        if let Some(Slot::Used { marked, .. }) = self.slots.get_mut(position as usize) {
            *marked = true;
        }
    }

    /// Takes out what is not marked.
    fn sweep(&mut self) -> Vec<Box<dyn Any + Send + Sync>> {
        let mut dead = Vec::new();
        for (position, slot) in self.slots.iter_mut().enumerate() {
            match slot {
                Slot::Used { marked, .. } if *marked => *marked = false,
                Slot::Used { .. } => {
                    let Slot::Used { value, .. } = std::mem::replace(slot, Slot::Free) else {
                        unreachable!("just matched")
                    };
                    dead.push(value);
                    self.free.push(position as u32);
                }
                Slot::Free => {}
            }
        }
        self.collect_at = self.live() * 2;
        dead
    }
}

/// Drops every host value that nothing refers to.
pub(crate) fn collect(store: &mut Store) {
    // First, for exceptions hold handles.
    store.exceptions.prune();
    store.roots.prune();
    let mut live: Vec<u32> = store.roots.iter().collect();
    live.extend(store.instances.globals.iter().filter_map(|global| global.externref()));
    store.instances.tables.iter().for_each(|table| table.visit_externrefs(|raw| live.push(raw)));
    for instance in &store.instances.list {
        live.extend(instance_globals(instance));
    }
    if frames(store, &mut live).is_none() {
        // Where references are can't be told any more, so all values stay until the store ends.
        store.externrefs.collect_at = store.externrefs.live() * 2;
        return;
    }
    live.into_iter().for_each(|raw| store.externrefs.mark(raw));
    // The values' own drop code runs last, when the store is whole again.
    drop(store.externrefs.sweep());
}

fn instance_globals(instance: &InstanceData) -> impl Iterator<Item = u32> {
    let module = instance.module().description();
    let own = module.num_imported_globals..module.globals.len();
    own.filter(|&index| module.globals[index].content == ValType::EXTERNREF).map(|index| {
        let cell = instance.global(GlobalIndex(index as u32));
        // SAFETY: an own global's cell is in the instance's block, and holds an `externref`.
        unsafe { cell.cast::<u32>().read() }
    })
}

/// The references in the guest's frames, by their stack maps. `None` where those were in an artifact that is damaged by now.
fn frames(store: &Store, live: &mut Vec<u32>) -> Option<()> {
    // SAFETY: a collection runs in the host, which the guest, if one is running, has called through the exit that `exit_fp` tells of.
    let running = unsafe { GuestFrames::innermost(&store.vm) };
    // SAFETY: those below an exit, and of tasks that wait, are suspended until the collection is over.
    let walks = running.into_iter().chain(store.waiting_frames()).map(|frames| unsafe { entry::all_frames(frames) });
    for frame in walks.flatten() {
        // Thunks keep no references across calls.
        let Some(code) = registry::lookup::<ModuleCode>(frame.pc) else { continue };
        // A call may be the last instruction of its function: the call is looked up, not where it returns to.
        let Some((func, offset)) = code.find(frame.pc - 1) else { continue };
        let info = code.info(func)?;
        let Some(map) = info.stack_map_at(offset + 1) else { continue };
        let stack_pointer = frame.fp - map.frame_size as usize;
        for &slot in &map.slots {
            // SAFETY: the frame is suspended at this call, and the compiler says that the slot holds a reference.
            live.push(unsafe { ((stack_pointer + slot as usize) as *const u32).read() });
        }
    }
    Some(())
}
