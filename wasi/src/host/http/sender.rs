//! What requests are sent over: a connection with its handshakes done, and the task that moves its bytes.

use super::budget::BODY_BYTES;
use super::error::{ErrorCode, Message, of_hyper};
use super::fields::MAX_BYTES;
use super::outgoing::Frames;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::header::{HOST, HeaderValue};
use hyper::rt::{Read, Write};
use hyper::{Method, Request, Response, Uri, Version};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The most headers of a response; more than fit into [`MAX_BYTES`] need not be read.
const MAX_HEADERS: usize = 4096;

/// How much `hyper` reads ahead of a head, at most.
pub const MAX_HEAD: usize = MAX_BYTES + (32 << 10);

/// One end of a connection, for one request at a time. The other is the task's.
pub struct Sender {
    version: OfVersion,
    driver: JoinHandle<()>,
}

enum OfVersion {
    Http1(http1::SendRequest<Frames>),
    Http2(http2::SendRequest<Frames>),
}

/// Why there is no response, and the request where nothing of it was sent.
pub struct Failed {
    pub code: ErrorCode,
    pub unsent: Option<Request<Frames>>,
}

impl Sender {
    /// Over these bytes.
    ///
    /// # Errors
    /// The handshake fails.
    pub async fn http1(stream: impl Read + Write + Unpin + Send + 'static) -> Result<Self, ErrorCode> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
        let (sender, connection) =
            builder.handshake(stream).await.map_err(|error| of_hyper(&error, Message::Response))?;
        // What goes wrong is told to who sends and who reads.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { version: OfVersion::Http1(sender), driver })
    }

    /// The same by HTTP/2.
    ///
    /// # Errors
    /// The handshake fails.
    pub async fn http2(stream: impl Read + Write + Unpin + Send + 'static) -> Result<Self, ErrorCode> {
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
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { version: OfVersion::Http2(sender), driver })
    }

    /// Sends a request with its whole address, and waits for the head of the response.
    ///
    /// # Errors
    /// There is none.
    pub async fn send(&mut self, mut request: Request<Frames>) -> Result<Response<Incoming>, Failed> {
        let whole = request.uri().clone();
        let sent = match &mut self.version {
            OfVersion::Http1(sender) => {
                let authority = whole.authority().expect("it was built with one");
                let Ok(host) = HeaderValue::from_str(authority.as_str()) else {
                    return Err(Failed { code: ErrorCode::HttpRequestUriInvalid, unsent: None });
                };
                request.headers_mut().insert(HOST, host);
                *request.uri_mut() = if request.method() == Method::CONNECT {
                    Uri::from(authority.clone())
                } else {
                    Uri::from(whole.path_and_query().cloned().expect("it was built with one"))
                };
                sender.try_send_request(request).await
            }
            OfVersion::Http2(sender) => {
                *request.version_mut() = Version::HTTP_2;
                sender.try_send_request(request).await
            }
        };
        sent.map_err(|mut error: TrySendError<_>| {
            let unsent = error.take_message().map(|mut request| {
                *request.uri_mut() = whole;
                *request.version_mut() = Version::default();
                request.headers_mut().remove(HOST);
                request
            });
            Failed { code: of_hyper(&error.into_error(), Message::Response), unsent }
        })
    }

    /// Whether a request would be taken now.
    pub fn is_ready(&self) -> bool {
        match &self.version {
            OfVersion::Http1(sender) => sender.is_ready(),
            OfVersion::Http2(sender) => sender.is_ready(),
        }
    }

    /// Waits until a request would be taken; no, where none ever will.
    pub async fn ready(&mut self) -> bool {
        match &mut self.version {
            OfVersion::Http1(sender) => sender.ready().await.is_ok(),
            OfVersion::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Whether the connection is gone.
    pub fn is_over(&self) -> bool {
        self.driver.is_finished()
    }

    /// Sends no more requests: the connection has so long to send what it has taken.
    pub async fn finish(self, time: Duration) {
        let Self { version, mut driver } = self;
        drop(version);
        if timeout(time, &mut driver).await.is_err() {
            driver.abort();
        }
    }
}
