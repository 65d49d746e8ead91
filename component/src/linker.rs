//! The linker: what components import, by name.

use crate::completion::Completion;
use crate::component::Component;
use crate::concurrency::accessor::Accessor;
use crate::definition::Step;
use crate::found::{Found, FoundFunc, FoundImports, FoundInstance};
use crate::handle::HostDtor;
use crate::instance::Instance;
use crate::instantiate::{Source, instantiate};
use crate::names::NameMap;
use crate::records::{HostCallee, HostFn, HostFunc, HostFuture};
use crate::typed::{LiftParams, LowerReturn};
use crate::types::item::Items;
use crate::types::{FuncType, ItemType, ModuleType, ResourceType};
use crate::val::Val;
use ampoule::sync::Mutex;
use ampoule::{Engine, Error, ExternType, Module, Store, misfit};
use hashbrown::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// Items under names, for one engine.
///
/// 1. Whoever may change an item has `last` forgotten first.
#[derive(Clone)]
pub struct Linker {
    engine: Engine,
    root: LinkerInstance,
    allow_shadowing: bool,
    last: LastFound,
}

/// What the component that was instantiated last imports, with its scope: whoever makes many instances makes them of one component, and
/// looks its names up once.
#[derive(Default)]
struct LastFound(Mutex<Option<(u64, Arc<FoundImports>)>>);

impl LastFound {
    fn get(&self, scope: u64) -> Option<Arc<FoundImports>> {
        let last = self.0.lock();
        last.as_ref().filter(|(of, _)| *of == scope).map(|(_, found)| found.clone())
    }

    fn set(&self, scope: u64, found: Arc<FoundImports>) {
        let last = self.0.lock().replace((scope, found));
        // Freed without the lock.
        drop(last);
    }
}

/// A copy of a linker looks for itself.
impl Clone for LastFound {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// An instance of the embedder's: items under names.
#[derive(Clone, Default)]
struct LinkerInstance {
    items: NameMap<Definition>,
}

#[derive(Clone)]
enum Definition {
    Func(HostFunc),
    Instance(LinkerInstance),
    Module(Module),
    Resource(ResourceType, Arc<HostDtor>),
}

impl Linker {
    /// A linker without items.
    pub fn new(engine: &Engine) -> Linker {
        Linker {
            engine: engine.clone(),
            root: LinkerInstance::default(),
            allow_shadowing: false,
            last: LastFound::default(),
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a name that is defined may be defined again, in place of the item that has it. Off at first.
    pub fn allow_shadowing(&mut self, allow: bool) {
        self.allow_shadowing = allow;
    }

    /// The items that components import by themselves, to add to.
    pub fn root(&mut self) -> LinkerInstanceMut<'_> {
        self.last = LastFound::default();
        LinkerInstanceMut { items: &mut self.root.items, allow_shadowing: self.allow_shadowing }
    }

    /// The instance that these names lead to, from the root, to add to.
    ///
    /// # Errors
    /// Where there is none.
    pub fn at(&mut self, path: &[Box<str>]) -> Result<LinkerInstanceMut<'_>, Error> {
        let allow_shadowing = self.allow_shadowing;
        self.last = LastFound::default();
        let mut items = &mut self.root.items;
        for name in path {
            match items.get_mut(name) {
                Some(Definition::Instance(instance)) => items = &mut instance.items,
                _ => return Err(Error::message(format!("the linker has no instance `{name}` any more"))),
            }
        }
        Ok(LinkerInstanceMut { items, allow_shadowing })
    }

    /// The instance of this name, made when first asked for, to add to.
    ///
    /// # Errors
    /// Where another item has the name.
    pub fn instance(&mut self, name: &str) -> Result<LinkerInstanceMut<'_>, Error> {
        let allow_shadowing = self.allow_shadowing;
        self.last = LastFound::default();
        if !self.root.items.contains(name) {
            self.root.items.insert(name, Definition::Instance(LinkerInstance::default()));
        }
        match self.root.items.get_mut(name) {
            Some(Definition::Instance(instance)) => {
                Ok(LinkerInstanceMut { items: &mut instance.items, allow_shadowing })
            }
            _ => Err(defined_twice(name)),
        }
    }

