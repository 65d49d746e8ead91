//! Adapters: functions that call a function of the same type without coming to the host, as long as certain words of the host allow it.

use crate::func::Func;
use crate::module::Module;
use crate::store::Store;
use ampoule_core::types::{FuncType, ValType};
use ampoule_core::vm::{VmAdapter, VmFuncRef};
use ampoule_machine::arch::adapter;
use ampoule_machine::arch::native::{FLOAT_REGISTERS, INT_REGISTERS};
use std::ptr::NonNull;

/// What an adapter looks at before each call. Only the slow path is taken where something is not as it is to be.
#[derive(Clone, Copy, Debug)]
pub struct Guards {
    /// Is to be `true`.
    pub may_leave: *const bool,
    /// Is to be `false`.
    pub poisoned: *const bool,
    /// Is to be zero, and is one during the call. `None` where the callee can't call anybody.
    pub entered: Option<*mut u32>,
}

/// An adapter of a store.
///
/// 1. The record stays where it is in its store, which no guest is in while the host changes it.
#[derive(Clone, Copy, Debug)]
pub struct Adapter {
    vm: NonNull<VmAdapter>,
    callee: NonNull<VmFuncRef>,
    may_leave: *const bool,
}

// SAFETY: the pointers are only followed with the store at hand, as those of functions are.
unsafe impl Send for Adapter {}
// SAFETY: as above.
unsafe impl Sync for Adapter {}

/// For adapters that aren't to call yet.
static NEVER: bool = false;

impl Func {
    /// A function that calls `callee`, and goes on in `slow_path` instead where the guards say so. Also until the callee is compiled:
    /// [`Adapter::settle`] looks whether it is. `None` where no adapter serves the type.
    ///
    /// # Safety
    /// Both functions are of this store, and of the same type. The pointers of the guards are good as long as the store lives, and what they
    /// point to is written by nobody while a guest runs.
    pub unsafe fn adapter(store: &mut Store, slow_path: Func, callee: Func, guards: Guards) -> Option<(Func, Adapter)> {
        let signature = slow_path.signature(store).ok()?;
        debug_assert!(callee.signature(store).is_ok_and(|callee| std::ptr::eq(callee, signature)));
        let code = match guards.entered {
            None => adapter::jump as *const u8,
            Some(_) if is_in_registers(signature.func()) => adapter::call as *const u8,
            Some(_) => return None,
        };
        // SAFETY: references of this store's functions are good.
        let (signature, callee_ref) = unsafe { (slow_path.func_ref.as_ref().signature, *callee.func_ref.as_ptr()) };
        let vm = store.instances.rare.get_or_insert_default().adapters.push(VmAdapter {
            func_ref: VmFuncRef { code, vmctx: std::ptr::null_mut(), signature },
            slow_path: slow_path.func_ref.as_ptr(),
            may_leave: &raw const NEVER,
            poisoned: guards.poisoned,
            entered: guards.entered.unwrap_or(std::ptr::null_mut()),
            code: callee_ref.code,
            vmctx: callee_ref.vmctx,
        });
        let pointer = NonNull::from(&mut *vm);
        vm.func_ref.vmctx = pointer.as_ptr().cast();
        let adapter = Adapter { vm: pointer, callee: callee.func_ref, may_leave: guards.may_leave };
        adapter.settle();
        Some((Func { store_id: store.vm.id, func_ref: pointer.cast() }, adapter))
    }
}

impl Adapter {
    /// Lets the adapter call, if the callee is compiled by now. The host calls this, with the adapter's store at hand.
    pub fn settle(&self) {
        // SAFETY: both live as long as the store; by (1) nobody else looks at the record now.
        unsafe {
            let stub = (*self.callee.as_ptr()).code;
            let compiled = match Module::at(stub.addr()) {
                Some(module) => match module.code().func_of_stub(stub.addr()) {
                    Some(func) => module.code().is_compiled(func).then(|| module.code().entry(func)),
                    None => Some(stub),
                },
                // A function of the host, or another adapter.
                None => Some(stub),
            };
            if let Some(code) = compiled {
                (*self.vm.as_ptr()).code = code;
                (*self.vm.as_ptr()).may_leave = self.may_leave;
            }
        }
    }
}

/// Whether all parameters are passed in registers, and there is no more than one result.
fn is_in_registers(ty: &FuncType) -> bool {
    let floats = ty.params().iter().filter(|ty| matches!(ty, ValType::F32 | ValType::F64 | ValType::V128)).count();
    floats <= FLOAT_REGISTERS && ty.params().len() - floats < INT_REGISTERS && ty.results().len() <= 1
}
