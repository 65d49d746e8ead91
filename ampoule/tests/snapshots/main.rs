//! Snapshots: what a guest can tell is as it was, in the same store, in another, and in another process.

mod files;
mod objects;

use ampoule::snapshot::HostReferences;
use ampoule::{
    Config, Engine, Error, Extern, Func, FuncType, Global, GlobalType, Instance, Linker, Memory, MemoryType, Module,
    PoolConfig, RefType, SharedMemory, Snapshot, Store, Table, TableType, TrapCode, Val, ValType,
};

use std::future::{Future, poll_fn};
use std::task::{Context, Poll, Waker};

/// A guest with something of each kind that it can change.
const GUEST: &str = r#"(module
    (import "host" "seven" (func $seven (result i32)))
    (memory (export "memory") 2 10)
    (data (i32.const 70000) "from a segment")
    (data $passive "passive")
    (table $table (export "table") 4 20 funcref)
    (elem (table $table) (i32.const 0) func $one $two)
    (elem $late func $two $seven)
    (global $number (mut i64) (i64.const 5))
    (global $vector (mut v128) (v128.const i64x2 1 2))
    (global $func (mut funcref) (ref.func $one))
    (func $one (export "one") (result i32) i32.const 1)
    (func $two (result i32) i32.const 2)
    (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
    (func (export "pages") (result i32) (memory.size))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "init") (param i32) (memory.init $passive (local.get 0) (i32.const 0) (i32.const 7)))
    (func (export "drop") (data.drop $passive))
    (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))
    (func (export "elements") (result i32) (table.size))
    (func (export "grow table") (param i32) (result i32) (table.grow (ref.func $two) (local.get 0)))
    (func (export "elem") (param i32) (table.init $table $late (local.get 0) (i32.const 0) (i32.const 2)))
    (func (export "drop elem") (elem.drop $late))
    (func (export "null") (param i32) (table.set (local.get 0) (ref.null func)))
    (func (export "number") (result i64) (global.get $number))
    (func (export "set number") (param i64) (global.set $number (local.get 0)))
    (func (export "lane") (result i64) (i64x2.extract_lane 1 (global.get $vector)))
    (func (export "set lane") (param i64)
        (global.set $vector (i64x2.replace_lane 1 (global.get $vector) (local.get 0))))
    (func (export "call global") (result i32) (table.set (i32.const 3) (global.get $func))
        (call_indirect (result i32) (i32.const 3)))
    (func (export "null global") (global.set $func (ref.null func)))
    (func (export "host to global") (global.set $func (ref.func $seven)))
    (func (export "trap") unreachable)
    (func $forever (export "recurse") (call $forever)))"#;

/// An engine, a module, and what it imports.
struct World {
    engine: Engine,
    module: Module,
    linker: Linker,
}

impl World {
    fn new(config: &Config, wat: &str) -> World {
        let engine = Engine::new(config).unwrap();
        let module = Module::new(&engine, wat.as_bytes()).unwrap();
        let mut linker = Linker::new(&engine);
        linker.func_wrap("host", "seven", || 7).unwrap();
        World { engine, module, linker }
    }

    fn guest(&self) -> Guest {
        let mut store = Store::new(&self.engine);
        let instance = self.linker.instantiate(&mut store, &self.module).unwrap();
        Guest { store, instance }
    }

    fn thaw(&self, snapshot: &Snapshot) -> Guest {
        self.thaw_with(snapshot, &mut ())
    }

    fn thaw_with(&self, snapshot: &Snapshot, references: &mut dyn HostReferences) -> Guest {
        let mut store = Store::new(&self.engine);
        let instances = snapshot.instantiate(&mut store, &self.linker, references).unwrap();
        let [instance] = instances[..] else { panic!("the snapshot is of one instance") };
        Guest { store, instance }
    }
}

struct Guest {
    store: Box<Store>,
    instance: Instance,
}

impl Guest {
    fn call(&mut self, name: &str, args: &[Val]) -> Result<Option<i64>, Error> {
        let func = self.instance.get_func(&self.store, name).expect("there is such an export");
        let mut results = vec![Val::I32(0); func.ty(&self.store)?.results().len()];
        func.call(&mut self.store, args, &mut results)?;
        Ok(results.first().map(|result| match *result {
            Val::I32(value) => value.into(),
            Val::I64(value) => value,
            ref other => panic!("{other:?}"),
        }))
    }

    fn get(&mut self, name: &str) -> i64 {
        self.call(name, &[]).unwrap().expect("it has a result")
    }

