//! Functions with Rust's types: guest functions that are called with numbers and tuples ([`TypedFunc`]), and host functions from
//! closures over them ([`IntoHostFunc`]).
//!
//! A type is compared once, when a [`TypedFunc`] or a host function is made. A call then passes its values in an array on the
//! stack, and allocates nothing.

use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::func::Func;
use crate::func::caller::Caller;
use crate::func::host::{HostFunc, RawCallback, error_out};
use crate::gc::externref::ExternRef;
use crate::store::Store;
use ampoule_core::types::{FuncType, ValType};
use ampoule_core::vm::{VmCaller, VmFuncRef, VmValRaw};
use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Values that a typed function takes or returns at most.
const MAX_VALUES: usize = 16;

const ZERO: VmValRaw = VmValRaw { v128: [0; 16] };

mod sealed {
    /// Nobody else says what a value is.
    pub trait Sealed {}
}

/// A Rust type that stands for one type of WebAssembly: `i32` and `u32` for `i32`, `i64` and `u64` for `i64`, `f32`, `f64`, `u128` for
/// `v128`, `Option<Func>` for `funcref`, `Option<ExternRef>` for `externref`.
pub trait WasmType: sealed::Sealed + Sized + 'static {
    /// The type it stands for.
    #[doc(hidden)] // How values cross is the engine's.
    const TYPE: ValType;

    /// The value as guest code holds it.
    #[doc(hidden)]
    fn to_raw(&self, store: &Store) -> Result<VmValRaw, Error>;

    /// The value that guest code holds as `raw`.
    ///
    /// # Safety
    /// `raw` holds a value of [`WasmType::TYPE`], of this store.
    #[doc(hidden)]
    unsafe fn from_raw(store: &mut Store, raw: &VmValRaw) -> Self;
}

/// One [`WasmType`], or a tuple of them: the parameters or the results of a typed function.
pub trait WasmTypes: sealed::Sealed + Sized + 'static {
    /// The types they stand for.
    #[doc(hidden)] // How values cross is the engine's.
    const TYPES: &'static [ValType];

    /// Writes the values as guest code holds them to the first places of `to`.
    #[doc(hidden)]
    fn write(&self, store: &Store, to: &mut [VmValRaw]) -> Result<(), Error>;

    /// Reads the values that guest code holds.
    ///
    /// # Safety
    /// The first places of `from` hold values of [`WasmTypes::TYPES`], of this store.
    #[doc(hidden)]
    unsafe fn read(store: &mut Store, from: &[VmValRaw]) -> Self;
}

macro_rules! numbers {
    ($($rust:ty: $wasm:ident, $field:ident, $to:expr, $from:expr;)*) => {
        $(impl sealed::Sealed for $rust {}

        impl WasmType for $rust {
            const TYPE: ValType = ValType::$wasm;

            #[inline]
            fn to_raw(&self, _: &Store) -> Result<VmValRaw, Error> {
                let mut raw = ZERO;
                raw.$field = $to(*self);
                Ok(raw)
            }

            #[inline]
            unsafe fn from_raw(_: &mut Store, raw: &VmValRaw) -> Self {
                // SAFETY: every bit pattern is a number.
                $from(unsafe { raw.$field })
            }
        })*
    };
}

numbers! {
    i32: I32, i32, i32::from, i32::from;
    u32: I32, i32, u32::cast_signed, i32::cast_unsigned;
    i64: I64, i64, i64::from, i64::from;
    u64: I64, i64, u64::cast_signed, i64::cast_unsigned;
    f32: F32, f32, f32::to_bits, f32::from_bits;
    f64: F64, f64, f64::to_bits, f64::from_bits;
    u128: V128, v128, u128::to_le_bytes, u128::from_le_bytes;
}

impl sealed::Sealed for Option<Func> {}

impl WasmType for Option<Func> {
    const TYPE: ValType = ValType::FUNCREF;

    fn to_raw(&self, store: &Store) -> Result<VmValRaw, Error> {
        let mut raw = ZERO;
        if let Some(func) = self {
            raw.funcref = func.to_raw(store)?.cast();
        }
        Ok(raw)
    }

    unsafe fn from_raw(store: &mut Store, raw: &VmValRaw) -> Self {
        // SAFETY: by the caller, null or a reference of this store.
        unsafe { Func::from_raw(store, raw.funcref.cast::<VmFuncRef>()) }
    }
}

impl sealed::Sealed for Option<ExternRef> {}

impl WasmType for Option<ExternRef> {
    const TYPE: ValType = ValType::EXTERNREF;

    fn to_raw(&self, store: &Store) -> Result<VmValRaw, Error> {
        let mut raw = ZERO;
        if let Some(value) = self {
            raw.externref = value.to_raw(store)?;
        }
        Ok(raw)
    }

