//! Exceptions as objects of the store's heap: kept by whatever refers to them, collected with the rest.

use super::{World, config};
use ampoule::{Config, Engine, ExnRef, Extern, ExternRef, Func, Instance, Module, Store, Tag, Val};
use ampoule_core::types::{FuncType, TagType, ValType};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// With types of objects, and, where asked for, a collection at every allocation.
fn with_objects(gc_stress: bool) -> Config {
    let mut config = Config { gc_stress, ..config() };
    (config.features.function_references, config.features.gc) = (true, true);
    config
}

/// `keep` throws and catches so many times, and keeps each exception in one of 1,000 elements of an array, in a struct, in a table and in a
/// global; `sum` reads what is kept.
const KEEPER: &str = r#"(module
  (tag $t (param i32))
  (type $ring (array (mut exnref)))
  (type $box (struct (field (mut exnref))))
  (global $ring (ref $ring) (array.new_default $ring (i32.const 1000)))
  (global $box (ref $box) (struct.new_default $box))
  (global $last (mut exnref) (ref.null exn))
  (table $table 1000 exnref)
  (func $throw (param i32) (param $deep i32)
    (if (local.get $deep) (then (call $throw (local.get 0) (i32.const 0))))
    (throw $t (local.get 0)))
  (func (export "keep") (param $count i32) (result i32)
    (local $exn exnref) (local $value i32) (local $place i32)
    (loop $again
      (block $h (result i32 exnref)
        (try_table (catch_ref $t $h) (call $throw (local.get $count) (i32.const 1)))
        unreachable)
      (local.set $exn)
      (local.set $value)
      (local.set $place (i32.rem_u (local.get $value) (i32.const 1000)))
      (array.set $ring (global.get $ring) (local.get $place) (local.get $exn))
      (table.set $table (local.get $place) (local.get $exn))
      (struct.set $box 0 (global.get $box) (local.get $exn))
      (global.set $last (local.get $exn))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (local.get $value))
  (func $field (param exnref) (result i32)
    (block $h (result i32) (try_table (catch $t $h) (throw_ref (local.get 0))) unreachable))
  (func (export "sum") (param $place i32) (result i32)
    (call $field (array.get $ring (global.get $ring) (local.get $place)))
    (call $field (table.get $table (local.get $place)))
    (call $field (struct.get $box 0 (global.get $box)))
    (call $field (global.get $last))
    i32.add i32.add i32.add))"#;

#[test]
fn ten_million_exceptions_of_which_a_thousand_live_take_no_more_than_a_few() {
    for (stress, count) in [(false, 10_000_000), (true, 2500)] {
        let mut world = World::new(&with_objects(stress), KEEPER);
        world.store.limits_mut().memory_size = Some(4 << 20);
        assert_eq!(world.call("keep", count).unwrap(), 1);
        // The last ones: 1000 and below.
        for place in [0, 1, 999] {
            assert_eq!(world.call("sum", place).unwrap(), 2 * if place == 0 { 1000 } else { place } + 2);
        }
        let size = world.store.statistics().gc_heap_bytes;
        assert!(size <= 4 << 20, "{size}");
        world.store.gc();
        assert_eq!(world.call("sum", 7).unwrap(), 16);
    }
}

