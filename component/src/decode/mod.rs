//! Reading components: bytes become a [`Definition`].
//!
//! `wasmparser` validates; what is read here has been validated before, section by section. A core module inside is validated twice:
//! its declarations with the component, all of it when it becomes a [`Module`].

mod builtins;
mod types;

use crate::canon::options::StaticOptions;
use crate::core_callback::callback;
use crate::core_items::{CoreImport, CoreImports, CoreInstanceRef};
use crate::decode::types::{Types, lists, note_attributes};
use crate::definition::{CoreSort, CoreStep, Counts, Definition, ItemRef, Step};
use crate::func::core_type;
use crate::items::ComponentItem;
use crate::names::{IndexMap, IndexSet};
use crate::records::{BuiltinData, HandleBuiltin, Lowered};
use crate::types::{ComponentType, ItemType};
use ampoule::func::host::{HostFunc, RawCallback};
use ampoule::{Engine, Error, FuncType, Module, SharedBytes};
use ampoule_core::decode::DecodeError;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmparser::component_types::ComponentAnyTypeId;
use wasmparser::types::TypesRef;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentType as TypeDef, Encoding, ExternalKind, Instance, Parser, Payload, Validator,
};

/// What makes a module of its bytes, or of what it was compiled to before: for each of a component in order.
pub(crate) type MakeModule<'m> = dyn FnMut(SharedBytes) -> Result<Module, Error> + 'm;

/// Reads a component in binary form.
///
/// # Errors
/// [`ampoule::error::ErrorKind::Decode`] with what is wrong and where; what `make_module` says of a module inside.
pub(crate) fn decode(
    engine: &Engine,
    bytes: &SharedBytes,
    make_module: &mut MakeModule<'_>,
) -> Result<Arc<Definition>, Error> {
    ampoule::with_stack(STACK, || decode_here(engine, bytes, make_module))
}

/// What reading a component takes of the stack at most: types, instances and components are nested in each other.
const STACK: usize = 1 << 20;

fn decode_here(
    engine: &Engine,
    bytes: &SharedBytes,
    make_module: &mut MakeModule<'_>,
) -> Result<Arc<Definition>, Error> {
    let features = engine.config().features.for_component_validator();
    let mut decoder = Decoder {
        engine,
        bytes,
        make_module,
        validator: Validator::new_with_features(features),
        open: Vec::new(),
        whole: None,
    };
    let mut parser = Parser::new(0);
    parser.set_features(features);
    for payload in parser.parse_all(bytes) {
        decoder.payload(&payload.map_err(DecodeError::from)?)?;
    }
    decoder.whole.ok_or_else(|| DecodeError::Module.into())
}

static NEXT_SCOPE: AtomicU64 = AtomicU64::new(1);

struct Decoder<'a, 'm> {
    engine: &'a Engine,
    bytes: &'a SharedBytes,
    make_module: &'a mut MakeModule<'m>,
    validator: Validator,
    /// What is being read, from the outermost: components, and perhaps a module as the last.
    open: Vec<Open>,
    whole: Option<Arc<Definition>>,
}

enum Open {
    Module,
    Component(Box<Frame>),
}

/// A component that is being read.
struct Frame {
    types: Types,
    steps: Vec<Step>,
    counts: Counts,
    /// What it takes from the component around it.
    captures: Vec<ItemRef>,
    export_names: IndexSet<Box<str>>,
    exported: Vec<ItemRef>,
    all_modules: Vec<Module>,
    is_concurrent: bool,
    ty: ComponentType,
    spaces: Spaces,
    core: CoreSpaces,
}

/// The index spaces of a component, as far as they are filled.
#[derive(Default)]
struct Spaces {
    types: u32,
    funcs: Vec<ItemRef>,
    instances: Vec<ItemRef>,
    modules: Vec<ItemRef>,
    components: Vec<ItemRef>,
}

/// The core index spaces: items by their places in the list of the scope.
#[derive(Default)]
struct CoreSpaces {
    instances: Vec<CoreInstanceRef>,
    funcs: Vec<u32>,
    tables: Vec<u32>,
    memories: Vec<u32>,
    globals: Vec<u32>,
    tags: Vec<u32>,
}

impl CoreSpaces {
    fn of(&mut self, sort: CoreSort) -> &mut Vec<u32> {
        match sort {
            CoreSort::Func => &mut self.funcs,
            CoreSort::Table => &mut self.tables,
            CoreSort::Memory => &mut self.memories,
            CoreSort::Global => &mut self.globals,
            CoreSort::Tag => &mut self.tags,
        }
    }

