//! Interruptions of the guest: cancellation, the epoch deadline, and fuel.
//!
//! Where the guest is to pause, the builtin says so ([`Pause`]), its trampoline switches to who polls, and calls `…_resumed` when the
//! guest goes on.

use super::running;
use crate::error::Error;
use crate::store::Store;
use crate::store::epoch::{AtDeadline, UpdateDeadline};
use ampoule_core::trap::TrapCode;
use ampoule_core::vm::{VmContext, VmStoreContext};
use ampoule_machine::arch::switch::{Pause, Wake};

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn epoch_reached(vmctx: *mut VmContext) -> Pause {
    // SAFETY: as above.
    let (store, _) = unsafe { running(vmctx) };
    if let Some(error) = store.cancellation() {
        return fail(store, error);
    }
    if !store.epoch.is_over(&store.engine) {
        // Somebody cancelled a call that was over by then.
        store.write_deadline();
        return Pause::NONE;
    }
    match store.epoch.then {
        AtDeadline::Yield(ticks) => pause(store, ticks),
        _ => ask(store),
    }
}

/// The deadline is over, and the guest is not simply to yield.
#[cold]
fn ask(store: &mut Store) -> Pause {
    // The callback has the store while it runs, so it can't stay in it; and it may set another.
    let Some(mut callback) = store.epoch.take_callback() else {
        return fail(store, Error::trap(TrapCode::Interrupt));
    };
    let answer = callback(store);
    store.epoch.give_callback(callback);
    match answer {
        Ok(UpdateDeadline::Continue(ticks)) => {
            store.set_epoch_deadline(ticks);
            Pause::NONE
        }
        Ok(UpdateDeadline::Yield(ticks)) => pause(store, ticks),
        Err(error) => fail(store, error),
    }
}

/// Lets the guest pause. The ticks are counted from when it goes on, which may be much later.
fn pause(store: &mut Store, ticks: u64) -> Pause {
    if !store.can_suspend() {
        let message = "cannot use `UpdateDeadline::Yield` without using an async wasm entrypoint";
        return fail(store, Error::message(message));
    }
    match store.pause_guest() {
        Ok(link) => Pause { link, ticks },
        Err(error) => fail(store, error),
    }
}

#[cold]
fn fail(store: &mut Store, error: Error) -> Pause {
    store.unwind_with(error);
    Pause::NONE
}

/// # Safety
/// The store's guest goes on after the pause that `epoch_reached` answered with; otherwise as the module above.
pub(crate) unsafe extern "C" fn epoch_resumed(store: *mut VmStoreContext, wake: Wake, ticks: u64) {
    // SAFETY: as above.
    let store = unsafe { Store::from_vm(store) };
    match store.resume_guest(wake) {
        Ok(()) => store.set_epoch_deadline(ticks),
        Err(error) => store.unwind_with(error),
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn fuel_exhausted(vmctx: *mut VmContext) -> Pause {
    // SAFETY: as above.
    let (store, _) = unsafe { running(vmctx) };
    if !store.fuel.refill(&mut store.vm) {
        return fail(store, Error::trap(TrapCode::OutOfFuel));
    }
    if !store.fuel.yields() {
        return Pause::NONE;
    }
    match store.pause_guest() {
        Ok(link) => Pause { link, ticks: 0 },
        Err(error) => fail(store, error),
    }
}

/// # Safety
/// As [`epoch_resumed`], of `fuel_exhausted`.
pub(crate) unsafe extern "C" fn fuel_resumed(store: *mut VmStoreContext, wake: Wake, _: u64) {
    // SAFETY: as above.
    let store = unsafe { Store::from_vm(store) };
    if let Err(error) = store.resume_guest(wake) {
        store.unwind_with(error);
    }
}
