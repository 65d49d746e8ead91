//! The settings of an engine. `crate::config` has the functions that change them.

use ampoule::{Config, Features};

/// A configuration that no engine has taken yet.
pub struct wasm_config_t {
    pub(crate) config: Config,
}

/// As `config.h` says: what it has a switch for that is off by default is off, whatever is the engine's default.
impl Default for wasm_config_t {
    fn default() -> Self {
        let features = Features { component_model_map: false, ..Features::default() };
        Self { config: Config { features, ..Config::default() } }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_config_delete(_config: Option<Box<wasm_config_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_config_new() -> Box<wasm_config_t> {
    Box::default()
}
