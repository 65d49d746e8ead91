//! Runs `.wast` scripts, the form of WebAssembly's official test suite.
//!
//! A script is a list of directives (spec repository, `interpreter/README.md`): modules to instantiate, functions to
//! call, and assertions on what happens. Every directive counts as passed or failed on its own; a script goes on after a failure.
//!
//! What is deliberately not here: which scripts are known to fail. Tests keep that list.

mod component;
mod spectest;
mod values;

use ::wast::core::WastRetCore;
use ::wast::parser::ParseBuffer;
use ::wast::token::Id;
use ::wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, WastThread, Wat};
use ampoule::{Engine, Extern, Linker, Module, Store, TrapCode, Val};
use ampoule_component::Component;
use anyhow::{Context, Result, anyhow, bail, ensure};
use component::ComponentInstance;
use std::collections::HashMap;
use std::path::Path;
use std::thread::{Scope, ScopedJoinHandle};

/// What a script's run came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Directives that did what they should.
    pub passed: usize,
    /// Those that did not, in order.
    pub failures: Vec<Failure>,
}

/// A directive that did not do what it should.
#[derive(Debug)]
pub struct Failure {
    /// Line of the script, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// What happened instead.
    pub reason: String,
}

/// How modules become ready to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Loading {
    /// Compiled from their bytes.
    #[default]
    Compile,
    /// Compiled, serialized, and deserialized again.
    RoundTrip,
}

/// Runs a script; errors name `path` as its file. Its modules see a store of the engine's, the module `spectest`, and what the script registers.
///
/// The engine must allow shared memories.
///
/// # Errors
/// Where the text is not a script, with the place; or where `spectest` can't be made.
pub fn run(engine: &Engine, path: &Path, text: &str, loading: Loading) -> Result<Report> {
    let setting = Setting { engine, path, text, loading };
    let mut lexer = ::wast::lexer::Lexer::new(text);
    // Test scripts for text parsing contain such characters on purpose.
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).map_err(|error| setting.placed(error))?;
    let directives = ::wast::parser::parse::<Wast<'_>>(&buffer).map_err(|error| setting.placed(error))?.directives;
    std::thread::scope(|threads| {
        let mut script = Script::new(setting, threads)?;
        script.run(directives);
        Ok(script.report)
    })
}

/// What all threads of a script share.
#[derive(Clone, Copy)]
struct Setting<'a> {
    engine: &'a Engine,
    path: &'a Path,
    text: &'a str,
    loading: Loading,
}

impl Setting<'_> {
    /// The error, with its file, line and the line's text. Not with those of a text that is quoted in the script.
    fn placed(&self, mut error: ::wast::Error) -> ::wast::Error {
        error.set_path(self.path);
        error.set_text(self.text);
        error
    }
}

/// One thread of a script, with a store of its own.
struct Script<'scope, 'a: 'scope> {
    setting: Setting<'a>,
    store: Box<Store>,
    /// What modules may import.
    linker: Linker,
    /// Modules of `(module definition …)`, by name.
    definitions: HashMap<String, Definition>,
    last_definition: Option<Definition>,
    /// Instances by name.
    instances: HashMap<String, Exports>,
    /// The last instance, unless a component's came after it.
    current: Option<Exports>,
    /// Instances of components, by name.
    components: HashMap<String, ComponentInstance>,
    /// The last instance, where it is a component's.
    current_component: Option<ComponentInstance>,
    threads: HashMap<String, ScopedJoinHandle<'scope, Result<Report>>>,
    scope: &'scope Scope<'scope, 'a>,
    report: Report,
}

/// What can be instantiated.
#[derive(Clone)]
enum Definition {
    Module(Module),
    Component(Component),
}

/// What a call gave.
#[derive(Debug)]
enum Values {
    Core(Vec<Val>),
    Component(Vec<ampoule_component::Val>),
}

/// What an instance exports.
type Exports = HashMap<String, Extern>;

