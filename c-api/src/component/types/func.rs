//! `wasmtime/component/types/func.h`: the types of functions.

use super::give_name;
use super::val::{give_type, wasmtime_component_valtype_t};
use ampoule_component::types::FuncType;
use std::mem::MaybeUninit;

/// `wasmtime_component_func_type_t`.
pub type wasmtime_component_func_type_t = FuncType;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_func_type_clone(
    ty: &wasmtime_component_func_type_t,
) -> Box<wasmtime_component_func_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_func_type_delete(_ty: Option<Box<wasmtime_component_func_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_func_type_async(ty: &wasmtime_component_func_type_t) -> bool {
    ty.is_async()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_func_type_param_count(ty: &wasmtime_component_func_type_t) -> usize {
    ty.params().len()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_func_type_param_nth(
    ty: &wasmtime_component_func_type_t,
    nth: usize,
    name_ret: &mut MaybeUninit<*const u8>,
    name_len_ret: &mut MaybeUninit<usize>,
    type_ret: &mut MaybeUninit<wasmtime_component_valtype_t>,
) -> bool {
    let Some((name, ty)) = ty.params().get(nth) else { return false };
    give_name(name, (name_ret, name_len_ret));
    give_type(Some(ty), type_ret)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_func_type_result(
    ty: &wasmtime_component_func_type_t,
    type_ret: &mut MaybeUninit<wasmtime_component_valtype_t>,
) -> bool {
    give_type(ty.result(), type_ret)
}
