//! Entering guest code, leaving it early, and walking its frames.
//!
//! [`enter`] makes the entry frame, under which all guest frames of one activation lie (so do [`super::native`], for plain C calls, and
//! [`super::raw_call`]):
//!
//! ```text
//! fp + 8    return address into the host
//! fp        the host's frame pointer          <- VmStoreContext::entry_fp
//! fp - 8    rbx  \
//! fp - 16   r12   |
//! fp - 24   r13   | the host's, given back whichever way the guest ends
//! fp - 32   r14   |
//! fp - 40   r15  /
//! fp - 48   the store's VmStoreContext, plus who made the frame: see `frame`
//! fp - 56   its entry_fp  \
//! fp - 64   its exit_fp    | as they were before: those of the activation outside, if any
//! fp - 72   its caller    /
//! fp - 80   unused, keeps the stack aligned
//! fp - 88   return address into who made it: what a walk knows the end of an activation by (at fp - 104 of a `raw_call`)
//! ```
//!
//! Entry frames of one store end in the reverse order of their beginnings. Two of them on different stacks need not: where a stack is
//! switched away from, and back to, is the embedder's choice. So each frame, however it ends, is compared with `entry_fp`, and
//! [`out_of_order`] ends the process.

use ampoule_core::artifact::KeptRegisters;
use ampoule_core::vm::{VmContext, VmFuncRef, VmStoreContext};
use std::arch::naked_asm;
use std::mem::offset_of;

/// Where [`enter`] keeps what, from its frame pointer. The assembly and the readers below take offsets from here only.
pub(super) mod frame {
    pub const STORE: i32 = -48;
    pub const ENTRY_FP: i32 = -56;
    pub const EXIT_FP: i32 = -64;
    pub const CALLER: i32 = -72;

    // What is added to the store's address, which is a multiple of eight, where it isn't `enter` that made the frame.
    /// Who made the frame, and how.
    pub const MAKER: usize = 7;
    /// Outside of any other: nothing is at `ENTRY_FP`, `EXIT_FP` and `CALLER`, all of which were null.
    pub const OUTERMOST: usize = 1;
    /// A native call.
    pub const NATIVE: usize = 2;
    /// A raw call.
    pub const RAW: usize = 4;
}

/// What `VmStoreContext::entry_fp` is where no guest runs, and none may be entered without asking the store first: the store waits
/// for a poll, or takes asynchronous calls only. No frame is there. Zero stands for the same without such a condition.
pub const RESERVED: usize = 1;

/// [`enter`]'s answer when the guest has returned.
pub const RETURNED: u32 = 0;
/// [`enter`]'s answer when the thunk refused the arguments' kinds, and no guest code ran.
pub const REFUSED: u32 = 1;
/// [`enter`]'s answer when the guest was unwound.
pub const UNWOUND: u32 = 2;

