//! Descriptors: what each number of the guest's stands for, and the rights it holds.

use super::errno::{Errno, Error};
use super::types::Rights;
use crate::host::Host;
use crate::host::ctx::Counted;
use crate::host::dir::OpenDir;
use crate::host::file::OpenFile;
use crate::host::table::Table;
use ampoule::Budget;

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
    /// A preopened directory.
    pub fn of_preopen(dir: &OpenDir) -> Self {
        // Everything is inherited: what a preopen forbids is `perm`, by its permissions, so that a program which opens a file for
        // writing in a read-only directory gets that error, instead of quietly getting a read-only file.
        Self { kind: Kind::Dir(dir.clone()), rights: Rights::OF_DIRECTORIES, inheriting: Rights::ALL }
    }

    /// Whether all of `needed` are held.
    ///
    /// # Errors
    /// `notcapable` when not.
    #[inline]
    pub fn require(&self, needed: Rights) -> Result<(), Errno> {
        if self.rights.contains(needed) { Ok(()) } else { Err(Errno::Notcapable) }
    }
}

/// How many descriptors there may be.
fn most(host: &Host) -> usize {
    host.max_fds.max(3 + host.preopens.len())
}

/// The descriptors of one guest.
#[derive(Debug)]
pub struct FdTable(Table<Descriptor>);

impl Counted for FdTable {
    fn count_in(&mut self, budget: &Budget) {
        self.0.count_in(budget);
    }
}

impl FdTable {
    /// What a guest begins with: standard streams as 0, 1 and 2; then the preopens.
    pub fn of(host: &Host) -> Self {
        let mut table = Self(Table::new(most(host)));
        let streams =
            [(Kind::Stdin, Rights::OF_STDIN), (Kind::Stdout, Rights::OF_OUTPUT), (Kind::Stderr, Rights::OF_OUTPUT)];
        let streams = streams.map(|(kind, rights)| Descriptor { kind, rights, inheriting: Rights::NONE });
        let dirs = host.preopens.iter().map(Descriptor::of_preopen);
        for descriptor in streams.into_iter().chain(dirs) {
            let inserted = table.insert(descriptor);
            debug_assert!(inserted.is_ok(), "the limit counts these");
        }
        table.count_in_budget_of(host);
        table
    }

    /// Room for as many as the host allows, standard streams and preopens in any case.
    pub fn empty(host: &Host) -> Self {
        let mut table = Self(Table::new(most(host)));
        table.count_in_budget_of(host);
        table
    }

    fn count_in_budget_of(&mut self, host: &Host) {
        if let Some(budget) = &host.budget {
            self.count_in(budget);
        }
    }

    /// All descriptors with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Descriptor)> {
        self.0.iter()
    }

    /// The descriptor numbered `fd`.
    ///
    /// # Errors
    /// `badf` when it isn't open.
    pub fn get(&self, fd: u32) -> Result<&Descriptor, Error> {
        Ok(self.0.get(fd)?)
    }

    /// The descriptor numbered `fd`, to change it.
    ///
    /// # Errors
    /// `badf` when it isn't open.
    pub fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Error> {
        Ok(self.0.get_mut(fd)?)
    }

    /// The file numbered `fd`, which must hold `needed`.
    ///
    /// # Errors
    /// `badf` unless it is an open file, `notcapable` without the rights.
    pub fn file(&self, fd: u32, needed: Rights) -> Result<&OpenFile, Error> {
        let descriptor = self.get(fd)?;
        let Kind::File(file) = &descriptor.kind else { return Err(Errno::Badf.into()) };
        descriptor.require(needed)?;
        Ok(file)
    }

    /// The same, to change it.
    ///
    /// # Errors
    /// `badf` unless it is an open file, `notcapable` without the rights.
    pub fn file_mut(&mut self, fd: u32, needed: Rights) -> Result<&mut OpenFile, Error> {
        let descriptor = self.get_mut(fd)?;
        let held = descriptor.require(needed);
        let Kind::File(file) = &mut descriptor.kind else { return Err(Errno::Badf.into()) };
        held?;
        Ok(file)
    }

    /// The directory numbered `fd`, which must hold `needed`.
    ///
    /// # Errors
    /// `badf` unless it is an open directory, `notcapable` without the rights.
    pub fn dir(&self, fd: u32, needed: Rights) -> Result<&OpenDir, Error> {
        let descriptor = self.get(fd)?;
        let Kind::Dir(dir) = &descriptor.kind else { return Err(Errno::Badf.into()) };
        descriptor.require(needed)?;
        Ok(dir)
    }

    /// Whether another descriptor can be opened.
    ///
    /// # Errors
    /// `mfile` when the budget is used up; `nomem` when the store's is.
    pub fn check_budget(&self) -> Result<(), Error> {
        Ok(self.0.check_budget()?)
    }

    /// Opens the lowest free number for `descriptor`.
    ///
    /// # Errors
    /// `mfile` when the budget is used up; `nomem` when the store's is.
    pub fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Error> {
        Ok(self.0.insert(descriptor)?)
    }

    /// Opens the number `fd` for `descriptor`.
    ///
    /// # Errors
    /// `mfile` beyond the budget, `exist` when it is open.
    pub fn put(&mut self, fd: u32, descriptor: Descriptor) -> Result<(), Error> {
        Ok(self.0.put(fd, descriptor)?)
    }

    /// Closes `fd`.
    ///
    /// # Errors
    /// `badf` when it isn't open.
    pub fn remove(&mut self, fd: u32) -> Result<Descriptor, Error> {
        Ok(self.0.remove(fd)?)
    }

    /// Gives the descriptor numbered `from` the number `to`, closing what `to` was.
    ///
    /// # Errors
    /// `badf` unless both are open; nothing changes.
    pub fn renumber(&mut self, from: u32, to: u32) -> Result<(), Error> {
        Ok(self.0.renumber(from, to)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::WasiConfig;

    fn table() -> FdTable {
        FdTable::of(&WasiConfig::new().build().host)
    }

    #[test]
    fn a_guest_begins_with_its_streams() {
        let table = table();
        assert!(table.get(2).is_ok());
        assert_eq!(table.get(3).err(), Some(Errno::Badf.into()));
    }

    #[test]
    fn rights_are_asked_for_after_the_kind() {
        let mut table = table();
        assert_eq!(table.get(0).map(|fd| fd.require(Rights::FD_READ)), Ok(Ok(())));
        assert_eq!(table.get(0).map(|fd| fd.require(Rights::FD_WRITE)), Ok(Err(Errno::Notcapable)));
        for errno in [
            table.file(0, Rights::FD_WRITE).err(),
            table.file_mut(0, Rights::FD_WRITE).err(),
            table.dir(0, Rights::FD_WRITE).err(),
            table.dir(u32::MAX, Rights::NONE).err(),
        ] {
            assert_eq!(errno, Some(Errno::Badf.into()));
        }
    }
}
