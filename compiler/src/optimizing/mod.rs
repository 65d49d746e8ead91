//! The optimizing tier: WebAssembly to Cranelift's IR, from a function's body or signature to its code.
//!
//! [`function`] translates a function's body. [`thunks`] makes the code between host and guest. [`emit`] turns what Cranelift leaves
//! into a `CompiledFunction`. Below them: [`signature`] says how values travel, [`linkage`] how code names what is outside of it,
//! [`flags`] what Cranelift may assume of memory.
//!
//! What is deliberately not here: validation (bodies have been validated), placing code, knowledge of stores.
//!
//! Invariant: how code and runtime meet is written in `docs/vm-layout.md`; offsets come from the structs of
//! `ampoule_core::vm`, nowhere else.

mod emit;
mod flags;
mod function;
mod linkage;
mod signature;
mod thunks;

use crate::arch;
use crate::{CompileError, Compiler, ModuleInput, NativeShape, ValueShape};
use ampoule_core::artifact::CompiledFunction;
use ampoule_core::decode::body_reader;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::tunables::{OptLevel, Tunables};
use ampoule_core::types::FuncType;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{Function, Signature, SourceLoc, UserFuncName};
use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable, SetError};
use cranelift_codegen::{Context as CraneliftContext, isa::Builder};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use emit::Emitted;
use function::StackCheck;
use linkage::InlinedPositions;
use signature::guest_signature;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use thunks::Context;

/// The largest frame that a leaf makes without looking at the stack limit, in bytes.
pub const LEAF_FRAME_MAX: u32 = 1 << 10;

/// The largest frame that a function makes before it looks at the stack limit, in bytes. Larger ones look first.
pub const FRAME_MAX: u32 = 8 << 10;

/// The optimizing tier.
pub struct OptimizingCompiler {
    isa: OwnedTargetIsa,
    target: String,
    /// Exit thunks tell the runtime of host calls.
    statistics: bool,
    /// Allocations to be used again.
    pool: Mutex<Vec<Box<Scratch>>>,
}

/// What one compilation needs for itself.
struct Scratch {
    context: CraneliftContext,
    builder: FunctionBuilderContext,
}

impl OptimizingCompiler {
    /// A compiler for a target triple, or for this machine and all that its CPU can do if `target` is `None`.
    ///
    /// `flags` are settings of Cranelift, shared or of the target, in order; one without value is switched on. They don't
    /// reach what the contract with the runtime fixes.
    ///
    /// # Errors
    /// [`CompileError`] for a target that isn't supported, and for unknown flags or values.
    pub fn new(
        tunables: &Tunables,
        flags: &[(String, Option<String>)],
        target: Option<&str>,
    ) -> Result<Self, CompileError> {
        let mut isa = match target {
            Some(triple) => {
                isa::lookup(parse(triple)?).map_err(|error| CompileError::new(format!("target `{triple}`: {error}")))?
            }
            None => cranelift_native::builder().map_err(CompileError::new)?,
        };
        let shared = shared_flags(tunables, flags, &mut isa)?;
        let isa = isa.finish(shared).map_err(CompileError::new)?;
        if isa.pointer_bits() != 64 || isa.triple().architecture.to_string() != arch::NAME {
            return Err(CompileError::new(format!("target `{}` is not supported", isa.triple())));
        }
        let features = isa.isa_flags().into_iter().filter(|flag| flag.as_bool() == Some(true)).map(|flag| flag.name);
        let target = format!("{} {}", isa.triple(), features.collect::<Vec<_>>().join(","));
        let statistics = tunables.statistics;
        Ok(Self { isa, target, statistics, pool: Mutex::new(Vec::new()) })
    }

