//! Looking through a whole heap for damage: tests do it, and every collection under stress.

use super::object::{Refs, Types};
use super::region::{CARD_LOG2, NURSERY_START, OLD_START};
use super::{Bump, Heap, Owner};
use std::collections::HashSet;

impl Heap {
    /// Checks that all objects are whole, that every reference leads to one, and that old ones which refer to young ones are in written cards.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn verify(&mut self, bump: &Bump, owner: &mut dyn Owner) -> Result<(), String> {
        let types: Types = self.types;
        let mut young = HashSet::new();
        let mut slots = Vec::new();
        let mut at = NURSERY_START;
        while at < bump.top {
            let object = types.object(&self.region, at);
            young.insert(at);
            slots.extend(slots_of(at, object.refs).map(|slot| (at, slot)));
            at += object.size;
        }
        if at != bump.top {
            return Err(format!("objects of the nursery end at {at:#x}, not at {:#x}", bump.top));
        }
        let mut end = OLD_START;
        for word in OLD_START >> 9..self.region.old_written >> 9 {
            let mut bits = self.region.starts()[word as usize];
            while bits != 0 {
                let at = (word << 9) + (bits.trailing_zeros() << 3);
                bits &= bits - 1;
                let object = types.object(&self.region, at);
                if at < end {
                    return Err(format!("the object at {at:#x} begins before {end:#x}, where another one ends"));
                }
                if !self.old.is_used(at) {
                    return Err(format!("the object at {at:#x} is in a free block"));
                }
                end = at + object.size;
                if (at ^ (end - 1)) >= super::BLOCK && !self.old.is_large(at) {
                    return Err(format!("the object at {at:#x} leaves its block"));
                }
                slots.extend(slots_of(at, object.refs).map(|slot| (at, slot)));
            }
        }
        for (object, slot) in slots {
            let reference = self.region.read(slot);
            self.check_reference(reference, &young).map_err(|what| format!("{object:#x} at {slot:#x}: {what}"))?;
            let is_array = matches!(types.object(&self.region, object).refs, Refs::Elements(..));
            let card = (if is_array { slot } else { object }) >> CARD_LOG2;
            if object >= OLD_START && young.contains(&reference) && self.region.cards()[card as usize] == 0 {
                return Err(format!("{object:#x} at {slot:#x}: a young object, but the card is clean"));
            }
        }
        let mut result = Ok(());
        owner.visit_all(&mut |slot| {
            // SAFETY: by the owner, the slot is a reference's.
            let reference = unsafe { slot.read() };
            let checked = self.check_reference(reference, &young).map_err(|what| format!("a root: {what}"));
            result = std::mem::replace(&mut result, Ok(())).and(checked);
        });
        result
    }

    fn check_reference(&mut self, reference: u32, young: &HashSet<u32>) -> Result<(), String> {
        let mut is_object = || {
            let old = reference >= OLD_START && reference.is_multiple_of(8);
            young.contains(&reference)
                || old && self.region.starts()[(reference >> 9) as usize] & super::old::bit(reference) != 0
        };
        if reference == 0 || reference & 1 != 0 || is_object() {
            Ok(())
        } else {
            Err(format!("{reference:#x} leads to no object"))
        }
    }
}

/// Where the references of an object are.
fn slots_of(at: u32, refs: Refs<'_>) -> Box<dyn Iterator<Item = u32> + '_> {
    match refs {
        Refs::None => Box::new(std::iter::empty()),
        Refs::Fields(offsets) => Box::new(offsets.iter().map(move |offset| at + offset)),
        Refs::Elements(from, to) => Box::new((from..to).step_by(4)),
    }
}
