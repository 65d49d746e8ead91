//! Long-lived graphs of objects, changed by a guest as a model says ([`model`]), and compared with it: from globals, tables and the host's handles,
//! and from the registers of every frame. Several fibers of the store have frames at a time; they are suspended, resumed from each other's host
//! functions and given up while others allocate and collect. Each value of the host is dropped once, when nothing leads to it any more.
//!
//! Each test runs a few seeds, the numbers from 0; `AMPOULE_FUZZ_SECONDS` adds others.

mod guest;
mod model;
mod walk;

use crate::count::{for_seeds, is_longer};
use crate::generate::Random;
use ampoule::func::host::HostFunc;
use ampoule::store::epoch::UpdateDeadline;
use ampoule::store::task::sibling::{Resumed, Sibling};
use ampoule::*;
use ampoule_core::tunables::{OptLevel, Tiers};
use guest::Kind;
use model::{Model, Node, Sizes, Value};
use std::cell::RefCell;
use std::sync::{Arc, Mutex};

/// Stacks: the host's own, and fibers.
const FIBERS: usize = 4;
/// Handles of objects, and of exceptions, that the host keeps.
const HANDLES: usize = 16;
const EXCEPTIONS: usize = 4;

/// One way to run the guest.
struct Mode {
    name: &'static str,
    module: Module,
    sizes: Sizes,
    /// Operations of a run.
    operations: usize,
    /// Fuel between two yields.
    interval: Option<u64>,
    /// Bytes that the heap may have.
    limit: Option<u64>,
}

const SIZES: Sizes = Sizes { depth: 12, array: 40, large_array: 9000, list: 300 };
const SMALL: Sizes = Sizes { depth: 6, array: 12, large_array: 5000, list: 12 };

fn mode(name: &'static str, change: impl FnOnce(&mut Config)) -> Mode {
    let mut config = Config::new();
    let features = &mut config.features;
    (features.function_references, features.gc, features.exceptions) = (true, true, true);
    config.tunables.tiers = Tiers::Optimizing;
    change(&mut config);
    let engine = Engine::new(&config).expect("every mode is a configuration that can be had");
    let module = Module::new(&engine, guest::text().as_bytes()).unwrap_or_else(|error| panic!("{error:?}"));
    Mode { name, module, sizes: SIZES, operations: 6000, interval: None, limit: None }
}

/// Has functions optimized after some calls and turns, while they run.
fn tier_up(config: &mut Config) {
    config.tunables.tiers = Tiers::Auto;
    (config.tier_up.after, config.tier_up.threads) = (50, 0);
}

/// A value of the host that tells how often it was dropped.
struct Tracked {
    number: usize,
    drops: Arc<Mutex<Vec<u32>>>,
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.drops.lock().expect("nobody panics with it")[self.number] += 1;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Waiting,
    Running,
}

/// All that the host's functions know.
struct World {
    model: Model,
    instance: Instance,
    frame: Func,
    /// Of `thrown`.
    tag: Tag,
    /// In the order of the model's.
    held: Vec<Val>,
    held_exceptions: Vec<Val>,
    drops: Arc<Mutex<Vec<u32>>>,
    siblings: Vec<*mut Sibling>,
    states: Vec<State>,
    limit: Option<u64>,
    /// Whether the heap was full, so that the roots are to be dropped.
    is_full: bool,
    /// How often it was, and how often fibers were suspended.
    full: usize,
    suspended: usize,
    checked: usize,
    failure: Option<String>,
}

