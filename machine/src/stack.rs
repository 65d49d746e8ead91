//! How much stack guest code may use, and the reserve below it for the engine's own work.
//!
//! Guest code checks its stack pointer against `VmStoreContext::stack_limit`, an address. It is the lower of what the embedder
//! allows and what the stack has: `max_wasm_stack` below the stack pointer at the outermost entry, but never so low that less than
//! the reserve stays above the stack's end. The reserve is for what runs below the deepest guest frame: leaf functions that
//! don't check, builtins, host functions, signal handlers on threads without an alternate stack.

pub use crate::arch::registers::stack_pointer;
use crate::arch::registers::this_thread;
pub use crate::stack_registry::stack_around;
use ampoule_core::vm::VmStackBounds;
use std::cell::Cell;
use std::io::BufRead;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Stack kept for the engine and the host below the deepest guest frame.
const RESERVE: usize = 32 << 10;

/// The bounds of a fiber's stack. They hold on the current thread, see [`on_this_thread`].
pub fn of_fiber(bounds: Range<usize>) -> VmStackBounds {
    let lowest = lowest(&bounds);
    let threads_ended = ENDED.load(Ordering::Relaxed);
    VmStackBounds { thread: this_thread(), threads_ended, start: bounds.start, end: bounds.end, lowest }
}

/// The same bounds, holding on the current thread, which is about to go on with the fiber on this stack.
#[inline]
pub fn on_this_thread(bounds: &VmStackBounds) -> VmStackBounds {
    VmStackBounds { thread: this_thread(), threads_ended: ENDED.load(Ordering::Relaxed), ..bounds.clone() }
}

/// The lowest stack pointer for guest code that is entered at `sp` (an address in the caller's frame) and may use `max`
/// bytes; what is found of the stack is kept in `known`.
///
/// The current stack may be the thread's own or a foreign one, such as a coroutine's: there the mapping around `sp` is
/// taken for the stack. Where `sp` already is in the reserve, the answer is above it: the first check stops the guest.
pub fn limit_for(known: &mut VmStackBounds, sp: usize, max: usize) -> usize {
    known.stop_asking();
    known_limit_for(known, sp, max).unwrap_or_else(|| {
        find(known, sp);
        sp.saturating_sub(max).max(known.lowest)
    })
}

/// As [`limit_for`], for a stack that is known already; `None` for another one.
#[inline]
pub fn known_limit_for(known: &VmStackBounds, sp: usize, max: usize) -> Option<usize> {
    let holds = known.thread == this_thread() && known.threads_ended == ENDED.load(Ordering::Relaxed);
    (holds && known.contains(sp)).then(|| sp.saturating_sub(max).max(known.lowest))
}

#[cold]
fn find(bounds: &mut VmStackBounds, sp: usize) {
    // Counted before the thread's bounds are taken: they are then at most as old as the count says.
    bounds.threads_ended = ENDED.load(Ordering::Relaxed);
    let own = OWN.try_with(|own| own.0.clone());
    // A thread whose values are being dropped will not be counted again, so its bounds are not kept.
    bounds.thread = if own.is_ok() { this_thread() } else { 0 };
    let own = own.unwrap_or_else(|_| thread_stack());
    let own = own.filter(|bounds| bounds.contains(&sp));
    let found = own.or_else(|| stack_around(sp)).or_else(|| mapping_around(sp));
    // Without any knowledge, the page we are on is all that is certain.
    let found = found.unwrap_or(sp & !4095..sp + 1);
    bounds.lowest = lowest(&found);
    (bounds.start, bounds.end) = (found.start, found.end);
}

/// Where the reserve ends.
fn lowest(bounds: &Range<usize>) -> usize {
    // On a tiny stack the full reserve would leave the guest nothing.
    bounds.start + RESERVE.min(bounds.len() / 3)
}

/// How many threads have ended after their stack's bounds were found.
pub(crate) static ENDED: AtomicUsize = AtomicUsize::new(0);

/// The bounds of this thread's own stack. Its end is counted: a thread's values are dropped while its stack is still there.
struct OwnStack(Option<Range<usize>>);

impl Drop for OwnStack {
    fn drop(&mut self) {
        ENDED.fetch_add(1, Ordering::Relaxed);
    }
}

thread_local!(static OWN: OwnStack = OwnStack(thread_stack()));

/// Whether two addresses are known to be on one stack: this thread's own, or a fiber's.
pub fn on_one_stack(a: usize, b: usize) -> bool {
    let both = |stack: &Range<usize>| stack.contains(&a) && stack.contains(&b);
    OWN.try_with(|own| own.0.as_ref().is_some_and(both)).unwrap_or(false)
        || stack_around(a).is_some_and(|stack| both(&stack))
}

/// How many bytes are left of the current stack, be it the thread's own, a fiber's, or a foreign one.
pub fn left() -> usize {
    thread_local!(static BOUNDS: Cell<(usize, usize)> = const { Cell::new((0, 0)) });
    let sp = stack_pointer();
    let (start, end) = BOUNDS.get();
    let mut bounds = start..end;
    if let Some(fiber) = stack_around(sp) {
        // Not remembered: another stack may take a fiber's place.
        bounds = fiber;
    } else if !bounds.contains(&sp) {
        let mut found = VmStackBounds::default();
        find(&mut found, sp);
        bounds = found.range();
        BOUNDS.set((bounds.start, bounds.end));
    }
    sp - bounds.start
}

