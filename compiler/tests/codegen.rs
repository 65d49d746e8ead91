//! The code made of a few small modules, for the default settings and the oldest x86-64 CPU: what is hot must stay as short as
//! it is.
//!
//! Each `codegen/*.wat` has its code in the `.txt` beside it. With `AMPOULE_BLESS=1` the latter are written anew.

use ampoule_compiler::optimizing::{OptimizingCompiler, Pass};
use ampoule_compiler::{ModuleInput, Profile};
use ampoule_core::decode::{body_reader, decode};
use ampoule_core::features::Features;
use ampoule_core::index::{DefinedFuncIndex, FuncIndex};
use ampoule_core::tunables::Tunables;
use ampoule_core::vm::{Callees, KnownCallees, VmLayout};
use std::path::Path;

fn features() -> Features {
    Features { exceptions: true, function_references: true, gc: true, ..Features::default() }
}

fn listing(wat: &str, tunables: &Tunables) -> String {
    listing_with(wat, tunables, &[])
}

fn listing_with(wat: &str, tunables: &Tunables, flags: &[(String, Option<String>)]) -> String {
    let bytes = wat::parse_str(wat).expect("a well-formed module");
    let module = decode(&bytes, &features()).expect("a valid module").module;
    let layout = VmLayout::new(&module);
    let compiler =
        OptimizingCompiler::new(tunables, flags, Some("x86_64-unknown-linux-gnu")).expect("a supported target");
    let input =
        ModuleInput { module: &module, layout: &layout, bytes: &bytes, tunables, counters: None, profile: None };
    (0..module.bodies.len() as u32)
        .map(|index| compiler.listing(&input, DefinedFuncIndex(index)).expect("it compiles") + "\n")
        .collect()
}

/// The flag that leaves a pass out: here what all copies compute would be computed once.
fn without(pass: Pass) -> (String, Option<String>) {
    (pass.name().to_string(), Some("false".to_string()))
}

/// Hints change where code is placed.
#[test]
fn what_is_unlikely_is_placed_last() {
    let place_of = |hint: &str, operator: &str| {
        let text = format!(
            r#"(module (memory 1)
                 (func (param i32)
                   (block
                     local.get 0
                     {hint}
                     {operator}
                     (i32.store (i32.const 0) (i32.const 1111)))
                   (i32.store (i32.const 4) (i32.const 2222))))"#
        );
        let bytes = wat::parse_str(text).expect("a well-formed module");
        let features = Features { branch_hinting: true, ..Features::default() };
        let module = decode(&bytes, &features).expect("a valid module").module;
        let layout = VmLayout::new(&module);
        let tunables = Tunables::default();
        let compiler =
            OptimizingCompiler::new(&tunables, &[], Some("x86_64-unknown-linux-gnu")).expect("a supported target");
        let input = ModuleInput {
            module: &module,
            layout: &layout,
            bytes: &bytes,
            tunables: &tunables,
            counters: None,
            profile: None,
        };
        let listing = compiler.listing(&input, DefinedFuncIndex(0)).expect("it compiles");
        let at = |number: &str| listing.find(number).expect("the store's number is in the code");
        at("0x457") < at("0x8ae")
    };
    let (likely, unlikely) = (r#"(@metadata.code.branch_hint "\01")"#, r#"(@metadata.code.branch_hint "\00")"#);
    assert!(place_of("", "br_if 0"), "in the order of the text");
    assert!(place_of(unlikely, "br_if 0"));
    assert!(!place_of(likely, "br_if 0"), "the store that is mostly jumped over comes last");
}

/// A way out of a loop in the midst of it, to a trap or a block's end, keeps nothing behind it from being moved out of the loop.
#[test]
fn what_stays_the_same_is_loaded_before_the_loop() {
    let ways_out = [
        "(br_if 1 (local.get 0))",
        "(block (br_if 0 (i32.eqz (local.get 0))) (br 2))",
        "(drop (i32.div_s (local.get 1) (local.get 0)))",
    ];
    for way_out in ways_out {
        let listing = listing(
            &format!(
                r#"(module (memory 1)
                     (func (param i32 i32)
                       (block (loop
                         {way_out}
                         (i32.store8 (local.get 1) (i32.const 1))
                         (br_if 0 (local.tee 1 (i32.sub (local.get 1) (local.get 0))))))))"#
            ),
            &Tunables::default(),
        );
        // The memory's base is all that comes from the context.
        let (load, check) = (listing.find("(%rdi)"), listing.find("testl"));
        assert!(load.is_some() && load < check, "the base is loaded in the loop:\n{listing}");
    }
}

