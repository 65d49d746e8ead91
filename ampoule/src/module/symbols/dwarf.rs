//! Files, lines and inlined functions, as a module's DWARF tells them.
//!
//! DWARF is the guest's choice, and it refers within itself: many units may share a table, many entries may have one long list of
//! ranges, and a byte may stand for an entry with thousands of attributes. So every step is counted before it is taken, in
//! [`Steps`]; where there are none left, nothing is known. What a unit tells is read once, when an address of it is first asked
//! for.
//!
//! What is deliberately not here: which bytes are DWARF, and what was looked up before (`symbols`).

use crate::error::backtrace::Source;
use crate::error::text::{MAX_TEXT, Shortened};
use crate::module::symbols::demangle::demangle;
use ampoule_machine::os::sync::{Mutex, OnceLock};
use gimli::{
    Abbreviations, AttributeValue, DebugInfoOffset, DebugLineOffset, DwAt, EndianSlice, EntriesRaw, LittleEndian,
    RangeListsOffset, Reader, Section, Unit, UnitOffset,
};
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

type Slice<'a> = EndianSlice<'a, LittleEndian>;
pub(super) type Sections<'a> = gimli::Dwarf<Slice<'a>>;

/// What was read of a module's DWARF. Addresses are offsets in the code section.
pub(super) struct Dwarf {
    /// Ascending.
    units: Box<[UnitEntry]>,
    /// For reading the tables of units.
    left: Mutex<u64>,
    /// For one lookup.
    per_lookup: u64,
}

struct UnitEntry {
    start: DebugInfoOffset<usize>,
    len: usize,
    abbreviations: Arc<Abbreviations>,
    /// Where its code is; empty where it doesn't tell.
    ranges: Box<[Range<u64>]>,
    tables: OnceLock<Option<Tables>>,
}

/// What an address is looked up in.
struct Tables {
    /// Ascending by address.
    rows: Box<[Row]>,
    functions: Box<[Function]>,
}

/// Code from this address on, up to the next row's, comes from this line.
#[derive(Clone, Copy)]
pub(super) struct Row {
    address: u64,
    file: u32,
    /// Zero where it isn't known, and after the end of a sequence.
    line: u32,
    column: u32,
    is_end: bool,
}

/// A function, or a call that was inlined, where it has code.
struct Function {
    code: Range<u64>,
    entry: UnitOffset<usize>,
    /// Nesting in the tree: what is inlined is deeper than where.
    depth: u32,
    inlined: bool,
    call: Place,
}

/// File, line and column; zeros where they aren't known.
#[derive(Clone, Copy, Default)]
struct Place {
    file: u32,
    line: u32,
    column: u32,
}

/// Steps that may still be taken: about one for each byte, more for what takes more memory than it has bytes.
struct Steps(Cell<u64>);

impl Steps {
    /// Those for a module with so many bytes of DWARF. Well-formed DWARF needs fewer than two for each.
    fn of_module(byte_len: u64) -> u64 {
        byte_len.saturating_mul(4).saturating_add(1 << 16).min(64 << 20)
    }

    fn take(&self, count: u64) -> Option<()> {
        let left = self.0.get().checked_sub(count);
        self.0.set(left.unwrap_or(0));
        left.map(drop)
    }
}

/// Frames that one address may stand for: calls that were inlined into each other.
const MAX_FRAMES: usize = 32;

/// How far a name is searched for: an inlined call refers to its function, that to its declaration.
const MAX_REFERENCES: usize = 8;

impl Dwarf {
    /// Reads where the code of each unit is; `None` where the DWARF is malformed or too much.
    pub(super) fn new(sections: &Sections<'_>, byte_len: u64) -> Option<Self> {
        let steps = Steps(Cell::new(Steps::of_module(byte_len)));
        let mut abbreviations = HashMap::new();
        let mut units = Vec::new();
        let mut headers = sections.units();
        while let Some(header) = headers.next().ok()? {
            steps.take(64)?;
            let table = header.debug_abbrev_offset();
            let abbreviations = match abbreviations.get(&table) {
                Some(known) => known,
                None => {
                    count_abbreviations(sections.debug_abbrev.reader().slice().get(table.0..)?, &steps)?;
                    let read = header.abbreviations(&sections.debug_abbrev).ok()?;
                    abbreviations.entry(table).or_insert(Arc::new(read))
                }
            };
            let start = header.debug_info_offset()?;
            let len = header.length_including_self();
            let mut entry = UnitEntry {
                start,
                len,
                abbreviations: abbreviations.clone(),
                ranges: [].into(),
                tables: OnceLock::new(),
            };
            let unit = entry.open(sections, &steps)?;
            entry.ranges = unit_ranges(sections, &unit, &steps)?.into();
            units.push(entry);
        }
        let per_lookup = byte_len.saturating_add(1 << 16).min(1 << 20);
        Some(Dwarf { units: units.into(), left: Mutex::new(steps.0.get()), per_lookup })
    }