impl<'scope, 'a: 'scope> Script<'scope, 'a> {
    fn new(setting: Setting<'a>, scope: &'scope Scope<'scope, 'a>) -> Result<Self> {
        let mut store = Store::new(setting.engine);
        let tunables = setting.engine.config().tunables;
        if tunables.consume_fuel {
            store.set_fuel(u64::MAX)?;
        }
        if tunables.epoch_interruption {
            store.set_epoch_deadline(1 << 32);
        }
        let mut linker = Linker::new(setting.engine);
        linker.allow_shadowing(true);
        spectest::define(&mut linker, &mut store)?;
        Ok(Self {
            setting,
            store,
            linker,
            definitions: HashMap::new(),
            last_definition: None,
            instances: HashMap::new(),
            current: None,
            components: HashMap::new(),
            current_component: None,
            threads: HashMap::new(),
            scope,
            report: Report::default(),
        })
    }

    fn run(&mut self, directives: Vec<WastDirective<'a>>) {
        for directive in directives {
            let span = directive.span();
            match self.directive(directive) {
                Ok(()) => self.report.passed += 1,
                Err(error) => {
                    let (line, column) = span.linecol_in(self.setting.text);
                    let reason = format!("{error:#}");
                    self.report.failures.push(Failure { line: line + 1, column: column + 1, reason });
                }
            }
        }
    }

    fn directive(&mut self, directive: WastDirective<'a>) -> Result<()> {
        match directive {
            WastDirective::Module(mut wat) => {
                let name = wat.name();
                (self.current, self.current_component) = (None, None);
                let definition = self.compile(&mut wat)?;
                self.instantiate(name, &definition)
            }
            WastDirective::ModuleDefinition(mut wat) => {
                let definition = self.compile(&mut wat)?;
                if let Some(name) = wat.name() {
                    self.definitions.insert(name.name().to_string(), definition.clone());
                }
                self.last_definition = Some(definition);
                Ok(())
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let definition = match module {
                    Some(name) => self.definitions.get(name.name()),
                    None => self.last_definition.as_ref(),
                };
                let definition = definition.context("no such definition")?.clone();
                (self.current, self.current_component) = (None, None);
                self.instantiate(instance, &definition)
            }
            WastDirective::Register { name, module, .. } => {
                let exports = self.exports(module)?.clone();
                for (export, item) in exports {
                    self.linker.define(&self.store, name, &export, item)?;
                }
                Ok(())
            }
            WastDirective::Invoke(invoke) => self.invoke(&invoke).map(|_| ()),
            WastDirective::AssertReturn { exec, results, .. } => {
                let values = self.execute(exec)?;
                self.check_results(&values, &results)
            }
            WastDirective::AssertTrap { exec, message, .. } => check_trap(self.execute(exec), message),
            WastDirective::AssertExhaustion { call, message, .. } => {
                let result = self.invoke(&call);
                ensure!(
                    matches!(&result, Err(error) if trap_code(error) == Some(TrapCode::StackOverflow)),
                    "expected `{message}`, got {}",
                    outcome(&result)
                );
                Ok(())
            }
            WastDirective::AssertUnlinkable { mut module, message, .. } => {
                let result = self.instantiate_unnamed(&mut module).map(|()| Values::Core(Vec::new()));
                let text = outcome(&result);
                ensure!(result.is_err() && text.contains(message), "expected `{message}`, got {text}");
                Ok(())
            }
            WastDirective::AssertMalformed { module, message, .. }
            | WastDirective::AssertInvalid { module, message, .. }
            | WastDirective::AssertMalformedCustom { module, message, .. }
            | WastDirective::AssertInvalidCustom { module, message, .. } => self.check_refused(module, message),
            WastDirective::Thread(thread) => self.spawn(thread),
            WastDirective::Wait { thread, .. } => self.join(thread.name()),
            WastDirective::AssertException { exec, .. } => {
                let result = self.execute(exec);
                // Taken, so that the next one is known for itself.
                let thrown = self.store.take_exception();
                ensure!(result.is_err() && thrown.is_some(), "expected an exception, got {}", outcome(&result));
                Ok(())
            }
            WastDirective::AssertSuspension { .. } => bail!("stack switching is not supported"),
        }
    }

    fn compile(&self, wat: &mut QuoteWat<'_>) -> Result<Definition> {
        let bytes = match wat {
            QuoteWat::Wat(wat) => wat.encode().map_err(|error| self.setting.placed(error)),
            // Places are those of the quoted text.
            quoted => quoted.encode(),
        };
        self.load(&bytes?)
    }

    fn load(&self, bytes: &[u8]) -> Result<Definition> {
        if wasmparser::Parser::is_component(bytes) {
            return Ok(Definition::Component(Component::new(self.setting.engine, bytes)?));
        }
        let module = Module::from_binary(self.setting.engine, bytes)?;
        match self.setting.loading {
            Loading::Compile => Ok(Definition::Module(module)),
            Loading::RoundTrip => Ok(Definition::Module(round_trip(&module)?)),
        }
    }

    fn instantiate(&mut self, name: Option<Id<'_>>, definition: &Definition) -> Result<()> {
        let module = match definition {
            Definition::Module(module) => module,
            Definition::Component(component) => {
                let instance = ComponentInstance::new(component)?;
                if let Some(name) = name {
                    self.components.insert(name.name().to_string(), instance.clone());
                }
                self.current_component = Some(instance);
                return Ok(());
            }
        };
        let instance = self.linker.instantiate(&mut self.store, module)?;
        let mut exports = Exports::new();
        while let Some((name, item)) = instance.export_at(&self.store, exports.len()) {
            exports.insert(name.to_string(), item);
        }
        if let Some(name) = name {
            self.instances.insert(name.name().to_string(), exports.clone());
        }
        self.current = Some(exports);
        Ok(())
    }

    fn exports(&self, instance: Option<Id<'_>>) -> Result<&Exports> {
        match instance {
            Some(name) => self.instances.get(name.name()).with_context(|| format!("no instance `{}`", name.name())),
            None => self.current.as_ref().context("no instance"),
        }
    }

    fn export(&self, instance: Option<Id<'_>>, name: &str) -> Result<Extern> {
        self.exports(instance)?.get(name).cloned().with_context(|| format!("no export `{name}`"))
    }

    fn component(&self, instance: Option<Id<'_>>) -> Option<&ComponentInstance> {
        match instance {
            Some(name) => self.components.get(name.name()),
            None => self.current_component.as_ref(),
        }
    }

    fn execute(&mut self, exec: WastExecute<'_>) -> Result<Values> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Wat(mut wat) => self.instantiate_unnamed(&mut wat).map(|()| Values::Core(Vec::new())),
            WastExecute::Get { module, global, .. } => {
                let item = self.export(module, global)?.into_global();
                let item = item.with_context(|| format!("`{global}` is not a global"))?;
                Ok(Values::Core(vec![item.get(&mut self.store)?]))
            }
        }
    }

    fn instantiate_unnamed(&mut self, wat: &mut Wat<'_>) -> Result<()> {
        let bytes = wat.encode().map_err(|error| self.setting.placed(error))?;
        match self.load(&bytes)? {
            Definition::Module(module) => drop(self.linker.instantiate(&mut self.store, &module)?),
            Definition::Component(component) => drop(ComponentInstance::new(&component)?),
        }
        Ok(())
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Values> {
        let name = invoke.name;
        if let Some(instance) = self.component(invoke.module) {
            return Ok(Values::Component(instance.call(name, &invoke.args)?));
        }
        let func = self.export(invoke.module, name)?.into_func();
        let func = func.with_context(|| format!("`{name}` is not a function"))?;
        let mut args = Vec::new();
        for arg in &invoke.args {
            match arg {
                WastArg::Core(arg) => args.push(values::from_script(&mut self.store, arg)?),
                other => bail!("{other:?} is no argument of a core function"),
            }
        }
        let ty = func.ty(&self.store)?;
        let mut results: Vec<Val> = ty.results().iter().map(|&ty| Val::default_for(ty)).collect();
        func.call(&mut self.store, &args, &mut results)?;
        Ok(Values::Core(results))
    }

    fn check_results(&self, values: &Values, expected: &[WastRet<'_>]) -> Result<()> {
        let values = match values {
            Values::Core(values) => values,
            Values::Component(values) => return component::check_results(values, expected),
        };
        ensure!(values.len() == expected.len(), "expected {} results, got {}", expected.len(), values.len());
        for (value, expected) in values.iter().zip(expected) {
            let WastRet::Core(expected) = expected else { bail!("{expected:?} is no result of a core function") };
            ensure!(self.matches(value, expected), "expected {expected:x?}, got {value:x?}");
        }
        Ok(())
    }

    fn matches(&self, value: &Val, expected: &WastRetCore<'_>) -> bool {
        match expected {
            WastRetCore::Either(choices) => choices.iter().any(|choice| self.matches(value, choice)),
            one => values::matches(&self.store, value, one),
        }
    }

    /// Whether the text parser or the validator refuses a module. Which of the two, and with which words, is theirs.
    fn check_refused(&self, mut module: QuoteWat<'_>, message: &str) -> Result<()> {
        let Ok(bytes) = module.encode() else { return Ok(()) };
        let refused = if wasmparser::Parser::is_component(&bytes) {
            Component::new(self.setting.engine, &bytes).is_err()
        } else {
            Module::validate(self.setting.engine, &bytes).is_err()
        };
        ensure!(refused, "accepted a module with `{message}`");
        Ok(())
    }

    /// Starts a thread of the script: a store of its own, and the shared memories of one instance.
    fn spawn(&mut self, thread: WastThread<'a>) -> Result<()> {
        let (setting, scope) = (self.setting, self.scope);
        let shared = match thread.shared_module {
            Some(name) => {
                let mut exports = self.exports(Some(name))?.clone();
                exports.retain(|_, item| matches!(item, Extern::SharedMemory(_)));
                Some((name.name().to_string(), exports))
            }
            None => None,
        };
        let directives = thread.directives;
        let handle = scope.spawn(move || {
            let mut script = Script::new(setting, scope)?;
            script.instances.extend(shared);
            script.run(directives);
            Ok(script.report)
        });
        self.threads.insert(thread.name.name().to_string(), handle);
        Ok(())
    }

    fn join(&mut self, name: &str) -> Result<()> {
        let handle = self.threads.remove(name).with_context(|| format!("no thread `{name}`"))?;
        let report = handle.join().map_err(|_| anyhow!("thread `{name}` panicked"))??;
        self.report.passed += report.passed;
        self.report.failures.extend(report.failures);
        Ok(())
    }
}

fn round_trip(module: &Module) -> Result<Module, ampoule::Error> {
    let artifact = module.serialize()?;
    // SAFETY: the artifact was just written by this very engine.
    unsafe { Module::deserialize(module.engine(), &artifact) }
}

fn trap_code(error: &anyhow::Error) -> Option<TrapCode> {
    error.downcast_ref::<ampoule::Error>()?.trap_code()
}

fn check_trap(result: Result<Values>, message: &str) -> Result<()> {
    let message = message.trim_start_matches("wasm trap: ");
    let code = result.as_ref().err().and_then(trap_code);
    // What the canonical ABI finds wrong has no code, only words.
    let says = || result.as_ref().err().is_some_and(|error| error.to_string().contains(message));
    ensure!(
        code.is_some_and(|code| trap_matches(code, message)) || code.is_none() && says(),
        "expected `{message}`, got {}",
        outcome(&result)
    );
    Ok(())
}

/// Whether a trap is the one that a script means. Scripts shorten the words, or add which element it was.
fn trap_matches(code: TrapCode, message: &str) -> bool {
    code.message().contains(message)
        || message.starts_with(code.message())
        || (code == TrapCode::AtomicWaitNonSharedMemory && message == "expected shared memory")
        // Which kind of reference it was.
        || (code == TrapCode::NullReference && message.starts_with("null ") && message.ends_with(" reference"))
}

fn outcome(result: &Result<Values>) -> String {
    match result {
        Ok(Values::Core(values)) => format!("{values:x?}"),
        Ok(Values::Component(values)) => format!("{values:?}"),
        Err(error) => format!("`{error:#}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ampoule::Config;

    fn run_script(text: &str) -> Report {
        let engine = Engine::new(&Config { shared_memory: true, ..Config::default() }).unwrap();
        run(&engine, Path::new("script.wast"), text, Loading::Compile).unwrap()
    }

    /// Every line of a script that fails.
    fn failing_lines(text: &str) -> Vec<usize> {
        run_script(text).failures.iter().map(|failure| failure.line).collect()
    }

    const MODULE: &str = r#"(module
        (func (export "one") (result i32) i32.const 1)
        (func (export "nan") (result f32) f32.const nan:0x200000)
        (func (export "quiet") (result f64) f64.const -nan)
        (func (export "lanes") (result v128) v128.const f32x4 nan 1 2 3)
        (func (export "null") (result funcref) ref.null func)
        (func (export "same") (param externref) (result externref) local.get 0)
        (func (export "trap") unreachable)
        (func $again (export "again") call $again))"#;

    #[test]
    fn what_holds_passes() {
        let report = run_script(&format!(
            r#"{MODULE}
            (assert_return (invoke "one") (i32.const 1))
            (assert_return (invoke "one") (either (i32.const 2) (i32.const 1)))
            (assert_return (invoke "quiet") (f64.const nan:canonical))
            (assert_return (invoke "quiet") (f64.const nan:arithmetic))
            (assert_return (invoke "lanes") (v128.const f32x4 nan:canonical 1 2 3))
            (assert_return (invoke "null") (ref.null func))
            (assert_return (invoke "null") (ref.null))
            (assert_return (invoke "same" (ref.extern 7)) (ref.extern 7))
            (assert_return (invoke "same" (ref.null extern)) (ref.null extern))
            (assert_trap (invoke "trap") "unreachable")
            (assert_exhaustion (invoke "again") "call stack exhausted")
            (assert_invalid (module (func (result i32))) "type mismatch")
            (assert_malformed (module quote "(func") "unexpected end")
            (assert_malformed (module binary "\00asm\02\00\00\00") "unknown binary version")
            (assert_unlinkable (module (import "no" "where" (func))) "unknown import")
            (assert_trap (module (func unreachable) (start 0)) "unreachable")
            (register "lib")
            (module (import "lib" "one" (func $one (result i32))) (import "spectest" "global_i32" (global i32))
                (export "one" (func $one)) (export "six" (global 0)))
            (assert_return (invoke "one") (i32.const 1))
            (assert_return (get "six") (i32.const 666))
            (module definition $twice (global (export "g") (mut i32) (i32.const 5)))
            (module instance $a $twice)
            (module instance $b $twice)
            (assert_return (get $a "g") (i32.const 5))"#
        ));
        assert_eq!((report.passed, report.failures.len()), (25, 0), "{:?}", report.failures);
    }

    #[test]
    fn what_does_not_hold_fails() {
        let script = [
            "(module binary \"\\00asm\\01\\00\\00\\00\")",
            &MODULE.replace('\n', " "),
            r#"(assert_return (invoke "one") (i32.const 2))"#,
            r#"(assert_return (invoke "one"))"#,
            r#"(assert_return (invoke "one") (i64.const 1))"#,
            r#"(assert_return (invoke "one") (either (i32.const 2) (i32.const 3)))"#,
            r#"(assert_return (invoke "nan") (f32.const nan:canonical))"#,
            r#"(assert_return (invoke "nan") (f32.const nan:arithmetic))"#,
            r#"(assert_return (invoke "lanes") (v128.const f32x4 nan:canonical 1 2 4))"#,
            r#"(assert_return (invoke "null") (ref.null extern))"#,
            r#"(assert_return (invoke "null") (ref.func))"#,
            r#"(assert_return (invoke "same" (ref.extern 7)) (ref.extern 8))"#,
            r#"(assert_return (invoke "same" (ref.extern 7)) (ref.null extern))"#,
            r#"(assert_return (invoke "trap"))"#,
            r#"(assert_trap (invoke "one") "unreachable")"#,
            r#"(assert_trap (invoke "trap") "integer overflow")"#,
            r#"(assert_exhaustion (invoke "trap") "call stack exhausted")"#,
            r#"(assert_invalid (module) "type mismatch")"#,
            r#"(assert_malformed (module quote "(func)") "unexpected end")"#,
            r#"(assert_unlinkable (module) "unknown import")"#,
            r#"(assert_unlinkable (module (import "no" "where" (func))) "incompatible import type")"#,
            r#"(invoke "nowhere")"#,
            r#"(register "x" $nobody)"#,
        ];
        assert_eq!(failing_lines(&script.join("\n")), (3..=script.len()).collect::<Vec<_>>());
    }

    #[test]
    fn threads_share_a_memory_and_their_failures_count() {
        let report = run_script(
            r#"(module $mem (memory (export "shared") 1 1 shared))
            (thread $t (shared (module $mem))
              (register "mem" $mem)
              (module (import "mem" "shared" (memory 1 1 shared))
                (func (export "store") i32.const 8 i32.const 42 i32.store))
              (invoke "store")
              (assert_return (invoke "store") (i32.const 1)))
            (wait $t)
            (register "mem" $mem)
            (module (import "mem" "shared" (memory 1 1 shared))
              (func (export "load") (result i32) i32.const 8 i32.load))
            (assert_return (invoke "load") (i32.const 42))"#,
        );
        assert_eq!(report.failures.iter().map(|failure| failure.line).collect::<Vec<_>>(), [7], "{report:?}");
        assert_eq!(report.passed, 9);
    }

    #[test]
    fn a_thread_that_waits_is_woken_by_another() {
        let report = run_script(
            r#"(module $mem (memory (export "shared") 1 1 shared))
            (thread $t (shared (module $mem))
              (register "mem" $mem)
              (module (import "mem" "shared" (memory 1 1 shared))
                (func (export "wait") (result i32)
                  (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
              (assert_return (invoke "wait") (i32.const 0)))
            (register "mem" $mem)
            (module (import "mem" "shared" (memory 1 1 shared))
              (func (export "wake")
                (loop $again (br_if $again (i32.eqz (memory.atomic.notify (i32.const 0) (i32.const 1)))))))
            (invoke "wake")
            (wait $t)"#,
        );
        assert_eq!((report.passed, report.failures.len()), (9, 0), "{report:?}");
    }

    #[test]
    fn what_is_no_script_is_an_error() {
        let error = run(&Engine::default(), Path::new("a.wast"), "(module\n  (fnc))", Loading::Compile).unwrap_err();
        assert!(error.to_string().contains("a.wast:2:4") && error.to_string().contains("(fnc)"), "{error}");
    }
}
