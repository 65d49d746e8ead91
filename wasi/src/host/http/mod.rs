//! HTTP as a guest may use it, whatever version of `wasi:http` it is written for.
//!
//! [`ctx`] says what a store gives its guest. [`fields`] are headers and trailers, [`message`] the parts of a request's head,
//! [`outgoing`] and [`incoming`] the bodies in both directions, [`client`] sends requests, each over a [`connection`] ([`sender`] is its end) that a background thread ([`runtime`]) carries, [`tls`] makes
//! it private, and a [`pool`] may keep it; [`provided`] is an embedder that answers requests instead. [`error`] is the list of what can go
//! wrong; [`budget`] bounds what the host holds for a guest, [`signal`] tells a guest that waits, and [`process`] keeps a forked child from
//! what its parent's threads have in hand.
//!
//! A guest's thread never waits in here: everything can be tried, and a [`signal::Signal`] says when it is worth trying again. Bodies are not
//! copied ahead: what the guest doesn't read stays with the connection, and what the connection doesn't take counts against the
//! bound of its stream.
//!
//! This folder knows `hyper` and `tokio`. It must not know how values of any face look.

pub mod budget;
pub mod client;
mod connection;
pub mod ctx;
pub mod error;
pub mod fields;
pub mod incoming;
pub mod message;
pub mod outgoing;
pub mod pool;
pub mod process;
pub mod provided;
pub mod runtime;
mod sender;
pub mod signal;
pub mod tls;

pub use ctx::{HttpConfig, HttpCtx};
pub use error::ErrorCode;
pub use fields::Fields;
/// Whose types messages are, for embedders.
pub use hyper;
pub use pool::HttpPool;
