//! Functions, and the way from the host into the guest.

pub mod adapter;
pub(crate) mod caller;
pub(crate) mod future;
pub mod host;
pub(crate) mod native;
pub(crate) mod typed;
pub(crate) mod val;

use crate::Caller;
use crate::engine::type_registry::{Thunk, Type, TypeRecord};
use crate::error::{Error, ErrorKind};
use crate::func::host::HostFunc;
use crate::func::val::Val;
use crate::store::Store;
use crate::store::calls::AtEnd;
use ampoule_core::types::{FuncType, ValType};
use ampoule_core::vm::{VmContext, VmFunc, VmFuncRef, VmStoreContext, VmVal, VmValRaw};
use ampoule_machine::arch::{entry, raw_call};
use std::ffi::c_void;
use std::hash::{Hash, Hasher};
use std::mem::{self, MaybeUninit};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

/// A function of a store. The layout is that of [`VmFunc`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Func {
    store_id: u64,
    func_ref: NonNull<VmFuncRef>,
}

const _: () = {
    assert!(size_of::<Func>() == size_of::<VmFunc>() && align_of::<Func>() == align_of::<VmFunc>());
    assert!(mem::offset_of!(Func, store_id) == mem::offset_of!(VmFunc, store_id));
    assert!(mem::offset_of!(Func, func_ref) == mem::offset_of!(VmFunc, func_ref));
};

impl PartialEq for Func {
    /// Whether they are one function, whenever they were asked for.
    fn eq(&self, other: &Self) -> bool {
        self.func_ref == other.func_ref && self.store_number() == other.store_number()
    }
}

impl Eq for Func {}

impl Hash for Func {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.func_ref, self.store_number()).hash(state);
    }
}

// SAFETY: the pointer is only followed with the owning store at hand, after the id was compared.
unsafe impl Send for Func {}
// SAFETY: as above; a `Func` itself is plain data.
unsafe impl Sync for Func {}

/// What is left to do of a raw call, for a C function that begins with [`Func::call_raw_or`]: with `unwound`, to tell of a guest that was
/// stopped ([`Store::end_of_raw_call`]), where of the other arguments only the store and `out` count; without, the whole call.
pub use ampoule_machine::arch::raw_call::RestOfCall;

