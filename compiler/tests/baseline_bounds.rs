//! What the baseline tier refuses because it would take more than the function's size may cost: see `VALUES_MAX` there. The other tier, which has
//! bounds of its own, gets it.

use ampoule_compiler::baseline::BaselineCompiler;
use ampoule_compiler::optimizing::OptimizingCompiler;
use ampoule_compiler::{CompileError, ModuleInput};
use ampoule_core::decode::{decode, validate_body};
use ampoule_core::features::Features;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::tunables::Tunables;
use ampoule_core::vm::VmLayout;
use std::sync::Arc;

/// Types of 1,000 values, which few bytes ask for.
const MANY: usize = 1000;

/// Translates the first function of a module that has, besides what is in `fields`, a function of this body.
fn translate(fields: &str, body: &str) -> Result<usize, CompileError> {
    let values = "i32 ".repeat(MANY);
    let text = format!(
        "(module (type $many (func (param {values}) (result {values}))) (type $wide (struct {})) {fields} (func {body}))",
        "(field i32)".repeat(MANY),
    );
    let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let features = Features { function_references: true, gc: true, exceptions: true, ..Features::default() };
    let decoded = decode(&bytes, &features).expect("the text is valid");
    for body in decoded.bodies {
        validate_body(body, &mut Default::default()).expect("the text is valid");
    }
    let tunables = Tunables::default();
    let optimizing = OptimizingCompiler::new(&tunables, &[], None).expect("this machine is supported");
    let layout = VmLayout::new(&decoded.module);
    let input = ModuleInput {
        module: &decoded.module,
        layout: &layout,
        bytes: &bytes,
        tunables: &tunables,
        counters: None,
        profile: None,
    };
    BaselineCompiler::new(Arc::new(optimizing))
        .translate(&input, DefinedFuncIndex(0))
        .map(|function| function.code.len())
}

/// Asserts that so many of something are compiled, and ten times as many refused.
fn has_a_bound(fields: &str, body: impl Fn(usize) -> String, count: usize) {
    translate(fields, &body(count)).unwrap_or_else(|error| panic!("{count}: {error}"));
    let error = translate(fields, &body(10 * count)).expect_err("it is too much");
    assert!(error.to_string().contains("too large"), "{error}");
}

/// A body that has the values of `$many` on its stack before and after `inner`.
fn with_values(inner: &str) -> String {
    format!("{} {inner} {}", "(i32.const 1) ".repeat(MANY), "drop ".repeat(MANY))
}

#[test]
fn branches_with_many_values_have_a_bound() {
    let branches =
        |count: usize| with_values(&format!("block (type $many) {} end", "local.get 0 br_if 0 ".repeat(count)));
    has_a_bound("", |count| format!("(local i32) {}", branches(count)), 50);
}

#[test]
fn calls_with_many_values_have_a_bound() {
    let many = "(func $callee (import \"\" \"\") (type $many))";
    has_a_bound(many, |count| with_values(&"call $callee ".repeat(count)), 40);
}

#[test]
fn objects_of_many_fields_have_a_bound() {
    has_a_bound("", |count| "struct.new_default $wide drop ".repeat(count), 100);
}

#[test]
fn references_at_calls_have_a_bound() {
    let locals = "(local anyref)".repeat(MANY);
    let callee = "(func $callee (import \"\" \"\"))";
    has_a_bound(callee, |count| format!("{locals} {}", "call $callee ".repeat(count)), 100);
}

#[test]
fn a_frame_has_a_bound() {
    // As many locals as there may be, nearly, and operands.
    let (locals, one) = ("v128 ".repeat(48_000), "(v128.const i64x2 0 0)");
    let used = |locals: usize| (0..locals).map(|local| format!("local.get {local} v128.not drop ")).collect::<String>();
    has_a_bound(
        "",
        |count| format!("(local {locals}) {} {} {}", used(46_000), one.repeat(count), "drop ".repeat(count)),
        2000,
    );
}

#[test]
fn clauses_for_many_values_have_a_bound() {
    let values = "i32 ".repeat(MANY);
    let tag = format!("(tag $t (param {values})) (func $callee (import \"\" \"\"))");
    let body = |count: usize| {
        format!(
            "block (result {values}) (try_table {} (call $callee)) return end {}",
            "(catch $t 0) ".repeat(count),
            "drop ".repeat(MANY)
        )
    };
    has_a_bound(&tag, body, 50);
}
