//! Pooling allocation: everything that instances need is bounded when the engine is made, over all of its stores, and what
//! they leave is kept ready for the next.
//!
//! What a module may need at most is checked when the module is made; what is in use, when it is instantiated. Memories come
//! from slots of address space that is reserved with the engine ([`memories`]); tables and instances from the heap, as without
//! a pool, so their part is to be counted. What the host makes for itself (`Memory::new`, `Table::new`, shared memories) is not
//! taken from the pool.
//!
//! What is deliberately not here: how a memory is cleaned ([`crate::memory::space`]).
//!
//! Invariant: whoever holds a [`Claim`] is counted, once, until it drops it. It drops it last.

pub(crate) mod memories;

use crate::error::{Error, ErrorKind};
use crate::memory::cache::MemoryCache;
use crate::table_elements::Elements;
use ampoule_core::module::ModuleDescription;
use ampoule_core::vm::VmLayout;
use ampoule_machine::os::sync::Mutex;
use memories::MemoryPool;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The dimensions of a pool. Sizes are in bytes, totals are over all stores of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Unused slots that stay prepared for the module they last served, before one of them is taken for another module.
    pub max_unused_warm_slots: u32,
    /// Freed memories that are cleaned at a time.
    pub decommit_batch_size: usize,
    /// Of a freed stack, what is overwritten rather than given back to the system.
    pub async_stack_keep_resident: usize,
    /// Of a freed memory, what is overwritten rather than given back to the system. Of one of which little was written (128 KiB) all of that,
    /// up to 16 MiB over all unused memories.
    pub linear_memory_keep_resident: usize,
    /// The elements of a freed table stay for the next where they take no more than this.
    pub table_keep_resident: usize,
    /// Component instances that may live.
    pub total_component_instances: u32,
    /// What the description of a component instance may take.
    pub max_component_instance_size: usize,
    /// Core instances in a component.
    pub max_core_instances_per_component: u32,
    /// Memories in a component.
    pub max_memories_per_component: u32,
    /// Tables in a component.
    pub max_tables_per_component: u32,
    /// Memories that may live.
    pub total_memories: u32,
    /// Tables that may live.
    pub total_tables: u32,
    /// Stacks of async calls that may be in use.
    pub total_stacks: u32,
    /// Core instances that may live.
    pub total_core_instances: u32,
    /// What the description of a core instance may take.
    pub max_core_instance_size: usize,
    /// Tables that a module may define.
    pub max_tables_per_module: u32,
    /// Elements of a table.
    pub table_elements: usize,
    /// Memories that a module may define.
    pub max_memories_per_module: u32,
    /// Bytes of a memory.
    pub max_memory_size: usize,
    /// Stores that may hold references to host values.
    pub total_gc_heaps: u32,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_unused_warm_slots: 100,
            decommit_batch_size: 1,
            async_stack_keep_resident: 0,
            linear_memory_keep_resident: 0,
            table_keep_resident: 0,
            total_component_instances: 1000,
            max_component_instance_size: 1 << 20,
            max_core_instances_per_component: u32::MAX,
            max_memories_per_component: u32::MAX,
            max_tables_per_component: u32::MAX,
            total_memories: 1000,
            total_tables: 1000,
            total_stacks: 1000,
            total_core_instances: 1000,
            max_core_instance_size: 1 << 20,
            max_tables_per_module: 1,
            table_elements: 20_000,
            max_memories_per_module: 1,
            max_memory_size: 4 << 30,
            total_gc_heaps: 1000,
        }
    }
}

/// The pool of one engine. Clones are the same pool.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: PoolConfig,
    memories: MemoryCache,
    instances: Counter,
    tables: Counter,
    gc_heaps: Counter,
    /// Storage of freed tables.
    elements: Mutex<Vec<Elements>>,
}

/// How many of a kind are in use.
#[derive(Debug, Default)]
struct Counter(AtomicU32);

/// At most so many bytes the record of an instance has, beside the block that machine code reads. The record, which is above this layer, is
/// compared with it.
pub(crate) const INSTANCE_RECORD_LEN: usize = 112;

/// Bytes that an instance of this layout takes, without its memories, tables and what those hold.
pub(crate) fn description_len(layout: &VmLayout) -> usize {
    layout.size() + INSTANCE_RECORD_LEN
}

impl Pool {
    /// A pool of these dimensions, whose memories have slots of `reservation` bytes with a guard of `guard` bytes behind.
    ///
    /// # Errors
    /// Where a memory's largest size doesn't fit its slot, or the system has not so much address space.
    pub(crate) fn new(config: &PoolConfig, reservation: u64, guard: u64) -> Result<Self, Error> {
        let memories = MemoryCache::of(Arc::new(MemoryPool::new(config, reservation, guard)?));
        let (instances, tables, gc_heaps) = Default::default();
        let elements = Mutex::default();
        Ok(Pool(Arc::new(Shared { config: config.clone(), memories, instances, tables, gc_heaps, elements })))
    }

    /// Where the memories of instances come from.
    pub(crate) fn memories(&self) -> &MemoryCache {
        &self.0.memories
    }

