//! References to structs. All are null.

use super::eqref::wasmtime_eqref_t;
use super::types::wasmtime_struct_type_t;
use crate::boundary::{check_store, give, give_unit, null_ref};
use crate::error::wasmtime_error_t;
use crate::store::wasmtime_context_t;
use crate::val::{from_c, wasmtime_anyref_t, wasmtime_val_t};
use ampoule::Type;
use ampoule::gc::object;
use std::mem::MaybeUninit;
use std::ptr;

/// A struct type, for one store.
pub struct wasmtime_struct_ref_pre_t {
    store_id: u64,
    ty: Type,
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_struct_ref_pre_new(
    context: &mut wasmtime_context_t,
    ty: &wasmtime_struct_type_t,
) -> Box<wasmtime_struct_ref_pre_t> {
    Box::new(wasmtime_struct_ref_pre_t { store_id: context.id(), ty: ty.ty.clone() })
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_struct_ref_pre_delete(_pre: Option<Box<wasmtime_struct_ref_pre_t>>) {}

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

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasmtime_structref_new(
    context: &mut wasmtime_context_t,
    pre: &wasmtime_struct_ref_pre_t,
    fields: *const wasmtime_val_t,
    nfields: usize,
    out: &mut MaybeUninit<wasmtime_structref_t>,
) -> Option<Box<wasmtime_error_t>> {
    let made = check_store(context, pre.store_id).and_then(|()| {
        // SAFETY: the caller passes `nfields` values.
        let fields = (0..nfields).map(|index| from_c(unsafe { &*fields.add(index) })).collect::<Result<Vec<_>, _>>()?;
        object::new_struct(context, pre.ty.ty().as_struct().expect("of structs"), &fields).map(|never| match never {})
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

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_field(
    _context: &mut wasmtime_context_t,
    _structref: Option<&wasmtime_structref_t>,
    _index: usize,
    out: &mut MaybeUninit<wasmtime_val_t>,
) -> Option<Box<wasmtime_error_t>> {
    give(Err(null_ref("a struct")), out)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_set_field(
    _context: &mut wasmtime_context_t,
    _structref: Option<&wasmtime_structref_t>,
    _index: usize,
    _val: &wasmtime_val_t,
) -> Option<Box<wasmtime_error_t>> {
    give_unit(Err(null_ref("a struct")))
}

/// Null has no type.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_structref_type(
    _context: &mut wasmtime_context_t,
    _structref: Option<&wasmtime_structref_t>,
) -> Option<Box<wasmtime_struct_type_t>> {
    None
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_is_struct(
    _context: &mut wasmtime_context_t,
    _eqref: Option<&wasmtime_eqref_t>,
) -> bool {
    false
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_eqref_as_struct(
    _context: &mut wasmtime_context_t,
    _eqref: Option<&wasmtime_eqref_t>,
    out: &mut MaybeUninit<wasmtime_structref_t>,
) -> bool {
    out.write(wasmtime_structref_t::NULL);
    false
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_is_struct(
    _context: &mut wasmtime_context_t,
    _anyref: Option<&wasmtime_anyref_t>,
) -> bool {
    false
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_anyref_as_struct(
    _context: &mut wasmtime_context_t,
    _anyref: Option<&wasmtime_anyref_t>,
    out: &mut MaybeUninit<wasmtime_structref_t>,
) -> bool {
    out.write(wasmtime_structref_t::NULL);
    false
}
