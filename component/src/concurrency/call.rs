//! Calls as tasks: from the host, and from component to component (Canonical ABI, "`canon lift`" and "`canon lower`").

use super::arena::NONE;
use super::resolve::{Given, resolve};
use super::run::{abandon, block, let_enter, resume, run_until_over};
use super::stream::host::heed_signals;
use super::task::{Args, Caller, LiftWith, LowerWith, State};
use super::thread::{Start, Wait, Work};
use super::waitable::{Callee, Event, Subtask, SubtaskState, Waitable};
use super::{HostCall, Level, Lift};
use crate::canon::lower::Lower;
use crate::canon::options::Options;
use crate::canon::transfer::Transfer;
use crate::func::{NO_VALUES, run_lifted};
use crate::handle::Handle;
use crate::records::{FuncData, Lowered};
use crate::state::{ComponentState, cannot_enter};
use crate::types::FuncType;
use crate::val::Val;
use ampoule::{Error, Func, Store, TrapCode, VmValRaw};

/// A function of a component, as it is called.
#[derive(Clone, Copy)]
pub(crate) struct Lifted<'f> {
    pub(crate) func: u32,
    pub(crate) core: &'f Func,
    pub(crate) ty: &'f FuncType,
    pub(crate) options: &'f Options,
}

impl Lifted<'_> {
    /// Whether no two such calls are in the instance at a time, not even alternately: what isn't written for that may use one stack in
    /// memory for all.
    pub(super) fn needs_exclusive(&self) -> bool {
        self.ty.is_async() && (!self.options.is_async || self.options.callback.is_some())
    }
}

/// Calls a function from the host: gives its result.
///
/// # Errors
/// See [`crate::Func::call`].
pub(crate) fn from_host(
    store: &mut Store,
    lifted: Lifted<'_>,
    args: &[Val],
    compact_bytes: bool,
) -> Result<Option<Val>, Error> {
    drive(store, |state, call| {
        state.concurrency.calls[call].compact_bytes = compact_bytes;
        add_from_host(state, call, lifted, Args::Host(args))
    })
}

/// The same between the host's own memory and the guest's.
///
/// # Errors
/// See [`crate::Func::call`].
pub(crate) fn from_memory(
    store: &mut Store,
    lifted: Lifted<'_>,
    lower: &mut LowerWith<'_>,
    lift: &mut LiftWith<'_>,
) -> Result<(), Error> {
    let (lower, lift): (*mut LowerWith<'_>, *mut LiftWith<'_>) = (lower, lift);
    // SAFETY: only lifetimes change. The call is over, or its thread was given up, before `drive` returns.
    let (lower, lift) = unsafe {
        (
            std::mem::transmute::<*mut LowerWith<'_>, *mut LowerWith<'static>>(lower),
            std::mem::transmute::<*mut LiftWith<'_>, *mut LiftWith<'static>>(lift),
        )
    };
    drive(store, |state, call| {
        state.concurrency.calls[call].lift = Some(Lift(lift));
        add_from_host(state, call, lifted, Args::Memory(lower))
    })
    .map(drop)
}

/// Adds the task of a call from the host, which waits where it may not begin. Gives its thread.
fn add_from_host(state: &mut ComponentState, call: u32, lifted: Lifted<'_>, args: Args) -> Result<u32, Error> {
    let at = (lifted.options.instance, lifted.func);
    let scope = if lifted.ty.has_handles { state.new_scope(NONE)? } else { NONE };
    let added = state.add_task(at, Caller::Host(call), Start::Task, lifted.needs_exclusive());
    let thread = added.inspect_err(|_| state.end_lends(scope))?;
    state.concurrency.threads[thread].scope = scope;
    let task = state.concurrency.threads[thread].task;
    let task = &mut state.concurrency.tasks[task];
    (task.scope, task.args) = (scope, args);
    if lifted.ty.is_async() {
        state.wait_for_entry(thread);
    }
    Ok(thread)
}

