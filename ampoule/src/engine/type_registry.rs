//! Canonical types: equal types of one engine are one [`Type`], whichever module or host function they come from, so that checking a
//! type while code runs is a comparison of words.
//!
//! Types are equal by the specification's iso-recursive rule (core spec, section 3.3.1): recursion groups are compared as wholes, with the
//! types of a group named by their place in it, and all others by what they are. A group lives for as long as anybody has one of its
//! types; it keeps the groups that it names alive. Then its numbers are given to others.

use crate::engine::type_table::{NewType, TypeTable};
use crate::error::{Error, ErrorKind};
use ampoule_core::module::ModuleDescription;
use ampoule_core::object_layout::{FieldsLayout, Storage};
use ampoule_core::types::{CompositeType, FuncType, HeapType, SubType, Subtyping, TypeId, ValType};
use ampoule_core::vm::types::{ObjectKind, TypeWord};
use ampoule_core::vm::{VmSignature, VmType};
use ampoule_machine::os::sync::{Mutex, OnceLock};
use hashbrown::HashMap;
use std::ffi::c_void;
use std::ops::Deref;
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Weak};

/// A type that was declared, in a module or by the host, and is kept by this handle, also when its engine is gone. Equal types of an engine
/// are equal handles. Made by [`crate::Engine::declare`] and [`crate::Engine::declare_group`], or asked for: [`crate::Module::declared_type`], [`crate::Func::declared_type`].
#[derive(Clone)]
pub struct Type {
    group: Arc<Group>,
    /// One of the group's.
    record: *const TypeRecord,
}

// SAFETY: the pointer leads into the group, which is counted and never changes but for atomics.
unsafe impl Send for Type {}
// SAFETY: as above.
unsafe impl Sync for Type {}

/// What an engine knows of a canonical type, with the thunks of its functions once they were needed.
///
/// Its address is what `VmFuncRef::signature` holds: whoever makes such a reference keeps a [`Type`] for as long.
#[repr(C)]
pub struct TypeRecord {
    /// What is read before a call by whoever has only the pointer. First: a pointer to one is a pointer to the other.
    vm: VmSignature,
    /// Names other types by their numbers.
    ty: SubType,
    id: TypeId,
    /// The types that it is declared as a sub-type of, the root first, itself last.
    ancestors: Box<[TypeId]>,
    /// How objects of it are laid out, and the word that they begin with. Of a type of functions, exceptions with such fields, where a tag
    /// has been made.
    objects: OnceLock<Objects>,
    registry: Weak<TypeRegistry>,
    /// All but [`Thunk::EntryRaw`], whose place stays empty.
    thunks: [AtomicPtr<u8>; Thunk::COUNT],
}

/// What is known of the objects of a type.
pub struct Objects {
    word: TypeWord,
    /// Of structs and exceptions.
    layout: Option<FieldsLayout>,
}

/// A recursion group.
struct Group {
    /// By what it is found: its types, with their own names as [`OWN`] says.
    key: Arc<[SubType]>,
    records: Box<[TypeRecord]>,
    /// The groups of types that it names.
    named: Vec<Arc<Group>>,
    registry: Weak<TypeRegistry>,
}

/// In a key, types of the group itself have this bit and their place.
const OWN: u32 = 1 << 31;

/// Types that an engine has at a time, at most. Each takes a few hundred bytes; the table for machine code has room for fewer, of those
/// that objects have.
const MAX_TYPES: u32 = 1 << 22;

const _: () = assert!(MAX_TYPES <= TypeId::IN_GROUP && TypeId::IN_GROUP < OWN);

/// Fields that a struct has at most. Validation holds modules to the same.
const MAX_FIELDS: usize = 10_000;

/// Which thunk of a [`Type`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Thunk {
    /// Host calls guest, values without kinds.
    EntryRaw,
    /// Host calls guest, values with kinds.
    EntryChecked,
    /// Guest calls host, values without kinds.
    ExitRaw,
    /// Guest calls host, values with kinds.
    ExitChecked,
    /// Guest calls a plain C function.
    ExitNative,
    /// The same, with the host's pointer before the arguments.
    ExitNativeEnv,
    /// Guest calls a plain C function, with the `VmCaller` before the arguments.
    ExitNativeCaller,
    /// The same, with the host's pointer before both.
    ExitNativeEnvCaller,
}

