//! Bodies: a reader for each that a guest writes, a writer for each that a guest reads.
//!
//! Both are parts of what has them, and are lent to C at an address that stays.

use super::headers::{Headers, ampoule_http_header_t, map_of};
use crate::boundary::{bytes, give, give_unit, misuse};
use crate::error::wasmtime_error_t;
use ampoule::Error;
use ampoule_wasi::host::http::ErrorCode;
use ampoule_wasi::host::http::hyper::HeaderMap;
use ampoule_wasi::host::http::hyper::body::{Body as _, Bytes};
use ampoule_wasi::host::http::outgoing::{Frames, OutgoingBody, WriteError};
use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll, Waker};

/// What there is to read: a number of `ampoule_http_reading_enum`.
pub type ampoule_http_reading_t = u8;
const WAIT: ampoule_http_reading_t = 0;
const BYTES: ampoule_http_reading_t = 1;
const END: ampoule_http_reading_t = 2;
const ERROR: ampoule_http_reading_t = 3;

/// A body that a guest writes.
pub struct ampoule_http_reader_t {
    frames: Frames,
    /// What is left of the last piece.
    piece: Bytes,
    end: Option<Result<Headers, ErrorCode>>,
    /// Whether the guest is over, and writes no more.
    is_last: bool,
}

impl ampoule_http_reader_t {
    pub fn new(frames: Frames) -> Self {
        Self { frames, piece: Bytes::new(), end: None, is_last: false }
    }

    /// The guest is over: what it hasn't ended by now has no end.
    pub fn set_last(&mut self) {
        self.is_last = true;
    }

    fn state(&mut self) -> ampoule_http_reading_t {
        while self.piece.is_empty() && self.end.is_none() {
            // The guest writes while it is polled, and nobody has to be told.
            let frame = Pin::new(&mut self.frames).poll_frame(&mut Context::from_waker(Waker::noop()));
            match frame {
                Poll::Pending if self.is_last => self.end = Some(Err(ErrorCode::HttpResponseIncomplete)),
                Poll::Pending => return WAIT,
                Poll::Ready(None) => self.end = Some(Ok(Headers::new(&HeaderMap::new()))),
                Poll::Ready(Some(Err(code))) => self.end = Some(Err(code)),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.piece = data,
                    Err(frame) => {
                        self.end = Some(Ok(Headers::new(&frame.into_trailers().unwrap_or_default())));
                    }
                },
            }
        }
        match &self.end {
            _ if !self.piece.is_empty() => BYTES,
            Some(Ok(_)) => END,
            _ => ERROR,
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_reader_peek(
    reader: &mut ampoule_http_reader_t,
    data: &mut *const u8,
    len: &mut usize,
) -> ampoule_http_reading_t {
    let state = reader.state();
    (*data, *len) = (reader.piece.as_ptr(), reader.piece.len());
    state
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_reader_consume(reader: &mut ampoule_http_reader_t, len: usize) {
    if len > reader.piece.len() {
        misuse("ampoule_http_reader_consume", "there are not as many bytes");
    }
    drop(reader.piece.split_to(len));
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_reader_length(reader: &ampoule_http_reader_t, len: &mut MaybeUninit<u64>) -> bool {
    let left = match &reader.end {
        Some(_) => Some(0),
        None => reader.frames.size_hint().exact(),
    };
    let all = left.map(|left| left + reader.piece.len() as u64);
    all.map(|all| len.write(all)).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_reader_trailers(
    reader: &ampoule_http_reader_t,
    count: &mut usize,
) -> *const ampoule_http_header_t {
    let list = reader.end.as_ref().and_then(|end| end.as_ref().ok()).map(Headers::parts);
    let (list, len) = list.filter(|(_, len)| *len > 0).unwrap_or((ptr::null(), 0));
    *count = len;
    list
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_reader_error(reader: &ampoule_http_reader_t) -> *const c_char {
    match &reader.end {
        Some(Err(code)) => code.c_name().as_ptr(),
        _ => ptr::null(),
    }
}

/// A body that a guest reads.
pub struct ampoule_http_writer_t {
    body: OutgoingBody,
    has_ended: bool,
}

impl ampoule_http_writer_t {
    pub fn new(body: OutgoingBody) -> Self {
        Self { body, has_ended: false }
    }

    fn check(&self) -> Result<(), Error> {
        if self.has_ended { Err(Error::message("the body has ended")) } else { Ok(()) }
    }

    /// Whether the guest takes no more, while the host hasn't ended it.
    pub fn is_closed(&self) -> bool {
        !self.has_ended && self.body.room().is_err()
    }

    fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        self.check()?;
        let room = self.body.room().unwrap_or(0).min(data.len());
        match self.body.write(Bytes::copy_from_slice(&data[..room])) {
            Ok(written) => Ok(written),
            // Nobody misses what is left.
            Err(WriteError::Closed) => Ok(data.len()),
            Err(WriteError::TooLong(_)) => {
                self.has_ended = true;
                Err(Error::message("the body is longer than its headers say"))
            }
        }
    }

    fn finish(&mut self, trailers: Result<HeaderMap, Error>) -> Result<(), Error> {
        self.check()?;
        let trailers = trailers?;
        self.has_ended = true;
        if self.body.room().is_err() {
            // Nobody reads how it ends.
            return Ok(());
        }
        let ended = self.body.finish(Some(trailers).filter(|trailers| !trailers.is_empty()));
        ended.map_err(|_| Error::message("the body is shorter than its headers say"))
    }

    fn abort(&mut self) {
        self.has_ended = true;
        self.body.fail(ErrorCode::ConnectionTerminated);
    }
}

impl Drop for ampoule_http_writer_t {
    fn drop(&mut self) {
        if !self.has_ended {
            self.abort();
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_writer_room(writer: &ampoule_http_writer_t) -> usize {
    if writer.has_ended { 0 } else { writer.body.room().unwrap_or(0) }
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_writer_is_closed(writer: &ampoule_http_writer_t) -> bool {
    writer.is_closed()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_http_writer_write(
    writer: &mut ampoule_http_writer_t,
    data: *const u8,
    len: usize,
    written: &mut MaybeUninit<usize>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the bytes are lent for this call.
    give(writer.write(unsafe { bytes(data, len) }), written)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_http_writer_finish(
    writer: &mut ampoule_http_writer_t,
    trailers: *const ampoule_http_header_t,
    count: usize,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the trailers are lent for this call.
    give_unit(writer.finish(unsafe { map_of(trailers, count) }))
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_http_writer_abort(writer: &mut ampoule_http_writer_t) {
    if !writer.has_ended {
        writer.abort();
    }
}
