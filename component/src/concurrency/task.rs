//! Tasks (Canonical ABI, "Tasks"): calls of a component's functions.

use super::arena::{self, NONE};
use super::thread::Start;
use super::waitable::{Callee, SubtaskState};
use super::{Concurrency, MAX_GUEST_TASKS, MAX_HOST_TASKS, Started};
use crate::canon::options::Options;
use crate::records::FuncData;
use crate::state::ComponentState;
use crate::val::Val;
use ampoule::{Error, Store, TrapCode, VmValRaw};

/// A call of a function of a component.
pub(crate) struct Task {
    pub(crate) instance: u32,
    /// The function, by its place in the store; [`NONE`] of a destructor, or what is done when an instance is made.
    pub(crate) func: u32,
    pub(crate) state: State,
    pub(crate) caller: Caller,
    pub(crate) args: Args,
    /// What it has borrowed; [`NONE`] where it can't.
    pub(crate) scope: u32,
    /// The thread that it began with.
    pub(crate) implicit: u32,
    /// How many threads it has.
    pub(crate) threads: u32,
    /// Whether no two such tasks of an instance run at a time, not even alternately.
    pub(crate) needs_exclusive: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Initial,
    Started,
    /// It is to be cancelled, and has not been told yet.
    PendingCancel,
    /// It was told.
    CancelDelivered,
    Resolved,
}

/// Who waits for a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Caller {
    /// Nobody, or the caller takes the result from the function itself.
    Itself,
    /// The host, in this call.
    Host(u32),
    /// A component, by this subtask.
    Subtask(u32),
}

impl Caller {
    fn is_host(self) -> bool {
        matches!(self, Caller::Host(_))
    }
}

impl Concurrency {
    /// Whether whoever calls may begin one more task.
    fn check_another_task(&self, caller: Caller) -> Result<(), Error> {
        let (have, most, what) = if caller.is_host() {
            (self.host_tasks, MAX_HOST_TASKS, "tasks that the host has begun")
        } else {
            (self.tasks.len() - self.host_tasks, MAX_GUEST_TASKS, "tasks")
        };
        if have < most { Ok(()) } else { Err(arena::full(what, most)) }
    }
}

/// What a task is called with, until it starts.
///
/// 1. Values that are borrowed are used before the call that lends them returns or fails; a call that lets others go on meanwhile
///    makes them the task's own.
#[derive(Default)]
pub(crate) enum Args {
    #[default]
    None,
    Host(*const [Val]),
    OwnHost(Box<[Val]>),
    /// The host's memory.
    Memory(*mut LowerWith<'static>),
    Core(*const [VmValRaw]),
    OwnCore(Box<[VmValRaw]>),
}

/// Puts what the host has in its own memory into core values, and the guest's memory.
pub(crate) type LowerWith<'f> = dyn FnMut(&mut Store, &Options, &mut [VmValRaw]) -> Result<(), Error> + 'f;

/// Takes a result out of core values, or the guest's memory where it isn't flat, into the host's own memory.
pub(crate) type LiftWith<'f> = dyn FnMut(&mut Store, &Options, bool, &[VmValRaw]) -> Result<(), Error> + 'f;

// SAFETY: what is pointed to is used by the call that lends it, by (1), on the thread that uses the store.
unsafe impl Send for Args {}
// SAFETY: a shared reference gives nothing away.
unsafe impl Sync for Args {}

impl ComponentState {
    /// Adds a task, with its thread.
    ///
    /// # Errors
    /// Where there are too many.
    pub(crate) fn add_task(
        &mut self,
        (instance, func): (u32, u32),
        caller: Caller,
        start: Start,
        needs_exclusive: bool,
    ) -> Result<u32, Error> {
        self.concurrency.check_another_task(caller)?;
        let task = self.concurrency.tasks.insert(Task {
            instance,
            func,
            state: State::Initial,
            caller,
            args: Args::None,
            scope: NONE,
            implicit: NONE,
            threads: 0,
            needs_exclusive,
        })?;
        match self.add_thread(task, start) {
            Ok(thread) => {
                self.concurrency.tasks[task].implicit = thread;
                self.concurrency.host_tasks += usize::from(caller.is_host());
                Ok(thread)
            }
            Err(error) => {
                self.concurrency.tasks.remove(task);
                Err(error)
            }
        }
    }

