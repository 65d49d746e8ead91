//! Snapshots: what instances of a store are at one moment, between calls. From a snapshot they are reset, made again in other stores, on any
//! thread, and written to files, from which other processes make them.
//!
//! A snapshot has all that a guest can tell: memories, tables, globals, dropped segments, and the objects that can be reached from there. Of
//! memories it has images, which the memories that are made of it map privately: they share what nobody writes. What the host has given to a
//! guest is named, not kept: functions by who imports them, values behind `externref`s by a number that the embedder says ([`HostReferences`]).
//! Fuel, deadlines, limits, pending exceptions and the host's own state are the store's, and stay out of it.
//!
//! What is not here: how an instance is made ([`crate::instance::instantiate`]), and how memories share their contents ([`crate::memory::image`]).

mod check;
mod file;
mod objects;
mod one_by_one;
mod restore;
mod state;
mod take;

use crate::engine::Engine;
use crate::engine::type_registry::Type;
use crate::error::{Error, ErrorKind};
use crate::instance::Instance;
use crate::instance::external::Extern;
use crate::instance::linker::Linker;
use crate::memory::image::MemoryImage;
use crate::module::{LazyImage, Module};
use crate::store::Store;
use ampoule_core::module::Import;
use ampoule_core::types::ExternType;
pub use one_by_one::OneByOne;
use state::{InstanceState, Source, State};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use file::is_snapshot;

/// Instances as they were at one moment. Cheap to clone; threads and stores may share it.
///
/// ```
/// use ampoule::{Engine, Instance, Linker, Module, Snapshot, Store};
///
/// # fn main() -> Result<(), ampoule::Error> {
/// let engine = Engine::default();
/// let module = Module::new(&engine, br#"(module (global $n (mut i32) (i32.const 0))
///     (func (export "next") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) global.get $n))"#)?;
/// let mut store = Store::new(&engine);
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let next = instance.get_typed_func::<(), i32>(&store, "next")?;
/// assert_eq!(next.call(&mut store, ())?, 1);
/// let snapshot = Snapshot::take(&store, &[instance], &mut ())?;
/// assert_eq!(next.call(&mut store, ())?, 2);
/// snapshot.reset(&mut store, &[instance], &mut ())?;
/// assert_eq!(next.call(&mut store, ())?, 2);
///
/// let mut other = Store::new(&engine);
/// let instance = snapshot.instantiate(&mut other, &Linker::new(&engine), &mut ())?[0];
/// assert_eq!(instance.get_typed_func::<(), i32>(&other, "next")?.call(&mut other, ())?, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Snapshot {
    contents: Arc<Contents>,
    /// What other libraries have added.
    sections: Arc<BTreeMap<String, Arc<[u8]>>>,
}

/// All but the sections.
struct Contents {
    engine: Engine,
    modules: Vec<Module>,
    images: Vec<Arc<MemoryImage>>,
    lazy: Vec<LazyImage>,
    state: State,
}

/// How the embedder names values behind `externref`s, and finds them again. `()` is for guests that have none: it refuses them.
pub trait HostReferences {
    /// A number by which [`HostReferences::restore`] will know the value. Each value that the instances can reach is asked for once.
    ///
    /// # Errors
    /// Where it can't be in a snapshot: none is taken then.
    fn save(&mut self, value: &(dyn Any + Send + Sync)) -> Result<u64, Error>;

    /// A value to stand where the one with this number did.
    ///
    /// # Errors
    /// Where there is none: nothing is made, or reset, then.
    fn restore(&mut self, number: u64) -> Result<Box<dyn Any + Send + Sync>, Error>;
}

impl HostReferences for () {
    fn save(&mut self, _: &(dyn Any + Send + Sync)) -> Result<u64, Error> {
        Err(refused("a guest has a value of the host's, and nobody says what it is to be known by"))
    }

    fn restore(&mut self, _: u64) -> Result<Box<dyn Any + Send + Sync>, Error> {
        Err(Error::message("the snapshot has a value of the host's, and nobody says what that is"))
    }
}

impl Snapshot {
    /// A snapshot of these instances of a store, none of them twice. What they import of other instances, or of the host, is not part of it: it is
    /// given again when they are made.
    ///
    /// # Errors
    /// Where a guest of the store runs, or an asynchronous call waits; where an instance is of another store, or has something that no
    /// snapshot can have: a shared memory, a reference to a function of an instance that is not among them and that they don't import, an object of a type
    /// that their modules don't declare, a value of the host's that `references` refuses.
    pub fn take(store: &Store, instances: &[Instance], references: &mut dyn HostReferences) -> Result<Snapshot, Error> {
        take::take(store, Some(instances), references).map(Snapshot::of)
    }

    /// A snapshot of all instances of a store, in the order in which they were made, and of the memories, tables, globals and tags that the host
    /// made and they import.
    ///
    /// # Errors
    /// See [`Snapshot::take`].
    pub fn take_all(store: &Store, references: &mut dyn HostReferences) -> Result<Snapshot, Error> {
        take::take(store, None, references).map(Snapshot::of)
    }

    fn of(contents: Contents) -> Self {
        Self { contents: Arc::new(contents), sections: Arc::default() }
    }

