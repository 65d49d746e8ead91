//! One connection: which HTTP is spoken on it, and how long nothing may happen there.
//!
//! A connection on which nothing happens is a socket and a deadline. What hyper needs for HTTP/1, some 20 KB with its buffers, is there from the
//! first byte of a request until the socket has taken the whole response; then the connection is taken apart. One of HTTP/2 stays as
//! it is.

use super::answer::{Answer, Sending};
use super::guest::TICK;
use super::progress::{HeadTimer, Progress};
use super::server::Server;
use super::socket::Socket;
use hyper::body::{Bytes, Incoming};
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::TokioTimer;
use std::convert::Infallible;
use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::sleep;

/// How long a connection may take to send the head of a request, and how long it may be idle.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest head of a request, and the most headers.
const MAX_HEAD: usize = 128 << 10;
const MAX_HEADERS: usize = 1024;

/// Requests of one HTTP/2 connection at once.
const MAX_STREAMS: u32 = 100;

/// What a connection begins with on which HTTP/2 is spoken.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Answers what comes, until either side closes the connection or the server is to end.
pub async fn serve(server: Arc<Server>, stream: TcpStream, mut ending: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    server.metrics.connections.fetch_add(1, Relaxed);
    let deadline = Instant::now() + server.head_timeout;
    let phase = Phase::New(New { stream, matched: 0, deadline });
    let mut connection = Connection { server, phase, is_ending: false };
    let mut ended = pin!(async move { drop(ending.wait_for(|end| *end).await) });
    let mut look = pin!(sleep(Duration::ZERO));
    poll_fn(|cx| {
        while look.as_mut().poll(cx).is_ready() {
            match connection.next_look() {
                Some(next) => look.as_mut().reset(next.into()),
                None => return Poll::Ready(()),
            }
        }
        if !connection.is_ending && ended.as_mut().poll(cx).is_ready() {
            connection.end();
        }
        connection.poll(cx)
    })
    .await;
    connection.server.metrics.connections.fetch_sub(1, Relaxed);
}

struct Connection {
    server: Arc<Server>,
    phase: Phase,
    is_ending: bool,
}

enum Phase {
    New(New),
    /// HTTP/1, between two requests.
    Idle {
        stream: TcpStream,
        deadline: Instant,
    },
    Http1(Box<Http1>),
    Http2(Box<Http2>),
    Closed,
}

/// The first bytes will say which HTTP it is. Those that have come are so many of [`PREFACE`].
struct New {
    stream: TcpStream,
    matched: usize,
    deadline: Instant,
}

struct Http1 {
    connection: http1::Connection<Socket, Requests>,
    progress: Arc<Progress>,
    sending: Sending,
}

struct Http2 {
    connection: http2::Connection<Socket, Requests, Local>,
    sending: Sending,
}

