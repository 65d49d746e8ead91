//! `wasi:http`: what is in [`crate::host::http`], as version 0.3 has it.
//!
//! A message is a head and a body, whichever way it goes: [`messages`] are those that the guest makes and those that it gets, [`bodies`] what
//! connects their streams of bytes and futures of trailers with what a connection takes or brings. [`client`] sends requests,
//! [`handling`] has the guest answer them. [`functions`] is the list of all of it.
//!
//! A store whose guest is to use it has an [`crate::host::http::HttpCtx`] in its slots.

pub mod bodies;
pub mod client;
pub mod errors;
pub mod functions;
pub mod handling;
pub mod messages;
pub mod options;

pub use functions::{FUNCTIONS, RESOURCES};
