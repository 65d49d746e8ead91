//! What each pass of the optimizing tier makes of code that it is meant for, told from the listing without it, and what it leaves alone.

use ampoule_compiler::optimizing::{OptimizingCompiler, Pass};
use ampoule_compiler::{Compiler, ModuleInput};
use ampoule_core::decode::decode;
use ampoule_core::features::Features;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::tunables::Tunables;
use ampoule_core::vm::VmLayout;

fn compiler(flags: &[(String, Option<String>)]) -> Result<OptimizingCompiler, ampoule_compiler::CompileError> {
    OptimizingCompiler::new(&Tunables::default(), flags, Some("x86_64-unknown-linux-gnu"))
}

/// The first function's code, with these passes off.
fn listing(wat: &str, off: &[Pass]) -> String {
    let flags: Vec<_> = off.iter().map(|pass| (pass.name().to_string(), Some("false".to_string()))).collect();
    listing_with(wat, &flags)
}

/// The first function's code, with these flags.
fn listing_with(wat: &str, flags: &[(String, Option<String>)]) -> String {
    listing_under(wat, flags, Tunables::default())
}

/// The first function's code where no guard stops what is out of bounds, with these passes off.
fn checked_listing(wat: &str, off: &[Pass]) -> String {
    let flags: Vec<_> = off.iter().map(|pass| (pass.name().to_string(), Some("false".to_string()))).collect();
    listing_under(wat, &flags, Tunables { memory_reservation: 0, memory_guard_size: 0, ..Tunables::default() })
}

fn listing_under(wat: &str, flags: &[(String, Option<String>)], tunables: Tunables) -> String {
    let tunables = Tunables { debug_verifier: true, ..tunables };
    let compiler =
        OptimizingCompiler::new(&tunables, flags, Some("x86_64-unknown-linux-gnu")).expect("a supported target");
    with_module(wat, &tunables, |input| compiler.listing(input, DefinedFuncIndex(0)).expect("it compiles"))
}

/// How many bytes the first function's code has as it is compiled ahead, and as one that runs often.
fn lengths(wat: &str) -> [usize; 2] {
    let compiler = compiler(&[]).expect("a supported target");
    with_module(wat, &Tunables::default(), |input| {
        let ahead = compiler.compile_function(input, DefinedFuncIndex(0)).expect("it compiles");
        let hot = compiler.compile_better(input, DefinedFuncIndex(0)).expect("it compiles");
        [ahead.code.len(), hot.expect("it is no more than it may be").code.len()]
    })
}

