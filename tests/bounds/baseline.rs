//! Decoding, validation and the baseline tier take time and memory in proportion to a function, whatever it is made of.

use crate::measure::{Cost, measure};
use crate::{Shape, bombs, complaint, shapes};
use ampoule::{Config, Engine, Instance, Module, Store, Val};
use ampoule_compiler::baseline::BaselineCompiler;
use ampoule_compiler::optimizing::OptimizingCompiler;
use ampoule_compiler::{CompileError, Compiler, ModuleInput, Profile};
use ampoule_core::decode::{decode, validate_body};
use ampoule_core::features::Features;
use ampoule_core::index::{DefinedFuncIndex, FuncRefIndex};
use ampoule_core::module::ModuleDescription;
use ampoule_core::tunables::{Tiers, Tunables};
use ampoule_core::vm::{Callees, KnownCallees, VmLayout};
use std::sync::Arc;
use std::time::Duration;

struct Row {
    name: &'static str,
    shape: Shape,
    n: usize,
    /// The tier refuses it, at both sizes.
    refused: bool,
}

const fn row(name: &'static str, shape: Shape, n: usize) -> Row {
    Row { name, shape, n, refused: false }
}

const fn refused(name: &'static str, shape: Shape, n: usize) -> Row {
    Row { name, shape, n, refused: true }
}

const ROWS: &[Row] = &[
    row("mixed", bombs::mixed, 2000),
    row("br_table_one", shapes::br_table_one, 12500),
    row("br_table_two", shapes::br_table_two, 12500),
    row("br_table_all", shapes::br_table_all, 2500),
    row("br_table_values", shapes::br_table_values, 2500),
    row("br_table_at_depths", bombs::br_table_at_depths, 12500),
    row("br_table_of_many_values", bombs::br_table_of_many_values, 12500),
    row("loops_before_tables", bombs::loops_before_tables, 50),
    row("threaded_dispatch", bombs::threaded_dispatch, 1000),
    row("nested_switches", bombs::nested_switches, 2500),
    row("blocks", shapes::blocks, 5000),
    row("tiny_blocks", bombs::tiny_blocks, 10000),
    row("nested", shapes::nested, 5000),
    row("nested_loops", shapes::nested_loops, 5000),
    row("nested_branches", bombs::nested_branches, 2500),
    row("nested_ifs", bombs::nested_ifs, 2500),
    row("nested_unreachable", bombs::nested_unreachable, 10000),
    row("ways", bombs::ways, 2500),
    row("loops_with_references", bombs::loops_with_references, 2500),
    row("loads", shapes::loads, 5000),
    row("stores", shapes::stores, 5000),
    row("bulk", bombs::bulk, 2000),
    row("adds", shapes::adds, 10000),
    row("stack", shapes::stack, 5000),
    row("stack_of_thousands", shapes::stack, 60_000),
    row("calls_above_a_stack", bombs::calls_above_a_stack, 5000),
    row("blocks_above_a_stack", bombs::blocks_above_a_stack, 5000),
    row("constants", shapes::constants, 5000),
    row("vectors", bombs::vectors, 2500),
    row("numbers", bombs::numbers, 2500),
    row("selects", bombs::selects, 10000),
    row("copies", bombs::copies, 6000),
    row("pending", bombs::pending, 1000),
    row("locals", shapes::locals, 2500),
    row("locals_and_loops", shapes::locals_and_loops, 5000),
    row("locals_of_all_types", bombs::locals_of_all_types, 3000),
    row("unoptimized", shapes::unoptimized, 350),
    row("traps", bombs::traps, 5000),
    row("inlined", shapes::inlined, 5000),
    row("functions_of_calls", bombs::functions_of_calls, 100),
    row("arguments", bombs::arguments, 30),
    row("arguments_exchanged", bombs::arguments_exchanged, 3000),
    row("indirect_calls", bombs::indirect_calls, 3000),
    row("results", shapes::results, 20),
    row("blocks_of_many", bombs::blocks_of_many, 2500),
    row("nested_blocks_of_many", bombs::nested_blocks_of_many, 2500),
    row("loops_of_many", bombs::loops_of_many, 2500),
    row("ifs_of_many", bombs::ifs_of_many, 50),
    row("branches_of_many", bombs::branches_of_many, 50),
    row("references", shapes::references, 50),
    row("references_on_the_stack", bombs::references_on_the_stack, 50),
    row("structs", shapes::structs, 2000),
    row("structs_kept", shapes::structs_kept, 2000),
    row("structs_among_values", bombs::structs_among_values, 2000),
    row("structs_on_the_stack", bombs::structs_on_the_stack, 50),
    row("structs_of_many_fields", shapes::structs_of_many_fields, 50),
    row("tries", bombs::tries, 2000),
    row("nested_tries", bombs::nested_tries, 2000),
    row("clauses", bombs::clauses, 2400),
    row("clauses_of_many", bombs::clauses_of_many, 50),
    row("calls_in_a_try", bombs::calls_in_a_try, 3000),
    refused("results_by_the_thousand", shapes::results, 2000),
    refused("ifs_by_the_thousand", bombs::ifs_of_many, 5000),
    refused("branches_by_the_thousand", bombs::branches_of_many, 5000),
    refused("references_by_the_thousand", shapes::references, 3000),
];

