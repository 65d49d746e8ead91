//! Requests of a guest, to servers on the loopback.

use super::requests::{
    awaited, body_of, error_of, read_all, request_to, response_to, send, send_within, status, text_of, trailers_of,
    trusting,
};
use super::servers::{answering, answering_by_http2, answering_privately, read_head, serve, serve_with_buffer};
use super::{case_of, entries, fields_of, guest, some};
use crate::support::{Guest, bytes_of, list_of};
use ampoule_component::{Val, ValRef};
use ampoule_wasi::WasiConfig;
use ampoule_wasi::host::http::HttpConfig;
use hyper::Version;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

#[test]
fn a_request_is_sent_as_it_was_made_and_its_response_read() {
    let mut guest = guest();
    let (address, server) =
        answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nX-A: b\r\nConnection: close\r\n\r\nhello");
    let request = request_to(&mut guest, "HTTP", &address, &[("X-Of-Guest", b"1")]);
    let future = send(&mut guest, request);
    let response = awaited(&mut guest, &future).expect("a response");
    let again = some(&guest.call("http/types#future-incoming-response.get", &[future])).expect("it was there");
    assert!(matches!(again.get(), ValRef::Err(None)), "it is given once");
    assert_eq!(status(&mut guest, &response), 404);
    let headers = guest.call("http/types#incoming-response.headers", &[response.clone()]);
    let pair = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    assert_eq!(entries(&mut guest, &headers), [pair("content-length", "5"), pair("x-a", "b")]);
    assert_eq!(guest.err("http/types#fields.delete", &[headers, Val::from("x-a")]), "immutable");
    assert_eq!(text_of(&mut guest, &response), ("hello".to_owned(), None));
    assert!(guest.result("http/types#incoming-response.consume", &[response]).is_err(), "it is given once");
    let head = server.join().expect("served");
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("x-of-guest: 1\r\n") && head.contains(&format!("host: {address}\r\n")), "{head}");
    assert!(!head.contains("transfer-encoding") && !head.contains("content-length"), "there is no body: {head}");
}

#[test]
fn requests_go_where_the_network_is_open_and_nowhere_else() {
    let guest_with = |rules: &[&str]| {
        let mut config = WasiConfig::new();
        rules.iter().for_each(|rule| config.allow_net(rule).expect("a rule"));
        let mut http = HttpConfig::new();
        http.allow_outgoing(true);
        Guest::with_http_and(&http, config)
    };
    let denied = |guest: &mut Guest, authority: &str| {
        let request = request_to(guest, "HTTP", authority, &[]);
        guest.err("outgoing-handler#handle", &[request, Val::option(None)])
    };
    let (address, _server) = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let mut guest = guest_with(&[&address, "*.invalid"]);
    let request = request_to(&mut guest, "HTTP", &address, &[]);
    let response = response_to(&mut guest, request);
    assert_eq!(status(&mut guest, &response), 200);
    // Another port, another address, another name: nobody is asked.
    for authority in ["127.0.0.1:1", "127.0.0.2", "[::1]:80", "localhost:80"] {
        assert_eq!(denied(&mut guest, authority), "HTTP-request-denied", "{authority}");
    }
    // A name that may be looked up, and stands for nothing.
    let request = request_to(&mut guest, "HTTP", "nobody.invalid", &[]);
    assert_eq!(error_of(&mut guest, request), "DNS-error");
    // A name that stands for an address that may not be reached at this port.
    let mut guest = guest_with(&["localhost:1"]);
    let port = address.rsplit(':').next().expect("a port");
    let request = request_to(&mut guest, "HTTP", &format!("localhost:{port}"), &[]);
    assert_eq!(error_of(&mut guest, request), "destination-IP-prohibited");
}

