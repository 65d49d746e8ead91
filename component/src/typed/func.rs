//! Calls with Rust's types, in both directions.

use super::{ComponentType, Lift, Lower};
use crate::func::Func;
use crate::types::FuncType;
use crate::val::Val;
use ampoule::{Error, Store};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// The parameters of a function: a tuple of [`ComponentType`]s.
pub trait Params {
    /// Whether they stand for the parameters of this type.
    ///
    /// # Errors
    /// Which doesn't.
    fn matches_params(ty: &FuncType) -> Result<(), String>;
}

/// [`Params`] of a guest's function.
pub trait LowerParams: Params {
    #[doc(hidden)] // How values cross is the crate's.
    type Vals: AsRef<[Val]>;

    /// The values, of a type that matches.
    #[doc(hidden)]
    fn lower_params(&self, store: &mut Store, ty: &FuncType) -> Result<Self::Vals, Error>;
}

/// [`Params`] of a function of the host's.
pub trait LiftParams: Params + Sized {
    /// Takes them out of values of a type that matches.
    #[doc(hidden)] // How values cross is the crate's.
    fn lift_params(store: &mut Store, vals: &mut [Val]) -> Result<Self, Error>;
}

/// The result of a function: `()` where it has none, else `(T,)`.
pub trait Return {
    /// Whether it stands for the result of this type.
    ///
    /// # Errors
    /// What was found in its place.
    fn matches_return(ty: &FuncType) -> Result<(), String>;
}

/// The [`Return`] of a guest's function.
pub trait LiftReturn: Return + Sized {
    /// Has `call` fill in as many values as there are, and takes the result out.
    #[doc(hidden)] // How values cross is the crate's.
    fn lift_return(
        store: &mut Store,
        call: impl FnOnce(&mut Store, &mut [Val]) -> Result<(), Error>,
    ) -> Result<Self, Error>;
}

/// The [`Return`] of a function of the host's.
pub trait LowerReturn: Return {
    /// Fills in the result.
    #[doc(hidden)] // How values cross is the crate's.
    fn lower_return(&self, store: &mut Store, ty: &FuncType, results: &mut [Val]) -> Result<(), Error>;
}

macro_rules! params {
    ($(($($name:ident $position:tt),*);)*) => {$(
        #[allow(non_snake_case, unused_variables, clippy::unused_unit, reason = "as types and positions have it")]
        impl<$($name: ComponentType),*> Params for ($($name,)*) {
            fn matches_params(ty: &FuncType) -> Result<(), String> {
                let [$($name),*] = ty.params() else {
                    return Err(format!("expected {} parameter(s), found {}", params!(@count $($name)*), ty.params().len()));
                };
                $($name::matches(&$name.1).map_err(|why| format!("parameter `{}`: {why}", $name.0))?;)*
                Ok(())
            }
        }

        #[allow(non_snake_case, unused_variables, reason = "as types and positions have it")]
        impl<$($name: Lower),*> LowerParams for ($($name,)*) {
            type Vals = [Val; params!(@count $($name)*)];

            #[inline]
            fn lower_params(&self, store: &mut Store, ty: &FuncType) -> Result<Self::Vals, Error> {
                let [$($name),*] = ty.params() else { unreachable!("the number of parameters has been compared") };
                Ok([$(self.$position.lower(store, &$name.1)?),*])
            }
        }

        #[allow(non_snake_case, unused_variables, clippy::unused_unit, reason = "as types and positions have it")]
        impl<$($name: Lift),*> LiftParams for ($($name,)*) {
            #[inline]
            fn lift_params(store: &mut Store, vals: &mut [Val]) -> Result<Self, Error> {
                let [$($name),*] = vals else { unreachable!("the number of parameters has been compared") };
                Ok(($($name::lift(store, $name)?,)*))
            }
        }
    )*};
    (@count) => { 0 };
    (@count $first:ident $($rest:ident)*) => { 1 + params!(@count $($rest)*) };
}

params! {
    ();
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, F 5);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
}

impl Return for () {
    fn matches_return(ty: &FuncType) -> Result<(), String> {
        ty.result().map_or(Ok(()), |found| Err(format!("result: expected none, found `{found}`")))
    }
}

impl LiftReturn for () {
    #[inline]
    fn lift_return(
        store: &mut Store,
        call: impl FnOnce(&mut Store, &mut [Val]) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        call(store, &mut [])
    }
}

impl LowerReturn for () {
    fn lower_return(&self, _: &mut Store, _: &FuncType, _: &mut [Val]) -> Result<(), Error> {
        Ok(())
    }
}

impl<T: ComponentType> Return for (T,) {
    fn matches_return(ty: &FuncType) -> Result<(), String> {
        let found = ty.result().ok_or("result: expected one, found none")?;
        T::matches(found).map_err(|why| format!("result: {why}"))
    }
}

impl<T: Lift> LiftReturn for (T,) {
    #[inline]
    fn lift_return(
        store: &mut Store,
        call: impl FnOnce(&mut Store, &mut [Val]) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let mut results = [Val::default()];
        call(store, &mut results)?;
        Ok((T::lift(store, &mut results[0])?,))
    }
}

impl<T: Lower> LowerReturn for (T,) {
    fn lower_return(&self, store: &mut Store, ty: &FuncType, results: &mut [Val]) -> Result<(), Error> {
        let (Some(ty), [result]) = (ty.result(), results) else { unreachable!("the type has been compared") };
        *result = self.0.lower(store, ty)?;
        Ok(())
    }
}

/// A function of a component instance, with Rust's types.
pub struct TypedFunc<P, R> {
    func: Func,
    ty: Arc<FuncType>,
    of: PhantomData<fn(P) -> R>,
}

impl Func {
    /// The function, with Rust's types.
    ///
    /// # Errors
    /// Where they stand for another type, or the function is another store's.
    pub fn typed<P: Params, R: Return>(&self, store: &mut Store) -> Result<TypedFunc<P, R>, Error> {
        let ty = self.ty(store)?;
        P::matches_params(&ty).and_then(|()| R::matches_return(&ty)).map_err(Error::message)?;
        Ok(TypedFunc { func: *self, ty, of: PhantomData })
    }
}

impl<P: LowerParams, R: LiftReturn> TypedFunc<P, R> {
    /// Calls the function.
    ///
    /// # Errors
    /// As [`Func::call`].
    #[inline]
    pub fn call(&self, store: &mut Store, params: P) -> Result<R, Error> {
        let vals = params.lower_params(store, &self.ty)?;
        R::lift_return(store, |store, results| self.func.call_with(store, vals.as_ref(), results, true))
    }
}

impl<P, R> TypedFunc<P, R> {
    /// The function without Rust's types.
    pub fn func(&self) -> &Func {
        &self.func
    }
}

impl<P, R> Clone for TypedFunc<P, R> {
    fn clone(&self) -> Self {
        Self { func: self.func, ty: self.ty.clone(), of: PhantomData }
    }
}

impl<P, R> fmt::Debug for TypedFunc<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.func.fmt(f)
    }
}
