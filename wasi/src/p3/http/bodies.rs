//! Bodies: streams of bytes and futures of trailers, between the guest and what a connection takes or brings.
//!
//! Bytes are copied once, between the guest's memory and what the connection has. What a guest writes goes no further than there is room at
//! the connection ([`BODY_BYTES`]); what it doesn't read stays with the connection. Each body has a signal of its own: any number of
//! them may be waited for in one store.

use crate::component::call::Answer as _;
use crate::component::http::FieldsEntry;
use crate::component::resources::Token;
use crate::component::values::{Answered, wrong_type};
use crate::component::{Cx, Error, Fail, FromVal, IntoVal, Own, Taken};
use crate::host::http::ErrorCode;
use crate::host::http::budget::{BODY_BYTES, Charge};
use crate::host::http::error::Message;
use crate::host::http::fields::Fields;
use crate::host::http::incoming::IncomingBody;
use crate::host::http::outgoing::{Frames, OutgoingBody, WriteError};
use crate::host::http::signal::Signal;
use crate::p3::streams::{self, Teller, in_poll};
use ampoule::sync::Mutex;
use ampoule_component::Val;
use ampoule_component::streams::{Consumer, Destination, Flow, FutureReader, Producer, Source, StreamReader, future};
use ampoule_component::types::ValType;
use hyper::HeaderMap;
use hyper::body::Bytes;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What comes after the head of a message.
#[derive(Debug)]
pub enum Body {
    /// The guest writes it.
    Written(Written),
    /// A connection brings it.
    Received(Received),
}

/// A body that the guest writes.
#[derive(Debug)]
pub struct Written {
    /// Its bytes; without a stream, there are none.
    pub contents: Option<StreamReader>,
    /// How it ends.
    pub trailers: FutureReader,
    /// Who is told what has become of it.
    pub sent: Sent,
}

/// Who is told what has become of a body that is sent.
#[derive(Debug)]
pub struct Sent(Option<Teller<ErrorCode>>);

impl Sent {
    /// This one.
    pub fn new(teller: Teller<ErrorCode>) -> Self {
        Self(Some(teller))
    }

    /// The same, which nobody is told by what it is taken out of.
    pub fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    fn tell(&mut self, how: Result<(), ErrorCode>) {
        if let Some(teller) = self.0.take() {
            teller.tell(how);
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        // Nobody has sent it, or not to its end.
        self.tell(Err(ErrorCode::ConnectionTerminated));
    }
}

/// A body that a connection brings.
#[derive(Debug)]
pub struct Received {
    body: IncomingBody,
    signal: Arc<Signal>,
}

impl Received {
    /// Brought by `body`, which this signal tells of.
    pub fn new(body: IncomingBody, signal: Arc<Signal>) -> Self {
        Self { body, signal }
    }

