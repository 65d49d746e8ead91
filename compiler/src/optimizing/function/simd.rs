//! Operators on vectors: fixed-width SIMD and relaxed SIMD.
//!
//! A `v128` on the operand stack is a vector of bytes. An operator casts it to the lanes it works on, and its result back.
//!
//! Cranelift has a lowering for nearly every operator on every x86-64. Where it would call a library function instead
//! (rounding without SSE4.1, shuffles of bytes without SSSE3, fused multiplication without FMA), this file
//! calls a builtin or does without, so that all calls in machine code are calls that the translator knows of.

use super::numeric::call_float_builtin;
use super::translator::FuncTranslator;
use crate::arch;
use crate::optimizing::signature::V128;
use ampoule_core::builtins::Builtin;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32X4, F64X2, I8, I8X16, I16, I16X8, I32, I32X4, I64X2};
use cranelift_codegen::ir::{Endianness, InstBuilder, InstructionData, MemFlagsData, Opcode, Type, Value};
use cranelift_frontend::FuncInstBuilder;
use wasmparser::{MemArg, Operator};

/// Translates an operator of this family; false where it belongs to another.
pub(super) fn translate(t: &mut FuncTranslator<'_>, op: &Operator<'_>) -> bool {
    memory(t, op) || lanes(t, op) || comparison(t, op) || bits(t, op) || ints(t, op) || floats(t, op) || relaxed(t, op)
}

/// Loads and stores.
fn memory(t: &mut FuncTranslator<'_>, op: &Operator<'_>) -> bool {
    match *op {
        Operator::V128Load { ref memarg } => {
            let vector = load(t, memarg, I8X16);
            push(t, vector);
        }
        Operator::V128Load8x8S { ref memarg } => {
            load_extend(t, memarg, |ins, flags, base, offset| ins.sload8x8(flags, base, offset));
        }
        Operator::V128Load8x8U { ref memarg } => {
            load_extend(t, memarg, |ins, flags, base, offset| ins.uload8x8(flags, base, offset));
        }
        Operator::V128Load16x4S { ref memarg } => {
            load_extend(t, memarg, |ins, flags, base, offset| ins.sload16x4(flags, base, offset));
        }
        Operator::V128Load16x4U { ref memarg } => {
            load_extend(t, memarg, |ins, flags, base, offset| ins.uload16x4(flags, base, offset));
        }
        Operator::V128Load32x2S { ref memarg } => {
            load_extend(t, memarg, |ins, flags, base, offset| ins.sload32x2(flags, base, offset));
        }
        Operator::V128Load32x2U { ref memarg } => {
            load_extend(t, memarg, |ins, flags, base, offset| ins.uload32x2(flags, base, offset));
        }
        Operator::V128Load8Splat { ref memarg } => load_splat(t, memarg, I8X16),
        Operator::V128Load16Splat { ref memarg } => load_splat(t, memarg, I16X8),
        Operator::V128Load32Splat { ref memarg } => load_splat(t, memarg, I32X4),
        Operator::V128Load64Splat { ref memarg } => load_splat(t, memarg, I64X2),
        Operator::V128Load32Zero { ref memarg } => load_zero(t, memarg, I32X4),
        Operator::V128Load64Zero { ref memarg } => load_zero(t, memarg, I64X2),
        Operator::V128Load8Lane { ref memarg, lane } => load_lane(t, memarg, I8X16, lane),
        Operator::V128Load16Lane { ref memarg, lane } => load_lane(t, memarg, I16X8, lane),
        Operator::V128Load32Lane { ref memarg, lane } => load_lane(t, memarg, I32X4, lane),
        Operator::V128Load64Lane { ref memarg, lane } => load_lane(t, memarg, I64X2, lane),
        Operator::V128Store { ref memarg } => {
            let vector = pop(t, I8X16);
            store(t, memarg, vector);
        }
        Operator::V128Store8Lane { ref memarg, lane } => store_lane(t, memarg, I8X16, lane),
        Operator::V128Store16Lane { ref memarg, lane } => store_lane(t, memarg, I16X8, lane),
        Operator::V128Store32Lane { ref memarg, lane } => store_lane(t, memarg, I32X4, lane),
        Operator::V128Store64Lane { ref memarg, lane } => store_lane(t, memarg, I64X2, lane),
        _ => return false,
    }
    true
}

/// Constants, and operators that move lanes.
fn lanes(t: &mut FuncTranslator<'_>, op: &Operator<'_>) -> bool {
    match *op {
        Operator::V128Const { value } => {
            let vector = constant(t, I8X16, *value.bytes());
            push(t, vector);
        }
        Operator::I8x16Shuffle { lanes } => {
            let (x, y) = pop2(t, I8X16);
            let result = shuffle(t, x, y, lanes);
            push(t, result);
        }
        Operator::I8x16Swizzle => {
            let (x, selectors) = pop2(t, I8X16);
            let result = swizzle(t, x, selectors);
            push(t, result);
        }
        Operator::I8x16Splat => splat(t, I8X16),
        Operator::I16x8Splat => splat(t, I16X8),
        Operator::I32x4Splat => splat(t, I32X4),
        Operator::I64x2Splat => splat(t, I64X2),
        Operator::F32x4Splat => splat(t, F32X4),
        Operator::F64x2Splat => splat(t, F64X2),
        Operator::I8x16ExtractLaneS { lane } => reduce(t, I8X16, |ins, x| ins.extractlane(x, lane), sextend),
        Operator::I8x16ExtractLaneU { lane } => reduce(t, I8X16, |ins, x| ins.extractlane(x, lane), uextend),
        Operator::I16x8ExtractLaneS { lane } => reduce(t, I16X8, |ins, x| ins.extractlane(x, lane), sextend),
        Operator::I16x8ExtractLaneU { lane } => reduce(t, I16X8, |ins, x| ins.extractlane(x, lane), uextend),
        Operator::I32x4ExtractLane { lane } => extract(t, I32X4, lane),
        Operator::I64x2ExtractLane { lane } => extract(t, I64X2, lane),
        Operator::F32x4ExtractLane { lane } => extract(t, F32X4, lane),
        Operator::F64x2ExtractLane { lane } => extract(t, F64X2, lane),
        Operator::I8x16ReplaceLane { lane } => replace(t, I8X16, lane),
        Operator::I16x8ReplaceLane { lane } => replace(t, I16X8, lane),
        Operator::I32x4ReplaceLane { lane } => replace(t, I32X4, lane),
        Operator::I64x2ReplaceLane { lane } => replace(t, I64X2, lane),
        Operator::F32x4ReplaceLane { lane } => replace(t, F32X4, lane),
        Operator::F64x2ReplaceLane { lane } => replace(t, F64X2, lane),
        _ => return false,
    }
    true
}

