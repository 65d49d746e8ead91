//! The work of a future: a call or an instantiation, with its arguments, and where its outcome goes.

use crate::ampoule::component::calls::{ampoule_component_call_t, run_until_over};
use crate::boundary::{give_error, give_trap};
use crate::component::func::{values, values_mut};
use crate::component::instance::wasmtime_component_instance_t;
use crate::error::wasmtime_error_t;
use crate::external::wasmtime_func_t;
use crate::instance::wasmtime_instance_t;
use crate::val::{clone_of, take_from_c, wasmtime_val_t};
use crate::wasm::object::wasm_trap_t;
use ampoule::store::task::Work;
use ampoule::{Error, InstancePre, Store};
use ampoule_component::{Func, InstancePre as ComponentPre, Val};
use ampoule_core::vm::VmVal;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// What a call in progress does.
pub(crate) enum What {
    Call {
        func: wasmtime_func_t,
        args: Args,
        results: *mut wasmtime_val_t,
        nresults: usize,
    },
    Instantiate {
        pre: Result<InstancePre, Error>,
        instance: *mut wasmtime_instance_t,
    },
    /// Of a component. The values are the caller's.
    CallComponent {
        func: Func,
        args: *const Val,
        nargs: usize,
        results: *mut Val,
        nresults: usize,
    },
    /// Until this call is over or, without one, until nothing is left to run.
    RunComponents {
        call: Option<NonNull<ampoule_component_call_t>>,
    },
    /// Of a component.
    InstantiateComponent {
        pre: Result<ComponentPre, Error>,
        instance: *mut wasmtime_component_instance_t,
    },
}

/// A call in progress: what it does, and where a failure goes.
pub struct Job {
    what: What,
    /// The arguments, where these are [`Args::Few`].
    few: [MaybeUninit<VmVal>; FEW],
    trap_ret: *mut *mut wasm_trap_t,
    error_ret: *mut *mut wasmtime_error_t,
}

/// The arguments of a call, copied when the future is made.
pub(crate) enum Args {
    /// So many, in [`Job::few`].
    Few(usize),
    Many(OwnArgs),
}

/// Arguments, with a count of each reference among them.
pub(crate) struct OwnArgs(Vec<VmVal>);

impl Drop for OwnArgs {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|arg| drop(take_from_c(arg)));
    }
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
        Args::Many(OwnArgs(args.iter().map(clone_of).collect()))
    }
}

impl Work for Job {
    #[inline]
    fn owns_nothing(&self) -> bool {
        matches!(self.what, What::Call { args: Args::Few(_), .. } | What::CallComponent { .. })
    }

    #[inline(always)]
    fn run(&mut self, store: &mut Store) -> Result<(), Error> {
        match &mut self.what {
            What::Call { func, args, results, nresults } => {
                let func = func.need()?;
                let (args, nargs) = match args {
                    Args::Few(nargs) => (self.few.as_ptr().cast::<VmVal>(), *nargs),
                    Args::Many(args) => (args.0.as_ptr(), args.0.len()),
                };
                // SAFETY: there are so many arguments. By the header, there is room for the results until the future is deleted.
                unsafe { func.call_vals(store, args, nargs, *results, *nresults) }
            }
            What::Instantiate { pre, instance } => {
                let made = pre.as_ref().map_err(Clone::clone)?.instantiate(store)?;
                // SAFETY: by the header, the place is there until the future is deleted.
                unsafe { instance.write(made) };
                Ok(())
            }
            What::CallComponent { func, args, nargs, results, nresults } => {
                // SAFETY: by the header, so many valid values are there until the future is deleted, and nobody changes them.
                let (args, results) = unsafe { (values(*args, *nargs), values_mut(*results, *nresults)) };
                func.call(store, args, results)
            }
            What::RunComponents { call } => run_until_over(store, *call),
            What::InstantiateComponent { pre, instance } => {
                let made = pre.as_ref().map_err(Clone::clone)?.instantiate(store)?;
                // SAFETY: by the header, the place is there until the future is deleted.
                unsafe { instance.write(made) };
                Ok(())
            }
        }
    }
}

impl Job {
    /// A job without arguments of its own.
    pub(crate) fn write(
        slot: &mut MaybeUninit<Self>,
        what: What,
        trap_ret: *mut *mut wasm_trap_t,
        error_ret: *mut *mut wasmtime_error_t,
    ) {
        slot.write(Job { what, few: [const { MaybeUninit::uninit() }; FEW], trap_ret, error_ret });
    }

    /// A call.
    ///
    /// # Safety
    /// `args` points to `nargs` values.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "they are those of `wasmtime_func_call_async`")]
    pub(super) unsafe fn write_call(
        slot: &mut MaybeUninit<Self>,
        func: wasmtime_func_t,
        args: *const wasmtime_val_t,
        nargs: usize,
        results: *mut wasmtime_val_t,
        nresults: usize,
        trap_ret: *mut *mut wasm_trap_t,
        error_ret: *mut *mut wasmtime_error_t,
    ) {
        let job: *mut Job = slot.as_mut_ptr();
        // SAFETY: the places are the slot's, and the arguments by the caller. A value whose kind isn't counted is plain data.
        unsafe {
            let few = (&raw mut (*job).few).cast::<VmVal>();
            let fit = nargs <= FEW && (0..nargs).all(|index| copy_plain(args.add(index), few.add(index)));
            let what = &raw mut (*job).what;
            // Written twice, so that the usual arguments are not put together on the stack first.
            if fit {
                what.write(What::Call { func, args: Args::Few(nargs), results, nresults });
            } else {
                what.write(What::Call { func, args: Args::of(args, nargs), results, nresults });
            }
            (&raw mut (*job).trap_ret).write(trap_ret);
            (&raw mut (*job).error_ret).write(error_ret);
        }
    }

    /// Puts a failure where it goes: as `give_trap_or_error`, once the call is over.
    pub(super) fn fail(&mut self, error: Error) {
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
