//! Random modules (crate `wasm-smith`), run in every mode that changes machine code or memories: whatever the mode, results, traps,
//! memories and globals are the same. With `AMPOULE_PEER_LIB`, the path of another library with the C interface of 44.0.0, they
//! are also what that library says. Damaged modules are refused or run, and harm nobody. `loops` makes programs of its own, full of
//! loops, `elements` such over arrays, and `objects` of its own that make structs; `tiers` compares the compilers to the last bit; in `graphs` a guest changes long-lived graphs of objects; in `snapshots` instances are reset and made again. Not random: accesses
//! around the edges of memories, in `edges`.
//!
//! Each test of random modules runs for ten seconds; `AMPOULE_FUZZ_SECONDS` says otherwise, or `AMPOULE_FUZZ_PROGRAMS`, a number to reach. A failure names the seed that shows it again,
//! as `AMPOULE_FUZZ_SEED`, and leaves the module in the system's folder for temporary files. Where the process ended with
//! it, `AMPOULE_FUZZ_FROM` runs the same seeds again.

mod array_program;
mod blame;
mod count;
mod edges;
mod elements;
mod generate;
mod graphs;
mod loops;
mod objects;
mod ours;
mod outcome;
mod peer;
mod program;
mod snapshots;
mod tiers;

use ampoule::Module;
use count::{Compared, for_seeds};
use generate::Random;
use ours::Mode;
use outcome::{End, Outcome};
use peer::Peer;
use std::io::Write;

/// More than any generated module uses: it ends by itself.
const PLENTY: u64 = 1 << 40;

/// In how many modes each module runs besides the first: they take turns, so that more modules are tried.
const OTHERS: usize = 8;

/// Notes that a test had no other library to compare with, in the file whose tests `cargo xtask test` lists as skipped.
fn skipped(test: &str) {
    let line = format!("{test}: AMPOULE_PEER_LIB names no library; `cargo xtask bench --fetch-peer` fetches one\n");
    print!("skipped: {line}");
    if let Some(list) = std::env::var_os("AMPOULE_SKIPPED") {
        let file = std::fs::OpenOptions::new().append(true).open(list);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the list of skipped tests is there");
    }
}

/// Ends the test, with what is needed to see it again.
fn differs(seed: u64, binary: &[u8], what: String) -> ! {
    let file = std::env::temp_dir().join(format!("ampoule-{seed}.wasm"));
    std::fs::write(&file, binary).expect("temporary files can be written");
    panic!("AMPOULE_FUZZ_SEED={seed}: {what}\nthe module is {}", file.display());
}

/// The calls of a module with what the first mode says of each.
fn expected(mode: &Mode, binary: &[u8], seed: u64) -> Option<(Module, Vec<(outcome::Call, Outcome)>)> {
    let module = match mode.module(binary) {
        Ok(module) => module,
        Err(error) => differs(seed, binary, format!("a valid module is refused: {error}")),
    };
    // Waiting on one would have no end.
    if module.description().memories.iter().any(|memory| memory.shared) {
        return None;
    }
    let calls = outcome::calls(&module, seed).into_iter().map(|call| {
        let outcome = mode.run(&module, &call, PLENTY);
        (call, outcome)
    });
    let calls = calls.filter(|(_, outcome)| !outcome.is_arbitrary()).collect();
    Some((module, calls))
}

/// Makes calls of a module in a mode: they end as the first mode said of each.
fn compare(
    (seed, binary): (u64, &[u8]),
    (first, calls): (&Mode, &[(outcome::Call, Outcome)]),
    mode: &Mode,
    is_same: impl Fn(&Outcome, &Outcome) -> bool,
    compared: &mut Compared,
) {
    let module = match mode.module(binary) {
        Ok(module) => module,
        // A pool's slots are smaller than what a module may ask for.
        Err(_) if mode.name == "pool" => return,
        Err(error) => differs(seed, binary, format!("{} refuses the module: {error}", mode.name)),
    };
    for (call, outcome) in calls {
        let found = mode.run(&module, call, PLENTY);
        if !is_same(outcome, &found) {
            let blamed = blame::either(first, outcome, mode, &found, binary, call);
            let what = format!("export {} says in {}\n{found:?}, not\n{outcome:?}", call.export, mode.name);
            differs(seed, binary, format!("{what}\n{blamed}"));
        }
    }
    compared.add(mode.name, calls.len());
}

