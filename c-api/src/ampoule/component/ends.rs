//! Streams and futures whose ends the host has.

use crate::boundary::{bytes, give, give_unit, guarded};
use crate::component::func::values_mut;
use crate::component::types::val::wasmtime_component_valtype_t;
use crate::component::val::wasmtime_component_val_t;
use crate::error::wasmtime_error_t;
use crate::store::wasmtime_context_t;
use ampoule::{Error, Store};
use ampoule_component::streams::{FutureReader, FutureWriter, StreamReader, StreamWriter, future, heed, stream};
use ampoule_component::types::ValType;
use ampoule_component::val::{Kind, Val};
use std::ffi::c_void;
use std::mem::{self, MaybeUninit};
use std::slice;
use std::task::{Context, Poll};

/// A readable end.
pub enum ampoule_component_reader_t {
    Stream(StreamReader),
    Future(FutureReader),
}

/// A writable end.
pub enum ampoule_component_writer_t {
    Stream(StreamWriter),
    /// Nothing once the value was written; what type it had.
    Future(Option<FutureWriter>, Option<ValType>),
}

/// What came of reading or writing.
pub type ampoule_component_flow_t = u8;

const AMPOULE_COMPONENT_READY: ampoule_component_flow_t = 0;
const AMPOULE_COMPONENT_PENDING: ampoule_component_flow_t = 1;
const AMPOULE_COMPONENT_CLOSED: ampoule_component_flow_t = 2;

impl ampoule_component_reader_t {
    fn payload(&self) -> Option<&ValType> {
        match self {
            Self::Stream(reader) => reader.payload(),
            Self::Future(reader) => reader.payload(),
        }
    }
}

