//! `request` and `response`, whoever has made them.

use super::bodies::{Body, Consumed, Given, Outcome, Sent, Written};
use super::options::{RequestOptions, Times};
use crate::component::http::{FieldsEntry, GivenMethod, GivenScheme, HttpMethod, Plain};
use crate::component::resources::entries;
use crate::component::values::{val_of, wrong_type};
use crate::component::{Cx, Entry, Error, Fail, Handle, IntoVal, Own, Taken};
use crate::host::http::ErrorCode;
use crate::host::http::fields::Fields;
use crate::host::http::message::{Scheme, is_authority, is_path};
use crate::p3::streams::{Bytes, Ending};
use ampoule_component::Val;
use ampoule_component::types::ValType;
use hyper::{Method, StatusCode};
use std::sync::Arc;

entries! {
    Request = 30 "request",
    Response = 31 "response",
}

/// A request.
#[derive(Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// What it asks for.
    pub path: Option<String>,
    /// How it goes or has come.
    pub scheme: Option<Scheme>,
    /// Whom it is for.
    pub authority: Option<String>,
    /// Its headers.
    pub headers: Arc<Fields>,
    /// How long it may take, where the guest has said.
    pub times: Option<Times>,
    /// Its body.
    pub body: Body,
}

/// A response.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: Arc<Fields>,
    /// Its body.
    pub body: Body,
}

/// A message that the guest makes, and a future of what becomes of it: `tuple<own<T>, future<result<_, error-code>>>`.
pub struct Made<T> {
    message: Own<T>,
    sent: Ending<ErrorCode>,
}

impl<T: Entry> IntoVal for Made<T> {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let Some(ValType::Tuple(tuple)) = cx.ty()?.result() else { return Err(wrong_type("tuple")) };
        let [_, future] = tuple.types() else { return Err(wrong_type("tuple of a message and a future")) };
        let sent = self.sent.future(cx, future)?;
        Ok(Some(Val::tuple(vec![val_of(self.message, cx)?, sent])))
    }
}

fn written(contents: Option<Bytes>, trailers: Given) -> (Body, Ending<ErrorCode>) {
    let (teller, sent) = Ending::new();
    let contents = contents.map(Bytes::into_reader);
    (Body::Written(Written { contents, trailers: trailers.0, sent: Sent::new(teller) }), sent)
}

/// `request.new`
pub fn new_request(
    _: &mut Cx<'_>,
    Taken(headers): Taken<FieldsEntry>,
    contents: Option<Bytes>,
    trailers: Given,
    options: Option<Taken<RequestOptions>>,
) -> Result<Made<Request>, Error> {
    let (body, sent) = written(contents, trailers);
    let request = Request {
        method: Method::GET,
        path: None,
        scheme: None,
        authority: None,
        headers: headers.into_fields(),
        times: options.map(|Taken(options)| options.times()),
        body,
    };
    Ok(Made { message: Own::new(request), sent })
}

/// `request.get-method`
pub fn get_method(cx: &mut Cx<'_>, this: Handle<Request>) -> Result<HttpMethod, Error> {
    Ok(HttpMethod(cx.entry(this)?.1.method.clone()))
}

/// `request.set-method`
pub fn set_method(cx: &mut Cx<'_>, this: Handle<Request>, method: GivenMethod) -> Plain<()> {
    cx.entry(this)?.1.method = method.0.ok_or(Fail::Err(()))?;
    Ok(())
}

/// `request.get-path-with-query`
pub fn get_path(cx: &mut Cx<'_>, this: Handle<Request>) -> Result<Option<String>, Error> {
    Ok(cx.entry(this)?.1.path.clone())
}

/// `request.set-path-with-query`
pub fn set_path(cx: &mut Cx<'_>, this: Handle<Request>, path: Option<String>) -> Plain<()> {
    // One that is empty is none.
    if path.as_deref().is_some_and(|path| !path.is_empty() && !is_path(path)) {
        return Err(Fail::Err(()));
    }
    cx.entry(this)?.1.path = path;
    Ok(())
}

