//! The settings of an engine. `crate::config` has the functions that change them.

use ampoule::Config;

/// A configuration that no engine has taken yet.
#[derive(Default)]
pub struct wasm_config_t {
    pub(crate) config: Config,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_config_delete(_config: Option<Box<wasm_config_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_config_new() -> Box<wasm_config_t> {
    Box::default()
}
