//! Waking hosts that don't wait for descriptors themselves: one thread, started when a waker is first to be woken for a descriptor, that waits
//! for all of them.
//!
//! The thread ends with its engine. A forked child has no such thread: it gets one when it watches something itself.

use crate::error::{Error, ErrorKind};
use ampoule_machine::os::signals;
use ampoule_machine::os::sync::Mutex;
use ampoule_machine::os::wake::WakeFd;
use rustix::event::epoll;
use rustix::io::Errno;
use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::Waker;
use std::thread::JoinHandle;
use std::{io, process};

/// The watcher of an engine, once it is used.
#[derive(Debug, Default)]
pub(crate) struct LazyWatcher(Mutex<Option<Watcher>>);

/// The thread of one process.
#[derive(Debug)]
struct Watcher {
    process: u32,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    epoll: OwnedFd,
    stop: WakeFd,
    /// Who is to be woken, by the number that epoll knows the descriptor by.
    wakers: Mutex<HashMap<u64, Waker>>,
}

/// What epoll calls the descriptor that ends the thread; whoever watches has another number.
const STOP: u64 = 0;

impl LazyWatcher {
    /// Wakes `waker` once `descriptor` is readable, on a thread of the engine's; one before with this number, which isn't zero, is forgotten.
    ///
    /// # Errors
    /// Where the thread can't be made, or no descriptor is left.
    pub(crate) fn watch(&self, number: u64, descriptor: BorrowedFd<'_>, waker: Waker) -> Result<(), Error> {
        let shared = self.shared().map_err(|error| Error::new(ErrorKind::System("waiting for a descriptor", error)))?;
        let before = shared.wakers.lock().insert(number, waker);
        drop(before);
        let (data, flags) = (epoll::EventData::new_u64(number), epoll::EventFlags::IN | epoll::EventFlags::ONESHOT);
        let armed = match epoll::modify(&shared.epoll, descriptor, data, flags) {
            Err(Errno::NOENT) => epoll::add(&shared.epoll, descriptor, data, flags),
            armed => armed,
        };
        armed.map_err(|error| Error::new(ErrorKind::System("waiting for a descriptor", error.into())))
    }

    /// Forgets what is watched under this number.
    pub(crate) fn forget(&self, number: u64, descriptor: BorrowedFd<'_>) {
        let watcher = self.0.lock();
        let Some(watcher) = watcher.as_ref().filter(|watcher| watcher.process == process::id()) else { return };
        let shared = watcher.shared.clone();
        let waker = shared.wakers.lock().remove(&number);
        // It may not have been watched.
        let _ = epoll::delete(&shared.epoll, descriptor);
        drop(waker);
    }

    /// What this process's thread waits for.
    fn shared(&self) -> io::Result<Arc<Shared>> {
        let mut watcher = self.0.lock();
        if watcher.as_ref().is_none_or(|watcher| watcher.process != process::id()) {
            let made = Watcher::start()?;
            // A parent's is left alone: its thread is not here.
            std::mem::forget(watcher.replace(made));
        }
        Ok(watcher.as_ref().expect("just made").shared.clone())
    }
}

impl Watcher {
    fn start() -> io::Result<Watcher> {
        let shared = Shared {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            stop: WakeFd::new()?,
            wakers: Mutex::default(),
        };
        epoll::add(&shared.epoll, &shared.stop, epoll::EventData::new_u64(STOP), epoll::EventFlags::IN)?;
        let shared = Arc::new(shared);
        let of_thread = shared.clone();
        let builder = std::thread::Builder::new().name("ampoule-watcher".to_string());
        // The host's signals are for the host's threads.
        let thread = signals::with_all_blocked(|| builder.spawn(move || of_thread.run()))?;
        Ok(Watcher { process: process::id(), shared, thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // A parent's thread is not here, and its descriptors are the parent's, too.
        if self.process != process::id() {
            std::mem::forget(self.thread.take());
            return;
        }
        self.shared.stop.wake();
        if let Some(thread) = self.thread.take()
            // A waker may have been the last that had the engine.
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// What the thread does.
    fn run(&self) {
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            // That a signal has come is no event.
            let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None);
            for event in &events {
                if event.data.u64() == STOP {
                    return;
                }
                let waker = self.wakers.lock().remove(&event.data.u64());
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        }
    }
}
