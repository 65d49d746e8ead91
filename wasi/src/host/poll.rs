//! Waiting for the first of several things: points in time, and descriptors that can be read or written.

use super::available::{Availability, Available, Direction, RETRY};
use super::clocks::{Clock, Clocks};
use super::error::Error;
use super::http::signal::Signal;
use super::wait::Waiter;
use ampoule::store::reactor;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use std::time::Duration;

/// How long to sleep before looking at the real-time clock again, which may be set meanwhile.
const REALTIME_SLICE: Duration = Duration::from_secs(1);

/// When something can be read or written without waiting.
#[derive(Clone, Copy, Debug)]
pub enum Readiness<'a> {
    /// Now, and this many bytes.
    Now(u64),
    /// When `poll(2)` says so for this descriptor.
    When(BorrowedFd<'a>),
    /// When the embedder, or another thread, says so.
    Ask(&'a dyn Available),
}

/// One thing to wait for.
#[derive(Clone, Copy, Debug)]
pub enum Interest<'a> {
    /// `clock` shows `deadline`, in nanoseconds.
    Time {
        /// The clock.
        clock: Clock,
        /// What it is to show.
        deadline: u64,
    },
    /// Something can be read.
    Read(Readiness<'a>),
    /// Something can be written.
    Write(Readiness<'a>),
}

/// What is reported of an interest whose event happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Why waiting for it was in vain.
    pub error: Option<Errno>,
    /// How many bytes can be read or written.
    pub byte_len: u64,
    /// The other side has gone.
    pub hangup: bool,
}

/// Several things, of which the first is waited for.
#[derive(Debug)]
pub struct Poll<'a> {
    interests: Vec<Interest<'a>>,
    /// One for each interest.
    events: Vec<Option<Event>>,
    /// The descriptors among the interests, and whose they are; behind them, those that the embedder named when it was last asked, and
    /// the signal's.
    fds: Vec<PollFd<'a>>,
    indices: Vec<usize>,
    /// How many of these are no names of the embedder's.
    own_fds: usize,
    /// What the embedder or another thread is asked for, and whose that is.
    asked: Vec<(&'a dyn Available, Direction, usize)>,
    /// What other threads tell by. It is armed before they are asked.
    signal: Option<&'a Signal>,
}

impl<'a> Poll<'a> {
    /// Will wait for the first of these.
    pub fn new(interests: Vec<Interest<'a>>) -> Self {
        let events = vec![None; interests.len()];
        let (fds, indices, asked) = (Vec::new(), Vec::new(), Vec::new());
        let mut poll = Self { interests, events, fds, indices, own_fds: 0, asked, signal: None };
        for (index, interest) in poll.interests.iter().enumerate() {
            let (readiness, flags, direction) = match interest {
                Interest::Time { .. } => continue,
                Interest::Read(readiness) => (readiness, PollFlags::IN, Direction::Read),
                Interest::Write(readiness) => (readiness, PollFlags::OUT, Direction::Write),
            };
            match *readiness {
                Readiness::Now(byte_len) => poll.events[index] = Some(Event { byte_len, ..Event::default() }),
                Readiness::When(fd) => {
                    poll.fds.push(PollFd::from_borrowed_fd(fd, flags));
                    poll.indices.push(index);
                }
                Readiness::Ask(whom) => poll.asked.push((whom, direction, index)),
            }
        }
        poll.own_fds = poll.fds.len();
        poll
    }

    /// Among the interests are some of which this signal tells.
    pub fn signalled_by(mut self, signal: &'a Signal) -> Self {
        self.signal = Some(signal);
        self
    }

    /// Sleeps until at least one has happened.
    ///
    /// # Errors
    /// An interruption, or what `poll(2)` says. [`Error::MustWait`] where the call is to be suspended until then.
    pub fn wait(&mut self, clocks: &Clocks, waiter: &mut Waiter) -> Result<(), Error> {
        loop {
            self.look_at_clocks(clocks);
            if let Some(signal) = self.signal {
                signal.arm()?;
            }
            let ask_again = self.ask();
            let some = self.has_events() || self.skip_time(clocks);
            // Events that have happened already are reported together with the descriptors that are ready now.
            if !some || !self.fds.is_empty() || !self.asked.is_empty() {
                let timeout = if some { Some(Duration::ZERO) } else { soonest(self.time_left(clocks), ask_again) };
                match waiter.poll(&mut self.fds, timeout) {
                    Err(Error::MustWait) => return Err(waiter.put_off(self.descriptors(), timeout)),
                    polled => polled?,
                };
                self.look_at_descriptors();
            }
            if self.has_events() {
                return Ok(());
            }
        }
    }

    /// What has happened, each with the index of its interest.
    pub fn events(&self) -> impl Iterator<Item = (usize, Event)> {
        self.events.iter().enumerate().filter_map(|(index, event)| Some((index, (*event)?)))
    }

    /// The descriptors that are waited for: their owners say which way, the embedder's are read.
    fn descriptors(&self) -> impl Iterator<Item = (BorrowedFd<'_>, reactor::Direction)> {
        self.fds.iter().enumerate().map(|(at, fd)| match self.indices.get(at).map(|index| self.interests[*index]) {
            Some(Interest::Write(_)) if at < self.own_fds => (fd.as_fd(), reactor::Direction::Write),
            _ => (fd.as_fd(), reactor::Direction::Read),
        })
    }

    fn has_events(&self) -> bool {
        self.events.iter().any(Option::is_some)
    }

    fn look_at_clocks(&mut self, clocks: &Clocks) {
        for (interest, event) in self.interests.iter().zip(&mut self.events) {
            if let Interest::Time { clock, deadline } = *interest
                && clocks.now(clock) >= deadline
            {
                *event = Some(Event::default());
            }
        }
    }

    /// Asks the embedder; tells how long until it is to be asked again, where no descriptor says when.
    fn ask(&mut self) -> Option<Duration> {
        self.fds.truncate(self.own_fds);
        self.indices.truncate(self.own_fds);
        let (mut again, mut is_signalled) = (None, false);
        for &(whom, direction, index) in &self.asked {
            match whom.available(direction) {
                Availability::Ready => self.events[index] = Some(Event { byte_len: 1, ..Event::default() }),
                Availability::When(fd) => {
                    self.fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
                    self.indices.push(index);
                }
                Availability::Signalled => is_signalled = true,
                Availability::Later => again = Some(RETRY),
            }
        }
        if is_signalled {
            // Of no interest alone: that something has happened is no event, but a reason to ask.
            match self.signal.and_then(Signal::descriptor) {
                Some(fd) => self.fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN)),
                None => again = Some(RETRY),
            }
        }
        again
    }

    /// Lets an embedder's clock go to the first point in time that is waited for, unless something else has happened.
    fn skip_time(&self, clocks: &Clocks) -> bool {
        if !clocks.are_virtual() || self.is_any_ready() {
            return false;
        }
        let times = self.interests.iter().filter_map(|interest| match *interest {
            Interest::Time { clock, deadline } => Some((deadline.saturating_sub(clocks.now(clock)), clock, deadline)),
            _ => None,
        });
        times.min_by_key(|time| time.0).is_some_and(|(_, clock, deadline)| clocks.skip_to(clock, deadline))
    }

    /// Whether one of the descriptors is ready now.
    fn is_any_ready(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        !self.fds.is_empty() && poll(&mut self.fds.clone(), Some(&now)).is_ok_and(|ready| ready > 0)
    }

    fn look_at_descriptors(&mut self) {
        for (at, (fd, index)) in self.fds.iter().zip(&self.indices).enumerate() {
            let state = fd.revents();
            if !state.is_empty() {
                // How much there is of what the embedder has isn't known.
                let one = Event { byte_len: 1, ..Event::default() };
                self.events[*index] =
                    Some(if at < self.own_fds { event_of(fd, state, &self.interests[*index]) } else { one });
            }
        }
    }

    /// How long until the first clock gets there; `None` when there is no clock.
    fn time_left(&self, clocks: &Clocks) -> Option<Duration> {
        let times = self.interests.iter().filter_map(|interest| match *interest {
            Interest::Time { clock, deadline } => {
                let left = Duration::from_nanos(deadline.saturating_sub(clocks.now(clock)));
                Some(match clock {
                    // The embedder's may go faster than the system's.
                    _ if clocks.are_virtual() => left.min(RETRY),
                    Clock::Realtime => left.min(REALTIME_SLICE),
                    Clock::Monotonic => left,
                })
            }
            _ => None,
        });
        times.min()
    }
}

