//! Servers on the loopback, each for one connection, with TLS or without.
//!
//! `localhost.der` is a certificate for `localhost` and `127.0.0.1` that has signed itself, `localhost.key.der` its key.

use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

/// The certificate that guests have to trust.
pub const CERTIFICATE: &[u8] = include_bytes!("localhost.der");

/// Listens, and handles the first connection on a thread of its own. The address is `127.0.0.1` with a port.
pub fn serve<T: Send + 'static>(handle: impl FnOnce(TcpStream) -> T + Send + 'static) -> (String, JoinHandle<T>) {
    serve_on(TcpListener::bind("127.0.0.1:0").expect("the loopback"), handle)
}

/// The same on this listener.
pub fn serve_on<T: Send + 'static>(
    listener: TcpListener,
    handle: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let address = listener.local_addr().expect("bound").to_string();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
        handle(stream)
    });
    (address, thread)
}

/// Reads up to the empty line.
pub fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("more of the head") > 0 {
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

fn tls_config(protocols: &[&[u8]]) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(include_bytes!("localhost.key.der").as_slice().into());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("known");
    let builder = builder.with_no_client_auth();
    let mut config = builder.with_single_cert(vec![CERTIFICATE.into()], key).expect("a certificate and its key");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// Answers with these bytes over TLS, and gives back the head of the request. Where the guest breaks it off, there is no head.
pub fn answering_privately(answer: &'static [u8]) -> (String, JoinHandle<Option<String>>) {
    serve(move |stream| {
        let connection = ServerConnection::new(tls_config(&[b"http/1.1"])).expect("configured");
        let mut stream = StreamOwned::new(connection, stream);
        stream.flush().ok()?;
        let head = read_head(&mut stream);
        stream.write_all(answer).ok()?;
        stream.conn.send_close_notify();
        stream.flush().ok()?;
        Some(head)
    })
}

/// A body that is there at once, with a trailer.
pub struct Text(Option<&'static [u8]>, bool);

impl Text {
    pub fn new(text: &'static [u8]) -> Self {
        Self(Some(text), false)
    }
}

impl Body for Text {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(text) = self.0.take() {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text)))));
        }
        if std::mem::replace(&mut self.1, true) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::new();
        trailers.append("x-trailer", HeaderValue::from_static("t"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

/// Serves what comes over TLS and HTTP/2, where the guest doesn't break it off.
pub fn over_http2<S>(stream: TcpStream, service: S)
where
    S: HttpService<Incoming, ResBody = Text, Error = std::convert::Infallible>,
    S::Future: Send + 'static,
{
    stream.set_nonblocking(true).expect("a mode");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let stream = tokio::net::TcpStream::from_std(stream).expect("registered");
        let tls = tokio_rustls::TlsAcceptor::from(tls_config(&[b"h2"]));
        if let Ok(stream) = tls.accept(stream).await {
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        }
    });
}

/// Answers over TLS and HTTP/2 with `hello`, and gives back how the request has come: version, address, `host`.
pub fn answering_by_http2() -> (String, JoinHandle<(Version, String, Option<String>)>) {
    serve(|stream| {
        let told = Arc::new(std::sync::Mutex::new(None));
        let tell = told.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let host = request.headers().get("host").map(|host| host.to_str().expect("text").to_owned());
            *tell.lock().expect("whole") = Some((request.version(), request.uri().to_string(), host));
            async { Ok::<_, std::convert::Infallible>(Response::new(Text::new(b"hello"))) }
        });
        over_http2(stream, service);
        told.lock().expect("whole").take().expect("a request")
    })
}
