//! The event loop: which thread runs next, on which stack, until what somebody waits for is there.

use super::arena::NONE;
use super::call;
use super::host;
use super::started;
use super::stream::host::heed_signals;
use super::thread::{Start, Wait};
use super::waitable::Event;
use super::{Concurrency, Level, MAX_IDLE, MAX_STACKS};
use crate::state::ComponentState;
use ampoule::store::task::sibling::{Job, Pause, Resumed, Sibling};
use ampoule::{Error, Store, TrapCode};
use std::task::Poll;

/// After so many threads that were ready, those that wait for the host have a look.
const HOST_INTERVAL: u32 = 64;

/// So many threads at least are resumed before the host has its turn, where they are ready.
const MIN_TURNS: usize = 1 << 10;

impl Concurrency {
    /// Whether a thread may run beside the synchronous calls that have not ended: those of the innermost one's instance may, unless they need
    /// that for themselves.
    fn may_run(&mut self, thread: u32) -> bool {
        let Some(&Level::Instance(instance)) = self.levels.last() else { return true };
        let Some(found) = self.threads.get(thread) else { return false };
        if found.instance != instance {
            return false;
        }
        let task = &self.tasks[found.task];
        found.is_explicit || !task.needs_exclusive || task.implicit != thread
    }
}

impl ComponentState {
    /// Takes the next thread that is ready out of the queue.
    fn next_ready(&mut self) -> Option<u32> {
        let mut at = 0;
        while at < self.concurrency.ready.len() {
            let thread = self.concurrency.ready[at];
            if !self.is_ready(thread) {
                self.concurrency.ready.remove(at);
                if let Some(found) = self.concurrency.threads.get(thread) {
                    found.is_queued = false;
                }
                continue;
            }
            if self.concurrency.may_run(thread) {
                self.concurrency.ready.remove(at);
                self.concurrency.threads[thread].is_queued = false;
                return Some(thread);
            }
            at += 1;
        }
        None
    }

    /// Refuses what may block in a synchronous call, where nothing else is ready that could go on meanwhile.
    ///
    /// # Errors
    /// The trap.
    pub(crate) fn check_may_block(&mut self) -> Result<(), Error> {
        let Some(Level::Instance(_)) = self.concurrency.levels.last() else { return Ok(()) };
        let any = (0..self.concurrency.ready.len()).any(|at| {
            let thread = self.concurrency.ready[at];
            self.is_ready(thread)
        });
        if any { Ok(()) } else { Err(Error::trap(TrapCode::CannotBlockSyncTask)) }
    }

    /// The stack of a thread that is to go on: the one that it is suspended on, or an idle one that begins with it.
    fn stack_for(&mut self, thread: u32) -> Result<Box<Sibling>, Error> {
        let concurrency = &mut self.concurrency;
        if let Some(sibling) = concurrency.threads[thread].sibling.take() {
            return Ok(sibling);
        }
        if concurrency.stacks >= MAX_STACKS {
            return Err(Error::message(format!(
                "too many threads of components in one store wait on stacks of their own: at most {MAX_STACKS} may"
            )));
        }
        concurrency.stacks += 1;
        let mut sibling = concurrency.idle.pop().unwrap_or_default();
        sibling.begin(call::run_thread as Job, thread);
        Ok(sibling)
    }

    /// Links a thread that goes on to the one that has resumed it: `below` of the first on its stack.
    fn put_above(&mut self, thread: u32, resumer: u32) {
        let threads = &mut self.concurrency.threads;
        let mut first = thread;
        while threads[first].is_on_callers_stack {
            first = threads[first].below;
        }
        threads[first].below = resumer;
    }
}

/// Lets a thread that waits, or has not begun, go on until it waits or ends; and those that it switches to. What it gets for what it
/// waited for, where that is an event, is kept for it.
///
/// # Errors
/// What has stopped the guest: no instance may be entered any more.
pub(crate) fn resume(store: &mut Store, thread: u32) -> Result<(), Error> {
    let depth = ComponentState::of(store).concurrency.levels.len();
    let mut next = thread;
    loop {
        resume_once(store, next)?;
        if ComponentState::of(store).concurrency.levels.len() <= depth {
            return Ok(());
        }
        // A synchronous call has begun that waits: who resumed the thread can't go on before it ends.
        next = next_to_run(store)?;
    }
}

