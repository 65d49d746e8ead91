//! `wasmtime/config.h`: the dimensions of a pool.

use crate::wasm::config::wasm_config_t;
use ampoule::PoolConfig;

/// The dimensions of a pool that engines may be configured with.
#[derive(Default)]
pub struct wasmtime_pooling_allocation_config_t {
    pool: PoolConfig,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_new() -> Box<wasmtime_pooling_allocation_config_t> {
    Box::default()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_delete(_pool: Option<Box<wasmtime_pooling_allocation_config_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_max_unused_warm_slots_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    count: u32,
) {
    pool.pool.max_unused_warm_slots = count;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_decommit_batch_size_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    count: usize,
) {
    pool.pool.decommit_batch_size = count;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_async_stack_keep_resident_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    size: usize,
) {
    pool.pool.async_stack_keep_resident = size;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    size: usize,
) {
    pool.pool.linear_memory_keep_resident = size;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_table_keep_resident_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    size: usize,
) {
    pool.pool.table_keep_resident = size;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_total_component_instances_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    count: u32,
) {
    pool.pool.total_component_instances = count;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_max_component_instance_size_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    size: usize,
) {
    pool.pool.max_component_instance_size = size;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_max_core_instances_per_component_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    count: u32,
) {
    pool.pool.max_core_instances_per_component = count;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_max_memories_per_component_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    count: u32,
) {
    pool.pool.max_memories_per_component = count;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_max_tables_per_component_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    count: u32,
) {
    pool.pool.max_tables_per_component = count;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_total_memories_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    count: u32,
) {
    pool.pool.total_memories = count;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_total_tables_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    count: u32,
) {
    pool.pool.total_tables = count;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_total_stacks_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    count: u32,
) {
    pool.pool.total_stacks = count;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_total_core_instances_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    count: u32,
) {
    pool.pool.total_core_instances = count;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_max_core_instance_size_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    size: usize,
) {
    pool.pool.max_core_instance_size = size;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_max_tables_per_module_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    count: u32,
) {
    pool.pool.max_tables_per_module = count;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_table_elements_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    count: usize,
) {
    pool.pool.table_elements = count;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_max_memories_per_module_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    count: u32,
) {
    pool.pool.max_memories_per_module = count;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_max_memory_size_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    size: usize,
) {
    pool.pool.max_memory_size = size;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_config_total_gc_heaps_set(
    pool: &mut wasmtime_pooling_allocation_config_t,
    count: u32,
) {
    pool.pool.total_gc_heaps = count;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_pooling_allocation_strategy_set(
    config: &mut wasm_config_t,
    pool: &wasmtime_pooling_allocation_config_t,
) {
    config.config.pool = Some(pool.pool.clone());
}
