//! Artifacts: compiled modules as bytes.
//!
//! ```text
//! header        see `FileHeader`, with the ends of the parts from here to the kept bytes     \
//! identity      version and target, then features, tunables, builtins                        | covered by the first checksum,
//! description   the `ModuleDescription` without its lists, and how long these are            | checked at every load
//! words         of each function the type, and the place among those that can be             |
//!               referred to; of each own one where its code begins: read where they lie     /
//! lists         segments, and bodies: decoded when asked for, each with a checksum          \
//! thunks        for the module's types, see `engine::thunks`                                  | covered by the second checksum,
//! places        for each function a word: where what is known of it ends                     | checked where the bytes are read
//! infos         what is known of each function, with a checksum: decoded when asked for      | anyway
//! kept bytes    the parts of the module that are still needed: data segments, names,         |
//!               debug sections                                                               |
//! text          machine code, at a page boundary, to the end of the file                    /
//! ```
//!
//! An artifact is code: whoever can write one can do anything in the process that loads it. What is checked here is that it is whole,
//! and made for an engine like this. Damage is reported, and parsing is safe for any bytes.
//!
//! Loading a file maps it and reads the first part only, of which most is read as words, at memory speed. The file must not change while the module is in use; replacing it by
//! another of the same name is fine.

use crate::engine::code_memory::CodeMemory;
use crate::module::code_table::ModuleCode;
use crate::module::storage::Storage;
use ampoule_core::artifact::{FunctionInfo, checksum};
use ampoule_core::builtins::Builtin;
use ampoule_core::features::Features;
use ampoule_core::file_header::{self, FileHeader, Unfit};
use ampoule_core::index::{DefinedFuncIndex, FuncIndex};
use ampoule_core::late::Late;
use ampoule_core::module::ModuleDescription;
use ampoule_core::tunables::Tunables;
use ampoule_core::words::{Word, WordBytes, Words};
use ampoule_machine::arch::cpu;
use ampoule_machine::arch::jumps::HEAD_LEN;
use ampoule_machine::code::CodeError;
use ampoule_machine::code::link::Text;
use ampoule_machine::code::space::REGION_MAX;
use ampoule_machine::os::mmap::PAGE;
use ampoule_machine::os::sync::OnceLock;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

/// The first bytes of every artifact. The last one counts layouts of the file.
const MAGIC: [u8; 8] = *b"\x7fAMPOUL\x08";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What an artifact must have been made for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Target and CPU features, as `Compiler::target` tells; empty where there is no compiler. Code for another target is accepted
    /// where it runs on this machine.
    pub target: &'a str,
    /// The accepted proposals.
    pub features: &'a Features,
    /// The choices shared by code and runtime.
    pub tunables: &'a Tunables,
}

/// A module out of an artifact.
pub struct Loaded {
    /// What the module's bytes said.
    pub module: Arc<ModuleDescription>,
    /// The parts of them that are still needed.
    pub bytes: KeptBytes,
    /// Its code.
    pub code: Arc<ModuleCode>,
    /// What [`serialize`] was given as thunks.
    pub thunks: StoredPart,
}

/// A part of an artifact, which keeps the whole.
pub struct StoredPart {
    storage: Arc<Storage>,
    range: Range<usize>,
}

impl AsRef<[u8]> for StoredPart {
    fn as_ref(&self) -> &[u8] {
        &self.storage.bytes()[self.range.clone()]
    }
}

/// Whether bytes claim to be an artifact, of whatever version.
pub fn is_artifact(bytes: &[u8]) -> bool {
    file_header::has_magic(bytes, MAGIC)
}

