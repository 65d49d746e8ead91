//! The descriptor table: what each number of the guest's stands for, and what it may be used for.
//!
//! Its size is a budget: host descriptors are shared by every store of the process.

use crate::files::{OpenDir, OpenFile};
use crate::p1::types::{Errno, Rights};

/// What one descriptor stands for.
#[derive(Debug)]
pub enum Kind {
    /// The context's standard input.
    Stdin,
    /// The context's standard output.
    Stdout,
    /// The context's standard error.
    Stderr,
    /// A file that the guest opened.
    File(OpenFile),
    /// A directory: preopened, or opened by the guest.
    Dir(OpenDir),
}

/// One open descriptor.
#[derive(Debug)]
pub struct Descriptor {
    /// What it is.
    pub kind: Kind,
    /// What it may be used for. Only ever shrinks.
    pub rights: Rights,
    /// What descriptors opened through it may be used for. Only ever shrinks.
    pub inheriting: Rights,
}

impl Descriptor {
    /// Whether all of `needed` are held.
    ///
    /// # Errors
    /// `notcapable` when not.
    pub fn require(&self, needed: Rights) -> Result<(), Errno> {
        if self.rights.contains(needed) { Ok(()) } else { Err(Errno::Notcapable) }
    }
}

/// The descriptors of one context.
///
/// 1. Every slot below `lowest_free` is taken.
#[derive(Debug)]
pub struct FdTable {
    slots: Vec<Option<Descriptor>>,
    lowest_free: usize,
    open: usize,
    limit: usize,
}

impl FdTable {
    /// An empty table of at most `limit` open descriptors.
    pub fn new(limit: usize) -> Self {
        Self { slots: Vec::new(), lowest_free: 0, open: 0, limit }
    }

    /// Whether another descriptor can be opened.
    ///
    /// # Errors
    /// `mfile` when the budget is used up.
    pub fn check_room(&self) -> Result<(), Errno> {
        if self.open < self.limit { Ok(()) } else { Err(Errno::Mfile) }
    }

    /// Opens the lowest free number for `descriptor`.
    ///
    /// # Errors
    /// `mfile` when the budget is used up.
    pub fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        self.check_room()?;
        let taken = self.slots[self.lowest_free..].iter().take_while(|slot| slot.is_some()).count();
        let index = self.lowest_free + taken;
        let fd = u32::try_from(index).map_err(|_| Errno::Mfile)?;
        if index == self.slots.len() {
            self.slots.push(Some(descriptor));
        } else {
            self.slots[index] = Some(descriptor);
        }
        self.open += 1;
        self.lowest_free = index + 1;
        Ok(fd)
    }

    /// The descriptor numbered `fd`.
    ///
    /// # Errors
    /// `badf` when it isn't open.
    pub fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.slots.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::Badf)
    }

    /// The descriptor numbered `fd`, to change it.
    ///
    /// # Errors
    /// `badf` when it isn't open.
    pub fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.slots.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::Badf)
    }

    /// The file numbered `fd`, which must hold `needed`.
    ///
    /// # Errors
    /// `badf` unless it is an open file, `notcapable` without the rights.
    pub fn file(&self, fd: u32, needed: Rights) -> Result<&OpenFile, Errno> {
        let descriptor = self.get(fd)?;
        let Kind::File(file) = &descriptor.kind else { return Err(Errno::Badf) };
        descriptor.require(needed)?;
        Ok(file)
    }

    /// The directory numbered `fd`, which must hold `needed`.
    ///
    /// # Errors
    /// `badf` unless it is an open directory, `notcapable` without the rights.
    pub fn dir(&self, fd: u32, needed: Rights) -> Result<&OpenDir, Errno> {
        let descriptor = self.get(fd)?;
        let Kind::Dir(dir) = &descriptor.kind else { return Err(Errno::Badf) };
        descriptor.require(needed)?;
        Ok(dir)
    }

    /// Closes `fd`.
    ///
    /// # Errors
    /// `badf` when it isn't open.
    pub fn remove(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        let index = fd as usize;
        let descriptor = self.slots.get_mut(index).and_then(Option::take).ok_or(Errno::Badf)?;
        self.open -= 1;
        self.lowest_free = self.lowest_free.min(index);
        Ok(descriptor)
    }

    /// Gives the descriptor numbered `from` the number `to`, closing what `to` was.
    ///
    /// # Errors
    /// `badf` unless both are open; nothing changes.
    pub fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            let descriptor = self.remove(from)?;
            *self.get_mut(to)? = descriptor;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> Descriptor {
        Descriptor { kind: Kind::Stdin, rights: Rights::FD_READ, inheriting: Rights::NONE }
    }

    #[test]
    fn the_lowest_free_number_is_taken() {
        let mut table = FdTable::new(10);
        for fd in 0..5 {
            assert_eq!(table.insert(any()), Ok(fd));
        }
        for fd in [3, 1] {
            assert!(table.remove(fd).is_ok());
        }
        assert_eq!([table.insert(any()), table.insert(any()), table.insert(any())], [Ok(1), Ok(3), Ok(5)]);
    }

    #[test]
    fn the_budget_counts_what_is_open() {
        let mut table = FdTable::new(2);
        assert!(table.insert(any()).is_ok());
        assert!(table.insert(any()).is_ok());
        assert_eq!(table.insert(any()), Err(Errno::Mfile));
        assert!(table.remove(0).is_ok());
        assert_eq!(table.insert(any()), Ok(0));
    }

    #[test]
    fn renumbering_moves_and_closes() {
        let mut table = FdTable::new(10);
        for _ in 0..3 {
            assert!(table.insert(any()).is_ok());
        }
        assert_eq!(table.renumber(2, 7), Err(Errno::Badf));
        assert_eq!(table.renumber(7, 2), Err(Errno::Badf));
        assert_eq!(table.renumber(2, 2), Ok(()));
        assert_eq!(table.renumber(2, 0), Ok(()));
        assert!(table.get(2).is_err() && table.get(0).is_ok());
        assert_eq!(table.insert(any()), Ok(2));
    }

    #[test]
    fn rights_are_asked_for_after_the_kind() {
        let mut table = FdTable::new(10);
        assert!(table.insert(any()).is_ok());
        assert_eq!(table.get(0).map(|fd| fd.require(Rights::FD_READ)), Ok(Ok(())));
        assert_eq!(table.get(0).map(|fd| fd.require(Rights::FD_WRITE)), Ok(Err(Errno::Notcapable)));
        assert!(matches!(table.file(0, Rights::NONE), Err(Errno::Badf)));
        assert!(matches!(table.dir(0, Rights::NONE), Err(Errno::Badf)));
        assert!(matches!(table.dir(u32::MAX, Rights::NONE), Err(Errno::Badf)));
    }
}
