//! The caller's linear memory, as preview 1 functions see it.
//!
//! Guest memory may be shared with other guest threads, so no reference into it ever exists: bytes are copied in and
//! then looked at, or copied out, or their addresses are handed to the kernel. Every pointer of the guest's passes
//! [`GuestMemory::check`], the one bounds check, and fails with `fault`.

use super::errno::Errno;
use super::types::size;
use crate::host::buffers::{IoVecs, MAX_IOVECS};
use std::marker::PhantomData;
use std::ptr;

/// The longest path, in bytes: Linux's `PATH_MAX`, less the NUL.
const MAX_PATH: usize = 4095;

/// A view of one linear memory for the length of one call.
///
/// 1. `base..base + len` is readable and writable for `'a`, from here and from system calls.
/// 2. Others may write there at the same time.
#[derive(Clone, Copy, Debug)]
pub struct GuestMemory<'a> {
    base: *mut u8,
    len: usize,
    memory: PhantomData<&'a ()>,
}

impl<'a> GuestMemory<'a> {
    /// Views `len` bytes at `base` as linear memory.
    ///
    /// # Safety
    /// The range must be readable and writable, as one allocation, until `'a` ends; with `len` zero, `base` may be
    /// anything. No Rust reference into it may be in use meanwhile.
    pub unsafe fn new(base: *mut u8, len: usize) -> Self {
        Self { base, len, memory: PhantomData }
    }

    /// The host address of `len` bytes at `address`. No bytes are at any address.
    ///
    /// # Errors
    /// `fault` when any of them is outside of the memory.
    pub fn check(self, address: u32, len: usize) -> Result<*mut u8, Errno> {
        if len == 0 {
            return Ok(self.base);
        }
        let start = address as usize;
        let end = start.checked_add(len).ok_or(Errno::Fault)?;
        if end > self.len {
            return Err(Errno::Fault);
        }
        // In bounds: `start <= len`, checked just above, of what (1) says is one allocation.
        Ok(self.base.wrapping_add(start))
    }

