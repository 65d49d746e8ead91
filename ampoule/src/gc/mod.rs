//! References to garbage-collected things: values of the host, exceptions, structs and arrays. The store has the heap that
//! they count in; handles, and finding what nothing refers to, are here.
//!
//! A reference is 32 bits wide in guest code, zero for null, so a corrupted one can't reach outside of its store.

pub(crate) mod anyref;
pub(crate) mod array;
pub(crate) mod arrayref;
pub(crate) mod eqref;
mod exception;
pub(crate) mod exnref;
pub(crate) mod externref;
mod field;
pub(crate) mod handle;
pub(crate) mod heap;
pub(crate) mod i31;
pub(crate) mod object;
pub(crate) mod structref;
