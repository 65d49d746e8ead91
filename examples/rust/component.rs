//! A component that is given a function and called, with Rust's types: records, strings, options.
//!
//! ```text
//! the guest asks for "Ada"
//! Greeting { text: "Hello, Ada!", times: 2 }
//! not called: expected 0 parameter(s), found 1
//! ```

use ampoule::{Engine, Error, Store};
use ampoule_component::{Component, Linker, component_types};

component_types! {
    /// A record that the component declares.
    #[derive(Debug)]
    record Greeting { text: String, times: u32 }
}

/// A component that hands on to the host what it is asked. Real ones come from a compiler.
const GREETER: &str = r#"(component
    (type $greeting' (record (field "text" string) (field "times" u32)))
    (import "greeting" (type $greeting (eq $greeting')))
    (import "demo:host/people@1.0.0" (instance $people
        (alias outer 1 $greeting (type $greeting))
        (export "greeting" (type $answer (eq $greeting)))
        (export "greet" (func (param "name" string) (result $answer)))))
    (core module $allocator
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 64))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
            (global.get $next)
            (global.set $next (i32.add (global.get $next) (local.get 3)))))
    (core instance $allocator (instantiate $allocator))
    (alias core export $allocator "memory" (core memory $memory))
    (alias core export $allocator "realloc" (core func $realloc))
    (core func $greet (canon lower (func $people "greet") (memory $memory) (realloc $realloc)))
    (core module $main
        (import "people" "greet" (func $greet (param i32 i32 i32)))
        (func (export "welcome") (param i32 i32) (result i32)
            (call $greet (local.get 0) (local.get 1) (i32.const 16))
            (i32.const 16)))
    (core instance $main (instantiate $main (with "people" (instance (export "greet" (func $greet))))))
    (func (export "welcome") (param "name" string) (result $greeting)
        (canon lift (core func $main "welcome") (memory $memory) (realloc $realloc))))"#;

fn main() -> Result<(), Error> {
    let engine = Engine::default();
    let component = Component::new(&engine, GREETER.as_bytes())?;

    let mut linker = Linker::new(&engine);
    linker.instance("demo:host/people@1.2.0")?.func_wrap("greet", |_, (name,): (String,)| {
        println!("the guest asks for {name:?}");
        Ok((Greeting { text: format!("Hello, {name}!"), times: 2 },))
    })?;

    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component)?;
    let welcome = instance.get_func(&mut store, &["welcome"])?.expect("the component exports it");
    let typed = welcome.typed::<(&str,), (Greeting,)>(&mut store)?;
    let (greeting,) = typed.call(&mut store, ("Ada",))?;
    println!("{greeting:?}");

    if let Err(error) = welcome.typed::<(), ()>(&mut store) {
        println!("not called: {error}");
    }
    Ok(())
}
