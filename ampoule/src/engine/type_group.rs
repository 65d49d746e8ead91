//! Recursion groups that the host declares. They are held to what validation holds those of modules to (core spec, sections 3.2.10 and
//! 3.2.11), so that equal ones are the same types.

use crate::engine::type_registry::{Type, TypeRegistry, check_size, gone};
use crate::error::{Error, ErrorKind};
use ampoule_core::types::{CompositeType, HeapType, StorageType, SubType, Subtyping, TypeId, ValType};
use std::collections::HashMap;
use std::sync::Arc;

/// Super-types that a type has at most. Validation holds modules to the same.
const MAX_SUPERTYPES: u32 = 63;

/// The canonical types of a group, whose types name each other by [`TypeId::in_group`].
///
/// # Errors
/// Where validation would refuse the group, it names a type that nothing has any more, or the engine has too many types.
pub(super) fn declare(registry: &Arc<TypeRegistry>, types: &[SubType]) -> Result<Vec<Type>, Error> {
    // Numbers of types are given to others once nobody has the type: these are kept until the group keeps them.
    let group = Group { types, outer: outer_types(registry, types)?, registry };
    group.check()?;
    if types.is_empty() { Ok(Vec::new()) } else { registry.intern_group(types, TypeId::IN_GROUP, &[]) }
}

/// The types outside of the group that it names.
fn outer_types(registry: &TypeRegistry, types: &[SubType]) -> Result<HashMap<TypeId, Type>, Error> {
    let mut outer = HashMap::new();
    let mut note = |id: TypeId| {
        if id.place_in_group().is_none() {
            outer.insert(id, registry.find(id).ok_or_else(gone)?);
        }
        Ok::<_, Error>(id)
    };
    types.iter().try_for_each(|ty| ty.try_map(&mut note).map(drop))?;
    Ok(outer)
}

struct Group<'a> {
    types: &'a [SubType],
    outer: HashMap<TypeId, Type>,
    registry: &'a TypeRegistry,
}

impl Group<'_> {
    fn check(&self) -> Result<(), Error> {
        let mut depths = Vec::with_capacity(self.types.len());
        for (place, ty) in self.types.iter().enumerate() {
            check_size(&ty.composite)?;
            val_types(&ty.composite).try_for_each(|ty| self.check_name(ty))?;
            depths.push(self.check_supertype(place, ty, &depths)?);
        }
        // Now that every chain of super-types is known to end.
        for ty in self.types {
            if let Some(supertype) = ty.supertype
                && !ty.composite.matches(&self.get(supertype)?.composite, self)
            {
                return Err(refused(format!("{ty} does not match its super-type")));
            }
        }
        Ok(())
    }

    fn get(&self, id: TypeId) -> Result<&SubType, Error> {
        match id.place_in_group() {
            Some(place) => self.types.get(place as usize).ok_or_else(|| {
                refused(format!("a type at place {place} is named, in a group of {}", self.types.len()))
            }),
            None => Ok(self.outer.get(&id).ok_or_else(gone)?.ty()),
        }
    }

    /// Refuses references to a type that is of something else.
    fn check_name(&self, ty: ValType) -> Result<(), Error> {
        let ValType::Ref(ty) = ty else { return Ok(()) };
        let Some(id) = ty.heap.concrete() else { return Ok(()) };
        let named = &self.get(id)?.composite;
        let fits = match (ty.heap, named) {
            (HeapType::ConcreteExn(_), CompositeType::Func(func)) => func.results().is_empty(),
            (heap, named) => named.heap_type(id) == heap,
        };
        if fits { Ok(()) } else { Err(refused(format!("a reference {ty} names a type that is {named}"))) }
    }

    /// How many super-types a type has, where `depths` tells it of those before.
    fn check_supertype(&self, place: usize, ty: &SubType, depths: &[u32]) -> Result<u32, Error> {
        let Some(id) = ty.supertype else { return Ok(0) };
        let depth = match id.place_in_group() {
            Some(before) if (before as usize) < place => depths[before as usize],
            Some(_) => return Err(refused("a super-type has to be declared before its sub-types".to_string())),
            None => self.outer.get(&id).ok_or_else(gone)?.ancestors().len() as u32 - 1,
        };
        if self.get(id)?.is_final {
            return Err(refused("a final type has no sub-types".to_string()));
        }
        if depth == MAX_SUPERTYPES {
            return Err(refused(format!("a type has at most {MAX_SUPERTYPES} super-types")));
        }
        Ok(depth + 1)
    }
}

