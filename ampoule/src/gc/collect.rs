//! Finding the host values and exceptions that nothing refers to: marking from the host's handles, globals, tables, and the guest's frames.

use crate::module::code_table::ModuleCode;
use crate::store::Store;
use crate::store::exception::is_exception;
use crate::store::records::instance::InstanceData;
use ampoule_core::index::GlobalIndex;
use ampoule_machine::arch::entry::{self, GuestFrames};
use ampoule_machine::code::registry;

impl Store {
    /// Collects the `externref`s and exceptions that neither the host, nor a frame, nor anything reachable refers to, dropping
    /// their values.
    pub fn gc(&mut self) {
        collect(self);
    }
}

/// Drops every host value and exception that nothing refers to.
pub(crate) fn collect(store: &mut Store) {
    let mut live: Vec<u32> = store.roots.in_flight().to_vec();
    live.extend(store.instances.globals.iter().filter_map(|global| global.reference()));
    store.instances.tables.iter().for_each(|table| table.visit_refs(|raw| live.push(raw)));
    for instance in store.instances.list.iter() {
        live.extend(instance_globals(instance));
    }
    if frames(store, &mut live).is_none() {
        // Where references are can't be told any more, so all values stay until the store ends.
        store.externrefs.collect_at = store.externrefs.live() * 2;
        store.exceptions.keep_all();
        return;
    }
    // Exceptions first, for they hold handles.
    live.iter().filter(|&&raw| is_exception(raw)).for_each(|&raw| store.exceptions.mark(raw));
    store.exceptions.sweep();
    store.roots.prune();
    live.retain(|&raw| !is_exception(raw));
    live.extend(store.roots.iter());
    live.into_iter().for_each(|raw| store.externrefs.mark(raw));
    // The values' own drop code runs last, when the store is whole again.
    let dead = store.externrefs.sweep();
    store.finalize(dead);
}

fn instance_globals(instance: &InstanceData) -> impl Iterator<Item = u32> {
    let module = instance.module().description();
    let own = module.num_imported_globals..module.globals.len();
    own.filter(|&index| module.globals[index].content.is_collected()).map(|index| {
        let cell = instance.global(GlobalIndex(index as u32));
        // SAFETY: an own global's cell is in the instance's block, and holds a reference.
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
