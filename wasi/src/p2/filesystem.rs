//! `wasi:filesystem`: streams of files and directories, times, errors. What else descriptors can do is the same in all versions.

use super::clocks::Datetime;
use super::io::{IoError, Origin};
use crate::component::filesystem::{self as files, Descriptor, Listing, PathFlags, opened_for, with_file};
use crate::component::resources::entries;
use crate::component::values::{wit_enum, wrong_type};
use crate::component::{Bytes, Cx, Error, Fail, FromVal, Handle, IntoVal, Own};
use crate::host;
use crate::host::buffers::IoVecs;
use crate::host::input::{InputStream, MAX_READ, Source};
use crate::host::output::{OutputStream, Sink};
use crate::host::stat::{FileStat, FileType, NewTime, NewTimes};
use ampoule_component::{Val, ValRef};
use rustix::io::Errno;

entries! {
    DirectoryEntryStream = 5 "directory-entry-stream",
}

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

type This = Handle<Descriptor>;

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
#[derive(Debug)]
pub struct Stat(FileStat);

impl IntoVal for Stat {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let Self(stat) = self;
        let mut time = |nanoseconds| -> Result<Val, Error> {
            Ok(Val::option(Datetime::of_nanoseconds(nanoseconds).into_val(cx)?))
        };
        Ok(Some(Val::record([
            ("type", Val::enumeration(DescriptorType::from(stat.filetype).name())),
            ("link-count", Val::from(stat.links)),
            ("size", Val::from(stat.size)),
            ("data-access-timestamp", time(stat.accessed)?),
            ("data-modification-timestamp", time(stat.modified)?),
            ("status-change-timestamp", time(stat.changed)?),
        ])))
    }
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

/// `descriptor.get-type`
pub fn get_type(cx: &mut Cx<'_>, this: This) -> FileResult<DescriptorType> {
    Ok(files::filetype(cx, this)?.into())
}

/// `descriptor.set-times`
pub fn set_times(cx: &mut Cx<'_>, this: This, accessed: NewTimestamp, modified: NewTimestamp) -> FileResult<()> {
    files::set_times(cx, this, new_times(accessed, modified)?)
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

/// `descriptor.stat`
pub fn stat(cx: &mut Cx<'_>, this: This) -> FileResult<Stat> {
    files::stat(cx, this).map(Stat)
}

/// `descriptor.stat-at`
pub fn stat_at(cx: &mut Cx<'_>, this: This, flags: PathFlags, path: String) -> FileResult<Stat> {
    files::stat_at(cx, this, flags, &path).map(Stat)
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
    files::set_times_at(cx, this, flags, &path, new_times(accessed, modified)?)
}

/// `directory-entry-stream`
#[derive(Debug)]
pub struct DirectoryEntryStream(Listing);

/// `directory-entry`
#[derive(Debug)]
pub struct DirectoryEntry(files::Listed);

impl IntoVal for DirectoryEntry {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let filetype = DescriptorType::from(self.0.filetype).name();
        Ok(Some(Val::record([("type", Val::enumeration(filetype)), ("name", Val::from(self.0.name))])))
    }
}

/// `descriptor.read-directory`
pub fn read_directory(cx: &mut Cx<'_>, this: This) -> FileResult<Own<DirectoryEntryStream>> {
    let resources = cx.parts().1;
    let listing = Listing::new(resources.get(this)?)?;
    Ok(Own::holding(DirectoryEntryStream(listing), resources.token(this.rep())))
}

/// `directory-entry-stream.read-directory-entry`
pub fn read_directory_entry(cx: &mut Cx<'_>, this: Handle<DirectoryEntryStream>) -> FileResult<Option<DirectoryEntry>> {
    let (host, DirectoryEntryStream(listing)) = cx.entry(this)?;
    Ok(listing.next(host)?.map(DirectoryEntry))
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
