//! Types of objects, as machine code and the collector see them: the word that every object begins with, and the record that it leads to.
//!
//! An engine has one table of records for all its types ([`super::VmStoreContext::types`]). A type word is the offset of the type's record
//! in it, so that machine code adds it to the table's address and nothing else. The table has a quarter for each kind of object: the word tells
//! the kind, too. Records never move; a number is used again only once no object of the type before can exist.

use std::mem::offset_of;
use std::ptr;

/// What an object is: the quarter of the table that its type word leads to.
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
    /// All of them, by their numbers.
    pub const ALL: [ObjectKind; 4] = [Self::Struct, Self::Array, Self::Exception, Self::Host];

    /// The least type word of this kind. Those of a kind are below the least of the next.
    pub const fn first_word(self) -> u32 {
        (self as u32) << (TypeWord::NUMBERS_LOG2 + VmType::SIZE_LOG2)
    }
}

/// The first word of an object, unique per type and engine. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct TypeWord(pub u32);

impl TypeWord {
    const NUMBERS_LOG2: u32 = 20;
    /// Numbers of types are below this.
    pub const MAX_NUMBERS: u32 = 1 << Self::NUMBERS_LOG2;
    /// Bytes of the table: what a word leads to is within. Where there is no type's record it is zeros.
    pub const TABLE_BYTES: usize = ObjectKind::ALL.len() << (Self::NUMBERS_LOG2 + VmType::SIZE_LOG2);

    /// The word of a value of the host. Its number, zero, is no type's.
    pub const HOST: TypeWord = TypeWord::new(0, ObjectKind::Host);

    /// The word of the type with this number.
    pub const fn new(number: u32, kind: ObjectKind) -> Self {
        TypeWord(kind.first_word() | number << VmType::SIZE_LOG2)
    }

    /// The number of the type. No two types have the same, whatever their kinds.
    pub const fn number(self) -> u32 {
        self.0 >> VmType::SIZE_LOG2 & (Self::MAX_NUMBERS - 1)
    }

    /// What objects of the type are.
    pub const fn kind(self) -> ObjectKind {
        ObjectKind::ALL[(self.0 >> (Self::NUMBERS_LOG2 + VmType::SIZE_LOG2) & 3) as usize]
    }

    /// The offset of the type's record in the table.
    pub const fn offset(self) -> usize {
        self.0 as usize
    }

    /// Whether a record is where the word leads to.
    pub const fn is_record(self) -> bool {
        (self.0 as usize) < Self::TABLE_BYTES && self.0.is_multiple_of(1 << VmType::SIZE_LOG2)
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
}

const _: () = assert!(size_of::<VmType>() == 1 << VmType::SIZE_LOG2);
const _: () = assert!(offset_of!(VmType, display) == 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_number_and_a_kind_and_leads_to_a_record() {
        let mut words = Vec::new();
        for kind in ObjectKind::ALL {
            for number in [0, 1, 77, TypeWord::MAX_NUMBERS - 1] {
                let word = TypeWord::new(number, kind);
                assert_eq!((word.number(), word.kind()), (number, kind));
                assert!(word.is_record() && word.offset() + size_of::<VmType>() <= TypeWord::TABLE_BYTES);
                words.push(word.0);
            }
        }
        assert!(words.is_sorted_by(|a, b| a + size_of::<VmType>() as u32 <= *b), "no two records overlap");
        assert_eq!((TypeWord::HOST.number(), TypeWord::HOST.kind()), (0, ObjectKind::Host));
        assert!(ObjectKind::ALL.iter().all(|&kind| TypeWord::new(1, kind).0 != 0));
        assert!(!TypeWord(TypeWord::TABLE_BYTES as u32).is_record() && !TypeWord(32).is_record());
    }
}
