//! Requests and responses that a guest makes, before anybody gets them.

use super::{case_of, fields_of, guest, some, string_of, text};
use crate::support::{Guest, list_of};
use ampoule::Engine;
use ampoule_component::{Val, ValRef};
use ampoule_wasi::WasiConfig;
use ampoule_wasi::host::http::HttpConfig;

fn request(guest: &mut Guest) -> Val {
    let fields = guest.call("http/types#fields", &[]);
    guest.call("http/types#outgoing-request", &[fields])
}

fn accepts(guest: &mut Guest, name: &str, this: &Val, value: Val) -> bool {
    guest.result(&format!("http/types#{name}"), &[this.clone(), value]).is_ok()
}

#[test]
fn without_a_configuration_the_call_fails() {
    let mut guest = Guest::in_engine(&Engine::default(), Some(WasiConfig::new()));
    let error = guest.try_call("http/types#fields", &[]).expect_err("there is none");
    assert!(error.to_string().contains("the store has no WASI HTTP configuration"), "{error}");
}

#[test]
fn a_request_has_the_parts_that_it_was_given() {
    let mut guest = guest();
    let request = request(&mut guest);
    let method = guest.call("http/types#outgoing-request.method", &[request.clone()]);
    assert_eq!(method, Val::variant("get", None));
    for part in ["path-with-query", "scheme", "authority"] {
        assert_eq!(some(&guest.call(&format!("http/types#outgoing-request.{part}"), &[request.clone()])), None);
    }
    let other = Val::variant("other", Some(Val::from("PURGE")));
    assert!(accepts(&mut guest, "outgoing-request.set-method", &request, other.clone()));
    assert_eq!(guest.call("http/types#outgoing-request.method", &[request.clone()]), other);
    // A name that has a case of its own.
    let named = Val::variant("other", Some(Val::from("POST")));
    assert!(accepts(&mut guest, "outgoing-request.set-method", &request, named));
    assert_eq!(case_of(&guest.call("http/types#outgoing-request.method", &[request.clone()])), "post");
    assert!(accepts(&mut guest, "outgoing-request.set-path-with-query", &request, text("/a?b")));
    let path = guest.call("http/types#outgoing-request.path-with-query", &[request.clone()]);
    assert_eq!(some(&path).as_ref().map(string_of).as_deref(), Some("/a?b"));
    let scheme = Val::option(Some(Val::variant("other", Some(Val::from("ftp")))));
    assert!(accepts(&mut guest, "outgoing-request.set-scheme", &request, scheme.clone()));
    assert_eq!(guest.call("http/types#outgoing-request.scheme", &[request.clone()]), scheme);
    assert!(accepts(&mut guest, "outgoing-request.set-authority", &request, text("example.com:8080")));

    let bad_method = Val::variant("other", Some(Val::from("A B")));
    assert!(!accepts(&mut guest, "outgoing-request.set-method", &request, bad_method));
    assert!(!accepts(&mut guest, "outgoing-request.set-path-with-query", &request, text("/a b\r\n")));
    let bad_scheme = Val::option(Some(Val::variant("other", Some(Val::from("a b")))));
    assert!(!accepts(&mut guest, "outgoing-request.set-scheme", &request, bad_scheme));
    assert!(!accepts(&mut guest, "outgoing-request.set-authority", &request, text("a/b")));
    assert_eq!(guest.call("http/types#outgoing-request.scheme", &[request]), scheme, "nothing changed");
}

#[test]
fn options_keep_their_times() {
    let mut guest = guest();
    let options = guest.call("http/types#request-options", &[]);
    for name in ["connect-timeout", "first-byte-timeout", "between-bytes-timeout"] {
        let get = format!("http/types#request-options.{name}");
        assert_eq!(some(&guest.call(&get, &[options.clone()])), None);
        let time = Val::option(Some(Val::from(7u64)));
        guest.result(&format!("http/types#request-options.set-{name}"), &[options.clone(), time.clone()]).unwrap();
        assert_eq!(guest.call(&get, &[options.clone()]), time);
    }
}

#[test]
fn a_response_has_a_status_that_ends_it() {
    let mut guest = guest();
    let fields = guest.call("http/types#fields", &[]);
    let response = guest.call("http/types#outgoing-response", &[fields]);
    assert_eq!(guest.call("http/types#outgoing-response.status-code", &[response.clone()]), Val::from(200u16));
    for status in [99u16, 100, 101, 1000] {
        assert!(!accepts(&mut guest, "outgoing-response.set-status-code", &response, Val::from(status)), "{status}");
    }
    assert!(accepts(&mut guest, "outgoing-response.set-status-code", &response, Val::from(404u16)));
    assert_eq!(guest.call("http/types#outgoing-response.status-code", &[response]), Val::from(404u16));
}

