//! Component instances, as the embedder holds them, and what they export.

use crate::component::{Component, ExportIndex};
use crate::definition::Definition;
use crate::func::Func;
use crate::state::ComponentState;
use crate::types::InstanceType;
use ampoule::{Error, Module, Store};
use indexmap::IndexSet;
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
#[derive(Default)]
pub(crate) struct InstanceItems {
    pub(crate) names: Names,
    pub(crate) items: Box<[Item]>,
}

/// The names of exports, which instances share.
pub(crate) enum Names {
    Set(Arc<IndexSet<Box<str>>>),
    Type(Arc<InstanceType>),
}

impl Default for Names {
    fn default() -> Self {
        Names::Set(Arc::default())
    }
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

/// A component instance of a store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Instance {
    pub(crate) store_id: u64,
    pub(crate) index: u32,
}

impl Instance {
    fn exports(&self, store: &mut Store) -> Result<Arc<InstanceItems>, Error> {
        let wrong_store = || Error::message("object used with the wrong store");
        if store.id() != self.store_id {
            return Err(wrong_store());
        }
        let instance = ComponentState::of(store).instances.get(self.index as usize);
        instance.map(|instance| instance.exports.clone()).ok_or_else(wrong_store)
    }

    /// The exported function of this name, or of an exported instance: `["wasi:cli/run@0.2.6", "run"]`.
    ///
    /// # Errors
    /// Where the instance is another store's.
    pub fn get_func(&self, store: &mut Store, path: &[&str]) -> Result<Option<Func>, Error> {
        let exports = self.exports(store)?;
        let mut items = &exports;
        let Some((last, outer)) = path.split_last() else { return Ok(None) };
        for name in outer {
            match items.get(name) {
                Some(Item::Instance(inner)) => items = inner,
                _ => return Ok(None),
            }
        }
        Ok(self.func(items.get(last)))
    }

    /// The exported function at this place; `None` where there is none, or the place is another component's.
    ///
    /// # Errors
    /// Where the instance is another store's.
    pub fn get_func_at(&self, store: &mut Store, index: &ExportIndex) -> Result<Option<Func>, Error> {
        let exports = self.exports(store)?;
        let scope = ComponentState::of(store).instances[self.index as usize].definition.scope;
        if scope != index.scope {
            return Ok(None);
        }
        Ok(self.func(index.find(&exports)))
    }

    /// The place of an export, by name, in an instance at another place where one is given. `None` where there is none.
    ///
    /// # Errors
    /// Where the instance is another store's.
    pub fn get_export_index(
        &self,
        store: &mut Store,
        within: Option<&ExportIndex>,
        name: &str,
    ) -> Result<Option<ExportIndex>, Error> {
        self.exports(store)?;
        let definition = ComponentState::of(store).instances[self.index as usize].definition.clone();
        Ok(Component::export_index_of(&definition, within, name))
    }

    fn func(&self, item: Option<&Item>) -> Option<Func> {
        match item {
            Some(&Item::Func(index)) => Some(Func { store_id: self.store_id, index }),
            _ => None,
        }
    }
}
