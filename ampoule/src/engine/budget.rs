//! What one store's guests make the host hold, counted in one place: kinds of things, in bytes, under a soft and a hard limit.
//!
//! Counts and limits are atomic words that any thread may read while guests run. Whoever holds something for a guest takes a
//! [`Charge`], or belongs to the engine and counts through the store. Bounds that are finer stay where they are: this is the sum.
//!
//! What is deliberately not here: the store, which makes the budget when it is first asked for, counts what the engine holds, and
//! calls the embedder at the soft limit.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// What bytes are held for.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BudgetKind {
    /// Linear memories: their lengths. Of shared ones, what this store's guests have made and grown.
    Memory,
    /// Tables: eight bytes an element.
    Table,
    /// The heap of collected objects: its size, as limits know it.
    GcHeap,
    /// Stacks of asynchronous calls, and those that the store keeps for the next: their address space.
    Stack,
    /// Records of instances.
    Instance,
    /// Of components: room for records of handles, calls, tasks, ends of streams and the like, with what they keep besides.
    Component,
    /// Of WASI's HTTP: headers, bodies and connections.
    Buffer,
    /// Of WASI: descriptors and resources, 1 KiB each, 16 at a time.
    Descriptor,
    /// Machine code that was compiled while the store's guests ran, of modules that no other store has had instances of.
    Code,
}

impl BudgetKind {
    /// All of them.
    pub const ALL: [BudgetKind; 9] = [
        BudgetKind::Memory,
        BudgetKind::Table,
        BudgetKind::GcHeap,
        BudgetKind::Stack,
        BudgetKind::Instance,
        BudgetKind::Component,
        BudgetKind::Buffer,
        BudgetKind::Descriptor,
        BudgetKind::Code,
    ];

    /// What the store counts itself: gone with it.
    const OF_THE_STORE: [BudgetKind; 5] =
        [BudgetKind::Memory, BudgetKind::Table, BudgetKind::GcHeap, BudgetKind::Stack, BudgetKind::Instance];

    /// The name, for messages.
    pub fn name(self) -> &'static str {
        match self {
            BudgetKind::Memory => "memories",
            BudgetKind::Table => "tables",
            BudgetKind::GcHeap => "the GC heap",
            BudgetKind::Stack => "stacks",
            BudgetKind::Instance => "instances",
            BudgetKind::Component => "components",
            BudgetKind::Buffer => "buffers",
            BudgetKind::Descriptor => "descriptors",
            BudgetKind::Code => "machine code",
        }
    }
}

/// The hard limit was in the way. Nothing was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OverBudget {
    /// Of what.
    pub kind: BudgetKind,
    /// Bytes that were asked for.
    pub asked: u64,
    /// Bytes that were held, of all kinds.
    pub used: u64,
    /// The hard limit.
    pub limit: u64,
}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OverBudget { kind, asked, used, limit } = *self;
        write!(f, "the store's budget is used up: {asked} bytes asked for {}, {used} of {limit} used", kind.name())
    }
}

impl std::error::Error for OverBudget {}

/// A store's budget. Clones are the same one, which any thread may look at and limit, also once the store is gone: what it has counted
/// itself is zero then.
#[derive(Clone, Debug, Default)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    used: [AtomicU64; BudgetKind::ALL.len()],
    total: AtomicU64,
    peak: AtomicU64,
    soft: AtomicU64,
    hard: AtomicU64,
    /// Whether the embedder knows that the total is above the soft limit.
    is_told: AtomicBool,
    /// What has passed the limit without the store at hand, and one: whoever has it next tells the embedder.
    due: AtomicU8,
}

/// In place of a limit: there is none.
const NONE: u64 = u64::MAX;

impl Default for Shared {
    fn default() -> Self {
        Self {
            used: Default::default(),
            total: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            soft: AtomicU64::new(NONE),
            hard: AtomicU64::new(NONE),
            is_told: AtomicBool::new(false),
            due: AtomicU8::new(0),
        }
    }
}

// The words are only counts: nothing else is published by them.
impl Budget {
    /// Bytes of one kind.
    pub fn used(&self, kind: BudgetKind) -> u64 {
        self.0.used[kind as usize].load(Ordering::Relaxed)
    }

