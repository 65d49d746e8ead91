//! Whatever a guest has done before, after it is frozen each call does the same: in the instance that was frozen, in the same one after resets,
//! in one that was made of the snapshot in another store, and of its bytes.

use crate::count::for_seeds;
use crate::outcome::{self, Call, Outcome};
use crate::{PLENTY, differs, generate, ours};
use ampoule::{Error, Instance, Module, Snapshot, Store};

/// Calls before the snapshot is taken, and after it.
const BEFORE: usize = 2;
const AFTER: usize = 4;

#[test]
fn what_a_snapshot_makes_or_resets_does_the_same() {
    let modes: Vec<_> = ours::modes().into_iter().filter(|mode| MODES.contains(&mode.name)).collect();
    assert_eq!(modes.len(), MODES.len());
    let (mut compared, mut refused) = (0, 0);
    for_seeds(|seed| {
        let binary = generate::module(seed)?;
        let mode = &modes[seed as usize % modes.len()];
        let module = mode.module(&binary).ok()?;
        if module.description().memories.iter().any(|memory| memory.shared) {
            return None;
        }
        let mut calls = outcome::calls(&module, seed);
        let mut store = mode.store(PLENTY);
        let Ok(instance) =
            ours::default_imports(&mut store, &module).and_then(|linker| linker.instantiate(&mut store, &module))
        else {
            return None;
        };
        for call in calls.drain(..BEFORE.min(calls.len())) {
            // It may trap; the snapshot is of what is left then.
            let _ = ours::call_in(&mut store, instance, &call);
        }
        let snapshot = match Snapshot::take_all(&store, &mut ()) {
            Ok(snapshot) => snapshot,
            Err(error) => differs(seed, &binary, format!("no snapshot in {}: {error}", mode.name)),
        };
        let bytes = match snapshot.to_bytes() {
            Ok(bytes) => bytes,
            Err(error) => differs(seed, &binary, format!("no bytes in {}: {error}", mode.name)),
        };
        // SAFETY: the bytes are what `to_bytes` just wrote.
        let loaded = unsafe { Snapshot::load(mode.engine(), &bytes) };
        let loaded = loaded.unwrap_or_else(|error| differs(seed, &binary, format!("not loaded: {error}")));
        for call in calls.iter().take(AFTER) {
            let Ok(expected) = ours::call_in(&mut store, instance, call) else { continue };
            if expected.is_arbitrary() {
                refused += 1;
                snapshot.reset(&mut store, &[instance], &mut ()).expect("it was as large before");
                continue;
            }
            for (how, found) in [
                ("reset", reset(&snapshot, &mut store, instance, call)),
                ("made again", made(&snapshot, mode, &module, call)),
                ("loaded", made(&loaded, mode, &module, call)),
                ("made again and reset", made_and_reset(&snapshot, mode, &module, call)),
            ] {
                match found {
                    Ok(found) if found == expected || found.is_arbitrary() => compared += 1,
                    found => {
                        let what =
                            format!("{}, {how}: export {} says\n{found:?}, not\n{expected:?}", mode.name, call.export);
                        differs(seed, &binary, what);
                    }
                }
            }
            snapshot.reset(&mut store, &[instance], &mut ()).expect("it was as large before");
        }
        Some(())
    });
    println!("{compared} calls compared, {refused} could not be");
    assert!(std::env::var_os("AMPOULE_FUZZ_SEED").is_some() || compared > 0, "something is compared");
}

/// The modes that change what instances have, rather than their code, and one of each tier.
const MODES: [&str; 8] =
    ["default", "moving", "copied_images", "gc_stress", "pool", "baseline", "signals_off", "tier_up_gc_stress"];

fn reset(snapshot: &Snapshot, store: &mut Store, instance: Instance, call: &Call) -> Result<Outcome, Error> {
    snapshot.reset(store, &[instance], &mut ())?;
    ours::call_in(store, instance, call)
}

/// In a new store, of which the imports come that are from outside.
fn thaw(snapshot: &Snapshot, mode: &ours::Mode, module: &Module) -> Result<(Box<Store>, Instance), Error> {
    let mut store = mode.store(PLENTY);
    let linker = ours::default_imports(&mut store, module)?;
    let instance = snapshot.instantiate(&mut store, &linker, &mut ())?[0];
    Ok((store, instance))
}

fn made(snapshot: &Snapshot, mode: &ours::Mode, module: &Module, call: &Call) -> Result<Outcome, Error> {
    let (mut store, instance) = thaw(snapshot, mode, module)?;
    ours::call_in(&mut store, instance, call)
}

fn made_and_reset(snapshot: &Snapshot, mode: &ours::Mode, module: &Module, call: &Call) -> Result<Outcome, Error> {
    let (mut store, instance) = thaw(snapshot, mode, module)?;
    ours::call_in(&mut store, instance, call)?;
    store.gc();
    reset(snapshot, &mut store, instance, call)
}