/// A recursive function has one copy of itself for each of its calls; of the calls in there, what returns at once is before the call.
#[test]
fn a_recursive_function_calls_itself_less() {
    let code = |bound: &str| {
        let wat = format!(
            "(module (func $fib (param i32) (result i32)
               {bound}
               (i32.add (i32.const 0x1234)
                 (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))"
        );
        let listing = listing(&wat, &Tunables::default());
        // The call for a stack overflow is one more.
        (listing.matches("0x1234").count(), listing.matches("call ").count() - 1, listing.matches("cmpl $0x7").count())
    };
    let quick = "(if (i32.lt_u (local.get 0) (i32.const 7)) (then (return (local.get 0))))";
    assert_eq!(code(quick), (3, 4, 1 + 2 + 4));
    let trapping = "(if (i32.lt_u (local.get 0) (i32.const 7)) (then unreachable))";
    assert_eq!(code(trapping).2, 1 + 2, "nothing returns at once");
}

/// Where a function that throws is inlined into one that catches, nothing is thrown.
#[test]
fn a_throw_in_a_callee_that_is_inlined_is_a_branch() {
    let calls = |call: &str| {
        let wat = format!(
            "(module
               (type $unary (func (param i32) (result i32)))
               (tag $t (param i32))
               (func (param i32) (result i32)
                 (block $caught (result i32)
                   (try_table (result i32) (catch $t $caught) {call})))
               (func $throws (param i32) (result i32)
                 (if (i32.lt_s (local.get 0) (i32.const 0)) (then (throw $t (i32.const 5))))
                 (local.get 0))
               (func $more (param i32) (result i32) (call $throws (local.get 0))))"
        );
        let listing = listing(&wat, &Tunables::default());
        let catching = &listing[..listing.find("\n\n").expect("a blank line between functions")];
        catching.matches("call ").count()
    };
    // That for a stack overflow.
    assert_eq!(calls("(call $throws (local.get 0))"), 1);
    assert_eq!(calls("(call $more (local.get 0))"), 1);
    let by_reference = calls("(call_ref $unary (local.get 0) (ref.null $unary))");
    assert_eq!(by_reference, 3, "it, and what throws on exceptions of other tags");
}

/// What each indirect call of a module is said to have called, in the order of the text: the references' places.
struct Noted(Vec<(u32, Callees)>);

impl Profile for Noted {
    fn call_site(&self, _: u32) -> usize {
        unreachable!("the optimizing tier notes nothing")
    }

    fn callees(&self, position: u32) -> Option<Callees> {
        self.0.iter().find(|(at, _)| *at == position).map(|&(_, callees)| callees)
    }

    fn was_called(&self, _: DefinedFuncIndex) -> bool {
        true
    }
}

/// What an indirect call has called: functions, and whether others hardly; or nothing.
type Called<'a> = Option<(&'a [u32], bool)>;

/// The first function's code, where that is known of indirect calls; of those behind them it is not.
fn listing_where_called(wat: &str, called: &[Called<'_>]) -> String {
    let bytes = wat::parse_str(wat).expect("a well-formed module");
    let module = decode(&bytes, &features()).expect("a valid module").module;
    let layout = VmLayout::new(&module);
    let tunables = Tunables::default();
    let compiler =
        OptimizingCompiler::new(&tunables, &[], Some("x86_64-unknown-linux-gnu")).expect("a supported target");
    let mut calls = Vec::new();
    for body in module.bodies.iter() {
        let mut reader = body_reader(&bytes, body).get_operators_reader().expect("it has been validated");
        while !reader.eof() {
            let (op, position) = reader.read_with_offset().expect("it has been validated");
            let name = format!("{op:?}");
            if name.contains("CallIndirect") || name.contains("CallRef") {
                calls.push(position as u32);
            }
        }
    }
    let callees = |called: &Called<'_>| match *called {
        Some((functions, are_nearly_all)) => {
            let noted = functions.iter().map(|&func| {
                let position = module.func_ref(FuncIndex(func)).expect("there may be references to it");
                layout.func_ref(position).into()
            });
            Callees::Known(KnownCallees::new(&noted.collect::<Vec<u64>>(), are_nearly_all))
        }
        None => Callees::None,
    };
    let noted = Noted(calls.into_iter().zip(called.iter().map(callees)).collect());
    let input = ModuleInput {
        module: &module,
        layout: &layout,
        bytes: &bytes,
        tunables: &tunables,
        counters: None,
        profile: Some(&noted),
    };
    compiler.listing(&input, DefinedFuncIndex(0)).expect("it compiles")
}

