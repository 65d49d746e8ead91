//! `wasi:filesystem`, as far as versions agree: descriptors, and what lies beneath those that are directories. Error codes are each version's
//! own, made of the host's.
//!
//! What isn't permitted is `not-permitted`, as in preview 1, not `read-only`.

use super::cx::Cx;
use super::error::{Error, Fail};
use super::resources::{Handle, Own, entries};
use super::values::{FromVal, IntoVal, val_of, wit_enum, wit_flags, wrong_type};
use crate::host::dir::{DirPerms, OpenDir, OpenHow, Opened};
use crate::host::file::{self, OpenFile, SyncModes};
use crate::host::stat::{FileStat, FileType, NewTime, NewTimes};
use crate::host::{self, Host};
use ampoule_component::{Val, ValRef};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
use std::marker::PhantomData;

/// What succeeds, or with an error of the host's fails, as a version calls that.
pub type FileResult<T, E> = Result<T, Fail<E>>;

entries! {
    Descriptor = 4 "descriptor",
}

wit_enum!(
    /// `error-code`, as 0.2 has it.
    ErrorCode {
        Access = "access",
        WouldBlock = "would-block",
        Already = "already",
        BadDescriptor = "bad-descriptor",
        Busy = "busy",
        Deadlock = "deadlock",
        Quota = "quota",
        Exist = "exist",
        FileTooLarge = "file-too-large",
        IllegalByteSequence = "illegal-byte-sequence",
        InProgress = "in-progress",
        Interrupted = "interrupted",
        Invalid = "invalid",
        Io = "io",
        IsDirectory = "is-directory",
        Loop = "loop",
        TooManyLinks = "too-many-links",
        MessageSize = "message-size",
        NameTooLong = "name-too-long",
        NoDevice = "no-device",
        NoEntry = "no-entry",
        NoLock = "no-lock",
        InsufficientMemory = "insufficient-memory",
        InsufficientSpace = "insufficient-space",
        NotDirectory = "not-directory",
        NotEmpty = "not-empty",
        NotRecoverable = "not-recoverable",
        Unsupported = "unsupported",
        NoTty = "no-tty",
        NoSuchDevice = "no-such-device",
        Overflow = "overflow",
        NotPermitted = "not-permitted",
        Pipe = "pipe",
        ReadOnly = "read-only",
        InvalidSeek = "invalid-seek",
        TextFileBusy = "text-file-busy",
        CrossDevice = "cross-device",
    }
);

impl From<Errno> for ErrorCode {
    /// A host error as the WIT text names it; what has no name is `io`.
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ACCESS => Self::Access,
            Errno::AGAIN => Self::WouldBlock,
            Errno::ALREADY => Self::Already,
            Errno::BADF => Self::BadDescriptor,
            Errno::BUSY => Self::Busy,
            Errno::DEADLK => Self::Deadlock,
            Errno::DQUOT => Self::Quota,
            Errno::EXIST => Self::Exist,
            Errno::FBIG => Self::FileTooLarge,
            Errno::ILSEQ => Self::IllegalByteSequence,
            Errno::INPROGRESS => Self::InProgress,
            Errno::INTR => Self::Interrupted,
            Errno::INVAL => Self::Invalid,
            Errno::ISDIR => Self::IsDirectory,
            Errno::LOOP => Self::Loop,
            Errno::MLINK => Self::TooManyLinks,
            Errno::MSGSIZE => Self::MessageSize,
            Errno::NAMETOOLONG => Self::NameTooLong,
            Errno::NODEV => Self::NoDevice,
            Errno::NOENT => Self::NoEntry,
            Errno::NOLCK => Self::NoLock,
            // Nothing here says that there are too many descriptors.
            Errno::NOMEM | Errno::MFILE | Errno::NFILE => Self::InsufficientMemory,
            Errno::NOSPC => Self::InsufficientSpace,
            Errno::NOTDIR => Self::NotDirectory,
            Errno::NOTEMPTY => Self::NotEmpty,
            Errno::NOTRECOVERABLE => Self::NotRecoverable,
            Errno::NOTSUP | Errno::NOSYS => Self::Unsupported,
            Errno::NOTTY => Self::NoTty,
            Errno::NXIO => Self::NoSuchDevice,
            Errno::OVERFLOW => Self::Overflow,
            Errno::PERM => Self::NotPermitted,
            Errno::PIPE => Self::Pipe,
            Errno::ROFS => Self::ReadOnly,
            Errno::SPIPE => Self::InvalidSeek,
            Errno::TXTBSY => Self::TextFileBusy,
            Errno::XDEV => Self::CrossDevice,
            _ => Self::Io,
        }
    }
}

