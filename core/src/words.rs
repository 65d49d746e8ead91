//! Lists of numbers that an artifact keeps as they are: an element is read when it is asked for, where it lies, and nothing of the list before.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that somebody keeps.
pub type WordBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// What a number of four bytes stands for.
pub trait Word: Copy {
    /// What it stands for.
    fn from_word(word: u32) -> Self;

    /// The number.
    fn word(self) -> u32;
}

impl Word for u32 {
    fn from_word(word: u32) -> Self {
        word
    }

    fn word(self) -> u32 {
        self
    }
}

/// The largest number stands for nothing: indices are smaller.
impl<T: Word> Word for Option<T> {
    fn from_word(word: u32) -> Self {
        (word != u32::MAX).then(|| T::from_word(word))
    }

    fn word(self) -> u32 {
        self.map_or(u32::MAX, T::word)
    }
}

/// A list of numbers. Who keeps its bytes has them little-endian.
#[derive(Clone)]
pub struct Words<T> {
    place: Place,
    of: PhantomData<T>,
}

#[derive(Clone)]
enum Place {
    Own(Vec<u32>),
    Kept(WordBytes, Range<usize>),
}

const LEN: usize = size_of::<u32>();

impl<T: Word> Words<T> {
    /// The list in a part of bytes, which is a multiple of four bytes long. `None` where they have no such part.
    pub fn kept(bytes: WordBytes, part: Range<usize>) -> Option<Self> {
        let len = (*bytes).as_ref().get(part.clone())?.len();
        len.is_multiple_of(LEN).then_some(Self { place: Place::Kept(bytes, part), of: PhantomData })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.place {
            Place::Own(words) => words.len(),
            Place::Kept(_, part) => part.len() / LEN,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of them.
    #[inline]
    pub fn get(&self, index: usize) -> Option<T> {
        let word = match &self.place {
            Place::Own(words) => *words.get(index)?,
            Place::Kept(bytes, part) => {
                let bytes = (**bytes).as_ref().get(part.clone())?;
                u32::from_le_bytes(*bytes.get(index.checked_mul(LEN)?..)?.first_chunk()?)
            }
        };
        Some(T::from_word(word))
    }

    /// One of them.
    ///
    /// # Panics
    /// Where there are not so many.
    #[inline]
    pub fn at(&self, index: usize) -> T {
        self.get(index).expect("an index of the list's")
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> {
        (0..self.len()).map(|index| self.at(index))
    }

    /// How many there are from the first on of which this is true, where none is behind one of which it isn't.
    pub fn partition_point(&self, is_before: impl Fn(T) -> bool) -> usize {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from.midpoint(to);
            if is_before(self.at(middle)) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }

    /// Adds one at the end.
    pub fn push(&mut self, value: T) {
        self.own().push(value.word());
    }

    /// Changes one.
    ///
    /// # Panics
    /// Where there are not so many.
    pub fn set(&mut self, index: usize, value: T) {
        self.own()[index] = value.word();
    }

    /// Their bytes, as [`Words::kept`] takes them.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|value| value.word().to_le_bytes()).collect()
    }

    fn own(&mut self) -> &mut Vec<u32> {
        if let Place::Kept(..) = self.place {
            self.place = Place::Own(self.iter().map(T::word).collect());
        }
        let Place::Own(words) = &mut self.place else { unreachable!("it was just made") };
        words
    }
}

impl<T> Default for Words<T> {
    fn default() -> Self {
        Self { place: Place::Own(Vec::new()), of: PhantomData }
    }
}

impl<T: Word> FromIterator<T> for Words<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self { place: Place::Own(values.into_iter().map(T::word).collect()), of: PhantomData }
    }
}

impl<T: Word + fmt::Debug> fmt::Debug for Words<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::FuncIndex;

    #[test]
    fn what_is_kept_is_as_what_was_written() {
        let mut words: Words<Option<FuncIndex>> = [Some(FuncIndex(3)), None].into_iter().collect();
        words.push(Some(FuncIndex(0x0102_0304)));
        words.set(1, Some(FuncIndex(4)));
        let mut bytes = vec![0xee];
        bytes.extend(words.to_bytes());
        let len = bytes.len();
        let kept = Words::<Option<FuncIndex>>::kept(Arc::new(bytes), 1..len).unwrap();
        assert_eq!(format!("{kept:?}"), format!("{words:?}"));
        assert_eq!((kept.get(2), kept.get(3), kept.get(usize::MAX)), (Some(Some(FuncIndex(0x0102_0304))), None, None));
        // What is kept stays as it is.
        let mut changed = kept.clone();
        changed.push(None);
        assert_eq!((kept.len(), changed.len(), changed.at(0), changed.at(3)), (3, 4, Some(FuncIndex(3)), None));
    }

    #[test]
    fn a_part_that_is_not_there_is_no_list() {
        let bytes: WordBytes = Arc::new(vec![0; 9]);
        for part in [0..12, 8..12, 0..7, 9..13, Range { start: 8, end: 4 }] {
            assert!(Words::<u32>::kept(bytes.clone(), part).is_none());
        }
        assert!(Words::<u32>::kept(bytes, 9..9).unwrap().is_empty());
    }

    #[test]
    fn the_first_that_is_not_before_is_found() {
        let words: Words<u32> = [2, 4, 4, 9].into_iter().collect();
        let found = |limit| words.partition_point(|word| word < limit);
        assert_eq!([found(0), found(2), found(3), found(4), found(5), found(10)], [0, 0, 1, 1, 3, 4]);
    }
}