    unsafe fn from_raw(store: &mut Store, raw: &VmValRaw) -> Self {
        // SAFETY: by the caller, the bits are those of a reference.
        ExternRef::from_raw(store, unsafe { raw.externref })
    }
}

impl<T: WasmType> WasmTypes for T {
    const TYPES: &'static [ValType] = &[T::TYPE];

    #[inline]
    fn write(&self, store: &Store, to: &mut [VmValRaw]) -> Result<(), Error> {
        to[0] = self.to_raw(store)?;
        Ok(())
    }

    #[inline]
    unsafe fn read(store: &mut Store, from: &[VmValRaw]) -> Self {
        // SAFETY: by the caller.
        unsafe { T::from_raw(store, &from[0]) }
    }
}

macro_rules! tuples {
    ($(($($name:ident $position:tt),*);)*) => {
        $(impl<$($name: WasmType),*> sealed::Sealed for ($($name,)*) {}

        impl<$($name: WasmType),*> WasmTypes for ($($name,)*) {
            const TYPES: &'static [ValType] = &[$($name::TYPE),*];

            #[inline]
            #[allow(unused_variables, reason = "the empty tuple has nothing to write")]
            fn write(&self, store: &Store, to: &mut [VmValRaw]) -> Result<(), Error> {
                $(to[$position] = self.$position.to_raw(store)?;)*
                Ok(())
            }

            #[inline]
            #[allow(unused_variables, clippy::unused_unit, reason = "the empty tuple has nothing to read")]
            unsafe fn read(store: &mut Store, from: &[VmValRaw]) -> Self {
                // SAFETY: by the caller.
                ($(unsafe { $name::from_raw(store, &from[$position]) },)*)
            }
        }

        impl<Closure, Answer, $($name: WasmType),*> IntoHostFunc<($($name,)*), Answer> for Closure
        where
            Closure: Fn($($name),*) -> Answer + Send + Sync + 'static,
            Answer: HostResult,
        {
            fn into_host_func(self, engine: &Engine) -> Result<HostFunc, Error> {
                #[allow(non_snake_case, reason = "values go by the names of their types")]
                let call = move |_: Caller<'_>, ($($name,)*): ($($name,)*)| self($($name),*).into_result();
                host_func(engine, call)
            }
        }

        impl<Closure, Answer, $($name: WasmType),*> IntoHostFunc<(WithCaller, $($name,)*), Answer> for Closure
        where
            Closure: Fn(Caller<'_>, $($name),*) -> Answer + Send + Sync + 'static,
            Answer: HostResult,
        {
            fn into_host_func(self, engine: &Engine) -> Result<HostFunc, Error> {
                #[allow(non_snake_case, reason = "values go by the names of their types")]
                let call =
                    move |caller: Caller<'_>, ($($name,)*): ($($name,)*)| self(caller, $($name),*).into_result();
                host_func(engine, call)
            }
        })*
    };
}

tuples! {
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
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15);
}

/// A function whose type is known to Rust. It belongs to a store, as [`Func`] does.
///
/// ```
/// use ampoule::{Engine, Instance, Module, Store, TypedFunc};
///
/// # fn main() -> Result<(), ampoule::Error> {
/// let engine = Engine::default();
/// let module = Module::new(&engine, br#"(module (func (export "add") (param i32 i32) (result i32)
///     local.get 0 local.get 1 i32.add))"#)?;
/// let mut store = Store::new(&engine);
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let add: TypedFunc<(i32, i32), i32> = instance.get_typed_func(&store, "add")?;
/// assert_eq!(add.call(&mut store, (2, 3))?, 5);
/// # Ok(())
/// # }
/// ```
pub struct TypedFunc<Params, Results> {
    func: Func,
    types: PhantomData<fn(Params) -> Results>,
}

impl<Params, Results> Clone for TypedFunc<Params, Results> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Params, Results> Copy for TypedFunc<Params, Results> {}

impl<Params, Results> fmt::Debug for TypedFunc<Params, Results> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedFunc").field(&self.func).finish()
    }
}

impl<Params: WasmTypes, Results: WasmTypes> TypedFunc<Params, Results> {
    /// The function without its type.
    pub fn func(&self) -> &Func {
        &self.func
    }

    /// Calls the function.
    ///
    /// # Errors
    /// Where the function or an argument is of another store; nothing runs. A trap, a host function's error or the guest's exit
    /// otherwise; the store stays usable.
    #[inline]
    pub fn call(&self, store: &mut Store, params: Params) -> Result<Results, Error> {
        let mut values = [ZERO; MAX_VALUES];
        params.write(store, &mut values)?;
        // SAFETY: the type was compared when this value was made; the arguments are of it, and `params` keeps the references
        // among them alive. There is a place for each value.
        unsafe { self.func.call_raw(store, values.as_mut_ptr())? };
        drop(params);
        // SAFETY: the guest returned values of its result types, of this store.
        Ok(unsafe { Results::read(store, &values) })
    }
}

