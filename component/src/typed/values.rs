//! Which types of Rust's stand for which of components.

use super::{ComponentType, Lift, Lower, mismatch, unexpected};
use crate::handle::ResourceAny;
use crate::types::ValType;
use crate::val::{Val, ValRef};
use ampoule::sync::OnceLock;
use ampoule::{Error, Store};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

macro_rules! scalars {
    ($($rust:ident $kind:ident $name:literal;)*) => {$(
        impl ComponentType for $rust {
            fn matches(ty: &ValType) -> Result<(), String> {
                match ty {
                    ValType::$kind => Ok(()),
                    other => Err(mismatch($name, other)),
                }
            }
        }

        impl Lower for $rust {
            scalars!(@lower $rust);
        }

        impl Lift for $rust {
            scalars!(@lift $rust $kind $name);
        }
    )*};
    (@lower u8) => {
        fn lower(&self, _: &mut Store, _: &ValType) -> Result<Val, Error> {
            Ok(Val::from(*self))
        }

        fn lower_list(list: &[u8], _: &mut Store, _: &ValType) -> Result<Val, Error> {
            Ok(Val::bytes(list))
        }
    };
    (@lower $rust:ident) => {
        fn lower(&self, _: &mut Store, _: &ValType) -> Result<Val, Error> {
            Ok(Val::from(*self))
        }
    };
    (@lift char $kind:ident $name:literal) => {
        fn lift(_: &mut Store, val: &mut Val) -> Result<char, Error> {
            match val.get() {
                ValRef::Char(code) => char::from_u32(code).ok_or_else(|| unexpected($name)),
                _ => Err(unexpected($name)),
            }
        }
    };
    (@lift u8 $kind:ident $name:literal) => {
        scalars!(@lift_one u8 $kind $name);

        // Typed functions get bytes in one block.
        fn lift_list(_: &mut Store, val: &mut Val) -> Result<Vec<u8>, Error> {
            val.take_string().map(|mut bytes| bytes.take().into_vec()).ok_or_else(|| unexpected("list<u8>"))
        }
    };
    (@lift $rust:ident $kind:ident $name:literal) => {
        scalars!(@lift_one $rust $kind $name);
    };
    (@lift_one $rust:ident $kind:ident $name:literal) => {
        #[inline]
        fn lift(_: &mut Store, val: &mut Val) -> Result<$rust, Error> {
            match val.get() {
                ValRef::$kind(value) => Ok(value),
                _ => Err(unexpected($name)),
            }
        }
    };
}

scalars! {
    bool Bool "bool";
    i8 S8 "s8";
    u8 U8 "u8";
    i16 S16 "s16";
    u16 U16 "u16";
    i32 S32 "s32";
    u32 U32 "u32";
    i64 S64 "s64";
    u64 U64 "u64";
    f32 F32 "f32";
    f64 F64 "f64";
    char Char "char";
}

impl ComponentType for str {
    fn matches(ty: &ValType) -> Result<(), String> {
        if matches!(ty, ValType::String) { Ok(()) } else { Err(mismatch("string", ty)) }
    }
}

impl Lower for str {
    fn lower(&self, _: &mut Store, _: &ValType) -> Result<Val, Error> {
        Ok(Val::from(self))
    }
}

impl ComponentType for String {
    fn matches(ty: &ValType) -> Result<(), String> {
        <str as ComponentType>::matches(ty)
    }
}

impl Lower for String {
    fn lower(&self, _: &mut Store, _: &ValType) -> Result<Val, Error> {
        Ok(Val::from(self.as_str()))
    }
}

impl Lift for String {
    fn lift(_: &mut Store, val: &mut Val) -> Result<String, Error> {
        let mut text = val.take_string().ok_or_else(|| unexpected("string"))?;
        String::from_utf8(text.take().into_vec()).map_err(|_| unexpected("string"))
    }
}

impl<T: ComponentType + ?Sized> ComponentType for &T {
    fn matches(ty: &ValType) -> Result<(), String> {
        T::matches(ty)
    }
}

impl<T: Lower + ?Sized> Lower for &T {
    fn lower(&self, store: &mut Store, ty: &ValType) -> Result<Val, Error> {
        (**self).lower(store, ty)
    }
}

impl<T: ComponentType> ComponentType for [T] {
    fn matches(ty: &ValType) -> Result<(), String> {
        let ValType::List(list) = ty else { return Err(mismatch("list", ty)) };
        T::matches(list.element()).map_err(|why| format!("element of a list: {why}"))
    }
}

