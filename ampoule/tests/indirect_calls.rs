//! Indirect calls of guests whose functions are optimized as they run: what has nearly always been called may be called directly, or be translated
//! in the place of the call, from then on. Whatever is called after that, and whenever the code changes, a guest does the same.

use ampoule::store::epoch::UpdateDeadline;
use ampoule::{Config, Engine, Error, Extern, Func, Instance, Module, Store, TrapCode, Val};
use ampoule_core::tunables::Tiers;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn engine(tiers: Tiers, after: u32, change: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config::new();
    config.tiers(tiers);
    // The guest's own thread optimizes, at that moment.
    (config.tier_up.after, config.tier_up.threads) = (after, 0);
    let features = &mut config.features;
    (features.function_references, features.gc, features.exceptions) = (true, true, true);
    change(&mut config);
    Engine::new(&config).expect("it can be had")
}

/// Engines whose guests change at each of the first calls and turns, and in the midst of what the tests do; the last have one tier.
fn engines(change: impl Fn(&mut Config)) -> Vec<(String, Engine)> {
    let numbers = [0, 1, 2, 3, 5, 10, 20, 33, 40, 47, 60, 90];
    let tiering = numbers.map(|after| (format!("after {after}"), engine(Tiers::Auto, after, &change)));
    let alone = [Tiers::Baseline, Tiers::Optimizing].map(|tiers| (format!("{tiers:?}"), engine(tiers, 0, &change)));
    tiering.into_iter().chain(alone).collect()
}

/// `indirect`, `reference` and `tail` call, so many turns, what is at an index of a table, and add up what they get; `mixed` calls what is there or at the
/// next, in turns. In the table are `$one`, which
/// adds the instance's number, `$two`, a function of the host, one of another module, one of another type, and null.
const GUEST: &str = r#"(module
  (type $t (func (param i32) (result i32)))
  (import "" "host" (func $host (type $t)))
  (import "" "other" (func $other (type $t)))
  (tag $e (param i32))
  (table $table (export "table") 10 10 funcref)
  (table $typed (export "typed") 10 10 (ref null $t))
  (elem (table $table) (i32.const 0) func $one $two $host $other $wrong)
  (elem (table $typed) (i32.const 0) (ref null $t) (ref.func $one) (ref.func $two) (ref.func $host) (ref.func $other))
  (global $number (export "number") (mut i32) (i32.const 0))
  (func $one (export "one") (type $t)
    (if (i32.eq (local.get 0) (i32.const 77)) (then unreachable))
    (if (i32.eq (local.get 0) (i32.const 55)) (then (throw $e (i32.const 500))))
    (i32.add (local.get 0) (global.get $number)))
  (func $two (export "two") (type $t)
    (loop $again (br_if $again (i32.eqz (local.tee 0 (i32.add (local.get 0) (i32.const 1))))))
    (local.get 0))
  (func $wrong (result i32) (i32.const 9))
  (func $tail_of_table (param i32 i32) (result i32)
    (return_call_indirect $table (type $t) (local.get 0) (local.get 1)))
  (func $tail_of_reference (param i32 i32) (result i32)
    (return_call_ref $t (local.get 0) (table.get $typed (local.get 1))))
  (func $run (export "indirect") (param $n i32) (param $index i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3))
        (call_indirect $table (type $t) (local.get $n) (local.get $index))))
      (br_if $again (i32.rem_u (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 40))))
    (local.get $sum))
  (func (export "reference") (param $n i32) (param $index i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3))
        (call_ref $t (local.get $n) (table.get $typed (local.get $index)))))
      (br_if $again (i32.rem_u (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 40))))
    (local.get $sum))
  (func (export "tail") (param $n i32) (param $index i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (call $tail_of_table (local.get $n) (local.get $index))
        (i32.mul (i32.add (local.get $sum) (call $tail_of_reference (local.get $n) (local.get $index))) (i32.const 3))))
      (br_if $again (i32.rem_u (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 40))))
    (local.get $sum))
  (func (export "mixed") (param $n i32) (param $index i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3))
        (call_indirect $table (type $t) (local.get $n)
          (i32.add (local.get $index) (i32.and (i32.shr_u (i32.popcnt (local.get $n)) (i32.const 1)) (i32.const 1))))))
      (br_if $again (i32.rem_u (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 40))))
    (local.get $sum))
  (func (export "catching") (param $n i32) (param $index i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3))
        (block $caught (result i32)
          (try_table (result i32) (catch $e $caught) (call_indirect $table (type $t) (local.get $n) (local.get $index))))))
      (br_if $again (i32.rem_u (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 40))))
    (local.get $sum)))"#;

