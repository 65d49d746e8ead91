//! A store's part in its budget: what the engine holds is counted here, and the embedder is told of the soft limit.
//!
//! Most stores are never asked for a budget and count nothing. The first who asks has everything added up that there is; from then
//! on it is kept. So nothing but what is rare anyway (growth, what is made) looks whether there is one.

use super::Store;
use super::records::instance::InstanceData;
use crate::engine::budget::{Budget, BudgetKind, OverBudget};
use crate::engine::pool::description_len;
use crate::error::{Error, ErrorKind};
use crate::module::Module;
use std::sync::Arc;

/// What the embedder is told when a store's total is about to pass its soft limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SoftLimitPassed {
    /// What is asked for.
    pub kind: BudgetKind,
    /// How many bytes of it; zero where they were counted before the store could tell.
    pub asked: u64,
    /// Bytes that are held, of all kinds.
    pub used: u64,
    /// The limits, which the embedder may change.
    pub soft: Option<u64>,
    /// See `soft`.
    pub hard: Option<u64>,
}

/// Is told of the soft limit. An error ends the guest, or the host's call, that asked.
pub type AtSoftLimit = Box<dyn FnMut(&mut SoftLimitPassed) -> Result<(), Error> + Send + Sync>;

/// The budget, once somebody has asked for it.
#[derive(Default)]
pub(crate) struct StoreBudget(Option<Box<Made>>);

struct Made {
    budget: Budget,
    at_soft_limit: Option<AtSoftLimit>,
}

/// Bytes of a table of so many elements.
pub(crate) fn table_bytes(len: u64) -> u64 {
    len.saturating_mul(size_of::<u64>() as u64)
}

/// Bytes of an instance's record.
pub(crate) fn record_bytes(instance: &InstanceData) -> u64 {
    description_len(instance.module().layout()) as u64
}

impl From<OverBudget> for ErrorKind {
    fn from(refused: OverBudget) -> Self {
        ErrorKind::Limit(refused.to_string())
    }
}

impl From<OverBudget> for Error {
    fn from(refused: OverBudget) -> Self {
        Error::new(refused)
    }
}

impl Store {
    /// The budget of all that the store's guests make the host hold. It has no limits at first. Stores that nobody asks this don't count.
    pub fn budget(&mut self) -> Budget {
        if self.budget.0.is_none() {
            let budget = Budget::default();
            self.count_held(&budget);
            self.budget.0 = Some(Box::new(Made { budget, at_soft_limit: None }));
        }
        self.budget.0.as_deref().expect("it was just made").budget.clone()
    }

    /// Says who is told when the total is about to pass the soft limit: on the thread that uses the store, once until the total was at or below
    /// the limit again. It must not use the store; what it tries is refused.
    ///
    /// # Errors
    /// While the store's limiter, or who is told, runs.
    pub fn at_soft_limit(&mut self, told: Option<AtSoftLimit>) -> Result<(), Error> {
        self.limiter.check_idle()?;
        self.budget();
        let made = self.budget.0.as_deref_mut().expect("it was just made");
        let before = std::mem::replace(&mut made.at_soft_limit, told);
        self.finalize(before);
        Ok(())
    }

    fn count_held(&self, budget: &Budget) {
        let memories: usize = self.instances.memories.iter().map(|memory| memory.place().1).sum();
        let shared = self.instances.rare.as_deref().map_or(0, |rare| rare.shared_memory_bytes);
        let tables = self.instances.tables.iter().map(|table| table_bytes(table.len() as u64)).sum();
        let stacks: usize = self.fiber_stacks().map(|stack| stack.reserved_len()).sum();
        budget.add_held(BudgetKind::Memory, memories as u64 + shared);
        budget.add_held(BudgetKind::Table, tables);
        budget.add_held(BudgetKind::GcHeap, self.gc.statistics(self.vm.heap_top).size_bytes);
        budget.add_held(BudgetKind::Stack, stacks as u64);
        budget.add_held(BudgetKind::Instance, self.instances.iter().map(record_bytes).sum());
        self.instances.iter().for_each(|instance| instance.module().code().note_instance(self.id(), Some(budget)));
    }

