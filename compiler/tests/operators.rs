//! Every family of operators compiles, in every mode, to code that Cranelift's verifier accepts.
//!
//! What the code computes is the spec suite's to say. Here only what can be said without running it.

use ampoule_compiler::optimizing::OptimizingCompiler;
use ampoule_compiler::{Compiler, ModuleInput, ValueShape};
use ampoule_core::artifact::{CompiledFunction, RelocationTarget};
use ampoule_core::builtins::Builtin;
use ampoule_core::decode::decode;
use ampoule_core::features::Features;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::module::ModuleDescription;
use ampoule_core::trap::TrapCode;
use ampoule_core::tunables::{OptLevel, Tunables};
use ampoule_core::types::{FuncType, ValType};
use ampoule_core::vm::VmLayout;

/// The modes that change what the compiler makes of an operator.
fn modes() -> Vec<Tunables> {
    let base = Tunables { debug_verifier: true, ..Tunables::default() };
    vec![
        base,
        Tunables { consume_fuel: true, ..base },
        Tunables { epoch_interruption: true, ..base },
        Tunables { consume_fuel: true, epoch_interruption: true, opt_level: OptLevel::None, ..base },
        Tunables { signals_based_traps: false, ..base },
        Tunables { signals_based_traps: false, spectre_mitigation: false, ..base },
        Tunables { memory_reservation: 1 << 20, ..base },
        Tunables { memory_reservation: 1 << 20, spectre_mitigation: false, ..base },
        Tunables { memory_guard_size: 0, nan_canonicalization: true, ..base },
        Tunables { relaxed_simd_deterministic: true, opt_level: OptLevel::SpeedAndSize, ..base },
    ]
}

fn features() -> Features {
    Features { wide_arithmetic: true, custom_page_sizes: true, ..Features::default() }
}

fn parse(wat: &str) -> (Vec<u8>, ModuleDescription) {
    let bytes = wat::parse_str(wat).expect("a well-formed test module");
    let decoded = decode(&bytes, &features()).expect("a valid test module");
    let mut scratch = ampoule_core::decode::Scratch::default();
    for body in decoded.bodies {
        ampoule_core::decode::validate_body(body, &mut scratch).expect("a valid body");
    }
    (bytes.clone(), decoded.module)
}

fn compile(wat: &str, tunables: &Tunables) -> Vec<CompiledFunction> {
    let (bytes, module) = parse(wat);
    let layout = VmLayout::new(&module);
    let compiler = OptimizingCompiler::new(tunables, &[], None).expect("this machine is supported");
    let input =
        ModuleInput { module: &module, layout: &layout, bytes: &bytes, tunables, counters: None, profile: None };
    (0..module.bodies.len() as u32)
        .map(|index| {
            let function = compiler
                .compile_function(&input, DefinedFuncIndex(index))
                .unwrap_or_else(|error| panic!("{error}\n{tunables:?}\n{wat}"));
            check(&function, &module);
            function
        })
        .collect()
}

/// What holds for all code.
fn check(function: &CompiledFunction, module: &ModuleDescription) {
    let len = function.code.len() as u32;
    assert!(function.info.positions.is_sorted_by(|a, b| a.0 < b.0));
    assert!(function.info.traps.is_sorted_by(|a, b| a.0 < b.0));
    assert!(function.info.stack_maps.is_sorted_by(|a, b| a.0 < b.0));
    assert!(function.info.traps.iter().all(|&(at, code)| at < len && TrapCode::from_u8(code).is_some()));
    assert!(function.relocations.iter().all(|relocation| relocation.offset + 4 <= len));
    for &(at, _) in &function.info.positions {
        assert!(at <= len);
        for position in function.info.positions_at(at) {
            assert!(module.code_section.contains(&u64::from(position)), "{position}");
        }
    }
    for (_, map) in &function.info.stack_maps {
        assert!(map.slots.iter().all(|&slot| slot + 4 <= map.frame_size));
    }
}

fn compile_everywhere(wat: &str) {
    for tunables in modes() {
        compile(wat, &tunables);
    }
}

fn calls(function: &CompiledFunction, builtin: Builtin) -> usize {
    function.relocations.iter().filter(|r| r.target == RelocationTarget::Builtin(builtin)).count()
}

