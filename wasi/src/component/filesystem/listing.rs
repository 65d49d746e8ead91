//! Directories that are read.

use crate::host::dir::{DirPerms, OpenDir};
use crate::host::stat::FileType;
use crate::host::{self, Host};
use std::collections::VecDeque;

/// What is in a directory, some entries at a time.
#[derive(Debug)]
pub struct Listing {
    dir: OpenDir,
    /// Where the entries after the batch begin.
    next: u64,
    batch: VecDeque<Listed>,
}

/// An entry.
#[derive(Debug)]
#[allow(missing_docs)] // The names say it.
pub struct Listed {
    pub filetype: FileType,
    pub name: String,
}

/// The entries that are read at once, without the directory itself and its parent.
const BATCH: usize = 64;

/// Where they begin.
const FIRST: u64 = 2;

impl Listing {
    /// Of this directory.
    ///
    /// # Errors
    /// Where it may not be read.
    pub fn new(dir: &OpenDir) -> Result<Self, host::Error> {
        if !dir.dir_perms.contains(DirPerms::READ) {
            return Err(host::Error::NotPermitted);
        }
        Ok(Self { dir: dir.clone(), next: FIRST, batch: VecDeque::new() })
    }

    /// The next entry; `None` where there is none.
    ///
    /// # Errors
    /// What the host says.
    pub fn next(&mut self, host: &mut Host) -> Result<Option<Listed>, host::Error> {
        let Self { dir, next, batch } = self;
        if batch.is_empty() {
            dir.read_entries::<host::Error>(*next, &mut host.waiter, |entry| {
                if batch.len() == BATCH {
                    return Ok(false);
                }
                batch.push_back(Listed { filetype: entry.filetype, name: entry.name.to_owned() });
                *next = entry.next;
                Ok(true)
            })
            .or_else(|error| if batch.is_empty() { Err(error) } else { Ok(()) })?;
        }
        Ok(batch.pop_front())
    }
}
