//! Linkers: names for what modules import.

use crate::engine::Engine;
use crate::engine::type_registry::Type;
use crate::error::{Error, ErrorKind, LinkError};
use crate::func::Func;
use crate::func::future::{CallFuture, async_host_func};
use crate::func::host::HostFunc;
use crate::func::typed::{HostResult, IntoHostFunc, WasmTypes};
use crate::func::val::Val;
use crate::global::Global;
use crate::instance::Instance;
use crate::instance::external::Extern;
use crate::instance::instantiate::{self, Given};
use crate::memory::Memory;
use crate::memory::shared::SharedMemory;
use crate::module::Module;
use crate::store::Store;
use crate::table::Table;
use crate::tag::Tag;
use ampoule_core::module::{Import, Item};
use ampoule_core::types::{ExternType, FuncType, ValType};
use hashbrown::HashMap;
use std::fmt;
use std::sync::Arc;

/// Names for what modules import. Host functions defined by type serve every store of the engine; items serve the store they
/// are of.
#[derive(Clone)]
pub struct Linker {
    engine: Engine,
    allow_shadowing: bool,
    definitions: HashMap<Name, Definition>,
}

/// Two names; either may be any text, so they are kept apart.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Name {
    module: Arc<str>,
    name: Arc<str>,
}

#[derive(Clone)]
enum Definition {
    Host(Arc<HostFunc>),
    /// With its type at that time: what is prepared without a store is compared with it.
    Item(Extern, Arc<Given>),
}

/// A module whose imports have been found and checked: instantiating it only has to place them.
#[derive(Clone)]
pub struct InstancePre {
    module: Module,
    imports: Arc<[Definition]>,
}

/// What marks a module with life-cycle rules of WASI: run once, or initialized and kept.
const COMMAND_START: &str = "_start";
const REACTOR_START: &str = "_initialize";