const INDIRECT: &str = r#"(module
  (type $unary (func (param i32) (result i32)))
  (type $binary (func (param i32 i32) (result i32)))
  (import "" "" (func $imported (type $unary)))
  (table $t 10 funcref)
  (elem declare func $small $large $other $imported)
  (func (param i32) (param $f (ref null $unary)) (result i32) CALL)
  (func $small (type $unary) (i32.add (local.get 0) (i32.const 0x1234)))
  (func $large (type $unary) (loop (br_if 0 (local.get 0))) (local.get 0))
  (func $other (type $binary) (i32.add (local.get 0) (i32.const 0x1234))))"#;

/// How often the small function's constant is there, and calls of a function of the module and of a register, tail calls included.
fn indirect(call: &str, called: &[Called<'_>]) -> (usize, usize, usize) {
    let listing = listing_where_called(&INDIRECT.replace("CALL", call), called);
    let inlined = listing.matches("0x1234").count();
    let direct = listing.matches("User(userextname").count();
    let through_register = listing.matches("call    *%").count() + listing.matches("return_call_unknown").count();
    (inlined, direct, through_register)
}

#[test]
fn an_indirect_call_of_nearly_always_one_function_is_a_comparison_and_that_function() {
    const SMALL: u32 = 2;
    const LARGE: u32 = 3;
    const OTHER: u32 = 4;
    for call in [
        "(call_indirect (type $unary) (local.get 0) (local.get 0))",
        "(call_ref $unary (local.get 0) (local.get $f))",
        "(return_call_indirect (type $unary) (local.get 0) (local.get 0))",
        "(return_call_ref $unary (local.get 0) (local.get $f))",
    ] {
        let (_, before, _) = indirect(call, &[None]);
        assert_eq!(indirect(call, &[None]), (0, before, 1), "{call}: it was never made");
        let of_any = if call.contains("return") { (0, before + 2, 1) } else { (1, before + 1, 1) };
        assert_eq!(indirect(call, &[]), of_any, "{call}: nothing is known but that there are two of the type");
        let of_small = if call.contains("return") { (0, before + 1, 1) } else { (1, before, 1) };
        assert_eq!(indirect(call, &[Some((&[SMALL], true))]), of_small, "{call}");
        assert_eq!(indirect(call, &[Some((&[LARGE], true))]), (0, before + 1, 1), "{call}");
        assert_eq!(indirect(call, &[Some((&[OTHER], true))]), (0, before, 1), "{call}: of another type");
        assert_eq!(indirect(call, &[Some((&[0], true))]), (0, before, 1), "{call}: of another instance");
        let called = |called: &[u32], are_nearly_all| indirect(call, &[Some((called, are_nearly_all))]);
        assert_eq!(called(&[LARGE, SMALL], true), of_any, "{call}: of two functions");
        assert_eq!(called(&[LARGE, 0, SMALL], true), of_any, "{call}: and of another instance");
        assert_eq!(called(&[LARGE], false), of_any, "{call}: the other is the only one left");
    }
}

/// What is unlikely comes last: calls of other functions than the usual one, and what only leads there.
#[test]
fn what_is_called_in_its_place_is_placed_behind() {
    let call = "(call_indirect (type $unary) (local.get 0) (local.get 0))";
    let listing = listing_where_called(&INDIRECT.replace("CALL", call), &[Some((&[2], true))]);
    assert!(listing.find("retq") < listing.find("call "), "{listing}");
}

/// A loop keeps its values in registers around a call that a handler is for, as it does without one.
#[test]
fn a_handler_takes_no_registers() {
    let stores = |begin: &str| {
        let wat = format!(
            "(module
               (tag $t)
               (func (param $n i32) (result i32) (local $sum i32)
                 (block $caught
                   (loop
                     ({begin} (local.set $sum (i32.add (local.get $sum) (call $called (local.get $n)))))
                     (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
                 (local.get $sum))
               (func $called (param i32) (result i32) (loop (br_if 0 (local.get 0))) (local.get 0)))"
        );
        let listing = listing(&wat, &Tunables::default());
        let looping = &listing[..listing.find("\n\n").expect("a blank line between functions")];
        looping.matches("<offset:1>+").count()
    };
    assert_eq!(stores("block"), 0);
    assert_eq!(stores("try_table (catch $t $caught)"), 0);
}

/// A loop latch is copied to where branches lead to it, unless it is long.
#[test]
fn every_way_through_a_loop_has_its_own_branch_back() {
    let copies = |more: &str| {
        let listing = listing_with(
            &format!(
                "(module (func (param i32 i32) (result i32)
                   (loop
                     (block
                       (block
                         (block (br_table 0 1 2 (local.get 1)))
                         (local.set 1 (i32.const 5))
                         (br 1))
                       (local.set 1 (i32.const 6))
                       (br 0))
                     {more}
                     (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 0x1234)))))
                   (local.get 1)))"
            ),
            &Tunables::default(),
            &[without(Pass::CodeHoisting)],
        );
        listing.matches("subl $0x1234").count()
    };
    assert_eq!(copies(""), 3);
    assert_eq!(copies("(local.set 1 (local.get 1))"), 3);
    assert_eq!(copies(&"(local.set 1 (i32.add (local.get 1) (i32.const 1)))".repeat(2)), 1, "too many operators");
    assert_eq!(copies("(local.set 1 (i32.div_u (local.get 1) (i32.const 9)))"), 1, "a division may trap");
}

