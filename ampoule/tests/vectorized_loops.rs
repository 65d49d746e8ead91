//! Loops that are vectorized leave what they leave without: whatever they are over, however often they go round, and where they trap.

use ampoule::store::epoch::UpdateDeadline;
use ampoule::{Config, Engine, Extern, Instance, Module, Store, TrapCode, TypedFunc, Val, ValType};
use ampoule_core::tunables::Tiers;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

fn engine(vectorizes: bool) -> Engine {
    let mut config = Config::new();
    config.tunables.tiers = Tiers::Optimizing;
    if !vectorizes {
        config.cranelift_flags = vec![("vectorization".to_string(), Some("false".to_string()))];
    }
    Engine::new(&config).unwrap()
}

/// One engine that vectorizes, and one that doesn't, with the same module.
struct Both([Module; 2]);

impl Both {
    /// A module of this function, with a memory of one page, which can't grow. `$a` are addresses.
    fn new(func: &str) -> Self {
        Self::with_addresses(func, false)
    }

    fn with_addresses(func: &str, is_64: bool) -> Self {
        let text = format!(
            "(module (memory (export \"memory\") {} 1 1) (func (export \"run\") {}))",
            if is_64 { "i64" } else { "" },
            func.replace("$a.", if is_64 { "i64." } else { "i32." }).replace("$a", if is_64 { "i64" } else { "i32" })
        );
        Both([true, false].map(|vectorizes| Module::new(&engine(vectorizes), text.as_bytes()).unwrap()))
    }

    /// Calls the function with the same memory in both: results or the trap, and the memory, are the same.
    fn check(&self, args: &[i64]) -> Result<String, String> {
        let [found, expected] = [0, 1].map(|which| run(&self.0[which], args));
        assert!(
            found.1 == expected.1,
            "the memory after {args:?} differs, first at {:?}",
            first_difference(&found.1, &expected.1)
        );
        assert_eq!(found.0, expected.0, "{args:?}");
        found.0
    }
}

fn first_difference(x: &[u8], y: &[u8]) -> Option<usize> {
    x.iter().zip(y).position(|(x, y)| x != y)
}

fn run(module: &Module, args: &[i64]) -> (Result<String, String>, Vec<u8>) {
    let mut store = Store::new(module.engine());
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    let Some(Extern::Memory(memory)) = instance.get_export(&store, "memory") else { panic!("it is exported") };
    let mut bytes = vec![0; 65536];
    let mut state = 12345u32;
    for byte in &mut bytes {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        *byte = (state >> 24) as u8;
    }
    let (data, len) = memory.data(&store).unwrap();
    assert_eq!(len, bytes.len());
    // SAFETY: the memory is as long, and nothing else has its bytes while no guest runs.
    unsafe { data.copy_from_nonoverlapping(bytes.as_ptr(), len) };
    let func = instance.get_func(&store, "run").unwrap();
    let ty = func.ty(&store).unwrap();
    let args: Vec<Val> = ty
        .params()
        .iter()
        .zip(args)
        .map(|(ty, &arg)| match ty {
            ValType::I64 => Val::I64(arg),
            _ => Val::I32(arg as i32),
        })
        .collect();
    let mut results: Vec<Val> = ty.results().iter().map(|&ty| Val::default_for(ty)).collect();
    let end = match func.call(&mut store, &args, &mut results) {
        Ok(()) => Ok(format!("{results:?}")),
        Err(error) => Err(format!("{error}\n{:?}", error.backtrace())),
    };
    let bytes = memory.bytes(&store).unwrap().to_vec();
    (end, bytes)
}

