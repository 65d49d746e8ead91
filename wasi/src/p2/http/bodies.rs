//! `incoming-body`, `future-trailers` and `outgoing-body`.

use crate::component::call::Answer;
use crate::component::http::{FieldsEntry, Plain};
use crate::component::resources::{Resources, entries};
use crate::component::{Cx, Error, Fail, Handle, IntoVal, Own, Taken};
use crate::host::Host;
use crate::host::http::ErrorCode;
use crate::host::http::budget::Charge;
use crate::host::http::error::Message;
use crate::host::http::incoming::IncomingBody;
use crate::host::http::outgoing::OutgoingBody;
use crate::host::input::{InputStream, Source};
use crate::host::output::{OutputStream, Sink};
use crate::host::poll::{Interest, Readiness};
use crate::p2::io::{self, Pollable};
use ampoule_component::Val;

entries! {
    IncomingBodyEntry = 20 "incoming-body",
    FutureTrailers = 21 "future-trailers",
    OutgoingBodyEntry = 23 "outgoing-body",
}

/// A body to read.
#[derive(Debug)]
pub struct IncomingBodyEntry {
    body: IncomingBody,
    has_stream: bool,
}

impl IncomingBodyEntry {
    /// None of it is read yet.
    pub fn new(body: IncomingBody) -> Self {
        Self { body, has_stream: false }
    }
}

/// `incoming-body.stream`
pub fn stream(cx: &mut Cx<'_>, this: Handle<IncomingBodyEntry>) -> Plain<Own<InputStream>> {
    let entry = cx.entry(this)?.1;
    if std::mem::replace(&mut entry.has_stream, true) {
        return Err(Fail::Err(()));
    }
    Ok(Own::child_of(InputStream::new(Source::Http(entry.body.clone())), this.rep()))
}

/// `incoming-body.finish`
pub fn finish_incoming(_: &mut Cx<'_>, Taken(this): Taken<IncomingBodyEntry>) -> Result<Own<FutureTrailers>, Error> {
    this.body.finish();
    Ok(Own::new(FutureTrailers { body: this.body, was_taken: false }))
}

/// The trailers of a body that nobody reads any more.
#[derive(Debug)]
pub struct FutureTrailers {
    body: IncomingBody,
    was_taken: bool,
}

impl io::Awaited for FutureTrailers {
    fn interest<'a>(&'a self, _: &'a Host) -> Interest<'a> {
        Interest::Read(if self.was_taken { Readiness::Now(1) } else { Readiness::Ask(&self.body) })
    }

    fn is_signalled(&self) -> bool {
        true
    }
}

/// `future-trailers.subscribe`
pub fn subscribe_trailers(cx: &mut Cx<'_>, this: Handle<FutureTrailers>) -> Result<Own<Pollable>, Error> {
    cx.entry(this)?;
    Ok(Pollable::on(this))
}

/// What was awaited and can be taken once: `option<result<result<T, error-code>>>`.
pub enum Awaited<T> {
    /// It isn't there yet.
    NotYet,
    /// It was taken before.
    Gone,
    /// It is there.
    Here(Result<T, ErrorCode>),
}

impl<T: IntoVal> IntoVal for Awaited<T> {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let answer = match self {
            Self::NotYet => None,
            Self::Gone => Some(Err(None)),
            Self::Here(result) => Some(Ok(result.map_err(Fail::Err).answer(cx)?)),
        };
        Ok(Some(Val::option(answer.map(Val::result))))
    }
}

/// `future-trailers.get`
pub fn get_trailers(cx: &mut Cx<'_>, this: Handle<FutureTrailers>) -> Result<Awaited<Option<Own<FieldsEntry>>>, Error> {
    let entry = cx.entry(this)?.1;
    if entry.was_taken {
        return Ok(Awaited::Gone);
    }
    if !entry.body.is_over() {
        return Ok(Awaited::NotYet);
    }
    entry.was_taken = true;
    let trailers = entry.body.trailers();
    Ok(Awaited::Here(trailers.map(|trailers| trailers.map(|fields| Own::new(FieldsEntry::own(fields))))))
}

/// A body to write.
#[derive(Debug)]
pub struct OutgoingBodyEntry {
    body: OutgoingBody,
    has_stream: bool,
    is_finished: bool,
    _charge: Charge,
}

impl OutgoingBodyEntry {
    /// Nothing of it is written yet. `charge` is for what it may buffer.
    pub fn new(body: OutgoingBody, charge: Charge) -> Self {
        Self { body, has_stream: false, is_finished: false, _charge: charge }
    }
}

impl Drop for OutgoingBodyEntry {
    fn drop(&mut self) {
        if !self.is_finished {
            self.body.abandon();
        }
    }
}

/// Ends the bodies of responses that a guest has left as they are when it returned: neither finished, nor dropped, which says that something is
/// missing. It has nothing to add.
pub fn finish_those_left(resources: &mut Resources) {
    for entry in resources.all_mut::<OutgoingBodyEntry>().filter(|entry| entry.body.message() == Message::Response) {
        entry.is_finished = true;
        // One that is shorter than its head has said is cut off.
        let _ = entry.body.finish(None);
    }
}

/// `outgoing-body.write`
pub fn write(cx: &mut Cx<'_>, this: Handle<OutgoingBodyEntry>) -> Plain<Own<OutputStream>> {
    let entry = cx.entry(this)?.1;
    if std::mem::replace(&mut entry.has_stream, true) {
        return Err(Fail::Err(()));
    }
    Ok(Own::child_of(OutputStream::new(Sink::Http(entry.body.clone())), this.rep()))
}

/// `outgoing-body.finish`
pub fn finish_outgoing(
    _: &mut Cx<'_>,
    Taken(mut this): Taken<OutgoingBodyEntry>,
    trailers: Option<Taken<FieldsEntry>>,
) -> Result<(), Fail<ErrorCode>> {
    this.is_finished = true;
    let trailers = trailers.map(|Taken(fields)| fields.into_fields().to_map());
    this.body.finish(trailers).map_err(Fail::Err)
}