/// Does something that may run guest code, as a synchronous call of a component instance.
///
/// # Errors
/// What `work` says; and where nothing may be entered.
pub(crate) fn synchronous(
    store: &mut Store,
    instance: u32,
    work: &mut dyn FnMut(&mut Store) -> Result<(), Error>,
) -> Result<(), Error> {
    if ComponentState::of(store).concurrency.current != NONE && store.on_sibling() {
        return on_this_stack(store, (instance, NONE), (false, false), work);
    }
    let work: *mut (dyn FnMut(&mut Store) -> Result<(), Error> + '_) = work;
    // SAFETY: only the lifetime changes. The work is done, or its thread has been given up, before `drive` returns.
    let work: *mut (dyn FnMut(&mut Store) -> Result<(), Error> + 'static) = unsafe { std::mem::transmute(work) };
    drive(store, |state, call| state.add_task((instance, NONE), Caller::Host(call), Start::Work(Work(work)), false))
        .map(drop)
}

/// Runs the destructor of a resource. `by` is the instance that drops it, where one does.
///
/// # Errors
/// What stops it, and where its instance may not be entered.
pub(crate) fn destructor(store: &mut Store, func: Func, instance: u32, rep: u32, by: Option<u32>) -> Result<(), Error> {
    let state = ComponentState::of(store);
    if state.poisoned || (by.is_some_and(|by| by != instance) && state.is_running(instance)) {
        return Err(cannot_enter());
    }
    let ran = synchronous(store, instance, &mut |store| {
        let mut arg = [VmValRaw { i64: i64::from(rep) }];
        // SAFETY: a destructor takes one i32, as the validator has seen, and answers nothing.
        unsafe { func.call_raw(store, arg.as_mut_ptr()) }
    });
    ran.inspect_err(|_| ComponentState::of(store).poisoned = true)
}

/// Makes a call from the host and a thread for it, and lets that run, and others, until the call is over.
///
/// # Errors
/// Of the call; and what has stopped any guest on the way: nothing may be entered any more then.
fn drive(
    store: &mut Store,
    make: impl FnOnce(&mut ComponentState, u32) -> Result<u32, Error>,
) -> Result<Option<Val>, Error> {
    let state = ComponentState::of(store);
    if state.poisoned {
        return Err(cannot_enter());
    }
    let nested = state.concurrency.current != NONE && store.on_sibling();
    let call = ComponentState::of(store).concurrency.calls.insert(HostCall::default())?;
    let in_loop = if nested { None } else { Some(store.begin_loop()) };
    let state = ComponentState::of(store);
    let in_loop = in_loop.transpose().inspect_err(|_| _ = state.concurrency.calls.remove(call))?;
    let made = make(state, call);
    let depth = state.concurrency.levels.len();
    let outside = (state.concurrency.current, state.scope);
    let ran = match made {
        Err(error) => {
            state.end_host_call(call, Err(error));
            Ok(())
        }
        Ok(thread) if nested => {
            // The event loop further out goes on with the thread, and comes back here.
            state.concurrency.levels.push(Level::Host);
            if state.concurrency.threads[thread].wait.is_none() {
                state.concurrency.switch_to = thread;
            }
            block(store, Wait::HostCall(call)).map(drop)
        }
        Ok(thread) => {
            (state.concurrency.current, state.scope) = (NONE, NONE);
            let begins = state.concurrency.threads[thread].wait.is_none();
            // What has come for the host's ends of streams since the last call.
            let heard = heed_signals(store);
            let begun = heard.and_then(|_| if begins { resume(store, thread) } else { Ok(()) });
            begun.and_then(|()| run_until_over(store, call))
        }
    };
    if let Some(in_loop) = in_loop {
        store.end_loop(in_loop);
    }
    let state = ComponentState::of(store);
    state.concurrency.levels.truncate(depth);
    (state.concurrency.current, state.scope) = outside;
    if let Err(error) = ran {
        abandon(store, &error);
        ComponentState::of(store).concurrency.calls.remove(call);
        return Err(error);
    }
    let call = state.concurrency.calls.remove(call).expect("it was there");
    call.outcome.expect("it is over")
}

impl ComponentState {
    /// Has a thread that has not begun wait, where its task may not start yet.
    fn wait_for_entry(&mut self, thread: u32) {
        let (instance, task) = (self.concurrency.threads[thread].instance, self.concurrency.threads[thread].task);
        let needs_exclusive = self.concurrency.tasks[task].needs_exclusive;
        if !self.instance(instance).tasks.entering.is_empty() || self.is_held_off(instance, needs_exclusive) {
            self.concurrency.threads[thread].wait = Some(Wait::Entry);
            self.instance(instance).tasks.entering.push_back(thread);
        }
    }

    /// A thread enters its instance, which it may.
    fn enter(&mut self, thread: u32) {
        let found = &self.concurrency.threads[thread];
        let (instance, task) = (found.instance, found.task);
        if self.concurrency.tasks[task].needs_exclusive {
            let exclusive = std::mem::replace(&mut self.instance(instance).tasks.exclusive, thread);
            debug_assert_eq!(exclusive, NONE, "one has the instance for itself at a time");
        }
        self.look_at_entering(instance);
    }
}

/// Does something on the current stack as a task of an instance, whose function is asynchronous or not, and needs the instance for itself or
/// not.
fn on_this_stack(
    store: &mut Store,
    at: (u32, u32),
    (is_async, needs_exclusive): (bool, bool),
    work: &mut dyn FnMut(&mut Store) -> Result<(), Error>,
) -> Result<(), Error> {
    let state = ComponentState::of(store);
    let caller = state.concurrency.current;
    let thread = state.add_task(at, Caller::Itself, Start::Begun, needs_exclusive)?;
    let found = &mut state.concurrency.threads[thread];
    (found.below, found.is_on_callers_stack) = (caller, true);
    state.concurrency.current = thread;
    let ran = if is_async {
        let held_off = !state.instance(at.0).tasks.entering.is_empty() || state.is_held_off(at.0, needs_exclusive);
        let waited = if held_off { block(store, Wait::Entry).map(drop) } else { Ok(()) };
        waited.and_then(|()| {
            ComponentState::of(store).enter(thread);
            work(store)
        })
    } else {
        state.concurrency.levels.push(Level::Instance(at.0));
        work(store).inspect(|()| _ = ComponentState::of(store).concurrency.levels.pop())
    };
    let state = ComponentState::of(store);
    state.concurrency.current = caller;
    ran?;
    state.remove_thread(thread)
}

impl Lowered {
    /// A call from a component to another, in a store where calls may wait for each other. Gives the answer.
    pub(crate) fn call_task(
        &self,
        store: &mut Store,
        lifted: Lifted<'_>,
        values: &mut [VmValRaw],
    ) -> Result<(), Error> {
        let state = ComponentState::of(store);
        if self.is_kin || state.poisoned || state.is_running(lifted.options.instance) {
            return Err(cannot_enter());
        }
        if lifted.ty.is_async() && !self.options.is_async {
            state.check_may_block()?;
        }
        if self.options.is_async || lifted.options.is_async {
            return self.call_beside(store, lifted, values);
        }
        let outer = state.scope;
        if self.ty.has_handles {
            state.push_scope()?;
        }
        let at = (lifted.options.instance, lifted.func);
        on_this_stack(store, at, (lifted.ty.is_async(), lifted.needs_exclusive()), &mut |store| {
            self.call_component(store, lifted.core, lifted.ty, lifted.options, values)
        })?;
        let state = ComponentState::of(store);
        if self.ty.has_handles {
            state.pop_scope()?;
        }
        debug_assert_eq!(state.scope, outer, "calls on one stack are nested");
        Ok(())
    }

    /// The same on a stack of the callee's own.
    fn call_beside(&self, store: &mut Store, lifted: Lifted<'_>, values: &mut [VmValRaw]) -> Result<(), Error> {
        let state = ComponentState::of(store);
        let scope = if self.ty.has_handles { state.new_scope(NONE)? } else { NONE };
        let subtask = Subtask {
            state: SubtaskState::Starting,
            callee: Callee::Nobody,
            lowered: self,
            address: self.address(values),
            result: NO_VALUES[0],
            scope,
            cancellation_requested: false,
            resolve_delivered: false,
        };
        let id = state.concurrency.waitables.insert(Waitable::subtask(self.options.instance, subtask))?;
        let at = (lifted.options.instance, lifted.func);
        let thread = state.add_task(at, Caller::Subtask(id), Start::Task, lifted.needs_exclusive())?;
        let task = state.concurrency.threads[thread].task;
        state.concurrency.threads[thread].scope = scope;
        state.concurrency.tasks[task].scope = scope;
        state.subtask(id).callee = Callee::Task(task);
        state.wait_for_entry(thread);
        if state.concurrency.threads[thread].wait.is_some() {
            state.concurrency.tasks[task].args = Args::OwnCore((&*values).into());
            let_enter(store, thread)?;
        } else {
            state.concurrency.tasks[task].args = Args::Core(&*values);
            resume(store, thread)?;
        }
        if self.options.is_async {
            values[0] = VmValRaw { i64: i64::from(ComponentState::of(store).answer(id)?) };
            return Ok(());
        }
        self.wait_for(store, id, values)
    }
}

impl ComponentState {
    /// What an asynchronous call answers: the state, and the handle of the subtask where that isn't resolved.
    pub(super) fn answer(&mut self, id: u32) -> Result<u32, Error> {
        if self.subtask(id).is_resolved() {
            self.deliver_resolve(id);
            self.concurrency.waitables.remove(id);
            return Ok(SubtaskState::Returned as u32);
        }
        let instance = self.concurrency.waitables[id].instance;
        let index = self.instance(instance).handles.insert(Handle::Waitable(id))?;
        self.concurrency.waitables[id].index = index;
        Ok(self.subtask(id).state as u32 | index << 4)
    }
}

/// What a thread does that begins: the job of its stack.
pub(super) fn run_thread(store: &mut Store, thread: u32) -> Result<(), Error> {
    let found = &mut ComponentState::of(store).concurrency.threads[thread];
    let has_ended = match std::mem::take(&mut found.start) {
        Start::Task => run_task(store, thread)?,
        Start::Callback => {
            let event = std::mem::replace(&mut found.event, Event::NONE);
            run_callbacks(store, thread, Some(event), 0)?
        }
        Start::Func(func, arg) => {
            let mut arg = [VmValRaw { i64: i64::from(arg) }];
            // SAFETY: that it takes one i32 and answers nothing was seen when the thread was made.
            unsafe { func.call_raw(store, arg.as_mut_ptr()) }?;
            true
        }
        Start::Work(work) => {
            run_work(store, thread, &work);
            true
        }
        Start::Begun => return Ok(()),
    };
    if has_ended { ComponentState::of(store).remove_thread(thread) } else { Ok(()) }
}

/// Does work of ours, as a synchronous call. What it says is for who waits for it.
fn run_work(store: &mut Store, thread: u32, work: &Work) {
    let state = ComponentState::of(store);
    let found = &state.concurrency.threads[thread];
    let (task, instance) = (found.task, found.instance);
    state.concurrency.levels.push(Level::Instance(instance));
    // SAFETY: who made it waits.
    let outcome = unsafe { (*work.0)(store) };
    let state = ComponentState::of(store);
    state.concurrency.levels.pop();
    state.concurrency.tasks[task].state = State::Resolved;
    if let Caller::Host(call) = state.concurrency.tasks[task].caller {
        state.end_host_call(call, outcome.map(|()| None));
    }
}

/// Calls the function of a task. Whether the thread has ended then.
fn run_task(store: &mut Store, thread: u32) -> Result<bool, Error> {
    let state = ComponentState::of(store);
    let task = state.concurrency.threads[thread].task;
    // SAFETY: functions stay where they are as long as their store.
    let FuncData::Lifted { core, ty, options } = (unsafe { &*state.func_of(task) }) else {
        unreachable!("a task is of a component's function")
    };
    if ty.is_async() {
        state.enter(thread);
    } else {
        state.concurrency.levels.push(Level::Instance(options.instance));
    }
    state.start(task);
    let mut values = NO_VALUES;
    if let Err(error) = lower_args(store, task, ty, options, &mut values) {
        let state = ComponentState::of(store);
        // What the host gives and doesn't fit the type is an error of its call alone.
        return match state.concurrency.tasks[task].caller {
            Caller::Host(call) if !state.poisoned => {
                state.concurrency.tasks[task].state = State::Resolved;
                state.end_host_call(call, Err(error));
                if !ty.is_async() {
                    state.concurrency.levels.pop();
                }
                Ok(true)
            }
            _ => Err(error),
        };
    }
    if !options.is_async {
        run_lifted(store, core, options, &mut values, |store, values| resolve(store, task, Given::AsResult, values))?;
        if !ty.is_async() {
            ComponentState::of(store).concurrency.levels.pop();
        }
        return Ok(true);
    }
    // SAFETY: the values are what the type flattens to, which the validator has compared with the core function's type; there is a slot
    // for each.
    unsafe { core.call_raw(store, values.as_mut_ptr()) }?;
    if options.callback.is_none() {
        return Ok(true);
    }
    // SAFETY: the core function has answered an i32.
    let answer = unsafe { values[0].i32 } as u32;
    run_callbacks(store, thread, None, answer)
}

/// Gives a task what it is called with.
fn lower_args(
    store: &mut Store,
    task: u32,
    ty: &FuncType,
    options: &Options,
    values: &mut [VmValRaw],
) -> Result<(), Error> {
    let state = ComponentState::of(store);
    let found = &mut state.concurrency.tasks[task];
    let (args, caller) = (std::mem::take(&mut found.args), found.caller);
    let owned;
    let given: *const [VmValRaw] = match args {
        Args::None => return Ok(()),
        // SAFETY: the call from the host isn't over, and lends them.
        Args::Host(args) => return lower_host_args(store, caller, unsafe { &*args }, (ty, options), values),
        // SAFETY: the call from the host isn't over, and lends it.
        Args::Memory(lower) => return unsafe { (*lower)(store, options, values) },
        Args::OwnHost(args) => return lower_host_args(store, caller, &args, (ty, options), values),
        Args::Core(given) => given,
        Args::OwnCore(given) => {
            owned = given;
            &raw const *owned
        }
    };
    let Caller::Subtask(id) = caller else { unreachable!("core values are another component's") };
    // SAFETY: it stays where it is as long as the store; the values are lent by the call that is just being made, or our own.
    let (lowered, given) = unsafe { (&*state.subtask(id).lowered, &*given) };
    let mut transfer = Transfer::new(store, &lowered.options, options)?;
    match lowered.options.is_async {
        true => transfer.async_params((&lowered.ty, ty), given, values),
        false => transfer.params((&lowered.ty, ty), given, values),
    }
}

/// Gives a task what the host calls it with.
fn lower_host_args(
    store: &mut Store,
    caller: Caller,
    args: &[Val],
    (ty, options): (&FuncType, &Options),
    values: &mut [VmValRaw],
) -> Result<(), Error> {
    let Caller::Host(call) = caller else { unreachable!("the host's values are the host's") };
    let compact_bytes = ComponentState::of(store).concurrency.calls[call].compact_bytes;
    let mut lower = Lower::new(store, options)?;
    lower.compact_bytes = compact_bytes;
    lower.params(ty, args, values)
}

/// Goes on with a task as the answer of its function, or of its callback, says; with an event, calls the callback first. Whether the
/// thread has ended then, rather than waits without a stack.
fn run_callbacks(store: &mut Store, thread: u32, event: Option<Event>, answer: u32) -> Result<bool, Error> {
    let state = ComponentState::of(store);
    let found = &state.concurrency.threads[thread];
    let (task, instance) = (found.task, found.instance);
    // SAFETY: functions stay where they are as long as their store.
    let FuncData::Lifted { options: Options { callback: Some(callback), .. }, .. } = (unsafe { &*state.func_of(task) })
    else {
        unreachable!("a task with a callback")
    };
    let (mut event, mut answer) = (event, answer);
    loop {
        if let Some(event) = event.take() {
            let state = ComponentState::of(store);
            state.instance(instance).tasks.exclusive = thread;
            let mut values = [event.code as u32, event.first, event.second];
            let mut values = values.each_mut().map(|value| VmValRaw { i64: i64::from(*value) });
            // SAFETY: a callback takes three i32 and answers one, as the validator has seen.
            unsafe { callback.call_raw(store, values.as_mut_ptr()) }?;
            // SAFETY: it has answered.
            answer = unsafe { values[0].i32 } as u32;
        }
        let state = ComponentState::of(store);
        let set = match answer & 0xf {
            0 => return Ok(true),
            1 => NONE,
            2 => state.set_at(instance, answer >> 4)?,
            _ => return Err(Error::trap(TrapCode::UnsupportedCallbackCode)),
        };
        state.release_exclusive(instance);
        let found = &mut state.concurrency.tasks[task];
        if found.state == State::PendingCancel {
            found.state = State::CancelDelivered;
            event = Some(Event::CANCELLED);
            continue;
        }
        let found = &mut state.concurrency.threads[thread];
        (found.start, found.wait) = (Start::Callback, Some(Wait::Callback { set }));
        if set != NONE {
            state.concurrency.sets[set].waiters.push_back(thread);
        }
        state.concurrency.look_at(thread);
        return Ok(false);
    }
}
