//! `wasi:http`: what is in [`crate::host::http`], as version 0.2 has it.
//!
//! [`bodies`] are those of either direction; [`outgoing`] requests that the guest sends, and their
//! responses; [`serving`] requests that it answers. [`functions`] is the list of all of it, and [`values`] the values of errors. What
//! versions have in common is in [`crate::component::http`].
//!
//! A store whose guest is to use it has an [`crate::host::http::HttpCtx`] in its slots.

pub mod bodies;
pub mod functions;
pub mod outgoing;
pub mod serving;
pub mod values;

pub use functions::{FUNCTIONS, RESOURCES};
