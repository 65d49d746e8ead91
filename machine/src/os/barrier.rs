//! A barrier in all threads of this process at once. Who needs it rarely pays for it, and the others, who would need one each time, do not.

use rustix::io::Errno;
use rustix::thread::{MembarrierCommand, membarrier};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the process has said that it will ask.
static READY: AtomicBool = AtomicBool::new(false);

/// Whether a barrier takes microseconds. The first one may take tens of milliseconds, in which the kernel waits for all processors.
pub fn is_ready() -> bool {
    READY.load(Ordering::Relaxed)
}

/// Makes barriers ready where that takes no time: while this is the only thread.
pub fn prepare_if_alone() {
    // A folder has a link to itself, one from the folder around it, and one from each folder in it, of which there is one for each thread.
    if !is_ready() && rustix::fs::stat("/proc/self/task").is_ok_and(|tasks| tasks.st_nlink == 3) {
        prepare();
    }
}

fn prepare() -> bool {
    let is_ready = membarrier(MembarrierCommand::RegisterPrivateExpeditedSyncCore).is_ok();
    READY.store(is_ready, Ordering::Relaxed);
    is_ready
}

/// Each thread of the process that runs has passed a full memory barrier when this returns, and executes no instruction that it had fetched
/// before. False where the kernel offers no such thing: then nothing of that is so.
pub fn in_all_threads() -> bool {
    let barrier = || membarrier(MembarrierCommand::PrivateExpeditedSyncCore);
    match barrier() {
        Err(Errno::PERM) => prepare() && barrier().is_ok(),
        answer => answer.is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_barrier_answers_as_the_first() {
        assert_eq!(in_all_threads(), in_all_threads());
    }
}
