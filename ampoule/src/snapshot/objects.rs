//! The objects that a snapshot's instances can reach: read from one heap, and made again in another.
//!
//! They are made all at once, where no collection moves them, beside whatever the heap has. Objects that were there before stay as long as
//! something refers to them.

use super::HostReferences;
use super::restore::Target;
use super::state::*;
use super::take::Reader;
use super::{Contents, damaged, refused};
use crate::engine::type_registry::TypeRecord;
use crate::error::Error;
use crate::gc::heap::graph::NewObject;
use crate::store::Store;
use crate::store::externrefs::HostValue;
use ampoule_core::index::TypeIndex;
use ampoule_core::object_layout::{ARRAY_ELEMENTS, ARRAY_LENGTH, EXCEPTION_TAG, HOST_SIZE, Storage, array_size};
use ampoule_core::types::{CompositeType, ValType};
use ampoule_core::vm::VmFuncRef;
use ampoule_core::vm::types::TypeWord;
use hashbrown::HashMap;
use std::ops::Range;

/// The objects that were found so far, each once.
#[derive(Default)]
pub(super) struct ObjectReader {
    numbers: HashMap<u32, u32>,
    /// Where they are, by number.
    found: Vec<u32>,
}

impl ObjectReader {
    /// What a reference of the store's is in a snapshot. Objects are numbered as they are found.
    pub(super) fn reference(&mut self, raw: u32) -> Reference {
        if raw == 0 || raw & 1 == 1 {
            return raw;
        }
        let next = self.found.len() as u32;
        let number = *self.numbers.entry(raw).or_insert(next);
        if number == next {
            self.found.push(raw);
        }
        reference_to(number)
    }

    /// All objects that can be reached from those that were found.
    pub(super) fn finish(
        mut self,
        reader: &mut Reader<'_>,
        references: &mut dyn HostReferences,
    ) -> Result<Objects, Error> {
        let mut objects = Objects::default();
        let store = reader.store;
        let Some(heap) = store.gc.heap() else { return Ok(objects) };
        let mut kinds = Kinds::default();
        let mut number = 0;
        while let Some(&at) = self.found.get(number) {
            let (bytes, refs) = heap.object(at);
            let kind = kinds.of(reader, at)?;
            let start = objects.bytes.len();
            objects.list.push((kind, bytes.len() as u32));
            objects.bytes.extend_from_slice(bytes);
            objects.bytes[start..start + 4].fill(0);
            for offset in refs {
                let slot = start + offset as usize;
                let reference = self.reference(word_at(&objects.bytes, slot));
                objects.bytes[slot..slot + 4].copy_from_slice(&reference.to_le_bytes());
            }
            match kinds.list[kind as usize].0 {
                ObjectKind::Host => {
                    let value = store.gc.host(at).ok_or_else(|| refused("a value of the host is gone"))?;
                    objects.hosts.push(references.save(value)?);
                    objects.bytes[start + 4..start + HOST_SIZE as usize].fill(0);
                }
                ObjectKind::Exception(..) => {
                    let tag = start + EXCEPTION_TAG as usize;
                    objects.bytes[tag..tag + 4].fill(0);
                }
                ObjectKind::Declared(..) => {}
            }
            for offset in kinds.list[kind as usize].1.offsets(&objects.bytes[start..]) {
                let slot = start + offset as usize..start + offset as usize + 8;
                let word = u64::from_le_bytes(objects.bytes[slot.clone()].try_into().expect("eight bytes"));
                let func_ref = word as usize as *mut VmFuncRef;
                if !func_ref.is_null() {
                    let function = reader.function(func_ref, &|| "an object".to_string())?;
                    objects.functions.push((number as u32, offset, function));
                    objects.bytes[slot].fill(0);
                }
            }
            number += 1;
        }
        objects.kinds = kinds.list.into_iter().map(|(kind, _)| kind).collect();
        Ok(objects)
    }
}

/// Where objects of a kind have references to functions.
enum FunctionSlots {
    Fields(Vec<u32>),
    Elements,
}

impl FunctionSlots {
    /// Of objects of this type.
    fn of(ty: &TypeRecord) -> Result<Self, Error> {
        let fields: Vec<Storage> = match &ty.ty().composite {
            CompositeType::Array(array) if Storage::from(array.element.storage) == Storage::Function => {
                return Ok(FunctionSlots::Elements);
            }
            CompositeType::Array(_) => return Ok(FunctionSlots::Fields(Vec::new())),
            CompositeType::Struct(fields) => fields.fields.iter().map(|field| field.storage.into()).collect(),
            CompositeType::Func(func) => func.params().iter().map(|&param: &ValType| param.into()).collect(),
        };
        let offsets = ty.layout()?.map_or(&[][..], |layout| layout.offsets());
        let functions = fields.iter().zip(offsets).filter(|(storage, _)| **storage == Storage::Function);
        Ok(FunctionSlots::Fields(functions.map(|(_, &offset)| offset).collect()))
    }

    fn offsets(&self, object: &[u8]) -> Vec<u32> {
        match self {
            FunctionSlots::Fields(offsets) => offsets.clone(),
            FunctionSlots::Elements => elements(word_at(object, ARRAY_LENGTH as usize)).step_by(8).collect(),
        }
    }

