//! Operators on vectors: fixed-width SIMD and relaxed SIMD, with the instructions up to SSE4.2.
//!
//! Where relaxed SIMD leaves a choice, it is the other tier's: results don't depend on the tier.

use super::translator::Translator;
use super::values::{Kind, Place, Value};
use super::x64::{
    Alu, Assembler, Class, Condition, Extend, Float, Mem, Operand, Reg, SCRATCH, VECTOR_SCRATCH, Width, XMM0, emit,
};
use crate::CompileError;
use cranelift_assembler_x64 as x64;
use wasmparser::{MemArg, Operator};

/// An instruction of two vectors, the first of which takes the result.
type Binary = fn(&mut Assembler, u8, u8);

/// Names an instruction as a function.
macro_rules! instruction {
    ($inst:ident $(, $imm:expr)?) => {
        |asm: &mut Assembler, to: u8, from: u8| emit!(asm, $inst, to, from $(, $imm)?)
    };
}

/// Width of lanes, in bytes: one, two, four or eight.
type Lane = u8;

impl Translator<'_> {
    /// Translates an operator on vectors.
    pub(super) fn vector_operator(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        Ok(self.cpu.sse42
            && (self.vector_memory(op)
                || self.vector_lanes(op)
                || self.vector_comparison(op)
                || self.vector_bits(op)
                || self.vector_integers(op)
                || self.vector_floats(op)
                || self.vector_conversion(op)
                || self.relaxed_vector(op)))
    }

    /// Loads and stores.
    fn vector_memory(&mut self, op: &Operator<'_>) -> bool {
        use Operator as O;
        match op {
            O::V128Load { memarg } => self.load_by(memarg, 16, |asm, to, from| emit!(asm, movups_a, to, from)),
            O::V128Load8x8S { memarg } => self.load_by(memarg, 8, |asm, to, from| emit!(asm, pmovsxbw_a, to, from)),
            O::V128Load8x8U { memarg } => self.load_by(memarg, 8, |asm, to, from| emit!(asm, pmovzxbw_a, to, from)),
            O::V128Load16x4S { memarg } => self.load_by(memarg, 8, |asm, to, from| emit!(asm, pmovsxwd_a, to, from)),
            O::V128Load16x4U { memarg } => self.load_by(memarg, 8, |asm, to, from| emit!(asm, pmovzxwd_a, to, from)),
            O::V128Load32x2S { memarg } => self.load_by(memarg, 8, |asm, to, from| emit!(asm, pmovsxdq_a, to, from)),
            O::V128Load32x2U { memarg } => self.load_by(memarg, 8, |asm, to, from| emit!(asm, pmovzxdq_a, to, from)),
            O::V128Load8Splat { memarg } => self.load_by(memarg, 1, |asm, to, from| {
                asm.load_extended(Extend::Unsigned8, SCRATCH, from);
                splat_bytes(asm, to);
            }),
            O::V128Load16Splat { memarg } => self.load_by(memarg, 2, |asm, to, from| {
                asm.load_extended(Extend::Unsigned16, SCRATCH, from);
                splat_words(asm, to);
            }),
            O::V128Load32Splat { memarg } => self.load_by(memarg, 4, |asm, to, from| {
                emit!(asm, movss_a_m, to, from);
                emit!(asm, shufps_a, to, to, 0);
            }),
            O::V128Load64Splat { memarg } => self.load_by(memarg, 8, |asm, to, from| emit!(asm, movddup_a, to, from)),
            O::V128Load32Zero { memarg } => self.load_by(memarg, 4, |asm, to, from| emit!(asm, movss_a_m, to, from)),
            O::V128Load64Zero { memarg } => self.load_by(memarg, 8, |asm, to, from| emit!(asm, movsd_a_m, to, from)),
            O::V128Load8Lane { memarg, lane } => self.load_lane(memarg, 1, *lane),
            O::V128Load16Lane { memarg, lane } => self.load_lane(memarg, 2, *lane),
            O::V128Load32Lane { memarg, lane } => self.load_lane(memarg, 4, *lane),
            O::V128Load64Lane { memarg, lane } => self.load_lane(memarg, 8, *lane),
            O::V128Store { memarg } => {
                let value = self.pop();
                let from = self.read(value);
                let to = self.address(memarg, 16);
                self.asm.store_vector(to, from);
            }
            O::V128Store8Lane { memarg, lane } => self.store_lane(memarg, 1, *lane),
            O::V128Store16Lane { memarg, lane } => self.store_lane(memarg, 2, *lane),
            O::V128Store32Lane { memarg, lane } => self.store_lane(memarg, 4, *lane),
            O::V128Store64Lane { memarg, lane } => self.store_lane(memarg, 8, *lane),
            _ => return false,
        }
        true
    }

    /// Constants, and operators that move lanes.
    fn vector_lanes(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::V128Const { value } => {
                let to = self.alloc(Class::Vector);
                self.load_vector_const(to, *value.bytes());
                self.push_reg(Kind::V128, to);
            }
            Operator::I8x16Shuffle { lanes } => self.shuffle(lanes),
            Operator::I8x16Swizzle => self.swizzle(true),
            Operator::I8x16Splat => self.splat_integer(splat_bytes),
            Operator::I16x8Splat => self.splat_integer(splat_words),
            Operator::I32x4Splat => self.splat_integer(|asm, to| {
                emit!(asm, movd_a, to, SCRATCH.number());
                emit!(asm, pshufd_a, to, to, 0);
            }),
            Operator::I64x2Splat => self.splat_integer(|asm, to| {
                emit!(asm, movq_a, to, SCRATCH.number());
                emit!(asm, pshufd_a, to, to, 0x44);
            }),
            Operator::F32x4Splat => self.unary(|asm, to, from| emit!(asm, pshufd_a, to, from, 0)),
            Operator::F64x2Splat => self.unary(|asm, to, from| emit!(asm, pshufd_a, to, from, 0x44)),
            Operator::I8x16ExtractLaneS { lane } => self.extract_integer(1, lane, Some(Extend::Signed8(Width::W32))),
            Operator::I8x16ExtractLaneU { lane } => self.extract_integer(1, lane, None),
            Operator::I16x8ExtractLaneS { lane } => self.extract_integer(2, lane, Some(Extend::Signed16(Width::W32))),
            Operator::I16x8ExtractLaneU { lane } => self.extract_integer(2, lane, None),
            Operator::I32x4ExtractLane { lane } => self.extract_integer(4, lane, None),
            Operator::I64x2ExtractLane { lane } => self.extract_integer(8, lane, None),
            Operator::F32x4ExtractLane { lane } => self.extract_float(Kind::F32, lane * 0x55),
            Operator::F64x2ExtractLane { lane } => self.extract_float(Kind::F64, if lane == 0 { 0x44 } else { 0xee }),
            Operator::I8x16ReplaceLane { lane } => self.replace_integer(1, lane),
            Operator::I16x8ReplaceLane { lane } => self.replace_integer(2, lane),
            Operator::I32x4ReplaceLane { lane } => self.replace_integer(4, lane),
            Operator::I64x2ReplaceLane { lane } => self.replace_integer(8, lane),
            Operator::F32x4ReplaceLane { lane } => {
                self.with_operands(|this, to, from| emit!(this.asm, insertps_a, to, from, lane << 4));
            }
            Operator::F64x2ReplaceLane { lane: 0 } => self.binary(instruction!(movsd_a_r)),
            Operator::F64x2ReplaceLane { .. } => self.binary(instruction!(movlhps_rm)),
            _ => return false,
        }
        true
    }

    /// Comparisons lane by lane: all bits set where they hold.
    fn vector_comparison(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::I8x16Eq => self.binary(instruction!(pcmpeqb_a)),
            Operator::I8x16Ne => self.inverted(instruction!(pcmpeqb_a), false),
            Operator::I8x16GtS => self.binary(instruction!(pcmpgtb_a)),
            Operator::I8x16LtS => self.exchanged(instruction!(pcmpgtb_a)),
            Operator::I8x16LeS => self.inverted(instruction!(pcmpgtb_a), false),
            Operator::I8x16GeS => self.inverted(instruction!(pcmpgtb_a), true),
            Operator::I8x16GeU => self.compare_unsigned(instruction!(pmaxub_a), instruction!(pcmpeqb_a), false),
            Operator::I8x16LeU => self.compare_unsigned(instruction!(pminub_a), instruction!(pcmpeqb_a), false),
            Operator::I8x16LtU => self.compare_unsigned(instruction!(pmaxub_a), instruction!(pcmpeqb_a), true),
            Operator::I8x16GtU => self.compare_unsigned(instruction!(pminub_a), instruction!(pcmpeqb_a), true),
            Operator::I16x8Eq => self.binary(instruction!(pcmpeqw_a)),
            Operator::I16x8Ne => self.inverted(instruction!(pcmpeqw_a), false),
            Operator::I16x8GtS => self.binary(instruction!(pcmpgtw_a)),
            Operator::I16x8LtS => self.exchanged(instruction!(pcmpgtw_a)),
            Operator::I16x8LeS => self.inverted(instruction!(pcmpgtw_a), false),
            Operator::I16x8GeS => self.inverted(instruction!(pcmpgtw_a), true),
            Operator::I16x8GeU => self.compare_unsigned(instruction!(pmaxuw_a), instruction!(pcmpeqw_a), false),
            Operator::I16x8LeU => self.compare_unsigned(instruction!(pminuw_a), instruction!(pcmpeqw_a), false),
            Operator::I16x8LtU => self.compare_unsigned(instruction!(pmaxuw_a), instruction!(pcmpeqw_a), true),
            Operator::I16x8GtU => self.compare_unsigned(instruction!(pminuw_a), instruction!(pcmpeqw_a), true),
            Operator::I32x4Eq => self.binary(instruction!(pcmpeqd_a)),
            Operator::I32x4Ne => self.inverted(instruction!(pcmpeqd_a), false),
            Operator::I32x4GtS => self.binary(instruction!(pcmpgtd_a)),
            Operator::I32x4LtS => self.exchanged(instruction!(pcmpgtd_a)),
            Operator::I32x4LeS => self.inverted(instruction!(pcmpgtd_a), false),
            Operator::I32x4GeS => self.inverted(instruction!(pcmpgtd_a), true),
            Operator::I32x4GeU => self.compare_unsigned(instruction!(pmaxud_a), instruction!(pcmpeqd_a), false),
            Operator::I32x4LeU => self.compare_unsigned(instruction!(pminud_a), instruction!(pcmpeqd_a), false),
            Operator::I32x4LtU => self.compare_unsigned(instruction!(pmaxud_a), instruction!(pcmpeqd_a), true),
            Operator::I32x4GtU => self.compare_unsigned(instruction!(pminud_a), instruction!(pcmpeqd_a), true),
            Operator::I64x2Eq => self.binary(instruction!(pcmpeqq_a)),
            Operator::I64x2Ne => self.inverted(instruction!(pcmpeqq_a), false),
            Operator::I64x2GtS => self.binary(instruction!(pcmpgtq_a)),
            Operator::I64x2LtS => self.exchanged(instruction!(pcmpgtq_a)),
            Operator::I64x2LeS => self.inverted(instruction!(pcmpgtq_a), false),
            Operator::I64x2GeS => self.inverted(instruction!(pcmpgtq_a), true),
            Operator::F32x4Eq => self.binary(instruction!(cmpps_a, 0)),
            Operator::F32x4Ne => self.binary(instruction!(cmpps_a, 4)),
            Operator::F32x4Lt => self.binary(instruction!(cmpps_a, 1)),
            Operator::F32x4Le => self.binary(instruction!(cmpps_a, 2)),
            Operator::F32x4Gt => self.exchanged(instruction!(cmpps_a, 1)),
            Operator::F32x4Ge => self.exchanged(instruction!(cmpps_a, 2)),
            Operator::F64x2Eq => self.binary(instruction!(cmppd_a, 0)),
            Operator::F64x2Ne => self.binary(instruction!(cmppd_a, 4)),
            Operator::F64x2Lt => self.binary(instruction!(cmppd_a, 1)),
            Operator::F64x2Le => self.binary(instruction!(cmppd_a, 2)),
            Operator::F64x2Gt => self.exchanged(instruction!(cmppd_a, 1)),
            Operator::F64x2Ge => self.exchanged(instruction!(cmppd_a, 2)),
            _ => return false,
        }
        true
    }

    /// Bitwise operators, and those that make one truth or mask of all lanes.
    fn vector_bits(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::V128Not => {
                let value = self.pop();
                let reg = self.own(value);
                self.invert(reg);
                self.push_reg(Kind::V128, reg);
            }
            Operator::V128And => self.binary(instruction!(pand_a)),
            Operator::V128AndNot => self.exchanged(instruction!(pandn_a)),
            Operator::V128Or => self.binary(instruction!(por_a)),
            Operator::V128Xor => self.binary(instruction!(pxor_a)),
            Operator::V128Bitselect => self.bit_select(),
            Operator::V128AnyTrue => {
                let value = self.pop();
                let reg = self.read(value).number();
                emit!(self.asm, ptest_rm, reg, reg);
                self.push_flags(Condition::NotEqual);
            }
            Operator::I8x16AllTrue => self.all_true(instruction!(pcmpeqb_a)),
            Operator::I16x8AllTrue => self.all_true(instruction!(pcmpeqw_a)),
            Operator::I32x4AllTrue => self.all_true(instruction!(pcmpeqd_a)),
            Operator::I64x2AllTrue => self.all_true(instruction!(pcmpeqq_a)),
            Operator::I8x16Bitmask => self.bitmask(instruction!(pmovmskb_rm)),
            Operator::I16x8Bitmask => {
                let value = self.pop();
                let reg = self.own(value);
                self.asm.zero_vector(VECTOR_SCRATCH);
                emit!(self.asm, packsswb_a, reg.number(), VECTOR_SCRATCH.number());
                self.push_reg(Kind::V128, reg);
                self.bitmask(instruction!(pmovmskb_rm));
            }
            Operator::I32x4Bitmask => self.bitmask(instruction!(movmskps_rm)),
            Operator::I64x2Bitmask => self.bitmask(instruction!(movmskpd_rm)),
            _ => return false,
        }
        true
    }

    /// Arithmetic on integer lanes.
    fn vector_integers(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::I8x16Add => self.binary(instruction!(paddb_a)),
            Operator::I16x8Add => self.binary(instruction!(paddw_a)),
            Operator::I32x4Add => self.binary(instruction!(paddd_a)),
            Operator::I64x2Add => self.binary(instruction!(paddq_a)),
            Operator::I8x16Sub => self.binary(instruction!(psubb_a)),
            Operator::I16x8Sub => self.binary(instruction!(psubw_a)),
            Operator::I32x4Sub => self.binary(instruction!(psubd_a)),
            Operator::I64x2Sub => self.binary(instruction!(psubq_a)),
            Operator::I8x16AddSatS => self.binary(instruction!(paddsb_a)),
            Operator::I16x8AddSatS => self.binary(instruction!(paddsw_a)),
            Operator::I8x16AddSatU => self.binary(instruction!(paddusb_a)),
            Operator::I16x8AddSatU => self.binary(instruction!(paddusw_a)),
            Operator::I8x16SubSatS => self.binary(instruction!(psubsb_a)),
            Operator::I16x8SubSatS => self.binary(instruction!(psubsw_a)),
            Operator::I8x16SubSatU => self.binary(instruction!(psubusb_a)),
            Operator::I16x8SubSatU => self.binary(instruction!(psubusw_a)),
            Operator::I16x8Mul => self.binary(instruction!(pmullw_a)),
            Operator::I32x4Mul => self.binary(instruction!(pmulld_a)),
            Operator::I8x16MinS => self.binary(instruction!(pminsb_a)),
            Operator::I16x8MinS => self.binary(instruction!(pminsw_a)),
            Operator::I32x4MinS => self.binary(instruction!(pminsd_a)),
            Operator::I8x16MinU => self.binary(instruction!(pminub_a)),
            Operator::I16x8MinU => self.binary(instruction!(pminuw_a)),
            Operator::I32x4MinU => self.binary(instruction!(pminud_a)),
            Operator::I8x16MaxS => self.binary(instruction!(pmaxsb_a)),
            Operator::I16x8MaxS => self.binary(instruction!(pmaxsw_a)),
            Operator::I32x4MaxS => self.binary(instruction!(pmaxsd_a)),
            Operator::I8x16MaxU => self.binary(instruction!(pmaxub_a)),
            Operator::I16x8MaxU => self.binary(instruction!(pmaxuw_a)),
            Operator::I32x4MaxU => self.binary(instruction!(pmaxud_a)),
            Operator::I8x16AvgrU => self.binary(instruction!(pavgb_a)),
            Operator::I16x8AvgrU => self.binary(instruction!(pavgw_a)),
            Operator::I8x16NarrowI16x8S => self.binary(instruction!(packsswb_a)),
            Operator::I8x16NarrowI16x8U => self.binary(instruction!(packuswb_a)),
            Operator::I16x8NarrowI32x4S => self.binary(instruction!(packssdw_a)),
            Operator::I16x8NarrowI32x4U => self.binary(instruction!(packusdw_a)),
            Operator::I32x4DotI16x8S => self.binary(instruction!(pmaddwd_a)),
            Operator::I8x16Abs => self.unary(instruction!(pabsb_a)),
            Operator::I16x8Abs => self.unary(instruction!(pabsw_a)),
            Operator::I32x4Abs => self.unary(instruction!(pabsd_a)),
            Operator::I8x16Neg => self.negate_lanes(instruction!(psubb_a)),
            Operator::I16x8Neg => self.negate_lanes(instruction!(psubw_a)),
            Operator::I32x4Neg => self.negate_lanes(instruction!(psubd_a)),
            Operator::I64x2Neg => self.negate_lanes(instruction!(psubq_a)),
            Operator::I64x2Abs => self.absolute_quadwords(),
            Operator::I64x2Mul => self.multiply_quadwords(),
            Operator::I8x16Popcnt => self.population_of_bytes(),
            Operator::I16x8Q15MulrSatS => self.multiply_q15(true),
            Operator::I16x8Shl => self.shift_lanes(15, instruction!(psllw_a)),
            Operator::I16x8ShrU => self.shift_lanes(15, instruction!(psrlw_a)),
            Operator::I16x8ShrS => self.shift_lanes(15, instruction!(psraw_a)),
            Operator::I32x4Shl => self.shift_lanes(31, instruction!(pslld_a)),
            Operator::I32x4ShrU => self.shift_lanes(31, instruction!(psrld_a)),
            Operator::I32x4ShrS => self.shift_lanes(31, instruction!(psrad_a)),
            Operator::I64x2Shl => self.shift_lanes(63, instruction!(psllq_a)),
            Operator::I64x2ShrU => self.shift_lanes(63, instruction!(psrlq_a)),
            Operator::I64x2ShrS => self.shift_quadwords_signed(),
            Operator::I8x16Shl => self.shift_bytes(instruction!(psllw_a)),
            Operator::I8x16ShrU => self.shift_bytes(instruction!(psrlw_a)),
            Operator::I8x16ShrS => self.shift_bytes_signed(),
            Operator::I16x8ExtendLowI8x16S => self.unary(instruction!(pmovsxbw_a)),
            Operator::I16x8ExtendHighI8x16S => self.extend_high(instruction!(pmovsxbw_a)),
            Operator::I16x8ExtMulLowI8x16S => {
                self.multiply_extended(instruction!(pmovsxbw_a), instruction!(pmullw_a), false)
            }
            Operator::I16x8ExtMulHighI8x16S => {
                self.multiply_extended(instruction!(pmovsxbw_a), instruction!(pmullw_a), true)
            }
            Operator::I16x8ExtendLowI8x16U => self.unary(instruction!(pmovzxbw_a)),
            Operator::I16x8ExtendHighI8x16U => self.extend_high(instruction!(pmovzxbw_a)),
            Operator::I16x8ExtMulLowI8x16U => {
                self.multiply_extended(instruction!(pmovzxbw_a), instruction!(pmullw_a), false)
            }
            Operator::I16x8ExtMulHighI8x16U => {
                self.multiply_extended(instruction!(pmovzxbw_a), instruction!(pmullw_a), true)
            }
            Operator::I32x4ExtendLowI16x8S => self.unary(instruction!(pmovsxwd_a)),
            Operator::I32x4ExtendHighI16x8S => self.extend_high(instruction!(pmovsxwd_a)),
            Operator::I32x4ExtMulLowI16x8S => {
                self.multiply_extended(instruction!(pmovsxwd_a), instruction!(pmulld_a), false)
            }
            Operator::I32x4ExtMulHighI16x8S => {
                self.multiply_extended(instruction!(pmovsxwd_a), instruction!(pmulld_a), true)
            }
            Operator::I32x4ExtendLowI16x8U => self.unary(instruction!(pmovzxwd_a)),
            Operator::I32x4ExtendHighI16x8U => self.extend_high(instruction!(pmovzxwd_a)),
            Operator::I32x4ExtMulLowI16x8U => {
                self.multiply_extended(instruction!(pmovzxwd_a), instruction!(pmulld_a), false)
            }
            Operator::I32x4ExtMulHighI16x8U => {
                self.multiply_extended(instruction!(pmovzxwd_a), instruction!(pmulld_a), true)
            }
            Operator::I64x2ExtendLowI32x4S => self.unary(instruction!(pmovsxdq_a)),
            Operator::I64x2ExtendHighI32x4S => self.extend_high(instruction!(pmovsxdq_a)),
            Operator::I64x2ExtMulLowI32x4S => self.multiply_doublewords(0x50, instruction!(pmuldq_a)),
            Operator::I64x2ExtMulHighI32x4S => self.multiply_doublewords(0xfa, instruction!(pmuldq_a)),
            Operator::I64x2ExtendLowI32x4U => self.unary(instruction!(pmovzxdq_a)),
            Operator::I64x2ExtendHighI32x4U => self.extend_high(instruction!(pmovzxdq_a)),
            Operator::I64x2ExtMulLowI32x4U => self.multiply_doublewords(0x50, instruction!(pmuludq_a)),
            Operator::I64x2ExtMulHighI32x4U => self.multiply_doublewords(0xfa, instruction!(pmuludq_a)),
            Operator::I16x8ExtAddPairwiseI8x16S => {
                // The processor takes the bytes of the first operand as unsigned: those are the ones.
                let value = self.pop();
                let from = self.read(value);
                let to = self.alloc(Class::Vector);
                self.load_vector_const(to, [1; 16]);
                emit!(self.asm, pmaddubsw_a, to.number(), from.number());
                self.push_reg(Kind::V128, to);
            }
            Operator::I16x8ExtAddPairwiseI8x16U => self.with_constant([1; 16], instruction!(pmaddubsw_a)),
            Operator::I32x4ExtAddPairwiseI16x8S => self.with_constant(words(1), instruction!(pmaddwd_a)),
            Operator::I32x4ExtAddPairwiseI16x8U => {
                // As if they were signed, and what that takes away added again.
                self.with_constant(words(0x8000), instruction!(pxor_a));
                self.with_constant(words(1), instruction!(pmaddwd_a));
                self.with_constant(doublewords(0x1_0000), instruction!(paddd_a));
            }
            _ => return false,
        }
        true
    }

    /// Arithmetic on float lanes.
    fn vector_floats(&mut self, op: &Operator<'_>) -> bool {
        use Float::{F32, F64};
        match op {
            Operator::F32x4Add => self.float_lanes(F32, instruction!(addps_a)),
            Operator::F32x4Sub => self.float_lanes(F32, instruction!(subps_a)),
            Operator::F32x4Mul => self.float_lanes(F32, instruction!(mulps_a)),
            Operator::F32x4Div => self.float_lanes(F32, instruction!(divps_a)),
            Operator::F32x4Sqrt => self.float_lane_unary(F32, instruction!(sqrtps_a)),
            Operator::F32x4Nearest => self.float_lane_unary(F32, instruction!(roundps_rmi, 8)),
            Operator::F32x4Floor => self.float_lane_unary(F32, instruction!(roundps_rmi, 1 | 8)),
            Operator::F32x4Ceil => self.float_lane_unary(F32, instruction!(roundps_rmi, 2 | 8)),
            Operator::F32x4Trunc => self.float_lane_unary(F32, instruction!(roundps_rmi, 3 | 8)),
            Operator::F32x4PMin => self.exchanged(instruction!(minps_a)),
            Operator::F32x4PMax => self.exchanged(instruction!(maxps_a)),
            Operator::F32x4Min => self.minimum(F32),
            Operator::F32x4Max => self.maximum(F32),
            Operator::F64x2Add => self.float_lanes(F64, instruction!(addpd_a)),
            Operator::F64x2Sub => self.float_lanes(F64, instruction!(subpd_a)),
            Operator::F64x2Mul => self.float_lanes(F64, instruction!(mulpd_a)),
            Operator::F64x2Div => self.float_lanes(F64, instruction!(divpd_a)),
            Operator::F64x2Sqrt => self.float_lane_unary(F64, instruction!(sqrtpd_a)),
            Operator::F64x2Nearest => self.float_lane_unary(F64, instruction!(roundpd_rmi, 8)),
            Operator::F64x2Floor => self.float_lane_unary(F64, instruction!(roundpd_rmi, 1 | 8)),
            Operator::F64x2Ceil => self.float_lane_unary(F64, instruction!(roundpd_rmi, 2 | 8)),
            Operator::F64x2Trunc => self.float_lane_unary(F64, instruction!(roundpd_rmi, 3 | 8)),
            Operator::F64x2PMin => self.exchanged(instruction!(minpd_a)),
            Operator::F64x2PMax => self.exchanged(instruction!(maxpd_a)),
            Operator::F64x2Min => self.minimum(F64),
            Operator::F64x2Max => self.maximum(F64),
            Operator::F32x4Abs => self.with_constant(doublewords(u32::MAX >> 1), instruction!(andps_a)),
            Operator::F64x2Abs => self.with_constant(quadwords(u64::MAX >> 1), instruction!(andps_a)),
            Operator::F32x4Neg => self.with_constant(doublewords(1 << 31), instruction!(xorps_a)),
            Operator::F64x2Neg => self.with_constant(quadwords(1 << 63), instruction!(xorps_a)),
            _ => return false,
        }
        true
    }

    /// Conversions between integers and floats.
    fn vector_conversion(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::I32x4TruncSatF32x4S => self.truncate_signed_lanes(),
            Operator::I32x4TruncSatF32x4U => self.truncate_unsigned_lanes(),
            Operator::I32x4TruncSatF64x2SZero => self.truncate_signed_pair(),
            Operator::I32x4TruncSatF64x2UZero => self.truncate_unsigned_pair(),
            Operator::F32x4ConvertI32x4S => self.unary(instruction!(cvtdq2ps_a)),
            Operator::F32x4ConvertI32x4U => self.convert_unsigned_lanes(),
            Operator::F64x2ConvertLowI32x4S => self.unary(instruction!(cvtdq2pd_a)),
            Operator::F64x2ConvertLowI32x4U => {
                // The integer is the low half of a float that is larger by 2^52.
                self.with_constant(doublewords(0x4330_0000), instruction!(unpcklps_a));
                self.with_constant(quadwords(0x4330_0000_0000_0000), instruction!(subpd_a));
            }
            Operator::F32x4DemoteF64x2Zero => self.float_lane_unary(Float::F32, instruction!(cvtpd2ps_a)),
            Operator::F64x2PromoteLowF32x4 => self.float_lane_unary(Float::F64, instruction!(cvtps2pd_a)),
            _ => return false,
        }
        true
    }

    /// Operators with a choice of results.
    fn relaxed_vector(&mut self, op: &Operator<'_>) -> bool {
        use Float::{F32, F64};
        let free = !self.input.tunables.relaxed_simd_deterministic;
        // The cheap minimum answers a NaN operand as it is.
        let cheap_min = free && !self.canonical_nans;
        match op {
            Operator::I8x16RelaxedSwizzle => self.swizzle(!free),
            Operator::I32x4RelaxedTruncF32x4S if free => self.unary(instruction!(cvttps2dq_a)),
            Operator::I32x4RelaxedTruncF64x2SZero if free => self.unary(instruction!(cvttpd2dq_a)),
            Operator::I32x4RelaxedTruncF32x4S => self.truncate_signed_lanes(),
            Operator::I32x4RelaxedTruncF32x4U => self.truncate_unsigned_lanes(),
            Operator::I32x4RelaxedTruncF64x2SZero => self.truncate_signed_pair(),
            Operator::I32x4RelaxedTruncF64x2UZero => self.truncate_unsigned_pair(),
            Operator::F32x4RelaxedMadd => return self.multiply_add(F32, false),
            Operator::F64x2RelaxedMadd => return self.multiply_add(F64, false),
            Operator::F32x4RelaxedNmadd => return self.multiply_add(F32, true),
            Operator::F64x2RelaxedNmadd => return self.multiply_add(F64, true),
            Operator::I8x16RelaxedLaneselect if free => {
                self.blend(|asm, to, from, mask| emit!(asm, pblendvb_rm, to, from, mask));
            }
            Operator::I32x4RelaxedLaneselect if free => {
                self.blend(|asm, to, from, mask| emit!(asm, blendvps_rm0, to, from, mask));
            }
            Operator::I64x2RelaxedLaneselect if free => {
                self.blend(|asm, to, from, mask| emit!(asm, blendvpd_rm0, to, from, mask));
            }
            Operator::I8x16RelaxedLaneselect
            | Operator::I16x8RelaxedLaneselect
            | Operator::I32x4RelaxedLaneselect
            | Operator::I64x2RelaxedLaneselect => self.bit_select(),
            Operator::F32x4RelaxedMin if cheap_min => self.exchanged(instruction!(minps_a)),
            Operator::F64x2RelaxedMin if cheap_min => self.exchanged(instruction!(minpd_a)),
            Operator::F32x4RelaxedMax if cheap_min => self.exchanged(instruction!(maxps_a)),
            Operator::F64x2RelaxedMax if cheap_min => self.exchanged(instruction!(maxpd_a)),
            Operator::F32x4RelaxedMin => self.minimum(F32),
            Operator::F64x2RelaxedMin => self.minimum(F64),
            Operator::F32x4RelaxedMax => self.maximum(F32),
            Operator::F64x2RelaxedMax => self.maximum(F64),
            Operator::I16x8RelaxedQ15mulrS => self.multiply_q15(!free),
            Operator::I16x8RelaxedDotI8x16I7x16S => self.relaxed_dot(free),
            Operator::I32x4RelaxedDotI8x16I7x16AddS => {
                let addend = self.pop();
                // It is needed last.
                let addend = self.own(addend);
                self.relaxed_dot(free);
                self.with_constant(words(1), instruction!(pmaddwd_a));
                let value = self.pop();
                let to = self.own(value);
                emit!(self.asm, paddd_a, to.number(), addend.number());
                self.push_reg(Kind::V128, to);
            }
            _ => return false,
        }
        true
    }

    fn unary(&mut self, instruction: Binary) {
        let value = self.pop();
        let from = self.read(value);
        let to = match value.place {
            Place::Local(_) => self.alloc(Class::Vector),
            _ => from,
        };
        instruction(&mut self.asm, to.number(), from.number());
        self.push_reg(Kind::V128, to);
    }

    fn binary(&mut self, instruction: Binary) {
        let (second, first) = (self.pop(), self.pop());
        let from = self.read(second);
        let to = self.own(first);
        instruction(&mut self.asm, to.number(), from.number());
        self.push_reg(Kind::V128, to);
    }

    /// The second operand takes the result, and is the first that the instruction has.
    fn exchanged(&mut self, instruction: Binary) {
        let (second, first) = (self.pop(), self.pop());
        let from = self.read(first);
        let to = self.own(second);
        instruction(&mut self.asm, to.number(), from.number());
        self.push_reg(Kind::V128, to);
    }

    /// As [`Self::binary`] or [`Self::exchanged`], and all bits inverted.
    fn inverted(&mut self, instruction: Binary, exchange: bool) {
        match exchange {
            true => self.exchanged(instruction),
            false => self.binary(instruction),
        }
        let value = self.pop();
        let reg = self.own(value);
        self.invert(reg);
        self.push_reg(Kind::V128, reg);
    }

    fn with_operands(&mut self, emit: impl FnOnce(&mut Self, u8, u8)) {
        let (second, first) = (self.pop(), self.pop());
        let from = self.read(second).number();
        let to = self.own(first);
        emit(self, to.number(), from);
        self.push_reg(Kind::V128, to);
    }

    /// An instruction whose second operand is a constant.
    fn with_constant(&mut self, constant: [u8; 16], instruction: Binary) {
        let value = self.pop();
        let to = self.own(value);
        self.load_vector_const(VECTOR_SCRATCH, constant);
        instruction(&mut self.asm, to.number(), VECTOR_SCRATCH.number());
        self.push_reg(Kind::V128, to);
    }

    fn load_vector_const(&mut self, to: Reg, bytes: [u8; 16]) {
        match bytes {
            [0, ..] if bytes == [0; 16] => self.asm.zero_vector(to),
            [0xff, ..] if bytes == [0xff; 16] => emit!(self.asm, pcmpeqd_a, to.number(), to.number()),
            _ => {
                let constant = self.asm.constant(bytes);
                self.asm.load_vector(to, constant);
            }
        }
    }

    fn invert(&mut self, reg: Reg) {
        self.load_vector_const(VECTOR_SCRATCH, [0xff; 16]);
        emit!(self.asm, pxor_a, reg.number(), VECTOR_SCRATCH.number());
    }

    fn load_by(&mut self, memarg: &MemArg, size: u32, load: impl FnOnce(&mut Assembler, u8, Mem)) {
        let from = self.address(memarg, size);
        let to = self.alloc(Class::Vector);
        load(&mut self.asm, to.number(), from);
        self.push_reg(Kind::V128, to);
    }

    fn load_lane(&mut self, memarg: &MemArg, size: Lane, lane: u8) {
        let value = self.pop();
        let reg = self.own(value);
        let from = self.address(memarg, size.into());
        let to = reg.number();
        match size {
            1 => emit!(self.asm, pinsrb_a, to, from, lane),
            2 => emit!(self.asm, pinsrw_a, to, from, lane),
            4 => emit!(self.asm, pinsrd_a, to, from, lane),
            _ => emit!(self.asm, pinsrq_a, to, from, lane),
        }
        self.push_reg(Kind::V128, reg);
    }

    fn store_lane(&mut self, memarg: &MemArg, size: Lane, lane: u8) {
        let value = self.pop();
        let from = self.read(value).number();
        let to = self.address(memarg, size.into());
        match size {
            1 => emit!(self.asm, pextrb_a, to, from, lane),
            2 => emit!(self.asm, pextrw_b, to, from, lane),
            4 => emit!(self.asm, pextrd_a, to, from, lane),
            _ => emit!(self.asm, pextrq_a, to, from, lane),
        }
    }

    fn shuffle(&mut self, lanes: [u8; 16]) {
        let (second, first) = (self.pop(), self.pop());
        let (from, to) = (self.own(second), self.own(first));
        // A selector with the highest bit makes zero.
        let of_first = lanes.map(|lane| if lane < 16 { lane } else { 0x80 });
        let of_second = lanes.map(|lane| if lane < 16 { 0x80 } else { lane - 16 });
        self.load_vector_const(VECTOR_SCRATCH, of_first);
        emit!(self.asm, pshufb_a, to.number(), VECTOR_SCRATCH.number());
        self.load_vector_const(VECTOR_SCRATCH, of_second);
        emit!(self.asm, pshufb_a, from.number(), VECTOR_SCRATCH.number());
        emit!(self.asm, por_a, to.number(), from.number());
        self.push_reg(Kind::V128, to);
    }

    /// Selects bytes; selectors from 16 on give zero. The processor asks for their highest bit, unless they are made larger.
    fn swizzle(&mut self, exact: bool) {
        let (selectors, value) = (self.pop(), self.pop());
        let selectors = self.read(selectors);
        let to = self.own(value);
        if exact {
            self.load_vector_const(VECTOR_SCRATCH, [0x70; 16]);
            emit!(self.asm, paddusb_a, VECTOR_SCRATCH.number(), selectors.number());
            emit!(self.asm, pshufb_a, to.number(), VECTOR_SCRATCH.number());
        } else {
            emit!(self.asm, pshufb_a, to.number(), selectors.number());
        }
        self.push_reg(Kind::V128, to);
    }

    /// Makes all lanes an integer, which is in the scratch register when `splat` is called.
    fn splat_integer(&mut self, splat: impl FnOnce(&mut Assembler, u8)) {
        let value = self.pop();
        self.move_to(value, SCRATCH);
        let to = self.alloc(Class::Vector);
        splat(&mut self.asm, to.number());
        self.push_reg(Kind::V128, to);
    }

    fn extract_integer(&mut self, size: Lane, lane: u8, extend: Option<Extend>) {
        let value = self.pop();
        let from = self.read(value).number();
        let to = self.alloc(Class::General);
        match size {
            1 => emit!(self.asm, pextrb_a, to.number(), from, lane),
            2 => emit!(self.asm, pextrw_a, to.number(), from, lane),
            4 => emit!(self.asm, pextrd_a, to.number(), from, lane),
            _ => emit!(self.asm, pextrq_a, to.number(), from, lane),
        }
        if let Some(extend) = extend {
            self.asm.extend(extend, to, to);
        }
        self.push_reg(if size == 8 { Kind::I64 } else { Kind::I32 }, to);
    }

    fn extract_float(&mut self, kind: Kind, selectors: u8) {
        let value = self.pop();
        let from = self.read(value);
        let to = match value.place {
            Place::Local(_) => self.alloc(Class::Vector),
            _ => from,
        };
        emit!(self.asm, pshufd_a, to.number(), from.number(), selectors);
        self.push_reg(kind, to);
    }

    fn replace_integer(&mut self, size: Lane, lane: u8) {
        let (value, vector) = (self.pop(), self.pop());
        let from = self.read(value).number();
        let to = self.own(vector);
        match size {
            1 => emit!(self.asm, pinsrb_a, to.number(), from, lane),
            2 => emit!(self.asm, pinsrw_a, to.number(), from, lane),
            4 => emit!(self.asm, pinsrd_a, to.number(), from, lane),
            _ => emit!(self.asm, pinsrq_a, to.number(), from, lane),
        }
        self.push_reg(Kind::V128, to);
    }

    /// Unsigned lanes are in order where the greater or lesser of both is the first.
    fn compare_unsigned(&mut self, choose: Binary, equal: Binary, exchange_and_invert: bool) {
        let (second, first) = (self.pop(), self.pop());
        let first = self.read(first);
        let to = self.own(second);
        // Of two equal ones, either is the greater: so the strict comparison is the inverse of the other.
        choose(&mut self.asm, to.number(), first.number());
        equal(&mut self.asm, to.number(), first.number());
        if exchange_and_invert {
            self.invert(to);
        }
        self.push_reg(Kind::V128, to);
    }

    fn bit_select(&mut self) {
        let (mask, second, first) = (self.pop(), self.pop(), self.pop());
        let (mask, second) = (self.read(mask).number(), self.read(second).number());
        let to = self.own(first);
        emit!(self.asm, pxor_a, to.number(), second);
        emit!(self.asm, pand_a, to.number(), mask);
        emit!(self.asm, pxor_a, to.number(), second);
        self.push_reg(Kind::V128, to);
    }

    /// Selects lanes by their highest bit.
    fn blend(&mut self, blend: impl FnOnce(&mut Assembler, u8, u8, x64::Fixed<u8, 0>)) {
        self.reserve(XMM0);
        let (mask, second, first) = (self.pop(), self.pop(), self.pop());
        self.move_to(mask, XMM0);
        let from = self.read(first).number();
        let to = self.own(second);
        blend(&mut self.asm, to.number(), from, x64::Fixed(XMM0.number()));
        self.push_reg(Kind::V128, to);
    }

    fn all_true(&mut self, equal: Binary) {
        let value = self.pop();
        let reg = self.own(value);
        self.asm.zero_vector(VECTOR_SCRATCH);
        equal(&mut self.asm, reg.number(), VECTOR_SCRATCH.number());
        emit!(self.asm, ptest_rm, reg.number(), reg.number());
        self.push_flags(Condition::Equal);
    }

    fn bitmask(&mut self, mask: Binary) {
        let value = self.pop();
        let from = self.read(value).number();
        let to = self.alloc(Class::General);
        mask(&mut self.asm, to.number(), from);
        self.push_reg(Kind::I32, to);
    }

    fn negate_lanes(&mut self, subtract: Binary) {
        let value = self.pop();
        let from = self.read(value);
        let to = self.alloc(Class::Vector);
        self.asm.zero_vector(to);
        subtract(&mut self.asm, to.number(), from.number());
        self.push_reg(Kind::V128, to);
    }

    /// All bits of the negative ones are inverted, and one added.
    fn absolute_quadwords(&mut self) {
        let value = self.pop();
        let to = self.own(value);
        let (to_number, sign) = (to.number(), VECTOR_SCRATCH.number());
        self.asm.zero_vector(VECTOR_SCRATCH);
        emit!(self.asm, pcmpgtq_a, sign, to_number);
        emit!(self.asm, pxor_a, to_number, sign);
        emit!(self.asm, psubq_a, to_number, sign);
        self.push_reg(Kind::V128, to);
    }

    /// From products of halves: low by low, and the low halves of the two others added to its upper half.
    fn multiply_quadwords(&mut self) {
        let (second, first) = (self.pop(), self.pop());
        let (other, to) = (self.read(second).number(), self.own(first));
        let (cross, to_number, scratch) = (self.alloc(Class::Vector).number(), to.number(), VECTOR_SCRATCH.number());
        emit!(self.asm, movaps_a, cross, to_number);
        emit!(self.asm, psrlq_b, cross, 32);
        emit!(self.asm, pmuludq_a, cross, other);
        emit!(self.asm, movaps_a, scratch, other);
        emit!(self.asm, psrlq_b, scratch, 32);
        emit!(self.asm, pmuludq_a, scratch, to_number);
        emit!(self.asm, paddq_a, cross, scratch);
        emit!(self.asm, psllq_b, cross, 32);
        emit!(self.asm, pmuludq_a, to_number, other);
        emit!(self.asm, paddq_a, to_number, cross);
        self.push_reg(Kind::V128, to);
    }

    /// Each half of a byte selects how many bits it has.
    fn population_of_bytes(&mut self) {
        const COUNTS: [u8; 16] = [0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4];
        let value = self.pop();
        let low = self.own(value);
        let (high, counts) = (self.alloc(Class::Vector), self.alloc(Class::Vector));
        let (low_number, high_number, scratch) = (low.number(), high.number(), VECTOR_SCRATCH.number());
        self.load_vector_const(VECTOR_SCRATCH, [0x0f; 16]);
        self.asm.mov_all(high, low);
        emit!(self.asm, psrlw_b, high_number, 4);
        emit!(self.asm, pand_a, low_number, scratch);
        emit!(self.asm, pand_a, high_number, scratch);
        self.load_vector_const(counts, COUNTS);
        self.asm.mov_all(VECTOR_SCRATCH, counts);
        emit!(self.asm, pshufb_a, counts.number(), low_number);
        emit!(self.asm, pshufb_a, scratch, high_number);
        emit!(self.asm, paddb_a, counts.number(), scratch);
        self.push_reg(Kind::V128, counts);
    }

    /// The processor's product doesn't saturate: one overflows, of -1 and -1, to -1.
    fn multiply_q15(&mut self, saturates: bool) {
        self.binary(instruction!(pmulhrsw_a));
        if saturates {
            self.invert_where_least();
        }
    }

    /// Makes words of -32768 their inverse.
    fn invert_where_least(&mut self) {
        let value = self.pop();
        let to = self.own(value);
        self.load_vector_const(VECTOR_SCRATCH, words(0x8000));
        emit!(self.asm, pcmpeqw_a, VECTOR_SCRATCH.number(), to.number());
        emit!(self.asm, pxor_a, to.number(), VECTOR_SCRATCH.number());
        self.push_reg(Kind::V128, to);
    }

    /// Pops a count of bits, and has it, modulo the width of lanes plus `more`, in the vector scratch register.
    fn pop_count(&mut self, mask: i32, more: i32) {
        let value = self.pop();
        self.move_to(value, SCRATCH);
        self.asm.alu(Alu::And, Width::W32, SCRATCH, Operand::Imm(mask));
        if more != 0 {
            self.asm.alu(Alu::Add, Width::W32, SCRATCH, Operand::Imm(more));
        }
        emit!(self.asm, movd_a, VECTOR_SCRATCH.number(), SCRATCH.number());
    }

    fn shift_lanes(&mut self, mask: i32, shift: Binary) {
        self.pop_count(mask, 0);
        let value = self.pop();
        let to = self.own_beside_scratch(value);
        shift(&mut self.asm, to.number(), VECTOR_SCRATCH.number());
        self.push_reg(Kind::V128, to);
    }

    /// A vector in a register that may be changed. The scratch registers stay as they are: it is no constant.
    fn own_beside_scratch(&mut self, value: Value) -> Reg {
        debug_assert!(!matches!(value.place, Place::Const(_)));
        self.own(value)
    }

    /// What comes from a neighbour is cut off, by a mask that is shifted likewise.
    fn shift_bytes(&mut self, shift: Binary) {
        self.pop_count(7, 0);
        let value = self.pop();
        let to = self.own_beside_scratch(value);
        let mask = self.alloc(Class::Vector);
        let count = VECTOR_SCRATCH.number();
        emit!(self.asm, pcmpeqd_a, mask.number(), mask.number());
        emit!(self.asm, psrlw_b, mask.number(), 8);
        shift(&mut self.asm, mask.number(), count);
        shift(&mut self.asm, to.number(), count);
        // The low byte of the first word is the mask of every byte.
        self.asm.zero_vector(VECTOR_SCRATCH);
        emit!(self.asm, pshufb_a, mask.number(), count);
        emit!(self.asm, pand_a, to.number(), mask.number());
        self.push_reg(Kind::V128, to);
    }

    /// As the upper bytes of words.
    fn shift_bytes_signed(&mut self) {
        self.pop_count(7, 8);
        let value = self.pop();
        let to = self.own_beside_scratch(value);
        let high = self.alloc(Class::Vector);
        let count = VECTOR_SCRATCH.number();
        self.asm.mov_all(high, to);
        emit!(self.asm, punpckhbw_a, high.number(), high.number());
        emit!(self.asm, punpcklbw_a, to.number(), to.number());
        emit!(self.asm, psraw_a, high.number(), count);
        emit!(self.asm, psraw_a, to.number(), count);
        emit!(self.asm, packsswb_a, to.number(), high.number());
        self.push_reg(Kind::V128, to);
    }

    /// As unsigned ones, and the sign extended from where it is then.
    fn shift_quadwords_signed(&mut self) {
        self.pop_count(63, 0);
        let value = self.pop();
        let to = self.own_beside_scratch(value);
        let sign = self.alloc(Class::Vector);
        let count = VECTOR_SCRATCH.number();
        self.load_vector_const(sign, quadwords(1 << 63));
        emit!(self.asm, psrlq_a, sign.number(), count);
        emit!(self.asm, psrlq_a, to.number(), count);
        emit!(self.asm, pxor_a, to.number(), sign.number());
        emit!(self.asm, psubq_a, to.number(), sign.number());
        self.push_reg(Kind::V128, to);
    }

    fn extend_high(&mut self, extend: Binary) {
        self.unary(instruction!(pshufd_a, 0xee));
        self.unary(extend);
    }

    fn multiply_extended(&mut self, extend: Binary, multiply: Binary, high: bool) {
        let (second, first) = (self.pop(), self.pop());
        let (other, to) = (self.own(second), self.own(first));
        for reg in [other, to] {
            if high {
                emit!(self.asm, pshufd_a, reg.number(), reg.number(), 0xee);
            }
            extend(&mut self.asm, reg.number(), reg.number());
        }
        multiply(&mut self.asm, to.number(), other.number());
        self.push_reg(Kind::V128, to);
    }

    /// Products of lanes that selectors bring to where the processor multiplies them.
    fn multiply_doublewords(&mut self, selectors: u8, multiply: Binary) {
        let (second, first) = (self.pop(), self.pop());
        let from = self.read(second).number();
        let to = self.own(first);
        emit!(self.asm, pshufd_a, VECTOR_SCRATCH.number(), from, selectors);
        emit!(self.asm, pshufd_a, to.number(), to.number(), selectors);
        multiply(&mut self.asm, to.number(), VECTOR_SCRATCH.number());
        self.push_reg(Kind::V128, to);
    }

    fn float_lanes(&mut self, float: Float, instruction: Binary) {
        self.binary(instruction);
        self.canonicalize_lanes(float);
    }

    fn float_lane_unary(&mut self, float: Float, instruction: Binary) {
        self.unary(instruction);
        self.canonicalize_lanes(float);
    }

    /// Gives lanes that are no numbers the canonical bits, where that is asked for.
    fn canonicalize_lanes(&mut self, float: Float) {
        if !self.canonical_nans {
            return;
        }
        let value = self.pop();
        let reg = self.own(value);
        let mask = self.alloc(Class::Vector);
        self.asm.mov_all(mask, reg);
        compare_unordered(&mut self.asm, float, mask, mask);
        let canonical = match float {
            Float::F32 => doublewords(0x7fc0_0000),
            Float::F64 => quadwords(0x7ff8_0000_0000_0000),
        };
        self.load_vector_const(VECTOR_SCRATCH, canonical);
        // Where the mask is set the constant, elsewhere what there is.
        emit!(self.asm, pand_a, VECTOR_SCRATCH.number(), mask.number());
        emit!(self.asm, pandn_a, mask.number(), reg.number());
        emit!(self.asm, por_a, mask.number(), VECTOR_SCRATCH.number());
        self.push_reg(Kind::V128, mask);
    }

    /// The processor answers its second operand where either is no number, or both are zeros. So both orders are tried, and combined: zeros
    /// are negative where one is, and all bits of what is no number are set but those that make it another than the canonical ones.
    fn minimum(&mut self, float: Float) {
        let (second, first) = (self.pop(), self.pop());
        let (other, to) = (self.read(second), self.own(first));
        let (scratch, to_number) = (VECTOR_SCRATCH.number(), to.number());
        self.asm.mov_all(VECTOR_SCRATCH, other);
        match float {
            Float::F32 => {
                emit!(self.asm, minps_a, scratch, to_number);
                emit!(self.asm, minps_a, to_number, other.number());
            }
            Float::F64 => {
                emit!(self.asm, minpd_a, scratch, to_number);
                emit!(self.asm, minpd_a, to_number, other.number());
            }
        }
        emit!(self.asm, orps_a, to_number, scratch);
        self.quiet(float, to);
        self.push_reg(Kind::V128, to);
        self.canonicalize_lanes(float);
    }

    /// As the minimum, but zeros are positive where one is: what differs is taken away.
    fn maximum(&mut self, float: Float) {
        let (second, first) = (self.pop(), self.pop());
        let (other, to) = (self.read(second), self.own(first));
        let (scratch, to_number) = (VECTOR_SCRATCH.number(), to.number());
        self.asm.mov_all(VECTOR_SCRATCH, other);
        match float {
            Float::F32 => {
                emit!(self.asm, maxps_a, scratch, to_number);
                emit!(self.asm, maxps_a, to_number, other.number());
            }
            Float::F64 => {
                emit!(self.asm, maxpd_a, scratch, to_number);
                emit!(self.asm, maxpd_a, to_number, other.number());
            }
        }
        emit!(self.asm, xorps_a, scratch, to_number);
        emit!(self.asm, orps_a, to_number, scratch);
        match float {
            Float::F32 => emit!(self.asm, subps_a, to_number, scratch),
            Float::F64 => emit!(self.asm, subpd_a, to_number, scratch),
        }
        self.quiet(float, to);
        self.push_reg(Kind::V128, to);
        self.canonicalize_lanes(float);
    }

    /// Gives lanes that are no numbers the bits of one that says nothing.
    fn quiet(&mut self, float: Float, reg: Reg) {
        let (scratch, number) = (VECTOR_SCRATCH.number(), reg.number());
        self.asm.mov_all(VECTOR_SCRATCH, reg);
        compare_unordered(&mut self.asm, float, VECTOR_SCRATCH, reg);
        emit!(self.asm, orps_a, number, scratch);
        // What is shifted in are the sign, the exponent, and the highest bit behind it.
        match float {
            Float::F32 => emit!(self.asm, psrld_b, scratch, 10),
            Float::F64 => emit!(self.asm, psrlq_b, scratch, 13),
        }
        emit!(self.asm, andnps_a, scratch, number);
        self.asm.mov_all(reg, VECTOR_SCRATCH);
    }

    /// What is no number becomes zero; of what is too large, the processor's answer is the inverse of what is wanted.
    fn truncate_signed_lanes(&mut self) {
        let value = self.pop();
        let to = self.own(value);
        let (scratch, number) = (VECTOR_SCRATCH.number(), to.number());
        self.asm.mov_all(VECTOR_SCRATCH, to);
        emit!(self.asm, cmpps_a, scratch, scratch, 0);
        emit!(self.asm, andps_a, number, scratch);
        self.load_vector_const(VECTOR_SCRATCH, doublewords(2_147_483_648f32.to_bits()));
        emit!(self.asm, cmpps_a, scratch, number, 2);
        emit!(self.asm, cvttps2dq_a, number, number);
        emit!(self.asm, pxor_a, number, scratch);
        self.push_reg(Kind::V128, to);
    }

    /// In two parts: what is below 2^31, and what is beyond that.
    fn truncate_unsigned_lanes(&mut self) {
        let value = self.pop();
        let low = self.own(value);
        let (high, large) = (self.alloc(Class::Vector), self.alloc(Class::Vector));
        let (low_number, high_number, scratch) = (low.number(), high.number(), VECTOR_SCRATCH.number());
        self.asm.zero_vector(VECTOR_SCRATCH);
        emit!(self.asm, maxps_a, low_number, scratch);
        self.asm.mov_all(high, low);
        self.load_vector_const(large, doublewords(2_147_483_648f32.to_bits()));
        emit!(self.asm, subps_a, high_number, large.number());
        emit!(self.asm, maxps_a, high_number, scratch);
        emit!(self.asm, cmpps_a, large.number(), high_number, 2);
        emit!(self.asm, cvttps2dq_a, low_number, low_number);
        emit!(self.asm, cvttps2dq_a, high_number, high_number);
        emit!(self.asm, pxor_a, high_number, large.number());
        emit!(self.asm, paddd_a, low_number, high_number);
        self.push_reg(Kind::V128, low);
    }

    fn truncate_signed_pair(&mut self) {
        let value = self.pop();
        let to = self.own(value);
        let limit = self.alloc(Class::Vector);
        self.asm.mov_all(VECTOR_SCRATCH, to);
        emit!(self.asm, cmppd_a, VECTOR_SCRATCH.number(), VECTOR_SCRATCH.number(), 0);
        // Zero is the limit of what is no number.
        self.load_vector_const(limit, quadwords(2_147_483_647f64.to_bits()));
        emit!(self.asm, andps_a, limit.number(), VECTOR_SCRATCH.number());
        emit!(self.asm, minpd_a, to.number(), limit.number());
        emit!(self.asm, cvttpd2dq_a, to.number(), to.number());
        self.push_reg(Kind::V128, to);
    }

    /// A float that is larger by 2^52 has the integer in its low half.
    fn truncate_unsigned_pair(&mut self) {
        let value = self.pop();
        let to = self.own(value);
        let number = to.number();
        self.asm.zero_vector(VECTOR_SCRATCH);
        emit!(self.asm, maxpd_a, number, VECTOR_SCRATCH.number());
        self.load_vector_const(VECTOR_SCRATCH, quadwords(4_294_967_295f64.to_bits()));
        emit!(self.asm, minpd_a, number, VECTOR_SCRATCH.number());
        emit!(self.asm, roundpd_rmi, number, number, 3 | 8);
        self.load_vector_const(VECTOR_SCRATCH, quadwords(0x4330_0000_0000_0000));
        emit!(self.asm, addpd_a, number, VECTOR_SCRATCH.number());
        self.asm.zero_vector(VECTOR_SCRATCH);
        emit!(self.asm, shufps_a, number, VECTOR_SCRATCH.number(), 0x88);
        self.push_reg(Kind::V128, to);
    }

    /// The low halves and the upper ones, each exact; only their sum is rounded. The upper ones are halved to be positive.
    fn convert_unsigned_lanes(&mut self) {
        let value = self.pop();
        let high = self.own(value);
        let (high_number, low) = (high.number(), VECTOR_SCRATCH.number());
        self.asm.zero_vector(VECTOR_SCRATCH);
        emit!(self.asm, pblendw_rmi, low, high_number, 0x55);
        emit!(self.asm, psubd_a, high_number, low);
        emit!(self.asm, cvtdq2ps_a, low, low);
        emit!(self.asm, psrld_b, high_number, 1);
        emit!(self.asm, cvtdq2ps_a, high_number, high_number);
        emit!(self.asm, addps_a, high_number, high_number);
        emit!(self.asm, addps_a, high_number, low);
        self.push_reg(Kind::V128, high);
    }

    /// `x * y + z`, or `-(x * y) + z`: rounded once where the processor can, and as the deterministic profile says. False where it can't.
    fn multiply_add(&mut self, float: Float, negated: bool) -> bool {
        if !self.cpu.fma {
            return false;
        }
        let (z, y, x) = (self.pop(), self.pop(), self.pop());
        let (z, y) = (self.read(z).number(), self.read(y).number());
        let to = self.own(x);
        let number = to.number();
        match (float, negated) {
            (Float::F32, false) => emit!(self.asm, vfmadd213ps_a, number, y, z),
            (Float::F64, false) => emit!(self.asm, vfmadd213pd_a, number, y, z),
            (Float::F32, true) => emit!(self.asm, vfnmadd213ps_a, number, y, z),
            (Float::F64, true) => emit!(self.asm, vfnmadd213pd_a, number, y, z),
        }
        self.push_reg(Kind::V128, to);
        self.canonicalize_lanes(float);
        true
    }

    /// Products of signed bytes, added in pairs. The processor takes one operand as unsigned, and saturates; otherwise one sum alone overflows,
    /// twice -128 * -128, and no other wraps to -32768.
    fn relaxed_dot(&mut self, free: bool) {
        let (second, first) = (self.pop(), self.pop());
        if free {
            let from = self.read(first);
            let to = self.own(second);
            emit!(self.asm, pmaddubsw_a, to.number(), from.number());
            return self.push_reg(Kind::V128, to);
        }
        let (other, to) = (self.own(second), self.own(first));
        let (high, high_other) = (self.alloc(Class::Vector), self.alloc(Class::Vector));
        for (high, low) in [(high, to), (high_other, other)] {
            emit!(self.asm, pshufd_a, high.number(), low.number(), 0xee);
            emit!(self.asm, pmovsxbw_a, high.number(), high.number());
            emit!(self.asm, pmovsxbw_a, low.number(), low.number());
        }
        emit!(self.asm, pmullw_a, high.number(), high_other.number());
        emit!(self.asm, pmullw_a, to.number(), other.number());
        emit!(self.asm, phaddw_a, to.number(), high.number());
        self.push_reg(Kind::V128, to);
        self.invert_where_least();
    }
}

