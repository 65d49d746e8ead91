//! A guest's memory becomes C's.

use super::arena::Arena;
use super::shape::{Node, Shape};
use crate::canon::lift::{FlatIn, Lift, character, out_of_range};
use ampoule::Error;
use std::ptr;

/// Writes the lowest bytes of a number.
///
/// # Safety
/// There is memory for them.
unsafe fn write_bits(into: *mut u8, size: u32, bits: u64) {
    // SAFETY: by the caller; no scalar has more than 8.
    unsafe { ptr::copy_nonoverlapping(bits.to_le_bytes().as_ptr(), into, size as usize) };
}

/// Takes a value out of a guest's memory, all of whose bytes are known to be there.
///
/// # Errors
/// Where it means nothing: something may have been written.
///
/// # Safety
/// There is memory for a value of this shape at `into`.
pub(super) unsafe fn load(
    lift: &mut Lift<'_>,
    shape: &Shape,
    at: usize,
    into: *mut u8,
    arena: &mut Arena,
) -> Result<(), Error> {
    // SAFETY: by the caller, here and below, where parts of the value go.
    unsafe {
        if shape.is_plain {
            let bytes = lift.slice(at, shape.guest.size as usize);
            ptr::copy_nonoverlapping(bytes.as_ptr(), into, bytes.len());
            return Ok(());
        }
        match &shape.node {
            Node::String | Node::List(_) => {
                let (begin, len) = (lift.discriminant(4, at), lift.discriminant(4, at + 4));
                pair(lift, shape, (begin, len), into, arena)?;
            }
            Node::Fields(fields) => {
                for field in fields {
                    let (c_offset, guest_offset) = (field.c_offset as usize, field.guest_offset as usize);
                    load(lift, &field.shape, at + guest_offset, into.add(c_offset), arena)?;
                }
            }
            Node::Cases { discriminant, c_payload, guest_payload, cases, .. } => {
                let case = lift.discriminant(*discriminant, at);
                let payload = cases.get(case as usize).ok_or_else(|| out_of_range(case, cases.len()))?;
                write_bits(into, *discriminant, u64::from(case));
                if let Some(payload) = payload {
                    load(lift, payload, at + *guest_payload as usize, into.add(*c_payload as usize), arena)?;
                }
            }
            Node::Number { .. } | Node::Bool | Node::Char | Node::Flags { .. } => {
                scalar(shape, u64::from(lift.discriminant(shape.guest.size, at)), into)?;
            }
        }
    }
    Ok(())
}

/// Takes a value out of core values.
///
/// # Errors
/// As [`load`].
///
/// # Safety
/// As [`load`].
pub(super) unsafe fn flat(
    lift: &mut Lift<'_>,
    shape: &Shape,
    values: &mut FlatIn<'_>,
    into: *mut u8,
    arena: &mut Arena,
) -> Result<(), Error> {
    // SAFETY: by the caller, here and below, where parts of the value go.
    unsafe {
        match &shape.node {
            Node::String | Node::List(_) => {
                let (begin, len) = (values.next_u32(), values.next_u32());
                pair(lift, shape, (begin, len), into, arena)?;
            }
            Node::Fields(fields) => {
                for field in fields {
                    flat(lift, &field.shape, values, into.add(field.c_offset as usize), arena)?;
                }
            }
            Node::Cases { discriminant, c_payload, joined, cases, .. } => {
                let case = values.next_u32();
                let payload = cases.get(case as usize).ok_or_else(|| out_of_range(case, cases.len()))?;
                write_bits(into, *discriminant, u64::from(case));
                let mut payload_values = values.clone();
                values.skip(*joined);
                if let Some(payload) = payload {
                    flat(lift, payload, &mut payload_values, into.add(*c_payload as usize), arena)?;
                }
            }
            Node::Number { .. } | Node::Bool | Node::Char | Node::Flags { .. } => scalar(shape, values.next(), into)?,
        }
    }
    Ok(())
}

/// A scalar, in the lowest bits of these.
///
/// # Safety
/// As [`load`].
unsafe fn scalar(shape: &Shape, bits: u64, into: *mut u8) -> Result<(), Error> {
    let bits = match shape.node {
        // Of a core value; a byte in memory has no bits above.
        Node::Bool => u64::from(bits as u32 != 0),
        Node::Char => u64::from(u32::from(character(bits as u32)?)),
        Node::Flags { mask } => bits & u64::from(mask),
        _ => bits,
    };
    // SAFETY: by the caller.
    unsafe { write_bits(into, shape.c.size, bits) };
    Ok(())
}

/// A string or a list: its pointer and length in C.
///
/// # Safety
/// As [`load`].
unsafe fn pair(
    lift: &mut Lift<'_>,
    shape: &Shape,
    (begin, len): (u32, u32),
    into: *mut u8,
    arena: &mut Arena,
) -> Result<(), Error> {
    // SAFETY: by the caller; the arena gives as much memory as is asked for.
    unsafe {
        let (given, len) = match &shape.node {
            Node::List(element) => {
                let (c_size, guest_size) = (element.c.size as usize, element.guest.size as usize);
                let bytes = lift.elements(begin, len, element.guest.size, element.guest.align, c_size)?;
                let (at, len) = (begin as usize, len as usize);
                let given = arena.alloc(len * c_size);
                if element.is_plain {
                    ptr::copy_nonoverlapping(bytes.as_ptr(), given, bytes.len());
                } else {
                    for index in 0..len {
                        load(lift, element, at + index * guest_size, given.add(index * c_size), arena)?;
                    }
                }
                (given, len)
            }
            _ => {
                let text = lift.text(begin, len)?;
                lift.count(text.len())?;
                let given = arena.alloc(text.len());
                ptr::copy_nonoverlapping(text.as_ptr(), given, text.len());
                (given, text.len())
            }
        };
        into.cast::<*mut u8>().write_unaligned(given);
        into.cast::<usize>().add(1).write_unaligned(len);
    }
    Ok(())
}