#[test]
fn control() {
    compile_everywhere(
        r#"(module
          (func (param i32 i64) (result i64)
            (block $out (result i64)
              (loop $again (param) (result i64)
                (br_if $again (local.get 0))
                (br_table $out $again 2 $out (local.get 1) (local.get 0))))
            (if (param i64) (result i64) (local.get 0)
              (then (i64.const 3) (i64.add))
              (else (drop) (return (local.get 1))))
            (if (param i64) (result i64) (local.get 0) (then)))
          (func (result i32) (loop (br 0)) (unreachable))
          (func (result i32 i64 f32) (unreachable) (block (br 0) (if (then) (else)) (loop)) (nop) (br 0))
          (func (loop (result i32) (i32.const 0) (br_if 1 (i32.const 1))) (drop))
          (func (param i32) (result i32 i32)
            (block (result i32 i32)
              (block (result i32 i32)
                (loop (result i32 i32)
                  (br_table 1 2 1 3 2 1 (i32.const 7) (i32.const 8) (local.get 0)))))
            (return))
          (func (param i32) (result i32 i32)
            (i32.const 1) (i32.const 2)
            (loop (param i32 i32) (result i32 i32) (br_if 0 (local.get 0)))
            (block (param i32 i32) (result i32 i32) (br_if 0 (local.get 0)))))"#
            .replace(
                "(br_table $out $again 2 $out (local.get 1) (local.get 0))",
                "(br_table $out $out (local.get 1) (local.get 0))",
            )
            .as_str(),
    );
}

#[test]
fn variables_and_references() {
    compile_everywhere(
        r#"(module
          (import "m" "g" (global $ig i64))
          (import "m" "mg" (global $mg (mut externref)))
          (global $f (mut funcref) (ref.null func))
          (global $v (mut v128) (v128.const i64x2 1 2))
          (global $d f64 (f64.const 1))
          (table $t 3 externref) (table $u 1 funcref) (table $w i64 2 2 funcref)
          (elem declare func $a)
          (func $a (param externref i32) (result externref)
            (local externref v128 f32 f64 funcref)
            (global.set $mg (local.get 0))
            (local.set 2 (global.get $mg))
            (call $b)
            (select (result externref) (local.get 0) (local.get 2) (local.get 1)))
          (func $b
            (global.set $f (ref.func $a)) (global.set $v (global.get $v))
            (drop (ref.is_null (global.get $f))) (drop (global.get $d)) (drop (global.get $ig))
            (drop (select (i32.const 1) (i32.const 2) (i32.const 3))))
          (func (param i32 externref funcref) (result externref)
            (table.set $t (local.get 0) (table.get $t (i32.const 1)))
            (table.set $u (i32.const 0) (table.get $u (local.get 0)))
            (table.set $w (i64.const 1) (local.get 2))
            (drop (table.get $w (i64.const 1)))
            (drop (table.grow $t (local.get 1) (i32.const 3)))
            (drop (table.grow $w (local.get 2) (i64.const 3)))
            (table.fill $t (i32.const 0) (local.get 1) (i32.const 2))
            (table.copy $u $u (i32.const 0) (i32.const 0) (i32.const 0))
            (table.init $u 0 (i32.const 0) (i32.const 0) (i32.const 0))
            (elem.drop 0)
            (drop (table.size $t)) (drop (table.size $w))
            (ref.null extern)))"#,
    );
}

