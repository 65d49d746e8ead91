//! A file system in memory, behind the trait that embedders implement.

#![allow(dead_code)] // Each test file uses its part.

use ampoule_wasi::FileSystem;
use ampoule_wasi::host::Error;
use ampoule_wasi::host::stat::{FileType, NewTime, NewTimes};
use ampoule_wasi::host::volume::{Entry, NodeId, NodeStat};
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

enum Content {
    File(Vec<u8>),
    Dir(BTreeMap<String, NodeId>),
    Link(String),
}

struct Inode {
    content: Content,
    names: u64,
    references: u64,
    accessed: u64,
    modified: u64,
}

#[derive(Default)]
struct Inodes {
    all: HashMap<NodeId, Inode>,
    last: NodeId,
}

/// A clone is the same file system.
#[derive(Clone)]
pub struct MemoryFs(Arc<Mutex<Inodes>>);

/// The directory that everything is in.
pub const ROOT_NODE: NodeId = 1;

impl Default for MemoryFs {
    fn default() -> Self {
        let mut inodes = Inodes::default();
        inodes.add(Content::Dir(BTreeMap::new()));
        inodes.all.get_mut(&ROOT_NODE).expect("just made").names = 1;
        Self(Arc::new(Mutex::new(inodes)))
    }
}

impl Inodes {
    fn add(&mut self, content: Content) -> NodeId {
        self.last += 1;
        self.all.insert(self.last, Inode { content, names: 0, references: 0, accessed: 0, modified: 0 });
        self.last
    }

    fn of(&mut self, node: NodeId) -> &mut Inode {
        self.all.get_mut(&node).expect("a node that is in use is there")
    }

    fn dir(&mut self, node: NodeId) -> &mut BTreeMap<String, NodeId> {
        match &mut self.of(node).content {
            Content::Dir(entries) => entries,
            _ => panic!("not a directory"),
        }
    }

    fn named(&mut self, dir: NodeId, name: &str) -> Result<NodeId, Error> {
        assert!(!name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']) && name.len() <= 255);
        Ok(*self.dir(dir).get(name).ok_or(Errno::NOENT)?)
    }

    fn put(&mut self, dir: NodeId, name: &str, node: NodeId) -> Result<(), Error> {
        if self.named(dir, name).is_ok() {
            return Err(Errno::EXIST.into());
        }
        // A directory that was removed takes no more names.
        if self.of(dir).names == 0 {
            return Err(Errno::NOENT.into());
        }
        self.dir(dir).insert(name.to_owned(), node);
        self.of(node).names += 1;
        Ok(())
    }

    fn make(&mut self, dir: NodeId, name: &str, content: Content) -> Result<NodeId, Error> {
        let node = self.add(content);
        self.put(dir, name, node).inspect_err(|_| drop(self.all.remove(&node)))?;
        Ok(node)
    }

    fn take(&mut self, dir: NodeId, name: &str) -> Result<(), Error> {
        let node = self.named(dir, name)?;
        self.dir(dir).remove(name);
        self.of(node).names -= 1;
        self.drop_unused(node);
        Ok(())
    }

    fn drop_unused(&mut self, node: NodeId) {
        let inode = self.of(node);
        if inode.names == 0 && inode.references == 0 {
            self.all.remove(&node);
        }
    }

    fn is_below(&mut self, node: NodeId, above: NodeId) -> bool {
        if node == above {
            return true;
        }
        let Content::Dir(entries) = &self.of(above).content else { return false };
        let children: Vec<NodeId> = entries.values().copied().collect();
        children.into_iter().any(|child| self.is_below(node, child))
    }

    fn type_of(&mut self, node: NodeId) -> FileType {
        match self.of(node).content {
            Content::File(_) => FileType::RegularFile,
            Content::Dir(_) => FileType::Directory,
            Content::Link(_) => FileType::Symlink,
        }
    }

    fn bytes(&mut self, node: NodeId) -> &mut Vec<u8> {
        match &mut self.of(node).content {
            Content::File(bytes) => bytes,
            _ => panic!("not a file"),
        }
    }
}

impl MemoryFs {
    fn inodes(&self) -> MutexGuard<'_, Inodes> {
        self.0.lock().expect("nobody panics with it")
    }

    /// The references that haven't been released.
    pub fn references(&self) -> u64 {
        self.inodes().all.values().map(|inode| inode.references).sum()
    }

    /// The nodes that are there.
    pub fn count(&self) -> usize {
        self.inodes().all.len()
    }
}

impl FileSystem for MemoryFs {
    fn lookup(&self, dir: NodeId, name: &str) -> Result<(NodeId, FileType), Error> {
        let mut inodes = self.inodes();
        let node = inodes.named(dir, name)?;
        inodes.of(node).references += 1;
        Ok((node, inodes.type_of(node)))
    }

    fn release(&self, node: NodeId) {
        let mut inodes = self.inodes();
        let references = &mut inodes.of(node).references;
        *references = references.checked_sub(1).expect("released once");
        inodes.drop_unused(node);
    }