/// A function has 64 copies of its latches at most.
#[test]
fn a_function_has_so_many_copies_of_latches_and_no_more() {
    let latches = |ways: usize| {
        let arms: String = (0..ways)
            .map(|way| format!("(local.set 1 (i32.const {}))\n(br {}))\n", 0x7000 + way, ways - 1 - way))
            .collect();
        let labels: String = (0..=ways).map(|label| format!("{label} ")).collect();
        let wat = format!(
            "(module (func (param i32 i32) (result i32)
               (loop
                 {}
                 (br_table {labels} (local.get 1)))
                 {arms}
                 (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 0x1234)))))
               (local.get 1)))",
            "(block ".repeat(ways + 1)
        );
        let listing = listing_with(&wat, &Tunables::default(), &[without(Pass::CodeHoisting)]);
        listing.matches("subl $0x1234").count()
    };
    // The latch itself is one more.
    assert_eq!([3, 64, 65, 200].map(latches), [4, 65, 65, 65]);
}

/// In search of latches, 65,536 operators of a function are read at most: for all of its branches together.
#[test]
fn latches_that_are_far_away_are_not_looked_for() {
    let latches = |operators: usize, branches: usize| {
        let branch = format!(
            "(loop
               (block
                 (block (br_if 0 (local.get 1)) (local.set 1 (i32.const 5)) (br 1))
                 {}
                 (local.set 1 (i32.const 6)))
               (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 0x1234)))))",
            "nop\n".repeat(operators)
        );
        let wat = format!("(module (func (param i32 i32) (result i32) {} (local.get 1)))", branch.repeat(branches));
        listing_with(&wat, &Tunables::default(), &[without(Pass::CodeHoisting)]).matches("subl $0x1234").count()
    };
    assert_eq!(latches(65_000, 1), 2);
    assert_eq!(latches(66_000, 1), 1);
    assert_eq!(latches(30_000, 3), 5, "two of them are found");
}

