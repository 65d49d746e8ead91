//! Instantiation: the steps of a definition, one after another, in a store.

use crate::adapter;
use crate::builtin::Builtin;
use crate::canon::options::{Options, StaticOptions};
use crate::component::Component;
use crate::concurrency;
use crate::core_items::{CoreInstance, CoreItems, ImportPlaces};
use crate::definition::{Bindings, Capture, CoreStep, Definition, ItemRef, Step};
use crate::handle::Dtor;
use crate::instance::Instance;
use crate::items::{ComponentItem, InstanceItems, Item, Names};
use crate::names::IndexMap;
use crate::records::{BuiltinData, FuncData, HandleBuiltin, Lowered};
use crate::state::ComponentState;
use ampoule::func::host::HostFunc;
use ampoule::{Error, Extern, Module, Store};
use std::sync::Arc;

/// Where a component's imports come from: an item by name, for the instance that imports it.
pub(crate) type Imports<'i> = dyn FnMut(&mut Store, u32, &str) -> Result<Item, Error> + 'i;

/// Instances may be nested so deep; a component that is nested deeper doesn't pass the validator, but one may be given another.
const MAX_DEPTH: usize = 100;

/// Instantiates a component.
///
/// # Errors
/// Where an import is missing or doesn't fit, a limit refuses, or a start function is stopped.
pub(crate) fn instantiate(
    store: &mut Store,
    component: &Component,
    imports: &mut Imports<'_>,
) -> Result<Instance, Error> {
    let state = ComponentState::of(store);
    state.is_concurrent |= component.definition.is_concurrent;
    let index = run(store, &component.definition, &[], imports, None, 0)?;
    Ok(Instance { store_id: store.id(), index })
}

/// The index spaces of a component that is being instantiated.
struct Scope<'d> {
    /// Its place in the store.
    instance: u32,
    captured: &'d [Item],
    core: CoreItems<'d>,
    funcs: Vec<u32>,
    instances: Vec<Arc<InstanceItems>>,
    components: Vec<Arc<ComponentItem>>,
    modules: Vec<Module>,
    exports: Vec<Item>,
}

/// Takes the steps of a definition, and gives the place of the instance.
fn run(
    store: &mut Store,
    definition: &Arc<Definition>,
    captured: &[Item],
    imports: &mut Imports<'_>,
    parent: Option<u32>,
    depth: usize,
) -> Result<u32, Error> {
    if depth >= MAX_DEPTH {
        return Err(Error::message("components are nested too deep"));
    }
    let instance = ComponentState::of(store).add_instance(definition, parent)?;
    let mut scope = Scope::new(instance, captured, definition.exports.len());
    for step in &definition.steps {
        scope.step(store, step, imports, depth)?;
    }
    let items = InstanceItems { names: Names::Set(definition.exports.clone()), items: scope.exports.into() };
    ComponentState::of(store).instance(instance).exports = Some(Arc::new(items));
    Ok(instance)
}

impl<'d> Scope<'d> {
    fn new(instance: u32, captured: &'d [Item], exports: usize) -> Self {
        Self {
            instance,
            captured,
            core: CoreItems::default(),
            funcs: Vec::new(),
            instances: Vec::new(),
            components: Vec::new(),
            modules: Vec::new(),
            exports: Vec::with_capacity(exports),
        }
    }

