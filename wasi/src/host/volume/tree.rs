//! What is done by path beneath a directory of an embedder's file system: as the system does it with the host's.
//!
//! Permissions are the caller's to check. A file system is only asked for what can be: to remove a directory as one, to link what isn't one.

use super::walk::{Found, Last, Walk};
use super::{FileSystem, MAX_PATH, Node, NodeId, OpenFor};
use crate::host::error::Error;
use crate::host::stat::{FileStat, FileType, NewTimes};
use rustix::io::Errno;
use std::sync::Arc;

/// How to open a path: what of `open(2)`'s flags concerns finding it.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)] // Each is the flag of `open(2)` that it is named for.
pub struct OpenPath {
    pub follow: bool,
    pub create: bool,
    pub exclusive: bool,
    pub directory: bool,
    pub to: OpenFor,
}

/// How often a file that others make and remove meanwhile is looked for.
const MAX_RACES: usize = 4;

/// Opens what `path` names beneath `base`, and tells what that is.
///
/// # Errors
/// Those of `open(2)`, `NotPermitted` where it leads outside, or what the file system says.
pub fn open(base: &Arc<Node>, path: &str, how: OpenPath) -> Result<(Arc<Node>, FileType), Error> {
    // What is to be made has no slash behind its name, also where it is there already.
    if how.create && path.ends_with('/') && matches!(Walk::new(base).go_to_last(path)?, (Last::Name(_), _)) {
        return Err(Errno::ISDIR.into());
    }
    for _ in 0..MAX_RACES {
        let mut walk = Walk::new(base);
        // A new file is never made through a link that is there.
        let follow = how.follow && !(how.create && how.exclusive);
        let (node, filetype) = match walk.find(path, follow)? {
            Found::Dir(dir) => (dir, FileType::Directory),
            Found::Entry(node, filetype) => (node, filetype),
            Found::Missing { slash: true, .. } if how.create => return Err(Errno::ISDIR.into()),
            Found::Missing { name, .. } if how.create => {
                let dir = walk.dir();
                match dir.fs().create(dir.id(), &name) {
                    Ok(id) => return Ok((dir.sibling(id), FileType::RegularFile)),
                    Err(Error::Os(Errno::EXIST)) if !how.exclusive => continue,
                    Err(error) => return Err(error),
                }
            }
            Found::Missing { .. } => return Err(Errno::NOENT.into()),
        };
        return open_found(node, filetype, how);
    }
    Err(Errno::EXIST.into())
}

fn open_found(node: Arc<Node>, filetype: FileType, how: OpenPath) -> Result<(Arc<Node>, FileType), Error> {
    let error = match filetype {
        _ if how.create && how.exclusive => Errno::EXIST,
        FileType::Directory if how.create || how.to.write || how.to.truncate => Errno::ISDIR,
        FileType::Directory => return Ok((node, filetype)),
        FileType::Symlink => Errno::LOOP,
        _ if how.directory => Errno::NOTDIR,
        _ => {
            node.open(how.to, filetype)?;
            return Ok((node, filetype));
        }
    };
    Err(error.into())
}

fn existing(base: &Arc<Node>, path: &str, follow: bool) -> Result<(Arc<Node>, FileType), Error> {
    match Walk::new(base).find(path, follow)? {
        Found::Dir(dir) => Ok((dir, FileType::Directory)),
        Found::Entry(node, filetype) => Ok((node, filetype)),
        Found::Missing { .. } => Err(Errno::NOENT.into()),
    }
}

/// The attributes of what `path` names; of a link itself, unless `follow`.
///
/// # Errors
/// As [`open`].
pub fn stat(base: &Arc<Node>, path: &str, follow: bool) -> Result<FileStat, Error> {
    existing(base, path, follow)?.0.stat()
}

/// Sets the times of what `path` names; of a link itself, unless `follow`.
///
/// # Errors
/// As [`open`].
pub fn set_times(base: &Arc<Node>, path: &str, follow: bool, times: NewTimes) -> Result<(), Error> {
    existing(base, path, follow)?.0.set_times(times)
}

/// Where the link that `path` names leads.
///
/// # Errors
/// `INVAL` for what is none, `NotPermitted` where it leads to an absolute path; as [`open`].
pub fn read_link(base: &Arc<Node>, path: &str) -> Result<String, Error> {
    match existing(base, path, false)? {
        (link, FileType::Symlink) => match link.target()? {
            // What it names is none of the guest's business.
            target if target.starts_with('/') => Err(Error::NotPermitted),
            target => Ok(target),
        },
        _ => Err(Errno::INVAL.into()),
    }
}

/// A place for a name, in the directory that a walk has come to.
struct Place<'a> {
    walk: Walk,
    last: Last<'a>,
    /// Whether a slash is behind the name.
    slash: bool,
}

