//! Values of the host: objects whose death somebody wants to know.

use super::minor;
use super::old::bit;
use super::region::Region;

/// The values of the host in a heap: for each where it is, and the position that its owner knows it by.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    young: Vec<(u32, u32)>,
    old: Vec<(u32, u32)>,
    /// Positions of those that are gone.
    dead: Vec<u32>,
    /// How many the last major collection left.
    left: usize,
}

/// Below so many in the old space no major collection happens for their sake.
const WANT_FROM: usize = 4096;
/// So many may be young, or more where a collection has many roots to look at. What they lead to is larger than they are, and most die soon:
/// their memory is used again while the processor still has it at hand.
const MOST_YOUNG: usize = 4096;

impl Hosts {
    /// Whether those of the nursery are as many as may be; a collection looks at this many roots.
    #[inline]
    pub(super) fn is_full(&self, roots: u64) -> bool {
        self.young.len() >= MOST_YOUNG && self.young.len() as u64 >= roots / 16
    }

    pub(super) fn add(&mut self, at: u32, position: u32) {
        self.young.push((at, position));
    }

    /// The same of one in the old space.
    pub(super) fn add_old(&mut self, at: u32, position: u32) {
        self.old.push((at, position));
    }

    /// Sorts out the values of the nursery, which has just been emptied.
    pub(super) fn after_minor(&mut self, region: &Region) {
        for (at, position) in self.young.drain(..) {
            match minor::moved_to(region, at) {
                Some(at) => self.old.push((at, position)),
                None => self.dead.push(position),
            }
        }
    }

    /// Sorts out those of the old space, where the starts are those that were marked.
    pub(super) fn after_major(&mut self, region: &mut Region) {
        let starts = region.starts();
        self.old.retain(|&(at, position)| {
            let lives = starts[(at >> 9) as usize] & bit(at) != 0;
            if !lives {
                self.dead.push(position);
            }
            lives
        });
        self.left = self.old.len();
    }

    /// Whether those of the old space have doubled: the host's values may be large.
    pub(super) fn want_major(&self) -> bool {
        self.old.len() > (2 * self.left).max(WANT_FROM)
    }

    pub(super) fn take_dead(&mut self, positions: &mut Vec<u32>) {
        positions.append(&mut self.dead);
    }
}
