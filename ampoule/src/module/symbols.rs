//! Names and source positions of a module, read when they are first asked for: the name section, and DWARF where the module
//! carries it.

use crate::module::ModuleBytes;
use addr2line::Context;
use addr2line::gimli::{self, EndianSlice, LittleEndian, SectionId};
use ampoule_core::index::FuncIndex;
use ampoule_core::module::ModuleDescription;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

/// What a module tells of its source.
pub(crate) struct Symbols {
    names: HashMap<u32, String>,
    description: Arc<ModuleDescription>,
    bytes: ModuleBytes,
    /// Source positions already looked up: reading DWARF again for every frame would be slow.
    sources: OnceLock<Mutex<HashMap<usize, Vec<Source>>>>,
    /// For profilers, which ask for every operator: all that DWARF tells of lines, ascending.
    lines: OnceLock<Box<[LineStart]>>,
}

/// From an offset in the code section on, up to the next, code comes from one line; or from none that is known.
struct LineStart {
    offset: u64,
    line: Option<LineOf>,
}

/// The line that an operator comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LineOf {
    pub(crate) file: Arc<str>,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The function, demangled.
    pub function: Option<String>,
    /// The file's path.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
}

impl Symbols {
    pub(crate) fn new(description: &Arc<ModuleDescription>, bytes: &ModuleBytes) -> Self {
        let names =
            description.name_section.as_ref().map(|range| ampoule_core::names::function_names(bytes.range(range)));
        Self {
            names: names.unwrap_or_default(),
            description: description.clone(),
            bytes: bytes.clone(),
            sources: OnceLock::new(),
            lines: OnceLock::new(),
        }
    }

    pub(crate) fn function_name(&self, func: FuncIndex) -> Option<&str> {
        self.names.get(&func.0).map(String::as_str)
    }

    /// What DWARF tells of an offset in the module's bytes. Malformed DWARF tells nothing.
    pub(crate) fn sources(&self, offset: usize) -> Vec<Source> {
        if self.description.debug_sections.is_empty() {
            return Vec::new();
        }
        let cache = self.sources.get_or_init(Mutex::default);
        let mut cache = cache.lock().unwrap_or_else(|poison| poison.into_inner());
        if let Some(found) = cache.get(&offset) {
            return found.clone();
        }
        // DWARF counts from the start of the code section.
        let probe = (offset as u64).saturating_sub(self.description.code_section.start);
        let found = self.read_dwarf(probe).unwrap_or_default();
        cache.insert(offset, found.clone());
        found
    }

    /// Whether there is DWARF at all.
    pub(crate) fn has_lines(&self) -> bool {
        !self.description.debug_sections.is_empty()
    }

    /// The line of the operator at an offset in the module's bytes, where DWARF tells it. The first call reads all of it.
    pub(crate) fn line_at(&self, offset: u32) -> Option<&LineOf> {
        let lines = self.lines.get_or_init(|| self.read_lines().unwrap_or_default().into());
        let probe = u64::from(offset).checked_sub(self.description.code_section.start)?;
        let after = lines.partition_point(|start| start.offset <= probe);
        lines[after.checked_sub(1)?].line.as_ref()
    }

    fn read_lines(&self) -> Result<Vec<LineStart>, gimli::Error> {
        let context = self.dwarf()?;
        let mut files: HashMap<&str, Arc<str>> = HashMap::new();
        let mut lines: Vec<LineStart> = Vec::new();
        let mut ranges: Vec<_> = context.find_location_range(0, u64::MAX)?.collect();
        ranges.sort_by_key(|(start, ..)| *start);
        for (start, len, location) in &ranges {
            let (Some(file), Some(line)) = (location.file, location.line) else { continue };
            // The end of the range before, unless this one starts there.
            if lines.last().is_some_and(|end| end.line.is_none() && end.offset >= *start) {
                lines.pop();
            }
            let file = files.entry(file).or_insert_with(|| file.into()).clone();
            let column = location.column.unwrap_or(0);
            lines.push(LineStart { offset: *start, line: Some(LineOf { file, line, column }) });
            lines.push(LineStart { offset: start.saturating_add(*len), line: None });
        }
        Ok(lines)
    }

    fn read_dwarf(&self, probe: u64) -> Result<Vec<Source>, gimli::Error> {
        let context = self.dwarf()?;
        let mut frames = context.find_frames(probe).skip_all_loads()?;
        let mut sources = Vec::new();
        while let Some(frame) = frames.next()? {
            let name = frame.function.as_ref().and_then(|function| function.raw_name().ok());
            sources.push(Source {
                function: name.map(|name| demangle(&name)),
                file: frame.location.as_ref().and_then(|location| location.file).map(str::to_string),
                line: frame.location.as_ref().and_then(|location| location.line),
                column: frame.location.as_ref().and_then(|location| location.column),
            });
        }
        Ok(sources)
    }

    fn dwarf(&self) -> Result<Context<EndianSlice<'_, LittleEndian>>, gimli::Error> {
        let section = |id: SectionId| {
            let range =
                self.description.debug_sections.iter().find(|(name, _)| name == id.name()).map(|(_, range)| range);
            let bytes = range.map_or(&[][..], |range| self.bytes.range(range));
            Ok::<_, gimli::Error>(EndianSlice::new(bytes, LittleEndian))
        };
        Context::from_dwarf(gimli::Dwarf::load(section)?)
    }
}

/// A name as its source language writes it.
pub(crate) fn demangle(name: &str) -> String {
    if let Ok(name) = rustc_demangle::try_demangle(name) {
        return format!("{name:#}");
    }
    // The demangler takes names of types alone as well: to it, a function `a` is `signed char`.
    if !name.trim_start_matches('_').starts_with('Z') || !name.starts_with('_') {
        return name.to_string();
    }
    cpp_demangle::Symbol::new(name).ok().and_then(|symbol| symbol.demangle().ok()).unwrap_or_else(|| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mangled_names_are_demangled() {
        assert_eq!(demangle("_ZN4calc4spinEv"), "calc::spin()");
        assert_eq!(demangle("_RNvCs1234_7mycrate3foo"), "mycrate::foo");
        for name in ["a", "i", "Z3foov", "_start", "f<int>", ""] {
            assert_eq!(demangle(name), name);
        }
    }
}
