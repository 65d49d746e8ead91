//! `outgoing-request`, `request-options`, `future-incoming-response`, `incoming-response`, and the `outgoing-handler`.

use super::bodies::{self, IncomingBodyEntry, OutgoingBodyEntry};
use crate::component::http::{FieldsEntry, GivenMethod, GivenScheme, HttpMethod, Plain};
use crate::component::resources::entries;
use crate::component::{Cx, Error, Fail, Handle, Own, Taken};
use crate::host::Host;
use crate::host::http::ErrorCode;
use crate::host::http::budget::BODY_BYTES;
use crate::host::http::client::{self, Outgoing, PendingResponse, Received, Timeouts};
use crate::host::http::error::Message;
use crate::host::http::fields::Fields;
use crate::host::http::incoming::IncomingBody;
use crate::host::http::message::{Scheme, is_authority, is_path};
use crate::host::http::outgoing::{Frames, OutgoingBody};
use crate::host::poll::{Interest, Readiness};
use crate::p2::io::{Awaited, Pollable};
use hyper::Method;
use std::sync::Arc;
use std::time::Duration;

entries! {
    OutgoingRequest = 16 "outgoing-request",
    RequestOptions = 17 "request-options",
    IncomingResponse = 19 "incoming-response",
    FutureIncomingResponse = 24 "future-incoming-response",
}

/// A request that the guest makes.
#[derive(Debug)]
pub struct OutgoingRequest {
    method: Method,
    path: Option<String>,
    scheme: Option<Scheme>,
    authority: Option<String>,
    headers: Arc<Fields>,
    /// Where its body will be read, once the guest writes one.
    frames: Option<Frames>,
}

/// `outgoing-request.constructor`
pub fn new(_: &mut Cx<'_>, Taken(headers): Taken<FieldsEntry>) -> Result<Own<OutgoingRequest>, Error> {
    Ok(Own::new(OutgoingRequest {
        method: Method::GET,
        path: None,
        scheme: None,
        authority: None,
        headers: headers.into_fields(),
        frames: None,
    }))
}

/// A body for a message with these headers; `None` where they don't say one length.
pub(super) fn body_for(
    cx: &mut Cx<'_>,
    message: Message,
    headers: &Fields,
) -> Result<Option<(OutgoingBodyEntry, Frames)>, Error> {
    let Ok(content_length) = headers.content_length() else { return Ok(None) };
    let charge = cx.http()?.budget.charge(BODY_BYTES);
    let charge = charge.map_err(|_| Error::message("HTTP bodies are larger than the host allows"))?;
    let (body, frames) = OutgoingBody::new(message, content_length, cx.host().signal.clone());
    Ok(Some((OutgoingBodyEntry::new(body, charge), frames)))
}

/// `outgoing-request.body`
pub fn body(cx: &mut Cx<'_>, this: Handle<OutgoingRequest>) -> Plain<Own<OutgoingBodyEntry>> {
    let request = cx.entry(this)?.1;
    if request.frames.is_some() {
        return Err(Fail::Err(()));
    }
    let headers = request.headers.clone();
    let (body, frames) = body_for(cx, Message::Request, &headers)?.ok_or(Fail::Err(()))?;
    cx.entry(this)?.1.frames = Some(frames);
    Ok(Own::new(body))
}

/// `outgoing-request.method`
pub fn method(cx: &mut Cx<'_>, this: Handle<OutgoingRequest>) -> Result<HttpMethod, Error> {
    Ok(HttpMethod(cx.entry(this)?.1.method.clone()))
}

/// `outgoing-request.set-method`
pub fn set_method(cx: &mut Cx<'_>, this: Handle<OutgoingRequest>, method: GivenMethod) -> Plain<()> {
    cx.entry(this)?.1.method = method.0.ok_or(Fail::Err(()))?;
    Ok(())
}

/// `outgoing-request.path-with-query`
pub fn path_with_query(cx: &mut Cx<'_>, this: Handle<OutgoingRequest>) -> Result<Option<String>, Error> {
    Ok(cx.entry(this)?.1.path.clone())
}

/// `outgoing-request.set-path-with-query`
pub fn set_path_with_query(cx: &mut Cx<'_>, this: Handle<OutgoingRequest>, path: Option<String>) -> Plain<()> {
    if !path.as_deref().is_none_or(is_path) {
        return Err(Fail::Err(()));
    }
    cx.entry(this)?.1.path = path;
    Ok(())
}

