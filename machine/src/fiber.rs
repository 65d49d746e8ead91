//! Fibers: stacks of their own for work that may be suspended.
//!
//! [`crate::arch::switch`] is how they are resumed and left. A suspended fiber is never unwound by force, because guest frames have no tables
//! for that: who gives it up resumes it with [`Wake::GiveUp`](crate::arch::switch::Wake), and its frames return one by one ([`crate::arch::divert`] sees to
//! those of the guest).

use crate::arch::switch::{Link, Wake};
use crate::arch::valgrind::StackRegistration;
use crate::os::mmap::{Access, Mapping, PAGE};
use crate::stack;
use crate::stack_registry::{self, stack_around};
use ampoule_core::vm::VmStackBounds;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;

/// The least stack that a fiber gets, whatever was asked for: below that, the engine's own frames would not fit.
pub const MIN_STACK: usize = 128 << 10;

/// A stack that the embedder provides. Dropping it gives it back.
///
/// # Safety
/// [`HostStack::range`] always tells the same bytes, which are readable and writable and used by nobody else until this value is
/// dropped. Below them is a page that faults.
pub unsafe trait HostStack: Send + Sync {
    /// The usable bytes, lowest first, at page boundaries.
    fn range(&self) -> Range<usize>;
}

/// A stack for fibers. A page below it faults.
///
/// 1. `range` is readable and writable, at page boundaries, at least [`PAGE`] long, and nobody's but this value's, as long as
///    `memory` lives.
/// 2. It is in [`stack_registry`], from when it was made until it is dropped.
pub struct FiberStack {
    range: Range<usize>,
    _valgrind: StackRegistration,
    memory: Memory,
}

enum Memory {
    Own(Mapping),
    Host(#[expect(dead_code, reason = "dropped with the stack")] Box<dyn HostStack>),
}

/// The link of the fiber whose stack `address` is in.
///
/// # Safety
/// A frame at the address is active, so that it isn't merely a stack without a fiber. The link is good as long as the frame.
pub unsafe fn link_around<'a>(address: usize) -> Option<&'a Link> {
    // SAFETY: by the caller, and invariant 1 of fibers.
    stack_around(address).map(|stack| unsafe { &*((stack.end - size_of::<Link>()) as *const Link) })
}

impl FiberStack {
    /// A stack of `size` bytes, rounded up, of zeros.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(size: usize) -> io::Result<Self> {
        let mapping = Mapping::reserve(size.max(MIN_STACK).saturating_add(PAGE))?;
        // SAFETY: nothing points into a new mapping.
        unsafe { mapping.protect(PAGE..mapping.len(), Access::ReadWrite)? };
        // One touched page must not cost the whole stack, where huge pages are given unasked.
        mapping.refuse_huge_pages();
        let base = mapping.base().addr();
        Ok(Self::over(base + PAGE..base + mapping.len(), Memory::Own(mapping)))
    }

    /// A stack over the embedder's bytes; `None` where they are too few or not at page boundaries.
    pub fn of_host(stack: Box<dyn HostStack>) -> Option<Self> {
        let range = stack.range();
        let fits = range.start != 0
            && range.start.is_multiple_of(PAGE)
            && range.end.is_multiple_of(PAGE)
            && range.end.checked_sub(range.start)? >= MIN_STACK;
        fits.then(|| Self::over(range, Memory::Host(stack)))
    }

    fn over(range: Range<usize>, memory: Memory) -> Self {
        stack_registry::add(range.clone());
        let valgrind = StackRegistration::new(&range);
        Self { range, _valgrind: valgrind, memory }
    }

    /// The usable bytes.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Address space that it occupies, with the page below it where that is known.
    pub fn reserved_len(&self) -> usize {
        match &self.memory {
            Memory::Own(mapping) => mapping.len(),
            Memory::Host(_) => self.range.len(),
        }
    }

    /// Gives the memory of all but the uppermost `keep` bytes back; with `zero`, those are cleared.
    pub fn reset(&mut self, keep: usize, zero: bool) {
        let keep = keep.min(self.range.len()) & !(PAGE - 1);
        if zero {
            // SAFETY: (1), and no fiber is on the stack: it would own it.
            unsafe { ((self.range.end - keep) as *mut u8).write_bytes(0, keep) };
        }
        if let Memory::Own(mapping) = &self.memory {
            // It can't fail for a private anonymous mapping; if it did, the memory would stay, and be zeroed below.
            // SAFETY: as above.
            let done = unsafe { mapping.reset(PAGE..mapping.len() - keep) };
            if done.is_ok() || !zero {
                return;
            }
        }
        if zero {
            // SAFETY: as above.
            unsafe { (self.range.start as *mut u8).write_bytes(0, self.range.len() - keep) };
        }
    }
}

