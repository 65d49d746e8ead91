//! A store's asynchronous calls: the tasks ([`super::task`]) that run or wait, suspending the one that runs, and what else may be entered.
//!
//! While a task waits for its next poll, nothing else is entered on its store: neither from outside, nor from the host function that
//! made the task. The check costs the ordinary way into the guest nothing: `VmStoreContext::entry_fp` is [`RESERVED`] then, which
//! sends [`crate::Func`] down the path for nested calls, and that asks here. Native entries look at the stack limit there, which is such
//! that they ask, too. (Only between a task that a host function left behind and native entries from there is nothing detected; they
//! are on different stacks, and don't touch each other.) Guests of other stores on a task's stack are [`super::reentry`]'s.
//!
//! Numbers in parentheses are the invariants of [`super::task`].

use super::Store;
use super::task::Core;
use super::task::sibling::Pause;
use crate::engine::budget::BudgetKind;
use crate::error::Error;
use ampoule_machine::arch::entry::{GuestFrames, RESERVED};
use ampoule_machine::arch::switch::{Left, Link, Wake};
use ampoule_machine::fiber::{Fiber, FiberStack, link_around};
use std::{mem, ptr};

/// A store's tasks, besides the two lists that [`ampoule_core::vm::VmEntryChecks`] begins: `running_task`, the innermost task that
/// runs, whose `next` is the one whose host function polled it; and `waiting_task`, those that wait for a poll, one at most for each
/// host function that made one, and one made outside.
pub(crate) struct Fibers {
    /// Whether the store takes asynchronous calls only.
    pub(super) async_only: bool,
    /// The fiber that was used last, idle.
    pub(super) spare: Option<Box<Fiber>>,
    /// Another one, of a store that has used two at a time: a task with a sibling on it, as each asynchronous call of a component is.
    second_spare: Option<Box<Fiber>>,
    /// Whether the engine's stacks know of the store, as one that keeps none by itself.
    joined: bool,
    /// The first of the siblings that wait.
    pub(super) siblings: *mut Core,
    /// What the task that suspends itself waits for.
    pub(super) pause: Pause,
}

impl Default for Fibers {
    fn default() -> Self {
        Self {
            async_only: false,
            spare: None,
            second_spare: None,
            joined: false,
            siblings: ptr::null_mut(),
            pause: Pause::Yield,
        }
    }
}

const ASYNC_ONLY: &str = "store configuration requires that `*_async` functions are used instead";

#[cold]
fn busy() -> Error {
    Error::message("the store has an asynchronous call that is not finished: poll or delete its future first")
}

/// The error of what was going on when a task was given up.
#[cold]
pub(crate) fn given_up() -> Error {
    Error::message("the asynchronous call was given up")
}

#[cold]
fn held() -> Error {
    Error::message(
        "the asynchronous call cannot wait: on its stack is a call into a store whose guest waits for that further out",
    )
}

#[cold]
fn left_behind() -> Error {
    Error::message("the store has a guest that was left on the stack of another store's asynchronous call, which waits")
}

/// The store as a pointer, for a call in which others use the store through the pointer in a task: the optimizer must not conclude from
/// the reference that nothing else accesses it.
#[inline(always)]
fn shared(store: &mut Store) -> *mut Store {
    std::hint::black_box(ptr::from_mut(store))
}

/// Those of a list that begins with this one, or with null.
fn cores_from(first: *mut Core) -> impl Iterator<Item = *mut Core> {
    // SAFETY: what is in a store's list is alive (3).
    std::iter::successors((!first.is_null()).then_some(first), |&core| unsafe {
        let next = (*core).next;
        (!next.is_null()).then_some(next)
    })
}

impl Store {
    /// Suspends the running task until it is polled again, which is up to the host; [`Store::wait`] tells the host when that makes sense.
    ///
    /// # Errors
    /// Where no task runs, or it was given up, or the call was cancelled meanwhile: what was going on has to end then.
    // Inlined, like everything around the switch: see `ampoule_machine::arch::switch`.
    #[inline(always)]
    pub fn suspend(&mut self) -> Result<(), Error> {
        self.fibers.pause = Pause::Yield;
        self.suspend_as_told()
    }

