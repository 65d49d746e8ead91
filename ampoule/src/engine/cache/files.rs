//! The folder of a cache: entries are opened, written whole, and deleted, the longest unused first.
//!
//! Everything goes through a descriptor of the folder that was checked once: renaming or replacing a folder above it changes nothing.

use super::config::CacheConfig;
use ampoule_machine::os::mmap::{Access, Mapping};
use ampoule_machine::os::sync::OnceLock;
use ampoule_machine::os::thread;
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// See the module.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

/// An entry that can be read.
pub(super) struct Entry {
    file: File,
    mapping: Mapping,
    len: usize,
}

const UNFINISHED: &str = "new-";
const LAST_CLEANUP: &str = "last-cleanup";

/// Permission bits of everybody but the owner to write.
const OTHERS_WRITE: u32 = 0o022;

impl Folder {
    /// The folder of entries in a cache's directory, which are made where they don't exist.
    ///
    /// # Errors
    /// What the system says; `PermissionDenied` where it isn't this user's alone to write to.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join("modules");
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let folder = fs::openat(CWD, &path, flags, Mode::empty())?;
        let status = fs::fstat(&folder)?;
        if !is_ours(status.st_uid, status.st_mode) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{} belongs to another user, or others may write to it", path.display()),
            ));
        }
        Ok(Folder(folder))
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Opens an entry; `None` where there is none.
    ///
    /// # Errors
    /// What the system says; `PermissionDenied` for what is no file of this user's alone to write to.
    pub(super) fn open_entry(&self, name: &str) -> io::Result<Option<Entry>> {
        // Not to wait for whoever else has a pipe of that name open.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match fs::openat(&self.0, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() || !is_ours(metadata.uid(), metadata.mode()) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let len = usize::try_from(metadata.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mapping = Mapping::private_file(&file, len, Access::Read)?;
        Ok(Some(Entry { file, mapping, len }))
    }

    /// Writes an entry under another name, then gives it its own. What had the name is replaced.
    ///
    /// # Errors
    /// What the system says; nothing is left then.
    pub(super) fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let unfinished = format!("{UNFINISHED}{}-{number}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(fs::openat(&self.0, &unfinished, flags, Mode::RUSR | Mode::WUSR)?);
        let written = parts
            .iter()
            .try_for_each(|part| file.write_all(part))
            .and_then(|()| Ok(fs::renameat(&self.0, &unfinished, &self.0, name)?));
        if written.is_err() {
            self.remove(&unfinished);
        }
        written
    }

    /// Deletes a file. One that can't be deleted stays, and is found wanting again.
    pub(super) fn remove(&self, name: &str) {
        let _ = fs::unlinkat(&self.0, name, AtFlags::empty());
    }

    /// Where the last cleanup is long enough ago: deletes what writers have abandoned and, beyond the limits, the entries that were
    /// not used for longest. Files of other names are not ours, and stay.
    pub(super) fn clean_up(&self, config: &CacheConfig, now: SystemTime) {
        if !self.is_cleanup_due(config, now) {
            return;
        }
        let Ok(names) = fs::Dir::read_from(&self.0) else { return };
        let mut entries = Vec::new();
        for name in names.flatten() {
            let Ok(name) = name.file_name().to_str() else { continue };
            let unfinished = name.starts_with(UNFINISHED);
            if !unfinished && !is_entry(name) {
                continue;
            }
            let Ok(status) = fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(status.st_mtime).unwrap_or(0));
            if unfinished {
                if is_older(modified, now, config.optimizing_compression_task_timeout.0, config) {
                    self.remove(name);
                }
                continue;
            }
            // What is from the distant future is treated as the oldest.
            let from_future = is_from_future(modified, now, config);
            entries.push((!from_future, modified, status.st_size as u64, name.to_string()));
        }
        entries.sort();
        let (mut count, mut size) = (entries.len() as u64, entries.iter().map(|entry| entry.2).sum::<u64>());
        let (count_limit, size_limit) = (config.file_count_soft_limit.0, config.files_total_size_soft_limit.0);
        if count <= count_limit && size <= size_limit {
            return;
        }
        let count_goal = percent_of(count_limit, config.file_count_limit_percent_if_deleting.0);
        let size_goal = percent_of(size_limit, config.files_total_size_limit_percent_if_deleting.0);
        for (_, _, entry_size, name) in entries {
            if count <= count_goal && size <= size_goal {
                break;
            }
            self.remove(&name);
            (count, size) = (count - 1, size - entry_size);
        }
    }

    /// Whether a cleanup is due; then it counts as done, for every process.
    fn is_cleanup_due(&self, config: &CacheConfig, now: SystemTime) -> bool {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let existed = self.contains(LAST_CLEANUP);
        let Ok(mark) = fs::openat(&self.0, LAST_CLEANUP, flags, Mode::RUSR | Mode::WUSR) else { return false };
        let mark = File::from(mark);
        let modified = mark.metadata().and_then(|metadata| metadata.modified());
        let due = !existed || modified.is_ok_and(|modified| is_older(modified, now, config.cleanup_interval.0, config));
        due && mark.set_modified(now).is_ok()
    }
}

impl Entry {
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: that many bytes of the file are mapped, and entries never change (module `cache`).
        unsafe { std::slice::from_raw_parts(self.mapping.base(), self.len) }
    }

    /// Notes that the entry was used. Where that can't be, it is deleted earlier.
    pub(super) fn touch(&self) {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let _ = fs::futimens(&self.file, &Timestamps { last_access: now, last_modification: now });
    }
}

/// What tells this build of the library from every other: the length and the time of its file.
pub(super) fn own_library() -> Vec<u8> {
    static OWN: OnceLock<Vec<u8>> = OnceLock::new();
    let ask = || {
        let metadata = std::fs::metadata(thread::own_file()?).ok()?;
        let words = [metadata.len(), metadata.mtime() as u64, metadata.mtime_nsec() as u64];
        Some(words.iter().flat_map(|word| word.to_le_bytes()).collect())
    };
    OWN.get_or_init(|| ask().unwrap_or_default()).clone()
}

/// Whether only this process's user may write to a file.
fn is_ours(owner: u32, mode: u32) -> bool {
    owner == rustix::process::geteuid().as_raw() && mode & OTHERS_WRITE == 0
}

fn is_entry(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Whether something is as old as `age`. What is from the distant future is older than everything.
fn is_older(modified: SystemTime, now: SystemTime, age: Duration, config: &CacheConfig) -> bool {
    match now.duration_since(modified) {
        Ok(elapsed) => elapsed >= age,
        Err(_) => is_from_future(modified, now, config),
    }
}

fn is_from_future(modified: SystemTime, now: SystemTime, config: &CacheConfig) -> bool {
    modified.duration_since(now).is_ok_and(|ahead| ahead > config.allowed_clock_drift_for_files_from_future.0)
}

fn percent_of(limit: u64, percent: u64) -> u64 {
    (u128::from(limit) * u128::from(percent) / 100) as u64
}
