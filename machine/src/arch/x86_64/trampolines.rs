//! From guest code into the functions of [`crate::builtins`]: one trampoline per builtin.
//!
//! A trampoline makes a frame, so that the guest's frames can be walked from it, and notes it in `VmStoreContext::exit_fp`. After
//! the Rust function it looks at `VmStoreContext::unwinding`: a builtin that failed has set it, and the guest is unwound to
//! `VmStoreContext::entry_fp` instead of returned to.
//!
//! | builtins | kept | store found by |
//! |---|---|---|
//! | C convention | what the convention keeps | the first argument, a `VmContext` |
//! | `epoch_reached`, `fuel_exhausted` | every register | the first argument |
//! | `compile_function` | every register but `r11` and `rax` | the callee's `VmContext` |
//! | `become_hot` | every register but `rax` | the first argument |
//! | `exit_thunk_on_call` | every register but `r11` | the callee's `VmHostFunc` |
//! | `trap` | nothing, it never returns | walking the frames |
//! | roundings, `fma`, and what thunks do with references | what the convention keeps | not needed: they can't fail and leave no frames to walk |

use super::entry::{GuestFrame, GuestFrames, Landing, out_of_order, unwind};
use super::switch::{Left, Link};
use crate::builtins::{self, Builtins, INSTALLED};
use crate::stack::on_one_stack;
use ampoule_core::builtins::Builtin;
use ampoule_core::vm::{VmContext, VmHostFunc, VmStoreContext};
use std::arch::naked_asm;
use std::mem::offset_of;

/// The address that machine code jumps to for a builtin.
pub fn trampoline(builtin: Builtin) -> usize {
    let code: unsafe extern "C" fn() = match builtin {
        Builtin::Trap => trap,
        Builtin::StackOverflow => stack_overflow,
        Builtin::HostError => host_error,
        Builtin::HostResultMismatch => host_result_mismatch,
        Builtin::RootRefs => root_refs,
        Builtin::RawRef => raw_ref,
        Builtin::RawRefOf => raw_ref_of,
        Builtin::RawFuncOf => raw_func_of,
        Builtin::UnrootRefs => unroot_refs,
        Builtin::HostRaised => host_raised,
        Builtin::EpochReached => epoch_reached,
        Builtin::FuelExhausted => fuel_exhausted,
        Builtin::CompileFunction => compile_function_on_call,
        Builtin::BecomeHot => become_hot,
        Builtin::MemoryGrow => memory_grow,
        Builtin::MemoryFill => memory_fill,
        Builtin::MemoryCopy => memory_copy,
        Builtin::MemoryInit => memory_init,
        Builtin::DataDrop => data_drop,
        Builtin::MemoryAtomicNotify => memory_atomic_notify,
        Builtin::MemoryAtomicWait32 => memory_atomic_wait32,
        Builtin::MemoryAtomicWait64 => memory_atomic_wait64,
        Builtin::TableGrow => table_grow,
        Builtin::TableFill => table_fill,
        Builtin::TableCopy => table_copy,
        Builtin::TableInit => table_init,
        Builtin::ElemDrop => elem_drop,
        Builtin::TableGetFuncRef => table_get_func_ref,
        Builtin::TableGetCallee => table_get_callee,
        Builtin::RefFunc => ref_func,
        Builtin::Allocate => allocate,
        Builtin::ArrayNew => array_new,
        Builtin::ArrayNewData => array_new_data,
        Builtin::ArrayNewElem => array_new_elem,
        Builtin::ArrayFill => array_fill,
        Builtin::ArrayCopy => array_copy,
        Builtin::ArrayInitData => array_init_data,
        Builtin::ArrayInitElem => array_init_elem,
        Builtin::IsSubtype => is_subtype,
        Builtin::Throw => throw,
        Builtin::CeilF32 => ceil_f32,
        Builtin::CeilF64 => ceil_f64,
        Builtin::FloorF32 => floor_f32,
        Builtin::FloorF64 => floor_f64,
        Builtin::TruncF32 => trunc_f32,
        Builtin::TruncF64 => trunc_f64,
        Builtin::NearestF32 => nearest_f32,
        Builtin::NearestF64 => nearest_f64,
        Builtin::FmaF32 => fma_f32,
        Builtin::FmaF64 => fma_f64,
    };
    code as usize
}

