//! `ampoule serve`, as the program that it is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// Answers nothing: it never sets a response.
const SILENT: &str = r#"(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $outparam))
  (core module $m (func (export "handle") (param i32 i32)))
  (core instance $i (instantiate $m))
  (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
    (canon lift (core func $i "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#;

#[test]
fn a_guest_that_sets_no_response_is_answered_for_and_the_server_ends_when_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("silent.wat");
    std::fs::write(&file, SILENT).expect("written");
    let mut server = Command::new(env!("CARGO_BIN_EXE_ampoule"))
        .args(["serve", "--addr", "127.0.0.1:0", "--threads", "1"])
        .arg(&file)
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(server.stderr.take().expect("piped")).lines();
    let first = lines.next().expect("a line").expect("text");
    let address = first.split_once("http://").expect("an address").1.trim().to_owned();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(&address).expect("it listens");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    }
    let id = i32::try_from(server.id()).expect("a number");
    // SAFETY: a signal to a process that this test has started and not waited for.
    assert_eq!(unsafe { libc::kill(id, libc::SIGTERM) }, 0);
    assert!(server.wait().expect("it ends").success());
}
