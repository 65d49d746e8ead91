//! What tests of a guest's requests have in common.

use super::servers::CERTIFICATE;
use super::{case_of, entries, fields_of, some, text};
use crate::support::{Guest, bytes_of};
use ampoule_component::{Val, ValRef};
use ampoule_wasi::host::http::HttpConfig;

/// A request to this address, by this scheme.
pub fn request_to(guest: &mut Guest, scheme: &str, authority: &str, headers: &[(&str, &[u8])]) -> Val {
    let fields = fields_of(guest, headers);
    let request = guest.call("http/types#outgoing-request", &[fields]);
    let scheme = Val::option(Some(Val::variant(scheme, None)));
    guest.ok("http/types#outgoing-request.set-scheme", &[request.clone(), scheme]);
    guest.ok("http/types#outgoing-request.set-authority", &[request.clone(), text(authority)]);
    guest.ok("http/types#outgoing-request.set-path-with-query", &[request.clone(), text("/a?b=c")]);
    request
}

pub fn send(guest: &mut Guest, request: Val) -> Val {
    guest.ok("outgoing-handler#handle", &[request, Val::option(None)])
}

/// With one time of it limited to 100 ms.
pub fn send_within(guest: &mut Guest, request: Val, time: &str) -> Val {
    let options = guest.call("http/types#request-options", &[]);
    let limit = Val::option(Some(Val::from(100_000_000u64)));
    guest.ok(&format!("http/types#request-options.set-{time}"), &[options.clone(), limit]);
    guest.ok("outgoing-handler#handle", &[request, Val::option(Some(options))])
}

/// Waits for it; the response, or its error.
pub fn awaited(guest: &mut Guest, future: &Val) -> Result<Val, Val> {
    let pollable = guest.call("http/types#future-incoming-response.subscribe", &[future.clone()]);
    guest.call("poll#pollable.block", &[pollable.clone()]);
    guest.drop(pollable).expect("nothing depends on it");
    let got = some(&guest.call("http/types#future-incoming-response.get", &[future.clone()])).expect("it is there");
    let ValRef::Ok(Some(result)) = got.get() else { panic!("{got:?}") };
    match result.get() {
        ValRef::Ok(Some(response)) => Ok(response.clone()),
        ValRef::Err(Some(code)) => Err(code.clone()),
        other => panic!("{other:?}"),
    }
}

pub fn response_to(guest: &mut Guest, request: Val) -> Val {
    let future = send(guest, request);
    awaited(guest, &future).unwrap_or_else(|error| panic!("{error:?}"))
}

pub fn error_of(guest: &mut Guest, request: Val) -> String {
    let future = send(guest, request);
    case_of(&awaited(guest, &future).expect_err("no response"))
}

pub fn status(guest: &mut Guest, response: &Val) -> u16 {
    match guest.call("http/types#incoming-response.status", &[response.clone()]).get() {
        ValRef::U16(status) => status,
        other => panic!("{other:?}"),
    }
}

pub fn body_of(guest: &mut Guest, response: &Val) -> (Val, Val) {
    let body = guest.ok("http/types#incoming-response.consume", &[response.clone()]);
    (guest.ok("http/types#incoming-body.stream", &[body.clone()]), body)
}

/// Reads a stream to its end; the code of the error that it ends with, where that is one.
pub fn read_all(guest: &mut Guest, stream: &Val) -> (Vec<u8>, Option<String>) {
    let mut bytes = Vec::new();
    loop {
        match guest.result("streams#input-stream.blocking-read", &[stream.clone(), Val::from(1u64 << 20)]) {
            Ok(read) => bytes.extend(bytes_of(&read.expect("bytes"))),
            Err(error) => {
                let error = error.expect("an error");
                let code = match error.get() {
                    ValRef::Variant(b"closed", None) => None,
                    ValRef::Variant(_, Some(error)) => {
                        let code = guest.call("http/types#http-error-code", &[error.clone()]);
                        Some(case_of(&some(&code).expect("one of HTTP")))
                    }
                    other => panic!("{other:?}"),
                };
                return (bytes, code);
            }
        }
    }
}

pub fn text_of(guest: &mut Guest, response: &Val) -> (String, Option<String>) {
    let (stream, _) = body_of(guest, response);
    let (bytes, error) = read_all(guest, &stream);
    (String::from_utf8(bytes).expect("text"), error)
}

pub fn trailers_of(guest: &mut Guest, body: Val) -> Result<Vec<(String, Vec<u8>)>, String> {
    let future = guest.call("http/types#incoming-body.finish", &[body]);
    let pollable = guest.call("http/types#future-trailers.subscribe", &[future.clone()]);
    guest.call("poll#pollable.block", &[pollable]);
    let got = some(&guest.call("http/types#future-trailers.get", &[future])).expect("they are there");
    let ValRef::Ok(Some(result)) = got.get() else { panic!("{got:?}") };
    match result.get() {
        ValRef::Ok(Some(trailers)) => Ok(match some(trailers) {
            Some(fields) => entries(guest, &fields),
            None => Vec::new(),
        }),
        ValRef::Err(Some(code)) => Err(case_of(code)),
        other => panic!("{other:?}"),
    }
}

/// A configuration of a guest that trusts the servers of these tests.
pub fn trusting_config() -> HttpConfig {
    let mut config = HttpConfig::new();
    config.allow_outgoing(true);
    config.trust_roots([CERTIFICATE.to_vec()]).expect("a certificate");
    config
}

pub fn trusting() -> Guest {
    Guest::with_http(&trusting_config())
}
