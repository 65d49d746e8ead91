//! Snapshots as bytes: all that another process needs, compiled modules included.
//!
//! ```text
//! header        words of 64 bits, little-endian: see `Header`
//! checked part  version; where the rest is, and the `State`; then the objects' bytes, and the sections'   covered by a checksum
//! modules       artifacts, each at a page boundary                                                        \ covered by another one, which is
//! memories      images, each at a page boundary                                                           / compared where all is read anyway
//! ```
//!
//! As with artifacts, what is checked is that it is whole and for an engine like this. A file is mapped: of its modules and memories only what is
//! used is read, by all processes once.

use super::state::State;
use super::{Contents, Snapshot, check, damaged};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::memory::image::MemoryImage;
use crate::module::{LazyImage, Module};
use ampoule_core::artifact::checksum;
use ampoule_core::index::FuncIndex;
use ampoule_machine::os::mmap::PAGE;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The first bytes of every snapshot. The last one counts layouts of the file.
const MAGIC: [u8; 8] = *b"\x7fAMPSNP\x01";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether bytes claim to be a snapshot, of whatever version.
pub fn is_snapshot(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC[..7])
}

/// The start of the file.
struct Header {
    /// Over the rest of the header and the checked part.
    checked_checksum: u64,
    /// Over what follows, up to the end.
    rest_checksum: u64,
    checked_len: u64,
    file_len: u64,
}

impl Header {
    const LEN: usize = 40;
    const CHECKED_FROM: usize = 16;

    fn bytes(&self) -> [u8; Self::LEN] {
        let Header { checked_checksum, rest_checksum, checked_len, file_len } = *self;
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        let words = [checked_checksum, rest_checksum, checked_len, file_len];
        bytes[8..].chunks_exact_mut(8).zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
        bytes
    }

    /// Reads the header of a snapshot of so many bytes.
    fn read(bytes: &[u8], len: u64) -> Result<Self, Error> {
        if !is_snapshot(bytes) {
            return Err(Error::new(ErrorKind::Artifact("these bytes are not a snapshot".to_string())));
        }
        if !bytes.starts_with(&MAGIC) {
            return Err(other_version());
        }
        if bytes.len() < Self::LEN {
            return Err(damaged("it is too short"));
        }
        let word = |number: usize| u64::from_le_bytes(bytes[8 * number..][..8].try_into().expect("eight bytes"));
        let header =
            Header { checked_checksum: word(1), rest_checksum: word(2), checked_len: word(3), file_len: word(4) };
        if header.file_len != len || header.checked_len > len - Self::LEN as u64 {
            return Err(damaged("its length is wrong"));
        }
        Ok(header)
    }

    /// Where the modules begin: what follows the checked part, at a page boundary.
    fn rest_start(&self) -> u64 {
        (Self::LEN as u64 + self.checked_len).next_multiple_of(PAGE as u64)
    }

    fn checksum(&self, checked: &[u8]) -> u64 {
        checksum(&[&self.bytes()[Self::CHECKED_FROM..], checked].concat())
    }
}

/// What the checked part begins with. Places count from where the modules begin.
#[derive(Serialize, Deserialize)]
struct Directory {
    modules: Vec<Range<u64>>,
    /// For each image the bytes of a memory, and where they are.
    images: Vec<(Range<u64>, u64)>,
    lazy: Vec<Vec<Option<FuncIndex>>>,
    objects_len: u64,
    /// Names and lengths.
    sections: Vec<(String, u64)>,
}

