//! A request of a guest's that the host answers.

use super::body::{ampoule_http_reader_t, ampoule_http_writer_t};
use super::exchange::{ampoule_http_request_t, ampoule_http_response_t};
use super::headers::{Headers, map_of};
use crate::boundary::{give, give_unit, string};
use crate::error::wasmtime_error_t;
use crate::foreign::Foreign;
use ampoule::Error;
use ampoule_wasi::host::http::ErrorCode;
use ampoule_wasi::host::http::client::Outgoing;
use ampoule_wasi::host::http::hyper::{Response, StatusCode};
use ampoule_wasi::host::http::message::Scheme;
use ampoule_wasi::host::http::provided::{HttpProvider, Reply};
use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::time::Duration;

/// Gets a request.
pub type Send = extern "C" fn(env: *mut c_void, outgoing: Box<ampoule_http_outgoing_t>);

/// A function of C's that answers requests.
pub struct CProvider {
    pub send: Send,
    pub env: Foreign,
}

impl HttpProvider for CProvider {
    fn send(&self, request: Outgoing, reply: Reply) {
        let Outgoing { method, scheme, authority, path, headers, body, timeouts, filter: _ } = request;
        let scheme = match scheme {
            Some(Scheme::Http) => "http".into(),
            Some(Scheme::Other(name)) => name,
            Some(Scheme::Https) | None => "https".into(),
        };
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        (self.send)(
            self.env.data(),
            Box::new(ampoule_http_outgoing_t {
                method: method.as_str().into(),
                scheme,
                authority: authority.unwrap_or_default().into(),
                path: path.unwrap_or_default().into(),
                headers: Headers::new(&headers),
                timeouts: ampoule_http_timeouts_t {
                    connect: nanoseconds(timeouts.connect),
                    first_byte: nanoseconds(timeouts.first_byte),
                    between_bytes: nanoseconds(timeouts.between_bytes),
                },
                reader: ampoule_http_reader_t::new(body),
                reply,
                writer: None,
            }),
        );
    }
}

/// How long a guest waits, in nanoseconds.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ampoule_http_timeouts_t {
    connect: u64,
    first_byte: u64,
    between_bytes: u64,
}

/// A request of a guest's, owned by whoever received it.
pub struct ampoule_http_outgoing_t {
    method: Box<str>,
    scheme: Box<str>,
    authority: Box<str>,
    path: Box<str>,
    headers: Headers,
    timeouts: ampoule_http_timeouts_t,
    reader: ampoule_http_reader_t,
    reply: Reply,
    /// The response's body, once there is a response.
    writer: Option<ampoule_http_writer_t>,
}

impl ampoule_http_outgoing_t {
    /// # Safety
    /// The response and what it points to are lent for the call.
    unsafe fn respond(&mut self, response: &ampoule_http_response_t) -> Result<&mut ampoule_http_writer_t, Error> {
        let status = response.status;
        // Others are three digits, too, but what comes after them is another head.
        let is_final = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
        let status = is_final.ok_or_else(|| Error::message(format!("{status} is no status of a response")))?;
        let mut head = Response::new(());
        *head.status_mut() = status;
        // SAFETY: by the caller.
        *head.headers_mut() = unsafe { map_of(response.headers, response.num_headers)? };
        let bad_length = |_| Error::message("the header `content-length` is no length");
        let body = self.reply.respond(head).map_err(bad_length)?.ok_or_else(was_answered)?;
        Ok(self.writer.insert(ampoule_http_writer_t::new(body)))
    }
}

fn was_answered() -> Error {
    Error::message("the request was answered before")
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_outgoing_request(
    outgoing: &ampoule_http_outgoing_t,
    request: &mut MaybeUninit<ampoule_http_request_t>,
) {
    let (headers, num_headers) = outgoing.headers.parts();
    let ampoule_http_outgoing_t { method, scheme, authority, path, .. } = outgoing;
    request.write(ampoule_http_request_t {
        method: method.as_ptr(),
        method_len: method.len(),
        scheme: scheme.as_ptr(),
        scheme_len: scheme.len(),
        authority: authority.as_ptr(),
        authority_len: authority.len(),
        path: path.as_ptr(),
        path_len: path.len(),
        headers,
        num_headers,
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_outgoing_timeouts(
    outgoing: &ampoule_http_outgoing_t,
    timeouts: &mut MaybeUninit<ampoule_http_timeouts_t>,
) {
    timeouts.write(outgoing.timeouts);
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_outgoing_reader(outgoing: &mut ampoule_http_outgoing_t) -> &mut ampoule_http_reader_t {
    &mut outgoing.reader
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_outgoing_is_awaited(outgoing: &ampoule_http_outgoing_t) -> bool {
    match &outgoing.writer {
        Some(writer) => !writer.is_closed(),
        None => outgoing.reply.is_awaited(),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_http_outgoing_respond<'a>(
    outgoing: &'a mut ampoule_http_outgoing_t,
    response: &ampoule_http_response_t,
    writer: &mut MaybeUninit<&'a mut ampoule_http_writer_t>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the response is lent for this call.
    give(unsafe { outgoing.respond(response) }, writer)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_http_outgoing_fail(
    outgoing: &mut ampoule_http_outgoing_t,
    code: *const c_char,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes a NUL-terminated string.
    let name = unsafe { string(code) }.unwrap_or_default();
    let code = ErrorCode::from_name(name.as_bytes())
        .ok_or_else(|| Error::message(format!("`{}` is no error code of wasi:http", name.escape_default())));
    give_unit(code.and_then(|code| if outgoing.reply.fail(code) { Ok(()) } else { Err(was_answered()) }))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_outgoing_delete(_outgoing: Option<Box<ampoule_http_outgoing_t>>) {}
