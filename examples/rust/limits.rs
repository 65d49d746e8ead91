//! A guest that grows its memory, in a store that allows two pages.
//!
//! ```text
//! grown from 1 page
//! refused: the guest got -1
//! ```

use ampoule::{Engine, Error, Instance, Module, Store};

fn main() -> Result<(), Error> {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        br#"(module (memory 1) (func (export "grow") (result i32) (memory.grow (i32.const 1))))"#,
    )?;
    let mut store = Store::new(&engine);
    store.limits_mut().memory_size = Some(2 << 16);
    let instance = Instance::new(&mut store, &module, &[])?;
    let grow = instance.get_typed_func::<(), i32>(&store, "grow")?;
    for _ in 0..2 {
        match grow.call(&mut store, ())? {
            -1 => println!("refused: the guest got -1"),
            pages => println!("grown from {pages} page"),
        }
    }
    Ok(())
}
