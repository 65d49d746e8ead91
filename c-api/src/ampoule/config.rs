//! `ampoule/config.h`: settings of an engine about exceptions and collected objects.

use crate::wasm::config::wasm_config_t;

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_config_legacy_exceptions_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.legacy_exceptions = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_config_gc_stress_set(config: &mut wasm_config_t, enable: bool) {
    config.config.gc_stress = enable;
}
