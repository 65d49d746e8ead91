//! Requests of guests that go to the system's network.

use crate::ampoule::wasi::{Sizable, copy};
use crate::boundary::give;
use crate::error::wasmtime_error_t;
use crate::store::wasmtime_context_t;
use crate::wasm::bytes::wasm_byte_vec_t;
use ampoule::Error;
use ampoule_wasi::host::http::{HttpConfig, HttpPool};
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Duration;

/// How long connections are kept, unless configured.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// What requests go to.
pub struct ampoule_http_network_t {
    config: HttpConfig,
    pool: Option<Arc<HttpPool>>,
}

/// How they do.
#[repr(C)]
pub struct ampoule_http_network_config_t {
    size: usize,
    max_bytes: usize,
    max_idle: usize,
    idle_timeout: u64,
    roots: *const wasm_byte_vec_t,
    num_roots: usize,
}

// SAFETY: as the trait says; null pointers are zero.
unsafe impl Sizable for ampoule_http_network_config_t {}

/// # Safety
/// `config` is null, or points to a configuration of the size that it says.
unsafe fn network(config: *const ampoule_http_network_config_t) -> Result<ampoule_http_network_t, Error> {
    let mut http = HttpConfig::new();
    http.allow_outgoing(true);
    if config.is_null() {
        return Ok(ampoule_http_network_t { config: http, pool: None });
    }
    // SAFETY: by the caller.
    let config = unsafe { copy(config) };
    if config.max_bytes > 0 {
        http.max_bytes(config.max_bytes);
    }
    if config.num_roots > 0 {
        // SAFETY: the header's contract: so many are there.
        let roots = unsafe { std::slice::from_raw_parts(config.roots, config.num_roots) };
        http.trust_roots(roots.iter().map(|root| root.as_slice().to_vec()))?;
    }
    let pool = (config.max_idle > 0).then(|| {
        let timeout = Some(config.idle_timeout).filter(|&time| time > 0).map_or(IDLE_TIMEOUT, Duration::from_nanos);
        HttpPool::new(config.max_idle, timeout)
    });
    if let Some(pool) = &pool {
        http.pool(pool.clone());
    }
    Ok(ampoule_http_network_t { config: http, pool })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_http_network_new(
    config: *const ampoule_http_network_config_t,
    network: &mut MaybeUninit<Box<ampoule_http_network_t>>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the header's contract.
    give(unsafe { self::network(config) }.map(Box::new), network)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_network_idle(network: &ampoule_http_network_t) -> usize {
    network.pool.as_ref().map_or(0, |pool| pool.idle())
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_network_delete(_network: Option<Box<ampoule_http_network_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_context_set_http_network(context: &mut wasmtime_context_t, network: &ampoule_http_network_t) {
    context.replace_slot(network.config.build());
}
