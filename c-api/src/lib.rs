//! `libampoule`: the C interface of Ampoule, binary-compatible with the Wasmtime 44.0.0 C API, and nothing else.
//!
//! Each header of `include/` has one file here, its functions in the header's order; [`wasm`] is `wasm.h`, split by noun, and
//! [`mod@ampoule`] has the headers of our own. A
//! function takes its arguments, calls `ampoule`, and gives the result: [`boundary`] has the conversions, [`own`] the vectors,
//! [`foreign`] the host's `(data, finalizer)` pairs. The headers document every function; their comments are not repeated.
//!
//! How C types map to Rust's:
//!
//! * `const T*` and `T*` that are borrowed are `&T` and `&mut T`; where null is allowed, `Option<&T>`.
//! * `own T*` is `Box<T>`; a result that may be null is `Option<Box<T>>`.
//! * `T* out` is `&mut MaybeUninit<T>`: written on success, untouched on failure.
//! * A `wasmtime_context_t` and a `wasmtime_store_t` are the [`Store`](::ampoule::Store) itself.
//!
//! What is deliberately not here: engine logic, and what `conf.h` says is off.
//!
//! Invariant: nothing unwinds into C. What runs guest code turns a panic into an error ([`boundary::guarded`]); elsewhere a
//! panic is a defect or the caller's misuse without an error channel, and aborts with its message.

// The names are C's.
#![allow(non_camel_case_types)]
// What every pointer argument must be is said once, above, and in the headers.
#![allow(clippy::missing_safety_doc, missing_docs)]
// `Store` and `VmVal` cross by pointer only.
#![allow(improper_ctypes_definitions)]

pub use ::ampoule::store::foreign;

pub mod boundary;
pub mod misuse;
pub mod own;

pub mod wasi;
pub mod wasm;

pub mod ampoule;

pub mod r#async;
pub mod component;
pub mod config;
pub mod engine;
pub mod error;
pub mod exn;
pub mod external;
pub mod func;
pub mod gc;
pub mod global;
pub mod instance;
pub mod linker;
pub mod memory;
pub mod module;
pub mod pooling;
pub mod profiling;
pub mod sharedmemory;
pub mod store;
pub mod table;
pub mod tag;
pub mod trap;
pub mod types;
pub mod val;
#[cfg(feature = "compiler")]
pub mod wat;
