//! Guests among themselves.

use super::{World, check, config, modes};
use ampoule::{Extern, ExternRef, Func, Tag, TrapCode, Val};
use ampoule_core::types::{FuncType, TagType, ValType};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn the_innermost_clause_that_fits_catches() {
    // `$throw` throws one of three by its argument; the copy that recurses once is never inlined.
    let throwers = "
        (tag $a (param i32)) (tag $b (param i32)) (tag $c (param i32))
        (func $throw (param i32)
          (if (i32.eq (local.get 0) (i32.const 0)) (then (throw $a (i32.const 10))))
          (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $b (i32.const 20))))
          (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $c (i32.const 30)))))
        (func $far (param i32) (param i32)
          (if (local.get 1) (then (call $far (local.get 0) (i32.const 0)) (return)))
          (call $throw (local.get 0)))";
    for call in ["(call $throw (local.get 0))", "(call $far (local.get 0) (i32.const 1))"] {
        let wat = format!(
            r#"(module {throwers}
              (func (export "run") (param i32) (result i32)
                (block $outer_a (result i32)
                  (block $outer_b (result i32)
                    (block $inner_a (result i32)
                      (block $all
                        (try_table (catch $b $outer_b) (catch_all $all)
                          (try_table (catch $a $inner_a) {call})
                          (return (i32.const 1)))
                        (return (i32.const 2)))
                      (return (i32.const 3)))
                    (return (i32.add (i32.const 100))))
                  (return (i32.add (i32.const 200))))
                (i32.add (i32.const 300))))"#
        );
        check(&wat, &[(0, 110), (1, 220), (2, 3), (3, 1)]);
    }
}

#[test]
fn fields_of_every_type_arrive() {
    let tag = "(tag $t (param i32 i64 f32 f64 v128 funcref externref exnref))";
    let clause = |throw: &str, kind: &str, more: &str, drop: &str| {
        format!(
            r#"(module {tag} (tag $e)
              (func $f (result i32) (i32.const 4))
              (table 1 funcref)
              (elem declare func $f)
              (func $fields (result i32 i64 f32 f64 v128 funcref externref exnref)
                i32.const 1  i64.const 2  f32.const 3  f64.const 4  v128.const i64x2 5 6  ref.func $f  ref.null extern
                (block $e (result exnref) (try_table (catch_all_ref $e) (throw $e)) unreachable))
              (func $throw (param i32)
                (if (local.get 0) (then (call $throw (i32.const 0))))
                call $fields
                throw $t)
              (func (export "run") (param i32) (result i32)
                (local $sum i64) (local $f funcref)
                (block $h (result i32 i64 f32 f64 v128 funcref externref exnref {more})
                  (try_table ({kind} $t $h) {throw})
                  unreachable)
                {drop}
                (block $e (param exnref) (result exnref) (try_table (param exnref) (catch_all_ref $e) throw_ref) unreachable)
                ref.is_null
                (local.set $sum (i64.extend_i32_u))
                ref.is_null
                i64.extend_i32_u
                (local.set $sum (i64.add (local.get $sum)))
                local.set $f
                (table.set (i32.const 0) (local.get $f))
                (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (call_indirect (result i32) (i32.const 0)))))
                (i64x2.extract_lane 1)
                (local.set $sum (i64.add (local.get $sum)))
                i64.trunc_f64_s
                (local.set $sum (i64.add (local.get $sum)))
                i64.trunc_f32_s
                (local.set $sum (i64.add (local.get $sum)))
                (local.set $sum (i64.add (local.get $sum)))
                i64.extend_i32_s
                (i32.wrap_i64 (i64.add (local.get $sum)))))"#
        )
    };
    // Null external reference, four of the function, six of the vector, and the numbers.
    let expected = 1 + 4 + 6 + 4 + 3 + 2 + 1;
    for throw in ["(call $throw (local.get 0))", "(call $fields) (throw $t)"] {
        check(&clause(throw, "catch", "", ""), &[(1, expected)]);
        check(&clause(throw, "catch_ref", "exnref", "drop"), &[(1, expected)]);
    }
}

