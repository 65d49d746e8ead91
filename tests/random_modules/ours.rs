//! Running a module on Ampoule, under every choice that changes machine code or memories.

use crate::outcome::{Call, End, MAX_MEMORY_BYTES, MAX_TABLE_ELEMENTS, Outcome, end_with, show, show_memory};
use ampoule::store::epoch::UpdateDeadline;
use ampoule::{
    Backtrace, Config, Engine, Error, Extern, Features, Instance, Linker, Module, PoolConfig, Store, Strategy, Val,
};
use ampoule_compiler::optimizing::Pass;
use ampoule_core::tunables::{OptLevel, Tiers};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One way to run modules.
pub struct Mode {
    pub name: &'static str,
    engine: Engine,
    /// Through an artifact.
    round_trip: bool,
    /// Wherever a guest asks whether its time is over, it is told to go on after a collection.
    interrupted: bool,
}

/// The mode with this change to the configuration.
pub fn mode(name: &'static str, change: &dyn Fn(&mut Config)) -> Mode {
    let mut config = Config {
        features: Features {
            wide_arithmetic: true,
            custom_page_sizes: true,
            exceptions: true,
            function_references: true,
            gc: true,
            ..Features::default()
        },
        shared_memory: true,
        parallel_compilation: false,
        ..Config::default()
    };
    // The modes of other tiers say so. By default, what runs but once would be the baseline tier's.
    config.tunables.tiers = Tiers::Optimizing;
    // All that is done to functions which run often; code that is compiled ahead has less of the same.
    config.tunables.debug_hot = true;
    change(&mut config);
    let engine = Engine::new(&config).expect("every mode is a configuration that can be had");
    Mode { name, engine, round_trip: name == "round_trip", interrupted: false }
}

/// The modes; what the first says is what the others must say.
///
/// `nan_canonicalization` is not one: `wasm-smith` leaves the bits of some NaNs to the engine, and those are what that mode changes.
pub fn modes() -> Vec<Mode> {
    vec![
        mode("default", &|_| {}),
        mode("no_passes", &|config| {
            config.cranelift_flags = Pass::ALL.map(off).into();
        }),
        mode("verified", &|config| config.tunables.debug_verifier = true),
        mode("eager", &|config| config.strategy = Strategy::Eager),
        mode("ahead", &|config| config.tunables.debug_hot = false),
        mode("round_trip", &|config| config.strategy = Strategy::Eager),
        mode("opt_none", &|config| {
            (config.tunables.opt_level, config.tunables.debug_verifier) = (OptLevel::None, true);
        }),
        mode("small", &|config| {
            (config.tunables.opt_level, config.tunables.debug_verifier) = (OptLevel::SpeedAndSize, true);
        }),
        mode("least_effort", &|config| {
            (config.tunables.debug_least_effort, config.tunables.debug_verifier) = (true, true);
        }),
        mode("least_effort_fuel", &|config| {
            (config.tunables.debug_least_effort, config.tunables.consume_fuel) = (true, true);
        }),
        mode("fuel", &|config| config.tunables.consume_fuel = true),
        mode("epoch", &|config| config.tunables.epoch_interruption = true),
        mode("cancellation", &|config| config.tunables.cancellation = true),
        mode("signals_off", &|config| config.tunables.signals_based_traps = false),
        mode("moving", &|config| {
            (config.tunables.memory_reservation, config.tunables.memory_guard_size) = (0, 0);
            config.memory_reservation_for_growth = 0;
        }),
        mode("small_guard", &|config| config.tunables.memory_guard_size = 64 << 10),
        mode("no_guard", &|config| config.tunables.memory_guard_size = 0),
        mode("no_spectre", &|config| config.tunables.spectre_mitigation = false),
        mode("copied_images", &|config| config.memory_init_cow = false),
        mode("gc_stress", &|config| config.gc_stress = true),
        mode("pool", &|config| config.pool = Some(PoolConfig::default())),
        mode("all_checks", &|config| {
            let tunables = &mut config.tunables;
            (tunables.consume_fuel, tunables.epoch_interruption, tunables.signals_based_traps) = (true, true, false);
            (tunables.memory_reservation, tunables.opt_level) = (1 << 20, OptLevel::None);
        }),
        baseline("baseline", &|_| {}),
        baseline("baseline_fuel", &|config| config.tunables.consume_fuel = true),
        baseline("baseline_epoch", &|config| config.tunables.epoch_interruption = true),
        baseline("baseline_signals_off", &|config| config.tunables.signals_based_traps = false),
        baseline("baseline_moving", &|config| {
            (config.tunables.memory_reservation, config.tunables.memory_guard_size) = (0, 0);
            config.memory_reservation_for_growth = 0;
        }),
        baseline("baseline_no_spectre", &|config| config.tunables.spectre_mitigation = false),
        baseline("baseline_gc_stress", &|config| config.gc_stress = true),
        baseline("baseline_all_checks", &|config| {
            let tunables = &mut config.tunables;
            (tunables.consume_fuel, tunables.epoch_interruption, tunables.signals_based_traps) = (true, true, false);
            tunables.memory_reservation = 1 << 20;
            config.strategy = Strategy::Eager;
        }),
        tier_up("tier_up", 0, &|_| {}),
        tier_up("tier_up_fuel", 0, &|config| config.tunables.consume_fuel = true),
        tier_up("tier_up_epoch", 0, &|config| config.tunables.epoch_interruption = true),
        // With so little code what was replaced is given back all the time, and first code falls out.
        tier_up("tier_up_gc_stress", 0, &|config| (config.gc_stress, config.code_memory) = (true, 16 << 10)),
        tier_up("tier_up_in_background", 1, &|config| {
            (config.tunables.epoch_interruption, config.tunables.signals_based_traps) = (true, false);
            config.code_memory = 32 << 10;
        }),
    ]
}