    fn step(
        &mut self,
        store: &mut Store,
        step: &'d Step,
        imports: &mut Imports<'_>,
        depth: usize,
    ) -> Result<(), Error> {
        match step {
            Step::Import { name, bindings, .. } => {
                let item = imports(store, self.instance, name)?;
                self.bind(store, bindings, &item)?;
                self.push(item);
            }
            Step::Module(module) => self.modules.push(module.clone()),
            Step::Component { definition, captures } => {
                let captured = captures.iter().map(|&capture| self.capture(capture)).collect();
                self.components.push(Arc::new(ComponentItem { definition: definition.clone(), captured }));
            }
            Step::Captured(index) => self.push(self.captured[*index as usize].clone()),
            Step::CoreInstance { module, args, places } => self.core_instance(store, *module, args, places)?,
            Step::CoreExports(items) => self.core.instances.push(CoreInstance::Items(items)),
            Step::Instance { component, args, bindings } => {
                let instance = self.nested(store, *component, args, depth)?;
                self.bind(store, bindings, &instance)?;
                self.push(instance);
            }
            Step::Exports { names, items } => {
                let items = items.iter().map(|item| self.item(store, item)).collect::<Result<_, _>>()?;
                self.instances.push(Arc::new(InstanceItems { names: Names::Set(names.clone()), items }));
            }
            Step::Alias { instance, name } => {
                let item = self.instances[*instance as usize].get(name).cloned();
                self.push(item.ok_or_else(|| missing("instance", name))?);
            }
            Step::CoreAlias { instance, name, sort, place } => {
                let item = self.core.alias(store, *instance, name, place)?;
                self.core.space(*sort).push(item);
            }
            Step::Resource { slot, dtor } => {
                let func = dtor.map(|index| self.core.func(index));
                let dtor = Dtor::Guest { func, instance: self.instance };
                let store_id = store.id();
                let state = ComponentState::of(store);
                let resource = state.add_guest_resource(store_id, dtor);
                state.instance(self.instance).resources[*slot as usize] = resource;
            }
            Step::Lift { core, ty, options } => {
                let (core, options) = (self.core.func(*core), self.options(options)?);
                self.add_func(store, FuncData::Lifted { core, ty: ty.clone(), options });
            }
            Step::Core(core, host) => {
                let func = self.core(store, core, host)?;
                self.core.funcs.push(Extern::Func(func));
            }
            Step::Again(item) => {
                let item = self.item(store, item)?;
                self.push(item);
            }
            Step::Export { item, bindings } => {
                let item = self.item(store, item)?;
                self.bind(store, bindings, &item)?;
                self.exports.push(item.clone());
                self.push(item);
            }
        }
        Ok(())
    }

    /// Adds an item to the index space of its sort.
    fn push(&mut self, item: Item) {
        match item {
            Item::Func(index) => self.funcs.push(index),
            Item::Instance(instance) => self.instances.push(instance),
            Item::Component(component) => self.components.push(component),
            Item::Module(module) => self.modules.push(module),
            // Of types only resources are there at run time, in the instance's slots.
            Item::Resource(_) | Item::Type => {}
        }
    }

    fn item(&self, store: &mut Store, item: &ItemRef) -> Result<Item, Error> {
        Ok(match *item {
            ItemRef::Func(index) => Item::Func(self.funcs[index as usize]),
            ItemRef::Instance(index) => Item::Instance(self.instances[index as usize].clone()),
            ItemRef::Component(index) => Item::Component(self.components[index as usize].clone()),
            ItemRef::Module(index) => Item::Module(self.modules[index as usize].clone()),
            ItemRef::Resource(slot) => Item::Resource(ComponentState::of(store).resource_at(self.instance, slot)?),
            ItemRef::Type => Item::Type,
        })
    }

    fn capture(&self, capture: Capture) -> Item {
        match capture {
            Capture::Module(index) => Item::Module(self.modules[index as usize].clone()),
            Capture::Component(index) => Item::Component(self.components[index as usize].clone()),
            Capture::Captured(index) => self.captured[index as usize].clone(),
        }
    }

    /// Notes the resources that come with an item.
    fn bind(&self, store: &mut Store, bindings: &Bindings, item: &Item) -> Result<(), Error> {
        for (path, slot) in bindings {
            let mut found = item;
            for name in path {
                let Item::Instance(instance) = found else { return Err(missing("instance", name)) };
                found = instance.get(name).ok_or_else(|| missing("instance", name))?;
            }
            let Item::Resource(resource) = *found else {
                return Err(Error::message(format!("expected a resource, found a {}", found.kind())));
            };
            ComponentState::of(store).instance(self.instance).resources[*slot as usize] = resource;
        }
        Ok(())
    }

    fn nested(
        &self,
        store: &mut Store,
        component: u32,
        args: &IndexMap<Box<str>, ItemRef>,
        depth: usize,
    ) -> Result<Item, Error> {
        let component = self.components[component as usize].clone();
        let mut imports = |store: &mut Store, _: u32, name: &str| {
            let arg = args.get(name).ok_or_else(|| missing("instantiation argument", name))?;
            self.item(store, arg)
        };
        let instance =
            run(store, &component.definition, &component.captured, &mut imports, Some(self.instance), depth + 1)?;
        let exports = ComponentState::of(store).instance(instance).exports.clone();
        Ok(Item::Instance(exports.expect("just made")))
    }

