//! What the host's part of a guest can be kept as, apart from the process: plain data, and how it becomes a host again.
//!
//! A snapshot says what a guest had, and grants nothing. Whoever thaws it grants directories and streams anew, under the names that
//! the guest knows; what was open beneath them is opened again by the guest's own paths, within the permissions of now. Arguments and environment
//! are only text. Randomness is not kept: a thawed guest gets fresh bytes from the host, but those that it has taken before it was kept are
//! in its memory, and in that of every other guest of the same snapshot.

use super::ctx::ConfigError;
use super::dir::{OpenDir, OpenHow, Opened};
use super::error::Error;
use super::file::{OpenFile, SyncModes};
use super::place::Place;
use super::stat::{FileStat, FileType};
use super::{Host, WasiConfig};
use crate::host::clocks::Clock;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// What can't be kept of a guest, or not be given back.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It belongs to this process, or is about to change.
    #[error("{name}: {what} can't be kept")]
    NotKept {
        /// What the guest knows it by.
        name: String,
        /// What it is.
        what: String,
    },
    /// Its path leads to something else by now, or nowhere.
    #[error("{name}: `{path}` was removed or renamed after it was opened")]
    Moved {
        /// What the guest knows it by.
        name: String,
        /// The path beneath its preopen.
        path: String,
    },
    /// Two directories have this name, so that nobody could tell them apart later.
    #[error("two directories are preopened as `{name}`")]
    Ambiguous {
        /// The name.
        name: String,
    },
    /// The guest has a directory of this name, and isn't given one now.
    #[error("no directory is given as `{name}`, which the guest has open")]
    Missing {
        /// The name.
        name: String,
    },
    /// It can't be opened again.
    #[error("{name}: cannot open `{path}` again: {source}")]
    Open {
        /// What the guest knows it by.
        name: String,
        /// The path beneath its preopen.
        path: String,
        /// Why.
        source: Error,
    },
    /// There are more descriptors than the guest may have now, or one has a number beyond.
    #[error("{name}: the guest may have {limit} descriptors")]
    Budget {
        /// What the guest knows it by.
        name: String,
        /// How many it may have.
        limit: usize,
    },
    /// The bytes are no state of a guest, or of another version.
    #[error("{0}")]
    Damaged(&'static str),
    /// Arguments or environment can't be given to a guest.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// What is kept of a host's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostState {
    args: Vec<String>,
    env: Vec<(String, String)>,
    /// Nanoseconds.
    monotonic: u64,
    /// The names of the preopens.
    preopens: Vec<String>,
}

impl HostState {
    /// Of this host.
    ///
    /// # Errors
    /// [`SnapshotError::NotKept`] for output that isn't written yet; [`SnapshotError::Ambiguous`].
    pub fn of(host: &Host) -> Result<Self, SnapshotError> {
        for (name, unwritten) in ["standard output", "standard error"].into_iter().zip(&host.unwritten) {
            if unwritten.len() > 0 {
                let what = format!("{} bytes that aren't written yet", unwritten.len());
                return Err(SnapshotError::NotKept { name: name.to_owned(), what });
            }
        }
        let mut preopens: Vec<String> = Vec::new();
        for name in host.preopens.iter().filter_map(OpenDir::preopen_name) {
            if preopens.iter().any(|other| other == name) {
                return Err(SnapshotError::Ambiguous { name: name.to_owned() });
            }
            preopens.push(name.to_owned());
        }
        let monotonic = host.clocks.now(Clock::Monotonic);
        Ok(Self { args: host.args.clone(), env: host.env.clone(), monotonic, preopens })
    }

    /// The arguments.
    pub(crate) fn args(&self) -> &[String] {
        &self.args
    }

    /// Gives arguments and environment to a configuration that has none of its own.
    ///
    /// # Errors
    /// [`SnapshotError::Config`].
    pub(crate) fn configure(&self, config: &mut WasiConfig) -> Result<(), SnapshotError> {
        Ok(config.or_strings(&self.args, &self.env)?)
    }

    /// Lets a host's clock go on.
    pub(crate) fn set_clocks(&self, host: &mut Host) {
        host.clocks.go_on_from(self.monotonic);
    }

    /// Whether the guest had a preopen of this name, be it that it has closed it.
    pub(crate) fn had_preopen(&self, name: &str) -> bool {
        self.preopens.iter().any(|preopen| preopen == name)
    }
}

/// What is kept of a directory: where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirState {
    preopen: String,
    /// Empty for the preopen itself.
    path: String,
}

impl DirState {
    /// Of this directory, which the guest knows by `name`.
    ///
    /// # Errors
    /// [`SnapshotError::NotKept`], [`SnapshotError::Moved`].
    pub fn of(host: &Host, dir: &OpenDir, name: &str) -> Result<Self, SnapshotError> {
        let state = Self::at(dir.place.as_ref(), name)?;
        if !state.path.is_empty() {
            state.check_is_still(host, dir.stat(), name)?;
        }
        Ok(state)
    }

