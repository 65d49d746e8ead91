//! `ampoule/limits.h`: limits that the host decides on case by case, and what a store takes.

use crate::boundary::give_unit;
use crate::error::wasmtime_error_t;
use crate::foreign::{Finalizer, Foreign};
use crate::store::{wasmtime_context_t, wasmtime_store_t};
use crate::wasm::config::wasm_config_t;
use crate::wasm::engine::wasm_engine_t;
use ampoule::Error;
use ampoule::store::limiter::{LimitRequest, Limiter, Resource};
use std::ffi::c_void;
use std::ptr;

/// A request, as C sees it.
#[repr(C)]
pub struct ampoule_limit_request_t {
    kind: u8,
    grows: bool,
    current: u64,
    desired: u64,
    maximum: u64,
}

impl From<&LimitRequest> for ampoule_limit_request_t {
    fn from(request: &LimitRequest) -> Self {
        let kind = match request.resource {
            Resource::Memory => 0,
            Resource::Table => 1,
            Resource::Instance => 2,
        };
        let LimitRequest { grows, current, desired, .. } = *request;
        Self { kind, grows, current, desired, maximum: request.maximum.unwrap_or(u64::MAX) }
    }
}

/// Decides.
pub type ampoule_limit_allow_t = extern "C" fn(
    env: *mut c_void,
    request: &ampoule_limit_request_t,
    allow: &mut bool,
) -> Option<Box<wasmtime_error_t>>;

/// Is told.
pub type ampoule_limit_failed_t =
    extern "C" fn(env: *mut c_void, request: &ampoule_limit_request_t, reason: &wasmtime_error_t);

/// A limiter of the host's.
struct HostLimiter {
    allow: ampoule_limit_allow_t,
    failed: Option<ampoule_limit_failed_t>,
    env: Foreign,
}

impl Limiter for HostLimiter {
    fn allow(&mut self, request: &LimitRequest) -> Result<bool, Error> {
        let mut allow = false;
        match (self.allow)(self.env.data(), &request.into(), &mut allow) {
            None => Ok(allow),
            Some(error) => Err(error.0),
        }
    }

    fn failed(&mut self, request: &LimitRequest, reason: &Error) {
        if let Some(failed) = self.failed {
            failed(self.env.data(), &request.into(), &wasmtime_error_t(reason.clone()));
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_store_set_limiter(
    store: &mut wasmtime_store_t,
    allow: Option<ampoule_limit_allow_t>,
    failed: Option<ampoule_limit_failed_t>,
    env: *mut c_void,
    finalizer: Finalizer,
) -> Option<Box<wasmtime_error_t>> {
    let env = Foreign::new(env, finalizer);
    let limiter = allow.map(|allow| Box::new(HostLimiter { allow, failed, env }) as Box<dyn Limiter>);
    give_unit(store.set_limiter(limiter))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_config_statistics_set(config: &mut wasm_config_t, enable: bool) {
    config.config.statistics(enable);
}

/// Numbers of a store, as C sees them.
#[repr(C)]
pub struct ampoule_statistics_t {
    size: usize,
    instances: u64,
    memories: u64,
    tables: u64,
    memory_bytes: u64,
    memory_resident_bytes: u64,
    memory_reserved_bytes: u64,
    table_bytes: u64,
    instance_bytes: u64,
    fuel_used: u64,
    host_calls: u64,
    guest_time_ns: u64,
    stacks: u64,
    stack_reserved_bytes: u64,
    stack_resident_bytes: u64,
    gc_heap_bytes: u64,
    gc_live_bytes: u64,
    gc_allocated_bytes: u64,
    gc_reserved_bytes: u64,
    gc_minor_collections: u64,
    gc_major_collections: u64,
    gc_time_ns: u64,
    gc_longest_ns: u64,
    gc_roots: u64,
    gc_host_values: u64,
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_context_statistics(
    context: &wasmtime_context_t,
    statistics: *mut ampoule_statistics_t,
) {
    let found = context.statistics();
    // SAFETY: the caller has filled in the size, whatever more of the struct there is.
    let size = unsafe { (*statistics).size }.min(size_of::<ampoule_statistics_t>());
    let all = ampoule_statistics_t {
        size,
        instances: found.instances,
        memories: found.memories,
        tables: found.tables,
        memory_bytes: found.memory_bytes,
        memory_resident_bytes: found.memory_resident_bytes.unwrap_or(u64::MAX),
        memory_reserved_bytes: found.memory_reserved_bytes,
        table_bytes: found.table_bytes,
        instance_bytes: found.instance_bytes,
        fuel_used: found.fuel_used,
        host_calls: found.host_calls,
        guest_time_ns: found.guest_time_ns,
        stacks: found.stacks,
        stack_reserved_bytes: found.stack_reserved_bytes,
        stack_resident_bytes: found.stack_resident_bytes.unwrap_or(u64::MAX),
        gc_heap_bytes: found.gc_heap_bytes,
        gc_live_bytes: found.gc_live_bytes,
        gc_allocated_bytes: found.gc_allocated_bytes,
        gc_reserved_bytes: found.gc_reserved_bytes,
        gc_minor_collections: found.gc_minor_collections,
        gc_major_collections: found.gc_major_collections,
        gc_time_ns: found.gc_time_ns,
        gc_longest_ns: found.gc_longest_ns,
        gc_roots: found.gc_roots,
        gc_host_values: found.gc_host_values,
    };
    // SAFETY: both are at least so long.
    unsafe { ptr::copy_nonoverlapping((&raw const all).cast::<u8>(), statistics.cast::<u8>(), size) };
}

/// Numbers of an engine's code, as C sees them.
#[repr(C)]
pub struct ampoule_code_statistics_t {
    size: usize,
    bytes: u64,
    replaced_bytes: u64,
    limit: u64,
    evicted_functions: u64,
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_engine_code_statistics(
    engine: &wasm_engine_t,
    statistics: *mut ampoule_code_statistics_t,
) {
    let found = engine.engine.code_memory().statistics();
    // SAFETY: the caller has filled in the size, whatever more of the struct there is.
    let size = unsafe { (*statistics).size }.min(size_of::<ampoule_code_statistics_t>());
    let all = ampoule_code_statistics_t {
        size,
        bytes: found.bytes,
        replaced_bytes: found.replaced_bytes,
        limit: found.limit,
        evicted_functions: found.evicted_functions,
    };
    // SAFETY: both are at least so long.
    unsafe { ptr::copy_nonoverlapping((&raw const all).cast::<u8>(), statistics.cast::<u8>(), size) };
}
