//! The operating system and the processor, as a runtime sees them: mappings, signals, stacks and fibers, the assembly through
//! which control passes between host and guest, and the memory that machine code lies in.
//!
//! What is deliberately not here: stores, modules and functions. This crate knows the structures of [`ampoule_core::vm`], which
//! machine code reads too, and the functions of the runtime as one table of addresses ([`builtins`]), which the runtime
//! installs before it runs a guest. What is one processor's is in [`arch`], and nowhere else.

pub mod arch;
pub mod builtins;
pub mod code;
pub mod fiber;
pub mod os;
pub mod profiling;
pub mod stack;
mod stack_registry;
