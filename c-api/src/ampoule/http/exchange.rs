//! A request that a guest answers.

use super::ampoule_http_handler_t;
use super::body::{ampoule_http_reader_t, ampoule_http_writer_t};
use super::headers::{Headers, ampoule_http_header_t, map_of};
use crate::boundary::{give, give_unit, misuse, text};
use crate::component::instance::wasmtime_component_instance_t;
use crate::error::wasmtime_error_t;
use crate::store::wasmtime_context_t;
use ampoule::Error;
use ampoule_wasi::handler::{AnswerError, Exchange, RequestHead};
use ampoule_wasi::host::http::ErrorCode;
use ampoule_wasi::host::http::error::Message;
use ampoule_wasi::host::http::fields::content_length;
use ampoule_wasi::host::http::message::{Scheme, is_authority, is_path, parse_method};
use ampoule_wasi::host::http::outgoing::OutgoingBody;
use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;
use std::task::Poll;

/// A request's head, as both sides give it.
#[repr(C)]
pub struct ampoule_http_request_t {
    pub method: *const u8,
    pub method_len: usize,
    pub scheme: *const u8,
    pub scheme_len: usize,
    pub authority: *const u8,
    pub authority_len: usize,
    pub path: *const u8,
    pub path_len: usize,
    pub headers: *const ampoule_http_header_t,
    pub num_headers: usize,
}

/// A response's head, as both sides give it.
#[repr(C)]
pub struct ampoule_http_response_t {
    pub status: u16,
    pub headers: *const ampoule_http_header_t,
    pub num_headers: usize,
}

/// A request that is being answered, owned by whoever received it.
pub struct ampoule_http_exchange_t {
    /// First, so that the guest ends before its request does.
    exchange: Exchange,
    writer: ampoule_http_writer_t,
    response: Option<Answered>,
    /// What the guest has answered in place of a response.
    code: Option<ErrorCode>,
}

struct Answered {
    status: u16,
    headers: Headers,
    reader: ampoule_http_reader_t,
}

impl ampoule_http_exchange_t {
    fn poll(&mut self) -> Poll<Result<(), Error>> {
        if self.exchange.is_running() {
            misuse("ampoule_http_exchange_poll", "the exchange is being polled further out");
        }
        if self.exchange.is_over() {
            return Poll::Ready(Ok(()));
        }
        // SAFETY: the caller keeps the store to one thread at a time.
        let polled = unsafe { self.exchange.poll() };
        match self.exchange.take_response() {
            Some(Ok(response)) => {
                let (head, frames) = response.into_parts();
                let headers = Headers::new(&head.headers);
                let reader = ampoule_http_reader_t::new(frames);
                self.response = Some(Answered { status: head.status.as_u16(), headers, reader });
            }
            Some(Err(code)) => self.code = Some(code),
            None => {}
        }
        if polled.is_ready()
            && let Some(response) = &mut self.response
        {
            response.reader.set_last();
        }
        polled
    }
}

/// What a request says.
///
/// # Errors
/// What no request can say.
///
/// # Safety
/// The request and what it points to are lent for the call.
unsafe fn head_of(request: &ampoule_http_request_t) -> Result<RequestHead, Error> {
    let bad = |what, text: &str| Error::message(format!("`{}` is no {what}", text.escape_default()));
    let part = |data: *const u8, len| {
        // SAFETY: by the caller.
        if data.is_null() { Ok(None) } else { unsafe { text(data, len) }.map(Some) }
    };
    let method = part(request.method, request.method_len)?.unwrap_or("GET");
    let method = parse_method(method).ok_or_else(|| bad("method", method))?;
    let scheme = match part(request.scheme, request.scheme_len)? {
        None => None,
        Some(name) if name.eq_ignore_ascii_case("http") => Some(Scheme::Http),
        Some(name) if name.eq_ignore_ascii_case("https") => Some(Scheme::Https),
        Some(name) => Some(Scheme::parse(name).ok_or_else(|| bad("scheme", name))?),
    };
    let authority = part(request.authority, request.authority_len)?;
    if let Some(authority) = authority.filter(|authority| !is_authority(authority)) {
        return Err(bad("authority", authority));
    }
    let path = part(request.path, request.path_len)?;
    if let Some(path) = path.filter(|path| !is_path(path)) {
        return Err(bad("path", path));
    }
    // SAFETY: by the caller.
    let headers = unsafe { map_of(request.headers, request.num_headers)? };
    Ok(RequestHead { method, scheme, authority: authority.map(str::to_owned), path: path.map(str::to_owned), headers })
}

/// # Safety
/// As [`head_of`]; and the store is used by one thread at a time.
unsafe fn begin(
    handler: &ampoule_http_handler_t,
    context: &mut wasmtime_context_t,
    instance: Option<&wasmtime_component_instance_t>,
    request: &ampoule_http_request_t,
) -> Result<Box<ampoule_http_exchange_t>, Error> {
    // SAFETY: by the caller.
    let head = unsafe { head_of(request)? };
    let length =
        content_length(&head.headers).map_err(|_| Error::message("the header `content-length` is no length"))?;
    // The host asks for room, and nobody has to tell it.
    let (body, frames) = OutgoingBody::new(Message::Request, length, Arc::default());
    // SAFETY: by the caller.
    let begun = unsafe { handler.0.begin(context, instance.copied(), head, Box::pin(frames)) };
    let exchange = begun.map_err(|error| match error {
        AnswerError::Request(code) => Error::message(format!("the guest cannot be given this request: {code}")),
        AnswerError::Store(error) => error,
    })?;
    Ok(Box::new(ampoule_http_exchange_t {
        exchange,
        writer: ampoule_http_writer_t::new(body),
        response: None,
        code: None,
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_http_exchange_new(
    handler: &ampoule_http_handler_t,
    context: &mut wasmtime_context_t,
    instance: Option<&wasmtime_component_instance_t>,
    request: &ampoule_http_request_t,
    exchange: &mut MaybeUninit<Box<ampoule_http_exchange_t>>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the header's contract.
    give(unsafe { begin(handler, context, instance, request) }, exchange)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_exchange_poll(
    exchange: &mut ampoule_http_exchange_t,
    error: &mut MaybeUninit<Option<Box<wasmtime_error_t>>>,
) -> bool {
    let polled = exchange.poll();
    let is_over = polled.is_ready();
    error.write(match polled {
        Poll::Ready(outcome) => give_unit(outcome),
        Poll::Pending => None,
    });
    is_over
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_exchange_writer(exchange: &mut ampoule_http_exchange_t) -> &mut ampoule_http_writer_t {
    &mut exchange.writer
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_exchange_response(
    exchange: &ampoule_http_exchange_t,
    response: &mut MaybeUninit<ampoule_http_response_t>,
) -> bool {
    let Some(answered) = &exchange.response else { return false };
    let (headers, num_headers) = answered.headers.parts();
    response.write(ampoule_http_response_t { status: answered.status, headers, num_headers });
    true
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_exchange_reader(
    exchange: &mut ampoule_http_exchange_t,
) -> Option<&mut ampoule_http_reader_t> {
    exchange.response.as_mut().map(|response| &mut response.reader)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_exchange_error(exchange: &ampoule_http_exchange_t) -> *const c_char {
    exchange.code.map_or(ptr::null(), |code| code.c_name().as_ptr())
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_exchange_delete(_exchange: Option<Box<ampoule_http_exchange_t>>) {}
