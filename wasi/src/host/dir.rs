//! Directories of the host, and what can be done by name beneath them.
//!
//! Every path is resolved beneath a directory's descriptor by `cap-primitives`: with `openat2` where the kernel has it,
//! else component by component. A path that leads outside is [`Error::NotPermitted`], whether by `..`, by a link or by
//! being absolute. So is what the embedder's permissions forbid: each function checks them first. A directory may also be one of
//! an embedder's file system, where [`volume`](super::volume) does the same.
//!
//! Beneath a preopen such as `/` there may be `/proc`, and in it files that are this process: who writes to `/proc/self/mem` is no guest any more.
//! So what is on procfs can't be opened from outside of it.

use super::error::Error;
use super::file::{FilePerms, Handle, OpenFile, SyncModes};
use super::flags::flags;
use super::place::Place;
use super::stat::{FileStat, FileType, NewTimes};
use super::volume::tree::{self, OpenPath};
use super::volume::{Entry, Node, NodeId, OpenFor, Volume};
use super::wait::Waiter;
use cap_primitives::fs as sandboxed;
use cap_primitives::fs::{FollowSymlinks, OpenOptions, OpenOptionsExt};
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, OFlags, RawDir, RawDirEntry, SeekFrom};
use rustix::io::Errno;
use std::fs::File;
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::Arc;

flags! {
    /// What an embedder lets a guest do with the directories beneath a preopen.
    DirPerms: u8 {
        READ = 0,
        WRITE = 1,
    }
}

/// A directory: preopened, or opened by the guest. A clone is the same directory, listed on its own.
#[derive(Clone, Debug)]
pub struct OpenDir {
    /// The host's directory, whose offset is ours (see [`OpenDir::read_entries`]), or the embedder's.
    handle: Handle,
    /// What the preopen above allows with directories.
    pub dir_perms: DirPerms,
    /// What the preopen above allows with files.
    pub file_perms: FilePerms,
    /// Where it is beneath a preopen, unless that is too deep to say.
    pub(super) place: Option<Place>,
    /// The host's number of the file system that it is on; of an embedder's, none.
    device: u64,
    /// Where listing stopped.
    position: DirPosition,
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
    pub append: bool,
    pub nonblock: bool,
    pub sync: SyncModes,
}

/// What was opened.
#[derive(Debug)]
#[allow(missing_docs)] // The names say it.
pub enum Opened {
    File(OpenFile),
    Dir(OpenDir),
}

impl OpenDir {
    /// The directory at `path` of the host, found by the host's own rules.
    ///
    /// # Errors
    /// What the host says when it can't be opened as a directory.
    pub fn preopen(path: &Path, name: &str, dir_perms: DirPerms, file_perms: FilePerms) -> std::io::Result<Self> {
        let open =
            |flags| rustix::fs::open(path, flags | OFlags::DIRECTORY | OFlags::CLOEXEC, rustix::fs::Mode::empty());
        let fd = match open(OFlags::RDONLY) {
            // A directory that can be entered but not listed.
            Err(Errno::ACCESS) => open(OFlags::PATH)?,
            result => result?,
        };
        let device = rustix::fs::fstat(&fd)?.st_dev;
        Ok(Self::new(Handle::Host(File::from(fd).into()), device, dir_perms, file_perms, Some(Place::preopen(name))))
    }

    /// The directory `node` of an embedder's file system.
    pub fn preopen_virtual(
        volume: Arc<Volume>,
        node: NodeId,
        name: &str,
        dir_perms: DirPerms,
        file_perms: FilePerms,
    ) -> Self {
        Self::new(Handle::Virtual(Node::root(volume, node)), 0, dir_perms, file_perms, Some(Place::preopen(name)))
    }

    fn new(handle: Handle, device: u64, dir_perms: DirPerms, file_perms: FilePerms, place: Option<Place>) -> Self {
        Self { handle, dir_perms, file_perms, place, device, position: DirPosition::default() }
    }