/// The current thread's own stack, without its guard pages. For the main thread, what it may grow to.
fn thread_stack() -> Option<Range<usize>> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: writes the attributes of this thread, on success.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) } != 0 {
        return main_stack();
    }
    let (mut base, mut size, mut guard) = (std::ptr::null_mut(), 0, 0);
    // SAFETY: the attributes were written above; they are given back here and not used again.
    let found = unsafe {
        let found = libc::pthread_attr_getstack(attributes.as_ptr(), &mut base, &mut size);
        libc::pthread_attr_getguardsize(attributes.as_ptr(), &mut guard);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        found
    };
    // Whether the guard lies inside or below depends on the C library and its version; counting it as inside is right for either.
    // The stack starts where the guard ends.
    let start = base.addr().checked_add(guard)?;
    let end = base.addr().checked_add(size)?;
    (found == 0 && start < end).then_some(start..end)
}

/// The stack that the process began on, as far as that can be told without `/proc`, which may not be in reach: the C library asks there for it. The
/// kernel leaves room below it for what the limit says, and never for less than 128 MiB.
fn main_stack() -> Option<Range<usize>> {
    const LARGEST: usize = 8 << 20;
    // SAFETY: reads what the kernel has told the process.
    let random = unsafe { libc::getauxval(libc::AT_RANDOM) } as usize;
    // Those 16 bytes lie above all frames.
    let end = (random != 0).then_some(random + 16)?;
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: writes the limit, on success.
    if unsafe { libc::getrlimit(libc::RLIMIT_STACK, limit.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: it was written.
    let limit = unsafe { limit.assume_init() }.rlim_cur;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(LARGEST);
    // What lies above counts, too: arguments and environment, which may be a quarter.
    Some(end.saturating_sub(limit - limit / 4)..end)
}

/// The readable and writable mapping around an address.
fn mapping_around(address: usize) -> Option<Range<usize>> {
    let maps = std::io::BufReader::new(std::fs::File::open("/proc/self/maps").ok()?);
    maps.lines().map_while(Result::ok).find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
        (range.contains(&address) && rest.starts_with("rw")).then_some(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_thread<R: Send>(stack: usize, f: impl FnOnce() -> R + Send) -> R {
        std::thread::scope(|scope| {
            std::thread::Builder::new().stack_size(stack).spawn_scoped(scope, f).unwrap().join().unwrap()
        })
    }

    #[test]
    fn a_big_stack_gives_what_was_asked_for() {
        on_thread(8 << 20, || {
            let sp = stack_pointer();
            assert_eq!(limit_for(&mut VmStackBounds::default(), sp, 1 << 20), sp - (1 << 20));
        });
    }

    #[test]
    fn a_small_stack_keeps_a_reserve() {
        on_thread(64 << 10, || {
            let sp = stack_pointer();
            let mut stack = VmStackBounds::default();
            let limit = limit_for(&mut stack, sp, 1 << 20);
            assert!(limit < sp, "something is left for the guest");
            assert!(limit - stack.start >= 16 << 10, "and something for us");
            // All of what is left can be touched.
            for address in (stack.start..sp).step_by(4096) {
                // SAFETY: reads bytes of this thread's own stack.
                unsafe { (address as *const u8).read_volatile() };
            }
        });
    }

    #[test]
    fn bounds_are_not_taken_for_those_of_another_thread() {
        let mut stack = VmStackBounds::default();
        on_thread(64 << 10, || limit_for(&mut stack, stack_pointer(), 1 << 20));
        // As if a thread with the same control block had a larger stack, and has ended.
        (stack.start, stack.end, stack.lowest) = (4096, usize::MAX, 4096);
        on_thread(64 << 10, || {
            stack.thread = this_thread();
            let limit = limit_for(&mut stack, stack_pointer(), 1 << 20);
            assert!(stack_pointer() - limit < 64 << 10);
        });
    }

    #[test]
    fn bounds_hold_while_no_thread_ends() {
        let mut stack = VmStackBounds::default();
        let limit = limit_for(&mut stack, stack_pointer() - 4096, 1 << 30);
        let ended = ENDED.load(Ordering::Relaxed);
        stack.lowest += 4096;
        let again = limit_for(&mut stack, stack_pointer() - 4096, 1 << 30);
        // Where tests share a process, another's thread may have ended meanwhile.
        assert_eq!(again, if ENDED.load(Ordering::Relaxed) == ended { limit + 4096 } else { limit });
    }

    #[test]
    fn the_first_stack_is_found_without_asking_for_mappings() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
        let (start, rest) = line.split_once('-').unwrap();
        let address = |text| usize::from_str_radix(text, 16).unwrap();
        let mapping = address(start)..address(rest.split_once(' ').unwrap().0);
        let found = main_stack().unwrap();
        assert!(mapping.contains(&(found.end - 1)), "{found:x?} {mapping:x?}");
        // All that the kernel has made of it so far is in it, but for what lies above the frames.
        assert!(found.start <= mapping.start, "{found:x?} {mapping:x?}");
    }

    #[test]
    fn a_foreign_stack_is_the_mapping_around() {
        let mapping = crate::os::mmap::Mapping::reserve(1 << 20).unwrap();
        // SAFETY: nothing points into it.
        unsafe { mapping.protect(0x10000..0x50000, crate::os::mmap::Access::ReadWrite).unwrap() };
        let base = mapping.base().addr();
        let mut stack = VmStackBounds::default();
        let limit = limit_for(&mut stack, base + 0x4ff00, 1 << 30);
        assert_eq!(limit, base + 0x10000 + RESERVE);
    }
}
