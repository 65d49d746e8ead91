//! Where things lie in objects of the collected heap: structs, arrays, exceptions and values of the host.
//!
//! Objects begin at multiples of [`ALIGN`] and take a multiple of it. Each begins with its type word
//! ([`crate::vm::types::TypeWord`]):
//!
//! ```text
//! struct      | type word | fields…
//! array       | type word | length         | elements…
//! exception   | type word | number of tag  | fields…      the type is the tag's function type; fields are its parameters
//! host value  | type word | position       |              in the store's table of host values
//! ```
//!
//! Fields are packed: the widest first, each in the first hole that takes it. A subtype keeps its supertype's layout and puts its
//! further fields into the holes first.

use crate::types::{StorageType, StructType, ValType};

/// Objects begin at multiples of this, and take a multiple of it.
pub const ALIGN: u32 = 8;
/// Longer objects are made by the runtime alone, outside of the range in which machine code allocates.
pub const MOST_INLINE: u32 = 16 << 10;
/// Bytes of a struct before its fields.
pub const STRUCT_HEADER: u32 = 4;
/// Where an array has its length, a `u32`.
pub const ARRAY_LENGTH: u32 = 4;
/// Where an array's elements begin.
pub const ARRAY_ELEMENTS: u32 = 8;
/// Where an exception has the number of its tag in the store.
pub const EXCEPTION_TAG: u32 = 4;
/// Bytes of an exception before its fields.
pub const EXCEPTION_HEADER: u32 = 8;
/// Where a value of the host has its position in the store's table.
pub const HOST_POSITION: u32 = 4;
/// Bytes of a value of the host.
pub const HOST_SIZE: u32 = 8;

/// What a field or an element is stored as.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Storage {
    /// `i8`.
    Bits8,
    /// `i16`.
    Bits16,
    /// `i32`, `f32`.
    Bits32,
    /// `i64`, `f64`.
    Bits64,
    /// `v128`. Aligned to [`ALIGN`] only.
    Bits128,
    /// A reference of the `any`, `extern` or `exn` hierarchy: 32 bits, which the collector follows and rewrites.
    Collected,
    /// A reference to a function: a pointer of 64 bits that the collector does not look at.
    Function,
}

impl From<StorageType> for Storage {
    fn from(ty: StorageType) -> Self {
        match ty {
            StorageType::I8 => Storage::Bits8,
            StorageType::I16 => Storage::Bits16,
            StorageType::Val(ValType::I32 | ValType::F32) => Storage::Bits32,
            StorageType::Val(ValType::I64 | ValType::F64) => Storage::Bits64,
            StorageType::Val(ValType::V128) => Storage::Bits128,
            StorageType::Val(ValType::Ref(ty)) if ty.is_func() => Storage::Function,
            StorageType::Val(ValType::Ref(_)) => Storage::Collected,
        }
    }
}

impl From<ValType> for Storage {
    fn from(ty: ValType) -> Self {
        StorageType::Val(ty).into()
    }
}

impl Storage {
    /// log2 of its bytes.
    pub const fn size_log2(self) -> u32 {
        match self {
            Storage::Bits8 => 0,
            Storage::Bits16 => 1,
            Storage::Bits32 | Storage::Collected => 2,
            Storage::Bits64 | Storage::Function => 3,
            Storage::Bits128 => 4,
        }
    }

    /// Its bytes.
    pub const fn size(self) -> u32 {
        1 << self.size_log2()
    }

    /// What its offset is a multiple of.
    pub const fn align(self) -> u32 {
        if self.size() < ALIGN { self.size() } else { ALIGN }
    }
}

/// The layout of a struct or an exception.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldsLayout {
    offsets: Box<[u32]>,
    ref_offsets: Box<[u32]>,
    /// Unused ranges before `end`, ascending.
    holes: Vec<(u32, u32)>,
    /// Where the last field ends.
    end: u32,
}

