//! `wasmtime/tag.h`: the identities of exceptions.

use crate::boundary::{expect, give};
use crate::error::wasmtime_error_t;
use crate::external::wasmtime_tag_t;
use crate::store::wasmtime_context_t;
use crate::wasm::parts::wasm_functype_t;
use crate::wasm::tagtype::wasm_tagtype_t;
use ampoule::Tag;
use std::mem::MaybeUninit;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_tag_new(
    store: &mut wasmtime_context_t,
    tt: &wasm_tagtype_t,
    ret: &mut MaybeUninit<wasmtime_tag_t>,
) -> Option<Box<wasmtime_error_t>> {
    let ty = tt.declared_in(store.engine());
    give(ty.and_then(|ty| Tag::of_declared(store, &ty)), ret)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_tag_type(store: &wasmtime_context_t, tag: &wasmtime_tag_t) -> Box<wasm_tagtype_t> {
    wasm_tagtype_t::of(&wasm_functype_t::of(expect("wasmtime_tag_type", tag.declared_type(store)).clone()))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_tag_eq(_store: &wasmtime_context_t, a: &wasmtime_tag_t, b: &wasmtime_tag_t) -> bool {
    a == b
}
