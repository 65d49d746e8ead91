//! Requests of a guest, over the network of the loopback.

use super::messages::{outcome, promise};
use crate::support::{Guest, pair};
use ampoule::Engine;
use ampoule_component::Val;
use ampoule_component::streams::{Destination, Flow, Producer, StreamReader};
use ampoule_component::types::ValType;
use ampoule_wasi::WasiConfig;
use ampoule_wasi::host::http::HttpConfig;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

/// A guest that may send requests.
pub fn guest() -> Guest {
    let mut http = HttpConfig::new();
    http.allow_outgoing(true);
    guest_with(&http, WasiConfig::new())
}

/// A guest with these configurations.
pub fn guest_with(http: &HttpConfig, config: WasiConfig) -> Guest {
    let mut guest = Guest::in_engine(&Engine::default(), Some(config));
    guest.store.slots_mut().insert(http.build());
    guest
}

/// Answers one connection with these bytes, once all that was expected has come; gives that back.
fn answering(expected: &'static [u8], answer: &'static [u8]) -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
        let (mut all, mut some) = (Vec::new(), [0; 4096]);
        while !all.ends_with(expected) {
            match stream.read(&mut some).expect("a request") {
                0 => break,
                count => all.extend_from_slice(&some[..count]),
            }
        }
        stream.write_all(answer).expect("written");
        all
    });
    (address, thread)
}

/// These bytes.
struct Text(&'static [u8]);

impl Producer for Text {
    fn poll_produce(&mut self, _: &mut Context<'_>, into: &mut Destination<'_>) -> Poll<Result<Flow, ampoule::Error>> {
        let room = into.bytes().expect("a stream of bytes");
        let count = room.len().min(self.0.len());
        room[..count].copy_from_slice(&self.0[..count]);
        into.advance(count);
        self.0 = &self.0[count..];
        Poll::Ready(Ok(if self.0.is_empty() { Flow::End } else { Flow::More }))
    }
}

/// A request to this address; and the future of what becomes of it.
fn request_to(guest: &mut Guest, authority: &str, contents: Option<&'static [u8]>) -> (Val, Val) {
    request_with(guest, ("HTTP", authority), contents, None)
}

/// The same with a scheme, and with `request-options`.
pub fn request_with(
    guest: &mut Guest,
    (scheme, authority): (&str, &str),
    contents: Option<&'static [u8]>,
    options: Option<Val>,
) -> (Val, Val) {
    let headers = guest.call("http/types#fields", &[]);
    let contents = contents.map(|text| {
        let reader = StreamReader::new(&mut guest.store, Some(ValType::U8), Text(text)).expect("there are few");
        Val::from(reader)
    });
    let (writer, trailers) = promise(guest, "types#request.new", 2);
    writer.write(&mut guest.store, Some(Val::result(Ok(Some(Val::option(None)))))).expect("the store's");
    let made = guest.call("types#request.new", &[headers, Val::option(contents), trailers, Val::option(options)]);
    let (request, sent) = pair(made);
    let text = |text: &str| Val::option(Some(Val::from(text)));
    for (set, value) in [
        ("set-method", Val::variant("post", None)),
        ("set-scheme", Val::option(Some(Val::variant(scheme, None)))),
        ("set-authority", text(authority)),
        ("set-path-with-query", text("/a?b")),
    ] {
        let set = guest.call(&format!("types#request.{set}"), &[request.clone(), value]);
        assert_eq!(outcome(set).map(drop), Ok(()));
    }
    (request, sent)
}

#[test]
fn a_request_is_sent_with_its_body_and_the_response_read_to_its_end() {
    let mut guest = guest();
    let answer =
        b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n5\r\nhello\r\n0\r\nX-T: t\r\n\r\n";
    let (address, server) = answering(b"from the guest", answer);
    let (request, mut sent) = request_to(&mut guest, &address, Some(b"from the guest"));
    let response = outcome(guest.call("client#send", &[request])).expect("a response").expect("it is one");
    assert_eq!(guest.ending(&mut sent), None);
    let head = String::from_utf8(server.join().expect("served")).expect("text");
    assert!(head.starts_with("POST /a?b HTTP/1.1\r\n") && head.contains("from the guest"), "{head}");
    assert_eq!(guest.call("types#response.get-status-code", &[response.clone()]), Val::from(404u16));
    let headers = guest.call("types#response.get-headers", &[response.clone()]);
    assert_eq!(guest.call("http/types#fields.has", &[headers, Val::from("x-a")]), Val::from(true));
    let (_outcome, res) = promise(&mut guest, "types#response.consume-body", 1);
    let (mut stream, mut end) = pair(guest.call("types#response.consume-body", &[response, res]));
    assert_eq!(guest.read_all(&mut stream), b"hello");
    let trailers = guest.value(&mut end);
    let trailers = outcome(trailers).expect("a whole body").expect("a value").take_option().expect("an option");
    let has = guest.call("http/types#fields.has", &[*trailers.expect("trailers"), Val::from("x-t")]);
    assert_eq!(has, Val::from(true));
}

#[test]
fn a_response_that_is_cut_off_has_an_error_behind_its_bytes() {
    let mut guest = guest();
    let (address, server) = answering(b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    let (request, mut sent) = request_to(&mut guest, &address, None);
    let response = outcome(guest.call("client#send", &[request])).expect("a response").expect("it is one");
    server.join().expect("served");
    assert_eq!(guest.ending(&mut sent), None);
    let (_outcome, res) = promise(&mut guest, "types#response.consume-body", 1);
    let (mut stream, mut end) = pair(guest.call("types#response.consume-body", &[response, res]));
    assert_eq!(guest.read_all(&mut stream), b"hello");
    assert_eq!(guest.ending(&mut end).as_deref(), Some("HTTP-response-incomplete"));
}

#[test]
fn where_nobody_listens_there_is_no_response() {
    let mut guest = guest();
    let address = TcpListener::bind("127.0.0.1:0").expect("the loopback").local_addr().expect("bound").to_string();
    let (request, _sent) = request_to(&mut guest, &address, Some(b"nobody reads this"));
    let answer = outcome(guest.call("client#send", &[request]));
    assert_eq!(answer.map(drop), Err("connection-refused".to_owned()));
}
