//! The one place where a call of a guest's sleeps, or is put off until what it waits for has happened.
//!
//! A call that runs in a task, which can be suspended, doesn't sleep: it is told [`Error::MustWait`], and ends. The face that it came
//! through lets go of the host, which others may use meanwhile, has the store wait ([`Wait::run`]), and makes the same call again. What
//! such a call has done before is kept for it as [`Progress`].
//!
//! A sleep ends early when the call is cancelled or its time limit passes, when the store's epoch deadline passes, or when
//! a check of the embedder's says so: the store's, or the context's. All are looked at before sleeping. The first two wake the sleeper;
//! checks are asked every [`INTERVAL`]. Without one, a call sleeps exactly as long as the guest asked.

#[cfg(doc)]
use super::clocks::Clock;
use super::error::Error;
use ampoule::engine::cancel::{CancelCheck, Interrupts};
use ampoule::store::interrupt_check::{INTERVAL, InterruptCheck as StoreCheck};
use ampoule::store::reactor::{Direction, Reactor, Registration, Timer};
use ampoule::{Engine, Store};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::collections::HashSet;
use std::io;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// Whether the sleeping guest is to be interrupted.
pub type InterruptCheck = Box<dyn FnMut() -> bool + Send + Sync>;

/// What a call has done that has to wait in the middle of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// How many bytes it has written.
    pub written: usize,
    /// What the clocks ([`Clock::ALL`]) showed when it began, where it counts from there.
    pub began: Option<[u64; 2]>,
}

/// What a call waits for that was put off.
#[derive(Debug)]
pub struct Wait {
    descriptors: Vec<(OwnedFd, Direction)>,
    deadline: Option<Instant>,
    /// What it had done.
    pub progress: Progress,
}

impl Wait {
    /// Whether it is for descriptors.
    pub fn has_descriptors(&self) -> bool {
        !self.descriptors.is_empty()
    }

    /// Waits for none of the descriptors, but no longer than until then.
    pub fn give_up_descriptors(&mut self, at: Instant) {
        if !std::mem::take(&mut self.descriptors).is_empty() {
            self.deadline = self.deadline.into_iter().chain([at]).min();
        }
    }

    /// Has this waker woken when it has happened, or for no reason.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn arm(self, reactor: &Reactor, waker: &Waker) -> io::Result<Armed> {
        let registrations = self.descriptors.into_iter().map(|(descriptor, direction)| {
            let registration = reactor.register_owned(descriptor, direction)?;
            registration.arm(waker)?;
            Ok(registration)
        });
        let _registrations = registrations.collect::<io::Result<_>>()?;
        let _timer = self.deadline.map(|deadline| {
            let mut timer = reactor.timer();
            timer.arm(deadline, waker);
            timer
        });
        Ok(Armed { _registrations, _timer })
    }

    /// Has the store wait until this has happened, or for no reason.
    ///
    /// # Errors
    /// What ends the guest.
    pub fn run(self, store: &mut Store) -> Result<(), ampoule::Error> {
        let reactor = store.reactor()?.clone();
        let (mut wait, mut armed) = (Some(self), None);
        let waited = store.wait_until(|_, context| match wait.take().map(|wait| wait.arm(&reactor, context.waker())) {
            Some(Ok(registered)) => {
                armed = Some(registered);
                Poll::Pending
            }
            Some(Err(error)) => Poll::Ready(Err(error)),
            // Woken. The call looks for what.
            None => Poll::Ready(Ok(())),
        });
        waited?.map_err(|error| ampoule::Error::message(format!("cannot wait for the host: {error}")))
    }
}

/// What is waited for, until this is dropped.
#[derive(Debug)]
pub struct Armed {
    _registrations: Vec<Registration>,
    _timer: Option<Timer>,
}

/// How calls of one context sleep.
#[derive(Default)]
pub struct Waiter {
    check: Option<InterruptCheck>,
    /// The store's interrupt check. Set for each call.
    of_store: Option<StoreCheck>,
    /// The engine whose epoch ends a sleep, and the epoch that does. Set for each call.
    epoch: Option<Engine>,
    deadline: Option<u64>,
    /// Says whether the call was cancelled. Set for each call.
    cancel: Option<CancelCheck>,
    /// Whether the call is put off rather than put to sleep. Set for each call.
    suspends: bool,
    /// Of a call that was put off before, until it takes it.
    progress: Progress,
    /// Of a call that is put off now, until its face takes it.
    wait: Option<Wait>,
}