    fn get_at(&mut self, name: &str, arg: i32) -> Option<i64> {
        self.call(name, &[Val::I32(arg)]).ok().flatten()
    }

    fn act(&mut self, name: &str, args: &[i32]) {
        let args: Vec<Val> = args.iter().map(|&arg| Val::I32(arg)).collect();
        self.call(name, &args).unwrap();
    }

    fn freeze(&self) -> Snapshot {
        Snapshot::take(&self.store, &[self.instance], &mut ()).unwrap()
    }

    fn reset(&mut self, snapshot: &Snapshot) {
        snapshot.reset(&mut self.store, &[self.instance], &mut ()).unwrap();
    }

    /// All that the guest can tell, and a little more.
    fn tell(&mut self) -> Vec<Option<i64>> {
        let mut told = vec![Some(self.get("pages")), Some(self.get("elements"))];
        told.extend([0, 1, 4096, 65_000, 70_000, 70_013, 90_000, 131_071].map(|at| self.get_at("load", at)));
        told.extend([131_072, 200_000].map(|at| self.get_at("load", at)));
        told.extend((0..8).map(|at| self.get_at("call", at)));
        told.extend([Some(self.get("number")), Some(self.get("lane"))]);
        told
    }

    /// What can be told once only: whether the segments are there, and what the global leads to.
    fn tell_once(&mut self) -> Vec<Option<i64>> {
        let global = self.call("call global", &[]).ok().flatten();
        let data = self.call("init", &[Val::I32(1000)]).is_ok();
        let elem = self.call("elem", &[Val::I32(0)]).is_ok();
        vec![global, Some(data.into()), Some(elem.into()), self.get_at("load", 1000), self.get_at("call", 1)]
    }

    /// Changes all that can be changed.
    fn change(&mut self) {
        for at in [0, 1, 4096, 65_000, 70_000, 90_000, 131_071] {
            self.act("store", &[at, 0xee]);
        }
        self.act("grow", &[3]);
        self.act("store", &[200_000, 0xee]);
        self.act("init", &[90_100]);
        self.act("drop", &[]);
        self.act("grow table", &[5]);
        self.act("elem", &[1]);
        self.act("drop elem", &[]);
        self.act("null", &[0]);
        self.call("set number", &[Val::I64(-1)]).unwrap();
        self.call("set lane", &[Val::I64(-2)]).unwrap();
        self.act("null global", &[]);
    }
}

fn configs() -> Vec<(&'static str, Config)> {
    let mut pool = Config::new();
    pool.pool = Some(PoolConfig::default());
    let mut moving = Config::new();
    (moving.tunables.memory_reservation, moving.tunables.memory_guard_size) = (0, 0);
    let mut copied = Config::new();
    copied.memory_init_cow = false;
    vec![("default", Config::new()), ("pool", pool), ("moving", moving), ("copied", copied)]
}

#[test]
fn a_reset_guest_can_tell_no_difference() {
    for (name, config) in configs() {
        let world = World::new(&config, GUEST);
        let mut guest = world.guest();
        guest.act("store", &[65_000, 3]);
        guest.call("set number", &[Val::I64(6)]).unwrap();
        let before = guest.tell();
        let snapshot = guest.freeze();
        for _ in 0..3 {
            guest.change();
            assert_ne!(guest.tell(), before);
            guest.reset(&snapshot);
            assert_eq!(guest.tell(), before, "{name}");
        }
        let once = guest.tell_once();
        assert_eq!(once[..4], [Some(1), Some(1), Some(1), Some(i64::from(b'p'))]);
        guest.reset(&snapshot);
        assert_eq!((guest.tell(), guest.tell_once()), (before, once), "{name}");
    }
}

#[test]
fn a_guest_in_another_store_is_as_the_first_was() {
    for (name, config) in configs() {
        let world = World::new(&config, GUEST);
        let mut guest = world.guest();
        guest.change();
        guest.act("host to global", &[]);
        let before = guest.tell();
        let snapshot = guest.freeze();
        let once = guest.tell_once();
        drop(guest);
        for round in 0..5 {
            let mut guest = world.thaw(&snapshot);
            assert_eq!(guest.tell(), before, "{name}, {round}");
            assert_eq!(guest.tell_once(), once, "{name}, {round}");
            assert_eq!(once[0], Some(7));
            guest.act("store", &[4096, round]);
            guest.reset(&snapshot);
            assert_eq!((guest.tell(), guest.tell_once()), (before.clone(), once.clone()), "{name}, {round}");
        }
    }
}

