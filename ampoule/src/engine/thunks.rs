//! Thunks in artifacts: an engine without a compiler can call what it has thunks for, and one with a compiler need not make them
//! again.

#[cfg(feature = "compiler")]
use crate::engine::COMPILER_STACK;
use crate::engine::type_registry::Thunk;
#[cfg(feature = "compiler")]
use crate::error::{Error, ErrorKind};
#[cfg(feature = "compiler")]
use ampoule_compiler::{Compiler, NativeShape, ValueShape};
use ampoule_core::artifact::{CompiledFunction, Relocation, RelocationTarget, checksum};
use ampoule_core::builtins::Builtin;
use ampoule_core::module::ModuleDescription;
use ampoule_core::types::{FuncType, ValType};
use ampoule_core::words::{WordBytes, Words};
#[cfg(feature = "compiler")]
use ampoule_machine::code::CodeError;
#[cfg(feature = "compiler")]
use ampoule_machine::fiber::with_stack;
#[cfg(feature = "compiler")]
use ampoule_machine::os::fork;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;
#[cfg(feature = "compiler")]
use std::sync::atomic::AtomicBool;

/// One thunk for an artifact to keep.
#[cfg(feature = "compiler")]
pub struct StoredThunk {
    key: u32,
    /// Position of its type in the module.
    ty: u32,
    which: u8,
    /// A [`StoredCode`].
    code: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct StoredCode {
    alignment: u32,
    code: Vec<u8>,
    /// Where calls of builtins are, and which.
    relocations: Vec<(u32, u32)>,
}

#[cfg(feature = "compiler")]
impl StoredThunk {
    /// What is to be kept of a compiled thunk of the module's type number `number`, which is crossed as `ty`.
    ///
    /// # Errors
    /// Where there is no memory for it.
    ///
    /// # Panics
    /// Where the thunk calls a function of a module: a bug of the compiler.
    pub fn new(number: u32, ty: &FuncType, which: Thunk, compiled: CompiledFunction) -> Result<Self, CodeError> {
        let relocations = compiled.relocations.iter().map(|relocation| match relocation.target {
            RelocationTarget::Builtin(builtin) => (relocation.offset, builtin as u32),
            RelocationTarget::Func(_) => unreachable!("a thunk calls through the reference it is given"),
        });
        let relocations = relocations.collect();
        let code = StoredCode { alignment: compiled.alignment, code: compiled.code, relocations };
        let code = postcard::to_stdvec(&code).map_err(|error| CodeError::Artifact(error.to_string()))?;
        Ok(StoredThunk { key: key(ty), ty: number, which: which as u8, code })
    }
}

impl StoredCode {
    /// `None` where it is not what a compiler made.
    fn compiled(self) -> Option<CompiledFunction> {
        let (len, mut relocations) = (self.code.len(), Vec::with_capacity(self.relocations.len()));
        for (offset, builtin) in self.relocations {
            let builtin = *Builtin::ALL.get(builtin as usize)?;
            (offset as usize).checked_add(4).filter(|&end| end <= len)?;
            relocations.push(Relocation { offset, target: RelocationTarget::Builtin(builtin) });
        }
        let alignment = Some(self.alignment).filter(|alignment| alignment.is_power_of_two() && *alignment <= 4096)?;
        Some(CompiledFunction { code: self.code, alignment, relocations, ..Default::default() })
    }
}

#[cfg(feature = "compiler")]
/// A thunk for functions of a type.
///
/// # Errors
/// [`ErrorKind::Compile`] where the back end refuses.
pub(crate) fn compile_thunk(compiler: &dyn Compiler, ty: &FuncType, which: Thunk) -> Result<CompiledFunction, Error> {
    static WARM: AtomicBool = AtomicBool::new(false);
    let compile = || match which {
        Thunk::EntryRaw => compiler.entry_thunk(ty, ValueShape::Raw),
        Thunk::EntryChecked => compiler.entry_thunk(ty, ValueShape::Checked),
        Thunk::ExitRaw => compiler.exit_thunk(ty, ValueShape::Raw),
        Thunk::ExitChecked => compiler.exit_thunk(ty, ValueShape::Checked),
        Thunk::ExitNative => compiler.native_exit_thunk(ty, NativeShape { env: false, caller: false }),
        Thunk::ExitNativeEnv => compiler.native_exit_thunk(ty, NativeShape { env: true, caller: false }),
        Thunk::ExitNativeCaller => compiler.native_exit_thunk(ty, NativeShape { env: false, caller: true }),
        Thunk::ExitNativeEnvCaller => compiler.native_exit_thunk(ty, NativeShape { env: true, caller: true }),
    };
    let compile = || with_stack(COMPILER_STACK, compile);
    fork::hold_off_once(&WARM, compile).map_err(|error| Error::new(ErrorKind::Compile(error.to_string())))
}

/// The thunks of an artifact: their number; of each, by their keys, what [`Entry`] says, in words; and behind that their codes. A large module has
/// thousands of them, and only what is asked for is read.
pub struct ArtifactThunks {
    bytes: WordBytes,
    module: Arc<ModuleDescription>,
}

/// What the list says of a thunk.
struct Entry {
    /// See [`key`].
    key: u32,
    ty: u32,
    which: u32,
    /// Where its code is in the bytes.
    code: Range<usize>,
    /// Of the code.
    checksum: u32,
}

impl Entry {
    const WORDS: usize = 6;
}

/// What thunks are looked for by: equal types have equal ones.
fn key(ty: &FuncType) -> u32 {
    let kinds = |ty: &ValType| match ty {
        ValType::I32 => 1,
        ValType::I64 => 2,
        ValType::F32 => 3,
        ValType::F64 => 4,
        ValType::V128 => 5,
        ValType::Ref(_) => 6,
    };
    let (params, results) = (ty.params().iter().map(kinds), ty.results().iter().map(kinds));
    checksum(&params.chain([0]).chain(results).collect::<Vec<u8>>()) as u32
}

impl ArtifactThunks {
    /// The thunks in `bytes`, as `ArtifactThunks::encode` made them for `module`.
    pub fn new(bytes: WordBytes, module: Arc<ModuleDescription>) -> Self {
        ArtifactThunks { bytes, module }
    }

