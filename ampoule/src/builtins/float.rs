//! Float operations that older CPUs have no instruction for. The spec's rounding is IEEE 754's; a NaN stays a NaN.

macro_rules! float_builtins {
    ($($name:ident: $ty:ty = $op:expr;)*) => {
        $(pub(crate) extern "C" fn $name(value: $ty) -> $ty {
            let op: fn($ty) -> $ty = $op;
            op(value)
        })*
    };
}

float_builtins! {
    ceil_f32: f32 = f32::ceil;
    ceil_f64: f64 = f64::ceil;
    floor_f32: f32 = f32::floor;
    floor_f64: f64 = f64::floor;
    trunc_f32: f32 = f32::trunc;
    trunc_f64: f64 = f64::trunc;
    nearest_f32: f32 = f32::round_ties_even;
    nearest_f64: f64 = f64::round_ties_even;
}

pub(crate) extern "C" fn fma_f32(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

pub(crate) extern "C" fn fma_f64(a: f64, b: f64, c: f64) -> f64 {
    a.mul_add(b, c)
}
