//! Structs, arrays and casts of guests, with objects that move: each test runs plainly, and where every allocation collects.

use ampoule::func::host::HostFunc;
use ampoule::{
    AnyRef, ArrayRef, ArrayType, CompositeType, Config, Engine, Extern, FieldType, Func, FuncType, Global, GlobalType,
    HeapType, Instance, Linker, Module, RefType, StorageType, Store, StructRef, StructType, SubType, Tag, TrapCode,
    TypeId, Val, ValType,
};
use ampoule_core::tunables::Tiers;
use std::sync::Arc;

fn config(stress: bool) -> Config {
    let mut config = Config::new();
    (config.features.function_references, config.features.gc) = (true, true);
    config.gc_stress = stress;
    config.tiers(Tiers::Optimizing);
    config
}

/// A module's exports, called without anything kept between two calls but the instance.
struct Guest {
    store: Box<Store>,
    instance: Instance,
}

impl Guest {
    fn new(config: &Config, wat: &str) -> Guest {
        let engine = Engine::new(config).unwrap();
        let module = Module::new(&engine, wat.as_bytes()).unwrap();
        let mut store = Store::new(&engine);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        Guest { store, instance }
    }

    fn call(&mut self, name: &str, args: &[Val]) -> Result<Vec<Val>, ampoule::Error> {
        let func = self.instance.get_func(&self.store, name).expect("there is such an export");
        let mut results = vec![Val::I32(0); func.ty(&self.store)?.results().len()];
        func.call(&mut self.store, args, &mut results)?;
        Ok(results)
    }

    fn i32(&mut self, name: &str, args: &[i32]) -> i32 {
        let args: Vec<Val> = args.iter().map(|&arg| Val::I32(arg)).collect();
        match self.call(name, &args).unwrap()[..] {
            [Val::I32(value)] => value,
            ref other => panic!("{other:?}"),
        }
    }

    fn trap(&mut self, name: &str, args: &[Val]) -> TrapCode {
        self.call(name, args).unwrap_err().trap_code().expect("it traps")
    }
}

/// Runs a test plainly and under stress, by either compiler.
fn in_every_mode(wat: &str, test: impl Fn(&mut Guest, bool)) {
    for (stress, tiers) in
        [false, true].into_iter().flat_map(|stress| [(stress, Tiers::Optimizing), (stress, Tiers::Baseline)])
    {
        let mut config = config(stress);
        config.tiers(tiers);
        test(&mut Guest::new(&config, wat), stress);
    }
}

