//! Requests of guests: each over a connection of its own, which ends with it.
//!
//! The background thread resolves, connects, shakes hands and sends; the guest finds the response in a [`PendingResponse`]. Redirects are
//! the guest's to follow. A connection lives as long as somebody has something of it: the response that is awaited, its
//! body, or the body of the request; when all are gone, it has [`LINGER`] to send what it has taken.

use super::budget::{BODY_BYTES, Charge};
use super::ctx::HttpCtx;
use super::error::{DnsError, ErrorCode, Message, of_hyper};
use super::fields::MAX_BYTES;
use super::incoming::BoxFrames;
use super::message::{Scheme, port};
use super::outgoing::Frames;
use super::process::OfProcess;
use super::provided::Reply;
use super::signal::Signal;
use super::{runtime, tls};
use crate::host::available::{Availability, Available, Direction};
use crate::host::net::Filter;
use ampoule::sync::Mutex;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::{http1, http2};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery};
use hyper::rt::{Read, Write};
use hyper::{Method, Request, Response, Uri, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::any::Any;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsConnector;

/// How long anything may take, where the guest doesn't say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// How long a connection that nobody waits for any more may take to send the rest.
const LINGER: Duration = Duration::from_secs(30);

/// The most headers of a response; more than fit into [`MAX_BYTES`] need not be read.
const MAX_HEADERS: usize = 4096;

/// How much `hyper` reads ahead of a head, at most.
const MAX_HEAD: usize = MAX_BYTES + (32 << 10);

/// What a connection is charged with: what its head may have, and a body each way.
pub const CONNECTION_BYTES: usize = MAX_HEAD + 2 * BODY_BYTES;

/// How long a guest waits.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection: from the name to the last handshake.
    pub connect: Duration,
    /// For the head of the response, once there is a connection.
    pub first_byte: Duration,
    /// For each piece of its body.
    pub between_bytes: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: DEFAULT_TIMEOUT, first_byte: DEFAULT_TIMEOUT, between_bytes: DEFAULT_TIMEOUT }
    }
}

/// A request.
#[derive(Debug)]
pub struct Outgoing {
    /// Its method.
    pub method: Method,
    /// Its scheme; without one, it is `https`.
    pub scheme: Option<Scheme>,
    /// Whom it is sent to.
    pub authority: Option<String>,
    /// What it asks for; without it, `/`.
    pub path: Option<String>,
    /// Its headers, without those of the host.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Frames,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// Where it may be sent to, if not anywhere.
    pub filter: Option<Filter>,
}

/// A response's head, and where its body comes from.
pub struct Received {
    /// The head.
    pub head: Response<()>,
    /// The body.
    pub frames: BoxFrames,
    /// What was charged for the connection.
    pub charge: Charge,
}

/// A response that may be there.
pub struct PendingResponse {
    shared: Arc<Shared>,
    exchange: Option<OfProcess<AbortHandle>>,
}

/// Where the response is put.
pub(super) struct Shared {
    signal: Arc<Signal>,
    answer: Mutex<Option<Result<Received, ErrorCode>>>,
}

impl Shared {
    /// Puts it there, and tells the guest.
    pub(super) fn put(&self, answer: Result<Received, ErrorCode>) {
        *self.answer.lock() = Some(answer);
        self.signal.notify();
    }
}

impl PendingResponse {
    /// Whether it can be taken.
    pub fn is_ready(&self) -> bool {
        self.is_lost() || self.shared.answer.lock().is_some()
    }

    /// Takes it, once it is there.
    pub fn take(&mut self) -> Option<Result<Received, ErrorCode>> {
        if self.is_lost() {
            return Some(Err(ErrorCode::ConnectionTerminated));
        }
        let answer = self.shared.answer.lock().take();
        if answer.is_some() {
            self.exchange = None;
        }
        answer
    }

    /// Whether this is a forked child, to which nobody will give it.
    fn is_lost(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.get().is_none())
    }
}

impl fmt::Debug for PendingResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingResponse").finish_non_exhaustive()
    }
}

/// When it can be taken.
impl Available for PendingResponse {
    fn available(&self, _: Direction) -> Availability<'_> {
        if self.is_ready() { Availability::Ready } else { Availability::Signalled }
    }
}

impl Drop for PendingResponse {
    fn drop(&mut self) {
        // Nobody waits for it any more.
        if let Some(exchange) = self.exchange.as_ref().and_then(OfProcess::get) {
            exchange.abort();
        }
    }
}

