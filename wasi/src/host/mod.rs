//! The host as a guest may use it: files, streams, clocks, randomness, waiting.
//!
//! [`ctx`] says what a guest gets. [`mod@dir`] and [`mod@file`] are directories and files within the embedder's permissions, of the
//! host's file systems or, by [`volume`], of the embedder's own,
//! [`stdio`] the standard streams, [`net`] sockets and names, [`http`] messages and
//! connections for them, [`input`] and [`output`] all that bytes come from and go to,
//! [`stream`] what may have to wait for the other side, [`poll`] waiting for the first of several things, [`wait`] the one
//! place that sleeps, [`table`] numbers with a budget, [`snapshot`] what of all this can be kept. Errors are [`Error`].
//!
//! This folder knows the operating system, and of the engine what ends a sleep. It must not know any interface of WASI:
//! no error number, flag, right, record layout or guest address. Those belong to the interfaces over it,
//! which translate, and keep what is theirs alone in [`WasiCtx::with_state`].
//!
//! Everything that can wait exists in two forms: an attempt that never does, with [`poll::Readiness`] to say what it
//! lacks, for a caller that suspends; and a synchronous one, whose [`wait::Waiter`] sleeps in between.

pub mod available;
pub mod buffers;
pub mod clocks;
pub mod ctx;
pub mod dir;
pub mod error;
pub mod file;
pub mod flags;
pub mod fork;
pub mod http;
pub mod input;
pub mod net;
pub mod output;
pub mod place;
pub mod poll;
pub mod random;
pub mod snapshot;
pub mod stat;
pub mod stdio;
pub mod stream;
pub mod table;
pub mod volume;
pub mod wait;

pub use ctx::{ConfigError, Host, WasiConfig, WasiCtx};
pub use error::Error;
