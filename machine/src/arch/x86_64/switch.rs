//! The switch between a fiber and who resumes it.
//!
//! A [`Link`] lies at the upper end of a fiber's stack, and each side leaves there what the other needs. Who resumes waits with
//!
//! ```text
//! outside + 16   rbx
//! outside + 8    where it goes on
//! outside        rbp
//! ```
//!
//! on its stack, and no other register kept: this is inlined into functions that keep what they need. The fiber waits as it likes; it goes
//! on at `pc` with its stack pointer, the link in `rdi`, and what it is told in `esi`.
//!
//! Neither direction calls or returns. The processor expects every return to go to the latest call, of whatever stack, and takes some
//! twenty cycles where that is wrong. So no call is made that returns on the other stack, and no function is left that was called before
//! a switch, as far as that can be: host functions that wait do so in one loop, and a guest that is interrupted is paused by the builtin's
//! trampoline ([`super::trampolines`]), which it jumps to, and from there back.
//!
//! For unwinders the fiber's outermost frame, [`root`], is called by who resumes: the two words at `outside`, which `rbp` of `root` leads
//! to, are such as at a frame pointer.

use std::arch::{asm, naked_asm};
use std::cell::Cell;

/// What a suspended fiber is told when it runs again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Wake {
    /// Go on.
    Continue,
    /// Come to an end: nobody waits for the result.
    GiveUp,
}

/// Where a fiber is after it ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Left {
    /// It waits. Assembly in `trampolines` says so, too.
    Suspended,
    /// Its work has returned. It is idle.
    Finished,
}

/// What a builtin answers that may let the guest pause: its trampoline does the rest.
#[repr(C)]
pub struct Pause {
    /// The running fiber's, or null to go on.
    pub link: *const Link,
    /// For when the guest goes on.
    pub ticks: u64,
}

impl Pause {
    /// Goes on, or fails, at once.
    pub const NONE: Self = Self { link: std::ptr::null(), ticks: 0 };
}

/// A piece of work; called with what came with it.
pub type Run = unsafe fn(*mut ());

/// What a fiber and who resumes it tell each other. It lies at the upper end of the fiber's stack.
#[repr(C, align(16))]
pub struct Link {
    /// Of a fiber that runs: the stack pointer of who resumed it. Zero of another.
    pub(super) outside: Cell<usize>,
    /// Of a fiber that does not run: where it goes on.
    pub(super) pc: Cell<usize>,
    /// Of a fiber that does not run: its stack pointer.
    pub(super) sp: Cell<usize>,
    /// How many reasons there are that the fiber must not be left before its work is done.
    held: Cell<usize>,
    /// What an idle fiber does next, and with what.
    next: Cell<(Run, *mut ())>,
}

impl Link {
    /// That of an idle fiber whose stack it is the upper end of, at address `at`.
    pub fn new(at: usize) -> Self {
        Self {
            outside: Cell::new(0),
            pc: Cell::new(root as *const () as usize),
            sp: Cell::new(at),
            held: Cell::new(0),
            next: Cell::new((nothing as Run, std::ptr::null_mut())),
        }
    }

    /// Whether the fiber runs, or waits for another that it has resumed.
    pub fn is_running(&self) -> bool {
        self.outside.get() != 0
    }

    /// Whether the fiber must not be left.
    #[inline(always)]
    pub fn is_held(&self) -> bool {
        self.held.get() != 0
    }

    /// Adds a reason why the fiber must not be left.
    pub fn hold(&self) {
        self.held.set(self.held.get() + 1);
    }

    /// Takes one back.
    pub fn release(&self) {
        self.held.set(self.held.get() - 1);
    }

    /// Gives an idle fiber work, which it will do when it is resumed next: it calls `run` with `with`.
    ///
    /// # Safety
    /// The fiber is idle. `run` does not unwind, and may be called with `with` until the work is done.
    #[inline(always)]
    pub unsafe fn begin(&self, run: Run, with: *mut ()) {
        self.next.set((run, with));
    }

