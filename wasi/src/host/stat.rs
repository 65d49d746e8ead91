//! What is known of a file, and its times.

use super::clocks::{nanoseconds, timespec};
use super::error::Error;
use rustix::fd::BorrowedFd;
use rustix::fs::{Timespec, Timestamps};

pub use rustix::fs::FileType;

/// The attributes of a file. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // The names of `stat(2)`, in full.
pub struct FileStat {
    pub device: u64,
    pub inode: u64,
    pub filetype: FileType,
    pub links: u64,
    pub size: u64,
    pub accessed: u64,
    pub modified: u64,
    pub changed: u64,
}

impl FileStat {
    /// The attributes of an open file or directory.
    ///
    /// # Errors
    /// What the host says.
    pub fn of(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        Ok(rustix::fs::fstat(fd)?.into())
    }
}

impl From<rustix::fs::Stat> for FileStat {
    #[allow(clippy::unnecessary_cast)] // The fields' types differ between architectures.
    fn from(stat: rustix::fs::Stat) -> Self {
        let time = |seconds, nanos| nanoseconds(Timespec { tv_sec: seconds as i64, tv_nsec: nanos as _ });
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            filetype: FileType::from_raw_mode(stat.st_mode as _),
            links: stat.st_nlink as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            accessed: time(stat.st_atime, stat.st_atime_nsec),
            modified: time(stat.st_mtime, stat.st_mtime_nsec),
            changed: time(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

/// What becomes of one of a file's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewTime {
    /// It stays.
    Keep,
    /// The time at which it is set.
    Now,
    /// So many nanoseconds after 1970.
    At(u64),
}

impl NewTime {
    fn timespec(self) -> Timespec {
        match self {
            Self::Keep => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT as _ },
            Self::Now => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW as _ },
            Self::At(time) => timespec(time),
        }
    }
}

/// What becomes of a file's times.
#[derive(Clone, Copy, Debug)]
pub struct NewTimes {
    /// The time of the last access.
    pub accessed: NewTime,
    /// The time of the last modification.
    pub modified: NewTime,
}

impl NewTimes {
    /// As the operating system takes them.
    pub fn timestamps(self) -> Timestamps {
        Timestamps { last_access: self.accessed.timespec(), last_modification: self.modified.timespec() }
    }
}
