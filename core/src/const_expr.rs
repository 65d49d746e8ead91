//! Constant expressions (core spec, section 3.4.13, and the extended-const proposal), as a short stack program.

use crate::index::{FuncIndex, GlobalIndex, TypeIndex};
use crate::types::HeapType;
use serde::{Deserialize, Serialize};

/// One step. Steps act on a stack of at most as many values as there are steps; validation saw to the types.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub enum ConstOp {
    /// Push an `i32`.
    I32(i32),
    /// Push an `i64`.
    I64(i64),
    /// Push the `f32` with these bits.
    F32(u32),
    /// Push the `f64` with these bits.
    F64(u64),
    /// Push a vector.
    V128(u128),
    /// Push the value of a global.
    GlobalGet(GlobalIndex),
    /// Push null.
    RefNull(HeapType),
    /// Push a reference to a function.
    RefFunc(FuncIndex),
    /// Wrapping arithmetic on the two topmost values.
    I32Add,
    /// See [`ConstOp::I32Add`].
    I32Sub,
    /// See [`ConstOp::I32Add`].
    I32Mul,
    /// See [`ConstOp::I32Add`].
    I64Add,
    /// See [`ConstOp::I32Add`].
    I64Sub,
    /// See [`ConstOp::I32Add`].
    I64Mul,
    /// Make a 31-bit integer of the topmost `i32`.
    RefI31,
    /// Make a struct of the topmost values, one for each field.
    StructNew(TypeIndex),
    /// Make a struct of zeros and nulls.
    StructNewDefault(TypeIndex),
    /// Make an array of a value and a length.
    ArrayNew(TypeIndex),
    /// Make an array of zeros or nulls of the topmost length.
    ArrayNewDefault(TypeIndex),
    /// Make an array of so many topmost values.
    ArrayNewFixed(TypeIndex, u32),
    /// `any.convert_extern` and `extern.convert_any`: the reference stays as it is.
    Convert,
}

/// A whole expression; it leaves exactly one value.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ConstExpr {
    /// The steps, in order.
    pub ops: Box<[ConstOp]>,
}

impl ConstExpr {
    /// Whether its value is a new object.
    pub fn makes_objects(&self) -> bool {
        self.ops.iter().any(|op| {
            matches!(
                op,
                ConstOp::StructNew(_)
                    | ConstOp::StructNewDefault(_)
                    | ConstOp::ArrayNew(_)
                    | ConstOp::ArrayNewDefault(_)
                    | ConstOp::ArrayNewFixed(..)
            )
        })
    }

    /// The value, where it is one `i32.const` or `i64.const`: an offset known before instantiation. An `i32` is
    /// zero-extended, as addresses are.
    pub fn constant_offset(&self) -> Option<u64> {
        match *self.ops {
            [ConstOp::I32(value)] => Some(u64::from(value as u32)),
            [ConstOp::I64(value)] => Some(value as u64),
            _ => None,
        }
    }
}
