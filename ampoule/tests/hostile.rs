//! Guests that want too much: each is stopped by a limit the embedder set, and the store and the process go on.

use ampoule::{Config, Engine, Instance, Module, Store, TrapCode, Val};
use std::time::{Duration, Instant};

fn engine(configure: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config::new();
    configure(&mut config);
    Engine::new(&config).unwrap()
}

fn start(store: &mut Store, wat: &str) -> Instance {
    let module = Module::new(store.engine(), wat.as_bytes()).unwrap();
    Instance::new(store, &module, &[]).unwrap()
}

fn call(store: &mut Store, instance: Instance, name: &str) -> Result<Vec<Val>, ampoule::Error> {
    let func = instance.get_func(store, name).unwrap();
    let mut results = vec![Val::I32(0); func.ty(store)?.results().len()];
    func.call(store, &[], &mut results)?;
    Ok(results)
}

const LOOPS: &str = "(module (func (export \"spin\") (loop br 0))
    (func $a (export \"recurse\") call $b) (func $b call $a)
    (func $tail (export \"tail\") return_call $tail)
    (func (export \"ok\") (result i32) i32.const 7))";

#[test]
fn endless_guests_run_out_of_fuel_in_every_shape() {
    let engine = engine(|config| {
        config.consume_fuel(true);
    });
    let mut store = Store::new(&engine);
    let instance = start(&mut store, LOOPS);
    for shape in ["spin", "tail"] {
        store.set_fuel(100_000).unwrap();
        assert_eq!(call(&mut store, instance, shape).unwrap_err().trap_code(), Some(TrapCode::OutOfFuel), "{shape}");
    }
    store.set_fuel(10).unwrap();
    assert_eq!(call(&mut store, instance, "recurse").unwrap_err().trap_code(), Some(TrapCode::OutOfFuel));
    store.set_fuel(10).unwrap();
    assert_eq!(call(&mut store, instance, "ok").unwrap(), [Val::I32(7)]);
}

#[test]
fn endless_guests_are_interrupted_in_every_shape() {
    let engine = engine(|config| {
        config.epoch_interruption(true);
    });
    let ticker = engine.clone();
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stop = done.clone();
    let thread = std::thread::spawn(move || {
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(2));
            ticker.increment_epoch();
        }
    });
    let mut store = Store::new(&engine);
    let instance = start(&mut store, LOOPS);
    for shape in ["spin", "tail"] {
        store.set_epoch_deadline(2);
        assert_eq!(call(&mut store, instance, shape).unwrap_err().trap_code(), Some(TrapCode::Interrupt), "{shape}");
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    thread.join().unwrap();
}

#[test]
fn endless_recursion_is_a_trap_on_any_stack() {
    let run = || {
        let engine = Engine::default();
        let mut store = Store::new(&engine);
        let instance = start(&mut store, LOOPS);
        for _ in 0..20 {
            let error = call(&mut store, instance, "recurse").unwrap_err();
            assert_eq!(error.trap_code(), Some(TrapCode::StackOverflow));
            assert!(!error.backtrace().unwrap().is_empty());
        }
        assert_eq!(call(&mut store, instance, "ok").unwrap(), [Val::I32(7)]);
    };
    run();
    for stack in [128 << 10, 256 << 10, 8 << 20] {
        std::thread::Builder::new().stack_size(stack).spawn(run).unwrap().join().unwrap();
    }
}

#[test]
fn a_memory_bomb_stops_at_its_limit() {
    let engine = Engine::default();
    let mut store = Store::new(&engine);
    store.limits_mut().memory_size = Some(4 << 20);
    let wat = "(module (memory (export \"m\") 1) (func (export \"f\") (result i32)
        (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (memory.size)))";
    let instance = start(&mut store, wat);
    assert_eq!(call(&mut store, instance, "f").unwrap(), [Val::I32(64)]);
    let memory = instance.get_memory(&store, "m").unwrap();
    assert!(memory.grow(&mut store, 1).is_err());
    let module = Module::new(&engine, b"(module (memory 65))").unwrap();
    assert!(Instance::new(&mut store, &module, &[]).is_err());
}

#[test]
fn a_table_bomb_stops_at_its_limit() {
    let engine = Engine::default();
    let mut store = Store::new(&engine);
    store.limits_mut().table_elements = Some(1000);
    let wat = "(module (table 1 funcref) (func (export \"f\") (result i32)
        (loop (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 100)) (i32.const -1)))) (table.size)))";
    let instance = start(&mut store, wat);
    assert_eq!(call(&mut store, instance, "f").unwrap(), [Val::I32(901)]);
    let module = Module::new(&engine, b"(module (table 1001 externref))").unwrap();
    assert!(Instance::new(&mut store, &module, &[]).is_err());
}

#[test]
fn without_limits_a_huge_table_is_refused_and_not_made() {
    let engine = Engine::default();
    let mut store = Store::new(&engine);
    let module = Module::new(&engine, b"(module (table 4294967295 funcref))").unwrap();
    assert!(Instance::new(&mut store, &module, &[]).is_err());
    let wat =
        "(module (table 1 externref) (func (export \"f\") (result i32) (table.grow (ref.null extern) (i32.const -2))))";
    let instance = start(&mut store, wat);
    assert_eq!(call(&mut store, instance, "f").unwrap(), [Val::I32(-1)]);
}

