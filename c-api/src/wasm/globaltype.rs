//! Types of globals.

use super::parts::{Described, GlobalParts, wasm_externtype_t};
use super::valtype::{WASM_CONST, WASM_VAR, wasm_mutability_t, wasm_valtype_t};
use crate::own::{Own, Vector};
use ampoule::{Engine, Error, ExternType, GlobalType};
use std::mem::MaybeUninit;

/// The type of a global: a view of an extern type that is one.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_globaltype_t(pub(crate) wasm_externtype_t);

impl wasm_globaltype_t {
    /// The type of a global of the engine's.
    pub(crate) fn of(engine: &Engine, ty: GlobalType) -> Box<Self> {
        Box::new(Self(wasm_externtype_t::of(engine, ExternType::Global(ty), None)))
    }

    fn parts(&self) -> &GlobalParts {
        let Described::Global(parts) = &self.0.described else {
            unreachable!("a global type is only ever made as one")
        };
        parts
    }

    /// The type.
    ///
    /// # Errors
    /// Where it is of another engine.
    pub(crate) fn ty_in(&self, engine: &Engine) -> Result<GlobalType, Error> {
        let parts = self.parts();
        parts.content.check(engine)?;
        Ok(parts.ty)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_globaltype_delete(_type: Option<Box<wasm_globaltype_t>>) {}

/// A vector of global types.
pub type wasm_globaltype_vec_t = Vector<Option<Box<wasm_globaltype_t>>>;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_globaltype_vec_new_empty(out: &mut MaybeUninit<wasm_globaltype_vec_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_globaltype_vec_new_uninitialized(out: &mut MaybeUninit<wasm_globaltype_vec_t>, size: usize) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_globaltype_vec_new(
    out: &mut MaybeUninit<wasm_globaltype_vec_t>,
    size: usize,
    data: *const Option<Box<wasm_globaltype_t>>,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_globaltype_vec_copy(
    out: &mut MaybeUninit<wasm_globaltype_vec_t>,
    src: Option<&wasm_globaltype_vec_t>,
) {
    src.cloned().unwrap_or_default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_globaltype_vec_delete(vec: &mut wasm_globaltype_vec_t) {
    drop(vec.take());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_globaltype_copy(ty: Option<&wasm_globaltype_t>) -> Option<Box<wasm_globaltype_t>> {
    ty.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_globaltype_new(
    content: Option<Box<wasm_valtype_t>>,
    mutability: wasm_mutability_t,
) -> Option<Box<wasm_globaltype_t>> {
    let mutable = match mutability {
        WASM_CONST => false,
        WASM_VAR => true,
        _ => return None,
    };
    let content = *content?;
    let (ty, named) = (GlobalType { content: content.ty, mutable }, content.into());
    Some(Box::new(wasm_globaltype_t(wasm_externtype_t::new(ExternType::Global(ty), named))))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_globaltype_content(ty: &wasm_globaltype_t) -> &wasm_valtype_t {
    &ty.parts().content
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_globaltype_mutability(ty: &wasm_globaltype_t) -> wasm_mutability_t {
    if ty.parts().ty.mutable { WASM_VAR } else { WASM_CONST }
}
