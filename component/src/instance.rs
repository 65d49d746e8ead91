//! Component instances, as the embedder holds them.

use crate::component::{Component, ExportIndex};
use crate::func::Func;
use crate::items::{InstanceItem, Item};
use crate::state::ComponentState;
use ampoule::{Error, Store};

/// A component instance of a store. The layout is the C interface's.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Instance {
    pub(crate) store_id: u64,
    pub(crate) index: u32,
}

impl Instance {
    /// The state of the store, which has the instance.
    pub(crate) fn state<'s>(&self, store: &'s mut Store) -> Result<&'s mut ComponentState, Error> {
        let wrong_store = || Error::message("object used with the wrong store");
        if store.id() != self.store_id {
            return Err(wrong_store());
        }
        let state = ComponentState::of(store);
        let found = state.instances.get(self.index as usize);
        found.and_then(|instance| instance.exports.as_ref()).ok_or_else(wrong_store)?;
        Ok(state)
    }

    /// The instance as an item, and the state of its store.
    fn item<'s>(&self, store: &'s mut Store) -> Result<(&'s mut ComponentState, Item), Error> {
        Ok((self.state(store)?, Item::Instance(InstanceItem::Component(self.index))))
    }

    /// The exported function of this name, or of an exported instance: `["wasi:cli/run@0.2.6", "run"]`.
    ///
    /// # Errors
    /// Where the instance is another store's.
    pub fn get_func(&self, store: &mut Store, path: &[&str]) -> Result<Option<Func>, Error> {
        let (state, item) = self.item(store)?;
        let found = path.iter().try_fold(item, |found, name| found.export(state, (name, 0)));
        Ok(self.func(found))
    }

    /// The exported function at this place; `None` where there is none, or the place is another component's.
    ///
    /// # Errors
    /// Where the instance is another store's.
    pub fn get_func_at(&self, store: &mut Store, index: &ExportIndex) -> Result<Option<Func>, Error> {
        let (state, item) = self.item(store)?;
        if state.instances[self.index as usize].definition.scope != index.scope {
            return Ok(None);
        }
        let found = index.path.iter().try_fold(item, |found, (name, at)| found.export(state, (name, *at)));
        Ok(self.func(found))
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
        let (state, _) = self.item(store)?;
        let definition = state.instances[self.index as usize].definition;
        Ok(Component::export_index_of(&definition, within, name))
    }

    fn func(&self, item: Option<Item>) -> Option<Func> {
        match item {
            Some(Item::Func(index)) => Some(Func { store_id: self.store_id, index }),
            _ => None,
        }
    }
}
