//! Stopping the guest.

use crate::error::backtrace::Backtrace;
use crate::error::{Error, MemoryFault};
use crate::func::host::{self, result_mismatch};
use crate::instance::segments::definition;
use crate::module::Module;
use crate::module::code_table::{Found, ModuleCode, damaged};
use crate::store::Store;
use ampoule_core::trap::TrapCode;
use ampoule_core::tunables::Tunables;
use ampoule_core::vm::{VmContext, VmHostFunc, VmStoreContext, VmVal};
use ampoule_machine::arch::entry::{GuestFrame, GuestFrames};
use ampoule_machine::code::registry;
use std::ffi::c_void;
use std::sync::atomic::Ordering;

/// # Safety
/// See the module above. `code` is a trap code.
pub(crate) unsafe fn trap(store: *mut VmStoreContext, code: u32, pc: usize, fp: usize) {
    // SAFETY: the guest at this frame has called us and waits.
    unsafe {
        let code = u8::try_from(code).ok().and_then(TrapCode::from_u8).expect("compilers pass trap codes only");
        stop_at(store, Error::trap(code), GuestFrame { pc, fp, is_return_address: true });
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe fn stack_overflow(vmctx: *mut VmContext, pc: usize, fp: usize) {
    // SAFETY: the guest at this frame has called us and waits.
    unsafe {
        let frame = GuestFrame { pc, fp, is_return_address: true };
        stop_at((*vmctx).store, Error::trap(TrapCode::StackOverflow), frame);
    }
}

/// A hardware fault in guest code. One that no compiler announced is our own mistake, and going on could hide a hole in the
/// sandbox.
///
/// # Safety
/// See the module above. The guest at this frame was stopped by the signal and will not go on.
pub(crate) unsafe fn fault(store: *mut VmStoreContext, pc: usize, fp: usize, address: usize, signal: i32) {
    // SAFETY: as above.
    unsafe {
        let frame = GuestFrame { pc, fp, is_return_address: false };
        let found = registry::lookup::<ModuleCode>(pc).and_then(|code| code.find(pc));
        if let Some(Found { info: None, .. }) = found {
            // An artifact that was damaged since it was loaded: what was announced can't be told. The guest is over in any case.
            return stop_at(store, Error::from(damaged()), frame);
        }
        let info = found.as_ref().and_then(|found| Some((found.info.as_ref()?, found.offset)));
        let code = info.and_then(|(info, offset)| info.trap_at(offset));
        let Some(code) = code else {
            eprintln!(
                "ampoule: signal {signal} at an unexpected place in guest code: pc {pc:#x}, address {address:#x}"
            );
            std::process::abort();
        };
        (*store).fuel += info.map_or(0, |(info, offset)| i64::from(info.owed_at(offset)));
        let memory = if code == TrapCode::MemoryOutOfBounds { faulting_memory(store, pc, address) } else { None };
        let error = memory.map_or_else(|| Error::trap(code), Error::from);
        stop_at(store, error, frame);
    }
}

/// The memory that guest code at `pc` missed when it accessed `address`.
///
/// # Safety
/// The store is live, and its guest is stopped.
unsafe fn faulting_memory(store: *mut VmStoreContext, pc: usize, address: usize) -> Option<MemoryFault> {
    // SAFETY: by the caller.
    let store = unsafe { Store::from_vm(store) };
    let module = Module::at(pc)?;
    // Up to here code relies on faults: see `MemoryPlan::index_check`.
    let Tunables { memory_reservation, memory_guard_size, .. } = store.engine.config().tunables;
    let reach = |byte_len: usize| byte_len.max(memory_reservation as usize).saturating_add(memory_guard_size as usize);
    let mut nearest: Option<(usize, MemoryFault)> = None;
    for instance in store.instances.iter().filter(|instance| instance.module().same(&module)) {
        for memory in 0..instance.memories.len() as u32 {
            // SAFETY: an instance whose code runs is linked; a definition lives as long as its store.
            let definition = unsafe { &*definition(instance, memory) };
            let (base, byte_len) = (definition.base.addr(), definition.byte_len.load(Ordering::Relaxed));
            let reached = address.checked_sub(base).filter(|offset| (byte_len..reach(byte_len)).contains(offset));
            let Some(offset) = reached else { continue };
            if nearest.is_none_or(|(other, _)| other < base) {
                let (address, byte_len) = (offset as u64, byte_len as u64);
                nearest = Some((base, MemoryFault { memory, address, byte_len, by_hardware: true }));
            }
        }
    }
    nearest.map(|(_, fault)| fault)
}

/// # Safety
/// See the module above. `error` is what a host function answered.
pub(crate) unsafe extern "C" fn host_error(store: *mut VmStoreContext, error: *mut c_void) {
    // SAFETY: by the contract of callbacks (`VmHostFunc`), which hands the error over.
    unsafe { Store::from_vm(store).throw_or_stop(*Box::from_raw(error.cast::<Error>())) }
}

/// # Safety
/// See the module above. `host` is the function that was called, and `results` are those that it has left.
pub(crate) unsafe extern "C" fn host_result_mismatch(
    store: *mut VmStoreContext,
    host: *mut VmHostFunc,
    results: *mut VmVal,
) {
    // SAFETY: as above.
    unsafe {
        let store = Store::from_vm(store);
        let error = result_mismatch(store, host, results);
        store.unwind_with(error);
    }
}

/// Where the exit thunk of a host function is that had none when it was made.
///
/// # Safety
/// See the module above. `host` is the function that is being called.
pub(crate) unsafe extern "C" fn resolve_exit_thunk(host: *mut VmHostFunc) -> *const u8 {
    // SAFETY: guest code passes a function of its store, which waits for us.
    unsafe {
        let store = (*host).store;
        host::resolve(host).unwrap_or_else(|error| {
            Store::from_vm(store).unwind_with(error);
            std::ptr::null()
        })
    }
}

/// A host function or builtin has returned to a guest that was given up meanwhile, and is unwound instead of going on. What the
/// host function did with the error that told it so doesn't matter.
///
/// # Safety
/// See the module above.
pub(crate) unsafe fn given_up(store: *mut VmStoreContext) {
    // SAFETY: as above.
    unsafe { Store::from_vm(store).pending = Some(crate::store::fibers::given_up()) }
}

/// # Safety
/// The guest at this frame waits or will not go on.
unsafe fn stop_at(store: *mut VmStoreContext, error: Error, frame: GuestFrame) {
    // SAFETY: by the caller.
    unsafe {
        let store = Store::from_vm(store);
        error.set_backtrace(Backtrace::from_frames(GuestFrames::from(frame)));
        store.pending = Some(error);
        store.vm.unwinding = VmStoreContext::STOPPING;
    }
}
