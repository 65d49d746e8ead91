//! `wasmtime/gc.h`: references to what the guest's heap holds, and the types of structs and arrays.
//!
//! There is no heap yet, so of all these references only null and 31-bit integers exist: a `structref` or `arrayref` is null.
//! Functions that came after 44.0.0 stand beside their kin.

use crate::boundary::{give, misuse};
use crate::error::wasmtime_error_t;
use crate::types::{wasmtime_field_type_t, wasmtime_heaptype_t};
use crate::val::{from_c, wasmtime_anyref_t, wasmtime_val_t};
use crate::wasm::engine::wasm_engine_t;
use crate::wasm::tagtype::wasm_tagtype_t;
use crate::wasm::valtype::wasm_valtype_vec_t;
use ampoule::gc::object;
use ampoule::{ArrayType, Error, FieldType, FuncType, I31, RefType, Store, StructType, TagType};
use std::mem::MaybeUninit;
use std::ptr;

/// An `eqref`: of all `anyref`s those that can be compared.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct wasmtime_eqref_t(wasmtime_anyref_t);

impl wasmtime_eqref_t {
    /// Null.
    pub const NULL: Self = Self(wasmtime_anyref_t::NULL);

    fn get(&self) -> Option<I31> {
        self.0.get()
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_clone(eqref: Option<&wasmtime_eqref_t>, out: &mut MaybeUninit<wasmtime_eqref_t>) {
    out.write(eqref.map_or(wasmtime_eqref_t::NULL, |eqref| *eqref));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_unroot(eqref: Option<&mut wasmtime_eqref_t>) {
    if let Some(eqref) = eqref {
        *eqref = wasmtime_eqref_t::NULL;
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_to_anyref(eqref: Option<&wasmtime_eqref_t>, out: &mut MaybeUninit<wasmtime_anyref_t>) {
    out.write(eqref.map_or(wasmtime_anyref_t::NULL, |eqref| eqref.0));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_from_i31(_context: &mut Store, i31val: u32, out: &mut MaybeUninit<wasmtime_eqref_t>) {
    out.write(wasmtime_eqref_t(Some(I31::wrapping(i31val)).into()));
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_is_i31(_context: &mut Store, eqref: Option<&wasmtime_eqref_t>) -> bool {
    eqref.and_then(wasmtime_eqref_t::get).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_i31_get_u(
    _context: &mut Store,
    eqref: Option<&wasmtime_eqref_t>,
    dst: &mut MaybeUninit<u32>,
) -> bool {
    eqref.and_then(wasmtime_eqref_t::get).map(|value| dst.write(value.get_u())).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_i31_get_s(
    _context: &mut Store,
    eqref: Option<&wasmtime_eqref_t>,
    dst: &mut MaybeUninit<i32>,
) -> bool {
    eqref.and_then(wasmtime_eqref_t::get).map(|value| dst.write(value.get_s())).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_type(
    _context: &mut Store,
    eqref: Option<&wasmtime_eqref_t>,
    out: &mut MaybeUninit<wasmtime_heaptype_t>,
) -> bool {
    heap_type(eqref.and_then(wasmtime_eqref_t::get), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_type(
    _context: &mut Store,
    anyref: Option<&wasmtime_anyref_t>,
    out: &mut MaybeUninit<wasmtime_heaptype_t>,
) -> bool {
    heap_type(anyref.and_then(wasmtime_anyref_t::get), out)
}

/// Gives the type of a reference; null has none.
fn heap_type(value: Option<I31>, out: &mut MaybeUninit<wasmtime_heaptype_t>) -> bool {
    value.map(|_| out.write(wasmtime_heaptype_t::of(RefType::I31))).is_some()
}

/// The type of a struct.
#[derive(Clone)]
pub struct wasmtime_struct_type_t {
    ty: StructType,
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_struct_type_new(
    _engine: &wasm_engine_t,
    fields: *const wasmtime_field_type_t,
    nfields: usize,
) -> Box<wasmtime_struct_type_t> {
    // SAFETY: the caller passes `nfields` types.
    let fields = (0..nfields).map(|index| field_type("wasmtime_struct_type_new", unsafe { &*fields.add(index) }));
    Box::new(wasmtime_struct_type_t { ty: StructType { fields: fields.collect() } })
}

/// The type of a field, where there is no error to tell.
fn field_type(function: &str, field: &wasmtime_field_type_t) -> FieldType {
    field.get().unwrap_or_else(|| misuse(function, &format!("{} is not what a field can hold", field.kind())))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_struct_type_delete(_ty: Box<wasmtime_struct_type_t>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_struct_type_copy(ty: &wasmtime_struct_type_t) -> Box<wasmtime_struct_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_struct_type_num_fields(ty: &wasmtime_struct_type_t) -> usize {
    ty.ty.fields.len()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_struct_type_field(
    ty: &wasmtime_struct_type_t,
    index: usize,
    out: &mut MaybeUninit<wasmtime_field_type_t>,
) -> bool {
    ty.ty.fields.get(index).map(|&field| out.write(field.into())).is_some()
}

/// A struct type, for one store.
pub struct wasmtime_struct_ref_pre_t {
    store_id: u64,
    ty: StructType,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_struct_ref_pre_new(
    context: &mut Store,
    ty: &wasmtime_struct_type_t,
) -> Box<wasmtime_struct_ref_pre_t> {
    Box::new(wasmtime_struct_ref_pre_t { store_id: context.id(), ty: ty.ty.clone() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_struct_ref_pre_delete(_pre: Box<wasmtime_struct_ref_pre_t>) {}

/// A `structref`: null.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wasmtime_structref_t {
    store_id: u64,
    private1: u32,
    private2: u32,
    private3: *const (),
}

impl wasmtime_structref_t {
    /// Null.
    pub const NULL: Self = Self { store_id: 0, private1: 0, private2: 0, private3: ptr::null() };
}

/// Refuses an allocator that was made for another store.
fn check_store(context: &Store, store_id: u64) -> Result<(), Error> {
    if crate::boundary::owns(context, store_id) {
        return Ok(());
    }
    Err(Error::message("object used with the wrong store"))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_structref_new(
    context: &mut Store,
    pre: &wasmtime_struct_ref_pre_t,
    fields: *const wasmtime_val_t,
    nfields: usize,
    out: &mut MaybeUninit<wasmtime_structref_t>,
) -> Option<Box<wasmtime_error_t>> {
    let made = check_store(context, pre.store_id).and_then(|()| {
        // SAFETY: the caller passes `nfields` values.
        let fields = (0..nfields).map(|index| from_c(unsafe { &*fields.add(index) })).collect::<Result<Vec<_>, _>>()?;
        object::new_struct(context, &pre.ty, &fields).map(|never| match never {})
    });
    give(made, out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_clone(
    _structref: Option<&wasmtime_structref_t>,
    out: &mut MaybeUninit<wasmtime_structref_t>,
) {
    out.write(wasmtime_structref_t::NULL);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_unroot(structref: Option<&mut wasmtime_structref_t>) {
    if let Some(structref) = structref {
        *structref = wasmtime_structref_t::NULL;
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_to_anyref(
    _structref: Option<&wasmtime_structref_t>,
    out: &mut MaybeUninit<wasmtime_anyref_t>,
) {
    out.write(wasmtime_anyref_t::NULL);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_to_eqref(
    _structref: Option<&wasmtime_structref_t>,
    out: &mut MaybeUninit<wasmtime_eqref_t>,
) {
    out.write(wasmtime_eqref_t::NULL);
}

/// The error of using what can only be null as an object.
fn null(what: &str) -> Error {
    Error::message(format!("a null reference was given where {what} is needed"))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_field(
    _context: &mut Store,
    _structref: Option<&wasmtime_structref_t>,
    _index: usize,
    out: &mut MaybeUninit<wasmtime_val_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(Err(null("a struct")), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_set_field(
    _context: &mut Store,
    _structref: Option<&wasmtime_structref_t>,
    _index: usize,
    _val: &wasmtime_val_t,
) -> Option<Box<wasmtime_error_t>> {
    crate::boundary::give_unit(Err(null("a struct")))
}

/// Null has no type.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_type(
    _context: &mut Store,
    _structref: Option<&wasmtime_structref_t>,
) -> Option<Box<wasmtime_struct_type_t>> {
    None
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_is_struct(_context: &mut Store, _eqref: Option<&wasmtime_eqref_t>) -> bool {
    false
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_as_struct(
    _context: &mut Store,
    _eqref: Option<&wasmtime_eqref_t>,
    out: &mut MaybeUninit<wasmtime_structref_t>,
) -> bool {
    out.write(wasmtime_structref_t::NULL);
    false
}

/// The type of an array.
#[derive(Clone)]
pub struct wasmtime_array_type_t {
    ty: ArrayType,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_array_type_new(
    _engine: &wasm_engine_t,
    field: &wasmtime_field_type_t,
) -> Box<wasmtime_array_type_t> {
    Box::new(wasmtime_array_type_t { ty: ArrayType { element: field_type("wasmtime_array_type_new", field) } })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_array_type_delete(_ty: Box<wasmtime_array_type_t>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_array_type_copy(ty: &wasmtime_array_type_t) -> Box<wasmtime_array_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_array_type_element(
    ty: &wasmtime_array_type_t,
    out: &mut MaybeUninit<wasmtime_field_type_t>,
) {
    out.write(ty.ty.element.into());
}

/// An array type, for one store.
pub struct wasmtime_array_ref_pre_t {
    store_id: u64,
    ty: ArrayType,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_array_ref_pre_new(
    context: &mut Store,
    ty: &wasmtime_array_type_t,
) -> Box<wasmtime_array_ref_pre_t> {
    Box::new(wasmtime_array_ref_pre_t { store_id: context.id(), ty: ty.ty })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_array_ref_pre_delete(_pre: Box<wasmtime_array_ref_pre_t>) {}

/// An `arrayref`: null.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wasmtime_arrayref_t {
    store_id: u64,
    private1: u32,
    private2: u32,
    private3: *const (),
}

impl wasmtime_arrayref_t {
    /// Null.
    pub const NULL: Self = Self { store_id: 0, private1: 0, private2: 0, private3: ptr::null() };
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_new(
    context: &mut Store,
    pre: &wasmtime_array_ref_pre_t,
    elem: &wasmtime_val_t,
    len: u32,
    out: &mut MaybeUninit<wasmtime_arrayref_t>,
) -> Option<Box<wasmtime_error_t>> {
    let made = check_store(context, pre.store_id)
        .and_then(|()| object::new_array(context, &pre.ty, &from_c(elem)?, len).map(|never| match never {}));
    give(made, out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_clone(
    _arrayref: Option<&wasmtime_arrayref_t>,
    out: &mut MaybeUninit<wasmtime_arrayref_t>,
) {
    out.write(wasmtime_arrayref_t::NULL);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_unroot(arrayref: Option<&mut wasmtime_arrayref_t>) {
    if let Some(arrayref) = arrayref {
        *arrayref = wasmtime_arrayref_t::NULL;
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_to_anyref(
    _arrayref: Option<&wasmtime_arrayref_t>,
    out: &mut MaybeUninit<wasmtime_anyref_t>,
) {
    out.write(wasmtime_anyref_t::NULL);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_to_eqref(
    _arrayref: Option<&wasmtime_arrayref_t>,
    out: &mut MaybeUninit<wasmtime_eqref_t>,
) {
    out.write(wasmtime_eqref_t::NULL);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_len(
    _context: &mut Store,
    _arrayref: Option<&wasmtime_arrayref_t>,
    out: &mut MaybeUninit<u32>,
) -> Option<Box<wasmtime_error_t>> {
    give(Err(null("an array")), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_get(
    _context: &mut Store,
    _arrayref: Option<&wasmtime_arrayref_t>,
    _index: u32,
    out: &mut MaybeUninit<wasmtime_val_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(Err(null("an array")), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_set(
    _context: &mut Store,
    _arrayref: Option<&wasmtime_arrayref_t>,
    _index: u32,
    _val: &wasmtime_val_t,
) -> Option<Box<wasmtime_error_t>> {
    crate::boundary::give_unit(Err(null("an array")))
}

/// Null has no type.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_arrayref_type(
    _context: &mut Store,
    _arrayref: Option<&wasmtime_arrayref_t>,
) -> Option<Box<wasmtime_array_type_t>> {
    None
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_is_array(_context: &mut Store, _eqref: Option<&wasmtime_eqref_t>) -> bool {
    false
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_as_array(
    _context: &mut Store,
    _eqref: Option<&wasmtime_eqref_t>,
    out: &mut MaybeUninit<wasmtime_arrayref_t>,
) -> bool {
    out.write(wasmtime_arrayref_t::NULL);
    false
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_is_eqref(_context: &mut Store, anyref: Option<&wasmtime_anyref_t>) -> bool {
    anyref.and_then(wasmtime_anyref_t::get).is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_as_eqref(
    _context: &mut Store,
    anyref: Option<&wasmtime_anyref_t>,
    out: &mut MaybeUninit<wasmtime_eqref_t>,
) -> bool {
    let value = anyref.and_then(wasmtime_anyref_t::get);
    out.write(wasmtime_eqref_t(value.into()));
    value.is_some()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_is_struct(_context: &mut Store, _anyref: Option<&wasmtime_anyref_t>) -> bool {
    false
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_as_struct(
    _context: &mut Store,
    _anyref: Option<&wasmtime_anyref_t>,
    out: &mut MaybeUninit<wasmtime_structref_t>,
) -> bool {
    out.write(wasmtime_structref_t::NULL);
    false
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_is_array(_context: &mut Store, _anyref: Option<&wasmtime_anyref_t>) -> bool {
    false
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_as_array(
    _context: &mut Store,
    _anyref: Option<&wasmtime_anyref_t>,
    out: &mut MaybeUninit<wasmtime_arrayref_t>,
) -> bool {
    out.write(wasmtime_arrayref_t::NULL);
    false
}

/// The type of an exception: its tag's.
#[derive(Clone)]
pub struct wasmtime_exn_type_t {
    pub(crate) ty: TagType,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exn_type_new(
    _engine: &wasm_engine_t,
    params: &wasm_valtype_vec_t,
    out: &mut MaybeUninit<Box<wasmtime_exn_type_t>>,
) -> Option<Box<wasmtime_error_t>> {
    let types = params.as_slice().iter().map(|ty| ty.as_ref().map(|ty| ty.ty)).collect::<Option<Vec<_>>>();
    let made = types.ok_or_else(|| Error::message("a type is null"));
    give(made.map(|types| Box::new(wasmtime_exn_type_t { ty: TagType { func: FuncType::new(types, []) } })), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exn_type_delete(_ty: Box<wasmtime_exn_type_t>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exn_type_copy(ty: &wasmtime_exn_type_t) -> Box<wasmtime_exn_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_exn_type_tag_type(ty: &wasmtime_exn_type_t) -> Box<wasm_tagtype_t> {
    wasm_tagtype_t::new(ty.ty.clone())
}