    /// The functions at an address, innermost inlined first, each with the place in it that runs.
    pub(super) fn sources(&self, sections: &Sections<'_>, address: u64) -> Vec<Source> {
        let steps = Steps(Cell::new(self.per_lookup));
        let found = self.units_at(address).find_map(|entry| {
            let unit = entry.open(sections, &steps)?;
            let tables = self.tables(sections, entry)?;
            let files = Files { sections, unit: &unit };
            let mut place =
                tables.row_at(address).map(|row| Place { file: row.file, line: row.line, column: row.column });
            let mut sources = Vec::new();
            for function in tables.functions_at(address) {
                let name = self.name_of(sections, &unit, function.entry, &steps, MAX_REFERENCES);
                sources.push(source(name.map(|name| demangle(&name).into_owned()), &files, place));
                place = Some(function.call);
            }
            if sources.is_empty() && place.is_some() {
                sources.push(source(None, &files, place));
            }
            (!sources.is_empty()).then_some(sources)
        });
        found.unwrap_or_default()
    }

    /// Tells `each` of the lines of all units: from an address on, which line of which file; none where that isn't known.
    pub(super) fn lines(&self, sections: &Sections<'_>, mut each: impl FnMut(u64, Option<(&Arc<str>, u32, u32)>)) {
        let steps = Steps(Cell::new(self.per_lookup.saturating_mul(4)));
        for entry in &self.units {
            let Some(unit) = entry.open(sections, &steps) else { return };
            let Some(tables) = self.tables(sections, entry) else { continue };
            let files = Files { sections, unit: &unit };
            let mut names: HashMap<u32, Option<Arc<str>>> = HashMap::new();
            for row in &tables.rows {
                let name = names.entry(row.file).or_insert_with(|| files.path(row.file).map(Arc::from));
                let known = name.as_ref().filter(|_| row.line != 0 && !row.is_end);
                each(row.address, known.map(|file| (file, row.line, row.column)));
            }
        }
    }

    fn units_at(&self, address: u64) -> impl Iterator<Item = &UnitEntry> {
        let has = move |entry: &&UnitEntry| {
            entry.ranges.is_empty() || entry.ranges.iter().any(|range| range.contains(&address))
        };
        self.units.iter().filter(has)
    }

    fn tables<'a>(&'a self, sections: &Sections<'_>, entry: &'a UnitEntry) -> Option<&'a Tables> {
        let read = || {
            let mut left = self.left.lock();
            let steps = Steps(Cell::new(*left));
            let tables = entry.open(sections, &steps).and_then(|unit| Tables::read(sections, &unit, &steps));
            *left = steps.0.get();
            tables
        };
        entry.tables.get_or_init(read).as_ref()
    }

    /// The linkage name of an entry, or its name, or that of what it refers to.
    fn name_of(
        &self,
        sections: &Sections<'_>,
        unit: &Unit<Slice<'_>>,
        entry: UnitOffset<usize>,
        steps: &Steps,
        references: usize,
    ) -> Option<String> {
        let mut entries = unit.entries_raw(Some(entry)).ok()?;
        let (mut name, mut next) = (None, None);
        read_attributes(&mut entries, steps, |attribute, value| match attribute {
            gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => name = Some((true, value)),
            gimli::DW_AT_name if name.is_none() => name = Some((false, value)),
            gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => next = Some(value),
            _ => {}
        })?;
        if let Some((_, name)) = name {
            return text(sections.attr_string(unit, name).ok()?);
        }
        let references = references.checked_sub(1)?;
        match next? {
            AttributeValue::UnitRef(entry) => self.name_of(sections, unit, entry, steps, references),
            AttributeValue::DebugInfoRef(offset) => {
                let after = self.units.partition_point(|unit| unit.start.0 <= offset.0);
                let other = &self.units[after.checked_sub(1)?];
                let unit = other.open(sections, steps)?;
                let entry = UnitOffset(offset.0 - other.start.0);
                (entry.0 < other.len).then_some(())?;
                self.name_of(sections, &unit, entry, steps, references)
            }
            _ => None,
        }
    }
}

