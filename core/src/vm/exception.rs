//! Exceptions, as machine code sees them.

use super::VmValRaw;
use std::mem::size_of;

/// The head of an exception. Behind it are its fields, [`VmException::FIELD_SIZE`] bytes for each, as guest code holds them.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub struct VmException {
    /// The number of its tag in its store.
    pub tag: u32,
    /// Keeps the layout explicit.
    pub _pad: [u32; 3],
}

impl VmException {
    /// Bytes from one field to the next, in an exception and where machine code leaves the fields of a new one.
    pub const FIELD_SIZE: u32 = size_of::<VmValRaw>() as u32;

    /// Where a field is.
    pub const fn field(position: usize) -> u32 {
        size_of::<VmException>() as u32 + position as u32 * Self::FIELD_SIZE
    }
}

const _: () = assert!(size_of::<VmException>() == size_of::<VmValRaw>());
