//! `wasmtime/component/types.h`: the types of components. One file for each of its headers.
//!
//! The objects are `ampoule_component`'s own types: what they consist of is shared, so that a copy is cheap, and a host function gets its
//! type without one.

pub mod component;
pub mod func;
pub mod instance;
pub mod module;
pub mod resource;
pub mod val;

use std::mem::MaybeUninit;

/// Where a function puts a name: where it begins, and how long it is.
type NameOut<'a> = (&'a mut MaybeUninit<*const u8>, &'a mut MaybeUninit<usize>);

/// Gives a name, which lives as long as what it is of.
fn give_name(name: &str, (at, len): NameOut<'_>) {
    at.write(name.as_ptr());
    len.write(name.len());
}
