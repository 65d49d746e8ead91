//! Clients of HTTP/2, by their frames: those that take nothing of a response are cut off, those that do are served.

use crate::hello;
use crate::server::Server;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// The flags of `HEADERS`, and of the last frame of a body.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a short one").to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request, as stream so-and-so.
fn request(stream: u32, path: &str) -> Vec<u8> {
    // `:method GET` and `:scheme http` are in HPACK's table; `:path` and `:authority` follow as they are.
    let mut head = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).expect("a short one")];
    head.extend(path.as_bytes());
    head.extend([0x01, 1, b'a']);
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &head)
}

/// A connection with a request, of whose response the client allows so many bytes.
fn begin(server: &Server, path: &str, window: u32) -> TcpStream {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // `SETTINGS_INITIAL_WINDOW_SIZE`, of each stream; and the connection's, which is 65,535 at first.
    bytes.extend(frame(SETTINGS, 0, 0, &[&[0, 4], &window.to_be_bytes()[..]].concat()));
    if window > 65_535 {
        bytes.extend(frame(WINDOW_UPDATE, 0, 0, &(window - 65_535).to_be_bytes()));
    }
    bytes.extend(request(1, path));
    let mut stream = server.connect();
    stream.write_all(&bytes).expect("written");
    stream
}

/// The next frame: its kind, its flags and what it holds.
fn next(stream: &mut TcpStream) -> std::io::Result<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload)?;
    Ok((head[3], head[4], payload))
}

/// The body of the response that comes next.
fn body(stream: &mut TcpStream) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let (kind, flags, payload) = next(stream).expect("a frame");
        if kind == DATA {
            body.extend(payload);
        }
        if (kind == DATA || kind == HEADERS) && flags & END_STREAM != 0 {
            return body;
        }
    }
}

#[test]
fn a_connection_is_known_by_its_beginning_and_may_be_idle() {
    let server = Server::start(&["--threads", "1"]);
    let mut stream = server.connect();
    // In pieces, behind each of which it could still be HTTP/1.
    for piece in ["PRI * HTTP", "/2.0\r\n\r\n", "SM\r\n\r\n"] {
        stream.write_all(piece.as_bytes()).expect("written");
        std::thread::sleep(Duration::from_millis(30));
    }
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).expect("written");
    for number in [1, 3, 5] {
        stream.write_all(&request(number, "/h")).expect("written");
        assert_eq!(body(&mut stream), b"hello");
        std::thread::sleep(Duration::from_millis(30));
    }
    server.terminate();
    while next(&mut stream).expect("a frame").0 != GOAWAY {}
    drop(stream);
    server.end();
}

#[test]
fn a_client_that_takes_what_it_gets_is_served() {
    let server = Server::start(&["--threads", "1"]);
    let mut stream = begin(&server, "/h", 65_535);
    assert_eq!(body(&mut stream), b"hello");
    // Otherwise the server waits for it to say that it knows of the end.
    drop(stream);
    server.end();
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let server = Server::start(&["--threads", "1", "--timeout", "1s", "--metrics", "/metrics"]);
    // The guest is compiled then: its time suffices for more than what the buffers on the way take.
    assert_eq!(server.get("/h"), hello());
    // Some allow nothing, some a little, and some everything, and read nothing.
    let mut streams = [0, 0, 65_535, 65_535, 1 << 30, 1 << 30].map(|window| begin(&server, "/i", window));
    for stream in &mut streams {
        while next(stream).expect("the head of a response").0 != HEADERS {}
    }
    server.is_idle();
    streams.iter_mut().for_each(is_cut_off);
    server.end();
}

/// Reads what was on the way; the connection's end is behind it, and not that of the response.
fn is_cut_off(stream: &mut TcpStream) {
    let start = Instant::now();
    let error = loop {
        match next(stream) {
            Ok((kind, flags, _)) => assert!(kind != DATA || flags & END_STREAM == 0, "it looks whole"),
            Err(error) => break error,
        }
    };
    let is_over = matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset);
    assert!(is_over && start.elapsed() < Duration::from_secs(10), "{error}");
}
