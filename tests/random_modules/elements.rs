//! Random loops over the elements of arrays (`array_program`), in every mode and in another engine.

use crate::array_program::program;
use crate::count::{Compared, for_seeds, is_longer};
use crate::ours::{self, Mode};
use crate::outcome::{End, Outcome};
use crate::peer::Peer;
use crate::{compare, compare_with, expected, skipped};
use ampoule::Config;
use ampoule_compiler::optimizing::Pass;
use ampoule_core::tunables::Tiers;

/// Programs of each run.
const PROGRAMS: u64 = 400;

fn binary(seed: u64, is_64: bool) -> Vec<u8> {
    let text = program(seed, is_64, 1 << 16);
    ampoule::Module::binary_of_text(&text).unwrap_or_else(|error| panic!("program {seed} is wrong: {error}\n{text}"))
}

fn for_programs(mut test: impl FnMut(u64) -> Option<()>) {
    if std::env::var_os("AMPOULE_FUZZ_SEED").is_none() {
        (0..PROGRAMS).for_each(|seed| {
            test(seed);
        });
    }
    if is_longer() {
        for_seeds(test);
    }
}

/// Modes that change what is vectorized, and how memories are.
fn modes() -> Vec<Mode> {
    let unchecked = |config: &mut Config| config.tunables.spectre_mitigation = false;
    vec![
        ours::mode("default", &|_| {}),
        ours::mode("only_vectorization", &|config| {
            let others = Pass::ALL.into_iter().filter(|&pass| pass != Pass::Vectorization);
            config.cranelift_flags = others.map(ours::off).collect();
            config.tunables.debug_verifier = true;
        }),
        ours::mode("no_vectorization", &|config| config.cranelift_flags = vec![ours::off(Pass::Vectorization)]),
        ours::mode("unchecked", &|config| {
            unchecked(config);
            config.tunables.signals_based_traps = false;
        }),
        ours::mode("checked", &|config| config.tunables.signals_based_traps = false),
        ours::mode("moving", &|config| {
            (config.tunables.memory_reservation, config.tunables.memory_guard_size) = (0, 0);
        }),
        ours::tier_up("tier_up", 0, &|_| {}),
    ]
}

/// With two kinds of addresses, in turn.
fn is_64(seed: u64) -> bool {
    seed % 4 == 3
}

/// How calls ended.
#[derive(Default)]
struct Counts {
    returned: usize,
    trapped: usize,
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        match outcome.end {
            End::Results(_) => self.returned += 1,
            _ => self.trapped += 1,
        }
    }

    fn check(&self) {
        let Counts { returned, trapped } = *self;
        println!("{returned} calls returned, {trapped} trapped");
        assert!(std::env::var_os("AMPOULE_FUZZ_SEED").is_some() || (returned > trapped && trapped > 0), "both happen");
    }
}

#[test]
fn loops_over_elements_do_the_same_in_every_mode() {
    let baseline = ours::mode("baseline", &|config| config.tunables.tiers = Tiers::Baseline);
    let modes = modes();
    let (mut compared, mut counts) = (Compared::default(), Counts::default());
    for_programs(|seed| {
        let binary = binary(seed, is_64(seed));
        let (_, calls) = expected(&baseline, &binary, seed)?;
        for mode in &modes {
            compare((seed, &binary), (&baseline, &calls), mode, PartialEq::eq, &mut compared);
        }
        calls.iter().for_each(|(_, outcome)| counts.add(outcome));
        Some(())
    });
    compared.print();
    counts.check();
}

#[test]
fn loops_over_elements_do_the_same_in_another_engine() {
    let Some(path) = std::env::var_os("AMPOULE_PEER_LIB") else {
        return skipped("loops_over_elements_do_the_same_in_another_engine");
    };
    let peer = Peer::load(&path);
    let mode = ours::mode("default", &|_| {});
    let mut compared = Compared::default();
    for_programs(|seed| {
        let binary = binary(seed, is_64(seed));
        let (_, calls) = expected(&mode, &binary, seed)?;
        compare_with(&peer, (seed, &binary), (&mode, &calls), PartialEq::eq, &mut compared);
        Some(())
    });
    compared.print();
}
