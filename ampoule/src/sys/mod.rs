//! Where the engine touches the operating system and the CPU: mappings, stacks, signals, and the assembly through which
//! control passes between host and guest.
//!
//! What is deliberately not here: stores, modules, values. These files know the structs of `core::vm`, and the functions of
//! `crate::builtins` by name, and nothing else of the engine.
//!
//! Invariant: guest frames between an entry frame and the point where the guest left own nothing. Everything here that
//! abandons frames ([`entry::unwind`]) relies on it.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!(
    "this version of ampoule runs on Linux on x86_64 only: see ampoule/src/sys for what another platform needs"
);

pub mod cpu;
pub mod entry;
pub mod mmap;
pub mod pagemap;
pub mod reservation;
pub mod signals;
pub mod stack;
pub mod trampolines;