const FUEL: u64 = 1 << 30;

struct World {
    store: Box<Store>,
    /// Two instances of one module, numbered 1000 and 2000. The second's functions are in the tables of the first, from 6 on.
    instances: [Instance; 2],
}

impl World {
    fn new(engine: &Engine, module: &Module) -> Self {
        let mut store = Store::new(engine);
        let _ = store.set_fuel(FUEL);
        store.set_epoch_deadline(1 << 40);
        let host = Func::wrap(&mut store, |value: i32| value * 5).expect("it has a type");
        let text = r#"(module (func (export "other") (param i32) (result i32) (i32.sub (local.get 0) (i32.const 7))))"#;
        let other = Module::new(engine, text.as_bytes()).expect("it is valid");
        let other = Instance::new(&mut store, &other, &[]).expect("it imports nothing");
        let other = other.get_func(&store, "other").expect("it is exported");
        let imports = [Extern::Func(host), Extern::Func(other)];
        let instances = [1000, 2000].map(|number| {
            let instance = Instance::new(&mut store, module, &imports).expect("the imports fit");
            let Some(Extern::Global(global)) = instance.get_export(&store, "number") else { panic!("it is exported") };
            global.set(&mut store, &Val::I32(number)).expect("it is mutable");
            instance
        });
        for table in ["table", "typed"] {
            let Some(Extern::Table(table)) = instances[0].get_export(&store, table) else { panic!("it is exported") };
            for (index, name) in [(6, "one"), (7, "two")] {
                let func = instances[1].get_func(&store, name).expect("it is exported");
                table.set(&mut store, index, &Val::FuncRef(Some(func))).expect("there is place");
            }
        }
        Self { store, instances }
    }

    fn call(&mut self, instance: usize, name: &str, turns: i32, index: i32) -> Result<i32, Error> {
        let func = self.instances[instance].get_func(&self.store, name).expect("it is exported");
        let mut results = [Val::I32(0)];
        func.call(&mut self.store, &[Val::I32(turns), Val::I32(index)], &mut results)?;
        let Val::I32(result) = results[0] else { panic!("the result is an integer") };
        Ok(result)
    }

    /// How a call ends, where it was stopped, and the fuel it took.
    fn outcome(&mut self, instance: usize, name: &str, turns: i32, index: i32) -> String {
        let before = self.store.fuel().ok();
        let end = match self.call(instance, name, turns, index) {
            Ok(result) => format!("{result}"),
            Err(error) => {
                let frames = error.backtrace().map(|backtrace| {
                    let frames = backtrace.frames().iter();
                    frames.map(|frame| (frame.func_index(), frame.module_offset())).collect::<Vec<_>>()
                });
                format!("{:?} at {frames:?}", error.trap_code())
            }
        };
        let used = before.zip(self.store.fuel().ok()).map(|(before, after)| before - after);
        format!("{name} of {index}, {turns} turns: {end}, fuel {used:?}")
    }
}

const WAYS: [&str; 5] = ["indirect", "reference", "tail", "catching", "mixed"];

