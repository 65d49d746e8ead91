//! Exceptions of guests: thrown, and where they are caught.
//!
//! What is thrown is the store's pending exception, and its trampoline asks [`find_handler`] where it goes. That walks up the guest frames of
//! this activation: each return address at which exceptions are handled has a handler, which takes all of them. Without any, the
//! activation ends, and who entered it finds the exception pending. If that is a host function whose guest is to see it, it answers the
//! error, and it is thrown from there.

use super::running;
use crate::error::{Error, ErrorKind};
use crate::module::code_table::{Found, ModuleCode, damaged};
use crate::store::Store;
use crate::store::handler_cache::{HandlerCache, Place};
use ampoule_core::vm::{VmContext, VmStoreContext};
use ampoule_machine::arch::divert::is_turned_back;
use ampoule_machine::arch::entry::{GuestFrames, Kept, Landing};
use ampoule_machine::code::registry;

/// # Safety
/// See the module above. `exn` is an exception of the store.
pub(crate) unsafe extern "C" fn throw(vmctx: *mut VmContext, exn: u32) {
    // SAFETY: as above.
    let (store, _) = unsafe { running(vmctx) };
    store.exceptions.pending = exn;
    store.vm.unwinding = VmStoreContext::THROWING;
}

/// Where the pending exception is caught; it is taken then. Otherwise it stays, and the error that the guest is stopped with is noted.
///
/// # Safety
/// See the module above. The guest has left through the exit at `exit_fp`, and does not go on there.
pub(crate) unsafe fn find_handler(store: *mut VmStoreContext, exit_fp: usize, kept: Kept) -> Option<Landing> {
    // SAFETY: as above.
    let (store, frames) = unsafe { (Store::from_vm(store), GuestFrames::below_exit(exit_fp)) };
    if store.exceptions.pending == 0 {
        return None;
    }
    store.exceptions.handlers.renew(store.engine.code_memory().given_back());
    // SAFETY: as above: the frames wait, and `kept` is what the guest has left in its registers.
    match unsafe { handler(&mut store.exceptions.handlers, frames, kept) } {
        Ok(Some(mut landing)) => {
            landing.payload = u64::from(std::mem::take(&mut store.exceptions.pending));
            store.pending = None;
            Some(landing)
        }
        Ok(None) => {
            store.pending.get_or_insert_with(|| Error::new(ErrorKind::Exception));
            None
        }
        Err(error) => {
            store.pending = Some(error);
            None
        }
    }
}

/// The innermost handler among guest frames; its payload is to be filled in. `kept` are the registers in the first of them.
///
/// # Safety
/// The frames are active.
///
/// # Errors
/// Where a frame's code came from an artifact that is damaged by now.
unsafe fn handler(known: &mut HandlerCache, frames: GuestFrames, mut kept: Kept) -> Result<Option<Landing>, Error> {
    for frame in frames {
        if is_turned_back(frame.pc) {
            // Whoever waits there was given up, and so were all around.
            return Ok(None);
        }
        let place = known.at(frame.pc, || place_at(frame.pc))?;
        if let Some(handler) = place.handler {
            let (pc, sp) = (place.function + handler.landing as usize, frame.fp - handler.frame_size as usize);
            return Ok(Some(Landing { pc, sp, fp: frame.fp, payload: 0, kept }));
        }
        // SAFETY: by the caller; the compiler says what its functions keep, and assembly between guests keeps nothing.
        unsafe { kept.leave(frame, place.kept) };
    }
    Ok(None)
}

/// What is at a return address. Assembly between guests has no handler, and keeps no registers.
///
/// # Errors
/// See [`handler`].
fn place_at(return_address: usize) -> Result<Place, Error> {
    // A call may be the last instruction of its function: the call is looked up, not where it returns to.
    let call = return_address - 1;
    let Some(code) = registry::lookup::<ModuleCode>(call) else { return Ok(Place::default()) };
    let Some(Found { offset, info, .. }) = code.find(call) else { return Ok(Place::default()) };
    let info = info.ok_or_else(damaged)?;
    Ok(Place { handler: info.handler_at(offset + 1), function: call - offset as usize, kept: info.kept })
}
