//! Files that a guest opened: what it may do with them, and where it is in them.

use super::buffers::IoVecs;
use super::error::Error;
use super::flags::flags;
use super::place::Place;
use super::poll::Readiness;
use super::stat::{FileStat, FileType, NewTimes};
use super::stream::Stream;
use super::volume::Node;
use super::wait::Waiter;
use rustix::fd::AsFd;
use rustix::fs::FallocateFlags;
use rustix::io::{Errno, ReadWriteFlags};
use std::fs::File;
use std::num::NonZeroU64;
use std::sync::Arc;

pub use rustix::fs::{Advice, SeekFrom};

flags! {
    /// What an embedder lets a guest do with the files beneath a preopen.
    FilePerms: u8 {
        READ = 0,
        WRITE = 1,
    }
}

/// What a file's writes (and reads) wait for: the modes of `open(2)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncModes {
    /// Writes wait for the data: `O_DSYNC`.
    pub data: bool,
    /// Writes wait for data and attributes: `O_SYNC`.
    pub file: bool,
    /// Reads wait for what writes would: `O_RSYNC`.
    pub reads: bool,
}

/// An open file or directory: the system's, or of an embedder's file system.
#[derive(Clone, Debug)]
pub(super) enum Handle {
    Host(Arc<File>),
    Virtual(Arc<Node>),
}

impl Handle {
    pub(super) fn stat(&self) -> Result<FileStat, Error> {
        match self {
            Self::Host(file) => FileStat::of(file.as_fd()),
            Self::Virtual(node) => node.stat(),
        }
    }

    pub(super) fn sync(&self, data_only: bool) -> Result<(), Error> {
        match self {
            Self::Host(file) if data_only => Ok(rustix::fs::fdatasync(file)?),
            Self::Host(file) => Ok(rustix::fs::fsync(file)?),
            Self::Virtual(node) => node.sync(data_only),
        }
    }

    fn readiness(&self) -> Readiness<'_> {
        match self {
            Self::Host(file) => Readiness::When(file.as_fd()),
            Self::Virtual(node) => Readiness::Ask(&**node),
        }
    }

    pub(super) fn set_times(&self, times: NewTimes) -> Result<(), Error> {
        match self {
            Self::Host(file) => Ok(rustix::fs::futimens(file, &times.timestamps())?),
            Self::Virtual(node) => node.set_times(times),
        }
    }
}

/// A file that a guest opened. A clone is the same file with an offset of its own.
///
/// The host's descriptor may allow more than the guest asked for (creating a file needs write access), and it is in
/// nonblocking mode: what the guest may do, and whether it waits, is decided by the fields here.
#[derive(Clone, Debug)]
pub struct OpenFile {
    pub(super) handle: Handle,
    /// What it is; never a directory.
    pub filetype: FileType,
    /// Opened for reading.
    pub readable: bool,
    /// Opened for writing.
    pub writable: bool,
    /// Whether writes go to the end.
    pub append: bool,
    /// Whether reads and writes fail rather than wait.
    pub nonblock: bool,
    /// As opened.
    pub sync: SyncModes,
    /// What the preopen above allows.
    pub perms: FilePerms,
    /// Where it is beneath a preopen, unless that is too deep to say.
    pub(super) place: Option<Place>,
    /// The guest's offset, where that isn't the host's: seeking is then no call to the system. `None` for what isn't a
    /// regular file, and after an append, which only the host knows the end of.
    pub(super) offset: Option<u64>,
}

impl OpenFile {
    /// Reads at the file's offset; 0 at the end.
    ///
    /// # Errors
    /// `BADF` unless opened for reading, what the host's read says, `AGAIN` instead of waiting in nonblocking mode, or
    /// an interruption.
    pub fn read(&mut self, buffers: &mut IoVecs<'_>, waiter: &mut Waiter) -> Result<usize, Error> {
        require(self.readable)?;
        let file = match &self.handle {
            Handle::Host(file) => file,
            Handle::Virtual(node) => {
                let count = node.read(buffers, self.offset.unwrap_or(0), self.nonblock, waiter)?;
                self.offset = self.offset.map(|offset| offset.saturating_add(count as u64));
                return Ok(count);
            }
        };
        if self.filetype != FileType::RegularFile {
            let stream = Stream { fd: file.as_fd(), nonblocking: true };
            return if self.nonblock { stream.try_read(buffers) } else { stream.read(buffers, waiter) };
        }
        if let Some(offset) = self.offset {
            match self.read_at(buffers, offset, waiter) {
                // Some files of the kernel's own, though regular, have no offsets.
                Err(Error::Os(Errno::SPIPE)) => self.offset = None,
                result => return Ok(self.advance(offset, result?)),
            }
        }
        in_portions(buffers, waiter, |buffers, _| rustix::io::readv(file, buffers.for_read()))
    }

