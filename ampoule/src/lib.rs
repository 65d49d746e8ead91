//! The engine and its Rust embedding API.
//!
//! An [`Engine`] holds what its [`Config`] decided and everything stores share. A [`Module`] is validated code; a [`Store`] is
//! one isolated world of instances, memories and values; an [`Instance`] is a module instantiated in a store, by hand
//! ([`Instance::new`]) or through a [`Linker`].
//!
//! ```
//! use ampoule::{Engine, Instance, Module, Store, Val};
//!
//! # fn main() -> Result<(), ampoule::Error> {
//! let engine = Engine::default();
//! let module = Module::new(&engine, br#"(module (func (export "add") (param i32 i32) (result i32)
//!     local.get 0 local.get 1 i32.add))"#)?;
//! let mut store = Store::new(&engine);
//! let instance = Instance::new(&mut store, &module, &[])?;
//! let add = instance.get_func(&store, "add").expect("the module exports it");
//! let mut results = [Val::I32(0)];
//! add.call(&mut store, &[Val::I32(2), Val::I32(3)], &mut results)?;
//! assert_eq!(results[0], Val::I32(5));
//! # Ok(())
//! # }
//! ```
//!
//! What is deliberately not here: the C ABI (`c-api`), WASI (`wasi`), how machine code is made (`compiler`).
//!
//! Invariant: handles ([`Func`], [`Memory`], …) carry their store's id, and every use checks it. A handle of another store is
//! reported, never followed.

// From the bottom up: a folder names only what stands before it here. `ARCHITECTURE.md` says what each may know.
mod builtins;
pub mod engine;
pub mod error;
pub mod func;
pub mod gc;
pub(crate) mod global;
pub(crate) mod instance;
pub mod memory;
pub mod module;
pub mod profiling;
pub mod snapshot;
pub mod store;
pub(crate) mod table;
mod table_elements;
pub(crate) mod tag;

#[cfg(feature = "compiler")]
pub use ampoule_compiler::optimizing::Pass;
pub use ampoule_core::features::Features;
pub use ampoule_core::trap::TrapCode;
pub use ampoule_core::tunables::Tiers;
pub use ampoule_core::types::{
    ArrayType, CompositeType, ExternType, FieldType, FuncType, GlobalType, HeapType, MemoryType, RefType, StorageType,
    StructType, SubType, TableType, TagType, TypeId, ValType,
};
pub use ampoule_core::vm::{VmVal, VmValRaw};
// For what is built on the engine and has objects of its own: a fork must not leave their locks taken either.
#[doc(hidden)]
pub use ampoule_machine::os::sync;
// And reads what a guest wrote, or is called below a deep one: it must not run out of stack either.
pub use ampoule_machine::profiling::Profiler;
#[doc(hidden)]
pub use ampoule_machine::{fiber::with_stack, stack::left as stack_left};
pub use engine::Engine;
pub use engine::budget::{Budget, BudgetKind, Charge, OverBudget};
#[cfg(feature = "compiler")]
pub use engine::cache::config::CacheConfig;
#[cfg(feature = "compiler")]
pub use engine::cache::{Cache, CacheStatistics};
pub use engine::cancel::CancelToken;
pub use engine::config::{Config, Strategy, TierUpConfig};
pub use engine::pool::PoolConfig;
pub use engine::type_registry::Type;
pub use error::backtrace::{Backtrace, Frame, Source};
pub use error::{Error, LinkError};
pub use func::Func;
pub use func::caller::Caller;
pub use func::future::CallFuture;
pub use func::typed::{HostResult, IntoHostFunc, TypedFunc, WasmType, WasmTypes, WithCaller};
pub use func::val::Val;
pub use gc::anyref::AnyRef;
pub use gc::arrayref::ArrayRef;
pub use gc::eqref::EqRef;
pub use gc::exnref::ExnRef;
pub use gc::externref::ExternRef;
pub use gc::i31::I31;
pub use gc::structref::StructRef;
pub use global::Global;
pub use instance::Instance;
pub use instance::external::Extern;
pub use instance::instantiate::misfit;
pub use instance::linker::{InstancePre, Linker};
pub use memory::Memory;
pub use memory::linear::MemoryError;
pub use memory::shared::SharedMemory;
pub use memory::waiters::WaitOutcome;
pub use module::{Module, SharedBytes};
pub use snapshot::Snapshot;
pub use store::Store;
pub use store::budget::SoftLimitPassed;
pub use table::Table;
pub use tag::Tag;

// Here, because an engine is made below what its guests call.
impl Engine {
    /// An engine of this configuration.
    ///
    /// # Errors
    /// Where the configuration can't be had: an unknown flag of the back end, a target that is not the host's.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Engine::with_builtins(config, builtins::table())
    }
}

impl Default for Engine {
    /// An engine of the default configuration.
    fn default() -> Self {
        Engine::new(&Config::default()).expect("the default configuration can be had on every supported machine")
    }
}