const TREES: &str = r#"(module
    (type $tree (struct (field $left (mut (ref null $tree))) (field $right (mut (ref null $tree))) (field $value (mut i32))))
    (func $make (param $depth i32) (result (ref $tree))
      (if (result (ref $tree)) (i32.eqz (local.get $depth))
        (then (struct.new $tree (ref.null $tree) (ref.null $tree) (i32.const 1)))
        (else
          (struct.new $tree
            (call $make (i32.sub (local.get $depth) (i32.const 1)))
            (call $make (i32.sub (local.get $depth) (i32.const 1)))
            (i32.const 1)))))
    (func $sum (param $tree (ref null $tree)) (result i32)
      (if (result i32) (ref.is_null (local.get $tree))
        (then (i32.const 0))
        (else
          (i32.add (struct.get $tree $value (local.get $tree))
            (i32.add (call $sum (struct.get $tree $left (local.get $tree)))
              (call $sum (struct.get $tree $right (local.get $tree))))))))
    (global $kept (mut (ref null $tree)) (ref.null $tree))
    (func (export "keep") (param $depth i32) (global.set $kept (call $make (local.get $depth))))
    (func (export "kept") (result i32) (call $sum (global.get $kept)))
    (func (export "churn") (param $depth i32) (param $times i32) (result i32) (local $sum i32)
      (loop $again
        (local.set $sum (i32.add (local.get $sum) (call $sum (call $make (local.get $depth)))))
        (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
      (local.get $sum))
    ;; Hangs new leaves into an old tree.
    (func (export "graft") (param $times i32)
      (loop $again
        (struct.set $tree $left (global.get $kept) (call $make (i32.const 1)))
        (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))))"#;

#[test]
fn trees_grow_and_fall() {
    in_every_mode(TREES, |guest, stress| {
        let (depth, times) = if stress { (4, 3) } else { (12, 200) };
        guest.call("keep", &[Val::I32(depth)]).unwrap();
        let nodes = (2 << depth) - 1;
        assert_eq!(guest.i32("kept", &[]), nodes);
        assert_eq!(guest.i32("churn", &[depth, times]), nodes * times);
        assert_eq!(guest.i32("kept", &[]), nodes);
        guest.call("graft", &[Val::I32(if stress { 5 } else { 100_000 })]).unwrap();
        assert_eq!(guest.i32("kept", &[]), (nodes - 1) / 2 + 1 + 3);
        guest.store.gc();
        assert_eq!(guest.i32("kept", &[]), (nodes - 1) / 2 + 1 + 3);
    });
}

#[test]
fn fields_of_every_kind_hold_what_was_put_in() {
    let wat = r#"(module
        (type $all (struct (field $a (mut i8)) (field $b (mut i64)) (field $c (mut i16)) (field $d (mut f32)) (field $e (mut v128))
          (field $f (mut f64)) (field $g (mut i8)) (field $h (mut anyref)) (field $i (mut funcref)) (field $j (mut i32)) (field $k (mut externref))))
        (func $seven (result i32) (i32.const 7)) (elem declare func $seven)
        (type $seven (func (result i32)))
        (global $it (mut (ref null $all)) (ref.null $all))
        (func (export "set") (local $x (ref $all))
          (local.set $x (struct.new_default $all))
          (struct.set $all $a (local.get $x) (i32.const 0x1ff))
          (struct.set $all $b (local.get $x) (i64.const -2))
          (struct.set $all $c (local.get $x) (i32.const 0x18000))
          (struct.set $all $d (local.get $x) (f32.const 1.5))
          (struct.set $all $e (local.get $x) (v128.const i32x4 1 2 3 4))
          (struct.set $all $f (local.get $x) (f64.const 2.5))
          (struct.set $all $g (local.get $x) (i32.const 5))
          (struct.set $all $h (local.get $x) (struct.new $all (i32.const 9) (i64.const 0) (i32.const 0) (f32.const 0)
            (v128.const i32x4 0 0 0 0) (f64.const 0) (i32.const 0) (ref.null any) (ref.null func) (i32.const 0) (ref.null extern)))
          (struct.set $all $i (local.get $x) (ref.func $seven))
          (struct.set $all $j (local.get $x) (i32.const -3))
          (global.set $it (local.get $x)))
        (func (export "get") (result i32 i32 i64 i32 i32 f32 i32 f64 i32 i32 i32 i32)
          (struct.get_s $all $a (global.get $it)) (struct.get_u $all $a (global.get $it)) (struct.get $all $b (global.get $it))
          (struct.get_s $all $c (global.get $it)) (struct.get_u $all $c (global.get $it)) (struct.get $all $d (global.get $it))
          (i32x4.extract_lane 2 (struct.get $all $e (global.get $it))) (struct.get $all $f (global.get $it))
          (struct.get_u $all $g (global.get $it))
          (struct.get_u $all $a (ref.cast (ref $all) (struct.get $all $h (global.get $it))))
          (call_ref $seven (ref.cast (ref $seven) (struct.get $all $i (global.get $it))))
          (struct.get $all $j (global.get $it))))"#;
    in_every_mode(wat, |guest, _| {
        guest.call("set", &[]).unwrap();
        let expected = vec![
            Val::I32(-1),
            Val::I32(255),
            Val::I64(-2),
            Val::I32(-0x8000),
            Val::I32(0x8000),
            Val::F32(1.5f32.to_bits()),
            Val::I32(3),
            Val::F64(2.5f64.to_bits()),
            Val::I32(5),
            Val::I32(9),
            Val::I32(7),
            Val::I32(-3),
        ];
        assert_eq!(guest.call("get", &[]).unwrap(), expected);
        guest.store.gc();
        assert_eq!(guest.call("get", &[]).unwrap(), expected);
    });
}

