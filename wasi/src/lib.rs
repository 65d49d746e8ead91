//! WASI for Ampoule: what a guest may reach of the host, and the functions by which it does.
//!
//! A [`WasiConfig`] says what a guest gets; by default that is nothing: no arguments, no environment, no directories,
//! an empty input and outputs that go nowhere. Built, it is a [`WasiCtx`], which one store owns. [`host`] is what it
//! stands for, whatever the interface; [`p1`] is the interface of WASI preview 1 over it, for modules: one table of functions on
//! raw values and raw memory; [`p2`] is WASI 0.2, for components: one table of functions on values. The host knows no interface,
//! and no interface knows another. [`snapshot`] is what of all this can be kept, and given to another guest.
//!
//! What is not here: threads.
//!
//! Invariants: a guest reaches no file except beneath a preopened directory; no byte of guest memory is ever behind a
//! Rust reference; everything the host holds for a guest is bounded, by the descriptor budget above all; and a call
//! sleeps in [`host::wait`] only.

pub mod component;
pub mod handler;
pub mod host;
pub mod p1;
pub mod p2;
pub mod p3;
pub mod snapshot;

pub use handler::Handler;
pub use host::available::Availability;
pub use host::clocks::ClockSource;
pub use host::dir::DirPerms;
pub use host::file::FilePerms;
pub use host::net::NetworkProvider;
pub use host::random::RandomSource;
pub use host::stdio::{Input, OutputCallback};
pub use host::volume::{FileSystem, Volume};
pub use host::{ConfigError, WasiConfig, WasiCtx};
pub use snapshot::{SnapshotError, WasiResources, WasiState};
