//! Functions with Rust's types: guest functions that are called with numbers, strings, records ([`TypedFunc`]), and host functions from
//! closures over them ([`crate::LinkerInstanceMut::func_wrap`]).
//!
//! Types are compared once, when a [`TypedFunc`] is made or a component is instantiated. Types of one's own are declared with
//! [`crate::component_types!`].
//!
//! | Rust | component |
//! | --- | --- |
//! | `bool`, `i8` to `u64`, `f32`, `f64`, `char` | the same |
//! | `String`, `&str` | `string` |
//! | `Vec<T>`, `&[T]` | `list<T>` |
//! | `HashMap<K, V>`, `BTreeMap<K, V>` | `map<K, V>`: of entries with the same key, the last |
//! | `(A, B, …)` | `tuple<A, B, …>` |
//! | `Option<T>` | `option<T>` |
//! | `Result<T, E>` | `result<T, E>`; `()` for what has no value |
//! | [`Resource<T>`] | `own<T>` and `borrow<T>`, of a resource type of the host's |
//! | [`crate::ResourceAny`] | `own<T>` and `borrow<T>` |

mod func;
mod macros;
mod resource;
#[doc(hidden)] // For the macros.
pub mod values;

pub use func::{LiftParams, LiftReturn, LowerParams, LowerReturn, Params, Return, TypedFunc};
pub use resource::{HostResource, Resource};

use crate::types::ValType;
use crate::val::Val;
#[doc(hidden)] // For the macros, whose users may not name `ampoule` so.
pub use ampoule::{Error, Store};

/// A Rust type that stands for types of components.
pub trait ComponentType {
    /// Whether it stands for this one.
    ///
    /// # Errors
    /// What was found in place of what.
    fn matches(ty: &ValType) -> Result<(), String>;
}

/// A [`ComponentType`] whose values are made of those that come from components.
pub trait Lift: ComponentType + Sized {
    /// Takes the value out of `val`, which is of a type that [`ComponentType::matches`]; something valid stays behind.
    ///
    /// # Errors
    /// The value is of another type, or a resource that is not there.
    fn lift(store: &mut Store, val: &mut Val) -> Result<Self, Error>;

    /// Takes a list of such values out of `val`, as [`Lift::lift`] does.
    ///
    /// # Errors
    /// As [`Lift::lift`].
    fn lift_list(store: &mut Store, val: &mut Val) -> Result<Vec<Self>, Error> {
        let elements = val.take_list().ok_or_else(|| unexpected("list"))?;
        elements.into_vec().iter_mut().map(|element| Self::lift(store, element)).collect()
    }
}

/// A [`ComponentType`] whose values become those that components take.
pub trait Lower: ComponentType {
    /// The value, as one of `ty`, which [`ComponentType::matches`].
    ///
    /// # Errors
    /// There are too many resources, or a resource is another store's.
    fn lower(&self, store: &mut Store, ty: &ValType) -> Result<Val, Error>;

    /// A list of such values; `element` is the type of each.
    ///
    /// # Errors
    /// As [`Lower::lower`].
    fn lower_list(list: &[Self], store: &mut Store, element: &ValType) -> Result<Val, Error>
    where
        Self: Sized,
    {
        Ok(Val::list(list.iter().map(|value| value.lower(store, element)).collect::<Result<Vec<_>, _>>()?))
    }
}

/// What [`ComponentType::matches`] says of another type.
#[doc(hidden)] // For the macros.
#[cold]
pub fn mismatch(expected: &str, found: &ValType) -> String {
    format!("expected `{expected}`, found `{found}`")
}

/// The error of a value that isn't of the type that was compared.
#[doc(hidden)] // For the macros.
#[cold]
pub fn unexpected(expected: &str) -> Error {
    Error::message(format!("the value is no {expected}"))
}

/// Whether a name of Rust's stands for a name of a component's: words are apart by `-` there, and by `_` or capital letters in Rust.
#[doc(hidden)] // For the macros.
pub fn is_name(component: &[u8], rust: &str) -> bool {
    let letters = |name: &[u8]| -> Vec<u8> {
        name.iter().filter(|letter| !matches!(letter, b'-' | b'_')).map(u8::to_ascii_lowercase).collect()
    };
    let rust = rust.strip_prefix("r#").unwrap_or(rust);
    letters(component) == letters(rust.as_bytes())
}

/// Whether the names of an `enum` or of `flags` are these.
#[doc(hidden)] // For the macros.
pub fn names_match(of: &str, found: &[Box<str>], expected: &[&str]) -> Result<(), String> {
    let same = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| is_name(found.as_bytes(), expected));
    if same { Ok(()) } else { Err(format!("`{of}` has other names than {}", found.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_either_writing() {
        for (component, rust) in
            [("a-b", "a_b"), ("not-found", "NotFound"), ("type", "r#type"), ("DNS-error", "DnsError")]
        {
            assert!(is_name(component.as_bytes(), rust), "{component} {rust}");
        }
        assert!(!is_name(b"a-b", "a_c"));
        assert!(!is_name(b"a", "ab"));
    }
}
