//! Requests of guests: each over a connection of its own, which ends with it unless the store has an [`HttpPool`].
//!
//! The background thread resolves, connects, shakes hands and sends; the guest finds the response in a [`PendingResponse`]. Redirects are
//! the guest's to follow. A [`Connection`] lives as long as somebody has something of it: the response that is awaited, its
//! body, or the body of the request; when all are gone, it has some time to send what it has taken.

use super::budget::{BODY_BYTES, Charge};
use super::connection::{Connection, not_found};
use super::ctx::HttpCtx;
use super::error::{ErrorCode, Message, of_hyper};
use super::incoming::BoxFrames;
use super::message::{Scheme, port};
use super::outgoing::Frames;
use super::pool::{HttpPool, Origin};
use super::process::OfProcess;
use super::provided::Reply;
use super::runtime;
use super::sender::{Failed, MAX_HEAD};
use super::signal::Signal;
use crate::host::available::{Availability, Available, Direction};
use crate::host::net::Filter;
use ampoule::sync::Mutex;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::HeaderMap;
use hyper::http::uri::{Authority, PathAndQuery};
use hyper::{Method, Request, Response, Uri};
use std::any::Any;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep, sleep, timeout};

/// How long anything may take, where the guest doesn't say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

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
    let origin = to.origin(ctx);
    let pool = ctx.pool.clone();
    let shared = Arc::new(Shared { signal: signal.clone(), answer: Mutex::new(None) });
    let answer = shared.clone();
    let exchange = runtime.spawn(async move {
        let received = exchange(to, origin, pool, request, timeouts, held).await;
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

    /// What the connection has in common with others.
    fn origin(&self, ctx: &HttpCtx) -> Origin {
        Origin { host: self.host().to_ascii_lowercase(), port: self.port, tls: self.is_private.then(|| ctx.tls()) }
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

/// The same request once more, where it may be sent twice (RFC 9110, section 9.2.2): it does no more than once, and has no body.
fn repeated(request: &Request<Frames>) -> Option<Request<Frames>> {
    let may = request.method().is_idempotent() && request.body().is_end_stream();
    may.then(|| {
        let mut again = Request::new(request.body().again());
        *again.method_mut() = request.method().clone();
        *again.uri_mut() = request.uri().clone();
        *again.headers_mut() = request.headers().clone();
        again
    })
}

/// Connects, sends, and waits for the head of the response.
async fn exchange(
    to: Destination,
    origin: Origin,
    pool: Option<Arc<HttpPool>>,
    mut request: Request<Frames>,
    timeouts: Timeouts,
    held: Box<dyn Any + Send>,
) -> Result<(Response<()>, BoxFrames), ErrorCode> {
    let mut held = Some(held);
    let (connection, response) = loop {
        let kept = pool.as_ref().and_then(|pool| pool.take(&origin, to.filter.as_ref()));
        let again = kept.is_some().then(|| repeated(&request));
        let hold = held.take().expect("it comes back with what was not sent");
        let mut connection = match kept {
            Some(kept) => Connection::again(kept, hold),
            None => {
                // One time for all of it.
                let opened = timeout(timeouts.connect, async {
                    Connection::open(origin.clone(), to.addresses().await?, hold).await
                });
                opened.await.map_err(|_| ErrorCode::ConnectionTimeout)??
            }
        };
        let sent = timeout(timeouts.first_byte, connection.send(request));
        let failed = match sent.await.map_err(|_| ErrorCode::ConnectionReadTimeout)? {
            Ok(response) => break (connection, response),
            Err(failed) => failed,
        };
        request = match (again, failed) {
            // The other side has just closed what was kept, and knows nothing of the request.
            (Some(_), Failed { unsent: Some(unsent), .. }) => unsent,
            // It may know of it.
            (Some(Some(again)), Failed { code: ErrorCode::ConnectionTerminated, .. }) => again,
            (_, failed) => return Err(failed.code),
        };
        held = connection.release();
    };
    let (head, body) = response.into_parts();
    let mut frames = ResponseFrames {
        body,
        timer: Box::pin(sleep(timeouts.between_bytes)),
        between_bytes: timeouts.between_bytes,
        is_waiting: false,
        connection: Some(connection),
        pool,
    };
    frames.look();
    Ok((Response::from_parts(head, ()), Box::pin(frames)))
}

/// A response's body. The time that a piece may take begins when it is waited for.
struct ResponseFrames {
    body: Incoming,
    timer: Pin<Box<Sleep>>,
    between_bytes: Duration,
    is_waiting: bool,
    /// Until the body was received whole, where it then is kept.
    connection: Option<Connection>,
    pool: Option<Arc<HttpPool>>,
}

impl ResponseFrames {
    /// Keeps the connection, where nothing comes any more.
    fn look(&mut self) {
        if self.body.is_end_stream()
            && let Some(pool) = &self.pool
            && let Some(connection) = self.connection.take()
        {
            connection.keep(pool);
        }
    }
}

impl Body for ResponseFrames {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.is_waiting = false;
            this.look();
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
