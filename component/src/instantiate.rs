//! Instantiation: the steps of a definition, one after another, in a store.

use crate::adapter;
use crate::builtin::Builtin;
use crate::canon::options::{Options, StaticOptions};
use crate::component::Component;
use crate::concurrency;
use crate::core_items::{CoreImports, CoreItem, CoreItems};
use crate::definition::{Bindings, CoreStep, Definition, ItemRef, Step};
use crate::found::{Found, FoundImports};
use crate::handle::Dtor;
use crate::instance::Instance;
use crate::items::{ComponentItem, InstanceItem, InstanceItems, Item, Names};
use crate::kept::Kept;
use crate::names::IndexMap;
use crate::records::{BuiltinData, Callee, FuncData, HandleBuiltin, Lowered};
use crate::state::{ComponentState, Root};
use ampoule::func::host::HostFunc;
use ampoule::snapshot::OneByOne;
use ampoule::{Error, Extern, Module, Store};
use smallvec::SmallVec;
use std::sync::Arc;

/// Where a component's imports come from: an item by name, for the instance that imports it.
type Imports<'i> = dyn FnMut(&mut Store, u32, &str) -> Result<Item, Error> + 'i;

/// Where core instances come from.
pub(crate) enum Source<'s> {
    /// They are made of their modules, whose start functions run.
    Modules,
    /// They are a snapshot's, in its order.
    Snapshot(&'s mut OneByOne),
}

/// Instances may be nested so deep; a component that is nested deeper doesn't pass the validator, but one may be given another.
const MAX_DEPTH: usize = 100;

/// Instantiates a component with what was found for its imports: `None` where it has none.
///
/// # Errors
/// Where a limit refuses, or a start function is stopped.
pub(crate) fn instantiate(
    store: &mut Store,
    component: &Component,
    found: Option<&Arc<FoundImports>>,
    source: &mut Source<'_>,
) -> Result<Instance, Error> {
    let definition = &component.definition;
    let state = ComponentState::counted(store);
    if definition.is_concurrent || found.is_some_and(|found| found.is_concurrent) {
        state.become_concurrent();
    }
    let mut next = found.map_or(&[][..], |found| &found.items).iter();
    let mut imports = |store: &mut Store, instance: u32, _: &str| {
        let found: &Found = next.next().expect("as many as there are steps that import");
        Ok(found.item(ComponentState::of(store), instance))
    };
    let root = Root { _definition: definition.clone(), _found: found.cloned() };
    // SAFETY: the instance counts the definition from here on.
    let definition = unsafe { Kept::of(definition) };
    let index = ComponentState::of(store).add_instance(definition, None, Some(root))?;
    run(store, index, definition, &[], &mut imports, source, 0)?;
    Ok(Instance { store_id: store.id(), index })
}

/// Makes a core instance of a component instance, with imports that fit, and runs its start function.
fn start(store: &mut Store, instance: u32, module: &Module, given: &[Extern]) -> Result<ampoule::Instance, Error> {
    let mut made = None;
    let has_start = module.description().start.is_some();
    let mut make = |store: &mut Store| {
        // SAFETY: the validator has compared the types of core imports, and the linker has compared imported modules with theirs. All
        // is of this store, and of its engine.
        made = Some(unsafe { ampoule::Instance::new_unchecked(store, module, given) }?);
        Ok(())
    };
    let ran = if has_start && ComponentState::of(store).is_concurrent {
        concurrency::call::synchronous(store, instance, &mut make)
    } else {
        make(store)
    };
    let made = ran.map(|()| made.expect("made without an error"));
    made.inspect_err(|error| {
        // A start function that was stopped leaves the guest in the middle of something.
        let ran = error.is_trap() || error.exit_status().is_some();
        ComponentState::of(store).poisoned |= ran;
    })
}

/// What a component has while it is being instantiated.
struct Scope<'d> {
    /// Its place in the store.
    instance: u32,
    captured: &'d [Item],
    items: SmallVec<[Item; 4]>,
    core: CoreItems,
    /// For the imports of the next core instance.
    core_imports: Vec<Extern>,
}

/// Takes the steps of the definition of an instance that was added.
fn run(
    store: &mut Store,
    instance: u32,
    definition: Kept<Definition>,
    captured: &[Item],
    imports: &mut Imports<'_>,
    source: &mut Source<'_>,
    depth: usize,
) -> Result<(), Error> {
    if depth >= MAX_DEPTH {
        return Err(Error::message("components are nested too deep"));
    }
    let mut scope = Scope {
        instance,
        captured,
        items: SmallVec::with_capacity(definition.counts.items as usize),
        core: CoreItems::with_capacity(definition.counts.core),
        core_imports: Vec::new(),
    };
    for step in &definition.steps {
        scope.step(store, step, imports, source, depth)?;
    }
    let mut exports = SmallVec::with_capacity(definition.exported.len());
    let state = ComponentState::of(store);
    for item in &definition.exported {
        exports.push(scope.item(state, item)?.exported(state));
    }
    state.instance(instance).exports = Some(exports);
    Ok(())
}

