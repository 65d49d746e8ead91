//! Values of components as Rust's, and back.
//!
//! An import may have another type than the function that stands for it: whatever doesn't fit is an error that ends the guest.

use super::cx::Cx;
use super::error::Error;
use super::resources::{Entry, Handle, Own, Taken};
use ampoule_component::{ResourceHost, Val, ValRef};

/// What a value can become.
pub trait FromVal: Sized {
    /// Takes it out of the value.
    ///
    /// # Errors
    /// The value is another.
    fn from_val(cx: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error>;
}

/// What can become a value, or nothing.
pub trait IntoVal {
    /// Makes the value. Of `()`, there is none.
    ///
    /// # Errors
    /// What ends the guest: there is no place for a resource.
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error>;
}

/// The import has another type than the function.
#[cold]
pub fn wrong_type(expected: &str) -> Error {
    Error::message(format!("the import has another type than the function: expected {expected}"))
}

macro_rules! scalars {
    ($($ty:ident $kind:ident;)*) => {$(
        impl FromVal for $ty {
            fn from_val(_: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
                match val.get() {
                    ValRef::$kind(value) => Ok(value),
                    _ => Err(wrong_type(stringify!($ty))),
                }
            }
        }

        impl IntoVal for $ty {
            fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
                Ok(Some(Val::from(self)))
            }
        }
    )*};
}

scalars! {
    bool Bool;
    u8 U8;
    u16 U16;
    u32 U32;
    u64 U64;
}

impl FromVal for String {
    fn from_val(_: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        let mut text = val.take_string().ok_or_else(|| wrong_type("string"))?;
        String::from_utf8(text.take().into_vec()).map_err(|_| wrong_type("string"))
    }
}

impl IntoVal for String {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        Ok(Some(Val::from(self)))
    }
}

/// A `list<u8>`.
#[derive(Debug)]
pub struct Bytes(pub Vec<u8>);

impl FromVal for Bytes {
    fn from_val(_: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        let mut bytes = val.take_string().ok_or_else(|| wrong_type("list<u8>"))?;
        Ok(Self(bytes.take().into_vec()))
    }
}

impl IntoVal for Bytes {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        Ok(Some(Val::bytes(self.0)))
    }
}

/// A borrowed handle.
impl<T: Entry> FromVal for Handle<T> {
    fn from_val(cx: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        match val.get() {
            ValRef::Resource(Some(any)) if !any.owned() => {
                let host = ResourceHost::from_any(any, cx.store())?;
                if host.ty == T::TYPE { Ok(Handle::new(host.rep)) } else { Err(wrong_type(T::NAME)) }
            }
            _ => Err(wrong_type(T::NAME)),
        }
    }
}

/// An owned handle: what it stands for is the function's now.
impl<T: Entry> FromVal for Taken<T> {
    fn from_val(cx: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        match val.get() {
            ValRef::Resource(Some(any)) if any.owned() => {
                let host = ResourceHost::from_any(any, cx.store())?;
                if host.ty == T::TYPE { cx.parts().1.take(Handle::new(host.rep)) } else { Err(wrong_type(T::NAME)) }
            }
            _ => Err(wrong_type(T::NAME)),
        }
    }
}

/// A new handle for a guest.
impl<T: Entry> IntoVal for Own<T> {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let rep = cx.parts().1.insert(self)?;
        let handle = ResourceHost { rep, ty: T::TYPE, owned: true };
        Ok(Some(Val::from(handle.into_any(cx.store())?)))
    }
}

/// A list of anything but bytes, which are [`Bytes`].
impl<T: FromVal> FromVal for Vec<T> {
    fn from_val(cx: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        let mut elements = val.take_list().ok_or_else(|| wrong_type("list"))?;
        elements.iter_mut().map(|element| T::from_val(cx, element)).collect()
    }
}

impl<T: FromVal> FromVal for Option<T> {
    fn from_val(cx: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        let value = val.take_option().ok_or_else(|| wrong_type("option"))?;
        value.map(|mut value| T::from_val(cx, &mut value)).transpose()
    }
}

impl<A: FromVal, B: FromVal> FromVal for (A, B) {
    fn from_val(cx: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        match val.take_tuple().as_deref_mut() {
            Some([a, b]) => Ok((A::from_val(cx, a)?, B::from_val(cx, b)?)),
            _ => Err(wrong_type("tuple")),
        }
    }
}

