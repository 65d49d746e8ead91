//! The shared vocabulary of Ampoule: what a module *is*, and what machine code and the runtime agree on.
//!
//! Read [`types`] first, then [`module`] (the description of a decoded, validated module, made by [`decode`]), then
//! [`vm`]: the `repr(C)` structs that machine code reads and writes. Both compilers and the runtime take every offset
//! from those structs with `offset_of!`; there is no second copy of a layout.
//!
//! What is deliberately not here: unsafe code, the operating system, Cranelift, allocation of guest memory.
//!
//! Invariant: a [`module::ModuleDescription`] only ever comes out of [`decode::decode`] (which validates) or out of an
//! artifact whose check has passed, so every index inside it is in bounds.

#![forbid(unsafe_code)]

pub mod artifact;
pub mod builtins;
pub mod const_expr;
pub mod decode;
pub mod features;
pub mod file_header;
pub mod index;
pub mod late;
pub mod module;
pub mod names;
pub mod object_layout;
pub mod trap;
pub mod tunables;
pub mod types;
pub mod vm;
pub mod words;
