//! Ends that the host has: producers and consumers, which the event loop polls when the guest at the other end waits for them.

use super::buffer::{Between, Destination, Source};
use super::{CopyResult, End, Holder, Side, Stream, StreamKind};
use crate::builtin::Payload;
use crate::concurrency::Concurrency;
use crate::concurrency::arena::NONE;
use crate::concurrency::started;
use crate::end::{EndAny, Signal, StreamWaker};
use crate::state::ComponentState;
use ampoule::sync::Mutex;
use ampoule::{Error, Store};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, Waker};

/// Whether there will be more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// There may be.
    More,
    /// There won't: the host drops its end. Of a future, after its one value.
    End,
}

/// What the host puts into a stream or future: polled when a guest reads and its buffer is lent.
pub trait Producer: Send + 'static {
    /// Puts elements into the guest's buffer, as many as there are and fit, without waiting.
    ///
    /// [`Poll::Ready`] ends the guest's read with what was put; so does [`Poll::Pending`], if anything was put. Otherwise whoever brings
    /// more wakes the context's waker. A buffer without room asks whether there is anything yet.
    ///
    /// # Errors
    /// They stop the guest, as those of host functions do.
    fn poll_produce(&mut self, cx: &mut Context<'_>, into: &mut Destination<'_>) -> Poll<Result<Flow, Error>>;
}

/// What the host takes out of a stream or future: polled when a guest writes and its buffer is lent.
pub trait Consumer: Send + 'static {
    /// Takes elements out of the guest's buffer, as many as it can, without waiting.
    ///
    /// [`Poll::Ready`] ends the guest's write with what was taken; so does [`Poll::Pending`], if anything was taken. Otherwise whoever
    /// makes room wakes the context's waker. A buffer without elements asks whether there is room yet.
    ///
    /// # Errors
    /// They stop the guest, as those of host functions do.
    fn poll_consume(&mut self, cx: &mut Context<'_>, from: &mut Source<'_>) -> Poll<Result<Flow, Error>>;

    /// The guest has dropped its end: nothing more comes. Not called after [`Flow::End`].
    fn closed(&mut self) {}
}

/// An end that the host has.
pub(crate) struct HostEnd {
    role: Role,
    /// Who waits for the other end, of one that is asked from outside.
    waker: Option<Waker>,
    /// Whether it was to be polled while it was.
    missed: bool,
}

enum Role {
    /// A value has it, or somebody who asks from outside.
    Held,
    // Locked by nobody: they may be used by one thread at a time only, which is the store's.
    Producer(Mutex<Box<dyn Producer>>),
    Consumer(Mutex<Box<dyn Consumer>>),
    /// It is being polled.
    Busy,
}

impl HostEnd {
    pub(super) fn held() -> HostEnd {
        HostEnd { role: Role::Held, waker: None, missed: false }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.role, Role::Held)
    }

    /// Whether it is being polled.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.role, Role::Busy)
    }
}

/// What is attached to an end.
pub(crate) enum Attached {
    Producer(Box<dyn Producer>),
    Consumer(Box<dyn Consumer>),
}

impl Stream {
    /// The end of a side, where the host has it.
    fn host(&mut self, side: Side) -> Option<&mut HostEnd> {
        match self.holder(side) {
            Holder::Host(host) => Some(host),
            _ => None,
        }
    }

    /// The guest that has lent its buffer.
    fn lender(&mut self) -> Option<(Side, u32)> {
        let side = self.pending?;
        match *self.holder(side) {
            Holder::Guest(id) => Some((side, id)),
            _ => None,
        }
    }

    /// Whether the host will bring something by itself that a guest, or another end of the host's, waits for.
    fn waits_for_host(&mut self) -> bool {
        let is_active = |host: &mut HostEnd| !host.is_held();
        match self.lender() {
            Some((side, _)) => self.host(side.other()).is_some_and(is_active),
            None => {
                self.host(Side::Readable).is_some_and(is_active) && self.host(Side::Writable).is_some_and(is_active)
            }
        }
    }
}

