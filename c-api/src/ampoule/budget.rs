//! `ampoule/budget.h`: one budget for all that a store's guests make the host hold.

use crate::boundary::give_unit;
use crate::error::wasmtime_error_t;
use crate::foreign::{Finalizer, Foreign};
use crate::store::{wasmtime_context_t, wasmtime_store_t};
use ampoule::store::budget::AtSoftLimit;
use ampoule::{Budget, BudgetKind, SoftLimitPassed};
use std::ffi::c_void;

/// A handle, owned by whoever received it.
pub struct ampoule_budget_t(Budget);

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_budget_new(context: &mut wasmtime_context_t) -> Box<ampoule_budget_t> {
    Box::new(ampoule_budget_t(context.budget()))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_budget_clone(budget: &ampoule_budget_t) -> Box<ampoule_budget_t> {
    Box::new(ampoule_budget_t(budget.0.clone()))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_budget_delete(_budget: Option<Box<ampoule_budget_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_budget_used(budget: &ampoule_budget_t, kind: u8) -> u64 {
    BudgetKind::ALL.get(usize::from(kind)).map_or(0, |&kind| budget.0.used(kind))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_budget_total(budget: &ampoule_budget_t) -> u64 {
    budget.0.total()
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_budget_peak(budget: &ampoule_budget_t) -> u64 {
    budget.0.peak()
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_budget_soft_limit(budget: &ampoule_budget_t) -> u64 {
    number(budget.0.soft_limit())
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_budget_hard_limit(budget: &ampoule_budget_t) -> u64 {
    number(budget.0.hard_limit())
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_budget_set_limits(budget: &ampoule_budget_t, soft_limit: u64, hard_limit: u64) {
    budget.0.set_limits(limit(soft_limit), limit(hard_limit));
}

/// A limit as C has it.
fn number(limit: Option<u64>) -> u64 {
    limit.unwrap_or(u64::MAX)
}

/// The limit that C means.
fn limit(number: u64) -> Option<u64> {
    Some(number).filter(|&number| number != u64::MAX)
}

/// What the callback is told, as C sees it.
#[repr(C)]
pub struct ampoule_soft_limit_t {
    kind: u8,
    asked: u64,
    used: u64,
    soft_limit: u64,
    hard_limit: u64,
}

/// Is told.
pub type ampoule_soft_limit_callback_t =
    extern "C" fn(env: *mut c_void, passed: &mut ampoule_soft_limit_t) -> Option<Box<wasmtime_error_t>>;

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_store_set_soft_limit_callback(
    store: &mut wasmtime_store_t,
    callback: Option<ampoule_soft_limit_callback_t>,
    env: *mut c_void,
    finalizer: Finalizer,
) -> Option<Box<wasmtime_error_t>> {
    let env = Foreign::new(env, finalizer);
    let told = callback.map(|callback| {
        Box::new(move |passed: &mut SoftLimitPassed| {
            let SoftLimitPassed { kind, asked, used, soft, hard } = *passed;
            let (soft_limit, hard_limit) = (number(soft), number(hard));
            let mut told = ampoule_soft_limit_t { kind: kind as u8, asked, used, soft_limit, hard_limit };
            let error = callback(env.data(), &mut told);
            (passed.soft, passed.hard) = (limit(told.soft_limit), limit(told.hard_limit));
            error.map_or(Ok(()), |error| Err(error.0))
        }) as AtSoftLimit
    });
    give_unit(store.at_soft_limit(told))
}
