//! Objects that machine code doesn't make by itself, and operations on arrays that are not a few instructions.

use super::interrupt::look;
use super::running;
use crate::engine::type_registry::Type;
use crate::error::Error;
use crate::gc::array::{self, Element, Slot, rooted};
use crate::instance::segments::{element, elements_of};
use crate::store::Store;
use crate::store::portions::{TABLE_PORTION, in_portions};
use crate::store::records::instance::InstanceData;
use ampoule_core::index::{DataIndex, ElemIndex, TypeIndex};
use ampoule_core::object_layout::{ARRAY_ELEMENTS, Storage};
use ampoule_core::trap::TrapCode;
use ampoule_core::vm::VmContext;
use ampoule_core::vm::types::TypeWord;

/// # Safety
/// See the module above. The word is of a type of the instance's module.
pub(crate) unsafe extern "C" fn allocate(vmctx: *mut VmContext, word: u32, size: u32) -> u32 {
    // SAFETY: as above.
    unsafe {
        let (store, _) = running(vmctx);
        let made = store.allocate_object(TypeWord(word), u64::from(size));
        store.or_unwind(made).unwrap_or(0)
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn array_new(vmctx: *mut VmContext, ty: u32, low: u64, high: u64, len: u32) -> u32 {
    // SAFETY: as above.
    unsafe {
        new_array(vmctx, ty, |store, _, ty| {
            with_element(store, ty, low, high, |store, value| array::new(store, ty, len, value))
        })
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn array_fill(vmctx: *mut VmContext, ty: u32, place: u64, low: u64, high: u64, len: u32) {
    // SAFETY: as above.
    unsafe {
        change_array(vmctx, ty, place, |store, _, ty, array, index| {
            with_element(store, ty, low, high, |store, value| {
                array::fill(store, array, array::element_storage(ty), (index, len), value, look)
            })
        });
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn array_copy(vmctx: *mut VmContext, ty: u32, to: u64, from: u64, len: u32) {
    // SAFETY: as above.
    unsafe {
        change_array(vmctx, ty, to, |store, _, ty, to, to_index| {
            let (mut from, from_index) = split(from);
            let storage = array::element_storage(ty);
            rooted(store, &mut from, |store, from| {
                array::copy(store, storage, (to, to_index), (from, from_index), len, look)
            })
        });
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn array_new_data(
    vmctx: *mut VmContext,
    ty: u32,
    segment: u32,
    offset: u32,
    len: u32,
) -> u32 {
    // SAFETY: as above.
    unsafe {
        new_array(vmctx, ty, |store, instance, ty| {
            let source = data_of(&*instance, ty, DataIndex(segment), offset, len)?;
            let mut array = array::allocate(store, ty, len)?;
            rooted(store, &mut array, |store, array| array::write_bytes(store, array, 0, source, look))?;
            Ok(array)
        })
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn array_init_data(vmctx: *mut VmContext, ty: u32, to: u64, from: u64, len: u32) {
    // SAFETY: as above.
    unsafe {
        change_array(vmctx, ty, to, |store, instance, ty, array, index| {
            let (segment, offset) = split(from);
            let range = array::range_in(store, array.get(), array::element_storage(ty), index, len)?;
            let source = data_of(&*instance, ty, DataIndex(segment), offset, len)?;
            array::write_bytes(store, array, range.start, source, look)
        });
    }
}

/// The bytes of so many elements in a data segment.
fn data_of<'a>(
    instance: &'a InstanceData,
    ty: &Type,
    segment: DataIndex,
    offset: u32,
    len: u32,
) -> Result<&'a [u8], TrapCode> {
    let bytes = instance.data(segment);
    let size = u64::from(len) << Storage::from(array::element_storage(ty)).size_log2();
    let end = u64::from(offset) + size;
    if end > bytes.len() as u64 {
        return Err(TrapCode::MemoryOutOfBounds);
    }
    Ok(&bytes[offset as usize..end as usize])
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn array_new_elem(
    vmctx: *mut VmContext,
    ty: u32,
    segment: u32,
    offset: u32,
    len: u32,
) -> u32 {
    // SAFETY: as above.
    unsafe {
        new_array(vmctx, ty, |store, instance, ty| {
            let segment = ElemIndex(segment);
            let source = elements_of(instance, segment, offset, len)?;
            let mut array = array::new(store, ty, len, &Element::Bytes([0; 16]))?;
            rooted(store, &mut array, |store, array| write_elem(store, instance, array, ty, 0, segment, source))?;
            Ok(array)
        })
    }
}

/// # Safety
/// See the module above.
pub(crate) unsafe extern "C" fn array_init_elem(vmctx: *mut VmContext, ty: u32, to: u64, from: u64, len: u32) {
    // SAFETY: as above.
    unsafe {
        change_array(vmctx, ty, to, |store, instance, ty, array, index| {
            let (segment, offset) = split(from);
            let segment = ElemIndex(segment);
            array::range_in(store, array.get(), array::element_storage(ty), index, len)?;
            let source = elements_of(instance, segment, offset, len)?;
            write_elem(store, instance, array, ty, index, segment, source)
        });
    }
}

/// A new array of a type that the instance's module declares; unwinds the guest where there is none.
///
/// # Safety
/// See the module above.
unsafe fn new_array(
    vmctx: *mut VmContext,
    ty: u32,
    make: impl FnOnce(&mut Store, *const InstanceData, &Type) -> Result<u32, Error>,
) -> u32 {
    // SAFETY: by the caller.
    unsafe {
        let (store, instance) = running(vmctx);
        let ty = declared(instance, ty);
        let made = make(store, instance, &ty);
        store.or_unwind(made).unwrap_or(0)
    }
}

/// Changes the elements of an array from an index on; unwinds the guest where that fails. `place` is the array and the index.
///
/// # Safety
/// See the module above.
unsafe fn change_array(
    vmctx: *mut VmContext,
    ty: u32,
    place: u64,
    change: impl FnOnce(&mut Store, *const InstanceData, &Type, &Slot, u32) -> Result<(), Error>,
) {
    // SAFETY: by the caller.
    unsafe {
        let (store, instance) = running(vmctx);
        let ty = declared(instance, ty);
        let (mut array, index) = split(place);
        let changed = rooted(store, &mut array, |store, array| change(store, instance, &ty, array, index));
        store.or_unwind(changed);
    }
}

/// Writes elements of a segment, from `index` on.
///
/// # Safety
/// `instance` is a live and linked record; both ranges were checked.
unsafe fn write_elem(
    store: &mut Store,
    instance: *const InstanceData,
    array: &Slot,
    ty: &Type,
    index: u32,
    segment: ElemIndex,
    source: std::ops::Range<usize>,
) -> Result<(), Error> {
    let storage = Storage::from(array::element_storage(ty));
    let len = source.len() as u64;
    in_portions(store, len, TABLE_PORTION, look, |store, part| {
        for position in part {
            // SAFETY: by the caller.
            let word = unsafe { element(store, instance, segment, source.start + position as usize)? };
            let offset = ARRAY_ELEMENTS + ((index + position as u32) << storage.size_log2());
            match storage {
                Storage::Function => store.heap_mut().set_field(array.get(), offset, &word.to_le_bytes()),
                _ => store.heap_mut().set_ref(array.get(), offset, word as u32),
            }
        }
        Ok(())
    })
}

/// Runs `act` with a value of an array's elements, which machine code gives as two words.
fn with_element<R>(
    store: &mut Store,
    ty: &Type,
    low: u64,
    high: u64,
    act: impl FnOnce(&mut Store, &Element<'_>) -> R,
) -> R {
    if Storage::from(array::element_storage(ty)) == Storage::Collected {
        let mut reference = low as u32;
        return rooted(store, &mut reference, |store, slot| act(store, &Element::Reference(slot)));
    }
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&low.to_le_bytes());
    bytes[8..].copy_from_slice(&high.to_le_bytes());
    act(store, &Element::Bytes(bytes))
}

/// A type that the instance's module declares.
///
/// # Safety
/// `instance` is a live record.
unsafe fn declared(instance: *const InstanceData, ty: u32) -> Type {
    // SAFETY: by the caller.
    unsafe { (*instance).module().declared(TypeIndex(ty)).clone() }
}

/// A pair as machine code passes it.
fn split(pair: u64) -> (u32, u32) {
    (pair as u32, (pair >> 32) as u32)
}
