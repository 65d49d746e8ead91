//! Machine code at rest and at work: where it lies ([`memory`]), how a module's functions are reached and compiled at their
//! first call ([`table`]), how code is found from a program counter ([`registry`]), and how it is written to a file and back
//! ([`serialize`]).
//!
//! What is deliberately not here: how code is made (the compiler comes in as a closure), stores and instances.
//!
//! Invariant: code that may be running is alive. Whoever runs a module's code holds its [`table::ModuleCode`].

pub mod link;
pub mod memory;
pub mod native;
pub mod registry;
pub mod serialize;
pub mod table;

use std::io;

/// Why code could not be made, placed or loaded.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// The compiler refused.
    #[error("{0}")]
    Compile(String),
    /// The operating system refused.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    /// Not an artifact, a damaged one, or one for another engine.
    #[error("{0}")]
    Artifact(String),
}
