//! From the validator's types to ours. One converter per component: resources become slots of that component's scope.

use crate::definition::{Bindings, ExportName};
use crate::types::item::{Attributes, AttributesByName, Items};
use crate::types::val::{Case, Field};
use crate::types::{
    ComponentType, EnumType, FixedLengthListType, FlagsType, FuncType, InstanceType, ItemType, ListType, MapType,
    ModuleType, OptionType, RecordType, ResourceType, ResultType, TupleType, ValType, VariantType,
};
use ampoule::{ExternType, TagType};
use ampoule_core::decode::{self, DecodeError};
use hashbrown::HashMap;
use std::sync::Arc;
use wasmparser::PrimitiveValType;
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType, ComponentFuncTypeId,
    ComponentInstanceTypeId, ComponentItem, ComponentTypeId, ComponentValType, ResourceId,
};
use wasmparser::types::{EntityType, TypesRef};

/// What has been converted. Types are shared as the component shares them, so that their size is that of the component, not that of
/// the types written out.
pub(super) struct Types {
    scope: u64,
    slots: HashMap<ResourceId, u32>,
    /// By slot: whether the scope knows at run time which resource it is.
    introduced: Vec<bool>,
    vals: HashMap<ComponentDefinedTypeId, ValType>,
    funcs: HashMap<ComponentFuncTypeId, Arc<FuncType>>,
    instances: HashMap<ComponentInstanceTypeId, Arc<InstanceType>>,
    components: HashMap<ComponentTypeId, Arc<ComponentType>>,
}

impl Types {
    pub(super) fn new(scope: u64) -> Self {
        Self {
            scope,
            slots: HashMap::new(),
            introduced: Vec::new(),
            vals: HashMap::new(),
            funcs: HashMap::new(),
            instances: HashMap::new(),
            components: HashMap::new(),
        }
    }

