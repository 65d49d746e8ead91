//! Functions of the portable API.

use super::object::{Object, wasm_extern_t, wasm_ref_t, wasm_trap_t};
use super::parts::wasm_functype_t;
use super::store::{StoreRef, WeakStoreRef, wasm_store_t};
use super::val::{wasm_val_t, wasm_val_vec_t};
use crate::boundary::{expect, give_trap, guarded, null_func};
use crate::foreign::{Finalizer, Foreign};
use crate::own::{Own, Vector};
use ampoule::func::host::{HostFunc, error_out};
use ampoule::{Error, Extern, Func, FuncType, Store, Val, VmValRaw};
use ampoule_core::vm::VmCaller;
use std::ffi::c_void;
use std::ptr;
use std::slice;
use std::sync::Arc;

/// A function: a view of an extern that is one.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_func_t(pub(crate) wasm_extern_t);

impl wasm_func_t {
    pub(crate) fn new(store: &StoreRef, func: Func) -> Box<Self> {
        Box::new(Self(wasm_extern_t::new(store, Extern::Func(func))))
    }

    /// The store and the func.
    fn parts(&self) -> (&StoreRef, Func) {
        let Extern::Func(func) = *self.0.item() else { unreachable!("a func is only ever made as one") };
        (self.0.store(), func)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_delete(_func: Option<Box<wasm_func_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_copy(func: Option<&wasm_func_t>) -> Option<Box<wasm_func_t>> {
    func.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_same(a: &wasm_func_t, b: &wasm_func_t) -> bool {
    a.0.0.same(&b.0.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_get_host_info(func: &wasm_func_t) -> *mut c_void {
    func.0.0.host_info()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_set_host_info(func: &wasm_func_t, info: *mut c_void) {
    func.0.0.set_host_info(info, None);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_set_host_info_with_finalizer(func: &wasm_func_t, info: *mut c_void, finalizer: Finalizer) {
    func.0.0.set_host_info(info, finalizer);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_as_ref(func: Option<&mut wasm_func_t>) -> Option<&mut wasm_ref_t> {
    func.map(|func| &mut func.0.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_func(r: Option<&mut wasm_ref_t>) -> Option<&mut wasm_func_t> {
    // SAFETY: the wrapper is transparent, and the borrow is handed on.
    r.filter(|r| matches!(r.object, Object::Item { item: Extern::Func(_), .. }))
        .map(|r| unsafe { &mut *ptr::from_mut(r).cast() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_as_ref_const(func: Option<&wasm_func_t>) -> Option<&wasm_ref_t> {
    func.map(|func| &func.0.0)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_ref_as_func_const(r: Option<&wasm_ref_t>) -> Option<&wasm_func_t> {
    // SAFETY: the wrapper is transparent.
    r.filter(|r| matches!(r.object, Object::Item { item: Extern::Func(_), .. }))
        .map(|r| unsafe { &*ptr::from_ref(r).cast() })
}

/// A host function. The trap it returns is an `Error` in a box.
pub type wasm_func_callback_t =
    extern "C" fn(args: &wasm_val_vec_t, results: &mut wasm_val_vec_t) -> Option<Box<wasm_trap_t>>;

/// A host function with a pointer of its own.
pub type wasm_func_callback_with_env_t =
    extern "C" fn(env: *mut c_void, args: &wasm_val_vec_t, results: &mut wasm_val_vec_t) -> Option<Box<wasm_trap_t>>;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_new(
    store: Option<&wasm_store_t>,
    ty: Option<&wasm_functype_t>,
    callback: Option<wasm_func_callback_t>,
) -> Option<Box<wasm_func_t>> {
    let callback = callback?;
    host_func(store?, ty?, move |args, results| callback(args, results))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_new_with_env(
    store: Option<&wasm_store_t>,
    ty: Option<&wasm_functype_t>,
    callback: Option<wasm_func_callback_with_env_t>,
    env: *mut c_void,
    finalizer: Finalizer,
) -> Option<Box<wasm_func_t>> {
    // Also where there will be no function: `env` is finalized once, whatever happens.
    let owner = Foreign::new(env, finalizer);
    let callback = callback?;
    host_func(store?, ty?, move |args, results| callback(owner.data(), args, results))
}

/// `None` for a type that functions can't have.
fn host_func<Callback>(store: &wasm_store_t, ty: &wasm_functype_t, callback: Callback) -> Option<Box<wasm_func_t>>
where
    Callback: Fn(&wasm_val_vec_t, &mut wasm_val_vec_t) -> Option<Box<wasm_trap_t>> + Send + Sync + 'static,
{
    // The function is in its store, so it must not keep it alive.
    let host = Box::new(Host { store: store.store.downgrade(), ty: ty.ty().clone(), callback });
    let env = ptr::from_ref(&*host).cast_mut().cast();
    let inner = store.store.get();
    // SAFETY: the environment lives as long as its owner, and may be used from any thread; the callback writes results of the result
    // types, of the running store.
    let made = unsafe { HostFunc::raw(inner.engine(), ty.ty(), call_host::<Callback>, env, host) };
    let func = Func::from_host(inner, &Arc::new(ty.declare(made).ok()?));
    Some(wasm_func_t::new(&store.store, func))
}

/// A host function, and what its values are converted by.
struct Host<Callback> {
    store: WeakStoreRef,
    ty: FuncType,
    callback: Callback,
}

/// The raw callback of every [`Host`].
///
/// # Safety
/// As for every [`RawCallback`](ampoule::func::host::RawCallback); `env` is a [`Host`] of this callback.
unsafe extern "C" fn call_host<Callback>(
    env: *mut c_void,
    _caller: *mut VmCaller,
    values: *mut VmValRaw,
    len: usize,
) -> *mut c_void
where
    Callback: Fn(&wasm_val_vec_t, &mut wasm_val_vec_t) -> Option<Box<wasm_trap_t>>,
{
    // SAFETY: `env` is what `host_func` gave; the exit thunk gives a place for each argument and result.
    let (host, values) = unsafe { (&*env.cast::<Host<Callback>>(), slice::from_raw_parts_mut(values, len)) };
    error_out(guarded(|| host.call(values)))
}

impl<Callback: Fn(&wasm_val_vec_t, &mut wasm_val_vec_t) -> Option<Box<wasm_trap_t>>> Host<Callback> {
    /// Calls it with the arguments in `values`, which the results replace.
    fn call(&self, values: &mut [VmValRaw]) -> Result<(), Error> {
        let store = self.store.upgrade().ok_or_else(|| Error::message("the store is being freed"))?;
        let (params, results) = (self.ty.params(), self.ty.results());
        let (mut few, mut many) = (<[wasm_val_t; 8]>::default(), Vec::new());
        let args = match params.len() {
            len @ 0..=8 => &mut few[..len],
            len => {
                many.resize_with(len, wasm_val_t::default);
                &mut many[..]
            }
        };
        for ((arg, raw), &ty) in args.iter_mut().zip(&*values).zip(params) {
            // SAFETY: the guest passed values of its parameter types, of this store.
            *arg = unsafe { wasm_val_t::from_raw(&store, store.get(), raw, ty)? };
        }
        // The callback may put another vector in place of the one for results, but not of this one, which it only reads.
        let args = Vector::lent(args);
        let mut answers = wasm_val_vec_t::of_defaults(results.len());
        if let Some(trap) = (self.callback)(&args, &mut answers) {
            return Err(trap.0);
        }
        for ((at, raw), &ty) in values.iter_mut().enumerate().zip(results) {
            match answers.as_slice().get(at) {
                Some(answer) if answer.write_number(ty, raw) => {}
                Some(answer) => *raw = answer.get(&store)?.to_result(store.get(), ty)?,
                // The callback has put a shorter vector here. Zero is a value of every type of numbers, null of most types of references.
                None => *raw = Val::default_for(ty).to_result(store.get(), ty)?,
            }
        }
        Ok(())
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_type(func: &wasm_func_t) -> Box<wasm_functype_t> {
    let (store, func) = func.parts();
    wasm_functype_t::of(expect("wasm_func_type", func.declared_type(store.get())))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_param_arity(func: &wasm_func_t) -> usize {
    type_of("wasm_func_param_arity", func).params().len()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_result_arity(func: &wasm_func_t) -> usize {
    type_of("wasm_func_result_arity", func).results().len()
}

fn type_of(function: &str, func: &wasm_func_t) -> FuncType {
    let (store, func) = func.parts();
    expect(function, func.ty(store.get()))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_func_call(
    func: Option<&wasm_func_t>,
    args: Option<&wasm_val_vec_t>,
    results: Option<&mut wasm_val_vec_t>,
) -> Option<Box<wasm_trap_t>> {
    let Some(func) = func else { return Some(give_trap(null_func())) };
    let (store, func) = func.parts();
    let called = guarded(|| {
        let args = args.map(Vector::as_slice).unwrap_or_default();
        let results = results.map(Vector::as_mut_slice).unwrap_or_default();
        let arg = |inner: &Store, at: usize, ty, raw: &mut VmValRaw| {
            if !args[at].write_number(ty, raw) {
                *raw = args[at].get(store)?.to_argument(inner, ty)?;
            }
            Ok(())
        };
        // SAFETY: what is given was compared with the expected type, and the guest's results are of theirs.
        unsafe {
            func.call_with(store.get(), (args.len(), results.len()), arg, |inner, types, raw| {
                // Before the first is given, since those given are not taken back.
                types.iter().try_for_each(|&ty| wasm_val_t::check_holds(ty))?;
                for ((result, raw), &ty) in results.iter_mut().zip(raw).zip(types) {
                    // What is in the vector counts as not filled in: it isn't dropped.
                    ptr::write(result, wasm_val_t::from_raw(store, inner, raw, ty)?);
                }
                Ok(())
            })
        }
    });
    called.err().map(give_trap)
}
