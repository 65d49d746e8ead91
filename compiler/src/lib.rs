//! Validated function bodies in, relocatable machine code out.
//!
//! A tier is an implementation of [`Compiler`]; the runtime names none, it takes what [`new_compilers`] gives. All tiers share one
//! calling convention, one frame discipline and one form of output ([`CompiledFunction`]), written down in `docs/vm-layout.md`. This
//! crate knows nothing of stores, instances or executable memory.
//!
//! [`operators`] says what all tiers ask of an operator. [`baseline`] and [`optimizing`] are the tiers. What is one processor's lies under `arch`.

mod arch;
pub mod baseline;
mod catch_clause;
mod loop_entry;
pub mod operators;
pub mod optimizing;

use ampoule_core::artifact::CompiledFunction;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::module::ModuleDescription;
use ampoule_core::tunables::Tunables;
use ampoule_core::types::FuncType;
use ampoule_core::vm::{Callees, VmLayout};
use std::sync::Arc;

/// The compilers for these choices, for a target triple or for this machine and all that its CPU can do if `target` is `None`.
///
/// `flags` are settings of the back end, shared or of the target, in order; one without value is switched on. They don't reach what
/// the contract with the runtime fixes.
///
/// # Errors
/// [`CompileError`] for a target that isn't supported, and for unknown flags or values.
pub fn new_compilers(
    tunables: &Tunables,
    flags: &[(String, Option<String>)],
    target: Option<&str>,
) -> Result<Compilers, CompileError> {
    let optimizing = Arc::new(optimizing::OptimizingCompiler::new(tunables, flags, target)?);
    let baseline = Arc::new(baseline::BaselineCompiler::new(optimizing.clone()));
    Ok(Compilers { baseline, optimizing })
}

/// A compiler of each tier, for the same target.
#[derive(Clone)]
pub struct Compilers {
    /// At once. Its thunks, and the functions that it must refuse, are the other's.
    pub baseline: Arc<dyn Compiler>,
    /// For fast code.
    pub optimizing: Arc<dyn Compiler>,
}

/// One tier.
pub trait Compiler: Send + Sync {
    /// Compiles one function of a module.
    ///
    /// # Errors
    /// [`CompileError`] where the back end refuses, for instance a function too large for it.
    fn compile_function(
        &self,
        input: &ModuleInput<'_>,
        func: DefinedFuncIndex,
    ) -> Result<CompiledFunction, CompileError>;

    /// Compiles a function if this tier takes one pass over it. `None` where it does not, and where the function is another tier's.
    fn compile_at_once(&self, input: &ModuleInput<'_>, func: DefinedFuncIndex) -> Option<CompiledFunction>;

    /// Compiles a function that has code already, if that takes no more time and memory than is due to a function of its size. `None` where it
    /// would take more, or where this tier has nothing better: the function keeps the code that it has.
    ///
    /// # Errors
    /// See [`Self::compile_function`].
    fn compile_better(
        &self,
        input: &ModuleInput<'_>,
        func: DefinedFuncIndex,
    ) -> Result<Option<CompiledFunction>, CompileError>;

    /// Compiles code that goes on from a loop of a function, in the place of the code that this compiler has made of it and that has come so
    /// far. Loops are numbered in the order of the text, from 0. The other compiler makes it, for which this one knows its own frames. The answer
    /// has [`CompiledFunction::replaces`].
    ///
    /// # Errors
    /// See [`Compiler::compile_function`]. A compiler refuses where nothing takes the place of its code.
    fn compile_from_loop(
        &self,
        input: &ModuleInput<'_>,
        func: DefinedFuncIndex,
        loop_number: u32,
    ) -> Result<CompiledFunction, CompileError>;

    /// Compiles the thunk through which the host calls functions of this type.
    ///
    /// # Errors
    /// See [`Compiler::compile_function`].
    fn entry_thunk(&self, ty: &FuncType, shape: ValueShape) -> Result<CompiledFunction, CompileError>;

    /// Compiles the thunk through which guests call host functions of this type.
    ///
    /// # Errors
    /// See [`Compiler::compile_function`].
    fn exit_thunk(&self, ty: &FuncType, shape: ValueShape) -> Result<CompiledFunction, CompileError>;

    /// Compiles the thunk through which guests call plain C functions of this type, which has numbers only.
    ///
    /// # Errors
    /// See [`Compiler::compile_function`].
    fn native_exit_thunk(&self, ty: &FuncType, shape: NativeShape) -> Result<CompiledFunction, CompileError>;

    /// Target triple and CPU features the code depends on; equal text means that code made by one runs under the other.
    fn target(&self) -> &str;
}

/// What a compiler needs of a module, whichever function it compiles.
#[derive(Clone, Copy)]
pub struct ModuleInput<'a> {
    /// The description.
    pub module: &'a ModuleDescription,
    /// The shape of its instances.
    pub layout: &'a VmLayout,
    /// The module's bytes.
    pub bytes: &'a [u8],
    /// The choices shared with the runtime.
    pub tunables: &'a Tunables,
    /// Where baseline code counts calls and turns of loops: the address of a `u32` for each of the module's own functions, which it counts down.
    /// Below zero it calls [`Builtin::BecomeHot`](ampoule_core::builtins::Builtin::BecomeHot). `None`: it doesn't count.
    pub counters: Option<usize>,
    /// What code that has run tells of the module's calls. `None`: there is none, or it doesn't count.
    pub profile: Option<&'a dyn Profile>,
}

/// What the baseline code of a module's functions notes of their calls while it runs.
pub trait Profile {
    /// Where it notes what the `call_indirect` or `call_ref` at this offset of the module calls: the address of a
    /// [`VmCallSite`](ampoule_core::vm::VmCallSite), good as long as the code.
    fn call_site(&self, position: u32) -> usize;

    /// What has been called there. `None` where nothing is known: no code notes it.
    fn callees(&self, position: u32) -> Option<Callees>;

    /// Whether a function may be called where others are hot: code was made of it, as far as is known.
    fn was_called(&self, func: DefinedFuncIndex) -> bool;
}

/// How a thunk's host side holds values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ValueShape {
    /// `VmValRaw`, without kinds.
    Raw,
    /// `VmVal`, with kinds that the thunk checks, and handles of references.
    Checked,
}

/// What a plain C function takes before its parameters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NativeShape {
    /// `VmHostFunc::env`, first.
    pub env: bool,
    /// A `*mut VmCaller`.
    pub caller: bool,
}

/// Why a function could not be compiled. A word, since most of what may fail is done once for each operator.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot compile function: {}", .0.message)]
pub struct CompileError(Box<Refusal>);

#[derive(Clone, Debug)]
struct Refusal {
    message: String,
    over_budget: bool,
}

impl CompileError {
    /// An error with this message.
    pub(crate) fn new(message: impl ToString) -> Self {
        Self(Box::new(Refusal { message: message.to_string(), over_budget: false }))
    }

    /// The function is too large for the effort that was to be made.
    pub(crate) fn over_budget() -> Self {
        let message = "the function is too large".to_string();
        Self(Box::new(Refusal { message, over_budget: true }))
    }

    /// What the back end said.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether it would have taken more than a function of its size may cost; less effort may do.
    pub(crate) fn is_over_budget(&self) -> bool {
        self.0.over_budget
    }
}

impl From<wasmparser::BinaryReaderError> for CompileError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::new(error)
    }
}