wit_enum!(
    /// `descriptor-type`
    DescriptorType {
        Unknown = "unknown",
        BlockDevice = "block-device",
        CharacterDevice = "character-device",
        Directory = "directory",
        Fifo = "fifo",
        SymbolicLink = "symbolic-link",
        RegularFile = "regular-file",
        Socket = "socket",
    }
);

impl From<FileType> for DescriptorType {
    fn from(filetype: FileType) -> Self {
        match filetype {
            FileType::BlockDevice => Self::BlockDevice,
            FileType::CharacterDevice => Self::CharacterDevice,
            FileType::Directory => Self::Directory,
            FileType::Fifo => Self::Fifo,
            FileType::Symlink => Self::SymbolicLink,
            FileType::RegularFile => Self::RegularFile,
            FileType::Socket => Self::Socket,
            FileType::Unknown => Self::Unknown,
        }
    }
}

/// What a version writes in its own way.
pub trait Version {
    /// A time.
    type Time: Timestamp;
    /// What is wrong.
    type ErrorCode: From<Errno>;
    /// What a file is.
    type DescriptorType: IntoVal;

    /// What a file is.
    fn descriptor_type(filetype: FileType) -> Self::DescriptorType;
}

/// A time since 1970.
pub trait Timestamp: FromVal + IntoVal + Copy {
    /// So many nanoseconds after 1970.
    fn of_nanoseconds(nanoseconds: u64) -> Self;

    /// How many nanoseconds after 1970 it is; `None` where those can't be counted.
    fn nanoseconds(self) -> Option<u64>;
}

/// `new-timestamp`
#[derive(Clone, Copy, Debug)]
pub enum NewTimestamp<T> {
    /// `no-change`
    NoChange,
    /// `now`
    Now,
    /// `timestamp`
    Timestamp(T),
}

impl<T: Timestamp> FromVal for NewTimestamp<T> {
    fn from_val(cx: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        match val.get() {
            ValRef::Variant(b"no-change", None) => Ok(Self::NoChange),
            ValRef::Variant(b"now", None) => Ok(Self::Now),
            ValRef::Variant(b"timestamp", Some(time)) => Ok(Self::Timestamp(T::from_val(cx, &mut time.clone())?)),
            _ => Err(wrong_type("new-timestamp")),
        }
    }
}

impl<T: Timestamp> NewTimestamp<T> {
    fn time(self) -> Result<NewTime, Errno> {
        Ok(match self {
            Self::NoChange => NewTime::Keep,
            Self::Now => NewTime::Now,
            Self::Timestamp(time) => NewTime::At(time.nanoseconds().ok_or(Errno::OVERFLOW)?),
        })
    }
}

fn new_times<T: Timestamp>(accessed: NewTimestamp<T>, modified: NewTimestamp<T>) -> Result<NewTimes, Errno> {
    Ok(NewTimes { accessed: accessed.time()?, modified: modified.time()? })
}

/// `descriptor-stat`
pub struct Stat<V> {
    stat: FileStat,
    version: PhantomData<fn() -> V>,
}

