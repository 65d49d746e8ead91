//! File systems of the embedder's, which a guest sees beneath a preopened directory as it sees the host's.
//!
//! A [`FileSystem`] knows *nodes*: files, directories and links, each by a number of its own choice, and directories by their nodes. It
//! is only ever asked for one name in one directory: paths are resolved here ([`walk`]), by the same rules as the host's. A name
//! that it is given is a plain one: not empty, not `.` or `..`, without a slash or a NUL, at most [`MAX_NAME`] bytes. What
//! leads out of the preopened directory (`..`, an absolute path, a link that does either) never gets to it, nor what the permissions of
//! the preopen forbid.
//!
//! [`node`] keeps count of the nodes that are in use, and does what is done with an open one; [`tree`] what is done by path.

pub mod node;
pub mod tree;
pub mod walk;

pub use node::Node;

use super::available::{Availability, Direction};
use super::error::Error;
use super::stat::{FileType, NewTimes};
use rustix::io::Errno;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest name of an entry, in bytes.
pub const MAX_NAME: usize = 255;

/// The longest path, and the longest target of a link, in bytes.
pub const MAX_PATH: usize = 4095;

/// The most bytes that are read or written by one call of a [`FileSystem`].
pub const MAX_PIECE: usize = 64 << 10;

/// What a file system knows a file, directory or link by.
pub type NodeId = u64;

/// The attributes of a node. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names of `stat(2)`, in full.
pub struct NodeStat {
    pub filetype: FileType,
    pub inode: u64,
    pub links: u64,
    pub size: u64,
    pub accessed: u64,
    pub modified: u64,
    pub changed: u64,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From where the entries after it are listed.
    pub next: u64,
    /// The serial number of what it names.
    pub inode: u64,
    /// What that is.
    pub filetype: FileType,
    /// The name.
    pub name: String,
}

/// For what a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub struct OpenFor {
    pub read: bool,
    pub write: bool,
    /// It will be emptied, by [`FileSystem::set_size`].
    pub truncate: bool,
}

/// A file system of the embedder's.
///
/// **Ownership.** Each node that [`FileSystem::lookup`] and [`FileSystem::create`] return is one more reference to it, which
/// [`FileSystem::release`] ends: until then the number means this node, also where it has no name any more. The node
/// that a preopen names is the embedder's for as long as the file system lives.
///
/// **Errors** are those of the operating system, or [`Error::NotPermitted`]; [`Error::Interrupted`] ends the guest. What isn't
/// implemented is `NOTSUP`. Reading and writing may answer `AGAIN`: then they are tried again as
/// [`FileSystem::available`] says, unless the guest doesn't want to wait. From others the guest is told `AGAIN`.
///
/// **Threads and re-entry.** Called by the thread that uses the store: of several stores that share it, by several at once. It must
/// not use the store that calls it.
#[allow(unused_variables)] // The names are for those who implement it.
pub trait FileSystem: Send + Sync {
    /// What `name` is in a directory: a link itself, never what it leads to.
    ///
    /// # Errors
    /// `NOENT` where there is no such name.
    fn lookup(&self, dir: NodeId, name: &str) -> Result<(NodeId, FileType), Error>;

    /// Ends a reference to a node.
    fn release(&self, node: NodeId) {}

    /// The attributes of a node.
    ///
    /// # Errors
    /// What is wrong.
    fn stat(&self, node: NodeId) -> Result<NodeStat, Error>;

    /// Whether a file may be opened so.
    ///
    /// # Errors
    /// Why not.
    fn open(&self, file: NodeId, to: OpenFor) -> Result<(), Error> {
        Ok(())
    }

    /// Reads at `offset`, in bytes, and says how many bytes of `out`, which isn't empty, it has filled: none at the end. What
    /// isn't a regular file has no offsets: there it is zero.
    ///
    /// # Errors
    /// `AGAIN` where nothing is there yet, or what is wrong.
    fn read(&self, file: NodeId, offset: u64, out: &mut [u8]) -> Result<usize, Error> {
        Err(Errno::NOTSUP.into())
    }

    /// Writes at `offset`, in bytes, which may be beyond the end; says how many bytes it has taken, at least one.
    ///
    /// # Errors
    /// `AGAIN` where nothing is taken yet, or what is wrong.
    fn write(&self, file: NodeId, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
        Err(Errno::NOTSUP.into())
    }

