//! `wasmtime/linker.h`: finding the imports of modules by name.

use crate::boundary::{TrapOut, expect, give, give_or_trap, give_unit, guarded, text};
use crate::error::wasmtime_error_t;
use crate::external::{wasmtime_extern_t, wasmtime_func_t};
use crate::foreign::{Finalizer, Foreign};
use crate::func::{host_func, host_func_unchecked, wasmtime_func_callback_t, wasmtime_func_unchecked_callback_t};
use crate::instance::{wasmtime_instance_pre_t, wasmtime_instance_t};
use crate::module::wasmtime_module_t;
use crate::store::wasmtime_context_t;
use crate::wasm::engine::wasm_engine_t;
use crate::wasm::parts::wasm_functype_t;
use ampoule::func::host::HostFunc;
use ampoule::{Engine, Error, Linker};
use std::ffi::c_void;
use std::mem::MaybeUninit;

/// Items under names.
#[derive(Clone)]
pub struct wasmtime_linker_t {
    pub(crate) linker: Linker,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_linker_new(engine: &wasm_engine_t) -> Box<wasmtime_linker_t> {
    Box::new(wasmtime_linker_t { linker: Linker::new(&engine.engine) })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_linker_clone(linker: &wasmtime_linker_t) -> Box<wasmtime_linker_t> {
    Box::new(linker.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_linker_delete(_linker: Option<Box<wasmtime_linker_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_linker_allow_shadowing(linker: &mut wasmtime_linker_t, allow_shadowing: bool) {
    linker.linker.allow_shadowing(allow_shadowing);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_linker_define_unknown_imports_as_traps(
    linker: &mut wasmtime_linker_t,
    module: &wasmtime_module_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(linker.linker.define_unknown_imports_as_traps(&module.module))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_linker_define_unknown_imports_as_default_values(
    linker: &mut wasmtime_linker_t,
    store: &mut wasmtime_context_t,
    module: &wasmtime_module_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(linker.linker.define_unknown_imports_as_default_values(store, &module.module))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_linker_define(
    linker: &mut wasmtime_linker_t,
    store: &mut wasmtime_context_t,
    module: *const u8,
    module_len: usize,
    name: *const u8,
    name_len: usize,
    item: &wasmtime_extern_t,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the names are lent for this call.
    let mut define = || unsafe {
        let (module, name) = (text(module, module_len)?, text(name, name_len)?);
        linker.linker.define(store, module, name, item.get()?)
    };
    give_unit(define())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_linker_define_func(
    linker: &mut wasmtime_linker_t,
    module: *const u8,
    module_len: usize,
    name: *const u8,
    name_len: usize,
    ty: &wasm_functype_t,
    cb: wasmtime_func_callback_t,
    data: *mut c_void,
    finalizer: Finalizer,
) -> Option<Box<wasmtime_error_t>> {
    let owner = Foreign::new(data, finalizer);
    let make = |engine: &Engine| ty.declare(host_func(engine, ty.ty(), cb, data, owner));
    // SAFETY: the names are lent for this call.
    unsafe { define_func(linker, (module, module_len), (name, name_len), make) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_linker_define_func_unchecked(
    linker: &mut wasmtime_linker_t,
    module: *const u8,
    module_len: usize,
    name: *const u8,
    name_len: usize,
    ty: &wasm_functype_t,
    cb: wasmtime_func_unchecked_callback_t,
    data: *mut c_void,
    finalizer: Finalizer,
) -> Option<Box<wasmtime_error_t>> {
    let owner = Foreign::new(data, finalizer);
    let make = |engine: &Engine| ty.declare(host_func_unchecked(engine, ty.ty(), cb, data, owner));
    // SAFETY: the names are lent for this call.
    unsafe { define_func(linker, (module, module_len), (name, name_len), make) }
}

/// Defines a host function, which is made when its names are known to be ones.
///
/// # Safety
/// See [`text`] about the names.
pub(crate) unsafe fn define_func(
    linker: &mut wasmtime_linker_t,
    module: (*const u8, usize),
    name: (*const u8, usize),
    make: impl FnOnce(&Engine) -> Result<HostFunc, Error>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: by the caller.
    let define = || unsafe {
        let (module, name) = (text(module.0, module.1)?, text(name.0, name.1)?);
        let host = make(linker.linker.engine())?;
        linker.linker.define_host(module, name, host)
    };
    give_unit(define())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_linker_define_wasi(linker: &mut wasmtime_linker_t) -> Option<Box<wasmtime_error_t>> {
    give_unit(ampoule_wasi::p1::add_to_linker(&mut linker.linker))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_linker_define_instance(
    linker: &mut wasmtime_linker_t,
    store: &mut wasmtime_context_t,
    name: *const u8,
    name_len: usize,
    instance: &wasmtime_instance_t,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the name is lent for this call.
    let name = unsafe { text(name, name_len) };
    give_unit(name.and_then(|name| linker.linker.define_instance(store, name, *instance)))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_linker_instantiate(
    linker: &wasmtime_linker_t,
    store: &mut wasmtime_context_t,
    module: &wasmtime_module_t,
    instance: &mut MaybeUninit<wasmtime_instance_t>,
    trap: TrapOut<'_>,
) -> Option<Box<wasmtime_error_t>> {
    give_or_trap(guarded(|| linker.linker.instantiate(store, &module.module)), instance, trap)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_linker_module(
    linker: &mut wasmtime_linker_t,
    store: &mut wasmtime_context_t,
    name: *const u8,
    name_len: usize,
    module: &wasmtime_module_t,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the name is lent for this call.
    let name = unsafe { text(name, name_len) };
    give_unit(name.and_then(|name| guarded(|| linker.linker.module(store, name, &module.module))))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_linker_get_default(
    linker: &wasmtime_linker_t,
    store: &mut wasmtime_context_t,
    name: *const u8,
    name_len: usize,
    func: &mut MaybeUninit<wasmtime_func_t>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the name is lent for this call.
    let name = unsafe { text(name, name_len) };
    give(name.and_then(|name| Ok(linker.linker.get_default(store, name)?.into())), func)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_linker_get(
    linker: &wasmtime_linker_t,
    store: &mut wasmtime_context_t,
    module: *const u8,
    module_len: usize,
    name: *const u8,
    name_len: usize,
    item: &mut MaybeUninit<wasmtime_extern_t>,
) -> bool {
    // SAFETY: the names are lent for this call. Nothing goes by a name that isn't UTF-8.
    let names = unsafe { text(module, module_len).ok().zip(text(name, name_len).ok()) };
    let found = names.map(|(module, name)| linker.linker.get(store, module, name));
    wasmtime_extern_t::give(expect("wasmtime_linker_get", found.transpose()).flatten(), item)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_linker_instantiate_pre(
    linker: &wasmtime_linker_t,
    module: &wasmtime_module_t,
    instance_pre: &mut MaybeUninit<Box<wasmtime_instance_pre_t>>,
) -> Option<Box<wasmtime_error_t>> {
    let pre = linker.linker.instantiate_pre(&module.module);
    give(pre.map(|pre| Box::new(wasmtime_instance_pre_t { pre })), instance_pre)
}