#[test]
fn calls_of_every_kind() {
    compile_everywhere(
        r#"(module
          (type $s (func (param i32) (result i32)))
          (type $wide (func (param i32 i32 i32 i32 i32 i32 i32 i32 f64 v128) (result i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 v128)))
          (import "m" "f" (func $f (type $s)))
          (import "m" "w" (func $w (type $wide)))
          (table $fixed 4 4 funcref) (table $grows 4 funcref) (table $wide_index i64 4 funcref)
          (func $own (type $s) (call $f (call $own (local.get 0))))
          (func (type $s) (call_indirect $fixed (type $s) (local.get 0) (local.get 0)))
          (func (type $s) (call_indirect $grows (type $s) (local.get 0) (i32.const 3)))
          (func (type $s) (call_indirect $wide_index (type $s) (local.get 0) (i64.const 3)))
          (func (type $s) (return_call $own (local.get 0)))
          (func (type $s) (return_call $f (local.get 0)))
          (func (type $s) (return_call_indirect $fixed (type $s) (local.get 0) (local.get 0)))
          (func (type $wide)
            (return_call $w (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
              (local.get 6) (local.get 7) (local.get 8) (local.get 9)))
          (func (type $wide)
            (call $w (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
              (local.get 6) (local.get 7) (local.get 8) (local.get 9))))"#,
    );
}

#[test]
fn memory_accesses_of_every_width_and_shape() {
    for memory in [
        "(memory 1)",
        "(memory 1 1)",
        "(memory 0 100)",
        "(import \"m\" \"m\" (memory 2))",
        "(memory 1 2 shared)",
        "(memory 65536)",
        "(memory 1000 (pagesize 1))",
    ] {
        compile_everywhere(&accesses(memory, "i32", &["0", "65532", "0x7fff0000", "0xffffffff"]));
    }
    for memory in ["(memory i64 1)", "(memory i64 1 1)", "(memory i64 0x1000000000000)"] {
        compile_everywhere(&accesses(memory, "i64", &["0", "0xffffffff", "0xffffffffffffffff"]));
    }
}

fn accesses(memory: &str, index: &str, offsets: &[&str]) -> String {
    let loads = "i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u i64.load8_s \
                 i64.load8_u i64.load16_s i64.load16_u i64.load32_s i64.load32_u";
    let stores = "i32.store i64.store f32.store f64.store i32.store8 i32.store16 i64.store8 i64.store16 i64.store32";
    let mut body = String::new();
    for offset in offsets {
        for load in loads.split_whitespace() {
            body += &format!("(drop ({load} offset={offset} (local.get 0)))");
            body += &format!("(drop ({load} offset={offset} ({index}.const 100)))");
        }
        for store in stores.split_whitespace() {
            let ty = &store[..3];
            body += &format!("({store} offset={offset} (local.get 0) ({ty}.const 1))");
        }
    }
    let bulk = "(drop (memory.size)) (drop (memory.grow (local.get 0)))
         (memory.fill (local.get 0) (i32.const 7) (local.get 0)) (memory.copy (local.get 0) (local.get 0) (local.get 0))
         (memory.init 0 (local.get 0) (i32.const 0) (i32.const 1)) (data.drop 0)";
    let inline: String = [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 64, 127, 128, 129]
        .iter()
        .map(|len| {
            format!(
                "(memory.fill (local.get 0) (i32.const 7) ({index}.const {len}))
                 (memory.copy (local.get 0) ({index}.const 3) ({index}.const {len}))"
            )
        })
        .collect();
    format!(
        "(module {memory} (data \"abc\") (func (param {index}) {body}) (func (param {index}) {bulk}) (func (param {index}) {inline}))"
    )
}

#[test]
fn several_memories_of_different_widths() {
    compile_everywhere(
        r#"(module (memory $a 1) (memory $b i64 1)
          (func (param i32 i64)
            (memory.copy $a $b (local.get 0) (local.get 1) (local.get 0))
            (memory.copy $b $a (local.get 1) (local.get 0) (local.get 0))
            (memory.copy $b $b (local.get 1) (local.get 1) (local.get 1))
            (memory.copy $b $a (local.get 1) (local.get 0) (i32.const 24))
            (i32.store $a (local.get 0) (i32.load $b (local.get 1)))))"#,
    );
}

#[test]
fn a_trap_calls_the_builtin() {
    let functions = compile("(module (func (unreachable)))", &Tunables::default());
    assert_eq!(calls(&functions[0], Builtin::Trap), 1);
    assert!(functions[0].info.traps.is_empty());
    // The call's return address tells the operator.
    let call = functions[0].relocations[0].offset + 4;
    assert!(functions[0].info.positions_at(call - 1).next().is_some());
}

#[test]
fn a_guarded_access_is_one_that_may_fault() {
    let functions =
        compile("(module (memory 1) (func (param i32) (result i32) (i32.load (local.get 0))))", &Tunables::default());
    assert_eq!(functions[0].info.traps.len(), 1);
    assert_eq!(functions[0].info.trap_at(functions[0].info.traps[0].0), Some(TrapCode::MemoryOutOfBounds));
    assert!(functions[0].relocations.is_empty());
}

#[test]
fn without_signals_no_access_may_fault() {
    let tunables = Tunables { signals_based_traps: false, ..Tunables::default() };
    let wat = "(module (memory 1) (func (param i32) (result i32)
        (i32.add (i32.load (local.get 0)) (i32.load8_u offset=70000 (local.get 0)))))";
    let functions = compile(wat, &tunables);
    assert_eq!(functions[0].info.traps, []);
    assert_eq!(calls(&functions[0], Builtin::Trap), 2);
}

