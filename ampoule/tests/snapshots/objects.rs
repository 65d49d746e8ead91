//! Objects of the heap in snapshots: structs, arrays, exceptions, and values of the host. Each test runs plainly, and where every allocation
//! collects and looks through the heap for damage.

use super::{Guest, World, config_with_tags};
use ampoule::snapshot::HostReferences;
use ampoule::{Engine, Error, ExternRef, Instance, Linker, Module, Snapshot, Store, Val};
use std::any::Any;
use std::sync::Arc;

/// Has a list, a graph with a circle, arrays of each kind, functions in objects, and a pending exception of its own.
const GUEST: &str = r#"(module
    (type $cell (struct (field $value (mut i32)) (field $next (mut (ref null $cell)))))
    (type $func (func (result i32)))
    (type $big (sub (struct (field $byte (mut i8)) (field $func (mut (ref null $func))) (field $any (mut anyref))
        (field $long (mut i64)))))
    (type $bigger (sub $big (struct (field $byte (mut i8)) (field $func (mut (ref null $func))) (field $any (mut anyref))
        (field $long (mut i64)) (field $extern (mut externref)))))
    (type $bytes (array (mut i8)))
    (type $refs (array (mut anyref)))
    (type $funcs (array (mut (ref null $func))))
    (import "host" "seven" (func $seven (type $func)))
    (tag $tag (param i32 anyref))
    (global $list (mut (ref null $cell)) (ref.null $cell))
    (global $any (mut anyref) (ref.null any))
    (global $extern (export "extern") (mut externref) (ref.null extern))
    (global $exn (mut exnref) (ref.null exn))
    (table $table (export "table") 3 anyref)
    (table $externs (export "externs") 2 externref)
    (elem $made anyref (item (struct.new $cell (i32.const 77) (ref.null $cell))))
    (elem declare func $one $seven)
    (func $one (type $func) i32.const 1)
    (func (export "push") (param i32)
        (global.set $list (struct.new $cell (local.get 0) (global.get $list))))
    (func (export "sum") (result i32) (local $at (ref null $cell)) (local $sum i32)
        (local.set $at (global.get $list))
        (block $end (loop $next
            (br_if $end (ref.is_null (local.get $at)))
            (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3)) (struct.get $cell $value (local.get $at))))
            (local.set $at (struct.get $cell $next (local.get $at)))
            (br $next)))
        (local.get $sum))
    (func (export "build") (local $big (ref $bigger))
        (local.set $big (struct.new $bigger (i32.const 200) (ref.func $one) (ref.null any) (i64.const 1234567890123)
            (global.get $extern)))
        ;; A circle.
        (struct.set $bigger $any (local.get $big) (local.get $big))
        (global.set $any (local.get $big))
        (table.set $table (i32.const 0) (ref.i31 (i32.const -5)))
        (table.set $table (i32.const 1) (array.new_fixed $refs 4 (local.get $big) (global.get $list)
            (array.new_fixed $bytes 3 (i32.const 7) (i32.const 8) (i32.const 9))
            (array.new_fixed $funcs 3 (ref.func $one) (ref.null $func) (ref.func $seven))))
        (table.set $table (i32.const 2) (array.new $bytes (i32.const 6) (i32.const 100000)))
        (global.set $exn (block $caught (result exnref)
            (try_table (catch_all_ref $caught) (throw $tag (i32.const 31) (local.get $big)))
            unreachable)))
    (func $big (result (ref $bigger)) (ref.cast (ref $bigger) (global.get $any)))
    (func $refs (param i32) (result anyref)
        (array.get $refs (ref.cast (ref $refs) (table.get $table (i32.const 1))) (local.get 0)))
    (func (export "tell") (result i64) (local $sum i64) (local $i i32) (local $any anyref)
        ;; The circle, and who is who.
        (if (i32.eqz (ref.eq (ref.cast eqref (global.get $any)) (ref.cast eqref (struct.get $bigger $any (call $big)))))
            (then unreachable))
        (if (i32.eqz (ref.eq (ref.cast eqref (global.get $any)) (ref.cast eqref (call $refs (i32.const 0)))))
            (then unreachable))
        (if (i32.eqz (ref.eq (global.get $list) (ref.cast eqref (call $refs (i32.const 1))))) (then unreachable))
        (local.set $sum (i64.extend_i32_u (struct.get_u $bigger $byte (call $big))))
        (local.set $sum (i64.add (local.get $sum) (struct.get $bigger $long (call $big))))
        (local.set $sum (i64.add (local.get $sum)
            (i64.extend_i32_s (call_ref $func (struct.get $bigger $func (call $big))))))
        (local.set $sum (i64.add (local.get $sum)
            (i64.extend_i32_s (i31.get_s (ref.cast i31ref (table.get $table (i32.const 0)))))))
        (local.set $sum (i64.add (local.get $sum)
            (i64.extend_i32_u (array.get_u $bytes (ref.cast (ref $bytes) (call $refs (i32.const 2))) (i32.const 2)))))
        (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_s (call_ref $func
            (array.get $funcs (ref.cast (ref $funcs) (call $refs (i32.const 3))) (i32.const 2))))))
        (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (array.get_u $bytes
            (ref.cast (ref $bytes) (table.get $table (i32.const 2))) (i32.const 99999)))))
        (block $caught (result i32 anyref)
            (try_table (catch $tag $caught) (throw_ref (global.get $exn)))
            unreachable)
        (local.set $any)
        (local.set $i)
        (if (i32.eqz (ref.eq (ref.cast eqref (local.get $any)) (call $big))) (then unreachable))
        (i64.add (local.get $sum) (i64.extend_i32_u (local.get $i))))
    (func (export "spoil")
        (struct.set $bigger $byte (call $big) (i32.const 1))
        (struct.set $bigger $func (call $big) (ref.null $func))
        (array.set $bytes (ref.cast (ref $bytes) (table.get $table (i32.const 2))) (i32.const 99999) (i32.const 9))
        (array.set $refs (ref.cast (ref $refs) (table.get $table (i32.const 1))) (i32.const 1) (ref.null any))
        (global.set $list (ref.null $cell)))
    (func (export "litter") (param i32)
        (loop $again
            (drop (array.new $bytes (i32.const 1) (i32.const 500)))
            (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
    (func (export "made") (result i32)
        (table.init $table $made (i32.const 0) (i32.const 0) (i32.const 1))
        (struct.get $cell $value (ref.cast (ref $cell) (table.get $table (i32.const 0)))))
    (func (export "make bigger") (struct.set $cell $value (ref.cast (ref $cell) (table.get $table (i32.const 0)))
        (i32.const 78)))
    (func (export "forget") (global.set $any (ref.null any)) (global.set $extern (ref.null extern))))"#;

/// The sum that `tell` gives.
const TOLD: i64 = 200 + 1_234_567_890_123 + 1 - 5 + 9 + 7 + 6 + 31;

/// With everything on, plainly or under stress.
fn world(stress: bool) -> World {
    let mut config = config_with_tags();
    config.gc_stress = stress;
    World::new(&config, GUEST)
}

#[test]
fn objects_are_as_they_were() {
    for stress in [false, true] {
        let world = world(stress);
        let mut guest = world.guest();
        (0..if stress { 20 } else { 1000 }).for_each(|value| guest.act("push", &[value]));
        guest.act("build", &[]);
        let sum = guest.get("sum");
        assert_eq!(guest.get("tell"), TOLD);
        let snapshot = guest.freeze();
        for _ in 0..3 {
            guest.act("spoil", &[]);
            assert!(guest.call("tell", &[]).is_err() && guest.get("sum") == 0);
            guest.act("litter", &[if stress { 10 } else { 10_000 }]);
            guest.reset(&snapshot);
            guest.act("litter", &[if stress { 10 } else { 10_000 }]);
            assert_eq!((guest.get("tell"), guest.get("sum")), (TOLD, sum));
            let mut other = world.thaw(&snapshot);
            assert_eq!((other.get("tell"), other.get("sum")), (TOLD, sum));
            other.act("litter", &[if stress { 10 } else { 10_000 }]);
            other.store.gc();
            assert_eq!((other.get("tell"), other.get("sum")), (TOLD, sum));
            let told = world.thaw(&other.freeze()).get("tell");
            assert_eq!(told, TOLD);
        }
    }
}

/// A snapshot with objects as bytes, and what its guest tells.
pub(super) fn saved() -> (Vec<u8>, i64) {
    let mut guest = world(false).guest();
    guest.act("push", &[5]);
    guest.act("build", &[]);
    (guest.freeze().to_bytes().unwrap(), TOLD)
}

#[test]
fn elements_of_segments_that_are_objects_are_as_they_were() {
    for stress in [false, true] {
        let world = world(stress);
        let mut guest = world.guest();
        let snapshot = guest.freeze();
        assert_eq!(guest.get("made"), 77);
        guest.act("make bigger", &[]);
        assert_eq!(guest.get("made"), 78);
        assert_eq!(world.thaw(&snapshot).get("made"), 77);
        guest.reset(&snapshot);
        assert_eq!(guest.get("made"), 77);
    }
}

/// Knows values of the host by the numbers that they are.
#[derive(Default)]
struct Numbers {
    saved: Vec<u64>,
    restored: Vec<u64>,
    alive: Arc<()>,
}

/// A value of the host that tells whether it is alive.
struct Number(u64, #[expect(dead_code, reason = "it is counted")] Arc<()>);

impl HostReferences for Numbers {
    fn save(&mut self, value: &(dyn Any + Send + Sync)) -> Result<u64, Error> {
        let number = value.downcast_ref::<Number>().ok_or_else(|| Error::message("what is this?"))?.0;
        self.saved.push(number);
        Ok(number)
    }

    fn restore(&mut self, number: u64) -> Result<Box<dyn Any + Send + Sync>, Error> {
        if number == 13 {
            return Err(Error::message("not this one"));
        }
        self.restored.push(number);
        Ok(Box::new(Number(number + 100, self.alive.clone())))
    }
}

fn extern_at(guest: &mut Guest, table: &str, index: u64) -> Option<u64> {
    let table = guest.instance.get_export(&guest.store, table).unwrap().into_table().unwrap();
    let Some(Val::ExternRef(value)) = table.get(&mut guest.store, index).unwrap() else { panic!("of externrefs") };
    value.map(|value| value.data(&guest.store).unwrap().unwrap().downcast_ref::<Number>().unwrap().0)
}

/// Whether both elements are one value.
fn same_externs(guest: &mut Guest) -> bool {
    let table = guest.instance.get_export(&guest.store, "externs").unwrap().into_table().unwrap();
    let element = |store: &mut Store, index| table.get(store, index).unwrap();
    element(&mut guest.store, 0) == element(&mut guest.store, 1)
}

fn put_extern(guest: &mut Guest, number: u64) {
    let value = ExternRef::new(&mut guest.store, Box::new(Number(number, Arc::default()))).unwrap();
    let table = guest.instance.get_export(&guest.store, "externs").unwrap().into_table().unwrap();
    for index in 0..2 {
        table.set(&mut guest.store, index, &Val::ExternRef(Some(value.clone()))).unwrap();
    }
}

#[test]
fn values_of_the_host_are_named_by_the_embedder() {
    for stress in [false, true] {
        let world = world(stress);
        let mut guest = world.guest();
        put_extern(&mut guest, 5);
        let error = Snapshot::take(&guest.store, &[guest.instance], &mut ()).unwrap_err();
        assert!(
            error.to_string().starts_with("no snapshot can be taken: a guest has a value of the host's"),
            "{error}"
        );
        let mut numbers = Numbers::default();
        let snapshot = Snapshot::take(&guest.store, &[guest.instance], &mut numbers).unwrap();
        // Each once, however often it is referred to.
        assert_eq!(numbers.saved, [5]);
        let mut other = world.thaw_with(&snapshot, &mut numbers);
        assert_eq!(extern_at(&mut other, "externs", 0), Some(105));
        assert_eq!((same_externs(&mut other), &numbers.restored[..]), (true, &[5][..]));
        assert_eq!(Arc::strong_count(&numbers.alive), 2);
        for resets in 1..4 {
            put_extern(&mut other, 9);
            snapshot.reset(&mut other.store, &[other.instance], &mut numbers).unwrap();
            assert_eq!(extern_at(&mut other, "externs", 1), Some(105));
            assert_eq!((same_externs(&mut other), numbers.restored.len()), (true, 1 + resets));
        }
        // What nobody refers to any more is finalized.
        other.store.gc();
        assert_eq!(Arc::strong_count(&numbers.alive), 2);
        drop(other);
        assert_eq!(Arc::strong_count(&numbers.alive), 1);
        let refused = snapshot.instantiate(&mut Store::new(&world.engine), &world.linker, &mut ()).unwrap_err();
        assert!(refused.to_string().contains("nobody says what that is"), "{refused}");
    }
}

#[test]
fn a_refused_value_leaves_everything_as_it_was() {
    let world = world(true);
    let mut guest = world.guest();
    put_extern(&mut guest, 13);
    guest.act("push", &[4]);
    let mut numbers = Numbers::default();
    let snapshot = Snapshot::take(&guest.store, &[guest.instance], &mut numbers).unwrap();
    guest.act("push", &[5]);
    put_extern(&mut guest, 6);
    let error = snapshot.reset(&mut guest.store, &[guest.instance], &mut numbers).unwrap_err();
    assert_eq!(error.to_string(), "not this one");
    assert_eq!((guest.get("sum"), extern_at(&mut guest, "externs", 0)), (5 * 3 + 4, Some(6)));
    let mut store = Store::new(&world.engine);
    store.limits_mut().instances = 1;
    assert!(snapshot.instantiate(&mut store, &world.linker, &mut numbers).is_err());
    // There is room for another one: nothing has stayed.
    let instance = world.linker.instantiate(&mut store, &world.module).unwrap();
    assert_eq!(Guest { store, instance }.get("sum"), 0);
}

#[test]
fn the_heap_of_the_new_store_is_limited() {
    let world = world(false);
    let mut guest = world.guest();
    (0..100_000).for_each(|value| guest.act("push", &[value]));
    let snapshot = guest.freeze();
    let mut store = Store::new(&world.engine);
    store.limits_mut().memory_size = Some(1 << 20);
    let error = snapshot.instantiate(&mut store, &world.linker, &mut ()).unwrap_err();
    assert!(error.to_string().starts_with("GC heap out of memory"), "{error}");
    // Resets leave garbage behind, which doesn't add up.
    store.limits_mut().memory_size = Some(16 << 20);
    let instance = snapshot.instantiate(&mut store, &world.linker, &mut ()).unwrap()[0];
    let mut other = Guest { store, instance };
    for _ in 0..50 {
        other.reset(&snapshot);
    }
    assert_eq!(other.get("sum"), guest.get("sum"));
}

#[test]
fn objects_of_types_that_nobody_knows_are_refused() {
    let engine = Engine::new(&config_with_tags()).unwrap();
    let wat = r#"(module (global (export "any") (mut anyref) (ref.null any)))"#;
    let other = r#"(module (type $t (struct (field i32)))
        (func (export "make") (result anyref) (struct.new $t (i32.const 1))))"#;
    let mut store = Store::new(&engine);
    let mut instantiate = |wat: &str| {
        let module = Module::new(&engine, wat.as_bytes()).unwrap();
        Instance::new(&mut store, &module, &[]).unwrap()
    };
    let (instance, maker) = (instantiate(wat), instantiate(other));
    let mut results = [Val::I32(0)];
    maker.get_func(&store, "make").unwrap().call(&mut store, &[], &mut results).unwrap();
    instance.get_export(&store, "any").unwrap().into_global().unwrap().set(&mut store, &results[0]).unwrap();
    let error = Snapshot::take(&store, &[instance], &mut ()).unwrap_err();
    let expected = "no snapshot can be taken: an object is of a type that none of the instances' modules declares";
    assert_eq!(error.to_string(), expected);
    // Together they know it.
    let both = Snapshot::take(&store, &[instance, maker], &mut ()).unwrap();
    let mut other = Store::new(&engine);
    let thawed = both.instantiate(&mut other, &Linker::new(&engine), &mut ()).unwrap();
    let global = thawed[0].get_export(&other, "any").unwrap().into_global().unwrap();
    assert!(matches!(global.get(&mut other).unwrap(), Val::AnyRef(Some(_))));
}
