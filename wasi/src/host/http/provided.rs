//! Requests of guests that an embedder answers, in place of the network.
//!
//! The embedder gets each request with its [`Reply`], and may answer at any time, on any thread. How long it takes is its own affair: the
//! guest's timeouts are told, and not enforced.

use super::budget::Charge;
use super::client::{Outgoing, Received, Shared};
use super::error::{ErrorCode, Message};
use super::fields::content_length;
use super::outgoing::OutgoingBody;
use hyper::Response;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Who answers requests of guests.
pub trait HttpProvider: Send + Sync {
    /// A guest sends this. It is called by the thread that uses the store, which it must not use.
    fn send(&self, request: Outgoing, reply: Reply);
}

impl fmt::Debug for dyn HttpProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProvider").finish_non_exhaustive()
    }
}

/// Where the answer to one request goes. Dropped without, it tells the guest that the connection was terminated.
pub struct Reply {
    /// Until it was answered.
    open: Option<(Arc<Shared>, Charge)>,
    _held: Box<dyn Any + Send>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("is_open", &self.open.is_some()).finish_non_exhaustive()
    }
}

impl Reply {
    pub(super) fn new(shared: Arc<Shared>, charge: Charge, held: Box<dyn Any + Send>) -> Self {
        Self { open: Some((shared, charge)), _held: held }
    }

    /// Whether the guest waits for the answer.
    pub fn is_awaited(&self) -> bool {
        self.open.as_ref().is_some_and(|(shared, _)| Arc::strong_count(shared) > 1)
    }

    /// Answers, and gives the body to write. `None` where there was an answer before.
    ///
    /// # Errors
    /// The headers say no length, or several; nothing is answered.
    pub fn respond(&mut self, head: Response<()>) -> Result<Option<OutgoingBody>, ErrorCode> {
        let length = content_length(head.headers()).map_err(|_| ErrorCode::HttpProtocolError)?;
        let Some((shared, charge)) = self.open.take() else { return Ok(None) };
        // The embedder asks for room, and nobody has to tell it.
        let (body, frames) = OutgoingBody::new(Message::Response, length, Arc::default());
        shared.put(Ok(Received { head, frames: Box::pin(frames), charge }));
        Ok(Some(body))
    }

    /// Answers that there is no response. False where there was an answer before.
    pub fn fail(&mut self, code: ErrorCode) -> bool {
        let open = self.open.take();
        if let Some((shared, _)) = &open {
            shared.put(Err(code));
        }
        open.is_some()
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.fail(ErrorCode::ConnectionTerminated);
    }
}