/// Sends a request. `held` is kept until the connection is gone.
///
/// # Errors
/// It can't be sent, whatever the other side says.
pub fn send(
    ctx: &HttpCtx,
    signal: &Arc<Signal>,
    request: Outgoing,
    held: Box<dyn Any + Send>,
) -> Result<PendingResponse, ErrorCode> {
    if !ctx.outgoing && ctx.provider.is_none() {
        return Err(ErrorCode::HttpRequestDenied);
    }
    let to = Destination::of(&request)?;
    if let Some(provider) = &ctx.provider {
        let charge = ctx.budget.charge(CONNECTION_BYTES).map_err(|_| ErrorCode::ConnectionLimitReached)?;
        let shared = Arc::new(Shared { signal: signal.clone(), answer: Mutex::new(None) });
        provider.send(request, Reply::new(shared.clone(), charge, held));
        return Ok(PendingResponse { shared, exchange: None });
    }
    to.check()?;
    let timeouts = request.timeouts;
    let request = to.request(request)?;
    let charge = ctx.budget.charge(CONNECTION_BYTES).map_err(|_| ErrorCode::ConnectionLimitReached)?;
    let runtime = runtime::handle().map_err(|_| ErrorCode::InternalError(Some("no thread for connections")))?;
    let tls = to.is_private.then(|| TlsConnector::from(ctx.tls()));
    let shared = Arc::new(Shared { signal: signal.clone(), answer: Mutex::new(None) });
    let answer = shared.clone();
    let exchange = runtime.spawn(async move {
        let received = exchange(to, tls, request, timeouts, held).await;
        let received = received.map(|(head, frames)| Received { head, frames, charge });
        answer.put(received);
    });
    Ok(PendingResponse { shared, exchange: Some(OfProcess::new(exchange.abort_handle())) })
}

/// Where a request goes.
struct Destination {
    authority: Authority,
    port: u16,
    is_private: bool,
    filter: Option<Filter>,
}

impl Destination {
    fn of(request: &Outgoing) -> Result<Self, ErrorCode> {
        let is_private = match &request.scheme {
            Some(Scheme::Http) => false,
            Some(Scheme::Https) | None => true,
            Some(Scheme::Other(_)) => return Err(ErrorCode::HttpProtocolError),
        };
        let authority = request.authority.as_deref().ok_or(ErrorCode::HttpRequestUriInvalid)?;
        let authority = Authority::from_str(authority).map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
        if authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(ErrorCode::HttpRequestUriInvalid);
        }
        let default = if is_private { 443 } else { 80 };
        let port = port(&authority).map_err(|_| ErrorCode::HttpRequestUriInvalid)?.unwrap_or(default);
        Ok(Self { authority, port, is_private, filter: request.filter.clone() })
    }

    /// Whether the name may be looked up, or the address connected to.
    fn check(&self) -> Result<(), ErrorCode> {
        let Some(filter) = &self.filter else { return Ok(()) };
        let permitted = match IpAddr::from_str(self.host()) {
            Ok(address) => filter.permits(&SocketAddr::new(address, self.port)),
            Err(_) => filter.permits_name(self.host()),
        };
        if permitted { Ok(()) } else { Err(ErrorCode::HttpRequestDenied) }
    }

    /// The addresses that may be connected to.
    async fn addresses(&self) -> Result<Vec<SocketAddr>, ErrorCode> {
        let addresses: Vec<SocketAddr> =
            lookup_host((self.host(), self.port)).await.map_err(|_| not_found())?.collect();
        let Some(filter) = &self.filter else { return Ok(addresses) };
        if IpAddr::from_str(self.host()).is_err() {
            // Notes them, for the question below.
            filter.found(self.host(), addresses.iter().map(SocketAddr::ip).collect());
        }
        let permitted: Vec<SocketAddr> = addresses.into_iter().filter(|address| filter.permits(address)).collect();
        if permitted.is_empty() { Err(ErrorCode::DestinationIpProhibited) } else { Ok(permitted) }
    }

    /// The host without brackets.
    fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The request for `hyper`, with the whole address: for HTTP/1.1 only the path is kept.
    fn request(&self, outgoing: Outgoing) -> Result<Request<Frames>, ErrorCode> {
        let path = outgoing.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
        // A query alone is one of the root.
        let rooted = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        let path = PathAndQuery::from_str(&rooted).map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
        let uri = Uri::builder()
            .scheme(if self.is_private { "https" } else { "http" })
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
        let mut request = Request::new(outgoing.body);
        *request.method_mut() = outgoing.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = outgoing.headers;
        Ok(request)
    }
}

/// Connects, sends, and waits for the head of the response.
async fn exchange(
    to: Destination,
    tls: Option<TlsConnector>,
    request: Request<Frames>,
    timeouts: Timeouts,
    held: Box<dyn Any + Send>,
) -> Result<(Response<()>, BoxFrames), ErrorCode> {
    // One time for all of it.
    let connected = timeout(timeouts.connect, Connection::open(&to, tls, held));
    let mut connection = connected.await.map_err(|_| ErrorCode::ConnectionTimeout)??;
    let sent = timeout(timeouts.first_byte, connection.send(request));
    let response = sent.await.map_err(|_| ErrorCode::ConnectionReadTimeout)??;
    let (head, body) = response.into_parts();
    let frames = ResponseFrames {
        body,
        timer: Box::pin(sleep(timeouts.between_bytes)),
        between_bytes: timeouts.between_bytes,
        is_waiting: false,
        _connection: connection,
    };
    Ok((Response::from_parts(head, ()), Box::pin(frames)))
}