/// After a builtin, with the store's address at `rbp - 8`: unwinds instead of going on where the store asks for it.
macro_rules! or_unwind {
    () => {
        "mov rcx, qword ptr [rbp - 8]
         cmp dword ptr [rcx + {unwinding}], 0
         jne {unwind_store}"
    };
}

/// Trampolines in the C convention. The store's address waits at `rbp - 8` while the function runs.
macro_rules! call {
    ($($name:ident)*) => {
        $(
        /// # Safety
        /// Called by guest code, which keeps its frame pointers, with the arguments of this builtin.
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                make_frame!(),
                "mov rax, qword ptr [rdi + {vmctx_store}]",
                "push rax",
                "sub rsp, 8",
                "mov qword ptr [rax + {exit_fp}], rbp",
                "call qword ptr [rip + {table} + {function}]",
                or_unwind!(),
                drop_frame!(),
                "ret",
                ".cfi_endproc",
                vmctx_store = const offset_of!(VmContext, store),
                exit_fp = const offset_of!(VmStoreContext, exit_fp),
                unwinding = const offset_of!(VmStoreContext, unwinding),
                unwind_store = sym unwind_store,
                table = sym INSTALLED,
                function = const offset_of!(Builtins, $name),
            )
        })*
    };
}

call! {
    memory_grow memory_fill memory_copy memory_init data_drop
    memory_atomic_notify memory_atomic_wait32 memory_atomic_wait64
    table_grow table_fill table_copy table_init elem_drop table_get_func_ref
    table_get_callee ref_func throw allocate array_new array_new_data array_new_elem array_fill array_copy
    array_init_data array_init_elem
}

/// Trampolines that never return, for thunks: the first argument is the store.
macro_rules! call_and_unwind {
    ($($name:ident)*) => {
        $(
        /// # Safety
        /// Called by guest code, which keeps its frame pointers, with the arguments of this builtin.
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                make_frame!(),
                "push rdi",
                "sub rsp, 8",
                "mov qword ptr [rdi + {exit_fp}], rbp",
                "call qword ptr [rip + {table} + {function}]",
                "mov rcx, qword ptr [rbp - 8]",
                "jmp {unwind_store}",
                ".cfi_endproc",
                exit_fp = const offset_of!(VmStoreContext, exit_fp),
                unwind_store = sym unwind_store,
                table = sym INSTALLED,
                function = const offset_of!(Builtins, $name),
            )
        })*
    };
}

call_and_unwind! { host_error host_result_mismatch }

/// `(store)`, from an exit thunk whose C function has noted an error and, with it, its frames. The thunk has made way.
///
/// # Safety
/// Jumped to by exit thunks, on behalf of a running guest of that store.
#[unsafe(naked)]
unsafe extern "C" fn host_raised() {
    naked_asm!(
        make_frame!(),
        "mov qword ptr [rdi + {exit_fp}], rbp",
        "mov rcx, rdi",
        "jmp {unwind_store}",
        ".cfi_endproc",
        exit_fp = const offset_of!(VmStoreContext, exit_fp),
        unwind_store = sym unwind_store,
    )
}

