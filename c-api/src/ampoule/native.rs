//! `ampoule/native.h`: guest functions as plain C functions, and plain C functions as imports.

use crate::boundary::{give, give_trap_or_error, misuse};
use crate::error::wasmtime_error_t;
use crate::external::wasmtime_func_t;
use crate::foreign::{Finalizer, Foreign};
use crate::linker::{define_func, wasmtime_linker_t};
use crate::store::wasmtime_context_t;
use crate::wasm::object::wasm_trap_t;
use crate::wasm::parts::wasm_functype_t;
use ampoule::func::host::{HostFunc, NativeTakes};
use ampoule::{Engine, Error, Func, FuncType, Store};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Any native function.
pub type ampoule_native_t = *const c_void;

/// Flags of [`NativeTakes`].
pub type ampoule_native_takes_t = u32;

const AMPOULE_NATIVE_TAKES_ENV: ampoule_native_takes_t = 1;
const AMPOULE_NATIVE_TAKES_CALLER: ampoule_native_takes_t = 2;

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_func_native(
    store: &mut wasmtime_context_t,
    func: &wasmtime_func_t,
    ty: &wasm_functype_t,
    entry: &mut MaybeUninit<ampoule_native_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(func.need().and_then(|func| func.native_entry(store, ty.ty())).map(|code| code.cast()), entry)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_native_failed(store: &wasmtime_context_t) -> *const u32 {
    store.native().failed()
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_native_take_failure(
    store: &mut wasmtime_context_t,
    error: &mut MaybeUninit<Option<Box<wasmtime_error_t>>>,
    trap: Option<&mut MaybeUninit<Option<Box<wasm_trap_t>>>>,
) -> bool {
    let Some(failure) = store.native_mut().take_error() else { return false };
    let mut found = MaybeUninit::zeroed();
    let is_trap = failure.is_trap() && trap.is_some();
    error.write(give_trap_or_error(failure, trap.is_some().then_some(&mut found)));
    if let Some(trap) = trap {
        // SAFETY: a trap was written where there is one.
        trap.write(is_trap.then(|| unsafe { found.assume_init() }));
    }
    true
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_func_new_native(
    store: &mut wasmtime_context_t,
    ty: &wasm_functype_t,
    import: ampoule_native_t,
    takes: ampoule_native_takes_t,
    env: *mut c_void,
    finalizer: Finalizer,
    ret: &mut MaybeUninit<wasmtime_func_t>,
) -> Option<Box<wasmtime_error_t>> {
    let owner = Foreign::new(env, finalizer);
    // SAFETY: the header's contract.
    let host = unsafe { native_func(store.engine(), ty.ty(), import, takes, owner) };
    give(host.map(|host| Func::from_host(store, &Arc::new(host)).into()), ret)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_linker_define_native(
    linker: &mut wasmtime_linker_t,
    module: *const u8,
    module_len: usize,
    name: *const u8,
    name_len: usize,
    ty: &wasm_functype_t,
    import: ampoule_native_t,
    takes: ampoule_native_takes_t,
    env: *mut c_void,
    finalizer: Finalizer,
) -> Option<Box<wasmtime_error_t>> {
    let owner = Foreign::new(env, finalizer);
    // SAFETY: the header's contract.
    let make = |engine: &Engine| unsafe { native_func(engine, ty.ty(), import, takes, owner) };
    // SAFETY: the names are lent for this call.
    unsafe { define_func(linker, (module, module_len), (name, name_len), make) }
}

/// The host function of a plain C function.
///
/// # Safety
/// `import` is null or has the signature that `ty` and `takes` say.
unsafe fn native_func(
    engine: &Engine,
    ty: &FuncType,
    import: ampoule_native_t,
    takes: ampoule_native_takes_t,
    owner: Foreign,
) -> Result<HostFunc, Error> {
    if import.is_null() {
        return Err(Error::message("a null function was given as a native import"));
    }
    if takes & !(AMPOULE_NATIVE_TAKES_ENV | AMPOULE_NATIVE_TAKES_CALLER) != 0 {
        return Err(Error::message(format!("{takes:#x} is not what a native import can take")));
    }
    let takes =
        NativeTakes { env: takes & AMPOULE_NATIVE_TAKES_ENV != 0, caller: takes & AMPOULE_NATIVE_TAKES_CALLER != 0 };
    let env = owner.data();
    // SAFETY: by the caller; what `env` points into lives as long as its owner.
    unsafe { HostFunc::native(engine, ty, import, takes, env, Box::new(owner)) }
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_native_raise_trap(store: &mut wasmtime_context_t, trap: Box<wasm_trap_t>) {
    raise("ampoule_native_raise_trap", store, trap.0);
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_native_raise_error(store: &mut wasmtime_context_t, error: Box<wasmtime_error_t>) {
    raise("ampoule_native_raise_error", store, error.0);
}

fn raise(function: &str, store: &mut Store, error: Error) {
    if let Err(error) = store.raise(error) {
        misuse(function, &format!("no guest waits for an import: {error}"));
    }
}
