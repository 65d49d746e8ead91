//! Cancellation of subtasks (Canonical ABI, "`canon subtask.cancel`").

use super::host;
use super::run::{block, resume};
use super::task::State;
use super::thread::{Start, Wait};
use super::waitable::Callee;
use crate::handle::wrong_kind;
use crate::state::ComponentState;
use ampoule::{Error, Store, TrapCode};

/// What is answered where what was asked for isn't over yet.
pub(super) const BLOCKED: u32 = u32::MAX;

/// `subtask.cancel`: asks the callee to end early. Gives the state.
///
/// # Errors
/// Where there is no such subtask, it is over or was cancelled before, or waiting for it is not allowed.
pub(crate) fn subtask_cancel(store: &mut Store, instance: u32, index: u32, is_async: bool) -> Result<u32, Error> {
    let state = ComponentState::of(store);
    if !is_async {
        state.check_may_block()?;
    }
    let id = state.waitable_at(instance, index)?;
    let Some(subtask) = state.concurrency.waitables[id].as_subtask() else {
        return Err(wrong_kind(index, "a subtask"));
    };
    if subtask.resolve_delivered || subtask.cancellation_requested {
        return Err(Error::trap(TrapCode::SubtaskCancelAfterTerminal));
    }
    let (is_resolved, callee) = (subtask.is_resolved(), subtask.callee);
    if !is_async {
        state.check_in_no_set(id)?;
    }
    if !is_resolved {
        state.subtask(id).cancellation_requested = true;
        match callee {
            Callee::Task(task) => request_cancellation(store, task)?,
            Callee::Host(future) => host::cancel(store, future)?,
            Callee::Nobody => {}
        }
        if !ComponentState::of(store).subtask(id).is_resolved() {
            if is_async {
                return Ok(BLOCKED);
            }
            // It may have had an event before, that it has started.
            ComponentState::of(store).concurrency.waitables[id].pending = false;
            while !ComponentState::of(store).subtask(id).is_resolved() {
                block(store, Wait::Waitable(id))?;
            }
        }
    }
    Ok(ComponentState::of(store).take_event(id).second)
}

/// Asks a task to end early: one that has not started doesn't, and one that waits in its callback is told at once, where its instance is
/// free. Otherwise it is told when it waits there next.
pub(super) fn request_cancellation(store: &mut Store, task: u32) -> Result<(), Error> {
    let state = ComponentState::of(store);
    let found = &state.concurrency.tasks[task];
    let (before, instance, thread) = (found.state, found.instance, found.implicit);
    match before {
        State::Initial => {
            state.concurrency.tasks[task].state = State::CancelDelivered;
            state.cancel(task)?;
            state.stop_waiting(thread);
            state.concurrency.threads[thread].start = Start::Begun;
            state.remove_thread(thread)?;
            state.look_at_entering(instance);
            Ok(())
        }
        State::Started => {
            let wait = state.concurrency.threads.get(thread).and_then(|thread| thread.wait);
            let waits = matches!(wait, Some(Wait::Callback { .. }));
            let is_free = state.instance(instance).tasks.exclusive == super::arena::NONE;
            if waits && is_free && !state.is_running(instance) {
                state.concurrency.tasks[task].state = State::CancelDelivered;
                state.concurrency.threads[thread].is_cancelled = true;
                return resume(store, thread);
            }
            state.concurrency.tasks[task].state = State::PendingCancel;
            Ok(())
        }
        State::PendingCancel | State::CancelDelivered | State::Resolved => Ok(()),
    }
}
