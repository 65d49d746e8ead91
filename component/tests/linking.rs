//! Imports, resources, calls out of guests, and what ends an instance.

use ampoule::{Config, Engine, Error, Features, Store};
use ampoule_component::types::{FuncType, ItemType};
use ampoule_component::{Component, Func, Instance, Linker, ResourceHost, Val, ValRef};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn func(store: &mut Store, instance: &Instance, path: &[&str]) -> Func {
    instance.get_func(store, path).unwrap().expect("the component exports it")
}

fn call(store: &mut Store, func: &Func, args: &[Val]) -> Result<Vec<Val>, Error> {
    let mut results = vec![Val::default(); usize::from(func.ty(store)?.result().is_some())];
    func.call(store, args, &mut results)?;
    Ok(results)
}

/// A component that makes a resource of the host's, borrows it to the host, and drops it.
const USES_RESOURCES: &str = r#"(component
    (import "test:res/things@1.2.0" (instance $things
        (export "thing" (type $thing (sub resource)))
        (export "make" (func (param "n" u32) (result (own $thing))))
        (export "look" (func (param "t" (borrow $thing)) (result u32)))))
    (alias export $things "thing" (type $thing))
    (core func $make (canon lower (func $things "make")))
    (core func $look (canon lower (func $things "look")))
    (core func $drop (canon resource.drop $thing))
    (core module $m
        (import "things" "make" (func $make (param i32) (result i32)))
        (import "things" "look" (func $look (param i32) (result i32)))
        (import "things" "drop" (func $drop (param i32)))
        (func (export "all") (param i32) (result i32)
            (local $t i32)
            (local.set $t (call $make (local.get 0)))
            (call $look (local.get $t))
            (call $drop (local.get $t)))
        (func (export "keep") (param i32) (result i32) (call $make (local.get 0)))
        (func (export "take") (param i32) (result i32) (call $look (local.get 0)) (call $drop (local.get 0)))
        (func (export "hold") (param i32))
        (func (export "drop-twice") (param i32) (call $drop (local.get 0)) (call $drop (local.get 0))))
    (core instance $i (instantiate $m (with "things" (instance
        (export "make" (func $make)) (export "look" (func $look)) (export "drop" (func $drop))))))
    (func (export "all") (param "n" u32) (result u32) (canon lift (core func $i "all")))
    (func (export "keep") (param "n" u32) (result (own $thing)) (canon lift (core func $i "keep")))
    (func (export "take") (param "t" (own $thing)) (result u32) (canon lift (core func $i "take")))
    (func (export "hold") (param "t" (borrow $thing)) (canon lift (core func $i "hold")))
    (func (export "drop-twice") (param "t" (own $thing)) (canon lift (core func $i "drop-twice"))))"#;

/// A linker that has `things`, and the number of things that were dropped.
fn things(engine: &Engine) -> (Linker, Arc<AtomicU32>) {
    let mut linker = Linker::new(engine);
    let dropped = Arc::new(AtomicU32::new(0));
    let counter = dropped.clone();
    let mut things = linker.instance("test:res/things@1.0.0").unwrap();
    things
        .resource("thing", 7, move |_, rep| {
            counter.fetch_add(rep, Ordering::Relaxed);
            Ok(())
        })
        .unwrap();
    things
        .func("make", |store, _, args, results| {
            let ValRef::U32(rep) = args[0].get() else { panic!("{args:?}") };
            results[0] = ResourceHost { rep, ty: 7, owned: true }.into_any(store)?.into();
            Ok(())
        })
        .unwrap();
    things
        .func("look", |store, _, args, results| {
            let ValRef::Resource(Some(any)) = args[0].get() else { panic!("{args:?}") };
            assert!(!any.owned());
            results[0] = Val::from(ResourceHost::from_any(any, store)?.rep);
            Ok(())
        })
        .unwrap();
    (linker, dropped)
}