impl<V: Version> IntoVal for Stat<V> {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let Self { stat, .. } = self;
        let mut time =
            |nanoseconds| -> Result<Val, Error> { Ok(Val::option(V::Time::of_nanoseconds(nanoseconds).into_val(cx)?)) };
        let (accessed, modified, changed) = (time(stat.accessed)?, time(stat.modified)?, time(stat.changed)?);
        Ok(Some(Val::record([
            ("type", val_of(V::descriptor_type(stat.filetype), cx)?),
            ("link-count", Val::from(stat.links)),
            ("size", Val::from(stat.size)),
            ("data-access-timestamp", accessed),
            ("data-modification-timestamp", modified),
            ("status-change-timestamp", changed),
        ])))
    }
}

wit_enum!(
    /// `advice`
    Advice {
        Normal = "normal",
        Sequential = "sequential",
        Random = "random",
        WillNeed = "will-need",
        DontNeed = "dont-need",
        NoReuse = "no-reuse",
    }
);

wit_flags!(
    /// `path-flags`
    PathFlags {
        symlink_follow = "symlink-follow",
    }
);

wit_flags!(
    /// `open-flags`
    OpenFlags {
        create = "create",
        directory = "directory",
        exclusive = "exclusive",
        truncate = "truncate",
    }
);

wit_flags!(
    /// `descriptor-flags`
    DescriptorFlags {
        read = "read",
        write = "write",
        file_integrity_sync = "file-integrity-sync",
        data_integrity_sync = "data-integrity-sync",
        requested_write_sync = "requested-write-sync",
        mutate_directory = "mutate-directory",
    }
);

/// `metadata-hash-value`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataHash {
    lower: u64,
    upper: u64,
}

impl MetadataHash {
    /// Of what changes when a file is modified or replaced.
    fn of(stat: &FileStat) -> Self {
        let hash = |half: u64| {
            let mut hasher = DefaultHasher::new();
            for word in [half, stat.device, stat.inode, stat.size, stat.modified] {
                hasher.write_u64(word);
            }
            hasher.finish()
        };
        Self { lower: hash(0), upper: hash(1) }
    }
}

impl IntoVal for MetadataHash {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        Ok(Some(Val::record([("lower", Val::from(self.lower)), ("upper", Val::from(self.upper))])))
    }
}

/// `descriptor`: an open file or directory.
#[derive(Debug)]
pub enum Descriptor {
    /// A file, which has no offset that the guest knows.
    File(OpenFile),
    /// A directory: preopened, or opened by the guest.
    Dir(OpenDir),
}

impl Descriptor {
    /// The file that it is.
    ///
    /// # Errors
    /// `BADF` where it is a directory.
    pub fn file(&mut self) -> Result<&mut OpenFile, Errno> {
        match self {
            Self::File(file) => Ok(file),
            Self::Dir(_) => Err(Errno::BADF),
        }
    }

    /// The directory that it is.
    ///
    /// # Errors
    /// `NOTDIR` where it is a file.
    pub fn dir(&self) -> Result<&OpenDir, Errno> {
        match self {
            Self::Dir(dir) => Ok(dir),
            Self::File(_) => Err(Errno::NOTDIR),
        }
    }

    fn stat(&self) -> Result<FileStat, host::Error> {
        match self {
            Self::File(file) => file.stat(),
            Self::Dir(dir) => dir.stat(),
        }
    }
}

type This = Handle<Descriptor>;

/// The most bytes of a path: Linux's own limit, without the NUL.
const MAX_PATH: usize = 4095;

/// A path that the system takes.
fn checked(path: &str) -> Result<&str, Errno> {
    match path.len() {
        0..=MAX_PATH if path.contains('\0') => Err(Errno::INVAL),
        0..=MAX_PATH => Ok(path),
        _ => Err(Errno::NAMETOOLONG),
    }
}

/// Runs what a file can do.
///
/// # Errors
/// Where it isn't one, and what that says.
pub fn with_file<T, E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: This,
    run: impl FnOnce(&mut OpenFile, &mut Host) -> Result<T, host::Error>,
) -> FileResult<T, E> {
    let (host, descriptor) = cx.entry(this)?;
    Ok(run(descriptor.file()?, host)?)
}

