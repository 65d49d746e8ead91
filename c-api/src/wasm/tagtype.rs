//! Types of tags.

use super::parts::{Described, TagParts, wasm_externtype_t, wasm_functype_t};
use crate::own::{Own, Vector};
use ampoule::{Engine, Error, Type};
use std::mem::MaybeUninit;

/// The type of a tag: a view of an extern type that is one.
#[repr(transparent)]
#[derive(Clone)]
pub struct wasm_tagtype_t(pub(crate) wasm_externtype_t);

impl wasm_tagtype_t {
    /// The type of tags whose fields are the parameters of this type of functions.
    pub(crate) fn of(func: &wasm_functype_t) -> Box<Self> {
        Box::new(Self(wasm_externtype_t { described: Described::Tag(TagParts::of(func)) }))
    }

    fn parts(&self) -> &TagParts {
        let Described::Tag(parts) = &self.0.described else { unreachable!("a tag type is only ever made as one") };
        parts
    }

    /// The type of functions whose parameters are the fields, as it is declared in the engine.
    ///
    /// # Errors
    /// Where it is of another engine.
    pub(crate) fn declared_in(&self, engine: &Engine) -> Result<Type, Error> {
        self.parts().func.declared_in(engine)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tagtype_delete(_type: Option<Box<wasm_tagtype_t>>) {}

/// A vector of tag types.
pub type wasm_tagtype_vec_t = Vector<Option<Box<wasm_tagtype_t>>>;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tagtype_vec_new_empty(out: &mut MaybeUninit<wasm_tagtype_vec_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tagtype_vec_new_uninitialized(out: &mut MaybeUninit<wasm_tagtype_vec_t>, size: usize) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_tagtype_vec_new(
    out: &mut MaybeUninit<wasm_tagtype_vec_t>,
    size: usize,
    data: *const Option<Box<wasm_tagtype_t>>,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tagtype_vec_copy(out: &mut MaybeUninit<wasm_tagtype_vec_t>, src: Option<&wasm_tagtype_vec_t>) {
    src.cloned().unwrap_or_default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tagtype_vec_delete(vec: &mut wasm_tagtype_vec_t) {
    drop(vec.take());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tagtype_copy(ty: Option<&wasm_tagtype_t>) -> Option<Box<wasm_tagtype_t>> {
    ty.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tagtype_new(functype: Option<Box<wasm_functype_t>>) -> Option<Box<wasm_tagtype_t>> {
    Some(wasm_tagtype_t::of(&*functype?))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_tagtype_functype(ty: &wasm_tagtype_t) -> &wasm_functype_t {
    &ty.parts().func
}
