//! What is one processor's. Each has a folder of the same files, the one in use is `pub use`d here, and nothing outside names it.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!(
    "this version of ampoule runs on Linux on x86_64 only: machine/src/arch/x86_64 shows what another processor needs"
);

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;
