//! Buffers in a guest's memory, ready for the kernel.
//!
//! Guest memory may be shared with other guest threads, so no reference into it ever exists: bytes are copied in or out,
//! or their addresses are handed to the kernel.

use std::io::{IoSlice, IoSliceMut};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

/// The most buffers that one read or write uses; a longer list makes a short transfer, as POSIX allows.
pub const MAX_IOVECS: usize = 64;

/// The most bytes that one read or write transfers: Linux's own limit, so that every count fits a guest's 32 bits.
pub const MAX_TRANSFER: usize = 0x7fff_f000;

/// One buffer in guest memory: what `readv` and `writev` call an `iovec`.
#[repr(C)]
#[derive(Clone, Copy)]
struct IoVec {
    base: *mut u8,
    len: usize,
}

/// Buffers in guest memory, checked, ready for the kernel.
///
/// 1. The first `count` items are initialised.
/// 2. The bytes of each of those are readable and writable for `'a`, and no Rust reference to them is in use.
/// 3. `byte_len` is the sum of their lengths, and at most [`MAX_TRANSFER`].
pub struct IoVecs<'a> {
    items: [MaybeUninit<IoVec>; MAX_IOVECS],
    count: usize,
    byte_len: usize,
    memory: PhantomData<&'a ()>,
}

impl<'a> IoVecs<'a> {
    /// No buffers.
    pub fn new() -> Self {
        Self { items: [MaybeUninit::uninit(); MAX_IOVECS], count: 0, byte_len: 0, memory: PhantomData }
    }

    /// One buffer, in the host's own memory.
    pub fn over(bytes: &'a mut [u8]) -> Self {
        let mut vecs = Self::new();
        // SAFETY: the slice is borrowed for as long as the buffers live.
        unsafe { vecs.push(bytes.as_mut_ptr(), bytes.len()) };
        vecs
    }

    /// Adds a buffer of `len` bytes at `base`, as far as [`MAX_IOVECS`] and [`MAX_TRANSFER`] allow.
    ///
    /// # Safety
    /// The bytes must stay readable and writable until `'a` ends, and no Rust reference to them may be in use meanwhile.
    pub unsafe fn push(&mut self, base: *mut u8, len: usize) {
        let len = len.min(MAX_TRANSFER - self.byte_len);
        if let Some(item) = self.items.get_mut(self.count) {
            item.write(IoVec { base, len });
            self.count += 1;
            self.byte_len += len;
        }
    }

    fn items(&self) -> &[IoVec] {
        // SAFETY: initialised by (1), and `MaybeUninit<T>` is laid out as `T`.
        unsafe { std::slice::from_raw_parts(self.items.as_ptr().cast(), self.count) }
    }

    /// The sum of the buffers' lengths, in bytes; at most [`MAX_TRANSFER`].
    pub fn byte_len(&self) -> usize {
        self.byte_len
    }

    /// The buffers as arguments of `writev` and its kin, for the kernel alone: reading their bytes in Rust would make
    /// references into guest memory.
    pub fn for_write(&self) -> &[IoSlice<'_>] {
        // SAFETY: std documents that `IoSlice` has the layout of `iovec`, which `IoVec` is; the bytes are readable by
        // (2), and no reference to them is made by making an `IoSlice`.
        unsafe { std::slice::from_raw_parts(self.items.as_ptr().cast(), self.count) }
    }

    /// The buffers as arguments of `readv` and its kin, for the kernel alone.
    pub fn for_read(&mut self) -> &mut [IoSliceMut<'_>] {
        // SAFETY: as in `for_write`; the bytes are writable by (2), and `&mut self` lends the items themselves.
        unsafe { std::slice::from_raw_parts_mut(self.items.as_mut_ptr().cast(), self.count) }
    }

