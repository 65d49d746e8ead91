//! What a field of an object, or an element of an array, holds, as the host reads and writes it.

use crate::error::{Error, ErrorKind};
use crate::func::val::Val;
use crate::store::Store;
use ampoule_core::object_layout::Storage;
use ampoule_core::types::StorageType;
use ampoule_core::vm::VmValRaw;

/// Refuses a value that a field can't hold.
///
/// # Errors
/// Where it is of another type or store.
pub(super) fn check(store: &Store, storage: StorageType, value: &Val) -> Result<(), Error> {
    value.check_type(store, storage.unpacked())?;
    value.to_raw(store).map(drop)
}

/// Says what failed because of an error of [`check`], where that is about types.
pub(super) fn mismatch(what: String, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Type(reason) => Error::caused(what, vec![reason.clone()]),
        _ => error,
    }
}

/// What a field, or an element, of an object holds; packed ones are zero-extended.
pub(super) fn read(store: &mut Store, object: u32, offset: u32, storage: StorageType) -> Val {
    let size = Storage::from(storage).size();
    let mut bytes = [0; 16];
    bytes[..size as usize].copy_from_slice(store.heap_mut().bytes_mut(object, offset, size));
    // SAFETY: the heap holds values of this type, of this store, there.
    unsafe { Val::from_raw(store, &VmValRaw { v128: bytes }, storage.unpacked()) }
}

/// The bytes of a value in a field. Those of a reference are good up to the next collection.
///
/// # Errors
/// Where it is of another store.
pub(super) fn bytes_of(store: &Store, value: &Val) -> Result<[u8; 16], Error> {
    let raw = value.to_raw(store)?;
    // SAFETY: values begin as zeros, so all sixteen bytes are there.
    Ok(unsafe { raw.v128 })
}

/// Gives a field of an object that was just made its value.
///
/// # Errors
/// Where it is of another store.
pub(super) fn initialize(
    store: &mut Store,
    object: u32,
    offset: u32,
    storage: StorageType,
    value: &Val,
) -> Result<(), Error> {
    let bytes = bytes_of(store, value)?;
    // The collector looks at a new object by itself.
    store.heap_mut().set_field(object, offset, &bytes[..Storage::from(storage).size() as usize]);
    Ok(())
}

/// Changes a field, or an element, to a value of its type.
///
/// # Errors
/// Where it is of another store.
pub(super) fn write(
    store: &mut Store,
    object: u32,
    offset: u32,
    storage: StorageType,
    value: &Val,
) -> Result<(), Error> {
    if Storage::from(storage) != Storage::Collected {
        return initialize(store, object, offset, storage, value);
    }
    let [a, b, c, d, ..] = bytes_of(store, value)?;
    store.heap_mut().set_ref(object, offset, u32::from_le_bytes([a, b, c, d]));
    Ok(())
}
