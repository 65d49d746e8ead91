//! Connections, and what is answered on them.
//!
//! Each thread accepts, and keeps what it has accepted: nothing of a request moves from one to another. They share a budget of
//! requests, counters, and the word to end.

use super::answer::{Answer, Sending, Sent};
use super::guest::{Guest, Guests, TICK};
use super::log::{Metrics, Record};
use crate::terminal::report;
use ampoule_wasi::handler::AnswerError;
use ampoule_wasi::host::http::ErrorCode;
use ampoule_wasi::host::http::outgoing::Frames;
use anyhow::{Context as _, Result};
use hyper::body::{Bytes, Incoming};
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{interval, sleep, timeout};

/// How long requests that are being answered may still take when the server is to end.
const GRACE: Duration = Duration::from_secs(30);

/// How long a connection may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest head of a request, and the most headers.
const MAX_HEAD: usize = 128 << 10;
const MAX_HEADERS: usize = 1024;

/// Requests of one HTTP/2 connection at once.
const MAX_STREAMS: u32 = 100;

/// A server, for any number of threads.
pub struct Server {
    guests: Guests,
    permits: Semaphore,
    access_log: bool,
    metrics_path: Option<String>,
    metrics: Arc<Metrics>,
}

impl Server {
    /// One that answers so many requests at once.
    pub fn new(guests: Guests, max_concurrent: u32, access_log: bool, metrics_path: Option<String>) -> Arc<Self> {
        let permits = Semaphore::new(max_concurrent as usize);
        Arc::new(Self { guests, permits, access_log, metrics_path, metrics: Arc::default() })
    }

