//! `wasi:filesystem`: descriptors, and what lies beneath those that are directories.
//!
//! What isn't permitted is `not-permitted`, as in preview 1, not `read-only`.

use super::call::{Cx, Error, Fail};
use super::clocks::Datetime;
use super::io::{IoError, Origin};
use super::resources::{Handle, Own};
use super::values::{Bytes, FromVal, IntoVal, wit_enum, wrong_type};
use crate::host::buffers::IoVecs;
use crate::host::dir::{DirPerms, OpenDir, OpenHow, Opened};
use crate::host::file::{self, OpenFile, SyncModes};
use crate::host::input::{InputStream, MAX_READ, Source};
use crate::host::output::{OutputStream, Sink};
use crate::host::stat::{FileStat, FileType, NewTime, NewTimes};
use crate::host::{self, Host};
use ampoule_component::{Val, ValRef};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};

wit_enum!(
    /// `error-code`
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

type FileResult<T> = Result<T, Fail<ErrorCode>>;

impl From<host::Error> for Fail<ErrorCode> {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Os(errno) => Self::Err(errno.into()),
            host::Error::NotPermitted => Self::Err(ErrorCode::NotPermitted),
            host::Error::Http(_) => Self::Err(ErrorCode::Io),
            error @ (host::Error::Interrupted | host::Error::MustWait) => Self::End(error.into()),
        }
    }
}

impl From<ErrorCode> for Fail<ErrorCode> {
    fn from(code: ErrorCode) -> Self {
        Self::Err(code)
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

/// Declares `flags` of the WIT text: each with its name there.
macro_rules! wit_flags {
    ($(#[$doc:meta])* $name:ident { $($flag:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[allow(missing_docs)] // The WIT text documents each.
        pub struct $name {
            $(pub $flag: bool,)*
        }

        impl FromVal for $name {
            fn from_val(_: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
                let ValRef::Flags(names) = val.get() else { return Err(wrong_type(stringify!($name))) };
                let mut flags = Self::default();
                for name in names {
                    match name.as_slice() {
                        $(name if name == $text.as_bytes() => flags.$flag = true,)*
                        _ => return Err(wrong_type(stringify!($name))),
                    }
                }
                Ok(flags)
            }
        }

        impl IntoVal for $name {
            fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
                let names = [$((self.$flag, $text)),*].into_iter().filter(|(is_set, _)| *is_set);
                Ok(Some(Val::flags(names.map(|(_, name)| name))))
            }
        }
    };
}

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

/// `new-timestamp`
#[derive(Clone, Copy, Debug)]
pub enum NewTimestamp {
    /// `no-change`
    NoChange,
    /// `now`
    Now,
    /// `timestamp`
    Timestamp(Datetime),
}

impl FromVal for NewTimestamp {
    fn from_val(cx: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        match val.get() {
            ValRef::Variant(b"no-change", None) => Ok(Self::NoChange),
            ValRef::Variant(b"now", None) => Ok(Self::Now),
            ValRef::Variant(b"timestamp", Some(time)) => {
                Ok(Self::Timestamp(Datetime::from_val(cx, &mut time.clone())?))
            }
            _ => Err(wrong_type("new-timestamp")),
        }
    }
}

impl NewTimestamp {
    fn time(self) -> Result<NewTime, ErrorCode> {
        Ok(match self {
            Self::NoChange => NewTime::Keep,
            Self::Now => NewTime::Now,
            Self::Timestamp(time) => NewTime::At(time.nanoseconds().ok_or(ErrorCode::Overflow)?),
        })
    }
}

fn new_times(accessed: NewTimestamp, modified: NewTimestamp) -> Result<NewTimes, ErrorCode> {
    Ok(NewTimes { accessed: accessed.time()?, modified: modified.time()? })
}

/// `descriptor-stat`
impl IntoVal for FileStat {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let mut time = |nanoseconds| -> Result<Val, Error> {
            Ok(Val::option(Datetime::of_nanoseconds(nanoseconds).into_val(cx)?))
        };
        Ok(Some(Val::record([
            ("type", Val::enumeration(DescriptorType::from(self.filetype).name())),
            ("link-count", Val::from(self.links)),
            ("size", Val::from(self.size)),
            ("data-access-timestamp", time(self.accessed)?),
            ("data-modification-timestamp", time(self.modified)?),
            ("status-change-timestamp", time(self.changed)?),
        ])))
    }
}

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
    fn file(&mut self) -> Result<&mut OpenFile, ErrorCode> {
        match self {
            Self::File(file) => Ok(file),
            Self::Dir(_) => Err(ErrorCode::BadDescriptor),
        }
    }