    /// Bytes of all kinds.
    pub fn total(&self) -> u64 {
        self.0.total.load(Ordering::Relaxed)
    }

    /// The most that the total has been.
    pub fn peak(&self) -> u64 {
        self.0.peak.load(Ordering::Relaxed)
    }

    /// The soft limit.
    pub fn soft_limit(&self) -> Option<u64> {
        Some(self.0.soft.load(Ordering::Relaxed)).filter(|&limit| limit != NONE)
    }

    /// The hard limit.
    pub fn hard_limit(&self) -> Option<u64> {
        Some(self.0.hard.load(Ordering::Relaxed)).filter(|&limit| limit != NONE)
    }

    /// Sets both limits, of the total. What is held stays: a hard limit below it refuses whatever is asked for next, and the embedder is told
    /// then of a soft one below it.
    pub fn set_limits(&self, soft: Option<u64>, hard: Option<u64>) {
        self.0.soft.store(soft.unwrap_or(NONE), Ordering::Relaxed);
        self.0.hard.store(hard.unwrap_or(NONE), Ordering::Relaxed);
        self.0.is_told.store(false, Ordering::Relaxed);
    }

    /// Counts bytes until the charge is dropped.
    ///
    /// # Errors
    /// The hard limit is in the way.
    pub fn charge(&self, kind: BudgetKind, bytes: u64) -> Result<Charge, OverBudget> {
        let mut charge = Charge { budget: self.clone(), kind, bytes: 0 };
        charge.resize(bytes)?;
        Ok(charge)
    }

    /// The same for what is there already, whatever the limits say.
    pub fn charge_held(&self, kind: BudgetKind, bytes: u64) -> Charge {
        self.add_held(kind, bytes);
        Charge { budget: self.clone(), kind, bytes }
    }

    /// Whether the embedder is to be told before so many bytes more are counted.
    #[inline]
    pub(crate) fn passes_soft_limit(&self, bytes: u64) -> bool {
        self.total().saturating_add(bytes) > self.0.soft.load(Ordering::Relaxed)
            && !self.0.is_told.load(Ordering::Relaxed)
    }

    /// The embedder knows now, or there is nobody to be told.
    pub(crate) fn note_told(&self, is_told: bool) {
        self.0.is_told.store(is_told, Ordering::Relaxed);
        self.0.due.store(0, Ordering::Relaxed);
    }

    /// What somebody who had no store at hand has passed the soft limit with since.
    #[inline]
    pub(crate) fn due(&self) -> Option<BudgetKind> {
        BudgetKind::ALL.get(usize::from(self.0.due.load(Ordering::Relaxed)).wrapping_sub(1)).copied()
    }

    /// Counts bytes.
    ///
    /// # Errors
    /// The hard limit is in the way.
    pub(crate) fn add(&self, kind: BudgetKind, bytes: u64) -> Result<(), OverBudget> {
        let limit = self.0.hard.load(Ordering::Relaxed);
        let more = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= limit);
        let before = self.0.total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        let before = before.map_err(|used| {
            self.note_total(used);
            OverBudget { kind, asked: bytes, used, limit }
        })?;
        self.0.used[kind as usize].fetch_add(bytes, Ordering::Relaxed);
        self.0.peak.fetch_max(before + bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Counts what is there already, whatever the limits say.
    pub(crate) fn add_held(&self, kind: BudgetKind, bytes: u64) {
        self.0.used[kind as usize].fetch_add(bytes, Ordering::Relaxed);
        let before = self.0.total.fetch_add(bytes, Ordering::Relaxed);
        self.0.peak.fetch_max(before + bytes, Ordering::Relaxed);
    }

    /// Bytes that were counted are held no more.
    pub(crate) fn subtract(&self, kind: BudgetKind, bytes: u64) {
        self.0.used[kind as usize].fetch_sub(bytes, Ordering::Relaxed);
        let before = self.0.total.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(bytes <= before, "what is released was counted");
        self.note_total(before - bytes);
    }

    /// The total has not passed the soft limit, or does so no more.
    fn note_total(&self, total: u64) {
        if total <= self.0.soft.load(Ordering::Relaxed) {
            self.0.is_told.store(false, Ordering::Relaxed);
        }
    }

    /// The store is gone, with what it has counted itself.
    pub(crate) fn end(&self) {
        for kind in BudgetKind::OF_THE_STORE {
            self.subtract(kind, self.used(kind));
        }
    }
}

/// Bytes that count against a budget for as long as this lives.
#[derive(Debug)]
pub struct Charge {
    budget: Budget,
    kind: BudgetKind,
    bytes: u64,
}

impl Charge {
    /// How many.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Against which budget.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Whether so many bytes would be counted instead now.
    pub fn may_resize(&self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let sum = self.budget.total().checked_add(more);
        more == 0 || sum.is_some_and(|sum| sum <= self.budget.0.hard.load(Ordering::Relaxed))
    }

