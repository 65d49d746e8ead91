//! `wasi:http`: what is in [`crate::host::http`], as version 0.2 has it.
//!
//! [`fields`] are headers and trailers; [`bodies`] those of either direction; [`outgoing`] requests that the guest sends, and their
//! responses; [`serving`] requests that it answers, and [`handler`] how an embedder has it do so. [`functions`] is the list of all of it, and
//! [`values`] the values of methods, schemes and errors.
//!
//! A store whose guest is to use it has an [`crate::host::http::HttpCtx`] in its slots.

pub mod bodies;
pub mod fields;
pub mod functions;
pub mod handler;
pub mod outgoing;
pub mod serving;
pub mod values;

pub use functions::{FUNCTIONS, RESOURCES};
pub use handler::Handler;