    fn core_instance(
        &mut self,
        store: &mut Store,
        module: u32,
        args: &IndexMap<Box<str>, u32>,
        places: &ImportPlaces,
    ) -> Result<(), Error> {
        let module = self.modules[module as usize].clone();
        let imports = self.core.imports(store, &module, args, places)?;
        let mut made = None;
        let has_start = module.description().start.is_some();
        let mut make = |store: &mut Store| {
            // SAFETY: the validator has compared the types of core imports, and the linker has compared imported modules with theirs. All
            // is of this store, and of its engine.
            made = Some(unsafe { ampoule::Instance::new_unchecked(store, &module, &imports) }?);
            Ok(())
        };
        let ran = if has_start && ComponentState::of(store).is_concurrent {
            concurrency::call::synchronous(store, self.instance, &mut make)
        } else {
            make(store)
        };
        let made = ran.map(|()| made.expect("made without an error"));
        let made = made.inspect_err(|error| {
            // A start function that was stopped leaves the guest in the middle of something.
            let ran = error.is_trap() || error.exit_status().is_some();
            ComponentState::of(store).poisoned |= ran;
        })?;
        self.core.instances.push(CoreInstance::Of(made));
        Ok(())
    }

    fn options(&self, options: &StaticOptions) -> Result<Options, Error> {
        let memory = options.memory.map(|index| match &self.core.memories[index as usize] {
            Extern::Memory(memory) => Ok(*memory),
            _ => Err(Error::message("the memory of a component function is not to be shared")),
        });
        Ok(Options {
            instance: self.instance,
            encoding: options.encoding,
            memory: memory.transpose()?,
            realloc: options.realloc.map(|index| self.core.func(index)),
            post_return: options.post_return.map(|index| self.core.func(index)),
            is_async: options.is_async,
            callback: options.callback.map(|index| self.core.func(index)),
        })
    }

    fn add_func(&mut self, store: &mut Store, data: FuncData) {
        let funcs = &mut ComponentState::of(store).funcs;
        funcs.push(data);
        self.funcs.push(funcs.len() as u32 - 1);
    }

    /// A core function that the component model makes.
    fn core(&self, store: &mut Store, core: &CoreStep, host: &Arc<HostFunc>) -> Result<ampoule::Func, Error> {
        let builtin = |store: &mut Store, slot: u32, does| {
            let state = ComponentState::of(store);
            let resource = state.resource_at(self.instance, slot)?;
            let builtin = state.builtins.push(HandleBuiltin { instance: self.instance, resource, does });
            Ok::<_, Error>((&raw const *builtin).cast())
        };
        let env: *const std::ffi::c_void = match core {
            CoreStep::Lower { func, ty, options } => {
                let func = self.funcs[*func as usize];
                let state = ComponentState::of(store);
                let is_kin = match &state.funcs[func as usize] {
                    callee @ FuncData::Lifted { .. } => state.are_kin(self.instance, callee.instance()),
                    FuncData::Host { .. } => false,
                };
                let lowered = Lowered { ty: ty.clone(), options: self.options(options)?, func, is_kin, adapter: None };
                (&raw const *state.lowered.push(lowered)).cast()
            }
            CoreStep::Builtin(builtin) => {
                let table = match builtin {
                    Builtin::ThreadNewIndirect { table } => match &self.core.tables[*table as usize] {
                        Extern::Table(table) => Some(*table),
                        _ => unreachable!("the space of tables has tables"),
                    },
                    _ => None,
                };
                let options = self.options(&builtin.options())?;
                let data = BuiltinData { instance: self.instance, builtin: builtin.clone(), options, table };
                let builtins = &mut ComponentState::of(store).task_builtins;
                builtins.push(Box::new(data));
                (&raw const **builtins.last().expect("just added")).cast()
            }
            CoreStep::ResourceNew { slot } => builtin(store, *slot, HandleBuiltin::make)?,
            CoreStep::ResourceDrop { slot } => builtin(store, *slot, HandleBuiltin::drop)?,
            CoreStep::ResourceRep { slot } => builtin(store, *slot, HandleBuiltin::rep)?,
        };
        // SAFETY: the environment is what the callback of this step expects, and stays in the store as long as that lives.
        let func = unsafe { ampoule::Func::from_host_with(store, host, env.cast_mut()) };
        match core {
            // SAFETY: the function is of what was just added.
            CoreStep::Lower { .. } => Ok(unsafe { adapter::adapt(store, func) }),
            _ => Ok(func),
        }
    }
}

fn missing(of: &str, name: &str) -> Error {
    Error::message(format!("no {of} `{name}` is there"))
}
