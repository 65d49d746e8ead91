//! `wasi:io`: errors, waiting, streams of bytes.

use super::call::{Cx, Error, Fail};
use super::http::bodies::FutureTrailers;
use super::http::outgoing::FutureIncomingResponse;
use super::resources::{Handle, Own, Resources};
use super::sockets::{IncomingDatagramStream, OutgoingDatagramStream, ResolveAddressStream, TcpSocket, UdpSocketEntry};
use super::values::{Bytes, IntoVal, val_of};
use crate::host::clocks::Clock;
use crate::host::input::{self, InputStream, Source};
use crate::host::output::{OutputStream, Sink};
use crate::host::poll::{Interest, Poll};
use crate::host::{self, Host};
use ampoule_component::Val;
use std::collections::HashMap;

/// What a stream has failed with.
#[derive(Debug)]
pub struct IoError {
    /// What the host says.
    pub error: host::Error,
    /// What kind of stream it was.
    pub origin: Origin,
}

/// Where an error comes from: who has a code for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A standard stream or a file.
    File,
    /// A socket, or a message over one.
    Socket,
}

/// `error.to-debug-string`
pub fn to_debug_string(cx: &mut Cx<'_>, this: Handle<IoError>) -> Result<String, Error> {
    Ok(cx.entry(this)?.1.error.to_string())
}

/// Something to wait for.
#[derive(Clone, Copy, Debug)]
pub enum Pollable {
    /// The monotonic clock to show this.
    Time(u64),
    /// Something to read.
    Input(Handle<InputStream>),
    /// Something to write.
    Output(Handle<OutputStream>),
    /// A connection made or asked for.
    Tcp(Handle<TcpSocket>),
    /// Datagrams.
    Udp(Handle<UdpSocketEntry>),
    /// Datagrams to receive.
    Incoming(Handle<IncomingDatagramStream>),
    /// Datagrams that may be sent.
    Outgoing(Handle<OutgoingDatagramStream>),
    /// Addresses found.
    Lookup(Handle<ResolveAddressStream>),
    /// A response.
    Response(Handle<FutureIncomingResponse>),
    /// The trailers of a body.
    Trailers(Handle<FutureTrailers>),
}

impl Pollable {
    /// What it waits for: equal where that is the same.
    fn target(self) -> (u8, u64) {
        match self {
            Self::Time(deadline) => (0, deadline),
            Self::Input(stream) => (1, stream.rep().into()),
            Self::Output(stream) => (2, stream.rep().into()),
            Self::Tcp(socket) => (3, socket.rep().into()),
            Self::Udp(socket) => (4, socket.rep().into()),
            Self::Incoming(stream) => (5, stream.rep().into()),
            Self::Outgoing(stream) => (6, stream.rep().into()),
            Self::Lookup(stream) => (7, stream.rep().into()),
            Self::Response(response) => (8, response.rep().into()),
            Self::Trailers(trailers) => (9, trailers.rep().into()),
        }
    }

    /// Whether another thread tells by the host's signal when it is there.
    fn is_signalled(self, resources: &Resources) -> Result<bool, Error> {
        Ok(match self {
            Self::Response(_) | Self::Trailers(_) => true,
            Self::Input(stream) => matches!(resources.get(stream)?.source(), Source::Http(_)),
            Self::Output(stream) => matches!(resources.get(stream)?.sink(), Sink::Http(_)),
            _ => false,
        })
    }

    fn interest<'a>(self, host: &'a Host, resources: &'a Resources) -> Result<Interest<'a>, Error> {
        Ok(match self {
            Self::Time(deadline) => Interest::Time { clock: Clock::Monotonic, deadline },
            Self::Input(stream) => Interest::Read(resources.get(stream)?.readiness(host)),
            Self::Output(stream) => Interest::Write(resources.get(stream)?.readiness(host)),
            Self::Tcp(socket) => resources.get(socket)?.interest(),
            Self::Udp(socket) => Interest::Write(resources.get(socket)?.readiness()),
            Self::Incoming(stream) => Interest::Read(resources.get(stream)?.readiness()),
            Self::Outgoing(stream) => Interest::Write(resources.get(stream)?.readiness()),
            Self::Lookup(stream) => Interest::Read(resources.get(stream)?.readiness()),
            Self::Response(response) => Interest::Read(resources.get(response)?.readiness()),
            Self::Trailers(trailers) => Interest::Read(resources.get(trailers)?.readiness()),
        })
    }
}

/// A clock that has always shown this: with it, nothing is waited for.
const NOW: Interest<'static> = Interest::Time { clock: Clock::Monotonic, deadline: 0 };

/// Waits for one of these at least, and says which there are. With `NOW` among them, only looks.
fn wait_for(cx: &mut Cx<'_>, pollables: &[Pollable], only_look: bool) -> Result<Vec<usize>, Error> {
    cx.retry(|cx| try_for(cx, pollables, only_look))
}

