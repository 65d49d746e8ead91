//! Tasks: work of a store that runs on a stack of its own, and may be suspended there.
//!
//! Polling a [`Task`] runs it on a fiber until it is done or suspends itself ([`Store::suspend`]): at an epoch deadline, when an interval
//! of fuel is used up, or in a host function that isn't ready. The store's side of it, and what may be entered meanwhile, is in
//! [`super::fibers`].
//!
//! A task that is dropped midway is resumed with [`Wake::GiveUp`]. [`Store::suspend`] then fails, then and ever after; no guest of the
//! task goes on and none is entered ([`divert`]); host functions return one by one. Afterwards the store is as usable as after
//! a trap.
//!
//! Invariants of a task's [`Core`], cited below:
//!
//! 1. A core doesn't move after it was made, and leaves its store's lists before it is dropped.
//! 2. `store` is null, or leads to a live store: a store that is dropped first gives its tasks up.
//! 3. A task that waits is in its store's list `waiting_task`; one that runs is in the chain that starts at `running_task`. The rest is in
//!    neither and has no fiber.
//! 4. While a task waits, `side` is what the store's words are to be when it runs. While it runs, and was made by a guest's host function,
//!    it is what they are to be afterwards. Outside of any guest they are then such as nothing but a poll needs.

pub mod sibling;

use super::Store;
use super::fibers::given_up;
use crate::error::Error;
use ampoule_core::vm::VmContext;
use ampoule_core::vm::VmStackBounds;
use ampoule_machine::arch::divert::divert;
use ampoule_machine::arch::entry::{EntryFrame, GuestFrames, RESERVED};
use ampoule_machine::arch::switch::{Left, Link, Run, Wake};
use ampoule_machine::fiber::Fiber;
use ampoule_machine::stack::{self, stack_pointer};
use std::mem::{self, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::task::Poll;

/// What a task does.
pub trait Work: 'static {
    /// Does it, on the task's own stack. Runs once.
    ///
    /// # Errors
    /// What the poll that completes the task gives.
    fn run(&mut self, store: &mut Store) -> Result<(), Error>;

    /// Whether dropping it does nothing. It may be, without saying so.
    fn owns_nothing(&self) -> bool {
        false
    }
}

/// A piece of work of one store that may be suspended.
#[repr(C)]
pub struct Task<W: Work> {
    core: Core,
    work: W,
}

/// What all tasks have, whatever they do.
pub(super) struct Core {
    store: *mut Store,
    state: State,
    /// Whether it is a [`sibling::Sibling`]'s.
    is_sibling: bool,
    /// Whether nobody waits for the result any more.
    pub(super) given_up: bool,
    /// `entry_fp` of the guest whose host function made the task; zero where it was made outside of any.
    pub(super) home: usize,
    /// The next in the list of the store that this is in.
    pub(super) next: *mut Core,
    pub(super) fiber: Option<Box<Fiber>>,
    /// Of the fiber.
    pub(super) link: *const Link,
    pub(super) side: Side,
    /// From the first poll to the end, what the store knew of the stack outside.
    outside: VmStackBounds,
    /// What runs on the fiber: [`Task::run`].
    run: Run,
    outcome: Option<Result<(), Error>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting,
    Running,
    /// The outcome is there, or was taken.
    Done,
}

/// What of a store belongs to the stack that it runs on.
#[derive(Default)]
pub(super) struct Side {
    entry_fp: usize,
    pub(super) exit_fp: usize,
    stack_limit: usize,
    caller: usize,
}

