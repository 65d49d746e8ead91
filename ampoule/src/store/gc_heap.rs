//! The store's heap of collected objects: made with the first of them, and counted like a linear memory.
//!
//! What refers to objects is told by [`super::references`]. While the heap works it is out of the store, and nothing of the host's runs but
//! the limiter, which can't use the store. Values of the host that died are dropped later.

use super::externrefs::{ExternRefs, HostValue};
use super::limiter::{LimitRequest, Resource};
use super::references::{self, Slots};
use super::{FINALIZER, Store};
use crate::engine::budget::BudgetKind;
use crate::engine::pool::{Claim, Pool};
use crate::error::{Error, ErrorKind};
use crate::gc::heap::graph::NewObject;
use crate::gc::heap::region::RegionCache;
use crate::gc::heap::{AllocationError, Bump, Heap, HeapStatistics, Interrupted, Kind, Owner, PAGE};
use ampoule_core::object_layout::HOST_SIZE;
use ampoule_core::vm::types::{ObjectKind, TypeWord};
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

/// The heap, and what belongs to it.
#[derive(Default)]
pub(crate) struct GcHeap {
    /// Held from the first reference on, where the engine has a pool.
    claim: Option<Claim>,
    made: Option<Box<Made>>,
}

struct Made {
    heap: Heap,
    /// The host values that `externref`s stand for.
    hosts: ExternRefs,
    /// Those that died and are to be dropped: see [`Store::finalize_dead`].
    dead: Vec<u32>,
    /// Where the heap's address space goes in the end.
    regions: Arc<RegionCache>,
    /// Whether the store's limits have allowed it. Until then it is address space, and nothing can be allocated.
    is_counted: bool,
}

impl Drop for GcHeap {
    fn drop(&mut self) {
        if let Some(made) = self.made.take() {
            let Made { heap, hosts, regions, .. } = *made;
            regions.give_back(heap.into_region());
            drop(hosts);
        }
    }
}

impl GcHeap {
    /// What an object begins with; `None` where the reference leads to none.
    pub(crate) fn type_of(&self, raw: u32) -> Option<TypeWord> {
        self.made.as_deref()?.heap.type_of(raw)
    }

    /// What an exception begins with, and the number of its tag; `None` where the reference leads to something else.
    pub(crate) fn exception(&self, raw: u32) -> Option<(TypeWord, u32)> {
        let heap = &self.made.as_deref()?.heap;
        let word = heap.type_of(raw).filter(|word| word.kind() == ObjectKind::Exception)?;
        Some((word, heap.tag_number(raw)))
    }

    /// The value of the host behind a reference.
    pub(crate) fn host(&self, raw: u32) -> Option<&(dyn Any + Send + Sync)> {
        let made = self.made.as_deref()?;
        made.hosts.get(made.heap.host_position(raw)?)
    }

    /// The objects, where there may be some.
    pub(crate) fn heap(&self) -> Option<&Heap> {
        self.made.as_deref().map(|made| &made.heap)
    }

    /// The numbers at this moment; zeros without a heap. `top` is where the next object begins.
    pub(crate) fn statistics(&self, top: u32) -> HeapStatistics {
        let Some(made) = self.made.as_deref() else { return HeapStatistics::default() };
        let mut statistics = made.heap.statistics();
        statistics.allocated_bytes += u64::from(top - Bump::EMPTY.top);
        if !made.is_counted {
            statistics.size_bytes = 0;
        }
        statistics
    }

    /// Values of the host that were not dropped yet.
    pub(crate) fn host_values(&self) -> usize {
        self.made.as_deref().map_or(0, |made| made.hosts.len() + made.dead.len())
    }
}

impl Store {
    /// Refuses a store whose engine was configured without a heap.
    ///
    /// # Errors
    /// See above.
    pub(crate) fn check_gc_support(&self) -> Result<(), Error> {
        if self.engine.config().features.gc_types {
            return Ok(());
        }
        let reason = "cannot allocate a GC store when GC is disabled at configuration time";
        Err(Error::new(ErrorKind::Config(reason.to_string())))
    }

    /// Makes sure that the store may have a heap.
    ///
    /// # Errors
    /// Where its engine was configured without, or the engine's pool has no room for another store with one.
    #[inline]
    pub(crate) fn claim_gc_heap(&mut self) -> Result<(), Error> {
        self.check_gc_support()?;
        if self.gc.claim.is_none() {
            self.gc.claim = self.engine.pool().map(Pool::claim_gc_heap).transpose()?;
        }
        Ok(())
    }

    /// A new object of this type and of `size` bytes, a multiple of 8. The caller initializes it before anything else is allocated.
    ///
    /// # Errors
    /// Where there is no room for it, or the call was cancelled.
    pub(crate) fn allocate_object(&mut self, word: TypeWord, size: u64) -> Result<u32, Error> {
        let mut bump = Bump { top: self.vm.heap_top, limit: self.vm.heap_limit };
        let made = self.gc.made.as_deref_mut();
        if let Some(object) = made.and_then(|made| made.heap.allocate_at_once(&mut bump, word, size)) {
            self.vm.heap_top = bump.top;
            return Ok(object);
        }
        let (result, error) = self.with_heap(|heap, bump, owner| heap.allocate(bump, word, size, owner))?;
        result.map_err(|failure| allocation_error(failure, size, error))
    }

