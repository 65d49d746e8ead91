//! A body that the guest writes, and a connection sends.
//!
//! What the guest has written and the connection hasn't taken is kept here, no more than [`BODY_BYTES`]. The connection takes what
//! there is without being asked: a flush has nothing to do. Where the head has said how long the body is, it is never longer; and where it is
//! shorter, the connection is cut off, so that the other side can tell.

use super::budget::BODY_BYTES;
use super::error::{ErrorCode, Message};
use super::signal::Signal;
use crate::host::available::{Availability, Available, Direction};
use ampoule::sync::Mutex;
use hyper::HeaderMap;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A body, as the guest's side has it.
#[derive(Clone, Debug)]
pub struct OutgoingBody {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    message: Message,
    signal: Arc<Signal>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    /// Bytes in the chunks.
    queued: usize,
    /// Bytes that the guest has written.
    written: u64,
    content_length: Option<u64>,
    /// How the body has ended, once it has.
    end: Option<Result<Option<HeaderMap>, ErrorCode>>,
    /// Whether the connection takes no more.
    gone: bool,
    reader: Option<Waker>,
}

/// Why nothing can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// Nobody takes it any more.
    Closed,
    /// It would be longer than the head has said.
    TooLong(ErrorCode),
}

impl OutgoingBody {
    /// A body of so many bytes, where that is known, and the end of it that a connection gets.
    pub fn new(message: Message, content_length: Option<u64>, signal: Arc<Signal>) -> (Self, Frames) {
        let state = Mutex::new(State { content_length, ..State::default() });
        let shared = Arc::new(Shared { message, signal, state });
        (Self { shared: shared.clone() }, Frames { shared })
    }

    /// Whose body it is.
    pub fn message(&self) -> Message {
        self.shared.message
    }

    /// How many bytes would be taken now.
    ///
    /// # Errors
    /// `Closed`.
    pub fn room(&self) -> Result<usize, WriteError> {
        let state = self.shared.state.lock();
        if state.gone || state.end.is_some() {
            return Err(WriteError::Closed);
        }
        Ok(BODY_BYTES.saturating_sub(state.queued))
    }

    /// Takes as many of these bytes as there is room for, and says how many.
    ///
    /// # Errors
    /// [`WriteError`]: with `TooLong`, the body has ended.
    pub fn write(&self, mut bytes: Bytes) -> Result<usize, WriteError> {
        let room = self.room()?;
        bytes.truncate(room);
        let len = bytes.len();
        let mut state = self.shared.state.lock();
        let written = state.written + len as u64;
        if let Some(expected) = state.content_length
            && written > expected
        {
            let code = self.shared.message.body_size(written);
            let reader = state.finish(Err(code));
            drop(state);
            wake(reader);
            return Err(WriteError::TooLong(code));
        }
        if len > 0 {
            state.written = written;
            state.queued += len;
            state.chunks.push_back(bytes);
        }
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        Ok(len)
    }

    /// Ends the body.
    ///
    /// # Errors
    /// It isn't as long as the head has said.
    pub fn finish(&self, trailers: Option<HeaderMap>) -> Result<(), ErrorCode> {
        let mut state = self.shared.state.lock();
        let end = match (&state.end, state.content_length) {
            (Some(Err(code)), _) => Err(*code),
            (_, Some(expected)) if state.written != expected => Err(self.shared.message.body_size(state.written)),
            _ => Ok(trailers),
        };
        let answer = end.as_ref().map(drop).map_err(|code| *code);
        let reader = state.finish(end);
        drop(state);
        wake(reader);
        answer
    }

    /// Ends the body without having finished it: the other side must not take it for a whole one.
    pub fn abandon(&self) {
        self.fail(ErrorCode::HttpProtocolError);
    }

    /// The same, for this reason. A body that has ended stays as it is.
    pub fn fail(&self, code: ErrorCode) {
        let mut state = self.shared.state.lock();
        let reader = state.finish(Err(code));
        drop(state);
        wake(reader);
    }
}

impl OutgoingBody {
    /// Whether it has ended, one way or the other, or nobody takes it any more.
    pub fn is_over(&self) -> bool {
        self.room().is_err()
    }
}

/// When something would be taken, or nothing ever again.
impl Available for OutgoingBody {
    fn available(&self, _: Direction) -> Availability<'_> {
        if self.room() != Ok(0) { Availability::Ready } else { Availability::Signalled }
    }
}

