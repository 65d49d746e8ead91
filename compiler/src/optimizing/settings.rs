//! The code generator's settings, and what it is with each set of them.

use super::effort::Effort;
use crate::{CompileError, arch};
use ampoule_core::tunables::{OptLevel, Tunables};
use cranelift_codegen::isa::{self, Builder, OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable, SetError};
use std::sync::OnceLock;

/// The setting that says how registers are allocated.
const REGALLOC: &str = "regalloc_algorithm";

/// The code generator under each set of settings that functions are compiled with.
pub(super) struct CodeGenerators {
    builder: Builder,
    shared: settings::Builder,
    full: OwnedTargetIsa,
    least: OnceLock<OwnedTargetIsa>,
    /// For functions that have been optimized: without notes of where blocks start.
    branchy: OnceLock<OwnedTargetIsa>,
    /// For functions that have been optimized, and that would take too long otherwise.
    single_pass: OnceLock<OwnedTargetIsa>,
    /// For small functions, where compilation is to be quick.
    quick: Option<OwnedTargetIsa>,
}

impl CodeGenerators {
    /// What [`super::OptimizingCompiler::new`] says.
    pub(super) fn new(
        tunables: &Tunables,
        flags: &[(String, Option<String>)],
        target: Option<&str>,
    ) -> Result<Self, CompileError> {
        let mut builder = match target {
            Some(triple) => {
                isa::lookup(parse(triple)?).map_err(|error| CompileError::new(format!("target `{triple}`: {error}")))?
            }
            None => cranelift_native::builder().map_err(CompileError::new)?,
        };
        let shared = shared_flags(tunables, flags, &mut builder)?;
        let full = builder.finish(settings::Flags::new(shared.clone())).map_err(CompileError::new)?;
        if full.pointer_bits() != 64 || full.triple().architecture.to_string() != arch::NAME {
            return Err(CompileError::new(format!("target `{}` is not supported", full.triple())));
        }
        let mut generators = Self {
            builder,
            shared,
            full,
            least: OnceLock::new(),
            branchy: OnceLock::new(),
            single_pass: OnceLock::new(),
            quick: None,
        };
        // Allocating registers is most of what is left to do. Who has chosen how it is done gets that.
        if tunables.opt_level == OptLevel::None && !flags.iter().any(|(name, _)| name == REGALLOC) {
            generators.quick = Some(generators.with(&[(REGALLOC, "single_pass")]));
        }
        Ok(generators)
    }

    /// The one for a function as it is translated.
    pub(super) fn of(&self, effort: Effort) -> &dyn TargetIsa {
        match effort {
            Effort::Thunk | Effort::Full | Effort::Better => &*self.full,
            Effort::Least => {
                &**self.least.get_or_init(|| self.with(&[("opt_level", "none"), ("machine_code_cfg_info", "false")]))
            }
        }
    }

    /// The one for a function that has been optimized, without notes of where blocks start.
    pub(super) fn of_branchy(&self) -> &dyn TargetIsa {
        &**self.branchy.get_or_init(|| self.with(&[("machine_code_cfg_info", "false")]))
    }

    /// The same for one that registers are to be allocated to in a single pass, each value that is not in one at a place of its own in
    /// the frame.
    pub(super) fn of_single_pass(&self) -> &dyn TargetIsa {
        &**self.single_pass.get_or_init(|| self.with(&[(REGALLOC, "single_pass"), ("machine_code_cfg_info", "false")]))
    }

    /// The one for a small function, where compilation is to be quick and nobody has chosen how registers are allocated.
    pub(super) fn of_quick(&self) -> Option<&dyn TargetIsa> {
        self.quick.as_deref()
    }

    fn with(&self, changes: &[(&str, &str)]) -> OwnedTargetIsa {
        let mut shared = self.shared.clone();
        for (name, value) in changes {
            shared.set(name, value).expect("the settings exist");
        }
        self.builder.finish(settings::Flags::new(shared)).expect("the target is supported under any settings")
    }
}

/// Cranelift's settings: what the tunables ask for, then the embedder's flags, then what the contract fixes.
fn shared_flags(
    tunables: &Tunables,
    flags: &[(String, Option<String>)],
    isa: &mut Builder,
) -> Result<settings::Builder, CompileError> {
    let on = |on: bool| if on { "true" } else { "false" };
    let opt_level = match tunables.opt_level {
        OptLevel::None => "none",
        OptLevel::Speed => "speed",
        OptLevel::SpeedAndSize => "speed_and_size",
    };
    let wanted = [
        ("opt_level", opt_level),
        ("enable_alias_analysis", "true"),
        (REGALLOC, "backtracking"),
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
        // Which registers a function keeps in its frame.
        ("unwind_info", "true"),
        // Where blocks start is what `placement` goes by.
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
    Ok(shared)
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

/// What a flag says that is a switch; one without value is switched on.
pub(super) fn switch(name: &str, value: Option<&str>) -> Result<bool, CompileError> {
    match value {
        None | Some("true" | "on" | "yes" | "1") => Ok(true),
        Some("false" | "off" | "no" | "0") => Ok(false),
        Some(other) => Err(CompileError::new(format!("flag `{name}`: `{other}` is neither true nor false"))),
    }
}