impl Func {
    /// The function with its type known to Rust.
    ///
    /// # Errors
    /// Where it has another type, or is of another store.
    pub fn typed<Params: WasmTypes, Results: WasmTypes>(
        &self,
        store: &Store,
    ) -> Result<TypedFunc<Params, Results>, Error> {
        let found = self.signature(store)?.func();
        if found.params() != Params::TYPES || found.results() != Results::TYPES {
            let expected = type_of::<Params, Results>();
            return Err(Error::new(ErrorKind::Type(format!(
                "function type mismatch: expected `{expected}`, found `{found}`"
            ))));
        }
        Ok(TypedFunc { func: *self, types: PhantomData })
    }

    /// A function of the host from a closure over Rust's types, whose type follows from them. The closure may take a [`Caller`]
    /// first, and may return a `Result`, whose error stops the guest.
    ///
    /// ```
    /// use ampoule::{Caller, Engine, Error, Func, Store};
    ///
    /// let mut store = Store::new(&Engine::default());
    /// let add = Func::wrap(&mut store, |a: i32, b: i32| a + b)?;
    /// let divide = Func::wrap(&mut store, |_: Caller<'_>, a: u64, b: u64| {
    ///     a.checked_div(b).ok_or_else(|| Error::message("nothing is divided by zero"))
    /// })?;
    /// assert_eq!(add.typed::<(i32, i32), i32>(&store)?.call(&mut store, (2, 3))?, 5);
    /// assert!(divide.typed::<(u64, u64), u64>(&store)?.call(&mut store, (2, 0)).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Where the engine has no compiler, and no module brought a thunk of the type along.
    pub fn wrap<Params, Results>(
        store: &mut Store,
        closure: impl IntoHostFunc<Params, Results>,
    ) -> Result<Func, Error> {
        let host = closure.into_host_func(store.engine())?;
        Ok(Func::from_host(store, &Arc::new(host)))
    }
}

/// A closure that a host function can be made of: over [`WasmType`]s, with a [`Caller`] before them or without, which returns a
/// [`HostResult`]. `Params` and `Results` only tell implementations apart.
pub trait IntoHostFunc<Params, Results> {
    /// The host function, for any store of the engine.
    ///
    /// # Errors
    /// See [`Func::wrap`].
    fn into_host_func(self, engine: &Engine) -> Result<HostFunc, Error>;
}

/// In place of a parameter's type: the closure takes a [`Caller`].
pub struct WithCaller(());

/// What a closure of the host returns: results, or a `Result` of them, whose error stops the guest.
pub trait HostResult {
    /// The results.
    type Values: WasmTypes;

    /// The same as a result.
    #[doc(hidden)] // How values cross is the engine's.
    fn into_result(self) -> Result<Self::Values, Error>;
}

impl<T: WasmTypes> HostResult for T {
    type Values = T;

    #[inline]
    fn into_result(self) -> Result<T, Error> {
        Ok(self)
    }
}

impl<T: WasmTypes> HostResult for Result<T, Error> {
    type Values = T;

    #[inline]
    fn into_result(self) -> Result<T, Error> {
        self
    }
}

fn type_of<Params: WasmTypes, Results: WasmTypes>() -> FuncType {
    FuncType::new(Params::TYPES.iter().copied(), Results::TYPES.iter().copied())
}

