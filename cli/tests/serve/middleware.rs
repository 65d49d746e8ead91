//! A server whose guest asks another server: `tests/guests/p3/middleware.c`.

use super::server::{Response, Server};
use std::time::{Duration, Instant};

/// Passes requests on to `behind`.
fn in_front_of(behind: &Server, options: &[&str]) -> Server {
    let address = format!("ADDRESS={}", behind.address);
    let options = [&["--threads", "1", "--env", &address], options].concat();
    Server::of_guest("p3/middleware.wasm", &options)
}

/// The connections of a server, without that which asks.
fn connections(server: &Server) -> u64 {
    server.metric("/metrics", "ampoule_connections") - 1
}

/// Waits until there are so many.
fn wait_for_connections(server: &Server, count: u64) {
    let start = Instant::now();
    while connections(server) != count {
        assert!(start.elapsed() < Duration::from_secs(20), "there are {}, not {count}", connections(server));
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn expect_hello(front: &Server) {
    assert_eq!(front.get("/h"), Response { status: 203, body: b"hello".to_vec(), is_whole: true });
}

#[test]
fn connections_of_guests_are_kept_where_that_is_said() {
    let behind = Server::start(&["--threads", "1", "--metrics", "/metrics"]);
    let alone = in_front_of(&behind, &["--http"]);
    for _ in 0..3 {
        expect_hello(&alone);
    }
    alone.end();
    wait_for_connections(&behind, 0);

    let keeping = in_front_of(&behind, &["--http", "--http-keep", "2"]);
    for _ in 0..3 {
        expect_hello(&keeping);
        // Of an instance that is gone.
        wait_for_connections(&behind, 1);
    }
    keeping.end();
    wait_for_connections(&behind, 0);
    behind.end();
}

#[test]
fn a_guest_that_may_send_nothing_passes_nothing_on() {
    let behind = Server::start(&["--threads", "1", "--metrics", "/metrics"]);
    let front = in_front_of(&behind, &[]);
    assert_eq!(front.get("/h").status, 500);
    assert_eq!(connections(&behind), 0);
    front.end();
    behind.end();
}
