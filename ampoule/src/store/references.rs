//! Where a store's references to collected objects are, other than in the objects: globals, tables, and the guest's frames. The host's handles
//! are [`super::roots`].
//!
//! The collector moves objects, so it is told of places, and not of what is there.

use super::Store;
use crate::module::code_table::ModuleCode;
use ampoule_core::index::GlobalIndex;
use ampoule_machine::arch::entry::{self, GuestFrames};
use ampoule_machine::code::registry;

/// Places in frames. They are good while no guest of the store runs.
pub(super) struct Slots(Vec<*mut u32>);

impl Slots {
    pub(super) fn visit(&self, visit: &mut dyn FnMut(*mut u32)) {
        self.0.iter().for_each(|&slot| visit(slot));
    }
}

/// The references in the guest's frames, by their stack maps. `None` where those were in an artifact that is damaged by now.
pub(super) fn frames(store: &Store) -> Option<Slots> {
    let mut slots = Vec::new();
    // SAFETY: a collection runs in the host, which the guest, if one is running, has called through the exit that `exit_fp` tells of.
    let running = unsafe { GuestFrames::innermost(&store.vm) };
    // SAFETY: those below an exit, and of tasks that wait, are suspended until the collection is over.
    let walks = running.into_iter().chain(store.waiting_frames()).map(|frames| unsafe { entry::all_frames(frames) });
    for frame in walks.flatten() {
        // Thunks keep no references across calls that collect.
        let Some(code) = registry::lookup::<ModuleCode>(frame.pc) else { continue };
        // A call may be the last instruction of its function: the call is looked up, not where it returns to.
        let Some((func, offset)) = code.find(frame.pc - 1) else { continue };
        let info = code.info(func)?;
        let Some(map) = info.stack_map_at(offset + 1) else { continue };
        let stack_pointer = frame.fp - map.frame_size as usize;
        slots.extend(map.slots.iter().map(|&slot| (stack_pointer + slot as usize) as *mut u32));
    }
    Some(Slots(slots))
}

/// Visits the references in globals and tables.
pub(super) fn visit(store: &mut Store, visit: &mut dyn FnMut(*mut u32)) {
    for global in store.instances.globals.iter_mut().filter(|global| global.ty.content.is_collected()) {
        visit((&raw mut global.vm).cast());
    }
    for table in store.instances.tables.iter_mut().filter(|table| !table.ty.element.is_func()) {
        table.elements.visit_nonzero(|word| visit((word as *mut u64).cast()));
    }
    for instance in store.instances.list.iter_mut() {
        if let Some(elems) = &mut instance.made_elems {
            elems.values_mut().flatten().for_each(|reference| visit(reference));
        }
        let module = instance.module().description();
        let own = module.num_imported_globals..module.globals.len();
        for index in own.filter(|&index| module.globals[index].content.is_collected()) {
            visit(instance.global(GlobalIndex(index as u32)).cast());
        }
    }
}
