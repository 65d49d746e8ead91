//! Code that is made when it is first needed.

use super::compile_failed;
use crate::module::code_table::ModuleCode;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::vm::VmContext;

/// What a stub's call comes to: compiles the function and answers where to jump. On failure the error is noted in the store,
/// and the answer is not used.
///
/// # Safety
/// To be called by the trampoline of `Builtin::CompileFunction` only: the running instance is `vmctx`, and `code` is its module's.
pub(crate) unsafe extern "C" fn compile_function(vmctx: *mut VmContext, code: *const ModuleCode, func: u32) -> usize {
    // SAFETY: the running instance keeps its module's code alive.
    match unsafe { &*code }.compile(DefinedFuncIndex(func)) {
        Ok(address) => address,
        Err(error) => {
            // SAFETY: the caller's.
            unsafe { compile_failed(vmctx, error.to_string()) };
            0
        }
    }
}
