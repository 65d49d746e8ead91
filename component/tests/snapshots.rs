//! Snapshots of component instances: what an instance made of one can tell, and what no snapshot can have.

use ampoule::{Engine, Error, Snapshot, Store};
use ampoule_component::{Component, ComponentSnapshot, HostResources, Instance, Linker, ResourceHost, Val, ValRef};
use std::sync::{Arc, Mutex};

/// A component that counts how often its start function ran, and has resources of its own: `keep` makes one, `kept` tells what the last stands for.
/// Another one in it holds such resources too, by handles of its own.
const KEEPS_RESOURCES: &str = r#"(component
    (component $owner
        (core module $d
            (global $sum (mut i32) (i32.const 0))
            (func (export "dtor") (param i32) (global.set $sum (i32.add (global.get $sum) (local.get 0))))
            (func (export "dropped") (result i32) (global.get $sum)))
        (core instance $d (instantiate $d))
        (type $r (resource (rep i32) (dtor (func $d "dtor"))))
        (core func $new (canon resource.new $r))
        (core func $rep (canon resource.rep $r))
        (core module $m
            (import "" "new" (func $new (param i32) (result i32)))
            (import "" "rep" (func $rep (param i32) (result i32)))
            (memory (export "memory") 1)
            (global $starts (mut i32) (i32.const 0))
            (func $start (global.set $starts (i32.add (global.get $starts) (i32.const 1))))
            (start $start)
            (func (export "starts") (result i32) (global.get $starts))
            (func (export "make") (param i32) (result i32)
                (i32.store (i32.const 1000) (i32.add (i32.load (i32.const 1000)) (i32.const 1)))
                (call $new (local.get 0)))
            (func (export "made") (result i32) (i32.load (i32.const 1000)))
            (func (export "look") (param i32) (result i32) (local.get 0)))
        (core instance $i (instantiate $m (with "" (instance (export "new" (func $new)) (export "rep" (func $rep))))))
        (export $thing "thing" (type $r))
        (func (export "make") (param "n" u32) (result (own $thing)) (canon lift (core func $i "make")))
        (func (export "look") (param "t" (borrow $thing)) (result u32) (canon lift (core func $i "look")))
        (func (export "starts") (result u32) (canon lift (core func $i "starts")))
        (func (export "made") (result u32) (canon lift (core func $i "made")))
        (func (export "dropped") (result u32) (canon lift (core func $d "dropped"))))
    (instance $owner (instantiate $owner))
    (component $user
        (import "owner" (instance $owner
            (export "thing" (type $thing (sub resource)))
            (export "make" (func (param "n" u32) (result (own $thing))))
            (export "look" (func (param "t" (borrow $thing)) (result u32)))))
        (alias export $owner "thing" (type $thing))
        (core func $make (canon lower (func $owner "make")))
        (core func $look (canon lower (func $owner "look")))
        (core func $drop (canon resource.drop $thing))
        (core module $m
            (import "" "make" (func $make (param i32) (result i32)))
            (import "" "look" (func $look (param i32) (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (table 4 funcref)
            (elem declare func $look)
            (func (export "keep") (param i32) (result i32) (table.set (i32.const 2) (ref.func $look)) (call $make (local.get 0)))
            (func (export "kept") (param i32) (result i32)
                (call_indirect (param i32) (result i32) (local.get 0) (i32.const 2)))
            (func (export "drop") (param i32) (call $drop (local.get 0)))
            (func (export "stop") unreachable))
        (core instance $i (instantiate $m (with "" (instance
            (export "make" (func $make)) (export "look" (func $look)) (export "drop" (func $drop))))))
        (func (export "keep") (param "n" u32) (result u32) (canon lift (core func $i "keep")))
        (func (export "kept") (param "handle" u32) (result u32) (canon lift (core func $i "kept")))
        (func (export "drop") (param "handle" u32) (canon lift (core func $i "drop")))
        (func (export "stop") (canon lift (core func $i "stop"))))
    (instance $user (instantiate $user (with "owner" (instance $owner))))
    (export "keep" (func $user "keep"))
    (export "kept" (func $user "kept"))
    (export "drop" (func $user "drop"))
    (export "stop" (func $user "stop"))
    (export "starts" (func $owner "starts"))
    (export "made" (func $owner "made"))
    (export "dropped" (func $owner "dropped")))"#;

fn number(store: &mut Store, instance: Instance, name: &str, args: &[u32]) -> Result<u32, Error> {
    let func = instance.get_func(store, &[name])?.expect("the component exports it");
    let args: Vec<Val> = args.iter().map(|&arg| arg.into()).collect();
    let mut results = [Val::default()];
    func.call(store, &args, &mut results)?;
    let ValRef::U32(number) = results[0].get() else { panic!("{results:?}") };
    Ok(number)
}

fn drop_handle(store: &mut Store, instance: Instance, handle: u32) -> Result<(), Error> {
    let func = instance.get_func(store, &["drop"])?.expect("the component exports it");
    func.call(store, &[handle.into()], &mut [])
}

/// The snapshot as it is after it was written and read.
fn written_and_read(engine: &Engine, snapshot: &ComponentSnapshot) -> ComponentSnapshot {
    let bytes = snapshot.to_core().to_bytes().unwrap();
    // SAFETY: they were written above.
    let core = unsafe { Snapshot::load(engine, &bytes) }.unwrap();
    ComponentSnapshot::of(core).unwrap().expect("it is one of a component")
}

#[test]
fn an_instance_goes_on_in_another_store() {
    let engine = Engine::default();
    let component = Component::new(&engine, KEEPS_RESOURCES.as_bytes()).unwrap();
    let linker = Linker::new(&engine);
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let handles: Vec<u32> = [10, 20, 30].map(|n| number(&mut store, instance, "keep", &[n]).unwrap()).into();
    drop_handle(&mut store, instance, handles[0]).unwrap();
    let snapshot = ComponentSnapshot::take(&mut store, &component, instance, &mut ()).unwrap();
    // What happens later is not in it.
    drop_handle(&mut store, instance, handles[1]).unwrap();
    let found = linker.instantiate_pre(&component).unwrap();
    let read = written_and_read(&engine, &snapshot);
    let read_found = linker.instantiate_pre(read.component()).unwrap();
    for (snapshot, found) in [(&snapshot, &found), (&snapshot, &found), (&read, &read_found)] {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut store = Store::new(&engine);
                let instance = snapshot.instantiate(&mut store, found, &mut ()).unwrap();
                let mut ask = |name: &str, args: &[u32]| number(&mut store, instance, name, args);
                assert_eq!(ask("starts", &[]).unwrap(), 1, "the start function doesn't run again");
                assert_eq!((ask("made", &[]).unwrap(), ask("dropped", &[]).unwrap()), (3, 10));
                assert_eq!((ask("kept", &[handles[1]]).unwrap(), ask("kept", &[handles[2]]).unwrap()), (20, 30));
                assert_eq!(ask("keep", &[40]).unwrap(), handles[0], "the number that was free is used next");
                drop_handle(&mut store, instance, handles[2]).unwrap();
                assert_eq!(number(&mut store, instance, "dropped", &[]).unwrap(), 40, "its destructor has run");
                assert!(number(&mut store, instance, "kept", &[handles[2]]).is_err(), "it is gone");
            });
        });
    }
}

