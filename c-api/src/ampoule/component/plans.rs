//! Calls between C's memory and a guest's, without values in between.

use crate::boundary::{give, give_unit, guarded};
use crate::component::func::wasmtime_component_func_t;
use crate::error::wasmtime_error_t;
use crate::store::wasmtime_context_t;
use ampoule::Error;
use ampoule_component::plan::{Plan, Size};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::slice;

/// How a function is called from C's memory.
pub struct ampoule_component_plan_t(Plan);

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_component_plan_new(
    context: &mut wasmtime_context_t,
    func: &wasmtime_component_func_t,
    param_sizes: *const usize,
    nparams: usize,
    result_size: usize,
    plan: &mut MaybeUninit<Box<ampoule_component_plan_t>>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes as many sizes as it says; without any, the pointer may be null.
    let sizes = if nparams == 0 { &[] } else { unsafe { slice::from_raw_parts(param_sizes, nparams) } };
    let made = guarded(|| {
        let plan = Plan::new(context, func.func())?;
        if sizes.len() != plan.params() {
            return Err(Error::message(format!("expected {} argument(s), got {}", plan.params(), sizes.len())));
        }
        for (nth, &size) in sizes.iter().enumerate() {
            check_size(&format!("parameter {nth}"), plan.param_size(nth), size)?;
        }
        check_size("the result", plan.result_size(), result_size)?;
        Ok(plan)
    });
    give(made.map(|plan| Box::new(ampoule_component_plan_t(plan))), plan)
}

fn check_size(what: &str, expected: Option<Size>, given: usize) -> Result<(), Error> {
    match expected.map_or(0, |expected| expected.size) {
        expected if expected == given => Ok(()),
        expected => Err(Error::message(format!("{what} has {expected} bytes, not {given}"))),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_component_plan_call(
    plan: &ampoule_component_plan_t,
    context: &mut wasmtime_context_t,
    args: *const *const c_void,
    result: *mut c_void,
) -> Option<Box<wasmtime_error_t>> {
    let count = plan.0.params();
    // SAFETY: the caller passes as many addresses as there are parameters; without any, the pointer may be null.
    let args = if count == 0 { &[] } else { unsafe { slice::from_raw_parts(args.cast(), count) } };
    // SAFETY: the header's contract.
    give_unit(guarded(|| unsafe { plan.0.call(context, args, result.cast()) }))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_plan_delete(_plan: Option<Box<ampoule_component_plan_t>>) {}
