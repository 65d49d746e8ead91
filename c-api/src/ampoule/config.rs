//! `ampoule/config.h`: settings of an engine about exceptions, collected objects and compilers.

use crate::wasm::config::wasm_config_t;
use ampoule::TierUpConfig;

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_config_legacy_exceptions_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.legacy_exceptions = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_config_gc_stress_set(config: &mut wasm_config_t, enable: bool) {
    config.config.gc_stress = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_config_tier_up_set(config: &mut wasm_config_t, after: u32, threads: usize) {
    config.config.tier_up = TierUpConfig { after, threads };
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_config_code_memory_set(config: &mut wasm_config_t, bytes: usize) {
    config.config.code_memory = bytes;
}
