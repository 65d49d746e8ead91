//! The machine layer by itself: `sys` and `code`, under builtins that only note how they were called, and with guest code written
//! by hand. What a whole engine would hide can be seen here: registers across a stub, frames, what a fault leaves behind.

#[path = "../../src/code/mod.rs"]
#[allow(dead_code, missing_docs)]
mod code;
#[path = "../../src/engine/parallel.rs"]
mod parallel;
#[path = "../../src/sys/mod.rs"]
#[allow(dead_code, missing_docs)]
mod sys;

mod artifact;
mod builtins;
mod entry;
mod faults;
mod fork;
mod guest;
mod lazy;
mod native;
mod raw_call;
mod switch;

/// The store, as far as `sys` knows it.
mod store {
    pub use crate::native::Store;
}

/// Functions, as far as `sys` knows them.
mod func {
    pub(crate) use crate::native;
    pub use crate::raw_call::{Func, RestOfCall};
}

mod engine {
    pub(crate) use crate::parallel;

    /// Their types.
    pub mod type_registry {
        pub use crate::raw_call::Signature;
    }
}
