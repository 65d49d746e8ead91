//! Bytes of components, changed at random: none makes reading, instantiating or calling panic, hang, or take more than it may. What passes
//! the validator is instantiated, with imports that trap, and each function that takes nothing is called, with little fuel.

use ampoule::{Config, Engine, Module, Store};
use ampoule_component::types::ItemType;
use ampoule_component::{Component, Linker, Val};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Numbers by chance, reproducible by their seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Components with something of everything that the decoder reads.
const SEEDS: [&str; 3] = [
    r#"(component
        (type $r' (record (field "a" u8) (field "b" (list string))))
        (export $r "r" (type $r'))
        (type $v' (variant (case "x" $r) (case "y") (case "z" (option (tuple u64 f32 char)))))
        (export $v "v" (type $v'))
        (type $f' (flags "p" "q" "s")) (export $f "fl" (type $f'))
        (type $e' (enum "one" "two")) (export $e "e" (type $e'))
        (core module $m
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 256))
            (func (export "f") (param i32) (result i32) (i32.const 32))
            (func (export "g") (result i32) (i32.const 32))
            (data (i32.const 32) "\01\02\03\00\40\00\00\00\02\00\00\00"))
        (core instance $i (instantiate $m))
        (func (export "f") (param "x" (tuple $r $v $f $e string string u8 u8 u8 u8)) (result $v)
            (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
        (func (export "g") (result (result (list $v) (error $f)))
            (canon lift (core func $i "g") (memory (core memory $i "memory")) string-encoding=utf16)))"#,
    r#"(component
        (import "a:b/c@0.2.3" (instance $c
            (export "t" (type $t (sub resource)))
            (export "make" (func (param "n" u32) (result (own $t))))
            (export "look" (func (param "t" (borrow $t)) (result string)))))
        (import "m" (core module $imported (import "x" "y" (func)) (export "z" (memory 1))))
        (alias export $c "t" (type $t))
        (core func $make (canon lower (func $c "make")))
        (core func $drop (canon resource.drop $t))
        (type $own (resource (rep i32)))
        (core func $new (canon resource.new $own)) (core func $rep (canon resource.rep $own))
        (core module $m
            (import "" "make" (func $make (param i32) (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (import "" "new" (func $new (param i32) (result i32)))
            (import "" "rep" (func $rep (param i32) (result i32)))
            (func (export "f") (call $drop (call $make (call $rep (call $new (i32.const 3)))))))
        (core instance $i (instantiate $m (with "" (instance
            (export "make" (func $make)) (export "drop" (func $drop))
            (export "new" (func $new)) (export "rep" (func $rep))))))
        (func $f (canon lift (core func $i "f")))
        (instance $out (export "f" (func $f)))
        (export "d:e/f@1.0.0" (instance $out)))"#,
    r#"(component
        (core module $shared (func (export "f") (result i32) (i32.const 7)))
        (component $outer
            (alias outer 1 $shared (core module $m))
            (component $inner
                (core instance $i (instantiate $m))
                (func (export "f") (result u32) (canon lift (core func $i "f"))))
            (instance $i (instantiate $inner))
            (export "i" (instance $i)))
        (component $user
            (import "f" (func $f (result u32)))
            (core func $f' (canon lower (func $f)))
            (core module $m
                (import "" "f" (func $f (result i32)))
                (func (export "g") (result i32) (i32.add (call $f) (i32.const 1))))
            (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
            (func (export "g") (result u32) (canon lift (core func $i "g"))))
        (instance $o (instantiate $outer))
        (alias export $o "i" (instance $i))
        (instance $u (instantiate $user (with "f" (func $i "f"))))
        (export "g" (func $u "g")))"#,
];

/// A few changes: bits, bytes, what is cut out, doubled, or put elsewhere.
fn mutated(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(3) {
        // The header stays, most of the time: without it nothing else is looked at.
        let first = if random.below(50) == 0 { 0 } else { 8 };
        let at = first + random.below(bytes.len().saturating_sub(first).max(1));
        let len = (1 + random.below(12)).min(bytes.len().saturating_sub(at));
        match random.below(6) {
            _ if len == 0 => {}
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.below(256) as u8,
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            3 => drop(bytes.drain(at..at + len)),
            4 => {
                let copied = bytes[at..at + len].to_vec();
                let to = 8.min(bytes.len()) + random.below(bytes.len().saturating_sub(8).max(1));
                bytes.splice(to.min(bytes.len())..to.min(bytes.len()), copied);
            }
            _ => bytes.truncate(at.max(9)),
        }
    }
    bytes
}

fn use_it(engine: &Engine, component: &Component) {
    let mut linker = Linker::new(engine);
    // Modules as imports can't be defined so.
    let _ = linker.define_unknown_imports_as_traps(component);
    let mut store = Store::new(engine);
    store.set_fuel(10_000).unwrap();
    let Ok(instance) = linker.instantiate(&mut store, component) else { return };
    let mut calls: Vec<Vec<&str>> = Vec::new();
    for (name, item) in component.ty().exports() {
        match item {
            ItemType::Func(_) => calls.push(vec![name]),
            ItemType::Instance(inner) => calls.extend(inner.exports().keys().map(|inner| vec![&**name, &**inner])),
            _ => {}
        }
    }
    for path in calls {
        let Ok(Some(func)) = instance.get_func(&mut store, &path) else { continue };
        let Ok(ty) = func.ty(&mut store) else { continue };
        let mut results = vec![Val::default(); usize::from(ty.result().is_some())];
        let _ = func.call(&mut store, &[], &mut results);
    }
}

#[test]
fn no_bytes_do_harm() {
    let seconds = std::env::var("AMPOULE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let mut config = Config::default();
    config.consume_fuel(true);
    let engine = Engine::new(&config).unwrap();
    let seeds = SEEDS.map(|text| Module::binary_of_text(text).unwrap());
    seeds.iter().for_each(|seed| drop(Component::new(&engine, seed).unwrap()));
    let first: u64 = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut count, mut valid) = (0_u64, 0_u64);
    while Instant::now() < end {
        let seed = first.wrapping_add(count);
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let from = random.below(seeds.len());
        let bytes = mutated(&mut random, &seeds[from]);
        let started = Instant::now();
        let used = catch_unwind(AssertUnwindSafe(|| {
            let component = Component::new(&engine, &bytes).ok()?;
            use_it(&engine, &component);
            Some(())
        }));
        let used = used.unwrap_or_else(|_| panic!("seed {seed}: {bytes:02x?}"));
        assert!(started.elapsed() < Duration::from_secs(10), "seed {seed} takes {:?}: {bytes:02x?}", started.elapsed());
        valid += u64::from(used.is_some());
        count += 1;
    }
    assert!(count > 20 && valid > 0, "{valid} of {count} components were valid");
}
