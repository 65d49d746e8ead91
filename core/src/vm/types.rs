//! Types of objects, as machine code and the collector see them: the word that every object begins with, and the record that it leads to.
//!
//! An engine has one table of records for all its types ([`super::VmStoreContext::types`]). The record of the type with number `n` is
//! the `n`-th, so a type word leads to it by a shift, a mask and an addition. Records never move; a number is used again only once
//! no object of the type before can exist.

use std::mem::offset_of;
use std::ptr;

/// What an object is: the lowest two bits of its type word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum ObjectKind {
    /// A struct.
    Struct = 0,
    /// An array.
    Array = 1,
    /// A function type. An object with such a word is an exception, whose fields are the parameters.
    Exception = 2,
    /// A value of the host behind an `externref`.
    Host = 3,
}

impl ObjectKind {
    const ALL: [ObjectKind; 4] = [Self::Struct, Self::Array, Self::Exception, Self::Host];
}

/// The first word of an object, unique per type and engine. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct TypeWord(pub u32);

impl TypeWord {
    /// Numbers of types are below this.
    pub const MAX_NUMBERS: u32 = 1 << 20;

    /// The word of a value of the host. Its number, zero, is no type's.
    pub const HOST: TypeWord = TypeWord(ObjectKind::Host as u32);

    /// The word of the type with this number.
    pub const fn new(number: u32, kind: ObjectKind) -> Self {
        TypeWord(number << 2 | kind as u32)
    }

    /// The position of the type's record.
    pub const fn number(self) -> u32 {
        self.0 >> 2
    }

    /// What objects of the type are.
    pub const fn kind(self) -> ObjectKind {
        ObjectKind::ALL[(self.0 & 3) as usize]
    }
}

/// One record of the table of types. It is written before anybody has the type's word, and does not change until nobody has.
#[repr(C)]
#[derive(Clone, Debug)]
pub struct VmType {
    /// The words of the supertypes, the root's first, and the type's own at its own depth; zero behind that. Type words of depth
    /// [`VmType::DISPLAY`] and beyond are in `more_display` only.
    pub display: [u32; VmType::DISPLAY],
    /// How many supertypes there are above: the position of the type's own word in its display.
    pub depth: u32,
    /// Struct, exception: the object's bytes, header included, a multiple of 8. Array: log2 of an element's bytes.
    pub size: u32,
    /// The whole display, `depth + 1` words, where `depth` is at least [`VmType::DISPLAY`]; else null.
    pub more_display: *const u32,
    /// Struct, exception: `ref_count` offsets from the object's start, ascending: those of the references that are collected. Array: null.
    pub ref_offsets: *const u32,
    /// Struct, exception: see `ref_offsets`. Array: 1 where the elements are references that are collected, else 0.
    pub ref_count: u32,
    /// Keeps the layout explicit.
    pub _pad: u32,
}

impl VmType {
    /// How many words of a display the record itself holds.
    pub const DISPLAY: usize = 8;
    /// log2 of a record's bytes.
    pub const SIZE_LOG2: u32 = 6;
    /// A type word, masked with this and shifted to the left by [`VmType::WORD_SHIFT`], is the offset of the type's record.
    pub const WORD_MASK: u32 = !3;
    /// See [`VmType::WORD_MASK`].
    pub const WORD_SHIFT: u32 = Self::SIZE_LOG2 - 2;

    /// A record that is no type's.
    pub const NONE: VmType = VmType {
        display: [0; VmType::DISPLAY],
        depth: 0,
        size: 0,
        more_display: ptr::null(),
        ref_offsets: ptr::null(),
        ref_count: 0,
        _pad: 0,
    };

    /// The offset of a record in the table.
    pub const fn offset(word: TypeWord) -> usize {
        word.number() as usize * size_of::<VmType>()
    }
}

const _: () = assert!(size_of::<VmType>() == 1 << VmType::SIZE_LOG2);
const _: () = assert!(offset_of!(VmType, display) == 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_number_and_a_kind_and_leads_to_a_record() {
        for number in [0, 1, 77, TypeWord::MAX_NUMBERS - 1] {
            for kind in ObjectKind::ALL {
                let word = TypeWord::new(number, kind);
                assert_eq!((word.number(), word.kind()), (number, kind));
                let offset = (word.0 & VmType::WORD_MASK) as usize;
                assert_eq!(offset << VmType::WORD_SHIFT, VmType::offset(word));
            }
        }
        assert_eq!((TypeWord::HOST.number(), TypeWord::HOST.kind()), (0, ObjectKind::Host));
        assert!(ObjectKind::ALL.iter().all(|&kind| TypeWord::new(1, kind).0 != 0));
    }
}
