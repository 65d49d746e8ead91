//! Interruptions of the guest: cancellation, the epoch deadline, and fuel.

use super::running;
use crate::error::Error;
use crate::store::epoch::UpdateDeadline;
use ampoule_core::trap::TrapCode;
use ampoule_core::vm::VmContext;

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn epoch_reached(vmctx: *mut VmContext) {
    // SAFETY: as above.
    let (store, _) = unsafe { running(vmctx) };
    if let Some(error) = store.cancellation() {
        return store.unwind_with(error);
    }
    if !store.epoch.is_over(&store.engine) {
        // Somebody cancelled a call that was over by then.
        return store.write_deadline();
    }
    // The callback has the store while it runs, so it can't stay in it; and it may set another.
    let Some(mut callback) = store.epoch.callback.take() else {
        return store.unwind_with(Error::trap(TrapCode::Interrupt));
    };
    let answer = callback(store);
    store.epoch.callback.get_or_insert(callback);
    match answer {
        Ok(UpdateDeadline::Continue(ticks)) => store.set_epoch_deadline(ticks),
        Ok(UpdateDeadline::Yield(_)) if !store.can_suspend() => {
            store.unwind_with(Error::message(
                "cannot use `UpdateDeadline::Yield` without using an async wasm entrypoint",
            ));
        }
        // Counted from when the guest goes on, which may be much later.
        Ok(UpdateDeadline::Yield(ticks)) => match store.suspend() {
            Ok(()) => store.set_epoch_deadline(ticks),
            Err(error) => store.unwind_with(error),
        },
        Err(error) => store.unwind_with(error),
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn fuel_exhausted(vmctx: *mut VmContext) {
    // SAFETY: as above.
    let (store, _) = unsafe { running(vmctx) };
    if !store.fuel.refill(&mut store.vm) {
        store.unwind_with(Error::trap(TrapCode::OutOfFuel));
    } else if store.fuel.yields()
        && let Err(error) = store.suspend()
    {
        store.unwind_with(error);
    }
}
