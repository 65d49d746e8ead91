//! Threads that sleep until somebody wakes them, who may be a signal handler.
//!
//! A [`Sleeper`] belongs to one thread, mostly on its stack. Where others find it, it is announced: in a [`SleeperSlot`] if at most one thread
//! sleeps there at a time, otherwise in a [`SleeperList`]. Both are for threads whose sleeps can be ended by several parties: it announces
//! itself to each, looks once more for a reason not to sleep, and sleeps. Who has a reason for it to wake up first says what that is,
//! then wakes. So none is missed.
//!
//! Waking takes no lock, allocates nothing and waits for nothing. Children of a fork find the announcements of threads that they don't have, and
//! pass them over.

use super::pins::Pins;
use super::wake::WakeFd;
use super::{fork, futex};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// A thread that sleeps: on a word, or with a descriptor among those it waits for.
#[derive(Debug, Default)]
pub struct Sleeper {
    word: AtomicU32,
    descriptor: Option<WakeFd>,
}

impl Sleeper {
    /// One that sleeps on a word.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that waits for a descriptor, too.
    ///
    /// # Errors
    /// Where the operating system has no such descriptor.
    pub fn with_descriptor() -> io::Result<Self> {
        Ok(Self { descriptor: Some(WakeFd::new()?), ..Self::default() })
    }

    /// What becomes readable when it is woken.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.as_ref().map(AsFd::as_fd)
    }

    /// Wakes it, or lets its next sleep end at once. May be called from a signal handler.
    pub fn wake(&self) {
        self.word.store(1, SeqCst);
        match &self.descriptor {
            Some(descriptor) => descriptor.wake(),
            None => futex::wake(&self.word),
        }
    }

    /// Whether it was woken since this was last asked. Its descriptor isn't readable then, until it is woken again.
    pub fn take_wake(&self) -> bool {
        // In this order: who wakes meanwhile leaves the word, or the descriptor, or both.
        let woken = self.word.swap(0, SeqCst) != 0;
        if let Some(descriptor) = &self.descriptor {
            descriptor.drain();
        }
        woken
    }

    /// Wakes it, where that is the calling thread itself, which will look before it sleeps: no system call.
    pub fn note_wake(&self) {
        self.word.store(1, SeqCst);
    }

    /// Whether it was woken, which stays so.
    pub fn is_woken(&self) -> bool {
        self.word.load(SeqCst) != 0
    }

    /// For a forked child: the descriptor is its own from now on.
    ///
    /// # Errors
    /// Where the operating system has no such descriptor.
    pub fn renew(&self) -> io::Result<()> {
        self.descriptor.as_ref().map_or(Ok(()), WakeFd::renew)
    }

    /// Sleeps until woken, or for so long. May return early for no reason.
    pub fn sleep(&self, timeout: Option<Duration>) {
        futex::wait(&self.word, 0, timeout);
        self.word.store(0, SeqCst);
    }
}

/// How a thread sleeps whose sleep others may end: on this sleeper, no longer than so long, if that is given. False where it is to sleep no
/// longer.
pub type Sleep<'a> = dyn FnMut(&Sleeper, Option<Duration>) -> bool + 'a;

/// Where one thread at a time announces that it sleeps.
#[derive(Debug, Default)]
pub struct SleeperSlot {
    /// Null, or leads to a live sleeper while `pins` counts anybody.
    sleeper: AtomicPtr<Sleeper>,
    /// Of the process that the sleeper is in. Written before `sleeper`.
    generation: AtomicU32,
    pins: Pins,
}

/// An announcement, which ends with this value.
pub struct Announced<'a>(&'a SleeperSlot);

impl SleeperSlot {
    /// Lets [`SleeperSlot::wake`] wake the sleeper.
    pub fn announce<'a>(&'a self, sleeper: &'a Sleeper) -> Announced<'a> {
        self.generation.store(fork::generation(), SeqCst);
        self.sleeper.store(ptr::from_ref(sleeper).cast_mut(), SeqCst);
        Announced(self)
    }

    /// Wakes who sleeps here, if anybody does.
    pub fn wake(&self) {
        let _pinned = self.pins.pin();
        let sleeper = self.sleeper.load(SeqCst);
        if !sleeper.is_null() && self.generation.load(SeqCst) == fork::generation() {
            // SAFETY: the sleeper is alive while we are counted: who takes the announcement back waits.
            unsafe { (*sleeper).wake() };
        }
    }
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        self.0.sleeper.store(ptr::null_mut(), SeqCst);
        self.0.pins.wait_unpinned();
    }
}

/// Where any number of threads announce that they sleep until a number reaches a limit of theirs.
///
/// Its nodes are used again and again, and freed with the list: at most as many as threads ever slept at a time.
#[derive(Debug, Default)]
pub struct SleeperList {
    first: AtomicPtr<Node>,
}

#[derive(Debug)]
struct Node {
    /// Never changes once the node is in the list.
    next: *const Node,
    /// Who has it: see [`owner_now`]; zero for nobody.
    owner: AtomicU64,
    limit: AtomicU64,
    slot: SleeperSlot,
}

