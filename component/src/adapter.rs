//! Calls from one component to another that needn't come to the host: which they are.
//!
//! Where all values of a function pass unchanged, the canonical ABI leaves nothing to do but to compare: may the caller leave, may the
//! callee be entered. An adapter of the engine does that. [`crate::func`] has the whole of such calls, and is where an adapter goes when
//! anything is not as usual; so it alone knows the rules and the errors.

use crate::records::{Callee, FuncData, Lowered};
use crate::state::ComponentState;
use crate::types::{FuncType, ValType};
use ampoule::Store;
use ampoule::func::adapter::Guards;

/// The core function for a lowered one: `slow_path`, which does what [`Lowered`] says, or an adapter that does without it most of the time.
///
/// # Safety
/// `slow_path` is of this store, calls what is the last in its list of lowered functions, and has the core type of that.
pub(crate) unsafe fn adapt(store: &mut Store, slow_path: ampoule::Func) -> ampoule::Func {
    let state = ComponentState::of(store);
    let lowered: *mut Lowered = state.lowered.last_mut().expect("just added");
    // SAFETY: lowered functions stay where they are, and nobody else looks at this one yet.
    let lowered = unsafe { &mut *lowered };
    let Callee::Component(callee) = lowered.callee else { return slow_path };
    let FuncData::Lifted { core, ty, options } = &state.funcs[callee as usize] else { return slow_path };
    // What may wait has to be known as a task while it runs.
    let is_concurrent = state.instances[options.instance as usize].definition.is_concurrent;
    // What one component throws, another must not catch: then the host has to stand between them.
    let may_throw = state.instances[options.instance as usize].may_throw;
    if may_throw
        || is_concurrent
        || lowered.is_kin
        || options.post_return.is_some()
        || !passes_unchanged(&lowered.ty)
        || !passes_unchanged(ty)
    {
        return slow_path;
    }
    let (core, callee) = (*core, options.instance);
    let may_leave = &raw const state.instance(lowered.options.instance).may_leave;
    let poisoned = &raw const state.poisoned;
    let callee = state.instance(callee);
    let entered = (!callee.definition.is_closed).then_some(&raw mut callee.entered);
    // SAFETY: the validator has compared both core types with the component types, which are the same; the functions are of this store by
    // the caller. Instances and the state stay where they are, and change only while the host runs.
    match unsafe { ampoule::Func::adapter(store, slow_path, core, Guards { may_leave, poisoned, entered }) } {
        Some((func, adapter)) => {
            lowered.adapter = Some(adapter);
            func
        }
        None => slow_path,
    }
}

/// Whether parameters and result are core values that mean the same to both sides, whatever their bits.
fn passes_unchanged(ty: &FuncType) -> bool {
    let result_is_flat = ty.result().is_none() || ty.flat_result.is_some();
    let mut types = ty.params().iter().map(|(_, ty)| ty).chain(ty.result());
    !ty.is_async() && ty.flat_params.is_some() && result_is_flat && types.all(is_unchanged)
}

fn is_unchanged(ty: &ValType) -> bool {
    match ty {
        ValType::S32 | ValType::U32 | ValType::S64 | ValType::U64 | ValType::F32 | ValType::F64 => true,
        ValType::Record(record) => record.fields().iter().all(|field| is_unchanged(&field.ty)),
        ValType::Tuple(tuple) => tuple.types().iter().all(is_unchanged),
        _ => false,
    }
}