/// `__multi3`, as compilers have it: one instruction for each half of `a·b`, and two multiplications for what is above.
#[test]
fn a_product_of_four_products_is_one() {
    let multi3 = |mask: &str| {
        let listing = listing(
            &format!(
                "(module (func (param $a i64) (param $b i64) (param $more i64) (result i64 i64)
                   (local $low i64) (local $first i64) (local $second i64)
                   (local.set $low (i64.mul (i64.and (local.get $b) {mask}) (i64.and (local.get $a) (i64.const 0xffffffff))))
                   (local.set $first (i64.add (i64.shr_u (local.get $low) (i64.const 32))
                     (i64.mul (i64.and (local.get $b) (i64.const 0xffffffff)) (i64.shr_u (local.get $a) (i64.const 32)))))
                   (local.set $second (i64.add (i64.and (local.get $first) (i64.const 0xffffffff))
                     (i64.mul (i64.shr_u (local.get $b) (i64.const 32)) (i64.and (local.get $a) (i64.const 0xffffffff)))))
                   (i64.or (i64.shl (local.get $second) (i64.const 32)) (i64.and (local.get $low) (i64.const 0xffffffff)))
                   (i64.add
                     (i64.add
                       (i64.add (local.get $more)
                         (i64.mul (i64.shr_u (local.get $b) (i64.const 32)) (i64.shr_u (local.get $a) (i64.const 32))))
                       (i64.shr_u (local.get $first) (i64.const 32)))
                     (i64.shr_u (local.get $second) (i64.const 32)))))"
            ),
            &Tunables::default(),
        );
        listing.matches("mul").count()
    };
    assert_eq!(multi3("(i64.const 0xffffffff)"), 2);
    assert_eq!(multi3("(i64.const 0x7fffffff)"), 4, "another function");
}

#[test]
fn flags_change_the_code() {
    let wat = "(module (func (param i32 i32) (result i32) (local i32)
        (loop
          (local.set 2 (i32.add (local.get 2) (i32.mul (local.get 0) (local.get 1))))
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (i32.add (local.get 2) (local.get 1)))
      (func (param f32) (result f32) (f32.add (local.get 0) (local.get 0))))";
    let tunables = Tunables::default();
    let with = |name: &str, value: Option<&str>| {
        listing_with(wat, &tunables, &[(name.to_string(), value.map(str::to_string))])
    };
    let usual = listing(wat, &tunables);
    assert_eq!(with("regalloc_algorithm", Some("backtracking")), usual);
    assert_ne!(with("regalloc_algorithm", Some("single_pass")), usual);
    assert_ne!(with("enable_nan_canonicalization", None), usual);
    assert_ne!(with("opt_level", Some("none")), usual);
    // What the runtime relies on can't be switched off.
    assert_eq!(with("preserve_frame_pointers", Some("false")), usual);
}

#[test]
fn flags_that_there_are_not_are_errors() {
    let error = |name: &str, value: Option<&str>, target: &str| {
        let flags = [(name.to_string(), value.map(str::to_string))];
        OptimizingCompiler::new(&Tunables::default(), &flags, Some(target)).err().map(|error| error.to_string())
    };
    let here = "x86_64-unknown-linux-gnu";
    assert_eq!(error("has_avx", None, here), None);
    assert!(error("no_such_flag", None, here).is_some_and(|message| message.contains("no_such_flag")));
    assert!(error("opt_level", Some("fastest"), here).is_some_and(|message| message.contains("opt_level")));
    assert!(error("opt_level", Some("speed"), "no-such-target").is_some());
    assert!(error("opt_level", Some("speed"), "riscv64-unknown-linux-gnu").is_some());
}

#[test]
fn code_is_what_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codegen");
    let bless = std::env::var_os("AMPOULE_BLESS").is_some();
    let mut checked = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "wat") {
            continue;
        }
        let wat = std::fs::read_to_string(&path).expect("a readable module");
        let tunables = Tunables {
            consume_fuel: wat.contains(";; fuel"),
            epoch_interruption: wat.contains(";; epoch"),
            cancellation: wat.contains(";; cancellation"),
            ..Tunables::default()
        };
        let found = listing(&wat, &tunables);
        let expected = path.with_extension("txt");
        if bless {
            std::fs::write(&expected, &found).expect("a writable folder");
        } else {
            let expected = std::fs::read_to_string(&expected).expect("a module with its code beside it");
            assert!(found == expected, "{}: the code is now\n{found}", path.display());
        }
        checked += 1;
    }
    assert!(checked > 0, "there is something to check");
}
