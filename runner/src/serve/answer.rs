//! A response on its way to a client: what is sent of it, and whether somebody takes it.

use super::log::{Metrics, Record};
use ampoule_wasi::host::http::ErrorCode;
use ampoule_wasi::host::http::outgoing::Frames;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The responses that one connection is sending, each with the time when the connection last took something of it.
///
/// A guest is stopped when its time is over, but its client may go on to take nothing: what is left of the response, and the connection, would be
/// there for ever.
#[derive(Clone, Default)]
pub struct Sending(Rc<RefCell<Taken>>);

#[derive(Default)]
struct Taken {
    next: u64,
    /// Few: one, or as many as HTTP/2 may have streams.
    last: Vec<(u64, Instant)>,
}

impl Sending {
    /// Whether there is one of which nothing was taken for so long.
    pub fn is_stuck(&self, patience: Duration) -> bool {
        self.0.borrow().last.iter().any(|(_, last)| last.elapsed() > patience)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().last.is_empty()
    }

    /// There is one more, with this key.
    fn begin(&self) -> u64 {
        let taken = &mut *self.0.borrow_mut();
        taken.next += 1;
        taken.last.push((taken.next, Instant::now()));
        taken.next
    }

    /// Something was taken of it.
    fn note(&self, key: u64) {
        if let Some((_, last)) = self.0.borrow_mut().last.iter_mut().find(|(of, _)| *of == key) {
            *last = Instant::now();
        }
    }

    fn end(&self, key: u64) {
        self.0.borrow_mut().last.retain(|(of, _)| *of != key);
    }
}

/// What a body is made of.
pub enum Sent {
    Guest(Frames),
    Text(Option<Bytes>),
}

/// A body on its way, which is written down when it is over.
pub struct Answer {
    body: Sent,
    status: u16,
    bytes: u64,
    is_whole: bool,
    record: Option<Record>,
    sending: Sending,
    /// Its key there.
    key: u64,
    metrics: Arc<Metrics>,
}

impl Answer {
    /// Of this status, to be written down in this record, and counted.
    pub fn new(body: Sent, status: u16, record: Record, sending: Sending, metrics: Arc<Metrics>) -> Self {
        let key = sending.begin();
        Self { body, status, bytes: 0, is_whole: false, record: Some(record), sending, key, metrics }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        let this = self.get_mut();
        let frame = match &mut this.body {
            Sent::Guest(frames) => std::task::ready!(Pin::new(frames).poll_frame(cx)),
            Sent::Text(text) => text.take().map(|text| Ok(Frame::data(text))),
        };
        this.sending.note(this.key);
        match &frame {
            Some(Ok(frame)) => this.bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) => {}
            None => this.is_whole = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Sent::Guest(frames) => frames.is_end_stream(),
            Sent::Text(text) => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Sent::Guest(frames) => frames.size_hint(),
            Sent::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.sending.end(self.key);
        let is_whole = self.is_whole || self.is_end_stream();
        if let Some(record) = self.record.take() {
            record.finish(&self.metrics, self.status, self.bytes, is_whole);
        }
    }
}