    /// The options that a canonical definition lists, with the places of what they name.
    fn options(&self, given: &[CanonicalOption]) -> Result<StaticOptions, DecodeError> {
        let options = StaticOptions::read(given).map_err(|what| unsupported(&what))?;
        let func = |index: Option<u32>| index.map(|index| self.funcs[index as usize]);
        Ok(StaticOptions {
            memory: options.memory.map(|index| self.memories[index as usize]),
            realloc: func(options.realloc),
            post_return: func(options.post_return),
            callback: func(options.callback),
            ..options
        })
    }
}

impl Frame {
    fn new() -> Self {
        Self {
            types: Types::new(NEXT_SCOPE.fetch_add(1, Ordering::Relaxed)),
            steps: Vec::new(),
            counts: Counts::default(),
            captures: Vec::new(),
            export_names: IndexSet::default(),
            exported: Vec::new(),
            all_modules: Vec::new(),
            is_concurrent: false,
            ty: ComponentType::default(),
            spaces: Spaces::default(),
            core: CoreSpaces::default(),
        }
    }

    fn finish(self) -> (Definition, Box<[ItemRef]>) {
        let definition = Definition {
            scope: self.types.scope(),
            is_closed: !self.steps.iter().any(|step| matches!(step, Step::Core(..))),
            is_concurrent: self.is_concurrent || Step::any_is_concurrent(&self.steps),
            steps: self.steps,
            counts: self.counts,
            slots: self.types.slots(),
            exports: Arc::new(self.export_names),
            exported: self.exported.into(),
            ty: Arc::new(self.ty),
            modules: self.all_modules.into(),
        };
        (definition, self.captures.into())
    }

    /// The place of the item that the next step adds.
    fn place(&mut self) -> ItemRef {
        self.counts.items += 1;
        ItemRef::At(self.counts.items - 1)
    }

    /// The place of what the next step adds to the core list.
    fn core_place(&mut self) -> u32 {
        self.counts.core += 1;
        self.counts.core - 1
    }

    /// Adds an item to the index space of its sort.
    fn name(&mut self, kind: ComponentExternalKind, item: ItemRef) {
        match kind {
            ComponentExternalKind::Func => self.spaces.funcs.push(item),
            ComponentExternalKind::Instance => self.spaces.instances.push(item),
            ComponentExternalKind::Module => self.spaces.modules.push(item),
            ComponentExternalKind::Component => self.spaces.components.push(item),
            ComponentExternalKind::Type => self.spaces.types += 1,
            ComponentExternalKind::Value => {}
        }
    }

    /// Adds the item that the next step adds to the index space of its sort. Types are no items.
    fn name_next(&mut self, kind: ComponentExternalKind) {
        let item = match kind {
            ComponentExternalKind::Type | ComponentExternalKind::Value => ItemRef::Type,
            _ => self.place(),
        };
        self.name(kind, item);
    }

    /// An item by kind and index.
    fn item(&mut self, types: TypesRef<'_>, kind: ComponentExternalKind, index: u32) -> Result<ItemRef, DecodeError> {
        let at = index as usize;
        Ok(match kind {
            ComponentExternalKind::Func => self.spaces.funcs[at].clone(),
            ComponentExternalKind::Instance => self.spaces.instances[at].clone(),
            ComponentExternalKind::Module => self.spaces.modules[at].clone(),
            ComponentExternalKind::Component => self.spaces.components[at].clone(),
            ComponentExternalKind::Type => match types.component_any_type_at(index) {
                ComponentAnyTypeId::Resource(id) => ItemRef::Resource(self.types.slot(id.resource())),
                _ => ItemRef::Type,
            },
            ComponentExternalKind::Value => return Err(unsupported("values as imports and exports")),
        })
    }

    /// The slot of a resource type.
    fn resource(&mut self, types: TypesRef<'_>, index: u32) -> u32 {
        match types.component_any_type_at(index) {
            ComponentAnyTypeId::Resource(id) => self.types.slot(id.resource()),
            _ => unreachable!("the validator has seen that it is a resource"),
        }
    }
}

