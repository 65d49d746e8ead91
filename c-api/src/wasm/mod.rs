//! `wasm.h`, the portable C API: one file for each of its nouns, in the header's order.
//!
//! Types, vectors, traps, frames, configuration and engine are what `wasmtime.h` builds on. The other nouns are the portable
//! API's own objects: each keeps its store alive, so they may be deleted in any order.

pub mod bytes;
pub mod config;
pub mod engine;
pub mod store;

pub mod exporttype;
pub mod externtype;
pub mod functype;
pub mod globaltype;
pub mod importtype;
pub mod memorytype;
mod named;
pub mod parts;
pub mod tabletype;
pub mod tagtype;
pub mod valtype;

pub mod foreign;
pub mod frame;
mod hostinfo;
pub mod object;
pub mod reference;
pub mod trap;
pub mod val;

pub mod external;
pub mod func;
pub mod global;
pub mod instance;
pub mod memory;
pub mod module;
pub mod table;
