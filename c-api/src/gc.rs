//! `wasmtime/gc.h`: references to what the guest's heap holds, and the types of structs and arrays. One file for each of the header's
//! nouns, in the header's order.
//!
//! Functions that came after 44.0.0 stand beside their kin.

pub mod arrayref;
pub mod eqref;
pub mod structref;
pub mod types;
