//! Work that a guest chooses is bounded: what a pass over a module costs, in time and memory, grows with the module's size and no faster.
//!
//! Each row of the tables below is a shape, a pass, and a size N. The pass is made over the shape at N and at 4N; four times the module may
//! cost four times as much, and some more where memory is slower the more of it is used. Growth with the square would be sixteen
//! times as much. Time is processor time, and the better of several attempts, so that a busy machine doesn't matter much.
//!
//! A new shape is a function in [`shapes`] and a row here; a new pass is a function here.
//!
//! `AMPOULE_BOUNDS=shape,pass,N` measures one row only, at that N, and prints what it costs.

mod baseline;
mod bombs;
mod encode;
mod measure;
mod shapes;

use ampoule::{Config, Engine, Instance, Module, Store, Strategy, Tiers, Val};
use measure::{Cost, measure};
use std::time::Duration;

/// Makes a module of a size.
type Shape = fn(usize) -> Vec<u8>;

/// Something done with a module. What is measured of it, it measures itself.
type Pass = fn(&[u8]) -> Cost;

struct Row {
    name: &'static str,
    shape: Shape,
    n: usize,
    passes: &'static [(&'static str, Pass)],
}

const DECODE: (&str, Pass) = ("decode", decode);
const FIRST_CALL: (&str, Pass) = ("first_call", first_call);
const EAGER: (&str, Pass) = ("eager", eager);
const FUEL: (&str, Pass) = ("fuel", fuel);
const UNOPTIMIZED: (&str, Pass) = ("unoptimized", unoptimized);
const CHECKED: (&str, Pass) = ("checked", checked);
const COMPILE: &[(&str, Pass)] = &[FIRST_CALL, EAGER, FUEL, UNOPTIMIZED];
/// For shapes of many accesses.
const COMPILE_ACCESSES: &[(&str, Pass)] = &[FIRST_CALL, EAGER, FUEL, UNOPTIMIZED, CHECKED];
const ALL: &[(&str, Pass)] = &[DECODE, FIRST_CALL, EAGER, FUEL, UNOPTIMIZED];

