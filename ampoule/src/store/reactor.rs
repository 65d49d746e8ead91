//! What a store waits for from the host: descriptors that become ready, points in time, and wakers that other threads call.
//!
//! A [`Reactor`] is made when something of its store first has to wait, and knows three kinds of reasons to go on: a [`Registration`] is
//! of a descriptor and a direction, a [`Timer`] is of a point in time, and [`Reactor::waker`] is for anybody else. The first two are
//! armed with a waker, which [`Reactor::turn`] wakes once: whoever is woken tries again and arms again. Being woken for nothing is
//! harmless.
//!
//! Under it is one epoll descriptor with an eventfd in it. It is readable when a turn would wake somebody, so that a host can wait for it
//! beside descriptors of its own ([`Reactor::descriptor`]); only then a timerfd is in it, too. How a store waits is in [`super::wait`].
//!
//! A store that waits for one thing on its own thread and can't be left needs none of this: `poll(2)` does.
//!
//! 1. Each registration has a descriptor of its own (`dup(2)`), so that the one it was made of may be closed meanwhile, several may be of one
//!    file, and epoll holds exactly those that are alive.
//! 2. Nobody calls a waker while holding the lock: it may be anybody's code.
//! 3. A forked child shares the open files behind the descriptors with its parent. It gets its own, under the same numbers, before it uses
//!    them ([`Shared::in_this_process`]).

use ampoule_machine::os::fork;
use ampoule_machine::os::sleeper::Sleeper;
use ampoule_machine::os::sync::{Mutex, MutexGuard, OnceLock};
use ampoule_machine::os::wake;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

/// Which way data goes through a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Something can be read, or nothing will ever be.
    Read,
    /// Something can be written, or nothing will ever be.
    Write,
}

/// The reasons to go on of one store. Clones are the same; any thread may use them.
#[derive(Clone, Debug)]
pub struct Reactor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    epoll: OwnedFd,
    /// What wakers and cancellations wake. Its descriptor is in `epoll`.
    sleeper: Sleeper,
    /// In `epoll` once the host has its descriptor.
    timer: OnceLock<OwnedFd>,
    /// The thread that is waking wakers in a turn, as [`this_thread`] tells it: what it wakes needs no system call.
    turning: AtomicUsize,
    armed: Mutex<Armed>,
}

/// Who is to be woken when.
#[derive(Debug)]
struct Armed {
    /// The process that the files behind the descriptors are of.
    generation: u32,
    next_id: u64,
    descriptors: HashMap<u64, Entry>,
    /// By time; the second number tells those of one moment apart.
    timers: BTreeMap<(Instant, u64), Waker>,
}

#[derive(Debug)]
struct Entry {
    descriptor: OwnedFd,
    direction: Direction,
    waker: Option<Waker>,
    in_epoll: bool,
}

/// What epoll tells of an event; greater numbers are ids of entries.
const WOKEN: u64 = 0;
const TIME: u64 = 1;
const FIRST_ID: u64 = 2;

/// How many events are taken from the system at once.
const EVENTS: usize = 64;

/// Longer sleeps are divided: kernels before 5.11 count milliseconds in 31 bits.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// A number that is this thread's as long as it lives.
fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

