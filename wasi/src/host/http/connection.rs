//! A connection of one request: made for it, or taken from those that are kept.

use super::error::{DnsError, ErrorCode};
use super::outgoing::Frames;
use super::pool::{HttpPool, Idle, Origin};
use super::sender::{Failed, Sender};
use super::{runtime, tls};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a connection that nobody waits for any more may take to send the rest.
const LINGER: Duration = Duration::from_secs(30);

/// A connection. When it is dropped, what it has taken is still sent.
pub struct Connection {
    /// Until it is dropped.
    sender: Option<Sender>,
    origin: Origin,
    address: SocketAddr,
    /// Dropped when the connection is gone, or without this request.
    held: Option<Box<dyn Any + Send>>,
}

impl Connection {
    /// To the first of these addresses that has one.
    ///
    /// # Errors
    /// None has.
    pub async fn open(
        origin: Origin,
        addresses: Vec<SocketAddr>,
        held: Box<dyn Any + Send>,
    ) -> Result<Self, ErrorCode> {
        let (stream, address) = connect(addresses).await?;
        let sender = match &origin.tls {
            None => Sender::http1(TokioIo::new(stream)).await?,
            Some(config) => {
                let name = origin.host.clone().try_into().map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
                let connected = TlsConnector::from(config.clone()).connect(name, stream).await;
                let stream = connected.map_err(|error| tls::error_of(&error))?;
                if tls::is_http2(stream.get_ref().1.alpn_protocol()) {
                    Sender::http2(TokioIo::new(stream)).await?
                } else {
                    Sender::http1(TokioIo::new(stream)).await?
                }
            }
        };
        Ok(Self { sender: Some(sender), origin, address, held: Some(held) })
    }

    /// One that was kept.
    pub fn again(idle: Idle, held: Box<dyn Any + Send>) -> Self {
        Self { sender: Some(idle.sender), origin: idle.origin, address: idle.address, held: Some(held) }
    }

    /// Sends a request, and waits for the head of its response.
    ///
    /// # Errors
    /// There is none.
    pub async fn send(&mut self, request: Request<Frames>) -> Result<Response<Incoming>, Failed> {
        self.sender.as_mut().expect("it isn't dropped yet").send(request).await
    }

    /// Lets go of what was held for its request.
    pub fn release(&mut self) -> Option<Box<dyn Any + Send>> {
        self.held.take()
    }

    /// Keeps it for further requests, once the rest of this one is sent: its response was received whole.
    pub fn keep(mut self, pool: &Arc<HttpPool>) {
        let (Ok(runtime), Some(mut sender)) = (runtime::handle(), self.sender.take()) else { return };
        let pool = pool.clone();
        let (origin, address, held) = (self.origin.clone(), self.address, self.held.take());
        runtime.spawn(async move {
            if timeout(LINGER, sender.ready()).await == Ok(true) {
                pool.put(Idle { origin, address, sender, since: Instant::now() });
            } else {
                sender.finish(Duration::ZERO).await;
            }
            drop(held);
        });
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(sender) = self.sender.take() else { return };
        let held = self.held.take();
        if let Ok(runtime) = runtime::handle()
            && !sender.is_over()
        {
            runtime.spawn(async move {
                sender.finish(LINGER).await;
                drop(held);
            });
        }
    }
}

async fn connect(addresses: Vec<SocketAddr>) -> Result<(TcpStream, SocketAddr), ErrorCode> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Messages are written whole.
                let _ = stream.set_nodelay(true);
                return Ok((stream, address));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(not_found, |error| of_connecting(&error)))
}

/// There is no such host.
pub fn not_found() -> ErrorCode {
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