#[test]
fn ten_thousand_instances_and_not_one_more() {
    let engine = Engine::default();
    let mut store = Store::new(&engine);
    let module = Module::new(&engine, b"(module (func (export \"f\") (result i32) i32.const 1))").unwrap();
    let begin = Instant::now();
    for _ in 0..10_000 {
        Instance::new(&mut store, &module, &[]).unwrap();
    }
    assert!(Instance::new(&mut store, &module, &[]).is_err());
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn many_threads_share_an_engine_and_a_module() {
    let engine = engine(|config| {
        config.epoch_interruption(true);
    });
    let wat = "(module (memory 1) (func $fib (export \"fib\") (param i32) (result i32)
        (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
          (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
        (func (export \"bad\") (result i32) (i32.load (i32.const -1))))";
    let module = Module::new(&engine, wat.as_bytes()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let mut store = Store::new(&engine);
                    store.set_epoch_deadline(u64::MAX / 2);
                    let instance = Instance::new(&mut store, &module, &[]).unwrap();
                    let mut results = [Val::I32(0)];
                    let fib = instance.get_func(&store, "fib").unwrap();
                    fib.call(&mut store, &[Val::I32(15)], &mut results).unwrap();
                    assert_eq!(results, [Val::I32(610)]);
                    assert_eq!(
                        call(&mut store, instance, "bad").unwrap_err().trap_code(),
                        Some(TrapCode::MemoryOutOfBounds)
                    );
                }
            });
        }
        for _ in 0..50 {
            engine.increment_epoch();
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

#[test]
fn handles_of_another_store_are_refused() {
    let engine = Engine::default();
    let (mut ours, mut theirs) = (Store::new(&engine), Store::new(&engine));
    let wat = "(module (memory (export \"m\") 1) (table (export \"t\") 1 funcref) (global (export \"g\") (mut i32) (i32.const 1))
        (func (export \"f\")))";
    let instance = start(&mut theirs, wat);
    let func = instance.get_func(&theirs, "f").unwrap();
    let memory = instance.get_memory(&theirs, "m").unwrap();
    let table = instance.get_export(&theirs, "t").unwrap().into_table().unwrap();
    let global = instance.get_export(&theirs, "g").unwrap().into_global().unwrap();
    assert!(instance.get_export(&ours, "f").is_none());
    assert!(func.call(&mut ours, &[], &mut []).is_err() && func.ty(&ours).is_err());
    assert!(memory.data(&ours).is_err() && memory.grow(&mut ours, 1).is_err() && memory.size(&ours).is_err());
    assert!(table.get(&mut ours, 0).is_err() && table.size(&ours).is_err());
    assert!(table.set(&mut ours, 0, &Val::FuncRef(None)).is_err());
    assert!(global.get(&mut ours).is_err() && global.set(&mut ours, &Val::I32(1)).is_err());
    let mine = start(&mut ours, wat);
    let my_table = mine.get_export(&ours, "t").unwrap().into_table().unwrap();
    assert!(my_table.set(&mut ours, 0, &Val::FuncRef(Some(func))).is_err());
}

/// xorshift64*: enough to flip bits by.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize
    }
}

const SAMPLE: &str = "(module $sample (type (func (param i32) (result i32))) (import \"a\" \"b\" (func (type 0)))
    (memory 1 2) (table 3 funcref) (global (mut i64) (i64.const 5)) (elem (i32.const 0) 1 2) (data (i32.const 8) \"hello\")
    (func (export \"f\") (type 0) (loop (br_if 0 (i32.eqz (local.get 0)))) (call_indirect (type 0) (local.get 0) (i32.const 1)))
    (func (type 0) (i32.load offset=4 (local.get 0)) (if (then nop)) (f32.store (i32.const 1) (f32.const 1)) (i32.const 1)))";

#[test]
fn truncated_and_flipped_modules_are_errors_or_modules_but_nothing_else() {
    let engine = Engine::default();
    let bytes = wat_bytes(SAMPLE);
    Module::new(&engine, &bytes).unwrap();
    for len in 0..bytes.len() {
        // A module cut between two sections may be whole by itself.
        let _ = Module::new(&engine, &bytes[..len]);
    }
    let mut random = Random(42);
    for _ in 0..3000 {
        let mut broken = bytes.clone();
        for _ in 0..1 + random.next() % 4 {
            let at = random.next() % broken.len();
            broken[at] ^= 1 << (random.next() % 8);
        }
        let Ok(module) = Module::new(&engine, &broken) else { continue };
        let mut store = Store::new(&engine);
        store.limits_mut().memory_size = Some(1 << 20);
        store.limits_mut().table_elements = Some(1000);
        let _ = Instance::new(&mut store, &module, &[]);
    }
}

#[test]
fn nonsense_is_an_error_that_says_where() {
    let engine = Engine::default();
    for (bytes, part) in [
        (&b""[..], "expected"),
        (b"\0asm", "unexpected end"),
        (b"\0asm\x02\0\0\0", "version"),
        (b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f", "end"),
        (b"\0asm\x0d\0\x01\0", "component"),
        (b"(module", "expected"),
    ] {
        let error = Module::new(&engine, bytes).unwrap_err().to_string();
        assert!(error.contains(part), "{bytes:?}: {error}");
    }
    // Four billion of everything, in a few bytes.
    for section in 1..=12u8 {
        let bytes = [b"\0asm\x01\0\0\0", &[section, 5, 0xff, 0xff, 0xff, 0xff, 0x0f][..]].concat();
        let begin = Instant::now();
        assert!(Module::new(&engine, &bytes).is_err(), "section {section}");
        assert!(begin.elapsed() < Duration::from_secs(2));
    }
}

fn wat_bytes(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}
