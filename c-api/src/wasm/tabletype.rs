//! Types of tables.

use super::parts::{Described, TableParts, wasm_externtype_t};
use super::valtype::{wasm_limits_t, wasm_valtype_t};
use crate::own::{Own, Vector};
use ampoule::{Engine, Error, ExternType, TableType, ValType};
use std::mem::MaybeUninit;

/// The type of a table: a view of an extern type that is one.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_tabletype_t(pub(crate) wasm_externtype_t);

impl wasm_tabletype_t {
    /// The type of a table of the engine's.
    pub(crate) fn of(engine: &Engine, ty: TableType) -> Box<Self> {
        Box::new(Self(wasm_externtype_t::of(engine, ExternType::Table(ty), None)))
    }

    fn parts(&self) -> &TableParts {
        let Described::Table(parts) = &self.0.described else { unreachable!("a table type is only ever made as one") };
        parts
    }

    /// The type.
    ///
    /// # Errors
    /// Where it is of another engine.
    pub(crate) fn ty_in(&self, engine: &Engine) -> Result<TableType, Error> {
        let parts = self.parts();
        parts.element.check(engine)?;
        Ok(parts.ty)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tabletype_delete(_type: Option<Box<wasm_tabletype_t>>) {}

/// A vector of table types.
pub type wasm_tabletype_vec_t = Vector<Option<Box<wasm_tabletype_t>>>;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tabletype_vec_new_empty(out: &mut MaybeUninit<wasm_tabletype_vec_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tabletype_vec_new_uninitialized(out: &mut MaybeUninit<wasm_tabletype_vec_t>, size: usize) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_tabletype_vec_new(
    out: &mut MaybeUninit<wasm_tabletype_vec_t>,
    size: usize,
    data: *const Option<Box<wasm_tabletype_t>>,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tabletype_vec_copy(
    out: &mut MaybeUninit<wasm_tabletype_vec_t>,
    src: Option<&wasm_tabletype_vec_t>,
) {
    src.cloned().unwrap_or_default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tabletype_vec_delete(vec: &mut wasm_tabletype_vec_t) {
    drop(vec.take());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tabletype_copy(ty: Option<&wasm_tabletype_t>) -> Option<Box<wasm_tabletype_t>> {
    ty.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tabletype_new(
    element: Option<Box<wasm_valtype_t>>,
    limits: Option<&wasm_limits_t>,
) -> Option<Box<wasm_tabletype_t>> {
    let element_type = *element?;
    let ValType::Ref(element) = element_type.ty else { return None };
    let limits = limits?;
    // A maximum below the minimum is one that the table has passed, as with 44.0.0: it never grows.
    let ty = TableType { element, min: limits.min.into(), max: limits.max(), is_64: false };
    Some(Box::new(wasm_tabletype_t(wasm_externtype_t::new(ExternType::Table(ty), element_type.into()))))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tabletype_element(ty: &wasm_tabletype_t) -> &wasm_valtype_t {
    &ty.parts().element
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tabletype_limits(ty: &wasm_tabletype_t) -> &wasm_limits_t {
    &ty.parts().limits
}
