//! Compiling modules: what that takes of an engine, so that it can go on beside the engine, and after its end.

use crate::engine::cache::{Cache, Key};
use crate::engine::thunks::{ArtifactThunks, StoredThunk, compile_thunk};
use crate::engine::type_registry::Thunk;
use crate::engine::{COMPILER_STACK, Engine};
use crate::error::Error;
use crate::module::artifact::{self, Expected};
use crate::module::code_table::{CompileFn, Profile, Wanted};
use crate::module::progress::Progress;
use crate::module::{ModuleBytes, SharedBytes};
use ampoule_compiler::{Compiler, Compilers, ModuleInput};
use ampoule_core::features::Features;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::module::ModuleDescription;
use ampoule_core::tunables::{Tiers, Tunables};
use ampoule_core::types::FuncType;
use ampoule_core::vm::{Callees, VmLayout};
use ampoule_machine::code::link::Text;
use ampoule_machine::fiber::with_stack;
use ampoule_machine::os::fork;
use rayon::prelude::*;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The engine's compiler, and the choices it follows.
#[derive(Clone)]
pub(crate) struct ModuleCompiler {
    compilers: Compilers,
    features: Features,
    tunables: Tunables,
    parallel: bool,
    compiled_functions: Arc<AtomicU64>,
}

impl ModuleCompiler {
    pub(crate) fn of(engine: &Engine) -> Self {
        let config = engine.config();
        Self {
            compilers: engine.compilers().clone(),
            features: config.features,
            tunables: config.tunables,
            parallel: config.parallel_compilation,
            compiled_functions: engine.compiled_functions_counter().clone(),
        }
    }

    /// The compiler of code that a function keeps, or of code that `is_replaced` where it runs often.
    fn compiler(&self, is_replaced: bool) -> &dyn Compiler {
        match self.tunables.tiers {
            Tiers::Auto if is_replaced => &*self.compilers.baseline,
            Tiers::Baseline => &*self.compilers.baseline,
            Tiers::Auto | Tiers::Optimizing => &*self.compilers.optimizing,
        }
    }

    /// How functions of a module are compiled. Where there is `progress`, what is known there is not compiled, and what is compiled for good is
    /// added.
    pub(crate) fn compile_fn(
        &self,
        description: &Arc<ModuleDescription>,
        layout: &Arc<VmLayout>,
        bytes: &SharedBytes,
        progress: Option<&Arc<Progress>>,
    ) -> Box<CompileFn> {
        let (description, layout, bytes) = (description.clone(), layout.clone(), bytes.clone());
        let progress = progress.cloned();
        let this = self.clone();
        static WARM: AtomicBool = AtomicBool::new(false);
        Box::new(move |func, wanted| {
            let ModuleCompiler { tunables, compiled_functions, .. } = &this;
            let known = match (&progress, wanted) {
                (Some(progress), Wanted::AtFirst(_) | Wanted::AtOnce(_)) => progress.at_first_call(func),
                (Some(progress), Wanted::Better(_)) => progress.function(func),
                _ => None,
            };
            if let Some(function) = known {
                return Ok(function);
            }
            let (counters, profile) = match wanted {
                Wanted::AtFirst(profile) | Wanted::AtOnce(profile) => (profile.map(Profile::counters), profile),
                Wanted::ForGood => (None, None),
                Wanted::Better(profile) | Wanted::FromLoop(_, profile) => (None, Some(profile)),
            };
            let compiler = this.compiler(counters.is_some());
            let shown_all = match wanted {
                Wanted::Better(profile) => profile.has_shown_all(func),
                _ => false,
            };
            let seen = profile.map(|profile| Seen { profile, shown_all });
            let profile = seen.as_ref().map(|seen| -> &dyn ampoule_compiler::Profile { seen });
            let input =
                ModuleInput { module: &description, layout: &layout, bytes: &bytes, tunables, counters, profile };
            let compiled = fork::hold_off_once(&WARM, || match wanted {
                Wanted::AtFirst(_) | Wanted::ForGood => Some(compiler.compile_function(&input, func)),
                Wanted::AtOnce(_) => compiler.compile_at_once(&input, func).map(Ok),
                Wanted::Better(_) => compiler.compile_better(&input, func).transpose(),
                Wanted::FromLoop(number, _) => Some(this.compilers.baseline.compile_from_loop(&input, func, number)),
            });
            let compiled = compiled.ok_or("it would cost too much")?.map_err(|error| error.to_string());
            compiled_functions.fetch_add(1, Ordering::Relaxed);
            if let (Some(progress), Wanted::Better(_), Ok(function)) = (&progress, wanted, &compiled) {
                progress.add(func, function);
            }
            compiled
        })
    }