    /// Whether an object of so many elements, if it is an array, has one there.
    fn has(&self, offset: u32, len: u32) -> bool {
        match self {
            FunctionSlots::Fields(offsets) => offsets.contains(&offset),
            FunctionSlots::Elements => elements(len).contains(&offset) && (offset - ARRAY_ELEMENTS).is_multiple_of(8),
        }
    }
}

/// Where the elements are of an array of so many functions.
fn elements(len: u32) -> Range<u32> {
    ARRAY_ELEMENTS..ARRAY_ELEMENTS.saturating_add(len.saturating_mul(8))
}

/// The kinds of the objects that were found so far.
#[derive(Default)]
struct Kinds {
    list: Vec<(ObjectKind, FunctionSlots)>,
    /// By the type's word; of exceptions, by the tag as well.
    known: HashMap<(TypeWord, u32), u32>,
    /// What the modules declare, once something was looked for.
    declared: Option<HashMap<TypeWord, (u32, TypeIndex)>>,
}

impl Kinds {
    fn of(&mut self, reader: &Reader<'_>, at: u32) -> Result<u32, Error> {
        let gc = &reader.store.gc;
        let exception = gc.exception(at);
        let tag = exception.map_or(u32::MAX, |(_, tag)| tag);
        let word = gc.type_of(at).ok_or_else(|| refused("a reference leads to no object"))?;
        if let Some(&kind) = self.known.get(&(word, tag)) {
            return Ok(kind);
        }
        let kind = if word == TypeWord::HOST {
            (ObjectKind::Host, FunctionSlots::Fields(Vec::new()))
        } else if exception.is_some() {
            let known = reader.known_tags.get(&tag);
            let &(instance, index) =
                known.ok_or_else(|| refused("an exception has a tag that none of the instances knows"))?;
            let declared = &reader.store.instances.tags[tag as usize].declared;
            (ObjectKind::Exception(instance, index), FunctionSlots::of(declared)?)
        } else {
            let declared = self.declared.get_or_insert_with(|| declared_objects(reader));
            let &(module, ty) = declared
                .get(&word)
                .ok_or_else(|| refused("an object is of a type that none of the instances' modules declares"))?;
            (ObjectKind::Declared(module, ty), FunctionSlots::of(reader.modules[module as usize].declared(ty))?)
        };
        self.list.push(kind);
        let number = self.list.len() as u32 - 1;
        self.known.insert((word, tag), number);
        Ok(number)
    }
}

/// The types of objects that the modules declare, by the words that objects of them begin with.
fn declared_objects(reader: &Reader<'_>) -> HashMap<TypeWord, (u32, TypeIndex)> {
    let mut declared = HashMap::new();
    for (number, module) in reader.modules.iter().enumerate() {
        for index in (0..module.description().types.len()).map(|index| TypeIndex(index as u32)) {
            let ty = module.declared(index);
            // Objects have been made of every type that is looked for, so it has a word.
            if ty.ty().as_func().is_none()
                && let Ok(word) = ty.word()
            {
                declared.entry(word).or_insert((number as u32, index));
            }
        }
    }
    declared
}

/// Makes the objects in a store, and tells where they are. Nothing refers to them yet, so nothing may be allocated until something does.
pub(super) fn make(
    contents: &Contents,
    store: &mut Store,
    target: &Target,
    references: &mut dyn HostReferences,
) -> Result<Vec<u32>, Error> {
    let objects = &contents.state.objects;
    if objects.list.is_empty() {
        return Ok(Vec::new());
    }
    let values = objects.hosts.iter().map(|&token| references.restore(token)).collect::<Result<Vec<_>, _>>()?;
    let words =
        objects.kinds.iter().map(|&kind| word_of(contents, store, target, kind)).collect::<Result<Vec<_>, _>>()?;
    let new = objects.list.iter().map(|&(kind, size)| NewObject { word: words[kind as usize].0, size });
    let new: Vec<NewObject> = new.collect();
    let places = store.allocate_objects(&new)?;
    let at = |reference: Reference| referred(reference).map_or(reference, |number| places[number]);
    let mut start = 0;
    let is_host = |kind: u32| matches!(objects.kinds[kind as usize], ObjectKind::Host);
    for (&(kind, size), &place) in objects.list.iter().zip(&places) {
        let bytes = &objects.bytes[start..start + size as usize];
        start += size as usize;
        if is_host(kind) {
            continue;
        }
        let heap = store.heap_mut();
        heap.initialize(place, bytes, at);
        if let Some(tag) = words[kind as usize].1 {
            heap.set_field(place, EXCEPTION_TAG, &tag.to_ne_bytes());
        }
    }
    let hosts = objects.list.iter().zip(&places).filter(|((kind, _), _)| is_host(*kind));
    for ((_, &place), value) in hosts.zip(values) {
        store.initialize_host(place, HostValue::Any(value))?;
    }
    for &(object, offset, function) in &objects.functions {
        let word = target.function(store, function);
        store.heap_mut().set_field(places[object as usize], offset, &word.to_ne_bytes());
    }
    Ok(places)
}