impl Subtyping for Group<'_> {
    fn is_subtype(&self, sub: TypeId, sup: TypeId) -> bool {
        let supertype = |id: TypeId| self.types.get(id.place_in_group()? as usize)?.supertype;
        let mut chain = std::iter::successors(Some(sub), |&id| supertype(id));
        chain.any(|id| id == sup || id.place_in_group().is_none() && self.registry.is_subtype(id, sup))
    }
}

fn val_types(composite: &CompositeType) -> impl Iterator<Item = ValType> {
    let (values, fields) = match composite {
        CompositeType::Func(ty) => (ty.values(), &[][..]),
        CompositeType::Struct(ty) => (&[][..], &ty.fields[..]),
        CompositeType::Array(ty) => (&[][..], std::slice::from_ref(&ty.element)),
    };
    values.iter().copied().chain(fields.iter().map(|field| field.storage).map(StorageType::unpacked))
}

fn refused(reason: String) -> Error {
    Error::new(ErrorKind::Type(reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Engine, Module};
    use ampoule_core::index::TypeIndex;
    use ampoule_core::types::{ArrayType, FieldType, FuncType, RefType, StructType};

    fn engine() -> Engine {
        let mut config = Config::new();
        (config.features.gc, config.features.function_references) = (true, true);
        Engine::new(&config).unwrap()
    }

    fn field(heap: HeapType) -> FieldType {
        FieldType { storage: StorageType::Val(ValType::Ref(RefType::null_or(heap))), mutable: true }
    }

    const NUMBER: FieldType = FieldType { storage: StorageType::Val(ValType::I32), mutable: false };

    fn structs(fields: &[FieldType]) -> CompositeType {
        CompositeType::Struct(StructType { fields: fields.into() })
    }

    fn array(element: FieldType) -> CompositeType {
        CompositeType::Array(ArrayType { element })
    }

    fn open(supertype: Option<TypeId>, composite: CompositeType) -> SubType {
        SubType { is_final: false, supertype, composite }
    }

    fn last(supertype: Option<TypeId>, composite: CompositeType) -> SubType {
        SubType { is_final: true, supertype, composite }
    }

    const A: TypeId = TypeId::in_group(0);
    const B: TypeId = TypeId::in_group(1);
    const C: TypeId = TypeId::in_group(2);

    #[test]
    fn groups_of_the_host_are_those_of_modules() {
        let engine = engine();
        let text = "(module
            (type $base (sub (struct (field i32))))
            (rec
              (type $node (sub $base (struct (field i32) (field (mut (ref null $list))))))
              (type $list (array (mut (ref null $node))))
              (type $visit (func (param (ref null $list)) (result i32)))
              (type $leaf (sub final $node (struct (field i32) (field (mut (ref null $list))) (field (mut (ref null $visit))))))))";
        let module = Module::new(&engine, text.as_bytes()).unwrap();
        let theirs = |index| module.declared(TypeIndex(index)).clone();
        let base = engine.declare_group(&[open(None, structs(&[NUMBER]))]).unwrap().remove(0);
        assert!(base == theirs(0));
        let list = ValType::Ref(RefType::null_or(HeapType::ConcreteArray(B)));
        let group = [
            open(Some(base.id()), structs(&[NUMBER, field(HeapType::ConcreteArray(B))])),
            last(None, array(field(HeapType::ConcreteStruct(A)))),
            last(None, CompositeType::Func(FuncType::new([list], [ValType::I32]))),
            last(Some(A), structs(&[NUMBER, field(HeapType::ConcreteArray(B)), field(HeapType::ConcreteFunc(C))])),
        ];
        let ours = engine.declare_group(&group).unwrap();
        for (place, ty) in ours.iter().enumerate() {
            assert!(*ty == theirs(place as u32 + 1), "{place}");
        }
        assert!(ours[3].is_subtype_of(&base) && ours[3].supertype() == Some(ours[0].clone()));
        assert!(ours[0].group() == ours);
        // Another order, another finality and another group are other types.
        let mut open_leaf = group.clone();
        open_leaf[3].is_final = false;
        assert!(engine.declare_group(&open_leaf).unwrap()[0] != ours[0]);
        assert!(engine.declare_group(&group[1..2]).is_err(), "its element is not in the group");
        assert!(engine.declare_group(&[]).unwrap().is_empty());
        // They are there without the module, and gone with the last handle.
        let id = ours[0].id();
        drop(module);
        assert!(engine.find_type(id).is_some());
        drop(ours);
        assert!(engine.find_type(id).is_none());
    }

    #[test]
    fn what_a_module_could_not_declare_is_refused() {
        let engine = engine();
        let refused = |types: &[SubType], reason: &str| {
            let error = engine.declare_group(types).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        };
        let empty = || structs(&[]);
        refused(&[last(None, structs(&[field(HeapType::ConcreteStruct(B))]))], "at place 1 is named, in a group of 1");
        refused(&[last(None, array(field(HeapType::ConcreteStruct(A))))], "names a type that is (array");
        refused(&[open(Some(A), empty())], "declared before its sub-types");
        refused(&[open(Some(B), empty()), open(None, empty())], "declared before its sub-types");
        refused(&[last(None, empty()), last(Some(A), empty())], "a final type has no sub-types");
        refused(&[open(None, structs(&[NUMBER])), last(Some(A), empty())], "does not match its super-type");
        refused(&[open(None, array(NUMBER)), last(Some(A), structs(&[NUMBER]))], "does not match its super-type");
        let changes = FieldType { mutable: true, ..NUMBER };
        refused(&[open(None, array(NUMBER)), last(Some(A), array(changes))], "does not match its super-type");
        let ty = engine.declare(structs(&[NUMBER, NUMBER, NUMBER])).unwrap();
        let id = ty.id();
        refused(&[last(None, array(field(HeapType::ConcreteFunc(id))))], "names a type that is (struct");
        assert!(engine.declare(array(field(HeapType::ConcreteArray(id)))).is_err());
        drop(ty);
        refused(&[last(None, array(field(HeapType::ConcreteStruct(id))))], "does not exist any more");
        refused(&[last(None, structs(&vec![NUMBER; 10_001]))], "maximum supported number of fields");
        let chain = |len: u32| -> Vec<SubType> {
            (0..len).map(|at| open((at > 0).then(|| TypeId::in_group(at - 1)), structs(&[]))).collect()
        };
        let deepest = engine.declare_group(&chain(64)).unwrap();
        refused(&chain(65), "at most 63 super-types");
        refused(&[open(Some(deepest[63].id()), structs(&[]))], "at most 63 super-types");
    }

    #[test]
    fn functions_match_the_other_way_round_in_their_parameters() {
        let engine = engine();
        let reference = |id| ValType::Ref(RefType::non_null(HeapType::ConcreteStruct(id)));
        let func = |param, result| CompositeType::Func(FuncType::new([reference(param)], [reference(result)]));
        let group = |param, result| {
            [
                open(None, structs(&[])),
                open(Some(A), structs(&[NUMBER])),
                open(None, func(B, A)),
                open(Some(C), func(param, result)),
            ]
        };
        assert!(engine.declare_group(&group(A, B)).is_ok() && engine.declare_group(&group(B, A)).is_ok());
        assert!(engine.declare_group(&group(B, B)).is_ok());
        let mut narrower = group(A, B);
        narrower[2].composite = func(A, A);
        narrower[3].composite = func(B, A);
        assert!(engine.declare_group(&narrower).is_err());
        narrower[3].composite = func(A, B);
        assert!(engine.declare_group(&narrower).is_ok());
    }
}