    /// Counts what the engine is about to hold.
    ///
    /// # Errors
    /// The hard limit is in the way, or the embedder, told of the soft one, says so.
    #[inline]
    pub(crate) fn charge(&mut self, kind: BudgetKind, bytes: u64) -> Result<(), Error> {
        Ok(self.try_charge(kind, bytes)??)
    }

    /// The same, where the hard limit is no error of the call's.
    ///
    /// # Errors
    /// What the embedder says.
    #[inline]
    pub(crate) fn try_charge(&mut self, kind: BudgetKind, bytes: u64) -> Result<Result<(), OverBudget>, Error> {
        if self.budget.0.is_none() { Ok(Ok(())) } else { self.charge_made(kind, bytes) }
    }

    #[inline(never)]
    fn charge_made(&mut self, kind: BudgetKind, bytes: u64) -> Result<Result<(), OverBudget>, Error> {
        let Some(made) = self.budget.0.as_deref() else { return Ok(Ok(())) };
        if made.budget.passes_soft_limit(bytes) {
            self.tell_of_soft_limit(kind, bytes)?;
        }
        Ok(self.budget.0.as_deref().map_or(Ok(()), |made| made.budget.add(kind, bytes)))
    }

    /// Counts the code of a module for the store, which is to have an instance of it, if no other has had one.
    #[inline]
    pub(crate) fn count_code(&self, module: &Module) {
        module.code().note_instance(self.id(), self.budget.0.as_deref().map(|made| &made.budget));
    }

    /// Counts it no more, if this was the store's last instance of the module.
    pub(crate) fn count_code_no_more(&self, module: &Module) {
        let code = module.code();
        if self.budget.0.is_some() && !self.instances.iter().any(|other| Arc::ptr_eq(other.module().code(), code)) {
            code.note_no_instance(self.id());
        }
    }

    /// What was counted is held no more.
    #[inline]
    pub(crate) fn release(&mut self, kind: BudgetKind, bytes: u64) {
        if let Some(made) = self.budget.0.as_deref() {
            made.budget.subtract(kind, bytes);
        }
    }

    /// Tells the embedder of the soft limit, where somebody has passed it who had no store at hand: what WASI and components hold is
    /// counted on their side.
    ///
    /// # Errors
    /// What the embedder says.
    #[inline]
    pub fn check_budget(&mut self) -> Result<(), Error> {
        match self.budget.0.as_deref().and_then(|made| made.budget.due()) {
            Some(kind) => self.tell_of_soft_limit(kind, 0),
            None => Ok(()),
        }
    }

    #[cold]
    fn tell_of_soft_limit(&mut self, kind: BudgetKind, asked: u64) -> Result<(), Error> {
        let Some(made) = self.budget.0.as_deref_mut().filter(|_| self.limiter.is_idle()) else { return Ok(()) };
        let budget = made.budget.clone();
        let Some(mut told) = made.at_soft_limit.take() else {
            budget.note_told(true);
            return Ok(());
        };
        let (soft, hard) = (budget.soft_limit(), budget.hard_limit());
        let mut passed = SoftLimitPassed { kind, asked, used: budget.total(), soft, hard };
        let answer = self.refusing_use("the callback of the store's soft limit is running", |_| told(&mut passed));
        if let Some(made) = self.budget.0.as_deref_mut() {
            made.at_soft_limit = Some(told);
        }
        answer?;
        if (passed.soft, passed.hard) != (soft, hard) {
            budget.set_limits(passed.soft, passed.hard);
        }
        let total = budget.total().saturating_add(asked);
        budget.note_told(budget.soft_limit().is_some_and(|limit| total > limit));
        Ok(())
    }

    /// The store is being dropped.
    pub(super) fn end_budget(&mut self) {
        if let Some(made) = self.budget.0.as_deref() {
            self.instances.iter().for_each(|instance| instance.module().code().note_no_instance(self.id()));
            made.budget.end();
        }
    }
}