pub(crate) fn host_func<Params: WasmTypes, Results: WasmTypes, Call>(
    engine: &Engine,
    call: Call,
) -> Result<HostFunc, Error>
where
    Call: Fn(Caller<'_>, Params) -> Result<Results, Error> + Send + Sync + 'static,
{
    let env = Box::new(call);
    let pointer: *const Call = &*env;
    let callback: RawCallback = call_closure::<Params, Results, Call>;
    // SAFETY: `env` may be used from any thread while it lives, which is as long as the function; the callback writes results of
    // the type's, of the running store.
    unsafe { HostFunc::raw(engine, &type_of::<Params, Results>(), callback, pointer.cast_mut().cast(), env) }
}

/// The raw callback of a typed closure.
///
/// # Safety
/// As for every [`RawCallback`] of a function with these parameters and results; `env` is a `Call`.
unsafe extern "C" fn call_closure<Params: WasmTypes, Results: WasmTypes, Call>(
    env: *mut c_void,
    caller: *mut VmCaller,
    values: *mut VmValRaw,
    len: usize,
) -> *mut c_void
where
    Call: Fn(Caller<'_>, Params) -> Result<Results, Error>,
{
    // SAFETY: `env` is what `host_func` gave, alive with the function; `caller` is the exit thunk's, and `values` are as many as the
    // larger number of parameters and results, arguments filled in.
    let (call, mut caller, values) =
        unsafe { (&*env.cast::<Call>(), Caller::from_vm(caller), std::slice::from_raw_parts_mut(values, len)) };
    let result = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the guest passed values of its parameter types, of this store.
        let params = unsafe { Params::read(caller.store(), values) };
        let results = call(caller.reborrow(), params)?;
        results.write(caller.store(), values)
    }));
    error_out(result.unwrap_or_else(|_| Err(Error::message("a host function panicked"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Extern, Instance, Module};

    #[test]
    fn every_type_crosses_in_both_directions() {
        let engine = Engine::default();
        let mut store = Store::new(&engine);
        type All = (i32, u32, i64, u64, f32, f64, u128, Option<Func>, Option<ExternRef>);
        let echo = Func::wrap(
            &mut store,
            |a: i32, b: u32, c: i64, d: u64, e: f32, f: f64, g: u128, h: Option<Func>, i: Option<ExternRef>| -> All {
                (a, b, c, d, e, f, g, h, i)
            },
        );
        let echo = echo.unwrap();
        let value = ExternRef::new(&mut store, Box::new("a value of the host")).unwrap();
        let typed = echo.typed::<All, All>(&store).unwrap();
        let sent: All = (-1, u32::MAX, i64::MIN, u64::MAX, 1.5, -0.25, u128::MAX / 3, Some(echo), Some(value));
        let got = typed.call(&mut store, sent.clone()).unwrap();
        assert_eq!(
            (got.0, got.1, got.2, got.3, got.4, got.5, got.6),
            (-1, u32::MAX, i64::MIN, u64::MAX, 1.5, -0.25, sent.6)
        );
        assert!(got.7 == Some(echo) && got.8 == sent.8);
        let none = typed.call(&mut store, (0, 0, 0, 0, 0.0, 0.0, 0, None, None)).unwrap();
        assert!(none.7.is_none() && none.8.is_none());
    }

    #[test]
    fn a_function_of_another_type_is_refused_by_both_types() {
        let mut store = Store::new(&Engine::default());
        let func = Func::wrap(&mut store, |a: i32| i64::from(a)).unwrap();
        assert!(func.typed::<i32, i64>(&store).is_ok() && func.typed::<(u32,), (u64,)>(&store).is_ok());
        let refused = func.typed::<(i32, i32), ()>(&store).unwrap_err().to_string();
        assert!(refused.starts_with("function type mismatch: expected `"), "{refused}");
        let other = Store::new(&Engine::default());
        assert!(func.typed::<i32, i64>(&other).is_err());
    }

    #[test]
    fn a_closure_sees_its_caller_and_stops_it_with_an_error() {
        let engine = Engine::default();
        let module = Module::new(
            &engine,
            br#"(module (import "" "read" (func $read (param i32) (result i32))) (memory (export "memory") 1)
                (data (i32.const 7) "\2a") (func (export "run") (param i32) (result i32) local.get 0 call $read))"#,
        );
        let module = module.unwrap();
        let mut store = Store::new(&engine);
        let read = Func::wrap(&mut store, |mut caller: Caller<'_>, at: u32| {
            let memory = caller.export("memory").and_then(Extern::into_memory).expect("exported");
            let bytes = memory.bytes(caller.store())?;
            bytes.get(at as usize).map(|&byte| u32::from(byte)).ok_or_else(|| Error::message("no such byte"))
        });
        let read = read.unwrap();
        let instance = Instance::new(&mut store, &module, &[Extern::Func(read)]).unwrap();
        let run = instance.get_typed_func::<u32, u32>(&store, "run").unwrap();
        assert_eq!(run.call(&mut store, 7).unwrap(), 42);
        let error = run.call(&mut store, 1 << 20).unwrap_err();
        assert!(error.to_string().contains("no such byte"), "{error}");
        assert_eq!(run.call(&mut store, 7).unwrap(), 42, "the store stays usable");
        assert!(instance.get_typed_func::<(), ()>(&store, "walk").unwrap_err().to_string().contains("walk"));
    }

    #[test]
    fn a_panic_of_a_closure_is_an_error_of_the_call() {
        let mut store = Store::new(&Engine::default());
        let func = Func::wrap(&mut store, || -> () { panic!("a bug of the host") }).unwrap();
        assert!(func.typed::<(), ()>(&store).unwrap().call(&mut store, ()).is_err());
    }
}
