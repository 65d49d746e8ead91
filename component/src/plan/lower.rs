//! C's memory becomes a guest's.

use super::shape::{Node, Shape};
use crate::canon::lower::{FlatOut, Lower};
use ampoule::Error;
use std::ptr;

/// Reads a number of so many bytes.
///
/// # Safety
/// They are there.
unsafe fn bits_at(from: *const u8, size: u32) -> u64 {
    let mut bits = [0; 8];
    // SAFETY: by the caller; no scalar has more than 8.
    unsafe { ptr::copy_nonoverlapping(from, bits.as_mut_ptr(), size as usize) };
    u64::from_le_bytes(bits)
}

/// Reads where a string or list is, and how long.
///
/// # Safety
/// Both words are there.
unsafe fn pair_at(from: *const u8) -> (*const u8, usize) {
    // SAFETY: by the caller.
    unsafe { (from.cast::<*const u8>().read_unaligned(), from.cast::<usize>().add(1).read_unaligned()) }
}

/// The bytes of a pair; without any, the pointer may be null.
///
/// # Safety
/// They are there, and nobody changes them meanwhile.
unsafe fn slice<'a>(at: *const u8, len: usize) -> Result<&'a [u8], Error> {
    if len == 0 {
        return Ok(&[]);
    }
    if at.is_null() || isize::try_from(len).is_err() {
        return Err(Error::message("a string or list of an argument is nowhere"));
    }
    // SAFETY: by the caller.
    Ok(unsafe { std::slice::from_raw_parts(at, len) })
}

/// Puts a value into a guest's memory, all of whose bytes are known to be there.
///
/// # Errors
/// Where it means nothing, or the guest has no memory for it.
///
/// # Safety
/// `from` points to a value of this shape, which nobody changes meanwhile, and which leads to what it says.
pub(super) unsafe fn store(lower: &mut Lower<'_>, shape: &Shape, from: *const u8, at: usize) -> Result<(), Error> {
    // SAFETY: by the caller, here and below, where parts of the value are.
    unsafe {
        if shape.is_plain {
            let size = shape.c.size as usize;
            lower.memory()[at..at + size].copy_from_slice(slice(from, size)?);
            return Ok(());
        }
        match &shape.node {
            Node::String | Node::List(_) => {
                let (pointer, len) = pair(lower, shape, from)?;
                lower.write_bits(at, 4, pointer as u64);
                lower.write_bits(at + 4, 4, u64::from(len));
            }
            Node::Fields(fields) => {
                for field in fields {
                    let (c_offset, guest_offset) = (field.c_offset as usize, field.guest_offset as usize);
                    store(lower, &field.shape, from.add(c_offset), at + guest_offset)?;
                }
            }
            Node::Cases { discriminant, c_payload, guest_payload, cases, .. } => {
                let case = bits_at(from, *discriminant);
                let payload = cases.get(case as usize).ok_or_else(|| out_of_range(case, cases.len()))?;
                lower.write_bits(at, *discriminant, case);
                if let Some(payload) = payload {
                    store(lower, payload, from.add(*c_payload as usize), at + *guest_payload as usize)?;
                }
            }
            Node::Number { .. } | Node::Bool | Node::Char | Node::Flags { .. } => {
                let bits = scalar(shape, from)?;
                lower.write_bits(at, shape.guest.size, bits);
            }
        }
    }
    Ok(())
}

/// Puts a value into core values.
///
/// # Errors
/// As [`store`].
///
/// # Safety
/// As [`store`].
pub(super) unsafe fn flat(
    lower: &mut Lower<'_>,
    shape: &Shape,
    from: *const u8,
    out: &mut FlatOut<'_>,
) -> Result<(), Error> {
    // SAFETY: by the caller, here and below, where parts of the value are.
    unsafe {
        match &shape.node {
            Node::Number { signed_bits: Some(bits) } => {
                let above = 32 - bits;
                let extended = ((bits_at(from, bits / 8) as i32) << above) >> above;
                out.push(u64::from(extended as u32));
            }
            Node::Number { .. } => out.push(bits_at(from, shape.c.size)),
            Node::String | Node::List(_) => {
                let (pointer, len) = pair(lower, shape, from)?;
                out.push(pointer as u64);
                out.push(u64::from(len));
            }
            Node::Fields(fields) => {
                for field in fields {
                    flat(lower, &field.shape, from.add(field.c_offset as usize), out)?;
                }
            }
            Node::Cases { discriminant, c_payload, joined, cases, .. } => {
                let case = bits_at(from, *discriminant);
                let payload = cases.get(case as usize).ok_or_else(|| out_of_range(case, cases.len()))?;
                out.push(case);
                let before = out.left();
                if let Some(payload) = payload {
                    flat(lower, payload, from.add(*c_payload as usize), out)?;
                }
                // What the case doesn't use stays zero.
                out.skip(joined - (before - out.left()));
            }
            Node::Bool | Node::Char | Node::Flags { .. } => out.push(scalar(shape, from)?),
        }
    }
    Ok(())
}

/// A scalar of which not all bits are a value.
///
/// # Safety
/// It is there.
unsafe fn scalar(shape: &Shape, from: *const u8) -> Result<u64, Error> {
    // SAFETY: by the caller.
    let bits = unsafe { bits_at(from, shape.c.size) };
    match shape.node {
        Node::Bool => Ok(u64::from(bits != 0)),
        Node::Char if char::from_u32(bits as u32).is_none() => {
            Err(Error::message("converted integer out of range for `char`"))
        }
        Node::Flags { mask } => Ok(bits & u64::from(mask)),
        _ => Ok(bits),
    }
}

/// What is passed as a pointer and a length.
///
/// # Safety
/// As [`store`].
unsafe fn pair(lower: &mut Lower<'_>, shape: &Shape, from: *const u8) -> Result<(usize, u32), Error> {
    // SAFETY: by the caller.
    unsafe {
        let (begin, len) = pair_at(from);
        let Node::List(element) = &shape.node else { return lower.string(slice(begin, len)?) };
        let (c_size, guest_size) = (element.c.size as usize, element.guest.size as usize);
        let at = lower.elements(len, element.guest.size, element.guest.align)?;
        // No longer than `elements` allows; C's may be four times as long.
        let bytes = slice(begin, len * c_size)?;
        if element.is_plain {
            lower.memory()[at..at + bytes.len()].copy_from_slice(bytes);
            return Ok((at, len as u32));
        }
        for index in 0..len {
            store(lower, element, bytes.as_ptr().add(index * c_size), at + index * guest_size)?;
        }
        Ok((at, len as u32))
    }
}

#[cold]
fn out_of_range(case: u64, count: usize) -> Error {
    Error::message(format!("discriminant {case} out of range [0..{count})"))
}
