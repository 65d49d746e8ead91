//! Functions of the host: defined once for an engine, placed in each store that uses them.

use crate::engine::Engine;
use crate::engine::type_registry::{Thunk, Type, TypeRecord};
use crate::error::{Error, ErrorKind};
use crate::func::caller::Caller;
use crate::func::val::Val;
use crate::store::Store;
pub use crate::store::records::func::HostFunc;
use crate::store::records::func::StoreHostFunc;
use ampoule_core::types::FuncType;
use ampoule_core::vm::{VmCaller, VmFuncRef, VmHostFunc, VmVal, VmValRaw};
use ampoule_machine::arch::trampolines::exit_thunk_on_call;
use std::any::Any;
use std::ffi::c_void;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

/// The C function behind a host function that takes raw values. An error it answers is a `Box<Error>` as a raw pointer, or
/// null.
pub type RawCallback =
    unsafe extern "C" fn(env: *mut c_void, caller: *mut VmCaller, values: *mut VmValRaw, len: usize) -> *mut c_void;

/// The C function behind a host function that takes values with kinds; see [`RawCallback`].
pub type CheckedCallback = unsafe extern "C" fn(
    env: *mut c_void,
    caller: *mut VmCaller,
    args: *const VmVal,
    num_args: usize,
    results: *mut VmVal,
    num_results: usize,
) -> *mut c_void;

/// What a plain C function takes before its parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NativeTakes {
    /// The host's pointer.
    pub env: bool,
    /// A [`VmCaller`].
    pub caller: bool,
}