#[test]
fn leaves_do_not_check_the_stack_and_others_do() {
    let functions = compile("(module (func $leaf) (func (call $leaf) (call $leaf)))", &Tunables::default());
    assert_eq!(calls(&functions[0], Builtin::StackOverflow), 0);
    assert_eq!(calls(&functions[1], Builtin::StackOverflow), 1);
}

#[test]
fn a_huge_frame_is_checked_before_it_is_made() {
    // 2000 vectors live across a call.
    let locals = "v128 ".repeat(2000);
    let sets: String =
        (0..2000).map(|i| format!("(local.set {i} (v128.load offset={} (i32.const 0)))", i * 16)).collect();
    let gets: String =
        (0..2000).map(|i| format!("(v128.store offset={} (i32.const 0) (local.get {i}))", 40000 - i * 16)).collect();
    let wat = format!("(module (memory 1) (func $f (local {locals}) {sets} (call $f) {gets}))");
    for tunables in [Tunables::default(), Tunables { consume_fuel: true, ..Tunables::default() }] {
        let functions = compile(&wat, &tunables);
        let function = &functions[0];
        assert_eq!(calls(function, Builtin::StackOverflow), 1);
        let overflow = function
            .relocations
            .iter()
            .find(|r| r.target == RelocationTarget::Builtin(Builtin::StackOverflow))
            .expect("counted above");
        // The check is in the entry, which comes first.
        assert!(overflow.offset < 256, "{}", overflow.offset);
    }
}

#[test]
fn a_live_externref_is_in_the_stack_map_of_a_call() {
    let functions = compile(
        "(module (func $f (param externref) (result externref) (drop (call $f (local.get 0))) (local.get 0)))",
        &Tunables::default(),
    );
    let maps = &functions[0].info.stack_maps;
    assert_eq!(maps.len(), 1);
    assert_eq!(maps[0].1.slots.len(), 1);
}

#[test]
fn a_function_of_millions_of_values_is_refused() {
    // Ten thousand branches of four bytes, each of which takes a thousand values along.
    let results = "i32 ".repeat(1000);
    let branches = "i32.const 0 br_if 0 ".repeat(10_000);
    let wat = format!("(module (func $f (result {results}) call $f {branches}))");
    let (bytes, module) = parse(&wat);
    let layout = VmLayout::new(&module);
    let tunables = Tunables::default();
    let compiler = OptimizingCompiler::new(&tunables, &[], None).expect("this machine is supported");
    let input = ModuleInput {
        module: &module,
        layout: &layout,
        bytes: &bytes,
        tunables: &tunables,
        counters: None,
        profile: None,
    };
    let error = compiler.compile_function(&input, DefinedFuncIndex(0)).expect_err("it is too large");
    assert_eq!(error.message(), "the function is too large");
}

#[test]
fn a_function_of_many_locals_and_blocks_is_refused_only_if_they_are_references() {
    let blocks = "block end ".repeat(100_000);
    let gets: String = (0..5000).map(|local| format!("local.get {local} drop ")).collect();
    let compile = |ty: &str| {
        let wat = format!("(module (func (local {}) {blocks} {gets}))", format!("{ty} ").repeat(5000));
        let (bytes, module) = parse(&wat);
        let layout = VmLayout::new(&module);
        let tunables = Tunables::default();
        let compiler = OptimizingCompiler::new(&tunables, &[], None).expect("this machine is supported");
        let input = ModuleInput {
            module: &module,
            layout: &layout,
            bytes: &bytes,
            tunables: &tunables,
            counters: None,
            profile: None,
        };
        compiler.compile_function(&input, DefinedFuncIndex(0)).map(|_| ()).map_err(|error| error.message().to_string())
    };
    assert_eq!(compile("i32"), Ok(()));
    // What is known of references is kept for each block.
    assert_eq!(compile("externref"), Err("the function is too large".to_string()));
}

/// A function as compilers write it that don't optimize: each statement has locals and blocks of its own.
#[test]
fn unoptimized_code_of_any_length_is_optimized() {
    let statement = |k: usize| {
        let copies: String =
            (0..30).map(|j| format!("(local.set {} (local.get {})) ", 31 * k + j + 2, 31 * k + j + 1)).collect();
        format!(
            "(local.set {} (local.get 0)) {copies} block (br_if 0 (i32.ne (local.get {}) (i32.const {k})))
             (local.set 0 (i32.mul (local.get 0) (i32.const 3))) end ",
            31 * k + 1,
            31 * k + 31,
        )
    };
    for statements in [100, 1000] {
        let locals = "i32 ".repeat(31 * statements);
        let text: String = (0..statements).map(statement).collect();
        let wat = format!("(module (func (param i32) (result i32) (local {locals}) {text} (local.get 0)))");
        let code = &compile(&wat, &Tunables::default())[0].code;
        // A comparison, a branch, a product; no copies.
        assert!(code.len() < 32 * statements, "{} bytes for {statements} statements", code.len());
    }
}