impl Waiter {
    /// Sets or removes the interrupt check.
    pub fn set_check(&mut self, check: Option<InterruptCheck>) {
        self.check = check;
    }

    /// Begins a call in a store, of which this is part.
    #[inline]
    pub(crate) fn begin_call(&mut self, engine: &Engine, call: Call) {
        self.deadline = call.epoch;
        self.cancel = call.cancel;
        self.suspends = call.suspends;
        self.of_store = call.check;
        self.progress = Progress::default();
        if call.epoch.is_some() && self.epoch.is_none() {
            self.epoch = Some(engine.clone());
        }
    }

    /// The call that has begun was put off before.
    pub(crate) fn set_progress(&mut self, progress: Progress) {
        self.progress = progress;
    }

    /// Whether the call is put off where it has to wait.
    pub fn suspends(&self) -> bool {
        self.suspends
    }

    /// What the call has done before it was put off, if it was.
    pub fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    /// What the call waits for that has ended with [`Error::MustWait`].
    pub fn take_wait(&mut self) -> Option<Wait> {
        self.wait.take()
    }

    /// Whether it is worth waiting here rather than in a blocking system call: the wait can be interrupted, or is to be suspended.
    pub fn is_interruptible(&self) -> bool {
        self.suspends || self.asks() || self.interrupts().are_possible()
    }

    /// Waits until one thing is ready, if there is one, or the time is over.
    ///
    /// # Errors
    /// As [`Waiter::poll`]; the call is put off where it has to be.
    pub fn wait_for(
        &mut self,
        what: Option<(BorrowedFd<'_>, Direction)>,
        timeout: Option<Duration>,
    ) -> Result<(), Error> {
        let polled = match what {
            Some((fd, Direction::Read)) => self.poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], timeout),
            Some((fd, Direction::Write)) => self.poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], timeout),
            None => self.poll(&mut [], timeout),
        };
        match polled {
            Err(Error::MustWait) => Err(self.put_off(what.into_iter(), timeout)),
            polled => polled.map(drop),
        }
    }

    /// Ends a call that [`Waiter::poll`] has said must wait: until one of these is ready, or the time is over. Each is kept open
    /// by a descriptor more, once for each direction.
    pub fn put_off<'a>(
        &mut self,
        descriptors: impl Iterator<Item = (BorrowedFd<'a>, Direction)>,
        timeout: Option<Duration>,
    ) -> Error {
        let mut known = HashSet::new();
        let owned = descriptors.filter(|(fd, direction)| known.insert((fd.as_raw_fd(), *direction == Direction::Read)));
        let owned = owned.map(|(fd, direction)| Ok((rustix::io::fcntl_dupfd_cloexec(fd, 0)?, direction)));
        match owned.collect::<Result<_, Error>>() {
            Ok(descriptors) => {
                // A timeout past the end of the host's clock is none.
                let deadline = self.slice(timeout).and_then(|timeout| Instant::now().checked_add(timeout));
                self.wait = Some(Wait { descriptors, deadline, progress: std::mem::take(&mut self.progress) });
                Error::MustWait
            }
            Err(error) => error,
        }
    }

    /// Whether there is a check.
    fn asks(&self) -> bool {
        self.check.is_some() || self.of_store.is_some()
    }

    /// How much of the time that is left may be waited before the check is asked again.
    fn slice(&self, left: Option<Duration>) -> Option<Duration> {
        let slice = self.asks().then_some(INTERVAL);
        left.into_iter().chain(slice).min()
    }

    /// What ends a sleep by itself.
    fn interrupts(&self) -> Interrupts<'_> {
        Interrupts::new(self.cancel.as_ref(), self.epoch.as_ref().zip(self.deadline))
    }

    /// Looks for a cancellation and at the deadline, and asks the interrupt checks.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when it says so.
    pub fn check(&mut self) -> Result<(), Error> {
        let interrupted = self.interrupts().is_pending()
            || self.of_store.as_ref().is_some_and(|check| check())
            || self.check.as_mut().is_some_and(|check| check());
        if interrupted { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Sleeps until one of `fds` is ready or `timeout` is over; without either, until interrupted. Returns how many
    /// are ready: `PollFd::revents` says which.
    ///
    /// # Errors
    /// [`Error::Interrupted`], or what `poll(2)` says. [`Error::MustWait`] where none is ready and the call is to be put off: the caller
    /// tells what for ([`Waiter::put_off`]).
    pub fn poll(&mut self, fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<usize, Error> {
        if self.suspends {
            self.check()?;
            let ready = poll_once(fds, Some(Duration::ZERO))?;
            return if ready > 0 || timeout == Some(Duration::ZERO) { Ok(ready) } else { Err(Error::MustWait) };
        }
        // A timeout past the end of the host's clock is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            self.check()?;
            let slice = self.slice(deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())));
            let interrupts = self.interrupts();
            let ready = if !interrupts.are_possible() {
                poll_once(fds, slice)?
            } else if fds.is_empty() {
                interrupts.sleep(slice);
                0
            } else {
                poll_or_wake(interrupts, fds, slice)?
            };
            if ready > 0 || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(ready);
            }
        }
    }
}