/// Makes an artifact. `bytes` answers any range of the module's bytes that its description tells; `thunks` are kept as they are.
///
/// # Errors
/// Where something is too large to be written down.
pub fn serialize<'a>(
    made_for: Expected<'_>,
    module: &ModuleDescription,
    bytes: impl Fn(&Range<u64>) -> &'a [u8],
    text: &Text,
    thunks: &[u8],
) -> Result<Vec<u8>, CodeError> {
    assert!(
        text.bytes.len().is_multiple_of(PAGE) && text.starts.len() == module.bodies.len(),
        "the text is this module's"
    );
    let too_large = |_| CodeError::Artifact("the module is too large to be serialized".to_string());
    let mut file = vec![0; Header::LEN];
    file.extend_from_slice(&identity(made_for)?);
    append(&mut file, &(module, Counts::of(module)))?;
    file.extend_from_slice(&module.functions.to_bytes());
    file.extend_from_slice(&module.func_ref_positions.to_bytes());
    file.extend_from_slice(&text.starts.to_bytes());
    let mut ends = [file.len() as u64; PARTS];
    append_late(&mut file, &module.elems)?;
    ends[Part::Elems as usize] = file.len() as u64;
    append_late(&mut file, &module.datas)?;
    ends[Part::Datas as usize] = file.len() as u64;
    append_late(&mut file, &module.bodies)?;
    ends[Part::Bodies as usize] = file.len() as u64;
    file.extend_from_slice(thunks);
    ends[Part::Thunks as usize] = file.len() as u64;
    let mut infos = Vec::new();
    for (func, info) in (0..).map(DefinedFuncIndex).zip(&text.infos) {
        let start = infos.len();
        append(&mut infos, info)?;
        let sum = info_checksum(&infos[start..], func);
        infos.extend_from_slice(&sum.to_le_bytes());
        let end = u32::try_from(infos.len()).map_err(too_large)?;
        file.extend_from_slice(&end.to_le_bytes());
    }
    ends[Part::Places as usize] = file.len() as u64;
    file.extend_from_slice(&infos);
    ends[Part::Infos as usize] = file.len() as u64;
    for range in kept_ranges(module, keeps_debug_sections(made_for.tunables)) {
        let kept = bytes(&range);
        assert_eq!(kept.len() as u64, range.end - range.start, "the bytes are the module's");
        file.extend_from_slice(kept);
    }
    ends[Part::Kept as usize] = file.len() as u64;
    file.resize(file.len().next_multiple_of(PAGE), 0);
    file.extend_from_slice(&text.bytes);
    let (head, rest) = file.split_at_mut(ends[Part::Checked as usize] as usize);
    Header::seal(MAGIC, head, rest, ends);
    Ok(file)
}

/// What an artifact's engine is told by.
///
/// # Errors
/// Where something is too large to be written down.
pub fn identity(made_for: Expected<'_>) -> Result<Vec<u8>, CodeError> {
    let mut identity = Vec::new();
    append(&mut identity, &(VERSION, made_for.target))?;
    append(&mut identity, &(made_for.features, made_for.tunables, builtins_checksum()))?;
    Ok(identity)
}

/// Loads an artifact, whose code is counted in `memory`. The bytes are copied where they are needed.
///
/// # Errors
/// [`CodeError::Artifact`] says what doesn't fit or is damaged; [`CodeError::System`] where code memory has run out.
pub fn load_bytes(memory: &Arc<CodeMemory>, bytes: &[u8], expected: Expected<'_>) -> Result<Loaded, CodeError> {
    let header = read_header(bytes)?;
    header.check_rest(bytes).map_err(unfit)?;
    let text = text_of(&header);
    let storage = Storage::Owned(bytes[..text.start].to_vec());
    load(memory, header, storage, expected, |region| region.write(HEAD_LEN, &bytes[text.clone()]))
}

/// Loads an artifact from a file, which is mapped: its code is shared with every process that loads it, and read when it runs.
///
/// The part of the file with code and data is not read, so damage there is not noticed.
///
/// # Errors
/// As [`load_bytes`]; [`CodeError::System`] also where the file can't be mapped.
pub fn load_file(memory: &Arc<CodeMemory>, file: &File, expected: Expected<'_>) -> Result<Loaded, CodeError> {
    let unreadable = |error| CodeError::System("mapping a compiled module", error);
    let len = file.metadata().map_err(unreadable)?.len();
    load_part_of_file(memory, file, 0..len, expected)
}

