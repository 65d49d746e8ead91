//! `poll_oneoff`: waiting for the first of several things.

use super::call::{Args, Ctx};
use super::descriptor::{FdTable, Kind};
use super::errno::{Errno, Error};
use super::memory::GuestMemory;
use super::types::{EVENT_HANGUP, Rights, SubclockFlags, size};
use crate::host::Host;
use crate::host::clocks::Clock;
use crate::host::poll::{self as host, Interest, Poll};
use crate::host::stdio::{Output, Stdin};

/// The most subscriptions of one call: host memory is held for each. More is `nomem`.
pub const MAX_SUBSCRIPTIONS: u32 = 4096;

/// What a guest waits for, with its `userdata`.
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

/// `poll_oneoff(in, out, nsubscriptions) -> size`
pub fn poll_oneoff(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
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
    // A call that was put off began earlier.
    let now = || Clock::ALL.map(|clock| ctx.host.clocks.now(clock));
    let began = ctx.host.waiter.progress().began.take().unwrap_or_else(now);
    if ctx.host.waiter.suspends() {
        ctx.host.waiter.progress().began = Some(began);
    }
    // All are read before the first event is written: the two lists may overlap.
    let subscriptions = (0..count).map(|index| {
        let record = memory.array(input + index * size::SUBSCRIPTION as u32)?;
        subscription(record, began)
    });
    let subscriptions: Vec<Subscription> = subscriptions.collect::<Result<_, Errno>>()?;

    let written = wait(ctx, &subscriptions, |index, subscription, event| {
        memory.write(output + index * size::EVENT as u32, &event_record(subscription, event))
    })?;
    memory.write_u32(result, written)?;
    Ok(())
}

/// Sleeps until at least one of `subscriptions` has happened, reports all that have, and returns how many those are.
fn wait(
    ctx: &mut Ctx<'_>,
    subscriptions: &[Subscription],
    report: impl Fn(u32, &Subscription, host::Event) -> Result<(), Errno>,
) -> Result<u32, Error> {
    // Readiness borrows the descriptors, for as long as the waiter sleeps.
    let Host { stdin, stdout, stderr, clocks, waiter, .. } = &mut *ctx.host;
    let streams = Streams { stdin, stdout, stderr };
    let interests = subscriptions.iter().map(|subscription| interest(subscription, &streams, ctx.fds));
    let mut poll = Poll::new(interests.collect::<Result<_, Error>>()?);
    poll.wait(clocks, waiter)?;
    let mut count = 0;
    for (index, event) in poll.events() {
        report(count, &subscriptions[index], event)?;
        count += 1;
    }
    Ok(count)
}

/// The standard streams, apart from the rest of the host.
struct Streams<'a> {
    stdin: &'a Stdin,
    stdout: &'a Output,
    stderr: &'a Output,
}

/// What the host waits for in place of a subscription.
fn interest<'a>(subscription: &Subscription, streams: &Streams<'a>, fds: &'a FdTable) -> Result<Interest<'a>, Error> {
    let (fd, write) = match subscription.event {
        Event::Clock { clock, deadline } => return Ok(Interest::Time { clock, deadline }),
        Event::Read(fd) => (fd, false),
        Event::Write(fd) => (fd, true),
    };
    let descriptor = fds.get(fd)?;
    let readiness = match (&descriptor.kind, write) {
        (Kind::Stdin, false) => streams.stdin.readiness(),
        (Kind::Stdout, true) => streams.stdout.readiness(),
        (Kind::Stderr, true) => streams.stderr.readiness(),
        (Kind::File(file), false) => file.read_readiness()?,
        (Kind::File(file), true) => file.write_readiness()?,
        _ => return Err(Errno::Badf.into()),
    };
    descriptor.require(Rights::POLL_FD_READWRITE)?;
    Ok(if write { Interest::Write(readiness) } else { Interest::Read(readiness) })
}

/// The subscription that the guest wrote. A relative time starts where the call began.
fn subscription(record: [u8; size::SUBSCRIPTION], began: [u64; 2]) -> Result<Subscription, Errno> {
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
            let deadline = if absolute { timeout } else { began[clock as usize].saturating_add(timeout) };
            Event::Clock { clock, deadline }
        }
        1 => Event::Read(u32_at(16)),
        2 => Event::Write(u32_at(16)),
        _ => return Err(Errno::Inval),
    };
    Ok(Subscription { userdata: u64_at(0), event })
}

fn event_record(subscription: &Subscription, event: host::Event) -> [u8; size::EVENT] {
    let errno = event.error.map_or(0, |errno| Errno::from(errno) as u16);
    let flags = if event.hangup { EVENT_HANGUP } else { 0 };
    let mut record = [0; size::EVENT];
    record[0..8].copy_from_slice(&subscription.userdata.to_le_bytes());
    record[8..10].copy_from_slice(&errno.to_le_bytes());
    record[10] = subscription.event.tag();
    record[16..24].copy_from_slice(&event.byte_len.to_le_bytes());
    record[24..26].copy_from_slice(&flags.to_le_bytes());
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
    fn relative_times_start_with_the_call_and_saturate() {
        let event = |record| subscription(record, [70, 3]).map(|subscription| subscription.event);
        let monotonic = Event::Clock { clock: Clock::Monotonic, deadline: 5_003 };
        assert_eq!(event(clock_record(0, 1, 5_000, 0)), Ok(monotonic));
        let last = Event::Clock { clock: Clock::Realtime, deadline: u64::MAX };
        assert_eq!(event(clock_record(0, 0, u64::MAX, 0)), Ok(last));
        assert_eq!(event(clock_record(0, 1, 3, 1)), Ok(Event::Clock { clock: Clock::Monotonic, deadline: 3 }));
    }

    #[test]
    fn unknown_tags_clocks_and_flags_are_refused() {
        for record in [clock_record(3, 0, 0, 0), clock_record(0, 2, 0, 0), clock_record(0, 0, 0, 2)] {
            assert_eq!(subscription(record, [0, 0]).err(), Some(Errno::Inval));
        }
    }
}
