//! How a module's code is given back that it needs no longer: code that was replaced, and, where there is too much of all modules, first code that
//! has not been running.

use super::place::{Place, Use};
use super::{Functions, ModuleCode, compiles_at};
use crate::engine::code_memory::Reclaim;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_machine::code::space;
use std::sync::atomic::Ordering;

impl ModuleCode {
    /// Whether parts of it may be replaced while it is used.
    pub fn is_replaced(&self) -> bool {
        matches!(&self.functions, Functions::Lazy(lazy) if lazy.tiering.is_some())
    }

    /// Notes that nothing leads to what begins at an address any more, if that is a piece that may be given back.
    pub(super) fn replaced(&self, place: &mut Place, start: usize) {
        if !self.gives_back() {
            return;
        }
        if let Some(placed) = place.starting_at(start)
            && placed.use_ != Use::Kept
        {
            self.memory.replace(start..start + placed.len, self.this.clone());
        }
    }

    /// Whether code is given back at all: who was told of it is not told that it goes, and what lies in anonymous memory stays there.
    fn gives_back(&self) -> bool {
        self.watcher.get().is_none() && space::granularity() == 1
    }
}

impl Reclaim for ModuleCode {
    fn evict(&self, bytes: usize) -> (usize, usize) {
        let Functions::Lazy(lazy) = &self.functions else { return (0, 0) };
        let Some(tiering) = lazy.tiering.as_ref().filter(|_| self.gives_back()) else { return (0, 0) };
        let (mut evicted, mut functions) = (0, 0);
        for func in (0..lazy.kept.len() as u32).map(DefinedFuncIndex) {
            if evicted >= bytes {
                break;
            }
            let Some(first) = self.current(lazy, func).filter(|_| lazy.kept(func).is_none()) else { continue };
            let mut place = lazy.place.lock();
            let Some(placed) = place.starting_at(first) else { continue };
            // Code that runs counts.
            let count = tiering.profile.count(func);
            if placed.counted.replace(count) != Some(count) {
                continue;
            }
            let (slot, len) = (self.slot(lazy, func), placed.len);
            let out_of_use = compiles_at(&self.region, func) as u64;
            if slot.compare_exchange(first as u64, out_of_use, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                self.lead_references(lazy, func, out_of_use as usize);
                self.replaced(&mut place, first);
                (evicted, functions) = (evicted + len, functions + 1);
            }
        }
        (evicted, functions)
    }

    unsafe fn free(&self, start: usize) {
        let Functions::Lazy(lazy) = &self.functions else { return };
        // SAFETY: by the caller.
        let Some(freed) = (unsafe { self.give_back(lazy, start) }) else { return };
        if freed.use_ == Use::First
            && lazy.kept(freed.func).is_some()
            && let Some(tiering) = &lazy.tiering
        {
            // Only the first code went on there.
            for start in tiering.take_loops(freed.func) {
                self.replaced(&mut lazy.place.lock(), start);
            }
        }
    }
}
