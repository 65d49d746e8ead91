//! A body that a connection receives, and the guest reads.
//!
//! The guest's own calls ask the connection for the next frame; what they don't ask for stays there, and the other side is made to wait.

use super::budget::{Budget, Charge};
use super::error::{ErrorCode, Message, of_hyper};
use super::fields::Fields;
use super::process::OfProcess;
use super::signal::Signal;
use crate::host::available::{Availability, Available, Direction};
use ampoule::sync::Mutex;
use hyper::HeaderMap;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Where the frames come from: they may be asked for on any thread.
pub type BoxFrames = Pin<Box<dyn Body<Data = Bytes, Error = ErrorCode> + Send>>;

/// The frames that a server receives of a request.
pub fn frames_of_request(body: Incoming) -> BoxFrames {
    Box::pin(RequestFrames(body))
}

struct RequestFrames(Incoming);

impl Body for RequestFrames {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        let frame = Pin::new(&mut self.get_mut().0).poll_frame(context);
        frame.map_err(|error| of_hyper(&error, Message::Request))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Frames without content that are passed over at once, before others get their turn.
const MAX_PASSED_OVER: usize = 64;

/// A body.
#[derive(Clone)]
pub struct IncomingBody {
    shared: Arc<Shared>,
}

struct Shared {
    message: Message,
    waker: Waker,
    budget: Budget,
    state: Mutex<State>,
}

struct State {
    /// `None` once there is nothing more to come, and while the guest's thread, the only one that does, asks for a frame.
    frames: Option<OfProcess<BoxFrames>>,
    /// What the last frame has left over.
    ahead: Bytes,
    /// How it has ended, once it has.
    end: Option<Result<Option<HeaderMap>, ErrorCode>>,
    /// Nobody reads what is left of it.
    discard: bool,
    charge: Option<Charge>,
}

impl fmt::Debug for IncomingBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingBody").finish_non_exhaustive()
    }
}

impl IncomingBody {
    /// A body that comes from there. `charge` is for what the connection buffers of it.
    pub fn new(message: Message, frames: BoxFrames, signal: Arc<Signal>, charge: Charge) -> Self {
        let budget = charge.budget().clone();
        let state = State {
            frames: Some(OfProcess::new(frames)),
            ahead: Bytes::new(),
            end: None,
            discard: false,
            charge: Some(charge),
        };
        let waker = Waker::from(signal);
        Self { shared: Arc::new(Shared { message, waker, budget, state: Mutex::new(state) }) }
    }

    /// The next bytes, up to `len`: none where there are none now; `None` at the end.
    ///
    /// # Errors
    /// Why there is no more.
    pub fn read(&self, len: usize) -> Result<Option<Bytes>, ErrorCode> {
        if !self.is_readable() {
            return Ok(Some(Bytes::new()));
        }
        let mut state = self.shared.state.lock();
        if !state.ahead.is_empty() {
            let len = len.min(state.ahead.len());
            return Ok(Some(state.ahead.split_to(len)));
        }
        match &state.end {
            Some(Err(code)) => Err(*code),
            _ => Ok(None),
        }
    }

