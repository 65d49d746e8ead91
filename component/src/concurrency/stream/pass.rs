//! Readable ends that go from one component to another (Canonical ABI, `lift_async_value` and `lower_async_value`).

use super::{Payload, Side, State, StreamKind};
use crate::state::ComponentState;
use ampoule::Error;

impl ComponentState {
    /// Takes a readable end away from an instance: its waitable, which nobody has a handle for then.
    ///
    /// # Errors
    /// Where there is none of this type, or it can't be given away now.
    pub(super) fn take_end(
        &mut self,
        instance: u32,
        index: u32,
        kind: StreamKind,
        payload: &Payload,
    ) -> Result<u32, Error> {
        let id = self.end_at(instance, index, (kind, Side::Readable), payload)?;
        self.check_free(id, ["lift", "remove"])?;
        self.instance(instance).handles.remove(index)?;
        Ok(id)
    }

    /// Refuses to take an end away that is in use or at its end. The words say what it would be taken for.
    ///
    /// # Errors
    /// Where it is.
    pub(super) fn check_free(&mut self, id: u32, [take, take_busy]: [&str; 2]) -> Result<(), Error> {
        let end = self.end(id);
        let (state, kind, side) = (end.state, end.kind, end.side);
        let why = match (state, kind, side) {
            (State::Idle, ..) if !self.is_in_set(id) => return Ok(()),
            (State::Idle, ..) => "while it's in a waitable set",
            (State::Done, StreamKind::Stream, Side::Readable) => "after being notified that the writable end dropped",
            (State::Done, StreamKind::Stream, Side::Writable) => "after being notified that the readable end dropped",
            (State::Done, StreamKind::Future, Side::Readable) => "after previous read succeeded",
            (State::Done, StreamKind::Future, Side::Writable) => {
                "after previous write succeeded or readable end dropped"
            }
            _ => return Err(Error::message(format!("cannot {take_busy} busy {}", kind.name()))),
        };
        Err(Error::message(format!("cannot {take} {} {why}", kind.name())))
    }

    /// Passes a readable end from one instance to another, which knows the elements' type by its own terms: the new handle.
    ///
    /// # Errors
    /// As [`ComponentState::take_end`]; where the other has too many handles.
    pub(crate) fn pass_end(
        &mut self,
        (from, given): (u32, &Payload),
        (to, taken): (u32, &Payload),
        kind: StreamKind,
        index: u32,
    ) -> Result<u32, Error> {
        let id = self.take_end(from, index, kind, given)?;
        self.concurrency.waitables[id].instance = to;
        let end = self.end(id);
        end.payload = taken.clone();
        self.give_waitable(to, id)
    }
}
