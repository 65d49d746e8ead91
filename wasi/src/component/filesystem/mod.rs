//! `wasi:filesystem`, as far as versions agree: descriptors, and what lies beneath those that are directories. Error codes are each version's
//! own, made of the host's.
//!
//! [`values`] are what the functions take and give, [`listing`] a directory that is read; the functions are here.
//!
//! What isn't permitted is `not-permitted`, as in preview 1, not `read-only`.

mod listing;
mod values;

pub use self::listing::{Listed, Listing};
pub use self::values::{
    Advice, DescriptorFlags, DescriptorType, ErrorCode, MetadataHash, NewTimestamp, OpenFlags, PathFlags, Stat,
    Timestamp, Version,
};

use self::values::new_times;
use super::cx::Cx;
use super::error::{Error, Fail};
use super::resources::{Handle, Own, entries};
use crate::host::dir::{DirPerms, OpenDir, OpenHow, Opened};
use crate::host::file::{self, OpenFile, SyncModes};
use crate::host::stat::{FileStat, FileType};
use crate::host::{self, Host};
use rustix::io::Errno;
use std::marker::PhantomData;

/// What succeeds, or with an error of the host's fails, as a version calls that.
pub type FileResult<T, E> = Result<T, Fail<E>>;

entries! {
    Descriptor = 4 "descriptor",
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
    let open =
        preopens.map(|dir| (Own::new(Descriptor::Dir(dir.clone())), dir.preopen_name().unwrap_or_default().to_owned()));
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