/// Comparisons lane by lane: all bits set where they hold.
fn comparison(t: &mut FuncTranslator<'_>, op: &Operator<'_>) -> bool {
    match op {
        Operator::I8x16Eq => compare_ints(t, I8X16, IntCC::Equal),
        Operator::I8x16Ne => compare_ints(t, I8X16, IntCC::NotEqual),
        Operator::I8x16LtS => compare_ints(t, I8X16, IntCC::SignedLessThan),
        Operator::I8x16LtU => compare_ints(t, I8X16, IntCC::UnsignedLessThan),
        Operator::I8x16GtS => compare_ints(t, I8X16, IntCC::SignedGreaterThan),
        Operator::I8x16GtU => compare_ints(t, I8X16, IntCC::UnsignedGreaterThan),
        Operator::I8x16LeS => compare_ints(t, I8X16, IntCC::SignedLessThanOrEqual),
        Operator::I8x16LeU => compare_ints(t, I8X16, IntCC::UnsignedLessThanOrEqual),
        Operator::I8x16GeS => compare_ints(t, I8X16, IntCC::SignedGreaterThanOrEqual),
        Operator::I8x16GeU => compare_ints(t, I8X16, IntCC::UnsignedGreaterThanOrEqual),
        Operator::I16x8Eq => compare_ints(t, I16X8, IntCC::Equal),
        Operator::I16x8Ne => compare_ints(t, I16X8, IntCC::NotEqual),
        Operator::I16x8LtS => compare_ints(t, I16X8, IntCC::SignedLessThan),
        Operator::I16x8LtU => compare_ints(t, I16X8, IntCC::UnsignedLessThan),
        Operator::I16x8GtS => compare_ints(t, I16X8, IntCC::SignedGreaterThan),
        Operator::I16x8GtU => compare_ints(t, I16X8, IntCC::UnsignedGreaterThan),
        Operator::I16x8LeS => compare_ints(t, I16X8, IntCC::SignedLessThanOrEqual),
        Operator::I16x8LeU => compare_ints(t, I16X8, IntCC::UnsignedLessThanOrEqual),
        Operator::I16x8GeS => compare_ints(t, I16X8, IntCC::SignedGreaterThanOrEqual),
        Operator::I16x8GeU => compare_ints(t, I16X8, IntCC::UnsignedGreaterThanOrEqual),
        Operator::I32x4Eq => compare_ints(t, I32X4, IntCC::Equal),
        Operator::I32x4Ne => compare_ints(t, I32X4, IntCC::NotEqual),
        Operator::I32x4LtS => compare_ints(t, I32X4, IntCC::SignedLessThan),
        Operator::I32x4LtU => compare_ints(t, I32X4, IntCC::UnsignedLessThan),
        Operator::I32x4GtS => compare_ints(t, I32X4, IntCC::SignedGreaterThan),
        Operator::I32x4GtU => compare_ints(t, I32X4, IntCC::UnsignedGreaterThan),
        Operator::I32x4LeS => compare_ints(t, I32X4, IntCC::SignedLessThanOrEqual),
        Operator::I32x4LeU => compare_ints(t, I32X4, IntCC::UnsignedLessThanOrEqual),
        Operator::I32x4GeS => compare_ints(t, I32X4, IntCC::SignedGreaterThanOrEqual),
        Operator::I32x4GeU => compare_ints(t, I32X4, IntCC::UnsignedGreaterThanOrEqual),
        Operator::I64x2Eq => compare_ints(t, I64X2, IntCC::Equal),
        Operator::I64x2Ne => compare_ints(t, I64X2, IntCC::NotEqual),
        Operator::I64x2LtS => compare_ints(t, I64X2, IntCC::SignedLessThan),
        Operator::I64x2GtS => compare_ints(t, I64X2, IntCC::SignedGreaterThan),
        Operator::I64x2LeS => compare_ints(t, I64X2, IntCC::SignedLessThanOrEqual),
        Operator::I64x2GeS => compare_ints(t, I64X2, IntCC::SignedGreaterThanOrEqual),
        Operator::F32x4Eq => compare_floats(t, F32X4, FloatCC::Equal),
        Operator::F32x4Ne => compare_floats(t, F32X4, FloatCC::NotEqual),
        Operator::F32x4Lt => compare_floats(t, F32X4, FloatCC::LessThan),
        Operator::F32x4Gt => compare_floats(t, F32X4, FloatCC::GreaterThan),
        Operator::F32x4Le => compare_floats(t, F32X4, FloatCC::LessThanOrEqual),
        Operator::F32x4Ge => compare_floats(t, F32X4, FloatCC::GreaterThanOrEqual),
        Operator::F64x2Eq => compare_floats(t, F64X2, FloatCC::Equal),
        Operator::F64x2Ne => compare_floats(t, F64X2, FloatCC::NotEqual),
        Operator::F64x2Lt => compare_floats(t, F64X2, FloatCC::LessThan),
        Operator::F64x2Gt => compare_floats(t, F64X2, FloatCC::GreaterThan),
        Operator::F64x2Le => compare_floats(t, F64X2, FloatCC::LessThanOrEqual),
        Operator::F64x2Ge => compare_floats(t, F64X2, FloatCC::GreaterThanOrEqual),
        _ => return false,
    }
    true
}

