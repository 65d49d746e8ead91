//! Bytes of files that were written for an engine to load: in memory, or mapped.

use ampoule_machine::os::mmap::{Access, Mapping};
use std::fs::File;
use std::io;

/// See the module. Nobody writes to them.
pub(crate) enum Storage {
    Owned(Vec<u8>),
    /// With the length of what is mapped, which may end within the last page.
    Mapped(Mapping, usize),
}

impl Storage {
    /// Maps a part of a file, from a page boundary on. The file must not change.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn map(file: &File, start: u64, len: usize) -> io::Result<Storage> {
        Ok(Storage::Mapped(Mapping::private_part_of_file(file, start, len, Access::Read)?, len))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Storage::Owned(bytes) => bytes,
            // SAFETY: that many bytes of the file are mapped, and nobody writes to the mapping.
            Storage::Mapped(mapping, len) => unsafe { std::slice::from_raw_parts(mapping.base(), *len) },
        }
    }
}

impl AsRef<[u8]> for Storage {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}
