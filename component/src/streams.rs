//! Streams and futures whose ends the host has.
//!
//! A guest gives the host the readable end of a stream or future as a [`Val`], and the host gives a guest one in the same way: as an argument
//! or a result of a function of that type. [`StreamReader`] and [`FutureReader`] are what the host does with readable ends,
//! [`StreamWriter`] and [`FutureWriter`] the same for writable ones. Each end is one thing, with an owner: none of these can be cloned, and
//! dropping one drops the end, which the other end is told of.
//!
//! Nothing is buffered: elements go from where they are to where they are wanted, when both ends have come. There are two ways for the
//! host to take part.
//!
//! - It attaches a [`Producer`] to a writable end ([`StreamReader::new`], [`StreamWriter::produce`]), or a [`Consumer`] to a readable one
//!   ([`StreamReader::consume`]). The event loop of the store polls it whenever a guest reads or writes at the other end, at once and
//!   without another stack; and again when the waker that it was polled with has been woken. It gets the guest's buffer: of
//!   `stream<u8>`, the bytes of its memory, which a system call may read into or write from. What is not polled does nothing, so a guest
//!   that reads slowly holds the producer back by itself.
//! - It asks an end itself, in a `poll` function of its own: [`StreamReader::poll_read`], [`StreamWriter::poll_write`] and the like are
//!   ready when the other end has come, and wake the context's waker otherwise. To cancel is to ask no more.
//!
//! Where a guest passes on to the host what it got from the host, both ends are the host's: a producer and a consumer then have a
//! bounded buffer between them, and the event loop polls both as long as it runs.
//!
//! ```
//! use ampoule::{Engine, Error, Store};
//! use ampoule_component::streams::{Destination, Flow, Producer, StreamReader};
//! use ampoule_component::types::ValType;
//! use ampoule_component::{Linker, Val};
//! use std::task::{Context, Poll};
//!
//! /// So many zeros.
//! struct Zeros(usize);
//!
//! impl Producer for Zeros {
//!     fn poll_produce(&mut self, _: &mut Context<'_>, into: &mut Destination<'_>) -> Poll<Result<Flow, Error>> {
//!         let bytes = into.bytes().expect("a stream of bytes");
//!         let count = bytes.len().min(self.0);
//!         bytes[..count].fill(0);
//!         into.advance(count);
//!         self.0 -= count;
//!         Poll::Ready(Ok(if self.0 == 0 { Flow::End } else { Flow::More }))
//!     }
//! }
//!
//! # fn main() -> Result<(), Error> {
//! let mut linker = Linker::new(&Engine::default());
//! linker.root().func("zeros", |store, _, args, results| {
//!     let reader = StreamReader::new(store, Some(ValType::U8), Zeros(1000))?;
//!     results[0] = Val::from(reader);
//!     Ok(())
//! })?;
//! # Ok(())
//! # }
//! ```

use crate::builtin::{Payload, Side, StreamKind};
use crate::concurrency::arena::NONE;
use crate::concurrency::run::abandon;
use crate::concurrency::stream::host::{Asked, Attached, ask, attach, heed_signals, new_pair};
use crate::end::EndAny;
use crate::records::HostFuture;
use crate::state::ComponentState;
use crate::types::ValType;
use crate::val::{Kind, Val};
use ampoule::{Error, Store};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

pub use crate::concurrency::stream::buffer::{Destination, Source};
pub use crate::concurrency::stream::host::{Consumer, Flow, Producer};

/// The readable end of a stream.
#[derive(Debug)]
pub struct StreamReader(EndAny);

/// The writable end of a stream.
#[derive(Debug)]
pub struct StreamWriter(EndAny);

/// The readable end of a future.
#[derive(Debug)]
pub struct FutureReader(EndAny);

/// The writable end of a future. The value has to be written before it is dropped: what the guest has is a promise.
#[derive(Debug)]
pub struct FutureWriter(EndAny);

/// A stream of elements of this type, both of whose ends the host has. Without a type, the elements are nothing but their number.
///
/// # Errors
/// Where the store has too many streams.
pub fn stream(store: &mut Store, payload: Option<ValType>) -> Result<(StreamWriter, StreamReader), Error> {
    let (readable, writable) = new_pair(store, StreamKind::Stream, &Arc::new(payload))?;
    Ok((StreamWriter(writable), StreamReader(readable)))
}

/// A future of a value of this type, both of whose ends the host has.
///
/// # Errors
/// Where the store has too many.
pub fn future(store: &mut Store, payload: Option<ValType>) -> Result<(FutureWriter, FutureReader), Error> {
    let (readable, writable) = new_pair(store, StreamKind::Future, &Arc::new(payload))?;
    Ok((FutureWriter(writable), FutureReader(readable)))
}

