//! Thunks in artifacts: an engine without a compiler can call what it has thunks for, and one with a compiler need not make them
//! again.

#[cfg(feature = "compiler")]
use crate::engine::COMPILER_STACK;
use crate::engine::type_registry::Thunk;
#[cfg(feature = "compiler")]
use crate::error::{Error, ErrorKind};
#[cfg(feature = "compiler")]
use ampoule_compiler::{Compiler, NativeShape, ValueShape};
use ampoule_core::artifact::{CompiledFunction, Relocation, RelocationTarget};
use ampoule_core::builtins::Builtin;
use ampoule_core::module::ModuleDescription;
use ampoule_core::types::FuncType;
#[cfg(feature = "compiler")]
use ampoule_machine::code::CodeError;
#[cfg(feature = "compiler")]
use ampoule_machine::fiber::with_stack;
#[cfg(feature = "compiler")]
use ampoule_machine::os::fork;
use ampoule_machine::os::sync::OnceLock;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
#[cfg(feature = "compiler")]
use std::sync::atomic::AtomicBool;

/// One thunk as an artifact keeps it.
#[derive(Serialize, Deserialize)]
pub struct StoredThunk<'a> {
    /// Position of its type in the module.
    ty: u32,
    which: u8,
    /// A [`StoredCode`]: read when the thunk is asked for. A large module has thousands of them.
    #[serde(borrow)]
    code: Cow<'a, [u8]>,
}

#[derive(Serialize, Deserialize)]
struct StoredCode {
    alignment: u32,
    code: Vec<u8>,
    /// Where calls of builtins are, and which.
    relocations: Vec<(u32, u32)>,
}

impl StoredThunk<'_> {
    /// What is to be kept of a compiled thunk of the module's type number `ty`.
    ///
    /// # Errors
    /// Where there is no memory for it.
    ///
    /// # Panics
    /// Where the thunk calls a function of a module: a bug of the compiler.
    #[cfg(feature = "compiler")]
    pub fn new(ty: u32, which: Thunk, compiled: CompiledFunction) -> Result<Self, CodeError> {
        let relocations = compiled.relocations.iter().map(|relocation| match relocation.target {
            RelocationTarget::Builtin(builtin) => (relocation.offset, builtin as u32),
            RelocationTarget::Func(_) => unreachable!("a thunk calls through the reference it is given"),
        });
        let relocations = relocations.collect();
        let code = StoredCode { alignment: compiled.alignment, code: compiled.code, relocations };
        Ok(StoredThunk { ty, which: which as u8, code: encoded(&code)?.into() })
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
fn encoded(value: &(impl Serialize + ?Sized)) -> Result<Vec<u8>, CodeError> {
    postcard::to_stdvec(value).map_err(|error| CodeError::Artifact(error.to_string()))
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

/// Bytes that an artifact keeps, wherever they are.
pub type ThunkBytes = Box<dyn AsRef<[u8]> + Send + Sync>;

/// The thunks of an artifact. The list is read when one is first asked for, and each when it is asked for.
pub struct ArtifactThunks {
    bytes: ThunkBytes,
    module: Arc<ModuleDescription>,
    list: OnceLock<Vec<ListedThunk>>,
}

struct ListedThunk {
    ty: u32,
    which: u8,
    /// Where its code is in the bytes.
    code: Range<u32>,
    /// `None` where that is not what a compiler made.
    compiled: OnceLock<Option<Box<CompiledFunction>>>,
}

impl ArtifactThunks {
    /// The thunks in `bytes`, as `ArtifactThunks::encode` made them for `module`.
    pub fn new(bytes: ThunkBytes, module: Arc<ModuleDescription>) -> Self {
        ArtifactThunks { bytes, module, list: OnceLock::new() }
    }

    /// The bytes that an artifact keeps.
    ///
    /// # Errors
    /// Where there is no memory for them.
    #[cfg(feature = "compiler")]
    pub fn encode(thunks: &[StoredThunk<'_>]) -> Result<Vec<u8>, CodeError> {
        encoded(thunks)
    }

    /// The thunk of a type ([`FuncType::as_crossed`]), if it is here.
    pub fn find(&self, ty: &FuncType, which: Thunk) -> Option<&CompiledFunction> {
        let bytes = (*self.bytes).as_ref();
        let is = |thunk: &&ListedThunk| {
            let of_module = || self.module.types.get(thunk.ty as usize)?.as_func();
            thunk.which == which as u8 && of_module().is_some_and(|of_module| of_module.crosses_as(ty))
        };
        let found = self.list.get_or_init(|| listed(bytes)).iter().find(is)?;
        let code =
            || postcard::from_bytes::<StoredCode>(&bytes[found.code.start as usize..found.code.end as usize]).ok();
        found.compiled.get_or_init(|| code()?.compiled().map(Box::new)).as_deref()
    }
}

/// The thunks that are in these bytes. An unreadable list is an empty one: the bytes had the right checksum, so it is another's mistake, and shows
/// as thunks that are missing.
fn listed(bytes: &[u8]) -> Vec<ListedThunk> {
    let stored: Vec<StoredThunk<'_>> = postcard::from_bytes(bytes).unwrap_or_default();
    let listed = stored.iter().filter_map(|thunk| {
        let Cow::Borrowed(code) = thunk.code else { return None };
        let start = u32::try_from(code.as_ptr().addr() - bytes.as_ptr().addr()).ok()?;
        let code = start..start.checked_add(code.len() as u32)?;
        Some(ListedThunk { ty: thunk.ty, which: thunk.which, code, compiled: OnceLock::new() })
    });
    listed.collect()
}

impl std::fmt::Debug for ArtifactThunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArtifactThunks").field("len", &(*self.bytes).as_ref().len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;
    use ampoule_core::types::{SubType, ValType};

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

    #[test]
    fn what_was_kept_is_found_by_type() {
        let bytes = ArtifactThunks::encode(&[StoredThunk::new(1, Thunk::ExitRaw, thunk()).unwrap()]).unwrap();
        let thunks = ArtifactThunks::new(Box::new(bytes), module());
        let found = thunks.find(&FuncType::new([ValType::I32], []), Thunk::ExitRaw).unwrap();
        assert_eq!((found.code.len(), found.relocations[0].offset), (16, 4));
        assert!(thunks.find(&FuncType::new([ValType::I32], []), Thunk::EntryRaw).is_none());
        assert!(thunks.find(&FuncType::new([], []), Thunk::ExitRaw).is_none());
    }

    #[test]
    fn what_no_compiler_made_is_not_there() {
        let with = |which, relocation| {
            let code = StoredCode { alignment: 16, code: vec![0x90; 16], relocations: vec![relocation] };
            StoredThunk { ty: 0, which: which as u8, code: encoded(&code).unwrap().into() }
        };
        let outside = with(Thunk::ExitRaw, (13, 0));
        let unknown = with(Thunk::EntryRaw, (4, u32::MAX));
        let unreadable = StoredThunk { ty: 0, which: Thunk::ExitChecked as u8, code: [0xff; 3][..].into() };
        let of_other_signature = StoredThunk::new(7, Thunk::EntryChecked, thunk()).unwrap();
        let bytes = ArtifactThunks::encode(&[outside, unknown, unreadable, of_other_signature]).unwrap();
        let thunks = ArtifactThunks::new(Box::new(bytes), module());
        for which in Thunk::KEPT {
            assert!(thunks.find(&FuncType::new([], []), which).is_none());
        }
        assert!(
            ArtifactThunks::new(Box::new([0xff; 9]), module()).find(&FuncType::new([], []), Thunk::ExitRaw).is_none()
        );
    }
}
