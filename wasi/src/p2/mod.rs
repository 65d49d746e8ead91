//! WASI 0.2, for components: an interface over [`crate::host`].
//!
//! [`functions`] is the list of its functions and resource types; [`linker`] gives both to the engine, under the names of one version. Then
//! there is a file for each package of the WIT texts; what versions have in common, and what all this is made of, is in
//! [`crate::component`].
//!
//! This folder knows the WIT texts. It must not decide what the embedder permits, nor sleep: both are the host's. No other interface
//! may know it.
//!
//! What a guest can do wrong that the texts have no error for ends it: a stream that is dropped before what watches it, more bytes than
//! a stream has said it will take, a table that is full.

pub mod cli;
pub mod clocks;
pub mod filesystem;
pub mod functions;
pub mod http;
pub mod io;
pub mod linker;
pub mod snapshot;
pub mod sockets;

pub use functions::{FUNCTIONS, RESOURCES};
pub use linker::{add_http_to_linker, add_to_linker};