#[test]
fn arrays_are_made_filled_and_copied() {
    let wat = r#"(module
        (type $bytes (array (mut i8))) (type $refs (array (mut (ref null $bytes)))) (type $vectors (array (mut v128)))
        (data $d "abcdefgh")
        (func $byte (param $array (ref $bytes)) (param $at i32) (result i32) (array.get_u $bytes (local.get $array) (local.get $at)))
        (func (export "data") (param $from i32) (param $len i32) (result i32)
          (local $a (ref $bytes))
          (local.set $a (array.new_data $bytes $d (local.get $from) (local.get $len)))
          (i32.add (i32.shl (array.len (local.get $a)) (i32.const 8))
            (call $byte (local.get $a) (i32.sub (local.get $len) (i32.const 1)))))
        (func (export "filled") (param $len i32) (param $at i32) (result i32)
          (local $a (ref $bytes))
          (local.set $a (array.new $bytes (i32.const 0x107) (local.get $len)))
          (array.fill $bytes (local.get $a) (i32.const 1) (i32.const 0x205) (i32.sub (local.get $len) (i32.const 2)))
          (call $byte (local.get $a) (local.get $at)))
        (func (export "constant") (param $at i32) (result i32)
          (call $byte (array.new $bytes (i32.const 0x1fe) (i32.const 13)) (local.get $at)))
        (func (export "vectors") (param $len i32) (result i32)
          (i32x4.extract_lane 3 (array.get $vectors
            (array.new $vectors (v128.const i32x4 1 2 3 4) (local.get $len)) (i32.sub (local.get $len) (i32.const 1)))))
        ;; An array of arrays: each of its own length; moved by one; the sum of lengths, the first counted twice.
        (func (export "nested") (param $len i32) (result i32)
          (local $a (ref $refs)) (local $i i32) (local $sum i32)
          (local.set $a (array.new_default $refs (local.get $len)))
          (loop $make
            (array.set $refs (local.get $a) (local.get $i) (array.new_default $bytes (local.get $i)))
            (br_if $make (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $len))))
          (array.copy $refs $refs (local.get $a) (i32.const 1) (local.get $a) (i32.const 0) (i32.sub (local.get $len) (i32.const 1)))
          (local.set $i (i32.const 0))
          (loop $add
            (local.set $sum (i32.add (local.get $sum) (array.len (array.get $refs (local.get $a) (local.get $i)))))
            (br_if $add (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $len))))
          (local.get $sum))
        ;; Every element the same new array, at the end of a long one.
        (func (export "shared") (param $len i32) (result i32)
          (local $a (ref $refs))
          (local.set $a (array.new $refs (array.new $bytes (i32.const 3) (i32.const 5)) (local.get $len)))
          (drop (array.new_default $bytes (i32.const 100)))
          (array.fill $refs (local.get $a) (i32.const 0) (array.new $bytes (i32.const 4) (i32.const 6)) (i32.const 1))
          (drop (array.new_default $bytes (i32.const 100)))
          (i32.add (array.len (array.get $refs (local.get $a) (i32.const 0)))
            (array.len (array.get $refs (local.get $a) (i32.sub (local.get $len) (i32.const 1))))))
        (func (export "beyond") (param $at i32) (result i32)
          (call $byte (array.new_fixed $bytes 2 (i32.const 1) (i32.const 2)) (local.get $at)))
        (func (export "null") (result i32) (array.len (ref.null $bytes)))
        (func (export "too large") (drop (array.new_default $vectors (i32.const 0x10000000)))))"#;
    in_every_mode(wat, |guest, stress| {
        assert_eq!(guest.i32("data", &[2, 4]), (4 << 8) + i32::from(b'f'));
        assert_eq!(guest.trap("data", &[Val::I32(5), Val::I32(4)]), TrapCode::MemoryOutOfBounds);
        for len in [3, 17, 300, 5000, 3_000_000] {
            let read = [0, 1, len - 2, len - 1].map(|at| guest.i32("filled", &[len, at]));
            assert_eq!(read, [7, 5, 5, 7], "{len}");
        }
        assert_eq!([0, 7, 12].map(|at| guest.i32("constant", &[at])), [0xfe; 3]);
        assert_eq!([1, 7, 900, 70_000].map(|len| guest.i32("vectors", &[len])), [4; 4]);
        for len in if stress { [2, 9] } else { [100, 3000] } {
            let sum = (0..len - 1).sum::<i32>();
            assert_eq!(guest.i32("nested", &[len]), sum, "{len}");
        }
        assert_eq!([1, 20, 1000, 100_000].map(|len| guest.i32("shared", &[len])), [12, 11, 11, 11]);
        for at in [2, -1] {
            assert_eq!(guest.trap("beyond", &[Val::I32(at)]), TrapCode::ArrayOutOfBounds);
        }
        assert_eq!(guest.trap("null", &[]), TrapCode::NullReference);
        assert_eq!(guest.trap("too large", &[]), TrapCode::AllocationTooLarge);
    });
}

