//! Elements from one end to the other.

use super::{Buffer, CopyResult, Holder, Outcome, Side, StreamKind, host};
use crate::canon::is_aligned;
use crate::canon::transfer::Transfer;
use crate::records::BuiltinData;
use crate::state::ComponentState;
use crate::types::ValType;
use ampoule::{Error, Store, TrapCode};

/// A buffer has no more elements than this (Canonical ABI, `Buffer.MAX_LENGTH`): their number shares a word with the result.
const MAX_LEN: u32 = (1 << 28) - 1;

impl ComponentState {
    /// Has an end be told of what its copy has come to.
    fn set_outcome(&mut self, id: u32, result: CopyResult, is_lent: bool) {
        self.end(id).event = Some(Outcome { result, is_lent });
        self.set_pending(id);
    }

    /// The buffer that is lent, if there is one, is its owner's again.
    pub(super) fn end_pending(&mut self, stream: u32, result: CopyResult) {
        let stream = &mut self.concurrency.streams[stream];
        let Some(side) = stream.pending.take() else { return };
        let &mut Holder::Guest(id) = stream.holder(side) else { return };
        self.set_outcome(id, result, false);
    }

    /// Cancels what an end is doing. What of it is done stays so: elements of a stream that were copied, and the one of a future.
    pub(super) fn cancel_copy(&mut self, id: u32) {
        let end = self.end(id);
        let (stream, kind, event) = (end.stream, end.kind, end.event);
        match event {
            None => self.end_pending(stream, CopyResult::Cancelled),
            Some(Outcome { result: CopyResult::Completed, is_lent }) if kind == StreamKind::Stream => {
                self.set_outcome(id, CopyResult::Cancelled, is_lent);
            }
            Some(_) => {}
        }
    }

    /// An end goes: the other one, where it waits, is told.
    pub(super) fn leave_stream(&mut self, stream: u32, side: Side) {
        let found = &mut self.concurrency.streams[stream];
        *found.holder(side) = Holder::Dropped;
        match found.holder(side.other()) {
            Holder::Dropped => _ = self.concurrency.streams.remove(stream),
            Holder::Guest(_) => self.end_pending(stream, CopyResult::Dropped),
            Holder::Host(_) => self.leave_host(stream, side.other()),
        }
    }
}

/// An end lends memory, to be filled or emptied: so many elements at an address.
///
/// # Errors
/// Where the end can't copy now, or the memory isn't there.
pub(super) fn lend(store: &mut Store, id: u32, builtin: &BuiltinData, at: u32, len: u32) -> Result<(), Error> {
    let end = ComponentState::of(store).end(id);
    end.check_idle()?;
    let payload = end.payload.clone();
    if len > MAX_LEN {
        return Err(Error::message(format!("a buffer of {len} elements is too long to be read or written")));
    }
    if let (Some(ty), 1..) = (&*payload, len) {
        let layout = ty.layout();
        if !is_aligned(at, layout.align) {
            return Err(Error::trap(TrapCode::UnalignedPointer));
        }
        let (_, memory_len) = builtin.options.memory(store)?;
        if u64::from(at) + u64::from(len) * u64::from(layout.size) > memory_len as u64 {
            return Err(Error::trap(TrapCode::MemoryOutOfBounds));
        }
    }
    ComponentState::of(store).end(id).buffer = Buffer { builtin, at, len, progress: 0 };
    Ok(())
}