#[test]
fn locals_are_as_they_were_at_the_call() {
    check(
        r#"(module
          (tag $t)
          (func $f (param i32) (if (i32.eqz (local.get 0)) (then (throw $t))) (call $g))
          (func $g (if (i32.const 0) (then (call $f (i32.const 1)))))
          (func (export "run") (param i32) (result i32)
            (local $x i32) (local $y f64)
            (local.set $x (i32.const 1))
            (local.set $y (f64.const 0.5))
            (block $h
              (try_table (catch_all $h)
                (call $f (local.get 0))
                (local.set $x (i32.const 2))
                (local.set $y (f64.const 1.5))
                (call $f (i32.sub (local.get 0) (i32.const 1)))
                (local.set $x (i32.const 3))
                (local.set $y (f64.const 2.5))
                (call $f (i32.sub (local.get 0) (i32.const 2)))
                (local.set $x (i32.const 4))
                (local.set $y (f64.const 3.5))))
            (i32.add (i32.mul (local.get $x) (i32.const 100))
                     (i32.trunc_f64_s (f64.mul (local.get $y) (f64.const 10))))))"#,
        &[(0, 105), (1, 215), (2, 325), (3, 435)],
    );
}

#[test]
fn calls_of_every_kind_are_covered_and_tail_calls_are_not() {
    check(
        r#"(module
          (type $t (func (param i32) (result i32)))
          (tag $e (param i32))
          (table funcref (elem $throw $many))
          (func $throw (param i32) (result i32)
            (if (i32.eqz (local.get 0)) (then (throw $e (i32.const 7))))
            (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))
          (func $many (param i32) (result i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
            (drop (call $throw (local.get 0)))
            (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)
            (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8) (i32.const 9))
          (func $args (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
            (call $throw (local.get 9)))
          (func $tail (param i32) (result i32)
            (block $h (result i32)
              (try_table (catch $e $h) (return_call $throw (local.get 0)))
              unreachable)
            drop (i32.const -1))
          (func (export "run") (param i32) (result i32)
            (block $h (result i32)
              (try_table (result i32) (catch $e $h)
                (block $0
                  (block $1
                    (block $2
                      (block $3 (br_table $0 $1 $2 $3 (local.get 0)))
                      (return (call $tail (i32.const 3))))
                    (return (call $args (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5)
                                        (i32.const 6) (i32.const 7) (i32.const 8) (i32.const 9) (i32.const 2))))
                  (call $many (i32.const 3))
                  drop drop drop drop drop drop drop drop drop
                  return)
                (call_indirect (type $t) (i32.const 5) (i32.const 0))))))"#,
        &[(0, 7), (1, 7), (2, 7), (3, 7)],
    );
}

#[test]
fn a_loop_may_throw_and_catch_a_hundred_thousand_times() {
    check(
        r#"(module
          (tag $t (param i32 externref))
          (func $throw (param i32)
            (if (i32.eqz (local.get 0)) (then (call $throw (i32.const 1))))
            (throw $t (local.get 0) (ref.null extern)))
          (func (export "run") (param $count i32) (result i32)
            (local $i i32) (local $e exnref)
            (loop $again
              (block $h (result i32 externref exnref)
                (try_table (catch_ref $t $h) (call $throw (local.get $i)))
                unreachable)
              (local.set $e)
              drop drop
              (br_if $again
                (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $count))))
            ;; The last one is still there.
            (block $h (result i32 externref)
              (try_table (catch $t $h) (throw_ref (local.get $e)))
              unreachable)
            drop))"#,
        &[(100_000, 99_999)],
    );
}

#[test]
fn a_clause_may_lead_to_the_beginning_of_a_loop() {
    check(
        r#"(module
          (tag $t (param i32))
          (func $down (param i32) (if (local.get 0) (then (throw $t (i32.sub (local.get 0) (i32.const 1))))))
          (func (export "run") (param i32) (result i32)
            (local $rounds i32)
            (local.get 0)
            (loop $again (param i32)
              (local.set 0)
              (local.set $rounds (i32.add (local.get $rounds) (i32.const 1)))
              (try_table (catch $t $again) (call $down (local.get 0))))
            (local.get $rounds)))"#,
        &[(0, 1), (1000, 1001)],
    );
}

/// The same tag under two names, a different one of the same type, and one of another.
fn two_names(store: &mut ampoule::Store) -> Vec<Extern> {
    let ty = |field| TagType { func: FuncType::new([field], []) };
    let one = Tag::new(store, &ty(ValType::I32)).unwrap();
    let other = Tag::new(store, &ty(ValType::I32)).unwrap();
    let wide = Tag::new(store, &ty(ValType::I64)).unwrap();
    [one, one, other, wide].map(Extern::Tag).into()
}

