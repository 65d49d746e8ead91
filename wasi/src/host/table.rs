//! Numbers for what a guest has open: the lowest free one first, and only so many at once.
//!
//! The number of entries is a budget, because host descriptors are shared by every store of the process; and they count in the budget of
//! their store. What an entry holds is up to the interface whose table it is.

use super::error::Error;
use ampoule::{Budget, BudgetKind, Charge};
use rustix::io::Errno;

/// What one guest has open, by number.
///
/// 1. Every slot below `lowest_free` is taken.
#[derive(Debug)]
pub struct Table<T> {
    slots: Vec<Option<T>>,
    lowest_free: usize,
    open: usize,
    limit: usize,
    /// What the entries count in the store's budget, if they do.
    charge: Option<Charge>,
}

/// What an entry counts in the store's budget, in bytes: whatever it is, and the system has for it.
const ENTRY_BYTES: usize = 1 << 10;

/// Entries are counted so many at a time: most come and go without a look at the budget.
const STEP: usize = 16;

/// What so many entries count.
fn bytes_of(open: usize) -> u64 {
    (open.next_multiple_of(STEP) * ENTRY_BYTES) as u64
}

impl<T> Table<T> {
    /// An empty table of at most `limit` entries.
    pub fn new(limit: usize) -> Self {
        Self { slots: Vec::new(), lowest_free: 0, open: 0, limit, charge: None }
    }

    /// Has the entries count in a store's budget: those that are there, whatever its limits say, and those that are made.
    pub fn count_in(&mut self, budget: &Budget) {
        self.charge = Some(budget.charge_held(BudgetKind::Descriptor, bytes_of(self.open)));
    }

    /// Counts so many entries, if they are counted.
    fn count(&mut self, open: usize) -> Result<(), Error> {
        let Some(charge) = &mut self.charge else { return Ok(()) };
        let bytes = bytes_of(open);
        // Not each time that one is closed and another opened.
        let fits = (bytes..=bytes + (STEP * ENTRY_BYTES) as u64).contains(&charge.bytes());
        if fits { Ok(()) } else { charge.resize(bytes).map_err(|_| Errno::NOMEM.into()) }
    }

    /// Whether another entry can be made.
    ///
    /// # Errors
    /// `MFILE` when the budget is used up; `NOMEM` when the store's is.
    pub fn check_budget(&self) -> Result<(), Error> {
        if self.open >= self.limit {
            return Err(Errno::MFILE.into());
        }
        let is_counted = |charge: &Charge| charge.may_resize(bytes_of(self.open + 1));
        if self.charge.as_ref().is_none_or(is_counted) { Ok(()) } else { Err(Errno::NOMEM.into()) }
    }

    /// Gives `entry` the lowest free number.
    ///
    /// # Errors
    /// `MFILE` when the budget is used up; `NOMEM` when the store's is.
    pub fn insert(&mut self, entry: T) -> Result<u32, Error> {
        self.check_budget()?;
        self.count(self.open + 1)?;
        let taken = self.slots[self.lowest_free..].iter().take_while(|slot| slot.is_some()).count();
        let index = self.lowest_free + taken;
        let number = u32::try_from(index).map_err(|_| Errno::MFILE)?;
        if index == self.slots.len() {
            self.slots.push(Some(entry));
        } else {
            self.slots[index] = Some(entry);
        }
        self.open += 1;
        self.lowest_free = index + 1;
        Ok(number)
    }

    /// Gives `entry` this number.
    ///
    /// # Errors
    /// `MFILE` for a number beyond the budget, or when the budget is used up; `EXIST` when the number is taken.
    pub fn put(&mut self, number: u32, entry: T) -> Result<(), Error> {
        let index = number as usize;
        self.check_budget()?;
        if index >= self.limit {
            return Err(Errno::MFILE.into());
        }
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        let slot = &mut self.slots[index];
        if slot.is_some() {
            return Err(Errno::EXIST.into());
        }
        *slot = Some(entry);
        self.open += 1;
        Ok(())
    }

    /// The entry with this number.
    ///
    /// # Errors
    /// `BADF` when there is none.
    pub fn get(&self, number: u32) -> Result<&T, Error> {
        Ok(self.slots.get(number as usize).and_then(Option::as_ref).ok_or(Errno::BADF)?)
    }

