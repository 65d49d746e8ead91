//! 0.3 as imports of components.

use super::functions::{FUNCTIONS, RESOURCES};
use super::http;
use crate::component::linker::add;
use ampoule::Error;
use ampoule_component::Linker;

/// The version whose interfaces these are. Components that import another one of 0.3 get these, too.
pub const VERSION: &str = "0.3.2";

/// Defines all of 0.3 but `wasi:http`; a linker may have 0.2, too, and components that import 0.3 mostly want that. Each store that calls it
/// keeps its [`crate::WasiCtx`] in its slots.
///
/// # Errors
/// A name that is taken, when the linker doesn't allow shadowing.
pub fn add_to_linker(linker: &mut Linker) -> Result<(), Error> {
    add(linker, VERSION, RESOURCES, FUNCTIONS)
}

/// Defines `wasi:http`. Each store that calls it keeps its [`crate::host::http::HttpCtx`] in its slots, and its [`crate::WasiCtx`], too.
///
/// # Errors
/// A name that is taken, when the linker doesn't allow shadowing.
pub fn add_http_to_linker(linker: &mut Linker) -> Result<(), Error> {
    add(linker, VERSION, http::RESOURCES, http::FUNCTIONS)
}
