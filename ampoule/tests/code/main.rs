//! The code of a module by itself: compiled at the first call, or written to a file and loaded. Guest code is written by hand, and
//! calls builtins that only note how they were called.

#[path = "../../../machine/tests/machine/builtins.rs"]
mod builtins;
#[allow(dead_code, reason = "the tests of the machine use the rest")]
#[path = "../../../machine/tests/machine/guest.rs"]
mod guest;

mod artifact;
mod lazy;

use ampoule::engine::code_memory::CodeMemory;
use ampoule::module::code_table::ModuleCode;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::vm::VmContext;
use std::sync::Arc;

/// Where the code of a test is counted.
fn memory() -> Arc<CodeMemory> {
    CodeMemory::new(usize::MAX)
}

fn install() {
    builtins::install(compile_function as *const ());
}

unsafe extern "C" fn compile_function(vmctx: *mut VmContext, code: *const ModuleCode, func: u32) -> usize {
    // SAFETY: the running guest's module is alive.
    match unsafe { &*code }.compile(DefinedFuncIndex(func)) {
        Ok(address) => address,
        Err(error) => {
            builtins::compile_failed(vmctx, error.to_string());
            0
        }
    }
}
