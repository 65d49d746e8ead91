//! What the host hands over for safekeeping: a pointer, and a finalizer that is called with it exactly once.

use std::ffi::c_void;
use std::ptr;

/// A C finalizer; null is `None`.
pub type Finalizer = Option<extern "C" fn(*mut c_void)>;

/// A pointer of the host's and its finalizer, which runs when this is dropped, on whatever thread.
pub struct Foreign {
    data: *mut c_void,
    finalizer: Finalizer,
}

// SAFETY: the headers say that what is handed over may be finalized on any thread; the pointer itself is never followed here.
unsafe impl Send for Foreign {}
// SAFETY: `&Foreign` only tells the pointer; what it leads to is the host's to synchronize.
unsafe impl Sync for Foreign {}

impl Foreign {
    /// Takes the pair over.
    #[inline]
    pub fn new(data: *mut c_void, finalizer: Finalizer) -> Self {
        Self { data, finalizer }
    }

    /// The pointer.
    pub fn data(&self) -> *mut c_void {
        self.data
    }

    /// Replaces the pointer; the finalizer will run with the new one only.
    pub fn set_data(&mut self, data: *mut c_void) {
        self.data = data;
    }
}

impl Default for Foreign {
    fn default() -> Self {
        Self::new(ptr::null_mut(), None)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(finalizer) = self.finalizer {
            finalizer(self.data);
        }
    }
}