impl Thunk {
    const COUNT: usize = Thunk::ExitNativeEnvCaller as usize + 1;

    /// Those that modules bring along.
    #[cfg(feature = "compiler")]
    pub(crate) const KEPT: [Thunk; 4] = [Thunk::EntryRaw, Thunk::EntryChecked, Thunk::ExitRaw, Thunk::ExitChecked];
}

impl TypeRecord {
    /// The type. Names of other types are the engine's numbers.
    pub fn ty(&self) -> &SubType {
        &self.ty
    }

    /// The type of functions that this is.
    ///
    /// # Panics
    /// Where it is of something else.
    #[inline]
    pub fn func(&self) -> &FuncType {
        match &self.ty().composite {
            CompositeType::Func(ty) => ty,
            _ => not_of_functions(),
        }
    }

    /// The number by which other types name it.
    pub fn id(&self) -> TypeId {
        self.id
    }

    /// The types that it is declared as a sub-type of, the root first, itself last.
    pub fn ancestors(&self) -> &[TypeId] {
        &self.ancestors
    }

    /// The word that objects of the type begin with; of functions, exceptions.
    ///
    /// # Errors
    /// Where the engine has no room for more types.
    pub(crate) fn word(&self) -> Result<TypeWord, Error> {
        Ok(self.objects()?.word)
    }

    /// Where the fields of the type's structs, or exceptions, are; `None` for arrays.
    ///
    /// # Errors
    /// See [`TypeRecord::word`].
    pub(crate) fn layout(&self) -> Result<Option<&FieldsLayout>, Error> {
        Ok(self.objects()?.layout.as_ref())
    }

    fn objects(&self) -> Result<&Objects, Error> {
        if let Some(objects) = self.objects.get() {
            return Ok(objects);
        }
        let registry = self.registry.upgrade().expect("whoever has a type has its engine");
        let supertypes = &self.ancestors[..self.ancestors.len() - 1];
        let supertypes = supertypes.iter().map(|&id| registry.find(id).expect("a group keeps those that it names"));
        let supertypes: Vec<Type> = supertypes.collect();
        let objects = self.new_objects(&registry, supertypes.iter().map(|ty| &**ty))?;
        // Another thread may have been first.
        if let Err(objects) = self.objects.set(objects) {
            registry.table.free(objects.word);
        }
        Ok(self.objects.get().expect("just set"))
    }

    fn new_objects<'a>(
        &self,
        registry: &TypeRegistry,
        supertypes: impl DoubleEndedIterator<Item = &'a TypeRecord> + Clone,
    ) -> Result<Objects, Error> {
        let words: Vec<TypeWord> = match &self.ty.composite {
            // Exceptions are told by their tags.
            CompositeType::Func(_) => Vec::new(),
            _ => supertypes.clone().map(TypeRecord::word).collect::<Result<_, _>>()?,
        };
        let new = |kind, size, layout: Option<&FieldsLayout>, ref_elements| {
            let ref_offsets = layout.map_or(&[][..], FieldsLayout::ref_offsets);
            registry.table.allocate(&NewType { kind, supertypes: &words, size, ref_offsets, ref_elements, id: self.id })
        };
        Ok(match &self.ty.composite {
            CompositeType::Array(ty) => {
                let storage = Storage::from(ty.element.storage);
                let word = new(ObjectKind::Array, storage.size_log2(), None, storage == Storage::Collected)?;
                Objects { word, layout: None }
            }
            CompositeType::Struct(ty) => {
                let supertype = supertypes.last().map(TypeRecord::layout).transpose()?.flatten();
                let layout = FieldsLayout::of_struct_type(supertype, ty);
                Objects { word: new(ObjectKind::Struct, layout.size(), Some(&layout), false)?, layout: Some(layout) }
            }
            CompositeType::Func(ty) => {
                let layout = FieldsLayout::of_exception_types(ty.params());
                Objects { word: new(ObjectKind::Exception, layout.size(), Some(&layout), false)?, layout: Some(layout) }
            }
        })
    }

    /// Whether it is `other`, or declared as a sub-type of it, in however many steps.
    #[inline]
    pub fn is_subtype_of(&self, other: &TypeRecord) -> bool {
        ptr::eq(self, other) || self.ancestors.get(other.ancestors.len() - 1) == Some(&other.id)
    }

    /// Whether this registry made it.
    pub(crate) fn is_of(&self, registry: &Arc<TypeRegistry>) -> bool {
        ptr::eq(self.registry.as_ptr(), Arc::as_ptr(registry))
    }

    /// Whether one registry made both.
    pub(crate) fn is_of_the_same_engine(&self, other: &TypeRecord) -> bool {
        Weak::ptr_eq(&self.registry, &other.registry)
    }

    /// The larger number of parameters and results: the values that an array for both has room for.
    pub fn slots(&self) -> usize {
        self.vm.slots
    }

    /// The thunk's code, compiled when first asked for.
    #[inline]
    pub(crate) fn thunk(
        &self,
        which: Thunk,
        compile: impl FnOnce(&FuncType) -> Result<*const u8, Error>,
    ) -> Result<*const u8, Error> {
        let slot = match which {
            Thunk::EntryRaw => &self.vm.entry_raw,
            other => &self.thunks[other as usize],
        };
        // Acquire pairs with the release below: the code was written before its address was published.
        let code = slot.load(Ordering::Acquire);
        if !code.is_null() {
            return Ok(code);
        }
        let code = compile(self.func())?;
        slot.store(code.cast_mut(), Ordering::Release);
        Ok(code)
    }
}

