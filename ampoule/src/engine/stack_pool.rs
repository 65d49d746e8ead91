//! An engine's stacks for fibers: kept when a store is done with them, made when there is none.
//!
//! A store keeps the stack that it used last, so that its next asynchronous call needs neither this pool nor the operating system.
//! Where stacks are counted or cleared, it gives each back at once, so that a stack is counted only while a call needs it. A counted
//! one then keeps the memory that it used for as long as there are as many stores that make asynchronous calls: what
//! each would keep by itself, without asking the system at every call.

use crate::engine::config::Config;
use crate::error::{Error, ErrorKind};
/// A stack that the embedder provides.
pub use ampoule_machine::fiber::HostStack;
use ampoule_machine::fiber::{Fiber, FiberStack};
use ampoule_machine::os::sync::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// Makes stacks for fibers in place of the engine.
pub trait HostStackCreator: Send + Sync {
    /// A stack of at least `size` bytes, a multiple of the page size; all zeros, with `zeroed`.
    ///
    /// # Errors
    /// Where there is none to be had.
    fn create(&self, size: usize, zeroed: bool) -> Result<Box<dyn HostStack>, Error>;
}

/// A creator, as a configuration holds it.
#[derive(Clone)]
pub struct HostStacks(pub Arc<dyn HostStackCreator>);

impl fmt::Debug for HostStacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostStacks")
    }
}

/// The stacks that no store has.
pub(crate) struct StackPool {
    size: usize,
    zeroing: bool,
    keep_resident: usize,
    limit: Option<usize>,
    host: Option<HostStacks>,
    state: Mutex<State>,
}

/// `used` never has more stacks than there are stores in `stores`.
#[derive(Default)]
struct State {
    /// Stacks as good as new.
    idle: Vec<FiberStack>,
    /// Stacks as their last fiber left them, that one at the end.
    used: VecDeque<Box<Fiber>>,
    /// Stacks that were taken and not given back.
    taken: usize,
    /// Stores that have taken a counted stack, and live.
    stores: usize,
}

/// Stacks kept where their number is not limited.
const MAX_IDLE: usize = 256;

/// What of each keeps its memory then, in bytes.
const KEEP_RESIDENT: usize = 64 << 10;

