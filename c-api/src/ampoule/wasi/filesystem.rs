//! File systems of C's.

use super::error::{ampoule_wasi_error_t, check};
use super::{Table, availability, need};
use crate::foreign::{Finalizer, Foreign};
use ampoule::Error;
use ampoule_wasi::FileSystem;
use ampoule_wasi::host;
use ampoule_wasi::host::available::{Availability, Direction};
use ampoule_wasi::host::error::Errno;
use ampoule_wasi::host::stat::{FileType, NewTime, NewTimes};
use ampoule_wasi::host::volume::{Entry, MAX_NAME, MAX_PATH, NodeId, NodeStat, OpenFor};
use std::ffi::{CString, c_char, c_int, c_void};

type Answer = ampoule_wasi_error_t;
type Lookup = extern "C" fn(*mut c_void, u64, *const c_char, usize, &mut u64, &mut u8) -> Answer;
type Stat = extern "C" fn(*mut c_void, u64, &mut ampoule_wasi_stat_t) -> Answer;
type Named = extern "C" fn(*mut c_void, dir: u64, name: *const c_char, name_len: usize) -> Answer;
type Read = extern "C" fn(*mut c_void, u64, offset: u64, buffer: *mut u8, len: usize, count: &mut usize) -> Answer;
type Write = extern "C" fn(*mut c_void, u64, offset: u64, bytes: *const u8, len: usize, count: &mut usize) -> Answer;
type Append = extern "C" fn(*mut c_void, u64, bytes: *const u8, len: usize, count: &mut usize) -> Answer;
type ReadEntry = extern "C" fn(*mut c_void, u64, cursor: u64, &mut ampoule_wasi_entry_t, end: &mut u8) -> Answer;
type ReadLink = extern "C" fn(*mut c_void, u64, target: *mut c_char, capacity: usize, len: &mut usize) -> Answer;
type Create = extern "C" fn(*mut c_void, dir: u64, name: *const c_char, name_len: usize, node: &mut u64) -> Answer;
type Symlink = extern "C" fn(*mut c_void, *const c_char, usize, dir: u64, name: *const c_char, usize) -> Answer;
type Link = extern "C" fn(*mut c_void, u64, dir: u64, name: *const c_char, name_len: usize) -> Answer;
type Rename = extern "C" fn(*mut c_void, u64, *const c_char, usize, u64, *const c_char, usize) -> Answer;

#[repr(C)]
#[derive(Default)]
pub struct ampoule_wasi_stat_t {
    inode: u64,
    links: u64,
    size: u64,
    accessed: u64,
    modified: u64,
    changed: u64,
    ty: u8,
}

#[repr(C)]
pub struct ampoule_wasi_entry_t {
    next: u64,
    inode: u64,
    ty: u8,
    name_len: usize,
    name: [u8; MAX_NAME + 1],
}

/// A file system, as C describes it: the functions in the header's order.
#[repr(C)]
pub struct ampoule_wasi_filesystem_t {
    size: usize,
    env: *mut c_void,
    finalizer: Finalizer,
    root: u64,
    lookup: Option<Lookup>,
    release: Option<extern "C" fn(*mut c_void, u64)>,
    stat: Option<Stat>,
    open: Option<extern "C" fn(*mut c_void, u64, flags: u32) -> Answer>,
    read: Option<Read>,
    write: Option<Write>,
    append: Option<Append>,
    ready: Option<extern "C" fn(*mut c_void, u64, write: bool, fd: &mut c_int) -> u8>,
    set_size: Option<extern "C" fn(*mut c_void, u64, size: u64) -> Answer>,
    set_times: Option<extern "C" fn(*mut c_void, u64, accessed: u64, modified: u64) -> Answer>,
    sync: Option<extern "C" fn(*mut c_void, u64, data_only: bool) -> Answer>,
    entry: Option<ReadEntry>,
    read_link: Option<ReadLink>,
    create: Option<Create>,
    create_dir: Option<Named>,
    symlink: Option<Symlink>,
    link: Option<Link>,
    rename: Option<Rename>,
    remove_file: Option<Named>,
    remove_dir: Option<Named>,
}

// SAFETY: as the trait says; null functions and pointers are zero.
unsafe impl Table for ampoule_wasi_filesystem_t {}

impl ampoule_wasi_filesystem_t {
    pub fn root(&self) -> NodeId {
        self.root
    }
}

pub struct CFileSystem {
    table: ampoule_wasi_filesystem_t,
    lookup: Lookup,
    stat: Stat,
    env: Foreign,
}

