//! Guest code written by hand, and stores to run it in.

use crate::builtins::{Log, Store};
use ampoule_core::artifact::{CompiledFunction, Relocation, RelocationTarget};
use ampoule_core::vm::{VmContext, VmEntryChecks, VmFuncRef, VmStackBounds, VmStoreContext};
use ampoule_machine::arch::entry::{UNWOUND, enter};
use ampoule_machine::code::space::Region;
use ampoule_machine::code::thunks::ThunkCode;
use ampoule_machine::stack::{self, stack_pointer};
use std::ptr::{null, null_mut};

/// Assembles guest code that does not depend on its place. A call to be linked is written `call_target N`, see [`function`].
macro_rules! machine_code {
    ($($line:literal),* $(,)?) => {{
        let (start, end): (usize, usize);
        // SAFETY: takes two addresses; the code between them is put aside, not run.
        unsafe {
            std::arch::asm!(
                "lea {start}, [rip + 771f]",
                "lea {end}, [rip + 772f]",
                ".pushsection .rodata",
                ".macro call_target number",
                ".byte 0xe8",
                ".long 0x7e570000 + \\number",
                ".endm",
                "771:",
                $($line,)*
                "772:",
                ".purgem call_target",
                ".popsection",
                start = out(reg) start,
                end = out(reg) end,
                options(nomem, nostack, preserves_flags),
            )
        };
        // SAFETY: these bytes were assembled above, and are constant.
        unsafe { std::slice::from_raw_parts(start as *const u8, end - start) }
    }};
}
pub(crate) use machine_code;

/// A compiled function, in which `call_target N` calls the Nth target.
pub fn function(code: &[u8], targets: &[RelocationTarget]) -> CompiledFunction {
    let mut relocations = Vec::new();
    for offset in 0..code.len().saturating_sub(3) {
        let word = u32::from_le_bytes(code[offset..offset + 4].try_into().unwrap());
        if word >> 16 == 0x7e57 {
            let target = targets[(word & 0xffff) as usize];
            relocations.push(Relocation { offset: offset as u32, target });
        }
    }
    CompiledFunction { code: code.to_vec(), alignment: 16, relocations, ..CompiledFunction::default() }
}

/// `(vmctx, i64) -> i64`: raw entry thunk.
fn entry_thunk() -> &'static [u8] {
    machine_code!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "mov rbx, rdx",
        "mov rax, rdi",
        "mov rdi, [rax + 8]",
        "mov rsi, [rsi]",
        "call [rax]",
        "mov [rbx], rax",
        "xor eax, eax",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// A store with one instance.
pub struct World {
    pub store: *mut VmStoreContext,
    pub vmctx: *mut VmContext,
    pub thunks: ThunkCode,
    thunk: *const u8,
    code: Vec<Region>,
}

impl World {
    pub fn new() -> Self {
        crate::install();
        ampoule_machine::os::signals::install().unwrap();
        let log = Log {
            stops: Vec::new(),
            grow: |_, _, _| 0,
            epoch_unwinds: false,
            pauses_on: null(),
            handler: None,
            notes: Vec::new(),
            frames: Vec::new(),
        };
        let vm = VmStoreContext {
            stack_limit: 0,
            fuel: 0,
            epoch_deadline: 0.into(),
            epoch: null(),
            entry_fp: 0.into(),
            exit_fp: 0,
            unwinding: 0,
            _pad: 0,
            caller: null_mut(),
            id: 1,
            leaving: std::ptr::null(),
            returning: std::ptr::null(),
            heap_base: null_mut(),
            heap_top: 0,
            heap_limit: 0,
            types: null(),
            replaced_frame: std::ptr::null(),
            entry: VmEntryChecks {
                stack: VmStackBounds::default(),
                max_stack: 512 << 10,
                running_task: null_mut(),
                waiting_task: null_mut(),
                timed: false,
            },
        };
        let store: *mut VmStoreContext = Box::into_raw(Box::new(Store { vm, log })).cast();
        let vmctx =
            Box::into_raw(Box::new(VmContext { store, signatures: null(), type_words: null(), instance: null_mut() }));
        let mut thunks = ThunkCode::new().unwrap();
        let thunk = thunks.place(&function(entry_thunk(), &[])).unwrap();
        World { store, vmctx, thunks, thunk, code: Vec::new() }
    }

    pub fn log(&mut self) -> &mut Log {
        Log::of(self.store)
    }

    /// Places a function that calls builtins at most.
    pub fn place(&mut self, code: &[u8], targets: &[RelocationTarget]) -> *const u8 {
        self.thunks.place(&function(code, targets)).unwrap()
    }

    /// Places code in a region of its own.
    pub fn place_apart(&mut self, code: &[u8]) -> *const u8 {
        let region = Region::new(code.len()).unwrap();
        region.write(0, code).unwrap();
        let at = region.exec_base() as *const u8;
        self.code.push(region);
        at
    }

    /// Calls a guest function `(i64) -> i64`. `None` when it was unwound.
    pub fn call(&mut self, code: *const u8, arg: u64) -> Option<u64> {
        call(self.store, self.vmctx, self.thunk, code, arg)
    }

    /// The entry thunk, for calls from within.
    pub fn thunk(&self) -> *const u8 {
        self.thunk
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // SAFETY: made in `new`; nothing runs any more.
        unsafe {
            drop(Box::from_raw(self.store.cast::<Store>()));
            drop(Box::from_raw(self.vmctx));
        }
    }
}

/// See [`World::call`].
pub fn call(
    store: *mut VmStoreContext,
    vmctx: *mut VmContext,
    thunk: *const u8,
    code: *const u8,
    arg: u64,
) -> Option<u64> {
    let func_ref = VmFuncRef { code, vmctx, signature: null() };
    let mut args = [arg, 0];
    let mut results = [0u64, 0];
    // SAFETY: the store is live, and the thunk fits the function.
    unsafe {
        if (*store).entry_fp() == 0 {
            (*store).stack_limit = stack::limit_for(&mut VmStackBounds::default(), stack_pointer(), 512 << 10);
        }
        let before = ((*store).entry_fp(), (*store).exit_fp, (*store).caller);
        let answer = enter(store, thunk, &func_ref, args.as_mut_ptr().cast(), results.as_mut_ptr().cast());
        assert_eq!(before, ((*store).entry_fp(), (*store).exit_fp, (*store).caller), "entering left something behind");
        assert_eq!((*store).unwinding, 0);
        assert!(answer == 0 || answer == UNWOUND);
        (answer == 0).then_some(results[0])
    }
}
