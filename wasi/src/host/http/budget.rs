//! How many bytes the host holds for one guest's HTTP: headers, and what bodies may buffer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes of one guest, unless configured.
pub const DEFAULT_MAX_BYTES: usize = 64 << 20;

/// What a body may buffer, and with it what its connection does: charged as a whole while there is one.
pub const BODY_BYTES: usize = 64 << 10;

/// The bytes that one guest may still have held.
#[derive(Clone, Debug)]
pub struct Budget(Arc<AtomicUsize>);

/// There is nothing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl Budget {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Takes bytes off it, until the charge is dropped.
    ///
    /// # Errors
    /// There are fewer left.
    pub fn charge(&self, bytes: usize) -> Result<Charge, Exhausted> {
        let mut charge = Charge { budget: self.clone(), bytes: 0 };
        charge.resize(bytes)?;
        Ok(charge)
    }
}

/// Bytes that were taken off a budget.
#[derive(Debug)]
pub struct Charge {
    budget: Budget,
    bytes: usize,
}

impl Charge {
    /// So many bytes instead.
    ///
    /// # Errors
    /// There are fewer left; nothing changes.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let left = &self.budget.0;
        if let Some(more) = bytes.checked_sub(self.bytes) {
            let take = |left: usize| left.checked_sub(more);
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| Exhausted)?;
        } else {
            left.fetch_add(self.bytes - bytes, Ordering::Relaxed);
        }
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
        self.budget.0.fetch_add(self.bytes, Ordering::Relaxed);
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
}