/// Trampolines that keep every register: the general ones that the C convention does not keep, and all vector registers. Guest
/// code uses 128 bits of these; it has nothing above to lose.
///
/// The builtin answers a [`Pause`]. With a link, the trampoline leaves the fiber, as [`Link::leave`] does, and calls `resumed(store, wake,
/// ticks)` when it goes on. Compiled code doesn't call these trampolines, but pushes a return address and jumps; so they go back with a
/// jump, too: see [`super::switch`].
macro_rules! call_preserving_all {
    ($($name:ident, $resumed:ident;)*) => {
        $(
        /// # Safety
        /// Called by guest code, which keeps its frame pointers, with the arguments of this builtin.
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                make_frame!(),
                save_registers!(),
                "mov rax, qword ptr [rdi + {vmctx_store}]",
                "mov qword ptr [rbp - 8], rax",
                "mov qword ptr [rax + {exit_fp}], rbp",
                "call qword ptr [rip + {table} + {function}]",
                "test rax, rax",
                "jne 3f",
                "2:",
                or_unwind!(),
                restore_registers!(),
                ".cfi_remember_state",
                drop_frame!(),
                "add rsp, 8",
                "jmp qword ptr [rsp - 8]",
                ".cfi_restore_state",
                // Pausing: what the C convention keeps is the guest's, too.
                "3:",
                "push rbx",
                "push r12",
                "push r13",
                "push r14",
                "push r15",
                "push rdx",
                "lea rcx, [rip + 4f]",
                "mov qword ptr [rax + {link_pc}], rcx",
                "mov qword ptr [rax + {link_sp}], rsp",
                "mov rsp, qword ptr [rax + {link_outside}]",
                "mov esi, {suspended}",
                "pop rbp",
                "pop rax",
                "jmp rax",
                // Going on.
                "4:",
                "lea rbp, [rsp + {paused_frame}]",
                "pop rdx",
                "pop r15",
                "pop r14",
                "pop r13",
                "pop r12",
                "pop rbx",
                "mov rdi, qword ptr [rbp - 8]",
                "call qword ptr [rip + {table} + {resumed}]",
                "jmp 2b",
                ".cfi_endproc",
                vmctx_store = const offset_of!(VmContext, store),
                exit_fp = const offset_of!(VmStoreContext, exit_fp),
                unwinding = const offset_of!(VmStoreContext, unwinding),
                link_pc = const offset_of!(Link, pc),
                link_sp = const offset_of!(Link, sp),
                link_outside = const offset_of!(Link, outside),
                suspended = const Left::Suspended as u32,
                // What `save_registers` takes, and six registers.
                paused_frame = const 336 + 48,
                unwind_store = sym unwind_store,
                table = sym INSTALLED,
                function = const offset_of!(Builtins, $name),
                resumed = const offset_of!(Builtins, $resumed),
            )
        })*
    };
}

/// Saves what the C convention does not keep, from `rbp - 16` down; `rbp - 8` is left for the store. Aligns the stack.
macro_rules! save_registers {
    () => {
        "sub rsp, 336
         mov qword ptr [rbp - 16], rax
         mov qword ptr [rbp - 24], rcx
         mov qword ptr [rbp - 32], rdx
         mov qword ptr [rbp - 40], rsi
         mov qword ptr [rbp - 48], rdi
         mov qword ptr [rbp - 56], r8
         mov qword ptr [rbp - 64], r9
         mov qword ptr [rbp - 72], r10
         mov qword ptr [rbp - 80], r11
         movaps xmmword ptr [rbp - 96], xmm0
         movaps xmmword ptr [rbp - 112], xmm1
         movaps xmmword ptr [rbp - 128], xmm2
         movaps xmmword ptr [rbp - 144], xmm3
         movaps xmmword ptr [rbp - 160], xmm4
         movaps xmmword ptr [rbp - 176], xmm5
         movaps xmmword ptr [rbp - 192], xmm6
         movaps xmmword ptr [rbp - 208], xmm7
         movaps xmmword ptr [rbp - 224], xmm8
         movaps xmmword ptr [rbp - 240], xmm9
         movaps xmmword ptr [rbp - 256], xmm10
         movaps xmmword ptr [rbp - 272], xmm11
         movaps xmmword ptr [rbp - 288], xmm12
         movaps xmmword ptr [rbp - 304], xmm13
         movaps xmmword ptr [rbp - 320], xmm14
         movaps xmmword ptr [rbp - 336], xmm15"
    };
}

