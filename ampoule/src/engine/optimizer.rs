//! What is to be optimized, and the threads that do it.
//!
//! Code that runs often asks for better ([`Optimizer::request`]), again and again until it has it: so what is asked for most often is hottest,
//! and made first. Threads are started when there is work and end soon after it; a forked child has none of its parent's, and forgets what
//! they were doing, which the code then asks for again.

use crate::engine::code_memory::CodeMemory;
use crate::engine::config::TierUpConfig;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_machine::os::sleeper::Sleeper;
use ampoule_machine::os::sync::Mutex;
use ampoule_machine::os::{fork, signals};
use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{self, AtomicUsize};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// When functions are optimized, and by whom.
#[derive(Clone)]
pub struct TierUp {
    /// Calls and turns of loops until then, `i32::MAX` at most.
    pub after: u32,
    /// Who does it.
    pub optimizer: Arc<Optimizer>,
}

/// Something with functions that can be optimized.
pub trait Optimize: Send + Sync {
    /// Optimizes a function, whose code the caller is running or has asked for, or makes code that goes on from a loop of it, and publishes what
    /// comes of it.
    fn optimize(&self, func: DefinedFuncIndex, from_loop: Option<u32>);
}

/// A function that is to be optimized, while what it is of is still there.
#[derive(Clone)]
pub struct Task {
    /// What it is of.
    pub code: Weak<dyn Optimize>,
    /// The function.
    pub func: DefinedFuncIndex,
    /// The loop from which code is to go on; `None` for the function itself.
    pub from_loop: Option<u32>,
}

/// How long a thread without work waits for more.
const LINGER: Duration = Duration::from_millis(100);

/// How often it waits where code was replaced that can't be given back yet, since guests run: they may be done by then.
const WAITS_WITH_REPLACED: u32 = 10;

/// Stack of a thread, which compiles on another where that is too little.
const STACK: usize = 256 << 10;

/// The functions that an engine is to optimize.
pub struct Optimizer {
    /// At most so many threads at a time. None: whoever asks does it.
    threads: AtomicUsize,
    /// Whether that goes by the cores: the first thread, of which nobody waits, finds out.
    by_cores: bool,
    /// Where the code is that they make, and that which it replaces.
    memory: Arc<CodeMemory>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How often each was asked for; `None` while a thread is at it. As many as there are functions at most.
    heats: HashMap<Key, Option<u64>>,
    /// Hottest first, then as they came. One that has become hotter is here again.
    waiting: BinaryHeap<Waiting>,
    asked: u64,
    threads: usize,
    /// Threads without work.
    idle: Vec<Arc<Sleeper>>,
    /// Of the process whose threads these are.
    generation: u32,
    is_closed: bool,
}

/// The address of what it is of, which the weak reference keeps from being used again, the function, and the loop.
type Key = (usize, u32, Option<u32>);

struct Waiting {
    heat: u64,
    asked: Reverse<u64>,
    task: Task,
}

impl Optimizer {
    /// One that uses this many threads at most; with none, a function is optimized by the thread that asks for it.
    pub fn new(threads: usize, memory: &Arc<CodeMemory>) -> Arc<Self> {
        let by_cores = threads == TierUpConfig::BY_CORES;
        let threads = AtomicUsize::new(if by_cores { 1 } else { threads });
        Arc::new(Self { threads, by_cores, memory: memory.clone(), state: Mutex::default() })
    }

    /// Has a function optimized, sooner the more often it is asked for.
    pub fn request(self: &Arc<Self>, task: Task) {
        if self.threads.load(atomic::Ordering::Relaxed) == 0 {
            // Others who ask for it meanwhile go on as they are.
            if self.state.lock().take(&task) {
                task.run();
                self.state.lock().heats.remove(&task.key());
            }
            return;
        }
        let starts = {
            let mut state = self.state.lock();
            state.enter_process();
            if state.is_closed || !state.add(task) {
                return;
            }
            let idle = state.idle.pop();
            if let Some(sleeper) = &idle {
                sleeper.wake();
            }
            let starts = idle.is_none() && state.threads < self.threads.load(atomic::Ordering::Relaxed);
            state.threads += usize::from(starts);
            starts
        };
        if starts {
            self.start_thread();
        }
    }

