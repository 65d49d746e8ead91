//! A thousand connections at once, whose guests trap, sleep, take memory, answer slowly or not at all, and whose clients hang up wherever they are.

use crate::server::{Server, ask, send};
use crate::{failed, hello};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const CONNECTIONS: u64 = 1000;

/// Rounds, of which the first makes the server as large as it gets. In the last, there are guests that use up their time.
const ROUNDS: u64 = 3;

/// What guests have of it: more than any needs that answers, also where the machine has other things to do.
const TIMEOUT: &str = "10s";

/// Requests of a connection in a round.
const REQUESTS: u64 = 4;

/// What the server may grow by after the first round.
const GROWTH: u64 = 21 << 20;

#[derive(Default)]
struct Counts {
    answered: AtomicU64,
    failed: AtomicU64,
    cut: AtomicU64,
    given_up: AtomicU64,
}

#[test]
fn a_thousand_connections_lose_nothing_and_leave_nothing() {
    raise_descriptor_limit();
    let server = Server::start(&[
        "--threads",
        "2",
        "--max-concurrent",
        "200",
        "--max-memory",
        "4MiB",
        "--timeout",
        TIMEOUT,
        "--metrics",
        "/metrics",
    ]);
    let counts = Counts::default();
    let mut resident = Vec::new();
    for round in 0..ROUNDS {
        let all_are_there = Barrier::new(CONNECTIONS as usize);
        std::thread::scope(|scope| {
            for index in 0..CONNECTIONS {
                let (server, counts, barrier) = (&server, &counts, &all_are_there);
                let client = move || {
                    let mut stream = server.connect();
                    barrier.wait();
                    for request in 0..REQUESTS {
                        if !once(&mut stream, random(round, index, request), round + 1 == ROUNDS, counts) {
                            stream = server.connect();
                        }
                    }
                };
                std::thread::Builder::new().stack_size(128 << 10).spawn_scoped(scope, client).expect("a thread");
            }
        });
        server.is_idle();
        resident.push(server.resident());
        assert_eq!(server.get("/h"), hello(), "it serves on");
    }
    let [answered, failed, cut, given_up] =
        [&counts.answered, &counts.failed, &counts.cut, &counts.given_up].map(|count| count.load(Relaxed));
    assert_eq!(answered + failed + cut + given_up, CONNECTIONS * ROUNDS * REQUESTS);
    assert!(
        [answered, failed, cut, given_up].into_iter().all(|count| count > 100),
        "each kind: {counts:?}",
        counts = [answered, failed, cut, given_up]
    );
    // Who was given up may have been answered nevertheless, but nobody has failed unseen.
    assert_eq!(server.metric("/metrics", "ampoule_responses_total{class=\"5xx\"}"), failed);
    assert!(server.metric("/metrics", "ampoule_responses_total{class=\"2xx\"}") >= answered + cut);
    eprintln!("resident after each round: {resident:?}");
    let (first, last) = (resident[0], resident[resident.len() - 1]);
    assert!(last < first + GROWTH, "memory: {resident:?}");
    server.end();
}

/// Does one thing, and checks what comes of it. Whether the connection is good for another one.
fn once(stream: &mut TcpStream, random: u64, is_last: bool, counts: &Counts) -> bool {
    let (path, expected) = match random % 100 {
        0..=39 => ("/h", hello()),
        40..=49 => ("/z", hello()),
        50..=54 => ("/s", hello()),
        55..=64 => ("/t", failed()),
        65..=69 => ("/x", failed()),
        70..=74 => ("/m", failed()),
        75..=76 if is_last => ("/f", failed()),
        75..=76 => ("/h", hello()),
        77..=79 => {
            let body = vec![random as u8; 20_000];
            let echoed = send(stream, "/e", &body);
            assert!(echoed.status == 200 && echoed.is_whole && echoed.body == body, "{}", echoed.status);
            counts.answered.fetch_add(1, Relaxed);
            return true;
        }
        80 => {
            let large = send(stream, "/b", b"");
            assert!(large.status == 200 && large.is_whole && large.body.len() == 1 << 20, "{}", large.body.len());
            counts.answered.fetch_add(1, Relaxed);
            return true;
        }
        // Computes until its time is over, and keeps one of the two threads busy: no more than a few.
        81 if is_last && (random / 100).is_multiple_of(20) => ("/c", failed()),
        81..=87 => {
            let cut = send(stream, "/l", b"");
            assert!(!cut.is_whole && b"hel".starts_with(&cut.body), "{cut:?}");
            counts.cut.fetch_add(1, Relaxed);
            return false;
        }
        which => {
            hang_up(stream, which);
            counts.given_up.fetch_add(1, Relaxed);
            return false;
        }
    };
    let answer = send(stream, path, b"");
    assert_eq!(answer, expected, "{path}");
    if expected.status == 200 { &counts.answered } else { &counts.failed }.fetch_add(1, Relaxed);
    true
}

/// Leaves in the middle of something.
fn hang_up(stream: &mut TcpStream, which: u64) {
    match which {
        // Of the head, of the body, of the wait for the response.
        88..=89 => stream.write_all(b"GET /h HTTP/1.1\r\nHos").expect("written"),
        90..=91 => {
            stream.write_all(b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhello").expect("written");
        }
        92..=93 => ask(stream, "/h", b"").expect("written"),
        94 => ask(stream, "/f", b"").expect("written"),
        95 => {
            ask(stream, "/s", b"").expect("written");
            stream.set_read_timeout(Some(Duration::from_millis(5))).expect("a time");
            let _ = stream.read(&mut [0; 4]);
        }
        // Of the response.
        _ => {
            ask(stream, "/b", b"").expect("written");
            stream.read_exact(&mut [0; 10_000]).expect("its beginning");
        }
    }
    // What hasn't been read makes of a close a reset: both are seen.
    if which.is_multiple_of(2) {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
}

/// The same numbers in each run: a step of splitmix64.
fn random(round: u64, index: u64, request: u64) -> u64 {
    let mut z = (round << 40 | index << 8 | request).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Each connection is a descriptor here, too.
fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a limit that is there.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
    }
}