/// Calls an entry thunk. Answers what it answers, [`RETURNED`] or [`REFUSED`], or [`UNWOUND`].
///
/// `entry_fp`, `exit_fp` and `caller` of the store are the same afterwards as before.
///
/// # Safety
/// `store` is live and may be written; `thunk` is an entry thunk of the type of `func_ref`, and the latter belongs to the store;
/// `args` and `results` have as many values as that type says. `stack_limit` is set for the current stack. Everything the guest
/// can reach of the store is live until this returns, and no Rust reference to any of it is used meanwhile.
#[unsafe(naked)]
pub unsafe extern "C" fn enter(
    store: *mut VmStoreContext,
    thunk: *const u8,
    func_ref: *const VmFuncRef,
    args: *mut u8,
    results: *mut u8,
) -> u32 {
    naked_asm!(
        // The canonical frame address is `fp + 16`; what follows is the picture above, for unwinders.
        ".cfi_startproc",
        ".cfi_personality 0x1b, {no_way_out}",
        entry_frame!(),
        "push rdi",
        "push qword ptr [rdi + {store_entry_fp}]",
        "push qword ptr [rdi + {store_exit_fp}]",
        "push qword ptr [rdi + {store_caller}]",
        "sub rsp, 8",
        "mov qword ptr [rdi + {store_entry_fp}], rbp",
        "mov rax, rsi",
        "mov rdi, rdx",
        "mov rsi, rcx",
        "mov rdx, r8",
        "mov rcx, qword ptr [rsp + 80 + {frame_store}]",
        "call rax",
        // The end of an activation, for walks. Hidden: each library that holds this code has its own.
        ".globl ampoule_entry_return",
        ".hidden ampoule_entry_return",
        "ampoule_entry_return:",
        "2:",
        // From the stack pointer, which is `rbp - 80` again: `rbp` comes back from memory.
        "mov rdi, qword ptr [rsp + 80 + {frame_store}]",
        "lea rcx, [rsp + 80]",
        "cmp qword ptr [rdi + {store_entry_fp}], rcx",
        "jne 9f",
        "mov rcx, qword ptr [rsp + 80 + {frame_entry_fp}]",
        "mov qword ptr [rdi + {store_entry_fp}], rcx",
        "mov rcx, qword ptr [rsp + 80 + {frame_exit_fp}]",
        "mov qword ptr [rdi + {store_exit_fp}], rcx",
        "mov rcx, qword ptr [rsp + 80 + {frame_caller}]",
        "mov qword ptr [rdi + {store_caller}], rcx",
        "add rsp, 40",
        ".cfi_remember_state",
        drop_entry_frame!(),
        "ret",
        ".cfi_restore_state",
        "9:",
        "call {out_of_order}",
        // Where unwinding lands: rbp is the entry frame's, everything else is lost.
        ".globl ampoule_entry_landing",
        ".hidden ampoule_entry_landing",
        "ampoule_entry_landing:",
        "test byte ptr [rbp + {frame_store}], {maker}",
        "jne {native_landing}",
        "lea rsp, [rbp - 80]",
        "mov eax, {unwound}",
        "jmp 2b",
        ".cfi_endproc",
        store_entry_fp = const offset_of!(VmStoreContext, entry_fp),
        store_exit_fp = const offset_of!(VmStoreContext, exit_fp),
        store_caller = const offset_of!(VmStoreContext, caller),
        frame_store = const frame::STORE,
        frame_entry_fp = const frame::ENTRY_FP,
        frame_exit_fp = const frame::EXIT_FP,
        frame_caller = const frame::CALLER,
        maker = const frame::MAKER,
        native_landing = sym super::native::landing,
        out_of_order = sym out_of_order,
        no_way_out = sym no_way_out,
        unwound = const UNWOUND,
    )
}

/// Keeps [`enter`] in programs that never enter, such as the unit tests: others refer to labels in it.
#[used]
static KEPT: unsafe extern "C" fn(*mut VmStoreContext, *const u8, *const VmFuncRef, *mut u8, *mut u8) -> u32 = enter;

unsafe extern "C" {
    /// Where a thunk returns to in [`enter`].
    #[link_name = "ampoule_entry_return"]
    static ENTRY_RETURN: u8;
    /// Where a function returns to in [`super::native::enter_native`].
    #[link_name = "ampoule_native_return"]
    static NATIVE_RETURN: u8;
    /// Where a thunk returns to in [`super::raw_call::call`].
    #[link_name = "ampoule_raw_return"]
    static RAW_RETURN: u8;
}

/// Whether an address is where an entry frame is returned to.
#[inline]
fn is_entry(pc: usize) -> bool {
    pc == (&raw const ENTRY_RETURN).addr()
        || pc == (&raw const NATIVE_RETURN).addr()
        || pc == (&raw const RAW_RETURN).addr()
}

/// An entry frame ends that is not the innermost of its store: the embedder has switched from one stack to another in between. What the
/// store knows of its guests would be wrong from here on.
#[cold]
pub(super) extern "C" fn out_of_order() -> ! {
    eprintln!(
        "ampoule: a guest ends before a later call into its store: it was left on a suspended stack, and resumed inside of that call"
    );
    std::process::abort()
}

/// What unwinders ask of entry frames when an exception of another language, or the end of a thread, passes a guest.
#[cold]
pub(super) extern "C" fn no_way_out() -> ! {
    eprintln!("ampoule: an exception has left a host function, through a guest");
    std::process::abort()
}

/// Abandons every frame below the entry frame `entry_fp`: its [`enter`] returns [`UNWOUND`], or its native call zeros.
///
/// # Safety
/// `entry_fp` is the frame pointer of an [`enter`] or `enter_native` that is active on this stack, as `VmStoreContext::entry_fp` tells. No frame
/// below it owns anything or is needed again.
#[unsafe(naked)]
pub unsafe extern "C" fn unwind(entry_fp: usize) -> ! {
    naked_asm!(".cfi_startproc", "mov rbp, rdi", frame_rules!(), "jmp ampoule_entry_landing", ".cfi_endproc")
}