    /// Reserves the heap, so that machine code can rely on where it is. The store's limits are asked when the first object is made.
    ///
    /// # Errors
    /// Where the engine's pool refuses, or the system has no address space.
    pub(crate) fn reserve_heap(&mut self) -> Result<(), Error> {
        if self.gc.made.is_some() {
            return Ok(());
        }
        self.make_heap()
    }

    /// The heap, which is made if there is none.
    ///
    /// # Errors
    /// Where the store may not have one: its limits, its limiter or the engine's pool refuse, or the system has no memory.
    #[inline]
    fn made_heap(&mut self) -> Result<&mut Made, Error> {
        if self.gc.made.as_deref().is_none_or(|made| !made.is_counted) {
            self.count_heap()?;
        }
        Ok(self.gc.made.as_deref_mut().expect("it was just made"))
    }

    #[cold]
    fn count_heap(&mut self) -> Result<(), Error> {
        self.reserve_heap()?;
        let refused = || out_of_memory(PAGE);
        if !self.limits.allow_memory(PAGE) {
            return Err(refused());
        }
        self.ask_limiter_for(Resource::Memory, PAGE, None, refused)?;
        self.charge(BudgetKind::GcHeap, PAGE)?;
        self.gc.made.as_deref_mut().expect("it is reserved").is_counted = true;
        Ok(())
    }

    #[cold]
    fn make_heap(&mut self) -> Result<(), Error> {
        // Else it may be there, and at work.
        self.limiter.check_idle()?;
        self.claim_gc_heap()?;
        let no_memory = |error| Error::new(ErrorKind::System("reserving a heap", error));
        let types = self.engine.types().table()?;
        let regions = self.engine.heap_regions().clone();
        let region = regions.take().map_err(no_memory)?;
        // SAFETY: the table is the engine's, which the store keeps; it has records for all types of objects that this store will have, as
        // the store keeps those types.
        let heap = unsafe { Heap::new(region, types, self.engine.config().gc_stress) }.map_err(no_memory)?;
        self.vm.heap_base = heap.base();
        self.vm.types = types;
        (self.vm.heap_top, self.vm.heap_limit) = (Bump::EMPTY.top, Bump::EMPTY.limit);
        let hosts = ExternRefs::default();
        self.gc.made = Some(Box::new(Made { heap, hosts, dead: Vec::new(), regions, is_counted: false }));
        Ok(())
    }

    /// The heap, where there is an object.
    ///
    /// # Panics
    /// Where there is no heap.
    pub(crate) fn heap_mut(&mut self) -> &mut Heap {
        &mut self.gc.made.as_deref_mut().expect("whoever has an object has a heap").heap
    }

    /// A reference to a new value of the host.
    ///
    /// # Errors
    /// Where there is no room for it. The value is dropped.
    pub(crate) fn allocate_host(&mut self, value: HostValue) -> Result<u32, Error> {
        let (top, limit) = (self.vm.heap_top, self.vm.heap_limit);
        let made = self.made_heap()?;
        let position = made.hosts.insert(value)?;
        let mut bump = Bump { top, limit };
        let raw = match made.heap.allocate_host_at_once(&mut bump, position) {
            Some(raw) => {
                self.vm.heap_top = bump.top;
                Ok(raw)
            }
            None => self.with_heap(|heap, bump, owner| heap.allocate_host(bump, position, owner)).and_then(
                |(result, error)| result.map_err(|failure| allocation_error(failure, HOST_SIZE.into(), error)),
            ),
        };
        if raw.is_err() {
            let value = self.gc.made.as_deref_mut().and_then(|made| made.hosts.take(position));
            self.finalize(value);
        }
        raw
    }

    /// Makes objects that no collection moves: see [`Heap::allocate_all`], with which the caller goes on.
    ///
    /// # Errors
    /// Where there is no room for all of them.
    pub(crate) fn allocate_objects(&mut self, objects: &[NewObject]) -> Result<Vec<u32>, Error> {
        let (result, error) = self.with_heap(|heap, bump, owner| heap.allocate_all(bump, objects, owner))?;
        let bytes = || objects.iter().map(|object| u64::from(object.size)).sum();
        result.map_err(|failure| allocation_error(failure, bytes(), error))
    }

    /// Makes an object that was just made, as one of the host's, stand for a value.
    ///
    /// # Errors
    /// Where the store has as many values as can be.
    pub(crate) fn initialize_host(&mut self, object: u32, value: HostValue) -> Result<(), Error> {
        let made = self.made_heap()?;
        let position = made.hosts.insert(value)?;
        made.heap.initialize_host(object, position);
        Ok(())
    }

    /// Collects everything that neither the host, nor a frame, nor anything reachable refers to, dropping values of the host's. A call that was
    /// cancelled may end it early.
    pub fn gc(&mut self) {
        self.collect(Kind::Major);
    }