/// Machine code makes what is short, and the runtime what is long: whole arrays, and not a byte of what lies behind them.
#[test]
fn arrays_of_any_length_hold_one_value_and_end_there() {
    let kinds = [
        ("i8", "i32", "_u", "(i32.const 0xab)", "i32.eq"),
        ("i16", "i32", "_s", "(i32.const -3)", "i32.eq"),
        ("i32", "i32", "", "(i32.const 0x12345678)", "i32.eq"),
        ("i64", "i64", "", "(i64.const -9)", "i64.eq"),
        ("f32", "f32", "", "(f32.const 1.5)", "f32.eq"),
        ("f64", "f64", "", "(f64.const -2.5)", "f64.eq"),
        ("v128", "v128", "", "(v128.const i64x2 1 2)", "call $same"),
        ("eqref", "eqref", "", "(ref.i31 (i32.const 77))", "ref.eq"),
        ("funcref", "funcref", "", "(ref.func $same)", "call $none"),
    ];
    let mut wat = r#"(module
        (func $same (param v128 v128) (result i32) (i64x2.all_true (i64x2.eq (local.get 0) (local.get 1))))
        (func $none (param funcref funcref) (result i32) (i32.eqz (ref.is_null (local.get 0)))) (elem declare func $same)"#
        .to_string();
    for (storage, ty, sign, value, equal) in kinds {
        wat += &format!(
            r#"(type ${storage} (array (mut {storage})))
            (func (export "{storage}") (param $len i32) (result i32)
              (local $a (ref ${storage})) (local $b (ref ${storage})) (local $i i32) (local $equal i32) (local $value {ty})
              (local.set $value {value})
              (local.set $a (array.new ${storage} (local.get $value) (local.get $len)))
              (local.set $b (array.new_default ${storage} (i32.add (local.get $len) (i32.const 1))))
              (array.fill ${storage} (local.get $b) (i32.const 0) (local.get $value) (array.len (local.get $b)))
              (local.set $b (array.new ${storage} (local.get $value) (local.get $len)))
              (if (i32.ne (array.len (local.get $a)) (local.get $len)) (then (return (i32.const -1))))
              (if (i32.ne (array.len (local.get $b)) (local.get $len)) (then (return (i32.const -2))))
              (block $end (loop $next
                (br_if $end (i32.eq (local.get $i) (local.get $len)))
                (local.set $equal (i32.add (local.get $equal) (i32.and
                  ({equal} (array.get{sign} ${storage} (local.get $a) (local.get $i)) (local.get $value))
                  ({equal} (array.get{sign} ${storage} (local.get $b) (local.get $i)) (local.get $value)))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br $next)))
              (local.get $equal))"#
        );
    }
    in_every_mode(&(wat + ")"), |guest, _| {
        for (storage, ..) in kinds {
            for len in (0..10).chain([15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000]) {
                assert_eq!(guest.i32(storage, &[len]), len, "{storage}");
            }
        }
        // The heap is whole.
        guest.store.gc();
    });
}

/// A chain of open types, each a sub-type of the one before, longer than what a display holds, and casts to each.
#[test]
fn casts_go_by_declared_sub_types() {
    const DEPTH: usize = 20;
    let mut types = "(type $t0 (sub (struct (field i32))))".to_string();
    let (mut makers, mut tests) = (String::new(), String::new());
    for depth in 0..DEPTH {
        if depth > 0 {
            types += &format!("(type $t{depth} (sub $t{} (struct (field i32))))", depth - 1);
        }
        makers += &format!(
            "(if (i32.eq (local.get $of) (i32.const {depth})) (then (return (struct.new $t{depth} (i32.const {depth})))))"
        );
        tests += &format!(
            "(if (ref.test (ref $t{depth}) (local.get $x))
               (then (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
                     (drop (struct.get $t{depth} 0 (ref.cast (ref null $t{depth}) (local.get $x))))))"
        );
    }
    let wat = format!(
        r#"(module {types}
          (type $other (sub $t3 (struct (field i32) (field i64)))) (type $last (sub final $other (struct (field i32) (field i64) (field i64))))
          (type $array (array i8))
          (func $make (param $of i32) (result anyref) {makers}
            (if (i32.eq (local.get $of) (i32.const 100)) (then (return (struct.new_default $last))))
            (if (i32.eq (local.get $of) (i32.const 101)) (then (return (array.new_default $array (i32.const 3)))))
            (if (i32.eq (local.get $of) (i32.const 102)) (then (return (ref.i31 (i32.const 3)))))
            (ref.null any))
          (func (export "ancestors") (param $of i32) (result i32) (local $x anyref) (local $sum i32)
            (local.set $x (call $make (local.get $of)))
            {tests} (local.get $sum))
          (func (export "kinds") (param $of i32) (result i32) (local $x anyref)
            (local.set $x (call $make (local.get $of)))
            (i32.or (ref.test (ref eq) (local.get $x))
            (i32.or (i32.shl (ref.test (ref i31) (local.get $x)) (i32.const 1))
            (i32.or (i32.shl (ref.test (ref struct) (local.get $x)) (i32.const 2))
            (i32.or (i32.shl (ref.test (ref array) (local.get $x)) (i32.const 3))
            (i32.or (i32.shl (ref.test (ref $last) (local.get $x)) (i32.const 4))
            (i32.or (i32.shl (ref.test (ref null $other) (local.get $x)) (i32.const 5))
            (i32.or (i32.shl (ref.test nullref (local.get $x)) (i32.const 6))
                    (i32.shl (ref.test (ref null eq) (local.get $x)) (i32.const 7))))))))))
          (func (export "cast") (param $of i32) (result i32)
            (struct.get $t2 0 (ref.cast (ref null $t2) (call $make (local.get $of)))))
          (func (export "branch") (param $of i32) (result i32)
            (block $is (result (ref $t2))
              (drop (br_on_cast $is anyref (ref $t2) (call $make (local.get $of))))
              (return (i32.const -1)))
            (struct.get $t2 0)))"#
    );
    in_every_mode(&wat, |guest, _| {
        for depth in 0..DEPTH as i32 {
            assert_eq!(guest.i32("ancestors", &[depth]), depth + 1);
            assert_eq!(guest.i32("branch", &[depth]), if depth >= 2 { depth } else { -1 });
            match depth {
                2.. => assert_eq!(guest.i32("cast", &[depth]), depth),
                _ => assert_eq!(guest.trap("cast", &[Val::I32(depth)]), TrapCode::CastFailure),
            }
        }
        assert_eq!(guest.i32("ancestors", &[100]), 4);
        let kinds = [(0, 0b1000_0101), (100, 0b1011_0101), (101, 0b1000_1001), (102, 0b1000_0011), (103, 0b1110_0000)];
        for (of, expected) in kinds {
            assert_eq!(guest.i32("kinds", &[of]), expected, "{of}");
        }
        for of in [101, 102] {
            assert_eq!(guest.trap("cast", &[Val::I32(of)]), TrapCode::CastFailure);
        }
        assert_eq!(guest.trap("cast", &[Val::I32(103)]), TrapCode::NullReference);
    });
}