    /// Its bytes, and how it ends, for a stream and a future.
    fn split(self, cx: &mut Cx<'_>) -> Result<(Bring, BringTrailers), Error> {
        let Self { body, signal } = self;
        let gate = Arc::new(Mutex::new(Gate::default()));
        let bring =
            Bring { body: body.clone(), signal: signal.clone(), gate: gate.clone(), _token: cx.parts().1.stream()? };
        Ok((bring, BringTrailers { body, signal, gate }))
    }
}

/// The trailers come after the bytes: whoever waits for them isn't told before the stream is over.
#[derive(Default)]
struct Gate {
    is_open: bool,
    waiting: Option<Waker>,
}

/// The bytes of a body that a connection brings.
struct Bring {
    body: IncomingBody,
    signal: Arc<Signal>,
    gate: Arc<Mutex<Gate>>,
    _token: Token,
}

impl Producer for Bring {
    fn poll_produce(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Destination<'_>,
    ) -> Poll<Result<Flow, ampoule::Error>> {
        // Before the look, so that nothing is missed.
        self.signal.set_waker(Some(context.waker().clone()));
        if into.remaining() == 0 {
            return if self.body.is_readable() { Poll::Ready(Ok(Flow::More)) } else { Poll::Pending };
        }
        let room = into.bytes().ok_or_else(not_bytes)?;
        match self.body.read(room.len()) {
            Ok(Some(bytes)) if bytes.is_empty() => Poll::Pending,
            Ok(Some(bytes)) => {
                room[..bytes.len()].copy_from_slice(&bytes);
                into.advance(bytes.len());
                Poll::Ready(Ok(Flow::More))
            }
            // Which of them it is, the future says.
            Ok(None) | Err(_) => Poll::Ready(Ok(Flow::End)),
        }
    }
}

impl Drop for Bring {
    fn drop(&mut self) {
        // What wasn't read is read by nobody any more.
        self.body.finish();
        let waiting = {
            let mut gate = self.gate.lock();
            gate.is_open = true;
            gate.waiting.take()
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// How a body ends that a connection brings.
struct BringTrailers {
    body: IncomingBody,
    signal: Arc<Signal>,
    gate: Arc<Mutex<Gate>>,
}

impl Producer for BringTrailers {
    fn poll_produce(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Destination<'_>,
    ) -> Poll<Result<Flow, ampoule::Error>> {
        {
            let mut gate = self.gate.lock();
            if !gate.is_open {
                gate.waiting = Some(context.waker().clone());
                return Poll::Pending;
            }
        }
        self.signal.set_waker(Some(context.waker().clone()));
        if !self.body.is_over() {
            return Poll::Pending;
        }
        if into.remaining() == 0 {
            return Poll::Ready(Ok(Flow::More));
        }
        let trailers = self.body.trailers();
        let val = in_poll(into.store(), |cx| {
            let trailers = trailers.map(|fields| fields.map(|fields| Own::new(FieldsEntry::own(fields))));
            trailers.map_err(Fail::Err).answer(cx)
        })?;
        into.push(val.unwrap_or_default())?;
        Poll::Ready(Ok(Flow::End))
    }
}

/// What the guest gets of a body: `tuple<stream<u8>, future<result<option<trailers>, error-code>>>`.
#[derive(Debug)]
pub struct Consumed(pub Body);

impl IntoVal for Consumed {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let Some(ValType::Tuple(tuple)) = cx.ty()?.result() else { return Err(wrong_type("tuple")) };
        let [ValType::Stream(bytes), ValType::Future(end)] = tuple.types() else {
            return Err(wrong_type("tuple of a stream and a future"));
        };
        let (stream, future) = match self.0 {
            Body::Written(Written { contents: Some(contents), trailers, .. }) => (contents, trailers),
            Body::Written(Written { contents: None, trailers, .. }) => {
                (StreamReader::new(cx.store(), Option::clone(bytes), streams::Nothing)?, trailers)
            }
            Body::Received(received) => {
                let (bring, bring_trailers) = received.split(cx)?;
                let stream = StreamReader::new(cx.store(), Option::clone(bytes), bring)?;
                let (writer, reader) = future(cx.store(), Option::clone(end))?;
                writer.produce(cx.store(), bring_trailers)?;
                (stream, reader)
            }
        };
        Ok(Some(Val::tuple(vec![Val::from(stream), Val::from(future)])))
    }
}

/// A future that the guest gives.
#[derive(Debug)]
pub struct Given(pub FutureReader);

impl FromVal for Given {
    fn from_val(_: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        FutureReader::from_val(val).map(Self).map_err(|_| wrong_type("future"))
    }
}

/// A guest says what it makes of a message that it has consumed. To a connection, nothing is said of that.
pub struct Outcome(pub Option<Sent>);

impl Consumer for Outcome {
    fn poll_consume(&mut self, _: &mut Context<'_>, from: &mut Source<'_>) -> Poll<Result<Flow, ampoule::Error>> {
        let Some(mut val) = from.pop()? else { return Poll::Ready(Ok(Flow::More)) };
        let how = match val.take_result() {
            Some(Ok(None)) => Ok(()),
            Some(Err(Some(mut code))) => Err(in_poll(from.store(), |cx| ErrorCode::from_val(cx, &mut code))?),
            _ => return Poll::Ready(Err(ampoule::Error::message("the future has another type than the function's"))),
        };
        if let Some(mut sent) = self.0.take() {
            sent.tell(how);
        }
        Poll::Ready(Ok(Flow::End))
    }
}

/// A body on its way to a connection.
struct Sending {
    body: OutgoingBody,
    state: Mutex<State>,
    _charge: Charge,
}

struct State {
    /// Whether there are no more bytes.
    is_closed: bool,
    trailers: Option<Result<Option<HeaderMap>, ErrorCode>>,
    sent: Sent,
}

impl Sending {
    /// Ends the body, once all of it is there.
    fn settle(&self) {
        let (trailers, mut sent) = {
            let mut state = self.state.lock();
            let is_broken = matches!(state.trailers, Some(Err(_)));
            if !state.is_closed && !is_broken {
                return;
            }
            let Some(trailers) = state.trailers.take() else { return };
            (trailers, state.sent.take())
        };
        sent.tell(match trailers {
            Ok(trailers) => self.body.finish(trailers),
            Err(code) => {
                self.body.fail(code);
                Err(code)
            }
        });
    }

    /// The connection takes no more.
    fn lost(&self, code: ErrorCode) {
        let mut sent = { self.state.lock().sent.take() };
        sent.tell(Err(code));
    }

    fn close(&self) {
        self.state.lock().is_closed = true;
        self.settle();
    }

    fn end(&self, trailers: Result<Option<HeaderMap>, ErrorCode>) {
        self.state.lock().trailers = Some(trailers);
        self.settle();
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        // Unless it has ended.
        self.body.abandon();
    }
}

/// Takes the bytes of a body.
struct Contents {
    sending: Arc<Sending>,
    signal: Arc<Signal>,
    _token: Token,
}

impl Consumer for Contents {
    fn poll_consume(&mut self, context: &mut Context<'_>, from: &mut Source<'_>) -> Poll<Result<Flow, ampoule::Error>> {
        // Before the look, so that nothing is missed.
        self.signal.set_waker(Some(context.waker().clone()));
        let body = &self.sending.body;
        let bytes = from.bytes().ok_or_else(not_bytes)?;
        let written = match body.room() {
            Ok(0) => return Poll::Pending,
            Ok(room) => body.write(Bytes::copy_from_slice(&bytes[..room.min(bytes.len())])),
            Err(error) => Err(error),
        };
        match written {
            Ok(count) => {
                from.advance(count);
                Poll::Ready(Ok(Flow::More))
            }
            Err(error) => {
                self.sending.lost(match error {
                    WriteError::Closed => ErrorCode::ConnectionTerminated,
                    WriteError::TooLong(code) => code,
                });
                Poll::Ready(Ok(Flow::End))
            }
        }
    }

    fn closed(&mut self) {
        self.sending.close();
    }
}

/// Takes the trailers of a body.
struct Trailers(Arc<Sending>);

impl Consumer for Trailers {
    fn poll_consume(&mut self, _: &mut Context<'_>, from: &mut Source<'_>) -> Poll<Result<Flow, ampoule::Error>> {
        let Some(mut val) = from.pop()? else { return Poll::Ready(Ok(Flow::More)) };
        type End = Result<Answered<Option<Taken<FieldsEntry>>>, Answered<ErrorCode>>;
        let end = in_poll(from.store(), |cx| End::from_val(cx, &mut val))?;
        self.0.end(match end {
            Ok(Answered(trailers)) => Ok(trailers.map(|Taken(fields)| fields.into_fields().to_map())),
            Err(Answered(code)) => Err(code),
        });
        Poll::Ready(Ok(Flow::End))
    }

    fn closed(&mut self) {
        // The guest has promised a value, and breaks its word.
        self.0.end(Err(ErrorCode::HttpProtocolError));
    }
}

fn not_bytes() -> ampoule::Error {
    ampoule::Error::message("the elements of the stream are not bytes")
}

/// Sends a body: gives what a connection takes of it, and the body itself, as it is known whether it is over.
///
/// # Errors
/// The headers say no length, or several; what ends the guest.
pub fn send(
    cx: &mut Cx<'_>,
    message: Message,
    headers: &Fields,
    body: Body,
) -> Result<(Frames, OutgoingBody), Fail<ErrorCode>> {
    let length = headers.content_length().map_err(|_| Fail::Err(ErrorCode::HttpProtocolError))?;
    let charge = cx.http()?.budget.charge(BODY_BYTES);
    let charge = charge.map_err(|_| Error::message("HTTP bodies are larger than the host allows"))?;
    let (contents, trailers, sent) = match body {
        Body::Written(Written { contents, trailers, sent }) => (contents, trailers, sent),
        Body::Received(received) => {
            let (bring, bring_trailers) = received.split(cx)?;
            let contents = StreamReader::new(cx.store(), Some(ValType::U8), bring).map_err(Error::from)?;
            // Both ends are the host's: nobody asks for the type.
            let (writer, reader) = future(cx.store(), None).map_err(Error::from)?;
            writer.produce(cx.store(), bring_trailers).map_err(Error::from)?;
            (Some(contents), reader, Sent(None))
        }
    };
    // How long a body is that isn't sent, as to a HEAD request, may be said nevertheless.
    let length = length.filter(|&len| contents.is_some() || message == Message::Request || len == 0);
    let signal = Arc::<Signal>::default();
    let (body, frames) = OutgoingBody::new(message, length, signal.clone());
    let state = Mutex::new(State { is_closed: contents.is_none(), trailers: None, sent });
    let sending = Arc::new(Sending { body: body.clone(), state, _charge: charge });
    if let Some(contents) = contents {
        let token = cx.parts().1.stream()?;
        let consumer = Contents { sending: sending.clone(), signal, _token: token };
        contents.consume(cx.store(), consumer).map_err(Error::from)?;
    }
    trailers.consume(cx.store(), Trailers(sending)).map_err(Error::from)?;
    Ok((frames, body))
}