/// As [`load_file`], for an artifact that is a part of the file, from a page boundary on.
///
/// # Errors
/// As [`load_file`].
pub fn load_part_of_file(
    memory: &Arc<CodeMemory>,
    file: &File,
    part: Range<u64>,
    expected: Expected<'_>,
) -> Result<Loaded, CodeError> {
    let len = usize::try_from(part.end.saturating_sub(part.start)).map_err(|_| damaged("its length is wrong"))?;
    if len < Header::LEN || !part.start.is_multiple_of(PAGE as u64) {
        return Err(damaged("it is too short"));
    }
    let unreadable = |error| CodeError::System("mapping a compiled module", error);
    let storage = Storage::map(file, part.start, len).map_err(unreadable)?;
    let header = read_header(storage.bytes())?;
    let text = text_of(&header);
    load(memory, header, storage, expected, |region| {
        region.map_file(HEAD_LEN..HEAD_LEN + text.len(), file, part.start + text.start as u64)
    })
}

/// Everything but bringing the code into its region, which `place` does.
fn load(
    memory: &Arc<CodeMemory>,
    header: Header,
    storage: Storage,
    expected: Expected<'_>,
    place: impl FnOnce(&ampoule_machine::code::space::Region) -> std::io::Result<()>,
) -> Result<Loaded, CodeError> {
    let storage = Arc::new(storage);
    let bytes = storage.bytes();
    let checked = Header::LEN..header.end(Part::Checked as usize);
    let (made_with, rest) = check_identity(&bytes[checked.clone()], expected)?;
    let (description, words) = postcard::take_from_bytes(rest).map_err(unreadable)?;
    let (mut module, counts): (ModuleDescription, Counts) = description;
    let mut at = checked.end - words.len();
    let functions = usize::try_from(counts.functions).map_err(|_| damaged("it has too many functions"))?;
    let own = functions.checked_sub(module.num_imported_functions).filter(|&own| own as u64 == counts.bodies);
    let own = own.ok_or_else(|| damaged("its functions don't fit its description"))?;
    module.functions = take_words(&storage, &mut at, checked.end, functions)?;
    module.func_ref_positions = take_words(&storage, &mut at, checked.end, functions)?;
    let starts = take_words(&storage, &mut at, checked.end, own)?;
    if at != checked.end || counts.func_refs > counts.functions {
        return Err(damaged("its functions don't fit its description"));
    }
    let positions = module.func_ref_positions.clone();
    let func_refs = counts.func_refs as usize;
    module.func_refs = Late::new(func_refs, move || {
        let mut refs = vec![FuncIndex(0); func_refs];
        for (func, position) in (0..).map(FuncIndex).zip(positions.iter()) {
            let Some(position) = position else { continue };
            *refs.get_mut(position.index())? = func;
        }
        Some(refs)
    });
    let part = |part: Part| header.end(part as usize - 1)..header.end(part as usize);
    module.elems = late(&storage, part(Part::Elems), counts.elems)?;
    module.datas = late(&storage, part(Part::Datas), counts.datas)?;
    module.bodies = late(&storage, part(Part::Bodies), counts.bodies)?;
    let thunks = StoredPart { storage: storage.clone(), range: part(Part::Thunks) };
    let module = Arc::new(module);
    let kept = KeptBytes {
        storage: storage.clone(),
        at: part(Part::Kept),
        module: module.clone(),
        with_debug_sections: keeps_debug_sections(&made_with),
        ranges: OnceLock::new(),
    };
    let places = Words::kept(storage.clone(), part(Part::Places)).filter(|places| places.len() == own);
    let places = places.ok_or_else(|| damaged("its functions don't fit its description"))?;
    let (infos, of_infos) = (part(Part::Infos), storage.clone());
    let read_info = move |func| read_info(&places, &of_infos.bytes()[infos.clone()], func);
    let imported = module.num_imported_functions;
    let code = ModuleCode::linked_by(memory, text_of(&header).len(), starts, imported, Box::new(read_info), place)?;
    Ok(Loaded { module, bytes: kept, code, thunks })
}

