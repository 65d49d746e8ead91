//! `ampoule/instance.h`: deleting an instance before its store goes.

use crate::boundary::give_unit;
use crate::error::wasmtime_error_t;
use crate::instance::wasmtime_instance_t;
use crate::store::wasmtime_context_t;

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_instance_delete(
    context: &mut wasmtime_context_t,
    instance: &wasmtime_instance_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(instance.delete(context))
}
