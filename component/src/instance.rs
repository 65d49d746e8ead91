//! Component instances, as the embedder holds them.

use crate::component::{Component, ExportIndex};
use crate::func::Func;
use crate::items::{InstanceItems, Item};
use crate::state::ComponentState;
use ampoule::{Error, Store};
use std::sync::Arc;

/// A component instance of a store. The layout is the C interface's.
#[repr(C)]
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
        instance.and_then(|instance| instance.exports.clone()).ok_or_else(wrong_store)
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
