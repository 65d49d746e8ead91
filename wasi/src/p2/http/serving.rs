//! `incoming-request`, `outgoing-response` and `response-outparam`: a request that the guest answers.

use super::bodies::{IncomingBodyEntry, OutgoingBodyEntry};
use super::outgoing::{body_for, no_body};
use crate::component::http::{FieldsEntry, HttpMethod, Plain};
use crate::component::resources::entries;
use crate::component::values::Answered;
use crate::component::{Cx, Error, Fail, Handle, Own, Taken};
use crate::host::http::ErrorCode;
use crate::host::http::error::Message;
use crate::host::http::fields::Fields;
use crate::host::http::incoming::IncomingBody;
use crate::host::http::message::Scheme;
use crate::host::http::outgoing::Frames;
use hyper::{Method, Response, StatusCode};
use std::fmt;
use std::sync::Arc;

entries! {
    IncomingRequest = 15 "incoming-request",
    ResponseOutparam = 18 "response-outparam",
    OutgoingResponse = 22 "outgoing-response",
}

/// A request that has come.
#[derive(Debug)]
pub struct IncomingRequest {
    /// Its method.
    pub method: Method,
    /// What it asks for.
    pub path: Option<String>,
    /// How it has come.
    pub scheme: Option<Scheme>,
    /// Whom it is for.
    pub authority: Option<String>,
    /// Its headers.
    pub headers: Arc<Fields>,
    /// Its body, until the guest takes it.
    pub body: Option<IncomingBody>,
}

/// `incoming-request.method`
pub fn method(cx: &mut Cx<'_>, this: Handle<IncomingRequest>) -> Result<HttpMethod, Error> {
    Ok(HttpMethod(cx.entry(this)?.1.method.clone()))
}

/// `incoming-request.path-with-query`
pub fn path_with_query(cx: &mut Cx<'_>, this: Handle<IncomingRequest>) -> Result<Option<String>, Error> {
    Ok(cx.entry(this)?.1.path.clone())
}

/// `incoming-request.scheme`
pub fn scheme(cx: &mut Cx<'_>, this: Handle<IncomingRequest>) -> Result<Option<Scheme>, Error> {
    Ok(cx.entry(this)?.1.scheme.clone())
}

/// `incoming-request.authority`
pub fn authority(cx: &mut Cx<'_>, this: Handle<IncomingRequest>) -> Result<Option<String>, Error> {
    Ok(cx.entry(this)?.1.authority.clone())
}

/// `incoming-request.headers`
pub fn request_headers(cx: &mut Cx<'_>, this: Handle<IncomingRequest>) -> Result<Own<FieldsEntry>, Error> {
    let headers = FieldsEntry::of_message(&cx.entry(this)?.1.headers);
    Ok(Own::child_of(headers, this.rep()))
}

/// `incoming-request.consume`
pub fn consume(cx: &mut Cx<'_>, this: Handle<IncomingRequest>) -> Plain<Own<IncomingBodyEntry>> {
    let body = cx.entry(this)?.1.body.take().ok_or(Fail::Err(()))?;
    Ok(Own::new(IncomingBodyEntry::new(body)))
}

/// A response that the guest makes.
#[derive(Debug)]
pub struct OutgoingResponse {
    status: StatusCode,
    headers: Arc<Fields>,
    /// Where its body will be read, once the guest writes one.
    frames: Option<Frames>,
}

/// `outgoing-response.constructor`
pub fn new_response(_: &mut Cx<'_>, Taken(headers): Taken<FieldsEntry>) -> Result<Own<OutgoingResponse>, Error> {
    Ok(Own::new(OutgoingResponse { status: StatusCode::OK, headers: headers.into_fields(), frames: None }))
}

/// `outgoing-response.status-code`
pub fn status_code(cx: &mut Cx<'_>, this: Handle<OutgoingResponse>) -> Result<u16, Error> {
    Ok(cx.entry(this)?.1.status.as_u16())
}

/// `outgoing-response.set-status-code`: one of three digits that isn't preliminary.
pub fn set_status_code(cx: &mut Cx<'_>, this: Handle<OutgoingResponse>, status: u16) -> Plain<()> {
    let status = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
    cx.entry(this)?.1.status = status.ok_or(Fail::Err(()))?;
    Ok(())
}

/// `outgoing-response.headers`
pub fn response_headers(cx: &mut Cx<'_>, this: Handle<OutgoingResponse>) -> Result<Own<FieldsEntry>, Error> {
    let headers = FieldsEntry::of_message(&cx.entry(this)?.1.headers);
    Ok(Own::child_of(headers, this.rep()))
}

/// `outgoing-response.body`
pub fn response_body(cx: &mut Cx<'_>, this: Handle<OutgoingResponse>) -> Plain<Own<OutgoingBodyEntry>> {
    let response = cx.entry(this)?.1;
    if response.frames.is_some() {
        return Err(Fail::Err(()));
    }
    let headers = response.headers.clone();
    let (body, frames) = body_for(cx, Message::Response, &headers)?.ok_or(Fail::Err(()))?;
    cx.entry(this)?.1.frames = Some(frames);
    Ok(Own::new(body))
}

/// Who gets the response: it is called once, with what the guest answers, if the guest answers.
pub type Responder = Box<dyn FnOnce(Result<Response<Frames>, ErrorCode>) + Send + Sync>;

/// Where the guest puts its response.
pub struct ResponseOutparam(pub Responder);

impl fmt::Debug for ResponseOutparam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResponseOutparam").finish()
    }
}

/// `response-outparam.set`
pub fn set_response(
    cx: &mut Cx<'_>,
    Taken(ResponseOutparam(respond)): Taken<ResponseOutparam>,
    response: Result<Answered<Taken<OutgoingResponse>>, Answered<ErrorCode>>,
) -> Result<(), Error> {
    let signal = &cx.host().signal;
    respond(match response {
        Ok(Answered(Taken(response))) => message_of(response, signal),
        Err(Answered(code)) => Err(code),
    });
    Ok(())
}

fn message_of(
    response: OutgoingResponse,
    signal: &Arc<crate::host::http::signal::Signal>,
) -> Result<Response<Frames>, ErrorCode> {
    let content_length = response.headers.content_length().map_err(|_| ErrorCode::HttpProtocolError)?;
    let frames = match response.frames {
        Some(frames) => frames,
        // How long a body is that isn't sent, as to a HEAD request, may be said nevertheless.
        None => no_body(Message::Response, content_length.filter(|&len| len == 0), signal.clone())?,
    };
    let mut message = Response::new(frames);
    *message.status_mut() = response.status;
    *message.headers_mut() = response.headers.to_map();
    Ok(message)
}