#[test]
fn thunks_of_many_signatures() {
    use ValType::*;
    let tunables = Tunables { debug_verifier: true, ..Tunables::default() };
    let compiler = OptimizingCompiler::new(&tunables, &[], None).expect("this machine is supported");
    let all = [I32, I64, F32, F64, V128];
    let many: Vec<_> = all.iter().copied().cycle().take(1000).collect();
    let signatures = [
        FuncType::new([], []),
        FuncType::new([I32, I32], [I32]),
        FuncType::new(all, all),
        FuncType::new(many.iter().copied(), []),
        FuncType::new([], many.iter().copied()),
        FuncType::new(many.iter().copied(), many.iter().copied()),
        FuncType::new([ValType::FUNCREF, ValType::EXTERNREF], [ValType::EXTERNREF, ValType::FUNCREF, I64]),
        FuncType::new([ValType::FUNCREF; 1000], [ValType::FUNCREF; 1000]),
        FuncType::new([ValType::EXTERNREF; 1000], [ValType::EXTERNREF; 1000]),
    ];
    for ty in &signatures {
        for shape in [ValueShape::Raw, ValueShape::Checked] {
            let checked = shape == ValueShape::Checked;
            let count = |types: &[ValType], of| types.iter().filter(|&&ty| checked && ty == of).count();
            let externrefs = |types: &[ValType]| count(types, ValType::EXTERNREF);
            // The runtime is asked of functions that are older than a deletion.
            let funcrefs = |types: &[ValType]| count(types, ValType::FUNCREF);
            let (params, results) = (externrefs(ty.params()), externrefs(ty.results()));
            let (lends, gets) = (usize::from(params != 0), usize::from(results != 0));

            let entry = compiler.entry_thunk(ty, shape).expect("an entry thunk");
            assert_eq!((calls(&entry, Builtin::RawRef), calls(&entry, Builtin::RootRefs)), (params, gets));
            assert_eq!(calls(&entry, Builtin::RawFuncOf), funcrefs(ty.params()));
            assert_eq!(entry.relocations.len(), params + gets + funcrefs(ty.params()));

            let exit = compiler.exit_thunk(ty, shape).expect("an exit thunk");
            assert_eq!(calls(&exit, Builtin::HostError), 1);
            let refuses = usize::from(checked && !ty.results().is_empty());
            assert_eq!(calls(&exit, Builtin::HostResultMismatch), refuses);
            assert_eq!((calls(&exit, Builtin::RootRefs), calls(&exit, Builtin::RawRef)), (lends, results));
            assert_eq!(calls(&exit, Builtin::RawFuncOf), funcrefs(ty.results()));
            // Arguments once, whatever came of the call; results after an error, and after they were read.
            assert_eq!(calls(&exit, Builtin::UnrootRefs), lends + 2 * gets);
        }
    }
}

#[test]
fn flags_are_known_or_refused() {
    let flag = |name: &str, value: Option<&str>| {
        let flags = [(name.to_string(), value.map(str::to_string))];
        OptimizingCompiler::new(&Tunables::default(), &flags, None).map(|compiler| compiler.target().to_string())
    };
    assert!(flag("opt_level", Some("none")).is_ok());
    assert!(flag("has_avx", Some("false")).is_ok_and(|target| !target.split([',', ' ']).any(|word| word == "has_avx")));
    assert!(flag("enable_verifier", None).is_ok());
    assert!(flag("no_such_flag", None).is_err());
    assert!(flag("opt_level", Some("sideways")).is_err());
    // What the contract fixes stays.
    assert!(flag("preserve_frame_pointers", Some("false")).is_ok());
    assert!(OptimizingCompiler::new(&Tunables::default(), &[], Some("riscv64gc-unknown-linux-gnu")).is_err());
    assert!(OptimizingCompiler::new(&Tunables::default(), &[], Some("x86_64-unknown-linux-gnu")).is_ok());
}