/// A cast doesn't make another value of a reference. What it has found out is not so wherever that value is used.
#[test]
fn what_a_cast_found_out_holds_where_it_was_made_only() {
    let wat = r#"(module
        (type $s (sub (struct (field i32)))) (type $t (sub $s (struct (field i32 i32))))
        (func (export "test") (param $which i32) (result i32) (local $x anyref) (local $y (ref null $s))
          (local.set $x (if (result anyref) (i32.eqz (local.get $which))
            (then (ref.i31 (i32.const 0x3fffffff)))
            (else (if (result anyref) (i32.eq (local.get $which) (i32.const 1))
              (then (struct.new $s (i32.const 1)))
              (else (struct.new $t (i32.const 2) (i32.const 0)))))))
          (if (ref.test (ref $s) (local.get $x))
            (then
              (local.set $y (ref.cast (ref $s) (local.get $x)))
              (drop (ref.test (ref $t) (local.get $y)))))
          (i32.add (ref.test (ref $s) (local.get $x)) (ref.test (ref $t) (local.get $x)))))"#;
    in_every_mode(wat, |guest, _| {
        for which in 0..3 {
            assert_eq!(guest.i32("test", &[which]), which);
        }
    });
}

#[test]
fn objects_are_made_by_constant_expressions_once() {
    let wat = r#"(module
        (type $pair (struct (field (mut i32)) (field anyref))) (type $list (array (mut (ref null $pair))))
        (global $a (ref $pair) (struct.new $pair (i32.const 1) (ref.i31 (i32.const 5))))
        (global $b (ref $pair) (struct.new $pair (i32.const 2) (global.get $a)))
        (global $list (ref $list) (array.new_fixed $list 3 (global.get $a) (global.get $b) (struct.new_default $pair)))
        (global $many (ref $list) (array.new $list (struct.new $pair (i32.const 3) (global.get $b)) (i32.const 1000)))
        (table $t 10 (ref null $pair) (struct.new $pair (i32.const 2) (ref.null any)))
        (elem $e (ref null $pair) (struct.new $pair (i32.const 40) (ref.null any)) (global.get $a))
        (func (export "init") (param $at i32) (table.init $t $e (local.get $at) (i32.const 0) (i32.const 2)))
        (func (export "same") (param $x i32) (param $y i32) (result i32)
          (ref.eq (table.get $t (local.get $x)) (table.get $t (local.get $y))))
        (func (export "add") (param $at i32) (param $by i32) (result i32) (local $p (ref null $pair))
          (local.set $p (table.get $t (local.get $at)))
          (struct.set $pair 0 (local.get $p) (i32.add (struct.get $pair 0 (local.get $p)) (local.get $by)))
          (struct.get $pair 0 (local.get $p)))
        (func (export "listed") (param $at i32) (result i32)
          (struct.get $pair 0 (array.get $list (global.get $list) (local.get $at))))
        (func (export "many") (param $at i32) (result i32)
          (struct.get $pair 0 (array.get $list (global.get $many) (local.get $at)))))"#;
    in_every_mode(wat, |guest, _| {
        guest.call("init", &[Val::I32(1)]).unwrap();
        guest.store.gc();
        guest.call("init", &[Val::I32(5)]).unwrap();
        assert_eq!(guest.i32("same", &[1, 5]), 1, "an element is made once");
        assert_eq!(guest.i32("same", &[1, 2]), 0);
        assert_eq!(guest.i32("same", &[0, 9]), 1);
        assert_eq!([guest.i32("add", &[1, 1]), guest.i32("add", &[5, 1])], [41, 42]);
        assert_eq!([0, 1, 2].map(|at| guest.i32("listed", &[at])), [1, 2, 0]);
        assert_eq!([0, 999].map(|at| guest.i32("many", &[at])), [3, 3]);
    });
}

