//! `fields`: the same in all versions, but for the errors.

use crate::component::resources::entries;
use crate::component::{Bytes, Cx, Error, Fail, Handle, Own};
use crate::host::http::fields::{Fields, FieldsError};
use std::sync::Arc;

entries! {
    FieldsEntry = 14 "fields",
}

/// Names and values, and whether the guest may change them. Those of a message are the message's.
#[derive(Debug)]
pub struct FieldsEntry {
    fields: Arc<Fields>,
    is_mutable: bool,
}

impl FieldsEntry {
    /// Those of a message: they can be looked at.
    pub fn of_message(fields: &Arc<Fields>) -> Self {
        Self { fields: fields.clone(), is_mutable: false }
    }

    /// Those that the guest has made, or been given for itself.
    pub fn own(fields: Fields) -> Self {
        Self { fields: Arc::new(fields), is_mutable: true }
    }

    /// For a message.
    pub fn into_fields(self) -> Arc<Fields> {
        self.fields
    }
}

/// Why fields can't be changed, as a version calls it.
pub trait HeaderErrors: Sized {
    /// They are a message's.
    fn immutable() -> Self;

    /// An entry can't be so, or the guest ends.
    fn fail(error: FieldsError) -> Fail<Self>;
}

type FieldsResult<T, E> = Result<T, Fail<E>>;

/// There is no place for them.
pub fn full() -> Error {
    Error::message("HTTP fields are larger than the host allows")
}

/// `fields.constructor`
pub fn new(cx: &mut Cx<'_>) -> Result<Own<FieldsEntry>, Error> {
    Ok(Own::new(FieldsEntry::own(Fields::new(&cx.http()?.budget))))
}

/// `fields.from-list`
pub fn from_list<E: HeaderErrors>(cx: &mut Cx<'_>, entries: Vec<(String, Bytes)>) -> FieldsResult<Own<FieldsEntry>, E> {
    let mut fields = Fields::new(&cx.http()?.budget);
    for (name, Bytes(value)) in entries {
        fields.append(&name, &value).map_err(E::fail)?;
    }
    Ok(Own::new(FieldsEntry::own(fields)))
}

/// `fields.get`
pub fn get(cx: &mut Cx<'_>, this: Handle<FieldsEntry>, name: String) -> Result<Vec<Bytes>, Error> {
    let fields = &cx.entry(this)?.1.fields;
    Ok(fields.get(&name).map(|value| Bytes(value.to_vec())).collect())
}

/// `fields.has`
pub fn has(cx: &mut Cx<'_>, this: Handle<FieldsEntry>, name: String) -> Result<bool, Error> {
    Ok(cx.entry(this)?.1.fields.get(&name).next().is_some())
}

/// The fields, where the guest may change them.
fn of_guest<'a, E: HeaderErrors>(cx: &'a mut Cx<'_>, this: Handle<FieldsEntry>) -> FieldsResult<&'a mut Fields, E> {
    let entry = cx.entry(this)?.1;
    match Arc::get_mut(&mut entry.fields) {
        Some(fields) if entry.is_mutable => Ok(fields),
        _ => Err(Fail::Err(E::immutable())),
    }
}

/// `fields.set`
pub fn set<E: HeaderErrors>(
    cx: &mut Cx<'_>,
    this: Handle<FieldsEntry>,
    name: String,
    values: Vec<Bytes>,
) -> FieldsResult<(), E> {
    of_guest(cx, this)?.set(&name, values.iter().map(|Bytes(value)| &**value)).map_err(E::fail)
}

/// `fields.delete`
pub fn delete<E: HeaderErrors>(cx: &mut Cx<'_>, this: Handle<FieldsEntry>, name: String) -> FieldsResult<(), E> {
    of_guest(cx, this)?.delete(&name).map_err(E::fail)
}

/// `fields.get-and-delete`
pub fn get_and_delete<E: HeaderErrors>(
    cx: &mut Cx<'_>,
    this: Handle<FieldsEntry>,
    name: String,
) -> FieldsResult<Vec<Bytes>, E> {
    let fields = of_guest(cx, this)?;
    let values = fields.get(&name).map(|value| Bytes(value.to_vec())).collect();
    fields.delete(&name).map_err(E::fail)?;
    Ok(values)
}

/// `fields.append`
pub fn append<E: HeaderErrors>(
    cx: &mut Cx<'_>,
    this: Handle<FieldsEntry>,
    name: String,
    value: Bytes,
) -> FieldsResult<(), E> {
    of_guest(cx, this)?.append(&name, &value.0).map_err(E::fail)
}

/// `fields.entries`, `fields.copy-all`
pub fn entries(cx: &mut Cx<'_>, this: Handle<FieldsEntry>) -> Result<Vec<(String, Bytes)>, Error> {
    let fields = &cx.entry(this)?.1.fields;
    Ok(fields.entries().map(|(name, value)| (name.to_owned(), Bytes(value.to_vec()))).collect())
}

/// `fields.clone`
pub fn clone(cx: &mut Cx<'_>, this: Handle<FieldsEntry>) -> Result<Own<FieldsEntry>, Error> {
    let copy = cx.entry(this)?.1.fields.try_clone().map_err(|_| full())?;
    Ok(Own::new(FieldsEntry::own(copy)))
}