/// Makes calls of a module in another engine: they end as ours in a mode.
fn compare_with(
    peer: &Peer,
    (seed, binary): (u64, &[u8]),
    (mode, calls): (&Mode, &[(outcome::Call, Outcome)]),
    is_same: impl Fn(&Outcome, &Outcome) -> bool,
    compared: &mut Compared,
) {
    let Some(module) = peer.module(binary) else { differs(seed, binary, "the other engine refuses it".into()) };
    for (call, outcome) in calls {
        let found = module.run(call);
        if !is_same(outcome, &found) {
            let what = format!("export {} gives\n{outcome:?}, in the other engine\n{found:?}", call.export);
            differs(seed, binary, format!("{what}\n{}", blame::blamed(mode, binary, call, &found)));
        }
    }
    compared.add("another engine", calls.len());
}

/// Whether an outcome is as it is to be, or such that any is right.
fn same_or_arbitrary(outcome: &Outcome, found: &Outcome) -> bool {
    found == outcome || found.is_arbitrary()
}

#[test]
fn every_mode_says_the_same() {
    let modes = ours::modes();
    let (mut compared, mut returned, mut trapped) = (Compared::default(), 0, 0);
    for_seeds(|seed| {
        let binary = generate::module(seed)?;
        let (_, calls) = expected(&modes[0], &binary, seed)?;
        let others = &modes[1..];
        for mode in others.iter().cycle().skip(seed as usize % others.len() * OTHERS).take(OTHERS) {
            compare((seed, &binary), (&modes[0], &calls), mode, same_or_arbitrary, &mut compared);
        }
        returned += calls.iter().filter(|(_, outcome)| matches!(outcome.end, End::Results(_))).count();
        trapped += calls.iter().filter(|(_, outcome)| matches!(outcome.end, End::Trap(_))).count();
        Some(())
    });
    compared.print();
    println!("{returned} calls returned, {trapped} trapped");
    assert!(std::env::var_os("AMPOULE_FUZZ_SEED").is_some() || (returned > 0 && trapped > 0), "calls do something");
}

#[test]
fn another_engine_says_the_same() {
    let Some(path) = std::env::var_os("AMPOULE_PEER_LIB") else { return skipped("another_engine_says_the_same") };
    let peer = Peer::load(&path);
    let mode = ours::modes().remove(0);
    let mut compared = Compared::default();
    for_seeds(|seed| {
        let binary = generate::module(seed)?;
        let (_, calls) = expected(&mode, &binary, seed)?;
        compare_with(&peer, (seed, &binary), (&mode, &calls), same_or_arbitrary, &mut compared);
        Some(())
    });
    compared.print();
    assert!(std::env::var_os("AMPOULE_FUZZ_SEED").is_some() || compared.calls() > 0, "something is compared");
}

#[test]
fn damaged_modules_harm_nobody() {
    let modes = ours::modes();
    let mode = modes.iter().find(|mode| mode.name == "fuel").expect("a mode that ends what has no end");
    let (mut refused, mut ran) = (0, 0);
    for_seeds(|seed| {
        let binary = generate::module(seed)?;
        let mut random = Random::new(seed ^ 0xdada);
        for _ in 0..20 {
            let binary = generate::damaged(&mut random, &binary);
            let (valid, module) = (Module::validate(mode.engine(), &binary), mode.module(&binary));
            if valid.is_ok() && module.is_err() {
                differs(seed, &binary, format!("is valid and refused: {:?}", module.err()));
            }
            if valid.is_err() && module.is_ok() {
                differs(seed, &binary, format!("is not valid and taken: {:?}", valid.err()));
            }
            let Ok(module) = module else {
                refused += 1;
                continue;
            };
            if module.description().memories.iter().any(|memory| memory.shared) {
                continue;
            }
            for call in outcome::calls(&module, seed) {
                mode.run(&module, &call, 20_000);
                ran += 1;
            }
        }
        Some(())
    });
    println!("{refused} modules refused, {ran} calls made of others");
    assert!(std::env::var_os("AMPOULE_FUZZ_SEED").is_some() || (refused > 0 && ran > 0), "both happen");
}

#[test]
fn damaged_artifacts_are_refused() {
    let modes = ours::modes();
    let mut tried = 0;
    for_seeds(|seed| {
        let binary = generate::module(seed)?;
        let module = modes[0].module(&binary).ok()?;
        let artifact = module.serialize().expect("every module has an artifact");
        let mut random = Random::new(seed ^ 0xface);
        for _ in 0..50 {
            let damaged = generate::damaged(&mut random, &artifact);
            if damaged == artifact {
                continue;
            }
            // SAFETY: what differs by accident has another checksum, and is then not taken for code.
            let loaded = unsafe { Module::deserialize(modes[0].engine(), &damaged) };
            if loaded.is_ok() {
                differs(seed, &binary, "a damaged artifact is taken".into());
            }
            tried += 1;
        }
        Some(())
    });
    assert!(tried > 0, "some are tried");
}
