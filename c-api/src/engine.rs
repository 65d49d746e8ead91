//! `wasmtime/engine.h`: more about engines.

use crate::wasm::engine::wasm_engine_t;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_engine_clone(engine: &wasm_engine_t) -> Box<wasm_engine_t> {
    Box::new(engine.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_engine_increment_epoch(engine: &wasm_engine_t) {
    engine.engine.increment_epoch();
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_engine_is_pulley(_engine: &wasm_engine_t) -> bool {
    false
}