impl<T: Lower> Lower for [T] {
    fn lower(&self, store: &mut Store, ty: &ValType) -> Result<Val, Error> {
        let ValType::List(list) = ty else { return Err(unexpected("list")) };
        T::lower_list(self, store, list.element())
    }
}

impl<T: ComponentType> ComponentType for Vec<T> {
    fn matches(ty: &ValType) -> Result<(), String> {
        <[T]>::matches(ty)
    }
}

impl<T: Lower> Lower for Vec<T> {
    fn lower(&self, store: &mut Store, ty: &ValType) -> Result<Val, Error> {
        self.as_slice().lower(store, ty)
    }
}

impl<T: Lift> Lift for Vec<T> {
    fn lift(store: &mut Store, val: &mut Val) -> Result<Vec<T>, Error> {
        T::lift_list(store, val)
    }
}

fn matches_map<K: ComponentType, V: ComponentType>(ty: &ValType) -> Result<(), String> {
    let ValType::Map(map) = ty else { return Err(mismatch("map", ty)) };
    K::matches(map.key()).map_err(|why| format!("key of a map: {why}"))?;
    V::matches(map.value()).map_err(|why| format!("value of a map: {why}"))
}

fn lower_map<'m, K: Lower + 'm, V: Lower + 'm>(
    entries: impl Iterator<Item = (&'m K, &'m V)>,
    store: &mut Store,
    ty: &ValType,
) -> Result<Val, Error> {
    let ValType::Map(map) = ty else { return Err(unexpected("map")) };
    let entries = entries.map(|(key, value)| Ok((key.lower(store, map.key())?, value.lower(store, map.value())?)));
    Ok(Val::map(entries.collect::<Result<Vec<_>, Error>>()?))
}

fn lift_map<M: FromIterator<(K, V)>, K: Lift, V: Lift>(store: &mut Store, val: &mut Val) -> Result<M, Error> {
    let entries = val.take_map().ok_or_else(|| unexpected("map"))?;
    let entries = entries.into_vec().into_iter();
    entries.map(|mut entry| Ok((K::lift(store, &mut entry.key)?, V::lift(store, &mut entry.value)?))).collect()
}

macro_rules! maps {
    ($($map:ident<K $(: $bound:path $(, $more:path)*)?; $($hasher:ident)?>;)*) => {$(
        impl<K: ComponentType, V: ComponentType $(, $hasher)?> ComponentType for $map<K, V $(, $hasher)?> {
            fn matches(ty: &ValType) -> Result<(), String> {
                matches_map::<K, V>(ty)
            }
        }

        impl<K: Lower, V: Lower $(, $hasher)?> Lower for $map<K, V $(, $hasher)?> {
            fn lower(&self, store: &mut Store, ty: &ValType) -> Result<Val, Error> {
                lower_map(self.iter(), store, ty)
            }
        }

        impl<K: Lift $(+ $bound $(+ $more)*)?, V: Lift $(, $hasher: BuildHasher + Default)?> Lift for $map<K, V $(, $hasher)?> {
            fn lift(store: &mut Store, val: &mut Val) -> Result<Self, Error> {
                lift_map(store, val)
            }
        }
    )*};
}

maps! {
    BTreeMap<K: Ord;>;
    HashMap<K: Eq, Hash; S>;
}

impl<T: ComponentType> ComponentType for Option<T> {
    fn matches(ty: &ValType) -> Result<(), String> {
        let ValType::Option(option) = ty else { return Err(mismatch("option", ty)) };
        T::matches(option.ty()).map_err(|why| format!("value of an option: {why}"))
    }
}

impl<T: Lower> Lower for Option<T> {
    fn lower(&self, store: &mut Store, ty: &ValType) -> Result<Val, Error> {
        let ValType::Option(option) = ty else { return Err(unexpected("option")) };
        Ok(Val::option(self.as_ref().map(|value| value.lower(store, option.ty())).transpose()?))
    }
}

impl<T: Lift> Lift for Option<T> {
    fn lift(store: &mut Store, val: &mut Val) -> Result<Self, Error> {
        let value = val.take_option().ok_or_else(|| unexpected("option"))?;
        value.map(|mut value| T::lift(store, &mut value)).transpose()
    }
}

/// Whether `T` stands for a type that may be absent, in a `result` or in a case of a variant: `()` stands for no type.
#[doc(hidden)] // For the macros, as the two below.
pub fn matches_payload<T: ComponentType>(ty: Option<&ValType>) -> Result<(), String> {
    match ty {
        Some(ty) => T::matches(ty),
        None => T::matches(nothing()).map_err(|_| "expected a value, found none".to_string()),
    }
}