/// Bitwise operators, and those that make one truth or mask of all lanes.
fn bits(t: &mut FuncTranslator<'_>, op: &Operator<'_>) -> bool {
    match op {
        Operator::V128Not => unary(t, I8X16, |ins, x| ins.bnot(x)),
        Operator::V128And => binary(t, I8X16, |ins, x, y| ins.band(x, y)),
        Operator::V128AndNot => {
            let (x, y) = pop2(t, I8X16);
            let not_y = t.builder.ins().bnot(y);
            let result = t.builder.ins().band(x, not_y);
            push(t, result);
        }
        Operator::V128Or => binary(t, I8X16, |ins, x, y| ins.bor(x, y)),
        Operator::V128Xor => binary(t, I8X16, |ins, x, y| ins.bxor(x, y)),
        Operator::V128Bitselect => ternary(t, I8X16, |ins, x, y, mask| ins.bitselect(mask, x, y)),
        Operator::V128AnyTrue => reduce(t, I8X16, |ins, x| ins.vany_true(x), uextend),
        Operator::I8x16AllTrue => reduce(t, I8X16, |ins, x| ins.vall_true(x), uextend),
        Operator::I16x8AllTrue => reduce(t, I16X8, |ins, x| ins.vall_true(x), uextend),
        Operator::I32x4AllTrue => reduce(t, I32X4, |ins, x| ins.vall_true(x), uextend),
        Operator::I64x2AllTrue => reduce(t, I64X2, |ins, x| ins.vall_true(x), uextend),
        Operator::I8x16Bitmask => bitmask(t, I8X16),
        Operator::I16x8Bitmask => bitmask(t, I16X8),
        Operator::I32x4Bitmask => bitmask(t, I32X4),
        Operator::I64x2Bitmask => bitmask(t, I64X2),
        _ => return false,
    }
    true
}