#[test]
fn tags_are_told_by_what_they_are_and_not_by_their_names() {
    let imports = r#"
        (import "" "a" (tag $a (param i32))) (import "" "b" (tag $b (param i32)))
        (import "" "c" (tag $c (param i32))) (import "" "d" (tag $d (param i64)))
        (tag $own (param i32))"#;
    for far in [false, true] {
        let throw = |tag: &str| {
            if far { format!("(call ${tag}_far (i32.const 1))") } else { format!("(throw ${tag} (i32.const 5))") }
        };
        let far_one = |tag: &str| {
            format!(
                "(func ${tag}_far (param i32)
                   (if (local.get 0) (then (call ${tag}_far (i32.const 0))))
                   (throw ${tag} (i32.const 5)))"
            )
        };
        let wat = format!(
            r#"(module {imports} {} {} {}
              (func (export "run") (param i32) (result i32)
                (block $all
                  (block $d (result i64)
                    (block $b (result i32)
                      (try_table (catch $d $d) (catch $own $b) (catch $b $b) (catch_all $all)
                        (if (i32.eq (local.get 0) (i32.const 0)) (then {}))
                        (if (i32.eq (local.get 0) (i32.const 1)) (then {}))
                        (if (i32.eq (local.get 0) (i32.const 2)) (then {})))
                      (i32.const 1))
                    return)
                  unreachable)
                (i32.const 2)))"#,
            far_one("a"),
            far_one("b"),
            far_one("c"),
            throw("a"),
            throw("b"),
            throw("c"),
        );
        for (mode, config) in modes() {
            let mut world = World::with(&config, &wat, two_names);
            let answers: Vec<_> = (0..4).map(|arg| world.call("run", arg).unwrap()).collect();
            assert_eq!(answers, [5, 5, 2, 1], "{mode}");
        }
    }
}

#[test]
fn an_import_of_another_type_of_tag_is_refused() {
    let engine = ampoule::Engine::new(&config()).unwrap();
    let wat = r#"(module (import "" "a" (tag (param i64))))"#;
    let module = ampoule::Module::new(&engine, wat.as_bytes()).unwrap();
    let mut store = ampoule::Store::new(&engine);
    let tag = Tag::new(&mut store, &TagType { func: FuncType::new([ValType::I32], []) }).unwrap();
    let error = ampoule::Instance::new(&mut store, &module, &[Extern::Tag(tag)]).unwrap_err();
    assert!(error.to_string().starts_with("incompatible import type for `::a`"), "{error}");
    let mut other = ampoule::Store::new(&engine);
    let foreign = Tag::new(&mut other, &TagType { func: FuncType::new([ValType::I64], []) }).unwrap();
    assert!(ampoule::Instance::new(&mut store, &module, &[Extern::Tag(foreign)]).is_err());
}

#[test]
fn traps_are_not_caught() {
    let wat = r#"(module
      (memory 1) (tag $t)
      (func $deep (call $deep) (call $deep))
      (func (export "run") (param i32) (result i32)
        (block $caught (result exnref)
          (try_table (catch_all_ref $caught)
            (if (i32.eq (local.get 0) (i32.const 0)) (then unreachable))
            (if (i32.eq (local.get 0) (i32.const 1)) (then (drop (i32.load (i32.const 65536)))))
            (if (i32.eq (local.get 0) (i32.const 2)) (then (drop (i32.div_u (i32.const 1) (i32.const 0)))))
            (if (i32.eq (local.get 0) (i32.const 3)) (then (call $deep)))
            (if (i32.eq (local.get 0) (i32.const 4)) (then (throw_ref (ref.null exn))))
            (if (i32.eq (local.get 0) (i32.const 5)) (then (drop (call $run (i32.const 0)))))
            (if (i32.eq (local.get 0) (i32.const 6)) (then (throw $t))))
          (return (i32.const 1)))
        drop
        (i32.const 2))
      (func $run (param i32) (result i32)
        (block $caught
          (try_table (catch_all $caught) unreachable))
        (i32.const 3)))"#;
    use TrapCode::*;
    let codes = [Unreachable, MemoryOutOfBounds, IntegerDivisionByZero, StackOverflow, NullReference, Unreachable];
    for (mode, config) in modes() {
        let mut world = World::new(&config, wat);
        for (arg, &code) in codes.iter().enumerate() {
            let error = world.call("run", arg as i32).unwrap_err();
            assert_eq!(error.trap_code(), Some(code), "{mode}: {arg}");
            assert!(!world.store.has_exception());
        }
        assert_eq!(world.call("run", 6).unwrap(), 2, "{mode}");
        assert_eq!(world.call("run", 7).unwrap(), 1, "{mode}");
    }
}

