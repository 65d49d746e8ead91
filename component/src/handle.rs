//! Handles: what tables of them hold, and what they stand for. What is done with them is in [`crate::resource`] and
//! [`crate::concurrency`].

use crate::room::Room;
use crate::types::ResourceType;
use ampoule::{Budget, Error, Func, Store};
use std::fmt;
use std::sync::Arc;

/// What the embedder does when a resource of its own is dropped by the last who had it; gets the number that it gave it.
pub type HostDtor = dyn Fn(&mut Store, u32) -> Result<(), Error> + Send + Sync;

/// A resource type as a store knows it.
#[derive(Clone)]
pub(crate) struct Resource {
    pub(crate) ty: ResourceType,
    pub(crate) dtor: Dtor,
}

/// What happens when a resource is dropped.
#[derive(Clone)]
pub(crate) enum Dtor {
    None,
    Host(Arc<HostDtor>),
    /// A function of the component instance that defines the resource.
    Guest {
        func: Option<Func>,
        instance: u32,
    },
}

/// A handle of a component instance, or of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handle {
    Own {
        /// Which resource type, in the store's list.
        resource: u32,
        rep: u32,
        /// How many calls that run have borrowed it.
        lent: u32,
    },
    Borrow {
        resource: u32,
        rep: u32,
        /// The call that it is for.
        scope: u32,
    },
    /// A subtask, or an end of a stream or future: by number among the store's waitables.
    Waitable(u32),
    /// A waitable set, by number among the store's.
    Set(u32),
    /// An error context, by number among the store's.
    ErrorContext(u32),
}

impl Handle {
    /// The resource type, of a handle for a resource.
    pub(crate) fn resource(&self) -> Option<u32> {
        match *self {
            Handle::Own { resource, .. } | Handle::Borrow { resource, .. } => Some(resource),
            Handle::Waitable(_) | Handle::Set(_) | Handle::ErrorContext(_) => None,
        }
    }

    /// What stands behind a handle for a resource.
    pub(crate) fn rep(&self) -> u32 {
        match *self {
            Handle::Own { rep, .. } | Handle::Borrow { rep, .. } => rep,
            Handle::Waitable(_) | Handle::Set(_) | Handle::ErrorContext(_) => {
                unreachable!("it was seen that it is for a resource")
            }
        }
    }
}

/// Handles by number. Numbers begin at 1 and are used again, the latest first (Canonical ABI, "Table State").
#[derive(Default)]
pub(crate) struct HandleTable {
    entries: Vec<Entry>,
    free: u32,
    room: Room,
}

#[derive(Clone, Copy)]
enum Entry {
    /// The next that is free; 0 where there is none.
    Free(u32),
    Taken(Handle),
}

/// Handles that one table may have: what a guest can make the host keep.
const MAX_HANDLES: usize = 1 << 20;

/// What a handle counts in the store's budget. What stands behind it counts by itself.
const HANDLE_BYTES: usize = size_of::<Entry>();

impl HandleTable {
    /// An empty one, whose handles count in a budget.
    pub(crate) fn counted_in(budget: &Budget) -> Self {
        let mut table = Self::default();
        table.count_in(budget);
        table
    }

    /// Has the handles count in a budget. Those that are there stay, also where it has no room for them.
    pub(crate) fn count_in(&mut self, budget: &Budget) {
        self.room.count_in(budget, &self.entries, HANDLE_BYTES);
    }

    /// Puts other handles in place of these, which count where these did.
    pub(crate) fn replace(&mut self, mut other: HandleTable) {
        if let Some(budget) = std::mem::take(&mut self.room).budget() {
            other.count_in(budget);
        }
        *self = other;
    }

    /// Adds a handle.
    ///
    /// # Errors
    /// Where the table is full, or the store's budget.
    pub(crate) fn insert(&mut self, handle: Handle) -> Result<u32, Error> {
        if self.free != 0 {
            let index = self.free;
            let entry = &mut self.entries[index as usize - 1];
            let Entry::Free(next) = *entry else { unreachable!("a free entry is free") };
            self.free = next;
            *entry = Entry::Taken(handle);
            return Ok(index);
        }
        if self.entries.len() >= MAX_HANDLES {
            return Err(Error::message("cannot allocate another handle: index overflow"));
        }
        self.room.make(&mut self.entries, HANDLE_BYTES)?;
        self.entries.push(Entry::Taken(handle));
        Ok(self.entries.len() as u32)
    }