    /// Opens what `path` names. Never waits, not even for the other end of a pipe.
    ///
    /// # Errors
    /// `NotPermitted`, `INVAL` for a directory to be created or emptied, or what the host says.
    pub fn open(&self, path: &str, how: &OpenHow) -> Result<Opened, Error> {
        permit(self.permits_open(how))?;
        if how.directory && (how.create || how.exclusive || how.truncate) {
            return Err(Errno::INVAL.into());
        }
        let (handle, device, filetype) = match &self.handle {
            Handle::Host(dir) => {
                let file = open_beneath(dir, path, how).map_err(|error| link_or(dir, path, how, error))?;
                let FileStat { filetype, device, .. } = FileStat::of(file.as_fd())?;
                permit(device == self.device || !is_on_procfs(&file)?)?;
                (Handle::Host(file.into()), device, filetype)
            }
            Handle::Virtual(dir) => {
                let (node, filetype) = tree::open(dir, path, open_path(how))?;
                (Handle::Virtual(node), 0, filetype)
            }
        };
        let place = self.place.as_ref().and_then(|place| place.join(path));
        if filetype == FileType::Directory {
            return Ok(Opened::Dir(Self::new(handle, device, self.dir_perms, self.file_perms, place)));
        }
        // Only now is it known that this isn't a directory, which needs no permission to read files.
        permit(!how.read || self.file_perms.contains(FilePerms::READ))?;
        Ok(Opened::File(OpenFile {
            handle,
            filetype,
            readable: how.read,
            writable: how.write,
            append: how.append,
            nonblock: how.nonblock,
            sync: how.sync,
            perms: self.file_perms,
            place,
            offset: (filetype == FileType::RegularFile).then_some(0),
        }))
    }

    /// Whether the permissions allow opening so. Creating and emptying a file are writing to it, whatever access is asked
    /// for; and writing takes both permissions to write.
    fn permits_open(&self, how: &OpenHow) -> bool {
        let changes = how.write || how.create || how.truncate;
        let may_change = self.dir_perms.contains(DirPerms::WRITE) && self.file_perms.contains(FilePerms::WRITE);
        let may_read = self.file_perms.contains(FilePerms::READ);
        // What is only read may be a directory; whether files may be read is checked when that is known.
        self.dir_perms.contains(DirPerms::READ) && (!changes || may_change) && (!(changes && how.read) || may_read)
    }

    /// The name that the guest knows it by, where it is a preopen.
    pub fn preopen_name(&self) -> Option<&str> {
        self.place.as_ref().filter(|place| place.path().is_empty()).map(Place::name)
    }

    /// Its attributes.
    ///
    /// # Errors
    /// What the host says.
    pub fn stat(&self) -> Result<FileStat, Error> {
        self.handle.stat()
    }

    /// Waits until what was done in it has reached the disk.
    ///
    /// # Errors
    /// What the host says.
    pub fn sync(&self, data_only: bool) -> Result<(), Error> {
        self.handle.sync(data_only)
    }

