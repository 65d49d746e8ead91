//! What a component is before it is instantiated: a list of steps, in the order in which the component's sections give them. Each step
//! adds to the index spaces of a scope; instantiation takes the steps one after another.
//!
//! Types are gone by then: a step has the types that it needs, with resources as slots of the scope.

use crate::builtin::Builtin;
use crate::canon::options::{Encoding, StaticOptions};
use crate::core_items::{AliasPlace, ImportPlaces};
use crate::names::{IndexMap, IndexSet};
use crate::types::{ComponentType, FuncType, ItemType};
use ampoule::Module;
use ampoule::func::host::HostFunc;
use std::sync::Arc;

/// A component, or one that is nested in another.
pub(crate) struct Definition {
    /// Identifies the scope of its resource slots.
    pub(crate) scope: u64,
    pub(crate) steps: Vec<Step>,
    /// The resources that are named in it.
    pub(crate) slots: u32,
    /// The names of the exports, in order.
    pub(crate) exports: Arc<IndexSet<Box<str>>>,
    pub(crate) ty: Arc<ComponentType>,
    /// Its code can call nobody else's: it is given no core function by the component model.
    pub(crate) is_closed: bool,
    /// Whether something in it, or in a component in it, may run beside something else: functions that are called or call
    /// asynchronously, and what is made for them.
    pub(crate) is_concurrent: bool,
}

/// An item in the index spaces of a scope.
#[derive(Clone, Debug)]
pub(crate) enum ItemRef {
    Func(u32),
    Instance(u32),
    Component(u32),
    Module(u32),
    /// A resource type, by its slot.
    Resource(u32),
    /// A type that is none of a resource: nothing at run time.
    Type,
}

/// An item of a core instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CoreSort {
    Func,
    Table,
    Memory,
    Global,
    Tag,
}

/// What a nested component takes from the scope around it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Capture {
    Module(u32),
    Component(u32),
    /// What that scope has captured itself.
    Captured(u32),
}

/// Where in an item the resource types are that a scope first learns of with it: the names on the way, and the slot.
pub(crate) type Bindings = Box<[(Box<[Box<str>]>, u32)]>;

pub(crate) enum Step {
    /// An import, which joins the index space of its sort.
    Import { name: Box<str>, ty: ItemType, bindings: Bindings },
    /// A core module.
    Module(Module),
    /// A nested component.
    Component { definition: Arc<Definition>, captures: Box<[Capture]> },
    /// A module or component of an outer scope: so-and-so of what was captured.
    Captured(u32),
    /// An instance of a core module; its arguments are core instances.
    CoreInstance { module: u32, args: IndexMap<Box<str>, u32>, places: ImportPlaces },
    /// A core instance made of items.
    CoreExports(IndexMap<Box<str>, (CoreSort, u32)>),
    /// An instance of a component.
    Instance { component: u32, args: IndexMap<Box<str>, ItemRef>, bindings: Bindings },
    /// An instance made of items.
    Exports { names: Arc<IndexSet<Box<str>>>, items: Box<[ItemRef]> },
    /// An item of an instance.
    Alias { instance: u32, name: Box<str> },
    /// An item of a core instance.
    CoreAlias { instance: u32, name: Box<str>, sort: CoreSort, place: AliasPlace },
    /// A resource type of this component's own; its destructor is a core function.
    Resource { slot: u32, dtor: Option<u32> },
    /// A component function made of a core function.
    Lift { core: u32, ty: Arc<FuncType>, options: StaticOptions },
    /// A core function, and the engine's half of it.
    Core(CoreStep, Arc<HostFunc>),
    /// An item of the same scope, which joins the index space of its sort again.
    Again(ItemRef),
    /// An export, which also joins the index space of its sort again.
    Export { item: ItemRef, bindings: Bindings },
}

/// A core function that the component model makes.
pub(crate) enum CoreStep {
    /// Of a component function.
    Lower { func: u32, ty: Arc<FuncType>, options: StaticOptions },
    /// `resource.new`.
    ResourceNew { slot: u32 },
    /// `resource.drop`.
    ResourceDrop { slot: u32 },
    /// `resource.rep`.
    ResourceRep { slot: u32 },
    /// What is made for tasks, threads and waitables.
    Builtin(Builtin),
}

impl Step {
    /// See [`Definition::is_concurrent`].
    fn is_concurrent(&self) -> bool {
        match self {
            Step::Component { definition, .. } => definition.is_concurrent,
            Step::Lift { ty, .. } | Step::Core(CoreStep::Lower { ty, .. }, _) => ty.is_async(),
            Step::Core(CoreStep::Builtin(_), _) => true,
            _ => false,
        }
    }

    /// Whether a list of steps has one that is concurrent.
    pub(crate) fn any_is_concurrent(steps: &[Step]) -> bool {
        steps.iter().any(Step::is_concurrent)
    }
}

impl Definition {
    /// The modules of the component and of those in it, in the order of its bytes.
    pub(crate) fn modules(&self) -> Vec<&Module> {
        let modules = self.steps.iter().flat_map(|step| match step {
            Step::Module(module) => vec![module],
            Step::Component { definition, .. } => definition.modules(),
            _ => Vec::new(),
        });
        modules.collect()
    }
}

impl StaticOptions {
    /// The options that a canonical definition lists.
    pub(crate) fn read(options: &[wasmparser::CanonicalOption]) -> Result<StaticOptions, String> {
        use wasmparser::CanonicalOption as Opt;
        let mut read = StaticOptions::default();
        for option in options {
            match *option {
                Opt::UTF8 => read.encoding = Encoding::Utf8,
                Opt::UTF16 => read.encoding = Encoding::Utf16,
                Opt::CompactUTF16 => read.encoding = Encoding::Latin1OrUtf16,
                Opt::Memory(index) => read.memory = Some(index),
                Opt::Realloc(index) => read.realloc = Some(index),
                Opt::PostReturn(index) => read.post_return = Some(index),
                Opt::Async => read.is_async = true,
                Opt::Callback(index) => read.callback = Some(index),
                Opt::CoreType(_) | Opt::Gc => return Err("the GC ABI of components".to_string()),
            }
        }
        Ok(read)
    }
}