/// Bytes of the heap that a function may take for each of its own, and beyond that.
const HEAP_EACH: usize = 256;
const FEW_BYTES: usize = 8 << 20;

/// All that the proposals of the shapes need.
fn features() -> Features {
    Features { function_references: true, gc: true, exceptions: true, ..Features::default() }
}

/// A module whose functions have been validated.
struct Decoded {
    binary: Vec<u8>,
    module: ModuleDescription,
    layout: VmLayout,
}

impl Decoded {
    fn new(binary: Vec<u8>) -> Self {
        let decoded = decode(&binary, &features()).unwrap();
        let mut scratch = Default::default();
        decoded.bodies.into_iter().for_each(|body| validate_body(body, &mut scratch).unwrap());
        let (module, layout) = (decoded.module.clone(), VmLayout::new(&decoded.module));
        Self { binary, module, layout }
    }

    /// Compiles all functions, one after the other. Gives the bytes of their code.
    fn compile(&self, mode: &Mode) -> (Result<usize, CompileError>, Cost) {
        let Self { binary, module, layout } = self;
        let counters = (mode.name == "metered").then_some(1 << 40);
        let likely = Likely(layout);
        let profile = counters.map(|_| -> &dyn Profile { &likely });
        let input = ModuleInput { module, layout, bytes: binary, tunables: &mode.tunables, counters, profile };
        let functions = (0..module.bodies.len() as u32).map(DefinedFuncIndex);
        measure(|| functions.map(|func| Ok(mode.compiler.translate(&input, func)?.code.len())).sum())
    }
}

/// A profile by which each indirect call nearly always calls the first function that there is a reference to.
struct Likely<'a>(&'a VmLayout);

impl Profile for Likely<'_> {
    fn call_site(&self, _: u32) -> usize {
        1 << 40
    }

    fn callees(&self, _: u32) -> Option<Callees> {
        Some(Callees::Known(KnownCallees::new(&[self.0.func_ref(FuncRefIndex(0)).into()], true)))
    }

    fn was_called(&self, _: DefinedFuncIndex) -> bool {
        true
    }
}

struct Mode {
    name: &'static str,
    tunables: Tunables,
    compiler: BaselineCompiler,
}

impl Mode {
    fn new(name: &'static str, tunables: Tunables) -> Self {
        let other = OptimizingCompiler::new(&tunables, &[], None).unwrap();
        Self { name, tunables, compiler: BaselineCompiler::new(Arc::new(other)) }
    }
}

#[test]
fn what_comes_before_the_first_call_takes_time_and_memory_in_proportion() {
    let metered =
        Tunables { consume_fuel: true, epoch_interruption: true, signals_based_traps: false, ..Tunables::default() };
    let modes = [Mode::new("default", Tunables::default()), Mode::new("metered", metered)];
    let wanted = std::env::var("AMPOULE_BOUNDS").ok();
    let mut complaints = Vec::new();
    for Row { name, shape, n, refused } in ROWS {
        if wanted.as_deref().is_some_and(|wanted| wanted != *name) {
            continue;
        }
        let decode = |binary: Vec<u8>| measure(|| Decoded::new(binary));
        let ((small, mut before), (large, mut after)) = (decode(shape(*n)), decode(shape(4 * n)));
        for _ in 0..3 {
            if complaint(before, after).is_none() {
                break;
            }
            (before, after) = (before.again(decode(shape(*n)).1), after.again(decode(shape(4 * n)).1));
        }
        if let Some(text) = complaint(before, after) {
            complaints.push(format!("{name} decoding: {text}"));
        }
        for mode in &modes {
            let pass = |module: &Decoded| {
                let (result, cost) = module.compile(mode);
                assert_eq!(result.is_err(), *refused, "{name} {}: {result:?}", mode.name);
                (result.unwrap_or(0), cost)
            };
            let ((_, mut before), (code, mut after)) = (pass(&small), pass(&large));
            for _ in 0..3 {
                if complaint(before, after).is_none() {
                    break;
                }
                (before, after) = (before.again(pass(&small).1), after.again(pass(&large).1));
            }
            let bytes = large.binary.len();
            let each = |of: usize| of as f64 / bytes as f64;
            println!(
                "{name} {}: {bytes} bytes, {:?}; for each byte {:.0} ns, {:.1} of the heap, {:.1} of code",
                mode.name,
                after.time,
                each(after.time.as_nanos() as usize),
                each(after.peak),
                each(code),
            );
            // What many values stand for has a budget of its own.
            if after.peak > FEW_BYTES + HEAP_EACH * bytes {
                complaints.push(format!("{name} {}: {} bytes of the heap for {bytes}", mode.name, after.peak));
            }
            if let Some(text) = complaint(before, after) {
                complaints.push(format!("{name} {}: {text}", mode.name));
            }
        }
    }
    assert!(complaints.is_empty(), "{} grow faster than the module:\n{}", complaints.len(), complaints.join("\n"));
}

