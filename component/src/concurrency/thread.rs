//! Threads (Canonical ABI, "Threads"): what runs in a task, and what it waits for.

use super::arena::NONE;
use super::waitable::Event;
use crate::state::ComponentState;
use ampoule::store::task::sibling::Sibling;
use ampoule::{Error, Func, Store};
use std::collections::VecDeque;

/// A thread of a component instance.
pub(crate) struct Thread {
    pub(crate) task: u32,
    pub(crate) instance: u32,
    /// What it does when it gets a stack; nothing more once it has begun.
    pub(crate) start: Start,
    /// What it waits for; `None` while it runs.
    pub(crate) wait: Option<Wait>,
    /// The stack that it is suspended on, where it is the last on that.
    pub(crate) sibling: Option<Box<Sibling>>,
    /// The thread that this one was called or resumed by; [`NONE`] where that was the event loop.
    pub(crate) below: u32,
    /// Whether it runs on the stack of its caller.
    pub(crate) is_on_callers_stack: bool,
    /// The innermost call that may lend, while it is suspended.
    pub(crate) scope: u32,
    /// What `context.get` reads.
    pub(crate) storage: [u64; 2],
    /// The number that the guest knows it by; zero as long as it has asked for none.
    pub(crate) index: u32,
    /// Whether the guest has made it itself.
    pub(crate) is_explicit: bool,
    /// Whether the event loop is going to look at it.
    pub(crate) is_queued: bool,
    /// Whether it is to learn that its task was cancelled.
    pub(crate) is_cancelled: bool,
    /// What it has waited for.
    pub(crate) event: Event,
}

/// What a thread begins with.
#[derive(Default)]
pub(crate) enum Start {
    /// It has begun.
    #[default]
    Begun,
    /// With the function of its task.
    Task,
    /// With the callback of its task.
    Callback,
    /// With a function of the guest's, and what that takes.
    Func(Func, u32),
    /// With something of ours.
    Work(Work),
}

