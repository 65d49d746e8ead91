//! The way of a path through a file system: one lookup a component, never out of the directory where it began.
//!
//! The rules are Linux's: links are followed, forty at most; a slash at the end follows the last one, too, and needs a directory. `..` goes
//! back the way that was come, as far as to the beginning.

use super::{MAX_NAME, MAX_PATH, Node};
use crate::host::error::Error;
use crate::host::stat::FileType;
use rustix::io::Errno;
use std::sync::Arc;

/// The most links on one way.
const MAX_LINKS: usize = 40;

/// A way that is being gone.
pub struct Walk {
    /// Where it began.
    base: Arc<Node>,
    /// The directories below that it is in.
    dirs: Vec<Arc<Node>>,
    links: usize,
}

/// What a path leads to.
#[derive(Debug)]
pub enum Found {
    /// A directory that has no name on this way: where it began, or one that `.` or `..` means.
    Dir(Arc<Node>),
    /// What a name stands for in the last directory.
    Entry(Arc<Node>, FileType),
    /// Nothing, under this name in the last directory.
    Missing {
        /// The name.
        name: String,
        /// Whether a slash was behind it.
        slash: bool,
    },
}

/// The last component of a path, which isn't looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last<'a> {
    /// A name.
    Name(&'a str),
    /// `.`: the directory itself.
    Same,
    /// `..`: the one above.
    Parent,
}

impl Walk {
    /// Begins in a directory.
    pub fn new(base: &Arc<Node>) -> Self {
        Self { base: base.clone(), dirs: Vec::new(), links: 0 }
    }

    /// The directory that it is in.
    pub fn dir(&self) -> &Arc<Node> {
        self.dirs.last().unwrap_or(&self.base)
    }

    /// Goes to what `path` names; a link at the end is followed where `follow` says so.
    ///
    /// # Errors
    /// `NotPermitted` where it leads outside; `NOENT`, `NOTDIR` and `LOOP` where there is no way; what the file system says.
    pub fn find(&mut self, path: &str, follow: bool) -> Result<Found, Error> {
        let (last, slash) = self.go_to_last(path)?;
        match last {
            Last::Same => Ok(Found::Dir(self.dir().clone())),
            Last::Parent => {
                self.go_up()?;
                Ok(Found::Dir(self.dir().clone()))
            }
            Last::Name(name) => match self.lookup(name) {
                Ok((link, FileType::Symlink)) if follow || slash => {
                    let mut target = self.follow(&link)?;
                    if slash {
                        target.push('/');
                    }
                    self.find(&target, true)
                }
                Ok((node, filetype)) if !slash || filetype == FileType::Directory => Ok(Found::Entry(node, filetype)),
                Ok(_) => Err(Errno::NOTDIR.into()),
                Err(Error::Os(Errno::NOENT)) => Ok(Found::Missing { name: name.to_owned(), slash }),
                Err(error) => Err(error),
            },
        }
    }

    /// Goes to the directory that the last component of `path` is in. Tells that, and whether a slash is behind it.
    ///
    /// # Errors
    /// As [`Walk::find`].
    pub fn go_to_last<'a>(&mut self, path: &'a str) -> Result<(Last<'a>, bool), Error> {
        if path.is_empty() {
            return Err(Errno::NOENT.into());
        }
        if path.starts_with('/') {
            return Err(Error::NotPermitted);
        }
        if path.contains('\0') {
            return Err(Errno::INVAL.into());
        }
        // One more where a slash was put behind a link's target.
        if path.len() > MAX_PATH + 1 {
            return Err(Errno::NAMETOOLONG.into());
        }
        let trimmed = path.trim_end_matches('/');
        let (dirs, last) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
        self.go_down(dirs)?;
        let last = match last {
            "." => Last::Same,
            ".." => Last::Parent,
            name => Last::Name(checked(name)?),
        };
        Ok((last, trimmed.len() < path.len()))
    }

    /// Goes into one directory after another.
    fn go_down(&mut self, path: &str) -> Result<(), Error> {
        for name in path.split('/') {
            match name {
                "" | "." => {}
                ".." => self.go_up()?,
                name => match self.lookup(checked(name)?)? {
                    (dir, FileType::Directory) => self.dirs.push(dir),
                    (link, FileType::Symlink) => {
                        let target = self.follow(&link)?;
                        self.go_down(&target)?;
                    }
                    _ => return Err(Errno::NOTDIR.into()),
                },
            }
        }
        Ok(())
    }

    pub(super) fn go_up(&mut self) -> Result<(), Error> {
        self.dirs.pop().map(drop).ok_or(Error::NotPermitted)
    }

    /// What `name` is in the directory that it is in.
    ///
    /// # Errors
    /// What the file system says.
    pub fn lookup(&self, name: &str) -> Result<(Arc<Node>, FileType), Error> {
        let dir = self.dir();
        let (id, filetype) = dir.fs().lookup(dir.id(), name)?;
        Ok((dir.sibling(id), filetype))
    }

    /// Where a link on the way leads.
    fn follow(&mut self, link: &Node) -> Result<String, Error> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = link.target()?;
        if target.starts_with('/') { Err(Error::NotPermitted) } else { Ok(target) }
    }
}

fn checked(name: &str) -> Result<&str, Errno> {
    if name.len() <= MAX_NAME { Ok(name) } else { Err(Errno::NAMETOOLONG) }
}