// SAFETY: all nodes of a list live as long as the list, and are reached through it only.
unsafe impl Send for SleeperList {}
// SAFETY: as above; what changes in a node is atomic.
unsafe impl Sync for SleeperList {}

/// An announcement in a list, which ends with this value.
pub struct Listed<'a> {
    _announced: Announced<'a>,
    // After the announcement: it ends first.
    _node: Owned<'a>,
}

struct Owned<'a>(&'a Node);

/// What marks a node as in use by this process.
fn owner_now() -> u64 {
    1 << 32 | u64::from(fork::generation())
}

impl SleeperList {
    /// Lets [`SleeperList::wake`] wake the sleeper, with a number that is `limit` or greater.
    pub fn announce<'a>(&'a self, limit: u64, sleeper: &'a Sleeper) -> Listed<'a> {
        let node = self.nodes().find(|node| node.claim()).unwrap_or_else(|| self.push());
        let owned = Owned(node);
        node.limit.store(limit, SeqCst);
        Listed { _announced: node.slot.announce(sleeper), _node: owned }
    }

    /// Wakes all whose limit the number has reached.
    pub fn wake(&self, number: u64) {
        for node in self.nodes() {
            if node.owner.load(SeqCst) == owner_now() && node.limit.load(SeqCst) <= number {
                node.slot.wake();
            }
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        // SAFETY: nodes live as long as the list.
        std::iter::successors(unsafe { self.first.load(SeqCst).as_ref() }, |node| unsafe { node.next.as_ref() })
    }

    /// Adds a node that is in use.
    fn push(&self) -> &Node {
        let node = Node {
            next: ptr::null(),
            owner: AtomicU64::new(owner_now()),
            limit: AtomicU64::new(u64::MAX),
            slot: SleeperSlot::default(),
        };
        let node = Box::into_raw(Box::new(node));
        let link = |first: *mut Node| {
            // SAFETY: the node is ours until it is in the list.
            unsafe { (*node).next = first };
            Some(node)
        };
        self.first.fetch_update(SeqCst, SeqCst, link).expect("there is always one more");
        // SAFETY: it is in the list, which lives as long as `self`.
        unsafe { &*node }
    }
}

impl Node {
    /// Takes the node, if nobody has it who is in this process.
    fn claim(&self) -> bool {
        let free = |owner| (owner != owner_now()).then(owner_now);
        self.owner.fetch_update(SeqCst, SeqCst, free).is_ok()
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        self.0.owner.store(0, SeqCst);
    }
}

impl Drop for SleeperList {
    fn drop(&mut self) {
        let mut node = *self.first.get_mut();
        while !node.is_null() {
            // SAFETY: made by `push`; announcements borrow the list, so there are none.
            node = unsafe { Box::from_raw(node) }.next.cast_mut();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Instant;

    #[test]
    fn a_wake_before_the_sleep_ends_it_at_once() {
        let (slot, sleeper) = (SleeperSlot::default(), Sleeper::new());
        let announced = slot.announce(&sleeper);
        slot.wake();
        sleeper.sleep(None);
        drop(announced);
        slot.wake();
        let start = Instant::now();
        sleeper.sleep(Some(Duration::from_millis(5)));
        assert!(start.elapsed() >= Duration::from_millis(5));
    }

    #[test]
    fn those_sleep_on_whose_limit_is_not_reached() {
        let list = SleeperList::default();
        let (early, late) = (Sleeper::new(), Sleeper::new());
        let (first, _second) = (list.announce(5, &early), list.announce(6, &late));
        list.wake(4);
        assert_eq!((early.word.load(SeqCst), late.word.load(SeqCst)), (0, 0));
        list.wake(5);
        assert_eq!((early.word.load(SeqCst), late.word.load(SeqCst)), (1, 0));
        drop(first);
        list.wake(9);
        assert_eq!((early.word.load(SeqCst), late.word.load(SeqCst)), (1, 1));
        let _third = list.announce(1, &early);
        assert_eq!(list.nodes().count(), 2, "what was used is used again");
    }

    #[test]
    fn none_is_missed() {
        let (list, number) = (SleeperList::default(), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for limit in 1..=500 {
                        let sleeper = Sleeper::new();
                        let _announced = list.announce(limit, &sleeper);
                        while number.load(SeqCst) < limit {
                            sleeper.sleep(None);
                        }
                    }
                });
            }
            for now in 1..=500 {
                number.store(now, SeqCst);
                list.wake(now);
                if now % 8 == 0 {
                    thread::yield_now();
                }
            }
        });
    }

    #[test]
    fn a_child_passes_over_the_sleepers_of_its_parent() {
        fork::watch().unwrap();
        let (list, slot) = (SleeperList::default(), SleeperSlot::default());
        let sleepers = [Sleeper::new(), Sleeper::new()];
        let _announced = (list.announce(0, &sleepers[0]), slot.announce(&sleepers[1]));
        fork::tests::assert_in_child(|| {
            list.wake(7);
            slot.wake();
            let mine = Sleeper::new();
            let _announced = list.announce(7, &mine);
            list.wake(7);
            let woken = |sleeper: &Sleeper| sleeper.word.load(SeqCst) == 1;
            woken(&mine) && !sleepers.iter().any(woken) && list.nodes().count() == 1
        });
    }
}