impl<'d> Scope<'d> {
    fn step(
        &mut self,
        store: &mut Store,
        step: &'d Step,
        imports: &mut Imports<'_>,
        source: &mut Source<'_>,
        depth: usize,
    ) -> Result<(), Error> {
        match step {
            Step::Import { name, bindings, .. } => {
                let item = imports(store, self.instance, name)?;
                self.bind(store, bindings, &item)?;
                self.push(item);
            }
            Step::Component { definition, captures } => {
                let state = ComponentState::of(store);
                let captured = captures.iter().map(|item| self.item(state, item)).collect::<Result<_, _>>()?;
                let component = ComponentItem { definition: definition.clone(), captured };
                self.items.push(Item::Component(Arc::new(component)));
            }
            Step::CoreInstance { module, imports } => self.core_instance(store, module, imports, source)?,
            Step::Instance { component, args, bindings } => {
                let instance = self.nested(store, component, args, source, depth)?;
                self.bind(store, bindings, &instance)?;
                self.items.push(instance);
            }
            Step::Exports { names, items } => {
                let state = ComponentState::of(store);
                let items = items.iter().map(|item| self.item(state, item)).collect::<Result<_, _>>()?;
                // SAFETY: the store counts the definition, which has the names.
                let names = Names::Set(unsafe { Kept::of(names) });
                let instance = InstanceItem::Items(Arc::new(InstanceItems { names, items }));
                self.items.push(Item::Instance(instance));
            }
            Step::Alias { instance, name } => {
                let Item::Instance(instance) = self.at(instance) else { unreachable!("the validator has seen that") };
                if let Some((importer, func)) = instance.host_func(name) {
                    self.items.push(Item::HostFunc(importer, func));
                    return Ok(());
                }
                let item = instance.export(ComponentState::of(store), name);
                self.push(item.ok_or_else(|| missing("instance", &name.0))?);
            }
            Step::CoreAlias { instance, export } => {
                self.core.push_export(store, *instance, export)?;
            }
            Step::Resource { slot, dtor } => {
                let func = dtor.map(|at| self.core.func(at));
                let dtor = Dtor::Guest { func, instance: self.instance };
                let store_id = store.id();
                let state = ComponentState::of(store);
                let resource = state.add_guest_resource(store_id, dtor);
                state.instance(self.instance).resources[*slot as usize] = resource;
            }
            Step::Lift { core, ty, options } => {
                self.check_memory(options)?;
                // SAFETY: the store counts the definition, which has the type.
                let ty = unsafe { Kept::of(ty) };
                let make = || FuncData::Lifted { core: self.core.func(*core), ty, options: self.options(options) };
                let func = ComponentState::of(store).add_func(make);
                self.items.push(Item::Func(func));
            }
            Step::Core(core, host) => {
                let func = self.core(store, core, host)?;
                self.core.push(CoreItem::Item(Extern::Func(func)));
            }
            Step::Bind { item, bindings } => {
                let item = self.item(ComponentState::of(store), item)?;
                self.bind(store, bindings, &item)?;
            }
        }
        Ok(())
    }

    /// Adds an item that has a place.
    #[inline]
    fn push(&mut self, item: Item) {
        // Of types only resources are there at run time, in the instance's slots.
        if !matches!(item, Item::Resource(_) | Item::Type) {
            self.items.push(item);
        }
    }

    /// An item that was added or captured.
    #[inline]
    fn at(&self, item: &ItemRef) -> &Item {
        match item {
            ItemRef::At(at) => &self.items[*at as usize],
            ItemRef::Captured(at) => &self.captured[*at as usize],
            _ => unreachable!("the others are the same for each instance"),
        }
    }

    fn item(&self, state: &ComponentState, item: &ItemRef) -> Result<Item, Error> {
        Ok(match item {
            ItemRef::At(_) | ItemRef::Captured(_) => self.at(item).clone(),
            ItemRef::Module(module) => Item::Module(module.clone()),
            ItemRef::Component(component) => Item::Component(component.clone()),
            ItemRef::Resource(slot) => Item::Resource(state.resource_at(self.instance, *slot)?),
            ItemRef::Type => Item::Type,
        })
    }

    /// Notes the resources that come with an item.
    fn bind(&self, store: &mut Store, bindings: &Bindings, item: &Item) -> Result<(), Error> {
        for (path, slot) in bindings {
            let state = ComponentState::of(store);
            let inner;
            let found = match &path[..] {
                [] => item,
                path => {
                    inner = path.iter().try_fold(item.clone(), |found, name| {
                        let Item::Instance(instance) = found else { return Err(missing("instance", &name.0)) };
                        instance.export(state, name).ok_or_else(|| missing("instance", &name.0))
                    })?;
                    &inner
                }
            };
            let Item::Resource(resource) = *found else {
                return Err(Error::message(format!("expected a resource, found a {}", found.kind())));
            };
            state.instance(self.instance).resources[*slot as usize] = resource;
        }
        Ok(())
    }

