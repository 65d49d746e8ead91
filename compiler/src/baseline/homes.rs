//! Homes: where operands and locals are in the frame when they are in no register.
//!
//! A home is given when it is first needed, and stays its owner's: an operand's belongs to its place on the stack and its size, so paths that meet
//! agree on it whatever they have done before. What never leaves its register has none.

use super::values::Kind;

/// The homes of a function. They are displacements from the frame pointer.
pub(super) struct Homes {
    /// Bytes below the frame pointer up to the last home.
    len: u32,
    /// Four bytes that were left over.
    spare: Option<i32>,
    /// Of operands, by place and by size. Zero is none.
    operands: Vec<[i32; 3]>,
}

impl Homes {
    /// With so many bytes below the frame pointer, a multiple of eight, that are somebody else's.
    pub fn below(len: u32) -> Self {
        Self { len, spare: None, operands: Vec::new() }
    }

    /// Bytes below the frame pointer that are in use.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// A new home.
    pub fn give(&mut self, kind: Kind) -> i32 {
        let size = kind.home_size();
        if size == 4
            && let Some(spare) = self.spare.take()
        {
            return spare;
        }
        // Each comes with code, of which there is a bounded amount.
        self.len += size.next_multiple_of(8);
        let home = -(self.len as i32);
        if size == 4 {
            self.spare = Some(home);
            return home + 4;
        }
        home
    }

    /// The home of an operand at this place of the stack.
    pub fn of_operand(&mut self, index: usize, kind: Kind) -> i32 {
        if self.operands.len() <= index {
            self.operands.resize(index + 1, [0; 3]);
        }
        let by_size = (kind.home_size() / 4).ilog2() as usize;
        match self.operands[index][by_size] {
            0 => {
                let home = self.give(kind);
                self.operands[index][by_size] = home;
                home
            }
            home => home,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_as_large_as_what_they_hold() {
        let mut homes = Homes::below(8);
        let given = [Kind::I32, Kind::F64, Kind::Reference, Kind::V128, Kind::F32].map(|kind| homes.give(kind));
        assert_eq!(given, [-12, -24, -16, -40, -44]);
        assert_eq!(homes.len(), 48);
    }

    #[test]
    fn an_operand_finds_the_home_of_its_place_again() {
        let mut homes = Homes::below(0);
        let first = homes.of_operand(7, Kind::I32);
        let of_another_size = homes.of_operand(7, Kind::I64);
        assert_ne!(homes.of_operand(6, Kind::I32), first);
        assert_eq!(homes.of_operand(7, Kind::F32), first);
        assert_eq!(homes.of_operand(7, Kind::F64), of_another_size);
        assert_eq!(homes.len(), 16, "no place is between them");
    }
}