    /// Whether reading gives something: bytes, the end, or an error. Where it doesn't, the signal will tell.
    pub fn is_readable(&self) -> bool {
        let waker = &self.shared.waker;
        for _ in 0..MAX_PASSED_OVER {
            let mut frames = {
                let mut state = self.shared.state.lock();
                if !state.ahead.is_empty() || state.end.is_some() {
                    return true;
                }
                state.frames.take()
            };
            // Not under our lock, in which a thread keeps others from forking: the connection's locks may be held by one that waits
            // for a fork.
            let next = poll_frame(frames.as_mut(), &mut Context::from_waker(waker));
            let mut state = self.shared.state.lock();
            state.frames = frames;
            match next {
                Poll::Pending => return false,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if state.discard => drop(bytes),
                    Ok(bytes) => state.ahead = bytes,
                    Err(frame) => state.end = Some(Ok(frame.into_trailers().ok())),
                },
                Poll::Ready(Some(Err(code))) => state.end = Some(Err(code)),
                Poll::Ready(None) => state.end = Some(Ok(None)),
            }
            if state.end.is_some() {
                let over = (state.frames.take(), state.charge.take());
                drop(state);
                drop(over);
            }
        }
        waker.wake_by_ref();
        false
    }

    /// From now on, what comes is thrown away, and only the trailers are waited for.
    pub fn finish(&self) {
        let mut state = self.shared.state.lock();
        state.discard = true;
        state.ahead = Bytes::new();
    }

    /// After [`IncomingBody::finish`], whether the end is there.
    pub fn is_over(&self) -> bool {
        self.is_readable()
    }

    /// The trailers, where there are any, once the end is there.
    ///
    /// # Errors
    /// Why there is none; trailers that are too large.
    pub fn trailers(&self) -> Result<Option<Fields>, ErrorCode> {
        let mut state = self.shared.state.lock();
        match &mut state.end {
            Some(Ok(trailers)) => trailers
                .take()
                .map(|map| Fields::received(&map, &self.shared.budget))
                .transpose()
                .map_err(|_| self.shared.message.trailer_section_size()),
            Some(Err(code)) => Err(*code),
            None => Ok(None),
        }
    }
}

/// When there is something to read.
impl Available for IncomingBody {
    fn available(&self, _: Direction) -> Availability<'_> {
        if self.is_readable() { Availability::Ready } else { Availability::Signalled }
    }
}

fn poll_frame(
    frames: Option<&mut OfProcess<BoxFrames>>,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
    match frames.and_then(OfProcess::get_mut) {
        Some(frames) => frames.as_mut().poll_frame(context),
        // A forked child has no connection.
        None => Poll::Ready(Some(Err(ErrorCode::ConnectionTerminated))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::outgoing::OutgoingBody;
    use super::*;
    use hyper::header::HeaderValue;

    /// The other end of the body, which a test writes.
    fn body() -> (OutgoingBody, IncomingBody) {
        let (write, frames) = OutgoingBody::new(Message::Request, None, Arc::default());
        let charge = Budget::new(1 << 20).charge(10).expect("enough");
        (write, IncomingBody::new(Message::Request, Box::pin(frames), Arc::default(), charge))
    }

    fn read(body: &IncomingBody, len: usize) -> Vec<u8> {
        body.read(len).expect("no error").expect("not the end").to_vec()
    }

    #[test]
    fn bytes_come_as_they_are_asked_for() {
        let (write, body) = body();
        assert!(!body.is_readable() && read(&body, 10).is_empty());
        write.write(b"abcd".to_vec().into()).expect("room");
        assert!(body.is_readable());
        assert_eq!((read(&body, 3), read(&body, 3)), (b"abc".to_vec(), b"d".to_vec()));
        write.finish(None).expect("any length");
        assert!(body.is_readable());
        assert_eq!(body.read(1), Ok(None));
    }

    #[test]
    fn an_error_is_met_again() {
        let (write, body) = body();
        write.write(b"abcd".to_vec().into()).expect("room");
        write.abandon();
        assert_eq!(read(&body, 10), b"abcd");
        for _ in 0..2 {
            assert_eq!(body.read(1), Err(ErrorCode::HttpProtocolError));
        }
    }

    #[test]
    fn trailers_are_there_at_the_end_whatever_was_read() {
        let (write, body) = body();
        let mut map = HeaderMap::new();
        map.append("x-a", HeaderValue::from_static("b"));
        write.write(b"abcd".to_vec().into()).expect("room");
        body.finish();
        assert!(!body.is_over());
        write.write(b"abcd".to_vec().into()).expect("room");
        write.finish(Some(map)).expect("any length");
        assert!(body.is_over());
        let trailers = body.trailers().expect("no error").expect("some");
        assert_eq!(trailers.entries().collect::<Vec<_>>(), [("x-a", &b"b"[..])]);
    }
}