#[test]
fn snapshots_of_changed_guests_are_of_their_changes() {
    let world = World::new(&Config::new(), GUEST);
    let mut guest = world.guest();
    let first = guest.freeze();
    let before = guest.tell();
    guest.change();
    let (changed, second) = (guest.tell(), guest.freeze());
    for _ in 0..3 {
        guest.reset(&first);
        assert_eq!(guest.tell(), before);
        guest.reset(&second);
        assert_eq!(guest.tell(), changed);
    }
    let mut thawed = world.thaw(&second);
    assert_eq!(thawed.tell(), changed);
    thawed.reset(&first);
    assert_eq!(thawed.tell(), before);
    // A snapshot of what was made of a snapshot.
    thawed.act("store", &[90_000, 1]);
    let told = thawed.tell();
    assert_eq!(world.thaw(&thawed.freeze()).tell(), told);
}

#[test]
fn threads_thaw_at_once() {
    let world = World::new(&Config::new(), GUEST);
    let mut guest = world.guest();
    guest.change();
    let (told, snapshot) = (guest.tell(), guest.freeze());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (world, snapshot, told) = (&world, &snapshot, &told);
            scope.spawn(move || {
                for round in 0..50 {
                    let mut guest = world.thaw(snapshot);
                    assert_eq!(&guest.tell(), told);
                    (0..20).for_each(|page| guest.act("store", &[thread * 512 + round + page * 4096, 9]));
                    guest.act("grow", &[thread]);
                    guest.act("null", &[thread]);
                }
            });
        }
    });
}

#[test]
fn after_a_trap_a_reset_makes_the_guest_usable() {
    let world = World::new(&Config::new(), GUEST);
    let mut guest = world.guest();
    let (before, snapshot) = (guest.tell(), guest.freeze());
    guest.change();
    assert_eq!(guest.call("trap", &[]).unwrap_err().trap_code(), Some(TrapCode::Unreachable));
    guest.reset(&snapshot);
    assert_eq!(guest.tell(), before);
    assert_eq!(guest.call("recurse", &[]).unwrap_err().trap_code(), Some(TrapCode::StackOverflow));
    guest.reset(&snapshot);
    assert_eq!(guest.tell(), before);
}

#[test]
fn no_byte_of_one_request_is_seen_by_the_next() {
    let world = World::new(&Config::new(), GUEST);
    let mut guest = world.guest();
    let snapshot = guest.freeze();
    let bytes = |guest: &Guest| {
        let memory = guest.instance.get_memory(&guest.store, "memory").unwrap();
        memory.bytes(&guest.store).unwrap().to_vec()
    };
    let fresh = bytes(&guest);
    for request in 0..20 {
        let pages = 1 + request % 8;
        guest.act("grow", &[pages]);
        let memory = guest.instance.get_memory(&guest.store, "memory").unwrap();
        let (base, len) = memory.data(&guest.store).unwrap();
        // SAFETY: so many bytes are the memory's, and no guest runs.
        unsafe { std::slice::from_raw_parts_mut(base, len) }
            .iter_mut()
            .skip(request as usize * 999)
            .step_by(if request % 2 == 0 { 1 } else { 9000 })
            .for_each(|byte| *byte = 0xee);
        guest.reset(&snapshot);
        assert!(bytes(&guest) == fresh, "request {request}");
        // What it had grown by comes back as zeros.
        guest.act("grow", &[8]);
        assert!(bytes(&guest)[fresh.len()..].iter().all(|&byte| byte == 0), "request {request}");
        guest.reset(&snapshot);
    }
}

#[test]
fn imports_from_outside_are_given_again() {
    let world = World::new(&Config::new(), GUEST);
    let mut guest = world.guest();
    guest.act("host to global", &[]);
    let snapshot = guest.freeze();
    let names: Vec<_> = snapshot.imports().map(|(import, ..)| import.name.clone()).collect();
    assert_eq!((names, snapshot.len(), snapshot.modules().len()), (vec!["seven".to_string()], 1, 1));
    let mut store = Store::new(&world.engine);
    let none = snapshot.instantiate(&mut store, &Linker::new(&world.engine), &mut ()).unwrap_err();
    assert_eq!(none.to_string(), "unknown import: `host::seven` has not been defined");
    assert!(snapshot.instantiate_with(&mut store, &[], &mut ()).is_err());
    let ty = FuncType::new([], [ValType::I64]);
    let other = Func::new(&mut store, &ty, |_, _, _| Ok(())).unwrap();
    let wrong = snapshot.instantiate_with(&mut store, &[Extern::Func(other)], &mut ()).unwrap_err();
    assert!(wrong.to_string().contains("incompatible import type for `host::seven`"), "{wrong}");
    let ty = FuncType::new([], [ValType::I32]);
    let eight = Func::new(&mut store, &ty, |_, _, results| {
        results[0] = Val::I32(8);
        Ok(())
    });
    let instances = snapshot.instantiate_with(&mut store, &[Extern::Func(eight.unwrap())], &mut ()).unwrap();
    let mut guest = Guest { store, instance: instances[0] };
    assert_eq!(guest.get("call global"), 8);
}