/// What is answered about a module, as compilers take it.
fn with_module<T>(wat: &str, tunables: &Tunables, ask: impl FnOnce(&ModuleInput<'_>) -> T) -> T {
    let bytes = wat::parse_str(wat).expect("a well-formed module");
    let module = decode(&bytes, &Features::default()).expect("a valid module").module;
    let layout = VmLayout::new(&module);
    ask(&ModuleInput { module: &module, layout: &layout, bytes: &bytes, tunables, counters: None, profile: None })
}

/// How often a text is in a function's code, with a pass and without it.
fn counts(wat: &str, pass: Pass, wanted: &str) -> (usize, usize) {
    (listing(wat, &[]).matches(wanted).count(), listing(wat, &[pass]).matches(wanted).count())
}

/// A function of these parameters and this body, in a module with a memory.
fn function(signature: &str, body: &str) -> String {
    format!("(module (memory 1) (func {signature} {body}))")
}

#[test]
fn passes_are_switched_by_flags_of_their_names() {
    for pass in Pass::ALL {
        for value in [None, Some("true"), Some("false"), Some("off")] {
            assert!(compiler(&[(pass.name().to_string(), value.map(str::to_string))]).is_ok(), "{}", pass.name());
        }
        let error = compiler(&[(pass.name().to_string(), Some("perhaps".to_string()))]).err().expect("it is refused");
        assert!(error.message().contains(pass.name()), "{}", error.message());
    }
    assert!(compiler(&[("inlning".to_string(), None)]).is_err());
}

#[test]
fn passes_are_off_for_some_functions() {
    let wat =
        "(module (import \"\" \"\" (func)) (func (param i32) (result i32) (i32.mul (local.get 0) (i32.const 5))))";
    let products = |value: &str| {
        listing_with(wat, &[("small_factors".to_string(), Some(value.to_string()))]).matches("imull").count()
    };
    for (value, left) in [("1..2", 1), ("0..9", 1), ("0..1", 0), ("2..9", 0), ("1..1", 0)] {
        assert_eq!(products(value), left, "{value}");
    }
    for value in ["..", "1..", "..2", "1..x", "-1..2", "1...2"] {
        assert!(compiler(&[("small_factors".to_string(), Some(value.to_string()))]).is_err(), "{value}");
    }
}

#[test]
fn a_small_loop_has_several_copies_of_its_body() {
    let copies = |body: &str| {
        let wat = function(
            "(param i32 i32)",
            &format!("(loop $l {body} (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))"),
        );
        counts(&wat, Pass::Unrolling, "$0x1234")
    };
    const STORE: &str = "(i32.store (local.get 0) (i32.const 0x1234))";
    assert_eq!(copies(STORE), (4, 1));
    let larger = STORE.to_string() + &"(i32.store offset=4 (local.get 0) (local.get 1))".repeat(15);
    assert_eq!(copies(&larger), (2, 1));
    let large = STORE.to_string() + &"(i32.store offset=4 (local.get 0) (local.get 1))".repeat(40);
    assert_eq!(copies(&large), (1, 1));
    assert_eq!(copies(&format!("{STORE} (drop (memory.grow (i32.const 1)))")), (1, 1), "it calls");
    assert_eq!(
        copies(&format!("{STORE} (block (block (br_table 0 1 0 (local.get 1))))")),
        (1, 1),
        "it has a branch table"
    );
    let outer = format!("{STORE} (loop $inner (br_if $inner (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))");
    assert_eq!(copies(&outer), (1, 1), "it is not the innermost");
    let once = function("(param i32)", &format!("(loop {STORE})"));
    assert_eq!(counts(&once, Pass::Unrolling, "$0x1234"), (1, 1), "it doesn't go round");
}

#[test]
fn code_grows_less_where_nobody_knows_that_it_runs_often() {
    let loops = |stores: usize| {
        let body = "(i32.store offset=4 (local.get 0) (local.get 1))".repeat(stores);
        let round = "(br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))";
        function("(param i32 i32)", &format!("(loop $l {body} {round})"))
    };
    for (stores, grows) in [(1, false), (5, true), (20, true)] {
        let [ahead, hot] = lengths(&loops(stores));
        assert_eq!(hot > ahead * 3 / 2, grows, "{stores} stores: {ahead} and {hot} bytes");
    }
    let calls = "(module (func (param i32) (call 1 (local.get 0)) (call 1 (local.get 0)))
         (func (param i32) (call 2 (i32.add (local.get 0) (i32.const 1)) (i32.const 100000001) (i32.const 100000002) (i32.const 100000003)))
         (func (param i32 i32 i32 i32) (loop (br_if 0 (local.get 0)))))";
    let [ahead, hot] = lengths(calls);
    assert!(hot > ahead, "{ahead} and {hot} bytes");
}

#[test]
fn loops_are_unrolled_as_far_as_a_functions_budget_goes() {
    let one = "(local.set 1 (i32.const 9)) (loop $l (i32.store (local.get 1) (i32.const 0x1234))
               (br_if $l (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))";
    let (unrolled, plain) = counts(&function("(param i32) (local i32)", &one.repeat(300)), Pass::Unrolling, "$0x1234");
    assert_eq!(plain, 300);
    assert!(unrolled > 600 && unrolled < 900, "{unrolled}");
}

