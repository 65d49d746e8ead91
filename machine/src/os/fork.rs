//! Forks of this process: children know what they are without a call to the system, and what threads of ours do in the
//! background is at no moment half done in a child.

use std::cell::UnsafeCell;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockWriteGuard};

/// How many forks led here since watching began.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Read by who must not be cut off by a fork, written by who forks.
static QUIET: RwLock<()> = RwLock::new(());

/// The forking thread's guard of [`QUIET`].
struct Forking(UnsafeCell<Option<RwLockWriteGuard<'static, ()>>>);

// SAFETY: only used by the thread that has `QUIET` for itself.
unsafe impl Sync for Forking {}

static FORKING: Forking = Forking(UnsafeCell::new(None));

/// Watches for forks from now on, if that wasn't done yet.
///
/// # Errors
/// What the operating system says.
pub fn watch() -> io::Result<()> {
    static WATCHED: Mutex<bool> = Mutex::new(false);
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*watched {
        // SAFETY: the handlers are functions that live as long as the process.
        match unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) } {
            0 => *watched = true,
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
    Ok(())
}

/// A number that is another one in a child than in its parent, once forks are watched.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Does something at which this process isn't forked, once forks are watched: whoever forks waits for its end. It is for threads of ours that
/// the embedder doesn't know of, so that a child, which is without them, finds no lock taken and nothing half done.
///
/// It should be short, must not fork, and must not use this function again.
pub fn hold_off<R>(act: impl FnOnce() -> R) -> R {
    let _quiet = QUIET.read().unwrap_or_else(PoisonError::into_inner);
    act()
}

unsafe extern "C" fn before() {
    let quiet = QUIET.write().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: this thread has `QUIET` for itself.
    unsafe { *FORKING.0.get() = Some(quiet) };
}

unsafe extern "C" fn in_parent() {
    // SAFETY: this thread has had `QUIET` since `before`. Taken out before it is dropped, since that lets others go on.
    let quiet = unsafe { (*FORKING.0.get()).take() };
    drop(quiet);
}

unsafe extern "C" fn in_child() {
    // Only this thread is there, so nobody else counts.
    GENERATION.fetch_add(1, Ordering::Relaxed);
    // SAFETY: as in the parent; this thread is the copy of the one that forked.
    unsafe { in_parent() };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    static SHARED: Mutex<u32> = Mutex::new(0);

    #[test]
    fn what_holds_forks_off_is_whole_in_children() {
        watch().unwrap();
        let parent = generation();
        let (begun, wait) = mpsc::channel();
        let thread = thread::spawn(move || {
            hold_off(|| {
                let mut shared = SHARED.lock().unwrap();
                begun.send(()).unwrap();
                thread::sleep(Duration::from_millis(50));
                *shared += 1;
            });
        });
        wait.recv().unwrap();
        // SAFETY: the child, in its only thread, runs what is tested and ends without returning.
        match unsafe { libc::fork() } {
            0 => {
                // A child of a child: the lock is free in both.
                // SAFETY: ends the process, by a signal should it wait for ever.
                unsafe {
                    libc::alarm(20);
                    let whole = *SHARED.lock().unwrap() == 1 && hold_off(|| generation() == parent + 1);
                    let grandchild = libc::fork();
                    if grandchild == 0 {
                        libc::_exit(i32::from(generation() != parent + 2));
                    }
                    let mut status = 0;
                    libc::waitpid(grandchild, &mut status, 0);
                    libc::_exit(i32::from(!whole || status != 0));
                }
            }
            child => {
                let mut status = 0;
                // SAFETY: waits for the child made above.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(status, 0);
            }
        }
        assert_eq!(generation(), parent);
        thread.join().unwrap();
        hold_off(|| {});
    }
}
