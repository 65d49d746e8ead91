//! What is one processor's, in a folder for each: everything else in this crate asks here.
//!
//! There is one so far. With a second, the choice is made here, by the target that code is compiled for.

mod x86_64;

pub(crate) use x86_64::*;