/// A loop with pointers 0 and 1 and a counter 2, by which an iteration goes on so many bytes.
fn over_elements(bytes: i32, body: &str) -> String {
    let step = |local: usize| format!("(local.set {local} (i32.add (local.get {local}) (i32.const {bytes})))");
    let count = "(br_if $l (local.tee 2 (i32.sub (local.get 2) (i32.const 1))))";
    function(
        "(param i32 i32 i32 i32 f32) (result i32) (local i32)",
        &format!("(block $out (loop $l {body} {}{}{count})) (local.get 3)", step(0), step(1)),
    )
}

fn is_vectorized(wat: &str) -> bool {
    let (with, without) = counts(wat, Pass::Vectorization, "%xmm");
    let moves = |off: &[Pass]| {
        let listing = listing(wat, off);
        ["movdqu ", "movups ", "movupd "].into_iter().map(|name| listing.matches(name).count()).sum::<usize>()
    };
    assert_eq!(moves(&[Pass::Vectorization]), 0);
    let is = moves(&[]) > 0;
    assert!(is || with == without, "it is vectorized or left alone: {wat}");
    is
}

#[test]
fn loops_over_elements_are_vectorized() {
    const COPY: &str = "(i32.store8 (local.get 0) (i32.load8_u (local.get 1)))";
    const NEXT: &str = "(i32.store8 offset=1 (local.get 0) (i32.load8_u offset=1 (local.get 1)))";
    const SUM: &str = "(local.set 3 (i32.add (local.get 3) (i32.load (local.get 0))))";
    for (bytes, body) in [
        (1, COPY),
        (-1, COPY),
        (2, &(COPY.to_string() + NEXT)),
        (2, &(NEXT.to_string() + COPY)),
        (4, "(f32.store (local.get 0) (f32.mul (f32.load (local.get 1)) (local.get 4)))"),
        (8, "(f64.store (local.get 0) (f64.sqrt (f64.load (local.get 0))))"),
        (2, "(i32.store16 (local.get 0) (i32.add (i32.load16_s (local.get 1)) (i32.const 5)))"),
        (1, "(br_if $out (i32.eq (i32.load8_u (local.get 0)) (local.get 3)))"),
        (4, SUM),
        (1, "(local.set 3 (i32.add (local.get 3) (i32.load8_u (local.get 0))))"),
        (1, "(local.set 3 (i32.add (local.get 3) (i32.eq (i32.load8_u (local.get 0)) (i32.const 10))))"),
        (
            4,
            "(local.set 5 (i32.load (local.get 0))) (local.set 3 (select (local.get 5) (local.get 3) (i32.gt_s (local.get 5) (local.get 3))))",
        ),
    ] {
        assert!(is_vectorized(&over_elements(bytes, body)), "{bytes} {body}");
    }
    let in_shared = over_elements(4, SUM).replace("(memory 1)", "(memory 1 1 shared)");
    assert!(!is_vectorized(&in_shared), "another thread could see in what order it is done");
    for (bytes, body) in [
        (2, COPY),
        (3, &(COPY.to_string() + NEXT)),
        (0, SUM),
        (4, "(i32.store (local.get 0) (i32.load (i32.load (local.get 1))))"),
        (4, "(local.set 4 (f32.add (local.get 4) (f32.load (local.get 0))))"),
        (4, "(local.set 3 (i32.add (local.get 3) (i32.load (local.get 0)))) (i32.store (local.get 1) (local.get 3))"),
        (4, "(i32.store (local.get 0) (i32.div_u (local.get 3) (i32.load (local.get 1))))"),
        (1, "(i32.store8 (local.get 0) (i32.shr_u (i32.add (i32.load8_u (local.get 1)) (i32.const 1)) (i32.const 1)))"),
        (4, "(i32.store (local.get 0) (i32.load (local.get 1))) (drop (memory.grow (i32.const 0)))"),
    ] {
        assert!(!is_vectorized(&over_elements(bytes, body)), "{bytes} {body}");
    }
}