    fn dir(&self) -> Result<&OpenDir, ErrorCode> {
        match self {
            Self::Dir(dir) => Ok(dir),
            Self::File(_) => Err(ErrorCode::NotDirectory),
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
fn checked(path: &str) -> Result<&str, ErrorCode> {
    match path.len() {
        0..=MAX_PATH if path.contains('\0') => Err(ErrorCode::Invalid),
        0..=MAX_PATH => Ok(path),
        _ => Err(ErrorCode::NameTooLong),
    }
}

/// Runs what a file can do.
fn with_file<T>(
    cx: &mut Cx<'_>,
    this: This,
    run: impl FnOnce(&mut OpenFile, &mut Host) -> Result<T, host::Error>,
) -> FileResult<T> {
    let (host, descriptor) = cx.entry(this)?;
    Ok(run(descriptor.file()?, host)?)
}

/// Runs what a directory can do with a path.
fn with_dir<T>(
    cx: &mut Cx<'_>,
    this: This,
    path: &str,
    run: impl FnOnce(&OpenDir, &str) -> Result<T, host::Error>,
) -> FileResult<T> {
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

/// `descriptor.read-via-stream`
pub fn read_via_stream(cx: &mut Cx<'_>, this: This, offset: u64) -> FileResult<Own<InputStream>> {
    let file = opened_for(cx, this, |file| file.readable)?.at(offset);
    Ok(Own::holding(InputStream::new(Source::File(file)), cx.parts().1.token(this.rep())))
}

/// `descriptor.write-via-stream`
pub fn write_via_stream(cx: &mut Cx<'_>, this: This, offset: u64) -> FileResult<Own<OutputStream>> {
    let file = opened_for(cx, this, |file| file.writable)?.at(offset);
    Ok(Own::holding(OutputStream::new(Sink::File(file)), cx.parts().1.token(this.rep())))
}

/// `descriptor.append-via-stream`
pub fn append_via_stream(cx: &mut Cx<'_>, this: This) -> FileResult<Own<OutputStream>> {
    let file = opened_for(cx, this, |file| file.writable)?.at_end();
    Ok(Own::holding(OutputStream::new(Sink::File(file)), cx.parts().1.token(this.rep())))
}

fn opened_for<'a>(cx: &'a mut Cx<'_>, this: This, so: fn(&OpenFile) -> bool) -> FileResult<&'a OpenFile> {
    let file = cx.entry(this)?.1.file()?;
    if so(file) { Ok(file) } else { Err(ErrorCode::BadDescriptor.into()) }
}

/// `descriptor.advise`
pub fn advise(cx: &mut Cx<'_>, this: This, offset: u64, length: u64, advice: Advice) -> FileResult<()> {
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
pub fn sync_data(cx: &mut Cx<'_>, this: This) -> FileResult<()> {
    synchronize(cx, this, true)
}

/// `descriptor.sync`
pub fn sync(cx: &mut Cx<'_>, this: This) -> FileResult<()> {
    synchronize(cx, this, false)
}

fn synchronize(cx: &mut Cx<'_>, this: This, data_only: bool) -> FileResult<()> {
    match cx.entry(this)?.1 {
        // What wasn't opened for writing has nothing to be written.
        Descriptor::File(file) if !file.writable => Ok(()),
        Descriptor::File(file) => Ok(file.sync(data_only)?),
        Descriptor::Dir(dir) => Ok(dir.sync(data_only)?),
    }
}

/// `descriptor.get-flags`
pub fn get_flags(cx: &mut Cx<'_>, this: This) -> FileResult<DescriptorFlags> {
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
pub fn get_type(cx: &mut Cx<'_>, this: This) -> FileResult<DescriptorType> {
    Ok(match cx.entry(this)?.1 {
        Descriptor::File(file) => file.filetype.into(),
        Descriptor::Dir(_) => DescriptorType::Directory,
    })
}

/// `descriptor.set-size`
pub fn set_size(cx: &mut Cx<'_>, this: This, size: u64) -> FileResult<()> {
    with_file(cx, this, |file, _| file.set_size(size))
}

/// `descriptor.set-times`
pub fn set_times(cx: &mut Cx<'_>, this: This, accessed: NewTimestamp, modified: NewTimestamp) -> FileResult<()> {
    let times = new_times(accessed, modified)?;
    match cx.entry(this)?.1 {
        Descriptor::File(file) => Ok(file.set_times(times)?),
        Descriptor::Dir(dir) => Ok(dir.set_times(times)?),
    }
}

/// `descriptor.read`: what was read, and whether there is no more.
pub fn read(cx: &mut Cx<'_>, this: This, length: u64, offset: u64) -> FileResult<(Bytes, bool)> {
    with_file(cx, this, |file, host| {
        // Fits: it is no more than `MAX_READ`.
        let mut bytes = vec![0; length.min(MAX_READ as u64) as usize];
        let count = file.read_at(&mut IoVecs::over(&mut bytes), offset, &mut host.waiter)?;
        bytes.truncate(count);
        Ok((Bytes(bytes), count == 0 && length > 0))
    })
}

/// `descriptor.write`
pub fn write(cx: &mut Cx<'_>, this: This, Bytes(mut bytes): Bytes, offset: u64) -> FileResult<u64> {
    with_file(cx, this, |file, host| Ok(file.write_at(&mut IoVecs::over(&mut bytes), offset, &mut host.waiter)? as u64))
}

/// `descriptor.create-directory-at`
pub fn create_directory_at(cx: &mut Cx<'_>, this: This, path: String) -> FileResult<()> {
    with_dir(cx, this, &path, OpenDir::create_dir)
}

/// `descriptor.stat`
pub fn stat(cx: &mut Cx<'_>, this: This) -> FileResult<FileStat> {
    Ok(cx.entry(this)?.1.stat()?)
}

/// `descriptor.stat-at`
pub fn stat_at(cx: &mut Cx<'_>, this: This, flags: PathFlags, path: String) -> FileResult<FileStat> {
    with_dir(cx, this, &path, |dir, path| dir.stat_at(path, flags.symlink_follow))
}

/// `descriptor.set-times-at`
pub fn set_times_at(
    cx: &mut Cx<'_>,
    this: This,
    flags: PathFlags,
    path: String,
    accessed: NewTimestamp,
    modified: NewTimestamp,
) -> FileResult<()> {
    let times = new_times(accessed, modified)?;
    with_dir(cx, this, &path, |dir, path| dir.set_times_at(path, flags.symlink_follow, times))
}

/// `descriptor.link-at`
pub fn link_at(
    cx: &mut Cx<'_>,
    this: This,
    old_flags: PathFlags,
    old_path: String,
    new_descriptor: This,
    new_path: String,
) -> FileResult<()> {
    let resources = cx.parts().1;
    let (old, new) = (resources.get(this)?.dir()?, resources.get(new_descriptor)?.dir()?);
    Ok(old.link(checked(&old_path)?, old_flags.symlink_follow, new, checked(&new_path)?)?)
}

/// `descriptor.open-at`
pub fn open_at(
    cx: &mut Cx<'_>,
    this: This,
    path_flags: PathFlags,
    path: String,
    open_flags: OpenFlags,
    flags: DescriptorFlags,
) -> FileResult<Own<Descriptor>> {
    let resources = cx.parts().1;
    let dir = resources.get(this)?.dir()?;
    if flags.mutate_directory && !dir.dir_perms.contains(DirPerms::WRITE) {
        return Err(ErrorCode::NotPermitted.into());
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
    let token = resources.descriptor().ok_or(ErrorCode::from(Errno::MFILE))?;
    let descriptor = match dir.open(path, &how)? {
        Opened::File(file) => Descriptor::File(file),
        Opened::Dir(dir) => Descriptor::Dir(dir),
    };
    Ok(Own::holding(descriptor, Some(token)))
}

/// `descriptor.readlink-at`
pub fn readlink_at(cx: &mut Cx<'_>, this: This, path: String) -> FileResult<String> {
    with_dir(cx, this, &path, OpenDir::read_link)
}

/// `descriptor.remove-directory-at`
pub fn remove_directory_at(cx: &mut Cx<'_>, this: This, path: String) -> FileResult<()> {
    with_dir(cx, this, &path, OpenDir::remove_dir)
}

/// `descriptor.rename-at`
pub fn rename_at(
    cx: &mut Cx<'_>,
    this: This,
    old_path: String,
    new_descriptor: This,
    new_path: String,
) -> FileResult<()> {
    let resources = cx.parts().1;
    let (old, new) = (resources.get(this)?.dir()?, resources.get(new_descriptor)?.dir()?);
    Ok(old.rename(checked(&old_path)?, new, checked(&new_path)?)?)
}

/// `descriptor.symlink-at`
pub fn symlink_at(cx: &mut Cx<'_>, this: This, target: String, path: String) -> FileResult<()> {
    let target = checked(&target)?;
    with_dir(cx, this, &path, |dir, path| dir.symlink(target, path))
}

/// `descriptor.unlink-file-at`
pub fn unlink_file_at(cx: &mut Cx<'_>, this: This, path: String) -> FileResult<()> {
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
pub fn metadata_hash(cx: &mut Cx<'_>, this: This) -> FileResult<MetadataHash> {
    Ok(MetadataHash::of(&stat(cx, this)?))
}

/// `descriptor.metadata-hash-at`
pub fn metadata_hash_at(cx: &mut Cx<'_>, this: This, flags: PathFlags, path: String) -> FileResult<MetadataHash> {
    Ok(MetadataHash::of(&stat_at(cx, this, flags, path)?))
}

/// `directory-entry-stream`: what is in a directory, some entries at a time.
#[derive(Debug)]
pub struct DirectoryEntryStream {
    dir: OpenDir,
    /// Where the entries after the batch begin.
    next: u64,
    batch: VecDeque<DirectoryEntry>,
}

/// The entries that are read at once, without the directory itself and its parent.
const BATCH: usize = 64;

/// Where they begin.
const FIRST: u64 = 2;

/// `directory-entry`
#[derive(Debug)]
pub struct DirectoryEntry {
    filetype: FileType,
    name: String,
}

impl IntoVal for DirectoryEntry {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let filetype = DescriptorType::from(self.filetype).name();
        Ok(Some(Val::record([("type", Val::enumeration(filetype)), ("name", Val::from(self.name))])))
    }
}

/// `descriptor.read-directory`
pub fn read_directory(cx: &mut Cx<'_>, this: This) -> FileResult<Own<DirectoryEntryStream>> {
    let resources = cx.parts().1;
    let dir = resources.get(this)?.dir()?.clone();
    if !dir.dir_perms.contains(DirPerms::READ) {
        return Err(ErrorCode::NotPermitted.into());
    }
    let stream = DirectoryEntryStream { dir, next: FIRST, batch: VecDeque::new() };
    Ok(Own::holding(stream, resources.token(this.rep())))
}

/// `directory-entry-stream.read-directory-entry`
pub fn read_directory_entry(cx: &mut Cx<'_>, this: Handle<DirectoryEntryStream>) -> FileResult<Option<DirectoryEntry>> {
    let (host, DirectoryEntryStream { dir, next, batch }) = cx.entry(this)?;
    if batch.is_empty() {
        dir.read_entries::<host::Error>(*next, &mut host.waiter, |entry| {
            if batch.len() == BATCH {
                return Ok(false);
            }
            batch.push_back(DirectoryEntry { filetype: entry.filetype, name: entry.name.to_owned() });
            *next = entry.next;
            Ok(true)
        })
        .or_else(|error| if batch.is_empty() { Err(error) } else { Ok(()) })?;
    }
    Ok(batch.pop_front())
}

/// `filesystem-error-code`
pub fn filesystem_error_code(cx: &mut Cx<'_>, error: Handle<IoError>) -> Result<Option<ErrorCode>, Error> {
    let error = cx.entry(error)?.1;
    Ok(match (error.origin, error.error) {
        (Origin::Socket, _) | (_, host::Error::Interrupted | host::Error::MustWait | host::Error::Http(_)) => None,
        (Origin::File, host::Error::Os(errno)) => Some(errno.into()),
        (Origin::File, host::Error::NotPermitted) => Some(ErrorCode::NotPermitted),
    })
}