thread_local! {
    /// Of the test that runs on this thread.
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

fn with<R>(use_it: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(|world| use_it(world.as_mut().expect("a run is going on")))
}

/// What the host does before the guest goes on.
enum Act {
    Nothing,
    Collect,
    Verify,
    Suspend,
    /// Calls the guest from where it is called.
    Enter,
    Resume(usize),
    Throw,
    Change,
    Make,
    Forget,
    Tick,
}

impl World {
    fn act(&mut self) -> Act {
        let model = &mut self.model;
        if model.left == 0 || self.failure.is_some() {
            return Act::Nothing;
        }
        let depth = model.fiber().frames.len();
        match model.random.below(400) {
            0..4 => Act::Collect,
            4 => Act::Verify,
            5..25 if model.running.last() != Some(&0) => Act::Suspend,
            25..29 if depth < model.sizes.depth => Act::Enter,
            29..33 => match self.startable() {
                Some(fiber) => Act::Resume(fiber),
                None => Act::Nothing,
            },
            33..36 => Act::Throw,
            36..48 => Act::Change,
            48..52 => Act::Make,
            52..58 => Act::Forget,
            58..70 => Act::Tick,
            _ => Act::Nothing,
        }
    }

    /// A fiber that could be resumed.
    fn startable(&mut self) -> Option<usize> {
        let fiber = 1 + self.model.random.below(FIBERS - 1);
        (self.states[fiber] != State::Running).then_some(fiber)
    }

    /// One of the handles, with what it is; or null.
    fn some_held(&mut self) -> (Val, Value) {
        if self.held.is_empty() || self.model.once_in(6) {
            return (Val::AnyRef(None), Value::Null);
        }
        let at = self.model.random.below(self.held.len());
        (self.held[at].clone(), self.model.held[at])
    }

    fn hold(&mut self, val: Val, value: Value) {
        if self.held.len() == HANDLES {
            let at = self.model.random.below(HANDLES);
            (self.held[at], self.model.held[at]) = (val, value);
        } else {
            self.held.push(val);
            self.model.held.push(value);
        }
    }

    fn hold_exception(&mut self, val: Val, value: Value) {
        if self.held_exceptions.len() == EXCEPTIONS {
            let at = self.model.random.below(EXCEPTIONS);
            (self.held_exceptions[at], self.model.held_exceptions[at]) = (val, value);
        } else {
            self.held_exceptions.push(val);
            self.model.held_exceptions.push(value);
        }
    }

    fn forget(&mut self) {
        if !self.held.is_empty() {
            let at = self.model.random.below(self.held.len());
            self.held.swap_remove(at);
            self.model.held.swap_remove(at);
        }
        if !self.held_exceptions.is_empty() && self.model.once_in(2) {
            let at = self.model.random.below(self.held_exceptions.len());
            self.held_exceptions.swap_remove(at);
            self.model.held_exceptions.swap_remove(at);
        }
    }

    /// The host changes a field or element of an object that it holds.
    fn change(&mut self, store: &mut Store) -> Result<(), Error> {
        let ((object, of), (val, value)) = (self.some_held(), self.some_held());
        let (Val::AnyRef(Some(object)), Value::Object(at)) = (object, of) else { return Ok(()) };
        match &mut self.model.nodes[at] {
            Node::Struct { refs, .. } => {
                object.as_struct(store)?.expect("it is one").set_field(store, 1, &val)?;
                refs[0] = value;
            }
            Node::Refs { kind: Kind::Refs, items } if !items.is_empty() => {
                let index = items.len() / 2;
                object.as_array(store)?.expect("it is one").set(store, index as u32, &val)?;
                items[index] = value;
            }
            _ => {}
        }
        Ok(())
    }

    /// The host makes an object of the type of one that it holds.
    fn make(&mut self, store: &mut Store) -> Result<(), Error> {
        let ((like, of), (val, value)) = (self.some_held(), self.some_held());
        let (Val::AnyRef(Some(like)), Value::Object(at)) = (like, of) else { return Ok(()) };
        let Node::Struct { kind: Kind::Base, .. } = self.model.nodes[at] else { return Ok(()) };
        let ty = like.declared_type(store)?.expect("it is an object");
        let number = self.model.new_number();
        let made = StructRef::new(store, &ty, &[Val::I32(number), val])?;
        self.model.nodes.push(Node::Struct { kind: Kind::Base, number, byte: 0, refs: vec![value] });
        let value = Value::Object(self.model.nodes.len() - 1);
        self.hold(Val::AnyRef(Some(made.into())), value);
        Ok(())
    }

    /// Drops most roots, by the host.
    fn relieve(&mut self, store: &mut Store) -> Result<(), Error> {
        while self.held.len() > 2 {
            self.forget();
        }
        for at in 0..guest::GLOBALS {
            self.global(store, &format!("g{at}")).set(store, &Val::AnyRef(None))?;
            self.model.globals[at] = Value::Null;
        }
        let nulls = [Val::AnyRef(None), Val::ExternRef(None), Val::ExnRef(None)];
        for (at, (name, null)) in ["s", "x", "e"].into_iter().zip(nulls).enumerate() {
            self.global(store, name).set(store, &null)?;
            self.model.typed[at] = Value::Null;
        }
        for (name, null, values) in [
            ("table", Val::AnyRef(None), &mut self.model.table),
            ("externs", Val::ExternRef(None), &mut self.model.externs),
        ] {
            let Some(Extern::Table(table)) = self.instance.get_export(store, name) else { panic!("it is exported") };
            for (at, value) in values.iter_mut().enumerate() {
                table.set(store, at as u64, &null)?;
                *value = Value::Null;
            }
        }
        Ok(())
    }

    fn global(&self, store: &Store, name: &str) -> Global {
        let Some(Extern::Global(global)) = self.instance.get_export(store, name) else { panic!("it is exported") };
        global
    }

    /// Whether there ought to be room for what the heap has no room for, as it says: not for what needs blocks of its own.
    fn is_hardly_used(&self, error: &Error) -> bool {
        let text = error.to_string();
        let asked = text.split(' ').rev().nth(1).and_then(|bytes| bytes.parse::<u64>().ok());
        let asked = asked.expect("it says how many bytes were asked for");
        asked <= 16 << 10 && self.limit.is_some_and(|limit| (self.model.live_bytes() as u64) < limit / 4)
    }

    /// Notes what is wrong, which ends the run.
    fn note(&mut self, result: Result<(), String>) -> Result<(), Error> {
        result.map_err(|what| {
            let error = Error::message(what.clone());
            self.failure.get_or_insert(what);
            error
        })
    }
}

/// What `frame` asks.
fn next(mut caller: Caller<'_>, _: &[Val], results: &mut [Val]) -> Result<(), Error> {
    let store = caller.store();
    match with(World::act) {
        Act::Nothing => {}
        Act::Collect => store.gc(),
        Act::Verify => verify(store)?,
        Act::Suspend => {
            with(|world| world.suspended += 1);
            store.suspend_sibling()?;
        }
        Act::Enter => enter(store, false)?,
        Act::Resume(fiber) => resume(store, fiber),
        Act::Throw => {
            let ((val, value), tag) = with(|world| (world.some_held(), world.tag));
            let number = with(|world| world.model.new_number());
            let exception = ExnRef::new(store, tag, &[val, Val::ExternRef(None), Val::I32(number)])?;
            with(|world| {
                let exception = world.model.make_exception(Some((value, Value::Null, number)));
                world.model.throw(exception);
            });
            return Err(store.throw(exception)?);
        }
        Act::Change => with(|world| world.change(store))?,
        Act::Make => with(|world| world.make(store))?,
        Act::Forget => with(World::forget),
        Act::Tick => store.engine().increment_epoch(),
    }
    results[0] = Val::I64(with(|world| world.model.choose()));
    Ok(())
}

/// The host calls `frame`, where it is called by the guest itself, or outside of it.
fn enter(store: &mut Store, is_outermost: bool) -> Result<(), Error> {
    let (frame, base, val) = with(|world| {
        let (val, value) = world.some_held();
        let base = world.model.fiber().frames.len();
        world.model.enter(value);
        (world.frame, base, val)
    });
    let mut results = [Val::AnyRef(None), Val::ExternRef(None)];
    let outcome = frame.call(store, &[val, Val::ExternRef(None), Val::AnyRef(None)], &mut results);
    with(|world| {
        let fiber = world.model.fiber();
        fiber.arguments.pop();
        let (returned, thrown) = (fiber.returned.take(), fiber.thrown.take());
        let (depth, waits) = (fiber.frames.len(), !fiber.expected.is_empty());
        match (outcome, returned, thrown) {
            (Ok(()), Some((a, x)), None) if depth == base && !waits => {
                let [one, other] = results;
                let compared = walk::compare(store, &world.model, vec![(one, a), (other, x)]);
                world.note(compared)
            }
            (Err(_), None, Some(exception)) if store.has_exception() && depth == base && !waits => {
                let thrown = store.take_exception().expect("it was looked");
                let (val, value) = (Val::ExnRef(Some(thrown.clone())), Value::Exception(exception));
                let compared = walk::compare(store, &world.model, vec![(val.clone(), value)]);
                world.note(compared)?;
                if is_outermost {
                    world.hold_exception(val, value);
                    return Ok(());
                }
                world.model.throw(exception);
                Err(store.throw(thrown)?)
            }
            (Err(error), None, None) => {
                let is_full = error.to_string().contains("GC heap out of memory");
                world.full += usize::from(is_full && !world.is_full);
                world.is_full |= is_full;
                if store.was_given_up() || is_full && world.limit.is_some() {
                    let spurious = is_full && world.is_hardly_used(&error);
                    world.model.fiber().frames.truncate(base);
                    world.model.fiber().expected.clear();
                    return if spurious { world.note(Err(format!("{error}, but it is not full"))) } else { Err(error) };
                }
                world.note(Err(format!("the guest ends with {error:?}")))
            }
            (outcome, returned, thrown) => world.note(Err(format!(
                "{outcome:?}, but the model has {returned:?} and {thrown:?}, {depth} frames, not {base}, and waits: {waits}"
            ))),
        }
    })
}

/// What runs on a fiber.
fn job(store: &mut Store, _: u32) -> Result<(), Error> {
    enter(store, true)
}

/// Lets a fiber go on, or begin.
fn resume(store: &mut Store, fiber: usize) {
    let (sibling, is_new) = with(|world| {
        world.model.running.push(fiber);
        let before = std::mem::replace(&mut world.states[fiber], State::Running);
        (world.siblings[fiber], before == State::Idle)
    });
    // SAFETY: the siblings are there as long as the world is; this one doesn't run, and stays on this thread.
    let resumed = unsafe {
        if is_new {
            (*sibling).begin(job, fiber as u32);
        }
        Sibling::resume(sibling, store)
    };
    with(|world| {
        world.model.running.pop();
        world.states[fiber] = if let Resumed::Done(_) = resumed { State::Idle } else { State::Waiting };
    });
}

/// Ends what waits on a fiber.
fn give_up(fiber: usize) {
    let sibling = with(|world| {
        world.model.running.push(fiber);
        world.siblings[fiber]
    });
    // SAFETY: the sibling is there, and doesn't run.
    unsafe { (*sibling).give_up() };
    with(|world| {
        world.model.running.pop();
        world.model.fibers[fiber] = model::Fiber::default();
        world.states[fiber] = State::Idle;
    });
}

/// Collects, and compares everything.
fn verify(store: &mut Store) -> Result<(), Error> {
    store.gc();
    with(|world| {
        world.checked += 1;
        let compared = walk::verify(store, world);
        world.note(compared)
    })
}

fn see(args: &[Val]) -> Result<(), Error> {
    with(|world| {
        let expected = world.model.fiber().expected.pop_front();
        let found = match args {
            [Val::I32(what), Val::I32(number)] => Some((*what, *number)),
            _ => None,
        };
        let same = if found == expected { Ok(()) } else { Err(format!("the guest sees {found:?}, not {expected:?}")) };
        world.note(same)
    })
}

fn dump(store: &mut Store, args: &[Val]) -> Result<(), Error> {
    with(|world| {
        let values = guest::REGS.map(|reg| world.model.reg(reg));
        let compared = walk::compare(store, &world.model, args.iter().cloned().zip(values).collect());
        world.note(compared)
    })
}

fn new_host(store: &mut Store) -> Result<Val, Error> {
    let tracked = with(|world| {
        let number = world.model.hosts;
        world.model.hosts += 1;
        world.drops.lock().expect("nobody panics with it").push(0);
        Tracked { number, drops: world.drops.clone() }
    });
    let number = tracked.number;
    let made = ExternRef::new(store, Box::new(tracked))?;
    with(|world| world.model.set(guest::Reg::X, Value::Host(number)));
    Ok(Val::ExternRef(Some(made)))
}

/// The host's functions, in the order of the guest's imports.
fn imports(store: &mut Store) -> Vec<Extern> {
    type Function = fn(Caller<'_>, &[Val], &mut [Val]) -> Result<(), Error>;
    let (any, external, exception) = (ValType::ANYREF, ValType::EXTERNREF, ValType::EXNREF);
    let dumped = [any, any, any, any, any, any, external, external, exception];
    let functions: [(&[ValType], &[ValType], Function); 8] = [
        (&[], &[ValType::I64], next),
        (&[ValType::I32, ValType::I32], &[], |_, args, _| see(args)),
        (&dumped, &[], |mut caller, args, _| dump(caller.store(), args)),
        (&[any], &[], |_, args, _| {
            with(|world| world.hold(args[0].clone(), world.model.reg(guest::Reg::A)));
            Ok(())
        }),
        (&[], &[any], |_, _, results| {
            with(|world| {
                let at = world.model.random.below(world.held.len());
                results[0] = world.held[at].clone();
                world.model.set(guest::Reg::A, world.model.held[at]);
            });
            Ok(())
        }),
        (&[exception], &[], |_, args, _| {
            with(|world| world.hold_exception(args[0].clone(), world.model.reg(guest::Reg::E)));
            Ok(())
        }),
        (&[], &[exception], |_, _, results| {
            with(|world| {
                let at = world.model.random.below(world.held_exceptions.len());
                results[0] = world.held_exceptions[at].clone();
                world.model.set(guest::Reg::E, world.model.held_exceptions[at]);
            });
            Ok(())
        }),
        (&[], &[external], |mut caller, _, results| {
            results[0] = new_host(caller.store())?;
            Ok(())
        }),
    ];
    let functions = functions.into_iter().map(|(params, results, function)| {
        let ty = FuncType::new(params.iter().copied(), results.iter().copied());
        let host = HostFunc::new(store.engine(), &ty, function).expect("it has a thunk");
        Extern::Func(Func::from_host(store, &Arc::new(host)))
    });
    // The store is borrowed by each in turn.
    functions.collect()
}

/// What a run came to.
#[derive(Default)]
struct Counts {
    operations: usize,
    objects: usize,
    suspended: usize,
    full: usize,
    checked: usize,
    collections: u64,
    /// How often each operation was done.
    done: Vec<usize>,
}

fn run(mode: &Mode, seed: u64, counts: &mut Counts) -> Result<(), String> {
    let mut store = Store::new(mode.module.engine());
    let store = &mut *store;
    let _ = store.set_fuel(u64::MAX);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(Some(Box::new(|store| {
        store.gc();
        Ok(if store.on_sibling() { UpdateDeadline::Yield(1) } else { UpdateDeadline::Continue(1) })
    })));
    store.limits_mut().memory_size = mode.limit;
    let imports = imports(store);
    let instance = Instance::new(store, &mode.module, &imports).map_err(|error| error.to_string())?;
    let Some(Extern::Tag(tag)) = instance.get_export(store, "thrown") else { panic!("it is exported") };
    if let Some(interval) = mode.interval {
        store.set_fuel_yield_interval(interval).map_err(|error| error.to_string())?;
    }
    let mut siblings: Vec<Box<Sibling>> = (0..FIBERS).map(|_| Sibling::new()).collect();
    let drops = Arc::new(Mutex::new(Vec::new()));
    let mut model = Model::new(seed, mode.sizes, FIBERS, mode.operations);
    model.keeps_replaced = mode.module.engine().config().tunables.tiers != Tiers::Optimizing;
    let world = World {
        model,
        instance,
        frame: instance.get_func(store, "frame").expect("it is exported"),
        tag,
        held: Vec::new(),
        held_exceptions: Vec::new(),
        drops: drops.clone(),
        siblings: siblings.iter_mut().map(|sibling| &raw mut **sibling).collect(),
        states: vec![State::Idle; FIBERS],
        limit: mode.limit,
        is_full: false,
        full: 0,
        suspended: 0,
        checked: 0,
        failure: None,
    };
    WORLD.set(Some(world));
    // What the driver does is apart from what the model does.
    let mut random = Random::new(seed ^ 0xd41e);
    while with(|world| world.failure.is_none() && (world.model.left > 0 || world.states.contains(&State::Waiting))) {
        let fiber = random.below(FIBERS);
        let (state, is_over) = with(|world| (world.states[fiber], world.model.left == 0));
        match random.below(20) {
            0 if state == State::Waiting => give_up(fiber),
            _ if fiber > 0 && (state == State::Waiting || !is_over) => resume(store, fiber),
            // Guests that yield can only be called on fibers.
            1..6 if fiber == 0 && mode.interval.is_none() && !is_over => {
                with(|world| world.model.running.push(0));
                let _ = enter(store, true);
                with(|world| world.model.running.pop());
            }
            6 if !is_over => drop(verify(store)),
            7 => store.gc(),
            _ => {}
        }
        if with(|world| std::mem::take(&mut world.is_full)) {
            with(|world| world.relieve(store)).map_err(|error| error.to_string())?;
        }
    }
    if with(|world| world.failure.is_none()) {
        let _ = verify(store);
    }
    // Only after a failure does one wait still.
    (1..FIBERS).filter(|&fiber| with(|world| world.states[fiber] == State::Waiting)).for_each(give_up);
    let world = WORLD.take().expect("the run is going on");
    counts.operations += mode.operations;
    counts.objects += world.model.nodes.len();
    counts.suspended += world.suspended;
    counts.full += world.full;
    counts.checked += world.checked;
    let statistics = store.statistics();
    counts.collections += statistics.gc_minor_collections + statistics.gc_major_collections;
    counts.done.resize(world.model.done.len(), 0);
    counts.done.iter_mut().zip(&world.model.done).for_each(|(sum, done)| *sum += done);
    world.failure.map_or(Ok(()), Err)
}

/// Runs seeds in these modes, and answers what all came to.
fn check(modes: &[Mode], seeds: u64) -> Counts {
    let mut counts = Counts::default();
    let mut test = |seed: u64| {
        let mode = &modes[seed as usize % modes.len()];
        if let Err(what) = run(mode, seed, &mut counts) {
            panic!("AMPOULE_FUZZ_SEED={seed}, {}: {what}", mode.name);
        }
    };
    if std::env::var_os("AMPOULE_FUZZ_SEED").is_none() {
        (0..seeds).for_each(&mut test);
    }
    if is_longer() {
        for_seeds(|seed| {
            test(seed);
            Some(())
        });
    }
    let Counts { operations, objects, suspended, full, checked, collections, .. } = counts;
    println!(
        "{operations} operations made {objects} objects; {suspended} times a fiber was suspended, {full} times the heap \
         was full, {collections} times it was collected, {checked} times compared"
    );
    counts
}

#[test]
fn graphs_are_those_of_the_model() {
    let modes = [
        mode("default", |_| {}),
        mode("opt_none", |config| {
            (config.tunables.opt_level, config.tunables.debug_verifier) = (OptLevel::None, true);
        }),
        mode("least_effort", |config| config.tunables.debug_least_effort = true),
        mode("eager", |config| config.strategy = Strategy::Eager),
        mode("cancellation", |config| config.tunables.cancellation = true),
        mode("baseline", |config| config.tunables.tiers = Tiers::Baseline),
        mode("baseline_cancellation", |config| {
            (config.tunables.tiers, config.tunables.cancellation) = (Tiers::Baseline, true);
        }),
        mode("tier_up", tier_up),
    ];
    let counts = check(&modes, 16);
    let ops = guest::ops();
    let never: Vec<_> = ops.iter().zip(&counts.done).filter(|(_, done)| **done == 0).collect();
    assert!(never.is_empty() || std::env::var_os("AMPOULE_FUZZ_SEED").is_some(), "never done: {never:?}");
}

#[test]
fn graphs_are_those_of_the_model_where_every_allocation_collects() {
    let stressed = |name, change: fn(&mut Config)| {
        let mode = mode(name, |config| {
            config.gc_stress = true;
            change(config);
        });
        Mode { sizes: SMALL, operations: 1200, ..mode }
    };
    let modes = [
        stressed("default", |_| {}),
        stressed("least_effort", |config| config.tunables.debug_least_effort = true),
        Mode { interval: Some(60), ..stressed("fuel", |config| config.tunables.consume_fuel = true) },
        stressed("baseline", |config| config.tunables.tiers = Tiers::Baseline),
        stressed("tier_up", tier_up),
        Mode {
            interval: Some(60),
            ..stressed("baseline_fuel", |config| {
                (config.tunables.tiers, config.tunables.consume_fuel) = (Tiers::Baseline, true);
            })
        },
    ];
    check(&modes, 12);
}

#[test]
fn graphs_are_those_of_the_model_where_guests_yield() {
    let modes = [
        Mode { interval: Some(150), ..mode("fuel", |config| config.tunables.consume_fuel = true) },
        mode("epoch", |config| config.tunables.epoch_interruption = true),
        Mode {
            interval: Some(150),
            ..mode("tier_up_fuel", |config| {
                tier_up(config);
                config.tunables.consume_fuel = true;
            })
        },
        mode("tier_up_epoch", |config| {
            tier_up(config);
            config.tunables.epoch_interruption = true;
        }),
        Mode {
            interval: Some(150),
            ..mode("baseline_fuel", |config| {
                (config.tunables.tiers, config.tunables.consume_fuel) = (Tiers::Baseline, true);
            })
        },
        mode("baseline_epoch", |config| {
            (config.tunables.tiers, config.tunables.epoch_interruption) = (Tiers::Baseline, true);
        }),
    ];
    check(&modes, 12);
}

#[test]
fn graphs_are_those_of_the_model_in_a_heap_that_fills() {
    let modes = [
        Mode { limit: Some(192 << 10), ..mode("192 KiB", |_| {}) },
        Mode { limit: Some(512 << 10), sizes: Sizes { list: 4000, ..SIZES }, ..mode("512 KiB", |_| {}) },
        Mode { limit: Some(192 << 10), ..mode("192 KiB, baseline", |config| config.tunables.tiers = Tiers::Baseline) },
    ];
    let counts = check(&modes, 12);
    assert!(counts.full > 0, "some are full");
}
