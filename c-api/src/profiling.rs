//! `wasmtime/profiling.h`: profiles of guests.

use crate::boundary::{expect, give};
use crate::error::wasmtime_error_t;
use crate::module::wasmtime_module_t;
use crate::store::wasmtime_store_t;
use crate::wasm::bytes::wasm_byte_vec_t;
use crate::wasm::engine::wasm_engine_t;
use ampoule::profiling::GuestProfiler;
use std::mem::MaybeUninit;
use std::slice;
use std::time::Duration;

/// Samples of a guest's stack.
pub struct wasmtime_guestprofiler_t {
    profiler: GuestProfiler,
}

/// A module, and the name to show.
#[repr(C)]
pub struct wasmtime_guestprofiler_modules_t<'a> {
    name: &'a wasm_byte_vec_t,
    module: &'a wasmtime_module_t,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_guestprofiler_delete(_guestprofiler: Option<Box<wasmtime_guestprofiler_t>>) {}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_guestprofiler_new(
    engine: &wasm_engine_t,
    module_name: &wasm_byte_vec_t,
    interval_nanos: u64,
    modules: *const wasmtime_guestprofiler_modules_t<'_>,
    modules_len: usize,
) -> Box<wasmtime_guestprofiler_t> {
    // SAFETY: the array is lent for this call; where it is empty it may be null.
    let modules = if modules_len == 0 { &[] } else { unsafe { slice::from_raw_parts(modules, modules_len) } };
    let modules = modules.iter().map(|entry| (text(entry.name), entry.module.module.clone()));
    let interval = Duration::from_nanos(interval_nanos);
    let made = GuestProfiler::new(&engine.engine, &text(module_name), interval, modules);
    Box::new(wasmtime_guestprofiler_t { profiler: expect("wasmtime_guestprofiler_new", made) })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_guestprofiler_sample(
    guestprofiler: &mut wasmtime_guestprofiler_t,
    store: &wasmtime_store_t,
    delta_nanos: u64,
) {
    guestprofiler.profiler.sample(store, Duration::from_nanos(delta_nanos));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_guestprofiler_finish(
    guestprofiler: Box<wasmtime_guestprofiler_t>,
    out: &mut MaybeUninit<wasm_byte_vec_t>,
) -> Option<Box<wasmtime_error_t>> {
    let mut json = Vec::new();
    give(guestprofiler.profiler.finish(&mut json).map(|()| json.into()), out)
}

/// A name to be shown: what isn't UTF-8 in it shows as such.
fn text(name: &wasm_byte_vec_t) -> String {
    String::from_utf8_lossy(name.as_slice()).into_owned()
}
