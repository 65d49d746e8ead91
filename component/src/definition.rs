//! What a component is before it is instantiated: a list of steps, in the order in which the component's sections give them. Each step
//! adds to the lists of a scope; instantiation takes the steps one after another.
//!
//! Types are gone by then: a step has the types that it needs, with resources as slots of the scope. So are index spaces and most names: a
//! step has the places in the scope's lists where things will be, or the thing itself where it is the same for each instance.

use crate::builtin::Builtin;
use crate::canon::options::{Encoding, StaticOptions};
use crate::core_items::{CoreExport, CoreImports};
use crate::items::ComponentItem;
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
    /// How much the steps add to the lists of the scope.
    pub(crate) counts: Counts,
    /// The resources that are named in it.
    pub(crate) slots: u32,
    /// The names of the exports, in order.
    pub(crate) exports: Arc<IndexSet<Box<str>>>,
    /// What is exported under these names.
    pub(crate) exported: Box<[ItemRef]>,
    pub(crate) ty: Arc<ComponentType>,
    /// The modules of the component and of those in it, in the order of its bytes.
    pub(crate) modules: Box<[Module]>,
    /// Its code can call nobody else's: it is given no core function by the component model.
    pub(crate) is_closed: bool,
    /// Whether something in it, or in a component in it, may run beside something else: functions that are called or call
    /// asynchronously, and what is made for them.
    pub(crate) is_concurrent: bool,
}

/// How many things are in the lists of a scope.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) items: u32,
    pub(crate) core: u32,
}

/// An item of a scope.
#[derive(Clone)]
pub(crate) enum ItemRef {
    /// One that a step adds, by its place in the scope's list.
    At(u32),
    /// One of a scope around, by its place among what was captured.
    Captured(u32),
    /// A core module of the component's own.
    Module(Module),
    /// A nested component that takes nothing from the scopes around it.
    Component(Arc<ComponentItem>),
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

/// An export of an instance, and where it most likely is among the exports: there, or else where its name is found.
pub(crate) type ExportName = (Box<str>, u32);

/// Where in an item the resource types are that a scope first learns of with it: the names on the way, and the slot.
pub(crate) type Bindings = Box<[(Box<[ExportName]>, u32)]>;

pub(crate) enum Step {
    /// An import, which joins the items.
    Import { name: Box<str>, ty: ItemType, bindings: Bindings },
    /// A nested component, with what it takes from this scope.
    Component { definition: Arc<Definition>, captures: Box<[ItemRef]> },
    /// An instance of a core module.
    CoreInstance { module: ItemRef, imports: CoreImports },
    /// An instance of a component.
    Instance { component: ItemRef, args: IndexMap<Box<str>, ItemRef>, bindings: Bindings },
    /// An instance made of items.
    Exports { names: Arc<IndexSet<Box<str>>>, items: Box<[ItemRef]> },
    /// An item of an instance.
    Alias { instance: ItemRef, name: ExportName },
    /// An item of the core instance in this place.
    CoreAlias { instance: u32, export: CoreExport },
    /// A resource type of this component's own; its destructor is a core function.
    Resource { slot: u32, dtor: Option<u32> },
    /// A component function made of a core function.
    Lift { core: u32, ty: Arc<FuncType>, options: StaticOptions },
    /// A core function, and the engine's half of it.
    Core(CoreStep, Arc<HostFunc>),
    /// An item is exported with a type of which the scope learns resources.
    Bind { item: ItemRef, bindings: Bindings },
}

/// A core function that the component model makes.
pub(crate) enum CoreStep {
    /// Of a component function.
    Lower { func: ItemRef, ty: Arc<FuncType>, options: StaticOptions },
    /// `resource.new`.
    ResourceNew { slot: u32 },
    /// `resource.drop`.
    ResourceDrop { slot: u32 },
    /// `resource.rep`.
    ResourceRep { slot: u32 },
    /// What is made for tasks, threads and waitables.
    Builtin(Arc<Builtin>),
}

impl Step {
    /// See [`Definition::is_concurrent`].
    fn is_concurrent(&self) -> bool {
        match self {
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
