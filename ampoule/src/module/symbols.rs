//! Names and source positions of a module, read when they are first asked for: the name section, and DWARF where the module
//! carries it.
//!
//! What a guest chose is bounded here: names in length ([`demangle`]), DWARF in what is read of it ([`dwarf`]).

#[cfg(feature = "demangle")]
pub(crate) mod demangle;
mod dwarf;
#[cfg(feature = "demangle")]
mod itanium;
#[cfg(not(feature = "demangle"))]
pub(crate) mod mangled;
#[cfg(not(feature = "demangle"))]
pub(crate) use mangled as demangle;

use crate::error::backtrace::Source;
use crate::module::ModuleBytes;
use ampoule_core::index::FuncIndex;
use ampoule_core::module::ModuleDescription;
use ampoule_core::names::FunctionNames;
use ampoule_machine::fiber::with_stack;
use ampoule_machine::os::sync::{Mutex, OnceLock};
use dwarf::Dwarf;
use gimli::{EndianSlice, LittleEndian, SectionId};
use std::collections::HashMap;
use std::sync::Arc;

/// What a module tells of its source.
pub(crate) struct Symbols {
    names: FunctionNames,
    description: Arc<ModuleDescription>,
    bytes: ModuleBytes,
    dwarf: OnceLock<Option<Dwarf>>,
    /// Source positions already looked up, at most [`MAX_KEPT`].
    sources: Mutex<HashMap<usize, Vec<Source>>>,
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

/// Source positions that are kept: more than the frames of many backtraces.
const MAX_KEPT: usize = 1024;

/// Stack for reading DWARF.
const STACK: usize = 256 << 10;

impl Symbols {
    pub(crate) fn new(description: &Arc<ModuleDescription>, bytes: &ModuleBytes) -> Self {
        let section = description.name_section.as_ref();
        let read = |range| FunctionNames::read(bytes.range(range), description.functions.len());
        Self {
            names: section.map(read).unwrap_or_default(),
            description: description.clone(),
            bytes: bytes.clone(),
            dwarf: OnceLock::new(),
            sources: Mutex::default(),
            lines: OnceLock::new(),
        }
    }

    /// The name that the name section gives a function.
    pub(crate) fn function_name(&self, func: FuncIndex) -> Option<&str> {
        self.names.get(self.bytes.range(self.description.name_section.as_ref()?), func.0)
    }

    /// What DWARF tells of an offset in the module's bytes. Malformed DWARF tells nothing.
    pub(crate) fn sources(&self, offset: usize) -> Vec<Source> {
        if !self.has_dwarf() {
            return Vec::new();
        }
        let mut kept = self.sources.lock();
        if let Some(found) = kept.get(&offset) {
            return found.clone();
        }
        // DWARF counts from the start of the code section.
        let probe = (offset as u64).saturating_sub(self.description.code_section.start);
        let found = with_stack(STACK, || {
            let sections = self.sections();
            self.dwarf(&sections).map(|dwarf| dwarf.sources(&sections, probe)).unwrap_or_default()
        });
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(offset, found.clone());
        found
    }

    /// Whether the module has DWARF, and it was kept.
    pub(crate) fn has_dwarf(&self) -> bool {
        self.description.debug_sections.iter().any(|(_, range)| !self.bytes.range(range).is_empty())
    }

    /// The line of the operator at an offset in the module's bytes, where DWARF tells it. The first call reads all of it.
    pub(crate) fn line_at(&self, offset: u32) -> Option<&LineOf> {
        let lines = self.lines.get_or_init(|| with_stack(STACK, || self.read_lines()).into());
        let probe = u64::from(offset).checked_sub(self.description.code_section.start)?;
        let after = lines.partition_point(|start| start.offset <= probe);
        lines[after.checked_sub(1)?].line.as_ref()
    }

    fn read_lines(&self) -> Vec<LineStart> {
        let sections = self.sections();
        let mut lines: Vec<LineStart> = Vec::new();
        if let Some(dwarf) = self.dwarf(&sections) {
            dwarf.lines(&sections, |offset, line| {
                let line = line.map(|(file, line, column)| LineOf { file: file.clone(), line, column });
                lines.push(LineStart { offset, line });
            });
        }
        // Stable: where code of one unit ends and that of the next begins, the beginning counts, which has a line.
        lines.sort_by_key(|start| (start.offset, start.line.is_some()));
        lines
    }

    fn dwarf(&self, sections: &dwarf::Sections<'_>) -> Option<&Dwarf> {
        let read = || {
            let lens = self.description.debug_sections.iter().map(|(_, range)| range.end - range.start);
            Dwarf::new(sections, lens.sum())
        };
        self.dwarf.get_or_init(read).as_ref()
    }

    fn sections(&self) -> dwarf::Sections<'_> {
        let sections = &self.description.debug_sections;
        let load = |id: SectionId| {
            let range = sections.iter().find(|(name, _)| name == id.name()).map(|(_, range)| range);
            let bytes = range.map_or(&[][..], |range| self.bytes.range(range));
            Ok::<_, std::convert::Infallible>(EndianSlice::new(bytes, LittleEndian))
        };
        gimli::Dwarf::load(load).unwrap_or_else(|never| match never {})
    }
}
