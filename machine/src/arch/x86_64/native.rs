//! Plain C calls into guest code.
//!
//! The stub of a native entry point ([`super::native_stubs`]) moves the arguments of a C call to where guest code expects them,
//! puts the function's `VmFuncRef` into `r10` and the store into `r11`, and jumps to [`enter_native`]: that makes the same entry
//! frame as [`super::entry::enter`], calls the function, and returns what it returned, which is where C expects it. When nothing
//! about the call is known to be as usual, and for types whose arguments need memory, [`enter_through_host`] hands everything to Rust
//! instead, which calls as any host does.

use super::entry::{frame, no_way_out, out_of_order};
use crate::builtins::{Builtins, INSTALLED};
use crate::stack::ENDED;
use ampoule_core::vm::{VmEntryChecks, VmFuncRef, VmStackBounds, VmStoreContext};
use std::arch::naked_asm;
use std::mem::offset_of;

/// What the registers of a C call hold, and later of its return: the first of each class.
#[repr(C)]
pub struct SavedArgs {
    /// Integers and addresses, in the order of the convention.
    pub ints: [u64; INT_REGISTERS],
    /// Floating-point numbers.
    pub floats: [u64; FLOAT_REGISTERS],
}

/// Arguments that the C convention passes in registers for integers.
pub const INT_REGISTERS: usize = 6;

/// Arguments that the C convention passes in registers for floating-point numbers.
pub const FLOAT_REGISTERS: usize = 8;

const STACK: usize = offset_of!(VmStoreContext, entry) + offset_of!(VmEntryChecks, stack);

/// Enters guest code, from a stub.
///
/// The outermost call takes the store's word for its stack's bounds where it can. A nested call only looks whether it is on the same
/// stack, above the limit that the outermost one has set. Anything else is slow.
///
/// # Safety
/// To be jumped to from a stub, with `r10` and `r11` as above and the C call's return address on top of the stack. The function's
/// parameters and results all travel in registers.
#[unsafe(naked)]
pub unsafe extern "C" fn enter_native() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_personality 0x1b, {no_way_out}",
        "cmp qword ptr [r11 + {store_entry_fp}], 0",
        "jne 3f",
        known_stack!(),
        // Stores are what this path is made of, so it makes none that changes nothing.
        "cmp rax, qword ptr [r11 + {stack_limit}]",
        "jne 7f",
        "1:",
        ".cfi_remember_state",
        entry_frame!(),
        "lea rax, [r11 + {native_outermost}]",
        "push rax",
        "sub rsp, 32",
        "2:",
        "mov qword ptr [r11 + {store_entry_fp}], rbp",
        "mov rdi, qword ptr [r10 + {vmctx}]",
        "call qword ptr [r10 + {code}]",
        ".globl ampoule_native_return",
        ".hidden ampoule_native_return",
        "ampoule_native_return:",
        "4:",
        // From the stack pointer, which is `rbp - 80` again: the guest brings `rbp` back from memory, a long way when calls follow
        // each other.
        "mov r11, qword ptr [rsp + 32]",
        "test r11b, {outermost}",
        "je 5f",
        "lea rcx, [rsp + 80]",
        "cmp qword ptr [r11 + {store_entry_fp} - {native_outermost}], rcx",
        "jne 9f",
        // A store that isn't running has neither an entry frame nor a caller; its exit frame means nothing.
        "mov qword ptr [r11 + {store_entry_fp} - {native_outermost}], 0",
        "cmp qword ptr [r11 + {store_caller} - {native_outermost}], 0",
        "jne 8f",
        "6:",
        "add rsp, 40",
        drop_entry_frame!(),
        ".cfi_restore_state",
        "ret",
        "7:",
        "mov qword ptr [r11 + {stack_limit}], rax",
        "jmp 1b",
        // A nested call.
        "3:",
        "cmp rsp, qword ptr [r11 + {stack_limit}]",
        "jb {slow_path}",
        "cmp rsp, qword ptr [r11 + {stack_end}]",
        "jae {slow_path}",
        nested_entry!("rax", "native"),
        "sub rsp, 8",
        "jmp 2b",
        "5:",
        "lea rcx, [rsp + 80]",
        "cmp qword ptr [r11 + {store_entry_fp} - {native}], rcx",
        "jne 9f",
        outer_entry_again!("rbp", "native"),
        "jmp 6b",
        "8:",
        "mov qword ptr [r11 + {store_caller} - {native_outermost}], 0",
        "jmp 6b",
        "9:",
        "call {out_of_order}",
        // Where unwinding ends, with zeros for whatever result the C function has.
        ".globl ampoule_native_unwound",
        ".hidden ampoule_native_unwound",
        "ampoule_native_unwound:",
        "xor eax, eax",
        "xorps xmm0, xmm0",
        "jmp 4b",
        ".cfi_endproc",
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
        vmctx = const offset_of!(VmFuncRef, vmctx),
        code = const offset_of!(VmFuncRef, code),
        frame_entry_fp = const frame::ENTRY_FP,
        frame_exit_fp = const frame::EXIT_FP,
        frame_caller = const frame::CALLER,
        native = const frame::NATIVE,
        native_outermost = const frame::NATIVE + frame::OUTERMOST,
        outermost = const frame::OUTERMOST,
        out_of_order = sym out_of_order,
        no_way_out = sym no_way_out,
        slow_path = sym enter_through_host,
    )
}

