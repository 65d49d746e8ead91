//! The end of a process whose caller cannot be told in another way. Every file here may need it, so it knows none of them.

/// Ends the process because of misuse that no function can report.
#[cold]
pub fn misuse(function: &str, reason: &str) -> ! {
    eprintln!("`{function}`: {reason}");
    std::process::abort()
}
