//! Answering HTTP requests by a component, with an instance for each.
//!
//! [`server`] accepts connections, on a thread for each processor; [`connection`] speaks HTTP on one, of which [`progress`] says what it is doing,
//! and [`socket`] sends; [`guest`] answers one request in a store of its own, whose share of time [`ticker`] measures; [`answer`] is what is sent to
//! its client; [`log`] writes down what became of it, and counts. A guest that waits keeps no thread, and a connection that waits no buffer;
//! a server to which nothing comes doesn't wake its processor.

mod answer;
mod connection;
mod guest;
mod log;
mod progress;
mod server;
mod socket;
mod ticker;

pub use guest::Guests;
pub use server::{Options, Output, Server};

use ampoule::PoolConfig;

/// A pool for as many requests as are answered at once, of components as most are: a few core instances each.
pub fn pool_for(max_concurrent: u32) -> PoolConfig {
    const CORE_INSTANCES: u32 = 16;
    let all = max_concurrent.saturating_mul(CORE_INSTANCES);
    PoolConfig {
        total_component_instances: max_concurrent,
        total_core_instances: all,
        total_tables: all,
        total_memories: max_concurrent.saturating_mul(2),
        total_stacks: max_concurrent,
        total_gc_heaps: max_concurrent,
        max_tables_per_module: 8,
        table_elements: 1 << 20,
        linear_memory_keep_resident: 1 << 20,
        async_stack_keep_resident: 1 << 16,
        ..PoolConfig::default()
    }
}
