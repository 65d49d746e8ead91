//! Compiled modules on disk, so that the next process need not compile them.
//!
//! ```text
//! <directory>/modules/<key>          entries: an artifact, the key, a digest of both
//! <directory>/modules/new-…          entries that are being written
//! <directory>/modules/last-cleanup   its time is that of the last cleanup
//! ```
//!
//! The key of an entry is a digest of the module's bytes and of everything else that changes its code: the configuration, the CPU,
//! and the very file of the library that compiled it. So nothing is ever out of date; it is only never asked for again.
//!
//! An entry is code, and whoever can write one can do anything here (docs/security.md, rule 15). So the folder and the entries
//! must belong to this user, and nobody else may write to them. The digest is against accidents: what is damaged, cut short, or at
//! the wrong place is not loaded but deleted. Entries come to their names whole, by renaming, and are never changed.
//!
//! Modules whose functions are compiled at their first call ([`crate::Strategy::Auto`]) are compiled as a whole for the cache
//! by a thread of low priority ([`worker`]), while they run. What it has done before the process ends is in an entry under another key.

pub mod config;
mod files;
mod worker;

use crate::error::{Error, ErrorKind};
use ampoule_machine::code::CodeError;
use config::CacheConfig;
use files::{Entry, Folder};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use worker::Worker;

/// A cache. Clones are the same cache; engines may share it.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    config: CacheConfig,
    folder: Folder,
    worker: Worker,
    hits: AtomicU64,
    misses: AtomicU64,
    stored: AtomicU64,
}

/// What an entry is found by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key([u8; 32]);

/// What has become of the modules that were made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheStatistics {
    /// Modules that were in the cache.
    pub hits: u64,
    /// Modules that were not.
    pub misses: u64,
    /// Entries written.
    pub stored: u64,
}

/// What [`Cache::store_part`] was given.
pub(crate) struct Part {
    entry: Entry,
    len: usize,
}

/// Bytes behind the artifact in an entry: the key and the digest.
const TRAILER_LEN: usize = 64;

impl Cache {
    /// The cache of these settings. Its folder is made if it doesn't exist.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the folder can't be made, or is not this user's alone to write to.
    pub fn new(config: CacheConfig) -> Result<Self, Error> {
        let path = config.folder()?;
        let folder = Folder::open(&path).map_err(|error| {
            Error::new(ErrorKind::Config(format!("failed to create cache directory: {}: {error}", path.display())))
        })?;
        let worker = Worker::new(usize::try_from(config.worker_event_queue_size.0).unwrap_or(usize::MAX));
        let (hits, misses, stored) = Default::default();
        Ok(Cache(Arc::new(Inner { config, folder, worker, hits, misses, stored })))
    }

    /// What has become of the modules so far.
    pub fn statistics(&self) -> CacheStatistics {
        let Inner { hits, misses, stored, .. } = &*self.0;
        let [hits, misses, stored] = [hits, misses, stored].map(|count| count.load(Ordering::Relaxed));
        CacheStatistics { hits, misses, stored }
    }

    /// The key of a module. `made_for` is all that its artifact is made for, as bytes; `flags` are the back end's, which these don't tell.
    pub(crate) fn key(made_for: &[u8], flags: &[(String, Option<String>)], module: &[u8]) -> Key {
        let mut digest = Sha256::new();
        let mut part = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        part(&files::own_library());
        part(made_for);
        for (flag, value) in flags {
            part(flag.as_bytes());
            part(value.as_deref().unwrap_or_default().as_bytes());
            part(&[u8::from(value.is_some())]);
        }
        part(module);
        Key(digest.finalize().into())
    }

    /// What `load` makes of the artifact of this key, if it is there and whole: the first bytes of a file, as many as told.
    pub(crate) fn load<T>(&self, key: &Key, load: impl FnOnce(&File, usize) -> Result<T, CodeError>) -> Option<T> {
        let loaded = match self.read(key, load) {
            Ok(found) => found,
            Err(reason) => {
                log::warn!("an entry of the cache is not used: {reason}");
                self.0.folder.remove(&key.name());
                None
            }
        };
        let count = if loaded.is_some() { &self.0.hits } else { &self.0.misses };
        count.fetch_add(1, Ordering::Relaxed);
        loaded
    }

