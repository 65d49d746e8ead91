//! `structref`: structs, made and read by the host.

use crate::engine::type_registry::Type;
use crate::error::{Error, ErrorKind};
use crate::func::val::Val;
use crate::gc::anyref::AnyRef;
use crate::gc::field;
use crate::gc::object::{self, Object};
use crate::store::Store;
use ampoule_core::types::FieldType;
use ampoule_core::vm::VmRef;
use ampoule_core::vm::types::ObjectKind;

/// A struct that the host holds; never null. Cloning makes another handle to the same struct. A handle may outlive its store, but is of no
/// use then.
#[derive(Clone, PartialEq, Debug)]
pub struct StructRef(pub(super) Object);

impl StructRef {
    /// A new struct with these fields.
    ///
    /// # Errors
    /// Where the fields are not as many as the type says, or of another type or store; where the type is of another engine, or not of
    /// structs; where the store may have no objects, or has no room for one more.
    pub fn new(store: &mut Store, ty: &Type, fields: &[Val]) -> Result<StructRef, Error> {
        let Some(declared) = ty.ty().as_struct() else { return Err(not_a_struct()) };
        if fields.len() != declared.fields.len() {
            let reason = format!("expected {} fields, got {}", declared.fields.len(), fields.len());
            return Err(Error::new(ErrorKind::Type(reason)));
        }
        for (field, value) in declared.fields.iter().zip(fields) {
            field::check(store, field.storage, value).map_err(|error| error.of("field type mismatch"))?;
        }
        object::prepare(store, ty)?;
        let layout = ty.layout()?.ok_or_else(not_a_struct)?;
        let raw = store.allocate_object(ty.word()?, layout.size().into())?;
        // The collection may have moved what the fields refer to: that is looked up now.
        for ((field, &offset), value) in declared.fields.iter().zip(layout.offsets()).zip(fields) {
            field::initialize(store, raw, offset, field.storage, value)?;
        }
        Ok(StructRef(Object::new(store, raw)))
    }

    /// The reference in words, for C.
    pub fn into_vm(value: Option<StructRef>) -> VmRef {
        Object::into_vm(value.map(|value| value.0))
    }

    /// See [`crate::AnyRef::clone_vm`].
    ///
    /// # Safety
    /// The words come from [`StructRef::into_vm`].
    pub unsafe fn clone_vm(words: &VmRef) -> Option<StructRef> {
        // SAFETY: by the caller.
        unsafe { Object::clone_named(words, "wasmtime_structref_t") }.map(StructRef)
    }

    /// See [`crate::AnyRef::take_vm`].
    ///
    /// # Safety
    /// The words come from [`StructRef::into_vm`].
    pub unsafe fn take_vm(words: &mut VmRef) -> Option<StructRef> {
        // SAFETY: by the caller.
        unsafe { Object::take_named(words, "wasmtime_structref_t") }.map(StructRef)
    }

    /// The type that it was made with.
    ///
    /// # Errors
    /// Where it is of another store, as for all functions here.
    pub fn declared_type(&self, store: &Store) -> Result<Type, Error> {
        // What C gives as a struct may be another reference.
        self.0.ty(store)?.filter(|ty| ty.ty().as_struct().is_some()).ok_or_else(not_a_struct)
    }

    /// The value of a field; packed ones are zero-extended.
    ///
    /// # Errors
    /// Past the last field; see also [`StructRef::declared_type`].
    pub fn field(&self, store: &mut Store, index: usize) -> Result<Val, Error> {
        let (raw, field, offset) = self.place(store, index)?;
        Ok(field::read(store, raw, offset, field.storage))
    }

    /// The values of all fields.
    ///
    /// # Errors
    /// See [`StructRef::declared_type`].
    pub fn fields(&self, store: &mut Store) -> Result<Vec<Val>, Error> {
        let ty = self.declared_type(store)?;
        let fields = &ty.ty().as_struct().expect("just looked at").fields;
        (0..fields.len()).map(|index| self.field(store, index)).collect()
    }

    /// Changes a field.
    ///
    /// # Errors
    /// Past the last field, where the field is constant, or the value is of another type or store; nothing changes. See also
    /// [`StructRef::declared_type`].
    pub fn set_field(&self, store: &mut Store, index: usize, value: &Val) -> Result<(), Error> {
        let (raw, field, offset) = self.place(store, index)?;
        let refused = |error| field::mismatch(format!("cannot set field {index}: type mismatch"), error);
        if !field.mutable {
            return Err(Error::message(format!("cannot set field {index}: field is not mutable")));
        }
        field::check(store, field.storage, value).map_err(refused)?;
        field::write(store, raw, offset, field.storage, value)
    }

