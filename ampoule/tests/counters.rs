//! Loops whose counters are known do what they do without that: however they are counted, and where they trap.

use ampoule::{Config, Engine, Extern, Instance, Module, Store};
use ampoule_core::tunables::Tiers;

fn engine(ranges: bool, clamps: bool) -> Engine {
    let mut config = Config::new();
    config.tunables.tiers = Tiers::Optimizing;
    (config.tunables.memory_reservation, config.tunables.memory_guard_size) = (0, 0);
    (config.tunables.spectre_mitigation, config.tunables.signals_based_traps) = (clamps, clamps);
    if !ranges {
        config.cranelift_flags = vec![("counter_ranges".to_string(), Some("false".to_string()))];
    }
    Engine::new(&config).unwrap()
}

/// How the call ends, and the memory behind it.
fn run(engine: &Engine, text: &str) -> (Result<i32, String>, Vec<u8>) {
    let module = Module::new(engine, text.as_bytes()).unwrap();
    let mut store = Store::new(engine);
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let func = instance.get_typed_func::<(), i32>(&store, "run").unwrap();
    let end =
        func.call(&mut store, ()).map_err(|error| error.to_string().lines().next().unwrap_or_default().to_string());
    let Some(Extern::Memory(memory)) = instance.get_export(&store, "memory") else { panic!("it is exported") };
    let (data, len) = memory.data(&store).unwrap();
    // SAFETY: the memory is as long, and nothing else has its bytes while no guest runs.
    (end, unsafe { std::slice::from_raw_parts(data, len) }.to_vec())
}

/// A loop that stores at a multiple of its counter and a constant, and at another local that goes along with it.
fn program(start: i32, by: i32, test: &str, times: i32, constant: i32, other: i32) -> String {
    format!(
        "(module (memory (export \"memory\") 1) (func (export \"run\") (result i32) (local $i i32) (local $j i32) (local $n i32)
          (local.set $i (i32.const {start})) (local.set $j (i32.const 60000))
          (block $out (loop $l
            (br_if $out (i32.ge_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 5000)))
            (i32.store8 (i32.add (i32.mul (local.get $i) (i32.const {times})) (i32.const {constant})) (local.get $n))
            (i32.store16 offset=8 (local.get $j) (local.get $n))
            (local.set $j (i32.add (local.get $j) (i32.const {other})))
            (local.set $i (i32.add (local.get $i) (i32.const {by})))
            (br_if $l {test})))
          (i32.add (local.get $n) (i32.mul (local.get $i) (local.get $j)))))"
    )
}

#[test]
fn loops_do_the_same_whatever_is_known_of_their_counters() {
    let engines = [(true, true), (true, false), (false, true)].map(|(ranges, clamps)| engine(ranges, clamps));
    let (mut returned, mut trapped) = (0, 0);
    for (start, by, limit) in [
        (0, 1, 100),
        (0, 4, 65536),
        (0, 4, 65532),
        (-4000, 4, 0),
        (-4, 16, 16380),
        (5, 3, 29),
        (5, 3, 30),
        (100, -1, 0),
        (65532, -4, 0),
        (7, 1, 3),
        (0x7fff_fff0, 8, -0x7fff_ffe0),
    ] {
        for test in ["i32.ne", "i32.lt_u", "i32.lt_s"] {
            let test = match (test, limit) {
                ("i32.ne", 0) => "(local.get $i)".to_string(),
                _ => format!("({test} (local.get $i) (i32.const {limit}))"),
            };
            for (times, constant, other) in [(1, 0, 1), (1, 4000, -4), (4, 16, -60), (3, -1, 700)] {
                let text = program(start, by, &test, times, constant, other);
                let [found, unclamped, expected] = engines.each_ref().map(|engine| run(engine, &text));
                assert!(found == expected, "{text}: {:?} instead of {:?}", found.0, expected.0);
                assert!(unclamped.1 == expected.1 && unclamped.0.is_ok() == expected.0.is_ok(), "{text}");
                match expected.0 {
                    Ok(_) => returned += 1,
                    Err(_) => trapped += 1,
                }
            }
        }
    }
    assert!(returned > 20 && trapped > 20, "{returned} {trapped}");
}