#[test]
fn whatever_is_called_after_the_usual_a_guest_does_the_same() {
    for signals in [true, false] {
        let mut expected: Option<Vec<String>> = None;
        for (name, engine) in engines(|config| {
            config.tunables.consume_fuel = true;
            config.tunables.signals_based_traps = signals;
        }) {
            let module = Module::new(&engine, GUEST.as_bytes()).expect("it is valid");
            for usual in [0, 1, 2, 6] {
                let mut world = World::new(&engine, &module);
                let mut outcomes = Vec::new();
                for way in WAYS {
                    outcomes.push(world.outcome(0, way, 40, usual));
                    outcomes.push(world.outcome(0, way, 40, usual));
                    // 4 has another type, or is null, as 5 is; 6 and 7 are of the other instance; at 10 is nothing.
                    for index in [0, 1, 2, 3, 4, 5, 6, 7, 10, -1] {
                        outcomes.push(world.outcome(0, way, 3, index));
                        // Stopped in the callee, and by an exception from it.
                        outcomes.push(world.outcome(0, way, 78, index));
                        outcomes.push(world.outcome(0, way, 56, index));
                        outcomes.push(world.outcome(1, way, 2, index));
                    }
                    outcomes.push(world.outcome(0, way, 40, usual));
                    outcomes.push(world.outcome(1, way, 40, 0));
                }
                if usual == 0 {
                    let all = outcomes.join("\n");
                    for seen in
                        ["Unreachable", "IndirectCallToNull", "BadSignature", "TableOutOfBounds", "NullReference"]
                    {
                        assert!(all.contains(seen), "{seen} is not among\n{all}");
                    }
                }
                let known = expected.get_or_insert_with(Vec::new);
                let of_usual = [0, 1, 2, 6].iter().position(|one| *one == usual).expect("it is one of them");
                let outcomes = outcomes.join("\n");
                match known.get(of_usual) {
                    None => known.push(outcomes),
                    Some(known) => assert_eq!(&outcomes, known, "{name}, usually {usual}, signals: {signals}"),
                }
            }
        }
    }
}

#[test]
fn what_is_usually_called_runs_out_of_fuel_where_it_does_otherwise() {
    for fuel in (1..2000).step_by(61) {
        let mut seen = Vec::new();
        for (name, engine) in engines(|config| config.tunables.consume_fuel = true) {
            let module = Module::new(&engine, GUEST.as_bytes()).expect("it is valid");
            let mut world = World::new(&engine, &module);
            for way in WAYS {
                world.call(0, way, 40, 1).expect("it returns");
                world.store.set_fuel(fuel).expect("the engine counts");
                // The callee has a loop, so it is never inlined, and looks at fuel itself.
                let end = world.call(0, way, 40, 1).map_err(|error| error.trap_code());
                seen.push((way, format!("{end:?}, {:?}", world.store.fuel().ok()), name.clone()));
                world.store.set_fuel(FUEL).expect("the engine counts");
            }
        }
        for way in WAYS {
            let mut of_way = seen.iter().filter(|one| one.0 == way);
            let (_, expected, _) = of_way.next().expect("it was tried");
            assert!(of_way.all(|(_, end, _)| end == expected), "with {fuel}: {seen:?}");
        }
    }
}

/// How often a guest looks at the epoch in a call, after another one.
fn looks(engine: &Engine, way: &str, index: i32) -> usize {
    let module = Module::new(engine, GUEST.as_bytes()).expect("it is valid");
    let mut world = World::new(engine, &module);
    for _ in 0..2 {
        world.call(0, way, 40, index).expect("it returns");
    }
    let looks = Arc::new(AtomicUsize::new(0));
    let counter = looks.clone();
    world.store.set_epoch_deadline(0);
    world.store.epoch_deadline_callback(Some(Box::new(move |store| {
        counter.fetch_add(1, Ordering::Relaxed);
        store.gc();
        Ok(UpdateDeadline::Continue(0))
    })));
    world.call(0, way, 40, index).expect("it returns");
    looks.load(Ordering::Relaxed)
}

#[test]
fn a_guest_is_interrupted_as_often_in_what_is_usually_called() {
    for way in ["indirect", "reference", "catching"] {
        for (name, engine) in engines(|config| config.tunables.epoch_interruption = true) {
            // Its entry, and for each turn that, the callee's entry and its loop.
            assert_eq!(looks(&engine, way, 1), 1 + 3 * 40, "{way}, {name}");
        }
    }
}

