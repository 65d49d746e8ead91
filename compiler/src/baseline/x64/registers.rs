//! Registers, and sets of them.

use std::fmt;

/// A register: general ones from 0, vector registers from 16 on, both by their number in encodings.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Reg(u8);

/// How many registers there are.
pub(crate) const REGISTERS: usize = 32;
const VECTOR: u8 = 16;

impl Reg {
    pub const fn general(number: u8) -> Self {
        assert!(number < VECTOR);
        Self(number)
    }

    pub const fn vector(number: u8) -> Self {
        assert!(number < VECTOR);
        Self(VECTOR + number)
    }

    /// Its place in tables of all registers.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Its number in encodings.
    pub const fn number(self) -> u8 {
        self.0 % VECTOR
    }

    pub const fn class(self) -> Class {
        if self.0 < VECTOR { Class::General } else { Class::Vector }
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class() {
            Class::General => write!(f, "r{}", self.number()),
            Class::Vector => write!(f, "xmm{}", self.number()),
        }
    }
}

/// What a register can hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// Integers and references.
    General,
    /// Floats and vectors.
    Vector,
}

impl Class {
    /// The registers of the class that values may be in.
    pub const fn allocatable(self) -> RegSet {
        match self {
            Class::General => RegSet(0xffff & !(1 << RSP.0 | 1 << RBP.0 | 1 << SCRATCH.0)),
            Class::Vector => RegSet(0xffff_0000 & !(1 << VECTOR_SCRATCH.0)),
        }
    }
}

pub(crate) const RAX: Reg = Reg::general(0);
pub(crate) const RCX: Reg = Reg::general(1);
pub(crate) const RDX: Reg = Reg::general(2);
pub(crate) const RSP: Reg = Reg::general(4);
pub(crate) const RBP: Reg = Reg::general(5);
pub(crate) const RSI: Reg = Reg::general(6);
pub(crate) const RDI: Reg = Reg::general(7);
const R8: Reg = Reg::general(8);
const R9: Reg = Reg::general(9);
const R10: Reg = Reg::general(10);
/// Never holds a value from one instruction sequence to the next.
pub(crate) const SCRATCH: Reg = Reg::general(11);
pub(crate) const XMM0: Reg = Reg::vector(0);
/// As [`SCRATCH`].
pub(crate) const VECTOR_SCRATCH: Reg = Reg::vector(15);

/// Where the integer arguments of calls are, the first of which is the context.
pub(crate) const ARGUMENTS: [Reg; 6] = [RDI, RSI, RDX, RCX, R8, R9];
/// How many arguments are in vector registers, from the first on.
pub(crate) const VECTOR_ARGUMENTS: u8 = 8;
/// Where the integer results of guests' functions are. Those in vector registers are in the first eight.
pub(crate) const RESULTS: [Reg; 8] = [RAX, RCX, RDX, RSI, RDI, R8, R9, R10];

/// A set of registers.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RegSet(u32);

impl RegSet {
    pub const EMPTY: Self = Self(0);
    /// What functions leave as they found it.
    pub const CALLEE_SAVED: Self = Self(1 << 3 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15);

    pub fn contains(self, reg: Reg) -> bool {
        self.0 & 1 << reg.0 != 0
    }

    pub fn insert(&mut self, reg: Reg) {
        self.0 |= 1 << reg.0;
    }

    pub fn remove(&mut self, reg: Reg) {
        self.0 &= !(1 << reg.0);
    }

    /// Those that aren't in another.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those in both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The last in the order of numbers: the first few are those that instructions and calls ask for.
    pub fn last(self) -> Option<Reg> {
        self.0.checked_ilog2().map(|index| Reg(index as u8))
    }

    pub fn iter(self) -> impl Iterator<Item = Reg> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let index = (rest != 0).then(|| rest.trailing_zeros())?;
            rest &= rest - 1;
            Some(Reg(index as u8))
        })
    }
}

impl fmt::Debug for RegSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