    /// The entry with this number, to change it.
    ///
    /// # Errors
    /// `BADF` when there is none.
    pub fn get_mut(&mut self, number: u32) -> Result<&mut T, Error> {
        Ok(self.slots.get_mut(number as usize).and_then(Option::as_mut).ok_or(Errno::BADF)?)
    }

    /// All entries with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        // Each number was given as one of 32 bits.
        let numbered = self.slots.iter().enumerate();
        numbered.filter_map(|(index, slot)| slot.as_ref().map(|entry| (index as u32, entry)))
    }

    /// All entries, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().flatten()
    }

    /// Takes the entry with this number out.
    ///
    /// # Errors
    /// `BADF` when there is none.
    pub fn remove(&mut self, number: u32) -> Result<T, Error> {
        let index = number as usize;
        let entry = self.slots.get_mut(index).and_then(Option::take).ok_or(Errno::BADF)?;
        self.open -= 1;
        self.lowest_free = self.lowest_free.min(index);
        self.count(self.open)?;
        Ok(entry)
    }

    /// Gives the entry numbered `from` the number `to`, dropping what `to` was.
    ///
    /// # Errors
    /// `BADF` unless both are there; nothing changes.
    pub fn renumber(&mut self, from: u32, to: u32) -> Result<(), Error> {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            let entry = self.remove(from)?;
            *self.get_mut(to)? = entry;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_number_is_taken() {
        let mut table = Table::new(10);
        for number in 0..5 {
            assert_eq!(table.insert(()), Ok(number));
        }
        for number in [3, 1] {
            assert!(table.remove(number).is_ok());
        }
        assert_eq!([table.insert(()), table.insert(()), table.insert(())], [Ok(1), Ok(3), Ok(5)]);
    }

    #[test]
    fn numbers_may_be_chosen_within_the_budget() {
        let mut table = Table::new(3);
        assert_eq!(table.put(2, "c"), Ok(()));
        assert_eq!(table.put(2, "d"), Err(Errno::EXIST.into()));
        assert_eq!(table.put(3, "d"), Err(Errno::MFILE.into()));
        assert_eq!(table.put(u32::MAX, "d"), Err(Errno::MFILE.into()));
        assert_eq!([table.insert("a"), table.insert("b")], [Ok(0), Ok(1)]);
        assert_eq!(table.put(2, "d"), Err(Errno::MFILE.into()), "the budget is used up");
        assert_eq!(table.iter().collect::<Vec<_>>(), [(0, &"a"), (1, &"b"), (2, &"c")]);
    }

    #[test]
    fn the_budget_counts_what_is_open() {
        let mut table = Table::new(2);
        assert!(table.insert(()).is_ok());
        assert!(table.insert(()).is_ok());
        assert_eq!(table.insert(()), Err(Error::Os(Errno::MFILE)));
        assert!(table.remove(0).is_ok());
        assert_eq!(table.insert(()), Ok(0));
    }

    #[test]
    fn entries_count_in_the_budget_of_the_store() {
        let budget = Budget::default();
        let mut table = Table::new(1000);
        assert!((0..3).all(|_| table.insert(()).is_ok()));
        table.count_in(&budget);
        assert_eq!(budget.used(BudgetKind::Descriptor), 16 << 10);
        budget.set_limits(None, Some(32 << 10));
        assert!((3..32).all(|number| table.insert(()) == Ok(number)));
        assert_eq!(table.insert(()), Err(Error::Os(Errno::NOMEM)));
        assert_eq!(budget.total(), 32 << 10);
        assert!((0..32).all(|number| table.remove(number).is_ok()));
        assert!(budget.total() <= 16 << 10);
        assert_eq!(table.insert(()), Ok(0));
        drop(table);
        assert_eq!(budget.total(), 0);
    }

    #[test]
    fn renumbering_moves_and_drops() {
        let bad = Err(Error::Os(Errno::BADF));
        let mut table = Table::new(10);
        for name in ["a", "b", "c"] {
            assert!(table.insert(name).is_ok());
        }
        assert_eq!(table.renumber(2, 7), bad);
        assert_eq!(table.renumber(7, 2), bad);
        assert_eq!(table.renumber(u32::MAX, 2), bad);
        assert_eq!(table.renumber(2, 2), Ok(()));
        assert_eq!(table.renumber(2, 0), Ok(()));
        assert_eq!(table.get(0), Ok(&"c"));
        assert!(table.get(2).is_err());
        assert_eq!(table.insert("d"), Ok(2));
    }
}
