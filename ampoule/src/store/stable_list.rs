//! Lists whose elements stay where they are: what machine code and C functions have the addresses of.

use std::ops::{Index, IndexMut};

/// A list that only grows. Elements lie in blocks, each twice as long as the one before, which are never moved: many of them cost few
/// allocations.
pub struct StableList<T> {
    /// The first block, which is all of most lists.
    first: Vec<T>,
    /// The blocks behind it, each full but for the last.
    others: Vec<Vec<T>>,
}

/// Elements of the first block.
const FIRST: usize = 4;

/// The block of an element behind the first block, counted from there, and the place in it.
#[inline]
fn place(index: usize) -> (usize, usize) {
    let block = (index / FIRST + 1).ilog2() as usize;
    (block - 1, index - FIRST * ((1 << block) - 1))
}

impl<T> StableList<T> {
    /// Adds an element, which stays where it is as long as the list lives.
    #[inline]
    pub fn push(&mut self, element: T) -> &mut T {
        self.push_with(|| element)
    }

    /// The same, of an element that is made where it will be.
    #[inline]
    pub fn push_with(&mut self, make: impl FnOnce() -> T) -> &mut T {
        let block = self.block_with_room();
        let at = block.len();
        block.spare_capacity_mut()[0].write(make());
        // SAFETY: the element behind the others was just written, and there was room for it.
        unsafe { block.set_len(at + 1) };
        &mut block[at]
    }

    /// Takes back the element that was added last.
    pub fn pop(&mut self) -> Option<T> {
        let Some(last) = self.others.last_mut() else { return self.first.pop() };
        let element = last.pop();
        if last.is_empty() {
            self.others.pop();
        }
        element
    }

    /// The block for the next element, with room for it.
    #[inline]
    fn block_with_room(&mut self) -> &mut Vec<T> {
        if self.first.len() == FIRST {
            return self.other_block_with_room();
        }
        if self.first.capacity() == 0 {
            // The one before owns nothing that would have to be looked for.
            std::mem::forget(std::mem::replace(&mut self.first, Vec::with_capacity(FIRST)));
        }
        &mut self.first
    }

    fn other_block_with_room(&mut self) -> &mut Vec<T> {
        let (block, at) = place(self.len());
        if at == 0 {
            self.others.push(Vec::with_capacity(FIRST << (block + 1)));
        }
        &mut self.others[block]
    }

    /// The element at a place.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        if index < FIRST {
            return self.first.get(index);
        }
        let (block, at) = place(index);
        self.others.get(block)?.get(at)
    }

    /// The same, to change it.
    #[inline]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        if index < FIRST {
            return self.first.get_mut(index);
        }
        let (block, at) = place(index);
        self.others.get_mut(block)?.get_mut(at)
    }

    /// Whether an element begins at this address.
    pub(crate) fn has_address(&self, address: usize) -> bool {
        let blocks = std::iter::once(&self.first).chain(&self.others);
        blocks.map(|block| block.as_ptr_range()).any(|range| {
            let start = range.start.addr();
            (start..range.end.addr()).contains(&address) && (address - start).is_multiple_of(size_of::<T>())
        })
    }

    /// How many elements there are.
    #[inline]
    pub fn len(&self) -> usize {
        match self.others.split_last() {
            None => self.first.len(),
            Some((last, full)) => FIRST * ((2 << full.len()) - 1) + last.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The element that was added last.
    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.others.last_mut().unwrap_or(&mut self.first).last_mut()
    }

    /// The elements, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(self.others.iter().flatten())
    }

    /// The same, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(self.others.iter_mut().flatten())
    }
}

impl<T> Index<usize> for StableList<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: usize) -> &T {
        self.get(index).expect("the list has so many elements")
    }
}

impl<T> IndexMut<usize> for StableList<T> {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut T {
        self.get_mut(index).expect("the list has so many elements")
    }
}

impl<T> Default for StableList<T> {
    fn default() -> Self {
        Self { first: Vec::new(), others: Vec::new() }
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
        assert!(list.pop() == Some(1000) && list.pop() == Some(999) && list.len() == 998);
        assert!((999..1001).all(|number| *list.push(number) == number));
        let mut short = StableList::default();
        for len in 1..=50 {
            (0..len).for_each(|number| assert_eq!((*short.push(number), short.len()), (number, number + 1)));
            (0..len).rev().for_each(|number| assert_eq!((short.pop(), short.len()), (Some(number), number)));
            assert!(short.pop().is_none() && short.is_empty());
        }
        assert!(addresses[..998].iter().all(|address| list.has_address(address.addr())));
        assert!(!list.has_address(addresses[500].addr() + 1) && !list.has_address(0));
        list[0] = 7;
        assert_eq!((list[0], list.last_mut().copied(), list.get(1000)), (7, Some(1000), None));
        assert_eq!(list.others.len(), 7);
    }
}