impl Reactor {
    /// One that knows no reason yet.
    ///
    /// # Errors
    /// Where the operating system has no descriptor left.
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let sleeper = Sleeper::with_descriptor()?;
        add_sleeper(&epoll, &sleeper)?;
        let armed = Armed {
            generation: fork::generation(),
            next_id: FIRST_ID,
            descriptors: HashMap::new(),
            timers: BTreeMap::new(),
        };
        let (timer, turning) = Default::default();
        Ok(Self(Arc::new(Shared { epoll, sleeper, timer, turning, armed: Mutex::new(armed) })))
    }

    /// Ends the store's wait, or its next one. For whoever brings what the store waits for; from any thread, also after the store is gone.
    pub fn waker(&self) -> Waker {
        self.0.clone().into()
    }

    /// As [`Reactor::waker`] does.
    pub fn wake(&self) {
        self.0.end_wait();
    }

    /// Whether the store's next wait ends at once, because somebody has called a waker.
    pub fn is_woken(&self) -> bool {
        self.0.sleeper.is_woken()
    }

    /// A way to wait until `descriptor` is ready in this direction. It may be closed afterwards.
    ///
    /// # Errors
    /// Where the operating system has no descriptor left.
    pub fn register(&self, descriptor: impl AsFd, direction: Direction) -> io::Result<Registration> {
        self.register_owned(rustix::io::fcntl_dupfd_cloexec(descriptor, 0)?, direction)
    }

    /// The same of a descriptor that the reactor gets.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn register_owned(&self, descriptor: OwnedFd, direction: Direction) -> io::Result<Registration> {
        let mut armed = self.0.in_this_process()?;
        let id = armed.next_id();
        armed.descriptors.insert(id, Entry { descriptor, direction, waker: None, in_epoll: false });
        Ok(Registration { reactor: self.clone(), id })
    }

    /// A way to wait for points in time.
    pub fn timer(&self) -> Timer {
        Timer { reactor: self.clone(), armed: None }
    }

    /// Readable when a poll of the store would bring something forward that waits here. It stays the reactor's.
    ///
    /// # Errors
    /// Where the operating system has no descriptor left.
    pub fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        let armed = self.0.in_this_process()?;
        if self.0.timer.get().is_none() {
            let timer = new_timer()?;
            add_timer(&self.0.epoll, &timer)?;
            self.0.timer.get_or_init(|| timer);
        }
        self.0.set_timer(&armed);
        Ok(self.0.epoll.as_fd())
    }

    /// Whether the host has the descriptor.
    pub(super) fn has_listener(&self) -> bool {
        self.0.timer.get().is_some()
    }

    /// What ends a wait without a waker: cancellations announce themselves here.
    pub(super) fn sleeper(&self) -> &Sleeper {
        &self.0.sleeper
    }

    /// Sees to it that the descriptor becomes readable for the first timer, before the thread is left to the host.
    // Not inlined beside a switch of stacks, nor is `turn`: what is a thread's is looked up anew after it.
    #[inline(never)]
    pub(super) fn before_suspension(&self) {
        if self.has_listener() {
            self.0.set_timer(&self.0.armed.lock());
        }
    }

    /// Sleeps until there is a reason to go on, no longer than so long, and wakes whoever waits for it. False where there was none.
    ///
    /// # Errors
    /// What the operating system says.
    #[inline(never)]
    pub(super) fn turn(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let until_timer = self.0.in_this_process()?.until_first_timer();
        // A wake that came before leaves the descriptor readable, too, unless it came in a turn.
        let timeout = if self.0.sleeper.is_woken() { Some(Duration::ZERO) } else { timeout };
        let timeout = timeout.into_iter().chain(until_timer).fold(LONGEST_SLEEP, Duration::min);
        let mut events = Vec::with_capacity(EVENTS);
        let timespec = Timespec::try_from(timeout).map_err(|_| Errno::INVAL)?;
        match epoll::wait(&self.0.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timespec)) {
            // A signal of the host's: whatever its handler has changed, the caller looks.
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let wakers = self.0.armed.lock().take_ready(&events);
        if events.iter().any(|event| event.data.u64() == TIME) {
            self.0.drain_timer();
        }
        self.0.turning.store(this_thread(), Ordering::Relaxed);
        let some = !wakers.is_empty();
        // By (2).
        wakers.into_iter().for_each(Waker::wake);
        self.0.turning.store(0, Ordering::Relaxed);
        Ok(self.0.sleeper.take_wake() || some)
    }
}

impl Shared {
    fn end_wait(&self) {
        if self.turning.load(Ordering::Relaxed) == this_thread() {
            self.sleeper.note_wake();
        } else {
            self.sleeper.wake();
        }
    }

    /// What is armed. In a child that uses the reactor for the first time, after the descriptors were made its own, by (3).
    fn in_this_process(&self) -> io::Result<MutexGuard<'_, Armed>> {
        let mut armed = self.armed.lock();
        if armed.generation != fork::generation() {
            self.renew(&mut armed)?;
        }
        Ok(armed)
    }

    #[cold]
    fn renew(&self, armed: &mut Armed) -> io::Result<()> {
        wake::replace(self.epoll.as_fd(), epoll::create(epoll::CreateFlags::CLOEXEC)?.as_fd())?;
        self.sleeper.renew()?;
        add_sleeper(&self.epoll, &self.sleeper)?;
        if let Some(timer) = self.timer.get() {
            wake::replace(timer.as_fd(), new_timer()?.as_fd())?;
            add_timer(&self.epoll, timer)?;
        }
        for (id, entry) in &mut armed.descriptors {
            entry.in_epoll = false;
            if entry.waker.is_some() {
                entry.arm(&self.epoll, *id)?;
            }
        }
        armed.generation = fork::generation();
        // What woke the parent only may have been meant for this process, too.
        self.sleeper.wake();
        Ok(())
    }

    /// Sets the timer, if there is one, to the first point in time that somebody waits for.
    fn set_timer(&self, armed: &Armed) {
        let Some(timer) = self.timer.get() else { return };
        // Zero would be never.
        let left = armed.until_first_timer().map(|left| left.max(Duration::from_nanos(1)).min(LONGEST_SLEEP));
        let it_value = left.and_then(|left| Timespec::try_from(left).ok()).unwrap_or_default();
        let time = Itimerspec { it_interval: Timespec::default(), it_value };
        // It can't fail: the timer is one, and the time is in bounds.
        let _ = timerfd_settime(timer, TimerfdTimerFlags::empty(), &time);
    }

    fn drain_timer(&self) {
        if let Some(timer) = self.timer.get() {
            let _ = rustix::io::read(timer, &mut [0; 8]);
        }
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.end_wait();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.end_wait();
    }
}