#[test]
fn a_body_and_its_stream_are_given_once() {
    let mut guest = guest();
    let request = request(&mut guest);
    let body = guest.ok("http/types#outgoing-request.body", &[request.clone()]);
    assert!(guest.result("http/types#outgoing-request.body", &[request]).is_err());
    let stream = guest.ok("http/types#outgoing-body.write", &[body.clone()]);
    assert!(guest.result("http/types#outgoing-body.write", &[body.clone()]).is_err());
    let error =
        guest.try_call("http/types#outgoing-body.finish", &[body, Val::option(None)]).expect_err("it has a child");
    assert!(error.to_string().contains("resource has children"), "{error}");
    drop(stream);
}

/// A request with a body of which its headers say that it has so many bytes.
fn body_of(guest: &mut Guest, length: &str) -> (Val, Val) {
    let fields = fields_of(guest, &[("content-length", length.as_bytes())]);
    let request = guest.call("http/types#outgoing-request", &[fields]);
    let body = guest.ok("http/types#outgoing-request.body", &[request]);
    (guest.ok("http/types#outgoing-body.write", &[body.clone()]), body)
}

#[test]
fn a_body_longer_than_its_headers_say_fails_where_it_is_written() {
    let mut guest = guest();
    let (stream, body) = body_of(&mut guest, "3");
    let written = guest.result("streams#output-stream.blocking-write-and-flush", &[stream.clone(), list_of(b"abcd")]);
    let Err(Some(error)) = written else { panic!("{written:?}") };
    let ValRef::Variant(b"last-operation-failed", Some(error)) = error.get() else { panic!("{error:?}") };
    let code = guest.call("http/types#http-error-code", &[error.clone()]);
    let expected = Val::variant("HTTP-request-body-size", Some(Val::option(Some(Val::from(4u64)))));
    assert_eq!(some(&code), Some(expected.clone()));
    guest.drop(stream).expect("nothing depends on it");
    let finished = guest.result("http/types#outgoing-body.finish", &[body, Val::option(None)]);
    assert_eq!(finished, Err(Some(expected)));
}

#[test]
fn a_body_shorter_than_its_headers_say_cannot_be_finished() {
    let mut guest = guest();
    let (stream, body) = body_of(&mut guest, "3");
    guest.result("streams#output-stream.blocking-write-and-flush", &[stream.clone(), list_of(b"ab")]).unwrap();
    guest.drop(stream).expect("nothing depends on it");
    let finished = guest.result("http/types#outgoing-body.finish", &[body, Val::option(None)]);
    let expected = Val::variant("HTTP-request-body-size", Some(Val::option(Some(Val::from(2u64)))));
    assert_eq!(finished, Err(Some(expected)));
}

#[test]
fn headers_that_say_no_length_have_no_body() {
    let mut guest = guest();
    let fields = fields_of(&mut guest, &[("content-length", b"many")]);
    let request = guest.call("http/types#outgoing-request", &[fields]);
    assert!(guest.result("http/types#outgoing-request.body", &[request]).is_err());
}

#[test]
fn bodies_are_bounded_together() {
    let mut config = HttpConfig::new();
    config.max_bytes(200 << 10);
    let mut guest = Guest::with_http(&config);
    let mut bodies = Vec::new();
    let error = loop {
        let request = request(&mut guest);
        match guest.try_call("http/types#outgoing-request.body", &[request]) {
            Ok(body) => bodies.push(body),
            Err(error) => break error,
        }
        assert!(bodies.len() < 10);
    };
    assert_eq!(bodies.len(), 3);
    assert!(error.to_string().contains("HTTP bodies are larger than the host allows"), "{error}");
}

#[test]
fn what_is_written_before_anybody_reads_it_is_bounded() {
    let mut guest = guest();
    let request = request(&mut guest);
    let body = guest.ok("http/types#outgoing-request.body", &[request]);
    let stream = guest.ok("http/types#outgoing-body.write", &[body]);
    let mut written = 0;
    loop {
        let ValRef::U64(permitted) = guest.ok("streams#output-stream.check-write", &[stream.clone()]).get() else {
            panic!()
        };
        if permitted == 0 {
            break;
        }
        guest.result("streams#output-stream.write", &[stream.clone(), list_of(&vec![1; permitted as usize])]).unwrap();
        written += permitted;
    }
    assert_eq!(written, 64 << 10);
    let pollable = guest.call("streams#output-stream.subscribe", &[stream]);
    assert_eq!(guest.call("poll#pollable.ready", &[pollable]), Val::from(false));
}
