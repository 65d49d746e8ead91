//! Preview 1 as imports: every row of [`FUNCTIONS`] as a host function of the engine.

use super::call::{Args, Ctx, Function, ValType};
use super::errno::{Error, INVALID_EXIT_STATUS};
use super::functions::{FUNCTIONS, MEMORY_EXPORT, MISSING_MEMORY, MODULE};
use super::memory::GuestMemory;
use crate::host::WasiCtx;
use crate::host::wait::{Call, Progress};
use ampoule::func::host::{HostFunc, error_out};
use ampoule::{Caller, FuncType, Linker, Module, VmValRaw};
use ampoule_core::vm::VmCaller;
use std::collections::HashSet;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use crate::host::ctx::MISSING_CONTEXT;

/// Defines all of preview 1. Each store that calls it keeps its [`WasiCtx`] in its slots.
///
/// # Errors
/// A name that is taken, when the linker doesn't allow shadowing; or a thunk that can't be compiled.
pub fn add_to_linker(linker: &mut Linker) -> Result<(), ampoule::Error> {
    add(linker, |_| true)
}

/// Defines what of preview 1 a module imports. A module that was compiled before has the thunks for that with it, so that nothing need be compiled.
///
/// # Errors
/// As [`add_to_linker`].
pub fn add_imported_to_linker(linker: &mut Linker, module: &Module) -> Result<(), ampoule::Error> {
    let imports = module.imports().filter(|(import, _)| import.module == MODULE);
    let imported: HashSet<&str> = imports.map(|(import, _)| &*import.name).collect();
    add(linker, |name| imported.contains(name))
}

fn add(linker: &mut Linker, is_wanted: impl Fn(&str) -> bool) -> Result<(), ampoule::Error> {
    for function in FUNCTIONS.iter().filter(|function| is_wanted(function.name)) {
        let ty = FuncType::new(core_types(function.params), core_types(function.results));
        let env: *const Function = function;
        // SAFETY: `call` keeps to the callback's contract, from any thread: it reads `env`, which is a static's row of
        // this very type, and writes the one i32 that the type promises.
        let host = unsafe { HostFunc::raw(linker.engine(), &ty, call, env.cast_mut().cast(), Box::new(()))? };
        linker.define_host(MODULE, function.name, host)?;
    }
    Ok(())
}

fn core_types(types: &[ValType]) -> Vec<ampoule::ValType> {
    let core_type = |ty: &ValType| match ty {
        ValType::I32 => ampoule::ValType::I32,
        ValType::I64 => ampoule::ValType::I64,
    };
    types.iter().map(core_type).collect()
}

/// The callback of every function of preview 1; `env` is its row.
///
/// # Safety
/// As for every [`RawCallback`](ampoule::func::host::RawCallback) of a function with this row's type.
unsafe extern "C" fn call(env: *mut c_void, caller: *mut VmCaller, values: *mut VmValRaw, _len: usize) -> *mut c_void {
    // SAFETY: `env` is what `add_to_linker` gave, a row of a static; `caller` is the exit thunk's, for this call.
    let (function, caller) = unsafe { (&*env.cast::<Function>(), Caller::from_vm(caller)) };
    // Only an embedder's callback can panic; it mustn't unwind into machine code.
    let result = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the exit thunk passes slots for every parameter and for the result, with the arguments filled in.
        unsafe { run(function, caller, values) }
    }));
    error_out(result.unwrap_or_else(|_| Err(ampoule::Error::message("a host function panicked"))))
}

/// # Safety
/// `values` starts as many slots as the function has parameters and results, holding the arguments.
unsafe fn run(function: &Function, mut caller: Caller<'_>, values: *mut VmValRaw) -> Result<(), ampoule::Error> {
    // SAFETY: by our own contract.
    let mut outcome = unsafe { attempt(function, &mut caller, values, None)? };
    while outcome == Err(Error::MustWait) {
        let ctx = caller.store().slots_mut().get_mut::<WasiCtx>();
        let wait =
            ctx.and_then(|ctx| ctx.host.waiter.take_wait()).expect("a call that is put off says what it waits for");
        let progress = wait.progress;
        wait.run(caller.store())?;
        // SAFETY: the slots hold the arguments still.
        outcome = unsafe { attempt(function, &mut caller, values, Some(progress))? };
    }
    let errno = match outcome {
        Ok(()) => 0,
        Err(Error::Errno(errno)) => errno as i32,
        // Fits: statuses are below 126.
        Err(Error::Exit(status)) => return Err(ampoule::Error::exit(status as i32)),
        Err(Error::InvalidExitStatus) => return Err(ampoule::Error::message(INVALID_EXIT_STATUS)),
        Err(Error::Interrupted) => return Err(caller.store().interruption()),
        Err(Error::MustWait) => unreachable!("it was waited for"),
    };
    caller.store().check_budget()?;
    if !function.results.is_empty() {
        // SAFETY: there is a slot for the result, by our own contract.
        unsafe { (*values).i32 = errno };
    }
    Ok(())
}

/// Makes the call: from the beginning, or once more after it was put off.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn attempt(
    function: &Function,
    caller: &mut Caller<'_>,
    values: *const VmValRaw,
    progress: Option<Progress>,
) -> Result<Result<(), Error>, ampoule::Error> {
    let (base, len) = caller.memory(MEMORY_EXPORT).ok_or_else(|| ampoule::Error::message(MISSING_MEMORY))?;
    let store = caller.store();
    let call = Call::of(store);
    WasiCtx::of(store).ok_or_else(|| ampoule::Error::message(MISSING_CONTEXT))?;
    let (engine, slots) = store.engine_and_slots_mut();
    let ctx = slots.get_mut::<WasiCtx>().expect("it was just there");
    ctx.host.waiter.begin_call(engine, call);
    if let Some(progress) = progress {
        ctx.host.waiter.set_progress(progress);
    }
    // SAFETY: the caller's memory is mapped and doesn't move until the guest runs again or the host grows it, neither of
    // which happens during this call; and the engine keeps no reference into it. The slots hold the arguments, by our
    // own contract.
    let (memory, args) = unsafe { (GuestMemory::new(base, len), Args::new(values.cast(), function.params.len())) };
    Ok((function.call)(&mut Ctx::of(ctx), memory, args))
}