#[cold]
fn not_of_functions() -> ! {
    unreachable!("a type of functions was asked for")
}

impl Deref for Type {
    type Target = TypeRecord;

    #[inline]
    fn deref(&self) -> &TypeRecord {
        // SAFETY: the group is counted, and its records stay where they are.
        unsafe { &*self.record }
    }
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.record, other.record)
    }
}

impl Eq for Type {}

impl std::fmt::Debug for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Type").field("id", &self.id).field("ty", &self.ty).finish()
    }
}

impl Type {
    /// The type that it is declared as a sub-type of.
    pub fn supertype(&self) -> Option<Type> {
        self.ty.supertype.map(|id| self.named(id).expect("a group keeps those that it names"))
    }

    /// The types of its recursion group, in order; itself among them.
    pub fn group(&self) -> Vec<Type> {
        self.group.types()
    }

    /// A type that it names by this number, or itself.
    pub fn named(&self, id: TypeId) -> Option<Type> {
        if let Some(registry) = self.registry.upgrade() {
            return registry.find(id);
        }
        // Of an engine that is gone, so that nothing is given the number of another.
        std::iter::once(&self.group).chain(&self.group.named).find_map(|group| {
            let record = group.records.iter().find(|record| record.id == id)?;
            Some(Type { group: group.clone(), record })
        })
    }

    /// The type of references to what is of this type, without null.
    pub fn heap_type(&self) -> HeapType {
        self.ty.composite.heap_type(self.id)
    }

    /// The word that stands for this type in `VmFuncRef::signature`.
    pub(crate) fn as_word(&self) -> *const c_void {
        self.record.cast()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            let mut types = registry.types.lock();
            // Another thread may have put a new group under the same key since this one's count fell to zero.
            if types.groups.get(&self.key).is_some_and(|weak| weak.strong_count() == 0) {
                types.groups.remove(&self.key);
            }
            for record in &self.records {
                if let Some(objects) = record.objects.get() {
                    registry.table.free(objects.word);
                }
                types.by_id[record.id.0 as usize] = None;
                types.free.push(record.id);
            }
        }
        // Groups may name each other in a chain of a million: one after another, not inside each other.
        let mut unused = std::mem::take(&mut self.named);
        while let Some(group) = unused.pop() {
            if let Some(mut group) = Arc::into_inner(group) {
                unused.append(&mut group.named);
            }
        }
    }
}

/// The canonical types of one engine.
#[derive(Default)]
pub struct TypeRegistry {
    types: Mutex<Types>,
    /// What machine code and the collector know of types.
    table: TypeTable,
}

