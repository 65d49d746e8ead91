//! What tasks wait for (Canonical ABI, "Waitable State" and "Subtask State"): waitables, which have an event now and then, and sets of them.

use super::arena::NONE;
use super::stream::End;
use crate::handle::{Handle, wrong_kind};
use crate::records::Lowered;
use crate::state::ComponentState;
use ampoule::{Error, TrapCode, VmValRaw};
use std::collections::VecDeque;

/// What a guest is told: a code, and two numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Event {
    pub(crate) code: EventCode,
    pub(crate) first: u32,
    pub(crate) second: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum EventCode {
    None = 0,
    Subtask = 1,
    StreamRead = 2,
    StreamWrite = 3,
    FutureRead = 4,
    FutureWrite = 5,
    TaskCancelled = 6,
}

impl Event {
    pub(crate) const NONE: Event = Event { code: EventCode::None, first: 0, second: 0 };
    pub(crate) const CANCELLED: Event = Event { code: EventCode::TaskCancelled, first: 0, second: 0 };
}

/// Something that has events: in the handle table of an instance.
pub(crate) struct Waitable {
    pub(crate) instance: u32,
    /// Its handle; zero as long as it has none.
    pub(crate) index: u32,
    /// Whether there is an event that was not delivered. What it says is asked when it is.
    pub(crate) pending: bool,
    /// The set that it is in; [`NONE`] for none.
    pub(crate) set: u32,
    /// The thread that waits for its next event alone; [`NONE`] for none.
    pub(crate) waiter: u32,
    pub(crate) kind: WaitableKind,
}

pub(crate) enum WaitableKind {
    Subtask(Subtask),
    /// Of a stream or future.
    End(End),
}

/// A call that a component has made, and that isn't over.
pub(crate) struct Subtask {
    pub(crate) state: SubtaskState,
    /// What the callee does.
    pub(crate) callee: Callee,
    /// The function that was called, and how.
    ///
    /// It stays in the store as long as that lives.
    pub(crate) lowered: *const Lowered,
    /// Where the result goes that isn't passed as a core value.
    pub(crate) address: u32,
    /// The result that is passed as one.
    pub(crate) result: VmValRaw,
    /// What the call has borrowed; [`NONE`] where it can't.
    pub(crate) scope: u32,
    pub(crate) cancellation_requested: bool,
    /// Whether the caller knows that it is over.
    pub(crate) resolve_delivered: bool,
}

// SAFETY: the pointer leads to what the store owns that the record is in, and goes where that goes.
unsafe impl Send for Subtask {}
// SAFETY: as above; a shared reference only reads.
unsafe impl Sync for Subtask {}

/// Who does what was called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Callee {
    Task(u32),
    /// The host, by the number of its future.
    Host(u32),
    Nobody,
}

/// The numbers are the guest's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum SubtaskState {
    Starting = 0,
    Started = 1,
    Returned = 2,
    CancelledBeforeStarted = 3,
    CancelledBeforeReturned = 4,
}

impl Subtask {
    pub(crate) fn is_resolved(&self) -> bool {
        !matches!(self.state, SubtaskState::Starting | SubtaskState::Started)
    }
}

/// Waitables that are waited for together.
#[derive(Default)]
pub(crate) struct WaitableSet {
    /// How many are in it.
    pub(crate) len: usize,
    /// Those with an event, in order.
    pub(crate) ready: VecDeque<u32>,
    /// Threads that wait for the next event, in order.
    pub(crate) waiters: VecDeque<u32>,
}

impl Waitable {
    /// A subtask that has no handle yet.
    pub(crate) fn subtask(instance: u32, subtask: Subtask) -> Waitable {
        Waitable::new(instance, WaitableKind::Subtask(subtask))
    }

    /// One that has no handle yet.
    pub(crate) fn new(instance: u32, kind: WaitableKind) -> Waitable {
        Waitable { instance, index: 0, pending: false, set: NONE, waiter: NONE, kind }
    }

