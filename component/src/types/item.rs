//! The types of what components import and export.

use crate::names::IndexMap;
use crate::types::func::FuncType;
use crate::types::val::{ResourceType, ValType};
use ampoule::ExternType;
use std::sync::Arc;

/// Items by name, as declared.
pub type Items = IndexMap<Box<str>, ItemType>;

/// What an import or export is.
#[derive(Clone, Debug)]
pub enum ItemType {
    /// A component.
    Component(Arc<ComponentType>),
    /// An instance.
    Instance(Arc<InstanceType>),
    /// A core module.
    Module(Arc<ModuleType>),
    /// A function.
    Func(Arc<FuncType>),
    /// A resource type.
    Resource(ResourceType),
    /// A type of values.
    Type(ValType),
}

impl ItemType {
    /// What it is called in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            ItemType::Component(_) => "component",
            ItemType::Instance(_) => "instance",
            ItemType::Module(_) => "module",
            ItemType::Func(_) => "function",
            ItemType::Resource(_) => "resource",
            ItemType::Type(_) => "type",
        }
    }
}

/// The type of a component. Imports that only say that two types are the same are not listed.
#[derive(Clone, Debug, Default)]
pub struct ComponentType {
    pub(crate) imports: Items,
    pub(crate) exports: Items,
}

impl ComponentType {
    /// Imports by name, as declared.
    pub fn imports(&self) -> &Items {
        &self.imports
    }

    /// Exports by name, as declared.
    pub fn exports(&self) -> &Items {
        &self.exports
    }
}

/// The type of an instance.
#[derive(Clone, Debug, Default)]
pub struct InstanceType {
    pub(crate) exports: Items,
}

impl InstanceType {
    /// Exports by name, as declared.
    pub fn exports(&self) -> &Items {
        &self.exports
    }
}

/// The type of a core module.
#[derive(Clone, Debug, Default)]
pub struct ModuleType {
    pub(crate) imports: Vec<(Box<str>, Box<str>, ExternType)>,
    pub(crate) exports: Vec<(Box<str>, ExternType)>,
}

impl ModuleType {
    /// Imports: module, name, type.
    pub fn imports(&self) -> &[(Box<str>, Box<str>, ExternType)] {
        &self.imports
    }

    /// Exports: name, type.
    pub fn exports(&self) -> &[(Box<str>, ExternType)] {
        &self.exports
    }
}
