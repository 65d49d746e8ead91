//! What is done to arrays as wholes, by raw references: for machine code and for the host.
//!
//! Long operations go on in portions, between which the guest may be stopped or pause, and objects may move: whoever calls has the
//! references in slots that a collection rewrites ([`rooted`]). A collection of young objects looks at all references that were written, and is not
//! interrupted; so where many are, there are no young objects any more ([`settle_for`]).

use crate::engine::type_registry::TypeRecord;
use crate::error::Error;
use crate::store::Store;
use crate::store::portions::{in_copied_portions, in_portions};
use ampoule_core::object_layout::{ARRAY_ELEMENTS, Storage, array_size};
use ampoule_core::trap::TrapCode;
use ampoule_core::types::StorageType;
use std::ops::Range;

/// Bytes that are written between two looks.
const PORTION: u64 = 1 << 20;

/// Runs `act` while a raw reference is where a collection finds and rewrites it. Zero is null, and anything odd no object.
pub(crate) fn rooted<R>(store: &mut Store, reference: &mut u32, act: impl FnOnce(&mut Store, &Slot) -> R) -> R {
    let slot = Slot(reference);
    let tag = slot.0.cast_const().cast();
    // SAFETY: the place is borrowed until it is released below, and only read through `slot`.
    unsafe { store.roots.push_in_flight(tag, slot.0) };
    let result = act(store, &slot);
    store.roots.release_in_flight(tag);
    result
}

/// Where a reference is that a collection may rewrite.
pub(crate) struct Slot(*mut u32);

impl Slot {
    /// The reference at this moment.
    pub(crate) fn get(&self) -> u32 {
        // SAFETY: `rooted` borrows it for as long as it lends the slot; the collector, which writes there, runs on this thread.
        unsafe { self.0.read() }
    }
}

/// What elements of an array type are stored as.
pub(crate) fn element_storage(ty: &TypeRecord) -> StorageType {
    ty.ty().as_array().expect("validation, or the handle's type, saw to it").element.storage
}

/// A new array, each element of which has these first bytes; a reference among them is rooted by the caller and read from `value` when it
/// is written.
///
/// # Errors
/// Where there is no room, or the guest is stopped.
pub(crate) fn new(store: &mut Store, ty: &TypeRecord, len: u32, value: &Element<'_>) -> Result<u32, Error> {
    if let Element::Reference(_) = value {
        settle_for(store, element_storage(ty), u64::from(len) << Storage::Collected.size_log2());
    }
    let array = allocate(store, ty, len)?;
    initialize(store, array, ty, len, value)?;
    Ok(array)
}

/// Gives the elements of an array that was just allocated their values.
///
/// # Errors
/// Where the guest is stopped.
pub(crate) fn initialize(
    store: &mut Store,
    array: u32,
    ty: &TypeRecord,
    len: u32,
    value: &Element<'_>,
) -> Result<(), Error> {
    let storage = Storage::from(element_storage(ty));
    let value = value.bytes();
    let bytes = u64::from(len) << storage.size_log2();
    // Nobody else can look at the array until it has all its elements, so the guest can't pause.
    let mut from = 0;
    while from < bytes {
        let part = from..bytes.min(from + PORTION);
        if from > 0
            && let Err(error) = store.check_interrupted()
        {
            // What has no value yet is no element.
            store.heap_mut().set_array_len(array, (from >> storage.size_log2()) as u32);
            return Err(error);
        }
        from = part.end;
        fill_bytes(store, array, part, &value[..storage.size() as usize]);
    }
    if storage == Storage::Collected {
        let [a, b, c, d, ..] = value;
        store.heap_mut().note_initialized(array, u32::from_le_bytes([a, b, c, d]));
    }
    Ok(())
}

/// A value for elements: bytes, or a rooted reference.
pub(crate) enum Element<'a> {
    Bytes([u8; 16]),
    Reference(&'a Slot),
}

impl Element<'_> {
    fn bytes(&self) -> [u8; 16] {
        match self {
            Element::Bytes(bytes) => *bytes,
            Element::Reference(slot) => {
                let mut bytes = [0; 16];
                bytes[..4].copy_from_slice(&slot.get().to_le_bytes());
                bytes
            }
        }
    }
}

/// A new array whose elements have no values yet: the caller writes them before anything else can happen to the store.
///
/// # Errors
/// Where there is no room.
pub(crate) fn allocate(store: &mut Store, ty: &TypeRecord, len: u32) -> Result<u32, Error> {
    let bytes = array_size(len, Storage::from(element_storage(ty)).size_log2());
    if bytes > u64::from(u32::MAX) {
        return Err(TrapCode::AllocationTooLarge.into());
    }
    let array = store.allocate_object(ty.word()?, bytes)?;
    store.heap_mut().set_array_len(array, len);
    Ok(array)
}

