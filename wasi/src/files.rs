//! Files and directories of the host, reached only from a directory that the embedder opened.
//!
//! Every path is resolved beneath a directory's descriptor by `cap-primitives`: with `openat2` where the kernel has it,
//! else component by component. A path that leads outside is `perm`, whether by `..`, by a link or by being absolute.
//! Nothing here looks at rights: a descriptor's rights and a preopen's permissions are asked about in `p1`, before.

use crate::clocks::{nanoseconds, timespec};
use crate::p1::memory::IoVecs;
use crate::p1::types::{Errno, Error, FdFlags, FileStat, FileType, FstFlags, flags};
use crate::wait::Waiter;
use cap_primitives::fs::{FollowSymlinks, OpenOptions, OpenOptionsExt};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, OFlags, RawDir, SeekFrom, Timespec, Timestamps};
use std::fs::File;
use std::mem::MaybeUninit;
use std::path::Path;

flags! {
    /// What an embedder lets a guest do with the directories beneath a preopen.
    DirPerms: u8 {
        READ = 0,
        WRITE = 1,
    }
}

flags! {
    /// What an embedder lets a guest do with the files beneath a preopen.
    FilePerms: u8 {
        READ = 0,
        WRITE = 1,
    }
}

/// A file that a guest opened.
///
/// The host's descriptor may allow more than the guest asked for (creating a file needs write access), and it doesn't
/// block: what the guest may do, and whether it waits, is decided by the fields here.
#[derive(Debug)]
pub struct OpenFile {
    /// The host's file; its offset is the guest's.
    pub file: File,
    /// What it is; never a directory.
    pub filetype: FileType,
    /// Opened for reading.
    pub readable: bool,
    /// Opened for writing.
    pub writable: bool,
    /// Append, nonblock and the synchronized modes, as the guest sees them.
    pub flags: FdFlags,
    /// What the preopen above allows.
    pub perms: FilePerms,
}

impl OpenFile {
    /// Reads at the file's offset; 0 at the end.
    ///
    /// # Errors
    /// What the host's read says, `again` instead of waiting in nonblocking mode, or an interruption.
    pub fn read(&self, buffers: &mut IoVecs<'_>, waiter: &mut Waiter) -> Result<usize, Error> {
        if self.filetype == FileType::RegularFile {
            return Ok(rustix::io::readv(&self.file, buffers.for_read())?);
        }
        read_waiting(self.file.as_fd(), buffers, self.flags.contains(FdFlags::NONBLOCK), waiter)
    }

    /// Writes at the file's offset, or at its end in append mode.
    ///
    /// # Errors
    /// What the host's write says, `again` instead of waiting in nonblocking mode, or an interruption.
    pub fn write(&self, buffers: &IoVecs<'_>, waiter: &mut Waiter) -> Result<usize, Error> {
        if self.filetype != FileType::RegularFile {
            return write_waiting(self.file.as_fd(), buffers, self.flags.contains(FdFlags::NONBLOCK), waiter);
        }
        if self.flags.contains(FdFlags::APPEND) {
            // The host's file isn't in append mode, because Linux would then append what `fd_pwrite` writes too.
            // The offset -1 means that the file's own offset moves along.
            let append = rustix::io::ReadWriteFlags::APPEND;
            return Ok(rustix::io::pwritev2(&self.file, buffers.for_write(), u64::MAX, append)?);
        }
        Ok(rustix::io::writev(&self.file, buffers.for_write())?)
    }

    /// How many bytes lie between the offset and the end; 1 for what has no size.
    pub fn bytes_left(&self) -> u64 {
        if self.filetype != FileType::RegularFile {
            return 1;
        }
        let offset = rustix::fs::tell(&self.file).unwrap_or(0);
        filestat(self.file.as_fd()).map_or(0, |stat| stat.size.saturating_sub(offset))
    }
}

