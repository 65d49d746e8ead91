//! `arrayref`: arrays, made and read by the host.

use crate::engine::type_registry::Type;
use crate::error::{Error, ErrorKind};
use crate::func::val::Val;
use crate::gc::anyref::AnyRef;
use crate::gc::array::{self, Element};
use crate::gc::field;
use crate::gc::object::{self, Object};
use crate::store::Store;
use ampoule_core::object_layout::{ARRAY_ELEMENTS, Storage};
use ampoule_core::trap::TrapCode;
use ampoule_core::types::FieldType;
use ampoule_core::vm::VmRef;
use ampoule_core::vm::types::ObjectKind;

/// An array that the host holds; never null. Cloning makes another handle to the same array. A handle may outlive its store, but is of no
/// use then.
#[derive(Clone, PartialEq, Debug)]
pub struct ArrayRef(pub(super) Object);

impl ArrayRef {
    /// A new array of `len` elements, each `element`.
    ///
    /// # Errors
    /// Where the element is of another type or store; where the type is of another engine, or not of arrays; where the store may have no
    /// objects, or has no room for so many bytes.
    pub fn new(store: &mut Store, ty: &Type, element: &Val, len: u32) -> Result<ArrayRef, Error> {
        let storage = element_of(ty)?.storage;
        field::check(store, storage, element).map_err(|error| error.of("element type mismatch"))?;
        let raw = allocate(store, ty, len)?;
        // The collection may have moved what the element refers to: that is looked up now.
        let bytes = field::bytes_of(store, element)?;
        array::initialize(store, raw, ty, len, &Element::Bytes(bytes))?;
        Ok(ArrayRef(Object::new(store, raw)))
    }

    /// A new array of these elements.
    ///
    /// # Errors
    /// As for [`ArrayRef::new`].
    pub fn from_elements(store: &mut Store, ty: &Type, elements: &[Val]) -> Result<ArrayRef, Error> {
        let storage = element_of(ty)?.storage;
        for element in elements {
            field::check(store, storage, element).map_err(|error| error.of("element type mismatch"))?;
        }
        let len = u32::try_from(elements.len()).map_err(|_| Error::trap(TrapCode::AllocationTooLarge))?;
        let raw = allocate(store, ty, len)?;
        for (index, element) in elements.iter().enumerate() {
            field::initialize(store, raw, offset_of(index as u32, storage.into()), storage, element)?;
        }
        Ok(ArrayRef(Object::new(store, raw)))
    }

    /// The reference in words, for C.
    pub fn into_vm(value: Option<ArrayRef>) -> VmRef {
        Object::into_vm(value.map(|value| value.0))
    }

    /// See [`crate::AnyRef::clone_vm`].
    ///
    /// # Safety
    /// The words come from [`ArrayRef::into_vm`].
    pub unsafe fn clone_vm(words: &VmRef) -> Option<ArrayRef> {
        // SAFETY: by the caller.
        unsafe { Object::clone_named(words, "wasmtime_arrayref_t") }.map(ArrayRef)
    }

    /// See [`crate::AnyRef::take_vm`].
    ///
    /// # Safety
    /// The words come from [`ArrayRef::into_vm`].
    pub unsafe fn take_vm(words: &mut VmRef) -> Option<ArrayRef> {
        // SAFETY: by the caller.
        unsafe { Object::take_named(words, "wasmtime_arrayref_t") }.map(ArrayRef)
    }

    /// The type that it was made with.
    ///
    /// # Errors
    /// Where it is of another store, as for all functions here.
    pub fn declared_type(&self, store: &Store) -> Result<Type, Error> {
        // What C gives as an array may be another reference.
        self.0.ty(store)?.filter(|ty| ty.ty().as_array().is_some()).ok_or_else(not_an_array)
    }

    /// Elements.
    ///
    /// # Errors
    /// See [`ArrayRef::declared_type`].
    pub fn len(&self, store: &mut Store) -> Result<u32, Error> {
        self.declared_type(store)?;
        let raw = self.0.raw(store)?;
        Ok(store.heap_mut().array_len(raw))
    }

    /// The value of an element; packed ones are zero-extended.
    ///
    /// # Errors
    /// Past the end; see also [`ArrayRef::declared_type`].
    pub fn get(&self, store: &mut Store, index: u32) -> Result<Val, Error> {
        let element = element_of(&self.declared_type(store)?)?;
        let (raw, offset) = self.place(store, index, element)?;
        Ok(field::read(store, raw, offset, element.storage))
    }

    /// Changes an element.
    ///
    /// # Errors
    /// Past the end, where elements are constant, or the value is of another type or store; nothing changes. See also
    /// [`ArrayRef::declared_type`].
    pub fn set(&self, store: &mut Store, index: u32, value: &Val) -> Result<(), Error> {
        let element = element_of(&self.declared_type(store)?)?;
        let refused = |error| field::mismatch(format!("cannot set element {index}: type mismatch"), error);
        if !element.mutable {
            return Err(Error::message(format!("cannot set element {index}: array elements are not mutable")));
        }
        field::check(store, element.storage, value).map_err(refused)?;
        let (raw, offset) = self.place(store, index, element)?;
        field::write(store, raw, offset, element.storage, value)
    }

