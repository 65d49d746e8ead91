//! The scheduling of threads, and what file the code of this library is from.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Makes the calling thread, and no other, so nice: from -20, urgent, to 19.
///
/// # Errors
/// Where the system doesn't allow it.
pub fn set_niceness(niceness: i32) -> io::Result<()> {
    // On Linux a thread's id stands for that thread alone, and so does zero for the calling one.
    // SAFETY: takes numbers only.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The file that this code was loaded from, a library or a program, if the loader knows.
pub fn own_file() -> Option<PathBuf> {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: any address may be asked for; `info` is written on success.
    let found = unsafe { libc::dladdr(own_file as *const () as *const _, info.as_mut_ptr()) } != 0;
    // SAFETY: all zeros is a valid `Dl_info`, and so is what the call made of it.
    let name = unsafe { info.assume_init() }.dli_fname;
    if !found || name.is_null() {
        return None;
    }
    // SAFETY: on success the loader's string, which stays as long as this library.
    let path = PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()));
    // A program's is as it was called, which need not be a path from here.
    path.is_absolute().then_some(path).or_else(|| std::env::current_exe().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_from_the_program_that_runs() {
        assert_eq!(
            own_file().unwrap().canonicalize().unwrap(),
            std::env::current_exe().unwrap().canonicalize().unwrap()
        );
    }

    #[test]
    fn niceness_is_the_threads_alone() {
        // SAFETY: takes numbers only.
        let nice = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let before = nice();
        std::thread::spawn(move || {
            set_niceness(19).unwrap();
            assert_eq!(nice(), 19);
        })
        .join()
        .unwrap();
        assert_eq!(nice(), before);
    }
}
