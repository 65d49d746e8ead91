//! Marking: which objects of the old space something refers to.
//!
//! Nothing here is recursive. An object is marked when it is reached, and then waits in a list until its references are followed. That list is
//! bounded: what does not fit is found again among the marked objects afterwards. Long arrays wait in a list of their own, and
//! are followed in portions.

use super::object::{Refs, Types};
use super::old::{LINE, Old, bit};
use super::region::{OLD_START, Region};
use super::{Interrupted, Owner, corrupted};

/// Objects that are loaded ahead of being looked at.
const AHEAD: usize = 16;
/// Elements of an array that are followed at once.
const PORTION: u32 = 1024;
/// So many objects are followed between two looks at whether to go on: some tens of microseconds.
const BETWEEN_CHECKS: u32 = 4096;

/// Lists for marking, kept for the next time.
#[derive(Debug, Default)]
pub(super) struct MarkLists {
    /// Objects that are marked and whose references are to be followed: at most [`most_waiting`] at a time.
    waiting: Vec<u32>,
    /// Arrays with their elements that are to be followed, from one offset to another. Each is longer than [`PORTION`] and
    /// is here once at a time.
    arrays: Vec<(u32, u32)>,
}

impl MarkLists {
    /// Gives up what was needed once.
    pub(super) fn shrink(&mut self) {
        self.waiting = Vec::new();
        self.arrays = Vec::new();
    }
}

/// Of a space of so many bytes, so many objects wait at most. Then a space that only has objects of the smallest size, 8 bytes, is
/// looked through 8 times at most for those that did not fit: each time at least as many are followed.
fn most_waiting(bytes: u32) -> usize {
    (bytes as usize / 64).max(1 << 12)
}

/// A mark that runs.
pub(super) struct Marker<'a> {
    region: &'a mut Region,
    old: &'a mut Old,
    types: Types,
    lists: &'a mut MarkLists,
    /// Objects that were reached and are not marked yet; zero where there is none.
    reached: [u32; AHEAD],
    next_reached: usize,
    /// Taken from `waiting`, in order.
    ahead: [u32; AHEAD],
    ahead_start: usize,
    ahead_len: usize,
    most_waiting: usize,
    /// Whether a marked object was not put into `waiting`.
    overflowed: bool,
    until_check: u32,
    live_bytes: u64,
}

impl<'a> Marker<'a> {
    pub(super) fn new(region: &'a mut Region, old: &'a mut Old, types: Types, lists: &'a mut MarkLists) -> Self {
        lists.waiting.clear();
        lists.arrays.clear();
        old.begin_marking();
        let words = (OLD_START >> 9) as usize..(region.old_written >> 9) as usize;
        region.marks()[words].fill(0);
        let most_waiting = most_waiting(old.end() - OLD_START);
        let (until_check, live_bytes) = (BETWEEN_CHECKS, 0);
        let (ahead, ahead_start, ahead_len) = ([0; AHEAD], 0, 0);
        let (reached, next_reached) = ([0; AHEAD], 0);
        Self {
            reached,
            next_reached,
            region,
            old,
            types,
            lists,
            ahead,
            ahead_start,
            ahead_len,
            most_waiting,
            overflowed: false,
            until_check,
            live_bytes,
        }
    }

    /// For tests of what happens where the list is full.
    #[cfg(test)]
    pub(super) fn with_most_waiting(self, most_waiting: usize) -> Self {
        Self { most_waiting, ..self }
    }

    /// Marks all that is reachable, and answers how many bytes that is.
    ///
    /// # Errors
    /// Where the owner doesn't let it finish.
    pub(super) fn run(mut self, owner: &mut dyn Owner) -> Result<u64, Interrupted> {
        let this = &mut self;
        owner.visit_all(&mut |slot| {
            // SAFETY: by the owner, the slot is a reference's.
            this.reach(unsafe { slot.read() });
        });
        self.follow_all(owner)?;
        let overflowed = self.overflowed;
        while std::mem::take(&mut self.overflowed) {
            self.follow_marked(owner)?;
        }
        if overflowed {
            self.live_bytes = self.marked_bytes();
        }
        Ok(self.live_bytes)
    }

