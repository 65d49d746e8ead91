//! Compiling functions at their first call.

use super::interrupt::look;
use super::running;
use crate::error::{Error, ErrorKind};
use crate::module::Module;
use crate::module::code_table::{By, ModuleCode};
use crate::store::Store;
use crate::store::records::instance::InstanceData;
use ampoule_core::index::{DefinedFuncIndex, FuncIndex};
use ampoule_core::tunables::Tiers;
use ampoule_core::vm::VmContext;
use ampoule_machine::code::CodeError;
use ampoule_machine::os::sleeper::Sleeper;

/// Length of a body from which on compiling may take longer than a call should go on after its time is over, by each compiler. Shorter ones are not
/// worth a thread.
const LONG_BODY: u64 = 2 << 10;
const LONG_BODY_AT_ONCE: u64 = 32 << 10;

/// What a stub's call comes to: compiles the function, if it has no code, and answers where to jump. On failure the error is noted in the store,
/// and the answer is not used.
///
/// # Safety
/// See the module above. `code` is the code of the running instance's module.
pub(crate) unsafe extern "C" fn compile_function(vmctx: *mut VmContext, code: *const ModuleCode, func: u32) -> usize {
    // SAFETY: as above; the running instance keeps its module alive.
    let (store, instance) = unsafe {
        let (store, instance) = running(vmctx);
        (store, &*instance)
    };
    let module = instance.module();
    debug_assert!(std::ptr::eq(code, &**module.code()));
    make_room(store);
    loop {
        match compile(store, module, DefinedFuncIndex(func)) {
            Ok(Some(address)) => {
                // SAFETY: who called last is none, or an instance of this store, whose record's address is stable (invariant 3 of `InstanceData`).
                let caller = unsafe { store.vm.caller.as_ref().map(|caller| &*caller.instance.cast::<InstanceData>()) };
                instance.lead_reference(DefinedFuncIndex(func), caller);
                return address;
            }
            Ok(None) => {
                let looked = look(store);
                if store.or_unwind(looked).is_none() {
                    return 0;
                }
            }
            Err(error) => {
                store.unwind_with(match error {
                    CodeError::Limit(_) => error.into(),
                    error => Error::new(ErrorKind::Compile(error.to_string())),
                });
                return 0;
            }
        }
    }
}

/// What code whose counter is below zero asks: see `Builtin::BecomeHot`.
///
/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn become_hot(vmctx: *mut VmContext, number: u32, func: u32) -> usize {
    // SAFETY: as above; the running instance keeps its module alive.
    let (store, module) = unsafe {
        let (store, instance) = running(vmctx);
        (store, (*instance).module())
    };
    store.look_for_replaced_code();
    let number = (number != u32::MAX).then_some(number);
    let Some(code) = module.code().become_hot(DefinedFuncIndex(func), number) else { return 0 };
    // SAFETY: at the frame pointer of the exit is that of the code which asks; it waits at the head of the loop from which the other code goes on,
    // and has brought everything to where that looks for it.
    let is_replaced = unsafe { store.replace_frame((store.vm.exit_fp as *const usize).read(), code.replaces) };
    if is_replaced { code.address } else { 0 }
}

/// Compiles a function of one of the store's instances that is about to be called, so that references made from now on lead to its code and not
/// to its stub.
pub(super) fn compile_ahead(store: &mut Store, instance: u32, func: FuncIndex) {
    make_room(store);
    let module = store.instances.instance(instance as usize).expect("it has a table").module();
    if let Some(own) = module.description().defined_func(func) {
        // Where it can't be compiled, or the guest is to be stopped, the stub says so when it is called.
        let _ = compile(store, module, own);
    }
}

/// Takes code out of use where there is too much, and looks what can be given back. Not between a compilation and its answer, which may be the address
/// of code that could be given back.
fn make_room(store: &mut Store) {
    store.engine.code_memory().make_room();
    store.look_for_replaced_code();
}

/// Where the function's code is; `None` where the store's guest has to look before it can be waited for any longer.
fn compile(store: &Store, module: &Module, func: DefinedFuncIndex) -> Result<Option<usize>, CodeError> {
    let interrupts = store.interrupts();
    if !interrupts.are_possible() {
        return module.code().compile(func).map(Some);
    }
    let body = &module.description().bodies[func.index()];
    let len = body.end - body.start;
    let by = match module.engine().config().tunables.tiers {
        Tiers::Optimizing if len < LONG_BODY => By::ThisThread,
        Tiers::Auto | Tiers::Baseline if len < LONG_BODY_AT_ONCE => By::ThisThreadAtOnce,
        _ => By::Another,
    };
    let mut sleep = |sleeper: &Sleeper, timeout| interrupts.sleep_on(sleeper, || sleeper.sleep(timeout)).is_some();
    module.code().compile_or_leave(func, by, &mut sleep)
}

#[cfg(test)]
mod tests {
    use crate::{Config, Engine, Extern, Func, Instance, Module, Store};
    use ampoule_core::index::FuncIndex;
    use ampoule_core::tunables::Tiers;

    /// What an instance's only import calls.
    fn imported(store: &Store, instance: &Instance) -> *const u8 {
        let record = store.instances.instance(instance.position(store).unwrap() as usize).expect("it is of this store");
        // SAFETY: instantiation filled it in, and no guest runs.
        unsafe { (*record.imported_function(FuncIndex(0))).code }
    }

    #[test]
    fn imports_lead_to_what_was_optimized_once_it_is_called() {
        let mut config = Config::new();
        config.tiers(Tiers::Auto);
        (config.tier_up.after, config.tier_up.threads) = (10, 0);
        let engine = Engine::new(&config).unwrap();
        let callee = br#"(module (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3))))"#;
        let caller = br#"(module
          (import "" "f" (func $f (param i32) (result i32)))
          (func (export "run") (param $n i32) (result i32) (local $sum i32)
            (loop $again
              (local.set $sum (i32.add (local.get $sum) (call $f (local.get $n))))
              (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $sum)))"#;
        let mut store = Store::new(&engine);
        let callee = Module::new(&engine, callee).unwrap();
        let callee = Instance::new(&mut store, &callee, &[]).unwrap();
        let f: Func = callee.get_func(&store, "f").unwrap();
        let caller = Module::new(&engine, caller).unwrap();
        let callers = [(); 2].map(|()| Instance::new(&mut store, &caller, &[Extern::Func(f)]).unwrap());
        let stub = imported(&store, &callers[0]);
        let mut results = Vec::new();
        // The first iterations call the first code, and few know already where the other one is.
        for times in [1, 1, 1, 20, 1, 1] {
            for caller in &callers {
                let run = caller.get_typed_func::<i32, i32>(&store, "run").unwrap();
                results.push(run.call(&mut store, times).unwrap());
            }
        }
        assert_eq!(results, [3, 3, 3, 3, 3, 3, 630, 630, 3, 3, 3, 3]);
        // SAFETY: the store is alive, and no guest runs.
        let reference = unsafe { (*f.to_raw(&store).unwrap()).code };
        assert_ne!(reference, stub);
        assert_eq!(imported(&store, &callers[0]), reference);
    }
}
