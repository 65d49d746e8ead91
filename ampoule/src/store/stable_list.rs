//! Lists whose elements stay where they are: what machine code and C functions have the addresses of.

use std::ops::{Index, IndexMut};

/// A list that only grows. Elements lie in blocks, each twice as long as the one before, which are never moved: many of them cost few
/// allocations.
pub struct StableList<T> {
    blocks: Vec<Vec<T>>,
    len: usize,
}

/// Elements of the first block.
const FIRST: usize = 4;

/// The block of an element, and the place in it.
#[inline]
fn place(index: usize) -> (usize, usize) {
    let block = (index / FIRST + 1).ilog2();
    (block as usize, index - FIRST * ((1 << block) - 1))
}

impl<T> StableList<T> {
    /// Adds an element, which stays where it is as long as the list lives.
    pub fn push(&mut self, element: T) -> &mut T {
        let (block, at) = place(self.len);
        if block == self.blocks.len() {
            self.blocks.push(Vec::with_capacity(FIRST << block));
        }
        self.len += 1;
        let block = &mut self.blocks[block];
        debug_assert!(block.len() == at && at < block.capacity(), "a full block would be moved");
        block.push(element);
        &mut block[at]
    }

    /// The element at a place.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        let (block, at) = place(index);
        self.blocks.get(block)?.get(at)
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element that was added last.
    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.blocks.last_mut()?.last_mut()
    }

    /// The elements, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flatten()
    }

    /// The same, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.blocks.iter_mut().flatten()
    }
}

impl<T> Index<usize> for StableList<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: usize) -> &T {
        let (block, at) = place(index);
        &self.blocks[block][at]
    }
}

impl<T> IndexMut<usize> for StableList<T> {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut T {
        let (block, at) = place(index);
        &mut self.blocks[block][at]
    }
}

impl<T> Default for StableList<T> {
    fn default() -> Self {
        Self { blocks: Vec::new(), len: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stay_where_they_are() {
        let mut list = StableList::default();
        assert!(list.is_empty() && list.get(0).is_none() && list.last_mut().is_none());
        let addresses: Vec<*const usize> = (0..1000).map(|number| &raw const *list.push(number)).collect();
        assert_eq!(list.len(), 1000);
        for (number, &address) in addresses.iter().enumerate() {
            assert!(std::ptr::eq(address, &list[number]) && list[number] == number);
        }
        assert!(list.iter().copied().eq(0..1000));
        list.iter_mut().for_each(|number| *number += 1);
        list[0] = 7;
        assert_eq!((list[0], list.last_mut().copied(), list.get(1000)), (7, Some(1000), None));
        assert_eq!(list.blocks.len(), 8);
    }
}
