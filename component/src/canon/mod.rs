//! The canonical ABI: values out of linear memory and into it.
//!
//! Lifting never runs guest code, so it looks at one slice of memory throughout. Lowering asks the guest for memory, whose base and
//! length it reads again each time.

pub(crate) mod lift;
pub(crate) mod lower;
pub(crate) mod options;
pub(crate) mod realloc;
mod spill;
pub(crate) mod strings;
pub(crate) mod transfer;
