//! The store: one isolated world of instances, memories and values. Each concern is one field with one file.
//!
//! What is not here: how guest code is entered ([`crate::func`]), how instances are made ([`crate::instance::instantiate`]).
//!
//! Invariants of [`Store`], cited by the `unsafe` blocks of this crate:
//!
//! 1. A store is boxed at creation and never moves, so pointers into it stay valid until it is dropped. Its type has no size
//!    that the compiler knows, so safe code can neither move it out of its box nor swap it with another.
//! 2. `vm` is the first field: a `*mut VmStoreContext` that came from a store is the address of one.
//! 3. At most one thread uses a store at a time (`&mut Store`), and while guest code runs, the `&mut Store` that entered
//!    it is suspended: host functions and builtins use the store through the pointer in `vm`, one at a time.
//! 4. Everything a store's guest code can point to (instances' blocks, memories, tables, function references) is owned by
//!    the store and freed only when it is dropped, or with an instance that is deleted: then nothing in the store leads to it any more, and
//!    handles of it are refused.

mod backtrace;
pub mod budget;
pub(crate) mod calls;
mod code_use;
pub(crate) mod data;
pub mod epoch;
pub(crate) mod exception;
pub(crate) mod externrefs;
pub(crate) mod fibers;
pub mod foreign;
pub(crate) mod fuel;
mod gc_heap;
pub(crate) mod handler_cache;
pub(crate) mod instances;
pub mod interrupt_check;
pub mod limiter;
pub mod limits;
pub mod native;
pub(crate) mod places;
pub(crate) mod portions;
pub mod reactor;
pub(crate) mod records;
mod reentry;
mod references;
mod replaced_frame;
pub(crate) mod roots;
pub mod slots;
pub mod stable_list;
pub mod statistics;
pub mod task;
mod wait;

use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use ampoule_core::vm::{VmFuncRef, VmStoreContext};
use budget::StoreBudget;
use calls::Calls;
use code_use::CodeUse;
use data::Data;
use epoch::{AtDeadline, Epoch};
use exception::Exceptions;
use fibers::Fibers;
use fuel::Fuel;
use gc_heap::GcHeap;
use instances::Instances;
use interrupt_check::InterruptCheck;
use limiter::LimiterSlot;
use limits::Limits;
use native::Native;
use reactor::Reactor;
use replaced_frame::ReplacedFrame;
use roots::Roots;
use slots::Slots;
use statistics::Counters;
use std::any::Any;
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use wait::Listener;

/// Everything that its instances share and own. Threads may hand a store on, but only one uses it at a time.
///
/// The box that [`Store::new`] gives is the store's owner; functions, and host functions through their
/// [`Caller`](crate::Caller), borrow it. Nobody moves a store:
///
/// ```compile_fail,E0277
/// # let engine = ampoule::Engine::default();
/// let (mut one, mut other) = (ampoule::Store::new(&engine), ampoule::Store::new(&engine));
/// std::mem::swap(&mut *one, &mut *other);
/// ```
///
/// `Tail` only takes the size away from the type.
#[repr(C)]
pub struct Store<Tail: ?Sized = [()]> {
    /// The words machine code reads and writes. First: see invariant 2.
    pub(crate) vm: VmStoreContext,
    pub(crate) engine: Engine,
    /// Instances, and the memories, tables, globals and functions that the host made.
    pub(crate) instances: Instances,
    /// Whether fuel is on; the counter itself is in `vm`.
    pub(crate) fuel: Fuel,
    /// The deadline, which machine code sees in `vm`, and what happens when it passes.
    pub(crate) epoch: Epoch,
    /// Who wants to know where calls begin and end.
    pub(crate) calls: Calls,
    /// Host calls and guest time, where they are counted.
    pub(crate) counters: Counters,
    pub(crate) limits: Limits,
    /// Asynchronous calls, and the stack for the next.
    pub(crate) fibers: Fibers,
    /// What the store waits for from the host, once it has had to wait.
    reactor: Option<Reactor>,
    /// Who is told when what is suspended can go on.
    listener: Listener,
    /// What the embedder is asked while the store waits. Boxed: see `CACHED_BLOCK`.
    interrupt_check: Option<Box<InterruptCheck>>,
    /// The embedder's limiter, asked beside `limits`.
    pub(crate) limiter: LimiterSlot,
    /// What all of it takes together, once somebody has asked.
    budget: StoreBudget,
    /// The heap of collected objects, once there are some.
    pub(crate) gc: GcHeap,
    /// The pending exception, and where it may be caught.
    pub(crate) exceptions: Exceptions,
    /// References that the host holds.
    pub(crate) roots: Roots,
    /// What a frame held that other code takes the place of.
    replaced_frame: ReplacedFrame,
    /// What machine code it may be running.
    code_use: CodeUse,
    /// The embedder's value.
    data: Data,
    /// State of the host's other libraries, one value per type.
    slots: Slots,
    /// What of the host's is being called, outside of any guest; see [`Store::calling_host`].
    calling_host: Option<&'static str>,
    /// Why the guest is being unwound; taken by whoever entered it.
    pub(crate) pending: Option<Error>,
    /// Entry points that are plain C functions, and what their calls leave.
    pub(crate) native: Native,
    tail: Tail,
}

