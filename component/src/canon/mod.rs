//! The canonical ABI: values out of linear memory and into it.
//!
//! Lifting never runs guest code, so it looks at one slice of memory throughout. Lowering asks the guest for memory, whose base and
//! length it reads again each time.

pub(crate) mod lift;
pub(crate) mod lower;
pub(crate) mod options;
pub(crate) mod strings;
pub(crate) mod transfer;

use crate::canon::options::Encoding;
use crate::state::ComponentState;
use ampoule::{Error, Func, Memory, Store, VmValRaw};

/// The options of one lifted or lowered function, as a store knows them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// The component instance whose memory and handles these are.
    pub(crate) instance: u32,
    pub(crate) encoding: Encoding,
    pub(crate) memory: Option<Memory>,
    pub(crate) realloc: Option<Func>,
    pub(crate) post_return: Option<Func>,
}

impl Options {
    /// Base and length of the memory; nothing where there is none.
    #[inline]
    pub(crate) fn memory(&self, store: &Store) -> Result<(*mut u8, usize), Error> {
        match &self.memory {
            Some(memory) => memory.data(store),
            None => Ok((std::ptr::NonNull::dangling().as_ptr(), 0)),
        }
    }
}

/// Lists and strings have fewer bytes than this (Canonical ABI, "Loading").
pub(crate) const MAX_BYTES: usize = (1 << 28) - 1;

/// Asks the guest for so many bytes: where they are, as it says.
///
/// # Errors
/// What stopped the guest, of which no instance may be entered any more.
fn realloc(store: &mut Store, options: &Options, size: usize, align: u32) -> Result<u32, Error> {
    let realloc = options.realloc.ok_or_else(|| Error::message("a list or string needs `realloc`"))?;
    let mut args = [0, 0, align, size as u32].map(|arg| VmValRaw { i64: i64::from(arg) });
    let before = std::mem::replace(&mut ComponentState::of(store).instance(options.instance).may_leave, false);
    // SAFETY: the validator has seen that it takes four i32 and answers one.
    let called = unsafe { realloc.call_raw(store, args.as_mut_ptr()) };
    let state = ComponentState::of(store);
    state.instance(options.instance).may_leave = before;
    called.inspect_err(|_| state.poisoned = true)?;
    // SAFETY: the result was written.
    Ok(unsafe { args[0].i32 } as u32)
}