/// `outgoing-request.scheme`
pub fn scheme(cx: &mut Cx<'_>, this: Handle<OutgoingRequest>) -> Result<Option<Scheme>, Error> {
    Ok(cx.entry(this)?.1.scheme.clone())
}

/// `outgoing-request.set-scheme`
pub fn set_scheme(cx: &mut Cx<'_>, this: Handle<OutgoingRequest>, scheme: Option<GivenScheme>) -> Plain<()> {
    let scheme = scheme.map(|scheme| scheme.0.ok_or(Fail::Err(()))).transpose()?;
    cx.entry(this)?.1.scheme = scheme;
    Ok(())
}

/// `outgoing-request.authority`
pub fn authority(cx: &mut Cx<'_>, this: Handle<OutgoingRequest>) -> Result<Option<String>, Error> {
    Ok(cx.entry(this)?.1.authority.clone())
}

/// `outgoing-request.set-authority`
pub fn set_authority(cx: &mut Cx<'_>, this: Handle<OutgoingRequest>, authority: Option<String>) -> Plain<()> {
    if !authority.as_deref().is_none_or(is_authority) {
        return Err(Fail::Err(()));
    }
    cx.entry(this)?.1.authority = authority;
    Ok(())
}

/// `outgoing-request.headers`
pub fn headers(cx: &mut Cx<'_>, this: Handle<OutgoingRequest>) -> Result<Own<FieldsEntry>, Error> {
    let headers = FieldsEntry::of_message(&cx.entry(this)?.1.headers);
    Ok(Own::child_of(headers, this.rep()))
}

/// How long a request may take: nanoseconds, as the guest says them.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestOptions {
    connect: Option<u64>,
    first_byte: Option<u64>,
    between_bytes: Option<u64>,
}

impl From<RequestOptions> for Timeouts {
    fn from(options: RequestOptions) -> Self {
        let time = |time: Option<u64>| time.map_or(client::DEFAULT_TIMEOUT, Duration::from_nanos);
        Self {
            connect: time(options.connect),
            first_byte: time(options.first_byte),
            between_bytes: time(options.between_bytes),
        }
    }
}

/// `request-options.constructor`
pub fn new_options(_: &mut Cx<'_>) -> Result<Own<RequestOptions>, Error> {
    Ok(Own::new(RequestOptions::default()))
}

/// `request-options.connect-timeout`
pub fn connect_timeout(cx: &mut Cx<'_>, this: Handle<RequestOptions>) -> Result<Option<u64>, Error> {
    Ok(cx.entry(this)?.1.connect)
}

/// `request-options.set-connect-timeout`
pub fn set_connect_timeout(cx: &mut Cx<'_>, this: Handle<RequestOptions>, time: Option<u64>) -> Plain<()> {
    cx.entry(this)?.1.connect = time;
    Ok(())
}

/// `request-options.first-byte-timeout`
pub fn first_byte_timeout(cx: &mut Cx<'_>, this: Handle<RequestOptions>) -> Result<Option<u64>, Error> {
    Ok(cx.entry(this)?.1.first_byte)
}

/// `request-options.set-first-byte-timeout`
pub fn set_first_byte_timeout(cx: &mut Cx<'_>, this: Handle<RequestOptions>, time: Option<u64>) -> Plain<()> {
    cx.entry(this)?.1.first_byte = time;
    Ok(())
}

/// `request-options.between-bytes-timeout`
pub fn between_bytes_timeout(cx: &mut Cx<'_>, this: Handle<RequestOptions>) -> Result<Option<u64>, Error> {
    Ok(cx.entry(this)?.1.between_bytes)
}

/// `request-options.set-between-bytes-timeout`
pub fn set_between_bytes_timeout(cx: &mut Cx<'_>, this: Handle<RequestOptions>, time: Option<u64>) -> Plain<()> {
    cx.entry(this)?.1.between_bytes = time;
    Ok(())
}

/// A response that may be there.
pub struct FutureIncomingResponse {
    /// `None` once it was taken.
    response: Option<PendingResponse>,
}