/// Reads from something that may have nothing to read yet.
pub fn read_waiting(
    fd: BorrowedFd<'_>,
    buffers: &mut IoVecs<'_>,
    nonblock: bool,
    waiter: &mut Waiter,
) -> Result<usize, Error> {
    if buffers.byte_len() == 0 {
        return Ok(0);
    }
    // The embedder's own descriptors block, and a blocked read can't be interrupted: wait before reading.
    if waiter.is_interruptible() && !nonblock {
        wait_for(fd, PollFlags::IN, waiter)?;
    }
    loop {
        match rustix::io::readv(fd, buffers.for_read()) {
            Err(rustix::io::Errno::AGAIN) if !nonblock => wait_for(fd, PollFlags::IN, waiter)?,
            Err(rustix::io::Errno::INTR) => waiter.check()?,
            result => return Ok(result?),
        }
    }
}

/// What `poll(2)` promises to take without blocking, in bytes: POSIX's `PIPE_BUF` on Linux.
const UNBLOCKED_BYTES: usize = 4096;

/// Writes to something that may have no room yet; takes everything unless it fails midway or mustn't wait.
pub fn write_waiting(
    fd: BorrowedFd<'_>,
    buffers: &IoVecs<'_>,
    nonblock: bool,
    waiter: &mut Waiter,
) -> Result<usize, Error> {
    let wait_first = waiter.is_interruptible() && !nonblock;
    let piece = if wait_first { UNBLOCKED_BYTES } else { usize::MAX };
    let len = buffers.byte_len();
    let mut written = 0;
    while written < len {
        if wait_first {
            wait_for(fd, PollFlags::OUT, waiter)?;
        }
        match rustix::io::writev(fd, buffers.window(written, piece).for_write()) {
            Ok(count) => written += count,
            Err(rustix::io::Errno::INTR) => waiter.check()?,
            // What was taken before is told now; the error will come again.
            Err(_) if written > 0 && nonblock => return Ok(written),
            Err(rustix::io::Errno::AGAIN) if !nonblock => wait_for(fd, PollFlags::OUT, waiter)?,
            Err(_) if written > 0 => return Ok(written),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(written)
}

fn wait_for(fd: BorrowedFd<'_>, event: PollFlags, waiter: &mut Waiter) -> Result<(), Error> {
    waiter.poll(&mut [PollFd::from_borrowed_fd(fd, event)], None)?;
    Ok(())
}

/// A directory: preopened, or opened by the guest.
#[derive(Debug)]
pub struct OpenDir {
    /// The host's directory. Its offset is ours: see [`OpenDir::read_entries`].
    pub file: File,
    /// What the preopen above allows with directories.
    pub dir_perms: DirPerms,
    /// What the preopen above allows with files.
    pub file_perms: FilePerms,
    /// The name that the guest knows a preopen by.
    pub preopen: Option<String>,
    /// Where listing stopped.
    pub position: DirPosition,
}

/// A place in a directory's listing: the guest's cookie for it, and the host's offset.
#[derive(Clone, Copy, Debug)]
pub struct DirPosition {
    cookie: u64,
    offset: u64,
}

impl Default for DirPosition {
    /// The host's start: the guest has already seen the directory itself and its parent there.
    fn default() -> Self {
        Self { cookie: 2, offset: 0 }
    }
}

/// One entry of a directory, lent for the length of a callback.
#[derive(Debug)]
pub struct DirEntry<'a> {
    /// The cookie of the entry after it.
    pub next: u64,
    /// Its serial number.
    pub ino: u64,
    /// What it is.
    pub filetype: FileType,
    /// What it is called.
    pub name: &'a str,
}

impl OpenDir {
    /// The directory at `path` of the host, found by the host's own rules.
    ///
    /// # Errors
    /// What the host says when it can't be opened as a directory.
    pub fn preopen(path: &Path, name: String, dir_perms: DirPerms, file_perms: FilePerms) -> std::io::Result<Self> {
        let open =
            |flags| rustix::fs::open(path, flags | OFlags::DIRECTORY | OFlags::CLOEXEC, rustix::fs::Mode::empty());
        let fd = match open(OFlags::RDONLY) {
            // A directory that can be entered but not listed.
            Err(rustix::io::Errno::ACCESS) => open(OFlags::PATH)?,
            result => result?,
        };
        Ok(Self { file: File::from(fd), dir_perms, file_perms, preopen: Some(name), position: DirPosition::default() })
    }

    /// Hands the entries from `cookie` on to `take`, until it returns `false`, which leaves that entry for the next time.
    /// The directory itself and its parent come first; the parent is shown as the directory itself, because what lies
    /// above is none of the guest's business.
    ///
    /// Cookies count entries from 1, because C libraries keep them in 32 bits, where the host's offsets don't fit. The
    /// last place is kept with its host offset, so that listing on from there neither starts over nor holds entries in
    /// memory; any other cookie counts from the start.
    ///
    /// # Errors
    /// What the host says, `ilseq` for a name that isn't UTF-8, an interruption, or the first error of `take`.
    pub fn read_entries(
        &mut self,
        cookie: u64,
        waiter: &mut Waiter,
        mut take: impl FnMut(DirEntry<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        for (index, name) in [".", ".."].into_iter().enumerate() {
            let next = index as u64 + 1;
            if next > cookie {
                let ino = filestat(self.file.as_fd())?.ino;
                if !take(DirEntry { next, ino, filetype: FileType::Directory, name })? {
                    return Ok(());
                }
            }
        }
        if cookie != self.position.cookie {
            self.position = DirPosition::default();
        }
        rustix::fs::seek(&self.file, SeekFrom::Start(self.position.offset))?;
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut entries = RawDir::new(&self.file, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                self.position.offset = entry.next_entry_cookie();
                continue;
            }
            let next = DirPosition { cookie: self.position.cookie + 1, offset: entry.next_entry_cookie() };
            if next.cookie > cookie {
                let filetype = match entry.file_type() {
                    rustix::fs::FileType::Unknown => {
                        let stat = rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW);
                        stat.map_or(FileType::Unknown, |stat| to_filestat(&stat).filetype)
                    }
                    known => known.into(),
                };
                let name = name.to_str().map_err(|_| Errno::Ilseq)?;
                if !take(DirEntry { next: next.cookie, ino: entry.ino(), filetype, name })? {
                    return Ok(());
                }
            }
            self.position = next;
            if next.cookie.is_multiple_of(1024) {
                waiter.check()?;
            }
        }
        Ok(())
    }
}

