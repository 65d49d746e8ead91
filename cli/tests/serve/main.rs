//! `ampoule serve`, as the program that it is: what it answers, what it writes down, what it bounds, and how it ends. [`idle`] has connections on
//! which nothing happens, [`load`] a thousand at once, [`middleware`] one server behind another.

mod http2;
mod idle;
mod languages;
mod load;
mod middleware;
mod server;

use server::{Response, Server, send};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

fn hello() -> Response {
    Response { status: 200, body: b"hello".to_vec(), is_whole: true }
}

fn failed() -> Response {
    Response { status: 500, body: b"internal server error\n".to_vec(), is_whole: true }
}

#[test]
fn a_guest_that_sets_no_response_is_answered_for_and_the_server_ends_when_told() {
    let server = Server::of(include_str!("silent.wat"), &["--threads", "1"]);
    for _ in 0..3 {
        assert_eq!(server.get("/"), failed());
    }
    server.end();
}

#[test]
fn a_guest_that_fails_hurts_nobody_else_on_its_connection() {
    let server = Server::start(&["--threads", "1", "--max-memory", "4MiB"]);
    let mut stream = server.connect();
    for path in ["/t", "/h", "/m", "/z", "/x", "/s"] {
        let expected = if "hzs".contains(&path[1..]) { hello() } else { failed() };
        assert_eq!(send(&mut stream, path, b""), expected, "{path}");
    }
    // What is sent is sent: all that is left is that the other side can tell that something is missing.
    assert!(!send(&mut stream, "/l", b"").is_whole);
    assert_eq!(server.get("/h"), hello());
    let log = server.end().stderr;
    let stopped = log.iter().filter(|line| line.starts_with("a guest was stopped: wasm trap: wasm `unreachable`"));
    assert_eq!(stopped.count(), 3, "{log:?}");
}

#[test]
fn guests_of_a_snapshot_are_each_as_it_was() {
    let server = Server::of_snapshot(&["--threads", "1"]);
    let prepared = || Response { body: b"jello".to_vec(), ..hello() };
    let mut stream = server.connect();
    for path in ["/h", "/t", "/z", "/s", "/h"] {
        let expected = if path == "/t" { failed() } else { prepared() };
        assert_eq!(send(&mut stream, path, b""), expected, "{path}");
    }
    assert_eq!(send(&mut stream, "/e", b"a body").body, b"a body");
    server.end();
}

#[test]
fn a_body_that_is_left_is_whole_and_one_that_is_dropped_is_not() {
    let server = Server::start(&["--threads", "1"]);
    for _ in 0..3 {
        assert_eq!(server.get("/n"), Response { status: 200, body: b"hel".to_vec(), is_whole: true });
        assert!(!server.get("/o").is_whole);
    }
    server.end();
}

#[test]
fn bodies_stream_both_ways() {
    let server = Server::start(&[]);
    let body: Vec<u8> = (0..3_000_000_u32).map(|index| (index >> 3) as u8).collect();
    let mut stream = server.connect();
    let mut sender = stream.try_clone().expect("a descriptor");
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| {
            write!(sender, "POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()).expect("written");
            sender.write_all(&body).expect("written");
        });
        Response::read(&mut stream)
    });
    assert!(answer.status == 200 && answer.is_whole && answer.body == body);
    server.end();
}

#[test]
fn a_component_of_0_3_is_served() {
    let server =
        Server::of(include_str!("../../../wasi/tests/p3/http/service.wat"), &["--threads", "1", "--timeout", "1s"]);
    let mut stream = server.connect();
    let body: Vec<u8> = (0..1_000_000_u32).map(|index| (index >> 3) as u8).collect();
    let mut sender = stream.try_clone().expect("a descriptor");
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| {
            write!(sender, "POST /back HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len())
                .expect("written");
            sender.write_all(&body).expect("written");
        });
        Response::read(&mut stream)
    });
    assert!(answer.status == 200 && answer.is_whole && answer.body == body);
    let written = b"written by the guest".repeat(3);
    assert_eq!(send(&mut stream, "/write", b""), Response { status: 200, body: written, is_whole: true });
    assert_eq!(send(&mut stream, "/head", b"").body, b"");
    for path in ["/error", "/x", "/spin"] {
        assert_eq!(server.get(path), failed(), "{path}");
    }
    // It may not send requests; and what it writes when it traps is not the whole of it.
    assert_eq!(server.get("/ask"), failed());
    assert!(!server.get("/trap").is_whole);
    assert!(!server.get("/forever").is_whole);
    let log = server.end().stderr;
    let ended = |why: &str| log.iter().filter(|line| line.starts_with(&format!("a guest was stopped: {why}"))).count();
    assert_eq!((ended("its time is over"), ended("wasm trap: wasm `unreachable`")), (2, 1), "{log:?}");
}

