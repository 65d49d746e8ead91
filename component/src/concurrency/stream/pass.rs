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
        let refused = |why: &str| Error::message(format!("cannot lift {} {why}", kind.name()));
        let end = self.end(id);
        match end.state {
            State::Idle => {}
            State::Done if kind == StreamKind::Stream => {
                return Err(refused("after being notified that the writable end dropped"));
            }
            State::Done => return Err(refused("after previous read succeeded")),
            _ => return Err(Error::message(format!("cannot remove busy {}", kind.name()))),
        }
        if self.is_in_set(id) {
            return Err(refused("while it's in a waitable set"));
        }
        self.instance(instance).handles.remove(index)?;
        Ok(id)
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