#[derive(Default)]
struct Types {
    groups: HashMap<Arc<[SubType]>, Weak<Group>>,
    /// For each number the group and the place in it of the type that has it.
    by_id: Vec<Option<(Weak<Group>, u32)>>,
    free: Vec<TypeId>,
}

impl Types {
    fn find(&self, id: TypeId) -> Option<Type> {
        let (group, place) = self.by_id.get(id.0 as usize)?.as_ref()?;
        let group = group.upgrade()?;
        let record = &raw const group.records[*place as usize];
        Some(Type { group, record })
    }

    fn number(&mut self) -> Result<TypeId, Error> {
        if let Some(id) = self.free.pop() {
            return Ok(id);
        }
        if self.by_id.is_empty() {
            // No type has the number zero, so that no word of a type is zero.
            self.by_id.push(None);
        }
        let id = self.by_id.len() as u32;
        if id >= MAX_TYPES {
            return Err(Error::new(ErrorKind::Limit(format!("an engine has room for {MAX_TYPES} types"))));
        }
        self.by_id.push(None);
        Ok(TypeId(id))
    }
}

impl TypeRegistry {
    /// The canonical record of a type of functions, declared without super-type, final, and in a group of its own.
    ///
    /// # Errors
    /// Where it names a type that nothing has any more, or the engine has too many types.
    pub fn intern(self: &Arc<Self>, ty: &FuncType) -> Result<Type, Error> {
        self.declare(CompositeType::Func(ty.clone()))
    }

    /// The same of any type.
    ///
    /// # Errors
    /// See [`TypeRegistry::intern`]; where a struct has more fields than validation allows.
    pub fn declare(self: &Arc<Self>, composite: CompositeType) -> Result<Type, Error> {
        check_size(&composite)?;
        let ty = SubType { is_final: true, supertype: None, composite };
        let mut types = self.intern_group(&[ty], u32::MAX, &[])?;
        Ok(types.pop().expect("of one type"))
    }

    /// The canonical records of a module's types, in order.
    ///
    /// # Errors
    /// Where the engine has too many types.
    pub fn intern_module(self: &Arc<Self>, module: &ModuleDescription) -> Result<Box<[Type]>, Error> {
        let mut known: Vec<Type> = Vec::with_capacity(module.types.len());
        for group in module.type_groups() {
            match &module.types[group.start as usize..group.end as usize] {
                [ty] if names_nothing(ty) => known.push(self.intern_alone(ty)?),
                declared => known.extend(self.intern_group(declared, group.start, &known)?),
            }
        }
        Ok(known.into())
    }

    /// As [`TypeRegistry::intern_group`], of one type that names none: as good as all that a module has, and it may have thousands.
    fn intern_alone(self: &Arc<Self>, ty: &SubType) -> Result<Type, Error> {
        let mut types = self.types.lock();
        let known = types.groups.get(slice::from_ref(ty)).and_then(Weak::upgrade);
        let group = match known {
            Some(group) => group,
            None => {
                let id = types.number()?;
                self.make_group(&mut types, [ty.clone()].into(), &[id], Vec::new())
            }
        };
        let record = &raw const group.records[0];
        Ok(Type { group, record })
    }

    /// The canonical records of a recursion group. What is named by numbers from `start` on is of the group itself; what is below, where
    /// `start` is not the largest number, is one of `known`; otherwise names are the engine's numbers.
    pub(super) fn intern_group(
        self: &Arc<Self>,
        declared: &[SubType],
        start: u32,
        known: &[Type],
    ) -> Result<Vec<Type>, Error> {
        // Dropped behind the lock's guard, which a group's end needs.
        let mut named: HashMap<*const Group, Arc<Group>> = HashMap::new();
        let mut outer = |id: TypeId, types: &Types| -> Result<TypeId, Error> {
            let ty = match known.get(id.0 as usize) {
                Some(ty) if start != u32::MAX => ty.clone(),
                _ => types.find(id).ok_or_else(gone)?,
            };
            let id = ty.id;
            named.entry(Arc::as_ptr(&ty.group)).or_insert(ty.group);
            Ok(id)
        };
        let mut types = self.types.lock();
        let is_own = |id: TypeId| id.0 >= start && start != u32::MAX;
        let in_key = |ty: &SubType, outer: &mut dyn FnMut(TypeId, &Types) -> Result<TypeId, Error>, types: &Types| {
            ty.try_map(&mut |id| if is_own(id) { Ok(TypeId(OWN | (id.0 - start))) } else { outer(id, types) })
        };
        let key: Vec<SubType> = declared.iter().map(|ty| in_key(ty, &mut outer, &types)).collect::<Result<_, _>>()?;
        if let Some(group) = types.groups.get(&key[..]).and_then(Weak::upgrade) {
            drop(types);
            return Ok(group.types());
        }
        let mut ids = Vec::with_capacity(key.len());
        for _ in &key {
            match types.number() {
                Ok(id) => ids.push(id),
                Err(error) => {
                    types.free.append(&mut ids);
                    drop(types);
                    return Err(error);
                }
            }
        }
        let named = named.into_values().collect();
        let group = self.make_group(&mut types, key.into(), &ids, named);
        drop(types);
        Ok(group.types())
    }