/// How to open a path.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)] // Each is the flag of `open(2)` that it is named for.
pub struct OpenHow {
    pub follow: bool,
    pub read: bool,
    pub write: bool,
    pub create: bool,
    pub exclusive: bool,
    pub truncate: bool,
    pub directory: bool,
    pub path_only: bool,
    pub sync: FdFlags,
}

/// Opens `path` beneath `dir`. Never waits, not even for the other end of a pipe.
///
/// # Errors
/// What the host says; `perm` when the path leads outside.
pub fn open_beneath(dir: &File, path: &str, how: OpenHow) -> Result<File, Errno> {
    let mut options = OpenOptions::new();
    let follow = if how.follow { FollowSymlinks::Yes } else { FollowSymlinks::No };
    // `openat2` refuses whatever means nothing together with `O_PATH`.
    let mut flags = if how.path_only { OFlags::PATH } else { OFlags::NOCTTY };
    flags.set(OFlags::DIRECTORY, how.directory);
    options
        .read(how.read)
        // The host creates and truncates only with write access, whether or not the guest will have it.
        .write(how.write || how.create || how.truncate)
        .truncate(how.truncate)
        ._cap_fs_ext_follow(follow)
        ._cap_fs_ext_nonblock(!how.path_only)
        ._cap_fs_ext_dsync(how.sync.contains(FdFlags::DSYNC))
        ._cap_fs_ext_sync(how.sync.contains(FdFlags::SYNC))
        ._cap_fs_ext_rsync(how.sync.contains(FdFlags::RSYNC))
        .custom_flags(flags.bits() as i32);
    if how.create && how.exclusive {
        options.create_new(true);
    } else {
        options.create(how.create);
    }
    Ok(cap_primitives::fs::open(dir, path.as_ref(), &options)?)
}

