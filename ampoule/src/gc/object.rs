//! Structs and arrays: how they are made.
//!
//! There is no heap for them yet. What is here checks a request as the heap will, so that embedders' mistakes show as such, and
//! then refuses it.

use crate::error::{Error, ErrorKind};
use crate::func::val::Val;
use crate::store::Store;
use ampoule_core::types::{ArrayType, FieldType, StructType};
use std::convert::Infallible;

/// A new struct with these fields.
///
/// # Errors
/// Where the fields are not as many as the type says, or of another type or store; and always, for want of a heap.
pub fn new_struct(store: &Store, ty: &StructType, fields: &[Val]) -> Result<Infallible, Error> {
    if fields.len() != ty.fields.len() {
        let reason = format!("expected {} fields, got {}", ty.fields.len(), fields.len());
        return Err(Error::new(ErrorKind::Type(reason)));
    }
    ty.fields.iter().zip(fields).try_for_each(|(ty, field)| check_field(store, ty, field, "field type mismatch"))?;
    Err(no_heap())
}

/// A new array of `len` elements.
///
/// # Errors
/// Where the element is of another type or store; and always, for want of a heap.
pub fn new_array(store: &Store, ty: &ArrayType, element: &Val, _len: u32) -> Result<Infallible, Error> {
    check_field(store, &ty.element, element, "element type mismatch")?;
    Err(no_heap())
}

fn check_field(store: &Store, ty: &FieldType, value: &Val, doing: &'static str) -> Result<(), Error> {
    value.check_type(store, ty.storage.unpacked()).map_err(|error| error.of(doing))?;
    value.to_raw(store).map(drop)
}

fn no_heap() -> Error {
    Error::message("unsupported: this engine has no heap for structs and arrays")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;
    use ampoule_core::types::{StorageType, ValType};

    #[test]
    fn mistakes_are_told_before_the_want_of_a_heap() {
        let store = Store::new(&Engine::default());
        let field = |storage| FieldType { storage, mutable: true };
        let ty = StructType { fields: [field(StorageType::I8), field(StorageType::Val(ValType::ANYREF))].into() };
        let says = |fields: &[Val]| new_struct(&store, &ty, fields).unwrap_err().to_string();
        assert_eq!(says(&[]), "expected 2 fields, got 0");
        assert!(says(&[Val::I64(1), Val::AnyRef(None)]).starts_with("field type mismatch"));
        assert!(says(&[Val::I32(1), Val::AnyRef(None)]).contains("no heap"));
    }
}
