//! What one guest has of the host's resources: one bounded table a store, whichever versions of the interfaces it uses.
//!
//! A guest's handle stands for a number in the table of its store, which the guest never sees. Entries are bounded, and those that hold
//! a descriptor of the host by the budget of descriptors besides. What an entry is, is the interface's that has it.

use super::error::Error;
use crate::host::ctx::Counted;
use crate::host::net::lookup::Lookups;
use crate::host::table::Table;
use crate::host::{self, Host};
use ampoule::Budget;
use rustix::io::Errno;
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Entries that one guest may have.
pub const MAX_RESOURCES: usize = 1 << 16;

/// The number of the first resource type of WASI; embedders count theirs from zero, mostly.
const FIRST_TYPE: u32 = 0x5741_5300;

/// Whether this is the number of one of WASI's resource types.
pub fn is_of_wasi(ty: u32) -> bool {
    (FIRST_TYPE..FIRST_TYPE + 0x100).contains(&ty)
}

/// A kind of entry: a resource type.
pub trait Entry: Any + Send + Sync {
    /// Its number among those of WASI: no other has it.
    const NUMBER: u32;
    /// Its name.
    const NAME: &'static str;
    /// Its number among all of the host's resource types.
    const TYPE: u32 = FIRST_TYPE + Self::NUMBER;
}

/// Declares what entries of a table are, each with its number and name.
macro_rules! entries {
    ($($kind:ty = $number:literal $name:literal,)*) => {$(
        impl $crate::component::Entry for $kind {
            const NUMBER: u32 = $number;
            const NAME: &'static str = $name;
        }
    )*};
}
pub(crate) use entries;

/// A number in the table, of an entry of this kind.
pub struct Handle<T> {
    rep: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rep.fmt(f)
    }
}

impl<T> Handle<T> {
    /// Of the entry with this number, whatever it is.
    pub fn new(rep: u32) -> Self {
        Self { rep, kind: PhantomData }
    }

    /// The number.
    pub fn rep(self) -> u32 {
        self.rep
    }
}

/// An entry that the guest has given away.
#[derive(Debug)]
pub struct Taken<T>(pub T);

/// The right to one descriptor of the host, shared by the entries that hold the same.
pub type Token = Arc<()>;

/// An entry on its way to the guest.
pub struct Own<T> {
    entry: T,
    parent: Option<u32>,
    token: Option<Token>,
}

impl<T> Own<T> {
    /// An entry that stands by itself.
    pub fn new(entry: T) -> Self {
        Self { entry, parent: None, token: None }
    }

    /// An entry that must go before another does.
    pub fn child_of(entry: T, parent: u32) -> Self {
        Self { parent: Some(parent), ..Self::new(entry) }
    }

    /// An entry that holds a descriptor of the host.
    pub fn holding(entry: T, token: Option<Token>) -> Self {
        Self { token, ..Self::new(entry) }
    }
}

struct Slot {
    entry: Box<dyn Any + Send + Sync>,
    kind: &'static str,
    ty: u32,
    parent: Option<u32>,
    children: u32,
    token: Option<Token>,
}

impl Slot {
    fn of<T: Entry>(own: Own<T>) -> Self {
        Self {
            entry: Box::new(own.entry),
            kind: T::NAME,
            ty: T::TYPE,
            parent: own.parent,
            children: 0,
            token: own.token,
        }
    }
}

/// An entry, to be looked at.
pub struct Listed<'a> {
    /// Its number.
    pub rep: u32,
    /// The name of its kind.
    pub kind: &'static str,
    /// What it is.
    pub entry: &'a (dyn Any + Send + Sync),
    /// The number of the entry before which it must go.
    pub parent: Option<u32>,
    /// Whether it counts against the budget of descriptors.
    pub counts: bool,
}

/// What one guest has.
pub struct Resources {
    table: Table<Slot>,
    /// Each descriptor that is open has a clone of it.
    descriptors: Token,
    max_descriptors: usize,
    /// Each place where the guest waits for a descriptor of the host, beside a call that waits, has a clone of it.
    waiting: Token,
    /// Each stream that the host fills or empties has a clone of it.
    streams: Token,
    /// The lookups of names that run.
    pub lookups: Lookups,
}

impl Counted for Resources {
    fn count_in(&mut self, budget: &Budget) {
        self.table.count_in(budget);
    }
}

impl Resources {
    /// Nothing yet.
    pub fn new(host: &Host) -> Self {
        let mut table = Table::new(MAX_RESOURCES);
        if let Some(budget) = &host.budget {
            table.count_in(budget);
        }
        Self {
            table,
            descriptors: Arc::new(()),
            max_descriptors: host.max_fds,
            waiting: Arc::new(()),
            streams: Arc::new(()),
            lookups: Lookups::default(),
        }
    }

    /// The resource type of an entry; `None` where there is none.
    pub fn type_of(&self, rep: u32) -> Option<u32> {
        self.table.get(rep).ok().map(|slot| slot.ty)
    }

