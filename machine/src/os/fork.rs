//! Forks of this process: no lock of the engine is held while one happens, and children know what they are without a call to the
//! system.
//!
//! A forked child has the forking thread alone. A lock that another thread held would stay locked in it for ever, over a value that is
//! half changed. So whoever holds a lock of the engine is in a [`Section`], and a fork waits until no thread is in one. The types in
//! [`super::sync`] see to it; nothing else should lock.
//!
//! Sections are short. What takes long is in none: a child finds the claims, the counts and the lists of sleepers of its parent's
//! threads, and tells by their [`generation`] that nobody is behind them.

use super::futex;
use std::cell::{Cell, UnsafeCell};
use std::io;
use std::marker::PhantomData;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use std::sync::{Mutex, PoisonError};

/// How many forks led here since watching began.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// One while a thread forks. Threads that are about to enter a section sleep on it.
static FORKING: AtomicU32 = AtomicU32::new(0);

/// Counts sections that end while a thread forks, which sleeps on it.
static LEFT: AtomicU32 = AtomicU32::new(0);

/// How many threads are in a section, in several counters so that threads rarely share a cache line.
static INSIDE: [Counter; 16] = [const { Counter(AtomicUsize::new(0)) }; 16];

#[repr(align(128))]
struct Counter(AtomicUsize);

thread_local! {
    /// How many sections this thread is in, one in another.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// While this value lives, the process is not forked by another thread. A thread may be in several at once.
#[derive(Debug)]
pub struct Section(PhantomData<*const ()>);

impl Section {
    /// Waits for a fork that is going on.
    #[inline]
    pub fn enter() -> Section {
        DEPTH.with(|depth| {
            if depth.get() == 0 {
                arrive(counter_of(depth));
            }
            depth.set(depth.get() + 1);
        });
        Section(PhantomData)
    }
}

impl Drop for Section {
    #[inline]
    fn drop(&mut self) {
        DEPTH.with(|depth| {
            depth.set(depth.get() - 1);
            if depth.get() == 0 {
                leave(counter_of(depth));
            }
        });
    }
}

/// The counter of the thread that this variable is of.
#[inline]
fn counter_of(depth: &Cell<u32>) -> &'static AtomicUsize {
    // Threads' variables lie as far apart as their stacks do. The upper bits of a product depend on all bits of the address.
    let hash = (std::ptr::from_ref(depth).addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &INSIDE[(hash >> 60) as usize].0
}

#[inline]
fn arrive(counter: &AtomicUsize) {
    loop {
        // Counted before the look for a fork, which looks at the counters after it has announced itself.
        counter.fetch_add(1, SeqCst);
        if FORKING.load(SeqCst) == 0 {
            return;
        }
        leave(counter);
        wait_for_fork();
    }
}

#[inline]
fn leave(counter: &AtomicUsize) {
    counter.fetch_sub(1, SeqCst);
    if FORKING.load(SeqCst) != 0 {
        wake_forking();
    }
}

#[cold]
fn wait_for_fork() {
    while FORKING.load(SeqCst) != 0 {
        futex::wait(&FORKING, 1, None);
    }
}

#[cold]
fn wake_forking() {
    LEFT.fetch_add(1, SeqCst);
    futex::wake(&LEFT);
}

/// What else is to be done around a fork, while no other thread is in a section. It may lock what nobody holds.
pub trait Hook: Sync {
    /// Before it.
    fn before(&self);
    /// After it, in the parent.
    fn in_parent(&self);
    /// After it, in the child.
    fn in_child(&self);
}

/// The hooks, and whether forks are watched.
struct Watched {
    installed: bool,
    hooks: Vec<&'static dyn Hook>,
}

static WATCHED: Mutex<Watched> = Mutex::new(Watched { installed: false, hooks: Vec::new() });

/// Watches for forks from now on, if that wasn't done yet. Every engine has it done before it has anything else.
///
/// # Errors
/// What the operating system says.
pub fn watch() -> io::Result<()> {
    let _section = Section::enter();
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    if !watched.installed {
        // SAFETY: the handlers are functions that live as long as the process.
        match unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) } {
            0 => watched.installed = true,
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
    Ok(())
}

/// Has something done around each fork from now on.
///
/// # Errors
/// See [`watch`].
pub fn add_hook(hook: &'static dyn Hook) -> io::Result<()> {
    watch()?;
    let _section = Section::enter();
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner).hooks.push(hook);
    Ok(())
}

/// A number that is another one in a child than in its parent, once forks are watched.
pub fn generation() -> u32 {
    GENERATION.load(Relaxed)
}

/// Does something during which no other thread forks this process.
pub fn hold_off<R>(act: impl FnOnce() -> R) -> R {
    let _section = Section::enter();
    act()
}

/// Does something that may be done again and again, the first time while no other thread forks: for what makes something for the whole
/// process then, in a way of its own, which a child must not find half made.
pub fn hold_off_once<R>(done: &AtomicBool, act: impl FnOnce() -> R) -> R {
    if done.load(Acquire) {
        return act();
    }
    let result = hold_off(act);
    done.store(true, Release);
    result
}

