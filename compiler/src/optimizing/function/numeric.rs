//! Operators on numbers: constants, arithmetic, comparisons and conversions of `i32`, `i64`, `f32` and `f64`.
//!
//! Cranelift's scalar instructions were modelled on WebAssembly's, so most operators are one instruction. The exceptions
//! are those that trap, and those for which the CPU may lack an instruction.

use super::translator::FuncTranslator;
use ampoule_core::builtins::Builtin;
use ampoule_core::trap::TrapCode;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::types::{F32, F64, I8, I16, I32, I64, I128};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value};
use cranelift_frontend::FuncInstBuilder;
use wasmparser::Operator;

/// Translates an operator of this family; false where it belongs to another.
pub(super) fn translate(t: &mut FuncTranslator<'_>, op: &Operator<'_>) -> bool {
    match *op {
        Operator::I32Const { value } => {
            let constant = t.builder.ins().iconst(I32, i64::from(value));
            t.push(constant);
        }
        Operator::I64Const { value } => {
            let constant = t.builder.ins().iconst(I64, value);
            t.push(constant);
        }
        Operator::F32Const { value } => {
            let constant = t.builder.ins().f32const(Ieee32::with_bits(value.bits()));
            t.push(constant);
        }
        Operator::F64Const { value } => {
            let constant = t.builder.ins().f64const(Ieee64::with_bits(value.bits()));
            t.push(constant);
        }

        Operator::I32Eqz | Operator::I64Eqz => {
            let x = t.pop();
            let truth = t.builder.ins().icmp_imm_s(IntCC::Equal, x, 0);
            push_truth(t, truth);
        }
        Operator::I32Eq | Operator::I64Eq => compare_ints(t, IntCC::Equal),
        Operator::I32Ne | Operator::I64Ne => compare_ints(t, IntCC::NotEqual),
        Operator::I32LtS | Operator::I64LtS => compare_ints(t, IntCC::SignedLessThan),
        Operator::I32LtU | Operator::I64LtU => compare_ints(t, IntCC::UnsignedLessThan),
        Operator::I32GtS | Operator::I64GtS => compare_ints(t, IntCC::SignedGreaterThan),
        Operator::I32GtU | Operator::I64GtU => compare_ints(t, IntCC::UnsignedGreaterThan),
        Operator::I32LeS | Operator::I64LeS => compare_ints(t, IntCC::SignedLessThanOrEqual),
        Operator::I32LeU | Operator::I64LeU => compare_ints(t, IntCC::UnsignedLessThanOrEqual),
        Operator::I32GeS | Operator::I64GeS => compare_ints(t, IntCC::SignedGreaterThanOrEqual),
        Operator::I32GeU | Operator::I64GeU => compare_ints(t, IntCC::UnsignedGreaterThanOrEqual),
        Operator::F32Eq | Operator::F64Eq => compare_floats(t, FloatCC::Equal),
        Operator::F32Ne | Operator::F64Ne => compare_floats(t, FloatCC::NotEqual),
        Operator::F32Lt | Operator::F64Lt => compare_floats(t, FloatCC::LessThan),
        Operator::F32Gt | Operator::F64Gt => compare_floats(t, FloatCC::GreaterThan),
        Operator::F32Le | Operator::F64Le => compare_floats(t, FloatCC::LessThanOrEqual),
        Operator::F32Ge | Operator::F64Ge => compare_floats(t, FloatCC::GreaterThanOrEqual),

        Operator::I32Clz | Operator::I64Clz => unary(t, |ins, x| ins.clz(x)),
        Operator::I32Ctz | Operator::I64Ctz => unary(t, |ins, x| ins.ctz(x)),
        Operator::I32Popcnt | Operator::I64Popcnt => unary(t, |ins, x| ins.popcnt(x)),
        Operator::I64Add => binary_or(t, |t, x, y| t.sum_with_upper_half(x, y), |ins, x, y| ins.iadd(x, y)),
        Operator::I64Or => binary_or(t, |t, x, y| t.lower_half(x, y), |ins, x, y| ins.bor(x, y)),
        Operator::I32Add => binary(t, |ins, x, y| ins.iadd(x, y)),
        Operator::I32Sub | Operator::I64Sub => binary(t, |ins, x, y| ins.isub(x, y)),
        Operator::I32Mul | Operator::I64Mul => binary(t, |ins, x, y| ins.imul(x, y)),
        Operator::I32DivS | Operator::I64DivS => div_s(t),
        Operator::I32DivU | Operator::I64DivU => divide_by_nonzero(t, |ins, x, y| ins.udiv(x, y)),
        Operator::I32RemS | Operator::I64RemS => divide_by_nonzero(t, |ins, x, y| ins.srem(x, y)),
        Operator::I32RemU | Operator::I64RemU => divide_by_nonzero(t, |ins, x, y| ins.urem(x, y)),
        Operator::I32And | Operator::I64And => binary(t, |ins, x, y| ins.band(x, y)),
        Operator::I32Or => binary(t, |ins, x, y| ins.bor(x, y)),
        Operator::I32Xor | Operator::I64Xor => binary(t, |ins, x, y| ins.bxor(x, y)),
        Operator::I32Shl | Operator::I64Shl => binary(t, |ins, x, y| ins.ishl(x, y)),
        Operator::I32ShrS | Operator::I64ShrS => binary(t, |ins, x, y| ins.sshr(x, y)),
        Operator::I32ShrU | Operator::I64ShrU => binary(t, |ins, x, y| ins.ushr(x, y)),
        Operator::I32Rotl | Operator::I64Rotl => binary(t, |ins, x, y| ins.rotl(x, y)),
        Operator::I32Rotr | Operator::I64Rotr => binary(t, |ins, x, y| ins.rotr(x, y)),

        Operator::I64Add128 => binary_128(t, |ins, x, y| ins.iadd(x, y)),
        Operator::I64Sub128 => binary_128(t, |ins, x, y| ins.isub(x, y)),
        Operator::I64MulWideS => mul_wide(t, |ins, x| ins.sextend(I128, x)),
        Operator::I64MulWideU => mul_wide(t, |ins, x| ins.uextend(I128, x)),

        Operator::F32Abs | Operator::F64Abs => unary(t, |ins, x| ins.fabs(x)),
        Operator::F32Neg | Operator::F64Neg => unary(t, |ins, x| ins.fneg(x)),
        Operator::F32Sqrt | Operator::F64Sqrt => unary(t, |ins, x| ins.sqrt(x)),
        Operator::F32Ceil => round(t, Builtin::CeilF32, |ins, x| ins.ceil(x)),
        Operator::F64Ceil => round(t, Builtin::CeilF64, |ins, x| ins.ceil(x)),
        Operator::F32Floor => round(t, Builtin::FloorF32, |ins, x| ins.floor(x)),
        Operator::F64Floor => round(t, Builtin::FloorF64, |ins, x| ins.floor(x)),
        Operator::F32Trunc => round(t, Builtin::TruncF32, |ins, x| ins.trunc(x)),
        Operator::F64Trunc => round(t, Builtin::TruncF64, |ins, x| ins.trunc(x)),
        Operator::F32Nearest => round(t, Builtin::NearestF32, |ins, x| ins.nearest(x)),
        Operator::F64Nearest => round(t, Builtin::NearestF64, |ins, x| ins.nearest(x)),
        Operator::F32Add | Operator::F64Add => binary(t, |ins, x, y| ins.fadd(x, y)),
        Operator::F32Sub | Operator::F64Sub => binary(t, |ins, x, y| ins.fsub(x, y)),
        Operator::F32Mul | Operator::F64Mul => binary(t, |ins, x, y| ins.fmul(x, y)),
        Operator::F32Div | Operator::F64Div => binary(t, |ins, x, y| ins.fdiv(x, y)),
        Operator::F32Min | Operator::F64Min => binary(t, |ins, x, y| ins.fmin(x, y)),
        Operator::F32Max | Operator::F64Max => binary(t, |ins, x, y| ins.fmax(x, y)),
        Operator::F32Copysign | Operator::F64Copysign => binary(t, |ins, x, y| ins.fcopysign(x, y)),

        Operator::I32WrapI64 => unary(t, |ins, x| ins.ireduce(I32, x)),
        Operator::I64ExtendI32S => unary(t, |ins, x| ins.sextend(I64, x)),
        Operator::I64ExtendI32U => unary(t, |ins, x| ins.uextend(I64, x)),
        Operator::I32Extend8S => sign_extend(t, I8, I32),
        Operator::I32Extend16S => sign_extend(t, I16, I32),
        Operator::I64Extend8S => sign_extend(t, I8, I64),
        Operator::I64Extend16S => sign_extend(t, I16, I64),
        Operator::I64Extend32S => sign_extend(t, I32, I64),

        Operator::I32TruncF32S | Operator::I32TruncF64S => trunc(t, I32, true),
        Operator::I32TruncF32U | Operator::I32TruncF64U => trunc(t, I32, false),
        Operator::I64TruncF32S | Operator::I64TruncF64S => trunc(t, I64, true),
        Operator::I64TruncF32U | Operator::I64TruncF64U => trunc(t, I64, false),
        Operator::I32TruncSatF32S | Operator::I32TruncSatF64S => unary(t, |ins, x| ins.fcvt_to_sint_sat(I32, x)),
        Operator::I32TruncSatF32U | Operator::I32TruncSatF64U => unary(t, |ins, x| ins.fcvt_to_uint_sat(I32, x)),
        Operator::I64TruncSatF32S | Operator::I64TruncSatF64S => unary(t, |ins, x| ins.fcvt_to_sint_sat(I64, x)),
        Operator::I64TruncSatF32U | Operator::I64TruncSatF64U => unary(t, |ins, x| ins.fcvt_to_uint_sat(I64, x)),

        Operator::F32ConvertI32S | Operator::F32ConvertI64S => unary(t, |ins, x| ins.fcvt_from_sint(F32, x)),
        Operator::F32ConvertI32U | Operator::F32ConvertI64U => unary(t, |ins, x| ins.fcvt_from_uint(F32, x)),
        Operator::F64ConvertI32S | Operator::F64ConvertI64S => unary(t, |ins, x| ins.fcvt_from_sint(F64, x)),
        Operator::F64ConvertI32U | Operator::F64ConvertI64U => unary(t, |ins, x| ins.fcvt_from_uint(F64, x)),
        Operator::F32DemoteF64 => unary(t, |ins, x| ins.fdemote(F32, x)),
        Operator::F64PromoteF32 => unary(t, |ins, x| ins.fpromote(F64, x)),

        Operator::I32ReinterpretF32 => unary(t, |ins, x| ins.bitcast(I32, MemFlagsData::new(), x)),
        Operator::I64ReinterpretF64 => unary(t, |ins, x| ins.bitcast(I64, MemFlagsData::new(), x)),
        Operator::F32ReinterpretI32 => unary(t, |ins, x| ins.bitcast(F32, MemFlagsData::new(), x)),
        Operator::F64ReinterpretI64 => unary(t, |ins, x| ins.bitcast(F64, MemFlagsData::new(), x)),

        _ => return false,
    }
    true
}

