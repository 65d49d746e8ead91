//! The settings that only a library with the compiler has.

use crate::boundary::{give_unit, misuse, string};
use crate::error::wasmtime_error_t;
use crate::wasm::config::wasm_config_t;
use ampoule::{Cache, CacheConfig, Strategy};
use ampoule_core::tunables::{OptLevel, Tiers};
use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How code is compiled.
pub type wasmtime_strategy_t = u8;

/// What the optimizing compiler aims at.
pub type wasmtime_opt_level_t = u8;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_stack_switching_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.stack_switching = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_strategy_set(config: &mut wasm_config_t, strategy: wasmtime_strategy_t) {
    (config.config.strategy, config.config.tunables.tiers) = match strategy {
        0 => (Strategy::Auto, Tiers::Auto),
        1 => (Strategy::Eager, Tiers::Optimizing),
        2 => (Strategy::Eager, Tiers::Baseline),
        _ => misuse("wasmtime_config_strategy_set", &format!("{strategy} is not a strategy")),
    };
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_parallel_compilation_set(config: &mut wasm_config_t, enable: bool) {
    config.config.parallel_compilation = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_cranelift_debug_verifier_set(config: &mut wasm_config_t, enable: bool) {
    config.config.tunables.debug_verifier = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_cranelift_nan_canonicalization_set(config: &mut wasm_config_t, enable: bool) {
    config.config.tunables.nan_canonicalization = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_cranelift_opt_level_set(config: &mut wasm_config_t, level: wasmtime_opt_level_t) {
    config.config.tunables.opt_level = match level {
        0 => OptLevel::None,
        1 => OptLevel::Speed,
        2 => OptLevel::SpeedAndSize,
        _ => misuse("wasmtime_config_cranelift_opt_level_set", &format!("{level} is not a level")),
    };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_config_cache_config_load(
    config: &mut wasm_config_t,
    path: *const c_char,
) -> Option<Box<wasmtime_error_t>> {
    let path = if path.is_null() {
        None
    } else {
        // SAFETY: the caller passes a NUL-terminated string; a path need not be UTF-8.
        Some(Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes())))
    };
    give_unit(CacheConfig::from_file(path).and_then(Cache::new).map(|cache| config.config.cache = Some(cache)))
}

/// How registers are assigned.
pub type wasmtime_regalloc_algorithm_t = u8;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_cranelift_regalloc_algorithm_set(
    config: &mut wasm_config_t,
    algorithm: wasmtime_regalloc_algorithm_t,
) {
    let algorithm = match algorithm {
        0 => "backtracking",
        1 => "single_pass",
        _ => misuse("wasmtime_config_cranelift_regalloc_algorithm_set", &format!("{algorithm} is not an algorithm")),
    };
    config.config.cranelift_flags.push(("regalloc_algorithm".to_string(), Some(algorithm.to_string())));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_config_cranelift_flag_enable(config: &mut wasm_config_t, flag: *const c_char) {
    // SAFETY: the caller passes a NUL-terminated string.
    let flag = unsafe { setting(flag) };
    config.config.cranelift_flags.push((flag, None));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_config_cranelift_flag_set(
    config: &mut wasm_config_t,
    key: *const c_char,
    value: *const c_char,
) {
    // SAFETY: the caller passes NUL-terminated strings.
    let (key, value) = unsafe { (setting(key), setting(value)) };
    config.config.cranelift_flags.push((key, Some(value)));
}

/// The name or value of a flag. What isn't UTF-8 is no flag, which shows when the engine is made.
///
/// # Safety
/// `text` ends in a NUL.
unsafe fn setting(text: *const c_char) -> String {
    // SAFETY: by the caller.
    unsafe { string(text) }.unwrap_or("\u{fffd}").to_string()
}
