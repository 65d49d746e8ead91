//! `ampoule.h` and `ampoule/*.h`: what goes beyond the shared interface, one file for each header.
//!
//! [`EXTENSIONS`] is the one list of the names that `ampoule_has` knows; the header's table documents them.

pub mod budget;
pub mod cancel;
pub mod component;
pub mod config;
pub mod error;
#[cfg(feature = "http")]
pub mod http;
pub mod instance;
pub mod limits;
pub mod native;
pub mod snapshot;
pub mod wait;
pub mod wasi;

use std::ffi::{CStr, c_char};

/// The names of the extensions, one for each header in `include/ampoule/`. Programs rely on them: never take one away.
const EXTENSIONS: &[&CStr] = &[
    c"budget",
    c"cancel",
    c"component",
    c"config",
    c"error",
    #[cfg(feature = "http")]
    c"http",
    c"instance",
    c"limits",
    c"native",
    c"snapshot",
    c"wait",
    c"wasi",
];

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_has(name: *const c_char) -> bool {
    // SAFETY: the caller passes null or a NUL-terminated string.
    !name.is_null() && EXTENSIONS.contains(&unsafe { CStr::from_ptr(name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_list_is_there() {
        for name in EXTENSIONS {
            // SAFETY: it is a string.
            assert!(unsafe { ampoule_has(name.as_ptr()) });
        }
    }

    #[test]
    fn what_is_not_in_the_list_is_not_there() {
        // SAFETY: null is allowed, and the others are strings.
        unsafe {
            assert!(!ampoule_has(std::ptr::null()));
            assert!(!ampoule_has(c"".as_ptr()));
            assert!(!ampoule_has(c"no such thing".as_ptr()));
        }
    }
}
