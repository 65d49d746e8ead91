//! Reading components: bytes become a [`Definition`].
//!
//! `wasmparser` validates; what is read here has been validated before, section by section. A core module inside is validated twice:
//! its declarations with the component, all of it when it becomes a [`Module`].

mod builtins;
mod types;

use crate::canon::options::StaticOptions;
use crate::core_callback::callback;
use crate::core_items::{AliasPlace, ImportPlaces};
use crate::decode::types::{Types, lists, note_attributes};
use crate::definition::{Capture, CoreSort, CoreStep, Definition, ItemRef, Step};
use crate::func::core_type;
use crate::names::{IndexMap, IndexSet};
use crate::records::{BuiltinData, HandleBuiltin, Lowered};
use crate::types::{ComponentType, ItemType};
use ampoule::func::host::{HostFunc, RawCallback};
use ampoule::{Engine, Error, FuncType, Module};
use ampoule_core::decode::DecodeError;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmparser::component_types::ComponentAnyTypeId;
use wasmparser::types::TypesRef;
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentType as TypeDef, Encoding, ExternalKind, Instance, Parser, Payload, Validator,
};

/// What makes a module of its bytes, or of what it was compiled to before: for each of a component in order.
pub(crate) type MakeModule<'m> = dyn FnMut(&[u8]) -> Result<Module, Error> + 'm;

/// Reads a component in binary form.
///
/// # Errors
/// [`ampoule::error::ErrorKind::Decode`] with what is wrong and where; what `make_module` says of a module inside.
pub(crate) fn decode(
    engine: &Engine,
    bytes: &[u8],
    make_module: &mut MakeModule<'_>,
) -> Result<Arc<Definition>, Error> {
    ampoule::with_stack(STACK, || decode_here(engine, bytes, make_module))
}

/// What reading a component takes of the stack at most: types, instances and components are nested in each other.
const STACK: usize = 1 << 20;

fn decode_here(engine: &Engine, bytes: &[u8], make_module: &mut MakeModule<'_>) -> Result<Arc<Definition>, Error> {
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
    bytes: &'a [u8],
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
    captures: Vec<Capture>,
    export_names: IndexSet<Box<str>>,
    ty: ComponentType,
    counts: Counts,
}

/// How far the index spaces are filled whose items' types are asked for.
#[derive(Default)]
struct Counts {
    types: u32,
    funcs: u32,
    instances: u32,
    modules: u32,
    components: u32,
}

impl Frame {
    fn new() -> Self {
        Self {
            types: Types::new(NEXT_SCOPE.fetch_add(1, Ordering::Relaxed)),
            steps: Vec::new(),
            captures: Vec::new(),
            export_names: IndexSet::default(),
            ty: ComponentType::default(),
            counts: Counts::default(),
        }
    }

    fn finish(self) -> (Definition, Box<[Capture]>) {
        let definition = Definition {
            scope: self.types.scope(),
            is_closed: !self.steps.iter().any(|step| matches!(step, Step::Core(..))),
            is_concurrent: Step::any_is_concurrent(&self.steps),
            steps: self.steps,
            slots: self.types.slots(),
            exports: Arc::new(self.export_names),
            ty: Arc::new(self.ty),
        };
        (definition, self.captures.into())
    }

    /// Counts an item of a sort into its index space.
    fn count(&mut self, kind: ComponentExternalKind) {
        match kind {
            ComponentExternalKind::Func => self.counts.funcs += 1,
            ComponentExternalKind::Instance => self.counts.instances += 1,
            ComponentExternalKind::Module => self.counts.modules += 1,
            ComponentExternalKind::Component => self.counts.components += 1,
            ComponentExternalKind::Type => self.counts.types += 1,
            ComponentExternalKind::Value => {}
        }
    }

    /// An item by kind and index.
    fn item(&mut self, types: TypesRef<'_>, kind: ComponentExternalKind, index: u32) -> Result<ItemRef, DecodeError> {
        Ok(match kind {
            ComponentExternalKind::Func => ItemRef::Func(index),
            ComponentExternalKind::Instance => ItemRef::Instance(index),
            ComponentExternalKind::Module => ItemRef::Module(index),
            ComponentExternalKind::Component => ItemRef::Component(index),
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
        let bytes = self.bytes.get(range.start as usize..range.end as usize).ok_or_else(outside)?;
        let module = (self.make_module)(bytes)?;
        let frame = component(self.open.last_mut().expect("modules are in components"));
        frame.counts.modules += 1;
        frame.steps.push(Step::Module(module));
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
                outer.counts.components += 1;
                outer.steps.push(Step::Component { definition, captures });
            }
        }
        Ok(())
    }

    fn import(&mut self, import: &wasmparser::ComponentImport<'_>) -> Result<(), Error> {
        let name = import.name.name;
        let (frame, types) = self.frame();
        frame.count(import.ty.kind());
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
        let index = frame.counts.types;
        frame.counts.types += 1;
        if let TypeDef::Resource { dtor, .. } = ty {
            let slot = frame.resource(types, index);
            frame.types.introduce_slot(slot);
            frame.steps.push(Step::Resource { slot, dtor: *dtor });
        }
        Ok(())
    }