fn try_for(cx: &mut Cx<'_>, pollables: &[Pollable], only_look: bool) -> Result<Vec<usize>, Error> {
    let (host, resources) = cx.parts();
    let mut is_signalled = false;
    for pollable in pollables {
        is_signalled |= pollable.is_signalled(resources)?;
    }
    host.with_waiter(|host, waiter| {
        let mut interests =
            pollables.iter().map(|pollable| pollable.interest(host, resources)).collect::<Result<Vec<_>, _>>()?;
        if only_look {
            interests.push(NOW);
        }
        let mut poll = Poll::new(interests);
        if is_signalled {
            poll = poll.signalled_by(&host.signal);
        }
        poll.wait(&host.clocks, waiter)?;
        Ok(poll.events().map(|(index, _)| index).collect())
    })
}

/// `pollable.ready`
pub fn ready(cx: &mut Cx<'_>, this: Handle<Pollable>) -> Result<bool, Error> {
    let pollable = *cx.entry(this)?.1;
    is_ready(cx, pollable)
}

pub(super) fn is_ready(cx: &mut Cx<'_>, pollable: Pollable) -> Result<bool, Error> {
    Ok(wait_for(cx, &[pollable], true)?.contains(&0))
}

/// `pollable.block`
pub fn block(cx: &mut Cx<'_>, this: Handle<Pollable>) -> Result<(), Error> {
    let pollable = *cx.entry(this)?.1;
    wait_for(cx, &[pollable], false)?;
    Ok(())
}

/// `poll`: which of these are ready, once there is one.
pub fn poll(cx: &mut Cx<'_>, handles: Vec<Handle<Pollable>>) -> Result<Vec<u32>, Error> {
    if handles.is_empty() {
        return Err(Error::message("empty poll list"));
    }
    // The same thing may be waited for many times, and the system's list is bounded.
    let mut places = HashMap::new();
    let mut pollables = Vec::new();
    let mut place_of = Vec::with_capacity(handles.len());
    for handle in handles {
        let pollable = *cx.entry(handle)?.1;
        place_of.push(*places.entry(pollable.target()).or_insert_with(|| {
            pollables.push(pollable);
            pollables.len() - 1
        }));
    }
    let mut is_ready = vec![false; pollables.len()];
    for index in wait_for(cx, &pollables, false)? {
        is_ready[index] = true;
    }
    let ready = place_of.into_iter().enumerate().filter(|&(_, place)| is_ready[place]);
    // Fits: a list has fewer than 2^32 elements.
    Ok(ready.map(|(index, _)| index as u32).collect())
}

/// `stream-error`
#[derive(Debug)]
pub enum StreamError {
    /// `last-operation-failed`
    LastOperationFailed(IoError),
    /// `closed`
    Closed,
}

impl IntoVal for StreamError {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        Ok(Some(match self {
            Self::Closed => Val::variant("closed", None),
            Self::LastOperationFailed(error) => {
                Val::variant("last-operation-failed", Some(val_of(Own::new(error), cx)?))
            }
        }))
    }
}

type StreamResult<T> = Result<T, Fail<StreamError>>;

impl Fail<StreamError> {
    fn of(error: input::StreamError, origin: Origin) -> Self {
        match error {
            input::StreamError::Closed => Self::Err(StreamError::Closed),
            input::StreamError::Failed(error @ (host::Error::Interrupted | host::Error::MustWait)) => {
                Self::End(error.into())
            }
            input::StreamError::Failed(error) => Self::Err(StreamError::LastOperationFailed(IoError { error, origin })),
        }
    }
}

/// Runs what may wait for a stream to read, and fail with it.
fn with_input<T>(
    cx: &mut Cx<'_>,
    this: Handle<InputStream>,
    mut run: impl FnMut(&mut InputStream, &mut Host) -> Result<T, input::StreamError>,
) -> StreamResult<T> {
    cx.retry(|cx| {
        let (host, stream) = cx.entry(this)?;
        run(stream, host).map_err(|error| {
            let of_socket = matches!(stream.source(), Source::Connection(_) | Source::Http(_));
            Fail::<StreamError>::of(error, if of_socket { Origin::Socket } else { Origin::File })
        })
    })
}

/// The same of one to write.
fn with_output<T>(
    cx: &mut Cx<'_>,
    this: Handle<OutputStream>,
    mut run: impl FnMut(&mut OutputStream, &mut Host) -> Result<T, input::StreamError>,
) -> StreamResult<T> {
    cx.retry(|cx| {
        let (host, stream) = cx.entry(this)?;
        run(stream, host).map_err(|error| {
            let of_socket = matches!(stream.sink(), Sink::Connection(_) | Sink::Http(_));
            Fail::<StreamError>::of(error, if of_socket { Origin::Socket } else { Origin::File })
        })
    })
}

/// `input-stream.read`
pub fn read(cx: &mut Cx<'_>, this: Handle<InputStream>, len: u64) -> StreamResult<Bytes> {
    with_input(cx, this, |stream, host| stream.try_read(host, len).map(Bytes))
}

/// `input-stream.blocking-read`
pub fn blocking_read(cx: &mut Cx<'_>, this: Handle<InputStream>, len: u64) -> StreamResult<Bytes> {
    with_input(cx, this, |stream, host| stream.read(host, len).map(Bytes))
}

