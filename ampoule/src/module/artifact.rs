//! Artifacts: compiled modules as bytes.
//!
//! ```text
//! header        see `Header`: ten 64-bit words, little-endian             \
//! identity      version and target, then features, tunables, builtins      | covered by the first checksum,
//! description   the `ModuleDescription`, and thunks for its types;          | checked at every load
//!               its data segments and bodies, decoded when asked for       |
//! index         for each function five 32-bit words, see `IndexEntry`      /
//! infos         what is known of each function, decoded when asked for     \
//! kept bytes    the parts of the module that are still needed: data         | covered by the second checksum, checked
//!               segments, names, debug sections                             | where the bytes are read anyway
//! text          machine code, at a page boundary, to the end of the file   /
//! ```
//!
//! An artifact is code: whoever can write one can do anything in the process that loads it. What is checked here is that it is whole,
//! and made for an engine like this. Damage is reported, and parsing is safe for any bytes.
//!
//! Loading a file maps it and reads the first part only. The file must not change while the module is in use; replacing it by
//! another of the same name is fine.

use crate::engine::code_memory::CodeMemory;
use crate::module::code_table::ModuleCode;
use ampoule_core::artifact::{FunctionInfo, checksum};
use ampoule_core::builtins::Builtin;
use ampoule_core::features::Features;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::late::Late;
use ampoule_core::module::ModuleDescription;
use ampoule_core::tunables::Tunables;
use ampoule_machine::arch::cpu;
use ampoule_machine::arch::jumps::HEAD_LEN;
use ampoule_machine::code::CodeError;
use ampoule_machine::code::link::Text;
use ampoule_machine::code::space::REGION_MAX;
use ampoule_machine::os::mmap::{Access, Mapping, PAGE};
use ampoule_machine::os::sync::OnceLock;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

/// The first bytes of every artifact. The last one counts layouts of the file.
const MAGIC: [u8; 8] = *b"\x7fAMPOUL\x05";

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
    bytes.starts_with(&MAGIC[..7])
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
        text.bytes.len().is_multiple_of(PAGE) && text.spans.len() == module.bodies.len(),
        "the text is this module's"
    );
    let mut file = vec![0; Header::LEN];
    file.extend_from_slice(&identity(made_for)?);
    let identity_end = file.len();
    append(&mut file, module)?;
    append_late(&mut file, &module.datas)?;
    append_late(&mut file, &module.bodies)?;
    file.extend_from_slice(thunks);
    let description_end = file.len();
    let mut infos = Vec::new();
    for (&(start, len), info) in text.spans.iter().zip(&text.infos) {
        let info_start = infos.len();
        append(&mut infos, info)?;
        let info_len = infos.len() - info_start;
        let too_large = |_| CodeError::Artifact("the module is too large to be serialized".to_string());
        IndexEntry {
            start,
            len,
            info_start: u32::try_from(info_start).map_err(too_large)?,
            info_len: info_len as u32,
            info_checksum: checksum(&infos[info_start..]) as u32,
        }
        .write(&mut file);
    }
    let checked_end = file.len();
    file.extend_from_slice(&infos);
    let infos_end = file.len();
    for range in kept_ranges(module, keeps_debug_sections(made_for.tunables)) {
        let kept = bytes(&range);
        assert_eq!(kept.len() as u64, range.end - range.start, "the bytes are the module's");
        file.extend_from_slice(kept);
    }
    let kept_end = file.len();
    file.resize(kept_end.next_multiple_of(PAGE), 0);
    file.extend_from_slice(&text.bytes);
    let mut header = Header {
        checked_checksum: 0,
        rest_checksum: checksum(&file[checked_end..]),
        file_len: file.len() as u64,
        identity_end: identity_end as u64,
        description_end: description_end as u64,
        checked_end: checked_end as u64,
        infos_end: infos_end as u64,
        kept_end: kept_end as u64,
        functions: text.spans.len() as u64,
    };
    header.write(&mut file);
    header.checked_checksum = checksum(&file[Header::CHECKED_FROM..checked_end]);
    header.write(&mut file);
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
    let header = Header::check(bytes)?;
    if checksum(&bytes[header.checked_end as usize..]) != header.rest_checksum {
        return Err(damaged("its checksum is wrong"));
    }
    let text = header.text();
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
    let mapping = Mapping::private_part_of_file(file, part.start, len, Access::Read).map_err(unreadable)?;
    let storage = Storage::Mapped(mapping, len);
    let header = Header::check(storage.bytes())?;
    let text = header.text();
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
    let made_with = check_identity(&bytes[Header::LEN..header.identity_end as usize], expected)?;
    let description = &bytes[header.identity_end as usize..header.description_end as usize];
    let (mut module, rest): (ModuleDescription, _) = postcard::take_from_bytes(description).map_err(unreadable)?;
    module.number_func_refs();
    let (datas, rest) = take_late(&storage, rest)?;
    let (bodies, thunks) = take_late(&storage, rest)?;
    (module.datas, module.bodies) = (datas, bodies);
    let end = header.description_end as usize;
    let thunks = StoredPart { storage: storage.clone(), range: end - thunks.len()..end };
    let module = Arc::new(module);
    if header.functions != module.bodies.len() as u64 {
        return Err(damaged("its functions don't fit its description"));
    }
    let spans = read_spans(&header, bytes)?;
    let kept = KeptBytes {
        storage: storage.clone(),
        at: header.infos_end..header.kept_end,
        module: module.clone(),
        with_debug_sections: keeps_debug_sections(&made_with),
        ranges: OnceLock::new(),
    };
    let read_info = {
        let storage = storage.clone();
        move |func| read_info(&header, storage.bytes(), func)
    };
    let imported = module.num_imported_functions;
    let code = ModuleCode::linked_by(memory, header.text().len(), spans, imported, Box::new(read_info), place)?;
    Ok(Loaded { module, bytes: kept, code, thunks })
}