/// A place in guest code (thunks included) that is active on the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GuestFrame {
    /// The program counter.
    pub pc: usize,
    /// The frame pointer. The stack pointer at the call is this less the `frame_size` of the call's stack map.
    pub fp: usize,
    /// Whether `pc` is where a call returns to, so that its position is that of `pc - 1`; otherwise `pc` is the instruction itself.
    pub is_return_address: bool,
}

/// Where a guest goes on that has something thrown to it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Landing {
    /// Of the handler.
    pub pc: usize,
    /// The stack pointer there.
    pub sp: usize,
    /// The frame pointer there.
    pub fp: usize,
    /// What the guest convention hands to handlers: the first word of Cranelift's payload, in `rax`.
    pub payload: u64,
    /// What callees keep.
    pub kept: Kept,
}

/// What is in the registers that the guest convention keeps for callers: `rbx`, and `r12` to `r15`.
#[repr(transparent)]
#[derive(Clone, Copy, Default, Debug)]
pub struct Kept([usize; 5]);

impl Kept {
    /// Makes them what they are again when the function returns whose frame that is. It has `registers` of them in its frame.
    ///
    /// # Safety
    /// The frame is active, and one of a function of which that is true.
    pub unsafe fn leave(&mut self, frame: GuestFrame, registers: KeptRegisters) {
        for (number, below) in registers.places() {
            if let Some(register) = self.0.get_mut(number) {
                // SAFETY: by the caller, the word is part of the frame.
                *register = unsafe { ((frame.fp - below) as *const usize).read() };
            }
        }
    }
}

/// The guest frames of one activation, innermost first, and then what its entry frame keeps.
///
/// Reads the stack through frame pointers, which guest code always has, so it takes no lock and allocates nothing.
#[derive(Clone, Debug)]
pub struct GuestFrames {
    next: Option<GuestFrame>,
    entry_fp: usize,
}

impl GuestFrames {
    /// The frames below an exit: `exit_fp` as `VmStoreContext::exit_fp` tells. There are none where a native call is all that is
    /// below it.
    ///
    /// # Safety
    /// `exit_fp` is the frame pointer of an exit thunk or builtin trampoline that is active, called from guest code or by a native
    /// call. The walk must end before the guest goes on.
    pub unsafe fn below_exit(exit_fp: usize) -> Self {
        // SAFETY: by the contract of exits, the two words at an exit's frame pointer are those of its caller.
        let (fp, pc) = unsafe { ((exit_fp as *const usize).read(), (exit_fp as *const usize).add(1).read()) };
        // A native call of a host function, or of a guest function that made way for one by a tail call.
        if pc == (&raw const NATIVE_RETURN).addr() {
            return Self { next: None, entry_fp: fp };
        }
        // SAFETY: any other caller of an exit is guest code, active as long as the exit.
        unsafe { Self::from(GuestFrame { pc, fp, is_return_address: true }) }
    }

    /// The frames of a store's innermost activation; `None` where no guest is active.
    ///
    /// # Safety
    /// The store is live, and its guest, if one is active, has left through the exit that `exit_fp` tells of.
    pub unsafe fn innermost(store: &VmStoreContext) -> Option<Self> {
        if store.entry_fp() <= RESERVED {
            return None;
        }
        // SAFETY: by the caller.
        let frames = unsafe { Self::below_exit(store.exit_fp) };
        if frames.clone().entry().fp != store.entry_fp() {
            out_of_order();
        }
        Some(frames)
    }

    /// The frames from this one on.
    ///
    /// # Safety
    /// `frame` is a frame of guest code that is active. The walk must end before the guest goes on.
    pub unsafe fn from(frame: GuestFrame) -> Self {
        Self { next: Some(frame), entry_fp: 0 }
    }

    /// Whether there are no more.
    pub fn is_empty(&self) -> bool {
        self.next.is_none()
    }

    /// Walks to the end, and answers what the entry frame keeps.
    pub fn entry(mut self) -> EntryFrame {
        while self.next().is_some() {}
        EntryFrame { fp: self.entry_fp }
    }
}

impl Iterator for GuestFrames {
    type Item = GuestFrame;