#[test]
fn a_throw_without_room_for_the_exception_stops_the_guest_and_the_store_goes_on() {
    // Each has the one before it for a field, and half a KiB of others.
    let (types, values, drops) = ("v128 ".repeat(32), "(v128.const i64x2 0 0)".repeat(32), "drop ".repeat(32));
    let wat = format!(
        r#"(module
      (tag $t (param exnref {types}))
      (global $chain (mut exnref) (ref.null exn))
      (func $throw (throw $t (global.get $chain) {values}))
      (func (export "run") (param i32) (result i32)
        (loop $again
          (block $h (result exnref {types} exnref)
            ;; No room is no exception: nothing catches it.
            (block $all
              (try_table (catch_ref $t $h) (catch_all $all) (call $throw))
              unreachable)
            (return (i32.const -1)))
          (global.set $chain)
          {drops} drop
          (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (i32.const 0))
      (func (export "drop") (param i32) (result i32) (global.set $chain (ref.null exn)) (i32.const 0)))"#
    );
    for stress in [false, true] {
        let mut world = World::new(&Config { gc_stress: stress, ..config() }, &wat);
        world.store.limits_mut().memory_size = Some(if stress { 128 << 10 } else { 2 << 20 });
        for _ in 0..2 {
            let error = world.call("run", 100_000_000).unwrap_err();
            let expected = "GC heap out of memory: no capacity for allocation of 528 bytes";
            assert_eq!(error.to_string(), expected);
            assert!(!world.store.has_exception() && error.backtrace().is_some());
            world.call("drop", 0).unwrap();
            assert_eq!(world.call("run", 100).unwrap(), 0);
            world.call("drop", 0).unwrap();
        }
    }
}

#[test]
fn a_limiter_that_allows_nothing_refuses_the_first_exception() {
    let wat = r#"(module (tag $t) (func (export "run") (param i32) (result i32) (throw $t)))"#;
    let mut world = World::new(&config(), wat);
    world.store.limits_mut().memory_size = Some(0);
    let error = world.call("run", 0).unwrap_err();
    assert!(error.to_string().starts_with("GC heap out of memory"), "{error}");
    let tag = Tag::new(&mut world.store, &TagType { func: FuncType::new([], []) }).unwrap();
    assert!(ExnRef::new(&mut world.store, tag, &[]).is_err());
    world.store.limits_mut().memory_size = None;
    assert!(world.call("run", 0).is_err() && world.store.has_exception());
}

#[test]
fn fields_of_every_type_survive_every_collection() {
    let wat = r#"(module
      (import "" "new" (func $new (param i32) (result externref)))
      (import "" "number" (func $number (param externref) (result i32)))
      (type $box (struct (field i32)))
      (type $list (array exnref))
      (type $get (func (result i32)))
      (tag $inner (param i32))
      (tag $t (param i32 i64 f32 f64 v128 funcref externref i31ref (ref null $box) anyref exnref (ref $list) (ref $get) externref))
      (global $kept (mut exnref) (ref.null exn))
      (elem declare func $seven)
      (func $seven (type $get) (i32.const 7))
      (func $exn (param i32) (result exnref) (local $e exnref)
        (block $h (result i32 exnref) (try_table (catch_ref $inner $h) (throw $inner (local.get 0))) unreachable)
        (local.set $e) drop (local.get $e))
      (func $of (param exnref) (result i32)
        (block $h (result i32) (try_table (catch $inner $h) (throw_ref (local.get 0))) unreachable))
      (func $throw (param $deep i32)
        (if (local.get $deep) (then (call $throw (i32.sub (local.get $deep) (i32.const 1)))))
        i32.const 1  i64.const 2  f32.const 3  f64.const 4  v128.const i64x2 5 6  ref.func $seven
        (call $new (i32.const 8))
        (ref.i31 (i32.const 9))
        (struct.new $box (i32.const 10))
        (struct.new $box (i32.const 11))
        (call $exn (i32.const 12))
        (array.new_fixed $list 2 (ref.null exn) (call $exn (i32.const 13)))
        ref.func $seven
        (extern.convert_any (struct.new $box (i32.const 14)))
        throw $t)
      (func $keep (local $e exnref)
        (block $h (result i32 i64 f32 f64 v128 funcref externref i31ref (ref null $box) anyref exnref (ref $list) (ref $get) externref exnref)
          (try_table (catch_ref $t $h) (call $throw (i32.const 3)))
          unreachable)
        (global.set $kept)
        drop drop drop drop drop drop drop drop drop drop drop drop drop drop)
      (func (export "run") (param $rounds i32) (result i32)
        (local $sum i64) (local $get (ref null $get)) (local $list (ref null $list))
        (call $keep)
        (loop $again
          (drop (struct.new $box (i32.const 0)))
          (drop (call $exn (i32.const 0)))
          (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
        (block $h (result i32 i64 f32 f64 v128 funcref externref i31ref (ref null $box) anyref exnref (ref $list) (ref $get) externref)
          (try_table (catch $t $h) (throw_ref (global.get $kept)))
          unreachable)
        ;; From the last on.
        any.convert_extern (ref.cast (ref $box)) (struct.get $box 0) ADD
        (local.set $get) (call_ref $get (local.get $get)) ADD
        (local.set $list) (call $of (array.get $list (local.get $list) (i32.const 1))) ADD
        call $of ADD
        (ref.cast (ref $box)) (struct.get $box 0) ADD
        (struct.get $box 0) ADD
        i31.get_u ADD
        call $number ADD
        (ref.cast (ref $get)) (call_ref $get) ADD
        (i64x2.mul (v128.const i64x2 100 100)) (i64x2.extract_lane 0) i32.wrap_i64 ADD
        i32.trunc_f64_u ADD
        i32.trunc_f32_u ADD
        i32.wrap_i64 ADD
        ADD
        (i32.wrap_i64 (local.get $sum))))"#
        .replace("ADD", "i64.extend_i32_u local.get $sum i64.add local.set $sum");
    let host = |store: &mut Store| {
        let new = Func::wrap(store, |mut caller: ampoule::Caller<'_>, number: i32| {
            Some(ExternRef::new(caller.store(), Box::new(number)).unwrap())
        });
        let number = Func::wrap(store, |mut caller: ampoule::Caller<'_>, value: Option<ExternRef>| {
            *value.expect("not null").data(caller.store()).unwrap().unwrap().downcast_ref::<i32>().unwrap()
        });
        vec![Extern::Func(new.unwrap()), Extern::Func(number.unwrap())]
    };
    // Fields 14, 7, 13, 12, 11, 10, 9, 8, 7, 5 × 100, 4, 3, 2, 1.
    let sum = 14 + 7 + 13 + 12 + 11 + 10 + 9 + 8 + 7 + 500 + 4 + 3 + 2 + 1;
    for (stress, rounds) in [(true, 50), (false, 200_000)] {
        let mut world = World::with(&with_objects(stress), &wat, host);
        for _ in 0..3 {
            assert_eq!(world.call("run", rounds).unwrap(), sum);
            world.store.gc();
        }
    }
}

