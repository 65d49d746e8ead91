//! Error contexts (Canonical ABI, from "`canon error-context.new`" on): a message for people who look for mistakes. Handles for the same one
//! share it.

use crate::canon::lower::Lower;
use crate::canon::options::Options;
use crate::canon::strings;
use crate::handle::{Handle, wrong_kind};
use crate::state::ComponentState;
use ampoule::{Error, Store};

/// An error context.
pub(crate) struct ErrorContext {
    pub(crate) message: Box<str>,
    /// How many handles there are for it.
    handles: u32,
}

/// The bytes that are kept of a message: what a guest makes the host keep is bounded by that and by the number of contexts.
pub(super) const MAX_MESSAGE: usize = 1 << 10;

/// The beginning of a text that is kept.
fn kept(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_MESSAGE)]
}

impl ComponentState {
    /// Makes an error context that an instance has: its handle.
    ///
    /// # Errors
    /// Where there are too many.
    pub(crate) fn new_error_context(&mut self, instance: u32, message: &str) -> Result<u32, Error> {
        let context = ErrorContext { message: kept(message).into(), handles: 0 };
        let id = self.concurrency.error_contexts.insert(context)?;
        self.give_error_context(instance, id)
    }

    /// The error context of a handle.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn error_context_at(&mut self, instance: u32, index: u32) -> Result<u32, Error> {
        match *self.instance(instance).handles.get(index)? {
            Handle::ErrorContext(id) => Ok(id),
            _ => Err(wrong_kind(index, "an error context")),
        }
    }

    /// Gives an instance a handle for an error context.
    ///
    /// # Errors
    /// Where it has too many.
    pub(crate) fn give_error_context(&mut self, instance: u32, id: u32) -> Result<u32, Error> {
        let index = self.instance(instance).handles.insert(Handle::ErrorContext(id))?;
        self.concurrency.error_contexts[id].handles += 1;
        Ok(index)
    }

    /// `error-context.drop`.
    pub(crate) fn drop_error_context(&mut self, instance: u32, index: u32) -> Result<(), Error> {
        let id = self.error_context_at(instance, index)?;
        self.instance(instance).handles.remove(index)?;
        let context = &mut self.concurrency.error_contexts[id];
        context.handles -= 1;
        if context.handles == 0 {
            self.concurrency.error_contexts.remove(id);
        }
        Ok(())
    }
}

/// `error-context.new`: of a string in memory.
pub(crate) fn new(store: &mut Store, options: &Options, at: u32, len: u32) -> Result<u32, Error> {
    let (base, memory_len) = options.memory(store)?;
    // SAFETY: the memory is the store's and mapped so far; no guest runs while it is read.
    let memory = unsafe { std::slice::from_raw_parts(base, memory_len) };
    let message = strings::load(memory, options.encoding, at, len)?;
    ComponentState::of(store).new_error_context(options.instance, &message)
}

/// `error-context.debug-message`: to where pointer and length are to be.
pub(crate) fn debug_message(store: &mut Store, options: &Options, index: u32, at: u32) -> Result<(), Error> {
    let state = ComponentState::of(store);
    let id = state.error_context_at(options.instance, index)?;
    let message = state.concurrency.error_contexts[id].message.clone();
    Lower::new(store, options)?.string_at(&message, at)
}