/// `to[i] = from[i] ^ 0x20` for bytes, with pointers.
const BYTES: &str = "(param $to $a) (param $from $a) (param $n i32)
    (loop $l
      ($a.store8 (local.get $to) ($a.xor ($a.load8_u (local.get $from)) ($a.const 0x20)))
      (local.set $to ($a.add (local.get $to) ($a.const 1)))
      (local.set $from ($a.add (local.get $from) ($a.const 1)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))";

/// The same backwards, the pointers at what is behind the elements.
const BACKWARDS: &str = "(param $to $a) (param $from $a) (param $n i32)
    (loop $l
      ($a.store8 (local.tee $to ($a.sub (local.get $to) ($a.const 1)))
        ($a.xor ($a.load8_u (local.tee $from ($a.sub (local.get $from) ($a.const 1)))) ($a.const 0x20)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))";

/// `to[i] += from[i] * 3` for words, two in an iteration.
const WORDS: &str = "(param $to $a) (param $from $a) (param $n i32)
    (loop $l
      (i32.store (local.get $to) (i32.add (i32.load (local.get $to)) (i32.mul (i32.load (local.get $from)) (i32.const 3))))
      (i32.store offset=4 (local.get $to)
        (i32.add (i32.load offset=4 (local.get $to)) (i32.mul (i32.load offset=4 (local.get $from)) (i32.const 3))))
      (local.set $to ($a.add (local.get $to) ($a.const 8)))
      (local.set $from ($a.add (local.get $from) ($a.const 8)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))";

#[test]
fn any_number_of_turns_at_any_distance() {
    for func in [BYTES, BACKWARDS, WORDS] {
        let both = Both::new(func);
        for n in 1..=70 {
            for distance in [1000, -1000] {
                for misaligned in 0..4 {
                    both.check(&[3000 + misaligned, 3000 + distance + misaligned / 2, n]).unwrap();
                }
            }
        }
        for n in [1, 2, 7, 15, 16, 17, 33, 70] {
            for distance in -20..=20 {
                both.check(&[3000, 3000 + distance, n]).unwrap();
            }
        }
    }
}

#[test]
fn at_the_memorys_end_all_is_stored_up_to_the_trap() {
    const END: i64 = 65536;
    for is_64 in [false, true] {
        for (func, bytes) in [(BYTES, 1), (WORDS, 8)] {
            let both = Both::with_addresses(func, is_64);
            for n in [1i64, 16, 17, 40] {
                for over in [-bytes, -1, 0, 1, 5, 40] {
                    let at = END - n * bytes + over;
                    let (to, from) = (both.check(&[at, 100, n]), both.check(&[100, at, n]));
                    assert_eq!((to.is_ok(), from.is_ok()), (over <= 0, over <= 0), "{n} {over}");
                }
            }
        }
        let both = Both::with_addresses(BACKWARDS, is_64);
        for n in [1, 16, 17, 40] {
            for before in [-1, 0, 1, 5, 40] {
                assert_eq!(both.check(&[n - before, 3000, n]).is_ok(), before <= 0, "{n} {before}");
                assert_eq!(both.check(&[3000, n - before, n]).is_ok(), before <= 0, "{n} {before}");
                let end = END + before;
                assert_eq!(both.check(&[end, 3000, n]).is_ok(), before <= 0, "{n} {before}");
            }
        }
    }
}

#[test]
fn addresses_that_wrap_come_back_at_zero() {
    // Where an index is below zero, only the sum is an address.
    let both = Both::new(
        "(param $i i32) (param $end i32) (result i32)
         (loop $l
           (i32.store8 (i32.add (local.get $i) (i32.const 4000)) (i32.load8_u (i32.add (local.get $i) (i32.const 8000))))
           (br_if $l (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $end))))
         (local.get $i)",
    );
    for n in [1, 15, 16, 17, 64] {
        both.check(&[-n, 0]).unwrap();
        both.check(&[-n, 20 - n]).unwrap_or_default();
    }
    // From the last addresses on: the first access traps.
    assert!(both.check(&[-4040, -3900]).is_err());
    // Pointers that reach the end of all addresses and begin anew would be in bounds again.
    let fill = Both::new(
        "(param $to i32) (param $n i32)
         (loop $l
           (i32.store8 offset=16 (local.get $to) (i32.const 7))
           (local.set $to (i32.add (local.get $to) (i32.const 1)))
           (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))",
    );
    assert!(fill.check(&[-16, 40]).is_err());
    fill.check(&[0, 40]).unwrap();
}

#[test]
fn counters_of_all_kinds_end_the_loop_when_they_should() {
    for (step, comparison) in [
        (1, "lt_s"),
        (1, "lt_u"),
        (1, "le_s"),
        (1, "ne"),
        (-1, "gt_s"),
        (-1, "gt_u"),
        (-1, "ge_s"),
        (3, "lt_s"),
        (3, "ne"),
        (-3, "gt_u"),
    ] {
        let at_end = format!(
            "(param $i i32) (param $end i32) (result i32) (local $p i32)
             (loop $l
               (i32.store16 offset=100 (local.get $p) (i32.add (i32.load16_u offset=100 (local.get $p)) (i32.const 1)))
               (local.set $p (i32.add (local.get $p) (i32.const 2)))
               (br_if $l (i32.{comparison} (local.tee $i (i32.add (local.get $i) (i32.const {step}))) (local.get $end))))
             (i32.add (local.get $p) (local.get $i))"
        );
        let at_start = format!(
            "(param $i i32) (param $end i32) (result i32) (local $p i32)
             (block $out (loop $l
               (br_if $out (i32.eqz (i32.{comparison} (local.get $i) (local.get $end))))
               (i32.store16 offset=100 (local.get $p) (i32.add (i32.load16_u offset=100 (local.get $p)) (i32.const 1)))
               (local.set $p (i32.add (local.get $p) (i32.const 2)))
               (local.set $i (i32.add (local.get $i) (i32.const {step})))
               (br $l)))
             (i32.add (local.get $p) (local.get $i))"
        );
        for func in [at_end, at_start] {
            let both = Both::new(&func);
            for from in [0, -20, i32::MAX - 30, i32::MIN + 10] {
                for turns in [1, 2, 9, 24, 25] {
                    let _ = both.check(&[from.into(), (from.wrapping_add(turns * step)).into()]);
                }
            }
        }
    }
}

#[test]
fn what_is_searched_for_is_found_where_it_is_first() {
    let find = Both::new(
        "(param $p i32) (param $byte i32) (param $n i32) (result i32) (local $i i32)
         (block $out (loop $l
           (br_if $out (i32.eq (i32.load8_u (i32.add (local.get $p) (local.get $i))) (local.get $byte)))
           (br_if $l (i32.ne (local.get $n) (local.tee $i (i32.add (local.get $i) (i32.const 1)))))))
         (local.get $i)",
    );
    let mut at = std::collections::BTreeSet::new();
    for byte in -2..300 {
        at.insert(find.check(&[2000 + byte % 7, byte, 100]).unwrap());
    }
    assert!(at.len() > 40, "they are in many places");
    // To the end of the memory, and over it.
    assert!(find.check(&[65536 - 40, 256, 40]).is_ok());
    assert!(find.check(&[65536 - 40, 256, 41]).is_err());
    // What is written behind the search isn't where it ends; and it is what the last turn left.
    let copy = Both::new(
        "(param $to i32) (param $from i32) (param $end i32) (result i32 i32) (local $byte i32)
         (block $out (loop $l
           (local.set $byte (i32.load8_s (local.get $from)))
           (br_if $out (i32.eq (local.get $byte) (local.get $end)))
           (i32.store8 (local.get $to) (local.get $byte))
           (local.set $to (i32.add (local.get $to) (i32.const 1)))
           (local.set $from (i32.add (local.get $from) (i32.const 1)))
           (br $l)))
         (local.get $byte) (local.get $to)",
    );
    for end in -130..130 {
        let _ = copy.check(&[40000, 3000, end]);
        let _ = copy.check(&[3000 + end, 3000, end]);
    }
    let last = Both::new(
        "(param $p i32) (param $end i32) (result i32 i32) (local $last i32)
         (block $out (loop $l
           (br_if $out (i32.eq (i32.load (local.get $p)) (local.get $end)))
           (local.set $last (i32.load (local.get $p)))
           (local.set $p (i32.add (local.get $p) (i32.const 4)))
           (br $l)))
         (local.get $p) (local.get $last)",
    );
    let words = run(&last.0[1], &[0, 0]).1;
    for at in (0..200).step_by(4) {
        let word = i32::from_le_bytes(words[at..at + 4].try_into().unwrap());
        last.check(&[0, word.into()]).unwrap();
    }
}

#[test]
fn sums_and_the_like_are_those_of_all_elements() {
    let of = |ty: &str, load: &str, size: usize, step: &str| {
        Both::new(&format!(
            "(param $p i32) (param $n i32) (param $k i32) (result {ty}) (local $s {ty}) (local $x {ty})
             (local.set $s ({ty}.const 77))
             (loop $l
               (local.set $x ({ty}.{load} (local.get $p)))
               {step}
               (local.set $p (i32.add (local.get $p) (i32.const {size})))
               (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
             (local.get $s)"
        ))
    };
    for (ty, load, size) in [
        ("i32", "load8_u", 1),
        ("i32", "load8_s", 1),
        ("i64", "load8_u", 1),
        ("i32", "load16_s", 2),
        ("i64", "load16_u", 2),
        ("i64", "load32_s", 4),
        ("i64", "load32_u", 4),
        ("i32", "load", 4),
        ("i64", "load", 8),
    ] {
        let mut steps: Vec<String> = ["add", "sub", "and", "or", "xor"]
            .map(|op| format!("(local.set $s ({ty}.{op} (local.get $s) (local.get $x)))"))
            .into();
        for comparison in ["lt_s", "gt_s", "lt_u", "gt_u"] {
            steps.push(format!(
                "(local.set $s (select (local.get $x) (local.get $s) ({ty}.{comparison} (local.get $x) (local.get $s))))"
            ));
            let condition = format!("({ty}.{comparison} (local.get $x) ({ty}.const 100))");
            let condition = if ty == "i64" { format!("(i64.extend_i32_u {condition})") } else { condition };
            steps.push(format!("(local.set $s ({ty}.add (local.get $s) {condition}))"));
        }
        for step in steps {
            let both = of(ty, load, size, &step);
            for n in [1, 2, 16, 17, 40, 1000] {
                both.check(&[3000 + n % 3, n, 0]).unwrap();
            }
        }
    }
    // How many are equal to what is no element, but for its lowest bits.
    for (load, size) in [("load8_u", 1), ("load8_s", 1), ("load16_u", 2), ("load16_s", 2)] {
        for comparison in ["eq", "ne", "lt_s", "gt_u"] {
            let condition = format!("(i32.{comparison} (local.get $x) (local.get $k))");
            let both = of("i32", load, size, &format!("(local.set $s (i32.add (local.get $s) {condition}))"));
            for k in [0, 1, 255, 256, 300, -1, -128, -129, 65535, 65536, 70000, -32768, -32769, i32::MIN] {
                both.check(&[3000, 1000, k.into()]).unwrap();
            }
        }
    }
    // More than fits into narrower sums.
    let both = of("i64", "load32_u", 4, "(local.set $s (i64.add (local.get $s) (local.get $x)))");
    both.check(&[0, 16384, 0]).unwrap();
    let both = of("i64", "load8_u", 1, "(local.set $s (i64.add (local.get $s) (local.get $x)))");
    both.check(&[0, 65536, 0]).unwrap();
}

#[test]
fn what_isnt_a_number_is_the_same_one() {
    for (ty, size) in [("f32", 4), ("f64", 8)] {
        for op in ["add", "sub", "mul", "div"] {
            let both = Both::new(&format!(
                "(param $to i32) (param $x i32) (param $n i32)
                 (loop $l
                   ({ty}.store (local.get $to) ({ty}.{op} ({ty}.load offset=20000 (local.get $x)) ({ty}.sqrt ({ty}.load (local.get $x)))))
                   (local.set $to (i32.add (local.get $to) (i32.const {size})))
                   (local.set $x (i32.add (local.get $x) (i32.const {size})))
                   (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
            ));
            both.check(&[50000, 0, 1000]).unwrap();
        }
    }
}

/// To fill so large a memory takes far longer than until the epoch.
#[test]
fn a_vector_loop_ends_at_its_deadline() {
    let text = r#"(module (memory 32768)
      (func (export "fill") (param $n i32) (local $i i32)
        (loop $l
          (i32.store (local.get $i) (i32.const -1))
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $n)))))
      (func (export "last") (result i32) (i32.load (i32.const 0x7fff0000))))"#;
    let mut config = Config::new();
    config.tiers(Tiers::Optimizing).epoch_interruption(true);
    let engine = Engine::new(&config).unwrap();
    let module = Module::new(&engine, text.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let fill: TypedFunc<i32, ()> = instance.get_typed_func(&store, "fill").unwrap();
    let last: TypedFunc<(), i32> = instance.get_typed_func(&store, "last").unwrap();
    store.set_epoch_deadline(1);
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(5));
            engine.increment_epoch();
        });
        fill.call(&mut store, 0x7fff_fff0).unwrap_err()
    });
    assert_eq!(error.trap_code(), Some(TrapCode::Interrupt));
    store.set_epoch_deadline(1);
    assert_eq!(last.call(&mut store, ()).unwrap(), 0, "it went on to the end");
}

