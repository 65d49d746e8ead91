//! What code of the baseline tier did wrong once: the smallest guests that showed it. Each does the same in code of either tier.

use ampoule::{Config, Engine, Instance, Module, Store, TrapCode, Val};
use ampoule_core::tunables::Tiers;

/// How a call of the export `f` ended, in code of one tier, and the fuel that it took.
fn run(tiers: Tiers, text: &str, change: fn(&mut Config), args: &[i32]) -> (Result<Vec<i64>, Option<TrapCode>>, u64) {
    let mut config = Config::new();
    config.tunables.tiers = tiers;
    config.tunables.consume_fuel = true;
    let features = &mut config.features;
    (features.function_references, features.gc, features.exceptions) = (true, true, true);
    change(&mut config);
    let engine = Engine::new(&config).expect("it can be had");
    let module = Module::new(&engine, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let mut store = Store::new(&engine);
    store.set_fuel(1 << 30).expect("the engine counts");
    store.set_epoch_deadline(1 << 30);
    let instance = Instance::new(&mut store, &module, &[]).expect("it imports nothing");
    let func = instance.get_func(&store, "f").expect("it is exported");
    let args: Vec<Val> = args.iter().map(|&arg| Val::I32(arg)).collect();
    let ty = func.ty(&store).expect("its store is this one");
    let mut results: Vec<Val> = ty.results().iter().map(|&ty| Val::default_for(ty)).collect();
    let end = func.call(&mut store, &args, &mut results);
    let end = end.map_err(|error| error.trap_code()).map(|()| {
        let words = results.iter().map(|result| match *result {
            Val::I32(value) => value.into(),
            Val::I64(value) => value,
            ref other => panic!("results are integers, not {other:?}"),
        });
        words.collect()
    });
    (end, (1 << 30) - store.fuel().expect("the engine counts"))
}

/// Asserts that code of either tier does the same, and gives what.
fn both(text: &str, change: fn(&mut Config), args: &[i32]) -> Result<Vec<i64>, Option<TrapCode>> {
    let (optimizing, baseline) = (run(Tiers::Optimizing, text, change, args), run(Tiers::Baseline, text, change, args));
    assert_eq!(baseline, optimizing, "{args:?}: the baseline tier differs");
    baseline.0
}

#[test]
fn an_argument_is_passed_before_its_register_is_given_to_another_value() {
    // So many values are in registers that the argument is in one that calls leave alone. References don't stay there.
    let text = r#"(module
      (type $m (struct (field $x i32) (field (ref null $m))))
      (type $v (struct (field i64) (field (ref null $m))))
      (func $get (param (ref null $m)) (result i32) (struct.get $m $x (local.get 0)))
      (func (export "f") (param i32 i32 i32) (result i32)
        (local $m0 (ref null $m)) (local $v0 (ref null $v)) (local $m1 (ref null $m)) (local $v1 (ref null $v)) (local $m2 (ref null $m))
        (local $v2 (ref null $v))
        (local.set $m0 (ref.null $m))
        (local.set $v0 (struct.new $v (i64.const 0) (ref.null $m)))
        (local.set $m1 (ref.null $m))
        (local.set $v1 (struct.new $v (i64.const 0) (ref.null $m)))
        (local.set $m2 (ref.null $m))
        (local.set $v2 (struct.new $v (i64.const 0) (ref.null $m)))
        (block
          (local.set $m1 (local.tee $m0 (struct.new $m (i32.const 7) (ref.null $m))))
          (local.set 0 (call $get (local.get $m0))))
        (i32.add (local.get 0) (i32.add (local.get 1) (local.get 2)))))"#;
    assert_eq!(both(text, |_| {}, &[1, 2, 3]), Ok(vec![12]));
}