#[test]
fn whatever_is_vectorized_is_compiled_for_the_simplest_processor() {
    let mut vectorized = 0;
    for (ty, load, store, size) in [
        ("i32", "load8_u", "store8", 1),
        ("i32", "load8_s", "store8", 1),
        ("i64", "load8_u", "store8", 1),
        ("i32", "load16_u", "store16", 2),
        ("i32", "load16_s", "store16", 2),
        ("i64", "load32_u", "store32", 4),
        ("i64", "load32_s", "store32", 4),
        ("i32", "load", "store", 4),
        ("i64", "load", "store", 8),
        ("f32", "load", "store", 4),
        ("f64", "load", "store", 8),
    ] {
        let x = format!("({ty}.{load} (local.get 0))");
        let y = format!("({ty}.{load} (local.get 1))");
        let (unary, binary, comparisons): (&[&str], &[&str], &[&str]) = if ty.starts_with('f') {
            (&["abs", "neg", "sqrt"], &["add", "sub", "mul", "div"], &["eq", "ne", "lt", "gt", "le", "ge"])
        } else {
            let comparisons = &["eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"];
            (&[], &["add", "sub", "mul", "and", "or", "xor"], comparisons)
        };
        let mut values: Vec<String> = unary.iter().map(|op| format!("({ty}.{op} {x})")).collect();
        values.extend(binary.iter().map(|op| format!("({ty}.{op} {x} {y})")));
        let conditions: Vec<String> = comparisons.iter().map(|op| format!("({ty}.{op} {x} {y})")).collect();
        for condition in &conditions {
            values.push(format!("(select {x} {y} {condition})"));
            values.push(format!("(select {y} ({ty}.const 3) {condition})"));
        }
        if !ty.starts_with('f') {
            for op in ["shl", "shr_u", "shr_s", "mul"] {
                values.push(format!("({ty}.{op} {x} ({ty}.const 3))"));
            }
            values.push(format!("({ty}.sub ({ty}.const 3) {x})"));
        }
        let mut bodies: Vec<String> =
            values.iter().map(|value| format!("({ty}.{store} (local.get 1) {value})")).collect();
        for condition in &conditions {
            bodies.push(format!("(br_if $out {condition})"));
            bodies.push(format!("(local.set 3 (i32.add (local.get 3) {condition}))"));
        }
        if !ty.starts_with('f') {
            let sum = if ty == "i32" { 3 } else { 6 };
            for op in ["add", "sub", "and", "or", "xor"] {
                bodies.push(format!("(local.set {sum} ({ty}.{op} (local.get {sum}) {x}))"));
            }
            for op in ["lt_s", "lt_u", "gt_s", "gt_u"] {
                bodies.push(format!(
                    "(local.set {sum} (select {x} (local.get {sum}) ({ty}.{op} {x} (local.get {sum}))))"
                ));
            }
        }
        for body in bodies {
            let wat = over_elements(size, &body).replace("(local i32)", "(local i32 i64)");
            vectorized += usize::from(is_vectorized(&wat));
        }
    }
    assert!(vectorized > 250, "{vectorized}");
}

#[test]
fn a_function_has_so_many_vector_loops_and_no_more() {
    let body = "(local.set 0 (i32.const 9)) (loop $l (i64.store (local.get 0) (i64.const 7))
        (br_if $l (i32.ne (local.tee 0 (i32.add (local.get 0) (i32.const 8))) (i32.const 909))))";
    let vectors = |loops: usize| {
        let wat = function("(param i32)", &body.repeat(loops));
        let is_store =
            |line: &&str| line.contains("movdqu ") && line.split_once(", ").is_some_and(|to| to.1.contains('('));
        listing(&wat, &[]).lines().filter(is_store).count()
    };
    assert_eq!(vectors(1), 1);
    assert_eq!(vectors(40), 32);
}

/// The instructions of a listing's blocks.
fn blocks(listing: &str) -> impl Iterator<Item = Vec<&str>> {
    listing.split("block").map(|block| block.lines().collect())
}