/// Writes bytes to a range of an array's elements, again and again.
fn fill_bytes(store: &mut Store, array: u32, range: Range<u64>, value: &[u8]) {
    let len = (range.end - range.start) as u32;
    let to = store.heap_mut().bytes_mut(array, ARRAY_ELEMENTS + range.start as u32, len);
    if value.iter().all(|byte| *byte == value[0]) {
        to.fill(value[0]);
    } else if !to.is_empty() {
        to[..value.len()].copy_from_slice(value);
        let mut done = value.len();
        while done < to.len() {
            let more = done.min(to.len() - done);
            to.copy_within(..more, done);
            done += more;
        }
    }
}

/// The range of `len` elements from `index` on, in bytes behind the first element.
///
/// # Errors
/// Null, and what is beyond the array's end.
pub(crate) fn range_in(
    store: &mut Store,
    array: u32,
    storage: StorageType,
    index: u32,
    len: u32,
) -> Result<Range<u64>, TrapCode> {
    if array == 0 {
        return Err(TrapCode::NullReference);
    }
    let end = u64::from(index) + u64::from(len);
    if end > u64::from(store.heap_mut().array_len(array)) {
        return Err(TrapCode::ArrayOutOfBounds);
    }
    let size_log2 = Storage::from(storage).size_log2();
    Ok(u64::from(index) << size_log2..end << size_log2)
}

/// `array.fill`. See [`in_portions`] for `look`.
///
/// # Errors
/// See [`range_in`]; where the guest is stopped.
pub(crate) fn fill(
    store: &mut Store,
    array: &Slot,
    storage: StorageType,
    (index, len): (u32, u32),
    value: &Element<'_>,
    look: impl FnMut(&mut Store) -> Result<(), Error>,
) -> Result<(), Error> {
    let range = range_in(store, array.get(), storage, index, len)?;
    let size = Storage::from(storage).size() as usize;
    settle_for(store, storage, range.end - range.start);
    in_portions(store, range.end - range.start, PORTION, look, |store, part| {
        let part = range.start + part.start..range.start + part.end;
        fill_bytes(store, array.get(), part.clone(), &value.bytes()[..size]);
        note_written(store, array.get(), storage, part);
        Ok(())
    })
}

/// `array.copy`. See [`in_portions`] for `look`.
///
/// # Errors
/// See [`range_in`]; where the guest is stopped.
pub(crate) fn copy(
    store: &mut Store,
    storage: StorageType,
    (to, to_index): (&Slot, u32),
    (from, from_index): (&Slot, u32),
    len: u32,
    look: impl FnMut(&mut Store) -> Result<(), Error>,
) -> Result<(), Error> {
    let target = range_in(store, to.get(), storage, to_index, len)?;
    // Both are of one kind of element, of the same size.
    let source = range_in(store, from.get(), storage, from_index, len)?;
    let places = (target.start, source.start, target.end - target.start);
    settle_for(store, storage, places.2);
    in_copied_portions(store, places, PORTION, look, |store, part| {
        let len = (part.end - part.start) as u32;
        let at = |array: &Slot, start: u64| array.get() + ARRAY_ELEMENTS + (start + part.start) as u32;
        let (to_at, from_at) = (at(to, target.start), at(from, source.start));
        store.heap_mut().copy_bytes(from_at, to_at, len);
        note_written(store, to.get(), storage, target.start + part.start..target.start + part.end);
        Ok(())
    })
}

/// Writes bytes of a segment: `array.init_data`, and what `array.new_data` makes.
///
/// # Errors
/// See [`range_in`]; where the guest is stopped.
pub(crate) fn write_bytes(
    store: &mut Store,
    array: &Slot,
    start: u64,
    source: &[u8],
    look: impl FnMut(&mut Store) -> Result<(), Error>,
) -> Result<(), Error> {
    in_portions(store, source.len() as u64, PORTION, look, |store, part| {
        let offset = ARRAY_ELEMENTS + (start + part.start) as u32;
        let source = &source[part.start as usize..part.end as usize];
        store.heap_mut().bytes_mut(array.get(), offset, source.len() as u32).copy_from_slice(source);
        Ok(())
    })
}

/// Where many references are going to be written, moves young objects away: none of the references leads to one then.
fn settle_for(store: &mut Store, storage: StorageType, bytes: u64) {
    if Storage::from(storage) == Storage::Collected && bytes > PORTION {
        store.settle_objects();
    }
}

/// Has the collector look at what was written, where that may have been references to young objects.
fn note_written(store: &mut Store, array: u32, storage: StorageType, range: Range<u64>) {
    if Storage::from(storage) == Storage::Collected && range.start < range.end && store.has_young_objects() {
        let start = array + ARRAY_ELEMENTS;
        store.heap_mut().touch(start + range.start as u32, (range.end - range.start) as u32);
    }
}
