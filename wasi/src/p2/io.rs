//! `wasi:io`: errors, waiting, streams of bytes.

use crate::component::error::unless_lost;
use crate::component::resources::{Resources, entries};
use crate::component::values::val_of;
use crate::component::{Bytes, Cx, Entry, Error, Fail, Handle, IntoVal, Own};
use crate::host::clocks::Clock;
use crate::host::input::{self, InputStream, Source};
use crate::host::output::{OutputStream, Sink};
use crate::host::poll::{Interest, Poll};
use crate::host::{self, Host};
use ampoule_component::Val;
use std::collections::HashMap;

entries! {
    IoError = 0 "error",
    Pollable = 1 "pollable",
    InputStream = 2 "input-stream",
    OutputStream = 3 "output-stream",
}

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

/// What the guest has that it can wait for.
pub trait Awaited: Entry {
    /// What that is.
    fn interest<'a>(&'a self, host: &'a Host) -> Interest<'a>;

    /// Whether another thread tells by the host's signal when it is there.
    fn is_signalled(&self) -> bool {
        false
    }
}

impl Awaited for InputStream {
    fn interest<'a>(&'a self, host: &'a Host) -> Interest<'a> {
        Interest::Read(self.readiness(host))
    }

    fn is_signalled(&self) -> bool {
        matches!(self.source(), Source::Http(_))
    }
}

impl Awaited for OutputStream {
    fn interest<'a>(&'a self, host: &'a Host) -> Interest<'a> {
        Interest::Write(self.readiness(host))
    }

    fn is_signalled(&self) -> bool {
        matches!(self.sink(), Sink::Http(_))
    }
}

/// Something to wait for.
#[derive(Clone, Copy, Debug)]
pub enum Pollable {
    /// The monotonic clock to show this.
    Time(u64),
    /// What an entry has with this number.
    Entry(u32, AsAwaited),
}

/// How an entry of some kind is looked at.
type AsAwaited = fn(&Resources, u32) -> Result<&dyn Awaits, Error>;

/// As [`Awaited`], of any kind.
pub trait Awaits {
    /// As [`Awaited::interest`].
    fn interest<'a>(&'a self, host: &'a Host) -> Interest<'a>;
    /// As [`Awaited::is_signalled`].
    fn is_signalled(&self) -> bool;
}

impl<T: Awaited> Awaits for T {
    fn interest<'a>(&'a self, host: &'a Host) -> Interest<'a> {
        Awaited::interest(self, host)
    }

    fn is_signalled(&self) -> bool {
        Awaited::is_signalled(self)
    }
}

impl Pollable {
    /// What this entry has.
    pub fn of<T: Awaited>(entry: Handle<T>) -> Self {
        Self::Entry(entry.rep(), |resources, rep| Ok(resources.get(Handle::<T>::new(rep))?))
    }

    /// The same, for the guest: it must go before the entry does.
    pub fn on<T: Awaited>(entry: Handle<T>) -> Own<Self> {
        Own::child_of(Self::of(entry), entry.rep())
    }

    /// What it waits for: equal where that is the same.
    fn target(self) -> (bool, u64) {
        match self {
            Self::Time(deadline) => (false, deadline),
            Self::Entry(rep, _) => (true, rep.into()),
        }
    }

    /// Whether another thread tells by the host's signal when it is there.
    fn is_signalled(self, resources: &Resources) -> Result<bool, Error> {
        match self {
            Self::Time(_) => Ok(false),
            Self::Entry(rep, look) => Ok(look(resources, rep)?.is_signalled()),
        }
    }

    fn interest<'a>(self, host: &'a Host, resources: &'a Resources) -> Result<Interest<'a>, Error> {
        match self {
            Self::Time(deadline) => Ok(Interest::Time { clock: Clock::Monotonic, deadline }),
            Self::Entry(rep, look) => Ok(look(resources, rep)?.interest(host)),
        }
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
    Ok(Pollable::on(this))
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
    Ok(Pollable::on(this))
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

/// What happens when a guest drops an output stream: bytes that it has taken are written before it goes.
///
/// # Errors
/// An interruption.
pub fn drop_output(cx: &mut Cx<'_>, rep: u32) -> Result<(), Error> {
    let mut stream = cx.parts().1.take(Handle::<OutputStream>::new(rep))?.0;
    cx.retry(|cx| unless_lost(stream.flush(cx.host())))
}
