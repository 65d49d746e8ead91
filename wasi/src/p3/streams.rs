//! Streams between the guest and what the host reads from or writes to.
//!
//! Nothing is read ahead, and nothing is kept: a read of the guest's gets what the system has for it now, in the guest's own memory, and a write
//! ends with as much as the system has taken. Who has to wait is polled again when the store's reactor says so.
//!
//! How a stream has ended is told by a future, [`Ending`]: `result<_, error-code>`. Whoever drops their end of the stream early ends
//! it with success.

use crate::component::call::Answer;
use crate::component::later::Waits;
use crate::component::resources::Token;
use crate::component::values::wrong_type;
use crate::component::{Cx, Error, Fail, FromVal, IntoVal};
use crate::host::ctx::Host;
use crate::host::input::{InputStream, StreamError};
use crate::host::output::OutputStream;
use crate::{WasiCtx, host};
use ampoule::Store;
use ampoule::sync::Mutex;
use ampoule_component::Val;
use ampoule_component::streams::{self, Consumer, Destination, Flow, Producer, Source, StreamReader};
use ampoule_component::types::ValType;
use rustix::io::Errno;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Who is told how a stream has ended. Dropped without a word, it has ended well.
pub trait Ends: Send + 'static {
    /// It has ended like this.
    fn ended(&mut self, how: Result<(), host::Error>);
}

/// How a stream ends, with an error as a version calls it: `future<result<_, error-code>>`.
pub struct Ending<E>(Arc<Mutex<State<E>>>);

struct State<E> {
    how: Option<Result<(), E>>,
    reader: Option<Waker>,
}

/// Who tells how a stream has ended. Dropped without a word, it has ended well.
pub struct Teller<E>(Arc<Mutex<State<E>>>);

impl<E> Teller<E> {
    /// It has ended like this.
    pub fn tell(&self, how: Result<(), E>) {
        let mut state = self.0.lock();
        if state.how.is_none() {
            state.how = Some(how);
        }
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }
}

impl<E: From<Errno> + Send + 'static> Ends for Teller<E> {
    fn ended(&mut self, how: Result<(), host::Error>) {
        self.tell(how.map_err(|error| error.errno().into()));
    }
}

impl<E> Drop for Teller<E> {
    fn drop(&mut self) {
        self.tell(Ok(()));
    }
}

impl<E> fmt::Debug for Teller<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").finish_non_exhaustive()
    }
}

impl<E: IntoVal + Send + 'static> Ending<E> {
    /// One that isn't known yet, and who tells it.
    pub fn new() -> (Teller<E>, Self) {
        let state = Arc::new(Mutex::new(State { how: None, reader: None }));
        (Teller(state.clone()), Self(state))
    }

    /// One that is known.
    pub fn known(how: Result<(), E>) -> Self {
        Self(Arc::new(Mutex::new(State { how: Some(how), reader: None })))
    }

    /// As the value of a future of this type.
    ///
    /// # Errors
    /// It is another type; there are too many futures.
    pub fn future(self, cx: &mut Cx<'_>, ty: &ValType) -> Result<Val, Error> {
        let ValType::Future(payload) = ty else { return Err(wrong_type("future")) };
        let (writer, reader) = streams::future(cx.store(), Option::clone(payload))?;
        writer.produce(cx.store(), self)?;
        Ok(Val::from(reader))
    }
}

impl<E: IntoVal + Send + 'static> Producer for Ending<E> {
    fn poll_produce(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Destination<'_>,
    ) -> Poll<Result<Flow, ampoule::Error>> {
        let mut state = self.0.lock();
        let Some(how) = state.how.take() else {
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        };
        drop(state);
        let val = in_poll(into.store(), |cx| how.map_err(Fail::Err).answer(cx))?;
        into.push(val.unwrap_or_default())?;
        Poll::Ready(Ok(Flow::End))
    }
}

impl<E: From<Errno> + IntoVal + Send + 'static> IntoVal for Ending<E> {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let ty = cx.ty()?.result().ok_or_else(|| wrong_type("future"))?;
        self.future(cx, ty).map(Some)
    }
}

impl<E> fmt::Debug for Ending<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ending").finish_non_exhaustive()
    }
}

/// A stream that the host fills, and how it ends: `tuple<stream<T>, future<result<_, error-code>>>`.
pub struct Filled<E> {
    producer: Filler,
    ending: Ending<E>,
}

impl<E: From<Errno> + IntoVal + Send + 'static> Filled<E> {
    /// Filled by this, which tells how it ends.
    pub fn new(producer: impl Producer, ending: Ending<E>) -> Self {
        Self { producer: Filler(Box::new(producer)), ending }
    }

    /// One that has nothing, for this reason.
    pub fn failed(error: E) -> Self {
        Self::new(Nothing, Ending::known(Err(error)))
    }
}