#[test]
fn vector_loops_clamp_their_place_where_no_guard_stops_them() {
    let wat = over_elements(4, "(i32.store (local.get 0) (i32.add (i32.load (local.get 1)) (local.get 3)))");
    let is_vector = |line: &&str| line.contains("movdqu ") && line.contains('(');
    let clamped = |listing: &str| -> Vec<bool> {
        let loops = blocks(listing).filter(|block| block.iter().any(is_vector));
        // The loop, in one block: what is compared before anything is accessed.
        loops.map(|block| block.iter().take_while(|line| !is_vector(line)).any(|line| line.contains("cmov"))).collect()
    };
    assert_eq!(clamped(&listing(&wat, &[])), [false]);
    assert_eq!(clamped(&checked_listing(&wat, &[])), [true]);
    // And the streams themselves where there is nothing to take: in front of the loop, once for each.
    let zeroed = |wat: &str| checked_listing(wat, &[]).lines().filter(|line| line.contains("cmove")).count();
    let one = over_elements(4, "(i32.store (local.get 0) (local.get 3))");
    assert_eq!(zeroed(&wat) - zeroed(&one), 1);
}

#[test]
fn an_address_that_is_always_in_bounds_is_not_checked() {
    let load = |address: &str, offset: u32| {
        let wat = function("(param i32) (result i32)", &format!("(i32.load offset={offset} {address})"));
        checked_listing(&wat, &[]).matches("cmov").count()
    };
    let table = "(i32.shl (i32.load8_u (i32.const 0)) (i32.const 2))";
    assert_eq!(load(table, 65536 - 256 * 4), 0);
    assert_eq!(load(table, 65536 - 256 * 4 + 1), 1);
    assert_eq!(load("(i32.and (local.get 0) (i32.const 0xff))", 1024), 0);
    assert_eq!(load("(i32.shl (i32.and (local.get 0) (i32.const 0xffff)) (i32.const 31))", 0), 1, "it may wrap");
    assert_eq!(load("(local.get 0)", 0), 1);
}

#[test]
fn an_address_made_of_a_counter_is_checked_once_for_all() {
    let clamps = |step: &str, test: &str, more: &str| {
        let store = |constant: u32| format!("(i32.store (i32.add (local.get 0) (i32.const {constant})) (local.get 1))");
        let body = format!(
            "(local.set 0 (i32.const -0x8000))
             (loop $l {} {} {more} (local.set 0 (i32.add (local.get 0) {step})) (br_if $l {test}))",
            store(0x9000),
            store(0xa000)
        );
        let wat = function("(param i32 i32)", &body);
        let others = [Pass::Vectorization, Pass::Unrolling];
        let count = |off: &[Pass]| checked_listing(&wat, off).matches("cmov").count();
        assert_eq!(count(&[others[0], others[1], Pass::CounterRanges]), 2);
        count(&others)
    };
    let (step, test) = ("(i32.const 4)", "(local.get 0)");
    assert_eq!(clamps(step, test, ""), 1);
    assert_eq!(clamps(step, "(i32.lt_s (local.get 0) (i32.const 0x1000))", ""), 1);
    // Beyond the end.
    assert_eq!(clamps(step, "(i32.lt_s (local.get 0) (i32.const 0x8000))", ""), 2);
    // It goes past what it is compared with.
    assert_eq!(clamps("(i32.const 12)", test, ""), 2);
    // It may be anything.
    assert_eq!(clamps("(local.get 1)", test, ""), 2);
    assert_eq!(clamps(step, "(local.get 1)", ""), 2);
    assert_eq!(clamps(step, test, "(if (local.get 1) (then (local.set 0 (i32.const 5))))"), 2);
    assert_eq!(clamps(step, test, "(br_if $l (local.get 1))"), 2);
}

