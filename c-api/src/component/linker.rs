//! `wasmtime/component/linker.h`: finding the imports of components by name.

use crate::r#async::host_func::{Asked, wasmtime_async_continuation_t};
use crate::r#async::job::{Job, What};
use crate::r#async::wasmtime_call_future_t;
use crate::boundary::{give, give_unit, guarded, text};
use crate::component::component::wasmtime_component_t;
use crate::component::instance::wasmtime_component_instance_t;
use crate::component::types::func::wasmtime_component_func_type_t;
use crate::component::types::resource::wasmtime_component_resource_type_t;
use crate::component::val::wasmtime_component_val_t;
use crate::error::wasmtime_error_t;
use crate::foreign::{Finalizer, Foreign};
use crate::module::wasmtime_module_t;
use crate::store::wasmtime_context_t;
use crate::wasm::engine::wasm_engine_t;
use ampoule::store::task::Task;
use ampoule::{Error, Store};
use ampoule_component::types::{FuncType, ResourceType};
use ampoule_component::{HostFuture, Linker, LinkerInstanceMut, Val};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::{Context, Poll};

/// Items under names.
pub struct wasmtime_component_linker_t {
    pub(crate) linker: Linker,
}

/// An instance of a linker, by the names that lead to it: C programs add to one while they hold another, so that none can be held by
/// address.
pub struct wasmtime_component_linker_instance_t {
    linker: NonNull<wasmtime_component_linker_t>,
    path: Vec<Box<str>>,
}