/// Runs what a directory can do with a path.
fn with_dir<T, E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: This,
    path: &str,
    run: impl FnOnce(&OpenDir, &str) -> Result<T, host::Error>,
) -> FileResult<T, E> {
    let descriptor = cx.entry(this)?.1;
    Ok(run(descriptor.dir()?, checked(path)?)?)
}

/// `preopens.get-directories`
pub fn get_directories(cx: &mut Cx<'_>) -> Result<Vec<(Own<Descriptor>, String)>, Error> {
    let preopens = cx.host().preopens.iter();
    // Their descriptors of the host are open anyway.
    let open = preopens.map(|dir| (Own::new(Descriptor::Dir(dir.clone())), dir.preopen.clone().unwrap_or_default()));
    Ok(open.collect())
}

/// A file that was opened in this way.
///
/// # Errors
/// `BADF` where it wasn't.
pub fn opened_for<'a, E: From<Errno>>(
    cx: &'a mut Cx<'_>,
    this: This,
    so: fn(&OpenFile) -> bool,
) -> FileResult<&'a OpenFile, E> {
    let file = cx.entry(this)?.1.file()?;
    if so(file) { Ok(file) } else { Err(Errno::BADF.into()) }
}

/// `descriptor.advise`
pub fn advise<E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: This,
    offset: u64,
    length: u64,
    advice: Advice,
) -> FileResult<(), E> {
    let advice = match advice {
        Advice::Normal => file::Advice::Normal,
        Advice::Sequential => file::Advice::Sequential,
        Advice::Random => file::Advice::Random,
        Advice::WillNeed => file::Advice::WillNeed,
        Advice::DontNeed => file::Advice::DontNeed,
        Advice::NoReuse => file::Advice::NoReuse,
    };
    with_file(cx, this, |file, _| file.advise(offset, length, advice))
}

/// `descriptor.sync-data`
pub fn sync_data<E: From<Errno>>(cx: &mut Cx<'_>, this: This) -> FileResult<(), E> {
    synchronize(cx, this, true)
}

/// `descriptor.sync`
pub fn sync<E: From<Errno>>(cx: &mut Cx<'_>, this: This) -> FileResult<(), E> {
    synchronize(cx, this, false)
}

fn synchronize<E: From<Errno>>(cx: &mut Cx<'_>, this: This, data_only: bool) -> FileResult<(), E> {
    match cx.entry(this)?.1 {
        // What wasn't opened for writing has nothing to be written.
        Descriptor::File(file) if !file.writable => Ok(()),
        Descriptor::File(file) => Ok(file.sync(data_only)?),
        Descriptor::Dir(dir) => Ok(dir.sync(data_only)?),
    }
}

/// `descriptor.get-flags`
pub fn get_flags<E: From<Errno>>(cx: &mut Cx<'_>, this: This) -> FileResult<DescriptorFlags, E> {
    Ok(match cx.entry(this)?.1 {
        Descriptor::File(file) => DescriptorFlags {
            read: file.readable,
            write: file.writable,
            file_integrity_sync: file.sync.file,
            data_integrity_sync: file.sync.data,
            requested_write_sync: file.sync.reads,
            mutate_directory: false,
        },
        Descriptor::Dir(dir) => DescriptorFlags {
            read: dir.dir_perms.contains(DirPerms::READ),
            mutate_directory: dir.dir_perms.contains(DirPerms::WRITE),
            ..DescriptorFlags::default()
        },
    })
}

/// `descriptor.get-type`
pub fn get_type<V: Version>(cx: &mut Cx<'_>, this: This) -> FileResult<V::DescriptorType, V::ErrorCode> {
    Ok(V::descriptor_type(match cx.entry(this)?.1 {
        Descriptor::File(file) => file.filetype,
        Descriptor::Dir(_) => FileType::Directory,
    }))
}

/// `descriptor.set-times`
pub fn set_times<V: Version>(
    cx: &mut Cx<'_>,
    this: This,
    accessed: NewTimestamp<V::Time>,
    modified: NewTimestamp<V::Time>,
) -> FileResult<(), V::ErrorCode> {
    let times = new_times(accessed, modified)?;
    match cx.entry(this)?.1 {
        Descriptor::File(file) => Ok(file.set_times(times)?),
        Descriptor::Dir(dir) => Ok(dir.set_times(times)?),
    }
}