type Closure = Box<dyn Fn(Caller<'_>, &[Val], &mut [Val]) -> Result<(), Error> + Send + Sync>;

struct ClosureEnv {
    func: Closure,
    ty: FuncType,
}

impl HostFunc {
    /// A host function from a Rust closure; see [`crate::Func::new`].
    pub fn new(
        engine: &Engine,
        ty: &FuncType,
        func: impl Fn(Caller<'_>, &[Val], &mut [Val]) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let env = Box::new(ClosureEnv { func: Box::new(func), ty: ty.clone() });
        let pointer: *const ClosureEnv = &*env;
        let signature = engine.types().intern(ty)?;
        check_thunk(engine, &signature, Thunk::ExitRaw)?;
        Ok(Self {
            signature,
            which: Thunk::ExitRaw,
            callback: call_closure as RawCallback as *const c_void,
            env: pointer.cast_mut().cast(),
            may_suspend: false,
            _owner: env,
        })
    }

    /// A host function from a C function that takes raw values.
    ///
    /// # Errors
    /// Where the thunk can't be compiled; `owner` is dropped.
    ///
    /// # Safety
    /// `callback` may be called with `env` from any thread while `owner` lives, and keeps to [`RawCallback`]: it writes
    /// results of the result types, of the running store.
    pub unsafe fn raw(
        engine: &Engine,
        ty: &FuncType,
        callback: RawCallback,
        env: *mut c_void,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Result<Self, Error> {
        let signature = engine.types().intern(ty)?;
        let which = Thunk::ExitRaw;
        check_thunk(engine, &signature, which)?;
        if !ty.params().iter().any(|ty| ty.is_collected()) {
            let callback = callback as *const c_void;
            return Ok(Self { signature, which, callback, env, may_suspend: false, _owner: owner });
        }
        // Raw references are kept alive for the length of the call.
        let wrapper = Box::new(RootingEnv { callback, env, ty: ty.clone(), _owner: owner });
        let pointer: *const RootingEnv = &*wrapper;
        let callback = call_rooting as RawCallback as *const c_void;
        let env = pointer.cast_mut().cast();
        Ok(Self { signature, which, callback, env, may_suspend: false, _owner: wrapper })
    }

    /// A host function from a C function that takes values with kinds. References among the arguments are lent for the call, those
    /// among the results given up, also where an error is answered.
    ///
    /// # Errors
    /// See [`HostFunc::raw`].
    ///
    /// # Safety
    /// `callback` may be called with `env` from any thread while `owner` lives, and keeps to [`CheckedCallback`].
    pub unsafe fn checked(
        engine: &Engine,
        ty: &FuncType,
        callback: CheckedCallback,
        env: *mut c_void,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Result<Self, Error> {
        let signature = engine.types().intern(ty)?;
        let which = Thunk::ExitChecked;
        check_thunk(engine, &signature, which)?;
        let callback = callback as *const c_void;
        Ok(Self { signature, which, callback, env, may_suspend: false, _owner: owner })
    }

    /// The same function, which may suspend its caller ([`Store::suspend`]): a store that it is placed in takes asynchronous calls
    /// only.
    pub fn suspending(self) -> Self {
        Self { may_suspend: true, ..self }
    }

    /// A host function from a plain C function of the same signature; see [`crate::func::native`]. It may take `env` and the caller
    /// before its parameters, in this order.
    ///
    /// # Errors
    /// Where the type has references or vectors, or the thunk can't be compiled; `owner` is dropped.
    ///
    /// # Safety
    /// `callback` has the C signature of `ty`, behind what `takes` says, and may be called from any thread while `owner` lives.
    pub unsafe fn native(
        engine: &Engine,
        ty: &FuncType,
        callback: *const c_void,
        takes: NativeTakes,
        env: *mut c_void,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Result<Self, Error> {
        crate::func::native::check_numbers(ty)?;
        if cfg!(not(feature = "compiler")) {
            // Modules don't bring these thunks along.
            return Err(Error::new(ErrorKind::Compile(
                "a native import needs an adapter, and this library has no compiler".to_string(),
            )));
        }
        let signature = engine.types().intern(ty)?;
        let which = match (takes.env, takes.caller) {
            (false, false) => Thunk::ExitNative,
            (true, false) => Thunk::ExitNativeEnv,
            (false, true) => Thunk::ExitNativeCaller,
            (true, true) => Thunk::ExitNativeEnvCaller,
        };
        check_thunk(engine, &signature, which)?;
        Ok(Self { signature, which, callback, env, may_suspend: false, _owner: owner })
    }

    /// The same function, declared as of this type, which may have super-types: imports are compared with that.
    ///
    /// # Errors
    /// Where that is not the type of functions with these parameters and results, or of another engine.
    pub fn of_type(self, ty: &Type) -> Result<Self, Error> {
        if ty.ty().as_func() != Some(self.ty()) || !self.signature.is_of_the_same_engine(ty) {
            return Err(Error::new(ErrorKind::Type("a function can't be declared as of another type".to_string())));
        }
        Ok(Self { signature: ty.clone(), ..self })
    }

    /// The type.
    pub fn ty(&self) -> &FuncType {
        self.signature.func()
    }
}

/// Compiles a thunk that a function will need, where there is a compiler. Where there is none, it comes with a module, which may be
/// loaded later.
fn check_thunk(engine: &Engine, signature: &TypeRecord, which: Thunk) -> Result<(), Error> {
    if cfg!(feature = "compiler") { engine.thunk(signature, which).map(drop) } else { Ok(()) }
}

/// The exit thunk of a placed function, which so far had none.
///
/// # Errors
/// Where there still is none.
///
/// # Safety
/// `func` is a [`StoreHostFunc`] of the store that it names, which nobody uses meanwhile.
pub(crate) unsafe fn resolve(func: *mut VmHostFunc) -> Result<*const u8, Error> {
    // SAFETY: by the caller; `vm` is a record's first field, so a pointer to one is a pointer to the other.
    unsafe {
        let record = &*func.cast::<StoreHostFunc>();
        let store = Store::from_vm(record.vm.store);
        let code = store.engine.thunk(&record.host().signature, record.host().which)?;
        (*func).func_ref.code = code;
        Ok(code)
    }
}

/// Puts a host function into a store and gives the reference to it, which lives as long as the store.
pub(crate) fn place(store: &mut Store, host: &Arc<HostFunc>, env: *mut c_void) -> NonNull<VmFuncRef> {
    store.instances.host_func_owners.push(host.clone());
    // SAFETY: it was just counted.
    unsafe { place_kept(store, host, env) }
}

/// As [`place`], of a function that is counted elsewhere.
///
/// # Safety
/// It is counted as long as the store lives.
pub(crate) unsafe fn place_kept(store: &mut Store, host: &Arc<HostFunc>, env: *mut c_void) -> NonNull<VmFuncRef> {
    // Thunks are in the code memory of the engine that compiles them, and kept with the type.
    assert!(host.signature.is_of(store.engine.types()), "a host function is of its store's engine");
    if host.may_suspend {
        store.require_async();
    }
    let code = store.engine.thunk(&host.signature, host.which).unwrap_or(exit_thunk_on_call as *const u8);
    let vm = VmHostFunc {
        func_ref: VmFuncRef { code, vmctx: std::ptr::null_mut(), signature: host.signature.as_word() },
        store: &mut store.vm,
        callback: host.callback,
        env,
    };
    // SAFETY: by the caller.
    let func = store.instances.host_funcs.push_with(|| unsafe { StoreHostFunc::new(vm, host) });
    let vm: *mut VmHostFunc = &mut func.vm;
    func.vm.func_ref.vmctx = vm.cast();
    // SAFETY: `vm` points into the list, whose elements stay where they are, and the reference is its first field.
    unsafe { NonNull::new_unchecked(vm.cast::<VmFuncRef>()) }
}

/// The raw callback of every Rust closure.
///
/// # Safety
/// As for every [`RawCallback`]; `env` is a [`ClosureEnv`].
unsafe extern "C" fn call_closure(
    env: *mut c_void,
    caller: *mut VmCaller,
    values: *mut VmValRaw,
    _len: usize,
) -> *mut c_void {
    // SAFETY: `env` is what `HostFunc::new` gave, alive with the function; `caller` is the exit thunk's.
    let (env, caller) = unsafe { (&*env.cast::<ClosureEnv>(), Caller::from_vm(caller)) };
    let result = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the exit thunk gives room for the larger number of parameters and results, arguments filled in.
        unsafe { run_closure(env, caller, values) }
    }));
    error_out(result.unwrap_or_else(|_| Err(Error::message("a host function panicked"))))
}

/// # Safety
/// `values` has room for the larger number of parameters and results and holds the arguments.
unsafe fn run_closure(env: &ClosureEnv, mut caller: Caller<'_>, values: *mut VmValRaw) -> Result<(), Error> {
    let (params, results) = (env.ty.params(), env.ty.results());
    let mut vals = Vec::with_capacity(params.len() + results.len());
    for (position, &ty) in params.iter().enumerate() {
        // SAFETY: the guest passed values of its parameter types, of this store.
        vals.push(unsafe { Val::from_raw(caller.store(), &*values.add(position), ty) });
    }
    vals.extend(results.iter().map(|&ty| Val::default_for(ty)));
    let (args, answers) = vals.split_at_mut(params.len());
    (env.func)(caller.reborrow(), args, answers)?;
    for (position, (answer, &ty)) in answers.iter().zip(results).enumerate() {
        let raw = answer.to_result(caller.store(), ty)?;
        // SAFETY: there is room for every result.
        unsafe { *values.add(position) = raw };
    }
    Ok(())
}

/// What is wrong with the results of a host function, which an exit thunk has refused. They are taken over.
///
/// # Safety
/// `func` is the [`StoreHostFunc`] that was called, and `results` points to as many values as its type says, such as
/// [`Val::take_vm`] takes.
pub(crate) unsafe fn result_mismatch(store: &Store, func: *mut VmHostFunc, results: *mut VmVal) -> Error {
    // SAFETY: by the caller; `vm` is a record's first field, so a pointer to one is a pointer to the other.
    let (types, results) = unsafe {
        let types = (*func.cast::<StoreHostFunc>()).host().ty().results();
        (types, slice::from_raw_parts_mut(results, types.len()))
    };
    // All of them, before the first that is wrong ends it.
    // SAFETY: by the caller.
    let taken: Vec<_> = results.iter_mut().map(|result| unsafe { Val::take_vm(result) }).collect();
    let mut taken = taken.into_iter().zip(types);
    let wrong = taken.find_map(|(result, &ty)| result.and_then(|result| result.to_result(store, ty)).err());
    wrong.expect("exit thunks refuse what can't be converted")
}

struct RootingEnv {
    callback: RawCallback,
    env: *mut c_void,
    ty: FuncType,
    _owner: Box<dyn Any + Send + Sync>,
}

// SAFETY: as for `HostFunc`, whose pointers these are.
unsafe impl Send for RootingEnv {}
// SAFETY: as for `HostFunc`.
unsafe impl Sync for RootingEnv {}

/// Calls a raw callback whose parameters have references that are collected, keeping those alive until it returns.
///
/// # Safety
/// As for every [`RawCallback`]; `env` is a [`RootingEnv`].
unsafe extern "C" fn call_rooting(
    env: *mut c_void,
    caller: *mut VmCaller,
    values: *mut VmValRaw,
    len: usize,
) -> *mut c_void {
    // SAFETY: `env` is what `HostFunc::raw` gave; `caller` and `values` are the exit thunk's. The store is used through
    // one reference at a time: ours ends before the callback runs and is made again afterwards.
    unsafe {
        let env = &*env.cast::<RootingEnv>();
        let vm = (*caller).store;
        let roots = &mut Store::from_vm(vm).roots;
        for (position, &ty) in env.ty.params().iter().enumerate() {
            let place = (&raw mut (*values.add(position)).externref).cast();
            if ty.is_collected() && *place != 0 {
                roots.push_in_flight(values.cast(), place);
            }
        }
        let error = (env.callback)(env.env, caller, values, len);
        Store::from_vm(vm).roots.release_in_flight(values.cast());
        error
    }
}

/// A result as callbacks answer it.
#[inline]
pub fn error_out(result: Result<(), Error>) -> *mut c_void {
    match result {
        Ok(()) => std::ptr::null_mut(),
        Err(error) => Box::into_raw(Box::new(error)).cast(),
    }
}

impl fmt::Debug for HostFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFunc").field("ty", self.ty()).finish_non_exhaustive()
    }
}