/// The same, whatever the thread has called synchronously and waits for.
fn resume_once(store: &mut Store, thread: u32) -> Result<(), Error> {
    let mut next = thread;
    while next != NONE {
        resume_one(store, next)?;
        next = std::mem::replace(&mut ComponentState::of(store).concurrency.switch_to, NONE);
    }
    Ok(())
}

/// A thread is to enter an instance that another one has for itself. Where that can go on, it does, so that who calls is not told that its
/// call has to wait for what only waits for its turn.
///
/// # Errors
/// As [`resume`].
pub(crate) fn let_enter(store: &mut Store, thread: u32) -> Result<(), Error> {
    loop {
        let state = ComponentState::of(store);
        let Some(entering) = state.concurrency.threads.get(thread) else { return Ok(()) };
        let instance = entering.instance;
        if entering.wait != Some(Wait::Entry) {
            return Ok(());
        }
        let holder = state.instance(instance).tasks.exclusive;
        let next = if state.is_ready(thread) { thread } else { holder };
        if next == NONE || !state.is_ready(next) || !state.concurrency.may_run(next) {
            return Ok(());
        }
        resume(store, next)?;
    }
}

/// The next thread to run; waits for the host where none is ready.
///
/// # Errors
/// Where there is nothing to wait for, or the call was cancelled.
fn next_to_run(store: &mut Store) -> Result<u32, Error> {
    next_unless(store, |_| false).map(|next| next.expect("it is never over"))
}

/// The same; `None` where it is over before.
///
/// # Errors
/// As [`next_to_run`].
fn next_unless(store: &mut Store, mut is_over: impl FnMut(&mut Store) -> bool) -> Result<Option<u32>, Error> {
    loop {
        heed_signals(store)?;
        host::poll_woken(store)?;
        if is_over(store) {
            return Ok(None);
        }
        let state = ComponentState::of(store);
        if let Some(thread) = state.next_ready() {
            state.concurrency.resumed = state.concurrency.resumed.wrapping_add(1);
            if state.concurrency.resumed.is_multiple_of(HOST_INTERVAL) {
                // Those that are always ready must not keep the others from the host.
                store.poll_reactor()?;
                ComponentState::of(store).concurrency.look_at_those_for_host();
            }
            return Ok(Some(thread));
        }
        let concurrency = &mut state.concurrency;
        if concurrency.for_host.is_empty() && concurrency.futures.is_empty() && !concurrency.any_stream_waits_for_host()
        {
            return Err(Error::trap(TrapCode::AsyncDeadlock));
        }
        wake_store(store)?;
        // What came before that is heard before anybody sleeps.
        if !heed_signals(store)? {
            store.wait()?;
        }
        ComponentState::of(store).concurrency.look_at_those_for_host();
    }
}

impl Concurrency {
    /// What waits for something of the host's is to look for that.
    fn look_at_those_for_host(&mut self) {
        for at in 0..self.for_host.len() {
            let thread = self.for_host[at];
            self.look_at(thread);
        }
        if self.asks_futures {
            self.futures.iter_mut().for_each(|future| future.ask());
        }
    }
}

/// Lets the tasks of a store's components go on that can, without waiting: calls that have returned may have left some behind. Ready where none
/// are left; otherwise, something of the host's has to come first, or another call.
///
/// Those tasks go on in each call, too; this is for hosts that have none to make.
///
/// # Errors
/// What has stopped a guest: no component of this store can be called any more.
pub fn run_tasks(store: &mut Store) -> Result<Poll<()>, Error> {
    check_outside(store)?;
    let in_loop = store.begin_loop()?;
    let ran = wake_store(store).and_then(|()| store.poll_reactor()).and_then(|()| run_ready(store));
    store.end_loop(in_loop);
    if let Err(error) = ran {
        abandon(store, &error);
        ComponentState::of(store).concurrency.levels.clear();
        return Err(error);
    }
    let concurrency = &ComponentState::of(store).concurrency;
    if concurrency.tasks.is_empty() && concurrency.futures.is_empty() {
        return Ok(Poll::Ready(()));
    }
    if !concurrency.ready.is_empty() {
        store.reactor()?.wake();
    }
    store.listen()?;
    Ok(Poll::Pending)
}