    /// Suspends the running task, which could go on, so that others have their turn: the host is told that it may poll again at once.
    ///
    /// # Errors
    /// As [`Store::suspend`].
    #[inline(always)]
    pub(crate) fn pause(&mut self) -> Result<(), Error> {
        self.wake_listener();
        self.suspend()
    }

    /// Suspends the running task; `pause` says what for.
    #[inline(always)]
    pub(super) fn suspend_as_told(&mut self) -> Result<(), Error> {
        let link = self.before_pause()?;
        let guest_ran = self.counters.stop();
        let store = shared(self);
        // SAFETY: a running task's fiber is what we are on. Neither the store nor the core is borrowed while it is suspended.
        let wake = unsafe { Link::leave(link, Left::Suspended) };
        // SAFETY: the store is ours again.
        let store = unsafe { &mut *store };
        if guest_ran {
            store.counters.start();
        }
        store.after_pause(wake)
    }

    /// [`Store::pause`] for builtins, which leave the switch to their trampoline: what comes before it, and the fiber to be left.
    ///
    /// # Errors
    /// As [`Store::suspend`].
    #[inline]
    pub(crate) fn pause_guest(&mut self) -> Result<*const Link, Error> {
        self.fibers.pause = Pause::Yield;
        let link = self.before_pause()?;
        // It can go on at once.
        self.wake_listener();
        // What runs while the task waits doesn't count as this guest's time.
        self.counters.stop();
        Ok(link)
    }

    /// What comes after it.
    ///
    /// # Errors
    /// As [`Store::suspend`].
    #[inline]
    pub(crate) fn resume_guest(&mut self, wake: Wake) -> Result<(), Error> {
        self.begin_nested_call();
        self.after_pause(wake)
    }

    /// The innermost task that runs, or null.
    #[inline]
    fn running_core(&self) -> *mut Core {
        self.vm.entry.running_task.cast()
    }

    /// The fiber of the running task, if it may be suspended.
    #[inline(always)]
    fn before_pause(&mut self) -> Result<*const Link, Error> {
        let core = self.running_core();
        if core.is_null() {
            return Err(Error::message(ASYNC_ONLY));
        }
        // SAFETY: a running task is alive (3), and so is its fiber.
        unsafe {
            match (*core).link {
                _ if (*core).given_up => Err(given_up()),
                link if (*link).is_held() => Err(held()),
                link => Ok(link),
            }
        }
    }

    /// The link of the task that runs.
    pub(crate) fn running_link(&self) -> Option<*const Link> {
        // SAFETY: a running task is alive (3).
        unsafe { self.running_core().as_ref().map(|core| core.link) }
    }

    /// Refuses to enter, or to poll, what belongs to a guest that was left on another store's fiber.
    ///
    /// # Errors
    /// Where that fiber waits.
    pub(crate) fn check_not_left_behind(&self) -> Result<(), Error> {
        let entry_fp = self.home();
        // SAFETY: the innermost entry frame is active.
        let link = if entry_fp == 0 { None } else { unsafe { link_around(entry_fp) } };
        if link.is_some_and(|link| !link.is_running()) { Err(left_behind()) } else { Ok(()) }
    }

    #[inline(always)]
    fn after_pause(&mut self, wake: Wake) -> Result<(), Error> {
        self.heed_listener();
        match wake {
            Wake::Continue => self.cancellation().map_or(Ok(()), Err),
            Wake::GiveUp => Err(given_up()),
        }
    }

    /// Whether a task runs, so that [`Store::suspend`] can.
    pub fn can_suspend(&self) -> bool {
        !self.vm.entry.running_task.is_null()
    }