    /// Runs the fiber until it suspends itself or its work is done.
    ///
    /// # Safety
    /// The fiber has work, and is not running; no thread but this uses it. Nothing on its stack depends on the thread that resumed it before.
    #[inline(always)]
    pub unsafe fn resume(this: *const Self, wake: Wake) -> Left {
        let left: u32;
        // SAFETY: by the caller, the fiber goes on at `pc`. It comes back to `2` with our stack pointer, less what is popped there, our
        // `rbp`, and how it left. Every other register is told to be lost.
        unsafe {
            asm!(
                // The compiler keeps this and rbp for itself, and lets nobody declare them lost.
                "push rbx",
                "lea rax, [rip + 2f]",
                "push rax",
                "push rbp",
                "mov qword ptr [rdi + {outside}], rsp",
                "mov rsp, qword ptr [rdi + {sp}]",
                "jmp qword ptr [rdi + {pc}]",
                "2:",
                "pop rbx",
                outside = const std::mem::offset_of!(Link, outside),
                sp = const std::mem::offset_of!(Link, sp),
                pc = const std::mem::offset_of!(Link, pc),
                inlateout("rdi") this => _,
                inlateout("esi") wake as u32 => left,
                lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
                clobber_abi("sysv64"),
            );
        }
        // SAFETY: the fiber's stack is still there.
        unsafe { (*this).outside.set(0) };
        if left == Left::Suspended as u32 { Left::Suspended } else { Left::Finished }
    }

    /// Gives control to who resumed the fiber, until it is resumed again.
    ///
    /// # Safety
    /// We are on the fiber.
    #[inline(always)]
    pub unsafe fn leave(this: *const Self, left: Left) -> Wake {
        let wake: u32;
        // SAFETY: by the caller, somebody waits in `resume`. It comes back to `2` with the stack pointer that we leave. Every register but
        // those that are popped there is told to be lost.
        unsafe {
            asm!(
                "push rbp",
                "push rbx",
                "lea rax, [rip + 2f]",
                "mov qword ptr [rdi + {pc}], rax",
                "mov qword ptr [rdi + {sp}], rsp",
                "mov rsp, qword ptr [rdi + {outside}]",
                "pop rbp",
                "pop rax",
                "jmp rax",
                "2:",
                "pop rbx",
                "pop rbp",
                outside = const std::mem::offset_of!(Link, outside),
                sp = const std::mem::offset_of!(Link, sp),
                pc = const std::mem::offset_of!(Link, pc),
                inlateout("rdi") this => _,
                inlateout("esi") left as u32 => wake,
                lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
                clobber_abi("sysv64"),
            );
        }
        if wake == Wake::Continue as u32 { Wake::Continue } else { Wake::GiveUp }
    }
}

/// The work of a fiber that has none yet.
///
/// # Safety
/// None is owed; the type is that of every fiber's work.
unsafe fn nothing(_: *mut ()) {}

/// Where a fiber starts, with the link in `rdi`, which the stack pointer is, too. The outermost frame on its stack.
///
/// # Safety
/// Never called: the first switch to a fiber jumps here, on that fiber's stack.
#[unsafe(naked)]
unsafe extern "C" fn root() {
    naked_asm!(
        ".cfi_startproc",
        // Debuggers believe such a frame, and no other, that its caller is on another stack. They look for the rules at the return
        // address itself then, which is why something follows it.
        ".cfi_signal_frame",
        "mov rbp, rdi",
        // The canonical frame address is three words above `outside`: DW_CFA_def_cfa_expression, 5 bytes: DW_OP_breg6 0 (rbp),
        // DW_OP_deref, DW_OP_plus_uconst 24.
        ".cfi_escape 0x0f, 5, 0x76, 0x00, 0x06, 0x23, 0x18",
        ".cfi_offset rbx, -8",
        ".cfi_offset rip, -16",
        ".cfi_offset rbp, -24",
        "call {work}",
        "ud2",
        ".cfi_endproc",
        work = sym work,
    )
}

/// Does one piece of work after another: making a fiber, and ending it, takes longer than many a piece of work. It owns nothing, so
/// that it may be forgotten while the fiber is idle.
extern "C" fn work(link: *const Link) -> ! {
    loop {
        // SAFETY: the link lives as long as the fiber's stack, and we are on that; the rest by the contract of `begin`.
        unsafe {
            let (run, with) = (*link).next.get();
            run(with);
            Link::leave(link, Left::Finished);
        }
    }
}

const _: () = assert!(std::mem::offset_of!(Link, outside) == 0, "root's rbp is a frame pointer");
const _: () = assert!(size_of::<Link>().is_multiple_of(16), "and its stack pointer is aligned");