    /// A thread of a task has ended.
    ///
    /// # Errors
    /// Where it was the last, and the task has no result.
    pub(super) fn leave_task(&mut self, task: u32) -> Result<(), Error> {
        let found = &mut self.concurrency.tasks[task];
        found.threads -= 1;
        if found.threads > 0 {
            return Ok(());
        }
        let is_resolved = found.state == State::Resolved || found.caller == Caller::Itself;
        self.concurrency.host_tasks -= usize::from(found.caller.is_host());
        self.concurrency.tasks.remove(task);
        if is_resolved { Ok(()) } else { Err(Error::trap(TrapCode::NoAsyncResult)) }
    }

    /// The function of a task, which stays where it is as long as the store.
    pub(crate) fn func_of(&self, task: u32) -> *const FuncData {
        &raw const self.funcs[self.concurrency.tasks[task].func as usize]
    }

    /// A task starts: its caller, where that is a component which goes on meanwhile, is told.
    pub(crate) fn start(&mut self, task: u32) {
        let found = &mut self.concurrency.tasks[task];
        if found.state == State::Initial {
            found.state = State::Started;
        }
        if let Caller::Subtask(id) = found.caller {
            self.subtask(id).state = SubtaskState::Started;
            self.progress(id);
        }
    }

    /// A subtask has got on: its caller is told, where that has a handle for it or waits.
    pub(crate) fn progress(&mut self, id: u32) {
        let waitable = &self.concurrency.waitables[id];
        if waitable.index != 0 {
            self.set_pending(id);
        } else if waitable.waiter != NONE {
            let waiter = waitable.waiter;
            self.concurrency.look_at(waiter);
        }
    }

    /// Checks that a task may end, with a result or without.
    ///
    /// # Errors
    /// Where it has kept what it was lent.
    pub(crate) fn check_resolvable(&mut self, task: u32) -> Result<(), Error> {
        let scope = self.concurrency.tasks[task].scope;
        if scope == NONE { Ok(()) } else { self.end_borrows(scope) }
    }

    /// A task ends without a result, because it was cancelled.
    ///
    /// # Errors
    /// Where it was not, or has kept what it was lent.
    pub(crate) fn cancel(&mut self, task: u32) -> Result<(), Error> {
        match self.concurrency.tasks[task].state {
            State::CancelDelivered => {}
            State::Resolved => return Err(Error::trap(TrapCode::TaskCancelOrReturnTwice)),
            _ => return Err(Error::trap(TrapCode::TaskCancelNotCancelled)),
        }
        self.check_resolvable(task)?;
        self.concurrency.tasks[task].state = State::Resolved;
        match self.concurrency.tasks[task].caller {
            Caller::Itself => {}
            Caller::Host(call) => {
                let scope = std::mem::replace(&mut self.concurrency.tasks[task].scope, NONE);
                self.end_lends(scope);
                self.end_host_call(call, Err(Error::message("the call was cancelled")));
            }
            Caller::Subtask(id) => {
                let subtask = self.subtask(id);
                subtask.state = match subtask.state {
                    SubtaskState::Starting => SubtaskState::CancelledBeforeStarted,
                    _ => SubtaskState::CancelledBeforeReturned,
                };
                subtask.callee = Callee::Nobody;
                self.progress(id);
            }
        }
        Ok(())
    }

    /// A call from the host is over.
    pub(crate) fn end_host_call(&mut self, call: u32, outcome: Result<Option<Val>, Error>) {
        let Some(found) = self.concurrency.calls.get(call) else { return };
        if found.started == Some(Started::Forgotten) {
            self.concurrency.calls.remove(call);
            return;
        }
        found.outcome = Some(outcome);
        if let Some(waiter) = found.waiter {
            self.concurrency.look_at(waiter);
        }
    }
}
