//! The exception that is on its way, and what is known of where it may be caught.

use crate::store::handler_cache::HandlerCache;

/// What a store knows of exceptions. They themselves are objects of its heap.
#[derive(Default)]
pub(crate) struct Exceptions {
    /// The raw reference to the one that is thrown and not caught yet, or zero.
    pub(crate) pending: u32,
    /// Where what is thrown may be caught.
    pub(crate) handlers: HandlerCache,
}
