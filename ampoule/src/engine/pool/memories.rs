//! The memories of a pool: slots of one size, in address space that is reserved with the engine.
//!
//! ```text
//! | slot: reserved .. guard | slot: reserved .. guard | … |          rest: never used yet           |
//! ```
//!
//! A slot is **cold** until its first use, and **warm** afterwards: it keeps the image that was mapped in it. A memory takes the
//! warm slot that was last used with its image; else the one unused for longest, if more than the configured number are
//! warm and unused; else a cold one.
//!
//! Freed slots are cleaned a batch at a time. A slot that waits for that is neither warm nor in use, and nobody gets it before it
//! was cleaned; where no other slot is left, who needs one cleans it.
//!
//! Of a freed memory, the configured number of bytes stays resident: overwritten, not given back to the system. A memory of which little
//! was written keeps all of its pages, also where nothing is configured, while those of all unused slots together are within an allowance:
//! giving 16 pages back and faulting them in again takes 15 times as long as overwriting them.

use super::PoolConfig;
use crate::error::{Error, ErrorKind};
use crate::memory::image::{ImagePolicy, MemoryImage};
use crate::memory::linear::MemoryError;
use crate::memory::space::{ExtraResidence, Space, SpaceRequest, SpaceSource};
use ampoule_machine::os::mmap::{Mapping, PAGE};
use ampoule_machine::os::reservation::{Reservation, round_up_to_pages};
use ampoule_machine::os::sync::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A memory of which no more was written keeps its pages.
pub(super) const SMALL_USE_BYTES: usize = 128 << 10;

/// Beyond what is configured, so many bytes stay resident in all unused slots together.
pub(super) const SMALL_USES_BYTES: usize = 16 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct MemoryPool {
    total: u32,
    max_warm: usize,
    batch: usize,
    keep_resident: usize,
    max_byte_len: usize,
    reserved: usize,
    guard: usize,
    /// What is left of [`SMALL_USES_BYTES`].
    allowance: AtomicUsize,
    slots: Mutex<Slots>,
}

/// 1. `in_use` never exceeds the total, and counts the slots that memories own.
/// 2. Spaces in `warm` are clean.
#[derive(Debug)]
struct Slots {
    in_use: u32,
    /// Unused slots, the last used at the end.
    warm: VecDeque<Space>,
    /// Freed slots, and what is mapped in them.
    dirty: Vec<(Space, Option<Arc<MemoryImage>>)>,
    rest: Option<Mapping>,
}

/// Slots with the right image are looked at in search of one with the right length, too.
const LOOKED_AT: usize = 16;

