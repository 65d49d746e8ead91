//! What a store keeps of each thing that lives in it: the records that handles lead to.
//!
//! What is deliberately not here: the store, and handles. Whatever has to ask the store (limits, types, references) is done above,
//! by the files of the handles.

pub(crate) mod func;
pub(crate) mod global;
pub(crate) mod instance;
pub(crate) mod memory;
pub(crate) mod table;
pub(crate) mod tag;