    /// Writes at the file's offset, or at its end in append mode.
    ///
    /// # Errors
    /// `BADF` unless opened for writing, what the host's write says, `AGAIN` instead of waiting in nonblocking mode, or
    /// an interruption.
    pub fn write(&mut self, buffers: &mut IoVecs<'_>, waiter: &mut Waiter) -> Result<usize, Error> {
        require(self.writable)?;
        let file = match &self.handle {
            Handle::Host(file) => file,
            Handle::Virtual(_) => return self.write_virtual(buffers, waiter),
        };
        if self.filetype != FileType::RegularFile {
            let stream = Stream { fd: file.as_fd(), nonblocking: true };
            return if self.nonblock { stream.try_write(buffers) } else { stream.write(buffers, waiter) };
        }
        if self.append {
            // The host's file isn't in append mode, because Linux would then append what is written at an offset, too.
            // The offset -1 means that the host's offset moves along.
            let append = ReadWriteFlags::APPEND;
            let count = in_portions(buffers, waiter, |buffers, _| {
                rustix::io::pwritev2(file, buffers.for_write(), u64::MAX, append)
            })?;
            // What wrote nothing leaves the offset where it was.
            if count > 0 {
                self.offset = None;
            }
            return Ok(count);
        }
        if let Some(offset) = self.offset {
            match self.write_at(buffers, offset, waiter) {
                Err(Error::Os(Errno::SPIPE)) => self.offset = None,
                result => return Ok(self.advance(offset, result?)),
            }
        }
        in_portions(buffers, waiter, |buffers, _| rustix::io::writev(file, buffers.for_write()))
    }

    fn write_virtual(&mut self, buffers: &IoVecs<'_>, waiter: &mut Waiter) -> Result<usize, Error> {
        let Handle::Virtual(node) = &self.handle else { unreachable!("the caller has looked") };
        let is_regular = self.filetype == FileType::RegularFile;
        let at = if self.append && is_regular { None } else { Some(self.offset.unwrap_or(0)) };
        let count = node.write(buffers, at, self.nonblock, waiter)?;
        if is_regular && count > 0 {
            let end = match at {
                Some(offset) => offset.saturating_add(count as u64),
                None => node.stat()?.size,
            };
            self.offset = Some(end);
        }
        Ok(count)
    }

    /// Reads at `offset`, in bytes; the file's own offset stays.
    ///
    /// # Errors
    /// `BADF` unless opened for reading, what the host's read says, or an interruption.
    pub fn read_at(&self, buffers: &mut IoVecs<'_>, offset: u64, waiter: &mut Waiter) -> Result<usize, Error> {
        require(self.readable)?;
        match &self.handle {
            Handle::Host(file) => in_portions(buffers, waiter, |buffers, done| {
                rustix::io::preadv(file, buffers.for_read(), offset.saturating_add(done))
            }),
            Handle::Virtual(_) if self.filetype != FileType::RegularFile => Err(Errno::SPIPE.into()),
            Handle::Virtual(node) => node.read(buffers, offset, self.nonblock, waiter),
        }
    }

    /// Writes at `offset`, in bytes, also in append mode; the file's own offset stays.
    ///
    /// # Errors
    /// `BADF` unless opened for writing, what the host's write says, or an interruption.
    pub fn write_at(&self, buffers: &mut IoVecs<'_>, offset: u64, waiter: &mut Waiter) -> Result<usize, Error> {
        require(self.writable)?;
        match &self.handle {
            Handle::Host(file) => in_portions(buffers, waiter, |buffers, done| {
                rustix::io::pwritev(file, buffers.for_write(), offset.saturating_add(done))
            }),
            Handle::Virtual(_) if self.filetype != FileType::RegularFile => Err(Errno::SPIPE.into()),
            Handle::Virtual(node) => node.write(buffers, Some(offset), self.nonblock, waiter),
        }
    }

    /// Moves the offset, and says where it is then.
    ///
    /// # Errors
    /// `INVAL` when it would be negative or beyond what the host counts to; `SPIPE` for what has none.
    pub fn seek(&mut self, to: SeekFrom) -> Result<u64, Error> {
        let offset = match (to, self.offset) {
            (SeekFrom::Start(offset), _) => Some(offset),
            (SeekFrom::Current(delta), Some(offset)) => offset.checked_add_signed(delta),
            _ => None,
        };
        let offset = match (offset, self.offset) {
            (Some(offset), _) if i64::try_from(offset).is_err() => return Err(Errno::INVAL.into()),
            (Some(offset), Some(_)) => offset,
            (None, Some(_)) if matches!(to, SeekFrom::Current(_)) => return Err(Errno::INVAL.into()),
            _ => match &self.handle {
                Handle::Host(file) => rustix::fs::seek(file, to)?,
                Handle::Virtual(node) => offset_of(node, self.filetype, to)?,
            },
        };
        if self.filetype == FileType::RegularFile {
            self.offset = Some(offset);
        }
        Ok(offset)
    }

