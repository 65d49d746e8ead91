//! Connections between two requests: nothing is kept of them but the socket, and nobody notices.

use crate::server::{Response, Server, ask, send};
use crate::{failed, hello};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What an idle connection may take. The buffers of HTTP alone would be three times as much.
const IDLE_BYTES: u64 = 8 << 10;

fn pause() {
    std::thread::sleep(Duration::from_millis(30));
}

/// Waits for the end of a connection, in whatever way it comes.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 16]) {
        Ok(len) => len == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn an_idle_connection_is_served_again() {
    let server = Server::start(&["--threads", "1"]);
    let mut stream = server.connect();
    for path in ["/h", "/t", "/s", "/h", "/z"] {
        pause();
        let expected = if path == "/t" { failed() } else { hello() };
        assert_eq!(send(&mut stream, path, b""), expected, "{path}");
    }
    assert_eq!(send(&mut stream, "/e", b"abc").body, b"abc");
    pause();
    assert_eq!(send(&mut stream, "/b", b"").body.len(), 1 << 20);
    pause();
    assert_eq!(send(&mut stream, "/h", b""), hello());
    server.end();
}

#[test]
fn requests_come_in_whatever_pieces() {
    let server = Server::start(&["--threads", "1"]);
    let request = b"GET /h HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut stream = server.connect();
    // Of a request that comes in two pieces, the first alone, and behind a whole one.
    for cut in [1, 3, 10, request.len() - 1] {
        stream.write_all(&request[..cut]).expect("written");
        pause();
        stream.write_all(&request[cut..]).expect("written");
        assert_eq!(Response::read(&mut stream), hello(), "{cut}");
        stream.write_all(&[request, &request[..cut]].concat()).expect("written");
        assert_eq!(Response::read(&mut stream), hello(), "{cut}");
        pause();
        stream.write_all(&request[cut..]).expect("written");
        assert_eq!(Response::read(&mut stream), hello(), "{cut}");
    }
    // Many at once, the last of which isn't whole; and what comes meanwhile.
    let mut many = request.repeat(40);
    many.truncate(many.len() - 5);
    stream.write_all(&many).expect("written");
    (0..39).for_each(|number| assert_eq!(Response::read(&mut stream), hello(), "{number}"));
    pause();
    stream.write_all(&request[request.len() - 5..]).expect("written");
    assert_eq!(Response::read(&mut stream), hello());
    // Each byte by itself, like the beginning of HTTP/2 as far as it goes.
    let mut stream = server.connect();
    for byte in b"PRI / HTTP/1.1\r\nHost: a\r\n\r\n" {
        stream.write_all(&[*byte]).expect("written");
    }
    assert_eq!(Response::read(&mut stream), failed());
    assert_eq!(send(&mut stream, "/h", b""), hello());
    server.end();
}

/// A body that nobody has read is no request.
#[test]
fn what_is_left_of_a_body_is_never_taken_for_a_request() {
    let server = Server::start(&["--threads", "1", "--metrics", "/metrics"]);
    let body = b"GET /t HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3);
    for cut in [0, 1, body.len() / 3, body.len() - 1] {
        let mut stream = server.connect();
        write!(stream, "POST /h HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()).expect("written");
        stream.write_all(&body[..cut]).expect("written");
        assert_eq!(Response::read(&mut stream), hello());
        pause();
        // It may be closed already.
        let _ = stream.write_all(&body[cut..]);
        let _ = ask(&mut stream, "/h", b"");
        pause();
        let next = Response::read(&mut stream);
        assert!(next == hello() || next.status == 0, "{cut}: {next:?}");
    }
    assert_eq!(server.metric("/metrics", "ampoule_responses_total{class=\"5xx\"}"), 0);
    server.end();
}

#[test]
fn a_client_that_leaves_while_its_connection_is_idle_leaves_nothing() {
    let server = Server::start(&["--threads", "1", "--metrics", "/metrics"]);
    let mut streams: Vec<_> = (0..30).map(|_| server.connect()).collect();
    // Some have never asked for anything.
    streams.iter_mut().take(20).for_each(|stream| assert_eq!(send(stream, "/h", b""), hello()));
    assert_eq!(server.metric("/metrics", "ampoule_connections"), 31);
    drop(streams);
    server.is_idle();
    server.end();
}

#[test]
fn idle_connections_are_closed_at_once_when_the_server_is_to_end() {
    let server = Server::start(&["--threads", "1"]);
    let [mut new, mut begun, mut idle] = [(); 3].map(|()| server.connect());
    begun.write_all(b"PRI * HTTP/2").expect("written");
    assert_eq!(send(&mut idle, "/h", b""), hello());
    let start = std::time::Instant::now();
    server.terminate();
    for stream in [&mut new, &mut begun, &mut idle] {
        assert!(is_closed(stream));
    }
    server.end();
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_idle_connection_takes_little_memory() {
    const CONNECTIONS: u64 = 500;
    let server = Server::start(&["--threads", "1"]);
    let mut first = server.connect();
    (0..10).for_each(|_| assert_eq!(send(&mut first, "/h", b""), hello()));
    let before = server.resident();
    let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    streams.iter_mut().for_each(|stream| assert_eq!(send(stream, "/h", b""), hello()));
    let each = server.resident().saturating_sub(before) / CONNECTIONS;
    assert!(each < IDLE_BYTES, "{each}");
    streams.iter_mut().for_each(|stream| assert_eq!(send(stream, "/h", b""), hello()));
    drop(streams);
    server.end();
}
