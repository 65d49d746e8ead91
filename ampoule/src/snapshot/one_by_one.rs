//! Making the instances of a snapshot one after another: for libraries that have more between instances than imports, as components do.

use super::restore::{self, Target};
use super::{Contents, HostReferences, Snapshot};
use crate::error::{Error, LinkError};
use crate::instance::Instance;
use crate::instance::external::Extern;
use crate::module::Module;
use crate::store::Store;
use std::fmt;
use std::sync::Arc;

/// Instances of a snapshot that are being made in a store. See [`Snapshot::one_by_one`].
///
/// 1. `positions` are those of instances of the store with this id.
pub struct OneByOne {
    contents: Arc<Contents>,
    store: u64,
    positions: Vec<u32>,
}

impl Snapshot {
    /// Begins to make the instances in a store, one after another, in the order in which those were made that the snapshot was taken of. Until
    /// [`OneByOne::finish`] they are not what they were: nothing of them may be called or looked at.
    ///
    /// # Errors
    /// Where the store is of another engine, a guest of it runs, or an asynchronous call waits.
    pub fn one_by_one(&self, store: &Store) -> Result<OneByOne, Error> {
        if !self.engine().same(&store.engine) {
            return Err(LinkError::WrongEngine { what: "snapshot" }.into());
        }
        Ok(OneByOne { contents: self.contents.clone(), store: store.id(), positions: Vec::new() })
    }
}

impl OneByOne {
    /// Makes the next instance, which is of this module, with imports in the module's order. All of them are given, also those that are other
    /// instances' of the snapshot.
    ///
    /// # Errors
    /// Where the next is of another module, or there is none; [`LinkError`] where imports don't fit; where a limit of the store or its engine's
    /// pool refuses.
    pub fn next(&mut self, store: &mut Store, module: &Module, imports: &[Extern]) -> Result<Instance, Error> {
        self.check_store(store)?;
        let number = self.positions.len();
        let state = self.contents.state.instances.get(number);
        let state = state.filter(|state| self.contents.modules[state.module as usize].same(module));
        let state = state.ok_or_else(|| Error::message("the next instance of the snapshot is not of this module"))?;
        let position = restore::make_one(&self.contents, store, state, imports)?;
        self.positions.push(position);
        Ok(Instance::at(store, position))
    }

    /// Has the instances be as they were.
    ///
    /// # Errors
    /// Where not all were made; where a limit refuses their objects, or `references` a value of the host's. The instances are of no use then.
    pub fn finish(self, store: &mut Store, references: &mut dyn HostReferences) -> Result<(), Error> {
        self.check_store(store)?;
        if self.positions.len() != self.contents.state.instances.len() {
            return Err(Error::message("not all instances of the snapshot were made"));
        }
        Target::of(self.positions).fill(&self.contents, store, references)
    }

    fn check_store(&self, store: &Store) -> Result<(), Error> {
        if store.id() == self.store { Ok(()) } else { Err(Error::message("object used with the wrong store")) }
    }
}

impl fmt::Debug for OneByOne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneByOne").field("made", &self.positions.len()).finish_non_exhaustive()
    }
}