    /// Copies `out.len()` bytes at `address` out of the guest.
    ///
    /// # Errors
    /// `fault` when out of bounds; nothing is copied.
    pub fn read(self, address: u32, out: &mut [u8]) -> Result<(), Errno> {
        let from = self.check(address, out.len())?;
        // SAFETY: `check` returned the start of `out.len()` bytes, readable by (1). `out` is a reference, so by `new`'s
        // contract it isn't part of the memory.
        unsafe { ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) }
        Ok(())
    }

    /// Copies `bytes` to `address` in the guest.
    ///
    /// # Errors
    /// `fault` when out of bounds; nothing is copied.
    pub fn write(self, address: u32, bytes: &[u8]) -> Result<(), Errno> {
        let to = self.check(address, bytes.len())?;
        // SAFETY: as in `read`, with the directions exchanged.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
        Ok(())
    }

    /// The `N` bytes at `address`.
    ///
    /// # Errors
    /// `fault` when out of bounds.
    pub fn array<const N: usize>(self, address: u32) -> Result<[u8; N], Errno> {
        let mut bytes = [0; N];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes a little-endian 32-bit number.
    ///
    /// # Errors
    /// `fault` when out of bounds.
    pub fn write_u32(self, address: u32, value: u32) -> Result<(), Errno> {
        self.write(address, &value.to_le_bytes())
    }

    /// Writes a little-endian 64-bit number.
    ///
    /// # Errors
    /// `fault` when out of bounds.
    pub fn write_u64(self, address: u32, value: u64) -> Result<(), Errno> {
        self.write(address, &value.to_le_bytes())
    }

    /// The path of `len` bytes at `address`.
    ///
    /// # Errors
    /// `fault` when out of bounds, `nametoolong` when no host path can be so long, `ilseq` unless it is UTF-8,
    /// `inval` with a NUL inside.
    pub fn path(self, address: u32, len: u32) -> Result<String, Errno> {
        let len = len as usize;
        self.check(address, len)?;
        if len > MAX_PATH {
            return Err(Errno::Nametoolong);
        }
        let mut bytes = vec![0; len];
        self.read(address, &mut bytes)?;
        let path = String::from_utf8(bytes).map_err(|_| Errno::Ilseq)?;
        if path.contains('\0') { Err(Errno::Inval) } else { Ok(path) }
    }

    /// The buffers described by the `count` records at `address`; of more than [`MAX_IOVECS`], the first ones, and of
    /// those the first [`MAX_TRANSFER`](crate::host::buffers::MAX_TRANSFER) bytes.
    ///
    /// # Errors
    /// `fault` when the records, or a buffer that one of those used describes, are out of bounds.
    pub fn iovecs(self, address: u32, count: u32) -> Result<IoVecs<'a>, Errno> {
        let count = count as usize;
        self.check(address, count.checked_mul(size::IOVEC).ok_or(Errno::Fault)?)?;
        let mut vecs = IoVecs::new();
        for index in 0..count.min(MAX_IOVECS) {
            // Fits: `index` is below MAX_IOVECS. In bounds: the whole list was checked.
            let record: [u8; size::IOVEC] = self.array(address + (index * size::IOVEC) as u32)?;
            let buffer = u32::from_le_bytes([record[0], record[1], record[2], record[3]]);
            let len = u32::from_le_bytes([record[4], record[5], record[6], record[7]]) as usize;
            let base = self.check(buffer, len)?;
            // SAFETY: `check` returned the start of `len` bytes, which (1) says are ours to use for `'a`.
            unsafe { vecs.push(base, len) };
        }
        Ok(vecs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(bytes: &mut [u8]) -> GuestMemory<'_> {
        // SAFETY: the slice is borrowed for the view's life, and the tests don't touch it meanwhile.
        unsafe { GuestMemory::new(bytes.as_mut_ptr(), bytes.len()) }
    }

    fn record(buffer: u32, len: u32) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&buffer.to_le_bytes());
        bytes[4..].copy_from_slice(&len.to_le_bytes());
        bytes
    }

    #[test]
    fn the_last_byte_is_inside_and_the_next_is_not() {
        let mut bytes = [7; 16];
        let memory = view(&mut bytes);
        assert_eq!(memory.array::<1>(15), Ok([7]));
        assert_eq!(memory.array::<1>(16), Err(Errno::Fault));
        assert_eq!(memory.array::<0>(16), Ok([]));
        assert_eq!(memory.array::<0>(u32::MAX), Ok([]));
        assert_eq!(memory.array::<4>(u32::MAX), Err(Errno::Fault));
        assert_eq!(memory.write_u64(9, 1), Err(Errno::Fault));
    }

    #[test]
    fn an_empty_memory_has_no_bytes() {
        // SAFETY: with length zero the base may be anything.
        let memory = unsafe { GuestMemory::new(ptr::null_mut(), 0) };
        assert_eq!(memory.array::<1>(0), Err(Errno::Fault));
        assert_eq!(memory.path(0, 0), Ok(String::new()));
    }

    #[test]
    fn paths_are_text() {
        let mut bytes = *b"ab\0c\xff";
        let memory = view(&mut bytes);
        assert_eq!(memory.path(0, 2), Ok("ab".to_owned()));
        assert_eq!(memory.path(0, 3), Err(Errno::Inval));
        assert_eq!(memory.path(4, 1), Err(Errno::Ilseq));
        assert_eq!(memory.path(4, 2), Err(Errno::Fault));
    }

    #[test]
    fn long_paths_are_refused_before_they_are_copied() {
        let mut bytes = [b'a'; 5000];
        assert_eq!(view(&mut bytes).path(0, 5000), Err(Errno::Nametoolong));
        assert_eq!(view(&mut bytes).path(0, u32::MAX), Err(Errno::Fault));
    }

    #[test]
    fn every_buffer_must_be_inside() {
        let mut bytes = [0; 64];
        bytes[..8].copy_from_slice(&record(60, 4));
        bytes[8..16].copy_from_slice(&record(60, 5));
        let memory = view(&mut bytes);
        assert_eq!(memory.iovecs(0, 1).map(|vecs| vecs.byte_len()), Ok(4));
        assert_eq!(memory.iovecs(0, 2).err(), Some(Errno::Fault));
        assert_eq!(memory.iovecs(60, 1).err(), Some(Errno::Fault));
        assert_eq!(memory.iovecs(0, u32::MAX).err(), Some(Errno::Fault));
    }

    #[test]
    fn a_list_longer_than_the_limit_is_cut() {
        let mut bytes = vec![0; 8 * 100];
        for index in 0..100 {
            bytes[index * 8..][..8].copy_from_slice(&record(0, 1));
        }
        assert_eq!(view(&mut bytes).iovecs(0, 100).map(|vecs| vecs.byte_len()), Ok(MAX_IOVECS));
    }
}
