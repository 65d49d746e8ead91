//! WASI for Ampoule: what a guest may reach of the host, and the functions by which it does.
//!
//! A [`WasiConfig`] says what a guest gets; by default that is nothing: no arguments, no environment, no directories,
//! an empty input and outputs that go nowhere. Built, it is a [`WasiCtx`], which one store owns. [`p1`] is the interface
//! of WASI preview 1 over it: one table of functions on raw values and raw memory.
//!
//! What is not here: sockets (preview 1 can't make any) and threads.
//!
//! Invariants: a guest reaches no file except beneath a preopened directory; no byte of guest memory is ever behind a
//! Rust reference; everything the host holds for a guest is bounded, by the descriptor budget above all; and a call
//! sleeps in [`wait`] only.

pub mod clocks;
pub mod ctx;
pub mod files;
pub mod p1;
pub mod random;
pub mod sockets;
pub mod stdio;
pub mod table;
pub mod wait;

pub use ctx::{ConfigError, WasiConfig, WasiCtx};
pub use files::{DirPerms, FilePerms};
