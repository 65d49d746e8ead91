//! Operators on integers and floats.

use super::translator::Translator;
use super::values::{Holds, Kind, Place, Value};
use super::x64::{
    Alu, Class, Condition, Extend, Float, Mem, Operand, RAX, RCX, RDX, Reg, SCRATCH, Shift, VECTOR_SCRATCH, Width,
    by_width, emit, mem, mem_indexed,
};
use crate::CompileError;
use ampoule_core::builtins::Builtin;
use ampoule_core::trap::TrapCode;
use cranelift_assembler_x64 as x64;
use wasmparser::Operator;

/// A shift to the left by a few bits, which has been emitted.
#[derive(Clone, Copy)]
pub(super) struct Scaled {
    from: Reg,
    by: u8,
    width: Width,
    /// A register that nothing else is in.
    to: Reg,
    /// Where its code begins and ends.
    start: u32,
    end: u32,
}

impl Translator<'_> {
    /// Translates constants, comparisons, arithmetic and conversions.
    #[allow(clippy::too_many_lines, reason = "a line for each operator")]
    pub(super) fn numeric_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        use Condition as C;
        use Float::{F32, F64};
        use Operator as O;
        use Width::{W32, W64};
        match *op {
            O::I32Const { value } => self.push(Kind::I32, Place::Const(u64::from(value as u32))),
            O::I64Const { value } => self.push(Kind::I64, Place::Const(value as u64)),
            O::F32Const { value } => self.push(Kind::F32, Place::Const(u64::from(value.bits()))),
            O::F64Const { value } => self.push(Kind::F64, Place::Const(value.bits())),

            O::I32Eqz => self.is_zero(W32),
            O::I64Eqz => self.is_zero(W64),
            O::I32Eq => self.compare(W32, C::Equal),
            O::I32Ne => self.compare(W32, C::NotEqual),
            O::I32LtS => self.compare(W32, C::LessSigned),
            O::I32LtU => self.compare(W32, C::Below),
            O::I32GtS => self.compare(W32, C::GreaterSigned),
            O::I32GtU => self.compare(W32, C::Above),
            O::I32LeS => self.compare(W32, C::LessOrEqualSigned),
            O::I32LeU => self.compare(W32, C::BelowOrEqual),
            O::I32GeS => self.compare(W32, C::GreaterOrEqualSigned),
            O::I32GeU => self.compare(W32, C::AboveOrEqual),
            O::I64Eq => self.compare(W64, C::Equal),
            O::I64Ne => self.compare(W64, C::NotEqual),
            O::I64LtS => self.compare(W64, C::LessSigned),
            O::I64LtU => self.compare(W64, C::Below),
            O::I64GtS => self.compare(W64, C::GreaterSigned),
            O::I64GtU => self.compare(W64, C::Above),
            O::I64LeS => self.compare(W64, C::LessOrEqualSigned),
            O::I64LeU => self.compare(W64, C::BelowOrEqual),
            O::I64GeS => self.compare(W64, C::GreaterOrEqualSigned),
            O::I64GeU => self.compare(W64, C::AboveOrEqual),

            O::I32Add => self.add(W32),
            O::I64Add => self.add(W64),
            O::I32Sub => self.alu(Alu::Sub, W32, false),
            O::I64Sub => self.alu(Alu::Sub, W64, false),
            O::I32And => self.alu(Alu::And, W32, true),
            O::I64And => self.alu(Alu::And, W64, true),
            O::I32Or => self.alu(Alu::Or, W32, true),
            O::I64Or => self.alu(Alu::Or, W64, true),
            O::I32Xor => self.alu(Alu::Xor, W32, true),
            O::I64Xor => self.alu(Alu::Xor, W64, true),
            O::I32Mul => self.multiply(W32),
            O::I64Mul => self.multiply(W64),
            O::I32Shl => self.shift(Shift::Left, W32),
            O::I64Shl => self.shift(Shift::Left, W64),
            O::I32ShrS => self.shift(Shift::RightSigned, W32),
            O::I64ShrS => self.shift(Shift::RightSigned, W64),
            O::I32ShrU => self.shift(Shift::RightUnsigned, W32),
            O::I64ShrU => self.shift(Shift::RightUnsigned, W64),
            O::I32Rotl => self.shift(Shift::RotateLeft, W32),
            O::I64Rotl => self.shift(Shift::RotateLeft, W64),
            O::I32Rotr => self.shift(Shift::RotateRight, W32),
            O::I64Rotr => self.shift(Shift::RotateRight, W64),
            O::I32DivS => self.divide(W32, true, false),
            O::I64DivS => self.divide(W64, true, false),
            O::I32DivU => self.divide(W32, false, false),
            O::I64DivU => self.divide(W64, false, false),
            O::I32RemS => self.divide(W32, true, true),
            O::I64RemS => self.divide(W64, true, true),
            O::I32RemU => self.divide(W32, false, true),
            O::I64RemU => self.divide(W64, false, true),
            O::I32Clz => self.leading_zeros(W32),
            O::I64Clz => self.leading_zeros(W64),
            O::I32Ctz => self.trailing_zeros(W32),
            O::I64Ctz => self.trailing_zeros(W64),
            O::I32Popcnt => self.population(W32),
            O::I64Popcnt => self.population(W64),

            O::I32WrapI64 => self.wrap(),
            O::I64ExtendI32U => self.retype(Kind::I64),
            O::I64ExtendI32S | O::I64Extend32S => self.extend(Extend::Signed32, Kind::I64),
            O::I32Extend8S => self.extend(Extend::Signed8(W32), Kind::I32),
            O::I32Extend16S => self.extend(Extend::Signed16(W32), Kind::I32),
            O::I64Extend8S => self.extend(Extend::Signed8(W64), Kind::I64),
            O::I64Extend16S => self.extend(Extend::Signed16(W64), Kind::I64),

            O::F32Eq => self.compare_floats_equal(F32, true),
            O::F64Eq => self.compare_floats_equal(F64, true),
            O::F32Ne => self.compare_floats_equal(F32, false),
            O::F64Ne => self.compare_floats_equal(F64, false),
            O::F32Gt => self.compare_floats(F32, C::Above, false),
            O::F64Gt => self.compare_floats(F64, C::Above, false),
            O::F32Ge => self.compare_floats(F32, C::AboveOrEqual, false),
            O::F64Ge => self.compare_floats(F64, C::AboveOrEqual, false),
            O::F32Lt => self.compare_floats(F32, C::Above, true),
            O::F64Lt => self.compare_floats(F64, C::Above, true),
            O::F32Le => self.compare_floats(F32, C::AboveOrEqual, true),
            O::F64Le => self.compare_floats(F64, C::AboveOrEqual, true),

            O::F32Add => self.float_binary(F32, FloatOp::Add),
            O::F64Add => self.float_binary(F64, FloatOp::Add),
            O::F32Sub => self.float_binary(F32, FloatOp::Sub),
            O::F64Sub => self.float_binary(F64, FloatOp::Sub),
            O::F32Mul => self.float_binary(F32, FloatOp::Mul),
            O::F64Mul => self.float_binary(F64, FloatOp::Mul),
            O::F32Div => self.float_binary(F32, FloatOp::Div),
            O::F64Div => self.float_binary(F64, FloatOp::Div),
            O::F32Min => self.float_min_max(F32, true),
            O::F64Min => self.float_min_max(F64, true),
            O::F32Max => self.float_min_max(F32, false),
            O::F64Max => self.float_min_max(F64, false),
            O::F32Sqrt => self.square_root(F32),
            O::F64Sqrt => self.square_root(F64),
            O::F32Abs => self.absolute(F32),
            O::F64Abs => self.absolute(F64),
            O::F32Neg => self.negate(F32),
            O::F64Neg => self.negate(F64),
            O::F32Copysign => self.copy_sign(F32),
            O::F64Copysign => self.copy_sign(F64),
            O::F32Ceil => self.round(F32, 2, Builtin::CeilF32)?,
            O::F64Ceil => self.round(F64, 2, Builtin::CeilF64)?,
            O::F32Floor => self.round(F32, 1, Builtin::FloorF32)?,
            O::F64Floor => self.round(F64, 1, Builtin::FloorF64)?,
            O::F32Trunc => self.round(F32, 3, Builtin::TruncF32)?,
            O::F64Trunc => self.round(F64, 3, Builtin::TruncF64)?,
            O::F32Nearest => self.round(F32, 0, Builtin::NearestF32)?,
            O::F64Nearest => self.round(F64, 0, Builtin::NearestF64)?,

            O::F32ConvertI32S => self.convert_signed(F32, W32),
            O::F32ConvertI64S => self.convert_signed(F32, W64),
            O::F64ConvertI32S => self.convert_signed(F64, W32),
            O::F64ConvertI64S => self.convert_signed(F64, W64),
            // What is 32 bits wide and unsigned is a signed one of 64.
            O::F32ConvertI32U => self.convert_signed(F32, W64),
            O::F64ConvertI32U => self.convert_signed(F64, W64),
            O::F32ConvertI64U => self.convert_unsigned(F32),
            O::F64ConvertI64U => self.convert_unsigned(F64),
            O::F32DemoteF64 => self.demote(),
            O::F64PromoteF32 => self.promote(),
            O::I32ReinterpretF32 => self.move_to_general(Kind::I32),
            O::I64ReinterpretF64 => self.move_to_general(Kind::I64),
            O::F32ReinterpretI32 => self.move_to_vector(Kind::F32),
            O::F64ReinterpretI64 => self.move_to_vector(Kind::F64),

            O::I32TruncF32S => self.truncate(F32, Kind::I32, true, false),
            O::I32TruncF32U => self.truncate(F32, Kind::I32, false, false),
            O::I32TruncF64S => self.truncate(F64, Kind::I32, true, false),
            O::I32TruncF64U => self.truncate(F64, Kind::I32, false, false),
            O::I64TruncF32S => self.truncate(F32, Kind::I64, true, false),
            O::I64TruncF32U => self.truncate(F32, Kind::I64, false, false),
            O::I64TruncF64S => self.truncate(F64, Kind::I64, true, false),
            O::I64TruncF64U => self.truncate(F64, Kind::I64, false, false),
            O::I32TruncSatF32S => self.truncate(F32, Kind::I32, true, true),
            O::I32TruncSatF32U => self.truncate(F32, Kind::I32, false, true),
            O::I32TruncSatF64S => self.truncate(F64, Kind::I32, true, true),
            O::I32TruncSatF64U => self.truncate(F64, Kind::I32, false, true),
            O::I64TruncSatF32S => self.truncate(F32, Kind::I64, true, true),
            O::I64TruncSatF32U => self.truncate(F32, Kind::I64, false, true),
            O::I64TruncSatF64S => self.truncate(F64, Kind::I64, true, true),
            O::I64TruncSatF64U => self.truncate(F64, Kind::I64, false, true),

            O::I64Add128 => self.add_wide(Alu::Add),
            O::I64Sub128 => self.add_wide(Alu::Sub),
            O::I64MulWideS => self.multiply_wide(true),
            O::I64MulWideU => self.multiply_wide(false),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn is_zero(&mut self, width: Width) {
        if let Some(condition) = self.flags.take() {
            self.stack.pop();
            return self.push_flags(condition.inverse());
        }
        let value = self.pop();
        if let Place::Const(bits) = value.place {
            return self.push(Kind::I32, Place::Const(u64::from(bits == 0)));
        }
        let reg = self.read(value);
        self.asm.test(width, reg);
        self.push_flags(Condition::Equal);
    }

    fn compare(&mut self, width: Width, mut condition: Condition) {
        let (mut second, mut first) = (self.pop(), self.pop());
        if let Place::Const(_) = first.place {
            (first, second) = (second, first);
            condition = condition.exchanged();
        }
        let reg = self.read(first);
        if second.place == Place::Const(0) && matches!(condition, Condition::Equal | Condition::NotEqual) {
            self.asm.test(width, reg);
        } else {
            let with = self.operand(second);
            self.asm.alu(Alu::Cmp, width, reg, with);
        }
        self.push_flags(condition);
    }

    /// The operands of an operator of two integers: the second comes first off the stack. Where they may be exchanged, constants come second and
    /// what is in a register of its own first.
    fn operands(&mut self, commutes: bool) -> (Value, Value) {
        let (second, first) = (self.pop(), self.pop());
        let swap = match (first.place, second.place) {
            (Place::Const(_), Place::Const(_)) => false,
            (Place::Const(_), _) => true,
            (Place::Local(_) | Place::Home(_), Place::Reg(_)) => true,
            _ => false,
        };
        if commutes && swap { (second, first) } else { (first, second) }
    }

    fn alu(&mut self, op: Alu, width: Width, commutes: bool) {
        let (first, second) = self.operands(commutes);
        let with = self.operand(second);
        let to = self.own(first);
        self.asm.alu(op, width, to, with);
        self.push_reg(first.kind, to);
    }

    fn add(&mut self, width: Width) {
        let (first, second) = self.operands(true);
        if let (Place::Const(a), Place::Const(b)) = (first.place, second.place) {
            let sum = match width {
                Width::W32 => u64::from((a as u32).wrapping_add(b as u32)),
                Width::W64 => a.wrapping_add(b),
            };
            return self.push(first.kind, Place::Const(sum));
        }
        let with = self.operand(second);
        if let (Place::Local(local), Operand::Reg(_) | Operand::Imm(_)) = (first.place, with) {
            // The sum of what stays goes elsewhere.
            let from = self.local_reg(local);
            let to = self.alloc(Class::General);
            let sum = match with {
                Operand::Imm(value) => mem(from, value),
                Operand::Reg(other) => mem_indexed(from, other, 0, 0),
                Operand::Frame(_) => unreachable!("it was left out"),
            };
            self.asm.address(width, to, sum);
            return self.push_reg(first.kind, to);
        }
        if let (Place::Reg(to), Operand::Reg(other)) = (first.place, with)
            && let Some(sum) = self.sum_with_scaled(width, to, other)
        {
            self.asm.address(width, to, sum);
            return self.push_reg(first.kind, to);
        }
        let to = self.own(first);
        self.asm.alu(Alu::Add, width, to, with);
        self.push_reg(first.kind, to);
    }

    /// The sum of two registers as an address, if one has just been shifted by as much as an index of an address may be: then the shift is taken
    /// back.
    fn sum_with_scaled(&mut self, width: Width, first: Reg, second: Reg) -> Option<Mem> {
        let Scaled { from, by, to, start, end, .. } = self.scaled.take().filter(|scaled| scaled.width == width)?;
        let other = match to {
            to if to == first => second,
            to if to == second => first,
            _ => return None,
        };
        // A local that it was written to needs it as well.
        if let Holds::Local(_) = self.regs.holds[to.index()] {
            return None;
        }
        // Nothing has been emitted since, so what was shifted is still in its register.
        self.asm.take_back(start, end).then(|| mem_indexed(other, from, by, 0))
    }

    fn multiply(&mut self, width: Width) {
        let (first, second) = self.operands(true);
        let with = self.operand(second);
        let to = self.own(first);
        self.asm.multiply(width, to, with);
        self.push_reg(first.kind, to);
    }

    fn shift(&mut self, shift: Shift, width: Width) {
        let by = *self.stack.last().expect("validation counted the operands");
        let bits = if width == Width::W32 { 32 } else { 64 };
        if let Place::Const(by) = by.place {
            self.pop();
            let value = self.pop();
            let by = (by % bits) as u8;
            let (from, to) = match value.place {
                Place::Local(local) => (self.local_reg(local), self.alloc(Class::General)),
                _ => {
                    let reg = self.own(value);
                    (reg, reg)
                }
            };
            let start = self.asm.offset();
            if from != to {
                self.asm.mov_all(to, from);
            }
            if by != 0 {
                self.asm.shift_imm(shift, width, to, by);
            }
            if shift == Shift::Left && matches!(by, 1..=3) {
                self.scaled = Some(Scaled { from, by, width, to, start, end: self.asm.offset() });
            }
            return self.push_reg(value.kind, to);
        }
        if self.cpu.bmi2 && !matches!(shift, Shift::RotateLeft | Shift::RotateRight) {
            let (by, value) = (self.pop(), self.pop());
            let by = self.read(by).number();
            let from = self.read(value).number();
            let to = match value.place {
                Place::Reg(reg) => reg,
                _ => self.alloc(Class::General),
            };
            match shift {
                Shift::Left => by_width!(self.asm, width, shlxl_rmv, shlxq_rmv, to.number(), from, by),
                Shift::RightSigned => by_width!(self.asm, width, sarxl_rmv, sarxq_rmv, to.number(), from, by),
                _ => by_width!(self.asm, width, shrxl_rmv, shrxq_rmv, to.number(), from, by),
            }
            return self.push_reg(value.kind, to);
        }
        self.reserve(RCX);
        let (by, value) = (self.pop(), self.pop());
        self.move_to(by, RCX);
        let to = self.own(value);
        self.asm.shift_by_rcx(shift, width, to);
        self.push_reg(value.kind, to);
    }

    fn divide(&mut self, width: Width, signed: bool, remainder: bool) {
        self.reserve(RAX);
        self.reserve(RDX);
        let (divisor, dividend) = (self.pop(), self.pop());
        self.move_to(dividend, RAX);
        // A constant that is neither zero nor minus one needs no look at it.
        let harmless = matches!(divisor.place, Place::Const(bits) if {
            let minus_one = if width == Width::W32 { u64::from(u32::MAX) } else { u64::MAX };
            bits != 0 && bits != minus_one
        });
        let by = match divisor.place {
            Place::Const(_) | Place::Home(_) => self.own(divisor),
            _ => self.read(divisor),
        };
        if !harmless {
            self.asm.test(width, by);
            self.trap_if(Condition::Equal, TrapCode::IntegerDivisionByZero);
        }
        let done = self.asm.label();
        if signed {
            if !harmless {
                self.divide_by_minus_one(width, by, remainder, done);
            }
            match width {
                Width::W32 => emit!(self.asm, cltd_zo, x64::Fixed(RDX.number()), x64::Fixed(RAX.number())),
                Width::W64 => emit!(self.asm, cqto_zo, x64::Fixed(RDX.number()), x64::Fixed(RAX.number())),
            }
        } else {
            self.asm.mov_imm(RDX, 0);
        }
        let (low, high) = (x64::Fixed(RAX.number()), x64::Fixed(RDX.number()));
        // What could fault has been excluded.
        let code = x64::TrapCode(std::num::NonZeroU8::new(TrapCode::IntegerDivisionByZero as u8 + 1).expect("it is"));
        match (width, signed) {
            (Width::W32, true) => emit!(self.asm, idivl_m, low, high, by.number(), code),
            (Width::W64, true) => emit!(self.asm, idivq_m, low, high, by.number(), code),
            (Width::W32, false) => emit!(self.asm, divl_m, low, high, by.number(), code),
            (Width::W64, false) => emit!(self.asm, divq_m, low, high, by.number(), code),
        }
        self.asm.bind(done);
        self.push_reg(dividend.kind, if remainder { RDX } else { RAX });
    }

    /// The quotient that the processor can't compute: of the least integer and minus one. The remainder is zero.
    fn divide_by_minus_one(&mut self, width: Width, by: Reg, remainder: bool, done: super::x64::Label) {
        let usual = self.asm.label();
        self.asm.alu(Alu::Cmp, width, by, Operand::Imm(-1));
        if remainder {
            self.asm.mov_imm(RDX, 0);
            self.asm.jump_if(Condition::Equal, done);
        } else {
            self.asm.jump_if(Condition::NotEqual, usual);
            by_width!(self.asm, width, negl_m, negq_m, RAX.number());
            self.trap_if(Condition::Overflow, TrapCode::IntegerOverflow);
            self.asm.jump(done);
        }
        self.asm.bind(usual);
    }

    fn leading_zeros(&mut self, width: Width) {
        let value = self.pop();
        let reg = self.own(value);
        let number = reg.number();
        if self.cpu.lzcnt {
            by_width!(self.asm, width, lzcntl_rm, lzcntq_rm, number, number);
        } else {
            // Of zero, nothing is written: then it is as if the bit below the lowest were the highest.
            let bits = if width == Width::W32 { 32 } else { 64 };
            self.asm.mov_imm(SCRATCH, u64::MAX);
            by_width!(self.asm, width, bsrl_rm, bsrq_rm, number, number);
            self.asm.mov_if(Condition::Equal, Width::W64, reg, SCRATCH);
            by_width!(self.asm, Width::W64, negl_m, negq_m, number);
            self.asm.alu(Alu::Add, Width::W64, reg, Operand::Imm(bits - 1));
        }
        self.push_reg(value.kind, reg);
    }

    fn trailing_zeros(&mut self, width: Width) {
        let value = self.pop();
        let reg = self.own(value);
        let number = reg.number();
        if self.cpu.bmi1 {
            by_width!(self.asm, width, tzcntl_a, tzcntq_a, number, number);
        } else {
            self.asm.mov_imm(SCRATCH, if width == Width::W32 { 32 } else { 64 });
            by_width!(self.asm, width, bsfl_rm, bsfq_rm, number, number);
            self.asm.mov_if(Condition::Equal, Width::W64, reg, SCRATCH);
        }
        self.push_reg(value.kind, reg);
    }

    fn population(&mut self, width: Width) {
        let value = self.pop();
        let reg = self.own(value);
        let number = reg.number();
        if self.cpu.popcnt {
            by_width!(self.asm, width, popcntl_rm, popcntq_rm, number, number);
        } else {
            self.population_in_steps(width, reg);
        }
        self.push_reg(value.kind, reg);
    }

    /// Sums of pairs, of fours, of bytes; and the sum of the bytes by a product.
    fn population_in_steps(&mut self, width: Width, reg: Reg) {
        let mask = |byte: u64| {
            let all = byte * 0x0101_0101_0101_0101;
            if width == Width::W32 { all & u64::from(u32::MAX) } else { all }
        };
        let other = self.alloc(Class::General);
        let half = |this: &mut Self, by: u8, with: u64| {
            this.asm.mov_all(other, reg);
            this.asm.shift_imm(Shift::RightUnsigned, width, other, by);
            this.asm.mov_imm(SCRATCH, mask(with));
            this.asm.alu(Alu::And, width, other, Operand::Reg(SCRATCH));
        };
        half(self, 1, 0x55);
        self.asm.alu(Alu::Sub, width, reg, Operand::Reg(other));
        half(self, 2, 0x33);
        self.asm.alu(Alu::And, width, reg, Operand::Reg(SCRATCH));
        self.asm.alu(Alu::Add, width, reg, Operand::Reg(other));
        self.asm.mov_all(other, reg);
        self.asm.shift_imm(Shift::RightUnsigned, width, other, 4);
        self.asm.alu(Alu::Add, width, reg, Operand::Reg(other));
        self.asm.mov_imm(SCRATCH, mask(0x0f));
        self.asm.alu(Alu::And, width, reg, Operand::Reg(SCRATCH));
        self.asm.mov_imm(SCRATCH, mask(0x01));
        self.asm.multiply(width, reg, Operand::Reg(SCRATCH));
        self.asm.shift_imm(Shift::RightUnsigned, width, reg, if width == Width::W32 { 24 } else { 56 });
    }

    fn wrap(&mut self) {
        let value = self.pop();
        match value.place {
            Place::Const(bits) => self.push(Kind::I32, Place::Const(u64::from(bits as u32))),
            Place::Local(local) => {
                let from = self.local_reg(local);
                let to = self.alloc(Class::General);
                self.asm.mov(Width::W32, to, from);
                self.push_reg(Kind::I32, to);
            }
            _ => {
                let reg = self.own(value);
                self.asm.mov(Width::W32, reg, reg);
                self.push_reg(Kind::I32, reg);
            }
        }
    }

    /// What is as good as it is.
    fn retype(&mut self, kind: Kind) {
        let value = self.pop();
        match value.place {
            Place::Const(bits) => self.push(kind, Place::Const(bits)),
            _ => {
                let reg = self.own(value);
                self.push_reg(kind, reg);
            }
        }
    }

    fn extend(&mut self, extend: Extend, kind: Kind) {
        let value = self.pop();
        let from = self.read(value);
        let to = match value.place {
            Place::Local(_) => self.alloc(Class::General),
            _ => from,
        };
        self.asm.extend(extend, to, from);
        self.push_reg(kind, to);
    }

    fn compare_floats(&mut self, float: Float, condition: Condition, exchange: bool) {
        let (second, first) = (self.pop(), self.pop());
        let (first, second) = if exchange { (second, first) } else { (first, second) };
        let (first, second) = (self.read(first), self.read(second));
        self.compare_float_regs(float, first, second);
        self.push_flags(condition);
    }

    fn compare_float_regs(&mut self, float: Float, first: Reg, second: Reg) {
        match float {
            Float::F32 => emit!(self.asm, ucomiss_a, first.number(), second.number()),
            Float::F64 => emit!(self.asm, ucomisd_a, first.number(), second.number()),
        }
    }

    /// Floats are equal where the flags say so and neither is no number.
    fn compare_floats_equal(&mut self, float: Float, equal: bool) {
        let (second, first) = (self.pop(), self.pop());
        let (first, second) = (self.read(first), self.read(second));
        self.compare_float_regs(float, first, second);
        let to = self.alloc(Class::General);
        self.asm.set_if(if equal { Condition::NoParity } else { Condition::Parity }, SCRATCH);
        self.asm.set_if(if equal { Condition::Equal } else { Condition::NotEqual }, to);
        self.asm.alu(if equal { Alu::And } else { Alu::Or }, Width::W32, to, Operand::Reg(SCRATCH));
        self.push_reg(Kind::I32, to);
    }

    fn float_binary(&mut self, float: Float, op: FloatOp) {
        let (second, first) = (self.pop(), self.pop());
        let from = self.read(second);
        let to = self.own(first);
        self.float_op(float, op, to, from);
        self.canonicalize(float, to);
        self.push_reg(first.kind, to);
    }

    fn float_op(&mut self, float: Float, op: FloatOp, to: Reg, from: Reg) {
        let (to, from) = (to.number(), from.number());
        match (op, float) {
            (FloatOp::Add, Float::F32) => emit!(self.asm, addss_a, to, from),
            (FloatOp::Add, Float::F64) => emit!(self.asm, addsd_a, to, from),
            (FloatOp::Sub, Float::F32) => emit!(self.asm, subss_a, to, from),
            (FloatOp::Sub, Float::F64) => emit!(self.asm, subsd_a, to, from),
            (FloatOp::Mul, Float::F32) => emit!(self.asm, mulss_a, to, from),
            (FloatOp::Mul, Float::F64) => emit!(self.asm, mulsd_a, to, from),
            (FloatOp::Div, Float::F32) => emit!(self.asm, divss_a, to, from),
            (FloatOp::Div, Float::F64) => emit!(self.asm, divsd_a, to, from),
            (FloatOp::Min, Float::F32) => emit!(self.asm, minss_a, to, from),
            (FloatOp::Min, Float::F64) => emit!(self.asm, minsd_a, to, from),
            (FloatOp::Max, Float::F32) => emit!(self.asm, maxss_a, to, from),
            (FloatOp::Max, Float::F64) => emit!(self.asm, maxsd_a, to, from),
        }
    }

    /// Minimum and maximum: of numbers that differ the processor's; of equal ones, which may be zeros of either sign, their bits combined;
    /// of what is no number, the sum, which isn't either.
    fn float_min_max(&mut self, float: Float, min: bool) {
        let (second, first) = (self.pop(), self.pop());
        let from = self.read(second);
        let to = self.own(first);
        let (differ, done, nan) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.compare_float_regs(float, to, from);
        self.asm.jump_if(Condition::NotEqual, differ);
        self.asm.jump_if(Condition::Parity, nan);
        match min {
            true => emit!(self.asm, orps_a, to.number(), from.number()),
            false => emit!(self.asm, andps_a, to.number(), from.number()),
        }
        self.asm.jump(done);
        self.asm.bind(nan);
        self.float_op(float, FloatOp::Add, to, from);
        self.asm.jump(done);
        self.asm.bind(differ);
        self.float_op(float, if min { FloatOp::Min } else { FloatOp::Max }, to, from);
        self.asm.bind(done);
        self.canonicalize(float, to);
        self.push_reg(first.kind, to);
    }

    fn square_root(&mut self, float: Float) {
        let value = self.pop();
        let reg = self.own(value);
        match float {
            Float::F32 => emit!(self.asm, sqrtss_a, reg.number(), reg.number()),
            Float::F64 => emit!(self.asm, sqrtsd_a, reg.number(), reg.number()),
        }
        self.canonicalize(float, reg);
        self.push_reg(value.kind, reg);
    }

    /// Gives what is no number the canonical bits, where that is asked for.
    fn canonicalize(&mut self, float: Float, reg: Reg) {
        if !self.canonical_nans {
            return;
        }
        let next = self.asm.label();
        self.compare_float_regs(float, reg, reg);
        self.asm.jump_if(Condition::NoParity, next);
        self.load_const_bits(reg, if float == Float::F32 { 0x7fc0_0000 } else { 0x7ff8_0000_0000_0000 });
        self.asm.bind(next);
    }

    fn load_const_bits(&mut self, to: Reg, bits: u64) {
        self.load_const(Kind::F64, bits, to);
    }

    fn sign(float: Float) -> u64 {
        match float {
            Float::F32 => 1 << 31,
            Float::F64 => 1 << 63,
        }
    }

    fn absolute(&mut self, float: Float) {
        let value = self.pop();
        let reg = self.own(value);
        self.load_const_bits(VECTOR_SCRATCH, Self::sign(float) - 1);
        emit!(self.asm, andps_a, reg.number(), VECTOR_SCRATCH.number());
        self.push_reg(value.kind, reg);
    }

    fn negate(&mut self, float: Float) {
        let value = self.pop();
        let reg = self.own(value);
        self.load_const_bits(VECTOR_SCRATCH, Self::sign(float));
        emit!(self.asm, xorps_a, reg.number(), VECTOR_SCRATCH.number());
        self.push_reg(value.kind, reg);
    }

    fn copy_sign(&mut self, float: Float) {
        let (second, first) = (self.pop(), self.pop());
        let sign = self.own(second);
        let to = self.own(first);
        self.load_const_bits(VECTOR_SCRATCH, Self::sign(float));
        emit!(self.asm, andps_a, sign.number(), VECTOR_SCRATCH.number());
        emit!(self.asm, andnps_a, VECTOR_SCRATCH.number(), to.number());
        emit!(self.asm, orps_a, VECTOR_SCRATCH.number(), sign.number());
        emit!(self.asm, movaps_a, to.number(), VECTOR_SCRATCH.number());
        self.push_reg(first.kind, to);
    }

    /// Rounds to an integer: to the nearest (0), down (1), up (2) or towards zero (3).
    fn round(&mut self, float: Float, mode: u8, builtin: Builtin) -> Result<(), CompileError> {
        /// No exception for what isn't exact.
        const QUIET: u8 = 8;
        if self.cpu.sse41 {
            let value = self.pop();
            let reg = self.own(value);
            match float {
                Float::F32 => emit!(self.asm, roundss_rmi, reg.number(), reg.number(), mode | QUIET),
                Float::F64 => emit!(self.asm, roundsd_rmi, reg.number(), reg.number(), mode | QUIET),
            }
            self.canonicalize(float, reg);
            self.push_reg(value.kind, reg);
        } else {
            let value = self.pop();
            return self.call_builtin(builtin, &[super::call::Argument::Value(value)]);
        }
        Ok(())
    }

    fn convert_signed(&mut self, float: Float, width: Width) {
        let value = self.pop();
        let from = self.read(value).number();
        let to = self.alloc(Class::Vector);
        // What was in the register is not waited for.
        self.asm.zero_vector(to);
        let number = to.number();
        match (float, width) {
            (Float::F32, Width::W32) => emit!(self.asm, cvtsi2ssl_a, number, from),
            (Float::F32, Width::W64) => emit!(self.asm, cvtsi2ssq_a, number, from),
            (Float::F64, Width::W32) => emit!(self.asm, cvtsi2sdl_a, number, from),
            (Float::F64, Width::W64) => emit!(self.asm, cvtsi2sdq_a, number, from),
        }
        self.push_reg(float_kind(float), to);
    }

    /// Of an integer beyond the signed ones, half is converted, with what is lost kept in the lowest bit, and doubled.
    fn convert_unsigned(&mut self, float: Float) {
        let value = self.pop();
        let from = self.own(value);
        let to = self.alloc(Class::Vector);
        let convert = |this: &mut Self| match float {
            Float::F32 => emit!(this.asm, cvtsi2ssq_a, to.number(), from.number()),
            Float::F64 => emit!(this.asm, cvtsi2sdq_a, to.number(), from.number()),
        };
        self.asm.zero_vector(to);
        let (large, done) = (self.asm.label(), self.asm.label());
        self.asm.test(Width::W64, from);
        self.asm.jump_if(Condition::Negative, large);
        convert(self);
        self.asm.jump(done);
        self.asm.bind(large);
        self.asm.mov_all(SCRATCH, from);
        self.asm.shift_imm(Shift::RightUnsigned, Width::W64, from, 1);
        self.asm.alu(Alu::And, Width::W32, SCRATCH, Operand::Imm(1));
        self.asm.alu(Alu::Or, Width::W64, from, Operand::Reg(SCRATCH));
        convert(self);
        self.float_op(float, FloatOp::Add, to, to);
        self.asm.bind(done);
        self.push_reg(float_kind(float), to);
    }

    fn demote(&mut self) {
        let value = self.pop();
        let reg = self.own(value);
        emit!(self.asm, cvtsd2ss_a, reg.number(), reg.number());
        self.canonicalize(Float::F32, reg);
        self.push_reg(Kind::F32, reg);
    }

    fn promote(&mut self) {
        let value = self.pop();
        let reg = self.own(value);
        emit!(self.asm, cvtss2sd_a, reg.number(), reg.number());
        self.canonicalize(Float::F64, reg);
        self.push_reg(Kind::F64, reg);
    }

    fn move_to_general(&mut self, kind: Kind) {
        let value = self.pop();
        if let Place::Const(bits) = value.place {
            return self.push(kind, Place::Const(bits));
        }
        let from = self.read(value).number();
        let to = self.alloc(Class::General);
        by_width!(self.asm, kind.width(), movd_b, movq_b, to.number(), from);
        self.push_reg(kind, to);
    }

    fn move_to_vector(&mut self, kind: Kind) {
        let value = self.pop();
        if let Place::Const(bits) = value.place {
            return self.push(kind, Place::Const(bits));
        }
        let from = self.read(value).number();
        let to = self.alloc(Class::Vector);
        by_width!(self.asm, value.kind.width(), movd_a, movq_a, to.number(), from);
        self.push_reg(kind, to);
    }

    /// Truncates towards zero. What doesn't fit traps or, where it saturates, becomes the nearest integer there is; what is no number, zero.
    fn truncate(&mut self, float: Float, kind: Kind, signed: bool, saturates: bool) {
        let value = self.pop();
        let from = self.own(value);
        let to = self.alloc(Class::General);
        let done = self.asm.label();
        // No number at all.
        self.compare_float_regs(float, from, from);
        if saturates {
            let number = self.asm.label();
            self.asm.jump_if(Condition::NoParity, number);
            self.asm.mov_imm(to, 0);
            self.asm.jump(done);
            self.asm.bind(number);
        } else {
            self.trap_if(Condition::Parity, TrapCode::BadConversionToInteger);
        }
        let limits = Limits::of(float, kind, signed);
        // Below all integers of the type.
        self.load_const_bits(VECTOR_SCRATCH, limits.low);
        self.compare_float_regs(float, from, VECTOR_SCRATCH);
        let low_enough = if limits.low_is_in { Condition::Below } else { Condition::BelowOrEqual };
        self.out_of_range(low_enough, saturates, limits.least, to, done);
        // Above them.
        self.load_const_bits(VECTOR_SCRATCH, limits.high);
        self.compare_float_regs(float, from, VECTOR_SCRATCH);
        self.out_of_range(Condition::AboveOrEqual, saturates, limits.greatest, to, done);
        if kind == Kind::I64 && !signed {
            self.truncate_unsigned_64(float, from, to);
        } else {
            // Unsigned ones of 32 bits are signed ones of 64.
            let wide = kind == Kind::I64 || !signed;
            self.truncate_signed(float, if wide { Width::W64 } else { Width::W32 }, from, to);
        }
        self.asm.bind(done);
        self.push_reg(kind, to);
    }

    fn out_of_range(&mut self, condition: Condition, saturates: bool, nearest: u64, to: Reg, done: super::x64::Label) {
        if !saturates {
            return self.trap_if(condition, TrapCode::IntegerOverflow);
        }
        self.asm.mov_imm(to, nearest);
        self.asm.jump_if(condition, done);
    }

    fn truncate_signed(&mut self, float: Float, width: Width, from: Reg, to: Reg) {
        let (from, to) = (from.number(), to.number());
        match (float, width) {
            (Float::F32, Width::W32) => emit!(self.asm, cvttss2si_a, to, from),
            (Float::F32, Width::W64) => emit!(self.asm, cvttss2si_aq, to, from),
            (Float::F64, Width::W32) => emit!(self.asm, cvttsd2si_a, to, from),
            (Float::F64, Width::W64) => emit!(self.asm, cvttsd2si_aq, to, from),
        }
    }

    /// What is in range, and may be beyond the signed integers: then it is truncated less their number.
    fn truncate_unsigned_64(&mut self, float: Float, from: Reg, to: Reg) {
        let (small, done) = (self.asm.label(), self.asm.label());
        let half = match float {
            Float::F32 => u64::from(9_223_372_036_854_775_808f32.to_bits()),
            Float::F64 => 9_223_372_036_854_775_808f64.to_bits(),
        };
        self.load_const_bits(VECTOR_SCRATCH, half);
        self.compare_float_regs(float, from, VECTOR_SCRATCH);
        self.asm.jump_if(Condition::Below, small);
        self.float_op(float, FloatOp::Sub, from, VECTOR_SCRATCH);
        self.truncate_signed(float, Width::W64, from, to);
        self.asm.mov_imm(SCRATCH, 1 << 63);
        self.asm.alu(Alu::Xor, Width::W64, to, Operand::Reg(SCRATCH));
        self.asm.jump(done);
        self.asm.bind(small);
        self.truncate_signed(float, Width::W64, from, to);
        self.asm.bind(done);
    }

    /// Sums and differences of integers of 128 bits: halves are added with what is carried.
    fn add_wide(&mut self, op: Alu) {
        let (second_high, second_low) = (self.pop(), self.pop());
        let (first_high, first_low) = (self.pop(), self.pop());
        let (second_low, second_high) = (self.read(second_low), self.read(second_high));
        let (low, high) = (self.own(first_low), self.own(first_high));
        self.asm.alu(op, Width::W64, low, Operand::Reg(second_low));
        match op {
            Alu::Add => emit!(self.asm, adcq_rm, high.number(), second_high.number()),
            _ => emit!(self.asm, sbbq_rm, high.number(), second_high.number()),
        }
        self.push_reg(Kind::I64, low);
        self.push_reg(Kind::I64, high);
    }

    fn multiply_wide(&mut self, signed: bool) {
        self.reserve(RAX);
        self.reserve(RDX);
        let (second, first) = (self.pop(), self.pop());
        self.move_to(first, RAX);
        let by = self.read(second).number();
        let (low, high) = (x64::Fixed(RAX.number()), x64::Fixed(RDX.number()));
        match signed {
            true => emit!(self.asm, imulq_m, low, high, by),
            false => emit!(self.asm, mulq_m, low, high, by),
        }
        self.push_reg(Kind::I64, RAX);
        self.push_reg(Kind::I64, RDX);
    }
}