    fn stat(&self, node: NodeId) -> Result<NodeStat, Error> {
        let mut inodes = self.inodes();
        let filetype = inodes.type_of(node);
        let Inode { content, names, accessed, modified, .. } = inodes.of(node);
        let (links, size) = match content {
            Content::File(bytes) => (*names, bytes.len() as u64),
            Content::Dir(entries) => (2, entries.len() as u64),
            Content::Link(target) => (*names, target.len() as u64),
        };
        Ok(NodeStat {
            filetype,
            inode: node,
            links,
            size,
            accessed: *accessed,
            modified: *modified,
            changed: *modified,
        })
    }

    fn read(&self, file: NodeId, offset: u64, out: &mut [u8]) -> Result<usize, Error> {
        if i64::try_from(offset).is_err() {
            return Err(Errno::INVAL.into());
        }
        let mut inodes = self.inodes();
        let bytes = inodes.bytes(file);
        let start = bytes.len().min(usize::try_from(offset).unwrap_or(usize::MAX));
        let count = out.len().min(bytes.len() - start);
        out[..count].copy_from_slice(&bytes[start..][..count]);
        Ok(count)
    }

    fn write(&self, file: NodeId, offset: u64, written: &[u8]) -> Result<usize, Error> {
        if i64::try_from(offset).is_err() {
            return Err(Errno::INVAL.into());
        }
        let mut inodes = self.inodes();
        let bytes = inodes.bytes(file);
        let end = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(written.len()));
        let end = end.filter(|&end| end <= 1 << 24).ok_or(Errno::FBIG)?;
        bytes.resize(bytes.len().max(end), 0);
        bytes[end - written.len()..end].copy_from_slice(written);
        Ok(written.len())
    }

    fn set_size(&self, file: NodeId, size: u64) -> Result<(), Error> {
        let size = usize::try_from(size).ok().filter(|&size| size <= 1 << 24).ok_or(Errno::FBIG)?;
        self.inodes().bytes(file).resize(size, 0);
        Ok(())
    }

    fn set_times(&self, node: NodeId, times: NewTimes) -> Result<(), Error> {
        let mut inodes = self.inodes();
        let inode = inodes.of(node);
        for (time, new) in [(&mut inode.accessed, times.accessed), (&mut inode.modified, times.modified)] {
            match new {
                NewTime::Keep => {}
                NewTime::Now => *time = 1,
                NewTime::At(at) => *time = at,
            }
        }
        Ok(())
    }

    fn entry(&self, dir: NodeId, cursor: u64) -> Result<Option<Entry>, Error> {
        let mut inodes = self.inodes();
        let found = inodes.dir(dir).iter().nth(cursor as usize).map(|(name, node)| (name.clone(), *node));
        let Some((name, inode)) = found else { return Ok(None) };
        Ok(Some(Entry { next: cursor + 1, inode, filetype: inodes.type_of(inode), name }))
    }

    fn read_link(&self, link: NodeId) -> Result<String, Error> {
        match &self.inodes().of(link).content {
            Content::Link(target) => Ok(target.clone()),
            _ => Err(Errno::INVAL.into()),
        }
    }

    fn create(&self, dir: NodeId, name: &str) -> Result<NodeId, Error> {
        let mut inodes = self.inodes();
        let node = inodes.make(dir, name, Content::File(Vec::new()))?;
        inodes.of(node).references += 1;
        Ok(node)
    }

    fn create_dir(&self, dir: NodeId, name: &str) -> Result<(), Error> {
        self.inodes().make(dir, name, Content::Dir(BTreeMap::new())).map(drop)
    }

    fn symlink(&self, target: &str, dir: NodeId, name: &str) -> Result<(), Error> {
        self.inodes().make(dir, name, Content::Link(target.to_owned())).map(drop)
    }

    fn link(&self, node: NodeId, dir: NodeId, name: &str) -> Result<(), Error> {
        self.inodes().put(dir, name, node)
    }

    fn rename(&self, dir: NodeId, name: &str, new_dir: NodeId, new_name: &str) -> Result<(), Error> {
        let mut inodes = self.inodes();
        let node = inodes.named(dir, name)?;
        let is_dir = inodes.type_of(node) == FileType::Directory;
        if is_dir && inodes.is_below(new_dir, node) {
            return Err(Errno::INVAL.into());
        }
        if let Ok(there) = inodes.named(new_dir, new_name) {
            if there == node {
                return Ok(());
            }
            match (is_dir, inodes.type_of(there) == FileType::Directory) {
                (true, false) => return Err(Errno::NOTDIR.into()),
                (false, true) => return Err(Errno::ISDIR.into()),
                // A directory that this is in isn't empty either.
                (true, true) if !inodes.dir(there).is_empty() => return Err(Errno::NOTEMPTY.into()),
                _ => inodes.take(new_dir, new_name)?,
            }
        }
        inodes.put(new_dir, new_name, node)?;
        inodes.take(dir, name)
    }

    fn remove_file(&self, dir: NodeId, name: &str) -> Result<(), Error> {
        self.inodes().take(dir, name)
    }

    fn remove_dir(&self, dir: NodeId, name: &str) -> Result<(), Error> {
        let mut inodes = self.inodes();
        let node = inodes.named(dir, name)?;
        if !inodes.dir(node).is_empty() {
            return Err(Errno::NOTEMPTY.into());
        }
        inodes.take(dir, name)
    }
}
