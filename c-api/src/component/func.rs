//! `wasmtime/component/func.h`: calling components.

use crate::r#async::job::{Job, What};
use crate::r#async::wasmtime_call_future_t;
use crate::boundary::{expect, give_unit, guarded};
use crate::component::val::wasmtime_component_val_t;
use crate::error::wasmtime_error_t;
use crate::store::wasmtime_context_t;
use ampoule::store::task::Task;
use ampoule_component::Func;
use ampoule_component::types::FuncType;
use std::{ptr, slice};

/// `wasmtime_component_func_t`, whose layout leaves place for more than a function needs.
#[repr(C)]
pub struct wasmtime_component_func_t {
    func: Func,
    unused: u32,
}

const _: () = assert!(size_of::<wasmtime_component_func_t>() == 24);

impl wasmtime_component_func_t {
    pub(crate) fn func(&self) -> &Func {
        &self.func
    }
}

impl From<Func> for wasmtime_component_func_t {
    fn from(func: Func) -> Self {
        Self { func, unused: 0 }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_func_type(
    func: &wasmtime_component_func_t,
    context: &mut wasmtime_context_t,
) -> Box<FuncType> {
    let ty = expect("wasmtime_component_func_type", func.func.ty(context));
    Box::new(FuncType::clone(&ty))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_func_call(
    func: &wasmtime_component_func_t,
    context: &mut wasmtime_context_t,
    args: *const wasmtime_component_val_t,
    args_size: usize,
    results: *mut wasmtime_component_val_t,
    results_size: usize,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes as many values as it says, valid ones.
    let (args, results) = unsafe { (values(args, args_size), values_mut(results, results_size)) };
    give_unit(guarded(|| func.func.call(context, args, results)))
}

/// Values of the caller's.
///
/// # Safety
/// There are so many, valid ones, which nobody changes while the result is used.
pub(crate) unsafe fn values<'a>(at: *const wasmtime_component_val_t, count: usize) -> &'a [wasmtime_component_val_t] {
    // SAFETY: by the caller. Without values, the pointer may be null.
    if count == 0 { &[] } else { unsafe { slice::from_raw_parts(at, count) } }
}

/// Values of the caller's, to change them.
///
/// # Safety
/// There are so many, valid ones, which nobody else uses while the result is used.
pub(crate) unsafe fn values_mut<'a>(
    at: *mut wasmtime_component_val_t,
    count: usize,
) -> &'a mut [wasmtime_component_val_t] {
    // SAFETY: by the caller. Without values, the pointer may be null.
    if count == 0 { &mut [] } else { unsafe { slice::from_raw_parts_mut(at, count) } }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_func_call_async(
    func: &wasmtime_component_func_t,
    context: &mut wasmtime_context_t,
    args: *const wasmtime_component_val_t,
    args_size: usize,
    results: *mut wasmtime_component_val_t,
    results_size: usize,
    error_ret: *mut *mut wasmtime_error_t,
) -> Box<wasmtime_call_future_t> {
    let what = What::CallComponent { func: func.func, args, nargs: args_size, results, nresults: results_size };
    // SAFETY: the caller keeps the store to one thread at a time.
    unsafe { Task::new(context, |slot| Job::write(slot, what, ptr::null_mut(), error_ret)) }
}

/// The call has cleaned up.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_func_post_return(
    _func: &wasmtime_component_func_t,
    _context: &mut wasmtime_context_t,
) -> Option<Box<wasmtime_error_t>> {
    None
}
