//! Calls beside one another, and what lets them go on.

use crate::r#async::job::{Job, What};
use crate::r#async::wasmtime_call_future_t;
use crate::boundary::{give, give_unit, guarded};
use crate::component::func::{values_mut, wasmtime_component_func_t};
use crate::component::val::wasmtime_component_val_t;
use crate::error::wasmtime_error_t;
use crate::store::wasmtime_context_t;
use ampoule::store::task::Task;
use ampoule::{Error, Store};
use ampoule_component::{StartedCall, run_tasks, wait_for_tasks};
use std::mem::{self, MaybeUninit};
use std::ptr::{self, NonNull};
use std::task::Poll;

/// A call that was started.
pub struct ampoule_component_call_t(StartedCall);

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_component_call_start(
    context: &mut wasmtime_context_t,
    func: &wasmtime_component_func_t,
    args: *mut wasmtime_component_val_t,
    nargs: usize,
    call: &mut MaybeUninit<Box<ampoule_component_call_t>>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes as many values as it says, valid ones.
    let args = unsafe { values_mut(args, nargs) };
    let start = || func.func().start_with(context, args.len(), || args.iter_mut().map(mem::take).collect());
    give(guarded(start).map(|call| Box::new(ampoule_component_call_t(call))), call)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_call_is_over(
    call: &ampoule_component_call_t,
    context: &mut wasmtime_context_t,
) -> bool {
    call.0.is_over(context).unwrap_or(false)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_component_call_finish(
    call: &mut ampoule_component_call_t,
    context: &mut wasmtime_context_t,
    results: *mut wasmtime_component_val_t,
    nresults: usize,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(guarded(|| {
        let has = usize::from(call.0.has_result());
        if nresults != has {
            return Err(Error::message(format!("expected {has} result(s), got {nresults}")));
        }
        let Poll::Ready(result) = call.0.take(context) else { return Err(Error::message("the call is not over")) };
        if let Some(result) = result? {
            // SAFETY: the caller passes as many places as it says, which is one, as was checked.
            unsafe { results.write(result) };
        }
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_call_cancel(
    call: &ampoule_component_call_t,
    context: &mut wasmtime_context_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(guarded(|| call.0.cancel(context)))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_call_delete(_call: Option<Box<ampoule_component_call_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_run(
    context: &mut wasmtime_context_t,
    idle: Option<&mut MaybeUninit<bool>>,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(guarded(|| run_tasks(context)).map(|ran| {
        if let Some(idle) = idle {
            idle.write(ran.is_ready());
        }
    }))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_wait(context: &mut wasmtime_context_t) -> Option<Box<wasmtime_error_t>> {
    give_unit(guarded(|| wait_for_tasks(context)))
}

/// What [`ampoule_component_run_async`] does: runs until a call is over or, without one, until nothing is left to run.
pub(crate) fn run_until_over(store: &mut Store, call: Option<NonNull<ampoule_component_call_t>>) -> Result<(), Error> {
    loop {
        let ran = run_tasks(store)?;
        let is_over = match call {
            // SAFETY: by the header, the call is there as long as the future.
            Some(call) => unsafe { call.as_ref() }.0.is_over(store)?,
            None => ran.is_ready(),
        };
        if is_over {
            return Ok(());
        }
        wait_for_tasks(store)?;
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_component_run_async(
    context: &mut wasmtime_context_t,
    call: Option<NonNull<ampoule_component_call_t>>,
    error_ret: *mut *mut wasmtime_error_t,
) -> Box<wasmtime_call_future_t> {
    let what = What::RunComponents { call };
    // SAFETY: the caller keeps the store to one thread at a time.
    unsafe { Task::new(context, |slot| Job::write(slot, what, ptr::null_mut(), error_ret)) }
}