    pub(super) fn scope(&self) -> u64 {
        self.scope
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> u32 {
        self.introduced.len() as u32
    }

    /// The slot of a resource.
    pub(super) fn slot(&mut self, id: ResourceId) -> u32 {
        let next = self.introduced.len() as u32;
        let slot = *self.slots.entry(id).or_insert(next);
        if slot == next {
            self.introduced.push(false);
        }
        slot
    }

    /// Notes that the scope knows this resource from here on.
    pub(super) fn introduce_slot(&mut self, slot: u32) {
        self.introduced[slot as usize] = true;
    }

    /// The resources that the scope first learns of with an item of this type.
    pub(super) fn introduce(&mut self, ty: &ItemType) -> Bindings {
        let mut bindings = Vec::new();
        self.introduce_in(ty, &mut Vec::new(), &mut bindings);
        bindings.into()
    }

    fn introduce_in(
        &mut self,
        ty: &ItemType,
        path: &mut Vec<ExportName>,
        bindings: &mut Vec<(Box<[ExportName]>, u32)>,
    ) {
        match ty {
            ItemType::Resource(ResourceType::Abstract { slot, .. }) => {
                let known = std::mem::replace(&mut self.introduced[*slot as usize], true);
                if !known {
                    bindings.push((path.clone().into(), *slot));
                }
            }
            ItemType::Instance(instance) => {
                for (at, (name, ty)) in instance.exports.iter().enumerate() {
                    path.push((name.clone(), at as u32));
                    self.introduce_in(ty, path, bindings);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    fn resource(&mut self, id: ResourceId) -> ResourceType {
        ResourceType::Abstract { scope: self.scope, slot: self.slot(id) }
    }

    /// The type of an import or export.
    pub(super) fn entity(&mut self, types: TypesRef<'_>, ty: &ComponentEntityType) -> Result<ItemType, DecodeError> {
        Ok(match *ty {
            ComponentEntityType::Module(id) => ItemType::Module(Arc::new(module(types, id)?)),
            ComponentEntityType::Func(id) => ItemType::Func(self.func(types, id)?),
            ComponentEntityType::Instance(id) => ItemType::Instance(self.instance(types, id)?),
            ComponentEntityType::Component(id) => ItemType::Component(self.component(types, id)?),
            ComponentEntityType::Type { created, .. } => self.any(types, created)?,
            ComponentEntityType::Value(_) => return Err(unsupported("values as imports and exports")),
        })
    }

    fn any(&mut self, types: TypesRef<'_>, id: ComponentAnyTypeId) -> Result<ItemType, DecodeError> {
        Ok(match id {
            ComponentAnyTypeId::Resource(id) => ItemType::Resource(self.resource(id.resource())),
            ComponentAnyTypeId::Defined(id) => ItemType::Type(self.defined(types, id)?),
            ComponentAnyTypeId::Func(id) => ItemType::Func(self.func(types, id)?),
            ComponentAnyTypeId::Instance(id) => ItemType::Instance(self.instance(types, id)?),
            ComponentAnyTypeId::Component(id) => ItemType::Component(self.component(types, id)?),
        })
    }

    fn items<'a>(
        &mut self,
        types: TypesRef<'_>,
        items: impl Iterator<Item = (&'a String, &'a ComponentItem)>,
    ) -> Result<(Items, AttributesByName), DecodeError> {
        let (mut of_types, mut of_names) = (Items::default(), AttributesByName::default());
        for (name, item) in items {
            of_types.insert(name.as_str().into(), self.entity(types, &item.ty)?);
            note_attributes(&mut of_names, name, item);
        }
        Ok((of_types, of_names))
    }

    pub(super) fn instance(
        &mut self,
        types: TypesRef<'_>,
        id: ComponentInstanceTypeId,
    ) -> Result<Arc<InstanceType>, DecodeError> {
        if let Some(ty) = self.instances.get(&id) {
            return Ok(ty.clone());
        }
        let (exports, export_attributes) = self.items(types, types[id].exports.iter())?;
        let ty = Arc::new(InstanceType { exports, export_attributes });
        self.instances.insert(id, ty.clone());
        Ok(ty)
    }

    fn component(&mut self, types: TypesRef<'_>, id: ComponentTypeId) -> Result<Arc<ComponentType>, DecodeError> {
        if let Some(ty) = self.components.get(&id) {
            return Ok(ty.clone());
        }
        let component = &types[id];
        let imports = component.imports.iter().filter(|(_, item)| lists(&item.ty));
        let (imports, import_attributes) = self.items(types, imports)?;
        let (exports, export_attributes) = self.items(types, component.exports.iter())?;
        let ty = Arc::new(ComponentType { imports, exports, import_attributes, export_attributes });
        self.components.insert(id, ty.clone());
        Ok(ty)
    }

    pub(super) fn func(&mut self, types: TypesRef<'_>, id: ComponentFuncTypeId) -> Result<Arc<FuncType>, DecodeError> {
        if let Some(ty) = self.funcs.get(&id) {
            return Ok(ty.clone());
        }
        let func = &types[id];
        let param = |types_of: &mut Self, (name, ty): &(_, ComponentValType)| {
            let name: &wasmparser::names::KebabString = name;
            Ok::<_, DecodeError>((name.as_str().into(), types_of.val(types, *ty)?))
        };
        let params = func.params.iter().map(|named| param(self, named)).collect::<Result<_, _>>()?;
        let result = func.result.map(|ty| self.val(types, ty)).transpose()?;
        let ty = Arc::new(FuncType::new(params, result, func.async_));
        self.funcs.insert(id, ty.clone());
        Ok(ty)
    }

    fn maybe(&mut self, types: TypesRef<'_>, ty: Option<ComponentValType>) -> Result<Option<ValType>, DecodeError> {
        ty.map(|ty| self.val(types, ty)).transpose()
    }

    fn val(&mut self, types: TypesRef<'_>, ty: ComponentValType) -> Result<ValType, DecodeError> {
        match ty {
            ComponentValType::Primitive(ty) => Ok(primitive(ty)),
            ComponentValType::Type(id) => self.defined(types, id),
        }
    }

    /// The type that a definition names.
    pub(super) fn named(
        &mut self,
        types: TypesRef<'_>,
        ty: wasmparser::ComponentValType,
    ) -> Result<ValType, DecodeError> {
        match ty {
            wasmparser::ComponentValType::Primitive(ty) => Ok(primitive(ty)),
            wasmparser::ComponentValType::Type(index) => self.defined(types, types.component_defined_type_at(index)),
        }
    }

    /// The validator bounds how deep types are nested.
    fn defined(&mut self, types: TypesRef<'_>, id: ComponentDefinedTypeId) -> Result<ValType, DecodeError> {
        if let Some(ty) = self.vals.get(&id) {
            return Ok(ty.clone());
        }
        let ty = self.convert(types, &types[id])?;
        self.vals.insert(id, ty.clone());
        Ok(ty)
    }

    fn convert(&mut self, types: TypesRef<'_>, ty: &ComponentDefinedType) -> Result<ValType, DecodeError> {
        use ComponentDefinedType as Def;
        let names = |names: &mut dyn Iterator<Item = &str>| names.map(Into::into).collect::<Box<[Box<str>]>>();
        Ok(match ty {
            Def::Primitive(ty) => primitive(*ty),
            Def::Record(record) => {
                let fields = record.fields.iter().map(|(name, ty)| {
                    Ok::<_, DecodeError>(Field { name: name.as_str().into(), ty: self.val(types, *ty)? })
                });
                ValType::Record(Arc::new(RecordType::new(fields.collect::<Result<_, _>>()?)))
            }
            Def::Tuple(tuple) => {
                let elements = tuple.types.iter().map(|ty| self.val(types, *ty));
                ValType::Tuple(Arc::new(TupleType::new(elements.collect::<Result<_, _>>()?)))
            }
            Def::Variant(variant) => {
                let cases = variant.cases.iter().map(|(name, case)| {
                    Ok::<_, DecodeError>(Case { name: name.as_str().into(), ty: self.maybe(types, case.ty)? })
                });
                ValType::Variant(Arc::new(VariantType::new(cases.collect::<Result<_, _>>()?)))
            }
            Def::List { element, .. } => ValType::List(Arc::new(ListType::new(self.val(types, *element)?))),
            Def::Map { key, value, .. } => {
                ValType::Map(Arc::new(MapType::new(self.val(types, *key)?, self.val(types, *value)?)))
            }
            Def::FixedLengthList { element, length, .. } => {
                ValType::FixedLengthList(Arc::new(FixedLengthListType::new(self.val(types, *element)?, *length)))
            }
            Def::Flags(flags) => {
                ValType::Flags(Arc::new(FlagsType::new(names(&mut flags.iter().map(|name| name.as_str())))))
            }
            Def::Enum(cases) => {
                ValType::Enum(Arc::new(EnumType::new(names(&mut cases.iter().map(|name| name.as_str())))))
            }
            Def::Option { ty, .. } => ValType::Option(Arc::new(OptionType::new(self.val(types, *ty)?))),
            Def::Result { ok, err, .. } => {
                ValType::Result(Arc::new(ResultType::new(self.maybe(types, *ok)?, self.maybe(types, *err)?)))
            }
            Def::Own(id) => ValType::Own(self.resource(id.resource())),
            Def::Borrow(id) => ValType::Borrow(self.resource(id.resource())),
            Def::Future { ty, .. } => ValType::Future(Arc::new(self.maybe(types, *ty)?)),
            Def::Stream { ty, .. } => ValType::Stream(Arc::new(self.maybe(types, *ty)?)),
        })
    }
}

/// Notes what is said of an item beside its name and type, where there is anything.
pub(super) fn note_attributes(attributes: &mut AttributesByName, name: &str, item: &ComponentItem) {
    let text = |text: &Option<String>| text.as_deref().map(Into::into);
    let of_item = Attributes {
        implements: item.full_implements().map(|name| name.as_ref().into()),
        version_suffix: text(&item.version_suffix),
        external_id: text(&item.external_id),
    };
    if of_item != Attributes::default() {
        attributes.insert(name.into(), of_item);
    }
}

/// Whether an import is something at run time: that a type is the same as another needs nothing, and nobody lists it.
pub(super) fn lists(ty: &ComponentEntityType) -> bool {
    match ty {
        ComponentEntityType::Type { created, .. } => matches!(created, ComponentAnyTypeId::Resource(_)),
        _ => true,
    }
}

fn module(
    types: TypesRef<'_>,
    id: wasmparser::component_types::ComponentCoreModuleTypeId,
) -> Result<ModuleType, DecodeError> {
    let module = &types[id];
    let import = |((module, name), ty): (&(String, String), &EntityType)| {
        Ok::<_, DecodeError>((module.as_str().into(), name.as_str().into(), extern_type(types, ty)?))
    };
    let export =
        |(name, ty): (&String, &EntityType)| Ok::<_, DecodeError>((name.as_str().into(), extern_type(types, ty)?));
    Ok(ModuleType {
        imports: module.imports.iter().map(import).collect::<Result<_, _>>()?,
        exports: module.exports.iter().map(export).collect::<Result<_, _>>()?,
    })
}

fn extern_type(types: TypesRef<'_>, ty: &EntityType) -> Result<ExternType, DecodeError> {
    Ok(match ty {
        EntityType::Func(id) | EntityType::FuncExact(id) => {
            ExternType::Func(decode::func_type(&types[*id].composite_type.inner, &decode::NoDeclaredTypes)?)
        }
        EntityType::Table(ty) => ExternType::Table(decode::table_type(ty, &decode::NoDeclaredTypes)?),
        EntityType::Memory(ty) => ExternType::Memory(decode::memory_type(ty)),
        EntityType::Global(ty) => ExternType::Global(decode::global_type(ty, &decode::NoDeclaredTypes)?),
        EntityType::Tag(id) => ExternType::Tag(TagType {
            func: decode::func_type(&types[*id].composite_type.inner, &decode::NoDeclaredTypes)?,
        }),
    })
}

fn primitive(ty: PrimitiveValType) -> ValType {
    match ty {
        PrimitiveValType::Bool => ValType::Bool,
        PrimitiveValType::S8 => ValType::S8,
        PrimitiveValType::U8 => ValType::U8,
        PrimitiveValType::S16 => ValType::S16,
        PrimitiveValType::U16 => ValType::U16,
        PrimitiveValType::S32 => ValType::S32,
        PrimitiveValType::U32 => ValType::U32,
        PrimitiveValType::S64 => ValType::S64,
        PrimitiveValType::U64 => ValType::U64,
        PrimitiveValType::F32 => ValType::F32,
        PrimitiveValType::F64 => ValType::F64,
        PrimitiveValType::Char => ValType::Char,
        PrimitiveValType::String => ValType::String,
        PrimitiveValType::ErrorContext => ValType::ErrorContext,
    }
}

fn unsupported(what: &str) -> DecodeError {
    DecodeError::Unsupported(what.to_string())
}