/// Runs `f` with little fuel. Says how that ended, and how much fuel is left.
fn run(tiers: Tiers, binary: &[u8]) -> String {
    let mut config = Config::new();
    (config.tunables.tiers, config.tunables.consume_fuel) = (tiers, true);
    (config.features.function_references, config.features.gc, config.features.exceptions) = (true, true, true);
    let engine = Engine::new(&config).unwrap();
    let mut store = Store::new(&engine);
    store.set_fuel(100_000).unwrap();
    let module = Module::from_binary(&engine, binary).unwrap();
    let f = Instance::new(&mut store, &module, &[]).unwrap().get_func(&store, "f").unwrap();
    let mut results = [Val::I32(0)];
    let ended = f.call(&mut store, &[Val::I32(3)], &mut results).map(|()| results[0].clone());
    format!("{:?}, fuel {:?}", ended.map_err(|error| error.to_string()), store.fuel())
}

/// What a hot function may cost to optimize, beyond what is due to its bytes. The compilers are built for tests here, at half their speed.
const BETTER_TIME: Duration = Duration::from_millis(400);
const BETTER_NANOSECONDS_EACH: u32 = 5_000;
const BETTER_HEAP: usize = 64 << 20;
const BETTER_HEAP_EACH: usize = 1 << 10;
const BETTER_HEAP_MAX: usize = 256 << 20;

/// A function that is too much for the optimizing tier keeps its first code, and the attempt costs no more than is due to its size.
#[test]
fn better_code_has_a_budget() {
    let tunables = Tunables::default();
    let compiler = OptimizingCompiler::new(&tunables, &[], None).unwrap();
    let mut complaints = Vec::new();
    let mut refused = 0;
    for Row { name, shape, n, .. } in ROWS {
        for n in [n / 8, *n, 4 * n] {
            let Decoded { binary, module, layout } = Decoded::new(shape(n));
            let input = ModuleInput {
                module: &module,
                layout: &layout,
                bytes: &binary,
                tunables: &tunables,
                counters: None,
                profile: Some(&Likely(&layout)),
            };
            // Of a module of many functions, the first is as good as any.
            let compile = || measure(|| compiler.compile_better(&input, DefinedFuncIndex(0)).unwrap());
            let (mut better, mut cost) = compile();
            let len = (module.bodies[0].end - module.bodies[0].start) as usize;
            let (time, heap) = (
                BETTER_TIME + len as u32 * Duration::from_nanos(BETTER_NANOSECONDS_EACH.into()),
                (BETTER_HEAP + BETTER_HEAP_EACH * len).min(BETTER_HEAP_MAX),
            );
            if cost.time > time {
                let (again, later) = compile();
                (better, cost) = (again, cost.again(later));
            }
            println!(
                "{name} {n}: {len} bytes, {}, {:?}, peak {} MB",
                if better.is_some() { "better" } else { "stays" },
                cost.time,
                cost.peak >> 20
            );
            refused += usize::from(better.is_none());
            if cost.time > time || cost.peak > heap {
                complaints.push(format!("{name} {n}, {len} bytes: {:?}, {} bytes", cost.time, cost.peak));
            }
        }
    }
    assert!(refused > 20, "{refused}");
    assert!(complaints.is_empty(), "{} cost too much:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn both_tiers_answer_the_same_however_odd_a_function_is() {
    for Row { name, shape, .. } in ROWS {
        for n in [8, 60] {
            let binary = shape(n);
            let (baseline, optimized) = (run(Tiers::Baseline, &binary), run(Tiers::Optimizing, &binary));
            assert_eq!(baseline, optimized, "{name} {n}");
        }
    }
}