impl Connection {
    /// Goes on until it has to wait, or is closed.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            // What isn't put back is closed. Why, nobody needs to know: that the other side breaks off is no error of the server's.
            let waiting = match mem::replace(&mut self.phase, Phase::Closed) {
                Phase::New(mut new) => match new.poll_first(context) {
                    Poll::Pending => Phase::New(new),
                    Poll::Ready(None) => continue,
                    Poll::Ready(Some(first)) => {
                        self.phase = if *first == *PREFACE {
                            self.http2(new.stream, first)
                        } else {
                            self.http1(new.stream, first)
                        };
                        continue;
                    }
                },
                Phase::Idle { stream, deadline } => {
                    // Where it isn't bytes, hyper will find what it is.
                    if stream.poll_read_ready(context).is_ready() {
                        self.phase = self.http1(stream, Bytes::new());
                        continue;
                    }
                    Phase::Idle { stream, deadline }
                }
                Phase::Http1(mut http1) => {
                    if Pin::new(&mut http1.connection).poll(context).is_ready() {
                        continue;
                    }
                    if !self.is_ending && http1.progress.is_idle() && http1.sending.is_empty() {
                        self.phase = self.idle(*http1);
                        continue;
                    }
                    Phase::Http1(http1)
                }
                Phase::Http2(mut http2) => {
                    if Pin::new(&mut http2.connection).poll(context).is_ready() {
                        continue;
                    }
                    Phase::Http2(http2)
                }
                Phase::Closed => return Poll::Ready(()),
            };
            self.phase = waiting;
            return Poll::Pending;
        }
    }

    fn http1(&self, stream: TcpStream, ahead: Bytes) -> Phase {
        let (progress, sending) = (Arc::<Progress>::default(), Sending::default());
        let socket = Socket::new(stream, ahead, progress.clone());
        let connection = http1::Builder::new()
            .timer(HeadTimer(progress.clone()))
            .header_read_timeout(self.server.head_timeout)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(socket, self.requests(&progress, &sending));
        Phase::Http1(Box::new(Http1 { connection, progress, sending }))
    }

    fn http2(&self, stream: TcpStream, ahead: Bytes) -> Phase {
        let (progress, sending) = (Arc::<Progress>::default(), Sending::default());
        let socket = Socket::new(stream, ahead, progress.clone());
        let connection = http2::Builder::new(Local)
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD as u32)
            .keep_alive_interval(self.server.head_timeout)
            .max_pending_accept_reset_streams(MAX_STREAMS as usize)
            .serve_connection(socket, self.requests(&progress, &sending));
        Phase::Http2(Box::new(Http2 { connection, sending }))
    }

    fn requests(&self, progress: &Arc<Progress>, sending: &Sending) -> Requests {
        Requests { server: self.server.clone(), sending: sending.clone(), progress: progress.clone() }
    }

    /// Keeps nothing but the socket of one that has nothing to do. Where bytes of the next request are there already, it begins with them, and
    /// isn't idle before that request is answered.
    fn idle(&self, http1: Http1) -> Phase {
        let deadline = http1.progress.head_deadline();
        let parts = http1.connection.into_parts();
        let (stream, rest) = parts.io.into_parts();
        let ahead = [parts.read_buf, rest].concat();
        match deadline {
            Some(deadline) if ahead.is_empty() => Phase::Idle { stream, deadline },
            _ => self.http1(stream, ahead.into()),
        }
    }

    /// When time is to be looked at again; `None` where the connection has used up what it had.
    fn next_look(&self) -> Option<Instant> {
        let now = Instant::now();
        let patience = self.server.guests.timeout.max(TICK);
        let (deadline, sending) = match &self.phase {
            Phase::New(New { deadline, .. }) | Phase::Idle { deadline, .. } => (Some(*deadline), None),
            Phase::Http1(http1) => (http1.progress.head_deadline(), Some(&http1.sending)),
            Phase::Http2(http2) => (None, Some(&http2.sending)),
            Phase::Closed => return None,
        };
        // No deadline that isn't there yet comes before this one.
        let deadline = deadline.unwrap_or(now + self.server.head_timeout);
        let is_stuck = sending.is_some_and(|sending| sending.is_stuck(patience));
        (now < deadline && !is_stuck).then(|| deadline.min(now + patience))
    }

    /// Closes it once nothing is being answered any more.
    fn end(&mut self) {
        self.is_ending = true;
        match &mut self.phase {
            Phase::Http1(http1) => Pin::new(&mut http1.connection).graceful_shutdown(),
            Phase::Http2(http2) => Pin::new(&mut http2.connection).graceful_shutdown(),
            Phase::New(_) | Phase::Idle { .. } | Phase::Closed => self.phase = Phase::Closed,
        }
    }
}

impl New {
    /// Reads no more than says which HTTP it is, and gives what it has read; `None` where the other side has left.
    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let mut first = *PREFACE;
            let mut buffer = ReadBuf::new(&mut first[self.matched..]);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            let len = self.matched + buffer.filled().len();
            if read.is_err() || len == self.matched {
                return Poll::Ready(None);
            }
            self.matched = len;
            if len == PREFACE.len() || first[..len] != PREFACE[..len] {
                return Poll::Ready(Some(Bytes::copy_from_slice(&first[..len])));
            }
        }
    }
}