fn with_things() -> (Box<Store>, Instance, Arc<AtomicU32>) {
    let engine = Engine::default();
    let (linker, dropped) = things(&engine);
    let component = Component::new(&engine, USES_RESOURCES.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    (store, instance, dropped)
}

#[test]
fn a_resource_goes_to_the_guest_and_back_and_is_dropped_once() {
    let (mut store, instance, dropped) = with_things();
    let store = &mut *store;
    let all = func(store, &instance, &["all"]);
    assert_eq!(call(store, &all, &[Val::from(5u32)]).unwrap(), [Val::from(5u32)]);
    assert_eq!(dropped.load(Ordering::Relaxed), 5);

    let keep = func(store, &instance, &["keep"]);
    let kept = call(store, &keep, &[Val::from(10u32)]).unwrap().remove(0);
    assert_eq!(dropped.load(Ordering::Relaxed), 5);
    let take = func(store, &instance, &["take"]);
    assert_eq!(call(store, &take, std::slice::from_ref(&kept)).unwrap(), [Val::from(10u32)]);
    assert_eq!(dropped.load(Ordering::Relaxed), 15);
    // It is the guest's by now, and gone.
    assert!(call(store, &take, &[kept]).unwrap_err().to_string().starts_with("unknown handle index"));
}

#[test]
fn the_host_drops_what_it_was_given_once() {
    let (mut store, instance, dropped) = with_things();
    let store = &mut *store;
    let keep = func(store, &instance, &["keep"]);
    let kept = call(store, &keep, &[Val::from(3u32)]).unwrap().remove(0);
    let ValRef::Resource(Some(any)) = kept.get() else { panic!("{kept:?}") };
    any.drop(store).unwrap();
    assert_eq!(dropped.load(Ordering::Relaxed), 3);
    assert_eq!(any.drop(store).unwrap_err().to_string(), "unknown handle index 1");
    let error = ResourceHost::from_any(any, store).unwrap_err();
    assert_eq!(error.to_string(), "host-owned resource was already de-allocated");
}

#[test]
fn a_guest_that_keeps_what_it_was_lent_is_stopped() {
    let (mut store, instance, _) = with_things();
    let store = &mut *store;
    let thing = ResourceHost { rep: 1, ty: 7, owned: true }.into_any(store).unwrap();
    let hold = func(store, &instance, &["hold"]);
    let error = call(store, &hold, &[Val::from(thing)]).unwrap_err();
    assert_eq!(error.to_string(), "borrow handles still remain at the end of the call");
    let error = call(store, &hold, &[]).unwrap_err();
    assert_eq!(error.to_string(), "expected 1 argument(s), got 0");
}

#[test]
fn a_handle_that_is_dropped_twice_stops_the_guest() {
    let (mut store, instance, dropped) = with_things();
    let store = &mut *store;
    let thing = ResourceHost { rep: 1, ty: 7, owned: true }.into_any(store).unwrap();
    let twice = func(store, &instance, &["drop-twice"]);
    let error = call(store, &twice, &[Val::from(thing)]).unwrap_err();
    assert!(error.to_string().contains("unknown handle index 1"), "{error}");
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    let error = call(store, &twice, &[]).unwrap_err();
    assert_eq!(error.to_string(), "expected 1 argument(s), got 0");
}

#[test]
fn resources_of_other_types_and_stores_are_refused() {
    let (mut store, instance, _) = with_things();
    let store = &mut *store;
    let take = func(store, &instance, &["take"]);
    let other = ResourceHost { rep: 1, ty: 8, owned: true }.into_any(store).unwrap();
    assert_eq!(call(store, &take, &[Val::from(other)]).unwrap_err().to_string(), "mismatched resource types");
    let mut elsewhere = Store::new(store.engine());
    let foreign = ResourceHost { rep: 1, ty: 7, owned: true }.into_any(&mut elsewhere).unwrap();
    let error = call(store, &take, &[Val::from(foreign)]).unwrap_err();
    assert_eq!(error.to_string(), "resource used with the wrong store");
}

#[test]
fn imports_that_are_missing_or_of_another_kind_are_named() {
    let engine = Engine::default();
    let component = Component::new(&engine, USES_RESOURCES.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let says = |linker: &Linker, store: &mut Store| linker.instantiate(store, &component).unwrap_err().to_string();
    let mut linker = Linker::new(&engine);
    let missing = "component imports instance `test:res/things@1.2.0`, but a matching implementation was not found";
    assert!(says(&linker, &mut store).starts_with(missing));
    linker.instance("test:res/things@2.0.0").unwrap();
    assert!(says(&linker, &mut store).starts_with(missing), "another major version is another interface");
    let mut things = linker.instance("test:res/things@1.3.0").unwrap();
    things.func("thing", |_, _, _, _| Ok(())).unwrap();
    assert!(says(&linker, &mut store).contains("instance export `thing` has the wrong type"));
    assert_eq!(
        linker.instance("test:res/things@1.3.0").unwrap().func("thing", |_, _, _, _| Ok(())).unwrap_err().to_string(),
        "map entry `thing` defined twice"
    );
    let other = Engine::default();
    let error = Linker::new(&other).instantiate(&mut store, &component).unwrap_err();
    assert_eq!(error.to_string(), "cross-`Engine` instantiation is not currently supported");
}

#[test]
fn unknown_imports_become_functions_that_fail() {
    let engine = Engine::default();
    let component = Component::new(&engine, USES_RESOURCES.as_bytes()).unwrap();
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&component).unwrap();
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let all = func(&mut store, &instance, &["all"]);
    let error = call(&mut store, &all, &[Val::from(1u32)]).unwrap_err();
    assert!(error.to_string().contains("unknown import: `test:res/things@1.2.0#make` has not been defined"), "{error}");
}

/// A component that calls the host, which may call the component.
const CALLS_BACK: &str = r#"(component
    (import "back" (func $back (param "n" u32) (result u32)))
    (core func $back' (canon lower (func $back)))
    (core module $m
        (import "" "back" (func $back (param i32) (result i32)))
        (func (export "go") (param i32) (result i32)
            (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0)) (else (call $back (local.get 0)))))
        (func (export "trap") unreachable))
    (core instance $i (instantiate $m (with "" (instance (export "back" (func $back'))))))
    (func (export "go") (param "n" u32) (result u32) (canon lift (core func $i "go")))
    (func (export "trap") (canon lift (core func $i "trap"))))"#;

#[test]
fn a_host_function_may_call_the_instance_that_called_it() {
    let engine = Engine::default();
    let component = Component::new(&engine, CALLS_BACK.as_bytes()).unwrap();
    let mut linker = Linker::new(&engine);
    let go: Arc<std::sync::Mutex<Option<Func>>> = Arc::default();
    let inner = go.clone();
    let back = move |store: &mut Store, _: &_, args: &mut [Val], results: &mut [Val]| {
        let ValRef::U32(n) = args[0].get() else { panic!("{args:?}") };
        let go = inner.lock().unwrap().expect("set before the call");
        let nested = call(store, &go, &[Val::from(n - 1)])?;
        let ValRef::U32(sum) = nested[0].get() else { panic!("{nested:?}") };
        results[0] = Val::from(sum + n);
        Ok(())
    };
    linker.root().func("back", back).unwrap();
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let function = func(&mut store, &instance, &["go"]);
    *go.lock().unwrap() = Some(function);
    assert_eq!(call(&mut store, &function, &[Val::from(10u32)]).unwrap(), [Val::from(55u32)]);
}

#[test]
fn after_a_trap_no_component_of_the_store_is_entered_and_others_still_are() {
    let engine = Engine::default();
    let component = Component::new(&engine, CALLS_BACK.as_bytes()).unwrap();
    let mut linker = Linker::new(&engine);
    linker.root().func("back", |_, _, _, _| Err(Error::host("the host is at fault"))).unwrap();
    for fails in ["trap", "go"] {
        let mut store = Store::new(&engine);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let args: &[Val] = if fails == "go" { &[Val::from(1u32)] } else { &[] };
        let failing = func(&mut store, &instance, &[fails]);
        call(&mut store, &failing, args).unwrap_err();
        // Instantiation works; entering doesn't.
        let again = linker.instantiate(&mut store, &component).unwrap();
        for instance in [instance, again] {
            let go = func(&mut store, &instance, &["go"]);
            let error = call(&mut store, &go, &[Val::from(0u32)]).unwrap_err();
            assert_eq!(error.to_string(), "wasm trap: cannot enter component instance");
        }
    }
}

#[test]
fn a_wrong_result_of_a_host_function_is_named() {
    let engine = Engine::default();
    let component = Component::new(&engine, CALLS_BACK.as_bytes()).unwrap();
    let mut linker = Linker::new(&engine);
    linker.root().func("back", |_, _, _, _| Ok(())).unwrap();
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let go = func(&mut store, &instance, &["go"]);
    let error = call(&mut store, &go, &[Val::from(1u32)]).unwrap_err();
    assert!(error.to_string().contains("type mismatch: expected u32, found bool"), "{error}");
}

#[test]
fn a_serialized_component_is_the_same_and_damage_is_reported() {
    let engine = Engine::default();
    let (linker, _) = things(&engine);
    let component = Component::new(&engine, USES_RESOURCES.as_bytes()).unwrap();
    let artifact = component.serialize().unwrap();
    let file = std::env::temp_dir().join(format!("ampoule-component-{}.artifact", std::process::id()));
    std::fs::write(&file, &artifact).unwrap();
    // SAFETY: the bytes were just written by the same library.
    let loaded = unsafe {
        [Component::deserialize(&engine, &artifact).unwrap(), Component::deserialize_file(&engine, &file).unwrap()]
    };
    for component in loaded {
        let mut store = Store::new(&engine);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let all = func(&mut store, &instance, &["all"]);
        assert_eq!(call(&mut store, &all, &[Val::from(5u32)]).unwrap(), [Val::from(5u32)]);
    }
    std::fs::remove_file(&file).unwrap();
    for at in [0, 8, 16, 24, 40, 100, artifact.len() - 1] {
        let mut broken = artifact.clone();
        broken[at] ^= 0x40;
        // SAFETY: what is checked doesn't let such code run.
        unsafe { Component::deserialize(&engine, &broken) }.unwrap_err();
    }
    for len in [0, 7, 31, 33, 200, artifact.len() - 1] {
        // SAFETY: as above.
        unsafe { Component::deserialize(&engine, &artifact[..len]) }.unwrap_err();
    }
}

/// Whoever keeps artifacts by what is in them finds them again. Each of the modules has several of all that has a name.
#[test]
fn what_is_compiled_again_gives_the_same_bytes() {
    let several = |what: &dyn Fn(usize) -> String| (0..12).map(what).collect::<String>();
    let module = format!(
        r#"(core module $m {} {} (memory (export "memory") 1) {} {})"#,
        several(&|k| format!("(type $t{k} (func (param {}) (result i32)))", "i32 ".repeat(k))),
        several(&|k| format!(r#"(import "host" "i{k}" (func $i{k} (type $t{k})))"#)),
        several(&|k| format!(r#"(global (export "g{k}") (mut i32) (i32.const {k}))"#)),
        several(&|k| format!(r#"(func (export "f{k}") (type $t{k}) (i32.load offset={k} (global.get {k})))"#)),
    );
    let lifted = several(&|k| format!(r#"(export "name{k}" (type $r{k})) "#));
    let text = format!("(component {module} {} {lifted})", several(&|k| format!("(type $r{k} (resource (rep i32)))")));
    let serialized = || {
        let mut config = ampoule::Config::new();
        config.strategy(ampoule::Strategy::Eager);
        Component::new(&Engine::new(&config).unwrap(), text.as_bytes()).unwrap().serialize().unwrap()
    };
    let first = serialized();
    assert!((0..8).all(|_| serialized() == first));
}

#[test]
fn exports_are_found_by_path_by_place_and_by_version() {
    let engine = Engine::default();
    let text = r#"(component
        (component $inner
            (core module $m (func (export "f") (result i32) (i32.const 3)))
            (core instance $i (instantiate $m))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))
        (instance $i (instantiate $inner))
        (export "a:b/c@0.2.6" (instance $i)))"#;
    let component = Component::new(&engine, text.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    let by_path = func(&mut store, &instance, &["a:b/c@0.2.6", "f"]);
    assert!(instance.get_func(&mut store, &["f"]).unwrap().is_none());
    assert!(instance.get_func(&mut store, &["a:b/c@0.2.6"]).unwrap().is_none());
    let outer = component.get_export_index(None, "a:b/c@0.2.0").expect("of the same track");
    let place = component.get_export_index(Some(&outer), "f").unwrap();
    assert!(component.get_export_index(None, "a:b/c@0.3.0").is_none());
    assert!(component.get_export_index(Some(&place), "f").is_none(), "a function has no exports");
    assert_eq!(instance.get_func_at(&mut store, &place).unwrap(), Some(by_path));
    let other = Component::new(&engine, text.as_bytes()).unwrap();
    let foreign = other.get_export_index(Some(&other.get_export_index(None, "a:b/c@0.2.6").unwrap()), "f").unwrap();
    assert!(instance.get_func_at(&mut store, &foreign).unwrap().is_none());
    assert_eq!(call(&mut store, &by_path, &[]).unwrap(), [Val::from(3u32)]);
}

#[test]
fn components_that_multiply_end_at_a_limit() {
    // Each level instantiates the one below twice: 2³⁰ instances of a few hundred bytes.
    let mut text = "(component $c0)".to_string();
    for level in 1..=30 {
        let below = level - 1;
        text = format!(
            "(component $c{level} {text} (instance (instantiate $c{below})) (instance (instantiate $c{below})))"
        );
    }
    let engine = Engine::default();
    let component = Component::new(&engine, text.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let error = Linker::new(&engine).instantiate(&mut store, &component).unwrap_err();
    assert_eq!(error.to_string(), "resource limit exceeded: component instance count too high at 10001");
}

#[test]
fn thousands_of_unknown_imports_are_defined_in_one_pass() {
    let imports: String =
        (0..4_000).map(|index| format!("(import \"a:b/i{index}@0.2.{index}\" (instance))\n")).collect();
    let engine = Engine::default();
    let component = Component::new(&engine, format!("(component {imports})").as_bytes()).unwrap();
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&component).unwrap();
    linker.instantiate(&mut Store::new(&engine), &component).unwrap();
}

#[test]
fn types_that_share_parts_cost_what_they_are_written_in() {
    // Each type has the one before twice; written out the last one has 2¹² parts, and there are ten functions of it.
    let mut types = "(type $t0 (tuple u8 u8))".to_string();
    for level in 1..=11 {
        let below = level - 1;
        types.push_str(&format!("(type $t{level} (tuple $t{below} $t{below}))"));
    }
    let funcs: String =
        (0..10).map(|index| format!("(import \"f{index}\" (func (param \"x\" $t11) (result $t11)))\n")).collect();
    let engine = Engine::default();
    Component::new(&engine, format!("(component {types} {funcs})").as_bytes()).unwrap();
}

/// A component whose function passes bytes to the host's, and gives what that answers.
const PASSES_BYTES: &str = r#"(component
    (import "reverse" (func $reverse (param "bytes" (list u8)) (result (list u8))))
    (core module $libc
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 64))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $next)
            (global.set $next (i32.add (global.get $next) (local.get 3)))))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))
    (core func $reverse (canon lower (func $reverse) (memory $memory) (realloc $realloc)))
    (core module $m
        (import "" "reverse" (func $reverse (param i32 i32 i32)))
        (func (export "f") (param i32 i32) (result i32)
            (call $reverse (local.get 0) (local.get 1) (i32.const 0)) (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance (export "reverse" (func $reverse))))))
    (func (export "f") (param "bytes" (list u8)) (result (list u8))
        (canon lift (core func $i "f") (memory $memory) (realloc $realloc))))"#;

#[test]
fn bytes_are_one_block_for_functions_that_want_them_so() {
    let engine = Engine::default();
    let component = Component::new(&engine, PASSES_BYTES.as_bytes()).unwrap();
    let mut linker = Linker::new(&engine);
    let reverse = |_: &mut Store, _: &_, args: &mut [Val], results: &mut [Val]| {
        let mut bytes = args[0].take_string().expect("one block").take();
        bytes.reverse();
        results[0] = Val::bytes(bytes);
        Ok(())
    };
    linker.root().func_of_bytes("reverse", reverse).unwrap();
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let f = func(&mut store, &instance, &["f"]);
    let list = |bytes: &[u8]| Val::list(bytes.iter().map(|&byte| Val::from(byte)).collect::<Vec<_>>());
    assert_eq!(call(&mut store, &f, &[list(&[1, 2, 255])]).unwrap(), [list(&[255, 2, 1])]);
    assert_eq!(call(&mut store, &f, &[list(&[])]).unwrap(), [list(&[])]);

    // Others get lists, and a string is none.
    let mut linker = Linker::new(&engine);
    let answer = |_: &mut Store, _: &_, args: &mut [Val], results: &mut [Val]| {
        assert!(matches!(args[0].get(), ValRef::List(_)));
        results[0] = Val::from("abc");
        Ok(())
    };
    linker.root().func("reverse", answer).unwrap();
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let f = func(&mut store, &instance, &["f"]);
    let error = call(&mut store, &f, &[list(&[1])]).unwrap_err().to_string();
    assert!(error.contains("type mismatch: expected list, found string"), "{error}");
}

#[test]
fn a_resource_that_an_interface_only_uses_need_not_be_defined_there() {
    let component = |type_of: &str| {
        format!(
            r#"(component
                (import "a:b/owner" (instance $owner (export "thing" (type (sub resource)))))
                (alias export $owner "thing" (type $thing))
                (import "a:b/user" (instance $user
                    (alias outer 1 $thing (type $thing'))
                    (export "thing" (type $used {type_of}))
                    (export "give" (func (result (own $used))))))
                (alias export $user "thing" (type $same))
                (core func $give (canon lower (func $user "give")))
                (core func $drop (canon resource.drop $same))
                (core module $m
                    (import "" "give" (func $give (result i32)))
                    (import "" "drop" (func $drop (param i32)))
                    (func (export "f") (call $drop (call $give))))
                (core instance $i (instantiate $m
                    (with "" (instance (export "give" (func $give)) (export "drop" (func $drop))))))
                (func (export "f") (canon lift (core func $i "f"))))"#
        )
    };
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    let dropped = Arc::new(AtomicU32::new(0));
    let count = dropped.clone();
    let dtor = move |_: &mut Store, rep| {
        count.fetch_add(rep, Ordering::Relaxed);
        Ok(())
    };
    linker.instance("a:b/owner").unwrap().resource("thing", 3, dtor).unwrap();
    let give = |store: &mut Store, _: &_, _: &mut [Val], results: &mut [Val]| {
        results[0] = ResourceHost { rep: 9, ty: 3, owned: true }.into_any(store)?.into();
        Ok(())
    };
    linker.instance("a:b/user").unwrap().func("give", give).unwrap();
    let mut store = Store::new(&engine);
    let same = Component::new(&engine, component("(eq $thing')").as_bytes()).unwrap();
    let instance = linker.instantiate(&mut store, &same).unwrap();
    let f = func(&mut store, &instance, &["f"]);
    call(&mut store, &f, &[]).unwrap();
    assert_eq!(dropped.load(Ordering::Relaxed), 9);

    let own = Component::new(&engine, component("(sub resource)").as_bytes()).unwrap();
    let error = linker.instantiate(&mut store, &own).unwrap_err().to_string();
    assert!(
        error.contains("instance export `thing` has the wrong type: resource implementation is missing"),
        "{error}"
    );
}

#[test]
fn what_is_replaced_between_two_instances_of_a_component_is_replaced_for_the_second() {
    const CALLS: &str = r#"(component
        (import "one" (func $one (result u32)))
        (import "i" (instance $i (export "two" (func (result u32)))))
        (core func $one (canon lower (func $one)))
        (core func $two (canon lower (func $i "two")))
        (core module $m
            (import "" "one" (func $one (result i32)))
            (import "" "two" (func $two (result i32)))
            (func (export "sum") (result i32) (i32.add (call $one) (call $two))))
        (core instance $c (instantiate $m (with "" (instance (export "one" (func $one)) (export "two" (func $two))))))
        (func (export "sum") (result u32) (canon lift (core func $c "sum"))))"#;
    let engine = Engine::default();
    let component = Component::new(&engine, CALLS.as_bytes()).unwrap();
    let mut linker = Linker::new(&engine);
    linker.allow_shadowing(true);
    let answers = |answer: u32| {
        move |_: &mut Store, _: &FuncType, _: &mut [Val], results: &mut [Val]| {
            results[0] = Val::from(answer);
            Ok(())
        }
    };
    let sum = |linker: &Linker| {
        let mut store = Store::new(&engine);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let sum = func(&mut store, &instance, &["sum"]);
        call(&mut store, &sum, &[]).unwrap().remove(0)
    };
    linker.define_unknown_imports_as_traps(&component).unwrap();
    linker.instantiate(&mut Store::new(&engine), &component).unwrap();
    linker.root().func("one", answers(1)).unwrap();
    linker.root().instance("i").unwrap().func("two", answers(10)).unwrap();
    assert_eq!(sum(&linker), Val::from(11u32));
    assert_eq!(sum(&linker), Val::from(11u32));
    // What was found before stays.
    let pre = linker.instantiate_pre(&component).unwrap();
    linker.root().func("one", answers(2)).unwrap();
    let mut store = Store::new(&engine);
    let instance = pre.instantiate(&mut store).unwrap();
    let of_pre = func(&mut store, &instance, &["sum"]);
    assert_eq!(call(&mut store, &of_pre, &[]).unwrap(), [Val::from(11u32)]);
    assert!(pre.instantiate(&mut Store::new(&Engine::default())).is_err());
    assert_eq!(sum(&linker), Val::from(12u32));
    let mut copy = linker.clone();
    copy.instance("i").unwrap().func("two", answers(20)).unwrap();
    assert_eq!((sum(&copy), sum(&linker)), (Val::from(22u32), Val::from(12u32)));
    linker.at(&["i".into()]).unwrap().func("two", answers(30)).unwrap();
    assert_eq!(sum(&linker), Val::from(32u32));
    // An instance without items takes the place of the one that had them.
    linker.root().instance("i").unwrap();
    let error = linker.instantiate(&mut Store::new(&engine), &component).unwrap_err();
    assert!(error.to_string().contains("component imports instance `i`"), "{error}");
}

#[test]
fn a_destructor_that_traps_fails_the_drop_and_ends_the_components_of_the_store() {
    let text = r#"(component
        (core module $d (func (export "dtor") (param i32) unreachable))
        (core instance $d (instantiate $d))
        (type $t' (resource (rep i32) (dtor (core func $d "dtor"))))
        (core func $new (canon resource.new $t'))
        (core module $m
            (import "" "new" (func $new (param i32) (result i32)))
            (func (export "make") (result i32) (call $new (i32.const 1)))
            (func (export "ok")))
        (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
        (export $t "t" (type $t'))
        (func (export "make") (result (own $t)) (canon lift (core func $i "make")))
        (func (export "ok") (canon lift (core func $i "ok"))))"#;
    let engine = Engine::default();
    let component = Component::new(&engine, text.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    let [make, ok] = ["make", "ok"].map(|name| func(&mut store, &instance, &[name]));
    let made = call(&mut store, &make, &[]).unwrap().remove(0);
    let ValRef::Resource(Some(any)) = made.get() else { panic!("{made:?}") };
    call(&mut store, &ok, &[]).unwrap();
    assert!(any.drop(&mut store).unwrap_err().to_string().contains("unreachable"));
    let error = call(&mut store, &ok, &[]).unwrap_err();
    assert_eq!(error.to_string(), "wasm trap: cannot enter component instance");
}

/// What is said of imports and exports beside their types: whoever reflects sees it, and types fit without.
#[test]
fn attributes_of_names_are_reflected_and_ignored_by_types() {
    let features = Features { component_model_canonical_names: true, ..Features::default() };
    let engine = Engine::new(&Config { features, ..Config::default() }).unwrap();
    let text = r#"(component
        (import "store" (implements "a:kv/store@1.0.2") (external-id "main") (instance $store
            (export "f" (external-id "the f") (func (result u32)))))
        (import "a:b/c@0.2" (version-suffix ".1") (instance $c (export "f" (func (result u32)))))
        (core func $lowered (canon lower (func $c "f")))
        (core module $m (import "" "f" (func $f (result i32))) (func (export "f") (result i32) (call $f)))
        (core instance $i (instantiate $m (with "" (instance (export "f" (func $lowered))))))
        (func (export "f") (result u32) (canon lift (core func $i "f")))
        (export "s" (implements "a:kv/store@1") (version-suffix ".2.0") (instance $store))
        (export "a:b/d@1" (version-suffix ".4.5") (instance $c)))"#;
    let component = Component::new(&engine, text.as_bytes()).unwrap();
    let ty = component.ty();
    let store = ty.import_attributes("store").unwrap();
    assert_eq!(
        (store.implements(), store.external_id(), store.version_suffix()),
        (Some("a:kv/store@1.0.2"), Some("main"), None)
    );
    let ItemType::Instance(instance) = &ty.imports()["store"] else { panic!("not an instance") };
    assert_eq!(instance.export_attributes("f").unwrap().external_id(), Some("the f"));
    assert_eq!(ty.import_attributes("a:b/c@0.2").unwrap().version_suffix(), Some(".1"));
    assert_eq!(ty.export_attributes("s").unwrap().implements(), Some("a:kv/store@1.2.0"));
    assert!(ty.import_attributes("f").is_none() && ty.export_attributes("store").is_none());

    // By its whole version, though another of the track is newer.
    let mut linker = Linker::new(&engine);
    for (name, answer) in [("store", 1u32), ("a:b/c@0.2.1", 2), ("a:b/c@0.2.7", 3)] {
        linker
            .instance(name)
            .unwrap()
            .func("f", move |_, _, _, results| {
                results[0] = Val::from(answer);
                Ok(())
            })
            .unwrap();
    }
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let f = func(&mut store, &instance, &["f"]);
    assert_eq!(call(&mut store, &f, &[]).unwrap(), [Val::from(2u32)]);
    let found = |name: &str| component.get_export_index(None, name).is_some();
    assert!(found("a:b/d@1") && found("a:b/d@1.9.0") && !found("a:b/d@2.0.0"));
}