/// Answers what it was made with, and what follows.
fn check_identity<'a>(identity: &'a [u8], expected: Expected<'_>) -> Result<(Tunables, &'a [u8]), CodeError> {
    let ((version, target), rest): ((&str, &str), _) = postcard::take_from_bytes(identity).map_err(unreadable)?;
    expect("version", version, VERSION, version == VERSION)?;
    if target != expected.target {
        cpu::check(target).map_err(CodeError::Artifact)?;
    }
    // Only now: another version may write other things.
    let ((features, tunables, builtins), rest): ((Features, Tunables, u64), _) =
        postcard::take_from_bytes(rest).map_err(unreadable)?;
    expect("set of builtins", builtins, builtins_checksum(), builtins == builtins_checksum())?;
    /// Goes through all fields of a struct; one that is left out doesn't compile.
    macro_rules! expect_fields {
        ($type:ident, $found:expr, $expected:expr, $fits:expr, $($field:ident)*, $($free:ident)*) => {{
            let $type { $($field,)* $($free: _),* } = $found;
            $(expect(concat!("setting `", stringify!($field), "`"), $field, $expected.$field, $fits($field, $expected.$field))?;)*
        }};
    }
    // What was valid with fewer proposals is valid with more; what only components have is none of a module's.
    expect_fields!(
        Features, features, expected.features, |found: bool, expected: bool| expected || !found,
        reference_types bulk_memory multi_value simd relaxed_simd tail_call multi_memory memory64 threads extended_const
        wide_arithmetic custom_page_sizes compact_imports branch_hinting function_references gc_types gc exceptions
        legacy_exceptions stack_switching,
        component_model component_model_map concurrency_support component_model_async component_model_async_stackful
        component_model_more_async_builtins component_model_forward component_model_threading
        component_model_error_context
        component_model_fixed_length_lists component_model_canonical_names component_model_implements
        component_model_accessors component_model_nested_names component_model_memory64 component_model_gc
        component_model_values
    );
    // How the compiler worked doesn't matter to what its code expects, and what is kept for backtraces doesn't either.
    expect_fields!(
        Tunables, tunables, expected.tunables, same,
        consume_fuel epoch_interruption cancellation statistics nan_canonicalization relaxed_simd_deterministic
        signals_based_traps spectre_mitigation debug_info memory_reservation memory_guard_size memory_may_move,
        opt_level debug_verifier debug_least_effort debug_hot debug_positions tiers backtrace_details
    );
    Ok((tunables, rest))
}

fn same<T: PartialEq>(found: T, expected: T) -> bool {
    found == expected
}

fn expect<T: Debug>(what: &str, found: T, expected: T, fits: bool) -> Result<(), CodeError> {
    if fits {
        return Ok(());
    }
    Err(CodeError::Artifact(format!("module was compiled with {what} {found:?}, but this engine has {expected:?}")))
}

/// What is known of a function; `None` where the artifact is damaged there.
fn read_info(places: &Words<u32>, infos: &[u8], func: DefinedFuncIndex) -> Option<FunctionInfo> {
    let end = places.get(func.index())? as usize;
    let start = func.index().checked_sub(1).map_or(Some(0), |before| places.get(before))? as usize;
    let (info, sum) = infos.get(start..end)?.split_last_chunk()?;
    if info_checksum(info, func) != u32::from_le_bytes(*sum) {
        return None;
    }
    postcard::from_bytes(info).ok()
}

/// Each function has a number of its own in it, so that none is taken for another.
fn info_checksum(info: &[u8], func: DefinedFuncIndex) -> u32 {
    (checksum(info) as u32).wrapping_add(func.0)
}

