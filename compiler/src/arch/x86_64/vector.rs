//! Operators on vectors that have a choice of results, one of which an instruction of this processor computes; and what it lacks.

use cranelift_codegen::ir::{InstBuilder, Type, Value};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::{FuncInstBuilder, FunctionBuilder};

/// Whether there are instructions for `y < x ? y : x` and `x < y ? y : x`.
pub(crate) const HAS_PSEUDO_MIN: bool = true;

/// Whether bytes can be shuffled: without SSSE3, the code generator would call a library function.
pub(crate) fn has_byte_shuffles(isa: &dyn TargetIsa) -> bool {
    isa.has_x86_pshufb_lowering()
}

/// `i8x16.relaxed_swizzle`: of selectors from 16 on, `pshufb` looks at the top bit.
pub(crate) fn relaxed_swizzle(
    builder: &mut FunctionBuilder<'_>,
    isa: &dyn TargetIsa,
    x: Value,
    selectors: Value,
) -> Option<Value> {
    isa.has_x86_pshufb_lowering().then(|| builder.ins().x86_pshufb(x, selectors))
}

/// Truncates floats to the signed integers of `ty`; those that don't fit become the least one.
pub(crate) fn relaxed_trunc(ins: FuncInstBuilder<'_, '_>, ty: Type, x: Value) -> Value {
    ins.x86_cvtt2dq(ty, x)
}

/// `i16x8.relaxed_q15mulr_s`: `pmulhrsw` doesn't saturate.
pub(crate) fn relaxed_q15mulr(
    builder: &mut FunctionBuilder<'_>,
    isa: &dyn TargetIsa,
    x: Value,
    y: Value,
) -> Option<Value> {
    isa.has_x86_pmulhrsw_lowering().then(|| builder.ins().x86_pmulhrsw(x, y))
}

/// `i16x8.relaxed_dot_i8x16_i7x16_s`: `pmaddubsw` saturates, and takes the bytes of one operand as unsigned.
pub(crate) fn relaxed_dot(builder: &mut FunctionBuilder<'_>, isa: &dyn TargetIsa, x: Value, y: Value) -> Option<Value> {
    isa.has_x86_pmaddubsw_lowering().then(|| builder.ins().x86_pmaddubsw(x, y))
}