    /// Marks the object behind a reference.
    #[inline(always)]
    fn reach(&mut self, reference: u32) {
        if reference == 0 || reference & 1 != 0 {
            return;
        }
        if !self.old.may_hold(reference) {
            corrupted("a reference leads to no object", reference);
        }
        self.region.prefetch_mark(reference);
        let reached = std::mem::replace(&mut self.reached[self.next_reached], reference);
        self.next_reached = (self.next_reached + 1) % AHEAD;
        if reached != 0 {
            self.mark(reached);
        }
    }

    #[inline(always)]
    fn mark(&mut self, reference: u32) {
        let word = &mut self.region.marks()[(reference >> 9) as usize];
        if *word & bit(reference) != 0 {
            return;
        }
        *word |= bit(reference);
        if self.lists.waiting.len() < self.most_waiting {
            self.lists.waiting.push(reference);
        } else {
            self.overflowed = true;
        }
    }

    fn follow_all(&mut self, owner: &mut dyn Owner) -> Result<(), Interrupted> {
        loop {
            while let Some(at) = self.next() {
                self.follow(at);
                self.count_down(1, owner)?;
            }
            let Some((from, to)) = self.lists.arrays.pop() else { return Ok(()) };
            let end = to.min(from.saturating_add(4 * PORTION));
            if end < to {
                self.lists.arrays.push((end, to));
            }
            self.reach_elements(from, end);
            self.count_down(PORTION, owner)?;
        }
    }

    /// The next object whose references are to be followed. It was announced to the processor a while ago.
    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        while self.ahead_len < AHEAD
            && let Some(at) = self.lists.waiting.pop()
        {
            // Eight objects of a kind lie in a few lines of the cache: some begin in one and have their references in the next.
            self.region.prefetch(at);
            self.region.prefetch(at + 16);
            self.ahead[(self.ahead_start + self.ahead_len) % AHEAD] = at;
            self.ahead_len += 1;
        }
        if self.ahead_len == 0 {
            for index in 0..AHEAD {
                let reached = std::mem::take(&mut self.reached[index]);
                if reached != 0 {
                    self.mark(reached);
                }
            }
            return self.lists.waiting.pop();
        }
        let at = self.ahead[self.ahead_start];
        self.ahead_start = (self.ahead_start + 1) % AHEAD;
        self.ahead_len -= 1;
        Some(at)
    }

    #[inline(always)]
    fn follow(&mut self, at: u32) {
        let types = self.types;
        let object = types.object(self.region, at);
        self.live_bytes += u64::from(object.size);
        if object.size > LINE {
            self.old.mark_span(at, object.size);
        }
        match object.refs {
            Refs::None => {}
            Refs::Fields(offsets) => {
                for offset in offsets {
                    let reference = self.region.read(at + offset);
                    self.reach(reference);
                }
            }
            Refs::Elements(from, to) if to - from > 4 * PORTION => self.lists.arrays.push((from, to)),
            Refs::Elements(from, to) => self.reach_elements(from, to),
        }
    }

    fn reach_elements(&mut self, from: u32, to: u32) {
        for slot in (from..to).step_by(4) {
            let reference = self.region.read(slot);
            self.reach(reference);
        }
    }

    #[inline(always)]
    fn count_down(&mut self, done: u32, owner: &mut dyn Owner) -> Result<(), Interrupted> {
        self.until_check = self.until_check.saturating_sub(done);
        if self.until_check == 0 {
            self.until_check = BETWEEN_CHECKS;
            if owner.is_interrupted() {
                return Err(Interrupted);
            }
        }
        Ok(())
    }

    /// Follows the references of all marked objects, and of those that they lead to.
    fn follow_marked(&mut self, owner: &mut dyn Owner) -> Result<(), Interrupted> {
        for word in OLD_START >> 9..self.region.old_written >> 9 {
            let mut bits = self.region.marks()[word as usize];
            while bits != 0 {
                self.follow((word << 9) + (bits.trailing_zeros() << 3));
                bits &= bits - 1;
                self.count_down(1, owner)?;
            }
            self.follow_all(owner)?;
        }
        Ok(())
    }

    fn marked_bytes(&mut self) -> u64 {
        let mut sum = 0;
        for word in OLD_START >> 9..self.region.old_written >> 9 {
            let mut bits = self.region.marks()[word as usize];
            while bits != 0 {
                let at = (word << 9) + (bits.trailing_zeros() << 3);
                sum += u64::from(self.types.object(self.region, at).size);
                bits &= bits - 1;
            }
        }
        sum
    }
}