    /// For what can only be waited for by being polled again and again.
    ///
    /// # Errors
    /// Where nobody polls: what runs was called synchronously.
    pub fn check_polled(&self) -> Result<(), Error> {
        // SAFETY: what is in the list is alive (3).
        let polled = cores_from(self.running_core()).any(|core| unsafe { !(*core).is_sibling() });
        if polled { Ok(()) } else { Err(Error::message(ASYNC_ONLY)) }
    }

    /// Whether the running task, if there is one, must not be left now.
    pub(super) fn is_held(&self) -> bool {
        // SAFETY: a running task is alive (3), and so is its fiber.
        self.running_link().is_some_and(|link| unsafe { (*link).is_held() })
    }

    /// Whether guest code of the store is active, or a task that polled its way here.
    pub fn is_running(&self) -> bool {
        self.vm.entry_fp() > RESERVED || self.can_suspend()
    }

    /// Whether a call is going on: a guest runs, or an asynchronous call waits.
    pub(crate) fn has_call(&self) -> bool {
        self.is_running() || !self.vm.entry.waiting_task.is_null()
    }

    /// Whether a task or a sibling waits.
    pub(crate) fn has_waiting_task(&self) -> bool {
        !self.vm.entry.waiting_task.is_null() || !self.fibers.siblings.is_null()
    }

    /// Makes the store take asynchronous calls only: something in it may have to wait.
    pub(crate) fn require_async(&mut self) {
        self.fibers.async_only = true;
        if self.vm.entry_fp() == 0 && self.vm.entry.running_task.is_null() {
            self.reserve();
        }
    }

    /// Sends every entry, native ones included, down the path that calls [`Store::check_nested`].
    pub(super) fn reserve(&mut self) {
        self.vm.set_entry_fp(RESERVED);
        self.vm.stack_limit = usize::MAX;
    }

    /// Refuses what would run beside a task that waits, and an ordinary call where only asynchronous ones are taken.
    #[inline]
    pub(crate) fn check_unreserved(&self) -> Result<(), Error> {
        if self.vm.entry_fp() == 0 { Ok(()) } else { self.check_nested() }
    }

    /// The same for an entry that isn't the outermost.
    #[inline]
    pub(crate) fn check_nested(&self) -> Result<(), Error> {
        let plain = self.vm.entry_fp() != RESERVED
            && self.vm.entry.running_task.is_null()
            && self.vm.entry.waiting_task.is_null();
        if plain { Ok(()) } else { self.check_tasks() }
    }

    #[cold]
    fn check_tasks(&self) -> Result<(), Error> {
        self.check_conflicts()?;
        if self.vm.entry_fp() == RESERVED { Err(Error::message(ASYNC_ONLY)) } else { Ok(()) }
    }

    /// Refuses what would run beside a task that waits, or in one that was given up.
    pub(super) fn check_conflicts(&self) -> Result<(), Error> {
        self.check_not_given_up()?;
        let home = self.home();
        // SAFETY: a waiting task is alive (3).
        let conflict = self.waiting_tasks().any(|core| unsafe { (*core).home } == home);
        if conflict { Err(busy()) } else { Ok(()) }
    }

    #[inline]
    pub(super) fn check_not_given_up(&self) -> Result<(), Error> {
        let running = self.running_core();
        // SAFETY: a running task is alive (3).
        if !running.is_null() && unsafe { (*running).given_up } { Err(given_up()) } else { Ok(()) }
    }

    /// The `entry_fp` of the guest whose host function is running, or zero outside of any.
    #[inline]
    pub(super) fn home(&self) -> usize {
        if self.vm.entry_fp() == RESERVED { 0 } else { self.vm.entry_fp() }
    }

    fn waiting_tasks(&self) -> impl Iterator<Item = *mut Core> {
        cores_from(self.vm.entry.waiting_task.cast())
    }