    /// The part of a module that a process before had compiled when it ended, if it is there and whole.
    pub(crate) fn load_part(&self, key: &Key) -> Option<Part> {
        let key = key.of_part();
        let opened = self.open(&key).unwrap_or_else(|reason| {
            log::warn!("a part of a module in the cache is not used: {reason}");
            self.0.folder.remove(&key.name());
            None
        });
        let (entry, len) = opened?;
        entry.touch();
        Some(Part { entry, len })
    }

    fn read<T>(&self, key: &Key, load: impl FnOnce(&File, usize) -> Result<T, CodeError>) -> Result<Option<T>, Error> {
        let Some((entry, artifact_len)) = self.open(key)? else { return Ok(None) };
        let loaded = load(entry.file(), artifact_len)?;
        entry.touch();
        Ok(Some(loaded))
    }

    /// An entry that is whole, and how many bytes of it are not its trailer.
    fn open(&self, key: &Key) -> Result<Option<(Entry, usize)>, Error> {
        let system = |error| Error::new(ErrorKind::System("reading an entry of the cache", error));
        let Some(entry) = self.0.folder.open_entry(&key.name()).map_err(system)? else { return Ok(None) };
        let damaged = |how: &str| Error::new(ErrorKind::Artifact(format!("the entry is {how}")));
        let artifact_len = {
            let bytes = entry.bytes();
            let artifact_len = bytes.len().checked_sub(TRAILER_LEN).ok_or_else(|| damaged("too short"))?;
            if bytes[artifact_len..][..32] != key.0 {
                return Err(damaged("another module's"));
            }
            if Sha256::digest(&bytes[..artifact_len + 32])[..] != bytes[artifact_len + 32..] {
                return Err(damaged("damaged"));
            }
            artifact_len
        };
        Ok(Some((entry, artifact_len)))
    }

    /// Writes the artifact of a module down. Where that fails, the module is compiled again another time.
    pub(crate) fn store(&self, key: &Key, artifact: &[u8]) {
        if self.write(key, artifact) {
            self.0.stored.fetch_add(1, Ordering::Relaxed);
            self.0.folder.remove(&key.of_part().name());
            self.0.folder.clean_up(&self.0.config, SystemTime::now());
        }
    }

    /// Writes down what has been compiled of a module, in place of what was there, until the whole module is stored.
    pub(crate) fn store_part(&self, key: &Key, part: &[u8]) {
        self.write(&key.of_part(), part);
    }

    fn write(&self, key: &Key, content: &[u8]) -> bool {
        let digest = Sha256::new().chain_update(content).chain_update(key.0).finalize();
        let written = self.0.folder.write(&key.name(), &[content, &key.0, &digest]);
        if let Err(error) = &written {
            log::warn!("an entry of the cache could not be written: {error}");
        }
        written.is_ok()
    }

    /// Has the worker make the artifact of a module, and writes it down then. Where too many wait, that is left for another time.
    pub(crate) fn store_later(&self, key: Key, make: impl FnOnce(&Cache) -> Result<Vec<u8>, Error> + Send + 'static) {
        // The cache ends with its last user, also while modules wait for the worker.
        let this = Arc::downgrade(&self.0);
        self.0.worker.run(Box::new(move || {
            let Some(cache) = this.upgrade().map(Cache) else { return };
            // Another process, or another module like this one, may have been faster.
            if cache.0.folder.contains(&key.name()) {
                return;
            }
            match make(&cache) {
                Ok(artifact) => cache.store(&key, &artifact),
                Err(error) => log::warn!("a module was not compiled for the cache: {error}"),
            }
        }));
    }
}

impl Part {
    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.entry.bytes()[..self.len]
    }
}

impl Key {
    /// That of the entry of what has been compiled of the module of this key.
    fn of_part(&self) -> Key {
        Key(Sha256::new().chain_update(self.0).chain_update(b"part").finalize().into())
    }

    fn name(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("config", &self.0.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