    /// Makes the group with this key, which is not there, whose types get these numbers, one each.
    fn make_group(
        self: &Arc<Self>,
        types: &mut Types,
        key: Arc<[SubType]>,
        ids: &[TypeId],
        named: Vec<Arc<Group>>,
    ) -> Arc<Group> {
        let mut records: Vec<TypeRecord> = Vec::with_capacity(key.len());
        for (ty, &id) in key.iter().zip(ids) {
            let absolute = |id: TypeId| Ok::<_, Error>(if id.0 & OWN == 0 { id } else { ids[(id.0 & !OWN) as usize] });
            let mut ancestors = match ty.supertype {
                None => Vec::with_capacity(1),
                // Of this group, in which a super-type is declared before.
                Some(sup) if sup.0 & OWN != 0 => records[(sup.0 & !OWN) as usize].ancestors.to_vec(),
                Some(sup) => types.find(sup).expect("its group is kept").ancestors.to_vec(),
            };
            let ty = ty.try_map(&mut { absolute }).expect("every number has one");
            ancestors.push(id);
            let slots = ty.as_func().map_or(0, |ty| ty.params().len().max(ty.results().len()));
            records.push(TypeRecord {
                vm: VmSignature { slots, entry_raw: AtomicPtr::default() },
                ty,
                id,
                ancestors: ancestors.into(),
                objects: OnceLock::new(),
                registry: Arc::downgrade(self),
                thunks: Default::default(),
            });
        }
        let group =
            Arc::new(Group { key: key.clone(), records: records.into(), named, registry: Arc::downgrade(self) });
        for (place, id) in (0..).zip(ids) {
            types.by_id[id.0 as usize] = Some((Arc::downgrade(&group), place));
        }
        types.groups.insert(key, Arc::downgrade(&group));
        group
    }

    /// The table of types that machine code and the collector read: where the record of number zero is, for as long as the engine lives.
    ///
    /// # Errors
    /// Where the system has no address space for the table.
    pub(crate) fn table(&self) -> Result<*const VmType, Error> {
        self.table.base()
    }

    /// The type whose objects begin with this word, if anything has it.
    pub(crate) fn of_word(&self, word: TypeWord) -> Option<Type> {
        self.find(self.table.id(word)?)
    }

    /// The type with this number, if anything has it.
    pub fn find(&self, id: TypeId) -> Option<Type> {
        self.types.lock().find(id)
    }
}

impl Group {
    fn types(self: &Arc<Self>) -> Vec<Type> {
        self.records.iter().map(|record| Type { group: self.clone(), record }).collect()
    }
}

impl Subtyping for TypeRegistry {
    fn is_subtype(&self, sub: TypeId, sup: TypeId) -> bool {
        sub == sup || self.find(sub).is_some_and(|sub| sub.ancestors.contains(&sup))
    }
}

/// Whether it is a type of functions that names no other.
fn names_nothing(ty: &SubType) -> bool {
    let concrete = |ty: &ValType| ty.concrete().is_some();
    ty.supertype.is_none() && ty.as_func().is_some_and(|ty| !ty.values().iter().any(concrete))
}