impl StackPool {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            size: config.async_stack_bytes(),
            zeroing: config.async_stack_zeroing,
            keep_resident: config.pool.as_ref().map_or(KEEP_RESIDENT, |pool| pool.async_stack_keep_resident),
            limit: config.pool.as_ref().map(|pool| pool.total_stacks as usize),
            host: config.host_stacks.clone(),
            state: Mutex::default(),
        }
    }

    /// Whether a store may keep a stack that it doesn't need now.
    #[inline]
    pub(crate) fn lends_for_long(&self) -> bool {
        self.limit.is_none() && !self.zeroing
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// An idle fiber on a stack.
    ///
    /// # Errors
    /// Where as many as there may be are in use, or none can be made.
    pub(crate) fn take(&self) -> Result<Box<Fiber>, Error> {
        let mut state = self.lock();
        if let Some(limit) = self.limit.filter(|&limit| state.taken >= limit) {
            let message = format!("maximum concurrent limit of {limit} for fibers reached");
            return Err(Error::new(ErrorKind::Limit(message)));
        }
        state.taken += 1;
        if let Some(fiber) = state.used.pop_back() {
            return Ok(fiber);
        }
        let idle = state.idle.pop();
        // The embedder's function runs without the lock.
        drop(state);
        idle.map_or_else(|| self.make(), Ok).map(Fiber::new).inspect_err(|_| self.lock().taken -= 1)
    }

    fn make(&self) -> Result<FiberStack, Error> {
        let Some(host) = &self.host else {
            return FiberStack::new(self.size)
                .map_err(|error| Error::new(ErrorKind::System("making a stack for a fiber", error)));
        };
        let stack = host.0.create(self.size, self.zeroing)?;
        FiberStack::of_host(stack)
            .ok_or_else(|| Error::message("the host's stack is too short, or not at page boundaries"))
    }

    /// Takes an idle fiber back, with its stack.
    pub(crate) fn give(&self, fiber: Box<Fiber>) {
        // The embedder may have made its stacks to be looked after by itself: none is kept.
        let keeps = self.host.is_none();
        if keeps && !self.zeroing {
            let mut state = self.lock();
            if state.used.len() < state.stores {
                state.taken -= 1;
                state.used.push_back(fiber);
                return;
            }
        }
        self.keep_idle(fiber.end(), keeps, 1);
    }

    /// Notes a store that takes stacks and keeps none by itself. It leaves, once, when it is dropped.
    pub(crate) fn join(&self) {
        self.lock().stores += 1;
    }

    /// See [`StackPool::join`].
    pub(crate) fn leave(&self) {
        let mut state = self.lock();
        state.stores -= 1;
        let excess = if state.used.len() > state.stores { state.used.pop_front() } else { None };
        drop(state);
        if let Some(fiber) = excess {
            self.keep_idle(fiber.end(), true, 0);
        }
    }

    /// Makes a stack as good as new and keeps it, if there are not as many as there may be. `taken` of it were counted so far.
    fn keep_idle(&self, mut stack: FiberStack, keeps: bool, taken: usize) {
        if keeps {
            stack.reset(self.keep_resident, self.zeroing);
        }
        let mut state = self.lock();
        state.taken -= taken;
        let below_limit = match self.limit {
            Some(limit) => state.idle.len() + state.used.len() + state.taken < limit,
            None => state.idle.len() < MAX_IDLE,
        };
        if keeps && below_limit {
            state.idle.push(stack);
        } else {
            // Unmapping, or the embedder's finalizer.
            drop(state);
            drop(stack);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::pool::PoolConfig;

    fn one_stack(async_stack_keep_resident: usize) -> Option<PoolConfig> {
        Some(PoolConfig { total_stacks: 1, async_stack_keep_resident, ..PoolConfig::default() })
    }

    #[test]
    fn no_more_stacks_than_the_limit_are_out_at_once() {
        let pool = StackPool::new(&Config { pool: one_stack(0), ..Config::default() });
        let stack = pool.take().unwrap();
        let error = pool.take().err().expect("the only one is out");
        assert!(error.to_string().contains("maximum concurrent limit of 1 for fibers reached"));
        let range = stack.stack().range();
        pool.give(stack);
        assert_eq!(pool.take().unwrap().stack().range(), range);
    }

    #[test]
    fn stacks_are_cleared_where_that_was_asked_for() {
        for keep_resident in [0, 64 << 10] {
            let pool = one_stack(keep_resident);
            let pool = StackPool::new(&Config { async_stack_zeroing: true, pool, ..Config::default() });
            let stack = pool.take().unwrap();
            let range = stack.stack().range();
            for address in range.clone().step_by(4096) {
                // SAFETY: the stack is ours, and no fiber is on it.
                unsafe { (address as *mut u8).write(1) };
            }
            pool.give(stack);
            let stack = pool.take().unwrap();
            assert_eq!(stack.stack().range(), range);
            for address in range.step_by(4096) {
                // SAFETY: as above.
                assert_eq!(unsafe { (address as *const u8).read() }, 0);
            }
        }
    }

    #[test]
    fn a_stack_that_could_not_be_made_is_not_counted() {
        struct Never;
        impl HostStackCreator for Never {
            fn create(&self, _: usize, _: bool) -> Result<Box<dyn HostStack>, Error> {
                Err(Error::message("not today"))
            }
        }
        let host_stacks = Some(HostStacks(Arc::new(Never)));
        let pool = StackPool::new(&Config { pool: one_stack(0), host_stacks, ..Config::default() });
        for _ in 0..3 {
            assert_eq!(pool.take().err().expect("there is none").to_string(), "not today");
        }
    }
}