#[test]
fn redirects_are_the_guest_s_to_follow() {
    let mut guest = guest();
    let (address, _server) = answering(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
    let request = request_to(&mut guest, "HTTP", &address, &[]);
    let response = response_to(&mut guest, request);
    assert_eq!(status(&mut guest, &response), 302);
}

#[test]
fn a_guest_that_was_not_allowed_to_sends_nothing() {
    let mut guest = Guest::with_http(&HttpConfig::new());
    let request = request_to(&mut guest, "HTTP", "127.0.0.1:1", &[]);
    assert_eq!(guest.err("outgoing-handler#handle", &[request, Val::option(None)]), "HTTP-request-denied");
}

#[test]
fn requests_to_nowhere_are_errors() {
    let mut guest = guest();
    let free = TcpListener::bind("127.0.0.1:0").expect("the loopback").local_addr().expect("bound").to_string();
    let request = request_to(&mut guest, "HTTP", &free, &[]);
    assert_eq!(error_of(&mut guest, request), "connection-refused");

    let fields = guest.call("http/types#fields", &[]);
    let request = guest.call("http/types#outgoing-request", &[fields]);
    assert_eq!(guest.err("outgoing-handler#handle", &[request, Val::option(None)]), "HTTP-request-URI-invalid");

    let request = request_to(&mut guest, "HTTP", "127.0.0.1:1", &[]);
    let other = Val::option(Some(Val::variant("other", Some(Val::from("ftp")))));
    guest.ok("http/types#outgoing-request.set-scheme", &[request.clone(), other]);
    assert_eq!(guest.err("outgoing-handler#handle", &[request, Val::option(None)]), "HTTP-protocol-error");
}

#[test]
fn a_body_streams_to_the_server_which_makes_the_guest_wait() {
    // More than the buffers on the way take without being read: 4 MiB is the most that Linux keeps of what was sent.
    const LEN: usize = 6 << 20;
    let mut guest = guest();
    let (tell, told) = std::sync::mpsc::channel();
    let (address, server) = serve_with_buffer(4096, move |mut stream| {
        let head = read_head(&mut stream);
        told.recv_timeout(Duration::from_secs(20)).expect("the guest waits");
        let mut body = vec![0; LEN];
        stream.read_exact(&mut body).expect("the whole body");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("written");
        (head, body)
    });
    let length = LEN.to_string();
    let request = request_to(&mut guest, "HTTP", &address, &[("content-length", length.as_bytes())]);
    guest.ok("http/types#outgoing-request.set-method", &[request.clone(), Val::variant("post", None)]);
    let body = guest.ok("http/types#outgoing-request.body", &[request.clone()]);
    let stream = guest.ok("http/types#outgoing-body.write", &[body.clone()]);
    let future = send(&mut guest, request);
    let (mut written, mut waited) = (0, 0);
    let bytes: Vec<u8> = (0..LEN).map(|index| index as u8).collect();
    while written < LEN {
        let ValRef::U64(permitted) = guest.ok("streams#output-stream.check-write", &[stream.clone()]).get() else {
            panic!()
        };
        if permitted == 0 {
            let _ = tell.send(());
            let pollable = guest.call("streams#output-stream.subscribe", &[stream.clone()]);
            guest.call("poll#pollable.block", &[pollable]);
            waited += 1;
            continue;
        }
        let len = (permitted as usize).min(LEN - written);
        guest.ok("streams#output-stream.write", &[stream.clone(), list_of(&bytes[written..written + len])]);
        written += len;
    }
    assert!(waited > 0, "nobody takes so much at once");
    let response = awaited(&mut guest, &future).expect("a response");
    assert_eq!(status(&mut guest, &response), 200);
    let (head, received) = server.join().expect("served");
    assert!(
        head.starts_with("POST /a?b=c HTTP/1.1\r\n") && head.contains(&format!("content-length: {LEN}\r\n")),
        "{head}"
    );
    assert!(received == bytes);
}

#[test]
fn a_body_without_a_length_is_sent_in_chunks_and_ends_with_its_trailers() {
    let mut guest = guest();
    let (address, server) = serve(|mut stream| {
        let head = read_head(&mut stream);
        let mut rest = Vec::new();
        let mut byte = [0];
        while !rest.ends_with(b"0\r\nx-sum: 7\r\n\r\n") && stream.read(&mut byte).expect("more") > 0 {
            rest.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("written");
        (head, String::from_utf8(rest).expect("text"))
    });
    let request = request_to(&mut guest, "HTTP", &address, &[("trailer", b"x-sum")]);
    guest.ok("http/types#outgoing-request.set-method", &[request.clone(), Val::variant("put", None)]);
    let body = guest.ok("http/types#outgoing-request.body", &[request.clone()]);
    let stream = guest.ok("http/types#outgoing-body.write", &[body.clone()]);
    let future = send(&mut guest, request);
    guest.ok("streams#output-stream.blocking-write-and-flush", &[stream.clone(), list_of(b"hello")]);
    guest.drop(stream).expect("nothing depends on it");
    let trailers = fields_of(&mut guest, &[("x-sum", b"7")]);
    guest.result("http/types#outgoing-body.finish", &[body, Val::option(Some(trailers))]).expect("any length");
    let response = awaited(&mut guest, &future).expect("a response");
    assert_eq!(status(&mut guest, &response), 200);
    let (head, rest) = server.join().expect("served");
    assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
    assert_eq!(rest, "5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n");
}

#[test]
fn a_body_that_is_dropped_unfinished_is_cut_off() {
    let mut guest = guest();
    let (address, server) = serve(|mut stream| {
        read_head(&mut stream);
        let mut rest = String::new();
        let _ = stream.read_to_string(&mut rest);
        rest
    });
    let request = request_to(&mut guest, "HTTP", &address, &[]);
    // A GET without a length has no body: it would be gone as soon as there is a connection.
    guest.ok("http/types#outgoing-request.set-method", &[request.clone(), Val::variant("post", None)]);
    let body = guest.ok("http/types#outgoing-request.body", &[request.clone()]);
    let stream = guest.ok("http/types#outgoing-body.write", &[body.clone()]);
    let future = send(&mut guest, request);
    guest.ok("streams#output-stream.blocking-write-and-flush", &[stream.clone(), list_of(b"hello")]);
    guest.drop(stream).expect("nothing depends on it");
    guest.drop(body).expect("nothing depends on it");
    assert!(awaited(&mut guest, &future).is_err());
    assert!(!server.join().expect("served").contains("0\r\n\r\n"), "it must not look whole");
}

#[test]
fn trailers_of_a_response_come_after_its_body() {
    let mut guest = guest();
    let (address, _server) = answering(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 9\r\n\r\n",
    );
    let request = request_to(&mut guest, "HTTP", &address, &[]);
    let response = response_to(&mut guest, request);
    let (stream, body) = body_of(&mut guest, &response);
    assert_eq!(read_all(&mut guest, &stream), (b"abc".to_vec(), None));
    guest.drop(stream).expect("nothing depends on it");
    assert_eq!(trailers_of(&mut guest, body).expect("no error"), [("x-sum".to_owned(), b"9".to_vec())]);
}

#[test]
fn a_response_that_is_cut_off_is_told_from_a_whole_one() {
    let mut guest = guest();
    let (address, _server) = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    let request = request_to(&mut guest, "HTTP", &address, &[]);
    let response = response_to(&mut guest, request);
    assert_eq!(text_of(&mut guest, &response), ("hello".to_owned(), Some("HTTP-response-incomplete".to_owned())));

    let (address, _server) = answering(b"HTTP/1.1 200");
    let request = request_to(&mut guest, "HTTP", &address, &[]);
    assert_eq!(error_of(&mut guest, request), "connection-terminated");

    let (address, _server) = answering(b"what?\r\n\r\n");
    let request = request_to(&mut guest, "HTTP", &address, &[]);
    assert_eq!(error_of(&mut guest, request), "HTTP-protocol-error");
}

#[test]
fn headers_without_end_are_an_error() {
    let endless = |line: &'static [u8]| {
        serve(move |mut stream| {
            read_head(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
            let mut lines = 0;
            while lines < 500_000 && stream.write_all(line).is_ok() {
                lines += 1;
            }
            lines
        })
    };
    let mut guest = guest();
    for line in
        [&b"a: b\r\n"[..], b"x-long: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"]
    {
        let (address, server) = endless(line);
        let request = request_to(&mut guest, "HTTP", &address, &[]);
        assert_eq!(error_of(&mut guest, request), "HTTP-response-header-section-size");
        assert!(server.join().expect("served") < 500_000);
    }
}

#[test]
fn a_body_without_end_is_read_as_far_as_the_guest_asks() {
    let mut guest = guest();
    let (address, server) = serve(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("written");
        stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a time");
        let mut sent = 0;
        while let Ok(count) = stream.write(&[b'x'; 4096]) {
            sent += count;
            assert!(sent < 1 << 30, "nobody makes it wait");
        }
        sent
    });
    let request = request_to(&mut guest, "HTTP", &address, &[]);
    let response = response_to(&mut guest, request);
    let (stream, _body) = body_of(&mut guest, &response);
    let read = guest.ok("streams#input-stream.blocking-read", &[stream.clone(), Val::from(10u64)]);
    assert_eq!(bytes_of(&read), [b'x'; 10]);
    // What the system's buffers take, and little more.
    assert!(server.join().expect("served") < 64 << 20);
}

#[test]
fn each_time_can_be_limited() {
    let mut guest = guest();
    let start = Instant::now();
    // Accepts, and says nothing.
    let silent = || serve(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let (address, _server) = silent();
    let request = request_to(&mut guest, "HTTP", &address, &[]);
    let future = send_within(&mut guest, request, "first-byte-timeout");
    assert_eq!(case_of(&awaited(&mut guest, &future).expect_err("too late")), "connection-read-timeout");

    // Connects, but doesn't shake hands.
    let (address, _server) = silent();
    let request = request_to(&mut guest, "HTTPS", &address, &[]);
    let future = send_within(&mut guest, request, "connect-timeout");
    assert_eq!(case_of(&awaited(&mut guest, &future).expect_err("too late")), "connection-timeout");

    let (address, _server) = serve(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").expect("written");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let request = request_to(&mut guest, "HTTP", &address, &[]);
    let future = send_within(&mut guest, request, "between-bytes-timeout");
    let response = awaited(&mut guest, &future).expect("a head");
    // Time that the guest spends elsewhere isn't the server's.
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(text_of(&mut guest, &response), ("hello".to_owned(), Some("connection-read-timeout".to_owned())));
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_is_private_goes_to_whom_the_guest_trusts_only() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let (address, server) = answering_privately(answer);
    let mut trusting = trusting();
    let request = request_to(&mut trusting, "HTTPS", &address, &[]);
    let response = response_to(&mut trusting, request);
    assert_eq!(text_of(&mut trusting, &response), ("hi".to_owned(), None));
    assert!(server.join().expect("served").is_some_and(|head| head.starts_with("GET /a?b=c HTTP/1.1\r\n")));

    let (address, _server) = answering_privately(answer);
    let mut other = guest();
    let request = request_to(&mut other, "HTTPS", &address, &[]);
    assert_eq!(error_of(&mut other, request), "TLS-certificate-error");

    // A name that the certificate isn't for.
    let (address, _server) = answering_privately(answer);
    let request = request_to(&mut trusting, "HTTPS", &address.replace("127.0.0.1", "127.0.0.2"), &[]);
    assert_eq!(error_of(&mut trusting, request), "connection-refused", "only the first is listened on");

    let (address, _server) = serve(|mut stream| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
    let request = request_to(&mut trusting, "HTTPS", &address, &[]);
    let error = error_of(&mut trusting, request);
    assert!(error == "TLS-protocol-error" || error == "connection-terminated", "{error}");
    assert!(HttpConfig::new().trust_roots([b"none".to_vec()]).is_err());
}

#[test]
fn a_server_that_speaks_http2_is_spoken_to_so() {
    let (address, server) = answering_by_http2();
    let mut guest = trusting();
    let request = request_to(&mut guest, "HTTPS", &address, &[]);
    let response = response_to(&mut guest, request);
    assert_eq!(status(&mut guest, &response), 200);
    let (stream, body) = body_of(&mut guest, &response);
    assert_eq!(read_all(&mut guest, &stream), (b"hello".to_vec(), None));
    guest.drop(stream).expect("nothing depends on it");
    assert_eq!(trailers_of(&mut guest, body).expect("no error"), [("x-trailer".to_owned(), b"t".to_vec())]);
    drop(guest);
    let (version, uri, host) = server.join().expect("served");
    assert_eq!((version, uri, host), (Version::HTTP_2, format!("https://{address}/a?b=c"), None));
}

#[test]
fn connections_are_bounded_by_the_budget_of_descriptors() {
    let mut config = ampoule_wasi::WasiConfig::new();
    config.max_fds(2);
    let mut guest = Guest::new(config);
    let mut http = HttpConfig::new();
    http.allow_outgoing(true);
    guest.store.slots_mut().insert(http.build());
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let mut send = || {
        let request = request_to(&mut guest, "HTTP", &address, &[]);
        guest.result("outgoing-handler#handle", &[request, Val::option(None)])
    };
    assert!(send().is_ok() && send().is_ok());
    assert_eq!(send().expect_err("no more").as_ref().map(case_of).as_deref(), Some("connection-limit-reached"));
}