    /// Copies bytes from the buffers' start, skipping the first `skip`, until `out` is full or the buffers end.
    /// Returns how many.
    pub fn copy_out(&self, mut skip: usize, out: &mut [u8]) -> usize {
        let mut filled = 0;
        for item in self.items() {
            let skipped = skip.min(item.len);
            skip -= skipped;
            let len = (item.len - skipped).min(out.len() - filled);
            // SAFETY: `skipped + len` is at most `item.len`, in bounds by (2); `filled + len` is at most `out.len()`.
            unsafe { ptr::copy_nonoverlapping(item.base.add(skipped), out[filled..].as_mut_ptr(), len) }
            filled += len;
        }
        filled
    }

    /// Copies `bytes` into the buffers, from their start, until they are full or the bytes end. Returns how many.
    pub fn copy_in(&self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for item in self.items() {
            let len = item.len.min(bytes.len() - taken);
            // SAFETY: `len` is at most `item.len`, in bounds by (2), and at most what is left of `bytes`.
            unsafe { ptr::copy_nonoverlapping(bytes[taken..].as_ptr(), item.base, len) }
            taken += len;
        }
        taken
    }

    /// The first `byte_len` bytes of the buffers after the first `skip`: the rest of a transfer that goes in pieces.
    pub fn window(&self, mut skip: usize, mut byte_len: usize) -> Self {
        let mut window = IoVecs::new();
        for item in self.items() {
            let skipped = skip.min(item.len);
            skip -= skipped;
            let len = (item.len - skipped).min(byte_len);
            byte_len -= len;
            if len > 0 {
                // SAFETY: in bounds of the item, since `skipped + len` is at most `item.len`; the rest is (2).
                unsafe { window.push(item.base.wrapping_add(skipped), len) };
            }
        }
        window
    }
}

impl Default for IoVecs<'_> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_scatter_and_gather() {
        let mut bytes = [0; 16];
        let base = bytes.as_mut_ptr();
        let mut vecs = IoVecs::new();
        for (offset, len) in [(0, 3), (4, 0), (8, 4)] {
            // SAFETY: in bounds of `bytes`, which isn't used before the buffers have had their last use.
            unsafe { vecs.push(base.wrapping_add(offset), len) };
        }
        assert_eq!(vecs.byte_len(), 7);
        assert_eq!(vecs.copy_in(b"0123456789"), 7);
        let mut out = [0; 4];
        assert_eq!(vecs.copy_out(2, &mut out), 4);
        assert_eq!(&out, b"2345");
        assert_eq!(vecs.copy_out(6, &mut out), 1);
        assert_eq!(vecs.copy_out(7, &mut out), 0);
        assert_eq!(vecs.window(2, 4).byte_len(), 4);
        assert_eq!(vecs.window(2, 100).byte_len(), 5);
        assert_eq!(vecs.window(2, 4).copy_out(0, &mut out), 4);
        assert_eq!(&out, b"2345");
        assert_eq!(bytes, *b"012\0\0\0\0\x003456\0\0\0\0");
    }

    #[test]
    fn what_is_too_much_is_cut() {
        let mut byte = 0;
        let mut vecs = IoVecs::new();
        for _ in 0..100 {
            // SAFETY: one byte, which isn't used meanwhile.
            unsafe { vecs.push(&raw mut byte, 1) };
        }
        assert_eq!(vecs.byte_len(), MAX_IOVECS);
        // Lengths alone: nobody looks at the bytes.
        let mut vecs = IoVecs::new();
        for len in [1 << 30, usize::MAX, usize::MAX] {
            // SAFETY: no byte of the buffers is used.
            unsafe { vecs.push(&raw mut byte, len) };
        }
        let lens: Vec<usize> = vecs.items().iter().map(|item| item.len).collect();
        assert_eq!(lens, [1 << 30, MAX_TRANSFER - (1 << 30), 0]);
        assert_eq!(vecs.window(1 << 30, usize::MAX).byte_len(), MAX_TRANSFER - (1 << 30));
    }
}
