//! The optimizing tier: WebAssembly to Cranelift's IR, from a function's body or signature to its code.
//!
//! [`function`] translates a function's body. [`thunks`] makes the code between host and guest. [`emit`] turns what Cranelift leaves
//! into a `CompiledFunction`. Below them: [`signature`] says how values travel, [`linkage`] how code names what is outside of it,
//! [`flags`] what Cranelift may assume of memory. [`passes`] are over Cranelift's IR, before and behind its optimizer. [`effort`] bounds what a function may cost to compile, [`settings`] are the code
//! generator's.
//!
//! What is deliberately not here: validation (bodies have been validated), placing code, knowledge of stores.
//!
//! Invariant: how code and runtime meet is written in `docs/vm-layout.md`; offsets come from the structs of
//! `ampoule_core::vm`, nowhere else.

mod effort;
mod emit;
mod flags;
mod function;
mod linkage;
mod passes;
mod settings;
mod signature;
mod thunks;

pub use passes::Pass;
pub(crate) use signature::{RETURN_SLOT, return_area_size};

use crate::loop_entry::LoopEntry;
use crate::{CompileError, Compiler, ModuleInput, NativeShape, ValueShape};
use ampoule_core::artifact::{CompiledFunction, ReplacedFrame};
use ampoule_core::decode::body_reader;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::tunables::{IndexCheck, MemoryPlan, Tunables};
use ampoule_core::types::{FuncType, MemoryType};
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{Function, Signature, SourceLoc};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{CodegenError, Context as CraneliftContext};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use effort::Effort;
use emit::Emitted;
use function::{Entry, Optimizing, StackCheck};
use linkage::Numbers;
use passes::{PassFlags, Passes};
use settings::CodeGenerators;
use signature::guest_signature;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use thunks::Context;

/// The largest frame that a leaf makes without looking at the stack limit, in bytes.
pub const LEAF_FRAME_MAX: u32 = 1 << 10;

/// The largest frame that a function makes before it looks at the stack limit, in bytes. Larger ones look first.
pub const FRAME_MAX: u32 = 8 << 10;

/// The optimizing tier.
pub struct OptimizingCompiler {
    generators: CodeGenerators,
    passes: PassFlags,
    target: String,
    /// Exit thunks tell the runtime of host calls.
    statistics: bool,
    /// Allocations to be used again. Nobody waits for the lock: in the child of a fork it may be taken for ever.
    pool: Mutex<Vec<Box<Scratch>>>,
}

/// What one compilation needs for itself.
#[derive(Default)]
struct Scratch {
    builder: FunctionBuilderContext,
    code: CodeScratch,
}

/// What it needs once a function has been translated.
struct CodeScratch {
    context: CraneliftContext,
    registers: regalloc2::Ctx,
}

impl Default for CodeScratch {
    fn default() -> Self {
        Self { context: CraneliftContext::new(), registers: regalloc2::Ctx::default() }
    }
}

impl Scratch {
    /// What has been used for functions of more values is given back.
    const VALUES_MAX: usize = 1 << 17;
}

impl OptimizingCompiler {
    /// A compiler for a target triple, or for this machine and all that its CPU can do if `target` is `None`.
    ///
    /// `flags` are settings of Cranelift, shared or of the target, in order; one without value is switched on. They don't
    /// reach what the contract with the runtime fixes. The names of [`Pass`]es are flags, too, which may be off for some functions: `3..7`.
    ///
    /// # Errors
    /// [`CompileError`] for a target that isn't supported, and for unknown flags or values.
    pub fn new(
        tunables: &Tunables,
        flags: &[(String, Option<String>)],
        target: Option<&str>,
    ) -> Result<Self, CompileError> {
        let mut passes = PassFlags::all();
        let mut generator_flags = Vec::with_capacity(flags.len());
        for (name, value) in flags {
            match Pass::ALL.into_iter().find(|pass| pass.name() == name) {
                Some(pass) => passes.set(pass, value.as_deref())?,
                None => generator_flags.push((name.clone(), value.clone())),
            }
        }
        let generators = CodeGenerators::new(tunables, &generator_flags, target)?;
        let isa = generators.of(Effort::Full);
        let features = isa.isa_flags().into_iter().filter(|flag| flag.as_bool() == Some(true)).map(|flag| flag.name);
        let target = format!("{} {}", isa.triple(), features.collect::<Vec<_>>().join(","));
        let statistics = tunables.statistics;
        Ok(Self { generators, passes, target, statistics, pool: Mutex::new(Vec::new()) })
    }

    /// Whether results that are no numbers get the canonical bits: the tunables ask for that, or a flag does.
    pub(crate) fn makes_canonical_nans(&self) -> bool {
        self.generators.of(Effort::Full).flags().enable_nan_canonicalization()
    }