impl<W: Work> Task<W> {
    /// Work that begins with the first poll. Where the store has a task already, or it can't be told who would poll, the first
    /// poll gives an error. `make` writes the work to where it stays: moving it there would take longer than making it.
    ///
    /// # Safety
    /// The store is used by one thread at a time, polls and the drop of the task included. The box is not moved out of. `make`
    /// writes.
    #[inline(always)]
    pub unsafe fn new(store: &mut Store, make: impl FnOnce(&mut MaybeUninit<W>)) -> Box<Self> {
        let mut task = Box::<Self>::new_uninit();
        let at = task.as_mut_ptr();
        // SAFETY: both fields lie in the box, and are written, `work` by the caller's promise.
        let mut task = unsafe {
            (&raw mut (*at).core).write(Core {
                store,
                state: State::Waiting,
                is_sibling: false,
                given_up: false,
                home: store.home(),
                next: ptr::null_mut(),
                fiber: None,
                link: ptr::null(),
                side: Side::default(),
                outside: VmStackBounds::default(),
                run: Self::run,
                outcome: None,
            });
            make(&mut *(&raw mut (*at).work).cast());
            task.assume_init()
        };
        // Where there are no tasks, there is nothing to conflict with.
        let alone = store.vm.entry.running_task.is_null() && store.vm.entry.waiting_task.is_null();
        if !alone && let Err(error) = store.check_conflicts() {
            task.core.store = Store::at_vm(ptr::null_mut());
            task.core.state = State::Done;
            task.core.outcome = Some(Err(error));
            return task;
        }
        if task.core.home == 0 {
            store.reserve();
        }
        // SAFETY: it has just been made, and stays where it is (1).
        unsafe { task.core.wait() };
        task
    }

    /// What runs on the fiber.
    ///
    /// # Safety
    /// `core` is that of a task of this type that has just been started.
    unsafe fn run(core: *mut ()) {
        let core: *mut Core = core.cast();
        // SAFETY: the task is alive while its fiber isn't finished, and the core is its first field. The store is lent to the work; who
        // polls doesn't use it.
        unsafe {
            let store = &mut *(*core).store;
            if (*core).home != 0 {
                // An entry that isn't the outermost leaves the limit as it is.
                let max = store.engine.config().max_wasm_stack;
                store.vm.stack_limit = stack::limit_for(&mut store.vm.entry.stack, stack_pointer(), max);
            }
            let work = &mut (*core.cast::<Self>()).work;
            let outcome = catch_unwind(AssertUnwindSafe(|| work.run(store)))
                .unwrap_or_else(|_| Err(Error::message("the engine panicked; this is a defect of it")));
            (&raw mut (*core).outcome).write(Some(outcome));
        }
    }

    /// Runs the work until it is done or suspends itself.
    ///
    /// # Safety
    /// As for [`Task::new`]; and the pointers in the work are still good.
    ///
    /// # Panics
    /// Where the outcome was given before, and where the task itself asks.
    #[inline(always)]
    pub unsafe fn poll(&mut self) -> Poll<Result<(), Error>> {
        match self.core.state {
            State::Waiting => {
                let core: *mut Core = &mut self.core;
                // SAFETY: it waits, and by the caller.
                if unsafe { Core::poll(core) } == Left::Suspended {
                    return Poll::Pending;
                }
            }
            State::Running => panic!("the call that is running can't be polled by itself"),
            State::Done => {}
        }
        Poll::Ready(self.core.outcome.take().expect("a future is not polled again after it was done"))
    }

    /// Drops it. Of a call that is over there is mostly nothing to drop but its memory.
    #[inline]
    pub fn delete(self: Box<Self>) {
        let spent = self.core.state == State::Done && self.core.outcome.is_none();
        if spent && self.work.owns_nothing() {
            // SAFETY: a task that is done has no fiber (3), an outcome that was taken is none, and the work owns nothing: the box is as good
            // as one without a value.
            drop(unsafe { Box::from_raw(Box::into_raw(self).cast::<MaybeUninit<Self>>()) });
        }
    }

    /// What it does, while it doesn't run.
    pub fn work(&mut self) -> &mut W {
        &mut self.work
    }

    /// Whether the outcome was given, so that polling makes no sense any more.
    pub fn is_over(&self) -> bool {
        self.core.state == State::Done && self.core.outcome.is_none()
    }

    /// Whether it waits for a poll.
    #[inline]
    pub fn is_waiting(&self) -> bool {
        self.core.state == State::Waiting
    }

    /// Whether it is being polled, further out on this stack or on another's.
    pub fn is_running(&self) -> bool {
        self.core.state == State::Running
    }
}

