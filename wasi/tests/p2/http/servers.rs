//! Servers on the loopback, of which there are others in [`crate::servers`]: of plain bytes, slow ones, and servers of any number of
//! connections, which are counted.

use crate::servers::{Text, over_http2};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

pub use crate::servers::{CERTIFICATE, answering_by_http2, answering_privately, read_head, serve, serve_on};

/// The same, where the system keeps about so many bytes that were not read.
pub fn serve_with_buffer<T: Send + 'static>(
    bytes: usize,
    handle: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback");
    rustix::net::sockopt::set_socket_recv_buffer_size(&listener, bytes).expect("a size");
    serve_on(listener, handle)
}

/// Answers with these bytes, whatever comes, and gives back the head of the request.
pub fn answering(answer: &'static [u8]) -> (String, JoinHandle<String>) {
    serve(move |mut stream| {
        let head = read_head(&mut stream);
        stream.write_all(answer).expect("written");
        head
    })
}

/// A server of any number of connections.
pub struct Counted {
    pub address: String,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Counted {
    /// How many there have been.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many there are.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Each is handled on a thread of its own.
    fn new(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback");
        let address = listener.local_addr().expect("bound").to_string();
        let (connections, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let server = Self { address, connections: connections.clone(), open: open.clone() };
        let handle = Arc::new(handle);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                connections.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                let (handle, open) = (handle.clone(), open.clone());
                std::thread::spawn(move || {
                    handle(stream);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        server
    }
}

/// Answers so many requests of each connection with `hello`, and then closes it.
pub fn answering_all(requests: usize) -> Counted {
    Counted::new(move |mut stream| {
        for _ in 0..requests {
            if read_head(&mut stream).is_empty() {
                return;
            }
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").is_err() {
                return;
            }
        }
    })
}

/// Answers one request of a connection with `hello`, and ends it at the next, which it has received.
pub fn answering_one_and_ending_at_the_next() -> Counted {
    Counted::new(|mut stream| {
        read_head(&mut stream);
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").is_ok() {
            read_head(&mut stream);
        }
    })
}

/// Answers all requests over TLS and HTTP/2 with `hello`.
pub fn answering_all_by_http2() -> Counted {
    Counted::new(|stream| {
        let service = service_fn(|_: Request<Incoming>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Text::new(b"hello")))
        });
        over_http2(stream, service);
    })
}