/// A function of the host that is done when it is polled a second time.
fn wait(store: &mut Store) -> Func {
    Func::wrap_async(store, |()| {
        let mut polled = false;
        std::future::poll_fn(move |context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
        })
    })
    .unwrap()
}

#[test]
fn a_suspended_guest_keeps_the_exception_that_nobody_else_has() {
    let wat = r#"(module
      (import "" "wait" (func $wait))
      (tag $t (param i32 externref))
      (func (export "run") (param externref) (result i32 externref) (local $e exnref)
        (block $h (result i32 externref exnref)
          (try_table (catch_ref $t $h) (throw $t (i32.const 5) (local.get 0)))
          unreachable)
        (local.set $e) drop drop
        (local.set 0 (ref.null extern))
        (call $wait)
        (block $h (result i32 externref) (try_table (catch $t $h) (throw_ref (local.get $e))) unreachable)))"#;
    for stress in [false, true] {
        let engine = Engine::new(&with_objects(stress)).unwrap();
        let module = Module::new(&engine, wat.as_bytes()).unwrap();
        let mut store = Store::new(&engine);
        let wait = wait(&mut store);
        let mut context = Context::from_waker(Waker::noop());
        let made = pin!(Instance::new_async(&mut store, &module, &[Extern::Func(wait)])).poll(&mut context);
        let Poll::Ready(Ok(instance)) = made else { panic!("nothing waits") };
        let run = instance.get_func(&store, "run").unwrap();
        let run = run.typed::<Option<ExternRef>, (i32, Option<ExternRef>)>(&store).unwrap();
        let alive = Arc::new(());
        let value = ExternRef::new(&mut store, Box::new(alive.clone())).unwrap();
        let store: *mut Store = &mut *store;
        {
            // SAFETY: the future uses the store only while it is polled.
            let mut call = pin!(run.call_async(unsafe { &mut *store }, Some(value)));
            assert!(call.as_mut().poll(&mut context).is_pending());
            // SAFETY: as above; the guest is suspended.
            let store = unsafe { &mut *store };
            let tag = Tag::new(store, &TagType { func: FuncType::new([ValType::I64], []) }).unwrap();
            for other in 0..20 {
                ExnRef::new(store, tag, &[Val::I64(other)]).unwrap();
                store.gc();
            }
            assert_eq!(Arc::strong_count(&alive), 2, "its field lives");
            let Poll::Ready(Ok((number, kept))) = call.poll(&mut context) else { panic!("the guest goes on") };
            assert_eq!(number, 5);
            assert!(kept.unwrap().data(store).unwrap().unwrap().is::<Arc<()>>());
        }
        // SAFETY: as above; the call is over.
        unsafe { &mut *store }.gc();
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}