#[test]
fn an_address_that_was_checked_is_not_checked_again() {
    let clamps = |body: &str| {
        let wat = function("(param i32 i64) (result i32)", body);
        let count = |off: &[Pass]| checked_listing(&wat, off).matches("cmov").count();
        (count(&[]), count(&[Pass::RepeatedChecks]))
    };
    let load = |offset: u32| format!("(i32.load offset={offset} (local.get 0))");
    let (first, second, third) = (load(12), load(4), load(0));
    assert_eq!(clamps(&format!("(i32.add {first} (i32.add {second} {third}))")), (1, 3));
    // What needs more than what came before is checked.
    assert_eq!(clamps(&format!("(i32.add {third} (i32.add {second} {first}))")), (3, 3));
    let wide = "(i64.store offset=9 (local.get 0) (local.get 1))";
    assert_eq!(clamps(&format!("{wide} (i32.add {first} {second})")), (1, 3));
    // On one way only.
    assert_eq!(clamps(&format!("(if (local.get 0) (then {wide})) {second}")), (2, 2));
    assert_eq!(clamps(&format!("(if (local.get 0) (then {wide} (drop {first}))) {second}")), (2, 3));
    // The memory may have been moved.
    assert_eq!(clamps(&format!("{wide} (drop (memory.grow (i32.const 0))) {second}")), (2, 2));
}

#[test]
fn what_changes_no_bits_is_left_out() {
    let masked = function("(param i32) (result i32)", "(i32.and (i32.load8_u (local.get 0)) (i32.const 0x1ff))");
    assert_eq!(counts(&masked, Pass::KnownBits, "$0x1ff"), (0, 1));
    let other = function("(param i32) (result i32)", "(i32.and (i32.load16_u (local.get 0)) (i32.const 0x1ff))");
    assert_eq!(counts(&other, Pass::KnownBits, "$0x1ff"), (1, 1));
    // The byte that a table is read at has been extended to 64 bits.
    let table = function("(param i32) (result i32)", "(i32.load8_u offset=99 (i32.load8_u (local.get 0)))");
    let moves = counts(&table, Pass::KnownBits, "movl ");
    assert_eq!(moves.0 + 1, moves.1);
    let float = function("(param i64) (result f64)", "(f64.convert_i64_u (i64.shr_u (local.get 0) (i64.const 1)))");
    let (with, without) = counts(&float, Pass::KnownBits, "cvtsi2sd");
    assert!(with == 1 && without == 0, "{with} {without}");
    let merged = |other: &str| {
        function(
            "(param i32) (result i32)",
            &format!("(i32.and (i32.const 0xff) (if (result i32) (local.get 0) (then (i32.const 7)) (else {other})))"),
        )
    };
    assert_eq!(counts(&merged("(i32.load8_u (local.get 0))"), Pass::KnownBits, "$0xff").0, 0);
    assert_eq!(counts(&merged("(local.get 0)"), Pass::KnownBits, "$0xff").0, 1);
}

#[test]
fn what_goes_round_a_loop_may_be_anything_behind_it_too() {
    let wat = function(
        "(param i32 i32) (result i32)",
        "(block $out (loop $l (br_if $out (i32.eqz (local.get 1))) (local.set 0 (i32.load8_u (memory.grow (i32.const 0))))
           (local.set 1 (i32.shr_u (local.get 1) (i32.const 1))) (br $l)))
         (i32.and (local.get 0) (i32.const 0x1ff))",
    );
    assert_eq!(counts(&wat, Pass::KnownBits, "$0x1ff"), (1, 1));
}

#[test]
fn what_goes_round_in_a_loop_may_be_anything() {
    let body = "(local.set 1 (i32.const 7))
        (loop $l (i32.store (local.get 0) (i32.and (local.get 1) (i32.const 0xff)))
          (br_if $l (local.tee 1 (i32.mul (local.get 1) (local.get 0)))))";
    let wat = function("(param i32) (local i32)", body);
    let (with, without) = (listing(&wat, &[Pass::Unrolling]), listing(&wat, &[Pass::Unrolling, Pass::KnownBits]));
    assert_eq!(with.matches("$0xff").count(), 1);
    assert_eq!(without.matches("$0xff").count(), 1);
}

#[test]
fn a_constant_goes_into_the_address_where_the_sum_cannot_wrap() {
    let load = |address: &str| {
        function("(param i32) (result i32)", &format!("(i32.load (i32.add {address} (i32.const 0x1234)))"))
    };
    let in_address =
        |wat: &str, off: &[Pass]| listing(wat, off).lines().any(|line| line.contains("0x1234(") && line.contains(','));
    let masked = load("(i32.and (local.get 0) (i32.const 0xfff0))");
    let sums =
        |wat: &str, off: &[Pass]| listing(wat, off).matches("lea").count() + listing(wat, off).matches("addl").count();
    assert!(in_address(&masked, &[]));
    assert_eq!(sums(&masked, &[]) + 1, sums(&masked, &[Pass::KnownBits]));
    let any = load("(local.get 0)");
    assert_eq!(sums(&any, &[]), sums(&any, &[Pass::KnownBits]), "it may wrap");
}

