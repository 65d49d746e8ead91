//! `wasmtime/global.h`: single variables.

use crate::boundary::{expect, give, give_unit};
use crate::error::wasmtime_error_t;
use crate::external::wasmtime_global_t;
use crate::store::wasmtime_context_t;
use crate::val::{from_c, into_c, wasmtime_val_t};
use crate::wasm::globaltype::wasm_globaltype_t;
use ampoule::Global;
use std::mem::MaybeUninit;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_global_new(
    store: &mut wasmtime_context_t,
    ty: &wasm_globaltype_t,
    val: &wasmtime_val_t,
    ret: &mut MaybeUninit<wasmtime_global_t>,
) -> Option<Box<wasmtime_error_t>> {
    let ty = ty.ty_in(store.engine());
    give(from_c(val).and_then(|val| Global::new(store, ty?, &val)), ret)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_global_type(
    store: &wasmtime_context_t,
    global: &wasmtime_global_t,
) -> Box<wasm_globaltype_t> {
    wasm_globaltype_t::of(store.engine(), expect("wasmtime_global_type", global.ty(store)))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_global_get(
    store: &mut wasmtime_context_t,
    global: &wasmtime_global_t,
    out: &mut MaybeUninit<wasmtime_val_t>,
) {
    out.write(into_c(expect("wasmtime_global_get", global.get(store))));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_global_set(
    store: &mut wasmtime_context_t,
    global: &wasmtime_global_t,
    val: &wasmtime_val_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(from_c(val).and_then(|val| global.set(store, &val)))
}