    /// Builds, optimizes and emits one piece of code.
    ///
    /// The back end is meant to answer errors for what it can't compile. But guests choose its input, and it is far too
    /// large to be trusted never to panic; such a panic becomes an error of this one function, and whatever state it left
    /// is dropped.
    fn compile(
        &self,
        signature: Signature,
        effort: Effort,
        passes: Passes,
        build: impl FnOnce(FunctionBuilder<'_>, &dyn TargetIsa) -> Result<Numbers, CompileError>,
    ) -> Result<Emitted, CompileError> {
        let mut scratch = self.take_scratch();
        let result = catch_unwind(AssertUnwindSafe(|| {
            let Scratch { builder, code } = &mut *scratch;
            // What the last function's parts were in is used again.
            code.context.clear();
            code.context.func.signature = signature;
            let builder = FunctionBuilder::new(&mut code.context.func, builder);
            let numbers = build(builder, self.generators.of(effort))?;
            self.finish(code, effort, passes, numbers, false)
        }));
        match result {
            Ok(Ok(emitted)) => {
                self.return_scratch(scratch);
                Ok(emitted)
            }
            Ok(Err(error)) => Err(error),
            Err(panic) => {
                let message = panic.downcast_ref::<String>().map(String::as_str);
                let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
                Err(CompileError::new(format!("the code generator failed: {message}")))
            }
        }
    }

    /// The machine code of one function that is known to run often as text, for people to read: Cranelift's listing, with virtual offsets and block labels.
    ///
    /// # Errors
    /// See [`Compiler::compile_function`].
    pub fn listing(&self, input: &ModuleInput<'_>, func: DefinedFuncIndex) -> Result<String, CompileError> {
        with_what_effort_is_needed(input.tunables, Effort::Better, |effort| {
            let mut code = CodeScratch::default();
            let numbers = self.translate(&mut code.context.func, input, func, effort)?;
            let text = self.finish(&mut code, effort, self.passes_of(input, func, effort), numbers, true)?.text;
            let lines = text.as_deref().unwrap_or_default().split_inclusive('\n');
            // What unwinders are told is no code.
            Ok(lines.filter(|line| !line.trim_start().starts_with("unwind ")).collect())
        })
    }

    /// What machine code is made of for one function that is known to run often, behind all passes: for tests, which interpret it.
    ///
    /// # Errors
    /// See [`Compiler::compile_function`].
    pub fn intermediate(&self, input: &ModuleInput<'_>, func: DefinedFuncIndex) -> Result<Function, CompileError> {
        with_what_effort_is_needed(input.tunables, Effort::Better, |effort| {
            let mut context = CraneliftContext::new();
            self.translate(&mut context.func, input, func, effort)?;
            self.optimize(&mut context, effort, self.passes_of(input, func, effort))?;
            Ok(context.func)
        })
    }

    /// Translates a function that is called.
    fn translate(
        &self,
        translated: &mut Function,
        input: &ModuleInput<'_>,
        func: DefinedFuncIndex,
        effort: Effort,
    ) -> Result<Numbers, CompileError> {
        let body = body_reader(input.bytes, &input.module.bodies[func.index()]);
        translated.signature = guest_signature(input.module.func_type(input.module.func_index(func)));
        let mut scratch = FunctionBuilderContext::default();
        let builder = FunctionBuilder::new(translated, &mut scratch);
        let isa = self.generators.of(effort);
        let entry = Entry::Call(if function::is_leaf(&body)? { StackCheck::No } else { StackCheck::Yes });
        let optimizing = Optimizing { effort, passes: self.passes_of(input, func, effort) };
        function::translate_function(builder, isa, input, func, &body, entry, optimizing)
    }

    /// The passes that are worth their time for a function.
    fn passes_of(&self, input: &ModuleInput<'_>, func: DefinedFuncIndex, effort: Effort) -> Passes {
        let mut passes = self.passes.of(input.module.func_index(func));
        if !compares_addresses(input) {
            passes = passes.without(Pass::CounterRanges).without(Pass::RepeatedChecks);
        }
        // It goes by the addresses that are clamped.
        if !input.tunables.spectre_mitigation {
            passes = passes.without(Pass::RepeatedChecks);
        }
        // Few programs have much for it, and for all it takes time.
        if !effort.is_hot(input.tunables) {
            passes = passes.without(Pass::StoreForwarding);
        }
        passes
    }

    /// Compiles a function with this effort.
    fn compile_with(
        &self,
        input: &ModuleInput<'_>,
        func: DefinedFuncIndex,
        effort: Effort,
    ) -> Result<CompiledFunction, CompileError> {
        let body = body_reader(input.bytes, &input.module.bodies[func.index()]);
        let signature = guest_signature(input.module.func_type(input.module.func_index(func)));
        let passes = self.passes_of(input, func, effort);
        let is_leaf = function::is_leaf(&body)?;
        let compile = |stack_check| {
            self.compile(signature.clone(), effort, passes, |builder, isa| {
                let entry = Entry::Call(stack_check);
                function::translate_function(builder, isa, input, func, &body, entry, Optimizing { effort, passes })
            })
        };
        // What needs the least effort is not compiled twice: its frame is large.
        let check = if is_leaf || effort == Effort::Least { StackCheck::No } else { StackCheck::Yes };
        let emitted = compile(check)?;
        if emitted.frame_size > FRAME_MAX || effort == Effort::Least {
            let unchecked = if check == StackCheck::No { emitted } else { compile(StackCheck::No)? };
            let position = SourceLoc::new(body.range().start as u32);
            return self.compile_guarded(&signature, Context::Instance, position, unchecked);
        }
        if check == StackCheck::No && emitted.frame_size > LEAF_FRAME_MAX {
            return Ok(compile(StackCheck::Yes)?.function);
        }
        Ok(emitted.function)
    }

    /// Compiles a function that is entered at a loop, in the place of code whose frame holds what `entry` says.
    ///
    /// # Errors
    /// See [`Compiler::compile_function`]. A loop to which nothing leads is refused, and what would cost too much.
    pub(crate) fn compile_from_loop(
        &self,
        input: &ModuleInput<'_>,
        func: DefinedFuncIndex,
        entry: &LoopEntry,
    ) -> Result<CompiledFunction, CompileError> {
        let body = body_reader(input.bytes, &input.module.bodies[func.index()]);
        let signature = guest_signature(input.module.func_type(input.module.func_index(func)));
        let effort = better_effort(input.tunables);
        let passes = self.passes_of(input, func, effort);
        let Emitted { mut function, frame_size, .. } = self.compile(signature, effort, passes, |builder, isa| {
            function::translate_function(
                builder,
                isa,
                input,
                func,
                &body,
                Entry::Loop(entry),
                Optimizing { effort, passes },
            )
        })?;
        function.replaces = Some(ReplacedFrame { len: entry.len(), own_len: frame_size });
        Ok(function)
    }

    /// From a translated function to its code.
    fn finish(
        &self,
        scratch: &mut CodeScratch,
        effort: Effort,
        passes: Passes,
        numbers: Numbers,
        with_text: bool,
    ) -> Result<Emitted, CompileError> {
        let CodeScratch { context, registers } = scratch;
        let isa = self.optimize(context, effort, passes)?;
        let code = isa
            .compile_function(&context.func, &context.domtree, registers, with_text, &mut ControlPlane::default())
            .map_err(|error| failed(&context.func, error))?
            .apply_params(&context.func.params);
        emit::emit(isa, code, &context.func, numbers)
    }

    /// From a translated function to what code is made of. Answers what is to make the code.
    fn optimize(
        &self,
        context: &mut CraneliftContext,
        effort: Effort,
        passes: Passes,
    ) -> Result<&dyn TargetIsa, CompileError> {
        let isa = self.generators.of(effort);
        let is_large = effort.is_full() && effort::is_large(&context.func);
        if is_large {
            let is_too_branchy = effort == Effort::Better && effort::is_branchy(&context.func);
            if is_too_branchy || effort::is_deep(context) {
                return Err(CompileError::over_budget());
            }
        }
        let optimizes = effort.is_full() && isa.flags().opt_level() != cranelift_codegen::settings::OptLevel::None;
        if optimizes {
            passes.before_optimizer(&mut context.func);
        }
        context.optimize(isa, &mut ControlPlane::default()).map_err(|error| failed(&context.func, error))?;
        let is_crowded = (is_large || effort == Effort::Least) && effort::is_crowded(context, effort);
        if is_crowded && is_large {
            return Err(CompileError::over_budget());
        }
        if optimizes {
            passes.after_optimizer(context);
            context.verify_if(isa).map_err(|error| failed(&context.func, error))?;
        }
        if is_crowded {
            return Ok(self.generators.of_single_pass());
        }
        if effort == Effort::Least || is_large && effort::is_branchy(&context.func) {
            return Ok(self.generators.of_branchy());
        }
        let quick = self.generators.of_quick().filter(|_| effort.is_full() && !is_large);
        Ok(quick.filter(|_| effort::is_small(&context.func)).unwrap_or(isa))
    }

    /// Compiles an exit thunk.
    fn compile_exit(
        &self,
        ty: &FuncType,
        build: impl FnOnce(FunctionBuilder<'_>, &dyn TargetIsa),
    ) -> Result<CompiledFunction, CompileError> {
        let signature = guest_signature(ty);
        let emitted = self.compile(signature.clone(), Effort::Thunk, Passes::NONE, |builder, isa| {
            build(builder, isa);
            Ok(Numbers::default())
        })?;
        if emitted.frame_size > FRAME_MAX {
            return self.compile_guarded(&signature, Context::HostFunc, SourceLoc::default(), emitted);
        }
        Ok(emitted.function)
    }

    /// Compiles code whose frame may be too large to be made before the stack is checked.
    fn compile_guarded(
        &self,
        signature: &Signature,
        context: Context,
        position: SourceLoc,
        body: Emitted,
    ) -> Result<CompiledFunction, CompileError> {
        let frame_size = body.frame_size;
        let entry = self.compile(signature.clone(), Effort::Thunk, Passes::NONE, |builder, isa| {
            thunks::build_guard(builder, isa, context, frame_size, position);
            Ok(Numbers::default())
        })?;
        emit::join(entry, body)
    }

    /// Keeps allocations for the next compilation, unless they are so large that few will need them.
    fn return_scratch(&self, scratch: Box<Scratch>) {
        if scratch.code.context.func.dfg.num_values() <= Scratch::VALUES_MAX
            && let Ok(mut pool) = self.pool.try_lock()
        {
            pool.push(scratch);
        }
    }

    fn take_scratch(&self) -> Box<Scratch> {
        let pooled = self.pool.try_lock().ok().and_then(|mut pool| pool.pop());
        pooled.unwrap_or_default()
    }
}

impl Compiler for OptimizingCompiler {
    fn compile_function(
        &self,
        input: &ModuleInput<'_>,
        func: DefinedFuncIndex,
    ) -> Result<CompiledFunction, CompileError> {
        with_what_effort_is_needed(input.tunables, Effort::Full, |effort| self.compile_with(input, func, effort))
    }

    fn compile_at_once(&self, _: &ModuleInput<'_>, _: DefinedFuncIndex) -> Option<CompiledFunction> {
        None
    }

    fn compile_better(
        &self,
        input: &ModuleInput<'_>,
        func: DefinedFuncIndex,
    ) -> Result<Option<CompiledFunction>, CompileError> {
        match self.compile_with(input, func, better_effort(input.tunables)) {
            Err(error) if error.is_over_budget() => Ok(None),
            result => result.map(Some),
        }
    }

    fn compile_from_loop(
        &self,
        _: &ModuleInput<'_>,
        _: DefinedFuncIndex,
        _: u32,
    ) -> Result<CompiledFunction, CompileError> {
        Err(CompileError::new("nothing takes the place of optimized code"))
    }

    fn entry_thunk(&self, ty: &FuncType, shape: ValueShape) -> Result<CompiledFunction, CompileError> {
        let emitted = self.compile(thunks::entry_signature(), Effort::Thunk, Passes::NONE, |builder, isa| {
            thunks::build_entry_thunk(builder, isa, ty, shape);
            Ok(Numbers::default())
        })?;
        Ok(emitted.function)
    }

    fn exit_thunk(&self, ty: &FuncType, shape: ValueShape) -> Result<CompiledFunction, CompileError> {
        self.compile_exit(ty, |builder, isa| thunks::build_exit_thunk(builder, isa, ty, shape, self.statistics))
    }

    fn native_exit_thunk(&self, ty: &FuncType, shape: NativeShape) -> Result<CompiledFunction, CompileError> {
        self.compile_exit(ty, |builder, isa| thunks::build_native_exit_thunk(builder, isa, ty, shape, self.statistics))
    }

    fn target(&self) -> &str {
        &self.target
    }
}

/// Whether accesses to any memory of a module compare their address.
fn compares_addresses(input: &ModuleInput<'_>) -> bool {
    input.module.memories.iter().any(|ty: &MemoryType| {
        MemoryPlan::new(ty, input.tunables).index_check(ty, size_of::<u64>() as u64) != IndexCheck::Nothing
    })
}

/// The effort for a function that has code already.
fn better_effort(tunables: &Tunables) -> Effort {
    if tunables.debug_least_effort { Effort::Least } else { Effort::Better }
}

/// Compiles as well as the configuration asks for, or, where that is too much for the function, with the least effort.
fn with_what_effort_is_needed<T>(
    tunables: &Tunables,
    wanted: Effort,
    compile: impl Fn(Effort) -> Result<T, CompileError>,
) -> Result<T, CompileError> {
    if !tunables.debug_least_effort {
        match compile(wanted) {
            Err(error) if error.is_over_budget() => {}
            result => return result,
        }
    }
    compile(Effort::Least)
}

/// What the code generator says.
fn failed(func: &Function, error: CodegenError) -> CompileError {
    CompileError::new(cranelift_codegen::print_errors::pretty_error(func, error))
}
