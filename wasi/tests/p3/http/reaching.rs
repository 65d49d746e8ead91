//! How far requests of a guest get: over TLS and HTTP/2, within times, and where addresses are permitted.

use super::messages::{outcome, promise};
use super::sending::{guest, guest_with, request_with};
use crate::servers::{CERTIFICATE, answering_by_http2, answering_privately, read_head, serve};
use crate::support::{Guest, pair};
use ampoule_component::Val;
use ampoule_wasi::WasiConfig;
use ampoule_wasi::host::http::HttpConfig;
use hyper::Version;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A guest that trusts the servers of these tests.
fn trusting() -> Guest {
    let mut config = HttpConfig::new();
    config.allow_outgoing(true);
    config.trust_roots([CERTIFICATE.to_vec()]).expect("a certificate");
    guest_with(&config, WasiConfig::new())
}

/// Sends a request without a body; its response, or the name of the error.
fn ask(guest: &mut Guest, target: (&str, &str), options: Option<Val>) -> Result<Val, String> {
    let (request, _sent) = request_with(guest, target, None, options);
    outcome(guest.call("client#send", &[request])).map(|response| response.expect("it is one"))
}

/// The body of a response, and its trailers, or the error that is in place of them.
fn body_of(guest: &mut Guest, response: Val) -> (String, Result<Option<Val>, String>) {
    let (_outcome, res) = promise(guest, "types#response.consume-body", 1);
    let (mut stream, mut end) = pair(guest.call("types#response.consume-body", &[response, res]));
    let text = String::from_utf8(guest.read_all(&mut stream)).expect("text");
    let end = outcome(guest.value(&mut end));
    (text, end.map(|trailers| trailers.expect("a value").take_option().expect("an option").map(|trailers| *trailers)))
}

/// `request-options` with a tenth of a second for this.
fn within(guest: &mut Guest, time: &str) -> Option<Val> {
    let options = guest.call("types#request-options", &[]);
    let limit = Val::option(Some(Val::from(100_000_000u64)));
    let set = guest.call(&format!("types#request-options.set-{time}"), &[options.clone(), limit]);
    assert_eq!(outcome(set).map(drop), Ok(()));
    Some(options)
}

#[test]
fn what_is_private_goes_to_whom_the_guest_trusts_only() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let (address, server) = answering_privately(answer);
    let mut trusting = trusting();
    let response = ask(&mut trusting, ("HTTPS", &address), None).expect("a response");
    assert_eq!(body_of(&mut trusting, response), ("hi".to_owned(), Ok(None)));
    assert!(server.join().expect("served").is_some_and(|head| head.starts_with("POST /a?b HTTP/1.1\r\n")));

    let (address, _server) = answering_privately(answer);
    assert_eq!(ask(&mut guest(), ("HTTPS", &address), None).map(drop), Err("TLS-certificate-error".to_owned()));

    // A server that doesn't speak TLS.
    let (address, _server) = serve(|mut stream| stream.write_all(EMPTY));
    let error = ask(&mut trusting, ("HTTPS", &address), None).map(drop).expect_err("no handshake");
    assert!(error == "TLS-protocol-error" || error == "connection-terminated", "{error}");
}

#[test]
fn a_server_that_speaks_http2_is_spoken_to_so() {
    let (address, server) = answering_by_http2();
    let mut guest = trusting();
    let response = ask(&mut guest, ("HTTPS", &address), None).expect("a response");
    assert_eq!(guest.call("types#response.get-status-code", &[response.clone()]), Val::from(200u16));
    let (text, trailers) = body_of(&mut guest, response);
    assert_eq!(text, "hello");
    let trailers = trailers.expect("a whole body").expect("trailers");
    assert_eq!(guest.call("http/types#fields.has", &[trailers, Val::from("x-trailer")]), Val::from(true));
    drop(guest);
    let (version, uri, host) = server.join().expect("served");
    assert_eq!((version, uri, host), (Version::HTTP_2, format!("https://{address}/a?b"), None));
}

#[test]
fn each_time_can_be_limited() {
    let mut guest = guest();
    let start = Instant::now();
    // Accepts, and says nothing.
    let silent = || serve(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let (address, _server) = silent();
    let options = within(&mut guest, "first-byte-timeout");
    let error = ask(&mut guest, ("HTTP", &address), options).map(drop);
    assert_eq!(error, Err("connection-read-timeout".to_owned()));

    // Connects, but doesn't shake hands.
    let (address, _server) = silent();
    let options = within(&mut guest, "connect-timeout");
    let error = ask(&mut guest, ("HTTPS", &address), options).map(drop);
    assert_eq!(error, Err("connection-timeout".to_owned()));

    let (address, _server) = serve(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").expect("written");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let options = within(&mut guest, "between-bytes-timeout");
    let response = ask(&mut guest, ("HTTP", &address), options).expect("a head");
    // Time that the guest spends elsewhere isn't the server's.
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(body_of(&mut guest, response), ("hello".to_owned(), Err("connection-read-timeout".to_owned())));
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn requests_go_where_the_network_is_open_and_nowhere_else() {
    let guest_to = |rules: &[&str]| {
        let mut config = WasiConfig::new();
        rules.iter().for_each(|rule| config.allow_net(rule).expect("a rule"));
        let mut http = HttpConfig::new();
        http.allow_outgoing(true);
        guest_with(&http, config)
    };
    let (address, _server) = serve(|mut stream| {
        read_head(&mut stream);
        stream.write_all(EMPTY)
    });
    let mut guest = guest_to(&[&address, "*.invalid"]);
    assert!(ask(&mut guest, ("HTTP", &address), None).is_ok());
    // Another port, another address, another name: nobody is asked.
    for authority in ["127.0.0.1:1", "127.0.0.2", "[::1]:80", "localhost:80"] {
        let error = ask(&mut guest, ("HTTP", authority), None).map(drop);
        assert_eq!(error, Err("HTTP-request-denied".to_owned()), "{authority}");
    }
    // A name that may be looked up, and stands for nothing.
    assert_eq!(ask(&mut guest, ("HTTP", "nobody.invalid"), None).map(drop), Err("DNS-error".to_owned()));
    // A name that stands for an address that may not be reached at this port.
    let port = address.rsplit(':').next().expect("a port");
    let error = ask(&mut guest_to(&["localhost:1"]), ("HTTP", &format!("localhost:{port}")), None).map(drop);
    assert_eq!(error, Err("destination-IP-prohibited".to_owned()));
}

#[test]
fn a_guest_that_was_not_allowed_to_sends_nothing() {
    let mut guest = guest_with(&HttpConfig::new(), WasiConfig::new());
    let error = ask(&mut guest, ("HTTP", "127.0.0.1:1"), None).map(drop);
    assert_eq!(error, Err("HTTP-request-denied".to_owned()));
}