/// The word that objects of a kind begin with, and of exceptions the number of the tag.
fn word_of(
    contents: &Contents,
    store: &Store,
    target: &Target,
    kind: ObjectKind,
) -> Result<(TypeWord, Option<u32>), Error> {
    Ok(match kind {
        ObjectKind::Host => (TypeWord::HOST, None),
        ObjectKind::Declared(module, ty) => (contents.modules[module as usize].declared(ty).word()?, None),
        ObjectKind::Exception(instance, index) => {
            let record = target.record(store, instance);
            // SAFETY: the place is in the block, and was filled in when the instance was made.
            let tag = unsafe { record.at::<u32>(record.module().layout().tag(index)).read() };
            (store.instances.tags[tag as usize].declared.word()?, Some(tag))
        }
    })
}

/// Refuses objects that can't be: out of a file, they may be anything.
pub(super) fn check(contents: &Contents) -> Result<(), Error> {
    let (objects, modules) = (&contents.state.objects, &contents.modules);
    if objects.list.len() as u64 > u64::from(MOST_OBJECTS) {
        return Err(damaged("there are too many objects"));
    }
    let mut kinds = Vec::with_capacity(objects.kinds.len());
    for &kind in &objects.kinds {
        let ty = match kind {
            ObjectKind::Host => None,
            ObjectKind::Declared(module, ty) => {
                let module = modules.get(module as usize).ok_or_else(|| damaged("an object's module is missing"))?;
                let types = &module.description().types;
                let is_object = types.get(ty.index()).is_some_and(|ty| ty.as_func().is_none());
                Some(is_object.then(|| module.declared(ty)).ok_or_else(|| damaged("an object's type is missing"))?)
            }
            ObjectKind::Exception(instance, tag) => {
                let module = contents.state.instances.get(instance as usize).map(|instance| instance.module);
                let module = module.map(|module| &modules[module as usize]);
                let ty = module.and_then(|module| Some((module, *module.description().tags.get(tag.index())?)));
                let (module, ty) = ty.ok_or_else(|| damaged("an exception's tag is missing"))?;
                Some(module.declared(ty))
            }
        };
        kinds.push(ty.map(|ty| Ok::<_, Error>((ty, FunctionSlots::of(ty)?))).transpose()?);
    }
    let (mut start, mut hosts) = (0usize, 0);
    let mut lens = Vec::with_capacity(objects.list.len());
    for &(kind, size) in &objects.list {
        let kind = kinds.get(kind as usize).ok_or_else(|| damaged("an object's kind is missing"))?;
        let end = start.checked_add(size as usize).filter(|_| size >= 8 && size.is_multiple_of(8));
        let bytes = end.and_then(|end| objects.bytes.get(start..end)).ok_or_else(|| damaged("an object is missing"))?;
        start += size as usize;
        let (len, expected) = match kind {
            None => {
                hosts += 1;
                (0, u64::from(HOST_SIZE))
            }
            Some((ty, _)) => match ty.layout()? {
                Some(layout) => (0, u64::from(layout.size())),
                None => {
                    let len = word_at(bytes, ARRAY_LENGTH as usize);
                    let element = ty.ty().as_array().map_or(Storage::Bits8, |array| array.element.storage.into());
                    (len, array_size(len, element.size_log2()))
                }
            },
        };
        if u64::from(size) != expected {
            return Err(damaged("an object is not as long as its type says"));
        }
        lens.push(len);
        let check = |offset: u32| check_reference(word_at(bytes, offset as usize), objects);
        if let Some((ty, _)) = kind {
            reference_slots(ty, len)?.try_for_each(check)?;
        }
    }
    if start != objects.bytes.len() || hosts != objects.hosts.len() {
        return Err(damaged("its objects are not all there"));
    }
    for &(object, offset, _) in &objects.functions {
        let kind = objects.list.get(object as usize).and_then(|(kind, _)| kinds[*kind as usize].as_ref());
        if !kind.is_some_and(|(_, slots)| slots.has(offset, lens[object as usize])) {
            return Err(damaged("a function is where no object has one"));
        }
    }
    Ok(())
}

/// Where objects of a type have references that are collected.
fn reference_slots(ty: &TypeRecord, len: u32) -> Result<Box<dyn Iterator<Item = u32> + '_>, Error> {
    if let Some(layout) = ty.layout()? {
        return Ok(Box::new(layout.ref_offsets().iter().copied()));
    }
    let collected = ty.ty().as_array().is_some_and(|array| Storage::from(array.element.storage) == Storage::Collected);
    Ok(if collected { Box::new((0..len).map(|at| ARRAY_ELEMENTS + 4 * at)) } else { Box::new(std::iter::empty()) })
}

/// Refuses a reference to an object that there isn't.
pub(super) fn check_reference(reference: Reference, objects: &Objects) -> Result<(), Error> {
    let is_known = |number: usize| number < objects.list.len() && reference & 7 == 0;
    if referred(reference).is_none_or(is_known) { Ok(()) } else { Err(damaged("a reference leads nowhere")) }
}

fn word_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