    /// Refuses a module that no instance can be made of.
    pub(crate) fn check_module(&self, module: &ModuleDescription, layout: &VmLayout) -> Result<(), Error> {
        self.check_memories(module)
            .map_err(does_not_fit("module memory does not fit in pooling allocator requirements"))?;
        self.check_tables(module)
            .map_err(does_not_fit("module table does not fit in pooling allocator requirements"))?;
        self.check_size(layout)
            .map_err(does_not_fit("module instance size does not fit in pooling allocator requirements"))
    }

    fn check_memories(&self, module: &ModuleDescription) -> Result<(), String> {
        let own = &module.memories[module.num_imported_memories..];
        check_count("defined memories count", own.len(), "per-instance limit", self.0.config.max_memories_per_module)?;
        let most = self.memories().max_byte_len();
        for (index, memory) in (module.num_imported_memories..).zip(own) {
            if memory.shared {
                return Err(format!(
                    "memory index {index}: memory is shared which is not supported in the pooling allocator"
                ));
            }
            let min = memory.min_byte_len().unwrap_or(u64::MAX);
            if min > most {
                return Err(format!(
                    "memory index {index}: memory has a minimum byte size of {min} which exceeds the limit of {most:#x} bytes"
                ));
            }
        }
        Ok(())
    }

    fn check_tables(&self, module: &ModuleDescription) -> Result<(), String> {
        let own = &module.tables[module.num_imported_tables..];
        check_count("defined tables count", own.len(), "total tables limit", self.0.config.total_tables)?;
        check_count("defined tables count", own.len(), "per-instance limit", self.0.config.max_tables_per_module)?;
        let most = self.max_table_elements();
        for (index, table) in (module.num_imported_tables..).zip(own) {
            let min = table.min;
            if min > most {
                return Err(format!(
                    "table index {index} has a minimum element size of {min} which exceeds the limit of {most}"
                ));
            }
        }
        Ok(())
    }

    fn check_size(&self, layout: &VmLayout) -> Result<(), String> {
        let (needed, most) = (description_len(layout), self.0.config.max_core_instance_size);
        if needed > most {
            return Err(format!(
                "instance allocation for this module requires {needed} bytes which exceeds the configured maximum of \
                 {most} bytes"
            ));
        }
        Ok(())
    }

    /// Elements that a table may have at most.
    pub(crate) fn max_table_elements(&self) -> u64 {
        self.0.config.table_elements as u64
    }

    /// Counts one more instance.
    ///
    /// # Errors
    /// Where all are in use, as for all functions that claim.
    pub(crate) fn claim_instance(&self) -> Result<Claim, Error> {
        self.claim(|shared| &shared.instances, self.0.config.total_core_instances, ("", " for core instances"))
    }

    /// Counts one more table.
    pub(crate) fn claim_table(&self) -> Result<Claim, Error> {
        self.claim(|shared| &shared.tables, self.0.config.total_tables, ("", " for tables"))
    }

    /// Counts one more store that holds references to host values.
    pub(crate) fn claim_gc_heap(&self) -> Result<Claim, Error> {
        self.claim(|shared| &shared.gc_heaps, self.0.config.total_gc_heaps, ("GC heap ", ""))
    }

    /// `what` is what a refusal says before and behind the number.
    fn claim(&self, counter: fn(&Shared) -> &Counter, most: u32, what: (&str, &str)) -> Result<Claim, Error> {
        let claimed = counter(&self.0)
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| (used < most).then(|| used + 1));
        match claimed {
            Ok(_) => Ok(Claim { pool: self.clone(), counter }),
            Err(_) => {
                let (before, behind) = what;
                Err(Error::new(ErrorKind::Limit(format!("maximum concurrent {before}limit of {most}{behind} reached"))))
            }
        }
    }
}

/// The right to one of what a pool counts.
#[derive(Debug)]
pub(crate) struct Claim {
    pool: Pool,
    counter: fn(&Shared) -> &Counter,
}

impl Claim {
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        (self.counter)(&self.pool.0).0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Freed tables are kept up to this number of them.
const KEPT_TABLES: usize = 1000;

impl Pool {
    /// Storage for a table, without elements.
    pub(crate) fn take_elements(&self) -> Elements {
        if self.0.config.table_keep_resident == 0 {
            return Elements::new();
        }
        self.0.elements.lock().pop().unwrap_or(Elements::new())
    }

    /// Takes the storage of a table back. Nothing in it can be seen again: the next table starts without elements.
    pub(crate) fn give_back_elements(&self, mut elements: Elements) {
        let byte_len = elements.capacity_bytes();
        if byte_len == 0 || byte_len > self.0.config.table_keep_resident {
            return;
        }
        elements.clear();
        let mut kept = self.0.elements.lock();
        if kept.len() < KEPT_TABLES.min(self.0.config.total_tables as usize) {
            kept.push(elements);
        }
    }
}

fn check_count(what: &str, count: usize, limit: &str, most: u32) -> Result<(), String> {
    if count > most as usize { Err(format!("{what} of {count} exceeds the {limit} of {most}")) } else { Ok(()) }
}

fn does_not_fit(what: &'static str) -> impl Fn(String) -> Error {
    move |reason| Error::new(ErrorKind::Limit(reason)).of(what)
}

#[cfg(test)]
mod tests;
