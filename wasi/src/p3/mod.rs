//! WASI 0.3, for components: an interface over [`crate::host`] of functions beside which the guest goes on, and of streams.
//!
//! [`functions`] is the list of its functions and resource types; [`linker`] gives both to the engine, under the names of one version. What it
//! has in common with 0.2, and what all this is made of, is in [`crate::component`]; [`streams`] are those between the guest and the
//! host, whose bytes go from the guest's memory to the system and back without a copy. Then there is a file for each package of the
//! WIT texts.
//!
//! This folder knows the WIT texts. It must not decide what the embedder permits, nor sleep: both are the host's. No other interface
//! may know it.

pub mod cli;
pub mod clocks;
pub mod filesystem;
pub mod functions;
pub mod http;
pub mod linker;
pub mod sockets;
pub mod streams;

pub use functions::{FUNCTIONS, RESOURCES};
pub use linker::{add_http_to_linker, add_to_linker};
