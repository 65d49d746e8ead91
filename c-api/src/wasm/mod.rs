//! `wasm.h`, the portable C API: one file for each of its nouns, in the header's order.
//!
//! Types, vectors, traps, frames, configuration and engine are what `wasmtime.h` builds on.

pub mod bytes;
pub mod config;
pub mod engine;

pub mod valtype;
pub mod functype;
pub mod globaltype;
pub mod tabletype;
pub mod memorytype;
pub mod externtype;
pub mod importtype;
pub mod exporttype;

pub mod frame;
pub mod trap;