impl<W: Work> Drop for Task<W> {
    fn drop(&mut self) {
        match self.core.state {
            // SAFETY: it waits, and the store is ours to use by the contract of `new`.
            State::Waiting => unsafe {
                Core::refuse_beneath_running(&self.core);
                Core::give_up(&mut self.core);
            },
            // Its frames are below ours, and they need it.
            State::Running => {
                eprintln!("ampoule: an asynchronous call was deleted by what it runs");
                std::process::abort();
            }
            State::Done => {}
        }
    }
}

impl Core {
    /// Puts the task into its store's list.
    ///
    /// # Safety
    /// It is in none, and the store is alive.
    #[inline]
    unsafe fn wait(&mut self) {
        self.state = State::Waiting;
        // SAFETY: by the caller.
        unsafe {
            let waiting = Core::list(self);
            self.next = mem::replace(&mut *waiting, self);
        }
    }

    /// The list of those that wait which a core is in, or belongs into.
    ///
    /// # Safety
    /// The store is alive.
    #[inline]
    unsafe fn list(core: *const Core) -> *mut *mut Core {
        // SAFETY: by the caller.
        unsafe {
            let store = (*core).store;
            match (*core).is_sibling {
                false => (&raw mut (*store).vm.entry.waiting_task).cast(),
                true => &raw mut (*store).fibers.siblings,
            }
        }
    }

    /// Takes the task out of its store's list.
    ///
    /// # Safety
    /// It waits.
    #[inline]
    unsafe fn stop_waiting(core: *mut Core) {
        // SAFETY: by the caller and (3), the list holds it, and all in the list are alive.
        unsafe {
            let mut link = Core::list(core);
            while *link != core {
                link = &raw mut (**link).next;
            }
            *link = (*core).next;
        }
    }

    /// # Safety
    /// The task waits; otherwise as [`Task::poll`].
    #[inline(always)]
    unsafe fn poll(core: *mut Core) -> Left {
        // SAFETY: by the caller, the task is alive, and so is its store (2). Neither is borrowed while the fiber runs.
        unsafe {
            let store = (*core).store;
            if (*core).home != 0 || !(*store).vm.entry.running_task.is_null() || (*store).vm.entry_fp() > RESERVED {
                return Core::poll_in_guest(core);
            }
            if (*core).fiber.is_some() {
                (*core).side.give(store);
            } else if let Err(error) = Core::start(core) {
                return Core::finish(core, error);
            } else {
                // No guest runs yet; entering one checks for tasks.
                (*store).vm.set_entry_fp(0);
            }
            Core::resume(core, Wake::Continue, true)
        }
    }

    /// The same where a task of the store runs, or a guest, or the task was made by one.
    ///
    /// # Safety
    /// As there.
    #[cold]
    unsafe fn poll_in_guest(core: *mut Core) -> Left {
        // SAFETY: by the caller, as there.
        unsafe {
            let store = (*core).store;
            let here = (*store).home();
            if let Err(error) = (*store).check_not_given_up() {
                // The task whose host function polls.
                Core::refuse_beneath_running(core);
                return Core::fail(core, error);
            }
            if here != 0
                && let Err(error) = (*store).check_not_left_behind()
            {
                return Core::fail(core, error);
            }
            if (*core).home != here {
                // The frames that it runs on top of are not the ones that it was made on.
                return Core::fail(core, Error::message("a future made in a host function was polled outside of it"));
            }
            if (*core).fiber.is_none() {
                if let Err(error) = Core::start(core) {
                    return Core::finish(core, error);
                }
                (*core).side.keep(store);
                (*core).side.entry_fp = here;
            } else if here != 0
                && let Some(entry) = Core::outermost(core)
            {
                entry.set_outer(here, (*store).vm.exit_fp);
            }
            Core::give_side(core);
            let left = Core::resume(core, Wake::Continue, here == 0);
            if left == Left::Suspended
                && (*core).home != 0
                && let Some(entry) = Core::outermost(core)
            {
                entry.set_outer(RESERVED, 0);
            }
            left
        }
    }