    /// Where an element is: the array, up to the next collection, and the offset.
    fn place(&self, store: &mut Store, index: u32, element: FieldType) -> Result<(u32, u32), Error> {
        let raw = self.0.raw(store)?;
        let len = store.heap_mut().array_len(raw);
        if index >= len {
            let reason = format!("index out of bounds: the length is {len} but the index is {index}");
            return Err(Error::message(reason));
        }
        Ok((raw, offset_of(index, element.storage.into())))
    }
}

fn allocate(store: &mut Store, ty: &Type, len: u32) -> Result<u32, Error> {
    object::prepare(store, ty)?;
    let too_large = |error: Error| match error.kind() {
        ErrorKind::Trap(TrapCode::AllocationTooLarge) => error.of("unrecoverable error when allocating new `arrayref`"),
        _ => error,
    };
    array::allocate(store, ty, len).map_err(too_large)
}

/// Where an element is in its array, of which all elements are in 4 GiB.
fn offset_of(index: u32, storage: Storage) -> u32 {
    ARRAY_ELEMENTS + (index << storage.size_log2())
}

fn element_of(ty: &Type) -> Result<FieldType, Error> {
    ty.ty().as_array().map(|ty| ty.element).ok_or_else(not_an_array)
}

fn not_an_array() -> Error {
    Error::message("not an array, or not a type of arrays")
}

impl From<ArrayRef> for AnyRef {
    fn from(value: ArrayRef) -> Self {
        value.0.into()
    }
}

impl AnyRef {
    /// The array, if it is one.
    ///
    /// # Errors
    /// Where it is of another store.
    pub fn as_array(&self, store: &Store) -> Result<Option<ArrayRef>, Error> {
        Ok(self.as_kind(store, ObjectKind::Array)?.map(ArrayRef))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, I31};
    use ampoule_core::types::{ArrayType, CompositeType, StorageType, ValType};

    fn arrays(engine: &Engine, storage: StorageType, mutable: bool) -> Type {
        let element = FieldType { storage, mutable };
        engine.declare(CompositeType::Array(ArrayType { element })).unwrap()
    }

    #[test]
    fn elements_are_read_and_written_one_by_one() {
        let engine = Engine::default();
        let mut store = Store::new(&engine);
        let ty = arrays(&engine, StorageType::I16, true);
        let array = ArrayRef::new(&mut store, &ty, &Val::I32(-1), 5).unwrap();
        array.set(&mut store, 2, &Val::I32(0x1_8000)).unwrap();
        let all = |store: &mut Store| (0..5).map(|at| array.get(store, at).unwrap()).collect::<Vec<_>>();
        let expected = [0xffff, 0xffff, 0x8000, 0xffff, 0xffff].map(Val::I32);
        assert_eq!((all(&mut store), array.len(&mut store).unwrap()), (expected.to_vec(), 5));
        let error = |result: Result<(), Error>| result.unwrap_err().to_string();
        let past = "index out of bounds: the length is 5 but the index is 5";
        assert_eq!(error(array.get(&mut store, 5).map(drop)), past);
        assert_eq!(error(array.set(&mut store, 5, &Val::I32(1))), past);
        assert_eq!(
            error(array.set(&mut store, 9, &Val::I64(1))),
            "cannot set element 9: type mismatch: type mismatch: expected i32, found i64"
        );
        let constants = arrays(&engine, StorageType::Val(ValType::I64), false);
        let constant = ArrayRef::from_elements(&mut store, &constants, &[Val::I64(1), Val::I64(2)]).unwrap();
        assert_eq!(constant.get(&mut store, 1).unwrap(), Val::I64(2));
        let refused = "cannot set element 1: array elements are not mutable";
        assert_eq!(error(constant.set(&mut store, 1, &Val::I32(1))), refused);
        let wrong = ArrayRef::new(&mut store, &constants, &Val::I32(1), 1).unwrap_err().to_string();
        assert_eq!(wrong, "element type mismatch: type mismatch: expected i64, found i32");
        let large = ArrayRef::new(&mut store, &constants, &Val::I64(1), u32::MAX).unwrap_err();
        assert!(format!("{large:?}").contains("allocation size too large"), "{large:?}");
    }

    #[test]
    fn a_large_array_of_references_keeps_what_it_is_given() {
        let engine = Engine::default();
        let mut store = Store::new(&engine);
        let ty = arrays(&engine, StorageType::Val(ValType::ANYREF), true);
        let null = Val::AnyRef(None);
        let inner = ArrayRef::new(&mut store, &ty, &null, 1).unwrap();
        let large = ArrayRef::new(&mut store, &ty, &Val::AnyRef(Some(inner.into())), 100_000).unwrap();
        store.gc();
        // An old object comes to refer to a young one.
        let young = ArrayRef::new(&mut store, &ty, &Val::AnyRef(Some(I31::wrapping(3).into())), 2).unwrap();
        large.set(&mut store, 77_777, &Val::AnyRef(Some(young.into()))).unwrap();
        store.gc();
        let Val::AnyRef(Some(young)) = large.get(&mut store, 77_777).unwrap() else { panic!("it was set") };
        let young = young.as_array(&store).unwrap().unwrap();
        assert_eq!(young.get(&mut store, 1).unwrap(), Val::AnyRef(Some(I31::wrapping(3).into())));
        assert!(large.get(&mut store, 0).unwrap() == large.get(&mut store, 99_999).unwrap());
    }
}