/// Arithmetic on integer lanes.
fn ints(t: &mut FuncTranslator<'_>, op: &Operator<'_>) -> bool {
    match op {
        Operator::I8x16Abs => unary(t, I8X16, |ins, x| ins.iabs(x)),
        Operator::I16x8Abs => unary(t, I16X8, |ins, x| ins.iabs(x)),
        Operator::I32x4Abs => unary(t, I32X4, |ins, x| ins.iabs(x)),
        Operator::I64x2Abs => unary(t, I64X2, |ins, x| ins.iabs(x)),
        Operator::I8x16Neg => unary(t, I8X16, |ins, x| ins.ineg(x)),
        Operator::I16x8Neg => unary(t, I16X8, |ins, x| ins.ineg(x)),
        Operator::I32x4Neg => unary(t, I32X4, |ins, x| ins.ineg(x)),
        Operator::I64x2Neg => unary(t, I64X2, |ins, x| ins.ineg(x)),
        Operator::I8x16Popcnt => unary(t, I8X16, |ins, x| ins.popcnt(x)),

        Operator::I8x16Shl => shift(t, I8X16, |ins, x, count| ins.ishl(x, count)),
        Operator::I16x8Shl => shift(t, I16X8, |ins, x, count| ins.ishl(x, count)),
        Operator::I32x4Shl => shift(t, I32X4, |ins, x, count| ins.ishl(x, count)),
        Operator::I64x2Shl => shift(t, I64X2, |ins, x, count| ins.ishl(x, count)),
        Operator::I8x16ShrS => shift(t, I8X16, |ins, x, count| ins.sshr(x, count)),
        Operator::I16x8ShrS => shift(t, I16X8, |ins, x, count| ins.sshr(x, count)),
        Operator::I32x4ShrS => shift(t, I32X4, |ins, x, count| ins.sshr(x, count)),
        Operator::I64x2ShrS => shift(t, I64X2, |ins, x, count| ins.sshr(x, count)),
        Operator::I8x16ShrU => shift(t, I8X16, |ins, x, count| ins.ushr(x, count)),
        Operator::I16x8ShrU => shift(t, I16X8, |ins, x, count| ins.ushr(x, count)),
        Operator::I32x4ShrU => shift(t, I32X4, |ins, x, count| ins.ushr(x, count)),
        Operator::I64x2ShrU => shift(t, I64X2, |ins, x, count| ins.ushr(x, count)),

        Operator::I8x16Add => binary(t, I8X16, |ins, x, y| ins.iadd(x, y)),
        Operator::I16x8Add => binary(t, I16X8, |ins, x, y| ins.iadd(x, y)),
        Operator::I32x4Add => binary(t, I32X4, |ins, x, y| ins.iadd(x, y)),
        Operator::I64x2Add => binary(t, I64X2, |ins, x, y| ins.iadd(x, y)),
        Operator::I8x16Sub => binary(t, I8X16, |ins, x, y| ins.isub(x, y)),
        Operator::I16x8Sub => binary(t, I16X8, |ins, x, y| ins.isub(x, y)),
        Operator::I32x4Sub => binary(t, I32X4, |ins, x, y| ins.isub(x, y)),
        Operator::I64x2Sub => binary(t, I64X2, |ins, x, y| ins.isub(x, y)),
        Operator::I8x16AddSatS => binary(t, I8X16, |ins, x, y| ins.sadd_sat(x, y)),
        Operator::I16x8AddSatS => binary(t, I16X8, |ins, x, y| ins.sadd_sat(x, y)),
        Operator::I8x16AddSatU => binary(t, I8X16, |ins, x, y| ins.uadd_sat(x, y)),
        Operator::I16x8AddSatU => binary(t, I16X8, |ins, x, y| ins.uadd_sat(x, y)),
        Operator::I8x16SubSatS => binary(t, I8X16, |ins, x, y| ins.ssub_sat(x, y)),
        Operator::I16x8SubSatS => binary(t, I16X8, |ins, x, y| ins.ssub_sat(x, y)),
        Operator::I8x16SubSatU => binary(t, I8X16, |ins, x, y| ins.usub_sat(x, y)),
        Operator::I16x8SubSatU => binary(t, I16X8, |ins, x, y| ins.usub_sat(x, y)),
        Operator::I16x8Mul => binary(t, I16X8, |ins, x, y| ins.imul(x, y)),
        Operator::I32x4Mul => binary(t, I32X4, |ins, x, y| ins.imul(x, y)),
        Operator::I64x2Mul => binary(t, I64X2, |ins, x, y| ins.imul(x, y)),
        Operator::I8x16MinS => binary(t, I8X16, |ins, x, y| ins.smin(x, y)),
        Operator::I16x8MinS => binary(t, I16X8, |ins, x, y| ins.smin(x, y)),
        Operator::I32x4MinS => binary(t, I32X4, |ins, x, y| ins.smin(x, y)),
        Operator::I8x16MinU => binary(t, I8X16, |ins, x, y| ins.umin(x, y)),
        Operator::I16x8MinU => binary(t, I16X8, |ins, x, y| ins.umin(x, y)),
        Operator::I32x4MinU => binary(t, I32X4, |ins, x, y| ins.umin(x, y)),
        Operator::I8x16MaxS => binary(t, I8X16, |ins, x, y| ins.smax(x, y)),
        Operator::I16x8MaxS => binary(t, I16X8, |ins, x, y| ins.smax(x, y)),
        Operator::I32x4MaxS => binary(t, I32X4, |ins, x, y| ins.smax(x, y)),
        Operator::I8x16MaxU => binary(t, I8X16, |ins, x, y| ins.umax(x, y)),
        Operator::I16x8MaxU => binary(t, I16X8, |ins, x, y| ins.umax(x, y)),
        Operator::I32x4MaxU => binary(t, I32X4, |ins, x, y| ins.umax(x, y)),
        Operator::I8x16AvgrU => binary(t, I8X16, |ins, x, y| ins.avg_round(x, y)),
        Operator::I16x8AvgrU => binary(t, I16X8, |ins, x, y| ins.avg_round(x, y)),
        Operator::I16x8Q15MulrSatS => binary(t, I16X8, |ins, x, y| ins.sqmul_round_sat(x, y)),

        Operator::I8x16NarrowI16x8S => binary(t, I16X8, |ins, x, y| ins.snarrow(x, y)),
        Operator::I8x16NarrowI16x8U => binary(t, I16X8, |ins, x, y| ins.unarrow(x, y)),
        Operator::I16x8NarrowI32x4S => binary(t, I32X4, |ins, x, y| ins.snarrow(x, y)),
        Operator::I16x8NarrowI32x4U => binary(t, I32X4, |ins, x, y| ins.unarrow(x, y)),
        Operator::I16x8ExtendLowI8x16S => unary(t, I8X16, swiden_low),
        Operator::I32x4ExtendLowI16x8S => unary(t, I16X8, swiden_low),
        Operator::I64x2ExtendLowI32x4S => unary(t, I32X4, swiden_low),
        Operator::I16x8ExtendHighI8x16S => unary(t, I8X16, swiden_high),
        Operator::I32x4ExtendHighI16x8S => unary(t, I16X8, swiden_high),
        Operator::I64x2ExtendHighI32x4S => unary(t, I32X4, swiden_high),
        Operator::I16x8ExtendLowI8x16U => unary(t, I8X16, uwiden_low),
        Operator::I32x4ExtendLowI16x8U => unary(t, I16X8, uwiden_low),
        Operator::I64x2ExtendLowI32x4U => unary(t, I32X4, uwiden_low),
        Operator::I16x8ExtendHighI8x16U => unary(t, I8X16, uwiden_high),
        Operator::I32x4ExtendHighI16x8U => unary(t, I16X8, uwiden_high),
        Operator::I64x2ExtendHighI32x4U => unary(t, I32X4, uwiden_high),
        Operator::I16x8ExtMulLowI8x16S => multiply_widened(t, I8X16, swiden_low),
        Operator::I32x4ExtMulLowI16x8S => multiply_widened(t, I16X8, swiden_low),
        Operator::I64x2ExtMulLowI32x4S => multiply_widened(t, I32X4, swiden_low),
        Operator::I16x8ExtMulHighI8x16S => multiply_widened(t, I8X16, swiden_high),
        Operator::I32x4ExtMulHighI16x8S => multiply_widened(t, I16X8, swiden_high),
        Operator::I64x2ExtMulHighI32x4S => multiply_widened(t, I32X4, swiden_high),
        Operator::I16x8ExtMulLowI8x16U => multiply_widened(t, I8X16, uwiden_low),
        Operator::I32x4ExtMulLowI16x8U => multiply_widened(t, I16X8, uwiden_low),
        Operator::I64x2ExtMulLowI32x4U => multiply_widened(t, I32X4, uwiden_low),
        Operator::I16x8ExtMulHighI8x16U => multiply_widened(t, I8X16, uwiden_high),
        Operator::I32x4ExtMulHighI16x8U => multiply_widened(t, I16X8, uwiden_high),
        Operator::I64x2ExtMulHighI32x4U => multiply_widened(t, I32X4, uwiden_high),
        Operator::I16x8ExtAddPairwiseI8x16S => add_pairwise_widened(t, I8X16, swiden_low, swiden_high),
        Operator::I32x4ExtAddPairwiseI16x8S => add_pairwise_widened(t, I16X8, swiden_low, swiden_high),
        Operator::I16x8ExtAddPairwiseI8x16U => add_pairwise_widened(t, I8X16, uwiden_low, uwiden_high),
        Operator::I32x4ExtAddPairwiseI16x8U => add_pairwise_widened(t, I16X8, uwiden_low, uwiden_high),
        Operator::I32x4DotI16x8S => {
            let (x, y) = pop2(t, I16X8);
            let result = dot(t, x, y);
            push(t, result);
        }
        _ => return false,
    }
    true
}