/// Streams of one store that have a buffer, because both ends are the host's: each may have 64 KiB.
const MAX_BETWEEN_HOSTS: usize = 1 << 10;

/// What is attached to a writable end that was dropped, where what it has written is still in the buffer between two ends of the host's.
struct NoMore;

impl Producer for NoMore {
    fn poll_produce(&mut self, _: &mut Context<'_>, _: &mut Destination<'_>) -> Poll<Result<Flow, Error>> {
        Poll::Ready(Ok(Flow::End))
    }
}

/// Rounds in which elements go between two ends of the host's before others have their turn.
const MAX_ROUNDS: usize = 16;

/// The host serves whoever waits at the other end, as far as it can now.
///
/// # Errors
/// Of the producer or consumer.
pub(crate) fn serve(store: &mut Store, stream: u32) -> Result<(), Error> {
    let concurrency = &mut ComponentState::of(store).concurrency;
    let stream = concurrency.stream_of_host(stream);
    let Some(found) = concurrency.streams.get(stream) else { return Ok(()) };
    match found.lender() {
        Some((side, id)) => serve_guest(store, stream, side, id),
        None if found.host(Side::Readable).is_some() && found.host(Side::Writable).is_some() => {
            serve_host(store, stream)
        }
        None => Ok(()),
    }
}

/// Polls what fills or empties a guest's buffer.
fn serve_guest(store: &mut Store, stream: u32, side: Side, id: u32) -> Result<(), Error> {
    let left = ComponentState::of(store).concurrency.streams[stream]
        .between
        .take_if(|between| side == Side::Readable && !between.is_empty());
    if let Some(mut between) = left {
        // What the host has not read before it gave the end to the guest.
        between.drain_into(&mut Destination::lent(store, stream, side, id))?;
        let is_over = between.is_empty() && between.is_last;
        let state = ComponentState::of(store);
        if !between.is_empty() {
            state.concurrency.streams[stream].between = Some(between);
        }
        return state.end_service(stream, side, id, if is_over { Flow::End } else { Flow::More });
    }
    let before = ComponentState::of(store).end(id).buffer.progress;
    let polled = poll_role(store, stream, side.other(), |role, store, cx| match role {
        Role::Producer(producer) => {
            producer.get_mut().poll_produce(cx, &mut Destination::lent(store, stream, side, id))
        }
        Role::Consumer(consumer) => consumer.get_mut().poll_consume(cx, &mut Source::lent(store, stream, side, id)),
        Role::Held | Role::Busy => Poll::Pending,
    });
    let state = ComponentState::of(store);
    // Code of the host's may have run the guest, which has cancelled what it waited for.
    let still_waits = state.concurrency.streams.get(stream).and_then(Stream::lender) == Some((side, id));
    match polled {
        Poll::Ready(Err(error)) => Err(error),
        Poll::Ready(Ok(flow)) if still_waits => state.end_service(stream, side, id, flow),
        // What was done is done: the guest may be told.
        Poll::Pending if still_waits && state.end(id).buffer.progress > before => {
            state.end_service(stream, side, id, Flow::More)
        }
        Poll::Pending => Ok(()),
        Poll::Ready(Ok(Flow::More)) => Ok(()),
        // The record has gone where the guest has dropped its end meanwhile.
        Poll::Ready(Ok(Flow::End)) => {
            if state.concurrency.streams.get(stream).is_some() {
                state.leave_stream(stream, side.other());
            }
            Ok(())
        }
    }
}

