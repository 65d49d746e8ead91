//! What belongs to the threads of one process.
//!
//! A connection is shared with the thread that carries it, by locks that are not the engine's. A forked child has no such thread, and may
//! find such a lock taken: it must neither use nor free what it has a copy of.

use crate::host::fork;
use std::mem::ManuallyDrop;

/// A value for the process that has made it. In a forked child it is as good as gone.
#[derive(Debug)]
pub struct OfProcess<T> {
    value: ManuallyDrop<T>,
    process: Option<u64>,
}

impl<T> OfProcess<T> {
    /// For this process.
    pub fn new(value: T) -> Self {
        Self { value: ManuallyDrop::new(value), process: fork::mark() }
    }

    /// The value, in its process.
    pub fn get(&self) -> Option<&T> {
        self.is_ours().then_some(&*self.value)
    }

    /// The value, in its process, to change it.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        if self.is_ours() { Some(&mut *self.value) } else { None }
    }

    fn is_ours(&self) -> bool {
        self.process == fork::mark()
    }
}

impl<T> Drop for OfProcess<T> {
    fn drop(&mut self) {
        if self.is_ours() {
            // SAFETY: it is dropped once, here, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}
