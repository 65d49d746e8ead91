//! Guests as programs: a command that runs to its end ([`command`]), a component that answers HTTP requests ([`serve`]), and either
//! started once ([`snapshot`]).
//!
//! What the `ampoule` command and the shim for containerd share. Neither files nor arguments are read here, and nothing is printed: what a guest
//! gets comes in as values, and what is to be said of it goes out through functions.

pub mod command;
pub mod serve;
pub mod snapshot;

use ampoule::{Config, Engine, Error, Features};
use ampoule_component::Linker;

/// The configuration that programs run under: every proposal the engine runs, but for those that one has to ask for.
pub fn base_config() -> Config {
    let features = Features {
        wide_arithmetic: true,
        custom_page_sizes: true,
        function_references: true,
        exceptions: true,
        gc: true,
        ..Features::default()
    };
    Config { features, ..Config::default() }
}

/// A linker with all that components of WASI import, of 0.2 and 0.3, HTTP included.
///
/// # Errors
/// Where a definition is refused.
pub fn component_linker(engine: &Engine) -> Result<Linker, Error> {
    let mut linker = Linker::new(engine);
    ampoule_wasi::p2::add_to_linker(&mut linker)?;
    ampoule_wasi::p2::add_http_to_linker(&mut linker)?;
    ampoule_wasi::p3::add_to_linker(&mut linker)?;
    ampoule_wasi::p3::add_http_to_linker(&mut linker)?;
    Ok(linker)
}
