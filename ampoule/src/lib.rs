//! The engine and its Rust embedding API.
//!
//! An [`Engine`] holds what its [`Config`] decided and everything stores share. A [`Module`] is validated code; a [`Store`] is
//! one isolated world of instances, memories and values; an [`Instance`] is a module brought to life in a store, by hand
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

pub mod backtrace;
mod builtins;
#[cfg(feature = "compiler")]
pub mod cache;
pub mod caller;
pub mod cancel;
pub mod code;
#[cfg(feature = "compiler")]
mod compile;
pub mod config;
pub mod engine;
pub mod error;
pub mod external;
pub mod func;
pub mod gc;
pub mod global;
pub mod host_func;
pub mod host_memory;
pub mod instance;
pub mod instantiate;
pub mod linear_memory;
pub mod linker;
pub mod memory;
pub mod memory_cache;
pub mod memory_image;
pub(crate) mod memory_space;
pub mod module;
pub mod native;
#[cfg(feature = "compiler")]
mod parallel;
pub mod pool;
pub mod profiling;
pub mod shared_memory;
pub mod stack_pool;
pub mod store;
pub mod symbols;
pub mod sys;
pub mod table;
pub mod tag;
mod thunks;
mod timer;
pub mod type_registry;
pub mod val;
pub mod waiters;

pub use ampoule_core::features::Features;
pub use ampoule_core::trap::TrapCode;
pub use ampoule_core::types::{
    ArrayType, ExternType, FieldType, FuncType, GlobalType, MemoryType, RefType, StorageType, StructType, TableType,
    TagType, ValType,
};
pub use ampoule_core::vm::{VmVal, VmValRaw};
pub use backtrace::{Backtrace, Frame};
#[cfg(feature = "compiler")]
pub use cache::config::CacheConfig;
#[cfg(feature = "compiler")]
pub use cache::{Cache, CacheStatistics};
pub use caller::Caller;
pub use cancel::CancelToken;
pub use config::{Config, Profiler, Strategy};
pub use engine::Engine;
pub use error::{Error, LinkError};
pub use external::Extern;
pub use func::Func;
pub use gc::exnref::ExnRef;
pub use gc::externref::ExternRef;
pub use gc::i31::I31;
pub use global::Global;
pub use instance::Instance;
pub use linker::{InstancePre, Linker};
pub use memory::Memory;
pub use module::Module;
pub use pool::PoolConfig;
pub use shared_memory::SharedMemory;
pub use store::Store;
pub use table::Table;
pub use tag::Tag;
pub use val::Val;
