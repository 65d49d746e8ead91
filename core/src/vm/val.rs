//! Values as they cross between host and guest. The layouts are the C interface's.

use super::VmFunc;
use crate::types::{HeapType, ValType};
use std::ffi::c_void;
use std::ptr;

/// `wasmtime_val_raw_t`: one value without its kind.
#[repr(C)]
#[derive(Clone, Copy)]
pub union VmValRaw {
    /// `i32`.
    pub i32: i32,
    /// `i64`.
    pub i64: i64,
    /// Bits of an `f32`.
    pub f32: u32,
    /// Bits of an `f64`.
    pub f64: u64,
    /// `v128`, little-endian.
    pub v128: [u8; 16],
    /// Raw `externref`; zero is null.
    pub externref: u32,
    /// Raw `anyref`: zero is null, a 31-bit integer stands above a set lowest bit.
    pub anyref: u32,
    /// Raw `exnref`; zero is null.
    pub exnref: u32,
    /// `*mut VmFuncRef`; zero is null.
    pub funcref: *mut c_void,
}

/// The payload of [`VmVal`].
#[repr(C)]
#[derive(Clone, Copy)]
pub union VmValUnion {
    /// `i32`.
    pub i32: i32,
    /// `i64`.
    pub i64: i64,
    /// Bits of an `f32`.
    pub f32: u32,
    /// Bits of an `f64`.
    pub f64: u64,
    /// `v128`, little-endian.
    pub v128: [u8; 16],
    /// A function.
    pub funcref: VmFunc,
    /// A reference of another kind.
    pub reference: VmRef,
    /// A raw reference, where a thunk has just put it and the runtime has yet to make a handle of it.
    pub raw_reference: u32,
    /// All of it.
    pub words: [u64; 3],
}

/// A reference that isn't a function, as the host holds it; the layout is that of `wasmtime_externref_t`, `wasmtime_anyref_t` and
/// `wasmtime_exnref_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct VmRef {
    /// The store's id; zero stands for null.
    pub store_id: u64,
    /// The runtime's.
    pub private1: u32,
    /// The runtime's.
    pub private2: u32,
    /// The runtime's.
    pub private3: *const c_void,
}

impl VmRef {
    /// Null.
    pub const NULL: VmRef = VmRef { store_id: 0, private1: 0, private2: 0, private3: ptr::null() };
}

/// `wasmtime_val_t`: a value with its kind.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct VmVal {
    /// One of the `KIND_…` constants.
    pub kind: u8,
    /// The value.
    pub of: VmValUnion,
}

impl VmVal {
    /// `WASMTIME_I32`.
    pub const KIND_I32: u8 = 0;
    /// `WASMTIME_I64`.
    pub const KIND_I64: u8 = 1;
    /// `WASMTIME_F32`.
    pub const KIND_F32: u8 = 2;
    /// `WASMTIME_F64`.
    pub const KIND_F64: u8 = 3;
    /// `WASMTIME_V128`.
    pub const KIND_V128: u8 = 4;
    /// `WASMTIME_FUNCREF`.
    pub const KIND_FUNCREF: u8 = 5;
    /// `WASMTIME_EXTERNREF`.
    pub const KIND_EXTERNREF: u8 = 6;
    /// `WASMTIME_ANYREF`.
    pub const KIND_ANYREF: u8 = 7;
    /// `WASMTIME_EXNREF`.
    pub const KIND_EXNREF: u8 = 8;

    /// The kind of the values of a type.
    pub fn kind_of(ty: ValType) -> u8 {
        match ty {
            ValType::I32 => Self::KIND_I32,
            ValType::I64 => Self::KIND_I64,
            ValType::F32 => Self::KIND_F32,
            ValType::F64 => Self::KIND_F64,
            ValType::V128 => Self::KIND_V128,
            ValType::Ref(ty) => match ty.top() {
                HeapType::Func => Self::KIND_FUNCREF,
                HeapType::Extern => Self::KIND_EXTERNREF,
                HeapType::Exn => Self::KIND_EXNREF,
                _ => Self::KIND_ANYREF,
            },
        }
    }
}

const _: () = assert!(size_of::<VmValRaw>() == 16 && align_of::<VmValRaw>() == 8);
const _: () = assert!(size_of::<VmVal>() == 32 && std::mem::offset_of!(VmVal, of) == 8 && size_of::<VmRef>() == 24);