// SAFETY: the raw pointers in a store lead to what the store itself owns (invariant 4) or to the engine, which is shared
// safely; the embedder's values are `Send` by the bounds of `set_data` and `Slots`.
unsafe impl<Tail: ?Sized> Send for Store<Tail> {}
// SAFETY: `&Store` only reads, and nothing in a store has interior mutability that isn't atomic.
unsafe impl<Tail: ?Sized> Sync for Store<Tail> {}

/// What is being called while the host's values are dropped.
const FINALIZER: &str = "a finalizer of the store's is running";

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What of [`VmStoreContext::id`] tells the store.
const NUMBER: u64 = (1 << VmStoreContext::ID_BITS) - 1;

/// Up to this length, allocators keep blocks for the thread that has freed them (glibc's `tcache`): where a store is one for each request,
/// that is much of what it costs.
const CACHED_BLOCK: usize = 1032;

const _: () = assert!(size_of::<Store<[(); 0]>>() <= CACHED_BLOCK);

impl Store {
    /// An empty store. It starts with no fuel and with its epoch deadline at the engine's current epoch.
    pub fn new(engine: &Engine) -> Box<Store> {
        let epoch = Epoch::new(engine);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        assert!(id & NUMBER == id, "a process makes fewer stores");
        // Made where it stays: it is too large to be moved there.
        let place = Box::new_uninit();
        let store: Box<Store<[(); 0]>> = Box::write(
            place,
            Store::<[(); 0]> {
                vm: VmStoreContext {
                    stack_limit: 0,
                    fuel: 0,
                    epoch_deadline: epoch.deadline.into(),
                    epoch: engine.epoch(),
                    entry_fp: 0.into(),
                    exit_fp: 0,
                    unwinding: 0,
                    _pad: 0,
                    caller: ptr::null_mut(),
                    id,
                    leaving: statistics::leaving as *const _,
                    returning: statistics::returning as *const _,
                    heap_base: ptr::null_mut(),
                    heap_top: 0,
                    heap_limit: 0,
                    types: ptr::null(),
                    replaced_frame: ptr::null(),
                    entry: calls::entry_checks(engine),
                },
                fuel: Fuel::new(engine.config().tunables.consume_fuel),
                epoch,
                calls: Calls::new(),
                counters: Counters::default(),
                limits: Limits::default(),
                fibers: Fibers::default(),
                reactor: None,
                listener: Listener::default(),
                interrupt_check: None,
                limiter: LimiterSlot::default(),
                budget: StoreBudget::default(),
                calling_host: None,
                instances: Instances::default(),
                gc: GcHeap::default(),
                exceptions: Exceptions::default(),
                roots: Roots::default(),
                replaced_frame: ReplacedFrame::default(),
                code_use: CodeUse::default(),
                data: Data::default(),
                slots: Slots::default(),
                pending: None,
                native: Native::default(),
                engine: engine.clone(),
                tail: [],
            },
        );
        store
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The store's id: unique in the process, never zero. Handles carry it.
    pub fn id(&self) -> u64 {
        self.vm.id & NUMBER
    }

    /// How many instances were deleted: whatever is made notes it.
    #[inline]
    pub(crate) fn deletions(&self) -> u32 {
        deletions_of(self.vm.id)
    }

    /// Counts a deletion. Handles of functions are looked at closely from then on that were made before.
    ///
    /// # Errors
    /// Where there were as many as there may be.
    pub(crate) fn count_deletion(&mut self) -> Result<(), Error> {
        let Some(id) = self.vm.id.checked_add(NUMBER + 1) else {
            let most = u64::MAX >> VmStoreContext::ID_BITS;
            return Err(Error::new(ErrorKind::Limit(format!("a store deletes no more than {most} instances"))));
        };
        self.vm.id = id;
        Ok(())
    }

    /// The embedder's value.
    pub fn data(&self) -> &(dyn Any + Send + Sync) {
        self.data.get()
    }

    /// The embedder's value, to change it.
    pub fn data_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        self.data.get_mut()
    }

