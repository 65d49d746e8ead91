//! Threads that accept connections, and what is answered on them.
//!
//! Each thread accepts, and keeps what it has accepted: nothing of a request moves from one to another. They share a budget of
//! requests, counters, and the word to end.

use super::answer::{Answer, Sending, Sent};
use super::connection::{self, HEAD_TIMEOUT};
use super::guest::{Guest, Guests};
use super::log::{Metrics, Print, Record};
use ampoule_wasi::handler::AnswerError;
use ampoule_wasi::host::http::ErrorCode;
use ampoule_wasi::host::http::outgoing::Frames;
use anyhow::Result;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use std::cell::Cell;
use std::future::poll_fn;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_local;
use tokio::time::{Sleep, sleep, sleep_until, timeout};

/// Where a server says what there is to say.
pub struct Output {
    /// Messages: that it serves, and which guests were stopped.
    pub message: Print,
    /// A line for each request, where that is wanted.
    pub access: Option<Print>,
}

/// What can be chosen of a server.
pub struct Options {
    /// How many requests are answered at once; further ones wait.
    pub max_concurrent: u32,
    /// Requests for this path are answered with counters, in the text format of Prometheus.
    pub metrics_path: Option<String>,
    /// How long requests that are being answered may still take when the server is to end.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_concurrent: 1000, metrics_path: None, grace: Duration::from_secs(30) }
    }
}

/// A server, for any number of threads.
pub struct Server {
    pub(super) guests: Guests,
    /// [`HEAD_TIMEOUT`].
    pub(super) head_timeout: Duration,
    permits: Semaphore,
    output: Output,
    options: Options,
    pub(super) metrics: Arc<Metrics>,
}

impl Server {
    /// One with these guests.
    pub fn new(guests: Guests, output: Output, options: Options) -> Arc<Self> {
        let permits = Semaphore::new(options.max_concurrent as usize);
        Arc::new(Self { guests, head_timeout: HEAD_TIMEOUT, permits, output, options, metrics: Arc::default() })
    }

    /// Serves what comes to this listener, on so many threads, until the process is told to end by SIGTERM or SIGINT.
    ///
    /// # Errors
    /// Where the system lets the listener, a thread or the signals not be had.
    pub fn run(self: Arc<Self>, listener: TcpListener, threads: usize) -> Result<()> {
        listener.set_nonblocking(true)?;
        raise_descriptor_limit();
        let (end, ending) = watch::channel(false);
        let mut workers = Vec::new();
        for _ in 0..threads {
            let (server, listener, ending) = (self.clone(), listener.try_clone()?, ending.clone());
            workers.push(std::thread::spawn(move || server.work(listener, ending)));
        }
        let signals = Builder::new_current_thread().enable_io().build()?;
        (self.output.message)(&format!("serving on http://{}", listener.local_addr()?));
        drop(listener);
        signals.block_on(async {
            let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            poll_fn(|cx| {
                if terminate.poll_recv(cx).is_ready() { Poll::Ready(()) } else { interrupt.poll_recv(cx).map(drop) }
            })
            .await;
            anyhow::Ok(())
        })?;
        (self.output.message)("ending when all requests are answered");
        end.send_replace(true);
        for worker in workers {
            worker.join().map_err(|_| anyhow::anyhow!("a thread has panicked"))??;
        }
        Ok(())
    }

    /// What one thread does.
    fn work(self: Arc<Self>, listener: TcpListener, ending: watch::Receiver<bool>) -> Result<()> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build_local(LocalOptions::default())?;
        let open = Rc::new(Cell::new(0_usize));
        runtime.block_on(async {
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
                            connection::serve(server, stream, ending).await;
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
            let _ = timeout(self.options.grace, all_closed).await;
            Ok(())
        })
    }

    /// Answers a request.
    pub async fn answer(self: Arc<Self>, request: Request<Incoming>, sending: Sending) -> Response<Answer> {
        let line = self.output.access.map(|print| (format!("{} {}", request.method(), request.uri()), print));
        let record = Record { line, start: Instant::now() };
        let response = self.response(request).await;
        let status = response.status().as_u16();
        response.map(|body| Answer::new(body, status, record, sending, self.metrics.clone()))
    }

    async fn response(self: &Arc<Self>, request: Request<Incoming>) -> Response<Sent> {
        if self.options.metrics_path.as_deref() == Some(request.uri().path()) {
            return text(StatusCode::OK, self.metrics.text());
        }
        self.metrics.running.fetch_add(1, Relaxed);
        let running = Running(self.clone());
        let permit = self.permits.acquire().await.expect("it is never closed");
        let guest = match self.guests.answer(request) {
            Ok(guest) => guest,
            Err(AnswerError::Request(code)) => return refused(code),
            Err(AnswerError::Store(error)) => {
                (self.output.message)(&format!("error: {error}"));
                return failed();
            }
        };
        // The permit is given back where the guest is over, which may be on after the response.
        permit.forget();
        let permit = Permit(self.clone());
        self.drive((running, permit), guest).await
    }

    /// Runs a guest until it has a response; what it does afterwards goes on beside. What it has `held` is given back after it is gone, with its stack:
    /// parameters and variables are dropped in the reverse of their order.
    async fn drive(self: &Arc<Self>, held: impl Sized + 'static, mut guest: Guest) -> Response<Sent> {
        let mut limit = Limit { deadline: Instant::now() + self.guests.timeout, sleep: None };
        enum Turn {
            Response(Result<Response<Frames>, ErrorCode>),
            Over,
        }
        let mut is_over = false;
        let turn = poll_fn(|cx| {
            // Before the guest: of many that compute, those whose time is over have no further turn.
            let is_late = limit.sleep.is_some() && limit.poll(cx).is_ready();
            if !is_over && !is_late {
                let polled = Pin::new(&mut guest).poll(cx);
                is_over = polled.is_ready();
                if let Poll::Ready(Err(error)) = polled {
                    self.note(&error.to_string());
                }
            }
            match guest.take_response() {
                Some(response) => Poll::Ready(Turn::Response(response)),
                None if is_over => Poll::Ready(Turn::Over),
                None if is_late || limit.poll(cx).is_ready() => {
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
                let mut guest = guest;
                poll_fn(|cx| {
                    if limit.poll(cx).is_ready() {
                        server.note("its time is over");
                        return Poll::Ready(());
                    }
                    Pin::new(&mut guest).poll(cx).map(|result| {
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
        (self.output.message)(&format!("a guest was stopped: {why}"));
    }
}

/// The time that a guest has. It costs nothing where the guest answers at once.
struct Limit {
    deadline: Instant,
    /// Made when it is first polled.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Limit {
    /// Whether the time is over; otherwise it wakes when it is.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(self.deadline.into())));
        sleep.as_mut().poll(context)
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

/// Connections are descriptors: as many as the system lets this process have.
fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Otherwise there are as many as there are.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised);
}