impl Drop for FiberStack {
    fn drop(&mut self) {
        stack_registry::remove(self.range.end);
    }
}

/// A fiber, which does one piece of work after another.
///
/// 1. `link` is the upper end of `stack`, and the fiber uses the rest.
pub struct Fiber {
    link: NonNull<Link>,
    bounds: VmStackBounds,
    stack: FiberStack,
}

// SAFETY: the link is a part of the stack (1), which may go to another thread; who resumes a fiber may do so on any.
unsafe impl Send for Fiber {}

impl Fiber {
    /// An idle fiber.
    pub fn new(stack: FiberStack) -> Box<Self> {
        let range = stack.range();
        let at = range.end - size_of::<Link>();
        let link = NonNull::new(at as *mut Link).expect("the end of a range of bytes that exist");
        // SAFETY: the bytes are the stack's, which is ours; page boundaries are aligned enough.
        unsafe { link.write(Link::new(at)) };
        Box::new(Self { link, bounds: stack::of_fiber(range), stack })
    }

    /// What it is resumed, and left, by; good as long as the fiber. It is idle.
    #[inline]
    pub fn link(&self) -> *const Link {
        self.link.as_ptr()
    }

    /// The bounds of its stack.
    #[inline]
    pub fn bounds(&self) -> &VmStackBounds {
        &self.bounds
    }

    /// Its stack.
    pub fn stack(&self) -> &FiberStack {
        &self.stack
    }

    /// Ends an idle fiber, and gives its stack.
    pub fn end(self) -> FiberStack {
        self.stack
    }
}

/// Runs `work` with at least `needed` bytes of stack: here where so many are left, otherwise on a stack of its own. For what compiles, or
/// reads what a guest wrote, wherever that is called: on a small thread, on a fiber, in a host function below a deep guest.
///
/// A panic in `work` goes on in the caller. Where no stack can be had, `work` runs on the current one.
pub fn with_stack<R, W: FnOnce() -> R>(needed: usize, work: W) -> R {
    if stack::left() >= needed {
        return work();
    }
    let Ok(stack) = FiberStack::new(needed.saturating_mul(2)) else { return work() };
    on_fiber(&Fiber::new(stack), work)
}

/// Runs `work` on an idle fiber that nobody else uses.
#[inline(never)]
fn on_fiber<R, W: FnOnce() -> R>(fiber: &Fiber, work: W) -> R {
    struct Job<R, W> {
        work: Option<W>,
        result: Option<std::thread::Result<R>>,
    }
    /// # Safety
    /// `job` is a [`Job`] of these types, which nobody else uses meanwhile.
    unsafe fn run<R, W: FnOnce() -> R>(job: *mut ()) {
        // SAFETY: the job below, whose owner waits.
        let job = unsafe { &mut *job.cast::<Job<R, W>>() };
        let work = job.work.take().expect("a job is done once");
        job.result = Some(catch_unwind(AssertUnwindSafe(work)));
    }
    let mut job = Job { work: Some(work), result: None };
    // SAFETY: the fiber is idle, by the caller, and no other thread has it. `run` does not unwind, and the job lives until the fiber is left:
    // `work` does not know the fiber, so it can't be left before its work is done.
    unsafe {
        (*fiber.link()).begin(run::<R, W>, (&raw mut job).cast());
        Link::resume(fiber.link(), Wake::Continue);
    }
    match job.result.expect("the fiber was left when its work was done") {
        Ok(result) => result,
        Err(panic) => resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_thread<R: Send>(stack: usize, f: impl FnOnce() -> R + Send) -> R {
        std::thread::scope(|scope| {
            std::thread::Builder::new().stack_size(stack).spawn_scoped(scope, f).unwrap().join().unwrap()
        })
    }

    fn deep(levels: usize) -> usize {
        let block = std::hint::black_box([levels as u8; 1024]);
        if levels == 0 { 0 } else { deep(levels - 1) + usize::from(block[0] == levels as u8) }
    }

    #[test]
    fn work_that_needs_stack_gets_it() {
        assert_eq!(on_thread(64 << 10, || with_stack(1 << 20, || deep(255))), 255);
        assert_eq!(on_thread(64 << 10, || with_stack(1 << 20, || with_stack(2 << 20, || deep(1000)))), 1000);
        assert!(on_thread(64 << 10, || catch_unwind(|| with_stack(1 << 20, || panic!("x")))).is_err());
    }

    #[test]
    fn work_that_has_enough_stack_stays_where_it_is() {
        let here = stack::stack_pointer();
        assert!(on_thread(8 << 20, stack::left) > 7 << 20);
        assert!(with_stack(4 << 10, || stack::on_one_stack(here, stack::stack_pointer())));
    }
}
