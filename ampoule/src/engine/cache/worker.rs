//! The thread of a cache: runs jobs one by one, whenever the machine has nothing better to do.
//!
//! It is started by the first job, ends with the last one that waits, and is nobody's to wait for:
//! a process that ends takes it along, and the entry it was about is then missing.
//!
//! A forked child has no such thread, and forgets the jobs of its parent.

use ampoule_machine::os::sync::Mutex;
use ampoule_machine::os::{fork, signals, thread as sys_thread};
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::Arc;
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

/// The niceness of the thread: the least urgent there is.
const NICENESS: i32 = 19;

/// See the module.
pub(super) struct Worker {
    capacity: usize,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// The process whose thread is running; a forked child has none of its parent's.
    running_in: Option<u32>,
}

impl Worker {
    /// A worker for which at most `capacity` jobs wait.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, queue: Arc::default() }
    }

    /// Has a job run some time; dropped where too many wait already.
    pub(super) fn run(&self, job: Job) {
        let mut queue = self.queue.lock();
        if queue.running_in.is_some_and(|process| process != process::id()) {
            *queue = Queue::default();
        }
        // The first one doesn't wait.
        if queue.running_in.is_some() && queue.jobs.len() >= self.capacity {
            return;
        }
        queue.jobs.push_back(job);
        if queue.running_in.is_none() {
            match start(&self.queue) {
                Ok(()) => queue.running_in = Some(process::id()),
                Err(error) => {
                    log::warn!("no thread to compile for the cache: {error}");
                    queue.jobs.clear();
                }
            }
        }
    }
}

fn start(queue: &Arc<Mutex<Queue>>) -> io::Result<()> {
    fork::watch()?;
    let shared = queue.clone();
    let builder = thread::Builder::new().name("ampoule-cache".to_string());
    // The host's signals are for the host's threads.
    signals::with_all_blocked(|| builder.spawn(move || work(&shared))).map(drop)
}

fn work(queue: &Mutex<Queue>) {
    // Without it the thread is merely less polite.
    let _ = sys_thread::set_niceness(NICENESS);
    loop {
        let Some(job) = next_job(queue) else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            log::error!("compiling for the cache panicked");
        }
    }
}

/// The next job; the thread ends with the last.
fn next_job(queue: &Mutex<Queue>) -> Option<Job> {
    let mut queue = queue.lock();
    let job = queue.jobs.pop_front();
    if job.is_none() {
        queue.running_in = None;
    }
    job
}
