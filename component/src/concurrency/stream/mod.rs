//! Streams and futures (Canonical ABI, "Stream State" and "Future State"): what has two ends, through which elements go from whom has the
//! writable one to whom has the readable one.
//!
//! | | |
//! | --- | --- |
//! | [`copy`] | elements from one end to the other; what cancels that, and what happens to one end when the other is dropped |
//! | [`pass`] | readable ends that go from one component to another |
//! | [`forward`] | two streams or futures that become one |
//! | [`host`] | ends that the host has |
//! | [`buffer`] | what those fill and empty |
//! | [`builtins`] | what guests call |
//!
//! Nothing is buffered: an end that is read from or written to before the other one is lends its buffer and waits, and the elements go from
//! memory to memory when the other one comes. A guest's end is a waitable of its instance; what both have in common is a record of its own.

pub(crate) mod buffer;
pub(crate) mod builtins;
pub(crate) mod copy;
mod forward;
pub(crate) mod host;
pub(crate) mod pass;

use super::waitable::{Event, EventCode, Waitable, WaitableKind};
pub(crate) use crate::builtin::{Payload, Side, StreamKind};
use crate::end::StreamWaker;
use crate::handle::wrong_kind;
use crate::records::BuiltinData;
use crate::state::ComponentState;
use ampoule::{Error, TrapCode};
use buffer::Between;
use host::HostEnd;
use std::sync::Arc;

/// What the two ends have in common.
pub(crate) struct Stream {
    /// Who has the readable end, and who the writable one.
    holders: [Holder; 2],
    /// The end that has lent its buffer.
    pending: Option<Side>,
    /// What wakes the host's end, once it was polled.
    waker: Option<Arc<StreamWaker>>,
    /// What is between the ends, where both are the host's.
    between: Option<Box<Between>>,
    /// Where the end went that a value of the host's knows by this record's number. Nothing else is left here then; see [`forward`].
    forwarded_to: Option<u32>,
}

/// Who has an end.
pub(crate) enum Holder {
    /// A component instance: the waitable.
    Guest(u32),
    Host(HostEnd),
    /// Nobody any more.
    Dropped,
}

impl Stream {
    fn new(holders: [Holder; 2]) -> Stream {
        Stream { holders, pending: None, waker: None, between: None, forwarded_to: None }
    }

    pub(crate) fn holder(&mut self, side: Side) -> &mut Holder {
        &mut self.holders[side as usize]
    }
}

/// An end that a component instance has.
pub(crate) struct End {
    /// The record of both ends.
    pub(crate) stream: u32,
    pub(crate) kind: StreamKind,
    pub(crate) side: Side,
    /// In terms of the component that has the end.
    pub(crate) payload: Payload,
    state: State,
    buffer: Buffer,
    /// What the event says that is pending.
    event: Option<Outcome>,
}

/// What an end is doing (Canonical ABI, `CopyState`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    /// What it does may be cancelled.
    Copying,
    /// A thread waits until it is done.
    CopyingSync,
    /// The other end has gone, or the one element of a future has; the guest knows that.
    Done,
}

/// Memory that an end has lent.
#[derive(Clone, Copy)]
struct Buffer {
    /// The function that was called with it, whose options say where it is. It stays in the store as long as that lives.
    builtin: *const BuiltinData,
    at: u32,
    /// In elements.
    len: u32,
    /// How many of them are done.
    progress: u32,
}

impl Buffer {
    const NONE: Buffer = Buffer { builtin: std::ptr::null(), at: 0, len: 0, progress: 0 };

    fn remaining(&self) -> u32 {
        self.len - self.progress
    }
}

// SAFETY: the pointer in the buffer leads to what the store owns that the record is in, and goes where that goes.
unsafe impl Send for End {}
// SAFETY: as above; a shared reference only reads.
unsafe impl Sync for End {}

/// What a copy has come to (Canonical ABI, `CopyResult`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
enum CopyResult {
    Completed = 0,
    Dropped = 1,
    Cancelled = 2,
}

/// What an end will be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Outcome {
    result: CopyResult,
    /// Whether its buffer is still lent until it is told, so that more may be done meanwhile.
    is_lent: bool,
}

impl End {
    fn new(stream: u32, kind: StreamKind, side: Side, payload: Payload) -> End {
        End { stream, kind, side, payload, state: State::Idle, buffer: Buffer::NONE, event: None }
    }

