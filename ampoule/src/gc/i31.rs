//! 31-bit integers as references: they need no heap, and no store.

use ampoule_core::vm::VmRef;

/// In place of a store's id: integers are of every store.
const EVERY_STORE: u64 = u64::MAX;

/// An `i31ref` that isn't null.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct I31(u32);

impl I31 {
    /// The low 31 bits of `value`.
    pub fn wrapping(value: u32) -> Self {
        I31(value & (u32::MAX >> 1))
    }

    /// The reference as guest code holds it: above a set lowest bit, which no object's reference has.
    pub fn to_raw(self) -> u32 {
        self.0 << 1 | 1
    }

    /// The integer of a raw reference; `None` for null and for objects.
    pub fn from_raw(raw: u32) -> Option<Self> {
        (raw & 1 == 1).then_some(I31(raw >> 1))
    }

    /// The reference in words, for C.
    pub fn into_vm(value: Option<I31>) -> VmRef {
        value.map_or(VmRef::NULL, |value| VmRef { store_id: EVERY_STORE, private1: value.to_raw(), ..VmRef::NULL })
    }

    /// The integer in these words; `None` for null.
    pub fn from_vm(words: &VmRef) -> Option<I31> {
        if words.store_id == 0 { None } else { I31::from_raw(words.private1) }
    }

    /// The integer, zero-extended.
    pub fn get_u(self) -> u32 {
        self.0
    }

    /// The integer, sign-extended.
    pub fn get_s(self) -> i32 {
        (self.0 << 1).cast_signed() >> 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_the_range_come_back() {
        for (value, signed) in
            [(0, 0), (1, 1), (0x3fff_ffff, 0x3fff_ffff), (0x4000_0000, -0x4000_0000), (0x7fff_ffff, -1)]
        {
            let i31 = I31::wrapping(value);
            assert_eq!(I31::from_raw(i31.to_raw()), Some(i31));
            assert_eq!((i31.get_u(), i31.get_s()), (value, signed));
        }
        assert_eq!(I31::wrapping(u32::MAX), I31::wrapping(0x7fff_ffff));
        assert_eq!(I31::from_raw(0), None);
        assert_eq!(I31::from_raw(2), None);
    }
}