// SAFETY: the header says that the functions are called by whatever thread uses the store; the pointer is `env`'s.
unsafe impl Send for CFileSystem {}
// SAFETY: each table is for one store, which is used by one thread at a time: the one that calls.
unsafe impl Sync for CFileSystem {}

const OPEN_READ: u32 = 1;
const OPEN_WRITE: u32 = 2;
const OPEN_TRUNCATE: u32 = 4;

const TIME_KEEP: u64 = u64::MAX;
const TIME_NOW: u64 = u64::MAX - 1;

impl CFileSystem {
    pub fn new(table: ampoule_wasi_filesystem_t, env: Foreign) -> Result<Self, Error> {
        let lookup = need(table.lookup, "ampoule_wasi_filesystem_t", "lookup")?;
        let stat = need(table.stat, "ampoule_wasi_filesystem_t", "stat")?;
        Ok(Self { table, lookup, stat, env })
    }

    fn env(&self) -> *mut c_void {
        self.env.data()
    }

    fn named(&self, function: Option<Named>, dir: NodeId, name: &str) -> Result<(), host::Error> {
        let function = function.ok_or(Errno::ROFS)?;
        let name = c_string(name)?;
        check(function(self.env(), dir, name.as_ptr(), name.as_bytes().len()))
    }
}

/// A name or path for C: with a NUL behind it.
fn c_string(text: &str) -> Result<CString, Errno> {
    CString::new(text).map_err(|_| Errno::INVAL)
}

/// What a number says that a file is.
fn filetype(number: u8) -> Result<FileType, Errno> {
    match number {
        0 => Ok(FileType::Unknown),
        2 => Ok(FileType::CharacterDevice),
        3 => Ok(FileType::Directory),
        4 => Ok(FileType::RegularFile),
        7 => Ok(FileType::Symlink),
        _ => Err(Errno::IO),
    }
}

fn time(time: NewTime) -> u64 {
    match time {
        NewTime::Keep => TIME_KEEP,
        NewTime::Now => TIME_NOW,
        // The last two nanoseconds that there are mean something else.
        NewTime::At(time) => time.min(TIME_NOW - 1),
    }
}

impl FileSystem for CFileSystem {
    fn lookup(&self, dir: NodeId, name: &str) -> Result<(NodeId, FileType), host::Error> {
        let name = c_string(name)?;
        let (mut node, mut ty) = (0, 0);
        check((self.lookup)(self.env(), dir, name.as_ptr(), name.as_bytes().len(), &mut node, &mut ty))?;
        match filetype(ty) {
            Ok(filetype) => Ok((node, filetype)),
            Err(error) => {
                self.release(node);
                Err(error.into())
            }
        }
    }

    fn release(&self, node: NodeId) {
        if let Some(release) = self.table.release {
            release(self.env(), node);
        }
    }

    fn stat(&self, node: NodeId) -> Result<NodeStat, host::Error> {
        let mut stat = ampoule_wasi_stat_t::default();
        check((self.stat)(self.env(), node, &mut stat))?;
        let ampoule_wasi_stat_t { inode, links, size, accessed, modified, changed, ty } = stat;
        Ok(NodeStat { filetype: filetype(ty)?, inode, links, size, accessed, modified, changed })
    }

    fn open(&self, file: NodeId, to: OpenFor) -> Result<(), host::Error> {
        if (to.write && self.table.write.is_none()) || (to.truncate && self.table.set_size.is_none()) {
            return Err(Errno::ROFS.into());
        }
        let Some(open) = self.table.open else { return Ok(()) };
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let flags = flag(to.read, OPEN_READ) | flag(to.write, OPEN_WRITE) | flag(to.truncate, OPEN_TRUNCATE);
        check(open(self.env(), file, flags))
    }

    fn read(&self, file: NodeId, offset: u64, out: &mut [u8]) -> Result<usize, host::Error> {
        let read = self.table.read.ok_or(Errno::NOTSUP)?;
        let mut count = 0;
        check(read(self.env(), file, offset, out.as_mut_ptr(), out.len(), &mut count))?;
        Ok(count)
    }

    fn write(&self, file: NodeId, offset: u64, bytes: &[u8]) -> Result<usize, host::Error> {
        let write = self.table.write.ok_or(Errno::ROFS)?;
        let mut count = 0;
        check(write(self.env(), file, offset, bytes.as_ptr(), bytes.len(), &mut count))?;
        Ok(count)
    }

