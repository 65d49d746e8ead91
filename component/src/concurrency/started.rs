//! Calls that the host has begun and doesn't wait for: they go on whenever the event loop of their store runs, several beside one another, and
//! their results wait for whoever asks.

use super::arena::NONE;
use super::cancel::request_cancellation;
use super::run::abandon;
use super::task::{Args, Caller};
use super::thread::{Start, Wait};
use super::{HostCall, Started};
use crate::concurrency::call::Lifted;
use crate::end::{Messenger, Signal};
use crate::func::Func;
use crate::records::FuncData;
use crate::state::{ComponentState, cannot_enter};
use crate::val::Val;
use ampoule::{Error, Store};
use std::fmt;
use std::task::Poll;

/// A call of a component's function that was started; see [`Func::start`]. Whoever drops it doesn't want the result: the call goes on.
pub struct StartedCall {
    store: u64,
    call: u32,
    has_result: bool,
    messenger: Messenger,
}

impl Func {
    /// Starts a call, which runs from the next [`crate::run_tasks`] on, or while another call runs, beside others. Arguments that don't fit
    /// the type are an error of the call.
    ///
    /// Any number of calls may have been started in a store, also of one function; what it means that two are in an instance at a time is
    /// the component's to say. From the first one on, calls into the components of the store run on stacks of their own.
    ///
    /// # Errors
    /// Where the function is another store's or there are too many arguments or too few; where no component of the store can be called
    /// any more, or too many calls run.
    pub fn start(&self, store: &mut Store, args: Vec<Val>) -> Result<StartedCall, Error> {
        self.start_with(store, args.len(), || args.into())
    }

    /// The same with so many arguments, which are only taken where there is no error.
    ///
    /// # Errors
    /// As [`Func::start`].
    pub fn start_with(
        &self,
        store: &mut Store,
        count: usize,
        args: impl FnOnce() -> Box<[Val]>,
    ) -> Result<StartedCall, Error> {
        let data: *const FuncData = self.data(store)?;
        // SAFETY: functions stay where they are as long as their store.
        let FuncData::Lifted { core, ty, options } = (unsafe { &*data }) else {
            return Err(Error::message("a function of the host is called by components only"));
        };
        let params = ty.params().len();
        if count != params {
            return Err(Error::message(format!("expected {params} argument(s), got {count}")));
        }
        let lifted = Lifted { func: self.index, core, ty, options };
        let (id, state) = (store.id(), ComponentState::of(store));
        if state.poisoned {
            return Err(cannot_enter());
        }
        state.become_concurrent();
        let call = state.concurrency.calls.insert(HostCall::default())?;
        match state.begin_started(call, lifted) {
            Ok(task) => {
                state.concurrency.tasks[task].args = Args::OwnHost(args());
                state.concurrency.calls[call].started = Some(Started::Held { task });
            }
            Err(error) => {
                state.concurrency.calls.remove(call);
                return Err(error);
            }
        }
        let (has_result, messenger) = (ty.result().is_some(), state.concurrency.mailbox.messenger());
        Ok(StartedCall { store: id, call, has_result, messenger })
    }
}

impl StartedCall {
    fn record<'s>(&self, store: &'s mut Store) -> Result<&'s mut HostCall, Error> {
        if store.id() != self.store {
            return Err(Error::message("object used with the wrong store"));
        }
        let found = ComponentState::of(store).concurrency.calls.get(self.call);
        found.ok_or_else(|| Error::message("the result of the call was taken"))
    }

    /// Whether the function has a result.
    pub fn has_result(&self) -> bool {
        self.has_result
    }

    /// Whether the result can be taken.
    ///
    /// # Errors
    /// Where the call is another store's, or its result was taken.
    pub fn is_over(&self, store: &mut Store) -> Result<bool, Error> {
        self.record(store).map(|call| call.outcome.is_some())
    }

    /// Takes the result, where it is there; `None` of a function that has none. This does nothing for the call.
    ///
    /// # Errors
    /// What the call came to, where that is an error; and as [`StartedCall::is_over`].
    pub fn take(&mut self, store: &mut Store) -> Poll<Result<Option<Val>, Error>> {
        match self.record(store) {
            Err(error) => Poll::Ready(Err(error)),
            Ok(HostCall { outcome: None, .. }) => Poll::Pending,
            Ok(_) => {
                let call = std::mem::replace(&mut self.call, NONE);
                let call = ComponentState::of(store).concurrency.calls.remove(call).expect("it is there");
                Poll::Ready(call.outcome.expect("it is over"))
            }
        }
    }

    /// Asks the callee to end early (Canonical ABI, "`canon subtask.cancel`"): a call that has not begun doesn't, and one that agrees ends
    /// with an error that says so. It may also go on, to its result. A call that is over stays so.
    ///
    /// # Errors
    /// Where the call is another store's, or its result was taken; and what has stopped a guest: no component of this store can be called
    /// any more.
    pub fn cancel(&self, store: &mut Store) -> Result<(), Error> {
        let call = self.record(store)?;
        let (None, Some(Started::Held { task })) = (&call.outcome, call.started) else { return Ok(()) };
        let is_inside = ComponentState::of(store).concurrency.current != NONE && store.on_sibling();
        if is_inside {
            return request_cancellation(store, task);
        }
        let in_loop = store.begin_loop()?;
        let cancelled = request_cancellation(store, task);
        store.end_loop(in_loop);
        cancelled.inspect_err(|error| abandon(store, error))
    }
}

impl Drop for StartedCall {
    fn drop(&mut self) {
        if self.call != NONE {
            self.messenger.send(Signal::Forgotten(self.call));
        }
    }
}

impl fmt::Debug for StartedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartedCall").finish_non_exhaustive()
    }
}

impl ComponentState {
    /// Adds the task of a call that was started, with a thread that waits for its turn. Gives the task.
    fn begin_started(&mut self, call: u32, lifted: Lifted<'_>) -> Result<u32, Error> {
        let instance = lifted.options.instance;
        let scope = if lifted.ty.has_handles { self.new_scope(NONE)? } else { NONE };
        let at = (instance, lifted.func);
        let added = self.add_task(at, Caller::Host(call), Start::Task, lifted.needs_exclusive());
        let thread = added.inspect_err(|_| self.end_lends(scope))?;
        let found = &mut self.concurrency.threads[thread];
        found.scope = scope;
        let id = found.task;
        if lifted.ty.is_async() {
            found.wait = Some(Wait::Entry);
            self.instance(instance).tasks.entering.push_back(thread);
        } else {
            found.wait = Some(Wait::Nothing);
        }
        self.concurrency.tasks[id].scope = scope;
        self.concurrency.look_at(thread);
        Ok(id)
    }
}

/// Nobody wants the result of a call any more.
pub(super) fn forget(state: &mut ComponentState, call: u32) {
    match state.concurrency.calls.get(call) {
        Some(HostCall { outcome: Some(_), .. }) => _ = state.concurrency.calls.remove(call),
        Some(found) => found.started = Some(Started::Forgotten),
        None => {}
    }
}

/// Nothing goes on any more in a store, for this reason: what was started has come to that.
pub(super) fn fail_all(state: &mut ComponentState, why: &Error) {
    for call in state.concurrency.calls.find_all(|call| call.started.is_some() && call.outcome.is_none()) {
        state.end_host_call(call, Err(why.clone()));
    }
}
