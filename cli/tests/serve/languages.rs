//! HTTP answered by scripts, each with a whole CPython or SpiderMonkey: `tests/guests` has them, and says what they answer.

use super::server::{Response, Server, send};
use std::io::{Read, Write};

/// What `cargo xtask guests` makes of the scripts.
fn server(guest: &str) -> Server {
    Server::of_guest(guest, &["--threads", "2", "--metrics", "/metrics"])
}

/// All that comes for one request, as text.
fn exchange(server: &Server, request: &str) -> String {
    let mut stream = server.connect();
    stream.write_all(request.replace('\n', "\r\n").as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}

/// What all of them answer. The language calls itself so.
fn answers(server: &Server, language: &str) {
    let asked = "GET /hello?a=b%20c&d=%C3%A9 HTTP/1.1\nHost: h\nUser-Agent: a test\nConnection: close\n\n";
    let answer = exchange(server, asked);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for header in ["content-type: application/json", &format!("x-guest: {language}")] {
        assert!(head.lines().any(|line| line.eq_ignore_ascii_case(header)), "{header}: {head}");
    }
    let start = body.find('{').expect("JSON");
    let value: serde_json::Value =
        serde_json::from_str(&body[start..=body.rfind('}').expect("its end")]).expect("JSON");
    let expected = serde_json::json!({
        "hello": language, "method": "GET", "query": { "a": "b c", "d": "é" }, "agent": "a test"
    });
    assert_eq!(value, expected);
    let missing = Response { status: 404, body: b"no /elsewhere\n".to_vec(), is_whole: true };
    assert_eq!(server.get("/elsewhere"), missing);
}

/// Bodies of a few megabytes, which are read, or streamed back.
fn takes_bodies(server: &Server) {
    let body: Vec<u8> = (0..3_000_000_u32).map(|index| (index.wrapping_mul(index) >> 7) as u8).collect();
    let mut stream = server.connect();
    let mut sender = stream.try_clone().expect("a descriptor");
    let echo = std::thread::scope(|scope| {
        scope.spawn(|| {
            write!(sender, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len())
                .expect("written");
            sender.write_all(&body).expect("written");
        });
        Response::read(&mut stream)
    });
    assert!(echo.status == 200 && echo.is_whole, "{} {}", echo.status, echo.body.len());
    assert!(echo.body == body, "another body came back");
    // On the same connection.
    let digest = send(&mut stream, "/digest", &body);
    let value: serde_json::Value = serde_json::from_slice(&digest.body).expect("JSON");
    // Of what python3 makes of the same formula.
    let sha256 = "3ba44d8827fbb79f4f9f24f21c576fb1bac329384ceef6503e3dd79e9259ccb4";
    assert_eq!(value, serde_json::json!({ "sha256": sha256, "length": body.len() }));
}

/// Each is answered by an instance of its own, several of which run at once; and one that fails hurts nobody.
fn answers_many_at_once(server: &Server) {
    let mut streams: Vec<_> = (0..12).map(|_| [server.begin("/elsewhere"), server.begin("/fail")]).collect();
    for [good, bad] in &mut streams {
        assert_eq!(Response::read(bad).status, 500);
        assert_eq!(Response::read(good).status, 404);
    }
    assert_eq!(server.get("/elsewhere").status, 404);
}

/// All of it, by one guest. So many of its failures stop the guest; for others its engine answers.
fn serves(guest: &str, language: &str, stopped: u64) {
    let server = server(guest);
    answers(&server, language);
    takes_bodies(&server);
    answers_many_at_once(&server);
    assert_eq!(server.metric("/metrics", "ampoule_guests_failed_total"), stopped);
    server.end();
}

#[test]
fn python_answers_by_wasi_http_0_2() {
    serves("python_proxy.wasm", "python", 12);
}

#[test]
fn python_answers_by_wasi_http_0_3() {
    serves("python_service.wasm", "python", 12);
}

#[test]
fn javascript_answers_by_wasi_http_0_2() {
    serves("js_proxy.wasm", "javascript", 0);
}