/// Polls what is attached to an end, which is taken out of the record meanwhile, so that it may use the store.
fn poll_role(
    store: &mut Store,
    stream: u32,
    side: Side,
    poll: impl FnOnce(&mut Role, &mut Store, &mut Context<'_>) -> Poll<Result<Flow, Error>>,
) -> Poll<Result<Flow, Error>> {
    let state = ComponentState::of(store);
    let concurrency = &mut *state.concurrency;
    let mailbox = &mut concurrency.mailbox;
    let Some(found) = concurrency.streams.get(stream) else { return Poll::Pending };
    let waker = found.waker.get_or_insert_with(|| StreamWaker::new(stream, mailbox.messenger())).clone();
    let Some(host) = found.host(side) else { return Poll::Pending };
    host.wake();
    if !matches!(host.role, Role::Producer(_) | Role::Consumer(_)) {
        host.missed = host.is_busy();
        return Poll::Pending;
    }
    let mut role = std::mem::replace(&mut host.role, Role::Busy);
    waker.reset();
    let context_waker = Waker::from(waker.clone());
    let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut role, store, &mut Context::from_waker(&context_waker))))
        .unwrap_or_else(|_| Poll::Ready(Err(Error::message("a host function panicked"))));
    let state = ComponentState::of(store);
    let found = state.concurrency.streams.get(stream);
    if let Some(host) = found.and_then(|found| found.host(side)) {
        host.role = role;
        if std::mem::take(&mut host.missed) {
            // Whom that was for, waits.
            waker.reset();
            context_waker.wake_by_ref();
        }
        if matches!(state.concurrency.streams[stream].holder(side.other()), Holder::Dropped) {
            state.leave_host(stream, side);
        }
    }
    polled
}

/// Moves elements between two ends that are both the host's: through a buffer, a bounded number of times at once.
fn serve_host(store: &mut Store, stream: u32) -> Result<(), Error> {
    let found = &mut ComponentState::of(store).concurrency.streams[stream];
    let Some(mut between) = found.between.take() else { return Ok(()) };
    let ty = between.ty.clone();
    let served = move_elements(store, stream, &mut between, ty);
    if let Some(found) = ComponentState::of(store).concurrency.streams.get(stream) {
        found.between = Some(between);
        // Of one that is asked from outside, whoever asks may go on.
        for side in [Side::Readable, Side::Writable] {
            if let Some(host) = found.host(side) {
                host.wake();
            }
        }
    }
    served
}

fn move_elements(
    store: &mut Store,
    stream: u32,
    between: &mut Between,
    ty: Option<crate::types::ValType>,
) -> Result<(), Error> {
    for _ in 0..MAX_ROUNDS {
        if between.is_empty() {
            let produced = poll_role(store, stream, Side::Writable, |role, store, cx| match role {
                Role::Producer(producer) => {
                    producer.get_mut().poll_produce(cx, &mut Destination::between(store, between, ty.clone()))
                }
                _ => Poll::Pending,
            });
            if let Poll::Ready(flow) = produced
                && flow? == Flow::End
            {
                between.is_last = true;
            } else if between.is_empty() {
                return Ok(());
            }
        }
        if !between.is_empty() {
            let consumed = poll_role(store, stream, Side::Readable, |role, store, cx| match role {
                Role::Consumer(consumer) => {
                    consumer.get_mut().poll_consume(cx, &mut Source::between(store, between, ty.clone()))
                }
                _ => Poll::Pending,
            });
            match consumed {
                Poll::Ready(flow) => {
                    if flow? == Flow::End {
                        ComponentState::of(store).leave_stream(stream, Side::Readable);
                        return Ok(());
                    }
                }
                Poll::Pending => return Ok(()),
            }
        }
        if between.is_empty() && between.is_last {
            ComponentState::of(store).leave_stream(stream, Side::Writable);
            return Ok(());
        }
    }
    // Others have their turn, and then this again.
    if let Some(waker) = ComponentState::of(store).concurrency.streams.get(stream).and_then(|found| found.waker.clone())
    {
        Waker::from(waker).wake();
    }
    Ok(())
}

/// What asks an end from outside, which no producer or consumer is attached to: fills or empties the buffer of a guest that waits at the
/// other end. Whether the other end is still there.
pub(crate) enum Asked<'f> {
    Fill(&'f mut dyn FnMut(&mut Destination<'_>) -> Result<(), Error>),
    /// The same, where the buffer between two ends of the host's may be filled before anybody reads.
    FillAhead(&'f mut dyn FnMut(&mut Destination<'_>) -> Result<(), Error>),
    Empty(&'f mut dyn FnMut(&mut Source<'_>) -> Result<(), Error>),
}