/// Answers what it was made with.
fn check_identity(identity: &[u8], expected: Expected<'_>) -> Result<Tunables, CodeError> {
    let ((version, target), rest): ((&str, &str), _) = postcard::take_from_bytes(identity).map_err(unreadable)?;
    expect("version", version, VERSION, version == VERSION)?;
    if target != expected.target {
        cpu::check(target).map_err(CodeError::Artifact)?;
    }
    // Only now: another version may write other things.
    let ((features, tunables, builtins), _): ((Features, Tunables, u64), _) =
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
        opt_level debug_verifier debug_least_effort debug_positions tiers backtrace_details
    );
    Ok(tunables)
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

/// The start and length of each function, checked.
fn read_spans(header: &Header, file: &[u8]) -> Result<Box<[(u32, u32)]>, CodeError> {
    let index = &file[header.description_end as usize..header.checked_end as usize];
    let (text_len, infos_len) = (header.text().len() as u64, header.infos_end - header.checked_end);
    let mut free_from = 0;
    let mut spans = Vec::with_capacity(index.len() / IndexEntry::LEN);
    for entry in index.chunks_exact(IndexEntry::LEN).map(IndexEntry::read) {
        let end = u64::from(entry.start) + u64::from(entry.len);
        let info_end = u64::from(entry.info_start) + u64::from(entry.info_len);
        if u64::from(entry.start) < free_from || end > text_len || info_end > infos_len {
            return Err(damaged("a function lies outside of its code"));
        }
        free_from = end;
        spans.push((entry.start, entry.len));
    }
    Ok(spans.into())
}

/// What is known of a function; `None` where the artifact is damaged there.
fn read_info(header: &Header, file: &[u8], func: DefinedFuncIndex) -> Option<FunctionInfo> {
    let at = header.description_end as usize + func.index() * IndexEntry::LEN;
    let entry = IndexEntry::read(&file[at..at + IndexEntry::LEN]);
    let start = header.checked_end as usize + entry.info_start as usize;
    let info = &file[start..start + entry.info_len as usize];
    if checksum(info) as u32 != entry.info_checksum {
        return None;
    }
    postcard::from_bytes(info).ok()
}

/// The parts of a module's bytes that an artifact keeps.
pub struct KeptBytes {
    storage: Arc<Storage>,
    /// Where they lie in the artifact, one after another.
    at: Range<u64>,
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
                at = at.checked_add(range.end.checked_sub(range.start)?)?;
                Some((range, start as usize))
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

/// An artifact's bytes, or at least those before its text.
enum Storage {
    Owned(Vec<u8>),
    /// With the file's length, which may end within the last page.
    Mapped(Mapping, usize),
}

impl Storage {
    fn bytes(&self) -> &[u8] {
        match self {
            Storage::Owned(bytes) => bytes,
            // SAFETY: that many bytes of the file are mapped, and nobody writes to the mapping.
            Storage::Mapped(mapping, len) => unsafe { std::slice::from_raw_parts(mapping.base(), *len) },
        }
    }
}

/// The start of an artifact. Each part ends where the next starts; the text ends with the file.
#[derive(Clone, Copy, Debug)]
struct Header {
    /// Over everything from the next field to `checked_end`.
    checked_checksum: u64,
    /// Over everything from `checked_end` on.
    rest_checksum: u64,
    file_len: u64,
    identity_end: u64,
    description_end: u64,
    checked_end: u64,
    infos_end: u64,
    kept_end: u64,
    functions: u64,
}

impl Header {
    const LEN: usize = 80;
    const CHECKED_FROM: usize = 16;

