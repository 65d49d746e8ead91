//! Types of functions.

use super::named::Named;
use super::parts::{Described, FuncParts, wasm_externtype_t, wasm_functype_t};
use super::valtype::{types_in, vec_of, wasm_valtype_t, wasm_valtype_vec_t};
use crate::own::{Own, Vector};
use ampoule::func::host::HostFunc;
use ampoule::{Engine, Error, ExternType, FuncType, Type};
use std::mem::MaybeUninit;

impl wasm_functype_t {
    /// A type that is declared in an engine.
    pub(crate) fn of(ty: Type) -> Box<Self> {
        Box::new(Self(wasm_externtype_t { described: Described::Func(FuncParts::declared(ty)) }))
    }

    fn parts(&self) -> &FuncParts {
        let Described::Func(parts) = &self.0.described else {
            unreachable!("a function type is only ever made as one")
        };
        parts
    }

    /// A type of these parameters and results; `None` where one is null.
    pub(crate) fn from_parts(
        params: &[Option<Box<wasm_valtype_t>>],
        results: &[Option<Box<wasm_valtype_t>>],
    ) -> Option<Box<Self>> {
        let mut named = Named::default();
        let ty = FuncType::new(types_in(params, &mut named)?, types_in(results, &mut named)?);
        Some(Box::new(Self(wasm_externtype_t::new(ExternType::Func(ty), named))))
    }

    /// The type.
    pub(crate) fn ty(&self) -> &FuncType {
        &self.parts().ty
    }

    /// What it names.
    fn named(&self) -> &Named {
        &self.parts().named
    }

    /// The type as it is declared in the engine.
    ///
    /// # Errors
    /// Where it is of another engine.
    pub(crate) fn declared_in(&self, engine: &Engine) -> Result<Type, Error> {
        self.parts().declared_in(engine)
    }

    /// Has a host function of these parameters and results be of exactly this type.
    ///
    /// # Errors
    /// Where it could not be made, or the type is of another engine.
    pub(crate) fn declare(&self, host: Result<HostFunc, Error>) -> Result<HostFunc, Error> {
        match &self.parts().declared {
            Some(ty) => host?.of_type(ty),
            None => host,
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_delete(_type: Option<Box<wasm_functype_t>>) {}

/// A vector of function types.
pub type wasm_functype_vec_t = Vector<Option<Box<wasm_functype_t>>>;

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_vec_new_empty(out: &mut MaybeUninit<wasm_functype_vec_t>) {
    Vector::default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_vec_new_uninitialized(out: &mut MaybeUninit<wasm_functype_vec_t>, size: usize) {
    Vector::of_defaults(size).give(out);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_functype_vec_new(
    out: &mut MaybeUninit<wasm_functype_vec_t>,
    size: usize,
    data: *const Option<Box<wasm_functype_t>>,
) {
    // SAFETY: the caller passes `size` elements and gives them up.
    unsafe { Vector::moved_from(size, data) }.give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_vec_copy(
    out: &mut MaybeUninit<wasm_functype_vec_t>,
    src: Option<&wasm_functype_vec_t>,
) {
    src.cloned().unwrap_or_default().give(out);
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_vec_delete(vec: &mut wasm_functype_vec_t) {
    drop(vec.take());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_copy(ty: Option<&wasm_functype_t>) -> Option<Box<wasm_functype_t>> {
    ty.cloned().map(Box::new)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_new(
    params: Option<&mut wasm_valtype_vec_t>,
    results: Option<&mut wasm_valtype_vec_t>,
) -> Option<Box<wasm_functype_t>> {
    // Both are taken over before either is looked at.
    let [params, results] = [params, results].map(|types| types.map(Vector::take).unwrap_or_default());
    wasm_functype_t::from_parts(&params, &results)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_params(ty: &wasm_functype_t) -> &wasm_valtype_vec_t {
    ty.parts().params.get_or_init(|| vec_of(ty.ty().params(), ty.named()))
}

#[unsafe(no_mangle)]
pub extern "C" fn wasm_functype_results(ty: &wasm_functype_t) -> &wasm_valtype_vec_t {
    ty.parts().results.get_or_init(|| vec_of(ty.ty().results(), ty.named()))
}
