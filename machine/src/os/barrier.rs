//! A barrier in all threads of this process at once. Who needs it rarely pays for it, and the others, who would need one each time, do not.

use rustix::io::Errno;
use rustix::thread::{MembarrierCommand, membarrier};

/// Each thread of the process that runs has passed a full memory barrier when this returns, and executes no instruction that it had fetched
/// before. False where the kernel offers no such thing: then nothing of that is so.
pub fn in_all_threads() -> bool {
    let barrier = || membarrier(MembarrierCommand::PrivateExpeditedSyncCore);
    let register = || membarrier(MembarrierCommand::RegisterPrivateExpeditedSyncCore);
    match barrier() {
        // The process has not said yet that it will ask.
        Err(Errno::PERM) => register().and_then(|()| barrier()),
        answer => answer,
    }
    .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_barrier_answers_as_the_first() {
        assert_eq!(in_all_threads(), in_all_threads());
    }
}