    /// The bytes that an artifact keeps.
    ///
    /// # Errors
    /// Where they are more than 4 GiB.
    #[cfg(feature = "compiler")]
    pub fn encode(mut thunks: Vec<StoredThunk>) -> Result<Vec<u8>, CodeError> {
        thunks.sort_by_key(|thunk| thunk.key);
        let mut words = vec![thunks.len()];
        let mut end = 4 * (1 + Entry::WORDS * thunks.len());
        for thunk in &thunks {
            let start = end;
            end += thunk.code.len();
            let sum = checksum(&thunk.code) as u32;
            words.extend([thunk.key as usize, thunk.ty as usize, thunk.which.into(), start, end, sum as usize]);
        }
        u32::try_from(end).map_err(|_| CodeError::Artifact("the module is too large to be serialized".to_string()))?;
        let mut bytes: Vec<u8> = words.into_iter().flat_map(|word| (word as u32).to_le_bytes()).collect();
        thunks.iter().for_each(|thunk| bytes.extend(&thunk.code));
        Ok(bytes)
    }

    /// The thunk of a type ([`FuncType::as_crossed`]), if it is here. What is damaged is not.
    pub fn find(&self, ty: &FuncType, which: Thunk) -> Option<CompiledFunction> {
        let count = Words::<u32>::kept(self.bytes.clone(), 0..4)?.at(0) as usize;
        let list = Words::kept(self.bytes.clone(), 4..4 * Entry::WORDS.checked_mul(count)?.checked_add(1)?)?;
        let key = key(ty);
        let (mut from, mut to) = (0, count);
        while from < to {
            let middle = from.midpoint(to);
            if entry(&list, middle)?.key < key { from = middle + 1 } else { to = middle }
        }
        let mut entries = (from..count).map_while(|at| entry(&list, at)).take_while(|entry| entry.key == key);
        let found = entries.find(|entry| {
            let of_module = || self.module.types.get(entry.ty as usize)?.as_func();
            entry.which == which as u32 && of_module().is_some_and(|of_module| of_module.crosses_as(ty))
        })?;
        let code = (*self.bytes).as_ref().get(found.code)?;
        if checksum(code) as u32 != found.checksum {
            return None;
        }
        postcard::from_bytes::<StoredCode>(code).ok()?.compiled()
    }
}

fn entry(list: &Words<u32>, at: usize) -> Option<Entry> {
    let word = |number: usize| list.get(at * Entry::WORDS + number);
    let code = word(3)? as usize..word(4)? as usize;
    Some(Entry { key: word(0)?, ty: word(1)?, which: word(2)?, code, checksum: word(5)? })
}

impl std::fmt::Debug for ArtifactThunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArtifactThunks").field("len", &(*self.bytes).as_ref().len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;
    use ampoule_core::types::SubType;

