//! The numbers of WASI preview 1: error codes, rights, flags and record layouts.
//!
//! Everything here is a fact of `typenames.witx` (WASI snapshot preview 1). Guest values become these types exactly
//! once, where they enter; behind that point an unknown bit or tag can't occur.

/// Declares a set of flags: a newtype over its bits that can't hold an unknown bit.
macro_rules! flags {
    ($(#[$doc:meta])* $name:ident: $repr:ty { $($(#[$flag_doc:meta])* $flag:ident = $bit:expr,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name($repr);

        #[allow(missing_docs, dead_code)] // The witx text documents each flag; not every flag needs naming here.
        impl $name {
            $($(#[$flag_doc])* pub const $flag: Self = Self(1 << $bit);)*

            /// Every flag there is.
            pub const ALL: Self = Self(0 $(| 1 << $bit)*);

            /// No flag.
            pub const NONE: Self = Self(0);

            /// The flags in a guest's or an embedder's number; `None` when it has an unknown bit.
            pub const fn from_bits(bits: u64) -> Option<Self> {
                if bits & !(Self::ALL.0 as u64) == 0 { Some(Self(bits as $repr)) } else { None }
            }

            /// The flags as their number.
            pub const fn bits(self) -> $repr {
                self.0
            }

            /// Whether all of `other` are set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// The flags of either.
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// The flags of both.
            pub const fn and(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }

            /// These flags except `other`.
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// `self` when `condition` holds, else no flag.
            pub const fn when(self, condition: bool) -> Self {
                if condition { self } else { Self::NONE }
            }
        }
    };
}
pub(crate) use flags;

flags! {
    /// What a file descriptor may be used for.
    Rights: u64 {
        FD_DATASYNC = 0,
        FD_READ = 1,
        FD_SEEK = 2,
        FD_FDSTAT_SET_FLAGS = 3,
        FD_SYNC = 4,
        FD_TELL = 5,
        FD_WRITE = 6,
        FD_ADVISE = 7,
        FD_ALLOCATE = 8,
        PATH_CREATE_DIRECTORY = 9,
        PATH_CREATE_FILE = 10,
        PATH_LINK_SOURCE = 11,
        PATH_LINK_TARGET = 12,
        PATH_OPEN = 13,
        FD_READDIR = 14,
        PATH_READLINK = 15,
        PATH_RENAME_SOURCE = 16,
        PATH_RENAME_TARGET = 17,
        PATH_FILESTAT_GET = 18,
        PATH_FILESTAT_SET_SIZE = 19,
        PATH_FILESTAT_SET_TIMES = 20,
        FD_FILESTAT_GET = 21,
        FD_FILESTAT_SET_SIZE = 22,
        FD_FILESTAT_SET_TIMES = 23,
        PATH_SYMLINK = 24,
        PATH_REMOVE_DIRECTORY = 25,
        PATH_UNLINK_FILE = 26,
        POLL_FD_READWRITE = 27,
        SOCK_SHUTDOWN = 28,
        SOCK_ACCEPT = 29,
    }
}

impl Rights {
    /// The rights that mean something for a directory.
    pub const OF_DIRECTORIES: Self = Self::PATH_CREATE_DIRECTORY
        .with(Self::PATH_CREATE_FILE)
        .with(Self::PATH_LINK_SOURCE)
        .with(Self::PATH_LINK_TARGET)
        .with(Self::PATH_OPEN)
        .with(Self::FD_READDIR)
        .with(Self::PATH_READLINK)
        .with(Self::PATH_RENAME_SOURCE)
        .with(Self::PATH_RENAME_TARGET)
        .with(Self::PATH_FILESTAT_GET)
        .with(Self::PATH_FILESTAT_SET_SIZE)
        .with(Self::PATH_FILESTAT_SET_TIMES)
        .with(Self::FD_FILESTAT_GET)
        .with(Self::FD_FILESTAT_SET_TIMES)
        .with(Self::PATH_SYMLINK)
        .with(Self::PATH_REMOVE_DIRECTORY)
        .with(Self::PATH_UNLINK_FILE);

    /// The rights that mean something for a file that isn't a directory.
    pub const OF_FILES: Self = Self::FD_DATASYNC
        .with(Self::FD_READ)
        .with(Self::FD_SEEK)
        .with(Self::FD_FDSTAT_SET_FLAGS)
        .with(Self::FD_SYNC)
        .with(Self::FD_TELL)
        .with(Self::FD_WRITE)
        .with(Self::FD_ADVISE)
        .with(Self::FD_ALLOCATE)
        .with(Self::FD_FILESTAT_GET)
        .with(Self::FD_FILESTAT_SET_SIZE)
        .with(Self::FD_FILESTAT_SET_TIMES)
        .with(Self::POLL_FD_READWRITE);

    /// The rights of standard input. Without seek and tell: C libraries take that for a sign of a terminal.
    pub const OF_STDIN: Self = Self::FD_READ.with(Self::FD_FILESTAT_GET).with(Self::POLL_FD_READWRITE);

    /// The rights of standard output and standard error.
    pub const OF_OUTPUT: Self = Self::FD_WRITE.with(Self::FD_FILESTAT_GET).with(Self::POLL_FD_READWRITE);
}

flags! {
    /// How an open file behaves.
    FdFlags: u16 {
        APPEND = 0,
        DSYNC = 1,
        NONBLOCK = 2,
        RSYNC = 3,
        SYNC = 4,
    }
}

flags! {
    /// How a path is resolved.
    LookupFlags: u32 {
        SYMLINK_FOLLOW = 0,
    }
}

flags! {
    /// How `path_open` opens.
    OFlags: u16 {
        CREAT = 0,
        DIRECTORY = 1,
        EXCL = 2,
        TRUNC = 3,
    }
}

flags! {
    /// Which timestamps to set, and to what.
    FstFlags: u16 {
        ATIM = 0,
        ATIM_NOW = 1,
        MTIM = 2,
        MTIM_NOW = 3,
    }
}

flags! {
    /// Whether a clock subscription's timeout is a point in time.
    SubclockFlags: u16 {
        ABSTIME = 0,
    }
}

flags! {
    /// How `sock_recv` receives.
    RiFlags: u16 {
        PEEK = 0,
        WAITALL = 1,
    }
}

flags! {
    /// What `sock_shutdown` shuts down.
    SdFlags: u8 {
        RD = 0,
        WR = 1,
    }
}

/// `event_fd_readwrite::flags`: the other side has gone.
pub const EVENT_HANGUP: u16 = 1;

/// Sizes in bytes of the records that cross the boundary.
pub mod size {
    #![allow(missing_docs)] // Each is the size of the record it is named for.
    pub const IOVEC: usize = 8;
    pub const DIRENT: usize = 24;
    pub const FDSTAT: usize = 24;
    pub const FILESTAT: usize = 64;
    pub const PRESTAT: usize = 8;
    pub const SUBSCRIPTION: usize = 48;
    pub const EVENT: usize = 32;
}

/// The kind of thing a descriptor or a directory entry is.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The witx text documents each.
pub enum FileType {
    Unknown = 0,
    BlockDevice = 1,
    CharacterDevice = 2,
    Directory = 3,
    RegularFile = 4,
    SocketDgram = 5,
    SocketStream = 6,
    SymbolicLink = 7,
}

impl From<rustix::fs::FileType> for FileType {
    fn from(host: rustix::fs::FileType) -> Self {
        use rustix::fs::FileType as Host;
        match host {
            Host::RegularFile => Self::RegularFile,
            Host::Directory => Self::Directory,
            Host::Symlink => Self::SymbolicLink,
            Host::CharacterDevice => Self::CharacterDevice,
            Host::BlockDevice => Self::BlockDevice,
            // A path can't tell which kind of socket it names; preview 1 has no word for a pipe.
            Host::Socket | Host::Fifo | Host::Unknown => Self::Unknown,
        }
    }
}

/// `fdstat`: the attributes of a descriptor.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // The witx text documents each field.
pub struct FdStat {
    pub filetype: FileType,
    pub flags: FdFlags,
    pub rights: Rights,
    pub inheriting: Rights,
}

impl FdStat {
    /// The record as the guest sees it.
    pub fn to_bytes(self) -> [u8; size::FDSTAT] {
        let mut bytes = [0; size::FDSTAT];
        bytes[0] = self.filetype as u8;
        bytes[2..4].copy_from_slice(&self.flags.bits().to_le_bytes());
        bytes[8..16].copy_from_slice(&self.rights.bits().to_le_bytes());
        bytes[16..24].copy_from_slice(&self.inheriting.bits().to_le_bytes());
        bytes
    }
}

/// `filestat`: the attributes of a file. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // The witx text documents each field.
pub struct FileStat {
    pub dev: u64,
    pub ino: u64,
    pub filetype: FileType,
    pub nlink: u64,
    pub size: u64,
    pub atim: u64,
    pub mtim: u64,
    pub ctim: u64,
}

impl FileStat {
    /// What is told about a stream that isn't a file of the guest's: nothing.
    pub const NOTHING: Self =
        Self { dev: 0, ino: 0, filetype: FileType::Unknown, nlink: 0, size: 0, atim: 0, mtim: 0, ctim: 0 };

    /// The record as the guest sees it.
    pub fn to_bytes(self) -> [u8; size::FILESTAT] {
        let mut bytes = [0; size::FILESTAT];
        bytes[16] = self.filetype as u8;
        let words = [
            (0, self.dev),
            (8, self.ino),
            (24, self.nlink),
            (32, self.size),
            (40, self.atim),
            (48, self.mtim),
            (56, self.ctim),
        ];
        for (offset, word) in words {
            bytes[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// Error numbers, by their witx names. Success is the absence of one; its number is 0.
#[repr(u16)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The witx text documents each.
pub enum Errno {
    TooBig = 1,
    Acces = 2,
    Addrinuse = 3,
    Addrnotavail = 4,
    Afnosupport = 5,
    Again = 6,
    Already = 7,
    Badf = 8,
    Badmsg = 9,
    Busy = 10,
    Canceled = 11,
    Child = 12,
    Connaborted = 13,
    Connrefused = 14,
    Connreset = 15,
    Deadlk = 16,
    Destaddrreq = 17,
    Dom = 18,
    Dquot = 19,
    Exist = 20,
    Fault = 21,
    Fbig = 22,
    Hostunreach = 23,
    Idrm = 24,
    Ilseq = 25,
    Inprogress = 26,
    Intr = 27,
    Inval = 28,
    Io = 29,
    Isconn = 30,
    Isdir = 31,
    Loop = 32,
    Mfile = 33,
    Mlink = 34,
    Msgsize = 35,
    Multihop = 36,
    Nametoolong = 37,
    Netdown = 38,
    Netreset = 39,
    Netunreach = 40,
    Nfile = 41,
    Nobufs = 42,
    Nodev = 43,
    Noent = 44,
    Noexec = 45,
    Nolck = 46,
    Nolink = 47,
    Nomem = 48,
    Nomsg = 49,
    Noprotoopt = 50,
    Nospc = 51,
    Nosys = 52,
    Notconn = 53,
    Notdir = 54,
    Notempty = 55,
    Notrecoverable = 56,
    Notsock = 57,
    Notsup = 58,
    Notty = 59,
    Nxio = 60,
    Overflow = 61,
    Ownerdead = 62,
    Perm = 63,
    Pipe = 64,
    Proto = 65,
    Protonosupport = 66,
    Prototype = 67,
    Range = 68,
    Rofs = 69,
    Spipe = 70,
    Srch = 71,
    Stale = 72,
    Timedout = 73,
    Txtbsy = 74,
    Xdev = 75,
    Notcapable = 76,
}

impl From<rustix::io::Errno> for Errno {
    /// A host error in preview 1's words; what has no word is `io`.
    fn from(host: rustix::io::Errno) -> Self {
        use rustix::io::Errno as Host;
        match host {
            Host::TOOBIG => Self::TooBig,
            Host::ACCESS => Self::Acces,
            Host::ADDRINUSE => Self::Addrinuse,
            Host::ADDRNOTAVAIL => Self::Addrnotavail,
            Host::AFNOSUPPORT => Self::Afnosupport,
            Host::AGAIN => Self::Again,
            Host::ALREADY => Self::Already,
            Host::BADF => Self::Badf,
            Host::BADMSG => Self::Badmsg,
            Host::BUSY => Self::Busy,
            Host::CANCELED => Self::Canceled,
            Host::CHILD => Self::Child,
            Host::CONNABORTED => Self::Connaborted,
            Host::CONNREFUSED => Self::Connrefused,
            Host::CONNRESET => Self::Connreset,
            Host::DEADLK => Self::Deadlk,
            Host::DESTADDRREQ => Self::Destaddrreq,
            Host::DOM => Self::Dom,
            Host::DQUOT => Self::Dquot,
            Host::EXIST => Self::Exist,
            Host::FAULT => Self::Fault,
            Host::FBIG => Self::Fbig,
            Host::HOSTUNREACH => Self::Hostunreach,
            Host::IDRM => Self::Idrm,
            Host::ILSEQ => Self::Ilseq,
            Host::INPROGRESS => Self::Inprogress,
            Host::INTR => Self::Intr,
            Host::INVAL => Self::Inval,
            Host::IO => Self::Io,
            Host::ISCONN => Self::Isconn,
            Host::ISDIR => Self::Isdir,
            Host::LOOP => Self::Loop,
            Host::MFILE => Self::Mfile,
            Host::MLINK => Self::Mlink,
            Host::MSGSIZE => Self::Msgsize,
            Host::MULTIHOP => Self::Multihop,
            Host::NAMETOOLONG => Self::Nametoolong,
            Host::NETDOWN => Self::Netdown,
            Host::NETRESET => Self::Netreset,
            Host::NETUNREACH => Self::Netunreach,
            Host::NFILE => Self::Nfile,
            Host::NOBUFS => Self::Nobufs,
            Host::NODEV => Self::Nodev,
            Host::NOENT => Self::Noent,
            Host::NOEXEC => Self::Noexec,
            Host::NOLCK => Self::Nolck,
            Host::NOLINK => Self::Nolink,
            Host::NOMEM => Self::Nomem,
            Host::NOMSG => Self::Nomsg,
            Host::NOPROTOOPT => Self::Noprotoopt,
            Host::NOSPC => Self::Nospc,
            Host::NOSYS => Self::Nosys,
            Host::NOTCONN => Self::Notconn,
            Host::NOTDIR => Self::Notdir,
            Host::NOTEMPTY => Self::Notempty,
            Host::NOTRECOVERABLE => Self::Notrecoverable,
            Host::NOTSOCK => Self::Notsock,
            Host::NOTSUP => Self::Notsup,
            Host::NOTTY => Self::Notty,
            Host::NXIO => Self::Nxio,
            Host::OVERFLOW => Self::Overflow,
            Host::OWNERDEAD => Self::Ownerdead,
            Host::PERM => Self::Perm,
            Host::PIPE => Self::Pipe,
            Host::PROTO => Self::Proto,
            Host::PROTONOSUPPORT => Self::Protonosupport,
            Host::PROTOTYPE => Self::Prototype,
            Host::RANGE => Self::Range,
            Host::ROFS => Self::Rofs,
            Host::SPIPE => Self::Spipe,
            Host::SRCH => Self::Srch,
            Host::STALE => Self::Stale,
            Host::TIMEDOUT => Self::Timedout,
            Host::TXTBSY => Self::Txtbsy,
            Host::XDEV => Self::Xdev,
            _ => Self::Io,
        }
    }
}

impl From<std::io::Error> for Errno {
    fn from(host: std::io::Error) -> Self {
        if let Some(errno) = rustix::io::Errno::from_io_error(&host) {
            return errno.into();
        }
        match host.kind() {
            // What the sandboxed resolver answers to a path that leads outside.
            std::io::ErrorKind::PermissionDenied => Self::Perm,
            std::io::ErrorKind::InvalidInput => Self::Inval,
            std::io::ErrorKind::NotFound => Self::Noent,
            _ => Self::Io,
        }
    }
}

/// Why a call of a preview 1 function didn't succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The function answers this number.
    Errno(Errno),
    /// The guest ends with this exit status.
    Exit(u32),
    /// The guest asked to end with a status that can't be one: a trap with [`INVALID_EXIT_STATUS`] as its message.
    InvalidExitStatus,
    /// The embedder interrupted a sleeping call: a trap with the interrupt code.
    Interrupted,
}

/// The message of the trap for [`Error::InvalidExitStatus`]. Clients match on it.
pub const INVALID_EXIT_STATUS: &str = "exit with invalid exit status outside of [0..126)";

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<rustix::io::Errno> for Error {
    fn from(host: rustix::io::Errno) -> Self {
        Self::Errno(host.into())
    }
}

impl From<std::io::Error> for Error {
    fn from(host: std::io::Error) -> Self {
        Self::Errno(host.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_numbers_of_the_witx_text() {
        let numbers = [(Errno::TooBig, 1), (Errno::Badf, 8), (Errno::Fault, 21), (Errno::Inval, 28)];
        for (errno, number) in numbers {
            assert_eq!(errno as u16, number);
        }
        assert_eq!([Errno::Noent as u16, Errno::Perm as u16, Errno::Notcapable as u16], [44, 63, 76]);
    }

    #[test]
    fn rights_have_the_numbers_of_the_witx_text() {
        assert_eq!(Rights::FD_READ.bits(), 2);
        assert_eq!(Rights::FD_WRITE.bits(), 64);
        assert_eq!(Rights::ALL.bits(), (1 << 30) - 1);
    }

    #[test]
    fn unknown_bits_are_no_flags() {
        assert_eq!(FdFlags::from_bits(32), None);
        assert_eq!(FdFlags::from_bits(1 << 16), None);
        assert_eq!(Rights::from_bits(1 << 30), None);
        assert_eq!(OFlags::from_bits(15), Some(OFlags::ALL));
    }

    #[test]
    fn host_errors_keep_their_meaning() {
        assert_eq!(Errno::from(rustix::io::Errno::NOENT), Errno::Noent);
        assert_eq!(Errno::from(rustix::io::Errno::ACCESS), Errno::Acces);
        let escape = std::io::Error::new(std::io::ErrorKind::PermissionDenied, "led outside");
        assert_eq!(Errno::from(escape), Errno::Perm);
    }

    #[test]
    fn records_are_laid_out_as_the_witx_text_says() {
        let stat = FdStat {
            filetype: FileType::RegularFile,
            flags: FdFlags::APPEND,
            rights: Rights::FD_READ,
            inheriting: Rights::FD_WRITE,
        };
        let bytes = stat.to_bytes();
        assert_eq!((bytes[0], bytes[2], bytes[8], bytes[16]), (4, 1, 2, 64));
        let bytes = FileStat { size: 7, filetype: FileType::Directory, ..FileStat::NOTHING }.to_bytes();
        assert_eq!((bytes[16], bytes[32]), (3, 7));
    }
}