    pub(crate) fn as_subtask(&mut self) -> Option<&mut Subtask> {
        match &mut self.kind {
            WaitableKind::Subtask(subtask) => Some(subtask),
            WaitableKind::End(_) => None,
        }
    }
}

impl ComponentState {
    /// The waitable of a handle.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn waitable_at(&mut self, instance: u32, index: u32) -> Result<u32, Error> {
        match *self.instance(instance).handles.get(index)? {
            Handle::Waitable(id) => Ok(id),
            _ => Err(wrong_kind(index, "a waitable")),
        }
    }

    /// The waitable set of a handle.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn set_at(&mut self, instance: u32, index: u32) -> Result<u32, Error> {
        match *self.instance(instance).handles.get(index)? {
            Handle::Set(id) => Ok(id),
            _ => Err(wrong_kind(index, "a waitable set")),
        }
    }

    /// The subtask of a record that is known to be one.
    pub(crate) fn subtask(&mut self, id: u32) -> &mut Subtask {
        self.concurrency.waitables[id].as_subtask().expect("it is a subtask")
    }

    /// A waitable has an event: who waits for it is looked at.
    pub(crate) fn set_pending(&mut self, id: u32) {
        let concurrency = &mut self.concurrency;
        let waitable = &mut concurrency.waitables[id];
        let was_pending = std::mem::replace(&mut waitable.pending, true);
        let (set, waiter) = (waitable.set, waitable.waiter);
        if waiter != NONE {
            concurrency.look_at(waiter);
        }
        if set != NONE && !was_pending {
            concurrency.sets[set].ready.push_back(id);
            concurrency.look_at_waiters(set);
        }
    }

    /// Takes the event of a waitable, which has one.
    pub(crate) fn take_event(&mut self, id: u32) -> Event {
        let waitable = &mut self.concurrency.waitables[id];
        debug_assert!(waitable.pending, "it has an event");
        waitable.pending = false;
        let (index, set) = (waitable.index, waitable.set);
        if set != NONE {
            self.concurrency.sets[set].ready.retain(|&ready| ready != id);
        }
        match &mut self.concurrency.waitables[id].kind {
            WaitableKind::Subtask(subtask) => {
                let state = subtask.state;
                if subtask.is_resolved() {
                    self.deliver_resolve(id);
                }
                Event { code: EventCode::Subtask, first: index, second: state as u32 }
            }
            WaitableKind::End(_) => self.take_end_event(id),
        }
    }

    /// The caller learns that a subtask is over: what it has lent is its own again.
    pub(crate) fn deliver_resolve(&mut self, id: u32) {
        let subtask = self.subtask(id);
        subtask.resolve_delivered = true;
        let scope = std::mem::replace(&mut subtask.scope, NONE);
        if scope != NONE {
            self.end_lends(scope);
        }
    }

    /// Takes the first event of a set, where there is one.
    pub(crate) fn take_event_of(&mut self, set: u32) -> Option<Event> {
        let first = *self.concurrency.sets[set].ready.front()?;
        let event = self.take_event(first);
        if !self.concurrency.sets[set].ready.is_empty() {
            self.concurrency.look_at_waiters(set);
        }
        Some(event)
    }

    /// Puts a waitable into a set, or into none.
    ///
    /// # Errors
    /// Where a thread waits for it alone.
    pub(crate) fn join(&mut self, id: u32, set: u32) -> Result<(), Error> {
        if self.concurrency.waitables[id].waiter != NONE {
            return Err(used_both_ways());
        }
        self.leave_set(id);
        if set == NONE {
            return Ok(());
        }
        let concurrency = &mut self.concurrency;
        let waitable = &mut concurrency.waitables[id];
        waitable.set = set;
        let pending = waitable.pending;
        let joined = &mut concurrency.sets[set];
        joined.len += 1;
        if pending {
            joined.ready.push_back(id);
            concurrency.look_at_waiters(set);
        }
        Ok(())
    }

    /// Takes a waitable out of its set.
    pub(crate) fn leave_set(&mut self, id: u32) {
        let waitable = &mut self.concurrency.waitables[id];
        let set = std::mem::replace(&mut waitable.set, NONE);
        let pending = waitable.pending;
        if set != NONE {
            let left = &mut self.concurrency.sets[set];
            left.len -= 1;
            if pending {
                left.ready.retain(|&ready| ready != id);
            }
        }
    }

    /// Whether a waitable is in a set.
    pub(crate) fn is_in_set(&self, id: u32) -> bool {
        self.concurrency.waitables[id].set != NONE
    }

    /// Gives a waitable a handle in its instance, or another instance: the handle.
    ///
    /// # Errors
    /// Where there are too many.
    pub(crate) fn give_waitable(&mut self, instance: u32, id: u32) -> Result<u32, Error> {
        let index = self.instance(instance).handles.insert(Handle::Waitable(id))?;
        let waitable = &mut self.concurrency.waitables[id];
        (waitable.instance, waitable.index) = (instance, index);
        Ok(index)
    }

    /// Removes a waitable and its handle.
    ///
    /// # Errors
    /// Where it has none.
    pub(crate) fn remove_waitable(&mut self, instance: u32, index: u32, id: u32) -> Result<(), Error> {
        self.leave_set(id);
        self.instance(instance).handles.remove(index)?;
        self.concurrency.waitables.remove(id);
        Ok(())
    }

    /// Refuses to use a waitable synchronously that is in a set.
    ///
    /// # Errors
    /// Where it is.
    pub(crate) fn check_in_no_set(&self, id: u32) -> Result<(), Error> {
        if self.concurrency.waitables[id].set == NONE {
            return Ok(());
        }
        Err(used_both_ways())
    }

    /// `waitable-set.new`.
    pub(crate) fn new_set(&mut self, instance: u32) -> Result<u32, Error> {
        let set = self.concurrency.sets.insert(WaitableSet::default())?;
        let handle = self.instance(instance).handles.insert(Handle::Set(set));
        handle.inspect_err(|_| _ = self.concurrency.sets.remove(set))
    }

    /// `waitable-set.drop`.
    pub(crate) fn drop_set(&mut self, instance: u32, index: u32) -> Result<(), Error> {
        let set = self.set_at(instance, index)?;
        let found = &self.concurrency.sets[set];
        if !found.waiters.is_empty() {
            return Err(Error::trap(TrapCode::WaitableSetDropHasWaiters));
        }
        if found.len > 0 {
            return Err(Error::message("cannot drop waitable set with waitables in it"));
        }
        self.instance(instance).handles.remove(index)?;
        self.concurrency.sets.remove(set);
        Ok(())
    }

    /// `subtask.drop`.
    pub(crate) fn drop_subtask(&mut self, instance: u32, index: u32) -> Result<(), Error> {
        let id = self.waitable_at(instance, index)?;
        let Some(subtask) = self.concurrency.waitables[id].as_subtask() else {
            return Err(wrong_kind(index, "a subtask"));
        };
        if !subtask.resolve_delivered {
            return Err(Error::trap(TrapCode::SubtaskDropNotResolved));
        }
        self.remove_waitable(instance, index, id)
    }
}

/// A waitable that is waited for alone and in a set.
#[cold]
fn used_both_ways() -> Error {
    Error::message("waitable cannot be used synchronously while added to a waitable set")
}

impl super::Concurrency {
    /// The threads that wait for a set's event are looked at: the first that may go on takes it.
    pub(crate) fn look_at_waiters(&mut self, set: u32) {
        for at in 0..self.sets[set].waiters.len() {
            let thread = self.sets[set].waiters[at];
            self.look_at(thread);
        }
    }
}