    /// Ends the process where a task that runs was made by a host function on this one's stack. Only a task that is being given up runs
    /// while the one below it waits; ending that one first would free the frames that the other returns to.
    ///
    /// # Safety
    /// The task waits.
    unsafe fn refuse_beneath_running(core: *const Core) {
        // SAFETY: by the caller and (2); what runs is alive (3).
        unsafe {
            let Some(fiber) = &(*core).fiber else { return };
            let stack = fiber.stack().range();
            let mut running: *mut Core = (*(*core).store).vm.entry.running_task.cast();
            while !running.is_null() {
                if stack.contains(&(*running).home) {
                    eprintln!(
                        "ampoule: an asynchronous call was polled or deleted by one that it made and that is being given up"
                    );
                    std::process::abort();
                }
                running = (*running).next;
            }
        }
    }

    /// Gives the task up, with this error as its outcome.
    ///
    /// # Safety
    /// The task waits.
    #[cold]
    unsafe fn fail(core: *mut Core, error: Error) -> Left {
        // SAFETY: by the caller.
        unsafe {
            Core::give_up(core);
            (*core).outcome = Some(Err(error));
        }
        Left::Finished
    }

    /// Gives the work to a fiber.
    ///
    /// # Errors
    /// Where there is none to be had.
    ///
    /// # Safety
    /// The task waits, and has no fiber.
    #[inline(always)]
    unsafe fn start(core: *mut Core) -> Result<(), Error> {
        // SAFETY: by the caller, and (2). The core stays where it is until the work is done (1).
        unsafe {
            let store = (*core).store;
            let fiber = (*store).take_fiber()?;
            // The store keeps the bounds of the fiber's stack until the end, whoever polls: any other entry takes the slow path meanwhile.
            (*core).outside = (*store).vm.entry.stack.clone();
            (*store).vm.entry.stack = stack::on_this_thread(fiber.bounds());
            if (*core).outside.is_asking() {
                (*store).vm.entry.stack.keep_asking();
            }
            (*core).link = fiber.link();
            (*(*core).link).begin((*core).run, core.cast());
            (&raw mut (*core).fiber).write(Some(fiber));
        }
        Ok(())
    }

    /// Gives the store the words that are to be there while the task runs, before [`Core::resume`].
    ///
    /// # Safety
    /// The task waits.
    #[inline]
    unsafe fn give_side(core: *mut Core) {
        // SAFETY: by the caller and (2).
        unsafe {
            let store = (*core).store;
            if (*core).home == 0 { (*core).side.give(store) } else { (*core).side.exchange(store) }
        }
    }

    /// Runs the fiber. `outermost`: the task was made outside of any guest.
    ///
    /// # Safety
    /// The task waits and has a fiber, and the store has the words of its side.
    #[inline(always)]
    unsafe fn resume(core: *mut Core, wake: Wake, outermost: bool) -> Left {
        // SAFETY: by the caller, (2) and (3); nothing is borrowed across the switch.
        unsafe {
            let store = (*core).store;
            Core::stop_waiting(core);
            (*core).state = State::Running;
            (*core).next = mem::replace(&mut (*store).vm.entry.running_task, core.cast()).cast();
            let left = Link::resume((*core).link, wake);
            (*store).vm.entry.running_task = (*core).next.cast();
            if left == Left::Suspended {
                // Whatever the words were outside of any guest, this is what they are while a task waits.
                if outermost {
                    (*core).side.keep(store);
                    (*store).reserve();
                    (*store).vm.caller = ptr::null_mut();
                } else {
                    (*core).side.exchange(store);
                }
                (*core).wait();
                return left;
            }
            if !outermost {
                (*core).side.exchange(store);
            }
            let asks = (*store).vm.entry.stack.is_asking();
            (*store).vm.entry.stack = (*core).outside.clone();
            if asks {
                (*store).vm.entry.stack.keep_asking();
            }
            let fiber = (*core).fiber.take().expect("it ran");
            (*store).give_fiber(fiber);
            Core::leave(core);
            left
        }
    }

    /// The end of a task that waits, with this error, before it has a fiber.
    ///
    /// # Safety
    /// The task waits and has no fiber.
    #[cold]
    unsafe fn finish(core: *mut Core, error: Error) -> Left {
        // SAFETY: by the caller.
        unsafe {
            Core::stop_waiting(core);
            (*core).outcome = Some(Err(error));
            Core::leave(core);
        }
        Left::Finished
    }

