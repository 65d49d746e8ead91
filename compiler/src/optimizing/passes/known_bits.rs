//! What is known of the bits of integers, without running the code, and what can be left out for it.
//!
//! Masks and extensions that change nothing go away. An address of 32 bits that a constant is added to without wrapping takes the constant along
//! in 64 bits, where the machine adds it for nothing. Signed operators on numbers that aren't negative become unsigned ones, or the other way
//! round, whichever is cheaper.
//!
//! Of each value there are two facts: the bits that may be set, and the greatest number that it may be, both unsigned. They are found in one
//! walk, each value after those that it is made of. What goes round in a loop may be anything.
//!
//! What is right about it: a fact holds in every run that reaches the value's definition, and what takes its place has the same bits in every such
//! run. Nothing that may trap is added or left out.

use super::values::{self, constant_of, index, take_for};
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    Block, BlockCall, Function, Inst, InstBuilder, InstructionData, Opcode, Type, Value, types,
};

/// What is known of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Bits {
    /// Those that may be set.
    may: u64,
    /// The greatest number.
    max: u64,
}

impl Bits {
    /// At most this number.
    fn at_most(max: u64) -> Self {
        Self { may: u64::MAX.checked_shr(max.leading_zeros()).unwrap_or(0), max }
    }

    /// Some of these bits.
    fn of_mask(may: u64) -> Self {
        Self { may, max: may }
    }

    /// Of a type of so many bits, and no more.
    fn any(ty: Type) -> Self {
        Self::of_mask(mask(ty))
    }

    fn constant(number: u64) -> Self {
        Self { may: number, max: number }
    }

    /// Either of two values.
    fn or(self, other: Self) -> Self {
        Self { may: self.may | other.may, max: self.max.max(other.max) }
    }

    /// What both say.
    fn and(self, other: Self) -> Self {
        let may = self.may & other.may;
        let max = self.max.min(other.max).min(may);
        Self { may: may & Self::at_most(max).may, max }
    }
}

/// The bits of a type.
fn mask(ty: Type) -> u64 {
    match ty.bits() {
        64.. => u64::MAX,
        bits => (1 << bits) - 1,
    }
}

/// Finds out what is known, and changes the function. Takes time in proportion to it.
pub(super) fn run(func: &mut Function) {
    // As they were translated: nearly always before those they lead to.
    let order: Vec<Block> = func.layout.blocks().collect();
    let mut pass = Pass { known: vec![None; func.dfg.num_values()], ways_left: vec![0; func.dfg.num_blocks()] };
    for &block in &order {
        for (to, _) in ways_on(func, block) {
            pass.ways_left[to.as_u32() as usize] += 1;
        }
    }
    for block in order {
        // What goes round has not been seen.
        if pass.ways_left[block.as_u32() as usize] > 0 {
            pass.forget_params(func, block);
        }
        let mut next = func.layout.first_inst(block);
        while let Some(inst) = next {
            next = func.layout.next_inst(inst);
            pass.visit(func, inst);
        }
        pass.hand_on(func, block);
    }
}

/// Where a block leads, and what it hands on to there.
fn ways_on(func: &Function, block: Block) -> impl Iterator<Item = (Block, &BlockCall)> {
    let dfg = &func.dfg;
    let branch = func.layout.last_inst(block);
    let calls = branch.map(|branch| dfg.insts[branch].branch_destination(&dfg.jump_tables, &dfg.exception_tables));
    calls.into_iter().flatten().map(|call| (call.block(&dfg.value_lists), call))
}

struct Pass {
    /// By value; `None` where nothing is known.
    known: Vec<Option<Bits>>,
    /// By block, how many ways lead to it that have not been seen.
    ways_left: Vec<u32>,
}

impl Pass {
    fn of(&self, func: &Function, value: Value) -> Bits {
        let value = func.dfg.resolve_aliases(value);
        let known = self.known.get(index(value)).copied().flatten();
        known.unwrap_or_else(|| Bits::any(func.dfg.value_type(value)))
    }

    fn note(&mut self, value: Value, bits: Bits) {
        let index = index(value);
        if self.known.len() <= index {
            self.known.resize(index + 1, None);
        }
        self.known[index] = Some(bits);
    }

    /// Notes that a block's parameters may be anything: also behind what is handed on to them later.
    fn forget_params(&mut self, func: &Function, block: Block) {
        for &param in func.dfg.block_params(block) {
            self.note(param, Bits::any(func.dfg.value_type(param)));
        }
    }

