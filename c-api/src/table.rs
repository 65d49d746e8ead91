//! `wasmtime/table.h`: growable arrays of references.

use crate::boundary::{expect, give, give_unit};
use crate::error::wasmtime_error_t;
use crate::external::wasmtime_table_t;
use crate::store::wasmtime_context_t;
use crate::val::{from_c, into_c, wasmtime_val_t};
use crate::wasm::tabletype::wasm_tabletype_t;
use ampoule::Table;
use std::mem::MaybeUninit;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_table_new(
    store: &mut wasmtime_context_t,
    ty: &wasm_tabletype_t,
    init: &wasmtime_val_t,
    table: &mut MaybeUninit<wasmtime_table_t>,
) -> Option<Box<wasmtime_error_t>> {
    let ty = ty.ty_in(store.engine());
    give(from_c(init).and_then(|init| Table::new(store, &ty?, &init)), table)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_table_type(store: &wasmtime_context_t, table: &wasmtime_table_t) -> Box<wasm_tabletype_t> {
    wasm_tabletype_t::of(store.engine(), expect("wasmtime_table_type", table.ty(store)))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_table_get(
    store: &mut wasmtime_context_t,
    table: &wasmtime_table_t,
    index: u64,
    val: &mut MaybeUninit<wasmtime_val_t>,
) -> bool {
    let element = expect("wasmtime_table_get", table.get(store, index));
    element.map(|element| val.write(into_c(element))).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_table_set(
    store: &mut wasmtime_context_t,
    table: &wasmtime_table_t,
    index: u64,
    value: &wasmtime_val_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(from_c(value).and_then(|value| table.set(store, index, &value)))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_table_size(store: &wasmtime_context_t, table: &wasmtime_table_t) -> u64 {
    expect("wasmtime_table_size", table.size(store))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_table_grow(
    store: &mut wasmtime_context_t,
    table: &wasmtime_table_t,
    delta: u64,
    init: &wasmtime_val_t,
    prev_size: &mut MaybeUninit<u64>,
) -> Option<Box<wasmtime_error_t>> {
    give(from_c(init).and_then(|init| table.grow(store, delta, &init)), prev_size)
}