/// Refuses a struct with more fields than validation allows.
///
/// # Errors
/// See above.
pub(super) fn check_size(composite: &CompositeType) -> Result<(), Error> {
    match composite {
        CompositeType::Struct(ty) if ty.fields.len() > MAX_FIELDS => {
            let reason = format!(
                "attempted to define a struct type with {} fields, but that is more than the maximum supported number of \
                 fields ({MAX_FIELDS})",
                ty.fields.len()
            );
            Err(Error::new(ErrorKind::Type(reason)))
        }
        _ => Ok(()),
    }
}

pub(crate) fn gone() -> Error {
    Error::new(ErrorKind::Type("a type that is named by another does not exist any more".to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, Module};
    use ampoule_core::types::{FieldType, RefType, StorageType, StructType};

    fn registry() -> Arc<TypeRegistry> {
        Arc::new(TypeRegistry::default())
    }

    fn is_empty(registry: &TypeRegistry) -> bool {
        let types = registry.types.lock();
        types.groups.is_empty() && types.by_id.iter().all(Option::is_none)
    }

    fn declared(text: &str) -> ModuleDescription {
        let features = ampoule_core::features::Features { function_references: true, gc: true, ..Default::default() };
        let bytes = wat::parse_str(format!("(module {text})")).unwrap();
        ampoule_core::decode::decode(&bytes, &features).unwrap().module
    }

    #[test]
    fn equal_types_are_one_record_and_leave_nothing_behind() {
        let registry = registry();
        let ty = FuncType::new([ValType::I32], []);
        let (a, b) = (registry.intern(&ty).unwrap(), registry.intern(&ty.clone()).unwrap());
        assert!(a == b);
        assert!(a != registry.intern(&FuncType::new([ValType::I64], [])).unwrap());
        drop((a, b));
        assert!(is_empty(&registry));
    }

    #[test]
    fn groups_are_equal_as_wholes() {
        let registry = registry();
        let module = declared(
            "(type $a (struct (field (ref null $a))))
             (type $b (struct (field (ref null $b))))
             (rec (type $c (struct (field (ref null $d)))) (type $d (struct (field (ref null $c)))))
             (rec (type $e (struct (field (ref null $f)))) (type $f (struct (field (ref null $e)))))
             (rec (type $g (struct (field (ref null $g)))) (type (array i8)))",
        );
        let types = registry.intern_module(&module).unwrap();
        assert!(types[0] == types[1] && types[2] == types[4] && types[3] == types[5]);
        assert!(types[2] != types[3], "they have the same shape, but different places");
        assert!(types[6] != types[0], "it is in another group");
        // The same again gives the same.
        assert!(registry.intern_module(&module).unwrap()[2] == types[2]);
        drop(types);
        assert!(is_empty(&registry));
    }

    #[test]
    fn sub_types_are_known_by_their_ancestors() {
        let registry = registry();
        let module = declared(
            "(type $a (sub (struct))) (type $b (sub $a (struct (field i32)))) (type $c (sub final $b (struct (field i32 i64))))
             (type $x (sub $a (struct (field f32))))",
        );
        let types = registry.intern_module(&module).unwrap();
        for (sub, ty) in types.iter().enumerate() {
            for (sup, other) in types.iter().enumerate() {
                let expected = matches!((sub, sup), (0..=2, 0..=2) if sub >= sup) || sub == sup || (sub, sup) == (3, 0);
                assert_eq!(ty.is_subtype_of(other), expected, "{sub} {sup}");
                assert_eq!(registry.is_subtype(ty.id(), other.id()), expected, "{sub} {sup}");
            }
        }
    }

    #[test]
    fn a_type_keeps_those_that_it_names() {
        let registry = registry();
        let types = registry.intern_module(&declared("(type $a (struct)) (type $b (array (ref $a)))")).unwrap();
        let (a, b) = (types[0].id(), types[1].clone());
        drop(types);
        assert!(registry.find(a).is_some());
        let ty = FuncType::new([ValType::Ref(RefType::non_null(HeapType::ConcreteStruct(a)))], []);
        let func = registry.intern(&ty).unwrap();
        drop(b);
        assert!(registry.find(a).is_some());
        drop(func);
        assert!(is_empty(&registry) && registry.intern(&ty).is_err());
    }

    #[test]
    fn what_the_host_declares_is_what_a_module_declares_as_final() {
        let registry = registry();
        let module = declared(
            "(type (struct (field i8 (mut i64)))) (type (sub (struct (field i8 (mut i64))))) (type (array i8))",
        );
        let types = registry.intern_module(&module).unwrap();
        let field = |storage, mutable| FieldType { storage, mutable };
        let fields = [field(StorageType::I8, false), field(StorageType::Val(ValType::I64), true)];
        let host = registry.declare(CompositeType::Struct(StructType { fields: fields.into() })).unwrap();
        assert!(host == types[0] && host != types[1]);
        assert!(registry.declare(types[2].ty().composite.clone()).unwrap() == types[2]);
        let many = |count| CompositeType::Struct(StructType { fields: vec![fields[0]; count].into() });
        assert!(registry.declare(many(MAX_FIELDS)).is_ok());
        let refused = registry.declare(many(MAX_FIELDS + 1)).unwrap_err().to_string();
        assert!(refused.ends_with("more than the maximum supported number of fields (10000)"), "{refused}");
    }

    #[test]
    fn a_type_tells_its_group_and_what_it_names_when_its_engine_is_gone() {
        let registry = registry();
        let module = declared(
            "(type $a (sub (struct))) (rec (type $b (sub $a (struct (field (ref null $c))))) (type $c (array (ref $b))))",
        );
        let types = registry.intern_module(&module).unwrap();
        let (a, b, c) = (types[0].clone(), types[1].clone(), types[2].clone());
        drop(types);
        let tell_all = || {
            assert!(b.supertype() == Some(a.clone()) && a.supertype().is_none());
            assert!(b.group() == [b.clone(), c.clone()] && a.group() == [a.clone()]);
            assert!(b.named(c.id()) == Some(c.clone()) && b.named(a.id()) == Some(a.clone()));
            assert!(c.heap_type() == HeapType::ConcreteArray(c.id()) && !b.ty().is_final && c.ty().is_final);
        };
        tell_all();
        drop(registry);
        tell_all();
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_types_is_taken_down_on_a_small_stack() {
        let text: String = (1..100_000)
            .fold("(type (struct))".to_string(), |text, at| text + &format!("(type (array (ref {})))", at - 1));
        let module = declared(&text);
        let chain = std::thread::Builder::new().stack_size(128 << 10).spawn(move || {
            let registry = registry();
            let types = registry.intern_module(&module).unwrap();
            let last = types[99_999].clone();
            drop(types);
            assert!(!is_empty(&registry));
            drop(last);
            is_empty(&registry)
        });
        assert!(chain.unwrap().join().unwrap());
    }

    #[test]
    fn a_large_group_takes_time_in_proportion() {
        const TYPES: u32 = 100_000;
        // Each but the first is a sub-type of the one in the middle before it: looked for one by one, five thousand million steps.
        let empty = |supertype: Option<u32>| SubType {
            is_final: false,
            supertype: supertype.map(TypeId),
            composite: CompositeType::Struct(StructType { fields: [].into() }),
        };
        let types =
            (0..TYPES).map(|at| empty((at > 0).then_some(if at <= TYPES / 2 { 0 } else { TYPES / 2 }))).collect();
        let module = ModuleDescription { types, rec_groups: std::iter::once(0..TYPES).collect(), ..Default::default() };
        let registry = registry();
        let begun = std::time::Instant::now();
        let types = registry.intern_module(&module).unwrap();
        assert!(types[TYPES as usize - 1].is_subtype_of(&types[TYPES as usize / 2]));
        assert!(begun.elapsed() < std::time::Duration::from_secs(30));
    }

    #[test]
    fn an_engine_that_makes_and_drops_modules_does_not_grow() {
        let engine = Engine::default();
        for at in 0..200 {
            let text = format!("(module (type (func (param {}))) (func (type 0)))", "i32 ".repeat(at % 7 + 1));
            drop(Module::new(&engine, text.as_bytes()).unwrap());
        }
        assert!(is_empty(engine.types()) && engine.types().types.lock().by_id.len() < 16);
    }
}
