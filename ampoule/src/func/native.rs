//! Native entry points: guest functions as plain C functions, and plain C functions as imports.
//!
//! **Guest functions.** [`Func::native_entry`] makes a stub that C code calls by the function's C signature: `i32` is `int32_t`,
//! `i64` `int64_t`, `f32` `float`, `f64` `double`; of several results the first is returned, and the others are written
//! through pointers that follow the parameters. Where everything travels in registers and nothing has to be found out first,
//! control goes from the stub through a few instructions of assembly into the guest (`ampoule_machine::arch::native`). Otherwise the same assembly
//! saves the arguments, and [`call_saved`] makes an ordinary call of it.
//!
//! A C function can't say that it failed. A native call that fails returns zeros, and the store keeps the error:
//! [`crate::store::native::Native`].
//!
//! **Imports.** [`crate::func::host::HostFunc::native`] makes a host function of a C function of the same signature, called by a compiled exit thunk.
//!
//! Only numbers cross here: a raw reference is kept alive by nobody, and C has no type for vectors.

use crate::engine::type_registry::TypeRecord;
use crate::error::{Error, ErrorKind};
use crate::func::Func;
use crate::module::Module;
use crate::store::Store;
use ampoule_core::types::{FuncType, ValType};
use ampoule_core::vm::{VmFuncRef, VmStoreContext, VmValRaw};
use ampoule_machine::arch::native::{FLOAT_REGISTERS, INT_REGISTERS, SavedArgs, enter_native, enter_through_host};
use ampoule_machine::arch::native_stubs::MOVED_MAX;
use std::ptr;

impl Func {
    /// The function as a plain C function of its C signature, which must be that of `ty`. The pointer is good as long as the store,
    /// and the same whenever it is asked for.
    ///
    /// It is called as the store is used: by one thread at a time, which may be another each time. When a call fails it returns
    /// zeros, and [`Store::native`] has the error.
    ///
    /// # Errors
    /// Where the function is of another store or of another type, where the type has references or vectors, or where code memory
    /// has run out.
    pub fn native_entry(&self, store: &mut Store, ty: &FuncType) -> Result<*const u8, Error> {
        let func_ref = self.to_raw(store)?;
        let found = self.signature(store)?.func();
        if found != ty {
            return Err(Error::new(ErrorKind::Type(format!(
                "function type mismatch: expected `{ty}`, found `{found}`"
            ))));
        }
        check_numbers(ty)?;
        // A function that is called like this is worth a direct way: it is compiled now, and its stub left out.
        // SAFETY: the reference is of this store, which we have to ourselves; both addresses are good as long as the module.
        unsafe {
            let code = (*func_ref).code.addr();
            if let Some(module) = Module::at(code)
                && let Some(func) = module.code().func_of_stub(code)
            {
                module.code().compile(func)?;
                (*func_ref).code = module.code().referred(func);
            }
        }
        let vm: *mut VmStoreContext = &mut store.vm;
        let entry = store.native.entry(func_ref.addr(), |stubs| {
            let (moved, target) = match moved_registers(ty) {
                Some(moved) => (moved, enter_native as *const () as usize),
                None => (0, enter_through_host as *const () as usize),
            };
            Ok(stubs.add(moved, func_ref.addr(), vm.addr(), target)?)
        })?;
        Ok(entry as *const u8)
    }
}

/// Refuses what is not numbers.
pub(crate) fn check_numbers(ty: &FuncType) -> Result<(), Error> {
    let number = |ty: &&ValType| matches!(ty, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64);
    match ty.params().iter().chain(ty.results()).find(|ty| !number(ty)) {
        None => Ok(()),
        Some(other) => Err(Error::new(ErrorKind::Type(format!(
            "a native function can only have parameters and results of number types, not `{other}`"
        )))),
    }
}

/// How many integer parameters a stub moves to other registers; `None` where some parameter or result needs memory.
fn moved_registers(ty: &FuncType) -> Option<usize> {
    let ints = ty.params().iter().filter(|&&ty| is_int(ty)).count();
    let floats = ty.params().len() - ints;
    (ints <= MOVED_MAX && floats <= FLOAT_REGISTERS && ty.results().len() <= 1).then_some(ints)
}

fn is_int(ty: ValType) -> bool {
    matches!(ty, ValType::I32 | ValType::I64)
}

/// Reads the arguments of a C call one after the other.
struct Args<'a> {
    saved: &'a SavedArgs,
    /// Those that had no register.
    stack: *const u64,
    ints: usize,
    floats: usize,
}

