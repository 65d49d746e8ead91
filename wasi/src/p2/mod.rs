//! WASI 0.2, for components: an interface over [`crate::host`].
//!
//! [`functions`] is the list of its functions: interface, name and code; [`resources`] that of its resource types, and the table of what
//! a guest has of each. [`linker`] gives both to the engine, under the names of one version: the linker's rules let it stand for all
//! others of 0.2. [`call`] says what such a function is called with and how its values become Rust's ([`values`]); then there is a file
//! for each package of the WIT texts.
//!
//! This folder knows the WIT texts. It must not decide what the embedder permits, nor sleep: both are the host's. No other interface
//! may know it.
//!
//! What a guest can do wrong that the texts have no error for ends it: a stream that is dropped before what watches it, more bytes than
//! a stream has said it will take, a table that is full.

pub mod call;
pub mod cli;
pub mod clocks;
pub mod filesystem;
pub mod functions;
pub mod http;
pub mod io;
pub mod linker;
pub mod random;
pub mod resources;
pub mod sockets;
pub mod values;

pub use functions::FUNCTIONS;
pub use linker::{add_http_to_linker, add_to_linker};