/// Waits until there is a reason to run tasks again: something that a task waits for of the host's, or that an end of a stream does which
/// the host holds, may be there. Asleep; or suspended, where a polled task does this.
///
/// # Errors
/// Where nothing is waited for; and as [`Store::wait`].
pub fn wait_for_tasks(store: &mut Store) -> Result<(), Error> {
    check_outside(store)?;
    wake_store(store)?;
    let state = ComponentState::of(store);
    if !state.concurrency.ready.is_empty() {
        return Ok(());
    }
    let is_woken = store.reactor()?.is_woken();
    let concurrency = &mut ComponentState::of(store).concurrency;
    if concurrency.for_host.is_empty() && concurrency.futures.is_empty() && !concurrency.any_stream_waits_for_host() {
        // What came since the tasks ran last ends the wait, too; there is nothing else that could.
        if is_woken {
            return Ok(());
        }
        return Err(Error::message("no task waits for anything that would come by itself"));
    }
    store.wait()
}

/// Lets threads go on that can, without waiting.
fn run_ready(store: &mut Store) -> Result<(), Error> {
    let concurrency = &mut ComponentState::of(store).concurrency;
    concurrency.look_at_those_for_host();
    // A task that only lets others run is ready again at once: each has some turns, and then the host.
    let mut turns = concurrency.threads.len().max(MIN_TURNS);
    loop {
        heed_signals(store)?;
        host::poll_woken(store)?;
        if turns == 0 {
            return Ok(());
        }
        turns -= 1;
        let Some(thread) = ComponentState::of(store).next_ready() else { return Ok(()) };
        // Not to the end of what it calls synchronously: the host goes on meanwhile.
        resume_once(store, thread)?;
    }
}

/// Refuses what the event loop does itself, where it runs.
fn check_outside(store: &mut Store) -> Result<(), Error> {
    if ComponentState::of(store).concurrency.current != NONE || store.on_sibling() {
        return Err(Error::message("tasks are run from outside of components"));
    }
    Ok(())
}

/// Has what comes for ends of the host's end the store's wait.
fn wake_store(store: &mut Store) -> Result<(), Error> {
    let waker = store.reactor()?.waker();
    ComponentState::of(store).concurrency.mailbox.wake_with(|| waker);
    Ok(())
}

/// Lets the tasks of a store's components go on until none are left, and waits for the host where they do: calls that have returned may have
/// left some behind.
///
/// # Errors
/// What has stopped a guest, also that none of its tasks can go on any more: no component of this store can be called then.
pub fn finish_tasks(store: &mut Store) -> Result<(), Error> {
    check_outside(store)?;
    if ComponentState::of(store).concurrency.tasks.is_empty() {
        return Ok(());
    }
    finish_tasks_and(store, || true)
}

