//! Many heaps, and heaps that are nearly full.

use ampoule::store::statistics::Statistics;
use ampoule::{Config, Engine, Extern, Instance, Module, Store, Val};
use std::time::{Duration, Instant};

fn engine() -> Engine {
    let mut config = Config::new();
    (config.features.function_references, config.features.gc) = (true, true);
    Engine::new(&config).unwrap()
}

/// Memory of the process in use, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Lists, and a table of nodes that others replace.
const GUEST: &str = r#"(module
    (type $node (sub (struct (field (ref null $node)) (field i64))))
    (type $slots (array (mut (ref null $node))))
    (global $list (mut (ref null $node)) (ref.null $node))
    (global $slots (mut (ref null $slots)) (ref.null $slots))
    (global $last (mut (ref null $node)) (ref.null $node))
    (func (export "list") (param $n i32)
      (loop $more
        (global.set $list (struct.new $node (global.get $list) (i64.extend_i32_u (local.get $n))))
        (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "drop") (global.set $list (ref.null $node)))
    (func (export "sum") (result i64) (local $at (ref null $node)) (local $sum i64)
      (local.set $at (global.get $list))
      (loop $more
        (if (ref.is_null (local.get $at)) (then (return (local.get $sum))))
        (local.set $sum (i64.add (local.get $sum) (struct.get $node 1 (local.get $at))))
        (local.set $at (struct.get $node 0 (local.get $at)))
        (br $more))
      (unreachable))
    (func (export "fill") (param $n i32)
      (global.set $slots (array.new_default $slots (local.get $n)))
      (loop $more
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (array.set $slots (global.get $slots) (local.get $n)
          (struct.new $node (ref.null $node) (i64.extend_i32_u (local.get $n))))
        (br_if $more (local.get $n))))
    ;; Replaces nodes here and there, and makes twice as many that nobody keeps for long.
    (func (export "replace") (param $times i32) (param $seed i32) (local $at i32)
      (loop $more
        (local.set $seed (i32.add (i32.mul (local.get $seed) (i32.const 1103515245)) (i32.const 12345)))
        (local.set $at (i32.rem_u (i32.shr_u (local.get $seed) (i32.const 4)) (array.len (global.get $slots))))
        (array.set $slots (global.get $slots) (local.get $at)
          (struct.new $node (ref.null $node) (i64.extend_i32_u (local.get $at))))
        (global.set $last (struct.new $node (ref.null $node) (i64.const 1)))
        (global.set $last (struct.new $node (ref.null $node) (i64.const 1)))
        (br_if $more (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))
    (func (export "check") (local $n i32)
      (local.set $n (array.len (global.get $slots)))
      (loop $more
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (if (i64.ne (struct.get $node 1 (array.get $slots (global.get $slots) (local.get $n)))
              (i64.extend_i32_u (local.get $n)))
          (then (unreachable)))
        (br_if $more (local.get $n)))))"#;

fn call(store: &mut Store, instance: &Instance, name: &str, args: &[i32]) -> Result<Vec<Val>, ampoule::Error> {
    let Some(Extern::Func(func)) = instance.get_export(store, name) else { panic!("{name} is exported") };
    let args: Vec<Val> = args.iter().map(|&arg| Val::I32(arg)).collect();
    let mut results = vec![Val::I64(0); func.ty(store)?.results().len()];
    func.call(store, &args, &mut results)?;
    Ok(results)
}

#[test]
fn a_thousand_heaps_take_no_more_memory_than_their_objects_and_a_little() {
    let engine = engine();
    let module = Module::new(&engine, GUEST.as_bytes()).unwrap();
    let made = |_| {
        let mut store = Store::new(&engine);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        call(&mut store, &instance, "list", &[100]).unwrap();
        (store, instance)
    };
    // What belongs to the engine.
    drop(made(0));
    for round in 0..2 {
        let before = resident();
        let mut stores: Vec<_> = (0..1000).map(made).collect();
        let fresh = resident().saturating_sub(before) / stores.len();
        stores.iter_mut().for_each(|(store, _)| store.gc());
        let collected = resident().saturating_sub(before) / stores.len();
        println!("{round}: {fresh} bytes for each store, {collected} after a collection");
        assert!(fresh < 96 << 10 && collected < 128 << 10, "{fresh} and {collected} bytes for each store");
        for (store, instance) in &mut stores {
            assert_eq!(call(store, instance, "sum", &[]).unwrap(), [Val::I64(5050)]);
        }
    }
}

#[test]
fn a_heap_at_its_limit_neither_fails_nor_does_nothing_but_collect() {
    const LIMIT: u64 = 16 << 20;
    let engine = engine();
    let module = Module::new(&engine, GUEST.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    store.limits_mut().memory_size = Some(LIMIT);
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    // An element and a node are 20 bytes.
    let nodes = (LIMIT * 95 / 100 / 20) as i32;
    call(&mut store, &instance, "fill", &[nodes]).unwrap();
    store.gc();
    let live = store.statistics().gc_live_bytes;
    assert!(live > LIMIT * 94 / 100 && store.statistics().gc_heap_bytes <= LIMIT, "{live}");
    let before = store.statistics();
    let begun = Instant::now();
    let mut replaced = 0u64;
    while begun.elapsed() < Duration::from_secs(2) {
        call(&mut store, &instance, "replace", &[10_000, replaced as i32]).unwrap();
        replaced += 10_000;
    }
    let after = store.statistics();
    let collections = |of: &Statistics| of.gc_minor_collections + of.gc_major_collections;
    let collections = collections(&after) - collections(&before);
    println!("{replaced} replaced, {collections} collections");
    // Three objects of 16 bytes for each that is replaced: a collection frees a part of what is left.
    assert!(collections <= 8 + replaced * 48 / (LIMIT / 512), "{collections} collections for {replaced}");
    assert!(after.gc_heap_bytes <= LIMIT);
    call(&mut store, &instance, "check", &[]).unwrap();
}
