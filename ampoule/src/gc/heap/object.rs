//! Objects as the collector reads them: how long they are and where their references are.

use super::corrupted;
use super::region::Region;
use ampoule_core::object_layout::{ARRAY_ELEMENTS, ARRAY_LENGTH, HOST_SIZE, array_size};
use ampoule_core::vm::VmType;
use ampoule_core::vm::types::{ObjectKind, TypeWord};

/// The engine's table of types.
#[derive(Clone, Copy, Debug)]
pub(super) struct Types(*const VmType);

// SAFETY: records are only read, and those of types in use don't change.
unsafe impl Send for Types {}
// SAFETY: as above.
unsafe impl Sync for Types {}

/// What the collector wants to know of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'a> {
    /// Its bytes: a multiple of 8, all accessible.
    pub(super) size: u32,
    pub(super) refs: Refs<'a>,
}

/// Where an object's references are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refs<'a> {
    /// There are none.
    None,
    /// At these offsets from its start.
    Fields(&'a [u32]),
    /// From one offset of the heap to another, 4 bytes each.
    Elements(u32, u32),
}

impl Types {
    /// # Safety
    /// `table` leads to the records of all types that objects have, [`TypeWord::TABLE_BYTES`] that are readable as long as the value is used.
    pub(super) unsafe fn new(table: *const VmType) -> Self {
        Types(table)
    }

    /// The record of a type. Ends the process where the word is no type's.
    #[inline(always)]
    pub(super) fn record(&self, word: TypeWord, at: u32) -> &VmType {
        if !word.is_record() {
            corrupted("an object has no type", at);
        }
        // SAFETY: readable by the maker of this value; nobody changes a record that objects have.
        let record = unsafe { &*self.0.byte_add(word.offset()) };
        let depth = record.depth as usize;
        // A record in use has its own word in its display.
        if *record.display.get(depth).unwrap_or(&word.0) != word.0 {
            corrupted("an object has no type", at);
        }
        record
    }

    /// The object at an offset. Ends the process where there is none.
    #[inline(always)]
    pub(super) fn object<'a>(&'a self, region: &Region, at: u32) -> Object<'a> {
        let word = TypeWord(region.read(at));
        let kind = word.kind();
        if kind == ObjectKind::Host {
            if word != TypeWord::HOST {
                corrupted("an object has no type", at);
            }
            return Object { size: HOST_SIZE, refs: Refs::None };
        }
        let record = self.record(word, at);
        if kind == ObjectKind::Array {
            let len = region.read(at + ARRAY_LENGTH);
            let size = array_size(len, record.size & 7);
            let Some(size) = u32::try_from(size).ok().filter(|&size| size <= region.end() - at) else {
                corrupted("an array has no length", at);
            };
            let elements = at + ARRAY_ELEMENTS;
            let refs = if record.ref_count == 0 { Refs::None } else { Refs::Elements(elements, elements + 4 * len) };
            return Object { size, refs };
        }
        if record.size == 0 || record.size > region.end() - at {
            corrupted("an object has no length", at);
        }
        if record.ref_count == 0 {
            return Object { size: record.size, refs: Refs::None };
        }
        // SAFETY: the record of a type in use leads to its offsets, which stay as long as the type is in use.
        let offsets = unsafe { std::slice::from_raw_parts(record.ref_offsets, record.ref_count as usize) };
        Object { size: record.size, refs: Refs::Fields(offsets) }
    }
}
