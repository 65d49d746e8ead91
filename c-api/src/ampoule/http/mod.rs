//! `ampoule/http.h`: components that answer requests of the host's, and whose own requests the host answers.
//!
//! [`exchange`] is the first, [`outgoing`] the second, unless they go to the [`network`]; [`body`] and [`headers`] are what messages of both are made of.

mod body;
mod exchange;
mod headers;
mod network;
mod outgoing;

use super::wasi::{Table, take};
use crate::boundary::{give, give_unit};
use crate::component::component::wasmtime_component_t;
use crate::component::linker::wasmtime_component_linker_t;
use crate::error::wasmtime_error_t;
use crate::foreign::Finalizer;
use crate::store::wasmtime_context_t;
use ampoule_wasi::Handler;
use ampoule_wasi::host::http::HttpConfig;
use outgoing::{CProvider, Send};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// What a store gives its guest of HTTP.
#[repr(C)]
pub struct ampoule_http_config_t {
    size: usize,
    env: *mut c_void,
    finalizer: Finalizer,
    send: Option<Send>,
    max_bytes: usize,
}

// SAFETY: as the trait says; null functions and pointers are zero.
unsafe impl Table for ampoule_http_config_t {}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_context_set_http(
    context: &mut wasmtime_context_t,
    config: *const ampoule_http_config_t,
) -> Option<Box<wasmtime_error_t>> {
    let mut http = HttpConfig::new();
    if config.is_null() {
        context.replace_slot(http.build());
        return None;
    }
    // SAFETY: the header's contract.
    let taken = unsafe { take("ampoule_http_config_t", config) };
    give_unit(taken.map(|(table, env)| {
        if table.max_bytes > 0 {
            http.max_bytes(table.max_bytes);
        }
        if let Some(send) = table.send {
            http.provider(Arc::new(CProvider { send, env }));
        }
        context.replace_slot(http.build());
    }))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_linker_add_wasip3_http(
    linker: &mut wasmtime_component_linker_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(ampoule_wasi::p3::add_http_to_linker(&mut linker.linker))
}

/// A component that answers requests, owned by whoever received it.
pub struct ampoule_http_handler_t(Handler);

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_handler_new(
    linker: &wasmtime_component_linker_t,
    component: &wasmtime_component_t,
    handler: &mut MaybeUninit<Box<ampoule_http_handler_t>>,
) -> Option<Box<wasmtime_error_t>> {
    let made = Handler::new(linker.linker.clone(), &component.component);
    give(made.map(|handler| Box::new(ampoule_http_handler_t(handler))), handler)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_handler_delete(_handler: Option<Box<ampoule_http_handler_t>>) {}