    /// Lets the store go, which is in none of whose lists any more.
    ///
    /// # Safety
    /// The store is alive.
    #[inline]
    unsafe fn leave(core: *mut Core) {
        // SAFETY: by the caller.
        unsafe {
            let store = mem::replace(&mut (*core).store, Store::at_vm(ptr::null_mut()));
            (*core).state = State::Done;
            if (*core).home == 0 {
                (*store).vm.set_entry_fp(0);
                (*store).vm.stack_limit = usize::MAX;
                if (*store).fibers.async_only && (*store).vm.entry.running_task.is_null() {
                    (*store).reserve();
                }
            }
        }
    }

    /// Brings what the task does to an end, without a result that matters.
    ///
    /// # Safety
    /// The task waits.
    #[cold]
    pub(super) unsafe fn give_up(core: *mut Core) {
        // SAFETY: by the caller.
        unsafe {
            (*core).given_up = true;
            if (*core).fiber.is_none() {
                Core::finish(core, given_up());
                return;
            }
            if (*core).has_guest() {
                // What is outside of the fiber may not be there any more. Nor may anything be entered after the outermost guest.
                divert((*core).side.exit_fp).set_outer(RESERVED, 0);
            } else {
                (*core).side.entry_fp = RESERVED;
            }
            (*core).side.stack_limit = usize::MAX;
            let left = match (*core).is_sibling {
                true => Core::resume_sibling(core, Wake::GiveUp),
                false => {
                    Core::give_side(core);
                    Core::resume(core, Wake::GiveUp, (*core).home == 0)
                }
            };
            if left == Left::Suspended {
                unreachable!("a task that was given up does not suspend itself");
            }
            (*core).outcome = Some(Err(given_up()));
        }
    }

    /// Whether it is a sibling's.
    #[inline]
    pub(super) fn is_sibling(&self) -> bool {
        self.is_sibling
    }

    /// Whether guest code waits on the fiber of the task, which waits itself.
    #[inline]
    pub(super) fn has_guest(&self) -> bool {
        self.fiber.is_some() && self.side.entry_fp > RESERVED && self.side.entry_fp != self.home
    }

    /// The outermost entry frame on the fiber of a task that waits; `None` where no guest is on it.
    ///
    /// # Safety
    /// The task waits.
    #[cold]
    unsafe fn outermost(core: *mut Core) -> Option<EntryFrame> {
        // SAFETY: by the caller and (4): the guest waits below that exit.
        unsafe {
            if !(*core).has_guest() {
                return None;
            }
            let mut entry = GuestFrames::below_exit((*core).side.exit_fp).entry();
            while entry.outer_entry_fp() != (*core).home
                && let Some(outer) = entry.outer()
            {
                entry = outer.entry();
            }
            Some(entry)
        }
    }
}

impl Side {
    /// Gives the store the words of the side that runs from now on. Outside of any guest nothing has to be kept for the other: see
    /// [`Side::keep`].
    ///
    /// # Safety
    /// The store is alive and not borrowed.
    #[inline(always)]
    unsafe fn give(&mut self, store: *mut Store) {
        // SAFETY: by the caller.
        let vm = unsafe { &mut (*store).vm };
        vm.set_entry_fp(self.entry_fp);
        vm.exit_fp = self.exit_fp;
        vm.stack_limit = self.stack_limit;
        vm.caller = ptr::with_exposed_provenance_mut::<VmContext>(self.caller);
    }

    /// Keeps the store's words.
    ///
    /// # Safety
    /// As [`Side::give`].
    #[inline(always)]
    unsafe fn keep(&mut self, store: *mut Store) {
        // SAFETY: by the caller.
        let vm = unsafe { &(*store).vm };
        *self = Side {
            entry_fp: vm.entry_fp(),
            exit_fp: vm.exit_fp,
            stack_limit: vm.stack_limit,
            caller: vm.caller.expose_provenance(),
        };
    }

    /// Exchanges the two sides.
    ///
    /// # Safety
    /// As [`Side::give`].
    #[cold]
    unsafe fn exchange(&mut self, store: *mut Store) {
        let mut other = Side::default();
        // SAFETY: by the caller.
        unsafe {
            other.keep(store);
            self.give(store);
        }
        *self = other;
    }
}

#[cfg(test)]
mod tests;