    /// Whether an object may have a reference to a function at one of these addresses, or is an exception with one of these tags.
    pub(crate) fn has_object_with(&mut self, functions: &Range<usize>, tags: &[u32]) -> bool {
        let top = self.vm.heap_top;
        self.gc.made.as_deref_mut().is_some_and(|made| made.heap.has_object_with(top, functions, tags))
    }

    /// Sees to it that no object moves any more that there is now.
    pub(crate) fn settle_objects(&mut self) {
        self.collect(Kind::Minor);
    }

    /// Whether there may be objects that will move.
    pub(crate) fn has_young_objects(&self) -> bool {
        self.vm.heap_top != Bump::EMPTY.top
    }

    fn collect(&mut self, kind: Kind) {
        if self.gc.made.is_some() {
            // What can't be collected now stays for the next time.
            let _ = self.with_heap(|heap, bump, owner| heap.collect(bump, kind, owner));
            self.finalize_dead();
        }
    }

    /// Lets the heap work that may collect. The answer's second part is why the guest is to be stopped.
    ///
    /// # Errors
    /// Where it is not known now what refers to objects.
    fn with_heap<R>(
        &mut self,
        work: impl FnOnce(&mut Heap, &mut Bump, &mut dyn Owner) -> R,
    ) -> Result<(R, Option<Error>), Error> {
        // What asks the limiter has references in its hands.
        self.limiter.check_idle()?;
        self.finalize_dead();
        self.made_heap()?;
        let frames = references::frames(self).ok_or_else(|| {
            Error::message(
                "a store whose module is damaged cannot collect, for it is not known which references its code holds",
            )
        })?;
        let mut bump = Bump { top: self.vm.heap_top, limit: self.vm.heap_limit };
        let mut made = self.gc.made.take().expect("it was just made");
        let mut owner = HeapOwner { store: self, frames, error: None };
        let result = work(&mut made.heap, &mut bump, &mut owner);
        let error = owner.error;
        (self.vm.heap_top, self.vm.heap_limit) = (bump.top, bump.limit);
        made.heap.take_dead_hosts(&mut made.dead);
        self.gc.made = Some(made);
        Ok((result, error))
    }

    /// Drops the values of the host that have died. Their finalizers may use the store, and so collect: not where somebody has a raw reference, or
    /// an object that is not initialized yet.
    #[inline]
    pub(crate) fn finalize_dead(&mut self) {
        if let Some(made) = self.gc.made.as_deref_mut()
            && !made.dead.is_empty()
        {
            // Taken out first: finalizers are not to run inside of each other, one for each.
            let dead = std::mem::take(&mut made.dead);
            self.drop_hosts(&dead);
        }
    }

    #[cold]
    fn drop_hosts(&mut self, positions: &[u32]) {
        self.calling_host(FINALIZER, |store| {
            for &position in positions {
                drop(store.gc.made.as_deref_mut().and_then(|made| made.hosts.take(position)));
            }
        });
    }
}

/// The store, while its heap works.
struct HeapOwner<'a> {
    store: &'a mut Store,
    frames: Slots,
    /// Why the guest is to be stopped: what the limiter says, or who interrupts it.
    error: Option<Error>,
}

// SAFETY: the store tells every place where references are, and only those; nobody else uses them while the heap works, for whoever
// has some in his hands tells (`Roots::push_in_flight`), or calls nothing that collects.
unsafe impl Owner for HeapOwner<'_> {
    fn visit_young(&mut self, visit: &mut dyn FnMut(*mut u32)) -> u64 {
        let cost = self.frames.visit(visit) + references::visit(self.store, visit);
        visit(&raw mut self.store.exceptions.pending);
        self.store.roots.visit_young(visit);
        cost
    }

    fn visit_all(&mut self, visit: &mut dyn FnMut(*mut u32)) {
        self.frames.visit(visit);
        references::visit(self.store, visit);
        visit(&raw mut self.store.exceptions.pending);
        self.store.roots.visit_all(visit);
    }

    fn allow_growth(&mut self, from: u64, to: u64) -> Result<bool, Interrupted> {
        let request =
            LimitRequest { resource: Resource::Memory, grows: true, current: from, desired: to, maximum: None };
        let allowed = self.store.grow(&request, BudgetKind::GcHeap, u64::MAX, |_| Some(()));
        let allowed = allowed.map(|grown| grown.is_ok());
        allowed.map_err(|error| {
            self.error = Some(error);
            Interrupted
        })
    }

    fn is_interrupted(&mut self) -> bool {
        self.store.check_interrupted().map_err(|error| self.error = Some(error)).is_err()
    }
}

/// Why there is no object of so many bytes; `error` is why the guest is to be stopped.
fn allocation_error(failure: AllocationError, size: u64, error: Option<Error>) -> Error {
    match failure {
        AllocationError::OutOfMemory => out_of_memory(size),
        AllocationError::Interrupted => error.unwrap_or_else(|| Error::trap(ampoule_core::trap::TrapCode::Interrupt)),
    }
}

#[cold]
fn out_of_memory(size: u64) -> Error {
    Error::new(ErrorKind::Limit(format!("GC heap out of memory: no capacity for allocation of {size} bytes")))
}