/// The reverse of `save_registers`, short of the stack pointer.
macro_rules! restore_registers {
    () => {
        "mov rax, qword ptr [rbp - 16]
         mov rcx, qword ptr [rbp - 24]
         mov rdx, qword ptr [rbp - 32]
         mov rsi, qword ptr [rbp - 40]
         mov rdi, qword ptr [rbp - 48]
         mov r8, qword ptr [rbp - 56]
         mov r9, qword ptr [rbp - 64]
         mov r10, qword ptr [rbp - 72]
         mov r11, qword ptr [rbp - 80]
         movaps xmm0, xmmword ptr [rbp - 96]
         movaps xmm1, xmmword ptr [rbp - 112]
         movaps xmm2, xmmword ptr [rbp - 128]
         movaps xmm3, xmmword ptr [rbp - 144]
         movaps xmm4, xmmword ptr [rbp - 160]
         movaps xmm5, xmmword ptr [rbp - 176]
         movaps xmm6, xmmword ptr [rbp - 192]
         movaps xmm7, xmmword ptr [rbp - 208]
         movaps xmm8, xmmword ptr [rbp - 224]
         movaps xmm9, xmmword ptr [rbp - 240]
         movaps xmm10, xmmword ptr [rbp - 256]
         movaps xmm11, xmmword ptr [rbp - 272]
         movaps xmm12, xmmword ptr [rbp - 288]
         movaps xmm13, xmmword ptr [rbp - 304]
         movaps xmm14, xmmword ptr [rbp - 320]
         movaps xmm15, xmmword ptr [rbp - 336]"
    };
}

call_preserving_all! {
    epoch_reached, epoch_resumed;
    fuel_exhausted, fuel_resumed;
}

/// Jumps, for functions that need nothing of the engine: the guest's call returns from them directly.
macro_rules! plain {
    ($($name:ident)*) => {
        $(
        /// # Safety
        /// Called by guest code, which keeps its frame pointers, with the arguments of this builtin.
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                ".cfi_startproc",
                "jmp qword ptr [rip + {table} + {function}]",
                ".cfi_endproc",
                table = sym INSTALLED,
                function = const offset_of!(Builtins, $name),
            )
        })*
    };
}

plain! {
    root_refs raw_ref raw_ref_of raw_func_of unroot_refs is_subtype
    ceil_f32 ceil_f64 floor_f32 floor_f64 trunc_f32 trunc_f64 nearest_f32 nearest_f64
    fma_f32 fma_f64
}

