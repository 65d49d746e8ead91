//! `wasmtime/func.h`: calling guests, and being called by them.
//!
//! The two hot paths have no Rust between C and compiled code beyond what is written here: a call hands C's array to the
//! signature's entry thunk, and a host function *is* the C function, called by its signature's exit thunk.

use crate::boundary::{TrapOut, expect, give_trap_or_error, guarded, text};
use crate::error::wasmtime_error_t;
use crate::external::{need_func, wasmtime_extern_t, wasmtime_func_t};
use crate::foreign::{Finalizer, Foreign};
use crate::store::wasmtime_context_t;
use crate::val::{wasmtime_val_raw_t, wasmtime_val_t};
use crate::wasm::object::wasm_trap_t;
use crate::wasm::parts::wasm_functype_t;
use ampoule::func::host::{CheckedCallback, HostFunc, RawCallback};
use ampoule::{Caller, Engine, Error, Func, FuncType, Store};
use ampoule_core::vm::VmCaller;
use ampoule_core::vm::{VmFunc, VmStoreContext};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

/// Who called a host function. Lives on the exit thunk's stack.
pub type wasmtime_caller_t = VmCaller;

/// `wasmtime_func_callback_t`. The trap it returns is an `Error` in a box, as [`CheckedCallback`] wants it.
pub type wasmtime_func_callback_t = CheckedCallback;

