//! Which WebAssembly proposals an engine accepts.

use serde::{Deserialize, Serialize};
use wasmparser::WasmFeatures;

/// One switch per proposal. The default is what the 44.0.0 interface documents as its default; of components, what the specification
/// has as stable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Features {
    /// References in tables, globals and locals.
    pub reference_types: bool,
    /// `memory.copy` and its siblings.
    pub bulk_memory: bool,
    /// Several results, and parameters of blocks.
    pub multi_value: bool,
    /// 128-bit vectors.
    pub simd: bool,
    /// Vector operations whose result may depend on the machine.
    pub relaxed_simd: bool,
    /// `return_call` and its siblings.
    pub tail_call: bool,
    /// More than one memory in a module.
    pub multi_memory: bool,
    /// 64-bit memories and tables.
    pub memory64: bool,
    /// Atomics and shared memories.
    pub threads: bool,
    /// Arithmetic in constant expressions.
    pub extended_const: bool,
    /// 128-bit arithmetic on pairs of `i64`.
    pub wide_arithmetic: bool,
    /// Memories whose pages are one byte.
    pub custom_page_sizes: bool,
    /// Several imports under one module name.
    pub compact_imports: bool,
    /// What a module says about how likely its branches are.
    pub branch_hinting: bool,
    /// Typed function references.
    pub function_references: bool,
    /// A heap for what is collected: objects, exceptions, and the values of the host behind `externref`. Without it types that need one are
    /// refused, and functions that throw or catch.
    pub gc_types: bool,
    /// Structs, arrays and 31-bit integers.
    pub gc: bool,
    /// Exceptions: `try_table`, `throw` and `throw_ref`.
    pub exceptions: bool,
    /// Exceptions as they were encoded before they were standardized: `try`, `catch`, `rethrow` and `delegate`. Of use with `exceptions`
    /// alone.
    pub legacy_exceptions: bool,
    /// Continuations. The engine has no support yet: a module that needs it is refused.
    pub stack_switching: bool,
    /// Components, rather than modules alone.
    pub component_model: bool,
    /// Maps in the types of components.
    pub component_model_map: bool,
    /// Asynchronous functions of components, and what they need of the engine: without it nothing asynchronous is accepted.
    pub concurrency_support: bool,
    /// Asynchronous functions, streams and futures in components.
    pub component_model_async: bool,
    /// Asynchronous functions of components without a callback, which wait on a stack of their own.
    pub component_model_async_stackful: bool,
    /// Built-in functions of components that wait, or that cancel without waiting, where the other of the two is the usual.
    pub component_model_more_async_builtins: bool,
    /// Built-in functions of components that join two streams, or two futures, to one.
    pub component_model_forward: bool,
    /// Threads of a component's tasks.
    pub component_model_threading: bool,
    /// Values of the type `error-context` in components.
    pub component_model_error_context: bool,
    /// Lists of fixed length in the types of components.
    pub component_model_fixed_length_lists: bool,
    /// Names of interfaces with as much of their version as decides what they are compatible with.
    pub component_model_canonical_names: bool,
    /// Which interface an import or export of a plain name implements, and how the world outside knows it.
    pub component_model_implements: bool,
    /// Functions of components that are named as those that get or set something.
    pub component_model_accessors: bool,
    /// Names of components in more than one namespace.
    pub component_model_nested_names: bool,
    /// 64-bit memories in the canonical ABI. There is no support yet: a component that needs it is refused.
    pub component_model_memory64: bool,
    /// Garbage-collected values in the canonical ABI. There is no support yet: a component that needs it is refused.
    pub component_model_gc: bool,
    /// Values as imports and exports of components. There is no support yet: a component that needs it is refused.
    pub component_model_values: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            reference_types: true,
            bulk_memory: true,
            multi_value: true,
            simd: true,
            relaxed_simd: true,
            tail_call: true,
            multi_memory: true,
            memory64: true,
            threads: true,
            extended_const: true,
            wide_arithmetic: false,
            custom_page_sizes: false,
            compact_imports: false,
            branch_hinting: false,
            function_references: false,
            gc_types: true,
            gc: false,
            exceptions: false,
            legacy_exceptions: false,
            stack_switching: false,
            component_model: true,
            component_model_map: true,
            concurrency_support: true,
            component_model_async: true,
            component_model_async_stackful: false,
            component_model_more_async_builtins: false,
            component_model_forward: false,
            component_model_threading: false,
            component_model_error_context: false,
            component_model_fixed_length_lists: false,
            component_model_canonical_names: false,
            component_model_implements: true,
            component_model_accessors: false,
            component_model_nested_names: false,
            component_model_memory64: false,
            component_model_gc: false,
            component_model_values: false,
        }
    }
}

