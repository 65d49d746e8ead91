//! A limiter of the embedder's: asked before anything is made or grown, beside the fixed numbers in [`super::limits`].
//!
//! Both have to allow; the numbers are looked at first, and what they refuse the limiter is only told of. While the limiter runs the store
//! is in the middle of something, so entering it, and making or growing things in it, is refused. Calls and growth outside of the
//! limiter pay nothing for these checks: while it runs, [`LimiterSlot`] is busy, the stack's bounds are marked as unknown, and the
//! limit for nested calls is above every stack pointer; each leads to a path that is rare anyway, where `busy` is looked at.

use super::Store;
use super::budget::table_bytes;
use crate::engine::budget::{BudgetKind, OverBudget};
use crate::error::{Error, ErrorKind};

/// What is to be made or grown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    /// A linear memory; sizes are in bytes. Also a shared one, where a guest of the store makes or grows it.
    Memory,
    /// A table; sizes are in elements.
    Table,
    /// Instances of the store; sizes are how many.
    Instance,
}

/// What a limiter is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitRequest {
    /// Of what.
    pub resource: Resource,
    /// Whether it is there already, and grows; it is made otherwise.
    pub grows: bool,
    /// The size now; zero for what is made.
    pub current: u64,
    /// The size wanted.
    pub desired: u64,
    /// What the type says is the most.
    pub maximum: Option<u64>,
}

/// Decides what a store may have.
pub trait Limiter: Send + Sync {
    /// Whether the request is granted. Only requests that types and the store's fixed limits allow come here.
    ///
    /// # Errors
    /// Ends the guest, or the host's call, that asked. A plain refusal lets `memory.grow` and `table.grow` answer -1.
    fn allow(&mut self, request: &LimitRequest) -> Result<bool, Error>;

    /// A request came to nothing: refused by its type, by the fixed limits, by [`Limiter::allow`] (unless that gave an error), or
    /// by the system.
    fn failed(&mut self, request: &LimitRequest, reason: &Error);
}

/// The embedder's limiter, if any.
#[derive(Default)]
pub(crate) struct LimiterSlot {
    limiter: Option<Box<dyn Limiter>>,
    /// Whether it is running, or who is told of the budget's soft limit. It has been taken out of `limiter` then.
    busy: bool,
}

impl LimiterSlot {
    /// Refuses what must not happen while the limiter runs.
    pub(crate) fn check_idle(&self) -> Result<(), Error> {
        if self.busy { Err(busy()) } else { Ok(()) }
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.busy
    }
}

/// Why something did not grow.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refused {
    /// Its type, a limit, the limiter or the system.
    Otherwise,
    /// The store's budget.
    OverBudget(OverBudget),
}

impl Refused {
    /// The reason for the host, which asked for the growth that `failed` tells of.
    pub(crate) fn into_error(self, failed: impl FnOnce() -> String) -> Error {
        match self {
            Refused::Otherwise => Error::new(ErrorKind::Limit(failed())),
            Refused::OverBudget(refused) => refused.into(),
        }
    }
}

#[cold]
fn busy() -> Error {
    Error::message("a limiter cannot use the store that asks it")
}

impl Store {
    /// Sets or removes the limiter. It holds for what is made and grown from then on.
    ///
    /// # Errors
    /// While the limiter runs.
    pub fn set_limiter(&mut self, limiter: Option<Box<dyn Limiter>>) -> Result<(), Error> {
        self.limiter.check_idle()?;
        let before = std::mem::replace(&mut self.limiter.limiter, limiter);
        self.finalize(before);
        Ok(())
    }

    /// Whether the limiter grants a request.
    #[inline]
    pub(crate) fn ask_limiter(&mut self, request: &LimitRequest) -> Result<bool, Error> {
        if self.limiter.limiter.is_none() && !self.limiter.busy {
            return Ok(true);
        }
        self.with_limiter(|limiter| limiter.allow(request))?.unwrap_or(Ok(true))
    }

    /// As [`Store::ask_limiter`], for what is made: a refusal is an error.
    #[inline]
    pub(crate) fn ask_limiter_for(
        &mut self,
        resource: Resource,
        desired: u64,
        maximum: Option<u64>,
        refused: impl FnOnce() -> Error,
    ) -> Result<(), Error> {
        let request = LimitRequest { resource, grows: false, current: 0, desired, maximum };
        if self.ask_limiter(&request)? {
            return Ok(());
        }
        let error = refused();
        self.tell_limiter(&request, &error);
        Err(error)
    }

    /// Tells the limiter of a request that failed.
    pub(crate) fn tell_limiter(&mut self, request: &LimitRequest, reason: &Error) {
        // Where the limiter is running, the request is its own, and its error says why it failed.
        let _ = self.with_limiter(|limiter| limiter.failed(request, reason));
    }

    /// Grows a memory or a table, which counts as `kind`, where its type (`most`), the limits, the limiter and the budget allow that
    /// and `enlarge` can. Where nothing changed, the limiter was told.
    ///
    /// # Errors
    /// What the limiter says, or who is told of the budget's soft limit.
    #[inline]
    pub(crate) fn grow<T>(
        &mut self,
        request: &LimitRequest,
        kind: BudgetKind,
        most: u64,
        enlarge: impl FnOnce(&mut Store) -> Option<T>,
    ) -> Result<Result<T, Refused>, Error> {
        let allowed = request.desired <= most
            && match request.resource {
                Resource::Memory => self.limits.allow_memory(request.desired),
                Resource::Table => self.limits.allow_table(request.desired),
                Resource::Instance => unreachable!("instances are made, and do not grow"),
            };
        let mut grown = Err(Refused::Otherwise);
        if allowed && self.ask_limiter(request)? {
            let more = request.desired - request.current;
            let bytes = if request.resource == Resource::Table { table_bytes(more) } else { more };
            grown = match self.try_charge(kind, bytes)? {
                Ok(()) => enlarge(self).ok_or_else(|| {
                    self.release(kind, bytes);
                    Refused::Otherwise
                }),
                Err(refused) => Err(Refused::OverBudget(refused)),
            };
        }
        if grown.is_err() {
            self.growth_failed(request);
        }
        Ok(grown)
    }

    /// Tells the limiter of a growth that failed, for a reason in words that are only made where there is a limiter.
    fn growth_failed(&mut self, request: &LimitRequest) {
        if self.limiter.limiter.is_some() {
            let what = if request.resource == Resource::Memory { "memory" } else { "table" };
            let (current, desired) = (request.current, request.desired);
            let reason = format!("{what} cannot grow from {current} to {desired}");
            self.tell_limiter(request, &Error::new(ErrorKind::Limit(reason)));
        }
    }

    fn with_limiter<R>(&mut self, run: impl FnOnce(&mut dyn Limiter) -> R) -> Result<Option<R>, Error> {
        self.limiter.check_idle()?;
        let Some(mut limiter) = self.limiter.limiter.take() else { return Ok(None) };
        let answer = self.refusing_use("the store's limiter is running", |_| run(&mut *limiter));
        self.limiter.limiter = Some(limiter);
        Ok(Some(answer))
    }

    /// Calls something of the host's that must not use the store: what it tries is refused.
    pub(super) fn refusing_use<R>(&mut self, what: &'static str, call: impl FnOnce(&mut Store) -> R) -> R {
        self.limiter.busy = true;
        self.vm.entry.stack.keep_asking();
        let stack_limit = std::mem::replace(&mut self.vm.stack_limit, usize::MAX);
        let answer = self.calling_host(what, call);
        self.vm.stack_limit = stack_limit;
        self.limiter.busy = false;
        answer
    }
}
