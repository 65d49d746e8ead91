//! Ranges of a space that are free: whoever gives one back lets it grow together with its neighbours.

use std::collections::BTreeMap;
use std::ops::Range;

/// Free ranges, start to length. No two touch, and none is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FreeRanges(BTreeMap<usize, usize>);

/// How many ranges are looked at for one that is large enough from below.
const LOOKED_AT: usize = 64;

impl FreeRanges {
    /// One range that is free.
    pub fn of(range: Range<usize>) -> Self {
        FreeRanges(BTreeMap::from([(range.start, range.len())]))
    }

    /// Takes the upper end of the last range that is large enough. Answers where it starts.
    pub fn take_last(&mut self, len: usize) -> Option<usize> {
        let (&start, free) = self.0.iter_mut().rev().find(|(_, free)| **free >= len)?;
        *free -= len;
        let left = *free;
        if left == 0 {
            self.0.remove(&start);
        }
        Some(start + left)
    }

    /// Takes `len` bytes from one of the first ranges, from where `align` puts what could start at a place, or later. Answers where that is.
    pub fn take_first(&mut self, len: usize, align: impl Fn(usize) -> usize) -> Option<usize> {
        let fits = |(&start, &free): (&usize, &usize)| {
            let at = align(start);
            (at + len <= start + free).then_some((start..start + free, at))
        };
        let (range, at) = self.0.iter().take(LOOKED_AT).find_map(fits)?;
        self.0.remove(&range.start);
        self.insert(range.start..at);
        self.insert(at + len..range.end);
        Some(at)
    }

    /// Frees a range, none of which is free. Answers the free range that it is in now.
    pub fn give_back(&mut self, mut range: Range<usize>) -> Range<usize> {
        if let Some((&before, &free)) = self.0.range(..range.start).next_back()
            && before + free == range.start
        {
            self.0.remove(&before);
            range.start = before;
        }
        if let Some(free) = self.0.remove(&range.end) {
            range.end += free;
        }
        self.insert(range.clone());
        range
    }

    /// All of them, by their starts.
    pub fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        self.0.iter().map(|(&start, &len)| start..start + len)
    }

    fn insert(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.0.insert(range.start, range.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ranges_grow_together() {
        let mut free = FreeRanges::of(0..16);
        let starts: Vec<_> = (0..4).map(|_| free.take_last(4).unwrap()).collect();
        assert_eq!((&starts[..], free.take_last(1)), (&[12, 8, 4, 0][..], None));
        for (index, around) in [(2, 4..8), (0, 12..16), (1, 4..16), (3, 0..16)] {
            assert_eq!(free.give_back(starts[index]..starts[index] + 4), around);
        }
        assert_eq!(free, FreeRanges::of(0..16));
    }

    #[test]
    fn what_is_taken_from_below_is_aligned_and_the_rest_stays_free() {
        let mut free = FreeRanges::of(3..40);
        let align = |at: usize| at.next_multiple_of(8);
        assert_eq!(free.take_first(8, align), Some(8));
        assert_eq!(free.take_first(4, align), Some(16));
        assert_eq!(free.iter().collect::<Vec<_>>(), [3..8, 20..40]);
        assert_eq!(free.take_first(17, align), None);
        assert_eq!(free.take_first(16, align), Some(24));
        assert_eq!(free.iter().collect::<Vec<_>>(), [3..8, 20..24]);
        assert_eq!(free.give_back(8..20), 3..24);
    }
}
