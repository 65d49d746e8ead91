//! Concurrency of components (Component Model, "Concurrency Explainer"; Canonical ABI, "Concurrency"): calls that wait for each other and for
//! the host without a thread of the operating system each.
//!
//! | | |
//! | --- | --- |
//! | [`arena`] | records with numbers, up to a bound |
//! | [`instance`] | which tasks of a component instance may run |
//! | [`waitable`] | what tasks wait for: subtasks, and sets of such things; events |
//! | [`task`] | calls of a component's functions |
//! | [`thread`] | what runs in tasks, and what it waits for |
//! | [`resolve`] | results, from the callee to the caller |
//! | [`run`] | the event loop: which thread runs next, on which stack |
//! | [`accessor`], [`host`] | functions of the host that take a while |
//! | [`call`] | calls: from the host, from component to component, and back |
//! | [`started`] | calls that the host has begun and doesn't wait for |
//! | [`cancel`] | cancellation of subtasks |
//! | [`stream`] | streams and futures |
//! | [`error_context`] | messages for people, in handle tables |
//! | [`builtins`] | what guests call |
//!
//! A store is concurrent from the first component in it on that has something asynchronous. Each entry into a component from the host is then a
//! *task* with a *thread*, which runs on a stack of its own ([`ampoule::store::task::sibling`]) and may be suspended there. One event
//! loop runs at a time for each call from the host; it resumes threads that are ready, one after another. A thread that calls a function of
//! another component starts a thread of the callee by itself, and goes on when that waits or ends; so no more than the threads
//! that have not waited yet are nested in one another.
//!
//! A thread that waits in its callback keeps no stack. Where a caller has to wait for the callee anyway, and the callee is called
//! synchronously, both are on one stack.

pub(crate) mod accessor;
pub(crate) mod arena;
pub(crate) mod builtins;
pub(crate) mod call;
pub(crate) mod cancel;
pub(crate) mod error_context;
pub(crate) mod host;
pub(crate) mod instance;
pub(crate) mod resolve;
pub(crate) mod run;
pub(crate) mod started;
pub(crate) mod stream;
pub(crate) mod task;
pub(crate) mod thread;
pub(crate) mod waitable;

use crate::end::Mailbox;
use crate::on_demand::Empty;
use crate::types::layout::MAX_FLAT;
use crate::val::Val;
use accessor::{HostTask, Woken};
use ampoule::store::task::sibling::Sibling;
use ampoule::{Budget, Error, VmValRaw};
use arena::{Arena, NONE};
use error_context::{ErrorContext, MAX_MESSAGE};
use std::collections::VecDeque;
use std::sync::Arc;
use stream::Stream;
use task::Task;
use thread::Thread;
use waitable::{Waitable, WaitableSet};

/// Tasks that calls from the host have begun, which one store may have at a time. Neither these nor those that guests have begun take
/// places away from the others.
pub(crate) const MAX_HOST_TASKS: usize = 1 << 16;
/// Tasks that guests have begun, which one store may have at a time.
pub(crate) const MAX_GUEST_TASKS: usize = 1 << 16;
/// Threads that guests have made, which one store may have at a time; each task has one besides.
pub(crate) const MAX_NEW_THREADS: usize = 1 << 16;
/// Stacks that threads of one store may have at a time; threads that wait in their callbacks have none.
pub(crate) const MAX_STACKS: usize = 1 << 12;
/// Subtasks, and ends of streams and futures, that one store may have at a time.
pub(crate) const MAX_WAITABLES: usize = 1 << 19;
/// Waitable sets that one store may have at a time.
pub(crate) const MAX_SETS: usize = 1 << 19;

/// Streams and futures that one store may have at a time.
pub(crate) const MAX_STREAMS: usize = 1 << 19;

/// Error contexts that one store may have at a time.
pub(crate) const MAX_ERROR_CONTEXTS: usize = 1 << 16;
/// Calls of host functions that take a while, in one store at a time.
pub(crate) const MAX_FUTURES: usize = 1 << 16;

/// What records count besides themselves in the store's budget: the arguments that a task was called with, ...
const ARGS: usize = MAX_FLAT * size_of::<VmValRaw>();
/// ... the numbers of a thread or waitable in queues and lists, ...
const QUEUES: usize = 32;
/// ... and, about, what a host function keeps that takes a while.
const FUTURE: usize = 512;

/// Idle fibers that are kept with their records.
const MAX_IDLE: usize = 16;

