//! The types of what components import and export.

use crate::names::IndexMap;
use crate::types::func::FuncType;
use crate::types::val::{ResourceType, ValType};
use ampoule::ExternType;
use std::borrow::Cow;
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

/// What is said of an import or export beside its name and its type. Whether types fit doesn't depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub(crate) implements: Option<Box<str>>,
    pub(crate) version_suffix: Option<Box<str>>,
    pub(crate) external_id: Option<Box<str>>,
}

impl Attributes {
    /// The interface that the instance of a plain name is one of, with its version.
    pub fn implements(&self) -> Option<&str> {
        self.implements.as_deref()
    }

    /// What follows the name, or that of the interface, where it has only as much of a version as decides what it is compatible with.
    pub fn version_suffix(&self) -> Option<&str> {
        self.version_suffix.as_deref()
    }

    /// What the item is called outside of components.
    pub fn external_id(&self) -> Option<&str> {
        self.external_id.as_deref()
    }
}

/// Attributes by name, of those items that have any.
pub(crate) type AttributesByName = IndexMap<Box<str>, Attributes>;

/// A name with its whole version, for whom has the item by that.
fn full_name<'n>(name: &'n str, attributes: &AttributesByName) -> Cow<'n, str> {
    match attributes.get(name) {
        Some(Attributes { implements: None, version_suffix: Some(suffix), .. }) => {
            Cow::Owned(format!("{name}{suffix}"))
        }
        _ => Cow::Borrowed(name),
    }
}

/// The type of a component. Imports that only say that two types are the same are not listed.
#[derive(Clone, Debug, Default)]
pub struct ComponentType {
    pub(crate) imports: Items,
    pub(crate) exports: Items,
    pub(crate) import_attributes: AttributesByName,
    pub(crate) export_attributes: AttributesByName,
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

    /// The name of an import with its whole version.
    pub(crate) fn full_import_name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        full_name(name, &self.import_attributes)
    }

    /// What is said of an import beside its type; `None` where nothing is.
    pub fn import_attributes(&self, name: &str) -> Option<&Attributes> {
        self.import_attributes.get(name)
    }

    /// What is said of an export beside its type; `None` where nothing is.
    pub fn export_attributes(&self, name: &str) -> Option<&Attributes> {
        self.export_attributes.get(name)
    }
}

/// The type of an instance.
#[derive(Clone, Debug, Default)]
pub struct InstanceType {
    pub(crate) exports: Items,
    pub(crate) export_attributes: AttributesByName,
}

impl InstanceType {
    /// Exports by name, as declared.
    pub fn exports(&self) -> &Items {
        &self.exports
    }

    /// The name of an export with its whole version.
    pub(crate) fn full_export_name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        full_name(name, &self.export_attributes)
    }

    /// What is said of an export beside its type; `None` where nothing is.
    pub fn export_attributes(&self, name: &str) -> Option<&Attributes> {
        self.export_attributes.get(name)
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