#[test]
fn an_index_is_scaled_by_its_shift_wherever_its_base_is() {
    // In a local, among operands, on either side; and where what was shifted is needed again, or changes in between.
    let text = r#"(module
      (func (export "f") (param $x i32) (param $y i32) (result i32 i32 i32 i32 i32 i64 i64) (local $z i32) (local $w i64)
        (local.set $w (i64.extend_i32_s (local.get $x)))
        (i32.add (local.get $y) (i32.shl (local.get $x) (i32.const 3)))
        (i32.add (i32.shl (local.get $x) (i32.const 1)) (local.get $y))
        (i32.add (i32.mul (local.get $y) (local.get $y)) (i32.shl (i32.sub (local.get $x) (local.get $y)) (i32.const 2)))
        (i32.add (i32.shl (local.get $x) (i32.const 2)) (i32.shl (local.get $x) (i32.const 34)))
        (local.tee $z (i32.shl (local.get $x) (i32.const 2)))
        (local.set $x (i32.const 1000))
        (i32.add (local.get $z))
        (i64.add (local.get $w) (i64.shl (local.get $w) (i64.const 3)))
        (i64.extend_i32_u (i32.add (i32.wrap_i64 (local.get $w)) (i32.wrap_i64 (i64.shl (local.get $w) (i64.const 2)))))))"#;
    for args in [[5, 7], [-1, 3], [i32::MAX, i32::MIN], [0x4000_0001, -9]] {
        let results = both(text, |_| (), &args).expect("nothing stops it");
        let [x, y] = args;
        let wide = i64::from(x);
        let expected = [
            y.wrapping_add(x << 3).into(),
            y.wrapping_add(x << 1).into(),
            y.wrapping_mul(y).wrapping_add(x.wrapping_sub(y) << 2).into(),
            (x << 2).wrapping_mul(2).into(),
            (x << 2).wrapping_mul(2).into(),
            wide * 9,
            i64::from(x.wrapping_add(x << 2) as u32),
        ];
        assert_eq!(results, expected, "{args:?}");
    }
}

#[test]
fn a_shift_that_a_local_keeps_is_not_part_of_a_sum_alone() {
    let text = r#"(module
      (func (export "f") (param $x i32) (param $y i32) (result i32 i32 i32 i32) (local $z i32) (local $w i32)
        (i32.add (i32.mul (local.get $y) (local.get $y)) (local.tee $z (i32.shl (local.get $x) (i32.const 2))))
        (local.get $z)
        (i32.sub (local.get $y) (local.get $x))
        (local.set $w (i32.shl (local.get $y) (i32.const 3)))
        (i32.add (local.get $w))
        (local.get $w)))"#;
    for [x, y] in [[5, 7], [-1, 3], [i32::MAX, i32::MIN]] {
        let sum = y.wrapping_mul(y).wrapping_add(x << 2);
        let other = y.wrapping_sub(x).wrapping_add(y << 3);
        let expected = [sum, x << 2, other, y << 3].map(i64::from);
        assert_eq!(both(text, |_| (), &[x, y]), Ok(expected.to_vec()), "{x} {y}");
    }
}

#[test]
fn a_jump_to_what_follows_may_be_left_out_but_not_what_leads_there() {
    let text = r#"(module
      (func (export "f") (param $x i32) (result i32 i32) (local $r i32)
        (block $a (block $b (block $c (br_table $c $b $a $b (local.get $x))) (local.set $r (i32.const 1)) (br $b)) (local.set $r (i32.add (local.get $r) (i32.const 2))) (br $a))
        (block $d (if (local.get $x) (then (br $d)) (else (br $d))))
        (local.get $r)
        (if (result i32) (i32.eq (local.get $x) (i32.const 2)) (then (i32.const 7)) (else (block $e (br_if $e (local.get $x)) (br $e)) (i32.const 8)))))"#;
    for (x, expected) in [(0, [3, 8]), (1, [2, 8]), (2, [0, 7]), (3, [2, 8]), (-1, [2, 8])] {
        assert_eq!(both(text, |_| (), &[x]), Ok(expected.to_vec()), "{x}");
    }
}

/// Bytes of the stack.
const STACK: i32 = 512 << 10;

