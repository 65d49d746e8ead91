//! What one guest has of the host's resources: one bounded table a store, whichever versions of the interfaces it uses.
//!
//! A guest's handle stands for a number in the table of its store, which the guest never sees. Entries are bounded, and those that hold
//! a descriptor of the host by the budget of descriptors besides. What an entry is, is the interface's that has it.

use super::error::Error;
use crate::host::Host;
use crate::host::net::lookup::Lookups;
use crate::host::table::Table;
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Entries that one guest may have.
pub const MAX_RESOURCES: usize = 1 << 16;

/// The number of the first resource type of WASI; embedders count theirs from zero, mostly.
const FIRST_TYPE: u32 = 0x5741_5300;

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
    parent: Option<u32>,
    children: u32,
    token: Option<Token>,
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

impl Resources {
    /// Nothing yet.
    pub fn new(host: &Host) -> Self {
        Self {
            table: Table::new(MAX_RESOURCES),
            descriptors: Arc::new(()),
            max_descriptors: host.max_fds,
            waiting: Arc::new(()),
            streams: Arc::new(()),
            lookups: Lookups::default(),
        }
    }

    /// The first entry's number and what it is; none where the guest has nothing.
    pub fn first(&self) -> Option<(u32, &'static str)> {
        self.table.iter().next().map(|(rep, slot)| (rep, slot.kind))
    }

    /// Whether the host works for the guest: fills or empties a stream, waits for a descriptor, or looks a name up.
    pub fn is_busy(&self) -> bool {
        Arc::strong_count(&self.streams) > 1 || Arc::strong_count(&self.waiting) > 1 || self.lookups.are_running()
    }

    /// Adds an entry, and gives its number.
    ///
    /// # Errors
    /// The table is full.
    pub fn insert<T: Entry>(&mut self, own: Own<T>) -> Result<u32, Error> {
        let slot =
            Slot { entry: Box::new(own.entry), kind: T::NAME, parent: own.parent, children: 0, token: own.token };
        let rep = self.table.insert(slot).map_err(|_| Error::message("resource table has no free keys"))?;
        if let Some(parent) = own.parent {
            self.slot_mut(parent)?.children += 1;
        }
        Ok(rep)
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

    /// The right to one descriptor more; `None` where the budget is used up.
    pub fn descriptor(&self) -> Option<Token> {
        if Arc::strong_count(&self.descriptors) > self.max_descriptors {
            return None;
        }
        Some(self.descriptors.clone())
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
