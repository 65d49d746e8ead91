//! Engines.

use super::config::wasm_config_t;
use ampoule::Engine;

/// A handle to an engine, one of possibly many to the same.
#[derive(Clone)]
pub struct wasm_engine_t {
    pub(crate) engine: Engine,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_engine_delete(_engine: Option<Box<wasm_engine_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_engine_new() -> Box<wasm_engine_t> {
    Box::new(wasm_engine_t { engine: Engine::default() })
}

/// The reason of a refusal has no other way out than standard error.
#[unsafe(no_mangle)]
pub extern "C" fn wasm_engine_new_with_config(config: Box<wasm_config_t>) -> Option<Box<wasm_engine_t>> {
    match Engine::new(&config.config) {
        Ok(engine) => Some(Box::new(wasm_engine_t { engine })),
        Err(reason) => {
            eprintln!("`wasm_engine_new_with_config`: {reason}");
            None
        }
    }
}
