//! `poll_oneoff`: waiting for the first of several things.

use super::abi::Args;
use super::memory::GuestMemory;
use super::types::{EVENT_HANGUP, Errno, Error, FileType, Rights, SubclockFlags, size};
use crate::clocks::{Clock, Clocks};
use crate::ctx::WasiCtx;
use crate::stdio::Readiness;
use crate::table::Kind;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::AsFd;
use std::time::Duration;

/// The most subscriptions of one call: host memory is held for each. More is `nomem`.
pub const MAX_SUBSCRIPTIONS: u32 = 4096;

/// How long to sleep before looking at the real-time clock again, which may be set meanwhile.
const REALTIME_SLICE: Duration = Duration::from_secs(1);

/// What a guest waits for, with its word for it.
#[derive(Clone, Copy, Debug)]
struct Subscription {
    userdata: u64,
    event: Event,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// `clock` shows `deadline`, in nanoseconds.
    Clock { clock: Clock, deadline: u64 },
    /// The descriptor can be read.
    Read(u32),
    /// The descriptor can be written.
    Write(u32),
}

impl Event {
    fn tag(self) -> u8 {
        match self {
            Self::Clock { .. } => 0,
            Self::Read(_) => 1,
            Self::Write(_) => 2,
        }
    }
}

/// What is told of one that happened.
#[derive(Clone, Copy, Debug, Default)]
struct Happened {
    errno: u16,
    byte_len: u64,
    flags: u16,
}

/// `poll_oneoff(in, out, nsubscriptions) -> size`
pub fn poll_oneoff(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (input, output, count, result) = (args.u32(0), args.u32(1), args.u32(2), args.u32(3));
    if count == 0 {
        return Err(Errno::Inval.into());
    }
    if count > MAX_SUBSCRIPTIONS {
        return Err(Errno::Nomem.into());
    }
    memory.check(input, count as usize * size::SUBSCRIPTION)?;
    memory.check(output, count as usize * size::EVENT)?;
    memory.check(result, 4)?;
    // All are read before the first event is written: the two lists may overlap.
    let subscriptions = (0..count).map(|index| {
        let record = memory.array(input + index * size::SUBSCRIPTION as u32)?;
        subscription(record, &ctx.clocks)
    });
    let subscriptions: Vec<Subscription> = subscriptions.collect::<Result<_, Errno>>()?;

    let mut written = 0;
    wait(ctx, &subscriptions, |subscription, happened| {
        memory.write(output + written * size::EVENT as u32, &event_record(subscription, happened))?;
        written += 1;
        Ok(())
    })?;
    memory.write_u32(result, written)?;
    Ok(())
}

/// Sleeps until at least one of `subscriptions` has happened, and tells all that have.
fn wait(
    ctx: &mut WasiCtx,
    subscriptions: &[Subscription],
    mut tell: impl FnMut(&Subscription, Happened) -> Result<(), Errno>,
) -> Result<(), Error> {
    // Readiness borrows the descriptors, for as long as the waiter sleeps.
    let WasiCtx { table, stdin, stdout, stderr, clocks, waiter, .. } = ctx;
    let ready = |fd: u32, write: bool| -> Result<Readiness<'_>, Errno> {
        let descriptor = table.get(fd)?;
        let readiness = match (&descriptor.kind, write) {
            (Kind::Stdin, false) => stdin.readiness(),
            (Kind::Stdout, true) => stdout.readiness(),
            (Kind::Stderr, true) => stderr.readiness(),
            (Kind::File(file), false) if file.filetype == FileType::RegularFile => Readiness::Now(file.bytes_left()),
            (Kind::File(file), true) if file.filetype == FileType::RegularFile => Readiness::Now(1),
            (Kind::File(file), false) if file.readable => Readiness::When(file.file.as_fd()),
            (Kind::File(file), true) if file.writable => Readiness::When(file.file.as_fd()),
            _ => return Err(Errno::Badf),
        };
        descriptor.require(Rights::POLL_FD_READWRITE)?;
        Ok(readiness)
    };

    let mut happened = vec![None; subscriptions.len()];
    let mut fds = Vec::new();
    let mut subscribers = Vec::new();
    for (index, subscription) in subscriptions.iter().enumerate() {
        let (readiness, flag) = match subscription.event {
            Event::Clock { .. } => continue,
            Event::Read(fd) => (ready(fd, false)?, PollFlags::IN),
            Event::Write(fd) => (ready(fd, true)?, PollFlags::OUT),
        };
        match readiness {
            Readiness::Now(byte_len) => happened[index] = Some(Happened { byte_len, ..Happened::default() }),
            Readiness::When(fd) => {
                fds.push(PollFd::from_borrowed_fd(fd, flag));
                subscribers.push(index);
            }
        }
    }

    loop {
        for (subscription, happened) in subscriptions.iter().zip(&mut happened) {
            if let Event::Clock { clock, deadline } = subscription.event
                && clocks.now(clock) >= deadline
            {
                *happened = Some(Happened::default());
            }
        }
        let some = happened.iter().any(Option::is_some);
        if !some || !fds.is_empty() {
            let timeout = if some { Some(Duration::ZERO) } else { sleep_time(subscriptions, clocks) };
            waiter.poll(&mut fds, timeout)?;
        }
        for (fd, index) in fds.iter().zip(&subscribers) {
            if !fd.revents().is_empty() {
                happened[*index] = Some(happened_to(fd, subscriptions[*index].event));
            }
        }
        if happened.iter().any(Option::is_some) {
            break;
        }
    }
    for (subscription, happened) in subscriptions.iter().zip(happened) {
        if let Some(happened) = happened {
            tell(subscription, happened)?;
        }
    }
    Ok(())
}

