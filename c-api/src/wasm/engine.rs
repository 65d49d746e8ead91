//! Engines.

use super::config::wasm_config_t;
use ampoule::{Config, Engine};

/// A handle to an engine, one of possibly many to the same.
#[derive(Clone)]
pub struct wasm_engine_t {
    pub(crate) engine: Engine,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_engine_delete(_engine: Option<Box<wasm_engine_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_engine_new() -> Option<Box<wasm_engine_t>> {
    engine_of("wasm_engine_new", &wasm_config_t::default().config)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_engine_new_with_config(config: Option<Box<wasm_config_t>>) -> Option<Box<wasm_engine_t>> {
    engine_of("wasm_engine_new_with_config", &config?.config)
}

/// The reason of a refusal has no other way out than standard error.
fn engine_of(function: &str, config: &Config) -> Option<Box<wasm_engine_t>> {
    #[cfg(feature = "logging")]
    log_as_asked();
    match Engine::new(config) {
        Ok(engine) => Some(Box::new(wasm_engine_t { engine })),
        Err(reason) => {
            eprintln!("`{function}`: {reason}");
            None
        }
    }
}

/// Writes what the library logs to standard error, where the environment asks for it. A library that nobody has asked says nothing.
#[cfg(feature = "logging")]
fn log_as_asked() {
    if let Some(filter) = ["AMPOULE_LOG", "RUST_LOG"].iter().find(|variable| std::env::var_os(variable).is_some()) {
        // Only the first engine makes a logger.
        let _ = env_logger::try_init_from_env(*filter);
    }
}