const fn row(name: &'static str, shape: Shape, n: usize, passes: &'static [(&'static str, Pass)]) -> Row {
    Row { name, shape, n, passes }
}

const ROWS: &[Row] = &[
    row("br_table_one", shapes::br_table_one, 10000, COMPILE),
    row("br_table_two", shapes::br_table_two, 10000, COMPILE),
    row("br_table_all", shapes::br_table_all, 1000, COMPILE),
    row("br_table_values", shapes::br_table_values, 1000, COMPILE),
    row("blocks", shapes::blocks, 2000, ALL),
    row("nested", shapes::nested, 4000, ALL),
    row("nested_loops", shapes::nested_loops, 500, COMPILE),
    row("loops", shapes::loops, 1000, COMPILE_ACCESSES),
    row("deep_loops", shapes::deep_loops, 1000, COMPILE_ACCESSES),
    row("ways_out", shapes::ways_out, 1000, COMPILE_ACCESSES),
    row("element_loops", shapes::element_loops, 50, COMPILE_ACCESSES),
    row("loads", shapes::loads, 2000, COMPILE_ACCESSES),
    row("stores", shapes::stores, 2000, COMPILE_ACCESSES),
    row("adds", shapes::adds, 4000, COMPILE),
    row("stack", shapes::stack, 2000, COMPILE),
    row("constants", shapes::constants, 2000, COMPILE),
    row("locals", shapes::locals, 1000, COMPILE),
    row("locals_and_loops", shapes::locals_and_loops, 1000, COMPILE),
    row("unoptimized", shapes::unoptimized, 350, COMPILE),
    row("inlined", shapes::inlined, 3000, COMPILE),
    row("inlined_locals", shapes::inlined_locals, 1000, COMPILE),
    row("results", shapes::results, 20, COMPILE),
    row("references", shapes::references, 200, COMPILE),
    row("structs", shapes::structs, 500, COMPILE),
    row("structs_kept", shapes::structs_kept, 200, COMPILE),
    row("structs_in_structs", shapes::structs_in_structs, 200, COMPILE),
    row("struct_written", shapes::struct_written, 500, COMPILE),
    row("structs_joined", shapes::structs_joined, 200, COMPILE),
    row("structs_in_a_loop", shapes::structs_in_a_loop, 50, COMPILE),
    row("structs_of_many_fields", shapes::structs_of_many_fields, 5, COMPILE),
    row("types", shapes::types, 20000, &[DECODE, FIRST_CALL]),
    row("many_functions", shapes::many_functions, 500, ALL),
];

fn decode(binary: &[u8]) -> Cost {
    let engine = engine(|_| {});
    measure(|| Module::validate(&engine, binary).unwrap()).1
}

fn first_call(binary: &[u8]) -> Cost {
    call(&engine(|_| {}), binary)
}

fn fuel(binary: &[u8]) -> Cost {
    let engine = engine(|config| {
        config.consume_fuel(true).epoch_interruption(true);
    });
    call(&engine, binary)
}

/// Where every address is compared, and passes over those comparisons have work.
fn checked(binary: &[u8]) -> Cost {
    let engine = engine(|config| {
        (config.tunables.memory_reservation, config.tunables.memory_guard_size) = (0, 0);
        config.tunables.debug_hot = true;
    });
    call(&engine, binary)
}

fn unoptimized(binary: &[u8]) -> Cost {
    let engine = engine(|config| {
        config.opt_level(ampoule_core::tunables::OptLevel::None);
        // Otherwise small functions are compiled in another way than large ones, and the one's cost says nothing of the other's.
        config.cranelift_flags.push(("regalloc_algorithm".to_string(), Some("backtracking".to_string())));
    });
    call(&engine, binary)
}

fn eager(binary: &[u8]) -> Cost {
    let engine = engine(|config| {
        config.strategy(Strategy::Eager);
    });
    measure(|| Module::from_binary(&engine, binary).unwrap()).1
}

/// Makes a module, and calls its function.
fn call(engine: &Engine, binary: &[u8]) -> Cost {
    let mut store = Store::new(engine);
    if engine.config().tunables.consume_fuel {
        store.set_fuel(u64::MAX / 2).unwrap();
        store.set_epoch_deadline(1);
    }
    let (_, cost) = measure(|| {
        let module = Module::from_binary(engine, binary).unwrap();
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let f = instance.get_func(&store, "f").unwrap();
        f.call(&mut store, &[Val::I32(0)], &mut [Val::I32(0)]).unwrap();
    });
    cost
}

/// One that compiles with the optimizing tier alone: [`baseline`] measures the other.
fn engine(configure: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config::new();
    config.tiers(Tiers::Optimizing);
    (config.features.function_references, config.features.gc) = (true, true);
    configure(&mut config);
    config.parallel_compilation = false;
    config.max_wasm_stack = 4 << 20;
    Engine::new(&config).unwrap()
}

/// What is wrong with how a cost grew while the module grew fourfold. A list that grows doubles, so bytes may be off by a factor of two.
fn complaint(small: Cost, large: Cost) -> Option<String> {
    // Less than this is not told from nothing.
    const NOTHING: Duration = Duration::from_millis(2);
    const FEW_BYTES: usize = 1 << 20;
    let time = large.time.as_secs_f64() / small.time.max(NOTHING).as_secs_f64();
    let peak = large.peak as f64 / small.peak.max(FEW_BYTES) as f64;
    let total = large.total as f64 / small.total.max(FEW_BYTES) as f64;
    (time > 8.0 || peak > 10.0 || total > 10.0).then(|| {
        format!("time x {time:.1}, peak of the heap x {peak:.1}, all of the heap x {total:.1}: {small:?}, {large:?}")
    })
}

/// Older compilers write 47,600 locals for 1,200 lines of C without optimization.
#[test]
fn a_valid_function_compiles_however_large() {
    for (shape, n) in [(shapes::unoptimized as Shape, 1400), (shapes::locals, 20000), (shapes::locals_and_loops, 10000)]
    {
        first_call(&shape(n));
    }
}

/// A frame has places for what is needed at once, however many values and locals a function has.
#[test]
fn a_large_function_runs_within_the_default_stack() {
    for (shape, n) in [(shapes::results as Shape, 500), (shapes::unoptimized, 1400), (shapes::locals_and_loops, 10000)]
    {
        call(&Engine::new(&Config::new()).unwrap(), &shape(n));
    }
}

/// 47,600 locals would take 190 KB, were each in a place of its own.
#[test]
fn locals_share_places_in_the_frame_whatever_the_effort() {
    for least_effort in [false, true] {
        let engine = engine(|config| {
            config.tunables.debug_least_effort = least_effort;
        });
        let mut config = engine.config().clone();
        config.max_wasm_stack = 32 << 10;
        call(&Engine::new(&config).unwrap(), &shapes::unoptimized(1400));
    }
}

#[test]
fn costs_grow_with_the_module_and_no_faster() {
    let wanted = std::env::var("AMPOULE_BOUNDS").ok();
    let wanted: Option<Vec<&str>> = wanted.as_deref().map(|text| text.split(',').collect());
    let mut complaints = Vec::new();
    for row in ROWS {
        for &(pass_name, pass) in row.passes {
            if let Some([name, pass, ..]) = wanted.as_deref()
                && (*name != row.name || *pass != pass_name)
            {
                continue;
            }
            if let Some([_, _, n]) = wanted.as_deref() {
                let binary = (row.shape)(n.parse().unwrap());
                println!("{} {pass_name} {n}, {} bytes: {:?}", row.name, binary.len(), pass(&binary));
                continue;
            }
            let (small, large) = ((row.shape)(row.n), (row.shape)(4 * row.n));
            let mut costs = (pass(&small), pass(&large));
            for _ in 0..3 {
                if complaint(costs.0, costs.1).is_none() {
                    break;
                }
                // Twice, so that what the compiler keeps for its next function is that of one as large.
                let again = |before: Cost, binary: &[u8]| before.again(pass(binary)).again(pass(binary));
                costs = (again(costs.0, &small), again(costs.1, &large));
            }
            println!("{} {pass_name} {}: {:?}, {:?}", row.name, row.n, costs.0, costs.1);
            if let Some(text) = complaint(costs.0, costs.1) {
                complaints.push(format!("{} {pass_name}: {text}", row.name));
            }
        }
    }
    assert!(complaints.is_empty(), "{} grow faster than the module:\n{}", complaints.len(), complaints.join("\n"));
}