#[test]
fn an_exception_that_is_pending_moves_and_stays_what_it_is() {
    let mut store = Store::new(&Engine::new(&with_objects(false)).unwrap());
    let tag = Tag::new(&mut store, &TagType { func: FuncType::new([ValType::I32, ValType::EXNREF], []) }).unwrap();
    let inner = ExnRef::new(&mut store, tag, &[Val::I32(1), Val::ExnRef(None)]).unwrap();
    let exn = ExnRef::new(&mut store, tag, &[Val::I32(2), Val::ExnRef(Some(inner))]).unwrap();
    let before = exn.to_raw(&store).unwrap();
    store.throw(exn).unwrap();
    for other in 0..10 {
        ExnRef::new(&mut store, tag, &[Val::I32(other), Val::ExnRef(None)]).unwrap();
        store.gc();
    }
    let exn = store.take_exception().unwrap();
    assert_ne!(exn.to_raw(&store).unwrap(), before, "a young object has moved");
    let fields = exn.fields(&mut store).unwrap();
    let Val::ExnRef(Some(inner)) = &fields[1] else { panic!("an exception") };
    assert_eq!((&fields[0], inner.field(&mut store, 0).unwrap()), (&Val::I32(2), Val::I32(1)));
    // Other references are no exceptions, whatever C says.
    let value = ExternRef::new(&mut store, Box::new(1)).unwrap();
    let raw = value.to_lasting_raw(&mut store).unwrap();
    assert!(ExnRef::from_raw(&mut store, raw).is_none() && ExnRef::from_raw(&mut store, 77).is_none());
    let raw = exn.to_lasting_raw(&mut store).unwrap();
    assert!(ExternRef::from_raw(&mut store, raw).is_none());
}

#[test]
fn tags_alone_need_no_heap() {
    let mut without = config();
    without.features.gc_types = false;
    let wat = r#"(module (tag $t (param i32)) (export "t" (tag $t))
      (func (export "run") (param i32) (result i32) (local.get 0)))"#;
    let mut world = World::new(&without, wat);
    assert_eq!(world.call("run", 3).unwrap(), 3);
    let tag = world.instance.get_tag(&world.store, "t").unwrap();
    let refused = ExnRef::new(&mut world.store, tag, &[Val::I32(1)]).unwrap_err();
    assert_eq!(refused.to_string(), "cannot allocate a GC store when GC is disabled at configuration time");
}