fn unary(t: &mut FuncTranslator<'_>, make: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value) {
    let x = t.pop();
    let result = make(t.builder.ins(), x);
    t.push(result);
}

fn binary(t: &mut FuncTranslator<'_>, make: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value) {
    let (x, y) = t.pop2();
    let result = make(t.builder.ins(), x, y);
    t.push(result);
}

/// As `binary`, where nothing better is known.
fn binary_or(
    t: &mut FuncTranslator<'_>,
    better: impl FnOnce(&mut FuncTranslator<'_>, Value, Value) -> Option<Value>,
    make: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value,
) {
    let (x, y) = t.pop2();
    let result = better(t, x, y).unwrap_or_else(|| make(t.builder.ins(), x, y));
    t.push(result);
}

fn compare_ints(t: &mut FuncTranslator<'_>, cc: IntCC) {
    let (x, y) = t.pop2();
    let truth = t.builder.ins().icmp(cc, x, y);
    push_truth(t, truth);
}

fn compare_floats(t: &mut FuncTranslator<'_>, cc: FloatCC) {
    let (x, y) = t.pop2();
    let truth = t.builder.ins().fcmp(cc, x, y);
    push_truth(t, truth);
}

/// Pushes a condition, an `i8` to Cranelift, as the `i32` that it is to WebAssembly.
fn push_truth(t: &mut FuncTranslator<'_>, truth: Value) {
    let result = t.builder.ins().uextend(I32, truth);
    t.push(result);
}

/// Takes the stack's top as a number of the narrow type, and sign-extends that.
fn sign_extend(t: &mut FuncTranslator<'_>, narrow: Type, wide: Type) {
    let x = t.pop();
    let low = t.builder.ins().ireduce(narrow, x);
    let result = t.builder.ins().sextend(wide, low);
    t.push(result);
}

/// Signed division.
fn div_s(t: &mut FuncTranslator<'_>) {
    let (x, y) = t.pop2();
    // Cranelift compares with zero too, as the hardware's fault must then mean overflow. What it makes of that is a trap
    // instruction, which is slower to take than a call.
    trap_if_zero(t, y);
    let (min, minus_one) = match t.builder.func.dfg.value_type(x) {
        I32 => (i64::from(i32::MIN), u64::from(u32::MAX)),
        _ => (i64::MIN, u64::MAX),
    };
    let may_overflow = t.constant(y).is_none_or(|divisor| divisor == minus_one);
    if may_overflow && t.tunables().signals_based_traps {
        t.write_metering_before_fault();
    } else if may_overflow {
        let is_min = t.builder.ins().icmp_imm_s(IntCC::Equal, x, min);
        let is_minus_one = t.builder.ins().icmp_imm_s(IntCC::Equal, y, -1);
        let overflows = t.builder.ins().band(is_min, is_minus_one);
        t.trap_if(overflows, TrapCode::IntegerOverflow);
    }
    let result = t.builder.ins().sdiv(x, y);
    t.push(result);
}

/// Division where only zero traps. A divisor of -1 is no special case for `rem_s`: Cranelift answers zero.
fn divide_by_nonzero(t: &mut FuncTranslator<'_>, make: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value) {
    let (x, y) = t.pop2();
    // With signals the hardware's fault is the trap.
    if !t.tunables().signals_based_traps {
        trap_if_zero(t, y);
    } else if may_be_zero(t, y) {
        t.write_metering_before_fault();
    }
    let result = make(t.builder.ins(), x, y);
    t.push(result);
}

fn may_be_zero(t: &FuncTranslator<'_>, divisor: Value) -> bool {
    t.constant(divisor).is_none_or(|divisor| divisor == 0)
}

fn trap_if_zero(t: &mut FuncTranslator<'_>, divisor: Value) {
    if may_be_zero(t, divisor) {
        let is_zero = t.builder.ins().icmp_imm_s(IntCC::Equal, divisor, 0);
        t.trap_if(is_zero, TrapCode::IntegerDivisionByZero);
    }
}

/// Two operands and a result of 128 bits, each as two `i64`, the low one first.
fn binary_128(t: &mut FuncTranslator<'_>, make: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value) {
    let (y_low, y_high) = t.pop2();
    let (x_low, x_high) = t.pop2();
    let x = t.builder.ins().iconcat(x_low, x_high);
    let y = t.builder.ins().iconcat(y_low, y_high);
    let result = make(t.builder.ins(), x, y);
    push_128(t, result);
}

/// Multiplies two `i64`, widened beforehand, to 128 bits.
fn mul_wide(t: &mut FuncTranslator<'_>, widen: impl Fn(FuncInstBuilder<'_, '_>, Value) -> Value) {
    let (x, y) = t.pop2();
    let x = widen(t.builder.ins(), x);
    let y = widen(t.builder.ins(), y);
    let result = t.builder.ins().imul(x, y);
    push_128(t, result);
}

fn push_128(t: &mut FuncTranslator<'_>, result: Value) {
    let (low, high) = t.builder.ins().isplit(result);
    t.push(low);
    t.push(high);
}

/// Rounds to an integral value, by a builtin where the CPU has no instruction for it.
fn round(t: &mut FuncTranslator<'_>, builtin: Builtin, make: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value) {
    let x = t.pop();
    let result = if t.isa.has_round() { make(t.builder.ins(), x) } else { call_float_builtin(t, builtin, &[x]) };
    t.push(result);
}

/// Calls a builtin that computes a float.
pub(super) fn call_float_builtin(t: &mut FuncTranslator<'_>, builtin: Builtin, args: &[Value]) -> Value {
    let result = t.call_builtin(builtin, args).expect("builtins on floats have a result");
    // Libraries round a signalling NaN to itself, where WebAssembly wants a quiet one. Adding -0 makes it quiet and leaves
    // all else; and what Cranelift canonicalizes is the results of instructions, not of calls.
    let minus_zero = float_const(t, t.builder.func.dfg.value_type(result), -0.0);
    t.builder.ins().fadd(result, minus_zero)
}

/// Truncation that traps where the result does not fit.
fn trunc(t: &mut FuncTranslator<'_>, to: Type, signed: bool) {
    let x = t.pop();
    let from = t.builder.func.dfg.value_type(x);
    if t.tunables().signals_based_traps {
        t.write_metering_before_fault();
        let ins = t.builder.ins();
        let result = if signed { ins.fcvt_to_sint(to, x) } else { ins.fcvt_to_uint(to, x) };
        t.push(result);
        return;
    }

    let is_nan = t.builder.ins().fcmp(FloatCC::Unordered, x, x);
    t.trap_if(is_nan, TrapCode::BadConversionToInteger);
    let range = trunc_range(from, to, signed);
    let low = float_const(t, from, range.low);
    let is_low = t.builder.ins().fcmp(range.low_fails, x, low);
    let high = float_const(t, from, range.high);
    let is_high = t.builder.ins().fcmp(FloatCC::GreaterThanOrEqual, x, high);
    let out_of_range = t.builder.ins().bor(is_low, is_high);
    t.trap_if(out_of_range, TrapCode::IntegerOverflow);
    let ins = t.builder.ins();
    let result = if signed { ins.fcvt_to_sint_sat(to, x) } else { ins.fcvt_to_uint_sat(to, x) };
    t.push(result);
}

fn float_const(t: &mut FuncTranslator<'_>, ty: Type, value: f64) -> Value {
    if ty == F32 { t.builder.ins().f32const(value as f32) } else { t.builder.ins().f64const(value) }
}

/// Which floats truncate to an integer type: those from `high` on don't, nor those for which `x <low_fails> low`.
/// Both bounds are exact in the float's type.
#[derive(PartialEq, Debug)]
struct TruncRange {
    low: f64,
    low_fails: FloatCC,
    high: f64,
}

fn trunc_range(from: Type, to: Type, signed: bool) -> TruncRange {
    let bits = to.bits() as i32;
    if !signed {
        return TruncRange { low: -1.0, low_fails: FloatCC::LessThanOrEqual, high: 2f64.powi(bits) };
    }
    let high = 2f64.powi(bits - 1);
    if from == F64 && to == I32 {
        // The fractions below the least integer still truncate to it.
        return TruncRange { low: -high - 1.0, low_fails: FloatCC::LessThanOrEqual, high };
    }
    // In the other cases the float's steps near the least integer are whole numbers.
    TruncRange { low: -high, low_fails: FloatCC::LessThan, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation_bounds_are_where_rusts_saturation_begins() {
        let just_inside = |range: &TruncRange, from: Type| {
            let inside = range.low_fails == FloatCC::LessThan;
            if from == F32 {
                let (low, high) = (range.low as f32, range.high as f32);
                (f64::from(if inside { low } else { low.next_up() }), f64::from(high.next_down()))
            } else {
                (if inside { range.low } else { range.low.next_up() }, range.high.next_down())
            }
        };
        for from in [F32, F64] {
            let (low, high) = just_inside(&trunc_range(from, I32, true), from);
            assert!(low.trunc() >= f64::from(i32::MIN) && high.trunc() <= f64::from(i32::MAX), "{low} {high}");
            let (low, high) = just_inside(&trunc_range(from, I32, false), from);
            assert!(low.trunc() == 0.0 && high.trunc() <= f64::from(u32::MAX), "{low} {high}");
            let (low, high) = just_inside(&trunc_range(from, I64, true), from);
            assert!(low as i128 >= i128::from(i64::MIN) && high as i128 <= i128::from(i64::MAX), "{low} {high}");
            let (low, high) = just_inside(&trunc_range(from, I64, false), from);
            assert!(low.trunc() == 0.0 && high as i128 <= i128::from(u64::MAX), "{low} {high}");
        }
        assert_eq!(trunc_range(F64, I32, true).low, -2147483649.0);
    }
}
