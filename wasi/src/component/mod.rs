//! What the interfaces for components, of whatever version, are made of: between their tables of functions and [`crate::host`].
//!
//! A version is a table of [`Function`]s and one of [`Resource`]s. The code of a function is a Rust function whose types say those of the
//! WIT text ([`values`] turns one into the other); it is called with a [`Cx`], which has the store, the host and what the guest has
//! ([`resources`]), and it ends in an answer, in an error that the guest is told, or in one that ends the guest ([`error`]). One that may
//! take a while is an `async` function ([`later`]). [`linker`] gives the tables to the engine.
//!
//! [`cli`], [`clocks`], [`filesystem`], [`http`], [`random`] and [`sockets`] are what versions have in common. This folder must not know the versions themselves.

pub mod call;
pub mod cli;
pub mod clocks;
pub mod cx;
pub mod error;
pub mod filesystem;
pub mod http;
pub mod later;
pub mod linker;
pub mod random;
pub mod resources;
pub mod sockets;
pub mod values;

pub use call::{Code, Function, Resource};
pub use cx::Cx;
pub use error::{Error, Fail};
pub use resources::{Entry, Handle, Own, Taken};
pub use values::{Bytes, FromVal, IntoVal};