/// A function that is inlined doesn't look at the epoch: its caller does.
#[test]
fn what_is_usually_called_is_inlined() {
    let change = |config: &mut Config| config.tunables.epoch_interruption = true;
    for way in ["indirect", "reference", "catching"] {
        let [tiering, baseline] = [(Tiers::Auto, 60), (Tiers::Baseline, 0)]
            .map(|(tiers, after)| looks(&engine(tiers, after, change), way, 0));
        assert_eq!((tiering, baseline), (1 + 40, 1 + 2 * 40), "{way}");
        let of_another = looks(&engine(Tiers::Auto, 60, change), way, 6);
        assert_eq!(of_another, 1 + 2 * 40, "{way}: another instance's");
    }
}

#[test]
fn references_are_found_on_every_way_through_a_call() {
    // Each call gets an object, makes another and gives both: the results are in an area.
    let text = r#"(module
      (type $s (struct (field (mut i32))))
      (type $t (func (param (ref null $s)) (result (ref null $s))))
      (type $many (func (param (ref $s) i64) (result (ref $s) i64 i64 i64 i64 i64 i64 i64 i64 i64 (ref $s))))
      (table $table 4 4 (ref null $t))
      (elem (table $table) (i32.const 0) (ref null $t) (ref.func $one) (ref.func $two))
      (elem declare func $wide)
      (func $one (type $t) (struct.new $s (i32.add (struct.get $s 0 (local.get 0)) (i32.const 1))))
      (func $two (type $t) (struct.set $s 0 (local.get 0) (i32.mul (struct.get $s 0 (local.get 0)) (i32.const 3))) (local.get 0))
      (func $wide (type $many)
        (struct.new $s (i32.wrap_i64 (local.get 1))) (local.get 1) (local.get 1) (local.get 1) (local.get 1) (local.get 1)
        (local.get 1) (local.get 1) (local.get 1) (local.get 1) (local.get 0))
      (func (export "run") (param $n i32) (result i32) (local $a (ref null $s)) (local $b (ref null $s)) (local $sum i64)
        (local.set $a (struct.new $s (i32.const 1)))
        (local.set $b (struct.new $s (i32.const 100)))
        (loop $again
          (local.set $a (call_indirect $table (type $t) (local.get $a) (i32.eqz (i32.and (local.get $n) (i32.const 15)))))
          (local.set $b (call_ref $t (struct.new $s (struct.get $s 0 (local.get $b))) (table.get $table (i32.const 0))))
          (call_ref $many (struct.new $s (struct.get $s 0 (local.get $a))) (i64.extend_i32_s (local.get $n)) (ref.func $wide))
          (struct.get $s 0) (i64.extend_i32_s)
          (i64.add) (i64.add) (i64.add) (i64.add) (i64.add) (i64.add) (i64.add) (i64.add) (i64.add)
          (local.set $sum (i64.add (local.get $sum)))
          (struct.get $s 0) (drop)
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (i32.add (i32.wrap_i64 (local.get $sum)) (i32.add (struct.get $s 0 (local.get $a)) (struct.get $s 0 (local.get $b))))))"#;
    for stress in [false, true] {
        let mut seen = Vec::new();
        for (name, engine) in engines(|config| config.gc_stress = stress) {
            let module = Module::new(&engine, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
            let mut store = Store::new(&engine);
            let run = Instance::new(&mut store, &module, &[]).expect("it imports nothing").get_func(&store, "run");
            let run = run.expect("it is exported");
            let results: Vec<i32> = (0..4)
                .map(|_| {
                    let mut results = [Val::I32(0)];
                    run.call(&mut store, &[Val::I32(70)], &mut results).expect("it returns");
                    let Val::I32(result) = results[0] else { panic!("the result is an integer") };
                    result
                })
                .collect();
            seen.push((name, results));
        }
        let expected = seen.last().expect("there are engines").1.clone();
        assert!(seen.iter().all(|(_, results)| *results == expected), "{seen:?}");
    }
}

#[test]
fn recursion_through_a_table_ends_where_the_stack_does() {
    let text = r#"(module
      (type $t (func (param i32) (result i32)))
      (table funcref (elem $f $g))
      (func $f (type $t)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
        (i32.add (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)) (i32.const 1)))
      (func $g (type $t) (call_indirect (type $t) (local.get 0) (i32.const 1)))
      (func (export "f") (type $t) (call $f (local.get 0)))
      (func (export "g") (type $t) (call $g (local.get 0))))"#;
    for (name, engine) in engines(|_| {}) {
        let module = Module::new(&engine, text.as_bytes()).expect("it is valid");
        let mut store = Store::new(&engine);
        let instance = Instance::new(&mut store, &module, &[]).expect("it imports nothing");
        let mut call = |name: &str, arg: i32| {
            let func = instance.get_func(&store, name).expect("it is exported");
            let mut results = [Val::I32(0)];
            func.call(&mut store, &[Val::I32(arg)], &mut results).map(|()| results[0].clone())
        };
        for _ in 0..3 {
            assert!(matches!(call("f", 100), Ok(Val::I32(100))), "{name}");
            for endless in ["f", "g"] {
                let error = call(endless, -1).expect_err("it never returns");
                assert_eq!(error.trap_code(), Some(TrapCode::StackOverflow), "{name}");
            }
        }
    }
}