impl Func {
    /// A function of the host, from a Rust closure.
    ///
    /// The closure gets the arguments, of the declared types, and fills in the results, of the declared types; an error
    /// stops the guest and comes out of the call that entered it.
    pub fn new(
        store: &mut Store,
        ty: &FuncType,
        func: impl Fn(Caller<'_>, &[Val], &mut [Val]) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<Func, Error> {
        let host = HostFunc::new(&store.engine, ty, func)?;
        Ok(Func::from_host(store, &Arc::new(host)))
    }

    /// This store's copy of a host function.
    ///
    /// # Panics
    /// Where the function was made for another engine.
    pub fn from_host(store: &mut Store, host: &Arc<HostFunc>) -> Func {
        let func_ref = crate::func::host::place(store, host, host.env);
        Func { store_id: store.vm.id, func_ref }
    }

    /// As [`Func::from_host`], for a function that was made without knowing what it would be called with.
    ///
    /// # Safety
    /// `env` is what the function's callback expects, and `host` is counted, as long as the store lives. The function was made by
    /// [`HostFunc::raw`], and its type has no references.
    pub unsafe fn from_host_with(store: &mut Store, host: &Arc<HostFunc>, env: *mut c_void) -> Func {
        debug_assert!(
            !host.ty().params().iter().any(|ty| ty.is_ref()),
            "references are rooted by an environment of the function's own"
        );
        // SAFETY: by the caller.
        let func_ref = unsafe { crate::func::host::place_kept(store, host, env) };
        Func { store_id: store.vm.id, func_ref }
    }

    fn store_number(&self) -> u64 {
        self.store_id & ((1 << VmStoreContext::ID_BITS) - 1)
    }

    /// The function a raw reference stands for, or `None` for null.
    ///
    /// # Safety
    /// `raw` is null or a `VmFuncRef` of this store.
    pub unsafe fn from_raw(store: &Store, raw: *mut VmFuncRef) -> Option<Func> {
        Some(Func { store_id: store.vm.id, func_ref: NonNull::new(raw)? })
    }

    /// The raw reference.
    ///
    /// # Errors
    /// Where the function is of another store.
    pub fn to_raw(&self, store: &Store) -> Result<*mut VmFuncRef, Error> {
        store.check_func(self.store_id, self.func_ref)?;
        Ok(self.func_ref.as_ptr())
    }

    /// The function in words, for C.
    pub(crate) fn into_vm(func: Option<Func>) -> VmFunc {
        func.map_or(VmFunc { store_id: 0, func_ref: None }, |func| VmFunc {
            store_id: func.store_id,
            func_ref: Some(func.func_ref),
        })
    }

    /// The function in these words; `None` for null.
    ///
    /// # Safety
    /// They are null, or came from [`Func::into_vm`].
    pub(crate) unsafe fn from_vm(words: VmFunc) -> Option<Func> {
        words.func_ref.filter(|_| words.store_id != 0).map(|func_ref| Func { store_id: words.store_id, func_ref })
    }

    /// The type.
    ///
    /// # Errors
    /// Where the function is of another store.
    pub fn ty(&self, store: &Store) -> Result<FuncType, Error> {
        Ok(self.signature(store)?.func().clone())
    }

    /// The type as it was declared, kept: it tells super-types, and is what imports are compared with.
    ///
    /// # Errors
    /// Where the function is of another store.
    pub fn declared_type(&self, store: &Store) -> Result<Type, Error> {
        Ok(store.engine.types().find(self.signature(store)?.id()).expect("the function keeps its type"))
    }

    #[inline]
    pub(crate) fn signature<'a>(&self, store: &'a Store) -> Result<&'a TypeRecord, Error> {
        store.check_func(self.store_id, self.func_ref)?;
        // SAFETY: the reference is of this store and alive (just compared), made (handles are only made of made references), and its
        // signature lives as long as the module or host function it came from, which the store keeps.
        Ok(unsafe { &*self.func_ref.as_ref().signature.cast::<TypeRecord>() })
    }

    /// Calls the function.
    ///
    /// # Errors
    /// Where arguments or results don't fit the type or belong to another store, nothing runs. A trap, a host function's
    /// error or the guest's exit otherwise; the store stays usable.
    pub fn call(&self, store: &mut Store, args: &[Val], results: &mut [Val]) -> Result<(), Error> {
        let counts = (args.len(), results.len());
        let arg = |store: &Store, at: usize, expected, raw: &mut VmValRaw| {
            *raw = args[at].to_argument(store, expected)?;
            Ok(())
        };
        // SAFETY: what is given was compared with the expected type.
        unsafe {
            self.call_with(store, counts, arg, |store, types, raw| {
                for ((result, raw), &ty) in results.iter_mut().zip(raw).zip(types) {
                    // SAFETY: the guest returned values of its result types, of this store.
                    *result = Val::from_raw(store, raw, ty);
                }
                Ok(())
            })
        }
    }

    /// As [`Func::call`], for values that are held in another form, so many arguments and results of them: `arg` writes the argument at a
    /// position as guest code holds it, of the type that it is told; `take` gets the results, which are of the types beside them.
    ///
    /// # Errors
    /// As [`Func::call`], and what the two say; nothing runs after an error of `arg`.
    ///
    /// # Safety
    /// What `arg` writes is of the type, and of this store.
    #[inline]
    pub unsafe fn call_with(
        &self,
        store: &mut Store,
        (num_args, num_results): (usize, usize),
        mut arg: impl FnMut(&Store, usize, ValType, &mut VmValRaw) -> Result<(), Error>,
        take: impl FnOnce(&mut Store, &[ValType], &[VmValRaw]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let signature: *const TypeRecord = self.signature(store)?;
        // SAFETY: it lives as long as the module or host function it came from, which the store keeps.
        let ty = unsafe { (*signature).func() };
        if num_args != ty.params().len() {
            return Err(Error::params_mismatch(ty, num_args));
        }
        if num_results != ty.results().len() {
            return Err(Error::results_mismatch(ty, num_results));
        }
        let (mut few, mut many) = ([const { MaybeUninit::<VmValRaw>::uninit() }; 8], Vec::new());
        let slots = num_args.max(num_results);
        let raw = match slots {
            0..=8 => few.as_mut_ptr().cast::<VmValRaw>(),
            slots => {
                many.resize(slots, VmValRaw { v128: [0; 16] });
                many.as_mut_ptr()
            }
        };
        for (at, &expected) in ty.params().iter().enumerate() {
            // SAFETY: there is a slot for each argument, and nothing is too little for a union.
            arg(store, at, expected, unsafe { &mut *raw.add(at) })?;
        }
        // SAFETY: there is a slot for each argument and result; the arguments by the caller.
        unsafe { self.call_raw(store, raw)? };
        // SAFETY: the guest has written the part of each result that its type has.
        take(store, ty.results(), unsafe { slice::from_raw_parts(raw, num_results) })
    }

    /// Calls the function with arguments as guest code holds them; results replace them.
    ///
    /// # Errors
    /// See [`Func::call`].
    ///
    /// # Safety
    /// `values` has room for the larger number of parameters and results, and holds arguments of the parameter types, all
    /// of this store.
    #[inline]
    pub unsafe fn call_raw(&self, store: &mut Store, values: *mut VmValRaw) -> Result<(), Error> {
        let engine = &store.engine;
        let thunk = engine.thunk(self.signature(store)?, Thunk::EntryRaw)?;
        // SAFETY: the thunk was compiled for this signature; values by the caller.
        unsafe { self.enter(store, thunk, values.cast(), values.cast(), ptr::null_mut()) }.map(|_| ())
    }

    /// As [`Func::call_raw`], for an array whose length is checked.
    ///
    /// # Errors
    /// See [`Func::call`].
    ///
    /// # Safety
    /// `values` points to `len` values, the first of which are arguments of the parameter types, all of this store.
    #[inline]
    pub unsafe fn call_raw_in(&self, store: &mut Store, values: *mut VmValRaw, len: usize) -> Result<(), Error> {
        let signature = self.signature(store)?;
        if len < signature.slots() {
            let ty = signature.func();
            let few_args = len < ty.params().len();
            return Err(if few_args { Error::params_mismatch(ty, len) } else { Error::results_mismatch(ty, len) });
        }
        // SAFETY: the array is long enough, as was just checked; arguments by the caller.
        unsafe { self.call_raw(store, values) }
    }

    /// As [`Func::call_raw_in`], for C functions, with as few instructions as possible: answers null where the function has returned, and otherwise
    /// what `rest` makes of it.
    ///
    /// # Safety
    /// As for [`Func::call_raw_in`]. `func` points to as many bytes as a function has, the first eight of which are the id of the store that
    /// the next eight are a function of, or of no store.
    #[inline(always)]
    pub unsafe fn call_raw_or(
        store: *mut VmStoreContext,
        func: *const VmFunc,
        values: *mut VmValRaw,
        len: usize,
        out: *mut c_void,
        rest: RestOfCall,
    ) -> *mut c_void {
        // SAFETY: by the caller.
        unsafe { raw_call::call(store, func, values, len, out, rest) }
    }

    /// Calls the function with arguments as the C interface holds them, compared with the parameters' kinds, and references with the
    /// store, by compiled code.
    ///
    /// # Errors
    /// See [`Func::call`].
    ///
    /// # Safety
    /// `args` and `results` point to as many values as the lengths say; they may be null where those are zero. The arguments are such as
    /// [`Val::from_vm`] takes, and live until the guest has begun.
    #[inline(always)]
    pub unsafe fn call_vals(
        &self,
        store: &mut Store,
        args: *const VmVal,
        num_args: usize,
        results: *mut VmVal,
        num_results: usize,
    ) -> Result<(), Error> {
        let signature: *const TypeRecord = self.signature(store)?;
        // SAFETY: it lives as long as the module or host function it came from, which the store keeps.
        let signature = unsafe { &*signature };
        let ty = signature.func();
        if num_args != ty.params().len() {
            return Err(Error::params_mismatch(ty, num_args));
        }
        if num_results != ty.results().len() {
            return Err(Error::results_mismatch(ty, num_results));
        }
        let thunk = store.engine.thunk(signature, Thunk::EntryChecked)?;
        // SAFETY: the thunk was compiled for this signature, whose numbers of values were just compared.
        let args_fit = unsafe { self.enter(store, thunk, args.cast_mut().cast(), results.cast(), ptr::null_mut()) }?;
        // SAFETY: by the caller; their number was compared.
        if args_fit { Ok(()) } else { Err(unsafe { Self::refused_argument(store, ty, args) }) }
    }

    /// What is wrong with arguments that an entry thunk has refused.
    ///
    /// # Safety
    /// As for [`Func::call_vals`]; there are as many as the type says.
    #[cold]
    unsafe fn refused_argument(store: &Store, ty: &FuncType, args: *const VmVal) -> Error {
        // SAFETY: by the caller.
        let arg = |at: usize| unsafe { Val::from_vm(&*args.add(at)) };
        let wrong = ty
            .params()
            .iter()
            .enumerate()
            .find_map(|(at, &ty)| arg(at).and_then(|arg| arg.to_argument(store, ty)).err());
        wrong.expect("entry thunks refuse what can't be converted")
    }

    /// Enters guest code through a thunk. False: the thunk refused an argument. A host function has `caller` as its caller: null
    /// where the host calls.
    ///
    /// # Safety
    /// The thunk was compiled for this function's signature, and `args` and `results` are what it expects. `caller` is null or of this store.
    #[inline(always)]
    unsafe fn enter(
        &self,
        store: &mut Store,
        thunk: *const u8,
        args: *mut u8,
        results: *mut u8,
        caller: *mut VmContext,
    ) -> Result<bool, Error> {
        if store.vm.entry_fp() != 0 {
            store.check_nested()?;
            if !store.vm.entry.stack.contains(ampoule_machine::stack::stack_pointer()) {
                // SAFETY: by the caller.
                return unsafe { self.reenter(store, thunk, args, results, caller) };
            }
            store.check_host_stack()?;
            let at_end = store.begin_nested_call();
            // The guest that waits is no caller of what is called now.
            let outer = mem::replace(&mut store.vm.caller, caller);
            // SAFETY: by the caller. The checks above allow the call, and the store has the stack limit for it.
            let outcome = unsafe { self.run(store, thunk, args, results, at_end) };
            store.vm.caller = outer;
            return outcome;
        }
        let mut at_end = AtEnd::Nothing;
        let sp = ampoule_machine::stack::stack_pointer();
        match ampoule_machine::stack::known_limit_for(&store.vm.entry.stack, sp, store.engine.config().max_wasm_stack) {
            Some(limit) => store.vm.stack_limit = limit,
            None => at_end = store.begin_call(sp)?,
        }
        // No guest waits, and so the store has no caller.
        if !caller.is_null() {
            store.vm.caller = caller;
        }
        // SAFETY: by the caller. The checks above allow the call, and the store has the stack limit for it.
        let outcome = unsafe { self.run(store, thunk, args, results, at_end) };
        if !caller.is_null() {
            store.vm.caller = ptr::null_mut();
        }
        outcome
    }

    /// What is left to do where the store is ready, and knows the stack.
    ///
    /// # Safety
    /// As for `enter`.
    #[inline(always)]
    unsafe fn run(
        &self,
        store: &mut Store,
        thunk: *const u8,
        args: *mut u8,
        results: *mut u8,
        at_end: AtEnd,
    ) -> Result<bool, Error> {
        let vm: *mut Store = store;
        // SAFETY: `vm` is the store and its context (store invariants 1 and 2); it is not touched through `store` until
        // this returns (3). The reference belongs to this store, which the public callers compared.
        let outcome = unsafe { entry::enter(vm.cast(), thunk, self.func_ref.as_ptr(), args, results) };
        if at_end != AtEnd::Nothing {
            store.end_call(at_end);
        }
        match outcome {
            entry::RETURNED => Ok(true),
            entry::REFUSED => Ok(false),
            _ => Err(store.take_pending()),
        }
    }

    /// Enters from another stack than that of the guest that waits for this call.
    ///
    /// # Safety
    /// As for `enter`.
    #[cold]
    unsafe fn reenter(
        &self,
        store: &mut Store,
        thunk: *const u8,
        args: *mut u8,
        results: *mut u8,
        caller: *mut VmContext,
    ) -> Result<bool, Error> {
        let reentry = store.begin_reentry(ampoule_machine::stack::stack_pointer())?;
        let outer = mem::replace(&mut store.vm.caller, caller);
        let entered = store.check_host_stack().and_then(|()| {
            let at_end = store.begin_nested_call();
            // SAFETY: by the caller.
            unsafe { self.run(store, thunk, args, results, at_end) }
        });
        store.vm.caller = outer;
        store.end_reentry(reentry);
        entered
    }

    /// Calls the start function of the instance with this context: a host function has that for its caller.
    ///
    /// # Safety
    /// `instance` is the context of an instance of this store.
    pub(crate) unsafe fn call_start(&self, store: &mut Store, instance: *mut VmContext) -> Result<(), Error> {
        let signature = self.signature(store)?;
        if !signature.func().params().is_empty() || !signature.func().results().is_empty() {
            return Err(Error::new(ErrorKind::Type("a start function takes and returns nothing".to_string())));
        }
        let thunk = store.engine.thunk(signature, Thunk::EntryRaw)?;
        let mut none = [VmValRaw { v128: [0; 16] }; 1];
        let values: *mut u8 = none.as_mut_ptr().cast();
        // SAFETY: there are no arguments and no results; the context by the caller.
        unsafe { self.enter(store, thunk, values, values, instance) }.map(|_| ())
    }
}

impl Store {
    /// Why the guest was unwound.
    #[cold]
    pub(crate) fn take_pending(&mut self) -> Error {
        self.pending.take().unwrap_or_else(|| Error::message("the guest was unwound for no reason"))
    }

    /// Why a raw call that began with [`Func::call_raw_or`] was unwound.
    #[cold]
    pub fn end_of_raw_call(&mut self) -> Error {
        self.take_pending()
    }

    /// Refuses a nested call when the stack is used up: host functions that call back into the guest recurse on the same
    /// stack, and only guest code checks the limit by itself.
    fn check_host_stack(&mut self) -> Result<(), Error> {
        if ampoule_machine::stack::stack_pointer() < self.vm.stack_limit {
            self.limiter.check_idle()?;
            return Err(Error::trap(ampoule_core::trap::TrapCode::StackOverflow));
        }
        Ok(())
    }
}