    /// Builds, optimizes and emits one piece of code.
    ///
    /// The back end is meant to answer errors for what it can't compile. But guests choose its input, and it is far too
    /// large to be trusted never to panic; such a panic becomes an error of this one function, and whatever state it left
    /// is dropped.
    fn compile(
        &self,
        signature: Signature,
        build: impl FnOnce(FunctionBuilder<'_>) -> Result<InlinedPositions, CompileError>,
    ) -> Result<Emitted, CompileError> {
        let mut scratch = self.take_scratch();
        let result = catch_unwind(AssertUnwindSafe(|| {
            let Scratch { context, builder } = &mut *scratch;
            context.clear();
            context.func = Function::with_name_signature(UserFuncName::default(), signature);
            let inlined = build(FunctionBuilder::new(&mut context.func, builder))?;
            self.finish(context, inlined)
        }));
        match result {
            Ok(Ok(emitted)) => {
                self.pool.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
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

    /// The machine code of one function as text, for people to read: Cranelift's listing, with virtual offsets and block labels.
    ///
    /// # Errors
    /// See [`Compiler::compile_function`].
    pub fn listing(&self, input: &ModuleInput<'_>, func: DefinedFuncIndex) -> Result<String, CompileError> {
        let body = body_reader(input.bytes, &input.module.bodies[func.index()]);
        let signature = guest_signature(input.module.func_type(input.module.func_index(func)));
        let check = if function::is_leaf(&body)? { StackCheck::No } else { StackCheck::Yes };
        let mut context =
            CraneliftContext::for_function(Function::with_name_signature(UserFuncName::default(), signature));
        let mut scratch = FunctionBuilderContext::new();
        let builder = FunctionBuilder::new(&mut context.func, &mut scratch);
        let inlined = function::translate_function(builder, &*self.isa, input, func, &body, check)?;
        context.set_disasm(true);
        self.finish(&mut context, inlined)?;
        let code = context.compiled_code().expect("it was just compiled");
        Ok(code.vcode.clone().unwrap_or_default())
    }

    fn finish(&self, context: &mut CraneliftContext, inlined: InlinedPositions) -> Result<Emitted, CompileError> {
        if let Err(error) = context.compile(&*self.isa, &mut ControlPlane::default()) {
            return Err(CompileError::new(cranelift_codegen::print_errors::pretty_error(error.func, error.inner)));
        }
        let code = context.compiled_code().expect("it was just compiled");
        emit::emit(code, &context.func, inlined)
    }

    /// Compiles an exit thunk.
    fn compile_exit(
        &self,
        ty: &FuncType,
        build: impl FnOnce(FunctionBuilder<'_>),
    ) -> Result<CompiledFunction, CompileError> {
        let signature = guest_signature(ty);
        let emitted = self.compile(signature.clone(), |builder| {
            build(builder);
            Ok(InlinedPositions::new())
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
        let entry = self.compile(signature.clone(), |builder| {
            thunks::build_guard(builder, &*self.isa, context, frame_size, position);
            Ok(InlinedPositions::new())
        })?;
        emit::join(entry, body)
    }

    fn take_scratch(&self) -> Box<Scratch> {
        let pooled = self.pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
        pooled.unwrap_or_else(|| {
            Box::new(Scratch { context: CraneliftContext::new(), builder: FunctionBuilderContext::new() })
        })
    }
}

impl Compiler for OptimizingCompiler {
    fn compile_function(
        &self,
        input: &ModuleInput<'_>,
        func: DefinedFuncIndex,
    ) -> Result<CompiledFunction, CompileError> {
        let body = body_reader(input.bytes, &input.module.bodies[func.index()]);
        let signature = guest_signature(input.module.func_type(input.module.func_index(func)));
        let compile = |stack_check| {
            self.compile(signature.clone(), |builder| {
                function::translate_function(builder, &*self.isa, input, func, &body, stack_check)
            })
        };
        let check = if function::is_leaf(&body)? { StackCheck::No } else { StackCheck::Yes };
        let emitted = compile(check)?;
        if emitted.frame_size > FRAME_MAX {
            let unchecked = if check == StackCheck::No { emitted } else { compile(StackCheck::No)? };
            let position = SourceLoc::new(body.range().start as u32);
            return self.compile_guarded(&signature, Context::Instance, position, unchecked);
        }
        if check == StackCheck::No && emitted.frame_size > LEAF_FRAME_MAX {
            return Ok(compile(StackCheck::Yes)?.function);
        }
        Ok(emitted.function)
    }

    fn entry_thunk(&self, ty: &FuncType, shape: ValueShape) -> Result<CompiledFunction, CompileError> {
        let emitted = self.compile(thunks::entry_signature(), |builder| {
            thunks::build_entry_thunk(builder, &*self.isa, ty, shape);
            Ok(InlinedPositions::new())
        })?;
        Ok(emitted.function)
    }

    fn exit_thunk(&self, ty: &FuncType, shape: ValueShape) -> Result<CompiledFunction, CompileError> {
        self.compile_exit(ty, |builder| thunks::build_exit_thunk(builder, &*self.isa, ty, shape, self.statistics))
    }

    fn native_exit_thunk(&self, ty: &FuncType, shape: NativeShape) -> Result<CompiledFunction, CompileError> {
        self.compile_exit(ty, |builder| {
            thunks::build_native_exit_thunk(builder, &*self.isa, ty, shape, self.statistics)
        })
    }

    fn target(&self) -> &str {
        &self.target
    }
}

/// Cranelift's settings: what the tunables ask for, then the embedder's flags, then what the contract fixes.
fn shared_flags(
    tunables: &Tunables,
    flags: &[(String, Option<String>)],
    isa: &mut Builder,
) -> Result<settings::Flags, CompileError> {
    let on = |on: bool| if on { "true" } else { "false" };
    let opt_level = match tunables.opt_level {
        OptLevel::None => "none",
        OptLevel::Speed => "speed",
        OptLevel::SpeedAndSize => "speed_and_size",
    };
    let wanted = [
        ("opt_level", opt_level),
        ("enable_alias_analysis", "true"),
        ("regalloc_algorithm", "backtracking"),
        ("enable_verifier", on(tunables.debug_verifier)),
        ("enable_nan_canonicalization", on(tunables.nan_canonicalization)),
        ("enable_heap_access_spectre_mitigation", on(tunables.spectre_mitigation)),
        ("enable_table_access_spectre_mitigation", on(tunables.spectre_mitigation)),
    ];
    let fixed = [
        ("preserve_frame_pointers", "true"),
        // No signature of ours needs a return area that Cranelift would make.
        ("enable_multi_ret_implicit_sret", "false"),
        ("enable_llvm_abi_extensions", "false"),
        ("enable_pinned_reg", "false"),
        ("enable_probestack", "false"),
        ("libcall_call_conv", "isa_default"),
        ("use_colocated_libcalls", "true"),
        ("is_pic", "true"),
        ("unwind_info", "false"),
        // Where blocks start is what the placement of loops goes by.
        ("machine_code_cfg_info", "true"),
        ("bb_padding_log2_minus_one", "0"),
    ];
    let mut shared = settings::builder();
    let set = |shared: &mut settings::Builder, list: &[(&str, &str)]| {
        list.iter().try_for_each(|&(name, value)| shared.set(name, value)).map_err(CompileError::new)
    };
    set(&mut shared, &wanted)?;
    for (name, value) in flags {
        set_flag(&mut shared, isa, name, value.as_deref())
            .map_err(|error| CompileError::new(format!("flag `{name}`: {error}")))?;
    }
    set(&mut shared, &fixed)?;
    Ok(settings::Flags::new(shared))
}

/// A target triple; its type is only named by the crate that Cranelift takes it from.
fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, CompileError> {
    text.parse().map_err(|error| CompileError::new(format!("target `{text}`: {error}")))
}

/// Sets a shared flag, or one of the target's.
fn set_flag(
    shared: &mut settings::Builder,
    isa: &mut Builder,
    name: &str,
    value: Option<&str>,
) -> Result<(), SetError> {
    let set = |flags: &mut dyn Configurable| match value {
        Some(value) => flags.set(name, value),
        None => flags.enable(name),
    };
    match set(shared) {
        Err(SetError::BadName(_)) => set(isa),
        result => result,
    }
}