/// The attributes of an open file or directory.
///
/// # Errors
/// What the host says.
pub fn filestat(fd: BorrowedFd<'_>) -> Result<FileStat, Errno> {
    Ok(to_filestat(&rustix::fs::fstat(fd)?))
}

/// The attributes of what `path` beneath `dir` names; of a link itself, unless `follow`.
///
/// # Errors
/// What the host says; `perm` when the path leads outside.
pub fn filestat_beneath(dir: &File, path: &str, follow: bool) -> Result<FileStat, Errno> {
    // One component that isn't `..` can't lead outside when its link isn't followed: no need to open it.
    if !follow && !path.is_empty() && !path.contains('/') && path != ".." {
        return Ok(to_filestat(&rustix::fs::statat(dir, path, AtFlags::SYMLINK_NOFOLLOW)?));
    }
    let how = OpenHow { follow, read: true, path_only: true, ..OpenHow::default() };
    filestat(open_beneath(dir, path, how)?.as_fd())
}

#[allow(clippy::unnecessary_cast)] // The fields' types differ between architectures.
fn to_filestat(stat: &rustix::fs::Stat) -> FileStat {
    let time = |seconds, nanos| nanoseconds(Timespec { tv_sec: seconds as i64, tv_nsec: nanos as _ });
    FileStat {
        dev: stat.st_dev as u64,
        ino: stat.st_ino as u64,
        filetype: rustix::fs::FileType::from_raw_mode(stat.st_mode as _).into(),
        nlink: stat.st_nlink as u64,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        atim: time(stat.st_atime, stat.st_atime_nsec),
        mtim: time(stat.st_mtime, stat.st_mtime_nsec),
        ctim: time(stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// The timestamps that `flags` select.
///
/// # Errors
/// `inval` when one is to be set both to a value and to now.
pub fn timestamps(atim: u64, mtim: u64, flags: FstFlags) -> Result<Timestamps, Errno> {
    let choose = |value, set, now| match (flags.contains(set), flags.contains(now)) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(timespec(value)),
        (false, true) => Ok(Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW as _ }),
        (false, false) => Ok(Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT as _ }),
    };
    Ok(Timestamps {
        last_access: choose(atim, FstFlags::ATIM, FstFlags::ATIM_NOW)?,
        last_modification: choose(mtim, FstFlags::MTIM, FstFlags::MTIM_NOW)?,
    })
}