/// Who gets the requests of a connection.
struct Requests {
    server: Arc<Server>,
    sending: Sending,
    progress: Arc<Progress>,
}

impl Service<Request<Incoming>> for Requests {
    type Response = Response<Answer>;
    type Error = Infallible;
    /// Boxed: what an async block makes has no name.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.progress.set_served();
        let (server, sending) = (self.server.clone(), self.sending.clone());
        Box::pin(async move { Ok(server.answer(request, sending).await) })
    }
}

/// Spawns what HTTP/2 needs on the thread of its connection.
#[derive(Clone)]
struct Local;

impl<F: Future<Output: 'static> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

#[cfg(test)]
mod tests {
    use super::super::guest::Guests;
    use super::super::server::{Options, Output};
    use super::*;
    use crate::{base_config, component_linker};
    use ampoule::{Engine, Module};
    use ampoule_component::Component;
    use ampoule_wasi::Handler;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream as Client};
    use tokio::runtime::{Builder, LocalOptions};

    const HEAD_TIMEOUT: Duration = Duration::from_millis(300);

    /// Connections of a server whose heads have less time, one for each of these beginnings. What the server answers, and when it closes them.
    fn closed_after(beginnings: &[&[u8]]) -> Vec<(Vec<u8>, Duration)> {
        let engine = Engine::new(&base_config()).expect("an engine");
        let silent = Module::binary_of_text(include_str!("../../../cli/tests/serve/silent.wat")).expect("text");
        let component = Component::new(&engine, &silent).expect("a component");
        let linker = component_linker(&engine).expect("a linker");
        let guests = Guests::new(&engine, Handler::new(linker, &component).expect("it answers"));
        let mut server = Server::new(guests, Output { message: |_| {}, access: None }, Options::default());
        Arc::get_mut(&mut server).expect("not shared yet").head_timeout = HEAD_TIMEOUT;
        let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
        let address = listener.local_addr().expect("an address");
        std::thread::scope(|scope| {
            let clients: Vec<_> = beginnings
                .iter()
                .map(|beginning| {
                    scope.spawn(move || {
                        let mut client = Client::connect(address).expect("it listens");
                        let start = Instant::now();
                        client.write_all(beginning).expect("written");
                        let mut answer = Vec::new();
                        let _ = client.read_to_end(&mut answer);
                        (answer, start.elapsed())
                    })
                })
                .collect();
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            let (_end, ending) = watch::channel(false);
            runtime.expect("a runtime").block_on(async {
                let mut served = Vec::new();
                for _ in beginnings {
                    let (stream, _) = listener.accept().expect("a client");
                    stream.set_nonblocking(true).expect("set");
                    let stream = TcpStream::from_std(stream).expect("registered");
                    served.push(spawn_local(serve(server.clone(), stream, ending.clone())));
                }
                for served in served {
                    served.await.expect("no panic");
                }
            });
            clients.into_iter().map(|client| client.join().expect("no panic")).collect()
        })
    }

    #[test]
    fn a_connection_that_sends_no_head_is_closed_in_time() {
        let request = b"GET /h HTTP/1.1\r\nHost: a\r\n\r\n";
        let behind = [&request[..], b"GET /h HTTP/1.1\r\nHost"].concat();
        for (answer, elapsed) in closed_after(&[b"", b"PRI * HTTP", b"GET / HTTP/1.1\r\nHost", request, &behind]) {
            let text = String::from_utf8_lossy(&answer).into_owned();
            assert!(text.is_empty() || text.starts_with("HTTP/1.1 500"), "{text}");
            assert!(elapsed >= HEAD_TIMEOUT && elapsed < HEAD_TIMEOUT * 20, "{elapsed:?}");
        }
    }
}