/// `wasmtime_func_unchecked_callback_t`; see [`RawCallback`].
pub type wasmtime_func_unchecked_callback_t = RawCallback;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_func_new(
    store: &mut wasmtime_context_t,
    ty: &wasm_functype_t,
    callback: wasmtime_func_callback_t,
    env: *mut c_void,
    finalizer: Finalizer,
    ret: &mut MaybeUninit<wasmtime_func_t>,
) {
    let host = ty.declare(host_func(store.engine(), ty.ty(), callback, env, Foreign::new(env, finalizer)));
    ret.write(Func::from_host(store, &Arc::new(expect("wasmtime_func_new", host))).into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_func_new_unchecked(
    store: &mut wasmtime_context_t,
    ty: &wasm_functype_t,
    callback: wasmtime_func_unchecked_callback_t,
    env: *mut c_void,
    finalizer: Finalizer,
    ret: &mut MaybeUninit<wasmtime_func_t>,
) {
    let host = ty.declare(host_func_unchecked(store.engine(), ty.ty(), callback, env, Foreign::new(env, finalizer)));
    ret.write(Func::from_host(store, &Arc::new(expect("wasmtime_func_new_unchecked", host))).into());
}

/// The host function of a C callback.
pub(crate) fn host_func(
    engine: &Engine,
    ty: &FuncType,
    callback: wasmtime_func_callback_t,
    env: *mut c_void,
    owner: Foreign,
) -> Result<HostFunc, Error> {
    // SAFETY: the header's contract for callbacks is `CheckedCallback`'s, and the owner is what `env` points into.
    unsafe { HostFunc::checked(engine, ty, callback, env, Box::new(owner)) }
}

/// The host function of a C callback that takes raw values.
pub(crate) fn host_func_unchecked(
    engine: &Engine,
    ty: &FuncType,
    callback: wasmtime_func_unchecked_callback_t,
    env: *mut c_void,
    owner: Foreign,
) -> Result<HostFunc, Error> {
    // SAFETY: the header's contract for callbacks is `RawCallback`'s, and the owner is what `env` points into.
    unsafe { HostFunc::raw(engine, ty, callback, env, Box::new(owner)) }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_func_type(store: &wasmtime_context_t, func: &wasmtime_func_t) -> Box<wasm_functype_t> {
    let func = need_func("wasmtime_func_type", func);
    wasm_functype_t::of(expect("wasmtime_func_type", func.declared_type(store)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_func_call(
    store: &mut wasmtime_context_t,
    func: &wasmtime_func_t,
    args: *const wasmtime_val_t,
    nargs: usize,
    results: *mut wasmtime_val_t,
    nresults: usize,
    trap: TrapOut<'_>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes as many values, and room for as many results, as it says.
    let called = guarded(|| unsafe { func.need()?.call_vals(store, args, nargs, results, nresults) });
    called.err().and_then(|error| give_trap_or_error(error, trap))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_func_call_unchecked(
    store: &mut wasmtime_context_t,
    func: &wasmtime_func_t,
    args_and_results: *mut wasmtime_val_raw_t,
    args_and_results_len: usize,
    trap: TrapOut<'_>,
) -> Option<Box<wasmtime_error_t>> {
    let trap = trap.map_or(ptr::null_mut(), ptr::from_mut).cast();
    // SAFETY: the caller passes the arguments in an array of this length, and a function of a store, or null, which has the id of none. The
    // answer is an error that `rest_of_unchecked_call` gives up.
    unsafe {
        let func = ptr::from_ref(func).cast();
        let error = Func::call_raw_or(
            ptr::from_mut(store).cast(),
            func,
            args_and_results,
            args_and_results_len,
            trap,
            rest_of_unchecked_call,
        );
        (!error.is_null()).then(|| Box::from_raw(error.cast()))
    }
}

/// A call that isn't as usual, or its end.
///
/// # Safety
/// As [`ampoule::func::RestOfCall`] says of `wasmtime_func_call_unchecked`'s arguments.
#[cold]
unsafe extern "C" fn rest_of_unchecked_call(
    store: *mut VmStoreContext,
    func: *const VmFunc,
    values: *mut wasmtime_val_raw_t,
    len: usize,
    trap: *mut c_void,
    unwound: bool,
) -> *mut c_void {
    // SAFETY: by the caller; what C knows as a function may be null.
    let called = guarded(|| unsafe {
        if unwound {
            return Err(Store::borrow_raw(store).end_of_raw_call());
        }
        (*func.cast::<wasmtime_func_t>()).need()?.call_raw_in(Store::borrow_raw(store), values, len)
    });
    // SAFETY: C's place for a trap, or null.
    let trap: TrapOut<'_> = unsafe { trap.cast::<MaybeUninit<Box<wasm_trap_t>>>().as_mut() };
    let error = called.err().and_then(|error| give_trap_or_error(error, trap));
    error.map_or(ptr::null_mut(), |error| Box::into_raw(error).cast())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_caller_export_get(
    caller: *mut wasmtime_caller_t,
    name: *const u8,
    name_len: usize,
    item: &mut MaybeUninit<wasmtime_extern_t>,
) -> bool {
    // SAFETY: the caller is the running callback's, and the name is lent for this call. What isn't UTF-8 is no export's name.
    let found = unsafe { text(name, name_len).ok().and_then(|name| Caller::from_vm(caller).export(name)) };
    wasmtime_extern_t::give(found, item)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_caller_context(caller: *mut wasmtime_caller_t) -> *mut wasmtime_context_t {
    // SAFETY: the caller is the running callback's. A store begins with what the field points to.
    unsafe { (*caller).store.cast() }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_func_from_raw(
    context: &mut wasmtime_context_t,
    raw: *mut c_void,
    ret: &mut MaybeUninit<wasmtime_func_t>,
) {
    // SAFETY: the caller passes a raw reference of this store.
    let func = unsafe { Func::from_raw(context, raw.cast()) };
    ret.write(func.map_or(wasmtime_func_t::NULL, Into::into));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_func_to_raw(context: &mut wasmtime_context_t, func: &wasmtime_func_t) -> *mut c_void {
    let raw = func.get().map_or(Ok(std::ptr::null_mut()), |func| func.to_raw(context));
    expect("wasmtime_func_to_raw", raw).cast()
}

// A trap that a callback returns crosses compiled code as the pointer it is.
const _: () = assert!(size_of::<Box<wasm_trap_t>>() == size_of::<*mut c_void>());