    /// The guest frames of every task that waits, and those that siblings which run were resumed from. They must not be used once one of
    /// them goes on.
    pub(crate) fn waiting_frames(&self) -> impl Iterator<Item = GuestFrames> {
        let below_siblings = cores_from(self.running_core())
            // SAFETY: what is in the list is alive (3).
            .filter(|&core| unsafe { (*core).is_sibling() });
        let waiting = self.waiting_tasks().chain(cores_from(self.fibers.siblings));
        waiting.chain(below_siblings).filter_map(|core| {
            // SAFETY: a waiting task is alive (3); where it has a guest, that waits below the exit that its side tells (4). So does the
            // guest that a sibling was resumed from.
            unsafe {
                let side = &(*core).side;
                (*core).has_guest().then(|| GuestFrames::below_exit(side.exit_fp))
            }
        })
    }

    /// The stacks that the store has now: those of tasks that were polled and aren't over, and the idle one.
    pub(super) fn fiber_stacks(&self) -> impl Iterator<Item = &FiberStack> {
        let all = cores_from(self.running_core()).chain(self.waiting_tasks()).chain(cores_from(self.fibers.siblings));
        // SAFETY: what is in the lists is alive (3); a task's fiber is its own until it is over, which takes the store.
        let of_tasks = all.filter_map(|core| unsafe { (*core).fiber.as_deref() });
        of_tasks.chain(self.fibers.spare.as_deref()).chain(self.fibers.second_spare.as_deref()).map(Fiber::stack)
    }

    /// An idle fiber for a task.
    #[inline]
    pub(super) fn take_fiber(&mut self) -> Result<Box<Fiber>, Error> {
        let fiber = match self.fibers.spare.take().or_else(|| self.fibers.second_spare.take()) {
            Some(fiber) => fiber,
            None if self.engine.config().host_stacks.is_some() => {
                let made =
                    self.calling_host("a stack of the host's is being made", |store| store.engine.stacks().take())?;
                self.charge_fiber(made)?
            }
            None => {
                let fiber = self.engine.stacks().take()?;
                self.charge_fiber(fiber)?
            }
        };
        self.stack_is_taken();
        Ok(fiber)
    }

    /// Charges the budget for a stack that the store did not have before.
    #[cold]
    fn charge_fiber(&mut self, fiber: Box<Fiber>) -> Result<Box<Fiber>, Error> {
        match self.charge(BudgetKind::Stack, fiber.stack().reserved_len() as u64) {
            Ok(()) => Ok(fiber),
            Err(error) => {
                self.engine.stacks().give(fiber);
                Err(error)
            }
        }
    }

    #[inline]
    pub(super) fn give_fiber(&mut self, fiber: Box<Fiber>) {
        self.stack_is_given();
        let stacks = self.engine.stacks();
        if stacks.lends_for_long() {
            let Fibers { spare, second_spare, .. } = &mut self.fibers;
            for place in [spare, second_spare] {
                if place.is_none() {
                    *place = Some(fiber);
                    return;
                }
            }
        }
        if !stacks.lends_for_long() && !self.fibers.joined {
            self.fibers.joined = true;
            stacks.join();
        }
        let bytes = fiber.stack().reserved_len() as u64;
        stacks.give(fiber);
        self.release(BudgetKind::Stack, bytes);
    }

    /// Gives up every task, before the store is dropped.
    pub(super) fn end_tasks(&mut self) {
        let store = shared(self);
        // SAFETY: the store is ours, and only used through this pointer and those in its tasks. What is in the list is alive and
        // waits (3).
        unsafe {
            while !(*store).vm.entry.waiting_task.is_null() {
                Core::give_up((*store).vm.entry.waiting_task.cast());
            }
            while !(*store).fibers.siblings.is_null() {
                Core::give_up((*store).fibers.siblings);
            }
            let fibers = &mut (*store).fibers;
            for fiber in [fibers.spare.take(), fibers.second_spare.take()].into_iter().flatten() {
                (*store).engine.stacks().give(fiber);
            }
            if mem::take(&mut (*store).fibers.joined) {
                (*store).engine.stacks().leave();
            }
        }
    }
}