/// Trampolines that never return, for builtins that find the store themselves: `$raise` gets the first argument and the trampoline's frame
/// pointer, and answers the store.
macro_rules! raise_and_unwind {
    ($($(#[$doc:meta])* $name:ident: $raise:ident;)*) => {
        $($(#[$doc])*
        ///
        /// # Safety
        /// Called by guest code, which keeps its frame pointers.
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                make_frame!(),
                "mov rsi, rbp",
                "call {raise}",
                "mov rcx, rax",
                "jmp {unwind_store}",
                ".cfi_endproc",
                raise = sym $raise,
                unwind_store = sym unwind_store,
            )
        })*
    };
}

raise_and_unwind! {
    /// `(code)`.
    trap: raise_trap;
    /// `(vmctx)`.
    stack_overflow: raise_stack_overflow;
}

extern "C" fn raise_trap(code: u32, exit_fp: usize) -> *mut VmStoreContext {
    // SAFETY: `exit_fp` is the trampoline's frame pointer, and guest code called the trampoline.
    let mut frames = unsafe { GuestFrames::below_exit(exit_fp) };
    let at = frames.next().expect("a walk starts with a frame");
    let store = frames.entry().store();
    // SAFETY: the store of an active entry frame is live, and the guest that has it to itself waits for us.
    unsafe {
        (*store).exit_fp = exit_fp;
        (builtins::installed().trap)(store, code, at.pc, at.fp);
    }
    store
}

extern "C" fn raise_stack_overflow(vmctx: *mut VmContext, exit_fp: usize) -> *mut VmStoreContext {
    // SAFETY: machine code passes its own context, whose store is live and waits for us; the words at a trampoline's frame
    // pointer are its caller's.
    unsafe {
        let store = (*vmctx).store;
        (*store).exit_fp = exit_fp;
        let (fp, pc) = ((exit_fp as *const usize).read(), (exit_fp as *const usize).add(1).read());
        (builtins::installed().stack_overflow)(vmctx, pc, fp);
        store
    }
}

/// The store is in `rcx`: takes back its request to unwind, and unwinds. Whatever the C convention keeps is as the trampoline has found it.
///
/// # Safety
/// Never called: the trampolines above jump here, with their frame and a store whose guest runs.
#[unsafe(naked)]
unsafe extern "C" fn unwind_store() {
    naked_asm!(
        // Its frame is the trampoline's.
        ".cfi_startproc",
        frame_rules!(),
        "mov rdi, rcx",
        "mov rsi, rbp",
        "and rsp, -16",
        "sub rsp, {landing_size}",
        "mov qword ptr [rsp + {kept}], rbx",
        "mov qword ptr [rsp + {kept} + 8], r12",
        "mov qword ptr [rsp + {kept} + 16], r13",
        "mov qword ptr [rsp + {kept} + 24], r14",
        "mov qword ptr [rsp + {kept} + 32], r15",
        "mov rdx, rsp",
        "call {unwinds_to}",
        "test rax, rax",
        "je 2f",
        "mov rdi, rax",
        "jmp {unwind}",
        // To a handler.
        "2:",
        "mov rbx, qword ptr [rsp + {kept}]",
        "mov r12, qword ptr [rsp + {kept} + 8]",
        "mov r13, qword ptr [rsp + {kept} + 16]",
        "mov r14, qword ptr [rsp + {kept} + 24]",
        "mov r15, qword ptr [rsp + {kept} + 32]",
        "mov rcx, qword ptr [rsp + {pc}]",
        "mov rbp, qword ptr [rsp + {fp}]",
        "mov rax, qword ptr [rsp + {payload}]",
        "mov rsp, qword ptr [rsp + {sp}]",
        "jmp rcx",
        ".cfi_endproc",
        landing_size = const size_of::<Landing>().next_multiple_of(16),
        pc = const offset_of!(Landing, pc),
        sp = const offset_of!(Landing, sp),
        fp = const offset_of!(Landing, fp),
        payload = const offset_of!(Landing, payload),
        kept = const offset_of!(Landing, kept),
        unwinds_to = sym unwinds_to,
        unwind = sym unwind,
    )
}

/// The entry frame to unwind to from the exit at `exit_fp`: the store's innermost, if that is where the guest came from. Zero: to the handler
/// that is written to `handler`, whose kept registers are those of the exit so far.
extern "C" fn unwinds_to(store: *mut VmStoreContext, exit_fp: usize, handler: *mut Landing) -> usize {
    // SAFETY: the store of a guest that is being unwound is live, and waits for us. `exit_fp` is the frame of a trampoline or exit thunk.
    // The assembly has room for a landing, and has written those registers.
    unsafe {
        let throwing = (*store).unwinding == VmStoreContext::THROWING;
        (*store).unwinding = 0;
        if throwing && let Some(landing) = (builtins::installed().find_handler)(store, exit_fp, (*handler).kept) {
            handler.write(landing);
            return 0;
        }
        let entry_fp = (*store).entry_fp();
        // Entries on one stack end in order. The walk, which always knows, may be a long one.
        if !on_one_stack(exit_fp, entry_fp) && GuestFrames::below_exit(exit_fp).entry().fp() != entry_fp {
            out_of_order();
        }
        entry_fp
    }
}

/// Trampolines with arguments in `rdi`, a context that has the store at `$store`, `r11` and `eax`, of builtins that answer an address. That is
/// left in the register that was saved at `$saved`, and all others are as they were. Then the trampoline does `$last`.
macro_rules! find_code {
    ($($(#[$doc:meta])* $visibility:vis $name:ident: $function:ident, $store:expr, $saved:literal, $last:literal;)*) => {
        $($(#[$doc])*
        ///
        /// # Safety
        /// For guest code only: with the registers as said.
        #[unsafe(naked)]
        $visibility unsafe extern "C" fn $name() {
            naked_asm!(
                make_frame!(),
                save_registers!(),
                "mov rdx, qword ptr [rdi + {store}]",
                "mov qword ptr [rbp - 8], rdx",
                "mov qword ptr [rdx + {exit_fp}], rbp",
                "mov rsi, r11",
                "mov edx, eax",
                "call qword ptr [rip + {table} + {function}]",
                "mov rcx, qword ptr [rbp - 8]",
                "cmp dword ptr [rcx + {unwinding}], 0",
                "jne {unwind_store}",
                concat!("mov qword ptr [", $saved, "], rax"),
                restore_registers!(),
                drop_frame!(),
                $last,
                ".cfi_endproc",
                store = const $store,
                exit_fp = const offset_of!(VmStoreContext, exit_fp),
                unwinding = const offset_of!(VmStoreContext, unwinding),
                unwind_store = sym unwind_store,
                table = sym INSTALLED,
                function = const offset_of!(Builtins, $function),
            )
        })*
    };
}

// The first two stand in for code which is not there yet, at the point of a call: the arguments are where the code expects them, and neither `rax`
// nor `r11` carries one.
find_code! {
    /// Reached from the stub of a function that is not compiled yet: `rdi` is its `VmContext`, `eax` its number and `r11` the module's word.
    compile_function_on_call: compile_function, offset_of!(VmContext, store), "rbp - 80", "jmp r11";
    /// Stands in for the exit thunk of a host function while there is none: without a compiler it comes with a module. `rdi` is the
    /// `VmHostFunc`.
    pub exit_thunk_on_call: resolve_exit_thunk, offset_of!(VmHostFunc, store), "rbp - 80", "jmp r11";
    /// Called by baseline code: see [`Builtin::BecomeHot`].
    become_hot: become_hot, offset_of!(VmContext, store), "rbp - 16", "ret";
}

/// Where the signal handler sends a thread that faulted in guest code, with the program counter in `rdi`, the frame pointer in
/// `rsi` and in `rbp`, the address accessed in `rdx`, the signal in `ecx`, and the stack aligned. It makes the faulting frame look
/// like the caller, for debuggers.
///
/// # Safety
/// Never called: the signal handler sends a thread here, with the registers as said.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn fault_landing() {
    naked_asm!(
        ".cfi_startproc",
        "push rdi",
        "push rbp",
        "mov rbp, rsp",
        frame_rules!(),
        "call {function}",
        "mov rcx, rax",
        "jmp {unwind_store}",
        ".cfi_endproc",
        function = sym raise_fault,
        unwind_store = sym unwind_store,
    )
}

extern "C" fn raise_fault(pc: usize, fp: usize, address: usize, signal: i32) -> *mut VmStoreContext {
    // SAFETY: guest code at `pc` faulted after it made its frame, and will not go on.
    let frames = unsafe { GuestFrames::from(GuestFrame { pc, fp, is_return_address: false }) };
    let store = frames.entry().store();
    // SAFETY: the store of an active entry frame is live, and the guest that has it to itself is stopped.
    unsafe { (builtins::installed().fault)(store, pc, fp, address, signal) };
    store
}
