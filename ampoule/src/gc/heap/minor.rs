//! Minor collections: every young object that something refers to moves to the old space, and the nursery is empty.
//!
//! Roots are the owner's, and the references in cards that were written to since the last collection. As no young object is left
//! afterwards, no old one refers to any, and all cards are clean again. The work is bounded by the bytes of the nursery, the roots
//! and the cards, so nobody is asked in between whether to go on; it cannot fail, for as many blocks are free as it can fill. Roots that there
//! are many of, in tables, globals and frames, are all looked at: the nursery is larger for their sake, see `BYTES_PER_ROOT`.

use super::object::{Refs, Types};
use super::old::Old;
use super::region::{CARD_LOG2, NURSERY_START, OLD_START, Region};
use super::{Owner, corrupted};

/// Set in the first word of an object that has moved; the rest of the word is where to, in units of 8 bytes. No type word has it.
const MOVED: u32 = 1 << 31;

/// A minor collection that runs.
pub(super) struct Minor<'a> {
    region: &'a mut Region,
    old: &'a mut Old,
    types: Types,
    /// Where the objects of the nursery end.
    top: u32,
    /// Objects that have moved and whose references have not been followed. Each comes here once, so there are at most as many as objects
    /// fit into the nursery: `NURSERY_MOST / 8`.
    pending: &'a mut Vec<u32>,
}

impl<'a> Minor<'a> {
    pub(super) fn new(
        region: &'a mut Region,
        old: &'a mut Old,
        types: Types,
        top: u32,
        pending: &'a mut Vec<u32>,
    ) -> Self {
        pending.clear();
        Self { region, old, types, top, pending }
    }

    /// Moves all that is reachable. Answers what [`Owner::visit_young`] does.
    pub(super) fn run(mut self, owner: &mut dyn Owner) -> u64 {
        let this = &mut self;
        let cost = owner.visit_young(&mut |slot| {
            // SAFETY: by the owner, the slot is a reference's, which nobody else uses now.
            unsafe { slot.write(this.moved(slot.read())) }
        });
        self.follow_pending();
        self.visit_cards();
        self.follow_pending();
        cost
    }

    /// What a reference is after the collection.
    #[inline(always)]
    fn moved(&mut self, reference: u32) -> u32 {
        // Not null, an integer, or old.
        let is_young = reference & 7 == 0 && reference.wrapping_sub(NURSERY_START) < self.top - NURSERY_START;
        if is_young { self.move_object(reference) } else { reference }
    }

    #[inline]
    fn move_object(&mut self, from: u32) -> u32 {
        let word = self.region.read(from);
        if word & MOVED != 0 {
            return word << 3;
        }
        let object = self.types.object(self.region, from);
        if object.size > self.top - from {
            corrupted("an object leads out of the nursery", from);
        }
        let to = self.old.allocate(self.region, self.types, object.size);
        self.region.copy(from, to, object.size);
        self.region.write(from, MOVED | to >> 3);
        if !matches!(object.refs, Refs::None) {
            self.pending.push(to);
        }
        to
    }

    fn follow_pending(&mut self) {
        while let Some(at) = self.pending.pop() {
            let types = self.types;
            match types.object(self.region, at).refs {
                Refs::None => {}
                Refs::Fields(offsets) => offsets.iter().for_each(|offset| self.visit(at + offset)),
                Refs::Elements(from, to) => self.visit_elements(from, to),
            }
        }
    }

    #[inline(always)]
    fn visit(&mut self, slot: u32) {
        let before = self.region.read(slot);
        let after = self.moved(before);
        if after != before {
            self.region.write(slot, after);
        }
    }

    fn visit_elements(&mut self, from: u32, to: u32) {
        for slot in (from..to).step_by(4) {
            self.visit(slot);
        }
    }

    /// Follows the references of cards that were written to, and cleans them.
    fn visit_cards(&mut self) {
        const STEP: usize = 64;
        let (first, end) = ((OLD_START >> CARD_LOG2) as usize, (self.region.old_written >> CARD_LOG2) as usize);
        for start in (first..end).step_by(STEP) {
            // Whole blocks of 64 cards: most are clean.
            let cards = &mut self.region.cards()[start..start + STEP];
            let cards: &mut [u8; STEP] = cards.try_into().expect("a block has so many cards");
            if *cards == [0; STEP] {
                continue;
            }
            let written = std::mem::replace(cards, [0; STEP]);
            for (index, _) in written.iter().enumerate().filter(|(_, card)| **card != 0) {
                self.visit_card((start + index) as u32);
            }
        }
    }

    /// Of a struct the card of its start was written to, of an array that of the element.
    fn visit_card(&mut self, card: u32) {
        let (start, end) = (card << CARD_LOG2, (card + 1) << CARD_LOG2);
        let mut bits = self.region.starts()[card as usize];
        let types = self.types;
        if bits & 1 == 0
            && let Some(at) = self.old.object_before(self.region, start)
            && let Refs::Elements(from, to) = types.object(self.region, at).refs
        {
            self.visit_elements(from.max(start), to.min(end));
        }
        while bits != 0 {
            let at = start + (bits.trailing_zeros() << 3);
            bits &= bits - 1;
            match types.object(self.region, at).refs {
                Refs::None => {}
                Refs::Fields(offsets) => offsets.iter().for_each(|offset| self.visit(at + offset)),
                Refs::Elements(from, to) => self.visit_elements(from, to.min(end)),
            }
        }
    }
}

/// Where an object of the nursery is after a collection; `None` where nothing referred to it.
pub(super) fn moved_to(region: &Region, at: u32) -> Option<u32> {
    let word = region.read(at);
    (word & MOVED != 0).then_some(word << 3)
}