/// Has resources of a host that knows them by numbers from 100 on.
#[derive(Default)]
struct Things {
    made: Vec<u32>,
    refuses: bool,
}

impl HostResources for Things {
    fn save(&mut self, _: &mut Store, resources: &[ResourceHost]) -> Result<Vec<u8>, Error> {
        assert!(resources.iter().all(|thing| thing.ty == 7 && thing.owned));
        Ok(resources.iter().map(|thing| thing.rep as u8).collect())
    }

    fn restore(&mut self, _: &mut Store, types: &[u32], saved: &[u8]) -> Result<Vec<u32>, Error> {
        if self.refuses {
            return Err(Error::message("there are no things"));
        }
        assert!(types.len() == saved.len() && types.iter().all(|&ty| ty == 7));
        self.made = saved.iter().map(|&rep| u32::from(rep) + 100).collect();
        Ok(self.made.clone())
    }
}

const KEEPS_THINGS: &str = r#"(component
    (import "things" (instance $things
        (export "thing" (type $thing (sub resource)))
        (export "make" (func (param "n" u32) (result (own $thing))))
        (export "look" (func (param "t" (borrow $thing)) (result u32)))))
    (alias export $things "thing" (type $thing))
    (core func $make (canon lower (func $things "make")))
    (core func $look (canon lower (func $things "look")))
    (core func $drop (canon resource.drop $thing))
    (core module $m
        (func (export "keep") (import "" "make") (param i32) (result i32))
        (func (export "kept") (import "" "look") (param i32) (result i32))
        (func (export "drop") (import "" "drop") (param i32)))
    (core instance $i (instantiate $m (with "" (instance
        (export "make" (func $make)) (export "look" (func $look)) (export "drop" (func $drop))))))
    (func (export "keep") (param "n" u32) (result u32) (canon lift (core func $i "keep")))
    (func (export "kept") (param "handle" u32) (result u32) (canon lift (core func $i "kept")))
    (func (export "drop") (param "handle" u32) (canon lift (core func $i "drop"))))"#;