impl<'a> Place<'a> {
    fn find(base: &Arc<Node>, path: &'a str) -> Result<Self, Error> {
        let mut walk = Walk::new(base);
        let (last, slash) = walk.go_to_last(path)?;
        if last == Last::Parent {
            walk.go_up()?;
        }
        Ok(Self { walk, last, slash })
    }

    /// The name; `unnamed` where the path ends in `.` or `..`.
    fn name(&self, unnamed: Errno) -> Result<&'a str, Errno> {
        match self.last {
            Last::Name(name) => Ok(name),
            Last::Same | Last::Parent => Err(unnamed),
        }
    }

    /// The name of something new that isn't a directory, which a slash behind it would say.
    fn name_of_file(&self) -> Result<&'a str, Error> {
        let name = self.name(Errno::EXIST)?;
        if !self.slash {
            return Ok(name);
        }
        match self.walk.lookup(name)? {
            (_, FileType::Directory) => Err(Errno::EXIST.into()),
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    fn fs(&self) -> &dyn FileSystem {
        self.walk.dir().fs()
    }

    fn dir(&self) -> NodeId {
        self.walk.dir().id()
    }
}

/// Makes a directory.
///
/// # Errors
/// As [`open`].
pub fn create_dir(base: &Arc<Node>, path: &str) -> Result<(), Error> {
    let place = Place::find(base, path)?;
    place.fs().create_dir(place.dir(), place.name(Errno::EXIST)?)
}

/// Removes an empty directory.
///
/// # Errors
/// As [`open`].
pub fn remove_dir(base: &Arc<Node>, path: &str) -> Result<(), Error> {
    let place = Place::find(base, path)?;
    let name = place.name(Errno::INVAL)?;
    match place.walk.lookup(name)? {
        (_, FileType::Directory) => place.fs().remove_dir(place.dir(), name),
        _ => Err(Errno::NOTDIR.into()),
    }
}

/// Removes what isn't a directory.
///
/// # Errors
/// As [`open`].
pub fn remove_file(base: &Arc<Node>, path: &str) -> Result<(), Error> {
    let place = Place::find(base, path)?;
    let name = place.name(Errno::ISDIR)?;
    match place.walk.lookup(name)? {
        (_, FileType::Directory) => Err(Errno::ISDIR.into()),
        _ if place.slash => Err(Errno::NOTDIR.into()),
        _ => place.fs().remove_file(place.dir(), name),
    }
}

/// Makes a link.
///
/// # Errors
/// `NotPermitted` for an absolute target; as [`open`].
pub fn symlink(target: &str, base: &Arc<Node>, path: &str) -> Result<(), Error> {
    if target.starts_with('/') {
        return Err(Error::NotPermitted);
    }
    let place = Place::find(base, path)?;
    if target.is_empty() {
        return Err(Errno::NOENT.into());
    }
    let name = place.name_of_file()?;
    match target.len() {
        0..=MAX_PATH if target.contains('\0') => Err(Errno::INVAL.into()),
        0..=MAX_PATH => place.fs().symlink(target, place.dir(), name),
        _ => Err(Errno::NAMETOOLONG.into()),
    }
}

/// Makes `new_path` another name of what `path` names: of a link itself.
///
/// # Errors
/// `XDEV` between file systems, `PERM` for a directory; as [`open`].
pub fn link(base: &Arc<Node>, path: &str, new_base: &Arc<Node>, new_path: &str) -> Result<(), Error> {
    let _ = Place::find(base, path)?;
    let new = Place::find(new_base, new_path)?;
    let (node, filetype) = existing(base, path, false)?;
    let name = new.name_of_file()?;
    if !base.is_beside(new_base) {
        return Err(Errno::XDEV.into());
    }
    if filetype == FileType::Directory {
        return Err(if new.walk.lookup(name).is_ok() { Errno::EXIST } else { Errno::PERM }.into());
    }
    new.fs().link(node.id(), new.dir(), name)
}

/// Moves what `path` names to `new_path`.
///
/// # Errors
/// `XDEV` between file systems, `BUSY` for `.` and `..`; as [`open`].
pub fn rename(base: &Arc<Node>, path: &str, new_base: &Arc<Node>, new_path: &str) -> Result<(), Error> {
    let (old, new) = (Place::find(base, path)?, Place::find(new_base, new_path)?);
    let (name, new_name) = (old.name(Errno::BUSY)?, new.name(Errno::BUSY)?);
    if !base.is_beside(new_base) {
        return Err(Errno::XDEV.into());
    }
    let (_, filetype) = old.walk.lookup(name)?;
    if (old.slash || new.slash) && filetype != FileType::Directory {
        return Err(Errno::NOTDIR.into());
    }
    old.fs().rename(old.dir(), name, new.dir(), new_name)
}
