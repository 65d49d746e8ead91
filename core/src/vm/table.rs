//! A table, as machine code sees it.

/// Base and length of a table. Every element is eight bytes.
///
/// Elements of an `externref` table are raw `externref`s (see `ampoule::gc`), zero-extended to 64 bits; null is zero.
///
/// Elements of a `funcref` table are [`TABLE_ELEMENT_LAZY`], [`TABLE_ELEMENT_NULL`], or a `*mut VmFuncRef`. A value on the
/// guest's stack or in a global is never lazy and has null as zero: reading an element that is `<=` TABLE_ELEMENT_NULL
/// asks the builtin `table_get_func_ref`, and storing null stores TABLE_ELEMENT_NULL.
#[repr(C)]
#[derive(Debug)]
pub struct VmTable {
    /// The first element.
    pub base: *mut u64,
    /// Elements.
    pub len: usize,
}

/// A `funcref` element that still stands for whatever the module's element segments put there at instantiation, or for
/// null where no segment did.
pub const TABLE_ELEMENT_LAZY: u64 = 0;
/// A `funcref` element known to be null.
pub const TABLE_ELEMENT_NULL: u64 = 1;
