//! Connections that are kept for further requests.

use super::requests::{
    awaited, body_of, error_of, read_all, request_to, response_to, send, status, text_of, trailers_of, trusting_config,
};
use super::servers::{answering_all, answering_all_by_http2, answering_one_and_ending_at_the_next};
use crate::support::Guest;
use ampoule_component::Val;
use ampoule_wasi::WasiConfig;
use ampoule_wasi::host::http::{HttpConfig, HttpPool};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

/// A guest whose connections go to this pool, with these rules of where it may connect to.
fn guest_of(pool: Option<&Arc<HttpPool>>, rules: &[&str]) -> Guest {
    let mut http = HttpConfig::new();
    http.allow_outgoing(true);
    if let Some(pool) = pool {
        http.pool(pool.clone());
    }
    let mut config = WasiConfig::new();
    rules.iter().for_each(|rule| config.allow_net(rule).expect("a rule"));
    Guest::with_http_and(&http, config)
}

fn text_from(guest: &mut Guest, address: &str) -> String {
    let request = request_to(guest, "HTTP", address, &[]);
    let response = response_to(guest, request);
    assert_eq!(status(guest, &response), 200);
    let (text, error) = text_of(guest, &response);
    assert_eq!(error, None);
    text
}

/// Waits until so many are kept: what a connection has done becomes known on another thread.
fn wait_for(pool: &HttpPool, count: usize) {
    let start = Instant::now();
    while pool.idle() != count {
        assert!(start.elapsed() < Duration::from_secs(20), "{} are kept, not {count}", pool.idle());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn requests_of_all_stores_of_a_pool_share_connections_and_others_do_not() {
    let server = answering_all(usize::MAX);
    let pool = HttpPool::new(2, LONG);
    let mut first = guest_of(Some(&pool), &[]);
    for _ in 0..3 {
        assert_eq!(text_from(&mut first, &server.address), "hello");
        wait_for(&pool, 1);
    }
    assert_eq!(server.connections(), 1);
    drop(first);
    let mut second = guest_of(Some(&pool), &[]);
    assert_eq!(text_from(&mut second, &server.address), "hello");
    wait_for(&pool, 1);
    assert_eq!(server.connections(), 1, "of another store");
    // A name and its address are two servers, until they have been asked.
    assert_eq!(text_from(&mut second, &server.address.replace("127.0.0.1", "localhost")), "hello");
    wait_for(&pool, 2);
    assert_eq!(server.connections(), 2);
    let mut alone = guest_of(None, &[]);
    for _ in 0..2 {
        text_from(&mut alone, &server.address);
    }
    assert_eq!(server.connections(), 4, "each has its own");
    assert_eq!(pool.idle(), 2);
}

#[test]
fn a_connection_that_the_server_has_closed_is_replaced() {
    // Each connection answers two requests.
    let server = answering_all(2);
    let pool = HttpPool::new(4, LONG);
    let mut guest = guest_of(Some(&pool), &[]);
    for _ in 0..8 {
        assert_eq!(text_from(&mut guest, &server.address), "hello");
    }
    let connections = server.connections();
    assert!((4..8).contains(&connections), "{connections}");
}

/// The server may have closed a connection when the request was on its way; whether it has done what was asked for is not known.
#[test]
fn what_may_be_asked_twice_is_asked_again_where_a_kept_connection_ends() {
    let server = answering_one_and_ending_at_the_next();
    let pool = HttpPool::new(4, LONG);
    let mut guest = guest_of(Some(&pool), &[]);
    for connections in 1..4 {
        assert_eq!(text_from(&mut guest, &server.address), "hello");
        assert_eq!(server.connections(), connections);
        wait_for(&pool, 1);
    }
    let request = request_to(&mut guest, "HTTP", &server.address, &[]);
    guest.ok("http/types#outgoing-request.set-method", &[request.clone(), Val::variant("post", None)]);
    assert_eq!(error_of(&mut guest, request), "connection-terminated");
    assert_eq!(server.connections(), 3, "it is not sent twice");
}

#[test]
fn a_response_that_was_not_read_ends_its_connection() {
    let server = answering_all(usize::MAX);
    let pool = HttpPool::new(4, LONG);
    let mut guest = guest_of(Some(&pool), &[]);
    let request = request_to(&mut guest, "HTTP", &server.address, &[]);
    let response = response_to(&mut guest, request);
    let (stream, body) = body_of(&mut guest, &response);
    for resource in [stream, body, response] {
        guest.drop(resource).expect("nothing depends on it");
    }
    assert_eq!(text_from(&mut guest, &server.address), "hello");
    wait_for(&pool, 1);
    assert_eq!(server.connections(), 2);
}

#[test]
fn so_many_are_kept_and_only_for_so_long() {
    let (one, other) = (answering_all(usize::MAX), answering_all(usize::MAX));
    let pool = HttpPool::new(1, Duration::from_millis(50));
    let mut guest = guest_of(Some(&pool), &[]);
    for _ in 0..2 {
        text_from(&mut guest, &one.address);
        text_from(&mut guest, &other.address);
        assert!(pool.idle() <= 1);
    }
    wait_for(&pool, 0);
    // The other side sees it closed.
    let start = Instant::now();
    while one.open() + other.open() > 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "connections stay open");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(text_from(&mut guest, &one.address), "hello");

    let none = HttpPool::new(0, LONG);
    let mut guest = guest_of(Some(&none), &[]);
    text_from(&mut guest, &one.address);
    text_from(&mut guest, &one.address);
    assert_eq!(none.idle(), 0);
}

#[test]
fn a_kept_connection_is_for_those_who_could_have_made_it() {
    let server = answering_all(usize::MAX);
    let pool = HttpPool::new(4, LONG);
    let name = server.address.replace("127.0.0.1", "localhost");
    text_from(&mut guest_of(Some(&pool), &[]), &name);
    wait_for(&pool, 1);
    // The rule names the host, but with another port.
    let mut other = guest_of(Some(&pool), &["localhost:1"]);
    let request = request_to(&mut other, "HTTP", &name, &[]);
    let future = send(&mut other, request);
    let error = awaited(&mut other, &future).expect_err("prohibited");
    assert_eq!(super::case_of(&error), "destination-IP-prohibited");
    let mut listed = guest_of(Some(&pool), &[&name]);
    assert_eq!(text_from(&mut listed, &name), "hello");
    assert_eq!(server.connections(), 1);
}

#[test]
fn connections_by_http2_are_kept_for_those_with_the_same_trust() {
    let server = answering_all_by_http2();
    let pool = HttpPool::new(4, LONG);
    let mut config = trusting_config();
    config.pool(pool.clone());
    let mut trusting = Guest::with_http(&config);
    for _ in 0..3 {
        let request = request_to(&mut trusting, "HTTPS", &server.address, &[]);
        let response = response_to(&mut trusting, request);
        let (stream, body) = body_of(&mut trusting, &response);
        let (bytes, error) = read_all(&mut trusting, &stream);
        assert_eq!((bytes, error), (b"hello".to_vec(), None));
        trusting.drop(stream).expect("nothing depends on it");
        assert_eq!(trailers_of(&mut trusting, body).expect("no error").len(), 1);
        wait_for(&pool, 1);
    }
    assert_eq!(server.connections(), 1);
    let mut other = guest_of(Some(&pool), &[]);
    let request = request_to(&mut other, "HTTPS", &server.address, &[]);
    assert_eq!(error_of(&mut other, request), "TLS-certificate-error");
}