    /// When it can be read without waiting.
    ///
    /// # Errors
    /// `BADF` unless it is a regular file or opened for reading.
    pub fn read_readiness(&self) -> Result<Readiness<'_>, Error> {
        let is_host = matches!(self.handle, Handle::Host(_));
        if is_host && self.filetype == FileType::RegularFile {
            return Ok(Readiness::Now(self.bytes_left()));
        }
        require(self.readable)?;
        Ok(self.handle.readiness())
    }

    /// When it can be written without waiting.
    ///
    /// # Errors
    /// `BADF` unless it is a regular file or opened for writing.
    pub fn write_readiness(&self) -> Result<Readiness<'_>, Error> {
        if self.filetype == FileType::RegularFile {
            return Ok(Readiness::Now(1));
        }
        require(self.writable)?;
        Ok(self.handle.readiness())
    }

    /// The same file, with an offset of its own, for one who must not wait.
    pub fn at(&self, offset: u64) -> Self {
        let offset = (self.filetype == FileType::RegularFile).then_some(offset);
        Self { offset, nonblock: true, append: false, ..self.clone() }
    }

    /// The same file, whose writes go to its end.
    pub fn at_end(&self) -> Self {
        Self { append: true, ..self.at(0) }
    }

    /// Advises the host how the `len` bytes from `offset` on will be used; with `len` zero, all from there.
    ///
    /// # Errors
    /// What the host says.
    pub fn advise(&self, offset: u64, len: u64, advice: Advice) -> Result<(), Error> {
        match &self.handle {
            Handle::Host(file) => Ok(rustix::fs::fadvise(file, offset, NonZeroU64::new(len), advice)?),
            Handle::Virtual(_) => Ok(()),
        }
    }

    /// Reserves space for the `len` bytes from `offset` on, and makes the file that long.
    ///
    /// # Errors
    /// `BADF` unless opened for writing, or what the host says.
    pub fn allocate(&self, offset: u64, len: u64) -> Result<(), Error> {
        require(self.writable)?;
        match &self.handle {
            Handle::Host(file) => Ok(rustix::fs::fallocate(file, FallocateFlags::empty(), offset, len)?),
            Handle::Virtual(node) => node.allocate(offset, len),
        }
    }

    /// Waits until data has reached the disk; and attributes, unless `data_only`.
    ///
    /// # Errors
    /// What the host says.
    pub fn sync(&self, data_only: bool) -> Result<(), Error> {
        self.handle.sync(data_only)
    }

    /// Its attributes.
    ///
    /// # Errors
    /// What the host says.
    pub fn stat(&self) -> Result<FileStat, Error> {
        self.handle.stat()
    }

    /// Makes it `size` bytes long.
    ///
    /// # Errors
    /// `NotPermitted`; `INVAL` unless opened for writing, or what the host says.
    pub fn set_size(&self, size: u64) -> Result<(), Error> {
        self.require_change()?;
        // As `ftruncate` answers for a file opened without writing.
        if !self.writable {
            return Err(Errno::INVAL.into());
        }
        match &self.handle {
            Handle::Host(file) => Ok(rustix::fs::ftruncate(file, size)?),
            Handle::Virtual(node) => node.set_size(size),
        }
    }

    /// Sets its times.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn set_times(&self, times: NewTimes) -> Result<(), Error> {
        self.require_change()?;
        self.handle.set_times(times)
    }

    fn require_change(&self) -> Result<(), Error> {
        if self.perms.contains(FilePerms::WRITE) { Ok(()) } else { Err(Error::NotPermitted) }
    }

    fn advance(&mut self, offset: u64, count: usize) -> usize {
        self.offset = Some(offset.saturating_add(count as u64));
        count
    }

    /// How many bytes lie between the offset and the end of a regular file.
    fn bytes_left(&self) -> u64 {
        self.stat().map_or(0, |stat| stat.size.saturating_sub(self.offset()))
    }

    /// Where it is in a regular file.
    pub(super) fn offset(&self) -> u64 {
        match (&self.handle, self.offset) {
            (Handle::Host(file), None) => rustix::fs::tell(file).unwrap_or(0),
            (_, offset) => offset.unwrap_or(0),
        }
    }
}

/// Where `to` is in an embedder's file, as far as that is for the file to say.
fn offset_of(node: &Node, filetype: FileType, to: SeekFrom) -> Result<u64, Error> {
    if filetype != FileType::RegularFile {
        return Err(Errno::SPIPE.into());
    }
    let offset = match to {
        SeekFrom::End(delta) => node.stat()?.size.checked_add_signed(delta),
        // A hole or data, of which an embedder's files tell nothing.
        _ => None,
    };
    Ok(offset.filter(|&offset| i64::try_from(offset).is_ok()).ok_or(Errno::INVAL)?)
}

