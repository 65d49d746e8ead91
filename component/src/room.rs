//! Room for records that guests make the host keep, as far as it counts in the store's budget.

use ampoule::{Budget, BudgetKind, Charge, Error};

/// What the room of a list counts; nothing before there is a budget. A list grows to twice its size, and does not shrink.
#[derive(Default)]
pub(crate) struct Room(Option<Charge>);

/// Records that a list has room for at first.
const FIRST: usize = 4;

impl Room {
    /// What counts nothing yet.
    pub(crate) const UNCOUNTED: Self = Self(None);

    /// Counts in a budget from now on: what is there, whatever its limits say, and what is made.
    pub(crate) fn count_in<T>(&mut self, budget: &Budget, list: &Vec<T>, each: usize) {
        self.0 = Some(budget.charge_held(BudgetKind::Component, (list.capacity() * each) as u64));
    }

    /// The budget in which it counts.
    pub(crate) fn budget(&self) -> Option<&Budget> {
        self.0.as_ref().map(Charge::budget)
    }

    /// Makes sure that a list has room for one more, which count so many bytes each.
    ///
    /// # Errors
    /// The budget is used up.
    #[inline]
    pub(crate) fn make<T>(&mut self, list: &mut Vec<T>, each: usize) -> Result<(), Error> {
        if list.len() == list.capacity() { self.grow(list, each) } else { Ok(()) }
    }

    #[cold]
    fn grow<T>(&mut self, list: &mut Vec<T>, each: usize) -> Result<(), Error> {
        let room = (2 * list.len()).max(FIRST);
        if let Some(charge) = &mut self.0 {
            charge.resize((room * each) as u64)?;
        }
        list.reserve_exact(room - list.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_counts_what_it_has_room_for_and_does_not_grow_beyond_the_budget() {
        let budget = Budget::default();
        budget.set_limits(None, Some(100));
        let (mut room, mut list) = (Room::default(), Vec::new());
        for number in 0..5 {
            room.make(&mut list, 10).unwrap();
            list.push(number);
        }
        assert_eq!(budget.total(), 0);
        let (mut counted, mut other) = (Room::default(), Vec::new());
        counted.count_in(&budget, &other, 10);
        for number in 0..8 {
            counted.make(&mut other, 10).unwrap();
            other.push(number);
        }
        assert_eq!(budget.used(BudgetKind::Component), 80);
        let error = counted.make(&mut other, 10).unwrap_err().to_string();
        assert!(error.contains("80 bytes asked for components, 80 of 100 used"), "{error}");
        drop(counted);
        assert_eq!(budget.total(), 0);
    }
}