/// Hands a C call to the builtin `native_call`.
///
/// # Safety
/// As for [`enter_native`], for any parameters and results.
#[unsafe(naked)]
pub unsafe extern "C" fn enter_through_host() {
    naked_asm!(
        make_frame!(),
        "sub rsp, {saved_size}",
        "mov qword ptr [rsp], rdi",
        "mov qword ptr [rsp + 8], rsi",
        "mov qword ptr [rsp + 16], rdx",
        "mov qword ptr [rsp + 24], rcx",
        "mov qword ptr [rsp + 32], r8",
        "mov qword ptr [rsp + 40], r9",
        "movsd qword ptr [rsp + {floats}], xmm0",
        "movsd qword ptr [rsp + {floats} + 8], xmm1",
        "movsd qword ptr [rsp + {floats} + 16], xmm2",
        "movsd qword ptr [rsp + {floats} + 24], xmm3",
        "movsd qword ptr [rsp + {floats} + 32], xmm4",
        "movsd qword ptr [rsp + {floats} + 40], xmm5",
        "movsd qword ptr [rsp + {floats} + 48], xmm6",
        "movsd qword ptr [rsp + {floats} + 56], xmm7",
        "mov rdi, r11",
        "mov rsi, r10",
        "mov rdx, rsp",
        "lea rcx, [rbp + 16]",
        "call qword ptr [rip + {table} + {native_call}]",
        "mov rax, qword ptr [rsp]",
        "movsd xmm0, qword ptr [rsp + {floats}]",
        drop_frame!(),
        "ret",
        ".cfi_endproc",
        saved_size = const size_of::<SavedArgs>(),
        floats = const offset_of!(SavedArgs, floats),
        table = sym INSTALLED,
        native_call = const offset_of!(Builtins, native_call),
    )
}

const _: () = assert!(size_of::<SavedArgs>().is_multiple_of(16), "the stack stays aligned");

/// Where unwinding lands in the frame of a native call: `rbp` is the frame's, everything else is lost.
///
/// # Safety
/// Never called: unwinding jumps here, with the frame pointer of such a frame.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn landing() {
    naked_asm!(
        ".cfi_startproc",
        frame_rules!(),
        "test byte ptr [rbp + {frame_store}], {raw}",
        "jne {raw_landing}",
        "lea rsp, [rbp - 80]",
        "mov rdi, qword ptr [rbp + {frame_store}]",
        "and rdi, {not_maker}",
        "call qword ptr [rip + {table} + {native_unwound}]",
        "jmp ampoule_native_unwound",
        ".cfi_endproc",
        frame_store = const frame::STORE,
        raw = const frame::RAW,
        raw_landing = sym super::raw_call::landing,
        not_maker = const !frame::MAKER as isize,
        table = sym INSTALLED,
        native_unwound = const offset_of!(Builtins, native_unwound),
    )
}

/// Keeps [`enter_native`] in programs that don't use it: others refer to labels in it.
#[used]
static KEPT: unsafe extern "C" fn() = enter_native;
