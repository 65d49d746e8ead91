//! `wasmtime/component/func.h`: calling components.

use crate::boundary::{expect, give_unit, guarded};
use crate::component::val::wasmtime_component_val_t;
use crate::error::wasmtime_error_t;
use crate::store::wasmtime_context_t;
use ampoule_component::Func;
use ampoule_component::types::FuncType;
use std::slice;

/// `wasmtime_component_func_t`, whose layout leaves place for more than a function needs.
#[repr(C)]
pub struct wasmtime_component_func_t {
    func: Func,
    unused: u32,
}

const _: () = assert!(size_of::<wasmtime_component_func_t>() == 24);

impl From<Func> for wasmtime_component_func_t {
    fn from(func: Func) -> Self {
        Self { func, unused: 0 }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_func_type(
    func: &wasmtime_component_func_t,
    context: &mut wasmtime_context_t,
) -> Box<FuncType> {
    let ty = expect("wasmtime_component_func_type", func.func.ty(context));
    Box::new(FuncType::clone(&ty))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_component_func_call(
    func: &wasmtime_component_func_t,
    context: &mut wasmtime_context_t,
    args: *const wasmtime_component_val_t,
    args_size: usize,
    results: *mut wasmtime_component_val_t,
    results_size: usize,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes as many values as it says, valid ones.
    let (args, results) = unsafe {
        let args = if args_size == 0 { &[] } else { slice::from_raw_parts(args, args_size) };
        let results = if results_size == 0 { &mut [] } else { slice::from_raw_parts_mut(results, results_size) };
        (args, results)
    };
    give_unit(guarded(|| func.func.call(context, args, results)))
}

/// The call has cleaned up.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_func_post_return(
    _func: &wasmtime_component_func_t,
    _context: &mut wasmtime_context_t,
) -> Option<Box<wasmtime_error_t>> {
    None
}
