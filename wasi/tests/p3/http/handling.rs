//! A component of 0.3 that answers requests: bodies in both directions, whoever drops what at whatever moment.

use ampoule::{Engine, Error, Store};
use ampoule_component::{Component, Linker};
use ampoule_wasi::handler::{Answering, Handler};
use ampoule_wasi::host::http::client::Outgoing;
use ampoule_wasi::host::http::error::Message;
use ampoule_wasi::host::http::hyper::body::{Body as _, Bytes};
use ampoule_wasi::host::http::hyper::header::{HeaderMap, HeaderValue};
use ampoule_wasi::host::http::hyper::{Request, Response, StatusCode};
use ampoule_wasi::host::http::incoming::BoxFrames;
use ampoule_wasi::host::http::message::Scheme;
use ampoule_wasi::host::http::outgoing::{Frames, OutgoingBody};
use ampoule_wasi::host::http::provided::{HttpProvider, Reply};
use ampoule_wasi::host::http::{ErrorCode, HttpConfig};
use ampoule_wasi::{WasiConfig, p2, p3};
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Waker};

static HANDLER: LazyLock<(Engine, Handler)> = LazyLock::new(|| {
    let engine = Engine::default();
    let component = Component::new(&engine, include_bytes!("service.wat")).unwrap_or_else(|error| panic!("{error}"));
    let mut linker = Linker::new(&engine);
    p2::add_to_linker(&mut linker).unwrap();
    p3::add_to_linker(&mut linker).unwrap();
    p3::add_http_to_linker(&mut linker).unwrap();
    let handler = Handler::new(linker, &component).unwrap();
    (engine, handler)
});

/// A request that is being answered.
struct Exchange {
    answering: Answering,
    /// The request's body.
    body: OutgoingBody,
}

fn begin_with(path: &str, config: &HttpConfig) -> Exchange {
    let mut store = Store::new(&HANDLER.0);
    store.set_epoch_deadline(1);
    store.slots_mut().insert(WasiConfig::new().build());
    store.slots_mut().insert(config.build());
    let (body, frames) = OutgoingBody::new(Message::Request, None, Arc::default());
    let request = Request::builder().uri(path).body(Box::pin(frames) as BoxFrames).unwrap();
    Exchange { answering: HANDLER.1.answer(store, request, Scheme::Http).unwrap(), body }
}

fn begin(path: &str) -> Exchange {
    begin_with(path, &HttpConfig::new())
}

impl Exchange {
    fn poll(&mut self) -> Poll<Result<(), Error>> {
        self.answering.poll()
    }

    /// Polls, while that may not be the end, until there is a response.
    fn response(&mut self) -> Response<Frames> {
        let _ = self.poll();
        self.answering.take_response().expect("a response").expect("no error")
    }

    fn write(&mut self, bytes: &'static [u8]) {
        assert_eq!(self.body.write(Bytes::from_static(bytes)), Ok(bytes.len()));
    }
}

/// What there is of a body now.
#[derive(Debug, PartialEq)]
enum Next {
    Nothing,
    Data(Vec<u8>),
    Trailers(HeaderMap),
    End,
    Broken(ErrorCode),
}

fn next(frames: &mut Frames) -> Next {
    match Pin::new(frames).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => Next::Nothing,
        Poll::Ready(None) => Next::End,
        Poll::Ready(Some(Err(code))) => Next::Broken(code),
        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
            Ok(data) => Next::Data(data.to_vec()),
            Err(frame) => Next::Trailers(frame.into_trailers().expect("no other kind")),
        },
    }
}

fn data(bytes: &[u8]) -> Next {
    Next::Data(bytes.to_vec())
}