impl State {
    /// The end, unless there was one.
    fn finish(&mut self, end: Result<Option<HeaderMap>, ErrorCode>) -> Option<Waker> {
        if self.end.is_none() {
            self.end = Some(end);
        }
        self.reader.take()
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A body, as the connection's side has it.
#[derive(Debug)]
pub struct Frames {
    shared: Arc<Shared>,
}

impl Frames {
    /// Whether the guest has ended it, one way or the other.
    pub fn is_over(&self) -> bool {
        self.shared.state.lock().end.is_some()
    }

    /// The same body, of which nothing has been taken, for another connection: it has ended, so that neither has anything to wait for.
    pub fn again(&self) -> Self {
        debug_assert!(self.is_end_stream());
        Self { shared: self.shared.clone() }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        let mut state = self.shared.state.lock();
        if let Some(chunk) = state.chunks.pop_front() {
            let was_full = state.queued >= BODY_BYTES;
            state.queued -= chunk.len();
            drop(state);
            if was_full {
                self.shared.signal.notify();
            }
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match &mut state.end {
            None => {
                let before = state.reader.replace(context.waker().clone());
                drop((state, before));
                Poll::Pending
            }
            Some(Ok(trailers)) => Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
            Some(Err(code)) => Poll::Ready(Some(Err(*code))),
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.shared.state.lock();
        state.chunks.is_empty() && matches!(state.end, Some(Ok(None)))
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.shared.state.lock();
        match (&state.end, state.content_length) {
            // What is there is all.
            (Some(Ok(None)), _) => SizeHint::with_exact(state.queued as u64),
            (_, Some(expected)) => SizeHint::with_exact(expected - (state.written - state.queued as u64)),
            _ => SizeHint::default(),
        }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.gone = true;
        let chunks = std::mem::take(&mut state.chunks);
        state.queued = 0;
        drop((state, chunks));
        self.shared.signal.notify();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(content_length: Option<u64>) -> (OutgoingBody, Frames) {
        OutgoingBody::new(Message::Response, content_length, Arc::default())
    }

    fn poll(frames: &mut Frames) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        Pin::new(frames).poll_frame(&mut Context::from_waker(Waker::noop()))
    }

    fn all(frames: &mut Frames) -> Result<Vec<u8>, ErrorCode> {
        let mut bytes = Vec::new();
        loop {
            match poll(frames) {
                Poll::Ready(Some(frame)) => bytes.extend(frame?.into_data().expect("no trailers")),
                Poll::Ready(None) => return Ok(bytes),
                Poll::Pending => panic!("not ended"),
            }
        }
    }

    #[test]
    fn no_more_is_kept_than_the_bound_and_room_is_made_by_taking() {
        let (body, mut frames) = body(None);
        assert_eq!(body.write(vec![1; BODY_BYTES + 1].into()), Ok(BODY_BYTES));
        assert_eq!((body.room(), body.write(vec![1].into())), (Ok(0), Ok(0)));
        assert!(matches!(poll(&mut frames), Poll::Ready(Some(Ok(_)))));
        assert!(poll(&mut frames).is_pending());
        assert_eq!(body.room(), Ok(BODY_BYTES));
        drop(frames);
        assert_eq!((body.room(), body.write(vec![1].into())), (Err(WriteError::Closed), Err(WriteError::Closed)));
    }

    #[test]
    fn a_body_is_as_long_as_its_head_says_or_broken() {
        let (exact, mut frames) = body(Some(3));
        assert_eq!(exact.write(b"abc".to_vec().into()), Ok(3));
        assert_eq!(exact.finish(None), Ok(()));
        assert_eq!(all(&mut frames), Ok(b"abc".to_vec()));

        let (long, mut frames) = body(Some(3));
        let too_long = ErrorCode::HttpResponseBodySize(Some(4));
        assert_eq!(long.write(b"abcd".to_vec().into()), Err(WriteError::TooLong(too_long)));
        assert_eq!(long.finish(None), Err(too_long));
        assert_eq!(all(&mut frames), Err(too_long));

        let (short, mut frames) = body(Some(3));
        assert_eq!(short.write(b"ab".to_vec().into()), Ok(2));
        let too_short = ErrorCode::HttpResponseBodySize(Some(2));
        assert_eq!(short.finish(None), Err(too_short));
        assert_eq!(all(&mut frames), Err(too_short));
    }

    #[test]
    fn a_body_that_is_not_finished_is_broken() {
        let (body, mut frames) = body(None);
        assert_eq!(body.write(b"ab".to_vec().into()), Ok(2));
        body.abandon();
        assert_eq!(all(&mut frames), Err(ErrorCode::HttpProtocolError));
    }

    #[test]
    fn trailers_come_last() {
        let (body, mut frames) = body(None);
        assert_eq!(body.write(b"ab".to_vec().into()), Ok(2));
        assert_eq!(body.finish(Some(HeaderMap::new())), Ok(()));
        assert!(!frames.is_end_stream());
        assert!(matches!(poll(&mut frames), Poll::Ready(Some(Ok(frame))) if frame.is_data()));
        assert!(matches!(poll(&mut frames), Poll::Ready(Some(Ok(frame))) if frame.is_trailers()));
        assert!(matches!(poll(&mut frames), Poll::Ready(None)));
    }
}
