//! `wasmtime/store.h`: one guest world each.
//!
//! `wasmtime_store_t` and `wasmtime_context_t` are the same Rust type at the same address: a store is made in a box and never
//! moves.

use crate::boundary::{give, give_unit, misuse};
use crate::error::wasmtime_error_t;
use crate::foreign::{Finalizer, Foreign};
use crate::wasi::wasi_config_t;
use crate::wasm::engine::wasm_engine_t;
use ampoule::Store;
use ampoule::store::epoch::UpdateDeadline;
use ampoule::store::limits::Limits;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// `wasmtime_store_t`.
pub type wasmtime_store_t = Store;
/// `wasmtime_context_t`.
pub type wasmtime_context_t = Store;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_store_new(
    engine: &wasm_engine_t,
    data: *mut c_void,
    finalizer: Finalizer,
) -> Box<wasmtime_store_t> {
    let mut store = Store::new(&engine.engine);
    store.set_data(Box::new(Foreign::new(data, finalizer)));
    store
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_store_context(store: &mut wasmtime_store_t) -> &mut wasmtime_context_t {
    store
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_store_limiter(
    store: &mut wasmtime_store_t,
    memory_size: i64,
    table_elements: i64,
    instances: i64,
    tables: i64,
    memories: i64,
) {
    let default = Limits::default();
    *store.limits_mut() = Limits {
        memory_size: limit(memory_size),
        table_elements: limit(table_elements),
        instances: limit(instances).unwrap_or(default.instances),
        tables: limit(tables).unwrap_or(default.tables),
        memories: limit(memories).unwrap_or(default.memories),
    };
}

/// A limit; negative numbers stand for the default.
fn limit(number: i64) -> Option<u64> {
    u64::try_from(number).ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_store_delete(store: Box<wasmtime_store_t>) {
    if let Some(why) = store.in_use() {
        misuse("wasmtime_store_delete", why);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_get_data(context: &wasmtime_context_t) -> *mut c_void {
    context.data().downcast_ref::<Foreign>().map_or(ptr::null_mut(), Foreign::data)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_set_data(context: &mut wasmtime_context_t, data: *mut c_void) {
    match context.data_mut().downcast_mut::<Foreign>() {
        Some(foreign) => foreign.set_data(data),
        None => context.set_data(Box::new(Foreign::new(data, None))),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_gc(context: &mut wasmtime_context_t) -> Option<Box<wasmtime_error_t>> {
    context.gc();
    None
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_set_fuel(
    store: &mut wasmtime_context_t,
    fuel: u64,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(store.set_fuel(fuel))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_get_fuel(
    context: &wasmtime_context_t,
    fuel: &mut MaybeUninit<u64>,
) -> Option<Box<wasmtime_error_t>> {
    give(context.fuel(), fuel)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_set_wasi(
    context: &mut wasmtime_context_t,
    wasi: Box<wasi_config_t>,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(wasi.build().map(|wasi| context.replace_slot(wasi)))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_set_epoch_deadline(context: &mut wasmtime_context_t, ticks_beyond_current: u64) {
    context.set_epoch_deadline(ticks_beyond_current);
}

/// What follows a deadline callback.
pub type wasmtime_update_deadline_kind_t = u8;

/// The guest goes on.
pub const WASMTIME_UPDATE_DEADLINE_CONTINUE: wasmtime_update_deadline_kind_t = 0;
/// The guest first yields to its caller.
pub const WASMTIME_UPDATE_DEADLINE_YIELD: wasmtime_update_deadline_kind_t = 1;

/// A deadline callback.
pub type DeadlineCallback = extern "C" fn(
    context: &mut wasmtime_context_t,
    data: *mut c_void,
    epoch_deadline_delta: &mut u64,
    update_kind: &mut wasmtime_update_deadline_kind_t,
) -> Option<Box<wasmtime_error_t>>;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_store_epoch_deadline_callback(
    store: &mut wasmtime_store_t,
    func: DeadlineCallback,
    data: *mut c_void,
    finalizer: Finalizer,
) {
    let owner = Foreign::new(data, finalizer);
    store.epoch_deadline_callback(Some(Box::new(move |store| {
        let (mut delta, mut kind) = (0, WASMTIME_UPDATE_DEADLINE_CONTINUE);
        match (func(store, owner.data(), &mut delta, &mut kind), kind) {
            (Some(error), _) => Err(error.0),
            (None, WASMTIME_UPDATE_DEADLINE_CONTINUE) => Ok(UpdateDeadline::Continue(delta)),
            (None, WASMTIME_UPDATE_DEADLINE_YIELD) => Ok(UpdateDeadline::Yield(delta)),
            (None, kind) => misuse("wasmtime_store_epoch_deadline_callback", &format!("{kind} is not what may follow")),
        }
    })));
}
