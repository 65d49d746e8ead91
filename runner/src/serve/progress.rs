//! How far an HTTP/1 connection is, which hyper doesn't say, but lets be seen: by the timer that it asks for a time limit when it begins to
//! wait for the head of a request, by the socket, and by the service that gets the requests.

use hyper::rt::{Sleep, Timer};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// What is seen of one connection, on one thread. That hyper takes no timer that couldn't be on another is why it is `Sync`.
#[derive(Default)]
pub struct Progress {
    head_deadline: Mutex<Option<Instant>>,
    is_flushed: AtomicBool,
    has_served: AtomicBool,
}

impl Progress {
    /// Until when the head of a request must have come, while one is waited for: there is no request then that is being answered, and the last
    /// one's body was read to its end.
    pub fn head_deadline(&self) -> Option<Instant> {
        *self.head_deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_head_deadline(&self, deadline: Option<Instant>) {
        *self.head_deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
    }

    /// Says whether the socket has taken all there is to send.
    pub fn set_flushed(&self, is_flushed: bool) {
        self.is_flushed.store(is_flushed, Relaxed);
    }

    /// A request has come.
    pub fn set_served(&self) {
        self.has_served.store(true, Relaxed);
    }

    /// Whether there was a request, and nothing is left of the last one. Bytes of the next may have been read.
    pub fn is_idle(&self) -> bool {
        self.has_served.load(Relaxed) && self.is_flushed.load(Relaxed) && self.head_deadline().is_some()
    }
}

/// A timer for the heads of requests. Its sleeps never end: the connection looks at the deadline by itself.
pub struct HeadTimer(pub Arc<Progress>);

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.0.set_head_deadline(Some(deadline));
        Box::pin(HeadSleep(self.0.clone()))
    }

    fn reset(&self, _: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        self.0.set_head_deadline(Some(deadline));
    }
}

/// Is there as long as a head is waited for.
struct HeadSleep(Arc<Progress>);

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Sleep for HeadSleep {}

impl Drop for HeadSleep {
    fn drop(&mut self) {
        self.0.set_head_deadline(None);
    }
}