#[test]
fn signed_division_of_what_is_not_negative_is_unsigned() {
    let half = |operand: &str| {
        let wat = function("(param i32) (result i32)", &format!("(i32.div_s {operand} (i32.const 8))"));
        listing(&wat, &[]).matches("sarl").count()
    };
    assert_eq!(half("(i32.load16_u (local.get 0))"), 0);
    assert!(half("(i32.load16_s (local.get 0))") > 0);
}

#[test]
fn what_both_ways_compute_is_computed_once() {
    // The optimizer places the product where it is needed: on both ways.
    let wat = function(
        "(param i32 i32) (result i32) (local i32)",
        "(local.set 2 (i32.mul (local.get 0) (local.get 1)))
         (if (local.get 0)
           (then (i32.store (local.get 2) (i32.const 1)))
           (else (i32.store8 (local.get 2) (i32.const 2))))
         (i32.const 0)",
    );
    assert_eq!(counts(&wat, Pass::CodeHoisting, "imull"), (1, 2));
    let one_way = wat.replace("(i32.store8 (local.get 2)", "(i32.store8 (local.get 0)");
    assert_eq!(counts(&one_way, Pass::CodeHoisting, "imull"), (1, 1));
}

#[test]
fn what_all_ways_out_compute_is_computed_once() {
    // As in a loop that is unrolled: the optimizer places the product on each way out, and behind all of them.
    let out = |at: u32| {
        format!(
            "(if (i32.load8_u offset={at} (local.get 0)) (then (i32.store (local.get 2) (i32.const {at})) (return (i32.const {at}))))"
        )
    };
    let body = format!(
        "(local.set 2 (i32.mul (local.get 0) (local.get 1))) {} (i32.store (local.get 2) (i32.const 9)) (i32.const 9)",
        [1, 2, 3].map(out).concat()
    );
    assert_eq!(
        counts(&function("(param i32 i32) (result i32) (local i32)", &body), Pass::CodeHoisting, "imull"),
        (1, 4)
    );
}

#[test]
fn what_was_stored_beside_another_place_is_not_loaded_again() {
    let gone = |between: &str| {
        let body = format!(
            "(i32.store offset=8 (local.get 0) (local.get 1))
             {between}
             (i32.add (local.get 1) (i32.load offset=8 (local.get 0)))"
        );
        let wat = function("(param i32 i32) (result i32)", &body);
        let (with, without) = counts(&wat, Pass::StoreForwarding, " 8(%");
        without - with
    };
    // Stores to other places at the same address, whatever their width, and on the way behind a branch.
    assert_eq!(gone("(i32.store offset=12 (local.get 0) (i32.const 1))"), 1);
    assert_eq!(gone("(i64.store (local.get 0) (i64.const 1))"), 1);
    assert_eq!(gone("(i32.store8 offset=7 (local.get 0) (i32.const 1))"), 1);
    assert_eq!(gone("(i32.store (local.get 0) (i32.const 1)) (if (local.get 1) (then (return (i32.const 1))))"), 1);
    // To others, and to a part of the place itself, at another address, and calls.
    assert_eq!(gone("(i32.store offset=12 (local.get 1) (i32.const 1))"), 0);
    assert_eq!(gone("(i32.store8 offset=11 (local.get 0) (i32.const 1))"), 0);
    assert_eq!(gone("(i64.store offset=1 (local.get 0) (i64.const 1))"), 0);
    assert_eq!(gone("(i32.store offset=12 (local.get 0) (i32.const 1)) (drop (memory.grow (i32.const 1)))"), 0);
    assert_eq!(gone("(i32.store offset=12 (local.get 0) (i32.const 1)) (atomic.fence)"), 0);
}

