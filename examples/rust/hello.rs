//! A module, a store, and a call with Rust's types.
//!
//! ```text
//! 2 + 3 = 5
//! ```

use ampoule::{Engine, Error, Instance, Module, Store, TypedFunc};

fn main() -> Result<(), Error> {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        br#"(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))"#,
    )?;
    let mut store = Store::new(&engine);
    let instance = Instance::new(&mut store, &module, &[])?;
    let add: TypedFunc<(i32, i32), i32> = instance.get_typed_func(&store, "add")?;
    println!("2 + 3 = {}", add.call(&mut store, (2, 3))?);
    Ok(())
}
