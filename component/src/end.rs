//! Ends of streams and futures in the host's hands, as values hold them, and how the store learns of what happens to them elsewhere.

use crate::builtin::{Payload, Side, StreamKind};
use ampoule::{Error, Store};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Wake, Waker};

/// What the event loop of a store is to hear of, from whatever thread.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    /// The host's end of a stream or future may go on.
    Woken(u32),
    /// Nobody holds an end any more.
    Dropped(u32, Side),
    /// Nobody wants the result of a call any more that the host has started.
    Forgotten(u32),
}

/// Where signals go to.
#[derive(Clone)]
pub(crate) struct Messenger {
    sender: Sender<Signal>,
    /// Wakes the event loop, once that has slept.
    sleeper: Arc<OnceLock<Waker>>,
}

impl Messenger {
    pub(crate) fn send(&self, signal: Signal) {
        // A store that is gone doesn't mind.
        let _ = self.sender.send(signal);
        if let Some(waker) = self.sleeper.get() {
            waker.wake_by_ref();
        }
    }
}

/// Where signals arrive. Most stores never hear of any: the ends of the channel are made when somebody asks for one.
pub(crate) struct Mailbox(Option<Ends>);

struct Ends {
    /// Locked by nobody: the store is used by one thread at a time.
    receiver: Mutex<Receiver<Signal>>,
    messenger: Messenger,
}

impl Mailbox {
    /// One that nobody has asked for.
    pub(crate) const NEW: Mailbox = Mailbox(None);

    pub(crate) fn messenger(&mut self) -> &Messenger {
        let make = || {
            let (sender, receiver) = channel();
            Ends { receiver: Mutex::new(receiver), messenger: Messenger { sender, sleeper: Arc::default() } }
        };
        &self.0.get_or_insert_with(make).messenger
    }

    /// Has signals that come from now on wake whoever sleeps, and those that have come before.
    pub(crate) fn wake_with(&mut self, waker: impl FnOnce() -> Waker) {
        let sleeper = &self.messenger().sleeper;
        if sleeper.get().is_none() {
            sleeper.get_or_init(waker).wake_by_ref();
        }
    }

    /// The next signal that has come.
    pub(crate) fn next(&mut self) -> Option<Signal> {
        let receiver = &mut self.0.as_mut()?.receiver;
        receiver.get_mut().unwrap_or_else(PoisonError::into_inner).try_recv().ok()
    }
}

/// What has a stream polled again. Signals don't pile up: one is enough until it is heard.
pub(crate) struct StreamWaker {
    stream: u32,
    is_woken: AtomicBool,
    messenger: Messenger,
}

impl StreamWaker {
    pub(crate) fn new(stream: u32, messenger: &Messenger) -> Arc<StreamWaker> {
        Arc::new(StreamWaker { stream, is_woken: AtomicBool::new(false), messenger: messenger.clone() })
    }

    /// Before the stream is polled: what wakes it after that is news.
    pub(crate) fn reset(&self) {
        self.is_woken.store(false, Ordering::Release);
    }
}

impl Wake for StreamWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            self.messenger.send(Signal::Woken(self.stream));
        }
    }
}

/// An end of a stream or future that the host has. It is one thing: there are no copies. Dropping it drops the end.
pub struct EndAny {
    pub(crate) store: u64,
    pub(crate) stream: u32,
    pub(crate) kind: StreamKind,
    pub(crate) side: Side,
    /// As the embedder sees the type.
    pub(crate) payload: Payload,
    pub(crate) messenger: Messenger,
    /// Whether the end is somebody else's now.
    pub(crate) is_given: AtomicBool,
}

impl EndAny {
    /// Refuses an end that is of another store, or that was given away.
    ///
    /// # Errors
    /// Where it is.
    pub(crate) fn check(&self, store: &Store) -> Result<(), Error> {
        let kind = self.kind.name();
        if store.id() != self.store {
            return Err(Error::message(format!("{kind} used with the wrong store")));
        }
        if self.is_given.load(Ordering::Relaxed) {
            return Err(Error::message(format!("the {kind} was given away")));
        }
        Ok(())
    }

    /// Notes that the end is somebody else's: what is dropped from now on is nothing.
    pub(crate) fn give(&self) {
        self.is_given.store(true, Ordering::Relaxed);
    }
}

impl Drop for EndAny {
    fn drop(&mut self) {
        if !*self.is_given.get_mut() {
            self.messenger.send(Signal::Dropped(self.stream, self.side));
        }
    }
}

impl fmt::Debug for EndAny {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndAny").field("kind", &self.kind).field("side", &self.side).finish_non_exhaustive()
    }
}