    /// Defines each function that a component imports and that isn't defined yet, as one that fails when it is called. Instances that
    /// are there get what they lack.
    ///
    /// # Errors
    /// Where a module or a component is missing.
    pub fn define_unknown_imports_as_traps(&mut self, component: &Component) -> Result<(), Error> {
        self.last = LastFound::default();
        define_as_traps(&mut self.root.items, &component.ty().imports, &|name| name.to_string())
    }

    /// Instantiates a component with the items of the names that it imports.
    ///
    /// # Errors
    /// Where an import is missing or doesn't fit, a limit refuses, or a start function is stopped.
    pub fn instantiate(&self, store: &mut Store, component: &Component) -> Result<Instance, Error> {
        place(store, component, self.found_for(component)?.as_ref(), &mut Source::Modules)
    }

    /// Finds and checks what a component imports, for instantiating it many times. What the linker is given later has no effect on it.
    ///
    /// # Errors
    /// Where an import is missing or doesn't fit.
    pub fn instantiate_pre(&self, component: &Component) -> Result<InstancePre, Error> {
        Ok(InstancePre { component: component.clone(), found: self.found_for(component)? })
    }

    /// `None` where nothing is imported.
    fn found_for(&self, component: &Component) -> Result<Option<Arc<FoundImports>>, Error> {
        if !self.engine.same(component.engine()) {
            return Err(of_another_engine());
        }
        if component.ty().imports.is_empty() {
            return Ok(None);
        }
        let scope = component.definition.scope;
        if let Some(found) = self.last.get(scope) {
            return Ok(Some(found));
        }
        let found = self.find(component)?;
        self.last.set(scope, found.clone());
        Ok(Some(found))
    }

    /// What a component imports, in the order of its steps.
    fn find(&self, component: &Component) -> Result<Arc<FoundImports>, Error> {
        self.check(component)?;
        let imports = component.definition.steps.iter().filter_map(|step| match step {
            Step::Import { name, ty, .. } => {
                Some(Definition::found(self.root.items.find(&component.ty().full_import_name(name)), ty))
            }
            _ => None,
        });
        Ok(Arc::new(FoundImports::new(imports.collect())))
    }

    /// Whether all that a component imports is there, and of the kind that it wants.
    fn check(&self, component: &Component) -> Result<(), Error> {
        let mut known = HashSet::new();
        component.ty().imports.iter().try_for_each(|(name, ty)| {
            let name = component.ty().full_import_name(name);
            Definition::check(self.root.items.find(&name), ty, &mut known).map_err(|why| {
                let kind = if let ItemType::Module(_) = ty { "core module" } else { ty.kind() };
                let what = format!(
                    "component imports {kind} `{name}`, but a matching implementation was not found in the linker"
                );
                Error::caused(what, why)
            })
        })
    }
}

/// A component whose imports have been found and checked: instantiating it only has to place them.
#[derive(Clone)]
pub struct InstancePre {
    component: Component,
    found: Option<Arc<FoundImports>>,
}

impl InstancePre {
    /// The component.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Instantiates the component.
    ///
    /// # Errors
    /// Where a limit refuses, or a start function is stopped.
    pub fn instantiate(&self, store: &mut Store) -> Result<Instance, Error> {
        self.place(store, &mut Source::Modules)
    }

    pub(crate) fn place(&self, store: &mut Store, source: &mut Source<'_>) -> Result<Instance, Error> {
        place(store, &self.component, self.found.as_ref(), source)
    }
}

impl fmt::Debug for InstancePre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstancePre").field("component", &self.component).finish_non_exhaustive()
    }
}

/// Instantiates a component with what was found for its imports.
fn place(
    store: &mut Store,
    component: &Component,
    found: Option<&Arc<FoundImports>>,
    source: &mut Source<'_>,
) -> Result<Instance, Error> {
    if !component.engine().same(store.engine()) {
        return Err(of_another_engine());
    }
    instantiate(store, component, found, source)
}