    fn next(&mut self) -> Option<GuestFrame> {
        let frame = self.next?;
        // SAFETY: `frame` is an active guest frame (the constructors' contract, kept by the lines below), and every guest frame
        // starts with its caller's frame pointer and its return address.
        let (fp, pc) = unsafe { ((frame.fp as *const usize).read(), (frame.fp as *const usize).add(1).read()) };
        if is_entry(pc) {
            self.next = None;
            self.entry_fp = fp;
        } else {
            self.next = Some(GuestFrame { pc, fp, is_return_address: true });
        }
        Some(frame)
    }
}

/// The frame of an active [`enter`], or of an active native call.
#[derive(Clone, Copy, Debug)]
pub struct EntryFrame {
    fp: usize,
}

impl EntryFrame {
    /// The frame at a frame pointer.
    ///
    /// # Safety
    /// It is that of an active entry frame.
    pub(super) unsafe fn at(fp: usize) -> Self {
        Self { fp }
    }

    /// The frame pointer.
    pub fn fp(self) -> usize {
        self.fp
    }

    /// The store that was entered.
    pub fn store(self) -> *mut VmStoreContext {
        (self.word(frame::STORE) & !frame::MAKER) as *mut VmStoreContext
    }

    /// The store's `caller` before this activation.
    pub fn caller(self) -> *mut VmContext {
        self.kept(frame::CALLER) as *mut VmContext
    }

    /// The frames of the activation of the same store outside of this one, whose guest called the host that entered here. `None`
    /// where there is none.
    pub fn outer(self) -> Option<GuestFrames> {
        // SAFETY: that guest waits in an exit, which is active as long as what it called, this activation.
        self.outer_exit_fp().map(|exit_fp| unsafe { GuestFrames::below_exit(exit_fp) })
    }

    /// The `exit_fp` of the guest whose host entered here; `None` where there is none.
    pub fn outer_exit_fp(self) -> Option<usize> {
        // A store that wasn't running had no entry frame, and its exit frame was stale.
        (self.kept(frame::ENTRY_FP) > RESERVED).then(|| self.kept(frame::EXIT_FP))
    }

    /// The entry frame of the guest whose host entered here, as `VmStoreContext::entry_fp` told it.
    pub fn outer_entry_fp(self) -> usize {
        self.kept(frame::ENTRY_FP)
    }

    /// Changes what is outside of this activation: what the store's `entry_fp` and `exit_fp` will be when it ends.
    ///
    /// # Safety
    /// `entry_fp` is zero or [`RESERVED`], or both are those of a guest of the same store that waits for this activation.
    pub unsafe fn set_outer(self, entry_fp: usize, exit_fp: usize) {
        // SAFETY: as in `word`; by the caller, walks go on to where they may.
        unsafe {
            if self.is_outermost() {
                // From now on something is there.
                let store = self.word(frame::STORE);
                (self.fp as *mut usize).byte_offset(frame::CALLER as isize).write(0);
                (self.fp as *mut usize).byte_offset(frame::STORE as isize).write(store & !frame::OUTERMOST);
            }
            (self.fp as *mut usize).byte_offset(frame::ENTRY_FP as isize).write(entry_fp);
            (self.fp as *mut usize).byte_offset(frame::EXIT_FP as isize).write(exit_fp);
        }
    }

    fn is_outermost(self) -> bool {
        self.word(frame::STORE) & frame::OUTERMOST != 0
    }

    /// A word of the store as it was before this activation.
    fn kept(self, offset: i32) -> usize {
        if self.is_outermost() { 0 } else { self.word(offset) }
    }

    fn word(self, offset: i32) -> usize {
        // SAFETY: `fp` was found behind the return address into `enter`, so it is an active entry frame, laid out as above.
        unsafe { (self.fp as *const usize).byte_offset(offset as isize).read() }
    }
}

/// All guest frames of the store that runs, from this frame on through every activation, innermost first.
///
/// # Safety
/// As [`GuestFrames::from`].
pub unsafe fn all_frames(frames: GuestFrames) -> impl Iterator<Item = GuestFrame> {
    let mut frames = Some(frames);
    std::iter::from_fn(move || {
        loop {
            let current = frames.as_mut()?;
            if let Some(frame) = current.next() {
                return Some(frame);
            }
            frames = EntryFrame { fp: current.entry_fp }.outer();
        }
    })
}
