//! Snapshots as bytes: all that another process needs, compiled modules included.
//!
//! ```text
//! header        see `FileHeader`, with the end of the checked part                                        \
//! checked part  version; where the rest is, and the `State`; then the objects' bytes, the sections', and   | covered by a checksum
//!               the functions that tables name, as words, which are read where they lie                   /
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
use crate::memory::image::{MAX_RUNS, MemoryImage, Run};
use crate::module::Module;
use crate::module::storage::Storage;
use ampoule_core::file_header::{self, FileHeader, Unfit};
use ampoule_core::words::{WordBytes, Words};
use ampoule_machine::os::mmap::PAGE;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The first bytes of every snapshot. The last one counts layouts of the file.
const MAGIC: [u8; 8] = *b"\x7fAMPSNP\x02";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether bytes claim to be a snapshot, of whatever version.
pub fn is_snapshot(bytes: &[u8]) -> bool {
    file_header::has_magic(bytes, MAGIC)
}

/// The checked part ends at a page boundary; the modules begin there.
type Header = FileHeader<1>;

/// What the checked part begins with, behind the version. Places count from where the modules begin.
#[derive(Serialize, Deserialize)]
struct Directory {
    modules: Vec<Range<u64>>,
    /// For each image the parts of a memory, and where they are.
    images: Vec<Vec<(Range<u64>, u64)>>,
    /// The lengths of lists of functions.
    lazy: Vec<u64>,
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
            let runs = image.runs().iter().map(|run| {
                let range = run.range.start as u64..run.range.end as u64;
                (range, add_part(&mut rest, image.bytes(run)).start)
            });
            runs.collect()
        });
        let directory = Directory {
            modules: module_places,
            images: images.collect(),
            lazy: contents.lazy.iter().map(|list| list.len() as u64).collect(),
            objects_len: contents.state.objects.bytes.len() as u64,
            sections: self.sections.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect(),
        };
        let unwritable = |error: postcard::Error| Error::message(format!("cannot write the snapshot: {error}"));
        let mut head = vec![0; Header::LEN];
        head.extend(postcard::to_stdvec(&(VERSION, &directory, &contents.state)).map_err(unwritable)?);
        head.extend(&contents.state.objects.bytes);
        self.sections.values().for_each(|bytes| head.extend(&**bytes));
        contents.lazy.iter().for_each(|list| head.extend(list.to_bytes()));
        head.resize(head.len().next_multiple_of(PAGE), 0);
        let ends = [head.len() as u64];
        Header::seal(MAGIC, &mut head, &rest, ends);
        let written = to.write_all(&head).and_then(|()| to.write_all(&rest));
        written.map_err(|error| Error::new(ErrorKind::System("writing the snapshot", error)))
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
        let header = Header::read(MAGIC, bytes, bytes.len() as u64).map_err(unfit)?;
        header.check(bytes).and_then(|()| header.check_rest(bytes)).map_err(unfit)?;
        let (head, rest) = bytes.split_at(header.end(0));
        let part = |part: Range<u64>| rest.get(part.start as usize..part.end as usize).ok_or_else(missing);
        let load = Load {
            // SAFETY: by the caller.
            module: &|place| unsafe { Module::deserialize(engine, part(place)?) },
            image: &|runs| {
                let piece = |run: &Run| {
                    let place = run.file_offset..run.file_offset + run.range.len() as u64;
                    Ok((run.range.start as u64, part(place)?))
                };
                let pieces = runs.iter().map(piece).collect::<Result<Vec<_>, Error>>()?;
                let image = MemoryImage::of_contents(&pieces, engine.instance_memories());
                Ok(image.map_err(unreadable)?.expect("an image has bytes"))
            },
        };
        load.run(engine, Storage::Owned(head.to_vec()))
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
        let header = Header::read(MAGIC, &start, len).map_err(unfit)?;
        let head = Storage::map(&file, 0, header.end(0)).map_err(unreadable)?;
        header.check(head.bytes()).map_err(unfit)?;
        let rest_start = header.end(0) as u64;
        let in_file = |part: Range<u64>| {
            let start = part.start.checked_add(rest_start);
            let end = part.end.checked_add(rest_start).filter(|&end| end <= len);
            start.zip(end).filter(|(start, end)| start <= end).map(|(start, end)| start..end).ok_or_else(missing)
        };
        let load = Load {
            // SAFETY: by the caller.
            module: &|place| unsafe { Module::deserialize_part(engine, &file, in_file(place)?) },
            image: &|mut runs| {
                for run in &mut runs {
                    run.file_offset = in_file(run.file_offset..run.file_offset + run.range.len() as u64)?.start;
                }
                let file = file.try_clone().map_err(unreadable)?;
                MemoryImage::of_file(file.into(), runs.into(), engine.instance_memories()).map_err(unreadable)
            },
        };
        load.run(engine, head)
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
    /// Of these parts of a memory.
    image: &'a dyn Fn(Vec<Run>) -> Result<Arc<MemoryImage>, Error>,
}

