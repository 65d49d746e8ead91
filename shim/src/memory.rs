//! The container's memory as its guests' limit: growth is refused before the kernel kills the process.

use ampoule::Error;
use ampoule::store::limiter::{LimitRequest, Limiter, Resource};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// An element of a table.
const ELEMENT: u64 = 8;

/// What of the limit the guests' memories are never given: one part in so many, and this at least. It is for their stacks, the buffers of what they
/// read and write, and the code that is compiled while they run.
const RESERVE_PART: u64 = 16;
const RESERVE: u64 = 1 << 20;

/// What the memories and tables of all stores of a container may have together.
#[derive(Clone)]
pub struct Budget(Arc<AtomicU64>);

impl Budget {
    /// Of a container with this limit, of which so much is used already.
    pub fn new(limit: u64, used: u64) -> Self {
        let left = limit.saturating_sub(used).saturating_sub(RESERVE.max(limit / RESERVE_PART));
        Self(Arc::new(AtomicU64::new(left)))
    }

    /// The limiter of one store, whose memory is given back with it.
    pub fn limiter(&self) -> Box<dyn Limiter> {
        Box::new(Share { budget: self.clone(), taken: 0, granted: None })
    }

    fn take(&self, bytes: u64) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.0.fetch_add(bytes, Relaxed);
    }
}

/// What one store has of the budget.
struct Share {
    budget: Budget,
    taken: u64,
    /// What was granted last, and may still come to nothing.
    granted: Option<LimitRequest>,
}

impl Limiter for Share {
    fn allow(&mut self, request: &LimitRequest) -> Result<bool, Error> {
        let bytes = bytes_of(request);
        let is_granted = self.budget.take(bytes);
        if is_granted {
            self.taken += bytes;
            self.granted = Some(*request);
        }
        Ok(is_granted)
    }

    fn failed(&mut self, request: &LimitRequest, _: &Error) {
        if self.granted.take_if(|granted| granted == request).is_some() {
            let bytes = bytes_of(request);
            self.taken -= bytes;
            self.budget.give_back(bytes);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.taken);
    }
}

fn bytes_of(request: &LimitRequest) -> u64 {
    let more = request.desired.saturating_sub(request.current);
    match request.resource {
        Resource::Memory => more,
        Resource::Table => more.saturating_mul(ELEMENT),
        Resource::Instance => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(current: u64, desired: u64) -> LimitRequest {
        LimitRequest { resource: Resource::Memory, grows: current > 0, current, desired, maximum: None }
    }

    #[test]
    fn stores_share_what_the_container_has() {
        let budget = Budget::new(32 << 20, 10 << 20);
        let (mut a, mut b) = (budget.limiter(), budget.limiter());
        // A sixteenth of the limit stays.
        assert!(a.allow(&request(0, 15 << 20)).is_ok_and(|granted| granted));
        assert!(b.allow(&request(0, 5 << 20)).is_ok_and(|granted| granted));
        assert!(b.allow(&request(5 << 20, (5 << 20) + 1)).is_ok_and(|granted| !granted));
        drop(a);
        assert!(b.allow(&request(5 << 20, 20 << 20)).is_ok_and(|granted| granted));
    }

    #[test]
    fn what_comes_to_nothing_is_given_back_once() {
        let budget = Budget::new(32 << 20, 0);
        let mut share = budget.limiter();
        let all = request(0, 30 << 20);
        for _ in 0..2 {
            assert!(share.allow(&all).is_ok_and(|granted| granted));
            share.failed(&all, &Error::message("the system has none"));
            share.failed(&all, &Error::message("told twice"));
        }
        assert!(share.allow(&request(0, (30 << 20) + 1)).is_ok_and(|granted| !granted));
    }

    #[test]
    fn a_limit_that_is_used_up_leaves_nothing() {
        let mut share = Budget::new(1 << 20, 2 << 20).limiter();
        assert!(share.allow(&request(0, 1)).is_ok_and(|granted| !granted));
        assert!(share.allow(&request(0, 0)).is_ok_and(|granted| granted));
    }
}
