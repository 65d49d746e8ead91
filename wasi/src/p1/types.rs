//! The numbers of WASI preview 1: rights, flags, file types and record layouts.
//!
//! Everything here is a fact of `typenames.witx` (WASI snapshot preview 1). Guest values become these types exactly
//! once, where they enter; behind that point an unknown bit or tag can't occur.

use super::errno::Errno;
use crate::host::flags::flags;
use crate::host::stat::{self, NewTime, NewTimes};

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

impl From<stat::FileType> for FileType {
    fn from(host: stat::FileType) -> Self {
        use stat::FileType as Host;
        match host {
            Host::RegularFile => Self::RegularFile,
            Host::Directory => Self::Directory,
            Host::Symlink => Self::SymbolicLink,
            Host::CharacterDevice => Self::CharacterDevice,
            Host::BlockDevice => Self::BlockDevice,
            // A path can't tell which kind of socket it names; preview 1 has no type for a pipe.
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
pub struct FileStat(stat::FileStat);

impl FileStat {
    /// The attributes of a stream that isn't a file of the guest's: its type, and zeros.
    pub fn of_stream(filetype: stat::FileType) -> Self {
        Self(stat::FileStat { device: 0, inode: 0, filetype, links: 0, size: 0, accessed: 0, modified: 0, changed: 0 })
    }

    /// The record as the guest sees it.
    pub fn to_bytes(self) -> [u8; size::FILESTAT] {
        let Self(stat) = self;
        let mut bytes = [0; size::FILESTAT];
        bytes[16] = FileType::from(stat.filetype) as u8;
        let words = [
            (0, stat.device),
            (8, stat.inode),
            (24, stat.links),
            (32, stat.size),
            (40, stat.accessed),
            (48, stat.modified),
            (56, stat.changed),
        ];
        for (offset, word) in words {
            bytes[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

impl From<stat::FileStat> for FileStat {
    fn from(stat: stat::FileStat) -> Self {
        Self(stat)
    }
}

/// What the two times and the flags of a `set_times` call mean.
///
/// # Errors
/// `inval` when one is to be set both to a value and to now.
pub fn new_times(accessed: u64, modified: u64, flags: FstFlags) -> Result<NewTimes, Errno> {
    let choose = |value, set, now| match (flags.contains(set), flags.contains(now)) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(NewTime::At(value)),
        (false, true) => Ok(NewTime::Now),
        (false, false) => Ok(NewTime::Keep),
    };
    Ok(NewTimes {
        accessed: choose(accessed, FstFlags::ATIM, FstFlags::ATIM_NOW)?,
        modified: choose(modified, FstFlags::MTIM, FstFlags::MTIM_NOW)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn records_are_laid_out_as_the_witx_text_says() {
        let stat = FdStat {
            filetype: FileType::RegularFile,
            flags: FdFlags::APPEND,
            rights: Rights::FD_READ,
            inheriting: Rights::FD_WRITE,
        };
        let bytes = stat.to_bytes();
        assert_eq!((bytes[0], bytes[2], bytes[8], bytes[16]), (4, 1, 2, 64));
        let FileStat(stat) = FileStat::of_stream(stat::FileType::Directory);
        let bytes = FileStat(stat::FileStat { size: 7, ..stat }).to_bytes();
        assert_eq!((bytes[16], bytes[32]), (3, 7));
    }

    #[test]
    fn a_time_is_set_left_or_now_but_not_two_of_them() {
        for both in [FstFlags::ATIM.with(FstFlags::ATIM_NOW), FstFlags::MTIM.with(FstFlags::MTIM_NOW)] {
            assert_eq!(new_times(1, 2, both).err(), Some(Errno::Inval));
        }
        let Ok(times) = new_times(1, 2, FstFlags::ATIM.with(FstFlags::MTIM_NOW)) else { panic!("valid") };
        assert_eq!((times.accessed, times.modified), (NewTime::At(1), NewTime::Now));
        let Ok(times) = new_times(1, 2, FstFlags::NONE) else { panic!("valid") };
        assert_eq!((times.accessed, times.modified), (NewTime::Keep, NewTime::Keep));
    }
}
