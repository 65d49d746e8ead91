//! Memory for machine code ([`space`], [`free_ranges`]), what makes the calls in it lead where they should ([`link`]), thunks at rest ([`thunks`]), how
//! the owner of code is found from a program counter ([`registry`]), and what unwinders and debuggers are told ([`unwind_info`],
//! [`debugger`]).
//!
//! What is deliberately not here: how code is made, and what a module is: its owner here is anyone's.
//!
//! Invariant: code that may be running is alive. Whoever runs code holds what owns it.

pub mod debugger;
pub mod free_ranges;
pub mod link;
pub mod registry;
pub mod space;
pub mod thunks;
pub mod unwind_info;

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
    /// There is no room for more in what counts it.
    #[error("{0}")]
    Limit(String),
}

impl CodeError {
    /// The operating system has no memory for code.
    pub fn no_memory(error: io::Error) -> Self {
        CodeError::System("placing machine code", error)
    }
}