impl Armed {
    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn until_first_timer(&self) -> Option<Duration> {
        let ((at, _), _) = self.timers.first_key_value()?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// Who waits for these events, or for a time that has come.
    fn take_ready(&mut self, events: &[epoll::Event]) -> Vec<Waker> {
        let of_events = events.iter().filter_map(|event| self.descriptors.get_mut(&event.data.u64())?.waker.take());
        let mut wakers: Vec<Waker> = of_events.collect();
        if !self.timers.is_empty() {
            let now = Instant::now();
            while let Some(first) = self.timers.first_entry()
                && first.key().0 <= now
            {
                wakers.push(first.remove());
            }
        }
        wakers
    }
}

impl Entry {
    /// Has epoll tell once when the descriptor is ready.
    fn arm(&mut self, epoll: &OwnedFd, id: u64) -> rustix::io::Result<()> {
        let direction = match self.direction {
            Direction::Read => epoll::EventFlags::IN | epoll::EventFlags::RDHUP,
            Direction::Write => epoll::EventFlags::OUT,
        };
        let (data, flags) = (epoll::EventData::new_u64(id), direction | epoll::EventFlags::ONESHOT);
        if self.in_epoll {
            return epoll::modify(epoll, &self.descriptor, data, flags);
        }
        epoll::add(epoll, &self.descriptor, data, flags)?;
        self.in_epoll = true;
        Ok(())
    }
}

fn add_sleeper(epoll: &OwnedFd, sleeper: &Sleeper) -> io::Result<()> {
    let descriptor = sleeper.descriptor().expect("made with one");
    Ok(epoll::add(epoll, descriptor, epoll::EventData::new_u64(WOKEN), epoll::EventFlags::IN)?)
}

fn new_timer() -> io::Result<OwnedFd> {
    Ok(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?)
}

fn add_timer(epoll: &OwnedFd, timer: &OwnedFd) -> io::Result<()> {
    Ok(epoll::add(epoll, timer, epoll::EventData::new_u64(TIME), epoll::EventFlags::IN)?)
}

/// A descriptor that may be waited for, in one direction, until this is dropped.
#[derive(Debug)]
pub struct Registration {
    reactor: Reactor,
    id: u64,
}

impl Registration {
    /// Wakes `waker` once, as soon as the descriptor is ready, or has failed. To be called after an attempt that had to wait; a waker from
    /// before is replaced.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn arm(&self, waker: &Waker) -> io::Result<()> {
        let mut armed = self.reactor.0.in_this_process()?;
        let entry = armed.descriptors.get_mut(&self.id).expect("registered until it is dropped");
        match entry.arm(&self.reactor.0.epoll, self.id) {
            Ok(()) => {
                entry.waker = Some(waker.clone());
                Ok(())
            }
            // What epoll doesn't know, such as a regular file, never has to be waited for.
            Err(Errno::PERM) => {
                drop(armed);
                waker.wake_by_ref();
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let shared = &self.reactor.0;
        // Where the child's files can't be made, they are its parent's still, which must not be touched.
        let Ok(mut armed) = shared.in_this_process() else { return };
        let entry = armed.descriptors.remove(&self.id);
        if let Some(entry) = &entry
            && entry.in_epoll
        {
            // Closing it would do, unless another process has the file open, too.
            let _ = epoll::delete(&shared.epoll, &entry.descriptor);
        }
        drop(armed);
        // A waker's end is anybody's code.
        drop(entry);
    }
}

/// A point in time that may be waited for, until this is dropped.
#[derive(Debug)]
pub struct Timer {
    reactor: Reactor,
    armed: Option<(Instant, u64)>,
}

impl Timer {
    /// Wakes `waker` once, at this time. What was to be woken before is not.
    pub fn arm(&mut self, at: Instant, waker: &Waker) {
        let mut armed = self.reactor.0.armed.lock();
        let before = self.armed.take().and_then(|key| armed.timers.remove(&key));
        let key = (at, armed.next_id());
        armed.timers.insert(key, waker.clone());
        self.armed = Some(key);
        drop(armed);
        drop(before);
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(key) = self.armed.take() {
            let waker = self.reactor.0.armed.lock().timers.remove(&key);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests;