impl Features {
    /// The same choice in the validator's terms. Proposals the engine can't run yet are left out, so that the validator
    /// refuses what needs them, with its offset and a clear reason.
    pub fn for_validator(&self) -> WasmFeatures {
        let mut set = WasmFeatures::MUTABLE_GLOBAL
            | WasmFeatures::SATURATING_FLOAT_TO_INT
            | WasmFeatures::SIGN_EXTENSION
            | WasmFeatures::FLOATS;
        let mut put = |flag, on: bool| set.set(flag, on);
        put(WasmFeatures::GC_TYPES, self.gc_types);
        put(WasmFeatures::REFERENCE_TYPES, self.reference_types);
        put(WasmFeatures::CALL_INDIRECT_OVERLONG, self.reference_types);
        put(WasmFeatures::BULK_MEMORY, self.bulk_memory);
        put(WasmFeatures::BULK_MEMORY_OPT, self.bulk_memory);
        put(WasmFeatures::MULTI_VALUE, self.multi_value);
        put(WasmFeatures::SIMD, self.simd);
        put(WasmFeatures::RELAXED_SIMD, self.relaxed_simd);
        put(WasmFeatures::TAIL_CALL, self.tail_call);
        put(WasmFeatures::MULTI_MEMORY, self.multi_memory);
        put(WasmFeatures::MEMORY64, self.memory64);
        put(WasmFeatures::THREADS, self.threads);
        put(WasmFeatures::EXTENDED_CONST, self.extended_const);
        put(WasmFeatures::WIDE_ARITHMETIC, self.wide_arithmetic);
        put(WasmFeatures::CUSTOM_PAGE_SIZES, self.custom_page_sizes);
        put(WasmFeatures::EXCEPTIONS, self.exceptions);
        put(WasmFeatures::LEGACY_EXCEPTIONS, self.exceptions && self.legacy_exceptions);
        put(WasmFeatures::COMPACT_IMPORTS, self.compact_imports);
        put(WasmFeatures::FUNCTION_REFERENCES, self.function_references);
        put(WasmFeatures::GC, self.gc);
        // Only components can have maps. Any such proposal makes the validator keep equal types once, not a million times.
        put(WasmFeatures::CM_MAP, true);
        set
    }

    /// As [`Features::for_validator`], for components.
    pub fn for_component_validator(&self) -> WasmFeatures {
        let mut set = self.for_validator();
        let mut put = |flag, on: bool| set.set(flag, on);
        let is_async = self.component_model_async && self.concurrency_support;
        put(WasmFeatures::COMPONENT_MODEL, self.component_model);
        put(WasmFeatures::CM_MAP, self.component_model_map);
        put(WasmFeatures::CM_ASYNC, is_async);
        put(WasmFeatures::CM_ASYNC_STACKFUL, is_async && self.component_model_async_stackful);
        put(WasmFeatures::CM_MORE_ASYNC_BUILTINS, is_async && self.component_model_more_async_builtins);
        put(WasmFeatures::CM_FORWARD, is_async && self.component_model_forward);
        put(WasmFeatures::CM_THREADING, is_async && self.component_model_threading);
        put(WasmFeatures::CM_ERROR_CONTEXT, is_async && self.component_model_error_context);
        put(WasmFeatures::CM_FIXED_LENGTH_LISTS, self.component_model_fixed_length_lists);
        put(WasmFeatures::CM_CANON_NAMES, self.component_model_canonical_names);
        put(WasmFeatures::CM_IMPLEMENTS, self.component_model_implements);
        put(WasmFeatures::CM_ACCESSORS, self.component_model_accessors);
        put(WasmFeatures::CM_NESTED_NAMES, self.component_model_nested_names);
        set
    }
}