/// A linker that has things, and the numbers of those that were dropped.
fn things(engine: &Engine) -> (Linker, Arc<Mutex<Vec<u32>>>) {
    let mut linker = Linker::new(engine);
    let dropped = Arc::new(Mutex::new(Vec::new()));
    let list = dropped.clone();
    let mut things = linker.instance("things").unwrap();
    let dtor = move |_: &mut Store, rep| {
        list.lock().unwrap().push(rep);
        Ok(())
    };
    things.resource("thing", 7, dtor).unwrap();
    let make = |store: &mut Store, args: &[Val]| {
        let ValRef::U32(rep) = args[0].get() else { panic!("{args:?}") };
        ResourceHost { rep, ty: 7, owned: true }.into_any(store)
    };
    things
        .func("make", move |store, _, args, results| {
            results[0] = make(store, args)?.into();
            Ok(())
        })
        .unwrap();
    things
        .func("look", |store, _, args, results| {
            let ValRef::Resource(Some(any)) = args[0].get() else { panic!("{args:?}") };
            results[0] = ResourceHost::from_any(any, store)?.rep.into();
            Ok(())
        })
        .unwrap();
    (linker, dropped)
}

#[test]
fn the_host_makes_its_resources_again() {
    let engine = Engine::default();
    let component = Component::new(&engine, KEEPS_THINGS.as_bytes()).unwrap();
    let (linker, dropped) = things(&engine);
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let handles: Vec<u32> = [5, 6, 7].map(|n| number(&mut store, instance, "keep", &[n]).unwrap()).into();
    drop_handle(&mut store, instance, handles[1]).unwrap();
    let refusal = ComponentSnapshot::take(&mut store, &component, instance, &mut ()).unwrap_err().to_string();
    assert!(refusal.contains("the guest has resources of the host's"), "{refusal}");
    let snapshot = ComponentSnapshot::take(&mut store, &component, instance, &mut Things::default()).unwrap();
    let found = linker.instantiate_pre(&component).unwrap();
    let mut other = Store::new(&engine);
    let mut host = Things { refuses: true, ..Things::default() };
    assert_eq!(snapshot.instantiate(&mut other, &found, &mut host).unwrap_err().to_string(), "there are no things");
    host.refuses = false;
    let mut other = Store::new(&engine);
    let instance = snapshot.instantiate(&mut other, &found, &mut host).unwrap();
    assert_eq!(host.made, [105, 107]);
    assert_eq!([0, 2].map(|at| number(&mut other, instance, "kept", &[handles[at]]).unwrap()), [105, 107]);
    dropped.lock().unwrap().clear();
    drop_handle(&mut other, instance, handles[2]).unwrap();
    assert_eq!(*dropped.lock().unwrap(), [107], "the new one, and only that");
    assert!(number(&mut other, instance, "kept", &[handles[1]]).is_err(), "it was dropped before");
}

#[test]
fn what_is_not_between_calls_is_refused() {
    let engine = Engine::default();
    let component = Component::new(&engine, KEEPS_RESOURCES.as_bytes()).unwrap();
    let other = Component::new(&engine, KEEPS_THINGS.as_bytes()).unwrap();
    let linker = Linker::new(&engine);
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let refusal = |store: &mut Store, component: &Component| {
        ComponentSnapshot::take(store, component, instance, &mut ()).unwrap_err().to_string()
    };
    assert_eq!(refusal(&mut store, &other), "the instance is of another component");
    assert_eq!(refusal(&mut Store::new(&engine), &component), "object used with the wrong store");
    let stop = instance.get_func(&mut store, &["stop"]).unwrap().unwrap();
    stop.call(&mut store, &[], &mut []).unwrap_err();
    assert_eq!(refusal(&mut store, &component), "no snapshot can be taken: a guest of the store was stopped");
}

#[test]
fn a_snapshot_of_another_component_is_refused() {
    let engine = Engine::default();
    let (linker, _) = things(&engine);
    let [component, other] =
        [KEEPS_RESOURCES, KEEPS_THINGS].map(|text| Component::new(&engine, text.as_bytes()).unwrap());
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let snapshot = ComponentSnapshot::take(&mut store, &component, instance, &mut ()).unwrap();
    let found = linker.instantiate_pre(&other).unwrap();
    assert!(snapshot.instantiate(&mut Store::new(&engine), &found, &mut ()).is_err());
    let found = linker.instantiate_pre(&component).unwrap();
    assert!(snapshot.instantiate(&mut Store::new(&Engine::default()), &found, &mut ()).is_err());
}

