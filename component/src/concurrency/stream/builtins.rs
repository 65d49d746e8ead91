//! What guests call about streams and futures (Canonical ABI, from "`canon {stream,future}.new`" on).

use super::copy::{lend, meet};
use super::forward::forward;
use super::{Payload, Side, State, StreamKind};
use crate::builtin::StreamOp;
use crate::concurrency::cancel::BLOCKED;
use crate::concurrency::run::block;
use crate::concurrency::thread::Wait;
use crate::records::BuiltinData;
use crate::state::ComponentState;
use ampoule::{Error, Store, VmValRaw};

/// Does what a guest has called for.
///
/// # Errors
/// Where the guest may not do that.
pub(crate) fn run(
    store: &mut Store,
    builtin: &BuiltinData,
    (kind, payload, op): (StreamKind, &Payload, StreamOp),
    args: [u32; 3],
    values: &mut [VmValRaw],
) -> Result<(), Error> {
    let instance = builtin.instance;
    let [index, at, len] = args;
    let answer = match op {
        StreamOp::New => {
            let (readable, writable) = ComponentState::of(store).new_stream(instance, kind, payload)?;
            values[0] = VmValRaw { i64: (u64::from(readable) | u64::from(writable) << 32) as i64 };
            return Ok(());
        }
        StreamOp::Copy { side } => {
            let len = if kind == StreamKind::Future { 1 } else { len };
            copy(store, builtin, (kind, side), payload, index, (at, len))?
        }
        StreamOp::Cancel { side, is_async } => cancel(store, instance, (kind, side), payload, index, is_async)?,
        StreamOp::Forward => return forward(store, instance, kind, payload, [index, at]),
        StreamOp::Drop { side } => return drop_end(ComponentState::of(store), instance, (kind, side), payload, index),
    };
    values[0] = VmValRaw { i64: i64::from(answer) };
    Ok(())
}

/// `{stream,future}.{read,write}`.
fn copy(
    store: &mut Store,
    builtin: &BuiltinData,
    which: (StreamKind, Side),
    payload: &Payload,
    index: u32,
    (at, len): (u32, u32),
) -> Result<u32, Error> {
    let state = ComponentState::of(store);
    let is_async = builtin.options.is_async;
    if !is_async {
        state.check_may_block()?;
    }
    let id = state.end_at(builtin.instance, index, which, payload)?;
    if !is_async {
        state.check_in_no_set(id)?;
    }
    lend(store, id, builtin, at, len)?;
    let state = ComponentState::of(store);
    state.end(id).state = if is_async { State::Copying } else { State::CopyingSync };
    meet(store, id)?;
    if ComponentState::of(store).end(id).event.is_none() {
        if is_async {
            return Ok(BLOCKED);
        }
        block(store, Wait::Waitable(id))?;
    }
    Ok(ComponentState::of(store).take_event(id).second)
}

/// `{stream,future}.cancel-{read,write}`.
fn cancel(
    store: &mut Store,
    instance: u32,
    which: (StreamKind, Side),
    payload: &Payload,
    index: u32,
    is_async: bool,
) -> Result<u32, Error> {
    let state = ComponentState::of(store);
    if !is_async {
        state.check_may_block()?;
    }
    let id = state.end_at(instance, index, which, payload)?;
    if !is_async {
        state.check_in_no_set(id)?;
    }
    if state.end(id).state != State::Copying {
        let (kind, what) = (which.0.name(), if which.1 == Side::Readable { "read from" } else { "write to" });
        return Err(Error::message(format!("cannot cancel: no asynchronous {what} this {kind} is under way")));
    }
    state.cancel_copy(id);
    // A copy does all that it can at once, so that nothing is ever left to wait for.
    Ok(state.take_event(id).second)
}

/// `{stream,future}.drop-{readable,writable}`.
fn drop_end(
    state: &mut ComponentState,
    instance: u32,
    (kind, side): (StreamKind, Side),
    payload: &Payload,
    index: u32,
) -> Result<(), Error> {
    let id = state.end_at(instance, index, (kind, side), payload)?;
    let end = state.end(id);
    if end.is_copying() {
        let what = if side == Side::Readable { "remove" } else { "drop" };
        return Err(Error::message(format!("cannot {what} busy {}", kind.name())));
    }
    if (kind, side) == (StreamKind::Future, Side::Writable) && end.state != State::Done {
        return Err(Error::message("cannot drop future write end without first writing a value"));
    }
    let stream = end.stream;
    state.remove_waitable(instance, index, id)?;
    state.leave_stream(stream, side);
    Ok(())
}