    /// Writes at the end; says how many bytes it has taken, at least one.
    ///
    /// # Errors
    /// As [`FileSystem::write`].
    fn append(&self, file: NodeId, bytes: &[u8]) -> Result<usize, Error> {
        self.write(file, self.stat(file)?.size, bytes)
    }

    /// Whether it is worth trying to read or write again. `None` where that isn't known: it is tried after a while.
    fn available(&self, file: NodeId, direction: Direction) -> Option<Availability<'_>> {
        None
    }

    /// Makes a file `size` bytes long: cuts it, or adds zeros.
    ///
    /// # Errors
    /// What is wrong.
    fn set_size(&self, file: NodeId, size: u64) -> Result<(), Error> {
        Err(Errno::NOTSUP.into())
    }

    /// Sets the times of a node.
    ///
    /// # Errors
    /// What is wrong.
    fn set_times(&self, node: NodeId, times: NewTimes) -> Result<(), Error> {
        Err(Errno::NOTSUP.into())
    }

    /// Makes what was written durable; attributes, too, unless `data_only`.
    ///
    /// # Errors
    /// What is wrong.
    fn sync(&self, node: NodeId, data_only: bool) -> Result<(), Error> {
        Ok(())
    }

    /// The entry of a directory at `cursor`, `None` behind the last. The first is at zero, each other where the one before says.
    ///
    /// # Errors
    /// What is wrong.
    fn entry(&self, dir: NodeId, cursor: u64) -> Result<Option<Entry>, Error> {
        Err(Errno::NOTSUP.into())
    }

    /// Where a link leads.
    ///
    /// # Errors
    /// `INVAL` for what is none.
    fn read_link(&self, link: NodeId) -> Result<String, Error> {
        Err(Errno::INVAL.into())
    }

    /// Makes an empty regular file.
    ///
    /// # Errors
    /// `EXIST` where there is such a name.
    fn create(&self, dir: NodeId, name: &str) -> Result<NodeId, Error> {
        Err(Errno::ROFS.into())
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// `EXIST` where there is such a name.
    fn create_dir(&self, dir: NodeId, name: &str) -> Result<(), Error> {
        Err(Errno::ROFS.into())
    }

    /// Makes a link to `target`, which is kept as it is: a relative path.
    ///
    /// # Errors
    /// `EXIST` where there is such a name.
    fn symlink(&self, target: &str, dir: NodeId, name: &str) -> Result<(), Error> {
        Err(Errno::NOTSUP.into())
    }

    /// Makes another name of `node`, which isn't a directory.
    ///
    /// # Errors
    /// `EXIST` where there is such a name.
    fn link(&self, node: NodeId, dir: NodeId, name: &str) -> Result<(), Error> {
        Err(Errno::NOTSUP.into())
    }

    /// Gives what has `name` a new name and place, where that replaces what was there.
    ///
    /// # Errors
    /// `NOENT`; `INVAL` where a directory would get into itself; `NOTEMPTY`, `ISDIR` and `NOTDIR` for what can't be replaced.
    fn rename(&self, dir: NodeId, name: &str, new_dir: NodeId, new_name: &str) -> Result<(), Error> {
        Err(Errno::ROFS.into())
    }

    /// Takes away the name of what isn't a directory.
    ///
    /// # Errors
    /// `NOENT`.
    fn remove_file(&self, dir: NodeId, name: &str) -> Result<(), Error> {
        Err(Errno::ROFS.into())
    }

    /// Removes a directory, which must be empty.
    ///
    /// # Errors
    /// `NOENT`, `NOTEMPTY`.
    fn remove_dir(&self, dir: NodeId, name: &str) -> Result<(), Error> {
        Err(Errno::ROFS.into())
    }
}

/// A file system that can be preopened, any number of times; between its directories files may be moved and linked.
pub struct Volume {
    fs: Box<dyn FileSystem>,
    /// What tells its files from those of others.
    device: u64,
}

/// Beyond the numbers of the system's devices.
static NEXT_DEVICE: AtomicU64 = AtomicU64::new(1 << 48);

impl Volume {
    /// Of this file system.
    pub fn new(fs: impl FileSystem + 'static) -> Arc<Self> {
        Arc::new(Self { fs: Box::new(fs), device: NEXT_DEVICE.fetch_add(1, Ordering::Relaxed) })
    }
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volume").field("device", &self.device).finish_non_exhaustive()
    }
}