    /// Where a field is: the struct, up to the next collection, the field's type, and its offset.
    fn place(&self, store: &Store, index: usize) -> Result<(u32, FieldType, u32), Error> {
        let ty = self.declared_type(store)?;
        let fields = &ty.ty().as_struct().expect("just looked at").fields;
        let past = || Error::message(format!("cannot access field {index}: struct only has {} fields", fields.len()));
        let field = fields.get(index).ok_or_else(past)?;
        let layout = ty.layout()?.ok_or_else(not_a_struct)?;
        Ok((self.0.raw(store)?, *field, layout.offsets()[index]))
    }
}

fn not_a_struct() -> Error {
    Error::message("not a struct, or not a type of structs")
}

impl From<StructRef> for AnyRef {
    fn from(value: StructRef) -> Self {
        value.0.into()
    }
}

impl AnyRef {
    /// The struct, if it is one.
    ///
    /// # Errors
    /// Where it is of another store.
    pub fn as_struct(&self, store: &Store) -> Result<Option<StructRef>, Error> {
        Ok(self.as_kind(store, ObjectKind::Struct)?.map(StructRef))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArrayRef, Config, Engine, ExternRef, I31};
    use ampoule_core::types::{ArrayType, CompositeType, HeapType, RefType, StorageType, StructType, ValType};
    use std::sync::Arc;

    fn field(storage: StorageType) -> FieldType {
        FieldType { storage, mutable: true }
    }

    fn any() -> FieldType {
        field(StorageType::Val(ValType::ANYREF))
    }

    fn structs(engine: &Engine, fields: &[FieldType]) -> Type {
        engine.declare(CompositeType::Struct(StructType { fields: fields.into() })).unwrap()
    }

    /// Engines with and without a collection at every allocation.
    fn engines() -> [Engine; 2] {
        [false, true].map(|gc_stress| Engine::new(&Config { gc_stress, ..Config::default() }).unwrap())
    }

    #[test]
    fn mistakes_are_told() {
        let engine = Engine::default();
        let mut store = Store::new(&engine);
        let constant = FieldType { storage: StorageType::Val(ValType::I64), mutable: false };
        let ty = structs(&engine, &[field(StorageType::I8), any(), constant]);
        let says = |store: &mut Store, fields: &[Val]| StructRef::new(store, &ty, fields).unwrap_err().to_string();
        assert_eq!(says(&mut store, &[]), "expected 3 fields, got 0");
        let wrong = [Val::I64(1), Val::AnyRef(None), Val::I64(1)];
        assert_eq!(says(&mut store, &wrong), "field type mismatch: type mismatch: expected i32, found i64");
        let value = StructRef::new(&mut store, &ty, &[Val::I32(0x1ff), Val::AnyRef(None), Val::I64(-1)]).unwrap();
        let fields = value.fields(&mut store).unwrap();
        assert_eq!(fields, [Val::I32(0xff), Val::AnyRef(None), Val::I64(-1)]);
        let error = |result: Result<(), Error>| result.unwrap_err().to_string();
        assert_eq!(error(value.field(&mut store, 3).map(drop)), "cannot access field 3: struct only has 3 fields");
        assert_eq!(error(value.set_field(&mut store, 2, &Val::I32(1))), "cannot set field 2: field is not mutable");
        assert_eq!(
            error(value.set_field(&mut store, 1, &Val::FuncRef(None))),
            "cannot set field 1: type mismatch: type mismatch: expected (ref null any), found (ref null nofunc)"
        );
        // Of another store, as a value and as what is looked at; and a type of another engine.
        let mut other = Store::new(&engine);
        assert!(value.field(&mut other, 0).is_err() && value.set_field(&mut other, 0, &Val::I32(0)).is_err());
        let foreign = StructRef::new(&mut other, &ty, &[Val::I32(0), Val::AnyRef(None), Val::I64(0)]).unwrap();
        assert!(value.set_field(&mut store, 1, &Val::AnyRef(Some(foreign.into()))).is_err());
        let theirs = structs(&Engine::default(), &[]);
        assert_eq!(StructRef::new(&mut store, &theirs, &[]).unwrap_err().to_string(), "the type is of another engine");
        drop(store);
        assert!(value.field(&mut other, 0).is_err());
    }