/// Wherever a vector loop is when its deadline is reached, it leaves whole iterations, and the loop itself goes on from there.
#[test]
fn a_vector_loop_that_is_interrupted_leaves_what_one_leaves_that_is_not() {
    const TEXT: &str = r#"(module (memory (export "memory") 64)
      (func (export "one") (param $n i32) (result i32) (local $i i32) (local $s i32)
        (loop $l
          (local.set $s (i32.add (local.get $s) (i32.load (local.get $i))))
          (i32.store (local.get $i) (i32.add (i32.load (local.get $i)) (i32.const 1)))
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $n))))
        (local.get $s))
      ;; Three elements in an iteration: a chunk is between iterations as well.
      (func (export "three") (param $n i32) (result i32) (local $i i32) (local $s i32)
        (loop $l
          (local.set $s (i32.add (local.get $s) (i32.load (local.get $i))))
          (local.set $s (i32.add (local.get $s) (i32.load offset=4 (local.get $i))))
          (local.set $s (i32.add (local.get $s) (i32.load offset=8 (local.get $i))))
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 12))) (local.get $n))))
        (local.get $s))
      (func (export "backwards") (param $n i32) (result i32) (local $s i32)
        (loop $l
          (local.set $n (i32.sub (local.get $n) (i32.const 4)))
          (local.set $s (i32.add (local.get $s) (i32.load (local.get $n))))
          (i32.store (local.get $n) (i32.xor (i32.load (local.get $n)) (i32.const 0x55)))
          (br_if $l (local.get $n)))
        (local.get $s)))"#;
    let world = |vectorizes: bool| {
        let mut config = Config::new();
        config.tiers(Tiers::Optimizing).epoch_interruption(true);
        if !vectorizes {
            config.cranelift_flags = vec![("vectorization".to_string(), Some("false".to_string()))];
        }
        let engine = Engine::new(&config).unwrap();
        let module = Module::new(&engine, TEXT.as_bytes()).unwrap();
        let mut store = Store::new(&engine);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        (store, instance)
    };
    let (mut worlds, stop) = ([world(true), world(false)], AtomicBool::new(false));
    let interruptions = Arc::new(AtomicUsize::new(0));
    let engine = worlds[0].0.engine().clone();
    let counted = interruptions.clone();
    worlds[0].0.epoch_deadline_callback(Some(Box::new(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(UpdateDeadline::Continue(1))
    })));
    worlds.iter_mut().for_each(|(store, _)| store.set_epoch_deadline(1));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // A failure below is not to wait for this.
            for _ in 0..100_000 {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                engine.increment_epoch();
                std::thread::sleep(Duration::from_micros(20));
            }
        });
        for turn in 0..60 {
            for name in ["one", "three", "backwards"] {
                let n = 48 * (87_000 - 7 * turn);
                let [found, expected] = worlds.each_mut().map(|(store, instance)| {
                    let func: TypedFunc<i32, i32> = instance.get_typed_func(store, name).unwrap();
                    func.call(store, n).unwrap()
                });
                assert_eq!(found, expected, "{name}({n})");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let seen = interruptions.load(Ordering::Relaxed);
    assert!(seen > 60, "only {seen} interruptions");
}