impl Load<'_> {
    /// `head` is the file up to the end of the checked part, which was.
    fn run(&self, engine: &Engine, head: Storage) -> Result<Snapshot, Error> {
        let head = Arc::new(head);
        let undecodable = |error: postcard::Error| damaged(&error.to_string());
        let (version, bytes): (&str, _) =
            postcard::take_from_bytes(&head.bytes()[Header::LEN..]).map_err(undecodable)?;
        // Before anything else: another version may write other things.
        if version != VERSION {
            return Err(other_version());
        }
        let ((directory, mut state), bytes): ((Directory, State), _) =
            postcard::take_from_bytes(bytes).map_err(undecodable)?;
        let mut at = head.bytes().len() - bytes.len();
        let mut take = |len: u64| {
            let end = usize::try_from(len).ok().and_then(|len| at.checked_add(len));
            let part = at..end.filter(|&end| end <= head.bytes().len()).ok_or_else(missing)?;
            at = part.end;
            Ok::<_, Error>(part)
        };
        state.objects.bytes = head.bytes()[take(directory.objects_len)?].to_vec();
        let sections = directory.sections.iter();
        let sections = sections.map(|(name, len)| Ok((name.clone(), Arc::from(&head.bytes()[take(*len)?]))));
        let sections = sections.collect::<Result<_, Error>>()?;
        let lazy = directory.lazy.iter().map(|len| {
            let (part, head): (_, WordBytes) = (take(len.saturating_mul(4))?, head.clone());
            Ok(Arc::new(Words::kept(head, part).ok_or_else(missing)?))
        });
        let lazy = lazy.collect::<Result<_, Error>>()?;
        let modules = directory.modules.into_iter().map(self.module).collect::<Result<Vec<_>, _>>()?;
        let images = directory.images.into_iter().map(|runs| self.image(runs));
        let images = images.collect::<Result<_, _>>()?;
        let contents = Contents { engine: engine.clone(), modules, images, lazy, state };
        check::check(&contents)?;
        Ok(Snapshot { contents: Arc::new(contents), sections: Arc::new(sections) })
    }

    /// The image of these parts of a memory, which are there.
    fn image(&self, runs: Vec<(Range<u64>, u64)>) -> Result<Arc<MemoryImage>, Error> {
        let (page, mut free_from) = (PAGE as u64, 0);
        let mut run = |(range, at): (Range<u64>, u64)| {
            let aligned = [range.start, range.end, at].iter().all(|place| place.is_multiple_of(page));
            if range.start < free_from || range.start >= range.end || !aligned {
                return None;
            }
            free_from = range.end;
            at.checked_add(range.end - range.start)?;
            let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
            Some(Run { range, file_offset: at })
        };
        let checked = (1..=MAX_RUNS).contains(&runs.len()).then_some(runs);
        let runs = checked.and_then(|runs| runs.into_iter().map(&mut run).collect::<Option<Vec<_>>>());
        (self.image)(runs.ok_or_else(|| damaged("a memory is nowhere"))?)
    }
}

fn unfit(unfit: Unfit) -> Error {
    match unfit {
        Unfit::Other => Error::new(ErrorKind::Artifact("these bytes are not a snapshot".to_string())),
        Unfit::OtherVersion => other_version(),
        Unfit::Damaged(how) => damaged(how),
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
