//! Host functions that may finish later: ordinary ones that suspend their caller until their continuation says that they are done.

use crate::foreign::{Finalizer, Foreign};
use crate::func::wasmtime_caller_t;
use crate::val::wasmtime_val_t;
use crate::wasm::object::wasm_trap_t;
use ampoule::func::host::{HostFunc, error_out};
use ampoule::{Caller, Engine, Error, FuncType, Store};
use std::ffi::c_void;
use std::ptr;

/// Tells whether a host function is done.
pub type wasmtime_func_async_continuation_callback_t = extern "C" fn(env: *mut c_void) -> bool;

/// How a host function goes on.
#[repr(C)]
pub struct wasmtime_async_continuation_t {
    callback: Option<wasmtime_func_async_continuation_callback_t>,
    env: *mut c_void,
    finalizer: Finalizer,
}

impl wasmtime_async_continuation_t {
    /// Of a function that is done.
    pub(crate) fn none() -> Self {
        Self { callback: None, env: ptr::null_mut(), finalizer: None }
    }

    /// What asks whether the function is done, as often as it is polled.
    pub(crate) fn asked(self) -> Asked {
        Asked { callback: self.callback, env: Foreign::new(self.env, self.finalizer) }
    }

    /// Asks whether the function is done, until it is; `suspend` leaves the thread to others in between. The finalizer runs whichever way
    /// this ends.
    // Inlined, so that functions that wait do so in one loop: see `ampoule_machine::arch::switch`.
    #[inline(always)]
    pub(crate) fn wait(
        self,
        store: &mut Store,
        suspend: impl Fn(&mut Store) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let env = Foreign::new(self.env, self.finalizer);
        while let Some(is_done) = self.callback
            && !is_done(env.data())
        {
            suspend(store)?;
        }
        Ok(())
    }
}

/// A continuation that was taken over.
pub(crate) struct Asked {
    callback: Option<wasmtime_func_async_continuation_callback_t>,
    env: Foreign,
}

impl Asked {
    /// Whether the function is done.
    pub(crate) fn is_done(&self) -> bool {
        self.callback.is_none_or(|is_done| is_done(self.env.data()))
    }
}

/// A host function that may finish later.
pub type wasmtime_func_async_callback_t = unsafe extern "C" fn(
    env: *mut c_void,
    caller: *mut wasmtime_caller_t,
    args: *const wasmtime_val_t,
    nargs: usize,
    results: *mut wasmtime_val_t,
    nresults: usize,
    trap_ret: &mut Option<Box<wasm_trap_t>>,
    continuation_ret: &mut wasmtime_async_continuation_t,
);

/// A C callback that may finish later, and its environment.
struct AsyncFunc {
    callback: wasmtime_func_async_callback_t,
    owner: Foreign,
}

impl AsyncFunc {
    /// Calls it, and suspends the caller until it is done.
    ///
    /// # Safety
    /// The arrays are as long as told, and as the function's type has it.
    unsafe fn call(
        &self,
        mut caller: Caller<'_>,
        args: *const wasmtime_val_t,
        nargs: usize,
        results: *mut wasmtime_val_t,
        nresults: usize,
    ) -> Result<(), Error> {
        let mut trap = None;
        let mut next = wasmtime_async_continuation_t::none();
        let vm = caller.as_vm();
        // SAFETY: by the caller and the header's contract.
        unsafe { (self.callback)(self.owner.data(), vm, args, nargs, results, nresults, &mut trap, &mut next) };
        next.wait(caller.store(), |store| {
            store.arm_host_waker()?;
            store.suspend()
        })?;
        trap.map_or(Ok(()), |trap| Err(trap.0))
    }
}

/// The host function of a C callback that may finish later.
pub(super) fn async_host_func(
    engine: &Engine,
    ty: &FuncType,
    callback: wasmtime_func_async_callback_t,
    owner: Foreign,
) -> Result<HostFunc, Error> {
    let func = AsyncFunc { callback, owner };
    let func = Box::new(func);
    let env = ptr::from_ref(&*func).cast_mut().cast();
    // SAFETY: the environment lives as long as its owner, and the callback is `CheckedCallback` as long as the C one is.
    unsafe { HostFunc::checked(engine, ty, call_async, env, func) }.map(HostFunc::suspending)
}

/// The checked callback of every [`AsyncFunc`].
///
/// # Safety
/// As for every [`CheckedCallback`](ampoule::func::host::CheckedCallback); `env` is an [`AsyncFunc`].
unsafe extern "C" fn call_async(
    env: *mut c_void,
    caller: *mut wasmtime_caller_t,
    args: *const wasmtime_val_t,
    nargs: usize,
    results: *mut wasmtime_val_t,
    nresults: usize,
) -> *mut c_void {
    // SAFETY: `env` is what `async_host_func` gave; the rest is the exit thunk's.
    error_out(unsafe { (*env.cast::<AsyncFunc>()).call(Caller::from_vm(caller), args, nargs, results, nresults) })
}
