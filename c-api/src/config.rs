//! `wasmtime/config.h`: the settings of an engine.

#[cfg(feature = "compiler")]
pub mod compiler;

use crate::boundary::{give_unit, misuse, string};
use crate::error::wasmtime_error_t;
use crate::foreign::{Finalizer, Foreign};
use crate::wasm::config::wasm_config_t;
use crate::wasm::memorytype::wasm_memorytype_t;
use ampoule::memory::host::{HostMemories, HostMemory, HostMemoryCreator};
use ampoule::{Engine, Error, MemoryType, Profiler};
use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

/// Which profiler is told about compiled code.
pub type wasmtime_profiling_strategy_t = u8;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_debug_info_set(config: &mut wasm_config_t, enable: bool) {
    config.config.tunables.debug_info = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_consume_fuel_set(config: &mut wasm_config_t, enable: bool) {
    config.config.tunables.consume_fuel = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_epoch_interruption_set(config: &mut wasm_config_t, enable: bool) {
    config.config.tunables.epoch_interruption = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_max_wasm_stack_set(config: &mut wasm_config_t, size: usize) {
    config.config.max_wasm_stack = size;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_threads_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.threads = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_shared_memory_set(config: &mut wasm_config_t, enable: bool) {
    config.config.shared_memory = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_tail_call_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.tail_call = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_reference_types_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.reference_types = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_function_references_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.function_references = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_gc_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.gc = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_gc_support_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.gc_types = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_simd_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.simd = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_relaxed_simd_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.relaxed_simd = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_relaxed_simd_deterministic_set(config: &mut wasm_config_t, enable: bool) {
    config.config.tunables.relaxed_simd_deterministic = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_bulk_memory_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.bulk_memory = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_multi_value_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.multi_value = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_multi_memory_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.multi_memory = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_memory64_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.memory64 = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_wide_arithmetic_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.wide_arithmetic = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_exceptions_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.exceptions = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_custom_page_sizes_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.custom_page_sizes = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_branch_hinting_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.branch_hinting = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_compact_imports_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.compact_imports = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_profiler_set(config: &mut wasm_config_t, profiler: wasmtime_profiling_strategy_t) {
    config.config.profiler = match profiler {
        0 => Profiler::None,
        1 => Profiler::JitDump,
        2 => Profiler::VTune,
        3 => Profiler::PerfMap,
        _ => misuse("wasmtime_config_profiler_set", &format!("{profiler} is not a profiler")),
    };
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_memory_may_move_set(config: &mut wasm_config_t, enable: bool) {
    config.config.tunables.memory_may_move = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_memory_reservation_set(config: &mut wasm_config_t, size: u64) {
    config.config.tunables.memory_reservation = size;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_memory_guard_size_set(config: &mut wasm_config_t, size: u64) {
    config.config.tunables.memory_guard_size = size;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_memory_reservation_for_growth_set(config: &mut wasm_config_t, size: u64) {
    config.config.memory_reservation_for_growth = size;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_native_unwind_info_set(config: &mut wasm_config_t, enable: bool) {
    config.config.native_unwind_info = enable;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_config_target_set(
    config: &mut wasm_config_t,
    target: *const c_char,
) -> Option<Box<wasmtime_error_t>> {
    // SAFETY: the caller passes a NUL-terminated string.
    let target = unsafe { string(target) }.ok_or_else(|| Error::message("input was not valid utf-8"));
    give_unit(target.and_then(Engine::check_target).map(|target| config.config.target = Some(target)))
}

/// No effect: only macOS has Mach ports.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_macos_use_mach_ports_set(_config: &mut wasm_config_t, _enable: bool) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_signals_based_traps_set(config: &mut wasm_config_t, enable: bool) {
    config.config.tunables.signals_based_traps = enable;
}

/// Tells where a memory of the host's is.
pub type wasmtime_memory_get_callback_t =
    extern "C" fn(env: *mut c_void, byte_size: &mut usize, byte_capacity: &mut usize) -> *mut u8;

/// Grows a memory of the host's.
pub type wasmtime_memory_grow_callback_t =
    extern "C" fn(env: *mut c_void, new_size: usize) -> Option<Box<wasmtime_error_t>>;

/// A memory of the host's.
#[repr(C)]
pub struct wasmtime_linear_memory_t {
    env: *mut c_void,
    get_memory: Option<wasmtime_memory_get_callback_t>,
    grow_memory: Option<wasmtime_memory_grow_callback_t>,
    finalizer: Finalizer,
}

/// Makes a memory of the host's.
pub type wasmtime_new_memory_callback_t = extern "C" fn(
    env: *mut c_void,
    ty: &wasm_memorytype_t,
    minimum: usize,
    maximum: usize,
    reserved_size_in_bytes: usize,
    guard_size_in_bytes: usize,
    memory_ret: &mut wasmtime_linear_memory_t,
) -> Option<Box<wasmtime_error_t>>;

/// Makes the memories of an engine.
#[repr(C)]
pub struct wasmtime_memory_creator_t {
    env: *mut c_void,
    new_memory: wasmtime_new_memory_callback_t,
    finalizer: Finalizer,
}

/// A creator whose `env` was taken over.
struct Creator {
    env: Foreign,
    new_memory: wasmtime_new_memory_callback_t,
}

/// A memory whose `env` was taken over.
struct HostBytes {
    env: Foreign,
    get_memory: wasmtime_memory_get_callback_t,
    grow_memory: wasmtime_memory_grow_callback_t,
}

impl HostMemoryCreator for Creator {
    fn create(&self, ty: &MemoryType, minimum: usize, maximum: usize) -> Result<Box<dyn HostMemory>, Error> {
        let ty = wasm_memorytype_t::new(*ty);
        let mut made =
            wasmtime_linear_memory_t { env: ptr::null_mut(), get_memory: None, grow_memory: None, finalizer: None };
        // Code checks every access, so neither a reservation nor a guard is asked for.
        if let Some(error) = (self.new_memory)(self.env.data(), &ty, minimum, maximum, 0, 0, &mut made) {
            return Err(error.0);
        }
        let env = Foreign::new(made.env, made.finalizer);
        match (made.get_memory, made.grow_memory) {
            (Some(get_memory), Some(grow_memory)) => Ok(Box::new(HostBytes { env, get_memory, grow_memory })),
            _ => Err(Error::message("the host's memory lacks a function")),
        }
    }
}

// SAFETY: the header's contract is the trait's.
unsafe impl HostMemory for HostBytes {
    fn place(&mut self) -> (*mut u8, usize) {
        let (mut size, mut capacity) = (0, 0);
        let base = (self.get_memory)(self.env.data(), &mut size, &mut capacity);
        (base, size)
    }

    fn grow(&mut self, byte_len: usize) -> Result<(), Error> {
        (self.grow_memory)(self.env.data(), byte_len).map_or(Ok(()), |error| Err(error.0))
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_host_memory_creator_set(
    config: &mut wasm_config_t,
    creator: &wasmtime_memory_creator_t,
) {
    let env = Foreign::new(creator.env, creator.finalizer);
    config.config.host_memories = Some(HostMemories(Arc::new(Creator { env, new_memory: creator.new_memory })));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_memory_init_cow_set(config: &mut wasm_config_t, enable: bool) {
    config.config.memory_init_cow = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_component_model_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.component_model = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_concurrency_support_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.concurrency_support = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_component_model_map_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.component_model_map = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_component_model_implements_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.component_model_implements = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_component_model_canonical_names_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.component_model_canonical_names = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_component_model_accessors_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.component_model_accessors = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_component_model_async_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.component_model_async = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_component_model_more_async_builtins_set(
    config: &mut wasm_config_t,
    enable: bool,
) {
    config.config.features.component_model_more_async_builtins = enable;
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_wasm_component_model_async_stackful_set(config: &mut wasm_config_t, enable: bool) {
    config.config.features.component_model_async_stackful = enable;
}
