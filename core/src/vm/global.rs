//! A global, as machine code sees it.

/// The content of a global: a little-endian value of its type at offset zero. A `funcref` is a `*mut VmFuncRef` or null,
/// an `externref` a raw 32-bit reference.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug, Default)]
pub struct VmGlobal {
    /// The bytes.
    pub bytes: [u8; 16],
}