impl MemoryPool {
    /// Slots for `total_memories`.
    ///
    /// # Errors
    /// Where the largest memory is larger than a slot, or the system has not so much address space.
    pub(super) fn new(config: &PoolConfig, reservation: u64, guard: u64) -> Result<Self, Error> {
        let most = config.max_memory_size;
        if most as u64 > reservation {
            return Err(Error::new(ErrorKind::Config(format!(
                "maximum memory size of {most:#x} bytes exceeds the configured memory reservation of {reservation:#x} bytes"
            ))));
        }
        let too_large = || Error::new(ErrorKind::Config("the pool's memories exceed all address space".to_string()));
        let rounded = |len: u64| usize::try_from(len).ok().and_then(round_up_to_pages).ok_or_else(too_large);
        let (reserved, guard) = (rounded(reservation)?.max(PAGE), rounded(guard)?);
        let slot_len = reserved.checked_add(guard).ok_or_else(too_large)?;
        let rest = match slot_len.checked_mul(config.total_memories as usize).ok_or_else(too_large)? {
            0 => None,
            total => Some(Mapping::reserve(total).map_err(|error| {
                Error::new(ErrorKind::System("reserving the address space of the pool's memories", error))
            })?),
        };
        Ok(Self {
            total: config.total_memories,
            max_warm: config.max_unused_warm_slots as usize,
            batch: config.decommit_batch_size.max(1),
            keep_resident: config.linear_memory_keep_resident,
            max_byte_len: round_up_to_pages(most).ok_or_else(too_large)?,
            reserved,
            guard,
            allowance: AtomicUsize::new(SMALL_USES_BYTES),
            slots: Mutex::new(Slots { in_use: 0, warm: VecDeque::new(), dirty: Vec::new(), rest }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock()
    }

    /// A slot for the request, in whatever state it was left, and counted as used.
    fn claim(&self, request: &SpaceRequest<'_>) -> Result<Space, MemoryError> {
        let mut slots = self.lock();
        if slots.in_use == self.total {
            return Err(MemoryError::NoneLeft(self.total));
        }
        slots.in_use += 1;
        let space = slots
            .best_warm(request, self.max_warm)
            .or_else(|| slots.cold(self.reserved, self.guard))
            .or_else(|| slots.warm.pop_front());
        let dirty = if space.is_none() { slots.dirty.pop() } else { None };
        drop(slots);
        let clean = || dirty.and_then(|(mut space, image)| self.clean(&mut space, image.as_deref()).then_some(space));
        if let Some(space) = space.or_else(clean) {
            self.leaves(&space);
            return Ok(space);
        }
        // Another thread is cleaning slots at this moment, or one was lost to an error of the system.
        let reservation = Reservation::new(self.reserved, self.guard).inspect_err(|_| self.lock().in_use -= 1)?;
        Ok(Space::new(reservation))
    }

    /// Makes a slot as new, and says whether that was possible: one that couldn't be cleaned is unmapped with all that is in it.
    fn clean(&self, space: &mut Space, image: Option<&MemoryImage>) -> bool {
        let claim = |len: usize| {
            let beyond = len - self.keep_resident;
            let claimed = self
                .allowance
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |allowance| allowance.checked_sub(beyond));
            claimed.is_ok()
        };
        let extra = ExtraResidence { most: SMALL_USE_BYTES, claim: &claim };
        space.reservation.is_intact() && space.clean(image, self.keep_resident, extra).is_ok()
    }

    /// What a clean slot has of the allowance is free again, when it gets an owner or is unmapped.
    fn leaves(&self, space: &Space) {
        let beyond = space.resident_bytes().saturating_sub(self.keep_resident);
        if beyond > 0 {
            self.allowance.fetch_add(beyond, Ordering::Relaxed);
        }
    }

    /// Puts clean slots where the next memory finds them.
    fn keep(&self, slots: &mut Slots, clean: impl Iterator<Item = Space>) -> Vec<Space> {
        slots.warm.extend(clean);
        // While slots were being cleaned, others may have been made in their place.
        let rest = slots.rest.as_ref().map_or(0, |rest| rest.len() / (self.reserved + self.guard));
        let free = (self.total - slots.in_use) as usize;
        let excess = (slots.warm.len() + rest).saturating_sub(free).min(slots.warm.len());
        slots.warm.drain(..excess).inspect(|space| self.leaves(space)).collect()
    }
}

impl Slots {
    fn best_warm(&mut self, request: &SpaceRequest<'_>, max_warm: usize) -> Option<Space> {
        let mut best = None;
        for (looked_at, (position, space)) in self.warm.iter().enumerate().rev().enumerate() {
            if best.is_some() && looked_at >= LOOKED_AT {
                break;
            }
            if space.image_id() == request.image_id() {
                let same_len = space.reservation.accessible() == request.accessible;
                if same_len || best.is_none() {
                    best = Some(position);
                }
                if same_len {
                    break;
                }
            }
        }
        match best {
            Some(position) => self.warm.remove(position),
            None if self.warm.len() > max_warm => self.warm.pop_front(),
            None => None,
        }
    }

    fn cold(&mut self, reserved: usize, guard: usize) -> Option<Space> {
        let (slot, rest) = self.rest.take()?.split(reserved + guard);
        self.rest = rest;
        Some(Space::new(Reservation::over(slot, reserved)))
    }
}

impl SpaceSource for MemoryPool {
    fn take(&self, request: SpaceRequest<'_>) -> Result<Space, MemoryError> {
        // Machine code leaves checks out by the plan that the request is from (docs/security.md, rule 2).
        assert!(
            request.reserved <= self.reserved && request.guard <= self.guard,
            "a slot is large enough for every memory"
        );
        let mut space = self.claim(&request)?;
        match space.prepare(&request) {
            Ok(()) => Ok(space),
            Err(error) => {
                // Unmapped; another takes its place when it is needed.
                drop(space);
                self.lock().in_use -= 1;
                Err(error)
            }
        }
    }

    fn give_back(&self, mut space: Space, image: Option<Arc<MemoryImage>>) {
        if self.batch == 1 {
            let cleaned = self.clean(&mut space, image.as_deref());
            let mut slots = self.lock();
            slots.in_use -= 1;
            let excess = self.keep(&mut slots, cleaned.then_some(space).into_iter());
            drop(slots);
            drop(excess);
            return;
        }
        let mut slots = self.lock();
        slots.in_use -= 1;
        slots.dirty.push((space, image));
        if slots.dirty.len() < self.batch {
            return;
        }
        let mut batch = std::mem::take(&mut slots.dirty);
        drop(slots);
        batch.retain_mut(|(space, image)| self.clean(space, image.as_deref()));
        let (spaces, images): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let excess = self.keep(&mut self.lock(), spaces.into_iter());
        drop(excess);
        // An image that goes with its last user asks for the lock.
        drop(images);
    }

    fn forget_image(&self, id: u64) {
        let mut slots = self.lock();
        let (forgotten, others) = std::mem::take(&mut slots.warm).into_iter().partition(|space| space.image_id() == id);
        slots.warm = others;
        let forgotten: VecDeque<Space> = forgotten;
        drop(slots);
        forgotten.iter().for_each(|space| self.leaves(space));
        let plain = |space: &mut Space| {
            let none = SpaceRequest { reserved: self.reserved, guard: self.guard, accessible: 0, image: None };
            space.prepare(&none).is_ok()
        };
        let plain: Vec<_> = forgotten.into_iter().filter_map(|mut space| plain(&mut space).then_some(space)).collect();
        let mut slots = self.lock();
        // Of all slots they are the first to serve another module.
        plain.into_iter().for_each(|space| slots.warm.push_front(space));
        let excess = self.keep(&mut slots, std::iter::empty());
        drop(slots);
        drop(excess);
    }

    #[cfg(test)]
    fn kept(&self) -> (usize, usize) {
        let slots = self.lock();
        (slots.warm.len(), slots.warm.iter().map(Space::resident_bytes).sum())
    }

    fn clear(&self) {
        let mut slots = self.lock();
        let (warm, dirty) = (std::mem::take(&mut slots.warm), std::mem::take(&mut slots.dirty));
        drop(slots);
        warm.iter().for_each(|space| self.leaves(space));
        drop((warm, dirty));
    }

    fn max_byte_len(&self) -> u64 {
        self.max_byte_len as u64
    }

    /// None: the largest memory fits its slot.
    fn growth_headroom(&self) -> u64 {
        0
    }

    fn image_policy(&self) -> ImagePolicy {
        if self.keep_resident < PAGE { ImagePolicy::LOST_PAGES } else { ImagePolicy::KEPT_PAGES }
    }
}