fn require(opened_so: bool) -> Result<(), Error> {
    if opened_so { Ok(()) } else { Err(Errno::BADF.into()) }
}

/// How many bytes of a regular file are read or written between two looks at what ends a call: the system's own calls
/// on regular files can't be interrupted.
const PORTION: usize = 1 << 20;

/// Reads or writes a regular file, all of `buffers` unless it ends or fails midway. `transfer` is given what to transfer
/// next, and how many bytes were before.
pub(super) fn in_portions(
    buffers: &mut IoVecs<'_>,
    waiter: &mut Waiter,
    mut transfer: impl FnMut(&mut IoVecs<'_>, u64) -> rustix::io::Result<usize>,
) -> Result<usize, Error> {
    let len = buffers.byte_len();
    if len <= PORTION {
        return Ok(transfer(buffers, 0)?);
    }
    let mut done = 0;
    while done < len {
        waiter.check()?;
        let mut portion = buffers.window(done, PORTION);
        match transfer(&mut portion, done as u64) {
            Ok(count) if count < portion.byte_len() => return Ok(done + count),
            Ok(count) => done += count,
            // Report what was transferred before; the next call meets the error again.
            Err(_) if done > 0 => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(file: File) -> OpenFile {
        OpenFile {
            handle: Handle::Host(file.into()),
            filetype: FileType::RegularFile,
            readable: true,
            writable: true,
            append: false,
            nonblock: false,
            sync: SyncModes::default(),
            perms: FilePerms::ALL,
            place: None,
            offset: Some(0),
        }
    }

    fn read(file: &mut OpenFile, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let count = file.read(&mut IoVecs::over(&mut bytes), &mut Waiter::default()).expect("read");
        bytes.truncate(count);
        bytes
    }

    fn write(file: &mut OpenFile, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        assert_eq!(file.write(&mut IoVecs::over(&mut bytes), &mut Waiter::default()), Ok(bytes.len()));
    }

    #[test]
    fn the_offset_is_one_whoever_keeps_it() {
        let mut file = open(tempfile::tempfile().expect("a temporary file"));
        write(&mut file, b"0123456789");
        assert_eq!(file.seek(SeekFrom::Current(0)), Ok(10));
        assert_eq!(file.seek(SeekFrom::End(-4)), Ok(6));
        assert_eq!(read(&mut file, 2), b"67");
        file.append = true;
        write(&mut file, b"ab");
        assert_eq!(file.seek(SeekFrom::Current(-3)), Ok(9), "an append moves the offset to the end");
        assert_eq!(read(&mut file, 10), b"9ab");
        write(&mut file, b"c");
        file.append = false;
        write(&mut file, b"d");
        assert_eq!(read(&mut file, 1), b"");
        assert_eq!(file.seek(SeekFrom::Start(11)), Ok(11));
        assert_eq!(read(&mut file, 10), b"bcd");
    }

    #[test]
    fn offsets_have_bounds() {
        let invalid = Err(Error::Os(Errno::INVAL));
        let mut file = open(tempfile::tempfile().expect("a temporary file"));
        for seen_by_host in [false, true] {
            file.offset = (!seen_by_host).then_some(0);
            assert_eq!(file.seek(SeekFrom::Current(-1)), invalid);
            assert_eq!(file.seek(SeekFrom::Start(u64::MAX)), invalid);
            assert_eq!(file.seek(SeekFrom::End(-1)), invalid);
        }
        file.offset = Some(i64::MAX as u64);
        assert_eq!(file.seek(SeekFrom::Current(1)), invalid);
        assert_eq!(file.seek(SeekFrom::Current(0)), Ok(i64::MAX as u64));
        assert_eq!(file.seek(SeekFrom::Current(-9)), Ok(i64::MAX as u64 - 9));
        assert_eq!(read(&mut file, 1), b"");
    }

    #[test]
    fn long_transfers_look_at_what_ends_them() {
        let mut file = open(tempfile::tempfile().expect("a temporary file"));
        let mut bytes = vec![7; 3 * PORTION + 5];
        write(&mut file, &bytes);
        assert_eq!(file.seek(SeekFrom::Start(0)), Ok(0));
        assert_eq!(read(&mut file, bytes.len() + 9), bytes);
        let mut looks = 0;
        let mut waiter = Waiter::default();
        waiter.set_check(Some(Box::new(move || {
            looks += 1;
            looks > 2
        })));
        assert_eq!(file.read_at(&mut IoVecs::over(&mut bytes), 0, &mut waiter), Err(Error::Interrupted));
    }
}