    /// Replaces the embedder's value; the old one is dropped.
    pub fn set_data(&mut self, data: Box<dyn Any + Send + Sync>) {
        self.data.set(data);
    }

    /// Typed state of the host's libraries, such as a WASI context.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Typed state of the host's libraries, to change it.
    pub fn slots_mut(&mut self) -> &mut Slots {
        &mut self.slots
    }

    /// The engine, and typed state of the host's libraries, to change it.
    pub fn engine_and_slots_mut(&mut self) -> (&Engine, &mut Slots) {
        (&self.engine, &mut self.slots)
    }

    /// Limits on what instances in this store may have; see [`Limits`].
    pub fn limits_mut(&mut self) -> &mut Limits {
        &mut self.limits
    }

    /// Replaces the remaining fuel with `fuel` units; one unit is about one wasm instruction.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::FuelDisabled`] unless the engine was configured with [`crate::Config::consume_fuel`]; nothing changes.
    pub fn set_fuel(&mut self, fuel: u64) -> Result<(), Error> {
        self.fuel.set(&mut self.vm, fuel)
    }

    /// The remaining fuel. After a call that returned it is exact. After a trap, only the operators of the straight line that ended in
    /// it are missing: everything up to the last branch, end of a block or call has been charged, and the call or `unreachable` that
    /// trapped.
    ///
    /// # Errors
    /// See [`Store::set_fuel`].
    pub fn fuel(&self) -> Result<u64, Error> {
        self.fuel.get(&self.vm)
    }

    /// Makes asynchronous calls yield each time they have used `interval` units of fuel; 0 turns that off. The store takes
    /// asynchronous calls only from then on.
    ///
    /// # Errors
    /// See [`Store::set_fuel`].
    pub fn set_fuel_yield_interval(&mut self, interval: u64) -> Result<(), Error> {
        self.fuel.set_interval(&mut self.vm, interval)?;
        self.require_async();
        Ok(())
    }

    /// Puts the deadline `ticks` beyond the engine's current epoch. No effect where the engine has no epochs.
    pub fn set_epoch_deadline(&mut self, ticks: u64) {
        if self.engine.config().tunables.epoch_interruption {
            let now = self.engine.epoch().load(Ordering::Relaxed);
            self.epoch.deadline = now.saturating_add(ticks);
            self.write_deadline();
        }
    }

    /// The epoch at which the guest is to be stopped, also in a host function that waits; `None` where it isn't, or where a
    /// callback decides, which runs when the guest goes on.
    pub fn interrupting_epoch(&self) -> Option<u64> {
        let stops = self.engine.config().tunables.epoch_interruption && self.epoch.interrupts();
        stops.then_some(self.epoch.deadline)
    }

    /// What happens when the deadline passes; without a callback the guest traps with [`crate::TrapCode::Interrupt`].
    pub fn epoch_deadline_callback(&mut self, callback: Option<epoch::Callback>) {
        let then = callback.map_or(AtDeadline::Interrupt, AtDeadline::Ask);
        let before = std::mem::replace(&mut self.epoch.then, then);
        self.finalize(before);
    }

    /// Makes asynchronous calls yield when the deadline passes, which is then put `ticks` beyond the epoch at which they go on.
    /// The store takes asynchronous calls only from then on.
    pub fn epoch_deadline_yield_and_update(&mut self, ticks: u64) {
        let before = std::mem::replace(&mut self.epoch.then, AtDeadline::Yield(ticks));
        self.finalize(before);
        self.require_async();
    }

    /// Calls something of the host's in the middle of work on the store, perhaps outside of any guest: a store that is deleted from
    /// there would be used afterwards.
    pub(crate) fn calling_host<R>(&mut self, what: &'static str, call: impl FnOnce(&mut Store) -> R) -> R {
        let before = self.calling_host.replace(what);
        let answer = call(self);
        self.calling_host = before;
        answer
    }

    /// Puts a library's value into its slot, and drops the one that was there.
    pub fn replace_slot<T: Any + Send + Sync>(&mut self, value: T) {
        let before = self.slots.insert(value);
        self.finalize(before);
    }

    /// Drops what the host handed over, which may have a finalizer.
    pub(crate) fn finalize<T>(&mut self, value: T) {
        self.calling_host(FINALIZER, |_| drop(value));
    }