/// How long until the first clock gets there; `None` when there is no clock.
fn sleep_time(subscriptions: &[Subscription], clocks: &Clocks) -> Option<Duration> {
    let times = subscriptions.iter().filter_map(|subscription| match subscription.event {
        Event::Clock { clock, deadline } => {
            let left = Duration::from_nanos(deadline.saturating_sub(clocks.now(clock)));
            Some(if clock == Clock::Realtime { left.min(REALTIME_SLICE) } else { left })
        }
        _ => None,
    });
    times.min()
}

fn happened_to(fd: &PollFd<'_>, event: Event) -> Happened {
    let state = fd.revents();
    if state.contains(PollFlags::NVAL) {
        return Happened { errno: Errno::Badf as u16, ..Happened::default() };
    }
    let byte_len = match event {
        Event::Read(_) => rustix::io::ioctl_fionread(fd).unwrap_or(1),
        _ => 1,
    };
    Happened { errno: 0, byte_len, flags: if state.contains(PollFlags::HUP) { EVENT_HANGUP } else { 0 } }
}

/// The subscription that the guest wrote. A relative time starts now.
fn subscription(record: [u8; size::SUBSCRIPTION], clocks: &Clocks) -> Result<Subscription, Errno> {
    let u64_at = |offset| u64::from_le_bytes(array_at(&record, offset));
    let u32_at = |offset| u32::from_le_bytes(array_at(&record, offset));
    let event = match record[8] {
        0 => {
            let clock = match u32_at(16) {
                0 => Clock::Realtime,
                1 => Clock::Monotonic,
                _ => return Err(Errno::Inval),
            };
            let (timeout, flags) = (u64_at(24), u16::from_le_bytes(array_at(&record, 40)));
            let flags = SubclockFlags::from_bits(flags.into()).ok_or(Errno::Inval)?;
            let absolute = flags.contains(SubclockFlags::ABSTIME);
            let deadline = if absolute { timeout } else { clocks.now(clock).saturating_add(timeout) };
            Event::Clock { clock, deadline }
        }
        1 => Event::Read(u32_at(16)),
        2 => Event::Write(u32_at(16)),
        _ => return Err(Errno::Inval),
    };
    Ok(Subscription { userdata: u64_at(0), event })
}

fn event_record(subscription: &Subscription, happened: Happened) -> [u8; size::EVENT] {
    let mut record = [0; size::EVENT];
    record[0..8].copy_from_slice(&subscription.userdata.to_le_bytes());
    record[8..10].copy_from_slice(&happened.errno.to_le_bytes());
    record[10] = subscription.event.tag();
    record[16..24].copy_from_slice(&happened.byte_len.to_le_bytes());
    record[24..26].copy_from_slice(&happened.flags.to_le_bytes());
    record
}

/// The `N` bytes of a record at a constant offset within it.
fn array_at<const N: usize>(record: &[u8], offset: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&record[offset..offset + N]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock_record(tag: u8, id: u32, timeout: u64, flags: u16) -> [u8; size::SUBSCRIPTION] {
        let mut record = [0; size::SUBSCRIPTION];
        record[0] = 9;
        record[8] = tag;
        record[16..20].copy_from_slice(&id.to_le_bytes());
        record[24..32].copy_from_slice(&timeout.to_le_bytes());
        record[40..42].copy_from_slice(&flags.to_le_bytes());
        record
    }

    #[test]
    fn relative_times_start_now_and_saturate() {
        let clocks = Clocks::new();
        let event = |record| subscription(record, &clocks).map(|subscription| subscription.event);
        let Ok(Event::Clock { clock: Clock::Monotonic, deadline }) = event(clock_record(0, 1, 5_000, 0)) else {
            panic!("a monotonic subscription")
        };
        assert!(deadline >= 5_000);
        let last = Event::Clock { clock: Clock::Realtime, deadline: u64::MAX };
        assert_eq!(event(clock_record(0, 0, u64::MAX, 0)), Ok(last));
        assert_eq!(event(clock_record(0, 1, 3, 1)), Ok(Event::Clock { clock: Clock::Monotonic, deadline: 3 }));
    }

    #[test]
    fn unknown_tags_clocks_and_flags_are_refused() {
        let clocks = Clocks::new();
        for record in [clock_record(3, 0, 0, 0), clock_record(0, 2, 0, 0), clock_record(0, 0, 0, 2)] {
            assert_eq!(subscription(record, &clocks).err(), Some(Errno::Inval));
        }
    }
}