impl Snapshot {
    /// Writes the snapshot, with its modules and sections, for [`Snapshot::load`] and [`Snapshot::load_file`]. Compiles what of the modules hasn't been.
    ///
    /// # Errors
    /// [`ErrorKind::Compile`] where the back end refuses a function; what the writer says.
    pub fn save(&self, to: &mut dyn Write) -> Result<(), Error> {
        let contents = &*self.contents;
        let modules = contents.modules.iter().map(Module::serialize).collect::<Result<Vec<_>, _>>()?;
        let mut rest = Vec::new();
        let module_places = modules.iter().map(|module| add_part(&mut rest, module)).collect();
        drop(modules);
        let images = contents.images.iter().map(|image| {
            let range = image.range();
            (range.start as u64..range.end as u64, add_part(&mut rest, image.bytes()).start)
        });
        let directory = Directory {
            modules: module_places,
            images: images.collect(),
            lazy: contents.lazy.iter().map(|list| list.to_vec()).collect(),
            objects_len: contents.state.objects.bytes.len() as u64,
            sections: self.sections.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect(),
        };
        let unwritable = |error: postcard::Error| Error::message(format!("cannot write the snapshot: {error}"));
        let mut checked = postcard::to_stdvec(VERSION).map_err(unwritable)?;
        checked.extend(postcard::to_stdvec(&(&directory, &contents.state)).map_err(unwritable)?);
        checked.extend(&contents.state.objects.bytes);
        self.sections.values().for_each(|bytes| checked.extend(&**bytes));
        let mut header = Header {
            checked_checksum: 0,
            rest_checksum: checksum(&rest),
            checked_len: checked.len() as u64,
            file_len: 0,
        };
        header.file_len = header.rest_start() + rest.len() as u64;
        header.checked_checksum = header.checksum(&checked);
        let write = |to: &mut dyn Write| {
            to.write_all(&header.bytes())?;
            to.write_all(&checked)?;
            to.write_all(&vec![0; header.rest_start() as usize - Header::LEN - checked.len()])?;
            to.write_all(&rest)
        };
        write(to).map_err(|error: io::Error| Error::new(ErrorKind::System("writing the snapshot", error)))
    }

    /// The bytes that [`Snapshot::save`] writes.
    ///
    /// # Errors
    /// [`ErrorKind::Compile`] where the back end refuses a function.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.save(&mut bytes)?;
        Ok(bytes)
    }

    /// The snapshot that [`Snapshot::save`] wrote. The bytes are copied where they are needed.
    ///
    /// # Errors
    /// [`ErrorKind::Artifact`] where the bytes are damaged, or made by another version, for another machine or another configuration.
    ///
    /// # Safety
    /// The bytes are code, and what is checked only catches mistakes: they must be what [`Snapshot::save`] wrote.
    pub unsafe fn load(engine: &Engine, bytes: &[u8]) -> Result<Snapshot, Error> {
        let header = Header::read(bytes, bytes.len() as u64)?;
        let rest = bytes.get(header.rest_start() as usize..).ok_or_else(|| damaged("it is too short"))?;
        if checksum(rest) != header.rest_checksum {
            return Err(damaged("its checksum is wrong"));
        }
        let part = |part: Range<u64>| rest.get(part.start as usize..part.end as usize).ok_or_else(missing);
        let load = Load {
            // SAFETY: by the caller.
            module: &|place| unsafe { Module::deserialize(engine, part(place)?) },
            image: &|range, place| {
                let bytes = part(place)?;
                let image = MemoryImage::of_contents(&[(range.start as u64, bytes)], engine.instance_memories());
                Ok(image.map_err(unreadable)?.expect("an image has bytes"))
            },
        };
        load.run(engine, &header, &bytes[Header::LEN..][..header.checked_len as usize])
    }

    /// As [`Snapshot::load`], from a file, which is mapped rather than read.
    ///
    /// # Errors
    /// As [`Snapshot::load`], or where the file can't be opened or mapped. Damage of code and memories is not noticed.
    ///
    /// # Safety
    /// As [`Snapshot::load`]; and the file must not change while the snapshot lives, or anything that was made of it. To replace it by another of the same
    /// name is fine.
    pub unsafe fn load_file(engine: &Engine, path: &Path) -> Result<Snapshot, Error> {
        let file = File::open(path).map_err(|error| Error::new(ErrorKind::System("failed to open file", error)))?;
        let len = file.metadata().map_err(unreadable)?.len();
        let mut start = vec![0; Header::LEN.min(len as usize)];
        file.read_exact_at(&mut start, 0).map_err(unreadable)?;
        let header = Header::read(&start, len)?;
        let mut checked = vec![0; header.checked_len as usize];
        file.read_exact_at(&mut checked, Header::LEN as u64).map_err(unreadable)?;
        let in_file = |part: Range<u64>| {
            let start = part.start.checked_add(header.rest_start());
            let end = part.end.checked_add(header.rest_start()).filter(|&end| end <= len);
            start.zip(end).filter(|(start, end)| start <= end).map(|(start, end)| start..end).ok_or_else(missing)
        };
        let load = Load {
            // SAFETY: by the caller.
            module: &|place| unsafe { Module::deserialize_part(engine, &file, in_file(place)?) },
            image: &|range, place| {
                let (part, file) = (in_file(place)?, file.try_clone().map_err(unreadable)?);
                MemoryImage::of_file(file.into(), part.start, range, engine.instance_memories()).map_err(unreadable)
            },
        };
        load.run(engine, &header, &checked)
    }
}