    /// Serves until the process is told to end, on so many threads.
    ///
    /// # Errors
    /// Where the address can't be had.
    pub fn run(self: Arc<Self>, address: SocketAddr, threads: usize) -> Result<()> {
        let listener = TcpListener::bind(address).with_context(|| format!("--addr {address}"))?;
        listener.set_nonblocking(true)?;
        raise_descriptor_limit();
        let engine = self.guests.engine.clone();
        // Not waited for: it ends with the process.
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(TICK);
                engine.increment_epoch();
            }
        });
        let (end, ending) = watch::channel(false);
        let mut workers = Vec::new();
        for _ in 0..threads {
            let (server, listener, ending) = (self.clone(), listener.try_clone()?, ending.clone());
            workers.push(std::thread::spawn(move || server.work(listener, ending)));
        }
        let signals = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        report(&format!("serving on http://{}", listener.local_addr()?));
        drop(listener);
        signals.block_on(async {
            let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            poll_fn(|cx| {
                if terminate.poll_recv(cx).is_ready() { Poll::Ready(()) } else { interrupt.poll_recv(cx).map(drop) }
            })
            .await;
            anyhow::Ok(())
        })?;
        report("ending when all requests are answered");
        end.send_replace(true);
        for worker in workers {
            worker.join().map_err(|_| anyhow::anyhow!("a thread has panicked"))??;
        }
        Ok(())
    }

    /// What one thread does.
    fn work(self: Arc<Self>, listener: TcpListener, ending: watch::Receiver<bool>) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let local = LocalSet::new();
        let open = Rc::new(Cell::new(0_usize));
        local.block_on(&runtime, async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let mut end = ending.clone();
            let mut ended = pin!(async move { drop(end.wait_for(|end| *end).await) });
            loop {
                let accepted = poll_fn(|cx| match ended.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(None),
                    Poll::Pending => listener.poll_accept(cx).map(Some),
                });
                match accepted.await {
                    None => break,
                    Some(Ok((stream, _))) => {
                        open.set(open.get() + 1);
                        let (server, ending, open) = (self.clone(), ending.clone(), open.clone());
                        spawn_local(async move {
                            server.connection(stream, ending).await;
                            open.set(open.get() - 1);
                        });
                    }
                    // Of the connection, or the process has no descriptor left: then some time is needed.
                    Some(Err(_)) => sleep(Duration::from_millis(10)).await,
                }
            }
            drop(listener);
            let all_closed = async {
                while open.get() > 0 {
                    sleep(Duration::from_millis(10)).await;
                }
            };
            let _ = timeout(GRACE, all_closed).await;
            Ok(())
        })
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, mut ending: watch::Receiver<bool>) {
        let _ = stream.set_nodelay(true);
        self.metrics.connections.fetch_add(1, Relaxed);
        let mut builder = auto::Builder::new(Local);
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD as u32)
            .keep_alive_interval(HEAD_TIMEOUT)
            .max_pending_accept_reset_streams(MAX_STREAMS as usize);
        let sending = Sending::default();
        // Boxed: a connection has place for it, also while it is idle.
        let service = service_fn(|request| {
            let (server, sending) = (self.clone(), sending.clone());
            Box::pin(async move { Ok::<_, Infallible>(server.answer(request, sending).await) })
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut ended = pin!(async move { drop(ending.wait_for(|end| *end).await) });
        let mut is_ending = false;
        let patience = self.guests.timeout.max(TICK);
        let mut look = interval(patience);
        poll_fn(|cx| {
            while look.poll_tick(cx).is_ready() {
                if sending.is_stuck(patience) {
                    return Poll::Ready(());
                }
            }
            if !is_ending && ended.as_mut().poll(cx).is_ready() {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
            // That the other side breaks off is nothing that anybody needs to know.
            connection.as_mut().poll(cx).map(drop)
        })
        .await;
        self.metrics.connections.fetch_sub(1, Relaxed);
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>, sending: Sending) -> Response<Answer> {
        let line = self.access_log.then(|| format!("{} {}", request.method(), request.uri()));
        let record = Record { line, start: Instant::now() };
        let response = self.response(request).await;
        let status = response.status().as_u16();
        response.map(|body| Answer::new(body, status, record, sending, self.metrics.clone()))
    }

    async fn response(self: &Arc<Self>, request: Request<Incoming>) -> Response<Sent> {
        if self.metrics_path.as_deref() == Some(request.uri().path()) {
            return text(StatusCode::OK, self.metrics.text());
        }
        self.metrics.running.fetch_add(1, Relaxed);
        let running = Running(self.clone());
        let permit = self.permits.acquire().await.expect("it is never closed");
        let guest = match self.guests.answer(request) {
            Ok(guest) => guest,
            Err(AnswerError::Request(code)) => return refused(code),
            Err(AnswerError::Store(error)) => {
                report(&format!("error: {error}"));
                return failed();
            }
        };
        // The permit is given back where the guest is over, which may be on after the response.
        permit.forget();
        let permit = Permit(self.clone());
        self.drive(guest, (running, permit)).await
    }

    /// Runs a guest until it has a response; what it does afterwards goes on beside.
    async fn drive(self: &Arc<Self>, guest: Guest, held: impl Sized + 'static) -> Response<Sent> {
        let mut guest = Box::pin(guest);
        let mut time = Box::pin(sleep(self.guests.timeout));
        enum Turn {
            Response(Result<Response<Frames>, ErrorCode>),
            Over,
        }
        let mut is_over = false;
        let turn = poll_fn(|cx| {
            // Before the guest: of many that compute, those whose time is over have no further turn.
            let is_late = time.as_mut().poll(cx).is_ready();
            if !is_over && !is_late {
                let polled = guest.as_mut().poll(cx);
                is_over = polled.is_ready();
                if let Poll::Ready(Err(error)) = polled {
                    self.note(&error.to_string());
                }
            }
            match guest.take_response() {
                Some(response) => Poll::Ready(Turn::Response(response)),
                None if is_over => Poll::Ready(Turn::Over),
                None if is_late => {
                    self.note("its time is over");
                    Poll::Ready(Turn::Over)
                }
                None => Poll::Pending,
            }
        })
        .await;
        if !is_over && matches!(turn, Turn::Response(_)) {
            let server = self.clone();
            spawn_local(async move {
                let _held = held;
                poll_fn(|cx| {
                    if time.as_mut().poll(cx).is_ready() {
                        server.note("its time is over");
                        return Poll::Ready(());
                    }
                    guest.as_mut().poll(cx).map(|result| {
                        if let Err(error) = result {
                            server.note(&error.to_string());
                        }
                    })
                })
                .await;
            });
        }
        match turn {
            Turn::Response(Ok(response)) => response.map(Sent::Guest),
            // The guest answers with an error, or not at all.
            Turn::Response(Err(_)) | Turn::Over => failed(),
        }
    }

    /// A guest was stopped.
    fn note(&self, why: &str) {
        self.metrics.failed.fetch_add(1, Relaxed);
        report(&format!("a guest was stopped: {why}"));
    }
}

/// Counted among the requests that are being answered.
struct Running(Arc<Server>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.metrics.running.fetch_sub(1, Relaxed);
    }
}

/// One of the requests that may be answered at once.
struct Permit(Arc<Server>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.permits.add_permits(1);
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Sent> {
    let mut response = Response::new(Sent::Text(Some(text.into())));
    *response.status_mut() = status;
    response
}

fn refused(code: ErrorCode) -> Response<Sent> {
    let status = match code {
        ErrorCode::HttpRequestHeaderSectionSize(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    text(status, format!("{code}\n"))
}

fn failed() -> Response<Sent> {
    text(StatusCode::INTERNAL_SERVER_ERROR, &b"internal server error\n"[..])
}

/// Spawns what HTTP/2 needs on the thread of its connection.
#[derive(Clone)]
struct Local;

impl<F: Future<Output: 'static> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

/// Connections are descriptors: as many as the system lets this process have.
fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Otherwise there are as many as there are.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised);
}
