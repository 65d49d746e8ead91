//! Ends of streams and futures in the host's hands, as values hold them, and how the store learns of what happens to them elsewhere.

use crate::builtin::{Payload, Side, StreamKind};
use ampoule::sync::{Mutex, OnceLock};
use ampoule::{Error, Store};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Weak};
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

/// What the senders and the store share.
#[derive(Default)]
struct Channel {
    /// Those that have come and weren't heard: at most one of each [`StreamWaker`], [`EndAny`] and started call, however often it is woken,
    /// so never more than the host has had of those.
    signals: Mutex<VecDeque<Signal>>,
    /// How many those are. The event loop looks at each turn, and takes the lock only where there are any.
    len: AtomicUsize,
    /// Wakes the event loop, once that has slept.
    sleeper: OnceLock<Waker>,
}

/// Where signals go to. A store that is gone hears none.
#[derive(Clone)]
pub(crate) struct Messenger(Weak<Channel>);

impl Messenger {
    pub(crate) fn send(&self, signal: Signal) {
        let Some(channel) = self.0.upgrade() else { return };
        {
            let mut signals = channel.signals.lock();
            signals.push_back(signal);
            channel.len.store(signals.len(), Ordering::Release);
        }
        // Between `len` and `sleeper`, as in `Mailbox::wake_with` between `sleeper` and `len`: one of both finds what the other has left.
        fence(Ordering::SeqCst);
        // Without the lock: it is the embedder's code, too.
        if let Some(waker) = channel.sleeper.get() {
            waker.wake_by_ref();
        }
    }
}

/// Where signals arrive. Most stores never hear of any: the channel is made when somebody asks for one.
pub(crate) struct Mailbox(Option<Arc<Channel>>);

impl Mailbox {
    /// One that nobody has asked for.
    pub(crate) const NEW: Mailbox = Mailbox(None);

    fn channel(&mut self) -> &Arc<Channel> {
        self.0.get_or_insert_default()
    }

    pub(crate) fn messenger(&mut self) -> Messenger {
        Messenger(Arc::downgrade(self.channel()))
    }

    /// Has signals that come from now on wake whoever sleeps, and those that have come before. Whoever sleeps looks for signals after this.
    pub(crate) fn wake_with(&mut self, waker: impl FnOnce() -> Waker) {
        let sleeper = &self.channel().sleeper;
        if sleeper.get().is_none() {
            sleeper.get_or_init(waker).wake_by_ref();
            fence(Ordering::SeqCst);
        }
    }

    /// The next signal that has come.
    pub(crate) fn next(&mut self) -> Option<Signal> {
        let channel = self.0.as_ref()?;
        if channel.len.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut signals = channel.signals.lock();
        let signal = signals.pop_front();
        channel.len.store(signals.len(), Ordering::Release);
        signal
    }
}

/// What has a stream polled again. Signals don't pile up: one is enough until it is heard.
pub(crate) struct StreamWaker {
    stream: u32,
    is_woken: AtomicBool,
    messenger: Messenger,
}

impl StreamWaker {
    pub(crate) fn new(stream: u32, messenger: Messenger) -> Arc<StreamWaker> {
        Arc::new(StreamWaker { stream, is_woken: AtomicBool::new(false), messenger })
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

#[cfg(test)]
mod tests {
    use super::*;
    use ampoule::Engine;
    use std::thread;

    #[test]
    fn what_is_woken_again_and_again_is_one_signal() {
        let mut mailbox = Mailbox::NEW;
        assert!(mailbox.next().is_none());
        let waker = StreamWaker::new(7, mailbox.messenger());
        for _ in 0..2 {
            (0..1000).for_each(|_| waker.wake_by_ref());
            assert!(matches!(mailbox.next(), Some(Signal::Woken(7))));
            assert!(mailbox.next().is_none());
            waker.reset();
        }
    }

    #[test]
    fn a_store_that_is_gone_holds_no_signals() {
        let mut mailbox = Mailbox::NEW;
        let messenger = mailbox.messenger();
        messenger.send(Signal::Forgotten(1));
        drop(mailbox);
        messenger.send(Signal::Forgotten(2));
        assert!(messenger.0.upgrade().is_none());
    }

    /// Other threads are in the middle of sending when the process forks: the child hears what has come, and doesn't wait for them.
    #[test]
    fn a_forked_child_hears_what_has_come() {
        let _engine = Engine::default(); // which watches for forks
        let mut mailbox = Mailbox::NEW;
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                let (messenger, channel) = (mailbox.messenger(), mailbox.channel().clone());
                let is_over = &is_over;
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        if channel.len.load(Ordering::Relaxed) < 1_000_000 {
                            messenger.send(Signal::Woken(1));
                        }
                    }
                });
            }
            for _ in 0..100 {
                // SAFETY: the child, in its only thread, looks into the mailbox and ends without returning.
                match unsafe { libc::fork() } {
                    0 => {
                        // SAFETY: it has the process ended, should it wait for ever.
                        unsafe { libc::alarm(20) };
                        mailbox.messenger().send(Signal::Forgotten(5));
                        let heard = std::iter::from_fn(|| mailbox.next()).last();
                        // SAFETY: ends the process.
                        unsafe { libc::_exit(i32::from(!matches!(heard, Some(Signal::Forgotten(5))))) }
                    }
                    child => {
                        let mut status = 0;
                        // SAFETY: waits for the child made above.
                        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
                        if (waited, status) != (child, 0) {
                            is_over.store(true, Ordering::Relaxed);
                        }
                        assert_eq!((waited, status), (child, 0));
                    }
                }
                // All at once: hearing them one after another is slower than sending them.
                let channel = mailbox.channel();
                let mut signals = channel.signals.lock();
                signals.clear();
                channel.len.store(0, Ordering::Relaxed);
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}