/// Asks an end from outside.
///
/// # Errors
/// Where the end isn't the host's any more, and what `asked` says.
pub(crate) fn ask(
    store: &mut Store,
    end: &EndAny,
    cx: &mut Context<'_>,
    asked: Asked<'_>,
) -> Poll<Result<Flow, Error>> {
    if let Err(error) = end.check(store) {
        return Poll::Ready(Err(error));
    }
    let side = end.side;
    let stream = ComponentState::of(store).concurrency.stream_of_host(end.stream);
    loop {
        let state = ComponentState::of(store);
        let Some(found) = state.concurrency.streams.get(stream) else { return Poll::Ready(Ok(Flow::End)) };
        if found.host(side).is_none() {
            // Of a future, whose value was there.
            return Poll::Ready(Ok(Flow::End));
        }
        match found.holder(side.other()) {
            Holder::Dropped => return Poll::Ready(Ok(Flow::End)),
            Holder::Guest(_) => {}
            Holder::Host(_) => return ask_between(store, (end, stream), cx, asked),
        }
        let Some((guest_side, id)) = found.lender() else {
            if let Some(host) = found.host(side) {
                host.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        };
        if state.end(id).buffer.remaining() == 0 {
            // A guest that reads or writes nothing asks whether somebody is here; the next time it brings something.
            state.end_pending(stream, CopyResult::Completed);
            continue;
        }
        let done = match asked {
            Asked::Fill(fill) | Asked::FillAhead(fill) => fill(&mut Destination::lent(store, stream, guest_side, id)),
            Asked::Empty(empty) => empty(&mut Source::lent(store, stream, guest_side, id)),
        };
        if let Err(error) = done {
            return Poll::Ready(Err(error));
        }
        let state = ComponentState::of(store);
        if state.concurrency.streams.get(stream).and_then(Stream::lender) == Some((guest_side, id)) {
            return Poll::Ready(state.end_service(stream, guest_side, id, Flow::More).map(|()| Flow::More));
        }
        return Poll::Ready(Ok(Flow::More));
    }
}

/// The same where the other end is the host's, too: what is attached to that is polled.
fn ask_between(
    store: &mut Store,
    (end, stream): (&EndAny, u32),
    cx: &mut Context<'_>,
    asked: Asked<'_>,
) -> Poll<Result<Flow, Error>> {
    let side = end.side;
    let ty = Option::clone(&end.payload);
    let state = ComponentState::of(store);
    if state.concurrency.streams[stream].between.is_none()
        && let Err(error) = state.check_buffers()
    {
        return Poll::Ready(Err(error));
    }
    let found = &mut ComponentState::of(store).concurrency.streams[stream];
    if let Some(host) = found.host(side) {
        host.waker = Some(cx.waker().clone());
    }
    let reads = found.host(side.other()).is_some_and(|other| !other.is_held());
    let mut between = found.between.take().unwrap_or_else(|| Box::new(Between::new(ty.clone())));
    let outcome = match asked {
        Asked::Empty(empty) => {
            let mut flow = if between.is_last { Poll::Ready(Ok(Flow::End)) } else { Poll::Ready(Ok(Flow::More)) };
            if between.is_empty() && !between.is_last {
                flow = poll_role(store, stream, side.other(), |role, store, cx| match role {
                    Role::Producer(producer) => {
                        producer.get_mut().poll_produce(cx, &mut Destination::between(store, &mut between, ty.clone()))
                    }
                    _ => Poll::Pending,
                });
                between.is_last = matches!(flow, Poll::Ready(Ok(Flow::End)));
            }
            match flow {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ if !between.is_empty() => {
                    Poll::Ready(empty(&mut Source::between(store, &mut between, ty)).map(|()| Flow::More))
                }
                Poll::Ready(Ok(Flow::End)) => Poll::Ready(Ok(Flow::End)),
                _ => Poll::Pending,
            }
        }
        // It waits there until somebody reads.
        Asked::FillAhead(fill) if !reads && between.is_empty() => {
            Poll::Ready(fill(&mut Destination::between(store, &mut between, ty)).map(|()| Flow::More))
        }
        Asked::Fill(_) | Asked::FillAhead(_) if !reads => Poll::Pending,
        Asked::Fill(fill) | Asked::FillAhead(fill) => {
            let consume = |store: &mut Store, between: &mut Between| {
                let mut flow = Poll::Ready(Ok(Flow::More));
                for _ in 0..MAX_ROUNDS {
                    if between.is_empty() || !matches!(flow, Poll::Ready(Ok(Flow::More))) {
                        break;
                    }
                    flow = poll_role(store, stream, side.other(), |role, store, cx| match role {
                        Role::Consumer(consumer) => {
                            consumer.get_mut().poll_consume(cx, &mut Source::between(store, between, ty.clone()))
                        }
                        _ => Poll::Pending,
                    });
                }
                flow
            };
            // What is there from before goes first.
            match consume(store, &mut between) {
                Poll::Ready(Ok(Flow::More)) if between.is_empty() => {
                    let filled = fill(&mut Destination::between(store, &mut between, ty.clone()));
                    match filled.map(|()| consume(store, &mut between)) {
                        Err(error) => Poll::Ready(Err(error)),
                        // It was taken into the buffer.
                        Ok(Poll::Pending) => Poll::Ready(Ok(Flow::More)),
                        Ok(ready) => ready,
                    }
                }
                Poll::Ready(Ok(Flow::More)) => Poll::Pending,
                other => other,
            }
        }
    };
    if let Some(found) = ComponentState::of(store).concurrency.streams.get(stream) {
        found.between = Some(between);
        // What the other end's holder waits for is there, or there is room for more.
        if outcome.is_ready()
            && let Some(host) = found.host(side.other())
        {
            host.wake();
        }
    }
    outcome
}

impl ComponentState {
    /// Whether the other end than the one of this side has gone.
    pub(crate) fn is_alone(&mut self, stream: u32, side: Side) -> bool {
        let stream = self.concurrency.stream_of_host(stream);
        let found = self.concurrency.streams.get(stream);
        found.is_none_or(|found| matches!(found.holder(side.other()), Holder::Dropped))
    }

    /// Refuses one more buffer between two ends of the host's, where there are too many.
    fn check_buffers(&mut self) -> Result<(), Error> {
        let have = self.concurrency.streams.iter_mut().filter(|stream| stream.between.is_some()).count();
        if have >= MAX_BETWEEN_HOSTS {
            return Err(Error::message(format!(
                "too many streams of one store have both ends at the host: at most {MAX_BETWEEN_HOSTS} may"
            )));
        }
        Ok(())
    }

    /// Puts a buffer between the ends, where the host has both and fills and empties by itself.
    ///
    /// # Errors
    /// Where there are too many.
    fn add_buffer(&mut self, stream: u32, payload: &Payload) -> Result<(), Error> {
        let found = &mut self.concurrency.streams[stream];
        let mut is_active = |side| found.host(side).is_some_and(|host| !host.is_held());
        if is_active(Side::Readable) && is_active(Side::Writable) {
            self.check_buffers()?;
            let ty = Option::clone(payload);
            self.concurrency.streams[stream].between.get_or_insert_with(|| Box::new(Between::new(ty)));
        }
        Ok(())
    }

    /// Two streams became one of which the host has an end at least: whoever waits there may go on.
    ///
    /// # Errors
    /// Where there are too many buffers between ends that are both the host's.
    pub(super) fn connect_hosts(&mut self, instance: u32, stream: u32, payload: &Payload) -> Result<(), Error> {
        for side in [Side::Readable, Side::Writable] {
            if let Some(host) = self.concurrency.streams[stream].host(side) {
                host.wake();
            }
        }
        let payload = self.public_payload(instance, payload);
        self.add_buffer(stream, &payload)
    }

    /// Nobody holds an end any more that the host had.
    fn drop_held(&mut self, stream: u32, side: Side) -> Result<(), Error> {
        let stream = self.concurrency.take_stream_of_host(stream);
        let Some(found) = self.concurrency.streams.get(stream) else { return Ok(()) };
        let Holder::Host(HostEnd { role: Role::Held, .. }) = found.holder(side) else { return Ok(()) };
        if let (Side::Writable, Some(between)) = (side, &mut found.between)
            && !between.is_empty()
        {
            between.is_last = true;
            if let Some(host) = found.host(side) {
                host.role = Role::Producer(Mutex::new(Box::new(NoMore)));
            }
            if let Some(host) = found.host(side.other()) {
                host.wake();
            }
            return Ok(());
        }
        self.check_future_end(stream, side)?;
        self.leave_stream(stream, side);
        Ok(())
    }

    /// A guest's copy ends with what the host has done.
    fn end_service(&mut self, stream: u32, side: Side, id: u32, flow: Flow) -> Result<(), Error> {
        let end = self.end(id);
        let is_future = end.kind == StreamKind::Future;
        if is_future && end.buffer.remaining() > 0 {
            return match flow {
                Flow::More => Ok(()),
                Flow::End => Err(Error::message("the host has ended a future without its value")),
            };
        }
        if is_future || flow == Flow::More {
            self.end_pending(stream, CopyResult::Completed);
        }
        if is_future || flow == Flow::End {
            self.leave_stream(stream, side.other());
        }
        Ok(())
    }

    /// What happens to the host's end when the guest's goes.
    pub(super) fn leave_host(&mut self, stream: u32, side: Side) {
        let Holder::Host(host) = self.concurrency.streams[stream].holder(side) else { return };
        host.wake();
        match &mut host.role {
            // Its holder learns of it, and drops it.
            Role::Held | Role::Busy => return,
            Role::Producer(_) => {}
            Role::Consumer(consumer) => consumer.get_mut().closed(),
        }
        self.concurrency.streams.remove(stream);
    }

    /// Refuses to drop the writable end of a future whose value a guest waits for.
    pub(super) fn check_future_end(&mut self, stream: u32, side: Side) -> Result<(), Error> {
        match self.concurrency.streams[stream].lender() {
            Some((Side::Readable, id)) if side == Side::Writable && self.end(id).kind == StreamKind::Future => {
                Err(super::copy::no_value())
            }
            _ => Ok(()),
        }
    }

    /// Takes a readable end from an instance, for a value of the host's.
    ///
    /// # Errors
    /// As [`ComponentState::take_end`].
    pub(crate) fn lift_end(
        &mut self,
        store: u64,
        instance: u32,
        index: u32,
        kind: StreamKind,
        payload: &Payload,
    ) -> Result<EndAny, Error> {
        let id = self.take_end(instance, index, kind, payload)?;
        let stream = self.end(id).stream;
        self.concurrency.waitables.remove(id);
        *self.concurrency.streams[stream].holder(Side::Readable) = Holder::Host(HostEnd::held());
        let payload = self.public_payload(instance, payload);
        Ok(self.end_any(store, stream, kind, Side::Readable, payload))
    }

    /// Gives a readable end that the host has to an instance: its handle.
    ///
    /// # Errors
    /// Where it is of another type, or isn't the host's any more.
    pub(crate) fn lower_end(
        &mut self,
        any: &EndAny,
        instance: u32,
        kind: StreamKind,
        payload: &Payload,
    ) -> Result<u32, Error> {
        let public = self.public_payload(instance, payload);
        if (any.kind, any.side) != (kind, Side::Readable) || !super::same_payload(&any.payload, &public) {
            return Err(Error::message(format!("mismatched types of {}s", kind.name())));
        }
        let gone = || Error::message(format!("the {} is not the host's any more", kind.name()));
        let stream = self.concurrency.stream_of_host(any.stream);
        let found = self.concurrency.streams.get(stream).ok_or_else(gone)?;
        let Holder::Host(HostEnd { role: Role::Held, .. }) = found.holder(Side::Readable) else { return Err(gone()) };
        any.give();
        let stream = self.concurrency.take_stream_of_host(any.stream);
        self.give_end(instance, End::new(stream, kind, Side::Readable, payload.clone()))
    }

    fn public_payload(&self, instance: u32, payload: &Payload) -> Payload {
        match &**payload {
            Some(ty) if ty.extent().has_handles => {
                Arc::new(Some(ty.with_resources(&|slot| self.public_type(instance, slot))))
            }
            _ => payload.clone(),
        }
    }

    fn end_any(&mut self, store: u64, stream: u32, kind: StreamKind, side: Side, payload: Payload) -> EndAny {
        let messenger = self.concurrency.mailbox.messenger();
        EndAny { store, stream, kind, side, payload, messenger, is_given: AtomicBool::new(false) }
    }
}

impl Concurrency {
    /// Whether a guest waits for something that a stream of the host's will bring by itself. Looks at all streams, unless it is the one from the
    /// last time: most guests wait for one stream again and again.
    pub(crate) fn any_stream_waits_for_host(&mut self) -> bool {
        if self.streams.get(self.waits_for_host).is_some_and(Stream::waits_for_host) {
            return true;
        }
        self.waits_for_host = self.streams.find(Stream::waits_for_host).unwrap_or(NONE);
        self.waits_for_host != NONE
    }
}

/// Makes a stream or future of which the host has both ends.
///
/// # Errors
/// Where there are too many.
pub(crate) fn new_pair(store: &mut Store, kind: StreamKind, payload: &Payload) -> Result<(EndAny, EndAny), Error> {
    let id = store.id();
    let state = ComponentState::of(store);
    let holders = [Holder::Host(HostEnd::held()), Holder::Host(HostEnd::held())];
    let stream = state.concurrency.streams.insert(Stream::new(holders))?;
    let mut end = |side| state.end_any(id, stream, kind, side, payload.clone());
    Ok((end(Side::Readable), end(Side::Writable)))
}

/// Has a producer fill the writable end, or a consumer empty the readable one, from now on.
///
/// # Errors
/// Where the end isn't the host's any more, or of the other side; and what the first poll says, where a guest waits.
pub(crate) fn attach(store: &mut Store, end: &EndAny, what: Attached) -> Result<(), Error> {
    end.check(store)?;
    let (role, side) = match what {
        Attached::Producer(producer) => (Role::Producer(Mutex::new(producer)), Side::Writable),
        Attached::Consumer(consumer) => (Role::Consumer(Mutex::new(consumer)), Side::Readable),
    };
    let state = ComponentState::of(store);
    let stream = state.concurrency.stream_of_host(end.stream);
    let found = state.concurrency.streams.get(stream);
    let Some(Holder::Host(host)) = found.filter(|_| end.side == side).map(|found| found.holder(side)) else {
        return Err(Error::message(format!("not an end of a {} that the host has", end.kind.name())));
    };
    host.role = role;
    end.give();
    let stream = state.concurrency.take_stream_of_host(end.stream);
    match state.concurrency.streams[stream].holder(side.other()) {
        Holder::Dropped => state.leave_host(stream, side),
        _ => state.add_buffer(stream, &end.payload)?,
    }
    serve(store, stream)
}

/// Heeds what has come for ends that the host has. Whether anything had.
///
/// # Errors
/// Of producers and consumers.
pub(crate) fn heed_signals(store: &mut Store) -> Result<bool, Error> {
    let mut any = false;
    while let Some(signal) = ComponentState::of(store).concurrency.mailbox.next() {
        any = true;
        match signal {
            Signal::Woken(stream) => serve(store, stream)?,
            Signal::Forgotten(call) => started::forget(ComponentState::of(store), call),
            Signal::Dropped(stream, side) => ComponentState::of(store).drop_held(stream, side)?,
        }
    }
    Ok(any)
}