#[cold]
fn of_another_engine() -> Error {
    Error::message("cross-`Engine` instantiation is not currently supported")
}

/// An instance of a linker, to add to.
pub struct LinkerInstanceMut<'a> {
    items: &'a mut NameMap<Definition>,
    allow_shadowing: bool,
}

impl LinkerInstanceMut<'_> {
    fn insert(&mut self, name: &str, item: Definition) -> Result<(), Error> {
        if !self.allow_shadowing && self.items.contains(name) {
            return Err(defined_twice(name));
        }
        self.items.insert(name, item);
        Ok(())
    }

    /// A function; see [`HostFn`].
    ///
    /// # Errors
    /// Where the name is defined already.
    pub fn func(
        &mut self,
        name: &str,
        func: impl Fn(&mut Store, &FuncType, &mut [Val], &mut [Val]) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.insert(name, Definition::func(Arc::new(func), false))
    }

    /// A function, as [`LinkerInstanceMut::func`] takes it, that gets and gives each `list<u8>` as [`Val::bytes`]: one block instead of
    /// a value for each byte.
    ///
    /// # Errors
    /// Where the name is defined already.
    pub fn func_of_bytes(
        &mut self,
        name: &str,
        func: impl Fn(&mut Store, &FuncType, &mut [Val], &mut [Val]) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.insert(name, Definition::func(Arc::new(func), true))
    }

    /// A function with Rust's types, compared with the import's when a component is instantiated.
    ///
    /// # Errors
    /// Where the name is defined already.
    pub fn func_wrap<P: LiftParams, R: LowerReturn>(
        &mut self,
        name: &str,
        func: impl Fn(&mut Store, P) -> Result<R, Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let call = move |store: &mut Store, ty: &FuncType, args: &mut [Val], results: &mut [Val]| {
            let params = P::lift_params(store, args)?;
            func(store, params)?.lower_return(store, ty, results)
        };
        let matches = |ty: &FuncType| P::matches_params(ty).and_then(|()| R::matches_return(ty));
        self.insert(
            name,
            Definition::Func(HostFunc {
                call: HostCallee::Now(Arc::new(call)),
                compact_bytes: true,
                matches: Some(matches),
            }),
        )
    }

    /// A function that may take a while: `func` makes a future of the arguments, and the caller waits for that, or goes on meanwhile where it
    /// has called asynchronously. The future gets at the store through its [`Accessor`], and is dropped where the caller gives up the
    /// call. Each `list<u8>` is [`Val::bytes`].
    ///
    /// Calls into the components of such a store run on stacks of their own.
    ///
    /// # Errors
    /// Where the name is defined already.
    pub fn func_async(
        &mut self,
        name: &str,
        func: impl Fn(Accessor, Arc<FuncType>, Vec<Val>) -> HostFuture + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let call = HostCallee::Later(Arc::new(move |store, ty, args| func(Accessor::new(store), ty, args)));
        self.insert(name, Definition::Func(HostFunc { call, compact_bytes: true, matches: None }))
    }

    /// A function that begins something, and has a [`Completion`] with which any thread gives the answer: the caller waits for that, or goes
    /// on meanwhile where it has called asynchronously.
    ///
    /// Calls into the components of such a store run on stacks of their own.
    ///
    /// # Errors
    /// Where the name is defined already.
    pub fn func_completed(
        &mut self,
        name: &str,
        begin: impl Fn(&mut Store, &FuncType, &mut [Val], Completion) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let call = move |store: &mut Store, ty: Arc<FuncType>, mut args: Vec<Val>| {
            let (completion, answer) = Completion::new();
            begin(store, &ty, &mut args, completion);
            answer
        };
        let call = HostCallee::Later(Arc::new(call));
        self.insert(name, Definition::Func(HostFunc { call, compact_bytes: false, matches: None }))
    }

    /// A function that may take a while and tells nobody when it goes on, so that the host polls: `now` suspends its caller's stack itself,
    /// where that waits; `later` makes a future where the caller goes on, which is polled each time the host polls.
    ///
    /// # Errors
    /// Where the name is defined already.
    pub fn func_asked(
        &mut self,
        name: &str,
        now: impl Fn(&mut Store, &FuncType, &mut [Val], &mut [Val]) -> Result<(), Error> + Send + Sync + 'static,
        later: impl Fn(&mut Store, Arc<FuncType>, Vec<Val>) -> HostFuture + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let call = HostCallee::Asked(Arc::new(now), Arc::new(later));
        self.insert(name, Definition::Func(HostFunc { call, compact_bytes: false, matches: None }))
    }

    /// A core module.
    ///
    /// # Errors
    /// Where the name is defined already.
    pub fn module(&mut self, name: &str, module: &Module) -> Result<(), Error> {
        self.insert(name, Definition::Module(module.clone()))
    }

    /// A resource type of the embedder's, by a number, and what happens when a guest drops the last handle of a resource.
    ///
    /// # Errors
    /// Where the name is defined already.
    pub fn resource(
        &mut self,
        name: &str,
        ty: u32,
        dtor: impl Fn(&mut Store, u32) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.insert(name, Definition::Resource(ResourceType::Host(ty), Arc::new(dtor)))
    }

    /// An instance without items, to add to.
    ///
    /// # Errors
    /// Where the name is defined already.
    pub fn instance(&mut self, name: &str) -> Result<LinkerInstanceMut<'_>, Error> {
        self.insert(name, Definition::Instance(LinkerInstance::default()))?;
        let Some(Definition::Instance(instance)) = self.items.get_mut(name) else { unreachable!("just inserted") };
        Ok(LinkerInstanceMut { items: &mut instance.items, allow_shadowing: self.allow_shadowing })
    }
}

