//! In which store's budget a module's code counts.
//!
//! What is compiled while a module runs counts for the module's *owner*: the only store that has ever had an instance of it. With the second store
//! the code is the engine's, which bounds it by itself ([`crate::engine::code_memory`]), and it stays so: what a store is charged for can become
//! less because of others, and never more.

use crate::engine::budget::{Budget, BudgetKind, Charge, OverBudget};
use ampoule_machine::os::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who has had instances of a module, and what its code counts.
#[derive(Default)]
pub(super) struct UsedBy {
    /// The id of the only store that has, [`NOBODY`] or [`SEVERAL`]. Written under the lock.
    store: AtomicU64,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    /// Of all code that was compiled and not given back.
    bytes: u64,
    /// In the owner's budget, if it has one.
    charge: Option<Charge>,
}

const NOBODY: u64 = 0;
const SEVERAL: u64 = u64::MAX;

impl UsedBy {
    /// A store is to have an instance, and has this budget. What is there by then counts whatever the limits say.
    pub fn note_instance(&self, store: u64, budget: Option<&Budget>) {
        let owner = self.store.load(Ordering::Relaxed);
        if owner == SEVERAL || owner == store && budget.is_none() {
            return;
        }
        let mut counted = self.counted.lock();
        match self.store.load(Ordering::Relaxed) {
            NOBODY => self.store.store(store, Ordering::Relaxed),
            SEVERAL => return,
            owner if owner == store => {}
            _ => {
                self.store.store(SEVERAL, Ordering::Relaxed);
                counted.charge = None;
                return;
            }
        }
        if let (None, Some(budget)) = (&counted.charge, budget) {
            counted.charge = Some(budget.charge_held(BudgetKind::Code, counted.bytes));
        }
    }

    /// A store has no instance any more.
    pub fn note_none(&self, store: u64) {
        let mut counted = self.counted.lock();
        if self.store.load(Ordering::Relaxed) == store {
            counted.charge = None;
        }
    }

    /// Counts code that is about to be placed.
    ///
    /// # Errors
    /// The hard limit of the owner's budget is in the way.
    pub fn add(&self, bytes: usize) -> Result<(), OverBudget> {
        let mut counted = self.counted.lock();
        let sum = counted.bytes + bytes as u64;
        if let Some(charge) = &mut counted.charge {
            charge.resize(sum)?;
        }
        counted.bytes = sum;
        Ok(())
    }

    /// Counts what is there already.
    pub fn add_held(&self, bytes: usize) {
        let mut counted = self.counted.lock();
        counted.bytes += bytes as u64;
        if let Some(charge) = &mut counted.charge {
            charge.add_held(bytes as u64);
        }
    }

    /// Code is gone that was counted.
    pub fn subtract(&self, bytes: usize) {
        let mut counted = self.counted.lock();
        counted.bytes -= bytes as u64;
        let rest = counted.bytes;
        if let Some(charge) = &mut counted.charge {
            // Less is never refused.
            let _ = charge.resize(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_counts_for_the_only_store_that_has_had_instances() {
        let (used_by, first, second) = (UsedBy::default(), Budget::default(), Budget::default());
        used_by.add(1).unwrap();
        used_by.note_instance(7, None);
        used_by.add(10).unwrap();
        used_by.note_instance(7, Some(&first));
        used_by.add(100).unwrap();
        used_by.subtract(10);
        assert_eq!(first.used(BudgetKind::Code), 101);
        used_by.note_instance(8, Some(&second));
        used_by.note_instance(7, Some(&first));
        used_by.add(1000).unwrap();
        assert_eq!((first.total(), second.total()), (0, 0));
    }

    #[test]
    fn a_store_without_instances_is_not_charged_and_may_come_back() {
        let (used_by, budget) = (UsedBy::default(), Budget::default());
        used_by.note_instance(7, Some(&budget));
        used_by.add(10).unwrap();
        used_by.note_none(8);
        assert_eq!(budget.total(), 10);
        used_by.note_none(7);
        used_by.add(1).unwrap();
        assert_eq!(budget.total(), 0);
        used_by.note_instance(7, Some(&budget));
        assert_eq!(budget.total(), 11);
        drop(used_by);
        assert_eq!(budget.total(), 0);
    }

    #[test]
    fn code_beyond_the_hard_limit_is_refused_and_not_counted() {
        let (used_by, budget) = (UsedBy::default(), Budget::default());
        used_by.note_instance(7, Some(&budget));
        budget.set_limits(None, Some(10));
        used_by.add(10).unwrap();
        assert_eq!(used_by.add(1).unwrap_err().kind, BudgetKind::Code);
        used_by.subtract(1);
        assert_eq!(budget.total(), 9);
        used_by.add(1).unwrap();
    }
}
