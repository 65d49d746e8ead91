//! Lists from which things may be taken out again. The others keep their places, and a free place is used again.
//!
//! A place alone doesn't tell what is there from what was there before. So each thing notes when it was made: after how many deletions
//! ([`Store::deletions`](super::Store::deletions)); a handle has that number, too.

use std::ops::{Index, IndexMut};

/// What is in a place, and what handles lead to.
pub(crate) trait Born {
    /// How many instances the store had deleted when it was made.
    fn born(&self) -> u32;
}

/// The places; `None` is free. Who takes something out keeps note of the place.
pub(crate) struct Places<T>(Vec<Option<T>>);

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Places<T> {
    /// Puts a thing into a free place or, without one, behind the others. Gives its place.
    #[inline]
    pub(crate) fn put(&mut self, free: Option<u32>, thing: T) -> u32 {
        match free {
            Some(place) => {
                debug_assert!(self.0[place as usize].is_none(), "what is free has nothing in it");
                self.0[place as usize] = Some(thing);
                place
            }
            None => {
                self.0.push(Some(thing));
                self.0.len() as u32 - 1
            }
        }
    }

    /// Takes out what is in a place, and tells whether it was the last one, which then is no more.
    pub(crate) fn take(&mut self, place: u32) -> Option<(T, bool)> {
        let thing = self.0.get_mut(place as usize)?.take()?;
        let is_last = place as usize + 1 == self.0.len();
        if is_last {
            self.0.pop();
        }
        Some((thing, is_last))
    }

    /// What is in a place.
    #[inline]
    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        self.0.get(place)?.as_ref()
    }

    /// How many places there are, the free ones too.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What is there, in the order of the places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }

    /// The same, to change it.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().flatten()
    }

    /// The same, each with its place.
    pub(crate) fn enumerate(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.0).filter_map(|(place, thing)| Some((place, thing.as_ref()?)))
    }

    /// What is in two places that differ, to change it.
    pub(crate) fn pair_mut(&mut self, one: u32, other: u32) -> [&mut T; 2] {
        let both = self.0.get_disjoint_mut([one as usize, other as usize]).expect("both exist, and they differ");
        both.map(|thing| thing.as_mut().expect(EMPTY))
    }
}

const EMPTY: &str = "what is used was not taken out";

impl<T> Index<usize> for Places<T> {
    type Output = T;

    #[inline]
    fn index(&self, place: usize) -> &T {
        self.0[place].as_ref().expect(EMPTY)
    }
}

impl<T> IndexMut<usize> for Places<T> {
    #[inline]
    fn index_mut(&mut self, place: usize) -> &mut T {
        self.0[place].as_mut().expect(EMPTY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_and_the_others_stay() {
        let mut places = Places::default();
        assert_eq!(["a", "b", "c"].map(|thing| places.put(None, thing)), [0, 1, 2]);
        assert_eq!((places.take(1), places.take(1), places.take(7)), (Some(("b", false)), None, None));
        assert!(places.get(1).is_none() && places[2] == "c" && places.len() == 3);
        assert!(places.iter().eq(&["a", "c"]) && places.enumerate().eq([(0, &"a"), (2, &"c")]));
        assert_eq!(places.put(Some(1), "d"), 1);
        assert_eq!(places.pair_mut(2, 1), [&mut "c", &mut "d"]);
        assert_eq!((places.take(2), places.len()), (Some(("c", true)), 2));
    }
}