/// The same until, besides, something is over that streams of the store bring forward.
///
/// # Errors
/// As [`finish_tasks`].
pub fn finish_tasks_and(store: &mut Store, mut is_over: impl FnMut() -> bool) -> Result<(), Error> {
    check_outside(store)?;
    let in_loop = store.begin_loop()?;
    let mut is_over = |store: &mut Store| ComponentState::of(store).concurrency.tasks.is_empty() && is_over();
    let ran = loop {
        match next_unless(store, &mut is_over).and_then(|next| next.map(|thread| resume(store, thread)).transpose()) {
            Ok(Some(())) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    store.end_loop(in_loop);
    ran.inspect_err(|error| abandon(store, error))
}

/// As [`resume`], of one thread.
fn resume_one(store: &mut Store, thread: u32) -> Result<(), Error> {
    let state = ComponentState::of(store);
    let event = state.stop_waiting(thread);
    let mut sibling = state.stack_for(thread)?;
    let outside = (state.concurrency.current, state.scope);
    state.put_above(thread, outside.0);
    state.concurrency.threads[thread].event = event;
    let mut thread = thread;
    loop {
        let state = ComponentState::of(store);
        state.concurrency.current = thread;
        state.scope = state.concurrency.threads[thread].scope;
        // SAFETY: the sibling is this store's, has been given a job, and waits; its box stays where it is. What is on its stack are guests
        // and our own frames, which depend on no thread.
        let resumed = unsafe { Sibling::resume(&mut *sibling, store) };
        let state = ComponentState::of(store);
        // The last of those on the stack.
        thread = state.concurrency.current;
        let scope = state.scope;
        (state.concurrency.current, state.scope) = outside;
        match resumed {
            Resumed::Done(outcome) => {
                let concurrency = &mut state.concurrency;
                concurrency.stacks -= 1;
                if concurrency.idle.len() < MAX_IDLE {
                    concurrency.idle.push(sibling);
                }
                return outcome;
            }
            Resumed::Waits(pause) => {
                let found = &mut state.concurrency.threads[thread];
                found.scope = scope;
                if pause != Pause::Yield {
                    found.sibling = Some(sibling);
                    if pause == Pause::Host {
                        found.wait = Some(Wait::Host);
                        state.concurrency.for_host.push_back(thread);
                    }
                    return Ok(());
                }
            }
        }
        // Who polls outside of the store is to have control, and nobody else of the store runs meanwhile: the guest may be in the
        // middle of anything.
        if let Err(error) = store.suspend() {
            ComponentState::of(store).concurrency.threads[thread].sibling = Some(sibling);
            return Err(error);
        }
    }
}

/// Lets threads run until a call from the host is over.
///
/// # Errors
/// What has stopped a guest, and where none can go on any more.
pub(crate) fn run_until_over(store: &mut Store, call: u32) -> Result<(), Error> {
    while ComponentState::of(store).concurrency.calls[call].outcome.is_none() {
        let thread = next_to_run(store)?;
        resume(store, thread)?;
    }
    Ok(())
}

/// Suspends the thread that runs until what it waits for is there: gives the event that it is told of then.
///
/// # Errors
/// Where its stack can't be left; or it was given up.
pub(crate) fn block(store: &mut Store, wait: Wait) -> Result<Event, Error> {
    let state = ComponentState::of(store);
    let thread = state.concurrency.current;
    state.concurrency.threads[thread].wait = Some(wait);
    match wait {
        Wait::Set(set) => state.concurrency.sets[set].waiters.push_back(thread),
        Wait::Waitable(id) => state.concurrency.waitables[id].waiter = thread,
        Wait::Subtask(id) => state.concurrency.waitables[id].waiter = thread,
        Wait::HostCall(id) => state.concurrency.calls[id].waiter = Some(thread),
        Wait::Entry => {
            let instance = state.concurrency.threads[thread].instance;
            state.instance(instance).tasks.entering.push_back(thread);
        }
        Wait::Nothing | Wait::Resumption | Wait::Callback { .. } | Wait::Host => {}
    }
    if wait != Wait::Resumption {
        state.concurrency.look_at(thread);
    }
    store.suspend_sibling()?;
    let thread = &mut ComponentState::of(store).concurrency.threads[thread];
    Ok(std::mem::replace(&mut thread.event, Event::NONE))
}

/// Gives up every thread that is suspended: a guest was stopped, for this reason, and nothing goes on any more.
pub(crate) fn abandon(store: &mut Store, why: &Error) {
    let state = ComponentState::of(store);
    state.poisoned = true;
    state.concurrency.switch_to = NONE;
    if store.on_sibling() && store.was_given_up() {
        // Whoever has given this one up, among all that wait, does so with the others.
        return;
    }
    // This may be in the middle of a guest's call, where a host function goes on afterwards.
    let state = ComponentState::of(store);
    let outside = (state.concurrency.current, state.scope);
    loop {
        let state = ComponentState::of(store);
        let Some(thread) = state.concurrency.threads.find(|thread| thread.sibling.is_some()) else { break };
        let found = &mut state.concurrency.threads[thread];
        let (sibling, scope) = (found.sibling.take(), found.scope);
        (state.concurrency.current, state.scope) = (thread, scope);
        // Its guest unwinds, and host functions on it return.
        sibling.expect("it was just found").give_up();
        ComponentState::of(store).concurrency.stacks -= 1;
    }
    let state = ComponentState::of(store);
    (state.concurrency.current, state.scope) = outside;
    let concurrency = &mut state.concurrency;
    drop(concurrency.futures.take_all());
    concurrency.ready.clear();
    concurrency.for_host.clear();
    for thread in concurrency.threads.iter_mut() {
        thread.is_queued = false;
        if !matches!(thread.start, Start::Begun) {
            thread.start = Start::Begun;
        }
    }
    for task in concurrency.tasks.iter_mut() {
        task.args = super::task::Args::None;
    }
    started::fail_all(state, why);
}
