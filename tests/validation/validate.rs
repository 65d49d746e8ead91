//! Whether a function does the same behind all passes as without any.

use crate::memory::{Reference, References, hash};
use crate::run::{End, Functions, Run, run};
use ampoule_compiler::ModuleInput;
use ampoule_compiler::optimizing::{OptimizingCompiler, Pass};
use ampoule_core::index::{DefinedFuncIndex, FuncIndex};
use ampoule_core::tunables::{OptLevel, Tunables};
use cranelift_codegen::ir::Function;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs of each function.
const RUNS: u64 = 3;

/// The compilers whose IR is compared.
pub struct Compilers {
    /// Translates, and does no more.
    plain: (OptimizingCompiler, Tunables),
    /// With all passes but those that can't be compared, for what they do is seen. Scalar replacement leaves out allocations.
    full: (OptimizingCompiler, Tunables),
    /// Each without one more.
    without: Vec<(Pass, OptimizingCompiler)>,
}

/// What was found in some functions.
#[derive(Default)]
pub struct Counts {
    pub validated: usize,
    /// No run came to an end, so that only its beginning was compared.
    pub unfinished: usize,
    /// The interpreter lacks instructions.
    pub unknown: BTreeMap<String, usize>,
}

impl Counts {
    /// Those that were not compared whole.
    pub fn others(&self) -> usize {
        self.unfinished + self.unknown.values().sum::<usize>()
    }

    pub fn print(&self) {
        let Self { validated, unfinished, unknown } = self;
        println!(
            "{validated} functions validated, {unfinished} as far as they were run, skipped for what the interpreter lacks: {unknown:?}"
        );
    }
}

/// A module's functions without any pass, made when they are called.
struct Plain<'a> {
    compilers: &'a Compilers,
    references: References,
    input: ModuleInput<'a>,
    made: Vec<OnceCell<Option<Box<Function>>>>,
}

impl Functions for Plain<'_> {
    fn named(&self, namespace: u32, index: u32) -> Option<&Function> {
        let own = (index as usize).checked_sub(self.input.module.num_imported_functions).filter(|_| namespace == 0)?;
        let make = || self.compilers.plain.0.intermediate(&self.input, DefinedFuncIndex(own as u32)).ok().map(Box::new);
        self.made[own].get_or_init(make).as_deref()
    }
}

impl Compilers {
    /// For these choices, without passes that can't be compared under them.
    pub fn new(change: impl Fn(&mut Tunables), never: &[Pass]) -> Self {
        let never = [never, &[Pass::ScalarReplacement]].concat();
        let compiler = |opt_level, off: &[Pass]| {
            let mut tunables = Tunables { opt_level, ..Tunables::default() };
            change(&mut tunables);
            let flags: Vec<_> = off.iter().map(|pass| (pass.name().to_string(), Some("false".to_string()))).collect();
            let compiler = OptimizingCompiler::new(&tunables, &flags, Some("x86_64-unknown-linux-gnu"));
            (compiler.expect("a supported target"), tunables)
        };
        let without = |pass| (pass, compiler(OptLevel::Speed, &[&never[..], &[pass]].concat()).0);
        Self {
            plain: compiler(OptLevel::None, &[]),
            full: compiler(OptLevel::Speed, &never),
            without: Pass::ALL.map(without).into(),
        }
    }

    /// Compares the functions of a module that `chosen` chooses.
    ///
    /// # Errors
    /// What differs, in which function, by which passes.
    pub fn validate(
        &self,
        module: ModuleInput<'_>,
        chosen: impl Fn(usize) -> bool,
        counts: &mut Counts,
    ) -> Result<(), String> {
        self.validate_changed(module, chosen, |_| (), counts)
    }