    fn core_instance(&mut self, instance: Instance<'_>) -> Result<(), Error> {
        let step = match instance {
            Instance::Instantiate { module_index, args } => Step::CoreInstance {
                module: module_index,
                args: args.iter().map(|arg| (arg.name.into(), arg.index)).collect(),
                places: ImportPlaces::default(),
            },
            Instance::FromExports(exports) => {
                let export =
                    |export: &wasmparser::Export<'_>| (export.name.into(), (core_sort(export.kind), export.index));
                Step::CoreExports(exports.iter().map(export).collect())
            }
        };
        self.step(step);
        Ok(())
    }

    fn instance(&mut self, instance: ComponentInstance<'_>) -> Result<(), Error> {
        let (frame, types) = self.frame();
        let index = frame.counts.instances;
        frame.counts.instances += 1;
        let step = match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                let mut given = IndexMap::default();
                for arg in &args {
                    given.insert(arg.name.into(), frame.item(types, arg.kind, arg.index)?);
                }
                let ty = frame.types.instance(types, types.component_instance_at(index))?;
                let bindings = frame.types.introduce(&ItemType::Instance(ty));
                Step::Instance { component: component_index, args: given, bindings }
            }
            ComponentInstance::FromExports(exports) => {
                let names = exports.iter().map(|export| export.name.name.into()).collect();
                let items = exports.iter().map(|export| frame.item(types, export.kind, export.index));
                Step::Exports { names: Arc::new(names), items: items.collect::<Result<_, _>>()? }
            }
        };
        frame.steps.push(step);
        Ok(())
    }

    fn alias(&mut self, alias: ComponentAlias<'_>) -> Result<(), Error> {
        match alias {
            ComponentAlias::InstanceExport { kind, instance_index, name } => {
                let (frame, _) = self.frame();
                frame.count(kind);
                // Resources are known from where the instance came from.
                if !matches!(kind, ComponentExternalKind::Type) {
                    frame.steps.push(Step::Alias { instance: instance_index, name: name.into() });
                }
            }
            ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                let (name, sort) = (name.into(), core_sort(kind));
                self.step(Step::CoreAlias { instance: instance_index, name, sort, place: AliasPlace::default() });
            }
            ComponentAlias::Outer { kind, count, index } => self.outer_alias(kind, count as usize, index),
        }
        Ok(())
    }

    fn outer_alias(&mut self, kind: ComponentOuterAliasKind, count: usize, index: u32) {
        let mut capture = match kind {
            ComponentOuterAliasKind::CoreModule => Capture::Module(index),
            ComponentOuterAliasKind::Component => Capture::Component(index),
            ComponentOuterAliasKind::Type => return self.frame().0.counts.types += 1,
            ComponentOuterAliasKind::CoreType => return,
        };
        let here = self.open.len() - 1;
        // Each scope on the way inwards takes it from the one around.
        for level in (here - count + 1)..=here {
            let frame = component(&mut self.open[level]);
            frame.captures.push(capture);
            capture = Capture::Captured(frame.captures.len() as u32 - 1);
        }
        let frame = component(&mut self.open[here]);
        frame.steps.push(match capture {
            Capture::Captured(index) => Step::Captured(index),
            Capture::Module(index) => Step::Again(ItemRef::Module(index)),
            Capture::Component(index) => Step::Again(ItemRef::Component(index)),
        });
        match kind {
            ComponentOuterAliasKind::CoreModule => frame.counts.modules += 1,
            _ => frame.counts.components += 1,
        }
    }

    fn canonical(&mut self, canon: CanonicalFunction) -> Result<(), Error> {
        let (frame, types) = self.frame();
        let options = |options: &[_]| StaticOptions::read(options).map_err(|what| Error::from(unsupported(&what)));
        let core = match canon {
            CanonicalFunction::Lift { core_func_index, options: given, .. } => {
                let ty = frame.types.func(types, types.component_function_at(frame.counts.funcs))?;
                frame.counts.funcs += 1;
                frame.steps.push(Step::Lift { core: core_func_index, ty, options: options(&given)? });
                return Ok(());
            }
            CanonicalFunction::Lower { func_index, options: given } => {
                let ty = frame.types.func(types, types.component_function_at(func_index))?;
                CoreStep::Lower { func: func_index, ty, options: options(&given)? }
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
            canon => CoreStep::Builtin(builtins::read(frame, types, canon)?),
        };
        let host = Arc::new(host_half(self.engine, &core)?);
        self.step(Step::Core(core, host));
        Ok(())
    }

    fn export(&mut self, export: &wasmparser::ComponentExport<'_>) -> Result<(), Error> {
        let name = export.name.name;
        let (frame, types) = self.frame();
        let item = frame.item(types, export.kind, export.index)?;
        frame.count(export.kind);
        let exported = types.component_item_for_export(name).expect("the validator has just added it");
        let ty = frame.types.entity(types, &exported.ty)?;
        // A type that the component gives to the export may have resources of its own, which stand for the item's.
        let bindings = frame.types.introduce(&ty);
        frame.ty.exports.insert(name.into(), ty);
        note_attributes(&mut frame.ty.export_attributes, name, exported);
        frame.export_names.insert(name.into());
        frame.steps.push(Step::Export { item, bindings });
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