    #[test]
    fn a_list_made_by_the_host_stays_as_it_is_while_objects_move() {
        for engine in engines() {
            let mut store = Store::new(&engine);
            let node = structs(&engine, &[field(StorageType::Val(ValType::I32)), any()]);
            let mut list = None;
            for number in 0..100 {
                let fields = [Val::I32(number), Val::AnyRef(list.take())];
                list = Some(StructRef::new(&mut store, &node, &fields).unwrap().into());
                // Garbage, and something that an old object comes to refer to.
                StructRef::new(&mut store, &node, &[Val::I32(-1), Val::AnyRef(None)]).unwrap();
            }
            let first = list.clone().unwrap().as_struct(&store).unwrap().unwrap();
            store.gc();
            let young = StructRef::new(&mut store, &node, &[Val::I32(7), Val::AnyRef(list)]).unwrap();
            first.set_field(&mut store, 1, &Val::AnyRef(Some(young.clone().into()))).unwrap();
            drop(young);
            for _ in 0..3 {
                StructRef::new(&mut store, &node, &[Val::I32(-1), Val::AnyRef(None)]).unwrap();
                store.gc();
            }
            assert_eq!(first.field(&mut store, 0).unwrap(), Val::I32(99));
            let Val::AnyRef(Some(young)) = first.field(&mut store, 1).unwrap() else { panic!("it was set") };
            let young = young.as_struct(&store).unwrap().unwrap();
            assert_eq!(young.fields(&mut store).unwrap(), [Val::I32(7), Val::AnyRef(Some(first.into()))]);
        }
    }

    #[test]
    fn what_objects_refer_to_is_dropped_once_with_the_last_of_them() {
        for engine in engines() {
            let mut store = Store::new(&engine);
            let ty = structs(&engine, &[field(StorageType::Val(ValType::EXTERNREF)), any()]);
            let alive = Arc::new(());
            let value = ExternRef::new(&mut store, Box::new(alive.clone())).unwrap();
            // A circle.
            let first = StructRef::new(&mut store, &ty, &[Val::ExternRef(Some(value)), Val::AnyRef(None)]).unwrap();
            let fields = [Val::ExternRef(None), Val::AnyRef(Some(first.clone().into()))];
            let second = StructRef::new(&mut store, &ty, &fields).unwrap();
            drop(fields);
            first.set_field(&mut store, 1, &Val::AnyRef(Some(second.clone().into()))).unwrap();
            drop(first);
            store.gc();
            assert_eq!(Arc::strong_count(&alive), 2);
            drop(second);
            store.gc();
            assert_eq!(Arc::strong_count(&alive), 1);
        }
    }

    #[test]
    fn values_have_the_type_of_their_object() {
        let engine = Engine::default();
        let mut store = Store::new(&engine);
        let ty = structs(&engine, &[]);
        let element = field(StorageType::I8);
        let array_type = engine.declare(CompositeType::Array(ArrayType { element })).unwrap();
        let value = StructRef::new(&mut store, &ty, &[]).unwrap();
        let array = ArrayRef::new(&mut store, &array_type, &Val::I32(0), 3).unwrap();
        let host = ExternRef::new(&mut store, Box::new(1)).unwrap();
        let host = crate::AnyRef::from_extern(&store, &host).unwrap();
        let values = [value.into(), array.into(), I31::wrapping(5).into(), host.clone()];
        let heaps = [ty.heap_type(), array_type.heap_type(), HeapType::I31, HeapType::Any];
        for (at, value) in values.iter().enumerate() {
            let val = Val::AnyRef(Some(value.clone()));
            assert_eq!(val.ty(&store).unwrap(), ValType::Ref(RefType::non_null(heaps[at])));
            for (other, heap) in heaps.into_iter().enumerate() {
                let fits = val.check_type(&store, ValType::Ref(RefType::non_null(heap))).is_ok();
                assert_eq!(fits, at == other || heap == HeapType::Any, "{at} {other}");
            }
            assert_eq!(val.check_type(&store, ValType::Ref(RefType::EQ)).is_ok(), at != 3);
            assert_eq!(value.as_eq(&store).unwrap().is_some(), at != 3);
            // There and back.
            let external = value.to_extern(&mut store).unwrap();
            assert_eq!(external.data(&store).unwrap().is_some(), at == 3);
            assert!(crate::AnyRef::from_extern(&store, &external).unwrap() == *value);
            let raw = value.to_lasting_raw(&mut store).unwrap();
            assert!(crate::AnyRef::from_raw(&mut store, raw).unwrap() == *value);
        }
        assert!(crate::AnyRef::from_raw(&mut store, 0).is_none());
        let says = Val::AnyRef(None).check_type(&store, ValType::EXNREF).unwrap_err().to_string();
        assert_eq!(says, "type mismatch: expected (ref null exn), found (ref null none)");
    }
}