    /// So many bytes instead.
    ///
    /// # Errors
    /// The hard limit is in the way of more; nothing changes.
    pub fn resize(&mut self, bytes: u64) -> Result<(), OverBudget> {
        if let Some(more) = bytes.checked_sub(self.bytes).filter(|&more| more > 0) {
            if self.budget.passes_soft_limit(more) {
                self.budget.0.due.store(self.kind as u8 + 1, Ordering::Relaxed);
            }
            self.budget.add(self.kind, more)?;
        } else if bytes < self.bytes {
            self.budget.subtract(self.kind, self.bytes - bytes);
        }
        self.bytes = bytes;
        Ok(())
    }

    /// So many bytes more, which are there already, whatever the limits say.
    pub(crate) fn add_held(&mut self, bytes: u64) {
        self.budget.add_held(self.kind, bytes);
        self.bytes += bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.subtract(self.kind, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let budget = Budget::default();
        budget.set_limits(None, Some(10));
        let mut charge = budget.charge(BudgetKind::Buffer, 6).unwrap();
        let refused = budget.charge(BudgetKind::Descriptor, 5).unwrap_err();
        assert_eq!(refused, OverBudget { kind: BudgetKind::Descriptor, asked: 5, used: 6, limit: 10 });
        assert!(!charge.may_resize(11) && charge.resize(11).is_err() && charge.bytes() == 6);
        assert!(charge.may_resize(10) && charge.may_resize(0) && budget.total() == 6, "a look counts nothing");
        charge.resize(2).unwrap();
        let other = budget.charge(BudgetKind::Descriptor, 8).unwrap();
        assert!(budget.charge(BudgetKind::Buffer, 1).is_err());
        assert_eq!((budget.used(BudgetKind::Buffer), budget.used(BudgetKind::Descriptor)), (2, 8));
        drop((charge, other));
        assert_eq!((budget.total(), budget.peak()), (0, 10));
        assert!(budget.charge(BudgetKind::Component, 10).is_ok());
    }

    #[test]
    fn sums_beyond_all_numbers_are_refused() {
        let budget = Budget::default();
        let _held = budget.charge(BudgetKind::Memory, 5).unwrap();
        assert!(budget.charge(BudgetKind::Memory, u64::MAX).is_err());
        assert_eq!(budget.total(), 5);
    }

    #[test]
    fn the_embedder_is_told_once_each_time_the_soft_limit_is_passed() {
        let budget = Budget::default();
        budget.set_limits(Some(10), None);
        assert!(!budget.passes_soft_limit(10) && budget.passes_soft_limit(11));
        let mut charge = budget.charge(BudgetKind::Buffer, 11).unwrap();
        assert_eq!(budget.due(), Some(BudgetKind::Buffer));
        budget.note_told(true);
        assert!(budget.due().is_none() && !budget.passes_soft_limit(1));
        charge.resize(10).unwrap();
        assert!(budget.passes_soft_limit(1));
        charge.resize(12).unwrap();
        assert!(budget.due().is_some());
    }

    #[test]
    fn a_store_that_ends_leaves_what_others_hold() {
        let budget = Budget::default();
        budget.add_held(BudgetKind::Memory, 100);
        let charge = budget.charge(BudgetKind::Buffer, 7).unwrap();
        budget.end();
        assert_eq!((budget.total(), budget.used(BudgetKind::Memory)), (7, 0));
        drop(charge);
        assert_eq!(budget.total(), 0);
    }
}