#[test]
fn a_body_that_is_passed_on_flows_without_the_guest() {
    let mut exchange = begin("/back");
    let mut frames = exchange.response().into_body();
    assert_eq!(next(&mut frames), Next::Nothing);
    for piece in [b"one", b"two"] {
        exchange.write(piece);
        assert!(exchange.poll().is_pending());
        assert_eq!(next(&mut frames), data(piece));
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-a", HeaderValue::from_static("b"));
    exchange.body.finish(Some(trailers.clone())).unwrap();
    assert!(matches!(exchange.poll(), Poll::Ready(Ok(()))));
    assert_eq!((next(&mut frames), next(&mut frames)), (Next::Trailers(trailers), Next::End));
}

#[test]
fn what_breaks_off_on_one_side_does_on_the_other() {
    let mut exchange = begin("/back");
    let mut frames = exchange.response().into_body();
    exchange.write(b"half");
    exchange.body.fail(ErrorCode::ConnectionTerminated);
    assert!(matches!(exchange.poll(), Poll::Ready(Ok(()))));
    assert_eq!(next(&mut frames), data(b"half"));
    assert_eq!(next(&mut frames), Next::Broken(ErrorCode::ConnectionTerminated));

    // Nobody takes the response any more.
    let mut exchange = begin("/back");
    drop(exchange.response());
    exchange.write(b"some");
    assert!(matches!(exchange.poll(), Poll::Ready(Ok(()))));
    let Exchange { answering, body } = exchange;
    drop(answering);
    assert!(body.is_over(), "nobody reads the request any more either");
}

#[test]
fn what_the_guest_writes_is_read_to_its_end() {
    let mut exchange = begin("/write");
    let mut frames = exchange.response().into_body();
    for _ in 0..3 {
        assert_eq!(next(&mut frames), data(b"written by the guest"));
    }
    assert_eq!(next(&mut frames), Next::End);
    let mut head_only = begin("/head");
    assert_eq!(head_only.response().status(), StatusCode::OK);
}

#[test]
fn a_guest_that_writes_without_end_waits_for_the_reader() {
    let mut exchange = begin("/forever");
    let mut frames = exchange.response().into_body();
    let mut total = 0;
    for _ in 0..10 {
        assert!(exchange.poll().is_pending());
        let mut here = 0;
        while let Next::Data(bytes) = next(&mut frames) {
            here += bytes.len();
        }
        assert!((1..=64 << 10).contains(&here), "{here}");
        total += here;
    }
    assert!(total > 200_000, "{total}");
    drop(frames);
    assert!(matches!(exchange.poll(), Poll::Ready(Ok(()))), "a write that nobody takes is the last");
}

#[test]
fn a_trap_ends_the_response_in_the_middle() {
    let mut exchange = begin("/trap");
    let error = match exchange.poll() {
        Poll::Ready(Err(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(error.contains("unreachable"), "{error}");
    let mut frames = exchange.answering.take_response().expect("a response").expect("no error").into_body();
    drop(exchange);
    while let Next::Data(bytes) = next(&mut frames) {
        assert_eq!(bytes, b"written by the guest");
    }
    assert_eq!(next(&mut frames), Next::Broken(ErrorCode::HttpProtocolError));
}

#[test]
fn a_guest_answers_an_error_or_nothing() {
    let mut exchange = begin("/error");
    assert!(matches!(exchange.poll(), Poll::Ready(Ok(()))));
    let answer = exchange.answering.take_response().expect("an answer");
    assert_eq!(answer.map(drop), Err(ErrorCode::LoopDetected));

    let mut exchange = begin("/x");
    assert!(matches!(exchange.poll(), Poll::Ready(Err(_))), "it has promised an answer");
    assert!(exchange.answering.take_response().is_none());

    // One that waits for a request that never ends.
    let mut exchange = begin("/read");
    for _ in 0..3 {
        exchange.write(b"more");
        assert!(exchange.poll().is_pending());
        assert!(exchange.answering.take_response().is_none());
    }
    exchange.body.finish(None).unwrap();
    assert!(matches!(exchange.poll(), Poll::Ready(Ok(()))));
    assert!(exchange.answering.take_response().expect("an answer").is_err());
}

#[test]
fn an_exchange_may_be_dropped_at_any_moment() {
    for path in ["/back", "/write", "/forever", "/read", "/head"] {
        for polls in 0..4 {
            let mut exchange = begin(path);
            for _ in 0..polls {
                exchange.write(b"some");
                if exchange.poll().is_ready() {
                    break;
                }
            }
            let response = exchange.answering.take_response();
            drop(exchange);
            if let Some(Ok(response)) = response {
                let mut frames = response.into_body();
                let mut last = next(&mut frames);
                while let Next::Data(_) = last {
                    last = next(&mut frames);
                }
                assert_ne!(last, Next::Nothing, "{path} after {polls}: it has an end, or is broken");
            }
        }
    }
}

/// Keeps the requests of guests.
#[derive(Default)]
struct Upstream(Mutex<Vec<(Outgoing, Reply)>>);

impl HttpProvider for Upstream {
    fn send(&self, request: Outgoing, reply: Reply) {
        self.0.lock().unwrap().push((request, reply));
    }
}

fn ask() -> (Exchange, Outgoing, Reply) {
    let upstream = Arc::new(Upstream::default());
    let mut config = HttpConfig::new();
    config.provider(upstream.clone());
    let mut exchange = begin_with("/ask", &config);
    assert!(exchange.poll().is_pending());
    let (request, reply) = upstream.0.lock().unwrap().pop().expect("a request");
    (exchange, request, reply)
}

#[test]
fn a_guest_asks_upstream_and_passes_the_answer_on() {
    let (mut exchange, mut request, mut reply) = ask();
    assert_eq!(request.authority.as_deref(), Some("upstream:80"));
    assert_eq!(next(&mut request.body), Next::End);
    let body = reply.respond(Response::new(())).unwrap().expect("the first answer");
    body.write(Bytes::from_static(b"from afar")).unwrap();
    let mut frames = exchange.response().into_body();
    assert_eq!(next(&mut frames), data(b"from afar"));
    body.finish(None).unwrap();
    assert!(matches!(exchange.poll(), Poll::Ready(Ok(()))));
    assert_eq!(next(&mut frames), Next::End);
}

#[test]
fn what_goes_wrong_upstream_is_the_guest_s_to_answer() {
    let (mut exchange, _request, mut reply) = ask();
    assert!(reply.fail(ErrorCode::ConnectionRefused));
    assert!(matches!(exchange.poll(), Poll::Ready(Ok(()))));
    let answer = exchange.answering.take_response().expect("an answer");
    assert_eq!(answer.map(drop), Err(ErrorCode::ConnectionRefused));

    let mut denied = begin("/ask");
    assert!(matches!(denied.poll(), Poll::Ready(Ok(()))));
    let answer = denied.answering.take_response().expect("an answer");
    assert_eq!(answer.map(drop), Err(ErrorCode::HttpRequestDenied));
}

#[test]
fn nobody_waits_for_what_a_guest_has_asked_that_is_gone() {
    let (exchange, _request, reply) = ask();
    assert!(reply.is_awaited());
    drop(exchange);
    assert!(!reply.is_awaited());
}
