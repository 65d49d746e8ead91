//! `ampoule/wait.h`: when a suspended call can go on, and whether one that waits is to.

use crate::boundary::give;
use crate::error::wasmtime_error_t;
use crate::foreign::{Finalizer, Foreign};
use crate::store::wasmtime_context_t;
use ampoule::Error;
use ampoule::store::interrupt_check::InterruptCheck;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::{Wake, Waker};

/// A function of the host's that is called when a store's call can go on.
struct HostWaker {
    callback: extern "C" fn(env: *mut c_void),
    owner: Foreign,
}

impl Wake for HostWaker {
    fn wake(self: Arc<Self>) {
        (self.callback)(self.owner.data());
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_context_set_waker(
    context: &mut wasmtime_context_t,
    callback: Option<extern "C" fn(env: *mut c_void)>,
    env: *mut c_void,
    finalizer: Finalizer,
) {
    let owner = Foreign::new(env, finalizer);
    context.set_host_waker(callback.map(|callback| Waker::from(Arc::new(HostWaker { callback, owner }))));
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_context_set_interrupt_check(
    context: &mut wasmtime_context_t,
    check: Option<extern "C" fn(env: *mut c_void) -> bool>,
    env: *mut c_void,
    finalizer: Finalizer,
) {
    let owner = Foreign::new(env, finalizer);
    context.set_interrupt_check(check.map(|check| Arc::new(move || check(owner.data())) as InterruptCheck));
}

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