/// Takes a readable end out of a value.
fn take(val: &mut Val, kind: StreamKind) -> Result<EndAny, Error> {
    let wanted = match kind {
        StreamKind::Stream => Kind::STREAM,
        StreamKind::Future => Kind::FUTURE,
    };
    if val.kind() != wanted {
        return Err(Error::message(format!("type mismatch: expected {}, found {}", kind.name(), val.kind_name())));
    }
    let end = val.take_end().ok_or_else(|| Error::message(format!("the {} was given away", kind.name())))?;
    debug_assert_eq!(end.side, Side::Readable, "values have readable ends");
    Ok(end)
}

/// Hears what was dropped, and which producers and consumers were woken, since the event loop ran last, for whoever asks ends from
/// outside of it.
///
/// # Errors
/// What has stopped a guest: no component of this store can be called any more.
pub fn heed(store: &mut Store) -> Result<(), Error> {
    if ComponentState::of(store).concurrency.current != NONE || store.on_sibling() {
        // The event loop does, soon.
        return Ok(());
    }
    heed_signals(store).map(drop).inspect_err(|error| abandon(store, error))
}

/// How many elements have gone over; `None` where the other end has gone, and none had before.
fn gone_over(flow: Flow, count: usize) -> Option<usize> {
    (flow == Flow::More || count > 0).then_some(count)
}

/// Takes scalars out of an end, as [`Source::pop_block`] does; `None` where the other end has gone.
fn poll_read_block(
    store: &mut Store,
    end: &EndAny,
    cx: &mut Context<'_>,
    into: &mut [u8],
) -> Poll<Result<Option<usize>, Error>> {
    let mut count = 0;
    let empty = &mut |source: &mut Source<'_>| {
        count = source.pop_block(into)?;
        Ok(())
    };
    let flow = ready!(ask(store, end, cx, Asked::Empty(empty)));
    Poll::Ready(flow.map(|flow| gone_over(flow, count)))
}

fn check_bytes(payload: &Payload) -> Result<(), Error> {
    if **payload == Some(ValType::U8) {
        Ok(())
    } else {
        Err(Error::message("the elements of the stream are not bytes"))
    }
}

impl StreamReader {
    /// The readable end of a new stream of elements of this type, which `producer` fills.
    ///
    /// # Errors
    /// Where the store has too many streams.
    pub fn new(store: &mut Store, payload: Option<ValType>, producer: impl Producer) -> Result<StreamReader, Error> {
        let (writer, reader) = stream(store, payload)?;
        writer.produce(store, producer)?;
        Ok(reader)
    }

    /// Takes the end out of a value.
    ///
    /// # Errors
    /// Where the value has none.
    pub fn from_val(val: &mut Val) -> Result<StreamReader, Error> {
        take(val, StreamKind::Stream).map(StreamReader)
    }

    /// The type of the elements; `None` where they are nothing but their number.
    pub fn payload(&self) -> Option<&ValType> {
        self.0.payload.as_ref().as_ref()
    }

    /// Has `consumer` take what comes, from now on, until the other end is dropped or it wants no more.
    ///
    /// # Errors
    /// Where the end is another store's; and what the consumer says, where a guest waits already.
    pub fn consume(self, store: &mut Store, consumer: impl Consumer) -> Result<(), Error> {
        attach(store, &self.0, Attached::Consumer(Box::new(consumer)))
    }