impl Linker {
    /// An empty linker.
    pub fn new(engine: &Engine) -> Self {
        Self { engine: engine.clone(), allow_shadowing: false, definitions: HashMap::new() }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a name may be defined again; off at first.
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Self {
        self.allow_shadowing = allow;
        self
    }

    /// Gives an item a name. Only modules instantiated in the item's store can use it.
    ///
    /// # Errors
    /// Where the name is taken and shadowing is off, or the item is of another store than `store`.
    pub fn define(&mut self, store: &Store, module: &str, name: &str, item: Extern) -> Result<(), Error> {
        self.check_engine(store)?;
        self.insert(module, name, Definition::item(store, item)?)
    }

    /// Gives a host function a name, for every store.
    ///
    /// # Errors
    /// Where the name is taken and shadowing is off.
    pub fn define_host(&mut self, module: &str, name: &str, host: HostFunc) -> Result<(), Error> {
        self.insert(module, name, Definition::Host(Arc::new(host)))
    }

    /// Gives a Rust closure a name, for every store; see [`Func::new`].
    ///
    /// # Errors
    /// Where the name is taken and shadowing is off.
    pub fn func(
        &mut self,
        module: &str,
        name: &str,
        ty: &FuncType,
        func: impl Fn(crate::Caller<'_>, &[Val], &mut [Val]) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let host = HostFunc::new(&self.engine, ty, func)?;
        self.define_host(module, name, host)
    }

    /// Gives a closure over Rust's types a name, for every store; see [`Func::wrap`].
    ///
    /// # Errors
    /// Where the name is taken and shadowing is off.
    pub fn func_wrap<Params, Results>(
        &mut self,
        module: &str,
        name: &str,
        closure: impl IntoHostFunc<Params, Results>,
    ) -> Result<&mut Self, Error> {
        let host = closure.into_host_func(&self.engine)?;
        self.define_host(module, name, host)?;
        Ok(self)
    }

    /// Gives an asynchronous closure over Rust's types a name, for every store; see [`Func::wrap_async`].
    ///
    /// # Errors
    /// Where the name is taken and shadowing is off.
    pub fn func_wrap_async<Params, Closure, Answer>(
        &mut self,
        module: &str,
        name: &str,
        closure: Closure,
    ) -> Result<&mut Self, Error>
    where
        Params: WasmTypes,
        Closure: Fn(Params) -> Answer + Send + Sync + 'static,
        Answer: Future<Output: HostResult> + 'static,
    {
        let host = async_host_func(&self.engine, closure)?;
        self.define_host(module, name, host)?;
        Ok(self)
    }

    /// Gives every export of an instance a name, `module` being the first.
    ///
    /// # Errors
    /// Where a name is taken and shadowing is off, or the instance is of another store.
    pub fn define_instance(&mut self, store: &Store, module: &str, instance: Instance) -> Result<(), Error> {
        self.check_engine(store)?;
        let count = instance.module(store)?.description().exports.len();
        for position in 0..count {
            let (name, item) = instance.export_at(store, position).expect("the position is in range");
            self.insert(module, name, Definition::item(store, item)?)?;
        }
        Ok(())
    }

    /// Instantiates a module and names its exports, `name` being the first name. A command (a module with `_start`) is not
    /// instantiated now, but anew each time its export is called; a reactor's `_initialize` runs now.
    ///
    /// # Errors
    /// Where the module is neither, by what it exports; and as [`Linker::instantiate`], and as [`Linker::define`].
    pub fn module(&mut self, store: &mut Store, name: &str, module: &Module) -> Result<(), Error> {
        let is_func = |name: &str| module.export_item(name).map(|item| matches!(item, Item::Func(_)));
        let not_func = |name: &str| Error::new(ErrorKind::Type(format!("`{name}` must be a function")));
        match (is_func(COMMAND_START), is_func(REACTOR_START)) {
            (Some(_), Some(_)) => {
                Err(Error::new(ErrorKind::Type("Program cannot be both a Command and a Reactor".to_string())))
            }
            (Some(true), None) => self.command(store, name, module),
            (Some(false), None) => Err(not_func(COMMAND_START)),
            (None, Some(false)) => Err(not_func(REACTOR_START)),
            (None, initializes) => {
                let instance = self.instantiate(store, module)?;
                if initializes.is_some() {
                    let initialize = instance.get_func(store, REACTOR_START).expect("just looked up");
                    initialize
                        .call(store, &[], &mut [])
                        .map_err(|error| error.of("calling the Reactor initialization function"))?;
                }
                self.define_instance(store, name, instance)
            }
        }
    }

    /// Names the functions of a command: each call runs a fresh instance.
    fn command(&mut self, store: &mut Store, name: &str, module: &Module) -> Result<(), Error> {
        // Only functions make sense without an instance at hand. What every C compiler exports besides is passed over.
        for (export, ty) in module.exports() {
            let fits = match ty {
                ExternType::Func(_) => true,
                ExternType::Memory(_) => export.name == "memory",
                ExternType::Table(_) => export.name == "__indirect_function_table",
                ExternType::Global(_) => ["__heap_base", "__data_end", "__dso_handle"].contains(&&*export.name),
                ExternType::Tag(_) => false,
            };
            if !fits {
                let message = format!("command export '{}' is not a function", export.name);
                return Err(Error::new(ErrorKind::Type(message)));
            }
        }
        // Imports are found now: a command sees what was defined before it.
        let pre = self.instantiate_pre(module)?;
        for (export, ty) in module.exports() {
            let ExternType::Func(ty) = ty else { continue };
            let (pre, entry) = (pre.clone(), export.name.clone());
            let func = Func::new(store, &ty, move |mut caller, args, results| {
                let instance = pre.instantiate(caller.store())?;
                let func = instance.get_func(caller.store(), &entry).expect("the module exports it");
                func.call(caller.store(), args, results)
            })?;
            self.insert(name, &export.name, Definition::item(store, Extern::Func(func))?)?;
        }
        Ok(())
    }

    /// The function to run where a module of this name is to be run: its export of the empty name, else `_start`, else one that
    /// does nothing.
    ///
    /// # Errors
    /// Where what goes by that name is not a function, or the store is of another engine.
    pub fn get_default(&self, store: &mut Store, module: &str) -> Result<Func, Error> {
        for (name, shown) in [("", "default export"), (COMMAND_START, "`_start`")] {
            match self.get(store, module, name)? {
                Some(Extern::Func(func)) => return Ok(func),
                Some(_) => return Err(Error::new(ErrorKind::Type(format!("{shown} in '{module}' is not a function")))),
                None => {}
            }
        }
        Func::new(store, &FuncType::new([], []), |_, _, _| Ok(()))
    }

    /// What goes by these names, for this store.
    ///
    /// # Errors
    /// Where the store is of another engine.
    pub fn get(&self, store: &mut Store, module: &str, name: &str) -> Result<Option<Extern>, Error> {
        self.check_engine(store)?;
        Ok(self.definitions.get(&Name::new(module, name)).map(|definition| definition.place(store)))
    }

    /// Defines every function that the module imports and nobody defined as one that traps when it is called.
    ///
    /// # Errors
    /// Where a thunk can't be compiled.
    pub fn define_unknown_imports_as_traps(&mut self, module: &Module) -> Result<(), Error> {
        for (import, ty) in module.imports() {
            let (ExternType::Func(ty), Some(declared)) = (ty, module.declared_type(import.item)) else { continue };
            if self.definitions.contains_key(&Name::new(&import.module, &import.name)) {
                continue;
            }
            let missing = LinkError::Missing { module: import.module.clone(), name: import.name.clone() }.to_string();
            let host = HostFunc::new(&self.engine, &ty, move |_, _, _| Err(Error::message(missing.clone())))?;
            let host = host.of_type(&declared)?;
            self.insert(&import.module, &import.name, Definition::Host(Arc::new(host)))?;
        }
        Ok(())
    }

    /// Defines everything that the module imports and nobody defined: functions answer zeros and nulls, globals hold them,
    /// memories and tables are as small as their types allow.
    ///
    /// # Errors
    /// Where something can't be made in this store, or the store is of another engine.
    pub fn define_unknown_imports_as_default_values(
        &mut self,
        store: &mut Store,
        module: &Module,
    ) -> Result<(), Error> {
        self.check_engine(store)?;
        for (import, ty) in module.imports() {
            if self.definitions.contains_key(&Name::new(&import.module, &import.name)) {
                continue;
            }
            let definition = self.default_value(store, ty, module.declared_type(import.item)).map_err(|error| {
                match error.kind() {
                    ErrorKind::Limit(reason) => {
                        let Import { module, name, .. } = import;
                        Error::new(ErrorKind::Limit(format!(
                            "no default value exists for `{module}::{name}`: {reason}"
                        )))
                    }
                    _ => error,
                }
            })?;
            self.insert(&import.module, &import.name, definition)?;
        }
        Ok(())
    }

    /// `declared`: what a function or tag is declared as.
    fn default_value(&self, store: &mut Store, ty: ExternType, declared: Option<Type>) -> Result<Definition, Error> {
        let item = match ty {
            // Results are zero and null before a host function sets them.
            ExternType::Func(ty) => {
                let host = HostFunc::new(&self.engine, &ty, |_, _, _| Ok(()))?;
                let declared = declared.expect("a function is declared as of a type");
                return Ok(Definition::Host(Arc::new(host.of_type(&declared)?)));
            }
            ExternType::Global(ty) => Extern::Global(Global::new(store, ty, &Val::default_for(ty.content))?),
            ExternType::Table(ty) => {
                Extern::Table(Table::new(store, &ty, &Val::default_for(ValType::Ref(ty.element)))?)
            }
            ExternType::Memory(ty) if ty.shared => Extern::SharedMemory(SharedMemory::new(&self.engine, &ty)?),
            ExternType::Memory(ty) => Extern::Memory(Memory::new(store, &ty)?),
            ExternType::Tag(_) => {
                Extern::Tag(Tag::of_declared(store, &declared.expect("a tag is declared as of a type"))?)
            }
        };
        Definition::item(store, item)
    }

    /// Instantiates a module with what goes by the names it imports.
    ///
    /// # Errors
    /// [`LinkError`] where a name is missing or of another type; otherwise as [`Instance::new`].
    pub fn instantiate(&self, store: &mut Store, module: &Module) -> Result<Instance, Error> {
        self.check_engine(store)?;
        let imports = module.description().imports.iter();
        let imports = imports.map(|import| self.find_for(store, import)).collect::<Result<Vec<_>, Error>>()?;
        instantiate::instantiate(store, module, &imports)
    }

    /// Finds and checks what a module imports, once for any number of instances.
    ///
    /// # Errors
    /// [`LinkError`] where a name is missing or of another type, or the module is of another engine. Items of a store have the
    /// sizes that they had when they were defined.
    pub fn instantiate_pre(&self, module: &Module) -> Result<InstancePre, Error> {
        if !self.engine.same(module.engine()) {
            return Err(LinkError::WrongEngine { what: "module" }.into());
        }
        let imports = module
            .description()
            .imports
            .iter()
            .map(|import| {
                let definition = self.find(import)?.clone();
                match &definition {
                    Definition::Host(host) => {
                        instantiate::check_given(module, import, &Given::Func(host.signature.clone()))?;
                    }
                    Definition::Item(_, found) => instantiate::check_given(module, import, found)?,
                }
                Ok(definition)
            })
            .collect::<Result<_, Error>>()?;
        Ok(InstancePre { module: module.clone(), imports })
    }

    /// What goes by an import's names, for this store.
    ///
    /// # Errors
    /// Where nothing does, or the store is of another engine.
    pub(crate) fn find_for(&self, store: &mut Store, import: &Import) -> Result<Extern, Error> {
        self.check_engine(store)?;
        Ok(self.find(import)?.place(store))
    }

    fn find(&self, import: &Import) -> Result<&Definition, Error> {
        let found = self.definitions.get(&Name::new(&import.module, &import.name));
        found.ok_or_else(|| LinkError::Missing { module: import.module.clone(), name: import.name.clone() }.into())
    }

    fn insert(&mut self, module: &str, name: &str, definition: Definition) -> Result<(), Error> {
        let key = Name::new(module, name);
        if !self.allow_shadowing && self.definitions.contains_key(&key) {
            return Err(LinkError::Duplicate { module: module.to_string(), name: name.to_string() }.into());
        }
        self.definitions.insert(key, definition);
        Ok(())
    }

    fn check_engine(&self, store: &Store) -> Result<(), Error> {
        if self.engine.same(store.engine()) { Ok(()) } else { Err(LinkError::WrongEngine { what: "store" }.into()) }
    }
}

impl InstancePre {
    /// Another instance.
    ///
    /// # Errors
    /// As [`Instance::new`].
    pub fn instantiate(&self, store: &mut Store) -> Result<Instance, Error> {
        if !self.module.engine().same(store.engine()) {
            return Err(LinkError::WrongEngine { what: "store" }.into());
        }
        let imports: Vec<Extern> = self.imports.iter().map(|definition| definition.place(store)).collect();
        // Host functions were checked when they were found; of items it is not known yet whether they are this store's.
        for (import, (definition, given)) in
            self.module.description().imports.iter().zip(self.imports.iter().zip(&imports))
        {
            if let Definition::Item(..) = definition {
                instantiate::check_import(store, &self.module, import, given)?;
            }
        }
        instantiate::instantiate_checked(store, &self.module, &imports)
    }

    /// As [`InstancePre::instantiate`], for a store that takes asynchronous calls: the start function may wait.
    ///
    /// # Errors
    /// See [`InstancePre::instantiate`].
    pub fn instantiate_async<'a>(&self, store: &'a mut Store) -> CallFuture<'a, Instance> {
        let pre = self.clone();
        CallFuture::new(store, move |store| pre.instantiate(store))
    }

    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }
}

impl Definition {
    /// An item of this store.
    ///
    /// # Errors
    /// Where it is of another.
    fn item(store: &Store, item: Extern) -> Result<Self, Error> {
        let ty = Arc::new(Given::of(store, &item)?);
        Ok(Definition::Item(item, ty))
    }

    /// The item, in this store.
    fn place(&self, store: &mut Store) -> Extern {
        match self {
            Definition::Host(host) => Extern::Func(Func::from_host(store, host)),
            Definition::Item(item, _) => item.clone(),
        }
    }
}

impl Name {
    fn new(module: &str, name: &str) -> Self {
        Self { module: module.into(), name: name.into() }
    }
}

impl fmt::Debug for Linker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linker").field("definitions", &self.definitions.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for InstancePre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstancePre").field("module", &self.module).finish_non_exhaustive()
    }
}
