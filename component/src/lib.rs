//! The component model: components, their instances, and values that cross between them and the host.
//!
//! A [`Component`] is read once and instantiated in stores through a [`Linker`]; its functions take and give [`Val`]s, which the
//! canonical ABI lifts out of the guest's memory and lowers into it.
//!
//! ```
//! use ampoule::{Engine, Store};
//! use ampoule_component::{Component, Linker, Val};
//!
//! # fn main() -> Result<(), ampoule::Error> {
//! let engine = Engine::default();
//! let component = Component::new(&engine, br#"(component
//!     (core module $m
//!         (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))
//!     (core instance $i (instantiate $m))
//!     (func (export "add") (param "a" u32) (param "b" u32) (result u32)
//!         (canon lift (core func $i "add"))))"#)?;
//! let mut store = Store::new(&engine);
//! let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
//! let add = instance.get_func(&mut store, &["add"])?.expect("the component exports it");
//! let mut results = [Val::default()];
//! add.call(&mut store, &[Val::from(2u32), Val::from(3u32)], &mut results)?;
//! assert_eq!(results[0], Val::from(5u32));
//! # Ok(())
//! # }
//! ```
//!
//! What is not here: WASI, which is a host like any other (`wasi`); core modules and stores (`ampoule`).

mod adapter;
pub mod artifact;
mod builtin;
mod canon;
mod completion;
mod component;
mod concurrency;
mod core_callback;
mod core_items;
mod decode;
mod definition;
mod end;
mod found;
mod func;
mod handle;
mod instance;
mod instantiate;
mod items;
mod kept;
mod linker;
mod names;
mod on_demand;
pub mod plan;
mod records;
mod resource;
mod room;
mod shared_names;
mod skeleton;
mod snapshot;
mod state;
pub mod streams;
pub mod typed;
pub mod types;
pub mod val;
mod vector;

pub use completion::Completion;
pub use component::{Component, ExportIndex};
pub use concurrency::accessor::Accessor;
pub use concurrency::run::{finish_tasks, finish_tasks_and, run_tasks, wait_for_tasks};
pub use concurrency::started::StartedCall;
pub use end::EndAny;
pub use func::Func;
pub use handle::{HostDtor, ResourceAny, ResourceHost};
pub use instance::Instance;
pub use linker::{InstancePre, Linker, LinkerInstanceMut};
pub use records::{AsyncHostFn, HostFn, HostFuture};
pub use snapshot::{ComponentSnapshot, HostResources};
pub use typed::{ComponentType, HostResource, Lift, Lower, Resource, TypedFunc};
pub use val::{Val, ValRef};
pub use vector::Vector;