/// Two instances that share what one of them has, and what the host made.
const OWNER: &str = r#"(module
    (import "host" "seven" (func $seven (result i32)))
    (import "host" "memory" (memory $hosts 1))
    (import "host" "table" (table $hosts 2 funcref))
    (import "host" "global" (global $hosts (mut i32)))
    (memory $own (export "memory") 1)
    (table $own (export "table") 2 funcref)
    (global $own (export "global") (mut i32) (i32.const 3))
    (tag $tag (export "tag") (param i32))
    (elem declare func $nine)
    (func $nine (export "nine") (result i32) i32.const 9)
    (func (export "own") (table.set $own (i32.const 0) (ref.func $nine)) (i32.store $own (i32.const 8) (i32.const 80)))
    (func (export "hosts") (table.set $hosts (i32.const 1) (ref.func $nine))
        (i32.store $hosts (i32.const 8) (i32.const 90)) (global.set $hosts (i32.const 91))))"#;
const USER: &str = r#"(module
    (import "owner" "memory" (memory $owner 1))
    (import "owner" "table" (table $owner 2 funcref))
    (import "owner" "global" (global $owner (mut i32)))
    (import "owner" "nine" (func $nine (result i32)))
    (import "owner" "tag" (tag $tag (param i32)))
    (import "host" "table" (table $hosts 2 funcref))
    (import "host" "memory" (memory $hosts 1))
    (import "host" "global" (global $hosts (mut i32)))
    (func (export "byte") (result i32) (i32.load $owner (i32.const 8)))
    (func (export "set byte") (param i32) (i32.store $owner (i32.const 8) (local.get 0)))
    (func (export "global") (result i32) (global.get $owner))
    (func (export "set global") (param i32) (global.set $owner (local.get 0)))
    (func (export "call") (result i32) (call_indirect $owner (result i32) (i32.const 0)))
    (func (export "clear") (table.set $owner (i32.const 0) (ref.null func)))
    (func (export "nine") (result i32) (call $nine))
    (func (export "hosts") (result i32) (i32.add (i32.load $hosts (i32.const 8))
        (i32.add (global.get $hosts) (call_indirect $hosts (result i32) (i32.const 1)))))
    (func (export "set hosts") (param i32) (i32.store $hosts (i32.const 8) (local.get 0))
        (global.set $hosts (local.get 0))))"#;

/// A store with both, and the linker that they were made with.
fn two_instances(engine: &Engine) -> (Box<Store>, Linker, [Instance; 2]) {
    let mut store = Store::new(engine);
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "seven", || 7).unwrap();
    define_items(&mut store, &mut linker);
    let owner = Module::new(engine, OWNER.as_bytes()).unwrap();
    let owner = linker.instantiate(&mut store, &owner).unwrap();
    linker.define_instance(&store, "owner", owner).unwrap();
    let user = Module::new(engine, USER.as_bytes()).unwrap();
    let user = linker.instantiate(&mut store, &user).unwrap();
    owner.get_func(&store, "own").unwrap().call(&mut store, &[], &mut []).unwrap();
    owner.get_func(&store, "hosts").unwrap().call(&mut store, &[], &mut []).unwrap();
    (store, linker, [owner, user])
}

/// What the host makes for them.
fn define_items(store: &mut Store, linker: &mut Linker) {
    let ty = MemoryType { min: 1, max: Some(4), is_64: false, shared: false, page_size_log2: 16 };
    let memory = Memory::new(store, &ty).unwrap();
    linker.define(store, "host", "memory", Extern::Memory(memory)).unwrap();
    let ty = TableType { element: RefType::FUNC, min: 2, max: None, is_64: false };
    let table = Table::new(store, &ty, &Val::FuncRef(None)).unwrap();
    linker.define(store, "host", "table", Extern::Table(table)).unwrap();
    let ty = GlobalType { content: ValType::I32, mutable: true };
    let global = Global::new(store, ty, &Val::I32(1)).unwrap();
    linker.define(store, "host", "global", Extern::Global(global)).unwrap();
}