    /// A compiled module as bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Compile`] where the back end refuses a thunk; [`ErrorKind::Artifact`] where the module is too large.
    pub(crate) fn artifact(
        &self,
        description: &ModuleDescription,
        bytes: &ModuleBytes,
        text: &Text,
    ) -> Result<Vec<u8>, Error> {
        let made_for =
            Expected { target: self.compilers.optimizing.target(), features: &self.features, tunables: &self.tunables };
        let thunks = self.thunks_to_keep(description)?;
        Ok(artifact::serialize(made_for, description, |range| bytes.range(range), text, &thunks)?)
    }

    /// The thunks of all of the module's types: its functions may be called, and functions of the host may be called by it, through
    /// references too. Types that cross alike share theirs.
    fn thunks_to_keep(&self, description: &ModuleDescription) -> Result<Vec<u8>, Error> {
        let mut known = HashSet::new();
        let types = description.types.iter().enumerate();
        let types = types.filter_map(|(number, ty)| Some((number, ty.as_func()?.as_crossed())));
        let wanted: Vec<_> = types.filter(|(_, ty)| known.insert(ty.clone())).collect();
        let wanted =
            wanted.iter().flat_map(|(number, ty)| Thunk::KEPT.into_iter().map(move |which| (*number, ty, which)));
        let compile = |(number, ty, which): (usize, &FuncType, Thunk)| {
            let compiled = compile_thunk(&*self.compilers.optimizing, ty, which)?;
            Ok(StoredThunk::new(number as u32, ty, which, compiled)?)
        };
        let wanted: Vec<_> = wanted.collect();
        // Those of one type take less than threads do.
        let stored: Result<Vec<_>, Error> = if self.parallel && wanted.len() > Thunk::KEPT.len() {
            crate::engine::parallel::on_all_cores(|| wanted.into_par_iter().map(compile).collect())
        } else {
            with_stack(COMPILER_STACK, || wanted.into_iter().map(compile).collect())
        };
        Ok(ArtifactThunks::encode(stored?)?)
    }

    /// Has a module compiled as a whole for a cache, beside everything else, with what there is already.
    pub(crate) fn compile_for(
        &self,
        cache: &Cache,
        key: Key,
        description: &Arc<ModuleDescription>,
        layout: &Arc<VmLayout>,
        bytes: &SharedBytes,
        progress: &Arc<Progress>,
    ) {
        let compiler = ModuleCompiler { parallel: false, ..self.clone() };
        let (description, layout, bytes) = (description.clone(), layout.clone(), bytes.clone());
        let ended = EndOfProgress(progress.clone());
        cache.store_later(key, move |cache| {
            let compile = compiler.compile_fn(&description, &layout, &bytes, None);
            let functions = ended.0.complete(&description.bodies, &*compile, |part| cache.store_part(&key, part))?;
            let text = Text::link(functions, description.num_imported_functions)?;
            compiler.artifact(&description, &ModuleBytes::Whole(bytes), &text)
        });
    }
}

/// What was noted of a module, for a compilation.
struct Seen<'a> {
    profile: &'a Profile,
    /// Whether what was never reached tells anything: see [`Profile::has_shown_all`].
    shown_all: bool,
}

impl ampoule_compiler::Profile for Seen<'_> {
    fn call_site(&self, position: u32) -> usize {
        self.profile.call_site(position)
    }

    fn callees(&self, position: u32) -> Option<Callees> {
        self.profile.callees(position).filter(|&callees| self.shown_all || callees != Callees::None)
    }

    fn was_called(&self, func: DefinedFuncIndex) -> bool {
        !self.shown_all || self.profile.was_called(func)
    }
}

/// Ends progress when the cache is done with a module, or has no time for it.
struct EndOfProgress(Arc<Progress>);

impl Drop for EndOfProgress {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A guess of the machine code a module needs if all of it is compiled. Addresses cost nothing.
pub(crate) fn code_capacity(description: &ModuleDescription) -> usize {
    let section = description.code_section.end - description.code_section.start;
    (section as usize).saturating_mul(8).clamp(1 << 16, 1 << 30)
}
