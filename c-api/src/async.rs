//! `wasmtime/async.h`: guests that pause.
//!
//! A future is an [`ampoule::store::task::Task`] with its [`Job`] inside, one allocation.

pub(crate) mod host_func;
pub(crate) mod job;
mod stacks;

use crate::boundary::{give_unit, misuse};
use crate::error::wasmtime_error_t;
use crate::external::wasmtime_func_t;
use crate::foreign::{Finalizer, Foreign};
use crate::instance::{wasmtime_instance_pre_t, wasmtime_instance_t};
use crate::linker::{define_func, wasmtime_linker_t};
use crate::module::wasmtime_module_t;
use crate::store::wasmtime_context_t;
use crate::val::wasmtime_val_t;
use crate::wasm::config::wasm_config_t;
use crate::wasm::object::wasm_trap_t;
use crate::wasm::parts::wasm_functype_t;
use ampoule::store::task::Task;
use host_func::{async_host_func, wasmtime_func_async_callback_t};
use job::{Job, What};
use stacks::wasmtime_stack_creator_t;
use std::ffi::c_void;
use std::task::Poll;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_async_stack_size_set(config: &mut wasm_config_t, size: u64) {
    config.config.async_stack_size = Some(usize::try_from(size).unwrap_or(usize::MAX));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_fuel_async_yield_interval(
    context: &mut wasmtime_context_t,
    interval: u64,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(context.set_fuel_yield_interval(interval))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_epoch_deadline_async_yield_and_update(
    context: &mut wasmtime_context_t,
    delta: u64,
) -> Option<Box<wasmtime_error_t>> {
    context.epoch_deadline_yield_and_update(delta);
    None
}

/// `wasmtime_call_future_t`.
pub type wasmtime_call_future_t = Task<Job>;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_call_future_poll(future: &mut wasmtime_call_future_t) -> bool {
    if !future.is_waiting() && (future.is_over() || future.is_running()) {
        let why = if future.is_over() { "the call is over" } else { "the call is being polled further out" };
        misuse("wasmtime_call_future_poll", why);
    }
    // SAFETY: the caller keeps what the future leads to, and its store for itself.
    match unsafe { future.poll() } {
        Poll::Pending => false,
        Poll::Ready(outcome) => {
            if let Err(error) = outcome {
                future.work().fail(error);
            }
            true
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_call_future_delete(future: Box<wasmtime_call_future_t>) {
    future.delete();
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_func_call_async(
    context: &mut wasmtime_context_t,
    func: &wasmtime_func_t,
    args: *const wasmtime_val_t,
    nargs: usize,
    results: *mut wasmtime_val_t,
    nresults: usize,
    trap_ret: *mut *mut wasm_trap_t,
    error_ret: *mut *mut wasmtime_error_t,
) -> Box<wasmtime_call_future_t> {
    // SAFETY: the caller passes as many values as it says, and keeps the store to one thread at a time.
    unsafe {
        Task::new(context, |slot| Job::write_call(slot, *func, args, nargs, results, nresults, trap_ret, error_ret))
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_linker_define_async_func(
    linker: &mut wasmtime_linker_t,
    module: *const u8,
    module_len: usize,
    name: *const u8,
    name_len: usize,
    ty: &wasm_functype_t,
    cb: wasmtime_func_async_callback_t,
    data: *mut c_void,
    finalizer: Finalizer,
) -> Option<Box<wasmtime_error_t>> {
    let owner = Foreign::new(data, finalizer);
    // SAFETY: the names are lent for this call.
    unsafe {
        define_func(linker, (module, module_len), (name, name_len), |engine| {
            ty.declare(async_host_func(engine, ty.ty(), cb, owner))
        })
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_linker_instantiate_async(
    linker: &wasmtime_linker_t,
    store: &mut wasmtime_context_t,
    module: &wasmtime_module_t,
    instance: *mut wasmtime_instance_t,
    trap_ret: *mut *mut wasm_trap_t,
    error_ret: *mut *mut wasmtime_error_t,
) -> Box<wasmtime_call_future_t> {
    // Imports are found now, so that neither the linker nor the module is needed later.
    let what = What::Instantiate { pre: linker.linker.instantiate_pre(&module.module), instance };
    // SAFETY: the caller keeps the store to one thread at a time.
    unsafe { Task::new(store, |slot| Job::write(slot, what, trap_ret, error_ret)) }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_instance_pre_instantiate_async(
    instance_pre: &wasmtime_instance_pre_t,
    store: &mut wasmtime_context_t,
    instance: *mut wasmtime_instance_t,
    trap_ret: *mut *mut wasm_trap_t,
    error_ret: *mut *mut wasmtime_error_t,
) -> Box<wasmtime_call_future_t> {
    let what = What::Instantiate { pre: Ok(instance_pre.pre.clone()), instance };
    // SAFETY: the caller keeps the store to one thread at a time.
    unsafe { Task::new(store, |slot| Job::write(slot, what, trap_ret, error_ret)) }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_host_stack_creator_set(
    config: &mut wasm_config_t,
    creator: &mut wasmtime_stack_creator_t,
) {
    config.config.host_stacks = Some(creator.take());
}