/// The parts of a module's bytes that an artifact keeps.
pub struct KeptBytes {
    storage: Arc<Storage>,
    /// Where they lie in the artifact, one after another.
    at: Range<usize>,
    module: Arc<ModuleDescription>,
    with_debug_sections: bool,
    /// Ascending in the module; worked out when first needed.
    ranges: OnceLock<Box<[KeptRange]>>,
}

/// A range in the module, and where it starts in the artifact.
type KeptRange = (Range<u64>, usize);

impl KeptBytes {
    /// None where they don't fit what the artifact has room for: no artifact that was written and is whole.
    fn ranges(&self) -> &[KeptRange] {
        self.ranges.get_or_init(|| {
            let mut at = self.at.start;
            let mut place = |range: Range<u64>| {
                let start = at;
                let len = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
                at = at.checked_add(len)?;
                Some((range, start))
            };
            let ranges: Option<Box<[_]>> =
                kept_ranges(&self.module, self.with_debug_sections).into_iter().map(&mut place).collect();
            ranges.filter(|_| at == self.at.end).unwrap_or_default()
        })
    }

    /// The bytes of a range of the module; empty where they are not kept.
    pub fn range(&self, range: &Range<u64>) -> &[u8] {
        let ranges = self.ranges();
        let after = ranges.partition_point(|(kept, _)| kept.start <= range.start);
        let Some((kept, at)) = after.checked_sub(1).map(|before| &ranges[before]) else { return &[] };
        if range.start > range.end || range.end > kept.end {
            return &[];
        }
        let start = at + (range.start - kept.start) as usize;
        &self.storage.bytes()[start..start + (range.end - range.start) as usize]
    }
}

impl Debug for KeptBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("KeptBytes").field(&self.ranges()).finish()
    }
}

/// Whether an artifact of this engine has the sections with debug information.
pub(crate) fn keeps_debug_sections(tunables: &Tunables) -> bool {
    tunables.debug_info || tunables.backtrace_details
}

/// How long a module's bytes have to be for what is needed of them beside its description, bodies included. What is behind is DWARF, as a rule, and
/// may be larger than all the rest.
#[cfg(feature = "compiler")]
pub(crate) fn needed_len(module: &ModuleDescription, with_debug_sections: bool) -> usize {
    let kept = kept_ranges(module, with_debug_sections);
    kept.iter().map(|range| range.end).max().unwrap_or(0).max(module.code_section.end) as usize
}

/// What of a module's bytes is needed beside its description and code, ascending.
fn kept_ranges(module: &ModuleDescription, with_debug_sections: bool) -> Vec<Range<u64>> {
    let debug_sections = module.debug_sections.iter().filter(|_| with_debug_sections).map(|(_, range)| range);
    let datas = module.datas.iter().map(|data| &data.bytes);
    let mut ranges: Vec<_> = datas.chain(&module.name_section).chain(debug_sections).cloned().collect();
    ranges.retain(|range| range.start < range.end);
    ranges.sort_by_key(|range| range.start);
    ranges
}

/// The parts before the text, in order. Each ends where the next starts; the text ends with the file.
#[derive(Clone, Copy)]
enum Part {
    /// Header, identity, description, words.
    Checked,
    Elems,
    Datas,
    Bodies,
    Thunks,
    Places,
    Infos,
    Kept,
}

const PARTS: usize = Part::Kept as usize + 1;

type Header = FileHeader<PARTS>;

/// Reads the header of a whole artifact, and makes sure that all parts lie in the file, one after another, and that the first are
/// undamaged.
fn read_header(file: &[u8]) -> Result<Header, CodeError> {
    let header = Header::read(MAGIC, file, file.len() as u64).map_err(unfit)?;
    let text_len = header.file_len().checked_sub(text_of(&header).start);
    if !text_len.is_some_and(|len| len.is_multiple_of(PAGE) && len <= REGION_MAX - HEAD_LEN) {
        return Err(damaged("its parts are not in order"));
    }
    header.check(file).map_err(unfit)?;
    Ok(header)
}

