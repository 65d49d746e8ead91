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
    match next_step(store) {
        Ok(NextStep::GoOn) => Pause::NONE,
        Ok(NextStep::Yield(ticks)) => match store.pause_guest() {
            Ok(link) => Pause { link, ticks },
            Err(error) => fail(store, error),
        },
        Err(error) => fail(store, error),
    }
}

/// The same from within another builtin, which takes long. Whatever the embedder may do in a callback, or while an asynchronous call waits, may
/// have been done afterwards: the guest may have run, and memories may have moved.
///
/// # Errors
/// Why the guest is stopped.
// The switch is where it is inlined: see `ampoule_machine::arch::switch`.
#[inline(never)]
pub(super) fn look(store: &mut Store) -> Result<(), Error> {
    if let NextStep::Yield(ticks) = next_step(store)? {
        store.pause()?;
        store.set_epoch_deadline(ticks);
    }
    Ok(())
}

/// What comes after a look that found something.
enum NextStep {
    GoOn,
    /// Let the guest pause. The ticks are counted from when it goes on, which may be much later.
    Yield(u64),
}

/// What the guest is to do whose call may be cancelled, or whose deadline may be over.
///
/// # Errors
/// Why it is stopped.
fn next_step(store: &mut Store) -> Result<NextStep, Error> {
    if let Some(error) = store.cancellation() {
        return Err(error);
    }
    if !store.epoch.is_over(&store.engine) {
        // Somebody cancelled a call that was over by then.
        store.write_deadline();
        return Ok(NextStep::GoOn);
    }
    match store.epoch.then {
        AtDeadline::Yield(ticks) => may_yield(store, ticks),
        _ => ask(store),
    }
}

/// The deadline is over, and the guest is not simply to yield.
#[cold]
fn ask(store: &mut Store) -> Result<NextStep, Error> {
    // The callback has the store while it runs, so it can't stay in it; and it may set another.
    let mut callback = store.epoch.take_callback().ok_or_else(|| Error::trap(TrapCode::Interrupt))?;
    let answer = callback(store);
    store.epoch.give_callback(callback);
    match answer? {
        UpdateDeadline::Continue(ticks) => {
            store.set_epoch_deadline(ticks);
            Ok(NextStep::GoOn)
        }
        UpdateDeadline::Yield(ticks) => may_yield(store, ticks),
    }
}

fn may_yield(store: &Store, ticks: u64) -> Result<NextStep, Error> {
    if store.can_suspend() {
        return Ok(NextStep::Yield(ticks));
    }
    Err(Error::message("cannot use `UpdateDeadline::Yield` without using an async wasm entrypoint"))
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
