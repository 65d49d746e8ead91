//! The types of structs, arrays and exceptions, and of the fields of those.

use crate::boundary::give;
use crate::error::wasmtime_error_t;
use crate::wasm::engine::wasm_engine_t;
use crate::wasm::parts::wasm_functype_t;
use crate::wasm::tagtype::wasm_tagtype_t;
use crate::wasm::valtype::wasm_valtype_vec_t;
use ampoule::{ArrayType, CompositeType, Error, FieldType, StorageType, StructType, Type, ValType};
use ampoule_core::vm::VmVal;
use std::mem::MaybeUninit;

/// What a field holds: the kind of a value, or one of the packed kinds.
pub type wasmtime_storage_kind_t = u8;

/// An integer of 8 bits.
const STORAGE_KIND_I8: wasmtime_storage_kind_t = 9;
/// An integer of 16 bits.
const STORAGE_KIND_I16: wasmtime_storage_kind_t = 10;

/// The type of a field, as 44.0.0 has it: it owns nothing.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wasmtime_field_type_t {
    kind: wasmtime_storage_kind_t,
    mutable: bool,
}

impl wasmtime_field_type_t {
    /// The type; `None` for unknown kinds.
    pub(crate) fn get(&self) -> Option<FieldType> {
        let storage = match self.kind {
            VmVal::KIND_I32 => StorageType::Val(ValType::I32),
            VmVal::KIND_I64 => StorageType::Val(ValType::I64),
            VmVal::KIND_F32 => StorageType::Val(ValType::F32),
            VmVal::KIND_F64 => StorageType::Val(ValType::F64),
            VmVal::KIND_V128 => StorageType::Val(ValType::V128),
            VmVal::KIND_FUNCREF => StorageType::Val(ValType::FUNCREF),
            VmVal::KIND_EXTERNREF => StorageType::Val(ValType::EXTERNREF),
            VmVal::KIND_ANYREF => StorageType::Val(ValType::ANYREF),
            VmVal::KIND_EXNREF => StorageType::Val(ValType::EXNREF),
            STORAGE_KIND_I8 => StorageType::I8,
            STORAGE_KIND_I16 => StorageType::I16,
            _ => return None,
        };
        Some(FieldType { storage, mutable: self.mutable })
    }
}

impl From<FieldType> for wasmtime_field_type_t {
    fn from(field: FieldType) -> Self {
        let kind = match field.storage {
            StorageType::I8 => STORAGE_KIND_I8,
            StorageType::I16 => STORAGE_KIND_I16,
            StorageType::Val(ty) => VmVal::kind_of(ty),
        };
        Self { kind, mutable: field.mutable }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_field_type_clone(
    field: &wasmtime_field_type_t,
    out: &mut MaybeUninit<wasmtime_field_type_t>,
) {
    out.write(*field);
}

/// A field type owns nothing.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_field_type_delete(_field: &mut wasmtime_field_type_t) {}

/// The type of a struct.
#[derive(Clone)]
pub struct wasmtime_struct_type_t {
    /// A type of structs.
    pub(crate) ty: Type,
}

impl wasmtime_struct_type_t {
    fn fields(&self) -> &[FieldType] {
        &self.ty.ty().as_struct().expect("a struct type is only ever made as one").fields
    }
}

/// Null where there is no such type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_struct_type_new(
    engine: &wasm_engine_t,
    fields: *const wasmtime_field_type_t,
    nfields: usize,
) -> Option<Box<wasmtime_struct_type_t>> {
    // SAFETY: the caller passes `nfields` types.
    let fields = (0..nfields).map(|index| unsafe { &*fields.add(index) }.get()).collect::<Option<_>>()?;
    let ty = engine.engine.declare(CompositeType::Struct(StructType { fields })).ok()?;
    Some(Box::new(wasmtime_struct_type_t { ty }))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_struct_type_delete(_ty: Option<Box<wasmtime_struct_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_struct_type_copy(ty: &wasmtime_struct_type_t) -> Box<wasmtime_struct_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_struct_type_num_fields(ty: &wasmtime_struct_type_t) -> usize {
    ty.fields().len()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_struct_type_field(
    ty: &wasmtime_struct_type_t,
    index: usize,
    out: &mut MaybeUninit<wasmtime_field_type_t>,
) -> bool {
    ty.fields().get(index).map(|&field| out.write(field.into())).is_some()
}

/// The type of an array.
#[derive(Clone)]
pub struct wasmtime_array_type_t {
    /// A type of arrays.
    pub(crate) ty: Type,
}

/// Null where there is no such type.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_array_type_new(
    engine: &wasm_engine_t,
    field: &wasmtime_field_type_t,
) -> Option<Box<wasmtime_array_type_t>> {
    let ty = engine.engine.declare(CompositeType::Array(ArrayType { element: field.get()? })).ok()?;
    Some(Box::new(wasmtime_array_type_t { ty }))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_array_type_delete(_ty: Option<Box<wasmtime_array_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_array_type_copy(ty: &wasmtime_array_type_t) -> Box<wasmtime_array_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_array_type_element(
    ty: &wasmtime_array_type_t,
    out: &mut MaybeUninit<wasmtime_field_type_t>,
) {
    let ty = ty.ty.ty().as_array().expect("an array type is only ever made as one");
    out.write(ty.element.into());
}

/// The type of an exception: that of its tag.
#[derive(Clone)]
pub struct wasmtime_exn_type_t {
    /// A type of functions without results, whose parameters are the fields.
    pub(crate) ty: Type,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exn_type_new(
    engine: &wasm_engine_t,
    params: &wasm_valtype_vec_t,
    out: &mut MaybeUninit<Box<wasmtime_exn_type_t>>,
) -> Option<Box<wasmtime_error_t>> {
    let func = wasm_functype_t::from_parts(params.as_slice(), &[]).ok_or_else(|| Error::message("a type is null"));
    let made = func.and_then(|func| Ok(Box::new(wasmtime_exn_type_t { ty: func.declared_in(&engine.engine)? })));
    give(made, out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exn_type_delete(_ty: Option<Box<wasmtime_exn_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exn_type_copy(ty: &wasmtime_exn_type_t) -> Box<wasmtime_exn_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exn_type_tag_type(ty: &wasmtime_exn_type_t) -> Box<wasm_tagtype_t> {
    wasm_tagtype_t::of(&wasm_functype_t::of(ty.ty.clone()))
}
