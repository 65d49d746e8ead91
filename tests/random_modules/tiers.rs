//! The two compilers, compared to the last bit. Whichever made the code, a call has the same results, NaNs included where the engine
//! promises their bits, traps at the same operator of the same functions, leaves the same memory behind, and has used the same fuel. Without
//! inlining, so it is where it was stopped in the middle, because that was all the fuel it had; and both were interrupted as often.

use crate::count::for_seeds;
use crate::generate;
use crate::ours::{self, Mode};
use crate::outcome::{Call, End, Outcome};
use crate::{PLENTY, differs, outcome};
use ampoule::{Config, Module, Strategy, TrapCode};
use ampoule_core::tunables::OptLevel;

/// The same choices for all compilers.
struct Pair {
    optimizing: Mode,
    /// The baseline tier; and both, where functions are optimized as they run. Not where all look alike: then nothing is optimized.
    others: Vec<Mode>,
    /// Results don't depend on what an engine may choose.
    is_deterministic: bool,
    /// Both look at fuel and deadlines at the same places: functions that are inlined don't look.
    looks_alike: bool,
    /// Accesses and divisions are not checked, but fault.
    may_fault: bool,
}

fn pair(name: &'static str, change: &dyn Fn(&mut Config)) -> Pair {
    let change = |config: &mut Config| {
        config.tunables.consume_fuel = true;
        change(config);
    };
    let (optimizing, baseline) = (ours::mode(name, &change), ours::baseline(name, &change));
    let tunables = optimizing.engine().config().tunables;
    let is_deterministic = tunables.nan_canonicalization && tunables.relaxed_simd_deterministic;
    let looks_alike = tunables.opt_level == OptLevel::None;
    // As soon as can be, and once indirect calls have shown what they call.
    let later = |config: &mut Config| {
        config.tier_up.after = 6;
        change(config);
    };
    let tier_up = || [ours::tier_up(name, 0, &change), ours::tier_up(name, 0, &later)];
    let tier_up = (!looks_alike).then(tier_up).into_iter().flatten();
    let others = std::iter::once(baseline).chain(tier_up).collect();
    Pair { optimizing, others, is_deterministic, looks_alike, may_fault: tunables.signals_based_traps }
}

fn pairs() -> Vec<Pair> {
    let deterministic = |config: &mut Config| {
        (config.tunables.nan_canonicalization, config.tunables.relaxed_simd_deterministic) = (true, true);
    };
    let interrupted = pair("interrupted", &|config| {
        // Who waits for a compiler looks as well, as often as it takes.
        config.strategy = Strategy::Eager;
        (config.tunables.epoch_interruption, config.tunables.opt_level) = (true, OptLevel::None);
    });
    vec![
        pair("fuel", &|_| {}),
        pair("no signals", &|config| config.tunables.signals_based_traps = false),
        pair("little fuel", &|config| config.tunables.opt_level = OptLevel::None),
        pair("deterministic", &deterministic),
        pair("deterministic, all checks", &|config| {
            deterministic(config);
            let tunables = &mut config.tunables;
            (tunables.epoch_interruption, tunables.signals_based_traps) = (true, false);
            (tunables.memory_reservation, tunables.memory_guard_size) = (0, 0);
            tunables.opt_level = OptLevel::None;
        }),
        pair("gc stress", &|config| config.gc_stress = true),
        Pair {
            optimizing: interrupted.optimizing.interrupted(),
            others: interrupted.others.into_iter().map(Mode::interrupted).collect(),
            ..interrupted
        },
    ]
}

/// What was seen in all.
#[derive(Default)]
struct Counts {
    returned: usize,
    trapped: usize,
    /// Calls that had not enough fuel.
    starved: usize,
}

impl Pair {
    /// Makes the call with so much fuel, in code of any compiler.
    fn compare(&self, modules: &[Module], call: &Call, fuel: u64) -> Result<Option<Outcome>, String> {
        let expected = self.optimizing.run(&modules[0], call, fuel);
        // How much fits on a stack or in a heap differs.
        if expected.is_arbitrary() {
            return Ok(None);
        }
        for (mode, module) in self.others.iter().zip(&modules[1..]) {
            let mut found = mode.run(module, call, fuel);
            if found.is_arbitrary() {
                return Ok(None);
            }
            if self.may_fault && !found.tells_where() {
                // An instruction that faults may be part of what a later operator does, where the code was optimized.
                found.frames.clone_from(&expected.frames);
            }
            if !found.is_exactly(&expected) {
                let (name, tiers, export) = (mode.name, mode.engine().config().tunables.tiers, call.export);
                return Err(format!(
                    "{name}, {tiers:?}, export {export}, with {fuel} units of fuel:\n{found:?}, not\n{expected:?}"
                ));
            }
        }
        Ok(Some(expected))
    }

    /// All calls of a module.
    fn check(&self, binary: &[u8], seed: u64, counts: &mut Counts) -> Result<(), String> {
        let module = |mode: &Mode| mode.module(binary).map_err(|error| format!("a valid module is refused: {error}"));
        let modules: Vec<Module> =
            std::iter::once(&self.optimizing).chain(&self.others).map(module).collect::<Result<_, _>>()?;
        // Waiting on one would have no end.
        if modules[0].description().memories.iter().any(|memory| memory.shared) {
            return Ok(());
        }
        for call in outcome::calls(&modules[0], seed) {
            let Some(whole) = self.compare(&modules, &call, PLENTY)? else { continue };
            match whole.end {
                End::Results(_) => counts.returned += 1,
                End::Trap(_) => counts.trapped += 1,
                _ => {}
            }
            let used = whole.fuel.expect("these modes count");
            if !self.looks_alike {
                continue;
            }
            for less in [used / 4, used / 2, used.saturating_sub(1)] {
                if let Some(stopped) = self.compare(&modules, &call, less)? {
                    counts.starved += usize::from(stopped.end == End::Trap(TrapCode::OutOfFuel as u8));
                }
            }
        }
        Ok(())
    }
}

#[test]
fn both_tiers_say_the_same() {
    let pairs = pairs();
    let mut counts = Counts::default();
    for_seeds(|seed| {
        let pair = &pairs[seed as usize % pairs.len()];
        let binary = if pair.is_deterministic { generate::module_with_choices(seed) } else { generate::module(seed) };
        let binary = binary?;
        if let Err(what) = pair.check(&binary, seed, &mut counts) {
            differs(seed, &binary, what);
        }
        Some(())
    });
    let Counts { returned, trapped, starved } = counts;
    println!("{returned} calls returned, {trapped} trapped, {starved} more had not enough fuel");
    let all = returned > 0 && trapped > 0 && starved > 0;
    assert!(std::env::var_os("AMPOULE_FUZZ_SEED").is_some() || all, "calls do something");
}