fn config_with_tags() -> Config {
    let mut config = Config::new();
    (config.features.exceptions, config.features.gc, config.features.function_references) = (true, true, true);
    config
}

#[test]
fn instances_stay_linked_with_each_other_and_with_what_the_host_made() {
    let engine = Engine::new(&config_with_tags()).unwrap();
    let (store, _, [_, user]) = two_instances(&engine);
    let mut guest = Guest { store, instance: user };
    let expected = [80, 3, 9, 9, 90 + 91 + 9];
    let told = |guest: &mut Guest| ["byte", "global", "call", "nine", "hosts"].map(|name| guest.get(name));
    assert_eq!(told(&mut guest), expected);
    let snapshot = Snapshot::take_all(&guest.store, &mut ()).unwrap();
    let names: Vec<_> = snapshot.imports().map(|(import, ..)| import.name.clone()).collect();
    assert_eq!((names, snapshot.len()), (vec!["seven".to_string()], 2));

    let mut linker = Linker::new(&engine);
    linker.func_wrap("host", "seven", || 7).unwrap();
    let mut store = Store::new(&engine);
    let thawed = snapshot.instantiate(&mut store, &linker, &mut ()).unwrap();
    let mut other = Guest { store, instance: thawed[1] };
    assert_eq!(told(&mut other), expected);
    for _ in 0..2 {
        other.act("set byte", &[1]);
        other.act("set global", &[2]);
        other.act("set hosts", &[3]);
        other.act("clear", &[]);
        assert!(other.call("call", &[]).is_err());
        assert_eq!([other.get("byte"), other.get("global"), other.get("hosts")], [1, 2, 3 + 3 + 9]);
        snapshot.reset(&mut other.store, &thawed, &mut ()).unwrap();
        assert_eq!(told(&mut other), expected);
    }
    // The first store has heard nothing of that.
    assert_eq!(told(&mut guest), expected);
    // What the owner exports is what the user imports.
    let global = thawed[0].get_export(&other.store, "global").unwrap().into_global().unwrap();
    global.set(&mut other.store, &Val::I32(44)).unwrap();
    assert_eq!(other.get("global"), 44);
}

#[test]
fn a_part_of_a_store_can_be_frozen_and_the_rest_is_imported() {
    let engine = Engine::new(&config_with_tags()).unwrap();
    let (store, mut linker, [owner, user]) = two_instances(&engine);
    // The user imports all that it needs from outside.
    let alone = Snapshot::take(&store, &[user], &mut ()).unwrap();
    assert_eq!(alone.imports().count(), 8);
    let mut guest = Guest { store, instance: user };
    let again = alone.instantiate(&mut guest.store, &linker, &mut ()).unwrap();
    guest.act("set byte", &[33]);
    let mut guest = Guest { store: guest.store, instance: again[0] };
    assert_eq!(guest.get("byte"), 33);
    // In the order in which they are given, which needn't be that of their making.
    let both = Snapshot::take(&guest.store, &[user, owner], &mut ()).unwrap();
    assert_eq!(both.imports().count(), 4 + 3);
    let mut store = Store::new(&engine);
    assert!(both.instantiate(&mut store, &linker, &mut ()).is_err(), "the linker's items are of another store");
    linker.allow_shadowing(true);
    define_items(&mut store, &mut linker);
    let thawed = both.instantiate(&mut store, &linker, &mut ()).unwrap();
    assert!(thawed[0].get_func(&store, "byte").is_some() && thawed[1].get_func(&store, "own").is_some());
    let mut other = Guest { store, instance: thawed[0] };
    assert_eq!([other.get("byte"), other.get("call")], [33, 9]);
}

#[test]
fn instances_that_do_not_fit_are_not_reset() {
    let engine = Engine::new(&config_with_tags()).unwrap();
    let (mut store, linker, [owner, user]) = two_instances(&engine);
    let snapshot = Snapshot::take(&store, &[owner, user], &mut ()).unwrap();
    let mut reset = |instances: &[Instance]| snapshot.reset(&mut store, instances, &mut ()).map_err(|e| e.to_string());
    assert_eq!(reset(&[owner]).unwrap_err(), "the snapshot is of 2 instances, and 1 are given");
    assert_eq!(reset(&[user, owner]).unwrap_err(), "instance 0 is not of the module that it was of");
    assert_eq!(reset(&[owner, user]), Ok(()));
    // An owner like the first, from which the user imports nothing.
    let module = owner.module(&store).unwrap().clone();
    let other = linker.instantiate(&mut store, &module).unwrap();
    let error = snapshot.reset(&mut store, &[other, user], &mut ()).unwrap_err();
    assert_eq!(error.to_string(), "instance 1 imports `owner::memory` from another instance than it did");
    let mut foreign = Store::new(&engine);
    assert!(snapshot.reset(&mut foreign, &[owner, user], &mut ()).is_err());
    assert!(Snapshot::take(&foreign, &[owner], &mut ()).is_err());
    assert!(Snapshot::take(&store, &[owner, owner], &mut ()).is_err());
    let other_engine = Engine::new(&config_with_tags()).unwrap();
    let mut foreign = Store::new(&other_engine);
    let error = snapshot.instantiate(&mut foreign, &Linker::new(&other_engine), &mut ()).unwrap_err();
    assert!(error.to_string().contains("the snapshot is of another engine"), "{error}");
}

