//! WASI preview 1, `wasi_snapshot_preview1`.
//!
//! [`abi`] is the list of its functions: names, types and code; [`linker`] gives them to the engine. The other files are
//! that code, one for each group of the witx text; each function reads its arguments in the text's order, checks where
//! its results will go, acts, and writes them.
//!
//! Where the text is silent, answers are those of Wasmtime 44. Known differences, each on the safe side: a bad pointer
//! or an unknown flag is an error number rather than a trap; rights can be given up and are then enforced;
//! synchronized modes and `fd_allocate` work; a file can't be emptied, linked or moved around a preopen's permissions.

pub mod abi;
pub mod args;
pub mod clock;
pub mod fd;
pub mod linker;
pub mod memory;
pub mod path;
pub mod poll;
pub mod proc;
pub mod random;
pub mod sock;
pub mod types;

pub use abi::{Args, FUNCTIONS, Function, ValType};
pub use linker::add_to_linker;
pub use memory::GuestMemory;
pub use types::{Errno, Error};
