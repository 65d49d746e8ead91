//! Where the engine touches the operating system and the CPU: mappings, stacks, signals, and the assembly through which
//! control passes between host and guest.
//!
//! What is deliberately not here: stores, modules, values. These files know the structs of `core::vm`, and the functions of
//! `crate::builtins` by name, and nothing else of the engine; [`native`] also knows where a store keeps its stack's bounds.
//!
//! Invariant: guest frames between an entry frame and the point where the guest left own nothing. Everything here that
//! abandons frames ([`entry::unwind`]) relies on it.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!(
    "this version of ampoule runs on Linux on x86_64 only: see ampoule/src/sys for what another platform needs"
);

/// What unwinders must know where a frame is made and `rbp` points to it.
macro_rules! frame_rules {
    () => {
        ".cfi_def_cfa rbp, 16
         .cfi_offset rbp, -16"
    };
}

/// The start of an assembly function that has a frame. It ends in `.cfi_endproc`.
macro_rules! make_frame {
    () => {
        ".cfi_startproc
         push rbp
         .cfi_def_cfa_offset 16
         .cfi_offset rbp, -16
         mov rbp, rsp
         .cfi_def_cfa_register rbp"
    };
}

/// The end of the frame that `make_frame` made.
macro_rules! drop_frame {
    () => {
        "mov rsp, rbp
         pop rbp
         .cfi_def_cfa rsp, 8"
    };
}

pub mod cpu;
pub mod debugger;
pub mod entry;
pub mod fiber;
pub mod fork;
pub mod futex;
pub mod mmap;
pub mod native;
pub mod pagemap;
pub mod reservation;
pub mod signals;
pub mod stack;
pub mod switch;
pub mod thread;
pub mod trampolines;
pub mod unwind_info;
pub mod valgrind;
