//! `wasm.h`, the portable C API: one file for each of its nouns, in the header's order.
//!
//! Types, vectors, traps, frames, configuration and engine are what `wasmtime.h` builds on. The other nouns are the portable
//! API's own objects: each keeps its store alive, so they may be deleted in any order.

pub mod bytes;
pub mod config;
pub mod engine;
pub mod store;

pub mod valtype;
pub mod functype;
pub mod globaltype;
pub mod tabletype;
pub mod memorytype;
pub mod externtype;
pub mod importtype;
pub mod exporttype;

pub mod val;
pub mod reference;
pub mod frame;
pub mod trap;
pub mod foreign;

pub mod module;
pub mod func;
pub mod global;
pub mod table;
pub mod memory;
pub mod external;
pub mod instance;
