//! The optimizing tier: WebAssembly to Cranelift's IR, one file per group of operators.
//!
//! [`func`] translates one body: its state, the prologue, and the dispatch of operators to the files named after them.
//! [`metering`] counts fuel and watches the epoch. [`traps`] makes the cold blocks that stop a guest. [`thunks`] makes the
//! code between host and guest. [`emit`] turns what Cranelift leaves into a `CompiledFunction`.
//!
//! What is deliberately not here: validation (bodies have been validated), placing code, knowledge of stores.
//!
//! Invariant: how code and runtime meet is written in `docs/vm-layout.md`; offsets come from the structs of
//! `ampoule_core::vm`, nowhere else.

mod func;
mod control;
mod variable;
mod memory;
mod table;
mod call;
mod numeric;
mod simd;
mod atomics;
mod metering;
mod traps;
mod signature;
