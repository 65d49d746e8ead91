//! Memory that the guest allocates for what it is given.

use crate::canon::options::Options;
use crate::state::ComponentState;
use ampoule::{Error, Store, VmValRaw};

/// Asks the guest for so many bytes: where they are, as it says.
///
/// # Errors
/// What stopped the guest, of which no instance may be entered any more.
#[inline]
pub(crate) fn realloc(store: &mut Store, options: &Options, size: usize, align: u32) -> Result<u32, Error> {
    let Some(realloc) = options.realloc else { return Err(Error::message("a list or string needs `realloc`")) };
    let mut args = [0, 0, align, size as u32].map(|arg| VmValRaw { i64: i64::from(arg) });
    let state = ComponentState::of(store);
    let before = std::mem::replace(&mut state.instance(options.instance).may_leave, false);
    let storage = state.take_storage();
    // SAFETY: the validator has seen that it takes four i32 and answers one.
    let called = unsafe { realloc.call_raw(store, args.as_mut_ptr()) };
    let state = ComponentState::of(store);
    state.instance(options.instance).may_leave = before;
    state.put_storage(storage);
    called.inspect_err(|_| state.poisoned = true)?;
    // SAFETY: the result was written.
    Ok(unsafe { args[0].i32 } as u32)
}
