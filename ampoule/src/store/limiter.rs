//! A limiter of the embedder's: asked before anything is made or grown, beside the fixed numbers in [`super::limits`].
//!
//! Both have to allow; the numbers are looked at first, and what they refuse the limiter is only told of. While the limiter runs the store
//! is in the middle of something, so entering it, and making or growing things in it, is refused. Calls and growth outside of the
//! limiter pay nothing for these checks: while it runs, [`LimiterSlot`] is empty, the stack's bounds are marked as unknown, and the
//! limit for nested calls is above every stack pointer; each leads to a path that is rare anyway, where `busy` is looked at.

use super::Store;
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
    /// Whether it is running. It has been taken out of `limiter` then.
    busy: bool,
}

impl LimiterSlot {
    /// Refuses what must not happen while the limiter runs.
    pub(crate) fn check_idle(&self) -> Result<(), Error> {
        if self.busy { Err(busy()) } else { Ok(()) }
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

    /// Grows a memory or a table, where its type (`most`), the limits and the limiter allow that and `enlarge` can; `None` where
    /// nothing changed, of which the limiter was told.
    ///
    /// # Errors
    /// What the limiter says.
    #[inline]
    pub(crate) fn grow<T>(
        &mut self,
        request: &LimitRequest,
        most: u64,
        enlarge: impl FnOnce(&mut Store) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let allowed = request.desired <= most
            && match request.resource {
                Resource::Memory => self.limits.allow_memory(request.desired),
                Resource::Table => self.limits.allow_table(request.desired),
                Resource::Instance => unreachable!("instances are made, and do not grow"),
            };
        let grown = if allowed && self.ask_limiter(request)? { enlarge(self) } else { None };
        if grown.is_none() {
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
        self.limiter.busy = true;
        self.vm.entry.stack.keep_asking();
        let stack_limit = std::mem::replace(&mut self.vm.stack_limit, usize::MAX);
        let answer = self.calling_host("the store's limiter is running", |_| run(&mut *limiter));
        self.vm.stack_limit = stack_limit;
        self.limiter = LimiterSlot { limiter: Some(limiter), busy: false };
        Ok(Some(answer))
    }
}
