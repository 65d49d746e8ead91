//! Whether this is still the process that it was: forked children know, without a call to the system.

use std::io;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks led here since counting began.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Counts forks from now on, if that wasn't done yet.
///
/// # Errors
/// What the operating system says.
pub fn count() -> io::Result<()> {
    static COUNTED: Mutex<bool> = Mutex::new(false);
    let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*counted {
        // SAFETY: the handler is a function that lives as long as the process.
        match unsafe { libc::pthread_atfork(None, None, Some(in_child)) } {
            0 => *counted = true,
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
    Ok(())
}

/// A number that is another one in a child than in its parent, once forks are counted.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

unsafe extern "C" fn in_child() {
    // Only this thread is there, so nobody else counts.
    GENERATION.fetch_add(1, Ordering::Relaxed);
}