#[test]
fn a_full_heap_is_an_error_and_the_store_goes_on() {
    let wat = r#"(module
        (type $node (struct (field (ref null $node)) (field i64)))
        (global $list (mut (ref null $node)) (ref.null $node))
        (func (export "grow") (loop $again
          (global.set $list (struct.new $node (global.get $list) (i64.const 1)))
          (br $again)))
        (func (export "drop") (global.set $list (ref.null $node)))
        (func (export "churn") (param $times i32) (loop $again
          (global.set $list (struct.new $node (ref.null $node) (i64.const 1)))
          (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))))"#;
    in_every_mode(wat, |guest, stress| {
        guest.store.limits_mut().memory_size = Some(if stress { 64 << 10 } else { 4 << 20 });
        // Under stress each of thousands of nodes takes a look at all of them.
        for _ in 0..if stress { 1 } else { 3 } {
            let error = guest.call("grow", &[]).unwrap_err();
            assert!(
                error.to_string().contains("GC heap out of memory: no capacity for allocation of 16 bytes"),
                "{error}"
            );
            guest.call("drop", &[]).unwrap();
            guest.call("churn", &[Val::I32(if stress { 100 } else { 1_000_000 })]).unwrap();
        }
    });
}

#[test]
fn what_a_linker_makes_for_unknown_imports_is_of_their_declared_types() {
    let wat = r#"(module
        (rec (type $f (sub (func (param (ref null $s)) (result i32)))) (type $s (struct (field (ref null $f)))))
        (type $narrow (sub final $f (func (param (ref null $s)) (result i32))))
        (rec (type $t (func (param i32))) (type $other (func)))
        (import "" "open" (func $open (type $f)))
        (import "" "narrow" (func $narrow (type $narrow)))
        (import "" "tag" (tag $tag (type $t)))
        (func (export "open") (result i32) (call $open (ref.null $s)))
        (func (export "tag") (result i32)
          (block $caught (result i32) (try_table (catch $tag $caught) (throw $tag (i32.const 3))) (i32.const 0))))"#;
    let mut config = config(false);
    config.features.exceptions = true;
    let engine = Engine::new(&config).unwrap();
    let module = Module::new(&engine, wat.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_default_values(&mut store, &module).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    for (name, expected) in [("open", 0), ("tag", 3)] {
        let call = instance.get_typed_func::<(), i32>(&store, name).unwrap();
        assert_eq!(call.call(&mut store, ()).unwrap(), expected);
    }
    let mut linker = Linker::new(&engine);
    let tag = instance.module(&store).unwrap().imports().nth(2).unwrap().0.item;
    let tag = Tag::of_declared(&mut store, &module.declared_type(tag).unwrap()).unwrap();
    linker.define(&store, "", "tag", Extern::Tag(tag)).unwrap();
    linker.define_unknown_imports_as_traps(&module).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let open = instance.get_typed_func::<(), i32>(&store, "open").unwrap();
    assert!(open.call(&mut store, ()).unwrap_err().to_string().contains("unknown import: `::open`"));
}

