//! How much machine code an engine's modules have, and when that which was replaced can be given back.
//!
//! Code that nothing leads to any more may still be running, and frames may return into it. Who could be in it are the *users*: the stores. A
//! store without guest has no frames, and code that nothing leads to stays unused there. Any other store looks through its frames now and then, by
//! itself ([`CodeMemory::wants_look`], [`CodeMemory::note_look`]). Code is freed once each user had no guest, or has looked and not found it, after
//! it was replaced ([`CodeMemory::free_unused`]).
//!
//! Whether another store has a guest is read while it may be about to enter one. It says so before it jumps; whoever replaces code has all threads
//! pass a barrier between the replacement and the look. So either the look sees the guest, or the guest sees the replacement.
//!
//! In the child of a fork, a store that another thread was in has a guest for ever: where there are such stores, nothing is given back any more.
//!
//! What is deliberately not here: modules and stores. Code implements [`Reclaim`]; how a store looks through its frames is `store::code_use`'s.

use ampoule_machine::arch::entry::RESERVED;
use ampoule_machine::os::barrier;
use ampoule_machine::os::sync::Mutex;
use slab::Slab;
use std::collections::BTreeMap;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// So much code has to be replaced before a store whose guest runs looks through its frames again, where not even an eighth of the limit is less.
/// Making what replaces it has taken many times longer than the look.
const WORTH_A_LOOK: u64 = 128 << 10;

/// Code of which parts can be given back.
pub trait Reclaim: Send + Sync {
    /// Takes code out of use that has not been running lately, until so many bytes are. Answers how many are, and how many functions.
    fn evict(&self, bytes: usize) -> (usize, usize);

    /// Gives back the piece that begins here, which was replaced or taken out of use.
    ///
    /// # Safety
    /// No thread is in it or will return to it.
    unsafe fn free(&self, start: usize);
}

/// Numbers of an engine's machine code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CodeStatistics {
    /// Bytes of the code of all modules.
    pub bytes: u64,
    /// Of them, those of code that was replaced or taken out of use, and is not given back yet.
    pub replaced_bytes: u64,
    /// See [`crate::Config::code_memory`].
    pub limit: u64,
    /// How many functions' code was taken out of use, all together, because there was more than the limit.
    pub evicted_functions: u64,
}

/// The code of an engine's modules.
pub struct CodeMemory {
    limit: usize,
    bytes: AtomicUsize,
    /// Of them, those of code that stays.
    kept: AtomicUsize,
    /// From here on, it is worth the time to look for code to take out of use.
    evict_at: AtomicUsize,
    evicted: AtomicU64,
    /// How often code was given back.
    given_back: AtomicU64,
    /// Bytes of `pieces`.
    not_given_back: AtomicUsize,
    /// Bytes of all code that was ever replaced: a clock that users and replaced code are compared by.
    replaced: AtomicU64,
    pieces: Mutex<BTreeMap<usize, Replaced>>,
    users: Mutex<Slab<User>>,
    codes: Mutex<Vec<Weak<dyn Reclaim>>>,
}

/// Code that nothing leads to any more, by its start.
struct Replaced {
    end: usize,
    /// When that was.
    at: u64,
    code: Weak<dyn Reclaim>,
}

/// Who may be running code.
struct User {
    /// The frame of its innermost guest; [`RESERVED`] or zero without one.
    entry_fp: NonNull<AtomicUsize>,
    /// How many stacks of their own its calls have.
    stacks: NonNull<AtomicUsize>,
    /// When it looked through its frames last.
    looked_at: u64,
    /// What it was in then.
    is_in: Vec<usize>,
}

// SAFETY: the words are alive, by `CodeMemory::add_user`, and atomic.
unsafe impl Send for User {}

/// What was replaced when a user began to look.
pub struct Look {
    at: u64,
    pieces: Vec<Range<usize>>,
    found: Vec<usize>,
}

impl Look {
    /// Notes an address at which the user is, or to which it returns.
    pub fn note(&mut self, pc: usize) {
        let after = self.pieces.partition_point(|piece| piece.start <= pc);
        if let Some(piece) = after.checked_sub(1).map(|before| &self.pieces[before])
            && pc < piece.end
            && self.found.last() != Some(&piece.start)
        {
            self.found.push(piece.start);
        }
    }
}

