//! `ampoule/cancel.h`: cancelling a call while it runs, and limiting its time.

use crate::boundary::{give, give_unit};
use crate::error::wasmtime_error_t;
use crate::store::wasmtime_context_t;
use crate::wasm::config::wasm_config_t;
use ampoule::CancelToken;
use std::mem::MaybeUninit;
use std::time::Duration;

/// A token, owned by whoever received it.
pub struct ampoule_cancel_token_t(CancelToken);

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_config_cancellation_set(config: &mut wasm_config_t, enable: bool) {
    config.config.cancellation(enable);
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_cancel_token_new(
    context: &mut wasmtime_context_t,
    token: &mut MaybeUninit<Box<ampoule_cancel_token_t>>,
) -> Option<Box<wasmtime_error_t>> {
    give(context.cancel_token().map(|token| Box::new(ampoule_cancel_token_t(token))), token)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_cancel_token_clone(token: &ampoule_cancel_token_t) -> Box<ampoule_cancel_token_t> {
    Box::new(ampoule_cancel_token_t(token.0.clone()))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_cancel_token_delete(_token: Option<Box<ampoule_cancel_token_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_cancel_token_generation(token: &ampoule_cancel_token_t) -> u64 {
    token.0.generation()
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_cancel(token: &ampoule_cancel_token_t, generation: u64) -> bool {
    token.0.cancel(generation)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_cancelled(context: &wasmtime_context_t) -> bool {
    context.is_cancelled()
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_context_set_call_deadline(
    context: &mut wasmtime_context_t,
    nanoseconds: u64,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(context.set_call_time_limit((nanoseconds != 0).then(|| Duration::from_nanos(nanoseconds))))
}