impl ampoule_component_writer_t {
    fn payload(&self) -> Option<&ValType> {
        match self {
            Self::Stream(writer) => writer.payload(),
            Self::Future(_, ty) => ty.as_ref(),
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_stream_new(
    context: &mut wasmtime_context_t,
    ty: Option<&wasmtime_component_valtype_t>,
    writer: &mut MaybeUninit<Box<ampoule_component_writer_t>>,
    reader: &mut MaybeUninit<Box<ampoule_component_reader_t>>,
) -> Option<Box<wasmtime_error_t>> {
    let made = element_type(ty).and_then(|ty| stream(context, ty)).map(|(end, other)| {
        reader.write(Box::new(ampoule_component_reader_t::Stream(other)));
        Box::new(ampoule_component_writer_t::Stream(end))
    });
    give(made, writer)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_future_new(
    context: &mut wasmtime_context_t,
    ty: Option<&wasmtime_component_valtype_t>,
    writer: &mut MaybeUninit<Box<ampoule_component_writer_t>>,
    reader: &mut MaybeUninit<Box<ampoule_component_reader_t>>,
) -> Option<Box<wasmtime_error_t>> {
    let made = element_type(ty).and_then(|ty| {
        let (end, other) = future(context, ty.clone())?;
        reader.write(Box::new(ampoule_component_reader_t::Future(other)));
        Ok(Box::new(ampoule_component_writer_t::Future(Some(end), ty)))
    });
    give(made, writer)
}

fn element_type(ty: Option<&wasmtime_component_valtype_t>) -> Result<Option<ValType>, Error> {
    ty.map(ValType::try_from).transpose()
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_reader_into_val(
    reader: Box<ampoule_component_reader_t>,
    val: &mut MaybeUninit<wasmtime_component_val_t>,
) {
    val.write(match *reader {
        ampoule_component_reader_t::Stream(reader) => reader.into(),
        ampoule_component_reader_t::Future(reader) => reader.into(),
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_reader_from_val(
    val: &mut wasmtime_component_val_t,
    reader: &mut MaybeUninit<Box<ampoule_component_reader_t>>,
) -> Option<Box<wasmtime_error_t>> {
    let taken = match val.kind() {
        Kind::FUTURE => FutureReader::from_val(val).map(ampoule_component_reader_t::Future),
        _ => StreamReader::from_val(val).map(ampoule_component_reader_t::Stream),
    };
    give(taken.map(Box::new), reader)
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_reader_type(
    reader: &ampoule_component_reader_t,
    ty: &mut MaybeUninit<wasmtime_component_valtype_t>,
) -> bool {
    reader.payload().map(|payload| ty.write(payload.into())).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_writer_type(
    writer: &ampoule_component_writer_t,
    ty: &mut MaybeUninit<wasmtime_component_valtype_t>,
) -> bool {
    writer.payload().map(|payload| ty.write(payload.into())).is_some()
}

/// Reads or writes, after what came before was heard: sets `count` and `flow`.
fn copy(
    store: &mut Store,
    count: &mut MaybeUninit<usize>,
    flow: &mut MaybeUninit<ampoule_component_flow_t>,
    copy: impl FnOnce(&mut Store, &mut Context<'_>) -> Poll<Result<Option<usize>, Error>>,
) -> Option<Box<wasmtime_error_t>> {
    let copied = guarded(|| {
        heed(store)?;
        // What comes later ends the store's wait.
        let waker = store.reactor()?.waker();
        match copy(store, &mut Context::from_waker(&waker)) {
            Poll::Pending => {
                store.listen()?;
                Ok((0, AMPOULE_COMPONENT_PENDING))
            }
            Poll::Ready(copied) => copied.map(|copied| match copied {
                Some(copied) => (copied, AMPOULE_COMPONENT_READY),
                None => (0, AMPOULE_COMPONENT_CLOSED),
            }),
        }
    });
    give_unit(copied.map(|(copied, how)| {
        flow.write(how);
        count.write(copied);
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_component_read(
    reader: &mut ampoule_component_reader_t,
    context: &mut wasmtime_context_t,
    vals: *mut MaybeUninit<wasmtime_component_val_t>,
    most: usize,
    count: &mut MaybeUninit<usize>,
    flow: &mut MaybeUninit<ampoule_component_flow_t>,
) -> Option<Box<wasmtime_error_t>> {
    copy(context, count, flow, |store, cx| {
        let read = match reader {
            ampoule_component_reader_t::Stream(reader) => reader.poll_read(store, cx, most),
            _ if most == 0 => return Poll::Ready(Ok(Some(0))),
            ampoule_component_reader_t::Future(reader) => {
                reader.poll_read(store, cx).map_ok(|val| val.map(|val| vec![val]))
            }
        };
        read.map_ok(|read| {
            let read = read?;
            let count = read.len();
            for (at, val) in read.into_iter().enumerate() {
                // SAFETY: the caller passes as many places as it says; no more were read.
                unsafe { (*vals.add(at)).write(val) };
            }
            Some(count)
        })
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_component_read_block(
    reader: &mut ampoule_component_reader_t,
    context: &mut wasmtime_context_t,
    block: *mut c_void,
    most: usize,
    count: &mut MaybeUninit<usize>,
    flow: &mut MaybeUninit<ampoule_component_flow_t>,
) -> Option<Box<wasmtime_error_t>> {
    copy(context, count, flow, |store, cx| {
        let mut nothing = [0; UNTYPED_AT_ONCE];
        let block = match block_len(reader.payload(), most)? {
            None => &mut nothing[..most.min(UNTYPED_AT_ONCE)],
            Some(0) => &mut [],
            // SAFETY: the caller passes memory for as many elements as it says, which nobody else uses now.
            Some(len) => unsafe { slice::from_raw_parts_mut(block.cast::<u8>(), len) },
        };
        match reader {
            ampoule_component_reader_t::Stream(reader) => reader.poll_read_block(store, cx, block),
            _ if most == 0 => Poll::Ready(Ok(Some(0))),
            ampoule_component_reader_t::Future(reader) => reader.poll_read_block(store, cx, block),
        }
    })
}

/// Elements without a type that are read or written at once: each is a byte to [`Source::pop_block`] and its like.
///
/// [`Source::pop_block`]: ampoule_component::streams::Source::pop_block
const UNTYPED_AT_ONCE: usize = 64;

/// How many bytes so many scalars have; nothing where elements have no type.
fn block_len(ty: Option<&ValType>, elements: usize) -> Result<Option<usize>, Error> {
    let Some(ty) = ty else { return Ok(None) };
    let size = ty.scalar_size()?;
    let len = elements.checked_mul(size).filter(|&len| isize::try_from(len).is_ok());
    len.map(Some).ok_or_else(|| Error::message("a block is longer than memory"))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_component_write(
    writer: &mut ampoule_component_writer_t,
    context: &mut wasmtime_context_t,
    vals: *mut wasmtime_component_val_t,
    nvals: usize,
    count: &mut MaybeUninit<usize>,
    flow: &mut MaybeUninit<ampoule_component_flow_t>,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes as many values as it says, valid ones.
    let vals = unsafe { values_mut(vals, nvals) };
    copy(context, count, flow, |store, cx| match writer {
        ampoule_component_writer_t::Stream(writer) => writer.poll_write_from(store, cx, vals),
        ampoule_component_writer_t::Future(writer, _) => match vals {
            [] => Poll::Ready(Ok(Some(0))),
            [val, ..] => Poll::Ready(write_value(writer, store, val)),
        },
    })
}

/// Gives a future its value, which is taken unless there is an error. `None` where there was one, or nobody wants it.
fn write_value(writer: &mut Option<FutureWriter>, store: &mut Store, val: &mut Val) -> Result<Option<usize>, Error> {
    let Some(end) = writer else { return Ok(None) };
    if end.is_closed(store)? {
        return Ok(None);
    }
    end.check(val)?;
    let val = end.payload().is_some().then(|| mem::take(val));
    let end = writer.take().expect("it is there");
    end.write(store, val).map(|()| Some(1))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ampoule_component_write_block(
    writer: &mut ampoule_component_writer_t,
    context: &mut wasmtime_context_t,
    block: *const c_void,
    nelements: usize,
    count: &mut MaybeUninit<usize>,
    flow: &mut MaybeUninit<ampoule_component_flow_t>,
) -> Option<Box<wasmtime_error_t>> {
    copy(context, count, flow, |store, cx| {
        let nothing = [0; UNTYPED_AT_ONCE];
        let block = match block_len(writer.payload(), nelements)? {
            None => &nothing[..nelements.min(UNTYPED_AT_ONCE)],
            // SAFETY: the caller passes as many elements as it says, which nobody changes now.
            Some(len) => unsafe { bytes(block.cast(), len) },
        };
        match writer {
            ampoule_component_writer_t::Stream(writer) => writer.poll_write_block(store, cx, block),
            _ if nelements == 0 => Poll::Ready(Ok(Some(0))),
            ampoule_component_writer_t::Future(writer, ty) => {
                let mut val = ty.as_ref().map_or(Ok(Val::default()), |ty| Val::of_scalar(ty, block))?;
                Poll::Ready(write_value(writer, store, &mut val))
            }
        }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_reader_delete(_reader: Option<Box<ampoule_component_reader_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn ampoule_component_writer_delete(_writer: Option<Box<ampoule_component_writer_t>>) {}