impl CodeMemory {
    /// That of an engine, with the bytes that it should not have more of.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            bytes: AtomicUsize::new(0),
            kept: AtomicUsize::new(0),
            evict_at: AtomicUsize::new(limit),
            evicted: AtomicU64::new(0),
            given_back: AtomicU64::new(0),
            not_given_back: AtomicUsize::new(0),
            replaced: AtomicU64::new(0),
            pieces: Mutex::default(),
            users: Mutex::default(),
            codes: Mutex::default(),
        })
    }

    /// Counts code that was placed; whether it stays as long as its module.
    pub fn add(&self, bytes: usize, stays: bool) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.kept.fetch_add(if stays { bytes } else { 0 }, Ordering::Relaxed);
    }

    /// Counts code that is gone, as it was counted when it was placed.
    pub fn remove(&self, bytes: usize, stayed: bool) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.kept.fetch_sub(if stayed { bytes } else { 0 }, Ordering::Relaxed);
    }

    /// Whether there may be more code that stays. A quarter of the limit is left to other code, so that it isn't made again and again.
    pub fn may_keep_more(&self) -> bool {
        self.kept.load(Ordering::Relaxed) < self.limit - self.limit / 4
    }

    /// Whether there is as much as there should be.
    pub fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.limit
    }

    /// Makes code known of which parts can be taken out of use.
    pub fn add_code(&self, code: Weak<dyn Reclaim>) {
        let mut codes = self.codes.lock();
        // Where those that are gone would be half of the list, it is made shorter, which so is paid for by as many calls.
        if codes.len() == codes.capacity() {
            codes.retain(|code| code.strong_count() > 0);
            let len = codes.len();
            codes.reserve(len.max(8));
        }
        codes.push(code);
    }

    /// Notes that nothing leads to a piece of code any more.
    pub fn replace(&self, piece: Range<usize>, code: Weak<dyn Reclaim>) {
        let mut pieces = self.pieces.lock();
        let at = self.replaced.fetch_add(piece.len() as u64, Ordering::Release) + piece.len() as u64;
        self.not_given_back.fetch_add(piece.len(), Ordering::Relaxed);
        pieces.insert(piece.start, Replaced { end: piece.end, at, code });
    }

    /// Forgets what was replaced among code that is gone.
    pub fn forget(&self, range: Range<usize>) {
        let mut pieces = self.pieces.lock();
        let gone: Vec<_> = pieces.range(range).map(|(&start, piece)| (start, piece.end)).collect();
        for (start, end) in gone {
            pieces.remove(&start);
            self.not_given_back.fetch_sub(end - start, Ordering::Relaxed);
        }
    }

    /// Makes a user known, and answers its key.
    ///
    /// # Safety
    /// Both words are alive until [`CodeMemory::remove_user`]. Before the user runs code, the first is
    /// more than [`RESERVED`], or the second is not zero.
    pub unsafe fn add_user(&self, entry_fp: NonNull<AtomicUsize>, stacks: NonNull<AtomicUsize>) -> usize {
        // What was replaced by then it won't get into any more.
        let looked_at = self.replaced.load(Ordering::Acquire);
        self.users.lock().insert(User { entry_fp, stacks, looked_at, is_in: Vec::new() })
    }

    /// Forgets a user, which runs no code any more.
    pub fn remove_user(&self, key: usize) {
        self.users.lock().remove(key);
    }

    /// Whether a user that looked at this time should do so again. It costs no lock.
    pub fn wants_look(&self, looked_at: u64) -> bool {
        let since = self.replaced.load(Ordering::Relaxed).wrapping_sub(looked_at);
        since > 0 && (since >= WORTH_A_LOOK.min(self.limit as u64 / 8) || self.is_full())
    }

    /// What a user is to look for in its frames.
    pub fn look(&self) -> Look {
        let pieces = self.pieces.lock();
        Look {
            at: self.replaced.load(Ordering::Relaxed),
            pieces: pieces.iter().map(|(&start, piece)| start..piece.end).collect(),
            found: Vec::new(),
        }
    }

    /// Notes where a user found itself. Answers when that was.
    pub fn note_look(&self, key: usize, look: Look) -> u64 {
        let mut users = self.users.lock();
        let user = &mut users[key];
        (user.looked_at, user.is_in) = (look.at, look.found);
        look.at
    }

    /// Whether there is code that was replaced and is not given back yet.
    pub fn has_replaced(&self) -> bool {
        self.not_given_back.load(Ordering::Relaxed) > 0
    }

    /// Gives back what was replaced and nobody is in.
    pub fn free_unused(&self) {
        if !self.has_replaced() || !barrier::in_all_threads() {
            return;
        }
        // Those that have to be heard; the others have no frames.
        let mut oldest = u64::MAX;
        let mut used = Vec::new();
        {
            let users = self.users.lock();
            for (_, user) in users.iter().filter(|(_, user)| user.may_run()) {
                oldest = oldest.min(user.looked_at);
                used.extend(&user.is_in);
            }
        }
        let mut unused = Vec::new();
        self.pieces.lock().retain(|&start, piece| {
            let stays = piece.at > oldest || used.contains(&start);
            if !stays {
                self.not_given_back.fetch_sub(piece.end - start, Ordering::Relaxed);
                unused.push((start, piece.code.clone()));
            }
            stays
        });
        if !unused.is_empty() {
            // Before anything else is there.
            self.given_back.fetch_add(1, Ordering::Release);
        }
        for (start, code) in unused {
            if let Some(code) = code.upgrade() {
                // SAFETY: nothing leads there since before the barrier. Users without guests then have no frames there, and those that begin one see
                // what leads elsewhere; the others have looked since, and were not there.
                unsafe { code.free(start) };
            }
        }
    }

    /// How often code was given back. What is known of an address by itself is true as long as this stays the same.
    pub fn given_back(&self) -> u64 {
        self.given_back.load(Ordering::Acquire)
    }

    /// Where there is more code than there should be, takes some out of use.
    pub fn make_room(&self) {
        if self.in_use() < self.evict_at.load(Ordering::Relaxed) {
            return;
        }
        // Where much is out of use already, and somebody may be in it, more of that would help nobody: what is called would be made again beside it.
        if self.not_given_back.load(Ordering::Relaxed) <= self.limit / 2 {
            let mut wanted = self.in_use().saturating_sub(self.limit - self.limit / 8);
            let codes: Vec<_> = self.codes.lock().iter().filter_map(Weak::upgrade).collect();
            // In the second round, what was not running since the first.
            for code in codes.iter().chain(&codes) {
                if wanted == 0 {
                    break;
                }
                let (bytes, functions) = code.evict(wanted);
                wanted = wanted.saturating_sub(bytes);
                self.evicted.fetch_add(functions as u64, Ordering::Relaxed);
            }
        }
        self.free_unused();
        // The next look at all code is paid for by what is placed until then.
        self.evict_at.store(self.limit.max(self.in_use() + self.limit / 16), Ordering::Relaxed);
    }

    /// Bytes of code that something leads to.
    fn in_use(&self) -> usize {
        let not_given_back = self.not_given_back.load(Ordering::Relaxed);
        self.bytes.load(Ordering::Relaxed).saturating_sub(not_given_back)
    }

    /// The numbers at this moment.
    pub fn statistics(&self) -> CodeStatistics {
        CodeStatistics {
            bytes: self.bytes.load(Ordering::Relaxed) as u64,
            replaced_bytes: self.not_given_back.load(Ordering::Relaxed) as u64,
            limit: self.limit as u64,
            evicted_functions: self.evicted.load(Ordering::Relaxed),
        }
    }
}