impl Decoder<'_, '_> {
    fn payload(&mut self, payload: &Payload<'_>) -> Result<(), Error> {
        if let Payload::Version { encoding, .. } = payload {
            match encoding {
                Encoding::Module if self.open.is_empty() => {
                    return Err(DecodeError::Module.into());
                }
                Encoding::Module => self.open.push(Open::Module),
                Encoding::Component => self.open.push(Open::Component(Box::new(Frame::new()))),
            }
        }
        if let Payload::End(_) = payload {
            return self.end(payload);
        }
        if let Payload::ModuleSection { unchecked_range, .. } = payload {
            self.validate(payload)?;
            return self.module(unchecked_range.clone());
        }
        self.validate(payload)?;
        let Some(Open::Component(_)) = self.open.last() else { return Ok(()) };
        match payload {
            Payload::ComponentImportSection(section) => each(section, |import| self.import(&import)),
            Payload::ComponentTypeSection(section) => each(section, |ty| self.type_def(&ty)),
            Payload::InstanceSection(section) => each(section, |instance| self.core_instance(instance)),
            Payload::ComponentInstanceSection(section) => each(section, |instance| self.instance(instance)),
            Payload::ComponentAliasSection(section) => each(section, |alias| self.alias(alias)),
            Payload::ComponentCanonicalSection(section) => each(section, |canon| self.canonical(canon)),
            Payload::ComponentExportSection(section) => each(section, |export| self.export(&export)),
            Payload::ComponentStartSection { .. } => Err(unsupported("start functions of components").into()),
            _ => Ok(()),
        }
    }

    fn validate(&mut self, payload: &Payload<'_>) -> Result<(), Error> {
        self.validator.payload(payload).map(drop).map_err(|error| DecodeError::from(error).into())
    }

    /// The component being read, and the validator's view of it.
    fn frame(&mut self) -> (&mut Frame, TypesRef<'_>) {
        let types = self.validator.types(0).expect("a component is being read");
        (component(self.open.last_mut().expect("the same")), types)
    }

    fn step(&mut self, step: Step) {
        self.frame().0.steps.push(step);
    }

    /// A module inside: what follows are its sections, which only the validator reads.
    fn module(&mut self, range: Range<u64>) -> Result<(), Error> {
        let outside = || DecodeError::Invalid { message: "unexpected end-of-file".to_string(), offset: range.end };
        let bytes = self.bytes.part(range.start as usize..range.end as usize).ok_or_else(outside)?;
        let module = (self.make_module)(bytes)?;
        let frame = component(self.open.last_mut().expect("modules are in components"));
        frame.all_modules.push(module.clone());
        frame.spaces.modules.push(ItemRef::Module(module));
        Ok(())
    }

    fn end(&mut self, payload: &Payload<'_>) -> Result<(), Error> {
        self.validate(payload)?;
        let Some(Open::Component(frame)) = self.open.pop() else { return Ok(()) };
        let (definition, captures) = frame.finish();
        let definition = Arc::new(definition);
        match self.open.last_mut() {
            None => self.whole = Some(definition),
            Some(outer) => {
                let outer = component(outer);
                outer.all_modules.extend_from_slice(&definition.modules);
                outer.is_concurrent |= definition.is_concurrent;
                let item = if captures.is_empty() {
                    ItemRef::Component(Arc::new(ComponentItem { definition, captured: Box::default() }))
                } else {
                    outer.steps.push(Step::Component { definition, captures });
                    outer.place()
                };
                outer.spaces.components.push(item);
            }
        }
        Ok(())
    }

    fn import(&mut self, import: &wasmparser::ComponentImport<'_>) -> Result<(), Error> {
        let name = import.name.name;
        let (frame, types) = self.frame();
        frame.name_next(import.ty.kind());
        let item = types.component_item_for_import(name).expect("the validator has just added it");
        // That a type is the same as another needs nothing, and nobody lists it.
        if lists(&item.ty) {
            let ty = frame.types.entity(types, &item.ty)?;
            frame.ty.imports.insert(name.into(), ty.clone());
            note_attributes(&mut frame.ty.import_attributes, name, item);
            let bindings = frame.types.introduce(&ty);
            frame.steps.push(Step::Import { name: name.into(), ty, bindings });
        }
        Ok(())
    }

    fn type_def(&mut self, ty: &TypeDef<'_>) -> Result<(), Error> {
        let (frame, types) = self.frame();
        let index = frame.spaces.types;
        frame.spaces.types += 1;
        if let TypeDef::Resource { dtor, .. } = ty {
            let slot = frame.resource(types, index);
            frame.types.introduce_slot(slot);
            let dtor = dtor.map(|index| frame.core.funcs[index as usize]);
            frame.steps.push(Step::Resource { slot, dtor });
        }
        Ok(())
    }