fn soonest(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

/// What the `state` that `poll(2)` found says about an interest.
fn event_of(fd: &PollFd<'_>, state: PollFlags, interest: &Interest<'_>) -> Event {
    if state.contains(PollFlags::NVAL) {
        return Event { error: Some(Errno::BADF), ..Event::default() };
    }
    let byte_len = match interest {
        Interest::Read(_) => rustix::io::ioctl_fionread(fd).unwrap_or(1),
        _ => 1,
    };
    Event { error: None, byte_len, hangup: state.contains(PollFlags::HUP) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_has_happened_is_told_at_once() {
        let (from, to) = std::io::pipe().expect("a pipe");
        rustix::io::write(&to, b"abc").expect("written");
        let clocks = Clocks::new();
        let mut poll = Poll::new(vec![
            Interest::Time { clock: Clock::Monotonic, deadline: u64::MAX },
            Interest::Read(Readiness::When(from.as_fd())),
            Interest::Time { clock: Clock::Realtime, deadline: 1 },
            Interest::Write(Readiness::Now(1)),
        ]);
        assert_eq!(poll.wait(&clocks, &mut Waiter::default()), Ok(()));
        let events: Vec<_> = poll.events().map(|(index, event)| (index, event.byte_len)).collect();
        assert_eq!(events, [(1, 3), (2, 0), (3, 1)]);
    }

    #[test]
    fn a_point_in_time_ends_waiting_for_a_descriptor() {
        let (from, _to) = std::io::pipe().expect("a pipe");
        let clocks = Clocks::new();
        let deadline = clocks.now(Clock::Monotonic) + 5_000_000;
        let time = Interest::Time { clock: Clock::Monotonic, deadline };
        let mut poll = Poll::new(vec![Interest::Read(Readiness::When(from.as_fd())), time]);
        assert_eq!(poll.wait(&clocks, &mut Waiter::default()), Ok(()));
        assert_eq!(poll.events().map(|(index, _)| index).collect::<Vec<_>>(), [1]);
        assert!(clocks.now(Clock::Monotonic) >= deadline);
    }
}