#[test]
fn functions_that_cannot_be_named_are_refused() {
    let engine = Engine::new(&config_with_tags()).unwrap();
    let (mut store, _, [owner, user]) = two_instances(&engine);
    // The table of the owner has a function of its own; alone it can be named.
    Snapshot::take(&store, &[owner], &mut ()).unwrap();
    let stranger = Func::new(&mut store, &FuncType::new([], []), |_, _, _| Ok(())).unwrap();
    let table = owner.get_export(&store, "table").unwrap().into_table().unwrap();
    table.set(&mut store, 1, &Val::FuncRef(Some(stranger))).unwrap();
    let error = Snapshot::take(&store, &[owner, user], &mut ()).unwrap_err();
    let expected = "no snapshot can be taken: table 1 of instance 0 refers to a function that none of the instances has \
                    or imports";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn shared_memories_are_refused_by_name() {
    let mut config = Config::new();
    (config.features.threads, config.shared_memory) = (true, true);
    let engine = Engine::new(&config).unwrap();
    let own = r#"(module (memory (export "common") 1 2 shared))"#;
    let imported = r#"(module (import "env" "common" (memory 1 2 shared)))"#;
    let ty = MemoryType { min: 1, max: Some(2), is_64: false, shared: true, page_size_log2: 16 };
    let memory = Extern::SharedMemory(SharedMemory::new(&engine, &ty).unwrap());
    for (wat, imports, name) in
        [(own, vec![], "exported as `common`"), (imported, vec![memory], "imported as `env::common`")]
    {
        let module = Module::new(&engine, wat.as_bytes()).unwrap();
        let mut store = Store::new(&engine);
        let instance = Instance::new(&mut store, &module, &imports).unwrap();
        let error = Snapshot::take(&store, &[instance], &mut ()).unwrap_err();
        let expected =
            format!("no snapshot can be taken: the memory {name} is shared, so other threads may be writing to it");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn limits_of_the_store_hold_for_what_is_thawed_and_reset() {
    let world = World::new(&Config::new(), GUEST);
    let mut guest = world.guest();
    let small = guest.freeze();
    guest.act("grow", &[3]);
    guest.act("grow table", &[10]);
    let large = guest.freeze();
    let refused = |limit: &dyn Fn(&mut Store)| {
        let mut store = Store::new(&world.engine);
        limit(&mut store);
        let error = large.instantiate(&mut store, &world.linker, &mut ()).unwrap_err();
        assert!(matches!(error.kind(), ampoule::error::ErrorKind::Limit(_)), "{error}");
        // Nothing has stayed, so that there is room for a smaller one.
        let instances = small.instantiate(&mut store, &world.linker, &mut ()).unwrap();
        let mut guest = Guest { store, instance: instances[0] };
        let before = guest.tell();
        assert!(large.reset(&mut guest.store, &instances, &mut ()).is_err());
        assert_eq!(guest.get("pages"), 2);
        guest.reset(&small);
        assert_eq!(guest.tell(), before);
    };
    refused(&|store| store.limits_mut().memory_size = Some(4 << 16));
    refused(&|store| store.limits_mut().table_elements = Some(13));
    let mut store = Store::new(&world.engine);
    store.limits_mut().instances = 1;
    large.instantiate(&mut store, &world.linker, &mut ()).unwrap();
    assert!(large.instantiate(&mut store, &world.linker, &mut ()).is_err());
}

#[test]
fn stores_in_the_middle_of_a_call_are_left_alone() {
    let engine = Engine::default();
    let wat = r#"(module (import "host" "f" (func $f)) (memory (export "memory") 1) (func (export "g") (call $f)))"#;
    let module = Module::new(&engine, wat.as_bytes()).unwrap();
    let mut linker = Linker::new(&engine);
    let ty = FuncType::new([], []);
    linker
        .func("host", "f", &ty, |mut caller, _, _| {
            let Some(Extern::Memory(_)) = caller.export("memory") else { panic!("it exports one") };
            let store = caller.store();
            let error = Snapshot::take_all(store, &mut ()).unwrap_err();
            let expected = "instances have to be between calls: a guest of their store runs, or waits";
            assert_eq!(error.to_string(), expected);
            Ok(())
        })
        .unwrap();
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &module).unwrap();
    instance.get_func(&store, "g").unwrap().call(&mut store, &[], &mut []).unwrap();
}

#[test]
fn sections_travel_with_the_snapshot() {
    let world = World::new(&Config::new(), GUEST);
    let mut snapshot = world.guest().freeze();
    let clone = snapshot.clone();
    snapshot.attach("library", b"state".to_vec());
    snapshot.attach("other", b"1".to_vec());
    snapshot.attach("other", b"2".to_vec());
    assert_eq!((snapshot.section("library"), snapshot.section("other")), (Some(&b"state"[..]), Some(&b"2"[..])));
    assert_eq!((snapshot.section("none"), clone.section("library")), (None, None));
}

#[test]
fn a_snapshot_keeps_what_it_needs() {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        br#"(module (memory 1) (data (i32.const 5) "x")
        (func (export "f") (result i32) (i32.load8_u (i32.const 5))))"#,
    )
    .unwrap();
    let mut store = Store::new(&engine);
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let snapshot = Snapshot::take(&store, &[instance], &mut ()).unwrap();
    drop((store, module, engine));
    let mut store = Store::new(snapshot.engine());
    let linker = Linker::new(snapshot.engine());
    let instance = snapshot.instantiate(&mut store, &linker, &mut ()).unwrap()[0];
    drop((snapshot, linker));
    let mut guest = Guest { store, instance };
    assert_eq!(guest.get("f"), i64::from(b'x'));
}

