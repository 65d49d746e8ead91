//! Siblings: fibers of one store that are suspended beside one another, for a library that runs an event loop of its own.
//!
//! A [`Sibling`] does one job after another, on a fiber that it has from the job's first step to its last. Who resumes it gets control back when
//! the job is done or suspends itself; that may be a job on another sibling, whose fiber then waits below. Unlike a
//! [`Task`](super::Task), a sibling doesn't keep others from entering the store while it waits: its owner sees to the order, and promises
//! that nothing on one sibling's stack relies on what another one changes.
//!
//! The invariants of cores hold, with these differences: a sibling that waits is in the store's list `siblings`; and its `side` is always
//! what the store's words are to be on the other side of the next switch: its own while it waits, those of who resumed it while it runs.

use super::{Core, Side, State};
use crate::error::Error;
use crate::store::Store;
use crate::store::fibers::given_up;
use ampoule_core::vm::VmStackBounds;
use ampoule_machine::arch::switch::{Left, Link, Wake};
use ampoule_machine::stack;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{fmt, mem, ptr};

/// What a sibling does: a function, and the number that tells it what to do.
pub type Job = fn(&mut Store, u32) -> Result<(), Error>;

/// A fiber of a store's, among others that may be suspended at the same time.
#[repr(C)]
pub struct Sibling {
    core: Core,
    job: Option<(Job, u32)>,
}

// SAFETY: the pointers lead to the store, whose library keeps the sibling in the store itself and goes where that goes.
unsafe impl Send for Sibling {}
// SAFETY: a shared reference gives nothing away.
unsafe impl Sync for Sibling {}

/// What became of a sibling that was resumed.
#[derive(Debug)]
pub enum Resumed {
    /// The job is done.
    Done(Result<(), Error>),
    /// It has suspended itself, and wants this before it goes on.
    Waits(Pause),
}

/// What a suspended guest waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pause {
    /// Nothing, but whoever polls outside of the store is to have control for a moment ([`Store::suspend`]).
    #[default]
    Yield,
    /// Something of the host's: it looks again when it is resumed ([`Store::suspend_for_host`]).
    Host,
    /// What the owner of the siblings knows ([`Store::suspend_sibling`]).
    Owner,
}

impl Sibling {
    /// One without a job.
    pub fn new() -> Box<Sibling> {
        Box::new(Sibling {
            core: Core {
                store: Store::at_vm(ptr::null_mut()),
                state: State::Done,
                is_sibling: true,
                given_up: false,
                home: 0,
                next: ptr::null_mut(),
                fiber: None,
                link: ptr::null(),
                side: Side::default(),
                outside: VmStackBounds::default(),
                run: Self::run,
                outcome: None,
            },
            job: None,
        })
    }

    /// Gives it a job, which begins when it is resumed.
    ///
    /// # Panics
    /// Where it has one.
    pub fn begin(&mut self, job: Job, with: u32) {
        assert!(self.core.state == State::Done, "one job after another");
        self.job = Some((job, with));
    }

    /// Runs the job until it is done or suspends itself.
    ///
    /// # Errors
    /// Of the job; and where no stack is to be had for it.
    ///
    /// # Safety
    /// The sibling has a job, of this store if it was begun, and does not run. It stays where it is until the job is done. Nothing that
    /// is on its stack depends on the thread.
    pub unsafe fn resume(this: *mut Sibling, store: &mut Store) -> Resumed {
        // SAFETY: by the caller, the sibling is there; nothing is borrowed across the switch.
        unsafe {
            let core: *mut Core = &raw mut (*this).core;
            if (*core).state == State::Done {
                match store.take_fiber() {
                    Ok(fiber) => {
                        (*core).link = fiber.link();
                        (*(*core).link).begin((*core).run, core.cast());
                        (*core).fiber = Some(fiber);
                    }
                    Err(error) => {
                        (*this).job = None;
                        return Resumed::Done(Err(error));
                    }
                }
                (*core).store = store;
                (*core).side = Side { stack_limit: usize::MAX, ..Side::default() };
                (*core).given_up = false;
                (*core).wait();
            }
            if Core::resume_sibling(core, Wake::Continue) == Left::Suspended {
                return Resumed::Waits(mem::take(&mut store.fibers.pause));
            }
            Resumed::Done((*core).outcome.take().expect("a job that is done has an outcome"))
        }
    }

    /// Brings the job to an end, without a result that matters, as a [`Task`](super::Task) that is dropped midway is.
    pub fn give_up(&mut self) {
        self.job = None;
        if self.core.state == State::Waiting {
            // SAFETY: it waits, and its store is alive (2), and used by this thread.
            unsafe {
                Core::refuse_beneath_running(&self.core);
                Core::give_up(&mut self.core);
            }
            self.core.outcome = None;
        }
    }