    /// Sets its times.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn set_times(&self, times: NewTimes) -> Result<(), Error> {
        self.require(DirPerms::WRITE)?;
        self.handle.set_times(times)
    }

    /// The attributes of what `path` names; of a link itself, unless `follow`.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn stat_at(&self, path: &str, follow: bool) -> Result<FileStat, Error> {
        self.require(DirPerms::READ)?;
        let dir = match &self.handle {
            Handle::Host(dir) => dir,
            Handle::Virtual(dir) => return tree::stat(dir, path, follow),
        };
        // One component that isn't `..` can't lead outside when its link isn't followed: no need to open it.
        if !follow && !path.is_empty() && !path.contains('/') && path != ".." {
            return Ok(rustix::fs::statat(dir, path, AtFlags::SYMLINK_NOFOLLOW)?.into());
        }
        FileStat::of(find_beneath(dir, path, follow)?.as_fd())
    }

    /// Sets the times of what `path` names; of a link itself, unless `follow`.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn set_times_at(&self, path: &str, follow: bool, times: NewTimes) -> Result<(), Error> {
        self.require(DirPerms::WRITE)?;
        let dir = match &self.handle {
            Handle::Host(dir) => dir,
            Handle::Virtual(dir) => return tree::set_times(dir, path, follow, times),
        };
        let file = find_beneath(dir, path, follow)?;
        Ok(rustix::fs::utimensat(&file, c"", &times.timestamps(), AtFlags::EMPTY_PATH)?)
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn create_dir(&self, path: &str) -> Result<(), Error> {
        self.require(DirPerms::WRITE)?;
        match &self.handle {
            Handle::Host(dir) => Ok(sandboxed::create_dir(dir, path.as_ref(), &sandboxed::DirOptions::new())?),
            Handle::Virtual(dir) => tree::create_dir(dir, path),
        }
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn remove_dir(&self, path: &str) -> Result<(), Error> {
        self.require(DirPerms::WRITE)?;
        // A slash at the end says that a directory is meant, which goes without saying; a link still isn't one.
        let name = if path.starts_with('/') { path } else { path.trim_end_matches('/') };
        match &self.handle {
            Handle::Host(dir) => Ok(sandboxed::remove_dir(dir, name.as_ref())?),
            Handle::Virtual(dir) => tree::remove_dir(dir, name),
        }
    }

    /// Removes what isn't a directory.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn remove_file(&self, path: &str) -> Result<(), Error> {
        self.require(DirPerms::WRITE)?;
        match &self.handle {
            Handle::Host(dir) => Ok(sandboxed::remove_file(dir, path.as_ref())?),
            Handle::Virtual(dir) => tree::remove_file(dir, path),
        }
    }

    /// Makes `new_path` beneath `new_dir` another name of what `path` names here. A link that would be followed is
    /// refused.
    ///
    /// # Errors
    /// `NotPermitted`, `INVAL` with `follow`, or what the host says.
    pub fn link(&self, path: &str, follow: bool, new_dir: &Self, new_path: &str) -> Result<(), Error> {
        self.require_move_to(new_dir)?;
        if follow {
            return Err(Errno::INVAL.into());
        }
        match (&self.handle, &new_dir.handle) {
            (Handle::Host(dir), Handle::Host(new)) => {
                Ok(sandboxed::hard_link(dir, path.as_ref(), new, new_path.as_ref())?)
            }
            (Handle::Virtual(dir), Handle::Virtual(new)) => tree::link(dir, path, new, new_path),
            _ => Err(Errno::XDEV.into()),
        }
    }

    /// Moves what `path` names to `new_path` beneath `new_dir`.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn rename(&self, path: &str, new_dir: &Self, new_path: &str) -> Result<(), Error> {
        self.require_move_to(new_dir)?;
        match (&self.handle, &new_dir.handle) {
            (Handle::Host(dir), Handle::Host(new)) => {
                Ok(sandboxed::rename(dir, path.as_ref(), new, new_path.as_ref())?)
            }
            (Handle::Virtual(dir), Handle::Virtual(new)) => tree::rename(dir, path, new, new_path),
            _ => Err(Errno::XDEV.into()),
        }
    }

    /// Makes a symbolic link. An absolute target is refused: it means nothing to the guest, and might to another program.
    ///
    /// # Errors
    /// `NotPermitted`, or what the host says.
    pub fn symlink(&self, target: &str, path: &str) -> Result<(), Error> {
        self.require(DirPerms::WRITE)?;
        match &self.handle {
            Handle::Host(dir) => Ok(sandboxed::symlink(target.as_ref(), dir, path.as_ref())?),
            Handle::Virtual(dir) => tree::symlink(target, dir, path),
        }
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// `NotPermitted`, `ILSEQ` when that isn't UTF-8, or what the host says.
    pub fn read_link(&self, path: &str) -> Result<String, Error> {
        self.require(DirPerms::READ)?;
        let target = match &self.handle {
            Handle::Host(dir) => sandboxed::read_link(dir, path.as_ref())?,
            Handle::Virtual(dir) => return tree::read_link(dir, path),
        };
        Ok(target.into_os_string().into_string().map_err(|_| Errno::ILSEQ)?)
    }

    fn require(&self, needed: DirPerms) -> Result<(), Error> {
        permit(self.dir_perms.contains(needed))
    }

    /// Whether something from here may get a name beneath `new`. It mustn't be good for more there than here: else
    /// linking or moving it from one preopen to another would lift the first one's permissions.
    fn require_move_to(&self, new: &Self) -> Result<(), Error> {
        self.require(DirPerms::WRITE)?;
        new.require(DirPerms::WRITE)?;
        permit(self.dir_perms.contains(new.dir_perms) && self.file_perms.contains(new.file_perms))
    }
}