/// Where the text is.
fn text_of(header: &Header) -> Range<usize> {
    header.end(Part::Kept as usize).next_multiple_of(PAGE)..header.file_len()
}

fn unfit(unfit: Unfit) -> CodeError {
    match unfit {
        Unfit::Other => CodeError::Artifact("these bytes are not a compiled module".to_string()),
        Unfit::OtherVersion => CodeError::Artifact("module was compiled by another version of this engine".to_string()),
        Unfit::Damaged(how) => damaged(how),
    }
}

/// How long the lists are that a description is kept without.
#[derive(Serialize, Deserialize)]
struct Counts {
    functions: u64,
    func_refs: u64,
    elems: u64,
    datas: u64,
    bodies: u64,
}

impl Counts {
    fn of(module: &ModuleDescription) -> Self {
        Counts {
            functions: module.functions.len() as u64,
            func_refs: module.func_refs.len() as u64,
            elems: module.elems.len() as u64,
            datas: module.datas.len() as u64,
            bodies: module.bodies.len() as u64,
        }
    }
}

/// The next words of the storage, `count` of them, which end no later than `end`.
fn take_words<T: Word>(
    storage: &Arc<Storage>,
    at: &mut usize,
    end: usize,
    count: usize,
) -> Result<Words<T>, CodeError> {
    let part_end = count.checked_mul(4).and_then(|len| at.checked_add(len)).filter(|&part_end| part_end <= end);
    let part = *at..part_end.ok_or_else(|| damaged("its functions are not all there"))?;
    *at = part.end;
    let storage: WordBytes = storage.clone();
    Ok(Words::kept(storage, part).expect("it is there, and of words"))
}

/// Appends a list with its checksum.
fn append_late<T: Serialize + Clone + Default>(file: &mut Vec<u8>, list: &Late<T>) -> Result<(), CodeError> {
    let mut encoded = Vec::new();
    append(&mut encoded, &**list)?;
    file.extend_from_slice(&checksum(&encoded).to_le_bytes());
    file.extend_from_slice(&encoded);
    Ok(())
}

/// The list of `len` elements in this part of the storage.
fn late<T>(storage: &Arc<Storage>, part: Range<usize>, len: u64) -> Result<Late<T>, CodeError>
where
    T: DeserializeOwned + Clone + Default + 'static,
{
    let len = usize::try_from(len).ok().filter(|&len| len <= part.len());
    let len = len.ok_or_else(|| damaged("a list is shorter than it says"))?;
    let storage = storage.clone();
    let decode = move || {
        let (sum, encoded) = storage.bytes()[part.clone()].split_first_chunk()?;
        if checksum(encoded) != u64::from_le_bytes(*sum) {
            return None;
        }
        postcard::from_bytes(encoded).ok()
    };
    Ok(Late::new(len, decode))
}

fn append(file: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<(), CodeError> {
    let bytes = postcard::to_stdvec(value);
    file.extend_from_slice(&bytes.map_err(|error| CodeError::Artifact(format!("cannot serialize: {error}")))?);
    Ok(())
}

fn damaged(how: &str) -> CodeError {
    CodeError::Artifact(format!("the compiled module is damaged: {how}"))
}

fn unreadable(error: postcard::Error) -> CodeError {
    CodeError::Artifact(format!("the compiled module is damaged: {error}"))
}

/// Changes when builtins do: code refers to them by their place in the list.
fn builtins_checksum() -> u64 {
    let names: Vec<u8> = Builtin::ALL.iter().flat_map(|builtin| builtin.name().bytes().chain([0])).collect();
    checksum(&names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_notices_every_bit() {
        let mut bytes: Vec<u8> = (0..100).collect();
        let sum = checksum(&bytes);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum(&bytes), sum);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert_ne!(checksum(&bytes[..99]), sum);
        bytes.push(0);
        assert_ne!(checksum(&bytes), sum, "zeros at the end count");
    }
}
