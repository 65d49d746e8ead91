//! What a linker has found for the imports of a component: checked once, and the same for every store.

use crate::handle::HostDtor;
use crate::items::{InstanceItem, Item};
use crate::kept::Kept;
use crate::records::{HostCallee, HostFunc};
use crate::state::ComponentState;
use crate::types::{FuncType, InstanceType, ResourceType};
use ampoule::Module;
use ampoule::sync::OnceLock;
use std::sync::Arc;

/// What was found for all imports of a component, in the order of its steps.
pub(crate) struct FoundImports {
    pub(crate) items: Box<[Found]>,
    /// Whether there are functions that take a while.
    pub(crate) is_concurrent: bool,
}

/// What an import has been found to be.
pub(crate) enum Found {
    Func(Arc<FoundFunc>),
    Instance(Arc<FoundInstance>),
    Module(Module),
    Resource(ResourceType, Arc<HostDtor>),
    /// A resource that an import before has brought.
    Again(ResourceType),
    /// A type that is none of a resource.
    Type,
}

/// A function of the host.
pub(crate) struct FoundFunc {
    /// The type of the import, in the scope of the component that imports it.
    pub(crate) ty: Arc<FuncType>,
    /// The type as the embedder sees it: its resources are those that the same linker has.
    public: OnceLock<Arc<FuncType>>,
    pub(crate) host: HostFunc,
}

/// Items of the host under the names of an instance.
pub(crate) struct FoundInstance {
    /// As many as the type has, in its order.
    pub(crate) items: Box<[Found]>,
    pub(crate) ty: Arc<InstanceType>,
}

impl FoundImports {
    pub(crate) fn new(items: Box<[Found]>) -> Self {
        Self { is_concurrent: items.iter().any(Found::is_concurrent), items }
    }
}

impl FoundFunc {
    pub(crate) fn new(ty: Arc<FuncType>, host: HostFunc) -> Self {
        Self { ty, public: OnceLock::new(), host }
    }

    /// The type as the embedder sees it; `instance` is one that imports the function.
    #[inline(always)]
    pub(crate) fn public_type(&self, state: &ComponentState, instance: u32) -> &Arc<FuncType> {
        if !self.ty.has_handles {
            return &self.ty;
        }
        self.type_with_handles(state, instance)
    }

    fn type_with_handles(&self, state: &ComponentState, instance: u32) -> &Arc<FuncType> {
        self.public.get_or_init(|| Arc::new(self.ty.with_resources(&|slot| state.public_type(instance, slot))))
    }
}

impl Found {
    fn is_concurrent(&self) -> bool {
        match self {
            Found::Func(func) => matches!(func.host.call, HostCallee::Later(_)),
            Found::Instance(instance) => instance.items.iter().any(Found::is_concurrent),
            _ => false,
        }
    }

    /// A function, for an instance that imports it and counts it.
    #[inline]
    pub(crate) fn func(&self) -> Option<Kept<FoundFunc>> {
        match self {
            // SAFETY: the store counts what was found for the instance, and with it this.
            Found::Func(func) => Some(unsafe { Kept::of(func) }),
            _ => None,
        }
    }

    /// The item, for an instance that imports it and counts it.
    pub(crate) fn item(&self, state: &mut ComponentState, instance: u32) -> Item {
        match self {
            // SAFETY: the store counts what was found for the instance, and with it this.
            Found::Func(func) => Item::HostFunc(instance, unsafe { Kept::of(func) }),
            // SAFETY: as above.
            Found::Instance(found) => Item::Instance(InstanceItem::Host(instance, unsafe { Kept::of(found) })),
            Found::Module(module) => Item::Module(module.clone()),
            Found::Resource(ty, dtor) => Item::Resource(state.linked_resource(*ty, dtor)),
            Found::Again(slot) => state.resource_in(instance, *slot).map_or(Item::Type, Item::Resource),
            Found::Type => Item::Type,
        }
    }
}
