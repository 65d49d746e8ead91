//! The encoding that exceptions had before they were standardized.

use super::{World, check, config};
use ampoule::{Engine, Module};

#[test]
fn old_exceptions_are_off_unless_asked_for() {
    let wat = "(module (tag $t) (func try throw $t catch $t end))";
    let mut config = config();
    assert!(Module::new(&Engine::new(&config).unwrap(), wat.as_bytes()).is_ok());
    config.features.legacy_exceptions = false;
    let error = Module::new(&Engine::new(&config).unwrap(), wat.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("legacy"), "{error}");
}

#[test]
fn the_first_clause_that_fits_catches_and_others_go_on() {
    for call in ["(call $throw (local.get 0))", "(call $far (local.get 0))"] {
        let wat = format!(
            r#"(module
              (tag $a (param i32)) (tag $b (param i32 i64)) (tag $c)
              (func $throw (param i32)
                (if (i32.eq (local.get 0) (i32.const 0)) (then (throw $a (i32.const 10))))
                (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $b (i32.const 20) (i64.const 5))))
                (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $c))))
              (func $far (param i32) (if (i32.lt_s (local.get 0) (i32.const 0)) (then (call $far (i32.const 0)))) (call $throw (local.get 0)))
              (func (export "run") (param i32) (result i32)
                try (result i32)
                  try (result i32)
                    {call}
                    i32.const 1
                  catch $a
                    i32.const 100
                    i32.add
                  catch $b
                    i32.wrap_i64
                    i32.add
                  end
                catch_all
                  i32.const 3
                end))"#
        );
        check(&wat, &[(0, 110), (1, 25), (2, 3), (3, 1)]);
    }
}

#[test]
fn rethrow_throws_the_exception_of_its_clause() {
    check(
        r#"(module
          (tag $a (param i32)) (tag $b (param i32))
          (func $throw (param i32) (if (i32.const 0) (then (call $throw (i32.const 1)))) (throw $a (local.get 0)))
          (func (export "run") (param i32) (result i32)
            try (result i32)
              try (result i32)
                (call $throw (local.get 0))
                i32.const 1
              catch_all
                try (result i32)
                  (throw $b (i32.const 50))
                catch $b
                  drop
                  ;; That of the outer clause.
                  (if (i32.lt_s (local.get 0) (i32.const 10)) (then (rethrow 2)))
                  (rethrow 0)
                end
              end
            catch $a
              i32.const 1000
              i32.add
            catch $b
              i32.const 2000
              i32.add
            end))"#,
        &[(5, 1005), (15, 2050)],
    );
}

#[test]
fn delegate_leaves_exceptions_to_another_block() {
    check(
        r#"(module
          (tag $a (param i32))
          (func $throw (param i32) (if (i32.const 0) (then (call $throw (i32.const 1)))) (throw $a (local.get 0)))
          ;; Past the function altogether.
          (func $to_caller (param i32)
            try
              try
                (call $throw (local.get 0))
              delegate 1
            catch_all
              unreachable
            end)
          (func (export "run") (param i32) (result i32)
            try $outer (result i32)
              try $between (result i32)
                (block $plain (result i32)
                  try (result i32)
                    (if (i32.eq (local.get 0) (i32.const 3)) (then (call $to_caller (local.get 0))))
                    (call $throw (local.get 0))
                    i32.const 1
                  ;; A block that is no try: the one around it.
                  delegate $plain)
              catch $a
                (if (i32.eq (local.get 0) (i32.const 2))
                  (then
                    try
                      (call $throw (i32.const 20))
                    ;; From within a clause, its own try is over.
                    delegate $between))
                i32.const 100
                i32.add
              end
            catch $a
              i32.const 1000
              i32.add
            end))"#,
        &[(1, 101), (2, 1020), (3, 103)],
    );
}

#[test]
fn clauses_that_nothing_leads_to_are_left_out() {
    check(
        r#"(module
          (tag $a (param i32))
          (func (export "run") (param i32) (result i32)
            (block $out
              try
                br $out
              catch $a
                drop
                unreachable
              catch_all
                unreachable
              end)
            try (result i32)
              i32.const 5
              return
              try
              catch $a
                drop
              delegate_is_no_clause_here
            catch_all
              i32.const 6
            end))"#
            .replace("delegate_is_no_clause_here", "end i32.const 7")
            .as_str(),
        &[(0, 5)],
    );
    check(
        r#"(module
          (tag $a (param i32))
          (func (export "run") (param i32) (result i32)
            try (result i32)
              try (result i32)
                (throw $a (local.get 0))
              end
            catch $a
            end))"#,
        &[(9, 9)],
    );
}

#[test]
fn both_encodings_catch_what_the_other_throws() {
    check(
        r#"(module
          (tag $a (param i32))
          (func $old (param i32)
            try
              (throw $a (local.get 0))
            catch $a
              (local.set 0 (i32.add (i32.const 1)))
              (throw $a (local.get 0))
            end)
          (func $new (param i32)
            (block $h (result exnref)
              (try_table (catch_all_ref $h) (call $old (local.get 0)))
              unreachable)
            throw_ref)
          (func (export "run") (param i32) (result i32)
            try (result i32)
              (call $new (local.get 0))
              unreachable
            catch $a
            end))"#,
        &[(4, 5)],
    );
}

#[test]
fn locals_are_as_they_were_at_the_call_in_a_clause() {
    // More locals than have places of their own.
    let locals = "(local i32)".repeat(100);
    let wat = format!(
        r#"(module
          (tag $t)
          (func $f (param i32) (if (i32.eqz (local.get 0)) (then (throw $t))))
          (func (export "run") (param i32) (result i32) {locals}
            (local.set 90 (i32.const 1))
            try
              (call $f (local.get 0))
              (local.set 90 (i32.const 2))
              (local.set 91 (i32.const 20))
              (call $f (i32.sub (local.get 0) (i32.const 1)))
              (local.set 90 (i32.const 3))
            catch $t
              (local.set 92 (i32.const 100))
            end
            (i32.add (local.get 92) (i32.add (local.get 90) (local.get 91)))))"#
    );
    check(&wat, &[(0, 101), (1, 122), (2, 23)]);
    let mut world = World::new(&config(), &wat);
    assert_eq!(world.call("run", 1).unwrap(), 122);
}
