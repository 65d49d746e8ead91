//! A guest that never ends, stopped three times: when its fuel is used up, by a time limit, and by a token on another thread.
//!
//! ```text
//! fuel: wasm trap: all fuel consumed by WebAssembly
//! time limit: wasm trap: interrupt
//! token: wasm trap: interrupt
//! ```

use ampoule::{Config, Engine, Error, Instance, Module, Store};
use std::time::Duration;

const ENDLESS: &[u8] = br#"(module (func (export "run") (loop br 0)))"#;

fn run(store: &mut Store) -> Result<String, Error> {
    let module = Module::new(store.engine(), ENDLESS)?;
    let instance = Instance::new(store, &module, &[])?;
    let run = instance.get_typed_func::<(), ()>(store, "run")?;
    let error = run.call(store, ()).expect_err("it never returns");
    Ok(error.kind().to_string())
}

fn main() -> Result<(), Error> {
    let engine = Engine::new(Config::new().consume_fuel(true))?;
    let mut store = Store::new(&engine);
    store.set_fuel(10_000)?;
    println!("fuel: {}", run(&mut store)?);

    let engine = Engine::new(Config::new().cancellation(true))?;
    let mut store = Store::new(&engine);
    store.set_call_time_limit(Some(Duration::from_millis(20)))?;
    println!("time limit: {}", run(&mut store)?);

    store.set_call_time_limit(None)?;
    let token = store.cancel_token()?;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            token.cancel(token.generation());
        });
        println!("token: {}", run(&mut store)?);
        Ok(())
    })
}