    fn core_instance(&mut self, instance: Instance<'_>) -> Result<(), Error> {
        let (frame, _) = self.frame();
        let made = match instance {
            Instance::Instantiate { module_index, args } => {
                let of_arg = |arg: &wasmparser::InstantiationArg<'_>| {
                    (arg.name.into(), frame.core.instances[arg.index as usize].clone())
                };
                let args: IndexMap<Box<str>, CoreInstanceRef> = args.iter().map(of_arg).collect();
                let module = frame.spaces.modules[module_index as usize].clone();
                let (imports, known) = match &module {
                    ItemRef::Module(module) => (CoreImports::of(module, &args)?, Some(module.clone())),
                    _ => (CoreImports::Named(args), None),
                };
                frame.steps.push(Step::CoreInstance { module, imports });
                CoreInstanceRef::Of(frame.core_place(), known)
            }
            Instance::FromExports(exports) => {
                let item = |export: &wasmparser::Export<'_>| {
                    let place = frame.core.of(core_sort(export.kind))[export.index as usize];
                    (export.name.into(), place)
                };
                CoreInstanceRef::Items(exports.iter().map(item).collect())
            }
        };
        frame.core.instances.push(made);
        Ok(())
    }

    fn instance(&mut self, instance: ComponentInstance<'_>) -> Result<(), Error> {
        let (frame, types) = self.frame();
        let index = frame.spaces.instances.len() as u32;
        let step = match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                let mut given = IndexMap::default();
                for arg in &args {
                    given.insert(arg.name.into(), frame.item(types, arg.kind, arg.index)?);
                }
                let ty = frame.types.instance(types, types.component_instance_at(index))?;
                let bindings = frame.types.introduce(&ItemType::Instance(ty));
                let component = frame.spaces.components[component_index as usize].clone();
                Step::Instance { component, args: given, bindings }
            }
            ComponentInstance::FromExports(exports) => {
                let names = exports.iter().map(|export| export.name.name.into()).collect();
                let items = exports.iter().map(|export| frame.item(types, export.kind, export.index));
                Step::Exports { names: Arc::new(names), items: items.collect::<Result<_, _>>()? }
            }
        };
        frame.steps.push(step);
        frame.name_next(ComponentExternalKind::Instance);
        Ok(())
    }

    fn alias(&mut self, alias: ComponentAlias<'_>) -> Result<(), Error> {
        let (frame, types) = self.frame();
        match alias {
            ComponentAlias::InstanceExport { kind, instance_index, name } => {
                frame.name_next(kind);
                // Resources are known from where the instance came from.
                if !matches!(kind, ComponentExternalKind::Type) {
                    let ty = frame.types.instance(types, types.component_instance_at(instance_index))?;
                    let at = ty.exports.get_index_of(name).unwrap_or(0) as u32;
                    let instance = frame.spaces.instances[instance_index as usize].clone();
                    frame.steps.push(Step::Alias { instance, name: (name.into(), at) });
                }
            }
            ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                let place = match frame.core.instances[instance_index as usize].export(name)? {
                    CoreImport::Item(place) => place,
                    CoreImport::Export(instance, export) => {
                        frame.steps.push(Step::CoreAlias { instance, export });
                        frame.core_place()
                    }
                };
                frame.core.of(core_sort(kind)).push(place);
            }
            ComponentAlias::Outer { kind, count, index } => self.outer_alias(kind, count as usize, index),
        }
        Ok(())
    }

    fn outer_alias(&mut self, kind: ComponentOuterAliasKind, count: usize, index: u32) {
        let here = self.open.len() - 1;
        let outer = &mut component(&mut self.open[here - count]).spaces;
        let (mut item, kind) = match kind {
            ComponentOuterAliasKind::CoreModule => {
                (outer.modules[index as usize].clone(), ComponentExternalKind::Module)
            }
            ComponentOuterAliasKind::Component => {
                (outer.components[index as usize].clone(), ComponentExternalKind::Component)
            }
            ComponentOuterAliasKind::Type => return self.frame().0.spaces.types += 1,
            ComponentOuterAliasKind::CoreType => return,
        };
        // Each scope on the way inwards takes it from the one around, but for what is the same for each instance.
        for level in (here - count + 1)..=here {
            if let ItemRef::At(_) | ItemRef::Captured(_) = item {
                let captures = &mut component(&mut self.open[level]).captures;
                captures.push(item);
                item = ItemRef::Captured(captures.len() as u32 - 1);
            }
        }
        self.frame().0.name(kind, item);
    }

    fn canonical(&mut self, canon: CanonicalFunction) -> Result<(), Error> {
        let (frame, types) = self.frame();
        let core = match canon {
            CanonicalFunction::Lift { core_func_index, options, .. } => {
                let index = frame.spaces.funcs.len() as u32;
                let ty = frame.types.func(types, types.component_function_at(index))?;
                let core = frame.core.funcs[core_func_index as usize];
                frame.steps.push(Step::Lift { core, ty, options: frame.core.options(&options)? });
                frame.name_next(ComponentExternalKind::Func);
                return Ok(());
            }
            CanonicalFunction::Lower { func_index, options } => {
                let ty = frame.types.func(types, types.component_function_at(func_index))?;
                let func = frame.spaces.funcs[func_index as usize].clone();
                CoreStep::Lower { func, ty, options: frame.core.options(&options)? }
            }
            CanonicalFunction::ResourceNew { resource } => {
                CoreStep::ResourceNew { slot: frame.resource(types, resource) }
            }
            CanonicalFunction::ResourceDrop { resource } => {
                CoreStep::ResourceDrop { slot: frame.resource(types, resource) }
            }
            CanonicalFunction::ResourceRep { resource } => {
                CoreStep::ResourceRep { slot: frame.resource(types, resource) }
            }
            canon => CoreStep::Builtin(Arc::new(builtins::read(frame, types, canon)?)),
        };
        let place = frame.core_place();
        frame.core.funcs.push(place);
        let host = Arc::new(host_half(self.engine, &core)?);
        self.step(Step::Core(core, host));
        Ok(())
    }

    fn export(&mut self, export: &wasmparser::ComponentExport<'_>) -> Result<(), Error> {
        let name = export.name.name;
        let (frame, types) = self.frame();
        let item = frame.item(types, export.kind, export.index)?;
        frame.name(export.kind, item.clone());
        let exported = types.component_item_for_export(name).expect("the validator has just added it");
        let ty = frame.types.entity(types, &exported.ty)?;
        // A type that the component gives to the export may have resources of its own, which stand for the item's.
        let bindings = frame.types.introduce(&ty);
        frame.ty.exports.insert(name.into(), ty);
        note_attributes(&mut frame.ty.export_attributes, name, exported);
        frame.export_names.insert(name.into());
        if !bindings.is_empty() {
            frame.steps.push(Step::Bind { item: item.clone(), bindings });
        }
        frame.exported.push(item);
        Ok(())
    }
}