impl<E: From<Errno> + IntoVal + Send + 'static> IntoVal for Filled<E> {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let Some(ValType::Tuple(tuple)) = cx.ty()?.result() else { return Err(wrong_type("tuple")) };
        let [ValType::Stream(payload), future] = tuple.types() else { return Err(wrong_type("tuple of a stream")) };
        let reader = StreamReader::new(cx.store(), Option::clone(payload), self.producer)?;
        let ending = self.ending.future(cx, future)?;
        Ok(Some(Val::tuple(vec![Val::from(reader), ending])))
    }
}

impl<E> fmt::Debug for Filled<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filled").finish_non_exhaustive()
    }
}

struct Filler(Box<dyn Producer>);

impl Producer for Filler {
    fn poll_produce(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Destination<'_>,
    ) -> Poll<Result<Flow, ampoule::Error>> {
        self.0.poll_produce(context, into)
    }
}

/// Of a stream that has ended before it began.
pub struct Nothing;

impl Producer for Nothing {
    fn poll_produce(&mut self, _: &mut Context<'_>, _: &mut Destination<'_>) -> Poll<Result<Flow, ampoule::Error>> {
        Poll::Ready(Ok(Flow::End))
    }
}

/// A `stream<u8>` that the guest fills.
#[derive(Debug)]
pub struct Bytes(StreamReader);

impl Bytes {
    /// The stream.
    pub fn into_reader(self) -> StreamReader {
        self.0
    }
}

impl FromVal for Bytes {
    fn from_val(_: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        let reader = StreamReader::from_val(val).map_err(|_| wrong_type("stream<u8>"))?;
        if reader.payload() == Some(&ValType::U8) { Ok(Self(reader)) } else { Err(wrong_type("stream<u8>")) }
    }
}