#[test]
fn a_throw_through_a_hundred_thousand_frames_takes_its_time_once() {
    let wat = r#"(module
      (tag $t (param i32))
      (func $deep (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (throw $t (i32.const 5))))
        (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
      (func (export "run") (param i32) (result i32)
        (block $h (result i32) (try_table (result i32) (catch $t $h) (call $deep (local.get 0)))))
      (func $passing (param i32) (result i32)
        (block $h (result exnref)
          (try_table (catch_all_ref $h)
            (if (i32.eqz (local.get 0)) (then (throw $t (i32.const 6))))
            (return (i32.add (call $passing (i32.sub (local.get 0) (i32.const 1))) (i32.const 1))))
          unreachable)
        throw_ref)
      (func (export "passing") (param i32) (result i32)
        (block $h (result i32) (try_table (result i32) (catch $t $h) (call $passing (local.get 0))))))"#;
    let mut config = config();
    config.max_wasm_stack = 64 << 20;
    let run = move || {
        let mut world = World::new(&config, wat);
        for (name, answer) in [("run", 5), ("passing", 6)] {
            let began = Instant::now();
            assert_eq!(world.call(name, 100_000).unwrap(), answer);
            assert!(began.elapsed() < Duration::from_secs(20), "{name}: {:?}", began.elapsed());
        }
        // One that nothing catches.
        let deep = r#"(module (tag $t)
          (func $deep (param i32) (result i32)
            (if (i32.eqz (local.get 0)) (then (throw $t)))
            (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
          (export "run" (func $deep)))"#;
        let mut world = World::new(&config, deep);
        assert!(world.call("run", 100_000).is_err() && world.store.has_exception());
    };
    std::thread::Builder::new().stack_size(96 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn references_survive_a_collection_in_a_call_that_throws() {
    let wat = r#"(module
      (import "" "collect" (func $collect))
      (tag $t (param externref))
      (func $throw (param $inner externref) (param i32)
        (call $collect)
        (if (local.get 1) (then (call $throw (local.get $inner) (i32.const 0))))
        (throw $t (local.get $inner)))
      (func (export "run") (param $kept externref) (param $inner externref) (result externref externref exnref)
        (local $e exnref)
        (block $h (result externref exnref)
          (try_table (catch_ref $t $h) (call $throw (local.get $inner) (i32.const 1)))
          unreachable)
        (call $collect)
        (local.set $e)
        (local.set $inner)
        (block $again (result externref exnref)
          (try_table (catch_ref $t $again) (throw_ref (local.get $e)))
          unreachable)
        (call $collect)
        (local.set $e)
        (local.set $inner)
        (local.get $kept) (local.get $inner) (local.get $e)))"#;
    for (mode, config) in modes() {
        let mut world = World::with(&config, wat, |store| {
            let collect = Func::new(store, &FuncType::new([], []), |mut caller, _, _| {
                caller.store().gc();
                Ok(())
            });
            vec![Extern::Func(collect.unwrap())]
        });
        let (kept, inner) = (Arc::new(1u8), Arc::new(2u8));
        let args = [&kept, &inner].map(|value| ExternRef::new(&mut world.store, Box::new(value.clone())).unwrap());
        let args = args.map(|value| Val::ExternRef(Some(value)));
        let mut results = [Val::I32(0), Val::I32(0), Val::I32(0)];
        let run = world.instance.get_func(&world.store, "run").unwrap();
        // The host keeps nothing but what comes back.
        run.call(&mut world.store, &args, &mut results).unwrap();
        assert_eq!(results[..2], args, "{mode}");
        drop(args);
        let Val::ExnRef(Some(exn)) = &results[2] else { panic!("an exception") };
        assert_eq!(exn.fields(&mut world.store).unwrap(), &results[1..2], "{mode}");
        world.store.gc();
        assert_eq!((Arc::strong_count(&kept), Arc::strong_count(&inner)), (2, 2), "{mode}");
        results[..2].fill(Val::I32(0));
        world.store.gc();
        assert_eq!((Arc::strong_count(&kept), Arc::strong_count(&inner)), (1, 2), "{mode}: the exception has a field");
        results[2] = Val::I32(0);
        world.store.gc();
        assert_eq!((Arc::strong_count(&kept), Arc::strong_count(&inner)), (1, 1), "{mode}");
    }
}

#[test]
fn exceptions_are_kept_by_globals_and_tables() {
    let wat = r#"(module
      (tag $t (param i32))
      (global $g (mut exnref) (ref.null exn))
      (table $table 2 exnref)
      (func $make (param i32) (result exnref)
        (block $h (result i32 exnref) (try_table (catch_ref $t $h) (throw $t (local.get 0))) unreachable)
        (local.set 0 (block (param i32 exnref) (result i32) (global.set $g)))
        (global.get $g))
      (func (export "run") (param $count i32) (result i32)
        (local $i i32)
        (table.set $table (i32.const 1) (call $make (i32.const 70)))
        (drop (call $make (i32.const 7)))
        (loop $again
          (block $h (try_table (catch_all $h) (throw_ref (block $e (result exnref)
            (try_table (catch_all_ref $e) (throw $t (i32.const 0))) unreachable))))
          (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $count))))
        (i32.add
          (block $h (result i32) (try_table (catch $t $h) (throw_ref (global.get $g))) unreachable)
          (block $h (result i32) (try_table (catch $t $h) (throw_ref (table.get $table (i32.const 1)))) unreachable))))"#;
    check(wat, &[(10_000, 77)]);
}