#[test]
fn what_was_loaded_is_not_loaded_again_behind_a_store_to_another_place() {
    let wat = function(
        "(param i32 i32) (result i32)",
        "(local.set 1 (i32.load offset=8 (local.get 0)))
         (i32.store offset=12 (local.get 0) (i32.const 1))
         (i32.add (local.get 1) (i32.load offset=8 (local.get 0)))",
    );
    assert_eq!(counts(&wat, Pass::StoreForwarding, " 8(%"), (1, 2));
}

#[test]
fn a_sum_that_stays_the_same_is_made_before_the_loop() {
    // The optimizer makes it anew in each block that needs it.
    let wat = function(
        "(param i32 i32) (local i32)",
        "(local.set 2 (i32.add (local.get 1) (i32.const 0x1234)))
         (i32.store (local.get 2) (i32.const 1))
         (loop $l
           (i32.store (i32.xor (local.get 2) (local.get 0)) (local.get 0))
           (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))",
    );
    let in_loop = |off: &[Pass]| {
        let listing = listing(&wat, off);
        let (start, end) = (listing.find("block1:"), listing.find("block2:"));
        listing[start.expect("there is a loop")..end.expect("there is more")].contains("0x1234")
    };
    assert!(in_loop(&[Pass::Unrolling, Pass::LoopInvariants]));
    assert!(!in_loop(&[Pass::Unrolling]));
}

#[test]
fn neighbours_of_powers_of_two_are_no_factors() {
    let products = |factor: &str| {
        let wat = function("(param i32) (result i32)", &format!("(i32.mul (local.get 0) (i32.const {factor}))"));
        counts(&wat, Pass::SmallFactors, "imull")
    };
    for factor in ["3", "5", "9", "7", "31", "65537"] {
        assert_eq!(products(factor), (0, 1), "{factor}");
    }
    for factor in ["11", "-3", "-7", "100"] {
        assert_eq!(products(factor), (1, 1), "{factor}");
    }
    let largest = function("(param i64) (result i64)", "(i64.mul (local.get 0) (i64.const 0x7fffffffffffffff))");
    assert_eq!(counts(&largest, Pass::SmallFactors, "imulq"), (0, 1));
}

#[test]
fn minus_one_is_no_neighbour_of_a_power_of_two() {
    // The optimizer makes negations of such products, but not of this one.
    let wat = function("(param i32) (result i32)", "(i32.mul (i32.sub (local.get 0) (i32.const 1)) (i32.const -1))");
    assert_eq!(counts(&wat, Pass::SmallFactors, "imull"), (1, 1));
}

#[test]
fn an_operand_that_is_needed_again_is_not_moved_out_of_the_way() {
    let wat = function(
        "(param i64 i64) (result i64)",
        "(i64.mul (local.get 0) (i64.xor (local.get 0) (i64.rotl (local.get 1) (i64.const 13))))",
    );
    let (with, without) = counts(&wat, Pass::OperandOrder, "movq ");
    assert!(with < without, "{with} moves, {without} without the pass");
}

#[test]
fn few_targets_of_a_branch_table_are_compared() {
    let jumps = |targets: &str| {
        let wat = function(
            "(param i32) (result i32)",
            &format!(
                "(block (block (block (block (block (br_table {targets} (local.get 0)))
                   (return (i32.const 10))) (return (i32.const 11))) (return (i32.const 12))) (return (i32.const 13))) (i32.const 14)"
            ),
        );
        listing(&wat, &[]).matches("jmp_table").count() + listing(&wat, &[]).matches("br_table").count()
    };
    assert_eq!(jumps("0 1 2"), 0);
    assert_eq!(jumps("0 1 1 1 2 2 3"), 0);
    assert_eq!(jumps("4 4 4 4 0 4 4 4"), 0);
    assert_eq!(jumps("0 1 0 1 0 1 2"), 0);
    assert_ne!(jumps("0 1 0 1 0 1 0 1 2"), 0);
}