    /// The handle of this number.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn get(&mut self, index: u32) -> Result<&mut Handle, Error> {
        match self.entries.get_mut((index as usize).wrapping_sub(1)) {
            Some(Entry::Taken(handle)) => Ok(handle),
            _ => Err(unknown(index)),
        }
    }

    /// Takes a handle out.
    ///
    /// # Errors
    /// Where there is none, or it is lent.
    pub(crate) fn remove(&mut self, index: u32) -> Result<Handle, Error> {
        let handle = *self.get(index)?;
        if let Handle::Own { lent: 1.., .. } = handle {
            return Err(Error::message("cannot remove owned resource while borrowed"));
        }
        self.entries[index as usize - 1] = Entry::Free(self.free);
        self.free = index;
        Ok(handle)
    }

    /// What is behind each number, from 1 on; `None` where it is free.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Option<&Handle>> {
        self.entries.iter().map(|entry| match entry {
            Entry::Free(_) => None,
            Entry::Taken(handle) => Some(handle),
        })
    }

    /// The numbers that are free, in the order in which they will be used.
    pub(crate) fn free_numbers(&self) -> Vec<u32> {
        let next = |&index: &u32| match self.entries[index as usize - 1] {
            Entry::Free(next) => Some(next).filter(|&next| next != 0),
            Entry::Taken(_) => unreachable!("a free entry is free"),
        };
        std::iter::successors(Some(self.free).filter(|&first| first != 0), next).collect()
    }

    /// The table that [`HandleTable::iter`] and [`HandleTable::free_numbers`] tell of. `None` where they contradict each other, or there are
    /// too many handles.
    pub(crate) fn from_parts(handles: Vec<Option<Handle>>, free: &[u32]) -> Option<HandleTable> {
        let free_handles = handles.iter().filter(|handle| handle.is_none()).count();
        if handles.len() > MAX_HANDLES || free_handles != free.len() {
            return None;
        }
        let mut entries: Vec<_> = handles.into_iter().map(|handle| handle.map(Entry::Taken)).collect();
        let mut next = 0;
        for &index in free.iter().rev() {
            let entry = entries.get_mut((index as usize).wrapping_sub(1))?;
            if entry.replace(Entry::Free(next)).is_some() {
                return None;
            }
            next = index;
        }
        Some(HandleTable { entries: entries.into_iter().collect::<Option<_>>()?, free: next, room: Room::default() })
    }

    /// How many handles there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry, Entry::Taken(_))).count()
    }
}

/// A handle of another kind than it was used as.
#[cold]
pub(crate) fn wrong_kind(index: u32, expected: &str) -> Error {
    Error::message(format!("handle index {index} used with the wrong type, expected {expected}"))
}

fn unknown(index: u32) -> Error {
    Error::message(format!("unknown handle index {index}"))
}

/// A resource in the host's hands: a handle in the store's table of the host. A copy is the same handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceAny {
    pub(crate) store: u64,
    pub(crate) index: u32,
    pub(crate) ty: ResourceType,
    pub(crate) owned: bool,
}

/// A resource of the embedder's, before it is given to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceHost {
    /// The number that the embedder gave it.
    pub rep: u32,
    /// The number of its type.
    pub ty: u32,
    /// Whether it is owned, rather than borrowed.
    pub owned: bool,
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ty.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Handle = Handle::Own { resource: 0, rep: 5, lent: 0 };

    #[test]
    fn numbers_begin_at_one_and_the_latest_freed_is_used_first() {
        let mut table = HandleTable::default();
        assert_eq!([0; 3].map(|_| table.insert(OWN).unwrap()), [1, 2, 3]);
        table.remove(1).unwrap();
        table.remove(3).unwrap();
        assert_eq!([0; 3].map(|_| table.insert(OWN).unwrap()), [3, 1, 4]);
        assert_eq!(table.len(), 4);
    }

    #[test]
    fn what_was_removed_or_never_was_is_unknown() {
        let mut table = HandleTable::default();
        let index = table.insert(OWN).unwrap();
        table.remove(index).unwrap();
        for index in [0, index, 2, u32::MAX] {
            assert_eq!(table.remove(index).unwrap_err().to_string(), format!("unknown handle index {index}"));
        }
    }

    #[test]
    fn what_is_lent_stays() {
        let mut table = HandleTable::default();
        let index = table.insert(Handle::Own { resource: 0, rep: 1, lent: 1 }).unwrap();
        assert!(table.remove(index).is_err());
        assert_eq!(table.get(index).unwrap().rep(), 1);
    }

    #[test]
    fn a_table_comes_out_of_its_parts_and_gives_the_same_numbers() {
        let mut table = HandleTable::default();
        (0..5).for_each(|at| assert_eq!(table.insert(OWN).unwrap(), at + 1));
        for index in [2, 5, 3] {
            table.remove(index).unwrap();
        }
        let parts = |table: &HandleTable| {
            (table.iter().map(|handle| handle.copied()).collect::<Vec<_>>(), table.free_numbers())
        };
        let (handles, free) = parts(&table);
        assert_eq!(free, [3, 5, 2]);
        let mut copy = HandleTable::from_parts(handles.clone(), &free).unwrap();
        assert_eq!(parts(&copy), parts(&table));
        assert_eq!([0; 4].map(|_| copy.insert(OWN).unwrap()), [3, 5, 2, 6]);
        for wrong in [&[3, 5][..], &[3, 5, 5], &[3, 5, 1], &[3, 5, 0], &[3, 5, 6], &[3, 5, 2, 2]] {
            assert!(HandleTable::from_parts(handles.clone(), wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn handles_count_in_the_budget_of_the_store() {
        let budget = Budget::default();
        let limit = 8 * HANDLE_BYTES;
        budget.set_limits(None, Some(limit as u64));
        let mut table = HandleTable::counted_in(&budget);
        assert_eq!(budget.total(), 0);
        for _ in 0..8 {
            table.insert(OWN).unwrap();
        }
        let error = table.insert(OWN).unwrap_err().to_string();
        assert!(error.contains(&format!("{limit} bytes asked for components, {limit} of {limit} used")), "{error}");
        table.remove(3).unwrap();
        assert_eq!(table.insert(OWN).unwrap(), 3);
        drop(table);
        assert_eq!(budget.total(), 0);
    }

    #[test]
    fn a_full_table_says_so() {
        let mut table = HandleTable::default();
        for _ in 0..MAX_HANDLES {
            table.insert(OWN).unwrap();
        }
        assert!(table.insert(OWN).is_err());
        table.remove(7).unwrap();
        assert_eq!(table.insert(OWN).unwrap(), 7);
    }
}