impl wasmtime_component_linker_instance_t {
    /// Adds something under a name.
    ///
    /// # Safety
    /// The name is lent for the call; see [`text`].
    pub(crate) unsafe fn add<T>(
        &mut self,
        name: *const u8,
        name_len: usize,
        add: impl FnOnce(&mut LinkerInstanceMut<'_>, &str) -> Result<T, Error>,
    ) -> Result<(T, &str), Error> {
        // SAFETY: by the caller; the linker outlives its instances, and nobody else uses it meanwhile, as the header says.
        let (name, linker) = unsafe { (text(name, name_len)?, self.linker.as_mut()) };
        let mut instance = linker.linker.at(&self.path)?;
        Ok((add(&mut instance, name)?, name))
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_linker_new(engine: &wasm_engine_t) -> Box<wasmtime_component_linker_t> {
    Box::new(wasmtime_component_linker_t { linker: Linker::new(&engine.engine) })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_linker_allow_shadowing(linker: &mut wasmtime_component_linker_t, allow: bool) {
    linker.linker.allow_shadowing(allow);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_linker_root(
    linker: NonNull<wasmtime_component_linker_t>,
) -> Box<wasmtime_component_linker_instance_t> {
    Box::new(wasmtime_component_linker_instance_t { linker, path: Vec::new() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_linker_instantiate(
    linker: &wasmtime_component_linker_t,
    context: &mut wasmtime_context_t,
    component: &wasmtime_component_t,
    instance_out: &mut MaybeUninit<wasmtime_component_instance_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(guarded(|| linker.linker.instantiate(context, &component.component)), instance_out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_linker_instantiate_async(
    linker: &wasmtime_component_linker_t,
    context: &mut wasmtime_context_t,
    component: &wasmtime_component_t,
    instance_out: *mut wasmtime_component_instance_t,
    error_ret: *mut *mut wasmtime_error_t,
) -> Box<wasmtime_call_future_t> {
    // Imports are found now, so that neither the linker nor the component is needed later.
    let pre = linker.linker.instantiate_pre(&component.component);
    let what = What::InstantiateComponent { pre, instance: instance_out };
    // SAFETY: the caller keeps the store to one thread at a time.
    unsafe { Task::new(context, |slot| Job::write(slot, what, ptr::null_mut(), error_ret)) }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_linker_define_unknown_imports_as_traps(
    linker: &mut wasmtime_component_linker_t,
    component: &wasmtime_component_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(linker.linker.define_unknown_imports_as_traps(&component.component))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_linker_delete(_linker: Option<Box<wasmtime_component_linker_t>>) {}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_linker_instance_add_instance(
    linker_instance: &mut wasmtime_component_linker_instance_t,
    name: *const u8,
    name_len: usize,
    linker_instance_out: &mut MaybeUninit<Box<wasmtime_component_linker_instance_t>>,
) -> Option<Box<wasmtime_error_t>> {
    let (linker, path) = (linker_instance.linker, linker_instance.path.clone());
    // SAFETY: the name is lent for this call.
    let added = unsafe { linker_instance.add(name, name_len, |instance, name| instance.instance(name).map(drop)) };
    let inner = added.map(|((), name)| {
        let path = path.into_iter().chain([name.into()]).collect();
        Box::new(wasmtime_component_linker_instance_t { linker, path })
    });
    give(inner, linker_instance_out)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_linker_instance_add_module(
    linker_instance: &mut wasmtime_component_linker_instance_t,
    name: *const u8,
    name_len: usize,
    module: &wasmtime_module_t,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the name is lent for this call.
    let added = unsafe { linker_instance.add(name, name_len, |instance, name| instance.module(name, &module.module)) };
    give_unit(added.map(drop))
}

/// `wasmtime_component_func_callback_t`.
pub type wasmtime_component_func_callback_t = extern "C" fn(
    data: *mut c_void,
    context: &mut wasmtime_context_t,
    ty: &wasmtime_component_func_type_t,
    args: *mut wasmtime_component_val_t,
    nargs: usize,
    results: *mut wasmtime_component_val_t,
    nresults: usize,
) -> Option<Box<wasmtime_error_t>>;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_linker_instance_add_func(
    linker_instance: &mut wasmtime_component_linker_instance_t,
    name: *const u8,
    name_len: usize,
    callback: wasmtime_component_func_callback_t,
    data: *mut c_void,
    finalizer: Finalizer,
) -> Option<Box<wasmtime_error_t>> {
    let owner = Foreign::new(data, finalizer);
    let add = |instance: &mut LinkerInstanceMut<'_>, name: &str| {
        instance.func(name, move |store, ty, args, results| {
            let (args_at, results_at) = (args.as_mut_ptr(), results.as_mut_ptr());
            let context = wasmtime_context_t::of(store);
            taken(callback(owner.data(), context, ty, args_at, args.len(), results_at, results.len()))
        })
    };
    // SAFETY: the name is lent for this call.
    give_unit(unsafe { linker_instance.add(name, name_len, add) }.map(drop))
}

/// `wasmtime_component_func_async_callback_t`.
pub type wasmtime_component_func_async_callback_t = unsafe extern "C" fn(
    data: *mut c_void,
    context: &mut wasmtime_context_t,
    ty: &wasmtime_component_func_type_t,
    args: *mut wasmtime_component_val_t,
    nargs: usize,
    results: *mut wasmtime_component_val_t,
    nresults: usize,
    error_ret: &mut Option<Box<wasmtime_error_t>>,
    continuation_ret: &mut wasmtime_async_continuation_t,
);

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_linker_instance_add_func_async(
    linker_instance: &mut wasmtime_component_linker_instance_t,
    name: *const u8,
    name_len: usize,
    callback: wasmtime_component_func_async_callback_t,
    data: *mut c_void,
    finalizer: Finalizer,
) -> Option<Box<wasmtime_error_t>> {
    let owner = Arc::new(Foreign::new(data, finalizer));
    let add = |instance: &mut LinkerInstanceMut<'_>, name: &str| {
        let of_later = owner.clone();
        let now = move |store: &mut Store, ty: &FuncType, args: &mut [Val], results: &mut [Val]| {
            // Its continuation is asked, and tells nobody.
            store.check_polled()?;
            let (args_at, results_at) = (args.as_mut_ptr(), results.as_mut_ptr());
            let (mut error, mut next) = (None, wasmtime_async_continuation_t::none());
            let context = wasmtime_context_t::of(store);
            // SAFETY: the arrays are as long as told; they stay where they are, on this stack, until the call is over.
            unsafe {
                callback(
                    owner.data(),
                    context,
                    ty,
                    args_at,
                    args.len(),
                    results_at,
                    results.len(),
                    &mut error,
                    &mut next,
                );
            }
            next.wait(store, |store| {
                store.arm_host_waker()?;
                store.suspend_for_host()
            })?;
            taken(error)
        };
        let later = move |store: &mut Store, ty: Arc<FuncType>, args: Vec<Val>| -> HostFuture {
            let mut call = AskedCall::new(args, ty.result().is_some());
            let begun = store.check_polled().map(|()| {
                let (args, results) = (call.args.as_mut_ptr(), call.results.as_mut_ptr());
                let (nargs, nresults) = (call.args.len(), call.results.len());
                let mut next = wasmtime_async_continuation_t::none();
                let context = wasmtime_context_t::of(store);
                // SAFETY: the arrays are as long as told, and stay where they are until the call is over or was given up, as that of the
                // error does.
                unsafe {
                    callback(
                        of_later.data(),
                        context,
                        &ty,
                        args,
                        nargs,
                        results,
                        nresults,
                        &mut call.error[0],
                        &mut next,
                    );
                }
                next.asked()
            });
            call.next = begun.map(Some);
            Box::pin(call)
        };
        instance.func_asked(name, now, later)
    };
    // SAFETY: the name is lent for this call.
    give_unit(unsafe { linker_instance.add(name, name_len, add) }.map(drop))
}

/// A call of a function that may finish later, whose caller goes on meanwhile.
struct AskedCall {
    /// First, so that its finalizer runs while all that was lent is there.
    next: Result<Option<Asked>, Error>,
    args: Vec<Val>,
    results: Vec<Val>,
    /// One place, which stays where it is when this is moved.
    error: Vec<Option<Box<wasmtime_error_t>>>,
}

impl AskedCall {
    fn new(args: Vec<Val>, has_result: bool) -> Self {
        let results = (0..usize::from(has_result)).map(|_| Val::default()).collect();
        AskedCall { next: Ok(None), args, results, error: vec![None] }
    }
}

impl Future for AskedCall {
    type Output = Result<Option<Val>, Error>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match std::mem::replace(&mut self.next, Ok(None)) {
            Err(error) => return Poll::Ready(Err(error)),
            Ok(Some(next)) if !next.is_done() => {
                self.next = Ok(Some(next));
                return Poll::Pending;
            }
            // Its finalizer runs.
            Ok(done) => drop(done),
        }
        let error = self.error[0].take();
        Poll::Ready(taken(error).map(|()| self.results.pop()))
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_linker_add_wasip2(
    linker: &mut wasmtime_component_linker_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(ampoule_wasi::p2::add_to_linker(&mut linker.linker))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_linker_add_wasip2_async(
    linker: &mut wasmtime_component_linker_t,
) -> Option<Box<wasmtime_error_t>> {
    wasmtime_component_linker_add_wasip2(linker)
}

#[cfg(feature = "http")]
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_linker_add_wasi_http(
    linker: &mut wasmtime_component_linker_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(ampoule_wasi::p2::add_http_to_linker(&mut linker.linker))
}

#[cfg(feature = "http")]
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_linker_add_wasi_http_async(
    linker: &mut wasmtime_component_linker_t,
) -> Option<Box<wasmtime_error_t>> {
    wasmtime_component_linker_add_wasi_http(linker)
}

/// `wasmtime_component_resource_destructor_t`.
pub type wasmtime_component_resource_destructor_t =
    extern "C" fn(data: *mut c_void, context: &mut wasmtime_context_t, rep: u32) -> Option<Box<wasmtime_error_t>>;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_linker_instance_add_resource(
    linker_instance: &mut wasmtime_component_linker_instance_t,
    name: *const u8,
    name_len: usize,
    resource: &wasmtime_component_resource_type_t,
    destructor: wasmtime_component_resource_destructor_t,
    data: *mut c_void,
    finalizer: Finalizer,
) -> Option<Box<wasmtime_error_t>> {
    let owner = Foreign::new(data, finalizer);
    let ResourceType::Host(ty) = *resource else {
        return give_unit(Err(Error::message(
            "a linker defines resource types of the host, and this is a component's",
        )));
    };
    let add = |instance: &mut LinkerInstanceMut<'_>, name: &str| {
        instance
            .resource(name, ty, move |store, rep| taken(destructor(owner.data(), wasmtime_context_t::of(store), rep)))
    };
    // SAFETY: the name is lent for this call.
    give_unit(unsafe { linker_instance.add(name, name_len, add) }.map(drop))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_linker_instance_delete(
    _linker_instance: Option<Box<wasmtime_component_linker_instance_t>>,
) {
}

/// What a callback has answered.
fn taken(error: Option<Box<wasmtime_error_t>>) -> Result<(), Error> {
    error.map_or(Ok(()), |error| Err(error.0))
}