/// Arithmetic on float lanes, and conversions.
fn floats(t: &mut FuncTranslator<'_>, op: &Operator<'_>) -> bool {
    match op {
        Operator::F32x4Abs => unary(t, F32X4, |ins, x| ins.fabs(x)),
        Operator::F64x2Abs => unary(t, F64X2, |ins, x| ins.fabs(x)),
        Operator::F32x4Neg => unary(t, F32X4, |ins, x| ins.fneg(x)),
        Operator::F64x2Neg => unary(t, F64X2, |ins, x| ins.fneg(x)),
        Operator::F32x4Sqrt => unary(t, F32X4, |ins, x| ins.sqrt(x)),
        Operator::F64x2Sqrt => unary(t, F64X2, |ins, x| ins.sqrt(x)),
        Operator::F32x4Ceil => round(t, F32X4, Builtin::CeilF32, |ins, x| ins.ceil(x)),
        Operator::F64x2Ceil => round(t, F64X2, Builtin::CeilF64, |ins, x| ins.ceil(x)),
        Operator::F32x4Floor => round(t, F32X4, Builtin::FloorF32, |ins, x| ins.floor(x)),
        Operator::F64x2Floor => round(t, F64X2, Builtin::FloorF64, |ins, x| ins.floor(x)),
        Operator::F32x4Trunc => round(t, F32X4, Builtin::TruncF32, |ins, x| ins.trunc(x)),
        Operator::F64x2Trunc => round(t, F64X2, Builtin::TruncF64, |ins, x| ins.trunc(x)),
        Operator::F32x4Nearest => round(t, F32X4, Builtin::NearestF32, |ins, x| ins.nearest(x)),
        Operator::F64x2Nearest => round(t, F64X2, Builtin::NearestF64, |ins, x| ins.nearest(x)),
        Operator::F32x4Add => binary(t, F32X4, |ins, x, y| ins.fadd(x, y)),
        Operator::F64x2Add => binary(t, F64X2, |ins, x, y| ins.fadd(x, y)),
        Operator::F32x4Sub => binary(t, F32X4, |ins, x, y| ins.fsub(x, y)),
        Operator::F64x2Sub => binary(t, F64X2, |ins, x, y| ins.fsub(x, y)),
        Operator::F32x4Mul => binary(t, F32X4, |ins, x, y| ins.fmul(x, y)),
        Operator::F64x2Mul => binary(t, F64X2, |ins, x, y| ins.fmul(x, y)),
        Operator::F32x4Div => binary(t, F32X4, |ins, x, y| ins.fdiv(x, y)),
        Operator::F64x2Div => binary(t, F64X2, |ins, x, y| ins.fdiv(x, y)),
        Operator::F32x4Min => binary(t, F32X4, |ins, x, y| ins.fmin(x, y)),
        Operator::F64x2Min => binary(t, F64X2, |ins, x, y| ins.fmin(x, y)),
        Operator::F32x4Max => binary(t, F32X4, |ins, x, y| ins.fmax(x, y)),
        Operator::F64x2Max => binary(t, F64X2, |ins, x, y| ins.fmax(x, y)),
        Operator::F32x4PMin => pseudo_min(t, F32X4),
        Operator::F64x2PMin => pseudo_min(t, F64X2),
        Operator::F32x4PMax => pseudo_max(t, F32X4),
        Operator::F64x2PMax => pseudo_max(t, F64X2),

        Operator::I32x4TruncSatF32x4S => unary(t, F32X4, |ins, x| ins.fcvt_to_sint_sat(I32X4, x)),
        Operator::I32x4TruncSatF32x4U => unary(t, F32X4, |ins, x| ins.fcvt_to_uint_sat(I32X4, x)),
        Operator::I32x4TruncSatF64x2SZero => trunc_sat_f64x2_s(t),
        Operator::I32x4TruncSatF64x2UZero => trunc_sat_f64x2_u(t),
        Operator::F32x4ConvertI32x4S => unary(t, I32X4, |ins, x| ins.fcvt_from_sint(F32X4, x)),
        Operator::F32x4ConvertI32x4U => unary(t, I32X4, |ins, x| ins.fcvt_from_uint(F32X4, x)),
        Operator::F64x2ConvertLowI32x4S => {
            let x = pop(t, I32X4);
            let low = t.builder.ins().swiden_low(x);
            let result = t.builder.ins().fcvt_from_sint(F64X2, low);
            push(t, result);
        }
        Operator::F64x2ConvertLowI32x4U => {
            let x = pop(t, I32X4);
            let low = t.builder.ins().uwiden_low(x);
            let result = t.builder.ins().fcvt_from_uint(F64X2, low);
            push(t, result);
        }
        Operator::F32x4DemoteF64x2Zero => unary(t, F64X2, |ins, x| ins.fvdemote(x)),
        Operator::F64x2PromoteLowF32x4 => unary(t, F32X4, |ins, x| ins.fvpromote_low(x)),
        _ => return false,
    }
    true
}

