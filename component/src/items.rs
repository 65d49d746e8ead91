//! What components import and export, at run time.

use crate::definition::Definition;
use crate::names::IndexSet;
use crate::types::InstanceType;
use ampoule::Module;
use std::sync::Arc;

/// An item at run time.
#[derive(Clone)]
pub(crate) enum Item {
    /// By place in the store's list.
    Func(u32),
    Instance(Arc<InstanceItems>),
    Component(Arc<ComponentItem>),
    Module(Module),
    /// By place in the store's list.
    Resource(u32),
    /// A type that is none of a resource.
    Type,
}

impl Item {
    /// What it is called in messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Item::Func(_) => "function",
            Item::Instance(_) => "instance",
            Item::Component(_) => "component",
            Item::Module(_) => "module",
            Item::Resource(_) => "resource",
            Item::Type => "type",
        }
    }
}

/// A component at run time: with what it took from the scope around it.
pub(crate) struct ComponentItem {
    pub(crate) definition: Arc<Definition>,
    pub(crate) captured: Box<[Item]>,
}

/// What an instance exports.
pub(crate) struct InstanceItems {
    pub(crate) names: Names,
    pub(crate) items: Box<[Item]>,
}

/// The names of exports, which instances share.
pub(crate) enum Names {
    Set(Arc<IndexSet<Box<str>>>),
    Type(Arc<InstanceType>),
}

impl InstanceItems {
    /// The export of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Item> {
        let index = match &self.names {
            Names::Set(names) => names.get_index_of(name),
            Names::Type(ty) => ty.exports().get_index_of(name),
        };
        self.items.get(index?)
    }
}