#[test]
fn an_instance_is_reset_also_after_a_trap() {
    let engine = Engine::default();
    let component = Component::new(&engine, KEEPS_RESOURCES.as_bytes()).unwrap();
    let linker = Linker::new(&engine);
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let handle = number(&mut store, instance, "keep", &[10]).unwrap();
    let snapshot = ComponentSnapshot::take(&mut store, &component, instance, &mut ()).unwrap();
    let stop = instance.get_func(&mut store, &["stop"]).unwrap().unwrap();
    for round in 0..3 {
        assert_eq!(number(&mut store, instance, "kept", &[handle]).unwrap(), 10);
        assert_eq!(number(&mut store, instance, "keep", &[20]).unwrap(), handle + 1, "the same number each time");
        drop_handle(&mut store, instance, handle).unwrap();
        assert_eq!(number(&mut store, instance, "dropped", &[]).unwrap(), 10);
        assert_eq!(number(&mut store, instance, "made", &[]).unwrap(), 2);
        if round > 0 {
            stop.call(&mut store, &[], &mut []).unwrap_err();
            assert!(number(&mut store, instance, "made", &[]).is_err(), "it was stopped");
        }
        snapshot.reset(&mut store, instance, &mut ()).unwrap();
        assert_eq!(number(&mut store, instance, "made", &[]).unwrap(), 1);
    }
    // Nobody knows what a guest that was stopped has done to others.
    let other = linker.instantiate(&mut store, &component).unwrap();
    snapshot.reset(&mut store, other, &mut ()).unwrap();
    assert_eq!(number(&mut store, other, "kept", &[handle]).unwrap(), 10, "another instance of the component");
    stop.call(&mut store, &[], &mut []).unwrap_err();
    assert!(snapshot.reset(&mut store, instance, &mut ()).is_err());
}

#[test]
fn the_host_is_told_what_a_guest_has_lost() {
    #[derive(Default)]
    struct Lost(Vec<u32>);
    impl HostResources for Lost {
        fn save(&mut self, _: &mut Store, resources: &[ResourceHost]) -> Result<Vec<u8>, Error> {
            Ok(vec![resources.len() as u8])
        }

        fn restore(&mut self, _: &mut Store, types: &[u32], _: &[u8]) -> Result<Vec<u32>, Error> {
            Ok((100..).take(types.len()).collect())
        }

        fn discard(&mut self, _: &mut Store, resources: &[ResourceHost]) {
            self.0.extend(resources.iter().map(|thing| thing.rep));
        }
    }
    let engine = Engine::default();
    let component = Component::new(&engine, KEEPS_THINGS.as_bytes()).unwrap();
    let (linker, dropped) = things(&engine);
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let handle = number(&mut store, instance, "keep", &[1]).unwrap();
    let mut host = Lost::default();
    let snapshot = ComponentSnapshot::take(&mut store, &component, instance, &mut host).unwrap();
    number(&mut store, instance, "keep", &[2]).unwrap();
    snapshot.reset(&mut store, instance, &mut host).unwrap();
    assert_eq!(number(&mut store, instance, "kept", &[handle]).unwrap(), 100);
    snapshot.reset(&mut store, instance, &mut host).unwrap();
    assert_eq!((host.0, dropped.lock().unwrap().len()), (vec![1, 2, 100], 0));
}

#[test]
fn damaged_sections_are_errors() {
    let engine = Engine::default();
    let component = Component::new(&engine, KEEPS_RESOURCES.as_bytes()).unwrap();
    let linker = Linker::new(&engine);
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    for n in 0..3 {
        number(&mut store, instance, "keep", &[n]).unwrap();
    }
    let snapshot = ComponentSnapshot::take(&mut store, &component, instance, &mut ()).unwrap();
    let core = snapshot.to_core();
    let whole: Vec<u8> = core.section("component").unwrap().into();
    let mut refused = 0;
    for (at, flipped) in (0..whole.len()).flat_map(|at| [1, 0x80, 0xff].map(|flip| (at, flip))) {
        let mut bytes = whole.clone();
        bytes[at] ^= flipped;
        let mut core = core.clone();
        core.attach("component", bytes);
        let made = ComponentSnapshot::of(core).and_then(|found| {
            let snapshot = found.expect("it has the sections");
            let found = linker.instantiate_pre(snapshot.component())?;
            let mut store = Store::new(&engine);
            let instance = snapshot.instantiate(&mut store, &found, &mut ())?;
            // Another number may have been meant.
            let _ = number(&mut store, instance, "kept", &[1]);
            Ok(())
        });
        refused += usize::from(made.is_err());
    }
    assert!(refused > whole.len(), "{refused} of {} changes are refused", 3 * whole.len());
    for cut in 0..whole.len() {
        let mut core = core.clone();
        core.attach("component", &whole[..cut]);
        assert!(ComponentSnapshot::of(core).is_err(), "{cut} bytes of {}", whole.len());
    }
    let mut core = core.clone();
    core.attach("component.wasm", &b"\0asm"[..]);
    assert!(ComponentSnapshot::of(core).is_err());
}
