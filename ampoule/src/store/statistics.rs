//! What a store takes, and what its guests did.
//!
//! Sizes are added up when somebody asks. Host calls and guest time are only counted where the engine was configured for it
//! ([`crate::Config::statistics`]): exit thunks are then compiled with calls of [`leaving`] and [`returning`], and the way into the
//! guest takes the time as it does what [`super::calls`] is for.

use super::Store;
use crate::engine::pool::description_len;
use crate::engine::timer::now_ns;
use crate::store::records::instance::MemoryLink;
use ampoule_core::vm::VmStoreContext;
use ampoule_machine::os::pagemap;

/// Numbers of one store. Sizes are in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Instances in the store.
    pub instances: u64,
    /// Memories, made by instances and by the host; shared ones that instances use, once each.
    pub memories: u64,
    /// Tables, made by instances and by the host.
    pub tables: u64,
    /// Lengths of the memories.
    pub memory_bytes: u64,
    /// Of them, in pages that hold contents of their own; `None` where the system doesn't tell. Untouched pages, and those that are as
    /// in the module, take no physical memory; those of a memory that was used before, and zeroed, do.
    pub memory_resident_bytes: Option<u64>,
    /// Address space that the memories occupy, with guards.
    pub memory_reserved_bytes: u64,
    /// Bytes allocated for the elements of the tables.
    pub table_bytes: u64,
    /// Records of the instances.
    pub instance_bytes: u64,
    /// Fuel used since the store was made, however often it was set; zero where the engine has no fuel.
    pub fuel_used: u64,
    /// Calls of host functions by guests; zero where the engine doesn't count.
    pub host_calls: u64,
    /// Nanoseconds that guests ran, without host functions, but with what the engine did on their behalf: compiling, growing, waiting
    /// for other threads. Zero where the engine doesn't count.
    pub guest_time_ns: u64,
    /// Stacks of asynchronous calls that were begun and aren't over, and the one that the store keeps for the next.
    pub stacks: u64,
    /// Address space that the stacks occupy.
    pub stack_reserved_bytes: u64,
    /// Of it, pages that hold contents of their own; `None` where the system doesn't tell.
    pub stack_resident_bytes: Option<u64>,
    /// Bytes of the heap of collected objects, as limits know them: what its objects may take. Zero before the first object.
    pub gc_heap_bytes: u64,
    /// Bytes of objects that the last full collection found in use; zero before it.
    pub gc_live_bytes: u64,
    /// Bytes of all objects that were ever made, by guests and the host.
    pub gc_allocated_bytes: u64,
    /// Address space that the heap occupies.
    pub gc_reserved_bytes: u64,
    /// Collections of young objects. Each full one begins with one of them.
    pub gc_minor_collections: u64,
    /// Full collections that were finished.
    pub gc_major_collections: u64,
    /// Nanoseconds that collections took.
    pub gc_time_ns: u64,
    /// Nanoseconds that the longest of either kind took.
    pub gc_longest_ns: u64,
    /// Handles of the host that keep objects alive.
    pub gc_roots: u64,
    /// Values of the host behind `externref`s, which were not dropped yet.
    pub gc_host_values: u64,
}

/// What is counted while guests run.
#[derive(Default)]
pub(crate) struct Counters {
    host_calls: u64,
    guest_ns: u64,
    /// Since when the guest that runs does so; zero where none runs.
    since: u64,
}

impl Counters {
    /// A guest goes on.
    #[inline]
    pub(crate) fn start(&mut self) {
        self.since = now_ns();
    }

    /// The guest that ran stops. Whether one ran.
    #[inline]
    pub(crate) fn stop(&mut self) -> bool {
        let ran = self.since != 0;
        if ran {
            self.guest_ns += now_ns() - self.since;
            self.since = 0;
        }
        ran
    }
}

/// The guest is about to call the host.
///
/// # Safety
/// Called by the running guest of the store.
pub(crate) unsafe extern "C" fn leaving(vm: *mut VmStoreContext) {
    // SAFETY: by the caller, no reference to the store is in use.
    let counters = unsafe { &mut Store::from_vm(vm).counters };
    counters.host_calls += 1;
    counters.stop();
}

/// The host has returned to the guest.
///
/// # Safety
/// As for [`leaving`].
pub(crate) unsafe extern "C" fn returning(vm: *mut VmStoreContext) {
    // SAFETY: as above.
    unsafe { Store::from_vm(vm) }.counters.start();
}

impl Store {
    /// The numbers at this moment. Host functions may ask too.
    pub fn statistics(&self) -> Statistics {
        let mut sum = Statistics {
            instances: self.instances.num_instances() as u64,
            tables: self.instances.num_tables() as u64,
            memory_resident_bytes: Some(0),
            stack_resident_bytes: Some(0),
            fuel_used: self.fuel.used(&self.vm),
            host_calls: self.counters.host_calls,
            guest_time_ns: self.counters.guest_ns,
            ..Statistics::default()
        };
        if self.counters.since != 0 {
            sum.guest_time_ns += now_ns() - self.counters.since;
        }
        for memory in self.instances.memories.iter() {
            let (base, len) = memory.place();
            sum.add_memory(base, len, memory.reserved_len());
        }
        let links = self.instances.iter().flat_map(|instance| &instance.memories);
        let mut shared = Vec::new();
        for link in links {
            if let MemoryLink::Shared(memory) = link
                && !shared.contains(&memory.vm())
            {
                shared.push(memory.vm());
                sum.add_memory(memory.base(), memory.byte_len(), memory.reserved_len());
            }
        }
        sum.table_bytes = self.instances.tables.iter().map(|table| table.capacity_bytes() as u64).sum();
        let records = self.instances.iter().map(|instance| description_len(instance.module().layout()) as u64);
        sum.instance_bytes = records.sum();
        let heap = self.gc.statistics(self.vm.heap_top);
        sum.gc_heap_bytes = heap.size_bytes;
        sum.gc_live_bytes = heap.live_bytes;
        sum.gc_allocated_bytes = heap.allocated_bytes;
        sum.gc_reserved_bytes = heap.reserved_bytes;
        sum.gc_minor_collections = heap.minor_collections;
        sum.gc_major_collections = heap.major_collections;
        sum.gc_time_ns = heap.collecting.as_nanos() as u64;
        sum.gc_longest_ns = heap.longest.as_nanos() as u64;
        sum.gc_roots = self.roots.held() as u64;
        sum.gc_host_values = self.gc.host_values() as u64;
        for stack in self.fiber_stacks() {
            let range = stack.range();
            sum.stacks += 1;
            sum.stack_reserved_bytes += stack.reserved_len() as u64;
            add_written(&mut sum.stack_resident_bytes, range.start, range.len());
        }
        sum
    }
}

impl Statistics {
    fn add_memory(&mut self, base: *const u8, len: usize, reserved: usize) {
        self.memories += 1;
        self.memory_bytes += len as u64;
        self.memory_reserved_bytes += reserved as u64;
        add_written(&mut self.memory_resident_bytes, base.addr(), len);
    }
}

fn add_written(sum: &mut Option<u64>, start: usize, len: usize) {
    *sum = sum.zip(pagemap::written_bytes(start, len)).map(|(sum, more)| sum + more);
}