    fn thunk() -> CompiledFunction {
        let target = RelocationTarget::Builtin(Builtin::HostError);
        CompiledFunction {
            code: vec![0x90; 16],
            alignment: 16,
            relocations: vec![Relocation { offset: 4, target }],
            ..Default::default()
        }
    }

    fn module() -> Arc<ModuleDescription> {
        let types = [FuncType::new([], []), FuncType::new([ValType::I32], [])].map(SubType::from).into();
        Arc::new(ModuleDescription { types, ..Default::default() })
    }

    fn stored(number: u32, ty: &FuncType, which: Thunk) -> StoredThunk {
        StoredThunk::new(number, ty, which, thunk()).unwrap()
    }

    #[test]
    fn what_was_kept_is_found_by_type() {
        let types = [FuncType::new([], []), FuncType::new([ValType::I32], [])];
        let kept = [stored(1, &types[1], Thunk::ExitRaw), stored(0, &types[0], Thunk::EntryRaw)];
        let thunks = ArtifactThunks::new(Arc::new(ArtifactThunks::encode(kept.into()).unwrap()), module());
        let found = thunks.find(&types[1], Thunk::ExitRaw).unwrap();
        assert_eq!((found.code.len(), found.relocations[0].offset), (16, 4));
        assert!(thunks.find(&types[0], Thunk::EntryRaw).is_some());
        assert!(thunks.find(&types[1], Thunk::EntryRaw).is_none());
        assert!(thunks.find(&types[0], Thunk::ExitRaw).is_none());
        assert!(thunks.find(&FuncType::new([ValType::F32], []), Thunk::ExitRaw).is_none());
    }

    #[test]
    fn what_no_compiler_made_is_not_there() {
        let ty = FuncType::new([], []);
        let with = |which, relocation| {
            let code = StoredCode { alignment: 16, code: vec![0x90; 16], relocations: vec![relocation] };
            StoredThunk { code: postcard::to_stdvec(&code).unwrap(), ..stored(0, &ty, which) }
        };
        let outside = with(Thunk::ExitRaw, (13, 0));
        let unknown = with(Thunk::EntryRaw, (4, u32::MAX));
        let unreadable = StoredThunk { code: vec![0xff; 3], ..stored(0, &ty, Thunk::ExitChecked) };
        let of_other_signature = stored(7, &ty, Thunk::EntryChecked);
        let bytes = ArtifactThunks::encode(vec![outside, unknown, unreadable, of_other_signature]).unwrap();
        let thunks = ArtifactThunks::new(Arc::new(bytes), module());
        assert!(Thunk::KEPT.into_iter().all(|which| thunks.find(&ty, which).is_none()));
    }

    #[test]
    fn damage_makes_a_thunk_an_absence() {
        let ty = FuncType::new([], []);
        let kept = Thunk::KEPT.map(|which| stored(0, &ty, which));
        let bytes = ArtifactThunks::encode(kept.into()).unwrap();
        let damaged = |bytes: Vec<u8>| {
            let thunks = ArtifactThunks::new(Arc::new(bytes), module());
            let found = Thunk::KEPT.map(|which| thunks.find(&ty, which));
            // Whatever is found was kept.
            assert!(found.iter().flatten().all(|found| found.code == [0x90; 16] && found.relocations[0].offset == 4));
            found.iter().flatten().count()
        };
        assert_eq!(damaged(bytes.clone()), 4);
        for at in 0..bytes.len() {
            for bit in [1, 0x80] {
                let mut changed = bytes.clone();
                changed[at] ^= bit;
                assert!(damaged(changed) < 4 || at < 4, "byte {at}");
            }
            damaged(bytes[..at].to_vec());
        }
    }
}