/// How many times a function of this body can call itself, in code of one tier, before the stack ends: `$f`, of an `i32`, which is to call itself by
/// `AGAIN`.
fn depth(tiers: Tiers, body: &str) -> i32 {
    let mut config = Config::new();
    config.tunables.tiers = tiers;
    // What takes the place of baseline code is code of functions that run often.
    config.tunables.debug_hot = true;
    config.max_wasm_stack = STACK as usize;
    let engine = Engine::new(&config).expect("it can be had");
    let again = "(global.set $depth (i32.add (global.get $depth) (i32.const 1))) (call $f (i32.add (local.get 0) (i32.const 1)))";
    let text = format!(
        r#"(module (memory 1) (global $depth (mut i32) (i32.const 0))
          (func $f (param i32) (result i32) {})
          (func (export "f") (drop (call $f (i32.const 0))))
          (func (export "depth") (result i32) (global.get $depth)))"#,
        body.replace("AGAIN", again)
    );
    let module = Module::new(&engine, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let mut store = Store::new(&engine);
    let instance = Instance::new(&mut store, &module, &[]).expect("it imports nothing");
    let func = instance.get_func(&store, "f").expect("it is exported");
    let error = func.call(&mut store, &[], &mut []).expect_err("nothing else ends it");
    assert_eq!(error.trap_code(), Some(TrapCode::StackOverflow));
    let mut result = [Val::I32(0)];
    let depth = instance.get_func(&store, "depth").expect("it is exported");
    depth.call(&mut store, &[], &mut result).expect("there is stack again");
    let [Val::I32(depth)] = result else { panic!("it is an integer") };
    depth
}

#[test]
fn recursion_goes_about_as_deep_as_in_optimized_code() {
    let operands = format!("{} AGAIN {}", "(i32.load (local.get 0)) ".repeat(6), "i32.add ".repeat(6));
    let loop_of_locals = "(local i32 i32 f64 i64 i32)
        (loop (local.set 1 (i32.add (local.get 1) (local.get 2))) (local.set 2 (i32.add (local.get 2) (i32.const 1)))
          (local.set 3 (f64.add (local.get 3) (f64.const 1))) (local.set 4 (i64.add (local.get 4) (i64.const 1)))
          (local.set 5 (i32.xor (local.get 5) (local.get 2))) (br_if 0 (i32.lt_u (local.get 2) (i32.const 3))))
        (i32.add AGAIN (local.get 1))";
    let mostly_unused = format!(
        "(local {}) (local.set 500 (i32.load (local.get 0))) (local.set 900 (i32.load (i32.const 4))) (local.set 77 AGAIN)
        (i32.add (local.get 500) (i32.add (local.get 900) (local.get 77)))",
        "i32 ".repeat(1000)
    );
    // Bytes of stack for each level, with the return address and the frame pointer.
    let shapes = [
        ("nothing to keep", "AGAIN", 32),
        ("a parameter to keep", "(i32.add AGAIN (local.get 0))", 48),
        ("operands to keep", &operands, 80),
        ("locals in a loop", loop_of_locals, 96),
        ("a thousand locals, of which three are used", &mostly_unused, 48),
        (
            "what isn't kept over the call",
            "(drop (f64.add (f64.load (i32.const 8)) (f64.load (i32.const 16)))) AGAIN",
            48,
        ),
        ("either of two calls", "(if (result i32) (i32.load (local.get 0)) (then AGAIN) (else AGAIN))", 48),
    ];
    let mut complaints = Vec::new();
    for (what, body, bytes) in shapes {
        let (optimizing, baseline) = (depth(Tiers::Optimizing, body), depth(Tiers::Baseline, body));
        println!("{what}: {} bytes, {} in optimized code", STACK / baseline, STACK / optimizing);
        // Optimized functions are inlined into themselves.
        if baseline * bytes < STACK - 1000 || 5 * baseline < optimizing {
            complaints.push(what);
        }
    }
    assert!(complaints.is_empty(), "{complaints:?}");
}