    /// What runs on the fiber.
    ///
    /// # Safety
    /// `core` is that of a sibling that has been resumed.
    unsafe fn run(core: *mut ()) {
        let core: *mut Core = core.cast();
        // SAFETY: the sibling stays where it is while its job isn't done, and the core is its first field. The store is lent to the
        // job; who resumed it doesn't use it.
        unsafe {
            let store = &mut *(*core).store;
            let (job, with) = (*core.cast::<Sibling>()).job.take().expect("it has been given one");
            let outcome = catch_unwind(AssertUnwindSafe(|| job(store, with)))
                .unwrap_or_else(|_| Err(Error::message("the engine panicked; this is a defect of it")));
            (&raw mut (*core).outcome).write(Some(outcome));
        }
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        if self.core.state == State::Running {
            eprintln!("ampoule: a fiber was dropped by what runs on it");
            std::process::abort();
        }
        self.give_up();
    }
}

impl Core {
    /// Runs the fiber of a sibling.
    ///
    /// # Safety
    /// The sibling waits and has a fiber.
    #[inline]
    pub(super) unsafe fn resume_sibling(core: *mut Core, wake: Wake) -> Left {
        // SAFETY: by the caller, (2) and (3); nothing is borrowed across the switch.
        unsafe {
            let store = (*core).store;
            Core::stop_waiting(core);
            (*core).state = State::Running;
            (*core).next = mem::replace(&mut (*store).vm.entry.running_task, core.cast()).cast();
            let asks = (*store).vm.entry.stack.is_asking();
            let bounds = stack::on_this_thread((*core).fiber.as_ref().expect("it has a fiber").bounds());
            (*core).outside = mem::replace(&mut (*store).vm.entry.stack, bounds);
            if asks {
                (*store).vm.entry.stack.keep_asking();
            }
            (*core).side.exchange(store);
            let left = Link::resume((*core).link, wake);
            (*core).side.exchange(store);
            (*store).vm.entry.running_task = (*core).next.cast();
            let asks = (*store).vm.entry.stack.is_asking();
            (*store).vm.entry.stack = (*core).outside.clone();
            if asks {
                (*store).vm.entry.stack.keep_asking();
            }
            if left == Left::Suspended {
                (*core).wait();
                return left;
            }
            let fiber = (*core).fiber.take().expect("it ran");
            (*store).give_fiber(fiber);
            (*core).store = Store::at_vm(ptr::null_mut());
            (*core).state = State::Done;
            left
        }
    }
}

impl Store {
    /// Suspends the running task, as [`Store::suspend`] does, for something of the host's that isn't ready: where an event loop runs the
    /// task, others of the store go on meanwhile.
    ///
    /// # Errors
    /// As [`Store::suspend`].
    #[inline(always)]
    pub fn suspend_for_host(&mut self) -> Result<(), Error> {
        self.fibers.pause = Pause::Host;
        self.suspend_as_told()
    }

    /// Suspends the sibling that runs, until its owner resumes it.
    ///
    /// # Errors
    /// As [`Store::suspend`]; and where what runs is no sibling.
    #[inline(always)]
    pub fn suspend_sibling(&mut self) -> Result<(), Error> {
        if !self.on_sibling() {
            return Err(Error::message("what would have to wait runs on no stack of its own"));
        }
        self.fibers.pause = Pause::Owner;
        self.suspend_as_told()
    }

    /// Whether what runs is on a sibling, rather than on the stack of the host or of a [`Task`](super::Task).
    pub fn on_sibling(&self) -> bool {
        let core: *const Core = self.vm.entry.running_task.cast();
        // SAFETY: a running task is alive (3).
        !core.is_null() && unsafe { (*core).is_sibling }
    }

    /// Whether what runs was given up, so that it has to come to an end.
    pub fn was_given_up(&self) -> bool {
        self.check_not_given_up().is_err()
    }

    /// The error of what was given up.
    pub fn given_up_error() -> Error {
        given_up()
    }
}

impl Default for Box<Sibling> {
    fn default() -> Self {
        Sibling::new()
    }
}

