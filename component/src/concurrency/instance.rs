//! Which tasks of a component instance may run: backpressure, and the tasks that need the instance for themselves.

use super::Concurrency;
use super::arena::NONE;
use crate::on_demand::Empty;
use crate::state::ComponentState;
use std::collections::VecDeque;

/// What an instance knows of its tasks.
pub(crate) struct InstanceTasks {
    /// The thread that has the instance for itself among those that need it so: of functions without a callback that are called
    /// synchronously, and in callbacks.
    pub(crate) exclusive: u32,
    /// How often `backpressure.inc` was called more than `backpressure.dec`.
    pub(crate) backpressure: u32,
    /// Threads of tasks that have not started, in order.
    pub(crate) entering: VecDeque<u32>,
    /// Threads that would be ready if nobody had the instance for itself.
    pub(crate) blocked: VecDeque<u32>,
    /// Threads by the numbers that the guest knows them by, which begin at 1; [`NONE`] where a number is free.
    pub(crate) threads: Vec<u32>,
}

/// The values that `backpressure.inc` and `backpressure.dec` may count to.
pub(crate) const MAX_BACKPRESSURE: u32 = (1 << 16) - 1;

impl Empty for InstanceTasks {
    const EMPTY: Self = Self {
        exclusive: NONE,
        backpressure: 0,
        entering: VecDeque::new(),
        blocked: VecDeque::new(),
        threads: Vec::new(),
    };

    fn empty() -> &'static Self {
        static EMPTY: InstanceTasks = InstanceTasks::EMPTY;
        &EMPTY
    }
}

impl ComponentState {
    /// Whether a task that has not started would have to wait, were it alone.
    pub(crate) fn is_held_off(&mut self, instance: u32, needs_exclusive: bool) -> bool {
        let tasks = &self.instance(instance).tasks;
        tasks.backpressure > 0 || (needs_exclusive && tasks.exclusive != NONE)
    }

    /// Nobody has the instance for itself any more: those that have waited for that are looked at.
    pub(crate) fn release_exclusive(&mut self, instance: u32) {
        let tasks = &mut self.instances[instance as usize].tasks;
        tasks.exclusive = NONE;
        let blocked = tasks.blocked.pop_front();
        let entering = tasks.entering.front().copied();
        blocked.into_iter().chain(entering).for_each(|thread| self.concurrency.look_at(thread));
    }

    /// The next task that has not started is looked at.
    pub(crate) fn look_at_entering(&mut self, instance: u32) {
        if let Some(&thread) = self.instances[instance as usize].tasks.entering.front() {
            self.concurrency.look_at(thread);
        }
    }
}

impl Concurrency {
    /// Has the event loop look whether a thread is ready.
    pub(crate) fn look_at(&mut self, thread: u32) {
        if let Some(found) = self.threads.get(thread)
            && !found.is_queued
        {
            found.is_queued = true;
            self.ready.push_back(thread);
        }
    }
}