    /// Notes what a block hands on to the parameters of others.
    fn hand_on(&mut self, func: &Function, block: Block) {
        for (to, call) in ways_on(func, block) {
            self.ways_left[to.as_u32() as usize] -= 1;
            for (&param, arg) in func.dfg.block_params(to).iter().zip(call.args(&func.dfg.value_lists)) {
                let ty = func.dfg.value_type(param);
                if !ty.is_int() || ty.bits() > 64 {
                    continue;
                }
                let bits = arg.as_value().map_or(Bits::any(ty), |value| self.of(func, value));
                let before = self.known[index(param)];
                self.note(param, before.map_or(bits, |before| before.or(bits)));
            }
        }
    }

    /// Looks at an instruction whose operands have been looked at.
    fn visit(&mut self, func: &mut Function, inst: Inst) {
        self.simplify(func, inst);
        let Some(&result) = func.dfg.inst_results(inst).first() else { return };
        let ty = func.dfg.value_type(result);
        if ty.is_int()
            && ty.bits() <= 64
            && let Some(bits) = self.result(func, inst, ty)
        {
            self.note(result, bits.and(Bits::any(ty)));
        }
    }

    /// What is known of an instruction's result, from what is known of its operands.
    fn result(&self, func: &Function, inst: Inst, ty: Type) -> Option<Bits> {
        let data = &func.dfg.insts[inst];
        let args = func.dfg.inst_args(inst);
        let arg = |index: usize| self.of(func, args[index]);
        let constant = |index: usize| constant(func, args[index]);
        let sum = |exact: Option<u64>| exact.filter(|&sum| sum <= mask(ty)).map(Bits::at_most);
        match data.opcode() {
            Opcode::Iconst => constant_of(func, inst).map(|number| Bits::constant(number as u64 & mask(ty))),
            Opcode::Band => Some(arg(0).and(arg(1))),
            Opcode::Bor | Opcode::Bxor => Some(Bits::of_mask(arg(0).may | arg(1).may)),
            Opcode::Iadd => sum(arg(0).max.checked_add(arg(1).max)),
            Opcode::Imul => sum(arg(0).max.checked_mul(arg(1).max)),
            Opcode::Ishl => constant(1).map(|by| {
                let by = by & u64::from(ty.bits() - 1);
                let Bits { may, max } = arg(0);
                let shifted = Bits::of_mask(may << by & mask(ty));
                if max.leading_zeros() as u64 >= by && max << by <= mask(ty) {
                    Bits { may: shifted.may, max: max << by }
                } else {
                    shifted
                }
            }),
            Opcode::Ushr => constant(1).map(|by| {
                let by = by & u64::from(ty.bits() - 1);
                let Bits { may, max } = arg(0);
                Bits { may: may >> by, max: max >> by }
            }),
            Opcode::Uextend => Some(arg(0)),
            Opcode::Ireduce => {
                let Bits { may, max } = arg(0);
                Some(if max <= mask(ty) { Bits { may, max } } else { Bits::of_mask(may & mask(ty)) })
            }
            Opcode::Uload8 => Some(Bits::at_most(0xff)),
            Opcode::Uload16 => Some(Bits::at_most(0xffff)),
            Opcode::Uload32 => Some(Bits::at_most(u64::from(u32::MAX))),
            Opcode::Icmp | Opcode::Fcmp => Some(Bits::at_most(1)),
            Opcode::Popcnt | Opcode::Clz | Opcode::Ctz => Some(Bits::at_most(u64::from(ty.bits()))),
            Opcode::Select => Some(arg(1).or(arg(2))),
            Opcode::Udiv => constant(1).filter(|&by| by != 0).map(|by| Bits::at_most(arg(0).max / by)),
            Opcode::Urem => constant(1).filter(|&by| by != 0).map(|by| Bits::at_most((by - 1).min(arg(0).max))),
            _ => None,
        }
    }

    /// Takes something cheaper for an instruction, where what is known allows it.
    fn simplify(&mut self, func: &mut Function, inst: Inst) {
        let opcode = func.dfg.insts[inst].opcode();
        match opcode {
            Opcode::Band => self.drop_mask(func, inst),
            Opcode::Uextend => self.extend(func, inst),
            Opcode::Sextend | Opcode::Sshr | Opcode::Sdiv | Opcode::Srem => self.take_unsigned(func, inst, opcode),
            Opcode::FcvtFromUint => {
                let operand = func.dfg.inst_args(inst)[0];
                let from = func.dfg.value_type(operand);
                if from.is_int() && self.of(func, operand).max <= mask(from) >> 1 {
                    let to = func.dfg.ctrl_typevar(inst);
                    func.replace(inst).fcvt_from_sint(to, operand);
                }
            }
            _ => {}
        }
    }

