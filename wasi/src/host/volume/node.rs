//! A node that is in use, and what is done with it once it is open.
//!
//! Whatever a file system answers is looked at before it is believed: counts of bytes, names of entries, targets of links. What can't be is
//! `IO`. Bytes go through a buffer of the host's, because a guest's memory may be shared with other threads of it.

use super::{Entry, FileSystem, MAX_NAME, MAX_PATH, MAX_PIECE, NodeId, NodeStat, OpenFor, Volume};
use crate::host::available::{Availability, Available, Blocked, Direction, wait_for};
use crate::host::buffers::IoVecs;
use crate::host::error::Error;
use crate::host::stat::{FileStat, FileType, NewTimes};
use crate::host::wait::Waiter;
use rustix::io::Errno;
use std::fmt;
use std::sync::Arc;

/// A reference to a node, which ends with this.
pub struct Node {
    volume: Arc<Volume>,
    id: NodeId,
    /// Whether the embedder has lent it for good.
    is_root: bool,
    blocked: Blocked,
}

impl Node {
    /// The node that a preopen names.
    pub fn root(volume: Arc<Volume>, id: NodeId) -> Arc<Self> {
        Arc::new(Self { volume, id, is_root: true, blocked: Blocked::default() })
    }

    /// A node that the file system of this one has just returned.
    pub(super) fn sibling(&self, id: NodeId) -> Arc<Self> {
        Arc::new(Self { volume: self.volume.clone(), id, is_root: false, blocked: Blocked::default() })
    }

    pub(super) fn fs(&self) -> &dyn FileSystem {
        &*self.volume.fs
    }

    pub(super) fn id(&self) -> NodeId {
        self.id
    }

