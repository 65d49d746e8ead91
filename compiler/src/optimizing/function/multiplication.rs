//! Products of 128 bits, where guests make them of four smaller ones.
//!
//! WebAssembly without wide arithmetic has no upper half of a 64-bit product. Compilers call `__multi3` for it, which is inlined, and
//! libraries have the same in their own words:
//!
//! ```text
//! low = lo(a)·lo(b)        first = (low >> 32) + one of the mixed products        second = lo(first) + the other
//! upper half = hi(a)·hi(b) + (first >> 32) + (second >> 32)        lower half = second << 32 | lo(low)
//! ```
//!
//! The processor has an instruction for each half. No sum here can wrap, so the halves are those of `a·b` exactly. What they were made of
//! is left to the code generator, which drops what nobody else uses.

use super::translator::FuncTranslator;
use crate::optimizing::passes::Pass;
use cranelift_codegen::ir::{InstBuilder, InstructionData, Opcode, Value};
use smallvec::SmallVec;

/// The lower 32 bits.
const LOW: u64 = u32::MAX as u64;
/// Terms of a sum that are looked at.
const TERMS: usize = 6;

/// What `second` is made of.
struct Mixed {
    a: Value,
    b: Value,
    low: Value,
    first: Value,
}

impl FuncTranslator<'_> {
    /// The sum of `x` and `y`, both 64 bits wide, if it has the upper half of a product among its terms.
    pub(super) fn sum_with_upper_half(&mut self, x: Value, y: Value) -> Option<Value> {
        if !self.passes.has(Pass::WideProducts) {
            return None;
        }
        // Compilers add what comes of `second` last.
        self.shifted_down(y).or_else(|| self.shifted_down(x))?;
        let mut terms = SmallVec::<[Value; TERMS]>::new();
        self.terms(x, &mut terms);
        self.terms(y, &mut terms);
        let position = |wanted: Value| terms.iter().position(|&term| self.shifted_down(term) == Some(wanted));
        let (a, b, used) = terms.iter().enumerate().find_map(|(place, &term)| {
            let Mixed { a, b, first, .. } = self.mixed(self.shifted_down(term)?)?;
            let first = position(first)?;
            let upper =
                terms.iter().position(|&term| self.is_product(term, |x| self.is_high(x, a), |x| self.is_high(x, b)))?;
            Some((a, b, [place, first, upper]))
        })?;
        let mut sum = self.builder.ins().umulhi(a, b);
        for (place, term) in terms.into_iter().enumerate() {
            if !used.contains(&place) {
                sum = self.builder.ins().iadd(term, sum);
            }
        }
        Some(sum)
    }

    /// The disjunction of `x` and `y`, both 64 bits wide, if it is the lower half of a product.
    pub(super) fn lower_half(&mut self, x: Value, y: Value) -> Option<Value> {
        if !self.passes.has(Pass::WideProducts) {
            return None;
        }
        let (a, b) = [(x, y), (y, x)].into_iter().find_map(|(upper, lower)| {
            let second = self.by_constant(upper, Opcode::Ishl, 32)?;
            let lower = self.by_constant(lower, Opcode::Band, LOW)?;
            let Mixed { a, b, low, .. } = self.mixed(second)?;
            (low == lower).then_some((a, b))
        })?;
        Some(self.builder.ins().imul(a, b))
    }

    /// The terms of a sum, if they are few.
    fn terms(&self, value: Value, terms: &mut SmallVec<[Value; TERMS]>) {
        match self.operands(value, Opcode::Iadd) {
            // Each of the two takes a place at least.
            Some([x, y]) if terms.len() + 2 < TERMS && self.shifted_down(value).is_none() => {
                self.terms(x, terms);
                self.terms(y, terms);
            }
            _ => terms.push(value),
        }
    }

    /// What `second` in the file's comment is made of.
    fn mixed(&self, second: Value) -> Option<Mixed> {
        let [x, y] = self.operands(second, Opcode::Iadd)?;
        let (first, mixed) = self.one_by_constant(x, y, Opcode::Band, LOW)?;
        let [x, y] = self.operands(first, Opcode::Iadd)?;
        let (low, other) = self.one_by_constant(x, y, Opcode::Ushr, 32)?;
        let [x, y] = self.operands(low, Opcode::Imul)?;
        let (a, b) = (self.by_constant(x, Opcode::Band, LOW)?, self.by_constant(y, Opcode::Band, LOW)?);
        let is_mixed = |value, a, b| self.is_product(value, |x| self.is_high(x, a), |x| self.is_low(x, b));
        let both = is_mixed(mixed, a, b) && is_mixed(other, b, a) || is_mixed(mixed, b, a) && is_mixed(other, a, b);
        both.then_some(Mixed { a, b, low, first })
    }

    fn is_product(&self, value: Value, one: impl Fn(Value) -> bool, other: impl Fn(Value) -> bool) -> bool {
        self.operands(value, Opcode::Imul).is_some_and(|[x, y]| one(x) && other(y) || one(y) && other(x))
    }

    fn is_high(&self, value: Value, of: Value) -> bool {
        self.shifted_down(value) == Some(of)
    }

    fn is_low(&self, value: Value, of: Value) -> bool {
        self.by_constant(value, Opcode::Band, LOW) == Some(of)
    }

    fn shifted_down(&self, value: Value) -> Option<Value> {
        self.by_constant(value, Opcode::Ushr, 32)
    }

    /// Of two values the one that combines another with this constant, as that other; and the second value.
    fn one_by_constant(&self, x: Value, y: Value, opcode: Opcode, constant: u64) -> Option<(Value, Value)> {
        let combined = |value| self.by_constant(value, opcode, constant);
        combined(x).map(|of| (of, y)).or_else(|| combined(y).map(|of| (of, x)))
    }

    /// What an instruction combines with this constant.
    fn by_constant(&self, value: Value, opcode: Opcode, constant: u64) -> Option<Value> {
        let [x, y] = self.operands(value, opcode)?;
        if self.constant(y) == Some(constant) {
            return Some(x);
        }
        (opcode == Opcode::Band && self.constant(x) == Some(constant)).then_some(y)
    }

    /// The operands of an instruction of this kind.
    fn operands(&self, value: Value, wanted: Opcode) -> Option<[Value; 2]> {
        let dfg = &self.builder.func.dfg;
        match dfg.insts[dfg.value_def(dfg.resolve_aliases(value)).inst()?] {
            InstructionData::Binary { opcode, args } if opcode == wanted => {
                Some(args.map(|arg| dfg.resolve_aliases(arg)))
            }
            _ => None,
        }
    }
}
