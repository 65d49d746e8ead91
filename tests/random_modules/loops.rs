//! Random programs made of loops (`program`), in every mode and in another engine. Seeds are the numbers from 0: a run tests the same programs as the
//! last one, and `AMPOULE_FUZZ_SECONDS` or `AMPOULE_FUZZ_PROGRAMS` adds others.

use crate::count::{Compared, for_seeds, is_longer};
use crate::ours::{self, Mode};
use crate::outcome::{End, Outcome};
use crate::peer::Peer;
use crate::program::{may_trap, program};
use crate::{compare, compare_with, differs, expected, skipped};

/// Programs of each run.
const PROGRAMS: u64 = 240;
/// In how many modes each program runs besides what it is compared with, the default one, the other tier and both: they take turns.
const OTHERS: usize = 2;

fn binary(seed: u64) -> Vec<u8> {
    let text = program(seed);
    ampoule::Module::binary_of_text(&text).unwrap_or_else(|error| panic!("program {seed} is wrong: {error}\n{text}"))
}

/// Whether the two ended alike; where both counted fuel, and it is defined, with the same amount.
fn same(left: &Outcome, right: &Outcome) -> bool {
    let is_defined = matches!(left.end, End::Results(_)) && left.fuel.is_some() && right.fuel.is_some();
    left == right && (!is_defined || left.fuel == right.fuel)
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

/// What the calls of a program came to.
#[derive(Default)]
struct Counts {
    calls: u64,
    trapped: u64,
    fuel: u64,
}

impl Counts {
    fn add(&mut self, seed: u64, binary: &[u8], outcome: &Outcome) {
        match outcome.end {
            End::Results(_) => {}
            End::Trap(_) if may_trap(seed) => self.trapped += 1,
            _ => differs(seed, binary, format!("a program that ends ended with {outcome:?}")),
        }
        self.calls += 1;
        self.fuel += outcome.fuel.expect("this mode counts");
    }

    fn check(&self) {
        let Counts { calls, trapped, fuel } = *self;
        println!("{calls} calls, {trapped} trapped, {fuel} units of fuel");
        assert!(fuel / calls > 100, "loops go round: {fuel} units in {calls} calls");
        assert!(std::env::var_os("AMPOULE_FUZZ_SEED").is_some() || (trapped > 0 && trapped < calls / 4), "few trap");
    }
}

#[test]
fn loops_do_the_same_in_every_mode() {
    let modes = ours::modes();
    // Compared with: what counts fuel, so that every other one that counts it is compared with this.
    let (first, others): (Vec<&Mode>, Vec<&Mode>) = modes.iter().partition(|mode| mode.name == "fuel");
    let (mut compared, mut counts) = (Compared::default(), Counts::default());
    for_programs(|seed| {
        let binary = binary(seed);
        let (_, calls) = expected(first[0], &binary, seed)?;
        let always = others.iter().filter(|mode| ["default", "baseline_fuel", "tier_up_fuel"].contains(&mode.name));
        let in_turn = others.iter().cycle().skip(seed as usize % others.len() * OTHERS).take(OTHERS);
        for mode in always.chain(in_turn) {
            compare((seed, &binary), (first[0], &calls), mode, same, &mut compared);
        }
        calls.iter().for_each(|(_, outcome)| counts.add(seed, &binary, outcome));
        Some(())
    });
    compared.print();
    counts.check();
}

#[test]
fn loops_do_the_same_in_another_engine() {
    let Some(path) = std::env::var_os("AMPOULE_PEER_LIB") else {
        return skipped("loops_do_the_same_in_another_engine");
    };
    let peer = Peer::load_counting(&path);
    let modes = ours::modes();
    let mode = modes.iter().find(|mode| mode.name == "fuel").expect("it is one of them");
    let (mut compared, mut counts) = (Compared::default(), Counts::default());
    for_programs(|seed| {
        let binary = binary(seed);
        let (_, calls) = expected(mode, &binary, seed)?;
        compare_with(&peer, (seed, &binary), (mode, &calls), same, &mut compared);
        calls.iter().for_each(|(_, outcome)| counts.add(seed, &binary, outcome));
        Some(())
    });
    compared.print();
    counts.check();
}