    /// A mask of bits that are not set anyway.
    fn drop_mask(&self, func: &mut Function, inst: Inst) {
        let [x, y] = [func.dfg.inst_args(inst)[0], func.dfg.inst_args(inst)[1]];
        for (value, other) in [(x, y), (y, x)] {
            if let Some(mask) = constant(func, other)
                && func.dfg.value_type(value).is_int()
                && self.of(func, value).may & !mask == 0
            {
                return take_for(func, inst, value);
            }
        }
    }

    /// An extension to 64 bits: of what was made from 64 bits that are the same already, of a byte or word that was loaded, of a sum.
    fn extend(&mut self, func: &mut Function, inst: Inst) {
        let operand = func.dfg.resolve_aliases(func.dfg.inst_args(inst)[0]);
        let result = func.dfg.first_result(inst);
        if func.dfg.value_type(result) != types::I64 || func.dfg.value_type(operand) != types::I32 {
            return;
        }
        let Some(def) = func.dfg.value_def(operand).inst() else { return };
        let args = func.dfg.inst_args(def);
        match func.dfg.insts[def].opcode() {
            Opcode::Ireduce
                if func.dfg.value_type(args[0]) == types::I64 && self.of(func, args[0]).max <= u64::from(u32::MAX) =>
            {
                take_for(func, inst, args[0]);
            }
            Opcode::Uload8 | Opcode::Uload16 => {
                let wide = widen_load(func, def);
                self.note(wide, self.of(func, operand));
                take_for(func, inst, wide);
            }
            Opcode::Iadd => {
                let (x, y) = (args[0], args[1]);
                let Some((x, by)) = constant(func, y).map(|by| (x, by)).or_else(|| Some((y, constant(func, x)?)))
                else {
                    return;
                };
                let fits = self.of(func, x).max.checked_add(by).is_some_and(|sum| sum <= u64::from(u32::MAX));
                if fits && by <= i32::MAX as u64 {
                    let mut cursor = FuncCursor::new(func).at_inst(inst);
                    cursor.use_srcloc(inst);
                    let wide = cursor.ins().uextend(types::I64, x);
                    let by = cursor.ins().iconst(types::I64, by as i64);
                    let extension = func.dfg.value_def(wide).unwrap_inst();
                    self.visit(func, extension);
                    self.note(by, Bits::constant(constant(func, by).unwrap_or_default()));
                    func.replace(inst).iadd(wide, by);
                }
            }
            _ => {}
        }
    }

    /// A signed operator on a number that isn't negative.
    fn take_unsigned(&self, func: &mut Function, inst: Inst, opcode: Opcode) {
        let result = func.dfg.first_result(inst);
        let ty = func.dfg.value_type(result);
        let args = func.dfg.inst_args(inst);
        let x = args[0];
        let from = func.dfg.value_type(x);
        if !from.is_int() || self.of(func, x).max > mask(from) >> 1 {
            return;
        }
        match (opcode, args.get(1).copied()) {
            (Opcode::Sextend, _) => {
                func.replace(inst).uextend(ty, x);
            }
            (Opcode::Sshr, Some(y)) => {
                func.replace(inst).ushr(x, y);
            }
            // By constants that aren't zero, or less.
            (Opcode::Sdiv, Some(y)) if is_positive(func, y) => {
                func.replace(inst).udiv(x, y);
            }
            (Opcode::Srem, Some(y)) if is_positive(func, y) => {
                func.replace(inst).urem(x, y);
            }
            _ => {}
        }
    }
}

/// Loads the same byte or word into 64 bits, and takes the 32 that were loaded from those.
fn widen_load(func: &mut Function, load: Inst) -> Value {
    let InstructionData::Load { opcode, arg, flags, offset } = func.dfg.insts[load] else {
        unreachable!("it is a load");
    };
    let mut cursor = FuncCursor::new(func).at_inst(load);
    cursor.use_srcloc(load);
    let flags = cursor.func.dfg.mem_flags[flags];
    let wide = match opcode {
        Opcode::Uload8 => cursor.ins().uload8(types::I64, flags, arg, offset),
        _ => cursor.ins().uload16(types::I64, flags, arg, offset),
    };
    func.replace(load).ireduce(types::I32, wide);
    wide
}

/// Whether a value is a constant above zero.
fn is_positive(func: &Function, value: Value) -> bool {
    constant(func, value).is_some_and(|number| number != 0 && number <= mask(func.dfg.value_type(value)) >> 1)
}

/// The number that a value is, if that is a constant, as unsigned.
fn constant(func: &Function, value: Value) -> Option<u64> {
    values::constant(func, value).map(|number| number as u64 & mask(func.dfg.value_type(value)))
}
