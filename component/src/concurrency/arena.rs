//! Records with numbers.

use crate::room::Room;
use ampoule::{Budget, Error};
use std::ops::{Index, IndexMut};

/// No record.
pub(crate) const NONE: u32 = u32::MAX;

/// Bits of a number that tell the place; the rest counts how often the place was used, so that the number of a record that is gone is
/// not soon another's.
const PLACE_BITS: u32 = 20;
const PLACES: u32 = (1 << PLACE_BITS) - 1;

/// Records of one kind, up to a bound.
pub(crate) struct Arena<T> {
    entries: Vec<Entry<T>>,
    /// The first place that is free; [`NONE`] where there is none.
    free: u32,
    len: usize,
    most: usize,
    /// What the records are called in messages.
    what: &'static str,
    /// Bytes that a record keeps beside itself, at most or about.
    beside: usize,
    room: Room,
}

struct Entry<T> {
    /// How often the place was used.
    uses: u32,
    state: State<T>,
}

enum State<T> {
    /// The next place that is free.
    Free(u32),
    Taken(T),
}

impl<T> Arena<T> {
    /// One without records, for at most so many.
    pub(crate) const fn new(what: &'static str, most: usize) -> Self {
        assert!(most < PLACES as usize, "there are places for all");
        Self { entries: Vec::new(), free: NONE, len: 0, most, what, beside: 0, room: Room::UNCOUNTED }
    }

    /// The same, where each record counts so many bytes for what it keeps beside itself.
    pub(crate) const fn with_more(what: &'static str, most: usize, beside: usize) -> Self {
        let mut arena = Self::new(what, most);
        arena.beside = beside;
        arena
    }

    /// Has the records count in a budget. Those that are there stay, also where it has no room for them.
    pub(crate) fn count_in(&mut self, budget: &Budget) {
        let each = self.each();
        self.room.count_in(budget, &self.entries, each);
    }

    fn each(&self) -> usize {
        size_of::<Entry<T>>() + self.beside
    }

    /// Adds a record.
    ///
    /// # Errors
    /// Where there are too many, or the store's budget is used up.
    #[inline]
    pub(crate) fn insert(&mut self, record: T) -> Result<u32, Error> {
        if self.free != NONE {
            let place = self.free;
            let entry = &mut self.entries[place as usize];
            let State::Free(next) = entry.state else { unreachable!("a free place is free") };
            self.free = next;
            entry.state = State::Taken(record);
            self.len += 1;
            return Ok(place | entry.uses << PLACE_BITS);
        }
        if self.len >= self.most {
            return Err(full(self.what, self.most));
        }
        let each = self.each();
        self.room.make(&mut self.entries, each)?;
        self.entries.push(Entry { uses: 0, state: State::Taken(record) });
        self.len += 1;
        Ok(self.entries.len() as u32 - 1)
    }

    /// The record of this number, while it is there.
    #[inline]
    pub(crate) fn get(&mut self, id: u32) -> Option<&mut T> {
        match self.entries.get_mut((id & PLACES) as usize) {
            Some(Entry { uses, state: State::Taken(record) }) if *uses == id >> PLACE_BITS => Some(record),
            _ => None,
        }
    }

    /// Takes a record out; `None` where it is gone.
    #[inline]
    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        self.get(id)?;
        let place = id & PLACES;
        let entry = &mut self.entries[place as usize];
        entry.uses = (entry.uses + 1) & (u32::MAX >> PLACE_BITS);
        // The last number of the last place would be `NONE`, which the bound excludes.
        let State::Taken(record) = std::mem::replace(&mut entry.state, State::Free(self.free)) else {
            unreachable!("it is there")
        };
        self.free = place;
        self.len -= 1;
        Some(record)
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The numbers of the records for which `is` holds.
    pub(crate) fn find_all(&self, is: impl Fn(&T) -> bool) -> Vec<u32> {
        let entries = self.entries.iter().enumerate();
        let found = entries.filter_map(|(place, entry)| match &entry.state {
            State::Taken(record) if is(record) => Some(place as u32 | entry.uses << PLACE_BITS),
            _ => None,
        });
        found.collect()
    }

    /// Takes all records out.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        self.find_all(|_| true).into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// The records.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().filter_map(|entry| match &mut entry.state {
            State::Taken(record) => Some(record),
            State::Free(_) => None,
        })
    }

    /// The number of the first record for which `is` holds.
    pub(crate) fn find(&mut self, mut is: impl FnMut(&mut T) -> bool) -> Option<u32> {
        let mut entries = self.entries.iter_mut().enumerate();
        entries.find_map(|(place, entry)| match &mut entry.state {
            State::Taken(record) => is(record).then_some(place as u32 | entry.uses << PLACE_BITS),
            State::Free(_) => None,
        })
    }
}

/// The error where there are as many as are allowed.
#[cold]
pub(crate) fn full(what: &str, most: usize) -> Error {
    Error::message(format!("too many {what} of components in one store: at most {most} are allowed"))
}

// A number that a record holds of another is that of one that is there: who removes a record takes its numbers away first.
impl<T> Index<u32> for Arena<T> {
    type Output = T;

    #[inline]
    fn index(&self, id: u32) -> &T {
        match self.entries.get((id & PLACES) as usize) {
            Some(Entry { uses, state: State::Taken(record) }) if *uses == id >> PLACE_BITS => record,
            _ => panic!("{} {id:#x} is gone", self.what),
        }
    }
}

impl<T> IndexMut<u32> for Arena<T> {
    #[inline]
    fn index_mut(&mut self, id: u32) -> &mut T {
        let what = self.what;
        self.get(id).unwrap_or_else(|| panic!("{what} {id:#x} is gone"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_not_used_again_at_once() {
        let mut arena = Arena::new("things", 10);
        let first = arena.insert('a').unwrap();
        assert_eq!(arena.remove(first), Some('a'));
        let second = arena.insert('b').unwrap();
        assert_ne!(first, second);
        assert_eq!((arena.get(first).copied(), arena.get(second).copied()), (None, Some('b')));
        assert_eq!(arena.remove(first), None);
        assert_eq!(arena.len(), 1);
    }

    #[test]
    fn a_full_arena_says_so() {
        let mut arena = Arena::new("things", 3);
        let ids = [(); 3].map(|()| arena.insert(()).unwrap());
        let error = arena.insert(()).unwrap_err().to_string();
        assert_eq!(error, "too many things of components in one store: at most 3 are allowed");
        arena.remove(ids[1]).unwrap();
        arena.insert(()).unwrap();
        assert_eq!(arena.iter_mut().count(), 3);
    }

    #[test]
    fn what_is_found_is_told_by_its_number() {
        let mut arena = Arena::new("things", 3);
        let ids = ['a', 'b', 'c'].map(|thing| arena.insert(thing).unwrap());
        arena.remove(ids[1]).unwrap();
        let again = arena.insert('d').unwrap();
        assert_eq!((arena.find(|thing| *thing == 'd'), arena.find(|thing| *thing == 'b')), (Some(again), None));
    }
}
