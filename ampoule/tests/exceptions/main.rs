//! Exceptions: thrown and caught by guests, thrown through the host and back, and what they leave alone.

mod guests;
mod host;
mod legacy;
mod metering;
mod objects;
mod registers;
mod tasks;

use ampoule::{Config, Engine, Extern, Instance, Module, Store, Strategy};
use ampoule_core::tunables::{OptLevel, Tiers};

/// A configuration with exceptions of both encodings.
fn config() -> Config {
    let mut config = Config::new();
    (config.features.exceptions, config.features.legacy_exceptions) = (true, true);
    config.tiers(Tiers::Optimizing);
    config
}

/// Every way in which code is made, and the name of each.
fn modes() -> Vec<(&'static str, Config)> {
    let mode = |name, change: fn(&mut Config)| {
        let mut config = config();
        change(&mut config);
        (name, config)
    };
    vec![
        mode("default", |_| {}),
        mode("not optimized", |config| config.tunables.opt_level = OptLevel::None),
        mode("baseline", |config| config.tunables.tiers = Tiers::Baseline),
        mode("tier up", |config| {
            config.tunables.tiers = Tiers::Auto;
            (config.tier_up.after, config.tier_up.threads) = (1, 0);
        }),
        mode("least effort", |config| config.tunables.debug_least_effort = true),
        mode("fuel", |config| config.tunables.consume_fuel = true),
        mode("epochs", |config| config.tunables.epoch_interruption = true),
        mode("no signals", |config| config.tunables.signals_based_traps = false),
        mode("statistics", |config| config.tunables.statistics = true),
        mode("at once", |config| config.strategy = Strategy::Eager),
        mode("stress", |config| config.gc_stress = true),
    ]
}

/// A store and an instance in it.
struct World {
    store: Box<Store>,
    instance: Instance,
}

impl World {
    fn new(config: &Config, wat: &str) -> Self {
        Self::with(config, wat, |_| Vec::new())
    }

    fn with(config: &Config, wat: &str, imports: impl FnOnce(&mut Store) -> Vec<Extern>) -> Self {
        let engine = Engine::new(config).unwrap();
        let module = Module::new(&engine, wat.as_bytes()).unwrap();
        Self::of(&module, imports)
    }

    fn of(module: &Module, imports: impl FnOnce(&mut Store) -> Vec<Extern>) -> Self {
        let mut store = Store::new(module.engine());
        if store.set_fuel(1 << 40).is_err() {
            store.set_epoch_deadline(1 << 40);
        }
        let imports = imports(&mut store);
        let instance = Instance::new(&mut store, module, &imports).unwrap();
        Self { store, instance }
    }

    /// Calls an export `(i32) -> i32`.
    fn call(&mut self, name: &str, arg: i32) -> Result<i32, ampoule::Error> {
        self.instance.get_typed_func::<i32, i32>(&self.store, name).unwrap().call(&mut self.store, arg)
    }
}

/// Calls the export `run` with each of these arguments, in every mode, and compares what it answers.
fn check(wat: &str, cases: &[(i32, i32)]) {
    for (mode, config) in modes() {
        let mut world = World::new(&config, wat);
        let run = |world: &mut World, what: &str| {
            for &(arg, expected) in cases {
                assert_eq!(world.call("run", arg).unwrap(), expected, "{mode}, {what}: {arg}");
            }
        };
        run(&mut world, "compiled");
        if mode == "at once" || mode == "fuel" {
            let bytes = world.instance.module(&world.store).unwrap().serialize().unwrap();
            // SAFETY: they were just made.
            let loaded = unsafe { Module::deserialize(world.store.engine(), &bytes).unwrap() };
            run(&mut World::of(&loaded, |_| Vec::new()), "loaded");
        }
    }
}