    /// Gives up what waits, and lets threads end once they are done with what they have.
    pub fn close(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.is_closed = true;
            state.heats.clear();
            state.idle.drain(..).for_each(|sleeper| sleeper.wake());
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
    }

    /// How often a thread without work waits for more.
    fn waits(&self) -> u32 {
        if self.memory.has_replaced() { WAITS_WITH_REPLACED } else { 1 }
    }

    fn start_thread(self: &Arc<Self>) {
        let mut worker = Worker { optimizer: self.clone(), counts: true };
        let builder = std::thread::Builder::new().name("ampoule-optimizer".to_string()).stack_size(STACK);
        // The host's signals are for the host's threads. Where no thread can be made, the next request tries again.
        let _ = signals::with_all_blocked(|| builder.spawn(move || worker.work()));
    }
}

/// A thread, which counts until it ends.
struct Worker {
    optimizer: Arc<Optimizer>,
    counts: bool,
}

impl Worker {
    fn work(&mut self) {
        let optimizer = self.optimizer.clone();
        if optimizer.by_cores {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            optimizer.threads.store((cores - 1).clamp(1, 4), atomic::Ordering::Relaxed);
        }
        let sleeper = Arc::new(Sleeper::new());
        let mut waits = 0;
        loop {
            let next = {
                let mut state = optimizer.state.lock();
                state.idle.retain(|other| !Arc::ptr_eq(other, &sleeper));
                let next = state.next();
                if state.is_closed || next.is_none() && waits >= self.optimizer.waits() {
                    // With the lock that requests look under.
                    state.threads -= 1;
                    self.counts = false;
                    return;
                }
                if next.is_none() {
                    state.idle.push(sleeper.clone());
                }
                next
            };
            match next {
                Some(task) => {
                    waits = 0;
                    task.run();
                    optimizer.state.lock().heats.remove(&task.key());
                }
                None => {
                    sleeper.sleep(Some(LINGER));
                    if sleeper.take_wake() {
                        waits = 0;
                    } else {
                        // Only now: it may take a while.
                        waits += 1;
                        optimizer.memory.free_unused();
                    }
                }
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.counts {
            self.optimizer.state.lock().threads -= 1;
        }
    }
}

impl State {
    /// Forgets the threads of a parent, and what they had.
    fn enter_process(&mut self) {
        if self.generation != fork::generation() {
            *self = State { generation: fork::generation(), is_closed: self.is_closed, ..State::default() };
        }
    }

    /// Whether no thread is at it; then the caller is.
    fn take(&mut self, task: &Task) -> bool {
        self.enter_process();
        self.heats.insert(task.key(), None).is_none()
    }

    /// Whether it is to be done sooner than was known.
    fn add(&mut self, task: Task) -> bool {
        let heat = self.heats.entry(task.key()).or_insert(Some(0));
        // Nothing more is to be said where a thread is at it.
        let Some(heat) = heat else { return false };
        *heat += 1;
        // So that few entries are of one function.
        if !heat.is_power_of_two() {
            return false;
        }
        self.asked += 1;
        self.waiting.push(Waiting { heat: *heat, asked: Reverse(self.asked), task });
        true
    }

    fn next(&mut self) -> Option<Task> {
        loop {
            let Waiting { task, .. } = self.waiting.pop()?;
            // The hottest entry of a function comes first; others are left over.
            if let Some(heat) = self.heats.get_mut(&task.key())
                && heat.take().is_some()
            {
                return Some(task);
            }
        }
    }
}

impl Task {
    fn run(&self) {
        if let Some(code) = self.code.upgrade() {
            code.optimize(self.func, self.from_loop);
        }
    }

    /// The weak reference keeps the address from being used again.
    fn key(&self) -> Key {
        (self.code.as_ptr().cast::<()>().addr(), self.func.0, self.from_loop)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.heat, self.asked).cmp(&(other.heat, other.asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes what is optimized, each time when it may.
    #[derive(Default)]
    struct Noted {
        funcs: Mutex<Vec<u32>>,
        may: AtomicUsize,
    }

    impl Noted {
        fn wait_for(&self, count: usize) -> Vec<u32> {
            while self.funcs.lock().len() < count {
                std::thread::yield_now();
            }
            self.funcs.lock().clone()
        }

        fn allow(&self, count: usize) {
            self.may.fetch_add(count, atomic::Ordering::SeqCst);
        }
    }

    impl Optimize for Noted {
        fn optimize(&self, func: DefinedFuncIndex, _: Option<u32>) {
            self.funcs.lock().push(func.0);
            while self.may.load(atomic::Ordering::SeqCst) < self.funcs.lock().len() {
                std::thread::yield_now();
            }
        }
    }

    fn optimizer(threads: usize) -> Arc<Optimizer> {
        Optimizer::new(threads, &CodeMemory::new(usize::MAX))
    }

    fn task(noted: &Arc<Noted>, func: u32) -> Task {
        let noted: Arc<dyn Optimize> = noted.clone();
        Task { code: Arc::downgrade(&noted), func: DefinedFuncIndex(func), from_loop: None }
    }

    #[test]
    fn the_hottest_is_optimized_first_and_each_once() {
        let (optimizer, noted) = (optimizer(1), Arc::new(Noted::default()));
        optimizer.request(task(&noted, 0));
        noted.wait_for(1);
        for func in [1, 2, 3, 2, 2, 2, 3, 0, 1000, 3] {
            optimizer.request(task(&noted, func));
        }
        noted.allow(5);
        assert_eq!(noted.wait_for(5), [0, 2, 3, 1, 1000]);
        // What is done may be asked for again.
        noted.allow(1);
        optimizer.request(task(&noted, 2));
        assert_eq!(noted.wait_for(6)[5], 2);
    }

    #[test]
    fn without_threads_whoever_asks_does_it() {
        let (optimizer, noted) = (optimizer(0), Arc::new(Noted::default()));
        noted.allow(2);
        optimizer.request(task(&noted, 7));
        assert_eq!(*noted.funcs.lock(), [7]);
    }

    #[test]
    fn threads_end_when_there_is_no_work_and_when_it_is_closed() {
        let (optimizer, noted) = (optimizer(2), Arc::new(Noted::default()));
        noted.allow(3);
        let no_threads = || {
            while optimizer.state.lock().threads > 0 {
                std::thread::yield_now();
            }
        };
        for _ in 0..2 {
            optimizer.request(task(&noted, 1));
            no_threads();
        }
        assert_eq!(noted.wait_for(2), [1, 1]);
        optimizer.request(task(&noted, 2));
        optimizer.close();
        no_threads();
        optimizer.request(task(&noted, 3));
        assert_eq!(optimizer.state.lock().threads, 0);
    }

    #[test]
    fn what_is_gone_is_passed_over() {
        let (optimizer, noted, gone) = (optimizer(1), Arc::new(Noted::default()), Arc::new(Noted::default()));
        optimizer.request(task(&noted, 0));
        noted.wait_for(1);
        optimizer.request(task(&gone, 1));
        drop(gone);
        optimizer.request(task(&noted, 2));
        noted.allow(2);
        assert_eq!(noted.wait_for(2), [0, 2]);
    }

    #[test]
    fn a_forked_child_starts_anew() {
        fork::watch().unwrap();
        let (optimizer, noted) = (optimizer(1), Arc::new(Noted::default()));
        optimizer.request(task(&noted, 0));
        noted.wait_for(1);
        // SAFETY: the child, in its only thread, runs what is tested and ends without returning.
        match unsafe { libc::fork() } {
            0 => {
                noted.allow(3);
                optimizer.request(task(&noted, 0));
                optimizer.request(task(&noted, 1));
                // SAFETY: ends the process, by a signal should it never be done.
                unsafe {
                    libc::alarm(20);
                    libc::_exit(i32::from(noted.wait_for(3)[1..] != [0, 1]))
                }
            }
            child => {
                let mut status = 0;
                // SAFETY: waits for the child made above.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(status, 0);
            }
        }
        noted.allow(1);
    }
}