    /// The same with a change to what the passes leave.
    ///
    /// # Errors
    /// See [`Self::validate`].
    pub fn validate_changed(
        &self,
        module: ModuleInput<'_>,
        chosen: impl Fn(usize) -> bool,
        change: impl Fn(&mut Function),
        counts: &mut Counts,
    ) -> Result<(), String> {
        let own = module.module.bodies.iter().count();
        let input = ModuleInput { tunables: &self.plain.1, ..module };
        let plain = Plain {
            compilers: self,
            references: references(&input),
            input,
            made: std::iter::repeat_with(OnceCell::new).take(own).collect(),
        };
        for func in (0..own).filter(|&func| chosen(func)) {
            let index = DefinedFuncIndex(func as u32);
            let name = module.module.func_index(index).0;
            // What is too large to be optimized is as it was.
            let Some(before) = plain.named(0, name) else { continue };
            let made = |compiler: &OptimizingCompiler| {
                compiler.intermediate(&ModuleInput { tunables: &self.full.1, ..module }, index)
            };
            let mut after = made(&self.full.0).map_err(|error| format!("function {name}: {error}"))?;
            change(&mut after);
            let has_return_area = before.signature.params.len()
                == 2 + module.module.func_type(module.module.func_index(index)).params().len();
            match compare(before, &after, &plain, has_return_area) {
                Compared::Same => counts.validated += 1,
                Compared::Unfinished => counts.unfinished += 1,
                Compared::Unknown(what) => *counts.unknown.entry(what).or_default() += 1,
                Compared::Different(what) => {
                    let is_right = |compiler: &OptimizingCompiler| {
                        let made = made(compiler);
                        made.is_ok_and(|after| {
                            !matches!(compare(before, &after, &plain, has_return_area), Compared::Different(_))
                        })
                    };
                    let blamed = self.without.iter().filter(|(_, compiler)| is_right(compiler));
                    let blamed: Vec<_> = blamed.map(|(pass, _)| pass.name()).collect();
                    return Err(format!(
                        "function {name} differs: {what}\nit doesn't without: {blamed:?}\nwithout passes {before}\nwith them {after}"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The references that instances of a module make.
fn references(input: &ModuleInput<'_>) -> References {
    let ModuleInput { module, layout, .. } = input;
    let reference = |&func: &FuncIndex| {
        let offset = layout.func_ref(module.func_ref(func)?).into();
        Some(Reference { func: func.0, offset, signature: u64::from(module.functions.at(func.index()).0) * 8 })
    };
    // Where nothing else is.
    References { list: module.func_refs.iter().filter_map(reference).collect(), vmctx: hash(&[]) & !7 }
}

enum Compared {
    Same,
    Unfinished,
    Unknown(String),
    Different(String),
}

fn compare(before: &Function, after: &Function, functions: &Plain<'_>, has_return_area: bool) -> Compared {
    let mut finished = false;
    for seed in 0..RUNS {
        let run = |func| {
            // The interpreter panics where it has no code for an instruction of these types.
            catch_unwind(AssertUnwindSafe(|| run(func, functions, &functions.references, seed, has_return_area)))
        };
        let (Ok(one), Ok(other)) = (run(before), run(after)) else { return Compared::Unknown("panic".to_string()) };
        for end in [&one.end, &other.end] {
            if let End::Unknown(opcode) = end {
                return Compared::Unknown(opcode.to_string());
            }
        }
        if let Some(what) = difference(&one, &other) {
            return Compared::Different(format!("run {seed}: {what}"));
        }
        finished |= one.end != End::Unfinished && other.end != End::Unfinished;
    }
    if finished { Compared::Same } else { Compared::Unfinished }
}

/// What two runs do otherwise: as far as both came.
fn difference(one: &Run, other: &Run) -> Option<String> {
    if let Some(at) = one.calls.iter().zip(&other.calls).position(|(one, other)| one != other) {
        return Some(format!("call {at} is\n{:x?}, not\n{:x?}", other.calls[at], one.calls[at]));
    }
    let is_shorter = |one: &Run, other: &Run| one.end != End::Unfinished && one.calls.len() < other.calls.len();
    if is_shorter(one, other) || is_shorter(other, one) {
        return Some(format!(
            "{} calls, not {}: {:x?} and {:x?}",
            other.calls.len(),
            one.calls.len(),
            other.end,
            one.end
        ));
    }
    if [one, other].iter().any(|run| run.end == End::Unfinished) {
        return None;
    }
    if one.end != other.end {
        return Some(format!("it ends with {:x?}, not {:x?}", other.end, one.end));
    }
    (one.memory != other.memory).then(|| "what it leaves in memory".to_string())
}