impl UnitEntry {
    /// The unit's header and root, and the header of its line program.
    fn open<'a>(&self, sections: &Sections<'a>, steps: &Steps) -> Option<Unit<Slice<'a>>> {
        let header = sections.debug_info.header_from_offset(self.start).ok()?;
        let mut root = header.entries_raw(&self.abbreviations, None).ok()?;
        let mut line_program = None;
        read_attributes(&mut root, steps, |attribute, value| {
            if let (gimli::DW_AT_stmt_list, AttributeValue::DebugLineRef(offset)) = (attribute, value) {
                line_program = Some(offset);
            }
        })?;
        if let Some(offset) = line_program {
            count_line_header(sections, offset, steps)?;
        }
        Unit::new_with_abbreviations(sections, header, self.abbreviations.clone()).ok()
    }
}

impl Tables {
    fn read(sections: &Sections<'_>, unit: &Unit<Slice<'_>>, steps: &Steps) -> Option<Self> {
        Some(Tables { rows: read_rows(unit, steps)?.into(), functions: read_functions(sections, unit, steps)?.into() })
    }

    fn row_at(&self, address: u64) -> Option<&Row> {
        let after = self.rows.partition_point(|row| row.address <= address);
        self.rows[..after].last().filter(|row| !row.is_end)
    }

    /// The calls that were inlined around an address, innermost first, and then the function.
    fn functions_at(&self, address: u64) -> Vec<&Function> {
        let mut found: Vec<_> = self.functions.iter().filter(|function| function.code.contains(&address)).collect();
        found.sort_by_key(|function| std::cmp::Reverse(function.depth));
        // Functions aren't nested in functions.
        let len = found.iter().position(|function| !function.inlined).map_or(found.len(), |position| position + 1);
        found.truncate(len.min(MAX_FRAMES));
        found
    }
}

fn source(function: Option<String>, files: &Files<'_, '_>, place: Option<Place>) -> Source {
    let place = place.unwrap_or_default();
    let line = (place.line != 0).then_some(place.line);
    Source { function, file: files.path(place.file), line, column: line.map(|_| place.column) }
}

/// The attributes of the entry that comes next.
fn read_attributes<'a>(
    entries: &mut EntriesRaw<'_, Slice<'a>>,
    steps: &Steps,
    mut each: impl FnMut(DwAt, AttributeValue<Slice<'a>>),
) -> Option<()> {
    let abbreviation = entries.read_abbreviation().ok()??;
    steps.take(1 + abbreviation.attributes().len() as u64)?;
    for &spec in abbreviation.attributes() {
        let attribute = entries.read_attribute(spec).ok()?;
        each(attribute.name(), attribute.value());
    }
    Some(())
}

/// Counts a table of abbreviations, which takes some twenty times its bytes when it is read.
fn count_abbreviations(table: &[u8], steps: &Steps) -> Option<()> {
    let mut table = EndianSlice::new(table, LittleEndian);
    loop {
        let before = table.len();
        if table.read_uleb128().ok()? == 0 {
            return Some(());
        }
        table.read_uleb128().ok()?;
        table.read_u8().ok()?;
        loop {
            let (name, form) = (table.read_uleb128().ok()?, table.read_uleb128().ok()?);
            if form == u64::from(gimli::DW_FORM_implicit_const.0) {
                table.read_sleb128().ok()?;
            }
            steps.take(4)?;
            if (name, form) == (0, 0) {
                break;
            }
        }
        steps.take(4 * (before - table.len()) as u64)?;
    }
}

/// Counts the header of a line program. From version 5 on it says how many entries its lists have, and of which form: here each has at
/// least a byte.
fn count_line_header(sections: &Sections<'_>, offset: DebugLineOffset<usize>, steps: &Steps) -> Option<()> {
    let mut program = *sections.debug_line.reader();
    program.skip(offset.0).ok()?;
    let (len, format) = program.read_initial_length().ok()?;
    let mut program = program.split(len).ok()?;
    let version = program.read_u16().ok()?;
    if version >= 5 {
        program.skip(2).ok()?;
    }
    let header_len = program.read_length(format).ok()?;
    program.truncate(header_len).ok()?;
    steps.take(2 * header_len as u64)?;
    if version < 5 {
        return Some(());
    }
    // The length of an instruction, of operations, whether rows are statements, the base and range of lines.
    program.skip(5).ok()?;
    let opcodes = program.read_u8().ok()?;
    program.skip(usize::from(opcodes.saturating_sub(1))).ok()?;
    for _ in ["directories", "files"] {
        let forms = program.read_u8().ok()?;
        let mut has_path = false;
        let forms: Option<Vec<_>> = (0..forms)
            .map(|_| {
                let content = program.read_uleb128().ok()?;
                has_path |= content == u64::from(gimli::DW_LNCT_path.0);
                program.read_uleb128().ok()
            })
            .collect();
        let (forms, count) = (forms?, program.read_uleb128().ok()?);
        has_path.then_some(())?;
        for _ in 0..count {
            steps.take(8)?;
            forms.iter().try_for_each(|&form| skip_form(&mut program, form, format))?;
        }
    }
    Some(())
}