impl FieldsLayout {
    /// The layout of a struct with these fields. Where it has a supertype, the first fields are that one's, stored in the same way.
    ///
    /// # Panics
    /// Where they are not, or objects would have 2^31 bytes: validation bounds fields to 10,000.
    pub fn of_struct(supertype: Option<&FieldsLayout>, fields: &[Storage]) -> Self {
        match supertype {
            Some(supertype) => supertype.extended(fields),
            None => Self::empty(STRUCT_HEADER).extended(fields),
        }
    }

    /// The layout of an exception with these fields.
    ///
    /// # Panics
    /// Where objects would have 2^31 bytes: validation bounds parameters to 1,000.
    pub fn of_exception(fields: &[Storage]) -> Self {
        Self::empty(EXCEPTION_HEADER).extended(fields)
    }

    fn empty(header: u32) -> Self {
        Self { offsets: [].into(), ref_offsets: [].into(), holes: Vec::new(), end: header }
    }

    /// The layout of a struct of this type, of which the first fields are those of its supertype.
    ///
    /// # Panics
    /// As [`FieldsLayout::of_struct`].
    pub fn of_struct_type(supertype: Option<&FieldsLayout>, ty: &StructType) -> Self {
        let fields: Vec<Storage> = ty.fields.iter().map(|field| field.storage.into()).collect();
        Self::of_struct(supertype, &fields)
    }

    /// The layout of an exception with fields of these types.
    ///
    /// # Panics
    /// As [`FieldsLayout::of_exception`].
    pub fn of_exception_types(fields: &[ValType]) -> Self {
        let fields: Vec<Storage> = fields.iter().map(|&field| field.into()).collect();
        Self::of_exception(&fields)
    }

    /// This layout with those of the fields that it doesn't have yet.
    fn extended(&self, fields: &[Storage]) -> Self {
        let kept = self.offsets.len();
        assert!(kept <= fields.len(), "a subtype has the fields of its supertype");
        assert!(fields.len() < 1 << 26, "validation bounds fields");
        let (mut holes, mut end) = (self.holes.clone(), self.end);
        let mut offsets = self.offsets.to_vec();
        offsets.resize(fields.len(), 0);
        let mut order: Vec<usize> = (kept..fields.len()).collect();
        // Stable: fields of one size stay in the order of their declaration.
        order.sort_by_key(|&index| std::cmp::Reverse(fields[index].size()));
        for index in order {
            offsets[index] = place(&mut holes, &mut end, fields[index]);
        }
        let collected = offsets.iter().zip(fields).filter(|(_, storage)| **storage == Storage::Collected);
        let mut ref_offsets: Box<[u32]> = collected.map(|(&offset, _)| offset).collect();
        ref_offsets.sort_unstable();
        debug_assert!(
            self.ref_offsets.iter().all(|offset| ref_offsets.binary_search(offset).is_ok()),
            "a subtype stores its supertype's fields in the same way"
        );
        Self { offsets: offsets.into(), ref_offsets, holes, end }
    }

    /// Where each field is, from the object's start.
    pub fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// Where the references are that the collector follows, ascending.
    pub fn ref_offsets(&self) -> &[u32] {
        &self.ref_offsets
    }

    /// Bytes of an object.
    pub fn size(&self) -> u32 {
        self.end.next_multiple_of(ALIGN)
    }
}

/// Finds a place for one field.
fn place(holes: &mut Vec<(u32, u32)>, end: &mut u32, storage: Storage) -> u32 {
    let size = storage.size();
    for (at, &(hole_start, hole_end)) in holes.iter().enumerate() {
        let start = hole_start.next_multiple_of(storage.align());
        if start + size <= hole_end {
            let rest = [(hole_start, start), (start + size, hole_end)];
            holes.splice(at..=at, rest.into_iter().filter(|(start, end)| start < end));
            return start;
        }
    }
    let start = end.next_multiple_of(storage.align());
    if *end < start {
        holes.push((*end, start));
    }
    *end = start + size;
    start
}