/// Work of ours that is done in a task.
///
/// 1. Who made it waits until it is done, or has given the thread up.
pub(crate) struct Work(pub(crate) *mut (dyn FnMut(&mut Store) -> Result<(), Error> + 'static));

// SAFETY: by (1), the work is there as long as this is, on the thread that uses the store.
unsafe impl Send for Work {}
// SAFETY: a shared reference gives nothing away.
unsafe impl Sync for Work {}

/// What a thread waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    /// Nothing: others are to run first.
    Nothing,
    /// That somebody resumes it.
    Resumption,
    /// That its task may start.
    Entry,
    /// That its instance is free for its callback; and, where it has returned a set, for an event of that.
    Callback { set: u32 },
    /// An event of a set.
    Set(u32),
    /// An event of a waitable.
    Waitable(u32),
    /// That a subtask is resolved.
    Subtask(u32),
    /// That a call from the host is over.
    HostCall(u32),
    /// Something of the host's, which it looks for itself.
    Host,
}

impl Thread {
    pub(crate) fn new(task: u32, instance: u32, start: Start) -> Thread {
        Thread {
            task,
            instance,
            start,
            wait: None,
            sibling: None,
            below: NONE,
            is_on_callers_stack: false,
            scope: NONE,
            storage: [0; 2],
            index: 0,
            is_explicit: false,
            is_queued: false,
            is_cancelled: false,
            event: Event::NONE,
        }
    }

    /// Whether it may be resumed by its number.
    pub(crate) fn is_suspended(&self) -> bool {
        self.wait == Some(Wait::Resumption)
    }
}

/// Takes a thread out of a queue, of which it is mostly the first: there may be many.
fn leave(queue: &mut VecDeque<u32>, thread: u32) {
    if queue.front() == Some(&thread) {
        queue.pop_front();
    } else {
        queue.retain(|&waiting| waiting != thread);
    }
}

impl ComponentState {
    /// Adds a thread to a task.
    ///
    /// # Errors
    /// Where there are too many.
    pub(crate) fn add_thread(&mut self, task: u32, start: Start) -> Result<u32, Error> {
        let instance = self.concurrency.tasks[task].instance;
        let thread = self.concurrency.threads.insert(Thread::new(task, instance, start))?;
        self.concurrency.tasks[task].threads += 1;
        Ok(thread)
    }

    /// Takes away what `context.get` reads, while guest code runs for the canonical ABI, as in a thread of its own.
    #[inline]
    pub(crate) fn take_storage(&mut self) -> [u64; 2] {
        match self.concurrency.current {
            NONE => [0; 2],
            thread => std::mem::take(&mut self.concurrency.threads[thread].storage),
        }
    }

    /// Gives it back.
    #[inline]
    pub(crate) fn put_storage(&mut self, storage: [u64; 2]) {
        if self.concurrency.current != NONE {
            let thread = self.concurrency.current;
            self.concurrency.threads[thread].storage = storage;
        }
    }

    /// Whether what a thread waits for is there.
    pub(crate) fn is_ready(&mut self, thread: u32) -> bool {
        let concurrency = &mut self.concurrency;
        let Some(found) = concurrency.threads.get(thread) else { return false };
        let (task, instance, wait) = (found.task, found.instance, found.wait);
        match wait {
            None | Some(Wait::Resumption) => false,
            Some(Wait::Nothing | Wait::Host) => true,
            Some(Wait::Entry) => {
                let needs_exclusive = concurrency.tasks[task].needs_exclusive;
                let first = self.instance(instance).tasks.entering.front() == Some(&thread);
                first && !self.is_held_off(instance, needs_exclusive)
            }
            Some(Wait::Callback { set }) => {
                if set != NONE && concurrency.sets[set].ready.is_empty() {
                    return false;
                }
                let tasks = &mut self.instance(instance).tasks;
                if tasks.exclusive == NONE {
                    return true;
                }
                if !tasks.blocked.contains(&thread) {
                    tasks.blocked.push_back(thread);
                }
                false
            }
            Some(Wait::Set(set)) => !concurrency.sets[set].ready.is_empty(),
            Some(Wait::Waitable(id)) => concurrency.waitables[id].pending,
            Some(Wait::Subtask(id)) => self.subtask(id).is_resolved(),
            Some(Wait::HostCall(id)) => concurrency.calls[id].outcome.is_some(),
        }
    }

    /// A thread stops waiting, because what it waited for is there or its task was cancelled: takes what it gets for that.
    pub(crate) fn stop_waiting(&mut self, thread: u32) -> Event {
        let found = &mut self.concurrency.threads[thread];
        let wait = found.wait.take();
        let (instance, is_cancelled) = (found.instance, std::mem::take(&mut found.is_cancelled));
        match wait {
            Some(Wait::Entry) => {
                leave(&mut self.instance(instance).tasks.entering, thread);
                Event::NONE
            }
            Some(Wait::Callback { set }) => {
                leave(&mut self.instance(instance).tasks.blocked, thread);
                if set != NONE {
                    leave(&mut self.concurrency.sets[set].waiters, thread);
                }
                match set {
                    _ if is_cancelled => Event::CANCELLED,
                    NONE => Event::NONE,
                    set => self.take_event_of(set).expect("it was there"),
                }
            }
            Some(Wait::Set(set)) => {
                leave(&mut self.concurrency.sets[set].waiters, thread);
                self.take_event_of(set).expect("it was there")
            }
            Some(Wait::Waitable(id)) => {
                self.concurrency.waitables[id].waiter = NONE;
                Event::NONE
            }
            Some(Wait::Host) => {
                leave(&mut self.concurrency.for_host, thread);
                Event::NONE
            }
            _ => Event::NONE,
        }
    }

    /// Whether a thread of the instance runs, or waits for what it has called on the same stack or one that is above.
    pub(crate) fn is_running(&self, instance: u32) -> bool {
        let mut thread = self.concurrency.current;
        while thread != NONE {
            let found = &self.concurrency.threads[thread];
            if found.instance == instance {
                return true;
            }
            thread = found.below;
        }
        false
    }

    /// The number that the guest knows a thread by.
    ///
    /// # Errors
    /// Where it has too many.
    pub(crate) fn thread_index(&mut self, thread: u32) -> Result<u32, Error> {
        let found = &self.concurrency.threads[thread];
        if found.index != 0 {
            return Ok(found.index);
        }
        let instance = found.instance;
        let threads = &mut self.instances[instance as usize].tasks.threads;
        let place = threads.iter().position(|&taken| taken == NONE).unwrap_or_else(|| {
            threads.push(NONE);
            threads.len() - 1
        });
        threads[place] = thread;
        let index = place as u32 + 1;
        self.concurrency.threads[thread].index = index;
        Ok(index)
    }

    /// The thread of an instance that has this number.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn thread_at(&mut self, instance: u32, index: u32) -> Result<u32, Error> {
        let threads = &self.instances[instance as usize].tasks.threads;
        match threads.get((index as usize).wrapping_sub(1)) {
            Some(&thread) if thread != NONE => Ok(thread),
            _ => Err(Error::message(format!("unknown thread index {index}"))),
        }
    }

    /// A thread has ended, or will not run any more.
    ///
    /// # Errors
    /// Where it was the last of a task that has no result.
    pub(crate) fn remove_thread(&mut self, thread: u32) -> Result<(), Error> {
        let Some(found) = self.concurrency.threads.remove(thread) else { return Ok(()) };
        self.concurrency.new_threads -= usize::from(found.is_explicit);
        if found.index != 0 {
            self.instances[found.instance as usize].tasks.threads[found.index as usize - 1] = NONE;
        }
        if self.instances[found.instance as usize].tasks.exclusive == thread {
            self.release_exclusive(found.instance);
        }
        self.leave_task(found.task)
    }
}
