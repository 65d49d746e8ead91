//! Headers and trailers.

use crate::boundary::bytes;
use ampoule::Error;
use ampoule_wasi::host::http::hyper::HeaderMap;
use ampoule_wasi::host::http::hyper::header::{HeaderName, HeaderValue};
use std::slice;

/// A header or trailer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ampoule_http_header_t {
    name: *const u8,
    name_len: usize,
    value: *const u8,
    value_len: usize,
}

/// The headers of an array.
///
/// # Errors
/// What can't be sent, or too many.
///
/// # Safety
/// `headers` points to `count` headers, each of which points to its texts; null where there are none.
pub unsafe fn map_of(headers: *const ampoule_http_header_t, count: usize) -> Result<HeaderMap, Error> {
    // SAFETY: by the caller.
    let headers = if count == 0 { &[] } else { unsafe { slice::from_raw_parts(headers, count) } };
    let mut map = HeaderMap::new();
    for header in headers {
        // SAFETY: by the caller.
        let (name, value) = unsafe { (bytes(header.name, header.name_len), bytes(header.value, header.value_len)) };
        let bad = |what| {
            let name = String::from_utf8_lossy(&name[..name.len().min(100)]);
            Error::message(format!("the header `{}` has no {what} that can be sent", name.escape_default()))
        };
        let name = HeaderName::from_bytes(name).map_err(|_| bad("name"))?;
        let value = HeaderValue::from_bytes(value).map_err(|_| bad("value"))?;
        map.try_append(name, value).map_err(|_| Error::message("there are too many headers"))?;
    }
    Ok(map)
}

/// Headers that C looks at, in one array.
pub struct Headers {
    list: Vec<ampoule_http_header_t>,
    /// What the list points to. Neither is changed any more.
    _text: Box<[u8]>,
}

impl Headers {
    pub fn new(map: &HeaderMap) -> Self {
        let entries = || map.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
        let text: Vec<u8> = entries().flat_map(|(name, value)| [name, value]).flatten().copied().collect();
        let text = text.into_boxed_slice();
        let mut rest = &*text;
        let mut part = |len: usize| {
            let (part, after) = rest.split_at(len);
            rest = after;
            (part.as_ptr(), len)
        };
        let list = entries().map(|(name, value)| {
            let ((name, name_len), (value, value_len)) = (part(name.len()), part(value.len()));
            ampoule_http_header_t { name, name_len, value, value_len }
        });
        Self { list: list.collect(), _text: text }
    }

    /// Where they are, and how many.
    pub fn parts(&self) -> (*const ampoule_http_header_t, usize) {
        (self.list.as_ptr(), self.list.len())
    }
}
