//! The threads that compile and validate: a pool that is made when it is first needed, in each process anew.
//!
//! A forked child has none of its parent's threads, and a pool that came with the fork would wait for them for ever. So the pool isn't
//! the one that rayon keeps for everybody, and it remembers whose it is.

use ampoule_machine::os::sync::Mutex;
use rayon::ThreadPool;
use std::process;

static POOL: Mutex<Option<Owned>> = Mutex::new(None);

/// A pool and the process whose threads are in it.
struct Owned {
    process: u32,
    pool: &'static ThreadPool,
}

/// Runs `work` where rayon's parallel iterators use all cores; on this thread, with whatever rayon does there, when no threads
/// can be made.
pub fn on_all_cores<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match pool() {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// This process's pool. It stays for the process's life; that of a parent is forgotten, since taking it down takes its threads.
fn pool() -> Option<&'static ThreadPool> {
    let mut slot = POOL.lock();
    match &*slot {
        Some(owned) if owned.process == process::id() => return Some(owned.pool),
        _ => {}
    }
    let builder = rayon::ThreadPoolBuilder::new().thread_name(|number| format!("ampoule-{number}"));
    let pool: &'static ThreadPool = Box::leak(Box::new(builder.build().ok()?));
    // What the threads share with those of every other pool is made by the first that looks for work: while we have the lock, and no fork
    // leaves it half made.
    pool.install(|| ());
    *slot = Some(Owned { process: process::id(), pool });
    Some(pool)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    fn sum() -> u64 {
        on_all_cores(|| (0..1000u64).into_par_iter().sum())
    }

    #[test]
    fn a_forked_child_has_threads_of_its_own() {
        assert_eq!(sum(), 499_500);
        // SAFETY: the child, in its only thread, runs what is tested and ends without returning.
        match unsafe { libc::fork() } {
            0 => {
                // SAFETY: ends the process, by a signal should the sum never come.
                unsafe {
                    libc::alarm(20);
                    libc::_exit(i32::from(sum() != 499_500))
                }
            }
            child => {
                let mut status = 0;
                // SAFETY: waits for the child made above.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(status, 0);
            }
        }
        assert_eq!(sum(), 499_500);
    }
}
