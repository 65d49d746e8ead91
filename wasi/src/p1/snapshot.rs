//! Descriptors as plain data, and a table of them again.

use super::descriptor::{Descriptor, FdTable, Kind};
use super::errno::{Errno, Error};
use super::types::Rights;
use crate::host::Host;
use crate::host::snapshot::{DirState, FileState, HostState, SnapshotError};
use serde::{Deserialize, Serialize};

/// What is kept of a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescriptorState {
    fd: u32,
    kind: KindState,
    rights: u64,
    inheriting: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum KindState {
    Stdin,
    Stdout,
    Stderr,
    File(FileState),
    Dir(DirState),
}

impl DescriptorState {
    /// Of this descriptor.
    ///
    /// # Errors
    /// What is of [`FileState::of`] and [`DirState::of`].
    fn of(host: &Host, fd: u32, descriptor: &Descriptor) -> Result<Self, SnapshotError> {
        let kind = match &descriptor.kind {
            Kind::Stdin => KindState::Stdin,
            Kind::Stdout => KindState::Stdout,
            Kind::Stderr => KindState::Stderr,
            Kind::File(file) => KindState::File(FileState::of(host, file, &name(fd))?),
            Kind::Dir(dir) => KindState::Dir(DirState::of(host, dir, &name(fd))?),
        };
        Ok(Self { fd, kind, rights: descriptor.rights.bits(), inheriting: descriptor.inheriting.bits() })
    }

    /// The descriptor. Its rights say what the guest has not given up; what it may do is up to what it is opened beneath now.
    fn open(&self, host: &Host) -> Result<Descriptor, SnapshotError> {
        let name = name(self.fd);
        let (kind, meaningful) = match &self.kind {
            KindState::Stdin => (Kind::Stdin, Rights::OF_STDIN),
            KindState::Stdout => (Kind::Stdout, Rights::OF_OUTPUT),
            KindState::Stderr => (Kind::Stderr, Rights::OF_OUTPUT),
            KindState::File(file) => (Kind::File(file.open(host, &name)?), Rights::OF_FILES),
            KindState::Dir(dir) => (Kind::Dir(dir.open(host, &name)?), Rights::OF_DIRECTORIES),
        };
        let rights = |bits| Rights::from_bits(bits).ok_or(SnapshotError::Damaged("a right is unknown"));
        let inheriting = rights(self.inheriting)?.when(matches!(kind, Kind::Dir(_)));
        Ok(Descriptor { kind, rights: rights(self.rights)?.and(meaningful), inheriting })
    }
}

/// The name of a descriptor in messages.
fn name(fd: u32) -> String {
    format!("descriptor {fd}")
}

/// What is kept of a guest's descriptors.
///
/// # Errors
/// [`SnapshotError`] for the first that can't be.
pub fn descriptors(host: &Host, table: &FdTable) -> Result<Vec<DescriptorState>, SnapshotError> {
    table.iter().map(|(fd, descriptor)| DescriptorState::of(host, fd, descriptor)).collect()
}

/// The descriptors of a guest that had these, by their numbers. Directories that it hadn't then get the lowest free ones: it finds them unless
/// it has looked for its preopens already.
///
/// # Errors
/// [`SnapshotError`] for the first that can't be opened.
pub fn open(host: &Host, state: &HostState, descriptors: &[DescriptorState]) -> Result<FdTable, SnapshotError> {
    let mut table = FdTable::empty(host);
    let refused = |name, error| match error {
        Error::Errno(Errno::Exist) => SnapshotError::Damaged("a descriptor is there twice"),
        _ => SnapshotError::Budget { name, limit: host.max_fds },
    };
    for descriptor in descriptors {
        let opened = descriptor.open(host)?;
        table.put(descriptor.fd, opened).map_err(|error| refused(name(descriptor.fd), error))?;
    }
    for dir in &host.preopens {
        let preopen = dir.preopen_name().unwrap_or_default();
        if !state.had_preopen(preopen) {
            let inserted = table.insert(Descriptor::of_preopen(dir));
            inserted.map_err(|error| refused(format!("`{preopen}`"), error))?;
        }
    }
    Ok(table)
}