fn open_beneath(dir: &File, path: &str, how: &OpenHow) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    let mut flags = OFlags::NOCTTY;
    flags.set(OFlags::DIRECTORY, how.directory);
    options
        .read(how.read)
        // The host creates and truncates only with write access, whether or not the guest will have it.
        .write(how.write || how.create || how.truncate)
        .truncate(how.truncate)
        ._cap_fs_ext_follow(follow_symlinks(how.follow))
        ._cap_fs_ext_nonblock(true)
        ._cap_fs_ext_dsync(how.sync.data)
        ._cap_fs_ext_sync(how.sync.file)
        ._cap_fs_ext_rsync(how.sync.reads)
        .custom_flags(flags.bits() as i32);
    if how.create && how.exclusive {
        options.create_new(true);
    } else {
        options.create(how.create);
    }
    Ok(sandboxed::open(dir, path.as_ref(), &options)?)
}

/// Whether a file is one of the kernel's about processes.
fn is_on_procfs(file: &File) -> Result<bool, Error> {
    Ok(rustix::fs::fstatfs(file)?.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

/// The `error` of opening `path`; `LOOP` where that is a link that isn't followed and was to be opened as a directory,
/// for which Linux reports `NOTDIR`.
fn link_or(dir: &File, path: &str, how: &OpenHow, error: Error) -> Error {
    if how.follow || !how.directory || error != Error::Os(Errno::NOTDIR) {
        return error;
    }
    let named = find_beneath(dir, path, false).and_then(|file| FileStat::of(file.as_fd()));
    let is_link = named.is_ok_and(|stat| stat.filetype == FileType::Symlink);
    if is_link { Errno::LOOP.into() } else { error }
}

/// What `path` names, only to ask for its attributes or set them.
fn find_beneath(dir: &File, path: &str, follow: bool) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    // Nothing else: `openat2` refuses whatever means nothing together with `O_PATH`.
    options.read(true)._cap_fs_ext_follow(follow_symlinks(follow)).custom_flags(OFlags::PATH.bits() as i32);
    Ok(sandboxed::open(dir, path.as_ref(), &options)?)
}

/// The same for an embedder's file system.
fn open_path(how: &OpenHow) -> OpenPath {
    let OpenHow { follow, read, write, create, exclusive, truncate, directory, .. } = *how;
    OpenPath { follow, create, exclusive, directory, to: OpenFor { read, write, truncate } }
}

fn permit(permitted: bool) -> Result<(), Error> {
    if permitted { Ok(()) } else { Err(Error::NotPermitted) }
}

fn follow_symlinks(follow: bool) -> FollowSymlinks {
    if follow { FollowSymlinks::Yes } else { FollowSymlinks::No }
}

/// A place in a directory's listing: the guest's cookie for it, and the host's offset.
#[derive(Clone, Copy, Debug)]
struct DirPosition {
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
    pub inode: u64,
    /// What it is.
    pub filetype: FileType,
    /// What it is called.
    pub name: &'a str,
}

impl OpenDir {
    /// Hands the entries from `cookie` on to `take`, until it returns `false`, which leaves that entry for the next time.
    /// The directory itself and its parent come first; the parent is shown as the directory itself, because what lies
    /// above is none of the guest's business.
    ///
    /// Cookies count entries from 1, because C libraries keep them in 32 bits, where the host's offsets don't fit. The
    /// last place is kept with its host offset, so that listing on from there neither starts over nor holds entries in
    /// memory; any other cookie counts from the start.
    ///
    /// # Errors
    /// `NotPermitted`, what the host says, `ILSEQ` for a name that isn't UTF-8, an interruption, or the first error of
    /// `take`.
    pub fn read_entries<E: From<Error>>(
        &mut self,
        cookie: u64,
        waiter: &mut Waiter,
        mut take: impl FnMut(DirEntry<'_>) -> Result<bool, E>,
    ) -> Result<(), E> {
        self.require(DirPerms::READ)?;
        for (name, next) in [(".", 1), ("..", 2)] {
            if next > cookie {
                let inode = self.stat()?.inode;
                if !take(DirEntry { next, inode, filetype: FileType::Directory, name })? {
                    return Ok(());
                }
            }
        }
        if cookie != self.position.cookie {
            self.position = DirPosition::default();
        }
        let Self { handle, position, .. } = self;
        match handle {
            Handle::Host(dir) => position.read_host(dir, cookie, waiter, take),
            Handle::Virtual(dir) => position.read_virtual(dir, cookie, waiter, take),
        }
    }
}

impl DirPosition {
    /// The entries of a directory from this position on, without the directory itself and its parent.
    fn read_host<E: From<Error>>(
        &mut self,
        dir: &File,
        cookie: u64,
        waiter: &mut Waiter,
        mut take: impl FnMut(DirEntry<'_>) -> Result<bool, E>,
    ) -> Result<(), E> {
        rustix::fs::seek(dir, SeekFrom::Start(self.offset)).map_err(Error::from)?;
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut entries = RawDir::new(dir, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(Error::from)?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                self.offset = entry.next_entry_cookie();
                continue;
            }
            let next = DirPosition { cookie: self.cookie + 1, offset: entry.next_entry_cookie() };
            if next.cookie > cookie {
                let name = entry.file_name().to_str().map_err(|_| Error::Os(Errno::ILSEQ))?;
                let filetype = entry_type(dir, &entry);
                if !take(DirEntry { next: next.cookie, inode: entry.ino(), filetype, name })? {
                    return Ok(());
                }
            }
            *self = next;
            if next.cookie.is_multiple_of(1024) {
                waiter.check()?;
            }
        }
        Ok(())
    }

    /// The same of an embedder's directory.
    fn read_virtual<E: From<Error>>(
        &mut self,
        dir: &Node,
        cookie: u64,
        waiter: &mut Waiter,
        mut take: impl FnMut(DirEntry<'_>) -> Result<bool, E>,
    ) -> Result<(), E> {
        while let Some(entry) = dir.entry(self.offset)? {
            if matches!(entry.name.as_str(), "." | "..") {
                self.offset = entry.next;
                continue;
            }
            let next = DirPosition { cookie: self.cookie + 1, offset: entry.next };
            if next.cookie > MAX_ENTRIES {
                return Err(Error::Os(Errno::IO).into());
            }
            if next.cookie > cookie {
                let Entry { inode, filetype, name, .. } = &entry;
                if !take(DirEntry { next: next.cookie, inode: *inode, filetype: *filetype, name })? {
                    return Ok(());
                }
            }
            *self = next;
            if next.cookie.is_multiple_of(1024) {
                waiter.check()?;
            }
        }
        Ok(())
    }
}

/// The most entries of an embedder's directory: it may say by mistake that one before comes next, and would be listed for ever.
const MAX_ENTRIES: u64 = 1 << 22;

/// What an entry of `dir` is. Not every file system notes that in the directory.
fn entry_type(dir: &File, entry: &RawDirEntry<'_>) -> FileType {
    match entry.file_type() {
        FileType::Unknown => rustix::fs::statat(dir, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)
            .map_or(FileType::Unknown, |stat| FileStat::from(stat).filetype),
        known => known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        OpenDir::preopen(&path, "in", DirPerms::ALL, FilePerms::ALL).expect("opened")
    }

    #[test]
    fn no_path_leads_outside() {
        let root = tree();
        let dir = open_in(&root);
        let how = OpenHow { follow: true, read: true, ..OpenHow::default() };
        for path in ["..", "../out", "/etc/passwd", "up", "absolute", "./../out", "link/../../out"] {
            for error in [dir.open(path, &how).err(), dir.stat_at(path, true).err()] {
                assert!(matches!(error, Some(Error::NotPermitted | Error::Os(Errno::NOTDIR))), "{path}: {error:?}");
            }
        }
        assert!(dir.open("link", &how).is_ok());
        assert_eq!(dir.stat_at("..", false).err(), Some(Error::NotPermitted));
        assert_eq!(dir.stat_at("up", false).map(|stat| stat.filetype), Ok(FileType::Symlink));
    }

    #[test]
    fn nothing_about_processes_is_opened_from_outside_of_procfs() {
        let open_from = |root: &str, path: &str, write: bool| {
            let dir = OpenDir::preopen(Path::new(root), "root", DirPerms::ALL, FilePerms::ALL);
            let how = OpenHow { follow: true, read: true, write, ..OpenHow::default() };
            dir.expect("opened").open(path, &how).map(drop)
        };
        for (path, write) in
            [("proc/self/mem", true), ("proc/self/mem", false), ("proc", false), ("./proc/self", false)]
        {
            assert_eq!(open_from("/", path, write), Err(Error::NotPermitted), "{path}");
        }
        // An embedder who gives it away does so on purpose; and other file systems are passed into.
        assert_eq!(open_from("/proc", "self/mem", true), Ok(()));
        assert_eq!(open_from("/proc/self", "status", false), Ok(()));
        assert_eq!(open_from("/", "dev/null", true), Ok(()));
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
        assert_eq!(listed, Ok::<(), Error>(()));
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
            assert_eq!(listed, Ok::<(), Error>(()));
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
            assert_eq!(listed, Ok::<(), Error>(()));
            let start = all.len().min(usize::try_from(cookie).unwrap_or(usize::MAX));
            assert_eq!(names, all[start..]);
        }
    }

    #[test]
    fn the_parent_of_a_directory_is_itself() {
        let root = tree();
        let mut dir = open_in(&root);
        let mut inodes = Vec::new();
        let listed = dir.read_entries(0, &mut Waiter::default(), |entry| {
            inodes.push(entry.inode);
            Ok(inodes.len() < 2)
        });
        assert_eq!(listed, Ok::<(), Error>(()));
        let own = dir.stat().map(|stat| stat.inode);
        assert_eq!(inodes.into_iter().map(Ok).collect::<Vec<_>>(), [own, own]);
    }

    #[test]
    fn opening_is_permitted_by_both_permissions() {
        let open = |dir, file, how: OpenHow, read, write| {
            let dir_perms = DirPerms::from_bits(dir).expect("bits");
            let file_perms = FilePerms::from_bits(file).expect("bits");
            let dir = OpenDir::preopen(Path::new("/"), "", dir_perms, file_perms).expect("opened");
            dir.permits_open(&OpenHow { read, write, ..how })
        };
        let none = OpenHow::default();
        let create = OpenHow { create: true, ..none };
        let truncate = OpenHow { truncate: true, ..none };
        assert!(open(1, 1, none, true, false));
        assert!(open(1, 0, none, true, false), "a directory may be opened");
        assert!(open(3, 3, OpenHow { exclusive: true, truncate: true, ..create }, true, true));
        assert!(open(3, 2, none, false, true));
        for (dir, file) in [(1, 1), (1, 3), (3, 1), (2, 3), (0, 3), (3, 0)] {
            assert!(!open(dir, file, none, true, true), "{dir} {file}");
            assert!(!open(dir, file, create, true, false), "{dir} {file}");
            assert!(!open(dir, file, truncate, true, false), "{dir} {file}");
        }
        assert!(!open(3, 2, none, true, true));
    }
}