    fn append(&self, file: NodeId, bytes: &[u8]) -> Result<usize, host::Error> {
        let Some(append) = self.table.append else {
            return self.write(file, FileSystem::stat(self, file)?.size, bytes);
        };
        let mut count = 0;
        check(append(self.env(), file, bytes.as_ptr(), bytes.len(), &mut count))?;
        Ok(count)
    }

    fn available(&self, file: NodeId, direction: Direction) -> Option<Availability<'_>> {
        let mut fd = -1;
        let write = direction == Direction::Write;
        self.table.ready.map(|ready| availability(ready(self.env(), file, write, &mut fd), fd))
    }

    fn set_size(&self, file: NodeId, size: u64) -> Result<(), host::Error> {
        check(self.table.set_size.ok_or(Errno::NOTSUP)?(self.env(), file, size))
    }

    fn set_times(&self, node: NodeId, times: NewTimes) -> Result<(), host::Error> {
        let set_times = self.table.set_times.ok_or(Errno::NOTSUP)?;
        check(set_times(self.env(), node, time(times.accessed), time(times.modified)))
    }

    fn sync(&self, node: NodeId, data_only: bool) -> Result<(), host::Error> {
        self.table.sync.map_or(Ok(()), |sync| check(sync(self.env(), node, data_only)))
    }

    fn entry(&self, dir: NodeId, cursor: u64) -> Result<Option<Entry>, host::Error> {
        let read_entry = self.table.entry.ok_or(Errno::NOTSUP)?;
        let mut entry = ampoule_wasi_entry_t { next: 0, inode: 0, ty: 0, name_len: 0, name: [0; MAX_NAME + 1] };
        let mut end = 0;
        check(read_entry(self.env(), dir, cursor, &mut entry, &mut end))?;
        if end != 0 {
            return Ok(None);
        }
        let name = entry.name.get(..entry.name_len).ok_or(Errno::IO)?;
        let name = str::from_utf8(name).map_err(|_| Errno::ILSEQ)?.to_owned();
        Ok(Some(Entry { next: entry.next, inode: entry.inode, filetype: filetype(entry.ty)?, name }))
    }

    fn read_link(&self, link: NodeId) -> Result<String, host::Error> {
        let read_link = self.table.read_link.ok_or(Errno::INVAL)?;
        let (mut target, mut len) = (vec![0; MAX_PATH], 0);
        check(read_link(self.env(), link, target.as_mut_ptr().cast(), target.len(), &mut len))?;
        if len > target.len() {
            return Err(Errno::IO.into());
        }
        target.truncate(len);
        Ok(String::from_utf8(target).map_err(|_| Errno::ILSEQ)?)
    }

    fn create(&self, dir: NodeId, name: &str) -> Result<NodeId, host::Error> {
        let create = self.table.create.ok_or(Errno::ROFS)?;
        let name = c_string(name)?;
        let mut node = 0;
        check(create(self.env(), dir, name.as_ptr(), name.as_bytes().len(), &mut node))?;
        Ok(node)
    }

    fn create_dir(&self, dir: NodeId, name: &str) -> Result<(), host::Error> {
        self.named(self.table.create_dir, dir, name)
    }

    fn symlink(&self, target: &str, dir: NodeId, name: &str) -> Result<(), host::Error> {
        let symlink = self.table.symlink.ok_or(Errno::ROFS)?;
        let (target, name) = (c_string(target)?, c_string(name)?);
        let (target_len, name_len) = (target.as_bytes().len(), name.as_bytes().len());
        check(symlink(self.env(), target.as_ptr(), target_len, dir, name.as_ptr(), name_len))
    }

    fn link(&self, node: NodeId, dir: NodeId, name: &str) -> Result<(), host::Error> {
        let link = self.table.link.ok_or(Errno::ROFS)?;
        let name = c_string(name)?;
        check(link(self.env(), node, dir, name.as_ptr(), name.as_bytes().len()))
    }

    fn rename(&self, dir: NodeId, name: &str, new_dir: NodeId, new_name: &str) -> Result<(), host::Error> {
        let rename = self.table.rename.ok_or(Errno::ROFS)?;
        let (name, new_name) = (c_string(name)?, c_string(new_name)?);
        let (len, new_len) = (name.as_bytes().len(), new_name.as_bytes().len());
        check(rename(self.env(), dir, name.as_ptr(), len, new_dir, new_name.as_ptr(), new_len))
    }

    fn remove_file(&self, dir: NodeId, name: &str) -> Result<(), host::Error> {
        self.named(self.table.remove_file, dir, name)
    }

    fn remove_dir(&self, dir: NodeId, name: &str) -> Result<(), host::Error> {
        self.named(self.table.remove_dir, dir, name)
    }
}
