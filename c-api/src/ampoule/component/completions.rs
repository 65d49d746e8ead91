//! Host functions that answer later, from whatever thread.

use crate::boundary::give_unit;
use crate::component::linker::wasmtime_component_linker_instance_t;
use crate::component::types::func::wasmtime_component_func_type_t;
use crate::component::val::wasmtime_component_val_t;
use crate::error::wasmtime_error_t;
use crate::foreign::{Finalizer, Foreign};
use crate::store::wasmtime_context_t;
use ampoule_component::{Completion, LinkerInstanceMut};
use std::ffi::c_void;
use std::mem;

/// The answer of one call, which is yet to come.
pub struct ampoule_component_completion_t(Completion);

/// `ampoule_component_async_callback_t`.
pub type ampoule_component_async_callback_t = extern "C" fn(
    env: *mut c_void,
    context: &mut wasmtime_context_t,
    ty: &wasmtime_component_func_type_t,
    args: *mut wasmtime_component_val_t,
    nargs: usize,
    completion: Box<ampoule_component_completion_t>,
);

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_component_linker_instance_add_func(
    linker_instance: &mut wasmtime_component_linker_instance_t,
    name: *const u8,
    name_len: usize,
    callback: ampoule_component_async_callback_t,
    env: *mut c_void,
    finalizer: Finalizer,
) -> Option<Box<wasmtime_error_t>> {
    let owner = Foreign::new(env, finalizer);
    let add = |instance: &mut LinkerInstanceMut<'_>, name: &str| {
        instance.func_completed(name, move |store, ty, args, completion| {
            let completion = Box::new(ampoule_component_completion_t(completion));
            callback(owner.data(), wasmtime_context_t::of(store), ty, args.as_mut_ptr(), args.len(), completion);
        })
    };
    // SAFETY: the name is lent for this call.
    give_unit(unsafe { linker_instance.add(name, name_len, add) }.map(drop))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_complete(
    completion: &ampoule_component_completion_t,
    result: Option<&mut wasmtime_component_val_t>,
) -> bool {
    completion.0.complete(Ok(result.map(mem::take)))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_fail(
    completion: &ampoule_component_completion_t,
    error: Box<wasmtime_error_t>,
) -> bool {
    completion.0.complete(Err(error.0))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_completion_is_cancelled(completion: &ampoule_component_completion_t) -> bool {
    completion.0.is_cancelled()
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_completion_on_cancel(
    completion: &ampoule_component_completion_t,
    callback: extern "C" fn(env: *mut c_void),
    env: *mut c_void,
    finalizer: Finalizer,
) {
    let owner = Foreign::new(env, finalizer);
    completion.0.on_cancel(move || callback(owner.data()));
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_completion_delete(_completion: Option<Box<ampoule_component_completion_t>>) {}