impl User {
    fn may_run(&self) -> bool {
        // SAFETY: the words are alive, by `CodeMemory::add_user`.
        let (entry_fp, stacks) = unsafe { (self.entry_fp.as_ref(), self.stacks.as_ref()) };
        entry_fp.load(Ordering::Acquire) > RESERVED || stacks.load(Ordering::Acquire) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes what is freed, and has as much to evict as is asked for, up to `left`.
    #[derive(Default)]
    struct Noted {
        freed: Mutex<Vec<usize>>,
        left: AtomicUsize,
    }

    impl Reclaim for Noted {
        fn evict(&self, bytes: usize) -> (usize, usize) {
            let evicted = bytes.min(self.left.load(Ordering::Relaxed));
            self.left.fetch_sub(evicted, Ordering::Relaxed);
            (evicted, 1)
        }

        unsafe fn free(&self, start: usize) {
            self.freed.lock().push(start);
        }
    }

    fn noted() -> (Arc<Noted>, Weak<dyn Reclaim>) {
        let noted = Arc::new(Noted::default());
        let code: Arc<dyn Reclaim> = noted.clone();
        (noted, Arc::downgrade(&code))
    }

    #[test]
    fn code_is_freed_once_nobody_can_be_in_it() {
        if !barrier::in_all_threads() {
            return eprintln!("skipped: the kernel has no barrier for all threads");
        }
        let memory = CodeMemory::new(1 << 20);
        let (noted, code) = noted();
        let freed = || std::mem::take(&mut *noted.freed.lock());
        let (guest, stacks) = (AtomicUsize::new(0), AtomicUsize::new(0));
        // SAFETY: both words are alive.
        let key = unsafe { memory.add_user((&guest).into(), (&stacks).into()) };
        memory.replace(100..200, code.clone());
        memory.free_unused();
        assert_eq!(freed(), [100], "the only user had no guest");

        for words in [(2, 0), (RESERVED, 1), (16, 1)] {
            guest.store(words.0, Ordering::Relaxed);
            stacks.store(words.1, Ordering::Relaxed);
            memory.replace(100..200, code.clone());
            memory.replace(300..400, code.clone());
            memory.free_unused();
            assert!(freed().is_empty(), "it has not looked");
            let mut look = memory.look();
            [99, 200, 300, 399, 350].iter().for_each(|&pc| look.note(pc));
            memory.replace(200..300, code.clone());
            memory.note_look(key, look);
            memory.free_unused();
            assert_eq!(freed(), [100], "it is in one, and has not looked since another was replaced");
            memory.note_look(key, memory.look());
            memory.free_unused();
            assert_eq!(freed(), [200, 300]);
        }

        memory.replace(100..200, code.clone());
        memory.replace(200..300, code);
        memory.forget(200..1000);
        memory.remove_user(key);
        memory.free_unused();
        assert_eq!(freed(), [100], "what is gone is not freed");
    }

    #[test]
    fn a_look_is_wanted_when_much_was_replaced_or_memory_is_short() {
        for (limit, much) in [(1600, 200), (1 << 30, WORTH_A_LOOK as usize)] {
            let memory = CodeMemory::new(limit);
            assert!(!memory.wants_look(0));
            memory.replace(0..100, noted().1);
            assert!(!memory.wants_look(0));
            memory.add(limit, true);
            assert!(memory.wants_look(0) && !memory.wants_look(100));
            memory.remove(1, true);
            assert!(!memory.wants_look(0));
            memory.replace(100..much, noted().1);
            assert!(memory.wants_look(0) && !memory.wants_look(100));
        }
    }

    #[test]
    fn what_is_too_much_is_taken_out_of_use_and_not_looked_for_each_time() {
        let memory = CodeMemory::new(1600);
        let (noted, code) = noted();
        memory.add_code(code);
        noted.left.store(5000, Ordering::Relaxed);
        memory.add(1599, false);
        memory.make_room();
        assert_eq!(memory.statistics().evicted_functions, 0);
        memory.add(1, false);
        memory.make_room();
        assert_eq!(noted.left.load(Ordering::Relaxed), 4800, "an eighth of the limit");
        // It didn't become less: until a sixteenth more was placed, there is no further look.
        memory.add(99, false);
        memory.make_room();
        assert_eq!(noted.left.load(Ordering::Relaxed), 4800);
        memory.add(1, false);
        memory.make_room();
        assert_eq!(noted.left.load(Ordering::Relaxed), 4500);
        assert_eq!(memory.statistics().bytes, 1700);
        // More and more code of which nothing is given back, since somebody may be in it.
        let busy = AtomicUsize::new(16);
        // SAFETY: the word is alive.
        let _user = unsafe { memory.add_user((&busy).into(), (&busy).into()) };
        memory.replace(0..801, Weak::<Noted>::new());
        memory.add(5000, false);
        memory.make_room();
        assert_eq!(noted.left.load(Ordering::Relaxed), 4500);
    }

    #[test]
    fn code_that_is_gone_is_not_kept_in_the_list() {
        let memory = CodeMemory::new(1);
        (0..10_000).for_each(|_| memory.add_code(noted().1));
        assert!(memory.codes.lock().capacity() < 64);
    }
}
