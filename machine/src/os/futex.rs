//! Sleeping on a word in memory until somebody wakes the sleeper: the one way to wake a thread that signal handlers may use too.

use rustix::thread::futex::{self, Flags};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Sleeps while the word is `expected`, until woken or for so long. May return early for no reason.
pub fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
    // A time beyond the system's is for ever, near enough.
    let timeout = timeout.and_then(|timeout| timeout.try_into().ok());
    // Whatever it says, the caller looks at the word again.
    let _ = futex::wait(word, Flags::PRIVATE, expected, timeout.as_ref());
}

/// Wakes who sleeps on the word. A system call and nothing else, so that signal handlers may.
pub fn wake(word: &AtomicU32) {
    let _ = futex::wake(word, Flags::PRIVATE, u32::MAX >> 1);
}