    /// Takes elements that the other end brings: at least one, at most so many. `None` where that has gone.
    ///
    /// # Errors
    /// Where the end is another store's, or an element means nothing.
    pub fn poll_read(
        &mut self,
        store: &mut Store,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<Result<Option<Vec<Val>>, Error>> {
        let mut vals = Vec::new();
        let flow = ready!(ask(
            store,
            &self.0,
            cx,
            Asked::Empty(&mut |source| {
                while vals.len() < most
                    && let Some(val) = source.pop()?
                {
                    vals.push(val);
                }
                Ok(())
            })
        ));
        Poll::Ready(flow.map(|flow| (flow == Flow::More || !vals.is_empty()).then_some(vals)))
    }

    /// As [`StreamReader::poll_read`], of `stream<u8>`: gives how many bytes there were.
    ///
    /// # Errors
    /// As [`StreamReader::poll_read`], and where the elements aren't bytes.
    pub fn poll_read_bytes(
        &mut self,
        store: &mut Store,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Result<Option<usize>, Error>> {
        check_bytes(&self.0.payload)?;
        let mut count = 0;
        let flow = ready!(ask(
            store,
            &self.0,
            cx,
            Asked::Empty(&mut |source| {
                let bytes = source.bytes().expect("they are bytes");
                count = bytes.len().min(into.len());
                into[..count].copy_from_slice(&bytes[..count]);
                source.advance(count);
                Ok(())
            })
        ));
        Poll::Ready(flow.map(|flow| gone_over(flow, count)))
    }

    /// Takes elements that the other end brings, as many as [`Source::pop_block`] does; `None` where that has gone.
    ///
    /// # Errors
    /// As [`StreamReader::poll_read`], and where the elements are no scalars.
    pub fn poll_read_block(
        &mut self,
        store: &mut Store,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Result<Option<usize>, Error>> {
        poll_read_block(store, &self.0, cx, into)
    }
}

impl StreamWriter {
    /// The type of the elements; `None` where they are nothing but their number.
    pub fn payload(&self) -> Option<&ValType> {
        self.0.payload.as_ref().as_ref()
    }

    /// Has `producer` bring what is wanted, from now on, until the other end is dropped or there is no more.
    ///
    /// # Errors
    /// Where the end is another store's; and what the producer says, where a guest waits already.
    pub fn produce(self, store: &mut Store, producer: impl Producer) -> Result<(), Error> {
        attach(store, &self.0, Attached::Producer(Box::new(producer)))
    }

    /// Gives the other end elements, as many as it wants, at least one: they are taken from the front of `vals`. Gives how many;
    /// `None` where the other end has gone.
    ///
    /// # Errors
    /// Where the end is another store's, or an element is of another type.
    pub fn poll_write(
        &mut self,
        store: &mut Store,
        cx: &mut Context<'_>,
        vals: &mut Vec<Val>,
    ) -> Poll<Result<Option<usize>, Error>> {
        let mut count = 0;
        let flow = ready!(ask(
            store,
            &self.0,
            cx,
            Asked::Fill(&mut |destination| {
                count = destination.remaining().min(vals.len());
                vals.drain(..count).try_for_each(|val| destination.push(val))
            })
        ));
        Poll::Ready(flow.map(|flow| gone_over(flow, count)))
    }

    /// Gives the other end elements, as many as it wants and the first of which fit: they are taken from their places. Gives how many; `None`
    /// where the other end has gone. Where that is the host's, too, some wait in a buffer until somebody reads.
    ///
    /// # Errors
    /// Where the end is another store's, or the first element is of another type: nothing is taken.
    pub fn poll_write_from(
        &mut self,
        store: &mut Store,
        cx: &mut Context<'_>,
        vals: &mut [Val],
    ) -> Poll<Result<Option<usize>, Error>> {
        let mut count = 0;
        let fill = &mut |destination: &mut Destination<'_>| {
            let room = destination.remaining();
            for val in vals.iter_mut().take(room) {
                match destination.push_from(val) {
                    Err(error) if count == 0 => return Err(error),
                    Err(_) => break,
                    Ok(()) => count += 1,
                }
            }
            Ok(())
        };
        let flow = ready!(ask(store, &self.0, cx, Asked::FillAhead(fill)));
        Poll::Ready(flow.map(|flow| gone_over(flow, count)))
    }

    /// Gives the other end scalars, as [`Destination::push_block`] does; otherwise as [`StreamWriter::poll_write_from`].
    ///
    /// # Errors
    /// As [`StreamWriter::poll_write`], and where the elements are no scalars.
    pub fn poll_write_block(
        &mut self,
        store: &mut Store,
        cx: &mut Context<'_>,
        block: &[u8],
    ) -> Poll<Result<Option<usize>, Error>> {
        let mut count = 0;
        let fill = &mut |destination: &mut Destination<'_>| {
            count = destination.push_block(block)?;
            Ok(())
        };
        let flow = ready!(ask(store, &self.0, cx, Asked::FillAhead(fill)));
        Poll::Ready(flow.map(|flow| gone_over(flow, count)))
    }

    /// As [`StreamWriter::poll_write`], of `stream<u8>`.
    ///
    /// # Errors
    /// As [`StreamWriter::poll_write`], and where the elements aren't bytes.
    pub fn poll_write_bytes(
        &mut self,
        store: &mut Store,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<Option<usize>, Error>> {
        check_bytes(&self.0.payload)?;
        let mut count = 0;
        let flow = ready!(ask(
            store,
            &self.0,
            cx,
            Asked::Fill(&mut |destination| {
                let room = destination.bytes().expect("they are bytes");
                count = room.len().min(bytes.len());
                room[..count].copy_from_slice(&bytes[..count]);
                destination.advance(count);
                Ok(())
            })
        ));
        Poll::Ready(flow.map(|flow| gone_over(flow, count)))
    }
}

impl FutureReader {
    /// The readable end of a new future, whose value `future` gives; it is polled when a guest reads. The value is `None` where the future
    /// has no type.
    ///
    /// # Errors
    /// Where the store has too many.
    pub fn new(
        store: &mut Store,
        payload: Option<ValType>,
        future: impl Future<Output = Result<Option<Val>, Error>> + Send + 'static,
    ) -> Result<FutureReader, Error> {
        let (writer, reader) = self::future(store, payload)?;
        writer.produce(store, Awaited(Some(Box::pin(future))))?;
        Ok(reader)
    }

    /// The readable end of a new future that has its value.
    ///
    /// # Errors
    /// Where the store has too many.
    pub fn ready(store: &mut Store, payload: Option<ValType>, val: Option<Val>) -> Result<FutureReader, Error> {
        FutureReader::new(store, payload, std::future::ready(Ok(val)))
    }

    /// Takes the end out of a value.
    ///
    /// # Errors
    /// Where the value has none.
    pub fn from_val(val: &mut Val) -> Result<FutureReader, Error> {
        take(val, StreamKind::Future).map(FutureReader)
    }

    /// The type of the value; `None` where it has none.
    pub fn payload(&self) -> Option<&ValType> {
        self.0.payload.as_ref().as_ref()
    }

    /// Has `consumer` take the value when it comes.
    ///
    /// # Errors
    /// As [`StreamReader::consume`].
    pub fn consume(self, store: &mut Store, consumer: impl Consumer) -> Result<(), Error> {
        attach(store, &self.0, Attached::Consumer(Box::new(consumer)))
    }

    /// Takes the value, an empty tuple where it has no type; `None` where there won't be any.
    ///
    /// # Errors
    /// Where the end is another store's, or the value means nothing.
    pub fn poll_read(&mut self, store: &mut Store, cx: &mut Context<'_>) -> Poll<Result<Option<Val>, Error>> {
        let mut val = None;
        let flow = ready!(ask(
            store,
            &self.0,
            cx,
            Asked::Empty(&mut |source| {
                val = source.pop()?;
                Ok(())
            })
        ));
        Poll::Ready(flow.map(|_| val))
    }

    /// As [`FutureReader::poll_read`], of a scalar; see [`Source::pop_block`]. Gives how many there were, one or none.
    ///
    /// # Errors
    /// As there, and where the value is no scalar.
    pub fn poll_read_block(
        &mut self,
        store: &mut Store,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Result<Option<usize>, Error>> {
        poll_read_block(store, &self.0, cx, into)
    }
}

impl FutureWriter {
    /// The type of the value; `None` where it has none.
    pub fn payload(&self) -> Option<&ValType> {
        self.0.payload.as_ref().as_ref()
    }

    /// Has `producer` bring the one value, when it is wanted.
    ///
    /// # Errors
    /// As [`StreamWriter::produce`].
    pub fn produce(self, store: &mut Store, producer: impl Producer) -> Result<(), Error> {
        attach(store, &self.0, Attached::Producer(Box::new(producer)))
    }

    /// Whether nobody wants the value any more.
    ///
    /// # Errors
    /// Where the end is another store's.
    pub fn is_closed(&self, store: &mut Store) -> Result<bool, Error> {
        self.0.check(store)?;
        Ok(ComponentState::of(store).is_alone(self.0.stream, self.0.side))
    }

    /// Checks that a value may be this one's, as far as its kind tells.
    ///
    /// # Errors
    /// Where it isn't.
    pub fn check(&self, val: &Val) -> Result<(), Error> {
        self.payload().map_or(Ok(()), |ty| val.check_kind(ty))
    }

    /// Gives the value, which waits for whom wants it; `None` where it has no type.
    ///
    /// # Errors
    /// Where the end is another store's; where a guest waits for it, also where the value is of another type.
    pub fn write(self, store: &mut Store, val: Option<Val>) -> Result<(), Error> {
        self.produce(store, Awaited(Some(Box::pin(std::future::ready(Ok(val))))))
    }
}

/// The one value of a future, when it is there; nothing once it was taken.
struct Awaited(Option<HostFuture>);

impl Producer for Awaited {
    fn poll_produce(&mut self, cx: &mut Context<'_>, into: &mut Destination<'_>) -> Poll<Result<Flow, Error>> {
        let Some(future) = &mut self.0 else {
            // The host had it, and gave the end to a guest nevertheless.
            return Poll::Ready(Err(Error::message("the value of the future was read before")));
        };
        let val = ready!(future.as_mut().poll(cx));
        self.0 = None;
        match val? {
            Some(val) => into.push(val)?,
            None => into.advance(1),
        }
        Poll::Ready(Ok(Flow::End))
    }
}

impl From<StreamReader> for Val {
    fn from(reader: StreamReader) -> Val {
        Val::from(reader.0)
    }
}

impl From<FutureReader> for Val {
    fn from(reader: FutureReader) -> Val {
        Val::from(reader.0)
    }
}