impl Definition {
    fn func(call: Arc<HostFn>, compact_bytes: bool) -> Definition {
        Definition::Func(HostFunc { call: HostCallee::Now(call), compact_bytes, matches: None })
    }

    /// Whether this is what an import wants: if not, why, the innermost reason last. An instance that isn't there is one without items.
    /// `known` are the resources that imports before have brought: where an interface only uses one of another interface, nobody has to
    /// define it again.
    fn check(found: Option<&Definition>, ty: &ItemType, known: &mut HashSet<ResourceType>) -> Result<(), Vec<String>> {
        match (found, ty) {
            (Some(Definition::Func(host)), ItemType::Func(ty)) => {
                host.matches.map_or(Ok(()), |matches| matches(ty).map_err(|why| vec![why]))
            }
            (Some(Definition::Resource(..)), ItemType::Resource(resource)) => {
                known.insert(*resource);
                Ok(())
            }
            (None, ItemType::Resource(resource)) if known.contains(resource) => Ok(()),
            (Some(Definition::Module(module)), ItemType::Module(expected)) => check_module(module, expected),
            (Some(Definition::Instance(_)) | None, ItemType::Instance(expected)) => {
                let items = match found {
                    Some(Definition::Instance(instance)) => Some(&instance.items),
                    _ => None,
                };
                // Of types only resources are items.
                let mut wanted = expected.exports.iter().filter(|(_, ty)| !matches!(ty, ItemType::Type(_)));
                wanted.try_for_each(|(name, ty)| {
                    let found = items.and_then(|items| items.find(&expected.full_export_name(name)));
                    Definition::check(found, ty, known)
                        .map_err(|why| because(format!("instance export `{name}` has the wrong type"), why))
                })
            }
            (None, _) => Err(vec![format!("{} implementation is missing", ty.kind())]),
            (Some(found), _) => Err(vec![format!("expected {} found {}", ty.kind(), found.kind())]),
        }
    }

