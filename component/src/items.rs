//! What components import and export, at run time.

use crate::definition::{Definition, ExportName};
use crate::found::{FoundFunc, FoundInstance};
use crate::kept::Kept;
use crate::names::IndexSet;
use crate::records::FuncData;
use crate::state::ComponentState;
use crate::types::InstanceType;
use ampoule::Module;
use std::sync::Arc;

/// An item at run time.
#[derive(Clone)]
pub(crate) enum Item {
    /// By place in the store's list.
    Func(u32),
    /// One of the host's, for the instance that imports it.
    HostFunc(u32, Kept<FoundFunc>),
    Instance(InstanceItem),
    Component(Arc<ComponentItem>),
    Module(Module),
    /// By place in the store's list.
    Resource(u32),
    /// A type that is none of a resource.
    Type,
}

/// An instance at run time.
#[derive(Clone)]
pub(crate) enum InstanceItem {
    /// Of a component, by place in the store's list.
    Component(u32),
    /// Made of items.
    Items(Arc<InstanceItems>),
    /// What an instance imports of the host. Its items are made when they are asked for.
    Host(u32, Kept<FoundInstance>),
}

/// A component at run time: with what it took from the scope around it.
pub(crate) struct ComponentItem {
    pub(crate) definition: Arc<Definition>,
    pub(crate) captured: Box<[Item]>,
}

/// Items with names.
pub(crate) struct InstanceItems {
    pub(crate) names: Names,
    pub(crate) items: Box<[Item]>,
}

/// The names of items, which instances share.
pub(crate) enum Names {
    Set(Kept<IndexSet<Box<str>>>),
    Type(Kept<InstanceType>),
}

impl Item {
    /// What it is called in messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Item::Func(_) | Item::HostFunc(..) => "function",
            Item::Instance(_) => "instance",
            Item::Component(_) => "component",
            Item::Module(_) => "module",
            Item::Resource(_) => "resource",
            Item::Type => "type",
        }
    }

    /// What this exports under a name, which is most likely `at`, where it is an instance.
    pub(crate) fn export(&self, state: &mut ComponentState, (name, at): (&str, usize)) -> Option<Item> {
        match self {
            Item::Instance(instance) => instance.get(state, (name, at)),
            _ => None,
        }
    }

    /// The same as an instance exports it, so that the embedder may ask for it any number of times: functions are in the store's list.
    pub(crate) fn exported(self, state: &mut ComponentState) -> Item {
        match self {
            Item::HostFunc(instance, func) => Item::Func(state.add_func(|| FuncData::Host { instance, func })),
            Item::Instance(InstanceItem::Host(instance, found)) => {
                let items = (0..found.items.len()).map(|at| found.items[at].item(state, instance).exported(state));
                let items = items.collect();
                // SAFETY: the store counts what was found for the instance, with it its type.
                let names = Names::Type(unsafe { Kept::of(&found.ty) });
                Item::Instance(InstanceItem::Items(Arc::new(InstanceItems { names, items })))
            }
            item => item,
        }
    }
}

impl InstanceItem {
    /// The export of this name.
    pub(crate) fn get(&self, state: &mut ComponentState, (name, at): (&str, usize)) -> Option<Item> {
        match self {
            InstanceItem::Component(index) => {
                let instance = state.instances.get(*index as usize)?;
                let at = position(&instance.definition.exports, name, at)?;
                instance.exports.as_ref()?.get(at).cloned()
            }
            InstanceItem::Items(items) => {
                let at = match &items.names {
                    Names::Set(names) => position(names, name, at)?,
                    Names::Type(ty) => position_in(ty, name, at)?,
                };
                items.items.get(at).cloned()
            }
            InstanceItem::Host(instance, found) => {
                let at = position_in(&found.ty, name, at)?;
                Some(found.items[at].item(state, *instance))
            }
        }
    }

    /// The same, of an instance of the host's, where it is a function.
    #[inline]
    pub(crate) fn host_func(&self, (name, at): &ExportName) -> Option<(u32, Kept<FoundFunc>)> {
        let InstanceItem::Host(instance, found) = self else { return None };
        let at = position_in(&found.ty, name, *at as usize)?;
        found.items[at].func().map(|func| (*instance, func))
    }

    /// The same, as a step has it.
    pub(crate) fn export(&self, state: &mut ComponentState, (name, at): &ExportName) -> Option<Item> {
        self.get(state, (name, *at as usize))
    }
}

/// Where a name is, most likely `at`.
fn position(names: &IndexSet<Box<str>>, name: &str, at: usize) -> Option<usize> {
    if names.get_index(at).is_some_and(|there| **there == *name) { Some(at) } else { names.get_index_of(name) }
}

fn position_in(ty: &InstanceType, name: &str, at: usize) -> Option<usize> {
    let exports = ty.exports();
    if exports.get_index(at).is_some_and(|(there, _)| **there == *name) { Some(at) } else { exports.get_index_of(name) }
}