#[test]
fn chains_of_exceptions_are_let_go_of_and_bounded() {
    // Each has the one before it for a field.
    let wat = r#"(module
      (tag $t (param exnref))
      (global $chain (export "chain") (mut exnref) (ref.null exn))
      (func (export "run") (param i32) (result i32)
        (loop $again
          (block $h (result exnref exnref)
            (try_table (catch_ref $t $h) (throw $t (global.get $chain)))
            unreachable)
          (global.set $chain)
          drop
          (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (i32.const 0))
      (func (export "drop") (param i32) (result i32) (global.set $chain (ref.null exn)) (i32.const 0)))"#;
    let began = Instant::now();
    let mut world = World::new(&config(), wat);
    // Collected while it is needed, and when it is not.
    for _ in 0..2 {
        world.call("run", 200_000).unwrap();
        world.call("drop", 0).unwrap();
        world.store.gc();
    }
    // More than the store may have.
    world.store.limits_mut().memory_size = Some(64 << 20);
    let error = world.call("run", 100_000_000).unwrap_err();
    assert_eq!(error.to_string(), "GC heap out of memory: no capacity for allocation of 16 bytes");
    world.call("drop", 0).unwrap();
    world.call("run", 200_000).unwrap();
    // A handle of the host's outlives the store, with all that is behind it.
    let Some(Extern::Global(chain)) = world.instance.get_export(&world.store, "chain") else { panic!("a global") };
    let chain = chain.get(&mut world.store).unwrap();
    drop(world);
    drop(chain);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn hostile_nesting_costs_no_more_than_its_size() {
    // Each throw could be compared with all clauses around it, and each call could have them all for handlers.
    let (depth, throws) = (1500, 1500);
    let mut wat = String::from(
        "(module (tag $t) (tag $u (param i32)) (func $f) (func (export \"run\") (param i32) (result i32) (block $h (block $i (result i32)",
    );
    for _ in 0..depth {
        wat.push_str("(try_table (catch $u $i) (catch $u $i)");
    }
    for _ in 0..throws {
        wat.push_str("(if (local.get 0) (then (throw $t))) (call $f)");
    }
    wat.push_str(&")".repeat(depth));
    wat.push_str("(i32.const 3)) return) (i32.const 4)))");
    let began = Instant::now();
    let mut world = World::new(&config(), &wat);
    assert_eq!(world.call("run", 0).unwrap(), 3);
    assert!(world.call("run", 1).is_err());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn an_object_keeps_the_exception_that_it_leads_to() {
    let wat = r#"(module (tag $t (param i32)) (type $box (struct (field (mut exnref))))
      (global $kept (mut (ref null $box)) (ref.null $box))
      (func $make (param i32) (result exnref) (local $exn exnref)
        (block $h (result i32 exnref) (try_table (catch_ref $t $h) (throw $t (local.get 0))) unreachable)
        (local.set $exn) (drop) (local.get $exn))
      (func (export "run") (param i32) (result i32) (local $i i32)
        (global.set $kept (struct.new $box (call $make (local.get 0))))
        (loop $again
          (drop (call $make (local.get $i)))
          (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5000))))
        (block $h (result i32)
          (try_table (catch $t $h) (throw_ref (struct.get $box 0 (global.get $kept))))
          unreachable)))"#;
    let mut config = config();
    (config.features.function_references, config.features.gc) = (true, true);
    let mut world = World::new(&config, wat);
    for value in [7, 8] {
        assert_eq!(world.call("run", value).unwrap(), value);
        world.store.gc();
    }
}
