//! A program of WASI preview 1, with an argument, and with its output in the host's hands.
//!
//! ```text
//! the guest wrote "2 arguments\n"
//! ```

use ampoule::{Engine, Error, Linker, Module, Store};
use ampoule_wasi::{WasiConfig, p1};
use std::sync::{Arc, Mutex};

/// Counts its arguments, and says how many.
const PROGRAM: &[u8] = br#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "? arguments\n")
    (data (i32.const 32) "\40\00\00\00\0c\00\00\00")
    (func (export "_start")
        (drop (call $sizes (i32.const 0) (i32.const 4)))
        (i32.store8 (i32.const 64) (i32.add (i32.const 48) (i32.load (i32.const 0))))
        (drop (call $write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 40)))))"#;

fn main() -> Result<(), Error> {
    let engine = Engine::default();
    let module = Module::new(&engine, PROGRAM)?;
    let mut linker = Linker::new(&engine);
    p1::add_to_linker(&mut linker)?;

    let output = Arc::new(Mutex::new(Vec::new()));
    let mut config = WasiConfig::new();
    config.set_args(["program", "argument"].map(String::from)).map_err(|error| Error::message(error.to_string()))?;
    config.stdout_callback({
        let output = output.clone();
        Box::new(move |bytes| {
            output.lock().expect("nobody panicked").extend_from_slice(bytes);
            bytes.len() as isize
        })
    });
    let mut store = Store::new(&engine);
    store.slots_mut().insert(config.build());
    let instance = linker.instantiate(&mut store, &module)?;
    instance.get_typed_func::<(), ()>(&store, "_start")?.call(&mut store, ())?;
    println!("the guest wrote {:?}", String::from_utf8_lossy(&output.lock().expect("nobody panicked")));
    Ok(())
}