    /// What stands for an import; it has been checked.
    fn found(definition: Option<&Definition>, ty: &ItemType) -> Found {
        match (definition, ty) {
            (Some(Definition::Func(host)), ItemType::Func(ty)) => {
                Found::Func(Arc::new(FoundFunc::new(ty.clone(), host.clone())))
            }
            (Some(Definition::Module(module)), _) => Found::Module(module.clone()),
            (Some(Definition::Resource(ty, dtor)), _) => Found::Resource(*ty, dtor.clone()),
            (Some(Definition::Instance(_)) | None, ItemType::Instance(ty)) => {
                let items = match definition {
                    Some(Definition::Instance(instance)) => Some(&instance.items),
                    _ => None,
                };
                let found = ty.exports.iter().map(|(name, of_item)| {
                    Definition::found(items.and_then(|items| items.find(&ty.full_export_name(name))), of_item)
                });
                Found::Instance(Arc::new(FoundInstance { items: found.collect(), ty: ty.clone() }))
            }
            (None, ItemType::Resource(slot)) => Found::Again(*slot),
            _ => Found::Type,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Definition::Func(_) => "function",
            Definition::Instance(_) => "instance",
            Definition::Module(_) => "module",
            Definition::Resource(..) => "resource",
        }
    }
}

/// Whether a module has what is expected of it, and needs no more than it is going to get. Components rely on it without another look.
fn check_module(module: &Module, expected: &ModuleType) -> Result<(), Vec<String>> {
    let have: HashMap<&str, ExternType> = module.exports().map(|(export, ty)| (&*export.name, ty)).collect();
    for (name, expected) in &expected.exports {
        let found = have.get(&**name).ok_or_else(|| vec![format!("module export `{name}` not defined")])?;
        if let Some(why) = misfit(expected, found) {
            return Err(vec![format!("module export `{name}` has the wrong type"), why]);
        }
    }
    let given: HashMap<(&str, &str), &ExternType> =
        expected.imports.iter().map(|(module, name, ty)| ((&**module, &**name), ty)).collect();
    for (import, needed) in module.imports() {
        let name = || format!("`{}::{}`", import.module, import.name);
        let given = given.get(&(&*import.module, &*import.name));
        let given = given.ok_or_else(|| vec![format!("module import {} not defined", name())])?;
        if let Some(why) = misfit(&needed, given) {
            return Err(vec![format!("module import {} has the wrong type", name()), why]);
        }
    }
    Ok(())
}

fn because(what: String, mut why: Vec<String>) -> Vec<String> {
    why.insert(0, what);
    why
}

/// Defines what isn't there; `full_name` is what errors call an item.
fn define_as_traps(
    items: &mut NameMap<Definition>,
    wanted: &Items,
    full_name: &dyn Fn(&str) -> String,
) -> Result<(), Error> {
    for (name, ty) in wanted {
        match (items.find_mut(name), ty) {
            (Some(Definition::Instance(instance)), ItemType::Instance(ty)) => {
                let within = full_name(name);
                define_as_traps(&mut instance.items, &ty.exports, &|name| format!("{within}#{name}"))?;
            }
            (Some(_), _) | (None, ItemType::Type(_)) => {}
            (None, _) => {
                let item = trapping(&full_name(name), ty)?;
                items.insert(name, item);
            }
        }
    }
    Ok(())
}

/// What stands for an import that isn't defined: functions of it fail.
fn trapping(name: &str, ty: &ItemType) -> Result<Definition, Error> {
    Ok(match ty {
        ItemType::Func(_) => {
            let text = format!("unknown import: `{name}` has not been defined");
            Definition::func(Arc::new(move |_, _, _, _| Err(Error::message(text.clone()))), false)
        }
        ItemType::Instance(instance) => {
            let mut items = NameMap::default();
            define_as_traps(&mut items, &instance.exports, &|inner| format!("{name}#{inner}"))?;
            Definition::Instance(LinkerInstance { items })
        }
        ItemType::Resource(_) => {
            static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(u32::MAX);
            // Equal to no other's.
            let ty = NEXT.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
            Definition::Resource(ResourceType::Host(ty), Arc::new(|_, _| Ok(())))
        }
        ItemType::Module(_) => return Err(Error::message("unable to define core module imports as traps")),
        ItemType::Component(_) => return Err(Error::message("unable to define component imports as traps")),
        ItemType::Type(_) => return Err(Error::message("unable to define type imports as traps")),
    })
}

#[cold]
fn defined_twice(name: &str) -> Error {
    Error::message(format!("map entry `{name}` defined twice"))
}

impl fmt::Debug for Linker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linker").field("items", &self.root.items.len()).finish_non_exhaustive()
    }
}
