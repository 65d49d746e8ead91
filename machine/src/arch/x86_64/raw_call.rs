//! Calls by the host with arguments in an array, where nothing has to be found out first: straight from C into the entry thunk.
//!
//! [`call`] is a C function in assembly. It compares what [`ampoule_core::vm::VmEntryChecks`] is for, and where all is as usual makes the same
//! entry frame as [`super::entry::enter`] and calls the thunk, so that registers are saved once and no error is looked for that can't
//! be. Anything else is left to the function that the caller brings along, and so is the end of a guest that was unwound:
//!
//! ```text
//! fp        as the picture in `super::entry` has it, down to
//! fp - 80   where the caller wants the trap
//! fp - 88   the caller's function
//! fp - 96   unused, keeps the stack aligned
//! fp - 104  return address into `call`
//! ```

use super::entry::{EntryFrame, frame, no_way_out, out_of_order};
use crate::stack::ENDED;
use ampoule_core::vm::{VmEntryChecks, VmFunc, VmFuncRef, VmSignature, VmStackBounds, VmStoreContext, VmValRaw};
use std::arch::naked_asm;
use std::ffi::c_void;
use std::mem::offset_of;

/// Bytes of the frame below its frame pointer.
const FRAME_LEN: i32 = 96;
/// Where the frame keeps `out` and `rest`, from its frame pointer.
const OUT: i32 = -80;
const REST: i32 = -88;

/// What is left to do of a raw call: with `unwound`, to tell of a guest that was stopped, where of the other arguments only the store
/// and `out` count; without, the whole call.
pub type RestOfCall = unsafe extern "C" fn(
    store: *mut VmStoreContext,
    func: *const VmFunc,
    values: *mut VmValRaw,
    len: usize,
    out: *mut c_void,
    unwound: bool,
) -> *mut c_void;

const STACK: usize = offset_of!(VmStoreContext, entry) + offset_of!(VmEntryChecks, stack);

/// Calls a function with arguments in `values`, which its results replace. Answers null where it has returned; in all other cases what
/// `rest` answers, which is called with the same arguments, or, where the guest was unwound, with the store and `out` alone.
///
/// # Safety
/// The store is live, and nobody else uses it. `func` points to a function of any store, or to an id of none; `values` to `len` values, the
/// first of which are arguments of the parameter types, all of this store.
#[unsafe(naked)]
pub unsafe extern "C" fn call(
    store: *mut VmStoreContext,
    func: *const VmFunc,
    values: *mut VmValRaw,
    len: usize,
    out: *mut c_void,
    rest: RestOfCall,
) -> *mut c_void {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_personality 0x1b, {no_way_out}",
        "mov r11, rdi",
        "mov rax, qword ptr [rsi + {func_store_id}]",
        "cmp rax, qword ptr [r11 + {store_id}]",
        "jne {slow_path}",
        "mov r10, qword ptr [rsi + {func_func_ref}]",
        "test r10, r10",
        "je {slow_path}",
        "cmp qword ptr [r11 + {store_entry_fp}], 0",
        "jne 3f",
        known_stack!(),
        // Stores are what this path is made of, so it makes none that changes nothing.
        "cmp rax, qword ptr [r11 + {stack_limit}]",
        "jne 7f",
        "1:",
        "mov rax, qword ptr [r10 + {signature}]",
        "cmp rcx, qword ptr [rax + {slots}]",
        "jb {slow_path}",
        "mov rax, qword ptr [rax + {thunk}]",
        "test rax, rax",
        "je {slow_path}",
        ".cfi_remember_state",
        entry_frame!(),
        "lea rcx, [r11 + {raw_outermost}]",
        "push rcx",
        "sub rsp, 24",
        "2:",
        "push r8",
        "push r9",
        "sub rsp, 8",
        "mov qword ptr [r11 + {store_entry_fp}], rbp",
        "mov rdi, r10",
        "mov rsi, rdx",
        "call rax",
        // The end of an activation, for walks.
        ".globl ampoule_raw_return",
        ".hidden ampoule_raw_return",
        "ampoule_raw_return:",
        // From the stack pointer, which is where it was: `rbp` comes back from memory.
        "mov r11, qword ptr [rsp + {frame_len} + {frame_store}]",
        "lea rcx, [rsp + {frame_len}]",
        "test r11b, {outermost}",
        "je 5f",
        "cmp qword ptr [r11 + {store_entry_fp} - {raw_outermost}], rcx",
        "jne 9f",
        // A store that isn't running has neither an entry frame nor a caller; its exit frame means nothing.
        "mov qword ptr [r11 + {store_entry_fp} - {raw_outermost}], 0",
        "cmp qword ptr [r11 + {store_caller} - {raw_outermost}], 0",
        "jne 8f",
        "4:",
        "xor eax, eax",
        "6:",
        "add rsp, {frame_len} - 40",
        drop_entry_frame!(),
        ".cfi_restore_state",
        "ret",
        "7:",
        "mov qword ptr [r11 + {stack_limit}], rax",
        "jmp 1b",
        // A nested call: on the same stack, in a store without asynchronous calls, whose time is not counted.
        "3:",
        "cmp rsp, qword ptr [r11 + {stack_limit}]",
        "jb {slow_path}",
        "cmp rsp, qword ptr [r11 + {stack_end}]",
        "jae {slow_path}",
        "cmp qword ptr [r11 + {tasks_running}], 0",
        "jne {slow_path}",
        "cmp qword ptr [r11 + {tasks_waiting}], 0",
        "jne {slow_path}",
        "cmp byte ptr [r11 + {timed}], 0",
        "jne {slow_path}",
        "mov rax, qword ptr [r10 + {signature}]",
        "cmp rcx, qword ptr [rax + {slots}]",
        "jb {slow_path}",
        "mov rax, qword ptr [rax + {thunk}]",
        "test rax, rax",
        "je {slow_path}",
        nested_entry!("rcx", "raw"),
        "jmp 2b",
        "5:",
        "cmp qword ptr [r11 + {store_entry_fp} - {raw}], rcx",
        "jne 9f",
        outer_entry_again!("rsp + {frame_len}", "raw"),
        "jmp 4b",
        "8:",
        "mov qword ptr [r11 + {store_caller} - {raw_outermost}], 0",
        "jmp 4b",
        "9:",
        "call {out_of_order}",
        // Where unwinding ends: the answer is in rax.
        ".globl ampoule_raw_unwound",
        ".hidden ampoule_raw_unwound",
        "ampoule_raw_unwound:",
        "jmp 6b",
        ".cfi_endproc",
        func_store_id = const offset_of!(VmFunc, store_id),
        func_func_ref = const offset_of!(VmFunc, func_ref),
        store_id = const offset_of!(VmStoreContext, id),
        store_entry_fp = const offset_of!(VmStoreContext, entry_fp),
        store_exit_fp = const offset_of!(VmStoreContext, exit_fp),
        store_caller = const offset_of!(VmStoreContext, caller),
        stack_limit = const offset_of!(VmStoreContext, stack_limit),
        thread = const STACK + offset_of!(VmStackBounds, thread),
        ended = const STACK + offset_of!(VmStackBounds, threads_ended),
        stack_end = const STACK + offset_of!(VmStackBounds, end),
        lowest = const STACK + offset_of!(VmStackBounds, lowest),
        max_stack = const offset_of!(VmStoreContext, entry.max_stack),
        ended_now = sym ENDED,
        tasks_running = const offset_of!(VmStoreContext, entry.running_task),
        tasks_waiting = const offset_of!(VmStoreContext, entry.waiting_task),
        timed = const offset_of!(VmStoreContext, entry.timed),
        signature = const offset_of!(VmFuncRef, signature),
        slots = const offset_of!(VmSignature, slots),
        thunk = const offset_of!(VmSignature, entry_raw),
        frame_len = const FRAME_LEN,
        frame_store = const frame::STORE,
        frame_entry_fp = const frame::ENTRY_FP,
        frame_exit_fp = const frame::EXIT_FP,
        frame_caller = const frame::CALLER,
        raw = const frame::RAW,
        raw_outermost = const frame::RAW + frame::OUTERMOST,
        outermost = const frame::OUTERMOST,
        slow_path = sym slow_path,
        out_of_order = sym out_of_order,
        no_way_out = sym no_way_out,
    )
}