/// Operations of two floats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FloatOp {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
}

fn float_kind(float: Float) -> Kind {
    match float {
        Float::F32 => Kind::F32,
        Float::F64 => Kind::F64,
    }
}

/// Which floats can be truncated to integers of a type.
struct Limits {
    /// The bits of the greatest float that is too small or, if `low_is_in`, of the least that isn't.
    low: u64,
    low_is_in: bool,
    /// Those of the least that is too large.
    high: u64,
    least: u64,
    greatest: u64,
}

impl Limits {
    fn of(float: Float, kind: Kind, signed: bool) -> Self {
        let bits = |value: f64| match float {
            // All that is asked for is exact in either.
            Float::F32 => u64::from((value as f32).to_bits()),
            Float::F64 => value.to_bits(),
        };
        let width = if kind == Kind::I32 { 32 } else { 64 };
        let top = 2f64.powi(if signed { width - 1 } else { width });
        // Between the least integer and the one below lie floats that are truncated to it, if the type has so many digits.
        let (low, low_is_in) = match (signed, float, kind) {
            (false, ..) => (-1.0, false),
            (true, Float::F64, Kind::I32) => (-top - 1.0, false),
            (true, ..) => (-top, true),
        };
        let all = if kind == Kind::I32 { u64::from(u32::MAX) } else { u64::MAX };
        let (least, greatest) = if signed { ((all >> 1) + 1, all >> 1) } else { (0, all) };
        Self { low: bits(low), low_is_in, high: bits(top), least, greatest }
    }
}
