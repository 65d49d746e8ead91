//! `wasmtime/component.h`: components, their instances, functions, values and types. One file for each of its headers.

#[allow(clippy::module_inception)] // The header is `component/component.h`.
pub mod component;
pub mod func;
pub mod instance;
pub mod linker;
pub mod types;
pub mod val;