/// Operators with a choice of results. `relaxed_simd_deterministic` takes the choice of the spec's deterministic profile
/// (core spec, appendix "Profiles"), otherwise it is what the CPU does in the fewest instructions.
fn relaxed(t: &mut FuncTranslator<'_>, op: &Operator<'_>) -> bool {
    let free = !t.tunables().relaxed_simd_deterministic;
    // The cheap minimum answers a NaN operand as it is.
    let cheap_min = free && arch::HAS_PSEUDO_MIN && !t.tunables().nan_canonicalization;
    match op {
        Operator::I8x16RelaxedSwizzle => {
            let (x, selectors) = pop2(t, I8X16);
            let short = if free { arch::relaxed_swizzle(&mut t.builder, t.isa, x, selectors) } else { None };
            let result = short.unwrap_or_else(|| swizzle(t, x, selectors));
            push(t, result);
        }
        Operator::I32x4RelaxedTruncF32x4S if free => unary(t, F32X4, |ins, x| arch::relaxed_trunc(ins, I32X4, x)),
        Operator::I32x4RelaxedTruncF64x2SZero if free => {
            let x = pop(t, F64X2);
            let wide = arch::relaxed_trunc(t.builder.ins(), I64X2, x);
            let zero = constant(t, I64X2, [0; 16]);
            let result = t.builder.ins().snarrow(wide, zero);
            push(t, result);
        }
        Operator::I32x4RelaxedTruncF32x4S => unary(t, F32X4, |ins, x| ins.fcvt_to_sint_sat(I32X4, x)),
        Operator::I32x4RelaxedTruncF32x4U => unary(t, F32X4, |ins, x| ins.fcvt_to_uint_sat(I32X4, x)),
        Operator::I32x4RelaxedTruncF64x2SZero => trunc_sat_f64x2_s(t),
        Operator::I32x4RelaxedTruncF64x2UZero => trunc_sat_f64x2_u(t),
        Operator::F32x4RelaxedMadd => multiply_add(t, F32X4, false),
        Operator::F64x2RelaxedMadd => multiply_add(t, F64X2, false),
        Operator::F32x4RelaxedNmadd => multiply_add(t, F32X4, true),
        Operator::F64x2RelaxedNmadd => multiply_add(t, F64X2, true),
        Operator::I8x16RelaxedLaneselect => laneselect(t, I8X16),
        Operator::I16x8RelaxedLaneselect => laneselect(t, I16X8),
        Operator::I32x4RelaxedLaneselect => laneselect(t, I32X4),
        Operator::I64x2RelaxedLaneselect => laneselect(t, I64X2),
        Operator::F32x4RelaxedMin if cheap_min => pseudo_min(t, F32X4),
        Operator::F64x2RelaxedMin if cheap_min => pseudo_min(t, F64X2),
        Operator::F32x4RelaxedMax if cheap_min => pseudo_max(t, F32X4),
        Operator::F64x2RelaxedMax if cheap_min => pseudo_max(t, F64X2),
        Operator::F32x4RelaxedMin => binary(t, F32X4, |ins, x, y| ins.fmin(x, y)),
        Operator::F64x2RelaxedMin => binary(t, F64X2, |ins, x, y| ins.fmin(x, y)),
        Operator::F32x4RelaxedMax => binary(t, F32X4, |ins, x, y| ins.fmax(x, y)),
        Operator::F64x2RelaxedMax => binary(t, F64X2, |ins, x, y| ins.fmax(x, y)),
        Operator::I16x8RelaxedQ15mulrS => {
            let (x, y) = pop2(t, I16X8);
            let short = if free { arch::relaxed_q15mulr(&mut t.builder, t.isa, x, y) } else { None };
            let result = short.unwrap_or_else(|| t.builder.ins().sqmul_round_sat(x, y));
            push(t, result);
        }
        Operator::I16x8RelaxedDotI8x16I7x16S => {
            let (x, y) = pop2(t, I8X16);
            let result = relaxed_dot(t, x, y);
            push(t, result);
        }
        Operator::I32x4RelaxedDotI8x16I7x16AddS => {
            let addend = pop(t, I32X4);
            let (x, y) = pop2(t, I8X16);
            let products = relaxed_dot(t, x, y);
            let low = t.builder.ins().swiden_low(products);
            let high = t.builder.ins().swiden_high(products);
            let sums = t.builder.ins().iadd_pairwise(low, high);
            let result = t.builder.ins().iadd(sums, addend);
            push(t, result);
        }
        _ => return false,
    }
    true
}

/// Pops a `v128` as a vector of these lanes.
fn pop(t: &mut FuncTranslator<'_>, ty: Type) -> Value {
    let vector = t.pop();
    cast(t, vector, ty)
}

fn pop2(t: &mut FuncTranslator<'_>, ty: Type) -> (Value, Value) {
    let (x, y) = t.pop2();
    (cast(t, x, ty), cast(t, y, ty))
}

/// Pushes a vector of any lanes as a `v128`.
fn push(t: &mut FuncTranslator<'_>, vector: Value) {
    let vector = cast(t, vector, V128);
    t.push(vector);
}

/// The same bits as a vector of other lanes; lane 0 is the lowest. No machine code comes of it.
fn cast(t: &mut FuncTranslator<'_>, vector: Value, ty: Type) -> Value {
    let dfg = &t.builder.func.dfg;
    if dfg.value_type(vector) == ty {
        return vector;
    }
    // One operator's result is the next one's operand, mostly with the same lanes.
    if let Some(inst) = dfg.value_def(vector).inst()
        && let InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, .. } = dfg.insts[inst]
        && dfg.value_type(arg) == ty
    {
        return arg;
    }
    t.builder.ins().bitcast(ty, MemFlagsData::new().with_endianness(Endianness::Little), vector)
}

fn constant(t: &mut FuncTranslator<'_>, ty: Type, bytes: [u8; 16]) -> Value {
    let handle = t.builder.func.dfg.constants.insert(bytes.as_slice().into());
    t.builder.ins().vconst(ty, handle)
}

fn unary(t: &mut FuncTranslator<'_>, ty: Type, make: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value) {
    let x = pop(t, ty);
    let result = make(t.builder.ins(), x);
    push(t, result);
}

fn binary(t: &mut FuncTranslator<'_>, ty: Type, make: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value) {
    let (x, y) = pop2(t, ty);
    let result = make(t.builder.ins(), x, y);
    push(t, result);
}

fn ternary(
    t: &mut FuncTranslator<'_>,
    ty: Type,
    make: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value, Value) -> Value,
) {
    let z = pop(t, ty);
    let (x, y) = pop2(t, ty);
    let result = make(t.builder.ins(), x, y, z);
    push(t, result);
}

/// Makes a number of a vector, and an `i32` of that.
fn reduce(
    t: &mut FuncTranslator<'_>,
    ty: Type,
    make: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value,
    extend: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value,
) {
    let x = pop(t, ty);
    let narrow = make(t.builder.ins(), x);
    let result = extend(t.builder.ins(), narrow);
    t.push(result);
}

fn sextend(ins: FuncInstBuilder<'_, '_>, x: Value) -> Value {
    ins.sextend(I32, x)
}

fn uextend(ins: FuncInstBuilder<'_, '_>, x: Value) -> Value {
    ins.uextend(I32, x)
}

fn swiden_low(ins: FuncInstBuilder<'_, '_>, x: Value) -> Value {
    ins.swiden_low(x)
}

fn swiden_high(ins: FuncInstBuilder<'_, '_>, x: Value) -> Value {
    ins.swiden_high(x)
}

fn uwiden_low(ins: FuncInstBuilder<'_, '_>, x: Value) -> Value {
    ins.uwiden_low(x)
}