/// Sets the timestamps of what `path` beneath `dir` names; of a link itself, unless `follow`.
///
/// # Errors
/// What the host says; `perm` when the path leads outside.
pub fn set_times_beneath(dir: &File, path: &str, follow: bool, times: &Timestamps) -> Result<(), Errno> {
    let how = OpenHow { follow, read: true, path_only: true, ..OpenHow::default() };
    let file = open_beneath(dir, path, how)?;
    Ok(rustix::fs::utimensat(&file, c"", times, AtFlags::EMPTY_PATH)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_set_left_or_now_but_not_two_of_them() {
        let both = FstFlags::ATIM.with(FstFlags::ATIM_NOW);
        assert_eq!(timestamps(1, 2, both).err(), Some(Errno::Inval));
        let both = FstFlags::MTIM.with(FstFlags::MTIM_NOW);
        assert_eq!(timestamps(1, 2, both).err(), Some(Errno::Inval));
        let Ok(times) = timestamps(1_000_000_002, 5, FstFlags::ATIM) else { panic!("valid") };
        assert_eq!((times.last_access.tv_sec, times.last_access.tv_nsec), (1, 2));
        assert_eq!(times.last_modification.tv_nsec, rustix::fs::UTIME_OMIT);
    }

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(root.path().join("in")).expect("created");
        std::fs::write(root.path().join("out"), "secret").expect("written");
        std::fs::write(root.path().join("in/file"), "text").expect("written");
        std::os::unix::fs::symlink("../out", root.path().join("in/up")).expect("linked");
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("in/absolute")).expect("linked");
        std::os::unix::fs::symlink("file", root.path().join("in/link")).expect("linked");
        root
    }

    fn open_in(root: &tempfile::TempDir) -> OpenDir {
        let path = root.path().join("in");
        OpenDir::preopen(&path, "in".to_owned(), DirPerms::ALL, FilePerms::ALL).expect("opened")
    }

    #[test]
    fn no_path_leads_outside() {
        let root = tree();
        let dir = open_in(&root);
        let how = OpenHow { follow: true, read: true, ..OpenHow::default() };
        for path in ["..", "../out", "/etc/passwd", "up", "absolute", "./../out", "link/../../out"] {
            let errno = open_beneath(&dir.file, path, how).err();
            assert!(matches!(errno, Some(Errno::Perm | Errno::Notdir)), "{path}: {errno:?}");
            let errno = filestat_beneath(&dir.file, path, true).err();
            assert!(matches!(errno, Some(Errno::Perm | Errno::Notdir)), "{path}: {errno:?}");
        }
        assert!(open_beneath(&dir.file, "link", how).is_ok());
        assert_eq!(filestat_beneath(&dir.file, "..", false).err(), Some(Errno::Perm));
        assert_eq!(filestat_beneath(&dir.file, "up", false).map(|stat| stat.filetype), Ok(FileType::SymbolicLink));
    }

    #[test]
    fn listing_goes_on_where_it_stopped() {
        let root = tree();
        for index in 0..500 {
            std::fs::write(root.path().join(format!("in/{index:03}")), "").expect("written");
        }
        let mut dir = open_in(&root);
        let mut waiter = Waiter::default();
        let mut all = Vec::new();
        let listed = dir.read_entries(0, &mut waiter, |entry| {
            all.push(entry.name.to_owned());
            Ok(true)
        });
        assert_eq!(listed, Ok(()));
        assert_eq!(all.len(), 506);
        // In pieces of seven, each time leaving an eighth for the next.
        let (mut cookie, mut pieces) = (0, Vec::new());
        loop {
            let (before, mut left) = (pieces.len(), 7);
            let listed = dir.read_entries(cookie, &mut waiter, |entry| {
                if left == 0 {
                    return Ok(false);
                }
                left -= 1;
                cookie = entry.next;
                pieces.push(entry.name.to_owned());
                Ok(true)
            });
            assert_eq!(listed, Ok(()));
            if pieces.len() == before {
                break;
            }
        }
        assert_eq!(pieces, all);
        // From anywhere, also backwards and past the end.
        for cookie in [400, 3, 505, 506, 507, u64::MAX] {
            let mut names = Vec::new();
            let listed = dir.read_entries(cookie, &mut waiter, |entry| {
                names.push(entry.name.to_owned());
                Ok(true)
            });
            assert_eq!(listed, Ok(()));
            let start = all.len().min(usize::try_from(cookie).unwrap_or(usize::MAX));
            assert_eq!(names, all[start..]);
        }
    }

    #[test]
    fn the_parent_of_a_directory_is_itself() {
        let root = tree();
        let mut dir = open_in(&root);
        let mut inos = Vec::new();
        let listed = dir.read_entries(0, &mut Waiter::default(), |entry| {
            inos.push(entry.ino);
            Ok(inos.len() < 2)
        });
        assert_eq!(listed, Ok(()));
        let own = filestat(dir.file.as_fd()).map(|stat| stat.ino);
        assert_eq!(inos.into_iter().map(Ok).collect::<Vec<_>>(), [own, own]);
    }
}