/// The section that the forking thread is in until the fork is over.
struct Own(UnsafeCell<Option<Section>>);

// SAFETY: only used by the thread that has set `FORKING`.
unsafe impl Sync for Own {}

static OWN: Own = Own(UnsafeCell::new(None));

/// # Safety
/// Called by the system before a fork, by the thread that forks.
unsafe extern "C" fn before() {
    while FORKING.compare_exchange(0, 1, SeqCst, SeqCst).is_err() {
        futex::wait(&FORKING, 1, None);
    }
    DEPTH.with(|depth| {
        // A thread that forks in a section, in a function of the embedder's that it calls there, is the one that counts itself.
        let own = usize::from(depth.get() > 0);
        loop {
            let left = LEFT.load(SeqCst);
            if INSIDE.iter().map(|counter| counter.0.load(SeqCst)).sum::<usize>() <= own {
                break;
            }
            futex::wait(&LEFT, left, None);
        }
        if depth.get() == 0 {
            // Not by `arrive`, which would wait for us.
            counter_of(depth).fetch_add(1, SeqCst);
        }
        depth.set(depth.get() + 1);
    });
    // SAFETY: this thread has set `FORKING`.
    unsafe { *OWN.0.get() = Some(Section(PhantomData)) };
    for_each_hook(|hook| hook.before());
}

/// # Safety
/// Called by the system after [`before`], by the same thread, in the parent.
unsafe extern "C" fn in_parent() {
    for_each_hook(|hook| hook.in_parent());
    // SAFETY: this thread has set `FORKING`.
    let own = unsafe { (*OWN.0.get()).take() };
    FORKING.store(0, SeqCst);
    futex::wake(&FORKING);
    drop(own);
}

/// # Safety
/// Called by the system after [`before`], by the copy of the same thread, in the child.
unsafe extern "C" fn in_child() {
    GENERATION.fetch_add(1, Relaxed);
    // Threads that were about to wait for the fork may have counted themselves.
    INSIDE.iter().for_each(|counter| counter.0.store(0, SeqCst));
    DEPTH.with(|depth| counter_of(depth).store(1, SeqCst));
    for_each_hook(|hook| hook.in_child());
    // SAFETY: this thread is the copy of the one that has set `FORKING`, and nobody else is here.
    let own = unsafe { (*OWN.0.get()).take() };
    FORKING.store(0, SeqCst);
    drop(own);
}

fn for_each_hook(act: impl Fn(&dyn Hook)) {
    // Free: it is only held in sections.
    let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    watched.hooks.iter().for_each(|hook| act(*hook));
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::sync;
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    /// Forks, and asserts that `claim` holds in the child, which ends by a signal should that take for ever.
    pub(crate) fn assert_in_child(claim: impl FnOnce() -> bool) {
        // SAFETY: the child, in its only thread, runs what is tested and ends without returning.
        match unsafe { libc::fork() } {
            0 => {
                // SAFETY: ends the process.
                unsafe {
                    libc::alarm(20);
                    libc::_exit(i32::from(!claim()))
                }
            }
            child => {
                let mut status = 0;
                // SAFETY: waits for the child made above.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(status, 0);
            }
        }
    }

    #[test]
    fn what_is_locked_is_whole_and_free_in_children() {
        static SHARED: sync::Mutex<u32> = sync::Mutex::new(0);
        watch().unwrap();
        let parent = generation();
        let (begun, wait) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut shared = SHARED.lock();
            begun.send(()).unwrap();
            thread::sleep(Duration::from_millis(50));
            *shared += 1;
        });
        wait.recv().unwrap();
        assert_in_child(|| {
            assert_in_child(|| *SHARED.lock() == 1 && generation() == parent + 2);
            *SHARED.lock() == 1 && generation() == parent + 1
        });
        assert_eq!(generation(), parent);
        thread.join().unwrap();
        assert_eq!(*SHARED.lock(), 1);
    }

    #[test]
    fn forks_get_through_between_threads_that_lock_all_the_time() {
        static SHARED: sync::Mutex<[u32; 2]> = sync::Mutex::new([0; 2]);
        watch().unwrap();
        let stop = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while stop.load(Relaxed) == 0 {
                        let mut shared = SHARED.lock();
                        shared[0] += 1;
                        shared[1] += 1;
                    }
                });
            }
            for _ in 0..50 {
                assert_in_child(|| {
                    let shared = SHARED.lock();
                    shared[0] == shared[1]
                });
            }
            stop.store(1, Relaxed);
        });
    }

    #[test]
    fn a_thread_may_fork_in_a_section_of_its_own() {
        watch().unwrap();
        let parent = generation();
        hold_off(|| assert_in_child(|| hold_off(|| generation() == parent + 1)));
        assert_in_child(|| generation() == parent + 1);
    }
}