    /// Has instances be as they were when the snapshot was taken: those that it was taken of, or that were made of it in whatever store, or
    /// others of the same modules that import the same of each other; in the order in which they were given to [`Snapshot::take`]. Handles keep
    /// working. Of the memories only pages are touched that were written since the last time.
    ///
    /// The store's fuel, deadlines and own values are not touched. Objects that the host has handles of stay as they are; the instances get others.
    ///
    /// # Errors
    /// Where a guest runs, or an asynchronous call waits; where the instances are not such ones; where a limit refuses that something grows to what
    /// it was; where `references` refuses. Nothing but sizes has changed then. Where the system refuses to map a memory, which is then empty.
    pub fn reset(
        &self,
        store: &mut Store,
        instances: &[Instance],
        references: &mut dyn HostReferences,
    ) -> Result<(), Error> {
        restore::reset(&self.contents, store, instances, references)
    }

    /// Makes the instances in a store of the same engine, as they were: no start function runs. What they import from outside of the snapshot is
    /// taken from the linker. They come in the order in which they were given to [`Snapshot::take`].
    ///
    /// # Errors
    /// Where the store is of another engine; [`crate::LinkError`] where an import is missing or of another type; where a limit of the store or its
    /// engine's pool refuses, or `references`. Nothing stays in the store then.
    pub fn instantiate(
        &self,
        store: &mut Store,
        linker: &Linker,
        references: &mut dyn HostReferences,
    ) -> Result<Vec<Instance>, Error> {
        let mut find = |store: &mut Store, import: &Import| linker.find_for(store, import);
        restore::instantiate(&self.contents, store, &mut find, references)
    }

    /// As [`Snapshot::instantiate`], with imports in the order of [`Snapshot::imports`].
    ///
    /// # Errors
    /// See [`Snapshot::instantiate`].
    pub fn instantiate_with(
        &self,
        store: &mut Store,
        imports: &[Extern],
        references: &mut dyn HostReferences,
    ) -> Result<Vec<Instance>, Error> {
        let expected = self.imports().count();
        if expected != imports.len() {
            return Err(crate::LinkError::Count { expected, found: imports.len() }.into());
        }
        let mut imports = imports.iter().cloned();
        let mut find = |_: &mut Store, _: &Import| Ok(imports.next().expect("they were counted"));
        restore::instantiate(&self.contents, store, &mut find, references)
    }

    /// What the instances import from outside of the snapshot: one instance after another in the order in which they are made, each in its module's
    /// order: names, type, and of functions and tags what they are declared as. The same may come several times.
    pub fn imports(&self) -> impl Iterator<Item = (&Import, ExternType, Option<Type>)> {
        self.contents.instances().flat_map(|(_, module, instance)| {
            let imports = module.imports().zip(&instance.imports);
            let outside = imports.filter(|(_, source)| **source == Source::Outside);
            outside.map(|((import, ty), _)| (import, ty, module.declared_type(import.item)))
        })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.contents.engine
    }

    /// The modules of the instances, each once, and those that were added. The snapshot keeps them.
    pub fn modules(&self) -> &[Module] {
        &self.contents.modules
    }

    /// How many instances there are.
    pub fn len(&self) -> usize {
        self.contents.state.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The module of the instance at this place in the order in which they were given to [`Snapshot::take`].
    pub fn module(&self, instance: usize) -> Option<&Module> {
        let &number = self.contents.state.order.get(instance)?;
        Some(&self.contents.modules[self.contents.state.instances[number as usize].module as usize])
    }

    /// Adds modules of the engine that are to be in its files as well.
    ///
    /// # Panics
    /// Where the snapshot is shared: it was not just taken.
    #[doc(hidden)] // For snapshots of components, which have modules that no instance is of.
    pub fn keep_modules(&mut self, modules: &[Module]) {
        let contents = Arc::get_mut(&mut self.contents).expect("it was just taken");
        for module in modules {
            if !contents.modules.iter().any(|kept| kept.same(module)) {
                contents.modules.push(module.clone());
            }
        }
    }

    /// Adds bytes under a name, in place of those that were there: for libraries that have a state of their own beside the guests'. Clones that were
    /// made before don't get them.
    pub fn attach(&mut self, name: &str, bytes: impl Into<Arc<[u8]>>) {
        Arc::make_mut(&mut self.sections).insert(name.to_string(), bytes.into());
    }

    /// Takes the bytes under a name away.
    pub fn detach(&mut self, name: &str) {
        if self.sections.contains_key(name) {
            Arc::make_mut(&mut self.sections).remove(name);
        }
    }

    /// The bytes that were added under a name.
    pub fn section(&self, name: &str) -> Option<&[u8]> {
        self.sections.get(name).map(|bytes| &**bytes)
    }
}

impl Contents {
    /// The instances in the order in which they are made, with their modules.
    fn instances(&self) -> impl Iterator<Item = (u32, &Module, &InstanceState)> {
        let instances = (0..).zip(&self.state.instances);
        instances.map(|(number, instance)| (number, &self.modules[instance.module as usize], instance))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("instances", &self.len()).finish_non_exhaustive()
    }
}

/// Refuses a store in the middle of something.
fn check_idle(store: &Store) -> Result<(), Error> {
    if store.has_call() {
        return Err(Error::message("instances have to be between calls: a guest of their store runs, or waits"));
    }
    store.in_use().map_or(Ok(()), |what| Err(Error::message(format!("instances have to be between calls: {what}"))))
}

/// What is wrong with a snapshot out of a file.
fn damaged(why: &str) -> Error {
    Error::new(ErrorKind::Artifact(format!("the snapshot is damaged: {why}")))
}

/// Why no snapshot is taken.
fn refused(why: &str) -> Error {
    Error::message(format!("no snapshot can be taken: {why}"))
}