#[test]
fn instances_of_no_snapshot_are_none() {
    let engine = Engine::default();
    let snapshot = Snapshot::take_all(&Store::new(&engine), &mut ()).unwrap();
    assert!(snapshot.is_empty());
    let mut store = Store::new(&engine);
    assert!(snapshot.instantiate(&mut store, &Linker::new(&engine), &mut ()).unwrap().is_empty());
    snapshot.reset(&mut store, &[], &mut ()).unwrap();
}

#[test]
fn many_written_pages_are_as_clean_as_few() {
    let wat = r#"(module (memory (export "memory") 100 200)
        (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 2) (local.get 1)))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    for (name, config) in configs() {
        let world = World::new(&config, wat);
        let mut guest = world.guest();
        guest.act("fill", &[300_000, 200_000, 1]);
        let snapshot = guest.freeze();
        let bytes = |guest: &Guest| {
            guest.instance.get_memory(&guest.store, "memory").unwrap().bytes(&guest.store).unwrap().to_vec()
        };
        let expected = bytes(&guest);
        for round in 0..4 {
            // Everything; every second page, which are more ranges than one look finds; one range around the border of what is overwritten.
            for (from, len, step) in [(0, 100 << 16, 100 << 16), (0, 1, 8192), ((2 << 20) - 5000, 10_000, 100 << 16)] {
                (from..100 << 16).step_by(step).for_each(|at| guest.act("fill", &[at, len, 0xee]));
                guest.act("grow", &[50]);
                guest.act("fill", &[149 << 16, 1 << 16, 0xee]);
                guest.reset(&snapshot);
                assert!(bytes(&guest) == expected, "{name}, {round}, {len}");
            }
            // The next one in the same space.
            guest = world.thaw(&snapshot);
            assert!(bytes(&guest) == expected, "{name}, {round}");
        }
        guest.act("grow", &[60]);
        assert!(bytes(&guest)[100 << 16..].iter().all(|&byte| byte == 0), "{name}");
    }
}