fn uwiden_high(ins: FuncInstBuilder<'_, '_>, x: Value) -> Value {
    ins.uwiden_high(x)
}

fn load(t: &mut FuncTranslator<'_>, memarg: &MemArg, ty: Type) -> Value {
    let address = t.address(memarg, ty.bytes());
    t.builder.ins().load(ty, address.flags, address.base, address.offset)
}

fn store(t: &mut FuncTranslator<'_>, memarg: &MemArg, x: Value) {
    let size = t.builder.func.dfg.value_type(x).bytes();
    let address = t.address(memarg, size);
    t.builder.ins().store(address.flags, x, address.base, address.offset);
}

/// Loads 8 bytes and doubles the width of their lanes.
fn load_extend(
    t: &mut FuncTranslator<'_>,
    memarg: &MemArg,
    make: impl FnOnce(FuncInstBuilder<'_, '_>, MemFlagsData, Value, i32) -> Value,
) {
    let address = t.address(memarg, 8);
    let result = make(t.builder.ins(), address.flags, address.base, address.offset);
    push(t, result);
}

fn load_splat(t: &mut FuncTranslator<'_>, memarg: &MemArg, ty: Type) {
    let lane = load(t, memarg, ty.lane_type());
    let result = t.builder.ins().splat(ty, lane);
    push(t, result);
}

fn load_zero(t: &mut FuncTranslator<'_>, memarg: &MemArg, ty: Type) {
    let lane = load(t, memarg, ty.lane_type());
    let result = t.builder.ins().scalar_to_vector(ty, lane);
    push(t, result);
}

fn load_lane(t: &mut FuncTranslator<'_>, memarg: &MemArg, ty: Type, lane: u8) {
    let vector = pop(t, ty);
    let loaded = load(t, memarg, ty.lane_type());
    let result = t.builder.ins().insertlane(vector, loaded, lane);
    push(t, result);
}

fn store_lane(t: &mut FuncTranslator<'_>, memarg: &MemArg, ty: Type, lane: u8) {
    let vector = pop(t, ty);
    let stored = t.builder.ins().extractlane(vector, lane);
    store(t, memarg, stored);
}

/// Splats a number, of which narrow lanes take the low bits.
fn splat(t: &mut FuncTranslator<'_>, ty: Type) {
    let x = t.pop();
    let lane = lane_of(t, ty, x);
    let result = t.builder.ins().splat(ty, lane);
    push(t, result);
}

fn replace(t: &mut FuncTranslator<'_>, ty: Type, lane: u8) {
    let x = t.pop();
    let vector = pop(t, ty);
    let x = lane_of(t, ty, x);
    let result = t.builder.ins().insertlane(vector, x, lane);
    push(t, result);
}

fn lane_of(t: &mut FuncTranslator<'_>, ty: Type, x: Value) -> Value {
    match ty.lane_type() {
        I8 => t.builder.ins().ireduce(I8, x),
        I16 => t.builder.ins().ireduce(I16, x),
        _ => x,
    }
}

fn extract(t: &mut FuncTranslator<'_>, ty: Type, lane: u8) {
    let vector = pop(t, ty);
    let result = t.builder.ins().extractlane(vector, lane);
    t.push(result);
}

/// Selects bytes of two vectors by constant selectors below 32.
fn shuffle(t: &mut FuncTranslator<'_>, x: Value, y: Value, selectors: [u8; 16]) -> Value {
    if arch::has_byte_shuffles(t.isa) {
        let mask = t.builder.func.dfg.immediates.push(selectors.as_slice().into());
        return t.builder.ins().shuffle(x, y, mask);
    }
    let mut result = x;
    for (lane, selector) in (0..).zip(selectors) {
        let from = if selector < 16 { x } else { y };
        let byte = t.builder.ins().extractlane(from, selector % 16);
        result = t.builder.ins().insertlane(result, byte, lane);
    }
    result
}

/// Selects bytes of a vector; selectors from 16 on give zero.
fn swizzle(t: &mut FuncTranslator<'_>, x: Value, selectors: Value) -> Value {
    if arch::has_byte_shuffles(t.isa) {
        return t.builder.ins().swizzle(x, selectors);
    }
    let mut result = constant(t, I8X16, [0; 16]);
    for selector in 0..16u8 {
        let here = constant(t, I8X16, [selector; 16]);
        let here = t.builder.ins().icmp(IntCC::Equal, selectors, here);
        let byte = t.builder.ins().extractlane(x, selector);
        let bytes = t.builder.ins().splat(I8X16, byte);
        let selected = t.builder.ins().band(here, bytes);
        result = t.builder.ins().bor(result, selected);
    }
    result
}

fn compare_ints(t: &mut FuncTranslator<'_>, ty: Type, cc: IntCC) {
    binary(t, ty, |ins, x, y| ins.icmp(cc, x, y));
}

fn compare_floats(t: &mut FuncTranslator<'_>, ty: Type, cc: FloatCC) {
    binary(t, ty, |ins, x, y| ins.fcmp(cc, x, y));
}

fn bitmask(t: &mut FuncTranslator<'_>, ty: Type) {
    let x = pop(t, ty);
    let result = t.builder.ins().vhigh_bits(I32, x);
    t.push(result);
}

/// Shifts all lanes by one count, of which the lane's width leaves the low bits.
fn shift(t: &mut FuncTranslator<'_>, ty: Type, make: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value) {
    let count = t.pop();
    let x = pop(t, ty);
    let result = make(t.builder.ins(), x, count);
    push(t, result);
}

fn multiply_widened(t: &mut FuncTranslator<'_>, ty: Type, widen: impl Fn(FuncInstBuilder<'_, '_>, Value) -> Value) {
    let (x, y) = pop2(t, ty);
    let x = widen(t.builder.ins(), x);
    let y = widen(t.builder.ins(), y);
    let result = t.builder.ins().imul(x, y);
    push(t, result);
}

