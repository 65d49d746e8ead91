//! What the functions of `wasi:filesystem` take and give.

use crate::component::cx::Cx;
use crate::component::error::Error;
use crate::component::values::{FromVal, IntoVal, val_of, wit_enum, wit_flags, wrong_type};
use crate::host::stat::{FileStat, FileType, NewTime, NewTimes};
use ampoule_component::{Val, ValRef};
use rustix::io::Errno;
use std::hash::{DefaultHasher, Hasher};
use std::marker::PhantomData;

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

pub(super) fn new_times<T: Timestamp>(accessed: NewTimestamp<T>, modified: NewTimestamp<T>) -> Result<NewTimes, Errno> {
    Ok(NewTimes { accessed: accessed.time()?, modified: modified.time()? })
}

/// `descriptor-stat`
pub struct Stat<V> {
    pub(super) stat: FileStat,
    pub(super) version: PhantomData<fn() -> V>,
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
    pub(super) fn of(stat: &FileStat) -> Self {
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
