//! From component to component: what is compared, and a jump or a call. The arguments stay in the registers and on the stack where the
//! caller has put them, so that these functions serve every type whose values pass unchanged.

use ampoule_core::vm::{VmAdapter, VmFuncRef};
use std::arch::naked_asm;
use std::mem::offset_of;

/// Goes to `2:` where the caller may not call out, or nobody may be called.
macro_rules! check {
    () => {
        "mov rax, qword ptr [rdi + {poisoned}]
         cmp byte ptr [rax], 0
         jne 2f
         mov rax, qword ptr [rdi + {may_leave}]
         cmp byte ptr [rax], 0
         je 2f"
    };
}

/// The adapter for a callee that can't call anybody, and so can't be entered again while it runs: jumps, whatever the arguments are.
///
/// # Safety
/// Called by guest code, with a [`VmAdapter`] for its context, all of whose pointers but `entered` are good.
#[unsafe(naked)]
pub unsafe extern "C" fn jump() {
    naked_asm!(
        ".cfi_startproc",
        check!(),
        "mov rax, qword ptr [rdi + {code}]",
        "mov rdi, qword ptr [rdi + {vmctx}]",
        "jmp rax",
        "2:",
        "mov rdi, qword ptr [rdi + {slow_path}]",
        "mov rax, qword ptr [rdi + {ref_code}]",
        "mov rdi, qword ptr [rdi + {ref_vmctx}]",
        "jmp rax",
        ".cfi_endproc",
        poisoned = const offset_of!(VmAdapter, poisoned),
        may_leave = const offset_of!(VmAdapter, may_leave),
        code = const offset_of!(VmAdapter, code),
        vmctx = const offset_of!(VmAdapter, vmctx),
        slow_path = const offset_of!(VmAdapter, slow_path),
        ref_code = const offset_of!(VmFuncRef, code),
        ref_vmctx = const offset_of!(VmFuncRef, vmctx),
    )
}

/// The adapter for any other callee: notes that it is entered while it runs. Its frame is one of those that guest code has. Where the guest
/// is stopped inside, the note stays: nobody may be called after that.
///
/// # Safety
/// As for [`jump`], with a good `entered`. All parameters are passed in registers, and there is at most one
/// result.
#[unsafe(naked)]
pub unsafe extern "C" fn call() {
    naked_asm!(
        ".cfi_startproc",
        check!(),
        "mov rax, qword ptr [rdi + {entered}]",
        "cmp dword ptr [rax], 0",
        "jne 2f",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_remember_state",
        ".cfi_def_cfa_register rbp",
        "push rax",
        "sub rsp, 8",
        "mov dword ptr [rax], 1",
        "mov rax, qword ptr [rdi + {code}]",
        "mov rdi, qword ptr [rdi + {vmctx}]",
        "call rax",
        // The result is in `rax` or `xmm0`.
        "mov rcx, qword ptr [rbp - 8]",
        "mov dword ptr [rcx], 0",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_restore_state",
        ".cfi_def_cfa rsp, 8",
        "2:",
        "mov rdi, qword ptr [rdi + {slow_path}]",
        "mov rax, qword ptr [rdi + {ref_code}]",
        "mov rdi, qword ptr [rdi + {ref_vmctx}]",
        "jmp rax",
        ".cfi_endproc",
        poisoned = const offset_of!(VmAdapter, poisoned),
        may_leave = const offset_of!(VmAdapter, may_leave),
        entered = const offset_of!(VmAdapter, entered),
        code = const offset_of!(VmAdapter, code),
        vmctx = const offset_of!(VmAdapter, vmctx),
        slow_path = const offset_of!(VmAdapter, slow_path),
        ref_code = const offset_of!(VmFuncRef, code),
        ref_vmctx = const offset_of!(VmFuncRef, vmctx),
    )
}