#[test]
fn of_a_large_memory_only_what_was_written_is_read() {
    let wat = r#"(module (memory (export "memory") 65536) (table 1000000 funcref)
        (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
        (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))"#;
    let world = World::new(&Config::new(), wat);
    let mut guest = world.guest();
    guest.act("store", &[5, 1]);
    guest.act("store", &[-5, 2]);
    let begun = std::time::Instant::now();
    let snapshot = guest.freeze();
    for _ in 0..20 {
        let mut other = world.thaw(&snapshot);
        assert_eq!([5, 6, 1 << 30, -5].map(|at| other.get_at("load", at)), [Some(1), Some(0), Some(0), Some(2)]);
        other.act("store", &[1 << 30, 3]);
        other.reset(&snapshot);
        assert_eq!(other.get_at("load", 1 << 30), Some(0));
    }
    // To look at 4 GiB takes seconds each time, and their memory.
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn functions_of_a_table_may_be_anywhere() {
    let wat = r#"(module (import "host" "seven" (func $seven (result i32)))
        (table $table (export "table") 5000000 funcref) (elem declare func $one $seven)
        (func $one (result i32) i32.const 1)
        (func (export "set") (param i32) (table.set (local.get 0) (ref.func $one)))
        (func (export "set host") (param i32) (table.set (local.get 0) (ref.func $seven)))
        (func (export "null") (param i32) (table.set (local.get 0) (ref.null func)))
        (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))"#;
    let world = World::new(&Config::new(), wat);
    let mut guest = world.guest();
    let places = [0, 1, 1023, 1024, 5000, 4_999_999];
    places.iter().for_each(|at| guest.act("set", &[*at]));
    guest.act("set host", &[7]);
    guest.act("set host", &[70_000]);
    let snapshot = guest.freeze();
    let mut other = world.thaw(&snapshot);
    for _ in 0..2 {
        assert_eq!(places.map(|at| other.get_at("call", at)), [Some(1); 6]);
        assert_eq!([2, 7, 70_000, 4_999_998].map(|at| other.get_at("call", at)), [None, Some(7), Some(7), None]);
        places.iter().for_each(|at| other.act("null", &[*at]));
        other.act("set", &[3_000_000]);
        assert_eq!(places.map(|at| other.get_at("call", at)), [None; 6]);
        other.reset(&snapshot);
        assert_eq!(other.get_at("call", 3_000_000), None);
    }
}

#[test]
fn stores_that_take_asynchronous_calls_have_snapshots_between_them() {
    let engine = Engine::default();
    let wat = r#"(module (import "host" "wait" (func $wait (param i32) (result i32))) (global $n (mut i32) (i32.const 1))
        (func (export "f") (result i32) (global.set $n (i32.add (global.get $n) (call $wait (global.get $n)))) (global.get $n)))"#;
    let module = Module::new(&engine, wat.as_bytes()).unwrap();
    let mut linker = Linker::new(&engine);
    linker
        .func_wrap_async("host", "wait", |n: i32| async move {
            let mut waited = false;
            poll_fn(|context| {
                context.waker().wake_by_ref();
                if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            n * 10
        })
        .unwrap();
    let call = |store: &mut Store, instance: Instance| {
        let f = instance.get_typed_func::<(), i32>(store, "f").unwrap();
        let mut call = std::pin::pin!(f.call_async(store, ()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
        let Poll::Ready(result) = call.poll(&mut context) else { panic!("it waits once") };
        result.unwrap()
    };
    let mut store = Store::new(&engine);
    let instance = {
        let making = std::pin::pin!(linker.instantiate_pre(&module).unwrap().instantiate_async(&mut store));
        let Poll::Ready(instance) = making.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("nothing waits")
        };
        instance.unwrap()
    };
    assert_eq!(call(&mut store, instance), 11);
    let snapshot = Snapshot::take(&store, &[instance], &mut ()).unwrap();
    assert_eq!(call(&mut store, instance), 121);
    snapshot.reset(&mut store, &[instance], &mut ()).unwrap();
    assert_eq!(call(&mut store, instance), 121);
    let mut other = Store::new(&engine);
    for _ in 0..2 {
        let instance = snapshot.instantiate(&mut other, &linker, &mut ()).unwrap()[0];
        assert_eq!(call(&mut other, instance), 121);
    }
    // Not while one waits.
    let f = instance.get_typed_func::<(), i32>(&store, "f").unwrap();
    let lent: *mut Store = &mut *store;
    {
        let mut waiting = std::pin::pin!(f.call_async(&mut store, ()));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        // SAFETY: nobody polls the call meanwhile, and what is asked for is refused.
        let store = unsafe { &mut *lent };
        assert!(Snapshot::take(store, &[instance], &mut ()).unwrap_err().to_string().contains("between calls"));
        assert!(snapshot.reset(store, &[instance], &mut ()).unwrap_err().to_string().contains("between calls"));
        assert!(snapshot.instantiate(store, &linker, &mut ()).is_err());
    }
    snapshot.reset(&mut store, &[instance], &mut ()).unwrap();
    assert_eq!(call(&mut store, instance), 121);
}