    /// All entries.
    pub fn list(&self) -> impl Iterator<Item = Listed<'_>> {
        self.table.iter().map(|(rep, slot)| {
            let Slot { kind, parent, .. } = *slot;
            Listed { rep, kind, entry: &*slot.entry, parent, counts: slot.token.is_some() }
        })
    }

    /// Whether the host works for the guest: fills or empties a stream, waits for a descriptor, or looks a name up.
    pub fn is_busy(&self) -> bool {
        Arc::strong_count(&self.streams) > 1 || Arc::strong_count(&self.waiting) > 1 || self.lookups.are_running()
    }

    /// Adds an entry, and gives its number.
    ///
    /// # Errors
    /// The table is full, or the store's budget used up.
    pub fn insert<T: Entry>(&mut self, own: Own<T>) -> Result<u32, Error> {
        let parent = own.parent;
        let rep = self.table.insert(Slot::of(own)).map_err(|error| match error {
            host::Error::Os(Errno::NOMEM) => Error::message("the store's budget is used up by resources of WASI"),
            _ => Error::message("resource table has no free keys"),
        })?;
        if let Some(parent) = parent {
            self.slot_mut(parent)?.children += 1;
        }
        Ok(rep)
    }

    /// Adds an entry under this number.
    ///
    /// # Errors
    /// The number is taken or too high, or what the entry depends on is not there.
    pub fn put<T: Entry>(&mut self, rep: u32, own: Own<T>) -> Result<(), Error> {
        let parent = own.parent.map(|parent| self.slot_mut(parent).map(|_| parent)).transpose()?;
        self.table.put(rep, Slot::of(own)).map_err(|_| unknown())?;
        if let Some(parent) = parent {
            self.slot_mut(parent)?.children += 1;
        }
        Ok(())
    }

    fn slot_mut(&mut self, rep: u32) -> Result<&mut Slot, Error> {
        self.table.get_mut(rep).map_err(|_| unknown())
    }

    /// An entry.
    ///
    /// # Errors
    /// There is none, or another.
    pub fn get<T: Entry>(&self, handle: Handle<T>) -> Result<&T, Error> {
        let slot = self.table.get(handle.rep).map_err(|_| unknown())?;
        slot.entry.downcast_ref().ok_or_else(unknown)
    }

    /// An entry, to change it.
    ///
    /// # Errors
    /// There is none, or another.
    pub fn get_mut<T: Entry>(&mut self, handle: Handle<T>) -> Result<&mut T, Error> {
        self.slot_mut(handle.rep)?.entry.downcast_mut().ok_or_else(unknown)
    }

    /// All entries of this kind, to change them.
    pub fn all_mut<T: Entry>(&mut self) -> impl Iterator<Item = &mut T> {
        self.table.iter_mut().filter_map(|slot| slot.entry.downcast_mut())
    }

    /// Takes an entry out.
    ///
    /// # Errors
    /// There is none, or one that others depend on.
    pub fn remove(&mut self, rep: u32) -> Result<Box<dyn Any + Send + Sync>, Error> {
        if self.slot_mut(rep)?.children > 0 {
            return Err(Error::message("resource has children"));
        }
        let slot = self.table.remove(rep).map_err(|_| unknown())?;
        if let Some(parent) = slot.parent {
            self.slot_mut(parent)?.children -= 1;
        }
        Ok(slot.entry)
    }

    /// Takes an entry of this kind out.
    ///
    /// # Errors
    /// There is none, or another, or one that others depend on.
    pub fn take<T: Entry>(&mut self, handle: Handle<T>) -> Result<Taken<T>, Error> {
        self.get(handle)?;
        self.remove(handle.rep)?.downcast().map(|entry| Taken(*entry)).map_err(|_| unknown())
    }

    /// The right to one descriptor more, for an entry; `None` where the budget is used up, or the store's.
    pub fn descriptor(&self) -> Option<Token> {
        if Arc::strong_count(&self.descriptors) > self.max_descriptors {
            return None;
        }
        self.table.check_budget().ok().map(|()| self.descriptors.clone())
    }

    /// The right to wait for descriptors in one place more; `None` where it waits in as many as it may have descriptors.
    pub fn waiting(&self) -> Option<Token> {
        (Arc::strong_count(&self.waiting) <= self.max_descriptors).then(|| self.waiting.clone())
    }

    /// The right to one stream more of the host's.
    ///
    /// # Errors
    /// There are too many.
    pub fn stream(&self) -> Result<Token, Error> {
        if Arc::strong_count(&self.streams) > MAX_RESOURCES {
            return Err(Error::message(format!("too many streams of the host's: at most {MAX_RESOURCES} are allowed")));
        }
        Ok(self.streams.clone())
    }

    /// The right that an entry has.
    pub fn token(&self, rep: u32) -> Option<Token> {
        self.table.get(rep).ok()?.token.clone()
    }
}

#[cold]
fn unknown() -> Error {
    Error::message("the host doesn't have this resource")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WasiConfig;

    struct Parent;
    struct Child;

    entries! {
        Parent = 200 "parent",
        Child = 201 "child",
    }

    #[test]
    fn entries_under_chosen_numbers_are_as_others() {
        let mut resources = Resources::new(&WasiConfig::new().build().host);
        assert!(resources.put(4, Own::child_of(Child, 3)).is_err(), "it depends on what is not there");
        resources.put(3, Own::new(Parent)).unwrap();
        resources.put(4, Own::child_of(Child, 3)).unwrap();
        assert!(resources.put(3, Own::new(Parent)).is_err() && resources.put(u32::MAX, Own::new(Parent)).is_err());
        assert_eq!([3, 4, 5].map(|rep| resources.type_of(rep)), [Some(Parent::TYPE), Some(Child::TYPE), None]);
        assert!(resources.remove(3).is_err(), "it has a child");
        resources.remove(4).unwrap();
        resources.remove(3).unwrap();
        assert_eq!(resources.list().count(), 0);
    }
}