    pub(super) fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.volume, &other.volume)
    }

    /// Its attributes.
    ///
    /// # Errors
    /// What the file system says.
    pub fn stat(&self) -> Result<FileStat, Error> {
        let NodeStat { filetype, inode, links, size, accessed, modified, changed } = self.fs().stat(self.id)?;
        let device = self.volume.device;
        Ok(FileStat { device, inode, filetype, links, size, accessed, modified, changed })
    }

    /// Asks whether it may be opened, and empties it where that is wished.
    pub(super) fn open(&self, to: OpenFor, filetype: FileType) -> Result<(), Error> {
        self.fs().open(self.id, to)?;
        if to.truncate && filetype == FileType::RegularFile { self.set_size(0) } else { Ok(()) }
    }

    /// Reads from `offset` on until `buffers` are full or there is no more now; waits for the first byte, unless `nonblock`.
    ///
    /// # Errors
    /// What the file system says; `AGAIN` instead of waiting; an interruption.
    pub fn read(&self, buffers: &IoVecs<'_>, offset: u64, nonblock: bool, waiter: &mut Waiter) -> Result<usize, Error> {
        let mut piece = vec![0; buffers.byte_len().min(MAX_PIECE)];
        self.in_pieces(buffers.byte_len(), Direction::Read, nonblock, waiter, |done, len| {
            let count = self.fs().read(self.id, offset.saturating_add(done as u64), &mut piece[..len])?;
            let bytes = piece.get(..count).filter(|_| count <= len).ok_or(Errno::IO)?;
            buffers.window(done, len).copy_in(bytes);
            Ok(count)
        })
    }

    /// Writes all of `buffers`, from `offset` on or at the end, unless it can't be midway; waits until the first byte is taken,
    /// unless `nonblock`.
    ///
    /// # Errors
    /// As [`Node::read`].
    pub fn write(
        &self,
        buffers: &IoVecs<'_>,
        offset: Option<u64>,
        nonblock: bool,
        waiter: &mut Waiter,
    ) -> Result<usize, Error> {
        let mut piece = vec![0; buffers.byte_len().min(MAX_PIECE)];
        self.in_pieces(buffers.byte_len(), Direction::Write, nonblock, waiter, |done, len| {
            let bytes = &mut piece[..len];
            buffers.copy_out(done, bytes);
            let count = match offset {
                Some(offset) => self.fs().write(self.id, offset.saturating_add(done as u64), bytes)?,
                None => self.fs().append(self.id, bytes)?,
            };
            // Taking nothing for ever would be a hang.
            if count == 0 || count > len { Err(Errno::IO.into()) } else { Ok(count) }
        })
    }

    /// Transfers up to `len` bytes by `transfer`, which is told how many were before and how many are next.
    fn in_pieces(
        &self,
        len: usize,
        direction: Direction,
        nonblock: bool,
        waiter: &mut Waiter,
        mut transfer: impl FnMut(usize, usize) -> Result<usize, Error>,
    ) -> Result<usize, Error> {
        let mut done = 0;
        while done < len {
            let piece = (len - done).min(MAX_PIECE);
            let result = transfer(done, piece);
            self.blocked.note(result == Err(Errno::AGAIN.into()));
            match result {
                Ok(count) => {
                    done += count;
                    if count == 0 || (count < piece && direction == Direction::Read) {
                        break;
                    }
                    // Pieces may be small, and a call may have many.
                    waiter.check()?;
                }
                Err(Error::Os(Errno::AGAIN)) if done == 0 && !nonblock => wait_for(self, direction, waiter)?,
                // Report what was transferred before; the next call meets the error again.
                Err(Error::Os(_) | Error::NotPermitted) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Makes a file `size` bytes long.
    ///
    /// # Errors
    /// What the file system says.
    pub fn set_size(&self, size: u64) -> Result<(), Error> {
        self.fs().set_size(self.id, size)
    }

    /// Makes a file at least as long as the `len` bytes from `offset` on reach.
    ///
    /// # Errors
    /// `INVAL` for no bytes, `FBIG` where that is too far, or what the file system says.
    pub fn allocate(&self, offset: u64, len: u64) -> Result<(), Error> {
        if len == 0 {
            return Err(Errno::INVAL.into());
        }
        let end = offset.checked_add(len).filter(|&end| i64::try_from(end).is_ok()).ok_or(Errno::FBIG)?;
        if self.stat()?.size < end { self.set_size(end) } else { Ok(()) }
    }

    /// Sets its times.
    ///
    /// # Errors
    /// What the file system says.
    pub fn set_times(&self, times: NewTimes) -> Result<(), Error> {
        self.fs().set_times(self.id, times)
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    /// What the file system says.
    pub fn sync(&self, data_only: bool) -> Result<(), Error> {
        self.fs().sync(self.id, data_only)
    }

    /// The entry of a directory at `cursor`; `None` behind the last.
    ///
    /// # Errors
    /// What the file system says; `IO` for an entry that can't be.
    pub fn entry(&self, cursor: u64) -> Result<Option<Entry>, Error> {
        let Some(entry) = self.fs().entry(self.id, cursor)? else { return Ok(None) };
        let is_name = !entry.name.is_empty() && entry.name.len() <= MAX_NAME && !entry.name.contains(['/', '\0']);
        // An entry that is its own next would be listed for ever.
        if is_name && entry.next != cursor { Ok(Some(entry)) } else { Err(Errno::IO.into()) }
    }

    /// Where a link leads.
    ///
    /// # Errors
    /// What the file system says; `IO` for a target that can't be.
    pub fn target(&self) -> Result<String, Error> {
        let target = self.fs().read_link(self.id)?;
        let is_path = !target.is_empty() && target.len() <= MAX_PATH && !target.contains('\0');
        if is_path { Ok(target) } else { Err(Errno::IO.into()) }
    }
}

impl Available for Node {
    fn available(&self, direction: Direction) -> Availability<'_> {
        self.blocked.or(self.fs().available(self.id, direction))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.is_root {
            self.fs().release(self.id);
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("volume", &self.volume).field("id", &self.id).finish()
    }
}