/// Adds a part at a page boundary, and tells its place.
fn add_part(rest: &mut Vec<u8>, part: &[u8]) -> Range<u64> {
    let start = rest.len();
    rest.extend(part);
    rest.resize(rest.len().next_multiple_of(PAGE), 0);
    start as u64..(start + part.len()) as u64
}

/// How the parts behind the checked one are loaded, of which places are told.
struct Load<'a> {
    module: &'a dyn Fn(Range<u64>) -> Result<Module, Error>,
    /// Of these bytes of a memory.
    image: &'a dyn Fn(Range<usize>, Range<u64>) -> Result<Arc<MemoryImage>, Error>,
}

impl Load<'_> {
    fn run(&self, engine: &Engine, header: &Header, checked: &[u8]) -> Result<Snapshot, Error> {
        if header.checksum(checked) != header.checked_checksum {
            return Err(damaged("its checksum is wrong"));
        }
        let undecodable = |error: postcard::Error| damaged(&error.to_string());
        let (version, bytes): (&str, _) = postcard::take_from_bytes(checked).map_err(undecodable)?;
        // Before anything else: another version may write other things.
        if version != VERSION {
            return Err(other_version());
        }
        let ((directory, mut state), mut bytes): ((Directory, State), _) =
            postcard::take_from_bytes(bytes).map_err(undecodable)?;
        let mut take = |len: u64| {
            let len = usize::try_from(len).map_err(|_| damaged("it is too short"))?;
            let (taken, rest) = bytes.split_at_checked(len).ok_or_else(|| damaged("it is too short"))?;
            bytes = rest;
            Ok::<_, Error>(taken)
        };
        state.objects.bytes = take(directory.objects_len)?.to_vec();
        let sections = directory.sections.iter().map(|(name, len)| Ok((name.clone(), Arc::from(take(*len)?))));
        let sections = sections.collect::<Result<_, Error>>()?;
        let modules = directory.modules.into_iter().map(self.module).collect::<Result<Vec<_>, _>>()?;
        let images = directory.images.into_iter().map(|(range, at)| self.image(range, at));
        let lazy = directory.lazy.into_iter().map(LazyImage::from);
        let contents = Contents {
            engine: engine.clone(),
            modules,
            images: images.collect::<Result<_, _>>()?,
            lazy: lazy.collect(),
            state,
        };
        check::check(&contents)?;
        Ok(Snapshot { contents: Arc::new(contents), sections: Arc::new(sections) })
    }

    /// The image of these bytes of a memory, which are there.
    fn image(&self, range: Range<u64>, at: u64) -> Result<Arc<MemoryImage>, Error> {
        let page = PAGE as u64;
        let aligned = [range.start, range.end, at].iter().all(|place| place.is_multiple_of(page));
        let end = at.checked_add(range.end.saturating_sub(range.start)).filter(|_| range.start < range.end && aligned);
        let bytes = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let (Some(end), Some((first, last))) = (end, bytes) else { return Err(damaged("a memory is nowhere")) };
        (self.image)(first..last, at..end)
    }
}

fn missing() -> Error {
    damaged("a part is missing")
}

fn other_version() -> Error {
    Error::new(ErrorKind::Artifact("the snapshot was made by another version of this engine".to_string()))
}

fn unreadable(error: io::Error) -> Error {
    Error::new(ErrorKind::System("reading the snapshot", error))
}