/// The type of no value at all, which no component has: a tuple of nothing isn't valid.
fn nothing() -> &'static ValType {
    static NOTHING: OnceLock<ValType> = OnceLock::new();
    NOTHING.get_or_init(|| ValType::Tuple(crate::types::TupleType::new(Box::default()).into()))
}

#[doc(hidden)]
pub fn lower_payload<T: Lower>(value: &T, store: &mut Store, ty: Option<&ValType>) -> Result<Option<Val>, Error> {
    ty.map(|ty| value.lower(store, ty)).transpose()
}

#[doc(hidden)]
pub fn lift_payload<T: Lift>(store: &mut Store, payload: Option<Box<Val>>) -> Result<T, Error> {
    let mut payload = payload.map_or_else(|| Val::tuple(Vec::new()), |payload| *payload);
    T::lift(store, &mut payload)
}

impl<T: ComponentType, E: ComponentType> ComponentType for Result<T, E> {
    fn matches(ty: &ValType) -> Result<(), String> {
        let ValType::Result(result) = ty else { return Err(mismatch("result", ty)) };
        matches_payload::<T>(result.ok()).map_err(|why| format!("`ok` of a result: {why}"))?;
        matches_payload::<E>(result.err()).map_err(|why| format!("`err` of a result: {why}"))
    }
}

impl<T: Lower, E: Lower> Lower for Result<T, E> {
    fn lower(&self, store: &mut Store, ty: &ValType) -> Result<Val, Error> {
        let ValType::Result(result) = ty else { return Err(unexpected("result")) };
        Ok(Val::result(match self {
            Ok(value) => Ok(lower_payload(value, store, result.ok())?),
            Err(value) => Err(lower_payload(value, store, result.err())?),
        }))
    }
}

impl<T: Lift, E: Lift> Lift for Result<T, E> {
    fn lift(store: &mut Store, val: &mut Val) -> Result<Self, Error> {
        Ok(match val.take_result().ok_or_else(|| unexpected("result"))? {
            Ok(payload) => Ok(lift_payload(store, payload)?),
            Err(payload) => Err(lift_payload(store, payload)?),
        })
    }
}

macro_rules! tuples {
    ($(($($name:ident $position:tt),*);)*) => {$(
        impl<$($name: ComponentType),*> ComponentType for ($($name,)*) {
            fn matches(ty: &ValType) -> Result<(), String> {
                let ValType::Tuple(tuple) = ty else { return Err(mismatch("tuple", ty)) };
                let types: &[ValType] = tuple.types();
                let [$($name),*] = types else { return Err(format!("found a tuple of {}", types.len())) };
                $($name::matches($name).map_err(|why| format!("element {} of a tuple: {why}", $position))?;)*
                Ok(())
            }
        }

        impl<$($name: Lower),*> Lower for ($($name,)*) {
            fn lower(&self, store: &mut Store, ty: &ValType) -> Result<Val, Error> {
                let ValType::Tuple(tuple) = ty else { return Err(unexpected("tuple")) };
                let [$($name),*] = tuple.types() else { return Err(unexpected("tuple")) };
                let _ = &store;
                Ok(Val::tuple(vec![$(self.$position.lower(store, $name)?),*]))
            }
        }

        impl<$($name: Lift),*> Lift for ($($name,)*) {
            fn lift(store: &mut Store, val: &mut Val) -> Result<Self, Error> {
                let mut elements = val.take_tuple().ok_or_else(|| unexpected("tuple"))?;
                let [$($name),*] = &mut *elements else { return Err(unexpected("tuple")) };
                let _ = &store;
                Ok(($($name::lift(store, $name)?,)*))
            }
        }
    )*};
}

#[allow(non_snake_case, reason = "values and types go by the names of their parameters")]
mod tuples {
    use super::*;

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
    }
}

impl ComponentType for ResourceAny {
    fn matches(ty: &ValType) -> Result<(), String> {
        if matches!(ty, ValType::Own(_) | ValType::Borrow(_)) { Ok(()) } else { Err(mismatch("resource", ty)) }
    }
}

impl Lower for ResourceAny {
    fn lower(&self, _: &mut Store, _: &ValType) -> Result<Val, Error> {
        Ok(Val::from(self.clone()))
    }
}

impl Lift for ResourceAny {
    fn lift(_: &mut Store, val: &mut Val) -> Result<ResourceAny, Error> {
        match val.get() {
            ValRef::Resource(Some(any)) => Ok(any.clone()),
            _ => Err(unexpected("resource")),
        }
    }
}
