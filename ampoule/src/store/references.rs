//! Where a store's references to collected objects are, other than in the objects: globals, tables, and the guest's frames. The host's handles
//! are [`super::roots`].
//!
//! The collector moves objects, so it is told of places, and not of what is there.

use super::Store;
use crate::module::code_table::ModuleCode;
use ampoule_core::index::GlobalIndex;
use ampoule_machine::arch::entry::{self, GuestFrames};
use ampoule_machine::code::registry;
use std::ops::Range;

/// Places in frames. They are good while no guest of the store runs.
#[derive(Default)]
pub(super) struct Slots {
    places: Vec<*mut u32>,
    /// How many frames there are.
    frames: u64,
}

impl Slots {
    /// Visits the references there. What that cost is answered, in references.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(*mut u32)) -> u64 {
        self.places.iter().for_each(|&slot| visit(slot));
        self.places.len() as u64 + self.frames * FRAME
    }
}

/// As much as this many references cost to look through a frame, and an instance.
const FRAME: u64 = 8;
const INSTANCE: u64 = 32;

/// What is known of the calls that frames wait in. A guest that has recursed deeply waits in few of them.
struct Calls {
    /// By their addresses; those of the same place replace each other.
    known: [Call; Calls::KNOWN],
    /// Where in frames references are, for each of `known` a range.
    offsets: Vec<u32>,
}

#[derive(Clone, Default)]
struct Call {
    pc: usize,
    frame_size: u32,
    offsets: Range<usize>,
}

impl Calls {
    const KNOWN: usize = 64;

    fn new() -> Self {
        Calls { known: [const { Call { pc: 0, frame_size: 0, offsets: 0..0 } }; Calls::KNOWN], offsets: Vec::new() }
    }

    /// How large the frame is that returns to `pc`, and where in it references are. `None` where that was in an artifact that is damaged by now.
    fn find(&mut self, pc: usize) -> Option<(usize, &[u32])> {
        // Calls are a few bytes apart.
        let known = &mut self.known[(pc >> 2 ^ pc >> 8) % Self::KNOWN];
        if known.pc != pc {
            *known = Call { pc, ..Call::default() };
            // Thunks keep no references across calls that collect.
            if let Some(code) = registry::lookup::<ModuleCode>(pc)
                // A call may be the last instruction of its function: the call is looked up, not where it returns to.
                && let Some(found) = code.find(pc - 1)
                && let Some(map) = found.info?.stack_map_at(found.offset + 1)
            {
                let start = self.offsets.len();
                self.offsets.extend(&map.slots[..]);
                (known.frame_size, known.offsets) = (map.frame_size, start..self.offsets.len());
            }
        }
        Some((known.frame_size as usize, &self.offsets[known.offsets.clone()]))
    }
}

/// The references in the guest's frames, by their stack maps. `None` where those were in an artifact that is damaged by now.
pub(super) fn frames(store: &Store) -> Option<Slots> {
    let (mut slots, mut calls) = (Slots::default(), Calls::new());
    // SAFETY: a collection runs in the host, which the guest, if one is running, has called through the exit that `exit_fp` tells of.
    let running = unsafe { GuestFrames::innermost(&store.vm) };
    // SAFETY: those below an exit, and of tasks that wait, are suspended until the collection is over.
    let walks = running.into_iter().chain(store.waiting_frames()).map(|frames| unsafe { entry::all_frames(frames) });
    for frame in walks.flatten() {
        let (frame_size, offsets) = calls.find(frame.pc)?;
        let stack_pointer = frame.fp - frame_size;
        slots.places.extend(offsets.iter().map(|&slot| (stack_pointer + slot as usize) as *mut u32));
        slots.frames += 1;
    }
    Some(slots)
}

/// Visits the references in globals and tables. What that cost is answered, in references.
pub(super) fn visit(store: &mut Store, visit: &mut dyn FnMut(*mut u32)) -> u64 {
    let mut visited = 0;
    let mut visit = |slot| {
        visited += 1;
        visit(slot);
    };
    let mut unseen = store.instances.globals.len() as u64;
    for global in store.instances.globals.iter_mut().filter(|global| global.ty.content.is_collected()) {
        visit((&raw mut global.vm).cast());
    }
    for table in store.instances.tables.iter_mut().filter(|table| !table.ty.element.is_func()) {
        table.elements.visit_nonzero(|word| visit((word as *mut u64).cast()));
        unseen += table.elements.len() as u64 / 64;
    }
    for instance in store.instances.list.iter_mut().flatten() {
        if let Some(elems) = &mut instance.made_elems {
            elems.values_mut().flatten().for_each(|reference| visit(reference));
        }
        let module = instance.module().description();
        let own = module.num_imported_globals..module.globals.len();
        unseen += INSTANCE + own.len() as u64;
        for index in own.filter(|&index| module.globals[index].content.is_collected()) {
            visit(instance.global(GlobalIndex(index as u32)).cast());
        }
    }
    visited + unseen
}