/// `input-stream.skip`
pub fn skip(cx: &mut Cx<'_>, this: Handle<InputStream>, len: u64) -> StreamResult<u64> {
    with_input(cx, this, |stream, host| Ok(stream.try_read(host, len)?.len() as u64))
}

/// `input-stream.blocking-skip`
pub fn blocking_skip(cx: &mut Cx<'_>, this: Handle<InputStream>, len: u64) -> StreamResult<u64> {
    with_input(cx, this, |stream, host| Ok(stream.read(host, len)?.len() as u64))
}

/// `input-stream.subscribe`
pub fn subscribe_input(cx: &mut Cx<'_>, this: Handle<InputStream>) -> Result<Own<Pollable>, Error> {
    cx.entry(this)?;
    Ok(Own::child_of(Pollable::Input(this), this.rep()))
}

/// The most bytes of a blocking write.
const MAX_BLOCKING_WRITE: usize = 4096;

/// `output-stream.check-write`
pub fn check_write(cx: &mut Cx<'_>, this: Handle<OutputStream>) -> StreamResult<u64> {
    with_output(cx, this, |stream, host| Ok(stream.check_write(host)? as u64))
}

/// Whether a guest may write so much now: it has asked before.
fn check_permit(cx: &mut Cx<'_>, this: Handle<OutputStream>, len: u64) -> Result<(), Error> {
    let permitted = cx.entry(this)?.1.permitted();
    if len > permitted as u64 {
        return Err(Error::message(format!("write of {len} bytes exceeds the permitted {permitted}")));
    }
    Ok(())
}

fn check_blocking_write(len: u64) -> Result<(), Error> {
    if len > MAX_BLOCKING_WRITE as u64 {
        return Err(Error::message(format!(
            "a blocking write of {len} bytes: at most {MAX_BLOCKING_WRITE} are allowed"
        )));
    }
    Ok(())
}

/// `output-stream.write`
pub fn write(cx: &mut Cx<'_>, this: Handle<OutputStream>, Bytes(mut bytes): Bytes) -> StreamResult<()> {
    check_permit(cx, this, bytes.len() as u64)?;
    with_output(cx, this, |stream, host| stream.write(host, &mut bytes))
}

/// `output-stream.blocking-write-and-flush`
pub fn blocking_write_and_flush(cx: &mut Cx<'_>, this: Handle<OutputStream>, Bytes(bytes): Bytes) -> StreamResult<()> {
    check_blocking_write(bytes.len() as u64)?;
    write_all(cx, this, bytes)
}

fn write_all(cx: &mut Cx<'_>, this: Handle<OutputStream>, mut bytes: Vec<u8>) -> StreamResult<()> {
    let mut written = 0;
    with_output(cx, this, |stream, host| stream.write_all(host, &mut bytes, &mut written))
}

/// `output-stream.flush`
pub fn flush(cx: &mut Cx<'_>, this: Handle<OutputStream>) -> StreamResult<()> {
    with_output(cx, this, OutputStream::start_flush)
}

/// `output-stream.blocking-flush`
pub fn blocking_flush(cx: &mut Cx<'_>, this: Handle<OutputStream>) -> StreamResult<()> {
    with_output(cx, this, OutputStream::flush)
}

/// `output-stream.subscribe`
pub fn subscribe_output(cx: &mut Cx<'_>, this: Handle<OutputStream>) -> Result<Own<Pollable>, Error> {
    cx.entry(this)?;
    Ok(Own::child_of(Pollable::Output(this), this.rep()))
}

/// `output-stream.write-zeroes`
pub fn write_zeroes(cx: &mut Cx<'_>, this: Handle<OutputStream>, len: u64) -> StreamResult<()> {
    check_permit(cx, this, len)?;
    // Fits: no more than was permitted.
    with_output(cx, this, |stream, host| stream.write(host, &mut vec![0; len as usize]))
}

/// `output-stream.blocking-write-zeroes-and-flush`
pub fn blocking_write_zeroes_and_flush(cx: &mut Cx<'_>, this: Handle<OutputStream>, len: u64) -> StreamResult<()> {
    check_blocking_write(len)?;
    // Fits: it is small.
    write_all(cx, this, vec![0; len as usize])
}

/// `output-stream.splice`
pub fn splice(cx: &mut Cx<'_>, this: Handle<OutputStream>, source: Handle<InputStream>, len: u64) -> StreamResult<u64> {
    let permitted = with_output(cx, this, OutputStream::check_write)?;
    let mut bytes = with_input(cx, source, |stream, host| stream.try_read(host, len.min(permitted as u64)))?;
    let count = bytes.len() as u64;
    with_output(cx, this, |stream, host| stream.write(host, &mut bytes))?;
    Ok(count)
}

/// `output-stream.blocking-splice`
pub fn blocking_splice(
    cx: &mut Cx<'_>,
    this: Handle<OutputStream>,
    source: Handle<InputStream>,
    len: u64,
) -> StreamResult<u64> {
    if len > 0 {
        with_output(cx, this, OutputStream::wait)?;
        with_input(cx, source, |stream, host| stream.wait(host))?;
    }
    splice(cx, this, source, len)
}