    fn write(&self, file: &mut [u8]) {
        let Header { checked_checksum, rest_checksum, file_len, identity_end, .. } = *self;
        let Header { description_end, checked_end, infos_end, kept_end, functions, .. } = *self;
        let words = [
            u64::from_le_bytes(MAGIC),
            checked_checksum,
            rest_checksum,
            file_len,
            identity_end,
            description_end,
            checked_end,
            infos_end,
            kept_end,
            functions,
        ];
        for (bytes, word) in file[..Self::LEN].chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }

    /// Reads the header of a whole artifact, and makes sure that all parts lie in the file, one after another, and that the first are
    /// undamaged.
    fn check(file: &[u8]) -> Result<Self, CodeError> {
        if !is_artifact(file) {
            return Err(CodeError::Artifact("these bytes are not a compiled module".to_string()));
        }
        if !file.starts_with(&MAGIC) {
            return Err(CodeError::Artifact("module was compiled by another version of this engine".to_string()));
        }
        if file.len() < Self::LEN {
            return Err(damaged("it is too short"));
        }
        let word = |number: usize| u64::from_le_bytes(file[number * 8..][..8].try_into().expect("eight bytes"));
        let header = Header {
            checked_checksum: word(1),
            rest_checksum: word(2),
            file_len: word(3),
            identity_end: word(4),
            description_end: word(5),
            checked_end: word(6),
            infos_end: word(7),
            kept_end: word(8),
            functions: word(9),
        };
        if header.file_len != file.len() as u64 {
            return Err(damaged("its length is wrong"));
        }
        let ends = [
            Self::LEN as u64,
            header.identity_end,
            header.description_end,
            header.checked_end,
            header.infos_end,
            header.kept_end,
            header.kept_end.checked_next_multiple_of(PAGE as u64).unwrap_or(u64::MAX),
            header.file_len,
        ];
        let index_len = header.functions.checked_mul(IndexEntry::LEN as u64);
        let text_len = header.file_len.wrapping_sub(ends[6]);
        if !ends.is_sorted()
            || Some(header.checked_end - header.description_end) != index_len
            || !text_len.is_multiple_of(PAGE as u64)
            || text_len > (REGION_MAX - HEAD_LEN) as u64
        {
            return Err(damaged("its parts are not in order"));
        }
        if checksum(&file[Self::CHECKED_FROM..header.checked_end as usize]) != header.checked_checksum {
            return Err(damaged("its checksum is wrong"));
        }
        Ok(header)
    }

    /// Where the text is.
    fn text(&self) -> Range<usize> {
        (self.kept_end as usize).next_multiple_of(PAGE)..self.file_len as usize
    }
}

/// What the index has of a function.
struct IndexEntry {
    /// In the text.
    start: u32,
    len: u32,
    /// Among the infos.
    info_start: u32,
    info_len: u32,
    info_checksum: u32,
}

impl IndexEntry {
    const LEN: usize = 20;

    fn write(&self, file: &mut Vec<u8>) {
        for word in [self.start, self.len, self.info_start, self.info_len, self.info_checksum] {
            file.extend_from_slice(&word.to_le_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Self {
        let word = |number: usize| u32::from_le_bytes(bytes[number * 4..][..4].try_into().expect("four bytes"));
        IndexEntry { start: word(0), len: word(1), info_start: word(2), info_len: word(3), info_checksum: word(4) }
    }
}

/// Appends a list so that it can be taken without being decoded: the number of its elements, then its bytes.
fn append_late<T: Serialize + Clone + Default>(file: &mut Vec<u8>, list: &Late<T>) -> Result<(), CodeError> {
    let mut encoded = Vec::new();
    append(&mut encoded, &**list)?;
    append(file, &(list.len(), encoded))
}

/// The list at the start of `bytes`, which are a part of the storage, and what follows it.
fn take_late<'a, T>(storage: &Arc<Storage>, bytes: &'a [u8]) -> Result<(Late<T>, &'a [u8]), CodeError>
where
    T: DeserializeOwned + Clone + Default + 'static,
{
    let ((len, encoded), rest): ((usize, &[u8]), _) = postcard::take_from_bytes(bytes).map_err(unreadable)?;
    if len > encoded.len() {
        return Err(damaged("a list is shorter than it says"));
    }
    let start = encoded.as_ptr().addr() - storage.bytes().as_ptr().addr();
    let (storage, range) = (storage.clone(), start..start + encoded.len());
    Ok((Late::new(len, move || postcard::from_bytes(&storage.bytes()[range.clone()]).ok()), rest))
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
