//! How many bytes the host holds for one guest's HTTP: headers, and what bodies may buffer.

use ampoule::BudgetKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes of one guest, unless configured.
pub const DEFAULT_MAX_BYTES: usize = 64 << 20;

/// What a body may buffer, and with it what its connection does: charged as a whole while there is one.
pub const BODY_BYTES: usize = 64 << 10;

/// The bytes that one guest may still have held. They count in its store's budget, too, once that is known.
#[derive(Clone, Debug)]
pub struct Budget {
    left: Arc<AtomicUsize>,
    store: Option<ampoule::Budget>,
}

/// There is nothing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl Budget {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(bytes)), store: None }
    }

    /// The same, of what counts in a store's budget as well.
    pub fn within(&self, store: ampoule::Budget) -> Self {
        Self { left: self.left.clone(), store: Some(store) }
    }

    /// Takes bytes off it, until the charge is dropped.
    ///
    /// # Errors
    /// There are fewer left.
    pub fn charge(&self, bytes: usize) -> Result<Charge, Exhausted> {
        let in_store = self.store.as_ref().map(|store| store.charge(BudgetKind::Buffer, 0));
        let in_store = in_store.transpose().map_err(|_| Exhausted)?;
        let mut charge = Charge { budget: self.clone(), bytes: 0, in_store };
        charge.resize(bytes)?;
        Ok(charge)
    }
}

/// Bytes that were taken off a budget.
#[derive(Debug)]
pub struct Charge {
    budget: Budget,
    bytes: usize,
    in_store: Option<ampoule::Charge>,
}

impl Charge {
    /// So many bytes instead.
    ///
    /// # Errors
    /// There are fewer left; nothing changes.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let left = &self.budget.left;
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            let take = |left: usize| left.checked_sub(more);
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| Exhausted)?;
        }
        if let Some(in_store) = &mut self.in_store
            && in_store.resize(bytes as u64).is_err()
        {
            left.fetch_add(more, Ordering::Relaxed);
            return Err(Exhausted);
        }
        left.fetch_add(self.bytes.saturating_sub(bytes), Ordering::Relaxed);
        self.bytes = bytes;
        Ok(())
    }

    /// The budget that it is taken off.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let budget = Budget::new(10);
        let mut charge = budget.charge(6).expect("enough");
        assert!(budget.charge(5).is_err());
        assert_eq!(charge.resize(11), Err(Exhausted));
        assert_eq!(charge.resize(2), Ok(()));
        let other = budget.charge(8).expect("enough");
        assert!(budget.charge(1).is_err());
        drop((charge, other));
        assert!(budget.charge(10).is_ok());
    }
    #[test]
    fn the_budget_of_the_store_has_to_allow_too() {
        let store = ampoule::Budget::default();
        store.set_limits(None, Some(8));
        let budget = Budget::new(10).within(store.clone());
        let mut charge = budget.charge(6).expect("enough");
        assert!(budget.charge(3).is_err());
        assert_eq!((charge.resize(9), store.used(BudgetKind::Buffer)), (Err(Exhausted), 6));
        store.set_limits(None, None);
        assert!(budget.charge(5).is_err() && charge.resize(10).is_ok() && store.total() == 10);
        drop(charge);
        assert_eq!(store.total(), 0);
        assert!(budget.charge(10).is_ok());
    }
}