    /// Why the store must not be deleted now; `None` where it may be.
    pub fn in_use(&self) -> Option<&'static str> {
        if self.is_running() { Some("the store's guest is running") } else { self.calling_host }
    }

    /// The store behind the pointer that machine code and thunks carry.
    ///
    /// # Safety
    /// `vm` came from a store that is alive, and no other reference to the store is used while the result is
    /// (invariant 3).
    #[inline]
    pub(crate) unsafe fn from_vm<'a>(vm: *mut VmStoreContext) -> &'a mut Store {
        // SAFETY: the cast by (2), validity and uniqueness by the caller.
        unsafe { &mut *Self::at_vm(vm) }
    }

    /// The store that begins with these words.
    #[inline]
    pub(crate) fn at_vm(vm: *mut VmStoreContext) -> *mut Store {
        ptr::slice_from_raw_parts_mut(vm.cast::<()>(), 0) as *mut Store
    }

    /// Gives the store to somebody who knows it by the address of its first words, such as a C program.
    #[doc(hidden)] // For the C interface, whose types can't be of unknown size.
    pub fn into_raw(self: Box<Self>) -> *mut VmStoreContext {
        Box::into_raw(self).cast()
    }

    /// The store that was given away.
    ///
    /// # Safety
    /// `vm` came from [`Store::into_raw`], and nobody uses it any more.
    #[doc(hidden)] // As `into_raw`.
    pub unsafe fn from_raw(vm: *mut VmStoreContext) -> Box<Store> {
        // SAFETY: by the caller, the box that was given away.
        unsafe { Box::from_raw(Self::at_vm(vm)) }
    }

    /// The store that was given away, for as long as somebody uses it.
    ///
    /// # Safety
    /// `vm` is the address of the first words of a store that is alive, which nobody else uses meanwhile.
    #[doc(hidden)] // As `into_raw`.
    #[inline(always)]
    pub unsafe fn borrow_raw<'a>(vm: *mut VmStoreContext) -> &'a mut Store {
        // SAFETY: by the caller.
        unsafe { Self::from_vm(vm) }
    }

    /// Notes why the guest is to be unwound, with its frames; the trampoline that called us unwinds.
    #[cold]
    pub(crate) fn unwind_with(&mut self, error: Error) {
        error.set_backtrace(crate::error::backtrace::Backtrace::capture(self));
        self.pending = Some(error);
        self.vm.unwinding = VmStoreContext::STOPPING;
    }

    /// The same for what a host function has answered: where that is the pending exception, its caller may catch it.
    #[cold]
    pub(crate) fn throw_or_stop(&mut self, error: Error) {
        if matches!(error.kind(), ErrorKind::Exception) && self.has_exception() {
            self.pending = Some(error);
            self.vm.unwinding = VmStoreContext::THROWING;
        } else {
            self.unwind_with(error);
        }
    }

    /// Refuses a handle of another store.
    #[inline]
    pub(crate) fn check_owner(&self, store_id: u64) -> Result<(), Error> {
        if store_id & NUMBER == self.id() { Ok(()) } else { Err(Error::wrong_store()) }
    }

    /// Refuses a function of another store, and one whose instance was deleted.
    #[inline]
    pub(crate) fn check_func(&self, store_id: u64, func_ref: NonNull<VmFuncRef>) -> Result<(), Error> {
        if store_id == self.vm.id { Ok(()) } else { self.check_older_func(store_id, func_ref) }
    }

    #[cold]
    fn check_older_func(&self, store_id: u64, func_ref: NonNull<VmFuncRef>) -> Result<(), Error> {
        self.check_owner(store_id)?;
        if self.instances.has_func(func_ref.addr().get(), deletions_of(store_id)) {
            Ok(())
        } else {
            Err(Error::deleted())
        }
    }

    /// The end of a builtin that may have failed.
    #[inline]
    pub(crate) fn or_unwind<T>(&mut self, result: Result<T, impl Into<Error>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.unwind_with(error.into());
                None
            }
        }
    }
}

/// How many instances were deleted, by [`VmStoreContext::id`], and when a handle of a function was made, by that.
fn deletions_of(id: u64) -> u32 {
    (id >> VmStoreContext::ID_BITS) as u32
}

impl<Tail: ?Sized> Drop for Store<Tail> {
    fn drop(&mut self) {
        // SAFETY: both forms of the type have the same layout, and nobody else uses what is being dropped.
        unsafe { Store::from_vm(&mut self.vm) }.end();
    }
}

impl Store {
    /// Ends what still runs or waits, before the fields are dropped.
    fn end(&mut self) {
        // Until the end: the finalizers of all that the store has run now.
        self.calling_host = Some(FINALIZER);
        self.end_tasks();
        self.leave_code();
        self.set_host_waker(None);
        self.end_budget();
        // The embedder's value outlives what may still refer to it through host functions' finalizers, as the C
        // interface's order of destruction is: first what the store holds, then the data. Field order does the rest.
        debug_assert!(!self.is_running(), "a store can't be dropped while its guest code runs");
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("id", &self.id()).finish_non_exhaustive()
    }
}