#[test]
fn a_guest_has_so_much_time_whatever_it_does() {
    let server = Server::start(&["--threads", "1", "--timeout", "300ms"]);
    for path in ["/f", "/c"] {
        let start = Instant::now();
        assert_eq!(server.get(path), failed(), "{path}");
        let elapsed = start.elapsed();
        assert!((300..1500).contains(&elapsed.as_millis()), "{path}: {elapsed:?}");
    }
    // In the middle of its body.
    let mut stream = server.connect();
    let start = Instant::now();
    let answer = send(&mut stream, "/i", b"");
    assert!(answer.status == 200 && !answer.is_whole && start.elapsed() >= Duration::from_millis(300));
    // While it waits for a body that doesn't come.
    let mut stream = server.connect();
    stream.write_all(b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").expect("written");
    assert!(!Response::read(&mut stream).is_whole);
    let log = server.end().stderr;
    assert_eq!(log.iter().filter(|line| *line == "a guest was stopped: its time is over").count(), 4, "{log:?}");
}

#[test]
fn guests_that_compute_take_turns_with_those_of_their_thread() {
    let server = Server::start(&["--threads", "1", "--timeout", "3s"]);
    let mut computing = server.begin("/c");
    std::thread::sleep(Duration::from_millis(50));
    // Connections that were there, and new ones: each waits for a few turns of those who compute.
    let mut stream = server.connect();
    for _ in 0..5 {
        let start = Instant::now();
        assert_eq!(send(&mut stream, "/h", b""), hello());
        assert_eq!(server.get("/h"), hello());
        assert!(start.elapsed() < Duration::from_millis(600), "{:?}", start.elapsed());
    }
    // One that has waited for something goes on, too.
    assert_eq!(server.get("/d"), hello());
    assert_eq!(Response::read(&mut computing), failed());
    server.end();
}

#[test]
fn no_more_than_so_many_are_answered_at_once_and_the_others_wait() {
    let server = Server::start(&["--threads", "2", "--max-concurrent", "2"]);
    let start = Instant::now();
    let mut streams: Vec<_> = (0..6).map(|_| server.begin("/z")).collect();
    for stream in &mut streams {
        assert_eq!(Response::read(stream), hello());
    }
    // Each sleeps for 50 ms.
    assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
    // Whoever hangs up leaves its place to others, before its turn and in it.
    drop((0..20).map(|_| server.begin("/f")).collect::<Vec<_>>());
    let got = server.get("/h");
    let log = server.end().stderr;
    assert_eq!(got, hello(), "{log:?}");
}

#[test]
fn a_client_that_hangs_up_ends_its_guest() {
    let server = Server::start(&["--threads", "1", "--max-concurrent", "1", "--metrics", "/metrics"]);
    for path in ["/f", "/i", "/c"] {
        let mut stream = server.begin(path);
        if path == "/i" {
            stream.read_exact(&mut [0; 1000]).expect("its beginning");
        }
        drop(stream);
        assert_eq!(server.get("/h"), hello(), "after {path}");
    }
    server.is_idle();
    server.end();
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let server = Server::start(&["--threads", "1", "--timeout", "300ms", "--metrics", "/metrics"]);
    let _streams: Vec<_> = (0..5).map(|_| server.begin("/i")).collect();
    std::thread::sleep(Duration::from_millis(100));
    server.is_idle();
    server.end();
}

#[test]
fn each_request_is_a_line_of_the_access_log() {
    let server = Server::start(&["--access-log", "--threads", "1", "--metrics", "/metrics"]);
    let mut stream = server.connect();
    for path in ["/h?a=b", "/t", "/metrics", "/l"] {
        send(&mut stream, path, b"");
    }
    let mut stream = server.connect();
    assert_eq!(send(&mut stream, "/e", b"abc").body, b"abc");
    let log = server.end().stdout;
    let expected = ["GET /h?a=b 200 5 ", "GET /t 500 22 ", "GET /metrics 200 ", "GET /l 200 ", "POST /e 200 3 "];
    assert_eq!(log.len(), expected.len(), "{log:?}");
    for (line, expected) in log.iter().zip(expected) {
        assert!(line.starts_with(expected) && line.ends_with("ms"), "{line}");
        assert_eq!(line.contains("(cut off)"), expected.contains("/l"), "{line}");
    }
}

#[test]
fn metrics_count_what_has_happened_and_show_what_happens() {
    let server = Server::start(&["--metrics", "/count", "--threads", "1"]);
    let answers = ["/h", "/h", "/t", "/x", "/z"].map(|path| server.get(path).status);
    assert_eq!(answers, [200, 200, 500, 500, 200]);
    let waiting = [server.begin("/f"), server.begin("/f")];
    std::thread::sleep(Duration::from_millis(100));
    // Its own connection is one, too.
    for (name, value) in [
        ("ampoule_response_bytes_total", 3 * 5 + 2 * 22),
        ("ampoule_connections", 3),
        ("ampoule_requests_running", 2),
        ("ampoule_guests_failed_total", 1),
        ("ampoule_responses_total{class=\"2xx\"}", 3),
        ("ampoule_responses_total{class=\"5xx\"}", 2),
    ] {
        // They count their own responses.
        let own = if name.contains("2xx") { 4 } else { 0 };
        assert_eq!(server.metric("/count", name), value + own, "{name}");
    }
    // Nobody else gets them.
    assert_eq!(server.get("/metrics"), failed());
    drop(waiting);
    server.end();
}

#[test]
fn whoever_is_answered_when_the_server_ends_is_answered_to_the_end() {
    let server = Server::start(&["--threads", "2"]);
    let mut slow = ["/s", "/z", "/s"].map(|path| server.begin(path));
    let mut idle = server.connect();
    assert_eq!(send(&mut idle, "/h", b""), hello());
    std::thread::sleep(Duration::from_millis(20));
    let start = Instant::now();
    server.terminate();
    // Connections on which nothing happens are closed, and there are no new ones.
    assert_eq!(idle.read(&mut [0; 16]).expect("the end"), 0);
    while server.try_connect().is_ok() {
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    for stream in &mut slow {
        assert_eq!(Response::read(stream), hello());
        assert_eq!(stream.read(&mut [0; 16]).expect("the end"), 0);
    }
    server.end();
    assert!(start.elapsed() < Duration::from_secs(5));
}