    fn event_code(&self) -> EventCode {
        match (self.kind, self.side) {
            (StreamKind::Stream, Side::Readable) => EventCode::StreamRead,
            (StreamKind::Stream, Side::Writable) => EventCode::StreamWrite,
            (StreamKind::Future, Side::Readable) => EventCode::FutureRead,
            (StreamKind::Future, Side::Writable) => EventCode::FutureWrite,
        }
    }

    fn is_copying(&self) -> bool {
        !matches!(self.state, State::Idle | State::Done)
    }

    /// Refuses to copy, where the end can't now.
    ///
    /// # Errors
    /// The trap.
    fn check_idle(&self) -> Result<(), Error> {
        if self.state == State::Idle {
            return Ok(());
        }
        if self.state != State::Done {
            return Err(Error::trap(TrapCode::ConcurrentFutureStreamOp));
        }
        Err(Error::message(match (self.kind, self.side) {
            (StreamKind::Stream, Side::Readable) => {
                "cannot read from stream after being notified that the writable end dropped"
            }
            (StreamKind::Stream, Side::Writable) => {
                "cannot write to stream after being notified that the readable end dropped"
            }
            (StreamKind::Future, Side::Readable) => "cannot read from future after previous read succeeded",
            (StreamKind::Future, Side::Writable) => {
                "cannot write to future after previous write succeeded or readable end dropped"
            }
        }))
    }
}

/// Whether elements of two types are of one. Those of one component mostly share the type.
pub(crate) fn same_payload(one: &Payload, other: &Payload) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

impl ComponentState {
    /// The end of a record that is known to be one.
    pub(crate) fn end(&mut self, id: u32) -> &mut End {
        match &mut self.concurrency.waitables[id].kind {
            WaitableKind::End(end) => end,
            WaitableKind::Subtask(_) => unreachable!("it is an end of a stream or future"),
        }
    }

    /// The end of a handle.
    ///
    /// # Errors
    /// Where there is none of this kind and type.
    fn end_at(
        &mut self,
        instance: u32,
        index: u32,
        (kind, side): (StreamKind, Side),
        payload: &Payload,
    ) -> Result<u32, Error> {
        let id = self.waitable_at(instance, index)?;
        let wrong = || {
            let end = if side == Side::Readable { "readable" } else { "writable" };
            wrong_kind(index, &format!("a {end} end of a {} of this type", kind.name()))
        };
        match &self.concurrency.waitables[id].kind {
            WaitableKind::End(end) if (end.kind, end.side) == (kind, side) && same_payload(&end.payload, payload) => {
                Ok(id)
            }
            _ => Err(wrong()),
        }
    }

    /// Makes a stream or future of which an instance has both ends: gives their handles, the readable one first.
    ///
    /// # Errors
    /// Where there are too many.
    fn new_stream(&mut self, instance: u32, kind: StreamKind, payload: &Payload) -> Result<(u32, u32), Error> {
        let holders = [Holder::Dropped, Holder::Dropped];
        let stream = self.concurrency.streams.insert(Stream::new(holders))?;
        let readable = self.give_end(instance, End::new(stream, kind, Side::Readable, payload.clone()))?;
        let writable = self.give_end(instance, End::new(stream, kind, Side::Writable, payload.clone()))?;
        Ok((readable, writable))
    }

    /// Gives an end to an instance: its handle.
    ///
    /// # Errors
    /// Where there are too many.
    fn give_end(&mut self, instance: u32, end: End) -> Result<u32, Error> {
        let (stream, side) = (end.stream, end.side);
        let id = self.concurrency.waitables.insert(Waitable::new(instance, WaitableKind::End(end)))?;
        let index = self.give_waitable(instance, id)?;
        *self.concurrency.streams[stream].holder(side) = Holder::Guest(id);
        Ok(index)
    }

    /// Takes what the event of an end says, which is pending.
    pub(super) fn take_end_event(&mut self, id: u32) -> Event {
        let index = self.concurrency.waitables[id].index;
        let end = self.end(id);
        let Outcome { result, is_lent } = end.event.take().expect("an event is pending");
        let is_over = match end.kind {
            StreamKind::Stream => result == CopyResult::Dropped,
            StreamKind::Future => result != CopyResult::Cancelled,
        };
        end.state = if is_over { State::Done } else { State::Idle };
        let progress = if end.kind == StreamKind::Stream { end.buffer.progress << 4 } else { 0 };
        let event = Event { code: end.event_code(), first: index, second: result as u32 | progress };
        let stream = end.stream;
        if is_lent {
            self.concurrency.streams[stream].pending = None;
        }
        event
    }
}