/// `run` calls what is in a table, many functions of one type, so often; the exported one is among them. `imported` calls an import as often.
const MANY: &str = r#"(module
  (type $t (func (param i32) (result i32)))
  (import "" "f" (func $import (type $t)))
  (table funcref (elem $f0 $f1 $f2 $f3 $f4 $f5 $f6 $f7 $f8 $f9))
  (func $f0 (export "f") (type $t) (i32.mul (local.get 0) (i32.const 3)))
  (func $f1 (type $t) (i32.mul (local.get 0) (i32.const 5)))
  (func $f2 (type $t) (i32.mul (local.get 0) (i32.const 7)))
  (func $f3 (type $t) (i32.mul (local.get 0) (i32.const 9)))
  (func $f4 (type $t) (i32.mul (local.get 0) (i32.const 11)))
  (func $f5 (type $t) (i32.mul (local.get 0) (i32.const 13)))
  (func $f6 (type $t) (i32.mul (local.get 0) (i32.const 15)))
  (func $f7 (type $t) (i32.mul (local.get 0) (i32.const 17)))
  (func $f8 (type $t) (i32.mul (local.get 0) (i32.const 19)))
  (func $f9 (type $t) (i32.mul (local.get 0) (i32.const 21)))
  (func (export "run") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum)
        (call_indirect (type $t) (local.get $n) (i32.rem_u (local.get $n) (i32.const 10)))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func (export "imported") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (call $import (local.get $n))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"#;

#[test]
fn references_lead_to_what_was_optimized_once_it_is_called() {
    let run = |store: &mut Store, instance: &Instance, name: &str, times: i32| {
        let func = instance.get_typed_func::<i32, i32>(store, name).expect("it is exported");
        func.call(store, times).expect("it returns")
    };
    let mut expected = None;
    for after in [1 << 30, 10] {
        let engine = engine(Tiers::Auto, after, |_| {});
        let module = Module::new(&engine, MANY.as_bytes()).expect("it is valid");
        let mut store = Store::new(&engine);
        let host = Func::wrap(&mut store, |value: i32| value).expect("it has a type");
        let callee = Instance::new(&mut store, &module, &[Extern::Func(host)]).expect("the import fits");
        let func = callee.get_func(&store, "f").expect("it is exported");
        let caller = Instance::new(&mut store, &module, &[Extern::Func(func)]).expect("the import fits");
        let other = caller.get_func(&store, "f").expect("it is exported");
        let leads_to = |store: &Store| {
            [func, other].map(|func| {
                let reference = func.to_raw(store).expect("it is of this store");
                // SAFETY: the store is alive, and no guest runs.
                unsafe { (*reference).code }
            })
        };
        let stub = leads_to(&store);
        assert_eq!(stub[0], stub[1]);
        let mut results = Vec::new();
        for (number, instance) in [callee, caller].iter().enumerate() {
            results.push(run(&mut store, instance, "run", 1000));
            if after == 10 {
                let leads = leads_to(&store).map(|code| code != stub[0]);
                assert_eq!(leads, [true, number == 1], "those of the instance that was called");
            } else {
                assert_eq!(leads_to(&store), stub, "its code may be replaced");
            }
        }
        // The import has a copy of what the reference said.
        results.push(run(&mut store, &caller, "imported", 1000));
        assert_eq!(*expected.get_or_insert(results.clone()), results);
    }
}