/// `descriptor.set-times-at`
pub fn set_times_at<V: Version>(
    cx: &mut Cx<'_>,
    this: This,
    flags: PathFlags,
    path: String,
    accessed: NewTimestamp<V::Time>,
    modified: NewTimestamp<V::Time>,
) -> FileResult<(), V::ErrorCode> {
    let times = new_times(accessed, modified)?;
    with_dir(cx, this, &path, |dir, path| dir.set_times_at(path, flags.symlink_follow, times))
}

/// `descriptor.stat`
pub fn stat<V: Version>(cx: &mut Cx<'_>, this: This) -> FileResult<Stat<V>, V::ErrorCode> {
    Ok(Stat { stat: cx.entry(this)?.1.stat()?, version: PhantomData })
}

/// `descriptor.stat-at`
pub fn stat_at<V: Version>(
    cx: &mut Cx<'_>,
    this: This,
    flags: PathFlags,
    path: String,
) -> FileResult<Stat<V>, V::ErrorCode> {
    let stat = with_dir(cx, this, &path, |dir, path| dir.stat_at(path, flags.symlink_follow))?;
    Ok(Stat { stat, version: PhantomData })
}

/// `descriptor.set-size`
pub fn set_size<E: From<Errno>>(cx: &mut Cx<'_>, this: This, size: u64) -> FileResult<(), E> {
    with_file(cx, this, |file, _| file.set_size(size))
}

/// `descriptor.create-directory-at`
pub fn create_directory_at<E: From<Errno>>(cx: &mut Cx<'_>, this: This, path: String) -> FileResult<(), E> {
    with_dir(cx, this, &path, OpenDir::create_dir)
}

/// `descriptor.link-at`
pub fn link_at<E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: This,
    old_flags: PathFlags,
    old_path: String,
    new_descriptor: This,
    new_path: String,
) -> FileResult<(), E> {
    let resources = cx.parts().1;
    let (old, new) = (resources.get(this)?.dir()?, resources.get(new_descriptor)?.dir()?);
    Ok(old.link(checked(&old_path)?, old_flags.symlink_follow, new, checked(&new_path)?)?)
}

/// `descriptor.open-at`
pub fn open_at<E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: This,
    path_flags: PathFlags,
    path: String,
    open_flags: OpenFlags,
    flags: DescriptorFlags,
) -> FileResult<Own<Descriptor>, E> {
    let resources = cx.parts().1;
    let dir = resources.get(this)?.dir()?;
    if flags.mutate_directory && !dir.dir_perms.contains(DirPerms::WRITE) {
        return Err(Errno::PERM.into());
    }
    let how = OpenHow {
        follow: path_flags.symlink_follow,
        // Asking for neither means reading, to programs written against Wasmtime.
        read: flags.read || !flags.write,
        write: flags.write,
        create: open_flags.create,
        exclusive: open_flags.exclusive,
        truncate: open_flags.truncate,
        directory: open_flags.directory,
        append: false,
        nonblock: false,
        sync: SyncModes {
            data: flags.data_integrity_sync,
            file: flags.file_integrity_sync,
            reads: flags.requested_write_sync,
        },
    };
    let path = checked(&path)?;
    let token = resources.descriptor().ok_or(Errno::MFILE)?;
    let descriptor = match dir.open(path, &how)? {
        Opened::File(file) => Descriptor::File(file),
        Opened::Dir(dir) => Descriptor::Dir(dir),
    };
    Ok(Own::holding(descriptor, Some(token)))
}

/// `descriptor.readlink-at`
pub fn readlink_at<E: From<Errno>>(cx: &mut Cx<'_>, this: This, path: String) -> FileResult<String, E> {
    with_dir(cx, this, &path, OpenDir::read_link)
}