/// The engine's half of a core function that components make: which function of ours it calls. What it is called for is known when the
/// component is instantiated.
fn host_half(engine: &Engine, core: &CoreStep) -> Result<HostFunc, Error> {
    use ampoule::ValType::I32;
    let (ty, code) = match core {
        CoreStep::Lower { ty, options, .. } => {
            let ty = if options.is_async { ty.core_lowered_async() } else { ty.core_lowered() };
            (core_type(ty), callback::<Lowered> as RawCallback)
        }
        CoreStep::Builtin(builtin) => (core_type(builtin.core_type()), callback::<BuiltinData> as RawCallback),
        CoreStep::ResourceDrop { .. } => (FuncType::new([I32], []), callback::<HandleBuiltin> as RawCallback),
        CoreStep::ResourceNew { .. } | CoreStep::ResourceRep { .. } => {
            (FuncType::new([I32], [I32]), callback::<HandleBuiltin> as RawCallback)
        }
    };
    // SAFETY: the callbacks keep to the contract, with the environments that instantiation gives them.
    unsafe { HostFunc::raw(engine, &ty, code, std::ptr::null_mut(), Box::new(())) }
}

fn component(open: &mut Open) -> &mut Frame {
    match open {
        Open::Component(frame) => frame,
        Open::Module => unreachable!("sections of components are in components"),
    }
}

fn each<'a, T: wasmparser::FromReader<'a>>(
    section: &wasmparser::SectionLimited<'a, T>,
    mut take: impl FnMut(T) -> Result<(), Error>,
) -> Result<(), Error> {
    section.clone().into_iter().try_for_each(|item| take(item.map_err(DecodeError::from)?))
}

fn core_sort(kind: ExternalKind) -> CoreSort {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => CoreSort::Func,
        ExternalKind::Table => CoreSort::Table,
        ExternalKind::Memory => CoreSort::Memory,
        ExternalKind::Global => CoreSort::Global,
        ExternalKind::Tag => CoreSort::Tag,
    }
}

fn unsupported(what: &str) -> DecodeError {
    DecodeError::Unsupported(what.to_string())
}
