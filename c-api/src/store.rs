//! `wasmtime/store.h`: one guest world each.
//!
//! `wasmtime_store_t` and `wasmtime_context_t` are one Rust type, which stands for a store at its address: a store is made in a box
//! and never moves.

use crate::boundary::{give, give_unit, misuse};
use crate::error::wasmtime_error_t;
use crate::foreign::{Finalizer, Foreign};
use crate::wasi::wasi_config_t;
use crate::wasm::engine::wasm_engine_t;
use ampoule::Store;
use ampoule::store::epoch::UpdateDeadline;
use ampoule::store::limits::Limits;
#[cfg(feature = "http")]
use ampoule_wasi::host::http::HttpConfig;
use std::ffi::c_void;
use std::marker::{PhantomData, PhantomPinned};
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::ptr;

/// `wasmtime_context_t`: a store, as C knows it, by its address. It is never made, and has no bytes of its own.
#[repr(C)]
pub struct wasmtime_context_t {
    store: [u8; 0],
    _neither_moved_nor_alone: PhantomData<(*mut u8, PhantomPinned)>,
}

/// `wasmtime_store_t`, made by [`wasmtime_store_new`] and freed by [`wasmtime_store_delete`].
pub type wasmtime_store_t = wasmtime_context_t;

impl wasmtime_context_t {
    /// A store, for a C function that is called with it.
    pub fn of(store: &mut Store) -> &mut Self {
        let address: *mut Self = ptr::from_mut(store).cast();
        // SAFETY: it has no bytes, and stands for the store that is lent for as long.
        unsafe { &mut *address }
    }
}

impl Deref for wasmtime_context_t {
    type Target = Store;

    #[inline(always)]
    fn deref(&self) -> &Store {
        // SAFETY: C passes the address of a store that is alive, and one thread uses it at a time (the header's rules).
        unsafe { Store::borrow_raw(ptr::from_ref(self).cast_mut().cast()) }
    }
}

impl DerefMut for wasmtime_context_t {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Store {
        // SAFETY: as above.
        unsafe { Store::borrow_raw(ptr::from_mut(self).cast()) }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_store_new(
    engine: &wasm_engine_t,
    data: *mut c_void,
    finalizer: Finalizer,
) -> *mut wasmtime_store_t {
    let mut store = Store::new(&engine.engine);
    // Nothing is the same as null, and takes no memory.
    if !data.is_null() || finalizer.is_some() {
        store.set_data(Box::new(Foreign::new(data, finalizer)));
    }
    store.into_raw().cast()
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
pub unsafe extern "C" fn wasmtime_store_delete(store: *mut wasmtime_store_t) {
    // SAFETY: the caller gives back what `wasmtime_store_new` gave.
    let store = unsafe { Store::from_raw(store.cast()) };
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

#[cfg(feature = "http")]
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_set_wasi_http(context: &mut wasmtime_context_t) {
    let mut config = HttpConfig::new();
    config.allow_outgoing(true);
    context.replace_slot(config.build());
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
        match (func(wasmtime_context_t::of(store), owner.data(), &mut delta, &mut kind), kind) {
            (Some(error), _) => Err(error.0),
            (None, WASMTIME_UPDATE_DEADLINE_CONTINUE) => Ok(UpdateDeadline::Continue(delta)),
            (None, WASMTIME_UPDATE_DEADLINE_YIELD) => Ok(UpdateDeadline::Yield(delta)),
            (None, kind) => misuse("wasmtime_store_epoch_deadline_callback", &format!("{kind} is not what may follow")),
        }
    })));
}