/// A stream of what is read here. `token` is for the descriptor of the host that it holds.
///
/// # Errors
/// Where there are too many streams.
pub fn read<E>(cx: &mut Cx<'_>, input: InputStream, token: Option<Token>) -> Result<Filled<E>, Error>
where
    E: From<Errno> + IntoVal + Send + 'static,
{
    let (ends, ending) = Ending::new();
    Ok(Filled::new(Reads::new(cx, input, token, ends)?, ending))
}

/// Writes a stream there, and tells how that ends.
///
/// # Errors
/// Where there are too many streams.
pub fn write<E>(cx: &mut Cx<'_>, data: Bytes, output: OutputStream, token: Option<Token>) -> Result<Ending<E>, Error>
where
    E: From<Errno> + IntoVal + Send + 'static,
{
    let (ends, ending) = Ending::new();
    Writes::new(cx, output, token, ends)?.begin(cx, data)?;
    Ok(ending)
}

/// Does something in a poll of a stream.
///
/// # Errors
/// What ends the guest.
pub fn in_poll<T>(store: &mut Store, run: impl FnOnce(&mut Cx<'_>) -> Result<T, Error>) -> Result<T, ampoule::Error> {
    Cx::in_poll(store, None).and_then(|mut cx| run(&mut cx)).map_err(|error| error.ending(store))
}

/// How often what is said to be ready may turn out not to be, before others have their turn.
const ATTEMPTS: usize = 2;

/// For a stream whose end nobody is told of but by the end itself.
#[derive(Debug)]
pub struct Unheard;

impl Ends for Unheard {
    fn ended(&mut self, _: Result<(), host::Error>) {}
}

/// What all streams of the host's have in common.
pub struct Line {
    waits: Waits,
    ends: Box<dyn Ends>,
    /// What is held as long as the stream is open.
    _tokens: (Token, Option<Token>),
}

impl Line {
    /// Of a stream more. `token` is for the descriptor of the host that it holds.
    ///
    /// # Errors
    /// Where there are too many.
    pub fn new(cx: &mut Cx<'_>, token: Option<Token>, ends: impl Ends) -> Result<Self, Error> {
        let stream = cx.parts().1.stream()?;
        Ok(Self { waits: Waits::default(), ends: Box::new(ends), _tokens: (stream, token) })
    }

    /// Waits for something in a poll. Ready where it may be there.
    pub fn wait(
        &mut self,
        store: &mut Store,
        context: &mut Context<'_>,
        wait: impl FnOnce(&mut Cx<'_>) -> Result<(), Error>,
    ) -> Poll<Result<(), ampoule::Error>> {
        let waited = in_poll(store, |cx| match self.waits.poll(cx, context, wait) {
            Poll::Ready(done) => done.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        });
        match waited {
            Ok(waited) => waited.map(Ok),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// The stream has ended by itself.
    pub fn end(&mut self, store: &Store, how: Result<(), host::Error>) -> Poll<Result<Flow, ampoule::Error>> {
        match how {
            Err(error @ (host::Error::Interrupted | host::Error::MustWait)) => {
                Poll::Ready(Err(Error::from(error).ending(store)))
            }
            how => {
                self.ends.ended(how);
                Poll::Ready(Ok(Flow::End))
            }
        }
    }
}

/// What a stream says that was waited for: that it has ended, its next attempt tells.
fn of_wait(waited: Result<(), StreamError>) -> Result<(), Error> {
    match waited {
        Err(StreamError::Failed(error)) => Err(error.into()),
        Ok(()) | Err(StreamError::Closed) => Ok(()),
    }
}

fn host_of(slots: &mut ampoule::store::slots::Slots) -> &mut Host {
    &mut slots.get_mut::<WasiCtx>().expect("looked at when the poll began").host
}

fn not_bytes() -> ampoule::Error {
    ampoule::Error::message("the elements of the stream are not bytes")
}

/// Reads for the guest.
pub struct Reads {
    input: InputStream,
    line: Line,
}

impl Reads {
    /// From here. `token` is for the descriptor of the host that it holds.
    ///
    /// # Errors
    /// Where there are too many streams.
    pub fn new(cx: &mut Cx<'_>, input: InputStream, token: Option<Token>, ends: impl Ends) -> Result<Self, Error> {
        Ok(Self { input, line: Line::new(cx, token, ends)? })
    }
}

impl Producer for Reads {
    fn poll_produce(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Destination<'_>,
    ) -> Poll<Result<Flow, ampoule::Error>> {
        let only_asks = into.remaining() == 0;
        for _ in 0..ATTEMPTS {
            if !only_asks {
                in_poll(into.store(), |_| Ok(()))?;
                let (bytes, slots) = into.bytes_and_slots().ok_or_else(not_bytes)?;
                match self.input.try_read_into(host_of(slots), bytes) {
                    Ok(0) => {}
                    Ok(count) => {
                        into.advance(count);
                        return Poll::Ready(Ok(Flow::More));
                    }
                    Err(StreamError::Closed) => return self.line.end(into.store(), Ok(())),
                    Err(StreamError::Failed(error)) => return self.line.end(into.store(), Err(error)),
                }
            }
            let input = &self.input;
            match self.line.wait(into.store(), context, |cx| of_wait(input.wait(cx.host()))) {
                Poll::Ready(Ok(())) if only_asks => return Poll::Ready(Ok(Flow::More)),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reads").field("input", &self.input).finish_non_exhaustive()
    }
}

/// Writes what the guest gives.
pub struct Writes {
    output: OutputStream,
    line: Line,
    at_end: Option<AtEnd>,
}

/// What is done when the guest has written all.
type AtEnd = Box<dyn FnOnce() -> Result<(), host::Error> + Send>;

impl Writes {
    /// To here. `token` is for the descriptor of the host that it holds.
    ///
    /// # Errors
    /// Where there are too many streams.
    pub fn new(cx: &mut Cx<'_>, output: OutputStream, token: Option<Token>, ends: impl Ends) -> Result<Self, Error> {
        Ok(Self { output, line: Line::new(cx, token, ends)?, at_end: None })
    }

    /// With this done when the guest has written all.
    pub fn then(self, at_end: impl FnOnce() -> Result<(), host::Error> + Send + 'static) -> Self {
        Self { at_end: Some(Box::new(at_end)), ..self }
    }

    /// Writes this.
    ///
    /// # Errors
    /// What ends the guest.
    pub fn begin(self, cx: &mut Cx<'_>, data: Bytes) -> Result<(), Error> {
        Ok(data.0.consume(cx.store(), self)?)
    }
}

impl Consumer for Writes {
    fn poll_consume(&mut self, context: &mut Context<'_>, from: &mut Source<'_>) -> Poll<Result<Flow, ampoule::Error>> {
        let only_asks = from.remaining() == 0;
        for _ in 0..ATTEMPTS {
            if !only_asks {
                in_poll(from.store(), |_| Ok(()))?;
                let (bytes, slots) = from.bytes_and_slots().ok_or_else(not_bytes)?;
                match self.output.try_write(host_of(slots), bytes) {
                    Ok(0) => {}
                    Ok(count) => {
                        from.advance(count);
                        return Poll::Ready(Ok(Flow::More));
                    }
                    Err(StreamError::Closed) => return self.line.end(from.store(), Err(Errno::PIPE.into())),
                    Err(StreamError::Failed(error)) => return self.line.end(from.store(), Err(error)),
                }
            }
            let output = &self.output;
            match self.line.wait(from.store(), context, |cx| of_wait(output.wait_for_sink(cx.host()))) {
                Poll::Ready(Ok(())) if only_asks => return Poll::Ready(Ok(Flow::More)),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn closed(&mut self) {
        let done = self.at_end.take().map_or(Ok(()), |at_end| at_end());
        self.line.ends.ended(done);
    }
}

impl fmt::Debug for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writes").field("output", &self.output).finish_non_exhaustive()
    }
}
