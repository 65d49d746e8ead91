//! Functions of the host for the guest: one over numbers, one that reads the guest's memory and may refuse.
//!
//! ```text
//! the guest says: hello from the guest
//! the guest was stopped: no text at 70000
//! ```

use ampoule::{Caller, Engine, Error, Extern, Linker, Module, Store};

fn main() -> Result<(), Error> {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        br#"(module
            (import "host" "say" (func $say (param i32 i32)))
            (import "host" "double" (func $double (param i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 16) "hello from the guest")
            (func (export "run") (param i32) (call $say (local.get 0) (call $double (i32.const 10)))))"#,
    )?;
    let mut linker = Linker::new(&engine);
    linker.func_wrap("host", "double", |value: i32| value * 2)?;
    linker.func_wrap("host", "say", |mut caller: Caller<'_>, start: u32, len: u32| {
        let memory = caller.export("memory").and_then(Extern::into_memory);
        let memory = memory.ok_or_else(|| Error::message("the guest exports no memory"))?;
        let (start, len) = (start as usize, len as usize);
        let text = memory.bytes(caller.store())?.get(start..).and_then(|rest| rest.get(..len));
        let text = text.ok_or_else(|| Error::message(format!("no text at {start}")))?;
        println!("the guest says: {}", String::from_utf8_lossy(text));
        Ok(())
    })?;
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &module)?;
    let run = instance.get_typed_func::<u32, ()>(&store, "run")?;
    run.call(&mut store, 16)?;
    if let Err(error) = run.call(&mut store, 70_000) {
        println!("the guest was stopped: {}", error.kind());
    }
    Ok(())
}