/// A connection. When it is dropped, what it has taken is still sent.
struct Connection {
    sender: Sender,
    driver: JoinHandle<()>,
}

enum Sender {
    Http1(http1::SendRequest<Frames>),
    Http2(http2::SendRequest<Frames>),
}

impl Connection {
    async fn open(to: &Destination, tls: Option<TlsConnector>, held: Box<dyn Any + Send>) -> Result<Self, ErrorCode> {
        let stream = connect(to).await?;
        let Some(tls) = tls else { return Self::http1(TokioIo::new(stream), held).await };
        let name = to.host().to_owned().try_into().map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
        let stream = tls.connect(name, stream).await.map_err(|error| tls::error_of(&error))?;
        if tls::is_http2(stream.get_ref().1.alpn_protocol()) {
            Self::http2(TokioIo::new(stream), held).await
        } else {
            Self::http1(TokioIo::new(stream), held).await
        }
    }

    async fn http1(
        stream: impl Read + Write + Unpin + Send + 'static,
        held: Box<dyn Any + Send>,
    ) -> Result<Self, ErrorCode> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
        let (sender, connection) =
            builder.handshake(stream).await.map_err(|error| of_hyper(&error, Message::Response))?;
        let driver = tokio::spawn(async move {
            // What goes wrong is told to who sends and who reads.
            let _ = connection.await;
            drop(held);
        });
        Ok(Self { sender: Sender::Http1(sender), driver })
    }

    async fn http2(
        stream: impl Read + Write + Unpin + Send + 'static,
        held: Box<dyn Any + Send>,
    ) -> Result<Self, ErrorCode> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(BODY_BYTES as u32)
            .initial_connection_window_size(BODY_BYTES as u32)
            .max_send_buf_size(BODY_BYTES)
            .max_header_list_size(MAX_HEAD as u32)
            .max_concurrent_reset_streams(8);
        let (sender, connection) =
            builder.handshake(stream).await.map_err(|error| of_hyper(&error, Message::Response))?;
        let driver = tokio::spawn(async move {
            let _ = connection.await;
            drop(held);
        });
        Ok(Self { sender: Sender::Http2(sender), driver })
    }

    async fn send(&mut self, mut request: Request<Frames>) -> Result<Response<Incoming>, ErrorCode> {
        let sent = match &mut self.sender {
            Sender::Http1(sender) => {
                let authority = request.uri().authority().expect("it was built with one").as_str();
                let host = HeaderValue::from_str(authority).map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
                request.headers_mut().insert(HOST, host);
                let uri = request.uri();
                *request.uri_mut() = if request.method() == Method::CONNECT {
                    Uri::from(uri.authority().cloned().expect("as above"))
                } else {
                    Uri::from(uri.path_and_query().cloned().expect("it was built with one"))
                };
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                *request.version_mut() = Version::HTTP_2;
                sender.send_request(request).await
            }
        };
        sent.map_err(|error| of_hyper(&error, Message::Response))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let driver = self.driver.abort_handle();
        if let Ok(runtime) = runtime::handle()
            && !driver.is_finished()
        {
            runtime.spawn(async move {
                sleep(LINGER).await;
                driver.abort();
            });
        }
    }
}

/// A connection to the first of the host's addresses that has one.
async fn connect(to: &Destination) -> Result<TcpStream, ErrorCode> {
    let mut last = None;
    for address in to.addresses().await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Messages are written whole.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(not_found, |error| of_connecting(&error)))
}

fn not_found() -> ErrorCode {
    ErrorCode::DnsError(DnsError { rcode: Some("address not available"), info_code: None })
}

fn of_connecting(error: &io::Error) -> ErrorCode {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorCode::ConnectionRefused,
        io::ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => ErrorCode::DestinationIpUnroutable,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => ErrorCode::ConnectionTerminated,
        io::ErrorKind::PermissionDenied => ErrorCode::DestinationIpProhibited,
        _ => ErrorCode::DestinationUnavailable,
    }
}

/// A response's body. The time that a piece may take begins when it is waited for.
struct ResponseFrames {
    body: Incoming,
    timer: Pin<Box<Sleep>>,
    between_bytes: Duration,
    is_waiting: bool,
    _connection: Connection,
}

impl Body for ResponseFrames {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.is_waiting = false;
            let of_body = |error: hyper::Error| match of_hyper(&error, Message::Response) {
                ErrorCode::ConnectionTerminated => ErrorCode::HttpResponseIncomplete,
                code => code,
            };
            return Poll::Ready(frame.map(|frame| frame.map_err(of_body)));
        }
        if !std::mem::replace(&mut this.is_waiting, true)
            && let Some(deadline) = Instant::now().checked_add(this.between_bytes)
        {
            this.timer.as_mut().reset(deadline);
        }
        ready!(this.timer.as_mut().poll(context));
        Poll::Ready(Some(Err(ErrorCode::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