#[test]
fn imports_are_of_types_that_the_host_has_built() {
    let wat = r#"(module
        (rec
          (type $node (sub (struct (field i32) (field (mut (ref null $list))))))
          (type $list (array (ref $node)))
          (type $sum (func (param (ref null $node)) (result i32))))
        (import "" "start" (global $start (ref $node)))
        (import "" "sum" (func $sum (type $sum)))
        (func (export "run") (result i32) (call $sum (global.get $start)))
        (func (export "second") (result i32)
          (struct.get $node 0 (array.get $list (struct.get $node 1 (global.get $start)) (i32.const 1)))))"#;
    let (node, list) = (TypeId::in_group(0), TypeId::in_group(1));
    let field = |ty, mutable| FieldType { storage: StorageType::Val(ty), mutable };
    let null_or = |heap| ValType::Ref(RefType::null_or(heap));
    let number = field(ValType::I32, false);
    let next = field(null_or(HeapType::ConcreteArray(list)), true);
    let element = field(ValType::Ref(RefType::non_null(HeapType::ConcreteStruct(node))), false);
    let sum = FuncType::new([null_or(HeapType::ConcreteStruct(node))], [ValType::I32]);
    let composites = [
        CompositeType::Struct(StructType { fields: [number, next].into() }),
        CompositeType::Array(ArrayType { element }),
        CompositeType::Func(sum),
    ];
    let mut group = composites.map(|composite| SubType { is_final: true, supertype: None, composite });
    group[0].is_final = false;

    for stress in [false, true] {
        let engine = Engine::new(&config(stress)).unwrap();
        let types = engine.declare_group(&group).unwrap();
        let mut store = Store::new(&engine);
        let mut make = |number, next: Option<AnyRef>| {
            StructRef::new(&mut store, &types[0], &[Val::I32(number), Val::AnyRef(next)]).unwrap()
        };
        let (start, last) = (make(1, None), make(20, None));
        let pair = ArrayRef::from_elements(
            &mut store,
            &types[1],
            &[&start, &last].map(|node| Val::AnyRef(Some(node.clone().into()))),
        );
        start.set_field(&mut store, 1, &Val::AnyRef(Some(pair.unwrap().into()))).unwrap();
        let content = ValType::Ref(RefType::non_null(types[0].heap_type()));
        let start = Val::AnyRef(Some(start.into()));
        let global = Global::new(&mut store, GlobalType { content, mutable: false }, &start).unwrap();
        // All that is reachable over two levels.
        let sum = HostFunc::new(&engine, types[2].func(), |mut caller, args, results| {
            let store = caller.store();
            let Val::AnyRef(Some(node)) = &args[0] else { panic!("{args:?}") };
            let Val::AnyRef(Some(list)) = node.as_struct(store)?.unwrap().field(store, 1)? else {
                panic!("it has a list")
            };
            let list = list.as_array(store)?.unwrap();
            let mut sum = 0;
            for index in 0..list.len(store)? {
                let Val::AnyRef(Some(node)) = list.get(store, index)? else { panic!("it has nodes") };
                let Val::I32(number) = node.as_struct(store)?.unwrap().field(store, 0)? else { panic!("of numbers") };
                sum += number;
            }
            results[0] = Val::I32(sum);
            Ok(())
        });
        let sum = Arc::new(sum.unwrap().of_type(&types[2]).unwrap());
        let imports = [Extern::Global(global), Extern::Func(Func::from_host(&mut store, &sum))];
        let module = Module::new(&engine, wat.as_bytes()).unwrap();
        let instance = Instance::new(&mut store, &module, &imports).unwrap();
        for (name, expected) in [("run", 21), ("second", 20)] {
            let func = instance.get_typed_func::<(), i32>(&store, name).unwrap();
            assert_eq!(func.call(&mut store, ()).unwrap(), expected);
        }
    }
}