    fn at(place: Option<&Place>, name: &str) -> Result<Self, SnapshotError> {
        let too_deep = || SnapshotError::NotKept { name: name.to_owned(), what: "what is so deep".to_owned() };
        let place = place.ok_or_else(too_deep)?;
        Ok(Self { preopen: place.name().to_owned(), path: place.path().to_owned() })
    }

    /// Whether the path still leads to what was opened by it.
    fn check_is_still(&self, host: &Host, stat: Result<FileStat, Error>, name: &str) -> Result<(), SnapshotError> {
        let named = self.preopen(host)?.stat_at(&self.path, true);
        let same = |one: FileStat, other: FileStat| (one.device, one.inode) == (other.device, other.inode);
        if matches!((stat, named), (Ok(one), Ok(other)) if same(one, other)) {
            return Ok(());
        }
        Err(SnapshotError::Moved { name: name.to_owned(), path: self.path.clone() })
    }

    /// The preopen that it is beneath.
    fn preopen<'a>(&self, host: &'a Host) -> Result<&'a OpenDir, SnapshotError> {
        let named = host.preopens.iter().find(|dir| dir.preopen_name() == Some(&self.preopen));
        named.ok_or_else(|| SnapshotError::Missing { name: self.preopen.clone() })
    }

    /// The directory, opened beneath what is preopened in `host`.
    ///
    /// # Errors
    /// [`SnapshotError::Missing`], [`SnapshotError::Open`].
    pub fn open(&self, host: &Host, name: &str) -> Result<OpenDir, SnapshotError> {
        let preopen = self.preopen(host)?;
        if self.path.is_empty() {
            return Ok(preopen.clone());
        }
        let how = OpenHow { read: true, directory: true, ..OpenHow::default() };
        match self.open_beneath(preopen, how, name)? {
            Opened::Dir(dir) => Ok(dir),
            Opened::File(_) => Err(self.cannot_open(name, Errno::NOTDIR)),
        }
    }

    fn open_beneath(&self, preopen: &OpenDir, how: OpenHow, name: &str) -> Result<Opened, SnapshotError> {
        // A link is followed where it was; whatever it leads to is beneath the preopen.
        let how = OpenHow { follow: true, ..how };
        preopen.open(&self.path, &how).map_err(|source| self.cannot_open(name, source))
    }

    fn cannot_open(&self, name: &str, source: impl Into<Error>) -> SnapshotError {
        SnapshotError::Open { name: name.to_owned(), path: self.path.clone(), source: source.into() }
    }
}

/// What is kept of a regular file: where it is, how it was opened, and where the guest is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    at: DirState,
    readable: bool,
    writable: bool,
    append: bool,
    nonblock: bool,
    /// Of [`SyncModes`]: `data`, `file`, `reads`.
    sync: [bool; 3],
    offset: u64,
}

impl FileState {
    /// Of this file, which the guest knows by `name`.
    ///
    /// # Errors
    /// [`SnapshotError::NotKept`] for what is no regular file, [`SnapshotError::Moved`].
    pub fn of(host: &Host, file: &OpenFile, name: &str) -> Result<Self, SnapshotError> {
        let what = match file.filetype {
            FileType::RegularFile => None,
            FileType::Fifo => Some("a pipe"),
            FileType::Socket => Some("a socket"),
            FileType::CharacterDevice | FileType::BlockDevice => Some("a device"),
            _ => Some("what is no regular file"),
        };
        if let Some(what) = what {
            return Err(SnapshotError::NotKept { name: name.to_owned(), what: what.to_owned() });
        }
        let at = DirState::at(file.place.as_ref(), name)?;
        at.check_is_still(host, file.stat(), name)?;
        let &OpenFile { readable, writable, append, nonblock, sync, .. } = file;
        let sync = [sync.data, sync.file, sync.reads];
        Ok(Self { at, readable, writable, append, nonblock, sync, offset: file.offset() })
    }

    /// The file, opened beneath what is preopened in `host`. It is neither made nor emptied.
    ///
    /// # Errors
    /// [`SnapshotError::Missing`], [`SnapshotError::Open`].
    pub fn open(&self, host: &Host, name: &str) -> Result<OpenFile, SnapshotError> {
        let Self { at, readable, writable, append, nonblock, sync: [data, file, reads], offset } = self;
        let how = OpenHow {
            read: *readable,
            write: *writable,
            append: *append,
            nonblock: *nonblock,
            sync: SyncModes { data: *data, file: *file, reads: *reads },
            ..OpenHow::default()
        };
        let Opened::File(mut file) = at.open_beneath(at.preopen(host)?, how, name)? else {
            return Err(at.cannot_open(name, Errno::ISDIR));
        };
        // A pipe in its place might never have anything to read.
        if file.filetype != FileType::RegularFile {
            return Err(at.cannot_open(name, Errno::SPIPE));
        }
        if i64::try_from(*offset).is_err() {
            return Err(at.cannot_open(name, Errno::INVAL));
        }
        file.offset = Some(*offset);
        Ok(file)
    }
}