/// What a waiter has to know of the call that begins.
pub(crate) struct Call {
    epoch: Option<u64>,
    cancel: Option<CancelCheck>,
    check: Option<StoreCheck>,
    suspends: bool,
}

impl Call {
    /// Of a call in this store.
    #[inline]
    pub(crate) fn of(store: &Store) -> Self {
        let (epoch, cancel) = (store.interrupting_epoch(), store.cancel_check());
        Self { epoch, cancel, check: store.interrupt_check().cloned(), suspends: store.waits_suspended() }
    }

    /// Of what is polled in this store, and polled again where it has to wait.
    pub(crate) fn polled(store: &Store) -> Self {
        Self { suspends: true, ..Self::of(store) }
    }
}

/// `poll(2)`, where a signal ends the wait like its time.
fn poll_once(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<usize, Error> {
    match poll(fds, timeout.and_then(|timeout| Timespec::try_from(timeout).ok()).as_ref()) {
        Ok(ready) => Ok(ready),
        // A signal of the embedder's: its handler may have changed what the check says.
        Err(rustix::io::Errno::INTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// The same, no longer than until the call is interrupted.
fn poll_or_wake(interrupts: Interrupts<'_>, fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<usize, Error> {
    let ready = poll_once(fds, Some(Duration::ZERO))?;
    if ready > 0 || timeout == Some(Duration::ZERO) {
        return Ok(ready);
    }
    let waited = interrupts.wait_with(|wake| {
        let mut all: Vec<PollFd<'_>> = fds.to_vec();
        all.push(PollFd::from_borrowed_fd(wake, PollFlags::IN));
        poll_once(&mut all, timeout)
    });
    match waited {
        // Where it was interrupted, the caller looks.
        Ok(waited) => waited.transpose()?,
        // No descriptor is left to be woken by.
        Err(_) => return poll_once(fds, Some(timeout.map_or(INTERVAL, |timeout| timeout.min(INTERVAL)))),
    };
    // Reports in the caller's own list which are ready.
    poll_once(fds, Some(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_as_long_as_asked() {
        let start = Instant::now();
        assert_eq!(Waiter::default().poll(&mut [], Some(Duration::from_millis(15))), Ok(0));
        assert!(start.elapsed() >= Duration::from_millis(15));
    }

    #[test]
    fn a_check_shortens_the_sleep() {
        let mut waiter = Waiter::default();
        let mut questions = 0;
        waiter.set_check(Some(Box::new(move || {
            questions += 1;
            questions > 2
        })));
        let start = Instant::now();
        assert_eq!(waiter.poll(&mut [], None), Err(Error::Interrupted));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_check_that_says_no_changes_nothing() {
        let mut waiter = Waiter::default();
        waiter.set_check(Some(Box::new(|| false)));
        let start = Instant::now();
        assert_eq!(waiter.poll(&mut [], Some(Duration::from_millis(35))), Ok(0));
        assert!(start.elapsed() >= Duration::from_millis(35));
    }
}