/// An end meets the other one: copies what is there at both, or waits for the other.
///
/// # Errors
/// Where the elements mean nothing, or both ends are one instance's and the elements aren't numbers.
pub(super) fn meet(store: &mut Store, id: u32) -> Result<(), Error> {
    let state = ComponentState::of(store);
    let end = state.end(id);
    let (stream, side, kind) = (end.stream, end.side, end.kind);
    let found = &mut state.concurrency.streams[stream];
    let other = match found.holder(side.other()) {
        Holder::Dropped if (kind, side) == (StreamKind::Future, Side::Readable) => return Err(no_value()),
        Holder::Dropped => {
            state.set_outcome(id, CopyResult::Dropped, false);
            return Ok(());
        }
        Holder::Host(_) => {
            found.pending = Some(side);
            return host::serve(store, stream);
        }
        &mut Holder::Guest(other) => other,
    };
    let Some(waiting) = found.pending else {
        found.pending = Some(side);
        return Ok(());
    };
    debug_assert_eq!(waiting, side.other(), "an end that copies has lent nothing before");
    state.check_different_instances(id, other)?;
    let [mine, theirs] = [id, other].map(|id| state.end(id).buffer);
    if kind == StreamKind::Future {
        copy_between(store, id, other, 1)?;
        let state = ComponentState::of(store);
        state.end_pending(stream, CopyResult::Completed);
        state.set_outcome(id, CopyResult::Completed, false);
        return Ok(());
    }
    if theirs.remaining() > 0 {
        if mine.remaining() > 0 {
            copy_between(store, id, other, mine.remaining().min(theirs.remaining()))?;
            // What is left of the buffer stays lent until its owner is told.
            ComponentState::of(store).set_outcome(other, CopyResult::Completed, true);
        }
        ComponentState::of(store).set_outcome(id, CopyResult::Completed, false);
    } else if side == Side::Writable && mine.len == 0 && theirs.len == 0 {
        // One that writes nothing asks whether the reader is there; a reader that reads nothing waits for more.
        state.set_outcome(id, CopyResult::Completed, false);
    } else {
        state.end_pending(stream, CopyResult::Completed);
        state.concurrency.streams[stream].pending = Some(side);
    }
    Ok(())
}

/// A guest can't drop the writable end of a future without a value; the host can.
#[cold]
pub(super) fn no_value() -> Error {
    Error::message("the writable end of a future was dropped without a value")
}

impl ComponentState {
    /// What is allowed within one instance only with numbers, whose copies run no code of the guest.
    fn check_different_instances(&mut self, one: u32, other: u32) -> Result<(), Error> {
        let waitables = &self.concurrency.waitables;
        let same = waitables[one].instance == waitables[other].instance;
        if same && !is_number_or_nothing(self.end(one).payload.as_ref().as_ref()) {
            let what = "intra-component future/stream with non-numeric payload";
            return Err(Error::message(format!("cannot read from and write to {what}")));
        }
        Ok(())
    }
}

fn is_number_or_nothing(payload: Option<&ValType>) -> bool {
    payload.is_none_or(|ty| crate::val::Kind::of_number(ty).is_some())
}

/// Copies so many elements, which both have, between two ends that are guests'.
fn copy_between(store: &mut Store, one: u32, other: u32, count: u32) -> Result<(), Error> {
    let state = ComponentState::of(store);
    let (from, to) = if state.end(one).side == Side::Writable { (one, other) } else { (other, one) };
    let [(from_payload, from_buffer), (to_payload, to_buffer)] = [from, to].map(|id| {
        let end = state.end(id);
        (end.payload.clone(), end.buffer)
    });
    if let (Some(given), Some(taken)) = (&*from_payload, &*to_payload) {
        // SAFETY: built-in functions stay where they are as long as their store.
        let (from_builtin, to_builtin) = unsafe { (&*from_buffer.builtin, &*to_buffer.builtin) };
        let size = given.layout().size;
        let [from_at, to_at] = [from_buffer, to_buffer].map(|buffer| buffer.at + buffer.progress * size);
        let mut transfer = Transfer::new(store, &from_builtin.options, &to_builtin.options)?;
        transfer.between_buffers((given, taken), from_at, to_at, count)?;
    }
    let state = ComponentState::of(store);
    for id in [from, to] {
        state.end(id).buffer.progress += count;
    }
    Ok(())
}