/// The flag that switches a pass off.
pub fn off(pass: Pass) -> (String, Option<String>) {
    (pass.name().to_string(), Some("false".to_string()))
}

/// A mode where functions are optimized as soon as they run again, by this many threads; with none, at that moment.
pub fn tier_up(name: &'static str, threads: usize, change: &dyn Fn(&mut Config)) -> Mode {
    mode(name, &|config| {
        config.tunables.tiers = Tiers::Auto;
        (config.tier_up.after, config.tier_up.threads) = (1, threads);
        change(config);
    })
}

/// A mode of the baseline tier.
pub fn baseline(name: &'static str, change: &dyn Fn(&mut Config)) -> Mode {
    mode(name, &|config| {
        config.tunables.tiers = Tiers::Baseline;
        change(config);
    })
}

impl Mode {
    /// The same, where guests are interrupted at each function entry and loop head. The engine has epochs.
    pub fn interrupted(self) -> Mode {
        Mode { interrupted: true, ..self }
    }

    /// The same, with this change more.
    pub fn changed(&self, change: impl FnOnce(&mut Config)) -> Mode {
        let mut config = self.engine.config().clone();
        change(&mut config);
        let engine = Engine::new(&config).expect("the change is one that can be had");
        Mode { engine, ..*self }
    }

    /// The engine, for what is not a run.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The module, made as this mode makes modules.
    pub fn module(&self, binary: &[u8]) -> Result<Module, Error> {
        let module = Module::from_binary(&self.engine, binary)?;
        if !self.round_trip {
            return Ok(module);
        }
        // SAFETY: the bytes are what `serialize` just wrote.
        unsafe { Module::deserialize(&self.engine, &module.serialize()?) }
    }

    /// A store with the limits of all stores, and as much fuel where this mode counts.
    pub fn store(&self, fuel: u64) -> Box<Store> {
        let mut store = Store::new(&self.engine);
        store.limits_mut().memory_size = Some(MAX_MEMORY_BYTES);
        store.limits_mut().table_elements = Some(MAX_TABLE_ELEMENTS);
        let _ = store.set_fuel(fuel);
        store.set_epoch_deadline(u64::MAX / 2);
        store
    }

    /// Makes one call in an instance of its own.
    ///
    /// `fuel` is what it may use where this mode counts.
    pub fn run(&self, module: &Module, call: &Call, fuel: u64) -> Outcome {
        let mut store = self.store(fuel);
        let interruptions = Arc::new(AtomicUsize::new(0));
        if self.interrupted {
            store.set_epoch_deadline(0);
            let interruptions = interruptions.clone();
            store.epoch_deadline_callback(Some(Box::new(move |store| {
                interruptions.fetch_add(1, Ordering::Relaxed);
                store.gc();
                Ok(UpdateDeadline::Continue(0))
            })));
        }
        let mut outcome = run_in(&mut store, module, call).unwrap_or_else(|error| stopped(&error));
        outcome.fuel = store.fuel().ok().map(|left| fuel - left);
        outcome.interruptions = interruptions.load(Ordering::Relaxed);
        outcome
    }
}

/// Makes the call. An error is one before it.
fn run_in(store: &mut Store, module: &Module, call: &Call) -> Result<Outcome, Error> {
    let instance = default_imports(store, module)?.instantiate(store, module)?;
    call_in(store, instance, call)
}

/// What the module imports, as small as can be.
pub fn default_imports(store: &mut Store, module: &Module) -> Result<Linker, Error> {
    let mut linker = Linker::new(module.engine());
    linker.define_unknown_imports_as_default_values(store, module)?;
    Ok(linker)
}

/// Makes the call in this instance. An error is one after it.
pub fn call_in(store: &mut Store, instance: Instance, call: &Call) -> Result<Outcome, Error> {
    let exports = instance.module(store)?.description().exports.len();
    let (_, item) = instance.export_at(store, call.export).expect("the module exports it");
    let Extern::Func(func) = item else { panic!("its type is a function's") };
    let mut results: Vec<Val> = call.ty.results().iter().map(|&ty| Val::default_for(ty)).collect();
    let mut outcome = match func.call(store, &call.args, &mut results) {
        Ok(()) => Outcome { end: End::Results(results.iter().map(show).collect()), ..Outcome::default() },
        Err(error) => stopped(&error),
    };
    let items: Vec<Extern> = (0..exports).filter_map(|at| Some(instance.export_at(store, at)?.1)).collect();
    outcome.state = items.iter().map(|item| show_item(store, item)).collect::<Result<_, Error>>()?;
    Ok(outcome)
}

/// How a call ended that was stopped, or never begun.
fn stopped(error: &Error) -> Outcome {
    let end = error.trap_code().map_or_else(|| end_with(&error.to_string()), |code| End::Trap(code as u8));
    let frames = error.backtrace().map(Backtrace::frames).unwrap_or_default();
    let frames = frames.iter().map(|frame| (frame.func_index(), frame.module_offset())).collect();
    Outcome { end, frames, ..Outcome::default() }
}

fn show_item(store: &mut Store, item: &Extern) -> Result<String, Error> {
    Ok(match item {
        Extern::Memory(memory) => show_memory(memory.bytes(store)?),
        Extern::Table(table) => format!("table {}", table.size(store)?),
        Extern::Global(global) => show(&global.get(store)?),
        _ => String::new(),
    })
}