    fn nested(
        &self,
        store: &mut Store,
        component: &ItemRef,
        args: &IndexMap<Box<str>, ItemRef>,
        source: &mut Source<'_>,
        depth: usize,
    ) -> Result<Item, Error> {
        let component = match component {
            ItemRef::Component(component) => component,
            other => match self.at(other) {
                Item::Component(component) => component,
                _ => unreachable!("the validator has seen that it is a component"),
            },
        };
        let mut imports = |store: &mut Store, _: u32, name: &str| {
            let arg = args.get(name).ok_or_else(|| missing("instantiation argument", name))?;
            self.item(ComponentState::of(store), arg)
        };
        // SAFETY: the store counts the definition around it, of whichever component that is.
        let definition = unsafe { Kept::of(&component.definition) };
        let index = ComponentState::of(store).add_instance(definition, Some(self.instance), None)?;
        run(store, index, definition, &component.captured, &mut imports, source, depth + 1)?;
        Ok(Item::Instance(InstanceItem::Component(index)))
    }

    fn core_instance(
        &mut self,
        store: &mut Store,
        module: &ItemRef,
        imports: &CoreImports,
        source: &mut Source<'_>,
    ) -> Result<(), Error> {
        let mut given = std::mem::take(&mut self.core_imports);
        let module: &Module = match module {
            ItemRef::Module(module) => module,
            other => match self.at(other) {
                Item::Module(module) => module,
                _ => unreachable!("the validator has seen that it is a module"),
            },
        };
        self.core.imports(store, module, imports, &mut given)?;
        if !module.description().tags.is_empty() {
            ComponentState::of(store).instance(self.instance).may_throw = true;
        }
        let made = match source {
            Source::Modules => start(store, self.instance, module, &given)?,
            Source::Snapshot(snapshot) => snapshot.next(store, module, &given)?,
        };
        ComponentState::of(store).instance(self.instance).core.push(made);
        self.core.push(CoreItem::Instance(made));
        given.clear();
        self.core_imports = given;
        Ok(())
    }

    /// Refuses options that name a shared memory.
    fn check_memory(&self, options: &StaticOptions) -> Result<(), Error> {
        match options.memory.map(|at| self.core.item(at)) {
            None | Some(Extern::Memory(_)) => Ok(()),
            Some(_) => Err(Error::message("the memory of a component function is not to be shared")),
        }
    }

    /// Options that were checked.
    #[inline(always)]
    fn options(&self, options: &StaticOptions) -> Options {
        let memory = options.memory.map(|at| match self.core.item(at) {
            Extern::Memory(memory) => *memory,
            _ => unreachable!("it was checked"),
        });
        Options {
            instance: self.instance,
            encoding: options.encoding,
            memory,
            realloc: options.realloc.map(|at| self.core.func(at)),
            post_return: options.post_return.map(|at| self.core.func(at)),
            is_async: options.is_async,
            callback: options.callback.map(|at| self.core.func(at)),
        }
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
                let state = ComponentState::of(store);
                let (callee, is_kin) = match *self.at(func) {
                    Item::HostFunc(instance, func) => (Callee::Host(instance, func), false),
                    Item::Func(func) => match &state.funcs[func as usize] {
                        FuncData::Host { instance, func } => (Callee::Host(*instance, *func), false),
                        FuncData::Lifted { options, .. } => {
                            (Callee::Component(func), state.are_kin(self.instance, options.instance))
                        }
                    },
                    _ => unreachable!("the validator has seen that it is a function"),
                };
                // SAFETY: the store counts the definition, which has the type.
                let ty = unsafe { Kept::of(ty) };
                self.check_memory(options)?;
                let make = || Lowered { ty, options: self.options(options), callee, is_kin, adapter: None };
                (&raw const *state.lowered.push_with(make)).cast()
            }
            CoreStep::Builtin(builtin) => {
                let table = match **builtin {
                    Builtin::ThreadNewIndirect { table } => match self.core.item(table) {
                        Extern::Table(table) => Some(*table),
                        _ => unreachable!("the validator has seen that it is a table"),
                    },
                    _ => None,
                };
                let options = builtin.options();
                self.check_memory(&options)?;
                // SAFETY: the store counts the definition, which has it.
                let builtin = unsafe { Kept::of(builtin) };
                let make = || BuiltinData { instance: self.instance, builtin, options: self.options(&options), table };
                (&raw const *ComponentState::of(store).task_builtins.push_with(make)).cast()
            }
            CoreStep::ResourceNew { slot } => builtin(store, *slot, HandleBuiltin::make)?,
            CoreStep::ResourceDrop { slot } => builtin(store, *slot, HandleBuiltin::drop)?,
            CoreStep::ResourceRep { slot } => builtin(store, *slot, HandleBuiltin::rep)?,
        };
        // SAFETY: the environment is what the callback of this step expects, and stays in the store as long as that lives; the store counts the
        // definition, which has the function.
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