/// Skips a value in a list of files: of a form that has bytes.
fn skip_form(input: &mut Slice<'_>, form: u64, format: gimli::Format) -> Option<()> {
    let len = match gimli::DwForm(u16::try_from(form).ok()?) {
        gimli::DW_FORM_string => return input.read_null_terminated_slice().ok().map(drop),
        gimli::DW_FORM_udata | gimli::DW_FORM_strx => return input.read_uleb128().ok().map(drop),
        gimli::DW_FORM_block => usize::try_from(input.read_uleb128().ok()?).ok()?,
        gimli::DW_FORM_line_strp | gimli::DW_FORM_strp => usize::from(format.word_size()),
        gimli::DW_FORM_data1 | gimli::DW_FORM_strx1 => 1,
        gimli::DW_FORM_data2 | gimli::DW_FORM_strx2 => 2,
        gimli::DW_FORM_strx3 => 3,
        gimli::DW_FORM_data4 | gimli::DW_FORM_strx4 => 4,
        gimli::DW_FORM_data8 => 8,
        gimli::DW_FORM_data16 => 16,
        _ => return None,
    };
    input.skip(len).ok()
}

/// Where a unit's code is.
fn unit_ranges(sections: &Sections<'_>, unit: &Unit<Slice<'_>>, steps: &Steps) -> Option<Vec<Range<u64>>> {
    let mut code = Code::default();
    let mut root = unit.entries_raw(None).ok()?;
    read_attributes(&mut root, steps, |attribute, value| code.note(sections, unit, attribute, value))?;
    code.ranges(sections, unit, steps)
}

/// Where an entry's code is, from its attributes.
#[derive(Default)]
struct Code {
    low: Option<u64>,
    high: Option<u64>,
    len: Option<u64>,
    list: Option<RangeListsOffset<usize>>,
}

impl Code {
    fn note(
        &mut self,
        sections: &Sections<'_>,
        unit: &Unit<Slice<'_>>,
        attribute: DwAt,
        value: AttributeValue<Slice<'_>>,
    ) {
        match attribute {
            gimli::DW_AT_low_pc => self.low = sections.attr_address(unit, value).ok().flatten(),
            gimli::DW_AT_high_pc => match sections.attr_address(unit, value).ok().flatten() {
                Some(high) => self.high = Some(high),
                None => self.len = value.udata_value(),
            },
            gimli::DW_AT_ranges => self.list = sections.attr_ranges_offset(unit, value).ok().flatten(),
            _ => {}
        }
    }

    fn ranges(&self, sections: &Sections<'_>, unit: &Unit<Slice<'_>>, steps: &Steps) -> Option<Vec<Range<u64>>> {
        let mut found = Vec::new();
        let mut add = |range: Range<u64>| {
            // Linkers leave code that they dropped at the start.
            if range.start != 0 && range.start < range.end {
                found.push(range);
            }
        };
        if let Some(list) = self.list {
            let mut ranges = sections.ranges(unit, list).ok()?;
            while let Some(raw) = ranges.next_raw().ok()? {
                steps.take(16)?;
                if let Some(range) = ranges.convert_raw(raw).ok()? {
                    add(range.begin..range.end);
                }
            }
        } else if let Some(low) = self.low
            && let Some(high) = self.high.or_else(|| low.checked_add(self.len?))
        {
            add(low..high);
        }
        Some(found)
    }
}

