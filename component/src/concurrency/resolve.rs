//! Results of tasks: from the callee to who called.

use super::arena::NONE;
use super::task::{Caller, State};
use super::waitable::{Callee, SubtaskState};
use crate::canon::lift::Lift;
use crate::canon::options::Options;
use crate::canon::transfer::Transfer;
use crate::records::{FuncData, Lowered};
use crate::state::ComponentState;
use crate::types::FuncType;
use crate::val::Val;
use ampoule::{Error, Store, TrapCode, VmValRaw};

/// How a result is passed by the one who gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Given {
    /// As by a function that is called synchronously.
    AsResult,
    /// As by `task.return`.
    AsReturned,
}

impl Given {
    fn is_flat(self, ty: &FuncType) -> bool {
        match self {
            Given::AsResult => ty.flat_result.is_some(),
            Given::AsReturned => ty.flat_returned.is_some(),
        }
    }
}

/// A task has its result, in these core values: who called it gets it.
///
/// # Errors
/// Where it had one already, the values mean nothing, or the task has kept what it was lent.
pub(crate) fn resolve(store: &mut Store, task: u32, given: Given, values: &[VmValRaw]) -> Result<(), Error> {
    let state = ComponentState::of(store);
    let found = &state.concurrency.tasks[task];
    if found.state == State::Resolved {
        return Err(Error::trap(TrapCode::TaskCancelOrReturnTwice));
    }
    let caller = found.caller;
    // SAFETY: functions stay where they are as long as their store.
    let FuncData::Lifted { ty, options, .. } = (unsafe { &*state.func_of(task) }) else {
        unreachable!("a task is of a component's function")
    };
    match caller {
        Caller::Itself => {}
        Caller::Host(call) => {
            let record = &state.concurrency.calls[call];
            let (compact_bytes, lift) = (record.compact_bytes, record.lift.as_ref().map(|lift| lift.0));
            if let Some(lift) = lift {
                // SAFETY: the call isn't over, and lends it.
                unsafe { (*lift)(store, options, given.is_flat(ty), values) }?;
            }
            let lifted = ty.result().filter(|_| lift.is_none()).map(|result| {
                let mut lift = Lift::new(store, options)?;
                lift.compact_bytes = compact_bytes;
                let mut val = Val::default();
                lift.returned(result, given.is_flat(ty), values, &mut val).map(|()| val)
            });
            let lifted = lifted.transpose()?;
            let state = ComponentState::of(store);
            state.check_resolvable(task)?;
            let scope = std::mem::replace(&mut state.concurrency.tasks[task].scope, NONE);
            state.end_lends(scope);
            state.end_host_call(call, Ok(lifted));
        }
        Caller::Subtask(id) => {
            state.check_resolvable(task)?;
            let lowered = state.subtask(id).lowered;
            // SAFETY: it stays where it is as long as the store.
            let lowered = unsafe { &*lowered };
            resolve_subtask(store, id, (ty, options, lowered), given, values)?;
        }
    }
    ComponentState::of(store).concurrency.tasks[task].state = State::Resolved;
    Ok(())
}

/// A subtask has its result, in core values of the callee's.
fn resolve_subtask(
    store: &mut Store,
    id: u32,
    (ty, options, lowered): (&FuncType, &Options, &Lowered),
    given: Given,
    values: &[VmValRaw],
) -> Result<(), Error> {
    let address = ComponentState::of(store).subtask(id).address;
    let mut result = [VmValRaw { v128: [0; 16] }];
    if let Some(types) = ty.result().zip(lowered.ty.result()) {
        let taken_flat = !lowered.options.is_async && lowered.ty.flat_result.is_some();
        let taken = taken_flat.then_some(&mut result[..]);
        Transfer::new(store, options, &lowered.options)?.returned(types, given.is_flat(ty), values, address, taken)?;
    }
    let state = ComponentState::of(store);
    let subtask = state.subtask(id);
    subtask.result = result[0];
    subtask.state = SubtaskState::Returned;
    subtask.callee = Callee::Nobody;
    state.progress(id);
    Ok(())
}