/// Leaves the call to the caller's function, of which [`call`] has changed nothing.
///
/// # Safety
/// Never called: [`call`] jumps here, with the caller's function in `r9` and its arguments in place.
#[unsafe(naked)]
unsafe extern "C" fn slow_path() {
    naked_asm!("mov rax, r9", "xor r9d, r9d", "jmp rax")
}

/// Where unwinding lands in the frame of a raw call: `rbp` is the frame's, everything else is lost.
///
/// # Safety
/// Never called: unwinding jumps here, with the frame pointer of such a frame.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn landing() {
    naked_asm!(
        ".cfi_startproc",
        frame_rules!(),
        "lea rsp, [rbp - {frame_len}]",
        "mov rdi, rbp",
        "call {leave}",
        "mov rdi, rax",
        "mov r8, qword ptr [rbp + {out}]",
        "mov r9d, 1",
        "call qword ptr [rbp + {rest}]",
        "jmp ampoule_raw_unwound",
        ".cfi_endproc",
        frame_len = const FRAME_LEN,
        out = const OUT,
        rest = const REST,
        leave = sym leave,
    )
}

/// Makes the store what it was before the call with this entry frame, and gives it.
extern "C" fn leave(fp: usize) -> *mut VmStoreContext {
    // SAFETY: unwinding has landed in this frame.
    let entry = unsafe { EntryFrame::at(fp) };
    let store = entry.store();
    // SAFETY: the store of an active entry frame is live, and its guest is over.
    unsafe {
        if (*store).entry_fp() != fp {
            out_of_order();
        }
        (*store).set_entry_fp(entry.outer_entry_fp());
        (*store).exit_fp = entry.outer_exit_fp().unwrap_or_default();
        (*store).caller = entry.caller();
    }
    store
}

/// Keeps [`call`] in programs that don't use it: others refer to labels in it.
#[used]
static KEPT: unsafe extern "C" fn(
    *mut VmStoreContext,
    *const VmFunc,
    *mut VmValRaw,
    usize,
    *mut c_void,
    RestOfCall,
) -> *mut c_void = call;