/// `descriptor.remove-directory-at`
pub fn remove_directory_at<E: From<Errno>>(cx: &mut Cx<'_>, this: This, path: String) -> FileResult<(), E> {
    with_dir(cx, this, &path, OpenDir::remove_dir)
}

/// `descriptor.rename-at`
pub fn rename_at<E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: This,
    old_path: String,
    new_descriptor: This,
    new_path: String,
) -> FileResult<(), E> {
    let resources = cx.parts().1;
    let (old, new) = (resources.get(this)?.dir()?, resources.get(new_descriptor)?.dir()?);
    Ok(old.rename(checked(&old_path)?, new, checked(&new_path)?)?)
}

/// `descriptor.symlink-at`
pub fn symlink_at<E: From<Errno>>(cx: &mut Cx<'_>, this: This, target: String, path: String) -> FileResult<(), E> {
    let target = checked(&target)?;
    with_dir(cx, this, &path, |dir, path| dir.symlink(target, path))
}

/// `descriptor.unlink-file-at`
pub fn unlink_file_at<E: From<Errno>>(cx: &mut Cx<'_>, this: This, path: String) -> FileResult<(), E> {
    with_dir(cx, this, &path, OpenDir::remove_file)
}

/// `descriptor.is-same-object`
pub fn is_same_object(cx: &mut Cx<'_>, this: This, other: This) -> Result<bool, Error> {
    let resources = cx.parts().1;
    let identity = |stat: FileStat| (stat.device, stat.inode);
    let (one, other) = (resources.get(this)?.stat(), resources.get(other)?.stat());
    Ok(matches!((one, other), (Ok(one), Ok(other)) if identity(one) == identity(other)))
}

/// `descriptor.metadata-hash`
pub fn metadata_hash<E: From<Errno>>(cx: &mut Cx<'_>, this: This) -> FileResult<MetadataHash, E> {
    Ok(MetadataHash::of(&cx.entry(this)?.1.stat()?))
}

/// `descriptor.metadata-hash-at`
pub fn metadata_hash_at<E: From<Errno>>(
    cx: &mut Cx<'_>,
    this: This,
    flags: PathFlags,
    path: String,
) -> FileResult<MetadataHash, E> {
    let stat = with_dir(cx, this, &path, |dir, path| dir.stat_at(path, flags.symlink_follow))?;
    Ok(MetadataHash::of(&stat))
}

/// What is in a directory, some entries at a time.
#[derive(Debug)]
pub struct Listing {
    dir: OpenDir,
    /// Where the entries after the batch begin.
    next: u64,
    batch: VecDeque<Listed>,
}

/// An entry.
#[derive(Debug)]
#[allow(missing_docs)] // The names say it.
pub struct Listed {
    pub filetype: FileType,
    pub name: String,
}

/// The entries that are read at once, without the directory itself and its parent.
const BATCH: usize = 64;

/// Where they begin.
const FIRST: u64 = 2;

impl Listing {
    /// Of this directory.
    ///
    /// # Errors
    /// Where it isn't one, or may not be read.
    pub fn new(descriptor: &Descriptor) -> Result<Self, host::Error> {
        let dir = descriptor.dir()?.clone();
        if !dir.dir_perms.contains(DirPerms::READ) {
            return Err(host::Error::NotPermitted);
        }
        Ok(Self { dir, next: FIRST, batch: VecDeque::new() })
    }

    /// The next entry; `None` where there is none.
    ///
    /// # Errors
    /// What the host says.
    pub fn next(&mut self, host: &mut Host) -> Result<Option<Listed>, host::Error> {
        let Self { dir, next, batch } = self;
        if batch.is_empty() {
            dir.read_entries::<host::Error>(*next, &mut host.waiter, |entry| {
                if batch.len() == BATCH {
                    return Ok(false);
                }
                batch.push_back(Listed { filetype: entry.filetype, name: entry.name.to_owned() });
                *next = entry.next;
                Ok(true)
            })
            .or_else(|error| if batch.is_empty() { Err(error) } else { Ok(()) })?;
        }
        Ok(batch.pop_front())
    }
}