fn add_pairwise_widened(
    t: &mut FuncTranslator<'_>,
    ty: Type,
    widen_low: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value,
    widen_high: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value,
) {
    let x = pop(t, ty);
    let low = widen_low(t.builder.ins(), x);
    let high = widen_high(t.builder.ins(), x);
    let result = t.builder.ins().iadd_pairwise(low, high);
    push(t, result);
}

/// Multiplies signed lanes to lanes of twice the width, and adds neighbours, wrapping.
fn dot(t: &mut FuncTranslator<'_>, x: Value, y: Value) -> Value {
    let x_low = t.builder.ins().swiden_low(x);
    let y_low = t.builder.ins().swiden_low(y);
    let low = t.builder.ins().imul(x_low, y_low);
    let x_high = t.builder.ins().swiden_high(x);
    let y_high = t.builder.ins().swiden_high(y);
    let high = t.builder.ins().imul(x_high, y_high);
    t.builder.ins().iadd_pairwise(low, high)
}

/// `i16x8.relaxed_dot_i8x16_i7x16_s`. Bytes of `y` above 127 may count as signed or not; the deterministic profile takes
/// them as signed.
fn relaxed_dot(t: &mut FuncTranslator<'_>, x: Value, y: Value) -> Value {
    if !t.tunables().relaxed_simd_deterministic
        && let Some(result) = arch::relaxed_dot(&mut t.builder, t.isa, x, y)
    {
        return result;
    }
    let wrapped = dot(t, x, y);
    // The sum saturates. One sum alone overflows, twice -128 * -128, and no other wraps to -32768.
    let overflown = constant(t, I16X8, [0, 0x80, 0, 0x80, 0, 0x80, 0, 0x80, 0, 0x80, 0, 0x80, 0, 0x80, 0, 0x80]);
    let overflows = t.builder.ins().icmp(IntCC::Equal, wrapped, overflown);
    t.builder.ins().bxor(wrapped, overflows)
}

/// `y < x ? y : x`.
fn pseudo_min(t: &mut FuncTranslator<'_>, ty: Type) {
    let (x, y) = pop2(t, ty);
    let less = t.builder.ins().fcmp(FloatCC::LessThan, y, x);
    let less = cast(t, less, ty);
    let result = t.builder.ins().bitselect(less, y, x);
    push(t, result);
}

/// `x < y ? y : x`.
fn pseudo_max(t: &mut FuncTranslator<'_>, ty: Type) {
    let (x, y) = pop2(t, ty);
    let less = t.builder.ins().fcmp(FloatCC::LessThan, x, y);
    let less = cast(t, less, ty);
    let result = t.builder.ins().bitselect(less, y, x);
    push(t, result);
}

/// Rounds lanes to integral values, by a builtin for each where the CPU has no instruction for it.
fn round(
    t: &mut FuncTranslator<'_>,
    ty: Type,
    builtin: Builtin,
    make: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value,
) {
    let x = pop(t, ty);
    let result = if t.isa.has_round() { make(t.builder.ins(), x) } else { lane_by_lane(t, builtin, &[x]) };
    push(t, result);
}

/// Calls a builtin on each lane of vectors of one type.
fn lane_by_lane(t: &mut FuncTranslator<'_>, builtin: Builtin, vectors: &[Value]) -> Value {
    let mut result = vectors[0];
    let count = t.builder.func.dfg.value_type(result).lane_count() as u8;
    for lane in 0..count {
        let args: Vec<Value> = vectors.iter().map(|&vector| t.builder.ins().extractlane(vector, lane)).collect();
        let value = call_float_builtin(t, builtin, &args);
        result = t.builder.ins().insertlane(result, value, lane);
    }
    result
}

/// Truncates two `f64` to `i32`, saturating; the upper lanes become zero.
fn trunc_sat_f64x2_s(t: &mut FuncTranslator<'_>) {
    let x = pop(t, F64X2);
    // Cranelift lowers the two only together.
    let wide = t.builder.ins().fcvt_to_sint_sat(I64X2, x);
    let zero = constant(t, I64X2, [0; 16]);
    let result = t.builder.ins().snarrow(wide, zero);
    push(t, result);
}

/// Truncates two `f64` to unsigned 32-bit integers, saturating; the upper lanes become zero.
fn trunc_sat_f64x2_u(t: &mut FuncTranslator<'_>) {
    let x = pop(t, F64X2);
    if t.isa.has_round() {
        let wide = t.builder.ins().fcvt_to_uint_sat(I64X2, x);
        let zero = constant(t, I64X2, [0; 16]);
        let result = t.builder.ins().uunarrow(wide, zero);
        push(t, result);
        return;
    }
    let mut result = constant(t, I32X4, [0; 16]);
    for lane in 0..2u8 {
        let float = t.builder.ins().extractlane(x, lane);
        let int = t.builder.ins().fcvt_to_uint_sat(I32, float);
        result = t.builder.ins().insertlane(result, int, lane);
    }
    push(t, result);
}

/// `x * y + z`, or `-(x * y) + z` where negated. Rounding once or twice is free; the deterministic profile rounds once.
fn multiply_add(t: &mut FuncTranslator<'_>, ty: Type, negated: bool) {
    let z = pop(t, ty);
    let (x, y) = pop2(t, ty);
    let x = if negated { t.builder.ins().fneg(x) } else { x };
    let result = if t.isa.has_native_fma() {
        t.builder.ins().fma(x, y, z)
    } else if t.tunables().relaxed_simd_deterministic {
        let builtin = if ty == F32X4 { Builtin::FmaF32 } else { Builtin::FmaF64 };
        lane_by_lane(t, builtin, &[x, y, z])
    } else {
        let product = t.builder.ins().fmul(x, y);
        t.builder.ins().fadd(product, z)
    };
    push(t, result);
}

/// Selects lanes by their top bit or bits by themselves, whichever is cheaper; they differ only for masks of mixed bits.
fn laneselect(t: &mut FuncTranslator<'_>, ty: Type) {
    let by_lane = !t.tunables().relaxed_simd_deterministic && t.isa.has_blendv_lowering(ty);
    ternary(t, ty, |ins, x, y, mask| if by_lane { ins.blendv(mask, x, y) } else { ins.bitselect(mask, x, y) });
}