/// A result whose cases both have values.
impl<T: FromVal, E: FromVal> FromVal for Result<Answered<T>, Answered<E>> {
    fn from_val(cx: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        match val.take_result() {
            Some(Ok(Some(mut value))) => Ok(Ok(Answered(T::from_val(cx, &mut value)?))),
            Some(Err(Some(mut value))) => Ok(Err(Answered(E::from_val(cx, &mut value)?))),
            _ => Err(wrong_type("result")),
        }
    }
}

/// The value of a case of a result.
#[derive(Debug)]
pub struct Answered<T>(pub T);

impl IntoVal for () {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        Ok(None)
    }
}

/// The value of what isn't `()`.
///
/// # Errors
/// As [`IntoVal::into_val`].
pub fn val_of(value: impl IntoVal, cx: &mut Cx<'_>) -> Result<Val, Error> {
    Ok(value.into_val(cx)?.unwrap_or_default())
}

impl<T: IntoVal> IntoVal for Vec<T> {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let elements = self.into_iter().map(|element| val_of(element, cx)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Val::list(elements)))
    }
}

impl<T: IntoVal> IntoVal for Option<T> {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let some = self.map(|value| val_of(value, cx)).transpose()?;
        Ok(Some(Val::option(some)))
    }
}

impl<A: IntoVal, B: IntoVal> IntoVal for (A, B) {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        Ok(Some(Val::tuple(vec![val_of(self.0, cx)?, val_of(self.1, cx)?])))
    }
}

impl<A: IntoVal, B: IntoVal, C: IntoVal> IntoVal for (A, B, C) {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        Ok(Some(Val::tuple(vec![val_of(self.0, cx)?, val_of(self.1, cx)?, val_of(self.2, cx)?])))
    }
}

/// `result` without values.
impl FromVal for Result<(), ()> {
    fn from_val(_: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        match val.get() {
            ValRef::Ok(None) => Ok(Ok(())),
            ValRef::Err(None) => Ok(Err(())),
            _ => Err(wrong_type("result")),
        }
    }
}

/// Declares an `enum` of the WIT texts: each case with its name there.
macro_rules! wit_enum {
    ($(#[$doc:meta])* $name:ident { $($case:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // The WIT text documents each.
        pub enum $name {
            $($case,)*
        }

        impl $name {
            /// The name in the WIT text.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$case => $text,)*
                }
            }
        }

        impl $crate::component::values::IntoVal for $name {
            fn into_val(self, _: &mut $crate::component::Cx<'_>) -> Result<Option<ampoule_component::Val>, $crate::component::Error> {
                Ok(Some(ampoule_component::Val::enumeration(self.name())))
            }
        }

        impl $crate::component::values::FromVal for $name {
            fn from_val(
                _: &mut $crate::component::Cx<'_>,
                val: &mut ampoule_component::Val,
            ) -> Result<Self, $crate::component::Error> {
                let ampoule_component::ValRef::Enum(name) = val.get() else {
                    return Err($crate::component::values::wrong_type(stringify!($name)));
                };
                [$(Self::$case),*]
                    .into_iter()
                    .find(|case| case.name().as_bytes() == name)
                    .ok_or_else(|| $crate::component::values::wrong_type(stringify!($name)))
            }
        }
    };
}
pub(crate) use wit_enum;

/// Declares `flags` of the WIT text: each with its name there.
macro_rules! wit_flags {
    ($(#[$doc:meta])* $name:ident { $($flag:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[allow(missing_docs)] // The WIT text documents each.
        pub struct $name {
            $(pub $flag: bool,)*
        }

        impl $crate::component::FromVal for $name {
            fn from_val(_: &mut $crate::component::Cx<'_>, val: &mut ampoule_component::Val) -> Result<Self, $crate::component::Error> {
                let ampoule_component::ValRef::Flags(names) = val.get() else { return Err($crate::component::values::wrong_type(stringify!($name))) };
                let mut flags = Self::default();
                for name in names {
                    match name.as_slice() {
                        $(name if name == $text.as_bytes() => flags.$flag = true,)*
                        _ => return Err($crate::component::values::wrong_type(stringify!($name))),
                    }
                }
                Ok(flags)
            }
        }

        impl $crate::component::IntoVal for $name {
            fn into_val(self, _: &mut $crate::component::Cx<'_>) -> Result<Option<ampoule_component::Val>, $crate::component::Error> {
                let names = [$((self.$flag, $text)),*].into_iter().filter(|(is_set, _)| *is_set);
                Ok(Some(ampoule_component::Val::flags(names.map(|(_, name)| name))))
            }
        }
    };
}
pub(crate) use wit_flags;
