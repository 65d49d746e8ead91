//! Calls of host functions that take a while: futures that the event loop polls when they are woken.

use super::accessor::{self, HostTask, Woken};
use super::arena::NONE;
use super::run::block;
use super::task::Caller;
use super::thread::{Start, Wait};
use super::waitable::{Callee, Subtask, SubtaskState, Waitable};
use crate::canon::lift::Lift;
use crate::canon::lower::Lower;
use crate::func::NO_VALUES;
use crate::records::{AsyncHostFn, Lowered};
use crate::state::ComponentState;
use crate::types::FuncType;
use crate::val::Val;
use ampoule::{Error, Store, VmValRaw};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

impl Lowered {
    /// A call of a host function that may take a while; of which `ty` is the type as the host sees it. Gives the answer.
    pub(crate) fn call_later(
        &self,
        store: &mut Store,
        (later, compact_bytes, is_asked): (&Arc<AsyncHostFn>, bool, bool),
        ty: Arc<FuncType>,
        values: &mut [VmValRaw],
    ) -> Result<(), Error> {
        let state = ComponentState::of(store);
        if state.concurrency.current == NONE {
            return Err(Error::message("a function that may take a while is called outside of any task"));
        }
        if ty.is_async() && !self.options.is_async {
            state.check_may_block()?;
        }
        let woken = match &state.concurrency.woken {
            Some(woken) => woken.clone(),
            None => {
                let woken = Woken::new(store.reactor()?.waker());
                ComponentState::of(store).concurrency.woken.insert(woken).clone()
            }
        };
        let state = ComponentState::of(store);
        let scope = if self.ty.has_handles { state.new_scope(NONE)? } else { NONE };
        let outer = std::mem::replace(&mut state.scope, scope);
        let mut args: Vec<Val> = self.ty.params().iter().map(|_| Val::default()).collect();
        let lifted = Lift::new(store, &self.options).and_then(|mut lift| {
            lift.compact_bytes = compact_bytes;
            lift.params(&self.ty, self.options.is_async, values, &mut args)
        });
        let state = ComponentState::of(store);
        state.scope = outer;
        lifted?;
        let subtask = Subtask {
            state: SubtaskState::Started,
            callee: Callee::Nobody,
            lowered: self,
            address: self.address(values),
            result: NO_VALUES[0],
            scope,
            cancellation_requested: false,
            resolve_delivered: false,
        };
        let id = state.concurrency.waitables.insert(Waitable::subtask(self.options.instance, subtask))?;
        let made = catch_unwind(AssertUnwindSafe(|| later(store, ty, args)));
        let future = made.map_err(|_| Error::message("a host function panicked"))?;
        let state = ComponentState::of(store);
        let future = state.concurrency.futures.insert(HostTask::new(future, id, compact_bytes, &woken))?;
        if is_asked {
            state.concurrency.futures[future].is_asked = true;
            state.concurrency.asks_futures = true;
        }
        state.subtask(id).callee = Callee::Host(future);
        poll(store, future)?;
        if self.options.is_async {
            values[0] = VmValRaw { i64: i64::from(ComponentState::of(store).answer(id)?) };
            return Ok(());
        }
        self.wait_for(store, id, values)
    }

    /// The end of a synchronous call whose callee runs elsewhere.
    pub(super) fn wait_for(&self, store: &mut Store, id: u32, values: &mut [VmValRaw]) -> Result<(), Error> {
        if !ComponentState::of(store).subtask(id).is_resolved() {
            block(store, Wait::Subtask(id))?;
        }
        let state = ComponentState::of(store);
        if self.ty.flat_result.is_some() && self.ty.result().is_some() {
            values[0] = state.subtask(id).result;
        }
        state.deliver_resolve(id);
        state.concurrency.waitables.remove(id);
        Ok(())
    }
}

/// Polls the futures that were woken.
///
/// # Errors
/// What one of them says, or where its result doesn't fit: the guest that has called is stopped.
pub(super) fn poll_woken(store: &mut Store) -> Result<(), Error> {
    let concurrency = &mut ComponentState::of(store).concurrency;
    if concurrency.woken.as_ref().is_some_and(|woken| woken.take()) {
        for future in concurrency.futures.find_all(HostTask::is_woken) {
            poll(store, future)?;
        }
    }
    Ok(())
}

fn poll(store: &mut Store, id: u32) -> Result<(), Error> {
    let found = ComponentState::of(store).concurrency.futures.get(id);
    let Some((mut future, waker)) = found.and_then(HostTask::begin_poll) else { return Ok(()) };
    // What it does in the store is nobody's task.
    let state = ComponentState::of(store);
    let outside = (state.concurrency.current, state.scope);
    state.scope = NONE;
    let polled = catch_unwind(AssertUnwindSafe(|| accessor::poll(store, &mut future, &waker)));
    let polled = polled.unwrap_or_else(|_| Poll::Ready(Err(Error::message("a host function panicked"))));
    let state = ComponentState::of(store);
    (state.concurrency.current, state.scope) = outside;
    match polled {
        Poll::Pending => {
            if let Some(task) = state.concurrency.futures.get(id) {
                task.end_poll(future);
            }
            Ok(())
        }
        Poll::Ready(outcome) => {
            drop(future);
            let Some(task) = ComponentState::of(store).concurrency.futures.remove(id) else { return Ok(()) };
            resolve(store, task.subtask, outcome?, task.compact_bytes)
        }
    }
}

/// A call of a host function has its result: the caller gets it.
fn resolve(store: &mut Store, id: u32, result: Option<Val>, compact_bytes: bool) -> Result<(), Error> {
    let state = ComponentState::of(store);
    let subtask = state.subtask(id);
    subtask.callee = Callee::Nobody;
    let (lowered, address, scope) = (subtask.lowered, subtask.address, subtask.scope);
    state.end_borrows(scope)?;
    // SAFETY: it stays where it is as long as the store.
    let lowered = unsafe { &*lowered };
    let mut values = [NO_VALUES[0]];
    if let Some(ty) = lowered.ty.result() {
        let result = result.ok_or_else(|| Error::message("a host function has answered without its result"))?;
        let instance = lowered.options.instance;
        // The guest's allocator runs in a thread of its own.
        let thread = state.add_task((instance, NONE), Caller::Itself, Start::Begun, false)?;
        let outside = std::mem::replace(&mut state.concurrency.current, thread);
        let mut lower = || {
            let mut lower = Lower::new(store, &lowered.options)?;
            lower.compact_bytes = compact_bytes;
            if lowered.options.is_async || lowered.ty.flat_result.is_none() {
                lower.result_at(ty, &result, address)
            } else {
                lower.flat_result(ty, &result, &mut values)
            }
        };
        let done = lower();
        let state = ComponentState::of(store);
        state.concurrency.current = outside;
        done?;
        state.remove_thread(thread)?;
    }
    let state = ComponentState::of(store);
    let subtask = state.subtask(id);
    (subtask.result, subtask.state) = (values[0], SubtaskState::Returned);
    state.progress(id);
    Ok(())
}

/// The caller gives a call up: its future is dropped.
pub(super) fn cancel(store: &mut Store, id: u32) -> Result<(), Error> {
    let Some(task) = ComponentState::of(store).concurrency.futures.remove(id) else { return Ok(()) };
    let subtask = task.subtask;
    drop(task);
    let state = ComponentState::of(store);
    let found = state.subtask(subtask);
    (found.callee, found.state) = (Callee::Nobody, SubtaskState::CancelledBeforeReturned);
    let scope = found.scope;
    state.end_borrows(scope)?;
    state.progress(subtask);
    Ok(())
}