/// What a store knows of what runs beside something else.
pub(crate) struct Concurrency {
    pub(crate) tasks: Arena<Task>,
    /// How many of them calls from the host have begun.
    pub(crate) host_tasks: usize,
    pub(crate) threads: Arena<Thread>,
    /// How many of them guests have made.
    pub(crate) new_threads: usize,
    pub(crate) waitables: Arena<Waitable>,
    pub(crate) sets: Arena<WaitableSet>,
    pub(crate) streams: Arena<Stream>,
    /// The stream that was found to wait for the host the last time, or [`NONE`].
    pub(crate) waits_for_host: u32,
    pub(crate) error_contexts: Arena<ErrorContext>,
    /// What the host's ends of streams and futures tell.
    pub(crate) mailbox: Mailbox,
    /// The calls from the host that aren't resolved.
    pub(crate) calls: Arena<HostCall>,
    /// The thread that runs; [`NONE`] outside of any.
    pub(crate) current: u32,
    /// Threads that may be ready. Each is looked at again before it runs.
    pub(crate) ready: VecDeque<u32>,
    /// Threads that wait for something of the host's, and look for themselves whether it is there.
    pub(crate) for_host: VecDeque<u32>,
    /// The host's futures that aren't over.
    pub(crate) futures: Arena<HostTask>,
    /// Whether there was one that has to be asked, rather than tells when it goes on.
    pub(crate) asks_futures: bool,
    /// Tells that a future was woken; made with the first.
    pub(crate) woken: Option<Arc<Woken>>,
    /// Counts the threads that were resumed because they were ready.
    pub(crate) resumed: u32,
    /// Synchronous calls that have begun and not ended, innermost last: what may run while they wait.
    pub(crate) levels: Vec<Level>,
    /// The thread that runs next, whatever else is ready.
    pub(crate) switch_to: u32,
    /// How many threads have a stack.
    pub(crate) stacks: usize,
    /// Fibers without work.
    #[allow(clippy::vec_box)] // What is boxed is pointed to.
    idle: Vec<Box<Sibling>>,
}

/// What may run while a call waits that its caller can't be let go on without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    /// Threads of this component instance that don't need it for themselves: the call is that of a synchronous function of it.
    Instance(u32),
    /// Any: the host has called.
    Host,
}

/// What became of who has started a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Started {
    /// It has the call, which does this task.
    Held { task: u32 },
    /// It doesn't want the result any more.
    Forgotten,
}

/// What takes the result of a call from the host to the host's own memory.
///
/// 1. The call isn't over, and lends it.
pub(crate) struct Lift(pub(crate) *mut task::LiftWith<'static>);

// SAFETY: by (1), it is there as long as this is, on the thread that uses the store.
unsafe impl Send for Lift {}
// SAFETY: a shared reference gives nothing away.
unsafe impl Sync for Lift {}

/// A call from the host.
#[derive(Default)]
pub(crate) struct HostCall {
    /// What it came to.
    pub(crate) outcome: Option<Result<Option<Val>, Error>>,
    /// Whether each `list<u8>` is [`Val::bytes`].
    pub(crate) compact_bytes: bool,
    /// What takes the result, where that doesn't become a value.
    pub(crate) lift: Option<Lift>,
    /// The thread that waits for it, of a call from a host function.
    pub(crate) waiter: Option<u32>,
    /// Who waits for it, of a call that the host has only started; see [`started`].
    pub(crate) started: Option<Started>,
}

impl Concurrency {
    /// Has all records count in the store's budget.
    pub(crate) fn count_in(&mut self, budget: &Budget) {
        self.tasks.count_in(budget);
        self.threads.count_in(budget);
        self.waitables.count_in(budget);
        self.sets.count_in(budget);
        self.streams.count_in(budget);
        self.error_contexts.count_in(budget);
        self.calls.count_in(budget);
        self.futures.count_in(budget);
    }
}

impl Empty for Concurrency {
    const EMPTY: Self = Self {
        tasks: Arena::with_more("tasks", MAX_HOST_TASKS + MAX_GUEST_TASKS, ARGS),
        host_tasks: 0,
        threads: Arena::with_more("threads", MAX_HOST_TASKS + MAX_GUEST_TASKS + MAX_NEW_THREADS, QUEUES),
        new_threads: 0,
        waitables: Arena::with_more("subtasks, streams and futures", MAX_WAITABLES, QUEUES),
        sets: Arena::new("waitable sets", MAX_SETS),
        mailbox: Mailbox::NEW,
        error_contexts: Arena::with_more("error contexts", MAX_ERROR_CONTEXTS, MAX_MESSAGE),
        streams: Arena::new("streams and futures", MAX_STREAMS),
        waits_for_host: NONE,
        calls: Arena::new("calls", MAX_HOST_TASKS),
        current: NONE,
        ready: VecDeque::new(),
        for_host: VecDeque::new(),
        futures: Arena::with_more("host calls", MAX_FUTURES, FUTURE),
        asks_futures: false,
        woken: None,
        resumed: 0,
        levels: Vec::new(),
        switch_to: NONE,
        stacks: 0,
        idle: Vec::new(),
    };

    fn empty() -> &'static Self {
        static EMPTY: Concurrency = Concurrency::EMPTY;
        &EMPTY
    }
}