/// The functions of a unit that have code, and calls that were inlined.
fn read_functions(sections: &Sections<'_>, unit: &Unit<Slice<'_>>, steps: &Steps) -> Option<Vec<Function>> {
    let mut functions = Vec::new();
    let mut entries = unit.entries_raw(None).ok()?;
    while !entries.is_empty() {
        steps.take(1)?;
        let (entry, depth) = (entries.next_offset(), entries.next_depth());
        let Some(abbreviation) = entries.read_abbreviation().ok()? else { continue };
        steps.take(abbreviation.attributes().len() as u64)?;
        let inlined = abbreviation.tag() == gimli::DW_TAG_inlined_subroutine;
        if !inlined && abbreviation.tag() != gimli::DW_TAG_subprogram {
            entries.skip_attributes(abbreviation.attributes()).ok()?;
            continue;
        }
        let (mut code, mut call) = (Code::default(), Place::default());
        for &spec in abbreviation.attributes() {
            let attribute = entries.read_attribute(spec).ok()?;
            let number = || attribute.value().udata_value().and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
            match attribute.name() {
                gimli::DW_AT_call_line => call.line = number(),
                gimli::DW_AT_call_column => call.column = number(),
                gimli::DW_AT_call_file => {
                    call.file = match attribute.value() {
                        AttributeValue::FileIndex(index) => u32::try_from(index).unwrap_or(0),
                        _ => number(),
                    };
                }
                name => code.note(sections, unit, name, attribute.value()),
            }
        }
        let depth = u32::try_from(depth).unwrap_or(0);
        let ranges = code.ranges(sections, unit, steps)?;
        functions.extend(ranges.into_iter().map(|code| Function { code, entry, depth, inlined, call }));
    }
    Some(functions)
}

/// The lines of a unit, ascending by address.
fn read_rows(unit: &Unit<Slice<'_>>, steps: &Steps) -> Option<Vec<Row>> {
    let Some(program) = unit.line_program.clone() else { return Some(Vec::new()) };
    steps.take(4 * program.header().unit_length() as u64)?;
    let (mut found, mut sequences) = (Vec::<Row>::new(), Vec::new());
    let mut first = 0;
    let mut rows = program.rows();
    while let Some((_, row)) = rows.next_row().ok()? {
        let column = match row.column() {
            gimli::ColumnType::LeftEdge => 0,
            gimli::ColumnType::Column(column) => column.get() as u32,
        };
        let line = row.line().map_or(0, |line| line.get() as u32);
        let file = u32::try_from(row.file_index()).unwrap_or(u32::MAX);
        let row = Row { address: row.address(), file, line, column, is_end: row.end_sequence() };
        // The last row of an address counts.
        if found[first..].last().is_some_and(|last| last.address == row.address) {
            found.pop();
        }
        found.push(row);
        if row.is_end {
            sequences.push(first..found.len());
            first = found.len();
        }
    }
    // Those of code that the linker dropped lie at the start.
    sequences.retain(|rows| found[rows.start].address != 0 && found[rows.clone()].is_sorted_by_key(|row| row.address));
    sequences.sort_by_key(|rows| found[rows.start].address);
    let mut ascending: Vec<Row> = Vec::new();
    for sequence in sequences {
        let start = found[sequence.start].address;
        match ascending.last() {
            Some(last) if last.address > start => continue,
            Some(last) if last.address == start => drop(ascending.pop()),
            _ => {}
        }
        ascending.extend_from_slice(&found[sequence]);
    }
    Some(ascending)
}

/// The files of a unit.
struct Files<'a, 'bytes> {
    sections: &'a Sections<'bytes>,
    unit: &'a Unit<Slice<'bytes>>,
}

impl Files<'_, '_> {
    fn path(&self, number: u32) -> Option<String> {
        let header = self.unit.line_program.as_ref()?.header();
        let file = header.file(number.into())?;
        let mut path = self.unit.comp_dir.and_then(text).unwrap_or_default();
        // Directory 0 is the unit's.
        if file.directory_index() != 0
            && let Some(directory) = file.directory(header)
        {
            join(&mut path, &text(self.sections.attr_string(self.unit, directory).ok()?)?);
        }
        join(&mut path, &text(self.sections.attr_string(self.unit, file.path_name()).ok()?)?);
        Some(Shortened(&path).text().into_owned())
    }
}

/// Text of DWARF, as much as would be shown.
fn text(bytes: Slice<'_>) -> Option<String> {
    let bytes = bytes.slice();
    Some(String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_TEXT + 4)]).into_owned())
}

/// Appends a relative path; an absolute one takes the place of what was there. The guest may have been compiled on Windows.
fn join(path: &mut String, more: &str) {
    let has_drive = |path: &str, slash: &str| path.get(1..3).is_some_and(|start| start == format!(":{slash}"));
    let is_windows = |path: &str| path.starts_with('\\') || has_drive(path, "\\");
    if more.starts_with('/') || has_drive(more, "/") || is_windows(more) {
        path.clear();
    }
    let separator = if is_windows(path) { '\\' } else { '/' };
    if !path.is_empty() && !path.ends_with(separator) {
        path.push(separator);
    }
    path.push_str(more);
}
