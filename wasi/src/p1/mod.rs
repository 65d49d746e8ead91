//! WASI preview 1, `wasi_snapshot_preview1`: an interface over [`crate::host`].
//!
//! [`functions`] is the list of its functions: names, types and code; [`linker`] gives them to the engine. [`call`] says
//! what such a function is called with; then there is a file for each group of the witx text. Each function reads its
//! arguments in the text's order, checks where its results will go, acts on the host, and writes them.
//!
//! This folder knows the witx text: error numbers ([`errno`]), rights, flags and records ([`types`]), descriptors by
//! number with rights that can be given up ([`descriptor`]), and pointers into a 32-bit memory ([`memory`]). It must not
//! decide what the embedder permits, nor sleep: both are the host's. No other interface may know it.
//!
//! Where the text is silent, answers are those of Wasmtime 44. Known differences, each on the safe side: a bad pointer
//! or an unknown flag is an error number rather than a trap; rights can be given up and are then enforced;
//! synchronized modes and `fd_allocate` work; a file can't be emptied, linked or moved around a preopen's permissions.

pub mod args;
pub mod call;
pub mod clock;
pub mod descriptor;
pub mod errno;
pub mod fd;
pub mod functions;
pub mod linker;
pub mod memory;
pub mod path;
pub mod poll;
pub mod proc;
pub mod random;
pub mod snapshot;
pub mod sock;
pub mod types;

pub use call::{Args, Ctx, Function, ValType};
pub use errno::{Errno, Error};
pub use functions::FUNCTIONS;
pub use linker::{add_imported_to_linker, add_to_linker};
pub use memory::GuestMemory;
