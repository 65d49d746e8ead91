//! `ampoule/wait.h`: when a suspended call can go on.

use crate::boundary::give;
use crate::error::wasmtime_error_t;
use crate::store::wasmtime_context_t;
use ampoule::Error;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::task::Waker;

/// A waker, owned by whoever received it.
pub struct ampoule_waker_t(Waker);

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_context_wait_descriptor(
    context: &mut wasmtime_context_t,
    descriptor: &mut MaybeUninit<c_int>,
) -> Option<Box<wasmtime_error_t>> {
    let found = context.reactor().and_then(|reactor| {
        let found = reactor.descriptor().map(|descriptor| descriptor.as_raw_fd());
        found.map_err(|error| Error::message(format!("the store has no descriptor to wait for: {error}")))
    });
    give(found, descriptor)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_waker_new(
    context: &mut wasmtime_context_t,
    waker: &mut MaybeUninit<Box<ampoule_waker_t>>,
) -> Option<Box<wasmtime_error_t>> {
    give(context.reactor().map(|reactor| Box::new(ampoule_waker_t(reactor.waker()))), waker)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_waker_clone(waker: &ampoule_waker_t) -> Box<ampoule_waker_t> {
    Box::new(ampoule_waker_t(waker.0.clone()))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_waker_wake(waker: &ampoule_waker_t) {
    waker.0.wake_by_ref();
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_waker_delete(_waker: Option<Box<ampoule_waker_t>>) {}