impl Awaited for FutureIncomingResponse {
    fn interest<'a>(&'a self, _: &'a Host) -> Interest<'a> {
        Interest::Read(self.response.as_ref().map_or(Readiness::Now(1), |response| Readiness::Ask(response)))
    }

    fn is_signalled(&self) -> bool {
        true
    }
}

/// `outgoing-handler.handle`
pub fn handle(
    cx: &mut Cx<'_>,
    Taken(request): Taken<OutgoingRequest>,
    options: Option<Taken<RequestOptions>>,
) -> Result<Own<FutureIncomingResponse>, Fail<ErrorCode>> {
    let http = cx.http()?;
    let (host, resources) = cx.parts();
    let descriptor = resources.descriptor().ok_or(Fail::Err(ErrorCode::ConnectionLimitReached))?;
    let content_length = request.headers.content_length().map_err(|_| Fail::Err(ErrorCode::HttpProtocolError))?;
    let frames = match request.frames {
        Some(frames) => frames,
        None => no_body(Message::Request, content_length, host.signal.clone()).map_err(Fail::Err)?,
    };
    let outgoing = Outgoing {
        method: request.method,
        scheme: request.scheme,
        authority: request.authority,
        path: request.path,
        headers: request.headers.to_map(),
        body: frames,
        timeouts: options.map_or_else(Timeouts::default, |Taken(options)| options.into()),
        // Who opens the network for some hosts only means requests, too.
        filter: host.network.filter_of_some(),
    };
    let response = client::send(&http, &host.signal, outgoing, Box::new(descriptor)).map_err(Fail::Err)?;
    Ok(Own::new(FutureIncomingResponse { response: Some(response) }))
}

/// The body of a message for which the guest has asked for none.
pub(super) fn no_body(
    message: Message,
    content_length: Option<u64>,
    signal: Arc<crate::host::http::signal::Signal>,
) -> Result<Frames, ErrorCode> {
    let (body, frames) = OutgoingBody::new(message, content_length, signal);
    body.finish(None)?;
    Ok(frames)
}

/// `future-incoming-response.subscribe`
pub fn subscribe(cx: &mut Cx<'_>, this: Handle<FutureIncomingResponse>) -> Result<Own<Pollable>, Error> {
    cx.entry(this)?;
    Ok(Pollable::on(this))
}

/// `future-incoming-response.get`
pub fn get(
    cx: &mut Cx<'_>,
    this: Handle<FutureIncomingResponse>,
) -> Result<bodies::Awaited<Own<IncomingResponse>>, Error> {
    let budget = cx.http()?.budget;
    let (host, entry) = cx.entry(this)?;
    let Some(response) = &mut entry.response else { return Ok(bodies::Awaited::Gone) };
    let Some(answer) = response.take() else { return Ok(bodies::Awaited::NotYet) };
    entry.response = None;
    let received = answer.and_then(|Received { head, frames, charge }| {
        let headers = Fields::received(head.headers(), &budget);
        Ok(IncomingResponse {
            status: head.status().as_u16(),
            headers: Arc::new(headers.map_err(|_| Message::Response.header_section_size())?),
            body: Some(IncomingBody::new(Message::Response, frames, host.signal.clone(), charge)),
        })
    });
    Ok(bodies::Awaited::Here(received.map(Own::new)))
}

/// A response to a request of the guest's.
#[derive(Debug)]
pub struct IncomingResponse {
    status: u16,
    headers: Arc<Fields>,
    /// Until the guest takes it.
    body: Option<IncomingBody>,
}

/// `incoming-response.status`
pub fn status(cx: &mut Cx<'_>, this: Handle<IncomingResponse>) -> Result<u16, Error> {
    Ok(cx.entry(this)?.1.status)
}

/// `incoming-response.headers`
pub fn response_headers(cx: &mut Cx<'_>, this: Handle<IncomingResponse>) -> Result<Own<FieldsEntry>, Error> {
    let headers = FieldsEntry::of_message(&cx.entry(this)?.1.headers);
    Ok(Own::child_of(headers, this.rep()))
}

/// `incoming-response.consume`
pub fn consume(cx: &mut Cx<'_>, this: Handle<IncomingResponse>) -> Plain<Own<IncomingBodyEntry>> {
    let body = cx.entry(this)?.1.body.take().ok_or(Fail::Err(()))?;
    Ok(Own::new(IncomingBodyEntry::new(body)))
}