impl fmt::Debug for Sibling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sibling").field("state", &self.core.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Caller, Engine, Extern, Func, FuncType, Instance, Module, Val, ValType};
    use std::sync::Mutex;

    /// What happened, in order.
    static LOG: Mutex<Vec<(u32, i32)>> = Mutex::new(Vec::new());

    /// What a job calls: the guest's function of the test that has this store.
    #[derive(Default)]
    struct Run(Option<Func>);

    /// A store whose guest counts down from its argument, and calls a host function each time; that suspends it, or fails at zero.
    fn store() -> Box<Store> {
        let mut store = Store::new(&Engine::default());
        let ty = FuncType::new([ValType::I32, ValType::I32], []);
        let host = Func::new(&mut store, &ty, |mut caller: Caller<'_>, args, _| {
            let [Val::I32(who), Val::I32(count)] = args else { unreachable!() };
            LOG.lock().unwrap().push((*who as u32, *count));
            caller.store().suspend_sibling()?;
            if *count == 0 { Err(Error::message("zero")) } else { Ok(()) }
        });
        let wat = br#"(module (import "" "" (func $host (param i32 i32)))
            (func (export "run") (param $who i32) (param $count i32)
                (loop
                    (call $host (local.get $who) (local.get $count))
                    (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                    (br 0))))"#;
        let module = Module::new(store.engine(), wat).unwrap();
        let instance = Instance::new(&mut store, &module, &[Extern::Func(host.unwrap())]).unwrap();
        let run = instance.get_func(&store, "run");
        store.slots_mut().insert(Run(run));
        store
    }

    fn job(store: &mut Store, who: u32) -> Result<(), Error> {
        let run = store.slots().get::<Run>().unwrap().0.unwrap();
        run.call(store, &[Val::I32(who as i32), Val::I32(2)], &mut [])
    }

    fn resume(sibling: &mut Box<Sibling>, store: &mut Store) -> Resumed {
        // SAFETY: each test uses its store on one thread, and leaves the box where it is.
        unsafe { Sibling::resume(&mut **sibling, store) }
    }

    #[test]
    fn guests_wait_beside_each_other_and_end_one_by_one() {
        let mut store = store();
        let mut siblings = [10, 11, 12].map(|who| {
            let mut sibling = Sibling::new();
            sibling.begin(job, who);
            sibling
        });
        for _ in 0..3 {
            for sibling in &mut siblings {
                let Resumed::Waits(Pause::Owner) = resume(sibling, &mut store) else { panic!("it waits") };
                assert!(!store.is_running(), "what waits doesn't run");
            }
        }
        for sibling in siblings.iter_mut().rev() {
            let Resumed::Done(Err(error)) = resume(sibling, &mut store) else { panic!("it fails at zero") };
            assert_eq!(error.to_string(), "zero");
        }
        let log = LOG.lock().unwrap();
        for who in [10, 11, 12] {
            let counts: Vec<_> = log.iter().filter(|(by, _)| *by == who).map(|(_, count)| *count).collect();
            assert_eq!(counts, [2, 1, 0]);
        }
    }

    #[test]
    fn one_job_resumes_another_which_then_goes_on_from_elsewhere() {
        struct Inner(Option<Box<Sibling>>);
        let mut store = store();
        let mut inner = Sibling::new();
        inner.begin(job, 20);
        store.slots_mut().insert(Inner(Some(inner)));
        let mut outer = Sibling::new();
        outer.begin(
            |store, _| {
                let mut inner = store.slots_mut().get_mut::<Inner>().unwrap().0.take().unwrap();
                assert!(matches!(resume(&mut inner, store), Resumed::Waits(Pause::Owner)));
                store.slots_mut().get_mut::<Inner>().unwrap().0 = Some(inner);
                assert!(store.on_sibling());
                job(store, 21)
            },
            0,
        );
        assert!(matches!(resume(&mut outer, &mut store), Resumed::Waits(Pause::Owner)));
        let mut inner = store.slots_mut().get_mut::<Inner>().unwrap().0.take().unwrap();
        assert!(matches!(resume(&mut inner, &mut store), Resumed::Waits(Pause::Owner)));
        assert!(matches!(resume(&mut outer, &mut store), Resumed::Waits(Pause::Owner)));
        inner.give_up();
        assert!(matches!(resume(&mut outer, &mut store), Resumed::Waits(Pause::Owner)));
        assert!(matches!(resume(&mut outer, &mut store), Resumed::Done(Err(_))));
        assert!(store.suspend_sibling().is_err(), "nothing runs on a stack of its own any more");
    }

    #[test]
    fn ordinary_calls_are_taken_while_siblings_wait_and_a_dropped_store_ends_them() {
        let mut store = store();
        let mut sibling = Sibling::new();
        sibling.begin(job, 30);
        assert!(matches!(resume(&mut sibling, &mut store), Resumed::Waits(Pause::Owner)));
        let error = job(&mut store, 31).unwrap_err();
        assert!(error.to_string().contains("no stack of its own"), "{error}");
        drop(store);
        assert_eq!(LOG.lock().unwrap().iter().filter(|(who, _)| *who == 30).count(), 1, "the guest has not gone on");
    }
}
