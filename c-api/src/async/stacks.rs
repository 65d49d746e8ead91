//! Stacks of the host's, which run asynchronous calls.

use crate::error::wasmtime_error_t;
use crate::foreign::{Finalizer, Foreign};
use ampoule::Error;
use ampoule::engine::stack_pool::HostStack;
use ampoule::engine::stack_pool::{HostStackCreator, HostStacks};
use std::ffi::c_void;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;

/// Tells where a stack of the host's ends, and how long it is.
pub type wasmtime_stack_memory_get_callback_t = extern "C" fn(env: *mut c_void, out_len: &mut usize) -> *mut u8;

/// A stack of the host's.
#[repr(C)]
pub struct wasmtime_stack_memory_t {
    env: *mut c_void,
    get_stack_memory: Option<wasmtime_stack_memory_get_callback_t>,
    finalizer: Finalizer,
}

/// Makes a stack of the host's.
pub type wasmtime_new_stack_memory_callback_t = extern "C" fn(
    env: *mut c_void,
    size: usize,
    zeroed: bool,
    stack_ret: &mut wasmtime_stack_memory_t,
) -> Option<Box<wasmtime_error_t>>;

/// Makes the stacks of an engine.
#[repr(C)]
pub struct wasmtime_stack_creator_t {
    env: *mut c_void,
    new_stack: wasmtime_new_stack_memory_callback_t,
    finalizer: Finalizer,
}

impl wasmtime_stack_creator_t {
    /// Takes the creator's `env` over.
    pub(super) fn take(&mut self) -> HostStacks {
        let env = Foreign::new(self.env, self.finalizer);
        HostStacks(Arc::new(Creator { env, new_stack: self.new_stack }))
    }
}

/// A creator whose `env` was taken over.
struct Creator {
    env: Foreign,
    new_stack: wasmtime_new_stack_memory_callback_t,
}

/// A stack whose `env` was taken over.
struct HostBytes {
    _env: Foreign,
    range: Range<usize>,
}

// SAFETY: the header's contract is the trait's, and the range was asked for once.
unsafe impl HostStack for HostBytes {
    fn range(&self) -> Range<usize> {
        self.range.clone()
    }
}

impl HostStackCreator for Creator {
    fn create(&self, size: usize, zeroed: bool) -> Result<Box<dyn HostStack>, Error> {
        let mut made = wasmtime_stack_memory_t { env: ptr::null_mut(), get_stack_memory: None, finalizer: None };
        if let Some(error) = (self.new_stack)(self.env.data(), size, zeroed, &mut made) {
            return Err(error.0);
        }
        let env = Foreign::new(made.env, made.finalizer);
        let get = made.get_stack_memory.ok_or_else(|| Error::message("the host's stack lacks a function"))?;
        let mut len = 0;
        let end = get(env.data(), &mut len).expose_provenance();
        let start = end.checked_sub(len).unwrap_or(end);
        Ok(Box::new(HostBytes { _env: env, range: start..end }))
    }
}