/// Bytes of an array of `len` elements of `1 << element_size_log2` bytes each.
pub const fn array_size(len: u32, element_size_log2: u32) -> u64 {
    (ARRAY_ELEMENTS as u64 + ((len as u64) << element_size_log2)).next_multiple_of(ALIGN as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Storage::{Bits8, Bits16, Bits32, Bits64, Bits128, Collected, Function};

    const ALL: [Storage; 7] = [Bits8, Bits16, Bits32, Bits64, Bits128, Collected, Function];

    /// No field overlaps another or the header; each is aligned; references are those that are told.
    fn check(layout: &FieldsLayout, fields: &[Storage], header: u32) {
        let mut ranges: Vec<_> =
            layout.offsets().iter().zip(fields).map(|(&at, ty)| (at, at + ty.size(), *ty)).collect();
        ranges.sort_by_key(|range| range.0);
        let mut end = header;
        for &(start, stop, storage) in &ranges {
            assert!(start >= end && start.is_multiple_of(storage.align()), "{fields:?}: {ranges:?}");
            end = stop;
        }
        assert!(layout.size() >= end && layout.size().is_multiple_of(ALIGN) && layout.size() >= ALIGN);
        let refs: Vec<u32> =
            ranges.iter().filter(|(_, _, storage)| *storage == Collected).map(|(start, ..)| *start).collect();
        assert_eq!(layout.ref_offsets(), refs);
    }

    #[test]
    fn fields_are_packed() {
        let size = |fields: &[Storage]| {
            let layout = FieldsLayout::of_struct(None, fields);
            check(&layout, fields, STRUCT_HEADER);
            layout.size()
        };
        assert_eq!(size(&[]), 8);
        assert_eq!(size(&[Bits32]), 8);
        assert_eq!(size(&[Collected, Collected]), 16);
        assert_eq!(size(&[Collected, Collected, Bits32]), 16);
        assert_eq!(size(&[Bits32, Bits64]), 16);
        assert_eq!(size(&[Bits8, Bits64, Bits8, Bits16]), 16);
        assert_eq!(size(&[Bits8; 4]), 8);
        assert_eq!(size(&[Function, Bits8]), 16);
        assert_eq!(size(&[Bits128]), 24);
        let exception = FieldsLayout::of_exception(&[Collected, Bits64]);
        check(&exception, &[Collected, Bits64], EXCEPTION_HEADER);
        assert_eq!((exception.offsets(), exception.size()), (&[16, 8][..], 24));
    }

    #[test]
    fn a_subtype_keeps_the_layout_of_its_supertype_and_fills_its_holes() {
        let base = FieldsLayout::of_struct(None, &[Bits64]);
        let sub = FieldsLayout::of_struct(Some(&base), &[Bits64, Collected]);
        assert_eq!((base.offsets(), sub.offsets(), sub.size()), (&[8][..], &[8, 4][..], 16));
        // Chains of subtypes with fields of all kinds, in an order that changes.
        let mut seed = 1u32;
        for _ in 0..200 {
            let (mut fields, mut layout) = (Vec::new(), FieldsLayout::of_struct(None, &[]));
            for _ in 0..20 {
                for _ in 0..3 {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    fields.push(ALL[(seed >> 24) as usize % ALL.len()]);
                }
                let sub = FieldsLayout::of_struct(Some(&layout), &fields);
                check(&sub, &fields, STRUCT_HEADER);
                assert!(sub.offsets().starts_with(layout.offsets()) && sub.size() >= layout.size());
                layout = sub;
            }
            let bytes: u32 = fields.iter().map(|field| field.size()).sum();
            assert!(layout.size() <= STRUCT_HEADER + bytes + ALIGN, "{fields:?}");
        }
    }

    #[test]
    fn the_most_fields_that_validation_allows_fit() {
        let layout = FieldsLayout::of_struct(None, &[Bits128; 10_000]);
        assert_eq!(layout.size(), 8 + 160_000);
    }

    #[test]
    fn arrays_are_rounded_up_and_do_not_overflow() {
        assert_eq!(array_size(0, 0), 8);
        assert_eq!(array_size(1, 0), 16);
        assert_eq!(array_size(8, 0), 16);
        assert_eq!(array_size(3, 2), 24);
        assert_eq!(array_size(u32::MAX, 4), (1 << 36) - 16 + 8);
    }
}
