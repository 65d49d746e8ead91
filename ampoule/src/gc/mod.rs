//! References to garbage-collected things: values of the host, exceptions, and the types of the guest's objects. The store has the tables that
//! they are positions in; handles, and finding what nothing refers to, are here.
//!
//! A reference is 32 bits wide in guest code, zero for null, so a corrupted one can't reach outside of its store.

pub(crate) mod anyref;
pub(crate) mod array;
pub(crate) mod arrayref;
pub(crate) mod eqref;
pub(crate) mod exnref;
pub(crate) mod externref;
mod field;
pub(crate) mod handle;
pub(crate) mod heap;
pub(crate) mod i31;
pub(crate) mod object;
pub(crate) mod structref;
