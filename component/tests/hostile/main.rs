//! Guests that mean harm: what they hand over through the canonical ABI is what they like it to be. Each is stopped with an error that says
//! why, nothing of the host's breaks, and the store is what it ought to be after: usable where only a value was refused, closed to all
//! components where a guest was stopped in the middle of something. The texts are those of 44.0.0, but where it says nothing.

mod allocators;
mod handles;
mod lists;
mod strings;
mod types;
mod values;

use ampoule::{Engine, Error, Store};
use ampoule_component::{Component, Func, Instance, Linker, Val};

/// What `alive` answers in a store that no guest was stopped in.
const CLOSED: &str = "wasm trap: cannot enter component instance";

/// An allocator that gives one piece of memory after another from 1024 on, as long as there is any.
const BUMP: &str = r#"
    (global $next (mut i32) (i32.const 1024))
    (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and
            (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
            (i32.sub (i32.const 0) (local.get 2))))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (local.get $at))"#;

/// A component around a core module with one page of memory and this content. `lifts` are its functions, in which `$m` is the core instance;
/// `alive` is added.
fn guest(content: &str, lifts: &str) -> String {
    format!(
        r#"(component
            (core module $M
                (memory (export "memory") 1)
                (func (export "alive") (result i32) (i32.const 1))
                {content})
            (core instance $m (instantiate $M))
            (alias core export $m "memory" (core memory $memory))
            (func (export "alive") (result u32) (canon lift (core func $m "alive")))
            {lifts})"#
    )
}

/// Two components: `inner` exports a function `f` of this type, lifted with `inner_options`; the other one calls it, from its core function
/// `run` with the content `outer`, which imports it as `$f` with the core type `core`. `run` answers an i32. Texts that begin with `$` in
/// options are those of [`guest`].
struct Pair<'a> {
    ty: &'a str,
    core: &'a str,
    inner: &'a str,
    inner_options: &'a str,
    outer: &'a str,
    outer_options: &'a str,
}

impl Pair<'_> {
    fn text(&self) -> String {
        let Pair { ty, core, inner, inner_options, outer, outer_options } = self;
        format!(
            r#"(component
                (component $Inner
                    (core module $M (memory (export "memory") 1) {inner})
                    (core instance $m (instantiate $M))
                    (alias core export $m "memory" (core memory $memory))
                    (func (export "f") {ty} (canon lift (core func $m "f") {inner_options})))
                (component $Outer
                    (import "f" (func $f {ty}))
                    (core module $L (memory (export "memory") 1) {BUMP})
                    (core instance $m (instantiate $L))
                    (alias core export $m "memory" (core memory $memory))
                    (core func $f' (canon lower (func $f) {outer_options}))
                    (core module $M
                        (import "m" "memory" (memory 1))
                        (import "m" "f" (func $f {core}))
                        (func (export "alive") (result i32) (i32.const 1))
                        {outer})
                    (core instance $o (instantiate $M (with "m" (instance
                        (export "memory" (memory $memory)) (export "f" (func $f'))))))
                    (func (export "alive") (result u32) (canon lift (core func $o "alive")))
                    (func (export "run") (result u32) (canon lift (core func $o "run"))))
                (instance $inner (instantiate $Inner))
                (instance $outer (instantiate $Outer (with "f" (func $inner "f"))))
                (export "alive" (func $outer "alive"))
                (export "run" (func $outer "run")))"#
        )
    }
}

/// The options of a function that takes or gives lists and strings in UTF-8.
const MEMORY: &str = r#"(memory $memory)"#;
const ALLOCATES: &str = r#"(memory $memory) (realloc (core func $m "realloc"))"#;

/// A component in a store of its own.
struct Run {
    store: Box<Store>,
    instance: Instance,
}

impl Run {
    #[track_caller]
    fn new(text: &str) -> Run {
        Run::with(text, |_| {})
    }

    /// As [`Run::new`], with imports.
    #[track_caller]
    fn with(text: &str, define: impl FnOnce(&mut Linker)) -> Run {
        let engine = Engine::default();
        let component = Component::new(&engine, text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut store = Store::new(&engine);
        let mut linker = Linker::new(&engine);
        define(&mut linker);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        Run { store, instance }
    }

    fn func(&mut self, name: &str) -> Func {
        self.instance.get_func(&mut self.store, &[name]).unwrap().unwrap_or_else(|| panic!("no {name}"))
    }

    fn call(&mut self, name: &str, args: &[Val]) -> Result<Val, Error> {
        let func = self.func(name);
        let has_result = func.ty(&mut self.store)?.result().is_some();
        let mut results = vec![Val::default(); usize::from(has_result)];
        func.call(&mut self.store, args, &mut results)?;
        Ok(results.pop().unwrap_or_default())
    }

    /// The call fails with this text, which the error's causes may have around it.
    #[track_caller]
    fn fails(&mut self, name: &str, args: &[Val], says: &str) {
        match self.call(name, args) {
            Ok(val) => panic!("{name}({args:?}) is {val:?}, not an error that says {says:?}"),
            Err(error) => assert!(error.to_string().contains(says), "{name}({args:?}): {error}, not {says:?}"),
        }
    }

    /// Components of the store can still be called.
    #[track_caller]
    fn is_alive(&mut self) {
        assert_eq!(self.call("alive", &[]).unwrap(), Val::from(1u32));
    }

    /// No component of the store can be called any more.
    #[track_caller]
    fn is_closed(&mut self) {
        assert_eq!(self.call("alive", &[]).unwrap_err().to_string(), CLOSED);
    }
}
