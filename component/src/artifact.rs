//! Compiled components as bytes: the component itself, and its compiled modules.
//!
//! ```text
//! header      see `Header`: words of 64 bits, little-endian
//! table       where each module's artifact is: two words each            \ covered by the checksum
//! component   its skeleton, whose types are read again                   /
//! modules     artifacts of modules, each at a page boundary, for mapping
//! ```
//!
//! As with artifacts of modules, what is checked is that they are whole and for an engine like this.

use crate::component::Component;
use crate::decode::decode;
use crate::skeleton::skeleton;
use ampoule::error::ErrorKind;
use ampoule::{Engine, Error, Module, SharedBytes};
use ampoule_core::artifact::checksum;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The last byte counts layouts of the file.
const MAGIC: [u8; 8] = *b"\x7fAMPCMP\x02";

/// Artifacts of modules begin at multiples of this.
const PAGE: usize = 4096;

const WORD: usize = 8;

/// Magic; number of modules; length of what is covered by the checksum; checksum.
const HEADER: usize = 4 * WORD;

/// More modules than the validator allows are in no component.
const MAX_MODULES: u64 = 1000;

/// Whether bytes claim to be a compiled component, of whatever version.
pub fn is_artifact(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC[..7])
}

impl Component {
    /// How many functions its modules have.
    pub fn num_functions(&self) -> usize {
        self.definition.modules.iter().map(|module| module.description().bodies.len()).sum()
    }

    /// The compiled component as bytes, for [`Component::deserialize`]. Compiles what hasn't been.
    ///
    /// # Errors
    /// [`ErrorKind::Compile`] where the back end refuses a function.
    pub fn serialize(&self) -> Result<Vec<u8>, Error> {
        let modules = self.definition.modules.iter().map(|module| module.serialize()).collect::<Result<Vec<_>, _>>()?;
        let skeleton = skeleton(self.bytes());
        let checked_len = modules.len() * 2 * WORD + skeleton.len();
        let mut at = HEADER + checked_len;
        let mut checked = Vec::with_capacity(checked_len);
        for module in &modules {
            at = at.next_multiple_of(PAGE);
            checked.extend((at as u64).to_le_bytes());
            at += module.len();
            checked.extend((at as u64).to_le_bytes());
        }
        checked.extend(skeleton);
        let mut artifact = MAGIC.to_vec();
        for word in [modules.len() as u64, checked_len as u64, checksum(&checked)] {
            artifact.extend(word.to_le_bytes());
        }
        artifact.extend(checked);
        for module in modules {
            artifact.resize(artifact.len().next_multiple_of(PAGE), 0);
            artifact.extend(module);
        }
        Ok(artifact)
    }

    /// The component that [`Component::serialize`] wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Artifact`] where the bytes are damaged, or made by another version, for another machine or another configuration.
    ///
    /// # Safety
    /// The bytes are code, and what is checked only catches mistakes: they must be what [`Component::serialize`] wrote.
    pub unsafe fn deserialize(engine: &Engine, bytes: &[u8]) -> Result<Component, Error> {
        let header = bytes.get(..HEADER).ok_or_else(|| damaged("it is too short"))?;
        let (modules, checked_len) = read_header(header)?;
        let checked = bytes[HEADER..].get(..checked_len).ok_or_else(|| damaged("it is too short"))?;
        load(engine, header, checked, modules, |part| {
            let part = bytes.get(part.start as usize..part.end as usize);
            // SAFETY: by the caller.
            unsafe { Module::deserialize(engine, part.ok_or_else(|| damaged("it is too short"))?) }
        })
    }

    /// As [`Component::deserialize`], from a file, whose modules are mapped rather than read.
    ///
    /// # Errors
    /// As [`Component::deserialize`], or where the file can't be opened or mapped.
    ///
    /// # Safety
    /// As [`Component::deserialize`]; and the file must not change while the component lives.
    pub unsafe fn deserialize_file(engine: &Engine, path: &Path) -> Result<Component, Error> {
        let unreadable = |error| Error::new(ErrorKind::System("failed to open file", error));
        let file = File::open(path).map_err(unreadable)?;
        let len = file.metadata().map_err(unreadable)?.len();
        let read = |at: u64, len_to_read: usize| {
            if at + len_to_read as u64 > len {
                return Err(damaged("it is too short"));
            }
            let mut bytes = vec![0; len_to_read];
            file.read_exact_at(&mut bytes, at).map_err(unreadable)?;
            Ok(bytes)
        };
        let header = read(0, HEADER)?;
        let (modules, checked_len) = read_header(&header)?;
        if checked_len as u64 > len {
            return Err(damaged("it is too short"));
        }
        let checked = read(HEADER as u64, checked_len)?;
        load(engine, &header, &checked, modules, |part| {
            if part.end > len {
                return Err(damaged("it is too short"));
            }
            // SAFETY: by the caller.
            unsafe { Module::deserialize_part(engine, &file, part) }
        })
    }
}

/// Number of modules, and length of what is covered by the checksum.
fn read_header(header: &[u8]) -> Result<(usize, usize), Error> {
    if header[..7] != MAGIC[..7] {
        return Err(Error::new(ErrorKind::Artifact("this is not a compiled component".to_string())));
    }
    if header[7] != MAGIC[7] {
        return Err(Error::new(ErrorKind::Artifact("the compiled component is of another version".to_string())));
    }
    let (modules, checked_len) = (word(header, 1), word(header, 2));
    if modules > MAX_MODULES || checked_len < modules * 2 * WORD as u64 {
        return Err(damaged("its header is wrong"));
    }
    Ok((modules as usize, checked_len as usize))
}

fn word(bytes: &[u8], index: usize) -> u64 {
    let bytes = &bytes[index * WORD..(index + 1) * WORD];
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

fn load(
    engine: &Engine,
    header: &[u8],
    checked: &[u8],
    modules: usize,
    mut load_module: impl FnMut(Range<u64>) -> Result<Module, Error>,
) -> Result<Component, Error> {
    if checksum(checked) != word(header, 3) {
        return Err(damaged("its checksum is wrong"));
    }
    let bytes = SharedBytes::from(&checked[modules * 2 * WORD..]);
    let mut next = 0;
    let mut make_module = |_: SharedBytes| {
        if next == modules {
            return Err(damaged("a module is missing"));
        }
        let part = word(checked, 2 * next)..word(checked, 2 * next + 1);
        next += 1;
        load_module(part)
    };
    let definition = decode(engine, &bytes, &mut make_module)?;
    Ok(Component::of(engine, definition, bytes))
}

fn damaged(why: &str) -> Error {
    Error::new(ErrorKind::Artifact(format!("the compiled component is damaged: {why}")))
}