impl Args<'_> {
    fn next(&mut self, ty: ValType) -> u64 {
        if is_int(ty) { self.next_int() } else { self.next_float() }
    }

    fn next_int(&mut self) -> u64 {
        let position = self.ints;
        self.ints += 1;
        if position < INT_REGISTERS { self.saved.ints[position] } else { self.next_on_stack() }
    }

    fn next_float(&mut self) -> u64 {
        let position = self.floats;
        self.floats += 1;
        if position < FLOAT_REGISTERS { self.saved.floats[position] } else { self.next_on_stack() }
    }

    fn next_on_stack(&mut self) -> u64 {
        // SAFETY: the C caller has put as many words there as the signature asks for.
        unsafe {
            let word = self.stack.read();
            self.stack = self.stack.add(1);
            word
        }
    }
}

/// A C call that needs more than assembly: calls the function, and leaves the first result in `saved`.
///
/// # Safety
/// To be called by the assembly of a stub, for a function of this store whose type has numbers only: `saved` has the
/// argument registers, `stack` points to the arguments behind the return address.
pub(crate) unsafe extern "C" fn call_saved(
    vm: *mut VmStoreContext,
    func_ref: *mut VmFuncRef,
    saved: *mut SavedArgs,
    stack: *const u64,
) {
    // SAFETY: the stub's store is alive, and whoever calls a native entry point has it to itself. The signature lives as long as the
    // function.
    let (store, ty) = unsafe { (Store::from_vm(vm), (*(*func_ref).signature.cast::<TypeRecord>()).func()) };
    // What a stub has moved begins at the second register.
    let ints = usize::from(moved_registers(ty).is_some());
    // SAFETY: the assembly lends both for this call, and writes to neither meanwhile.
    let mut args = Args { saved: unsafe { &*saved }, stack, ints, floats: 0 };
    let mut few = [VmValRaw { v128: [0; 16] }; 16];
    let mut many;
    let slots = ty.params().len().max(ty.results().len());
    let values = if slots <= few.len() {
        &mut few[..]
    } else {
        many = vec![VmValRaw { v128: [0; 16] }; slots];
        &mut many[..]
    };
    for (value, &ty) in values.iter_mut().zip(ty.params()) {
        *value = raw(args.next(ty));
    }
    // SAFETY: the reference is not null; arguments of its types are there, with room for the results.
    let called = unsafe {
        let func = Func::from_raw(store, func_ref).expect("a stub has a function");
        func.call_raw(store, values.as_mut_ptr())
    };
    if let Err(error) = called {
        store.native.keep(error);
        values.fill(raw(0));
    }
    for (value, &ty) in values.iter().zip(ty.results()).skip(1) {
        // SAFETY: the C caller passes a pointer to each result behind the first, or null.
        unsafe { write_result(args.next_int() as *mut u8, value, ty) };
    }
    // SAFETY: every value was made of 64 bits above, or is a number. The assembly lends `saved`, and `args` is done.
    unsafe {
        let first = values[0].i64 as u64;
        (*saved).ints[0] = first;
        (*saved).floats[0] = first;
    }
}

fn raw(word: u64) -> VmValRaw {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&word.to_le_bytes());
    VmValRaw { v128: bytes }
}

/// # Safety
/// `to` is null or points to a C object of the type; the value is one of it.
unsafe fn write_result(to: *mut u8, value: &VmValRaw, ty: ValType) {
    if to.is_null() {
        return;
    }
    let len = if matches!(ty, ValType::I32 | ValType::F32) { 4 } else { 8 };
    // SAFETY: by the caller; the source is 16 bytes.
    unsafe { ptr::copy_nonoverlapping(ptr::from_ref(value).cast::<u8>(), to, len) }
}

/// Keeps the error that a native call was unwound for.
///
/// # Safety
/// `vm` is the store that was entered, nothing of which is in use.
pub(crate) unsafe extern "C" fn keep_error(vm: *mut VmStoreContext) {
    // SAFETY: by the caller.
    let store = unsafe { Store::from_vm(vm) };
    let error = store.take_pending();
    store.native.keep(error);
}

impl Store {
    /// What native calls have left.
    pub fn native(&self) -> &crate::store::native::Native {
        &self.native
    }

    /// The same, to take it out.
    pub fn native_mut(&mut self) -> &mut crate::store::native::Native {
        &mut self.native
    }

    /// Stops the guest with an error as soon as the native import that runs returns.
    ///
    /// # Errors
    /// Gives the error back where no guest is waiting for an import.
    pub fn raise(&mut self, error: Error) -> Result<(), Error> {
        if self.vm.entry_fp() <= ampoule_machine::arch::entry::RESERVED {
            return Err(error);
        }
        self.throw_or_stop(error);
        Ok(())
    }
}