/// All lanes, bytes, are the lowest of the scratch register.
fn splat_bytes(asm: &mut Assembler, to: u8) {
    emit!(asm, movd_a, to, SCRATCH.number());
    asm.zero_vector(VECTOR_SCRATCH);
    emit!(asm, pshufb_a, to, VECTOR_SCRATCH.number());
}

/// All lanes, words, are the lowest of the scratch register.
fn splat_words(asm: &mut Assembler, to: u8) {
    emit!(asm, movd_a, to, SCRATCH.number());
    emit!(asm, pshuflw_a, to, to, 0);
    emit!(asm, pshufd_a, to, to, 0);
}

/// Sets the lanes of `to` where one of both is no number.
fn compare_unordered(asm: &mut Assembler, float: Float, to: Reg, with: Reg) {
    match float {
        Float::F32 => emit!(asm, cmpps_a, to.number(), with.number(), 3),
        Float::F64 => emit!(asm, cmppd_a, to.number(), with.number(), 3),
    }
}

/// A vector of equal words.
fn words(word: u16) -> [u8; 16] {
    repeat(word.to_le_bytes())
}

/// A vector of equal doublewords.
fn doublewords(doubleword: u32) -> [u8; 16] {
    repeat(doubleword.to_le_bytes())
}

/// A vector of equal quadwords.
fn quadwords(quadword: u64) -> [u8; 16] {
    repeat(quadword.to_le_bytes())
}

fn repeat<const N: usize>(bytes: [u8; N]) -> [u8; 16] {
    std::array::from_fn(|at| bytes[at % N])
}