/// `request.get-scheme`
pub fn get_scheme(cx: &mut Cx<'_>, this: Handle<Request>) -> Result<Option<Scheme>, Error> {
    Ok(cx.entry(this)?.1.scheme.clone())
}

/// `request.set-scheme`
pub fn set_scheme(cx: &mut Cx<'_>, this: Handle<Request>, scheme: Option<GivenScheme>) -> Plain<()> {
    cx.entry(this)?.1.scheme = match scheme {
        None => None,
        Some(GivenScheme(scheme)) => Some(scheme.ok_or(Fail::Err(()))?),
    };
    Ok(())
}

/// `request.get-authority`
pub fn get_authority(cx: &mut Cx<'_>, this: Handle<Request>) -> Result<Option<String>, Error> {
    Ok(cx.entry(this)?.1.authority.clone())
}

/// `request.set-authority`
pub fn set_authority(cx: &mut Cx<'_>, this: Handle<Request>, authority: Option<String>) -> Plain<()> {
    if authority.as_deref().is_some_and(|authority| !is_authority(authority)) {
        return Err(Fail::Err(()));
    }
    cx.entry(this)?.1.authority = authority;
    Ok(())
}

/// `request.get-options`
pub fn get_options(cx: &mut Cx<'_>, this: Handle<Request>) -> Result<Option<Own<RequestOptions>>, Error> {
    let times = cx.entry(this)?.1.times;
    // A copy of their own, which outlives the request: it can't change.
    Ok(times.map(|times| Own::new(RequestOptions::of_request(times))))
}

/// `request.get-headers`
pub fn request_headers(cx: &mut Cx<'_>, this: Handle<Request>) -> Result<Own<FieldsEntry>, Error> {
    Ok(Own::new(FieldsEntry::of_message(&cx.entry(this)?.1.headers)))
}

/// `request.consume-body`
pub fn consume_request(cx: &mut Cx<'_>, Taken(request): Taken<Request>, outcome: Given) -> Result<Consumed, Error> {
    consume(cx, request.body, outcome)
}

fn consume(cx: &mut Cx<'_>, mut body: Body, Given(outcome): Given) -> Result<Consumed, Error> {
    let sent = match &mut body {
        Body::Written(written) => Some(written.sent.take()),
        Body::Received(_) => None,
    };
    outcome.consume(cx.store(), Outcome(sent))?;
    Ok(Consumed(body))
}

/// `response.new`
pub fn new_response(
    _: &mut Cx<'_>,
    Taken(headers): Taken<FieldsEntry>,
    contents: Option<Bytes>,
    trailers: Given,
) -> Result<Made<Response>, Error> {
    let (body, sent) = written(contents, trailers);
    let response = Response { status: StatusCode::OK, headers: headers.into_fields(), body };
    Ok(Made { message: Own::new(response), sent })
}

/// `response.get-status-code`
pub fn get_status(cx: &mut Cx<'_>, this: Handle<Response>) -> Result<u16, Error> {
    Ok(cx.entry(this)?.1.status.as_u16())
}

/// `response.set-status-code`: one of three digits that isn't preliminary.
pub fn set_status(cx: &mut Cx<'_>, this: Handle<Response>, status: u16) -> Plain<()> {
    let status = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
    cx.entry(this)?.1.status = status.ok_or(Fail::Err(()))?;
    Ok(())
}

/// `response.get-headers`
pub fn response_headers(cx: &mut Cx<'_>, this: Handle<Response>) -> Result<Own<FieldsEntry>, Error> {
    Ok(Own::new(FieldsEntry::of_message(&cx.entry(this)?.1.headers)))
}

/// `response.consume-body`
pub fn consume_response(cx: &mut Cx<'_>, Taken(response): Taken<Response>, outcome: Given) -> Result<Consumed, Error> {
    consume(cx, response.body, outcome)
}
