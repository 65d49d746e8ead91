//! `wasmtime/async.h`: guests that pause.
//!
//! A future is an [`ampoule::store::fiber::Task`] with its [`Job`] inside, one allocation. A host function that may finish later is an
//! ordinary one that suspends its caller until its continuation says that it is done.

use crate::boundary::{give_error, give_trap, give_unit, misuse, text};
use crate::error::wasmtime_error_t;
use crate::external::wasmtime_func_t;
use crate::foreign::{Finalizer, Foreign};
use crate::func::{call_converted, wasmtime_caller_t};
use crate::instance::{wasmtime_instance_pre_t, wasmtime_instance_t};
use crate::linker::wasmtime_linker_t;
use crate::module::wasmtime_module_t;
use crate::store::wasmtime_context_t;
use crate::val::{from_c, into_c, take_from_c, wasmtime_val_t};
use crate::wasm::config::wasm_config_t;
use crate::wasm::functype::wasm_functype_t;
use crate::wasm::trap::wasm_trap_t;
use ampoule::engine::stack_pool::{HostStackCreator, HostStacks};
use ampoule::func::CallOutcome;
use ampoule::func::host::{HostFunc, error_out};
use ampoule::store::fiber::{Task, Work};
use ampoule::sys::fiber::HostStack;
use ampoule::{Caller, Engine, Error, FuncType, InstancePre, Store, Val};
use ampoule_core::vm::VmVal;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::task::Poll;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_async_stack_size_set(config: &mut wasm_config_t, size: u64) {
    config.config.async_stack_size = Some(usize::try_from(size).unwrap_or(usize::MAX));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_fuel_async_yield_interval(
    context: &mut wasmtime_context_t,
    interval: u64,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(context.set_fuel_yield_interval(interval))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_context_epoch_deadline_async_yield_and_update(
    context: &mut wasmtime_context_t,
    delta: u64,
) -> Option<Box<wasmtime_error_t>> {
    context.epoch_deadline_yield_and_update(delta);
    None
}

/// Tells whether a host function is done.
pub type wasmtime_func_async_continuation_callback_t = extern "C" fn(env: *mut c_void) -> bool;

/// How a host function goes on.
#[repr(C)]
pub struct wasmtime_async_continuation_t {
    callback: Option<wasmtime_func_async_continuation_callback_t>,
    env: *mut c_void,
    finalizer: Finalizer,
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

/// What a call in progress does.
enum What {
    Call { func: wasmtime_func_t, args: Args, results: *mut wasmtime_val_t, nresults: usize },
    Instantiate { pre: Result<InstancePre, Error>, instance: *mut wasmtime_instance_t },
}

/// A call in progress: what it does, and where a failure goes.
pub struct Job {
    what: What,
    /// The arguments, where these are [`Args::Few`].
    few: [MaybeUninit<VmVal>; FEW],
    trap_ret: *mut *mut wasm_trap_t,
    error_ret: *mut *mut wasmtime_error_t,
}

/// `wasmtime_call_future_t`.
pub type wasmtime_call_future_t = Task<Job>;

/// The arguments of a call, copied when the future is made. Those without counted references are kept as they are.
enum Args {
    /// So many, in [`Job::few`].
    Few(usize),
    Many(Vec<VmVal>),
    Converted(Result<Vec<Val>, Error>),
}

const FEW: usize = 4;

/// Copies the part of a value that its kind has; false for a counted reference. Callers have mostly just written that part, and a load that
/// takes in more than was stored in one go waits until the store has reached the cache.
///
/// # Safety
/// `from` points to a value.
#[inline(always)]
unsafe fn copy_plain(from: *const VmVal, to: *mut VmVal) -> bool {
    // SAFETY: by the caller; every kind's part lies in the value, and what is left out is read of no value of that kind.
    unsafe {
        let kind = (*from).kind;
        (&raw mut (*to).kind).write(kind);
        match kind {
            VmVal::KIND_I32 | VmVal::KIND_F32 => (*to).of.i32 = (*from).of.i32,
            VmVal::KIND_I64 | VmVal::KIND_F64 => (*to).of.i64 = (*from).of.i64,
            VmVal::KIND_EXTERNREF | VmVal::KIND_ANYREF | VmVal::KIND_EXNREF => return false,
            _ => (&raw mut (*to).of).write((*from).of),
        }
    }
    true
}

impl Args {
    /// What becomes of arguments that are too many for [`Job::few`], or have counted references among them.
    ///
    /// # Safety
    /// `args` points to `nargs` values.
    #[cold]
    unsafe fn of(args: *const wasmtime_val_t, nargs: usize) -> Self {
        // SAFETY: by the caller.
        let args = unsafe { std::slice::from_raw_parts(args, nargs) };
        if args.iter().any(|arg| matches!(arg.kind, VmVal::KIND_EXTERNREF | VmVal::KIND_ANYREF | VmVal::KIND_EXNREF)) {
            return Args::Converted(args.iter().map(from_c).collect());
        }
        Args::Many(args.to_vec())
    }
}

impl Work for Job {
    #[inline]
    fn owns_nothing(&self) -> bool {
        matches!(self.what, What::Call { args: Args::Few(_), .. })
    }

    #[inline(always)]
    fn run(&mut self, store: &mut Store) -> Result<(), Error> {
        match &mut self.what {
            What::Call { func, args, results, nresults } => {
                let func = func.need()?;
                let (args, nargs) = match args {
                    Args::Few(nargs) => (self.few.as_ptr().cast::<VmVal>(), *nargs),
                    Args::Many(args) => (args.as_ptr(), args.len()),
                    Args::Converted(args) => {
                        let args = args.as_ref().map_err(Clone::clone)?;
                        let mut answers = vec![Val::I32(0); *nresults];
                        func.call(store, args, &mut answers)?;
                        for (index, answer) in answers.into_iter().enumerate() {
                            // SAFETY: by the header, there is room for the results until the future is deleted.
                            unsafe { results.add(index).write(into_c(answer)) };
                        }
                        return Ok(());
                    }
                };
                // SAFETY: as above; and there are so many arguments.
                unsafe {
                    match func.call_vals(store, args, nargs, *results, *nresults)? {
                        CallOutcome::Done => Ok(()),
                        CallOutcome::Unfit => call_converted(store, func, args, nargs, *results, *nresults),
                    }
                }
            }
            What::Instantiate { pre, instance } => {
                let made = pre.as_ref().map_err(Clone::clone)?.instantiate(store)?;
                // SAFETY: by the header, the place is there until the future is deleted.
                unsafe { instance.write(made) };
                Ok(())
            }
        }
    }
}

impl Job {
    /// A job without arguments.
    fn write(
        slot: &mut MaybeUninit<Self>,
        what: What,
        trap_ret: *mut *mut wasm_trap_t,
        error_ret: *mut *mut wasmtime_error_t,
    ) {
        slot.write(Job { what, few: [const { MaybeUninit::uninit() }; FEW], trap_ret, error_ret });
    }

    /// Puts a failure where it goes: as `give_trap_or_error`, once the call is over.
    fn fail(&mut self, error: Error) {
        // SAFETY: by the header, both places are there until the future is deleted, or null.
        unsafe {
            if error.trap_code().is_some() && !self.trap_ret.is_null() {
                self.trap_ret.write(Box::into_raw(give_trap(error)));
            } else if !self.error_ret.is_null() {
                self.error_ret.write(Box::into_raw(give_error(error)));
            }
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_call_future_poll(future: &mut wasmtime_call_future_t) -> bool {
    if !future.is_waiting() && (future.is_over() || future.is_running()) {
        let why = if future.is_over() { "the call is over" } else { "the call is being polled further out" };
        misuse("wasmtime_call_future_poll", why);
    }
    // SAFETY: the caller keeps what the future leads to, and its store for itself.
    match unsafe { future.poll() } {
        Poll::Pending => false,
        Poll::Ready(outcome) => {
            if let Err(error) = outcome {
                future.work().fail(error);
            }
            true
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_call_future_delete(future: Box<wasmtime_call_future_t>) {
    future.delete();
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_func_call_async(
    context: &mut wasmtime_context_t,
    func: &wasmtime_func_t,
    args: *const wasmtime_val_t,
    nargs: usize,
    results: *mut wasmtime_val_t,
    nresults: usize,
    trap_ret: *mut *mut wasm_trap_t,
    error_ret: *mut *mut wasmtime_error_t,
) -> Box<wasmtime_call_future_t> {
    // SAFETY: the caller passes as many values as it says, and keeps the store to one thread at a time. A value whose kind isn't
    // counted is plain data.
    unsafe {
        Task::new(context, |slot| {
            let job: *mut Job = slot.as_mut_ptr();
            let few = (&raw mut (*job).few).cast::<VmVal>();
            let fit = nargs <= FEW && (0..nargs).all(|index| copy_plain(args.add(index), few.add(index)));
            let what = &raw mut (*job).what;
            // Written twice, so that the usual arguments are not put together elsewhere first.
            if fit {
                what.write(What::Call { func: *func, args: Args::Few(nargs), results, nresults });
            } else {
                what.write(What::Call { func: *func, args: Args::of(args, nargs), results, nresults });
            }
            (&raw mut (*job).trap_ret).write(trap_ret);
            (&raw mut (*job).error_ret).write(error_ret);
        })
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_linker_define_async_func(
    linker: &mut wasmtime_linker_t,
    module: *const u8,
    module_len: usize,
    name: *const u8,
    name_len: usize,
    ty: &wasm_functype_t,
    cb: wasmtime_func_async_callback_t,
    data: *mut c_void,
    finalizer: Finalizer,
) -> Option<Box<wasmtime_error_t>> {
    let owner = Foreign::new(data, finalizer);
    // SAFETY: the names are lent for this call.
    let define = || unsafe {
        let (module, name) = (text(module, module_len)?, text(name, name_len)?);
        let host = async_host_func(linker.linker.engine(), ty.ty(), AsyncFunc { callback: cb, owner })?;
        linker.linker.define_host(module, name, host)
    };
    give_unit(define())
}

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
        let mut next = wasmtime_async_continuation_t { callback: None, env: ptr::null_mut(), finalizer: None };
        let vm = caller.as_vm();
        // SAFETY: by the caller and the header's contract.
        unsafe { (self.callback)(self.owner.data(), vm, args, nargs, results, nresults, &mut trap, &mut next) };
        // Its finalizer runs whichever way this ends.
        let env = Foreign::new(next.env, next.finalizer);
        while let Some(is_done) = next.callback
            && !is_done(env.data())
        {
            caller.store().suspend()?;
        }
        trap.map_or(Ok(()), |trap| Err(trap.0))
    }
}

/// The host function of a C callback that may finish later.
fn async_host_func(engine: &Engine, ty: &FuncType, func: AsyncFunc) -> Result<HostFunc, Error> {
    if !ty.has_refs() {
        let func = Box::new(func);
        let env = ptr::from_ref(&*func).cast_mut().cast();
        // SAFETY: the environment lives as long as its owner, and the callback is `CheckedCallback` as long as the C one is.
        return unsafe { HostFunc::checked(engine, ty, call_async, env, func) }.map(HostFunc::suspending);
    }
    let results = ty.results().to_vec();
    let call = move |caller: Caller<'_>, args: &[Val], answers: &mut [Val]| {
        let args: Vec<wasmtime_val_t> = args.iter().map(|arg| into_c(arg.clone())).collect();
        let mut given: Vec<wasmtime_val_t> = results.iter().map(|&ty| into_c(Val::default_for(ty))).collect();
        // SAFETY: the arrays are as long as the type says.
        let called = unsafe { func.call(caller, args.as_ptr(), args.len(), given.as_mut_ptr(), given.len()) };
        // As in `func::host_func`: arguments were lent, results are given up.
        args.into_iter().for_each(|arg| drop(take_from_c(arg)));
        let mut taken = given.into_iter().map(take_from_c).collect::<Vec<_>>().into_iter();
        called?;
        answers.iter_mut().try_for_each(|answer| {
            *answer = taken.next().expect("as many as there are results")?;
            Ok(())
        })
    };
    HostFunc::new(engine, ty, call).map(HostFunc::suspending)
}

/// The checked callback of every [`AsyncFunc`] without references.
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

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_linker_instantiate_async(
    linker: &wasmtime_linker_t,
    store: &mut wasmtime_context_t,
    module: &wasmtime_module_t,
    instance: *mut wasmtime_instance_t,
    trap_ret: *mut *mut wasm_trap_t,
    error_ret: *mut *mut wasmtime_error_t,
) -> Box<wasmtime_call_future_t> {
    // Imports are found now, so that neither the linker nor the module is needed later.
    let what = What::Instantiate { pre: linker.linker.instantiate_pre(&module.module), instance };
    // SAFETY: the caller keeps the store to one thread at a time.
    unsafe { Task::new(store, |slot| Job::write(slot, what, trap_ret, error_ret)) }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_instance_pre_instantiate_async(
    instance_pre: &wasmtime_instance_pre_t,
    store: &mut wasmtime_context_t,
    instance: *mut wasmtime_instance_t,
    trap_ret: *mut *mut wasm_trap_t,
    error_ret: *mut *mut wasmtime_error_t,
) -> Box<wasmtime_call_future_t> {
    let what = What::Instantiate { pre: Ok(instance_pre.pre.clone()), instance };
    // SAFETY: the caller keeps the store to one thread at a time.
    unsafe { Task::new(store, |slot| Job::write(slot, what, trap_ret, error_ret)) }
}

/// Tells where a stack of the host's ends, and how long it is.
pub type wasmtime_stack_memory_get_callback_t = extern "C" fn(env: *mut c_void, out_len: &mut usize) -> *mut u8;

/// A stack of the host's.
#[repr(C)]
pub struct wasmtime_stack_memory_t {
    env: *mut c_void,
    get_stack_memory: Option<wasmtime_stack_memory_get_callback_t>,
    finalizer: Finalizer,
}

/// Makes a stack of the host's.
pub type wasmtime_new_stack_memory_callback_t = extern "C" fn(
    env: *mut c_void,
    size: usize,
    zeroed: bool,
    stack_ret: &mut wasmtime_stack_memory_t,
) -> Option<Box<wasmtime_error_t>>;

/// Makes the stacks of an engine.
#[repr(C)]
pub struct wasmtime_stack_creator_t {
    env: *mut c_void,
    new_stack: wasmtime_new_stack_memory_callback_t,
    finalizer: Finalizer,
}

/// A creator whose `env` was taken over.
struct Creator {
    env: Foreign,
    new_stack: wasmtime_new_stack_memory_callback_t,
}

/// A stack whose `env` was taken over.
struct HostBytes {
    _env: Foreign,
    range: Range<usize>,
}

// SAFETY: the header's contract is the trait's, and the range was asked for once.
unsafe impl HostStack for HostBytes {
    fn range(&self) -> Range<usize> {
        self.range.clone()
    }
}

impl HostStackCreator for Creator {
    fn create(&self, size: usize, zeroed: bool) -> Result<Box<dyn HostStack>, Error> {
        let mut made = wasmtime_stack_memory_t { env: ptr::null_mut(), get_stack_memory: None, finalizer: None };
        if let Some(error) = (self.new_stack)(self.env.data(), size, zeroed, &mut made) {
            return Err(error.0);
        }
        let env = Foreign::new(made.env, made.finalizer);
        let get = made.get_stack_memory.ok_or_else(|| Error::message("the host's stack lacks a function"))?;
        let mut len = 0;
        let end = get(env.data(), &mut len).expose_provenance();
        let start = end.checked_sub(len).unwrap_or(end);
        Ok(Box::new(HostBytes { _env: env, range: start..end }))
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_host_stack_creator_set(
    config: &mut wasm_config_t,
    creator: &mut wasmtime_stack_creator_t,
) {
    let env = Foreign::new(creator.env, creator.finalizer);
    config.config.host_stacks = Some(HostStacks(Arc::new(Creator { env, new_stack: creator.new_stack })));
}
