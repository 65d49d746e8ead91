//! References to garbage-collected things. So far those are the host's own values; the room for the guest's is here too.
//!
//! A reference is 32 bits wide in guest code, zero for null, so a corrupted one can't reach outside of its store.

pub mod exnref;
pub mod externref;
pub mod i31;
pub mod object;
