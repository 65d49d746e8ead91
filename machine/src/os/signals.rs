//! Hardware faults in guest code, told apart from everyone else's.
//!
//! The handler compares the program counter with the bounds of the code space (two atomics) and does one of two things:
//!
//! * Guest code faulted: it moves the thread to `fault_landing`, below the guest's stack pointer, and returns. All real work
//!   happens there, in ordinary context, with the signal mask as it was.
//! * Anything else: it does what would have been done had we never been here, see `chain`.
//!
//! The handler takes no lock, allocates nothing, and touches no thread-local state (docs/security.md, rule 14). It is installed
//! once per process and stays. Handlers installed before keep working; one installed later must pass on what it doesn't
//! know, as ours does.

use crate::arch::fault;
use crate::code::space;
use crate::os::sync::Mutex;
use libc::{c_int, c_void, sigaction, siginfo_t, ucontext_t};
use std::io;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The signals that a fault may arrive as.
const SIGNALS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// What was there before us, for each of [`SIGNALS`]; null until installed. What they point to is never freed.
static PREVIOUS: [AtomicPtr<sigaction>; 4] = [const { AtomicPtr::new(null_mut()) }; 4];

/// Installs the handler, if that wasn't done yet.
///
/// # Errors
/// What the operating system says; then nothing was installed that a later call would not complete.
pub fn install() -> io::Result<()> {
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = INSTALLING.lock();
    for (signal, previous) in SIGNALS.into_iter().zip(&PREVIOUS) {
        if previous.load(Ordering::Acquire).is_null() {
            install_for(signal, previous)?;
        }
    }
    Ok(())
}

/// Runs `work` with all signals blocked in this thread; a thread made in it has them blocked for good.
pub fn with_all_blocked<R>(work: impl FnOnce() -> R) -> R {
    let (mut all, mut before) = (MaybeUninit::<libc::sigset_t>::uninit(), MaybeUninit::<libc::sigset_t>::uninit());
    // SAFETY: the first call fills the set that the second reads; the second fills the other, where it succeeds.
    let blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let result = work();
    if blocked {
        // SAFETY: `before` was filled.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), null_mut()) };
    }
    result
}

fn install_for(signal: c_int, previous: &AtomicPtr<sigaction>) -> io::Result<()> {
    let before = current_action(signal)?;
    // SAFETY: all zeros is a valid `sigaction`: default handler, no flags, empty mask.
    let mut ours: sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    ours.sa_sigaction = handler as *const () as usize;
    // A guest may have used up its stack, so the handler runs on the thread's alternate one where there is one.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | (before.sa_flags & libc::SA_RESTART);
    // Stored first: the handler may run as soon as it is installed.
    previous.store(Box::into_raw(Box::new(before)), Ordering::Release);
    // SAFETY: `ours` is a valid action, and the handler keeps to what handlers may do.
    if unsafe { libc::sigaction(signal, &ours, null_mut()) } != 0 {
        let error = io::Error::last_os_error();
        previous.store(null_mut(), Ordering::Release);
        return Err(error);
    }
    Ok(())
}

fn current_action(signal: c_int) -> io::Result<sigaction> {
    let mut action = MaybeUninit::uninit();
    // SAFETY: a null new action changes nothing; the old one is written on success.
    match unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) } {
        // SAFETY: success, so it was written.
        0 => Ok(unsafe { action.assume_init() }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// # Safety
/// Called by the kernel, as a handler installed with `SA_SIGINFO`.
unsafe extern "C" fn handler(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes both to a handler with SA_SIGINFO, valid until it returns, to this thread alone.
    let (info_ref, registers) = unsafe { (&*info, &mut *context.cast::<ucontext_t>()) };
    let pc = fault::program_counter(registers);
    if is_fault(info_ref) && space::contains(pc) {
        // SAFETY: `si_addr` may be read for these signals when the kernel raised them.
        let address = unsafe { info_ref.si_addr() };
        fault::divert_to_landing(registers, pc, address.addr(), signal);
        return;
    }
    // SAFETY: what we got is passed on as it is.
    unsafe { chain(signal, info, context) }
}

/// Whether the running instruction raised the signal, rather than somebody sending it.
fn is_fault(info: &siginfo_t) -> bool {
    info.si_code > 0
}

/// Does what the action before ours asks for: calls the handler with the mask it wanted, ignores the signal, or takes the default.
///
/// # Safety
/// To be called from a signal handler with its arguments.
unsafe fn chain(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let position = SIGNALS.iter().position(|&known| known == signal);
    let Some(slot) = position.and_then(|position| PREVIOUS.get(position)) else { return };
    let previous = slot.load(Ordering::Acquire);
    // SAFETY: stored before the handler was installed, never freed, and never written.
    let Some(previous) = (unsafe { previous.as_ref() }) else { return };
    // SAFETY: `info` is the kernel's.
    let fault = unsafe { is_fault(&*info) };
    match previous.sa_sigaction {
        // The kernel lets nobody ignore a fault of their own.
        libc::SIG_IGN if !fault => {}
        libc::SIG_IGN | libc::SIG_DFL => {
            // Once the default is back, a fault happens again as soon as we return; a signal somebody sent is sent again, and waits
            // until we return because it is blocked meanwhile.
            // SAFETY: both are allowed in handlers.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                if !fault {
                    libc::raise(signal);
                }
            }
        }
        handler => {
            if previous.sa_flags & libc::SA_RESETHAND != 0 {
                slot.store((&raw const DEFAULT_ACTION.0).cast_mut(), Ordering::Release);
            }
            // The mask it would have run with; ours, which blocks `signal` alone, comes back when we return to the kernel.
            // SAFETY: both are allowed in handlers, and the sets are valid.
            unsafe {
                libc::pthread_sigmask(libc::SIG_BLOCK, &previous.sa_mask, null_mut());
                if previous.sa_flags & libc::SA_NODEFER != 0 && libc::sigismember(&previous.sa_mask, signal) == 0 {
                    let mut only = MaybeUninit::uninit();
                    libc::sigemptyset(only.as_mut_ptr());
                    libc::sigaddset(only.as_mut_ptr(), signal);
                    libc::pthread_sigmask(libc::SIG_UNBLOCK, only.as_ptr(), null_mut());
                }
            }
            if previous.sa_flags & libc::SA_SIGINFO != 0 {
                // SAFETY: a handler installed with SA_SIGINFO has this type.
                let handler: unsafe extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                    unsafe { std::mem::transmute(handler) };
                // SAFETY: these are the arguments it would have got.
                unsafe { handler(signal, info, context) }
            } else {
                // SAFETY: a handler installed without SA_SIGINFO has this type.
                let handler: unsafe extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
                // SAFETY: this is the argument it would have got.
                unsafe { handler(signal) }
            }
        }
    }
}

struct DefaultAction(sigaction);

// SAFETY: it is never written, and what it may point to (`sa_restorer`) is null.
unsafe impl Sync for DefaultAction {}

/// What takes the place of a handler that was to run once.
// SAFETY: all zeros is a valid `sigaction`: default handler, no flags, empty mask.
static DEFAULT_ACTION: DefaultAction = DefaultAction(unsafe { MaybeUninit::zeroed().assume_init() });
